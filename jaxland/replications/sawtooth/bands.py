"""Paths of least energy from a global minimum to fits: how they are relaxed, measured, drawn and judged."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.axes import Axes

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
from jaxland.studies import Above, All, AtLeast, Below, Between, Claim, claim

# Stiff springs and short steps for the rough surface of a ReLU network; on straight bands of its fits these are springs
# of about 0.1, steps of 0.01 to 0.1 and a tolerance of 1e-3 in units of the loss and the parameters.
ROUGH = NebSettings(tolerance=1.6e-3, spring_constant=1.6, first_step=0.0025, longest_step=0.025)
BETWEEN = 9
"""Points on the line between two images at which the energy is taken too."""
NEAR = 0.15
"""The share of a path that counts as near the global minimum."""


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


def shape_claims(name: str, paths: Paths) -> list[Claim]:
    """Figure 8, left: what the paths look like from the fits to the global minimum, and the flat part closely."""
    rest = paths.lengths > NEAR * paths.lengths[:, -1:]
    level = paths.energies / paths.energies[:, -1:]
    plunge, bumps = np.median(paths.plunge), np.median(paths.bumps)
    flat = np.median([np.median(values[kept]) for values, kept in zip(level, rest, strict=True)])
    return [
        claim(
            "8",
            f"{name}: paths from local minima are flat, until a dramatic drop near the global minimum",
            "flat, then a plunge",
            f"below half of the local minimum's loss only on the last {plunge:.0%} of the way; "
            f"{flat:.2f} times its loss before",
            (plunge, flat),
            All({"the first is": Below(0.25, "%"), f"the level before the last {NEAR:.0%} is": Between(0.75, 1.5)}),
            f"medians over {_stops(paths)}",
        ),
        claim(
            "8",
            f"{name}: the flat part is slightly bumpy",
            "slightly bumpy",
            f"median {bumps:.0f} bumps; highest image {np.median(paths.energies.max(1)):.5f}, "
            f"end {np.median(paths.energies[:, -1]):.5f}",
            bumps,
            AtLeast(1),
            "local maxima along a path that stand out by a hundredth of the loss at its end",
        ),
    ]


def between_claim(name: str, paths: Paths) -> Claim:
    """Section 4.6: what lies on the straight lines between the images."""
    between = paths.between[:, :-1].reshape(*paths.energies[:, 1:].shape, BETWEEN + 1)
    higher = np.maximum(paths.energies[:, 1:], paths.energies[:, :-1])
    # Near W_f energies vanish, and any ratio to them is large; there the loss of the smooth fit is the measure.
    rise = (between.max(axis=2) - higher) / paths.energies[:, -1:]
    worst = np.median(rise.max(axis=1))
    return claim(
        "section 4.6",
        f"{name}: points interpolated between images have a much larger loss",
        "much larger",
        f"up to {worst:.0%} of the local minimum's loss above both images (median over paths); above 1 % on "
        f"{np.mean(rise > 0.01):.0%} of segments",
        worst,
        Above(0.25, "% of that loss"),
        f"{BETWEEN} points on the straight line between each two images; the worst segment of each path",
    )


def _stops(paths: Paths) -> str:
    return f"{len(paths.fit)} paths ({stops(paths.reason)}; median residual {np.median(paths.residual):.1e})"


def stops(reasons: np.ndarray) -> str:
    """How many bands ended for each reason, in words."""
    return ", ".join(f"{count} {reason}" for reason, count in zip(*np.unique(reasons, return_counts=True), strict=True))
