import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.training import starting_points

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([1, 4, 1])
PROBLEM = jl.Problem(np.linspace(-1, 1, 20), np.sin(3 * np.linspace(-1, 1, 20)), name="sine")
MOMENTUM = optax.sgd(0.05, momentum=0.9)


def _fit(**changes):
    settings = {"fits": 5, "steps": 30, "seed": 3} | changes
    optimizer = settings.pop("optimizer", MOMENTUM)
    return jl.fit(NETWORK, PROBLEM, optimizer, **settings)


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_results_on_the_device(backend, dtype):
    given = {"fits": 20, "steps": 5, "trace_every": 2, "dtype": dtype, "backend": backend}
    here = jl.fit(NETWORK, PROBLEM, optax.adam(0.01), **given)
    there = jl.fit(NETWORK, PROBLEM, optax.adam(0.01), **given, on_device=True)
    for name in ("params", "loss", "initial_loss", "best_loss", "best_step", "diverged_step", "trace"):
        assert isinstance(getattr(there, name), jax.Array)
        assert getattr(there, name).dtype == getattr(here, name).dtype
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    pd.testing.assert_frame_equal(there.table, here.table)


def test_fits_are_shown_in_a_line():
    text = repr(_fit())
    assert text.startswith("Fits(5 of 13 parameters, ")
    assert "0 diverged; " in text
    assert len(text) < 300


def test_an_optimizer_that_lacks_its_numbers():
    with pytest.raises(TypeError, match=r"missing a required argument: 'learning_rate'.*Give hyperparameters="):
        jl.fit(NETWORK, PROBLEM, optax.adam, fits=2, steps=1)


def test_a_choice_is_no_hyperparameter():
    with pytest.raises(TypeError, match=r"fix nesterov by functools.partial\(optimizer, nesterov=True\)"):
        jl.fit(NETWORK, PROBLEM, optax.sgd, fits=2, steps=1, hyperparameters={"learning_rate": 0.1, "nesterov": True})


def test_three_lines_give_table_and_parameters():
    fits = _fit()
    assert fits.params.shape == (5, 13)
    measured = ["initial_loss", "loss", "best_loss", "best_step", "diverged_step"]
    assert list(fits.table.columns) == ["fit", "status", *measured]
    assert list(fits.table.attrs) == ["study", "config_hash", "versions", "device", "precision"]
    assert fits.table["fit"].tolist() == [0, 1, 2, 3, 4]
    assert (fits.table["status"] == "ok").all()
    assert (fits.loss < fits.initial_loss).all()
    assert len(fits) == 5


def test_key_of_a_fit_is_the_fold_of_its_number():
    drawn = starting_points(NETWORK, np.array([7]), seed=3)[0]
    expected = NETWORK.flatten(NETWORK.init(jax.random.fold_in(jax.random.key(3), 7)))
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("portion", [(0, 1), (4, 1), (3, 2), (0, 7), (0, 40), (16, 24)])
def test_a_fit_has_the_same_bits_in_any_portion(portion):
    first, count = portion
    whole = _fit(fits=40)
    part = _fit(first=first, fits=count)
    rows = slice(first, first + count)
    for name in ("fit", "params", "loss", "best_loss", "best_step"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[rows])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_fit_has_the_same_bits_on_any_number_of_threads(threads):
    np.testing.assert_array_equal(_fit(fits=64, threads=threads).params, _fit(fits=64).params)


def test_trace_and_snapshots_are_what_shorter_runs_end_with():
    fits = _fit(trace_every=10, snapshots=(0, 20, 30))
    np.testing.assert_array_equal(fits.ensemble.trace_steps, [0, 10, 20, 30])
    shorter = _fit(steps=20)
    np.testing.assert_array_equal(fits.snapshots[:, 1], shorter.params)
    np.testing.assert_array_equal(fits.snapshots[:, 2], fits.params)
    np.testing.assert_allclose(fits.trace[:, 2], shorter.loss, rtol=1e-6)
    np.testing.assert_array_equal(fits.snapshots[:, 0], starting_points(NETWORK, 5, seed=3))


