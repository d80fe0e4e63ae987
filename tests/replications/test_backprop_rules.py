"""Every rule of the backprop study, on made-up data: it can say no."""

import dataclasses

import numpy as np
import pytest
from replications.counterexamples import Case, check, check_complete

from jaxland.landscape import StationaryPoints
from jaxland.replications.backprop import basins, descent, maps, roads
from jaxland.replications.backprop.config import BackpropConfig
from jaxland.replications.backprop.settling import GLOBAL, OTHER, OTHER_LOSS, Settled
from jaxland.replications.backprop.statements import STATEMENTS
from jaxland.statistics import Estimate

RNG = np.random.default_rng(0)


def points(places, index):
    count = len(places)
    zero = np.zeros(count)
    values = np.where(np.arange(2)[None] < np.array(index)[:, None], -1.0, 1.0)
    return StationaryPoints(np.array(places, float), zero, np.array(index), values, zero, np.ones(count, int))


def way(loss, end=(0.0, 0.0), every=100):
    loss = np.asarray(loss, float)
    traced = every * np.arange(len(loss))
    return descent.Descent(traced, np.tile(np.array(end, float), (len(loss), 1)), traced, loss)


def falling(plateau, small, rounding, length=4_000):
    """An error that leaves its plateau, is small and reaches rounding at these places."""
    places = np.arange(length)
    return way(np.select([places < plateau, places < small, places < rounding], [0.03, 1e-3, 1e-8], 1e-28))


def minima(shares, count=1_000):
    return np.repeat([0, 1, 2], np.round(count * np.array(shares)).astype(int))


def guesses(share, count=1_000):
    return lambda: basins.guesses_claim(Estimate.share(round(share * count), count), count, "rate 40, the rectangle")


def road(name, heuristic, work, budget=1_000):
    work = np.asarray(work, float)
    return roads.Road(name, heuristic, 1.0, work, np.isfinite(work) * 1.0, budget, 1.0)


def compared(name, work, against):
    heuristic = name.startswith("heuristics")
    return lambda: roads.road_claim(
        name, [road("gradient descent", True, against), road("other", heuristic, work)], heuristic
    )


def faster(name):
    slow, quick = RNG.uniform(500, 900, 40), RNG.uniform(50, 90, 40)
    never = np.full(40, np.nan)
    return Case(compared(name, quick, never), compared(name, slow, quick), compared(name, slow, RNG.permutation(slow)))


def orbits(rest):
    """Places at 100 rates, at rest up to one of them."""
    rates = np.linspace(0.5, 200, 100)
    moving = np.where(rates[:, None, None] <= rest, 0.0, RNG.normal(0, 1, (100, 96, 2)))
    return rates, GLOBAL + moving, {"global minimum": rest, "other minimum": rest}


