import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.landscape import (
    Plane,
    coordinate_plane,
    filter_directions,
    in_plane,
    losses_at,
    plane_losses,
    plane_through,
    random_plane,
    surface,
    trajectory_plane,
)
from jaxland.landscape.surfaces.partial import Partial

pytestmark = pytest.mark.sampled

RNG = np.random.default_rng(0)
X, Y = RNG.random((40, 6)), np.eye(3)[RNG.integers(3, size=40)]


def _sigmoid(bias=False):
    return jl.mlp([6, 8, 9, 3], "sigmoid", output_activation="sigmoid", bias=bias, init="standard_normal")


def _hand_written():
    """Everything an operation can do to what changes: joined, cut, summed, shared by two branches, looped over."""

    def init(key):
        a, b, c, d = jax.random.split(key, 4)
        return {
            "a": jax.random.normal(a, (6, 5)),
            "b": jax.random.normal(b, (5, 5)),
            "c": jax.random.normal(c, (9, 3)),
            "scale": jax.random.normal(d, ()),
        }

    def apply(params, x):
        h = jax.nn.gelu(x @ params["a"])
        h = h + jnp.tanh(h @ params["b"]) * params["scale"]
        h, _ = jax.lax.scan(lambda h, _: (0.5 * h + jnp.tanh(h @ params["b"]), None), h, None, length=2)
        h = jnp.concatenate([h[:, ::-1], jnp.maximum(h[:, :4], 0.1)], axis=1)
        h = h / jnp.sqrt(1 + jnp.sum(h**2, axis=1, keepdims=True))
        return jax.nn.softmax(jnp.einsum("nh,ho->on", h, params["c"]), axis=0).T

    return jl.Network(init, apply)


def _equinox():
    import equinox as eqx

    model = eqx.nn.MLP(6, 3, 7, 2, key=jax.random.key(0))
    _, static = eqx.partition(model, eqx.is_inexact_array)

    def init(key):
        return eqx.partition(eqx.nn.MLP(6, 3, 7, 2, key=key), eqx.is_inexact_array)[0]

    return jl.Network(init, lambda params, x: jax.vmap(eqx.combine(params, static))(x))


NETWORKS = {
    "sigmoid": _sigmoid(),
    "sigmoid with biases": _sigmoid(True),
    "relu": jl.mlp([6, 7, 7, 3]),
    "softplus": jl.mlp([6, 4, 3], "softplus"),
    "hand-written": _hand_written(),
    "equinox": _equinox(),
}


def _direct(objective, params):
    """One loss after another, nothing shared."""
    with jax.enable_x64(True):
        program = jax.jit(objective)
        return np.array([float(program(jnp.asarray(vector))) for vector in params])


def _params(network, seed=3):
    return np.random.default_rng(seed).normal(size=network.size)


@pytest.mark.parametrize("name", NETWORKS)
def test_slices_through_any_two_weights_equal_a_direct_evaluation(name):
    network = NETWORKS[name]
    objective, params = jl.Problem(X, Y, loss="mean_sum_squared_error").objective(network), _params(network)
    rng = np.random.default_rng(1)
    size = network.size
    pairs = [(0, 1), (size - 2, size - 1), *rng.choice(size, (2, 2), replace=False)]
    for pair in pairs:
        plane = coordinate_plane(params, (int(pair[0]), int(pair[1])))
        coordinates = rng.uniform(-9, 9, (6, 2))
        points = np.tile(params, (6, 1))
        points[:, list(pair)] = coordinates
        expected = _direct(objective, points)
        np.testing.assert_allclose(plane_losses(objective, plane, coordinates), expected, rtol=1e-11)


