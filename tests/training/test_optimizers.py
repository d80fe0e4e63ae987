"""Every optimizer of optax, against a plain loop over the same optax object in float64."""

import inspect
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.training import OPTIMIZERS, get_optimizer, make_optimizer

pytestmark = pytest.mark.sampled

contrib = optax.contrib

# Asymmetric data: where gradients of biases are only rounding, normalising optimizers make steps of it.
X = np.linspace(-0.7, 1.3, 9) ** 3
PROBLEM = jl.Problem(X, np.sin(2 * X) + 0.3 + X**2)
NETWORK = jl.mlp([1, 3, 1], activation="tanh")
START = np.linspace(-1, 1, NETWORK.size)
STEPS = 30

SGD = optax.sgd(0.02)


def _biases(params):
    return jax.tree.map(lambda leaf: leaf.ndim == 1, params)


BIASES = _biases(NETWORK.unflatten(START))


def _labels(params):
    return jax.tree.map(lambda leaf: "bias" if leaf.ndim == 1 else "weight", params)


def _then(transformation, rate=0.02):
    return optax.chain(transformation, optax.scale(-rate))


def _scheduled(schedule):
    return optax.sgd(schedule, momentum=0.5)


ALIASES = {
    **{name: getattr(optax, name)(0.02) for name in (
        "sgd", "adabelief", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan", "amsgrad", "fromage", "lamb",
        "lars", "lion", "nadam", "nadamw", "novograd", "optimistic_adam_v2", "optimistic_gradient_descent", "radam",
        "rmsprop", "rprop", "sign_sgd", "signum", "sm3", "yogi",
    )},
    "adadelta": optax.adadelta(1.0),
    "adafactor": optax.adafactor(0.02, min_dim_size_to_factor=2),
    "lbfgs": optax.lbfgs(0.02, linesearch=None),
    "lbfgs, zoom": optax.lbfgs(),
    "noisy_sgd": optax.noisy_sgd(0.02, key=0),
    "polyak_sgd": optax.polyak_sgd(max_learning_rate=0.1),
    "momentum": optax.sgd(0.02, momentum=0.9),
    "nesterov": optax.sgd(0.02, momentum=0.9, nesterov=True),
    "rmsprop, centred": optax.rmsprop(0.02, centered=True, momentum=0.9),
    "adamw, mask": optax.adamw(0.02, weight_decay=0.1, mask=_biases),
    "adam, bfloat16": optax.adam(0.02, mu_dtype=jnp.bfloat16),
}  # fmt: skip

CONTRIB = {
    **{f"contrib.{name}": getattr(contrib, name)(0.02) for name in (
        "acprop", "ademamix", "adopt", "madgrad", "momo", "momo_adam", "muon", "schedule_free_adamw",
        "schedule_free_sgd", "simplified_ademamix", "sophia",
    )},
    "contrib.cocob": contrib.cocob(),
    "contrib.dadapt_adamw": contrib.dadapt_adamw(),
    "contrib.dog": contrib.dog(1.0, ("distance", 0.01)),
    "contrib.dowg": contrib.dowg(1.0, 0.01),
    "contrib.galore": contrib.galore(0.02, rank=1),
    "contrib.hutchinson_estimator_diag_hessian": _then(contrib.hutchinson_estimator_diag_hessian(), 0.01),
    "contrib.mechanize": contrib.mechanize(SGD),
    "contrib.prodigy": contrib.prodigy(),
    "contrib.reduce_on_plateau": optax.chain(SGD, contrib.reduce_on_plateau(patience=2)),
    "contrib.sam": contrib.sam(SGD, optax.chain(contrib.normalize(), SGD)),
    "contrib.sam, opaque": contrib.sam(SGD, optax.chain(contrib.normalize(), SGD), opaque_mode=True),
    "contrib.sam in a chain": optax.chain(optax.clip(0.5), contrib.sam(SGD, SGD)),
    "contrib.schedule_free": contrib.schedule_free(SGD, 0.02),
    "contrib.split_real_and_imaginary": contrib.split_real_and_imaginary(optax.adam(0.02)),
}  # fmt: skip

