"""Losses, gradients and products of the Hessian, of many fits at once, by the backend that would train them."""

from collections.abc import Callable
from contextlib import suppress
from pkgutil import resolve_name
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxland.networks import Network
from jaxland.problems import Evaluate, Loss, Penalty, Problem, Products, gradients_of, products_of
from jaxland.training.backends import BACKENDS
from jaxland.training.devices import local_platform
from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Unlowerable


def gradients(network: Network, problem: Problem, *, dtype: str = "float64") -> Evaluate:
    """A function from M flat parameter vectors (M, P) to their losses (M,) and gradients (M, P).

    Lanes evaluates where it can, else XLA. The bits of a point do not depend on the others. The function may be called
    from several threads.
    """
    return _kernel(network, problem, dtype) or gradients_of(problem.objective(network), dtype)


def hessian_products(network: Network, problem: Problem, *, dtype: str = "float64") -> Products:
    """A function from M flat parameter vectors (M, P) and M vectors v (M, P) to slopes g' v (M,) and H v (M, P).

    g and H are gradient and Hessian of `problem.objective(network)`. Lanes evaluates where it can, else XLA: the slope
    along a fixed vector is the loss of a network of its own, with values and their derivatives for outputs, and its
    gradient is the product (Pearlmutter 1994), so that what is generated, and proved, for training serves here. The
    bits of a product do not depend on the others. The function may be called from several threads.

        curvature = landscape.hessian_of(objective, jl.training.hessian_products(network, problem))
        landscape.spectra(curvature, fits.params)
    """
    size = network.size
    evaluate = _kernel(_with_derivatives(network), _of_slopes(network, problem), dtype)
    if evaluate is None:
        return products_of(problem.objective(network), dtype)

    def products(points, vectors):
        slopes, found = evaluate(np.concatenate([points, vectors], axis=1))
        return slopes, found[:, :size]

    return products


def _kernel(network, problem, dtype) -> Any:
    """Losses and gradients by a kernel; None where there is none."""
    ensemble = Ensemble(network, problem, optax.sgd(0.0), steps=1, dtype=dtype, start=np.zeros((1, network.size)))
    for backend in BACKENDS.values():
        if backend.gradients is not None and backend.platform == local_platform():
            with suppress(Unlowerable):
                return resolve_name(backend.gradients)(ensemble)
    return None


def _with_derivatives(network: Network) -> Network:
    """Outputs, then their derivatives along a vector, which is half of the parameters and is not differentiated."""

    def init(key):
        one, two = jax.random.split(key)
        return {"params": network.flatten(network.init(one)), "vector": jax.random.normal(two, (network.size,))}

    def apply(params, x):
        outputs = lambda flat: network.apply_flat(flat, x)  # noqa: E731
        vector = jax.lax.stop_gradient(params["vector"])
        return jnp.concatenate(jax.jvp(outputs, (params["params"],), (vector,)), axis=1)

    return Network(init, apply)


def _of_slopes(network: Network, problem: Problem) -> Problem:
    """The problem whose loss is the derivative of another's along the vector."""
    loss, (points, components) = problem.loss, problem.y.shape
    start = jax.ShapeDtypeStruct((network.size,), jnp.float32)
    outputs = jax.eval_shape(network.apply_flat, start, problem.x.astype(np.float32)).shape[1]
    # Elements of a point are summed first, so that its loss is one number whatever the outputs do.
    share = loss.weight(points, outputs) / loss.weight(points, 1)

    def slopes(prediction, target):
        values = lambda outputs: loss.values(outputs, target[:, :components])  # noqa: E731
        slope = jax.jvp(values, (prediction[:, :outputs],), (prediction[:, outputs:],))[1]
        return share * slope.sum(axis=1) if slope.ndim == 2 else slope

    def along(penalty: Penalty) -> Callable[..., Any]:
        def slope(params):
            value = lambda flat: penalty(network.unflatten(flat))  # noqa: E731
            return jax.jvp(value, (params["params"],), (jax.lax.stop_gradient(params["vector"]),))[1]

        return slope

    # A target for each output and its derivative, as a loss that may couple them takes it.
    y = np.zeros((points, 2 * outputs))
    y[:, :components] = problem.y
    penalties = [Penalty(each.name, along(each)) for each in problem.penalty]
    derived = Loss(loss.name, pointwise=slopes, points=loss.points)
    return Problem(problem.x, y, derived, problem.name, weights=problem.weights, penalty=penalties)
