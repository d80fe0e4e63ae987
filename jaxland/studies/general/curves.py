"""The losses of some fits in training."""

from dataclasses import dataclass, replace
from textwrap import wrap

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxland.plots import height_of_rows, new_figure, shared_legend, training_curves, training_rows
from jaxland.plots.strips import quartiles_of_known
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.studies.general.shown import PANELS, ROWS, medians_of
from jaxland.training import Ensemble, choose_backend, train

_POINTS = 200  # of a curve, about
_COLUMNS, _HEIGHT = 3, 1.75
_NAME = 34  # letters of a title in a line


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
    captions = dict.fromkeys(figures, _caption(dict(zip(curves, frames, strict=True))))
    return Findings({"curves.csv": pd.concat(frames, ignore_index=True)}, figures, [], captions=captions)


def _caption(curves: dict[str, pd.DataFrame]) -> str:
    if len(curves) <= PANELS:
        medians = "; ".join(f"{name} {_told(each)}" for name, each in curves.items())
        return f"Losses in training, from the first step to the last in the median: {medians}."
    known = {name: each["loss_median"].dropna() for name, each in curves.items()}
    ends = {name: float(each.iloc[-1]) for name, each in known.items() if len(each)}
    return f"Median losses in training, at the last step {medians_of(ends, {})}."


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
    drawn = [(name, each) for name, each in curves.items() if np.isfinite(each[1]).any()][:ROWS]
    if not drawn:
        return {}
    shown = {name: (steps, np.where(np.isfinite(losses), losses, np.nan)) for name, (steps, losses) in drawn}
    scale = "log" if all(np.nanmin(losses) > 0 for _, losses in shown.values()) else "linear"
    return {"training": (_panels if len(shown) <= PANELS else _rows)(shown, scale)}


def _rows(shown: dict[str, tuple[np.ndarray, np.ndarray]], scale: str) -> Figure:
    figure, (ax,) = new_figure(width="page", height=height_of_rows(shown) + 0.4)
    medians = {name: (steps, quartiles_of_known(losses)[1]) for name, (steps, losses) in shown.items()}
    training_rows(medians, scale=scale, ax=ax)
    return figure


def _panels(shown: dict[str, tuple[np.ndarray, np.ndarray]], scale: str) -> Figure:
    """One for each ensemble; all have the same axis of losses, so that they can be compared."""
    columns = min(len(shown), _COLUMNS)
    lines = max(len(wrap(name, _NAME)) for name in shown)
    height = None if len(shown) <= 2 else _HEIGHT + 0.13 * lines
    rows = -(-len(shown) // columns)
    figure, axes = new_figure(columns, rows=rows, height=height, letters=False)
    for ax in axes[len(shown) :]:
        ax.remove()
    limits = _limits([losses for _, losses in shown.values()], scale)
    for place, (ax, (name, (steps, losses))) in enumerate(zip(axes, shown.items(), strict=False)):
        training_curves(steps, {name: losses}, ylabel="loss", yscale=scale, title=name, ax=ax)
        ax.set_ylim(limits)
        ax.set_ylabel("loss" if place % columns == 0 else "")
        ax.set_xlabel("step" if place + columns >= len(shown) else "")
        ax.tick_params(labelleft=place % columns == 0)
        # Names tell the panels; what line and band are is told once.
        (line, band) = ax.lines[0], ax.collections[0]
        line.set_label("median")
        band.set_label("middle half of the fits")
    shared_legend(figure, axes[0])
    return figure


def _limits(losses: list[np.ndarray], scale: str) -> tuple[float, float]:
    quartiles = [quartiles_of_known(each) for each in losses]
    low, high = (float(pick([pick(each) for each in quartiles])) for pick in (np.nanmin, np.nanmax))
    if scale == "log":
        pad = max((high / low) ** 0.05, 1.01)
        return low / pad, high * pad
    pad = 0.05 * (high - low) or 0.01 * max(abs(high), 1e-12)
    return low - pad, high + pad


ANALYSIS = Analysis(find, quick=CurveSettings(), paper=CurveSettings(fits=512))
