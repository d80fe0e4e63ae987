"""Runs that become unstable, in several arithmetics and orders of summation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland.landscape import first_rise, log_deviation, outputs, sharpness
from jaxland.problems import LOSSES, Problem
from jaxland.replications.two_layer.descent import trained
from jaxland.replications.two_layer.rounding.arithmetic import Arithmetic, arithmetics, descend
from jaxland.replications.two_layer.source import (
    TARGETS,
    Run,
    half_mean_square,
    network,
    run_named,
    standard_data,
    standard_weights,
)
from jaxland.studies import Context

LOSS = LOSSES["half_mean_squared_error"]
STRIDE = 5
"""Epochs between two values of the sharpness."""
RISE = 0.01
"""The loss has risen when it exceeds its smallest by this share of it."""
_SLOWER = 10
"""A run at a tenth of the rate follows the same path and stays stable: on it the linear theory is evaluated."""
_LONGEST = 1500
"""Epochs after which even the longest arithmetic is given up."""


@dataclass(frozen=True)
class RoundingSettings:
    """Scale of the comparison."""

    orders: int = 16
    """Orders of summation in float32 and float64; the first is that of the data."""
    wide_orders: int = 2
    """The same in long double, which takes a NumPy loop."""
    digits: tuple[int, ...] = ()
    """Lengths of decimal numbers in which the first run is computed too: with 34, 60 and 110 some four minutes."""
    executions: int = 16
    """New executions of the first run, in float32 and float64."""


@dataclass(frozen=True)
class Case:
    """A highlighted run, and the epoch from which its instability is sought."""

    run: Run
    since: int
    in_decimals: bool = False
    """Whether it is computed in decimal numbers too."""


CASES = (
    Case(run_named("f1", 3, 1.0, 1000), 0, in_decimals=True),
    # Early stretches above 2 / rate end by themselves; what figure 6 shows comes later.
    Case(run_named("f2", 6, 0.1, 1000), 300),
    Case(run_named("f2", 8, 0.1, 1200), 500),
)


class Rises(NamedTuple):
    """Runs in one arithmetic, one for each of K orders of summation."""

    arithmetic: Arithmetic
    epoch: Int[np.ndarray, "K"]
    """The first at which the loss has risen; -1 where it never has."""
    best_error: Float[np.ndarray, "K"]
    """Smallest error on the test set before that."""
    predicted: float
    """The epoch by linear theory, from the sharpness along the slower run and the roundoff; NaN if none."""


@dataclass(frozen=True)
class Measured:
    """What was found for a case; S is the number of epochs at which the sharpness was taken."""

    case: Case
    rises: list[Rises]
    epochs: Int[np.ndarray, "S"]
    sharpness: Mapping[str, Float[np.ndarray, "S"]]
    """Along the run in each arithmetic of this machine, by label; NaN where it had ended."""
    crossings: Mapping[str, int]
    """When the sharpness exceeds 2 / rate for good before the loss rises, by label, to the epoch; -1 if it does not.

    Known when the rise is: no forecast."""
    exact: float
    """The epoch at which exact arithmetic would rise, by linear theory; NaN if none."""

    @property
    def bound(self) -> float:
        """2 / rate."""
        return 2 / self.case.run.rate

    def of(self, label: str) -> Rises:
        """The runs in one arithmetic."""
        (found,) = [each for each in self.rises if each.arithmetic.label == label]
        return found


def crossing(epochs: Int[np.ndarray, "S"], values: Float[np.ndarray, "S"], bound: float, rise: int = -1) -> int:
    """The epoch from which on the values exceed the bound.

    Args:
        epochs: at which they were taken.
        values: such as the sharpness along a run.
        bound: such as 2 / rate.
        rise: only what lies two values before this epoch counts, for oscillations change the sharpness; -1 for all.

    Returns:
        The first epoch of the last stretch above the bound, or -1 if that stretch is empty.
    """
    calm = epochs < rise - 2 * STRIDE if rise >= 0 else np.ones(len(epochs), bool)
    below = np.flatnonzero(~(values[calm] > bound))
    first = int(below[-1]) + 1 if len(below) else 0
    return int(epochs[first]) if first < calm.sum() else -1


def rise(losses: Float[np.ndarray, "K S"], since: int) -> Int[np.ndarray, "K"]:
    """The first epoch from `since` on at which each loss, taken at every epoch, has risen; -1 if none."""
    found = first_rise(losses[:, since:], RISE)
    return np.where(found >= 0, found + since, -1)


def measure(context: Context, case: Case) -> Measured:
    """Trains the run in all arithmetics and orders, and takes its sharpness."""
    settings: RoundingSettings = context.settings
    epochs = np.arange(0, case.run.epochs + 1, STRIDE)
    theory = Theory.of(context, case)
    found, curves, crossings = [], {}, {}
    for arithmetic in arithmetics(settings.digits if case.in_decimals else ()):
        name = f"{case.run.name}-{arithmetic.label}".replace(" ", "-")
        part = context.piece(name, partial(_part, context, case, arithmetic))
        predicted = theory.rise(arithmetic.roundoff)
        found.append(Rises(arithmetic, part["epoch"], part["best_error"], predicted))
        if arithmetic.name != "decimal":
            curves[arithmetic.label] = part["sharpness"]
            on_grid = crossing(epochs, part["sharpness"], 2 / case.run.rate, int(part["epoch"][0]))
            crossed = context.piece(f"{name}-crossing", partial(_crossing, context, case, arithmetic, on_grid))
            crossings[arithmetic.label] = int(crossed["epoch"])
        context.say(f"  {case.run.name}, {arithmetic.label}: the loss rises at epoch {part['epoch'][0]}")
    return Measured(case, found, epochs, curves, crossings, theory.rise(0.0))


def _crossing(context: Context, case: Case, arithmetic: Arithmetic, on_grid: int) -> dict[str, np.ndarray]:
    """The epoch of a crossing that is known to a STRIDE, by bisection."""
    if on_grid <= 0:
        return {"epoch": np.array(on_grid)}
    _, params = _courses(context, case, arithmetic, 1)
    return {"epoch": np.array(bisected(lambda epoch: _sharpness(case, params[0, epoch : epoch + 1])[0], case, on_grid))}


def bisected(sharpness_at: Callable[[int], float], case: Case, on_grid: int) -> int:
    """The first epoch above 2 / rate of the STRIDE that ends at `on_grid`, before which it is below."""
    low, high = on_grid - STRIDE, on_grid
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sharpness_at(middle) > 2 / case.run.rate else (middle, high)
    return high


def _part(context: Context, case: Case, arithmetic: Arithmetic) -> dict[str, np.ndarray]:
    settings: RoundingSettings = context.settings
    count = {"float32": settings.orders, "float64": settings.orders, "longdouble": settings.wide_orders}
    losses, params = _courses(context, case, arithmetic, count.get(arithmetic.name, 1))
    epoch = rise(losses, case.since)
    errors = np.stack([_test_error(case, each) for each in params])
    before = np.arange(errors.shape[1]) < np.where(epoch < 0, errors.shape[1], epoch)[:, None]
    best = np.nanmin(np.where(before, errors, np.nan), axis=1)
    curve = _sharpness(case, params[0, : case.run.epochs + 1 : STRIDE])
    return {"epoch": epoch, "best_error": best, "sharpness": _padded(curve, case.run.epochs // STRIDE + 1)}


def _courses(context: Context, case: Case, arithmetic: Arithmetic, count: int):
    """Losses (K, S) and parameters (K, S, P) at every epoch, one run for each order."""
    if arithmetic.name in ("float32", "float64"):
        return _by_lanes(context, case, arithmetic.name, count)
    return _by_loop(case, arithmetic, count)


def orders_of(points: int, count: int) -> list[Int[np.ndarray, "N"]]:
    """Orders of summation: that of the data, then random ones."""
    random = np.random.default_rng(0)
    return [np.arange(points), *(random.permutation(points) for _ in range(count - 1))]


def _by_lanes(context: Context, case: Case, dtype: str, count: int):
    run, data = case.run, standard_data().x
    x = np.stack([data[order] for order in orders_of(len(data), count)])[:, :, None]
    fits = trained(
        context,
        run.hidden,
        run.rate,
        np.tile(standard_weights(run.hidden), (count, 1)),
        inputs=x,
        targets=TARGETS[run.target](x),
        steps=run.epochs,
        dtype=dtype,
        trace_every=1,
        snapshots=range(run.epochs + 1),
    )
    return fits.trace.astype(np.float64), fits.snapshots.astype(np.float64)


def _by_loop(case: Case, arithmetic: Arithmetic, count: int):
    run = case.run
    courses = [
        descend(
            arithmetic, run.target, run.hidden, run.rate, _LONGEST, order=order, settled=case.since, stop_above=1.05
        )
        for order in orders_of(len(standard_data().x), count)
    ]
    longest = max(len(course.loss) for course in courses)
    losses, params = (
        np.stack([_padded(getattr(course, name), longest) for course in courses]) for name in ("loss", "params")
    )
    # What was stopped had risen; the rest of its row must not count as a rise of its own.
    return np.where(np.isnan(losses), np.inf, losses), params


def _padded(values: np.ndarray, length: int) -> np.ndarray:
    rest = np.full((max(length - len(values), 0), *values.shape[1:]), np.nan)
    return np.concatenate([values[:length], rest])


def _test_error(case: Case, params: Float[np.ndarray, "S P"]) -> Float[np.ndarray, "S"]:
    x = standard_data().test_x
    return half_mean_square(outputs(network(case.run.hidden), params, x[:, None])[:, :, 0], TARGETS[case.run.target](x))


def _sharpness(case: Case, params: Float[np.ndarray, "S P"]) -> Float[np.ndarray, "S"]:
    x = standard_data().x
    return sharpness(network(case.run.hidden), LOSS, params, x[:, None], TARGETS[case.run.target](x)[:, None])


@dataclass(frozen=True)
class Theory:
    """What linear theory needs along the smooth path, at every STRIDE-th epoch of the run's own rate."""

    case: Case
    sharpness: Float[np.ndarray, "S"]
    loss: Float[np.ndarray, "S"]
    size: Float[np.ndarray, "S"]
    """L2 norm of the parameters."""

    @staticmethod
    def of(context: Context, case: Case) -> "Theory":
        """From a run at a tenth of the rate, on which nothing becomes unstable."""
        part = context.piece(f"{case.run.name}-slower", partial(_slower, context, case))
        return Theory(case, part["sharpness"], part["loss"], part["size"])

    def rise(self, roundoff: float) -> float:
        """The epoch at which the loss would have risen by the share `RISE`; NaN if it would not.

        A deviation d along the sharpest direction raises the loss by sharpness d^2 / 2. Rounding makes deviations of
        the size of the parameters times the roundoff in every step. The first one is of the size of the parameters
        where the run is followed from its beginning, else that of rounding; exact arithmetic is then left out.
        """
        first = self.case.since // STRIDE
        curve, loss, size = self.sharpness[first:], self.loss[first:], self.size[first:]
        floor = roundoff * float(np.median(size))
        start = floor if first else float(size[0])
        if start == 0:
            return np.nan
        deviation = log_deviation(self.case.run.rate, curve, floor=floor, start=start, stride=STRIDE)
        seen = 0.5 * np.log(2 * RISE * loss / curve)
        if not (curve > 2 / self.case.run.rate).any():
            return np.nan
        after = int(np.argmax(curve > 2 / self.case.run.rate))
        risen = np.flatnonzero(deviation[after:] > seen[after:])
        return float(self.case.since + STRIDE * (after + risen[0])) if len(risen) else np.nan


def _slower(context: Context, case: Case) -> dict[str, np.ndarray]:
    run, data = case.run, standard_data().x
    kept = range(0, _SLOWER * _LONGEST + 1, _SLOWER * STRIDE)
    fits = trained(
        context,
        run.hidden,
        run.rate / _SLOWER,
        standard_weights(run.hidden)[None],
        problem=Problem(data, TARGETS[run.target](data), loss=LOSS, name="two_layer"),
        steps=kept[-1],
        trace_every=_SLOWER * STRIDE,
        snapshots=kept,
    )
    size = np.linalg.norm(fits.snapshots[0], axis=1)
    return {"sharpness": _sharpness(case, fits.snapshots[0]), "loss": fits.trace[0], "size": size}