@pytest.mark.parametrize("name", NETWORKS)
def test_random_planes_equal_a_direct_evaluation(name):
    network = NETWORKS[name]
    objective, params = jl.Problem(X, Y).objective(network), _params(network)
    plane = random_plane(network, params, seed=5)
    found = surface(objective, plane, np.linspace(-1, 1, 7), np.linspace(-2, 1, 5))
    assert found.loss.shape == (5, 7)
    for row, column in [(0, 0), (4, 2), (1, 6), (3, 3)]:
        point = plane.points(np.array([found.a[column], found.b[row]]))
        assert found.loss[row, column] == pytest.approx(_direct(objective, point[None])[0], rel=1e-11)
    some = plane.points(np.array([[0.0, 0.0], [1.0, -1.0]]))
    np.testing.assert_allclose(losses_at(objective, some), _direct(objective, some), rtol=1e-12)


@pytest.mark.slow
def test_float32_agrees_to_a_millionth():
    network = NETWORKS["sigmoid"]
    objective = jl.Problem(X, Y, loss="mean_sum_squared_error").objective(network)
    plane = coordinate_plane(_params(network), ("2.weight[1,3]", "2.weight[1,4]"), network)
    grid = np.linspace(-15, 17, 9), np.linspace(-15, 18, 9)
    single, double = (surface(objective, plane, *grid, dtype=dtype).loss for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single, double, rtol=1e-6)
    assert (single != double).any()


@pytest.mark.parametrize(
    ("entries", "largest"),
    [
        # One output unit at each of 40 points; one hidden unit, and through it 3 outputs; two units of the first layer,
        # and through them 9 of the second.
        (("2.weight[1,3]", "2.weight[1,4]"), 40),
        (("1.weight[5,2]", "1.weight[5,6]"), 3 * 40),
        (("0.weight[2,0]", "0.weight[3,0]"), 9 * 40),
    ],
)
def test_only_what_changes_is_computed_again(entries, largest):
    network = NETWORKS["sigmoid"]
    objective = jl.Problem(X, Y).objective(network)
    free = np.sort([network.entry_names.index(entry) for entry in entries])
    with jax.enable_x64(True):
        vector = jnp.asarray(_params(network))
        closed = jax.make_jaxpr(objective)(vector)
        partial = Partial(closed, closed.consts, vector, free)
        assert partial.largest == largest
        work = jax.make_jaxpr(partial)(jnp.zeros(2))
        sizes = [variable.aval.size for equation in work.jaxpr.eqns for variable in equation.outvars]
    assert max(sizes) == largest


def test_what_is_infinite_at_the_origin_spoils_nothing_elsewhere():
    def objective(vector):
        return jnp.sum(jnp.exp(vector[:1] * jnp.ones(3)) * jnp.array([1.0, 2.0, 3.0])) + jnp.sum(vector[1:] ** 2)

    plane = Plane(np.array([1000.0, 2.0, 3.0]), np.eye(3)[:2])
    found = plane_losses(objective, plane, np.array([[-1000.0, 0.0], [0.0, 0.0], [-999.0, 1.0]]))
    np.testing.assert_allclose(found, [6 + 13, np.inf, 6 * np.e + 9 + 9])


def test_losses_that_are_not_finite_are_masked_and_counted():
    def objective(vector):
        return jnp.log(vector[0]) + jnp.where(vector[1] > 0.5, jnp.inf, vector[1])

    a, b = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([-1.0, 0.0, 1.0])
    found = surface(objective, Plane(np.zeros(2), np.eye(2)), a, b)
    assert found.masked == 8
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found.loss[:2], np.log(a) + b[:2, None], rtol=1e-12)
    assert np.isnan(found.loss[2]).all()


def test_the_5x5_ensemble_of_the_sawtooth_study(sawtooth_problem):
    network = sawtooth_problem.network
    objective = sawtooth_problem.objective(network)
    plane = random_plane(network, sawtooth_problem.minimum, biases="with unit")
    found = surface(objective, plane, np.linspace(-1, 1, 5), np.linspace(-1, 1, 5))
    assert found.loss[2, 2] < 1e-20
    assert (np.delete(found.loss.ravel(), 12) > 1e-6).all()
    corner = plane.points(np.array([-1.0, 1.0]))
    assert found.loss[-1, 0] == pytest.approx(_direct(objective, corner[None])[0], rel=1e-11)


