"""Problems: data, loss and, where known, the global minimum."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.problems.gradients import Evaluate, Objective, Products, gradients_of, products_of
    from jaxland.problems.images import Images, digits, idx_images, read_idx
    from jaxland.problems.labels import class_numbers, class_weights, one_hot
    from jaxland.problems.losses import LOSSES, Loss, get_loss
    from jaxland.problems.penalties import Penalty, l1, l2
    from jaxland.problems.problem import Problem, checked_weights
    from jaxland.problems.resampling import Resampling, bootstrap, k_fold
    from jaxland.problems.sawtooth import SawtoothProblem, SawtoothTarget, sawtooth

__all__ = [
    "LOSSES",
    "Evaluate",
    "Images",
    "Loss",
    "Objective",
    "Penalty",
    "Problem",
    "Products",
    "Resampling",
    "SawtoothProblem",
    "SawtoothTarget",
    "bootstrap",
    "checked_weights",
    "class_numbers",
    "class_weights",
    "digits",
    "get_loss",
    "gradients_of",
    "idx_images",
    "k_fold",
    "l1",
    "l2",
    "one_hot",
    "products_of",
    "read_idx",
    "sawtooth",
]

__getattr__, __dir__ = attach(__name__, __file__)
