"""Figures 3, 7 and 8: surfaces over two weights, with few and with many samples, and over other pairs of weights."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxland.landscape import Features, Surface, coordinate_plane, features_table, surface, surface_features
from jaxland.networks import Network
from jaxland.plots import new_figure, surface_3d, surface_contours
from jaxland.problems import Images, Objective
from jaxland.replications.surfaces.config import GRID, A, B, SurfacesConfig
from jaxland.replications.surfaces.weights import source_weights, whole_network
from jaxland.studies import Above, All, Analysis, Between, Claim, Context, Findings, claim

# The document's other pairs: both weights of a pair lead into one unit of the second hidden layer; and its samples.
OTHERS = (("1.weight[200,30]", "1.weight[200,31]", 500), ("1.weight[5,5]", "1.weight[5,6]", 1000))
NONCONVEX = 0.01
"""Surfaces that rise by more than this share of their range above their convex envelope are called not convex."""


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
    return Findings(tables, figures, _claims(config, pairs))


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
    surface_3d(found.a, found.b, found.loss, title=each.title, labels=("$w_a$", "$w_b$"), zlabel="cost", ax=side)
    minima, saddles = (_coordinates(found, places) for places in (each.features.minima, each.features.saddles))
    surface_contours(
        found.a,
        found.b,
        found.loss,
        minima=minima,
        saddles=saddles,
        title=f"{each.title}: {each.features.nonconvexity:.0%} above its convex envelope",
        labels=labels,
        zlabel="cost",
        ax=above,
    )


def _pair_figure(pair: list[Slice]) -> Figure:
    figure, axes = new_figure(2, rows=2, width=5.4, height=4.3)
    for column, each in enumerate(pair):
        side = _replaced(figure, axes[column])
        _draw(each, axes[2 + column], side)
    return figure


def _other_figure(each: Slice) -> Figure:
    figure, axes = new_figure(2, width=5.4, height=4.3)
    _draw(each, axes[1], _replaced(figure, axes[0]))
    return figure


def _replaced(figure: Figure, ax):
    """Three-dimensional axes in the place of flat ones."""
    place = ax.get_subplotspec()
    ax.remove()
    return figure.add_subplot(place, projection="3d")


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


def _claims(config: SurfacesConfig, pairs: dict[int, list[Slice]]) -> list[Claim]:
    few = pairs.get(135, next(iter(pairs.values())))[0]
    features, loss = few.features, few.surface.loss
    own = config.is_source
    seen = len(features.minima), len(features.saddles), features.nonconvexity, features.plateau
    asked = {"minima are": Above(1), "saddles": Above(0), "ridges": Above(NONCONVEX, "%"), "the plateau is": Above(0)}
    return [
        claim(
            "3",
            "with 100 samples the surface has local minima, plateaus, ridges or saddles, and a lowest place",
            "seen in the picture",
            f"{len(features.minima)} minima and {len(features.saddles)} saddles inside the window, "
            f"{features.plateau:.0%} plateau, {features.nonconvexity:.0%} above the convex envelope",
            seen if own else None,
            All(asked),
            config.caveat + "surfaces are persistence-filtered at a thousandth of their range",
        ),
        claim(
            "5",
            "with 100 samples costs of the descents and of the surface about them lie between 4.75 and 4.802",
            "4.75 to 4.802 (axis of the picture)",
            f"surface from {np.nanmin(loss):.4f} to {np.nanmax(loss):.4f}",
            np.nanmin(loss) if own else None,
            Between(4.7, 4.802, "for the lowest cost"),
            config.caveat.removesuffix("; "),
        ),
    ]


ANALYSIS = Analysis(
    quick=LandscapeSettings(),
    paper=LandscapeSettings(),
    find=find,
)
