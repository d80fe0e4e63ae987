"""What the document says of its highlighted runs, and what they give here."""

from collections.abc import Mapping

import numpy as np

from jaxland.landscape import duplicate_units
from jaxland.replications.two_layer.descent import Descent
from jaxland.replications.two_layer.highlighted.table import rise_epoch
from jaxland.replications.two_layer.source import Run, network, run_named
from jaxland.studies import Claim, judged

_ERRORS = {2: "0.0051", 3: "0.0068", 5: "0.0100", 8: "0.0121"}
_ALIKE = 0.1
"""Largest relative difference of the incoming weights of units that learn almost the same thing."""
_STANDARD = "standard data and weights, float64"

Found = Mapping[Run, Descent]


def claims(found: Found) -> list[Claim]:
    """In the order of the document. What depends on rounding is judged by the analysis of rounding."""
    return [
        _grows(found),
        _overflows(found, "section 4.1", ("f1", 3, 5.0, 1000)),
        _same_course(found),
        _duplicates(found, "figure 4", ("f1", 3, 0.1, 10_000)),
        _duplicates(found, "figure 5", ("f1", 5, 0.1, 1000)),
        _duplicates(found, "conclusion 5a", ("f1", 8, 0.1, 1000)),
        _one_unit_is_enough(found),
        *(_printed(found, hidden, text) for hidden, text in _ERRORS.items()),
        _fails(found),
        _larger_is_better(found),
        _quickly_then_not(found),
        _split_later(found),
        _overflows(found, "section 4.2", ("f2", 8, 1.5, 1000)),
        _learns_in_spite(found),
        _half_the_rate(found),
        _stagnates(found),
        _end_error(found),
        _halves(found),
        _no_overfitting(found),
    ]


def _get(found: Found, *settings) -> Descent:
    return found[run_named(*settings)]


def _printed(found: Found, hidden: int, text: str) -> Claim:
    error = _get(found, "f1", hidden, 0.1, 1000).error[-1]
    return judged(
        "section 4.1",
        f"f1, h = {hidden}, rate 0.1: the error after 1,000 epochs",
        text,
        f"{error:.6f}",
        f"{error:.4f}" == text,
        f"{_STANDARD}; agrees if it is the same to the four decimals printed",
    )


def _grows(found: Found) -> Claim:
    descent = _get(found, "f1", 3, 2.0, 1000)
    error = float(descent.error[-1])
    return judged(
        "section 4.1",
        "f1, h = 3, rate 2: the error grows rapidly to 2.7e4",
        "2.7e4",
        f"{error:.1f} at the end; beyond 1,000 first at epoch {np.argmax(descent.error > 1000)}",
        f"{error:.1e}" == "2.7e+04",
        f"{_STANDARD}; agrees if it is the same to the two digits printed",
    )


def _overflows(found: Found, where: str, settings: tuple[str, int, float, int]) -> Claim:
    target, hidden, rate, _ = settings
    descent = _get(found, *settings)
    bad = np.flatnonzero(~np.isfinite(descent.error))
    measured = f"the error exceeds all float64 numbers at epoch {descent.epochs[bad[0]]}" if len(bad) else "no overflow"
    return judged(
        where,
        f"{target}, h = {hidden}, rate {rate:g}: an overflow",
        "overflow error",
        measured,
        bool(len(bad)),
        f"{_STANDARD}; the largest finite error is {np.nanmax(descent.error[np.isfinite(descent.error)]):.1e}",
    )


def _same_course(found: Found) -> Claim:
    fast, slow = _get(found, "f1", 3, 1.0, 1000), _get(found, "f1", 3, 0.1, 10_000)
    epochs = np.arange(100, 741, 10)
    one, two = fast.error[epochs], np.array([slow.error[slow.at(10 * epoch)] for epoch in epochs.tolist()])
    worst = np.abs(two / one - 1).max()
    stable = rise_epoch(slow) < 0
    return judged(
        "figure 4, conclusion 4",
        "f1, h = 3: a tenth of the rate and ten times the epochs give approximately the same curves, but stable ones",
        "approximately the same",
        f"errors within {worst:.0%} at epochs 100 to 740 of rate 1; at rate 0.1 the loss "
        + ("never rises" if stable else f"rises at epoch {rise_epoch(slow):,}")
        + f" and ends with {slow.error[-1]:.6f}",
        bool(worst < 0.1 and stable),
        f"{_STANDARD}; agrees if they are within a tenth and the loss never rises by a hundredth",
    )


