"""Figures 7 and 8 many times: surfaces over many seeds, and how many of them are what."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.figure import Figure
from scipy.stats import linregress, t

from jaxland.landscape import Features, coordinate_plane, surface, surface_features
from jaxland.plots import surface_gallery
from jaxland.replications.surfaces.config import SurfacesConfig
from jaxland.replications.surfaces.landscape import NONCONVEX, OTHERS, Cost, costs, window
from jaxland.replications.surfaces.weights import source_weights
from jaxland.statistics import sample_interval, wilson_interval
from jaxland.studies import Above, All, Analysis, Below, Claim, Clear, Context, Each, Findings, claim, untested

# Surfaces of a piece: some seconds of work.
_PIECE = 100
_COUNTS = ("minima", "edge_minima", "saddles", "maxima")
_SHOWN = 24
_COLUMNS = 6


@dataclass(frozen=True)
class GallerySettings:
    """Scale of the gallery."""

    seeds: int = 100
    """Surfaces over each pair of weights: seeds 0, 1, 2, ..."""
    grid: int = 40
    """Points along each axis of the window."""
    depths: tuple[tuple[int, ...], ...] = ((500,), (50, 500), (50, 50, 500), (50, 50, 50, 500))
    """Hidden layers of the networks that are compared by depth; two weights of the last layer are free."""
    gallery: int = _SHOWN
    """Surfaces shown in a figure."""


class Sample(NamedTuple):
    """Surfaces over one pair of weights."""

    name: str
    hidden: int
    """Layers."""
    entries: tuple[str, str]
    cost: Cost
    features: dict[str, np.ndarray]
    """Of the surfaces, by name."""
    shown: Float[np.ndarray, "K B A"]
    """The first surfaces."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.features["seed"])


def find(context: Context) -> Findings:
    """Surfaces by the hundred; every block of seeds is kept."""
    config, settings = context.config, context.settings
    samples = [_sample(context, name, config, entries, seen) for name, entries, seen in _pairs(config)]
    by_depth = [_by_depth(context, config, hidden) for hidden in settings.depths]
    figures = {f"gallery-{each.name}": _figure(each, settings.grid) for each in samples}
    every = {each.name: each for each in [*samples, *by_depth]}
    tables = {"gallery.csv": _table(every), "gallery-shares.csv": _shares(every)}
    return Findings(tables, figures, _claims(config, samples, by_depth))


def _pairs(config: SurfacesConfig):
    """Pairs of weights: those of the last layer, and those of the document's figures 7 and 8 where they exist."""
    yield "last-layer", config.entries, config.samples
    names = set(costs(config, config.samples).network.entry_names)
    for number, (first, second, seen) in enumerate(OTHERS, start=7):
        if {first, second} <= names:
            yield f"second-layer-{number}", (first, second), seen


def _by_depth(context: Context, config: SurfacesConfig, hidden: tuple[int, ...]) -> Sample:
    units = tuple(min(unit, hidden[-1] - 2 + index) for index, unit in enumerate(config.units))
    deeper = replace(config, hidden=hidden, units=units)
    return _sample(context, f"hidden-layers-{len(hidden)}", deeper, deeper.entries, config.samples)


def _sample(context: Context, name: str, config: SurfacesConfig, entries: tuple[str, str], seen: int) -> Sample:
    settings: GallerySettings = context.settings
    cost = costs(config, seen)
    kept = context.pieces(name, range(settings.seeds), partial(_block, cost, entries, settings), _PIECE)
    # What was kept before is read back in the order of the alphabet.
    features = {key: kept[key] for key in ("seed", *Features._fields)}
    return Sample(name, len(config.hidden), entries, cost, features, kept["shown"])


def _block(cost: Cost, entries: tuple[str, str], settings: GallerySettings, seeds: range) -> dict[str, np.ndarray]:
    """Features of the surfaces of some seeds, and those of them that are shown."""
    rows, shown = [], []
    for seed in seeds:
        plane = coordinate_plane(source_weights(cost.network, seed), entries, cost.network)
        loss = surface(cost.objective, plane, *window(settings.grid)).loss
        found = surface_features(loss)._asdict()
        rows.append({"seed": seed, **{key: len(value) if key in _COUNTS else value for key, value in found.items()}})
        if seed < settings.gallery:
            shown.append(loss)
    columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
    return columns | {"shown": np.array(shown).reshape(-1, settings.grid, settings.grid)}


def _figure(sample: Sample, grid: int) -> Figure:
    counts = zip(*(sample.features[key] for key in ("seed", "minima", "saddles")), strict=True)
    titles = [f"{seed}: {minima} min, {saddles} sad" for seed, minima, saddles in counts]
    first, second = sample.entries
    heading = f"Seeds 0 to {len(sample.shown) - 1}, {sample.cost.samples:,} samples: minima and saddles in the window"
    labels = f"$w_a$ = {first}", f"$w_b$ = {second}"
    return surface_gallery(
        *window(grid), sample.shown, titles[: len(sample.shown)], columns=_COLUMNS, heading=heading, labels=labels
    )


def _table(every: dict[str, Sample]) -> pd.DataFrame:
    frames = []
    for name, each in every.items():
        frame = pd.DataFrame(each.features)
        frame.insert(0, "sample", name)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _shares(every: dict[str, Sample]) -> pd.DataFrame:
    return pd.DataFrame([_row(each) for each in every.values()])


