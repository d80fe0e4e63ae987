"""New executions of a run: how crossing and rise move with data and weights, in two precisions."""

from dataclasses import dataclass
from functools import partial

import numpy as np
from jaxtyping import Float, Int

from jaxland.landscape import sharpness
from jaxland.replications.two_layer.descent import trained
from jaxland.replications.two_layer.ensembles import executions_data, executions_weights
from jaxland.replications.two_layer.rounding.cases import LOSS, STRIDE, Case, crossing, rise
from jaxland.replications.two_layer.source import TARGETS, network
from jaxland.studies import Context


@dataclass(frozen=True)
class Executions:
    """W executions with data and weights of their own."""

    case: Case
    crossing: Int[np.ndarray, "W"]
    """When the sharpness exceeds 2 / rate for good before the loss rises, in float64; -1 if it does not."""
    rise: dict[str, Int[np.ndarray, "W"]]
    """The first epoch at which the loss has risen, by number format; -1 if it never has."""

    def delays(self, dtype: str) -> Float[np.ndarray, "R"]:
        """Epochs from crossing to rise, of executions that have both in both formats."""
        both = (self.crossing >= 0) & np.logical_and.reduce([each >= 0 for each in self.rise.values()])
        return (self.rise[dtype] - self.crossing)[both].astype(np.float64)


def measure_executions(context: Context, case: Case) -> Executions:
    """Trains them in float32 and float64, and takes the sharpness in float64."""
    count = context.settings.executions
    part = context.piece(f"{case.run.name}-executions-{count}", partial(_train, context, case, count))
    return Executions(case, part["crossing"], {dtype: part[dtype] for dtype in ("float32", "float64")})


def _train(context: Context, case: Case, count: int) -> dict[str, np.ndarray]:
    run, numbers = case.run, np.arange(count)
    kept = range(0, run.epochs + 1, STRIDE)
    x = executions_data(context.config, numbers).x[:, :, None]
    y = TARGETS[run.target](x)
    start, found = executions_weights(context.config, numbers, run.hidden), {}
    options = {"inputs": x, "targets": y, "steps": run.epochs, "trace_every": 1, "snapshots": kept}
    for dtype in ("float32", "float64"):
        fits = trained(context, run.hidden, run.rate, start, dtype=dtype, **options)
        found[dtype] = rise(fits.trace.astype(np.float64), case.since)
        params = fits.snapshots
    curves = [sharpness(network(run.hidden), LOSS, each, *own) for each, *own in zip(params, x, y, strict=True)]
    ends = found["float64"].tolist()
    found["crossing"] = np.array(
        [crossing(np.array(kept), curve, 2 / run.rate, end) for curve, end in zip(curves, ends, strict=True)]
    )
    return found
