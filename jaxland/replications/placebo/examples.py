"""Examples 2 and 3: weights at every epoch, and maps of the paths that several seeds take."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxland.landscape import (
    PrincipalMap,
    directedness,
    pair_distances,
    principal_map,
    random_walks_like,
    symmetrise,
    tsne_map,
)
from jaxland.plots import new_figure, path_map, weight_paths
from jaxland.replications.placebo.comparable import LEAST_STEPS, mean_text, not_comparable
from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.statistics import sample_interval
from jaxland.studies import Above, Analysis, Below, Claim, Context, Findings, claim, judged_unless

_SHOWN = 3
"""Runs of the source's example 3."""
_NEIGHBOURS = 5
_SAME = 1e-3
"""Distance below which two fits are called the same."""


@dataclass(frozen=True)
class ExamplesSettings:
    """Scale of the examples."""

    epochs: int = 500
    """Of each fit."""
    fits: int = 32
    """Fits of one set of noise from different initial parameters; the first three are the source's."""
    mapped: int = 3
    """Fits with t-SNE maps of their own; the source maps 3."""
    perplexity: float = 30.0
    """Of t-SNE."""


@dataclass(frozen=True)
class Maps:
    """Maps of the paths of the first fits, and of random walks with the same steps."""

    principal: PrincipalMap
    joint: Float[np.ndarray, "F S 2"]
    """All paths on one t-SNE map."""
    own: Float[np.ndarray, "F S 2"]
    """Each path on a t-SNE map of its own, as the source's program makes them."""
    walks: Float[np.ndarray, "F S 2"]
    """Random walks, each on a t-SNE map of its own."""


def find(context: Context) -> Findings:
    """Trains some fits of data set 0, keeps their weights at every epoch, and maps them."""
    trained = context.piece("fits", partial(_train, context))
    if not len(trained["params"]):
        return Findings({}, {}, [])
    paths = context.config.first_layer(trained["snapshots"]).astype(np.float64)
    maps = _maps(context, paths[: context.settings.mapped])
    measures = _measures(context.config, trained["params"], paths, maps)
    # Paths shorter than the source's do not count.
    comparable = len(paths) if context.settings.epochs >= LEAST_STEPS else 0
    return Findings(
        {"paths.csv": _paths_table(measures), "maps.csv": _maps_table(measures)},
        _figures(context.config, trained["trace"], paths, maps),
        judged_unless(not_comparable(context.config, comparable, _SHOWN), _claims(measures, len(paths))),
    )


def _train(context: Context) -> dict[str, np.ndarray]:
    config, settings = context.config, context.settings
    fits = context.fit(
        config.network,
        config.problem(0),
        config.optimizer,
        fits=settings.fits,
        steps=settings.epochs,
        trace_every=1,
        # The source keeps the weights after each step.
        snapshots=range(1, settings.epochs + 1),
    )
    good = fits.diverged_step < 0
    return {"trace": fits.trace[good], "snapshots": fits.snapshots[good], "params": fits.params[good]}


def _maps(context: Context, paths: Float[np.ndarray, "F S P"]) -> Maps:
    def on_one_map(places: Float[np.ndarray, "G S P"]) -> dict[str, np.ndarray]:
        return {"points": tsne_map(places, perplexity=context.settings.perplexity)}

    def on_its_own(name: str, places: Float[np.ndarray, "F S P"]) -> Float[np.ndarray, "F S 2"]:
        return context.pieces(name, places, on_one_map, size=1)["points"]

    shown, walks = paths[:_SHOWN], random_walks_like(paths, seed=context.config.seed)
    joint = context.piece("tsne-joint", partial(on_one_map, shown))["points"]
    return Maps(principal_map(shown), joint, on_its_own("tsne-own", paths), on_its_own("tsne-walk", walks))


@dataclass(frozen=True)
class Measures:
    """What the pictures show, in numbers."""

    directedness: Float[np.ndarray, "F"]
    walk_directedness: Float[np.ndarray, "F"]
    length: Float[np.ndarray, "F"]
    distance: Float[np.ndarray, "F"]
    """From the place after the first epoch to the last."""
    cosine: Float[np.ndarray, "half"]
    """Between the directions in which two fits have gone, for fits 0 and 1, 2 and 3, and so on."""
    apart: Float[np.ndarray, "pairs"]
    """Between the ends of two fits, symmetrised."""
    threads: Float[np.ndarray, "M"]
    """Share of a place's neighbours on its t-SNE map that are its neighbours in time."""
    walk_threads: Float[np.ndarray, "M"]
    joint_rank: float
    """Spearman's correlation of distances between places of different fits, on the joint t-SNE map and in truth."""
    own_rank: float
    """The same on the maps made separately and laid over each other."""


