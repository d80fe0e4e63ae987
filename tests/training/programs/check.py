"""Whether the fused backends compute what a program means: three meanings that know nothing of each other.

- the network and the loss by the NumPy text of each statement;
- the jaxpr of loss, gradient and optimizer over all points, evaluated by `plain` on whole arrays;
- the scalar programs, scheduled and rolled, run by `interpreter`, by the compiled kernel, or by another backend.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from training.programs.generator import FITS, Program
from training.programs.interpreter import run_lines, run_segments
from training.programs.plain import evaluate_jaxpr

from jaxland.training import Ensemble
from jaxland.training.lanes.emit import Layout, memory_type
from jaxland.training.lanes.expression import TYPES, Unlowerable
from jaxland.training.lanes.kernel import Programs, layout_of, schedule_programs
from jaxland.training.lanes.roll import roll
from jaxland.training.lanes.scalarize import type_name
from jaxland.training.lanes.trace import UpdateProgram, trace_update
from jaxland.training.precision import get_dtype, numerics

STEPS = 3
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
        lowered = lower(program, dtype, tile_of(program))
    except Unlowerable as reason:
        return Verdict("refused", str(reason))
    difference = reference.difference((train or interpreted)(lowered))
    return Verdict("agrees") if difference is None else Verdict(*difference)


class Plain:
    """The jaxprs of loss, gradient and update of a program over all its points, evaluated array by array."""

    def __init__(self, program: Program, dtype: str):
        self.program, self.dtype = program, get_dtype(dtype)
        network = program.network
        network.size  # noqa: B018: outside of any trace
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
        if self.dtype != np.float64:
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
        update, leaves, rates = self._update(fit)
        vector, x, y = self._arguments(fit)
        losses, first = [], None
        for _ in range(STEPS):
            loss, gradient = self._evaluate(self.gradient, vector, x, y, noise=noise)
            first = gradient if first is None else first
            losses.append(loss)
            vector, *leaves = self._evaluate(update, *rates, vector, *leaves, gradient, loss, noise=noise)
        return np.array(losses), first, vector

    def _update(self, fit):
        """The jaxpr of the optimizer, its state at the start, and the fit's rate."""
        program = self.program
        rates = [] if program.rates is None else [np.asarray(program.rates[fit], self.dtype)]
        make = (lambda rates: program.optimizer_of(*rates)) if rates else (lambda _: program.optimizer_of())
        vector = self._arguments(fit)[0]
        state = jax.eval_shape(lambda v: make(rates).init(program.unflatten(v)), vector)
        begin = jax.make_jaxpr(lambda r, v: jax.tree.leaves(make(r).init(program.unflatten(v))))(rates, vector)

        def update(rates, vector, leaves, gradient, loss):
            transformation = optax.with_extra_args_support(make(rates))
            params, slopes = program.unflatten(vector), program.unflatten(gradient)
            state_now = jax.tree.unflatten(jax.tree.structure(state), leaves)
            changes, state_next = transformation.update(
                slopes, state_now, params, value=loss, grad=slopes, value_fn=lambda _: loss
            )
            flat = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(optax.apply_updates(params, changes))])
            return flat, jax.tree.leaves(state_next)

        shapes = jax.tree.leaves(state)
        closed = jax.make_jaxpr(update)(rates, vector, shapes, vector, jax.ShapeDtypeStruct((), self.dtype))
        return closed, self._evaluate(begin, *rates, vector), rates

    def difference(self, seen: Training) -> tuple[str, str] | None:
        """What is seen in another training and is not so here, as kind and reason."""
        expected = self.train()
        for name, mine, other in zip(Training._fields, expected, seen, strict=True):
            error = _distance(mine, other)
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


def _distance(mine, other):
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
    dtype = get_dtype(ensemble.dtype)
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
    dtype = get_dtype(ensemble.dtype)
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
