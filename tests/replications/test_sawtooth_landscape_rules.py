"""Every rule on the landscape of the sawtooth study, paths to larger networks, on made-up data: it can say no."""

import numpy as np
import pandas as pd
import pytest
from replications.counterexamples import Case, check, check_complete

from jaxland.replications.sawtooth import bands, barriers, basin, larger, paths, spectra, targets
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import LANDSCAPE

PATHS = {
    "end_loss": 1.0,
    "first_step": 1.1,
    "highest_image": 1.05,
    "plunge": 0.1,
    "level": 1.0,
    "bumps": 6,
    "wave_reach": 0.1,
    "wave_before": 0.01,
    "worst_rise": 0.9,
    "turn_near": 0.9,
    "turn_before": 0.4,
    "largest_turn_at": 0.05,
    "residual": 1e-4,
    "reason": "converged",
}


def noise(scale, shape):
    return np.random.default_rng(0).normal(0, scale, shape)


def of_paths(claim, **changes):
    """A claim on forty paths, alike but for their noise."""
    table = pd.DataFrame(PATHS | changes, index=range(40))
    noisy = ["plunge", "level", "wave_reach", "turn_near"]
    return lambda: claim("momentum", table.assign(**{name: table[name] + noise(1e-3, 40) for name in noisy}))


def half(low, high):
    """Half of the paths have one value, half the other."""
    return np.tile([low, high], 20)


def flat(name, table):
    return bands.shape_claims(name, table)[0]


def bumpy(name, table):
    return bands.shape_claims(name, table)[1]


def adadelta(name, table):
    return paths.slide_claim("adadelta", table)


def valleys(height, reason="converged", spread=0.0, count=12):
    """Minima of loss 1, with bands as high as this between them."""
    first, second = np.triu_indices(count, 1)
    names = np.array([f"fit {number}" for number in range(count)])
    heights = height + spread * np.maximum(first % 2, second % 2)
    columns = {"first": names[first], "second": names[second], "first_energy": 1.0, "second_energy": 1.0}
    table = pd.DataFrame(columns | {"direct_height": heights, "reason": reason})
    return lambda: barriers.valley_claims(table)[0]


def jitters(claim, middle, width=0.02, count=1_000):
    """Returns that fall from sure to impossible about a norm of noise."""
    distance = np.linspace(0, 2, count)
    chance = 1 / (1 + np.exp((distance - middle) / width))
    table = pd.DataFrame(
        {"distance": distance, "returned": np.random.default_rng(0).uniform(size=count) < chance, "loss": 1e-3}
    )
    return lambda: claim("momentum", table)


def adadelta_returns(times, of):
    table = pd.DataFrame({"distance": 0.1, "returned": np.arange(of) < times, "loss": 1e-3})
    return lambda: basin.never_claim("adadelta", table)


def estimated(asymmetry, change):
    values = [np.broadcast_to(np.asarray(each, float), 16) for each in (asymmetry, change)]
    return lambda: spectra.estimated_claim("momentum", spectra.Differenced(*values))


def eigenvalues(negative, small):
    """A hundred fits' rows, the claims on them."""
    columns = {"ensemble": "momentum", "lowest": -1e-6, "highest": 1.0, "gradient_norm": 1e-3, "descends": "4.bias[0]"}
    table = pd.DataFrame(columns | {"negative": negative, "very_small": small}, index=range(100))
    return spectra.fit_claims(table)


def at_global(negative=0, small=0.9):
    row = {"lowest": -1e-6, "highest": 1.0, "gradient_norm": 0.0, "negative": negative, "very_small": small}
    return spectra.global_claims(pd.DataFrame([row]))


def errors(change, spread=1e-3):
    many = pd.Series(np.full(40, 0.0045))
    return lambda: targets.few_points_claim(many * np.exp(change + np.linspace(-spread, spread, 40)), many)


def relative(found, of=256):
    return np.where(np.arange(of) < found, 0.3, 1.0)


