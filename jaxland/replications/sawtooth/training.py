"""Sections 1 and 4.2: what becomes of loss and complexity while the networks are trained."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import most_knots, outputs, piecewise_linear
from jaxland.plots import new_figure, training_curves
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.palette import LABEL_COLORS, labelled
from jaxland.studies import Above, All, Analysis, AtLeast, Below, Claim, Context, Findings, claim
from jaxland.training import make_optimizer

_EARLY = 1_000
"""Steps that the paper's "few hundred" allow for."""


@dataclass(frozen=True)
class TrainingSettings:
    """Scale of what is followed."""

    fits: int = 64
    """Of each optimizer: the first ones of the study, trained again."""


@dataclass(frozen=True)
class Course:
    """Fits of one optimizer at some steps."""

    steps: Int[np.ndarray, "S"]
    loss: Float[np.ndarray, "F S"]
    knots: Int[np.ndarray, "F S"]

    def at(self, step: int) -> int:
        """Index of the last step kept that is not later."""
        return int(np.searchsorted(self.steps, step, side="right")) - 1


def find(context: Context) -> Findings:
    """Trains the fits again and looks at them on the way."""
    found = {name: _course(context, name) for name in context.config.optimizers}
    found = {name: each for name, each in found.items() if len(each.loss)}
    if not found:
        return Findings({}, {}, [])
    return Findings({"training.csv": _table(found)}, {"training": _figure(context, found)}, _claims(context, found))


def steps_shown(last: int) -> list[int]:
    """0, 10, 30, 100, 300, ... and the last one."""
    return [0, *(step for power in range(1, 12) for step in (10**power, 3 * 10**power) if step < last), last]


def _course(context: Context, optimizer: str) -> Course:
    steps = np.array(steps_shown(context.config.steps))
    arrays = context.piece(f"{optimizer}-{context.settings.fits}", partial(_train, context, optimizer, steps))
    return Course(steps, arrays["loss"], arrays["knots"])


def _train(context: Context, name: str, steps: np.ndarray) -> dict[str, np.ndarray]:
    config: SawtoothConfig = context.config
    optimizer = make_optimizer(config.optimizer(name))
    count, kept = context.settings.fits, steps.tolist()
    fits = context.fit(config.network, config.problem, optimizer, fits=count, steps=config.steps, snapshots=kept)
    good = fits.diverged_step < 0
    params = fits.snapshots[good].astype(np.float64)
    x, y = config.problem.x, config.problem.y
    values = [_measure(config.network, params[:, step], x, y) for step in range(len(steps))]
    loss, knots = (np.stack(each, axis=1) for each in zip(*values, strict=True))
    return {"loss": loss, "knots": knots}


def _measure(network, params, x, y):
    errors = outputs(network, params, x)[:, :, 0] - y.reshape(-1)
    return (errors**2).mean(axis=1), piecewise_linear(network, params).interior_counts


def _table(found: dict[str, Course]) -> pd.DataFrame:
    frames = []
    for name, each in found.items():
        columns = {"ensemble": name, "step": each.steps, "fits": len(each.loss)}
        for quantity in ("loss", "knots"):
            low, middle, high = np.quantile(getattr(each, quantity), (0.25, 0.5, 0.75), axis=0)
            columns |= {f"{quantity}_q25": low, f"{quantity}_median": middle, f"{quantity}_q75": high}
        frames.append(pd.DataFrame({**columns, "most_knots": each.knots.max(axis=0)}))
    return pd.concat(frames, ignore_index=True)


def _figure(context: Context, found: dict[str, Course]):
    figure, (left, right) = new_figure(2)
    steps = next(iter(found.values())).steps
    losses = labelled({name: each.loss for name, each in found.items()})
    training_curves(steps, losses, colors=LABEL_COLORS, xscale="symlog", ax=left)
    own = len(context.config.problem.target.knots) - 2
    training_curves(
        steps,
        labelled({name: each.knots.astype(float) for name, each in found.items()}),
        colors=LABEL_COLORS,
        ylabel="interior knots",
        xscale="symlog",
        yscale="linear",
        reference=(own, f"the target: {own}"),
        title="Complexity in training",
        ax=right,
    )
    for ax in (left, right):
        ax.set_xscale("symlog", linthresh=10)
        ax.set_xlim(0, steps[-1])
    return figure


def _claims(context: Context, found: dict[str, Course]) -> list[Claim]:
    most, claims = most_knots(context.config.network.spec.widths), []
    for name, each in found.items():
        claims += [_grows(name, each), _bounded(name, each, most), _settles(name, each)]
    return judged_where_comparable(context.config, claims)


def _grows(name: str, each: Course) -> Claim:
    # Biases begin at zero, so that at step 0 all knots lie at x = 0: the rise is judged from the first steps on.
    medians = np.median(each.knots, axis=0)
    shown = ", ".join(f"{median:.0f} at {step:,}" for median, step in zip(medians[::2], each.steps[::2], strict=True))
    later, whole = np.diff(medians[1:]), medians[-1] - medians[1]
    return claim(
        "section 1",
        f"{name}: complexity increases smoothly with training time",
        "increases smoothly",
        f"median interior knots {shown}",
        (whole, later.min(initial=0.0), later.max(initial=0.0) / max(np.ptp(medians[1:]), 1)),
        All(
            {
                f"from step {each.steps[1]} on the rise of the median is": Above(0, "knots"),
                "its change in each three-fold of the steps": AtLeast(-1, "knot"),
                "the largest of these": Below(0.75, "% of the rise"),
            }
        ),
        f"exact knots of {len(each.knots)} fits; at step 0 biases are zero and all knots lie at x = 0",
    )


def _bounded(name: str, each: Course, most: int) -> Claim:
    largest = int(each.knots.max())
    return claim(
        "section 1",
        f"{name}: at no time of the training is the complexity near what the architecture allows",
        "much less",
        f"at most {largest} interior knots of {most:,} possible",
        largest / most,
        Below(0.1, "% of what is possible"),
        f"{len(each.knots)} fits at {len(each.steps)} steps",
    )


def _settles(name: str, each: Course) -> Claim:
    early = np.median(each.loss[:, each.at(_EARLY)])
    late = np.median(each.loss[:, -1])
    return claim(
        "section 4.2",
        f"{name}: after a few hundred steps the model appears to be stable",
        "a few hundred steps",
        f"median loss {early:.5f} after {each.steps[each.at(_EARLY)]:,} steps, {late:.5f} after {each.steps[-1]:,}",
        early / late,
        Below(1.1, "times the later loss"),
        f"{len(each.loss)} fits",
    )


ANALYSIS = Analysis(
    quick=TrainingSettings(),
    paper=TrainingSettings(fits=512),
    find=find,
)
