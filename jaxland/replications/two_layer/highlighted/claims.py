"""What the document says of its highlighted runs, and what they give here."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from jaxland.landscape import duplicate_units
from jaxland.replications.two_layer.descent import Descent
from jaxland.replications.two_layer.highlighted.cost import operations
from jaxland.replications.two_layer.highlighted.table import COURSES, Extremes, courses, extremes, rise_epoch
from jaxland.replications.two_layer.source import (
    HIGH,
    LOW,
    Run,
    documents_gradient,
    network,
    run_named,
    standard_data,
    standard_weights,
)
from jaxland.replications.two_layer.statements import ALIKE, STATEMENTS
from jaxland.studies import Claim

_SIZES = (2, 3, 5, 8)
_STANDARD = "standard data and weights, float64"

Found = Mapping[Run, Descent]


def claims(found: Found) -> list[Claim]:
    """In the order of the document. What depends on rounding is judged by the analysis of rounding."""
    one, slow = _get(found, "f1", 3, 1.0, 1000), _get(found, "f1", 3, 0.1, 10_000)
    two, three, five = (_get(found, "f1", hidden, 0.1, 1000) for hidden in (2, 3, 5))
    small, eight = _get(found, "f2", 3, 0.1, 1000), _get(found, "f2", 8, 0.1, 1200)
    half = _get(found, "f2", 8, 0.05, 10_000)
    return [
        gradients(),
        stable(one),
        drop(one),
        grows(_get(found, "f1", 3, 2.0, 1000)),
        overflows("overflow-f1", _get(found, "f1", 3, 5.0, 1000)),
        same_course(one, slow),
        faster(one, slow),
        duplicates("duplicates-3", slow),
        remove(slow),
        two_are_enough(two, three),
        v_doubles(two, three),
        shape("shape-2", two, three),
        magnitude("magnitude-2", _changes(two, three)),
        shape("shape-5", five, three),
        duplicates("duplicates-5", five),
        magnitude("magnitude-5", _changes(five, three)[:3]),
        *bias_less(extremes(five), extremes(three)),
        *(printed(f"error-{hidden}", _get(found, "f1", hidden, 0.1, 1000)) for hidden in _SIZES),
        cost([operations(hidden) for hidden in _SIZES]),
        fails(small),
        stagnates(small),
        larger_is_better(small, _get(found, "f2", 6, 0.1, 1000), eight),
        *splits(eight),
        overflows("overflow-f2", _get(found, "f2", 8, 1.5, 1000)),
        *learns_in_spite(_get(found, "f2", 8, 1.0, 1000)),
        half_rate(eight, _get(found, "f2", 8, 0.05, 1000)),
        stagnates_later(half),
        printed("error-10000", half),
        halves(half, _get(found, "f2", 12, 0.05, 10_000)),
        no_overfitting(one),
    ]


def _get(found: Found, *settings) -> Descent:
    return found[run_named(*settings)]


def gradients(hidden: int = 5, ours: Float[np.ndarray, "P"] | None = None) -> Claim:
    """Equations 1 and 2 point by point, against automatic differentiation."""
    params, x = standard_weights(hidden), standard_data().x[:50]
    expected = documents_gradient(params, x, np.sin(x))
    ours = _automatic(hidden, params, x, np.sin(x)) if ours is None else ours
    difference = float(np.abs(ours - expected).max() / np.abs(expected).max())
    return STATEMENTS["gradients"].claim(
        f"they differ from automatic differentiation by {difference:.1e} of the largest entry",
        difference,
        detail=f"h = {hidden}, {len(x)} points, in float64",
    )


def _automatic(hidden: int, params: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    import jax

    net = network(hidden)
    with jax.enable_x64(True):
        return np.asarray(
            jax.grad(lambda vector: 0.5 * ((net.apply_flat(vector, x[:, None])[:, 0] - y) ** 2).mean())(params)
        )


def printed(name: str, descent: Descent) -> Claim:
    """An error whose digits the document prints."""
    error = descent.error[-1]
    return STATEMENTS[name].claim(f"{error:.6f}", f"{error:.4f}", detail=_STANDARD)


def stable(descent: Descent) -> Claim:
    """The epoch from which on figure 3 is not stable any more."""
    epoch = rise_epoch(descent)
    measured = f"the loss rises first at epoch {epoch}" if epoch >= 0 else "the loss never rises"
    return STATEMENTS["stable-750"].claim(measured, epoch if epoch >= 0 else np.inf, detail=_STANDARD)


def drop(descent: Descent) -> Claim:
    """How much worse figure 3 ends."""
    ratio = descent.error[-1] / np.nanmin(descent.error)
    return STATEMENTS["drop"].claim(f"{ratio:.0f} times the smallest error at the end", ratio, detail=_STANDARD)


def grows(descent: Descent) -> Claim:
    """The error at a rate of 2."""
    error = float(descent.error[-1])
    measured = f"{error:.1f} at the end; beyond 1,000 first at epoch {np.argmax(descent.error > 1000)}"
    return STATEMENTS["grows"].claim(measured, f"{error:.1e}", detail=_STANDARD)


def overflows(name: str, descent: Descent) -> Claim:
    """Whether an error is beyond all numbers."""
    bad = np.flatnonzero(~np.isfinite(descent.error))
    return STATEMENTS[name].claim(
        f"the error exceeds all float64 numbers at epoch {descent.epochs[bad[0]]}" if len(bad) else "no overflow",
        len(bad) > 0,
        detail=f"{_STANDARD}; the largest finite error is {descent.error[np.isfinite(descent.error)].max():.1e}",
    )


def same_course(fast: Descent, slow: Descent) -> Claim:
    """Figure 4 beside figure 3."""
    epochs = np.arange(100, 741, 10)
    one, two = fast.error[epochs], np.array([slow.error[slow.at(10 * epoch)] for epoch in epochs.tolist()])
    worst, epoch = float(np.abs(two / one - 1).max()), rise_epoch(slow)
    rises = "never rises" if epoch < 0 else f"rises at epoch {epoch:,}"
    return STATEMENTS["same-course"].claim(
        f"errors within {worst:.1%} at epochs 100 to 740 of rate 1; at rate 0.1 the loss {rises} and ends with "
        f"{slow.error[-1]:.6f}",
        (worst, epoch < 0),
        detail=_STANDARD,
    )


def faster(fast: Descent, slow: Descent, level: float = 0.001) -> Claim:
    """Epochs until the error is good, at two rates."""
    needed = [each.epochs[np.argmax(each.error < level)] for each in (fast, slow) if (each.error < level).any()]
    return STATEMENTS["faster"].claim(
        f"an error of {level:g} after {' and '.join(f'{each:,}' for each in needed)} epochs",
        needed[1] / needed[0] if len(needed) == 2 else None,
        detail=_STANDARD,
    )


def unit_difference(params: np.ndarray, hidden: int) -> float:
    """Largest relative difference of the incoming weights of two hidden units of a flat vector."""
    incoming = params[network(hidden).spec.symmetry.layers[0].incoming]
    norm = np.linalg.norm(incoming, axis=1)
    apart = np.linalg.norm(incoming[:, None] - incoming, axis=-1)
    return float((apart / np.maximum(norm[:, None], norm)).max())


def duplicates(name: str, descent: Descent) -> Claim:
    """How far apart the hidden units end."""
    difference, v = unit_difference(descent.params[-1], descent.hidden), descent.weights.v[-1, :-1]
    return STATEMENTS[name].claim(
        f"incoming weights of two units differ by {difference:.1%} at most, V between {v.min():.3f} and {v.max():.3f}",
        difference,
        detail=f"{_STANDARD}; L2 norm of the difference over that of the longer vector",
    )


def remove(descent: Descent) -> Claim:
    """The output without H1, V0 being doubled."""
    x = np.linspace(LOW, HIGH, 401)
    (u,), (v,) = (each[-1:] for each in descent.weights)
    units = 1 / (1 + np.exp(-(u[:, :1] * x + u[:, 1:])))
    before, after = v[:2] @ units + v[2], 2 * v[0] * units[0] + v[2]
    change = float(np.abs(after - before).max() / np.ptp(before))
    return STATEMENTS["remove"].claim(
        f"the output changes by {change:.2%} of its spread at most", change, detail=f"{_STANDARD}, after 10,000 epochs"
    )


def two_are_enough(two: Descent, three: Descent) -> Claim:
    """The error with one hidden unit instead of two."""
    ratio = two.error[-1] / three.error[-1]
    measured = f"{three.error[-1]:.4f} becomes {two.error[-1]:.4f}, {ratio:.2f} times"
    return STATEMENTS["two-are-enough"].claim(measured, ratio, detail=f"{_STANDARD}; rate 0.1, 1,000 epochs")


def v_doubles(two: Descent, three: Descent) -> Claim:
    """V0 with one hidden unit instead of two."""
    ratio = float(two.weights.v[-1, 0] / three.weights.v[-1, 0])
    return STATEMENTS["v-doubles"].claim(f"{ratio:.3f} times", ratio, detail=f"{_STANDARD}; after 1,000 epochs")


def shape(name: str, other: Descent, three: Descent) -> Claim:
    """Whether weights of figure 5 keep the shape of their course."""
    found = [float(np.corrcoef(one, two)[0, 1]) for one, two in zip(courses(other), courses(three), strict=True)]
    told = ", ".join(f"{each:.3f}" for each in found)
    return STATEMENTS[name].claim(
        f"correlations of the courses of U00, U01, V0 and V[h-1]: {told}", min(found), detail=_STANDARD
    )


def _changes(other: Descent, three: Descent) -> Float[np.ndarray, "4"]:
    """Magnitudes of U00, U01, V0 and V[h-1] at the end, over those with h = 3."""
    return np.abs(courses(other)[:, -1] / courses(three)[:, -1])


def magnitude(name: str, changes: Float[np.ndarray, "_"]) -> Claim:
    """Whether weights of figure 5 become larger or smaller."""
    told = ", ".join(f"{each:.2f}" for each in changes)
    return STATEMENTS[name].claim(
        f"U00, U01, V0{' and V[h-1]' if len(changes) > 3 else ''} are {told} times those with h = 3",
        changes.tolist(),
        detail=_STANDARD,
    )


def bias_less(five: Extremes, three: Extremes) -> list[Claim]:
    """Whether the weight of the bias unit, the last of four, changes less than each of the others: three readings."""
    end, peak, apart = np.abs(five.end / three.end), five.peak / three.peak, np.abs(five.end - three.end)
    readings = {
        "ratio at the end": (end, np.abs(np.log(end))),
        "difference at the end": (apart, apart),
        "ratio of the peaks": (peak, np.abs(np.log(peak))),
    }
    return [
        STATEMENTS["bias-less"].claim(
            ", ".join(f"{name} {each:.2f}" for name, each in zip(COURSES, shown, strict=True)),
            changes[3] / changes[:3].min(),
            of=reading,
            detail=f"{_STANDARD}; h = 5 beside h = 3, after 1,000 epochs or at the largest magnitude on the way",
        )
        for reading, (shown, changes) in readings.items()
    ]


def cost(counts: Sequence[float]) -> Claim:
    """Operations of an epoch, by size."""
    told = ", ".join(f"{count:,.0f} with h = {hidden}" for hidden, count in zip(_SIZES, counts, strict=True))
    return STATEMENTS["cost"].claim(
        told,
        [after / before for before, after in pairwise(counts)],
        detail="floating point operations of loss and gradient on 1,000 points, before the compiler fuses any",
    )


def fails(descent: Descent) -> Claim:
    """What is left of the error of f2 with two hidden units."""
    first, last = descent.error[0], descent.error[-1]
    measured = f"error {last:.1f} after 1,000 epochs, {first:.1f} at the start"
    return STATEMENTS["fails"].claim(measured, last / first, detail=_STANDARD)


def stagnates(descent: Descent) -> Claim:
    """How much of the gain comes late."""
    error = descent.error
    late = (error[300] - error[-1]) / (error[0] - error[-1])
    return STATEMENTS["stagnates-3"].claim(
        f"{1 - late:.1%} of the gain comes in the first 300 epochs", late, detail=_STANDARD
    )


def larger_is_better(*runs: Descent) -> Claim:
    """Smallest errors of three sizes, in the one run of each that figure 6 shows."""
    best = [float(np.nanmin(each.error)) for each in runs]
    return STATEMENTS["larger-is-better"].claim(
        ", ".join(f"h = {each.hidden}: {error:.3f}" for each, error in zip(runs, best, strict=True)),
        (best[1] / best[0], best[2] / best[1]),
        of="the document's runs",
        detail=f"{_STANDARD}; smallest error on the way, rate 0.1",
    )


def splits(descent: Descent) -> list[Claim]:
    """Different units among the first four of f2, h = 8."""
    epochs = (100, 200, 300, 500, 1200)
    params = descent.params[[descent.at(epoch) for epoch in epochs]]
    groups = duplicate_units(network(8), params, tolerance=ALIKE, mirrored=True)[:, :4]
    different = [len(set(row.tolist())) for row in groups]
    told = ", ".join(f"{count} at {epoch:,}" for epoch, count in zip(epochs, different, strict=True))
    words = f"different ones among these four: {told}"
    detail = f"{_STANDARD}; incoming weights, opposite ones counted as equal, within {ALIKE:.0%}"
    return [
        STATEMENTS["alike-300"].claim(words, max(different[:3]), detail=detail),
        STATEMENTS["split-later"].claim(words, different[-1], detail=detail),
    ]


def learns_in_spite(descent: Descent) -> list[Claim]:
    """Figure 7."""
    error = descent.error
    late, rising = float(np.median(error[-100:])), float((np.diff(error) > 0).mean())
    detail = f"{_STANDARD}; the oscillation is chaotic, so its numbers depend on rounding"
    return [
        STATEMENTS["unstable-7"].claim(
            f"the error rises in {rising:.0%} of the epochs, to {error.max():.0f} at most", rising, detail=detail
        ),
        STATEMENTS["sensible-7"].claim(
            f"the median of the last 100 is {late:.1f}, the first is {error[0]:.1f}", late / error[0], detail=detail
        ),
    ]


def half_rate(fast: Descent, slow: Descent) -> Claim:
    """Epochs to the same errors, at two rates."""
    levels = np.array([50, 40, 30, 20, 10, 5, 3, 2])
    needed = [[int(np.argmax(each.error < level)) for level in levels] for each in (fast, slow)]
    ratios = np.divide(needed[1], np.maximum(needed[0], 1))
    return STATEMENTS["half-rate"].claim(
        f"{ratios.min():.2f} to {ratios.max():.2f} times the epochs to errors of {levels[0]} to {levels[-1]}",
        ratios.tolist(),
        detail=f"{_STANDARD}, 1,000 epochs",
    )


def stagnates_later(descent: Descent) -> Claim:
    """What the last 2,000 of 10,000 epochs gain."""
    gain = 1 - descent.error[-1] / descent.error[descent.at(8000)]
    return STATEMENTS["stagnates-8"].claim(f"{gain:.3%}", gain, detail=_STANDARD)


def halves(eight: Descent, twelve: Descent) -> Claim:
    """The error of h = 12 over that of h = 8."""
    ratio = twelve.error[-1] / eight.error[-1]
    return STATEMENTS["halves"].claim(
        f"{twelve.error[-1]:.4f} instead of {eight.error[-1]:.4f}: {ratio:.2f} of it",
        ratio,
        detail=f"{_STANDARD}; the loss with h = 12 rises first at epoch {rise_epoch(twelve)}, so its fourth digit "
        "depends on rounding",
    )


def no_overfitting(descent: Descent) -> Claim:
    """Figure 9."""
    correlation = np.corrcoef(np.log(descent.error), np.log(descent.train_error))[0, 1]
    lowest = [int(descent.epochs[np.argmin(each)]) for each in (descent.error, descent.train_error)]
    growth = descent.train_error[-1] / descent.train_error.min()
    return STATEMENTS["no-overfitting"].claim(
        f"correlation of the logarithms {correlation:.4f}; lowest at epochs {lowest[0]} and {lowest[1]}",
        (correlation, growth),
        detail=f"{_STANDARD}; test and training set",
    )
