"""Figures 13 and 14: targets with many more teeth, and what 5 x 5 networks make of them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from jaxland.landscape import (
    FunctionMoments,
    PiecewiseLinear,
    function_distances,
    function_moments,
    most_knots,
    outputs,
    piecewise_linear,
    symmetrise,
)
from jaxland.plots import all_fits, legend_below, new_figure, tube
from jaxland.problems import SawtoothProblem, SawtoothTarget
from jaxland.replications.sawtooth.bands import (
    Band,
    Paths,
    bands_told,
    draw_path,
    image_table,
    path_table,
    relaxed_paths,
)
from jaxland.replications.sawtooth.comparable import too_small
from jaxland.replications.sawtooth.drawing import dense_curve
from jaxland.replications.sawtooth.measures import column, percent, turning_points, wave_shares
from jaxland.replications.sawtooth.model import TARGETS
from jaxland.replications.sawtooth.palette import COLORS
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import FOUND, WIGGLES
from jaxland.statistics import Estimate, bootstrap_interval
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement
from jaxland.training import gradients, make_optimizer

_OPTIMIZER = "adadelta"
_COLOR = COLORS[_OPTIMIZER]
# Fits of a piece: few enough that an interruption loses little, and enough for all lanes of several threads.
_PIECE = 64
_LEAST_FITS = 16
_SHOWN = 64
_CURVE_POINTS = 2001
_SAMPLES = 8
_WINDOW = 12
"""Pieces shown enlarged."""


@dataclass(frozen=True)
class TargetSettings:
    """Scale of the fits to targets with many teeth."""

    fits: int = 32
    """Adadelta fits of the (3+2) target; the paper draws 256."""
    steps: int = 10_000
    """Optimizer steps of each."""
    few_points: int = 3
    """Training points on each piece of the (3+2) target in a second set of as many fits."""
    saw_fits: int = 16
    """Adadelta fits of the (5+0) target."""
    saw_steps: int = 10_000
    """Optimizer steps of each."""
    saw_points: int = 2
    """Training points on each of its 3,125 pieces; the paper finds 2 or 3 enough."""
    images: int = 50
    """Images of the band from the (3+2) global minimum to a fit, ends included."""
    inserted: int = 10
    """Images put where energy or gaps are largest, after which the band is relaxed again."""
    path_steps: int = 1_000
    """Most steps of the band, before and after."""


@dataclass(frozen=True)
class TargetFits:
    """Finite fits of one target with its own network."""

    problem: SawtoothProblem
    asked: int
    steps: int
    fit: Int[np.ndarray, "F"]
    loss: Float[np.ndarray, "F"]
    """On the training points."""
    params: Float[np.ndarray, "F P"]
    functions: PiecewiseLinear
    moments: FunctionMoments
    error: Float[np.ndarray, "F"]
    """Mean squared difference from the target over all of [-1, 1]: it does not depend on the training points."""
    share: Float[np.ndarray, "F"]
    """Of the wave that a fit holds."""

    @property
    def target(self) -> SawtoothTarget:
        """What the fits were trained on, as a function."""
        return self.problem.target

    @property
    def turns(self) -> Int[np.ndarray, "F"]:
        """Turning points of each fit, from its exact knots."""
        return turning_points(self.functions.values).astype(int)

    @property
    def smooth_error(self) -> float:
        """The error of the fit that leaves out the wave and nothing else, a^2 / 3."""
        return self.target.amplitude**2 / 3

    @property
    def deviation(self) -> float:
        """Root mean square, over [-1, 1], of the standard deviation of the fits."""
        return float(np.sqrt(self.moments.integrated_variance / 2))


def find(context: Context) -> Findings:
    """Trains the fits, a piece at a time, and relaxes the band."""
    settings: TargetSettings = context.settings
    main, few, saw = _problems(context)
    tables, figures = {"targets.csv": _target_table(main, saw)}, {"figure-13-targets": _targets_figure(main, saw)}
    claims = _exact_claims(main, saw)
    captions = {
        "figure-13-targets": f"Targets of {len(saw.target.knots) - 1:,} and {len(main.target.knots) - 1} straight "
        f"pieces, which networks of 5 x 5 units reproduce to {max(map(_largest_error, (main, saw))):.1e}."
    }
    trained = [
        _fits(context, "3+2", main, settings.fits, settings.steps),
        _fits(context, "3+2-few-points", few, settings.fits, settings.steps),
        _fits(context, "5+0", saw, settings.saw_fits, settings.saw_steps),
    ]
    if not all(len(each.fit) for each in trained):
        not_possible = STATEMENTS["trouble"].not_tested("no finite fits")
        return Findings(tables, figures, [*claims, not_possible], captions=captions)
    paths = _path(context, trained[0])
    tables |= _tables(trained, paths)
    figures |= {"figure-14-fits-and-a-path": _fits_figure(trained[0], paths)}
    figures |= {"section-4.9-fits-of-3125-teeth": _saw_figure(trained[2])}
    return Findings(tables, figures, claims + _claims(trained, paths), captions=captions | _captions(trained))


def _problems(context: Context) -> tuple[SawtoothProblem, SawtoothProblem, SawtoothProblem]:
    """The (3+2) target, the same with fewer points, and the (5+0) target."""
    settings: TargetSettings = context.settings
    points = (context.config.points_per_segment, settings.few_points)
    main, few = (TARGETS["3+2"](each) for each in points)
    return main, few, TARGETS["5+0"](settings.saw_points)


def _points(problem: SawtoothProblem) -> int:
    """Training points on each piece."""
    return len(problem.x) // (len(problem.target.knots) - 1)


def _name(problem: SawtoothProblem) -> str:
    target = problem.target
    return f"{target.depth} x ({target.saw}+{len(target.spline)})"


def _fits(context: Context, name: str, problem: SawtoothProblem, count: int, steps: int) -> TargetFits:
    def train(fits: range):
        optimizer = make_optimizer(context.config.optimizer(_OPTIMIZER))
        found = context.fit(problem.network, problem, optimizer, fits=len(fits), first=fits.start, steps=steps)
        return {name: getattr(found, name) for name in ("fit", "loss", "diverged_step", "params")}

    arrays = context.pieces(name, range(count), train, _PIECE)
    good = arrays.pop("diverged_step") < 0
    return describe(problem, count, steps, **{key: values[good] for key, values in arrays.items()})


def describe(problem, asked, steps, fit, loss, params) -> TargetFits:
    """What finite fits of a problem with its own network look like, against its target."""
    target = problem.target
    functions = piecewise_linear(problem.network, params)
    x = target.points(_SAMPLES)
    return TargetFits(
        problem=problem,
        asked=asked,
        steps=steps,
        fit=fit,
        loss=loss,
        params=params,
        functions=functions,
        moments=function_moments(functions),
        error=function_distances(functions, _exact(target, len(fit))) ** 2 / 2,
        share=wave_shares(x, target.wave(x), functions.evaluate(x)),
    )


def _exact(target: SawtoothTarget, count: int) -> PiecewiseLinear:
    """The target as so many equal functions."""
    knots = np.tile(target.knots, (count, 1))
    return PiecewiseLinear(-1.0, 1.0, knots, target(knots), np.full(count, knots.shape[1]))


def _path(context: Context, fits: TargetFits) -> Paths:
    """The band to the first fit: as good as any other, and chosen without looking."""
    settings: TargetSettings = context.settings
    problem, network = fits.problem, fits.problem.network
    ends = np.stack([problem.minimum, fits.params[0].astype(np.float64)])
    start, stop = symmetrise(network, ends, x=problem.x).params
    steps = settings.path_steps
    band = Band(settings.images, settings.inserted, steps, steps // 4)
    work = partial(relaxed_paths, gradients(network, problem), start, stop[None], fits.fit[:1], band, context.threads)
    paths = Paths(**context.piece("path", work))
    context.say("  3+2: 1 path")
    return paths


def _target_table(*problems: SawtoothProblem) -> pd.DataFrame:
    return pd.DataFrame([_target_row(problem) for problem in problems])


def _target_row(problem: SawtoothProblem) -> dict:
    functions = piecewise_linear(problem.network, problem.minimum[None])
    return {
        "target": _name(problem),
        "pieces": len(problem.target.knots) - 1,
        "interior_knots": int(functions.interior_counts[0]),
        "turning_points": _turns_of_minimum(problem),
        "possible_knots": most_knots(problem.network.spec.widths),
        "largest_error": _largest_error(problem),
        "norm": float(np.linalg.norm(problem.minimum)),
    }


def _turns_of_minimum(problem: SawtoothProblem) -> int:
    functions = piecewise_linear(problem.network, problem.minimum[None])
    return int(turning_points(functions.values)[0])


def _largest_error(problem: SawtoothProblem) -> float:
    """Of the minimum-energy W's output, at the knots of the target."""
    knots = problem.target.knots
    exact = problem.target(knots)
    return float(np.abs(outputs(problem.network, problem.minimum[None], knots[:, None])[0, :, 0] - exact).max())


