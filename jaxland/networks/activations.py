"""Activation functions, each with the scaling symmetry it gives a unit."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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

    def __reduce__(self) -> tuple[Any, ...]:
        # By name where it has one: functions of JAX cannot be pickled.
        if ACTIVATIONS.get(self.name) == self:
            return get_activation, (self.name,)
        return Activation, (self.name, self.function, self.scaling)


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


def smooth_relu(sharpness: float = 5000.0) -> Activation:
    """log(1 + exp(b z)) / b, which tends to ReLU as its sharpness b grows: it is off by log(2) / b at most.

    Its derivatives are sigmoid(b z) and b sigmoid(b z) sigmoid(-b z), and are computed as such, so that nothing
    overflows or cancels however large b z is. It scales as ReLU does only in the limit, so it declares no scaling.

    Args:
        sharpness: b. Gamst and Walker, section 4.7, take 5000 for Hessians where inputs of ReLU units are zero.

    Raises:
        ValueError: the sharpness is not positive and finite.
    """
    if not (sharpness > 0 and math.isfinite(sharpness)):
        raise ValueError(f"sharpness must be positive and finite; got {sharpness}.")

    @jax.custom_jvp
    def function(z):
        return jnp.maximum(z, 0.0) + jnp.log1p(below(z)) * (1 / sharpness)

    @jax.custom_jvp
    def slope(z):
        return jnp.where(z > 0, 1.0, below(z)) / (1.0 + below(z))

    def below(z):
        # Of the one exponential, never above one, that value and derivatives have in common.
        return jnp.exp(-sharpness * jnp.abs(z))

    @function.defjvp
    def _(primals, tangents):
        (z,), (tangent,) = primals, tangents
        return function(z), tangent * slope(z)

    @slope.defjvp
    def _(primals, tangents):
        # Not s (1 - s), which loses all digits where s is near one.
        (z,), (tangent,) = primals, tangents
        return slope(z), tangent * (sharpness * below(z) / (1.0 + below(z)) ** 2)

    return Activation(f"smooth_relu({sharpness:g})", function, "none")


def get_activation(name: str) -> Activation:
    """Returns the entry of `ACTIVATIONS` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("activation", name, ACTIVATIONS)
