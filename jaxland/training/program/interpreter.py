"""Runs a jaxpr on values of another kind than JAX's, an equation at a time; programs within it are inlined."""

import itertools
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from jaxland.training.program.expression import Unlowerable

V = TypeVar("V")

_LONGEST_SCAN = 256

_CALLS = {
    "jit",
    "pjit",
    "closed_call",
    "core_call",
    "core_closed_call",
    "checkpoint",
    "remat2",
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vjp_call_jaxpr",
}
"""Primitives that run their program once on their inputs, and are nothing beside it."""


class Interpreter(Generic[V]):
    """What to do with constants and equations is for those who inherit from it to say."""

    def constant(self, value: Any, dtype: Any = None) -> V:
        """A number or an array of numbers, of the type `dtype` or, by default, of its own."""
        raise NotImplementedError

    def apply(self, equation: Any, inputs: list[V]) -> V | list[V]:
        """The result, or the results, of an equation that has no program to inline."""
        raise NotImplementedError

    def run(self, jaxpr: Any, constants: Sequence[V], arguments: Sequence[V]) -> list[V]:
        """The outputs of a program."""
        values = dict(zip(jaxpr.constvars, constants, strict=True))
        values.update(zip(jaxpr.invars, arguments, strict=True))

        def read(atom: Any) -> V:
            # A literal may be a number of Python, whose own type is not that of the program.
            return self.constant(atom.val, atom.aval.dtype) if hasattr(atom, "val") else values[atom]

        for equation in jaxpr.eqns:
            outputs = self.equation(equation, [read(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def equation(self, equation: Any, inputs: list[V]) -> list[V]:
        """The results of an equation."""
        inner = inner_program(equation)
        if inner is not None:
            return self.closed(inner, inputs)
        result = self.apply(equation, inputs)
        return result if isinstance(result, list) else [result]

    def closed(self, program: Any, inputs: Sequence[V]) -> list[V]:
        """The outputs of a program that brings its constants with it, if it has any."""
        if hasattr(program, "consts"):
            return self.run(program.jaxpr, [self.constant(c) for c in program.consts], inputs)
        return self.run(program, [], inputs)


def inner_program(equation: Any) -> Any:
    """The program a call-like equation runs once on its inputs, or None."""
    if equation.primitive.name not in _CALLS:
        return None
    return next(equation.params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in equation.params)


def parts_of_scan(
    inputs: Sequence[V], length: int, num_consts: int, num_carry: int, ft_in: Any
) -> tuple[list[V], list[V], list[V]]:
    """What each turn of a scan has, what it hands on, and what it has an entry of.

    Raises:
        Unlowerable: it is too long to be unrolled.
    """
    if length > _LONGEST_SCAN:
        raise Unlowerable(f"the primitive `scan` is unrolled up to {_LONGEST_SCAN} times, not {length}.")
    if ft_in is not None:
        # JAX from 0.11 on has a tree in the place of the numbers.
        constants, carry, sequences = map(list, ft_in.update(inputs).unpack())
        return constants, carry, sequences
    firsts = (0, num_consts, num_consts + num_carry, len(inputs))
    constants, carry, sequences = (list(inputs[i:j]) for i, j in itertools.pairwise(firsts))
    return constants, carry, sequences
