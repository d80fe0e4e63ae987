"""What an ensemble says at some points: the mean, spread and quantiles of its members' outputs."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from jaxland._asking import traceable
from jaxland._blocks import in_blocks
from jaxland._short import in_short
from jaxland._types import AnyArray
from jaxland.networks import Network, outputs

Transform = Callable[[Float[AnyArray, "N O"]], Float[AnyArray, "N C"]]
"""What is made of one member's outputs, each point for itself, such as `jax.nn.softmax`; in JAX."""

# Outputs that are held at a time: 32 MB in float32, some four times as much while quantiles are taken.
_VALUES = 2**23


class Prediction(NamedTuple):
    """Statistics over the members of an ensemble, at N points; of each output, or of what a transform makes of it."""

    mean: Float[np.ndarray, "N O"]
    std: Float[np.ndarray, "N O"]
    """Standard deviation of the members, divided by their number as in `numpy.std`."""
    quantiles: Float[np.ndarray, "Q N O"]
    levels: Float[np.ndarray, "Q"]
    """Of the quantiles, between 0 and 1."""
    members: int
    """How many fits the statistics are of."""
    excluded: int
    """How many were left out because they diverged."""

    __repr__ = in_short


def summarise(
    network: Network, params: Float[np.ndarray, "F P"], x: Float[np.ndarray, "N D"], levels: Sequence[float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (N, O), standard deviation (N, O) and quantiles (Q, N, O), in float64, some points at a time.

    Quantiles are those of `numpy.quantile`: of each point all members are held.

    Raises:
        ValueError: a level is not between 0 and 1.
    """
    q = np.asarray(levels, np.float64)
    if q.ndim != 1 or not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"quantiles must be levels between 0 and 1, such as (0.05, 0.5, 0.95); got {levels!r}.")

    def statistics(points):
        # Members last: their order statistics are found faster where they lie side by side.
        values = np.ascontiguousarray(np.moveaxis(outputs(network, params, points), 0, -1))
        mean, std = values.mean(axis=-1, dtype=np.float64), values.std(axis=-1, dtype=np.float64)
        found = np.quantile(values, q, axis=-1, overwrite_input=True).astype(np.float64)
        return mean, std, np.moveaxis(found, 0, 1)

    of_a_point = jax.eval_shape(network.apply_flat, params[0], x[:1]).shape[1]
    width = max(1, min(len(x), _VALUES // (len(params) * of_a_point)))
    mean, std, quantiles = in_blocks(statistics, width, params.dtype)(x)
    return mean, std, np.moveaxis(quantiles, 1, 0)


@lru_cache(maxsize=64)
def followed(network: Network, transform: Transform) -> Network:
    """The network, whose outputs are transformed."""

    def apply(params: Any, x: Any) -> Any:
        values = network.predict(params, x)
        with traceable("transform"):
            values = transform(values)
        if values.ndim != 2 or values.shape[0] != x.shape[0]:
            raise ValueError(
                f"transform must make (points, outputs) of (points, outputs), as jax.nn.softmax does; for {x.shape[0]} "
                f"points it returned shape {values.shape}."
            )
        return values

    return Network(network.init, apply)
