"""What the losses become over the levels of what fits differ in."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from jaxland.plots import factor_curves, new_figure
from jaxland.store import StudyStore
from jaxland.studies.analysis import Analysis
from jaxland.studies.context import Context, Findings
from jaxland.studies.tables import arrow_parts, joined

_DRAWN = 6  # factors; the table has all
_CURVES = 6  # levels, each of which may be a curve of its own
_LEVELS = 40  # beyond which numbers are taken together, as many of them in each of
_BINS = 20
_ROWS = 10_000
# What tells starts apart, over which losses are distributed.
_STARTS = "seed"


def find(context: Context) -> Findings:
    """Quantiles of the losses for each combination of levels, and a picture of them for each factor."""
    named = _factors(context)
    table = _table(context.store, named) if named else pd.DataFrame()
    factors = [name for name in named if _count(table, name) > 1]
    if not factors:
        return Findings({}, {}, [])
    value = "best_validation" if "best_validation" in table else "loss"
    summary = _summary(table, factors, value)
    notes = [] if len(summary) <= _ROWS else [f"factors.csv has the first {_ROWS:,} of {len(summary):,} combinations."]
    figures, captions = {}, {}
    if np.isfinite(table[value]).any():
        figures["factors"] = _figure(table, factors[:_DRAWN], value)
        captions["factors"] = _told(summary, factors, value)
    return Findings({"factors.csv": summary.head(_ROWS)}, figures, [], notes=notes, captions=captions)


def _factors(context: Context) -> list[str]:
    """Names of what fits may differ in, in the order in which ensembles have them."""
    few = np.arange(1)
    owned = [name for each in context.ensembles.values() for name in each.own_columns(few + each.first)]
    return [name for name in dict.fromkeys(owned) if name != _STARTS]


def _table(store: StudyStore, factors: Sequence[str]) -> pd.DataFrame:
    """Factors and losses of all fits, infinite where a fit diverged."""
    wanted = ("ensemble", "diverged_step", "loss", "best_validation", *factors)
    parts = [part.select([name for name in wanted if name in part.column_names]) for part in arrow_parts(store)]
    table = joined(parts)
    for name in ("loss", "best_validation"):
        if name in table:
            table[name] = np.where(table["diverged_step"] < 0, table[name], np.inf)
    return table.assign(**{name: None for name in factors if name not in table})


def _summary(table: pd.DataFrame, factors: Sequence[str], value: str) -> pd.DataFrame:
    """One row a combination of levels, the best first."""
    grouped = table.groupby(list(factors), dropna=False, observed=True, sort=False)
    counts = grouped.agg(fits=(value, "size"), diverged=("diverged_step", lambda steps: int((steps >= 0).sum())))
    levels = {"q25": 0.25, "median": 0.5, "q75": 0.75}
    # Values of fits, not between two, one of which may be infinite.
    quantiles = {
        f"{value}_{name}": grouped[value].quantile(share, interpolation="lower") for name, share in levels.items()
    }
    found = counts.assign(**quantiles).replace(np.inf, np.nan).reset_index()
    return found.sort_values(f"{value}_median", kind="stable", ignore_index=True)


def _told(summary: pd.DataFrame, factors: Sequence[str], value: str) -> str:
    best = summary.iloc[0]
    there = {name: best[name] for name in factors if not pd.isna(best[name])}
    at = ", ".join(f"{name} {each:.3g}" if _is_number(each) else f"{name} {each}" for name, each in there.items())
    what, median = value.replace("_", " "), best[f"{value}_median"]
    shown = f"The {what} over each factor, median and middle half of the fits at its levels, whatever the others are."
    if np.isnan(median):
        return f"{shown} Of none of {len(summary):,} combinations has half of the fits a finite one."
    return (
        f"{shown} The lowest median of {len(summary):,} combinations, {median:.3g}, is that of {at} "
        f"({best['fits']:,} fits)."
    )


def _is_number(value: object) -> bool:
    return isinstance(value, float | int | np.number) and not isinstance(value, bool | np.bool_)


def _figure(table: pd.DataFrame, factors: Sequence[str], value: str) -> Figure:
    columns = 2 if len(factors) in (2, 4) else min(len(factors), 3)
    figure, axes = new_figure(columns, rows=-(-len(factors) // columns))
    for ax in axes[len(factors) :]:
        ax.remove()
    # What is no number, such as an optimizer, before what is.
    few = {name: _count(table, name) for name in factors if _count(table, name) <= _CURVES}
    few = dict(sorted(few.items(), key=lambda each: (table[each[0]].dtype.kind in "iuf", each[1])))
    for ax, name in zip(axes, factors, strict=False):
        shown = table.dropna(subset=[name]).assign(**{name: lambda rows, of=name: _binned(rows[of])})
        others = [other for other in few if other != name and _count(shown, other) > 1]
        others = [other for other in others if not np.any(pd.isna(shown[other]))]
        losses = shown[value].to_numpy(np.float64)
        scale = "log" if (losses > 0).all() else "linear"
        label = value.replace("_", " ")
        factor_curves(
            shown, name, value=value, by=others[0] if others else None, ylabel=label, yscale=scale, title="", ax=ax
        )
    return figure


def _count(table: pd.DataFrame, name: str) -> int:
    """How many levels a factor has."""
    return len(table[name].dropna().unique())


def _binned(values: pd.Series) -> pd.Series:
    """Numbers as they are, or, where there are too many, each as the median of those that are taken together."""
    if len(values.unique()) <= _LEVELS or values.dtype.kind not in "iuf":
        return values
    bins = pd.qcut(values, _BINS, labels=False, duplicates="drop")
    return values.groupby(bins).transform("median")


ANALYSIS = Analysis(find)
