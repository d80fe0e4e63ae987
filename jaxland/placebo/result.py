"""What a placebo test found."""

import html
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float

from jaxland._names import lookup
from jaxland._short import in_short
from jaxland.placebo.design import Design
from jaxland.placebo.labels import distinct_labellings
from jaxland.placebo.measures import STATISTICS, Measures, Statistic, by_start, middle
from jaxland.statistics import (
    PermutationPValue,
    permutation_p_value,
    permutations_to_decide,
    permutations_to_measure,
    permutations_to_resolve,
)

if TYPE_CHECKING:
    import pandas as pd

_LEVELS = (0.05, 0.01, 0.001)
_RELATIVE_ERROR = 0.1


class Tested(NamedTuple):
    """One statistic of the real labels among those of the placebos.

    Attributes:
        statistic: which.
        real: of the real labels: the median over their starts.
        null: the same of each placebo; infinite where fits diverged.
        p_value: the share of placebos at least as good, with the real labels among them.
        real_by_start: of each real fit.
        p_value_by_start: each real fit among the placebos of its own start. Every one is a p-value; their smallest is
            none.
    """

    statistic: Statistic
    real: float
    null: Float[np.ndarray, "M"]
    p_value: PermutationPValue
    real_by_start: Float[np.ndarray, "R"]
    p_value_by_start: tuple[PermutationPValue, ...]

    __repr__ = in_short


@dataclass(frozen=True, eq=False)
class PlaceboResult:
    """The outcome of a placebo test.

    Attributes:
        statistic: name of the one that was chosen beforehand.
        measures: of every fit.
        held_out: whether points were held out.
        steps: optimizer steps of each fit.
        distinct: how many different labellings there are.
        explanation: which backend trained the fits, and why.
    """

    statistic: str
    measures: Measures
    held_out: bool
    steps: int
    distinct: float
    explanation: str

    def __repr__(self) -> str:
        p = self.p_value
        return (
            f"PlaceboResult(p = {p.value:.3g} ({p.low:.3g} to {p.high:.3g}) by {self.statistic}; {self.permutations:,} "
            f"placebos, {self.fits:,} fits of {self.steps:,} steps)"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.overview.to_html(border=0)}"

    @cached_property
    def tested(self) -> Tested:
        """The statistic chosen, tested."""
        return self.test(self.statistic)

    @property
    def p_value(self) -> PermutationPValue:
        """Of the statistic chosen."""
        return self.tested.p_value

    def test(self, statistic: str) -> Tested:
        """Any statistic, tested. To look at several and take the best is no test: choose one beforehand.

        Raises:
            ValueError: it is unknown, or needs points held out where there are none.
        """
        chosen = choose_statistic(statistic, self.held_out)
        values, each = middle(chosen, self.measures), by_start(chosen, self.measures)
        return Tested(
            statistic=chosen,
            real=float(values[0]),
            null=values[1:],
            p_value=permutation_p_value(float(values[0]), values[1:], alternative=chosen.alternative),
            real_by_start=each[0],
            p_value_by_start=tuple(
                permutation_p_value(float(column[0]), column[1:], alternative=chosen.alternative) for column in each.T
            ),
        )

    @property
    def fits(self) -> int:
        """How many fits were trained."""
        return self.measures.training_loss.size

    @property
    def permutations(self) -> int:
        """M, how many placebos."""
        return len(self.measures.training_loss) - 1

    @property
    def statistics(self) -> tuple[str, ...]:
        """Names of the statistics that can be tested here."""
        return tuple(name for name, each in STATISTICS.items() if self.held_out or not each.held_out)

    @cached_property
    def table(self) -> "pd.DataFrame":
        """One row a fit: its labelling (0 is the real one), its start, and what was measured."""
        import pandas as pd

        labelling, start = np.indices(self.measures.training_loss.shape)
        columns = {"labelling": labelling.ravel(), "start": start.ravel()}
        columns["labels"] = np.where(columns["labelling"] == 0, "real", "placebo")
        return pd.DataFrame({**columns, **{name: each.ravel() for name, each in self.measures._asdict().items()}})

    @cached_property
    def overview(self) -> "pd.DataFrame":
        """One row a statistic: real value, placebos, p-value and its interval."""
        import pandas as pd

        return pd.DataFrame([_row(self.test(name), name == self.statistic) for name in self.statistics])

    @property
    def summary(self) -> str:
        """The result in a few lines."""
        return "\n".join([*_what_was_done(self), *_what_was_found(self.tested), *_what_it_would_take(self)])


