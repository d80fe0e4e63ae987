"""What Gamst and Walker say in figures 1 to 7 and their text, beside what was measured."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from jaxland.landscape import outputs
from jaxland.replications.sawtooth.comparable import LEAST_STEPS, other_example
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.measures import turning_points
from jaxland.replications.sawtooth.overview.reduction import MIDDLE, FitSample, SawtoothAnalysis
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.fits import (
    BLOCKS,
    FROM_MINIMUM,
    HALF_THE_WAVE,
    NEAR,
    PAIRS,
    SAME,
    SMOOTH,
    SMOOTH_LOSS,
)
from jaxland.statistics import Estimate, Histogram, bootstrap_interval
from jaxland.studies import Claim, judged_unless, measurement

COMPARED = "momentum", "adadelta"
_CLOUDS, _CLOUD = 200, 200
_CONSTANT = 0.01
"""Relative distance from the variance of the data within which a loss is that of a constant output."""
_RESAMPLED = 30
"""Fits from which on a deviation is resampled: of few, a resample may hold one alone, which deviates from nothing."""


def claims(config: SawtoothConfig, analysis: SawtoothAnalysis) -> list[Claim]:
    """Every claim: those that need no training, those of each ensemble, and those of both."""
    result = without_training(config)
    samples = {name: each.sample for name, each in analysis.ensembles.items() if len(each.sample.fit)}
    result += [symmetric_claim(name, analysis.ensembles[name].drift) for name in samples]
    own, built = int(turning_points(analysis.target[None])[0]), config.problem.target.parameters()
    trained: list[Claim] = []
    for name, each in samples.items():
        trained += fit_claims(name, each, own, float(np.abs(built).max()))
    for name in [name for name in COMPARED if name in samples]:
        ensemble = analysis.ensembles[name]
        trained += distance_claims(name, samples[name], min(ensemble.pair_distance.smallest, np.inf))
        trained += [_seen(name, ensemble.pair_distance, ensemble.minimum_distance, ensemble.cosine)]
    if set(COMPARED) <= set(samples):
        trained += both_claims(samples, float(np.var(config.problem.y)))
    short = f"judged from {LEAST_STEPS:,} steps on" if config.steps < LEAST_STEPS else ""
    return result + judged_unless(other_example(config) or short, trained)


def without_training(config: SawtoothConfig) -> list[Claim]:
    """What is said of the target, its data, and of Gaussian clouds."""
    problem = config.problem
    error = float(np.abs(outputs(problem.network, problem.minimum[None], problem.x)[0] - problem.y).max())
    perfect = perfect_claim(error, len(problem.x))
    points = judged_unless(
        other_example(config) or ("" if config.points_per_segment == 10 else "the source has ten points a piece"),
        [points_claim(len(problem.x))],
    )
    return [perfect, *points, gaussian_claim(config.network.size)]


def perfect_claim(error: float, points: int) -> Claim:
    """Whether W_f equals its target."""
    return STATEMENTS["perfect-fit"].claim(
        f"largest error {error:.1e}", error, detail=f"minimum-energy W_f at the {points} training points, float64"
    )


def points_claim(points: int) -> Claim:
    """Whether there are as many training points as the source has."""
    return STATEMENTS["training-points"].claim(f"{points} points", points)


def gaussian_claim(dimensions: int) -> Claim:
    """How many Gaussian clouds, seen from one of their points, have no negative dot product."""
    generator = np.random.default_rng(0)
    lowest = []
    for _ in range(_CLOUDS):
        directions = generator.normal(size=(_CLOUD - 1, dimensions)) - generator.normal(size=dimensions)
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lowest.append((directions @ directions.T).min())
    count = int(np.sum(np.array(lowest) > 0))
    return STATEMENTS["gaussian-too"].claim(
        f"{count} of {_CLOUDS} clouds, smallest dot product {np.median(lowest):.2f} in the median",
        Estimate.share(count, _CLOUDS),
        cases=_CLOUDS,
        detail=f"{_CLOUD} points each in {dimensions} dimensions",
    )


def symmetric_claim(name: str, drift: float) -> Claim:
    """Whether symmetrisation left all outputs as they were."""
    return STATEMENTS["symmetric"].claim(
        f"outputs move by {drift:.1e} at most", drift, of=name, detail="all fits, before and after symmetrisation"
    )


def fit_claims(name: str, sample: FitSample, own: int, largest: float) -> list[Claim]:
    """What is said of fits one by one: smooth, flat, never at the optimum.

    Args:
        name: of the ensemble.
        sample: its fits.
        own: turns of the target.
        largest: absolute value in the hand-made W_f.
    """
    count = len(sample.fit)
    told = {"of": name, "cases": count}
    turns, wave = Estimate.quantile(sample.turns), Estimate.mean(sample.wave)
    without, smooth = _count(sample.wave < HALF_THE_WAVE), _count(np.abs(sample.loss / SMOOTH_LOSS - 1) < SMOOTH)
    found = _count(sample.loss < SAME * SMOOTH_LOSS)
    near, smaller = _count(np.abs(sample.loss / SMOOTH_LOSS - 1) < NEAR), _count(sample.largest < largest)
    return [
        denoised_claim(name, without, smooth, count),
        STATEMENTS["never-found"].claim(f"{found} of {count:,} fits", Estimate.share(found, count), **told),
        STATEMENTS["large-values"].claim(
            f"W_f's largest is {largest:.3g}; {smaller / count:.1%} of fits have none as large, and "
            f"{np.median(sample.largest):.2g} in the median",
            Estimate.share(smaller, count),
            **told,
        ),
        STATEMENTS["one-fit"].claim(
            f"median {turns.value:.0f} turns; f has {own}",
            Estimate(*(value / own for value in turns)),
            detail="turning points of the output on [-1, 1]",
            **told,
        ),
        STATEMENTS["flat-mean"].claim(
            f"{wave.value:.3f} of the wave",
            wave,
            detail="regression of the mean fit on the wave and a cubic, which is the mean of the fits' own",
            **told,
        ),
        STATEMENTS["not-optimal"].claim(
            f"smallest loss {sample.loss.min():.3g}", float(sample.loss.min()) / SMOOTH_LOSS, of=name, cases=count
        ),
        STATEMENTS["spike"].claim(f"{near / count:.0%} of fits", Estimate.share(near, count), **told),
    ]


def _count(met: Bool[np.ndarray, "F"]) -> int:
    return int(met.sum())


def denoised_claim(name: str, without: int, smooth: int, count: int) -> Claim:
    """Whether fits have lost the wave, and nothing else: constant fits have lost both.

    Args:
        name: of the ensemble.
        without: fits that hold less than half of the wave.
        smooth: fits with a loss near the smooth fit's.
        count: of all fits.
    """
    shares = Estimate.share(without, count), Estimate.share(smooth, count)
    return STATEMENTS["denoised"].claim(
        f"{shares[0].value:.2%} of fits hold less than half of the wave; {shares[1]:.1%} have a loss within a half of "
        "the smooth fit's",
        shares,
        of=name,
        cases=count,
    )


def distance_claims(name: str, sample: FitSample, closest: float) -> list[Claim]:
    """What is said of distances, of gradient descent's minima; of adadelta's, which the source does not call so, too.

    Args:
        name: of the ensemble.
        sample: its fits.
        closest: smallest distance of all pairs looked at.
    """
    pairs, radius, cosines = sample.pairs, sample.radius, sample.cosines
    alone = f"{len(pairs):,} pairs of which no fit is in two"
    inside = _share((pairs >= PAIRS[0]) & (pairs < PAIRS[1]))
    around = _share((radius >= FROM_MINIMUM[0]) & (radius < FROM_MINIMUM[1]))
    negative = _share(cosines < 0)
    blocks = f"the median of the smallest of a million pairs in each of {BLOCKS} blocks of fits"
    made = [
        STATEMENTS["all-different"].claim(
            f"closest pair {closest:.2f} apart", min(closest, *pairs) if len(pairs) else None, of=name
        ),
        STATEMENTS["closest-pair"].claim(
            f"{_middle(sample.closest):.2f}",
            _quantile(sample.closest),
            of=name,
            cases=len(sample.fit),
            detail=blocks,
        ),
        STATEMENTS["one-sided"].claim(
            f"{negative.value:.2%} of pairs",
            negative if len(cosines) else None,
            of=name,
            cases=len(cosines),
            detail=alone,
        ),
    ]
    measured = {
        "pair-distances": (f"median {_middle(pairs):.2f}, {inside.value:.0%} in 6-8", inside, pairs, alone),
        "from-minimum": (f"median {_middle(radius):.2f}, {around.value:.0%} in 9.5-10.5", around, radius, ""),
        "corner": (f"{_middle(sample.lowest):.2f}", _quantile(sample.lowest), sample.fit, blocks),
    }
    for key, (words, value, cases, detail) in measured.items():
        if name == "momentum":
            value = value if len(cases) else None
            made.append(STATEMENTS[key].claim(words, value, of=name, cases=len(cases), detail=detail))
        else:
            text = f"{STATEMENTS[key].text}; the source's local minima are gradient descent's"
            made.append(measurement(text, f"{words}, 95 % interval {value}", of=name, detail=detail))
    return made


def _share(met) -> Estimate:
    return Estimate.share(int(met.sum()), len(met))


def _middle(values) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def _quantile(values: Float[np.ndarray, "F"]) -> Estimate | None:
    return Estimate.quantile(values) if len(values) else None


def _seen(name: str, pairs: Histogram, radius: Histogram, cosines: Histogram) -> Claim:
    return measurement(
        "distances and dot products of all pairs drawn",
        f"pairs {_range(pairs)}; from W_f {_range(radius)}; dot products {_range(cosines)}",
        of=name,
        detail=f"smallest, median, largest of {pairs.total:,} pairs",
    )


def _range(histogram: Histogram) -> str:
    return f"{histogram.smallest:.2f}, {histogram.quantile(0.5):.2f}, {histogram.largest:.2f}"


def both_claims(samples: Mapping[str, FitSample], variance: float) -> list[Claim]:
    """What is said of adadelta beside gradient descent, start by start.

    Args:
        samples: of both.
        variance: of the data, the loss of a constant output.
    """
    descent, adadelta = (samples[name] for name in COMPARED)
    _, one, other = np.intersect1d(descent.fit, adadelta.fit, return_indices=True)
    if len(one) < 2:
        return []
    first, second = descent.loss[one], adadelta.loss[other]
    wiggle = Estimate.mean(adadelta.middle[other] - descent.middle[one])
    better = Estimate.mean(
        (second < 0.75 * SMOOTH_LOSS).astype(np.float64) - (first < 0.75 * SMOOTH_LOSS).astype(np.float64)
    )
    gains = descent.best - adadelta.best
    count = len(one)
    paired = f"{count:,} starts, each with both optimizers"
    return [
        STATEMENTS["adadelta-closer"].claim(
            f"{np.mean(second < 0.75 * SMOOTH_LOSS):.1%} of adadelta's, {np.mean(first < 0.75 * SMOOTH_LOSS):.1%} of "
            "momentum's",
            better,
            detail=paired,
            cases=count,
        ),
        STATEMENTS["wiggle"].claim(
            f"adadelta {adadelta.middle[other].mean():.3f}, momentum {descent.middle[one].mean():.3f} of the wave",
            wiggle,
            detail=f"mean fits on |x| < {MIDDLE}; {paired}",
            cases=count,
        ),
        STATEMENTS["best-fits"].claim(
            f"adadelta {second.min():.3e}, momentum {first.min():.3e}",
            Estimate.mean(gains),
            detail=f"differences of the smallest losses in {len(gains)} blocks of fits",
            cases=count,
        ),
        similar_claim(first, second),
        lower_claim(Estimate.quantile(first), Estimate.quantile(second), count),
        wider_claim(first, second, variance),
    ]


def lower_claim(descent: Estimate, adadelta: Estimate, count: int) -> Claim:
    """Whether adadelta's median loss is the lower one, by medians of as many fits of both."""
    gain = Estimate(descent.value - adadelta.value, descent.low - adadelta.high, descent.high - adadelta.low)
    return STATEMENTS["lower-losses"].claim(
        f"the median of adadelta, {adadelta.value:.5f}, is lower than that of momentum, {descent.value:.5f}, by "
        f"{gain:.2e} (mean squared errors)",
        gain,
        detail="the interval is from either end of that of one median to the other end of that of the other",
        cases=count,
    )


