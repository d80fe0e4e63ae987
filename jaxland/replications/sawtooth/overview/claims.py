"""What Gamst and Walker say in figures 1 to 7 and their text, beside what was measured."""

from collections.abc import Callable

import numpy as np

from jaxland.landscape import outputs
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.measures import turning_points, wave_shares
from jaxland.replications.sawtooth.overview.reduction import EnsembleAnalysis, SawtoothAnalysis
from jaxland.statistics import Histogram
from jaxland.studies import Above, All, Below, Claim, Each, Ordered, Within, claim

SMOOTH_LOSS = 0.0045


def claims(config: SawtoothConfig, analysis: SawtoothAnalysis) -> list[Claim]:
    """Every claim, in the order of the paper. Those about another target or network are marked as not tested."""
    result = [_perfect_fit(config), _smooth_fits(analysis)]
    result += [_flat_mean(analysis, name) for name in analysis.ensembles]
    result += _curves_of_both(analysis)
    result += [_spike(name, each.loss) for name, each in analysis.ensembles.items()]
    result += _losses_of_both(analysis)
    for name, each in analysis.ensembles.items():
        result += _distances(name, each.pair_distance)
        result += [_minimum_distance(name, each.minimum_distance), _corner(name, each.cosine)]
    finite = min(each.curve.count for each in analysis.ensembles.values())
    return judged_where_comparable(config, result, finite)


def _both(analysis: SawtoothAnalysis, measure: Callable[[EnsembleAnalysis], float]) -> tuple[float, float]:
    """Of momentum and adadelta, which the paper compares; NaN unless each has at least two finite fits."""
    found = [analysis.ensembles[name] for name in ("momentum", "adadelta") if name in analysis.ensembles]
    if len(found) < 2 or min(each.curve.count for each in found) < 2:
        return np.nan, np.nan
    return measure(found[0]), measure(found[1])


def _known(pair: tuple[float, float]) -> tuple[float, float] | None:
    return None if np.isnan(pair).any() else pair


def _perfect_fit(config: SawtoothConfig) -> Claim:
    problem = config.problem
    error = float(np.abs(outputs(problem.network, problem.minimum[None], problem.x)[0] - problem.y).max())
    return claim(
        "1, section 2",
        "the constructed network W_f fits its target perfectly",
        "loss 0",
        f"largest error {error:.1e}",
        error,
        Below(1e-6),
        f"minimum-energy W_f at the {len(problem.x)} training points, float64",
    )


def _smooth_fits(analysis: SawtoothAnalysis) -> Claim:
    own = int(turning_points(analysis.target[None])[0])
    medians = {name: each.turns.quantile(0.5) for name, each in analysis.ensembles.items() if each.turns.total}
    return claim(
        "2",
        "a fit is smooth where f is not",
        "smooth",
        "; ".join(f"{name}: median {median:.0f} turns" for name, median in medians.items()),
        medians.values(),
        Each(Below(own / 4)),
        f"turning points of the output on [-1, 1]; f has four times as many as the bound, {own}",
    )


def _flat_mean(analysis: SawtoothAnalysis, name: str) -> Claim:
    curve = analysis.ensembles[name].curve
    mean = np.atleast_2d(curve.mean)
    share = float(wave_shares(analysis.x, analysis.wave, mean)[0]) if curve.count else float("nan")
    return claim(
        "3",
        f"{name}: the mean fit is flat and does not hold the sawtooth",
        "flat",
        f"{share:.3f} of the wave",
        share if curve.count else None,
        Within(0, 0.1),
        f"regression of the mean of {curve.count:,} fits on the wave and a cubic; 1 would be the whole wave",
    )


def _middle_roughness(curve, analysis: SawtoothAnalysis) -> float:
    """Root mean square of what a cubic leaves of a curve on |x| < 0.3."""
    middle = np.abs(analysis.x) < 0.3
    x = analysis.x[middle]
    residual = curve[middle] - np.polynomial.Polynomial.fit(x, curve[middle], 3)(x)
    return float(np.sqrt(np.mean(residual**2)))


def _curves_of_both(analysis: SawtoothAnalysis) -> list[Claim]:
    rough = _both(analysis, lambda each: _middle_roughness(each.curve.mean, analysis))
    best = _both(analysis, lambda each: each.best_loss)
    return [
        claim(
            "3",
            "the mean adadelta fit has a slight wiggle in the middle, that of gradient descent has none",
            "wiggle",
            f"adadelta {rough[1]:.2e}, momentum {rough[0]:.2e}",
            _known(rough),
            Ordered(("momentum", "adadelta")),
            "root mean square of what a cubic leaves of the mean fit on |x| < 0.3, units of f",
        ),
        claim(
            "4",
            "adadelta's best fit is better than gradient descent's, and neither reaches the optimum",
            "adadelta < gradient descent, both > 0",
            f"adadelta {best[1]:.3e}, momentum {best[0]:.3e}",
            _known(best) and (best[::-1], min(best)),
            All({"they are": Ordered(("adadelta", "momentum")), "the smaller is": Above(1e-5)}),
            "smallest loss after training; less would count as the optimum",
        ),
    ]