def unit_difference(params: np.ndarray, hidden: int) -> float:
    """Largest relative difference of the incoming weights of two hidden units of a flat vector."""
    incoming = params[network(hidden).spec.symmetry.layers[0].incoming]
    norm = np.linalg.norm(incoming, axis=1)
    apart = np.linalg.norm(incoming[:, None] - incoming, axis=-1)
    return float((apart / np.maximum(norm[:, None], norm)).max())


def _duplicates(found: Found, where: str, settings: tuple[str, int, float, int]) -> Claim:
    target, hidden, rate, epochs = settings
    descent = _get(found, *settings)
    difference = unit_difference(descent.params[-1], hidden)
    v = descent.weights.v[-1, :-1]
    return judged(
        where,
        f"{target}, h = {hidden}, rate {rate:g}, {epochs:,} epochs: all hidden units learn almost the same thing",
        "almost exactly the same",
        f"incoming weights of two units differ by {difference:.0%} at most, V between {v.min():.3f} and {v.max():.3f}",
        difference < _ALIKE,
        f"{_STANDARD}; L2 norm of the difference over that of the longer vector; agrees below {_ALIKE:.0%}",
    )


def _one_unit_is_enough(found: Found) -> Claim:
    two, three = _get(found, "f1", 2, 0.1, 1000), _get(found, "f1", 3, 0.1, 1000)
    ratio = two.weights.v[-1, 0] / three.weights.v[-1, :-1].mean()
    return judged(
        "section 4.1",
        "f1: without the second unit the error does not grow, it improves slightly, and V almost doubles",
        "V_0 almost doubles",
        f"{three.error[-1]:.4f} becomes {two.error[-1]:.4f}; V_0 is {ratio:.2f} times as large",
        bool(two.error[-1] < three.error[-1] and 1.5 < ratio < 2.2),
        f"{_STANDARD}; rate 0.1, 1,000 epochs; agrees if the error is smaller and the factor is 1.5 to 2.2",
    )


def _fails(found: Found) -> Claim:
    error = _get(found, "f2", 3, 0.1, 1000).error
    return judged(
        "section 4.2",
        "f2, h = 3, rate 0.1: completely fails to learn",
        "fails",
        f"error {error[-1]:.1f} after 1,000 epochs, {error[0]:.1f} at the start",
        bool(error[-1] > error[0] / 2),
        f"{_STANDARD}; agrees if more than half of the error is left",
    )


def _quickly_then_not(found: Found) -> Claim:
    error = _get(found, "f2", 3, 0.1, 1000).error
    gain, late = error[0] - error[-1], error[300] - error[-1]
    return judged(
        "section 4.2",
        "f2, h = 3: quick learning in the beginning, then stagnation",
        "stagnation",
        f"{1 - late / gain:.1%} of the gain comes in the first 300 epochs",
        bool(late < 0.05 * gain),
        f"{_STANDARD}; agrees above 95 %",
    )


def _larger_is_better(found: Found) -> Claim:
    runs = {3: ("f2", 3, 0.1, 1000), 6: ("f2", 6, 0.1, 1000), 8: ("f2", 8, 0.1, 1200)}
    best = {hidden: np.nanmin(_get(found, *settings).error) for hidden, settings in runs.items()}
    return judged(
        "figure 6",
        "f2: more hidden units improve the results drastically",
        "drastically",
        ", ".join(f"h = {hidden}: {error:.3f}" for hidden, error in best.items()),
        bool(best[6] < best[3] / 10 and best[8] < best[6]),
        f"{_STANDARD}; smallest error on the way, rate 0.1; agrees if h = 6 divides it by ten and h = 8 gains more",
    )


def _split_later(found: Found) -> Claim:
    descent = _get(found, "f2", 8, 0.1, 1200)
    epochs = (100, 200, 300, 500, 1200)
    params = descent.params[[descent.at(epoch) for epoch in epochs]]
    groups = duplicate_units(network(8), params, tolerance=_ALIKE, mirrored=True)[:, :4]
    together = (groups == groups[:, :1]).all(axis=1)
    shown = ", ".join(f"{len(set(row.tolist()))} at {epoch:,}" for epoch, row in zip(epochs, groups, strict=True))
    return judged(
        "section 4.2",
        "f2, h = 8: up to epoch 300 units 0, 2 and 3 are equal and unit 1 is opposite, then they differ completely",
        "equal, then different",
        f"different ones among these four: {shown}",
        bool(together[:3].all() and len(set(groups[-1].tolist())) == 4),
        f"{_STANDARD}; incoming weights, opposite ones counted as equal, within {_ALIKE:.0%}; agrees if there is "
        "one up to epoch 300 and there are four at the end",
    )


