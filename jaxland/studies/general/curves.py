"""The losses of some fits in training."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxland.plots import new_figure, training_curves
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.training import Ensemble, choose_backend, train

_POINTS = 200  # of a curve, about
_DRAWN = 12  # ensembles; the table has all


@dataclass(frozen=True)
class CurveSettings:
    """Scale of the curves."""

    fits: int = 64
    """Fits of each ensemble, its first ones; they are trained once more where the study keeps no losses on the way."""


def find(context: Context) -> Findings:
    """Medians and quartiles over the steps."""
    ensembles = context.ensembles
    curves = {name: _curves(context, name, ensembles[name]) for name in context.store.manifest.ensembles}
    frames = [_frame(name, *each) for name, each in curves.items()]
    figures = _figures(curves)
    medians = "; ".join(
        f"{name} {each['loss_median'].iloc[0]:.3g} to {each['loss_median'].iloc[-1]:.3g}"
        for name, each in zip(curves, frames, strict=True)
    )
    captions = dict.fromkeys(figures, f"Losses in training, from the first step to the last in the median: {medians}.")
    return Findings({"curves.csv": pd.concat(frames, ignore_index=True)}, figures, [], captions=captions)


def _curves(context: Context, name: str, ensemble: Ensemble) -> tuple[np.ndarray, np.ndarray]:
    """Steps (T,) and losses (F, T)."""
    if ensemble.trace_every is None:
        ensemble = replace(ensemble, trace_every=max(1, ensemble.steps // _POINTS), snapshots=())
        piece = context.parts.get(name, lambda: {"trace": _trained(context, ensemble)})
        return np.asarray(ensemble.trace_steps), piece["trace"]
    found = [np.zeros((0, len(ensemble.trace_steps)))]
    for shard in context.store.stream(name, ["trace"]):
        found.append(shard.arrays["trace"])
        if sum(map(len, found)) >= context.settings.fits:
            break
    return np.asarray(ensemble.trace_steps), np.concatenate(found)[: context.settings.fits]


def _trained(context: Context, ensemble: Ensemble) -> np.ndarray:
    count = min(context.settings.fits, context.store.manifest.fits)
    trainer, _ = choose_backend(ensemble)
    result, _ = train(trainer, ensemble, ensemble.first, count, threads=context.threads)
    return np.asarray(result.trace)


def _frame(name: str, steps: np.ndarray, losses: np.ndarray) -> pd.DataFrame:
    with np.errstate(invalid="ignore"):
        low, middle, high = np.quantile(losses.astype(np.float64), (0.25, 0.5, 0.75), axis=0)
    columns = {"step": steps, "fits": len(losses), "loss_q25": low, "loss_median": middle, "loss_q75": high}
    return pd.DataFrame({"ensemble": name, **columns})


def _figures(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Figure]:
    sane = {name: (steps, losses[np.isfinite(losses).all(axis=1)]) for name, (steps, losses) in curves.items()}
    drawn = [(name, each) for name, each in sane.items() if len(each[1])][:_DRAWN]
    if not drawn:
        return {}
    columns = min(len(drawn), 4)
    figure, axes = new_figure(columns, rows=-(-len(drawn) // columns))
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    for ax, (name, (steps, losses)) in zip(axes, drawn, strict=False):
        scale = "log" if losses.min() > 0 else "linear"
        training_curves(steps, {name: losses}, ylabel="loss", yscale=scale, ax=ax)
    return {"training": figure}


ANALYSIS = Analysis(find, quick=CurveSettings(), paper=CurveSettings(fits=512))
