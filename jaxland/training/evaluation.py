"""What the parameters of fits are judged by besides the steps of their training, as ensembles of their own."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from jaxland.problems import Penalty, Problem
from jaxland.training.ensemble import Ensemble


def of_all_points(ensemble: Ensemble) -> Ensemble:
    """The same fits with all their points in every step: its loss is the objective."""
    own = {name: _as_data(getattr(ensemble, name)) for name in ("inputs", "targets", "weights")}
    return replace(ensemble, batch_size=None, replacement=False, validation=None, trace_every=None, snapshots=(), **own)


def _as_data(values: Any) -> Any:
    """Points of each fit; called by another function, what a share left of them is taken for data like any other."""
    return partial(values) if callable(values) else values


def _nothing(params: Any, **numbers: Any) -> float:
    del params, numbers
    return 0.0


def of_held_out(ensemble: Ensemble) -> Ensemble:
    """The same fits on the points of the validation, without weights and penalties: its loss judges them.

    The loss takes the numbers that each fit has of it.
    """
    validation = ensemble.validation
    assert validation is not None
    first = np.array([ensemble.first])
    own, points = {}, []
    for name, values in (("inputs", validation.x), ("targets", validation.y)):
        shared = not callable(values) and values.ndim == 2
        own[name] = None if shared else _as_data(values)
        points.append(values if shared else np.asarray(values(first) if callable(values) else values)[0])
    # Penalties add nothing, and keep their numbers, so that every number has the place that it has in training.
    penalty = [Penalty(each.name, _nothing, each.numbers) for each in ensemble.problem.penalty]
    problem = Problem(points[0], points[1], ensemble.problem.loss, ensemble.problem.name, penalty=penalty)
    whole = of_all_points(ensemble)
    return replace(whole, problem=problem, weights=None, **own)
