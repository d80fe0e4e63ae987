"""What the document says of its highlighted runs, and what they give here."""

from collections.abc import Mapping

import numpy as np

from jaxland.landscape import duplicate_units
from jaxland.replications.two_layer.descent import Descent
from jaxland.replications.two_layer.highlighted.table import rise_epoch
from jaxland.replications.two_layer.source import Run, network, run_named
from jaxland.studies import Above, All, Below, Between, Claim, Equals, Stated, claim

_ERRORS = {2: "0.0051", 3: "0.0068", 5: "0.0100", 8: "0.0121"}
_ALIKE = 0.1
"""Largest relative difference of the incoming weights of units that learn almost the same thing."""
_STANDARD = "standard data and weights, float64"
_NO_RISE = "the loss never rises by a hundredth"

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
    statement = f"f1, h = {hidden}, rate 0.1: the error after 1,000 epochs"
    return claim("section 4.1", statement, text, f"{error:.6f}", f"{error:.4f}", Equals(text), _STANDARD)


def _grows(found: Found) -> Claim:
    descent = _get(found, "f1", 3, 2.0, 1000)
    error = float(descent.error[-1])
    return claim(
        "section 4.1",
        "f1, h = 3, rate 2: the error grows rapidly to 2.7e4",
        "2.7e4",
        f"{error:.1f} at the end; beyond 1,000 first at epoch {np.argmax(descent.error > 1000)}",
        f"{error:.1e}",
        Equals("2.7e+04"),
        _STANDARD,
    )


def _overflows(found: Found, where: str, settings: tuple[str, int, float, int]) -> Claim:
    target, hidden, rate, _ = settings
    descent = _get(found, *settings)
    bad = np.flatnonzero(~np.isfinite(descent.error))
    return claim(
        where,
        f"{target}, h = {hidden}, rate {rate:g}: an overflow",
        "overflow error",
        f"the error exceeds all float64 numbers at epoch {descent.epochs[bad[0]]}" if len(bad) else "no overflow",
        len(bad),
        Above(0, "epochs"),
        f"{_STANDARD}; the largest finite error is {np.nanmax(descent.error[np.isfinite(descent.error)]):.1e}",
    )


def _stability(descent: Descent) -> tuple[bool, str]:
    """Whether the loss never rises, and that in words."""
    epoch = rise_epoch(descent)
    return epoch < 0, "never rises" if epoch < 0 else f"rises at epoch {epoch:,}"


