"""Successive halving: many fits for few steps, the best of them for more (Jamieson and Talwalkar, 2016)."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optax
import pandas as pd

from jaxland._names import lookup
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.sweeps.plan import Call, calls, read_design
from jaxland.sweeps.sweep import Group, Sweep
from jaxland.training import fit
from jaxland.training.ensemble import OptimizerFactory, positive

SCORES = ("loss", "best_loss", "best_validation")


def halving(
    design: pd.DataFrame | Mapping[str, Sequence[Any]],
    network: Network | Callable[..., Network],
    problem: Problem | Callable[..., Problem],
    optimizer: optax.GradientTransformation | OptimizerFactory | Mapping[str, OptimizerFactory] | None = None,
    *,
    steps: int,
    rungs: int = 3,
    factor: int = 3,
    score: str | None = None,
    by: Sequence[str] = (),
    static: Sequence[str] = (),
    **options: Any,
) -> Sweep:
    """Trains the rows of a design for some steps, the best of them for more, and so on (successive halving).

        found = jl.halving(jl.latin_hypercube(729, learning_rate=(1e-4, 1, "log"), momentum=(0, 0.99)),
                           net, problem, optax.sgd, steps=9_000, rungs=4)
        found.table.query("steps == 9_000")

    Rung r of 1 to R ends after `steps / factor**(R - r)` steps; after each but the last, one in `factor` goes on, from
    where it ended and with the state that its optimizer had (`Fits.continue_`). All that were trained are in the
    result, each as it was when it ended: `table["steps"]` says when. Of the steps that all fits would need, R rungs
    take (1 + (R - 1) (1 - 1 / factor)) / factor**(R - 1) (Jamieson and Talwalkar, "Non-stochastic best arm
    identification and hyperparameter optimization", AISTATS 2016).

    Args:
        design, network, problem, optimizer, static, options: of `sweep`; `steps` cannot be a factor.
        steps: of those that go on to the end.
        rungs: R, how many times fits are trained before they are judged.
        factor: one in so many goes on.
        score: what is smallest for the best: a column of `SCORES`; by default "best_validation" where there is a
            validation, else "loss". Fits that diverged come last.
        by: factors whose combinations are judged by the median over their rows, and go on or end together, such as all
            but "seed"; by default each row is judged by itself.

    Raises:
        TypeError, ValueError: as `sweep`, or fewer steps or rows than rungs can be made of.

    Returns:
        The fits and their table. Groups are those that ended together.
    """
    design = read_design(design)
    for name, value, least in (("steps", steps, 1), ("rungs", rungs, 2), ("factor", factor, 2)):
        positive(name, value)
        if value < least:
            raise ValueError(f"{name} must be at least {least}; got {value}.")
    if "steps" in design.columns or "epochs" in {*design.columns, *options}:
        raise ValueError("rungs decide how many steps a fit is trained; give steps, and neither epochs nor a factor.")
    for name in by:
        lookup("factor in by", name, dict.fromkeys(map(str, design.columns)))
    ends = [steps // factor ** (rungs - 1 - rung) for rung in range(rungs)]
    if not ends[0]:
        raise ValueError(f"{rungs} rungs of factor {factor} need at least {factor ** (rungs - 1)} steps; got {steps}.")
    judged_by = _score(score, options)
    planned = calls(design, network, problem, optimizer, ends[0], {**options, "keep_state": True}, static)
    for call in planned:
        call.check()
    alike = np.arange(len(design)) if not by else design.groupby(list(by), dropna=False).ngroup().to_numpy()
    if len(np.unique(alike)) < factor:
        raise ValueError(f"one in {factor} goes on, so that {factor} rows are needed; got {len(np.unique(alike))}.")
    return Sweep(design, tuple(_climbed(planned, ends, factor, judged_by, alike, options)))


def _score(score: str | None, options: Mapping[str, Any]) -> str:
    validated = options.get("validation") is not None
    chosen = score or ("best_validation" if validated else "loss")
    lookup("score", chosen, dict.fromkeys(SCORES))
    if chosen == "best_validation" and not validated:
        raise ValueError("score='best_validation' needs points to be judged on: give validation=0.2, or (x, y).")
    return chosen


def _climbed(
    planned: list[Call],
    ends: list[int],
    factor: int,
    score: str,
    alike: np.ndarray,
    options: Mapping[str, Any],
) -> list[Group]:
    """All fits in groups, those that ended first first."""
    alive = [Group(call.rows, fit(**call.arguments)) for call in planned]
    ended: list[Group] = []
    how = {name: options[name] for name in ("threads", "progress") if name in options}
    for last, end in itertools.pairwise(ends):
        best = _best(alive, score, alike, factor)
        parts = [(group, np.isin(alike[group.rows], best)) for group in alive]
        ended += [Group(g.rows[~on], g.fits[~on]) for g, on in parts if not on.all()]
        alive = [Group(g.rows[on], g.fits[on].continue_(end - last, **how)) for g, on in parts if on.any()]
    return [*ended, *alive]


def _best(alive: list[Group], score: str, alike: np.ndarray, factor: int) -> np.ndarray:
    """Those combinations, by number, that go on."""
    tables = [group.fits.table for group in alive]
    values = np.concatenate([table[score].to_numpy(np.float64) for table in tables])
    diverged = np.concatenate([table["status"].to_numpy() == "diverged" for table in tables])
    values = np.where(diverged | ~np.isfinite(values), np.inf, values)
    medians = pd.Series(values).groupby(alike[np.concatenate([group.rows for group in alive])]).median()
    # Ties are kept in the order of the design.
    return medians.sort_values(kind="stable").index[: max(1, math.ceil(len(medians) / factor))].to_numpy()
