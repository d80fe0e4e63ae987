"""What stands beside a fit changes no bit of it, on any backend, in any lane: neither how many others, nor which."""

import numpy as np
import optax
import pytest
from training.each_backend import FORMS, TRAINERS, make_trainer
from training.lanes.bits import same_bits

import jaxland as jl
from jaxland.training import Ensemble, starting_points, train

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([1, 5, 5, 1])
X = np.linspace(-1, 1, 32)
PROBLEM = jl.Problem(X, np.sin(3 * X))
STEPS = 30
DISEASES = ("rate", "start", "infinite start", "targets")


@pytest.fixture(scope="module", autouse=True)
def _often():
    """Where points are taken together, fits change places among four groups every eight steps."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("jaxland.training.lanes.runs.REGROUPED", 8)
        patched.setattr("jaxland.training.lanes.trainer.TOGETHER", 4)
        patched.setattr("jaxland.training.loop._ROUNDS", 1)
        yield


def rows(result, which):
    """Some fits of a result."""
    return type(result)(*(values[which] for values in result))


@pytest.fixture(scope="module", params=TRAINERS)
def drawn(request):
    """A trainer of fits that are drawn by their numbers, and 2,080 of them as one call trains them."""
    ensemble = Ensemble(NETWORK, PROBLEM, optax.adam(0.02), steps=STEPS, trace_every=4)
    trainer = make_trainer(request.param, ensemble)
    return trainer, train(trainer, ensemble, 0, 2080, threads=2)[0]


@pytest.mark.parametrize("fit", [1040, 1055], ids=["first lane", "last lane"])
@pytest.mark.parametrize("count", [1, 2, 7, 1024])
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_fit_is_the_same_alone_and_among_others(drawn, fit, count, place):
    trainer, everything = drawn
    first = fit if place == "first" else fit - count + 1
    part, _ = train(trainer, trainer.ensemble, first, count, threads=1)
    same_bits(part, rows(everything, slice(first, first + count)))


@pytest.mark.parametrize("name", FORMS)
def test_a_fit_is_the_same_in_every_lane(name):
    start = np.tile(starting_points(NETWORK, 1), (64, 1))
    ensemble = Ensemble(NETWORK, PROBLEM, optax.adam(0.02), steps=STEPS, start=start)
    result, _ = train(make_trainer(name, ensemble), ensemble, 0, 64)
    same_bits(result, rows(result, np.zeros(64, int)))


@pytest.mark.parametrize("name", TRAINERS)
def test_a_diverging_neighbour_in_any_lane_changes_no_bit_and_is_flagged(name):
    """Groups of the same fits, one of which is ill: in each group another, or of another disease."""
    width = make_trainer(name, Ensemble(NETWORK, PROBLEM, optax.sgd(0.02), steps=STEPS)).width
    disease, place = (each.ravel() for each in np.indices((len(DISEASES), width)))
    ensemble = _ill(disease, place, width)
    trainer = make_trainer(name, ensemble)
    well, _ = train(trainer, ensemble, 0, width, threads=1)
    result, _ = train(trainer, ensemble, width, len(place) * width, threads=1)

    lane = np.tile(np.arange(width), len(place))
    ill = lane == place.repeat(width)
    same_bits(rows(result, ~ill), rows(well, lane[~ill]))
    assert (well.diverged_step == -1).all()

    sick = rows(result, ill)
    wild = ~np.isfinite(sick.trace)
    assert wild.any(axis=1).all()
    np.testing.assert_array_equal(sick.diverged_step, wild.argmax(axis=1))
    named = np.array(DISEASES)[disease]
    assert (sick.diverged_step[named == "rate"] > 0).all()
    assert np.isfinite(sick.best_loss[named == "rate"]).all()
    # What is infinite from the start may stand behind a unit that is silent at first.
    never = np.isin(named, ["start", "targets"])
    assert (sick.diverged_step[never] == 0).all()
    assert not np.isfinite(sick.best_loss[never]).any()


def _ill(disease, place, width):
    """An ensemble of a group that is well and of one for each disease and place."""
    groups = len(place) + 1
    fits = groups * width
    rates, targets = np.full(fits, 0.02), np.tile(PROBLEM.y, (fits, 1, 1))
    start = np.tile(starting_points(NETWORK, width), (groups, 1))
    for group, (kind, lane) in enumerate(zip(disease, place, strict=True), 1):
        fit = group * width + lane
        if DISEASES[kind] == "rate":
            rates[fit] = 1e6
        elif DISEASES[kind] == "targets":
            targets[fit, 4] = np.inf
        else:
            start[fit, 2] = np.nan if DISEASES[kind] == "start" else np.inf
    numbers = {"learning_rate": rates}
    given = {"hyperparameters": numbers, "start": start, "targets": targets}
    return Ensemble(NETWORK, PROBLEM, optax.sgd, steps=STEPS, trace_every=1, **given)
