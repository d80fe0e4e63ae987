"""Scalar code with loops, conditions and variables, written in Python's own words.

    with code.loop(0, code.load("i32", counts, 3)) as i:
        with code.when(code.load("f32", losses, i) > best.value):
            best.value = code.load("f32", losses, i)

It is for what happens to one lane now and then; kernels proper are vectors (`emit`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Union

from jaxland.training.lanes.emit import Writer, number
from jaxland.training.program.expression import FLOATS

_TEXT = {"f32": "float", "f64": "double", "i1": "i1", "i8": "i8", "i32": "i32", "i64": "i64"}
_BYTES = {"f32": 4, "f64": 8, "i8": 1, "i32": 4, "i64": 8}

Operand = Union["Scalar", int, float]


class Scalar:
    """A number known while the code runs; a number of Python beside it takes its type."""

    def __init__(self, code: "Code", text: str, type: str):
        self.code, self.text, self.type = code, text, type

    def _with(self, integer: str, real: str, other: Operand, result: str | None = None) -> "Scalar":
        instruction = real if self.type in FLOATS else integer
        text = f"{instruction} {_TEXT[self.type]} {self.text}, {self.code.constant(other, self.type).text}"
        return Scalar(self.code, self.code.writer.put(text), result or self.type)

    def __add__(self, other: Operand) -> "Scalar":
        return self._with("add", "fadd", other)

    def __sub__(self, other: Operand) -> "Scalar":
        return self._with("sub", "fsub", other)

    def __mul__(self, other: Operand) -> "Scalar":
        return self._with("mul", "fmul", other)

    def __truediv__(self, other: Operand) -> "Scalar":
        return self._with("sdiv", "fdiv", other)

    def __and__(self, other: Operand) -> "Scalar":
        return self._with("and", "", other)

    def __or__(self, other: Operand) -> "Scalar":
        return self._with("or", "", other)

    def __lshift__(self, other: Operand) -> "Scalar":
        return self._with("shl", "", other)

    def __invert__(self) -> "Scalar":
        return self._with("xor", "", True if self.type == "i1" else -1)

    def __lt__(self, other: Operand) -> "Scalar":
        return self._with("icmp slt", "fcmp olt", other, "i1")

    def __gt__(self, other: Operand) -> "Scalar":
        return self._with("icmp sgt", "fcmp ogt", other, "i1")

    def equals(self, other: Operand) -> "Scalar":
        """Whether they are the same number."""
        return self._with("icmp eq", "fcmp oeq", other, "i1")

    def to(self, type: str) -> "Scalar":
        """The same number as another type; an integer that does not fit loses its upper bits."""
        if type == self.type:
            return self
        if type in FLOATS:
            cast = {"f32": "fpext", "f64": "fptrunc"}.get(self.type, "sitofp")
        elif self.type == "i1":
            cast = "zext"
        else:
            cast = "trunc" if _BYTES[type] < _BYTES[self.type] else "sext"
        return Scalar(self.code, self.code.writer.put(f"{cast} {_TEXT[self.type]} {self.text} to {_TEXT[type]}"), type)


class Variable:
    """A number that changes."""

    def __init__(self, code: "Code", type: str, start: Operand):
        self._code, self._type, self._place = code, type, code.writer.fresh("var")
        code.allocations.append(f"  {self._place} = alloca {_TEXT[type]}")
        self.value = start

    @property
    def value(self) -> Scalar:
        """What it is now."""
        text = self._code.writer.put(f"load {_TEXT[self._type]}, ptr {self._place}")
        return Scalar(self._code, text, self._type)

    @value.setter
    def value(self, new: Operand) -> None:
        text = self._code.constant(new, self._type).text
        self._code.writer.do(f"store {_TEXT[self._type]} {text}, ptr {self._place}")


class Code:
    """Writes one function, or a part of one.

    Attributes:
        writer: where it goes.
        allocations: text that belongs at the beginning of the function.
    """

    def __init__(self, writer: Writer):
        self.writer = writer
        self.allocations: list[str] = []

    def constant(self, value: Operand, type: str) -> Scalar:
        """A number of Python as one of this type; a `Scalar` stays what it is."""
        return value if isinstance(value, Scalar) else Scalar(self, number(value, type), type)

    def given(self, name: str, type: str) -> Scalar:
        """An argument of the function."""
        return Scalar(self, name, type)

    def variable(self, type: str, start: Operand) -> Variable:
        """A new variable."""
        return Variable(self, type, start)

    def _address(self, type: str, base: str, index: Operand) -> str:
        place = self.constant(index, "i64").to("i64").text
        return self.writer.put(f"getelementptr {_TEXT[type]}, ptr {base}, i64 {place}", "p")

    def load(self, type: str, base: str, index: Operand) -> Scalar:
        """Entry `index` of the array at `base`."""
        text = f"load {_TEXT[type]}, ptr {self._address(type, base, index)}, align {_BYTES[type]}"
        return Scalar(self, self.writer.put(text), type)

    def store(self, value: Operand, type: str, base: str, index: Operand) -> None:
        """Writes entry `index` of the array at `base`."""
        text = self.constant(value, type).to(type).text
        self.writer.do(f"store {_TEXT[type]} {text}, ptr {self._address(type, base, index)}, align {_BYTES[type]}")

    def choose(self, condition: Scalar, one: Scalar, other: Operand) -> Scalar:
        """One of two numbers."""
        type = _TEXT[one.type]
        text = f"select i1 {condition.text}, {type} {one.text}, {type} {self.constant(other, one.type).text}"
        return Scalar(self, self.writer.put(text), one.type)

    def call(self, function: str, *arguments: str | Scalar) -> None:
        """Calls a function without a result; pointers are given by name."""
        texts = [f"ptr {a}" if isinstance(a, str) else f"{_TEXT[a.type]} {a.text}" for a in arguments]
        self.writer.do(f"call void @{function}({', '.join(texts)})")

    @contextmanager
    def when(self, condition: Scalar) -> Iterator[None]:
        """What is done if the condition holds."""
        name = self.writer.fresh("when")[1:]
        self.writer.do(f"br i1 {condition.text}, label %{name}, label %{name}.end")
        self.writer.label(name)
        yield
        self.writer.do(f"br label %{name}.end")
        self.writer.label(f"{name}.end")

    @contextmanager
    def loop(self, start: Operand, stop: Operand) -> Iterator[Scalar]:
        """What is done for each integer from `start` to `stop` - 1."""
        counter = self.variable("i64", start)
        with self.during() as loop:
            at = counter.value
            loop.stop_unless(at < stop)
            yield at
            counter.value = at + 1

    @contextmanager
    def during(self) -> Iterator["During"]:
        """What is done again and again, until it is stopped."""
        name = self.writer.fresh("loop")[1:]
        self.writer.do(f"br label %{name}")
        self.writer.label(name)
        yield During(self, name)
        self.writer.do(f"br label %{name}")
        self.writer.label(f"{name}.end")


class During:
    """A loop, from within."""

    def __init__(self, code: Code, name: str):
        self._code, self._name = code, name

    def stop_unless(self, condition: Scalar) -> None:
        """Goes on behind the loop if the condition does not hold."""
        more = self._code.writer.fresh("more")[1:]
        self._code.writer.do(f"br i1 {condition.text}, label %{more}, label %{self._name}.end")
        self._code.writer.label(more)
