"""Basins of attraction over the plane of the weights, and how long descent takes from each of its points."""

from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import optax
import pandas as pd
from jaxtyping import Float, Int

from jaxland.plots import basin_map, duration_map, new_figure
from jaxland.replications.backprop.config import BackpropConfig, ensemble_name
from jaxland.replications.backprop.maps import WINDOW
from jaxland.replications.backprop.model import SYMBOLS, WEIGHTS
from jaxland.replications.backprop.settling import COLORS, MINIMA, NAMES, TOLERANCE, Settled, ends, settled
from jaxland.replications.backprop.statements import STATEMENTS
from jaxland.statistics import Estimate, wilson_interval
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement
from jaxland.training import starting_points

# Fits of a piece: some minutes' work at most.
_PIECE = 16_384
_AXES = (SYMBOLS[WEIGHTS[0]], SYMBOLS[WEIGHTS[1]])
_LEAST_EPOCHS = 10_000
_ADVISED = 512
"""Starts from small values."""


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
    figures = _figures(context.config, found)
    return Findings({"basins.csv": _table(found)}, figures, _claims(context, found), captions=_captions(found))


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
    basins, axes = new_figure(len(found), height=3.1)
    for ax, (rate, each) in zip(axes, found.items(), strict=True):
        title = f"Rate {rate:g}\n{len(each.minimum):,} starts, {config.epochs:,} epochs"
        basin_map(each.start, each.minimum, NAMES, COLORS, labels=_AXES, title=title, ax=ax)
        _mark(ax)
    durations, axes = new_figure(len(found))
    every = np.concatenate([each.timed.epoch for each in found.values()])
    every = every[np.isfinite(every)]
    # One scale for all, from the fastest: its ends are round.
    span = (_rounded(every.min(), np.floor), _rounded(config.epochs, np.ceil)) if len(every) else None
    for ax, (rate, each) in zip(axes, found.items(), strict=True):
        starts = each.start[: len(each.timed.minimum)]
        reached = np.isfinite(each.timed.epoch)
        title = f"Rate {rate:g}\ngrey: more than {config.epochs:,} epochs"
        duration_map(starts, each.timed.epoch, reached, labels=_AXES, span=span, title=title, ax=ax)
        _mark(ax)
    return {"basins": basins, "epochs-to-converge": durations}


def _rounded(epochs: float, towards) -> float:
    """To one digit that counts."""
    power = 10.0 ** np.floor(np.log10(max(epochs, 1)))
    return max(float(towards(epochs / power) * power), 1.0)


def _mark(ax):
    limits = (ax.get_xlim(), ax.get_ylim())
    ax.scatter(*MINIMA.T, marker="*", s=90, color="white", edgecolors="black", zorder=4)
    ax.set(xlim=limits[0], ylim=limits[1])


def _claims(context: Context, found: dict[float, Basins]) -> list[Claim]:
    config: BackpropConfig = context.config
    rate, each = _fastest(found)
    short = config.epochs < _LEAST_EPOCHS
    claims = [
        *chain.from_iterable(map(_guesses, found.items())),
        small_starts_claim(each.minimum, _advised(context, rate), rate),
        one_rate_claim(each.timed.epoch, config.epochs, rate),
    ]
    reason = f"judged from {_LEAST_EPOCHS:,} epochs on" if short else ""
    return [*judged_unless(reason, claims), *chain.from_iterable(map(partial(_arrived, config), found.items()))]


def _advised(context: Context, rate: float) -> Int[np.ndarray, "F"]:
    """Where descents end that start from small values, uniform in [-1, 1]."""
    config, start = context.config, np.random.default_rng(0).uniform(-1, 1, (_ADVISED, 2))

    def train():
        fits = context.fit(config.network, config.problem, optax.sgd(rate), start=start, steps=config.epochs)
        return {"minimum": ends(fits.params.astype(np.float64), fits.loss.astype(np.float64), config.loss)}

    return context.piece(f"advised-{ensemble_name(rate)}", train)["minimum"]


def _fastest(found: dict[float, Basins]) -> tuple[float, Basins]:
    """The rate at which most fits arrive."""
    return min(found.items(), key=lambda item: item[1].shares[-1])


def guesses_claim(share: Estimate, starts: int, of: str) -> Claim:
    """What five guesses are worth.

    Args:
        share: of single guesses that reach the global minimum.
        starts: they were counted on.
        of: the rate, and the window that guesses are from.
    """
    of_five = Estimate(*(1 - (1 - each) ** 5 for each in share))
    return STATEMENTS["several-guesses"].claim(
        f"{share:.1%} of {starts:,} starts reach the global minimum, one of five guesses with a chance of "
        f"{of_five:.0%}",
        of_five,
        of=of,
        cases=starts,
        detail=f"starts uniform in the window; at a minimum means its error to {TOLERANCE:g}",
    )


