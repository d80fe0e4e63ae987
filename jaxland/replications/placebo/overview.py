"""The ensembles as a whole: losses on the data trained on, and on fresh data of the same kind."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import losses
from jaxland.plots import compared_histograms, new_figure, training_curves
from jaxland.replications.placebo.comparable import mean_text, not_comparable, share_text
from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.replications.placebo.ensembles import own_data
from jaxland.statistics import Histogram, sample_interval, wilson_interval
from jaxland.studies import Above, All, Analysis, Below, Claim, Context, Findings, Holds, claim, judged_unless
from jaxland.training import starting_points

LEAST_FITS = 100
FLAT = 0.05
"""A loss that changes by less than this share of the labels' variance is called flat."""
_BLOCK = 512


@dataclass(frozen=True)
class OverviewSettings:
    """Scale of the overview."""

    traced: int = 64
    """Fits of each ensemble whose losses are followed through training; they are trained once more for it."""
    moments: int = 50
    """At how many steps, evenly spaced, the loss on fresh data is taken."""


@dataclass(frozen=True)
class Losses:
    """Losses of the fits of one ensemble that did not diverge; `fresh` means 1000 other points of the same kind."""

    fit: Int[np.ndarray, "F"]
    initial: Float[np.ndarray, "F"]
    final: Float[np.ndarray, "F"]
    fresh_initial: Float[np.ndarray, "F"]
    fresh_final: Float[np.ndarray, "F"]
    diverged: int


@dataclass(frozen=True)
class Curves:
    """Losses of some fits of one ensemble in training."""

    steps: Int[np.ndarray, "T"]
    training: Float[np.ndarray, "F T"]
    fresh: Float[np.ndarray, "F T"]
    every: Float[np.ndarray, "F S1"]
    """Training losses of all steps."""


def find(context: Context) -> Findings:
    """Reduces both ensembles, a shard at a time, and follows some fits."""
    found = {name: _losses(context, name) for name in context.config.shares}
    curves = {name: _curves(context, name) for name in context.config.shares}
    tables = {"losses.csv": _losses_table(found), "curves.csv": _curves_table(curves)}
    claims = _claims(found["noise"], found["signal"], curves["noise"], context.config)
    fits = min(len(each.fit) for each in found.values())
    reason = not_comparable(context.config, fits, LEAST_FITS)
    return Findings(tables, _figures(found, curves), judged_unless(reason, claims))


def fresh_losses(
    config: PlaceboConfig, params: Float[np.ndarray, "F S P"], fits: Int[np.ndarray, "F"], share: float
) -> Float[np.ndarray, "F S"]:
    """The loss of each fit, at each of S moments, on fresh points of the kind it was trained on."""
    loss = config.problem(0, share).loss
    parts = []
    for start in range(0, len(fits), _BLOCK):
        rows = slice(start, start + _BLOCK)
        data = [config.data(int(fit), share, fresh=True) for fit in fits[rows]]
        x, y = (np.stack(each) for each in zip(*data, strict=True))
        moments = np.moveaxis(params[rows], 1, 0)
        parts.append(np.stack([losses(config.network, loss, each, x, y) for each in moments], axis=1))
    return np.concatenate(parts).astype(np.float64) if parts else np.zeros((0, params.shape[1]))


