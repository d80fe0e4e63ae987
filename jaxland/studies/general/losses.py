"""How the losses of each ensemble are distributed."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxland.plots import (
    compared_histograms,
    distribution_rows,
    distributions,
    height_of_rows,
    new_figure,
    shared_legend,
)
from jaxland.statistics import Histogram, wilson_interval
from jaxland.store import StudyStore
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.studies.general.shown import FEW, ROWS, medians_of

_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 2000


def find(context: Context) -> Findings:
    """Quantiles and the share that diverged; histogram and distribution function of the final losses."""
    names = context.store.manifest.ensembles
    losses = {name: _losses(context.store, name) for name in names}
    table = pd.DataFrame([_row(name, *losses[name]) for name in names])
    finite = {name: good for name, (good, _) in losses.items() if len(good)}
    if not finite:
        return Findings({"losses.csv": table}, {}, [])
    medians = {name: float(np.median(values)) for name, values in finite.items()}
    told = medians_of(medians, {name: f"{medians[name]:.3g} ({len(values):,} fits)" for name, values in finite.items()})
    captions = {"losses": f"Losses after training of the fits that did not diverge, medians: {told}."}
    figure = _figure(dict(list(finite.items())[:ROWS]))
    return Findings({"losses.csv": table}, {"losses": figure}, [], captions=captions)


def _losses(store: StudyStore, ensemble: str) -> tuple[Float[np.ndarray, "F"], int]:
    """The final losses of the fits that did not diverge, in order, and how many did."""
    good, diverged = [np.zeros(0)], 0
    for shard in store.stream(ensemble, ["loss", "diverged_step"]):
        kept = shard.arrays["diverged_step"] < 0
        good.append(shard.arrays["loss"][kept].astype(np.float64))
        diverged += int((~kept).sum())
    return np.sort(np.concatenate(good)), diverged


def _row(name: str, good: Float[np.ndarray, "F"], diverged: int) -> dict:
    fits = len(good) + diverged
    low, high = wilson_interval(diverged, fits)
    quantiles = np.quantile(good, _LEVELS) if len(good) else np.full(len(_LEVELS), np.nan)
    share = {"diverged": diverged, "diverged_share": diverged / max(fits, 1), "share_low": low, "share_high": high}
    spread = {"mean": good.mean(), "deviation": good.std()} if len(good) else {}
    return {"ensemble": name, "fits": fits, **share, **spread} | {
        f"q{100 * level:g}": value for level, value in zip(_LEVELS, quantiles, strict=True)
    }


def _figure(losses: Mapping[str, Float[np.ndarray, "F"]]) -> Figure:
    logarithmic = all(values[0] > 0 for values in losses.values())
    scale = "log" if logarithmic else "linear"
    if len(losses) > FEW:
        figure, (ax,) = new_figure(width="page", height=height_of_rows(losses))
        distribution_rows(losses, xlabel="loss after training", xscale=scale, title="Losses", ax=ax)
        return figure
    shown = {name: np.log10(values) if logarithmic else values for name, values in losses.items()}
    label = "loss after training" + (", logarithm to base 10" if logarithmic else "")
    low, high = min(values[0] for values in shown.values()), max(values[-1] for values in shown.values())
    pad = max(high - low, 1e-6 * max(abs(low), abs(high)), np.finfo(float).tiny)
    edges = Histogram.spanning(low - pad / 100, high + pad / 100, _BINS)
    figure, (left, right) = new_figure(2)
    histograms = {name: edges.add(values) for name, values in shown.items()}
    compared_histograms(histograms, title="Losses", xlabel=label, ax=left)
    distributions(losses, xlabel="loss after training", xscale=scale, ax=right)
    shared_legend(figure, right)
    return figure


ANALYSIS = Analysis(find)