@pytest.mark.slow
def test_planes_through_fits_and_trajectories_of_the_sawtooth(sawtooth_problem):
    network = sawtooth_problem.network
    objective = sawtooth_problem.objective(network)
    own = jl.mlp([1, 5, 5, 5, 5, 5, 1])
    fits = jl.fit(own, sawtooth_problem, optax.adam(0.01), fits=2, steps=100, snapshots=range(0, 101, 10))
    canonical = jl.symmetrise(own, fits.params.astype(np.float64)).params
    points = np.stack([sawtooth_problem.minimum, *canonical])
    through = plane_through(points)
    places = through.coordinates(points)
    np.testing.assert_allclose(plane_losses(objective, through, places), _direct(objective, points), atol=1e-12)
    found = surface(objective, through, np.linspace(0, places[1, 0], 4), np.linspace(0, places[2, 1], 3))
    assert found.loss[0, 0] < 1e-20
    assert found.loss[0, -1] == pytest.approx(fits.loss[0], rel=1e-4)
    trajectory = fits.snapshots[0].astype(np.float64)
    principal = trajectory_plane(trajectory)
    seen = in_plane(objective, principal.plane, trajectory)
    np.testing.assert_allclose(seen.loss, _direct(objective, trajectory), rtol=1e-10)
    assert 0.5 < principal.explained[:2].sum() <= 1


def test_planes_with_the_same_free_entries_share_a_program():
    network = NETWORKS["sigmoid"]
    compiled = []

    def objective(vector):
        compiled.append(1)
        return jnp.sum(network.apply_flat(vector, jnp.asarray(X, vector.dtype)))

    for seed in range(5):
        surface(objective, coordinate_plane(_params(network, seed), (3, 4)), np.arange(3.0), np.arange(3.0))
    assert len(compiled) == 1


def test_a_coordinate_plane_has_the_values_of_its_weights():
    network = NETWORKS["relu"]
    params = _params(network)
    plane = coordinate_plane(params, ("1.weight[2,5]", "0.bias[1]"), network)
    entries = [network.entry_names.index(name) for name in plane.labels]
    np.testing.assert_array_equal(plane.coordinates(params), params[entries])
    np.testing.assert_array_equal(plane.points(params[entries]), params)
    assert plane.distances(params) == 0


def _loop_over_filters(network, params, seed, with_unit):
    """Filter normalisation of an mlp written out, layer by layer and unit by unit."""
    drawn = np.random.default_rng(seed).standard_normal((2, network.size))
    for direction in drawn:
        own, layers = network.unflatten(params), network.unflatten(direction)
        for weights, layer in zip(own, layers, strict=True):
            for unit in range(len(layer.weight)):
                square, length = np.sum(weights.weight[unit] ** 2), np.sum(layer.weight[unit] ** 2)
                if with_unit:
                    square, length = square + weights.bias[unit] ** 2, length + layer.bias[unit] ** 2
                layer.weight[unit] *= np.sqrt(square / length)
                layer.bias[unit] *= np.sqrt(square / length) if with_unit else 0
    return drawn


@pytest.mark.parametrize("biases", ["fixed", "with unit"])
def test_filter_normalisation_equals_a_loop_over_filters(biases):
    network = jl.mlp([6, 7, 7, 3])
    params = _params(network)
    found = filter_directions(network, params, seed=9, biases=biases)
    expected = _loop_over_filters(network, params, 9, biases == "with unit")
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    # The scaling of a ReLU unit that changes nothing moves its filter's part of the direction along, if its bias is
    # in the filter: the loss along the direction stays the same.
    if biases == "with unit":
        scale = [np.exp(RNG.normal(size=7)) for _ in range(2)]
        scaled = network.spec.symmetry.transform(params, scales=scale)
        norms = [np.linalg.norm(each[network.spec.symmetry.layers[0].incoming], axis=1) for each in (params, scaled)]
        np.testing.assert_allclose(norms[1], norms[0] * scale[0])
        again = filter_directions(network, scaled, seed=9, biases=biases)
        rows = network.spec.symmetry.layers[0].incoming
        np.testing.assert_allclose(again[:, rows], found[:, rows] * scale[0][:, None], rtol=1e-12)


