"""The reference backend: the step of one fit, vmapped over a group of fits and compiled by XLA.

It takes any network and any optax optimizer. A group has one fixed width and fit i always stands at place i modulo
that width, whatever else is trained beside it: the width of a vmapped program changes the bits of its results.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxland._names import lookup
from jaxland._precision import get_dtype, numerics
from jaxland.training.devices import Device, local_devices
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.initial import initial_parameters
from jaxland.training.products import products_as_sums
from jaxland.training.program import cache
from jaxland.training.provenance import versions
from jaxland.training.step import make_step
from jaxland.training.trainer import GroupResult, available_threads

# On a CPU 16 fits fill the vector units and stay in cache; an accelerator wants thousands to fill its cores.
WIDTHS = {"cpu": 16}
ACCELERATOR_WIDTH = 8192

MATMULS: dict[str, Callable[[Callable], Callable]] = {"dot": lambda function: function, "sum": products_as_sums}
"""Ways to compute matrix products. On a CPU "dot" is the faster by far; on an accelerator it is measured."""

_MEASUREMENTS = 3
_MEASURED_SECONDS = 0.05


class _State(NamedTuple):
    step: Int[Array, ""]
    params: Any
    optimizer: Any
    initial_loss: Float[Array, "W"]
    best_loss: Float[Array, "W"]
    best_step: Int[Array, "W"]
    diverged_step: Int[Array, "W"]
    trace: Float[Array, "W T"]


class _Group(NamedTuple):
    """A group of fits on a device, the number of which is `device`."""

    device: int
    state: _State
    data: Any


class _Programs(NamedTuple):
    """What is compiled for one device."""

    begin: Callable[..., _State]
    advance: Callable[..., _State]
    finish: Callable[..., tuple[_State, Array]]


class XlaTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; chosen for this machine by default.
        devices: where; all of `jaxland.training.local_devices` by default.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: the `width` of a group; where
            there was a choice, the name in `MATMULS` of the way `matmul` in which products are computed, else "dot";
            and `arithmetic`, "float64" where a float32 ensemble has numbers that XLA's float32 would take for zero.

    Raises:
        ValueError: there is no such way, or float64 data has numbers that XLA would take for zero.
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
        self._parameters = jax.jit(lambda state: jax.vmap(ensemble.network.flatten)(state.params))
        self._programs: dict[int, _Programs] = {}
        self._compiling = [threading.Lock() for _ in self._devices]
        self._programs_on(0)

    def _use(self, matmul: str) -> None:
        """Takes the step of one fit to that of a group."""
        step, form = make_step(self.ensemble), lookup("matmul", matmul, MATMULS)
        x_axis = 0 if self.ensemble.inputs is not None else None
        y_axis = 0 if self.ensemble.targets is not None else None
        self._loss = jax.vmap(form(step.loss), in_axes=(0, x_axis, y_axis))
        self._start = jax.vmap(step.start)
        self._step = jax.vmap(form(step.advance), in_axes=(0, 0, 0, x_axis, y_axis))

    def _fastest_matmul(self) -> str:
        """Measured the first time, then remembered for this program and device."""
        self._use("dot")
        with self._on(0):
            program = self._lowered()[1].as_text()
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

    def _lowered(self):
        """The programs of the beginning, of some steps and of the closing losses; the last two not yet compiled."""
        members = self.ensemble.members(self._first())
        data, begin = self._data(members), jax.jit(self._initial_state)
        state = jax.eval_shape(begin, data, self._starting_parameters(members))
        # New functions each time: JAX would take what it traced with the other products for one it has seen.
        advance = jax.jit(lambda count, state, data: self._steps(count, state, data))
        finish = jax.jit(lambda state, data: self._closing_losses(state, data))
        return begin, advance.lower(jnp.int32(0), state, data), finish.lower(state, data)

    def _programs_on(self, device: int) -> _Programs:
        """The programs of a device, compiled when it is first used: several compile theirs at a time."""
        with self._compiling[device]:
            if device not in self._programs:
                with self._on(device):
                    begin, advance, finish = self._lowered()
                    self._programs[device] = _Programs(begin, advance.compile(), finish.compile())
        return self._programs[device]

    @contextmanager
    def _on(self, device: int) -> Iterator[None]:
        with jax.default_device(self._devices[device]), numerics(self._dtype):
            yield

    def begin(self, members: Members, device: int = 0) -> _Group:
        """The state of a group before its first step, on one of the devices."""
        programs = self._programs_on(device)
        with self._on(device):
            data = self._data(members)
            return _Group(device, programs.begin(data, self._starting_parameters(members)), data)

    def advance(self, group: _Group, steps: int) -> _Group:
        """The state `steps` steps later; returns when the work is done."""
        program = self._programs_on(group.device).advance
        with self._on(group.device):
            return group._replace(state=jax.block_until_ready(program(jnp.int32(steps), group.state, group.data)))

    def parameters(self, group: _Group) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        with self._on(group.device):
            return np.asarray(self._parameters(group.state), self._result)

    def finish(self, group: _Group, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step."""
        with self._on(group.device):
            state, loss = self._programs_on(group.device).finish(group.state, group.data)
            values: list[Any] = [self._parameters(state), state.initial_loss, loss, state.best_loss]
            values += [state.best_step, state.diverged_step, state.trace]
            if self._dtype != self._result:
                values = [v if v.dtype == np.int32 else v.astype(self._result) for v in values]
            return GroupResult(*(values if on_device else map(np.asarray, values)))

    def _data(self, members: Members):
        own = members.hyperparameters.items()
        hyperparameters = {name: jnp.asarray(values, self._dtype) for name, values in own}
        return hyperparameters, jnp.asarray(members.x, self._dtype), jnp.asarray(members.y, self._dtype)

    def _starting_parameters(self, members: Members):
        return jnp.asarray(initial_parameters(self.ensemble, members), self._dtype)

    def _initial_state(self, data, vectors):
        params = jax.vmap(self.ensemble.network.unflatten)(vectors)
        width = len(vectors)
        infinite = jnp.full(width, jnp.inf, self._dtype)
        return _State(
            step=jnp.int32(0),
            params=params,
            optimizer=self._start(data[0], params),
            initial_loss=infinite,
            best_loss=infinite,
            best_step=jnp.zeros(width, jnp.int32),
            diverged_step=jnp.full(width, -1, jnp.int32),
            trace=jnp.full((width, len(self.ensemble.trace_steps)), jnp.nan, self._dtype),
        )

    def _steps(self, count, state, data):
        return jax.lax.fori_loop(0, count, lambda _, state: self._one_step(state, data), state)

    def _one_step(self, state, data):
        params, optimizer, loss = self._step(data[0], state.params, state.optimizer, *data[1:])
        return self._record(state, loss)._replace(step=state.step + 1, params=params, optimizer=optimizer)

    def _record(self, state: _State, loss) -> _State:
        """Takes note of the loss at `state.step`. Comparisons with NaN are false, so best losses stay finite."""
        better = loss < state.best_loss
        diverged = (state.diverged_step < 0) & ~jnp.isfinite(loss)
        return state._replace(
            initial_loss=jnp.where(state.step == 0, loss, state.initial_loss),
            best_loss=jnp.where(better, loss, state.best_loss),
            best_step=jnp.where(better, state.step, state.best_step),
            diverged_step=jnp.where(diverged, state.step, state.diverged_step),
            trace=self._traced(state, loss),
        )

    def _traced(self, state, loss):
        every = self.ensemble.trace_every
        if every is None:
            return state.trace
        column = state.step // every
        kept = jnp.where(state.step % every == 0, loss, state.trace[:, column])
        return state.trace.at[:, column].set(kept)

    def _closing_losses(self, state, data):
        loss = self._loss(state.params, *data[1:])
        return self._record(state, loss), loss


def _platform(device: Device) -> str:
    return device.platform


def _seconds(trainer: XlaTrainer, group: _Group, steps: int) -> float:
    began = time.perf_counter()
    trainer.advance(group, steps)
    return time.perf_counter() - began
