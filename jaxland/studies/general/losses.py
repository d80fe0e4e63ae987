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
from jaxland.studies.tables import judged_summary
from jaxland.training.judgements import VALIDATION

_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_BINS = 2000
_VALIDATION = "smallest validation loss"


def find(context: Context) -> Findings:
    """Quantiles and the share that diverged; histogram and distribution function of the final losses, and of the
    smallest validation losses where fits were judged."""
    names = context.store.manifest.ensembles
    losses = {name: _losses(context.store, name) for name in names}
    tables = {"losses.csv": pd.DataFrame([_row(name, good, diverged) for name, (good, _, diverged) in losses.items()])}
    judged = judged_summary(context.store)
    if not judged.empty:
        tables["validation.csv"] = judged
    figures, captions = {}, {}
    final = {name: good for name, (good, _, _) in losses.items()}
    smallest = {name: found for name, (_, found, _) in losses.items()}
    for stem, what, values in (("losses", "loss after training", final), ("validation", _VALIDATION, smallest)):
        finite = {name: each for name, each in values.items() if len(each)}
        if not finite:
            continue
        medians = {name: float(np.median(each)) for name, each in finite.items()}
        each = {name: f"{medians[name]:.3g} ({len(held):,} fits)" for name, held in finite.items()}
        told = what.replace("loss", "losses").capitalize()
        captions[stem] = f"{told} of the fits that did not diverge, medians: {medians_of(medians, each)}."
        figures[stem] = _figure(dict(list(finite.items())[:ROWS]), what)
    return Findings(tables, figures, [], captions=captions)


def _losses(store: StudyStore, ensemble: str) -> tuple[Float[np.ndarray, "F"], Float[np.ndarray, "V"], int]:
    """The final and the smallest validation losses of the fits that did not diverge, in order, and how many did."""
    good, judged, diverged = [np.zeros(0)], [np.zeros(0)], 0
    for shard in store.stream(ensemble, ["loss", "diverged_step"], optional=[VALIDATION]):
        kept = shard.arrays["diverged_step"] < 0
        good.append(shard.arrays["loss"][kept].astype(np.float64))
        found = shard.arrays.get(VALIDATION, np.zeros(len(kept), np.float32) + np.inf)[kept].astype(np.float64)
        judged.append(found[np.isfinite(found)])
        diverged += int((~kept).sum())
    return np.sort(np.concatenate(good)), np.sort(np.concatenate(judged)), diverged


def _row(name: str, good: Float[np.ndarray, "F"], diverged: int) -> dict:
    fits = len(good) + diverged
    low, high = wilson_interval(diverged, fits)
    quantiles = np.quantile(good, _LEVELS) if len(good) else np.full(len(_LEVELS), np.nan)
    share = {"diverged": diverged, "diverged_share": diverged / max(fits, 1), "share_low": low, "share_high": high}
    spread = {"mean": good.mean(), "deviation": good.std()} if len(good) else {}
    return {"ensemble": name, "fits": fits, **share, **spread} | {
        f"q{100 * level:g}": value for level, value in zip(_LEVELS, quantiles, strict=True)
    }


def _figure(losses: Mapping[str, Float[np.ndarray, "F"]], what: str) -> Figure:
    logarithmic = all(values[0] > 0 for values in losses.values())
    scale = "log" if logarithmic else "linear"
    if len(losses) > FEW:
        figure, (ax,) = new_figure(width="page", height=height_of_rows(losses))
        distribution_rows(losses, xlabel=what, xscale=scale, title="Losses", ax=ax)
        return figure
    shown = {name: np.log10(values) if logarithmic else values for name, values in losses.items()}
    label = what + (", logarithm to base 10" if logarithmic else "")
    low, high = min(values[0] for values in shown.values()), max(values[-1] for values in shown.values())
    pad = max(high - low, 1e-6 * max(abs(low), abs(high)), np.finfo(float).tiny)
    edges = Histogram.spanning(low - pad / 100, high + pad / 100, _BINS)
    figure, (left, right) = new_figure(2)
    histograms = {name: edges.add(values) for name, values in shown.items()}
    compared_histograms(histograms, title="Losses", xlabel=label, ax=left)
    distributions(losses, xlabel=what, xscale=scale, ax=right)
    shared_legend(figure, right)
    return figure


ANALYSIS = Analysis(find)
