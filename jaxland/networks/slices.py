"""A network of which only some parameters are free: a plane, or another coordinate slice, of its parameter space."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxland._names import lookup
from jaxland._types import AnyArray
from jaxland.networks.network import Network, NetworkSpec


def entry_indices(network: Network, names: Sequence[str]) -> Int[np.ndarray, "k"]:
    """The places of named entries, such as `0.weight[2,0]`, in the flat vector; see `network.entry_names`.

    Raises:
        ValueError: there is no such entry, or one is named twice.
    """
    places = {name: index for index, name in enumerate(network.entry_names)}
    for name in names:
        if name not in places:
            raise ValueError(_no_such_entry(name, places))
    if len(set(names)) < len(names):
        raise ValueError(f"each entry may be named once; got {list(names)}.")
    return np.array([places[name] for name in names], np.int64)


def _no_such_entry(name: str, places: Mapping[str, int]) -> str:
    """What is wrong with a name, by its array: a list of all entries would help nobody."""
    arrays = {each.split("[")[0]: each for each in places}
    last = lookup("parameter", name.split("[")[0], arrays)
    return f"there is no entry {name!r}; indices count from 0, and the last is {last!r}."


def filled(
    anchor: Float[np.ndarray, "P"], indices: Int[np.ndarray, "k"]
) -> Callable[[Float[AnyArray, "k"]], Float[Array, "P"]]:
    """The map from k free entries to the whole vector, whose other entries are those of `anchor`.

    Args:
        anchor: float64; rounded to the dtype of the free entries.
        indices: places of the free entries, in any order, each once.
    """
    anchor = np.asarray(anchor, np.float64)
    order = np.argsort(indices)
    pieces = np.split(anchor, np.sort(indices))

    # By concatenation alone, so that a free entry that is not finite leaves the others as they are.
    def fill(values):
        parts = [jnp.asarray(pieces[0], values.dtype)]
        for place, piece in zip(order, pieces[1:], strict=True):
            parts += [values[place : place + 1], jnp.asarray(piece[1:], values.dtype)]
        return jnp.concatenate([part for part in parts if part.size])

    return fill


def sliced(
    network: Network,
    anchor: Float[np.ndarray, "P"],
    free: Sequence[str],
    *,
    init: Callable[[PRNGKeyArray], Float[Array, "k"]] | None = None,
) -> Network:
    """The network whose parameters are k entries of another's; all other entries stay as they are in `anchor`.

    It is trained, evaluated and analysed as any network: `problem.objective(sliced(...))` is the loss on the slice.

        plane = sliced(net, minimum, ("0.weight[0,0]", "1.weight[0,0]"))
        fits = jl.fit(plane, problem, optax.sgd(1.0), fits=2, steps=100, start=np.array([[-4.0, -4.0], [-4.0, 10.0]]))

    Args:
        network: any.
        anchor: flat parameters of `network`, float64.
        free: names of the free entries, in the order of the flat vector of the result.
        init: draws starting values of the free entries; by default those `network.init` gives them.

    Returns:
        A network whose parameters are an ordered dictionary of scalars by name. It declares no symmetry.

    Raises:
        ValueError: a name is unknown or stands twice, none is given, or `anchor` does not fit the network.
    """
    indices = entry_indices(network, free)
    if np.shape(anchor) != (network.size,):
        raise ValueError(f"anchor must have shape ({network.size},); got {np.shape(anchor)}.")
    if not len(indices):
        raise ValueError("a slice needs at least one free entry.")
    fill = filled(anchor, indices)

    def initialize(key):
        values = network.flatten(network.init(key))[indices] if init is None else init(key)
        return OrderedDict(zip(free, values, strict=True))

    def apply(params, x):
        return network.apply_flat(fill(jnp.stack(list(params.values()))), x)

    return Network(initialize, apply, NetworkSpec(f"{network.spec.name} at {', '.join(free)}"))
