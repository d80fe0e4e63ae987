"""What figures 1 to 7 need, gathered from the shards one at a time."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import (
    direction_cosines,
    distances_to,
    outputs,
    pair_distances,
    random_pairs,
    symmetrise,
)
from jaxland.networks import Network
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.measures import turning_points, wave_shares
from jaxland.replications.sawtooth.sample import global_minimum
from jaxland.replications.sawtooth.statements.fits import BLOCKS
from jaxland.statistics import Histogram, Moments
from jaxland.store import StudyStore

PAIRS = 1_000_000
# Pairs are drawn among the first fits of an ensemble, and intervals rest on these, so that memory does not grow with
# their number. Fits are independent of their numbers, so the first ones are a fair sample.
PAIR_POOL = 200_000
MIDDLE = 0.3
"""Half the width of the middle, where the source sees a wiggle."""
_GRID_POINTS = 641  # 20 a linear piece of the main target, knots included


@dataclass(frozen=True)
class FitSample:
    """The first finite fits of an ensemble one by one, and pairs of them: what intervals are made of."""

    fit: Int[np.ndarray, "F"]
    loss: Float[np.ndarray, "F"]
    turns: Float[np.ndarray, "F"]
    wave: Float[np.ndarray, "F"]
    """Share of the wave that each holds."""
    middle: Float[np.ndarray, "F"]
    """The same in the middle of the interval."""
    largest: Float[np.ndarray, "F"]
    """Largest absolute parameter, before symmetrisation."""
    radius: Float[np.ndarray, "known"]
    """Distance from the global minimum; empty where the fits' network is not that of the target."""
    pairs: Float[np.ndarray, "pairs"]
    """Distances of pairs of which no fit is in two, so that they are independent."""
    cosines: Float[np.ndarray, "pairs"]
    closest: Float[np.ndarray, "blocks"]
    """Smallest distance of a million pairs in each of some blocks of fits; empty where the fits are too few."""
    lowest: Float[np.ndarray, "blocks"]
    """Smallest dot product of the same."""

    @property
    def best(self) -> Float[np.ndarray, "blocks"]:
        """Smallest loss of each block of fits."""
        return np.array([block.min() for block in np.array_split(self.loss, BLOCKS) if len(block)])


@dataclass(frozen=True)
class EnsembleAnalysis:
    """The reduced results of one ensemble; diverged fits are counted and left out of everything else."""

    fits: int
    diverged: int
    curve: Moments
    """Of the outputs on the grid."""
    turns: Histogram
    """Of the number of turning points of each fit's output."""
    loss: Histogram
    first_fit: int
    first_output: Float[np.ndarray, "N"]
    """The first fit that did not diverge, as an example chosen without looking."""
    best_fit: int
    best_loss: float
    best_output: Float[np.ndarray, "N"]
    energy: Histogram
    """Of the norm of the symmetrised parameters."""
    pair_distance: Histogram
    cosine: Histogram
    """Of the dot products of unit directions from the global minimum to the fits of a pair."""
    minimum_distance: Histogram
    """Of the distances to the global minimum; empty where the fits' network is not that of the target."""
    sample: FitSample
    imbalance: float
    drift: float
    unconverged: int
    """Certificate of the symmetrisation: worst imbalance and drift, and fits that did not reach the balance."""


@dataclass(frozen=True)
class SawtoothAnalysis:
    """Everything that figures and claims are made of."""

    x: Float[np.ndarray, "N"]
    target: Float[np.ndarray, "N"]
    wave: Float[np.ndarray, "N"]
    """The high-frequency part of the target."""
    ensembles: dict[str, EnsembleAnalysis]


def reduce(config: SawtoothConfig, store: StudyStore) -> SawtoothAnalysis:
    """Reduces every ensemble of the study."""
    target = config.problem.target
    x = np.linspace(-1, 1, _GRID_POINTS)
    return SawtoothAnalysis(
        x=x,
        target=target(x),
        wave=target.wave(x),
        ensembles={name: reduce_ensemble(config, store, name, x) for name in config.optimizers},
    )


