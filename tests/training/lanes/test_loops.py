"""Kernels made of loops compute what straight code computes, to the bit where the order of sums is the same."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from training.lanes.bits import same_bits

import jaxland as jl
from jaxland.problems import Loss
from jaxland.training import Ensemble, Unlowerable, processor, train
from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.blocks import best_block
from jaxland.training.lanes.kernel import write_kernel
from jaxland.training.lanes.loop_tuning import loop_tiles
from jaxland.training.lanes.loops import write_loop_kernel
from jaxland.training.lanes.machine import run_kernel
from jaxland.training.lanes.runs import may_be_worthwhile
from jaxland.training.lanes.tuning import VERSION
from jaxland.training.program.loop_programs import loop_layout, loop_programs, tile_loops, update_loops
from jaxland.training.program.memory import entries, new_group
from jaxland.training.program.programs import schedule_programs
from jaxland.training.program.trace import trace_update
from jaxland.training.xla import XlaTrainer

pytestmark = pytest.mark.sampled

STEPS, POINTS, TILE = 3, 37, 16
OPTIMIZERS = {
    "momentum": optax.sgd(0.02, momentum=0.9),
    "adam": optax.adam(0.01),
    "adamw": optax.adamw(0.01, weight_decay=0.1),
    "adadelta": optax.adadelta(1.0, rho=0.9, eps=1e-6),
    "schedule": optax.sgd(optax.exponential_decay(0.1, 10, 0.5), momentum=0.9),
    "lion": optax.lion(0.01),
}
# Sums over leaves and within them: their order differs from that of straight code.
SUMMING = {
    "clipped": optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.01)),
    "trusted": optax.lamb(0.01),
    "if finite": optax.apply_if_finite(optax.adam(0.01), 3),
    "factored": optax.sm3(0.01),
}


@pytest.fixture(autouse=True)
def _broadcasting():
    """Networks of users may let JAX add axes."""
    with jax.numpy_rank_promotion("allow"):
        yield


def residual():
    def init(key):
        keys = jax.random.split(key, 4)
        return [
            jax.random.normal(k, shape) / 2 for k, shape in zip(keys, ((2, 6), (6, 6), (6, 6), (6, 2)), strict=True)
        ]

    def apply(params, x):
        first, *middle, last = params
        h = x @ first
        for weight in middle:
            h = h + jax.nn.relu(h @ weight)
        return jnp.concatenate([h[:, :3], h[:, 3:] ** 2], axis=1) @ last

    return jl.Network(init, apply)


def softmax_loss():
    def cross_entropy(prediction, target):
        return -jnp.sum(target * jax.nn.log_softmax(prediction, axis=1), axis=1)

    return Loss("cross-entropy", pointwise=cross_entropy)


NETWORKS = {
    "relu": jl.mlp([2, 7, 6, 2]),
    "tanh": jl.mlp([2, 7, 6, 2], "tanh"),
    "sigmoid": jl.mlp([2, 7, 6, 2], "sigmoid"),
    "softplus": jl.mlp([2, 5, 2], "softplus"),
    "residual": residual(),
}


def problem(points=POINTS, loss="mean_squared_error"):
    rng = np.random.default_rng(0)
    y = rng.uniform(0, 1, (points, 2))
    return jl.Problem(rng.normal(size=(points, 2)), y / y.sum(1, keepdims=True), loss=loss)


def ensemble_of(network="relu", optimizer=OPTIMIZERS["momentum"], dtype="float32", data=None, **more):
    return Ensemble(NETWORKS[network], data or problem(), optimizer, dtype=dtype, **{"steps": STEPS, **more})


def looped(ensemble, tile=TILE, steps=(STEPS,), target=None):
    """Parameters, loss and gradient after some steps, by the kernel of loops and with no probe."""
    target = target or machine.host()
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    programs = loop_programs(ensemble, update_loops(ensemble), tile)
    layout = loop_layout(ensemble, programs, lanes, programs.scratch_bytes)
    return run(ensemble, write_loop_kernel(ensemble, programs, layout, target), layout, target, steps)


def straight(ensemble, steps=(STEPS,)):
    """The same by straight code."""
    target, update = machine.host(), trace_update(ensemble)
    layout = loop_layout(ensemble, update, target.vector_bytes // ensemble.number_format.itemsize, 0)
    text = write_kernel(ensemble, schedule_programs(ensemble, update, 2), layout, target)
    return run(ensemble, text, layout, target, steps)


def run(ensemble, text, layout, target, steps):
    kernel = machine.load_object(machine.compile_object(text, target))
    group = new_group(ensemble, layout, ensemble.members(np.arange(layout.lanes)))
    kernel.functions["start"](group.buffer.ctypes.data)
    for count in steps:
        run_kernel(kernel, group, count)
    run_kernel(kernel, group, 1, closing=True)
    return [entries(layout, group.buffer, kind) for kind in ("param", "loss", "grad")]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_dense_relu_networks_have_the_bits_of_straight_code(optimizer, dtype):
    ensemble = ensemble_of("relu", OPTIMIZERS[optimizer], dtype)
    same_bits(looped(ensemble), straight(ensemble))


def rounded():
    """Every network with one optimizer, and every optimizer with one network; the rest are slow ones."""
    for optimizer in ("momentum", *SUMMING):
        for network in ("tanh", "sigmoid", "softplus", "residual"):
            for dtype in ("float32", "float64"):
                kept = dtype == "float64" and (optimizer == "momentum" or network == "residual")
                yield pytest.param(network, optimizer, dtype, marks=() if kept else pytest.mark.slow)


@pytest.mark.parametrize(("network", "optimizer", "dtype"), list(rounded()))
def test_others_agree_with_straight_code_to_rounding(network, optimizer, dtype):
    ensemble = ensemble_of(network, {**OPTIMIZERS, **SUMMING}[optimizer], dtype)
    tolerance = {"float32": 3e-5, "float64": 1e-12}[dtype]
    for one, other in zip(looped(ensemble), straight(ensemble), strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def own(shape, seed):
    return np.random.default_rng(seed).uniform(0, 1, (16, *shape))


@pytest.mark.parametrize(
    "more",
    [
        {"inputs": own((POINTS, 2), 1)},
        {"targets": own((POINTS, 2), 2)},
        {"inputs": own((20, 2), 1), "targets": own((20, 2), 2)},
        {"data": problem(5)},
        {"data": problem(loss=softmax_loss())},
        {"data": problem(loss=Loss("fourth", lambda prediction, target: (prediction - target) ** 4))},
        {"optimizer": optax.sgd, "hyperparameters": {"learning_rate": np.geomspace(1e-3, 0.1, 16)}},
    ],
    ids=["inputs", "targets", "both", "few points", "cross-entropy", "fourth powers", "rates"],
)
@pytest.mark.parametrize("network", ["relu", "residual"])
def test_data_losses_and_numbers_of_all_kinds(network, more):
    ensemble = ensemble_of(network, **more)
    for one, other in zip(looped(ensemble), straight(ensemble), strict=True):
        np.testing.assert_allclose(one, other, rtol=3e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_depend_neither_on_tiles_nor_on_cuts_nor_on_vector_width(dtype):
    ensemble = ensemble_of("relu", OPTIMIZERS["adam"], dtype)
    expected = looped(ensemble)
    for tile in (1, 3, 32, POINTS, 64):
        same_bits(looped(ensemble, tile), expected)
    same_bits(looped(ensemble, steps=(1, 2)), expected)
    if "avx2" in processor.instructions():
        half = looped(ensemble, target=machine.host("avx2"))
        same_bits([values[: len(half[0])] for values in expected], half)


def test_every_vector_width_trains():
    ensemble, expected = ensemble_of("tanh"), looped(ensemble_of("tanh"))
    for level in processor.instructions():
        found = looped(ensemble, target=machine.host(level))
        np.testing.assert_allclose(found[0], expected[0][: len(found[0])], rtol=1e-4, atol=1e-6)


def test_what_is_overwritten_is_read_before():
    """An optimizer that takes each parameter's change from another place, in its own leaf and in the one before."""

    def update(updates, state, params):
        first, second = params
        moved = [first.T[::-1] * 0.5 + second.sum(), second[::-1] + state[0].sum() + first[0]]
        return [m - p for m, p in zip(moved, params, strict=True)], [state[1].T, state[0] + updates[0]]

    optimizer = optax.GradientTransformation(lambda params: [params[0], 2 * params[0]], update)
    network = jl.Network(
        lambda key: [jax.random.normal(key, (2, 2)), jax.random.normal(key, (2,))],
        lambda p, x: jnp.tanh(x @ p[0] + p[1]),
    )
    ensemble = Ensemble(network, problem(), optimizer, steps=STEPS, dtype="float64")
    for one, other in zip(looped(ensemble), straight(ensemble), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def moving(params, x):
    """Numbers are moved in all ways, and constants of many values join in."""
    a, b = params
    h = x @ a
    h = jnp.pad(h, ((0, 0), (1, 2)), constant_values=0.5)[:, ::-1]
    h = jnp.stack([h, h * jnp.arange(6.0), jnp.where(jnp.arange(6) > 2, h, -h)], axis=1)
    h = h.transpose(0, 2, 1).reshape(-1, 18)[:, 1:17:3]
    h = jnp.concatenate([h, jax.lax.dynamic_slice_in_dim(h, 2, 2, axis=1), h.max(axis=1, keepdims=True)], axis=1)
    h, _ = jax.lax.scan(lambda h, _: (jnp.tanh(h @ b), None), h, None, length=3)
    return h[:, :2] * (1 + jnp.prod(jnp.cos(h), axis=1, keepdims=True))


def test_what_only_moves_numbers():
    network = jl.Network(lambda key: [jax.random.normal(key, (2, 3)), jax.random.normal(key, (9, 9)) / 3], moving)
    ensemble = Ensemble(network, problem(), optax.sgd(0.01), steps=STEPS, dtype="float64")
    for one, other in zip(looped(ensemble), straight(ensemble), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def loop_settings(ensemble, tile=TILE):
    target = machine.host()
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    return {"lanes": lanes, "form": "loops", "tile": tile, "fused": target.fused, "kernel": VERSION}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_trainer_of_loops_agrees_with_xla(dtype):
    ensemble = ensemble_of("residual", OPTIMIZERS["adam"], dtype, trace_every=1)
    trainer = LanesTrainer(ensemble, loop_settings(ensemble))
    assert trainer.settings == {**loop_settings(ensemble), "compress": None}
    lanes, xla = (train(each, ensemble, 0, 5)[0] for each in (trainer, XlaTrainer(ensemble)))
    tolerance = {"float32": 2e-5, "float64": 1e-12}[dtype]
    for name in ("params", "trace", "loss", "best_loss", "initial_loss"):
        np.testing.assert_allclose(getattr(lanes, name), getattr(xla, name), rtol=tolerance, atol=tolerance)


def test_large_networks_get_loops_and_settings_repeat_them():
    ensemble = Ensemble(jl.mlp([2, 40, 40, 2]), problem(), optax.sgd(0.01), steps=STEPS)
    trainer = LanesTrainer.offer(ensemble)
    assert trainer.settings["form"] == "loops"
    again = LanesTrainer(ensemble, trainer.settings)
    one, other = (train(each, ensemble, 0, 3)[0] for each in (trainer, again))
    same_bits(one, other)


def test_coupled_points_are_found_by_the_probe():
    def apply(params, x):
        h = jnp.tanh(x @ params[0])
        return (h - h.mean(axis=0)) @ params[1]

    network = jl.Network(lambda key: [jax.random.normal(key, (2, 200)), jax.random.normal(key, (200, 2))], apply)
    with pytest.raises(Unlowerable, match="does not compute"):
        LanesTrainer.offer(Ensemble(network, problem(), optax.sgd(0.1), steps=1))


@pytest.mark.parametrize(
    ("function", "primitive"),
    [
        (lambda h: jnp.cumsum(h, axis=1), "cumsum"),
        (lambda h: h * jnp.argmax(h, axis=1, keepdims=True), "argmax"),
        (lambda h: jax.lax.while_loop(lambda h: jnp.all(h < 1), lambda h: h + 1, jax.lax.stop_gradient(h)), "while"),
        (lambda h: h + jnp.sum(h[:, :0], axis=1, keepdims=True), "over no elements"),
    ],
)
def test_refusals_name_the_primitive(function, primitive):
    network = jl.Network(lambda key: jax.random.normal(key, (2, 2)), lambda w, x: function(x @ w))
    with pytest.raises(Unlowerable, match=primitive):
        tile_loops(Ensemble(network, problem(), optax.sgd(0.1), steps=1), 4)


@pytest.mark.slow
def test_networks_of_a_hundred_thousand_parameters_train():
    rng = np.random.default_rng(0)
    data = jl.Problem(rng.normal(size=(40, 784)), rng.normal(size=(40, 10)))
    ensemble = Ensemble(jl.mlp([784, 100, 200, 10]), data, optax.adam(1e-3), steps=STEPS)
    lanes, xla = (train(each, ensemble, 0, 2)[0] for each in (LanesTrainer.offer(ensemble), XlaTrainer(ensemble)))
    np.testing.assert_allclose(lanes.loss, xla.loss, rtol=1e-4)


def test_tiles_worth_measuring():
    assert loop_tiles(20, 1e6) == [20]
    assert loop_tiles(320, 1e6) == [16, 8, 32]
    assert loop_tiles(1000, 1e6) == [20, 16, 8]
    assert loop_tiles(1000, 1e12) == [20]


def test_blocks_fit_the_registers_and_the_result():
    wide, narrow = (machine.host()._replace(vector_bytes=bytes) for bytes in (64, 32))
    assert best_block(10, 16, 10, wide) == (5, 4)
    assert best_block(32, 32, 16, wide)[0] * best_block(32, 32, 16, wide)[1] >= 16
    for rows, columns in itertools.product((1, 2, 7, 50), repeat=2):
        height, width = best_block(rows, columns, 10, narrow)
        assert height <= rows
        assert width <= columns
        assert height * width + min(height, width) < 16


def test_runs_are_tried_for_large_networks_of_enough_points_only():
    def asked(points, inputs=1, units=10):
        data = jl.Problem(np.random.default_rng(0).normal(size=(points, inputs)), np.zeros(points))
        return may_be_worthwhile(Ensemble(jl.mlp([inputs, *[units] * 10, 1]), data, optax.sgd(0.01), steps=5000))

    assert asked(400)
    assert not asked(399)
    assert not asked(400, inputs=2)
    assert not asked(4000, units=20)
