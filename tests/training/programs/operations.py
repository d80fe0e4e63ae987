"""What generated programs are made of: each operation as JAX text and as the NumPy text of the same meaning.

Every value is a vector of units, (k,) where it depends on parameters only and (N, k) where on the point too, so all
texts count axes from the end. Fields of a text: `a`, `b`, `c` are floating-point values of k units, `i`, `j` integers,
`p`, `q` truth values; `k` is the number of units, `m` a place among them, `order` all places shuffled, `places` some
with repetitions; `r`, `s` are floating-point constants, `z` an integer, `u` a floating-point value of one unit, `list`
k constants, `M`, `v`, `t` a parameter matrix of k rows, a vector of k entries, a scalar; `F`, `G` are formulas in a and
b that end in the shape of a.
"""

from typing import NamedTuple


class Operation(NamedTuple):
    """One way to make a value.

    Attributes:
        kind: of the result: `f` floating point, `i` integer, `b` truth value.
        units: of the result, as an expression in k, and m for the columns of `M`.
        jax: the text for JAX.
        numpy: the text for NumPy.
        share: how often it is taken, where 1 is usual.
    """

    kind: str
    units: str
    jax: str
    numpy: str
    share: float = 1.0


def _same(kind, units, *texts, share=1.0):
    return [Operation(kind, units, text, text.replace("jnp.", "np."), share) for text in texts]


def _each(kind, units, pairs, share=1.0):
    return [Operation(kind, units, jax, numpy, share) for jax, numpy in pairs.items()]


