"""Figures 7 and 8 many times: surfaces over many seeds, and how many of them are what."""

from collections.abc import Callable, Mapping
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
from jaxland.replications.surfaces.config import GRID, SurfacesConfig
from jaxland.replications.surfaces.landscape import OTHERS, Cost, costs, window
from jaxland.replications.surfaces.statements import NONCONVEX, STATEMENTS
from jaxland.replications.surfaces.weights import source_weights
from jaxland.statistics import Estimate, sample_interval, wilson_interval
from jaxland.studies import Analysis, Claim, Context, Findings, measurement

# Surfaces of a piece: some seconds of work.
_PIECE = 100
_COUNTS = ("minima", "edge_minima", "saddles", "maxima")
# Samples of the document's larger surface, with which minima are counted once more.
_MOST_SAMPLES = 10_000
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
    seen = config.samples, costs(config, _MOST_SAMPLES).samples
    few, many = (_newton(context, each) for each in seen)
    minima = {f"samples_{each}": found for each, found in zip(seen, (few, many), strict=True)}
    tables["newton-minima.csv"] = pd.DataFrame({name: pd.Series(found) for name, found in minima.items()})
    tables["newton-minima.csv"].insert(0, "seed", np.arange(len(few)))
    claims = [
        *_claims(config, samples, by_depth),
        _by_newton(samples[0], few),
        _by_samples(few[: len(many)], many, seen),
    ]
    return Findings(tables, figures, claims, captions=_captions(samples))


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
    titles = [f"{seed}{_told('▽', minima)}{_told('◇', saddles)}" for seed, minima, saddles in counts]
    first, second = sample.entries
    seeds = f"Seeds 0 to {len(sample.shown) - 1}, {sample.cost.samples:,} samples"
    heading = f"{seeds}: minima (▽) and saddles (◇) in the window, lowest and highest cost"
    labels = f"$w_a$ = {first}", f"$w_b$ = {second}"
    return surface_gallery(
        *window(grid), sample.shown, titles[: len(sample.shown)], columns=_COLUMNS, heading=heading, labels=labels,
        zlabel="cost, from the lowest to the highest of each surface",
    )  # fmt: skip


def _told(sign: str, count: int) -> str:
    return f"  {count} {sign}" if count else ""


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
    found = {each.name: _share(each.features["nonconvexity"] > NONCONVEX) for each in samples}
    least = min(each.count for each in samples)
    claims = [not_convex_claim(found, least), lows_claim(samples), not_all_claim(samples[0])]
    claims += [deeper_claim(by_depth)] if len(by_depth) > 1 else []
    about = f"{samples[0].count:,} seeds of each, the document's window on {config.name_of_data}"
    return [each._replace(detail=f"{about}; {each.detail}".removesuffix("; ")) for each in claims]


def _share(which: Bool[np.ndarray, "F"]) -> Estimate:
    return Estimate.share(int(which.sum()), len(which))


def not_convex_claim(found: Mapping[str, Estimate], least: int) -> Claim:
    """Of surfaces over several pairs of weights, at least as many of each: which share is not convex."""
    return STATEMENTS["not-convex"].claim(
        "not convex: " + ", ".join(f"{share:.1%} of {name}" for name, share in found.items()),
        list(found.values()),
        cases=least,
        detail=f"not convex means more than {NONCONVEX:.0%} of its range above the convex envelope",
    )


def lows_claim(samples: list[Sample]) -> Claim:
    """Of the same: how many have two local minima or more."""
    found = [_share(each.features["minima"] > 1) for each in samples]
    texts = [
        f"{each.name}: a minimum {_share(each.features['minima'] > 0):.1%}, two or more {two:.1%}, a saddle "
        f"{_share(each.features['saddles'] > 0):.1%}"
        for each, two in zip(samples, found, strict=True)
    ]
    return STATEMENTS["lows"].claim(
        "; ".join(texts),
        found,
        cases=min(each.count for each in samples),
        detail="inside the window, persistence above a thousandth of the range",
    )


