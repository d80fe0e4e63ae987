"""The symmetry group of a network, as data: which entries of the flat vector belong to which hidden unit.

For a network with positively homogeneous units (ReLU), scaling what enters a unit by s > 0 and what leaves it by 1/s
changes nothing, and neither does exchanging two units of a layer: the group R+^(KN) x| S_N^K of Gamst and Walker,
section 3. Units with an odd activation have a sign in place of the scale, others only the exchange.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jaxland.networks.activations import Scaling


@dataclass(frozen=True, eq=False)
class UnitLayer:
    """The exchangeable units of one hidden layer.

    Attributes:
        incoming: entries of the flat vector that enter each unit, weights and bias, in the same order for each.
        outgoing: entries that leave each unit, likewise.
        scaling: `"positive"` if incoming may be multiplied and outgoing divided by any s > 0, `"sign"` if by -1,
            `"none"` if by nothing.
    """

    incoming: Int[np.ndarray, "U A"]
    outgoing: Int[np.ndarray, "U B"]
    scaling: Scaling

    def __repr__(self) -> str:
        return f"UnitLayer({len(self.incoming)} units, scaling={self.scaling!r})"


@dataclass(frozen=True)
class Symmetry:
    """All exchanges and scalings a network declares. The default declares none."""

    layers: tuple[UnitLayer, ...] = ()

    def transform(
        self,
        params: Float[np.ndarray, "*batch P"],
        permutations: Sequence[Int[np.ndarray, "*batch _"]] | None = None,
        scales: Sequence[Float[np.ndarray, "*batch _"]] | None = None,
    ) -> Float[np.ndarray, "*batch P"]:
        """Acts on flat vectors with one element of the group.

        Args:
            params: flat vectors.
            permutations: for each layer, (*batch, U), the old unit that comes to stand at each place; none by default.
            scales: for each layer, (*batch, U), the factor of each (old) unit's incoming entries; ones by default.
                Which factors leave the function unchanged depends on the layer's `scaling`.

        Returns:
            The transformed vectors: scaled first, then permuted.
        """
        result = np.array(params)
        for index, layer in enumerate(self.layers):
            if scales is not None:
                factor = np.asarray(scales[index])[..., None]
                result[..., layer.incoming] *= factor
                result[..., layer.outgoing] /= factor
            if permutations is not None:
                order = np.asarray(permutations[index])
                for entries in (layer.incoming, layer.outgoing):
                    result[..., entries] = np.take_along_axis(result[..., entries], order[..., None], axis=-2)
        return result

    def scaling_directions(self, params: Float[np.ndarray, "*batch P"]) -> Float[np.ndarray, "*batch units P"]:
        """Tangents of the orbit of each vector under positive scaling, one for each unit that may be scaled.

        The tangent of a unit is its incoming entries and minus its outgoing entries: the derivative of `transform` by
        the logarithm of the unit's scale. The loss is constant along the orbit, so its gradient is orthogonal to them
        all, and where the gradient vanishes its Hessian annihilates them.

        Args:
            params: flat vectors.

        Returns:
            Float64 directions, in the order of the layers and of the units in each; a unit without weights has zeros.
        """
        params = np.asarray(params, np.float64)
        parts = [_scaling_tangents(layer, params) for layer in self.layers if layer.scaling == "positive"]
        return np.concatenate([np.zeros((*params.shape[:-1], 0, params.shape[-1])), *parts], axis=-2)


def _scaling_tangents(layer, params):
    units = len(layer.incoming)
    tangents = np.zeros((*params.shape[:-1], units, params.shape[-1]))
    each = np.arange(units)[:, None]
    tangents[..., each, layer.incoming] = params[..., layer.incoming]
    tangents[..., each, layer.outgoing] = -params[..., layer.outgoing]
    return tangents
