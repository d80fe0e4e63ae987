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
from jaxland.replications.placebo.comparable import mean_text, not_comparable
from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.replications.placebo.statements import STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import starting_points

_SHOWN = 3
"""Runs of the source's example 3."""
_NEIGHBOURS = 5


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
    reason = not_comparable(context.config, context.settings.epochs)
    return Findings(
        {
            "paths.csv": _paths_table(measures),
            "ways.csv": _ways_table(measures),
            "maps.csv": _maps_table(measures),
            "distances.csv": distances_table(measures),
        },
        _figures(trained["trace"], paths, maps),
        judged_unless(reason, _claims(measures)),
        captions=_captions(measures),
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
    norm: Float[np.ndarray, "F"]
    """Of the first place."""
    likeness: Float[np.ndarray, "half"]
    """Of the ways that two fits have gone, for fits 0 and 1, 2 and 3, and so on: see `way_likeness`."""
    apart: Float[np.ndarray, "pairs"]
    """Between the ends of two fits, symmetrised."""
    starts_apart: Float[np.ndarray, "pairs"]
    """Between their starts, likewise."""
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
    starts = starting_points(config.network, np.arange(len(paths)), seed=config.seed)
    ends, begun = (symmetrise(config.network, each.astype(np.float64)).params for each in (params, starts))
    return Measures(
        directedness=directedness(paths),
        walk_directedness=directedness(random_walks_like(paths, seed=config.seed)),
        length=np.linalg.norm(np.diff(paths, axis=1), axis=2).sum(axis=1),
        distance=np.linalg.norm(moved, axis=1),
        norm=np.linalg.norm(paths[:, 0], axis=1),
        likeness=way_likeness(moved.reshape(len(moved), config.hidden, config.inputs), seed=config.seed),
        apart=pair_distances(ends, pairs),
        starts_apart=pair_distances(begun, pairs),
        threads=np.array([neighbours_in_time(each) for each in maps.own]),
        walk_threads=np.array([neighbours_in_time(each) for each in maps.walks]),
        joint_rank=rank_correlation(paths[: len(maps.joint)], maps.joint),
        own_rank=rank_correlation(paths[: len(maps.joint)], maps.own[: len(maps.joint)]),
    )


def way_likeness(moved: Float[np.ndarray, "F K C"], *, seed: int, draws: int = 64) -> Float[np.ndarray, "half"]:
    """How alike the ways of fits 0 and 1, 2 and 3, and so on are, when units are exchanged to make them most alike.

    Unit k of one fit need not be unit k of another, so the cosine is the largest over all exchanges; and the largest of
    so many is above 0 for any two fits. It is told as (cosine - chance) / (1 - chance), where chance is the mean of the
    same with each unit of the second fit turned at random: 1 for one way but for the order of units, 0 in the mean for
    units that have nothing to do with each other.

    Args:
        moved: how far the C weights of each of K units have gone.
        seed: of the turns.
        draws: of them, for each pair.
    """
    random = np.random.default_rng(seed)
    found = []
    for one, two in zip(moved[: len(moved) // 2 * 2 : 2], moved[1::2], strict=True):
        turned = random.normal(size=(draws, *two.shape))
        turned *= np.linalg.norm(two, axis=1, keepdims=True) / np.linalg.norm(turned, axis=2, keepdims=True)
        chance = np.mean([_matched_cosine(one, each) for each in turned])
        found.append((_matched_cosine(one, two) - chance) / (1 - chance))
    return np.array(found)


def _matched_cosine(one: Float[np.ndarray, "K C"], two: Float[np.ndarray, "K C"]) -> float:
    from scipy.optimize import linear_sum_assignment

    products = one @ two.T
    return float(
        products[linear_sum_assignment(products, maximize=True)].sum() / np.sqrt((one**2).sum() * (two**2).sum())
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


def _ways_table(measures: Measures) -> pd.DataFrame:
    first = 2 * np.arange(len(measures.likeness))
    return pd.DataFrame({"fit": first, "other": first + 1, "likeness": measures.likeness})


def _maps_table(measures: Measures) -> pd.DataFrame:
    rows = [
        {"map": "t-SNE of one fit", "measure": "neighbours in time", "values": measures.threads},
        {"map": "t-SNE of a random walk", "measure": "neighbours in time", "values": measures.walk_threads},
        {"map": "t-SNE of all fits", "measure": "rank correlation of distances", "values": [measures.joint_rank]},
        {"map": "t-SNE of each fit", "measure": "rank correlation of distances", "values": [measures.own_rank]},
    ]
    flat = [{**row, "values": value, "number": n} for row in rows for n, value in enumerate(row["values"])]
    return pd.DataFrame(flat).rename(columns={"values": "value"})


def distances_table(measures: Measures) -> pd.DataFrame:
    """The closest pair of fits and the middle one, at their ends and at their starts."""
    places = {"ends": measures.apart, "starts": measures.starts_apart}
    rows = [
        {"of": name, "fits": len(measures.length), "pairs": len(each)}
        | {"closest": each.min(initial=np.inf), "median": np.median(each) if len(each) else np.nan}
        for name, each in places.items()
    ]
    return pd.DataFrame(rows)


def _figures(trace, paths, maps: Maps):
    epochs = np.arange(1, paths.shape[1] + 1)
    figure, axes = new_figure(2, height=2.8)
    axes[0].plot(np.arange(trace.shape[1]), trace[0], lw=1.4)
    axes[0].set(title="Example 2: loss of one fit of noise", xlabel="epoch", ylabel="mean squared error")
    weight_paths(epochs, paths[0], title="Its first-layer weights", ax=axes[1])
    figures = {"example-2-loss-and-weights": figure}
    figure, axes = new_figure(3, height=2.3)
    path_map(maps.own[:1], epochs, title="Example 2: t-SNE of the weights", axis="t-SNE", colorbar=False, ax=axes[0])
    first = principal_map(paths[:1])
    path_map(first.points, epochs, title=_explained(first), colorbar=False, ax=axes[1])
    path_map(maps.walks[:1], epochs, title="t-SNE of a random walk", axis="t-SNE", ax=axes[2])
    figures["example-2-paths-of-weights"] = figure
    names = [f"run {index + 1}" for index in range(len(maps.joint))]
    figure, axes = new_figure(3, height=2.3)
    title = "Example 3: a map of each, overlaid"
    path_map(maps.own[: len(names)], epochs, names=names, title=title, axis="t-SNE", colorbar=False, ax=axes[0])
    path_map(maps.joint, epochs, names=names, title="One t-SNE map of all", axis="t-SNE", colorbar=False, ax=axes[1])
    path_map(maps.principal.points, epochs, names=names, title=_explained(maps.principal), ax=axes[2])
    figures["example-3-paths-of-several-runs"] = figure
    return figures


def _explained(found: PrincipalMap) -> str:
    return f"Principal components: {found.explained[0]:.0%} and {found.explained[1]:.0%}"


def _claims(measures: Measures) -> list[Claim]:
    return [
        moved_claim(measures),
        trajectory_claim(measures),
        visible_claim(measures),
        other_weights_claim(distances_table(measures)),
        slightly_claim(measures.likeness),
        projection_claim(measures),
    ]


def trajectory_claim(measures: Measures) -> Claim:
    """Of the directedness of paths, and of random walks with the same steps."""
    return STATEMENTS["trajectory"].claim(
        f"directedness {mean_text(measures.directedness, 1)}; random walks {mean_text(measures.walk_directedness, 2)}",
        _paired(measures.directedness - measures.walk_directedness),
        cases=len(measures.directedness),
        detail="squared distance from start to end over the sum of the squared steps: 1 in the mean for a random walk",
    )


def visible_claim(measures: Measures) -> Claim:
    """Of how far maps keep places together that follow each other, for paths and for random walks."""
    own, walk = float(np.mean(measures.threads)), float(np.mean(measures.walk_threads))
    return STATEMENTS["visible"].claim(
        f"neighbours on the map are neighbours in time: {own:.0%} for fits, {walk:.0%} for random walks "
        f"(n = {len(measures.threads)} each)",
        _paired(measures.walk_threads / measures.threads),
        cases=len(measures.threads),
        detail=f"of the {_NEIGHBOURS} nearest places, those within {_NEIGHBOURS} epochs; t-SNE draws a thread through "
        "any walk",
    )


def moved_claim(measures: Measures) -> Claim:
    """Of how far the weights have moved, in units of their norm at the start."""
    return STATEMENTS["moved"].claim(
        f"they move by {mean_text(measures.distance, 2)} along a way of {mean_text(measures.length, 2)}, from a "
        f"norm of "
        f"{mean_text(measures.norm, 2)}",
        _paired(measures.distance / measures.norm),
        cases=len(measures.distance),
        detail="L2 norm over 200 weights, from the first epoch to the last",
    )


def _paired(values: Float[np.ndarray, "F"]) -> Estimate | None:
    return Estimate.mean(values) if len(values) > 1 else None


def other_weights_claim(table: pd.DataFrame) -> Claim:
    """Of the distances between the ends of all pairs, beside those of their starts, as in `distances.csv`."""
    ends, starts = table.to_dict("records")
    return STATEMENTS["other-weights"].claim(
        f"closest of {ends['pairs']:,} pairs {ends['closest']:.2f} apart, median {ends['median']:.2f}; their starts "
        f"{starts['closest']:.2f} and {starts['median']:.2f}",
        ends["closest"] if ends["pairs"] else None,
        cases=ends["fits"],
        detail=f"{ends['fits']} fits of one set of noise; distances after symmetrisation, so that two orders of the "
        "same units, or scalings of them, would count as the same",
    )


def slightly_claim(likeness: Float[np.ndarray, "half"]) -> Claim:
    """Of how alike the ways of two fits are."""
    return STATEMENTS["slightly"].claim(
        f"likeness of the ways that two runs go: {mean_text(likeness)}" if len(likeness) else "one run",
        _paired(likeness),
        cases=len(likeness),
        detail="cosine of the first-layer weights' ways from the first epoch to the last, the largest over all "
        "exchanges of units, 0 for units turned at random and 1 for the same way; in disjoint pairs of runs",
    )


def projection_claim(measures: Measures) -> Claim:
    """Of what maps keep of the distances between runs."""
    joint, own = measures.joint_rank, measures.own_rank
    return STATEMENTS["projection"].claim(
        f"rank correlation of distances between runs, on the map and in truth: {own:.2f} as the program makes it, "
        f"{joint:.2f} on one map",
        own / joint if np.isfinite([own, joint]).all() else None,
        detail="three runs; the program fits a projection to each and lays them over each other",
    )


def _captions(measures: Measures) -> dict[str, str]:
    return {
        "example-2-loss-and-weights": "Example 2: the loss of one fit of noise falls while its first-layer "
        "weights move by "
        f"{measures.distance[0]:.1f} along a way of {measures.length[0]:.1f}.",
        "example-2-paths-of-weights": "Paths of the weights on maps by t-SNE and principal components: t-SNE "
        "draws a thread "
        f"through a random walk too (neighbours in time: {np.mean(measures.threads):.0%} of fits', "
        f"{np.mean(measures.walk_threads):.0%} of walks').",
        "example-3-paths-of-several-runs": "Three runs on maps of their own laid over each other, as the "
        "source's program does, "
        "on one map, and by principal components: the overlay keeps "
        f"{measures.own_rank:.2f} of the order of distances between runs, one map {measures.joint_rank:.2f}.",
    }


ANALYSIS = Analysis(
    quick=ExamplesSettings(),
    paper=ExamplesSettings(fits=256, mapped=16),
    find=find,
)
