"""What the document says of sudden instability, and what of it is rounding."""

import numpy as np

from jaxland.replications.two_layer.rounding.cases import RISE, Measured, Rises
from jaxland.replications.two_layer.rounding.executions import Executions
from jaxland.statistics import sample_interval
from jaxland.studies import Above, AtMost, Claim, Holds, Ordered, Stated, claim

_RULE = f"the loss has risen when it exceeds its smallest by {RISE:.0%}; sharpness: largest eigenvalue of the Hessian"
_LAST_DIGIT = 0.00005


def claims(found: list[Measured], executions: Executions) -> list[Claim]:
    """In the order of the document."""
    first, _, eight = found
    return [
        _epoch(first),
        _dynamics_or_rounding(first),
        *(_too_large_from(each) for each in found),
        _before_it_oscillates(eight),
        _unpredictable(found),
        _precision_over_executions(executions),
    ]


def _span(rises: Rises) -> str:
    epochs = rises.epoch[rises.epoch >= 0]
    if not len(epochs):
        return f"{rises.arithmetic.label} never"
    span = f"{epochs.min()}" if epochs.min() == epochs.max() else f"{epochs.min()} to {epochs.max()}"
    return f"{rises.arithmetic.label} {span}"


def _orders(each: Measured) -> str:
    return ", ".join(f"{len(rises.epoch)} in {rises.arithmetic.label}" for rises in each.rises)


def _epoch(each: Measured) -> Claim:
    double = each.of("float64").epoch
    return claim(
        "figure 3",
        "f1, h = 3, rate 1: stable and best up to epoch 755, then the error oscillates and rises",
        "epoch 755",
        f"depends on rounding: in float64 epoch {double[0]} in the order of the data, {double.min()} to {double.max()} "
        f"in {len(double)} orders of summation; by arithmetic: {'; '.join(map(_span, each.rises))}",
        (double.min(), double.max()),
        Holds(755),
        f"standard data and weights; orders: {_orders(each)}; {_RULE}; the interval is the range of float64",
    )


def _dynamics_or_rounding(each: Measured) -> Claim:
    label = each.rises[-1].arithmetic.label
    widest, double = each.rises[-1].epoch[0], each.of("float64").epoch[0]
    theory = "; ".join(f"{rises.arithmetic.label} {rises.predicted:.0f}" for rises in each.rises)
    crossings = ", ".join(f"{each.crossing(name)} in {name}" for name in each.sharpness)
    return claim(
        "conclusion 3",
        "f1, h = 3, rate 1: the epoch from which the error oscillates is a property of the landscape",
        "the landscape",
        f"depends on rounding: sharpness exceeds 2 / rate from epoch {crossings}, but the loss rises at {double} in "
        f"float64 and at {widest} in {label}; linear theory: {theory}; exact arithmetic {each.exact:.0f}",
        widest - double,
        AtMost(10, "epochs from float64 to the widest arithmetic"),
        f"{_RULE}; linear theory: deviations from the smooth path are made by rounding and grow from the crossing on",
    )


def _too_large_from(each: Measured) -> Claim:
    run, double = each.case.run, each.of("float64")
    crossing = each.crossing("float64")
    return claim(
        "conclusion 3",
        f"{run.name}: a rate that performed well at the beginning leads to instability later",
        "the landscape changes",
        f"the sharpness is above 2 / rate = {each.bound:g} from epoch {crossing} on; the loss rises "
        f"{double.epoch[0] - crossing} epochs later, at {double.epoch[0]} ({'; '.join(map(_span, each.rises))})",
        (-1, crossing, double.epoch[0]),
        Ordered(("before the first epoch", "the sharpness exceeds 2 / rate", "the loss rises")),
        f"orders: {_orders(each)}; {_RULE}, every 5 epochs",
    )


def _before_it_oscillates(each: Measured) -> Claim:
    double = each.of("float64").best_error
    spans = "; ".join(
        f"{rises.arithmetic.label} {rises.best_error.min():.4f} to {rises.best_error.max():.4f}" for rises in each.rises
    )
    return claim(
        "section 4.2",
        "f2, h = 8, rate 0.1: the error before it oscillates",
        "1.0889",
        f"depends on rounding: {double[0]:.5f} in the order of the data; {spans}",
        (double.min() - _LAST_DIGIT, double.max() + _LAST_DIGIT),
        Holds(1.0889),
        f"smallest error on the test set before the loss rises; orders: {_orders(each)}; the interval is the range of "
        "float64, and half of the last digit that is printed",
    )


def _unpredictable(found: list[Measured]) -> Claim:
    warnings = [each.of("float64").epoch[0] - each.crossing("float64") for each in found]
    errors = [rises.predicted - np.median(rises.epoch[rises.epoch >= 0]) for each in found for rises in each.rises]
    furthest = np.nanmax(np.abs(errors))
    return claim(
        "conclusion 1",
        "the first hundreds of iterations do not make the following ones predictable",
        "not predictable",
        f"not from the loss; the sharpness exceeds 2 / rate {min(warnings)} to {max(warnings)} epochs before the loss "
        f"rises, and linear theory gives the epoch of the rise within {furthest:.0f} epochs",
        min(warnings) < 10 or not furthest < 100,
        Stated("the sharpness warns less than 10 epochs ahead or the theory is not within 100"),
        f"{len(found)} runs, {len(errors)} arithmetics in all",
    )


def _precision_over_executions(executions: Executions) -> Claim:
    run, delays = executions.case.run, {dtype: executions.delays(dtype) for dtype in executions.rise}
    texts = []
    for dtype, values in delays.items():
        low, high = sample_interval(values)
        texts.append(f"{dtype} {values.mean():.0f} ({low:.0f} to {high:.0f})" if len(values) else f"{dtype} none")
    crossed, count = executions.crossing[executions.crossing >= 0], len(executions.crossing)
    spread = f"{crossed.min()} to {crossed.max()}" if len(crossed) else "none"
    earlier = delays["float32"] < delays["float64"]
    return claim(
        "figure 3",
        f"{run.name}: what new random data and weights change",
        "instability comes at another epoch",
        f"crossings at epochs {spread}; mean delay until the rise: {', '.join(texts)} epochs; float32 rises first "
        f"in {earlier.sum()} of {len(earlier)}",
        None if count < 2 else np.ptp(crossed) if len(crossed) else 0,
        Above(10, "epochs between the first and the last crossing"),
        f"{count} executions, {len(earlier)} with a crossing and a rise in both formats; intervals 95 %",
    )