FORK = {name: descent.Fork(falling(5, 9, 20, 200), way(np.ones(200))) for name in descent._LOSSES}
SWINGING = np.r_[1.0, np.tile([1e-3, 5e-3], 100)]
CASES = {
    "heuristics-two-weights": faster("heuristics-two-weights"),
    "heuristics-seven": faster("heuristics-seven"),
    "optimization-two-weights": faster("optimization-two-weights"),
    "optimization-seven": faster("optimization-seven"),
    "global-minimum": Case(
        lambda: maps.global_claim(1e-33, np.zeros(2), np.eye(2)),
        lambda: maps.global_claim(1e-33, np.zeros(2), np.diag([1.0, -1.0])),
    ),
    "sum-is-mean": Case(
        lambda: descent.which_loss_claim({"sum_squared_error": 1.0}, FORK),
        lambda: descent.which_loss_claim({"sum_squared_error": 41.0}, FORK),
    ),
    "not-quadratic": Case(
        lambda: maps.not_quadratic_claim(np.geomspace(1e-4, 1, 200).reshape(100, 2)),
        lambda: maps.not_quadratic_claim(np.tile([1.0, 2.0], (100, 1))),
    ),
    "other-minimum": Case(
        lambda: maps.other_minimum_claim(points([GLOBAL, OTHER], [0, 0])),
        lambda: maps.other_minimum_claim(points([GLOBAL, OTHER], [0, 1])),
    ),
    "one-rate": Case(
        lambda: basins.one_rate_claim(np.geomspace(10, 10_000, 1_000), 30_000, 40.0),
        lambda: basins.one_rate_claim(np.geomspace(1_000, 2_000, 1_000), 30_000, 40.0),
        lambda: basins.one_rate_claim(np.geomspace(100, 1_300, 101), 30_000, 40.0),
    ),
    "flat-regions": Case(
        lambda: maps.flat_claim(np.geomspace(1e-4, 1, 100)), lambda: maps.flat_claim(np.linspace(0.5, 1, 100))
    ),
    "large-inputs": Case(
        lambda: maps.large_inputs_claim(np.ones(9), np.full(9, 0.1)),
        lambda: maps.large_inputs_claim(np.ones(9), np.full(9, 0.9)),
    ),
    "biases-symmetric": Case(
        lambda: maps.symmetric_claim(points([(-5, 5), (5, -5), (0, 0)], [0, 0, 1])),
        lambda: maps.symmetric_claim(points([(-5, 5), (5, -4.9), (0, 0)], [0, 0, 1])),
    ),
    "biases-saddle": Case(
        lambda: maps.saddle_claim(points([(-5, 5), (0, 0)], [0, 1])),
        lambda: maps.saddle_claim(points([(-5, 5), (0, 0.1)], [0, 1])),
    ),
    "large-starts": Case(
        lambda: maps.large_starts_claim(RNG.uniform(1, 2, 1_000), RNG.uniform(0, 0.1, 1_000)),
        lambda: maps.large_starts_claim(RNG.uniform(1, 2, 1_000), RNG.uniform(1, 2, 1_000)),
        lambda: maps.large_starts_claim(RNG.uniform(0, 2, 1_000), RNG.uniform(0, 0.2, 1_000)),
    ),
    "several-guesses": Case(guesses(0.2), guesses(0.09), guesses(0.13, 100)),
    "small-starts": Case(
        lambda: basins.small_starts_claim(minima([0.2, 0.8, 0]), minima([0.9, 0, 0.1]), 40.0),
        lambda: basins.small_starts_claim(minima([0.9, 0.1, 0]), minima([0.5, 0.5, 0]), 40.0),
        lambda: basins.small_starts_claim(minima([0.5, 0.5, 0]), minima([0.51, 0.49, 0]), 40.0),
    ),
    "a-slow": Case(
        lambda: descent.slow_claim(falling(1_000, 3_100, 3_500)),
        lambda: descent.slow_claim(falling(100, 200, 900)),
        lambda: descent.slow_claim(falling(428, 741, 3_128)),
    ),
    "a-plateau": Case(
        lambda: descent.plateau_claim(falling(500, 700, 900)), lambda: descent.plateau_claim(falling(100, 700, 900))
    ),
    "b-other-minimum": Case(
        lambda: descent.wrong_minimum_claims(way(np.full(9, OTHER_LOSS), OTHER, 500_000))[0],
        lambda: descent.wrong_minimum_claims(way(np.full(9, 1e-9), GLOBAL, 500_000))[0],
    ),
    "b-error": Case(
        lambda: descent.wrong_minimum_claims(way(np.full(9, OTHER_LOSS), OTHER, 500_000))[1],
        lambda: descent.wrong_minimum_claims(way(np.full(9, 1e-9), GLOBAL, 500_000))[1],
    ),
    "c-unstable": Case(
        lambda: descent.unstable_claim(way(SWINGING)), lambda: descent.unstable_claim(falling(5, 9, 20, 200))
    ),
    "c-no-decrease": Case(
        lambda: descent.no_decrease_claim(way(np.r_[1.0, 1e-5, SWINGING[1:]])),
        lambda: descent.no_decrease_claim(falling(5, 9, 20, 200)),
    ),
    "larger-rate": Case(
        lambda: descent.larger_rate_claim(falling(2_000, 3_000, 3_500), falling(50, 60, 70)),
        lambda: descent.larger_rate_claim(falling(2_000, 3_000, 3_500), falling(1_500, 1_600, 1_700)),
    ),
    "stability-ends": Case(
        lambda: descent.stability_claim(*orbits(71.0)), lambda: descent.stability_claim(*orbits(150.0))
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_can_say_no(name):
    check(name, STATEMENTS[name], CASES[name])


def test_every_rule_has_its_case():
    check_complete(STATEMENTS, CASES)


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_several_guesses_are_a_good_idea_however_likely_one_is_to_arrive(share):
    assert guesses(share)().verdict == "agrees"


def test_several_guesses_are_judged_at_every_rate_and_window():
    start = np.where(np.arange(1_000)[:, None] < 500, 0.0, 40.0) * np.ones(2)
    minimum = np.where(np.arange(1_000) < 80, 0, 1)
    each = basins.Basins(start, start, minimum, Settled(np.zeros(0, np.int64), np.zeros(0)))
    found = basins._guesses((40.0, each))
    assert {claim.of: claim.verdict for claim in found} == {
        "rate 40, the rectangle": "differs",
        "rate 40, its part in [-5, 15]^2": "agrees",
    }


def test_the_roads_are_those_of_their_tables():
    known = [
        roads.Road("gradient descent", True, 40.0, np.array([900.0, np.nan, 700.0]), np.array([1.0, 0, 0]), 1_000, 0.5),
        roads.Road("BFGS", False, np.nan, np.array([np.nan, 20.0, 30.0]), np.array([0.0, 1, 1]), 100, 0.25),
    ]
    tables = roads._table({"plane": known}), roads._starts({"plane": known})
    for one, other in zip(roads.roads_of(*tables)["plane"], known, strict=True):
        assert (one.name, one.heuristic, one.budget) == (other.name, other.heuristic, other.budget)
        np.testing.assert_array_equal(one.work, other.work)
        np.testing.assert_allclose((one.rate, one.cost, one.seconds), (other.rate, other.cost, other.seconds))


def test_a_best_rate_at_the_end_of_those_tried_is_told():
    start = road("gradient descent", True, [900.0] * 30)
    assert "the highest tried" in roads._edge(dataclasses.replace(start, rate=40.0))
    assert roads._edge(dataclasses.replace(start, rate=20.0)) == ""


def test_what_was_not_followed_long_enough_is_not_judged():
    assert descent.slow_claim(falling(10, 20, 30, 200)).verdict == "not tested"
    assert {each.verdict for each in descent.wrong_minimum_claims(way(np.ones(9), OTHER))} == {"not tested"}


def test_shares_of_basins_are_those_of_their_window():
    start = np.array([[0.0, 0.0], [14.0, 14.0], [0.0, 30.0], [10.0, 44.0]])
    each = basins.Basins(start, start, np.array([0, 1, 1, 1]), Settled(np.zeros(0, np.int64), np.zeros(0)))
    whole, part = basins._arrived(BackpropConfig(), (40.0, each))
    assert "other minimum 75.0%" in whole.measured
    assert whole.measured.endswith("of 4")
    assert "other minimum 50.0%" in part.measured
    assert part.measured.endswith("of 2")