def _spike(name: str, losses: Histogram) -> Claim:
    mode = losses.coarsen(0, float(losses.edges[-1]), 400).mode
    near = losses.share(0.95 * SMOOTH_LOSS, 1.05 * SMOOTH_LOSS)
    return claim(
        "5",
        f"{name}: the losses have a spike at the smooth fit",
        f"{SMOOTH_LOSS}",
        f"mode {mode:.4f}, {near:.0%} within 5 %",
        mode if losses.total else None,
        Within(SMOOTH_LOSS, 0.05 * SMOOTH_LOSS),
        f"mode of the histogram is {100 * (mode / SMOOTH_LOSS - 1):+.1f} % from the paper's value",
    )


def _losses_of_both(analysis: SawtoothAnalysis) -> list[Claim]:
    medians = _both(analysis, lambda each: each.loss.quantile(0.5))
    spreads = _both(analysis, lambda each: each.loss.quantile(0.95) - each.loss.quantile(0.05))
    middle = _both(analysis, lambda each: each.loss.quantile(0.75) - each.loss.quantile(0.25))
    ratio = max(medians) / min(medians)
    return [
        claim(
            "section 4.4",
            "the minima that the two optimizers find have fairly similar energies",
            "fairly similar",
            f"median losses {medians[0]:.5f} (momentum) and {medians[1]:.5f} (adadelta)",
            _known(medians) and ratio,
            Below(1.25),
            f"their ratio is {ratio:.2f}",
        ),
        claim(
            "5",
            "adadelta's losses are lower",
            "adadelta < gradient descent",
            f"medians: adadelta {medians[1]:.5f}, momentum {medians[0]:.5f}",
            _known((medians[1], medians[0])),
            Ordered(("adadelta", "momentum")),
            f"medians differ by {100 * (medians[1] / medians[0] - 1):+.1f} %",
        ),
        claim(
            "5",
            "adadelta's losses are spread more widely",
            "adadelta > gradient descent",
            f"interquartile range: adadelta {middle[1]:.2e}, momentum {middle[0]:.2e}",
            _known(middle),
            Ordered(("momentum", "adadelta")),
            f"5 % to 95 %: adadelta {spreads[1]:.2e}, momentum {spreads[0]:.2e}",
        ),
    ]


def _range(histogram: Histogram) -> str:
    return f"5 % to 95 %: {histogram.quantile(0.05):.2f} to {histogram.quantile(0.95):.2f}"


def _distances(name: str, pairs: Histogram) -> list[Claim]:
    share, closest = pairs.share(6, 8), pairs.smallest if pairs.total else None
    return [
        claim(
            "6",
            f"{name}: minima lie within 6 to 8 of each other",
            "6-8",
            f"median {pairs.quantile(0.5):.2f}, {share:.0%} in 6-8",
            share if pairs.total else None,
            Above(0.5, "% in 6-8"),
            f"{pairs.total:,} pairs; {_range(pairs)}",
        ),
        claim(
            "6",
            f"{name}: the smallest distance of a pair is about 4",
            "4",
            f"{pairs.smallest:.2f}",
            closest,
            Within(4, 1),
            f"{pairs.smallest - 4:+.2f}; the smallest of few fits is larger than that of many",
        ),
        claim(
            "section 4.5",
            f"{name}: no two fits are the same after symmetrisation",
            "none",
            f"closest pair {pairs.smallest:.2f} apart",
            closest,
            Above(1e-3),
            f"{pairs.total:,} pairs; less would count as the same",
        ),
    ]


def _minimum_distance(name: str, distances: Histogram) -> Claim:
    share = distances.share(9.5, 10.5)
    return claim(
        "7, 8",
        f"{name}: most minima are 9.5 to 10.5 from the global minimum",
        "about 10",
        f"median {distances.quantile(0.5):.2f}, {share:.0%} in 9.5-10.5",
        share if distances.total else None,
        Above(0.5, "% in 9.5-10.5"),
        _range(distances),
    )


def _corner(name: str, cosines: Histogram) -> Claim:
    return claim(
        "section 4.5",
        f"{name}: the smallest dot product of unit directions from the global minimum is about 0.6",
        "0.6",
        f"{cosines.smallest:.2f}",
        cosines.smallest if cosines.total else None,
        Within(0.6, 0.1),
        f"{cosines.smallest - 0.6:+.2f}; {cosines.total:,} pairs, median {cosines.quantile(0.5):.2f}",
    )
