"""The source's three ways of descent, a, b and c: pictures, animations, and what they say of its loss."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import optax
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from jaxland.plots import animate, dash_of, descent_path, error_curves, new_figure
from jaxland.replications.backprop.drawing import orbit_diagram
from jaxland.replications.backprop.maps import TALL, WINDOW, Window, draw_map
from jaxland.replications.backprop.model import SYMBOLS, WEIGHTS, mean_factor, plane, problem
from jaxland.replications.backprop.settling import GLOBAL, OTHER, stability_bounds
from jaxland.replications.backprop.statements import SOURCE_EPOCHS, STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement
from jaxland.training import fit, gradients

_STARTS = {"a": (-4.0, -4.0), "b": (-4.0, 10.0), "c": (-4.0, -4.0), "c at 200": (-4.0, -4.0)}
_RATES = {"a": 1.0, "b": 1.0, "c": 100.0, "c at 200": 200.0}
_WINDOWS: dict[str, Window] = {"a": WINDOW, "b": TALL, "c": WINDOW, "c at 200": WINDOW}
_LOSSES = ("sum_squared_error", "mean_squared_error", "half_mean_squared_error")
_PLATEAU = 1e-2
"""A mean squared error that a has all along its plateau and never after it."""
_LONG_ENOUGH = 2_000_000
"""Epochs that b takes to come close to its minimum."""
_LAST = 96
"""Steps at the end that show whether a fit has come to rest."""
_SWING = 2.0
"""An error that changes by this factor there has not."""


@dataclass(frozen=True)
class DescentSettings:
    """Scale of the descents."""

    epochs: int = 400_000
    """Of a; the source's took more than 300,000."""
    long_epochs: int = 2_000_000
    """Of b, whose valley is flat."""
    wild_epochs: int = 2_000
    """Of c, as drawn."""
    rates: int = 256
    """Learning rates between 1 and 1,000 for which stability is looked at."""
    rate_epochs: int = 40_000
    """Of each of them."""
    frames: int = 60
    """Pictures of an animation."""


@dataclass(frozen=True)
class Descent:
    """One way of descent."""

    epochs: Int[np.ndarray, "S"]
    """At which the path is kept; more often at first."""
    path: Float[np.ndarray, "S 2"]
    traced: Int[np.ndarray, "T"]
    """At which the loss is kept."""
    loss: Float[np.ndarray, "T"]

    def first_below(self, loss: float) -> int | None:
        """The first epoch kept whose loss is below, None where there is none."""
        below = np.flatnonzero(self.loss < loss)
        return int(self.traced[below[0]]) if len(below) else None

    def at(self, epoch: int) -> float:
        """The last loss kept that is not later."""
        return float(self.loss[np.searchsorted(self.traced, epoch, side="right") - 1])


class Fork(NamedTuple):
    """What becomes of a and c under one reading of the source's loss."""

    a: Descent
    c: Descent
    """At rate 100. The losses of both are mean squared errors."""


def find(context: Context) -> Findings:
    """Descends, draws, judges."""
    ways = {name: _way(context, name) for name in _STARTS}
    forks = {loss: _fork(context, loss) for loss in _LOSSES}
    rates, orbits, final = _orbits(context)
    bounds = stability_bounds(context.config.loss)
    figures = {
        f"figure-{number:02d}-{_file(name)}": _figure(context, name, way)
        for number, (name, way) in enumerate(ways.items(), start=4)
    }
    figures["learning-rates"] = _rates_figure(rates, orbits, final, bounds, context.config.loss)
    figures["sum-or-mean"] = _forks_figure(forks)
    drawn = {name: way for name, way in ways.items() if name != "c at 200"}
    animations = {f"{_file(name)}.gif": _animation(context, name, way) for name, way in drawn.items()}
    tables = {
        "descents.csv": _table(ways),
        "learning-rates.csv": pd.DataFrame(
            {"rate": rates, "loss": final, "spread": np.ptp(orbits[:, :, 0], axis=1), "w1": orbits[:, -1, 0]}
        ),
        "sum-or-mean.csv": pd.DataFrame([{"loss": loss, **_summary(fork)} for loss, fork in forks.items()]),
    }
    claims = _claims(context, ways, forks, rates, orbits, bounds)
    return Findings(tables, figures, claims, animations, captions=_captions(ways, bounds, tables["sum-or-mean.csv"]))


