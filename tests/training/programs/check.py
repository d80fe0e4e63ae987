"""Whether the fused backends compute what a program means: three meanings that know nothing of each other.

- the network and the loss by the NumPy text of each statement;
- the jaxpr of loss, gradient and optimizer over all points, evaluated by `plain` on whole arrays;
- the scalar programs, scheduled and rolled, run by `interpreter`, by the compiled kernel, or by another backend.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from training.programs.generator import FITS, Program
from training.programs.interpreter import run_lines, run_segments
from training.programs.plain import evaluate_jaxpr

from jaxland._precision import get_dtype, numerics
from jaxland.training import Ensemble
from jaxland.training.program.expression import Unlowerable
from jaxland.training.program.layout import memory_type
from jaxland.training.program.programs import Programs, layout_of, schedule_programs
from jaxland.training.program.roll import roll
from jaxland.training.program.trace import UpdateProgram, trace_update

STEPS = 3
# Whose derivatives are not those of the function, by intent or by rounding.
_UNLIKE_DIFFERENCES = ("stop_gradient", "reread", "bitcast", "float32", "bfloat16", "slope(")
_TOLERANCE = {"float32": 2e-5, "float64": 1e-10}
_NOISES = 4


class Training(NamedTuple):
    """What became of the fits of a program.

    Attributes:
        losses: before each step, (W, STEPS).
        gradients: at the start, (W, P).
        params: after the last step, (W, P).
    """

    losses: np.ndarray
    gradients: np.ndarray
    params: np.ndarray


class Verdict(NamedTuple):
    """How a program fared.

    Attributes:
        kind: "agrees"; "refused", with a reason; "rough", where rounding alone changes the result as much as what was
            seen; or "fails".
        reason: of a refusal or a failure.
    """

    kind: str
    reason: str = ""


class Lowered(NamedTuple):
    """The programs of an ensemble for one size of tiles."""

    ensemble: Ensemble
    update: UpdateProgram
    programs: Programs


def lower(program: Program, dtype: str, tile: int) -> Lowered:
    """The scheduled programs.

    Raises:
        Unlowerable: the program is refused.
    """
    ensemble = program.ensemble(dtype, STEPS)
    update = trace_update(ensemble)
    return Lowered(ensemble, update, schedule_programs(ensemble, update, tile))


def tile_of(program: Program) -> int:
    """Points of a tile: all sizes occur, and with them points left over."""
    return min(1 + program.seed % 5, program.x.shape[1])


def check(program: Program, dtype: str = "float64", train: Callable[[Lowered], Training] | None = None) -> Verdict:
    """Compares a program with its plain meaning.

    Args:
        program: from `generate`.
        dtype: of the fits.
        train: trains the fits of a lowered program; in NumPy, line by line, by default.
    """
    reference = Plain(program, dtype)
    doubt = reference.doubt()
    if doubt is not None:
        return Verdict("fails", doubt)
    try:
        seen = (train or interpreted)(lower(program, dtype, tile_of(program)))
    except Unlowerable as reason:
        return Verdict("refused", str(reason))
    difference = reference.difference(seen)
    return Verdict("agrees") if difference is None else Verdict(*difference)


class Plain:
    """The jaxprs of loss, gradient and update of a program over all its points, evaluated array by array."""

    def __init__(self, program: Program, dtype: str):
        self.program, self.dtype = program, get_dtype(dtype)
        network = program.network
        assert network.size, "which is found outside of any trace"
        loss = program.problem.loss
        with numerics(self.dtype):
            arguments = self._arguments(0)

            def objective(vector, x, y):
                return loss(network.apply(program.unflatten(vector), x), y)

            self.gradient = jax.make_jaxpr(jax.value_and_grad(objective))(*arguments)

    def _arguments(self, fit):
        program = self.program
        return [np.asarray(array[fit], self.dtype) for array in (program.start, program.x, program.y)]

    def doubt(self) -> str | None:
        """A difference between the NumPy text and JAX, which would be a fault of the generator or of JAX."""
        if self.dtype != np.float64 or "slope(" in self.program.numpy_text:
            return None
        start, x, y = self._arguments(0)
        loss, _ = self._evaluate(self.gradient, start, x, y)
        expected = self.program.numpy_loss(start)
        if np.allclose(loss, expected, rtol=1e-9, atol=1e-9):
            return None
        spread = self._spread(lambda noise: [self._evaluate(self.gradient, start, x, y, noise=noise)[0]])
        if self._single() or abs(loss - expected) <= 1e-9 + 1e3 * spread.max():
            return None
        return f"the texts disagree: NumPy {expected}, JAX {loss}"

    def slope_doubt(self) -> str | None:
        """A gradient that is not that of central differences of the NumPy text, where these say anything."""
        start, x, y = self._arguments(0)
        if any(mark in self.program.text + self.program.numpy_text for mark in _UNLIKE_DIFFERENCES):
            return None
        loss, gradient = self._evaluate(self.gradient, start, x, y)
        scale = max(1.0, abs(loss), np.abs(gradient).max())
        for entry, shift in enumerate(1e-6 * np.eye(len(start))):
            before, after = (self.program.numpy_loss(start + sign * shift) for sign in (-1, 1))
            left, right = (loss - before) / 1e-6, (after - loss) / 1e-6
            smooth = abs(right - left) < 1e-4 * scale
            if smooth and abs((left + right) / 2 - gradient[entry]) > 1e-5 * scale:
                return f"gradient[{entry}] is {gradient[entry]} where differences are {left} and {right}"
        return None

    def _single(self):
        """Whether a program in float64 rounds to float32 on its way."""
        return self.dtype == np.float64 and ":f32" in str(self.gradient)

    def _evaluate(self, closed, *arguments, noise=None):
        with numerics(self.dtype):
            return evaluate_jaxpr(closed, *arguments, noise=noise)

    def _spread(self, values: Callable[[np.random.Generator], list[np.ndarray]]) -> np.ndarray:
        """How far rounding moves each of the values."""
        runs = [values(np.random.default_rng(number)) for number in range(_NOISES)]
        columns = [np.stack(column).astype(float) for column in zip(*runs, strict=True)]
        with np.errstate(all="ignore"):
            return np.array([np.nanmax(np.nan_to_num(column.max(0) - column.min(0), nan=np.inf)) for column in columns])

    def train(self, noise: np.random.Generator | None = None) -> Training:
        """The training of all fits."""
        with numerics(self.dtype):
            fits = [self._fit(fit, noise) for fit in range(FITS)]
        return Training(*(np.stack(column) for column in zip(*fits, strict=True)))

    def _fit(self, fit, noise):
        vector, x, y = self._arguments(fit)
        rates = [] if self.program.rates is None else [np.asarray(self.program.rates[fit], self.dtype)]
        begin, update = self._optimizer
        leaves = self._evaluate(begin, *rates, vector)
        losses, first = [], None
        for _ in range(STEPS):
            loss, gradient = self._evaluate(self.gradient, vector, x, y, noise=noise)
            first = gradient if first is None else first
            losses.append(loss)
            vector, *leaves = self._evaluate(update, *rates, vector, *leaves, gradient, loss, noise=noise)
        return np.array(losses), first, vector

    @cached_property
    def _optimizer(self):
        """The jaxprs of the optimizer's first state and of its update; a factory is given the fit's rate."""
        program, vector = self.program, self._arguments(0)[0]
        number = jax.ShapeDtypeStruct((), self.dtype)
        rates = [] if program.rates is None else [number]

        def begin(rates, vector):
            return jax.tree.leaves(program.optimizer_of(*rates).init(program.unflatten(vector)))

        def update(rates, vector, leaves, gradient, loss):
            transformation = optax.with_extra_args_support(program.optimizer_of(*rates))
            params, slopes = program.unflatten(vector), program.unflatten(gradient)
            state = jax.tree.unflatten(jax.tree.structure(jax.eval_shape(transformation.init, params)), leaves)
            changes, state = transformation.update(
                slopes, state, params, value=loss, grad=slopes, value_fn=lambda _: loss
            )
            flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(optax.apply_updates(params, changes))])
            return flat, jax.tree.leaves(state)

        first = jax.make_jaxpr(begin)(rates, vector)
        leaves = [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in first.out_avals]
        return first, jax.make_jaxpr(update)(rates, vector, leaves, vector, number)

    def difference(self, seen: Training) -> tuple[str, str] | None:
        """What is seen in another training and is not so here, as kind and reason."""
        expected = self.train()
        for name, mine, other in zip(Training._fields, expected, seen, strict=True):
            error = distance(mine, other)
            if error <= self._tolerance(mine, name):
                continue
            spread = self._spread(lambda noise, name=name: [getattr(self.train(noise), name)])
            # A few units of noise in each number, where lanes may differ by its approximations as well.
            if error <= 100 * spread.max():
                return "rough", name
            return "fails", f"{name}: {other.tolist()} should be {mine.tolist()}"
        return None

    def _tolerance(self, values, name):
        finite = np.abs(values[np.isfinite(values)])
        # Optax computes rates in float32 whatever the dtype is.
        single = self._single() or (name != "gradients" and "scale" in self.program.optimizer)
        relative = 1e-6 if single and self.dtype == np.float64 else _TOLERANCE[self.dtype.name]
        return relative * max(1.0, finite.max(initial=0.0))


def distance(mine, other):
    """The largest difference; infinite where one is finite and the other is not, or infinite otherwise."""
    with np.errstate(invalid="ignore"):
        gaps = np.abs(mine - other)
    same = (np.isnan(mine) & np.isnan(other)) | (mine == other)
    return np.where(same, 0.0, np.nan_to_num(gaps, nan=np.inf)).max()


def interpreted(lowered: Lowered) -> Training:
    """Trains the fits by the scheduled, rolled lines, evaluated in NumPy."""
    ensemble, update, programs = lowered
    layout = layout_of(ensemble, update, FITS)
    members = ensemble.members(np.arange(FITS))
    memory: dict[tuple, Any] = {}
    for kind, types in layout.kinds.items():
        memory |= {(kind, k): np.zeros(FITS, memory_type(type)) for k, type in enumerate(types)}
    dtype = ensemble.number_format
    for k in range(ensemble.network.size):
        memory["param", k] = members.start[:, k].astype(dtype)
    for k, name in enumerate(sorted(ensemble.hyperparameters)):
        memory["hyper", k] = members.hyperparameters[name].astype(dtype)
    run_segments(roll(programs.start_lines, "state", layout), memory)
    losses, first = [], None
    for _ in range(STEPS):
        losses.append(_loss_and_gradient(lowered, members, memory))
        gradient = np.stack([memory["grad", k] for k in range(ensemble.network.size)], 1)
        first = gradient if first is None else first
        run_segments(roll(programs.update_lines, "param", layout), memory, {("loss", 0): losses[-1]})
    params = np.stack([memory["param", k] for k in range(ensemble.network.size)], 1)
    return Training(np.stack(losses, 1), first, params)


def _loss_and_gradient(lowered, members, memory):
    ensemble, _, programs = lowered
    dtype = ensemble.number_format
    for target in [("total", 0), *(("grad", k) for k in range(ensemble.network.size))]:
        memory[target] = np.zeros(FITS, dtype)
    tiles = programs.points // programs.tile
    for number in range(tiles):
        run_lines(programs.tile_lines, memory, _points(members, dtype, number * programs.tile, programs.tile))
    if programs.rest_lines:
        begin = tiles * programs.tile
        run_lines(programs.rest_lines, memory, _points(members, dtype, begin, programs.points - begin))
    weight = ensemble.problem.loss.weight(*ensemble.y_shape)
    return memory["total", 0] * dtype.type(weight)


def _points(members, dtype, begin, count):
    """The inputs `("x", (point, component))` and targets of some points."""
    data = {}
    for name, values in (("x", members.x), ("y", members.y)):
        for point, component in np.ndindex(count, values.shape[-1]):
            data[name, (point, component)] = np.asarray(values[..., begin + point, component], dtype)
    return data
