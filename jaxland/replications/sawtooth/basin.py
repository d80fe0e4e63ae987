"""Figure 12: how far from a minimum training still leads back to it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from jaxland.landscape import jitter, output_distances, returned
from jaxland.plots import basin_scatter, new_figure
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.palette import LABELS
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.statistics import LogisticFit, binned_shares, logistic_fit, wilson_interval
from jaxland.studies import Above, All, Analysis, Below, Claim, Context, Equals, Findings, claim
from jaxland.training import make_optimizer

# What a fit may differ by that is back at its minimum; the wave is of order one.
_SAME_LOSS, _SAME_OUTPUT = 1e-5, 1e-3
# Fits of a piece: a quarter of a minute's work.
_PIECE = 1024
_BINS = 20


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

    @property
    def logistic(self) -> LogisticFit:
        """The chance to return against the norm of the noise."""
        return logistic_fit(self.distance, self.returned)


def find(context: Context) -> Findings:
    """Retrains, a piece at a time."""
    minimum = global_minimum(context.config)
    basins = {}
    if minimum is not None:
        basins = {name: _global(context, minimum, name) for name in context.config.optimizers}
    local = _local(context)
    tables = {"basin-fits.csv": _fits_table(basins, local), "basin-shares.csv": _shares_table(basins, local)}
    return Findings(tables, _figures(basins, local), _claims(context, basins, local))


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
    yield from ((f"W_f, {name}", each) for name, each in basins.items())
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
        figure, axes = new_figure(len(basins))
        for ax, (name, each) in zip(axes, basins.items(), strict=True):
            title = f"Basin of $W_f$: {LABELS[name]}"
            basin_scatter(each.distance, each.loss, each.returned, title=title, bins=_BINS, ax=ax)
        figures["figure-12-basin-of-the-global-minimum"] = figure
    shown = dict(list(local.items())[:3])
    if shown:
        figure, axes = new_figure(len(shown))
        for ax, (number, each) in zip(axes, shown.items(), strict=True):
            title = f"Basin of the local minimum of fit {number}"
            basin_scatter(each.distance, each.loss, each.returned, title=title, bins=_BINS // 2, ax=ax)
        figures["basins-of-local-minima"] = figure
    return figures


def _claims(context: Context, basins: dict[str, Basin], local: dict[int, Basin]) -> list[Claim]:
    claims = [_returns(name, each) for name, each in basins.items()]
    if basins:
        claims.append(_narrow(next(iter(basins.values())), local))
    return judged_where_comparable(context.config, claims)


def _share_within(basin: Basin, low: float, high: float) -> tuple[float, str]:
    inside = (basin.distance >= low) & (basin.distance < high)
    back = int(basin.returned[inside].sum())
    share = back / max(int(inside.sum()), 1)
    bounds = wilson_interval(back, int(inside.sum()))
    return share, f"{share:.1%} of {inside.sum():,} within {low:g} to {high:g} ({bounds[0]:.1%} to {bounds[1]:.1%})"


def _returns(name: str, basin: Basin) -> Claim:
    never = name == "adadelta"
    near, near_text = _share_within(basin, 0, 0.1)
    far, far_text = _share_within(basin, 1, 2)
    total = int(basin.returned.sum())
    lowest = basin.loss[np.isfinite(basin.loss)].min(initial=np.inf)
    nearby = All({"within 0.1 the share is": Above(0.5, "%"), "beyond 1": Below(0.05, "%")})
    return claim(
        "12",
        f"{name} never returns to the global minimum" if never else f"{name} returns only from nearby",
        "identically zero" if never else "near only",
        f"{total:,} of {len(basin.returned):,} return: {near_text}, {far_text}",
        total if never else (near, far),
        Equals(0) if never else nearby,
        f"returned means a loss below 1e-5; smallest loss {lowest:.1e}; logistic fit: {basin.logistic.message}",
    )


def _narrow(basin: Basin, local: dict[int, Basin]) -> Claim:
    fitted = basin.logistic
    widths = [_share_within(each, 0, 2)[0] for each in local.values()]
    beside = f"; {np.median(widths):.1%} to one of {len(widths)} local minima (median)" if widths else ""
    return claim(
        "section 1",
        "the domain of attraction of the global minimum is very narrow",
        "very narrow",
        f"an even chance to return at distance {fitted.half:.2f}, where local minima are about 10 away",
        fitted.half if fitted.status == "ok" else None,
        Below(1),
        f"logistic fit; of jitters of norm 0 to 2, {_share_within(basin, 0, 2)[0]:.1%} return to W_f{beside}, where "
        "returning means the minimum's loss to 1e-5 and its output to 1e-3",
    )


ANALYSIS = Analysis(
    quick=BasinSettings(),
    paper=BasinSettings(jitters=4096, minima=8, minimum_jitters=512),
    find=find,
)
