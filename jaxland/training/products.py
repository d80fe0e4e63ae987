"""Matrix products written as broadcast multiplications and sums.

An accelerator runs a product of tiny matrices as a call of a library or as a kernel of its own, each with its
intermediate results in memory; multiplications and sums are fused with what stands around them. Which of the two is
faster depends on program and device (https://github.com/jax-ml/jax/issues/33004), so it is measured: see `xla`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend import core
from jaxtyping import Array

# Calls whose program may be written out in place, once nothing is to be differentiated any more.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call", "custom_vjp_call")
_PROGRAMS = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def products_as_sums(function: Callable) -> Callable:
    """The same function, whose matrix products are broadcast multiplications and sums.

    Products inside of `jit`, `cond`, `scan`, `while` and the like are written so too. Differentiate before, not after:
    derivatives that are the function's own choice (`custom_jvp`) are gone.

    Args:
        function: of arrays, in any pytrees.
    """

    def written_as_sums(*args):
        program, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        results = _evaluate(program, jax.tree.leaves(args))
        return jax.tree.unflatten(jax.tree.structure(shapes), results)

    return written_as_sums


def _evaluate(program: core.ClosedJaxpr, inputs) -> list[Array]:
    jaxpr = program.jaxpr
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, program.consts, strict=True))
    values |= dict(zip(jaxpr.invars, inputs, strict=True))

    def read(atom):
        return atom.val if isinstance(atom, core.Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _apply(equation, [read(atom) for atom in equation.invars])
        values |= dict(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _apply(equation, inputs) -> list[Array]:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        left, right = inputs
        dtype = params["preferred_element_type"] or equation.outvars[0].aval.dtype
        return [_product(left, right, params["dimension_numbers"], dtype)]
    inner = next((params[key] for key in _PROGRAMS if key in params), None)
    if name in _CALLS and inner is not None:
        return _evaluate(inner if isinstance(inner, core.ClosedJaxpr) else core.ClosedJaxpr(inner, ()), inputs)
    params = {key: _rewritten(value) for key, value in params.items()}
    results = equation.primitive.bind(*inputs, **params)
    return list(results) if equation.primitive.multiple_results else [results]


def _rewritten(param):
    """The programs of a loop or a condition; any other parameter as it is."""
    if isinstance(param, core.ClosedJaxpr):
        shapes = [jax.ShapeDtypeStruct(aval.shape, aval.dtype, weak_type=aval.weak_type) for aval in param.in_avals]
        return jax.make_jaxpr(lambda *inputs: _evaluate(param, inputs))(*shapes)
    if isinstance(param, tuple) and param and all(isinstance(part, core.ClosedJaxpr) for part in param):
        return tuple(_rewritten(part) for part in param)
    return param


def _product(left, right, dimensions, dtype):
    """A `dot_general`, whose result has batch axes, then those left of the left factor, then those of the right one."""
    (contract_left, contract_right), (batch_left, batch_right) = dimensions
    left, free_left = _ordered(left, batch_left, contract_left)
    right, free_right = _ordered(right, batch_right, contract_right)
    batch, summed = left.shape[: len(batch_left)], left.shape[left.ndim - len(contract_left) :]
    # A point's axis, where there is one, stays the last: the sum over it reads neighbours.
    wide = batch + free_left + (1,) * len(free_right) + summed
    long = batch + (1,) * len(free_left) + free_right + summed
    terms = left.reshape(wide).astype(dtype) * right.reshape(long).astype(dtype)
    return jnp.sum(terms, axis=tuple(range(terms.ndim - len(summed), terms.ndim)), dtype=dtype)


def _ordered(factor, batch, contract):
    """Batch axes, free axes, contracted axes; and the lengths of the free ones."""
    free = [axis for axis in range(factor.ndim) if axis not in (*batch, *contract)]
    return factor.transpose((*batch, *free, *contract)), tuple(factor.shape[axis] for axis in free)
