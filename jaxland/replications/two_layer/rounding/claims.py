"""What the document says of sudden instability, and what of it is rounding."""

import numpy as np

from jaxland.replications.two_layer.rounding.cases import RISE, Measured, Rises
from jaxland.replications.two_layer.rounding.executions import Executions
from jaxland.replications.two_layer.statements import STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Claim, measurement

_RULE = f"the loss has risen when it exceeds its smallest by {RISE:.0%}; sharpness: largest eigenvalue of the Hessian"


def claims(found: list[Measured], executions: Executions) -> list[Claim]:
    """In the order of the document."""
    first, _, eight = found
    return [
        reproducible(first.of("float64")),
        epoch_755(first.of("float64"), _orders(first)),
        before_it_oscillates(eight.of("float64"), _orders(eight)),
        _dynamics_or_rounding(first),
        *(_crossing(each) for each in found),
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


def reproducible(double: Rises) -> Claim:
    """Whether the epoch of figure 3 is the same when the sums are taken in another order."""
    return STATEMENTS["reproducible"].claim(
        f"in {len(double.epoch)} orders of summation, as other machines may have them, {_span(double)}",
        int(np.ptp(double.epoch)),
        detail=f"(f1, 3, 1); {_RULE}",
    )


def epoch_755(double: Rises, orders: str) -> Claim:
    """The epoch from which figure 3 oscillates, over orders of summation."""
    risen = double.epoch[double.epoch >= 0].astype(np.float64)
    middle = Estimate.quantile(risen) if len(risen) else Estimate(np.nan, np.nan, np.nan)
    return STATEMENTS["epoch-755"].claim(
        f"depends on rounding: in float64 epoch {double.epoch[0]} in the order of the data, {_span(double)} in all, "
        f"the median is {middle}",
        middle,
        cases=len(double.epoch),
        detail=f"standard data and weights; orders: {orders}; {_RULE}",
    )


def before_it_oscillates(double: Rises, orders: str) -> Claim:
    """The smallest error of f2, h = 8, before the loss rises, over orders of summation."""
    middle = Estimate.quantile(double.best_error)
    return STATEMENTS["before-it-oscillates"].claim(
        f"depends on rounding: {double.best_error[0]:.5f} in the order of the data, {double.best_error.min():.4f} to "
        f"{double.best_error.max():.4f} in all; the median is {middle:.5f}",
        middle,
        cases=len(double.best_error),
        detail=f"float64; smallest error on the test set before the loss rises; orders: {orders}",
    )


def _dynamics_or_rounding(each: Measured) -> Claim:
    theory = "; ".join(f"{rises.arithmetic.label} {rises.predicted:.0f}" for rises in each.rises)
    return measurement(
        "does the landscape decide when the error begins to oscillate, or rounding?",
        f"the loss rises at {'; '.join(map(_span, each.rises))}; linear theory says {theory}; exact arithmetic "
        f"{each.exact:.0f}",
        of=each.case.run.name,
        detail=f"{_RULE}; linear theory: deviations from the smooth path are made by rounding and grow from the "
        "crossing on",
    )


def _crossing(each: Measured) -> Claim:
    crossings = ", ".join(f"{epoch} in {name}" for name, epoch in each.crossings.items())
    return measurement(
        "from which epoch on is the sharpness above 2 / rate until the loss rises?",
        f"{crossings}; the loss rises at {'; '.join(map(_span, each.rises))}",
        of=each.case.run.name,
        detail=f"known afterwards, and no forecast; orders: {_orders(each)}; {_RULE}",
    )


def _precision_over_executions(executions: Executions) -> Claim:
    delays = {dtype: executions.delays(dtype) for dtype in executions.rise}
    told = [f"{dtype} {Estimate.mean(values)}" for dtype, values in delays.items() if len(values) > 1]
    crossed = executions.crossing[executions.crossing >= 0]
    spread = f"{crossed.min()} to {crossed.max()}" if len(crossed) else "none"
    earlier = delays["float32"] < delays["float64"]
    return measurement(
        "what do new data and weights change?",
        f"crossings at epochs {spread}; mean delay until the rise: {', '.join(told)} epochs; float32 rises first in "
        f"{earlier.sum()} of {len(earlier)}",
        of=executions.case.run.name,
        detail=f"{len(executions.crossing)} executions, {len(earlier)} with a crossing and a rise in both formats",
    )
