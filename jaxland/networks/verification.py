"""Whether a network has a symmetry, by trial: random elements of the group must leave its outputs as they are."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np
from jaxtyping import Float

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland.networks.activations import Scaling
from jaxland.networks.network import Network
from jaxland.networks.symmetry import Symmetry, UnitLayer

# Vectors of parameters that are tried.
_TRIALS = 4
# Largest change of outputs by rounding, as a share of what an element would change that acts on one side of units
# only; the second is of networks that compute in float32 whatever they are given.
_ROUNDING, _ROUNDING_FLOAT32 = 1e-6, 1e-3
# Such an element that changes outputs by a smaller share than this proves nothing.
_SEEN = 1e-6


@dataclass(frozen=True, eq=False)
class SymmetryTest:
    """Random parameters of a network, what it says there, and how to ask it again.

    Attributes:
        params: (T, P) float64.
        expected: outputs (T, N, O) there.
        outputs: of parameters (T, P) at the same points.
    """

    params: Float[np.ndarray, "T P"]
    expected: Float[np.ndarray, "T N O"]
    outputs: Callable[[Float[np.ndarray, "T P"]], Float[np.ndarray, "T N O"]]

    @classmethod
    def at(cls, network: Network, x: Float[np.ndarray, "N D"] | Float[np.ndarray, "N"]) -> "SymmetryTest":
        """The test of a network at points x, (N, D) or (N,)."""
        points = np.asarray(x, np.float64)
        points = points[:, None] if points.ndim == 1 else points
        run = in_blocks(compiled(jax.vmap(network.apply_flat, in_axes=(0, None))), _TRIALS, "float64", shared=(1,))
        params = _random(network)
        expected = run(params, points)
        if not np.isfinite(expected).all():
            # Some parameters may have to be positive, as init makes them.
            params = _near_initial(network)
            expected = run(params, points)
        return cls(params, expected, lambda params: run(params, points))

    def trouble(self, layer: UnitLayer) -> str:
        """What is wrong with a layer that is said to be symmetric, "" if nothing is.

        Its entries must be places of the flat vector.
        """
        if not np.isfinite(self.expected).all():
            return "outputs at random parameters are not finite, so nothing can be verified"
        random, shape = np.random.default_rng(0), (_TRIALS, len(layer.incoming))
        if shape[1] > 1:
            trouble = self._trouble(layer, "exchanging", permutations=[_cycles(random, shape)])
            if trouble:
                return f"{trouble}. Check the arrays and their axes, and that all that the units feed is named"
        if layer.scaling != "none":
            scales = [_scales(random, shape, layer.scaling)]
            trouble = self._trouble(layer, f"scaling ({layer.scaling!r})", scales=scales)
            if trouble:
                return f"{trouble}. Their activation may have scaling={_weaker(layer.scaling)} only"
        return ""

    def _trouble(self, layer: UnitLayer, what: str, **element) -> str:
        changed = self._change(layer, **element)
        one_sided = self._change(replace(layer, outgoing=layer.outgoing[:, :0]), **element)
        if one_sided <= _SEEN * self._size:
            return f"{what} what enters the units alone changes no output, so nothing can be verified at these points"
        if changed > (_ROUNDING if self.expected.dtype == np.float64 else _ROUNDING_FLOAT32) * one_sided:
            return f"{what} its units changes the outputs, by {changed:.2g} where they are {self._size:.2g} at most"
        return ""

    @property
    def _size(self) -> float:
        return float(np.abs(self.expected).max())

    def _change(self, layer: UnitLayer, **element) -> float:
        moved = self.outputs(Symmetry((layer,)).transform(self.params, **element))
        with np.errstate(invalid="ignore"):
            difference = np.abs(moved - self.expected)
        return float(np.where(np.isnan(difference), np.inf, difference).max())


def _random(network: Network) -> Float[np.ndarray, "T P"]:
    """Normal draws of about the size of initial weights, without `init`, which takes seconds to compile."""
    random = np.random.default_rng(0)
    sizes = [max(math.prod(shape), 1) for shape in network.leaf_shapes]
    return np.concatenate([random.normal(size=(_TRIALS, size)) / size**0.25 for size in sizes], axis=1)


def _near_initial(network: Network) -> Float[np.ndarray, "T P"]:
    """Points beside draws of `init`, so that no bias is zero and no two units are alike."""
    draw = compiled(jax.vmap(lambda seed: network.flatten(network.init(jax.random.key(seed)))))
    drawn = in_blocks(draw, _TRIALS, "float32")(np.arange(_TRIALS, dtype=np.uint32)).astype(np.float64)
    return drawn + 0.3 * np.sqrt(np.mean(drawn**2)) * np.random.default_rng(0).normal(size=drawn.shape)


def _cycles(random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Permutations that leave no unit where it is: one cycle through all."""
    order = np.argsort(random.random(shape), axis=1)
    cycles = np.empty(shape, np.int64)
    np.put_along_axis(cycles, order, np.roll(order, 1, axis=1), axis=1)
    return cycles


def _scales(random: np.random.Generator, shape: tuple[int, int], scaling: Scaling) -> np.ndarray:
    if scaling == "positive":
        return np.exp(random.uniform(-1, 1, shape))
    signs = random.choice([-1.0, 1.0], shape)
    signs[0] = -1
    return signs


def _weaker(scaling: Scaling) -> str:
    return "'sign' or 'none'" if scaling == "positive" else "'none'"
