"""Networks as others write them, from five ecosystems, trained as they are.

Each is fitted for one step of plain gradient descent, and loss and gradient are held against a float64 loop over fits
that calls the module over all points at once and knows nothing of kernels. The table says which backend is taken, so
that it is noticed when a network gains a kernel or loses it; what has none says why.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import equinox as eqx
import flax.linen as linen
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.example_libraries import stax
from jax.flatten_util import ravel_pytree

import jaxland as jl

pytestmark = pytest.mark.sampled

FITS, POINTS, INPUTS, OUTPUTS = 3, 7, 4, 2
X = np.random.default_rng(11).uniform(-0.9, 2.4, (POINTS, INPUTS))
Y = np.random.default_rng(12).normal(size=(POINTS, OUTPUTS))
UNIT = {name: float(np.finfo(name).eps) for name in ("float32", "float64")}


class Case(NamedTuple):
    """A network of the table: how it is made, and where it is expected to be trained."""

    backend: str
    make: Callable[[], tuple[Callable, Callable]]
    reason: str
    slow: bool


TABLE: dict[str, Case] = {}


def network(backend="lanes", reason="", slow=False):
    """Enters a function that makes (init, apply) into the table.

    `reason` is a pattern in what is said where xla is taken.
    """

    def enter(make):
        name = make.__name__.replace("_", "-")
        assert name not in TABLE
        TABLE[name] = Case(backend, make, reason, slow)
        return make

    return enter


def normal(key, *shapes):
    """Standard normal draws, an array for each shape."""
    return [
        jax.random.normal(part, shape) for part, shape in zip(jax.random.split(key, len(shapes)), shapes, strict=True)
    ]


# --- Equinox: a module is its own parameters; one point a call.


def of_equinox(make, trained=eqx.is_inexact_array, call=lambda model, x: jax.vmap(model)(x)):
    """The pair of a module: what is trained is split from the rest, which is closed over."""
    static = eqx.partition(make(jax.random.key(5)), trained)[1]

    def init(key):
        return eqx.partition(make(key), trained)[0]

    return init, lambda params, x: call(eqx.combine(params, static), x)


@network()
def equinox_perceptron():
    return of_equinox(lambda key: eqx.nn.MLP(INPUTS, OUTPUTS, 5, 2, activation=jax.nn.gelu, key=key))


@network("xla", "conv_general_dilated", slow=True)
def equinox_convolution():
    def make(key):
        first, second = jax.random.split(key)
        return eqx.nn.Sequential(
            [
                eqx.nn.Lambda(lambda x: x[None]),
                eqx.nn.Conv1d(1, 3, 2, key=first),
                eqx.nn.Lambda(lambda h: jnp.tanh(h).ravel()),
                eqx.nn.Linear(9, OUTPUTS, key=second),
            ]
        )

    return of_equinox(make)


class Attending(eqx.Module):
    """Inputs as tokens, which attend to each other."""

    lift: eqx.nn.Linear
    attention: eqx.nn.MultiheadAttention
    out: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 3)
        self.lift = eqx.nn.Linear(1, 4, key=keys[0])
        self.attention = eqx.nn.MultiheadAttention(2, 4, key=keys[1])
        self.out = eqx.nn.Linear(4, OUTPUTS, key=keys[2])

    def __call__(self, x):
        h = jax.vmap(self.lift)(x[:, None])
        return self.out(self.attention(h, h, h).mean(0))


@network(slow=True)
def equinox_attention():
    return of_equinox(Attending)


class Recurrent(eqx.Module):
    """A gated recurrent unit that reads one input after the other."""

    cell: eqx.nn.GRUCell
    out: eqx.nn.Linear

    def __init__(self, key):
        first, second = jax.random.split(key)
        self.cell = eqx.nn.GRUCell(1, 3, key=first)
        self.out = eqx.nn.Linear(3, OUTPUTS, key=second)

    def __call__(self, x):
        return self.out(jax.lax.scan(lambda h, c: (self.cell(c, h), None), jnp.zeros(3, x.dtype), x[:, None])[0])


@network(slow=True)
def equinox_gated_recurrent_unit():
    return of_equinox(Recurrent)


@network(slow=True)
def equinox_layer_root_and_group_norms():
    def make(key):
        first, second = jax.random.split(key)
        return eqx.nn.Sequential(
            [
                eqx.nn.Linear(INPUTS, 6, key=first),
                eqx.nn.LayerNorm(6),
                eqx.nn.Lambda(jax.nn.silu),
                eqx.nn.GroupNorm(2, 6),
                eqx.nn.RMSNorm(6),
                eqx.nn.Linear(6, OUTPUTS, key=second),
            ]
        )

    return of_equinox(make)


class Residual(eqx.Module):
    """Residual blocks whose leaks are learnt."""

    blocks: list[eqx.nn.Linear]
    leaks: list[eqx.nn.PReLU]

    def __init__(self, key):
        self.blocks = [eqx.nn.Linear(INPUTS, INPUTS, key=part) for part in jax.random.split(key)]
        self.leaks = [eqx.nn.PReLU(0.25), eqx.nn.PReLU(0.1)]

    def __call__(self, x):
        for block, leak in zip(self.blocks, self.leaks, strict=True):
            x = x + leak(block(x))
        return x[:OUTPUTS]


@network()
def equinox_residual_with_leaks():
    return of_equinox(Residual)


class Tied(eqx.Module):
    """One matrix on the way in and, transposed, on the way out."""

    weight: jax.Array
    shift: jax.Array

    def __call__(self, x):
        return (self.weight @ jnp.tanh(self.weight.T @ x + self.shift))[:OUTPUTS]


@network()
def equinox_tied():
    return of_equinox(lambda key: Tied(*normal(key, (INPUTS, 3), (3,))))


class Adapted(eqx.Module):
    """A frozen matrix and a trained correction of rank one."""

    frozen: jax.Array
    down: jax.Array
    up: jax.Array

    def __call__(self, x):
        return jnp.sin((self.frozen + self.up @ self.down) @ x)


@network()
def equinox_low_rank_adaptation():
    frozen = jnp.asarray(np.random.default_rng(1).normal(size=(OUTPUTS, INPUTS)), jnp.float32)

    def make(key):
        return Adapted(frozen, *normal(key, (1, INPUTS), (OUTPUTS, 1)))

    return of_equinox(make, trained=Adapted(False, True, True))


@network(slow=True)
def equinox_scan_over_layers():
    def call(layers, x):
        parts, static = eqx.partition(layers, eqx.is_array)

        def step(h, part):
            return jnp.tanh(jax.vmap(eqx.combine(part, static))(h)), None

        return jax.lax.scan(step, x, parts)[0][:, :OUTPUTS]

    def make(key):
        return eqx.filter_vmap(lambda part: eqx.nn.Linear(INPUTS, INPUTS, key=part))(jax.random.split(key, 3))

    return of_equinox(make, call=call)


@network("xla", "`gather` with computed indices")
def equinox_embedding_of_a_rounded_input():
    def call(table, x):
        return jax.vmap(table)(jnp.clip(jnp.floor(x[:, 0]).astype(int) + 1, 0, 3)) * jnp.cos(x[:, 1:2])

    return of_equinox(lambda key: eqx.nn.Embedding(4, OUTPUTS, key=key), call=call)


@network("xla", "random_seed", slow=True)
def equinox_dropout_of_a_fixed_key():
    def call(model, x):
        return jax.vmap(lambda point: model(point, key=jax.random.key(3)))(x)

    def make(key):
        first, second = jax.random.split(key)
        layers = [eqx.nn.Linear(INPUTS, 6, key=first), eqx.nn.Dropout(0.4), eqx.nn.Linear(6, OUTPUTS, key=second)]
        return eqx.nn.Sequential(layers)

    return of_equinox(make, call=call)


# --- Flax linen: a module without parameters, which `apply` is given.


def of_linen(module, **given):
    """The pair of a module; what it keeps beside its parameters stays as it was made."""
    rest = {name: part for name, part in _variables(module, jax.random.key(5), given).items() if name != "params"}
    changing = list(rest) if given.get("train") else False

    def init(key):
        return _variables(module, key, given)["params"]

    def apply(params, x):
        result = module.apply({"params": params, **rest}, x, mutable=changing, **given)
        return result[0] if changing else result

    return init, apply


def _variables(module, key, given):
    return module.init(key, jnp.zeros((2, INPUTS)), **given)


class LinenLayers(linen.Module):
    """Layers by a function that is given all points and makes its modules as it goes."""

    body: Callable[..., Any]

    @linen.compact
    def __call__(self, x, train=False):
        return linen.Dense(OUTPUTS)(self.body(x, train))


def linen_layers(body, **given):
    return of_linen(LinenLayers(body), **given)


@network(slow=True)
def linen_perceptron():
    return linen_layers(lambda x, _: linen.swish(linen.Dense(5)(linen.tanh(linen.Dense(4)(x)))))


@network("xla", "has no scalar form", slow=True)
def linen_convolution_and_pooling():
    def body(x, _):
        h = linen.max_pool(linen.relu(linen.Conv(3, (3,))(x[..., None])), (2,), (2,))
        return h.reshape(len(x), -1)

    return linen_layers(body)


@network("xla", "couples points")
def linen_batch_norm():
    return linen_layers(lambda x, train: linen.tanh(linen.BatchNorm(not train)(linen.Dense(5)(x))), train=True)


@network(slow=True)
def linen_batch_norm_at_rest():
    return linen_layers(lambda x, train: linen.tanh(linen.BatchNorm(not train)(linen.Dense(5)(x))))


@network(slow=True)
def linen_attention():
    def body(x, _):
        h = linen.Dense(4)(x[..., None])
        return linen.MultiHeadDotProductAttention(2)(h, h).sum(1)

    return linen_layers(body)


@network(slow=True)
def linen_long_short_term_memory():
    def body(x, _):
        # What flax begins with by itself is float32, and its scan refuses to go on in float64.
        zero = jnp.zeros((len(x), 2), x.dtype)
        return linen.RNN(linen.OptimizedLSTMCell(2))(x[..., None], initial_carry=(zero, zero))[:, -1]

    return linen_layers(body)


@network(slow=True)
def linen_group_norm_and_gated_linear_unit():
    return linen_layers(lambda x, _: linen.glu(linen.GroupNorm(num_groups=2)(linen.Dense(8)(x))))


class Stacked(linen.Module):
    """Layers stacked by the module's own scan."""

    @linen.compact
    def __call__(self, x):
        def layer(module, h, _):
            return linen.tanh(module(h)), None

        scan = linen.scan(layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return scan(linen.Dense(INPUTS, name="layers"), x, None)[0][:, :OUTPUTS]


@network(slow=True)
def linen_scan_over_layers():
    return of_linen(Stacked())


@network()
def linen_weight_norm_and_maxout():
    return linen_layers(lambda x, _: linen.WeightNorm(linen.Dense(8))(x).reshape(len(x), 4, 2).max(2))


# --- Flax nnx: a module with its parameters inside, split and merged.


def of_nnx(make, call=lambda model, x: model(x)):
    """The pair of a module: its graph and what is not a parameter are closed over."""
    graph, _, rest = nnx.split(make(nnx.Rngs(5)), nnx.Param, ...)

    def init(key):
        return nnx.split(make(nnx.Rngs(key)), nnx.Param, ...)[1]

    def apply(params, x):
        # Its running means are kept in float32, and nnx warns where it must round to write to them.
        kept = jax.tree.map(
            lambda leaf: leaf.astype(x.dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, rest
        )
        return call(nnx.merge(graph, params, kept, copy=True), x)

    return init, apply


def nnx_layers(*makes, call=lambda model, x: model(x)):
    return of_nnx(lambda rngs: nnx.Sequential(*(make(rngs) for make in makes)), call)


def linear(inputs, outputs):
    return lambda rngs: nnx.Linear(inputs, outputs, rngs=rngs)


def function(of):
    return lambda _: of


@network(slow=True)
def nnx_perceptron():
    return nnx_layers(linear(INPUTS, 5), function(nnx.elu), linear(5, OUTPUTS))


@network("xla", "couples points|of no elements")
def nnx_batch_norm():
    def call(model, x):
        return nnx.view(model, use_running_average=False)(x)

    return nnx_layers(
        linear(INPUTS, 4), lambda rngs: nnx.BatchNorm(4, rngs=rngs), function(nnx.tanh), linear(4, OUTPUTS), call=call
    )


@network()
def nnx_low_rank_adaptation():
    return nnx_layers(
        lambda rngs: nnx.LoRALinear(INPUTS, 4, lora_rank=2, rngs=rngs), function(jnp.sin), linear(4, OUTPUTS)
    )


@network()
def nnx_root_norm_and_tied_layer():
    def make(rngs):
        twice = nnx.Linear(INPUTS, INPUTS, rngs=rngs)
        norm = nnx.RMSNorm(INPUTS, rngs=rngs)
        return nnx.Sequential(twice, nnx.softplus, norm, twice, lambda h: h[:, :OUTPUTS])

    return of_nnx(make)


@network()
def nnx_quadratic_form():
    def make(rngs):
        return nnx.Dict(form=nnx.Einsum("ni,ijo->njo", (INPUTS, INPUTS, OUTPUTS), None, rngs=rngs))

    return of_nnx(make, lambda model, x: jnp.einsum("njo,nj->no", model.form(x), x))


@network(slow=True)
def nnx_gated_recurrent_unit():
    def make(rngs):
        cell = nnx.GRUCell(1, 2, rngs=rngs)
        return nnx.RNN(cell)

    return of_nnx(make, lambda rnn, x: rnn(x[..., None], initial_carry=jnp.zeros((len(x), 2), x.dtype))[:, -1])


# --- Haiku: functions that make modules, transformed into pairs.


def of_haiku(function):
    """The pair of a function of all points; the state of its modules is made anew at each call."""
    pair = hk.transform_with_state(function)
    state = pair.init(jax.random.key(5), jnp.zeros((2, INPUTS)))[1]

    def init(key):
        return pair.init(key, jnp.zeros((2, INPUTS)))[0]

    return init, lambda params, x: pair.apply(params, state, None, x)[0]


@network()
def haiku_perceptron():
    return of_haiku(lambda x: hk.nets.MLP([5, 4, OUTPUTS], activation=jnp.tanh)(x))


@network("xla", "conv_general_dilated", slow=True)
def haiku_convolution_and_pooling():
    def call(x):
        h = jax.nn.sigmoid(hk.Conv1D(3, 2)(x[..., None]))
        return hk.Linear(OUTPUTS)(hk.Flatten()(hk.avg_pool(h, (2, 1), (2, 1), "VALID")))

    return of_haiku(call)


@network("xla", "couples points")
def haiku_batch_norm():
    def call(x):
        h = hk.BatchNorm(True, True, 0.9)(hk.Linear(4)(x), is_training=True)
        return hk.Linear(OUTPUTS)(jax.nn.softplus(h))

    return of_haiku(call)


@network(slow=True)
def haiku_attention():
    def call(x):
        h = hk.Linear(4)(x[..., None])
        h = hk.MultiHeadAttention(2, 2, w_init=hk.initializers.RandomNormal())(h, h, h)
        return hk.Linear(OUTPUTS)(h.mean(1))

    return of_haiku(call)


@network(slow=True)
def haiku_gated_recurrent_unit():
    def call(x):
        core = hk.GRU(2)
        return hk.static_unroll(core, x.T[..., None], core.initial_state(len(x)))[1]

    return of_haiku(call)


@network(slow=True)
def haiku_layer_norm_in_a_stack():
    def layer(h):
        return h + jnp.tanh(hk.Linear(INPUTS)(hk.LayerNorm(-1, True, True)(h)))

    return of_haiku(lambda x: hk.experimental.layer_stack(2)(layer)(x)[:, :OUTPUTS])


# --- Plain functions.


def named(**shapes):
    """An init of standard normal arrays by name."""
    return lambda key: dict(zip(shapes, normal(key, *shapes.values()), strict=True))


@network("xla", "`complex`")
def plain_complex_gates():
    def apply(params, x):
        z = jax.lax.complex(x @ params["re"], x @ params["im"])
        z = z * jnp.exp(1j * params["turn"]) / (1 + jnp.abs(z) ** 2)
        return jnp.concatenate([z.real.sum(1, keepdims=True), z.imag.prod(1, keepdims=True)], 1)

    return lambda key: dict(
        zip(("re", "im", "turn"), normal(key, (INPUTS, 3), (INPUTS, 3), (1, 3)), strict=True)
    ), apply


@network()
def plain_cond_gate():
    def point(weight, x):
        return jax.lax.cond(x[0] > 0.5, lambda h: h * jnp.exp(-h), lambda h: 1 + h**2, weight @ x)

    return lambda key: normal(key, (OUTPUTS, INPUTS))[0], jax.vmap(point, (None, 0))


@network()
def plain_switch_of_three():
    branches = [jnp.sin, jnp.tanh, lambda h: h**3]

    def point(weight, x):
        return jax.lax.switch(jnp.floor(x[1]).astype(int) + 1, branches, weight @ x)

    return lambda key: normal(key, (OUTPUTS, INPUTS))[0], jax.vmap(point, (None, 0))


@network()
def plain_mixture_of_experts():
    def apply(params, x):
        gate = jax.nn.softmax(x @ params["gate"], axis=1)
        return jnp.einsum("ne,nd,edo->no", gate, x, params["experts"])

    return lambda key: dict(
        zip(("gate", "experts"), normal(key, (INPUTS, 3), (3, INPUTS, OUTPUTS)), strict=True)
    ), apply


@network()
def plain_highway_by_a_hypernetwork():
    def apply(params, x):
        carry = jax.nn.sigmoid(x @ params["carry"])
        own = (jnp.tanh(x[:, :2] @ params["hyper"])).reshape(len(x), INPUTS, INPUTS)
        h = carry * jax.vmap(jnp.matmul)(x, own) + (1 - carry) * x
        return h[:, :OUTPUTS]

    return named(carry=(INPUTS, INPUTS), hyper=(2, INPUTS**2)), apply


@network()
def plain_fourier_features_of_numpy():
    """Constants in float64, whose last digits must not be lost in float64, nor make float32 wider."""
    waves = np.random.default_rng(2).normal(size=(INPUTS, 3))

    def apply(params, x):
        angles = x @ jnp.asarray(waves, x.dtype) + np.pi / 7
        return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], 1) @ params

    return lambda key: normal(key, (6, OUTPUTS))[0], apply