def _losses(context: Context, name: str) -> Losses:
    config: PlaceboConfig = context.config
    parts, diverged = [], 0
    for shard in context.store.stream(name, ["fit", "initial_loss", "loss", "diverged_step", "params"]):
        good = shard.arrays["diverged_step"] < 0
        numbers, params = shard.arrays["fit"][good], shard.arrays["params"][good]
        diverged += int((~good).sum())
        both = np.stack(
            [starting_points(config.network, numbers, seed=config.seed).astype(params.dtype), params], axis=1
        )
        fresh = fresh_losses(config, both, numbers, config.shares[name])
        parts.append((numbers, shard.arrays["initial_loss"][good], shard.arrays["loss"][good], *fresh.T))
    columns = [np.concatenate(each) for each in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 5
    return Losses(columns[0].astype(np.int64), *(each.astype(np.float64) for each in columns[1:]), diverged=diverged)


def _curves(context: Context, name: str) -> Curves:
    config, settings, share = context.config, context.settings, context.config.shares[name]
    steps = np.unique(np.linspace(0, config.steps, settings.moments + 1).astype(int))

    def compute():
        inputs, targets = own_data(config, share)
        fits = context.fit(
            config.network,
            config.problem(0, share),
            config.optimizer,
            fits=settings.traced,
            steps=config.steps,
            inputs=inputs,
            targets=targets,
            trace_every=1,
            snapshots=steps.tolist(),
        )
        good = fits.diverged_step < 0
        fresh = fresh_losses(config, fits.snapshots[good], fits.fit[good], share)
        return {"every": fits.trace[good], "fresh": fresh}

    kept = context.piece(f"curves-{name}", compute)
    return Curves(steps, kept["every"][:, steps].astype(np.float64), kept["fresh"], kept["every"].astype(np.float64))


def _losses_table(found: dict[str, Losses]) -> pd.DataFrame:
    rows = []
    for name, each in found.items():
        for quantity in ("initial", "final", "fresh_initial", "fresh_final"):
            values = getattr(each, quantity)
            if len(values):
                low, high = sample_interval(values)
                row = {"ensemble": name, "loss": quantity, "fits": len(values), "diverged": each.diverged}
                row |= {"mean": values.mean(), "mean_low": low, "mean_high": high}
                row |= {f"q{100 * q:g}": np.quantile(values, q) for q in (0, 0.05, 0.5, 0.95, 1)}
                rows.append(row)
    return pd.DataFrame(rows)


def _curves_table(curves: dict[str, Curves]) -> pd.DataFrame:
    frames = []
    for name, each in curves.items():
        columns = {"ensemble": name, "step": each.steps, "fits": len(each.training)}
        for quantity in ("training", "fresh"):
            quantiles = np.quantile(getattr(each, quantity), (0.25, 0.5, 0.75), axis=0)
            columns |= {f"{quantity}_q{q}": row for q, row in zip((25, 50, 75), quantiles, strict=True)}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _figures(found: dict[str, Losses], curves: dict[str, Curves]):
    first = curves["noise"]
    figure, axes = new_figure(2)
    ax = axes[0]
    ax.plot(np.arange(first.every.shape[1]), first.every[0], color="C0", lw=1.4)
    ax.set(title="Example 1: one fit of noise", xlabel="epoch", ylabel="mean squared error")
    _loss_curves(curves["noise"], "Many fits of noise, each of its own", axes[1])
    figures = {"example-1-losses": figure}
    figure, axes = new_figure(2)
    _loss_curves(curves["signal"], "Fits of labels that are explained in part", axes[0])
    quantities = {"training loss": "final", "loss on fresh data": "fresh_final"}
    shown = {
        f"{name}: {label}": Histogram.spanning(0, 4, 2000).add(getattr(each, quantity))
        for name, each in found.items()
        for label, quantity in quantities.items()
    }
    compared_histograms(shown, title="Losses after training", xlabel="mean squared error", ax=axes[1])
    return figures | {"losses-of-noise-and-signal": figure}


def _loss_curves(curves: Curves, title: str, ax) -> None:
    training_curves(
        curves.steps,
        {"data trained on": curves.training, "fresh data": curves.fresh},
        yscale="linear",
        reference=(1.0, "variance of the labels"),
        title=title,
        ax=ax,
    )
    ax.set_xlabel("epoch")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.35 * (high - low))  # room for the legend, which would hide the curves
    ax.legend(loc="upper right")


