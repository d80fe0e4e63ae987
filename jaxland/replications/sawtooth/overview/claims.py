"""What Gamst and Walker say in figures 1 to 7 and their text, beside what was measured."""

import numpy as np

from jaxland.landscape import outputs
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.overview.reduction import EnsembleAnalysis, SawtoothAnalysis, turning_points
from jaxland.replications.sawtooth.wave import wave_shares
from jaxland.studies import Claim, judged

SMOOTH_LOSS = 0.0045


def claims(config: SawtoothConfig, analysis: SawtoothAnalysis) -> list[Claim]:
    """Every claim, in the order of the paper. Those about another target or network are marked as not tested."""
    result = [_perfect_fit(config), _smooth_fits(analysis)]
    result += [_flat_mean(analysis, name) for name in analysis.ensembles]
    result += [_wiggle(analysis), _best_fits(analysis)]
    result += [_spike(analysis, name) for name in analysis.ensembles]
    result += [_similar(analysis), _lower(analysis), _wider(analysis)]
    for name in analysis.ensembles:
        result += [
            _typical_distance(analysis, name),
            _smallest_distance(analysis, name),
            _distinct(analysis, name),
        ]
        result += [_minimum_distance(analysis, name), _corner(analysis, name)]
    finite = min(each.curve.count for each in analysis.ensembles.values())
    return judged_where_comparable(config, result, finite)


def _pair(analysis: SawtoothAnalysis) -> tuple[EnsembleAnalysis, EnsembleAnalysis] | None:
    """The two ensembles the paper compares, if both hold at least two finite fits."""
    found = [analysis.ensembles.get(name) for name in ("momentum", "adadelta")]
    descent, adadelta = found
    if descent is None or adadelta is None or min(descent.curve.count, adadelta.curve.count) < 2:
        return None
    return descent, adadelta


def _perfect_fit(config: SawtoothConfig) -> Claim:
    problem = config.problem
    minimum = problem.minimum
    assert minimum is not None
    assert problem.network is not None
    error = float(np.abs(outputs(problem.network, minimum[None], problem.x)[0] - problem.y).max())
    return judged(
        "1, section 2",
        "the constructed network W_f fits its target perfectly",
        "loss 0",
        f"largest error {error:.1e}",
        error < 1e-6,
        f"minimum-energy W_f at the {len(problem.x)} training points, float64",
    )


def _smooth_fits(analysis: SawtoothAnalysis) -> Claim:
    own = int(turning_points(analysis.target[None])[0])
    medians = {name: each.turns.quantile(0.5) for name, each in analysis.ensembles.items() if each.turns.total}
    return judged(
        "2",
        "a fit is smooth where f is not",
        "smooth",
        "; ".join(f"{name}: median {median:.0f} turns" for name, median in medians.items()),
        all(median < own / 4 for median in medians.values()) if medians else None,
        f"turning points of the output on [-1, 1]; f has {own}; agrees below a quarter of that",
    )


def _flat_mean(analysis: SawtoothAnalysis, name: str) -> Claim:
    each = analysis.ensembles[name]
    mean = np.atleast_2d(each.curve.mean)
    share = float(wave_shares(analysis.x, analysis.wave, mean)[0]) if each.curve.count else float("nan")
    return judged(
        "3",
        f"{name}: the mean fit is flat and does not hold the sawtooth",
        "flat",
        f"{share:.3f} of the wave",
        abs(share) < 0.1 if each.curve.count else None,
        f"regression of the mean of {each.curve.count:,} fits on the wave and a cubic; 1 would be the whole wave",
    )


def _middle_roughness(curve, analysis: SawtoothAnalysis) -> float:
    """Root mean square of what a cubic leaves of a curve on |x| < 0.3."""
    middle = np.abs(analysis.x) < 0.3
    x = analysis.x[middle]
    residual = curve[middle] - np.polynomial.Polynomial.fit(x, curve[middle], 3)(x)
    return float(np.sqrt(np.mean(residual**2)))


def _wiggle(analysis: SawtoothAnalysis) -> Claim:
    both = _pair(analysis)
    rough = [_middle_roughness(each.curve.mean, analysis) for each in both] if both else [np.nan, np.nan]
    return judged(
        "3",
        "the mean adadelta fit has a slight wiggle in the middle, that of gradient descent has none",
        "wiggle",
        f"adadelta {rough[1]:.2e}, momentum {rough[0]:.2e}",
        rough[1] > rough[0] if both else None,
        "root mean square of what a cubic leaves of the mean fit on |x| < 0.3, units of f",
    )


def _best_fits(analysis: SawtoothAnalysis) -> Claim:
    both = _pair(analysis)
    losses = [each.best_loss for each in both] if both else [np.nan, np.nan]
    return judged(
        "4",
        "adadelta's best fit is better than gradient descent's, and neither reaches the optimum",
        "adadelta < gradient descent, both > 0",
        f"adadelta {losses[1]:.3e}, momentum {losses[0]:.3e}",
        losses[1] < losses[0] and min(losses) > 1e-5 if both else None,
        "smallest loss after training; below 1e-5 would count as the optimum",
    )


