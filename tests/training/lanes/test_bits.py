"""What a fit is does not depend on what is trained beside it, and divergence is seen."""

import numpy as np
import optax
import pytest
from training.lanes.bits import same_bits

import jaxland as jl
from jaxland.training import Ensemble, train
from jaxland.training.lanes import LanesTrainer, machine

pytestmark = pytest.mark.sampled

NETWORK = jl.mlp([1, 3, 1])
PROBLEM = jl.Problem(np.linspace(-1, 1, 9), np.sin(3 * np.linspace(-1, 1, 9)))
FITS = 1024


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble(NETWORK, PROBLEM, optax.adam(0.01), steps=12, trace_every=4)


@pytest.fixture(scope="module")
def trainer(ensemble, make_trainer):
    return make_trainer(ensemble)


@pytest.fixture(scope="module")
def everything(trainer, ensemble):
    return train(trainer, ensemble, 0, FITS, threads=2)[0]


@pytest.mark.parametrize("first", [0, 5, 16, 1017])
@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bits_of_a_fit_do_not_depend_on_how_many_are_trained(trainer, ensemble, everything, first, count, threads):
    part, _ = train(trainer, ensemble, first, count, threads=threads)
    same_bits(part, type(part)(*(values[first : first + count] for values in everything)))


def test_diverged_step_is_the_first_with_a_loss_that_is_not_finite(make_trainer):
    ensemble = Ensemble(NETWORK, PROBLEM, optax.sgd(1e4), steps=40, trace_every=1)
    result, _ = train(make_trainer(ensemble), ensemble, 0, 16)
    wild = ~np.isfinite(result.trace)
    assert wild.any()
    np.testing.assert_array_equal(result.diverged_step, np.where(wild.any(1), wild.argmax(1), -1))


def test_parameters_that_are_not_finite_behind_a_finite_loss_are_flagged(make_trainer):
    start = np.zeros((1, NETWORK.size), np.float32)
    start[0, 0] = -np.inf  # unit 0 is off for every positive input
    problem = jl.Problem(np.array([0.5, 1.0]), np.zeros(2))
    ensemble = Ensemble(NETWORK, problem, optax.sgd(0.1), steps=3, start=start)
    result, _ = train(make_trainer(ensemble), ensemble, 0, 1)
    assert np.isfinite(result.loss[0])
    assert result.diverged_step[0] == 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_tile_or_vector_width(dtype, monkeypatch, make_trainer):
    ensemble = Ensemble(NETWORK, PROBLEM, optax.adam(0.01), steps=12, dtype=dtype, trace_every=3)
    results = []
    for instructions in available(fused=True):
        monkeypatch.setenv("JAXLAND_INSTRUCTIONS", instructions)
        settings = make_trainer(ensemble).settings
        results += [
            train(LanesTrainer(ensemble, {**settings, "tile": tile}), ensemble, 0, 16)[0] for tile in (1, 2, 4, 16)
        ]
    for result in results[1:]:
        same_bits(results[0], result)


def available(fused=None):
    levels = []
    for level in ("avx512", "avx2", "sse"):
        try:
            target = machine.host(level)
        except ValueError:
            continue
        levels += [level] if fused in (None, target.fused) else []
    return levels


@pytest.mark.parametrize("instructions", ["avx512", "avx2", "sse"])
def test_every_vector_width_trains(instructions, ensemble, everything, monkeypatch, make_trainer):
    if instructions not in available():
        pytest.skip("this processor lacks the instructions")
    monkeypatch.setenv("JAXLAND_INSTRUCTIONS", instructions)
    trainer = make_trainer(ensemble)
    assert trainer.width == {"avx512": 16, "avx2": 8, "sse": 4}[instructions]
    result, _ = train(trainer, ensemble, 0, 20)
    np.testing.assert_allclose(result.params, everything.params[:20], rtol=1e-4, atol=1e-5)


def test_settings_repeat_a_trainer(ensemble, everything, trainer):
    again, _ = train(LanesTrainer(ensemble, dict(trainer.settings)), ensemble, 0, 5)
    same_bits(again, type(again)(*(values[:5] for values in everything)))


@pytest.mark.parametrize(("name", "value", "message"), [("kernel", 0, "kernel version 0"), ("fused", None, "fused")])
def test_settings_that_cannot_be_met_are_refused(ensemble, trainer, name, value, message):
    with pytest.raises(ValueError, match=message):
        LanesTrainer(ensemble, {**trainer.settings, name: value})
