"""Networks x optimizers x dtypes: lanes against NumPy loops in float64, against xla, and against finite differences.

Training is chaotic, so agreement is asked for over a few steps: errors of one step are some units in the last place,
and grow from step to step by a factor that is moderate in these examples.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import reference

import jaxland as jl
from jaxland.training import Ensemble, Unlowerable, choose_backend, train
from jaxland.training.xla import XlaTrainer

pytestmark = pytest.mark.sampled

STEPS = 8
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}
OPTIMIZERS = {
    "sgd": optax.sgd(0.05),
    "momentum": optax.sgd(0.02, momentum=0.9),
    "nesterov": optax.sgd(0.02, momentum=0.9, nesterov=True),
    "adam": optax.adam(0.01),
    "adamw": optax.adamw(0.01, weight_decay=0.1),
    "adadelta": optax.adadelta(1.0, rho=0.9, eps=1e-6),
    "adagrad": optax.adagrad(0.1),
    "rmsprop": optax.rmsprop(0.01),
    "lion": optax.lion(0.01),
    "chain": optax.chain(
        optax.clip(0.1),
        optax.add_decayed_weights(1e-2),
        optax.sgd(optax.exponential_decay(0.1, 10, 0.5), momentum=0.9),
    ),
}
NETWORKS = {
    "deep": ((2, 3, 3, 2), "tanh"),
    "relu": ((1, 4, 3, 1), "relu"),
    "sigmoid": ((1, 3, 1), "sigmoid"),
    "softplus": ((2, 3, 1), "softplus"),
    "sin": ((1, 3, 2), "sin"),
    "linear": ((3, 2), "identity"),
}


_BOTH_FORMATS = {"relu"}


def problem_for(widths, points=7):
    rng = np.random.default_rng(3)
    return jl.Problem(rng.uniform(-1, 1, (points, widths[0])), rng.uniform(-1, 1, (points, widths[-1])))


def ensemble_of(network, optimizer, dtype, **kwargs):
    widths, activation = NETWORKS[network]
    arguments = {"steps": STEPS, "trace_every": 1, **kwargs}
    return Ensemble(jl.mlp(widths, activation), problem_for(widths), optimizer, dtype=dtype, **arguments)


def cases():
    """All optimizers and all networks in both formats; some of each where there is little time."""
    for dtype in ("float32", "float64"):
        for optimizer in OPTIMIZERS:
            rest = optimizer not in ("momentum", "chain" if dtype == "float64" else "adam")
            yield pytest.param("deep", optimizer, dtype, marks=pytest.mark.slow if rest else ())
        for network in NETWORKS:
            if network != "deep":
                slow = dtype == "float32" and network not in _BOTH_FORMATS
                yield pytest.param(network, "momentum", dtype, marks=pytest.mark.slow if slow else ())


@pytest.mark.parametrize(("network", "optimizer", "dtype"), list(cases()))
def test_lanes_agrees_with_numpy_and_with_xla(network, optimizer, dtype, make_trainer):
    ensemble = ensemble_of(network, OPTIMIZERS[optimizer], dtype, snapshots=(0,))
    lanes, started = train(make_trainer(ensemble), ensemble, 0, 3)
    xla, _ = train(XlaTrainer(ensemble), ensemble, 0, 3)
    # Schedules are computed in float32 by optax, whatever the dtype of the parameters.
    tolerance = 2e-7 if (optimizer, dtype) == ("chain", "float64") else TOLERANCE[dtype]
    widths, activation = NETWORKS[network]
    problem = ensemble.problem
    for fit in range(3):
        start = started[fit, 0]
        losses, params = reference.train(start, widths, activation, optimizer, problem.x, problem.y, STEPS)
        np.testing.assert_allclose(lanes.trace[fit], losses, rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(lanes.params[fit], params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(lanes.params, xla.params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(lanes.best_loss, xla.best_loss, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(lanes.initial_loss, xla.initial_loss, rtol=tolerance)
    np.testing.assert_allclose(lanes.loss, xla.loss, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(lanes.best_step, np.argmin(lanes.trace, axis=1))
    np.testing.assert_array_equal(lanes.diverged_step, -1)


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_those_of_finite_differences(network, make_trainer):
    ensemble = ensemble_of(network, optax.sgd(1.0), "float64", steps=1, snapshots=(0,))
    result, started = train(make_trainer(ensemble), ensemble, 0, 1)
    start, gradient = started[0, 0], started[0, 0] - result.params[0]
    loss, x, y = ensemble.problem.loss, ensemble.problem.x, ensemble.problem.y

    def value(vector):
        with jax.enable_x64(True):
            return float(loss(ensemble.network.apply_flat(jnp.asarray(vector), jnp.asarray(x)), jnp.asarray(y)))

    step = 1e-6
    for entry in range(len(start)):
        shift = step * np.eye(len(start))[entry]
        difference = (value(start + shift) - value(start - shift)) / (2 * step)
        np.testing.assert_allclose(gradient[entry], difference, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.01)), id="global-norm"),
        pytest.param(optax.adam(optax.cosine_decay_schedule(0.01, 40)), id="cosine"),
        pytest.param(
            optax.masked(optax.sgd(0.1), lambda params: jax.tree.map(lambda leaf: leaf.ndim > 1, params)), id="masked"
        ),
        pytest.param(optax.apply_if_finite(optax.adam(0.01), 3), id="if-finite"),
        pytest.param(optax.MultiSteps(optax.adam(0.01), 3).gradient_transformation(), id="multi-steps"),
        pytest.param(optax.inject_hyperparams(optax.adam)(learning_rate=0.01), id="inject"),
        *(
            pytest.param(optimizer, id=name, marks=pytest.mark.slow)
            for name, optimizer in {
                "amsgrad": optax.amsgrad(0.01),
                "adan": optax.adan(0.01),
                "sm3": optax.sm3(0.01),
                "lamb": optax.lamb(0.01),
            }.items()
        ),
    ],
)
@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
def test_other_optimizers_agree_with_xla(optimizer, dtype, make_trainer):
    ensemble = ensemble_of("deep", optimizer, dtype, steps=5)
    lanes, _ = train(make_trainer(ensemble), ensemble, 0, 4)
    xla, _ = train(XlaTrainer(ensemble), ensemble, 0, 4)
    np.testing.assert_allclose(lanes.params, xla.params, rtol=2e-5, atol=2e-6)


def test_each_fit_has_its_own_numbers_and_data(make_trainer):
    rng = np.random.default_rng(5)
    ensemble = ensemble_of(
        "deep",
        optax.adam,
        "float32",
        hyperparameters={"learning_rate": np.geomspace(1e-3, 1e-1, 20), "b1": 0.8},
        init_scale=np.linspace(0.5, 2, 20),
        inputs=rng.normal(size=(20, 9, 2)),
        targets=rng.normal(size=(20, 9, 2)),
        snapshots=(0, 3, 8),
    )
    lanes, kept = train(make_trainer(ensemble), ensemble, 0, 20)
    xla, expected = train(XlaTrainer(ensemble), ensemble, 0, 20)
    np.testing.assert_allclose(kept, expected, rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(lanes.trace, xla.trace, rtol=2e-5)


@pytest.mark.slow
def test_more_kinds_of_network_agree_with_xla(make_trainer):
    def apply(params, x):
        h = jax.nn.elu(x @ params["a"])[:, jnp.array([2, 0, 1])]
        h = jax.lax.scan(lambda h, _: (jax.nn.gelu(h, approximate=False), None), h, None, length=2)[0]
        h = jnp.stack([h, jnp.tanh(h)], axis=1).sum(axis=1)
        h = jnp.concatenate([jax.nn.softmax(h), jnp.cumsum(h, axis=1), jnp.abs(h) ** 1.5], axis=1)
        return h.at[:, 0].set(1.0) @ params["b"]

    def init(key):
        return {"a": jax.random.normal(key, (2, 3)), "b": jax.random.normal(key, (9, 2))}

    ensemble = Ensemble(jl.Network(init, apply), problem_for((2, 2)), optax.sgd(0.01), steps=5)
    lanes, _ = train(make_trainer(ensemble), ensemble, 0, 4)
    xla, _ = train(XlaTrainer(ensemble), ensemble, 0, 4)
    np.testing.assert_allclose(lanes.params, xla.params, rtol=2e-5, atol=2e-6)


def _network(apply):
    return jl.Network(lambda key: jax.random.normal(key, (1, 1)), apply)


# Of 3,600 parameters, and without loops.
_RUNNING = jl.Network(
    lambda key: jax.random.normal(key, (60, 60)), lambda w, x: jnp.cumsum(x @ jnp.ones((1, 60)) @ w, 1)[:, -1:]
)


@pytest.mark.parametrize(
    ("network", "optimizer", "message"),
    [
        (_network(lambda w, x: jnp.sort(x @ w, axis=1)), optax.sgd(0.1), "primitive `sort`"),
        (_network(lambda w, x: x @ w - jnp.mean(x @ w)), optax.sgd(0.1), "couples points"),
        (jl.mlp([1, 1]), optax.lbfgs(), "line search"),
        (_RUNNING, optax.sgd(0.1), "lines of straight code"),
        (_RUNNING, optax.sgd(0.1), "primitive `cumsum`"),
    ],
)
def test_what_cannot_be_lowered_goes_to_xla_and_says_why(network, optimizer, message):
    ensemble = Ensemble(network, problem_for((1, 1)), optimizer, steps=1)
    choice = choose_backend(ensemble)
    assert choice.trainer.name == "xla"
    assert message in choice.explanation


def test_lanes_asked_for_but_impossible_is_an_error():
    ensemble = Ensemble(jl.mlp([1, 1]), problem_for((1, 1)), optax.lbfgs(), steps=1)
    with pytest.raises(Unlowerable, match="line search"):
        choose_backend(ensemble, "lanes")


def test_auto_takes_lanes_and_says_so():
    choice = choose_backend(ensemble_of("relu", optax.sgd(0.1), "float32"))
    assert choice.trainer.name == "lanes"
    assert choice.explanation.startswith("lanes: ")
