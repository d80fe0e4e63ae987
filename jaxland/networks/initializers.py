"""Initial weights and biases of one dense layer.

Each initialiser is a function `(key, outputs, inputs) -> (weight, bias)` with a weight of shape (outputs, inputs)
and a bias of shape (outputs,). Bounds and deviations are those of the layer's fan-in and fan-out.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from jaxland._names import lookup

Initializer = Callable[[PRNGKeyArray, int, int], tuple[Float[Array, "out in"], Float[Array, "out"]]]


def _uniform_weights(bound: Callable[[int, int], float]) -> Initializer:
    def initializer(key, outputs, inputs):
        limit = bound(outputs, inputs)
        return jax.random.uniform(key, (outputs, inputs), minval=-limit, maxval=limit), jnp.zeros(outputs)

    return initializer


def _normal_weights(deviation: Callable[[int, int], float]) -> Initializer:
    def initializer(key, outputs, inputs):
        weight = deviation(outputs, inputs) * jax.random.normal(key, (outputs, inputs))
        return weight, jnp.zeros(outputs)

    return initializer


def _pytorch_uniform(key, outputs, inputs):
    limit = 1 / math.sqrt(inputs)
    weight_key, bias_key = jax.random.split(key)
    weight = jax.random.uniform(weight_key, (outputs, inputs), minval=-limit, maxval=limit)
    return weight, jax.random.uniform(bias_key, (outputs,), minval=-limit, maxval=limit)


INITIALIZERS: dict[str, Initializer] = {
    # Glorot and Bengio (2010), eq. 16; the Keras default.
    "glorot_uniform": _uniform_weights(lambda outputs, inputs: math.sqrt(6 / (inputs + outputs))),
    "glorot_normal": _normal_weights(lambda outputs, inputs: math.sqrt(2 / (inputs + outputs))),
    # He et al. (2015), eq. 10.
    "he_uniform": _uniform_weights(lambda outputs, inputs: math.sqrt(6 / inputs)),
    "he_normal": _normal_weights(lambda outputs, inputs: math.sqrt(2 / inputs)),
    # LeCun et al. (1998), eq. 16.
    "lecun_uniform": _uniform_weights(lambda outputs, inputs: math.sqrt(3 / inputs)),
    "lecun_normal": _normal_weights(lambda outputs, inputs: math.sqrt(1 / inputs)),
    "standard_normal": _normal_weights(lambda outputs, inputs: 1.0),
    # torch.nn.Linear: weights and biases uniform in +-1/sqrt(inputs).
    "pytorch_uniform": _pytorch_uniform,
}


def get_initializer(name: str) -> Initializer:
    """Returns the entry of `INITIALIZERS` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("initializer", name, INITIALIZERS)
