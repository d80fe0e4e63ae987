"""Two free weights of the last layer: a problem of two parameters, for all else can be computed once.

The two lead from hidden units j and k into output i. With the activations h of the last hidden layer fixed,

    out_i = sigmoid(c + w_j h_j + w_k h_k),    J = mean over samples of (y_i - out_i)^2 + r,

where c is what the other weights bring to output i and r the cost of the other outputs; both are constants.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from jaxland.networks import Network, NetworkSpec
from jaxland.problems import Images, Loss, Problem

_LEAST_CURVATURE = 1e-9
"""Of the cost at a minimum, in each direction: below it the surface is flat as far as can be told."""


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

    def minima(self, a: Float[np.ndarray, "A"], b: Float[np.ndarray, "B"], steps: int = 60) -> Float[np.ndarray, "M 2"]:
        """All minima within a window that Newton's method finds, in float64.

        It starts where, on a grid, the cost or the norm of its gradient is lowest among its neighbours. A point counts
        if the last step is short, the Hessian is positive definite, and it lies inside the window.

        Args:
            a, b: coordinates of the grid; their ends are the window.
            steps: of Newton's method.
        """
        places = np.stack(np.meshgrid(a, b, indexing="ij"), axis=-1).reshape(-1, 2)
        cost, gradient, _ = self._derivatives(places)
        shape = len(a), len(b)
        candidates = _lowest(cost.reshape(shape)) | _lowest(np.linalg.norm(gradient, axis=1).reshape(shape))
        points = places[candidates.ravel()]
        longest = max(a[1] - a[0], b[1] - b[0])
        step = np.full_like(points, np.inf)
        for _ in range(steps):
            _, gradient, hessian = self._derivatives(points)
            with np.errstate(all="ignore"):
                turned = np.stack([hessian[:, 1, 1], -hessian[:, 0, 1], -hessian[:, 1, 0], hessian[:, 0, 0]], axis=1)
                inverse = turned.reshape(-1, 2, 2) / np.linalg.det(hessian)[:, None, None]
                step = np.einsum("fij,fj->fi", inverse, gradient)
                length = np.linalg.norm(step, axis=1, keepdims=True)
                points = points - step * np.minimum(1, longest / length)
        _, _, hessian = self._derivatives(points)
        low, high = np.array([a[0], b[0]]), np.array([a[-1], b[-1]])
        good = (np.linalg.norm(step, axis=1) < 1e-9 * longest) & ((points > low) & (points < high)).all(axis=1)
        good[good] = np.linalg.eigvalsh(hessian[good])[:, 0] > _LEAST_CURVATURE
        found: list[np.ndarray] = []
        for point in points[good]:
            if all(np.abs(point - each).max() > 1e-4 for each in found):
                found.append(point)
        return np.array(found).reshape(-1, 2)

    def _derivatives(self, w: Float[np.ndarray, "F 2"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cost, gradient and Hessian at several places."""
        out = expit(self.fixed + w @ self.activations.T)
        slope, error = out * (1 - out), out - self.targets
        first = 2 * error * slope
        second = 2 * slope**2 + first * (1 - 2 * out)
        count, h = len(self.targets), self.activations
        hessian = np.einsum("fn,ni,nj->fij", second, h, h) / count
        return (error**2).mean(axis=1) + self.rest, first @ h / count, hessian

    def problem(self, name: str = "surfaces") -> Problem:
        """Data and cost, that of the other outputs included."""

        def cost(prediction, target):
            return (prediction - target) ** 2 + self.rest

        x = np.column_stack([self.fixed, self.activations])
        return Problem(x, self.targets, loss=Loss("mean_sum_squared_error", cost, outputs="sum"), name=name)


def _lowest(values: Float[np.ndarray, "A B"]) -> Bool[np.ndarray, "A B"]:
    """Which points of a grid are not above any of their eight neighbours."""
    around = np.pad(values, 1, constant_values=np.inf)
    rows, columns = values.shape
    shifts = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    return np.all([values <= around[i : i + rows, j : j + columns] for i, j in shifts], axis=0)


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
