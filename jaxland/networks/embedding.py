"""The fits of a network as fits of a larger one that computes the same."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland.networks.mlp import Dense
from jaxland.networks.network import Network


def embed(
    network: Network, params: Float[np.ndarray, "F P"], larger: Network, *, seed: int | None = None
) -> Float[np.ndarray, "F Q"]:
    """Parameters with which a larger `mlp` computes what each fit of a smaller one does.

    The units of each hidden layer become the first units of the same layer of the larger network. To them and to the
    outputs the weights of extra units are zero, so what enters extra units may be anything. Extra hidden layers stand
    just before the output layer and pass values on by the identity: what leaves a ReLU is not negative, and so a
    second ReLU leaves it alone.

    Args:
        network: the fits' network, made by `mlp`.
        params: flat parameters; non-finite ones stay so.
        larger: made by `mlp`, with the same inputs, outputs and activations, at least as many hidden layers, and at
            least as many units in each.
        seed: draws what enters extra units from `larger.init`, anew for each row of `params`; zeros by default.

    Returns:
        Flat parameters of `larger`, in the dtype of `params`.

    Raises:
        ValueError: the network does not fit into the larger one, or `params` does not fit the network.
    """
    params = np.asarray(params)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(
            f"params must have shape (fits, {network.size}); got {params.shape}. A single fit is params[None]."
        )
    small, large = _places(network), _places(larger)
    _check_room(network, larger, small, large)
    result = np.zeros((len(params), larger.size), params.dtype) if seed is None else _drawn(larger, params, seed)
    for (weight, bias), place in zip(_deepened(small, params, len(large)), large, strict=True):
        outputs, inputs = weight.shape[1:]
        result[:, place.weight[:outputs]] = 0
        result[:, place.weight[:outputs, :inputs]] = weight
        if place.bias is not None:
            result[:, place.bias[:outputs]] = bias
    return result


def _deepened(small, params, depth):
    # Weights and biases of the fits' layers, with identities before the last to make up the depth.
    layers = [
        (params[:, place.weight], np.zeros((1, len(place.weight))) if place.bias is None else params[:, place.bias])
        for place in small
    ]
    width = small[-1].weight.shape[1]
    identity = (np.eye(width)[None], np.zeros((1, width)))
    return [*layers[:-1], *[identity] * (depth - len(small)), layers[-1]]


def _drawn(larger, params, seed):
    def draw(row):
        return larger.flatten(larger.init(jax.random.fold_in(jax.random.key(seed), row)))

    with jax.enable_x64(False):
        return np.asarray(jax.vmap(draw)(jnp.arange(len(params)))).astype(params.dtype)


def _places(network):
    # The entry of the flat vector at which each weight and bias stands, layer by layer.
    layers = network.unflatten(np.arange(network.size, dtype=np.float64))
    if not (isinstance(layers, tuple) and all(isinstance(layer, Dense) for layer in layers)):
        raise ValueError(f"network {network.spec.name!r} is not a chain of dense layers; embed takes those of mlp.")
    return jax.tree.map(lambda entries: entries.astype(int), layers)


def _check_room(network, larger, small, large):
    spec, other = network.spec, larger.spec
    extra = len(large) - len(small)
    needed = [*spec.widths[:-1], *[spec.widths[-2]] * extra, spec.widths[-1]]
    same = ("activation", "output_activation")
    problems = [
        f"its {name} is {getattr(other, name)!r}" for name in same if getattr(other, name) != getattr(spec, name)
    ]
    if extra < 0:
        problems.append(f"it has {-extra} layers less")
    elif needed[0] != other.widths[0] or needed[-1] != other.widths[-1] or np.less(other.widths, needed).any():
        problems.append(f"its widths are {list(other.widths)} where {needed} are needed")
    elif extra and (len(small) == 1 or spec.activation not in ("relu", "identity")):
        problems.append("its extra layers pass values on only behind a layer of ReLU units")
    if small[0].bias is not None and large[0].bias is None:
        problems.append("it has no biases")
    if problems:
        raise ValueError(f"network {spec.name!r} cannot be embedded in {other.name!r}: {'; '.join(problems)}.")