SCHEDULES = {
    "cosine_decay": optax.cosine_decay_schedule(0.05, 20),
    "cosine_onecycle": optax.cosine_onecycle_schedule(30, 0.05),
    "exponential_decay": optax.exponential_decay(0.05, 7, 0.5, staircase=True),
    "join": optax.join_schedules([optax.constant_schedule(0.05), optax.linear_schedule(0.05, 0.01, 9)], [11]),
    "linear_onecycle": optax.linear_onecycle_schedule(30, 0.05),
    "piecewise_constant": optax.piecewise_constant_schedule(0.05, {5: 0.5, 20: 0.1}),
    "piecewise_interpolate": optax.piecewise_interpolate_schedule("linear", 0.05, {5: 0.5, 20: 0.1}),
    "polynomial": optax.polynomial_schedule(0.05, 0.01, 2, 20),
    "sgdr": optax.sgdr_schedule([{"init_value": 0.01, "peak_value": 0.05, "decay_steps": 9, "warmup_steps": 3}] * 2),
    "warmup_cosine": optax.warmup_cosine_decay_schedule(0.0, 0.05, 5, 25),
    "of one's own": lambda step: 0.05 / (1 + step),
}

WRAPPERS = {
    "adaptive_grad_clip": optax.chain(optax.adaptive_grad_clip(0.05), SGD),
    "add_decayed_weights": optax.chain(optax.add_decayed_weights(0.1), SGD),
    "add_noise": optax.chain(optax.add_noise(0.01, 0.5, key=0), SGD),
    "apply_every": optax.chain(SGD, optax.apply_every(3)),
    "apply_if_finite": optax.apply_if_finite(SGD, 2),
    "centralize": optax.chain(optax.centralize(), SGD),
    "chain": optax.chain(optax.clip(0.1), optax.adam(0.02)),
    "clip": optax.chain(optax.clip(0.1), SGD),
    "clip_by_block_rms": optax.chain(optax.clip_by_block_rms(0.1), SGD),
    "clip_by_global_norm": optax.chain(optax.clip_by_global_norm(0.1), SGD),
    "conditionally_mask": optax.conditionally_mask(SGD, lambda step, **_: step % 2 == 0),
    "conditionally_transform": optax.conditionally_transform(SGD, lambda step, **_: step % 2 == 0),
    "contrib.normalize": _then(contrib.normalize()),
    "ema": optax.chain(optax.ema(0.9), SGD),
    "flatten": optax.flatten(optax.adam(0.02)),
    "freeze": optax.chain(SGD, optax.freeze(BIASES)),
    "identity": _then(optax.identity()),
    "inject_hyperparams": optax.inject_hyperparams(optax.adam)(learning_rate=optax.linear_schedule(0.05, 0.0, 20)),
    "keep_params_nonnegative": optax.chain(SGD, optax.keep_params_nonnegative()),
    "masked": optax.masked(optax.adam(0.02), _biases),
    "multi_steps": optax.MultiSteps(optax.adam(0.02), 3).gradient_transformation(),
    "multi_steps, more and more": optax.MultiSteps(
        SGD, lambda step: jnp.where(step < 3, 1, 3)
    ).gradient_transformation(),
    "multi_transform": optax.multi_transform({"bias": SGD, "weight": optax.adam(0.02)}, _labels),
    "named_chain": optax.named_chain(("clip", optax.clip(0.1)), ("sgd", SGD)),
    "normalize_by_update_norm": optax.chain(optax.normalize_by_update_norm(), SGD),
    "partition": optax.partition({"bias": SGD, "weight": optax.adam(0.02)}, _labels),
    "selective_transform": optax.selective_transform(SGD, freeze_mask=BIASES),
    "set_to_zero": optax.masked(optax.set_to_zero(), _biases),
    "snapshot": optax.chain(optax.snapshot("seen", lambda updates: updates), SGD),
    "stateless": _then(optax.stateless(lambda g, p: jax.tree.map(lambda a, b: a + 0.1 * b, g, p))),
    "stateless_with_tree_map": _then(optax.stateless_with_tree_map(lambda g, p: g + 0.1 * p)),
    "trace": _then(optax.trace(0.9)),
    "zero_nans": optax.chain(optax.zero_nans(), SGD),
    "scale_by_backtracking_linesearch": optax.chain(SGD, optax.scale_by_backtracking_linesearch(5)),
}

TABLE = {
    **ALIASES,
    **CONTRIB,
    **{f"schedule, {name}": _scheduled(each) for name, each in SCHEDULES.items()},
    **WRAPPERS,
}

