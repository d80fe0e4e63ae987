"""Judging the fits of a group while it is trained, and stopping those that gain no more.

It is done between the steps of whichever backend trains them, so that it is the same for all. A fit that stops is
copied as it stands; it may be trained on beside its neighbours, and nothing of that is kept.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._blocks import in_blocks
from jaxland._compiled import compiled
from jaxland._precision import numerics
from jaxland._short import in_short
from jaxland.training.devices import host_device
from jaxland.training.ensemble import Ensemble, Members
from jaxland.training.judgements import METRIC, NUMBERS


class Judged(NamedTuple):
    """What was found at the `validation_steps` of an ensemble, T of them; NaN after a fit stopped.

    Attributes:
        validation: losses.
        best_validation: the smallest finite one, infinite where there was none.
        best_validation_step: where it was.
        best_params: the parameters there; those at the start where no loss was finite.
        stopped_step: where the fit stopped, -1 where it went on to the end.
        metrics: by name.
    """

    validation: Float[np.ndarray, "W T"]
    best_validation: Float[np.ndarray, "W"]
    best_validation_step: Int[np.ndarray, "W"]
    best_params: Float[np.ndarray, "W P"]
    stopped_step: Int[np.ndarray, "W"]
    metrics: dict[str, Float[np.ndarray, "W T"]]

    __repr__ = in_short


def columns_of(judged: Judged | None) -> dict[str, np.ndarray]:
    """What was found as columns with a row for each fit, to be stored."""
    if judged is None:
        return {}
    named = {name: getattr(judged, name) for name in (*NUMBERS, "validation", "best_params")}
    return {**named, **{f"{METRIC}{name}": values for name, values in judged.metrics.items()}}


def names_of_columns(ensemble: Ensemble) -> list[str]:
    """The names of the columns that fits of an ensemble have for it."""
    if ensemble.validation is None:
        return []
    metrics = [f"{METRIC}{name}" for name in ensemble.validation.metrics]
    return [*NUMBERS, "validation", "best_params", *metrics]


def judged_of(columns: Mapping[str, np.ndarray]) -> Judged | None:
    """The inverse of `columns_of`."""
    if "validation" not in columns:
        return None
    metrics = {name.removeprefix(METRIC): values for name, values in columns.items() if name.startswith(METRIC)}
    return Judged(**{name: columns[name] for name in (*NUMBERS, "validation", "best_params")}, metrics=metrics)


_STOPPED = "stopped."

Measure = Callable[[np.ndarray, Members], dict[str, np.ndarray]]
"""From parameters (W, P) of members to the metrics of each."""


def metrics_of(ensemble: Ensemble, width: int) -> Measure:
    """What measures the metrics of an ensemble's validation, compiled once for all groups.

    Args:
        ensemble: what is trained.
        width: members measured at a time, whatever they are asked for, so that bits do not depend on it.
    """
    validation = ensemble.validation
    if validation is None or not validation.metrics:
        return lambda params, members: {}
    own = [values is not None and (callable(values) or values.ndim == 3) for values in (validation.x, validation.y)]

    def one(vector, x, y):
        prediction = ensemble.network.apply_flat(vector, x)
        found = {name: jnp.asarray(metric(prediction, y)) for name, metric in validation.metrics.items()}
        return {name: jnp.mean(values, dtype=vector.dtype) for name, values in found.items()}

    program = compiled(jax.vmap(one, in_axes=(0, *(0 if each else None for each in own))))
    shared = [place + 1 for place, each in enumerate(own) if not each]
    run = in_blocks(program, width, ensemble.number_format, shared=shared)

    def measure(params: np.ndarray, members: Members) -> dict[str, np.ndarray]:
        assert members.held_out is not None
        with jax.default_device(host_device()):
            return run(params, *members.held_out)

    return measure


class Judge:
    """Judges the members of one group.

    Args:
        ensemble: what is trained.
        trainer: trains them.
        members: of the group.
        measure: see `metrics_of`.

    Attributes:
        found: so far.
    """

    def __init__(self, ensemble: Ensemble, trainer: Any, members: Members, measure: Measure):
        self._ensemble, self._trainer, self._members, self._measure = ensemble, trainer, members, measure
        assert ensemble.validation is not None
        self._validation, self._steps = ensemble.validation, ensemble.validation_steps
        width, dtype = len(members.fits), ensemble.number_format
        missing = partial(np.full, (width, len(self._steps)), np.nan, dtype)
        self.found = Judged(
            validation=missing(),
            best_validation=np.full(width, np.inf, dtype),
            best_validation_step=np.zeros(width, np.int32),
            best_params=np.empty((width, ensemble.network.size), dtype),
            stopped_step=np.full(width, -1, np.int32),
            metrics={name: missing() for name in self._validation.metrics},
        )
        self._reference, self._waited = np.full(width, np.inf, dtype), np.zeros(width, int)
        self._kept: Any = None

    def look(self, group: Any, step: int) -> None:
        """Judges all members that have not stopped."""
        judged, active = self.found, self._active
        losses = self._trainer.judge(group)
        column = int(np.searchsorted(self._steps, step))
        judged.validation[active, column] = losses[active]
        with np.errstate(invalid="ignore"):
            better = active & (losses < judged.best_validation)
            gained = active & (losses < self._reference - self._validation.min_gain)
        if step == 0 or better.any() or judged.metrics:
            self._keep(group, step, column, better, losses)
        self._reference[gained] = losses[gained]
        self._waited = np.where(gained, 0, self._waited + (step > 0))
        if self._validation.patience is not None:
            self._stop(group, step, active & (self._waited >= self._validation.patience))

    @property
    def _active(self) -> Bool[np.ndarray, "W"]:
        return self.found.stopped_step < 0

    def _keep(self, group: Any, step: int, column: int, better: np.ndarray, losses: np.ndarray) -> None:
        judged, params = self.found, self._trainer.parameters(group)
        judged.best_params[better | (step == 0)] = params[better | (step == 0)]
        judged.best_validation[better] = losses[better]
        judged.best_validation_step[better] = step
        for name, values in self._measure(params, self._members).items():
            judged.metrics[name][self._active, column] = values[self._active]

    def _stop(self, group: Any, step: int, stopping: np.ndarray) -> None:
        if step == self._ensemble.steps or not stopping.any():
            return
        result = self._as_at(step, self._trainer.results(group), self._trainer.evaluate(group))
        self._kept = result if self._kept is None else _chosen(stopping, result, self._kept)
        self.found.stopped_step[stopping] = step

    def _as_at(self, step: int, result: Any, loss: np.ndarray) -> Any:
        """Results as they are after so many steps, the last of which is closed by the loss over all points."""
        steps, trace = self._ensemble.trace_steps, np.array(result.trace)
        trace[:, steps >= step] = np.nan
        trace[:, steps == step] = loss[:, None]
        unseen = (result.diverged_step < 0) & ~(np.isfinite(loss) & np.isfinite(result.params).all(axis=1))
        best = np.array(result.best_loss), np.array(result.best_step)
        if not self._ensemble.sampled:
            better = loss < best[0]
            best[0][better], best[1][better] = loss[better], step
        return result._replace(
            loss=loss,
            trace=trace,
            best_loss=best[0],
            best_step=best[1],
            diverged_step=np.where(unseen, np.int32(step), result.diverged_step),
        )

    def state(self, group: Any, step: int) -> dict[str, np.ndarray]:
        """What was found before a step and decides what follows, with a row for each member."""
        seen = self._steps < step
        found = self.found._replace(
            validation=self.found.validation[:, seen],
            metrics={name: values[:, seen] for name, values in self.found.metrics.items()},
        )
        # Where none has stopped there is nothing to be kept, and any numbers will do.
        kept = (self._kept or self._trainer.results(group))._asdict()
        kept = {f"{_STOPPED}{name}": values for name, values in kept.items() if name != "trace"}
        now = {**columns_of(found), "reference": self._reference, "waited": self._waited, **kept}
        return {name: values.copy() for name, values in now.items()}

    def resume(self, group: Any, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int) -> None:
        """Goes on with what was found of some members before a step, a row each."""
        places = np.ix_(which, self._steps < step)
        found = columns_of(self.found)
        for name, values in found.items():
            own = name == "validation" or name.startswith(METRIC)
            values[places if own else which] = state[name]
        self._reference[which], self._waited[which] = state["reference"], state["waited"]
        if (self.found.stopped_step >= 0).any():
            kept = {name: np.array(values) for name, values in self._trainer.results(group)._asdict().items()}
            for name, values in kept.items():
                # The trace on the way to here is not the judge's.
                values[which] = np.nan if name == "trace" else state[f"{_STOPPED}{name}"]
            self._kept = self._trainer.results(group)._replace(**kept)

    def all_stopped(self, mine: Bool[np.ndarray, "W"]) -> bool:
        """Whether nothing is left to be trained among some of the members."""
        return bool((self.found.stopped_step[mine] >= 0).all())

    def settle(self, result: Any) -> Any:
        """The results of a group, those that stopped as they were then."""
        if self._kept is None:
            return result
        with numerics(self._ensemble.number_format):
            return _chosen(~self._active, self._kept, result)

    def parameters(self, params: Float[np.ndarray, "W P"]) -> Float[np.ndarray, "W P"]:
        """Parameters of a group, those that stopped as they were then."""
        return params if self._kept is None else np.where(self._active[:, None], params, self._kept.params)


def _chosen(which: np.ndarray, one: Any, other: Any) -> Any:
    """Some rows of one result, the others of another."""

    def choose(a, b):
        xp: Any = jnp if isinstance(b, jax.Array) else np
        return xp.where(which.reshape(-1, *[1] * (b.ndim - 1)), a, b)

    return type(other)(*(choose(a, b) for a, b in zip(one, other, strict=True)))
