"""Figures 3, 7 and 8: surfaces over two weights, with few and with many samples, and over other pairs of weights."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy.special import expit

from jaxland.landscape import (
    Features,
    Surface,
    coordinate_plane,
    features_table,
    outputs,
    plane_losses,
    surface,
    surface_features,
)
from jaxland.networks import Network
from jaxland.plots import in_three_dimensions, new_figure, surface_3d, surface_contours
from jaxland.problems import Images, Objective
from jaxland.replications.surfaces.config import GRID, SIDE, A, B, SurfacesConfig
from jaxland.replications.surfaces.statements import NONCONVEX, STATEMENTS
from jaxland.replications.surfaces.weights import source_weights, whole_network
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement

# The document's other pairs: both weights of a pair lead into one unit of the second hidden layer; and its samples.
OTHERS = (("1.weight[200,30]", "1.weight[200,31]", 500), ("1.weight[5,5]", "1.weight[5,6]", 1000))


COLORMAP = "terrain"
"""The tutorial's colours, of the figures that are its own."""


@dataclass(frozen=True)
class LandscapeSettings:
    """Scale of the surfaces."""

    grid: int = GRID
    """Points along each axis of the window."""
    most_samples: int = 10_000
    """Samples of the larger surface, or as many as the data have."""


class Slice(NamedTuple):
    """A surface over two weights of the network."""

    name: str
    """Of its files."""
    title: str
    seed: int
    """Of the weights."""
    entries: tuple[str, str]
    samples: int
    surface: Surface
    features: Features


class Cost(NamedTuple):
    """The document's cost on the first samples, as a function of all weights."""

    samples: int
    network: Network
    objective: Objective


def costs(config: SurfacesConfig, samples: int) -> Cost:
    """The cost on so many samples, or on as many as the data have."""
    pictures = available(config, samples)
    network = whole_network(config.hidden, pictures)
    return Cost(len(pictures.labels), network, pictures.problem().objective(network))


def available(config: SurfacesConfig, samples: int) -> Images:
    """So many samples, or as many as the data have."""
    pictures = config.pictures()
    return pictures.take(min(samples, len(pictures.labels)))