def reduce_ensemble(
    config: SawtoothConfig, store: StudyStore, name: str, x: Float[np.ndarray, "N"]
) -> EnsembleAnalysis:
    """Reduces one ensemble, a shard at a time."""
    reduction = _Reduction(config, x, config.problem.target.wave(x))
    for shard in store.stream(name, ["fit", "loss", "diverged_step", "params"]):
        reduction.add(shard.arrays)
    return reduction.finish()


class _Reduction:
    """The state of one ensemble's reduction."""

    def __init__(self, config: SawtoothConfig, x, wave):
        self.x, self.wave = x, wave
        self.network: Network = config.network
        self.problem = config.problem
        self.grid = x[:, None]
        self.minimum = global_minimum(config)
        scale = float(np.var(self.problem.y))
        self.fits = self.diverged = self.unconverged = 0
        self.curve = Moments()
        self.turns = Histogram(np.arange(-0.5, 400.5))
        self.loss = Histogram.spanning(0, 2 * scale, 4000)
        self.energy, self.minimum_distance = Histogram.spanning(0, 50, 5000), Histogram.spanning(0, 50, 5000)
        self.best_fit, self.best_loss, self.best_output = -1, np.inf, np.full(len(x), np.nan)
        self.first_fit, self.first_output = -1, np.full(len(x), np.nan)
        self.imbalance = self.drift = 0.0
        self.pool: list[np.ndarray] = []
        self.pooled = 0
        self.kept: list[tuple[np.ndarray, ...]] = []

    def add(self, arrays):
        good = arrays["diverged_step"] < 0
        fit, loss, params = arrays["fit"][good], arrays["loss"][good], arrays["params"][good]
        self.fits += len(good)
        self.diverged += int((~good).sum())
        if not len(fit):
            return
        self.loss = self.loss.add(loss)
        curves = outputs(self.network, params, self.grid)[:, :, 0]
        self.curve = self.curve.add(curves)
        turns = turning_points(curves)
        self.turns = self.turns.add(turns)
        self._keep(fit, loss, turns, curves, params)
        if self.first_fit < 0:
            self.first_fit, self.first_output = int(fit[0]), curves[0]
        best = int(np.argmin(loss))
        if loss[best] < self.best_loss:
            self.best_fit, self.best_loss, self.best_output = int(fit[best]), float(loss[best]), curves[best]
        self._add_symmetrised(params)

    def _keep(self, fit, loss, turns, curves, params):
        kept = slice(max(PAIR_POOL - self.pooled, 0))
        middle = np.abs(self.x) < MIDDLE
        waves = wave_shares(self.x, self.wave, curves[kept])
        middles = wave_shares(self.x[middle], self.wave[middle], curves[kept][:, middle])
        largest = np.abs(params[kept]).max(axis=1)
        self.kept.append((fit[kept], loss[kept].astype(np.float64), turns[kept], waves, middles, largest))

    def _add_symmetrised(self, params):
        canonical = symmetrise(self.network, params, x=self.problem.x)
        self.unconverged += int((~canonical.converged).sum())
        self.imbalance = max(self.imbalance, float(canonical.imbalance.max()))
        self.drift = max(self.drift, float(canonical.drift.max()))
        self.energy = self.energy.add(np.linalg.norm(canonical.params, axis=1))
        if self.minimum is not None:
            self.minimum_distance = self.minimum_distance.add(distances_to(canonical.params, self.minimum))
        kept = canonical.params[: max(PAIR_POOL - self.pooled, 0)]
        self.pool.append(kept)
        self.pooled += len(kept)

    def finish(self) -> EnsembleAnalysis:
        pair_distance, cosine, sample = self._pairs()
        return EnsembleAnalysis(
            fits=self.fits,
            diverged=self.diverged,
            curve=self.curve,
            turns=self.turns,
            loss=self.loss,
            first_fit=self.first_fit,
            first_output=self.first_output,
            best_fit=self.best_fit,
            best_loss=self.best_loss,
            best_output=self.best_output,
            energy=self.energy,
            pair_distance=pair_distance,
            cosine=cosine,
            minimum_distance=self.minimum_distance,
            sample=sample,
            imbalance=self.imbalance,
            drift=self.drift,
            unconverged=self.unconverged,
        )

    def _pairs(self):
        distances, cosines = Histogram.spanning(0, 50, 5000), Histogram.spanning(-1, 1, 4000)
        pool = np.concatenate(self.pool) if self.pool else np.zeros((0, self.network.size))
        radius = np.zeros(0) if self.minimum is None else distances_to(pool, self.minimum)
        between, angles = _of_pairs(pool, radius, _pairs_of(len(pool)))
        sample = _sample(self.kept, pool, radius)
        return distances.add(between), cosines.add(angles), sample


