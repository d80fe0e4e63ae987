"""Figures 8 to 10: paths of least energy from the global minimum to local minima."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxland.landscape import outputs
from jaxland.plots import new_figure, path_angles, path_energies
from jaxland.replications.sawtooth.bands import (
    NEAR,
    Band,
    Paths,
    between_claim,
    draw_path,
    image_table,
    relaxed_paths,
    shape_claims,
)
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.drawing import output_series
from jaxland.replications.sawtooth.measures import share_interval, wave_shares
from jaxland.replications.sawtooth.palette import COLORS, LABELS
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.studies import Above, All, Analysis, Below, Claim, Context, Findings, Ordered, claim, untested
from jaxland.training import gradients

_SHOWN = 8
# Bands of a piece: few enough that an interruption loses little.
_PIECE = 16
_X = np.linspace(-1, 1, 641)


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


def find(context: Context) -> Findings:
    """Relaxes the bands, a piece at a time."""
    settings: PathSettings = context.settings
    minimum = global_minimum(context.config)
    found = {}
    if minimum is not None:
        first, *others = context.config.optimizers
        counts = {first: settings.bands} | dict.fromkeys(others, settings.others)
        every = {name: _paths(context, name, count, minimum) for name, count in counts.items()}
        found = {name: paths for name, paths in every.items() if paths is not None}
    if not found:
        reason = "no finite fits of the target's own network"
        return Findings({}, {}, [untested("8", "paths to the global minimum", "", "", reason)])
    return Findings(_tables(found), _figures(context, found), _claims(context, found))


def _paths(context: Context, ensemble: str, count: int, minimum) -> Paths | None:
    config, settings = context.config, context.settings
    sample = first_fits(config, context.store, ensemble, count)
    if not len(sample.fit):
        return None
    evaluate = gradients(config.network, config.problem)
    band = Band(settings.images, settings.inserted, settings.steps, settings.climb_after)

    def relaxed(rows):
        return relaxed_paths(evaluate, minimum, sample.params[rows], sample.fit[rows], band, context.threads)

    return Paths(**context.pieces(ensemble, np.arange(len(sample.fit)), relaxed, _PIECE))


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
            "plunge": paths.plunge,
            "bumps": paths.bumps,
            "residual": paths.residual,
            "steps": paths.steps,
            "reason": paths.reason,
        }
    )


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


def _outputs_figure(context: Context, name, paths: Paths, shown):
    config = context.config
    # Evenly along the path, and more densely where the fit plunges.
    ends = np.concatenate([np.linspace(0, NEAR, 4)[:-1], np.linspace(NEAR, 1, _SHOWN - 3)])
    share = paths.lengths[shown] / paths.lengths[shown, -1]
    chosen = np.unique([int(np.argmin(np.abs(share - end))) for end in ends])
    curves = outputs(config.network, paths.images[shown, chosen], _X[:, None])[:, :, 0]
    figure, (left, right) = new_figure(2)
    lengths = paths.lengths[shown]
    left.plot(lengths, paths.energies[shown], "-", lw=1.4, color=COLORS[name])
    left.plot(lengths[chosen], paths.energies[shown, chosen], "o", color="black", ms=5, label="shown on the right")
    left.set(title="Energy", xlabel="distance from $W_f$ along the path", ylabel="mean squared error")
    left.legend()
    title = f"Output from $W_f$ (bottom) to fit {paths.fit[shown]} (top)"
    output_series(_X, config.problem.target(_X), curves, lengths[chosen], title=title, ax=right)
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
        claims += [*shape_claims(name, paths), _twists(name, paths), between_claim(name, paths)]
        claims.append(_spikes_last(context, name, paths))
    claims += [_slide(name, paths) for name, paths in found.items()]
    return judged_where_comparable(context.config, claims)


def _spikes_last(context: Context, name: str, paths: Paths) -> Claim:
    config = context.config
    wave = config.problem.target.wave(_X)
    shares = [wave_shares(_X, wave, outputs(config.network, images, _X[:, None])[:, :, 0]) for images in paths.images]
    way = paths.lengths / paths.lengths[:, -1:]
    # Where the wave is half there for the last time, counted from the fit; and how much of it there is on the rest.
    reach = np.median([at[share > 0.5].max(initial=0.0) for at, share in zip(way, shares, strict=True)])
    rest = np.median([np.median(share[at > 1 / 3]) for at, share in zip(way, shares, strict=True)])
    return claim(
        "9",
        f"{name}: the output changes little on the flat part, and the spikes come at the very end",
        "at the very end",
        f"half of the wave is there only on the last {reach:.0%} of the way; on the two thirds next to the fit "
        f"{rest:.1%} of it",
        (reach, rest),
        All({"the spikes take": Below(0.25, "% of the way"), "the rest holds": Below(0.1, "% of the wave")}),
        f"share of the wave in the output by regression, medians over {len(paths.fit)} paths",
    )


def _twists(name: str, paths: Paths) -> Claim:
    near = paths.lengths[:, 1:-1] < NEAR * paths.lengths[:, -1:]
    # A coarse path may have no image so near.
    split = [(row[mask], row[~mask]) for row, mask in zip(paths.angles, near, strict=True) if mask.any()]
    middle = [[np.nanmedian(close), np.nanmedian(far)] for close, far in split]
    close, far = np.median(middle, axis=0) if middle else (np.nan, np.nan)
    return claim(
        "10",
        f"{name}: near the global minimum the path twists and turns a lot",
        "more turns near W_f",
        f"median turn {close:.2f} rad on the last {NEAR:.0%}, {far:.2f} rad before",
        (far, close) if middle else None,
        Ordered(("before", "near W_f")),
        f"angles between successive steps, medians over {len(middle)} paths",
    )


def _slide(name: str, paths: Paths) -> Claim:
    drop = paths.energies[:, -2] < paths.energies[:, -1] * (1 - 1e-3)
    low, high, interval = share_interval(int(drop.sum()), len(drop))
    adaptive = name == "adadelta"
    return claim(
        "section 4.2",
        f"{name}: paths that start at the fit go down at first" if adaptive else f"{name}: fits are at a minimum",
        "a tiny, sharp descent" if adaptive else "truly at a numerical local minimum",
        f"the first step is lower for {drop.mean():.0%} of paths, {interval}",
        high if adaptive else low,
        Above(0.5, "% at the end of the interval") if adaptive else Below(0.5, "% at the beginning of the interval"),
        f"{len(drop)} paths; lower by more than 0.1 %",
    )


ANALYSIS = Analysis(
    quick=PathSettings(),
    paper=PathSettings(bands=100, others=20, inserted=20, steps=20_000, climb_after=2_000),
    find=find,
)
