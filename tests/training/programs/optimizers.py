"""Random optax optimizers, as text."""

import numpy as np

_BEFORE = (
    "optax.clip(0.2)",
    "optax.clip_by_global_norm(0.3)",
    "optax.clip_by_block_rms(0.4)",
    "optax.adaptive_grad_clip(0.1)",
    "optax.centralize()",
    "optax.zero_nans()",
    "optax.add_decayed_weights(0.02)",
    "optax.normalize_by_update_norm()",
    "optax.scale_by_param_block_norm()",
    "optax.scale(2.0)",
    "optax.scale(-0.0)",
    "optax.stateless(lambda g, p: jax.tree.map(lambda a, b: a + 0.1 * jnp.sign(b) * a + a, g, p))",
    "optax.stateless(lambda g, p: jax.tree.map(lambda a: jnp.where(jnp.isfinite(a), a, 0.0), g))",
)
_CORE = (
    "optax.identity()",
    "optax.trace(0.9)",
    "optax.trace(0.8, nesterov=True)",
    "optax.ema(0.9)",
    "optax.ema(0.9, debias=False)",
    "optax.scale_by_adam()",
    "optax.scale_by_adam(b1=0.8, b2=0.95, eps=1e-4, eps_root=1e-6)",
    "optax.scale_by_adam(nesterov=True)",
    "optax.scale_by_amsgrad()",
    "optax.scale_by_adamax()",
    "optax.scale_by_rms(eps=1e-3)",
    "optax.scale_by_rms(initial_scale=0.5)",
    "optax.scale_by_stddev(eps=1e-2)",
    "optax.scale_by_rss(eps=1e-3)",
    "optax.scale_by_lion()",
    "optax.scale_by_belief(eps=1e-3)",
    "optax.scale_by_yogi()",
    "optax.scale_by_radam(threshold=1.5)",
    "optax.scale_by_adadelta()",
    "optax.scale_by_novograd(eps=1e-3)",
    "optax.scale_by_adan(eps=1e-3)",
    "optax.scale_by_rprop(0.1)",
    "optax.scale_by_sign()",
    "optax.apply_every(2)",
    "optax.scale_by_factored_rms()",
    "optax.scale_by_optimistic_gradient()",
    "optax.flatten(optax.stateless(lambda g, p: jax.tree.map(lambda a: jnp.roll(a, 1), g)))",
    "optax.flatten(optax.stateless(lambda g, p: jax.tree.map(lambda a: a[::-1] + jnp.cumsum(a), g)))",
    "optax.stateless(lambda g, p: jax.tree.map(lambda a, b: a + 0.1 * rolled(b), g, p))",
    "optax.stateless(lambda g, p: jax.tree.map(lambda a, b: rolled(a) - 0.1 * b * jnp.max(jnp.abs(b)), g, p))",
    "optax.stateless(lambda g, p: jax.tree.map(lambda a, b: jnp.where(b > 0, a, rolled(a)) + a + a, g, p))",
    "delayed()",
    "swapping()",
    "neighbourly()",
    "counting()",
)
_AFTER = (
    "optax.add_decayed_weights(0.01)",
    "optax.add_decayed_weights(0.05, lambda p: jax.tree.map(lambda a: a.ndim > 1, p))",
    "optax.scale_by_trust_ratio(eps=0.1)",
    "optax.clip(0.5)",
    "optax.scale_by_param_block_rms()",
    "optax.keep_params_nonnegative()",
)
_RATES = (
    "optax.scale(-0.1)",
    "optax.scale_by_learning_rate(0.05)",
    "optax.scale_by_learning_rate(optax.exponential_decay(0.1, 3, 0.5))",
    "optax.scale_by_learning_rate(optax.exponential_decay(0.1, 2, 0.5, staircase=True))",
    "optax.scale_by_learning_rate(optax.cosine_decay_schedule(0.1, 5))",
    "optax.scale_by_learning_rate(optax.linear_schedule(0.1, 0.0, 4))",
    "optax.scale_by_learning_rate(optax.piecewise_constant_schedule(0.1, {1: 0.5, 3: 0.1}))",
    "optax.scale_by_learning_rate(optax.polynomial_schedule(0.1, 0.01, 2, 5))",
    "optax.scale_by_learning_rate(optax.warmup_cosine_decay_schedule(0.0, 0.1, 2, 6))",
    "optax.scale_by_learning_rate(optax.sgdr_schedule([dict(init_value=0.0, peak_value=0.1, decay_steps=2, "
    "warmup_steps=1, end_value=0.01)]))",
    "optax.scale_by_schedule(lambda n: -0.1 / (1.0 + n))",
    "optax.scale_by_schedule(lambda n: jnp.where(n % 2 == 0, -0.1, -0.05))",
)
_WHOLE = (
    "optax.apply_if_finite({}, 2)",
    "optax.MultiSteps({}, 2).gradient_transformation()",
    "optax.masked({}, lambda p: jax.tree.map(lambda a: a.ndim != 1, p))",
    "optax.flatten({})",
    "optax.with_extra_args_support({})",
    "optax.conditionally_mask({}, lambda n, **_: n % 2 == 0)",
    "optax.conditionally_transform({}, lambda n, **_: n > 0)",
)
_ALIASES = (
    "optax.lbfgs()",
    "optax.adafactor(0.1, min_dim_size_to_factor=2)",
    "optax.inject_hyperparams(optax.adamw)(0.1, weight_decay=0.02)",
    "optax.lamb(0.05)",
    "optax.fromage(0.05)",
    "optax.lars(0.1)",
    "optax.optimistic_gradient_descent(0.1)",
    "optax.polyak_sgd(0.1)",
    "optax.contrib.prodigy(0.1)",
    "optax.contrib.cocob()",
    "optax.contrib.schedule_free_sgd(0.1)",
    "optax.contrib.ademamix(0.05)",
    "optax.contrib.dadapt_adamw(0.1)",
)
_RANDOM = ("optax.noisy_sgd(0.1, key=0)", "optax.chain(optax.add_noise(0.1, 0.5, key=0), optax.sgd(0.1))")


def random_optimizer(rng: np.random.Generator) -> tuple[str, bool]:
    """The text of an optimizer, and whether it is a factory that takes each fit's own `rate`."""
    kind = rng.random()
    if kind < 0.4:
        return "optax.sgd(0.1)", False
    if kind < 0.46:
        return str(rng.choice(_ALIASES if kind < 0.45 else _RANDOM)), False
    own = bool(rng.random() < 0.25)
    parts = [str(rng.choice(_BEFORE)) for _ in range(rng.integers(0, 3))]
    parts.append(str(rng.choice(_CORE)))
    parts += [str(rng.choice(_AFTER))] * int(rng.random() < 0.3)
    parts.append("optax.scale_by_learning_rate(rate)" if own else str(rng.choice(_RATES)))
    whole = f"optax.chain({', '.join(parts)})"
    if rng.random() < 0.2:
        whole = str(rng.choice(_WHOLE)).format(whole)
    return (f"lambda rate: {whole}" if own else whole), own
