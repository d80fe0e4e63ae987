"""Successive halving against a full sweep of the same design, judged by hand."""

import numpy as np
import optax
import pytest

import jaxland as jl

PROBLEM = jl.Problem(np.linspace(-1, 1, 20), np.abs(np.linspace(-1, 1, 20)))
DESIGN = jl.grid(width=[2, 3], learning_rate=np.geomspace(1e-3, 30, 6), seed=range(3))


def _network(width):
    return jl.mlp([1, width, 1], "tanh")


def test_the_best_go_on_and_are_what_a_full_sweep_gives():
    found = jl.halving(DESIGN, _network, PROBLEM, optax.sgd, steps=90, rungs=3, factor=3)
    full = {steps: jl.sweep(DESIGN, _network, PROBLEM, optax.sgd, steps=steps).table for steps in (10, 30, 90)}
    alive = np.arange(36)
    for steps, left in ((10, 12), (30, 4)):
        losses = full[steps]["loss"].to_numpy()[alive]
        best = alive[np.argsort(losses, kind="stable")[:left]]
        ended = np.setdiff1d(alive, best)
        assert set(found.table.index[found.table["steps"] == steps]) == set(ended)
        np.testing.assert_array_equal(found.table["loss"][ended], full[steps]["loss"][ended])
        alive = np.sort(best)
    np.testing.assert_array_equal(found.table["loss"][alive], full[90]["loss"][alive])
    assert found.table["steps"].value_counts().to_dict() == {10: 24, 30: 8, 90: 4}


@pytest.mark.slow
def test_combinations_are_judged_together():
    found = jl.halving(
        DESIGN, _network, PROBLEM, optax.sgd, steps=60, rungs=2, factor=4, by=["width", "learning_rate"],
        validation=0.2, batch_size=5,
    )  # fmt: skip
    steps = found.table.groupby(["width", "learning_rate"])["steps"]
    assert (steps.nunique() == 1).all()
    assert (steps.first() == 60).sum() == 3
    first = jl.sweep(DESIGN, _network, PROBLEM, optax.sgd, steps=15, validation=0.2, batch_size=5).table
    medians = first.groupby(["width", "learning_rate"])["best_validation"].median()
    assert set(medians.nsmallest(3).index) == set(steps.first().index[steps.first() == 60])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 8, "rungs": 3}, "need at least 9 steps"),
        ({"steps": 9, "rungs": 1}, "rungs must be at least 2"),
        ({"steps": 9, "by": ["widht"]}, "width"),
        ({"steps": 9, "score": "best_validation"}, "give validation=0.2"),
        ({"steps": 9, "score": "accuracy"}, "best_loss"),
        ({"steps": 9, "epochs": 3}, "rungs decide how many steps"),
        ({"steps": 90, "rungs": 2, "factor": 50}, "50 rows are needed"),
    ],
)
def test_what_makes_no_rungs_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        jl.halving(DESIGN, _network, PROBLEM, optax.sgd, **given)
