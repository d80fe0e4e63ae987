"""Figures 8 to 10: paths of least energy from the global minimum to local minima."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes

from jaxland.landscape import (
    NebSettings,
    arc_lengths,
    energies_of,
    interpolate,
    outputs,
    refine,
    relax,
    straight_bands,
    turning_angles,
)
from jaxland.plots import (
    COLORS,
    LABELS,
    new_figure,
    path_angles,
    path_energies,
    path_outputs,
    path_with_interpolation,
)
from jaxland.problems import Evaluate
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.replications.sawtooth.wave import wave_shares
from jaxland.statistics import wilson_interval
from jaxland.studies import Analysis, Claim, Context, Findings, judged
from jaxland.training import gradients

# Stiff springs and short steps for the rough surface of a ReLU network; on straight bands of its fits these are springs
# of about 0.1, steps of 0.01 to 0.1 and a tolerance of 1e-3 in units of the loss and the parameters.
ROUGH = NebSettings(tolerance=1.6e-3, spring_constant=1.6, first_step=0.0025, longest_step=0.025)
_BETWEEN = 9
_SHOWN = 8
# Bands of a part: few enough that an interruption loses little.
_PART = 16
_NEAR = 0.15
"""The share of a path that counts as near the global minimum."""


@dataclass(frozen=True)
class PathSettings:
    """Scale of the paths."""

    bands: int = 8
    """Paths from W_f to fits of the first optimizer; the paper draws 100."""
    others: int = 4
    """Paths to fits of each further optimizer."""
    images: int = 50
    """Images of a band, ends included."""
    inserted: int = 10
    """Images put where energy or gaps are largest, after which the band is relaxed again."""
    steps: int = 4_000
    """Most steps of a band, before and after."""
    climb_after: int = 1_000
    """Step from which the highest image climbs."""


@dataclass(frozen=True)
class Paths:
    """Relaxed paths of one ensemble, from the global minimum to its fits."""

    fit: Int[np.ndarray, "B"]
    images: Float[np.ndarray, "B I P"]
    energies: Float[np.ndarray, "B I"]
    between: Float[np.ndarray, "B J"]
    """Energies of the images and of points on the straight lines between them."""
    residual: Float[np.ndarray, "B"]
    steps: Int[np.ndarray, "B"]
    reason: np.ndarray

    @property
    def lengths(self) -> Float[np.ndarray, "B I"]:
        """Distance of each image from the global minimum, along the path."""
        return arc_lengths(self.images)

    @property
    def angles(self) -> Float[np.ndarray, "B inner"]:
        """Turns at the inner images, radians."""
        return turning_angles(self.images)


def find(context: Context) -> Findings:
    """Relaxes the bands, a part at a time."""
    minimum = global_minimum(context.config)
    if minimum is None:
        return Findings({}, {}, [_not_possible()])
    settings: PathSettings = context.settings
    counts = {
        name: settings.others if index else settings.bands for index, name in enumerate(context.config.optimizers)
    }
    every = {name: _paths(context, name, count, minimum) for name, count in counts.items()}
    found = {name: paths for name, paths in every.items() if paths is not None}
    if not found:
        return Findings({}, {}, [_not_possible()])
    return Findings(_tables(found), _figures(context, found), _claims(context, found))


def _not_possible() -> Claim:
    return judged("8", "paths to the global minimum", "", "", None, "no finite fits of the target's own network")


def _paths(context: Context, ensemble: str, count: int, minimum) -> Paths | None:
    sample = first_fits(context.config, context.store, ensemble, count)
    evaluate = gradients(context.config.network, context.config.problem)
    parts = []
    for start in range(0, len(sample.fit), _PART):
        chosen = slice(start, start + _PART)
        name = f"{ensemble}-{start}-{len(sample.fit[chosen])}"
        ends, fits = sample.params[chosen], sample.fit[chosen]
        work = partial(relaxed_paths, evaluate, minimum, ends, fits, context.settings, context.threads)
        parts.append(context.parts.get(name, work))
        context.say(f"  {ensemble}: {min(start + _PART, len(sample.fit))} of {len(sample.fit)} paths")
    if not parts:
        return None
    return Paths(**{key: np.concatenate([part[key] for part in parts]) for key in parts[0]})


def relaxed_paths(
    evaluate: Evaluate,
    minimum: Float[np.ndarray, "P"],
    ends: Float[np.ndarray, "B P"],
    fits: Int[np.ndarray, "B"],
    settings: PathSettings,
    threads: int,
) -> dict[str, np.ndarray]:
    """The fields of `Paths` from a minimum to fits: relaxed, refined where a band is known least, relaxed again."""
    neb = replace(ROUGH, steps=settings.steps, climb_after=settings.climb_after)
    straight = straight_bands(minimum, ends, settings.images)
    coarse = relax(evaluate, straight, neb, threads=threads)
    fine = relax(evaluate, refine(evaluate, coarse.images, settings.inserted), neb, threads=threads)
    between = energies_of(evaluate, interpolate(fine.images, _BETWEEN))
    return {
        "fit": fits,
        "images": fine.images,
        "energies": fine.energies,
        "between": between,
        "residual": fine.residual,
        "steps": coarse.steps + fine.steps,
        "reason": fine.reason,
    }


def _tables(found: dict[str, Paths]) -> dict[str, pd.DataFrame]:
    return {
        "paths.csv": pd.concat([_summary(name, paths) for name, paths in found.items()], ignore_index=True),
        "path-images.csv": pd.concat([image_table(name, paths) for name, paths in found.items()], ignore_index=True),
    }


def _summary(name: str, paths: Paths) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ensemble": name,
            "fit": paths.fit,
            "end_loss": paths.energies[:, -1],
            "highest_image": paths.energies.max(axis=1),
            "highest_between": paths.between.max(axis=1),
            "length": paths.lengths[:, -1],
            "plunge": _plunge(paths),
            "bumps": _bumps(paths),
            "residual": paths.residual,
            "steps": paths.steps,
            "reason": paths.reason,
        }
    )


def image_table(name: str, paths: Paths) -> pd.DataFrame:
    """One row for every image of every path."""
    count = paths.energies.shape[1]
    return pd.DataFrame(
        {
            "ensemble": name,
            "fit": np.repeat(paths.fit, count),
            "image": np.tile(np.arange(count), len(paths.fit)),
            "length": paths.lengths.ravel(),
            "energy": paths.energies.ravel(),
            "angle": np.pad(paths.angles, ((0, 0), (1, 1)), constant_values=np.nan).ravel(),
        }
    )


def _plunge(paths: Paths) -> Float[np.ndarray, "B"]:
    """The share of each path, counted from W_f, on which the energy is below half of that at its end."""
    low = paths.energies < paths.energies[:, -1:] / 2
    last = paths.energies.shape[1] - 1 - np.argmax(low[:, ::-1], axis=1)
    reach = np.take_along_axis(paths.lengths, last[:, None], axis=1)[:, 0]
    return reach / paths.lengths[:, -1]


def _bumps(paths: Paths) -> Int[np.ndarray, "B"]:
    """Local maxima of the energy along each path that stand out by a hundredth of the energy at its end."""
    return np.array([_bumps_of(energies, 0.01 * energies[-1]) for energies in paths.energies])


def _bumps_of(energies, height) -> int:
    bumps, rising, turn = 0, True, energies[0]
    for energy in energies[1:]:
        if rising and energy < turn - height:
            bumps, rising, turn = bumps + 1, False, energy
        elif not rising and energy > turn + height:
            rising, turn = True, energy
        else:
            turn = max(turn, energy) if rising else min(turn, energy)
    return bumps


def _figures(context: Context, found: dict[str, Paths]):
    name, paths = next(iter(found.items()))
    shown = int(np.argsort(paths.energies.max(axis=1))[len(paths.fit) // 2])
    return {
        "figure-08-paths": _paths_figure(found, name, paths, shown),
        "figure-09-output-along-a-path": _outputs_figure(context, name, paths, shown),
        "figure-10-turns-along-a-path": _angles_figure(found, shown),
    }


def _paths_figure(found, name, paths: Paths, shown):
    figure, axes = new_figure(len(found) + 1)
    for ax, (each, those) in zip(axes, found.items(), strict=False):
        title = f"From $W_f$ to {len(those.fit)} fits: {LABELS[each]}"
        path_energies(those.lengths, those.energies, color=COLORS[each], title=title, ax=ax)
    draw_path(
        paths, shown, color=COLORS[name], title=f"The path to fit {paths.fit[shown]}, {LABELS[name]}", ax=axes[-1]
    )
    return figure


def draw_path(paths: Paths, shown: int, *, color: str, title: str, ax: Axes) -> None:
    """Draws one of the paths with the points between its images."""
    fine = arc_lengths(interpolate(paths.images[[shown]], _BETWEEN))[0]
    path_with_interpolation(
        paths.lengths[shown], paths.energies[shown], fine, paths.between[shown], color=color, title=title, ax=ax
    )


def _outputs_figure(context: Context, name, paths: Paths, shown):
    config = context.config
    x = np.linspace(-1, 1, 641)
    # Evenly along the path, and more densely where the fit plunges.
    ends = np.concatenate([np.linspace(0, _NEAR, 4)[:-1], np.linspace(_NEAR, 1, _SHOWN - 3)])
    share = paths.lengths[shown] / paths.lengths[shown, -1]
    chosen = np.unique([int(np.argmin(np.abs(share - end))) for end in ends])
    curves = outputs(config.network, paths.images[shown, chosen], x[:, None])[:, :, 0]
    figure, (left, right) = new_figure(2)
    lengths = paths.lengths[shown]
    left.plot(lengths, paths.energies[shown], "-", lw=1.4, color=COLORS[name])
    left.plot(lengths[chosen], paths.energies[shown, chosen], "o", color="black", ms=5, label="shown on the right")
    left.set(title="Energy", xlabel="distance from $W_f$ along the path", ylabel="mean squared error")
    left.legend()
    title = f"Output from $W_f$ (bottom) to fit {paths.fit[shown]} (top)"
    path_outputs(x, config.problem.target(x), curves, lengths[chosen], title=title, ax=right)
    return figure


def _angles_figure(found, shown):
    figure, axes = new_figure(len(found))
    for index, (ax, (name, paths)) in enumerate(zip(axes, found.items(), strict=True)):
        order = np.roll(np.arange(len(paths.fit)), -shown if index == 0 else 0)
        path_angles(
            paths.lengths[order][:, 1:-1],
            paths.angles[order],
            color=COLORS[name],
            title=f"Turns on the way from $W_f$: {LABELS[name]}",
            ax=ax,
        )
    return figure


def _claims(context: Context, found: dict[str, Paths]) -> list[Claim]:
    claims = []
    for name, paths in found.items():
        claims += [flat_then_plunge(name, paths), bumpy(name, paths), _twists(name, paths), _useless(name, paths)]
        claims.append(_spikes_last(context, name, paths))
    claims += [_slide(name, paths) for name, paths in found.items()]
    return judged_where_comparable(context.config, claims)


def _stops(paths: Paths) -> str:
    reasons, counts = np.unique(paths.reason, return_counts=True)
    stops = ", ".join(f"{count} {reason}" for reason, count in zip(reasons, counts, strict=True))
    return f"{len(paths.fit)} paths ({stops}; median residual {np.median(paths.residual):.1e})"


def flat_then_plunge(name: str, paths: Paths) -> Claim:
    """Figure 8, left: what the paths look like from the fits to the global minimum."""
    plunge = _plunge(paths)
    rest = paths.lengths > _NEAR * paths.lengths[:, -1:]
    level = paths.energies / paths.energies[:, -1:]
    flat = np.array([np.median(values[kept]) for values, kept in zip(level, rest, strict=True)])
    return judged(
        "8",
        f"{name}: paths from local minima are flat, until a dramatic drop near the global minimum",
        "flat, then a plunge",
        f"below half of the local minimum's loss only on the last {np.median(plunge):.0%} of the way; "
        f"{np.median(flat):.2f} times its loss before",
        bool(np.median(plunge) < 0.25 and 0.75 < np.median(flat) < 1.5),
        f"medians over {_stops(paths)}; agrees below 25 %, and for a level of 0.75 to 1.5 outside the last {_NEAR:.0%}",
    )


def bumpy(name: str, paths: Paths) -> Claim:
    """Figure 8: what the flat part looks like closely."""
    bumps = _bumps(paths)
    return judged(
        "8",
        f"{name}: the flat part is slightly bumpy",
        "slightly bumpy",
        f"median {np.median(bumps):.0f} bumps; highest image {np.median(paths.energies.max(1)):.5f}, "
        f"end {np.median(paths.energies[:, -1]):.5f}",
        bool(np.median(bumps) >= 1),
        "local maxima along a path that stand out by a hundredth of the loss at its end; agrees from one on",
    )


def _spikes_last(context: Context, name: str, paths: Paths) -> Claim:
    config = context.config
    x = np.linspace(-1, 1, 641)
    wave = config.problem.target.wave(x)
    shares = [wave_shares(x, wave, outputs(config.network, images, x[:, None])[:, :, 0]) for images in paths.images]
    way = paths.lengths / paths.lengths[:, -1:]
    # Where the wave is half there for the last time, counted from the fit; and how much of it there is on the rest.
    reach = np.array([at[share > 0.5].max(initial=0.0) for at, share in zip(way, shares, strict=True)])
    rest = np.array([np.median(share[at > 1 / 3]) for at, share in zip(way, shares, strict=True)])
    return judged(
        "9",
        f"{name}: the output changes little on the flat part, and the spikes come at the very end",
        "at the very end",
        f"half of the wave is there only on the last {np.median(reach):.0%} of the way; on the two thirds next to the "
        f"fit {np.median(rest):.1%} of it",
        bool(np.median(reach) < 0.25 and np.median(rest) < 0.1),
        f"share of the wave in the output by regression, medians over {len(paths.fit)} paths; agrees below 25 % of the "
        "way and 10 % of the wave",
    )


def _twists(name: str, paths: Paths) -> Claim:
    near = paths.lengths[:, 1:-1] < _NEAR * paths.lengths[:, -1:]
    # A coarse path may have no image so near.
    split = [(row[mask], row[~mask]) for row, mask in zip(paths.angles, near, strict=True) if mask.any()]
    middle = [[np.nanmedian(close), np.nanmedian(far)] for close, far in split]
    close, far = np.median(middle, axis=0) if middle else (np.nan, np.nan)
    return judged(
        "10",
        f"{name}: near the global minimum the path twists and turns a lot",
        "more turns near W_f",
        f"median turn {close:.2f} rad on the last {_NEAR:.0%}, {far:.2f} rad before",
        bool(close > far) if middle else None,
        f"angles between successive steps, medians over {len(middle)} paths; agrees if larger near W_f",
    )


def _useless(name: str, paths: Paths) -> Claim:
    between = paths.between[:, :-1].reshape(*paths.energies[:, 1:].shape, _BETWEEN + 1)
    higher = np.maximum(paths.energies[:, 1:], paths.energies[:, :-1])
    # Near W_f energies vanish, and any ratio to them is large; there the loss of the smooth fit is the measure.
    rise = (between.max(axis=2) - higher) / paths.energies[:, -1:]
    worst = np.median(rise.max(axis=1))
    return judged(
        "section 4.6",
        f"{name}: points interpolated between images have a much larger loss",
        "much larger",
        f"up to {worst:.0%} of the local minimum's loss above both images (median over paths); above 1 % on "
        f"{np.mean(rise > 0.01):.0%} of segments",
        bool(worst > 0.25),
        f"{_BETWEEN} points on the straight line between each two images; agrees if the worst segment of most paths "
        "rises by a quarter of the local minimum's loss",
    )


def _slide(name: str, paths: Paths) -> Claim:
    drop = paths.energies[:, -2] < paths.energies[:, -1] * (1 - 1e-3)
    low, high = wilson_interval(int(drop.sum()), len(drop))
    adaptive = name == "adadelta"
    return judged(
        "section 4.2",
        f"{name}: paths that start at the fit go down at first" if adaptive else f"{name}: fits are at a minimum",
        "a tiny, sharp descent" if adaptive else "truly at a numerical local minimum",
        f"the first step is lower for {drop.mean():.0%} of paths, 95 % interval {low:.0%} to {high:.0%}",
        bool(high > 0.5) if adaptive else bool(low < 0.5),
        f"{len(drop)} paths; lower by more than 0.1 %; agrees if the interval allows "
        f"{'most' if adaptive else 'less than half'}",
    )


ANALYSIS = Analysis(
    quick=PathSettings(),
    paper=PathSettings(bands=100, others=20, inserted=20, steps=20_000, climb_after=2_000),
    find=find,
)