def similar_claim(first: Float[np.ndarray, "F"], second: Float[np.ndarray, "F"]) -> Claim:
    """Whether the medians of two paired ensembles are near each other."""
    ratio = _ratio(first, second, lambda values: float(np.median(values)))
    larger = max(ratio, Estimate(1 / ratio.value, 1 / ratio.high, 1 / ratio.low))
    return STATEMENTS["similar-energies"].claim(
        f"median losses {np.median(first):.5f} (momentum) and {np.median(second):.5f} (adadelta)",
        larger._replace(low=max(larger.low, 1.0)),
        cases=len(first),
        detail=f"their ratio is {larger.value:.2f}",
    )


def wider_claim(first: Float[np.ndarray, "F"], second: Float[np.ndarray, "F"], variance: float) -> Claim:
    """Whether adadelta's losses have the larger standard deviation where neither optimizer's fit is dead."""
    dead = [np.abs(each / variance - 1) < _CONSTANT for each in (first, second)]
    alive = ~(dead[0] | dead[1])
    spread = f"all fits {second.std():.2e} against {first.std():.2e}, interquartile ranges {_iqr(second):.2e} against "
    spread += f"{_iqr(first):.2e}"
    if alive.sum() < 2:
        return STATEMENTS["wider-losses"].not_tested("all fits are dead")
    ratio = None
    if alive.sum() >= _RESAMPLED:
        ratio = _ratio(second[alive], first[alive], lambda values: float(values.std()))
    return STATEMENTS["wider-losses"].claim(
        f"standard deviations: adadelta {second[alive].std():.2e}, momentum {first[alive].std():.2e}; {spread}",
        ratio,
        cases=int(alive.sum()),
        detail=f"{dead[0].mean():.1%} of momentum's and {dead[1].mean():.1%} of adadelta's fits are dead, with the "
        "loss of a constant",
    )


def _iqr(values: Float[np.ndarray, "F"]) -> float:
    return float(np.subtract(*np.quantile(values, (0.75, 0.25))))


def _ratio(over: Float[np.ndarray, "F"], under: Float[np.ndarray, "F"], of: Callable[[np.ndarray], float]) -> Estimate:
    """Of a statistic of paired values, by resampling pairs."""
    rows = np.stack([over, under], axis=1)
    found = bootstrap_interval(
        rows, lambda drawn: of(drawn[:, 0]) / of(drawn[:, 1]), seed=0, method="percentile", resamples=999
    )
    return Estimate(found.value, found.low, found.high)
