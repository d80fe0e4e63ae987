"""Figures 5 and 6: three descents on a surface, as pictures and as animations."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxland.landscape import coordinate_plane, in_plane
from jaxland.plots import (
    animate,
    descent_3d,
    descent_contours,
    in_three_dimensions,
    new_figure,
    surface_3d,
    surface_contours,
    surface_paths,
)
from jaxland.replications.surfaces.config import GRID, SurfacesConfig
from jaxland.replications.surfaces.landscape import COLORMAP, Cost, Slice, costs, slice_of
from jaxland.replications.surfaces.statements import STATEMENTS
from jaxland.replications.surfaces.weights import source_weights
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import fit, make_optimizer

Points = tuple[tuple[float, float], ...]
# Steps kept of each descent, evenly spaced in their logarithm; the first changes most.
_KEPT = 160


@dataclass(frozen=True)
class DescentSettings:
    """Scale of the descents."""

    starts: Points = ((-9.0, 15.0), (-10.1, 15.0), (-11.0, 15.0))
    """The document's starting points."""
    parting: Points = ((-9.0, 15.0), (9.0, 15.0), (12.0, -12.0))
    """Starting points with the other seeds of weights; with seed 1220 on the digits they end in three places."""
    frames: int = 32
    """Of each animation, about."""
    grid: int = GRID
    """Points of the surface along each axis."""


class Descents(NamedTuple):
    """Descents of the two weights on one surface."""

    names: list[str]
    steps: np.ndarray
    """At which they were kept (S,)."""
    paths: Float[np.ndarray, "M S 2"]
    costs: Float[np.ndarray, "M S"]
    """Of the two weights, all else computed once."""
    whole: Float[np.ndarray, "M S"]
    """Of the whole network with all its weights."""
    rise: float
    """Largest rise of a cost from one step to the next."""
    surface: Slice


def find(context: Context) -> Findings:
    """Descends, and draws."""
    config, settings = context.config, context.settings
    cost = costs(config, config.samples)
    found = {seed: descend(config, settings, cost, seed) for seed in config.weights}
    figures, animations = {}, {}
    for seed, each in found.items():
        figures[f"figure-05-06-descents-seed-{seed}"] = _picture(each)
        context.say(f"  animating the descents with seed {seed}")
        animations |= _animations(each, settings.frames, seed)
    tables = {"descents.csv": _table(found), "descent-ends.csv": _ends(found)}
    return Findings(tables, figures, _claims(config, found), animations, captions=_captions(found))


def descend(config: SurfacesConfig, settings: DescentSettings, cost: Cost, seed: int) -> Descents:
    """Gradient descent from each starting point, with the weights of one seed."""
    starts = np.array(settings.starts if seed == config.weights[0] else settings.parting)
    pair = config.pair(seed, cost.samples)
    late = np.geomspace(1, config.epochs, _KEPT).round().astype(int)
    steps = np.unique(np.append(0, late))
    fits = fit(
        pair.network(*config.window),
        pair.problem(),
        make_optimizer(config.sgd),
        fits=len(starts),
        steps=config.epochs,
        dtype=config.dtype,
        start=starts,
        snapshots=steps.tolist(),
        trace_every=1,
    )
    drawn = slice_of(cost, seed, config.entries, settings.grid)
    plane = coordinate_plane(source_weights(cost.network, seed), config.entries, cost.network)
    seen = [in_plane(cost.objective, plane, plane.points(path)) for path in fits.snapshots]
    return Descents(
        [f"from ({first:g}, {second:g})" for first, second in starts],
        steps,
        fits.snapshots.astype(np.float64),
        np.append(fits.trace, fits.loss[:, None], axis=1)[:, steps].astype(np.float64),
        np.stack([each.loss for each in seen]),
        float(np.diff(fits.trace, axis=1).max(initial=-np.inf)),
        drawn,
    )


def _picture(found: Descents) -> Figure:
    figure, (side, above) = new_figure(2, height=2.9)
    side = in_three_dimensions(side)
    drawn, labels = found.surface.surface, ("$w_a$", "$w_b$")
    grid = drawn.a, drawn.b, drawn.loss
    surface_3d(*grid, title=found.surface.title, labels=labels, zlabel="cost", alpha=0.8, cmap=COLORMAP, ax=side)
    surface_contours(*grid, title=f"{found.steps[-1]:,} epochs", labels=labels, zlabel="cost", cmap=COLORMAP, ax=above)
    limits = above.get_xlim(), above.get_ylim()
    inside = np.where(_outside(found)[..., None], np.nan, found.paths)
    surface_paths(inside, found.names, heights=found.costs, ax=side)
    surface_paths(found.paths, found.names, ax=above)
    above.set(xlim=limits[0], ylim=limits[1])
    above.legend(loc="lower left", frameon=True, framealpha=0.85)
    return figure


def _outside(found: Descents) -> np.ndarray:
    """Where the descents have left the window (M, S)."""
    low, high = ([ends(found.surface.surface.a), ends(found.surface.surface.b)] for ends in (np.min, np.max))
    return np.asarray(((found.paths < low) | (found.paths > high)).any(axis=-1))


