"""Trainers for the tests of lanes."""

import pytest

from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.tuning import VERSION


@pytest.fixture(scope="session")
def make_trainer():
    """A trainer with tiles of two points, so that no time is spent on measuring other sizes."""

    def make(ensemble, tile=2):
        target = machine.host()
        lanes = target.vector_bytes // ensemble.number_format.itemsize
        return LanesTrainer(ensemble, {"lanes": lanes, "tile": tile, "fused": target.fused, "kernel": VERSION})

    return make
