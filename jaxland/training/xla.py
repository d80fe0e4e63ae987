"""The reference backend: the step of one fit, vmapped over a group of fits and compiled by XLA.

It takes any network and any optax optimizer. A group has one fixed width and fit i always stands at place i modulo
that width, whatever else is trained beside it: the width of a vmapped program changes the bits of its results.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Integer

from jaxland._names import lookup
from jaxland._precision import get_dtype, numerics
from jaxland._processors import available_threads
from jaxland.training import batches, executables
from jaxland.training.devices import Device, local_devices
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.executables import Executable
from jaxland.training.initial import initial_parameters
from jaxland.training.plain import code_version
from jaxland.training.processor import kind_of_processor
from jaxland.training.products import products_as_sums
from jaxland.training.program import cache
from jaxland.training.provenance import versions
from jaxland.training.step import Points, make_step
from jaxland.training.traced import traced
from jaxland.training.trainer import GroupResult, check_settings

# On a CPU 16 fits fill the vector units and stay in cache; an accelerator wants thousands to fill its cores.
WIDTHS = {"cpu": 16}
ACCELERATOR_WIDTH = 8192

_COLUMNS = 256
"""Of a trace are in a group's state at a time: the program of a step, and so its bits, must not depend on how many
there are in all."""

MATMULS: dict[str, Callable[[Callable], Callable]] = {"dot": lambda function: function, "sum": products_as_sums}
"""Ways to compute matrix products. On a CPU "dot" is the faster by far; on an accelerator it is measured."""

_MEASUREMENTS = 3
_MEASURED_SECONDS = 0.05


class _State(NamedTuple):
    step: Int[Array, ""]
    params: Any
    optimizer: Any
    order: Int[Array, "W N"] | None
    initial_loss: Float[Array, "W"]
    best_loss: Float[Array, "W"]
    best_step: Int[Array, "W"]
    diverged_step: Int[Array, "W"]
    trace: Float[Array, "W C"]


class _Data(NamedTuple):
    """What is given to the fits of a group; keys are by words, None where nothing is drawn."""

    hyperparameters: dict[str, Float[Array, "W"]]
    points: Points
    order: Integer[Array, "W 2"] | None
    noise: Integer[Array, "W 2"] | None


class _Group(NamedTuple):
    """A group of fits on a device, the number of which is `device`, after `step` steps."""

    device: int
    state: _State
    data: _Data
    held_out: Points | None
    step: int = 0
    full: tuple[Float[Array, "W C"], ...] = ()
    """Parts of the trace that came before that of the state."""


class _Programs(NamedTuple):
    """What is compiled for one device: programs from the leaves of states and data to lists of leaves."""

    begin: Executable
    advance: Executable
    finish: Executable
    parameters: Executable
    evaluate: Executable | None = None
    judge: Executable | None = None


class XlaTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; chosen for this machine by default.
        devices: where; all of `jaxland.training.local_devices` by default.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: the `width` of a group; on a CPU
            the kind of `processor`, for which XLA compiles; where there was a choice, the name in `MATMULS` of the way
            `matmul` in which products are computed, else "dot"; and `arithmetic`, "float64" where a float32 ensemble
            has numbers that XLA's float32 would take for zero.

    Raises:
        ValueError: there is no such way, the settings are of another processor, or float64 data has numbers that XLA
            would take for zero.
    """

    name = "xla"

    def __init__(
        self,
        ensemble: Ensemble,
        settings: Mapping[str, Any] | None = None,
        *,
        devices: Sequence[Device] | None = None,
    ):
        self.ensemble = ensemble
        self._devices = list(devices or local_devices())
        platform = _platform(self._devices[0])
        self.devices = len(self._devices)
        self.together = 1
        self.workers = max(self.devices, available_threads()) if platform == "cpu" else self.devices
        self.width = int((settings or {}).get("width", WIDTHS.get(platform, ACCELERATOR_WIDTH)))
        self.settings: dict[str, Any] = {"width": self.width}
        # Settings of before it was recorded are taken on trust.
        if platform == "cpu" and (settings is None or "processor" in settings):
            self.settings["processor"] = kind_of_processor()
            check_settings(settings or self.settings, {"processor": self.settings["processor"]})
        self._result = self._dtype = ensemble.number_format
        # XLA takes subnormal numbers for zero on a processor, where a unit with an input of 1e-42 would learn nothing.
        subnormal = ensemble.subnormal if platform == "cpu" else ""
        if subnormal and ensemble.dtype == "float64":
            raise ValueError(
                f"{subnormal}: XLA takes numbers below 2.3e-308 for zero; set them to zero, or rescale them."
            )
        if subnormal:
            self._dtype = get_dtype("float64")
            self.settings["arithmetic"] = "float64"
        if settings and "matmul" in settings:
            self.settings["matmul"] = settings["matmul"]
        elif settings is None and platform != "cpu":
            self.settings["matmul"] = self._fastest_matmul()
        self._use(self.settings.get("matmul", "dot"))
        self._programs: dict[int, _Programs] = {}
        self._compiling = [threading.Lock() for _ in self._devices]
        self._programs_on(0)

    def _use(self, matmul: str) -> None:
        """Takes the step of one fit to that of a group."""
        step, form = make_step(self.ensemble), lookup("matmul", matmul, MATMULS)
        self._matmul = matmul
        self._loss, self._advance, self._start = form(step.loss), form(step.advance), jax.vmap(step.start)

        def judged(hyperparameters, params, points):
            prediction = self.ensemble.network.predict(params, points.x)
            return self.ensemble.problem.loss(prediction, points.y, None, hyperparameters)

        self._judged = form(judged)

    def _fastest_matmul(self) -> str:
        """Measured the first time, then remembered for this program and device."""
        self._use("dot")
        with self._on(0):
            program = self._lowered()["advance"].as_text()
        key = cache.key_of("matmul", program, self._devices[0].device_kind, versions())
        known = cache.load_choice(key)
        if known is None:
            seconds = {matmul: self._seconds_per_step(matmul) for matmul in MATMULS}
            known = {"matmul": min(seconds, key=lambda matmul: seconds[matmul])}
            cache.store_choice(key, known)
        return known["matmul"]

    def _seconds_per_step(self, matmul: str) -> float:
        """The smallest of several measurements of a group; infinite where the device has no room for it."""
        settings = {"width": self.width, "matmul": matmul}
        try:
            trainer = XlaTrainer(self.ensemble, settings, devices=self._devices[:1])
            group = trainer.advance(trainer.begin(self.ensemble.members(self._first())), 2)
            steps, elapsed = 1, 0.0
            while elapsed < _MEASURED_SECONDS:
                steps *= 2
                elapsed = _seconds(trainer, group, steps)
            return min(_seconds(trainer, group, steps) for _ in range(_MEASUREMENTS)) / steps
        except jax.errors.JaxRuntimeError:
            return math.inf

    def _first(self):
        return np.arange(self.width) + self.ensemble.first

    def _lowered(self) -> dict[str, Any]:
        """The programs, of flat arguments, not yet compiled: `judge` for ensembles with a validation alone."""
        members = self.ensemble.members(self._first())
        data, held_out = _shapes(self._data(members)), _shapes(self._held_out(members))
        state = jax.eval_shape(lambda data, vectors: self._initial_state(data, vectors), data, self._vectors())
        count = jax.ShapeDtypeStruct((), np.int32)
        # New functions each time: JAX would take what it traced with the other products for one it has seen.
        programs = {
            "begin": _flat(lambda data, vectors: self._initial_state(data, vectors), data, self._vectors()),
            "advance": _flat(lambda count, state, data: self._steps(count, state, data), count, state, data),
            "finish": _flat(lambda state, data: self._closing_losses(state, data), state, data),
            "parameters": _flat(lambda state: jax.vmap(self.ensemble.network.flatten)(state.params), state),
        }
        if held_out is not None:
            judged = data.hyperparameters, held_out
            programs["evaluate"] = _flat(lambda state, data: self._losses(state.params, data), state, data)
            programs["judge"] = _flat(lambda state, data: self._judgements(state.params, *data), state, judged)
        return programs

    def _vectors(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self.width, self.ensemble.network.size), self._dtype)

    def _programs_on(self, device: int) -> _Programs:
        """The programs of a device, found or compiled when it is first used: several compile theirs at a time."""
        with self._compiling[device]:
            if device not in self._programs:
                with self._on(device):
                    self._programs[device] = _Programs(**self._found(self._devices[device]))
        return self._programs[device]

    def _found(self, device: Device) -> dict[str, Executable]:
        keys = self._keys(device)
        # All are begun before the first is waited for.
        begun = {name: executables.find(key, device) for name, key in keys.items()}
        kept = {name: program for name, future in begun.items() if future and (program := future.result())}
        if keys and len(kept) == len(keys):
            return kept
        lowered = self._lowered()
        # What is the same before and after it was traced is what the keys say, and may be kept.
        keys = keys if keys == self._keys(device, anew=True) else {}
        programs = {name: program.compile() for name, program in lowered.items()}
        for name, key in keys.items():
            executables.keep(key, programs[name], device, jax.tree.leaves(lowered[name].in_avals))
        return programs

    def _keys(self, device: Device, *, anew: bool = False) -> dict[str, str]:
        """Names of the programs, none where their functions have no text."""
        ensemble = self.ensemble
        key = traced(ensemble, self._dtype, anew=anew).key
        if key is None:
            return {}
        members = ensemble.members(self._first())
        # Programs depend on the data's shapes, and on how a step takes its points.
        shapes = jax.tree.leaves(_shapes((self._data(members), self._held_out(members))))
        kept = ensemble.trace_every, ensemble.batch_size, ensemble.replacement
        group = f"{self._matmul} {self.width} {shapes} {kept} {self._dtype}"
        names = [name for name in _Programs._fields if ensemble.validation or name not in _Programs._field_defaults]
        return {name: executables.key_on(device, name, key, group, code_version()) for name in names}

    @contextmanager
    def _on(self, device: int) -> Iterator[None]:
        with jax.default_device(self._devices[device]), numerics(self._dtype):
            yield

    def begin(self, members: Members, device: int = 0) -> _Group:
        """The state of a group before its first step, on one of the devices."""
        programs = self._programs_on(device)
        with self._on(device):
            data = jax.device_put(self._data(members), self._devices[device])
            vectors = jax.device_put(self._starting_parameters(members), self._devices[device])
            held_out = jax.device_put(self._held_out(members), self._devices[device])
            return _Group(device, self._state(programs.begin(*jax.tree.leaves(data), vectors)), data, held_out)

    def advance(self, group: _Group, steps: int) -> _Group:
        """The group `steps` steps later; returns when the work is done."""
        part, end = self._steps_a_part, group.step + steps
        while part and group.step // part < end // part:
            group = self._advanced(group, (group.step // part + 1) * part)
            group = group._replace(full=(*group.full, group.state.trace))
        return self._advanced(group, end)

    @property
    def _steps_a_part(self) -> int:
        """After which the part of a trace that is in the state has no more room; 0 where there is none."""
        return (self.ensemble.trace_every or 0) * _COLUMNS

    def _advanced(self, group: _Group, end: int) -> _Group:
        if end == group.step:
            return group
        program, count = self._programs_on(group.device).advance, np.int32(end - group.step)
        with self._on(group.device):
            state = self._state(program(count, *jax.tree.leaves((group.state, group.data))))
            return group._replace(state=jax.block_until_ready(state), step=end)

    def parameters(self, group: _Group) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        with self._on(group.device):
            return np.asarray(self._parameters(group.device, group.state), self._result)

    def evaluate(self, group: _Group) -> Float[np.ndarray, "W"]:
        """The loss of each member over all its points, without noise."""
        program = self._programs_on(group.device).evaluate
        assert program is not None
        with self._on(group.device):
            return np.asarray(program(*jax.tree.leaves((group.state, group.data)))[0], self._result)

    def judge(self, group: _Group) -> Float[np.ndarray, "W"]:
        """The loss of each member on the points of the validation."""
        program = self._programs_on(group.device).judge
        assert program is not None
        with self._on(group.device):
            given = group.state, (group.data.hyperparameters, group.held_out)
            return np.asarray(program(*jax.tree.leaves(given))[0], self._result)

    def resumes_at(self, step: int) -> int:
        """Every step has a state that says all that follows."""
        return step

    def state(self, group: _Group) -> dict[str, np.ndarray]:
        """What decides the steps to come, and the record, with a row for each member."""
        with self._on(group.device):
            return {str(place): _as_numbers(leaf) for place, leaf in _kept(group.state)}

    def resume(self, group: _Group, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int) -> _Group:
        """The group that has just begun with some of its members as they were after so many steps."""
        leaves = jax.tree.leaves(group.state)
        with self._on(group.device):
            for place, leaf in _kept(group.state):
                values = np.array(_as_numbers(leaf))
                values[which] = _of_type(state[str(place)], values.dtype)
                leaves[place] = jax.device_put(_like(leaf, values), self._devices[group.device])
            leaves[0] = jax.device_put(np.int32(step), self._devices[group.device])
            full = (group.state.trace,) * (step // self._steps_a_part if self._steps_a_part else 0)
            return group._replace(state=self._state(leaves), step=step, full=full)

    def results(self, group: _Group) -> GroupResult:
        """The results as they stand, but for the loss, which is that of no step."""
        with self._on(group.device):
            return self._results(group, group.state.best_loss, on_device=False)

    def finish(self, group: _Group, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step."""
        with self._on(group.device):
            program = self._programs_on(group.device).finish
            *leaves, loss = program(*jax.tree.leaves((group.state, group.data)))
            return self._results(group._replace(state=self._state(leaves)), loss, on_device)

    def _results(self, group: _Group, loss: Array, on_device: bool) -> GroupResult:
        state = group.state
        trace = jnp.concatenate([*group.full, state.trace], axis=1)[:, : len(self.ensemble.trace_steps)]
        missing = len(self.ensemble.trace_steps) - trace.shape[1]
        trace = jnp.pad(trace, ((0, 0), (0, missing)), constant_values=jnp.nan) if missing else trace
        values: list[Any] = [self._parameters(group.device, state), state.initial_loss, loss, state.best_loss]
        values += [state.best_step, state.diverged_step, trace]
        if self._dtype != self._result:
            values = [v if v.dtype == np.int32 else v.astype(self._result) for v in values]
        return GroupResult(*(values if on_device else map(np.asarray, values)))

    def _parameters(self, device: int, state: _State) -> Array:
        return self._programs_on(device).parameters(*jax.tree.leaves(state))[0]

    def _state(self, leaves: Sequence[Array]) -> _State:
        """A state from its leaves; the pytrees in it are lists."""
        count = len(self.ensemble.network.leaf_shapes)
        kept = 6 if self._shuffles else 5
        step, params, optimizer, record = leaves[0], leaves[1 : 1 + count], leaves[1 + count : -kept], leaves[-kept:]
        kept_last: Any = record if self._shuffles else (None, *record)
        return _State(step, list(params), list(optimizer), *kept_last)

    @property
    def _shuffles(self) -> bool:
        return self.ensemble.batch_size is not None and not self.ensemble.replacement

    def _data(self, members: Members) -> Any:
        ensemble, own = self.ensemble, members.hyperparameters.items()

        def keys(given: bool, number: int) -> Any:
            return batches.fold_in(members.keys, number) if given else None

        hyperparameters: Any = {name: np.asarray(values, self._dtype) for name, values in own}
        return _Data(
            hyperparameters,
            self._points(members.x, members.y, members.weights),
            keys(ensemble.batch_size is not None, batches.ORDER),
            keys(ensemble.network.takes_key, batches.NOISE),
        )

    def _held_out(self, members: Members) -> Any:
        return None if members.held_out is None else self._points(*members.held_out)

    def _points(self, *values: np.ndarray | None) -> Points:
        return Points(*(None if each is None else np.asarray(each, self._dtype) for each in values))

    def _starting_parameters(self, members: Members):
        return np.asarray(initial_parameters(self.ensemble, members), self._dtype)

    def _initial_state(self, data, vectors):
        params = jax.vmap(self.ensemble.network.unflatten)(vectors)
        width = len(vectors)
        infinite = jnp.full(width, jnp.inf, self._dtype)
        order = jnp.zeros((width, self.ensemble.x_shape[0]), jnp.int32) if self._shuffles else None
        return _State(
            step=jnp.int32(0),
            params=params,
            optimizer=self._start(data.hyperparameters, params),
            order=order,
            initial_loss=self._losses(params, data) if self.ensemble.sampled else infinite,
            best_loss=infinite,
            best_step=jnp.zeros(width, jnp.int32),
            diverged_step=jnp.full(width, -1, jnp.int32),
            trace=jnp.full((width, _COLUMNS if self.ensemble.trace_every else 0), jnp.nan, self._dtype),
        )

    def _steps(self, count, state, data):
        return jax.lax.fori_loop(0, count, lambda _, state: self._one_step(state, data), state)

    def _one_step(self, state, data):
        order, points = self._points_of_step(state, data)
        advance = jax.vmap(self._advance, in_axes=(0, 0, 0, _axes(points)))
        params, optimizer, loss = advance(data.hyperparameters, state.params, state.optimizer, points)
        recorded = self._record(state, loss)
        return recorded._replace(step=state.step + 1, params=params, optimizer=optimizer, order=order)

    def _points_of_step(self, state: _State, data: _Data) -> tuple[Any, Points]:
        """What the members take in a step, and the order in which they go on."""
        ensemble, points, order = self.ensemble, data.points, state.order
        if ensemble.batch_size is not None:
            assert data.order is not None
            every = order if order is not None else jnp.zeros((self.width, ensemble.x_shape[0]), jnp.int32)
            draw = partial(batches.next_batch, size=ensemble.points_a_step, replacement=ensemble.replacement)
            every, taken, factors = jax.vmap(draw, in_axes=(0, 0, None))(data.order, every, state.step)
            order = None if order is None else every
            points = jax.vmap(lambda points, rows: jax.tree.map(lambda a: a[rows], points), in_axes=(_axes(points), 0))(
                points, taken
            )
            if ensemble.weighted:
                mean = ensemble.problem.loss.points == "mean"
                factors = (factors if mean else factors > 0).astype(self._dtype)
                points = points._replace(weights=factors if points.weights is None else factors * points.weights)
        if data.noise is not None:
            points = points._replace(key=batches.fold_in(data.noise, state.step))
        return order, points

    def _losses(self, params, data: _Data):
        loss = jax.vmap(self._loss, in_axes=(0, 0, _axes(data.points)))
        return loss(data.hyperparameters, params, data.points)

    def _judgements(self, params, hyperparameters, points: Points):
        return jax.vmap(self._judged, in_axes=(0, 0, _axes(points)))(hyperparameters, params, points)

    def _record(self, state: _State, loss, *, closing: bool = False) -> _State:
        """Takes note of the loss at `state.step`. Comparisons with NaN are false, so best losses stay finite.

        The loss of a sample, be it a batch or one with noise, is not set beside that of all points.
        """
        sampled = self.ensemble.sampled
        better = (loss < state.best_loss) & ~jnp.asarray(sampled and closing)
        diverged = (state.diverged_step < 0) & ~jnp.isfinite(loss)
        return state._replace(
            initial_loss=state.initial_loss if sampled else jnp.where(state.step == 0, loss, state.initial_loss),
            best_loss=jnp.where(better, loss, state.best_loss),
            best_step=jnp.where(better, state.step, state.best_step),
            diverged_step=jnp.where(diverged, state.step, state.diverged_step),
            trace=self._traced(state, loss),
        )

    def _traced(self, state, loss):
        every = self.ensemble.trace_every
        if every is None:
            return state.trace
        column = state.step // every % _COLUMNS
        kept = jnp.where(state.step % every == 0, loss, state.trace[:, column])
        return state.trace.at[:, column].set(kept)

    def _closing_losses(self, state, data):
        loss = self._losses(state.params, data)
        return self._record(state, loss, closing=True), loss


def _kept(state: _State) -> Iterator[tuple[int, Array]]:
    """Leaves with a row for each member, but for the trace, by their places."""
    yield from list(enumerate(jax.tree.leaves(state)))[1:-1]


def _is_key(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _as_numbers(leaf: Array) -> np.ndarray:
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def _like(leaf: Array, values: np.ndarray) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(values), impl=jax.random.key_impl(leaf)) if _is_key(leaf) else values


def _of_type(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Of numbers such as bfloat16, which files know as bytes."""
    return values.view(dtype) if values.dtype.kind == "V" else values


def _axes(points: Points) -> Any:
    """Along which the members of a group are: of what is each one's own, the first."""
    rank = {"x": 3, "y": 3, "weights": 2, "key": 2}
    given = points._asdict().items()
    return Points(**{name: None if a is None or a.ndim < rank[name] else 0 for name, a in given})


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), tree)


def _flat(function: Callable[..., Any], *args: Any) -> jax.stages.Lowered:
    """A function of pytrees as a program of their leaves, to the list of its results' leaves."""
    leaves, tree = jax.tree.flatten(args)
    return jax.jit(lambda *leaves: jax.tree.leaves(function(*jax.tree.unflatten(tree, leaves)))).lower(*leaves)


def _platform(device: Device) -> str:
    return device.platform


def _seconds(trainer: XlaTrainer, group: _Group, steps: int) -> float:
    began = time.perf_counter()
    trainer.advance(group, steps)
    return time.perf_counter() - began
