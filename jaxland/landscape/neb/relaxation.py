"""The nudged elastic band: relaxing chains of images to paths of least energy, hundreds of bands in one batch."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxland._scaling import norm
from jaxland.landscape.neb.band import energies_of, tangents
from jaxland.problems import Evaluate

# Bands relaxed together on one thread. Fixed, so that a band's bits do not depend on how many there are.
WIDTH = 4
REASONS = ("running", "converged", "stalled", "steps", "diverged")
_RUNNING, _CONVERGED, _STALLED, _STEPS, _DIVERGED = range(5)


@dataclass(frozen=True)
class NebSettings:
    """How bands are relaxed, in units of the band itself: what unit a loss or the parameters have does not matter.

    The unit of length is the distance of its ends, the unit of force the mean norm of the gradient at as many images on
    the straight line between them, in loss per unit of distance, and that of time the root of length over force. So a
    band that is relaxed further, or refined, is relaxed in the same units as before, wherever its images are. Where
    both ends are one point, or feel no force between them, the band as it is given takes the place of the straight one.

    Attributes:
        steps: most steps of a band.
        tolerance: a band has converged when the force on none of its images is larger than this share of the unit of
            force: the gradient across the band and, at the climbing image, the whole gradient.
        spring_constant: of the springs between images, in units of force over length.
        bend: angle between successive differences, in degrees, from which springs pull across the band too. At 0 this
            is the switch of Jonsson, Mills and Jacobsen, (1 + cos(pi cos(angle))) / 2, which keeps bands short on rough
            surfaces and cuts corners a little; with 60 a band on a smooth surface comes to rest on the path itself.
        climb_after: step from which the highest image climbs to the saddle; None for never.
        patience: a band has stalled when over so many steps its mean energy has not fallen by `progress`.
        progress: the share of the mean energy that counts as a fall.
        first_step, longest_step: time step of each image at first and at most, in units of time.
        longest_move: most an image may move in a step, as a share of the mean gap of its band.
    """

    steps: int = 20_000
    tolerance: float = 1e-3
    spring_constant: float = 0.1
    bend: float = 0.0
    climb_after: int | None = 2_000
    patience: int = 4_000
    progress: float = 1e-3
    first_step: float = 0.01
    longest_step: float = 0.1
    longest_move: float = 0.2

    def __post_init__(self):
        for name in ("steps", "patience", "tolerance", "spring_constant", "first_step", "longest_step", "longest_move"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive; got {getattr(self, name)}.")
        if not 0 <= self.bend < 90:
            raise ValueError(f"bend must be an angle in [0, 90) degrees; got {self.bend}.")


class Bands(NamedTuple):
    """Relaxed bands, and how far each of them came."""

    images: Float[np.ndarray, "B I P"]
    energies: Float[np.ndarray, "B I"]
    residual: Float[np.ndarray, "B"]
    """Largest force on an image when the band stopped, in loss per unit of distance; see `NebSettings.tolerance`."""
    steps: Int[np.ndarray, "B"]
    reason: np.ndarray
    """Why each band stopped: converged, stalled, steps (there were no more) or diverged."""


class _Units(NamedTuple):
    """What the settings are measured in; one for a band that feels no force, or has no length."""

    force: Float[Array, ""]
    length: Float[Array, ""]


class _State(NamedTuple):
    """One band while it relaxes; each image keeps its own clock."""

    inner: Float[Array, "I-2 P"]
    velocity: Float[Array, "I-2 P"]
    time_step: Float[Array, "I-2"]
    mixing: Float[Array, "I-2"]
    downhill: Int[Array, "I-2"]
    step: Int[Array, ""]
    residual: Float[Array, ""]
    best_mean: Float[Array, ""]
    best_at: Int[Array, ""]
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

    Each inner image feels the gradient across the band and springs along it; from `climb_after` on the highest one
    feels no springs and climbs. Images move by the fast inertial relaxation engine (FIRE), each with its own time step,
    since the walls about a narrow minimum ask for steps a thousand times shorter than the plain elsewhere. What becomes
    of a band does not depend on those beside it.

    Args:
        evaluate: losses and gradients of many points; see `gradients_of`.
        bands: where to begin, from `straight_bands`, `refine` or an earlier result.
        settings: when to stop, springs and steps.
        threads: how many batches are relaxed at a time.
        on_progress: called with the number of bands done since the last call.
        stop: when set, bands stop where they are, with the reason "steps".

    Returns:
        The bands, each with the reason why it stopped. A band that met NaN or infinity has diverged.

    Raises:
        ValueError: bands of a wrong shape.

    References:
        Jonsson, Mills and Jacobsen, in Classical and Quantum Dynamics in Condensed Phase Simulations (World Scientific
        1998), chapter 16; Henkelman and Jonsson, J. Chem. Phys. 113, 9978 (2000); climbing image: Henkelman, Uberuaga
        and Jonsson, J. Chem. Phys. 113, 9901 (2000); FIRE: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006).
    """
    bands = np.asarray(bands, np.float64)
    if bands.ndim != 3 or bands.shape[1] < 3:
        raise ValueError(f"bands must have shape (bands, images >= 3, parameters); got {bands.shape}.")
    if not len(bands):
        return Bands(bands, bands[..., 0], np.zeros(0), np.zeros(0, np.int32), np.array([], str))

    def work(start):
        batch = bands[start : start + WIDTH]
        padded = bands[np.minimum(np.arange(start, start + WIDTH), len(bands) - 1)]
        result = _relax_batch(evaluate, padded, settings, stop)
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


