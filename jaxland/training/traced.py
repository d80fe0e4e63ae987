"""What is known of an ensemble's functions from tracing each of them: once a call, see `calls`."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jax.extend import core

from jaxland._precision import numerics
from jaxland.training.calls import once
from jaxland.training.step import HasStep, Points, make_step
from jaxland.training.wording import Unworded, digest


class Checked(HasStep, Protocol):
    """An ensemble, which says what is wrong with what is traced."""

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """Numbers of the optimizer, by name."""
        ...

    @property
    def points_a_step(self) -> int:
        """B."""
        ...

    def points_of(self, count: int, dtype: np.dtype) -> Points:
        """The shapes of so many points."""
        ...

    def check_shapes(self, prediction: Any, y: Any) -> None:
        """Raises ValueError where a prediction does not fit the targets, or the loss does not fit both."""
        ...

    def check_penalties(self, params: Any) -> None:
        """Raises TypeError where a penalty of such parameters is no number."""
        ...

    def why_no_step(self, error: Exception, traced: Mapping[str, Any], *shapes: Any) -> TypeError:
        """What is wrong with an optimizer that raised this."""
        ...


class Traced(NamedTuple):
    """What the traces say; none of them is kept, see `jaxland._compiled`.

    Attributes:
        key: names the programs of loss, gradient and optimizer: those with one key compute the same. None where
            something in them has no text, see `wording`.
        learns: whether the network's output depends on its parameters at all.
        state: the shapes of the leaves of the optimizer's state.
    """

    key: str | None
    learns: bool
    state: tuple[jax.ShapeDtypeStruct, ...]


def traced(ensemble: Checked, dtype: np.dtype, *, anew: bool = False) -> Traced:
    """Traces the step of one fit over all points.

    Args:
        ensemble: what is trained.
        dtype: in which.
        anew: even where this call has traced it.

    Raises:
        TypeError, ValueError: the network, the loss or the optimizer does not fit the rest; what they raise themselves.
    """
    return _traced(ensemble, dtype) if anew else once(ensemble, dtype, lambda: _traced(ensemble, dtype))


def _traced(ensemble, dtype) -> Traced:
    with numerics(dtype):
        scalar, vector = _of(dtype, ()), _of(dtype, (ensemble.network.size,))
        points = ensemble.points_of(ensemble.points_a_step, dtype)
        forward, params = _trace_loss(ensemble, vector, points)
        loss = make_step(ensemble).loss
        numbers = dict.fromkeys(sorted(ensemble.hyperparameters), scalar)
        gradient = jax.make_jaxpr(jax.value_and_grad(loss, argnums=1))(numbers, params, points)
        try:
            start, update = trace_optimizer(ensemble, numbers, params, points)
        except Exception as error:  # of any kind: it comes from the optimizer's code or the user's, and is named
            raise ensemble.why_no_step(error, numbers, params, points) from error
        state = tuple(jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in start.out_avals)
        try:
            key = digest(forward, gradient, start, update)
        except Unworded:
            key = None
        return Traced(key, _depends(forward.jaxpr), state)


def _trace_loss(ensemble, vector, points) -> tuple[core.ClosedJaxpr, Any]:
    """The program of prediction and loss, from the flat parameters, and the shapes of these as a pytree."""
    network, seen = ensemble.network, []

    def both(vector, points):
        params = network.unflatten(vector)
        seen.append(jax.tree.map(lambda leaf: _of(leaf.dtype, leaf.shape), params))
        prediction = network.predict(params, points.x)
        ensemble.check_shapes(prediction, points.y)
        ensemble.check_penalties(params)
        return prediction, ensemble.problem.loss(prediction, points.y)

    return jax.make_jaxpr(both)(vector, points), seen[-1]


def trace_optimizer(
    ensemble: Checked, numbers: Mapping[str, Any], params: Any, points: Points
) -> tuple[core.ClosedJaxpr, core.ClosedJaxpr]:
    """The programs of the optimizer's initial state and of its update.

    Args:
        ensemble: what is trained.
        numbers: shapes of hyperparameters, or values, which are then no inputs of the programs.
        params, points: shapes.

    Raises:
        Exception: of any kind, what the optimizer raises.
        TypeError: the state has other parts or shapes after a step.
    """
    step, fixed = make_step(ensemble), {k: v for k, v in numbers.items() if not hasattr(v, "shape")}
    traced_numbers = {name: value for name, value in numbers.items() if name not in fixed}

    def start(numbers, params):
        return step.start({**fixed, **numbers}, params)

    def update(numbers, params, state, gradient, value, points):
        return step.update({**fixed, **numbers}, params, state, gradient, value, points)

    started, state = jax.make_jaxpr(start, return_shape=True)(traced_numbers, params)
    value = _of(points.x.dtype, ())
    updated, (_, after) = jax.make_jaxpr(update, return_shape=True)(
        traced_numbers, params, state, params, value, points
    )
    _check_state(state, after)
    return started, updated


def _check_state(before: Any, after: Any) -> None:
    """Raises TypeError unless a loop can carry the state of an optimizer from step to step."""
    if jax.tree.structure(before) != jax.tree.structure(after):
        raise TypeError("its state has other parts after a step than before the first.")
    for (path, old), new in zip(jax.tree.leaves_with_path(before), jax.tree.leaves(after), strict=True):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            where = jax.tree_util.keystr(path)
            raise TypeError(
                f"its state{where} is {old.dtype}{list(old.shape)}, and {new.dtype}{list(new.shape)} after a step."
            )


def _depends(program: core.Jaxpr) -> bool:
    """Whether the first result depends on the first input."""
    reached: set[Any] = {program.invars[0]}
    for equation in program.eqns:
        if any(atom in reached for atom in equation.invars if not hasattr(atom, "val")):
            reached.update(equation.outvars)
    return not hasattr(program.outvars[0], "val") and program.outvars[0] in reached


def _of(dtype, shape) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)
