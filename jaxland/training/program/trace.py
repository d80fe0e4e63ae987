"""Traces one fit's training into scalar programs: the loss and its gradient over a tile of points, and the update.

A tile is a few points whose gradients are added up before the next tile is taken. The loss is a sum over points, so
is its gradient, and both are written as sums whose terms come in the order of the points; their bits therefore do not
depend on how many points a tile has.
"""

import math
from collections.abc import Iterator
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

    Inputs: `("param", k)`, `("x", (point, component))` and `("y", (point, component))`.
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
    shapes = [aval.shape for aval in program.in_avals]
    kinds = zip(("param", "x", "y"), shapes, strict=True)
    arguments = [input_scalars(build, kind, shape, type) for kind, shape in kinds]
    gradient, value = scalarize(build, program, arguments)
    return TileProgram(points, value.item(), list(gradient))


def tile_jaxpr(ensemble: Ensemble, points: int) -> Any:
    """The jaxpr from parameters, inputs and targets of `points` points to the gradient (P,) and the sum of losses.

    Raises:
        Unlowerable: the network or the loss cannot be traced at so few points.
    """
    network, loss = ensemble.network, ensemble.problem.loss
    (total, inputs), outputs = _data_shapes(ensemble)
    weight = loss.weight(total, outputs)

    def objective(vector, x, y):
        prediction = network.apply(network.unflatten(vector), x)
        if prediction.shape != y.shape:
            raise Unlowerable(f"the network returns shape {prediction.shape} where targets have {y.shape}.")
        value = jnp.sum(loss.values(prediction, y))
        return (value if weight == 1 else weight * value), value

    shapes = [(network.size,), (points, inputs), (points, outputs)]
    with numerics(ensemble.number_format):
        abstract = [jax.ShapeDtypeStruct(shape, ensemble.dtype) for shape in shapes]
        with _of_few_points(points, total):
            return jax.make_jaxpr(jax.grad(objective, has_aux=True))(*abstract)


def check_points_apart(ensemble: Ensemble, most: int | None = None) -> None:
    """Makes sure that what a network says of one point does not depend on which others are beside it.

    Args:
        ensemble: has the network.
        most: see `expression.Builder`.

    Raises:
        Coupled: it does, as with batch normalisation, so that gradients over tiles do not add up.
    """
    network = ensemble.network
    (_, inputs), _ = _data_shapes(ensemble)
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


def _data_shapes(ensemble):
    """((N, D), O)."""
    return ensemble.x_shape, ensemble.y_shape[1]


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