def _relax_batch(evaluate: Evaluate, bands, settings: NebSettings, stop) -> Bands:
    width, images, size = bands.shape
    begin, advance = _programs(settings)
    with jax.enable_x64(True):
        ends = bands[:, [0, -1]]
        end_energies = energies_of(evaluate, ends)
        state, units = begin(bands[:, 1:-1]), _units(evaluate, bands)
        while True:
            inner = np.asarray(state.inner)
            energies, slopes = evaluate(inner.reshape(-1, size))
            energies = energies.astype(np.float64).reshape(width, images - 2)
            slopes = slopes.astype(np.float64).reshape(inner.shape)
            state = advance(units, state, ends, end_energies, energies, slopes)
            reason = np.asarray(state.reason)
            if (reason != _RUNNING).all() or (stop.is_set()):
                break
    # The last step only judged bands that have stopped, so these energies are those of the images.
    return Bands(
        images=np.concatenate([ends[:, :1], inner, ends[:, 1:]], axis=1),
        energies=np.concatenate([end_energies[:, :1], energies, end_energies[:, 1:]], axis=1),
        residual=np.asarray(state.residual),
        steps=np.asarray(state.step),
        reason=np.array(REASONS)[np.where(reason == _RUNNING, _STEPS, reason)],
    )


def _units(evaluate: Evaluate, bands: Float[np.ndarray, "B I P"]) -> _Units:
    share = np.linspace(0, 1, bands.shape[1])[:, None]
    straight = bands[:, :1] + share * (bands[:, -1:] - bands[:, :1])
    (force, length), (own_force, own_length) = (_extent(evaluate, each) for each in (straight, bands))
    known = (force > 0) & (length > 0)
    found = np.where(known, force, own_force), np.where(known, length, own_length)
    return _Units(*(jnp.asarray(np.where(each > 0, each, 1.0)) for each in found))


def _extent(evaluate: Evaluate, bands: Float[np.ndarray, "B I P"]) -> tuple[np.ndarray, np.ndarray]:
    """The mean norm of the gradient at the inner images of each band, and its length."""
    width, images, size = bands.shape
    _, slopes = evaluate(bands[:, 1:-1].reshape(-1, size))
    force = norm(slopes.astype(np.float64).reshape(width, images - 2, size)).mean(axis=1)
    return force, norm(np.diff(bands, axis=1)).sum(axis=1)


@lru_cache(maxsize=32)
def _programs(settings: NebSettings):
    advance = jax.vmap(partial(_advance, settings))
    return jax.jit(jax.vmap(partial(_begin, settings))), jax.jit(advance)


def _begin(settings: NebSettings, inner) -> _State:
    count = len(inner)
    zero = jnp.zeros((), jnp.int32)
    return _State(
        inner=inner,
        velocity=jnp.zeros_like(inner),
        time_step=jnp.full(count, settings.first_step),
        mixing=jnp.full(count, _MIXING),
        downhill=jnp.zeros(count, jnp.int32),
        step=zero,
        residual=jnp.array(jnp.inf),
        best_mean=jnp.array(jnp.inf),
        best_at=zero,
        reason=zero,
    )


def _advance(settings: NebSettings, units: _Units, state: _State, ends, end_energies, inner_energies, slopes) -> _State:
    images = jnp.concatenate([ends[:1], state.inner, ends[1:]])
    energies = jnp.concatenate([end_energies[:1], inner_energies, end_energies[1:]])
    force, residual = _force(settings, units, state.step, images, energies, slopes)
    judged = _judge(settings, units, state, energies, residual)
    gap = jnp.mean(jnp.linalg.norm(jnp.diff(images, axis=0), axis=1))
    # Force as length over squared unit of time.
    moved = _move(settings, judged, force * (units.length / units.force), settings.longest_move * gap)
    running = judged.reason == _RUNNING
    return jax.tree.map(lambda new, old: jnp.where(running, new, old), moved, judged)