def _learns_in_spite(found: Found) -> Claim:
    error = _get(found, "f2", 8, 1.0, 1000).error
    late, rising = float(np.median(error[-100:])), float((np.diff(error) > 0).mean())
    return judged(
        "figure 7",
        "f2, h = 8, rate 1: highly unstable, and yet something sensible is learned",
        "something sensible",
        f"the error rises in {rising:.0%} of the epochs, to {error.max():.0f} at most; the median of the last 100 is "
        f"{late:.1f}, and {error[0]:.1f} is the first",
        bool(late < error[0] / 2 and rising > 0.1),
        f"{_STANDARD}; the oscillation is chaotic, so its numbers depend on rounding; agrees if the median is below "
        "half of the first error and a tenth of the epochs rise",
    )


def _half_the_rate(found: Found) -> Claim:
    fast, slow = _get(found, "f2", 8, 0.1, 1200), _get(found, "f2", 8, 0.05, 1000)
    levels = np.array([50, 40, 30, 20, 10, 5, 3, 2])
    needed = [[int(np.argmax(each.error < level)) for level in levels] for each in (fast, slow)]
    ratios = np.divide(needed[1], needed[0])
    stable = rise_epoch(slow) < 0
    return judged(
        "section 4.2",
        "f2, h = 8: rate 0.05 gives the same learning as 0.1, stable and two times slower",
        "2",
        f"{ratios.min():.2f} to {ratios.max():.2f} times the epochs to errors of {levels[0]} to {levels[-1]}; the loss "
        + ("never rises" if stable else f"rises at epoch {rise_epoch(slow):,}")
        + f" (at rate 0.1 first at {rise_epoch(fast):,})",
        bool(stable and (np.abs(ratios - 2) < 0.3).all()),
        f"{_STANDARD}, 1,000 epochs; agrees if the loss never rises by a hundredth and all ratios are 1.7 to 2.3",
    )


def _stagnates(found: Found) -> Claim:
    descent = _get(found, "f2", 8, 0.05, 10_000)
    gain = 1 - descent.error[-1] / descent.error[descent.at(8000)]
    return judged(
        "section 4.2",
        "f2, h = 8, rate 0.05: from epoch 8,000 to 10,000 the error improves by less than 0.1 %",
        "less than 0.1 %",
        f"{gain:.3%}",
        bool(0 <= gain < 0.001),
        _STANDARD,
    )


def _end_error(found: Found) -> Claim:
    error = _get(found, "f2", 8, 0.05, 10_000).error[-1]
    return judged(
        "section 4.2",
        "f2, h = 8, rate 0.05: the error after 10,000 epochs",
        "1.0156",
        f"{error:.6f}",
        f"{error:.4f}" == "1.0156",
        f"{_STANDARD}; agrees if it is the same to the four decimals printed",
    )


def _halves(found: Found) -> Claim:
    eight, twelve = (_get(found, "f2", hidden, 0.05, 10_000).error[-1] for hidden in (8, 12))
    return judged(
        "section 4.2",
        "f2, rate 0.05, 10,000 epochs: h = 12 instead of 8 halves the error",
        "half",
        f"{twelve:.4f} instead of {eight:.4f}: {twelve / eight:.2f} of it",
        bool(0.4 < twelve / eight < 0.6),
        f"{_STANDARD}; h = 12 passes through an unstable stretch (the loss rises first at epoch "
        f"{rise_epoch(_get(found, 'f2', 12, 0.05, 10_000))}), so its fourth digit depends on rounding; agrees between "
        "0.4 and 0.6",
    )


def _no_overfitting(found: Found) -> Claim:
    descent = _get(found, "f1", 3, 1.0, 1000)
    correlation = np.corrcoef(np.log(descent.error), np.log(descent.train_error))[0, 1]
    lowest = [int(descent.epochs[np.argmin(each)]) for each in (descent.error, descent.train_error)]
    return judged(
        "figure 9",
        "f1, h = 3, rate 1: the error on the training set follows a similar curve, so the drop is not overfitting",
        "similar",
        f"correlation of the logarithms {correlation:.4f}; lowest at epochs {lowest[0]} and {lowest[1]}",
        bool(correlation > 0.98 and descent.train_error[-1] > 2 * descent.train_error.min()),
        f"{_STANDARD}; test and training set; agrees above 0.98 if the training error too doubles after its lowest",
    )
