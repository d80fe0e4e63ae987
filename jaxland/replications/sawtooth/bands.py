"""Paths of least energy from a global minimum to fits: how they are relaxed, measured, drawn and judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from jaxland.landscape import (
    NebSettings,
    arc_lengths,
    energies_of,
    interpolate,
    refine,
    relax,
    straight_bands,
    turning_angles,
)
from jaxland.plots import path_with_interpolation
from jaxland.problems import Evaluate
from jaxland.replications.sawtooth.measures import column, percent
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import NEAR
from jaxland.statistics import Estimate
from jaxland.studies import Claim

# Springs that pull across the band wherever it bends, for the rough surface of a ReLU network: of about 0.1 on straight
# bands of its fits, in units of the loss and the parameters.
ROUGH = NebSettings(tolerance=1.6e-3, spring_constant=1.6, bend=0.0)
BETWEEN = 9
"""Points on the line between two images at which the energy is taken too."""


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

    @property
    def plunge(self) -> Float[np.ndarray, "B"]:
        """The share of each path, counted from W_f, on which the energy is below half of that at its end."""
        low = self.energies < self.energies[:, -1:] / 2
        last = self.energies.shape[1] - 1 - np.argmax(low[:, ::-1], axis=1)
        reach = np.take_along_axis(self.lengths, last[:, None], axis=1)[:, 0]
        return reach / self.lengths[:, -1]

    @property
    def bumps(self) -> Int[np.ndarray, "B"]:
        """Local maxima of the energy along each path that stand out by a hundredth of the energy at its end."""
        return np.array([bumps_of(energies, 0.01 * energies[-1]) for energies in self.energies])


class Band(NamedTuple):
    """How a path is relaxed."""

    images: int
    """Its ends included."""
    inserted: int
    """Images added where energy or gaps are largest."""
    steps: int
    """Most of them, before and after."""
    climb_after: int
    """Step from which the highest image climbs."""


def relaxed_paths(
    evaluate: Evaluate,
    minimum: Float[np.ndarray, "P"],
    ends: Float[np.ndarray, "B P"],
    fits: Int[np.ndarray, "B"],
    band: Band,
    threads: int,
) -> dict[str, np.ndarray]:
    """The fields of `Paths` from a minimum to fits: relaxed, refined where a band is known least, relaxed again."""
    neb = replace(ROUGH, steps=band.steps, climb_after=band.climb_after)
    coarse = relax(evaluate, straight_bands(minimum, ends, band.images), neb, threads=threads)
    fine = relax(evaluate, refine(evaluate, coarse.images, band.inserted), neb, threads=threads)
    return {
        "fit": fits,
        "images": fine.images,
        "energies": fine.energies,
        "between": energies_of(evaluate, interpolate(fine.images, BETWEEN)),
        "residual": fine.residual,
        "steps": coarse.steps + fine.steps,
        "reason": fine.reason,
    }


def bumps_of(energies: Float[np.ndarray, "I"], height: float) -> int:
    """How many local maxima of a path stand out by a height on both sides."""
    bumps, rising, turn = 0, True, energies[0]
    for energy in energies[1:]:
        if rising and energy < turn - height:
            bumps, rising, turn = bumps + 1, False, energy
        elif not rising and energy > turn + height:
            rising, turn = True, energy
        else:
            turn = max(turn, energy) if rising else min(turn, energy)
    return bumps


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


def draw_path(paths: Paths, shown: int, *, color: str, title: str, ax: Axes) -> None:
    """Draws one of the paths with the points between its images."""
    fine = arc_lengths(interpolate(paths.images[[shown]], BETWEEN))[0]
    path_with_interpolation(
        paths.lengths[shown], paths.energies[shown], fine, paths.between[shown], color=color, title=title, ax=ax
    )


def path_table(name: str, paths: Paths) -> pd.DataFrame:
    """One row for every path: what is judged of it."""
    near = paths.lengths[:, 1:-1] < NEAR * paths.lengths[:, -1:]
    rest = paths.lengths > NEAR * paths.lengths[:, -1:]
    return pd.DataFrame(
        {
            "ensemble": name,
            "fit": paths.fit,
            "end_loss": paths.energies[:, -1],
            "first_step": paths.energies[:, -2],
            "highest_image": paths.energies.max(axis=1),
            "highest_between": paths.between.max(axis=1),
            "length": paths.lengths[:, -1],
            "plunge": paths.plunge,
            "level": _medians(paths.energies, rest) / paths.energies[:, -1],
            "bumps": paths.bumps,
            "worst_rise": _rises(paths).max(axis=1),
            "turn_near": _medians(paths.angles, near),
            "turn_before": _medians(paths.angles, ~near),
            "largest_turn_at": largest_turns(paths),
            "residual": paths.residual,
            "steps": paths.steps,
            "reason": paths.reason,
        }
    )


def _medians(values, kept) -> Float[np.ndarray, "B"]:
    """NaN where nothing is kept: a coarse path may have no image so near."""
    return np.array([np.nanmedian(row[mask]) if mask.any() else np.nan for row, mask in zip(values, kept, strict=True)])


def _rises(paths: Paths) -> Float[np.ndarray, "B segments"]:
    """By how much each segment rises above both its images, in units of the loss at the end of its path.

    Near W_f energies vanish, and any ratio to them is large.
    """
    between = paths.between[:, :-1].reshape(*paths.energies[:, 1:].shape, BETWEEN + 1)
    higher = np.maximum(paths.energies[:, 1:], paths.energies[:, :-1])
    return (between.max(axis=2) - higher) / paths.energies[:, -1:]


def largest_turns(paths: Paths) -> Float[np.ndarray, "B"]:
    """Where on its way each path turns most, 0 at W_f and 1 at the fit."""
    most = np.argmax(np.nan_to_num(paths.angles, nan=-1.0), axis=1)
    return np.take_along_axis(paths.lengths, most[:, None] + 1, axis=1)[:, 0] / paths.lengths[:, -1]


def of_paths(name: str, measured: str, values: Sequence[Estimate], table: pd.DataFrame, **options) -> Claim:
    """A claim on the shape of paths of least energy, left undecided unless most bands converged.

    A band that has not converged is no such path, however many of them there are. What the rule says without regard to
    that is told beside.

    Args:
        name: of the statement.
        measured: in words.
        values: as its rule takes them.
        table: of the bands.
        options: `of` and `detail` of the claim.
    """
    statement, converged = STATEMENTS[name], int((np.asarray(table["reason"]) == "converged").sum())
    measured = f"{measured}; {converged} of {len(table)} bands converged"
    if 2 * converged <= len(table) and statement.rule is not None:
        measured = f"{measured}; without regard to that: {statement.rule.judge(values)}"
        values = [Estimate(each.value, np.nan, np.nan) for each in values]
    return statement.claim(measured, values, cases=len(table), **options)


def shape_claims(ensemble: str, table: pd.DataFrame) -> list[Claim]:
    """Figure 8, left: what the paths look like from the fits to the global minimum, and the flat part closely.

    Args:
        ensemble: its name.
        table: of its paths, as `path_table` makes it.
    """
    plunge, level, bumps = (Estimate.quantile(column(table, name)) for name in ("plunge", "level", "bumps"))
    above = Estimate.quantile(column(table, "highest_image") / column(table, "end_loss") - 1)
    options = {"of": ensemble, "detail": f"medians over {bands_told(table)}"}
    return [
        of_paths(
            "flat-then-drop",
            f"below half of the fit's loss on the last {percent(plunge)} of the way, at {percent(level)} of it before",
            (plunge, level),
            table,
            **options,
        ),
        of_paths(
            "bumpy",
            f"{bumps} bumps; the highest image is {percent(above)} of the fit's loss above it",
            (bumps, above),
            table,
            **options,
        ),
    ]


def interpolated_claim(name: str, table: pd.DataFrame) -> Claim:
    """Section 4.6: what lies on the straight lines between the images; arguments as those of `shape_claims`."""
    worst = Estimate.quantile(column(table, "worst_rise"))
    return STATEMENTS["interpolated"].claim(
        f"{percent(worst)} of the fit's loss above both images, on the worst segment of a path (median)",
        worst,
        of=name,
        cases=len(table),
        detail=f"{BETWEEN} points on the straight line between each two images; {bands_told(table)}",
    )


def bands_told(table: pd.DataFrame) -> str:
    """How many bands there are, how they ended and how near they came, in words."""
    return f"{len(table)} paths ({stops(table['reason'])}; median residual {np.median(column(table, 'residual')):.1e})"


def stops(reasons: ArrayLike) -> str:
    """How many bands ended for each reason, in words."""
    return ", ".join(
        f"{count} {reason}"
        for reason, count in zip(*np.unique(np.asarray(reasons, str), return_counts=True), strict=True)
    )
