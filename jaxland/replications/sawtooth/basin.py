"""Figure 12: how far from a minimum training still leads back to it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from jaxland.landscape import jitter, output_distances, returned
from jaxland.plots import basin_scatter, new_figure
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.measures import column, groups, percent, rows_where
from jaxland.replications.sawtooth.palette import LABELS
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import FAR, NEARBY
from jaxland.statistics import Estimate, LogisticFit, binned_shares, logistic_fit
from jaxland.studies import Analysis, Claim, Context, Findings, measurement
from jaxland.training import make_optimizer

# What a fit may differ by that is back at its minimum; the wave is of order one.
_SAME_LOSS, _SAME_OUTPUT = 1e-5, 1e-3
# Fits of a piece: a quarter of a minute's work.
_PIECE = 1024
_BINS = 20
# Local minima whose basins are drawn, and where the axis of their losses ends, in median losses.
_SHOWN, _HIGHEST = 4, 1.2
_OF_GLOBAL = "W_f, "


@dataclass(frozen=True)
class BasinSettings:
    """Scale of the basins."""

    jitters: int = 512
    """Starting points about W_f for each optimizer; the paper takes 4,096."""
    radius: float = 2.0
    """Largest norm of the noise; norms are uniform in [0, radius]."""
    steps: int = 20_000
    """Optimizer steps of each."""
    minima: int = 2
    """Local minima whose basins are taken too, the first fits of the first optimizer."""
    minimum_jitters: int = 128
    """Starting points about each of them."""
    polish: int = 50_000
    """Steps by which a local minimum is trained further before it is jittered."""
    seed: int = 0
    """Of the noise."""


@dataclass(frozen=True)
class Basin:
    """Fits retrained from about one minimum."""

    distance: Float[np.ndarray, "F"]
    """L2 norm of the noise."""
    loss: Float[np.ndarray, "F"]
    returned: Bool[np.ndarray, "F"]


def find(context: Context) -> Findings:
    """Retrains, a piece at a time."""
    minimum = global_minimum(context.config)
    basins = {}
    if minimum is not None:
        basins = {name: _global(context, minimum, name) for name in context.config.optimizers}
    local = _local(context)
    tables = {"basin-fits.csv": _fits_table(basins, local), "basin-shares.csv": _shares_table(basins, local)}
    fits = tables["basin-fits.csv"]
    return Findings(tables, _figures(basins, local), _claims(context, fits), captions=_captions(fits))


def _global(context: Context, minimum: np.ndarray, optimizer: str) -> Basin:
    settings: BasinSettings = context.settings
    start = jitter(minimum, settings.jitters, settings.radius, settings.seed)
    loss, _ = _retrain(context, optimizer, start.params, settings.steps, f"global-{optimizer}")
    return Basin(start.distance, loss, returned(loss, loss_tolerance=_SAME_LOSS))


def _retrain(context: Context, name: str, start: np.ndarray, steps: int, piece: str):
    """Losses (F,) and parameters (F, P) after training from `start`."""
    config: SawtoothConfig = context.config

    def train(start):
        optimizer = make_optimizer(config.optimizer(name))
        fits = context.fit(config.network, config.problem, optimizer, start=start, steps=steps)
        return {"loss": fits.loss, "params": fits.params}

    found = context.pieces(piece, start, train, _PIECE)
    return found["loss"].astype(np.float64), found["params"].astype(np.float64)


def _local(context: Context) -> dict[int, Basin]:
    """Basins of some local minima, by the number of the fit."""
    config, settings = context.config, context.settings
    optimizer = config.optimizers[0]
    sample = first_fits(config, context.store, optimizer, settings.minima)
    if not len(sample.fit):
        return {}
    loss, minima = _retrain(context, optimizer, sample.params, settings.polish, "polished")
    start = jitter(minima, settings.minimum_jitters, settings.radius, settings.seed)
    flat = start.params.reshape(-1, minima.shape[1])
    losses, params = _retrain(context, optimizer, flat, settings.steps, "local")
    shape = start.distance.shape
    params = params.reshape(*shape, -1)
    apart = [output_distances(config.network, *each, config.problem.x) for each in zip(params, minima, strict=True)]
    back = returned(
        losses.reshape(shape),
        loss,
        np.stack(apart),
        loss_tolerance=_SAME_LOSS,
        separation_tolerance=_SAME_OUTPUT,
    )
    return {
        int(number): Basin(*each)
        for number, *each in zip(sample.fit, start.distance, losses.reshape(shape), back, strict=True)
    }


def _named(basins: dict[str, Basin], local: dict[int, Basin]):
    yield from ((f"{_OF_GLOBAL}{name}", each) for name, each in basins.items())
    yield from ((f"fit {number}", each) for number, each in local.items())


def _fits_table(basins, local) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"basin": name, "distance": each.distance, "loss": each.loss, "returned": each.returned})
        for name, each in _named(basins, local)
    ]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _shares_table(basins, local) -> pd.DataFrame:
    frames = []
    for name, each in _named(basins, local):
        shares = binned_shares(each.distance, each.returned, np.linspace(0, each.distance.max() or 1.0, _BINS + 1))
        columns = {"basin": name, "low_distance": shares.edges[:-1], "high_distance": shares.edges[1:]}
        columns |= {"fits": shares.counts, "returned": shares.successes, "share": shares.share}
        frames.append(pd.DataFrame({**columns, "share_low": shares.low, "share_high": shares.high}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def _figures(basins: dict[str, Basin], local: dict[int, Basin]):
    figures = {}
    if basins:
        figure, axes = new_figure(len(basins), height=3.2)
        for ax, (name, each) in zip(axes, basins.items(), strict=True):
            title = f"Basin of $W_f$: {LABELS[name]}"
            basin_scatter(each.distance, each.loss, each.returned, title=title, bins=_BINS, ax=ax)
        figures["figure-12-basin-of-the-global-minimum"] = figure
    shown = dict(list(local.items())[:_SHOWN])
    if shown:
        rows = 1 if len(shown) < 3 else 2
        figure, axes = new_figure(min(len(shown), 2), rows=rows, height=3.1)
        for ax, (number, each) in zip(axes, shown.items(), strict=False):
            title = f"Basin of the local minimum of fit {number}"
            highest = _HIGHEST * float(np.nanmedian(each.loss))
            basin_scatter(each.distance, each.loss, each.returned, title=title, bins=_BINS // 2, highest=highest, ax=ax)
        for ax in axes[len(shown) :]:
            ax.set_axis_off()
        figures["basins-of-local-minima"] = figure
    return figures


def _claims(context: Context, table: pd.DataFrame) -> list[Claim]:
    return judged_where_comparable(context.config, basin_claims(table)) + own_claims(table)


def basin_claims(table: pd.DataFrame) -> list[Claim]:
    """Figure 12 and section 1, judged from `basin-fits.csv`."""
    claims = []
    for basin, those in _of_global(table):
        name = basin.removeprefix(_OF_GLOBAL)
        returns = never_claim if name == "adadelta" else nearby_claim
        claims += [returns(name, those)] + ([] if name == "adadelta" else [narrow_claim(name, those)])
    return claims


def _of_global(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(name, those) for name, those in groups(table, "basin") if name.startswith(_OF_GLOBAL)]


def _share_within(table: pd.DataFrame, low: float, high: float) -> tuple[Estimate, str]:
    inside = rows_where(table, (table["distance"] >= low) & (table["distance"] < high))
    where = f"beyond {low:g}" if np.isinf(high) else f"from within {high:g}"
    share = Estimate.share(int(column(inside, "returned").sum()), len(inside))
    return share, f"{percent(share)} of {len(inside):,} {where}"


def _logistic(table: pd.DataFrame) -> LogisticFit:
    return logistic_fit(column(table, "distance"), np.asarray(table["returned"], bool))


_RETURNED = f"returned means a loss below {_SAME_LOSS:g}"


def nearby_claim(name: str, table: pd.DataFrame) -> Claim:
    """Figure 12, left, of the noise, losses and returns of one optimizer."""
    near, near_text = _share_within(table, 0, NEARBY)
    far, far_text = _share_within(table, FAR, np.inf)
    return STATEMENTS["returns-nearby"].claim(
        f"{near_text}, {far_text}",
        (near, far),
        of=name,
        cases=len(table),
        detail=f"{_RETURNED}; smallest loss {table['loss'].min():.1e}; logistic fit: {_logistic(table).message}",
    )


def never_claim(name: str, table: pd.DataFrame) -> Claim:
    """Figure 12, right; arguments as those of `nearby_claim`."""
    share = Estimate.share(int(column(table, "returned").sum()), len(table))
    return STATEMENTS["adadelta-never"].claim(
        f"{table['returned'].sum():,} of {len(table):,} return, {percent(share)}",
        share,
        of=name,
        cases=len(table),
        detail=f"{_RETURNED}; smallest loss {table['loss'].min():.1e}",
    )


def narrow_claim(name: str, table: pd.DataFrame) -> Claim:
    """Section 1; arguments as those of `nearby_claim`."""
    fitted = _logistic(table)
    if fitted.status != "ok":
        return STATEMENTS["narrow"].not_tested(f"no logistic fit: {fitted.message}", of=name)
    half = Estimate(fitted.half, *fitted.half_interval)
    return STATEMENTS["narrow"].claim(
        f"half return at a noise of {half}", half, of=name, cases=len(table), detail="logistic fit"
    )


def own_claims(table: pd.DataFrame) -> list[Claim]:
    """Of local minima, which the source does not look at."""
    return [
        measurement("jitters that return to a local minimum", _share_within(those, 0, np.inf)[1], of=name)
        for name, those in groups(table, "basin")
        if not name.startswith(_OF_GLOBAL)
    ]


def _returns(table: pd.DataFrame) -> list[int]:
    """How many fits came back to each of the local minima."""
    own = [those for name, those in groups(table, "basin") if not name.startswith(_OF_GLOBAL)]
    return [int(column(those, "returned").sum()) for those in own]


def _captions(table: pd.DataFrame) -> dict[str, str]:
    captions = {}
    if basins := _of_global(table):
        told = [
            f"{name.removeprefix(_OF_GLOBAL)} {those['returned'].sum():,} of {len(those):,}" for name, those in basins
        ]
        captions["figure-12-basin-of-the-global-minimum"] = (
            f"Losses after training from W_f with noise, against its norm. Back at W_f: {', '.join(told)}."
        )
    if own := own_claims(table):
        told = ", ".join(f"{each.of} {count}" for each, count in zip(own, _returns(table), strict=True))
        drawn = f"; the first {_SHOWN} are drawn" if len(own) > _SHOWN else ""
        captions["basins-of-local-minima"] = (
            f"Losses after training from local minima with noise, against its norm. Back at theirs, of "
            f"{len(table[table['basin'] == own[0].of]):,} each: {told}{drawn}."
        )
    return captions


ANALYSIS = Analysis(
    quick=BasinSettings(),
    paper=BasinSettings(jitters=4096, minima=8, minimum_jitters=512),
    find=find,
)
