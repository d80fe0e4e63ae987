"""The result of training: arrays, and a table of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxland.training.ensemble import Ensemble
from jaxland.training.judging import Judged
from jaxland.training.provenance import device, fingerprint, status_names, versions
from jaxland.training.trainer import Values

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, eq=False)
class Fits:
    """F trained fits.

    Attributes:
        ensemble: what was trained.
        fit: number of each fit.
        params: parameters after training.
        initial_loss, loss: losses before the first and after the last step.
        best_loss, best_step: smallest loss and its step, counting from 0 (before the first step) to S.
        diverged_step: first step whose loss was not finite, -1 where there was none.
        trace: losses at `ensemble.trace_steps`.
        snapshots: parameters at `ensemble.snapshots`.
        explanation: which backend trained the fits, and why.
        judged: what was found on the points of a validation, None where there were none. There are `fits.validation`,
            (F, T) losses at `ensemble.validation_steps`, and `fits.best_params`, (F, P), besides.
    """

    ensemble: Ensemble
    fit: Int[np.ndarray, "F"]
    params: Float[Values, "F P"]
    initial_loss: Float[Values, "F"]
    loss: Float[Values, "F"]
    best_loss: Float[Values, "F"]
    best_step: Int[Values, "F"]
    diverged_step: Int[Values, "F"]
    trace: Float[Values, "F T"]
    snapshots: Float[np.ndarray, "F S P"]
    explanation: str
    judged: Judged | None = None

    @property
    def validation(self) -> Float[np.ndarray, "F T"]:
        """Losses on the points of the validation.

        Raises:
            AttributeError: there was none.
        """
        return self._judged.validation

    @property
    def best_params(self) -> Float[np.ndarray, "F P"]:
        """Parameters where the loss on the points of the validation was smallest.

        Raises:
            AttributeError: there was none.
        """
        return self._judged.best_params

    @property
    def _judged(self) -> Judged:
        if self.judged is None:
            raise AttributeError("these fits were judged on no points; give jaxland.fit validation=(x, y) or a share.")
        return self.judged

    def __len__(self) -> int:
        return len(self.fit)

    def __repr__(self) -> str:
        losses = np.asarray(self.loss)
        sane = losses[np.isfinite(losses)]
        found = f"losses from {sane.min():.3g} to {sane.max():.3g}" if sane.size else "no finite loss"
        diverged = int((np.asarray(self.diverged_step) >= 0).sum())
        return (
            f"Fits({len(self):,} of {self.ensemble.network.size} parameters, {self.ensemble.steps:,} steps on "
            f"{self.ensemble.problem.name!r}, {found}, {diverged:,} diverged; {self.explanation})"
        )

    @property
    def status(self) -> np.ndarray:
        """`"ok"` or `"diverged"` for each fit."""
        return status_names(self.diverged_step)

    @cached_property
    def config_hash(self) -> str:
        """Identifies the configuration: the programs and every number that enters them."""
        return fingerprint(self.ensemble)

    @cached_property
    def table(self) -> "pandas.DataFrame":
        """One row a fit, with where it came from."""
        import pandas as pd

        columns = {
            "study": self.ensemble.problem.name,
            "fit": self.fit,
            "status": self.status,
            "initial_loss": self.initial_loss,
            "loss": self.loss,
            "best_loss": self.best_loss,
            "best_step": self.best_step,
            "diverged_step": self.diverged_step,
            **self._judgements,
            **{
                name: value(self.fit) if callable(value) else value
                for name, value in self.ensemble.hyperparameters.items()
            },
            "config_hash": self.config_hash,
            "versions": versions(),
            "device": device(),
            "precision": self.ensemble.dtype,
        }
        return pd.DataFrame(columns, index=range(len(self)))

    @property
    def _judgements(self) -> dict[str, np.ndarray]:
        """What the table says of validation: where it was best, where a fit stopped, and the metrics of its best."""
        judged = self.judged
        if judged is None:
            return {}
        steps = self.ensemble.validation_steps
        best = np.searchsorted(steps, judged.best_validation_step)
        rows = np.arange(len(self))
        return {
            "best_validation": judged.best_validation,
            "best_validation_step": judged.best_validation_step,
            "stopped_step": judged.stopped_step,
            **{f"best_{name}": values[rows, best] for name, values in judged.metrics.items()},
        }
