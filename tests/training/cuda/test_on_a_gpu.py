"""On a GPU, where there is one: what `benchmarks/gpu.py` checks, as tests."""

from pathlib import Path

import pytest
from machine import agreement, gpu
from machine.parts import Parts

from jaxland.training.cuda import CudaMissing


@pytest.fixture
def device():
    try:
        return gpu.find_gpu()
    except CudaMissing as reason:
        pytest.skip(str(reason))


@pytest.fixture
def parts():
    return Parts(None, 3600, print)


def test_backends_agree(device, parts):
    gpu.check_agreement(parts, device, seconds=3600)
    assert parts.failed == parts.skipped == []


def test_bits_depend_on_nothing_beside_a_fit(device, parts):
    gpu.check_bits(parts, device, agreement.ensembles()["main network, momentum, float32"])
    assert parts.failed == []


def test_float32_is_float32(device, parts):
    gpu.check_precision(parts, agreement.ensembles()["main network, momentum, float32"])
    assert parts.failed == []


def test_a_study_killed_on_the_device_goes_on(device, tmp_path: Path):
    checks = list(agreement.kill_and_resume(tmp_path, steps=40_000))
    assert [check for check in checks if not check.passed] == []
