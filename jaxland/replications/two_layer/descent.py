"""Training the runs that the document highlights, and keeping what is seen on the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import optax
from jaxtyping import Float, Int

from jaxland.landscape import outputs
from jaxland.problems import Problem
from jaxland.replications.two_layer.source import (
    RUNS,
    TARGETS,
    Data,
    Run,
    Weights,
    half_mean_square,
    network,
    split,
    standard_data,
    standard_weights,
)
from jaxland.studies import Context
from jaxland.training import Fits

_EVERY_EPOCH, _STRIDE = 1200, 10
"""Parameters are kept after every epoch up to the first number, then after every tenth."""


@dataclass(frozen=True)
class Descent:
    """One run, as it was at some of its epochs; S is how many."""

    target: str
    hidden: int
    rate: float
    epochs: Int[np.ndarray, "S"]
    params: Float[np.ndarray, "S P"]
    train_error: Float[np.ndarray, "S"]
    """Half the mean squared error on the training set: the loss."""
    error: Float[np.ndarray, "S"]
    """The same on the test set: what the document reports."""

    @property
    def weights(self) -> Weights:
        """U (S, h - 1, 2) and V (S, h)."""
        return split(self.params)

    @property
    def best(self) -> int:
        """Index of the smallest error on the test set."""
        return int(np.nanargmin(self.error))

    @property
    def last_finite(self) -> int:
        """Index of the last epoch at which everything is finite."""
        finite = np.isfinite(self.params).all(axis=1) & np.isfinite(self.error)
        return int(np.flatnonzero(finite)[-1])

    def at(self, epoch: int) -> int:
        """Index of an epoch.

        Raises:
            ValueError: nothing was kept there.
        """
        (found,) = np.flatnonzero(self.epochs == epoch)
        return int(found)

    def until(self, epoch: int) -> "Descent":
        """The run as it would have been if it had ended there."""
        kept = self.epochs <= epoch
        arrays = (values[kept] for values in (self.epochs, self.params, self.train_error, self.error))
        return Descent(self.target, self.hidden, self.rate, *arrays)

    def learned(self, index: int, x: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
        """The function the network computes at one of the epochs kept."""
        return outputs(network(self.hidden), self.params[index][None], x[:, None])[0, :, 0]


def kept_epochs(epochs: int) -> Int[np.ndarray, "S"]:
    """The epochs of a run whose parameters are kept."""
    early = np.arange(min(epochs, _EVERY_EPOCH) + 1)
    return np.concatenate([early, np.arange(_EVERY_EPOCH + _STRIDE, epochs + 1, _STRIDE)])


def descents(context: Context, runs: Sequence[Run] = RUNS) -> dict[Run, Descent]:
    """Trains the runs on the standard data from the standard weights; those of one size go together.

    A run that is the beginning of another, longer one is taken from it.
    """
    found: dict[Run, Descent] = {}
    for hidden in sorted({run.hidden for run in runs}):
        own = [run for run in runs if run.hidden == hidden]
        settings = sorted({(run.target, run.rate) for run in own})
        epochs = max(run.epochs for run in own)
        name = "-".join([f"h{hidden}", *(f"{target}-{rate:g}" for target, rate in settings), str(epochs)])
        part = context.piece(name, partial(_train, context, hidden, settings, epochs))
        whole = {each: _descent(*each, hidden, epochs, row, part) for row, each in enumerate(settings)}
        found |= {run: whole[run.target, run.rate].until(run.epochs) for run in own}
    return {run: found[run] for run in runs}


def trained(
    context: Context, hidden: int, rate: float | np.ndarray, start: Float[np.ndarray, "F P"], **options: Any
) -> Fits:
    """Gradient descent in float64 on half the mean squared error, as the document trains.

    Args:
        context: of the analysis.
        hidden: size of the networks.
        rate: of all fits, or of each.
        start: where each begins.
        options: of `Context.fit`: steps, and what is kept; `inputs` and `targets` of each fit, where they are not the
            standard data and the target `problem` holds.
    """
    x = standard_data().x
    problem = options.pop("problem", None) or Problem(x, x, loss="half_mean_squared_error", name="two_layer")
    rates = {"learning_rate": rate}
    return context.fit(
        network(hidden), problem, optax.sgd, hyperparameters=rates, start=start, **{"dtype": "float64", **options}
    )


def _train(
    context: Context, hidden: int, settings: Sequence[tuple[str, float]], epochs: int
) -> Mapping[str, np.ndarray]:
    """Parameters (F, S, P) and losses (F, S) of runs of one size at the epochs kept, by target and learning rate."""
    x, kept, count = standard_data().x, kept_epochs(epochs), len(settings)
    fits = trained(
        context,
        hidden,
        np.array([rate for _, rate in settings]),
        np.tile(standard_weights(hidden), (count, 1)),
        inputs=np.tile(x[:, None], (count, 1, 1)),
        targets=np.stack([TARGETS[target](x)[:, None] for target, _ in settings]),
        steps=epochs,
        trace_every=1,
        snapshots=kept.tolist(),
    )
    return {"params": fits.snapshots, "train_error": fits.trace[:, kept]}


def _descent(target: str, rate: float, hidden: int, epochs: int, row: int, part: Mapping[str, np.ndarray]) -> Descent:
    params = part["params"][row]
    error = error_on_test_set(hidden, params, target, standard_data())
    return Descent(target, hidden, rate, kept_epochs(epochs), params, part["train_error"][row], error)


def error_on_test_set(hidden: int, params: Float[np.ndarray, "S P"], target: str, data: Data) -> Float[np.ndarray, "S"]:
    """The error of each parameter vector on the test set."""
    found = outputs(network(hidden), params, data.test_x[:, None])[:, :, 0]
    return half_mean_square(found, TARGETS[target](data.test_x))