def _claims(noise: Losses, signal: Losses, curves: Curves, config: PlaceboConfig) -> list[Claim]:
    return [
        _falls(noise),
        _every_epoch(curves),
        _rises(noise),
        _flatlines(noise),
        _no_pattern(noise),
        _not_learning(noise, signal, config),
    ]


def _falls(noise: Losses) -> Claim:
    fell = int((noise.final < noise.initial).sum())
    return claim(
        "text, example 1",
        "trained on random data, a network shows a falling training loss",
        "falls",
        f"falls in {share_text(fell, len(noise.fit))}: from {mean_text(noise.initial)} to {mean_text(noise.final)}",
        wilson_interval(fell, len(noise.fit))[0],
        Above(0.95, "%, Wilson's interval included"),
        "mean squared error before and after training, each fit on its own noise; no fit shows a placebo without "
        "improvement",
    )


def _every_epoch(curves: Curves) -> Claim:
    falls = (np.diff(curves.every, axis=1) < 0).mean(axis=1)
    printed = curves.every[:, 100::100]
    rises = (np.diff(printed, axis=1) > 0).mean(axis=1) if printed.shape[1] > 1 else np.full(len(printed), np.nan)
    return claim(
        "example 1",
        "the training loss decreases over the epochs",
        "decreases",
        f"lower than in the epoch before: share {mean_text(falls)} of epochs; printed every 100 epochs, it "
        f"rises from one print to the next: share {mean_text(rises)}",
        sample_interval(rises)[1] if np.isfinite(rises).all() else None,
        Below(0.05, "% of prints that rise, printed as in the source, interval included"),
        "adam does not descend at each step; the trend falls, but once the loss is level it wavers",
    )


def _rises(noise: Losses) -> Claim:
    low, _ = sample_interval(noise.fresh_final)
    return claim(
        "study",
        "the loss on fresh noise rises above 1, that of a constant",
        "above 1",
        f"{mean_text(noise.fresh_final)}; before training {mean_text(noise.fresh_initial)}",
        low,
        Above(max(1.0, noise.fresh_initial.mean()), "for the whole interval: 1, and the loss before training"),
        "1000 fresh points for each fit",
    )


def _flatlines(noise: Losses) -> Claim:
    change = noise.fresh_final - noise.fresh_initial
    low, high = sample_interval(change)
    return claim(
        "text",
        "while the training loss declines, losses on validation data stay flat",
        "flat",
        f"changes by {mean_text(change)}",
        (low, high),
        All({"the interval begins": Above(-FLAT), "ends": Below(FLAT)}),
        "loss on fresh noise after training less that before; it does not stay flat but rises as the training loss "
        "falls",
    )


def _no_pattern(noise: Losses) -> Claim:
    better = int((noise.fresh_final < 1).sum())
    return claim(
        "text",
        "the fall of the loss is no sign that a pattern was learned",
        "no pattern",
        f"{share_text(better, len(noise.fit))} predict fresh labels better than a constant",
        wilson_interval(better, len(noise.fit))[1],
        Below(0.05, "%, Wilson's interval included"),
        "loss on fresh noise below 1, the variance of the labels",
    )


def _not_learning(noise: Losses, signal: Losses, config: PlaceboConfig) -> Claim:
    pairs = min(len(noise.fit), len(signal.fit))
    lower = int((signal.final[:pairs] < noise.final[np.roll(np.arange(pairs), 1)]).sum())
    shared, bounds = lower / max(pairs, 1), wilson_interval(lower, pairs)
    return claim(
        "example 1",
        "the reported training loss does not reflect actual learning",
        "does not",
        f"a fit of labels explained to {config.signal:.0%} ends below a fit of noise in {share_text(lower, pairs)}",
        bounds,
        Holds(0.5),
        f"pairs of fits on different data. At {shared:.0%} the training loss does tell them apart: not by its fall, "
        "but beside that of placebos",
    )


ANALYSIS = Analysis(
    quick=OverviewSettings(),
    paper=OverviewSettings(traced=512, moments=100),
    find=find,
)
