"""The document's network and its weights, number by number."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from jaxland.networks import Network, mlp
from jaxland.problems import Images


def sigmoid_network(inputs: int, hidden: Sequence[int], outputs: int = 10) -> Network:
    """Sigmoid units everywhere and no biases."""
    widths = [inputs, *hidden, outputs]
    return mlp(widths, "sigmoid", output_activation="sigmoid", bias=False, init="standard_normal")


def whole_network(hidden: tuple[int, ...], pictures: Images) -> Network:
    """The network that sees these pictures; the same object for equal settings, so that nothing is compiled twice."""
    return _network(pictures.pixels.shape[1], hidden, pictures.classes)


_network = lru_cache(sigmoid_network)


def source_weights(network: Network, seed: int) -> Float[np.ndarray, "P"]:
    """Standard normal weights as `np.random.seed(seed)` and `np.random.randn(units, inputs)` of each layer give them.

    The flat vector holds the layers one after another, each in row-major order, as the document draws them. With the
    784-50-500-10 network and seed 135 these are the document's own numbers.
    """
    return np.random.RandomState(seed).standard_normal(network.size)
