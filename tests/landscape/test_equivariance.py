"""What becomes of every public function of the landscape when the units of losses and parameters change.

Each case yields parts of a result, with the powers of the unit of loss and of the unit of parameters that it is
multiplied by. Where a function takes no losses, the first unit is that of outputs or of distances.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxland as jl
from jaxland import landscape
from jaxland.landscape import NebSettings, Plane
from jaxland.problems import LOSSES, gradients_of

pytestmark = pytest.mark.sampled

LINEAR, RELU, TANH = jl.mlp([2, 1]), jl.mlp([1, 3, 2, 1]), jl.mlp([2, 3, 1], "tanh")
KNOTTED = jl.mlp([1, 4, 1])


def _objective(loss_unit, unit):
    """Wells at all corners of a cube, tilted, in such units."""

    def objective(point):
        scaled = point / unit
        return loss_unit * (jnp.sum((scaled**2 - 1) ** 2) + 0.3 * scaled[0] * scaled[1] + 0.1 * scaled[-1])

    return objective


def _wells(unit):
    return unit * np.array([[-1.0, 1, -1], [1, -1, -1]])


def _curved(rng, loss_unit, unit):
    objective, params = _objective(loss_unit, unit), unit * rng.normal(size=(3, 3))
    found = landscape.spectra(objective, params, vectors=True)
    yield (1, -2), [landscape.hessians(objective, params), found.eigenvectors * found.eigenvalues[:, None]]
    yield (1, -1), found.gradient_norm


def _lanczos(rng, loss_unit, unit):
    objective, params = _objective(loss_unit, unit), unit * rng.normal(size=3)
    ends = landscape.extreme_eigenvalues(objective, params, 2)
    assert ends.largest.converged.all()
    density = landscape.spectral_density(objective, params, probes=2, steps=3)
    yield (1, -2), [ends.largest.values, ends.smallest.values]
    yield (1, -2), [*landscape.hessian_trace(objective, params, 4), density.moment(1), *density.nodes.ravel()]
    yield (0, 0), density.weights
    largest = landscape.largest_eigenvalues(objective, params[None], 2)
    assert largest.converged.all()
    yield (1, -2), largest.values


def _waves(loss_unit, unit):
    """A network of one output that is no polynomial, and data for it, outputs in the first unit."""
    network = jl.Network(
        lambda key: jnp.ones(3),
        lambda params, x: loss_unit * jnp.sin((params / unit)[None] * x).sum(axis=1, keepdims=True),
    )
    x = np.linspace(-1, 2, 18).reshape(6, 3)
    return network, jl.Problem(x, loss_unit * np.cos(x[:, 0] + 0.3))


def _curvatures(rng, loss_unit, unit):
    (network, problem), params = _waves(loss_unit, unit), unit * rng.normal(size=(2, 3))
    products = landscape.hessian_of(problem.objective(network)).matrices(params)
    yield (2, -2), [products, landscape.gauss_newton(network, problem).matrices(params)]
    yield (4, -2), landscape.empirical_fisher(network, problem).matrices(params)


def _posteriors(rng, loss_unit, unit):
    (network, problem), params = _waves(loss_unit, unit), unit * rng.normal(size=(2, 3))
    found, path = landscape.laplace(network, problem, params), landscape.swag(unit * rng.normal(size=(2, 9, 3)), rank=4)
    yield (0, 1), [*path.mean.ravel(), *np.abs(path.factor).ravel(), *np.abs(found.posterior.factor).ravel()]
    yield (0, 2), path.diagonal
    yield (0, 1), path.sample(3).ravel()
    yield (2, 0), found.noise
    yield (0, -2), found.prior_precision
    yield (0, 0), found.effective
    yield (1, 0), [found.posterior.deviations(network, problem.x), path.deviations(network, problem.x)]


def _valleys(rng, loss_unit, unit):
    params = unit * rng.normal(size=(2, 3))
    evaluate, metric = gradients_of(_objective(loss_unit, unit)), np.tile(np.diag([9.0, 4, 25]), (2, 1, 1)) / unit**2
    found = landscape.local_learning_coefficients(
        evaluate, params, 2 / loss_unit, localisation=3 / unit**2, metric=metric, burn_in=4, steps=6
    )
    volumes = landscape.basin_volumes(evaluate, params, 0.3 * loss_unit, metric=metric, rays=5, longest=100.0)
    yield (0, 0), np.ravel(found)
    yield (0, 1), np.exp(volumes.log_volume / 3)
    yield (0, 0), [*volumes.standard_error, *volumes.effective_rays, *volumes.unbounded]


def _stationary(rng, loss_unit, unit):
    starts = unit * np.stack(np.meshgrid([-1.3, -0.2, 1.2], [-1.1, 0.3, 1.4]), axis=-1).reshape(-1, 2)
    found = landscape.stationary_points(_objective(loss_unit, unit), starts)
    yield (0, 0), [len(found.loss), *found.index, *found.starts]
    yield (0, 1), found.params
    yield (1, 0), found.loss
    saddles = landscape.saddle_points(_objective(loss_unit, unit), starts)
    yield (0, 0), [len(saddles.loss), *saddles.index, *saddles.starts]
    yield (0, 1), saddles.params
    yield (1, 0), saddles.loss
    yield (1, -2), found.eigenvalues


def _counted(rng, loss_unit, unit):
    def apply(params, x):
        shares = params / unit
        return jnp.tile(jnp.concatenate([shares**2 - 1, 0.2 * shares]), (len(x), 1))

    network = jl.Network(lambda key: jnp.zeros(2), apply)
    loss = jl.problems.Loss("squares", lambda prediction, target: loss_unit * (prediction - target) ** 2)
    problem = jl.Problem(np.ones((2, 1)), np.tile([0.0, 0.0, 0.1, 0.05], (2, 1)), loss)
    found = landscape.distinct_minima(network, problem, unit * rng.normal(size=(20, 2)))
    yield (0, 0), [len(found.loss), *found.hits, *found.label]
    yield (0, 0), found.smallest_curvature
    yield (0, 1), found.params
    yield (1, 0), found.loss


def _relaxed(rng, loss_unit, unit):
    evaluate, wells = gradients_of(_objective(loss_unit, unit)), _wells(unit)
    bands = landscape.straight_bands(wells[:1], wells[1:], 5)
    bands[:, 1:-1] += 0.3 * unit * rng.normal(size=bands[:, 1:-1].shape)
    found = landscape.relax(evaluate, bands, NebSettings(steps=300, climb_after=50, patience=100))
    yield (0, 0), [found.steps[0], found.reason[0] == "converged"]
    yield (0, 1), [found.images, landscape.refine(evaluate, bands, 2)[:, :5]]
    yield (1, 0), landscape.linear_barriers(evaluate, wells[0], wells[1:], 5)
    yield (1, 0), landscape.path_barriers(evaluate, bands, 3, above="mean")
    yield (1, 0), [found.energies, landscape.energies_of(evaluate, found.images)]
    yield (1, -1), found.residual


def _on_planes(rng, loss_unit, unit):
    objective, params = _objective(loss_unit, unit), unit * rng.normal(size=(4, 3))
    plane, grid = landscape.coordinate_plane(params[0], (0, 2)), unit * np.linspace(-1, 1, 4)
    seen = landscape.in_plane(objective, plane, params)
    surface = landscape.surface(objective, plane, grid, grid)
    yield (0, 1), [*seen.coordinates.ravel(), *seen.distance, *plane.origin, *surface.a]
    yield (1, 0), [*seen.loss, *seen.plane_loss, *surface.loss.ravel(), *landscape.losses_at(objective, params)]
    yield (1, 0), landscape.plane_losses(objective, plane, seen.coordinates)


def _outputs(rng, loss_unit, unit):
    params, x = unit * rng.normal(size=(3, LINEAR.size)), rng.normal(size=(5, 2))
    y = unit * rng.normal(size=(5, 1))
    yield (0, 1), [*landscape.outputs(LINEAR, params, x).ravel()]
    yield (0, 1), landscape.output_distances(LINEAR, params[1:], params[0], x)
    yield (0, 2), landscape.losses(LINEAR, LOSSES["half_mean_squared_error"], params, x, y)


def _sharpness(rng, loss_unit, unit):
    params, x, y = rng.normal(size=(3, LINEAR.size)), rng.normal(size=(5, 2)), rng.normal(size=(5, 1))
    loss = LOSSES["half_mean_squared_error"]
    scale = np.array([unit, unit, 1])
    inputs_only = jl.mlp([2, 1], bias=False)
    yield (0, 2), landscape.sharpness(inputs_only, loss, params[:, :2] / scale[:2], x * unit, y)


def _map(rng, loss_unit, unit):
    yield (0, 0), landscape.tsne_map(unit * rng.normal(size=(2, 8, 3)).cumsum(axis=1), perplexity=4)


def _heights(rng, loss_unit, unit):
    energies, pairs = loss_unit * rng.normal(size=4), np.array([[0, 1], [1, 2], [2, 3], [0, 3]])
    heights = landscape.pass_heights(energies, pairs, loss_unit * (3 + rng.random(4)))
    passes, tree = landscape.lowest_passes(heights), landscape.barrier_tree(heights)
    yield (1, 0), [*passes.ravel(), *tree[:, 2]]
    yield (0, 0), [*tree[:, [0, 1, 3]].ravel(), *landscape.spanning_tree(heights).ravel()]


def _bands(rng, loss_unit, unit):
    ends = unit * rng.normal(size=(2, 1, 3))
    bands = unit * rng.normal(size=(2, 5, 3))
    yield (0, 1), [landscape.straight_bands(*ends, 4).ravel(), landscape.interpolate(bands[:1], 2)[0, :4].ravel()]
    yield (0, 1), [*landscape.arc_lengths(bands).ravel(), *landscape.gaps(bands).ravel()]
    yield (0, 0), landscape.turning_angles(bands)


def _distances(rng, loss_unit, unit):
    params, pairs = unit * rng.normal(size=(6, 4)), landscape.random_pairs(5, 4)
    apart, to = landscape.pair_distances(params, pairs), landscape.distances_to(params, params[5])
    yield (0, 1), [*apart, *to]
    yield (0, 0), landscape.direction_cosines(apart, *to[pairs].T)


def _basin(rng, loss_unit, unit):
    minimum, loss, separation = rng.normal(size=3), rng.random(20), rng.random(20)
    found = landscape.jitter(unit * minimum, 4, 2 * unit)
    near = landscape.returned(
        loss_unit * loss, 0.2 * loss_unit, unit * separation,
        loss_tolerance=0.4 * loss_unit, separation_tolerance=0.5 * unit,
    )  # fmt: skip
    yield (0, 1), [*found.params.ravel(), *found.distance]
    yield (0, 0), near


def _stability(rng, loss_unit, unit):
    losses, sharpness = rng.normal(size=(4, 9)), 3 * rng.random(9)
    yield (0, 0), landscape.first_rise(loss_unit * losses, 0.3)
    yield (0, 0), landscape.log_deviation(unit, sharpness / unit, floor=1e-9)


def _features(rng, loss_unit, unit):
    loss = loss_unit * rng.normal(size=(7, 9))
    found = landscape.surface_features(loss)
    yield (1, 0), landscape.features_table([found])["range"]
    yield (0, 0), [found.nonconvexity, landscape.nonconvexity(loss), found.plateau, found.concave]
    for places in (found.minima, found.edge_minima, found.saddles, found.maxima):
        yield (0, 0), places
    tree = landscape.surface_tree(loss)
    yield (1, 0), [*tree.loss, *tree.merges[:, 2]]
    yield (
        (0, 0),
        [*tree.minima.ravel(), *tree.on_edge, *tree.saddles.ravel(), *np.delete(tree.merges, 2, axis=1).ravel()],
    )


def _planes(rng, loss_unit, unit):
    points, random = unit * rng.normal(size=(5, 4)), unit * rng.normal(size=RELU.size)
    through, principal = landscape.plane_through(points[:3]), landscape.trajectory_plane(points)
    skewed = Plane(points[0], points[1:3] * np.array([[1], [loss_unit]]))
    yield (0, 1), [*through.origin, *through.coordinates(points).ravel(), *principal.coordinates.ravel()]
    yield (0, 0), [*through.directions.ravel(), *np.abs(principal.plane.directions).ravel(), *principal.explained]
    yield (0, 1), landscape.filter_directions(RELU, random)
    yield (0, 1), landscape.random_plane(RELU, random, biases="with unit").directions
    yield (0, 0), skewed.coordinates(points)[:, 0]
    yield (-1, 0), skewed.coordinates(points)[:, 1]


def _symmetries(rng, loss_unit, unit):
    params, odd = rng.normal(size=(4, RELU.size)), rng.normal(size=(4, TANH.size))
    params[2] = rng.choice([-1.0, 1.0], RELU.size)
    symmetry = RELU.spec.symmetry
    scales = [np.array([loss_unit, 1, 1]), np.ones(2)]
    scaled = symmetry.transform(params, scales=[np.tile(each, (4, 1)) for each in scales])
    yield (0, 1), landscape.symmetrise(RELU, unit * params).params
    yield (0, 0), np.round(landscape.symmetrise(RELU, scaled).params, 9)
    yield (0, 1), landscape.sort_units(symmetry, unit * params)
    matched = landscape.match(RELU, unit * params[:2], unit * params[3])
    apart = landscape.orbit_distances(RELU, unit * params, np.array([[0, 1], [3, 1]]), exact=False)
    yield (0, 1), [*matched.params.ravel(), *matched.reference, *matched.distance, *matched.at_least]
    yield (0, 1), [*apart.distance, *apart.at_least, *landscape.merge(RELU, unit * params[[0, 1, 3]]).params]
    yield (0, 1), landscape.fix_signs(TANH.spec.symmetry, unit * odd)


def _units(rng, loss_unit, unit):
    """One unit of another scale makes no duplicates of the others."""
    params = rng.normal(size=(3, KNOTTED.size))
    params[:, [1, 5]] = params[:, [0, 4]]
    large = params.copy()
    large[:, [3, 7]] *= loss_unit
    yield (0, 0), landscape.duplicate_units(KNOTTED, unit * params)
    yield (0, 0), landscape.duplicate_units(KNOTTED, large, tolerance=1e-6)


def _piecewise(rng, loss_unit, unit):
    """The unit of outputs and that of inputs."""
    scale = np.repeat([1 / unit, 1, loss_unit], [4, 4, 5])
    params = rng.normal(size=(4, KNOTTED.size))
    found = landscape.piecewise_linear(KNOTTED, params * scale, -2 * unit, 2 * unit)
    moments, points = landscape.function_moments(found), unit * np.linspace(-2, 2, 7)
    yield (0, 0), found.counts
    yield (0, 1), [*found.knots.ravel(), *moments.knots]
    yield (1, 0), [*found.values.ravel(), *moments.mean(points), *moments.deviation(points)]
    yield (2, 1), landscape.function_distances(found.take(np.arange(2)), found.take(np.arange(2, 4))) ** 2


def _paths(rng, loss_unit, unit):
    paths = unit * rng.normal(size=(3, 6, 4))
    found = landscape.principal_map(paths)
    yield (0, 1), [*np.abs(found.points).ravel(), *landscape.random_walks_like(paths).ravel()]
    yield (0, 0), [*found.explained, *landscape.directedness(paths)]


def _zero_modes(rng, loss_unit, unit):
    params, values = unit * rng.normal(size=(2, RELU.size)), loss_unit * rng.normal(size=(2, RELU.size))
    values[:, :4] *= 1e-12
    vectors = np.linalg.qr(rng.normal(size=(2, RELU.size, RELU.size)))[0]
    spectra = landscape.Spectra(values, vectors, np.zeros(2))
    found = landscape.zero_modes(spectra, RELU.spec.symmetry, params)
    yield (0, 0), np.ravel(found)
    names = landscape.leading_entries(RELU, unit * vectors[:, 0])
    yield (0, 0), [RELU.entry_names.index(name) for each in names for name in each]


# Cases that compile nothing that depends on the units, and those that do.
PLAIN = {
    _heights: ["pass_heights", "lowest_passes", "barrier_tree", "spanning_tree"],
    _bands: ["straight_bands", "interpolate", "arc_lengths", "gaps", "turning_angles"],
    _distances: ["pair_distances", "distances_to", "direction_cosines"],
    _basin: ["jitter", "returned"],
    _stability: ["first_rise", "log_deviation"],
    _features: ["surface_features", "surface_tree", "features_table", "nonconvexity"],
    _planes: ["Plane", "plane_through", "trajectory_plane", "filter_directions", "random_plane"],
    _symmetries: ["symmetrise", "sort_units", "fix_signs", "match", "orbit_distances", "merge"],
    _units: ["duplicate_units"],
    _piecewise: ["piecewise_linear", "function_moments", "function_distances", "PiecewiseLinear", "FunctionMoments"],
    _paths: ["principal_map", "random_walks_like", "directedness"],
    _zero_modes: ["zero_modes", "leading_entries", "Spectra"],
    _outputs: ["outputs", "output_distances", "losses"],
}
COMPILED = {
    _curved: ["hessians", "spectra"],
    _lanczos: ["extreme_eigenvalues", "hessian_trace", "largest_eigenvalues", "spectral_density", "SpectralDensity"],
    _curvatures: ["hessian_of", "gauss_newton", "empirical_fisher", "Curvature"],
    _posteriors: ["laplace", "swag", "Gaussians"],
    _valleys: ["local_learning_coefficients", "basin_volumes"],
    _stationary: ["stationary_points", "saddle_points"],
    _counted: ["distinct_minima"],
    _relaxed: ["relax", "refine", "energies_of", "linear_barriers", "path_barriers"],
    _on_planes: ["coordinate_plane", "in_plane", "surface", "losses_at", "plane_losses"],
    _sharpness: ["sharpness"],
    _map: ["tsne_map"],
}
WITHOUT_UNITS = {
    "Bands": "what relax returns",
    "DistinctMinima": "what distinct_minima returns",
    "Eigenpairs": "what extreme_eigenvalues returns",
    "ExtremeEigenvalues": "what extreme_eigenvalues returns",
    "Features": "what surface_features returns",
    "InPlane": "what in_plane returns",
    "Jittered": "what jitter returns",
    "Laplace": "what laplace returns",
    "LearningCoefficients": "what local_learning_coefficients returns",
    "Matched": "what match returns",
    "Merged": "what merge returns",
    "NebSettings": "shares of the units of a band",
    "OrbitDistances": "what orbit_distances returns",
    "PrincipalMap": "what principal_map returns",
    "PrincipalPlane": "what trajectory_plane returns",
    "StationaryPoints": "what stationary_points returns",
    "Surface": "what surface returns",
    "SurfaceTree": "what surface_tree returns",
    "Symmetrised": "what symmetrise returns",
    "TraceEstimate": "what hessian_trace returns",
    "Volumes": "what basin_volumes returns",
    "ZeroModes": "what zero_modes returns",
    "align": "exchanges units, see test_alignment",
    "most_knots": "takes counts",
    "random_pairs": "takes counts",
}


def test_every_public_name_is_looked_at():
    named = [name for names in (*PLAIN.values(), *COMPILED.values()) for name in names]
    assert sorted([*named, *WITHOUT_UNITS]) == sorted(landscape.__all__)


def _check(case, seed, first, second):
    plain, scaled = (list(case(np.random.default_rng(seed), *u)) for u in ((1.0, 1.0), (2.0**first, 2.0**second)))
    for (powers, before), (_, after) in zip(plain, scaled, strict=True):
        before, after = (np.concatenate([np.ravel(each).astype(float) for each in part]) for part in (before, after))
        size = np.abs(before).max(initial=0.0, where=np.isfinite(before))
        after = np.ldexp(after, -int(np.dot(powers, (first, second))))
        np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-12 * size)


exponents = st.integers(-150, 150)


@pytest.mark.parametrize("case", PLAIN, ids=lambda case: case.__name__[1:])
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 99), first=exponents, second=exponents)
def test_units_do_not_matter(case, seed, first, second):
    _check(case, seed, first, second)


@pytest.mark.parametrize("case", COMPILED, ids=lambda case: case.__name__[1:])
def test_units_do_not_matter_to_compiled_programs(case):
    _check(case, 0, -40, 15)
