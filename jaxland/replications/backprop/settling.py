"""Which minimum of the plane of the weights a fit has come to, and when."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland.landscape import hessians
from jaxland.replications.backprop.model import OPTIMUM, WEIGHTS, mean_factor, plane, problem

GLOBAL = OPTIMUM[[0, 4]]
OTHER = np.array([0.8828279334, 38.6187244276])
"""The other minimum of the plane; found by the analysis `maps`."""
MINIMA = np.stack([GLOBAL, OTHER])
OTHER_LOSS = 0.0022785883269128
"""Its mean squared error."""
TOLERANCE = 1e-6
"""Mean squared error within which a fit is at a minimum."""
NAMES = ("global minimum", "other minimum", "neither")
COLORS = ("#0072b2", "#e69f00", "#e6e6e6")
_REACH = 1.0
"""Distance in w1 within which it is that minimum, and no fit that happens to pass at its height."""


class Settled(NamedTuple):
    """Where fits are after training, and since when."""

    minimum: Int[np.ndarray, "F"]
    """An index into `NAMES`."""
    epoch: Float[np.ndarray, "F"]
    """The first epoch traced from which on the loss is that of the minimum; NaN for neither."""


def ends(params: Float[np.ndarray, "F 2"], loss: Float[np.ndarray, "F"], kind: str) -> Int[np.ndarray, "F"]:
    """The minimum at which each fit is, by its loss to `TOLERANCE` and by its first weight.

    Args:
        params: places in the plane of the weights.
        loss: there; one that is not finite is at neither.
        kind: name of the loss.
    """
    near = np.abs(params[:, :1] - MINIMA[:, 0]) < _REACH
    near &= _apart(loss, kind) < TOLERANCE
    return np.where(near.any(axis=1), near.argmax(axis=1), len(MINIMA))


def settled(
    params: Float[np.ndarray, "F 2"], traced: Int[np.ndarray, "T"], trace: Float[np.ndarray, "F T"], kind: str
) -> Settled:
    """Where fits end, and from which epoch on their loss stays within `TOLERANCE` of the minimum's.

    Args:
        params: places after the last epoch.
        traced: the epochs of the trace; the last is the end of training.
        trace: losses.
        kind: name of the loss.
    """
    minimum = ends(params, trace[:, -1], kind)
    # What is at neither is measured against the first, and left out.
    which = np.minimum(minimum, len(MINIMA) - 1)
    inside = np.take_along_axis(_apart(trace, kind), which[:, None, None], axis=2)[:, :, 0] < TOLERANCE
    since = np.logical_and.accumulate(inside[:, ::-1], axis=1).sum(axis=1)
    epoch = traced[np.clip(len(traced) - since, 0, len(traced) - 1)].astype(np.float64)
    return Settled(minimum, np.where(minimum < len(MINIMA), epoch, np.nan))


def stability_bounds(kind: str) -> dict[str, float]:
    """The largest learning rate at which gradient descent can rest at each minimum: 2 / (largest curvature)."""
    values = np.linalg.eigvalsh(hessians(problem(kind).objective(plane(WEIGHTS)), MINIMA))
    return {name: 2 / float(each[-1]) for name, each in zip(NAMES, values, strict=False)}


def _apart(loss, kind):
    with np.errstate(over="ignore"):
        return np.abs(loss[..., None] / mean_factor(kind) - np.array([0.0, OTHER_LOSS]))
