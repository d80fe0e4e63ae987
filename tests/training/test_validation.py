"""Validation and early stopping, against loops written out; neighbours of a fit that stops are none the wiser."""

import dataclasses
import functools
import pickle

import numpy as np
import optax
import pytest
from sklearn.metrics import accuracy_score

import jaxland as jl
from jaxland.training import Ensemble, Validation, accuracy, choose_backend, train_fits

pytestmark = pytest.mark.sampled

_RNG = np.random.default_rng(0)
TRUE = _RNG.normal(size=(4, 1))


def _points(count):
    x = _RNG.normal(size=(count, 4))
    return x, x @ TRUE + _RNG.normal(size=(count, 1))


X, Y = _points(12)
HELD_OUT = _points(9)
LINEAR = jl.mlp([4, 1], bias=False)
PROBLEM = jl.Problem(X, Y)
STEPS, FITS = 60, 20


def _by_hand(start, rate, every, patience, min_gain):
    """Gradient descent on a line, judged every so many steps: losses and where it stopped, the best, and the end."""
    weight, losses, params = start.copy(), {}, {}
    reference, waited = np.inf, 0
    for step in range(STEPS + 1):
        if step % every == 0 or step == STEPS:
            loss = np.mean((HELD_OUT[0] @ weight - HELD_OUT[1][:, 0]) ** 2)
            losses[step], params[step] = loss, weight.copy()
            waited = 0 if loss < reference - min_gain else waited + 1
            reference = min(reference, loss) if waited == 0 else reference
            if waited >= patience and step < STEPS:
                return losses, params, step, weight
        error = X @ weight - Y[:, 0]
        weight = weight - (rate * 2 / len(X) * X.T @ error if step < STEPS else 0)
    return losses, params, -1, weight


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize(
    ("patience", "min_gain"),
    [
        pytest.param(1, 0.0, marks=pytest.mark.slow),
        pytest.param(3, 0.0, marks=pytest.mark.slow),
        (2, 0.05),
        (1000, 0.0),
    ],
)
def test_stopping_is_that_of_the_loop(backend, patience, min_gain):
    start, rate = np.random.default_rng(1).normal(size=(FITS, 4)), 0.03
    fits = jl.fit(
        LINEAR, PROBLEM, optax.sgd(rate), fits=FITS, steps=STEPS, start=start, dtype="float64", backend=backend,
        validation=HELD_OUT, validate_every=7, patience=patience, min_gain=min_gain, trace_every=5, snapshots=(20,),
    )  # fmt: skip
    steps = fits.ensemble.validation_steps
    np.testing.assert_array_equal(steps, [*range(0, STEPS, 7), STEPS])
    stopped = 0
    for fit in range(FITS):
        losses, params, stop, last = _by_hand(start[fit], rate, 7, patience, min_gain)
        found = fits.judged
        assert found.stopped_step[fit] == stop
        expected = [losses.get(step, np.nan) for step in steps]
        np.testing.assert_allclose(fits.validation[fit], expected, rtol=1e-10)
        best = min(losses, key=losses.get)
        assert found.best_validation_step[fit] == best
        np.testing.assert_allclose(fits.best_params[fit], params[best], rtol=1e-10)
        np.testing.assert_allclose(fits.params[fit], last, rtol=1e-10)
        np.testing.assert_allclose(fits.loss[fit], np.mean((X @ last - Y[:, 0]) ** 2), rtol=1e-10)
        seen = fits.ensemble.trace_steps <= (STEPS if stop < 0 else stop)
        np.testing.assert_array_equal(np.isnan(fits.trace[fit]), ~seen)
        if 0 <= stop <= 20:
            np.testing.assert_array_equal(fits.snapshots[fit, 0], fits.params[fit])
        stopped += stop >= 0
    assert (stopped > 0) == (patience < 1000)
    assert list(fits.table["stopped_step"]) == list(fits.judged.stopped_step)