@network()
def plain_radial_basis():
    def apply(params, x):
        (centers, (width, out)) = params
        squares = ((x[:, None] - centers[None]) ** 2).sum(2)
        return jnp.exp(-squares * jax.nn.softplus(width)) @ out

    def init(key):
        centers, width, out = normal(key, (3, INPUTS), (), (3, OUTPUTS))
        return centers, (width, out)

    return init, apply


@jax.tree_util.register_dataclass
@dataclass
class Flow:
    """A vector field with a number for its speed."""

    field: dict[str, jax.Array]
    speed: jax.Array


@network()
def plain_steps_of_euler():
    def apply(flow, x):
        def step(_, h):
            return h + 0.25 * flow.speed * jnp.tanh(h @ flow.field["a"] + flow.field["b"])

        return jax.lax.fori_loop(0, 4, step, x)[:, :OUTPUTS]

    def init(key):
        a, b, speed = normal(key, (INPUTS, INPUTS), (1, INPUTS), ())
        return Flow({"a": a, "b": b}, speed)

    return init, apply


def _tanh_layer():
    def init(key):
        return normal(key, (INPUTS, OUTPUTS))[0]

    return init, lambda params, x: jnp.tanh(x @ params)


@network("xla", "their number")
def plain_number_of_points():
    init, apply = _tanh_layer()
    return init, lambda params, x: apply(params, x) * len(x) ** 0.5