def test_numbers_may_differ_from_fit_to_fit():
    rates = np.array([0.01, 0.05, 0.2])
    together = _fit(fits=3, optimizer=optax.sgd, hyperparameters={"learning_rate": rates, "momentum": 0.9})
    for row, rate in enumerate(rates):
        alone = _fit(fits=1, first=row, optimizer=optax.sgd(rate, momentum=0.9))
        np.testing.assert_allclose(together.params[row], alone.params[0], rtol=1e-4, atol=1e-6)


def test_other_numbers_compile_nothing():
    compiled = []

    def listen(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    ensemble = jl.training.Ensemble(NETWORK, PROBLEM, optax.sgd, steps=5, hyperparameters={"learning_rate": 0.1})
    trainer = jl.training.choose_backend(ensemble, "xla").trainer
    trainer.finish(trainer.advance(trainer.begin(ensemble.members(np.arange(16))), 5))
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        members = ensemble.members(np.arange(16))
        rates = {"learning_rate": np.geomspace(1e-3, 1, 16, dtype=np.float32)}
        other = trainer.finish(trainer.advance(trainer.begin(members._replace(hyperparameters=rates)), 5))
    finally:
        jax.monitoring.clear_event_listeners()
    assert compiled == []
    assert len(np.unique(other.loss)) == 16


def test_initial_scale_and_own_starts():
    drawn = starting_points(NETWORK, 5, seed=3)
    scales = np.array([0.1, 1, 2, 3, 4], np.float32)
    np.testing.assert_array_equal(_fit(init_scale=scales, snapshots=(0,)).snapshots[:, 0], drawn * scales[:, None])
    np.testing.assert_array_equal(_fit(start=2 * drawn, snapshots=(0,)).snapshots[:, 0], 2 * drawn)


def test_each_fit_may_have_its_own_data():
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(3, 20, 1))
    together = _fit(fits=3, targets=targets)
    for row in range(3):
        problem = jl.Problem(PROBLEM.x, targets[row])
        alone = jl.fit(NETWORK, problem, MOMENTUM, fits=1, first=row, steps=30, seed=3)
        np.testing.assert_allclose(together.params[row], alone.params[0], rtol=1e-4, atol=1e-6)


def _by_number(rows):
    """Arrays as functions of the fits' numbers; the fits that only pad a group get those of others."""
    return {
        name: {"learning_rate": lambda fits: 0.05 * (1 + fits % 3)}
        if name == "hyperparameters"
        else lambda fits, values=values: values[fits % len(values)]
        for name, values in rows.items()
    }


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_what_a_fit_has_may_be_a_function_of_its_number(backend):
    rng = np.random.default_rng(0)
    arrays = {
        "hyperparameters": {"learning_rate": 0.05 * (1 + np.arange(5) % 3)},
        "init_scale": np.linspace(0.5, 2, 5),
        "start": rng.normal(size=(5, NETWORK.size)),
        "inputs": rng.normal(size=(5, 12, 1)),
        "targets": rng.normal(size=(5, 12, 1)),
    }
    functions = _by_number(arrays)
    given = _fit(optimizer=optax.sgd, backend=backend, **arrays)
    found = _fit(optimizer=optax.sgd, backend=backend, **functions)
    np.testing.assert_array_equal(found.params, given.params)
    np.testing.assert_array_equal(found.table["learning_rate"], given.table["learning_rate"])
    # Any number of fits can be asked for, and a fit remains what it is.
    later = _fit(optimizer=optax.sgd, backend=backend, fits=2, first=3, **functions)
    np.testing.assert_array_equal(later.params, given.params[3:])


