"""The ensembles as a whole: losses on the data trained on, and on fresh data of the same kind."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import losses
from jaxland.plots import compared_histograms, legend_below, new_figure, training_curves
from jaxland.replications.placebo.comparable import mean_text, not_comparable, share_text
from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.replications.placebo.ensembles import own_data
from jaxland.replications.placebo.statements import STATEMENTS
from jaxland.statistics import Estimate, Histogram, sample_interval
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement
from jaxland.training import starting_points

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
    reason = not_comparable(context.config)
    return Findings(tables, _figures(found, curves), judged_unless(reason, claims), captions=_captions(found))


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
    figure, axes = new_figure(3, height=2.5)
    _loss_curves(curves["signal"], "Labels explained in part", axes[0])
    quantities = {"On the data trained on": "final", "On fresh data": "fresh_final"}
    for ax, (title, quantity) in zip(axes[1:], quantities.items(), strict=True):
        shown = {name: Histogram.spanning(0, 4, 2000).add(getattr(each, quantity)) for name, each in found.items()}
        compared_histograms(shown, title=title, xlabel="loss after training", ax=ax)
        legend_below(ax)
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
    legend_below(ax)


def _claims(noise: Losses, signal: Losses, curves: Curves, config: PlaceboConfig) -> list[Claim]:
    return [
        falls_claim(noise),
        no_pattern_claim(noise),
        flatlines_claim(noise),
        every_epoch_claim(curves),
        not_learning_claim(noise, signal, config.signal),
        _fresh(noise),
    ]


def falls_claim(noise: Losses) -> Claim:
    """Of losses of fits of noise: in how many they fall, and by how much."""
    fell = int((noise.final < noise.initial).sum())
    low, middle, high = np.quantile(1 - noise.final / noise.initial, (0, 0.5, 1)) if len(noise.fit) else [np.nan] * 3
    return STATEMENTS["falls"].claim(
        f"falls in {share_text(fell, len(noise.fit))}, by {low:.0%} to {high:.0%}, {middle:.0%} in the median: from "
        f"{mean_text(noise.initial)} to {mean_text(noise.final)}",
        Estimate.share(fell, len(noise.fit)),
        cases=len(noise.fit),
        detail="mean squared error before and after training, each fit on its own noise",
    )


def every_epoch_claim(curves: Curves) -> Claim:
    """Of the losses of all epochs: how often they rise from one print to the next."""
    falls = (np.diff(curves.every, axis=1) < 0).mean(axis=1)
    printed = curves.every[:, 100::100]
    rises = (np.diff(printed, axis=1) > 0).mean(axis=1) if printed.shape[1] > 1 else np.full(len(printed), np.nan)
    return STATEMENTS["every-epoch"].claim(
        f"lower than in the epoch before: share {mean_text(falls)} of epochs; printed every 100 epochs, it "
        f"rises from one print to the next: share {mean_text(rises)}",
        Estimate.mean(rises) if np.isfinite(rises).all() and len(rises) else None,
        cases=len(rises),
        detail="adam does not descend at each step; the trend falls, but once the loss is level it wavers",
    )


def _fresh(noise: Losses) -> Claim:
    return measurement(
        "the loss of fits of noise on fresh noise, where a constant has 1",
        f"{mean_text(noise.fresh_final)}; before training {mean_text(noise.fresh_initial)}",
        detail="1000 fresh points for each fit",
    )


def flatlines_claim(noise: Losses) -> Claim:
    """Of losses on fresh data: how they change in training."""
    change = noise.fresh_final - noise.fresh_initial
    return STATEMENTS["flatlines"].claim(
        f"changes by {mean_text(change)}",
        Estimate.mean(change) if len(change) else None,
        cases=len(change),
        detail="loss on fresh noise after training less that before",
    )


def no_pattern_claim(noise: Losses) -> Claim:
    """Of losses on fresh data: how many are better than that of a constant."""
    better = int((noise.fresh_final < 1).sum())
    return STATEMENTS["no-pattern"].claim(
        f"{share_text(better, len(noise.fit))} predict fresh labels better than a constant",
        Estimate.share(better, len(noise.fit)),
        cases=len(noise.fit),
        detail="loss on fresh noise below 1, the variance of the labels",
    )


def not_learning_claim(noise: Losses, signal: Losses, explained: float) -> Claim:
    """Of losses of fits of noise and of labels that are explained in part."""
    pairs = min(len(noise.fit), len(signal.fit))
    lower = int((signal.final[:pairs] < noise.final[np.roll(np.arange(pairs), 1)]).sum())
    return STATEMENTS["not-learning"].claim(
        f"a fit of labels explained to {explained:.0%} ends below a fit of noise in {share_text(lower, pairs)}",
        Estimate.share(lower, pairs),
        cases=pairs,
        detail="pairs of fits on different data: not its fall, but how far it falls beside that of placebos tells them "
        "apart",
    )


def _captions(found: dict[str, Losses]) -> dict[str, str]:
    noise, signal = found["noise"], found["signal"]
    return {
        "example-1-losses": f"Training on noise: the loss falls in all fits to {np.mean(noise.final):.2f} in "
        f"the mean of "
        f"{len(noise.fit):,}, that on fresh noise rises to {np.mean(noise.fresh_final):.2f}.",
        "losses-of-noise-and-signal": "Losses after training of noise and of labels that are explained in part: "
        f"{np.mean(noise.final):.2f} and {np.mean(signal.final):.2f} in the mean on the data trained on, "
        f"{np.mean(noise.fresh_final):.2f} and {np.mean(signal.fresh_final):.2f} on fresh data.",
    }


ANALYSIS = Analysis(
    quick=OverviewSettings(),
    paper=OverviewSettings(traced=512, moments=100),
    find=find,
)
