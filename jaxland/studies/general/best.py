"""The best fits of each ensemble."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import softmax

from jaxland.landscape import outputs
from jaxland.plots import all_fits, new_figure, predictions
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.training import Ensemble

_DRAWN = 8  # fits
_ENSEMBLES = 12


@dataclass(frozen=True)
class BestSettings:
    """How many."""

    fits: int = 20
    """Fits of each ensemble."""


def find(context: Context) -> Findings:
    """Their numbers, losses and energies, and what they compute."""
    tables, figures, captions = {}, {}, {}
    found = {name: _best(context, name) for name in context.store.manifest.ensembles}
    frames = [_frame(name, *each) for name, each in found.items()]
    tables["best.csv"] = pd.concat(frames, ignore_index=True)
    for name, (_, loss, params) in list(found.items())[:_ENSEMBLES]:
        ensemble = context.ensembles[name]
        if len(params) and ensemble.inputs is None and ensemble.targets is None:
            figures[f"best-{name}"] = _figure(name, ensemble, params[:_DRAWN])
            best = loss[:_DRAWN]
            told = f"What the best {len(best)} fits of {name} compute, losses {best[0]:.3g} to {best[-1]:.3g}."
            captions[f"best-{name}"] = told
    return Findings(tables, figures, [], captions=captions)


def _best(context: Context, name: str) -> tuple[Int[np.ndarray, "F"], Float[np.ndarray, "F"], Float[np.ndarray, "F P"]]:
    """Numbers, losses and parameters of the best fits, the best first; a shard at a time."""
    fit, loss, params = np.zeros(0, np.int64), np.zeros(0), np.zeros((0, context.ensembles[name].network.size))
    for shard in context.store.stream(name, ["fit", "loss", "diverged_step", "params"]):
        good = (shard.arrays["diverged_step"] < 0) & np.isfinite(shard.arrays["loss"])
        fit = np.concatenate([fit, shard.arrays["fit"][good]])
        loss = np.concatenate([loss, shard.arrays["loss"][good]])
        order = np.argsort(loss, kind="stable")[: context.settings.fits]
        params = np.concatenate([params, shard.arrays["params"][good]])[order]
        fit, loss = fit[order], loss[order]
    return fit, loss, params.astype(np.float64)


def _frame(name: str, fit, loss, params) -> pd.DataFrame:
    return pd.DataFrame({"ensemble": name, "fit": fit, "loss": loss, "energy": (params**2).sum(axis=1)})


def _figure(name: str, ensemble: Ensemble, params: Float[np.ndarray, "F P"]):
    x, y = ensemble.problem.x, ensemble.problem.y
    computed = outputs(ensemble.network, params, x)
    computed, y = _comparable(computed, y, ensemble.problem.loss.components)
    figure, (ax,) = new_figure()
    title = f"{name}: the best {len(params)} fits"
    if x.shape[1] == 1 and y.shape[1] == 1:
        order = np.argsort(x[:, 0], kind="stable")
        all_fits(x[order, 0], computed[:, order, 0], f=y[order, 0], color="C0", title=title, ax=ax)
    else:
        predictions(y, computed[0], title=f"{name}: the best fit", ax=ax)
    return figure


def _comparable(computed: np.ndarray, y: np.ndarray, components: str) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and targets of one meaning where the loss takes others: shares of classes, or the means alone."""
    if computed.shape[-1] == y.shape[1]:
        return computed, y
    if components == "half":
        return computed[..., : y.shape[1]], y
    return softmax(computed, axis=-1), (y == np.arange(computed.shape[-1])).astype(float)


ANALYSIS = Analysis(find, quick=BestSettings(), paper=BestSettings(fits=1000))
