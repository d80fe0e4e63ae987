"""A scheduled program as text to be read, one line for each vector instruction."""

from collections.abc import Sequence

from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Expression
from jaxland.training.program.layout import Layout
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.roll import Segment, roll
from jaxland.training.program.schedule import Line
from jaxland.training.program.trace import trace_update

_SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "le": "<=", "lt": "<", "ge": ">=", "gt": ">"}


def describe(ensemble: Ensemble, tile: int = 1) -> str:
    """The programs of an ensemble: the gradient over a tile of points, then the update.

    `fma(a, b, c)` is a * b + c and `select(p, a, b)` is a where p holds, else b. Every name stands for one number of
    each lane's fit.

        print(jaxland.training.lanes.describe(ensemble))
    """
    update = trace_update(ensemble)
    programs = schedule_programs(ensemble, update, tile)
    names: dict[int, str] = {}
    text = [f"for each tile of {tile} point(s):"]
    text += _lines(programs.tile_lines, names, frozenset())
    text.append("update:")
    layout: Layout = layout_of(ensemble, update, 1)
    for segment in roll(programs.update_lines, "param", layout):
        text += _segment(segment, names)
    return "\n".join(text) + "\n"


def _segment(segment: Segment, names) -> list[str]:
    if segment.count == 1:
        return _lines(segment.lines, names, frozenset())
    body = _lines(segment.lines, names, segment.shifted)
    return [f"    for i in 0 ... {segment.count - 1}:", *("    " + line for line in body)]


def _lines(lines: Sequence[Line], names, shifted) -> list[str]:
    text = []
    for line in lines:
        args = [_operand(arg, names, shifted) for arg in line.args]
        if line.op == "store":
            text.append(f"    {_place(line.target, shifted)} = {args[0]}")
            continue
        names[id(line)] = f"v{len(names)}"
        text.append(f"    {names[id(line)]} = {operation(line.op, args)}")
    return text


def operation(op: str, args: Sequence[str]) -> str:
    """An operation on operands that are texts."""
    symbol = _SYMBOLS.get(op)
    return f" {symbol} ".join(args) if symbol else f"{op}({', '.join(args)})"


def _operand(arg: Line | Expression, names, shifted) -> str:
    if isinstance(arg, Line):
        return names[id(arg)]
    return _place(arg.value, shifted) if arg.op == "input" else repr(arg)


def _place(target, shifted) -> str:
    kind, index = target
    inside = ", ".join(map(str, index)) if isinstance(index, tuple) else str(index)
    return f"{kind}[{inside} + i]" if target in shifted else f"{kind}[{inside}]"