def test_filters_of_other_containers():
    """Flax keeps units on the last axis, and its bias stands before its kernel; a lone vector is one filter."""

    def init(key):
        layer = {"bias": jnp.ones(4), "kernel": jnp.ones((3, 2, 4))}
        return {"conv": layer, "gain": jnp.ones(5), "shift": jnp.ones(())}

    network = jl.Network(init, lambda params, x: x)
    params = _params(network)
    fixed = network.unflatten(filter_directions(network, params, 1, filter_axis=-1)[0])
    own = network.unflatten(params)
    np.testing.assert_array_equal(fixed["conv"]["bias"], 0)
    np.testing.assert_array_equal(fixed["gain"], 0)
    norms = [np.linalg.norm(each["conv"]["kernel"].reshape(6, 4), axis=0) for each in (fixed, own)]
    np.testing.assert_allclose(*norms)
    whole = network.unflatten(filter_directions(network, params, 1, filter_axis=-1, biases="with unit")[0])
    joined = [np.vstack([each["conv"]["kernel"].reshape(6, 4), each["conv"]["bias"]]) for each in (whole, own)]
    np.testing.assert_allclose(*[np.linalg.norm(each, axis=0) for each in joined])
    assert np.linalg.norm(whole["gain"]) == pytest.approx(np.linalg.norm(own["gain"]))
    assert abs(whole["shift"]) == pytest.approx(abs(own["shift"]))


def test_the_plane_through_three_points():
    points = RNG.normal(size=(3, 20))
    plane = plane_through(points)
    np.testing.assert_allclose(plane.directions @ plane.directions.T, np.eye(2), atol=1e-12)
    found = plane.coordinates(points)
    np.testing.assert_allclose(plane.points(found), points, atol=1e-12)
    apart = [[np.linalg.norm(one - two) for one in points] for two in points]
    seen = [[np.linalg.norm(one - two) for one in found] for two in found]
    np.testing.assert_allclose(seen, apart, atol=1e-12)
    np.testing.assert_allclose([found[0], [found[1, 0], found[1, 1]]], [[0, 0], [apart[0][1], 0]], atol=1e-12)
    assert found[2, 1] > 0


def test_the_principal_plane_of_a_trajectory_equals_a_singular_value_decomposition():
    trajectory = np.cumsum(RNG.normal(size=(30, 12)) * np.linspace(3, 0.1, 12), axis=0)
    found = trajectory_plane(trajectory)
    centred = trajectory - trajectory.mean(axis=0)
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    np.testing.assert_allclose(found.explained, singular**2 / np.sum(singular**2), rtol=1e-9)
    np.testing.assert_allclose(np.abs(found.plane.directions @ rows[:2].T), np.eye(2), atol=1e-9)
    np.testing.assert_allclose(np.abs(found.coordinates), np.abs((trajectory - trajectory[-1]) @ rows[:2].T), atol=1e-9)
    assert f"{found.explained[0]:.1%}" in found.plane.labels[0]


def test_a_trajectory_in_a_plane_is_seen_whole():
    turn = np.linalg.qr(RNG.normal(size=(9, 2)))[0].T
    trajectory = RNG.normal(size=(15, 2)) @ turn + 5
    found = trajectory_plane(trajectory)
    assert found.explained[:2].sum() == pytest.approx(1)
    np.testing.assert_allclose(found.plane.distances(trajectory), 0, atol=1e-9)


