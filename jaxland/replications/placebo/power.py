"""Placebo tests of noise and of signal: uniform p-values where there is nothing, power where there is something."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

from jaxland.placebo import Design, PlaceboResult, draw_tested, placebo_test, placebo_tests
from jaxland.plots import new_figure, p_value_distributions
from jaxland.replications.placebo.comparable import share_text
from jaxland.replications.placebo.data import linear_p_value
from jaxland.replications.placebo.drawing import Curve, power_curves
from jaxland.statistics import (
    permutations_to_decide,
    permutations_to_measure,
    permutations_to_resolve,
    wilson_interval,
)
from jaxland.studies import Analysis, Claim, Context, Findings, measurement

STATISTICS = {"validation_loss": "loss on the points held out", "training_loss": "training loss"}
LEVEL = 0.05
_LINEAR = "linear model (F-test)"
_SMALL = 0.001


@dataclass(frozen=True)
class PowerSettings:
    """Scale of the tests."""

    repeats: int = 120
    """Sets of noise that are tested."""
    problems: int = 30
    """Data sets that are tested at each share of signal."""
    shares: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2)
    """What the inputs explain of the labels' variance."""
    permutations: int = 19
    """Placebos of each test: the fewest with which a test at level 0.05 is exact."""
    one_test: int = 499
    """Placebos of the one test that is drawn, of data set 0 with a clear signal."""
    clear: float = 0.5
    """Its share of signal."""
    steps: int = 0
    """Epochs of each fit; 0 for those of the study."""

    def trains(self, config: Any) -> tuple[int, int]:
        """Fits that the tests train, each data set's own and its placebos, and steps of each: for `--dry-run`."""
        sets = self.repeats + len(self.shares) * self.problems
        return sets * (1 + self.permutations) + 1 + self.one_test, self.steps or config.steps


def find(context: Context) -> Findings:
    """Tests noise, signal, and one data set at length; finished parts of each are kept."""
    settings: PowerSettings = context.settings
    noise, spread = _tests(context, 0.0, settings.repeats)
    powers = {0.0: noise} | {share: _tests(context, share, settings.problems)[0] for share in settings.shares}
    one = _one_test(context)
    tables = {
        "p-values.csv": _p_values_table(powers),
        "power.csv": _power_table(powers),
        "one-test.csv": one.overview,
        "permutations.csv": permutations_table(),
    }
    claims = [_uniform(name, spread[name]) for name in STATISTICS]
    claims += [_small(one, settings), _power(powers, settings)]
    return Findings(tables, _figures(powers, spread, one), claims, captions=_captions(powers, spread, one))


def _tests(context: Context, share: float, count: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """p-values of `count` data sets, and the same with ties broken at random."""
    config, settings = context.config, context.settings
    context.say(f"  {count} tests with {settings.permutations} placebos, {share:.0%} signal")
    design = Design(
        network=config.network,
        problems=tuple(config.problem(number, share) for number in range(count)),
        held_out=tuple(config.problem(number, share, fresh=True) for number in range(count)),
        optimizer=config.optimizer,
        steps=settings.steps or config.steps,
        permutations=settings.permutations,
        seed=config.seed,
        dtype=config.dtype,
    )
    results = placebo_tests(design, threads=context.threads, folder=_folder(context, f"share-{share:g}"))
    uniform = np.random.default_rng([config.seed, 1]).random(count)
    values, spread = {}, {}
    for name in STATISTICS:
        found = [result.test(name).p_value for result in results]
        values[name] = np.array([each.value for each in found])
        spread[name] = np.array([each.randomised(float(u)) for each, u in zip(found, uniform, strict=True)])
    values[_LINEAR] = np.array([linear_p_value(*config.data(number, share)) for number in range(count)])
    return values, {**spread, _LINEAR: values[_LINEAR]}


def _one_test(context: Context) -> PlaceboResult:
    config, settings = context.config, context.settings
    context.say(f"  one test with {settings.one_test} placebos, {settings.clear:.0%} signal")
    return placebo_test(
        config.network,
        config.problem(0, settings.clear),
        config.optimizer,
        steps=settings.steps or config.steps,
        held_out=config.problem(0, settings.clear, fresh=True),
        permutations=settings.one_test,
        seed=config.seed,
        dtype=config.dtype,
        threads=context.threads,
        folder=_folder(context, "one-test"),
    )


def _folder(context: Context, test: str) -> Path:
    return context.parts.folder / test


def permutations_table(levels: tuple[float, ...] = (0.05, 0.01, 0.001)) -> pd.DataFrame:
    """How many placebos each level takes: to reach it, to know a p-value of that size, to be sure to lie below it."""
    rows = [
        {
            "level": level,
            "to_reach_it": permutations_to_resolve(level),
            "to_know_it_to_10_percent": permutations_to_measure(level, 0.1),
            "to_lie_surely_below_if_no_placebo_is_as_good": permutations_to_decide(0.0, level),
            "to_lie_surely_below_if_p_is_half_of_it": permutations_to_decide(level / 2, level),
        }
        for level in levels
    ]
    return pd.DataFrame(rows)


def _p_values_table(powers: dict[float, dict[str, np.ndarray]]) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"share": share, "data_set": np.arange(len(each[_LINEAR])), **each})
        for share, each in powers.items()
    ]
    return pd.concat(frames, ignore_index=True)


