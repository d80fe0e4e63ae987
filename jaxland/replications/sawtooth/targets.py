"""Figures 13 and 14: targets with many more teeth, and what 5 x 5 networks make of them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

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
from jaxland.plots import all_fits, new_figure, tube
from jaxland.problems import SawtoothProblem, SawtoothTarget
from jaxland.replications.sawtooth.bands import Band, Paths, draw_path, image_table, relaxed_paths, shape_claims
from jaxland.replications.sawtooth.comparable import too_small
from jaxland.replications.sawtooth.drawing import dense_curve
from jaxland.replications.sawtooth.measures import turning_points, wave_shares
from jaxland.replications.sawtooth.model import TARGETS
from jaxland.replications.sawtooth.palette import COLORS
from jaxland.statistics import sample_interval
from jaxland.studies import (
    Above,
    All,
    Analysis,
    AtLeast,
    Below,
    Claim,
    Context,
    Each,
    Equals,
    Findings,
    Stated,
    claim,
    judged_unless,
    untested,
)
from jaxland.training import gradients, make_optimizer

_OPTIMIZER = "adadelta"
_COLOR = COLORS[_OPTIMIZER]
# Fits of a piece: few enough that an interruption loses little, and enough for all lanes of several threads.
_PIECE = 64
_LEAST_FITS = 16
_NO_CHANGE = 0.02
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
    claims = [_peaks(saw), _perfect(saw), _perfect(main), _gentle(saw)]
    trained = [
        _fits(context, "3+2", main, settings.fits, settings.steps),
        _fits(context, "3+2-few-points", few, settings.fits, settings.steps),
        _fits(context, "5+0", saw, settings.saw_fits, settings.saw_steps),
    ]
    if not all(len(each.fit) for each in trained):
        not_possible = untested("14", "fits of targets with many teeth", "", "", "no finite fits")
        return Findings(tables, figures, [*claims, not_possible])
    paths = _path(context, trained[0])
    tables |= _tables(trained, paths)
    figures |= {"figure-14-fits-and-a-path": _fits_figure(trained[0], paths)}
    figures |= {"section-4.9-fits-of-3125-teeth": _saw_figure(trained[2])}
    return Findings(tables, figures, claims + _claims(trained, paths))


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
    figure, axes = new_figure(2, height=4.6)
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
        title=f"Mean fit of the {_name(fits.problem)} target",
        ax=ax,
    )


def _fits_figure(fits: TargetFits, paths: Paths):
    figure, (left, middle, right) = new_figure(3)
    _draw_tube(fits, left)
    knots = fits.target.knots
    x = np.union1d(knots, np.linspace(-1, 1, _CURVE_POINTS))
    curves = fits.functions.take(np.arange(min(_SHOWN, len(fits.fit)))).evaluate(x)
    all_fits(x, curves, color=_COLOR, f=fits.target(x), ax=middle)
    draw_path(paths, 0, color=_COLOR, title=f"The path from $W$ to fit {paths.fit[0]}", ax=right)
    return figure


def _saw_figure(fits: TargetFits):
    figure, (left, right) = new_figure(2)
    _draw_tube(fits, left)
    left.set_ylim(top=2 * fits.target.amplitude)  # room for the legend
    x = np.linspace(-1, 1, _CURVE_POINTS)
    curves = fits.functions.take(np.arange(min(_SHOWN, len(fits.fit)))).evaluate(x)
    all_fits(x, curves, color=_COLOR, title="The fits one by one, enlarged", ax=right)
    return figure


def _peaks(saw: SawtoothProblem) -> Claim:
    turns, pieces = _turns_of_minimum(saw), len(saw.target.knots) - 1
    return claim(
        "13",
        "the 5 x (5+0) sawtooth has 3,125 peaks and valleys",
        "3125",
        f"{turns:,} turning points inside, {turns + 2:,} with the two ends, on {turns + 1:,} straight pieces",
        (turns + 1, pieces),
        Each(Equals(5**5)),
        "exact knots of the output of the minimum-energy W on [-1, 1]; straight pieces, and those of the target",
    )


def _perfect(problem: SawtoothProblem) -> Claim:
    error = _largest_error(problem)
    return claim(
        "13, section 4.9",
        f"a {_name(problem)} network can reproduce its target perfectly",
        "perfectly",
        f"largest error {error:.1e}",
        error,
        Below(1e-6),
        "minimum-energy W at all knots of the target, float64",
    )


def _gentle(saw: SawtoothProblem) -> Claim:
    own, dense = (len(problem.target.knots) - 2 for problem in (TARGETS["main"](1), saw))
    possible = most_knots(saw.network.spec.widths)
    return claim(
        "section 4.9",
        "the main example is far from the full complexity of 5 x 5 networks",
        "not even close",
        f"{own} interior knots; the (5+0) target has {dense:,}, and {possible:,} are possible",
        own / dense,
        Below(0.1, "% of the (5+0) target's"),
        "what is possible: the product of N + 1 over hidden layers, less 1",
    )


def _claims(trained: list[TargetFits], paths: Paths) -> list[Claim]:
    main, few, saw = trained
    shape = [each._replace(figure="14") for each in shape_claims(f"(3+2), {_OPTIMIZER}", paths)]
    claims = [_never_learned(main), _wiggle_free(main), _none_fits(main), _location(main), *shape]
    claims = judged_unless(_reason(main), [*claims, _few_points(main, few)])
    return claims + judged_unless(_reason(saw), [_never_learned(saw), _wiggle_free(saw)])


def _reason(fits: TargetFits) -> str:
    return too_small(fits.steps, len(fits.fit), _LEAST_FITS)


def _count(fits: TargetFits) -> str:
    diverged = fits.asked - len(fits.fit)
    return f"{len(fits.fit)} fits" + (f", {diverged} more diverged" if diverged else "")


def _never_learned(fits: TargetFits) -> Claim:
    ratio = fits.error / fits.smooth_error
    return claim(
        "section 4.9",
        f"5 x 5 networks never learn the {_name(fits.problem)} target",
        "never",
        f"best fit has {ratio.min():.3f} times the error of the smooth fit, a²/3 = {fits.smooth_error:.5f}",
        ratio.min(),
        Above(0.5, "of the smooth fit's"),
        f"exact mean squared error over [-1, 1], median {np.median(ratio):.3f}, largest {ratio.max():.3f} times a²/3; "
        f"{_count(fits)}",
    )


def _wiggle_free(fits: TargetFits) -> Claim:
    own, turns, share, knots = (
        len(fits.target.knots) - 2,
        fits.turns,
        np.abs(fits.share),
        fits.functions.interior_counts,
    )
    return claim(
        "14" if fits.target.spline else "section 4.9",
        f"all fits of the {_name(fits.problem)} target are wiggle-free",
        "all",
        f"median {np.median(turns):.0f}, at most {turns.max()} turns where the target has "
        f"{_turns_of_minimum(fits.problem):,}; at most {share.max():.2%} of the wave",
        (turns.max() / own, share.max()),
        All({"the most turns are": Below(0.1, "% of the target's knots"), "the wave is": Below(0.1, "%")}),
        f"turning points by exact knots (median {np.median(knots):.0f}, at most {knots.max()} knots of {own:,}); "
        f"regression of each fit on the wave and a cubic; {_count(fits)}",
    )


def _none_fits(fits: TargetFits) -> Claim:
    ratio = fits.error / fits.smooth_error
    return claim(
        "14",
        "the deviation is not due to some fits finding the teeth and some not",
        "no fit finds them",
        f"errors are {ratio.min():.3f} to {ratio.max():.3f} times that of the smooth fit; {(ratio < 0.5).sum()} of "
        f"{len(ratio)} are below half of it",
        ratio.min(),
        AtLeast(0.5, "of the smooth fit's"),
        "exact mean squared error over [-1, 1] of the best fit",
    )


def _location(fits: TargetFits) -> Claim:
    ratio = fits.error / fits.smooth_error
    alike = fits.functions.take(np.flatnonzero((ratio >= 0.5) & (ratio <= 1.5)))
    left = function_moments(alike).integrated_variance if len(alike.counts) > 1 else 0.0
    share = left / fits.moments.integrated_variance if fits.deviation > 0 else 0.0
    low, high = np.quantile(_highest_at(fits), [0.25, 0.75])
    amplitude = fits.target.amplitude
    return claim(
        "14",
        "the deviation is that of the exact location of the fitted function",
        "location varies",
        f"standard deviation {fits.deviation / amplitude:.1%} of the wave's amplitude; without the "
        f"{len(ratio) - len(alike.counts)} fits that miss the low-frequency part too "
        f"{np.sqrt(left / 2) / amplitude:.1%}, {share:.0%} of the variance",
        share,
        Above(0.5, "% of the variance"),
        "root mean square over [-1, 1]; errors within a half of the smooth fit's count as holding the low-frequency "
        f"part; the middle half of all fits is highest at x = {low:.3f} to {high:.3f}",
    )


def _few_points(main: TargetFits, few: TargetFits) -> Claim:
    _, rows, others = np.intersect1d(main.fit, few.fit, return_indices=True)
    change = np.log(few.error[others] / main.error[rows]) if len(rows) else np.array([np.nan])
    low, high = np.expm1(sample_interval(change))
    medians = np.median(main.error), np.median(few.error)
    return claim(
        "section 4.2",
        "from 2 or 3 points a segment on, more data change nothing",
        "no effect",
        f"median error {medians[1]:.6f} with {_points(few.problem)} points a piece, {medians[0]:.6f} with "
        f"{_points(main.problem)}",
        low < 0 < high or abs(medians[1] / medians[0] - 1) < _NO_CHANGE,
        Stated(f"the interval holds 0, or the medians are within {_NO_CHANGE:.0%}"),
        f"exact mean squared error of (3+2) fits from the same starts; mean change {np.expm1(change.mean()):+.2%}, "
        f"95 % interval {low:+.2%} to {high:+.2%}",
    )


ANALYSIS = Analysis(
    quick=TargetSettings(),
    paper=TargetSettings(fits=256, steps=50_000, saw_fits=64, saw_steps=20_000, inserted=20, path_steps=10_000),
    find=find,
)
