"""Figures 8 to 10: paths of least energy from the global minimum to local minima."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from jaxland.landscape import outputs
from jaxland.plots import legend_below, new_figure, path_angles, path_energies
from jaxland.replications.sawtooth.bands import (
    Band,
    Paths,
    bands_told,
    draw_path,
    image_table,
    interpolated_claim,
    largest_turns,
    of_paths,
    path_table,
    relaxed_paths,
    shape_claims,
)
from jaxland.replications.sawtooth.comparable import judged_where_comparable, other_example
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.drawing import output_series
from jaxland.replications.sawtooth.measures import column, groups, percent, wave_shares
from jaxland.replications.sawtooth.palette import COLORS, DASHES, LABELS
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import NEAR
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import gradients

_SHOWN = 8
_LOWER = 1e-3
"""Share of its loss by which a point counts as lower than a fit."""
# Bands of a piece: few enough that an interruption loses little.
_PIECE = 16
_X = np.linspace(-1, 1, 641)
# Where the axis of energies ends, in median losses of the fits.
_TALLEST = 2


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
        return Findings({}, {}, [_dimensions(context.config), STATEMENTS["flat-then-drop"].not_tested(reason)])
    table = pd.concat([_table(context, name, paths) for name, paths in found.items()], ignore_index=True)
    images = pd.concat([image_table(name, paths) for name, paths in found.items()], ignore_index=True)
    tables = {"paths.csv": table, "path-images.csv": images}
    claims = [_dimensions(context.config), *judged_where_comparable(context.config, path_claims(table))]
    return Findings(tables, _figures(context, found), claims, captions=_captions(table))


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


def _table(context: Context, name: str, paths: Paths) -> pd.DataFrame:
    config = context.config
    wave = config.problem.target.wave(_X)
    shares = [wave_shares(_X, wave, outputs(config.network, images, _X[:, None])[:, :, 0]) for images in paths.images]
    way = paths.lengths / paths.lengths[:, -1:]
    # Where the wave is half there for the last time, counted from the fit; and how much of it there is on the rest.
    reach = [at[share > 0.5].max(initial=0.0) for at, share in zip(way, shares, strict=True)]
    rest = [np.median(share[at > 1 / 3]) for at, share in zip(way, shares, strict=True)]
    return path_table(name, paths).assign(wave_reach=reach, wave_before=rest)


def _figures(context: Context, found: dict[str, Paths]):
    name, paths = next(iter(found.items()))
    shown = int(np.argsort(paths.energies.max(axis=1))[len(paths.fit) // 2])
    return {
        "figure-08-paths": _paths_figure(found, name, paths, shown),
        "figure-09-output-along-a-path": _outputs_figure(context, name, paths, shown),
        "figure-10-turns-along-a-path": _angles_figure(found),
    }


def _paths_figure(found, name, paths: Paths, shown):
    figure, axes = new_figure(len(found) + 1, height=2.4)
    for ax, (each, those) in zip(axes, found.items(), strict=False):
        title = f"From $W_f$ to {len(those.fit)} fits:\n{LABELS[each]}"
        # Some fits are dead networks: their losses are told, and do not stretch the axis.
        highest = _TALLEST * float(np.median(those.energies[:, -1]))
        path_energies(those.lengths, those.energies, color=COLORS[each], highest=highest, title=title, ax=ax)
    title = f"The path to fit {paths.fit[shown]}:\n{LABELS[name]}"
    draw_path(paths, shown, color=COLORS[name], title=title, ax=axes[-1])
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


def _angles_figure(found):
    """How much paths turn along the way, and where each of them turns most."""
    figure, (left, right) = new_figure(2, height=3.0)
    edges = np.linspace(0, 1, round(1 / NEAR * 2) + 1)
    for name, paths in found.items():
        style = {"color": COLORS[name], "label": name}
        lengths, angles = paths.lengths[:, 1:-1], paths.angles
        path_angles(lengths, angles, **style, dashes=DASHES[name], title="Turns on the way from $W_f$", ax=left)
        most = largest_turns(paths)
        counts, _ = np.histogram(most, edges)
        near = f"{name}: {(most < NEAR).sum()} of {len(most)} near $W_f$"
        look = {"fc": (COLORS[name], 0.25), "ec": COLORS[name], "ls": DASHES[name], "lw": 1.2}
        right.stairs(counts / len(most), edges, fill=True, label=near, **look)
    right.set(title="Where each path turns most", xlabel="share of the way", ylabel="share of the paths", xlim=(0, 1))
    left.axhline(np.pi / 2, color="#888888", ls=":", lw=1)
    left.annotate("a right angle", (0.99, np.pi / 2), ha="right", va="bottom", fontsize=7)
    left.set_ylim(top=1.8)
    for ax in (left, right):
        ax.axvspan(0, NEAR, color="#888888", alpha=0.15, lw=0, zorder=0, label=f"near $W_f$: the first {NEAR:.0%}")
        legend_below(ax)
    return figure


def _dimensions(config: SawtoothConfig) -> Claim:
    return dimensions_claim(config.network.size, other_example(config))


def dimensions_claim(size: int, reason: str = "") -> Claim:
    """How many parameters the networks have."""
    claim = STATEMENTS["dimensions"].claim(f"{size} parameters", size)
    return judged_unless(reason, [claim])[0]


def path_claims(table: pd.DataFrame) -> list[Claim]:
    """What the source says of paths, judged from `paths.csv`."""
    claims = []
    for name, those in groups(table, "ensemble"):
        claims += [*shape_claims(name, those), spikes_claim(name, those), twists_claim(name, those)]
        claims += [interpolated_claim(name, those), slide_claim(name, those)]
    return claims


def spikes_claim(name: str, table: pd.DataFrame) -> Claim:
    """Figure 9, of the paths of one ensemble."""
    reach, rest = (Estimate.quantile(column(table, which)) for which in ("wave_reach", "wave_before"))
    return of_paths(
        "spikes-last",
        f"half of the wave is there only on the last {percent(reach)} of the way; on the two thirds next to the fit "
        f"{percent(rest)} of it",
        (reach, rest),
        table,
        of=name,
        detail=f"share of the wave in the output by regression, medians over {bands_told(table)}",
    )


def twists_claim(name: str, table: pd.DataFrame) -> Claim:
    """Figure 10, of the paths of one ensemble."""
    known = table.dropna(subset=["turn_near", "turn_before"])
    close, before = column(known, "turn_near"), column(known, "turn_before")
    if not len(known):
        return STATEMENTS["twists"].not_tested("no path has an image so near", of=name)
    ratio = Estimate.quantile(close / before)
    near = Estimate.share(int((column(known, "largest_turn_at") < NEAR).sum()), len(known))
    return of_paths(
        "twists",
        f"the median turn is {ratio} times as large on the last {NEAR:.0%}; the largest is there for {percent(near)} "
        "of paths",
        (ratio, near),
        known,
        of=name,
        detail=f"angles between successive steps, of {bands_told(known)}; medians {np.median(close):.2f} and "
        f"{np.median(before):.2f} rad, larger by {Estimate.mean(close - before)} rad in the mean",
    )


def slide_claim(name: str, table: pd.DataFrame) -> Claim:
    """Section 4.2: whether the fits of one ensemble are at a minimum, by the first step of their paths."""
    drop = column(table, "first_step") < column(table, "end_loss") * (1 - _LOWER)
    share = Estimate.share(int(drop.sum()), len(drop))
    return STATEMENTS["first-descent" if name == "adadelta" else "at-minimum"].claim(
        f"the first step is lower for {percent(share)} of paths",
        share,
        of=name,
        cases=len(drop),
        detail=f"lower by more than {_LOWER:.1%}, at an image of a band, converged or not",
    )


def _captions(table: pd.DataFrame) -> dict[str, str]:
    name, those = groups(table, "ensemble")[0]
    middle = {each: np.nanmedian(column(those, each)) for each in ("plunge", "wave_reach", "turn_near", "turn_before")}
    near = (column(those, "largest_turn_at") < NEAR).sum()
    return {
        "figure-08-paths": f"Paths from W_f to {len(table)} fits: below half of the fit's loss only on the last "
        f"{middle['plunge']:.0%} of the way ({name}, median); {(table['reason'] == 'converged').sum()} bands "
        "converged.",
        "figure-09-output-along-a-path": f"One path with the functions along it: half of the wave is there only on the "
        f"last {middle['wave_reach']:.0%} of the way ({name}, median).",
        "figure-10-turns-along-a-path": f"Turns along the paths: {middle['turn_near']:.2f} rad a step near W_f, the "
        f"first {NEAR:.0%} of the way, {middle['turn_before']:.2f} before ({name}, medians); the largest is near W_f "
        f"on {near} of {len(those)}.",
    }


ANALYSIS = Analysis(
    quick=PathSettings(),
    paper=PathSettings(bands=100, others=20, inserted=20, steps=20_000, climb_after=2_000),
    find=find,
)