_ARITHMETIC = _same(
    "f",
    "k",
    "{a} + {b}",
    "{a} - {b}",
    "{a} * {b}",
    "-{a}",
    "{a} + {a}",
    "{a} - {a} * {b}",
    "{a} * {b} + {a} * {b}",
    "{a} * {b} - {a} * {b} * {c}",
    "({a} - {b}) * ({a} + {b})",
    "{a} + {b} + {a} + {b}",
    "{a} + {b} + {c} + {a}",
    "{a} * {r}",
    "{r} - {a}",
    "{a} + {r}",
    "-({a} - {b})",
    "{a} / (1.5 + jnp.abs({b}))",
    "{r} / (1.25 + {a} * {a})",
    "{a} / {z}.5",
    "{a} / 4",
    "{a} * {t}",
    "{a} * {u}",
    "{u} - {a}",
    "{a} + {u} * {u}",
    "jnp.maximum({a}, {u})",
    "jnp.where({a} > {u}, {a}, {u})",
    "{a} * {v} + {v}",
    "({a} * {r}) * {s}",
    "{r} * ({s} * {a})",
    "{a} ** 2",
    "{a} ** 3",
    "(1.0 + jnp.abs({a})) ** -2",
    "(0.5 + jnp.abs({a})) ** 1.5",
    "(0.5 + jnp.abs({a})) ** {b}",
    "jnp.power(2.0, {a})",
    "jnp.float_power(1.5, {a})",
    "(jnp.abs({a}) + 0.5) ** jnp.clip({i}, -3, 3)",
    "jnp.square({a})",
    "jnp.abs({a})",
    "jnp.sqrt(jnp.abs({a}) + 0.25)",
    "jnp.exp(-{a} * {a})",
    "jnp.expm1({a})",
    "jnp.log1p(jnp.abs({a}))",
    "jnp.log(jnp.abs({a}) + 0.5)",
    "jnp.log2(jnp.abs({a}) + 0.5)",
    "jnp.log10(jnp.abs({a}) + 0.5)",
    "jnp.logaddexp({a}, {b})",
    "jnp.hypot({a} + 0.5, {b})",
    "jnp.exp2({a})",
    "jnp.tanh({a})",
    "jnp.sin({a})",
    "jnp.cos({a})",
    "jnp.tan(0.7 * jnp.tanh({a}))",
    "jnp.sinh({a})",
    "jnp.cosh({a})",
    "jnp.sinc({a} + 0.25)",
    "jnp.deg2rad({a}) * 50",
    "jnp.reciprocal(1.5 + jnp.abs({a}))",
    "jnp.positive({a})",
    "jnp.nan_to_num({a})",
)
_STEPS = _same(
    "f",
    "k",
    "jnp.sign({a}) * {b}",
    "jnp.floor({a}) * {b}",
    "jnp.ceil({a}) + {b}",
    "jnp.round({a}) * {b}",
    "jnp.round({a}, 1) + {b}",
    "jnp.trunc({a}) - {b}",
    "jnp.rint({a} * 2) * {b}",
    "jnp.maximum({a}, {b})",
    "jnp.minimum({a}, {b})",
    "jnp.maximum({a}, {r})",
    "jnp.minimum({r}, {a})",
    "jnp.maximum({a}, 0.0) - jnp.maximum(-{a}, 0.0)",
    "jnp.maximum({a}, -{a})",
    "jnp.clip({a}, -0.5, 0.75)",
    "jnp.clip({a}, {b} - 1.0, {b} + 0.5)",
    "jnp.where({p}, {a}, {b})",
    "jnp.where({a} > 0, {a}, {b})",
    "jnp.where({a} <= 0, 0.0, {a})",
    "jnp.where({a} >= {r}, {a}, {r})",
    "jnp.where({p} & ({a} < {b}), {a}, {r})",
    "jnp.where({a} > 0, jnp.log(jnp.where({a} > 0, {a}, 1.0)), 0.0)",
    "jnp.where({p}, {a}, 0.0) + jnp.where({p}, 0.0, {b})",
    "jnp.select([{p}, {q}], [{a}, {b}], {c})",
    "jnp.heaviside({a}, 0.5) * {b}",
    "jnp.where(jnp.isfinite({a}), {a}, {b})",
    "{p} * {a}",
    "{a} - {p} * {b}",
    "{a} * ({i} > 0)",
    "({a} > {b}) * {a} + ({a} <= {b}) * {b}",
)
_NAMED = _each(
    "f",
    "k",
    {
        "lax.logistic({a})": "logistic({a})",
        "jax.nn.sigmoid({a}) * {b}": "logistic({a}) * {b}",
        "jax.nn.softplus({a})": "np.logaddexp({a}, 0)",
        "jax.nn.relu({a})": "np.maximum({a}, 0)",
        "jax.nn.relu6({a} * 8)": "np.clip({a} * 8, 0, 6)",
        "jax.nn.elu({a})": "np.where({a} > 0, {a}, np.expm1(np.minimum({a}, 0)))",
        "jax.nn.gelu({a}, approximate=True)": "gelu({a})",
        "jax.nn.silu({a})": "{a} * logistic({a})",
        "jax.nn.leaky_relu({a}, 0.1)": "np.where({a} >= 0, {a}, 0.1 * {a})",
        "jax.nn.hard_tanh({a})": "np.clip({a}, -1, 1)",
        "jax.nn.selu({a})": "selu({a})",
        "jax.nn.mish({a})": "{a} * np.tanh(np.logaddexp({a}, 0))",
        "lax.rsqrt(jnp.square({a}) + 0.5)": "1 / np.sqrt(np.square({a}) + 0.5)",
        "lax.integer_pow({a}, 3)": "{a} ** 3",
        "lax.integer_pow(2.0 + jnp.abs({a}), -3)": "(2.0 + np.abs({a})) ** -3",
        "lax.clamp(-0.5, {a}, 0.75)": "np.clip({a}, -0.5, 0.75)",
        "lax.clamp(-1.0 - jnp.abs(wide({b}, {a})), wide({a}, {b}), wide({b}, {a}) + 0.5)": (
            "np.minimum(np.maximum({a}, -1.0 - np.abs({b})), {b} + 0.5)"
        ),
        "lax.round({a}, lax.RoundingMethod.TO_NEAREST_EVEN) * {b}": "np.rint({a}) * {b}",
        "lax.round({a}, lax.RoundingMethod.AWAY_FROM_ZERO) * {b}": "away({a}) * {b}",
        "{b} * lax.select_n(wide({i}, {a}, {b}) > 0, wide({a}, {b}, {i}), 2.0 * wide({b}, {a}, {i}))": (
            "{b} * np.where({i} > 0, 2.0 * {b}, {a})"
        ),
        "lax.select_n(jnp.clip(i32(wide({i}, {a}, {b})), 0, 1), wide({a}, {b}, {i}), wide({b}, {a}, {i}))": (
            "np.where({i} > 0, {b}, {a})"
        ),
        "lax.select_n(jnp.clip(i32(wide({i}, {a}, {b}, {c})), 0, 2), wide({a}, {b}, {c}, {i}), "
        "wide({b}, {a}, {c}, {i}), wide({c}, {a}, {b}, {i}))": ("np.where({i} > 1, {c}, np.where({i} == 1, {b}, {a}))"),
        "reread(reread({a})) + {b}": "{a} + {b}",
        "reread(signed(reread({a}))) + {b}": "{b} - {a}",
        "lax.bitcast_convert_type({a}, {a}.dtype) + {a}": "2 * {a}",
        "precise({a})": "{a} + 0",
        "jax.nn.glu(jnp.concatenate(likes({a}, {b}), -1))": "{a} * logistic({b})",
        "jnp.asarray(np.array({list})) * {a}": "np.array({list}) * {a}",
        "np.array({list}) + {a}": "np.array({list}) + {a}",
        "np.array([[0.5, -1.0], [2.0, 0.0]])[1, 0] * {a}": "2.0 * {a}",
        "jnp.interp({a}, jnp.array([-1.0, 0.0, 1.0]), jnp.array([0.5, -0.5, 1.0]))": (
            "np.interp({a}, np.array([-1.0, 0.0, 1.0]), np.array([0.5, -0.5, 1.0]))"
        ),
    },
)
_CALLS = _each(
    "f",
    "k",
    {
        "jax.jit(lambda a: jnp.tanh(a) * a)({a})": "np.tanh({a}) * {a}",
        "jax.jit(lambda a, b: jax.jit(lambda a: a * a)(a) - b)({a}, {b})": "{a} * {a} - {b}",
        "jax.checkpoint(lambda a: jnp.sin(a) * a)({a})": "np.sin({a}) * {a}",
        "jax.checkpoint(lambda a, b: jnp.tanh(a * b) + a)({a}, {b})": "np.tanh({a} * {b}) + {a}",
        "squash({a})": "np.tanh({a})",
        "gate(*likes({a}, {b}))": "{a} * logistic({b})",
        "lax.stop_gradient({a}) * {b}": "{a} * {b}",
        "{a} + lax.stop_gradient(jnp.round({a}) - {a})": "np.round({a})",
        "lax.optimization_barrier({a}) * {r}": "{a} * {r}",
        "jnp.copy({a}) + {b}": "{a} + {b}",
        "jnp.array({a}, copy=True)": "{a} + 0",
        "jax.grad(lambda a: jnp.sum(jnp.sin(a) * a))({a})": "np.cos({a}) * {a} + np.sin({a})",
        "jax.grad(lambda a: jnp.sum(jnp.maximum(a, {r})))({a})": (
            "np.where({a} == {r}, 0.5, np.where({a} > {r}, 1.0, 0.0))"
        ),
        "jax.jvp(lambda a: a ** 3, ({a},), (jnp.ones_like({a}),))[1]": "3 * {a} ** 2",
        "jax.named_call(lambda a: a * 0.5)({a})": "{a} * 0.5",
        "lax.cond(jnp.sum({v}) > {r}, lambda a, b: a * b, lambda a, b: a - 2.0 * b, *likes({a}, {b}))": (
            "({a} * {b} if np.sum({v}) > {r} else {a} - 2.0 * {b})"
        ),
        "lax.cond({t} > 0, lambda a: jnp.tanh(a) * {t}, lambda a: a, {a})": (
            "(np.tanh({a}) * {t} if {t} > 0 else {a})"
        ),
        "lax.switch(jnp.int32(jnp.floor({t} * 3)), [lambda a: a, lambda a: a * a, jnp.negative], {a})": (
            "switch(np.floor({t} * 3), [lambda a: a, lambda a: a * a, np.negative], {a})"
        ),
        "each(lambda a, b: lax.cond(a[0] > b[0], lambda: jnp.tanh(a), lambda: b * b), {a}, {b})": (
            "each(lambda a, b: np.tanh(a) if a[0] > b[0] else b * b, {a}, {b})"
        ),
        "each(lambda a, p: lax.cond(p[{m}], lambda a: a * 2.0, jnp.sin, a), {a}, {p})": (
            "each(lambda a, p: a * 2.0 if p[{m}] else np.sin(a), {a}, {p})"
        ),
        "each(lambda a, i: lax.switch(i[0], [lambda a: a, lambda a: a * a, jnp.negative], a), {a}, {i})": (
            "each(lambda a, i: switch(i[0], [lambda a: a, lambda a: a * a, np.negative], a), {a}, {i})"
        ),
        "each(lambda a, i: lax.switch(i[0], [lambda a: a, jnp.tanh], a), {a}, {i})": (
            "each(lambda a, i: switch(i[0], [lambda a: a, np.tanh], a), {a}, {i})"
        ),
        "lax.scan(lambda c, w: (jnp.tanh(c * w), None), {a}, jnp.array([0.5, -1.25, 0.75]))[0]": (
            "np.tanh(np.tanh(np.tanh({a} * 0.5) * -1.25) * 0.75)"
        ),
        "lax.scan(lambda c, w: (c + w, c * w), {a}, jnp.array([0.5, -0.25]))[1].sum(0)": (
            "0.5 * {a} - 0.25 * ({a} + 0.5)"
        ),
        "lax.scan(lambda c, w: (c * w, jnp.sum(c)), {a}, jnp.array([0.5, -0.25]), reverse=True)[0]": "-0.125 * {a}",
        "each(lambda a: lax.scan(lambda c, u: (0.5 * c + u, c * u), 0.25, a)[1], {a})": (
            "each(lambda a: leaky(a, 0.25)[1], {a})"
        ),
        "each(lambda a: lax.scan(lambda c, u: (0.5 * c + u, c), 0.25, a, reverse=True)[1], {a})": (
            "each(lambda a: leaky(a[::-1], 0.25)[0][::-1], {a})"
        ),
        "lax.fori_loop(0, 3, lambda n, c: 0.5 * c + 0.1 * n, {a})": "0.125 * {a} + 0.25",
        "lax.fori_loop(0, {k}, lambda n, c: c + {v}[n], {a})": "{a} + np.sum({v})",
        "lax.associative_scan(jnp.add, {a}, axis={a}.ndim - 1)": "np.cumsum({a}, -1)",
        "lax.map(lambda w: w * 2.0, {v}) * {a}": "2.0 * {v} * {a}",
        "jnp.polyval(jnp.array([0.5, -0.25, 1.0]), {a})": "np.polyval(np.array([0.5, -0.25, 1.0]), {a})",
        "jnp.vectorize(lambda a, b: a * b + a)({a}, {b})": "{a} * {b} + {a}",
        "jax.vmap(lambda a, b: a * b, (-1, -1), -1)(*likes({a}, {b}))": "{a} * {b}",
        "jax.nn.one_hot(jnp.clip({i}[..., {m}], 0, {k} - 1), {k}) * {a}": (
            "(np.clip({i}[..., {m}], 0, {k} - 1)[..., None] == np.arange({k})) * {a}"
        ),
        "jnp.piecewise({a}, [{a} < 0], [lambda a: -a, lambda a: a * a])": "np.where({a} < 0, -{a}, {a} * {a})",
    },
)
_TOGETHER = _same(
    "f",
    "1",
    "jnp.sum({a}, -1, keepdims=True)",
    "jnp.mean({a}, -1, keepdims=True)",
    "jnp.max({a}, -1, keepdims=True)",
    "jnp.min({a}, -1, keepdims=True)",
    "jnp.prod({a}, -1, keepdims=True)",
    "jnp.var({a}, -1, keepdims=True)",
    "jnp.sqrt(jnp.sum({a} * {a}, -1, keepdims=True) + 0.1)",
    "jnp.linalg.norm({a} + 2.0, axis=-1, keepdims=True)",
    "jnp.sum({a} * {b}, -1, keepdims=True) + jnp.sum({a} * {b}, -1, keepdims=True)",
    "jnp.sum({a} * jnp.where({p}, {b}, 0.0), axis=-1, keepdims=True)",
    "jnp.max(jnp.maximum({a}, 0.0), -1, keepdims=True)",
    "jnp.max({a}, -1, keepdims=True) - jnp.min({a}, -1, keepdims=True)",
    "jnp.einsum('...i,...i->...', {a}, {b})[..., None]",
    "jnp.einsum('...i,...i,i->...', {a}, {b}, {v})[..., None]",
    "jnp.average({a}, axis=-1, keepdims=True)",
    "jnp.sum({a}, -1, keepdims=True, where={p})",
    "jnp.max({a}, -1, keepdims=True, initial=0.25, where={p})",
    "jnp.trapezoid({a}, axis=-1)[..., None]",
    "jnp.dot({a}, {v})[..., None]",
    "{a} @ np.array({list})[:, None]",
    "jnp.sum({i}, -1, keepdims=True) * 0.1",
    "{a}[..., {m}:{m} + 1]",
    "{a}[..., {m}, None]",
    "{a}[..., -1:]",
) + _each(
    "f",
    "1",
    {
        "jax.nn.logsumexp({a}, -1, keepdims=True)": "np.log(np.sum(np.exp({a}), -1, keepdims=True))",
        "lax.reduce({a}, np.zeros((), {a}.dtype)[()], lax.add, ({a}.ndim - 1,))[..., None]": (
            "np.sum({a}, -1, keepdims=True)"
        ),
        "lax.dynamic_slice_in_dim({a}, {m}, 1, {a}.ndim - 1)": "{a}[..., {m}:{m} + 1]",
        "jnp.squeeze(jnp.expand_dims({a}, -2), -2)[..., :1]": "{a}[..., :1]",
        "jnp.take({a}, {m}, axis=-1)[..., None]": "{a}[..., {m}, None]",
    },
)
_UNITS = _same(
    "f",
    "k",
    "jnp.cumsum({a}, -1)",
    "jnp.flip({a}, -1)",
    "{a}[..., ::-1]",
    "jnp.roll({a}, 1, -1)",
    "{a}[..., np.array({order})]",
    "{a}[..., np.array({places})]",
    "jnp.concatenate([{a}[..., 1:], {a}[..., :1]], -1)",
    "{a} - jnp.mean({a}, -1, keepdims=True)",
    "{a} / jnp.sqrt(jnp.var({a}, -1, keepdims=True) + 0.5)",
    "jnp.where({a} == jnp.max({a}, -1, keepdims=True), {a}, 0.0)",
    "jnp.where({a} < jnp.mean({a}, -1, keepdims=True), {a}, {b})",
    "jnp.moveaxis(jnp.moveaxis({a}, -1, 0), 0, -1) * 0.5",
    "{a} * jnp.arange({k})",
    "{a} @ jnp.eye({k})",
    "{a} @ jnp.triu(jnp.ones(({k}, {k})))",
    "{a} @ jnp.tril({v}[:, None] * {v})",
    "({a}[..., :, None] * {b}[..., None, :]).sum(-1)",
    "jnp.einsum('...i,...j->...ij', {a}, {b}).max(-2)",
    "jnp.einsum('...i,...j->...i', {a}, {b})",
    "jnp.einsum('...i,ij->...j', {a}, {v}[:, None] * {v})",
    "jnp.matmul({a}[..., None, :], {b}[..., :, None])[..., 0] * {c}",
    "jnp.outer({v}, {v})[{m}] * {a}",
    "jnp.linspace(-1.0, 1.0, {k}) * {a}",
    "jnp.full({k}, {r}) + {a}",
    "jnp.broadcast_to({t}, ({k},)) + {a}",
) + _each(
    "f",
    "k",
    {
        "jax.nn.softmax({a}, -1)": "softmax({a})",
        "jax.nn.log_softmax({a}, -1)": "np.log(softmax({a}))",
        "jax.nn.softmax({a} * 40.0, -1) * {b}": "softmax({a} * 40.0) * {b}",
        "jax.nn.standardize({a}, -1, epsilon=0.1)": (
            "({a} - np.mean({a}, -1, keepdims=True)) / np.sqrt(np.var({a}, -1, keepdims=True) + 0.1)"
        ),
        "lax.cumsum({a}, {a}.ndim - 1, reverse=True)": "np.cumsum({a}[..., ::-1], -1)[..., ::-1]",
        "lax.rev({a}, ({a}.ndim - 1,))": "{a}[..., ::-1]",
        "{a}.at[..., {m}].set({r})": "put({a}, {m}, {r})",
        "{a}.at[..., {m}].add({r})": "put({a}, {m}, {a}[..., {m}] + {r})",
        "{a}.at[..., {m}].set({v}[0])": "put({a}, {m}, {v}[0])",
        "{a}.at[..., np.array({order})].add({v})": "{a} + {v}[np.argsort({order})]",
        "wide({a}, {b}).at[..., np.array({order})].set(wide({b}, {a}))": "sides({b}, {a})[..., np.argsort({order})]",
        "{a}.at[..., np.array({places})].add({v})": "{a} + spread({v}, {places})",
        "{a}.at[..., {k} + 3].set(0.5, mode='drop')": "{a} + 0",
        "{a}.at[..., 1:].multiply(0.5)": "{a} * np.where(np.arange({k}) > 0, 0.5, 1.0)",
        "jnp.take({a}, np.array({places}) * 2, axis=-1, mode='clip')": (
            "{a}[..., np.minimum(np.array({places}) * 2, {k} - 1)]"
        ),
        "jnp.take({a}, np.array({order}) + 1, axis=-1, mode='wrap')": "{a}[..., (np.array({order}) + 1) % {k}]",
        "jnp.take({a}, np.array({order}) + 1, axis=-1, mode='fill', fill_value=0.75)": (
            "filled({a}, np.array({order}) + 1, 0.75)"
        ),
        "jnp.nan_to_num(jnp.take({a}, np.array({order}) + 1, axis=-1), nan=0.25)": (
            "filled({a}, np.array({order}) + 1, 0.25)"
        ),
        "jnp.take_along_axis(wide({a}, {b}), wide(jnp.array({order}), wide({a}, {b})), -1) * {b}": (
            "{a}[..., np.array({order})] * {b}"
        ),
        "lax.dynamic_update_slice_in_dim({a}, {a}[..., :1] * 2.0, {m}, {a}.ndim - 1)": (
            "put({a}, {m}, 2.0 * {a}[..., 0])"
        ),
        "jnp.argmax({a}, -1)[..., None] * {b}": "np.argmax({a}, -1)[..., None] * {b}",
        "jnp.argmin({a}, -1)[..., None] * {b}": "np.argmin({a}, -1)[..., None] * {b}",
        "jax.nn.one_hot(jnp.argmax({a}, -1), {k}) * {a}": "(np.argmax({a}, -1)[..., None] == np.arange({k})) * {a}",
        "jnp.stack(likes({a}, {b}), -1).sum(-1)": "{a} + {b}",
        "jnp.stack(likes({a}, {b}), -2).max(-2)": "np.maximum({a}, {b})",
        "jnp.unstack(jnp.stack(likes({a}, {b}), -1), axis=-1)[1] * {a}": "{b} * {a}",
        "jnp.split(jnp.concatenate(likes({a}, {b}), -1), 2, -1)[1]": "sides({b}, {a})",
        "jnp.repeat({a}, 2, -1)[..., ::2]": "{a} + 0",
        "jnp.reshape(jnp.stack(likes({a}, {b}), -1), (*wide({a}, {b}).shape[:-1], 2 * {k}))[..., {k}:]": (
            "np.stack(both({a}, {b}), -1).reshape(*both({a}, {b})[0].shape[:-1], 2 * {k})[..., {k}:]"
        ),
        "jnp.swapaxes(jnp.stack(likes({a}, {b}), -1), -1, -2)[..., 1, :]": "sides({b}, {a})",
        "jnp.einsum('...ij,...j->...i', jnp.stack(likes({a}, {b}), -2), {a}).sum(-1, keepdims=True) * {b}": (
            "((({a} * {a}).sum(-1) + ({a} * {b}).sum(-1))[..., None]) * {b}"
        ),
        "jnp.einsum('...ij,...ik->...jk', jnp.stack(likes({a}, {b}), -2), jnp.stack(likes({b}, {a}), -2))[..., 0]": (
            "{a} * {b}[..., :1] + {b} * {a}[..., :1]"
        ),
        "each(lambda a, b: jnp.dot(a, b) * a, {a}, {b})": "each(lambda a, b: np.dot(a, b) * a, {a}, {b})",
        "each(lambda a, b: a[{m}] * b + jnp.sum(a), {a}, {b})": "each(lambda a, b: a[{m}] * b + np.sum(a), {a}, {b})",
        "jnp.pad({a}, [(0, 0)] * ({a}.ndim - 1) + [(1, 2)], constant_values={r})[..., 1:-2]": "{a} + 0",
    },
)
_RESIZED = [
    *_each(
        "f",
        "2 * k",
        {
            "jnp.concatenate(likes({a}, {b}), -1)": "np.concatenate(both({a}, {b}), -1)",
            "jnp.repeat({a}, 2, -1)": "np.repeat({a}, 2, -1)",
            "jnp.tile({a}, 2)": "np.concatenate([{a}, {a}], -1)",
            "jnp.stack(likes({a}, {b}), -1).reshape(*wide({a}, {b}).shape[:-1], 2 * {k})": (
                "np.stack(both({a}, {b}), -1).reshape(*both({a}, {b})[0].shape[:-1], 2 * {k})"
            ),
        },
        share=0.5,
    ),
    *_each(
        "f",
        "2 * k - 1",
        {
            "lax.pad({a}, jnp.asarray({r}, {a}.dtype), [(0, 0, 0)] * ({a}.ndim - 1) + [(0, 0, 1)])": (
                "np.where(np.arange(2 * {k} - 1) % 2, {r}, np.repeat({a}, 2, -1)[..., : 2 * {k} - 1])"
            )
        },
        share=0.5,
    ),
    *_each(
        "f",
        "k + 1",
        {
            "jnp.pad({a}, [(0, 0)] * ({a}.ndim - 1) + [(1, 0)], constant_values={r})": (
                "np.concatenate([0 * {a}[..., :1] + {r}, {a}], -1)"
            ),
            "jnp.concatenate([{a}, jnp.zeros_like({a}[..., :1])], -1)": ("np.concatenate([{a}, 0 * {a}[..., :1]], -1)"),
            "jnp.append({v}, {t}) + 0 * {a}[..., :1]": "np.append({v}, {t}) + 0 * {a}[..., :1]",
            "jnp.insert({v}, {m}, 0.5) * {a}[..., :1]": "np.insert({v}, {m}, 0.5) * {a}[..., :1]",
        },
        share=0.5,
    ),
    *_same("f", "(k + 1) // 2", "{a}[..., ::2]", "{a}[..., ::-2]", share=0.5),
    *_same("f", "m", "{a} @ {M}", "jnp.tanh({a} @ {M} + {r})", "jnp.dot({a}, {M})", share=6),
    *_same("f", "m", "jnp.einsum('...i,io->...o', {a}, {M})", "({M}.T @ {a}[..., :, None])[..., 0]", share=2),
    *_same("f", "m", "{a} @ jnp.maximum({M}, 0.0)", "{a} @ ({M} * {M})", "({a} @ {M}) ** 2"),
]
_INTEGERS = _same(
    "i",
    "k",
    "jnp.floor({a}).astype(int)",
    "({a} * 3).astype(int)",
    "({a} > {b}).astype(int)",
    "jnp.round({a} * 2).astype(int)",
    "{i} + {j}",
    "{i} * {j}",
    "{i} - {j}",
    "-{i}",
    "{i} - {z}",
    "{z} * {i}",
    "jnp.abs({i})",
    "jnp.sign({i})",
    "jnp.square({i})",
    "{i} ** 3",
    "{i} // 3",
    "{i} % 3",
    "{i} // -2",
    "{i} % -3",
    "jnp.remainder({i}, jnp.abs({j}) + 1)",
    "jnp.maximum({i}, {j})",
    "jnp.minimum({i}, {z})",
    "{i} & {j}",
    "{i} | {j}",
    "{i} ^ {j}",
    "~{i}",
    "jnp.clip({i}, -1, 2)",
    "jnp.where({p}, {i}, {j})",
    "jnp.arange({k}) + {i}",
    "jnp.cumsum({i}, -1)",
    "jnp.cumsum({p}, -1)",
    "{i} * {p}",
    "{p}.astype(int) - {q}.astype(int)",
    "{i}[..., ::-1]",
    "{i} + jnp.sum({i}, -1, keepdims=True)",
    "{i} * jnp.max({j}, -1, keepdims=True)",
    "{i} - jnp.prod({j}, -1, keepdims=True)",
    "jnp.einsum('...i,...i->...', {i}, {j})[..., None] + {i}",
    "jnp.sum({p}, -1, keepdims=True) + {i}",
    share=0.5,
) + _each(
    "i",
    "k",
    {
        "lax.div(*pair({i}, {j}))": "quotient({i}, {j})",
        "lax.rem(*pair({i}, {j}))": "{i} - quotient({i}, {j}) * {j}",
        "lax.div(*pair({i}, jnp.abs({j}) + 1))": "quotient({i}, np.abs({j}) + 1)",
        "lax.rem({i}, jnp.full_like({i}, 3))": "np.fmod({i}, 3)",
        "jnp.where({i} == 0, 0, lax.div(*pair({j}, {i})))": "np.where({i} == 0, 0, quotient({j}, {i}))",
        "(({a} * 1e6).astype(jnp.int32) * 1103515245 + 12345) % 5": (
            "(wrapped(({a} * 1e6).astype(np.int64) * 1103515245 + 12345)) % 5"
        ),
        "({a} * 1e12).astype(jnp.int32) // 2 ** 29": "saturated({a} * 1e12) // 2 ** 29",
        "jnp.take({i}, np.array({order}) + 1, axis=-1, mode='fill', fill_value=2)": (
            "filled({i}, np.array({order}) + 1, 2)"
        ),
        "jnp.maximum(jnp.take({i}, np.array({order}) + 1, axis=-1), -5)": (
            "np.maximum(filled({i}, np.array({order}) + 1, -5), -5)"
        ),
        "{i} << 2": "{i} * 4",
        "{i} >> 1": "{i} // 2",
        "{i} << {j} % 2": "{i} * np.where({j} % 2, 2, 1)",
        "lax.fori_loop(0, 3, lambda n, c: c + n, {i})": "{i} + 3",
        "{i}.astype(jnp.int32)": "{i} + 0",
    },
    share=0.5,
)
_TRUTHS = _same(
    "b",
    "k",
    "{a} > {b}",
    "{a} < {b}",
    "{a} >= {b}",
    "{a} <= {b}",
    "{a} == {b}",
    "{a} != {b}",
    "{a} > {r}",
    "{a} == jnp.max({a}, -1, keepdims=True)",
    "{i} > {j}",
    "{i} < {j}",
    "{i} >= {z}",
    "{i} <= {j}",
    "{i} == {j}",
    "{i} != {z}",
    "{i} % 2 == 0",
    "{p} & {q}",
    "{p} | {q}",
    "{p} ^ {q}",
    "~{p}",
    "{p} == {q}",
    "{p} != {q}",
    "{p} > {q}",
    "{p} <= {q}",
    "{p} < {q}",
    "{p} >= {q}",
    "jnp.maximum({p}, {q})",
    "jnp.minimum({p}, {q})",
    "{p} + {q}",
    "{p} * {q}",
    "{p} & True",
    "{p} | False",
    "jnp.logical_xor({p}, {a} > 0)",
    "jnp.isfinite({a})",
    "jnp.isnan({a})",
    "{a}.astype(bool)",
    "{i}.astype(bool)",
    "jnp.where({p}, {q}, ~{p})",
    "jnp.all({p}, -1, keepdims=True) | {q}",
    "jnp.any({p}, -1, keepdims=True) & {q}",
    "jnp.max({p}, -1, keepdims=True) != {q}",
    "jnp.min({p}, -1, keepdims=True) | {q}",
    "{p}[..., ::-1]",
    "jnp.array_equal({v}, {v}[::-1]) | {p}",
    share=0.5,
) + _each(
    "b",
    "k",
    {
        "jnp.take({p}, np.array({order}) + 1, axis=-1)": "filled({p}, np.array({order}) + 1, True)",
        "lax.max(*likes({p}, {q}))": "{p} | {q}",
        "lax.min(*likes({p}, {q}))": "{p} & {q}",
        "lax.gt(*likes({p}, {q}))": "{p} & ~{q}",
        "lax.cond({t} > 0, lambda p: ~p, lambda p: p, {p})": "{p} ^ ({t} > 0)",
    },
    share=0.5,
)
_BACK = _same(
    "f",
    "k",
    "{i} * 0.1",
    "{i}.astype(float) / 7 + {a}",
    "{p}.astype(float) - 0.5",
    "{p} * 0.25 + {a}",
    "{a} * jnp.clip({i}, -2, 2)",
    "jnp.tanh({i})",
)
_ROUNDED = _each(
    "f",
    "k",
    {
        "{a}.astype(jnp.float32).astype({a}.dtype)": "{a}.astype(np.float32).astype(float)",
        "{a} * {i}.astype(jnp.float32)": "{a} * {i}",
        "jnp.float32(0.1) * {a}": "{a} * np.float64(np.float32(0.1))",
        "jnp.dot({a}.astype(jnp.float32), {v}.astype(jnp.float32), "
        "preferred_element_type={a}.dtype)[..., None] * {b}": ("(({a} * {v}).sum(-1, keepdims=True)) * {b}"),
    },
    share=0.15,
)
_SINGLE = _each(
    "f",
    "k",
    {
        "lax.erf({a})": "erf({a})",
        "lax.erfc({a})": "1 - erf({a})",
        "jax.nn.gelu({a}, approximate=False)": "{a} * (1 + erf({a} / np.sqrt(2))) / 2",
        "jnp.arctan2({a}, {b} + 2.5)": "np.arctan2({a}, {b} + 2.5)",
        "jnp.arctan({a})": "np.arctan({a})",
        "jnp.arcsin(0.7 * jnp.tanh({a}))": "np.arcsin(0.7 * np.tanh({a}))",
        "jnp.arcsinh({a})": "np.arcsinh({a})",
        "jnp.cbrt({a} + 3.5)": "np.cbrt({a} + 3.5)",
        "lax.erf_inv(0.5 * jnp.tanh({a}))": "erf_inv(0.5 * np.tanh({a}))",
        "lax.lgamma(jnp.abs({a}) + 1.0)": "lgamma(np.abs({a}) + 1.0)",
        "lax.nextafter(lax.stop_gradient({a}), jnp.ones_like({a})) + {b}": "{a} + {b}",
        "jnp.fmod({a}, 0.75) + {b}": "np.fmod({a}, 0.75) + {b}",
        "jnp.remainder({a}, 0.75) + {b}": "np.remainder({a}, 0.75) + {b}",
        "jnp.remainder({a}, jnp.abs({b}) + 0.5)": "np.remainder({a}, np.abs({b}) + 0.5)",
        "{a} // 0.5 + {b}": "{a} // 0.5 + {b}",
        "jnp.copysign({a}, {b} + 0.3)": "np.copysign({a}, {b} + 0.3)",
        "jnp.sum({a}[..., :0], -1, keepdims=True) * {b}": "0 * {b}",
        "jnp.prod({a}[..., :0], -1, keepdims=True) * {b}": "{b} + 0",
        "jnp.sort({a}, -1)": "np.sort({a}, -1)",
        "{a}[..., np.array([0])[0] + jnp.argmax({v})][..., None] * {b}": ("{a}[..., np.argmax({v})][..., None] * {b}"),
        "lax.top_k({a}, 1)[0] * {b}": "np.max({a}, -1, keepdims=True) * {b}",
        "jnp.median({a}, -1, keepdims=True) + {b}": "np.median({a}, -1, keepdims=True) + {b}",
        "jnp.cumprod({a}, -1)": "np.cumprod({a}, -1)",
        "lax.cummax({a}, {a}.ndim - 1)": "np.maximum.accumulate({a}, -1)",
        # The derivatives of running extremes are made of other primitives.
        "lax.cummin(lax.stop_gradient({a}), {a}.ndim - 1, reverse=True) * {b}": (
            "np.minimum.accumulate({a}[..., ::-1], -1)[..., ::-1] * {b}"
        ),
        "lax.cummin({a}, {a}.ndim - 1)": "np.minimum.accumulate({a}, -1)",
        "lax.cumlogsumexp({a}, {a}.ndim - 1)": "np.log(np.cumsum(np.exp({a}), -1))",
        "jnp.abs({a} + 1j * ({b} + 2.5))": "np.hypot({a}, {b} + 2.5)",
        "{a}.astype(jnp.bfloat16).astype({a}.dtype) * 0.0 + {b}": "{b} + 0",
        "{a} * {i}.astype(jnp.int8)": "{a} * {i}",
        "{a} * jnp.abs({i}).astype(jnp.uint32)": "{a} * np.abs({i})",
        "{a} * lax.population_count({i} & 7)": "{a} * bits({i} & 7)",
        "each(lambda a: jnp.convolve(a, {v}, mode='same'), {a})": (
            "each(lambda a: np.convolve(a, {v}, mode='same'), {a})"
        ),
        "{a}.at[..., {m}].multiply({v}[0])": "put({a}, {m}, {a}[..., {m}] * {v}[0])",
        "{a}.at[..., {m}].max(0.25)": "put({a}, {m}, np.maximum({a}[..., {m}], 0.25))",
        "lax.cummax(lax.stop_gradient({a}), {a}.ndim - 1) * {b}": "np.maximum.accumulate({a}, -1) * {b}",
        "lax.cummin(lax.stop_gradient({a}), {a}.ndim - 1) * {b}": "np.minimum.accumulate({a}, -1) * {b}",
        "{a}.at[..., {m}].min(0.25)": "put({a}, {m}, np.minimum({a}[..., {m}], 0.25))",
        "lax.reduce(lax.stop_gradient({a}), np.zeros((), {a}.dtype)[()], lambda a, b: a + b - a * b * 0.0, "
        "({a}.ndim - 1,))[..., None] * {b}": "{a}.sum(-1, keepdims=True) * {b}",
        "lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, c[1] * 0.5), (0, lax.stop_gradient({a})))[1]": (
            "{a} * 0.125"
        ),
        "lax.pad({a}, jnp.asarray(0.5, {a}.dtype), [(0, 0, 0)] * ({a}.ndim - 1) + [(1, -1, 0)])": (
            "np.concatenate([0 * {a}[..., :1] + 0.5, {a}], -1)[..., :-1]"
        ),
    },
    share=0.03,
)
_FORMULAS = _same(
    "f",
    "k",
    "(lambda a, b: {F})({a}, {b})",
    "(lambda a, b: {F} + {F})({a}, {b})",
    "(lambda a, b: ({F}) * ({G}) - ({F}))({a}, {b})",
    "(lambda a, b: jnp.where({F} > 0.5, {G}, {F}))({a}, {b})",
    "(lambda a, b: jnp.maximum({F}, {G}))({a}, {b})",
    "(lambda a, b: {F})({a}, {t})",
    "(lambda a, b: {F})({a}, {v})",
    "(lambda a, b: {F})({a}, {u})",
    "(lambda a, b: {F})({a}, jnp.sum({b}, -1, keepdims=True))",
    "repeat(lambda a, b: {F}, {a}, [0.5, -0.25, 1.0])",
    "repeat(lambda a, b: {F}, {a}, [])",
    "collect(lambda a, b: {F}, {a}, [0.5, -0.25])",
    "collect(lambda a, b: {F}, {a}, [0.5, -1.0, 0.0], backwards=True)",
    "loop(3, lambda a, b: {F}, {a})",
    "branch({t} > {r}, lambda a, b: {F}, lambda a, b: {G}, {a}, {b})",
    "branch(jnp.sum({v}) <= {r}, lambda a, b: branch({t} > 0, lambda a, b: {F}, lambda a, b: a, a, b), "
    "lambda a, b: {G}, {a}, {b})",
    "each(lambda a, b: branch(a[0] > b[{m}], lambda a, b: {F}, lambda a, b: {G}, a, b), {a}, {b})",
    "each(lambda a, b: branch(jnp.sum(a) > 0, lambda a, b: {F}, "
    "lambda a, b: repeat(lambda a, b: {G}, a, [0.5]), a, b), {a}, {b})",
    "each(lambda a, b: repeat(lambda a, b: {F}, a, b), {a}, {b})",
    "branches({i}[..., 0], {a}, lambda a, b: {F}, lambda a, b: {G}, lambda a, b: a)",
    share=2,
) + _each(
    "f",
    "k",
    {
        "jax.jit(lambda a, b: {F})({a}, {b})": "(lambda a, b: {F})({a}, {b})",
        "jax.checkpoint(lambda a, b: {F})({a}, {b})": "(lambda a, b: {F})({a}, {b})",
        "jax.vmap(lambda a, b: {F}, -1, -1)(*likes({a}, {b}))": "(lambda a, b: {F})({a}, {b})",
        "jax.grad(lambda a, b: jnp.sum({F}))(*likes({a}, {b}))": "slope(lambda a, b: {F}, {a}, {b})",
        "jax.jvp(lambda a: (lambda a, b: {F})(a, {r}), ({a},), (jnp.ones_like({a}),))[1]": (
            "slope(lambda a, b: {F}, {a}, {r})"
        ),
        "jax.vjp(lambda a, b: {F}, *likes({a}, {b}))[1](wide({a}, {b}))[0]": (
            "slope(lambda a, b: {F}, {a}, {b}) * {a}"
        ),
    },
    share=1.5,
)
_MASKED = _same(
    "f",
    "k",
    "jnp.maximum({a}, -jnp.inf)",
    "jnp.minimum(jnp.inf, {a}) + {b}",
    "jnp.clip({a}, None, 0.5)",
    "jnp.clip({a}, -0.25, None)",
    "jnp.clip({a}, -jnp.inf, 0.5)",
    "jnp.where(jnp.isinf(1.0 / {a}), 0.0, {a})",
    "jnp.where({p}, {a}, jnp.max(jnp.where({p}, -jnp.inf, {b}), -1, keepdims=True))",
    "jnp.nan_to_num(jnp.where({p}, {a}, jnp.nan))",
    "jnp.nan_to_num(jnp.where({p}, {a}, jnp.inf), posinf=0.5)",
    "jnp.nansum(jnp.where({p}, {a}, jnp.nan), -1, keepdims=True) + {b}",
    "jnp.where(jnp.isnan(jnp.where({p}, jnp.nan, {a})), {b}, {a})",
    "jnp.minimum(jnp.where({p}, {a}, jnp.inf), {b})",
    "jnp.fmax(jnp.where({p}, {a}, jnp.nan), {b})",
    "jnp.exp(jnp.where({p}, {a}, -jnp.inf))",
    "jnp.tanh(jnp.where({p}, {a}, jnp.inf))",
) + _each(
    "f",
    "k",
    {
        "jax.nn.softmax(jnp.where({p} | (jnp.arange({k}) == 0), {a}, -jnp.inf), -1)": (
            "softmax(np.where({p} | (np.arange({k}) == 0), {a}, -np.inf))"
        ),
        "jax.nn.softmax(wide({a}, {p}), -1, where={p} | (jnp.arange({k}) == 0))": (
            "softmax(np.where({p} | (np.arange({k}) == 0), {a}, -np.inf))"
        ),
        "jax.nn.logsumexp(jnp.where({p}, {a}, -jnp.inf), -1, keepdims=True)": (
            "np.log(np.sum(np.exp(np.where({p}, {a}, -np.inf)), -1, keepdims=True))"
        ),
        "jax.nn.sigmoid(jnp.where({p}, {a}, -jnp.inf))": "logistic(np.where({p}, {a}, -np.inf))",
        "each(lambda a, b: jax.jacrev(lambda a: jnp.tanh(a) * b)(a) @ b, {a}, {b})": (
            "(1 - np.tanh({a}) ** 2) * {b} * {b}"
        ),
        "each(lambda a: jax.hessian(lambda a: jnp.sum(a ** 3))(a) @ a, {a})": "6 * {a} * {a}",
        "each(lambda a: jax.jacfwd(lambda a: jnp.cumsum(a))(a) @ a, {a})": "np.cumsum({a}, -1)",
    },
)
_WEIGHTS = _same(
    "f",
    "k",
    "jnp.tanh({v}) + {v}",
    "{v} * jnp.max({v})",
    "{v} / jnp.linalg.norm({v} + 2.0)",
    "jnp.cumsum({v}) - {v}[0]",
    "{M}.sum(-1) * {t}",
    "{M}.max(-1)",
    "({M} @ {M}.T)[{m}]",
    "jnp.mean({M} * {M}, -1) + {v}",
    "jnp.where({v} > {t}, {v}, {t})",
    "(lambda a, b: {F})({v}, {t})",
    "(lambda a, b: {F} - {G})({v}, {M}[:, 0])",
)

