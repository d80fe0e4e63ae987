"""Small functions of JAX as scalar programs, evaluated by NumPy and by the compiled kernel's own instructions."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxland._precision import numerics
from jaxland.training.lanes import machine
from jaxland.training.lanes.emit import Straight, Writer
from jaxland.training.program.expression import Builder, Expression, evaluate
from jaxland.training.program.layout import Layout
from jaxland.training.program.scalarize import map_scalars, scalarize, type_name
from jaxland.training.program.schedule import Result, schedule

_LANES = 8


def lower(function: Callable, *arrays: np.ndarray) -> tuple[list[Expression], list[Expression], list[tuple[int, ...]]]:
    """The inputs and the outputs of a function as scalar expressions, and the shapes of the outputs."""
    wide = np.dtype(np.float64 if any(array.dtype.itemsize == 8 for array in arrays) else np.float32)
    with numerics(wide):
        closed = jax.make_jaxpr(function)(*(jax.ShapeDtypeStruct(a.shape, a.dtype) for a in arrays))
    build, inputs, arguments = Builder(), [], []
    for array in arrays:
        first, type = len(inputs), type_name(array.dtype)
        inputs += [build.input("in", first + k, type) for k in range(array.size)]
        numbers = first + np.arange(array.size).reshape(array.shape)
        arguments.append(map_scalars(inputs.__getitem__, numbers))
    outputs = scalarize(build, closed, arguments)
    return inputs, [node for output in outputs for node in output.ravel()], [output.shape for output in outputs]


def by_numpy(function: Callable, *arrays: np.ndarray) -> np.ndarray:
    """The first output of a function, its scalar program evaluated by NumPy."""
    inputs, outputs, shapes = lower(function, *arrays)
    numbers = [number for array in arrays for number in array.ravel()]
    values = evaluate(outputs, {node.value: number for node, number in zip(inputs, numbers, strict=True)})
    return np.array(values[: int(np.prod(shapes[0]))]).reshape(shapes[0])


def by_llvm(outputs: Sequence[Expression], columns: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Expressions of inputs `("in", k)`, compiled, for many numbers.

    Args:
        outputs: what is computed.
        columns: the numbers of each input, all of one length.
    """
    layout = Layout(_LANES, {"in": [type_name(c.dtype) for c in columns], "out": [node.type for node in outputs]})
    kernel = machine.load_object(_compiled(outputs, layout), {"start": [machine.ADDRESS]})
    results = [np.empty(len(columns[0]), view.dtype) for view in layout.view(np.zeros(layout.bytes, np.uint8), "out")]
    memory = np.zeros(layout.bytes + 64, np.uint8)
    buffer = memory[-memory.ctypes.data % 64 :][: layout.bytes]
    for start in range(0, len(columns[0]), _LANES):
        count = min(_LANES, len(columns[0]) - start)
        for view, column in zip(layout.view(buffer, "in"), columns, strict=True):
            view[:count] = column[start : start + count]
        kernel.functions["start"](buffer.ctypes.data)
        for view, result in zip(layout.view(buffer, "out"), results, strict=True):
            result[start : start + count] = view[:count]
    return results


def _compiled(outputs, layout):
    writer = Writer(layout, machine.host(), "f32")
    writer.label("entry")
    Straight(writer).emit(schedule([Result(("out", k), node) for k, node in enumerate(outputs)]))
    lines = ["define void @start(ptr noalias %state) {", *writer.text, "  ret void", "}", *sorted(writer.declarations)]
    return machine.compile_object("\n".join(lines) + "\n", machine.host())