def _tables(trained: list[TargetFits], paths: Paths) -> dict[str, pd.DataFrame]:
    return {
        "target-fits.csv": pd.concat([_fit_table(each) for each in trained], ignore_index=True),
        "target-curves.csv": pd.concat([_curve_table(each) for each in trained], ignore_index=True),
        "target-path-images.csv": image_table(_OPTIMIZER, paths),
    }


def _fit_table(fits: TargetFits) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target": _name(fits.problem),
            "points_per_segment": _points(fits.problem),
            "fit": fits.fit,
            "loss": fits.loss,
            "error": fits.error,
            "wave_share": fits.share,
            "turns": fits.turns,
            "interior_knots": fits.functions.interior_counts,
            "highest_at": _highest_at(fits),
        }
    )


def _curve_table(fits: TargetFits) -> pd.DataFrame:
    x = np.linspace(-1, 1, _CURVE_POINTS)
    return pd.DataFrame(
        {
            "target": _name(fits.problem),
            "points_per_segment": _points(fits.problem),
            "x": x,
            "f": fits.target(x),
            "mean": fits.moments.mean(x),
            "deviation": fits.moments.deviation(x),
        }
    )


def _highest_at(fits: TargetFits) -> Float[np.ndarray, "F"]:
    """Where each fit is highest, exactly: at one of its knots."""
    best = np.argmax(fits.functions.values, axis=1)
    return fits.functions.knots[np.arange(len(best)), best]