OPERATIONS = [
    *_ARITHMETIC,
    *_STEPS,
    *_NAMED,
    *_CALLS,
    *_TOGETHER,
    *_UNITS,
    *_RESIZED,
    *_INTEGERS,
    *_TRUTHS,
    *_BACK,
    *_FORMULAS,
    *_MASKED,
    *_WEIGHTS,
    *_ROUNDED,
    *_SINGLE,
]
"""All operations; those at the end are refused by lanes, in float64 at least, and rare."""

LOSSES = {
    "(y - t) ** 2": "(y - t) ** 2",
    "(y - t) ** 2 + (y - t) ** 2 + y": "2 * (y - t) ** 2 + y",
    "0.5 * jnp.square(y - t) + 0.01 * y ** 2": "0.5 * (y - t) ** 2 + 0.01 * y ** 2",
    "jnp.abs(y - t)": "np.abs(y - t)",
    "jnp.where(jnp.abs(y - t) < 0.5, 0.5 * (y - t) ** 2, 0.5 * jnp.abs(y - t) - 0.125)": (
        "np.where(np.abs(y - t) < 0.5, 0.5 * (y - t) ** 2, 0.5 * np.abs(y - t) - 0.125)"
    ),
    "jnp.log(jnp.cosh(y - t))": "np.log(np.cosh(y - t))",
    "(y - t) ** 4 + (y - t) ** 2": "(y - t) ** 4 + (y - t) ** 2",
    "jax.nn.softplus(y) - y * t": "np.logaddexp(y, 0) - y * t",
    "jnp.maximum(0.5 * (y - t), -0.25 * (y - t))": "np.maximum(0.5 * (y - t), -0.25 * (y - t))",
    "optax.losses.huber_loss(y, t)": "np.where(np.abs(y - t) <= 1, 0.5 * (y - t) ** 2, np.abs(y - t) - 0.5)",
    "optax.losses.log_cosh(y, t)": "np.log(np.cosh(y - t))",
    "optax.losses.l2_loss(y, t)": "0.5 * (y - t) ** 2",
    "(y - lax.stop_gradient(y) + 1.0) * (y - t)": "y - t",
    "(y - t) ** 2 * (t > 0) - 0.5 * (y - t) * (t <= 0)": "np.where(t > 0, (y - t) ** 2, -0.5 * (y - t))",
    "jnp.abs(y - t + 0.001) ** 1.5": "np.abs(y - t + 0.001) ** 1.5",
    "jnp.clip(y - t, -1.0, 1.0) ** 2": "np.clip(y - t, -1.0, 1.0) ** 2",
    "y * y - 2 * y * t + t * t": "(y - t) ** 2",
    "y - y + (y - t) ** 2": "(y - t) ** 2",
}
"""Elementwise losses of prediction y and target t."""
