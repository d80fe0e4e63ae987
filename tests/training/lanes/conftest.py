"""Compiled kernels are shared by the tests of a session and kept out of the user's cache."""

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels")
    before = os.environ.get("JAXLAND_CACHE_DIR")
    os.environ["JAXLAND_CACHE_DIR"] = str(directory)
    yield directory
    os.environ.pop("JAXLAND_CACHE_DIR")
    if before is not None:
        os.environ["JAXLAND_CACHE_DIR"] = before
