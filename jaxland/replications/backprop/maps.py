"""The target, both contour maps, and every stationary point of their planes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import StationaryPoints, hessians, stationary_points
from jaxland.plots import contour_map, mark_stationary, new_figure
from jaxland.replications.backprop.model import BIASES, OPTIMUM, SYMBOLS, WEIGHTS, full_network, plane, target
from jaxland.studies import Above, All, Analysis, Below, Claim, Context, Findings, Stated, claim
from jaxland.training import gradients

Window = tuple[tuple[float, float], tuple[float, float]]

WINDOW: Window = ((-5.0, 15.0), (-5.0, 15.0))
"""Lowest and highest coordinates of the map of the weights: the place of the source's minimum 1 and its starts."""
TALL: Window = ((-5.0, 15.0), (-5.0, 45.0))
"""The same with the other minimum in it."""
_BIAS_WINDOW: Window = ((-10.0, 10.0), (-10.0, 10.0))
_SEARCHED: dict[str, Window] = {"weights": ((-15.0, 20.0), (-15.0, 60.0)), "biases": ((-15.0, 15.0), (-15.0, 15.0))}
_FREE = {"weights": WEIGHTS, "biases": BIASES}
OTHER_MINIMUM = (0.88, 38.6)
"""As the source gives it."""
_NEAR, _SAME = 0.05, 1e-6
"""Distances within which a point is the source's, and one that is known exactly."""


@dataclass(frozen=True)
class MapSettings:
    """Scale of maps and searches."""

    grid: int = 161
    """Points of a map along each axis."""
    starts: int = 40
    """Starts of a search for stationary points along each axis."""
    draws: int = 2_000
    """Random parameters at which gradients of the whole network are compared."""


def find(context: Context) -> Findings:
    """Maps, searches, judges."""
    points = {name: stationary(context, name) for name in _FREE}
    return Findings(
        {"stationary-points.csv": _table(points)},
        {
            "figure-01-target": _target_figure(),
            "figure-02-contours-of-the-weights": _weights_figure(context, points["weights"]),
            "figure-03-contours-of-the-biases": _biases_figure(context, points["biases"]),
        },
        _claims(context, points),
    )


def grid(window: Window, count: int) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, "G 2"]]:
    """Coordinates along each axis, and all points of the grid, the second coordinate running fastest."""
    first, second = (np.linspace(*each, count) for each in window)
    return first, second, np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1).reshape(-1, 2)


def draw_map(context: Context, free: tuple[str, str], window: Window, count: int, **labels):
    """A contour map of a plane."""
    first, second, points = grid(window, count)
    loss, _ = gradients(plane(free), context.config.problem)(points)
    names = (SYMBOLS[free[0]], SYMBOLS[free[1]])
    quantity = context.config.loss.replace("_", " ")
    return contour_map(first, second, loss.reshape(count, count), labels=names, quantity=quantity, **labels)


def stationary(context: Context, name: str) -> StationaryPoints:
    """The stationary points of the plane of the weights or of the biases; a piece."""
    _, _, starts = grid(_SEARCHED[name], context.settings.starts)
    objective = context.config.problem.objective(plane(_FREE[name]))
    return StationaryPoints(
        **context.piece(f"stationary-{name}", lambda: stationary_points(objective, starts)._asdict())
    )


def _table(points: dict[str, StationaryPoints]) -> pd.DataFrame:
    frames = []
    for name, each in points.items():
        columns = {"plane": name, "first": each.params[:, 0], "second": each.params[:, 1], "loss": each.loss}
        columns |= {"index": each.index, "low_eigenvalue": each.eigenvalues[:, 0]}
        columns |= {"high_eigenvalue": each.eigenvalues[:, 1], "newton_step": each.newton_step, "starts": each.starts}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _target_figure():
    figure, (ax,) = new_figure()
    dense, data = np.linspace(-2, 2, 401), np.arange(-20, 21) / 10
    ax.plot(dense, target(dense), color="#444444", lw=1.4, label="output of the network at its optimum")
    ax.plot(data, target(data), "o", ms=3.5, color="#1f77b4", label="the 41 points of training")
    ax.set(title="The function to approximate", xlabel="input", ylabel="output", ylim=(0.2, 0.8))
    ax.legend()
    return figure


def _weights_figure(context: Context, points: StationaryPoints):
    figure, axes = new_figure(2, height=4.6)
    titles = ("Two free weights", "The same, with the other minimum")
    for ax, window, title in zip(axes, (WINDOW, TALL), titles, strict=True):
        draw_map(context, WEIGHTS, window, context.settings.grid, title=title, ax=ax)
        mark_stationary(points.params, points.index, ax=ax)
    return figure


def _biases_figure(context: Context, points: StationaryPoints):
    figure, (ax,) = new_figure(height=4.8)
    draw_map(context, BIASES, _BIAS_WINDOW, context.settings.grid, title="Two free biases", ax=ax)
    mark_stationary(points.params, points.index, ax=ax)
    return figure


def _claims(context: Context, points: dict[str, StationaryPoints]) -> list[Claim]:
    weights, biases = points["weights"], points["biases"]
    return [
        _global(context),
        _other_minimum(weights),
        _curvature(context),
        _flat(context),
        _symmetric(biases),
        _saddle(biases),
        _initial_values(context),
    ]


