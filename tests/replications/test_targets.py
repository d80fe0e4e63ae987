import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import jaxland as jl
from jaxland.problems import sawtooth
from jaxland.replications import SawtoothConfig
from jaxland.replications.sawtooth import targets
from jaxland.store import Manifest, Parts, StudyStore
from jaxland.studies import Context

# A run of the study for a few assertions each: minutes together.
pytestmark = pytest.mark.slow

CONFIG = SawtoothConfig(steps=20)
TINY = targets.TargetSettings(
    fits=3, steps=20, few_points=2, saw_fits=2, saw_steps=5, saw_points=1, images=6, inserted=1, path_steps=10
)
JUDGED = dataclasses.replace(TINY, fits=16, steps=10_000, saw_fits=16, saw_steps=10_000)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Of a study without fits: the analysis trains its own."""
    path = tmp_path_factory.mktemp("studies") / "s"
    manifest = Manifest("sawtooth", {}, "hash", ("momentum", "adadelta"), 0, {})
    return StudyStore(path, manifest)


def _context(store, folder, settings=TINY):
    return Context(CONFIG, settings, store, Parts(folder), threads=2, say=lambda line: None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parts")


@pytest.fixture(scope="module")
def found(store, folder):
    return targets.find(_context(store, folder))


def _claim(findings, name):
    (claim,) = [claim for claim in findings.claims if claim.name == name]
    return claim


def test_tables_and_figures(found):
    assert {stem[:9] for stem in found.figures} == {"figure-13", "figure-14", "section-4"}
    fits = found.tables["target-fits.csv"]
    counts = fits.groupby(["target", "points_per_segment"]).size().to_dict()
    assert counts == {("5 x (3+2)", 10): 3, ("5 x (3+2)", 2): 3, ("5 x (5+0)", 1): 2}
    assert len(found.tables["target-path-images.csv"]) == TINY.images + TINY.inserted
    assert np.isfinite(fits.select_dtypes("number")).all(axis=None)


def test_fits_are_those_of_jl_fit(found):
    problem = sawtooth(saw=3, spline=((-1, 0), (-1 / 3, 0.3)))
    optimizer = jl.training.make_optimizer(CONFIG.adadelta)
    fits = jl.fit(problem.network, problem, optimizer, fits=3, steps=20)
    table = found.tables["target-fits.csv"]
    np.testing.assert_array_equal(table["loss"][:3], fits.loss)


def test_the_5_0_network_has_3125_pieces(found):
    claim = _claim(found, "peaks")
    assert claim.verdict == "agrees"
    assert claim.measured.startswith("3,124 turning points inside, 3,126 with the two ends, on 3,125")
    table = found.tables["targets.csv"].set_index("target")
    assert table["turning_points"].to_dict() == {"5 x (3+2)": 3**5 - 1, "5 x (5+0)": 5**5 - 1}
    assert (table["possible_knots"] == 6**5 - 1).all()
    assert (table["largest_error"] < 1e-9).all()


def test_claims_about_fits_are_not_judged_from_too_little(found):
    verdicts = {claim.name: claim.verdict for claim in found.claims if claim.name}
    exact = {"gentle", "peaks", "reproduced"}
    assert {verdict for name, verdict in verdicts.items() if name not in exact} == {"not tested"}
    assert {verdicts[name] for name in exact} == {"agrees"}


def test_a_second_run_reads_its_pieces_and_finds_the_same(store, folder, found, monkeypatch):
    for where, name in ((Context, "fit"), (targets, "relaxed_paths")):
        monkeypatch.setattr(where, name, lambda *args, **options: pytest.fail("computed again"))
    again = targets.find(_context(store, folder))
    assert again.claims == found.claims
    for name, table in found.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def _smooth(problem):
    """The network of the target with the weights from sawtooth units to the output cut: its low-frequency part."""
    params = np.array(problem.target.parameters())
    layer = problem.network.unflatten(params)[-1]
    layer.weight[0, : problem.target.saw] = 0
    params[-1] += problem.target.amplitude
    return params


@pytest.mark.parametrize("shape", [{"saw": 3, "spline": ((-1, 0), (-1 / 3, 0.3))}, {"saw": 5, "spline": ()}])
def test_descriptions_of_known_functions(shape):
    problem = sawtooth(**shape, points_per_segment=2)
    params = np.stack([problem.minimum, _smooth(problem)])
    fits = targets.describe(problem, 2, 1, fit=np.arange(2), loss=np.zeros(2), params=params)
    np.testing.assert_allclose(fits.error, [0, problem.target.amplitude**2 / 3], rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(fits.share, [1, 0], atol=1e-3)
    np.testing.assert_array_equal(fits.turns, [problem.target.saw**5 - 1, len(shape["spline"]) // 2])
    # The two differ by the wave: their variance is half its square.
    assert fits.deviation == pytest.approx(problem.target.amplitude / np.sqrt(6))


def _planted(rows, monkeypatch, diverged_step=-1, shift=0.0):
    """Replaces training by known functions: the target itself where `rows` says so, its smooth part elsewhere.

    Those of odd number are moved up by `shift`.
    """

    def fit(self, network, problem, optimizer, *, fits, first, **options):
        params = np.where(rows[first : first + fits, None], problem.minimum, _smooth(problem))
        params[1::2, -1] += shift
        number, diverged = np.arange(first, first + fits), np.full(fits, diverged_step)
        return SimpleNamespace(fit=number, loss=np.zeros(fits), diverged_step=diverged, params=params)

    monkeypatch.setattr(Context, "fit", fit)


@pytest.mark.parametrize(("found_by", "verdicts"), [(0, {"undecided"}), (16, {"differs"})])
def test_verdicts_on_planted_fits(store, tmp_path, monkeypatch, found_by, verdicts):
    _planted(np.arange(16) >= 16 - found_by, monkeypatch)
    findings = targets.find(_context(store, tmp_path, JUDGED))
    # That none of sixteen does leaves open whether one in twenty would.
    for name in ("trouble", "wiggle-free"):
        assert {claim.verdict for claim in findings.claims if claim.name == name} == verdicts
    assert _claim(findings, "not-by-teeth").verdict == "not tested"  # all or none do
    assert _claim(findings, "location").verdict == "not tested"  # equal fits do not vary


def test_a_deviation_that_is_due_to_teeth(store, tmp_path, monkeypatch):
    """Half of the fits are the target, half its smooth part: they differ by the teeth and nothing else."""
    _planted(np.arange(16) % 2 == 0, monkeypatch)
    claim = _claim(targets.find(_context(store, tmp_path, JUDGED)), "not-by-teeth")
    assert claim.verdict == "differs"


@pytest.mark.parametrize(("shift", "verdict"), [(0.02, "agrees"), (0.2, "differs")])
def test_where_the_deviation_comes_from(store, tmp_path, monkeypatch, shift, verdict):
    _planted(np.zeros(16, bool), monkeypatch, shift=shift)
    claim = _claim(targets.find(_context(store, tmp_path, JUDGED)), "location")
    assert claim.verdict == verdict


def test_fits_that_diverge_are_data(store, tmp_path, monkeypatch):
    _planted(np.zeros(TINY.fits, bool), monkeypatch, diverged_step=7)
    findings = targets.find(_context(store, tmp_path))
    assert _claim(findings, "peaks").verdict == "agrees"
    assert findings.claims[-1].verdict == "not tested"
    assert set(findings.figures) == {"figure-13-targets"}