def test_a_diverged_fit_is_flagged_and_disturbs_nobody():
    rates = np.array([0.05, 1e6, 0.05, 0.05, 0.05])
    starts = starting_points(NETWORK, 5, seed=3)
    starts[2, 0] = np.nan
    targets = np.tile(PROBLEM.y.astype(np.float32), (5, 1, 1))
    clean = _fit(
        optimizer=optax.sgd, hyperparameters={"learning_rate": 0.05}, start=starting_points(NETWORK, 5, seed=3),
        targets=targets,
    )  # fmt: skip
    targets = targets.copy()
    targets[3, 0] = np.inf
    mixed = _fit(optimizer=optax.sgd, hyperparameters={"learning_rate": rates}, start=starts, targets=targets)
    assert mixed.status.tolist() == ["ok", "diverged", "diverged", "diverged", "ok"]
    assert mixed.diverged_step[1] > 0
    assert mixed.diverged_step[2] == mixed.diverged_step[3] == 0
    assert np.isinf(mixed.best_loss[2])
    np.testing.assert_array_equal(mixed.params[[0, 4]], clean.params[[0, 4]])
    np.testing.assert_array_equal(mixed.loss[[0, 4]], clean.loss[[0, 4]])


def test_an_infinite_weight_behind_a_silent_relu_is_found():
    start = np.zeros((1, 13), np.float32)
    start[0, 0], start[0, 4] = -np.inf, -1.0  # input weight and bias of the first unit; its input is never negative
    problem = jl.Problem(np.array([0.5, 1.0]), np.array([0.0, 0.0]))
    fits = jl.fit(NETWORK, problem, optax.sgd(0.1), fits=1, steps=3, start=start)
    assert np.isfinite(fits.loss[0])
    assert fits.status[0] == "diverged"
    assert fits.diverged_step[0] == 3


@pytest.mark.slow
def test_optimizers_that_need_the_loss_work():
    losses = _fit(optimizer=optax.lbfgs(), steps=10).loss
    assert (losses < _fit(steps=10).loss).all()


def test_optimizers_see_the_parameter_tree():

    def is_bias(params):
        return jax.tree.map(lambda leaf: leaf.ndim == 1, params)

    frozen = optax.chain(MOMENTUM, optax.masked(optax.set_to_zero(), is_bias))
    fits = _fit(optimizer=frozen, snapshots=(0,))
    biases = [name.split(".")[1].startswith("bias") for name in NETWORK.entry_names]
    np.testing.assert_array_equal(fits.params[:, biases], fits.snapshots[:, 0][:, biases])
    assert (fits.params[:, ~np.array(biases)] != fits.snapshots[:, 0][:, ~np.array(biases)]).any()


def test_an_equinox_module_is_a_network():
    eqx = pytest.importorskip("equinox")
    model = eqx.nn.MLP(1, 1, 4, 1, key=jax.random.key(0))
    _, static = eqx.partition(model, eqx.is_inexact_array)

    def init(key):
        return eqx.filter(eqx.nn.MLP(1, 1, 4, 1, key=key), eqx.is_inexact_array)

    network = jl.Network(init, lambda params, x: jax.vmap(eqx.combine(params, static))(x))
    fits = jl.fit(network, PROBLEM, MOMENTUM, fits=3, steps=50)
    assert fits.params.shape == (3, 13)
    assert (fits.loss < fits.initial_loss).all()


