"""The ensembles: chance and time of instability over learning rates, and how many hidden units are distinct."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure

from jaxland.landscape import duplicate_units, first_rise
from jaxland.plots import new_figure, share_curves
from jaxland.replications.two_layer.config import TwoLayerConfig, ensemble_name
from jaxland.replications.two_layer.source import TARGETS, network
from jaxland.statistics import sample_interval, wilson_interval
from jaxland.store import StudyStore
from jaxland.studies import (
    Above,
    All,
    Analysis,
    Below,
    Claim,
    Context,
    Each,
    Findings,
    NoSettings,
    Ordered,
    claim,
    judged_unless,
)

_EARLY = 50
"""Epochs: a rise later than this is sudden, for the loss has fallen until then."""
_ALIKE = 0.1
"""Largest relative difference of the incoming weights of duplicates."""
_LEAST = 10
"""Executions of a size and rate from which claims are judged."""


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
    return Findings({"instability.csv": _table(found)}, _figures(context.config, found), _claims(found))


def cells(config: TwoLayerConfig, store: StudyStore, target: str, hidden: int) -> Cells:
    """The fits of one ensemble, by learning rate; none where none are stored."""
    rates = config.rates(target)
    parts = [
        _measure(config, hidden, shard.arrays)
        for shard in store.stream(ensemble_name(target, hidden), ["fit", "trace", "params", "loss"])
    ]
    if not parts:
        return {}
    fit, *values = (np.concatenate(each) for each in zip(*parts, strict=True))
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
    groups = duplicate_units(network(hidden), arrays["params"], tolerance=_ALIKE, mirrored=True)
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
    figure, axes = new_figure(3, width=4.6, height=3.6)
    rates = np.array(config.rates(target))
    sizes = [hidden for hidden in config.hidden(target) if any(key[:2] == (target, hidden) for key in found)]
    rows = {hidden: [found.get((target, hidden, rate)) for rate in config.rates(target)] for hidden in sizes}
    name = f"${target[0]}_{target[1]}$"

    def draw(ax, quantity, ylabel, title):
        curves = {f"h = {hidden}": np.array([quantity(cell) for cell in cells]) for hidden, cells in rows.items()}
        share_curves(rates, curves, xlabel="learning rate", ylabel=ylabel, title=title, ax=ax)

    draw(axes[0], _chance, "share of the fits", f"{name}: chance that the loss rises after epoch {_EARLY}")
    draw(axes[1], _time, "epoch", f"{name}: median and middle half of its epochs")
    draw(axes[2], _mean_distinct, "hidden units", f"{name}: distinct hidden units at the end")
    return figure


_NOTHING = (np.nan, np.nan, np.nan)


def _chance(cell: Cell | None):
    return _NOTHING if cell is None else _share(cell.sudden)


def _time(cell: Cell | None):
    if cell is None or not cell.sudden.any():
        return _NOTHING
    low, middle, high = _quantiles(cell.rise[cell.sudden].astype(np.float64))
    return middle, low, high


def _mean_distinct(cell: Cell | None):
    if cell is None or (~cell.overflow).sum() < 2:
        return _NOTHING
    values = cell.distinct[~cell.overflow].astype(np.float64)
    return (values.mean(), *sample_interval(values))


def _claims(found: Cells) -> list[Claim]:
    made = [
        _sudden_for_both(found),
        _overflow_at(found.get(("f1", 3, 5.0))),
        _slower_with_size(found),
        _duplicates(found.get(("f1", 3, 0.1))),
        _duplicates(found.get(("f1", 8, 0.1))),
        _too_few_units(found),
        _smaller_rate_needed(found),
        _stable_at_half(found.get(("f2", 8, 0.1)), found.get(("f2", 8, 0.05))),
        _varies(found.get(("f2", 8, 0.1))),
    ]
    fewest = min((len(cell.rise) for cell in found.values()), default=0)
    reason = "" if fewest >= _LEAST else f"claims are judged from {_LEAST} executions of each size and rate"
    return judged_unless(reason, [each for each in made if each is not None])


def _percent(flags: Bool[np.ndarray, "W"]) -> str:
    share, low, high = _share(flags)
    return f"{share:.0%} ({low:.0%} to {high:.0%})"


def _named(cell: Cell) -> str:
    return f"{cell.target}, h = {cell.hidden}, rate {cell.rate:g}"


def _sudden_for_both(found: Cells) -> Claim | None:
    rows = [[cell for cell in found.values() if cell.target == target] for target in TARGETS]
    if not all(rows):
        return None
    shown = [max(row, key=lambda cell: cell.sudden.mean()) for row in rows]
    texts = [
        f"{_named(cell)}: {_percent(cell.sudden)} of {len(cell.rise):,}, epoch {np.median(cell.rise[cell.sudden]):.0f}"
        for cell in shown
        if cell.sudden.any()
    ]
    return claim(
        "conclusion 3",
        "for both targets some rates are stable at first, and then training suddenly begins to oscillate",
        "both targets",
        f"most often with {'; '.join(texts)} (median)",
        [_share(cell.sudden)[1] for cell in shown],
        Each(Above(0.05, "%")),
        f"new executions; the loss exceeds its smallest by a hundredth for the first time after epoch {_EARLY}; for "
        "each target the beginning of the interval of that chance, where it is largest on the grid",
    )


def _overflow_at(cell: Cell | None) -> Claim | None:
    return cell and claim(
        "section 4.1",
        f"{_named(cell)}: overflow, with new data and weights too",
        "overflow error",
        f"{_percent(cell.overflow)} of {len(cell.rise):,}",
        cell.overflow.mean(),
        Above(0.5, "%"),
        "a loss is not finite",
    )


def _slower_with_size(found: Cells) -> Claim | None:
    row = {key[1]: cell for key, cell in found.items() if key[0] == "f1" and key[2] == 0.1}
    if len(row) < 2:
        return None
    medians = {hidden: _quantiles(row[hidden].loss)[1] for hidden in sorted(row)}
    fewest = min(len(cell.rise) for cell in row.values())
    return claim(
        "section 4.1, conclusion 5a",
        "f1, rate 0.1: with more hidden units more iterations are needed for the same results",
        "larger errors for larger h",
        "median loss " + ", ".join(f"{loss:.4f} for h = {hidden}" for hidden, loss in medians.items()),
        medians.values(),
        Ordered(tuple(f"h = {hidden}" for hidden in medians)),
        f"new executions, {fewest:,} of each size",
    )


def _duplicates(cell: Cell | None) -> Claim | None:
    if cell is None:
        return None
    alike = cell.distinct == 1
    return claim(
        "conclusion 5a",
        f"{_named(cell)}: all hidden units learn the same thing, with new data and weights too",
        "all",
        f"{_percent(alike)} of {len(alike):,} have one distinct unit; {cell.distinct.mean():.2f} of {cell.hidden - 1} "
        "in the mean",
        alike.mean(),
        Above(0.5, "%"),
        f"incoming weights within {_ALIKE:.0%}, opposite ones counted as equal",
    )


def _too_few_units(found: Cells) -> Claim | None:
    best = {}
    for (target, hidden, _), cell in found.items():
        if target == "f2" and np.isfinite(cell.loss).any():
            best[hidden] = min(best.get(hidden, np.inf), float(np.nanmin(cell.loss)))
    if 3 not in best or 8 not in best:
        return None
    fits = sum(len(cell.rise) for key, cell in found.items() if key[:2] == ("f2", 3))
    shown = ", ".join(f"{best[each]:.3f} for h = {each}" for each in sorted(best))
    return claim(
        "section 4.2, conclusion 5b",
        "f2: the complexity that 3 hidden units give is too low, 8 give much better results",
        "underfitting",
        f"smallest loss of any execution and rate {shown}",
        best[3] / best[8],
        Above(10, "times the best with h = 8"),
        f"{fits:,} fits with h = 3",
    )


def _smaller_rate_needed(found: Cells) -> Claim | None:
    pairs = [(("f1", 3, 0.1), ("f2", 6, 0.1)), (("f1", 8, 0.1), ("f2", 8, 0.1))]
    cells = [(found[one], found[two]) for one, two in pairs if one in found and two in found]
    if not cells:
        return None
    texts = [f"{_named(cell)} {_percent(cell.unstable)}" for pair in cells for cell in pair]
    return claim(
        "section 4.2",
        "a rate of 0.1 gives stable learning of f1, and is too large for f2",
        "unstable for f2",
        f"the loss rises in {', '.join(texts)}",
        [(_share(one.unstable)[2], _share(two.unstable)[1]) for one, two in cells],
        Each(Ordered(("the end of the interval of f1", "the beginning of that of f2"))),
        "new executions, 1,200 epochs unless configured otherwise",
    )


def _stable_at_half(fast: Cell | None, slow: Cell | None) -> Claim | None:
    if fast is None or slow is None:
        return None
    return claim(
        "section 4.2",
        "f2, h = 8: half the rate, 0.05, is stable",
        "stable",
        f"the loss rises in {_percent(slow.unstable)} of {len(slow.rise):,}, at 0.1 in {_percent(fast.unstable)}",
        ((_share(slow.unstable)[2], _share(fast.unstable)[1]), slow.unstable.mean()),
        All({"the intervals lie apart,": Ordered(("0.05", "0.1")), "the chance at 0.05 is": Below(0.5, "%")}),
        "new executions",
    )


def _varies(cell: Cell | None) -> Claim | None:
    if cell is None or np.isfinite(cell.loss).sum() < 2:
        return None
    low, high = np.nanquantile(cell.loss, (0.05, 0.95))
    return claim(
        "figure 8, conclusion 6",
        f"{_named(cell)}: results vary a lot from one execution to another",
        "a lot",
        f"losses from {low:.2f} to {high:.2f} (5 % to 95 %), a factor of {high / low:.1f}",
        high / low,
        Above(2),
        f"{len(cell.loss):,} new executions",
    )


ANALYSIS = Analysis(
    quick=NoSettings(),
    paper=NoSettings(),
    find=find,
)
