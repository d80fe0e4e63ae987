"""Losses, weights and penalties against the libraries that have them, and against minima that are known."""

import itertools

import jax
import numpy as np
import optax
import pytest
from scipy import special, stats
from sklearn.linear_model import ElasticNet, Ridge
from sklearn.metrics import log_loss, mean_pinball_loss, mean_squared_error

import jaxland as jl
from jaxland.problems import LOSSES, Loss, Penalty, get_loss, l1, l2
from jaxland.training import Ensemble, choose_backend, gradients

pytestmark = pytest.mark.sampled

_RNG = np.random.default_rng(0)
Z, T = _RNG.normal(size=(2, 30, 4))
LABELS = _RNG.integers(0, 4, 30)
ONE_HOT = np.eye(4)[LABELS]
SHARES = special.softmax(_RNG.normal(size=(30, 4)), axis=1)
BITS, COUNTS = (_RNG.uniform(size=(30, 4)) < 0.3) * 1.0, _RNG.poisson(2, (30, 4)) * 1.0
WEIGHTS = _RNG.uniform(0, 3, 30)
_PROBABILITIES = special.softmax(Z, axis=1)


def _log_loss(weights=None):
    return log_loss(LABELS, _PROBABILITIES, sample_weight=weights, labels=range(4))


_CASES = {
    "huber": (Z, T, {"delta": 0.7}, np.mean(special.huber(0.7, Z - T))),
    "quantile": (Z, T, {"level": 0.2}, mean_pinball_loss(T.ravel(), Z.ravel(), alpha=0.2)),
    "poisson": (Z, COUNTS, {}, -np.mean(stats.poisson.logpmf(COUNTS, np.exp(Z)) + special.gammaln(COUNTS + 1))),
    "binary_cross_entropy": (Z, BITS, {}, log_loss(BITS.ravel(), special.expit(Z).ravel())),
    "softmax_cross_entropy": (Z, ONE_HOT, {}, _log_loss()),
    "gaussian_nll": (
        Z, T[:, :2], {}, -np.mean(stats.norm.logpdf(T[:, :2], Z[:, :2], np.exp(Z[:, 2:] / 2)).sum(axis=1))
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _CASES)
def test_losses(name):
    prediction, target, numbers, expected = _CASES[name]
    with jax.enable_x64(True):
        assert float(get_loss(name)(prediction, target, None, numbers)) == pytest.approx(expected, rel=1e-12)


def test_all_losses_are_tested():
    plain = {name for name in LOSSES if name.endswith(("squared_error", "absolute_error"))}
    assert set(_CASES) | plain == set(LOSSES)


def test_labels_are_as_good_as_shares():
    loss = get_loss("softmax_cross_entropy")
    with jax.enable_x64(True):
        assert float(loss(Z, LABELS[:, None].astype(float))) == pytest.approx(_log_loss(), rel=1e-12)
        mixed = -np.mean((SHARES * np.log(_PROBABILITIES)).sum(axis=1))
        assert float(loss(Z, SHARES)) == pytest.approx(mixed, rel=1e-12)


def test_weights_are_those_of_scikit_learn():
    squares, entropy = get_loss("mean_squared_error"), get_loss("softmax_cross_entropy")
    with jax.enable_x64(True):
        for loss, target, expected in (
            (squares, T, mean_squared_error(T, Z, sample_weight=WEIGHTS)),
            (entropy, ONE_HOT, _log_loss(WEIGHTS)),
        ):
            assert float(loss(Z, target, loss.normalized(WEIGHTS))) == pytest.approx(expected, rel=1e-12)
        total = get_loss("sum_squared_error")
        assert float(total(Z, T, total.normalized(WEIGHTS))) == pytest.approx(((Z - T) ** 2).sum(axis=1) @ WEIGHTS)


X = _RNG.normal(size=(30, 3))
LINE = jl.mlp([3, 1])


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_the_minimum_of_each_level_is_its_quantile(backend):
    """A network that is a number, a level for each fit: the empirical quantile is where the loss is smallest."""
    y = _RNG.normal(size=21)
    number = jl.Network(lambda key: {"b": jax.random.normal(key, (1,))}, lambda p, x: p["b"][None] + 0 * x[:, :1])
    levels = np.array([0.1, 0.25, 0.6, 0.9])
    fits = jl.fit(
        number, jl.Problem(np.arange(21.0), y, loss="quantile"), optax.sgd, fits=4, steps=2000, backend=backend,
        hyperparameters={"learning_rate": 2e-2, "level": levels}, dtype="float64",
    )  # fmt: skip
    expected = np.quantile(y, levels, method="inverted_cdf")
    np.testing.assert_allclose(fits.params[:, 0], expected, atol=0.05)
    wrong = np.quantile(y, levels[::-1], method="inverted_cdf")
    assert (np.abs(fits.params[:, 0] - wrong) > 0.1).all()


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize("batch_size", [None, 30])
def test_a_penalty_of_each_fit_is_its_ridge(backend, batch_size):
    """With strengths of their own, and weights of points: the coefficients of scikit-learn's ridge regression."""
    y, strengths = X @ [1.0, -2.0, 0.5] + 0.3, np.array([0.0, 0.1, 3.0])
    problem = jl.Problem(X, y, weights=WEIGHTS, penalty=l2())
    fits = jl.fit(
        LINE, problem, optax.sgd, fits=3, steps=1500, backend=backend, dtype="float64", batch_size=batch_size,
        hyperparameters={"learning_rate": 0.05, "l2": strengths},
    )  # fmt: skip
    for fit, strength in enumerate(strengths):
        ridge = Ridge(alpha=strength * WEIGHTS.sum()).fit(X, y, sample_weight=WEIGHTS)
        np.testing.assert_allclose(fits.params[fit], [*ridge.coef_, ridge.intercept_], rtol=1e-6)
        data = mean_squared_error(y, ridge.predict(X), sample_weight=WEIGHTS)
        assert fits.loss[fit] == pytest.approx(data + strength * (ridge.coef_**2).sum(), rel=1e-6)


def test_several_penalties_are_an_elastic_net():
    y = X @ [1.0, -2.0, 0.0] + 0.3
    problem = jl.Problem(X, y, loss="half_mean_squared_error", penalty=[l1(0.1), l2(0.05)])
    fits = jl.fit(LINE, problem, optax.sgd(0.01), fits=2, steps=4000, dtype="float64")
    net = ElasticNet(alpha=0.2, l1_ratio=0.5, tol=1e-12, max_iter=10**5).fit(X, y)
    np.testing.assert_allclose(fits.params[0], [*net.coef_, net.intercept_], atol=2e-3)


_NETWORKS = {"straight": jl.mlp([3, 3, 4]), "loops": jl.mlp([3, 48, 4])}
# The others are slow tests.
_FIRST = {("labels", "straight", 8), ("labels", "loops", 8), ("own", "straight", None), ("own", "loops", 8)}
_FIRST |= {(case, "straight", 8) for case in ("gaussian_nll", "quantile", "binary_cross_entropy")}


@pytest.mark.parametrize(
    ("case", "network", "batch_size"),
    [
        pytest.param(*each, marks=() if each in _FIRST else pytest.mark.slow)
        for each in itertools.product([*_CASES, "labels", "own"], _NETWORKS, [None, 8])
    ],
)
def test_lanes_agrees_with_xla(network, case, batch_size):
    """With weights, penalties and numbers of each fit's own."""
    network = _NETWORKS[network]
    _, target, numbers, _ = _CASES.get(case, (Z, LABELS, {}, 0))
    loss = {"labels": "softmax_cross_entropy", "own": None}.get(case, case)
    if loss is None:
        target, numbers = T, {"power": 1.5}
        loss = Loss("own", lambda p, t, power: jax.numpy.abs(p - t) ** power, numbers={"power": 2.0})
    problem = jl.Problem(X, target, loss=loss, weights=WEIGHTS, penalty=[l2(0.1), Penalty("first", _first, {"c": 0.2})])
    rates = {"learning_rate": 0.01, **{name: value * np.ones(3) for name, value in numbers.items()}, "c": np.arange(3)}
    given = {"fits": 3, "steps": 6, "batch_size": batch_size, "dtype": "float64", "hyperparameters": rates}
    lanes, xla = (jl.fit(network, problem, optax.sgd, backend=b, **given) for b in ("lanes", "xla"))
    np.testing.assert_allclose(lanes.params, xla.params, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(lanes.loss, xla.loss, rtol=1e-12)


def _first(params, c):
    return c * jax.numpy.sum(params[0].weight ** 4)


def test_objectives_and_gradients_have_weights_and_penalties():
    y = X @ [1.0, -2.0, 0.5]
    problem = jl.Problem(X, y, weights=WEIGHTS, penalty=l2(0.1))
    params = _RNG.normal(size=(2, 4))
    losses, slopes = gradients(LINE, problem)(params)
    with jax.enable_x64(True):
        objective = problem.objective(LINE)
        expected = [jax.value_and_grad(objective)(vector) for vector in params]
        for loss, slope, (value, gradient) in zip(losses, slopes, expected, strict=True):
            assert loss == pytest.approx(float(value), rel=1e-12)
            np.testing.assert_allclose(slope, gradient, rtol=1e-9)
        by_hand = mean_squared_error(y, X @ params[0, :3] + params[0, 3], sample_weight=WEIGHTS)
        assert losses[0] == pytest.approx(by_hand + 0.1 * (params[0, :3] ** 2).sum(), rel=1e-12)
        stronger = problem.objective(LINE, l2=0.2)(params[0])
        assert float(stronger) == pytest.approx(by_hand + 0.2 * (params[0, :3] ** 2).sum(), rel=1e-12)
    with pytest.raises(ValueError, match="unknown number of the loss 'l3'"):
        problem.objective(LINE, l3=0.2)


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "message"),
    [
        ("softmax_cross_entropy", [0, 1, 4], 4, "y has the label 4, where 4 outputs are of the classes 0 to 3"),
        ("softmax_cross_entropy", [0, 1, 0.5], 4, "y has the label 0.5"),
        ("softmax_cross_entropy", np.full((3, 4), 0.5), 4, "no distribution over classes: its sum is 2"),
        ("softmax_cross_entropy", np.full((3, 2), 0.5), 4, "takes targets .points, outputs, or one component"),
        ("binary_cross_entropy", [0, 1, 2], 1, "y has 2, which is no probability"),
        ("poisson", [0, 1, -2], 1, "y has -2; counts are not negative"),
        ("gaussian_nll", [0, 1, 2], 1, "takes targets .points, outputs/2"),
    ],
)
def test_targets_that_have_no_meaning(loss, y, outputs, message):
    with pytest.raises(ValueError, match=message):
        Ensemble(jl.mlp([1, outputs]), jl.Problem(np.arange(3.0), np.array(y), loss=loss), optax.sgd(0.1), steps=1)