def _file(name: str) -> str:
    return f"trajectory-{name.replace(' ', '-')}"


def _epochs(context: Context, name: str) -> int:
    settings: DescentSettings = context.settings
    return {"a": settings.epochs, "b": settings.long_epochs}.get(name, settings.wild_epochs)


def _way(context: Context, name: str) -> Descent:
    return _kept(context, name, context.config.loss, _RATES[name], _STARTS[name], _epochs(context, name))


def _kept(context: Context, name: str, loss: str, rate: float, start: tuple[float, float], epochs: int) -> Descent:
    compute = partial(descend, loss, rate, start, epochs)
    return Descent(**context.piece(_file(name), compute))


def descend(loss: str, rate: float, start: tuple[float, float], epochs: int) -> dict[str, np.ndarray]:
    """Gradient descent from one start, in float64: about 400 places of its path, and losses there and 20,000 more."""
    kept = np.unique([0, *np.round(np.geomspace(1, epochs, 400)).astype(int)])
    every = max(1, epochs // 20_000)
    fits = fit(
        plane(WEIGHTS),
        problem(loss),
        optax.sgd(rate),
        fits=1,
        steps=epochs,
        start=np.array([start]),
        dtype="float64",
        snapshots=kept.tolist(),
        trace_every=every,
    )
    # The first epochs lie between two traced ones.
    on_path, _ = gradients(plane(WEIGHTS), problem(loss))(fits.snapshots[0])
    traced, places = np.unique(np.concatenate([fits.ensemble.trace_steps, kept]), return_index=True)
    losses = np.concatenate([fits.trace[0], on_path])[places]
    return {"epochs": kept, "path": fits.snapshots[0], "traced": traced, "loss": losses}


def _fork(context: Context, loss: str) -> Fork:
    a = _kept(context, f"a {loss}", loss, 1.0, _STARTS["a"], context.settings.epochs)
    c = _kept(context, f"c {loss}", loss, 100.0, _STARTS["c"], 20_000)
    return Fork(*(replace(way, loss=way.loss / mean_factor(loss)) for way in (a, c)))


def _orbits(context: Context):
    """Rates, the last places of c at each (F, S, 2), and its final losses."""
    settings: DescentSettings = context.settings
    rates = np.geomspace(1, 1000, settings.rates)

    def compute():
        last = np.arange(max(settings.rate_epochs - _LAST + 1, 0), settings.rate_epochs + 1)
        fits = context.fit(
            plane(WEIGHTS),
            context.config.problem,
            optax.sgd,
            hyperparameters={"learning_rate": rates},
            steps=settings.rate_epochs,
            start=np.tile(_STARTS["c"], (len(rates), 1)),
            dtype="float64",
            snapshots=last.tolist(),
        )
        return {"places": fits.snapshots, "loss": fits.loss}

    found = context.piece("learning-rates", compute)
    return rates, found["places"], found["loss"]


def _table(ways: dict[str, Descent]) -> pd.DataFrame:
    frames = [
        pd.DataFrame({"trajectory": name, "rate": _RATES[name], "epoch": way.epochs, "w1": way.path[:, 0],
                      "w2": way.path[:, 1], "loss": [way.at(int(epoch)) for epoch in way.epochs]})
        for name, way in ways.items()
    ]  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def _draw(context: Context, name: str, way: Descent, grid: int = 121, width: str = "page"):
    figure, (left, right) = new_figure(2, width=width)
    title = f"{name[0]}: from ({_STARTS[name][0]:g}, {_STARTS[name][1]:g}) at rate {_RATES[name]:g}"
    draw_map(context, WEIGHTS, _WINDOWS[name], grid, title=title, ax=left)
    limits = (left.get_xlim(), left.get_ylim())
    artists = descent_path(way.path, label=name[0], ax=left)
    left.set(xlim=limits[0], ylim=limits[1])
    quantity = context.config.loss.replace("_", " ")
    error_curves(way.traced, {quantity: way.loss}, xscale="log", title="Its error", ylabel=quantity, ax=right)
    # Below this is rounding.
    right.set_ylim(max(float(way.loss.min()) / 2, 1e-29), float(way.loss.max()) * 3)
    return figure, left, right, artists


def _figure(context: Context, name: str, way: Descent) -> Figure:
    figure, left, _, _ = _draw(context, name, way)
    outside = _outside(way, _WINDOWS[name])
    if outside:
        left.set_title(f"{left.get_title()}; {outside:.0%} lie outside")
    return figure


def _outside(way: Descent, window: Window) -> float:
    low, high = np.array(window).T
    return float(((way.path < low) | (way.path > high)).any(axis=1).mean())


def _animation(context: Context, name: str, way: Descent) -> bytes:
    figure, _, right, (line, _, end) = _draw(context, name, way, grid=81, width="screen")
    curve = right.lines[0]
    right.plot(*curve.get_data(), lw=1.0, alpha=0.25, color=curve.get_color())  # all of it, from the first picture on
    (dot,) = right.plot([], [], "o", color="#111111", mec="white", ms=6, zorder=5, clip_on=False)
    text = right.text(0.03, 0.05, "", transform=right.transAxes, family="monospace", fontsize=8)
    places = np.unique(np.linspace(0, len(way.epochs) - 1, context.settings.frames).astype(int))

    def draw(place: Any) -> None:
        epoch, loss = int(way.epochs[place]), way.at(int(way.epochs[place]))
        line.set_data(*way.path[: place + 1].T)
        end.set_data(*way.path[place : place + 1].T)
        seen = way.traced <= epoch
        curve.set_data(np.maximum(way.traced[seen], 1), way.loss[seen])
        dot.set_data([max(epoch, 1)], [loss])
        text.set_text(f"epoch {epoch:>9,}\nloss  {loss:9.2e}")

    return animate(figure, draw, places.tolist(), per_second=8)


def _rates_figure(rates, orbits, final, bounds, loss) -> Figure:
    figure, (left, right) = new_figure(2)
    marks = {f"2 / curvature at the {name}: {rate:.1f}": rate for name, rate in bounds.items()}
    shown = np.where(np.abs(orbits[:, :, 0]) < 20, orbits[:, :, 0], np.nan)
    title = f"The last {orbits.shape[1]} epochs from (-4, -4)"
    orbit_diagram(rates, shown, ylabel=SYMBOLS[WEIGHTS[0]], bounds=marks, title=title, ax=left)
    right.plot(rates, np.maximum(final, 1e-32), ".", ms=4, color="#0072b2")
    for place, rate in enumerate(bounds.values()):
        right.axvline(rate, color=f"C{place + 1}", ls=dash_of(place + 1), lw=1.2)
    right.set(title="The loss there", xlabel="learning rate", ylabel=loss.replace("_", " "), xscale="log", yscale="log")
    right.set_xlim(rates[0], rates[-1])
    return figure


def _forks_figure(forks: dict[str, Fork]) -> Figure:
    figure, (left, right) = new_figure(2)
    for place, (loss, fork) in enumerate(forks.items()):
        label = loss.replace("_", " ")
        left.plot(
            np.maximum(fork.a.traced, 1),
            np.maximum(fork.a.loss, 1e-30),
            color=f"C{place}",
            ls=dash_of(place),
            label=label,
        )
        right.plot(
            fork.c.traced, np.maximum(fork.c.loss, 1e-30), color=f"C{place}", ls=dash_of(place), lw=1, label=label
        )
    left.axvline(SOURCE_EPOCHS, color="#444444", ls="--", lw=1, label="the source: over 300,000")
    left.set(title="a, at rate 1", xlabel="epoch", ylabel="mean squared error", xscale="log", yscale="log")
    right.set(title="c, at rate 100", xlabel="epoch", ylabel="mean squared error", yscale="log", xlim=(0, 2000))
    left.legend(title="what is descended", loc="lower left")
    right.set_ylim(bottom=1e-6)
    right.legend(loc="lower left")
    return figure


def _summary(fork: Fork) -> dict[str, float | None]:
    return {
        "a_plateau_ends": fork.a.first_below(_PLATEAU),
        "a_below_1e-6": fork.a.first_below(1e-6),
        "a_below_1e-20": fork.a.first_below(1e-20),
        "a_at_300000": fork.a.at(SOURCE_EPOCHS),
        "a_lowest": float(fork.a.loss.min()),
        "c_lowest": float(fork.c.loss.min()),
        "c_last_lowest": float(fork.c.loss[-_LAST:].min()),
        "c_last_highest": float(fork.c.loss[-_LAST:].max()),
    }


def _claims(context: Context, ways, forks, rates, orbits, bounds) -> list[Claim]:
    mean = context.config.loss == "mean_squared_error"
    unstable = [unstable_claim(ways["c"]), no_decrease_claim(ways["c"])]
    return [
        which_loss_claim({loss: mean_factor(loss) / mean_factor("mean_squared_error") for loss in _LOSSES}, forks),
        slow_claim(ways["a"]),
        plateau_claim(ways["a"]),
        *wrong_minimum_claims(ways["b"]),
        *judged_unless("" if mean else "the source's rates are those of the mean squared error", unstable),
        _wilder(ways["c at 200"]),
        larger_rate_claim(ways["a"], _quicker(context)),
        stability_claim(rates, orbits, bounds),
    ]


def _quicker(context: Context) -> Descent:
    """a again, at the rate 40."""
    return _kept(context, "a at 40", context.config.loss, 40.0, _STARTS["a"], 40_000)


def _fits_source(fork: Fork) -> bool:
    """Whether c, having fallen, neither rests nor leaves for a plateau."""
    return bool(_swing(fork.c.loss) > _SWING and fork.c.loss[-_LAST:].max() < fork.c.loss[0])


def _swing(loss: Float[np.ndarray, "T"]) -> float:
    """Highest over lowest loss of the last epochs: 1 at rest."""
    end = loss[-_LAST:]
    return float(end.max() / max(end.min(), np.finfo(float).tiny))


def which_loss_claim(factors: dict[str, float], forks: dict[str, Fork]) -> Claim:
    """Of how many times the mean each reading is, and of what becomes of a and c under it."""
    fitting = [loss.replace("_", " ") for loss, fork in forks.items() if _fits_source(fork)]
    told = [
        f"{loss.replace('_', ' ')}: a below 1e-20 {_after(fork.a.first_below(1e-20))}, c ends between "
        f"{fork.c.loss[-_LAST:].min():.1e} and {fork.c.loss[-_LAST:].max():.1e}"
        for loss, fork in forks.items()
    ]
    factor = factors["sum_squared_error"]
    return STATEMENTS["sum-is-mean"].claim(
        f"at one rate the sum steps {factor:g} times as far; what the source reports of c fits: "
        f"{', '.join(fitting) or 'none'}",
        factor,
        detail=f"{'; '.join(told)} (mean squared errors); c fits where it falls and then changes by a factor of "
        f"{_SWING:g} or more for ever",
    )


def _after(epoch: int | None) -> str:
    return "not yet" if epoch is None else f"after {epoch:,} epochs"


def slow_claim(way: Descent) -> Claim:
    """Of a: the source has no rule to stop, so that its end is anywhere between a small error and rounding."""
    statement, floor = STATEMENTS["a-slow"], float(way.loss.min())
    late = int(way.traced[way.loss > 10 * floor].max(initial=0))
    below = way.first_below(1e-6)
    measured = f"the error is below 1e-6 {_after(below)}, and falls, to rounding, until epoch {late:,}"
    detail = f"float64; until it is within 10 times its lowest value, {floor:.0e}; the source says no rule to stop"
    if way.traced[-1] <= SOURCE_EPOCHS:
        return statement.not_tested("a was not followed so long", measured=measured, detail=detail)
    first = way.traced[-1] if below is None else below
    return statement.claim(measured, Estimate(float(first), float(first), float(max(first, late))), detail=detail)


def plateau_claim(way: Descent) -> Claim:
    """Of a: how much of its way to a small error is flat."""
    ends, below = way.first_below(_PLATEAU), way.first_below(1e-6)
    share = ends / below if ends and below else None
    return STATEMENTS["a-plateau"].claim(
        f"the error is below {_PLATEAU:g} {_after(ends)}, {share or np.nan:.0%} of those until it is 1e-6",
        share,
        detail=f"the flat region ends where the error falls below {_PLATEAU:g}; it is {way.loss[0]:.2g} at the start",
    )


def wrong_minimum_claims(way: Descent) -> list[Claim]:
    """Of b: where it ends, and what the error is there."""
    end = way.path[-1]
    distance = float(np.abs(end - OTHER).max())
    claims = [
        STATEMENTS["b-other-minimum"].claim(
            f"({end[0]:.4f}, {end[1]:.3f})", distance, detail=f"after {way.traced[-1]:,} epochs, {distance:.1e} away"
        ),
        STATEMENTS["b-error"].claim(f"error {way.loss[-1]:.3e}", float(way.loss[-1])),
    ]
    young = way.traced[-1] < _LONG_ENOUGH
    return judged_unless(f"b takes {_LONG_ENOUGH:,} epochs to its minimum" if young else "", claims)


def unstable_claim(way: Descent) -> Claim:
    """Of c: whether its error comes to rest."""
    end = way.loss[-_LAST:]
    return STATEMENTS["c-unstable"].claim(
        f"between {end.min():.1e} and {end.max():.1e} in the last {_LAST} of {way.traced[-1]:,} epochs",
        _swing(way.loss),
    )


def no_decrease_claim(way: Descent) -> Claim:
    """Of c: whether its error ends where it was lowest."""
    best = int(way.loss.argmin())
    end = float(np.median(way.loss[-_LAST:]))
    return STATEMENTS["c-no-decrease"].claim(
        f"lowest error {way.loss.min():.2e} at epoch {way.traced[best]:,} of {way.traced[-1]:,}, {end:.1e} at the end",
        end / float(way.loss.min()),
        detail=f"the end is the median of the last {_LAST} epochs",
    )


def _wilder(way: Descent) -> Claim:
    end = way.loss[-_LAST:]
    return measurement(
        "what becomes of c at rate 200",
        f"lowest error {way.loss.min():.2e}; between {end.min():.1e} and {end.max():.1e} in the last {_LAST} epochs",
    )


def larger_rate_claim(way: Descent, quicker: Descent) -> Claim:
    """Of a at rate 1 and at rate 40: when each has left its flat region."""
    slow, quick = way.first_below(_PLATEAU), quicker.first_below(_PLATEAU)
    return STATEMENTS["larger-rate"].claim(
        f"its flat region ends {_after(slow)} at rate 1, {_after(quick)} at rate 40",
        slow / quick if slow and quick else None,
        detail=f"where the error falls below {_PLATEAU:g}",
    )


def stability_claim(rates, orbits, bounds) -> Claim:
    """Of the last places at each rate: up to which of them descent comes to rest."""
    rests = np.ptp(orbits, axis=1).max(axis=1) < 1e-3
    at_global = rests & (np.abs(orbits[:, -1] - GLOBAL).max(axis=1) < 0.1)
    highest = float(rates[at_global].max(initial=0.0))
    nearest = float(rates[rates > highest].min(initial=np.inf))
    return STATEMENTS["stability-ends"].claim(
        f"from (-4, -4) it comes to rest at the global minimum up to rate {highest:.1f} and not at {nearest:.1f}",
        (highest, highest),
        detail=f"{len(rates)} rates from 1 to 1,000; at rest: both weights change by less than 1e-3 in the last "
        f"{_LAST} "
        f"epochs; theory, 2 / (largest curvature), gives {bounds['global minimum']:.2f} there, "
        f"{bounds['other minimum']:.2f} at the other minimum",
    )


def readings_told(readings: pd.DataFrame) -> str:
    """A sentence for the readings of the source's error, from `sum-or-mean.csv`."""
    mean = readings.set_index("loss").loc["mean_squared_error"]
    return (
        "a and c under three readings of the source's error: for the mean alone c oscillates, between "
        f"{mean['c_last_lowest']:.2g} and {mean['c_last_highest']:.2g}."
    )


def _captions(ways: dict[str, Descent], bounds: dict[str, float], readings: pd.DataFrame) -> dict[str, str]:
    told = {
        name: f"{name[0]} from ({_STARTS[name][0]:g}, {_STARTS[name][1]:g}) at rate {_RATES[name]:g}: an error of "
        f"{way.loss[-1]:.2g} after {way.traced[-1]:,} epochs, {way.loss.min():.2g} at its lowest."
        for name, way in ways.items()
    }
    captions = {f"figure-{number:02d}-{_file(name)}": told[name] for number, name in enumerate(ways, start=4)}
    captions |= {_file(name): told[name] for name in ways if name != "c at 200"}
    captions["learning-rates"] = (
        "Where descent from (-4, -4) is in its last epochs, by its rate: at rest up to 2 / curvature, "
        f"{bounds['global minimum']:.1f}, in cycles beyond."
    )
    captions["sum-or-mean"] = readings_told(readings)
    return captions


ANALYSIS = Analysis(
    quick=DescentSettings(),
    paper=DescentSettings(epochs=1_000_000, long_epochs=4_000_000, rates=2_048, rate_epochs=200_000, frames=100),
    find=find,
)
