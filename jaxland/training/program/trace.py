"""Traces one fit's training into scalar programs: the loss and its gradient over a tile of points, and the update.

A tile is a few points whose gradients are added up before the next tile is taken. The loss is a sum over points, so
is its gradient, and both are written as sums whose terms come in the order of the points; their bits therefore do not
depend on how many points a tile has.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxland._precision import numerics
from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Builder, Expression, Unlowerable, reachable
from jaxland.training.program.interpreter import inner_program
from jaxland.training.program.scalarize import Scalars, map_scalars, scalarize, type_name


class Coupled(Unlowerable):
    """What a network says of a point depends on which others are beside it."""


class TileProgram(NamedTuple):
    """The gradient over a tile.

    Inputs: `("param", k)`, `("x", (point, component))`, `("y", (point, component))`, and where the ensemble has them
    `("w", (point, 0))` and `("hyper", k)`.
    """

    points: int
    loss: Expression
    """Sum of the losses, before `Loss.weight`."""
    gradient: list[Expression]
    """dL/dw_k of this tile, weight included, for each of the P parameters."""


class UpdateProgram(NamedTuple):
    """The optimizer's update, and its state before the first step.

    Inputs: `("param", k)`, `("grad", k)`, `("state", k)`, `("hyper", k)` and `("loss", 0)`, of which the initial state
    knows parameters and hyperparameters only.
    """

    state_types: list[str]
    initial_state: list[Expression]
    params: list[Expression]
    state: list[Expression]
    state_params: list[int | None]
    """For each entry of the state the parameter it belongs to, as a velocity does; None for a count of steps."""


def trace_tile(ensemble: Ensemble, points: int, *, float64: bool = True, most: int | None = None) -> TileProgram:
    """The scalar program of the loss and its gradient over `points` points.

    Args:
        ensemble: what is trained.
        points: of a tile.
        float64, most: see `expression.Builder`.

    Raises:
        Unlowerable: something in it has no scalar form.
    """
    type = ensemble.scalar_type
    build = Builder(float64, most)
    program = tile_jaxpr(ensemble, points)
    gradient, value = scalarize(build, program, _arguments(build, tile_inputs(ensemble), program, type))
    return TileProgram(points, value.item(), list(gradient))


def trace_loss(ensemble: Ensemble, points: int, *, most: int | None = None) -> Expression:
    """The scalar program of the sum of losses over `points` points, of the same inputs as `trace_tile`."""
    build, program = Builder(most=most), loss_jaxpr(ensemble, points)
    (value,) = scalarize(build, program, _arguments(build, tile_inputs(ensemble), program, ensemble.scalar_type))
    return value.item()


def trace_penalties(ensemble: Ensemble) -> tuple[list[Expression], Expression] | None:
    """The scalar program of penalties: their gradient and their sum, see `Penalties`; None where there are none."""
    penalties = penalties_jaxpr(ensemble)
    if penalties is None:
        return None
    build = Builder()
    arguments = _arguments(build, penalties.inputs, penalties.program, ensemble.scalar_type)
    gradient, value = scalarize(build, penalties.program, arguments)
    return list(gradient), value.item()


def _arguments(build: Builder, inputs: list[tuple[str, int]], program: Any, type: str) -> list[Scalars]:
    """The inputs of a program by kind: single numbers by their place, arrays from their first entry on."""
    return [
        np.array(build.input(kind, place, type), dtype=object)
        if aval.shape == ()
        else input_scalars(build, kind, aval.shape, type)
        for (kind, place), aval in zip(inputs, program.in_avals, strict=True)
    ]


def tile_inputs(ensemble: Ensemble) -> list[tuple[str, int]]:
    """What the arguments of `tile_jaxpr` are: kinds of memory, and the place of the first entry."""
    weights = [("w", 0)] if ensemble.weighted else []
    return [("param", 0), ("x", 0), ("y", 0), *weights, *_numbers_of_loss(ensemble)]


def _numbers_of_loss(ensemble: Ensemble, of: Mapping[str, Any] | None = None) -> list[tuple[str, int]]:
    known = ensemble.problem.loss.numbers if of is None else of
    return [("hyper", k) for k, name in enumerate(sorted(ensemble.hyperparameters)) if name in known]


def tile_jaxpr(ensemble: Ensemble, points: int) -> Any:
    """The jaxpr from `tile_inputs` at `points` points to the gradient (P,) and the sum of losses.

    Raises:
        Unlowerable: the network or the loss cannot be traced at so few points.
    """
    total, outputs = ensemble.points_a_step, ensemble.y_shape[1]
    weight = ensemble.problem.loss.weight(total, outputs)

    def objective(*arguments):
        value = _sum_of_losses(ensemble, *arguments)
        return (value if weight == 1 else weight * value), value

    return _tile_jaxpr(ensemble, points, jax.grad(objective, has_aux=True), total)


def loss_jaxpr(ensemble: Ensemble, points: int) -> Any:
    """The jaxpr from `tile_inputs` at `points` points to the sum of their losses.

    Raises:
        Unlowerable: the network or the loss cannot be traced at so few points.
    """
    return _tile_jaxpr(ensemble, points, lambda *arguments: _sum_of_losses(ensemble, *arguments), points)


def _tile_jaxpr(ensemble, points, function, total) -> Any:
    require_without_noise(ensemble)
    with numerics(ensemble.number_format):
        x, y, weights, _ = ensemble.points_of(points, ensemble.number_format)
        scalar, vector = (jax.ShapeDtypeStruct(shape, ensemble.dtype) for shape in ((), (ensemble.network.size,)))
        column = [] if weights is None else [jax.ShapeDtypeStruct((points, 1), ensemble.dtype)]
        with _of_few_points(points, total):
            return jax.make_jaxpr(function)(vector, x, y, *column, *[scalar] * len(_numbers_of_loss(ensemble)))


def _sum_of_losses(ensemble, vector, x, y, *others):
    network, loss = ensemble.network, ensemble.problem.loss
    names = [name for name in sorted(ensemble.hyperparameters) if name in loss.numbers]
    weights = others[0][:, 0] if ensemble.weighted else None
    prediction = network.apply(network.unflatten(vector), x)
    if prediction.shape[0] != y.shape[0] or not loss.takes(prediction.shape[1], y.shape[1]):
        raise Unlowerable(f"the network returns shape {prediction.shape} where targets have {y.shape}.")
    numbers = dict(zip(names, others[ensemble.weighted :], strict=True))
    return jnp.sum(loss.weighted(prediction, y, weights, numbers))


def require_without_noise(ensemble: Ensemble) -> None:
    """Raises Unlowerable where the network takes a key: noise is drawn for all points of a step together."""
    if ensemble.network.takes_key:
        raise Unlowerable("the network takes a key for its noise, which is drawn for all points of a step at once.")


def require_all_points_alike(ensemble: Ensemble, backend: str) -> None:
    """Makes sure that a step is nothing but the sum of the same loss over all points, for backends that know no more.

    Raises:
        Unlowerable: it is more.
    """
    problem = ensemble.problem
    more = {
        "mini-batches": ensemble.batch_size is not None,
        "weights of points": ensemble.weighted,
        "noise": ensemble.network.takes_key,
        "numbers of the loss that fits differ in": any(name in problem.numbers for name in ensemble.hyperparameters),
        "penalties": bool(problem.penalty),
        "validation": ensemble.validation is not None,
    }
    for name in (name for name, given in more.items() if given):
        raise Unlowerable(f"{backend} has no kernels for {name}; lanes and xla have.")


class Penalties(NamedTuple):
    """The jaxpr of an ensemble's penalties, and what its arguments are.

    Its results are the gradient (P,) of their sum, and the sum in units of the loss before `Loss.weight`.
    """

    program: Any
    inputs: list[tuple[str, int]]


def penalties_jaxpr(ensemble: Ensemble) -> Penalties | None:
    """The penalties of an ensemble; None where it has none."""
    problem, network, dtype = ensemble.problem, ensemble.network, ensemble.number_format
    if not problem.penalty:
        return None
    taken = {name for each in problem.penalty for name in each.numbers}
    names = [name for name in sorted(ensemble.hyperparameters) if name in taken]
    weight = problem.loss.weight(ensemble.points_a_step, ensemble.y_shape[1])

    def penalties(vector, *numbers):
        value = problem.penalties(network.unflatten(vector), dict(zip(names, numbers, strict=True)))
        return value, value / weight

    with numerics(dtype):
        scalar, vector = (jax.ShapeDtypeStruct(shape, dtype) for shape in ((), (network.size,)))
        program = jax.make_jaxpr(jax.grad(penalties, has_aux=True))(vector, *[scalar] * len(names))
    return Penalties(program, [("param", 0), *_numbers_of_loss(ensemble, dict.fromkeys(taken))])


def check_points_apart(ensemble: Ensemble, most: int | None = None) -> None:
    """Makes sure that what a network says of one point does not depend on which others are beside it.

    Args:
        ensemble: has the network.
        most: see `expression.Builder`.

    Raises:
        Coupled: it does, as with batch normalisation, so that gradients over tiles do not add up.
    """
    network, inputs = ensemble.network, ensemble.x_shape[1]
    dtype = ensemble.number_format
    build = Builder(most=most)
    with numerics(dtype):
        abstract = jax.ShapeDtypeStruct((network.size,), dtype), jax.ShapeDtypeStruct((2, inputs), dtype)
        with _of_few_points(2, ensemble.x_shape[0]):
            program = jax.make_jaxpr(network.apply_flat)(*abstract)
    arguments = [input_scalars(build, "param", (network.size,), ensemble.scalar_type)]
    arguments.append(input_scalars(build, "x", (2, inputs), ensemble.scalar_type))
    (outputs,) = scalarize(build, program, arguments)
    for point in range(2):
        for node in reachable(list(outputs[point].ravel())):
            if node.op == "input" and node.value[0] == "x" and node.value[1][0] != point:
                raise Coupled("the network couples points, so that its gradient is not a sum over tiles.")


def count_comparisons(ensemble: Ensemble) -> int:
    """About how many comparisons the gradient at a point makes, counted in its jaxpr.

    Raises:
        Unlowerable: the network or the loss cannot be traced at one point.
    """
    return _comparisons(tile_jaxpr(ensemble, 1).jaxpr)


def _comparisons(jaxpr: Any) -> int:
    total = 0
    for equation in jaxpr.eqns:
        inner = inner_program(equation)
        if inner is not None:
            total += _comparisons(getattr(inner, "jaxpr", inner))
        elif equation.primitive.name in ("lt", "le", "gt", "ge", "max", "min"):
            total += math.prod(equation.outvars[0].aval.shape)
    return total


@contextmanager
def _of_few_points(points: int, total: int) -> Iterator[None]:
    """What can be traced for all points, and not for some, depends on which they are."""
    try:
        yield
    except Unlowerable:
        raise
    except Exception as error:  # of any kind: it is the user's code, which may raise anything at too few points
        reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
        raise Unlowerable(
            f"the network or the loss cannot be evaluated at {points} of the {total} points alone ({reason})."
        ) from error


def trace_update(ensemble: Ensemble, *, float64: bool = True) -> UpdateProgram:
    """The scalar programs of the optimizer.

    Args:
        ensemble: what is trained.
        float64: see `expression.Builder`.

    Raises:
        Unlowerable: something in it has no scalar form.
    """
    network, type = ensemble.network, ensemble.scalar_type
    names = sorted(ensemble.hyperparameters)
    start_program, update_program, leaves = update_jaxprs(ensemble)
    build = Builder(float64)
    hyper = [build.input("hyper", k, type) for k in range(len(names))]
    hyper = [np.array(node, dtype=object) for node in hyper]
    params = input_scalars(build, "param", (network.size,), type)
    initial = scalarize(build, start_program, [*hyper, params])
    state = _state_inputs(build, leaves)
    value = np.array(build.input("loss", 0, type), dtype=object)
    gradient = input_scalars(build, "grad", (network.size,), type)
    new_params, *new_state = scalarize(build, update_program, [*hyper, params, *state, gradient, value])
    return UpdateProgram(
        state_types=[node.type for leaf in state for node in leaf.ravel()],
        initial_state=[node for leaf in initial for node in leaf.ravel()],
        params=list(new_params),
        state=[node for leaf in new_state for node in leaf.ravel()],
        state_params=_owners([leaf.shape for leaf in state], _leaf_shapes(ensemble)),
    )


def update_jaxprs(ensemble: Ensemble) -> tuple[Any, Any, list[jax.ShapeDtypeStruct]]:
    """The jaxprs of the optimizer, and the leaves of its state.

    The first goes from hyperparameters and parameters to the state's leaves, the second from hyperparameters,
    parameters, leaves, gradient and loss to parameters and leaves.
    """
    network, dtype = ensemble.network, ensemble.number_format
    names = sorted(ensemble.hyperparameters)

    def start(hyperparameters, vector):
        state = ensemble.transformation(dict(zip(names, hyperparameters, strict=True))).init(network.unflatten(vector))
        return jax.tree.leaves(state)

    def update(hyperparameters, vector, leaves, gradient, value):
        params, gradient = network.unflatten(vector), network.unflatten(gradient)
        transformation = ensemble.transformation(dict(zip(names, hyperparameters, strict=True)))
        state = jax.tree.unflatten(jax.tree.structure(jax.eval_shape(transformation.init, params)), leaves)
        updates, state = transformation.update(
            gradient, state, params, value=value, grad=gradient, value_fn=_no_second_evaluation
        )
        return network.flatten(optax.apply_updates(params, updates)), jax.tree.leaves(state)

    scalar, vector = jax.ShapeDtypeStruct((), dtype), jax.ShapeDtypeStruct((network.size,), dtype)
    with numerics(dtype):
        numbers = [scalar] * len(names)
        leaves = jax.eval_shape(start, numbers, vector)
        start_program = jax.make_jaxpr(start)(numbers, vector)
        update_program = jax.make_jaxpr(update)(numbers, vector, leaves, vector, scalar)
    return start_program, update_program, leaves


def _leaf_shapes(ensemble):
    vector = jax.ShapeDtypeStruct((ensemble.network.size,), np.float32)
    return [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(ensemble.network.unflatten, vector))]


def _owners(shapes, param_shapes):
    """Finds the parts of an optimizer's state that have one entry a parameter, by the shapes of their leaves."""
    owners: list[int | None] = []
    leaf = 0
    while leaf < len(shapes):
        if shapes[leaf : leaf + len(param_shapes)] == param_shapes:
            owners += range(sum(map(math.prod, param_shapes)))
            leaf += len(param_shapes)
        else:
            owners += [None] * math.prod(shapes[leaf])
            leaf += 1
    return owners


def _no_second_evaluation(*_, **__):
    raise Unlowerable("the optimizer evaluates the loss a second time within a step (a line search).")


def input_scalars(build: Builder, kind: str, shape: tuple[int, ...], type: str) -> Scalars:
    """An array of inputs, named `(kind, index)`: a vector's by position, others' by their tuple of indices."""
    indices = np.empty(shape, dtype=object)
    for position, index in enumerate(np.ndindex(*shape)):
        indices[index] = index if len(shape) > 1 else position
    return map_scalars(lambda index: build.input(kind, index, type), indices)


def _state_inputs(build: Builder, leaves: Any) -> list[Scalars]:
    arrays, first = [], 0
    for leaf in leaves:
        count = math.prod(leaf.shape)
        type = type_name(leaf.dtype)
        scalars = np.array([build.input("state", first + k, type) for k in range(count)], dtype=object)
        arrays.append(scalars.reshape(leaf.shape))
        first += count
    return arrays
