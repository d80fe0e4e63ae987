"""Every rule of the surfaces study, on made-up data: it can say no. And minima by Newton's method."""

import numpy as np
import pytest
from replications.counterexamples import Case, check, check_complete

from jaxland.landscape import Surface, stationary_points, surface_features
from jaxland.replications import SurfacesConfig
from jaxland.replications.surfaces import descent, ends, gallery, landscape, planes
from jaxland.replications.surfaces.landscape import Slice, window
from jaxland.replications.surfaces.pair import Pair
from jaxland.replications.surfaces.statements import STATEMENTS
from jaxland.statistics import Estimate

AXIS = np.linspace(-1, 1, 15)
BOWL = AXIS[:, None] ** 2 + AXIS**2
DENTED = BOWL + np.cos(9 * AXIS)[:, None] + np.cos(9 * AXIS)
SAMPLES = 400


def slice_of(loss):
    features = surface_features(loss)
    return Slice("s", "s", 1, ("a", "b"), 100, Surface(None, AXIS, AXIS, loss, 0), features)


def descents(last, rise=-1e-9, moved=5.0):
    """Three descents with these last costs, on a surface whose costs span 2."""
    costs = np.column_stack([np.full(3, 5.0), np.full(3, 4.0), last])
    paths = np.zeros((3, 3, 2))
    paths[:, -1] = moved / np.sqrt(2)
    drawn = slice_of(BOWL)
    return descent.Descents(list("abc"), np.array([0, 1, 40]), paths, costs, costs, rise, drawn)


def kinds(**shares):
    """Where 400 descents end, by the share that is on each kind."""
    order = {"minimum": 1, "saddle": 2, "plateau": 3}
    counts = {order[name]: round(SAMPLES * share) for name, share in shares.items()}
    return np.repeat([0, *counts], [SAMPLES - sum(counts.values()), *counts.values()])


def stuck(place, **shares):
    return lambda: ends.stuck_claims(kinds(**shares))[place]


def stuck_case(name, place):
    return Case(stuck(place, **{name: 0.2}), stuck(place), stuck(place, **{name: 0.0125}))


def overcome(name):
    plain = kinds(plateau=0.4)
    return Case(
        lambda: ends.overcome_claim(name, kinds(plateau=0.1), plain),
        lambda: ends.overcome_claim(name, kinds(plateau=0.6), plain),
        lambda: ends.overcome_claim(name, np.roll(plain, 40), plain),
    )


def not_convex(second):
    """Of a thousand surfaces over each of two pairs of weights, 900 and this many."""
    found = {"last": Estimate.share(900, 1_000), "second": Estimate.share(second, 1_000)}
    return lambda: gallery.not_convex_claim(found, 1_000)


def sample(convex=0.0, two=0.0, saddle=0.0, height=0.4, hidden=2):
    """400 surfaces, of which these shares are convex, have two minima, and have a saddle."""
    places = np.arange(SAMPLES) / SAMPLES
    features = {
        "nonconvexity": np.where(places < convex, 0.0, height),
        "minima": np.where(places < two, 2, 1),
        "saddles": (places < saddle).astype(int),
    }
    return gallery.Sample("last-layer", hidden, ("a", "b"), None, {"seed": places, **features}, np.zeros((0, 2, 2)))


def deeper(**steps):
    """Surfaces of networks of one to four layers, whose signs of barriers change by these steps with each."""
    layers = range(1, 5)
    return [
        sample(
            convex=0.5 - 0.1 * steps["convex"] * layer,
            two=0.1 + 0.1 * steps["two"] * layer,
            saddle=0.1 + 0.1 * steps["saddle"] * layer,
            height=0.4 + 0.1 * steps["height"] * layer,
            hidden=layer,
        )
        for layer in layers
    ]