def wiggles(free, of=256):
    turns = np.where(np.arange(of) < free, 1, 200)
    return lambda: targets.wiggle_free_claim(turns, np.zeros(of), 242)


def located(left, missing, odd=16):
    """Curves of 64 fits that differ by this much among those alike, and by this much where some miss."""
    alike = np.arange(64) >= odd
    curves = np.where(alike, left, missing)[:, None] * noise(1, (64, 40))
    return lambda: targets.location_claim(curves, alike)


def gains(before, after):
    columns = {"alone_descending": before, "inside_descending": after, "alone_gradient": 1.0, "inside_gradient": 2.0}
    table = pd.DataFrame(columns | {"alone_lowest": -1e-4, "inside_lowest": -1.0}, index=range(len(after)))
    return lambda: larger.saddles_claim(table)


def more_training(lower, of=32):
    inside = np.where(np.arange(of) < lower, 0.9, 1.1)
    return lambda: larger.further_claim(pd.DataFrame({"start": 1.0, "alone": 1.0, "inside": inside}))


def embedded(difference):
    return lambda: larger.embedded_claim(pd.DataFrame({"difference": [0.0, difference]}))


def waves(large, small):
    return lambda: larger.more_complex_claim("10 x 10", *(each + noise(0.1, 16) for each in (large, small)))


