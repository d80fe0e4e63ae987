"""Networks made from modules of Equinox, and the way back."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Float, PRNGKeyArray

from jaxland._types import AnyArray
from jaxland.networks.derived import Kernel, with_derived_symmetry
from jaxland.networks.modules import network_of, point_shape, rebuilt
from jaxland.networks.network import Network, Origin

_STATEFUL = (
    "a layer that keeps a state, as batch norm does, so it is no pure function of parameters and points. Leave it out, "
    "or close over the state in a jaxland.Network(init, apply) of your own"
)


def from_equinox(
    make: Callable[[PRNGKeyArray], Any], inputs: int | Sequence[int], *, name: str | None = None
) -> Network:
    """A network from a function that makes a module of Equinox.

    All floating-point arrays of the module are its parameters; all else is closed over, as `make` leaves it with the
    key 0. Symmetries are found and declared as in `from_flax`.

        network = from_equinox(lambda key: eqx.nn.MLP(3, 1, 8, 2, key=key), 3)

    A vector of parameters that were trained elsewhere is `network.flatten(eqx.filter(model, eqx.is_inexact_array))`.

    Args:
        make: `key -> module`, since every fit begins at a draw of its own; a module that is made already cannot be
            drawn again. The module is called with one point and returns its outputs (O,) or one number ().
        inputs: D, or the shape of one point, to which the D components of x are brought in row-major order.
        name: used in tables; by default that of the module's class.

    Returns:
        A network whose parameters are the module with all but its floating-point arrays left out.

    Raises:
        TypeError: `make` is a module, or makes none.
        ValueError: the module keeps a state (batch norm) or draws random numbers when it is called (dropout), so that
            it is no pure function of parameters and points; or it has no parameters, or returns another shape.
    """
    shape = point_shape(inputs)
    if isinstance(make, eqx.Module) or not callable(make):
        raise TypeError(
            "from_equinox takes a function key -> module, such as `lambda key: eqx.nn.MLP(..., key=key)`, for every "
            f"fit begins at a draw of its own; got {make!r}. Where fits shall begin at a module's own weights, give "
            "these to fit: start=network.flatten(eqx.filter(module, eqx.is_inexact_array))[None]."
        )
    model = make(jax.random.key(0))
    name = name or type(model).__name__
    _check(name, model)
    static = eqx.partition(model, eqx.is_inexact_array)[1]

    def rebuild(params):
        return eqx.combine(params, static)

    network = network_of(
        name,
        lambda key: eqx.filter(make(key), eqx.is_inexact_array),
        lambda params, x: jax.vmap(rebuild(params))(x),
        shape,
        Origin("equinox", rebuild),
    )
    return with_derived_symmetry(network, _kernels(network), "channels_first")


def to_equinox(network: Network, params: Float[AnyArray, "*fits P"]) -> Any:
    """The Equinox module with parameters of jaxland.

    Args:
        network: made by `from_equinox`.
        params: flat, (P,), or (F, P) for a module whose arrays have a leading axis of fits, as `eqx.filter_vmap`
            makes and takes them.

    Returns:
        A module with arrays in the dtype of `params`, as far as JAX holds it: float64 needs `jax.enable_x64`.

    Raises:
        ValueError: the network is of another kind, or `params` does not fit it.
    """
    return rebuilt("equinox", network, params)


def _check(name: str, model: Any) -> None:
    if isinstance(model, tuple) and any(isinstance(part, eqx.nn.State) for part in model):
        raise ValueError(f"make returns a module and a state: it has {_STATEFUL}.")
    if not isinstance(model, eqx.Module):
        raise TypeError(f"make must return a module of Equinox; it returns {model!r}.")
    impure = eqx.nn.StateIndex, eqx.nn.Dropout
    for each in jax.tree.leaves(model, is_leaf=lambda node: isinstance(node, impure)):
        if isinstance(each, eqx.nn.StateIndex):
            raise ValueError(f"{name} has {_STATEFUL}.")
        if isinstance(each, eqx.nn.Dropout) and not each.inference and each.p != 0:
            raise ValueError(f"{name} has dropout, which draws random numbers at each call; give it inference=True.")


def _kernels(network: Network) -> list[Kernel]:
    """Linear and convolutional layers, by the names that Equinox gives their arrays."""
    shapes, found = dict(zip(network.leaf_names, network.leaf_shapes, strict=True)), []
    for weight, shape in shapes.items():
        bias = f"{weight.removesuffix('weight')}bias"
        if weight.split(".")[-1] == "weight" and len(shape) > 1:
            found.append(Kernel(weight, bias if shapes.get(bias, ())[:1] == shape[:1] else "", 1, 0))
    return found
