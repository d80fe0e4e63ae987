"""The result of training: arrays, and a table of them."""

import hashlib
import platform
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING

import jax
import numpy as np
from jaxtyping import Float, Int

from jaxland._version import __version__
from jaxland.training.devices import local_devices
from jaxland.training.ensemble import Ensemble
from jaxland.training.plain import PlainProgram
from jaxland.training.precision import get_dtype
from jaxland.training.trainer import Values

if TYPE_CHECKING:
    import pandas

_PROBED = 16


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


def status_names(diverged_step: Int[Values, "F"]) -> np.ndarray:
    """`"diverged"` where a step is given, else `"ok"`."""
    return np.where(np.asarray(diverged_step) >= 0, "diverged", "ok")


def versions() -> str:
    """Versions of everything that decides a fit's bits."""
    others = (f"{name} {version(name)}" for name in ("jax", "jaxlib", "optax", "numpy"))
    return ", ".join([f"jaxland {__version__}", *others])


def device() -> str:
    """The device on which XLA computes."""
    kind = local_devices()[0].device_kind
    return f"{kind} ({platform.machine()})" if kind == "cpu" else kind


def fingerprint(ensemble: Ensemble) -> str:
    """A hash of the plain program, loss and optimizer included, and of every number fed to it.

    It is independent of the backend: one that would compute something else is not used (see `probe`). It changes with
    the version of JAX, which words programs differently; tables therefore carry versions as well.
    """
    digest = hashlib.sha256()
    digest.update(PlainProgram(ensemble, get_dtype(ensemble.dtype)).text.encode())
    with jax.enable_x64(False):  # as starting points are drawn
        digest.update(jax.jit(lambda key: ensemble.network.init(key)).lower(jax.random.key(0)).as_text().encode())
    numbers = [ensemble.hyperparameters[name] for name in sorted(ensemble.hyperparameters)]
    numbers += [ensemble.problem.x, ensemble.problem.y, ensemble.inputs, ensemble.targets, ensemble.start]
    # A function of the fits' numbers is known by what it gives the first ones.
    probed = np.arange(_PROBED) + ensemble.first
    for value in (*numbers, ensemble.init_scale):
        value = value(probed) if callable(value) else value
        digest.update(b"none" if value is None else np.ascontiguousarray(value, np.float64).tobytes())
    digest.update(f"{ensemble.steps} {ensemble.seed} {ensemble.dtype} {ensemble.first}".encode())
    return digest.hexdigest()[:16]
