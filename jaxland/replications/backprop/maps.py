"""The target, both contour maps, and every stationary point of their planes."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import StationaryPoints, hessians, stationary_points
from jaxland.plots import contour_map, mark_stationary, new_figure
from jaxland.replications.backprop.model import BIASES, OPTIMUM, SYMBOLS, WEIGHTS, full_network, plane, problem, target
from jaxland.replications.backprop.statements import NEAR, SAME, STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings
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
        captions=_captions(points),
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
    ax.plot(data, target(data), "o", ms=3.5, color="#0072b2", mec="white", mew=0.4, label="the 41 points of training")
    ax.set(title="The function to approximate", xlabel="input", ylabel="output", ylim=(0.2, 0.8))
    ax.legend()
    return figure


def _weights_figure(context: Context, points: StationaryPoints):
    figure, axes = new_figure(2)
    titles = ("Two free weights", "The same, with the other minimum")
    for ax, window, title in zip(axes, (WINDOW, TALL), titles, strict=True):
        draw_map(context, WEIGHTS, window, context.settings.grid, title=title, ax=ax)
        mark_stationary(points.params, points.index, ax=ax)
    return figure


def _biases_figure(context: Context, points: StationaryPoints):
    figure, (ax,) = new_figure(height=2.8)
    draw_map(context, BIASES, _BIAS_WINDOW, context.settings.grid, title="Two free biases", ax=ax)
    mark_stationary(points.params, points.index, ax=ax)
    return figure


def _claims(context: Context, points: dict[str, StationaryPoints]) -> list[Claim]:
    objective = context.config.problem.objective(full_network())
    loss, gradient = (each[0] for each in gradients(full_network(), context.config.problem)(OPTIMUM[None]))
    _, _, coarse = grid(WINDOW, 41)
    curvatures = np.linalg.eigvalsh(hessians(context.config.problem.objective(plane(WEIGHTS)), coarse))
    return [
        global_claim(loss, gradient, hessians(objective, OPTIMUM[None])[0]),
        not_quadratic_claim(curvatures),
        other_minimum_claim(points["weights"]),
        flat_claim(_gradients_on(WEIGHTS, WINDOW, context.config.loss)),
        large_inputs_claim(*(_gradients_on(WEIGHTS, WINDOW, context.config.loss, scale) for scale in (1, 10))),
        symmetric_claim(points["biases"]),
        saddle_claim(points["biases"]),
        large_starts_claim(*_gradients_at_random(context)),
    ]


def _gradients_on(free: tuple[str, str], window: Window, loss: str, scale: float = 1) -> Float[np.ndarray, "G"]:
    """Norms of the gradient on a grid of 101 x 101 points, for inputs that are larger by a factor."""
    _, _, points = grid(window, 101)
    return np.linalg.norm(gradients(plane(free), problem(loss, scale))(points)[1], axis=1)


def _gradients_at_random(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """Norms of the gradient at parameters uniform in [-1, 1] and in [-20, 20]."""
    unit = np.random.default_rng(0).uniform(-1, 1, (context.settings.draws, full_network().size))
    evaluate = gradients(full_network(), context.config.problem)
    small, large = (np.linalg.norm(evaluate(scale * unit)[1], axis=1) for scale in (1.0, 20.0))
    return small, large


def _found(points: StationaryPoints, place, tolerance: float) -> int | None:
    distance = np.abs(points.params - np.asarray(place)).max(axis=1)
    return int(distance.argmin()) if len(distance) and distance.min() <= tolerance else None


def global_claim(loss: float, gradient: Float[np.ndarray, "P"], hessian: Float[np.ndarray, "P P"]) -> Claim:
    """Of the error, its gradient and its Hessian at the parameters that make the target."""
    lowest = float(np.linalg.eigvalsh(hessian).min())
    measured = f"error {loss:.1e}, gradient {np.linalg.norm(gradient):.1e}, smallest Hessian eigenvalue {lowest:.1e}"
    return STATEMENTS["global-minimum"].claim(measured, (loss, lowest), detail="all 7 parameters, float64")


def other_minimum_claim(points: StationaryPoints) -> Claim:
    """Of the stationary points of the plane of the weights."""
    place = _found(points, OTHER_MINIMUM, NEAR)
    listed = ", ".join(f"({first:.3f}, {second:.3f})" for first, second in points.params[points.index == 0])
    return STATEMENTS["other-minimum"].claim(
        f"minima at {listed}; {int((points.index > 0).sum())} saddles",
        place is not None and bool(points.index[place] == 0),
        detail="stationary points from a grid of starts, index from the Hessian in float64",
    )


def not_quadratic_claim(values: Float[np.ndarray, "G 2"]) -> Claim:
    """Of the eigenvalues of the Hessian on a grid of the plane."""
    low, high = np.quantile(np.abs(values).max(axis=1), [0.05, 0.95])
    negative = (values[:, 0] < 0).mean()
    return STATEMENTS["not-quadratic"].claim(
        f"the largest curvature goes from {low:.1e} to {high:.1e}, a factor of {high / low:.0f}",
        float(high / low),
        detail=f"largest |eigenvalue| on a grid of {len(values):,} points of [-5, 15]^2, {negative:.0%} with a "
        f"negative one",
    )


def flat_claim(norm: Float[np.ndarray, "G"]) -> Claim:
    """Of the norms of the gradient on a grid of the plane."""
    tenth, hundredth = (float((norm < share * norm.max()).mean()) for share in (0.1, 0.01))
    return STATEMENTS["flat-regions"].claim(
        f"below a tenth of the largest on {tenth:.0%} of the plane, below a hundredth on {hundredth:.0%}",
        tenth,
        detail=f"gradient norms on a grid of {len(norm):,} points of [-5, 15]^2",
    )


def large_inputs_claim(norm: Float[np.ndarray, "G"], larger: Float[np.ndarray, "G"]) -> Claim:
    """Of the norms of the gradient on a grid, with the source's inputs and with larger ones."""
    ratio = float(np.median(larger) / np.median(norm))
    return STATEMENTS["large-inputs"].claim(
        f"median gradient {np.median(larger):.1e} against {np.median(norm):.1e}, a factor of {ratio:.2f}",
        ratio,
        detail="inputs from -20 to 20 instead of from -2 to 2, the target made anew; [-5, 15]^2",
    )