@network("xla", "or their place")
def plain_place_of_points():
    init, apply = _tanh_layer()
    return init, lambda params, x: apply(params, x) + jnp.sin(jnp.arange(len(x)))[:, None]


@network("xla", "sort")
def plain_sorted_units():
    return lambda key: normal(key, (INPUTS, OUTPUTS))[0], lambda params, x: jnp.sort(x @ params, axis=1)


@network()
def plain_stax():
    start, apply = stax.serial(
        stax.Dense(4),
        stax.Elu,
        stax.FanOut(2),
        stax.parallel(stax.Dense(3), stax.Dense(3)),
        stax.FanInSum,
        stax.LogSoftmax,
        stax.Dense(OUTPUTS),
    )
    return lambda key: start(key, (-1, INPUTS))[1], apply


# --- The comparison.


def start_of(init):
    """Starting points (F, P), beside draws so that no bias is zero, and what makes a pytree of one of them."""
    drawn = [init(jax.random.key(seed)) for seed in range(FITS)]
    with jax.enable_x64(True):
        wide = [jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree) for tree in drawn]
        rows, trees = zip(*map(ravel_pytree, wide), strict=True)
        start = np.array(rows)
    return start + 0.1 * np.random.default_rng(4).normal(size=start.shape), trees[0]


