"""Two free weights of the last layer: a problem of two parameters, for all else can be computed once.

The two lead from hidden units j and k into output i. With the activations h of the last hidden layer fixed,

    out_i = sigmoid(c + w_j h_j + w_k h_k),    J = mean over samples of (y_i - out_i)^2 + r,

where c is what the other weights bring to output i and r the cost of the other outputs; both are constants.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import expit

from jaxland.networks import Network, NetworkSpec
from jaxland.problems import Images, Loss, Problem


class Pair(NamedTuple):
    """What two weights of the last layer act on."""

    fixed: Float[np.ndarray, "N"]
    """c of each sample."""
    activations: Float[np.ndarray, "N 2"]
    """Of the two hidden units."""
    targets: Float[np.ndarray, "N"]
    """Of the output into which both lead."""
    rest: float
    """Cost of the other outputs."""
    values: Float[np.ndarray, "2"]
    """The weights as they were drawn."""

    def network(self, low: Float[np.ndarray, "2"], high: Float[np.ndarray, "2"]) -> Network:
        """The output as a function of the two weights, which start uniformly from `low` to `high`."""

        def init(key):
            return {"w": jax.random.uniform(key, (2,), minval=jnp.asarray(low), maxval=jnp.asarray(high))}

        def apply(params, x):
            return jax.nn.sigmoid(x[:, :1] + (x[:, 1:] @ params["w"])[:, None])

        return Network(init, apply, NetworkSpec("two weights of the last layer"))

    def problem(self, name: str = "surfaces") -> Problem:
        """Data and cost, that of the other outputs included."""

        def cost(prediction, target):
            return (prediction - target) ** 2 + self.rest

        x = np.column_stack([self.fixed, self.activations])
        return Problem(x, self.targets, loss=Loss("mean_sum_squared_error", cost, outputs="sum"), name=name)


def last_layer_pair(
    network: Network, params: Float[np.ndarray, "P"], pictures: Images, output: int, units: tuple[int, int]
) -> Pair:
    """Computes, in float64, all that does not change with the two weights.

    Args:
        network: from `sigmoid_network`.
        params: its flat weights.
        pictures: the samples.
        output, units: where the two weights lead to and come from.
    """
    layers = [np.asarray(layer.weight) for layer in network.unflatten(params)]
    hidden = pictures.pixels.T
    for weight in layers[:-1]:
        hidden = expit(weight @ hidden)
    last = layers[-1].copy()
    values = last[output, list(units)]
    last[output, list(units)] = 0
    sums = last @ hidden
    others = np.delete((pictures.one_hot.T - expit(sums)) ** 2, output, axis=0)
    return Pair(
        fixed=sums[output],
        activations=hidden[list(units)].T,
        targets=pictures.one_hot[:, output],
        rest=float(others.sum(axis=0).mean()),
        values=values,
    )