def _targets_figure(main: SawtoothProblem, saw: SawtoothProblem):
    figure, axes = new_figure(2, height=2.9)
    for ax, problem in zip(axes, (saw, main), strict=True):
        knots = problem.target.knots
        values = problem.target(knots)
        first = int(np.argmax(values)) - _WINDOW // 2 if problem.target.spline else len(knots) // 2
        window = float(knots[first]), float(knots[first + _WINDOW])
        title = f"A {_name(problem)} network: {len(knots) - 1:,} pieces"
        dense_curve(knots, values, window=window, title=title, ax=ax)
    return figure


def _draw_tube(fits: TargetFits, ax) -> None:
    knots = fits.target.knots
    x = np.union1d(knots, np.linspace(-1, 1, _CURVE_POINTS))
    tube(
        x,
        fits.target(x),
        fits.moments.mean(x),
        fits.moments.deviation(x),
        label=f"mean of {len(fits.fit)} fits",
        color=_COLOR,
        title=f"Fits of the {_name(fits.problem)} target",
        ax=ax,
    )


def _fits_figure(fits: TargetFits, paths: Paths):
    figure, (left, middle, right) = new_figure(3, height=2.6)
    _draw_tube(fits, left)
    knots = fits.target.knots
    x = np.union1d(knots, np.linspace(-1, 1, _CURVE_POINTS))
    curves = fits.functions.take(np.arange(min(_SHOWN, len(fits.fit)))).evaluate(x)
    all_fits(x, curves, color=_COLOR, f=fits.target(x), ax=middle)
    draw_path(paths, 0, color=_COLOR, title=f"The path from $W$ to fit {paths.fit[0]}", ax=right)
    for ax in (left, middle, right):
        legend_below(ax)
    return figure


