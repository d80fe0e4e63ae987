"""Training of ensembles: any network, any optax optimizer, hundreds of thousands of fits."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland._precision import get_dtype, numerics
    from jaxland._processors import available_threads
    from jaxland.training.backends import BACKENDS, choose_backend
    from jaxland.training.calls import one_call
    from jaxland.training.checkpoint import Checkpoint, Keeper
    from jaxland.training.devices import local_devices, local_platform
    from jaxland.training.ensemble import ByNumber, Ensemble
    from jaxland.training.fit import fit
    from jaxland.training.fits import Fits
    from jaxland.training.gradients import gradients, hessian_products
    from jaxland.training.initial import starting_points
    from jaxland.training.judging import Judged, columns_of, judged_of, names_of_columns
    from jaxland.training.loop import train, train_fits
    from jaxland.training.optimizers import (
        OPTIMIZERS,
        Adadelta,
        Adagrad,
        Adam,
        Momentum,
        OptimizerConfig,
        Sgd,
        get_optimizer,
        make_optimizer,
    )
    from jaxland.training.prediction import Prediction
    from jaxland.training.program.expression import Unlowerable
    from jaxland.training.progress import progress_bar
    from jaxland.training.provenance import device, fingerprint, fingerprint_parts, status_names, versions
    from jaxland.training.solvers import SOLVERS, Solved, solve
    from jaxland.training.trainer import GroupResult, Interrupted, Trainer
    from jaxland.training.validation import Validation, accuracy
    from jaxland.training.xla import XlaTrainer

__all__ = [
    "BACKENDS",
    "OPTIMIZERS",
    "SOLVERS",
    "Adadelta",
    "Adagrad",
    "Adam",
    "ByNumber",
    "Checkpoint",
    "Ensemble",
    "Fits",
    "GroupResult",
    "Interrupted",
    "Judged",
    "Keeper",
    "Momentum",
    "OptimizerConfig",
    "Prediction",
    "Sgd",
    "Solved",
    "Trainer",
    "Unlowerable",
    "Validation",
    "XlaTrainer",
    "accuracy",
    "available_threads",
    "choose_backend",
    "columns_of",
    "device",
    "fingerprint",
    "fingerprint_parts",
    "fit",
    "get_dtype",
    "get_optimizer",
    "gradients",
    "hessian_products",
    "judged_of",
    "local_devices",
    "local_platform",
    "make_optimizer",
    "names_of_columns",
    "numerics",
    "one_call",
    "progress_bar",
    "solve",
    "starting_points",
    "status_names",
    "train",
    "train_fits",
    "versions",
]

__getattr__, __dir__ = attach(__name__, __file__)
