"""What XLA makes depends on the processor, and is not gone on with on another."""

import numpy as np
import optax
import pytest
from training.lanes.bits import same_bits

import jaxland as jl
from jaxland.training import Ensemble, processor, train
from jaxland.training.xla import XlaTrainer

X = np.linspace(-1, 1, 12)


@pytest.fixture(scope="module")
def ensemble():
    return Ensemble(jl.mlp([1, 3, 1]), jl.Problem(X, X**2), optax.sgd(0.1), steps=5)


@pytest.fixture(scope="module")
def trainer(ensemble):
    return XlaTrainer(ensemble)


def test_the_processor_is_recorded_and_another_is_refused(ensemble, trainer):
    assert trainer.settings == {"width": 16, "processor": processor.kind_of_processor()}
    with pytest.raises(ValueError, match=r"processor='pentium'.*the same bits need a processor of that kind"):
        XlaTrainer(ensemble, {**trainer.settings, "processor": "pentium"})


def test_settings_from_before_it_was_recorded_are_met(ensemble, trainer):
    older = XlaTrainer(ensemble, {"width": 16})
    assert older.settings == {"width": 16}
    same_bits(*(train(each, ensemble, 0, 3)[0] for each in (trainer, older)))


def test_a_study_is_not_gone_on_with_on_another_processor(ensemble, tmp_path, monkeypatch):
    study = jl.Study("small", jl.studies.NoSettings, lambda config: {"sgd": ensemble}, analyses={})
    jl.run(study, None, tmp_path / "s", fits=16, backend="xla")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr("jaxland.training.xla.kind_of_processor", lambda: "pentium")
    for backend in ("auto", "xla"):
        with pytest.raises((ValueError, jl.store.StoreError), match=r"processor.*'pentium' here|here it is 'pentium'"):
            jl.run(study, None, tmp_path / "s", fits=32, backend=backend)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