SPREAD = np.geomspace(0.01, 1, 16)
CASES = {
    "narrow": Case(
        jitters(basin.narrow_claim, 0.2),
        jitters(basin.narrow_claim, 1.5),
        jitters(basin.narrow_claim, 1.0, 0.3, 100),
    ),
    "flat-valleys": Case(valleys(1.05, "stalled"), valleys(2.0), valleys(2.0, "stalled")),
    "at-minimum": Case(
        of_paths(paths.slide_claim),
        of_paths(paths.slide_claim, first_step=0.9),
        of_paths(paths.slide_claim, first_step=half(0.9, 1.1)),
    ),
    "first-descent": Case(
        of_paths(adadelta, first_step=0.9), of_paths(adadelta), of_paths(adadelta, first_step=half(0.9, 1.1))
    ),
    "few-points": Case(errors(0.0), errors(0.3), errors(0.02, 0.05)),
    "dimensions": Case(lambda: paths.dimensions_claim(136), lambda: paths.dimensions_claim(131)),
    "flat-then-drop": Case(of_paths(flat), of_paths(flat, plunge=0.6), of_paths(flat, reason="stalled")),
    "bumpy": Case(of_paths(bumpy), of_paths(bumpy, bumps=0), of_paths(bumpy, bumps=half(0, 2))),
    "spikes-last": Case(
        of_paths(paths.spikes_claim),
        of_paths(paths.spikes_claim, wave_before=0.4),
        of_paths(paths.spikes_claim, reason="stalled"),
    ),
    "twists": Case(
        of_paths(paths.twists_claim),
        of_paths(paths.twists_claim, largest_turn_at=0.6),
        of_paths(paths.twists_claim, turn_near=half(0.5, 0.9)),
    ),
    "interpolated": Case(
        of_paths(bands.interpolated_claim),
        of_paths(bands.interpolated_claim, worst_rise=0.01),
        of_paths(bands.interpolated_claim, worst_rise=half(0.01, 0.9)),
    ),
    "relu-hessian": Case(estimated(0.5, 0.5), estimated(1e-6, 0.5), estimated(0.5, np.tile([0.01, 0.5], 8))),
    "smoothed-output": Case(
        lambda: spectra.smoothed_claim(np.full(9, 1e-3), 0.1), lambda: spectra.smoothed_claim(np.full(9, 0.1), 0.1)
    ),
    "positive": Case(
        lambda: eigenvalues(0, 0.9)[0],
        lambda: eigenvalues(1, 0.9)[0],
        lambda: eigenvalues(np.arange(100) < 5, 0.9)[0],
    ),
    "positive-global": Case(lambda: at_global()[0], lambda: at_global(negative=1)[0]),
    "small": Case(
        lambda: eigenvalues(0, 0.9)[1],
        lambda: eigenvalues(0, 0.3)[1],
        lambda: eigenvalues(0, np.tile([0.3, 0.9], 50))[1],
    ),
    "small-global": Case(lambda: at_global()[1], lambda: at_global(small=0.3)[1]),
    "returns-nearby": Case(
        jitters(basin.nearby_claim, 0.3),
        jitters(basin.nearby_claim, 1.8),
        jitters(basin.nearby_claim, 0.1, 0.01, 100),
    ),
    "adadelta-never": Case(adadelta_returns(0, 4_096), adadelta_returns(400, 4_096), adadelta_returns(2, 200)),
    "gentle": Case(lambda: targets.gentle_claim(31, 3_124, 7_775), lambda: targets.gentle_claim(1_500, 3_124, 7_775)),
    "peaks": Case(lambda: targets.peaks_claim(3_124, 3_125), lambda: targets.peaks_claim(3_000, 3_125)),
    "reproduced": Case(
        lambda: targets.reproduced_claim("5 x (5+0)", 1e-12), lambda: targets.reproduced_claim("5 x (5+0)", 1e-3)
    ),
    "trouble": Case(
        lambda: targets.trouble_claim("5 x (3+2)", relative(0)),
        lambda: targets.trouble_claim("5 x (3+2)", relative(200)),
        lambda: targets.trouble_claim("5 x (3+2)", relative(0, 16)),
    ),
    "wiggle-free": Case(wiggles(256), wiggles(128), wiggles(16, 16)),
    "not-by-teeth": Case(
        lambda: targets.not_by_teeth_claim(noise(1, (64, 40)), relative(4, 64)),
        lambda: targets.not_by_teeth_claim(noise(1, (64, 40)) + 9 * (np.arange(64) < 16)[:, None], relative(16, 64)),
        lambda: targets.not_by_teeth_claim(
            np.where(np.arange(64) < 8, 2.65, 1.0)[:, None] * noise(1, (64, 40)), relative(8, 64)
        ),
    ),
    "location": Case(located(1.0, 1.0), located(0.1, 3.0), located(1.0, 2.65, 8)),
    "embedded": Case(embedded(0.0), embedded(1e-3)),
    "saddles": Case(gains(0, np.full(16, 9)), gains(0, np.zeros(16)), gains(0, np.tile([0, 9], 8))),
    "further": Case(more_training(31), more_training(1), more_training(18)),
    "more-complex": Case(waves(0.8, 0.1), waves(0.1, 0.8), waves(0.5, 0.5)),
    "close": Case(
        lambda: larger.close_claim("15 x 15", np.full(16, 0.01)),
        lambda: larger.close_claim("15 x 15", np.full(16, 0.3)),
        lambda: larger.close_claim("15 x 15", SPREAD),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_can_say_no(name):
    check(name, STATEMENTS[name], CASES[name])


def test_every_rule_has_its_case():
    check_complete({each.name: each for each in LANDSCAPE}, CASES)


@pytest.mark.parametrize("claim", [flat, bumpy, paths.spikes_claim, paths.twists_claim])
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [({}, "agrees"), ({"plunge": 0.6, "bumps": 0, "wave_before": 0.4, "turn_near": 0.4}, "differs")],
)
def test_the_shape_of_bands_that_have_not_converged_is_told_and_not_judged(claim, changes, verdict):
    found = of_paths(claim, reason="stalled", **changes)()
    assert found.verdict == "undecided"
    assert found.measured.endswith(f"; 0 of 40 bands converged; without regard to that: {verdict}")
    assert of_paths(claim, **changes)().verdict == verdict
    some = of_paths(claim, reason=half("stalled", "converged"), **changes)()
    assert some.verdict == "undecided"
    assert "20 of 40 bands converged" in some.measured


def test_too_few_paths_are_not_judged():
    table = pd.DataFrame(PATHS | {"ensemble": "momentum"}, index=range(8))
    assert {each.verdict for each in paths.path_claims(table)} == {"not tested"}
