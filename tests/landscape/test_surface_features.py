import numpy as np
import pytest
from scipy import ndimage

from jaxland.landscape import barrier_tree, features_table, nonconvexity, pass_heights, surface_features, surface_tree


def _grid(low, high, count=41):
    return np.meshgrid(np.linspace(low, high, count), np.linspace(low, high, count))


def _counts(loss, **options):
    found = surface_features(loss, **options)
    return len(found.minima), len(found.edge_minima), len(found.saddles), len(found.maxima)


def _himmelblau(x, y):
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def _rosenbrock(x, y):
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def _monkey(x, y):
    """Between three valleys and three ridges a monkey saddle, which two ordinary ones make."""
    return x**3 - 3 * x * y**2


X, Y = _grid(-2, 2)
KNOWN = {
    # Minima inside, on the edge, saddles, maxima.
    "bowl": (X**2 + Y**2, (1, 0, 0, 0)),
    "slope": (X + 0.3 * Y, (0, 1, 0, 0)),
    # Where its foot meets the slope that rises beyond, there is a saddle.
    "hill": (np.exp(-4 * (X**2 + Y**2)) + 1e-3 * X, (0, 1, 1, 1)),
    "pass": (X**2 - Y**2 + 0.1 * X * Y, (0, 2, 1, 0)),
    "ridge": (-(X**2), (0, 2, 0, 0)),
    "double well": ((X**2 - 1) ** 2 + Y**2 + 0.1 * X, (2, 0, 1, 0)),
    "double well, turned": (((X + Y) ** 2 - 2) ** 2 + (X - Y) ** 2 + 0.1 * X, (2, 0, 1, 0)),
    "Himmelblau": (_himmelblau(*_grid(-5, 5)), (4, 0, 4, 1)),
    "Rosenbrock": (_rosenbrock(*_grid(-2, 2, 81)), (1, 0, 0, 0)),
    "monkey": (_monkey(X, Y), (0, 3, 2, 0)),
    "caldera": ((X**2 + Y**2 - 1) ** 2 + 0.1 * X, (1, 0, 1, 1)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_planted_points_are_counted(name):
    loss, expected = KNOWN[name]
    assert _counts(loss) == expected


@pytest.mark.parametrize("name", KNOWN)
def test_counts_do_not_depend_on_how_the_grid_is_turned(name):
    loss, expected = KNOWN[name]
    for turned in (loss.T, loss[::-1], loss[:, ::-1], loss[::-1, ::-1].T, 3 + 1e-3 * loss):
        assert _counts(turned) == expected


def test_places_are_those_of_the_function():
    found = surface_features(_himmelblau(*_grid(-5, 5, 101)))
    axis = np.linspace(-5, 5, 101)
    known = {
        "minima": [(3, 2), (-2.805, 3.131), (-3.779, -3.283), (3.584, -1.848)],
        "maxima": [(-0.271, -0.923)],
        "saddles": [(-3.073, -0.081), (0.087, 2.884), (3.385, 0.074), (-0.128, -1.954)],
    }
    for name, expected in known.items():
        places = sorted(tuple(axis[[column, row]]) for row, column in getattr(found, name))
        np.testing.assert_allclose(places, sorted(expected), atol=0.1, err_msg=name)
    assert found.range == pytest.approx(np.ptp(_himmelblau(*_grid(-5, 5, 101))))


def test_waves():
    """cos x cos y on four half-waves a side: at multiples of pi minima and maxima, between them saddles."""
    x, y = _grid(0, 4 * np.pi, 81)
    assert _counts(np.cos(x) * np.cos(y) + 1e-3 * x) == (4, 8, 16, 5)


def test_minima_of_random_mixtures_of_wells():
    rng = np.random.default_rng(0)
    x, y = _grid(-5, 5, 61)
    for wells in range(1, 7):
        centres = rng.permutation([(i, j) for i in (-3, 0, 3) for j in (-3, 0, 3)])[:wells]
        depths = rng.uniform(0.5, 1, wells)
        loss = -sum(d * np.exp(-2 * ((x - i) ** 2 + (y - j) ** 2)) for d, (i, j) in zip(depths, centres, strict=True))
        found = surface_features(loss + 1e-4 * (x**2 + y**2))
        assert len(found.minima) == wells
        assert len(found.saddles) == wells - 1 + len(found.maxima)
        depth = loss[tuple(found.minima.T)]
        assert (np.diff(depth) >= -1e-9).all()


def test_rounding_and_ripples_below_the_tolerance_are_not_counted():
    rng = np.random.default_rng(1)
    bowl = X**2 + Y**2
    assert _counts(bowl + 1e-5 * rng.normal(size=bowl.shape)) == (1, 0, 0, 0)
    assert _counts(1e6 + 1e-7 * bowl * 0 + 1e-10 * rng.normal(size=bowl.shape)) == (0, 0, 0, 0)
    ripples = bowl + 0.05 * np.cos(12 * X)
    many = _counts(ripples, tolerance=1e-4)
    assert many[0] > 1
    assert _counts(ripples, tolerance=0.1) == (1, 0, 0, 0)


@pytest.mark.parametrize("count", [20, 40, 80, 160])
def test_a_finer_grid_finds_the_same(count):
    x, y = _grid(-3, 3, count)
    assert _counts(np.sin(1.3 * x) + np.cos(1.7 * y) + 0.02 * (x - y)) == _counts(
        np.sin(1.3 * X * 1.5) + np.cos(1.7 * Y * 1.5) + 0.03 * (X - Y)
    )


def test_masked_points_are_left_out_and_counted():
    loss = KNOWN["double well"][0].copy()
    loss[:, 8:13] = np.nan  # one of the wells
    found = surface_features(loss)
    assert found.masked == 5 * 41
    assert len(found.minima) == 1
    everything = surface_features(np.full((5, 5), np.nan))
    assert (everything.masked, everything.range, len(everything.minima)) == (25, 0, 0)
    hole = X**2 + Y**2
    hole[18:23, 18:23] = np.nan
    assert _counts(hole)[0] == 0


def test_a_flat_surface_has_nothing():
    found = surface_features(np.full((6, 7), 4.77))
    assert (len(found.minima), len(found.saddles), found.plateau, found.nonconvexity) == (0, 0, 1, 0)


def _envelope(x, values):
    """The convex envelope of a function of one variable, from all chords."""
    below = values.copy()
    for i in range(len(x)):
        for j in range(i + 1, len(x)):
            chord = values[i] + (values[j] - values[i]) * (x - x[i]) / (x[j] - x[i])
            below[i : j + 1] = np.minimum(below[i : j + 1], chord[i : j + 1])
    return below


@pytest.mark.parametrize(
    "function", [lambda x: (x**2 - 1) ** 2, lambda x: -(x**2), np.abs, lambda x: np.sin(3 * x), lambda x: x, np.tanh]
)
def test_the_height_above_the_convex_envelope(function):
    x = np.linspace(-2, 2, 41)
    values = function(x)
    expected = (values - _envelope(x, values)).max() / np.ptp(values)
    for loss in (np.tile(values, (31, 1)), np.tile(values, (31, 1)).T):
        assert nonconvexity(loss) == pytest.approx(expected, abs=1e-9)


def test_convex_surfaces_have_no_height():
    for loss in (X**2 + Y**2, np.maximum(np.abs(X), Y), np.exp(X + 2 * Y), X - Y, np.hypot(X, Y), 1e-3 * X**2 + 50):
        assert nonconvexity(loss) < 1e-9
    # Not convex along one edge alone.
    edge = X**2 + Y**2
    edge[0, 20] += 1
    assert nonconvexity(edge) > 0.05


def test_plateaus_and_what_bends_down():
    bump = -np.exp(-4 * (X**2 + Y**2))
    slope = np.hypot(*np.gradient(bump, 1 / 40, 1 / 40))
    assert surface_features(bump).plateau == pytest.approx((slope < 0.01).mean(), abs=0.02)
    assert surface_features(X**2 + Y**2).concave == 0
    assert surface_features(X**2 - Y**2).concave == 1
    half = surface_features(X**3 + 0 * Y).concave
    assert half == pytest.approx(0.5, abs=0.03)


def test_the_table_counts():
    table = features_table([surface_features(KNOWN[name][0]) for name in ("Himmelblau", "slope")])
    assert table[["minima", "edge_minima", "saddles", "maxima"]].to_numpy().tolist() == [[4, 0, 4, 1], [0, 1, 0, 0]]
    assert list(features_table([]).columns) == list(table.columns)


@pytest.mark.parametrize(
    ("loss", "options", "message"),
    [
        (np.zeros((2, 5)), {}, "three grid points"),
        (np.zeros((5, 5)), {"tolerance": 1.0}, "share of the range"),
        (np.zeros((5, 5)), {"tolerance": -0.1}, "share of the range"),
    ],
)
def test_bad_input(loss, options, message):
    with pytest.raises(ValueError, match=message):
        surface_features(loss, **options)


def _wells(x, y):
    """Three wells in a row, of depths 1, 0.8 and 0.6, on a slope so weak that it moves nothing but ties."""
    return -sum(
        depth * np.exp(-3 * ((x - at) ** 2 + y**2)) for depth, at in ((0.6, -1.6), (1.0, 0.0), (0.8, 1.3))
    ) + 1e-9 * (x + 2 * y)


def test_the_tree_of_three_wells_joins_them_at_the_heights_between_them():
    x, y = np.meshgrid(np.linspace(-3, 3, 301), np.linspace(-2, 2, 201))
    found = surface_tree(_wells(x, y))
    inner = ~found.on_edge
    np.testing.assert_allclose(np.linspace(-3, 3, 301)[found.minima[inner, 1]], [0, 1.3, -1.6], atol=0.03)
    # Along the row the height between two wells is the highest on the line, by a search of one variable.
    line = np.linspace(-1.6, 1.3, 200_001)
    heights = _wells(line, 0 * line)
    left, right = heights[line < 0].max(), heights[line > 0].max()
    np.testing.assert_allclose(found.merges[:2, 2], sorted((left, right)), atol=1e-3)
    assert found.merges[0, :2].tolist() == [0, 1]  # the wells of depths 1 and 0.8, nearer to each other
    assert found.merges[-1, 3] == len(found.minima)


def test_the_tree_of_a_plane_is_that_of_its_minima_and_passes():
    """Single linkage of the heights over which any two minima are joined, by flooding level by level."""
    rng = np.random.default_rng(3)
    x, y = np.meshgrid(np.linspace(0, 1, 25), np.linspace(0, 1, 25))
    loss = sum(rng.normal() * np.cos(np.pi * (i * x + j * y) + rng.uniform(0, 6)) for i in range(6) for j in range(6))
    found = surface_tree(loss, tolerance=0.0)
    assert len(found.minima) > 5
    levels, places = np.unique(loss), [tuple(each) for each in found.minima]
    pairs = [(i, j) for i in range(len(places)) for j in range(i)]
    heights = np.full(len(pairs), np.nan)
    for level in levels:
        pieces = ndimage.label(loss <= level, np.ones((3, 3)))[0]
        for index, (i, j) in enumerate(pairs):
            if np.isnan(heights[index]) and pieces[places[i]] and pieces[places[i]] == pieces[places[j]]:
                heights[index] = level
    expected = barrier_tree(pass_heights(found.loss, np.array(pairs), heights))
    np.testing.assert_allclose(found.merges[:, 2], expected[:, 2], rtol=1e-12)
    np.testing.assert_array_equal(found.merges[:, 3], expected[:, 3])
    np.testing.assert_array_equal(np.sort(found.merges[:, :2], axis=1), np.sort(expected[:, :2], axis=1))
    np.testing.assert_array_equal(loss[tuple(found.saddles.T)], found.merges[:, 2])


def test_ripples_leave_the_tree_and_planes_in_pieces_have_none():
    ripples = X**2 + Y**2 + 0.05 * np.cos(12 * X)
    assert len(surface_tree(ripples, tolerance=1e-4).minima) > 1
    alone = surface_tree(ripples, tolerance=0.1)
    assert len(alone.minima) == 1
    assert alone.merges.shape == (0, 4)
    assert len(surface_tree(np.zeros((4, 4))).minima) == 1
    parted = ripples.copy()
    parted[:, 20] = np.nan
    with pytest.raises(ValueError, match="part the grid into 2 pieces"):
        surface_tree(parted, tolerance=0.1)
    with pytest.raises(ValueError, match="no point of the surface has a finite loss"):
        surface_tree(np.full((3, 3), np.nan))
