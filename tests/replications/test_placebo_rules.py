"""Every rule of the placebo study, on made-up data: it can say no."""

from dataclasses import replace

import numpy as np
import pytest
from replications.counterexamples import Case, check, check_complete

from jaxland.replications.placebo import examples, minima, overview
from jaxland.replications.placebo.statements import STATEMENTS

RNG = np.random.default_rng(0)


def near(value, count, spread=1e-3):
    return value * (1 + spread * RNG.normal(size=count))


def losses(initial=1.1, final=0.6, fresh=1.4, fits=200):
    values = [each if np.ndim(each) else near(each, fits) for each in (initial, final, 1.02, fresh)]
    return overview.Losses(np.arange(fits), *values, diverged=0)


def split(low, high, share, fits=200):
    """One value in a share of the fits, another in the others."""
    return np.where(np.arange(fits) < share * fits, low, high)


def curves(rising, fits=100):
    """Losses of 1,000 epochs that rise from one print to the next in a share of prints of some fits."""
    every = np.tile(np.linspace(1, 0.6, 1001), (fits, 1))
    falling = np.abs(np.arange(1001) - 500) / 500
    every = np.where((np.arange(fits) < rising * fits)[:, None], falling, every)
    return overview.Curves(np.arange(0, 1001, 100), every[:, ::100], every[:, ::100], every)


def ends(loss=0.5, later=0.5, distance=1.4, descending=0.0, fits=24):
    later = later if np.ndim(later) else np.full(fits, later)
    descents = descending if np.ndim(descending) else np.full(8, descending)
    apart = distance if np.ndim(distance) else near(distance, 12)
    return minima.Ends(
        np.full((fits, 2), loss), np.full(fits, loss), later, apart, apart.min(), 1e-6 * descents, descents
    )


PATHS = examples.Measures(
    directedness=near(50, 9),
    walk_directedness=near(1, 9),
    length=near(18, 9),
    distance=near(7, 9),
    norm=near(3, 9),
    likeness=near(0.9, 9),
    apart=near(8, 36),
    starts_apart=near(4, 36),
    threads=near(0.99, 9),
    walk_threads=near(0.2, 9),
    joint_rank=0.2,
    own_rank=0.19,
)


def paths(claim, **changed):
    return lambda: claim(replace(PATHS, **changed))


