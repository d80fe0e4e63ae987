"""The source's two roads to speed, side by side: heuristics, and standard numerical optimisation."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import optax
import pandas as pd
from jaxtyping import Float

from jaxland.networks import Network
from jaxland.plots import new_figure
from jaxland.replications.backprop.config import BackpropConfig
from jaxland.replications.backprop.drawing import arrival_curves
from jaxland.replications.backprop.model import WEIGHTS, full_network, plane
from jaxland.replications.backprop.settling import TOLERANCE, settled
from jaxland.replications.backprop.statements import STATEMENTS
from jaxland.statistics import Estimate, bootstrap_interval, wilson_interval
from jaxland.studies import Analysis, Claim, Context, Findings
from jaxland.training import solve

_DESCENT = "gradient descent"
# Name, optax factory, and the lowest and highest learning rate tried.
_HEURISTICS: dict[str, tuple[Callable[..., optax.GradientTransformation], float, float]] = {
    _DESCENT: (optax.sgd, 1.0, 40.0),
    "momentum": (partial(optax.sgd, momentum=0.9), 0.1, 100.0),
    "Nesterov momentum": (partial(optax.sgd, momentum=0.9, nesterov=True), 0.1, 100.0),
    "rmsprop": (optax.rmsprop, 1e-3, 1.0),
    "adam": (optax.adam, 1e-3, 3.0),
}
_SOLVERS = {
    "conjugate gradient": "conjugate_gradient",
    "BFGS": "bfgs",
    # As in the book that the source follows.
    "Levenberg-Marquardt": "hagan_menhaj",
}
_FIRST_STEPS = (1.0, 40.0, 1000.0)
"""First trials on the lines of conjugate gradient."""
_EVERY = 10


@dataclass(frozen=True)
class RoadSettings:
    """Scale of the comparison."""

    starts: int = 128
    """Of each method on each problem."""
    rates: int = 10
    """Learning rates among which each heuristic gets its best."""
    epochs: int = 20_000
    """Of each heuristic."""
    evaluations: int = 2_000
    """Of each solver."""
    seed: int = 0
    """Of the starts."""


@dataclass(frozen=True)
class Road:
    """One method with its best setting on one problem."""

    name: str
    heuristic: bool
    rate: float
    """Learning rate, or first step of conjugate gradient; NaN where there is none to set."""
    work: Float[np.ndarray, "F"]
    """Epochs or evaluations until the fit is at a minimum; NaN where it never is."""
    at_global: Float[np.ndarray, "F"]
    """1 where that is the global minimum, else 0."""
    budget: int
    seconds: float
    """Wall time of a fit, run in a batch, for the whole budget."""

    @property
    def cost(self) -> float:
        """Work a success, with that of the failures, which use up the budget."""
        arrived = np.isfinite(self.work).sum()
        return float(np.where(np.isfinite(self.work), self.work, self.budget).sum() / arrived) if arrived else np.inf

    @property
    def seconds_each(self) -> float:
        """Wall time a success, likewise."""
        return self.cost * self.seconds / self.budget


@dataclass(frozen=True)
class Task:
    """Where starts are drawn, and what counts as arrived."""

    title: str
    network: Network
    start: Float[np.ndarray, "F P"]
    plane: bool
    """Whether either minimum of the plane counts; else a mean squared error below the tolerance."""


def find(context: Context) -> Findings:
    """Trains by every method, finds the best setting of each, compares."""
    tasks = _tasks(context.config, context.settings)
    methods = (*_HEURISTICS, *_SOLVERS)
    roads = {name: [_road(context, name, task, method) for method in methods] for name, task in tasks.items()}
    figure, axes = new_figure(len(tasks), height=3.3)
    for ax, (name, task) in zip(axes, tasks.items(), strict=True):
        works = {road.name: road.work for road in roads[name]}
        budgets = {road.name: road.budget for road in roads[name]}
        arrival_curves(works, budgets, xlabel="epochs or evaluations a start", title=task.title, ax=ax)
    claims = road_claims(roads)
    tables = {"roads.csv": _table(roads), "roads-starts.csv": _starts(roads)}
    return Findings(tables, {"two-roads-to-speed": figure}, claims, captions=_captions(roads))


def _tasks(config: BackpropConfig, settings: RoadSettings) -> dict[str, Task]:
    generator = np.random.default_rng(settings.seed)
    on_plane = generator.uniform(config.low, config.high, (settings.starts, 2))
    whole = generator.uniform(-1, 1, (settings.starts, full_network().size))
    return {
        "plane": Task("Two weights: starts at either minimum", plane(WEIGHTS), on_plane, True),
        "whole": Task("All seven, from [-1, 1]: starts at the global minimum", full_network(), whole, False),
    }


def _road(context: Context, name: str, task: Task, method: str) -> Road:
    settings: RoadSettings = context.settings
    heuristic = method in _HEURISTICS
    train = partial(_heuristic if heuristic else _standard, context, task, method)
    kept = context.piece(f"{name}-{method.replace(' ', '-')}", train)
    budget = settings.epochs if heuristic else settings.evaluations
    return Road(method, heuristic, float(kept["rate"]), kept["work"], kept["at_global"], budget, float(kept["seconds"]))


def _heuristic(context: Context, task: Task, method: str) -> dict[str, np.ndarray]:
    """All rates in one call; the one of least cost is kept."""
    settings: RoadSettings = context.settings
    factory, low, high = _HEURISTICS[method]
    rates, count = np.geomspace(low, high, settings.rates), len(task.start)

    def train(steps):
        return context.fit(
            task.network,
            context.config.problem,
            factory,
            hyperparameters={"learning_rate": np.repeat(rates, count)},
            steps=steps,
            start=np.tile(task.start, (len(rates), 1)),
            dtype="float64",
            trace_every=_EVERY,
        )

    train(1)  # compiles
    began = time.perf_counter()
    fits = train(settings.epochs)
    seconds = (time.perf_counter() - began) / len(fits)
    trace = np.column_stack([fits.trace, fits.loss])
    traced = np.append(fits.ensemble.trace_steps, settings.epochs)
    work, at_global = _arrivals(context.config, task, fits.params, traced, trace)
    work, at_global = work.reshape(len(rates), count), at_global.reshape(len(rates), count)
    best = int(np.argmin([_cost(each, settings.epochs) for each in work]))
    return _kept(rates[best], work[best], at_global[best], seconds)


def _standard(context: Context, task: Task, method: str) -> dict[str, np.ndarray]:
    """All first steps where there is one to set; that of least cost is kept."""
    steps = _FIRST_STEPS if method == "conjugate gradient" else (np.nan,)
    found = [_solved(context, task, method, step) for step in steps]
    return min(found, key=lambda each: _cost(each["work"], context.settings.evaluations))


def _solved(context: Context, task: Task, method: str, first_step: float) -> dict[str, np.ndarray]:
    def train():
        return solve(
            task.network,
            context.config.problem,
            _SOLVERS[method],
            task.start,
            evaluations=context.settings.evaluations,
            first_step=None if np.isnan(first_step) else first_step,
            threads=context.threads,
        )

    train()  # compiles
    began = time.perf_counter()
    solved = train()
    seconds = (time.perf_counter() - began) / len(task.start)
    traced = np.arange(solved.trace.shape[1])
    return _kept(first_step, *_arrivals(context.config, task, solved.params, traced, solved.trace), seconds)


def _kept(rate, work, at_global, seconds):
    return {"rate": np.array(rate), "work": work, "at_global": at_global, "seconds": np.array(seconds)}


def _cost(work: np.ndarray, budget: int) -> float:
    return Road("", True, np.nan, work, work, budget, 0.0).cost


def _arrivals(config: BackpropConfig, task: Task, params, traced, trace):
    """Work until a fit stays at a minimum, and whether that is the global one."""
    trace = np.asarray(trace, np.float64)
    if task.plane:
        place = settled(np.asarray(params, np.float64), traced, trace, config.loss)
        return place.epoch, (place.minimum == 0).astype(np.float64)
    inside = trace < TOLERANCE
    since = np.logical_and.accumulate(inside[:, ::-1], axis=1).sum(axis=1)
    epoch = traced[np.clip(len(traced) - since, 0, len(traced) - 1)].astype(np.float64)
    return np.where(since > 0, epoch, np.nan), (since > 0).astype(np.float64)


def _table(roads: dict[str, list[Road]]) -> pd.DataFrame:
    rows = []
    for name, each in roads.items():
        for road in each:
            arrived = np.isfinite(road.work)
            low, high = wilson_interval(int(arrived.sum()), len(road.work))
            row = {"problem": name, "method": road.name, "road": "heuristic" if road.heuristic else "standard"}
            row |= {"rate": road.rate, "starts": len(road.work), "arrived": int(arrived.sum()), "share": arrived.mean()}
            row |= {"share_low": low, "share_high": high, "at_global": int(road.at_global.sum())}
            row |= {"median_work": np.median(road.work[arrived]) if arrived.any() else np.nan, "budget": road.budget}
            rows.append(row | {"work_a_success": road.cost, "seconds_a_success": road.seconds_each})
    return pd.DataFrame(rows)


def _starts(roads: dict[str, list[Road]]) -> pd.DataFrame:
    """One row for each start of each method: what claims are made of."""
    return pd.concat(
        [
            pd.DataFrame(
                {"problem": name, "method": road.name, "work": road.work, "at_global": road.at_global.astype(int)}
            )
            for name, each in roads.items()
            for road in each
        ],
        ignore_index=True,
    )


def roads_of(table: pd.DataFrame, starts: pd.DataFrame) -> dict[str, list[Road]]:
    """The methods on each problem, from `roads.csv` and `roads-starts.csv`."""
    roads: dict[str, list[Road]] = {}
    for row in table.to_dict("records"):
        chosen = (starts["problem"] == row["problem"]) & (starts["method"] == row["method"])
        work, at_global = (np.asarray(starts.loc[chosen, name], np.float64) for name in ("work", "at_global"))
        road = Road(row["method"], row["road"] == "heuristic", row["rate"], work, at_global, row["budget"], 0.0)
        seconds = row["seconds_a_success"] * road.budget / road.cost if np.isfinite(road.cost) else np.nan
        roads.setdefault(row["problem"], []).append(replace(road, seconds=seconds))
    return roads


def road_claims(roads: dict[str, list[Road]]) -> list[Claim]:
    """What the source says of both roads on both problems."""
    return [
        road_claim(f"{name}-{'two-weights' if problem == 'plane' else 'seven'}", each, heuristic)
        for problem, each in roads.items()
        for name, heuristic in (("heuristics", True), ("optimization", False))
    ]


def _told(road: Road) -> str:
    if not np.isfinite(road.cost):
        return f"{road.name} has no success in {road.budget:,} for each of {len(road.work)}"
    arrived = f"{int(np.isfinite(road.work).sum())} arrive, {int(road.at_global.sum())} at the global minimum"
    return f"{road.name} {road.cost:,.0f} ({arrived})"


def road_claim(name: str, roads: list[Road], heuristic: bool) -> Claim:
    """Of all methods on one problem: whether the best of one road has more successes for its work than descent."""
    descent = next(road for road in roads if road.name == _DESCENT)
    others = [road for road in roads if road.heuristic == heuristic and road.name != _DESCENT]
    told = ", ".join(map(_told, others))
    # The same starts for all methods, so that they are resampled together, and the best is chosen in each resample.
    places = np.arange(len(descent.work), dtype=float)

    def gain(chosen: np.ndarray) -> float:
        return max(_efficiency(road, chosen) for road in others) - _efficiency(descent, chosen)

    found = bootstrap_interval(places, gain, seed=0, resamples=999, method="percentile")
    more = Estimate(found.value, found.low, found.high)
    return STATEMENTS[name].claim(
        f"the best has {more:.3g} successes in 1,000 epochs or evaluations more than descent; work a success: {told}; "
        f"{_told(descent)}",
        more,
        cases=len(places),
        detail=f"{len(places)} starts of each method, each at the best of several learning rates{_edge(descent)}; work "
        f"is epochs or evaluations, those of failures included, until an error within {TOLERANCE:g} of a minimum's; "
        "95 % by bootstrap of the starts, the best chosen in each",
    )


def _edge(descent: Road) -> str:
    """A caveat where the best rate of descent is an end of those tried, beyond which it may be faster."""
    _, low, high = _HEURISTICS[_DESCENT]
    if not np.isfinite(descent.cost) or not (np.isclose(descent.rate, low) or np.isclose(descent.rate, high)):
        return ""
    end = "lowest" if np.isclose(descent.rate, low) else "highest"
    return f", for descent {descent.rate:g}, the {end} tried; the other minimum is unstable from 41.3 on"


def _efficiency(road: Road, places: Float[np.ndarray, "F"]) -> float:
    """Successes of some starts in 1,000 epochs or evaluations, those of failures included."""
    work = road.work[places.astype(int)]
    arrived = np.isfinite(work)
    return 1000 * float(arrived.sum() / np.where(arrived, work, road.budget).sum())


def _captions(roads: dict[str, list[Road]]) -> dict[str, str]:
    best = {name: min(each, key=lambda road: road.cost) for name, each in roads.items()}
    return {
        "two-roads-to-speed": "Starts that have arrived, by the work done: the least work a success has "
        f"{best['plane'].name} with two free weights ({best['plane'].cost:,.0f}) and {best['whole'].name} with "
        f"all seven "
        f"({best['whole'].cost:,.0f})."
    }


ANALYSIS = Analysis(
    quick=RoadSettings(),
    paper=RoadSettings(starts=2_048, rates=16, epochs=50_000, evaluations=5_000),
    find=find,
)