# Schedules that optax computes in float32, ill-conditioned step sizes, and a search that decides by comparing losses.
LOOSE = {
    "schedule, join": 1e-8,
    "schedule, polynomial": 1e-8,
    "polyak_sgd": 1e-7,
    "inject_hyperparams": 1e-7,
    "lbfgs, zoom": 1e-9,
}
QUICK = ("adamw", "contrib.sam", "contrib.sam, opaque", "multi_steps")

# What each update takes by name, where it is not what it may take everywhere.
TAKES = {
    "contrib.sam": (),
    "contrib.sam in a chain": (),
    "contrib.sam, opaque": ("grad_fn",),
    "contrib.sophia": ("obj_fn",),
    "contrib.hutchinson_estimator_diag_hessian": ("obj_fn",),
}

REFUSED = {
    "monitor": (optax.chain(SGD, optax.monitor({"norm": optax.tree.norm})), "its state has other parts after a step"),
    "measure_with_ema": (
        optax.chain(SGD, optax.monitor({"norm": optax.measure_with_ema(optax.tree.norm, 0.9)})), "other parts"
    ),
    "lookahead": (optax.lookahead(SGD, 5, 0.5), "cannot take a step: AttributeError: .*fast"),
    "multi_steps, unfinished": (partial(optax.MultiSteps, SGD, 3), "MultiSteps.*gradient_transformation"),
    "contrib.differentially_private_aggregate": (
        contrib.differentially_private_aggregate(1.0, 0.1, key=0), "cannot take a step"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def gradient():
    return jax.jit(jax.value_and_grad(_objective))


def _objective(params):
    return jnp.mean((NETWORK.apply(params, PROBLEM.x) - PROBLEM.y) ** 2)


def _plain(transformation, names, gradient):
    """Parameters after the steps, one update after the other, each given what it takes by name."""
    others = {"value_fn": _objective, "obj_fn": _objective, "grad_fn": lambda params, _: jax.grad(_objective)(params)}
    if not isinstance(transformation, optax.GradientTransformationExtraArgs):
        names = ()

    def step(value, gradient, state, params):
        known = {"value": value, "grad": gradient, **others}
        updates, state = transformation.update(gradient, state, params, **{name: known[name] for name in names})
        return optax.apply_updates(params, updates), state

    with jax.enable_x64(True):
        params = NETWORK.unflatten(jnp.asarray(START))
        state, step = transformation.init(params), jax.jit(step)
        for _ in range(STEPS):
            params, state = step(*gradient(params), state, params)
        return np.asarray(NETWORK.flatten(params))


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in TABLE])
def test_every_optimizer_steps_as_in_a_plain_loop(name, gradient):
    expected = _plain(TABLE[name], TAKES.get(name, ("value", "grad", "value_fn")), gradient)
    assert np.abs(expected - START).max() > 1e-3
    for backend in ("auto", "xla"):
        fits = jl.fit(
            NETWORK, PROBLEM, TABLE[name], fits=1, steps=STEPS, dtype="float64", start=START[None], backend=backend
        )
        np.testing.assert_allclose(fits.params[0], expected, atol=LOOSE.get(name, 1e-11), rtol=0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_step_says_so_before_any_work(name):
    optimizer, message = REFUSED[name]
    with pytest.raises(TypeError, match=message):
        jl.training.Ensemble(NETWORK, PROBLEM, optimizer, steps=1)


@pytest.mark.parametrize(
    ("hyperparameters", "error", "message"),
    [
        (
            {"learning_rate": optax.linear_schedule(0.1, 0.0, 10)},
            TypeError,
            "schedule of optax.*functools.partial",
        ),
        ({"learning_rate": lambda fits: 0.1}, ValueError, "returned one number; .*schedule"),
        ({"learning_rate": 0.1, "momentum": None}, TypeError, "fix momentum by functools.partial"),
        ({"learning_rate": 1e39}, ValueError, r"1e\+39, which float32 cannot hold.*float64"),
        ({"learning_rate": np.ma.masked_less([0.1, -1.0], 0)}, ValueError, "masked"),
    ],
)
def test_hyperparameters_that_are_no_numbers_of_fits(hyperparameters, error, message):
    with pytest.raises(error, match=message):
        jl.training.Ensemble(NETWORK, PROBLEM, optax.sgd, steps=1, hyperparameters=hyperparameters)


def _warmed(learning_rate, peak):
    return optax.sgd(learning_rate * (2 if peak > 1 else 1))


def test_a_number_that_a_factory_decides_by_is_named():
    numbers = {"learning_rate": 0.1, "peak": 2.0}
    with pytest.raises(TypeError, match=r"hyperparameters\['peak'\] decides .* functools.partial\(optimizer, peak="):
        jl.training.Ensemble(NETWORK, PROBLEM, _warmed, steps=1, hyperparameters=numbers)


@pytest.mark.parametrize("captured", [np.array([1.0, 3.0]), np.array([1.0, 3.0], np.float32)])
@pytest.mark.parametrize("backend", ["auto", "xla"])
def test_arrays_captured_by_a_loss_in_float64(backend, captured):
    weights = captured[None].copy()
    network, y = jl.mlp([1, 3, 2], activation="tanh"), np.stack([np.sin(X), np.cos(X)], 1)
    problem = jl.Problem(X, y, loss=lambda prediction, target: weights * (prediction - target) ** 2)
    start = np.linspace(-1, 1, network.size)
    layer, bias, out, last = start[:3, None], start[3:6], start[6:12].reshape(2, 3), start[12:]
    outputs = np.tanh(X[:, None] @ layer.T + bias) @ out.T + last
    fits = jl.fit(network, problem, SGD, fits=1, steps=1, start=start[None], dtype="float64", backend=backend)
    assert fits.initial_loss[0] == pytest.approx((captured * (outputs - y) ** 2).mean(), rel=1e-13)


@pytest.mark.parametrize("name", ["x", "y"])
def test_data_beyond_float32_are_refused(name):
    problem = jl.Problem(**{"x": X, "y": X, name: X * 1e40})
    with pytest.raises(ValueError, match=rf'problem.{name} has .*which float32 cannot hold.*dtype="float64"'):
        jl.training.Ensemble(NETWORK, problem, SGD, steps=1)


def test_fits_that_nothing_tells_apart_are_warned_of():
    network = jl.Network(lambda key: NETWORK.init(jax.random.key(0)), NETWORK.apply)
    with pytest.warns(UserWarning, match="does not use its key"):
        jl.fit(network, PROBLEM, SGD, fits=2, steps=1)
    jl.fit(network, PROBLEM, SGD, fits=2, steps=1, init_scale=np.array([1.0, 2.0]))


def test_no_finite_loss_at_the_start_is_warned_of():
    with pytest.warns(UserWarning, match="no fit had a finite loss before its first step"):
        jl.fit(NETWORK, jl.Problem(X, X * 1e30), SGD, fits=2, steps=1)


# Named otherwise in the table, parts of what is in it, or nothing that steps.
ELSEWHERE = {
    "optimistic_adam": "its successor, optimistic_adam_v2, is in the table",
    "inject_stateful_hyperparams": "deprecated for inject_hyperparams, which is in the table",
    "scale": "ends every chain of `_then`",
    "with_extra_args_support": "adds nothing to a transformation",
    "contrib.dpsgd": "a chain of differentially_private_aggregate",
    "contrib.schedule_free_eval_params": "no transformation",
}


def test_every_factory_of_optax_is_named():
    known = {*TABLE, *REFUSED, *ELSEWHERE}
    for prefix, module in (("", optax), ("contrib.", contrib)):
        for name, each in inspect.getmembers(module, inspect.isfunction):
            returned = inspect.signature(each).return_annotation
            # Some of contrib are not annotated; those named scale_by_ are what the aliases are made of.
            made = "GradientTransformation" in str(returned) or (prefix and returned is inspect.Signature.empty)
            if made and not name.startswith(("_", "scale_by_")):
                assert prefix + name in known, name


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_makes_the_optimizer_of_optax_with_the_same_numbers(name):
    config = get_optimizer(name)(learning_rate=0.3)
    made = make_optimizer(config)
    factories = {"momentum": partial(optax.sgd, momentum=0.9), "adadelta": partial(optax.adadelta, rho=0.95, eps=1e-8)}
    given = factories.get(name, getattr(optax, name, None))(0.3)
    gradient = jnp.array([1.0, -2.0])
    one, other = (each.update(gradient, each.init(gradient), gradient)[0] for each in (made, given))
    np.testing.assert_allclose(one, other, rtol=1e-6)
