"""The names that generated texts may use besides those of NumPy and JAX, once for each of the two.

What the NumPy names mean is written here by hand, so that it is known apart from JAX.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from scipy import special


def _each_point(function, *values):
    """The function at each point, on values (N, k) or, for all points, (k,)."""
    axes = tuple(0 if value.ndim > 1 else None for value in values)
    return jax.vmap(function, axes)(*values) if 0 in axes else function(*values)


def _repeat(function, carry, sequence):
    """The carry after the function has taken it along the sequence."""
    return lax.scan(lambda a, b: (function(a, b), None), carry, jnp.asarray(sequence, carry.dtype))[0]


def _collect(function, carry, sequence, *, backwards=False):
    """The sum of all values of the carry on its way."""
    sequence = jnp.asarray(sequence, carry.dtype)
    return jnp.sum(lax.scan(lambda a, b: (function(a, b), a), carry, sequence, reverse=backwards)[1], 0)


def _loop(count, function, carry):
    return lax.fori_loop(0, count, lambda n, a: function(a, 0.1 * n), carry)


def _branches(index, value, *functions):
    """At each point, or for all, the branch with this number, or the nearest."""

    def one(number, value):
        return lax.switch(number, [lambda a, f=function: f(a, 0.5) for function in functions], value)

    axes = tuple(0 if array.ndim > one_point else None for array, one_point in ((index, 0), (value, 1)))
    return jax.vmap(one, axes)(index, value) if 0 in axes else one(index, value)


@jax.custom_jvp
def _squash(a):
    return jnp.tanh(a)


@_squash.defjvp
def _(primals, tangents):
    value = _squash(*primals)
    return value, (1 - value * value) * tangents[0]


@jax.custom_vjp
def _gate(a, b):
    return a * jax.nn.sigmoid(b)


def _gate_forward(a, b):
    return _gate(a, b), (a, jax.nn.sigmoid(b))


def _gate_backward(kept, slope):
    a, gate = kept
    return slope * gate, slope * a * gate * (1 - gate)


_gate.defvjp(_gate_forward, _gate_backward)


def _wide(value, *others):
    return jnp.broadcast_to(value, jnp.broadcast_shapes(value.shape, *(other.shape for other in others)))


def _pair(i, j):
    i, j = jnp.broadcast_arrays(i, j)
    dtype = jnp.promote_types(i.dtype, j.dtype)
    return i.astype(dtype), j.astype(dtype)


def _reread(value):
    """Bits of floating-point numbers as integers, or back."""
    kind = "int" if value.dtype.kind == "f" else "float"
    return lax.bitcast_convert_type(value, np.dtype(f"{kind}{8 * value.dtype.itemsize}"))


def _full_precision(value):
    bits = np.finfo(value.dtype)
    return lax.reduce_precision(value, bits.nexp, bits.nmant)


def _rolled(value):
    """The entries of an array moved by one place."""
    return jnp.roll(value.ravel(), 1).reshape(value.shape)


def _delayed():
    """The gradient of the step before."""
    return optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params), lambda slopes, state, params=None: (state, slopes)
    )


def _swapping():
    """Two sums of gradients that change places at each step."""

    def init(params):
        return jax.tree.map(lambda a: (jnp.ones_like(a), -0.5 * a), params)

    def update(slopes, state, params=None):
        del params
        leaves, tree = jax.tree.flatten(slopes)
        pairs = tree.flatten_up_to(state)
        changes = [0.5 * one + slope for slope, (one, _) in zip(leaves, pairs, strict=True)]
        swapped = [(other, 0.5 * one + slope) for slope, (one, other) in zip(leaves, pairs, strict=True)]
        return tree.unflatten(changes), tree.unflatten(swapped)

    return optax.GradientTransformation(init, update)


def _neighbourly():
    """A velocity to which the entry before gives a part of its own."""

    def update(slopes, state, params):
        state = jax.tree.map(lambda v, a, b: 0.5 * v + 0.25 * _rolled(v) + a * jnp.tanh(b), state, slopes, params)
        return jax.tree.map(lambda v, a: v + a, state, slopes), state

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


def _counting():
    """Gradients scaled by how often their sign has changed, counted as integers and kept with truth values."""

    def init(params):
        return jax.tree.map(lambda a: (jnp.zeros(a.shape, jnp.int32), a > 0), params)

    def update(slopes, state, params=None):
        del params
        leaves, tree = jax.tree.flatten(slopes)
        changes, kept = [], []
        for slope, (count, positive) in zip(leaves, tree.flatten_up_to(state), strict=True):
            count = count + (positive != (slope > 0))
            changes.append(slope / (1 + count))
            kept.append((count, slope > 0))
        return tree.unflatten(changes), tree.unflatten(kept)

    return optax.GradientTransformation(init, update)


def jax_names() -> dict:
    """The names of JAX texts."""
    return {
        "jax": jax,
        "jnp": jnp,
        "lax": lax,
        "np": np,
        "optax": optax,
        "each": _each_point,
        "squash": _squash,
        "gate": _gate,
        "wide": _wide,
        "likes": lambda *values: list(jnp.broadcast_arrays(*values)),
        "pair": _pair,
        "repeat": _repeat,
        "collect": _collect,
        "loop": _loop,
        "branch": lambda test, yes, no, a, b: lax.cond(test, yes, no, *jnp.broadcast_arrays(a, b)),
        "branches": _branches,
        "rolled": _rolled,
        "delayed": _delayed,
        "swapping": _swapping,
        "neighbourly": _neighbourly,
        "counting": _counting,
        "rows": lambda value, x: jnp.broadcast_to(value, (*x.shape[:-1], value.shape[-1])),
        "i32": lambda value: value.astype(jnp.int32),
        "reread": _reread,
        "signed": lambda value: value ^ np.array(np.iinfo(value.dtype).min, value.dtype),
        "precise": _full_precision,
    }


def _each_row(function, *values):
    count = {len(value) for value in values if value.ndim > 1}
    if not count:
        return function(*values)
    return np.stack([function(*(v[n] if v.ndim > 1 else v for v in values)) for n in range(count.pop())])


def _gelu(a):
    return 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))


def _selu(a):
    return 1.0507009873554804934 * np.where(a > 0, a, 1.6732632423543772848 * np.expm1(np.minimum(a, 0)))


def _softmax(a):
    powers = np.exp(a - a.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _away_from_zero(a):
    return np.sign(a) * np.floor(np.abs(a) + 0.5)


def _switch(index, branches, *values):
    return branches[int(np.clip(index, 0, len(branches) - 1))](*values)


def _leaky_sum(units, carry):
    before, products = [], []
    for unit in units:
        before.append(carry)
        products.append(carry * unit)
        carry = 0.5 * carry + unit
    return np.array(before), np.array(products)


def _repeat_in_numpy(function, carry, sequence):
    for b in sequence:
        carry = function(carry, b)
    return carry


def _collect_in_numpy(function, carry, sequence, *, backwards=False):
    kept = []
    for b in sequence[:: -1 if backwards else 1]:
        kept.append(carry)
        carry = function(carry, b)
    return sum(kept)


def _branch_in_numpy(test, yes, no, a, b):
    return (yes if test else no)(*np.broadcast_arrays(a, b))


def _branches_in_numpy(index, value, *functions):
    shape = np.broadcast_shapes(np.shape(index), value.shape[:-1])
    index, rows = np.broadcast_to(index, shape), np.broadcast_to(value, (*shape, value.shape[-1]))
    result = np.empty(rows.shape)
    for place in np.ndindex(*shape):
        result[place] = _switch(index[place], functions, rows[place], 0.5)
    return result


def _slope(function, a, b, step=1e-6):
    return (function(a + step, b) - function(a - step, b)) / (2 * step)


def _put(a, place, value):
    result = a.copy()
    result[..., place] = value
    return result


def _filled(a, places, value):
    taken = a[..., np.minimum(places, a.shape[-1] - 1)]
    return np.where(places < a.shape[-1], taken, value)


def _scattered(values, places):
    result = np.zeros_like(values)
    np.add.at(result, places, values)
    return result


def _quotient(i, j):
    """Towards zero; -1 for a division by zero, as XLA says."""
    i, j = np.broadcast_arrays(i, j)
    safe = np.where(j == 0, 1, j)
    return np.where(j == 0, -1, np.sign(i) * np.sign(safe) * (np.abs(i) // np.abs(safe)))


def numpy_names() -> dict:
    """The names of NumPy texts."""
    return {
        "np": np,
        "each": _each_row,
        "logistic": special.expit,
        "erf": special.erf,
        "erf_inv": special.erfinv,
        "lgamma": special.gammaln,
        "gelu": _gelu,
        "selu": _selu,
        "softmax": _softmax,
        "away": _away_from_zero,
        "switch": _switch,
        "repeat": _repeat_in_numpy,
        "collect": _collect_in_numpy,
        "loop": lambda count, function, carry: _repeat_in_numpy(function, carry, [0.1 * n for n in range(count)]),
        "branch": _branch_in_numpy,
        "branches": _branches_in_numpy,
        "slope": _slope,
        "leaky": _leaky_sum,
        "both": lambda *values: list(np.broadcast_arrays(*values)),
        "sides": lambda value, other: np.broadcast_to(value, np.broadcast_shapes(value.shape, other.shape)),
        "rows": lambda value, x: np.broadcast_to(value, (*x.shape[:-1], value.shape[-1])),
        "put": _put,
        "filled": _filled,
        "spread": _scattered,
        "quotient": _quotient,
        "wrapped": lambda i: (i + 2**31) % 2**32 - 2**31,
        "saturated": lambda a: np.clip(np.trunc(a), -(2.0**31), 2.0**31 - 1).astype(np.int64),
        "bits": lambda i: np.vectorize(lambda n: int(n).bit_count())(i),
    }
