"""Basins of attraction over the plane of the weights, and how long descent takes from each of its points."""

from dataclasses import dataclass

import numpy as np
import optax
import pandas as pd
from jaxtyping import Float, Int

from jaxland.plots import basin_map, duration_map, new_figure
from jaxland.replications.backprop.config import BackpropConfig, ensemble_name
from jaxland.replications.backprop.model import SYMBOLS, WEIGHTS
from jaxland.replications.backprop.settling import COLORS, MINIMA, NAMES, TOLERANCE, Settled, ends, settled
from jaxland.statistics import wilson_interval
from jaxland.studies import Above, All, Analysis, Below, Claim, Context, Findings, claim, judged_unless
from jaxland.training import starting_points

# Fits of a piece: some minutes' work at most.
_PIECE = 16_384
_AXES = (SYMBOLS[WEIGHTS[0]], SYMBOLS[WEIGHTS[1]])
_LEAST_FITS, _LEAST_EPOCHS = 100, 10_000


@dataclass(frozen=True)
class BasinSettings:
    """Scale of the durations; basins are those of all fits of the study."""

    timed: int = 1_024
    """Fits of each rate that are trained again with their losses kept, to see when they arrive."""
    every: int = 100
    """Epochs between two losses kept."""


@dataclass(frozen=True)
class Basins:
    """The fits of one learning rate."""

    start: Float[np.ndarray, "F 2"]
    end: Float[np.ndarray, "F 2"]
    minimum: Int[np.ndarray, "F"]
    """An index into `settling.NAMES`."""
    timed: Settled
    """Of the first fits."""

    @property
    def shares(self) -> Float[np.ndarray, "3"]:
        """Of the fits that end at each of `settling.NAMES`."""
        return np.bincount(self.minimum, minlength=len(NAMES)) / max(len(self.minimum), 1)


def find(context: Context) -> Findings:
    """Reads where all fits ended, times some of them, draws, judges."""
    found = {rate: _basins(context, rate) for rate in context.config.rates}
    found = {rate: each for rate, each in found.items() if len(each.minimum)}
    if not found:
        return Findings({}, {}, [])
    return Findings({"basins.csv": _table(found)}, _figures(context.config, found), _claims(context, found))


def _basins(context: Context, rate: float) -> Basins:
    config: BackpropConfig = context.config
    name = ensemble_name(rate)
    shards = [shard.arrays for shard in context.store.stream(name, ["fit", "loss", "params"])]
    if not shards:
        empty = np.zeros((0, 2))
        return Basins(empty, empty, np.zeros(0, np.int64), Settled(np.zeros(0, np.int64), np.zeros(0)))
    fits, loss, params = (np.concatenate([arrays[key] for arrays in shards]) for key in ("fit", "loss", "params"))
    start = starting_points(config.network, fits, seed=config.seed).astype(np.float64)
    end = params.astype(np.float64)
    return Basins(start, end, ends(end, loss.astype(np.float64), config.loss), _timed(context, rate, len(fits)))


def _timed(context: Context, rate: float, available: int) -> Settled:
    config, settings = context.config, context.settings

    def train(numbers: range):
        fits = context.fit(
            config.network,
            config.problem,
            optax.sgd(rate),
            fits=len(numbers),
            first=numbers.start,
            steps=config.epochs,
            trace_every=settings.every,
        )
        trace = np.column_stack([fits.trace, fits.loss]).astype(np.float64)
        traced = np.append(fits.ensemble.trace_steps, config.epochs)
        return settled(fits.params.astype(np.float64), traced, trace, config.loss)._asdict()

    return Settled(**context.pieces(ensemble_name(rate), range(min(settings.timed, available)), train, _PIECE))


def _table(found: dict[float, Basins]) -> pd.DataFrame:
    rows = []
    for rate, each in found.items():
        for place, name in enumerate(NAMES):
            count = int((each.minimum == place).sum())
            low, high = wilson_interval(count, len(each.minimum))
            epochs = each.timed.epoch[each.timed.minimum == place]
            # What never arrives has no epochs.
            epochs = epochs[np.isfinite(epochs)]
            quantiles = np.quantile(epochs, [0.05, 0.5, 0.95]) if len(epochs) else np.full(3, np.nan)
            row = {"rate": rate, "ends_at": name, "fits": len(each.minimum), "count": count}
            row |= {"share": each.shares[place], "share_low": low, "share_high": high, "timed": len(epochs)}
            rows.append(row | dict(zip(("epochs_q05", "epochs_median", "epochs_q95"), quantiles, strict=True)))
    return pd.DataFrame(rows)


