"""Loop nests as text to be read."""

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes.text import operation
from jaxland.training.program.expression import Expression
from jaxland.training.program.loop_programs import tile_loops, update_loops
from jaxland.training.program.loops import Access, Loops, Nest
from jaxland.training.program.schedule import Line

_AXES, _INNER = "ijklmn", "pqrs"


def describe_loops(ensemble: Ensemble, tile: int = 4) -> str:
    """The programs of an ensemble as loops over units: the gradient over a tile of points, then the update.

    `param`, `grad` and `state` are those of each lane's fit, their entries numbered from 0; `h0`, `h1`, ... are arrays
    kept from one nest to another, of each lane's fit, too.

        print(jaxland.training.lanes.describe_loops(ensemble))

    Args:
        ensemble: what is trained.
        tile: points in a tile.

    Raises:
        Unlowerable: something in it has no loops; the message names the primitive.
    """
    text = [f"for each tile of {tile} point(s):"]
    text += _program(tile_loops(ensemble, tile))
    return "\n".join([*text, "update:", *_program(update_loops(ensemble).update)]) + "\n"


def _program(loops: Loops) -> list[str]:
    kept = [access.memory.first for nest in loops.nests for access in nest.writes if access.memory.kind == "scratch"]
    numbers = {first: number for number, first in enumerate(dict.fromkeys(kept))}
    return [f"    {line}" for nest in loops.nests for line in _nest(_renumbered(nest, numbers))]


def _renumbered(nest: Nest, numbers: dict[int, int]) -> Nest:
    """The same with arrays that are kept numbered in their order."""

    def renamed(access: Access) -> Access:
        memory = access.memory
        known = numbers[memory.first] if memory.kind == "scratch" else memory.first
        return access._replace(memory=memory._replace(first=known))

    return nest._replace(reads=[*map(renamed, nest.reads)], writes=[*map(renamed, nest.writes)])


def _nest(nest: Nest) -> list[str]:
    axes = [(name, length) for name, length in zip(_AXES, nest.lengths, strict=False) if length > 1]
    inner = [(name, length) for name, length in zip(_INNER, nest.inner, strict=False) if length > 1]
    text, indent = [], ""
    if axes:
        text.append(f"for {', '.join(f'{name} in 0 ... {length - 1}' for name, length in axes)}:")
        indent = "    "
    text += [indent + line for line in _lines(nest, nest.start)]
    if nest.body:
        around = ", ".join(f"{name} in 0 ... {length - 1}" for name, length in inner)
        text += [f"{indent}for {around}:"] if inner else []
        text += [f"{indent}{'    ' if inner else ''}{line}" for line in _lines(nest, nest.body)]
    return text + [indent + line for line in _lines(nest, nest.finish)]


def _lines(nest: Nest, lines: list[Line]) -> list[str]:
    """One line for each, but for those that are only stored, which are put where they are stored."""
    stored = {id(line.args[0]): line for line in lines if line.op == "store" and isinstance(line.args[0], Line)}
    uses = [id(arg) for line in lines for arg in line.args]
    names: dict[int, str] = {}
    text = []
    for line in lines:
        args = [names[id(arg)] if isinstance(arg, Line) else _operand(nest, arg) for arg in line.args]
        if line.op == "store":
            if args[0]:
                text.append(f"{_target(nest, line)} = {args[0]}")
            continue
        alone = id(line) in stored and uses.count(id(line)) == 1
        names[id(line)] = "" if alone else f"v{len(names)}"
        place = _target(nest, stored[id(line)]) if alone else names[id(line)]
        text.append(f"{place} = {operation(line.op, args)}")
    return text


def _operand(nest: Nest, node: Expression) -> str:
    if node.op == "constant":
        return repr(node)
    kind, number = node.value
    if kind == "sum":
        return "sum"
    return _element(nest, (nest.reads if kind == "in" else nest.writes)[number])


def _target(nest: Nest, line: Line) -> str:
    assert line.target is not None
    kind, number = line.target
    return "sum" if kind == "sum" else _element(nest, nest.writes[number])


def _element(nest: Nest, access: Access) -> str:
    kind, first, _ = access.memory
    kept = kind in ("scratch", "constant")
    name, place = (f"h{first}" if kind == "scratch" else f"c{first}", 0) if kept else (kind, first)
    axes = (*_AXES[: len(nest.lengths)], *_INNER)
    terms = [
        name_ if stride == 1 else f"{stride} {name_}"
        for name_, stride in zip(axes, access.view.strides, strict=False)
        if stride
    ]
    place += access.view.offset
    return f"{name}[{' + '.join([*([str(place)] if place or not terms else []), *terms])}]"