def window(grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along the axes of the document's window."""
    return np.linspace(*A, grid), np.linspace(*B, grid)


def slice_of(cost: Cost, seed: int, entries: tuple[str, str], grid: int, name: str = "") -> Slice:
    """The surface over two weights of the network that is drawn with this seed."""
    plane = coordinate_plane(source_weights(cost.network, seed), entries, cost.network)
    found = surface(cost.objective, plane, *window(grid))
    title = f"seed {seed}, {cost.samples:,} samples"
    return Slice(name, title, seed, entries, cost.samples, found, surface_features(found.loss))


def find(context: Context) -> Findings:
    """Every surface in one call; those with the same samples share a program."""
    config: SurfacesConfig = context.config
    settings: LandscapeSettings = context.settings
    few, many = (costs(config, samples) for samples in (config.samples, settings.most_samples))
    pairs = {
        seed: [
            slice_of(cost, seed, config.entries, settings.grid, f"last-layer-seed-{seed}-samples-{cost.samples}")
            for cost in (few, many)
        ]
        for seed in config.weights
    }
    others = list(_others(config, settings))
    everything = [each for pair in pairs.values() for each in pair] + others
    agreement = {many.name: _correlation(few, many) for few, many in pairs.values()}
    figures = {f"figure-03-surfaces-seed-{seed}": _pair_figure(pair) for seed, pair in pairs.items()}
    for number, each in enumerate(others, start=7):
        figures[f"figure-{number:02d}-second-layer"] = _other_figure(each)
    tables = {"surfaces.csv": _table(everything, agreement), "surface-points.csv": _points(everything)}
    return Findings(tables, figures, _claims(config, few, pairs), captions=_captions(pairs, others))


def _others(config, settings):
    for *entries, samples in OTHERS:
        cost = costs(config, samples)
        if set(entries) <= set(cost.network.entry_names):
            seed = config.weights[0]
            yield slice_of(cost, seed, (entries[0], entries[1]), settings.grid, "-".join(entries))


def _coordinates(found: Surface, places) -> np.ndarray:
    return np.column_stack([found.a[places[:, 1]], found.b[places[:, 0]]])


def _draw(each: Slice, above, side) -> None:
    found, labels = each.surface, (f"$w_a$ = {each.entries[0]}", f"$w_b$ = {each.entries[1]}")
    plain = "$w_a$", "$w_b$"
    surface_3d(found.a, found.b, found.loss, title=each.title, labels=plain, zlabel="cost", cmap=COLORMAP, ax=side)
    minima, saddles = (_coordinates(found, places) for places in (each.features.minima, each.features.saddles))
    surface_contours(
        found.a,
        found.b,
        found.loss,
        minima=minima,
        saddles=saddles,
        title=f"{each.features.nonconvexity:.0%} of its range above its convex envelope",
        labels=labels,
        zlabel="cost",
        cmap=COLORMAP,
        ax=above,
    )


def _pair_figure(pair: list[Slice]) -> Figure:
    figure, axes = new_figure(2, rows=2, height=2.8)
    for column, each in enumerate(pair):
        side = in_three_dimensions(axes[column])
        _draw(each, axes[2 + column], side)
    return figure


def _other_figure(each: Slice) -> Figure:
    figure, axes = new_figure(2, height=2.8)
    _draw(each, axes[1], in_three_dimensions(axes[0]))
    return figure


def _correlation(one: Slice, two: Slice) -> float:
    known = np.isfinite(one.surface.loss) & np.isfinite(two.surface.loss)
    return float(np.corrcoef(one.surface.loss[known], two.surface.loss[known])[0, 1])


def _table(slices: list[Slice], agreement: dict[str, float]) -> pd.DataFrame:
    head = pd.DataFrame(
        {
            "surface": [each.name for each in slices],
            "seed": [each.seed for each in slices],
            "first_weight": [each.entries[0] for each in slices],
            "second_weight": [each.entries[1] for each in slices],
            "samples": [each.samples for each in slices],
            "correlation_with_few": [agreement.get(each.name, np.nan) for each in slices],
            "lowest": [np.nanmin(each.surface.loss) for each in slices],
        }
    )
    return head.join(features_table(each.features for each in slices))


def _points(slices: list[Slice]) -> pd.DataFrame:
    frames = []
    for each in slices:
        first, second = np.meshgrid(each.surface.a, each.surface.b)
        columns = {"surface": each.name, "a": first.ravel(), "b": second.ravel(), "cost": each.surface.loss.ravel()}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _claims(config: SurfacesConfig, few: Cost, pairs: dict[int, list[Slice]]) -> list[Claim]:
    drawn = pairs.get(135, next(iter(pairs.values())))[0]
    range_ = cost_range_claim(drawn.surface.loss)
    whole = whole_network(config.hidden, available(config, 1))
    sizes = [SIDE**2, 50, 500, 10]  # the document's
    cost, root, mean = _errors(config, few)
    return [
        weights_claim(sum(one * other for one, other in pairwise(sizes)), whole.size),
        nodes_claim(config.units[0]),
        digit_claim(_digits_of(config)),
        pixels_claim(float(available(config, config.samples).pixels.max())),
        rms_claim(cost, root),
        mean_claim(cost, mean),
        reproducible_claim(*(source_weights(whole, config.weights[0]) for _ in range(2))),
        gradient_claim(*_gradients(config)),
        features_claim(drawn.features, config.caveat),
        convex_claim("linear-regression", _regression(config, logistic=False)),
        convex_claim("logistic-regression", _regression(config, logistic=True)),
        *judged_unless("" if config.is_source else "the numbers of the picture are those of MNIST", [range_]),
        *(_agreement(seed, pair) for seed, pair in pairs.items()),
    ]


def weights_claim(source: int, own: int) -> Claim:
    """Of how many weights the document's network has, and ours."""
    return STATEMENTS["weights"].claim(f"{source:,}; {own:,} with the inputs of the data used here", source)


def pixels_claim(largest: float) -> Claim:
    """Of the largest pixel after the division."""
    return STATEMENTS["pixels"].claim(f"0 to {largest:g}", largest)


def nodes_claim(unit: int) -> Claim:
    """Of the index, from 0, of the first unit in the document's program."""
    return STATEMENTS["node-numbers"].claim(
        f"the program's indices {unit} and {unit + 1} begin at 0: nodes {unit + 1} and {unit + 2}", unit + 1
    )


def _digits_of(config: SurfacesConfig) -> np.ndarray:
    """Classes of the pictures at which the document's output is to be 1."""
    pictures = config.pictures()
    return np.unique(pictures.labels[pictures.one_hot[:, config.output] == 1])


def digit_claim(digits: np.ndarray) -> Claim:
    """Of the classes that an output stands for."""
    told = ", ".join(f"{digit:g}" for digit in digits)
    return STATEMENTS["output-digit"].claim(
        f"its target is 1 at pictures of {told}", float(digits[0]) if len(digits) == 1 else np.nan
    )


def _errors(config: SurfacesConfig, cost: Cost) -> tuple[float, float, float]:
    """At the weights as drawn: the program's cost, the root mean square error, and the mean of sums of squares."""
    params = source_weights(cost.network, config.weights[0])
    pictures = available(config, config.samples)
    errors = outputs(cost.network, params[None], pictures.pixels)[0] - pictures.one_hot
    squares = errors**2
    plane = coordinate_plane(params, config.entries, cost.network)
    drawn = plane_losses(cost.objective, plane, config.pair(config.weights[0], config.samples).values[None])
    return float(drawn[0]), float(np.sqrt(squares.mean())), float(squares.sum(axis=1).mean())


def mean_claim(cost: float, mean: float) -> Claim:
    """Of the program's cost, and the average over samples of the sum of squared errors."""
    return STATEMENTS["mean-of-sums"].claim(f"cost {cost:.6f}, average {mean:.6f}", cost / mean)


def reproducible_claim(first: Float[np.ndarray, "P"], second: Float[np.ndarray, "P"]) -> Claim:
    """Of weights that are drawn twice with one seed."""
    different = int((first != second).sum())
    return STATEMENTS["reproducible"].claim(f"{different} of {len(first):,} weights differ", different)


def _gradients(config: SurfacesConfig) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the cost of the two weights as drawn, by central differences, and the program's dw2 there."""
    pair = config.pair(config.weights[0], config.samples)

    def cost(values: np.ndarray) -> float:
        return float(((expit(pair.fixed + pair.activations @ values) - pair.targets) ** 2).mean())

    step = 1e-5 * np.eye(2)
    slopes = np.array([(cost(pair.values + each) - cost(pair.values - each)) / 2e-5 for each in step])
    out = expit(pair.fixed + pair.activations @ pair.values)
    return slopes, ((out - pair.targets) * out * (1 - out)) @ pair.activations / len(out)


def gradient_claim(slopes: Float[np.ndarray, "2"], program: Float[np.ndarray, "2"]) -> Claim:
    """Of derivatives of the cost, and what the program takes for them."""
    ratio = float(np.linalg.norm(program) / np.linalg.norm(slopes))
    return STATEMENTS["gradient"].claim(
        f"dw2 is {ratio:.3f} of the derivative", ratio, detail="the factor 2 of the squares is left out"
    )


def rms_claim(cost: float, root: float) -> Claim:
    """Of the program's cost, and the root mean square error."""
    return STATEMENTS["rms"].claim(
        f"the program's cost is {cost:.3f} where the root mean square error is {root:.3f}",
        cost / root,
        detail="the program takes the mean over samples of the sum of squares over outputs, as its next sentence says",
    )


def features_claim(features: Features, caveat: str) -> Claim:
    """Of what a surface shows."""
    return STATEMENTS["features"].claim(
        f"{len(features.minima)} minima and {len(features.saddles)} saddles inside the window, "
        f"{features.plateau:.0%} plateau, {features.nonconvexity:.0%} above the convex envelope",
        (len(features.minima) - 1, len(features.saddles), features.nonconvexity - NONCONVEX, features.plateau),
        detail=caveat + "surfaces are persistence-filtered at a thousandth of their range",
    )


def cost_range_claim(loss: Float[np.ndarray, "B A"]) -> Claim:
    """Of the costs of a surface."""
    low, high = float(np.nanmin(loss)), float(np.nanmax(loss))
    return STATEMENTS["cost-range"].claim(f"surface from {low:.4f} to {high:.4f}", low)


def _regression(config: SurfacesConfig, logistic: bool) -> Float[np.ndarray, "B A"]:
    """The cost of a regression of the document's output on the pixels, over the weights of two of them."""
    pictures = available(config, config.samples)
    pixels, target = pictures.pixels, pictures.one_hot[:, config.output]
    two = np.argsort(pixels.var(axis=0))[-2:]
    rest = pixels @ np.random.default_rng(config.weights[0]).normal(size=pixels.shape[1])
    a, b = window(GRID)
    sums = rest + a[None, :, None] * pixels[:, two[0]] + b[:, None, None] * pixels[:, two[1]]
    each = np.logaddexp(0, sums) - target * sums if logistic else (sums - target) ** 2
    return each.mean(axis=-1)


def convex_claim(name: str, loss: Float[np.ndarray, "B A"]) -> Claim:
    """Of the surface of a regression."""
    height = surface_features(loss).nonconvexity
    return STATEMENTS[name].claim(
        f"{height:.1e} of the range above its convex envelope",
        height,
        detail="over the weights of the two pixels that vary most",
    )


def _agreement(seed: int, pair: list[Slice]) -> Claim:
    few, many = pair
    return measurement(
        "how alike are surfaces of few and of many samples?",
        f"correlation {_correlation(few, many):.2f} over the window; {len(few.features.minima)} and "
        f"{len(many.features.minima)} minima",
        of=f"seed {seed}",
        detail=f"{few.samples:,} and {many.samples:,} samples",
    )


def _captions(pairs: dict[int, list[Slice]], others: list[Slice]) -> dict[str, str]:
    captions = {
        f"figure-03-surfaces-seed-{seed}": f"The cost over two weights of the last layer, seed {seed}, with "
        f"{few.samples:,} and with "
        f"{many.samples:,} samples: alike to a correlation of {_correlation(few, many):.2f}, "
        f"{len(few.features.minima)} and "
        f"{len(many.features.minima)} minima."
        for seed, (few, many) in pairs.items()
    }
    for number, each in enumerate(others, start=7):
        captions[f"figure-{number:02d}-second-layer"] = (
            f"The cost over two weights of the second layer, {each.samples:,} samples: "
            f"{each.features.nonconvexity:.0%} of its range "
            f"above its convex envelope, {len(each.features.minima)} minima, {len(each.features.saddles)} saddles."
        )
    return captions


ANALYSIS = Analysis(
    quick=LandscapeSettings(),
    paper=LandscapeSettings(),
    find=find,
)
