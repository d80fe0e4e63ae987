"""Mini-batches: which points each step of a fit takes, as a pure function of the fit's key and the step's number.

In epoch e all N points are shuffled by Fisher and Yates (Durstenfeld, 1964): the point at place k changes places with
the one at k + floor(u_k (N - k)), and a step takes the next B places. The last batch of an epoch has what is left. With
replacement, point p of a batch is floor(u_p N). The u are words of Threefry-2x32 with 20 rounds (Salmon, Moraes, Dror
and Shaw, 2011), the generator of `jax.random`, divided by 2^32: word k of epoch (or step) e is one half of the block at
(k // 2, e). What is written here is what every backend does, to the bit.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Integer

from jaxland._types import AnyArray

ORDER, NOISE, SHARE = 0x6F726472, 0x6E6F6973, 0x73686172
"""What keys are folded in with, far from the small numbers with which a network's `init` may split the same key."""

# Of orders, at a time, so that memory stays small.
_ENTRIES = 2**20

ROTATIONS, PARITY = ((13, 15, 26, 6), (17, 29, 16, 24)), 0x1BD11BDA
"""Of Threefry."""


def threefry(first: Any, second: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Threefry-2x32 with 20 rounds of blocks (x, y) under keys (first, second): uint32 arrays of NumPy or of JAX."""
    words = first, second, first ^ second ^ np.uint32(PARITY)
    x, y = x + words[0], y + words[1]
    for group in range(5):
        for rotation in ROTATIONS[group % 2]:
            x = x + y
            y = (y << np.uint32(rotation)) | (y >> np.uint32(32 - rotation))
            y = x ^ y
        x, y = x + words[(group + 1) % 3], y + words[(group + 2) % 3] + np.uint32(group + 1)
    return x, y


def key_of(seed: int) -> Integer[np.ndarray, "2"]:
    """The words of `jax.random.key(seed)`."""
    return np.array([0, seed], np.uint32)


def fold_in(keys: Integer[AnyArray, "... 2"], numbers: Any) -> Integer[AnyArray, "... 2"]:
    """`jax.random.fold_in` of keys by words, of NumPy or of JAX."""
    xp: Any = jnp if isinstance(keys, jax.Array) or isinstance(numbers, jax.Array) else np
    numbers = xp.asarray(numbers).astype(np.uint32)
    shape = np.broadcast_shapes(keys.shape[:-1], numbers.shape)
    first, second, numbers = (xp.broadcast_to(a, shape) for a in (keys[..., 0], keys[..., 1], numbers))
    with np.errstate(over="ignore"):  # NumPy warns of it where numbers are no arrays
        return xp.stack(threefry(first, second, xp.zeros(shape, np.uint32), numbers), axis=-1)


def words(keys: Integer[AnyArray, "... 2"], epoch: Any, places: Any) -> Integer[AnyArray, "... K"]:
    """The words of an epoch at K places."""
    xp: Any = np if isinstance(places, np.ndarray) and not isinstance(keys, jax.Array) else jnp
    shape = (*keys.shape[:-1], len(places))
    blocks = xp.broadcast_to((places // 2).astype(np.uint32), shape)
    epochs = xp.broadcast_to(xp.asarray(epoch).astype(np.uint32), shape)
    first, second = (xp.broadcast_to(keys[..., k : k + 1], shape) for k in (0, 1))
    even, odd = threefry(first, second, blocks, epochs)
    return xp.where(places % 2 == 0, even, odd)


def upper_half(a: Any, b: Any) -> Any:
    """The upper 32 bits of products of uint32 numbers."""
    sixteen, mask = np.uint32(16), np.uint32(0xFFFF)
    a1, a0, b1, b0 = a >> sixteen, a & mask, b >> sixteen, b & mask
    middle = a1 * b0 + ((a0 * b0) >> sixteen)
    other = a0 * b1 + (middle & mask)
    return a1 * b1 + (middle >> sixteen) + (other >> sixteen)


def order_of(keys: Integer[np.ndarray, "W 2"], epoch: int, points: int) -> Int[np.ndarray, "W N"]:
    """The order in which fits take all points in an epoch.

    Args:
        keys: of the fits' batches, `fold_in(fold_in(key(seed), fit), ORDER)`.
        epoch: counted from 0.
        points: N.
    """
    return _order_of(np.ascontiguousarray(keys, np.uint32).tobytes(), epoch, points)


# The same fits are often asked again.
@lru_cache(maxsize=8)
def _order_of(words_of_keys: bytes, epoch: int, points: int) -> Int[np.ndarray, "W N"]:
    keys = np.frombuffer(words_of_keys, np.uint32).reshape(-1, 2)
    places, rows = np.arange(points), max(1, _ENTRIES // points)
    order = np.empty((len(keys), points), np.int32)
    for begin in range(0, len(keys), rows):
        words_of = words(keys[begin : begin + rows], epoch, places)
        order[begin : begin + rows] = _exchanged(places + upper_half(words_of, (points - places).astype(np.uint32)))
    order.setflags(write=False)
    return order


def _exchanged(others: Int[np.ndarray, "W N"]) -> Int[np.ndarray, "W N"]:
    """The numbers 0 to N - 1 once each place, one after the other, has changed with another, itself or a later one.

    No exchange is made. What place k ends with is what place `others[k]` then had: its own number, or what the last
    exchange with it had put there, of place i, which is what i had before its turn. That came to i from the last
    exchange with i in the same way, and so on back to a place that nothing had been put into.
    """
    points = others.shape[1]
    first = points * np.arange(len(others))[:, None]
    other, place = (others + first).ravel(), np.arange(others.size)
    # Exchanges with the same place stand together, in the order of their turns; pairs in one number are sorted fastest.
    turns = np.sort(other << 32 | place) & 0xFFFFFFFF
    same = other[turns[1:]] == other[turns[:-1]]
    before = np.full(len(place), -1)
    before[turns[1:][same]] = turns[:-1][same]
    source = place.copy()
    last = turns[np.append(~same, True)]
    source[other[last]] = last
    alone = other == place
    source[alone] = np.where(before[alone] >= 0, before[alone], place[alone])
    while not np.array_equal(further := source[source], source):
        source = further
    return np.where(before >= 0, source[before], other).reshape(others.shape) - first


class Batch(NamedTuple):
    """The points of a step.

    Attributes:
        points: their places among all; beyond those of the last batch of an epoch the first one is repeated.
        inside: which of them count.
    """

    points: Int[np.ndarray, "W B"]
    inside: Bool[np.ndarray, "B"]

    @property
    def factors(self) -> Float[np.ndarray, "B"]:
        """That make the mean over all places the mean over those that count; of a sum, these alone are taken."""
        return self.inside * (len(self.inside) / np.count_nonzero(self.inside))


def batch_of(
    keys: Integer[np.ndarray, "W 2"], step: int, points: int, size: int, *, replacement: bool = False
) -> Batch:
    """The points that fits take in a step.

    Args:
        keys: as of `order_of`.
        step: counted from 0.
        points: N.
        size: B.
        replacement: see `Ensemble`.
    """
    places = np.arange(size)
    if replacement:
        return Batch(upper_half(words(keys, step, places), np.uint32(points)).astype(np.int32), places >= 0)
    epoch, number = divmod(step, -(-points // size))
    order, begin = order_of(keys, epoch, points), number * size
    inside = begin + places < points
    return Batch(order[:, np.where(inside, begin + places, begin)], inside)


def next_batch(
    key: Integer[Array, "2"], order: Int[Array, "N"], step: Int[Array, ""], size: int, *, replacement: bool
) -> tuple[Int[Array, "N"], Int[Array, "B"], Float[Array, "B"]]:
    """The same in JAX, for one fit and steps in turn.

    Args:
        key: of the fit's batches.
        order: as the step before left it, any before the first.
        step: counted from 0.
        size: B.
        replacement: see `Ensemble`.

    Returns:
        The order to be given to the next step, and the points and factors of this one.
    """
    points, places = len(order), jnp.arange(size)
    if replacement:
        drawn = upper_half(words(key, step, places), jnp.uint32(points))
        return order, drawn.astype(jnp.int32), jnp.ones(size)
    epoch, number = jnp.divmod(step, -(-points // size))
    begin = number * size
    inside = begin + places < points
    at = jnp.where(inside, begin + places, points - 1)
    other = at + upper_half(words(key, epoch, at), (points - at).astype(jnp.uint32)).astype(at.dtype)
    order = lax.cond(number == 0, lambda: jnp.arange(points, dtype=order.dtype), lambda: order)

    def exchange(place, order):
        one, two = order[at[place]], order[other[place]]
        return order.at[at[place]].set(two).at[other[place]].set(one)

    order = lax.fori_loop(0, size, exchange, order)
    taken = order[jnp.where(inside, at, begin)]
    return order, taken, inside * (size / jnp.sum(inside))