def _row(sample: Sample) -> dict:
    features, count = sample.features, sample.count
    row = {"sample": sample.name, "hidden_layers": sample.hidden, "first_weight": sample.entries[0]}
    row |= {"second_weight": sample.entries[1], "samples": sample.cost.samples, "surfaces": count}
    shares = {
        "nonconvex": features["nonconvexity"] > NONCONVEX,
        "with_minimum": features["minima"] > 0,
        "with_two_minima": features["minima"] > 1,
        "with_saddle": features["saddles"] > 0,
    }
    for key, which in shares.items():
        row[key] = which.mean()
        row[f"{key}_low"], row[f"{key}_high"] = wilson_interval(int(which.sum()), count)
    for key in ("nonconvexity", "minima", "saddles", "plateau"):
        values = features[key].astype(float)
        row[f"mean_{key}"] = values.mean()
        row[f"mean_{key}_low"], row[f"mean_{key}_high"] = sample_interval(values)
    return row


def _claims(config: SurfacesConfig, samples: list[Sample], by_depth: list[Sample]) -> list[Claim]:
    data = f"the document's window on {config.name_of_data}"
    return [
        _nonconvex(samples, data),
        _lows(samples, data),
        _not_all(samples[0], data),
        *([_depth(by_depth, data)] if len(by_depth) > 1 else []),
        untested(
            "section Gradient descent",
            "local minima are very rare in many dimensions, and saddles the greater trouble",
            "cited from others",
            "-",
            "a plane cannot tell: what is a minimum in it may be a saddle beside it; spectra of the sawtooth study "
            "look at all dimensions",
        ),
    ]


def _share(which: Bool[np.ndarray, "F"]) -> tuple[str, tuple[float, float]]:
    low, high = wilson_interval(int(which.sum()), len(which))
    return f"{which.mean():.0%} ({low:.0%} to {high:.0%})", (low, high)


def _nonconvex(samples: list[Sample], data: str) -> Claim:
    found = [_share(each.features["nonconvexity"] > NONCONVEX) for each in samples]
    texts = [f"{text} of {each.name}" for each, (text, _) in zip(samples, found, strict=True)]
    return claim(
        "3, 7, 8",
        "surfaces over two weights of a neural network are not convex",
        "typical features of non-convex landscapes",
        "not convex: " + ", ".join(texts),
        [low for _, (low, _) in found],
        Each(Above(0.5, "%, interval included")),
        f"{samples[0].count:,} seeds of each, {data}; not convex means more than {NONCONVEX:.0%} of its range "
        "above the convex envelope",
    )


def _lows(samples: list[Sample], data: str) -> Claim:
    found = [
        f"{each.name}: minimum {_share(each.features['minima'] > 0)[0]}, two or more "
        f"{_share(each.features['minima'] > 1)[0]}, saddle {_share(each.features['saddles'] > 0)[0]}"
        for each in samples
    ]
    return claim(
        "3, 7, 8",
        "local minima, ridges and saddles are typical of such surfaces",
        "typical features",
        "; ".join(found),
        [(each.features["minima"] > 1).mean() for each in samples],
        Each(Above(0.5, "% with two local minima")),
        f"{samples[0].count:,} seeds of each, {data}; inside the window, persistence above a thousandth of the range",
    )


def _not_all(sample: Sample, data: str) -> Claim:
    values = sample.features["nonconvexity"]
    text, (_, high) = _share(values > NONCONVEX)
    shares = np.quantile(values, [0, 0.1, 0.5, 0.9, 1])
    quantiles = ", ".join(f"{value:.0%}" for value in shares)
    return claim(
        "section Gradient descent",
        "not all landscapes are so non-convex in the window",
        "not all",
        f"{text} are not convex; height above the convex envelope: {quantiles} of the range (least, tenth, half, nine "
        "tenths, most)",
        (high, shares[1]),
        All({"the interval ends": Below(1, "%"), "a tenth of all lie": Below(0.5 * shares[2], "%, half the median")}),
        f"{len(values):,} seeds, last layer, {data}",
    )


def _depth(samples: list[Sample], data: str) -> Claim:
    means = [each.features["nonconvexity"].mean() for each in samples]
    intervals = [sample_interval(each.features["nonconvexity"]) for each in samples]
    slope, low, high = _slope(samples)
    texts = [
        f"{each.hidden} hidden: {mean:.2f} ({least:.2f} to {most:.2f})"
        for each, mean, (least, most) in zip(samples, means, intervals, strict=True)
    ]
    return claim(
        "section Gradient descent",
        "the deeper the network, the less convex the landscape",
        "highly non-convex for deep networks",
        f"height above the convex envelope, as a share of the range, rises by {slope:.3f} ({low:.3f} to {high:.3f}) "
        f"with each hidden layer; means: {', '.join(texts)}",
        (low, high),
        Clear(0),
        f"{samples[0].count:,} seeds of each, two weights of the last layer, {data}; regression with its 95 % interval",
    )


def _slope(samples: list[Sample]) -> tuple[float, float, float]:
    """By how much the height above the convex envelope rises with each hidden layer, and its 95 % interval."""
    layers = np.concatenate([np.full(each.count, each.hidden) for each in samples])
    found: Any = linregress(layers, np.concatenate([each.features["nonconvexity"] for each in samples]))
    half = t.ppf(0.975, len(layers) - 2) * found.stderr
    return float(found.slope), float(found.slope - half), float(found.slope + half)


ANALYSIS = Analysis(
    quick=GallerySettings(),
    paper=GallerySettings(seeds=1000),
    find=find,
)
