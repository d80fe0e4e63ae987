"""Symmetries that users declare by the names and axes of arrays, and that are verified before they are believed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland._names import lookup
from jaxland.networks.activations import Scaling
from jaxland.networks.network import Network
from jaxland.networks.symmetry import Symmetry, UnitLayer
from jaxland.networks.verification import SymmetryTest

Flattened = Literal["channels_last", "channels_first"]
"""How an axis that counts places and channels counts them: channels fastest, as in Flax, or slowest, as in PyTorch."""

UnitAxis = tuple[str, int] | tuple[str, int, Flattened]
"""An array, by its name in `network.leaf_names`, and the axis of it that counts units; see `Units`."""


class Units(NamedTuple):
    """The exchangeable units of one hidden layer, by the arrays that hold what enters and what leaves them.

        Units([("Dense_0.kernel", -1), ("Dense_0.bias", 0)], [("Dense_1.kernel", 0)], "positive")  # Flax, with ReLU

    The channels of a convolution are its units, wherever they are: the axis of its kernel that counts channels is all
    there is to name. A dense layer behind a flattened convolution has an axis that counts places and channels at once,
    and must say in which order: `("Dense_0.kernel", 0, "channels_last")`.

    Attributes:
        incoming: arrays that enter the units, kernels and biases, each with the axis that counts the units.
        outgoing: arrays that leave them, likewise: the kernels of all layers that they feed.
        scaling: `"positive"` if what enters may be multiplied and what leaves divided by any s > 0, as with ReLU,
            `"sign"` if by -1, as with tanh, `"none"` if units may only be exchanged.
    """

    incoming: Sequence[UnitAxis]
    outgoing: Sequence[UnitAxis]
    scaling: Scaling = "none"


def declare_symmetry(
    network: Network,
    layers: Sequence[Units | UnitLayer],
    x: Float[np.ndarray, "N D"] | Float[np.ndarray, "N"] | None = None,
) -> Network:
    """The same network, whose spec declares a symmetry that has been found to hold.

    Each layer is verified by itself, in float64, at random parameters and at `x`: random exchanges, and scales where
    there are any, must leave the outputs as they are, though what enters the units alone would change them.

    Args:
        network: of any kind.
        layers: hidden layers in order from inputs to outputs, by the names of arrays or as index data.
        x: points at which outputs are compared, such as those of the problem; by default 64 standard-normal ones, for
            networks that say in their spec how many inputs they take.

    Returns:
        A network for which `symmetrise`, and all that stands on it, knows these units.

    Raises:
        ValueError: an array or axis is not there, lengths do not agree, or a layer has not the symmetry declared.
    """
    built = [layer if isinstance(layer, UnitLayer) else unit_layer(network, layer) for layer in layers]
    test = SymmetryTest.at(network, standard_points(network) if x is None else x)
    for number, layer in enumerate(built):
        trouble = _misfit(layer, network.size) or test.trouble(layer)
        if trouble:
            raise ValueError(f"layer {number} of network {network.spec.name!r} ({_label(layers[number])}): {trouble}.")
    return replace(network, spec=replace(network.spec, symmetry=Symmetry(tuple(built))))


def standard_points(network: Network) -> Float[np.ndarray, "N D"]:
    """64 standard-normal points, always the same.

    Raises:
        ValueError: the network does not say how many inputs it takes.
    """
    if not network.inputs:
        raise ValueError(
            f"network {network.spec.name!r} does not say how many inputs it takes; pass points x of shape (N, D)."
        )
    return np.random.default_rng(0).normal(size=(64, network.inputs))


def unit_layer(network: Network, units: Units) -> UnitLayer:
    """The entries of the flat vector that `units` names.

    Raises:
        ValueError: an array or axis is not there, or the lengths of axes do not agree.
    """
    if not (units.incoming and units.outgoing):
        raise ValueError(f"units need arrays that enter them and arrays that leave them; got {units}.")
    first = next((each for each in units.incoming if len(each) == 2), units.incoming[0])
    count = _axis_length(network, first)
    incoming, outgoing = (
        np.concatenate([_entries(network, each, count, first) for each in side], axis=1)
        for side in (units.incoming, units.outgoing)
    )
    return UnitLayer(incoming, outgoing, units.scaling)


def _axis_length(network: Network, axis: UnitAxis) -> int:
    name, number = axis[:2]
    shape = network.leaf_shapes[_place(network, name)]
    if not -len(shape) <= number < len(shape):
        raise ValueError(f"{name!r} has shape {shape} and no axis {number}.")
    return shape[number]


def _place(network: Network, name: str) -> int:
    return lookup("array of parameters", name, {each: index for index, each in enumerate(network.leaf_names)})


def _entries(network: Network, axis: UnitAxis, units: int, first: UnitAxis) -> Int[np.ndarray, "U A"]:
    name, number, length, place = axis[0], axis[1], _axis_length(network, axis), _place(network, axis[0])
    sizes = [int(np.prod(shape)) for shape in network.leaf_shapes]
    entries = sum(sizes[:place]) + np.arange(sizes[place]).reshape(network.leaf_shapes[place])
    entries = np.moveaxis(entries, number, 0)
    if len(axis) == 2 and length == units:
        return entries.reshape(units, -1)
    if len(axis) == 2 or length % units:
        remedy = f'; if it counts {length // units} places as well, say ({name!r}, {number}, "channels_last")'
        raise ValueError(
            f"axis {number} of {name!r} counts {length}, but there are {units} units along axis {first[1]} of "
            f"{first[0]!r}{remedy if length % units == 0 else ''}."
        )
    if axis[2] == "channels_first":
        return entries.reshape(units, -1)
    return np.moveaxis(entries.reshape(length // units, units, -1), 1, 0).reshape(units, -1)


def _misfit(layer: UnitLayer, size: int) -> str:
    """What is wrong with index data, whatever the function."""
    for side, entries in (("incoming", layer.incoming), ("outgoing", layer.outgoing)):
        if entries.ndim != 2 or len(entries) != len(layer.incoming) or entries.size == 0:
            return f"{side} entries must have shape (units, entries), as many units on both sides; got {entries.shape}"
        if entries.min() < 0 or entries.max() >= size:
            return f"{side} entries must lie between 0 and {size - 1}; got {entries.min()} to {entries.max()}"
        if len(np.unique(entries)) < entries.size:
            return f"an entry is among the {side} ones twice"
    if layer.scaling == "positive" and np.isin(layer.incoming, layer.outgoing).any():
        return "an entry that enters one unit and leaves another cannot be balanced; give scaling='none'"
    return ""


def _label(layer: Units | UnitLayer) -> str:
    if isinstance(layer, UnitLayer):
        return f"{len(layer.incoming)} units"
    return " to ".join(", ".join(axis[0] for axis in side) for side in (layer.incoming, layer.outgoing))