@pytest.mark.parametrize("backend", ["lanes", "xla"])
@pytest.mark.parametrize("more", [{}, {"batch_size": 5}, {"validation": Validation(share=0.4, patience=2, every=5)}])
def test_bits_do_not_depend_on_neighbours_that_stop(backend, more):
    given = {"validation": Validation(*HELD_OUT, patience=2, every=5), **more}
    ensemble = Ensemble(jl.mlp([4, 3, 1], "tanh"), PROBLEM, optax.adam(0.05), steps=STEPS, **given)
    trainer = choose_backend(ensemble, backend).trainer
    whole = train_fits(trainer, ensemble, np.arange(64), threads=2)
    part = train_fits(trainer, ensemble, np.arange(21, 27), threads=1)
    stopped = whole.judged.stopped_step
    assert len(np.unique(stopped)) > 2
    for name in ("params", "loss", "best_loss", "best_step", "trace"):
        assert getattr(whole.result, name)[21:27].tobytes() == getattr(part.result, name).tobytes(), name
    for name in ("validation", "best_params", "stopped_step"):
        assert getattr(whole.judged, name)[21:27].tobytes() == getattr(part.judged, name).tobytes(), name


@pytest.mark.parametrize("compress", [True, False])
def test_being_judged_changes_no_bits(compress):
    """Where no fit stops, training is what it is without."""
    problem = jl.problems.sawtooth()
    held_out = Validation(problem.x[::40] + 1e-3, problem.y[::40], every=128)
    alone, judged = (
        Ensemble(jl.mlp([1, 3, 1]), problem, optax.sgd(0.01), steps=600, trace_every=100, validation=each)
        for each in (None, held_out)
    )
    trainers = [choose_backend(each, "lanes", compress=compress).trainer for each in (alone, judged)]
    results = [
        train_fits(trainer, e, np.arange(300)).result for trainer, e in zip(trainers, (alone, judged), strict=True)
    ]
    for one, other in zip(*results, strict=True):
        assert one.tobytes() == other.tobytes()


def test_the_best_parameters_are_those_whose_loss_is_said():
    """By the landscape's own losses."""
    fits = jl.fit(
        jl.mlp([4, 8, 1], "tanh"), PROBLEM, optax.adam(0.05), fits=8, epochs=40, batch_size=4, validation=HELD_OUT
    )
    found = jl.landscape.losses(fits.ensemble.network, PROBLEM.loss, fits.best_params, *HELD_OUT)
    np.testing.assert_allclose(found, fits.judged.best_validation, rtol=1e-5)
    np.testing.assert_array_equal(np.nanmin(fits.validation, axis=1), fits.judged.best_validation)
    assert len(fits.ensemble.validation_steps) == 41  # once an epoch


def test_a_share_is_set_aside_for_each_fit():
    ensemble = Ensemble(LINEAR, PROBLEM, optax.sgd(0.1), steps=1, validation=Validation(share=0.25), seed=4)
    members = ensemble.members(np.arange(6))
    held_x, held_y = members.held_out
    assert (members.x.shape, held_x.shape) == ((6, 9, 4), (6, 3, 4))
    for fit in range(6):
        rows = np.concatenate([np.hstack([held_x[fit], held_y[fit]]), np.hstack([members.x[fit], members.y[fit]])])
        whole = np.hstack([X, Y]).astype(np.float32)
        np.testing.assert_array_equal(rows[np.lexsort(rows.T)], whole[np.lexsort(whole.T)])
    assert len({held_x[fit].tobytes() for fit in range(6)}) > 3
    again = Ensemble(LINEAR, PROBLEM, optax.sgd(0.1), steps=1, validation=Validation(share=0.25), seed=4)
    np.testing.assert_array_equal(again.members(np.array([3])).x[0], members.x[3])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_metrics(backend):
    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(40, 2)), rng.integers(0, 3, 40)
    problem = jl.Problem(x[:25], labels[:25], loss="softmax_cross_entropy")
    network = jl.mlp([2, 5, 3], "tanh")
    fits = jl.fit(
        network, problem, optax.adam(0.05), fits=4, steps=20, backend=backend, validation=(x[25:], labels[25:]),
        validate_every=10, metrics={"accuracy": accuracy, "largest": lambda p, t: p.max()}, snapshots=(10,),
    )  # fmt: skip
    for fit in range(4):
        for column, params in ((1, fits.snapshots[fit, 0]), (2, fits.params[fit])):
            scores = np.asarray(network.apply_flat(params, x[25:].astype(np.float32)))
            found = {name: values[fit, column] for name, values in fits.judged.metrics.items()}
            assert found["accuracy"] == pytest.approx(accuracy_score(labels[25:], scores.argmax(axis=1)))
            assert found["largest"] == pytest.approx(scores.max(), rel=1e-5)
    assert "best_accuracy" in fits.table