def plain_loop(apply, tree, starts):
    """Losses (F,) and gradients (F, P) of starting points, one after the other, in float64."""
    with jax.enable_x64(True), jax.default_matmul_precision("highest"):
        x, y = jnp.asarray(X), jnp.asarray(Y)
        both = jax.jit(jax.value_and_grad(lambda vector: jnp.mean((apply(tree(vector), x) - y) ** 2)))
        losses, gradients = zip(*(both(jnp.asarray(start)) for start in starts), strict=True)
        return np.array(losses), np.array(gradients)


def by_rounding(apply, tree, start, expected, unit):
    """What loss and gradient may be off by: some times what changing the start in its last places does to them."""
    rng = np.random.default_rng(6)
    others = [plain_loop(apply, tree, start * (1 + 16 * unit * rng.uniform(-1, 1, start.shape))) for _ in range(3)]
    changed = [np.max([np.abs(other[i] - expected[i]) for other in others], axis=0) for i in range(2)]
    scale = np.abs(expected[1]).max(1, keepdims=True)
    return 4 * changed[0] + 64 * unit * expected[0], 4 * changed[1] + 64 * unit * scale + 2 * unit * np.abs(start)


# JAX draws other random numbers where float64 is on, so its loop is no measure of float32.
_OTHER_DRAWS = {("equinox-dropout-of-a-fixed-key", "float32")}


