import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import jaxland as jl
from jaxland.landscape import hessians
from jaxland.networks import embed, mlp, smoothed
from jaxland.replications import SawtoothConfig
from jaxland.replications.sawtooth import larger
from jaxland.replications.sawtooth.sample import first_fits
from jaxland.store import Parts, StudyStore
from jaxland.studies import Context

# A run of the study for a few assertions each: minutes together.
pytestmark = pytest.mark.slow

CONFIG = SawtoothConfig(steps=300, points_per_segment=2)
TINY = larger.LargerSettings(sizes=(6, 7), fits=3, steps=20, embedded=3, more_steps=20, spectra=2)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("studies") / "s"
    return StudyStore.open(jl.run("sawtooth", CONFIG, path, fits=4).path)


def _context(store, folder, settings=TINY, config=CONFIG):
    return Context(config, settings, store, Parts(folder), threads=2, say=lambda line: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def found(store, folder):
    return larger.find(_context(store, folder))


def _claim(findings, name, of=""):
    (claim,) = [claim for claim in findings.claims if (claim.name, claim.of) == (name, of)]
    return claim


def test_tables_and_figures(found):
    assert set(found.figures) == {
        "figure-15-larger-networks",
        "figure-15-losses-of-larger-networks",
        "section-4.10-embedded-fits",
    }
    fits, training = found.tables["larger-fits.csv"], found.tables["larger-training.csv"]
    assert fits.groupby("network")["fit"].apply(list).to_dict() == {"6 x 6": [0, 1, 2], "7 x 7": [0, 1, 2]}
    assert training["step"].tolist() == 2 * list(range(21))
    last = training[training["step"] == 20].set_index("network")["median_loss"]
    assert last["7 x 7"] == pytest.approx(fits[fits["network"] == "7 x 7"]["loss"].median())
    assert found.tables["embedded-fits.csv"]["fit"].tolist() == [0, 1, 2]
    assert found.tables["embedded-spectra.csv"]["fit"].tolist() == [0, 1]


def test_fits_of_each_size_are_those_of_jl_fit(found):
    optimizer = jl.training.make_optimizer(CONFIG.adadelta)
    fits = jl.fit(mlp([1, *[6] * 6, 1]), CONFIG.problem, optimizer, fits=3, steps=20)
    np.testing.assert_array_equal(found.tables["larger-fits.csv"]["loss"][:3], fits.loss)


def test_embedded_fits_compute_the_same_and_start_from_the_same_loss(store, found):
    claim = _claim(found, "embedded")
    assert claim.verdict == "agrees"
    table = found.tables["embedded-fits.csv"]
    assert (table["difference"] < 1e-13).all()
    stored = pd.read_parquet(store.path / "table.parquet")
    momentum = stored[stored["ensemble"] == "momentum"]["loss"].to_numpy()
    np.testing.assert_allclose(table["start"], momentum[:3], rtol=1e-4)


def test_fits_left_as_they_are_are_trained_further(store, found):
    sample = first_fits(CONFIG, store, "momentum", 3)
    optimizer = jl.training.make_optimizer(CONFIG.momentum)
    fits = jl.fit(CONFIG.network, CONFIG.problem, optimizer, fits=3, steps=20, start=sample.trained)
    np.testing.assert_array_equal(found.tables["embedded-fits.csv"]["alone"], fits.loss)


def test_spectra_are_those_of_the_hessians(store, found):
    sample, table = first_fits(CONFIG, store, "momentum", 2), found.tables["embedded-spectra.csv"]
    network = mlp([1, *[6] * 6, 1])
    inside = embed(CONFIG.network, sample.trained, network, seed=CONFIG.seed)
    for name, net, params in (("alone", CONFIG.network, sample.trained), ("inside", network, inside)):
        values = np.linalg.eigvalsh(hessians(CONFIG.problem.objective(smoothed(net)), params))
        np.testing.assert_allclose(table[f"{name}_lowest"], values[:, 0], rtol=1e-6)
        np.testing.assert_allclose(table[f"{name}_highest"], values[:, -1], rtol=1e-9)
        np.testing.assert_array_equal(table[f"{name}_descending"], (values < -1e-4 * values[:, -1:]).sum(1))


def test_claims_about_training_are_not_judged_from_too_little(found):
    assert {claim.name for claim in found.claims if claim.verdict != "not tested"} == {"embedded"}


@pytest.mark.slow
def test_a_second_run_reads_its_pieces_and_finds_the_same(store, folder, found, monkeypatch):
    for where, name in ((Context, "fit"), (larger, "spectra")):
        monkeypatch.setattr(where, name, lambda *args, **options: pytest.fail("computed again"))
    again = larger.find(_context(store, folder))
    assert again.claims == found.claims
    for name, table in found.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def _planted(monkeypatch, larger_loss, diverged_step=-1):
    """Replaces training: fits stay where they start, those of larger networks with a loss of our choice."""

    def fit(self, network, problem, optimizer, *, steps, fits=0, first=0, start=None, trace_every=None):
        fits = fits if start is None else len(start)
        number, wide = np.arange(first, first + fits), network.spec.widths[1] > 5
        loss = np.full(fits, larger_loss if wide else 0.004)
        params = np.zeros((fits, network.size)) if start is None else start
        trace = np.tile(loss[:, None], (1, steps // trace_every + 1 if trace_every else 0))
        diverged = np.full(fits, diverged_step if wide else -1)
        initial = np.full(fits, 0.004)
        return SimpleNamespace(
            fit=number, loss=loss, initial_loss=initial, diverged_step=diverged, params=params, trace=trace
        )

    monkeypatch.setattr(Context, "fit", fit)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A study that says it has trained long, with enough fits to judge from."""
    path = tmp_path_factory.mktemp("studies") / "s"
    return StudyStore.open(jl.run("sawtooth", CONFIG, path, fits=8).path)


@pytest.mark.slow
@pytest.mark.parametrize(("loss", "verdict"), [(1e-4, "agrees"), (0.02, "differs")])
def test_verdicts_on_planted_losses(many, tmp_path, monkeypatch, loss, verdict):
    _planted(monkeypatch, loss)
    settings = dataclasses.replace(TINY, fits=8, steps=50_000, embedded=8, more_steps=10_000)
    config = dataclasses.replace(CONFIG, steps=10_000)
    findings = larger.find(_context(many, tmp_path, settings, config))
    for name, of in (("close", "6 x 6"), ("close", "7 x 7"), ("further", "")):
        assert _claim(findings, name, of).verdict == verdict
    assert _claim(findings, "more-complex", "embedded fits").verdict != "agrees"


@pytest.mark.parametrize("changes", [{"optimizers": ("adadelta",)}, {"width": 7}])
def test_a_study_without_fits_that_can_be_embedded(tmp_path, monkeypatch, changes):
    config = dataclasses.replace(CONFIG, **changes)
    store = StudyStore.open(jl.run("sawtooth", config, tmp_path / "s", fits=4, analyses={}).path)
    _planted(monkeypatch, 0.004)
    findings = larger.find(_context(store, tmp_path / "parts", config=config))
    assert findings.claims[-1].verdict == "not tested"
    assert "section-4.10-embedded-fits" not in findings.figures
    assert "figure-15-larger-networks" in findings.figures


def test_fits_that_diverge_are_data(store, tmp_path, monkeypatch):
    _planted(monkeypatch, np.nan, diverged_step=7)
    findings = larger.find(_context(store, tmp_path))
    assert {claim.verdict for claim in findings.claims} == {"not tested"}
    assert not findings.figures
