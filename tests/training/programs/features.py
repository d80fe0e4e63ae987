"""Programs with what else decides a training: batches, weights of points, losses with numbers, penalties, validation.

They are trained by the trainers themselves, and held against the same jaxprs, step by step, with points, weights and
stopping as the documentation has them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
import optax
from scipy import special, stats
from training.programs.check import Plain, Verdict, distance, tile_of
from training.programs.generator import FITS, Program

import jaxland as jl
from jaxland._precision import get_dtype, numerics
from jaxland.problems import LOSSES, Loss, Penalty
from jaxland.training import Ensemble, Validation, batches, train_fits
from jaxland.training.lanes import LanesTrainer, machine
from jaxland.training.lanes.tuning import VERSION
from jaxland.training.probe import Disagreement
from jaxland.training.program.expression import Unlowerable
from jaxland.training.xla import XlaTrainer

_NUMPY = {
    "power": lambda y, t, power: np.abs(y - t + 0.001) ** power,
    "huber": lambda y, t, delta: special.huber(delta, y - t),
    "quantile": lambda y, t, level: np.maximum(level * (t - y), (level - 1) * (t - y)),
    "poisson": lambda y, t: np.exp(y) - t * y,
    "binary_cross_entropy": lambda y, t: np.logaddexp(0, y) - t * y,
    "softmax_cross_entropy": lambda y, t: -(_shares(t, y.shape[1]) * special.log_softmax(y, axis=1)).sum(axis=1),
    "gaussian_nll": lambda y, t: -stats.norm.logpdf(t, y[:, :1], np.exp(y[:, 1:] / 2)).sum(axis=1),
}
"""What losses with names mean for each output or point."""
_NUMBERS = {"power": ("power", 1.2, 2.5), "huber": ("delta", 0.2, 1.5), "quantile": ("level", 0.1, 0.9)}
"""Of a loss its number, and from where to where it goes."""


def _shares(target, classes):
    return target if target.shape[1] == classes else np.eye(classes)[target[:, 0].astype(int)]


def _matrices(params):
    return [leaf for leaf in jax.tree.leaves(params) if leaf.ndim > 1]


def _several(params):
    return [leaf for leaf in jax.tree.leaves(params) if leaf.size > 1]


_PENALTIES = {
    "l2": (jl.problems.l2(0.05), lambda p, l2: l2 * sum((a**2).sum() for a in _matrices(p))),
    "l1": (jl.problems.l1(0.02, biases=True), lambda p, l1: l1 * sum(np.abs(a).sum() for a in jax.tree.leaves(p))),
    "quartic": (
        lambda params: 0.01 * sum(jnp.sum(leaf**4) for leaf in jax.tree.leaves(params)),
        lambda p: 0.01 * sum((a**4).sum() for a in jax.tree.leaves(p)),
    ),
    "smooth": (
        Penalty("s", lambda p, s: s * sum(jnp.sum(jnp.diff(a.ravel()) ** 2) for a in _several(p)), {"s": 0.1}),
        lambda p, s: s * sum((np.diff(a.ravel()) ** 2).sum() for a in _several(p)),
    ),
    "round": (
        Penalty("r", lambda p, r: sum(jnp.sqrt(r**2 + jnp.sum(a**2)) for a in jax.tree.leaves(p)), {"r": 0.3}),
        lambda p, r: sum(np.sqrt(r**2 + (a**2).sum()) for a in jax.tree.leaves(p)),
    ),
}
"""Penalties, and what they mean."""


@dataclass(frozen=True)
class Features:
    """How a program is trained.

    Attributes:
        loss: the program's own, "generated", or a name of `_NUMPY`.
        y: targets (W, N, K).
        held_x, held_y: points of the validation (W, M, D) and (W, M, K), all of one where they are shared; None
            without one and with a share.
        share: how many points of each fit are set aside; 0 for none.
        weights: of points (W, N), or None.
        own_weights, own_held_out: whether each fit has its own.
        penalties: names of `_PENALTIES`.
        numbers: of loss and penalties (W,), by name; those that are missing are left as they are by default.
        batch_size, replacement, steps, every, patience, min_gain: of the ensemble and its validation.
    """

    loss: str
    y: np.ndarray
    held_x: np.ndarray | None
    held_y: np.ndarray | None
    share: int
    weights: np.ndarray | None
    own_weights: bool
    own_held_out: bool
    penalties: tuple[str, ...]
    numbers: dict[str, np.ndarray]
    batch_size: int | None
    replacement: bool
    steps: int
    every: int
    patience: int | None
    min_gain: float

    @property
    def judged(self) -> bool:
        """Whether there is a validation."""
        return self.held_x is not None or self.share > 0


def features_of(program: Program) -> Features:
    """The features of a program, by its seed, whatever statements are left of it."""
    rng = np.random.default_rng([program.seed, 1])
    points, outputs = program.y.shape[1:]
    known = ["generated", *(name for name in _NUMPY if outputs == 2 or name != "gaussian_nll")]
    loss = known[rng.integers(len(known))]

    labels = bool(outputs > 1 and rng.random() < 0.5)

    def of_each(make, own):
        first = make()
        return np.stack([first, *(make() if own else first for _ in range(FITS - 1))])

    def data(count, own):
        x = of_each(lambda: rng.uniform(-1.2, 1.2, (count, program.x.shape[2])).round(6), own)
        return x, of_each(lambda: _targets(rng, loss, count, outputs, labels), own)

    y = program.y if loss == "generated" else data(points, program.own_y)[1]
    weights, own_weights = None, bool(rng.random() < 0.5)
    if rng.random() < 0.5:
        weights = of_each(lambda: rng.choice([0.0, 0.5, 1.0, 2.5], points, p=[0.1, 0.3, 0.4, 0.2]) + 0.01, own_weights)
    penalties = tuple(str(name) for name in rng.permutation(list(_PENALTIES))[: rng.choice(3, p=[0.5, 0.3, 0.2])])
    ranges = [_NUMBERS[loss]] if loss in _NUMBERS else []
    ranges += [(n, 0.01, 0.5) for name in penalties for n in _penalty(name).numbers]
    numbers = {n: rng.uniform(low, high, FITS if rng.random() < 0.7 else 1) for n, low, high in ranges}
    numbers = {n: np.broadcast_to(values, FITS) for n, values in numbers.items() if rng.random() < 0.8}
    kind = rng.choice(["none", "shared", "own", "share"], p=[0.4, 0.2, 0.2, 0.2])
    alone = program.own_x or program.own_y or (weights is not None and own_weights) or points < 3
    kind = "own" if kind == "share" and alone else kind
    held_x, held_y = data(int(rng.integers(1, 6)), kind == "own") if kind in ("shared", "own") else (None, None)
    share = int(rng.integers(1, points - 1)) if kind == "share" else 0
    left = points - share
    patience = int(rng.integers(1, 4)) if rng.random() < 0.5 else None
    batched = left > 1 and rng.random() < 0.6
    return Features(
        loss=loss,
        y=y,
        held_x=held_x,
        held_y=held_y,
        share=share,
        weights=weights,
        own_weights=own_weights,
        own_held_out=kind == "own",
        penalties=penalties,
        numbers=numbers,
        batch_size=int(rng.integers(1, left)) if batched else None,
        replacement=bool(batched and rng.random() < 0.3),
        steps=int(rng.integers(3, 8)),
        every=int(rng.integers(1, 4)),
        patience=patience,
        min_gain=0.003 if patience is not None and rng.random() < 0.5 else 0.0,
    )


def _targets(rng, loss, count, outputs, labels):
    """Such as the loss has a meaning for."""
    if loss == "poisson":
        return rng.poisson(1.5, (count, outputs)).astype(float)
    if loss == "binary_cross_entropy":
        return (rng.uniform(size=(count, outputs)) < 0.5).astype(float)
    if loss == "softmax_cross_entropy":
        numbers = rng.integers(0, outputs, (count, 1)).astype(float)
        return numbers if labels else special.softmax(rng.normal(size=(count, outputs)), axis=1)
    return rng.uniform(-1.2, 1.2, (count, 1 if loss == "gaussian_nll" else outputs)).round(6)


def _penalty(name):
    made: Any = _PENALTIES[name][0]
    return made if isinstance(made, Penalty) else Penalty(name, made)


def ensemble_of(program: Program, features: Features, dtype: str) -> Ensemble:
    """All that is trained."""
    one = features
    loss: Any = LOSSES.get(one.loss, program.problem.loss)
    if one.loss == "power":
        power = lambda y, t, power: jnp.abs(y - t + 0.001) ** power  # noqa: E731
        loss = Loss("power", power, loss.outputs, loss.points, numbers={"power": 1.7})
    shared = None if one.weights is None or one.own_weights else one.weights[0]
    penalty = [_PENALTIES[name][0] for name in one.penalties]
    validation = None
    if one.judged:
        points: dict[str, Any] = {"share": one.share / program.x.shape[1]} if one.share else _held_out(one)
        validation = Validation(**points, every=one.every, patience=one.patience, min_gain=one.min_gain)
    rates = {} if program.rates is None else {"rate": program.rates}
    return Ensemble(
        program.network,
        jl.Problem(program.x[0], one.y[0], loss, weights=shared, penalty=penalty),
        program._functions["optimizer"],
        steps=one.steps,
        dtype=dtype,
        hyperparameters={**rates, **one.numbers},
        start=program.start,
        inputs=program.x if program.own_x else None,
        targets=one.y if program.own_y else None,
        weights=one.weights if one.own_weights else None,
        batch_size=one.batch_size,
        replacement=one.replacement,
        validation=validation,
        trace_every=1,
    )


def _held_out(one):
    assert one.held_x is not None
    assert one.held_y is not None
    return {"x": one.held_x, "y": one.held_y} if one.own_held_out else {"x": one.held_x[0], "y": one.held_y[0]}


class Whole(Plain):
    """The training of a program with all its features, one fit and one step at a time."""

    def __init__(self, program: Program, features: Features, dtype: str):
        self.program, self.features, self.dtype = program, features, get_dtype(dtype)
        self.ensemble = ensemble_of(program, features, dtype)
        self.loss, self.penalties = self.ensemble.problem.loss, self.ensemble.problem.penalty
        self._made: dict[int, Any] = {}

    @cached_property
    def gradient(self) -> Any:
        """The jaxpr over all points, of the network and the loss."""
        return self._gradient_of(self._points(0))

    def _objective(self, numbers, vector, x, y, factors):
        params = self.program.unflatten(vector)
        values = self.loss.values(self.program.network.apply(params, x), y, numbers)
        if values.ndim == 2:
            values = jnp.mean(values, 1) if self.loss.outputs == "mean" else jnp.sum(values, 1)
        return jnp.sum(values * factors) + sum((each(params, numbers) for each in self.penalties), jnp.zeros(()))

    def _numbers(self, fit):
        return {name: np.asarray(values[fit], self.dtype) for name, values in self.features.numbers.items()}

    def _gradient_of(self, points):
        key = len(points[0])
        if key not in self._made:
            with numerics(self.dtype):
                arguments = self._numbers(0), np.asarray(self.program.start[0], self.dtype), *points
                self._made[key] = jax.make_jaxpr(jax.value_and_grad(self._objective, argnums=1))(*arguments)
        return self._made[key]

    def _points(self, fit, taken=None, held_out=False):
        """Inputs, targets and factors, whose sum of products with the losses is the loss, of all or some points."""
        one, x, y = self.features, self.program.x[fit], self.features.y[fit]
        weights = np.ones(len(x)) if one.weights is None else one.weights[fit]
        if held_out and not one.share:
            assert one.held_x is not None
            assert one.held_y is not None
            x, y = one.held_x[fit], one.held_y[fit]
        elif one.share:
            order = _order(_key(fit, batches.SHARE), 0, len(x))
            part = order[: one.share] if held_out else order[one.share :]
            x, y, weights = x[part], y[part], weights[part]
        if held_out:
            weights = np.ones(len(x))
        if self.loss.points == "mean":
            weights = weights / weights.mean() / (len(x) if taken is None else len(taken))
        taken = np.arange(len(x)) if taken is None else taken
        return [np.asarray(values[taken], self.dtype) for values in (x, y, weights)]

    def _taken(self, fit, step):
        one, points = self.features, self.program.x.shape[1] - self.features.share
        if one.batch_size is None:
            return None
        key = _key(fit, batches.ORDER)
        if one.replacement:
            words = _words(key, step, one.batch_size)
            return np.array([word * points >> 32 for word in words])
        epoch, number = divmod(step, -(-points // one.batch_size))
        return np.array(_order(key, epoch, points)[number * one.batch_size : (number + 1) * one.batch_size])

    def _at(self, fit, vector, points, noise=None):
        """Loss and gradient."""
        closed = self._gradient_of(points)
        return self._evaluate(closed, *self._numbers_in_order(fit), vector, *points, noise=noise)

    def _numbers_in_order(self, fit):
        return jax.tree.leaves(self._numbers(fit))

    def _judge(self, fit, vector, noise):
        """The loss on what is held out, without penalties."""
        points = self._points(fit, held_out=True)
        none = points[0][:1], points[1][:1], np.zeros(1, self.dtype)
        both = [self._at(fit, vector, each, noise)[0] for each in (points, none)]
        return both[0] - both[1]

    def doubt(self) -> str | None:
        """A difference between NumPy's meaning of the objective and JAX's, at the start."""
        one, text = self.features, self.program.numpy_text
        if self.dtype != np.float64 or "slope(" in text or self._single():
            return None
        for fit in range(FITS):
            vector = np.asarray(self.program.start[fit], self.dtype)
            x, y, factors = self._points(fit)
            expected = self._numpy_loss(fit, vector, x, y, factors)
            loss = self._at(fit, vector, (x, y, factors))[0]
            spread = self._spread(lambda noise, fit=fit, v=vector, p=(x, y, factors): [self._at(fit, v, p, noise)[0]])
            if not np.allclose(loss, expected, rtol=1e-9, atol=1e-9 + 1e3 * spread.max()):
                return f"the texts disagree: NumPy {expected}, JAX {loss} ({one.loss}, {one.penalties})"
        return None

    def _numpy_loss(self, fit, vector, x, y, factors):
        one = self.features
        numbers = {**{n: v for each in (self.loss, *self.penalties) for n, v in each.numbers.items()}}
        numbers |= {name: values[fit] for name, values in one.numbers.items()}
        prediction = self.program.numpy_prediction(vector, x)
        with np.errstate(all="ignore"):
            if one.loss == "generated":
                values = self.program.numpy_values(prediction, y)
            else:
                values = _NUMPY[one.loss](prediction, y, **{name: numbers[name] for name in self.loss.numbers})
            if values.ndim == 2:
                values = values.mean(1) if self.loss.outputs == "mean" else values.sum(1)
            params, total = self.program.unflatten(vector), (values * factors).sum()
            for name in one.penalties:
                total += _PENALTIES[name][1](params, **{n: numbers[n] for n in _penalty(name).numbers})
        return total

    @cached_property
    def _updates(self) -> dict[int, Any]:
        return {}

    def _update(self, points):
        """The jaxprs of the optimizer's first state and of its update with so many points."""
        key = len(points[0])
        if key not in self._updates:
            with numerics(self.dtype):
                self._updates[key] = self._traced_update(points)
        return self._updates[key]

    def _traced_update(self, points):
        program, vector = self.program, np.asarray(self.program.start[0], self.dtype)
        number = jax.ShapeDtypeStruct((), self.dtype)
        rates = [] if program.rates is None else [number]

        def begin(rates, vector):
            return jax.tree.leaves(program.optimizer_of(*rates).init(program.unflatten(vector)))

        def update(rates, numbers, vector, points, leaves, gradient, loss):
            transformation = optax.with_extra_args_support(program.optimizer_of(*rates))
            params, slopes = program.unflatten(vector), program.unflatten(gradient)
            state = jax.tree.unflatten(jax.tree.structure(jax.eval_shape(transformation.init, params)), leaves)

            def value_fn(params):
                flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(params)])
                return self._objective(numbers, flat, *points)

            changes, state = transformation.update(slopes, state, params, value=loss, grad=slopes, value_fn=value_fn)
            flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(optax.apply_updates(params, changes))])
            return flat, jax.tree.leaves(state)

        first = jax.make_jaxpr(begin)(rates, vector)
        leaves = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in first.out_avals]
        return first, jax.make_jaxpr(update)(rates, self._numbers(0), vector, points, leaves, vector, number)

    def train_whole(self, noise: np.random.Generator | None = None) -> list["Course"]:
        """The training of all fits."""
        with numerics(self.dtype):
            return [self._course(fit, noise) for fit in range(FITS)]

    def _course(self, fit, noise):
        one, vector, whole = self.features, np.asarray(self.program.start[fit], self.dtype), self._points(fit)
        rates = [] if self.program.rates is None else [np.asarray(self.program.rates[fit], self.dtype)]
        leaves = self._evaluate(self._update(whole)[0], *rates, vector)
        course = Course(self._at(fit, vector, whole, noise)[0], [], {}, {0: vector})
        reference, waited, course.margin = np.inf, 0, np.inf
        for step in range(one.steps + 1):
            course.params[step] = vector
            if one.judged and (step % one.every == 0 or step == one.steps):
                loss = course.validation[step] = self._judge(fit, vector, noise)
                if np.isfinite(reference):
                    course.margin = min(course.margin, abs(loss - (reference - one.min_gain)) / max(1, abs(loss)))
                gained = loss < reference - one.min_gain
                reference, waited = (loss, 0) if gained else (reference, waited + (step > 0))
                if one.patience is not None and waited >= one.patience and step < one.steps:
                    course.stopped = step
            if step == one.steps or course.stopped >= 0:
                course.trace.append(self._at(fit, vector, whole, noise)[0])
                return course
            points = self._points(fit, self._taken(fit, step))
            loss, gradient = self._at(fit, vector, points, noise)
            course.trace.append(loss)
            given = *rates, *self._numbers_in_order(fit), vector, *points, *leaves, gradient, loss
            vector, *leaves = self._evaluate(self._update(points)[1], *given, noise=noise)
        raise AssertionError