def not_all_claim(sample: Sample) -> Claim:
    """Of surfaces over one pair of weights: whether some are convex."""
    values = sample.features["nonconvexity"]
    share = _share(values > NONCONVEX)
    quantiles = ", ".join(f"{value:.0%}" for value in np.quantile(values, [0, 0.1, 0.5, 0.9, 1]))
    return STATEMENTS["not-all"].claim(
        f"{share:.1%} are not convex; height above the convex envelope: {quantiles} of the range (least, tenth, "
        "half, nine tenths, most)",
        share,
        cases=len(values),
    )


def deeper_claim(samples: list[Sample]) -> Claim:
    """Of surfaces of networks of several depths: how four signs of barriers change with each hidden layer."""
    slopes = {name: _slope(samples, sign) for name, sign in _SIGNS.items()}
    return STATEMENTS["deeper"].claim(
        "with each hidden layer " + "; ".join(f"{name} changes by {slope}" for name, slope in slopes.items()),
        list(slopes.values()),
        cases=min(each.count for each in samples),
        detail="two weights of the last layer; regressions with their 95 % intervals",
    )


_SIGNS: dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]] = {
    "the height above the convex envelope": lambda features: features["nonconvexity"],
    "the share that is not convex": lambda features: features["nonconvexity"] > NONCONVEX,
    "the share with a saddle": lambda features: features["saddles"] > 0,
    "the share with two minima": lambda features: features["minima"] > 1,
}


def _slope(samples: list[Sample], sign: Callable[[dict[str, np.ndarray]], np.ndarray]) -> Estimate:
    """By how much a sign changes with each hidden layer."""
    layers = np.concatenate([np.full(each.count, each.hidden) for each in samples])
    found: Any = linregress(layers, np.concatenate([sign(each.features) for each in samples]).astype(float))
    half = t.ppf(0.975, len(layers) - 2) * found.stderr
    return Estimate(float(found.slope), float(found.slope - half), float(found.slope + half))


def _newton(context: Context, samples: int) -> np.ndarray:
    """How many minima Newton's method finds in the window, for each seed of the last layer."""
    config, settings = context.config, context.settings

    def count(seeds: range) -> dict[str, np.ndarray]:
        return {"minima": np.array([len(config.pair(seed, samples).minima(*window(GRID))) for seed in seeds])}

    if samples == config.samples:
        return context.pieces("newton-last-layer", range(settings.seeds), count, _PIECE)["minima"]
    # Many samples take seconds a seed.
    return context.pieces(f"newton-last-layer-{samples}", range(min(settings.seeds, 200)), count, _PIECE)["minima"]


def _by_newton(sample: Sample, minima: np.ndarray) -> Claim:
    several, filtered = _share(minima > 1), _share(sample.features["minima"] > 1)
    return measurement(
        "how many surfaces of the last layer have two minima or more inside the window?",
        f"{int((minima > 1).sum())} of {len(minima):,} by Newton's method, {several:.1%}; "
        f"{int((sample.features['minima'] > 1).sum())} on the grid, {filtered:.1%}, where dents below a thousandth "
        "of the range do not count",
        detail=f"{len(minima):,} seeds; by Newton's method any number from {minima.min()} to {minima.max()}",
    )


def _by_samples(few: np.ndarray, many: np.ndarray, samples: tuple[int, int]) -> Claim:
    """Of the minima of the same weights with few and with many samples."""
    pairs = [(which(few), which(many)) for which in (lambda each: each > 0, lambda each: each > 1)]
    told = [
        f"{words} {_share(one):.1%} and {_share(other):.1%}, a difference of {Estimate.mean(other.astype(float) - one)}"
        for words, (one, other) in zip(("a minimum", "two or more"), pairs, strict=True)
    ]
    return measurement(
        f"what do {samples[1]:,} samples change that were {samples[0]:,}?",
        "; ".join(told),
        of="last layer",
        detail=f"minima inside the window by Newton's method, {len(few):,} seeds, the same weights for both",
    )


def _captions(samples: list[Sample]) -> dict[str, str]:
    return {
        f"gallery-{each.name}": f"The first {len(each.shown)} of {each.count:,} surfaces over two weights, "
        f"{each.name}: "
        f"{_share(each.features['nonconvexity'] > NONCONVEX).value:.0%} are not convex, "
        f"{_share(each.features['minima'] > 1).value:.1%} have two minima."
        for each in samples
    }


ANALYSIS = Analysis(
    quick=GallerySettings(),
    paper=GallerySettings(seeds=1000),
    find=find,
)
