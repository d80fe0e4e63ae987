"""Networks from the state of PyTorch modules, and the way back; PyTorch itself is never imported."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from jaxland._numbers import real_numbers
from jaxland._types import AnyArray
from jaxland.networks.activations import Activation
from jaxland.networks.mlp import Dense, mlp
from jaxland.networks.modules import tree_of
from jaxland.networks.network import Network

_NAME = re.compile(r"(?P<stem>(?:.*?\D)?)(?P<number>\d+)\.(?P<kind>weight|bias)")


def from_torch(
    state: Mapping[str, Any], activation: str | Activation, *, output_activation: str | Activation = "identity"
) -> tuple[Network, Float[np.ndarray, "*fits P"]]:
    """An `mlp` and its flat parameters, from the state of `torch.nn.Linear` layers, one behind the other.

        network, vector = from_torch(model.state_dict(), "relu")  # nn.Sequential(nn.Linear(3, 8), nn.ReLU(), ...)

    A state does not say what stands between the layers, so that is said here. The network draws its initial weights as
    `torch.nn.Linear` does.

    Args:
        state: tensors or arrays by name: `0.weight`, `0.bias`, `2.weight`, ..., in the order of the numbers, with
            anything in front that all have in common (`net.0.weight`, `fc1.weight`). Weights have shape
            (outputs, inputs); with an axis of fits in front of each array, as `torch.func.stack_module_state` makes
            it, there is a vector for each.
        activation: of hidden layers, an `Activation` or the name of an entry of `ACTIVATIONS`.
        output_activation: the same for the last layer.

    Returns:
        The network and its parameters, (P,) or (F, P): float64 where an array is, float32 otherwise.

    Raises:
        ValueError: a name, shape or dtype is not that of a chain of linear layers, or the activation is unknown.
    """
    arrays = {name: _array(name, values) for name, values in state.items()}
    names = _layer_names(arrays)
    weights = [arrays[f"{name}.weight"] for name in names]
    biases = [arrays.get(f"{name}.bias") for name in names]
    _check_shapes(names, weights, biases)
    widths = [weights[0].shape[-1], *(weight.shape[-2] for weight in weights)]
    network = mlp(
        widths, activation, output_activation=output_activation, bias=biases[0] is not None, init="pytorch_uniform"
    )
    fits, dtype = weights[0].shape[:-2], np.result_type(np.float32, *arrays.values())
    pieces = [each for pair in zip(weights, biases, strict=True) for each in pair if each is not None]
    return network, np.concatenate([each.reshape(*fits, -1) for each in pieces], axis=-1).astype(dtype)


def to_torch(
    network: Network, params: Float[AnyArray, "*fits P"], names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The state of `torch.nn.Linear` layers with the parameters of an `mlp`.

        model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
        model.load_state_dict({name: torch.from_numpy(values) for name, values in to_torch(network, vector).items()})

    Args:
        network: made by `mlp` or `from_torch`.
        params: flat, (P,), or (F, P) for arrays with a leading axis of fits, as `torch.func` takes them.
        names: of the layers, inputs first; by default `0`, `2`, `4`, ..., their places in an `nn.Sequential` with an
            activation between any two.

    Returns:
        Arrays in the dtype of `params`, by the names `0.weight` (outputs, inputs), `0.bias` (outputs,) and so on.

    Raises:
        ValueError: the network is no chain of dense layers, `params` does not fit it, or `names` names too few layers
            or too many.
    """
    layers = tree_of(network, params)
    if not (isinstance(layers, tuple) and all(isinstance(layer, Dense) for layer in layers)):
        raise ValueError(f"network {network.spec.name!r} is no chain of dense layers; make it with mlp or from_torch.")
    names = [str(2 * place) for place in range(len(layers))] if names is None else list(names)
    if len(set(names)) != len(layers):
        raise ValueError(f"network {network.spec.name!r} has {len(layers)} layers to be named, once each; got {names}.")
    named = (
        (f"{name}.{kind}", getattr(layer, kind))
        for name, layer in zip(names, layers, strict=True)
        for kind in ("weight", "bias")
    )
    return {name: values for name, values in named if values is not None}


def _array(name: str, values: Any) -> np.ndarray:
    """An entry as a NumPy array of floating-point numbers; a tensor is brought here from wherever it lies."""
    if hasattr(values, "detach"):
        try:
            values = values.detach().cpu().numpy()
        except TypeError as error:
            raise ValueError(f"entry {name!r} cannot become an array ({error}); give entry.float().") from None
    array = np.asarray(values)
    return array if array.dtype.kind == "f" else real_numbers(f"entry {name!r}", array)


def _layer_names(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """The layers that have weights, in the order of their numbers."""
    numbers: dict[str, int] = {}
    stems: dict[str, str] = {}
    for name in arrays:
        found = _NAME.fullmatch(name)
        if not found:
            raise ValueError(
                f"entry {name!r} is of no linear layer: names must be such as '0.weight' and '0.bias', numbered in "
                "order. What keeps a state, as batch norm does, is no part of an mlp; layers that are named otherwise "
                "must be renamed."
            )
        layer = name.rpartition(".")[0]
        numbers[layer], stems[found["stem"]] = int(found["number"]), name
    if len(stems) > 1:
        raise ValueError(
            f"names must differ in their numbers only, for their order is not known otherwise; got "
            f"{' and '.join(map(repr, stems.values()))}."
        )
    names = sorted(numbers, key=numbers.__getitem__)
    missing = next((name for name in names if f"{name}.weight" not in arrays), None)
    if missing is not None or not names:
        raise ValueError(f"there is no {missing or 0}.weight; got {sorted(arrays) or 'no entries'}.")
    return names


def _check_shapes(names, weights, biases) -> None:
    fits, before = weights[0].shape[:-2], None
    for name, weight, bias in zip(names, weights, biases, strict=True):
        if weight.ndim not in (2, 3) or weight.shape[:-2] != fits or weight.size == 0:
            raise ValueError(
                f"'{name}.weight' has shape {weight.shape}; a linear layer has (outputs, inputs), or (fits, outputs, "
                "inputs) in all layers."
            )
        if before is not None and weight.shape[-1] != before[1]:
            raise ValueError(
                f"'{name}.weight' has shape {weight.shape} and takes {weight.shape[-1]} inputs, but "
                f"'{before[0]}.weight' has {before[1]} outputs."
            )
        if bias is not None and bias.shape != weight.shape[:-1]:
            raise ValueError(f"'{name}.bias' has shape {bias.shape}; it must be {weight.shape[:-1]}.")
        if (bias is None) != (biases[0] is None):
            without = name if bias is None else names[0]
            raise ValueError(
                f"there is no '{without}.bias', but others have one; give all layers one, zeros if need be."
            )
        before = name, weight.shape[-2]
