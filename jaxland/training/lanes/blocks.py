"""Register blocks: how many elements of a nest are computed at a time, so that what is loaded once is used often."""

from typing import NamedTuple

from jaxland.training.lanes.emit import Target
from jaxland.training.program.expression import Expression
from jaxland.training.program.loops import Access, Nest
from jaxland.training.program.schedule import Line

# Cycles that beginning and storing a block cost, beside its sums.
_OVERHEAD = 12
# Sums that a processor must have under way to be busy: it begins two multiply-adds a cycle, and each takes four.
_UNDER_WAY = 8
_MOST_OF_ONE_AXIS = 8
# Lines of straight code that may be repeated for each element of a block.
_LINES_TO_REPEAT = 3
_LINES_OF_A_PASS = 10


class Loop(NamedTuple):
    """A loop of a nest over one of its axes.

    Attributes:
        length: of the axis.
        block: entries taken at a time.
        reads: for each access of the nest's reads, elements from one entry of the axis to the next.
        writes: the same for its writes.
    """

    length: int
    block: int
    reads: tuple[int, ...]
    writes: tuple[int, ...]


class Order(NamedTuple):
    """The loops of a nest, from the outermost to the innermost."""

    outer: list[Loop]
    inner: list[Loop]


def order_of(nest: Nest, target: Target) -> Order:
    """The loops of a nest, with neighbouring axes joined where all accesses allow it, and blocks chosen."""
    count = len(nest.lengths)
    loops = [_loop(nest, axis, length) for axis, length in enumerate((*nest.lengths, *nest.inner))]
    outer, inner = _joined(_by_writes(loops[:count])), _joined(loops[count:])
    if inner:
        return Order(_blocked_sums(nest, outer, inner, target), inner)
    return Order(_blocked_elements(nest, outer), [])


def _loop(nest: Nest, axis: int, length: int) -> Loop:
    return Loop(length, 1, *(tuple(_stride(access, axis) for access in part) for part in (nest.reads, nest.writes)))


def _stride(access: Access, axis: int) -> int:
    strides = access.view.strides
    return strides[axis] if axis < len(strides) else 0


def _by_writes(loops: list[Loop]) -> list[Loop]:
    """In the order in which results lie in memory; elements do not depend on each other."""
    return sorted(loops, key=lambda loop: -abs(loop.writes[0]))


def _joined(loops: list[Loop]) -> list[Loop]:
    """Drops loops of one turn, and joins those that go on where the one inside ended."""
    result: list[Loop] = []
    for loop in loops:
        if loop.length == 1:
            continue
        strides = (*loop.reads, *loop.writes)
        if result and (*result[-1].reads, *result[-1].writes) == tuple(loop.length * stride for stride in strides):
            result[-1] = loop._replace(length=loop.length * result[-1].length)
        else:
            result.append(loop)
    return result


def _blocked_elements(nest: Nest, loops: list[Loop]) -> list[Loop]:
    """Of a nest without sums: a few elements of the last axis at a time where there is little to do for each."""
    if loops and len(nest.finish) <= _LINES_OF_A_PASS:
        block = next(size for size in (4, 3, 2, 1) if loops[-1].length % size == 0)
        loops[-1] = loops[-1]._replace(block=block)
    return loops


def _blocked_sums(nest: Nest, outer: list[Loop], inner: list[Loop], target: Target) -> list[Loop]:
    """Takes the two axes along which the factors of a product differ, or one, as the innermost, in blocks."""
    if not outer:
        return outer
    length = 1
    for loop in inner:
        length *= loop.length
    chosen = _axes_of_factors(nest, outer)
    sizes = [outer[axis].length for axis in chosen]
    rows, columns = (*sizes, 1)[:2]
    blocks = (1, 1) if len(nest.body) > _LINES_TO_REPEAT else best_block(rows, columns, length, target)
    rest = [loop for axis, loop in enumerate(outer) if axis not in chosen]
    return rest + [outer[axis]._replace(block=block) for axis, block in zip(chosen, blocks, strict=False)]


def _axes_of_factors(nest: Nest, loops: list[Loop]) -> list[int]:
    """The longest axis of each factor of a product that is none of the other's, that of more memory first."""
    largest = max(range(len(loops)), key=lambda axis: loops[axis].length)
    factors = _factors(nest)
    if factors is None:
        return [largest]
    one, other = factors
    mine = [a for a, loop in enumerate(loops) if loop.reads[one] and not loop.reads[other]]
    its = [a for a, loop in enumerate(loops) if loop.reads[other] and not loop.reads[one]]
    found = [max(axes, key=lambda axis: loops[axis].length) for axes in (mine, its) if axes]
    # What stays in the nearest cache while the other passes by is the block of the outer loop.
    return sorted(found, key=lambda axis: -loops[axis].length) if found else [largest]


def _factors(nest: Nest) -> tuple[int, int] | None:
    """The reads that a sum of products multiplies."""
    inputs = [arg.value[1] for line in nest.body for arg in line.args if _is_read(arg)]
    return (inputs[0], inputs[1]) if len(nest.body) == 2 and len(inputs) == 2 and inputs[0] != inputs[1] else None


def _is_read(arg: Line | Expression) -> bool:
    return isinstance(arg, Expression) and arg.op == "input" and arg.value[0] == "in"


def best_block(rows: int, columns: int, length: int, target: Target) -> tuple[int, int]:
    """The block of sums that takes least time.

    Args:
        rows, columns: of the result.
        length: terms of each sum.
        target: its registers bound the block.
    """
    registers = (32 if target.vector_bytes == 64 else 16) - 1 - (not target.fused)
    most = _MOST_OF_ONE_AXIS if min(rows, columns) == 1 else 6
    sizes = [
        (a, b)
        for a in range(1, min(rows, most) + 1)
        for b in range(1, min(columns, most) + 1)
        if a * b + min(a, b) <= registers
    ]

    def cost(block: tuple[int, int]) -> tuple[float, int, int]:
        left = rows % block[0] + columns % block[1]
        return _cycles(rows, columns, length, block), left, -block[0] * block[1]

    return min(sizes, key=cost)


def _cycles(rows: int, columns: int, length: int, block: tuple[int, int]) -> float:
    total, (a, b) = 0.0, block
    for height, times in ((a, rows // a), (rows % a, 1)):
        for width, repeats in ((b, columns // b), (columns % b, 1)):
            if height and width:
                turn = max(height * width, height + width, _UNDER_WAY) + 1
                total += times * repeats * (length * turn + _OVERHEAD)
    return total
