"""A network as a pair of pure functions, and its parameters as one flat vector."""

import inspect
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PRNGKeyArray, PyTree

from jaxland._asking import traceable
from jaxland._types import AnyArray
from jaxland.networks.activations import Activation
from jaxland.networks.symmetry import Symmetry

Params = PyTree[Float[AnyArray, "..."]]


class Origin(NamedTuple):
    """The library that a network comes from.

    Attributes:
        library: its name, as it is imported.
        rebuild: makes what the library knows a network by, from parameters as a tree.
    """

    library: str
    rebuild: Callable[[Params], Any]


@dataclass(frozen=True)
class NetworkSpec:
    """What is known of a network besides its functions, as data.

    Attributes:
        name: used in tables and messages.
        widths: units of each layer from inputs to outputs; empty where the network is not a chain of dense layers.
        activation: name of the hidden activation, "" where there is none to name.
        symmetry: transformations of the flat vector that leave the function unchanged.
        output_activation: name of the activation of the last layer, "" where there is none to name.
        replace_activation: makes the same network, with the same flat vector, that has another activation wherever
            the one of this name stands; None where the network does not know how.
        inputs: D, the components of a point; 0 where neither this nor `widths` says.
        origin: the library whose module the network was made from, None where there is none.
    """

    name: str = "custom"
    widths: tuple[int, ...] = ()
    activation: str = ""
    symmetry: Symmetry = field(default_factory=Symmetry)
    output_activation: str = ""
    replace_activation: Callable[[str, Activation], "Network"] | None = field(default=None, compare=False, repr=False)
    inputs: int = 0
    origin: Origin | None = field(default=None, compare=False, repr=False)


def _arguments(function: Callable[..., Any]) -> tuple[int, float]:
    """How many arguments a function must be given by place, and how many it can be."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # of what is not written in Python
        return 0, math.inf
    placed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in placed), math.inf if more else len(placed)


@dataclass(frozen=True, eq=False)
class Network:
    """A network: two pure functions and a description.

    Any pair works, from Equinox, Flax or by hand:

        Network(init=lambda key: params, apply=lambda params, x: y)

    Attributes:
        init: `key -> params`, any pytree of floating-point arrays.
        apply: `(params, x) -> y` with x of shape (N, D) and y of shape (N, O); `(params, x, key) -> y` where
            `takes_key`.
        spec: name, widths and symmetry; may be left out.
        takes_key: whether `apply` takes a key for noise, such as dropout, as its third argument. It is given another
            one for each fit and step while it is trained, and None, which stands for no noise, wherever else it is
            evaluated.

    Raises:
        TypeError: `apply` takes another number of arguments.
    """

    init: Callable[[PRNGKeyArray], Params]
    apply: Callable[..., Float[AnyArray, "N O"]]
    spec: NetworkSpec = NetworkSpec()
    takes_key: bool = False

    def __post_init__(self):
        required, most = _arguments(self.apply)
        name, wanted = self.spec.name, 2 + self.takes_key
        if required > wanted:
            raise TypeError(
                f"network {name!r}: apply takes {required} arguments, and is given {wanted}. One that takes a key for "
                "noise as its third says so: Network(init, apply, takes_key=True)."
            )
        if most < wanted:
            raise TypeError(
                f"network {name!r}: apply takes {most} arguments, and is given {wanted}: parameters, points"
                f"{' and a key, for takes_key=True' if self.takes_key else ''}."
            )

    def __repr__(self) -> str:
        # Shown before it is known whether init works.
        with suppress(Exception):
            return f"Network({self.spec.name!r}, {self.size:,} parameters)"
        return f"Network({self.spec.name!r})"

    def __getstate__(self) -> dict[str, Any]:
        # What is kept besides fields can be found again, and not all of it be pickled.
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def _template(self) -> tuple[list[tuple[Any, jax.ShapeDtypeStruct]], Any]:
        # The key is made within, where it is traced: outside it would be compiled for.
        with traceable(f"network {self.spec.name!r}: init"):
            shapes = jax.eval_shape(lambda seed: self.init(jax.random.key(seed)), jax.ShapeDtypeStruct((), np.uint32))
        leaves, treedef = jax.tree_util.tree_flatten_with_path(shapes)
        for path, leaf in leaves:
            if not jnp.issubdtype(leaf.dtype, jnp.floating):
                where = jax.tree_util.keystr(path)
                raise TypeError(
                    f"network {self.spec.name!r}: init returns {leaf.dtype} at {where}; every parameter must be "
                    "floating point. Close over the rest (for Equinox: eqx.partition(model, eqx.is_inexact_array))."
                )
        return leaves, treedef

    @property
    def size(self) -> int:
        """P, the number of parameters."""
        return sum(math.prod(leaf.shape) for _, leaf in self._template[0])

    @property
    def leaf_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the parameters' arrays, in the order in which the flat vector has them."""
        return tuple(leaf.shape for _, leaf in self._template[0])

    @cached_property
    def leaf_names(self) -> tuple[str, ...]:
        """A name for each of the parameters' arrays, such as `0.weight`, in the order of `leaf_shapes`."""
        return tuple(jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in self._template[0])

    @cached_property
    def entry_names(self) -> tuple[str, ...]:
        """A name for each of the P entries of the flat vector, such as `0.weight[2,0]`; a scalar's has no brackets."""
        names = []
        for stem, shape in zip(self.leaf_names, self.leaf_shapes, strict=True):
            places = [f"[{','.join(map(str, index))}]" for index in np.ndindex(*shape)] if shape else [""]
            names += [stem + place for place in places]
        return tuple(names)

    @property
    def inputs(self) -> int:
        """D, the components of a point, as far as the spec says; 0 where it does not."""
        return self.spec.widths[0] if self.spec.widths else self.spec.inputs

    def flatten(self, params: Params) -> Float[AnyArray, "P"]:
        """The parameters as one vector: the leaves of the pytree in order, each in row-major order."""
        return jnp.concatenate([jnp.ravel(leaf) for leaf in jax.tree.leaves(params)])

    def unflatten(self, vector: Float[AnyArray, "P"]) -> Params:
        """The pytree whose `flatten` is `vector`; the dtype of the vector is kept.

        Raises:
            ValueError: the vector has not P entries.
        """
        if vector.shape != (self.size,):
            raise ValueError(
                f"network {self.spec.name!r} has {self.size} parameters, but the vector has shape {vector.shape}."
            )
        leaves, start = [], 0
        for _, leaf in self._template[0]:
            stop = start + math.prod(leaf.shape)
            leaves.append(vector[start:stop].reshape(leaf.shape))
            start = stop
        return jax.tree.unflatten(self._template[1], leaves)

    def apply_flat(self, vector: Float[AnyArray, "P"], x: Float[AnyArray, "N D"]) -> Float[AnyArray, "N O"]:
        """`apply` for parameters given as a flat vector, without noise."""
        return self.predict(self.unflatten(vector), x)

    def predict(self, params: Params, x: Float[AnyArray, "N D"], key: PRNGKeyArray | None = None) -> AnyArray:
        """`apply`, with noise from a key where the network takes one.

        Raises:
            TypeError: it is traced by JAX, and not written for that.
        """
        with traceable(f"network {self.spec.name!r}: apply"):
            return self.apply(params, x, key) if self.takes_key else self.apply(params, x)
