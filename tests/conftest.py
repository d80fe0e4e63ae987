"""Settings of every test: warnings are errors (see pyproject.toml) and so is silent broadcasting in JAX."""

import os

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")


@pytest.fixture(autouse=True)
def _no_silent_broadcasting():
    import jax

    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def sawtooth_problem():
    from jaxland.problems import sawtooth

    return sawtooth()
