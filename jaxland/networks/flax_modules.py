"""Networks made from modules of Flax, linen and nnx, and the way back."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxland._types import AnyArray
from jaxland.networks.derived import Kernel, with_derived_symmetry
from jaxland.networks.modules import network_of, point_shape, rebuilt
from jaxland.networks.network import Network, Origin

_INSTALL = "pip install flax"


def from_flax(module: Any, inputs: int | Sequence[int], *, name: str | None = None) -> Network:
    """A network from a module of Flax.

    Where units of dense or convolutional layers are seen to feed one other such layer and nothing else, their symmetry
    is declared: exchanges, and the scaling that their activation allows. It has been verified at random parameters.
    For what is not found there is `declare_symmetry`.

        network = from_flax(nn.Sequential([nn.Dense(8), nn.tanh, nn.Dense(1)]), 3)
        network = from_flax(lambda rngs: nnx.Linear(3, 1, rngs=rngs), 3)
        network = from_flax(Convolutional(), (8, 8, 1))

    A vector of parameters that were trained elsewhere is `network.flatten(variables["params"])`, or for nnx
    `network.flatten(nnx.state(model, nnx.Param))`.

    Args:
        module: a linen module; or a function that makes an nnx module, given `nnx.Rngs`. It is called with points
            (N, *inputs) and returns (N, O) or (N,).
        inputs: D, or the shape of one point, to which the D components of x are brought in row-major order.
        name: used in tables; by default that of the module's class.

    Returns:
        A network whose parameters are the module's `params` (linen) or its state of `nnx.Param`.

    Raises:
        ImportError: Flax is not installed.
        TypeError: it is neither such a module nor such a function.
        ValueError: the module keeps anything beside parameters (batch norm) or draws random numbers when it is called
            (dropout), so that it is no pure function of parameters and points; or it has no parameters, or returns
            another shape.
    """
    try:
        from flax import linen, nnx
    except ImportError as error:
        raise ImportError(f"Flax is not installed ({error}); {_INSTALL}.") from error
    shape = point_shape(inputs)
    if isinstance(module, linen.Module):
        network = _from_linen(module, shape, name)
    elif isinstance(module, nnx.Module | type) or not callable(module):
        raise TypeError(
            f"from_flax takes a linen module, or a function that makes an nnx module such as "
            f"`lambda rngs: nnx.Linear({shape[0]}, 1, rngs=rngs)`; got {module!r}."
        )
    else:
        network = _from_nnx(module, shape, name)
    return with_derived_symmetry(network, _kernels(network), "channels_last")


def to_flax(network: Network, params: Float[AnyArray, "*fits P"]) -> Any:
    """The variables of a linen module, `{"params": ...}`, or an nnx module, with parameters of jaxland.

    Args:
        network: made by `from_flax`.
        params: flat, (P,), or (F, P) for arrays with a leading axis of fits, as `jax.vmap` and `nnx.vmap` take them.

    Returns:
        Arrays in the dtype of `params`, as far as JAX holds it: float64 needs `jax.enable_x64`.

    Raises:
        ValueError: the network is of another kind, or `params` does not fit it.
    """
    return rebuilt("flax", network, params)


def _from_linen(module, shape, name) -> Network:
    from flax.errors import InvalidRngError

    name = name or type(module).__name__

    def variables(key):
        return module.init(key, jnp.zeros((1, *shape)))

    try:
        kept = jax.eval_shape(variables, jax.random.key(0))
        _check_pure(name, [f"{kind}: {_first_name(part)}" for kind, part in kept.items() if kind != "params"])
        return network_of(
            name,
            lambda key: variables(key).get("params", {}),
            lambda params, x: module.apply({"params": params}, x),
            shape,
            Origin("flax", lambda params: {"params": params}),
        )
    except InvalidRngError as error:
        raise ValueError(
            f"{name} draws random numbers when it is called, as dropout does ({error}); make these layers "
            "deterministic, or leave them out."
        ) from error


def _from_nnx(make: Callable[[Any], Any], shape, name) -> Network:
    from flax import nnx

    model = make(nnx.Rngs(0))
    if not isinstance(model, nnx.Module):
        raise TypeError(f"the function must return an nnx module, given nnx.Rngs; it returns {model!r}.")
    name = name or type(model).__name__
    graph, _, rest = nnx.split(model, nnx.Param, ...)
    _check_pure(name, [f"{type(each).__name__}: {'.'.join(map(str, path))}" for path, each in nnx.to_flat_state(rest)])

    def rebuild(params):
        return nnx.merge(graph, params, copy=True)

    return network_of(
        name,
        lambda key: nnx.split(make(nnx.Rngs(key)), nnx.Param)[1],
        lambda params, x: rebuild(params)(x),
        shape,
        Origin("flax", rebuild),
    )


def _check_pure(name: str, kept: list[str]) -> None:
    if kept:
        raise ValueError(
            f"{name} keeps more than parameters ({', '.join(kept)}), as batch norm and dropout do, so it is no pure "
            "function of parameters and points. Leave these layers out, or close over what they keep in a "
            "jaxland.Network(init, apply) of your own."
        )


def _first_name(part: Any) -> str:
    leaves = jax.tree_util.tree_flatten_with_path(part)[0]
    return jax.tree_util.keystr(leaves[0][0], simple=True, separator=".") if leaves else ""


def _kernels(network: Network) -> list[Kernel]:
    """Dense and convolutional layers, by the names that Flax gives their arrays."""
    shapes, found = dict(zip(network.leaf_names, network.leaf_shapes, strict=True)), []
    for weight, shape in shapes.items():
        *parts, last = weight.removesuffix(".value").split(".")
        bias = ".".join([*parts, "bias"]) + weight[len(weight.removesuffix(".value")) :]
        if last == "kernel" and len(shape) > 1:
            found.append(Kernel(weight, bias if len(shapes.get(bias, ())) == 1 else "", -2, -1))
    return found
