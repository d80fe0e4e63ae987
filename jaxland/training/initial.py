"""Initial parameters of fits: a pure function of the network, the seed and the fit's number."""

import threading
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from weakref import WeakKeyDictionary

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxland._blocks import in_blocks
from jaxland._compiled import Options, compile_with
from jaxland._numbers import whole_number
from jaxland._precision import numerics
from jaxland.networks import Network
from jaxland.training import executables
from jaxland.training.calls import once
from jaxland.training.devices import host_device
from jaxland.training.ensemble import Ensemble, Members, positive
from jaxland.training.wording import Unworded, digest

# Fits in a program, whatever is asked for, so that a fit's bits cannot depend on how many are; fewer of large networks,
# so that no more is drawn than a group of fits needs.
_WIDTH = 256
_ENTRIES = 2**21
# XLA at its usual level takes twice as long over such a program, which is then no faster and draws the same bits.
_LESS: list[Options] = [{"xla_backend_optimization_level": 1}, {}]
# Fits looked at to see whether a function of their numbers tells them apart.
_PROBED = 16


def draw_parameters(network: Network, seed: int, fits: Int[np.ndarray, "F"]) -> Float[np.ndarray, "F P"]:
    """Draws `network.init(fold_in(key(seed), fit))` for each fit, in float32, on the processor where there is one.

    So fits start from the same points whatever device they are trained on.
    """
    return _Drawing(network)(seed, fits)


def starting_points(
    source: Ensemble | Network, fits: int | Int[np.ndarray, "F"], *, seed: int = 0
) -> Float[np.ndarray, "F P"]:
    """The parameters from which fits start, without training them.

        start = jl.training.starting_points(network, 512, seed=3)  # of fits 0 to 511 of jl.fit(network, ..., seed=3)

    Args:
        source: an ensemble, or a network whose parameters are drawn with the keys `fold_in(key(seed), fit)`.
        fits: F, how many, from the ensemble's first, or the numbers of the fits.
        seed: of the keys, where a network is given; an ensemble has its own.

    Returns:
        Flat parameters, in the ensemble's dtype; of a network in float32.

    Raises:
        TypeError: `source` is neither.
        ValueError: fits or seed out of range.
    """
    if isinstance(source, Ensemble):
        numbers, first, count = _numbers(fits, source.first), source.first, source.per_fit_count()
        if count is not None and ((numbers < first) | (numbers >= first + count)).any():
            raise ValueError(f"the ensemble has fits {first} to {first + count - 1} alone; got fits={fits!r}.")
        return initial_parameters(source, source.members(numbers))
    if not isinstance(source, Network):
        raise TypeError(f"starting points are those of an Ensemble or a Network; got {type(source).__name__}.")
    whole_number("seed", seed, 0, 2**32 - 1)
    return draw_parameters(source, seed, _numbers(fits, 0))


def _numbers(fits: Any, first: int) -> Int[np.ndarray, "F"]:
    if isinstance(fits, int | np.integer):
        positive("fits", int(fits))
        return np.arange(first, first + fits)
    numbers = np.asarray(fits)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or ((numbers < 0) | (numbers >= 2**32)).any():
        raise ValueError(f"fits must be how many, or their numbers (F,), integers in [0, 2**32); got {fits!r}.")
    return numbers.astype(np.int64)


def initial_parameters(ensemble: Ensemble, members: Members) -> Float[np.ndarray, "W P"]:
    """The parameters from which these members start, in the ensemble's dtype."""
    start = members.start
    if start is None:
        start = _drawing(ensemble)(ensemble.seed, members.seeds).astype(ensemble.number_format)
    return start * members.init_scale[:, None]


def begin_drawing(network: Network) -> None:
    """Begins to read what draws the network's parameters, where it was kept."""
    once(network, "draw", lambda: _Drawing(network))


def prepare_drawing(ensemble: Ensemble) -> None:
    """Begins to compile what draws the fits' starts, where it was not kept."""
    if ensemble.start is None:
        _drawing(ensemble).compile_aside()


def warn_of_equal_fits(ensemble: Ensemble) -> None:
    """Warns where nothing tells fits apart: `init` gives two of them one start, and they have no numbers of their own.

    Warns:
        UserWarning: it is so.
    """
    if ensemble.has_own_numbers:
        return
    seeds = np.unique(ensemble.members(np.arange(ensemble.per_fit_count() or _PROBED) + ensemble.first).seeds)
    name, drawn = ensemble.network.spec.name, _drawing(ensemble)(ensemble.seed, seeds[:2])
    if np.array_equal(drawn[0], drawn[-1], equal_nan=True):
        why = f"init of network {name!r} does not use its key" if len(seeds) > 1 else f"all seeds are {seeds[0]}"
        warnings.warn(
            f"all fits start from the same parameters and are one fit: {why}. Draw from the key, give each fit a seed "
            "of its own, or its own start.",
            stacklevel=3,
        )