def cases():
    """Every network in float64, those that take long to compile among the slow; float32 is slow altogether."""
    for name, case in TABLE.items():
        for dtype in UNIT:
            if (name, dtype) in _OTHER_DRAWS:
                continue
            slow = [pytest.mark.slow] if case.slow or dtype == "float32" else []
            yield pytest.param(name, dtype, marks=slow)


@pytest.mark.parametrize(("name", "dtype"), list(cases()))
def test_a_network_is_trained_as_it_is(name, dtype):
    case = TABLE[name]
    with jax.numpy_rank_promotion("allow"):
        init, apply = case.make()
        start, tree = start_of(init)
        start = start.astype(dtype).astype(np.float64)
        fits = jl.fit(
            jl.Network(init, apply), jl.Problem(X, Y), optax.sgd(1.0), fits=FITS, steps=1, dtype=dtype, start=start
        )
        expected = plain_loop(apply, tree, start)
        if dtype == "float64":
            allowed = 1e-9 * expected[0], 1e-9 * np.abs(expected[1]).max(1, keepdims=True)
        else:
            allowed = by_rounding(apply, tree, start, expected, UNIT[dtype])
    assert (np.abs(fits.initial_loss - expected[0]) <= allowed[0]).all(), fits.explanation
    assert (np.abs(start - fits.params - expected[1]) <= allowed[1]).all(), fits.explanation
    assert np.abs(expected[1]).max() > 1e-3
    assert fits.explanation.startswith(f"{case.backend}: "), fits.explanation
    assert case.backend == "lanes" or case.reason
    assert re.search(case.reason, fits.explanation)
    assert "please report" not in fits.explanation