@pytest.mark.parametrize(
    ("weights", "message"),
    [(np.ones(29), "one for each of the 30 points"), (-np.ones(30), "not negative"), (np.zeros(30), "above zero")],
)
def test_bad_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        jl.Problem(X, X, weights=weights)


def test_numbers_have_one_meaning():
    with pytest.raises(TypeError, match="both take a number 'delta'"):
        jl.Problem(X, X, loss="huber", penalty=Penalty("p", lambda params, delta: delta, {"delta": 1.0}))
    problem = jl.Problem(X, X[:, :1], penalty=Penalty("p", lambda params, momentum: momentum, {"momentum": 1.0}))
    with pytest.raises(TypeError, match="of the optimizer and of the loss or a penalty"):
        Ensemble(LINE, problem, optax.sgd, steps=1, hyperparameters={"learning_rate": 0.1, "momentum": 0.9})


def test_a_number_that_nothing_takes_is_named_with_the_near_ones():
    with pytest.raises(TypeError, match=r"takes no 'lr'\. Did you mean 'learning_rate'"):
        Ensemble(LINE, jl.Problem(X, X[:, :1]), optax.sgd, steps=1, hyperparameters={"lr": 0.1})


def test_gpus_and_tpus_say_what_they_lack():
    problem = jl.Problem(X, X[:, :1], penalty=l2(0.1))
    ensemble = Ensemble(LINE, problem, optax.sgd(0.1), steps=1)
    with pytest.raises(NotImplementedError, match="tpu has no kernels for penalties"):
        choose_backend(ensemble, "tpu")
