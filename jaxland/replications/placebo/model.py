"""The network of the placebo study."""

from functools import lru_cache

from jaxland.networks import Network, mlp


# One object for equal settings: what is compiled for a network is kept by its identity.
@lru_cache
def network(inputs: int, hidden: int) -> Network:
    """One hidden ReLU layer."""
    return mlp([inputs, hidden, 1], "relu", init="pytorch_uniform")