def _figures(config: BackpropConfig, found: dict[float, Basins]):
    basins, axes = new_figure(len(found), width=5.6, height=5.0)
    for ax, (rate, each) in zip(axes, found.items(), strict=True):
        title = f"Rate {rate:g}: where {len(each.minimum):,} starts are after {config.epochs:,} epochs"
        basin_map(each.start, each.minimum, NAMES, COLORS, labels=_AXES, title=title, ax=ax)
        _mark(ax)
    durations, axes = new_figure(len(found), width=5.8, height=4.4)
    for ax, (rate, each) in zip(axes, found.items(), strict=True):
        starts = each.start[: len(each.timed.minimum)]
        reached = np.isfinite(each.timed.epoch)
        title = f"Rate {rate:g}: epochs to either minimum (grey: more than {config.epochs:,})"
        duration_map(starts, each.timed.epoch, reached, labels=_AXES, title=title, ax=ax)
        _mark(ax)
    return {"basins": basins, "epochs-to-converge": durations}


def _mark(ax):
    limits = (ax.get_xlim(), ax.get_ylim())
    ax.scatter(*MINIMA.T, marker="*", s=150, color="white", edgecolors="black", zorder=4)
    ax.set(xlim=limits[0], ylim=limits[1])


def _claims(context: Context, found: dict[float, Basins]) -> list[Claim]:
    config: BackpropConfig = context.config
    fewest = min(len(each.minimum) for each in found.values())
    small = fewest < _LEAST_FITS or config.epochs < _LEAST_EPOCHS
    reason = f"claims are judged from {_LEAST_FITS} fits of {_LEAST_EPOCHS:,} epochs" if small else ""
    return judged_unless(reason, [_guesses(found), _one_rate(config, found)])


def _guesses(found: dict[float, Basins]) -> Claim:
    rate, each = _fastest(found)
    count = int((each.minimum == 0).sum())
    low, high = wilson_interval(count, len(each.minimum))
    share = each.shares[0]
    return claim(
        "text",
        "trying several initial guesses is a good idea",
        "a good idea",
        f"{share:.1%} ({low:.1%} to {high:.1%}) of {len(each.minimum):,} random starts reach the global minimum, "
        f"{each.shares[1]:.1%} the other; of five guesses one does with a chance of {1 - (1 - share) ** 5:.0%}",
        (share, share),
        All({"one guess is not hopeless,": Above(0.05, "%,"), "nor enough,": Below(0.95, "%")}),
        f"starts uniform in the rectangle, rate {rate:g}, at which most arrive; at a minimum means its error to "
        f"{TOLERANCE:g}",
    )


def _fastest(found: dict[float, Basins]) -> tuple[float, Basins]:
    """The rate at which most fits arrive."""
    return min(found.items(), key=lambda item: item[1].shares[-1])


def _one_rate(config: BackpropConfig, found: dict[float, Basins]) -> Claim:
    def quantiles(each):
        epochs = np.where(np.isfinite(each.timed.epoch), each.timed.epoch, config.epochs)
        return np.quantile(epochs, [0.05, 0.5, 0.95])

    told = [
        "rate {:g}: {:.1%} have not arrived after {:,} epochs; 5, 50 and 95 % have after {:,.0f}, {:,.0f} and "
        "{:,.0f}".format(rate, each.shares[-1], config.epochs, *quantiles(each))
        for rate, each in found.items()
    ]
    rate, each = _fastest(found)
    quick, _, slow = quantiles(each)
    return claim(
        "contour map",
        "a constant learning rate does not suit the whole process",
        "cannot suit",
        "; ".join(told),
        slow / max(quick, 1),
        Above(10, "times as long for slow starts (95 %) as for quick ones (5 %)"),
        f"epochs until the error stays within {TOLERANCE:g} of a minimum's, cut at the last epoch; compared at rate "
        f"{rate:g}, at which most arrive",
    )


ANALYSIS = Analysis(
    quick=BasinSettings(),
    paper=BasinSettings(timed=100_000),
    find=find,
)