def _force(settings: NebSettings, units: _Units, step, images, energies, slopes):
    """The force on each inner image, and the largest that is not the springs'."""
    tangent = tangents(images, energies)
    along = jnp.sum(slopes * tangent, axis=1, keepdims=True)
    across = along * tangent - slopes
    springs = settings.spring_constant * units.force / units.length * _springs(images, tangent, settings.bend)
    force, true = across + springs, across
    if settings.climb_after is not None:
        highest = jnp.arange(len(slopes)) == jnp.argmax(energies[1:-1])
        # An end that lies higher than all images has no saddle for them to climb.
        ridge = jnp.max(energies[1:-1]) > jnp.maximum(energies[0], energies[-1])
        climbs = highest & ridge & (step >= settings.climb_after)
        climbing = (2 * along * tangent - slopes, -slopes)
        force, true = (jnp.where(climbs[:, None], up, plain) for up, plain in zip(climbing, (force, true), strict=True))
    return force, jnp.max(jnp.linalg.norm(true, axis=1))


def _springs(images, tangent, bend):
    """Springs of unit strength: along the band, and where it folds, across it too.

    Springs along the band alone let it fold where images fall to different sides of a ridge: it grows without end, for
    nothing pulls a fold straight. The part across grows from zero where the band turns by `bend` degrees to its whole
    where it turns by 90.
    """
    steps = jnp.diff(images, axis=0)
    lengths = jnp.linalg.norm(steps, axis=1)
    pull = steps[1:] - steps[:-1]
    across = pull - jnp.sum(pull * tangent, axis=1, keepdims=True) * tangent
    product = lengths[1:] * lengths[:-1]
    cosine = jnp.sum(steps[1:] * steps[:-1], axis=1) / jnp.where(product > 0, product, 1.0)
    switch = (1 + jnp.cos(jnp.pi * jnp.clip(cosine / jnp.cos(jnp.radians(bend)), 0.0, 1.0))) / 2
    return (lengths[1:] - lengths[:-1])[:, None] * tangent + switch[:, None] * across


def _judge(settings: NebSettings, units: _Units, state: _State, energies, residual) -> _State:
    mean = jnp.mean(energies)
    fell = mean < state.best_mean - settings.progress * jnp.abs(state.best_mean)
    fell = fell | jnp.isinf(state.best_mean)
    best_mean = jnp.where(fell, mean, state.best_mean)
    best_at = jnp.where(fell, state.step, state.best_at)
    warm = state.step >= (settings.climb_after or 0)
    verdicts = [
        (~jnp.isfinite(mean + residual), _DIVERGED),
        (warm & (residual <= settings.tolerance * units.force), _CONVERGED),
        (warm & (state.step - best_at >= settings.patience), _STALLED),
        (state.step >= settings.steps, _STEPS),
    ]
    reason = jnp.select([held for held, _ in verdicts], [jnp.int32(code) for _, code in verdicts], _RUNNING)
    judged = state._replace(residual=residual, best_mean=best_mean, best_at=best_at, reason=reason.astype(jnp.int32))
    running = state.reason == _RUNNING
    return jax.tree.map(lambda new, old: jnp.where(running, new, old), judged, state)


# The numbers of Bitzek et al., which they recommend for all systems.
_MIXING, _MIXING_DECAY, _SPEED_UP, _SLOW_DOWN, _DELAY = 0.1, 0.99, 1.1, 0.5, 5


def _move(settings: NebSettings, state: _State, force, longest) -> _State:
    """One step of FIRE, each image by its own clock."""
    velocity = state.velocity + state.time_step[:, None] * force
    power = jnp.sum(velocity * force, axis=1)
    good = power > 0
    downhill = jnp.where(good, state.downhill + 1, 0)
    faster = good & (downhill > _DELAY)
    time_step = jnp.where(faster, jnp.minimum(state.time_step * _SPEED_UP, settings.longest_step), state.time_step)
    time_step = jnp.where(good, time_step, state.time_step * _SLOW_DOWN)
    mixing = jnp.where(faster, state.mixing * _MIXING_DECAY, jnp.where(good, state.mixing, _MIXING))
    speed = jnp.linalg.norm(velocity, axis=1, keepdims=True)
    strength = jnp.linalg.norm(force, axis=1, keepdims=True)
    toward = force / jnp.where(strength > 0, strength, 1.0)
    velocity = (1 - mixing[:, None]) * velocity + mixing[:, None] * speed * toward
    velocity = jnp.where(good[:, None], velocity, 0.0)
    move = time_step[:, None] * velocity
    length = jnp.linalg.norm(move, axis=1, keepdims=True)
    move = move * jnp.minimum(1.0, longest / jnp.where(length > 0, length, 1.0))
    return state._replace(
        inner=state.inner + move,
        velocity=velocity,
        time_step=time_step,
        mixing=mixing,
        downhill=downhill,
        step=state.step + 1,
    )