def small_starts_claim(wide: Int[np.ndarray, "F"], small: Int[np.ndarray, "G"], rate: float) -> Claim:
    """Of where starts from the rectangle end, and starts from small values."""
    one, other = (Estimate.share(int((each == 0).sum()), len(each)) for each in (small, wide))
    gain = Estimate(one.value - other.value, one.low - other.high, one.high - other.low)
    return STATEMENTS["small-starts"].claim(
        f"{one.value:.1%} of {len(small):,} starts from [-1, 1], {other.value:.1%} of {len(wide):,} from the "
        f"rectangle; "
        f"{(small == 1).mean():.1%} and {(wide == 1).mean():.1%} end at the other minimum",
        gain,
        cases=min(len(small), len(wide)),
        detail=f"rate {rate:g}; Wilson's 95 % intervals of both shares",
    )


def one_rate_claim(epochs: Float[np.ndarray, "F"], last: int, rate: float) -> Claim:
    """Of the epochs that descents take at one rate; NaN for those that have not arrived at the last."""
    cut = np.where(np.isfinite(epochs), epochs, last)
    quick, slow = (Estimate.quantile(cut, level) for level in (0.05, 0.95))
    bounds = slow.low / max(quick.high, 1), min(slow.high, last) / max(quick.low, 1)
    ratio = Estimate(slow.value / max(quick.value, 1), *bounds)
    return STATEMENTS["one-rate"].claim(
        f"{slow.value:,.0f} epochs for slow starts, {quick.value:,.0f} for quick ones, a factor of {ratio}",
        ratio,
        cases=len(epochs),
        detail=f"epochs until the error stays within {TOLERANCE:g} of a minimum's, cut at {last:,}; at rate "
        f"{rate:g}, at "
        "which most arrive",
    )


def _arrived(config: BackpropConfig, item: tuple[float, Basins]) -> list[Claim]:
    """Of the rectangle, and of the square that the contour map shows: shares belong to their window."""
    rate, each = item
    return [
        measurement(
            f"where starts from {window} are after {config.epochs:,} epochs", _shares(minimum), of=f"rate {rate:g}"
        )
        for window, minimum in _windows(each).items()
    ]


def _guesses(item: tuple[float, Basins]) -> list[Claim]:
    rate, each = item
    return [
        guesses_claim(Estimate.share(int((minimum == 0).sum()), len(minimum)), len(minimum), f"rate {rate:g}, {window}")
        for window, minimum in _windows(each).items()
    ]


def _windows(each: Basins) -> dict[str, Int[np.ndarray, "_"]]:
    """Where starts end, of the windows that have any."""
    low, high = np.array(WINDOW).T
    inside = ((each.start >= low) & (each.start <= high)).all(axis=1)
    windows = {"the rectangle": each.minimum, f"its part in [{low[0]:g}, {high[0]:g}]^2": each.minimum[inside]}
    return {window: minimum for window, minimum in windows.items() if len(minimum)}


def _shares(minimum: Int[np.ndarray, "F"]) -> str:
    shares = [Estimate.share(int((minimum == place).sum()), len(minimum)) for place in range(len(NAMES))]
    told = (f"{name} {share:.1%}" for name, share in zip(NAMES, shares, strict=True))
    return f"{', '.join(told)} of {len(minimum):,}"


def _captions(found: dict[float, Basins]) -> dict[str, str]:
    told = "; ".join(
        f"at rate {rate:g} {each.shares[0]:.0%} of {len(each.minimum):,} starts end at the global minimum, "
        f"{each.shares[1]:.0%} at the other, {each.shares[2]:.0%} at neither"
        for rate, each in found.items()
    )
    return {
        "basins": f"Basins of attraction over the plane of two weights: {told}.",
        "epochs-to-converge": epochs_told(_table(found)),
    }


def epochs_told(table: pd.DataFrame) -> str:
    """A sentence for the map of durations, from `basins.csv`."""
    rows = [row for row in table.to_dict("records") if np.isfinite(row["epochs_median"])]
    told = "; ".join(
        f"at rate {rate:g} "
        + ", ".join(f"{row['epochs_median']:,.0f} to the {row['ends_at']}" for row in rows if row["rate"] == rate)
        for rate in dict.fromkeys(row["rate"] for row in rows)
    )
    medians = f", in the median {told}" if told else ""
    return f"Epochs that descents take by where they start{medians}; the grey ones did not arrive."


ANALYSIS = Analysis(
    quick=BasinSettings(),
    paper=BasinSettings(timed=100_000),
    find=find,
)
