"""The reference backend: the step of one fit, vmapped over a group of fits and compiled by XLA.

It takes any network and any optax optimizer. A group has one fixed width and fit i always stands at place i modulo
that width, whatever else is trained beside it: the width of a vmapped program changes the bits of its results.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxland._names import lookup
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.fits import device, versions
from jaxland.training.initial import initial_parameters
from jaxland.training.precision import get_dtype, numerics
from jaxland.training.products import products_as_sums
from jaxland.training.step import make_step
from jaxland.training.trainer import GroupResult

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


class XlaTrainer:
    """Trains groups of fits of one ensemble; see `jaxland.training.trainer.Trainer`.

    Args:
        ensemble: what is trained.
        settings: those of an earlier trainer, to repeat its bits; chosen for this machine by default.

    Attributes:
        settings: what decides the bits of a fit besides the ensemble, as JSON values: the `width` of a group and, where
            there was a choice, the name in `MATMULS` of the way `matmul` in which products are computed; else "dot".

    Raises:
        ValueError: there is no such way.
    """

    name = "xla"

    def __init__(self, ensemble: Ensemble, settings: Mapping[str, Any] | None = None):
        self.ensemble = ensemble
        self._dtype = get_dtype(ensemble.dtype)
        platform = jax.default_backend()
        self.width = int((settings or {}).get("width", WIDTHS.get(platform, ACCELERATOR_WIDTH)))
        self.settings: dict[str, Any] = {"width": self.width}
        if settings is None and platform != "cpu":
            self.settings["matmul"] = self._fastest_matmul()
        elif settings and "matmul" in settings:
            self.settings["matmul"] = settings["matmul"]
        self._compile(self.settings.get("matmul", "dot"))

    def _fastest_matmul(self) -> str:
        """Measured the first time, then remembered for this program and device."""
        # Imported when used: nothing else here needs what lanes is made of.
        from jaxland.training.lanes import cache

        with numerics(self._dtype):
            program = self._lower("dot")[0].as_text()
        key = cache.key_of("matmul", program, device(), versions())
        known = cache.load_choice(key)
        if known is None:
            seconds = {matmul: self._seconds_per_step(matmul) for matmul in MATMULS}
            known = {"matmul": min(seconds, key=lambda matmul: seconds[matmul])}
            cache.store_choice(key, known)
        return known["matmul"]

    def _seconds_per_step(self, matmul: str) -> float:
        """The smallest of several measurements of a group; infinite where the device has no room for it."""
        try:
            self._compile(matmul)
            group = self.advance(self.begin(self.ensemble.members(self._first())), 2)
            steps, elapsed = 1, 0.0
            while elapsed < _MEASURED_SECONDS:
                steps *= 2
                elapsed = self._seconds(group, steps)
            return min(self._seconds(group, steps) for _ in range(_MEASUREMENTS)) / steps
        except jax.errors.JaxRuntimeError:
            return math.inf

    def _seconds(self, group, steps) -> float:
        began = time.perf_counter()
        self.advance(group, steps)
        return time.perf_counter() - began

    def _first(self):
        return np.arange(self.width) + self.ensemble.first

    def _lower(self, matmul: str):
        """The programs of some steps and of the closing losses, and that of the beginning, which XLA has yet to see."""
        step, form = make_step(self.ensemble), lookup("matmul", matmul, MATMULS)
        x_axis = 0 if self.ensemble.inputs is not None else None
        y_axis = 0 if self.ensemble.targets is not None else None
        self._loss = jax.vmap(form(step.loss), in_axes=(0, x_axis, y_axis))
        self._start = jax.vmap(step.start)
        self._step = jax.vmap(form(step.advance), in_axes=(0, 0, 0, x_axis, y_axis))
        members = self.ensemble.members(self._first())
        data, begin = self._data(members), jax.jit(self._initial_state)
        state = jax.eval_shape(begin, data, self._starting_parameters(members))
        # New functions each time: JAX would take what it traced with the other products for one it has seen.
        advance = jax.jit(lambda count, state, data: self._steps(count, state, data))
        finish = jax.jit(lambda state, data: self._closing_losses(state, data))
        return advance.lower(jnp.int32(0), state, data), finish.lower(state, data), begin

    def _compile(self, matmul: str):
        with numerics(self._dtype):
            advance, finish, self._begin = self._lower(matmul)
            self._advance, self._finish = advance.compile(), finish.compile()
            self._parameters = jax.jit(lambda state: jax.vmap(self.ensemble.network.flatten)(state.params))

    def begin(self, members: Members) -> tuple[_State, Any]:
        """The state of a group before its first step."""
        with numerics(self._dtype):
            data = self._data(members)
            return self._begin(data, self._starting_parameters(members)), data

    def advance(self, group: tuple[_State, Any], steps: int) -> tuple[_State, Any]:
        """The state `steps` steps later; returns when the work is done."""
        state, data = group
        with numerics(self._dtype):
            return jax.block_until_ready(self._advance(jnp.int32(steps), state, data)), data

    def parameters(self, group: tuple[_State, Any]) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        with numerics(self._dtype):
            return np.asarray(self._parameters(group[0]))

    def finish(self, group: tuple[_State, Any]) -> GroupResult:
        """The results of a group after its last step."""
        with numerics(self._dtype):
            state, loss = self._finish(*group)
            return GroupResult(
                params=self.parameters((state, None)),
                initial_loss=np.asarray(state.initial_loss),
                loss=np.asarray(loss),
                best_loss=np.asarray(state.best_loss),
                best_step=np.asarray(state.best_step),
                diverged_step=np.asarray(state.diverged_step),
                trace=np.asarray(state.trace),
            )

    def _data(self, members: Members):
        hyperparameters = {name: jnp.asarray(values) for name, values in members.hyperparameters.items()}
        return hyperparameters, jnp.asarray(members.x), jnp.asarray(members.y)

    def _starting_parameters(self, members: Members):
        return jnp.asarray(initial_parameters(self.ensemble, members))

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
        state = self._record(state, loss)
        # A weight can become infinite behind a ReLU that never fires again and leave the loss finite.
        finite = jnp.stack(
            [jnp.isfinite(leaf).reshape(self.width, -1).all(1) for leaf in jax.tree.leaves(state.params)]
        )
        unseen = (state.diverged_step < 0) & ~finite.all(0)
        return state._replace(diverged_step=jnp.where(unseen, state.step, state.diverged_step)), loss
