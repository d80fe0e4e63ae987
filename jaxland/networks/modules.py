"""What networks made from the modules of other libraries have in common."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxland.networks.network import Network, NetworkSpec, Origin, Params

Call = Callable[[Params, Any], Any]


def point_shape(inputs: int | Sequence[int]) -> tuple[int, ...]:
    """The shape of one point, as a module takes it.

    Raises:
        ValueError: it is not one or several positive integers.
    """
    shape = tuple(np.atleast_1d(np.asarray(inputs, object)).tolist())
    if not shape or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(f"inputs must be a positive integer, or the shape of a point such as (8, 8, 1); got {inputs}.")
    return shape


def network_of(name: str, init: Callable[[Any], Params], call: Call, shape: tuple[int, ...], origin: Origin) -> Network:
    """A network whose points (N, D) are brought to the shape that a module takes, and its outputs to (N, O).

    Raises:
        ValueError: the outputs have neither shape (N, O) nor (N,).
    """
    inputs = math.prod(shape)

    def apply(params, x):
        if x.shape[1] != inputs:
            raise ValueError(f"network {name!r} takes {inputs} inputs, but x has {x.shape[1]} components.")
        y = call(params, x.reshape(len(x), *shape))
        return y[:, None] if y.ndim == 1 else y

    network = Network(init, apply, NetworkSpec(name, inputs=inputs, origin=origin))
    if not network.leaf_shapes:
        raise ValueError(f"{name} has no parameters, so there is nothing to train.")
    found = jax.eval_shape(network.apply, *_example(network, 2)).shape
    if len(found) != 2 or found[0] != 2:
        raise ValueError(f"{name} must return (points, outputs); for two points it returns shape {found}.")
    return network


def _example(network: Network, points: int):
    shapes = jax.eval_shape(network.unflatten, jax.ShapeDtypeStruct((network.size,), jnp.float32))
    return shapes, jax.ShapeDtypeStruct((points, network.inputs), jnp.float32)


def rebuilt(library: str, network: Network, params: Any) -> Any:
    """What a library knows a network by, from flat parameters (P,), or from (F, P) with an axis of fits in each array.

    Raises:
        ValueError: the network was not made from a module of this library, or `params` does not fit it.
    """
    origin = network.spec.origin
    if origin is None or origin.library != library:
        whence = "by none" if origin is None else f"from one of {origin.library}"
        raise ValueError(
            f"network {network.spec.name!r} was not made from a module of {library} but {whence}; "
            f"make it with from_{library}."
        )
    return origin.rebuild(jax.tree.map(jnp.asarray, tree_of(network, params)))


def tree_of(network: Network, params: Any) -> Params:
    """`network.unflatten` for NumPy arrays (P,) and (F, P).

    Raises:
        ValueError: `params` has another shape.
    """
    params = np.asarray(params)
    if params.ndim not in (1, 2) or params.shape[-1] != network.size:
        raise ValueError(
            f"params must have shape ({network.size},) or (fits, {network.size}) for network {network.spec.name!r}; "
            f"got {params.shape}."
        )
    stops = np.cumsum([math.prod(shape) for shape in network.leaf_shapes])[:-1]
    parts = zip(np.split(params, stops, axis=-1), network.leaf_shapes, strict=True)
    leaves = [np.array(part).reshape(*params.shape[:-1], *shape) for part, shape in parts]
    return jax.tree.unflatten(jax.tree.structure(network.unflatten(np.zeros(network.size))), leaves)