def symmetric_claim(points: StationaryPoints) -> Claim:
    """Of the stationary points of the plane of the biases."""
    minima = points.params[points.index == 0]
    mirrored = [_found(points, minimum[::-1], SAME) is not None for minimum in minima]
    listed = ", ".join(f"({first:.3f}, {second:.3f})" for first, second in minima)
    return STATEMENTS["biases-symmetric"].claim(
        f"minima at {listed}",
        len(minima) == 2 and all(mirrored) and _found(points, (-5, 5), SAME) is not None,
        detail="stationary points from a grid of starts",
    )


def saddle_claim(points: StationaryPoints) -> Claim:
    """Of the same."""
    place = _found(points, (0, 0), SAME)
    values = points.eigenvalues[place] if place is not None else np.full(2, np.nan)
    return STATEMENTS["biases-saddle"].claim(
        f"Hessian eigenvalues {values[0]:.2e} and {values[1]:.2e}" if place is not None else "none found there",
        place is not None and bool(points.index[place] == 1),
        detail=f"{len(points.loss)} stationary points in the plane",
    )


def large_starts_claim(small: Float[np.ndarray, "F"], large: Float[np.ndarray, "F"]) -> Claim:
    """Of the norms of the gradient at small and at large random parameters."""
    one, other = Estimate.quantile(small), Estimate.quantile(large)
    ratio = Estimate(one.value / other.value, one.low / other.high, one.high / other.low)
    return STATEMENTS["large-starts"].claim(
        f"median gradient {one.value:.1e} from [-1, 1], {other.value:.1e} from [-20, 20], a factor of {ratio}",
        ratio,
        cases=len(small),
        detail="draws of all 7 parameters, uniform; 95 % intervals of both medians",
    )


def _captions(points: dict[str, StationaryPoints]) -> dict[str, str]:
    minima = {name: int((each.index == 0).sum()) for name, each in points.items()}
    saddles = int((points["weights"].index > 0).sum())
    return {
        "figure-01-target": "The function to approximate, which the 1-2-1 network can equal, and the 41 "
        "training points.",
        "figure-02-contours-of-the-weights": "The error over two weights, the rest at the optimum: "
        f"{minima['weights']} minima and {saddles} saddles.",
        "figure-03-contours-of-the-biases": "The error over the two hidden biases: "
        f"{minima['biases']} minima, mirror images, and a saddle between them at the origin.",
    }


ANALYSIS = Analysis(
    quick=MapSettings(),
    paper=MapSettings(grid=321, starts=120, draws=20_000),
    find=find,
)
