"""Figures 1 to 7 of Gamst and Walker, and the dot products of their section 4.5."""

from collections.abc import Callable

import numpy as np
from matplotlib.figure import Figure

from jaxland.plots import (
    compared_histograms,
    fit_curve,
    legend_below,
    network_diagram,
    new_figure,
    target_curve,
    tube,
)
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.overview.reduction import EnsembleAnalysis, SawtoothAnalysis
from jaxland.replications.sawtooth.palette import COLORS, DASHES, LABEL_COLORS, LABELS, labelled

_F = "f, the output of $W_f$"


def figures(config: SawtoothConfig, analysis: SawtoothAnalysis) -> dict[str, Figure]:
    """All figures by file stem. Ensembles without a finite fit are left out of theirs."""
    drawn = {name: each for name, each in analysis.ensembles.items() if each.curve.count > 1}
    result = {"figure-01-network-and-target": _network_and_target(config, analysis)}
    if drawn:
        result |= {
            "figure-02-one-fit": _one_fit(analysis, drawn),
            "figure-03-mean-and-deviation": _tubes(analysis, drawn),
            "figure-04-best-fits": _best_fits(analysis, drawn),
        }
        result |= _histograms(config, drawn)
    return result


def captions(config: SawtoothConfig, analysis: SawtoothAnalysis) -> dict[str, str]:
    """A sentence for each figure that `figures` draws."""
    drawn = {name: each for name, each in analysis.ensembles.items() if each.curve.count > 1}
    target = config.problem.target
    result = {
        "figure-01-network-and-target": f"The hand-made network of {target.depth} layers, and its output with "
        f"{len(target.knots) - 1} linear pieces."
    }
    if not drawn:
        return result

    def told(words: Callable[[EnsembleAnalysis], str]) -> str:
        return "; ".join(f"{LABELS[name]} {words(each)}" for name, each in drawn.items())

    result |= {
        "figure-02-one-fit": f"The first fits beside f, which turns {len(target.knots) - 2} times; turns of all fits, "
        "in the median: "
        f"{told(lambda each: f'{each.turns.quantile(0.5):.0f}')}.",
        "figure-03-mean-and-deviation": "Mean and standard deviation of the fits' outputs; the mean holds of the wave: "
        f"{told(lambda each: f'{each.sample.wave.mean():.1%}')}.",
        "figure-04-best-fits": "The best fits of both optimizers do not reach the optimum: losses of "
        f"{told(lambda each: f'{each.best_loss:.5f}')}.",
        "figure-05-losses": f"Losses after training, medians: {told(lambda each: f'{each.loss.quantile(0.5):.5f}')}.",
        "figure-06-pair-distances": "Distances of random pairs of fits, symmetrised, the smallest and the median: "
        f"{told(lambda each: f'{each.pair_distance.smallest:.2f} and {each.pair_distance.quantile(0.5):.2f}')}.",
    }
    if all(each.minimum_distance.total for each in drawn.values()):
        result |= {
            "figure-07-distances-to-the-global-minimum": "Distances of fits from the global minimum, medians: "
            f"{told(lambda each: f'{each.minimum_distance.quantile(0.5):.2f}')}.",
            "section-4.5-direction-cosines": "Dot products of directions from the global minimum to pairs of fits, the "
            f"smallest: {told(lambda each: f'{each.cosine.smallest:.2f}')}.",
        }
    return result


def _network_and_target(config, analysis):
    figure, (left, right) = new_figure(2)
    problem = config.problem
    layers = problem.network.unflatten(problem.target.parameters())
    target = problem.target
    title = f"The {target.depth} x ({target.saw}+{len(target.spline)}) network: bold weights are not zero"
    network_diagram(problem.network.spec.widths, [layer.weight for layer in layers], title=title, ax=left)
    target_curve(analysis.x, analysis.target, label=_F, ax=right)
    right.set_title(f"Its output f: {len(target.knots) - 1} linear pieces")
    return figure


def _one_fit(analysis, drawn):
    figure, (ax,) = new_figure()
    target_curve(analysis.x, analysis.target, label=_F, ax=ax)
    for name, each in drawn.items():
        ax.plot(
            analysis.x,
            each.first_output,
            color=COLORS[name],
            ls=DASHES[name],
            lw=1.5,
            label=f"fit {each.first_fit}, {LABELS[name]}",
        )
    ax.set(title="The first fit of each optimizer", ylabel="output")
    ax.legend()
    return figure


def _tubes(analysis, drawn):
    figure, axes = new_figure(len(drawn))
    for ax, (name, each) in zip(axes, drawn.items(), strict=True):
        tube(
            analysis.x,
            analysis.target,
            each.curve.mean,
            each.curve.deviation,
            label=f"mean of {each.curve.count:,} fits",
            color=COLORS[name],
            title=f"Mean fit: {LABELS[name]}",
            ax=ax,
        )
    return figure


def _best_fits(analysis, drawn):
    figure, axes = new_figure(len(drawn))
    for ax, (name, each) in zip(axes, drawn.items(), strict=True):
        fit_curve(
            analysis.x,
            analysis.target,
            each.best_output,
            label=f"fit {each.best_fit}, loss {each.best_loss:.3g}",
            color=COLORS[name],
            title=f"Best of {each.curve.count:,}: {LABELS[name]}",
            ax=ax,
        )
    return figure


_HISTOGRAMS = {
    "figure-06-pair-distances": (
        "pair_distance",
        "Distances of random pairs of fits, symmetrised",
        "L2 distance in parameter space",
    ),
    "figure-07-distances-to-the-global-minimum": (
        "minimum_distance",
        "Distances to the global minimum, symmetrised",
        "L2 distance in parameter space",
    ),
    "section-4.5-direction-cosines": (
        "cosine",
        "Directions from the global minimum to two fits",
        "dot product of unit directions",
    ),
}

# Of these the source says how small they become.
_FROM_THE_SMALLEST = ("pair_distance", "cosine")


def _histograms(config, drawn):
    result = {"figure-05-losses": _losses(config, {name: each.loss for name, each in drawn.items()})}
    for stem, (quantity, title, xlabel) in _HISTOGRAMS.items():
        histograms = {name: getattr(each, quantity) for name, each in drawn.items()}
        if any(histogram.total for histogram in histograms.values()):
            figure, (ax,) = new_figure()
            compared_histograms(
                labelled(histograms),
                title=title,
                xlabel=xlabel,
                colors=LABEL_COLORS,
                smallest=quantity in _FROM_THE_SMALLEST,
                ax=ax,
            )
            result[stem] = figure
    return result


def _losses(config, histograms):
    smooth = config.problem.target.amplitude**2 / 3
    histograms = labelled(histograms)
    shared = {"xlabel": "mean squared error", "colors": LABEL_COLORS, "reference": (smooth, "smooth fit, a²/3")}
    figure, (left, right) = new_figure(2, height=3.0)
    compared_histograms(histograms, title="Losses after training", **shared, ax=left)
    constant = float(np.var(config.problem.y))
    left.axvline(constant, color="#444444", ls=":", lw=1, label="the best constant")
    # From the best of the fits on: how far they come below the smooth fit is the question.
    window = (min(0.75 * smooth, *(each.smallest for each in histograms.values() if each.total)), 1.1 * smooth)
    compared_histograms(histograms, title="The same, up to the smooth fit", **shared, window=window, ax=right)
    for ax in (left, right):
        # Below, for what there is to be seen is high and narrow.
        legend_below(ax)
    return figure
