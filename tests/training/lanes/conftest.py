"""Trainers for the tests of lanes."""

from functools import partial

import pytest
from training import each_backend


@pytest.fixture(scope="session")
def make_trainer():
    """A trainer with tiles of two points, so that no time is spent on measuring other sizes."""
    return partial(each_backend.make_trainer, "lanes")