def ways(noise, runs=32):
    """Ways of 20 units of 10 weights, the same in all runs but for noise and the order of units."""
    way = RNG.normal(size=(20, 10))
    moved = way + np.broadcast_to(np.repeat(noise, runs // np.size(noise)), runs)[:, None, None] * RNG.normal(
        size=(runs, 20, 10)
    )
    moved = np.stack([each[RNG.permutation(20)] for each in moved])
    return lambda: examples.slightly_claim(examples.way_likeness(moved, seed=0))


CASES = {
    "falls": Case(
        lambda: overview.falls_claim(losses()),
        lambda: overview.falls_claim(losses(final=split(0.6, 1.2, 0.5))),
        lambda: overview.falls_claim(losses(final=split(0.6, 1.2, 0.96))),
    ),
    "local-minimum": Case(
        lambda: minima.minimum_claim(ends()),
        lambda: minima.minimum_claim(ends(descending=3.0)),
        lambda: minima.minimum_claim(ends(descending=split(0.0, 3.0, 0.5, 8))),
    ),
    "not-global": Case(
        lambda: minima.not_global_claim(ends(later=np.linspace(0.5, 0.6, 24))),
        lambda: minima.not_global_claim(ends()),
        lambda: minima.not_global_claim(ends(later=split(0.5, 0.6, 0.5, 24))),
    ),
    "no-pattern": Case(
        lambda: overview.no_pattern_claim(losses()),
        lambda: overview.no_pattern_claim(losses(fresh=0.9)),
        lambda: overview.no_pattern_claim(losses(fresh=split(0.9, 1.4, 0.05))),
    ),
    "flatlines": Case(
        lambda: overview.flatlines_claim(losses(fresh=1.03)),
        lambda: overview.flatlines_claim(losses()),
        lambda: overview.flatlines_claim(losses(fresh=1.07 + 0.3 * RNG.normal(size=200))),
    ),
    "every-epoch": Case(
        lambda: overview.every_epoch_claim(curves(0)),
        lambda: overview.every_epoch_claim(curves(1)),
        lambda: overview.every_epoch_claim(curves(0.1)),
    ),
    "not-learning": Case(
        lambda: overview.not_learning_claim(
            losses(final=np.tile([0.6, 0.7], 2_000), fits=4_000), losses(final=np.tile([0.65], 4_000), fits=4_000), 0.1
        ),
        lambda: overview.not_learning_claim(losses(), losses(final=0.5), 0.1),
        lambda: overview.not_learning_claim(
            losses(final=np.tile([0.6, 0.7], 100)), losses(final=np.tile([0.65], 200)), 0.1
        ),
    ),
    "moved": Case(
        paths(examples.moved_claim),
        paths(examples.moved_claim, distance=near(0.01, 9)),
        paths(examples.moved_claim, distance=np.linspace(0, 0.7, 9)),
    ),
    "trajectory": Case(
        paths(examples.trajectory_claim),
        paths(examples.trajectory_claim, directedness=near(0.9, 9)),
        paths(examples.trajectory_claim, directedness=np.linspace(0.5, 1.6, 9)),
    ),
    "visible": Case(
        paths(examples.visible_claim),
        paths(examples.visible_claim, walk_threads=near(0.99, 9)),
        paths(examples.visible_claim, walk_threads=np.linspace(0.5, 1, 9)),
    ),
    "other-weights": Case(
        lambda: examples.other_weights_claim(examples.distances_table(PATHS)),
        lambda: examples.other_weights_claim(
            examples.distances_table(replace(PATHS, apart=np.append(near(8, 35), 1e-6)))
        ),
    ),
    "other-functions": Case(
        lambda: minima.other_functions_claim(near(0.28, 12)),
        lambda: minima.other_functions_claim(near(0.9, 12)),
        lambda: minima.other_functions_claim(np.linspace(0.1, 0.9, 12)),
    ),
    "slightly": Case(ways(0.1), ways(10.0), ways(np.repeat([0.1, 10.0], 8))),
    "projection": Case(paths(examples.projection_claim), paths(examples.projection_claim, own_rank=-0.05)),
    "lack-of-learning": Case(
        lambda: minima.lack_of_learning_claim(ends(), ends(distance=0.1)),
        lambda: minima.lack_of_learning_claim(ends(), ends(distance=1.3)),
        lambda: minima.lack_of_learning_claim(ends(), ends(distance=np.linspace(0.1, 1.3, 12))),
    ),
    "regularization": Case(
        lambda: minima.regularization_claim(near(1.4, 24), near(1.2, 24)),
        lambda: minima.regularization_claim(near(1.2, 24), near(1.4, 24)),
        lambda: minima.regularization_claim(near(1.4, 24), 1.4 + 0.1 * np.tile([-1, 1], 12)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_rule_can_say_no(name):
    check(name, STATEMENTS[name], CASES[name])


def test_every_rule_has_its_case():
    check_complete(STATEMENTS, CASES)


def test_few_fits_judge_nothing():
    assert overview.falls_claim(losses(fits=99)).verdict == "not tested"
    assert minima.not_global_claim(ends(later=np.linspace(0.5, 0.6, 7), fits=7)).verdict == "not tested"


def test_ways_that_differ_in_the_order_of_units_alone_do_not_differ():
    way = RNG.normal(size=(20, 10))
    moved = np.stack([way, way[RNG.permutation(20)]])
    np.testing.assert_allclose(examples.way_likeness(moved, seed=0), [1.0])


def test_ways_that_have_nothing_in_common_are_as_alike_as_chance():
    found = examples.way_likeness(RNG.normal(size=(128, 20, 10)), seed=0)
    assert abs(found.mean()) < 4 * found.std() / 8
    # Without units turned at random to compare with, the best exchange alone would look like something.
    assert examples._matched_cosine(*RNG.normal(size=(2, 20, 10))) > 0.3
