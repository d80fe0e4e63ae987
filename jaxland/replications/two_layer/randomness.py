"""Conclusion 6: how much of the variation between executions is due to data, to weights, and to both."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.figure import Figure

from jaxland.landscape import outputs
from jaxland.plots import new_figure
from jaxland.replications.two_layer.descent import trained
from jaxland.replications.two_layer.ensembles import executions_data, executions_weights
from jaxland.replications.two_layer.source import HIGH, LOW, TARGETS, half_mean_square, network
from jaxland.replications.two_layer.statements import STATEMENTS
from jaxland.statistics import Estimate, TwoWayComponents, two_way_components
from jaxland.studies import Analysis, Claim, Context, Findings

_GRID = 501
"""Points of the grid on which errors free of the test set's randomness are taken."""
_MEASURES = {"test": "its own test set", "grid": "an even grid"}


@dataclass(frozen=True)
class RandomnessSettings:
    """Scale of the crossed designs: every data set with every initial weights."""

    data: int = 16
    """Data sets, each a training and a test set."""
    weights: int = 16
    """Initial weights."""


@dataclass(frozen=True)
class Design:
    """A configuration of the document that is executed with all pairs of data and weights."""

    target: str
    hidden: int
    rate: float
    epochs: int
    deviation: float = 0.01
    """Standard deviation of the initial weights."""

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.target}-h{self.hidden}-rate{self.rate:g}-{self.epochs}-weights{self.deviation:g}"

    @property
    def label(self) -> str:
        """For claims and figures."""
        wide = "" if self.deviation == Design.deviation else f", weights of deviation {self.deviation:g}"
        return f"{self.target}, h = {self.hidden}, rate {self.rate:g}{wide}"


DESIGNS = (
    Design("f1", 3, 0.1, 1000),
    Design("f2", 8, 0.1, 1000),
    Design("f2", 8, 0.05, 2000),
    # Footnote 5 of the document: larger initial weights.
    Design("f2", 8, 0.05, 2000, deviation=1.0),
)


@dataclass(frozen=True)
class Crossed:
    """Logarithms of errors, rows for data and columns for weights, and their variance components."""

    design: Design
    measure: str
    log_error: Float[np.ndarray, "I J"]
    components: TwoWayComponents

    @property
    def data_share(self) -> Estimate:
        """Of the variance that data and weights have by themselves, the share of data."""
        return self.components.estimate(lambda data, weights, both: data / (data + weights))

    def only(self, which: str) -> Estimate:
        """Variance with new data and the same weights, new weights and the same data, or both new."""
        quantity = {
            "data": lambda data, weights, both: data + both,
            "weights": lambda data, weights, both: weights + both,
            "both": lambda data, weights, both: data + weights + both,
        }
        return self.components.estimate(quantity[which])


def find(context: Context) -> Findings:
    """Trains a design after another, all pairs of it in one call."""
    found = []
    for design in DESIGNS:
        part = context.piece(design.name, partial(_train, context, design))
        context.say(f"  {design.label}: {part['test'].size} executions")
        for measure in _MEASURES:
            values = np.log(part[measure])
            found.append(Crossed(design, measure, values, two_way_components(values)))
    table, figures = _table(found), {"randomness": _figure(found)}
    return Findings({"randomness.csv": table}, figures, _claims(found), captions=captions(table))


def _train(context: Context, design: Design) -> dict[str, np.ndarray]:
    settings: RandomnessSettings = context.settings
    function, net = TARGETS[design.target], network(design.hidden)
    data = executions_data(context.config, np.arange(settings.data))
    weights = executions_weights(context.config, np.arange(settings.weights), design.hidden, design.deviation)
    # Fit i has data set i // J and weights i % J.
    inputs = np.repeat(data.x, settings.weights, axis=0)[:, :, None]
    start = np.tile(weights, (settings.data, 1))
    fits = trained(
        context, design.hidden, design.rate, start, inputs=inputs, targets=function(inputs), steps=design.epochs
    )
    shape, grid = (settings.data, settings.weights), np.linspace(LOW, HIGH, _GRID)
    params = fits.params.reshape(*shape, -1)
    test = [_error(net, function, each, x) for each, x in zip(params, data.test_x, strict=True)]
    return {"test": np.stack(test), "grid": _error(net, function, fits.params, grid).reshape(shape)}


def _error(net, function, params: Float[np.ndarray, "F P"], x: Float[np.ndarray, "N"]) -> Float[np.ndarray, "F"]:
    return half_mean_square(outputs(net, params, x[:, None])[:, :, 0], function(x))


