"""Mini-batches: their order against a loop of Python's own integers, and training against a loop of NumPy's."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

import jaxland as jl
from jaxland.training import Ensemble, batches, choose_backend, train

pytestmark = pytest.mark.sampled

N, B = 10, 4
_RNG = np.random.default_rng(0)
X, Y = _RNG.normal(size=(N, 3)), _RNG.normal(size=(N, 2))
WEIGHTS = _RNG.uniform(0.1, 2, N)
LINEAR = jl.mlp([3, 2])
RATE, STEPS, FITS = 0.1, 7, 5
START = _RNG.normal(size=(FITS, LINEAR.size))


def _word(key, place, epoch):
    """Of Threefry-2x32 as JAX has it, which nothing here was written from."""
    words = jax.extend.random.threefry_2x32(jnp.asarray(key), jnp.array([place // 2, epoch], jnp.uint32))
    return int(words[place % 2])


def _key(fit, seed=0):
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), fit), batches.ORDER)
    return jax.random.key_data(key)


def _order(key, epoch, points=N):
    """The shuffle of Fisher and Yates, one exchange after the other."""
    order = list(range(points))
    for place in range(points):
        other = place + _word(key, place, epoch) * (points - place) // 2**32
        order[place], order[other] = order[other], order[place]
    return order


def _batch(fit, step, replacement=False):
    if replacement:
        return [_word(_key(fit), place, step) * N // 2**32 for place in range(B)]
    epoch, number = divmod(step, 3)
    return _order(_key(fit), epoch)[number * B : (number + 1) * B]


@pytest.fixture(scope="module", autouse=True)
def _with_extend():
    import jax.extend.random  # noqa: F401


def test_words_and_keys_are_those_of_jax():
    keys = batches.fold_in(batches.key_of(7), np.arange(3))
    expected = [jax.random.key_data(jax.random.fold_in(jax.random.key(7), fit)) for fit in range(3)]
    np.testing.assert_array_equal(keys, expected)
    found = batches.words(keys, 5, np.arange(9))
    np.testing.assert_array_equal(found, [[_word(key, place, 5) for place in range(9)] for key in expected])


def test_products_of_words_are_cut_where_they_should_be():
    a, b = np.random.default_rng(1).integers(0, 2**32, (2, 1000), dtype=np.uint32)
    np.testing.assert_array_equal(batches.upper_half(a, b), (a.astype(np.uint64) * b) >> 32)
    assert batches.upper_half(np.uint32(2**32 - 1), np.uint32(2**32 - 1)) == 2**32 - 2


def test_orders_are_those_of_the_loop():
    keys = batches.fold_in(batches.fold_in(batches.key_of(0), np.arange(FITS)), batches.ORDER)
    for epoch in (0, 3):
        expected = [_order(_key(fit), epoch) for fit in range(FITS)]
        np.testing.assert_array_equal(batches.order_of(keys, epoch, N), expected)


@pytest.mark.parametrize(("fits", "points"), [(1, 1), (40, 2), (40, 3), (3, 5000)])
def test_orders_of_many_points_are_those_of_the_loop(fits, points, monkeypatch):
    monkeypatch.setattr(batches, "_ENTRIES", 2 * points)
    keys, places = batches.fold_in(batches.key_of(5), np.arange(fits)), np.arange(points)
    drawn = places + (batches.words(keys, 1, places).astype(np.uint64) * (points - places).astype(np.uint64) >> 32)
    found = batches.order_of(keys, 1, points)
    assert found.dtype == np.int32
    for others, order in zip(drawn.astype(int).tolist(), found.tolist(), strict=True):
        expected = list(range(points))
        for place, other in enumerate(others):
            expected[place], expected[other] = expected[other], expected[place]
        assert order == expected


def _chi_square(orders):
    _, counts = np.unique(orders, axis=0, return_counts=True)
    return stats.chisquare(np.pad(counts, (0, 24 - len(counts)))).pvalue


def test_all_orders_are_as_likely():
    keys = batches.fold_in(batches.fold_in(batches.key_of(1), np.arange(24_000)), batches.ORDER)
    assert _chi_square(batches.order_of(keys, 2, 4)) > 0.001
    # The shuffle that is often written instead: each place is exchanged with any other.
    drawn = batches.upper_half(batches.words(keys, 2, np.arange(4)), np.uint32(4))
    naive = np.tile(np.arange(4), (len(keys), 1))
    for place in range(4):
        rows, other = np.arange(len(keys)), drawn[:, place]
        naive[rows, place], naive[rows, other] = naive[rows, other], naive[rows, place].copy()
    assert _chi_square(naive) < 1e-6


def _gradient(vector, x, y, weights):
    """Of the weighted mean of squared errors of W x + b, by hand."""
    weight, bias = (np.asarray(part) for part in LINEAR.unflatten(vector)[0])
    error = x @ weight.T + bias - y
    outer = 2 * error * weights[:, None] / error.size
    return np.mean(error**2 * weights[:, None]), np.concatenate([(outer.T @ x).ravel(), outer.sum(axis=0)])


def _descent(fit, weights, replacement):
    """Losses of batches, and the parameters after all steps."""
    vector, losses, factors = START[fit], [], weights / weights.mean()
    for step in range(STEPS):
        taken = _batch(fit, step, replacement)
        loss, slope = _gradient(vector, X[taken], Y[taken], factors[taken])
        losses.append(loss)
        vector = vector - RATE * slope
    return losses, vector


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_training_is_that_of_the_loop(backend, replacement, weights):
    """Seven steps of batches of 4 of 10 points: the third of an epoch has two."""
    problem = jl.Problem(X, Y, weights=weights)
    given = {"batch_size": B, "replacement": replacement, "trace_every": 1, "start": START, "dtype": "float64"}
    fits = jl.fit(LINEAR, problem, optax.sgd(RATE), fits=FITS, steps=STEPS, backend=backend, **given)
    factors = np.ones(N) if weights is None else weights
    for fit in range(FITS):
        losses, vector = _descent(fit, factors, replacement)
        np.testing.assert_allclose(fits.params[fit], vector, rtol=1e-12)
        np.testing.assert_allclose(fits.trace[fit, :STEPS], losses, rtol=1e-12)
        first, last = (_gradient(v, X, Y, factors / factors.mean())[0] for v in (START[fit], vector))
        np.testing.assert_allclose(fits.initial_loss[fit], first, rtol=1e-12)
        np.testing.assert_allclose([fits.loss[fit], fits.trace[fit, -1]], last, rtol=1e-12)
        assert (fits.best_loss[fit], fits.best_step[fit]) == (
            min(fits.trace[fit, :-1]),
            np.argmin(fits.trace[fit, :-1]),
        )


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize("own", ["inputs", "weights"])
def test_points_of_each_fit_are_its_own(backend, own):
    """The rows that all fits share, given to each as its own, are the same rows."""
    given = {"fits": 3, "steps": 5, "batch_size": B, "backend": backend, "dtype": "float64"}
    network, shared = jl.mlp([3, 2, 2], "tanh"), jl.Problem(X, Y, weights=WEIGHTS)
    apart = {"inputs": {"inputs": np.tile(X, (3, 1, 1)), "targets": np.tile(Y, (3, 1, 1))}}
    apart["weights"] = {"weights": np.tile(WEIGHTS, (3, 1))}
    fits = [jl.fit(network, shared, optax.adam(0.1), **given, **more) for more in ({}, apart[own])]
    np.testing.assert_allclose(fits[0].params, fits[1].params, rtol=1e-12)


WIDE = jl.mlp([20, 40, 3])


@pytest.mark.slow
@pytest.mark.parametrize("network", [jl.mlp([20, 3, 3]), WIDE], ids=["straight", "loops"])
@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])
def test_lanes_agrees_with_xla_where_rows_are_transposed(network, dtype):
    """More inputs than lanes; 33 points leave one for the last batch."""
    rng = np.random.default_rng(2)
    problem = jl.Problem(rng.normal(size=(33, 20)), rng.integers(0, 3, 33), loss="softmax_cross_entropy")
    given = {"fits": 3, "steps": 12, "batch_size": 8, "dtype": dtype}
    lanes, xla = (jl.fit(network, problem, optax.sgd(0.1), backend=b, **given) for b in ("lanes", "xla"))
    np.testing.assert_allclose(lanes.params, xla.params, rtol=1e-4, atol=1e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_bits_do_not_depend_on_what_else_is_trained(backend):
    ensemble = Ensemble(jl.mlp([3, 4, 2], "tanh"), jl.Problem(X, Y), optax.adam(0.01), steps=20, batch_size=3)
    trainer = choose_backend(ensemble, backend).trainer
    everything, _ = train(trainer, ensemble, 0, 40, threads=2)
    some, _ = train(trainer, ensemble, 17, 5, threads=1)
    for whole, part in zip(everything, some, strict=True):
        assert whole[17:22].tobytes() == part.tobytes()


def test_lanes_takes_batches_by_default():
    ensemble = Ensemble(LINEAR, jl.Problem(X, Y), optax.sgd(0.1), steps=2, batch_size=3)
    assert choose_backend(ensemble).explanation.startswith("lanes")


def test_epochs_are_passes_over_the_points():
    ensemble = Ensemble(LINEAR, jl.Problem(X, Y), optax.sgd(0.1), epochs=4, batch_size=3)
    assert (ensemble.steps, ensemble.steps_an_epoch) == (16, 4)
    assert Ensemble(LINEAR, jl.Problem(X, Y), optax.sgd(0.1), epochs=4).steps == 4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 11}, "batch_size=11 is more than the 10 points"),
        ({"batch_size": 0}, "batch_size must be a positive integer; got 0"),
        ({"replacement": True}, "give batch_size"),
        ({"epochs": 3}, "steps or epochs, not both"),
        ({"steps": 0}, "steps must be a positive integer; got 0"),
        ({"steps": 0, "epochs": 0}, "epochs must be a positive integer; got 0"),
        ({"weights": np.ones((2, 9))}, r"weights must have shape \(fits, 10\)"),
        ({"weights": -np.ones((2, 10))}, "not negative"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(ValueError, match=message):
        jl.fit(LINEAR, jl.Problem(X, Y), optax.sgd(0.1), fits=2, **{"steps": 3, **given})


def _drop(params, x, key):
    """A linear network, half of whose inputs are taken away where there is a key."""
    kept = jnp.ones_like(x) if key is None else 2.0 * jax.random.bernoulli(key, 0.5, x.shape)
    return (x * kept.astype(x.dtype)) @ params["w"]


NOISY = jl.Network(lambda key: {"w": jax.random.normal(key, (3, 2))}, _drop, takes_key=True)


def test_noise_is_that_of_the_fit_and_the_step():
    problem, start = jl.Problem(X, Y), np.ones((2, 6))
    fits = jl.fit(NOISY, problem, optax.sgd(RATE), fits=2, steps=3, start=start, dtype="float64", trace_every=1)
    assert "takes a key" in fits.explanation
    for fit in range(2):
        weight = np.ones((3, 2))
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), fit), batches.NOISE)
        for step in range(3):
            with jax.enable_x64(True):  # in which the fits are trained, and which draws other bits
                kept = 2.0 * np.asarray(jax.random.bernoulli(jax.random.fold_in(key, step), 0.5, X.shape))
            error = (X * kept) @ weight - Y
            assert fits.trace[fit, step] == pytest.approx(np.mean(error**2), rel=1e-12)
            weight = weight - RATE * 2 * (X * kept).T @ error / error.size
        np.testing.assert_allclose(fits.params[fit], weight.ravel(), rtol=1e-12)
        # At the end, as everywhere else, there is no noise.
        assert fits.loss[fit] == pytest.approx(np.mean((X @ weight - Y) ** 2), rel=1e-12)


@pytest.mark.parametrize(
    ("apply", "takes_key", "message"),
    [
        (_drop, False, r"apply takes 3 arguments, and is given 2\. One that takes a key .* takes_key=True"),
        (lambda params, x: x, True, "apply takes 2 arguments, and is given 3: parameters, points and a key"),
        (lambda params: params, False, "apply takes 1 arguments, and is given 2: parameters, points"),
    ],
)
def test_a_key_is_asked_for_and_given(apply, takes_key, message):
    with pytest.raises(TypeError, match=message):
        jl.Network(NOISY.init, apply, takes_key=takes_key)


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_sums_of_the_batches_of_an_epoch_are_the_sum(backend):
    problem = jl.Problem(X, Y, loss="sum_squared_error")
    fits = jl.fit(
        LINEAR, problem, optax.sgd(0.0), fits=3, steps=3, batch_size=B, trace_every=1, dtype="float64", backend=backend
    )
    np.testing.assert_allclose(fits.trace[:, :3].sum(axis=1), fits.loss, rtol=1e-12)


def test_noisy_networks_predict_without_noise():
    fits = jl.fit(NOISY, jl.Problem(X, Y), optax.sgd(0.1), fits=3, steps=2)
    np.testing.assert_allclose(fits.outputs(X, transform=jnp.exp), np.exp(fits.outputs(X)), rtol=1e-6)
