"""Activation functions, each with the scaling symmetry it gives a unit."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Float

from jaxland._names import lookup
from jaxland._types import AnyArray

Scaling = Literal["positive", "sign", "none"]


@dataclass(frozen=True)
class Activation:
    """An elementwise function and what it does to a scaled argument.

    `scaling` is a declaration that the tests prove for every entry of `ACTIVATIONS`:
    `"positive"` says f(s z) = s f(z) for all s > 0, `"sign"` says f(-z) = -f(z).
    """

    name: str
    function: Callable[[Float[AnyArray, "..."]], Float[AnyArray, "..."]]
    scaling: Scaling


def relu(z: Float[AnyArray, "..."]) -> Float[AnyArray, "..."]:
    """max(z, 0), with relu'(0) = 0.

    Written as a select on `z <= 0`, so that NaN passes through: a comparison with NaN is false, and a fit
    whose weights are no longer numbers must not look finite.
    """
    return jnp.where(z <= 0, 0.0, z)


def _identity(z: Float[AnyArray, "..."]) -> Float[AnyArray, "..."]:
    return z


ACTIVATIONS = {
    activation.name: activation
    for activation in (
        Activation("relu", relu, "positive"),
        Activation("identity", _identity, "positive"),
        Activation("tanh", jnp.tanh, "sign"),
        Activation("sin", jnp.sin, "sign"),
        Activation("sigmoid", jax.nn.sigmoid, "none"),
        Activation("softplus", jax.nn.softplus, "none"),
    )
}


def get_activation(name: str) -> Activation:
    """Returns the entry of `ACTIVATIONS` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("activation", name, ACTIVATIONS)