@pytest.mark.slow
def test_true_against_in_plane_loss():
    network = NETWORKS["softplus"]
    objective = jl.Problem(X, Y).objective(network)
    fits = jl.fit(network, jl.Problem(X, Y), optax.adam(0.05), fits=1, steps=200, snapshots=range(0, 201, 10))
    trajectory = fits.snapshots[0].astype(np.float64)
    found = trajectory_plane(trajectory)
    seen = in_plane(objective, found.plane, trajectory)
    np.testing.assert_allclose(seen.loss, _direct(objective, trajectory), rtol=1e-10)
    np.testing.assert_allclose(seen.coordinates, found.coordinates)
    np.testing.assert_allclose(seen.plane_loss, _direct(objective, found.plane.points(seen.coordinates)), rtol=1e-10)
    assert seen.distance[-1] == pytest.approx(0, abs=1e-12)
    assert seen.loss[-1] == pytest.approx(seen.plane_loss[-1])
    left = np.sqrt(np.sum((trajectory - trajectory[-1]) ** 2, 1) - np.sum(seen.coordinates**2, 1))
    np.testing.assert_allclose(seen.distance, left, atol=1e-7)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Plane(np.zeros(3), np.zeros((2, 3))), "do not span a plane"),
        (lambda: Plane(np.zeros(3), np.ones((2, 3))), "do not span a plane"),
        (lambda: Plane(np.zeros(3), np.eye(3)), r"origin \(P,\) and directions \(2, P\)"),
        (lambda: Plane(np.full(3, np.nan), np.eye(3)[:2]), "must be finite"),
        (lambda: coordinate_plane(np.zeros(3), (0, 3)), "there is no entry 3; the flat vector has 3"),
        (lambda: coordinate_plane(np.zeros(3), (1, 1)), "two different entries"),
        (lambda: coordinate_plane(np.zeros(3), ("a", 1)), "is a name; give the network"),
        (lambda: coordinate_plane(np.zeros(3), (0, 1), _sigmoid()), "params must have shape"),
        (lambda: _named("2.weigth[0,0]"), "Did you mean '2.weight'"),
        (lambda: _named("2.weight[3,0]"), r"the last is '2.weight\[2,8\]'"),
        (lambda: filter_directions(_sigmoid(), np.zeros(3)), "params must have shape"),
        (lambda: filter_directions(_sigmoid(), np.full(_sigmoid().size, np.inf)), "must be finite"),
        (lambda: filter_directions(_sigmoid(), _params(_sigmoid()), biases="free"), "rule for biases|biases"),
        (lambda: plane_through(np.eye(4)), "three points|3 P"),
        (lambda: plane_through(np.arange(12.0).reshape(3, 4)), "do not span"),
        (lambda: trajectory_plane(np.eye(4)[:2]), "three points or more"),
        (lambda: trajectory_plane(np.outer(np.arange(5), np.ones(4))), "on one line"),
        (lambda: trajectory_plane(np.full((5, 4), np.nan)), "not finite"),
        (
            lambda: surface(jnp.sum, Plane(np.zeros(2), np.eye(2)), np.zeros((2, 2)), np.zeros(3)),
            "a must be a vector|Float",
        ),
        (lambda: surface(jnp.sum, Plane(np.zeros(2), np.eye(2)), np.zeros(3), np.array([np.nan])), "b must be"),
        (lambda: surface(lambda v: v, Plane(np.zeros(2), np.eye(2)), np.zeros(3), np.zeros(3)), "return one number"),
        (lambda: plane_losses(jnp.sum, Plane(np.zeros(2), np.eye(2)), np.zeros(3)), r"\(points, 2\)|M 2"),
        (lambda: losses_at(jnp.sum, np.zeros(3)), "A single point is|M P"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(Exception, match=message):
        make()


def _named(name):
    network = _sigmoid()
    return coordinate_plane(_params(network), (name, 1), network)
