"""Settings of every test: warnings are errors (see pyproject.toml) and so is silent broadcasting in JAX."""

import fcntl
import gc
import os
import pickle

import pytest

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
# With every library imported, a walk through all objects takes half a second, and tracing sets off one after another.
gc.set_threshold(50_000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Of tests with many cases, where a file is marked `sampled`, the first is always run.

    The others are slow tests, of which there is a sample each day.
    """
    seen = set()
    for item in items:
        family = item.nodeid.partition("[")[0]
        if item.get_closest_marker("sampled") and family in seen:
            item.add_marker(pytest.mark.slow)
        seen.add(family)


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A folder of the session, the same in all its processes."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def kernel_cache(shared):
    """Compiled kernels are shared by the tests of a session, in all its processes, and kept out of the user's cache."""
    folder = shared / "kernels"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("JAXLAND_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(scope="session", autouse=True)
def _compiled_once(tmp_path_factory):
    """What XLA has compiled in this process it need not compile again: trainers make their programs anew each time."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("programs")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@pytest.fixture(autouse=True)
def _no_silent_broadcasting():
    import jax

    with jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(scope="session")
def sawtooth_problem():
    from jaxland.problems import sawtooth

    return sawtooth()


@pytest.fixture(scope="session")
def finished_sawtooth(shared):
    """The outcome of a small run of the sawtooth study, which one process makes for all; to be read, not changed."""
    import jaxland as jl
    from jaxland.replications import SawtoothConfig

    outcome = shared / "sawtooth.pickle"
    with (shared / "sawtooth.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not outcome.exists():
            made = jl.run("sawtooth", SawtoothConfig(steps=200), shared / "sawtooth", fits=32, shard_fits=8)
            outcome.write_bytes(pickle.dumps(made))
    return pickle.loads(outcome.read_bytes())
