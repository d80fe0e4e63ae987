"""The question put to the sawtooth: does Levenberg-Marquardt find the minimum that gradient descent never finds?"""

from dataclasses import dataclass

import numpy as np
import optax
import pandas as pd
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from jaxland.landscape import jitter, returned, symmetrise
from jaxland.plots import new_figure
from jaxland.problems import SawtoothProblem, sawtooth
from jaxland.statistics import wilson_interval
from jaxland.studies import Analysis, Claim, Context, Findings, measurement
from jaxland.training import solve, starting_points

# Fits of a piece: a minute's work or less.
_PIECE = 64
_COLORS = {"Levenberg-Marquardt": "#d55e00", "gradient descent": "#0072b2"}


@dataclass(frozen=True)
class SawtoothSettings:
    """Scale of the question."""

    starts: int = 128
    """Random starts, those of the first fits of the sawtooth study."""
    jitters: int = 128
    """Starts near W_f, the positive control."""
    radius: float = 1.0
    """Largest distance of these from W_f."""
    evaluations: int = 500
    """Of Levenberg-Marquardt."""
    epochs: int = 50_000
    """Of gradient descent with momentum, rate 0.01, from the same starts."""
    seed: int = 0
    """Of starts and jitters."""


@dataclass(frozen=True)
class Attempt:
    """Fits of one method from one set of starts."""

    loss: Float[np.ndarray, "F"]

    @property
    def found(self) -> Bool[np.ndarray, "F"]:
        """Which are at the global minimum: a mean squared error below 1e-5."""
        return returned(self.loss, loss_tolerance=1e-5)

    @property
    def told(self) -> str:
        """Counts, in words."""
        count, total = int(self.found.sum()), len(self.loss)
        low, high = wilson_interval(count, total)
        best = np.nanmin(self.loss, initial=np.inf)
        return f"{count} of {total} ({low:.1%} to {high:.1%}), best {best:.2e}, median {np.nanmedian(self.loss):.2e}"


def find(context: Context) -> Findings:
    """Tries both methods from random starts and from near W_f."""
    problem = sawtooth()
    settings: SawtoothSettings = context.settings
    minimum = symmetrise(problem.network, problem.minimum[None], x=problem.x).params[0]
    near = jitter(minimum, settings.jitters, settings.radius, settings.seed)
    random = starting_points(problem.network, settings.starts, seed=settings.seed).astype(np.float64)
    starts = {"random": random, "near W_f": near.params}
    attempts = {
        (method, name): _attempt(context, problem, method, name, start)
        for name, start in starts.items()
        for method in _COLORS
    }
    distances = {"random": np.nan, "near W_f": near.distance}
    rows = [
        pd.DataFrame(
            {"method": method, "starts": name, "loss": each.loss, "found": each.found, "distance": distances[name]}
        )
        for (method, name), each in attempts.items()
    ]
    figures = {"sawtooth-by-levenberg-marquardt": _figure(problem, attempts, near.distance)}
    return Findings(
        {"sawtooth.csv": pd.concat(rows)}, figures, _claims(settings, attempts), captions=_captions(attempts)
    )


def _attempt(context: Context, problem: SawtoothProblem, method: str, name: str, start: np.ndarray) -> Attempt:
    settings: SawtoothSettings = context.settings

    def solved(block: np.ndarray):
        method, evaluations = "hagan_menhaj", settings.evaluations
        found = solve(problem.network, problem, method, block, evaluations=evaluations, threads=context.threads)
        return {"loss": found.loss}

    def descended(block: np.ndarray):
        optimizer = optax.sgd(0.01, momentum=0.9)
        fits = context.fit(problem.network, problem, optimizer, steps=settings.epochs, start=block, dtype="float64")
        return {"loss": fits.loss}

    train = solved if method == "Levenberg-Marquardt" else descended
    return Attempt(**context.pieces(f"{method} {name}".replace(" ", "-"), start, train, _PIECE))


def _figure(problem: SawtoothProblem, attempts: dict[tuple[str, str], Attempt], distance: np.ndarray) -> Figure:
    figure, (left, right) = new_figure(2)
    smooth = problem.target.amplitude**2 / 3
    for (method, color), marker in zip(_COLORS.items(), "os", strict=True):
        loss = np.sort(attempts[method, "random"].loss)
        left.plot(np.arange(1, len(loss) + 1), loss, marker, ms=2.5, mew=0, color=color, label=method)
        near = np.maximum(attempts[method, "near W_f"].loss, 1e-32)
        right.plot(distance, near, marker, ms=3, mew=0, alpha=0.7, color=color, label=method)
    left.axhline(smooth, color="#444444", ls="--", lw=1, label="smooth fit, a²/3")
    right.axhline(1e-5, color="#444444", ls="--", lw=1, label="below: at $W_f$")
    left.set(title="From random starts", xlabel="rank of the fit", ylabel="mean squared error", yscale="log")
    right.set(title="From near $W_f$", xlabel="distance of the start from $W_f$", yscale="log")
    right.set_ylabel("mean squared error")
    for ax in (left, right):
        ax.legend()
    return figure


def _claims(settings: SawtoothSettings, attempts: dict[tuple[str, str], Attempt]) -> list[Claim]:
    standard, descent = (attempts[method, "random"] for method in _COLORS)
    near, near_descent = (attempts[method, "near W_f"] for method in _COLORS)
    return [
        measurement(
            "does Levenberg-Marquardt find the global minimum of the sawtooth, which gradient descent never does?",
            f"from random starts Levenberg-Marquardt {standard.told}; gradient descent {descent.told}",
            detail=f"5 x 5 ReLU network, 136 parameters, {settings.evaluations:,} evaluations against "
            f"{settings.epochs:,} steps with momentum, float64; found means an error below 1e-5",
        ),
        measurement(
            "does it return to that minimum from nearby?",
            f"from within {settings.radius:g} of W_f Levenberg-Marquardt {near.told}; gradient descent "
            f"{near_descent.told}",
            detail="the positive control: jitters with norms uniform up to the radius",
        ),
    ]


def _captions(attempts: dict[tuple[str, str], Attempt]) -> dict[str, str]:
    random, near = (attempts["Levenberg-Marquardt", name] for name in ("random", "near W_f"))
    return {
        "sawtooth-by-levenberg-marquardt": "The sawtooth by Levenberg-Marquardt and by gradient descent: the "
        "former finds the "
        f"global minimum from {int(random.found.sum())} of {len(random.loss)} random starts, and from "
        f"{int(near.found.sum())} of {len(near.loss)} nearby."
    }


ANALYSIS = Analysis(
    quick=SawtoothSettings(),
    paper=SawtoothSettings(starts=512, jitters=512, radius=2.0, evaluations=1_000),
    find=find,
)
