"""The probe: a fused kernel is held against the plain program before it trains anything.

Some fits take a few steps, from their own starts and from places beside them, on the data they will be trained on. At
each step the plain program, in float64 and over all points at once, is asked for the loss, the gradient and the update
from just where the kernel stands, so that nothing adds up. Away from a start's special values (zeros, equal entries)
two different smooth functions agree nowhere but by chance: a kernel that passes is that of the same function, as far
as the places and the data reach.

How far rounding may take a result is measured, not assumed: the plain program is run again with every number that
enters it changed in its last places, and what that changes is allowed. Where a kernel is still beyond that, the plain
program is run in float32, which shows how many digits it loses on the way.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.initial import draw_parameters, initial_parameters
from jaxland.training.plain import At, PlainProgram, Stepped, code_version, exact_program
from jaxland.training.program import cache
from jaxland.training.program.expression import Unlowerable
from jaxland.training.step import Points
from jaxland.training.step_data import StepData
from jaxland.training.trainer import Trainer

# All in units of the last place. Numbers that enter are changed by so many; what comes out may differ by so many times
# what that changes, and by so many times itself: approximations of exp and the like are right to two or three.
_CHANGE, _TIMES, _ALLOWED = 16.0, 4.0, 64.0
# A kernel adds up in another order than XLA, so what one loses is no bound for the other.
_TIMES_LOST = 8.0
# Beside the rounding of parameters, shares of a step: 1 - 0.999 has four digits in float32, and schedules are computed
# in float32 by optax in any case.
_OF_A_STEP = {"float32": 2e-3, "float64": 1e-6}
# Changes tried before a kernel is refused, enough for a unit at the edge of its ReLU to fall on either side.
_MANY = 32
_SINGLE = float(np.finfo(np.float32).eps)
_BESIDE = 0.1
_SECONDS = 0.1
_PARAMETERS = "parameters after it"


class Fused(Trainer, Protocol):
    """A trainer of fused kernels, which can be looked into while it trains."""

    def entries(self, group: Any, kind: str) -> Float[np.ndarray, "W K"] | None:
        """`"grad"` and `"loss"` (K = 1) of the last step as the kernel keeps them; None where it does not."""
        ...


class _Extent(NamedTuple):
    """How much is looked at: fits at these places of the group, steps, and changes of what enters each."""

    fits: tuple[int, ...]
    steps: int
    changes: int


# The most that the time allows. Odd places are those beside a start.
_EXTENTS = (_Extent((0, 1, 2, 3), 3, 2), _Extent((0, 1), 2, 1), _Extent((1,), 1, 1))


class _Seen(NamedTuple):
    """A step of a kernel, of W fits."""

    params: Float[np.ndarray, "W P"]
    loss: Float[np.ndarray, "W"]
    gradient: Float[np.ndarray, "W P"] | None
    after: Float[np.ndarray, "W P"]


_Results = dict[str, np.ndarray]
"""The loss, the gradient where it is known, and the parameters after a step, by name."""


class Disagreement(Unlowerable):
    """A kernel does not compute what the plain program does; the message says what differs."""


def require_agreement(trainer: Fused, ensemble: Ensemble, plain: PlainProgram, *kernel: str) -> None:
    """Holds a kernel against the plain program, once for a kernel and its data: the outcome is kept with the kernel.

    Args:
        trainer: has the kernel.
        ensemble: what it trains.
        plain: the plain program in the ensemble's dtype.
        kernel: texts that name the kernel.

    Raises:
        Disagreement: they differ by more than rounding.
    """
    key = cache.key_of("agreement", *kernel, plain.key, code_version(), _data_key(ensemble, trainer.width))
    known = cache.load_choice(key)
    if known is None:
        known = {"differs": differs(trainer, ensemble, exact_program(ensemble, plain))}
        cache.store_choice(key, known)
    if known["differs"]:
        raise Disagreement(
            f"the kernel does not compute what the network, loss and optimizer say: the {known['differs']}. One that "
            "couples points, or depends on their number or their place, has no kernel; report anything else."
        )


def require_losses(
    losses: Callable[[Float[np.ndarray, "W P"]], Float[np.ndarray, "W"]],
    ensemble: Ensemble,
    plain: PlainProgram,
    width: int,
    *kernel: str,
) -> None:
    """Holds a kernel that takes losses alone against the plain program, as `require_agreement` does.

    Args:
        losses: from starts of the first fits to the kernel's losses.
        ensemble: whose losses.
        plain: its plain program.
        width: W.
        kernel: texts that name the kernel.

    Raises:
        Disagreement: they differ by more than rounding.
    """
    key = cache.key_of("losses", *kernel, plain.key, code_version(), _data_key(ensemble, width))
    known = cache.load_choice(key)
    if known is None:
        with np.errstate(all="ignore"):
            known = {"differs": _losses_differ(losses, ensemble, exact_program(ensemble, plain), width)}
        cache.store_choice(key, known)
    if known["differs"]:
        raise Disagreement(f"the kernel does not compute the losses of all points: {known['differs']}.")


def _losses_differ(losses, ensemble, exact, width) -> str:
    members = _beside_their_starts(ensemble, width)
    comparison, start = _Comparison(ensemble, members, exact), members.start
    assert start is not None
    found = losses(start)
    for fit in range(min(2, width)):
        at = comparison.at(fit, None, _Seen(start, found, None, start), 0)
        expected, kernel = {"loss": exact.step(at).loss}, {"loss": np.asarray(found[fit], np.float64)}
        if not (np.isfinite(found[fit]) or np.isfinite(expected["loss"])):
            continue
        allowed = comparison.allowed_of(expected, at, _MANY)
        if _beyond(kernel, expected, allowed):
            allowed = comparison.lost_inside(expected, allowed, at)
        if _beyond(kernel, expected, allowed):
            return _in_words("loss", kernel["loss"], expected["loss"], allowed["loss"]) + f" of fit {members.fits[fit]}"
    return ""


def _data_key(ensemble: Ensemble, width: int) -> str:
    members = ensemble.members(np.arange(width) + ensemble.first)
    weights = b"" if members.weights is None else members.weights.tobytes()
    batches = f"{ensemble.batch_size} {ensemble.replacement}".encode() + members.keys.tobytes()
    drawn = batches if ensemble.batch_size else b""
    return hashlib.sha256(members.x.tobytes() + members.y.tobytes() + weights + drawn).hexdigest()


def differs(trainer: Fused, ensemble: Ensemble, exact: PlainProgram) -> str:
    """Compares what a kernel does with what it should do.

    Args:
        trainer: has the kernel.
        ensemble: what it trains.
        exact: the plain program in float64.

    Returns:
        What differs by more than rounding, in words; empty where nothing does.
    """
    with np.errstate(all="ignore"):
        return _differs(trainer, ensemble, exact)


def _differs(trainer, ensemble, exact):
    members = _beside_their_starts(ensemble, trainer.width)
    comparison = _Comparison(ensemble, members, exact)
    extent, followed = None, {}
    for step, seen in enumerate(_watch(trainer, members)):
        if extent is None:
            extent = _affordable(comparison, seen)
            followed = {fit: None for fit in extent.fits if fit < trainer.width}
        for fit, state in list(followed.items()):
            at = comparison.at(fit, state, seen, step)
            plain = exact.step(at)
            if not (np.isfinite(seen.loss[fit]) or np.isfinite(plain.loss)):
                del followed[fit]  # it has diverged, in both
                continue
            found = comparison.differs(fit, seen, at, plain, extent.changes)
            if found:
                return f"{found} of fit {members.fits[fit]} in step {step}"
            followed[fit] = plain.state
        if step + 1 == min(extent.steps, ensemble.steps):
            break
    return ""


def _watch(trainer: Fused, members: Members) -> Iterator[_Seen]:
    group = trainer.begin(members)
    while True:
        before = trainer.parameters(group)
        group = trainer.advance(group, 1)
        loss = trainer.entries(group, "loss")
        assert loss is not None
        yield _Seen(before, loss[:, 0], trainer.entries(group, "grad"), trainer.parameters(group))


def _affordable(comparison: "_Comparison", seen: _Seen) -> _Extent:
    began = time.perf_counter()
    comparison.exact.step(comparison.at(0, None, seen, 0))
    seconds = time.perf_counter() - began
    for extent in _EXTENTS[:-1]:
        if seconds * len(extent.fits) * extent.steps * (1 + extent.changes) <= _SECONDS:
            return extent
    return _EXTENTS[-1]


def _beside_their_starts(ensemble: Ensemble, width: int) -> Members:
    """The fits of a group, every other one started beside its own start: away from zeros and equal entries."""
    members = ensemble.members(np.arange(width) + ensemble.first)
    start = np.array(initial_parameters(ensemble, members), np.float64)
    odd, rng = slice(1, None, 2), np.random.default_rng(0)
    center, size = start[odd], _sizes(start[odd])
    if not size.all():
        center = np.where(size > 0, center, draw_parameters(ensemble.network, ensemble.seed, members.seeds[odd]))
        size = _sizes(center)
        size[size == 0] = 1 / _BESIDE
    start[odd] = center + _BESIDE * np.where(center == 0, size, np.abs(center)) * rng.standard_normal(center.shape)
    dtype = ensemble.number_format
    return members._replace(start=start.astype(dtype), init_scale=np.ones(width, dtype))


def _sizes(params):
    return np.sqrt(np.mean(params**2, axis=1, keepdims=True))


class _Comparison:
    """Compares single steps of a kernel with the plain program."""

    def __init__(self, ensemble: Ensemble, members: Members, exact: PlainProgram):
        self.ensemble, self.members, self.exact = ensemble, members, exact
        self.data = StepData(ensemble, members)
        self.unit = float(np.finfo(ensemble.number_format).eps)
        self.of_a_step = _OF_A_STEP[ensemble.dtype]
        # A sum of N numbers, one after the other, wanders by some roots of N.
        self.allowed = self.unit * (_ALLOWED + 4 * np.sqrt(ensemble.points_a_step))
        self.rng = np.random.default_rng(1)

    @cached_property
    def single(self) -> PlainProgram:
        """The plain program in float32."""
        return PlainProgram(self.ensemble, np.dtype(np.float32))

    def at(self, fit: int, state: list[np.ndarray] | None, seen: _Seen, step: int) -> At:
        """Where a fit stands before a step, with the loss and the gradient of the kernel where both are known."""
        numbers = [values[fit] for _, values in sorted(self.members.hyperparameters.items())]
        known = (None, None) if seen.gradient is None else (seen.gradient[fit], seen.loss[fit])
        return At(numbers, seen.params[fit], state, self.data.points(fit, step), *known)

    def differs(self, fit: int, seen: _Seen, at: At, plain: Stepped, changes: int) -> str:
        """What differs by more than rounding, in words; empty where nothing does."""
        kernel = _results(seen.loss[fit], at.gradient, seen.after[fit])
        expected = _of_plain(plain, at)
        for count in (changes, _MANY):
            allowed = self.allowed_of(expected, at, count)
            if not _beyond(kernel, expected, allowed):
                return ""
        allowed = self.lost_inside(expected, allowed, at)
        name = _beyond(kernel, expected, allowed)
        return _in_words(name, kernel[name], expected[name], allowed[name]) if name else ""

    def lost_inside(self, expected: _Results, allowed: _Results, at: At) -> _Results:
        """What is allowed once it is known how many digits the plain program itself loses on the way, in float32.

        In float64 it loses as many times fewer as a number has more of them; what overflows in float32 may do so in a
        kernel of float32.
        """
        share = self.unit / _SINGLE
        lost = dict(allowed)
        for _ in range(_MANY):
            place = self._changed(at, _SINGLE, np.float32)
            single, exact = (_of_plain(program.step(place), at) for program in (self.single, self.exact))
            for name in expected:
                error = _TIMES_LOST * share * np.abs(single[name] - exact[name])
                error = np.where(np.isfinite(error), error, np.inf if share == 1 else 0)
                lost[name] = np.maximum(lost[name], allowed[name] + error)
        return lost

    def allowed_of(self, expected: _Results, at: At, changes: int) -> _Results:
        """By how much rounding may change each result."""
        stepped = [self.exact.step(self._changed(at, self.unit)) for _ in range(changes)]
        others = [_results(each.loss, each.gradient, each.params) for each in stepped]
        allowed = {}
        for name, values in expected.items():
            changed = np.max([np.abs(other[name] - values) for other in others], axis=0)
            share = self.allowed * (np.abs(values) + _root_mean_square(values))
            if name == _PARAMETERS:
                share = self.unit * _ALLOWED * np.abs(values) + self.of_a_step * np.abs(values - at.params)
            allowed[name] = np.nan_to_num(_TIMES * changed + share, nan=np.inf)
        return allowed

    def _changed(self, at: At, unit: float, dtype: type = np.float64) -> At:
        """The same place, every number of it changed in its last places, to numbers of this type."""

        def change(values: Any) -> Any:
            if values is None or not jnp.issubdtype(np.asarray(values).dtype, jnp.floating):
                return values
            noise = self.rng.uniform(-1, 1, np.shape(values)) * _CHANGE * unit
            return (np.asarray(values, np.float64) * (1 + noise)).astype(dtype)

        state = None if at.state is None else [change(leaf).astype(leaf.dtype) for leaf in at.state]
        points = Points(*map(change, at.points))
        return At([*map(change, at.hyperparameters)], change(at.params), state, points, *map(change, at[4:]))


def _results(loss, gradient, params) -> _Results:
    given = {"loss": loss, "gradient": gradient, _PARAMETERS: params}
    return {name: np.asarray(values, np.float64) for name, values in given.items() if values is not None}


def _of_plain(stepped: Stepped, at: At) -> _Results:
    return _results(stepped.loss, None if at.gradient is None else stepped.gradient, stepped.params)


def _beyond(kernel: _Results, expected: _Results, allowed: _Results) -> str:
    """The first result that differs by more than is allowed; empty where none does."""
    return next((name for name in kernel if _entries_beyond(kernel[name], expected[name], allowed[name]).any()), "")


def _entries_beyond(kernel, expected, allowed):
    near = np.abs(kernel - expected) <= allowed
    return ~(near | np.isinf(allowed) | (~np.isfinite(kernel) & ~np.isfinite(expected)))


def _in_words(name: str, kernel: np.ndarray, expected: np.ndarray, allowed: np.ndarray) -> str:
    """The worst entry, such as "loss is 1.25, not 1 (rounding explains 3e-06)"."""
    beyond = np.flatnonzero(_entries_beyond(kernel, expected, allowed))
    excess = np.abs(kernel - expected).ravel()[beyond] / allowed.ravel()[beyond]
    place = beyond[np.argmax(np.nan_to_num(excess, nan=np.inf))]
    of = f"{name} entry {place}" if kernel.ndim else name
    values = (array.ravel()[place] for array in (kernel, expected, allowed))
    return "{} is {:.9g}, not {:.9g} (rounding explains {:.1g})".format(of, *values)


def _root_mean_square(values):
    finite = values[np.isfinite(values)]
    return np.sqrt(np.mean(finite**2)) if finite.size else 0.0