def _table(found: list[Crossed]) -> pd.DataFrame:
    rows = []
    for each in found:
        row = {"design": each.design.name, "error_on": _MEASURES[each.measure]}
        row |= {"data_sets": each.log_error.shape[0], "initial_weights": each.log_error.shape[1]}
        row["mean_log_error"] = each.log_error.mean()
        single = {
            "var_data": each.components.estimate(lambda data, weights, both: data),
            "var_weights": each.components.estimate(lambda data, weights, both: weights),
            "var_both": each.components.estimate(lambda data, weights, both: both),
            "new_data": each.only("data"),
            "new_weights": each.only("weights"),
            "new_data_and_weights": each.only("both"),
            "data_share": each.data_share,
        }
        for name, estimate in single.items():
            row |= {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
        rows.append(row)
    return pd.DataFrame(rows)


def _figure(found: list[Crossed]) -> Figure:
    figure, axes = new_figure(len(_MEASURES), height=2.7)
    for ax, (measure, words) in zip(axes, _MEASURES.items(), strict=True):
        chosen = [each for each in found if each.measure == measure]
        for index, (which, label) in enumerate(
            (("data", "new data, same weights"), ("weights", "same data, new weights"), ("both", "both new"))
        ):
            estimates = [each.only(which) for each in chosen]
            places = np.arange(len(chosen)) + 0.22 * (index - 1)
            values = np.array([each.value for each in estimates])
            errors = np.array([[each.value - each.low, each.high - each.value] for each in estimates]).T
            ax.errorbar(
                places, values, yerr=errors, fmt="osD"[index], ms=4, lw=1, capsize=2, color=f"C{index}", label=label
            )
        names = [each.design.label.replace(", rate", "\nrate").replace(", weights", "\nweights") for each in chosen]
        ax.set_xticks(range(len(chosen)), names, fontsize=7)
        # From 0.00003 to 3: what is small is small by a thousand.
        ax.set(title=f"Error on {words}", ylabel="variance of the log error", yscale="log")
        ax.legend(loc="lower right")
    return figure


def captions(table: pd.DataFrame) -> dict[str, str]:
    """A sentence for the figure, from `randomness.csv`."""
    own = [row for row in table.to_dict("records") if row["error_on"] == _MEASURES["test"]]
    labels = {each.name: each.label for each in DESIGNS}
    told = "; ".join(f"{row['data_share']:.1%} with {labels[row['design']]}" for row in own)
    first = own[0]
    return {
        "randomness": f"Variance of the log error over {first['data_sets']} data sets crossed with "
        f"{first['initial_weights']} initial weights; of the two parts that of the data is {told}."
    }


def _claims(found: list[Crossed]) -> list[Claim]:
    claims = []
    for each in found:
        if each.measure == "test" and each.design.deviation == Design.deviation:
            claims += [data_matter_more(each, _twin(found, each)), both_more(each)]
    small, large = (
        next(each for each in found if each.measure == "test" and each.design == design) for design in DESIGNS[-2:]
    )
    return [*claims, larger_weights(small, large)]


def _twin(found: list[Crossed], each: Crossed) -> Crossed:
    """The same design with errors on the grid."""
    (twin,) = [other for other in found if other.design == each.design and other.measure == "grid"]
    return twin


def _design(each: Crossed) -> str:
    rows, columns = each.log_error.shape
    return f"{rows} data sets crossed with {columns} weights, {each.design.epochs:,} epochs; jackknife intervals, 95 %"


def data_matter_more(each: Crossed, grid: Crossed) -> Claim:
    """What data have of the two variances by themselves."""
    return STATEMENTS["data-matter-more"].claim(
        f"data have {each.data_share:.3g} of the two variances of the log error; on an even grid instead of the "
        f"test set {grid.data_share:.3g}",
        each.data_share,
        of=each.design.label,
        cases=min(each.log_error.shape),
        detail=_design(each),
    )


def both_more(each: Crossed) -> Claim:
    """The variance with both new over that with new data."""
    data, weights, both = (each.only(which) for which in ("data", "weights", "both"))
    ratio = each.components.estimate(lambda data, weights, both: (data + weights + both) / (data + both))
    return STATEMENTS["both-more"].claim(
        f"variance of the log error {both:.3g} with both new, {data:.3g} with new data, {weights:.3g} with "
        f"new weights; the first is {ratio:.3g} times the second",
        ratio,
        of=each.design.label,
        cases=min(each.log_error.shape),
        detail=_design(each),
    )


def larger_weights(small: Crossed, large: Crossed) -> Claim:
    """How far the share of data falls, with small and with larger initial weights."""
    one, two = small.data_share, large.data_share
    # Separate designs that share their data: with the covariance unknown, the ends of both intervals are the widest.
    fall = Estimate(one.value - two.value, one.low - two.high, one.high - two.low)
    return STATEMENTS["larger-weights"].claim(
        f"the data's share of the two variances falls from {one:.3g} to {two:.3g}; the variance with new weights "
        f"goes from {small.only('weights'):.3g} to {large.only('weights'):.3g}",
        fall,
        of="f2, h = 8",
        cases=min(large.log_error.shape),
        detail=f"deviation {large.design.deviation:g} instead of {small.design.deviation:g}; {_design(large)}; of the "
        "fall, by the ends of both intervals",
    )


ANALYSIS = Analysis(
    quick=RandomnessSettings(),
    paper=RandomnessSettings(data=64, weights=64),
    find=find,
)
