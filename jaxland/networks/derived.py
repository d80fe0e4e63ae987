"""The symmetry of chains of dense and convolutional layers, found by trial among the arrays they may feed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from jaxland.networks.declared import Flattened, Units, standard_points, unit_layer
from jaxland.networks.network import Network
from jaxland.networks.symmetry import Symmetry, UnitLayer
from jaxland.networks.verification import SymmetryTest


class Kernel(NamedTuple):
    """One layer of a library.

    Attributes:
        weight: name of its array of weights.
        bias: name of its biases, "" where it has none.
        inputs: axis of the weights that counts what enters.
        outputs: axis that counts its units; the first axis of the biases does too.
    """

    weight: str
    bias: str
    inputs: int
    outputs: int


def with_derived_symmetry(network: Network, kernels: Sequence[Kernel], flattened: Flattened) -> Network:
    """The same network, with all units declared that are seen to feed one other layer and nothing else.

    Every layer is tried as what any other one feeds, and the widest scaling is declared under which the outputs stay
    as they are. So what is declared has been verified, and what a chain of layers does not have (a unit that
    is added to another, a norm with weights of its own) is not declared.

    Args:
        network: it must say how many inputs it takes.
        kernels: its layers, in any order.
        flattened: how the library counts what a convolution hands to a dense layer.
    """
    if len(kernels) < 2:
        return network
    try:
        test = SymmetryTest.at(network, standard_points(network))
    except TypeError:
        # Modules that insist on float32, such as a scan that begins with zeros of its own, cannot be verified.
        return network
    found = {kernel: each for kernel in kernels if (each := _found(network, test, kernel, kernels, flattened))}
    layers = tuple(found[kernel][1] for kernel in _in_order(found))
    return replace(network, spec=replace(network.spec, symmetry=Symmetry(layers)))


def _found(network, test, kernel, kernels, flattened) -> tuple[Kernel, UnitLayer] | None:
    """The one layer that a layer feeds, and its units; None if there is no such layer."""
    for other in kernels:
        units = _units(network, kernel, other, flattened) if other != kernel else None
        layer = _widest(test, unit_layer(network, units)) if units else None
        if layer:
            return other, layer
    return None


def _units(network, kernel: Kernel, other: Kernel, flattened: Flattened) -> Units | None:
    """The units of one layer as if they fed another, None where their numbers rule that out."""
    shapes = dict(zip(network.leaf_names, network.leaf_shapes, strict=True))
    count, length = shapes[kernel.weight][kernel.outputs], shapes[other.weight][other.inputs]
    if length % count:
        return None
    entering = [(kernel.weight, kernel.outputs), *([(kernel.bias, 0)] if kernel.bias else [])]
    leaving = (other.weight, other.inputs) if length == count else (other.weight, other.inputs, flattened)
    return Units(entering, [leaving])


def _widest(test: SymmetryTest, layer: UnitLayer) -> UnitLayer | None:
    """The layer with the widest scaling that holds; None if not even exchanges do, or there is nothing to exchange."""
    if test.trouble(layer):
        return None
    scaled = (replace(layer, scaling=scaling) for scaling in ("positive", "sign"))
    widest = next((each for each in scaled if not test.trouble(each)), layer)
    return widest if len(layer.incoming) > 1 or widest.scaling != "none" else None


def _in_order(found) -> list[Kernel]:
    """Layers from inputs to outputs: those that none feeds first, each followed by what it feeds."""
    fed, order = {other for other, _ in found.values()}, []
    for kernel in [*(each for each in found if each not in fed), *found]:
        while kernel in found and kernel not in order:
            order.append(kernel)
            kernel = found[kernel][0]
    return order
