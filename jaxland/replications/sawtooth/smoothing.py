"""Sections 1 and 5: data with noise, of which a network learns less than its parameters could, and more with time."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import outputs
from jaxland.plots import new_figure
from jaxland.replications.sawtooth.comparable import too_small
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.palette import COLORS, DASHES, LABELS
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.training import steps_shown
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import make_optimizer


@dataclass(frozen=True)
class SmoothingSettings:
    """Scale of the fits to noise."""

    fits: int = 16
    """Of each optimizer, each with noise of its own."""
    steps: int = 500
    """Of each fit."""
    seed: int = 0
    """Of the noise."""


@dataclass(frozen=True)
class Noisy:
    """Fits of one optimizer to a smooth function with noise, at some steps."""

    steps: Int[np.ndarray, "S"]
    inside: Float[np.ndarray, "F S"]
    """Mean squared error at the noisy data, over the noise's mean square."""
    truth: Float[np.ndarray, "F S"]
    """Mean squared error at the smooth function, over the noise's mean square: 1 for whoever reproduces the data."""
    learnt: Float[np.ndarray, "F S"]
    """Share of the noise in the fit, its regression on the noise: 1 for whoever reproduces the data."""
    parameters: int
    points: int

    @property
    def free(self) -> float:
        """Share of the noise that least squares with as many linear parameters learns, in the mean."""
        return self.parameters / self.points


def find(context: Context) -> Findings:
    """Trains fits to the smooth part of the target, with noise as large as its wave."""
    found = {name: _noisy(context, name) for name in context.config.optimizers}
    found = {name: each for name, each in found.items() if len(each.learnt) > 1}
    if not found:
        return Findings({}, {}, [])
    stem = "noise-in-the-data"
    few = min(len(each.learnt) for each in found.values())
    reason = too_small(context.settings.steps, few, 32)
    claims = [claim for name, each in found.items() for claim in noise_claims(name, each)]
    return Findings(
        {"smoothing.csv": _table(found)},
        {stem: _figure(found)},
        judged_unless(reason, claims),
        captions={stem: _caption(found)},
    )


def _noisy(context: Context, name: str) -> Noisy:
    config: SawtoothConfig = context.config
    settings: SmoothingSettings = context.settings
    steps = np.array(steps_shown(settings.steps))
    piece = f"{name}-{settings.fits}-{settings.steps}-{settings.seed}"
    arrays = context.piece(piece, partial(_train, context, name, steps))
    context.say(f"  noise: {name}")
    return Noisy(steps, **arrays, parameters=config.network.size, points=len(config.problem.x))


def _train(context: Context, name: str, steps: np.ndarray) -> dict[str, np.ndarray]:
    config: SawtoothConfig = context.config
    settings: SmoothingSettings = context.settings
    x, target = config.problem.x, config.problem.target
    smooth = target(x[:, 0]) - target.wave(x[:, 0])
    size = np.sqrt(np.mean(target.wave(x[:, 0]) ** 2))
    noise = np.random.default_rng(settings.seed).normal(0, size, (settings.fits, len(x)))
    fits = context.fit(
        config.network,
        config.problem,
        make_optimizer(config.optimizer(name)),
        fits=settings.fits,
        steps=settings.steps,
        targets=(smooth + noise)[:, :, None],
        snapshots=steps.tolist(),
    )
    good = fits.diverged_step < 0
    noise, params = noise[good], fits.snapshots[good].astype(np.float64)
    power = (noise**2).mean(axis=1)
    measures = []
    for index in range(len(steps)):
        error = outputs(config.network, params[:, index], x)[:, :, 0] - smooth
        inside, learnt = ((error - noise) ** 2).mean(axis=1), (error * noise).mean(axis=1)
        measures.append(np.stack([inside, (error**2).mean(axis=1), learnt]) / power)
    return dict(zip(("inside", "truth", "learnt"), np.stack(measures, axis=2), strict=True))


def _table(found: dict[str, Noisy]) -> pd.DataFrame:
    frames = []
    for name, each in found.items():
        columns = {"ensemble": name, "step": each.steps, "fits": len(each.learnt), "least_squares": each.free}
        columns |= {f"{key}_median": np.median(getattr(each, key), axis=0) for key in ("inside", "truth", "learnt")}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def _figure(found: dict[str, Noisy]):
    figure, (left, right) = new_figure(2)
    for name, each in found.items():
        for ax, values in ((left, each.truth), (right, each.learnt)):
            low, middle, high = np.quantile(values, (0.25, 0.5, 0.75), axis=0)
            ax.fill_between(each.steps, low, high, color=COLORS[name], alpha=0.2, lw=0)
            ax.plot(each.steps, middle, color=COLORS[name], ls=DASHES[name], label=LABELS[name])
    free = next(iter(found.values())).free
    for ax in (left, right):
        ax.axhline(free, color="black", ls=":", lw=1, label="least squares, as many parameters")
        ax.set_xscale("symlog", linthresh=10)
        ax.set(xlabel="step", xlim=(10, None))
    left.set(title="Error against the truth", ylabel="mean squared error / noise", yscale="log")
    right.set(title="Share of the noise learnt", ylabel="regression of the fit on the noise")
    left.legend()
    return figure


def _caption(found: dict[str, Noisy]) -> str:
    told = " and ".join(f"{np.median(each.learnt[:, -1]):.1%} ({name})" for name, each in found.items())
    free = next(iter(found.values())).free
    return (
        f"Fits of a smooth function with noise learn {told} of the noise in the median, where least squares with as "
        f"many parameters learns {free:.1%}."
    )


def noise_claims(name: str, noisy: Noisy) -> list[Claim]:
    """Whether fits smooth, whether that helps, and whether they hold more of the noise the longer they train."""
    count, last = len(noisy.learnt), noisy.steps[-1]
    learnt, truth = Estimate.quantile(noisy.learnt[:, -1]), Estimate.quantile(noisy.truth[:, -1])
    early = max(int(np.searchsorted(noisy.steps, last / 30, side="right")) - 1, 0)
    later = Estimate.mean(noisy.learnt[:, -1] - noisy.learnt[:, early])
    detail = f"{count} fits of {last:,} steps, each with noise of its own, as large as the wave of f; medians"
    free = f"least squares with {noisy.parameters} free parameters learns {noisy.free:.1%} of it"
    return [
        STATEMENTS["fewer-parameters"].claim(
            f"{learnt.value:.1%} of the noise is learnt; {free}",
            Estimate(*(value / noisy.free for value in learnt)),
            of=name,
            cases=count,
            detail=detail,
        ),
        STATEMENTS["generalises"].claim(
            f"the error against the truth is {truth.value:.1%} of the noise",
            Estimate(*(value / noisy.free for value in truth)),
            of=name,
            cases=count,
            detail=f"{detail}; {free}, and its error is as much",
        ),
        STATEMENTS["smooths"].claim(
            f"the error at the noisy data is {np.median(noisy.inside[:, -1]):.1%} of the noise",
            Estimate.quantile(noisy.inside[:, -1]),
            of=name,
            cases=count,
            detail=detail,
        ),
        STATEMENTS["time-controls"].claim(
            f"{np.median(noisy.learnt[:, early]):.1%} of the noise is learnt after {noisy.steps[early]:,} steps, "
            f"{learnt.value:.1%} after {last:,}",
            later,
            of=name,
            cases=count,
            detail=f"the mean of the fits' own differences is {later}",
        ),
    ]


ANALYSIS = Analysis(
    quick=SmoothingSettings(),
    paper=SmoothingSettings(fits=256, steps=50_000),
    find=find,
)
