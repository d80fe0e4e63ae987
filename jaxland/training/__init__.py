"""Training of ensembles: any network, any optax optimizer, hundreds of thousands of fits."""

from jaxland.training.backends import BACKENDS, choose_backend
from jaxland.training.ensemble import Ensemble
from jaxland.training.fit import fit
from jaxland.training.fits import Fits, device, fingerprint, status_names, versions
from jaxland.training.initial import draw_parameters
from jaxland.training.precision import get_dtype, numerics
from jaxland.training.progress import progress_bar
from jaxland.training.trainer import GroupResult, Interrupted, Trainer, available_threads, train

__all__ = [
    "BACKENDS",
    "Ensemble",
    "Fits",
    "GroupResult",
    "Interrupted",
    "Trainer",
    "available_threads",
    "choose_backend",
    "device",
    "draw_parameters",
    "fingerprint",
    "fit",
    "get_dtype",
    "numerics",
    "progress_bar",
    "status_names",
    "train",
    "versions",
]
