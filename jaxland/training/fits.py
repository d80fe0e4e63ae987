"""The result of training: arrays, a table of them, and what they predict."""

import html
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from jaxland.problems.problem import as_columns
from jaxland.training.backends import Choice
from jaxland.training.checkpoint import Checkpoint, named, part_of
from jaxland.training.continuation import train_on
from jaxland.training.ensemble import Ensemble
from jaxland.training.group import Trained
from jaxland.training.judgements import METRIC, judgements
from jaxland.training.judging import Judged, columns_of, judged_of
from jaxland.training.prediction import Prediction, Transform, followed, outputs, summarise
from jaxland.training.provenance import device, fingerprint, status_names, versions
from jaxland.training.saved import read, write
from jaxland.training.trainer import Values

if TYPE_CHECKING:
    import pandas
    import xarray

_CHECKPOINT = "checkpoint."

_DIMENSIONS = {
    "params": ("fit", "parameter"),
    "trace": ("fit", "step"),
    "snapshots": ("fit", "snapshot_step", "parameter"),
    "best_params": ("fit", "parameter"),
}


@dataclass(frozen=True, eq=False)
class Fits:
    """F trained fits.

    `fits[:10]`, `fits[fits.loss < 0.1]` and `fits[[3, 5]]` are those at these places, as `Fits` again, which keep their
    numbers; so is `fits[3]`, of one fit, whose `params` have shape (1, P).

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
        backend: its name and settings.
        checkpoint: from where `continue_` goes on; None where it was not kept.
        provenance: of fits that were trained elsewhere, the `versions`, `device` and `config_hash` there.
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
    provenance: Mapping[str, str] = field(default_factory=dict)
    judged: Judged | None = None
    backend: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Checkpoint | None = None

    @classmethod
    def of(cls, choice: Choice, ensemble: Ensemble, numbers: Int[np.ndarray, "F"], trained: Trained) -> "Fits":
        """Fits that were just trained, with what trained them."""
        return cls(
            ensemble=ensemble,
            fit=numbers,
            snapshots=trained.snapshots,
            explanation=choice.explanation,
            judged=trained.judged,
            backend={"name": choice.trainer.name, **choice.trainer.settings},
            checkpoint=trained.checkpoint,
            **trained.result._asdict(),
        )

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
    def at_best(self) -> "Fits":
        """The same fits, whose `params` are those at the best loss of the validation: to be asked for predictions.

        Losses and steps are those of the whole training, as before.

        Raises:
            AttributeError: there was no validation.
        """
        return replace(self, params=self.best_params)

    @property
    def _judged(self) -> Judged:
        if self.judged is None:
            raise AttributeError("these fits were judged on no points; give jaxland.fit validation=(x, y) or a share.")
        return self.judged

    def __len__(self) -> int:
        return len(self.fit)

    def __getitem__(self, rows: Any) -> "Fits":
        """The fits at some places.

        Args:
            rows: a slice, a mask (F,), places counted from 0 (negative ones from the end), or one of them.

        Raises:
            TypeError: something else, such as a name.
            IndexError: a place that is not there, or a mask of another length.
        """
        places = rows if isinstance(rows, slice) else np.atleast_1d(np.asarray(rows))
        if isinstance(places, np.ndarray) and (places.ndim != 1 or (len(places) and places.dtype.kind not in "biu")):
            raise TypeError(f"fits are chosen by a slice, a mask (F,) or places, as in fits[[3, 5]]; got {rows!r}.")
        chosen = np.arange(len(self))[places if isinstance(places, slice) or len(places) else []]
        some = replace(self, **_as_fields({name: values[chosen] for name, values in self._arrays().items()}))
        return some if self.checkpoint is None else replace(some, checkpoint=self.checkpoint.rows(chosen))

    def _arrays(self) -> dict[str, Any]:
        """Every array, which has a row for each fit; `_as_fields` is the way back."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        own = {name: value for name, value in values.items() if hasattr(value, "shape")}
        return {**own, **columns_of(self.judged)}

    def __repr__(self) -> str:
        losses = np.asarray(self.loss)
        sane = losses[np.isfinite(losses)]
        found = f"losses from {sane.min():.3g} to {sane.max():.3g}" if sane.size else "no finite loss"
        diverged = int((np.asarray(self.diverged_step) >= 0).sum())
        return (
            f"Fits({len(self):,} of {self.ensemble.network.size} parameters, {self.ensemble.steps:,} steps on "
            f"{self.ensemble.problem.name!r}, {found}, {diverged:,} diverged; {self.explanation})"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self._frame().to_html(max_rows=10, border=0)}"

    @property
    def status(self) -> np.ndarray:
        """`"ok"` or `"diverged"` for each fit."""
        return status_names(self.diverged_step)

    @cached_property
    def config_hash(self) -> str:
        """Identifies the configuration: the programs and every number that enters them."""
        return self.provenance.get("config_hash") or fingerprint(self.ensemble)

    @cached_property
    def table(self) -> "pandas.DataFrame":
        """One row a fit: status, losses and what it has of its own.

        Where all come from, the same for each, is in `table.attrs`: `study`, `config_hash`, `versions`, `device` and
        `precision`. They go with the table into Parquet.
        """
        table = self._frame()
        table.attrs.update(self._origin())
        return table

    def _origin(self) -> dict[str, str]:
        """Where the fits come from, in words."""
        here = {name: self.provenance.get(name) or now() for name, now in (("versions", versions), ("device", device))}
        study = {"study": self.ensemble.problem.name, "config_hash": self.config_hash}
        return {**study, **here, "precision": self.ensemble.dtype}

    def _frame(self) -> "pandas.DataFrame":
        import pandas as pd

        measured = ("initial_loss", "loss", "best_loss", "best_step", "diverged_step")
        columns = {
            "fit": self.fit,
            "status": self.status,
            **{name: getattr(self, name) for name in measured},
            **judgements(columns_of(self.judged)),
            **self.ensemble.own_columns(self.fit),
        }
        return pd.DataFrame(columns, index=range(len(self)))

    def predict(
        self, x: Any, *, quantiles: Sequence[float] = (0.05, 0.5, 0.95), transform: Transform | None = None
    ) -> Prediction:
        """What the ensemble says at some points: mean, standard deviation and quantiles over its members.

            found = fits.predict(x)
            found.mean, found.std  # (N, O) each
            low, middle, high = found.quantiles
            fits.predict(x, transform=jax.nn.softmax).mean  # of probabilities

        Fits that diverged are no members; `found.excluded` counts them. The spread is that of training, from other
        starts or with other numbers: it holds no noise of the data.

        Args:
            x: points (N, D), as `Problem` takes them: an array, a list or a table; a vector is one column.
            quantiles: levels Q between 0 and 1.
            transform: made of the outputs (N, O) of each member before anything is averaged, in JAX, such as
                `jax.nn.softmax`. It takes each point for itself: members are asked for some points at a time, so that
                memory does not grow with their number.

        Raises:
            ValueError: points or levels out of range, or all fits have diverged.
        """
        good = np.asarray(self.diverged_step) < 0
        if not good.any():
            raise ValueError(f"none of the {len(self):,} fits can predict: all have diverged.")
        params = np.asarray(self.params)
        params = params if good.all() else params[good]
        mean, std, found = summarise(self._predictor(transform), params, self._points(x), quantiles)
        levels = np.asarray(quantiles, np.float64)
        return Prediction(mean, std, found, levels, int(good.sum()), int((~good).sum()))

    def outputs(self, x: Any, *, transform: Transform | None = None) -> Float[np.ndarray, "F N O"]:
        """The outputs of every fit at every point, those of diverged fits as they come out.

        Args:
            x: points (N, D), as in `predict`.
            transform: made of the outputs of each fit, as in `predict`.

        Raises:
            ValueError: points out of range.
        """
        return outputs(self._predictor(transform), np.asarray(self.params), self._points(x))

    def _predictor(self, transform):
        return self.ensemble.network if transform is None else followed(self.ensemble.network, transform)

    def _points(self, x):
        points, components = as_columns("x", x), self.ensemble.x_shape[1]
        if points.shape[1] != components:
            raise ValueError(
                f"x has {points.shape[1]} components, the fits were trained on {components}; x of shape "
                f"(points, {components}) is needed."
            )
        return points.astype(self.ensemble.number_format)

    def continue_(
        self, steps: int, *, snapshots: Sequence[int] = (), threads: int | None = None, progress: bool = False
    ) -> "Fits":
        """Trains the fits on, from where they ended and with the state that their optimizers had then.

            fits = jl.fit(..., steps=1_000, keep_state=True)
            best = fits[np.argsort(fits.loss)[:100]].continue_(9_000)

        What comes out is what training from the start would have given, to the bit: losses, batches and noise go on,
        and so do traces, and stopping by a validation, which is judged at the same intervals as before. The backend
        stays as it was, and so does `compress`, which by default suits the steps first asked for and rounds otherwise:
        where many more are to come, give `jaxland.fit` compress=True or False at the beginning.

        Args:
            steps: how many more.
            snapshots: further steps whose parameters are kept, counted from the start.
            threads, progress: of `jaxland.fit`.

        Returns:
            The same fits after all steps, which can be trained on again.

        Raises:
            ValueError: their state was not kept (see `keep_state` of `jaxland.fit`), a fit is there twice, or an
                argument is out of range.
        """
        how = {"snapshots": snapshots, "threads": threads, "progress": progress}
        found = train_on(self.ensemble, self.fit, self.checkpoint, self.backend, steps, **how)
        return Fits.of(found.choice, found.ensemble, self.fit, found.trained)

    def save(self, path: str | Path) -> None:
        """Writes the fits to one file, named as asked, which `Fits.load` reads: NumPy's `.npz`, nothing pickled.

        The file has all arrays and all of the ensemble that is data. It also has networks of `mlp`, losses and
        activations by name, and optimizers that are functions of optax, as in
        `jl.fit(..., optax.adam, hyperparameters=...)`. Anything else is code, which must be given to `load` again.
        Functions of fits' numbers are kept by what they give for these fits.

        A crash leaves the old file or the new one, no mixture.

        Raises:
            OSError: the file cannot be written.
        """
        arrays = {name: np.asarray(values) for name, values in self._arrays().items()}
        origin = {**self._origin(), "explanation": self.explanation, "backend": json.dumps(dict(self.backend))}
        if self.checkpoint is not None:
            arrays |= named(_CHECKPOINT, self.checkpoint.arrays)
            origin[_CHECKPOINT] = str(self.checkpoint.step)
        write(Path(path), self.ensemble, arrays, origin)

    @classmethod
    def load(cls, path: str | Path, **code: Any) -> "Fits":
        """Reads fits that were saved.

            fits = jl.Fits.load("fits.npz", network=net, optimizer=optax.sgd(0.01, momentum=0.9))

        Args:
            path: of the file.
            code: what of the ensemble is no data, by the names that it has in `Ensemble`: `network`, `optimizer`,
                `problem`. The message of the error says which are needed; the others may be given.

        Raises:
            OSError: there is no such file, or it cannot be read.
            ValueError: it holds no fits, something is missing, or what is given is not what was trained: another size,
                or another `config_hash`. The message names what differs.

        Warns:
            UserWarning: code was given and versions differ, so that it cannot be compared.
        """
        ensemble, arrays, origin = read(Path(path), code)
        step, backend = origin.pop(_CHECKPOINT, None), json.loads(origin.pop("backend", "{}"))
        kept = part_of(arrays, _CHECKPOINT)
        return cls(
            ensemble=ensemble,
            **_as_fields({name: values for name, values in arrays.items() if not name.startswith(_CHECKPOINT)}),
            explanation=origin.pop("explanation"),
            provenance=origin,
            backend=backend,
            checkpoint=None if step is None else Checkpoint(int(step), kept),
        )

    def to_xarray(self) -> "xarray.Dataset":
        """The fits with named dimensions: `fit`, `parameter`, and `step` of the trace, of snapshots and of validation.

        Numbers of fits, names of parameters (`network.entry_names`), steps and hyperparameters are coordinates; where
        the fits come from is in `attrs`.

        Raises:
            ModuleNotFoundError: xarray is not installed; the message says how it is.
        """
        if importlib.util.find_spec("xarray") is None:
            raise ModuleNotFoundError("xarray is not installed. Install it with:\n  pip install xarray")
        import xarray as xr

        arrays = {name: np.asarray(values) for name, values in self._arrays().items() if name != "fit"}
        arrays["status"] = self.status
        named = {name: (_dimensions(name, values), values) for name, values in arrays.items()}
        own = self.ensemble.own_columns(self.fit)
        coordinates = {
            "fit": self.fit,
            "parameter": list(self.ensemble.network.entry_names),
            "step": self.ensemble.trace_steps,
            "snapshot_step": list(self.ensemble.snapshots),
            **({"validation_step": self.ensemble.validation_steps} if self.judged else {}),
            **{name: ("fit", np.broadcast_to(value, len(self))) for name, value in own.items()},
        }
        return xr.Dataset(named, coordinates, self._origin())


def _as_fields(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Arrays by the fields that they belong to."""
    known = {each.name for each in fields(Fits)}
    own = {name: values for name, values in arrays.items() if name in known}
    return {**own, "judged": judged_of({name: values for name, values in arrays.items() if name not in known})}


def _dimensions(name: str, values: np.ndarray) -> tuple[str, ...]:
    if name == "validation" or name.startswith(METRIC):
        return "fit", "validation_step"
    return _DIMENSIONS.get(name, ("fit", *(f"{name}_{axis}" for axis in range(1, values.ndim))))
