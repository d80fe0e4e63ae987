"""The losses of some fits in training."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxland.plots import new_figure, training_curves
from jaxland.plots.strips import quartiles_of_known
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
    medians = "; ".join(f"{name} {_told(each)}" for name, each in zip(curves, frames, strict=True))
    captions = dict.fromkeys(figures, f"Losses in training, from the first step to the last in the median: {medians}.")
    return Findings({"curves.csv": pd.concat(frames, ignore_index=True)}, figures, [], captions=captions)


def _told(curve: pd.DataFrame) -> str:
    known = curve[curve["loss_median"].notna()]
    if known.empty:
        return "has none"
    first, last = known.iloc[0], known.iloc[-1]
    some = last["fits"] < curve["fits"].max()
    left = f" of the last {last['fits']:,} of {curve['fits'].max():,} fits, at step {last['step']:,}" if some else ""
    return f"{first['loss_median']:.3g} to {last['loss_median']:.3g}{left}"


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
    low, middle, high = quartiles_of_known(losses)
    # Losses of those that stopped are NaN from then on.
    left = (~np.isnan(losses)).sum(axis=0)
    columns = {"step": steps, "fits": left, "loss_q25": low, "loss_median": middle, "loss_q75": high}
    return pd.DataFrame({"ensemble": name, **columns})


def _figures(curves: dict[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Figure]:
    drawn = [(name, each) for name, each in curves.items() if np.isfinite(each[1]).any()][:_DRAWN]
    if not drawn:
        return {}
    columns = min(len(drawn), 4)
    figure, axes = new_figure(columns, rows=-(-len(drawn) // columns))
    for ax in axes[len(drawn) :]:
        ax.set_axis_off()
    for ax, (name, (steps, losses)) in zip(axes, drawn, strict=False):
        shown = np.where(np.isfinite(losses), losses, np.nan)
        scale = "log" if np.nanmin(shown) > 0 else "linear"
        training_curves(steps, {name: shown}, ylabel="loss", yscale=scale, ax=ax)
    return {"training": figure}


ANALYSIS = Analysis(find, quick=CurveSettings(), paper=CurveSettings(fits=512))