def _measures(config: PlaceboConfig, params, paths: Float[np.ndarray, "F S P"], maps: Maps) -> Measures:
    pairs = np.stack(np.triu_indices(len(paths), 1), axis=1)
    moved = paths[:, -1] - paths[:, 0]
    unit = moved / np.linalg.norm(moved, axis=1, keepdims=True)
    canonical = symmetrise(config.network, params.astype(np.float64)).params
    return Measures(
        directedness=directedness(paths),
        walk_directedness=directedness(random_walks_like(paths, seed=config.seed)),
        length=np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(axis=1),
        distance=np.linalg.norm(moved, axis=1),
        cosine=np.einsum("ij,ij->i", unit[: len(unit) // 2 * 2 : 2], unit[1::2]),
        apart=pair_distances(canonical, pairs),
        threads=np.array([neighbours_in_time(each) for each in maps.own]),
        walk_threads=np.array([neighbours_in_time(each) for each in maps.walks]),
        joint_rank=rank_correlation(paths[: len(maps.joint)], maps.joint),
        own_rank=rank_correlation(paths[: len(maps.joint)], maps.own[: len(maps.joint)]),
    )


def neighbours_in_time(points: Float[np.ndarray, "S 2"], count: int = _NEIGHBOURS) -> float:
    """Share of the `count` nearest places of each place that are no more than `count` steps from it.

    One for places in a row, about 2 count / S for places in random order.
    """
    from scipy.spatial import KDTree

    _, nearest = KDTree(points).query(points, count + 1)
    steps = np.abs(nearest - np.arange(len(points))[:, None])
    return float(((steps > 0) & (steps <= count)).sum() / (count * len(points)))


def rank_correlation(paths: Float[np.ndarray, "F S P"], points: Float[np.ndarray, "F S 2"], every: int = 10) -> float:
    """Spearman's correlation of the distances between places of different fits, in truth and on a map; NaN for one fit.

    Args:
        paths: the places.
        points: the same on the map.
        every: takes every so many-th step.
    """
    pairs = np.stack(np.triu_indices(len(paths), 1), axis=1)
    if not len(pairs):
        return float("nan")

    def between(places):
        some = places[:, ::every]
        return np.concatenate(
            [np.linalg.norm(some[i][:, None] - some[j][None], axis=2).ravel() for i, j in pairs.tolist()]
        )

    ranks = [stats.rankdata(between(places)) for places in (paths, points)]
    return float(np.corrcoef(ranks)[0, 1])


def _paths_table(measures: Measures) -> pd.DataFrame:
    names = ("directedness", "walk_directedness", "length", "distance")
    return pd.DataFrame({"fit": np.arange(len(measures.length)), **{name: getattr(measures, name) for name in names}})


def _maps_table(measures: Measures) -> pd.DataFrame:
    rows = [
        {"map": "t-SNE of one fit", "measure": "neighbours in time", "values": measures.threads},
        {"map": "t-SNE of a random walk", "measure": "neighbours in time", "values": measures.walk_threads},
        {"map": "t-SNE of all fits", "measure": "rank correlation of distances", "values": [measures.joint_rank]},
        {"map": "t-SNE of each fit", "measure": "rank correlation of distances", "values": [measures.own_rank]},
    ]
    flat = [{**row, "values": value, "number": n} for row in rows for n, value in enumerate(row["values"])]
    return pd.DataFrame(flat).rename(columns={"values": "value"})


def _figures(config: PlaceboConfig, trace, paths, maps: Maps):
    epochs = np.arange(1, paths.shape[1] + 1)
    units = np.repeat(np.arange(config.hidden), config.inputs)
    figure, axes = new_figure(2)
    axes[0].plot(np.arange(trace.shape[1]), trace[0], lw=1.4)
    axes[0].set(title="Example 2: loss of one fit of noise", xlabel="epoch", ylabel="mean squared error")
    weight_paths(epochs, paths[0], colors=units, title="Its first-layer weights, coloured by unit", ax=axes[1])
    figures = {"example-2-loss-and-weights": figure}
    figure, axes = new_figure(3, width=5.6, height=4.4)
    path_map(maps.own[:1], epochs, title="Example 2: t-SNE of the weights", axis="t-SNE", colorbar=False, ax=axes[0])
    first = principal_map(paths[:1])
    path_map(first.points, epochs, title=_explained(first), colorbar=False, ax=axes[1])
    path_map(maps.walks[:1], epochs, title="t-SNE of a random walk of the same steps", axis="t-SNE", ax=axes[2])
    figures["example-2-paths-of-weights"] = figure
    names = [f"run {index + 1}" for index in range(len(maps.joint))]
    figure, axes = new_figure(3, width=5.6, height=4.4)
    title = "Example 3: t-SNE maps made run by run, overlaid"
    path_map(maps.own[: len(names)], epochs, names=names, title=title, axis="t-SNE", colorbar=False, ax=axes[0])
    path_map(
        maps.joint, epochs, names=names, title="One t-SNE map of all runs", axis="t-SNE", colorbar=False, ax=axes[1]
    )
    path_map(maps.principal.points, epochs, names=names, title=_explained(maps.principal), ax=axes[2])
    figures["example-3-paths-of-several-runs"] = figure
    return figures


def _explained(found: PrincipalMap) -> str:
    return f"Principal components: {found.explained[0]:.0%} and {found.explained[1]:.0%}"


def _claims(measures: Measures, fits: int) -> list[Claim]:
    return [
        _trajectory(measures),
        _visible(measures),
        _moved(measures),
        *_several(measures, fits),
        _projection(measures),
    ]


def _trajectory(measures: Measures) -> Claim:
    walk = float(np.quantile(measures.walk_directedness, 0.975))
    return claim(
        "example 2",
        "the weights do not move at random but follow a trajectory",
        "a trajectory",
        f"directedness {mean_text(measures.directedness, 1)}; random walks {mean_text(measures.walk_directedness, 2)}",
        sample_interval(measures.directedness)[0] if len(measures.directedness) > 1 else None,
        Above(walk, "for the whole interval: nearly all random walks of the same steps lie below"),
        "squared distance from start to end over the sum of the squared steps: 1 in the mean for a random walk",
    )


def _visible(measures: Measures) -> Claim:
    own, walk = float(np.mean(measures.threads)), float(np.mean(measures.walk_threads))
    return claim(
        "example 2",
        "the t-SNE picture shows that the points are not just random",
        "shows it",
        f"neighbours on the map are neighbours in time: {own:.0%} for fits, {walk:.0%} for random walks "
        f"(n = {len(measures.threads)} each)",
        walk,
        Below(0.75 * own, "% for random walks with steps of the same lengths: three quarters of the fits'"),
        f"of the {_NEIGHBOURS} nearest places, those within {_NEIGHBOURS} epochs; t-SNE draws a thread through "
        "any walk",
    )


def _moved(measures: Measures) -> Claim:
    low = sample_interval(measures.distance)[0]
    return claim(
        "example 2",
        "training changes the weights of the first layer",
        "changed",
        f"they move by {mean_text(measures.distance, 2)} along a way of {mean_text(measures.length, 2)}",
        low if np.isfinite(low) else None,
        Above(0, "for the whole interval"),
        "L2 norm over 200 weights, from the first epoch to the last",
    )


def _several(measures: Measures, fits: int) -> list[Claim]:
    pairs, closest = len(measures.apart), float(measures.apart.min(initial=np.inf))
    median = float(np.median(measures.apart)) if pairs else float("nan")
    return [
        claim(
            "example 3",
            "each run ends with other weights",
            "different",
            f"closest of {pairs:,} pairs {closest:.2f} apart, median {median:.2f}",
            closest if pairs else None,
            Above(_SAME, "for the closest"),
            f"{fits} fits of one set of noise; distances after symmetrisation, so that two orders of the same units, "
            "or scalings of them, would count as the same",
        ),
        claim(
            "example 3",
            "the trajectories of different runs differ slightly",
            "slightly different",
            f"cosine between the ways that two runs go: {mean_text(measures.cosine)}" if pairs else "one run",
            np.mean(measures.cosine) if pairs else None,
            Above(0.5, "for the mean"),
            "first-layer weights, from the first epoch to the last, in disjoint pairs of runs. They have nothing in "
            "common: units of different runs are not the same units",
        ),
    ]


def _projection(measures: Measures) -> Claim:
    joint, own = measures.joint_rank, measures.own_rank
    return claim(
        "example 3",
        "the runs are plotted on the same t-SNE projection",
        "the same",
        f"rank correlation of distances between runs, on the map and in truth: {own:.2f} as the program makes it, "
        f"{joint:.2f} on one map",
        own if np.isfinite([own, joint]).all() else None,
        Above(0.75 * joint, "as the program makes it: three quarters of that on one map"),
        "the program fits a projection to each run and lays them over each other",
    )


ANALYSIS = Analysis(
    quick=ExamplesSettings(),
    paper=ExamplesSettings(fits=256, mapped=16),
    find=find,
)