CASES = {
    "weights": Case(lambda: landscape.weights_claim(69_200, 1), lambda: landscape.weights_claim(69_700, 1)),
    "node-numbers": Case(lambda: landscape.nodes_claim(249), lambda: landscape.nodes_claim(250)),
    "output-digit": Case(lambda: landscape.digit_claim(np.array([5])), lambda: landscape.digit_claim(np.array([4]))),
    "pixels": Case(lambda: landscape.pixels_claim(1.2), lambda: landscape.pixels_claim(1.0)),
    "rms": Case(lambda: landscape.rms_claim(0.7, 0.7), lambda: landscape.rms_claim(5.6, 0.7)),
    "mean-of-sums": Case(lambda: landscape.mean_claim(0.9, 0.9), lambda: landscape.mean_claim(0.9, 0.09)),
    "reproducible": Case(
        lambda: landscape.reproducible_claim(np.ones(3), np.ones(3)),
        lambda: landscape.reproducible_claim(np.ones(3), np.array([1, 1, 2.0])),
    ),
    "features": Case(
        lambda: landscape.features_claim(surface_features(np.where(DENTED < -0.5, -0.5, DENTED)), ""),
        lambda: landscape.features_claim(surface_features(BOWL), ""),
    ),
    "not-convex": Case(
        not_convex(950),
        not_convex(100),
        not_convex(500),
    ),
    "lows": Case(
        lambda: gallery.lows_claim([sample(two=0.9)]),
        lambda: gallery.lows_claim([sample(two=0.9), sample(two=0.02)]),
        lambda: gallery.lows_claim([sample(two=0.5)]),
    ),
    "linear-regression": Case(
        lambda: landscape.convex_claim("linear-regression", BOWL),
        lambda: landscape.convex_claim("linear-regression", DENTED),
    ),
    "logistic-regression": Case(
        lambda: landscape.convex_claim("logistic-regression", BOWL),
        lambda: landscape.convex_claim("logistic-regression", DENTED),
    ),
    "barriers": Case(
        lambda: ends.barriers_claim(kinds(plateau=0.4)),
        lambda: ends.barriers_claim(kinds()),
        lambda: ends.barriers_claim(kinds(plateau=0.05)),
    ),
    "gradient": Case(
        lambda: landscape.gradient_claim(np.array([0.2, 0.4]), np.array([0.2, 0.4])),
        lambda: landscape.gradient_claim(np.array([0.2, 0.4]), np.array([0.1, 0.2])),
    ),
    "routes": Case(
        lambda: descent.routes_claim(descents([2.0, 2.5, 3.0])),
        lambda: descent.routes_claim(descents([2.0, 2.0001, 3.0])),
    ),
    "cost-range": Case(lambda: landscape.cost_range_claim(4.75 + BOWL), lambda: landscape.cost_range_claim(5.6 + BOWL)),
    "falls": Case(
        lambda: descent.falls_claim([descents([2.0, 2.5, 3.0])]),
        lambda: descent.falls_claim([descents([2.0, 2.5, 3.0]), descents([2.0, 2.5, 3.0], rise=1e-6)]),
    ),
    "change-a-lot": Case(
        lambda: descent.change_claim([descents([2.0, 2.5, 3.0])]),
        lambda: descent.change_claim([descents([2.0, 2.5, 3.0], moved=0.5)]),
    ),
    "minor-adjustments": Case(lambda: planes.minor_claim(9.0, 0.3), lambda: planes.minor_claim(9.0, 5.0)),
    "stuck-minimum": stuck_case("minimum", 0),
    "stuck-saddle": stuck_case("saddle", 1),
    "stuck-plateau": stuck_case("plateau", 2),
    "not-all": Case(
        lambda: gallery.not_all_claim(sample(0.1)),
        lambda: gallery.not_all_claim(sample(0.0)),
        lambda: gallery.not_all_claim(sample(0.01)),
    ),
    "deeper": Case(
        lambda: gallery.deeper_claim(deeper(convex=1, two=1, saddle=1, height=1)),
        lambda: gallery.deeper_claim(deeper(convex=1, two=-0.2, saddle=1, height=1)),
        lambda: gallery.deeper_claim(deeper(convex=1, two=0, saddle=1, height=1)),
    ),
    "adagrad": overcome("adagrad"),
    "adam": overcome("adam"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_can_say_no(name):
    check(name, STATEMENTS[name], CASES[name])


def test_every_rule_has_its_case():
    check_complete(STATEMENTS, CASES)


@pytest.mark.parametrize(("seed", "count"), [(22, 2), (47, 2), (67, 2), (71, 3), (54, 0), (135, 0)])
def test_minima_of_the_last_layer_by_newtons_method(seed, count):
    """Those of seeds 22 and 47 do not show on the grid; seed 54 has a valley that is flat as far as can be told."""
    assert len(SurfacesConfig().pair(seed, 100).minima(*window(40))) == count


@pytest.mark.slow
def test_minima_by_newtons_method_are_those_of_all_starts():
    config = SurfacesConfig()
    pair = config.pair(71, 100)
    low, high = config.window
    starts = np.stack(np.meshgrid(*window(12), indexing="ij"), axis=-1).reshape(-1, 2)
    found = stationary_points(pair.problem().objective(pair.network(low, high)), starts)
    inside = (found.index == 0) & ((found.params > low) & (found.params < high)).all(axis=1)
    expected, minima = found.params[inside], pair.minima(*window(40))
    np.testing.assert_allclose(minima[minima[:, 0].argsort()], expected[expected[:, 0].argsort()], atol=1e-6)


def test_minima_that_are_known():
    """Two samples whose errors vanish at one place, outputs of 0.3 and 0.8: the only minimum, known exactly."""
    targets, activations = np.array([0.3, 0.8]), np.array([[2.0, 0.0], [1.0, 1.0]])
    pair = Pair(np.zeros(2), activations, targets, 0.25, np.zeros(2))
    expected = np.linalg.solve(activations, np.log(targets / (1 - targets)))
    np.testing.assert_allclose(pair.minima(*window(40)), expected[None], atol=1e-9)
    assert pair.minima(np.linspace(2, 9, 20), np.linspace(2, 9, 20)).shape == (0, 2)
