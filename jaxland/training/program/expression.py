"""The scalar program: expressions over the scalars of one fit, simplified as they are built.

An expression is a node of a directed acyclic graph. Equal expressions are one node, so common subexpressions are
shared without a search. Rules that would hide a NaN or an infinity are not used: `0 * x` stays, because it is NaN for
an infinite x, while `1 * x`, `x + 0` and constants are folded.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

FLOATS = {"f32": np.dtype(np.float32), "f64": np.dtype(np.float64)}
INTEGERS = {"i32": np.dtype(np.int32), "i64": np.dtype(np.int64)}
TYPES = {**FLOATS, **INTEGERS, "i1": np.dtype(np.bool_)}
NAMES = {dtype: name for name, dtype in TYPES.items()}

COMPARISONS = {"eq", "ne", "lt", "le", "gt", "ge"}
_COMMUTATIVE = {"add", "mul", "and", "or", "xor", "eq", "ne"}


class Unlowerable(NotImplementedError):
    """Something in the program has no scalar form; the message names it.

    Not an error of the user's: `auto` takes another backend, and only who insists on this one sees it.
    """


class Expression:
    """One scalar: an operation on earlier scalars.

    Attributes:
        number: position in the order of creation; operands come first.
        op: name of the operation.
        args: operands.
        type: a key of `TYPES`.
        value: the number of a constant, the (kind, index) of an input, else None.
    """

    __slots__ = ("args", "number", "op", "type", "value")

    def __init__(self, number: int, op: str, args: tuple, type: str, value: Any):
        self.number, self.op, self.args, self.type, self.value = number, op, args, type, value

    def __repr__(self) -> str:
        if self.op == "constant":
            return f"{self.value:.9g}" if self.type in FLOATS else str(self.value)
        if self.op == "input":
            return f"{self.value[0]}[{self.value[1]}]"
        return f"{self.op}({', '.join(f'%{arg.number}' if arg.args else repr(arg) for arg in self.args)})"


class Builder:
    """Makes expressions, one node for each different one.

    Attributes:
        float64: whether a float32 program may use float64 where that is more exact; a TPU has none.
        most: how many it makes before it gives up; a million takes some ten seconds.
    """

    def __init__(self, float64: bool = True, most: int | None = None):
        self.float64, self.most = float64, 1_000_000 if most is None else most
        self._nodes: dict[tuple, Expression] = {}

    def constant(self, value: Any, type: str) -> Expression:
        """A number."""
        value = TYPES[type].type(value)
        return self._node("constant", (), type, value, key=value.tobytes())

    def input(self, kind: str, index: Any, type: str) -> Expression:
        """A scalar read from memory, such as `("param", 3)`."""
        return self._node("input", (), type, (kind, index), key=(kind, index))

    def sum(self, terms: Sequence[Expression]) -> Expression:
        """A sum whose order is free, as that of a matrix product; `schedule` makes a chain of multiply-adds of it."""
        terms = [term for term in terms if not _is(term, 0)] or [terms[0]]
        if len(terms) == 1:
            return terms[0]
        if terms[0].type not in FLOATS:
            return functools.reduce(lambda total, term: self("add", total, term), terms)
        return self._node("sum", tuple(terms), terms[0].type, None)

    def cast(self, x: Expression, type: str) -> Expression:
        """Conversion of the value."""
        if x.type == type:
            return x
        if x.op == "constant":
            with np.errstate(all="ignore"):
                return self.constant(x.value.astype(TYPES[type]), type)
        if type == "i1":
            return self("ne", x, self.constant(0, x.type))
        return self._node("cast", (x,), type, None)

    def positive_sign(self, x: Expression) -> Expression:
        """An integer that is negative where a floating-point x is above 0, and not where it is below 0 or a zero.

        It is for many such tests joined to one; of NaN it may be anything.
        """
        zero = self.constant(0, x.type)
        # Not simplified to -x, which would be -0 for 0.
        return self.bits(self._node("sub", (zero, x), x.type, None), f"i{8 * TYPES[x.type].itemsize}")

    def bits(self, x: Expression, type: str) -> Expression:
        """The same bits read as another type of the same size."""
        if x.type == type:
            return x
        if x.op == "constant":
            return self.constant(x.value.view(TYPES[type]), type)
        return self._node("bits", (x,), type, None)

    def __call__(self, op: str, *args: Expression) -> Expression:
        """The result of `op`, simplified."""
        if all(arg.op == "constant" for arg in args) and op in FOLD:
            return self._fold(op, args)
        simpler = self._simplify(op, *args)
        if simpler is not None:
            return simpler
        if op in _COMMUTATIVE and args[0].number > args[1].number:
            args = (args[1], args[0])
        return self._node(op, args, _result_type(op, args), None)

    def _node(self, op, args, type, value, key=None):
        key = (op, type, key, *(arg.number for arg in args))
        node = self._nodes.get(key)
        if node is None:
            if len(self._nodes) >= self.most:
                raise Unlowerable(f"more than {self.most:,} scalars for a few points, too many for straight code.")
            node = self._nodes[key] = Expression(len(self._nodes), op, args, type, value)
        return node

    def _fold(self, op, args):
        with np.errstate(all="ignore"):
            return self.constant(FOLD[op](*(arg.value for arg in args)), _result_type(op, args))

    def _simplify(self, op, *args):
        rule = getattr(self, f"_simplify_{op}", None)
        return None if rule is None else rule(*args)

    def _simplify_add(self, a, b):
        if a.type == "i1":
            return self("or", a, b)
        if _is(a, 0):
            return b
        if _is(b, 0):
            return a
        if b.op == "neg":
            return self("sub", a, b.args[0])
        if a.op == "neg":
            return self("sub", b, a.args[0])
        return None

    def _simplify_sub(self, a, b):
        if _is(b, 0):
            return a
        if _is(a, 0):
            return self("neg", b)
        if b.op == "neg":
            return self("add", a, b.args[0])
        return None

    def _simplify_neg(self, a):
        if a.op == "neg":
            return a.args[0]
        if a.op == "sub":
            return self("sub", a.args[1], a.args[0])
        return None

    def _simplify_mul(self, a, b):
        if a.type == "i1":
            return self("and", a, b)
        if b.op == "constant":
            a, b = b, a
        if _is(a, 1):
            return b
        if _is(a, -1) and b.type in FLOATS:
            return self("neg", b)
        if a.op == "neg":
            return self("neg", self("mul", a.args[0], b))
        if b.op == "neg":
            return self("neg", self("mul", a, b.args[0]))
        if a.op == "constant" and b.op == "mul" and b.args[0].op == "constant" and b.type in FLOATS:
            product = self._fold("mul", (a, b.args[0]))
            if _normal(product):
                return self("mul", product, b.args[1])
        if a.op == "constant" and b.op == "mul" and b.args[1].op == "constant" and b.type in FLOATS:
            return self("mul", a, self._node("mul", b.args[::-1], b.type, None))
        return None

    def _simplify_div(self, a, b):
        if _is(b, 1):
            return a
        if b.op == "constant" and b.type in FLOATS and abs(np.frexp(b.value)[0]) == 0.5:
            inverse = self._fold("div", (self.constant(1, b.type), b))
            return self("mul", a, inverse) if _normal(inverse) else None
        return None

    def _simplify_select(self, condition, a, b):
        if a is b:
            return a
        if condition.op == "constant":
            return a if condition.value else b
        if condition.op == "not":
            return self("select", condition.args[0], b, a)
        return None

    def _simplify_not(self, a):
        return a.args[0] if a.op == "not" else None

    def _simplify_and(self, a, b):
        return self._absorb(a, b, keep=True)

    def _simplify_or(self, a, b):
        return self._absorb(a, b, keep=False)

    def _absorb(self, a, b, keep):
        if a is b:
            return a
        for one, other in ((a, b), (b, a)):
            if one.op == "constant" and one.type == "i1":
                return other if bool(one.value) is keep else one
        return None


def _is(node: Expression, value: float) -> bool:
    return node.op == "constant" and node.type != "i1" and bool(node.value == value)


def _normal(node: Expression) -> bool:
    return bool(np.isfinite(node.value) and abs(node.value) >= np.finfo(TYPES[node.type]).tiny)


def _result_type(op: str, args: Sequence[Expression]) -> str:
    if op in COMPARISONS:
        return "i1"
    return args[1].type if op == "select" else args[0].type


def fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """a * b + c with one rounding for float32; float64 has two, which NumPy cannot avoid."""
    if getattr(c, "dtype", None) != np.float32:
        return a * b + c
    return (np.float64(a) * np.float64(b) + np.float64(c)).astype(np.float32)


def _divide(a, b):
    """Of integers towards zero, to the last digit, which a quotient of floating-point numbers has not."""
    if np.issubdtype(np.result_type(a), np.floating):
        return a / b
    quotient = np.floor_divide(a, b)
    return quotient + ((quotient < 0) & (quotient * b != a)).astype(quotient.dtype)


FOLD = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _divide,
    "neg": lambda a: -a,
    "fma": fused_multiply_add,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "nearest": np.rint,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "select": lambda condition, a, b: np.where(condition, a, b),
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
    "xor": lambda a, b: a ^ b,
    "not": lambda a: ~a,
    "shl": lambda a, b: a << b,
    "shr": lambda a, b: a >> b,
}
"""What each operation computes, on NumPy scalars and arrays: used to fold constants and to evaluate programs."""


def evaluate(roots: Sequence[Expression], inputs: dict[tuple, Any]) -> list[Any]:
    """Evaluates expressions with NumPy: the meaning of a program, against which the compiled kernel is tested.

    Args:
        roots: what to compute.
        inputs: for each (kind, index) a scalar or an array of one entry a fit.

    Returns:
        The values of the roots.
    """
    values: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for node in reachable(roots):
            values[node.number] = _value(node, values, inputs)
    return [values[root.number] for root in roots]


def _value(node, values, inputs):
    args = [values[arg.number] for arg in node.args]
    if node.op == "constant":
        return node.value
    if node.op == "input":
        return np.asarray(inputs[node.value], TYPES[node.type])
    if node.op == "cast":
        return np.asarray(args[0]).astype(TYPES[node.type])
    if node.op == "bits":
        return np.asarray(args[0]).view(TYPES[node.type])
    if node.op == "sum":
        return sum(args[1:], args[0])
    return np.asarray(FOLD[node.op](*args), TYPES[node.type])


def reachable(roots: Sequence[Expression]) -> list[Expression]:
    """All nodes the roots need, operands first (the order of creation); what nobody needs is left out."""
    found, stack = {}, list(roots)
    while stack:
        node = stack.pop()
        if node.number not in found:
            found[node.number] = node
            stack.extend(node.args)
    return [found[number] for number in sorted(found)]