_DRAWINGS: WeakKeyDictionary[Ensemble, "_Drawing"] = WeakKeyDictionary()
_LOCK = threading.RLock()  # the init of a network may train another


def _drawing(ensemble: Ensemble) -> "_Drawing":
    """One for all fits of an ensemble, whichever thread draws them first."""
    with _LOCK:
        if ensemble not in _DRAWINGS:
            _DRAWINGS[ensemble] = once(ensemble.network, "draw", lambda: _Drawing(ensemble.network))
        return _DRAWINGS[ensemble]


class _Drawing:
    """What draws the parameters of a network, by what its `init` is when this is made."""

    def __init__(self, network: Network):
        self._network, self._device, self._lock = network, host_device(), threading.RLock()
        self._width = max(1, min(_WIDTH, 2 ** (_ENTRIES // max(network.size, 1)).bit_length() // 2))
        self._last: tuple[int, int, Any] = -1, -1, None
        with self._numerics():
            self._key = self._key_now()
            self._made = None if self._key is None else executables.find(self._key, self._home())

    def compile_aside(self) -> None:
        """Begins to compile the program in another thread, where it was not kept."""
        if self._made is None:
            self._made = self._compiling()

    def _compiling(self) -> Future[executables.Executable | None]:
        with self._numerics():
            return _COMPILER.submit(self._compiled, *self._lowered())

    def _numerics(self) -> ExitStack:
        stack = ExitStack()
        stack.enter_context(numerics("float32"))
        stack.enter_context(jax.default_device(self._device))
        return stack

    def _draw(self, seed, fit):
        network = self._network
        return [network.flatten(network.init(jax.random.fold_in(jax.random.key(seed), fit)))]

    def _key_now(self) -> str | None:
        number = jax.ShapeDtypeStruct((), np.uint32)
        try:
            text = digest(jax.make_jaxpr(lambda seed, fit: self._draw(seed, fit))(number, number))
        except Unworded:
            return None
        return executables.key_on(self._home(), "draw", text, str(self._width))

    def _lowered(self) -> tuple[jax.stages.Lowered, str | None]:
        """The program, and the key under which it may be kept."""
        program = jax.jit(jax.vmap(self._draw, in_axes=(None, 0))).lower(*self._shapes())
        # What is the same before and after it was traced is what the key says.
        return program, self._key if self._key == self._key_now() else None

    def _shapes(self) -> tuple[jax.ShapeDtypeStruct, jax.ShapeDtypeStruct]:
        return jax.ShapeDtypeStruct((), np.uint32), jax.ShapeDtypeStruct((self._width,), np.uint32)

    def _home(self) -> Any:
        return self._device or jax.local_devices()[0]

    def _compiled(self, program, key) -> executables.Executable | None:
        compiled = compile_with(program, _LESS)
        if key is not None:
            executables.keep(key, compiled, self._home(), self._shapes())
        return compiled

    def __call__(self, seed: int, fits: Int[np.ndarray, "F"]) -> Float[np.ndarray, "F P"]:
        """The parameters of each fit, (F, P)."""
        seed, block = int(seed), int(fits[0]) // self._width if len(fits) else 0
        if not len(fits) or (fits // self._width != block).any():
            return self._drawn(seed, fits)
        # A group of fits is part of such a block, and the next one often of the same.
        last = self._last
        if last[:2] != (seed, block):
            last = self._last = seed, block, self._drawn(seed, np.arange(self._width) + block * self._width)
        return last[2][fits - block * self._width]

    def _drawn(self, seed, fits):
        with self._lock:
            program = self._made.result() if self._made else None
            if program is None:  # neither kept nor begun, or it could not be read
                self._made = self._compiling()
                program = self._made.result()

        def run(seed, fits):
            assert program is not None
            with jax.default_device(self._device):
                return program(seed, fits)[0]

        return in_blocks(run, self._width, "float32", shared=(0,))(np.uint32(seed), np.asarray(fits, np.uint32))


_COMPILER = ThreadPoolExecutor(1, "jaxland-draw")