def test_accuracy_of_two_classes_and_of_shares():
    logits, labels = np.array([[-1.0], [2.0], [0.5]]), np.array([[0.0], [1.0], [0.0]])
    assert accuracy(logits, labels).tolist() == [True, True, False]
    assert accuracy(np.hstack([-logits, logits]), np.hstack([1 - labels, labels])).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"validation": (X[:3], Y[:3])}, "holds 3 of the points that are trained on, the first in row 0"),
        ({"validation": (np.vstack([HELD_OUT[0], X[:1]]), np.vstack([HELD_OUT[1], Y[:1]]))}, "holds 1 of the points"),
        ({"validation": (HELD_OUT[0][:, :3], HELD_OUT[1])}, "validation x must have 4 components"),
        ({"validation": (HELD_OUT[0], HELD_OUT[1][:5])}, "validation has 9 inputs but 5 targets"),
        ({"validation": (HELD_OUT[0] * np.nan, HELD_OUT[1])}, "validation x has NaN"),
        ({"validation": 1.5}, "share must lie between 0 and 1; got 1.5"),
        ({"validation": 0.01}, "leaves nothing to judge on"),
        ({"validation": HELD_OUT, "patience": 0}, "patience must be a positive integer; got 0"),
        ({"validation": HELD_OUT, "validate_every": 0}, "every must be a positive integer; got 0"),
        ({"validation": HELD_OUT, "min_gain": -1}, "min_gain must not be negative"),
        ({"patience": 3}, "patience is about points held out|patience is about points that are held out"),
        ({"validation": 0.5, "inputs": np.zeros((2, 12, 4))}, "inputs gives each fit its own"),
    ],
)
def test_bad_input(given, message):
    with pytest.raises(ValueError, match=message):
        jl.fit(LINEAR, PROBLEM, optax.sgd(0.1), fits=2, steps=3, **given)


def test_there_is_nothing_to_ask_without_a_validation():
    fits = jl.fit(LINEAR, PROBLEM, optax.sgd(0.1), fits=2, steps=3)
    with pytest.raises(AttributeError, match="judged on no points"):
        _ = fits.best_params


