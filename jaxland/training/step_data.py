"""The points of a fit's step, on the host: what every backend gives to it, worked out once more."""

import numpy as np

from jaxland.training import batches
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.step import Points


class StepData:
    """The points that some fits take in each step."""

    def __init__(self, ensemble: Ensemble, members: Members):
        self.ensemble, self.members = ensemble, members
        self.keys = np.asarray(batches.fold_in(members.keys, batches.ORDER))

    def points(self, fit: int, step: int) -> Points:
        """Those of a fit, by its place among the members, in a step."""
        ensemble, members = self.ensemble, self.members
        x, y = (values[fit] if values.ndim == 3 else values for values in (members.x, members.y))
        weights = members.weights
        weights = weights[fit] if weights is not None and weights.ndim == 2 else weights
        noise = None
        if ensemble.network.takes_key:
            noise = batches.fold_in(batches.fold_in(members.keys[fit], batches.NOISE), step)
        if ensemble.batch_size is None:
            return Points(x, y, weights, noise)
        # Of all fits at a time: they are asked for one after the other.
        batch = batches.batch_of(self.keys, step, len(x), ensemble.points_a_step, replacement=ensemble.replacement)
        taken = batch.points[fit]
        mean = ensemble.problem.loss.points == "mean"
        factors = (batch.factors if mean else batch.inside).astype(ensemble.number_format)
        weights = factors if weights is None else factors * weights[taken]
        return Points(x[taken], y[taken], weights if ensemble.weighted else None, noise)
