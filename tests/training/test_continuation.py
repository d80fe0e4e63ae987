"""Fits that are trained on are, to the bit, what training from the start gives."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl

pytestmark = pytest.mark.sampled

NET, WIDE = jl.mlp([1, 3, 1]), jl.mlp([1, 5, 5, 5, 5, 5, 1])
PROBLEM = jl.problems.sawtooth()
_JUDGED = ("validation", "best_validation", "best_validation_step", "best_params", "stopped_step")


def _require_same(one, other):
    for name in ("params", "initial_loss", "loss", "best_loss", "best_step", "diverged_step", "trace", "snapshots"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    if one.judged is not None:
        for name in _JUDGED:
            assert getattr(one.judged, name).tobytes() == getattr(other.judged, name).tobytes(), name
        for name, values in one.judged.metrics.items():
            assert values.tobytes() == other.judged.metrics[name].tobytes(), name


_ERROR = {"error": lambda prediction, target: jnp.abs(prediction - target).max()}
_HOW = {
    "all points": {},
    "batches": {"batch_size": 50},
    "with replacement": {"batch_size": 64, "replacement": True},
    "stopped": {"validation": 0.3, "patience": 2, "validate_every": 20, "metrics": _ERROR},
    "stopped, batches": {"validation": 0.3, "batch_size": 100, "patience": 1},
}


_ALWAYS = {("lanes", "all points"), ("lanes", "batches"), ("xla", "stopped, batches")}
_CASES = [
    pytest.param(backend, how, marks=[] if (backend, how) in _ALWAYS else pytest.mark.slow)
    for backend in ("lanes", "xla")
    for how in _HOW
]


@pytest.mark.parametrize(("backend", "how"), _CASES)
def test_what_is_trained_on_is_what_training_from_the_start_gives(backend, how, tmp_path):
    train = partial(
        jl.fit, NET, PROBLEM, optax.adam, hyperparameters={"learning_rate": np.geomspace(1e-3, 10, 37)}, fits=37,
        backend=backend, compress=None if backend == "xla" else False, trace_every=10, **_HOW[how],
    )  # fmt: skip
    whole = train(steps=150, snapshots=(20, 80, 101))
    part = train(steps=80, snapshots=(20, 80), keep_state=True)
    _require_same(part, train(steps=80, snapshots=(20, 80)))
    part.save(tmp_path / "part.fits")
    part = jl.Fits.load(
        tmp_path / "part.fits", **({"validation": part.ensemble.validation} if "metrics" in _HOW[how] else {})
    )
    first = part.continue_(40, snapshots=(101,))
    _require_same(first.continue_(30), whole)
    # Others beside them, in another order.
    some = [30, 3, 17, 16, 1]
    _require_same(part[some].continue_(70, snapshots=(101,)), whole[some])
    if "patience" in _HOW[how]:
        assert 0 < (whole.judged.stopped_step >= 0).sum() < 37


@pytest.mark.parametrize(
    "steps", [pytest.param(200, marks=pytest.mark.slow), 700, pytest.param(1100, marks=pytest.mark.slow)]
)
def test_runs_go_on_from_where_they_are_made_anew(steps):
    """So that no run has to be kept; before the first of them is the plain kernel."""
    train = partial(jl.fit, WIDE, PROBLEM, optax.sgd(0.01, momentum=0.9), fits=300, compress=True, trace_every=90)
    whole = train(steps=1300)
    assert "points between kinks" in whole.explanation
    kept = train(steps=steps, keep_state=True)
    _require_same(kept.continue_(1300 - steps), whole)
    _require_same(kept[::7].continue_(1300 - steps), whole[::7])


@pytest.mark.slow
@pytest.mark.parametrize(("network", "backend", "says"), [(jl.mlp([1, 16, 16, 1]), "lanes", "loops"), (NET, "tpu", "")])
def test_other_kernels_go_on(network, backend, says):
    """Loops over units, and the kernel for a TPU, interpreted."""
    train = partial(
        jl.fit, network, PROBLEM, optax.adam(0.01), fits=40, backend=backend, trace_every=2,
        compress=None if backend == "tpu" else False,
    )  # fmt: skip
    whole = train(steps=15, snapshots=(3, 11))
    assert not says or whole.backend["form"] == says
    part = train(steps=9, snapshots=(3,), keep_state=True)
    _require_same(part.continue_(6, snapshots=(11,)), whole)
    _require_same(part[[30, 2, 17]].continue_(6, snapshots=(11,)), whole[[30, 2, 17]])


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_a_long_trace_is_whole(backend):
    """More columns than the state of a group has at a time: against the losses of the parameters on the way."""
    steps = tuple(range(0, 601, 25))
    fits = jl.fit(
        NET,
        PROBLEM,
        optax.sgd(0.05),
        fits=3,
        steps=600,
        trace_every=1,
        snapshots=steps,
        backend=backend,
        keep_state=True,
    )
    for fit in range(3):
        found = jl.landscape.losses(NET, PROBLEM.loss, fits.snapshots[fit], PROBLEM.x, PROBLEM.y)
        np.testing.assert_allclose(fits.trace[fit, list(steps)], found, rtol=1e-5)
    assert fits.trace.shape == (3, 601)
    longer = fits.continue_(700)
    np.testing.assert_array_equal(longer.trace[:, :601], fits.trace)
    assert np.isfinite(longer.trace).all()


@pytest.mark.slow
def test_bits_do_not_depend_on_how_many_losses_are_kept():
    """XLA compiles what it fuses with a trace differently for each of its widths."""
    train = partial(jl.fit, WIDE, PROBLEM, optax.adam(0.01), fits=16, backend="xla", trace_every=50)
    np.testing.assert_array_equal(train(steps=90).params, train(steps=200, snapshots=(90,)).snapshots[:, 0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [optax.adam(0.01, mu_dtype=jnp.bfloat16), optax.noisy_sgd(0.01, key=jax.random.key(3))],
    ids=["bfloat16", "a key"],
)
def test_states_of_all_kinds_are_kept(optimizer, tmp_path):
    whole = jl.fit(NET, PROBLEM, optimizer, fits=18, steps=50, backend="xla")
    part = jl.fit(NET, PROBLEM, optimizer, fits=18, steps=20, backend="xla", keep_state=True)
    part.save(tmp_path / "part.fits")
    loaded = jl.Fits.load(tmp_path / "part.fits", optimizer=optimizer)
    _require_same(loaded.continue_(30), whole)
    assert not np.array_equal(part.params, whole.params)


def test_noise_of_a_network_goes_on():
    def apply(params, x, key):
        noise = 0 if key is None else jax.random.normal(key, (len(x), 1)) / 10
        return x * params["a"] + params["b"] + noise

    noisy = jl.Network(lambda key: {"a": jax.random.normal(key, (1, 1)), "b": jnp.zeros((1, 1))}, apply, takes_key=True)
    train = partial(jl.fit, noisy, PROBLEM, optax.sgd(0.05), fits=5, trace_every=1)
    _require_same(train(steps=20, keep_state=True).continue_(15), train(steps=35))


def test_what_cannot_be_trained_on_is_refused():
    fits = jl.fit(NET, PROBLEM, optax.sgd(0.05), fits=4, steps=5)
    with pytest.raises(ValueError, match="keep_state=True"):
        fits.continue_(5)
    kept = jl.fit(NET, PROBLEM, optax.sgd(0.05), fits=4, steps=5, keep_state=True)
    with pytest.raises(ValueError, match="with repetitions"):
        kept[[0, 0]].continue_(5)
    with pytest.raises(ValueError, match="snapshots must be steps after 5"):
        kept.continue_(5, snapshots=(3,))
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        kept.continue_(0)