@dataclass
class Course:
    """What becomes of a fit.

    Attributes:
        initial_loss: over all points.
        trace: the loss of each step, and at last over all points.
        validation: losses by step.
        params: by step.
        stopped: the step in which it stopped, or -1.
        margin: the smallest difference, as a share, by which a judgement was a gain or none.
    """

    initial_loss: Any
    trace: list
    validation: dict[int, Any]
    params: dict[int, np.ndarray]
    stopped: int = -1
    margin: Any = np.inf

    def results(self, steps: int, judged: np.ndarray, best: int) -> dict[str, np.ndarray]:
        """As trainers return them; `best` is the step whose parameters are asked for."""
        missing = [np.nan] * (steps + 1 - len(self.trace))
        found = {
            "initial_loss": self.initial_loss,
            "loss": self.trace[-1],
            "trace": np.array([*self.trace, *missing], float),
            "params": self.params[len(self.trace) - 1],
        }
        if len(judged):
            found["validation"] = np.array([self.validation.get(step, np.nan) for step in judged], float)
            found["best_params"] = self.params.get(best, np.nan)
        return {name: np.asarray(values) for name, values in found.items()}


def _key(fit, purpose):
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0, impl="threefry2x32"), fit), purpose)
    return jax.random.key_data(key)


def _words(key, epoch, count):
    blocks = np.arange((count + 1) // 2)
    counts = np.concatenate([blocks, np.full(len(blocks), epoch)]).astype(np.uint32)
    drawn = np.asarray(jax.extend.random.threefry_2x32(key, counts)).reshape(2, -1)
    return [int(word) for word in drawn.T.ravel()[:count]]


def _order(key, epoch, points):
    """The shuffle of Fisher and Yates, one exchange after the other."""
    order = list(range(points))
    for place, word in enumerate(_words(key, epoch, points)):
        other = place + (word * (points - place) >> 32)
        order[place], order[other] = order[other], order[place]
    return order


def check_whole(program: Program, dtype: str = "float64", backends: Sequence[str] = ("xla", "lanes")) -> Verdict:
    """Trains a program with its features by lanes and by xla, and compares both with its plain meaning."""
    if "key=" in program.optimizer:
        return Verdict("refused", "The optimizer draws.")
    features = features_of(program)
    reference = Whole(program, features, dtype)
    doubt = reference.doubt()
    if doubt is not None:
        return Verdict("fails", doubt)
    form = ("straight", "loops")[program.seed // 2 % 2]
    found = [_of(reference, name, form) for name in backends]
    kinds = ("fails", "rough", "refused", "agrees")
    return min(found, key=lambda verdict: kinds.index(verdict.kind))


def _of(reference, name, form) -> Verdict:
    ensemble = reference.ensemble
    try:
        trainer = XlaTrainer(ensemble) if name == "xla" else LanesTrainer(ensemble, _settings(reference, form))
    except Disagreement as reason:
        return Verdict("fails", f"{name} {form}: {reason} {reference.features}")
    except Unlowerable as reason:
        return _of(reference, name, "straight") if form == "loops" else Verdict("refused", str(reason))
    trained = train_fits(trainer, ensemble, np.arange(FITS), threads=1)
    difference = _difference(reference, trained)
    if difference is None:
        return Verdict("agrees")
    return Verdict(
        difference[0], f"{name} {form}: {difference[1]}{reference.features if difference[0] == 'fails' else ''}"
    )


def _settings(reference, form):
    target, ensemble = machine.host(), reference.ensemble
    lanes = target.vector_bytes // ensemble.number_format.itemsize
    tile = min(tile_of(reference.program), ensemble.points_a_step)
    return {"lanes": lanes, "tile": tile, "form": form, "compress": None, "fused": target.fused, "kernel": VERSION}


def _difference(reference, trained) -> tuple[str, str] | None:
    ensemble, expected = reference.ensemble, reference.train_whole()
    judged = ensemble.validation_steps
    for fit, course in enumerate(expected):
        seen = {name: getattr(trained.result, name)[fit] for name in ("initial_loss", "loss", "trace", "params")}
        best = 0
        if trained.judged is not None:
            if trained.judged.stopped_step[fit] != course.stopped:
                kind = "rough" if course.margin < 1e-4 else "fails"
                return kind, f"fit {fit} stopped at {trained.judged.stopped_step[fit]}, not {course.stopped}"
            best = int(trained.judged.best_validation_step[fit])
            seen |= {name: getattr(trained.judged, name)[fit] for name in ("validation", "best_params")}
            worse = course.validation[best] - min([v for v in course.validation.values() if np.isfinite(v)], default=0)
            if np.isfinite(worse) and worse > 1e-4 * max(1, abs(course.validation[best])):
                return "fails", f"fit {fit} was best at {best}: {course.validation}"
        mine = course.results(ensemble.steps, judged, best)
        for name, values in seen.items():
            error = distance(mine[name], values)
            if error <= reference._tolerance(mine[name], name):
                continue

            def noisy(noise, fit=fit, name=name, best=best):
                return [reference._course(fit, noise).results(ensemble.steps, judged, best)[name]]

            with numerics(reference.dtype):
                spread = reference._spread(noisy)
            if error <= 100 * spread.max():
                return "rough", name
            return "fails", f"{name} of fit {fit}: {values.tolist()} should be {mine[name].tolist()}"
    return None