def _saw_figure(fits: TargetFits):
    figure, (left, right) = new_figure(2)
    curves = fits.functions.take(np.arange(min(_SHOWN, len(fits.fit))))
    knots = fits.target.knots
    x = knots[len(knots) // 2 :][: _WINDOW + 1]
    title = f"{_WINDOW} of the {len(knots) - 1:,} pieces, and the fits"
    all_fits(x, curves.evaluate(x), color=_COLOR, title=title, ax=left)
    left.plot(x, fits.target(x), color=COLORS["W_f"], lw=1.0, zorder=0, label="f")
    left.set(
        xlim=(x[0], x[-1]), ylim=(-1.2 * fits.target.amplitude, 1.7 * fits.target.amplitude)
    )  # room for the legend
    left.legend(loc="upper right", ncols=2)
    x = np.linspace(-1, 1, _CURVE_POINTS)
    all_fits(x, curves.evaluate(x), color=_COLOR, title="The fits one by one, enlarged", ax=right)
    return figure


def _exact_claims(main: SawtoothProblem, saw: SawtoothProblem) -> list[Claim]:
    """What needs no training."""
    own, dense = (len(problem.target.knots) - 2 for problem in (TARGETS["main"](1), saw))
    return [
        gentle_claim(own, dense, most_knots(saw.network.spec.widths)),
        peaks_claim(_turns_of_minimum(saw), len(saw.target.knots) - 1),
        *(reproduced_claim(_name(problem), _largest_error(problem)) for problem in (saw, main)),
    ]


def gentle_claim(own: int, dense: int, possible: int) -> Claim:
    """Section 4.9: interior knots of the main example, of the (5+0) target, and of what is possible."""
    return STATEMENTS["gentle"].claim(
        f"{own} interior knots; the (5+0) target has {dense:,}, and {possible:,} are possible",
        own / dense,
        detail="what is possible: the product of N + 1 over hidden layers, less 1",
    )


def peaks_claim(turns: int, pieces: int) -> Claim:
    """Figure 13, left: turning points of the output of W, and straight pieces of its target."""
    return STATEMENTS["peaks"].claim(
        f"{turns:,} turning points inside, {turns + 2:,} with the two ends, on {turns + 1:,} straight pieces",
        (turns + 1, pieces),
        detail="exact knots of the output of the minimum-energy W on [-1, 1]; straight pieces, and those of the target",
    )


def reproduced_claim(target: str, error: float) -> Claim:
    """Figure 13: the largest error of the output of W."""
    return STATEMENTS["reproduced"].claim(
        f"largest error {error:.1e}",
        error,
        of=target,
        detail="minimum-energy W at all knots of the target, float64",
    )


def _claims(trained: list[TargetFits], paths: Paths) -> list[Claim]:
    main, few, saw = trained
    alike = _alike(_relative(main))
    curves = main.functions.evaluate(np.linspace(-1, 1, _CURVE_POINTS)[::10])
    judged = [
        few_points_claim(_errors(few), _errors(main)),
        trouble_claim(_name(main.problem), _relative(main)),
        wiggle_free_claim(main.turns, main.share, len(main.target.knots) - 2),
        not_by_teeth_claim(curves, _relative(main)),
        location_claim(curves, alike),
    ]
    claims = judged_unless(_reason(main), judged)
    claims += judged_unless(_reason(saw), [trouble_claim(_name(saw.problem), _relative(saw))])
    return [*claims, _saw_turns(saw), _path_measured(path_table(_OPTIMIZER, paths))]


def _reason(fits: TargetFits) -> str:
    return too_small(fits.steps, len(fits.fit), _LEAST_FITS)


def _relative(fits: TargetFits) -> Float[np.ndarray, "F"]:
    """Errors in units of that of the smooth fit."""
    return fits.error / fits.smooth_error


def _alike(relative: Float[np.ndarray, "F"]) -> Bool[np.ndarray, "F"]:
    """Whether fits hold the low frequencies, and those alone: an error within a half of the smooth fit's."""
    return np.abs(relative - 1) <= 0.5


def _errors(fits: TargetFits) -> pd.Series:
    return pd.Series(fits.error, index=fits.fit)


def _found(relative: Float[np.ndarray, "F"]) -> Estimate:
    return Estimate.share(int((relative < FOUND).sum()), len(relative))


_ERROR = "exact mean squared error over [-1, 1]"


def trouble_claim(target: str, relative: Float[np.ndarray, "F"]) -> Claim:
    """Section 4.9: errors of fits in units of the smooth fit's."""
    share = _found(relative)
    return STATEMENTS["trouble"].claim(
        f"{percent(share)} of fits; the best has {relative.min():.3f} times the error of the smooth fit",
        share,
        of=target,
        cases=len(relative),
        detail=f"{_ERROR}, median {np.median(relative):.3f}, largest {relative.max():.3f} times the smooth fit's",
    )


def not_by_teeth_claim(curves: Float[np.ndarray, "F N"], relative: Float[np.ndarray, "F"]) -> Claim:
    """Figure 14: how much of the variance of fits is left without those that find teeth.

    Args:
        curves: outputs of all fits at points evenly over [-1, 1].
        relative: their errors in units of the smooth fit's.
    """
    statement, none = STATEMENTS["not-by-teeth"], relative >= FOUND
    measured = f"{percent(_found(relative))} of fits find teeth"
    if none.all():
        return statement.not_tested(
            "no fit finds teeth, which is the statement 'trouble', so that nothing can be due to those that do; what "
            "is due to fits that miss the smooth function is the statement 'location'",
            measured=measured,
        )
    share = _left(curves, none)
    if share is None:
        return statement.not_tested("all fits find teeth, or all are the same", measured=measured)
    return statement.claim(
        f"{measured}; {percent(share)} of the variance is left without them",
        share,
        cases=len(relative),
        detail=f"fits resampled; a fit finds teeth with less than {FOUND:g} of the smooth fit's error",
    )


def wiggle_free_claim(turns: Int[np.ndarray, "F"], wave: Float[np.ndarray, "F"], knots: int) -> Claim:
    """Figure 14: turning points and shares of the wave of fits of a target with so many knots."""
    free = (turns < WIGGLES * knots) & (np.abs(wave) < WIGGLES)
    share = Estimate.share(int(free.sum()), len(free))
    return STATEMENTS["wiggle-free"].claim(
        f"{percent(share)} of fits; at most {turns.max()} turns where the target has {knots}, and at most "
        f"{np.abs(wave).max():.2%} of the wave",
        share,
        cases=len(free),
        detail="turning points by exact knots; regression of each fit on the wave and a cubic",
    )


def location_claim(curves: Float[np.ndarray, "F N"], alike: Bool[np.ndarray, "F"]) -> Claim:
    """Figure 14: how much of the variance of fits is left among those that hold the low frequencies.

    Args:
        curves: outputs of all fits at points evenly over [-1, 1].
        alike: whether a fit holds the low frequencies.
    """
    share = _left(curves, alike)
    if share is None:
        return STATEMENTS["location"].not_tested("fewer than two fits hold the low frequencies, or all are the same")
    return STATEMENTS["location"].claim(
        f"{percent(share)} of the variance is left without {(~alike).sum()} of {len(alike)} fits",
        share,
        cases=len(alike),
        detail="fits resampled; a fit misses the low frequencies if its error is not within a half of the smooth fit's",
    )


def _left(curves: Float[np.ndarray, "F N"], kept: Bool[np.ndarray, "F"]) -> Estimate | None:
    """The share of the variance of curves that is left among some of them; None without two of these, or variance."""
    if kept.sum() < 2 or not np.ptp(curves, axis=0).any():
        return None
    rows = np.column_stack([kept, curves])
    found = bootstrap_interval(rows, _variance_left, seed=0, method="percentile", resamples=999)
    return Estimate(found.value, found.low, found.high)


def _variance_left(rows: Float[np.ndarray, "F columns"]) -> float:
    kept, curves = rows[:, 0] > 0, rows[:, 1:]
    whole = curves.var(axis=0).mean()
    return float(curves[kept].var(axis=0).mean() / whole) if kept.sum() > 1 and whole > 0 else 0.0


def few_points_claim(few: pd.Series, many: pd.Series) -> Claim:
    """Section 4.2: errors of fits from the same starts, by number of the fit, with few points a piece and with many."""
    both = pd.concat({"few": few, "many": many}, axis=1, join="inner")
    change = np.log(column(both, "few") / column(both, "many"))
    if len(change) < 2:
        return STATEMENTS["few-points"].not_tested("fewer than two fits with both")
    mean = Estimate(*np.expm1(Estimate.mean(change)))
    return STATEMENTS["few-points"].claim(
        f"the error changes by {percent(mean)}",
        mean,
        cases=len(change),
        detail=f"{_ERROR} of (3+2) fits from the same starts; medians {few.median():.6f} with few points, "
        f"{many.median():.6f} with many",
    )


def _saw_turns(fits: TargetFits) -> Claim:
    return measurement(
        f"how much of the {_name(fits.problem)} target fits hold",
        f"at most {fits.turns.max()} turns where it has {_turns_of_minimum(fits.problem):,}, median "
        f"{np.median(fits.turns):.0f}; at most {np.abs(fits.share).max():.2%} of the wave",
        detail=f"{len(fits.fit)} fits",
    )


def _path_measured(table: pd.DataFrame) -> Claim:
    row = table.iloc[0]
    return measurement(
        "the path from the global minimum of the 5 x (3+2) target to a fit",
        f"below half of the fit's loss on the last {row['plunge']:.2%} of the way, at {row['level']:.2f} times it "
        f"before; {row['bumps']} bumps",
        detail=f"one path, as in figure 14: {bands_told(table)}",
    )


def _captions(trained: list[TargetFits]) -> dict[str, str]:
    main, _, saw = trained
    return {
        "figure-14-fits-and-a-path": f"Fits of the (3+2) target and a path to one. None of {len(main.fit)} has "
        f"less than {_relative(main).min():.3f} times the error of the smooth fit.",
        "section-4.9-fits-of-3125-teeth": f"Fits of the (5+0) target: at most {saw.turns.max()} turns where it has "
        f"{_turns_of_minimum(saw.problem):,}; beside its teeth they are flat.",
    }


ANALYSIS = Analysis(
    quick=TargetSettings(),
    paper=TargetSettings(fits=256, steps=50_000, saw_fits=64, saw_steps=20_000, inserted=20, path_steps=10_000),
    find=find,
)