def _spike(analysis: SawtoothAnalysis, name: str) -> Claim:
    histogram = analysis.ensembles[name].loss
    mode = histogram.coarsen(0, float(histogram.edges[-1]), 400).mode
    near = histogram.share(0.95 * SMOOTH_LOSS, 1.05 * SMOOTH_LOSS)
    return judged(
        "5",
        f"{name}: the losses have a spike at the smooth fit",
        f"{SMOOTH_LOSS}",
        f"mode {mode:.4f}, {near:.0%} within 5 %",
        abs(mode / SMOOTH_LOSS - 1) < 0.05 if histogram.total else None,
        f"mode of the histogram is {100 * (mode / SMOOTH_LOSS - 1):+.1f} % from the paper's value",
    )


def _similar(analysis: SawtoothAnalysis) -> Claim:
    both = _pair(analysis)
    medians = [each.loss.quantile(0.5) for each in both] if both else [np.nan, np.nan]
    ratio = max(medians) / min(medians)
    return judged(
        "section 4.4",
        "the minima that the two optimizers find have fairly similar energies",
        "fairly similar",
        f"median losses {medians[0]:.5f} (momentum) and {medians[1]:.5f} (adadelta)",
        ratio < 1.25 if both else None,
        f"their ratio is {ratio:.2f}; agrees below 1.25",
    )


def _lower(analysis: SawtoothAnalysis) -> Claim:
    both = _pair(analysis)
    medians = [each.loss.quantile(0.5) for each in both] if both else [np.nan, np.nan]
    return judged(
        "5",
        "adadelta's losses are lower",
        "adadelta < gradient descent",
        f"medians: adadelta {medians[1]:.5f}, momentum {medians[0]:.5f}",
        medians[1] < medians[0] if both else None,
        f"medians differ by {100 * (medians[1] / medians[0] - 1):+.1f} %",
    )


def _wider(analysis: SawtoothAnalysis) -> Claim:
    both = _pair(analysis)
    spreads = [each.loss.quantile(0.95) - each.loss.quantile(0.05) for each in both] if both else [np.nan, np.nan]
    middle = [each.loss.quantile(0.75) - each.loss.quantile(0.25) for each in both] if both else [np.nan, np.nan]
    return judged(
        "5",
        "adadelta's losses are spread more widely",
        "adadelta > gradient descent",
        f"interquartile range: adadelta {middle[1]:.2e}, momentum {middle[0]:.2e}",
        middle[1] > middle[0] if both else None,
        f"5 % to 95 %: adadelta {spreads[1]:.2e}, momentum {spreads[0]:.2e}",
    )


def _typical_distance(analysis: SawtoothAnalysis, name: str) -> Claim:
    histogram = analysis.ensembles[name].pair_distance
    share = histogram.share(6, 8)
    return judged(
        "6",
        f"{name}: minima lie within 6 to 8 of each other",
        "6-8",
        f"median {histogram.quantile(0.5):.2f}, {share:.0%} in 6-8",
        share > 0.5 if histogram.total else None,
        f"{histogram.total:,} pairs; 5 % to 95 %: "
        f"{histogram.quantile(0.05):.2f} to {histogram.quantile(0.95):.2f}; agrees if most lie in 6-8",
    )


def _smallest_distance(analysis: SawtoothAnalysis, name: str) -> Claim:
    histogram = analysis.ensembles[name].pair_distance
    return judged(
        "6",
        f"{name}: the smallest distance of a pair is about 4",
        "4",
        f"{histogram.smallest:.2f}",
        3 <= histogram.smallest <= 5 if histogram.total else None,
        f"{histogram.smallest - 4:+.2f}; agrees within 1. The smallest of few fits is larger than that of many",
    )


def _distinct(analysis: SawtoothAnalysis, name: str) -> Claim:
    histogram = analysis.ensembles[name].pair_distance
    return judged(
        "section 4.5",
        f"{name}: no two fits are the same after symmetrisation",
        "none",
        f"closest pair {histogram.smallest:.2f} apart",
        histogram.smallest > 1e-3 if histogram.total else None,
        f"{histogram.total:,} pairs; below 0.001 would count as the same",
    )


def _minimum_distance(analysis: SawtoothAnalysis, name: str) -> Claim:
    histogram = analysis.ensembles[name].minimum_distance
    share = histogram.share(9.5, 10.5)
    return judged(
        "7, 8",
        f"{name}: most minima are 9.5 to 10.5 from the global minimum",
        "about 10",
        f"median {histogram.quantile(0.5):.2f}, {share:.0%} in 9.5-10.5",
        share > 0.5 if histogram.total else None,
        f"5 % to 95 %: {histogram.quantile(0.05):.2f} to {histogram.quantile(0.95):.2f}",
    )


def _corner(analysis: SawtoothAnalysis, name: str) -> Claim:
    histogram = analysis.ensembles[name].cosine
    return judged(
        "section 4.5",
        f"{name}: the smallest dot product of unit directions from the global minimum is about 0.6",
        "0.6",
        f"{histogram.smallest:.2f}",
        0.5 <= histogram.smallest <= 0.7 if histogram.total else None,
        f"{histogram.smallest - 0.6:+.2f}; agrees within 0.1; {histogram.total:,} pairs, "
        f"median {histogram.quantile(0.5):.2f}",
    )
