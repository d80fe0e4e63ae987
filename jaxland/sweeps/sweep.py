"""Fits over the levels of factors, as one table."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import optax
import pandas as pd
from jaxtyping import Int

from jaxland._short import in_short
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.sweeps.plan import calls, name_of, read_design
from jaxland.training import Fits, fit
from jaxland.training.ensemble import OptimizerFactory


class Group(NamedTuple):
    """The fits of a sweep that were trained together: one network, one optimizer, one number of steps."""

    rows: Int[np.ndarray, "W"]
    """Of the design, one a fit."""
    fits: Fits

    __repr__ = in_short


@dataclass(frozen=True, eq=False)
class Sweep:
    """Fits over the levels of factors.

    Attributes:
        design: what was asked for, one row a fit.
        groups: the fits, as they were trained together.
    """

    design: pd.DataFrame
    groups: tuple[Group, ...]

    def __len__(self) -> int:
        return len(self.design)

    def __repr__(self) -> str:
        diverged = int((self.table["status"].to_numpy() == "diverged").sum())
        factors = ", ".join(f"{name} ({len(self.table[name].unique())})" for name in self.design.columns)
        return f"Sweep({len(self):,} fits over {factors}; trained in {len(self.groups)} groups, {diverged:,} diverged)"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.table.to_html(max_rows=10, border=0)}"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row a fit, in the order of the design: its factors, functions by name, and what became of it.

        `steps` are those that were taken, `group` is its place in `groups`. `attrs` hold where the fits come from, the
        `config_hash` of each group.
        """
        named = pd.DataFrame({name: levels.map(name_of, na_action="ignore") for name, levels in self.design.items()})
        found = pd.concat([self._results(place) for place in range(len(self.groups))]).sort_index()
        table = named.reset_index(drop=True).join(found)
        origins = [group.fits.table.attrs for group in self.groups]
        table.attrs.update({name: _shared([each[name] for each in origins]) for name in origins[0]})
        table.attrs["config_hash"] = [each["config_hash"] for each in origins]
        return table

    def _results(self, place: int) -> pd.DataFrame:
        group = self.groups[place]
        known = [*map(str, self.design.columns), "fit", "seed", "init_scale", *group.fits.ensemble.hyperparameters]
        found = group.fits.table.drop(columns=known, errors="ignore").set_index(group.rows)
        steps = {} if "steps" in known else {"steps": group.fits.ensemble.steps}
        return found.assign(**steps, group=place)

    def fits_of(self, rows: Any) -> Fits:
        """The fits of some rows of the design, with their parameters.

            best = sweep.fits_of(sweep.table["loss"].idxmin())
            wide = sweep.fits_of(sweep.table.query("width == 16 and optimizer == 'adam'").index)

        Args:
            rows: a number of a row, counted from 0, or several.

        Raises:
            IndexError: there is no such row.
            ValueError: they are of several groups, whose parameters cannot stand in one array.
        """
        wanted = np.atleast_1d(np.asarray(rows, np.int64))
        if ((wanted < 0) | (wanted >= len(self))).any():
            raise IndexError(f"rows are numbers from 0 to {len(self) - 1}; got {rows!r}.")
        groups = self.table["group"].to_numpy()[wanted].tolist()
        if len(set(groups)) != 1:
            raise ValueError(f"these rows are of groups {sorted(set(groups))}; take those of one, see table['group'].")
        group = self.groups[groups[0]]
        return group.fits[np.searchsorted(group.rows, wanted)]


def _shared(values: list[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def sweep(
    design: pd.DataFrame | Mapping[str, Sequence[Any]],
    network: Network | Callable[..., Network],
    problem: Problem | Callable[..., Problem],
    optimizer: optax.GradientTransformation | OptimizerFactory | Mapping[str, OptimizerFactory] | None = None,
    *,
    steps: int | None = None,
    static: Sequence[str] = (),
    **options: Any,
) -> Sweep:
    """Trains one fit for each row of a design; columns are factors.

        design = jl.grid(width=[4, 8, 16], optimizer=["adam", "sgd"], learning_rate=np.geomspace(1e-3, 1, 16),
                         seed=range(128))
        sweep = jl.sweep(design, lambda width: jl.mlp([1, width, 1]), problem, {"adam": optax.adam, "sgd": optax.sgd},
                         steps=2_000)
        sweep.table.groupby(["width", "optimizer", "learning_rate"])["loss"].median()

    Fits of one network, problem and optimizer are trained by one call of `fit`, whatever numbers they differ in.

    Args:
        design: of `grid` or `latin_hypercube`, or any table. An empty entry (None, NaN) says that a row does without
            the factor, as with `momentum` in rows of an optimizer that has none.
        network: a network, or a function that makes one of those factors that its signature names.
        problem: likewise.
        optimizer: a factory, which is given the factors that its signature names: numbers as hyperparameters, others by
            `functools.partial`. With a factor `optimizer` a mapping from its levels to factories, or None where these
            are factories themselves. A finished transformation takes no factors.
        steps: of each fit, where that is no factor.
        static: factors that are numbers but decide what the optimizer computes, such as the length of a schedule: fits
            that differ in them are trained by calls of their own.
        options: of `jaxland.fit`, the same for all fits: `seed`, `dtype`, `trace_every`, `backend`, `progress`, ...

    Factors that none of them names are those of `fit`: `init_scale`, `steps`, `dtype` and the like; and `seed`, which
    enters the fit's key in place of its number: rows with the same seed start from the same parameters where the
    network is the same, so that levels are compared start by start. Without it each row has a start of its own.

    Raises:
        TypeError, ValueError: before any work: columns differ in length, a factor is taken by nothing or is missing, or
            an argument is out of range.

    Returns:
        The fits and their table.
    """
    design = read_design(design)
    planned = calls(design, network, problem, optimizer, steps, options, static)
    for call in planned:
        call.check()
    return Sweep(design, tuple(Group(call.rows, fit(**call.arguments)) for call in planned))