def test_config_hash_tells_configurations_apart():
    base = _fit()
    assert _fit().config_hash == base.config_hash
    for change in ({"steps": 31}, {"seed": 4}, {"optimizer": optax.sgd(0.06, momentum=0.9)}, {"dtype": "float64"}):
        assert _fit(**change).config_hash != base.config_hash
    doubled, tripled = (_fit(init_scale=lambda fits, by=by: np.full(len(fits), by)) for by in (2.0, 3.0))
    assert len({base.config_hash, doubled.config_hash, tripled.config_hash}) == 3


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"fits": 0}, ValueError, "fits must be a positive integer"),
        ({"seed": None}, (TypeError, ValueError), "seed"),
        ({"optimizer": optax.sgd, "hyperparameters": {"learning_rate": np.ones((5, 2))}}, ValueError, "one number"),
        ({"steps": -1}, ValueError, "steps must be a positive integer"),
        ({"seed": -1}, ValueError, "seed must be an integer in"),
        ({"first": -1}, ValueError, "first must be"),
        ({"threads": 0}, ValueError, "threads must be"),
        ({"dtype": "float16"}, ValueError, "unknown dtype 'float16'"),
        ({"backend": "xlaa"}, ValueError, "Did you mean 'xla'"),
        ({"snapshots": (31,)}, ValueError, "snapshots must be steps between 0 and 30"),
        ({"trace_every": 0}, ValueError, "trace_every must be"),
        ({"hyperparameters": {"learning_rate": 0.1}}, TypeError, "a factory"),
        ({"optimizer": "adam"}, TypeError, "optimizer"),
        ({"start": np.zeros((5, 12))}, ValueError, r"start must have shape \(fits, 13\)"),
        ({"start": np.zeros((4, 13))}, ValueError, "describe 4 fits but 5 are asked"),
        ({"targets": np.zeros((5, 19, 1))}, ValueError, "20 inputs but 19 targets"),
        ({"targets": np.zeros((5, 20, 2))}, ValueError, "1 components"),
        ({"inputs": np.zeros((5, 20))}, ValueError, "inputs must have shape"),
        ({"inputs": lambda fits: np.zeros((len(fits), 20))}, ValueError, "inputs must have shape"),
        ({"targets": lambda fits: np.zeros((len(fits), 19, 1))}, ValueError, "20 inputs but 19 targets"),
        ({"start": lambda fits: np.zeros((2, 13))}, ValueError, "returned 2 rows"),
        ({"init_scale": np.ones(5), "start": np.zeros((4, 13))}, ValueError, "their lengths differ"),
    ],
)
def test_bad_arguments_are_refused_before_any_work(changes, error, message):
    with pytest.raises(error, match=message):
        _fit(**changes)


@pytest.mark.parametrize(
    ("network", "problem", "message"),
    [
        (jl.mlp([1, 4, 2]), PROBLEM, r"returns shape \(20, 2\).*y has shape \(20, 1\)"),
        (jl.mlp([2, 4, 1]), PROBLEM, "takes 2 inputs, but x has 1"),
        (jl.Network(NETWORK.init, lambda params, x: NETWORK.apply(params, x)[:, 0]), PROBLEM, "must return"),
        (NETWORK, jl.Problem(PROBLEM.x, PROBLEM.y, loss=lambda p, t: jnp.mean((p - t) ** 2)), "elementwise"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(network, problem, message):
    with pytest.raises(ValueError, match=message):
        jl.fit(network, problem, MOMENTUM, fits=2, steps=3)


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_any_elementwise_function_is_a_loss(backend):
    problem = jl.Problem(PROBLEM.x, PROBLEM.y, loss=lambda prediction, target: (prediction - target) ** 2)
    own = jl.fit(NETWORK, problem, MOMENTUM, fits=2, steps=20, seed=3, backend=backend)
    np.testing.assert_array_equal(own.params, _fit(fits=2, steps=20, backend=backend).params)


def test_per_fit_numbers_are_in_the_table():
    rates = np.array([0.01, 0.1])
    table = _fit(fits=2, optimizer=optax.sgd, hyperparameters={"learning_rate": rates}).table
    assert table["learning_rate"].tolist() == rates.tolist()


def test_full_precision_products():
    """A float32 product must not pass through TF32 or bfloat16, on any device."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 256, 256))
    with jl.training.numerics(np.dtype(np.float32)):
        product = jax.jit(jnp.matmul)(jnp.asarray(a, jnp.float32), jnp.asarray(b, jnp.float32))
    assert np.abs(np.asarray(product) - a @ b).max() < 1e-6 * 256 * np.abs(a).max() * np.abs(b).max()


def test_a_network_that_does_not_use_its_parameters_is_warned_of():
    network = jl.Network(lambda key: jax.random.normal(key, (1, 1)), lambda params, x: 2 * x)
    with pytest.warns(UserWarning, match="does not depend on its parameters"):
        jl.fit(network, jl.Problem(np.arange(3.0), np.arange(3.0)), optax.sgd(0.1), fits=2, steps=1)