def _found(points: StationaryPoints, place, tolerance: float) -> int | None:
    distance = np.abs(points.params - np.asarray(place)).max(axis=1)
    return int(distance.argmin()) if len(distance) and distance.min() <= tolerance else None


def _global(context: Context) -> Claim:
    loss, gradient = (each[0] for each in gradients(full_network(), context.config.problem)(OPTIMUM[None]))
    lowest = float(np.linalg.eigvalsh(hessians(context.config.problem.objective(full_network()), OPTIMUM[None])).min())
    return claim(
        "equation 1",
        "the parameters that make the target are a minimum, where the error is zero",
        "error 0",
        f"error {loss:.1e}, gradient {np.linalg.norm(gradient):.1e}, smallest Hessian eigenvalue {lowest:.1e}",
        (loss, lowest),
        All({"the error is": Below(1e-20), "the smallest eigenvalue": Above(0)}),
        "all 7 parameters, float64",
    )


def _other_minimum(points: StationaryPoints) -> Claim:
    place = _found(points, OTHER_MINIMUM, _NEAR)
    minima = points.params[points.index == 0]
    listed = ", ".join(f"({first:.3f}, {second:.3f})" for first, second in minima)
    return claim(
        "contour map",
        "there is more than one minimum: another near w1 = 0.88, w2 = 38.6",
        f"{OTHER_MINIMUM}",
        f"minima at {listed}; {int((points.index > 0).sum())} saddles",
        place is not None and points.index[place] == 0,
        Stated(f"one of them lies within {_NEAR:g} of the source's"),
        "stationary points from a grid of starts, index from the Hessian in float64",
    )


def _curvature(context: Context) -> Claim:
    _, _, points = grid(WINDOW, 41)
    values = np.linalg.eigvalsh(hessians(context.config.problem.objective(plane(WEIGHTS)), points))
    low, high = np.quantile(np.abs(values).max(axis=1), [0.05, 0.95])
    negative = (values[:, 0] < 0).mean()
    return claim(
        "contour map",
        "the error is not quadratic: its curvature varies widely over the plane",
        "drastically",
        f"the largest curvature goes from {low:.1e} to {high:.1e}, a factor of {high / low:.0f}",
        high / low,
        Above(10, "(1 for a quadratic function)"),
        f"largest |eigenvalue| of the Hessian on a 41 x 41 grid of [-5, 15]^2, 5 % and 95 % quantiles; {negative:.0%} "
        "of the points have a negative eigenvalue",
    )


def _flat(context: Context) -> Claim:
    _, _, points = grid(WINDOW, 101)
    _, gradient = gradients(plane(WEIGHTS), context.config.problem)(points)
    norm = np.linalg.norm(gradient, axis=1)
    tenth, hundredth = (float((norm < share * norm.max()).mean()) for share in (0.1, 0.01))
    return claim(
        "contour map",
        "flat regions are common",
        "everywhere",
        f"the gradient is below a tenth of its largest value on {tenth:.0%} of the plane, below a hundredth on "
        f"{hundredth:.0%}",
        tenth,
        Above(0.5, "% of the plane below a tenth"),
        "gradient norms on a 101 x 101 grid of [-5, 15]^2",
    )


def _symmetric(points: StationaryPoints) -> Claim:
    minima = points.params[points.index == 0]
    mirrored = [_found(points, minimum[::-1], _SAME) is not None for minimum in minima]
    listed = ", ".join(f"({first:.3f}, {second:.3f})" for first, second in minima)
    return claim(
        "contour map of the biases",
        "the map is symmetric: the two minima are mirror images",
        "(-5, 5) and (5, -5)",
        f"minima at {listed}",
        len(minima) == 2 and all(mirrored) and _found(points, (-5, 5), _SAME) is not None,
        Stated(f"there are two minima, one of them the source's, mirrored to {_SAME:g}"),
        "stationary points from a grid of starts",
    )


def _saddle(points: StationaryPoints) -> Claim:
    place = _found(points, (0, 0), _SAME)
    values = points.eigenvalues[place] if place is not None else np.full(2, np.nan)
    return claim(
        "contour map of the biases",
        "between the two minima there is a saddle at b1 = (0, 0): a bad place to begin",
        "saddle at (0, 0)",
        f"Hessian eigenvalues {values[0]:.2e} and {values[1]:.2e}" if place is not None else "none found there",
        place is not None and points.index[place] == 1,
        Stated(f"one of index 1 lies within {_SAME:g} of the origin"),
        f"{len(points.loss)} stationary points in the plane",
    )


def _initial_values(context: Context) -> Claim:
    count = context.settings.draws
    unit = np.random.default_rng(0).uniform(-1, 1, (count, full_network().size))
    evaluate = gradients(full_network(), context.config.problem)
    small, large = (np.median(np.linalg.norm(evaluate(scale * unit)[1], axis=1)) for scale in (1.0, 20.0))
    return claim(
        "text",
        "with large initial values learning begins in a flat region; small ones, from -1 to 1, are better",
        "very flat",
        f"median gradient norm {small:.1e} from values in [-1, 1], {large:.1e} from [-20, 20]",
        small / large,
        Above(10, "for small over large"),
        f"{count:,} draws of all 7 parameters each, uniform",
    )


ANALYSIS = Analysis(
    quick=MapSettings(),
    paper=MapSettings(grid=321, starts=120, draws=20_000),
    find=find,
)
