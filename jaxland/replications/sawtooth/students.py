"""Section 1: a network that was trained is easily found by a second one, a network that was constructed is not."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from jaxland.landscape import distances_to, outputs, symmetrise
from jaxland.plots import new_figure
from jaxland.replications.sawtooth.comparable import other_example, too_small
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.palette import COLORS, LABELS
from jaxland.replications.sawtooth.sample import Sample, first_fits
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import make_optimizer

_FIRST = 2**31
"""Number of the first student: the study's own fits, the teachers among them, have smaller ones."""
_CONSTANT = 1e-6
"""Variance below which a teacher's output is constant: its units are dead, and there is nothing to learn."""


@dataclass(frozen=True)
class StudentSettings:
    """Scale of the teaching."""

    teachers: int = 8
    """Of each optimizer: the first fits of the study."""
    students: int = 2
    """Of each teacher."""
    steps: int = 500
    """Of each student, and of the fits of W_f they are compared with."""


@dataclass(frozen=True)
class School:
    """What students of one optimizer left unexplained, and where they ended."""

    teacher: Int[np.ndarray, "T"]
    """Number of each teacher that is not constant."""
    unexplained: Float[np.ndarray, "T S"]
    """Loss of each student over the variance of its teacher's output."""
    constructed: Float[np.ndarray, "F"]
    """The same of fits of W_f, trained as long."""
    own: Float[np.ndarray, "T S"]
    """Distance of each student from its teacher, symmetrised."""
    other: Float[np.ndarray, "T S"]
    """Its mean distance from the other teachers."""


def find(context: Context) -> Findings:
    """Trains students of every optimizer's fits, by the same optimizer."""
    found = {name: _school(context, name) for name in context.config.optimizers}
    schools = {name: each for name, each in found.items() if each is not None}
    if not schools:
        return Findings({}, {}, [])
    stem = "students-of-trained-networks"
    return Findings(
        {"students.csv": _table(schools)},
        {stem: _figure(schools)},
        _claims(context, schools),
        captions={stem: _caption(schools)},
    )


def _school(context: Context, name: str) -> School | None:
    settings: StudentSettings = context.settings
    teachers = first_fits(context.config, context.store, name, settings.teachers)
    arrays = context.piece(
        f"{name}-{settings.teachers}-{settings.students}-{settings.steps}", partial(_teach, context, name, teachers)
    )
    context.say(f"  students of {name}")
    return School(**arrays) if len(arrays["teacher"]) > 1 else None


def _teach(context: Context, name: str, teachers: Sample) -> dict[str, np.ndarray]:
    config: SawtoothConfig = context.config
    settings: StudentSettings = context.settings
    optimizer, each = make_optimizer(config.optimizer(name)), settings.students
    shown = outputs(config.network, teachers.trained, config.problem.x)
    alive = shown[:, :, 0].var(axis=1) > _CONSTANT
    lessons, count = np.repeat(shown[alive], each, axis=0), int(alive.sum())
    if count < 2:
        return {key: np.zeros(0) for key in ("teacher", "unexplained", "constructed", "own", "other")}
    trained = {"steps": settings.steps, "fits": count * each, "first": _FIRST}
    students = context.fit(config.network, config.problem, optimizer, targets=lessons, **trained)
    constructed = context.fit(config.network, config.problem, optimizer, **trained)
    canonical = symmetrise(config.network, students.params.astype(np.float64), x=config.problem.x).params
    apart = np.stack([distances_to(canonical, teacher) for teacher in teachers.params[alive]], axis=1)
    own = apart[np.arange(count * each), np.repeat(np.arange(count), each)]
    return {
        "teacher": teachers.fit[alive],
        "unexplained": (students.loss / lessons[:, :, 0].var(axis=1)).reshape(count, each),
        "constructed": constructed.loss / config.problem.y.var(),
        "own": own.reshape(count, each),
        "other": ((apart.sum(axis=1) - own) / (count - 1)).reshape(count, each),
    }


def _table(schools: dict[str, School]) -> pd.DataFrame:
    frames = []
    for name, each in schools.items():
        students = each.unexplained.shape[1]
        frames.append(
            pd.DataFrame(
                {
                    "ensemble": name,
                    "teacher": np.repeat(each.teacher.astype(int), students),
                    "unexplained": each.unexplained.ravel(),
                    "constructed": each.constructed,
                    "from_teacher": each.own.ravel(),
                    "from_other_teachers": each.other.ravel(),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def _figure(schools: dict[str, School]):
    figure, axes = new_figure(len(schools))
    for ax, (name, each) in zip(axes, schools.items(), strict=True):
        groups = {"trained teachers": (each.unexplained, COLORS[name]), "$W_f$": (each.constructed, COLORS["W_f"])}
        for (label, (values, color)), style in zip(groups.items(), ("-", "--"), strict=True):
            values = np.sort(values.ravel())
            ax.plot(values, (np.arange(len(values)) + 1) / len(values), style, color=color, label=label)
        ax.set(title=f"Students: {LABELS[name]}", xlabel="loss / variance of the teacher's output", xscale="log")
        ax.set(ylabel="share of students", ylim=(0, 1.02))
        ax.legend()
    return figure


def _caption(schools: dict[str, School]) -> str:
    told = "; ".join(
        f"{name} leaves {np.median(each.unexplained):.2%} of a trained teacher's variance and "
        f"{np.median(each.constructed):.0%} of that of W_f"
        for name, each in schools.items()
    )
    return (
        f"What students leave unexplained of networks that were trained, and of the constructed W_f (medians): {told}."
    )


def _claims(context: Context, schools: dict[str, School]) -> list[Claim]:
    few = min(len(each.teacher) for each in schools.values())
    reason = other_example(context.config) or too_small(context.settings.steps, few, 16)
    claims = [claim for name, each in schools.items() for claim in school_claims(name, each)]
    return judged_unless(reason, claims)


def school_claims(name: str, school: School) -> list[Claim]:
    """Whether a trained network is easily found, a constructed one is not, and whether minima are near each other."""
    teachers, students = school.unexplained.shape
    left = Estimate.quantile(np.median(school.unexplained, axis=1))
    built = Estimate.quantile(school.constructed)
    nearer = Estimate.mean((school.other - school.own).mean(axis=1))
    return [
        STATEMENTS["trained-is-easy"].claim(
            f"students leave {left.value:.2%} of the teacher's variance unexplained",
            left,
            of=name,
            cases=teachers,
            detail=f"the median of {students} students for each of {teachers} teachers that are not constant; of these "
            "the median",
        ),
        STATEMENTS["constructed-is-hard"].claim(
            f"fits of W_f leave {built.value:.0%} of its variance unexplained",
            built,
            of=name,
            cases=len(school.constructed),
            detail="as many fits, from the same starts, trained as long; the median",
        ),
        STATEMENTS["minima-similar"].claim(
            f"a student ends {np.median(school.own):.2f} from its teacher, {np.median(school.other):.2f} from others",
            nearer,
            of=name,
            cases=teachers,
            detail=f"nearer by {nearer} in the mean over teachers; symmetrised",
        ),
    ]


ANALYSIS = Analysis(
    quick=StudentSettings(),
    paper=StudentSettings(teachers=64, students=4, steps=50_000),
    find=find,
)
