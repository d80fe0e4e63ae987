"""A change of random numbers, of an order of points, of a kernel or of a sum does not pass unnoticed."""

import pytest
from training import golden

from jaxland.training import processor
from jaxland.training.lanes.tuning import VERSION

RENEW = "python tests/training/golden.py"
TABLE = {(each.name, tuple(sorted(each.decided_by.items()))): each for each in golden.read()}


def _require_known(found):
    known = TABLE.get((found.name, tuple(sorted(found.decided_by.items()))))
    if known is None:
        pytest.skip(
            f"golden.json has no {found.name} of {found.decided_by}; `{RENEW}` would add what this machine finds"
        )
    assert found.version == known.version, f"kernels have another version, and other bits: `{RENEW}`"
    assert found.sha256 == known.sha256, (
        f"{found.name}: other bits than those in golden.json, which are decided by {found.decided_by}. If that was "
        "meant, studies must not go on with fits of the old ones: raise VERSION in training/lanes/tuning.py where a "
        f"kernel was changed, the version of jaxland otherwise, and renew the table by `{RENEW}`."
    )


@pytest.mark.parametrize("name", golden.CASES)
def test_bits_are_those_that_were_written_down(name):
    _require_known(golden.CASES[name]())


@pytest.mark.skipif("sse" not in processor.instructions(), reason="this processor has other instructions")
def test_bits_of_unfused_arithmetic_are_those_that_were_written_down(monkeypatch):
    monkeypatch.setenv("JAXLAND_INSTRUCTIONS", "sse")
    _require_known(golden.trained("lanes", "tanh, adam"))


def test_every_case_was_written_down_and_with_the_kernels_of_now():
    """Else a case that cannot be looked up would be skipped everywhere."""
    fused = [each for each in TABLE.values() if each.decided_by.get("fused", True)]
    assert {each.name for each in fused} == set(golden.CASES)
    assert {each.version for each in TABLE.values() if each.name.startswith("lanes")} == {VERSION}