def _animations(found: Descents, frames: int, seed: int) -> dict[str, bytes]:
    drawn = found.surface.surface
    shown = np.unique(np.linspace(0, len(found.steps) - 1, frames).astype(int)).tolist()
    given = (drawn.a, drawn.b, drawn.loss, found.steps.tolist(), found.paths, found.whole, found.names)
    options = {
        "title": found.surface.title,
        "labels": ("$w_a$", "$w_b$"),
        "zlabel": "cost",
        "unit": "epoch",
        "cmap": COLORMAP,
    }
    ways = {
        "figure-05-descent": descent_3d(*given, **options),
        "figure-06-descent": descent_contours(*given, in_plane=found.costs, **options),
    }
    return {f"{name}-seed-{seed}.gif": animate(*way, shown) for name, way in ways.items()}


def _table(found: dict[int, Descents]) -> pd.DataFrame:
    frames = []
    for seed, each in found.items():
        for name, path, cost, whole in zip(each.names, each.paths, each.costs, each.whole, strict=True):
            columns = {"seed": seed, "descent": name, "epoch": each.steps, "a": path[:, 0], "b": path[:, 1]}
            frames.append(pd.DataFrame({**columns, "true_cost": whole, "in_plane_cost": cost}))
    return pd.concat(frames, ignore_index=True)


def _ends(found: dict[int, Descents]) -> pd.DataFrame:
    rows = []
    for seed, each in found.items():
        outside = _outside(each)
        for index, name in enumerate(each.names):
            path, left = each.paths[index], np.flatnonzero(outside[index])
            rows.append(
                {
                    "seed": seed,
                    "descent": name,
                    "first_cost": each.costs[index, 0],
                    "last_cost": each.costs[index, -1],
                    "last_a": path[-1, 0],
                    "last_b": path[-1, 1],
                    "moved": np.linalg.norm(path[-1] - path[0]),
                    "outside_from_epoch": each.steps[left[0]] if len(left) else -1,
                    "largest_difference": np.abs(each.whole[index] - each.costs[index]).max(),
                }
            )
    return pd.DataFrame(rows)


def _claims(config: SurfacesConfig, found: dict[int, Descents]) -> list[Claim]:
    own = found[config.weights[0]]
    comparable = config.sgd.learning_rate == 5 and config.epochs >= 10_000
    reason = "" if comparable else "judged at the document's rate, from 10,000 epochs on"
    claims = [
        *judged_unless(reason, [routes_claim(own, config.caveat)]),
        falls_claim(list(found.values())),
        change_claim(list(found.values())),
    ]
    detail = f"{config.epochs:,} epochs on {config.name_of_data}; the rate is {2 * config.sgd.learning_rate:g} for the "
    return [each._replace(detail=f"{each.detail}{detail}gradient without its factor 2") for each in claims]


def routes_claim(own: Descents, caveat: str = "") -> Claim:
    """Of three descents from places close together: how different their last costs are."""
    last, range_ = own.costs[:, -1], own.surface.features.range
    ends = "; ".join(
        f"{name} to ({a:.2f}, {b:.2f}) at {cost:.5f}"
        for name, (a, b), cost in zip(own.names, own.paths[:, -1], last, strict=True)
    )
    return STATEMENTS["routes"].claim(
        f"{ends}; costs of the surface span {range_:.3f}", float(np.diff(np.sort(last)).min() / range_), detail=caveat
    )


def falls_claim(found: list[Descents]) -> Claim:
    """Of descents: the largest rise of a cost in one epoch."""
    rise = max(each.rise for each in found)
    scale = max(np.abs(each.costs).max() for each in found)
    drop = max(float(-np.diff(each.costs[:, :2], axis=1).min()) for each in found)
    return STATEMENTS["falls"].claim(
        f"largest rise of a cost in one epoch: {max(rise, 0.0):.1e}; largest fall in the first epoch: {drop:.3f}",
        float(rise / scale),
    )


def change_claim(found: list[Descents]) -> Claim:
    """Of descents: how far they move at least."""
    moved = min(float(np.linalg.norm(each.paths[:, -1] - each.paths[:, 0], axis=1).min()) for each in found)
    return STATEMENTS["change-a-lot"].claim(
        f"each descent moves by {moved:.1f} or more, where the weights were drawn with deviation 1", moved
    )


def _captions(found: dict[int, Descents]) -> dict[str, str]:
    captions = {}
    for seed, each in found.items():
        low, high = each.costs[:, -1].min(), each.costs[:, -1].max()
        starts = each.paths[:, 0]
        apart = np.linalg.norm(starts[:, None] - starts, axis=-1).max()
        text = (
            f"Three descents from places at most {apart:.0f} apart, seed {seed}: they end at costs from {low:.4f} to "
            f"{high:.4f}."
        )
        captions |= dict.fromkeys(
            (f"figure-05-06-descents-seed-{seed}", f"figure-05-descent-seed-{seed}", f"figure-06-descent-seed-{seed}"),
            text,
        )
    return captions


ANALYSIS = Analysis(
    quick=DescentSettings(),
    paper=DescentSettings(frames=64),
    find=find,
)