@pytest.mark.parametrize("own", ["validation", "targets"])
def test_fits_are_judged_by_their_own_points(own):
    """Many fits of a network whose points could be taken together, in which fits change places."""
    x, held_x = np.linspace(-1, 1, 64)[:, None], np.linspace(-0.97, 0.96, 7)[:, None]
    shift = 0.01 * np.arange(300)[:, None, None]
    given = {"validation": {"validation": (held_x, np.abs(held_x)[None] + shift)}}
    given["targets"] = {"validation": (held_x, np.abs(held_x)), "targets": np.abs(x)[None] + shift}
    fits = jl.fit(
        jl.mlp([1, 3, 1]), jl.Problem(x, np.abs(x)), optax.sgd(0.05), fits=300, steps=1100, validate_every=550,
        **given[own],
    )  # fmt: skip
    target = given[own]["validation"][1]
    expected = ((fits.outputs(held_x) - target) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(fits.validation[:, -1], expected, rtol=1e-4, atol=1e-9)


def test_numbers_of_loss_and_penalty_are_not_mistaken_for_each_other():
    """Penalties are no part of the judgement; `l2` stands before `learning_rate` and `level`."""
    problem = jl.Problem(X, Y, loss="quantile", penalty=jl.problems.l2())
    numbers = {"learning_rate": 0.02, "level": np.linspace(0.1, 0.9, 5), "l2": np.linspace(0, 0.1, 5)}
    given = {"fits": 5, "steps": 6, "hyperparameters": numbers, "dtype": "float64", "validation": HELD_OUT}
    lanes, xla = (jl.fit(LINEAR, problem, optax.sgd, backend=b, **given) for b in ("lanes", "xla"))
    np.testing.assert_allclose(lanes.validation, xla.validation, rtol=1e-12)
    errors = HELD_OUT[1] - lanes.outputs(HELD_OUT[0])
    levels = numbers["level"][:, None, None]
    expected = np.maximum(levels * errors, (levels - 1) * errors).mean(axis=(1, 2))
    np.testing.assert_allclose(lanes.validation[:, -1], expected, rtol=1e-10)


def test_fits_that_stop_keep_their_number_format_on_the_device():
    given = {"fits": 8, "steps": 60, "dtype": "float64", "validation": HELD_OUT, "validate_every": 2, "patience": 1}
    here, there = (jl.fit(LINEAR, PROBLEM, optax.sgd(0.3), **given, on_device=each) for each in (False, True))
    assert (here.judged.stopped_step >= 0).any()
    assert there.params.dtype == np.float64
    np.testing.assert_array_equal(np.asarray(there.loss), here.loss)


@pytest.mark.parametrize("name", ["loss", "validation", "step"])
def test_metrics_leave_the_columns_of_the_table_alone(name):
    with pytest.raises(ValueError, match=f"a table has a column best_{name} already"):
        jl.fit(LINEAR, PROBLEM, optax.sgd(0.1), fits=2, steps=3, validation=HELD_OUT, metrics={name: accuracy})


def test_a_share_travels_and_is_not_mistaken_for_that_of_another_problem():
    ensemble = Ensemble(LINEAR, PROBLEM, optax.sgd, steps=1, hyperparameters={"learning_rate": 0.1})
    shared = dataclasses.replace(ensemble, validation=Validation(share=0.25))
    fits = np.arange(3)
    again = pickle.loads(pickle.dumps(shared)).members(fits)
    np.testing.assert_array_equal(again.x, shared.members(fits).x)
    other = jl.Problem(X + 1, Y)
    moved = dataclasses.replace(shared, problem=other)
    np.testing.assert_allclose(moved.members(fits).x, again.x + 1, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("validation", [None, Validation(*HELD_OUT)])
def test_without_a_share_its_points_are_asked_for(validation):
    """What is left of a share is neither kept nor given up unasked."""
    problem = jl.Problem(X, Y, weights=np.arange(1.0, 13.0))
    shared = Ensemble(LINEAR, problem, optax.sgd(0.1), steps=1, validation=Validation(share=0.25))
    with pytest.raises(ValueError, match=r"targets, weights: what a share .* Give inputs=None, .* for all points"):
        dataclasses.replace(shared, validation=validation)
    parts = ("inputs", "targets", "weights")
    whole = dataclasses.replace(shared, validation=validation, **dict.fromkeys(parts))
    np.testing.assert_array_equal(whole.members(np.arange(2)).x, X.astype(np.float32))
    kept = {name: functools.partial(getattr(shared, name)) for name in parts}
    rest = dataclasses.replace(shared, validation=validation, **kept)
    np.testing.assert_array_equal(rest.members(np.arange(2)).x, shared.members(np.arange(2)).x)
    with pytest.raises(ValueError, match="validation x, validation y: what a share"):
        dataclasses.replace(whole, validation=dataclasses.replace(shared.validation, share=None))


@pytest.mark.parametrize("backend", ["lanes", "xla"])
def test_losses_beyond_float32_are_infinite_on_every_backend(backend):
    """Squares of 1e25 are: the kernel still is what it should be."""
    far = HELD_OUT[0], np.full((9, 1), 1e25)
    fits = jl.fit(LINEAR, PROBLEM, optax.sgd(0.1), fits=3, steps=4, validation=far, backend=backend)
    assert np.isinf(fits.validation).all()
    assert (fits.judged.best_validation_step == 0).all()
    ensemble = Ensemble(LINEAR, PROBLEM, optax.sgd(0.1), steps=4, validation=Validation(*far))
    assert choose_backend(ensemble).explanation.startswith("lanes")
