"""Sections 1 and 4.2: what becomes of loss and complexity while the networks are trained."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import most_knots, outputs, piecewise_linear
from jaxland.plots import new_figure, training_curves
from jaxland.replications.sawtooth.comparable import LEAST_STEPS, other_example
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.palette import LABEL_COLORS, labelled
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
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
    own = len(context.config.problem.target.knots) - 2
    return Findings(
        {"training.csv": _table(found)},
        {"training": _figure(found, own)},
        _claims(context, found, own),
        captions={"training": _caption(found, own)},
    )


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


def _figure(found: dict[str, Course], own: int):
    figure, (left, right) = new_figure(2, height=2.8)
    steps = next(iter(found.values())).steps
    losses = labelled({name: each.loss for name, each in found.items()})
    training_curves(steps, losses, colors=LABEL_COLORS, xscale="symlog", ax=left)
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
        ax.get_legend().remove()
    # Below, for the bands are all over the axes.
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center")
    return figure


def _caption(found: dict[str, Course], own: int) -> str:
    told = "; ".join(
        f"{name} has {_state(each, each.at(_EARLY))} and {_state(each, -1)}" for name, each in found.items()
    )
    return f"Loss and interior knots in training: {told} in the median, where the target has {own} knots."


def _state(course: Course, index: int) -> str:
    loss, knots = np.median(course.loss[:, index]), np.median(course.knots[:, index])
    return f"a loss of {loss:.4f} and {knots:.0f} knots at step {course.steps[index]:,}"


def _claims(context: Context, found: dict[str, Course], own: int) -> list[Claim]:
    most, claims, short = most_knots(context.config.network.spec.widths), [], context.config.steps < LEAST_STEPS
    for name, each in found.items():
        claims += course_claims(name, each, most, own)
    if {"momentum", "adadelta"} <= set(found):
        claims.append(goes_on_claim(found["momentum"], found["adadelta"]))
    reason = other_example(context.config) or (f"judged from {LEAST_STEPS:,} steps on" if short else "")
    return judged_unless(reason, claims)


def course_claims(name: str, course: Course, most: int, own: int) -> list[Claim]:
    """What is said of one optimizer's course.

    Args:
        name: of the optimizer.
        course: of its fits.
        most: knots that the architecture can have.
        own: knots of the target.
    """
    count = len(course.loss)
    told = {"of": name, "cases": count}
    knots = course.knots.astype(np.float64)
    largest, first = Estimate.quantile(knots.max(axis=1)), Estimate.quantile(knots[:, 0])
    early, late = course.loss[:, course.at(_EARLY)], course.loss[:, -1]
    kept = Estimate.quantile(late / course.loss[:, course.at(LEAST_STEPS)])
    made = [
        _grows(name, course),
        STATEMENTS["complexity-bounded"].claim(
            f"at most {largest.value:.0f} knots in the median, {course.knots.max()} in all, of {most:,} possible",
            Estimate(*(value / most for value in largest)),
            detail=f"{len(course.steps)} steps",
            **told,
        ),
        STATEMENTS["random-smooth"].claim(
            f"{first.value:.0f} knots at step 0; the target has {own}",
            Estimate(*(value / own for value in first)),
            detail="all biases begin at zero, and so do all knots",
            **told,
        ),
        STATEMENTS["settles"].claim(
            f"median loss {np.median(early):.5f} after {course.steps[course.at(_EARLY)]:,} steps, "
            f"{np.median(late):.5f} after {course.steps[-1]:,}",
            Estimate.quantile(early / late),
            detail="the median of each fit's own ratio",
            **told,
        ),
    ]
    if name == "momentum":
        made.append(
            STATEMENTS["local-minimum"].claim(
                f"{kept.value:.1%} of the loss after {LEAST_STEPS:,} steps is left after {course.steps[-1]:,}",
                kept,
                **told,
            )
        )
    return made


def _grows(name: str, course: Course) -> Claim:
    # Biases begin at zero, so that at step 0 all knots lie at x = 0: the rise is judged from the first steps on.
    means = course.knots.mean(axis=0)
    shown = ", ".join(f"{mean:.1f} at {step:,}" for mean, step in zip(means[::2], course.steps[::2], strict=True))
    later = course.knots[:, 1:].astype(np.float64)
    changes = [Estimate.mean(each) for each in np.diff(later, axis=1).T]
    whole = Estimate.mean(later[:, -1] - later[:, 0])
    span = float(np.ptp(means[1:])) or 1.0
    least, largest = min(changes), max(changes)
    return STATEMENTS["complexity-grows"].claim(
        f"mean interior knots {shown}",
        (whole, least, Estimate(*(value / span for value in largest))),
        of=name,
        cases=len(course.knots),
        detail="exact knots; at step 0 biases are zero and all knots lie at x = 0",
    )


def goes_on_claim(descent: Course, adadelta: Course) -> Claim:
    """Whether adadelta loses more of its loss late in training than gradient descent."""
    lost = [1 - each.loss[:, -1] / each.loss[:, each.at(LEAST_STEPS)] for each in (descent, adadelta)]
    count = min(map(len, lost))
    # Fits are paired where none diverged; else they are two samples of the same length, which widens the interval.
    return STATEMENTS["adadelta-goes-on"].claim(
        f"medians: adadelta loses {np.median(lost[1]):.1%}, momentum {np.median(lost[0]):.1%} of the loss after "
        f"{LEAST_STEPS:,} steps",
        Estimate.quantile(lost[1][:count] - lost[0][:count]),
        cases=count,
        detail="median of the difference, start by start",
    )


ANALYSIS = Analysis(
    quick=TrainingSettings(),
    paper=TrainingSettings(fits=512),
    find=find,
)
