"""Sweeps to be stored: a design as ensembles of a study, which go on after an interruption and grow by starts."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optax
import pandas as pd
from jaxtyping import Int

from jaxland._names import NAMES_TAKEN
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.sweeps.plan import HOW, Call, calls, name_of, read_design
from jaxland.training.ensemble import Ensemble, OptimizerFactory

# What names of ensembles, which are folders, may have, and how long they may be.
_UNFIT, _LONGEST = re.compile(r"[^A-Za-z0-9_.-]+"), 100


def ensembles(
    design: pd.DataFrame | Mapping[str, Sequence[Any]],
    network: Network | Callable[..., Network],
    problem: Problem | Callable[..., Problem],
    optimizer: optax.GradientTransformation | OptimizerFactory | Mapping[str, OptimizerFactory] | None = None,
    *,
    steps: int | None = None,
    static: Sequence[str] = (),
    **options: Any,
) -> dict[str, Ensemble]:
    """A design as ensembles for `jaxland.run`, in which it is stored, resumed and given more starts.

        design = jl.grid(width=[4, 16], learning_rate=np.geomspace(1e-3, 1, 8))
        rates = jl.sweeps.ensembles(design, lambda width: jl.mlp([1, width, 1]), problem, optax.adam, steps=2_000)
        jl.run(rates, "runs/rates", fits=8 * 1_000)  # 1,000 starts of each of 8 rates, at both widths
        jl.open("runs/rates").table().groupby(["width", "learning_rate"])["loss"].median()

    Rows of one network, problem and optimizer are an ensemble, as they are a group of `sweep`. Of the C rows that one
    has, fit i is that of row i modulo C, and its start has the number i // C: it enters the fit's key in place of its
    own, so that rows are compared start by start, and stands in the column `seed`. Each factor is a column of the
    tables of the study. All ensembles of a study have as many fits: C * S of them are S starts of each row, and more
    starts in an ensemble of fewer rows.

    Args:
        design, network, problem, optimizer, steps, static: as of `sweep`. The design has no factor `seed`, since starts
            are numbered.
        options: what an `Ensemble` takes, the same for all, `seed`, `dtype`, `batch_size`, `trace_every` and the like,
            and those of `fit` about a validation. How fits are trained (`threads`, `backend`) is said to
            `jaxland.run`.

    Returns:
        Ensembles by the levels in which they differ, such as "width-4".

    Raises:
        TypeError, ValueError: as of `sweep`.
    """
    design = read_design(design)
    if "seed" in design.columns:
        raise ValueError(
            "starts of a stored sweep are numbered by its fits: leave the factor 'seed' out of the design, and ask for "
            "so many fits, rows times starts."
        )
    taken = sorted(NAMES_TAKEN & {*map(str, design.columns)})
    if taken:
        raise ValueError(f"a factor cannot have the name {taken[0]!r}, which tables use themselves; give another.")
    foreign = [name for name in options if name in HOW]
    if foreign:
        raise TypeError(f"{foreign[0]} is about how fits are trained: give it to jaxland.run, or to `jaxland run`.")
    planned = calls(design, network, problem, optimizer, steps, options, static)
    for call in planned:
        call.check()
    levels = [_levels(design, call.rows) for call in planned]
    each = zip(_names(levels), planned, levels, strict=True)
    return {name: _ensemble(call, level) for name, call, level in each}


class _InTurn:
    """A value for each row of a design, by the number of a fit: rows take turns."""

    def __init__(self, values: Any, count: int):
        self._values, self.period = values, count

    def __call__(self, fits: Int[np.ndarray, "W"]) -> np.ndarray:
        rows = np.asarray(fits) % self.period
        return np.asarray(self._values(rows) if callable(self._values) else self._values[rows])


class _Starts:
    """The number of the start of each fit."""

    def __init__(self, count: int):
        # With the first fit of the second start the number of rows is told.
        self._rows, self.period = count, count + 1

    def __call__(self, fits: Int[np.ndarray, "W"]) -> np.ndarray:
        return np.asarray(fits) // self._rows


def _ensemble(call: Call, levels: Mapping[str, Any]) -> Ensemble:
    count, given = len(call.rows), call.of_ensemble
    for name in ("inputs", "targets", "init_scale"):
        if name in given and (callable(given[name]) or np.ndim(given[name]) > 0):
            given[name] = _InTurn(given[name], count)
    given["hyperparameters"] = {name: _InTurn(values, count) for name, values in given["hyperparameters"].items()}
    columns = {name: _InTurn(v, count) if isinstance(v, np.ndarray) else v for name, v in levels.items()}
    return Ensemble(**{**given, "seeds": _Starts(count), "columns": columns})


def _levels(design: pd.DataFrame, rows: Int[np.ndarray, "W"]) -> dict[str, Any]:
    """What tables say of the factors: a level where all rows have the same, else one for each; nothing of one that
    all go without."""
    found = {}
    for name, values in design.items():
        known = values.dropna().map(name_of)
        kinds = {bool if isinstance(each, bool) else str if isinstance(each, str) else float for each in known}
        if len(kinds) > 1:
            known = known.map(str)
        own = known.reindex(rows)
        if own.isna().all():
            continue
        told = own.fillna("") if isinstance(known.iloc[0], str) else own.infer_objects()
        same = told.nunique(dropna=False) == 1
        array = told.to_numpy()
        found[str(name)] = told.tolist()[0] if same else array.astype(str) if array.dtype == object else array
    return found


def _names(levels: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells ensembles apart: the factors of which each has one level, and not all the same."""
    apart = [name for name in dict.fromkeys(n for each in levels for n in each) if _differ(name, levels)]
    names = ["_".join(f"{name}-{each[name]}" for name in apart if name in each) or "all" for each in levels]
    names = [_UNFIT.sub("-", name).lstrip(".")[:_LONGEST] for name in names]
    return names if len(set(names)) == len(names) else [f"group-{place}" for place in range(len(names))]


def _differ(name: str, levels: Sequence[Mapping[str, Any]]) -> bool:
    found = [each.get(name, "") for each in levels]
    return all(np.ndim(each) == 0 for each in found) and len({str(each) for each in found}) > 1
