"""Initial parameters of fits: a pure function of the network, the seed and the fit's number."""

import warnings
from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._precision import numerics
from jaxland.networks import Network
from jaxland.training.devices import host_device
from jaxland.training.ensemble import Ensemble, Members

# One program width for every call, so that a fit's bits cannot depend on how many are asked for.
_WIDTH = 256


def draw_parameters(network: Network, seed: int, fits: Int[np.ndarray, "F"]) -> Float[np.ndarray, "F P"]:
    """Draws `network.init(fold_in(key(seed), fit))` for each fit, in float32, on the processor where there is one.

    So fits start from the same points whatever device they are trained on.
    """
    with numerics("float32"), jax.default_device(host_device()):
        draw = in_blocks(_drawing_program(network), _WIDTH, "float32", shared=(0,))
        return draw(jax.random.key(seed), np.asarray(fits, np.uint32))


@lru_cache(maxsize=64)
def _drawing_program(network):
    def draw(root, fit):
        return network.flatten(network.init(jax.random.fold_in(root, fit)))

    return compiled(jax.vmap(draw, in_axes=(None, 0)))


def initial_parameters(ensemble: Ensemble, members: Members) -> Float[np.ndarray, "W P"]:
    """The parameters from which these members start, in the ensemble's dtype."""
    start = members.start
    if start is None:
        start = draw_parameters(ensemble.network, ensemble.seed, members.fits).astype(ensemble.number_format)
    return start * members.init_scale[:, None]


def warn_of_equal_fits(ensemble: Ensemble) -> None:
    """Warns where nothing tells fits apart: `init` gives two of them one start, and they have no numbers of their own.

    Warns:
        UserWarning: it is so.
    """
    if ensemble.has_own_numbers:
        return
    first, second = draw_parameters(ensemble.network, ensemble.seed, np.arange(2) + ensemble.first)
    if np.array_equal(first, second, equal_nan=True):
        warnings.warn(
            f"all fits start from the same parameters and are one fit: init of network {ensemble.network.spec.name!r} "
            "does not use its key. Draw from the key, or give each fit its own start.",
            stacklevel=3,
        )