def results_of(design: Design, statistic: str, measures: Measures, explanation: str) -> list[PlaceboResult]:
    """The outcome for each problem of a design."""
    permuted = design.labels == "permuted"
    return [
        PlaceboResult(
            statistic=statistic,
            measures=Measures(*(each[index] for each in measures)),
            held_out=bool(design.held_out),
            steps=design.steps,
            distinct=distinct_labellings(problem.y, design.groups) if permuted else np.inf,
            explanation=explanation,
        )
        for index, problem in enumerate(design.problems)
    ]


def choose_statistic(name: str | None, held_out: bool) -> Statistic:
    """The statistic with this name; by default the held-out loss, or the training loss where nothing is held out.

    Raises:
        ValueError: it is unknown, or needs points held out where there are none.
    """
    name = name or ("validation_loss" if held_out else "training_loss")
    chosen = lookup("statistic", name, STATISTICS)
    if chosen.held_out and not held_out:
        raise ValueError(f"statistic {name!r} needs points held out, and there are none.")
    return chosen


def _row(tested: Tested, chosen: bool) -> dict:
    low, median, high = np.quantile(tested.null, (0.05, 0.5, 0.95), method="nearest")
    p = tested.p_value
    return {
        "statistic": tested.statistic.name,
        "chosen": chosen,
        "real": tested.real,
        "placebo_q5": low,
        "placebo_median": median,
        "placebo_q95": high,
        "p_value": p.value,
        "p_low": p.low,
        "p_high": p.high,
        "exceedances": p.exceedances,
        "permutations": p.permutations,
    }


def _what_was_done(result: PlaceboResult) -> list[str]:
    starts = result.measures.training_loss.shape[1]
    each = "1 fit" if starts == 1 else f"{starts} fits"
    diverged = int(result.measures.diverged.sum())
    return [
        f"{result.permutations:,} placebos and the real labels, {each} of each: {result.fits:,} fits of "
        f"{result.steps:,} steps, {diverged:,} diverged"
    ]


def _what_was_found(tested: Tested) -> list[str]:
    p, row = tested.p_value, _row(tested, True)
    lines = [
        f"{tested.statistic.label}: {tested.real:.4g}; placebos {row['placebo_median']:.4g}, nine in ten between "
        f"{row['placebo_q5']:.4g} and {row['placebo_q95']:.4g}",
        f"p = {p.value:.4g}: {p.exceedances:,} of {p.permutations:,} placebos are as good; all permutations would give "
        f"{p.low:.2g} to {p.high:.2g} (95 %)",
    ]
    if len(tested.p_value_by_start) > 1:
        values = sorted(each.value for each in tested.p_value_by_start)
        lines.append(f"each start by itself: p = {', '.join(f'{value:.3g}' for value in values)}")
    return lines


def _what_it_would_take(result: PlaceboResult) -> list[str]:
    p, distinct = result.p_value, result.distinct
    resolved, share = 1 / (p.permutations + 1), p.exceedances / p.permutations
    lines = [f"{p.permutations:,} permutations tell p-values down to {resolved:.2g}"]
    if 0 < share < 1:
        needed = permutations_to_measure(share, _RELATIVE_ERROR)
        lines[-1] += f"; to know one of {share:.2g} to {_RELATIVE_ERROR:.0%} takes {needed:,}"
    finer = [level for level in _LEVELS if level < resolved]
    if finer:
        lines.append(f"to reach p = {finer[0]:g} at all takes {permutations_to_resolve(finer[0]):,}")
    lines += [_decision(share, level) for level in _LEVELS if p.low < level < p.high]
    if distinct < 10 * p.permutations:
        lines.append(f"the labels can be arranged in only {distinct:,.0f} ways: no p-value is below {1 / distinct:.2g}")
    return lines


def _decision(share: float, level: float) -> str:
    needed = permutations_to_decide(share, level)
    if needed is None:
        return f"no number of permutations would tell it from {level:g}"
    still = ", if still no placebo is as good," if share == 0 else ""
    return f"to tell it from {level:g}{still} takes about {needed:,}"
