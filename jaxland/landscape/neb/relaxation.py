"""The nudged elastic band: relaxing chains of images to paths of least energy, hundreds of bands in one batch."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.neb.band import energies_of, gaps, tangents
from jaxland.landscape.neb.forces import Forces, forces, steps
from jaxland.problems import Evaluate

# Bands relaxed together on one thread. Fixed, so that a band's bits do not depend on how many there are.
WIDTH = 4
REASONS = ("running", "converged", "stalled", "steps", "diverged", "kinked")
_RUNNING, _CONVERGED, _STALLED, _STEPS, _DIVERGED, _KINKED = range(6)


@dataclass(frozen=True)
class NebSettings:
    """How bands are relaxed, in units of the band itself: what unit a loss or the parameters have does not matter.

    The unit of length is the distance of its ends, and the unit of force the mean norm of the gradient at as many
    images on the straight line between them, in loss per unit of distance. So a band that is relaxed further, or
    refined, is relaxed in the same units as before, wherever its images are. Where both ends are one point, or feel no
    force between them, the band as it is given takes the place of the straight one. Steps have no unit to be set: they
    follow from the curvature that each image meets on its way.

    Attributes:
        steps: most steps of a band; each is one evaluation of all its inner images.
        tolerance: a band has converged when the force on none of its images is larger than this share of the mean norm
            of the gradient at its images, but of no more than a unit of force and no less than a thirtieth of one. The
            force is the gradient across the band and, at the climbing image, the whole gradient.
        spring_constant: of the springs that pull across the band where it bends, in units of force over length. Along
            the band images are kept evenly apart whatever it is.
        bend: angle between successive differences, in degrees, from which the springs pull. With 60 a band on a smooth
            surface comes to rest on the path itself. At 0 this is the switch of Jonsson, Mills and Jacobsen,
            (1 + cos(pi cos(angle))) / 2, which keeps bands short on rough surfaces and cuts corners a little.
        climb_after: when the highest image begins to climb to the saddle. "settled": when no force is larger than 100
            times the tolerance, or nothing has fallen for a tenth of `patience`, or half the steps are taken. A number:
            at this step, before which no band converges or stalls. None: never.
        patience: a band has stalled when over so many steps neither its mean energy nor its highest has fallen by
            `progress`, nor its largest force by a tenth.
        progress: the share of the difference between its highest and lowest energies that counts as a fall.
        longest_move: most an image may move in a step, as a share of the gap between images on the straight line. On
            rough surfaces images that go farther end up in valleys beside each other, which no later step mends.
    """

    steps: int = 10_000
    tolerance: float = 1e-3
    spring_constant: float = 2.0
    bend: float = 60.0
    climb_after: int | Literal["settled"] | None = "settled"
    patience: int = 500
    progress: float = 1e-3
    longest_move: float = 0.2

    def __post_init__(self):
        for name in ("steps", "patience", "tolerance", "spring_constant", "longest_move"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)}.")
        if not 0 <= self.bend < 90:
            raise ValueError(f"bend must be an angle in [0, 90) degrees; got {self.bend}.")
        if isinstance(self.climb_after, str) and self.climb_after != "settled":
            raise ValueError(f"climb_after must be a step, 'settled', or None for never; got {self.climb_after!r}.")


class Bands(NamedTuple):
    """Relaxed bands, and how far each of them came."""

    images: Float[np.ndarray, "B I P"]
    energies: Float[np.ndarray, "B I"]
    residual: Float[np.ndarray, "B"]
    """Largest force on an image when the band stopped, in loss per unit of distance; see `NebSettings.tolerance`."""
    steps: Int[np.ndarray, "B"]
    reason: np.ndarray
    """Why each band stopped: converged, stalled, kinked (stalled, and `bounce` is a quarter or more), diverged, or
    steps (there were no more)."""
    bounce: Float[np.ndarray, "B"]
    """Of a band that stalled or is kinked the share of inner images whose force turns round, by a jump, within a
    ten-thousandth of the mean gap; NaN of others."""

    __repr__ = in_short


class _Units(NamedTuple):
    """What the settings are measured in; one for a band that feels no force, or has no length."""

    force: Float[Array, ""]
    length: Float[Array, ""]


class _State(NamedTuple):
    """One band while it relaxes."""

    trial: Float[Array, "inner P"]
    """The inner images to be evaluated next."""
    inner: Float[Array, "inner P"]
    """The last ones with finite energies and gradients, and these."""
    energies: Float[Array, "inner"]
    slopes: Float[Array, "inner P"]
    curvature: Float[Array, "inner"]
    velocity: Float[Array, "inner P"]
    downhill: Int[Array, ""]
    refused: Int[Array, ""]
    """How many trials in a row were not finite."""
    climbing: Bool[Array, ""]
    step: Int[Array, ""]
    residual: Float[Array, ""]
    lowest: Float[Array, "3"]
    """Mean energy, highest energy and residual when they last fell enough to count."""
    fell_at: Int[Array, ""]
    reason: Int[Array, ""]


def relax(
    evaluate: Evaluate,
    bands: Float[np.ndarray, "B I P"],
    settings: NebSettings = NebSettings(),
    *,
    threads: int = 1,
    on_progress: Callable[[int], object] = lambda bands: None,
    stop: threading.Event | None = None,
) -> Bands:
    """Relaxes bands to paths of least energy between their fixed ends.

    Each inner image feels the gradient across the band and is kept evenly apart from its neighbours; once the band has
    settled the highest one climbs to the saddle. A step is the force over the curvature which the image has met on its
    way, solved for all images together, with momentum as long as the band as a whole goes with its forces. So nothing
    is tuned to a surface, to its units, or to the number of images. What becomes of a band does not depend on those
    beside it.

    On a network of ReLU units the loss has kinks, and the floors of its valleys are made of them: the gradient jumps
    across the floor by more than what is left along it, so that no image, however well placed, feels a small force.
    Such a band stops when its energies no longer fall, and is told from one that merely stalled by what its forces do:
    if a move of a ten-thousandth of a gap turns them round, there is nowhere to go. It is "kinked", which says that the
    profile of the band is at rest; not that the path is one of least energy, so its heights are bounds from above.

    Args:
        evaluate: losses and gradients of many points; see `gradients_of`.
        bands: where to begin, from `straight_bands`, `refine` or an earlier result.
        settings: when to stop, when to climb, springs.
        threads: how many batches are relaxed at a time.
        on_progress: called with the number of bands done since the last call.
        stop: when set, bands stop where they are, with the reason "steps".

    Returns:
        The bands, each with the reason why it stopped. A band that comes to NaN or infinity takes shorter steps; where
        that does not help it has diverged, and is given as it was before.

    Raises:
        ValueError: bands of a wrong shape.

    References:
        Jonsson, Mills and Jacobsen, in Classical and Quantum Dynamics in Condensed Phase Simulations (World Scientific
        1998), chapter 16; Henkelman and Jonsson, J. Chem. Phys. 113, 9978 (2000); climbing image: Henkelman, Uberuaga
        and Jonsson, J. Chem. Phys. 113, 9901 (2000); steps from differences of gradients: Barzilai and Borwein, IMA
        J. Numer. Anal. 8, 141 (1988); momentum that starts anew: O'Donoghue and Candes, Found. Comput. Math. 15, 715
        (2015).
    """
    bands = np.asarray(bands, np.float64)
    if bands.ndim != 3 or bands.shape[1] < 3:
        raise ValueError(f"bands must have shape (bands, images >= 3, parameters); got {bands.shape}.")
    if not len(bands):
        return Bands(bands, bands[..., 0], np.zeros(0), np.zeros(0, np.int32), np.array([], str), np.zeros(0))

    def work(start):
        batch = bands[start : start + WIDTH]
        padded = bands[np.minimum(np.arange(start, start + WIDTH), len(bands) - 1)]
        result = _relax_batch(evaluate, padded, len(batch), settings, stop)
        on_progress(len(batch))
        return Bands(*(values[: len(batch)] for values in result))

    stop = stop or threading.Event()
    with ThreadPoolExecutor(threads) as pool:
        try:
            parts = list(pool.map(work, range(0, len(bands), WIDTH)))
        except BaseException:
            stop.set()  # or Ctrl-C would wait for the batches under way
            pool.shutdown(cancel_futures=True)
            raise
    return Bands(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _relax_batch(evaluate: Evaluate, bands, count: int, settings: NebSettings, stop) -> Bands:
    width, images, size = bands.shape
    begin, advance = _programs(settings)
    running = np.arange(width) < count
    with jax.enable_x64(True):
        ends, real = bands[:, [0, -1]], np.minimum(np.arange(width), count - 1)
        end_energies = energies_of(evaluate, ends[:count])[real]
        state, units = begin(bands[:, 1:-1]), _Units(*(each[real] for each in _units(evaluate, bands[:count])))
        energies, slopes = np.zeros((width, images - 2)), np.zeros((width, images - 2, size))
        while True:
            trial = np.asarray(state.trial)[running]
            found, gradients = evaluate(trial.reshape(-1, size))
            energies[running] = found.reshape(len(trial), images - 2)
            slopes[running] = gradients.reshape(trial.shape)
            state = advance(units, state, ends, end_energies, energies, slopes)
            running &= np.asarray(state.reason) == _RUNNING
            if not running.any() or stop.is_set():
                break
    reason = np.asarray(state.reason)
    reason = np.where(reason == _RUNNING, _STEPS, reason)
    whole = np.concatenate([ends[:, :1], np.asarray(state.inner), ends[:, 1:]], axis=1)
    all_energies = np.concatenate([end_energies[:, :1], np.asarray(state.energies), end_energies[:, 1:]], axis=1)
    bounce, stalled = np.full(width, np.nan), (reason == _STALLED) & (np.arange(width) < count)
    if stalled.any():
        bounce[stalled] = _bounce(evaluate, whole[stalled], all_energies[stalled], np.asarray(state.slopes)[stalled])
    return Bands(
        images=whole,
        energies=all_energies,
        residual=np.asarray(state.residual),
        steps=np.asarray(state.step),
        reason=np.array(REASONS)[np.where(stalled & (bounce >= _KINKED_SHARE), _KINKED, reason)],
        bounce=bounce,
    )


# Of the mean gap of a band: how far its images are pushed to see whether their forces turn, at first and then.
_NEAR, _FAR = 1e-4, 1e-2
# Of the images of a stalled band: how many must bounce for it to be kinked.
_KINKED_SHARE = 0.25


def _bounce(evaluate: Evaluate, bands, energies, slopes) -> Float[np.ndarray, "B"]:
    """The share of images at which the loss rises again a little way down the force across the band, by a jump.

    On a smooth surface the slope changes by a hundred times as much where the push is a hundred times as long, across a
    kink by hardly more; the line is drawn at a quarter of that.
    """
    with jax.enable_x64(True):
        tangent = np.asarray(jax.vmap(tangents)(bands, energies))
    down = (slopes * tangent).sum(axis=2, keepdims=True) * tangent - slopes
    strength = norm(down)
    down = down / np.where(strength > 0, strength, 1.0)[..., None]
    far = np.array([_NEAR, _FAR])[:, None, None, None] * gaps(bands).mean(axis=1)[:, None, None]
    pushed = bands[:, 1:-1] + far * down
    _, beyond = evaluate(pushed.reshape(-1, bands.shape[2]))
    near, then = ((beyond.reshape(pushed.shape) - slopes) * down).sum(axis=3)
    return ((near > strength) & (then < _FAR / _NEAR / 4 * near)).mean(axis=1)


def _units(evaluate: Evaluate, bands: Float[np.ndarray, "B I P"]) -> _Units:
    share = np.linspace(0, 1, bands.shape[1])[:, None]
    force, length = _extent(evaluate, bands[:, :1] + share * (bands[:, -1:] - bands[:, :1]))
    own = ~((force > 0) & (length > 0))
    if own.any():
        force[own], length[own] = _extent(evaluate, bands[own])
    return _Units(*(jnp.asarray(np.where(each > 0, each, 1.0)) for each in (force, length)))


def _extent(evaluate: Evaluate, bands: Float[np.ndarray, "B I P"]) -> tuple[np.ndarray, np.ndarray]:
    """The mean norm of the gradient at the inner images of each band, and its length."""
    width, images, size = bands.shape
    _, slopes = evaluate(bands[:, 1:-1].reshape(-1, size))
    force = norm(slopes.astype(np.float64).reshape(width, images - 2, size)).mean(axis=1)
    return force, norm(np.diff(bands, axis=1)).sum(axis=1)


@lru_cache(maxsize=32)
def _programs(settings: NebSettings):
    return jax.jit(jax.vmap(_begin)), jax.jit(jax.vmap(partial(_advance, settings)))


def _begin(inner) -> _State:
    zero, none = jnp.zeros((), jnp.int32), jnp.zeros(len(inner))
    return _State(
        trial=inner,
        inner=inner,
        energies=none + jnp.nan,
        slopes=jnp.zeros_like(inner),
        curvature=none,
        velocity=jnp.zeros_like(inner),
        downhill=zero,
        refused=zero,
        climbing=jnp.array(False),
        step=zero,
        residual=jnp.array(jnp.inf),
        lowest=jnp.full(3, jnp.inf),
        fell_at=zero,
        reason=zero,
    )


def _advance(settings: NebSettings, units: _Units, state: _State, ends, end_energies, energies, slopes) -> _State:
    finite = jnp.isfinite(jnp.sum(energies)) & jnp.isfinite(jnp.sum(slopes)) & jnp.isfinite(jnp.sum(state.trial))
    accepted = _accepted(settings, units, state, ends, end_energies, energies, slopes)
    new = jax.tree.map(lambda yes, no: jnp.where(finite, yes, no), accepted, _refused(state, energies))
    return jax.tree.map(lambda new, old: jnp.where(state.reason == _RUNNING, new, old), new, state)


# Trials in a row that are not finite, each a quarter as far as the one before, until a band has diverged.
_TRIALS = 20


def _refused(state: _State, energies) -> _State:
    """Goes back, most of the way, to where all was finite; a band that never was has diverged."""
    refused = state.refused + 1
    first = jnp.isnan(state.energies).any()
    return state._replace(
        trial=state.inner + (state.trial - state.inner) / 4,
        energies=jnp.where(first, energies, state.energies),
        velocity=jnp.zeros_like(state.velocity),
        downhill=jnp.zeros_like(state.downhill),
        refused=refused,
        step=state.step + 1,
        reason=jnp.where(first | (refused >= _TRIALS), _DIVERGED, _RUNNING).astype(jnp.int32),
    )


def _accepted(settings: NebSettings, units: _Units, state: _State, ends, end_energies, energies, slopes) -> _State:
    images = jnp.concatenate([ends[:1], state.trial, ends[1:]])
    every = jnp.concatenate([end_energies[:1], energies, end_energies[1:]])
    # An end that lies higher than all images has no saddle for them to climb.
    ridge = jnp.max(energies) > jnp.max(end_energies)
    top = (jnp.arange(len(energies)) == jnp.argmax(energies)) & ridge
    curvature = _curvature(settings, units, state, slopes)
    state = state._replace(inner=state.trial, energies=energies, slopes=slopes, curvature=curvature)
    state = state._replace(refused=jnp.zeros_like(state.refused))
    judged = _judge(settings, units, state, every, forces(images, every, slopes, top & state.climbing))
    found = forces(images, every, slopes, top & judged.climbing)
    spring = settings.spring_constant * units.force / units.length
    move = steps(images, every, found, top & judged.climbing, _known(curvature), spring, settings.bend)
    return _move(judged, move, _longest(settings, units, state.trial))


def _longest(settings: NebSettings, units: _Units, inner) -> Float[Array, ""]:
    return settings.longest_move * units.length / (len(inner) + 1)


# How much an image remembers from step to step of the largest curvature it has met.
_MEMORY = 0.95


def _curvature(settings: NebSettings, units: _Units, state: _State, slopes) -> Float[Array, "inner"]:
    """What each image has met: the change of its gradient over how far it moved, and what it remembers.

    At first it is the largest between two neighbours, and enough for no image to go farther than it may.
    """

    def over(change, moved):
        return jnp.where(moved > 0, change / jnp.where(moved > 0, moved, 1.0), 0.0)

    size = partial(jnp.linalg.norm, axis=1)
    met = over(size(slopes - state.slopes), size(state.trial - state.inner))
    between = over(size(jnp.diff(slopes, axis=0)), size(jnp.diff(state.trial, axis=0)))
    first = jnp.maximum(jnp.max(between, initial=0.0), jnp.max(size(slopes)) / _longest(settings, units, slopes))
    return jnp.where(jnp.isnan(state.energies).any(), first, jnp.maximum(_MEMORY * state.curvature, met))


def _known(curvature):
    """No image takes itself to lie on a plane while others meet curvature."""
    largest = jnp.max(curvature)
    return jnp.where(largest > 0, jnp.maximum(curvature, 1e-3 * largest), 1.0)


# Of the tolerance: how small the forces on a band are when its highest image begins to climb.
_SETTLED = 100.0
# Of the unit of force: the least to which forces are compared, since on a level path there is nothing else.
_LEVEL = 1 / 30


def _judge(settings: NebSettings, units: _Units, state: _State, energies, found: Forces) -> _State:
    residual = jnp.max(found.residual)
    now = jnp.array([jnp.mean(energies), jnp.max(energies), residual])
    enough = settings.progress * jnp.ptp(energies)
    fell = jnp.isinf(state.lowest) | (now < state.lowest - jnp.array([enough, enough, 0.1 * residual]))
    lowest = jnp.where(fell, now, state.lowest)
    fell_at = jnp.where(fell.any(), state.step, state.fell_at)
    own = jnp.mean(jnp.linalg.norm(state.slopes, axis=1))
    small = settings.tolerance * jnp.clip(own, _LEVEL * units.force, units.force)
    still = state.step - fell_at
    stalled = still >= settings.patience
    if settings.climb_after == "settled":
        settled = (residual <= _SETTLED * small) | (10 * still >= settings.patience)
        settled = settled | (state.step >= settings.steps // 2)
        begins, warm = settled & ~state.climbing, state.climbing
    elif settings.climb_after is not None:
        warm = state.step >= settings.climb_after
        begins = warm & ~state.climbing
    else:
        begins, warm = jnp.array(False), jnp.array(True)
    verdicts = [
        (warm & (residual <= small), _CONVERGED),
        (warm & ~begins & stalled, _STALLED),
        (state.step >= settings.steps, _STEPS),
    ]
    reason = jnp.select([held for held, _ in verdicts], [jnp.int32(code) for _, code in verdicts], _RUNNING)
    return state._replace(
        velocity=jnp.where(begins, 0.0, state.velocity),
        downhill=jnp.where(begins, 0, state.downhill),
        climbing=state.climbing | begins,
        residual=residual,
        lowest=jnp.where(begins, jnp.inf, lowest),
        fell_at=jnp.where(begins, state.step, fell_at),
        reason=reason.astype(jnp.int32),
    )


# Most of its last move that a band goes on with.
_MOMENTUM = 0.9


def _move(state: _State, move, longest) -> _State:
    """The next trial: a step, and part of the last move as long as that goes with the steps of the band as a whole."""
    good = jnp.sum(move * state.velocity) > 0
    downhill = jnp.where(good, state.downhill + 1, 0)
    share = jnp.where(good, jnp.minimum(downhill / (downhill + 3), _MOMENTUM), 0.0)
    move = move + share * state.velocity
    length = jnp.linalg.norm(move, axis=1, keepdims=True)
    move = move * jnp.minimum(1.0, longest / jnp.where(length > 0, length, 1.0))
    running = state.reason == _RUNNING
    return state._replace(
        trial=state.inner + move,
        velocity=move,
        downhill=downhill.astype(jnp.int32),
        step=state.step + running.astype(jnp.int32),
    )