def _same_course(found: Found) -> Claim:
    fast, slow = _get(found, "f1", 3, 1.0, 1000), _get(found, "f1", 3, 0.1, 10_000)
    epochs = np.arange(100, 741, 10)
    one, two = fast.error[epochs], np.array([slow.error[slow.at(10 * epoch)] for epoch in epochs.tolist()])
    worst = np.abs(two / one - 1).max()
    stable, rises = _stability(slow)
    return claim(
        "figure 4, conclusion 4",
        "f1, h = 3: a tenth of the rate and ten times the epochs give approximately the same curves, but stable ones",
        "approximately the same",
        f"errors within {worst:.0%} at epochs 100 to 740 of rate 1; at rate 0.1 the loss {rises} and ends with "
        f"{slow.error[-1]:.6f}",
        (worst, stable),
        All({"the largest difference is": Below(0.1, "%"), _NO_RISE: Stated()}),
        _STANDARD,
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
    return claim(
        where,
        f"{target}, h = {hidden}, rate {rate:g}, {epochs:,} epochs: all hidden units learn almost the same thing",
        "almost exactly the same",
        f"incoming weights of two units differ by {difference:.0%} at most, V between {v.min():.3f} and {v.max():.3f}",
        difference,
        Below(_ALIKE, "%"),
        f"{_STANDARD}; L2 norm of the difference over that of the longer vector",
    )


def _one_unit_is_enough(found: Found) -> Claim:
    two, three = _get(found, "f1", 2, 0.1, 1000), _get(found, "f1", 3, 0.1, 1000)
    ratio = two.weights.v[-1, 0] / three.weights.v[-1, :-1].mean()
    return claim(
        "section 4.1",
        "f1: without the second unit the error does not grow, it improves slightly, and V almost doubles",
        "V_0 almost doubles",
        f"{three.error[-1]:.4f} becomes {two.error[-1]:.4f}; V_0 is {ratio:.2f} times as large",
        (two.error[-1] / three.error[-1], ratio),
        All({"the error is": Below(1, "times that with it"), "the factor of V is": Between(1.5, 2.2)}),
        f"{_STANDARD}; rate 0.1, 1,000 epochs",
    )


def _fails(found: Found) -> Claim:
    error = _get(found, "f2", 3, 0.1, 1000).error
    return claim(
        "section 4.2",
        "f2, h = 3, rate 0.1: completely fails to learn",
        "fails",
        f"error {error[-1]:.1f} after 1,000 epochs, {error[0]:.1f} at the start",
        error[-1] / error[0],
        Above(0.5, "% of the error at the start"),
        _STANDARD,
    )


def _quickly_then_not(found: Found) -> Claim:
    error = _get(found, "f2", 3, 0.1, 1000).error
    late = (error[300] - error[-1]) / (error[0] - error[-1])
    return claim(
        "section 4.2",
        "f2, h = 3: quick learning in the beginning, then stagnation",
        "stagnation",
        f"{1 - late:.1%} of the gain comes in the first 300 epochs",
        late,
        Below(0.05, "% of the gain come later"),
        _STANDARD,
    )


def _larger_is_better(found: Found) -> Claim:
    runs = {3: ("f2", 3, 0.1, 1000), 6: ("f2", 6, 0.1, 1000), 8: ("f2", 8, 0.1, 1200)}
    best = {hidden: np.nanmin(_get(found, *settings).error) for hidden, settings in runs.items()}
    return claim(
        "figure 6",
        "f2: more hidden units improve the results drastically",
        "drastically",
        ", ".join(f"h = {hidden}: {error:.3f}" for hidden, error in best.items()),
        (best[6] / best[3], best[8] / best[6]),
        All({"h = 6 has": Below(0.1, "of the error of h = 3"), "h = 8 has": Below(1, "times that of h = 6")}),
        f"{_STANDARD}; smallest error on the way, rate 0.1",
    )


def _split_later(found: Found) -> Claim:
    descent = _get(found, "f2", 8, 0.1, 1200)
    epochs = (100, 200, 300, 500, 1200)
    params = descent.params[[descent.at(epoch) for epoch in epochs]]
    groups = duplicate_units(network(8), params, tolerance=_ALIKE, mirrored=True)[:, :4]
    different = [len(set(row.tolist())) for row in groups]
    return claim(
        "section 4.2",
        "f2, h = 8: up to epoch 300 units 0, 2 and 3 are equal and unit 1 is opposite, then they differ completely",
        "equal, then different",
        "different ones among these four: "
        + ", ".join(f"{count} at {epoch:,}" for epoch, count in zip(epochs, different, strict=True)),
        (max(different[:3]), different[-1]),
        All({"their number up to epoch 300 is": Equals(1), "that at the end is": Equals(4)}),
        f"{_STANDARD}; incoming weights, opposite ones counted as equal, within {_ALIKE:.0%}",
    )


def _learns_in_spite(found: Found) -> Claim:
    error = _get(found, "f2", 8, 1.0, 1000).error
    late, rising = float(np.median(error[-100:])), float((np.diff(error) > 0).mean())
    return claim(
        "figure 7",
        "f2, h = 8, rate 1: highly unstable, and yet something sensible is learned",
        "something sensible",
        f"the error rises in {rising:.0%} of the epochs, to {error.max():.0f} at most; the median of the last 100 is "
        f"{late:.1f}, and {error[0]:.1f} is the first",
        (late / error[0], rising),
        All({"the median is": Below(0.5, "% of the first error"), "there rise": Above(0.1, "% of the epochs")}),
        f"{_STANDARD}; the oscillation is chaotic, so its numbers depend on rounding",
    )


def _half_the_rate(found: Found) -> Claim:
    fast, slow = _get(found, "f2", 8, 0.1, 1200), _get(found, "f2", 8, 0.05, 1000)
    levels = np.array([50, 40, 30, 20, 10, 5, 3, 2])
    needed = [[int(np.argmax(each.error < level)) for level in levels] for each in (fast, slow)]
    ratios = np.divide(needed[1], needed[0])
    stable, rises = _stability(slow)
    return claim(
        "section 4.2",
        "f2, h = 8: rate 0.05 gives the same learning as 0.1, stable and two times slower",
        "2",
        f"{ratios.min():.2f} to {ratios.max():.2f} times the epochs to errors of {levels[0]} to {levels[-1]}; the loss "
        f"{rises} (at rate 0.1 first at {rise_epoch(fast):,})",
        (ratios.min(), ratios.max(), stable),
        All({"the smallest ratio is": Above(1.7), "the largest is": Below(2.3), _NO_RISE: Stated()}),
        f"{_STANDARD}, 1,000 epochs",
    )


def _stagnates(found: Found) -> Claim:
    descent = _get(found, "f2", 8, 0.05, 10_000)
    gain = 1 - descent.error[-1] / descent.error[descent.at(8000)]
    return claim(
        "section 4.2",
        "f2, h = 8, rate 0.05: from epoch 8,000 to 10,000 the error improves by less than 0.1 %",
        "less than 0.1 %",
        f"{gain:.3%}",
        gain,
        Between(0, 0.001, "%"),
        _STANDARD,
    )


def _end_error(found: Found) -> Claim:
    error = _get(found, "f2", 8, 0.05, 10_000).error[-1]
    statement = "f2, h = 8, rate 0.05: the error after 10,000 epochs"
    return claim("section 4.2", statement, "1.0156", f"{error:.6f}", f"{error:.4f}", Equals("1.0156"), _STANDARD)


def _halves(found: Found) -> Claim:
    eight, twelve = (_get(found, "f2", hidden, 0.05, 10_000) for hidden in (8, 12))
    ratio = twelve.error[-1] / eight.error[-1]
    return claim(
        "section 4.2",
        "f2, rate 0.05, 10,000 epochs: h = 12 instead of 8 halves the error",
        "half",
        f"{twelve.error[-1]:.4f} instead of {eight.error[-1]:.4f}: {ratio:.2f} of it",
        ratio,
        Between(0.4, 0.6),
        f"{_STANDARD}; h = 12 passes through an unstable stretch (the loss rises first at epoch {rise_epoch(twelve)}), "
        "so its fourth digit depends on rounding",
    )


def _no_overfitting(found: Found) -> Claim:
    descent = _get(found, "f1", 3, 1.0, 1000)
    correlation = np.corrcoef(np.log(descent.error), np.log(descent.train_error))[0, 1]
    lowest = [int(descent.epochs[np.argmin(each)]) for each in (descent.error, descent.train_error)]
    growth = descent.train_error[-1] / descent.train_error.min()
    return claim(
        "figure 9",
        "f1, h = 3, rate 1: the error on the training set follows a similar curve, so the drop is not overfitting",
        "similar",
        f"correlation of the logarithms {correlation:.4f}; lowest at epochs {lowest[0]} and {lowest[1]}",
        (correlation, growth),
        All({"the correlation is": Above(0.98), "the training error ends": Above(2, "times its lowest")}),
        f"{_STANDARD}; test and training set",
    )