def _power_table(powers: dict[float, dict[str, np.ndarray]]) -> pd.DataFrame:
    rows = []
    for share, each in powers.items():
        for name, values in each.items():
            power, low, high = _power_of(values)
            row = {"share": share, "test": name, "tests": len(values)}
            rows.append({**row, "power": power, "power_low": low, "power_high": high})
    return pd.DataFrame(rows)


def _power_of(p_values: Float[np.ndarray, "_"]) -> tuple[float, float, float]:
    """Share of tests that reject, with Wilson's interval."""
    rejected = int((p_values <= LEVEL + 1e-9).sum())
    return rejected / len(p_values), *wilson_interval(rejected, len(p_values))


def _figures(powers, spread: dict[str, Float[np.ndarray, "_"]], one: PlaceboResult):
    labels = {**{name: f"placebo test: {label}" for name, label in STATISTICS.items()}, _LINEAR: _LINEAR}
    figure, axes = new_figure(2, height=3.0)
    title = f"p-values of {len(spread[_LINEAR]):,} sets of noise"
    p_value_distributions({label: spread[name] for name, label in labels.items()}, title=title, ax=axes[0])
    curves = {
        label: Curve(*np.array([_power_of(each[name]) for each in powers.values()]).T) for name, label in labels.items()
    }
    power_curves(
        np.array(list(powers)), curves, level=LEVEL, xlabel="share of the labels' variance that the inputs explain",
        title="How often a test at level 0.05 finds it", ax=axes[1],
    )  # fmt: skip
    figures = {"placebo-tests-calibration-and-power": figure}
    figure, axes = new_figure(2)
    for ax, (name, label) in zip(axes, STATISTICS.items(), strict=True):
        draw_tested(one.test(name), label, ax)
    return figures | {"placebo-test-of-one-data-set": figure}


def _uniform(name: str, values: Float[np.ndarray, "_"]) -> Claim:
    found = stats.kstest(values, "uniform")
    rejected = int((values <= LEVEL).sum())
    return measurement(
        f"p-values by the {STATISTICS[name]}, where labels are noise: they should be uniform",
        f"Kolmogorov-Smirnov distance {found.statistic:.3f}, p = {found.pvalue:.2g}; below {LEVEL}: "
        f"{share_text(rejected, len(values))}",
        detail=f"{len(values):,} sets of noise, ties broken at random",
    )


def _small(one: PlaceboResult, settings: PowerSettings) -> Claim:
    found = {name: one.test(name).p_value for name in STATISTICS}
    return measurement(
        f"p-values where labels are explained to {settings.clear:.0%}",
        "; ".join(f"{STATISTICS[name]}: p = {p.value:.2g} ({p.low:.1g} to {p.high:.2g})" for name, p in found.items()),
        detail=f"data set 0, {one.permutations:,} placebos; with M of them no p-value is below 1 / (M + 1): level "
        f"{LEVEL:g} takes {permutations_to_resolve(LEVEL)}, {_SMALL:g} takes {permutations_to_resolve(_SMALL)}; to lie "
        f"surely below {LEVEL:g} takes {permutations_to_decide(0.0, LEVEL)} if no placebo is as good "
        f"(permutations.csv)",
    )


def _power(powers: dict[float, dict[str, np.ndarray]], settings: PowerSettings) -> Claim:
    shares = sorted(settings.shares)
    found = {name: [_power_of(powers[share][name]) for share in shares] for name in STATISTICS}
    listed = {
        name: ", ".join(f"{power:.0%} at {share:g}" for share, (power, *_) in zip(shares, each, strict=True))
        for name, each in found.items()
    }
    return measurement(
        "how often a test at level 0.05 finds what there is, by the share of the labels' variance",
        "; ".join(f"{STATISTICS[name]}: {text}" for name, text in listed.items()),
        detail=f"{settings.problems} data sets with p at most {LEVEL}, {settings.permutations} placebos each",
    )


def _captions(
    powers: dict[float, dict[str, np.ndarray]], spread: dict[str, np.ndarray], one: PlaceboResult
) -> dict[str, str]:
    largest = max(powers)
    power = _power_of(powers[largest]["validation_loss"])[0]
    p = one.test("validation_loss").p_value
    return {
        "placebo-tests-calibration-and-power": f"Left: p-values of {len(spread[_LINEAR]):,} sets of noise, "
        f"which are uniform if the "
        f"test is honest. Right: how often it finds a signal, {power:.0%} where the inputs explain {largest:.0%}.",
        "placebo-test-of-one-data-set": f"One test: the real fit beside {one.permutations:,} placebos, p = "
        f"{p.value:.2g} by the "
        "loss on the points held out.",
    }


ANALYSIS = Analysis(
    quick=PowerSettings(),
    paper=PowerSettings(repeats=1000, problems=200, shares=(0.01, 0.02, 0.05, 0.1, 0.2), one_test=9999),
    find=find,
)
