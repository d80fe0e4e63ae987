"""The ensembles: chance and time of instability over learning rates, and how many hidden units are distinct."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure

from jaxland.landscape import duplicate_units, first_rise
from jaxland.plots import new_figure, share_curves
from jaxland.replications.two_layer.config import TwoLayerConfig, ensemble_name
from jaxland.replications.two_layer.source import TARGETS, network
from jaxland.replications.two_layer.statements import ALIKE, LEAST, STATEMENTS
from jaxland.statistics import Estimate, bootstrap_interval, sample_interval, wilson_interval
from jaxland.store import StudyStore
from jaxland.studies import Analysis, Claim, Context, Findings, NoSettings

_EARLY = 50
"""Epochs: a rise later than this is sudden, for the loss has fallen until then."""
_FEWEST = 20
"""Rises from which on their median epoch is drawn."""


@dataclass(frozen=True)
class Cell:
    """The executions of one target, size and learning rate; W is how many."""

    target: str
    hidden: int
    rate: float
    rise: Int[np.ndarray, "W"]
    """The epoch, as far as losses are kept, at which the loss first rises; -1 if it never does."""
    overflow: Bool[np.ndarray, "W"]
    """Whether a loss was not finite."""
    loss: Float[np.ndarray, "W"]
    """The last; NaN after an overflow."""
    distinct: Int[np.ndarray, "W"]
    """Hidden units that are neither duplicates nor mirror images of an earlier one; 0 after an overflow."""

    @property
    def sudden(self) -> Bool[np.ndarray, "W"]:
        """Whether the loss fell at first, and rose later."""
        return self.rise > _EARLY

    @property
    def unstable(self) -> Bool[np.ndarray, "W"]:
        """Whether the loss rose at all."""
        return self.rise >= 0


Cells = dict[tuple[str, int, float], Cell]


def find(context: Context) -> Findings:
    """Streams the ensembles and counts."""
    found: Cells = {}
    for target in TARGETS:
        for hidden in context.config.hidden(target):
            found |= cells(context.config, context.store, target, hidden)
    if not found:
        return Findings({}, {}, [])
    table, figures = _table(found), _figures(context.config, found)
    return Findings({"instability.csv": table}, figures, _claims(context.config, found), captions=captions(table))


def cells(config: TwoLayerConfig, store: StudyStore, target: str, hidden: int) -> Cells:
    """The fits of one ensemble, by learning rate; none where none are stored."""
    rates = config.rates(target)
    parts = [
        _measure(config, hidden, shard.arrays)
        for shard in store.stream(ensemble_name(target, hidden), ["fit", "trace", "params", "loss"])
    ]
    if not parts:
        return {}
    # By execution, so that sizes and rates are paired.
    fit, *values = (np.concatenate(each) for each in zip(*parts, strict=True))
    order = np.argsort(fit, kind="stable")
    fit, *values = (each[order] for each in (fit, *values))
    return {
        (target, hidden, rate): Cell(target, hidden, rate, *(each[fit % len(rates) == index] for each in values))
        for index, rate in enumerate(rates)
        if (fit % len(rates) == index).any()
    }


def _measure(config: TwoLayerConfig, hidden: int, arrays: dict[str, np.ndarray]):
    trace = arrays["trace"].astype(np.float64)
    index = first_rise(trace)
    rise = np.where(index >= 0, index * config.trace_every, -1)
    overflow = ~(np.isfinite(trace).all(axis=1) & np.isfinite(arrays["params"]).all(axis=1))
    groups = duplicate_units(network(hidden), arrays["params"], tolerance=ALIKE, mirrored=True)
    distinct = (groups == np.arange(hidden - 1)).sum(axis=1)
    loss = np.where(overflow, np.nan, arrays["loss"].astype(np.float64))
    return arrays["fit"], rise, overflow, loss, np.where(overflow, 0, distinct)


def _share(flags: Bool[np.ndarray, "W"]) -> tuple[float, float, float]:
    return (float(flags.mean()), *wilson_interval(int(flags.sum()), len(flags)))


def _table(found: Cells) -> pd.DataFrame:
    return pd.DataFrame([_row(cell) for cell in found.values()])


def _row(cell: Cell) -> dict:
    row: dict = {"target": cell.target, "hidden": cell.hidden, "rate": cell.rate, "fits": len(cell.rise)}
    for name, flags in (("unstable", cell.unstable), ("sudden", cell.sudden), ("overflow", cell.overflow)):
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), _share(flags), strict=True))
    times = cell.rise[cell.sudden].astype(np.float64)
    row |= dict(zip(("time_q25", "time_median", "time_q75"), _quantiles(times), strict=True))
    distinct = cell.distinct[~cell.overflow].astype(np.float64)
    row |= {"units": cell.hidden - 1, "distinct_units": distinct.mean() if len(distinct) else np.nan}
    if len(distinct) > 1:
        row |= dict(zip(("distinct_low", "distinct_high"), sample_interval(distinct), strict=True))
    row |= dict(zip(("loss_q25", "loss_median", "loss_q75"), _quantiles(cell.loss[~cell.overflow]), strict=True))
    return row


def _quantiles(values: Float[np.ndarray, "_"]) -> list[float]:
    return np.quantile(values, (0.25, 0.5, 0.75)).tolist() if len(values) else [np.nan] * 3


def _figures(config: TwoLayerConfig, found: Cells) -> dict[str, Figure]:
    targets = [target for target in TARGETS if any(cell.target == target for cell in found.values())]
    return {f"instability-{target}": _figure(config, found, target) for target in targets}


def _figure(config: TwoLayerConfig, found: Cells, target: str) -> Figure:
    figure, axes = new_figure(3, height=2.6)
    rates = np.array(config.rates(target))
    sizes = [hidden for hidden in config.hidden(target) if any(key[:2] == (target, hidden) for key in found)]
    rows = {hidden: [found.get((target, hidden, rate)) for rate in config.rates(target)] for hidden in sizes}

    def draw(ax, quantity, ylabel, title):
        curves = {f"h = {hidden}": np.array([quantity(cell) for cell in cells]) for hidden, cells in rows.items()}
        share_curves(rates, curves, xlabel="learning rate", ylabel=ylabel, title=title, ax=ax)
        ax.get_legend().remove()

    draw(axes[0], _chance, "share of the fits", f"The loss rises after epoch {_EARLY}")
    draw(axes[1], _time, "epoch", f"When, where {_FEWEST} or more do")
    draw(axes[2], _mean_distinct, "hidden units", "Distinct units at the end")
    figure.suptitle(f"${target[0]}_{target[1]}$: shares and means with intervals; median and middle half of the epochs")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(sizes))
    return figure


_NOTHING = (np.nan, np.nan, np.nan)


def _chance(cell: Cell | None):
    return _NOTHING if cell is None else _share(cell.sudden)


def _time(cell: Cell | None):
    if cell is None or cell.sudden.sum() < _FEWEST:
        return _NOTHING
    low, middle, high = _quantiles(cell.rise[cell.sudden].astype(np.float64))
    return middle, low, high


def _mean_distinct(cell: Cell | None):
    if cell is None or (~cell.overflow).sum() < 2:
        return _NOTHING
    values = cell.distinct[~cell.overflow].astype(np.float64)
    return (values.mean(), *sample_interval(values))


def captions(table: pd.DataFrame) -> dict[str, str]:
    """A sentence for each figure, from `instability.csv`."""
    told = {}
    for target, cells in table.groupby("target", sort=False):
        most = cells.loc[cells["sudden"].idxmax()]
        told[f"instability-{target}"] = (
            f"{target}: how often the loss rises suddenly, when, and how many hidden units differ at the end, over the "
            f"learning rate; most often with h = {most['hidden']} at rate {most['rate']:g}, in {most['sudden']:.0%} of "
            f"{most['fits']:,} executions."
        )
    return told


def _claims(config: TwoLayerConfig, found: Cells) -> list[Claim]:
    one, eight = found.get(("f1", 3, 0.1)), found.get(("f1", 8, 0.1))
    made = [
        slower_with_size([found[key] for key in sorted(found) if key[0] == "f1" and key[2] == 0.1]),
        too_few_units(found),
        larger_is_better(best_medians(found)),
        smaller_rate_needed(eight, found.get(("f2", 8, 0.1))),
        _half_rate_stable(config, found.get(("f2", 8, 0.05))),
        varies(found.get(("f2", 8, 0.1))),
        sudden_for_both(found),
        *(duplicates(cell) for cell in (one, eight)),
    ]
    return [each for each in made if each is not None]


def _percent(flags: Bool[np.ndarray, "W"]) -> str:
    return _told(int(flags.sum()), len(flags))


def _told(count: int, of: int) -> str:
    """A share in percent, with a decimal where few cases are the exception, whose bounds are no whole percents."""
    exceptions = min(count, of - count)
    return format(Estimate.share(count, of), ".1%" if 0 < exceptions < _FEWEST else ".0%")


def _estimate(flags: Bool[np.ndarray, "W"]) -> Estimate:
    return Estimate.share(int(flags.sum()), len(flags))


def _named(cell: Cell) -> str:
    return f"{cell.target}, h = {cell.hidden}, rate {cell.rate:g}"


def sudden_for_both(found: Cells) -> Claim | None:
    """Chances of a sudden rise, at the rate where every other execution has it most often, in the rest of them."""
    rows = [[cell for cell in found.values() if cell.target == target] for target in TARGETS]
    if not all(rows):
        return None
    chosen = [max(row, key=lambda cell: cell.sudden[::2].mean()) for row in rows]
    judged = [cell.sudden[1::2] for cell in chosen]
    told = "; ".join(f"{_named(cell)}: {_percent(flags)}" for cell, flags in zip(chosen, judged, strict=True))
    return STATEMENTS["sudden-for-both"].claim(
        f"most often with {told}",
        [_estimate(flags) for flags in judged],
        cases=min(map(len, judged)),
        detail=f"the loss exceeds its smallest by a hundredth for the first time after epoch {_EARLY}, once or again "
        "and again; size and rate chosen on one half of the executions, judged on the other",
    )


def slower_with_size(cells: Sequence[Cell]) -> Claim | None:
    """Losses of one size over those of the next smaller one, in the same executions."""
    if len(cells) < 2:
        return None
    ratios = [_of_pairs(larger.loss, smaller.loss) for smaller, larger in pairwise(cells)]
    pairs = zip(pairwise(cells), ratios, strict=True)
    told = "; ".join(f"h = {two.hidden} over {one.hidden}: {ratio}" for (one, two), ratio in pairs)
    return STATEMENTS["slower-with-size"].claim(
        f"median ratio of the losses of {told}",
        ratios,
        cases=min(len(cell.loss) for cell in cells),
        detail="new executions, each with itself, after the same epochs",
    )


def _of_pairs(one: Float[np.ndarray, "W"], two: Float[np.ndarray, "W"]) -> Estimate:
    """The median ratio; what has overflowed is left out."""
    count = min(len(one), len(two))
    ratios = one[:count] / two[:count]
    return Estimate.quantile(ratios[np.isfinite(ratios)])


def duplicates(cell: Cell | None) -> Claim | None:
    """How often all hidden units are alike."""
    return cell and STATEMENTS["duplicates"].claim(
        f"{_percent(cell.distinct == 1)} of {len(cell.distinct):,} have one distinct unit; {cell.distinct.mean():.2f} "
        f"of {cell.hidden - 1} in the mean",
        _estimate(cell.distinct == 1),
        of=_named(cell),
        cases=len(cell.distinct),
        detail=f"new executions; incoming weights within {ALIKE:.0%}, opposite ones counted as equal",
    )


def too_few_units(found: Cells) -> Claim | None:
    """Losses of f2 with two hidden units over those with seven, each at the rate with the smallest median."""
    best = {hidden: _best_rate(found, hidden) for hidden in (3, 8)}
    small, large = best[3], best[8]
    if small is None or large is None:
        return None
    ratio = _of_pairs(small.loss, large.loss)
    return STATEMENTS["too-few-units"].claim(
        f"the median ratio is {ratio}, at rates {small.rate:g} and {large.rate:g}",
        ratio,
        cases=min(len(small.loss), len(large.loss)),
        detail="new executions, each with itself; the rates with the smallest median loss",
    )


class Best(NamedTuple):
    """The executions of a size at the rate where its median loss is smallest."""

    rate: float
    median: Estimate
    cases: int


def best_medians(found: Cells) -> dict[int, Best]:
    """Of f2, by size."""
    best = {hidden: _best_rate(found, hidden) for hidden in (3, 6, 8)}
    return {
        hidden: Best(cell.rate, Estimate.quantile(cell.loss), len(cell.loss))
        for hidden, cell in best.items()
        if cell is not None
    }


def larger_is_better(best: Mapping[int, Best]) -> Claim | None:
    """Figure 6 in new executions: median losses of f2 by size."""
    if not {3, 6, 8} <= set(best):
        return None
    three, six, eight = (best[hidden] for hidden in (3, 6, 8))
    ratios = [_of_medians(six.median, three.median), _of_medians(eight.median, six.median)]
    told = ", ".join(f"h = {hidden}: {best[hidden].median.value:.4g}" for hidden in (3, 6, 8))
    rates = ", ".join(f"{best[hidden].rate:g}" for hidden in (3, 6, 8))
    measured = f"{told}; h = 6 has {ratios[0]:.2f} of h = 3, h = 8 has {ratios[1]:.2f} of h = 6"
    cases = min(each.cases for each in best.values())
    statement, of = STATEMENTS["larger-is-better"], "new executions"
    detail = f"median losses at the end, at the rates with the smallest, {rates}; ratios with those of both intervals"
    if cases < LEAST:
        return statement.not_tested(f"judged from {LEAST} executions on", of=of, measured=measured, detail=detail)
    return statement.claim(measured, ratios, of=of, cases=cases, detail=detail)


def _of_medians(one: Estimate, other: Estimate) -> Estimate:
    return Estimate(one.value / other.value, one.low / other.high, one.high / other.low)


def _best_rate(found: Cells, hidden: int) -> Cell | None:
    own = [cell for key, cell in found.items() if key[:2] == ("f2", hidden) and np.isfinite(cell.loss).all()]
    return min(own, key=lambda cell: np.median(cell.loss), default=None)


def smaller_rate_needed(first: Cell | None, second: Cell | None) -> Claim | None:
    """Rises of the loss at one rate, for both functions."""
    if first is None or second is None:
        return None
    return STATEMENTS["smaller-rate-needed"].claim(
        "the loss rises in " + ", ".join(f"{_named(cell)} {_percent(cell.unstable)}" for cell in (first, second)),
        [_estimate(cell.unstable) for cell in (first, second)],
        cases=min(len(first.rise), len(second.rise)),
        detail="new executions",
    )


def _half_rate_stable(config: TwoLayerConfig, cell: Cell | None) -> Claim | None:
    return cell and half_rate_stable(config, int(cell.unstable.sum()), len(cell.rise))


def half_rate_stable(config: TwoLayerConfig, rises: int, executions: int) -> Claim:
    """Rises of the loss at half the rate."""
    return STATEMENTS["half-rate-stable"].claim(
        f"the loss rises in {_told(rises, executions)} of {executions:,}, within {config.epochs:,} epochs",
        Estimate.share(rises, executions),
        cases=executions,
        detail="new executions; a loss rises when it exceeds its smallest so far by a hundredth, looked at every "
        f"{config.trace_every} epochs; the document's own runs at this rate are in runs.csv, whose first_rise is -1 "
        "for never",
    )


def varies(cell: Cell | None) -> Claim | None:
    """Quartiles of the loss over executions."""
    if cell is None or np.isfinite(cell.loss).sum() < 2:
        return None
    loss = cell.loss[np.isfinite(cell.loss)]
    found = bootstrap_interval(
        loss, lambda rows: np.divide(*np.quantile(rows, (0.75, 0.25))), seed=0, method="percentile", resamples=2000
    )
    low, high = np.quantile(loss, (0.25, 0.75))
    return STATEMENTS["varies"].claim(
        f"quartiles of the loss {low:.2f} and {high:.2f}, a factor of {Estimate(found.value, found.low, found.high)}",
        Estimate(found.value, found.low, found.high),
        of=_named(cell),
        cases=len(loss),
        detail="new executions; the bootstrap",
    )


ANALYSIS = Analysis(
    quick=NoSettings(),
    paper=NoSettings(),
    find=find,
)