def _of_pairs(pool, radius, pairs):
    """Distances of pairs and dot products of their directions from the global minimum; none without one."""
    if not len(pairs):
        return np.zeros(0), np.zeros(0)
    between = pair_distances(pool, pairs)
    known = len(radius) > 0
    return between, direction_cosines(between, *radius[pairs.T]) if known else np.zeros(0)


def _sample(kept, pool, radius) -> FitSample:
    arrays = [np.concatenate(each) for each in zip(*kept, strict=True)] if kept else [np.zeros(0)] * 6
    fit, loss, turns, wave, middle, largest = arrays
    pairs, cosines = _of_pairs(pool, radius, np.arange(len(pool) // 2 * 2).reshape(-1, 2))
    blocks = [block for block in np.array_split(np.arange(len(pool)), BLOCKS) if len(block) ** 2 > 2 * PAIRS]
    closest, lowest = [], []
    for block in blocks:
        between, angles = _of_pairs(pool[block], radius[block] if len(radius) else radius, _pairs_of(len(block)))
        closest.append(between.min())
        lowest.extend([angles.min()] if len(angles) else [])
    extremes = {"closest": np.array(closest), "lowest": np.array(lowest)}
    return FitSample(fit.astype(np.int64), loss, turns, wave, middle, largest, radius, pairs, cosines, **extremes)


def _pairs_of(count: int):
    """All pairs where they are no more than `PAIRS`, else so many random ones."""
    if count * (count - 1) // 2 <= PAIRS:
        return np.stack(np.triu_indices(count, 1), axis=1)
    return random_pairs(count, PAIRS)


def tables(analysis: SawtoothAnalysis) -> dict[str, pd.DataFrame]:
    """The small results: numbers, curves and histograms from which every figure can be drawn again."""
    return {
        "ensembles.csv": pd.DataFrame([_numbers(name, each) for name, each in analysis.ensembles.items()]),
        "curves.csv": _curves(analysis),
        "histograms.csv": pd.concat(
            [
                _bins(name, quantity, getattr(each, quantity))
                for name, each in analysis.ensembles.items()
                for quantity in ("loss", "pair_distance", "minimum_distance", "cosine", "energy", "turns")
            ],
            ignore_index=True,
        ),
    }


def _numbers(name, each: EnsembleAnalysis):
    row = {"ensemble": name, "fits": each.fits, "diverged": each.diverged}
    row |= {"best_fit": each.best_fit, "best_loss": each.best_loss}
    for quantity in ("loss", "pair_distance", "minimum_distance", "cosine", "energy", "turns"):
        histogram: Histogram = getattr(each, quantity)
        row |= {f"{quantity}_min": histogram.smallest, f"{quantity}_max": histogram.largest}
        row |= {f"{quantity}_q{100 * q:g}": histogram.quantile(q) for q in (0.05, 0.25, 0.5, 0.75, 0.95)}
    return row | {"imbalance": each.imbalance, "drift": each.drift, "unconverged": each.unconverged}


def _curves(analysis):
    columns = {"x": analysis.x, "target": analysis.target}
    for name, each in analysis.ensembles.items():
        empty = np.full(len(analysis.x), np.nan)
        columns[f"{name}_mean"] = each.curve.mean if each.curve.count else empty
        columns[f"{name}_deviation"] = each.curve.deviation if each.curve.count > 1 else empty
        columns[f"{name}_first"] = each.first_output
        columns[f"{name}_best"] = each.best_output
    return pd.DataFrame(columns)


def _bins(name, quantity, histogram: Histogram):
    filled = histogram.counts > 0
    return pd.DataFrame(
        {
            "ensemble": name,
            "quantity": quantity,
            "low": histogram.edges[:-1][filled],
            "high": histogram.edges[1:][filled],
            "count": histogram.counts[filled],
        }
    )
