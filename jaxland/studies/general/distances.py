"""How far the fits of an ensemble lie apart, in parameters and in outputs."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxland.landscape import outputs, pair_distances, random_pairs, symmetrise
from jaxland.plots import compared_histograms, distribution_rows, height_of_rows, new_figure, shared_legend
from jaxland.statistics import Histogram
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.studies.general.shown import FEW, ROWS, medians_of

_LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
_BINS = 2000
_LABELS = {
    "parameters": "L2 distance of parameters",
    "symmetrised": "L2 distance of symmetrised parameters",
    "outputs": "rms difference of outputs",
}


@dataclass(frozen=True)
class DistanceSettings:
    """Scale of the distances."""

    fits: int = 512
    """Fits of each ensemble, its first ones that did not diverge."""
    pairs: int = 10_000
    """Pairs drawn from them."""
    seed: int = 0
    """Of the pairs."""


def find(context: Context) -> Findings:
    """Distances of random pairs: of parameters as trained, of their symmetrised representatives, and of outputs."""
    found = {name: _distances(context, name) for name in context.store.manifest.ensembles}
    rows = [_row(name, kind, values) for name, each in found.items() for kind, values in each.items()]
    kinds = {kind: {name: each[kind] for name, each in found.items() if kind in each} for kind in _LABELS}
    drawn = {kind: dict(list(groups.items())[:ROWS]) for kind, groups in kinds.items() if groups}
    if not drawn:
        return Findings({"distances.csv": pd.DataFrame(rows)} if rows else {}, {}, [])
    captions = {"distances": f"Distances of random pairs of fits, medians: {_told(kinds)}."}
    return Findings({"distances.csv": pd.DataFrame(rows)}, {"distances": _figure(drawn)}, [], captions=captions)


def _distances(context: Context, name: str) -> dict[str, Float[np.ndarray, "pairs"]]:
    ensemble, settings = context.ensembles[name], context.settings
    params = _first_fits(context, name)
    if len(params) < 2:
        return {}
    network, x = ensemble.network, ensemble.problem.x
    pairs = random_pairs(len(params), settings.pairs, settings.seed)
    found = {"parameters": pair_distances(params, pairs)}
    if network.spec.symmetry.layers:
        found["symmetrised"] = pair_distances(symmetrise(network, params, x=x).params, pairs)
    else:
        context.say(f"  {name}: network {network.spec.name!r} declares no symmetry, so parameters are as trained only")
    values = outputs(network, params, x).reshape(len(params), -1)
    return {**found, "outputs": pair_distances(values, pairs) / np.sqrt(values.shape[1])}


def _first_fits(context: Context, name: str) -> Float[np.ndarray, "F P"]:
    """Parameters of the first fits that did not diverge, float64."""
    kept: list[np.ndarray] = []
    for shard in context.store.stream(name, ["diverged_step", "params"]):
        good = (shard.arrays["diverged_step"] < 0) & np.isfinite(shard.arrays["params"]).all(axis=1)
        kept.append(shard.arrays["params"][good].astype(np.float64))
        if sum(map(len, kept)) >= context.settings.fits:
            break
    return np.concatenate(kept)[: context.settings.fits] if kept else np.zeros((0, 0))


def _row(name: str, kind: str, values: Float[np.ndarray, "pairs"]) -> dict:
    quantiles = {f"q{100 * level:g}": value for level, value in zip(_LEVELS, np.quantile(values, _LEVELS), strict=True)}
    return {"ensemble": name, "distance": kind, "pairs": len(values), **quantiles, "largest": values.max()}


def _told(kinds: dict[str, dict[str, Float[np.ndarray, "pairs"]]]) -> str:
    words = []
    for kind, groups in kinds.items():
        medians = {name: float(np.median(values)) for name, values in groups.items()}
        if medians:
            told = medians_of(medians, {name: f"{median:.3g}" for name, median in medians.items()})
            words.append(f"of {kind} {told}")
    return ". ".join(words)


def _figure(kinds: dict[str, dict[str, Float[np.ndarray, "pairs"]]]) -> Figure:
    names = list(dict.fromkeys(name for groups in kinds.values() for name in groups))
    many = len(names) > FEW
    figure, axes = new_figure(len(kinds), width="page", height=height_of_rows(names) if many else None)
    for ax, (kind, groups) in zip(axes, kinds.items(), strict=True):
        if many:
            rows = {name: groups.get(name, np.zeros(0)) for name in names}
            written = ax is axes[0]
            distribution_rows(rows, xlabel=_LABELS[kind], title=f"Pairs: {kind}", names=written, ax=ax)
            continue
        high = max(float(values.max()) for values in groups.values()) or 1.0
        histograms = {name: Histogram.spanning(0.0, 1.001 * high, _BINS).add(values) for name, values in groups.items()}
        compared_histograms(histograms, title=f"Pairs of fits: {kind}", xlabel=_LABELS[kind], ax=ax)
    # Those of parameters are of every ensemble that is drawn.
    shared_legend(figure, axes[0])
    return figure


ANALYSIS = Analysis(find, quick=DistanceSettings(), paper=DistanceSettings(fits=10_000, pairs=100_000))
