"""Losses and gradients of many parameter vectors, by the kernel that trains them."""

import threading

import numpy as np
from jaxtyping import Float

from jaxland.training.ensemble import Ensemble
from jaxland.training.lanes.machine import run_kernel
from jaxland.training.lanes.trainer import LARGEST_PROGRAM, LanesTrainer
from jaxland.training.program.memory import Group, new_group


class LanesGradient:
    """The loss and its gradient at many points, one point in each lane; may be called from several threads.

    The kernel that closes a group's training takes the gradient of its last loss and updates nothing, which is just
    what is wanted here.
    """

    def __init__(self, ensemble: Ensemble, *, largest: int | None = LARGEST_PROGRAM):
        self._trainer = LanesTrainer(ensemble, largest=largest, compress=False)
        self._dtype = ensemble.number_format
        self._memory = threading.local()

    def __call__(self, params: Float[np.ndarray, "M P"]) -> tuple[Float[np.ndarray, "M"], Float[np.ndarray, "M P"]]:
        """The loss at each point, and its gradient."""
        losses, gradients = np.empty(len(params), self._dtype), np.empty(params.shape, self._dtype)
        group = self._group()
        blocks = (self._trainer._layout.blocks(group.buffer, kind) for kind in ("param", "grad", "loss"))
        (weights,), (slopes,), (loss,) = blocks
        for start in range(0, len(params), self._trainer.width):
            block = params[start : start + self._trainer.width]
            # Lanes without a point of their own go on with what they held.
            weights[:, : len(block)] = block.T
            run_kernel(self._trainer._kernel, group, 1, closing=True)
            losses[start : start + len(block)] = loss[0, : len(block)]
            gradients[start : start + len(block)] = slopes[:, : len(block)].T
        return losses, gradients

    def _group(self) -> Group:
        """The memory of the calling thread."""
        if not hasattr(self._memory, "group"):
            members = self._trainer.ensemble.members(np.zeros(self._trainer.width, np.int64))
            self._memory.group = new_group(self._trainer.ensemble, self._trainer._layout, members)
        return self._memory.group
