"""Compiled kernels are shared by the tests of a session and kept out of the user's cache."""

import os

import pytest

from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.tuning import VERSION
from jaxland.training.precision import get_dtype


@pytest.fixture(scope="session")
def make_trainer():
    """A trainer with tiles of two points, so that no time is spent on measuring other sizes."""

    def make(ensemble, tile=2):
        target = machine.host()
        lanes = target.vector_bytes // get_dtype(ensemble.dtype).itemsize
        return LanesTrainer(ensemble, {"lanes": lanes, "tile": tile, "fused": target.fused, "kernel": VERSION})

    return make


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels")
    before = os.environ.get("JAXLAND_CACHE_DIR")
    os.environ["JAXLAND_CACHE_DIR"] = str(directory)
    yield directory
    os.environ.pop("JAXLAND_CACHE_DIR")
    if before is not None:
        os.environ["JAXLAND_CACHE_DIR"] = before
