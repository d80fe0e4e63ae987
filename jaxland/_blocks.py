"""Programs made for a fixed number of rows, run over any number of them: padded, run, cut and joined.

So one compiled program serves all, memory is bounded, and a row's bits cannot depend on how many are asked for.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Any

import jax
import numpy as np

from jaxland._precision import numerics


def blocks(
    program: Callable[..., Any], width: int, dtype: np.dtype | str, *, shared: Collection[int] = ()
) -> Callable[..., Iterator[Any]]:
    """A function that runs a program block by block and yields the results of each; no rows make one empty block.

    Args:
        program: of arrays with `width` rows, to a pytree of arrays with as many.
        width: rows of a block; a last, shorter one is filled up with rows that it has.
        dtype: in which the program computes, see `numerics`.
        shared: places of arguments that all rows have in common.
    """

    def run(*args):
        count = next(len(arg) for place, arg in enumerate(args) if place not in shared)
        for start in range(0, max(count, 1), width):
            rows = slice(start, start + width)
            block = (arg if place in shared else _padded(arg[rows], width) for place, arg in enumerate(args))
            with numerics(dtype):
                results = jax.tree.map(np.asarray, program(*block))
            yield jax.tree.map(lambda values, kept=count - start: values[:kept], results)

    return run


def in_blocks(
    program: Callable[..., Any], width: int, dtype: np.dtype | str, *, shared: Collection[int] = ()
) -> Callable[..., Any]:
    """Like `blocks`, with the results of all blocks joined."""
    run = blocks(program, width, dtype, shared=shared)
    return lambda *args: jax.tree.map(lambda *parts: np.concatenate(parts), *run(*args))


def _padded(rows, width):
    return rows if len(rows) == width else np.resize(rows, (width, *rows.shape[1:]))
