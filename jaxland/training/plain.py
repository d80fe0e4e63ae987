"""The plain program: what one step of one fit is, compiled by XLA as it stands, with no code of jaxland's between.

Fused kernels are held against it (see `probe`), and its text says which ensembles share a kernel.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from jaxtyping import Float

from jaxland._compiled import Options, compile_with
from jaxland._precision import get_dtype, numerics
from jaxland.training.devices import host_device
from jaxland.training.ensemble import Ensemble
from jaxland.training.step import Points, make_step
from jaxland.training.traced import traced

# It runs for milliseconds, so it is compiled as quickly as XLA can; not every version of it knows every option.
_QUICKLY: list[Options] = [
    {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False},
    {"xla_backend_optimization_level": 0},
    {},
]


class Stepped(NamedTuple):
    """What one step does.

    Attributes:
        loss: before the step.
        gradient: of that loss, (P,).
        params: after the step, (P,).
        state: of the optimizer after the step, its leaves.
    """

    loss: np.ndarray
    gradient: Float[np.ndarray, "P"]
    params: Float[np.ndarray, "P"]
    state: list[np.ndarray]


class At(NamedTuple):
    """Where a step is taken.

    Attributes:
        hyperparameters: one number each, by sorted name.
        params: (P,).
        state: leaves of the optimizer's state; None before the first step.
        points: what the step takes.
        gradient, loss: what the optimizer is given; the program's own where None.
    """

    hyperparameters: list[np.ndarray]
    params: Float[np.ndarray, "P"]
    state: list[np.ndarray] | None
    points: Points
    gradient: Float[np.ndarray, "P"] | None = None
    loss: np.ndarray | None = None


class PlainProgram:
    """The step of one fit of an ensemble, over all its points at once, in one dtype."""

    def __init__(self, ensemble: Ensemble, dtype: np.dtype):
        self._ensemble, self._dtype, self._future = ensemble, dtype, None

    @cached_property
    def key(self) -> str:
        """Names the program, by what it is when this is first asked for: constants included, to their last bit."""
        known = traced(self._ensemble, self._dtype).key
        return known or hashlib.sha256(self.text.encode()).hexdigest()

    def unchanged(self) -> bool:
        """Whether the functions still are what the key says, as far as it can be told by their text."""
        return traced(self._ensemble, self._dtype, anew=True).key in (None, self.key)

    @cached_property
    def text(self) -> str:
        """The program as XLA reads it, constants included."""
        return self._lowered[0].as_text()

    @cached_property
    def _lowered(self) -> tuple[Any, Any]:
        """The program, traced when this is first asked for, and the shapes of the leaves of the optimizer's state."""
        ensemble, dtype = self._ensemble, self._dtype
        names, network, step = sorted(ensemble.hyperparameters), ensemble.network, make_step(ensemble)

        def start(numbers, vector):
            state = step.start(dict(zip(names, numbers, strict=True)), network.unflatten(vector))
            return jax.tree.leaves(state)

        def advance(numbers, vector, leaves, points, gradient, value):
            hyperparameters, params = dict(zip(names, numbers, strict=True)), network.unflatten(vector)
            loss, own = jax.value_and_grad(step.loss, argnums=1)(hyperparameters, params, points)
            tree = jax.tree.structure(jax.eval_shape(step.start, hyperparameters, params))
            state = jax.tree.unflatten(tree, leaves)
            new, state = step.update(hyperparameters, params, state, network.unflatten(gradient), value, points)
            stepped = loss, network.flatten(own), network.flatten(new), jax.tree.leaves(state)
            return stepped, start(numbers, vector)

        scalar, vector = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((), (network.size,)))
        points = ensemble.points_of(ensemble.points_a_step, dtype)
        numbers = [scalar] * len(names)
        with self._numerics():
            state = jax.eval_shape(start, numbers, vector)
            return jax.jit(advance).lower(numbers, vector, state, points, vector, scalar), state

    def lower(self) -> Self:
        """Traces the program now, where it has not been, so that it stays what it is."""
        _ = self._lowered
        return self

    @contextmanager
    def _numerics(self) -> Iterator[None]:
        """On the processor, where there is one: it has float64."""
        with jax.default_device(host_device()), numerics(self._dtype):
            yield

    def compile_aside(self) -> None:
        """Begins to compile in another thread."""
        if self._future is None:
            self._future = _COMPILER.submit(compile_with, self._lowered[0], _QUICKLY)

    @cached_property
    def _program(self) -> Any:
        return compile_with(self._lowered[0], _QUICKLY) if self._future is None else self._future.result()

    def step(self, at: At) -> Stepped:
        """Takes a step."""
        state = self._initial(at) if at.state is None else at.state
        gradient, loss = at.gradient, at.loss
        if gradient is None or loss is None:
            own = self._run(at, state, np.zeros(at.params.shape), np.zeros(()))[0]
            gradient, loss = own.gradient if gradient is None else gradient, own.loss if loss is None else loss
        return self._run(at, state, gradient, loss)[0]

    def _initial(self, at: At) -> list[np.ndarray]:
        none = [np.zeros(leaf.shape, leaf.dtype) for leaf in self._lowered[1]]
        return self._run(at, none, np.zeros(at.params.shape), np.zeros(()))[1]

    def _run(self, at, state, gradient, loss):
        params, gradient, loss, *numbers = (
            np.asarray(values, self._dtype) for values in (at.params, gradient, loss, *at.hyperparameters)
        )
        x, y, weights = (None if a is None else np.asarray(a, self._dtype) for a in at.points[:3])
        points = Points(x, y, weights, at.points.key)
        with self._numerics():
            stepped, start = jax.tree.map(np.asarray, self._program(numbers, params, state, points, gradient, loss))
        return Stepped(*stepped), start


_COMPILER = ThreadPoolExecutor(1, "jaxland-plain")


_EXACT: dict[str, PlainProgram] = {}
_MOST_EXACT = 16


def exact_program(ensemble: Ensemble, plain: PlainProgram) -> PlainProgram:
    """The plain program in float64; the last ones are kept, so that other data cost no compilation.

    Args:
        ensemble: what is trained.
        plain: its program in its own dtype.
    """
    exact = _EXACT.pop(plain.key, None)
    if exact is None:
        float64 = get_dtype("float64")
        exact = plain if ensemble.number_format == float64 else PlainProgram(ensemble, float64)
    # The order of a dictionary is that of use.
    _EXACT[plain.key] = exact.lower()
    if len(_EXACT) > _MOST_EXACT:
        _EXACT.pop(next(iter(_EXACT)), None)
    return exact


@lru_cache(maxsize=1)
def code_version() -> str:
    """Names the code that makes and judges kernels, so that none is kept beyond it."""
    files = sorted(Path(__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
