"""The best fits of each ensemble."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.special import softmax

from jaxland.landscape import outputs
from jaxland.plots import all_fits, new_figure, predictions
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.training import Ensemble
from jaxland.training.judgements import COLUMNS as JUDGED
from jaxland.training.judgements import LOSS, VALIDATION, judgements
from jaxland.training.validation import is_split

_DRAWN = 8  # fits
_ENSEMBLES = 12


@dataclass(frozen=True)
class BestSettings:
    """How many."""

    fits: int = 20
    """Fits of each ensemble."""


class _Best(NamedTuple):
    """The best fits of an ensemble, the best first: their table, their parameters, and by what they are ranked."""

    table: pd.DataFrame
    params: Float[np.ndarray, "F P"]
    by: str

    @property
    def told(self) -> str:
        """The range of what they are ranked by, in words."""
        what = "smallest validation losses" if self.by == VALIDATION else "losses"
        values = self.table[self.by].to_numpy()[:_DRAWN]
        return f"{what} {values[0]:.3g} to {values[-1]:.3g}"


def find(context: Context) -> Findings:
    """Their numbers, losses, metrics and energies, and what they compute.

    They are ranked by the smallest validation loss where fits were judged, and are those of that step; else by the
    loss after training.
    """
    tables, figures, captions = {}, {}, {}
    found = {name: _best(context, name) for name in context.store.manifest.ensembles}
    tables["best.csv"] = pd.concat([each.table for each in found.values()], ignore_index=True)
    for name, best in list(found.items())[:_ENSEMBLES]:
        ensemble = context.ensembles[name]
        own = any(v is not None and not is_split(v) for v in (ensemble.inputs, ensemble.targets))
        if len(best.params) and not own:
            figures[f"best-{name}"] = _figure(name, ensemble, best.params[:_DRAWN])
            one = ensemble.problem.x.shape[1] == ensemble.problem.y.shape[1] == 1
            many = f"{min(len(best.params), _DRAWN)} fits of {name} compute" if one else f"fit of {name} computes"
            then = " in the step of their smallest validation loss" if best.by == VALIDATION else ""
            captions[f"best-{name}"] = f"What the best {many}{then}; of the best, {best.told}."
    ranked = [name for name, each in found.items() if each.by == VALIDATION]
    notes = [
        f"the best fits of {', '.join(ranked)} are those of the smallest validation loss, as they were in its step"
    ]
    return Findings(tables, figures, [], notes=notes if ranked else [], captions=captions)


def _best(context: Context, name: str) -> _Best:
    """A shard at a time."""
    kept: list[pd.DataFrame] = []
    params, by = np.zeros((0, context.ensembles[name].network.size)), LOSS
    columns = ["fit", "loss", "diverged_step", "params"]
    for shard in context.store.stream(name, columns, optional=(*JUDGED, "best_params")):
        judged = judgements(shard.arrays)
        by = VALIDATION if judged else LOSS
        rows = {"fit": shard.arrays["fit"], **judged, LOSS: shard.arrays["loss"]}
        good = (shard.arrays["diverged_step"] < 0) & np.isfinite(rows[by])
        vectors = shard.arrays["best_params" if judged else "params"][good]
        table = pd.concat([*kept, pd.DataFrame({column: values[good] for column, values in rows.items()})])
        order = np.argsort(table[by].to_numpy(), kind="stable")[: context.settings.fits]
        params, kept = np.concatenate([params, vectors])[order], [table.iloc[order]]
    table = kept[0] if kept else pd.DataFrame({"fit": np.zeros(0, np.int64), LOSS: np.zeros(0)})
    table = table.reset_index(drop=True).assign(energy=(params.astype(np.float64) ** 2).sum(axis=1))
    table.insert(0, "ensemble", name)
    return _Best(table, params.astype(np.float64), by)


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
