"""Training, paths, spectra, basins, knots and barriers of the sawtooth study, at a scale of seconds."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import jaxland as jl
from jaxland.landscape import hessians, outputs, piecewise_linear
from jaxland.networks import smoothed
from jaxland.replications import SawtoothConfig
from jaxland.replications.sawtooth import (
    STUDY,
    bands,
    barriers,
    basin,
    knots,
    paths,
    settings,
    smoothing,
    spectra,
    students,
    training,
)
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.store import Parts, StudyStore
from jaxland.studies import Context, NoSettings

CONFIG = SawtoothConfig(steps=300, points_per_segment=2)
# What the planted results are judged by: the claims are about fits that were trained for long.
LONG = dataclasses.replace(CONFIG, steps=50_000)
NETWORK, PROBLEM = CONFIG.network, CONFIG.problem
MINIMUM = global_minimum(CONFIG)
MEMBERS = {"momentum": 3, "adadelta": 2}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Fits without any analysis."""
    from jaxland.studies.fitting import manifest_of, prepare, train_missing

    prepared = prepare(STUDY, CONFIG)
    store = StudyStore.create(tmp_path_factory.mktemp("studies") / "s", manifest_of(STUDY, CONFIG, 4, prepared))
    with store.writing():
        train_missing(store, STUDY, prepared, 1)
    return store


def _context(store, folder, settings, config=CONFIG):
    return Context(config, settings, store, Parts(folder), threads=1, say=lambda line: None)


def _loss(params):
    """Of each row, by a plain loop over the layers in float64."""
    losses = []
    for vector in np.asarray(params, np.float64):
        layers, values = NETWORK.unflatten(vector), PROBLEM.x.astype(np.float64).reshape(-1, 1)
        for index, layer in enumerate(layers):
            values = values @ np.asarray(layer.weight, np.float64).T + np.asarray(layer.bias, np.float64)
            values = np.maximum(values, 0) if index < len(layers) - 1 else values
        losses.append(((values - PROBLEM.y.reshape(-1, 1)) ** 2).mean())
    return np.array(losses)


def _claim(claims, words):
    (claim,) = [claim for claim in claims if words in claim.statement]
    return claim


# Training


def test_fits_are_followed_from_their_start(store, tmp_path):
    findings = training.find(_context(store, tmp_path, training.TrainingSettings(fits=3)))
    table = findings.tables["training.csv"]
    own = table[table["ensemble"] == "momentum"]
    assert own["step"].tolist() == [0, 10, 30, 100, 300]
    optimizer = jl.training.make_optimizer(CONFIG.momentum)
    fits = jl.fit(NETWORK, PROBLEM, optimizer, fits=3, steps=300, snapshots=[0, 100])
    for step, params in ((0, fits.snapshots[:, 0]), (100, fits.snapshots[:, 1]), (300, fits.params)):
        row = own[own["step"] == step].iloc[0]
        assert row["loss_median"] == pytest.approx(np.median(_loss(params)), rel=1e-9)
        counts = piecewise_linear(NETWORK, params).interior_counts
        assert (row["knots_median"], row["most_knots"]) == (np.median(counts), counts.max())
    # All biases begin at zero, and so do all knots.
    assert own["most_knots"].iloc[0] <= 1
    assert set(findings.figures) == {"training"}


# Students and noise


@pytest.mark.slow
def test_students_are_taught_what_their_teachers_compute(store, tmp_path):
    wanted = students.StudentSettings(teachers=4, students=2, steps=50)
    table = students.find(_context(store, tmp_path, wanted)).tables["students.csv"]
    own = table[table["ensemble"] == "adadelta"]
    taught = outputs(NETWORK, first_fits(CONFIG, store, "adadelta", 4).trained, PROBLEM.x)
    assert own["teacher"].tolist() == np.repeat(np.arange(4)[taught[:, :, 0].var(axis=1) > 1e-6], 2).tolist()
    optimizer = jl.training.make_optimizer(CONFIG.adadelta)
    first = dataclasses.replace(PROBLEM, y=taught[own["teacher"].iloc[0]])
    alone = jl.fit(NETWORK, first, optimizer, fits=2, steps=50, first=students._FIRST)
    np.testing.assert_allclose(own["unexplained"][:2], alone.loss / first.y.var(), rtol=1e-5)


@pytest.mark.slow
def test_noise_is_learnt_by_whoever_reproduces_the_data_and_by_least_squares_in_part(store, tmp_path):
    wanted = smoothing.SmoothingSettings(fits=4, steps=100)
    table = smoothing.find(_context(store, tmp_path, wanted)).tables["smoothing.csv"]
    # The error at the data is what is left of the noise, the error against the truth, less twice what both share.
    assert len(table) == 2 * 4
    noisy = smoothing._noisy(_context(store, tmp_path, wanted), "momentum")
    np.testing.assert_allclose(noisy.inside, 1 + noisy.truth - 2 * noisy.learnt, rtol=1e-9)
    assert noisy.free == NETWORK.size / len(PROBLEM.x)


# Settings


@pytest.mark.slow
def test_fits_of_other_settings_are_seen_as_those_of_the_study(store, tmp_path):
    wanted = settings.SettingsSettings(fits=4, steps=(100, 300))
    table = settings.find(_context(store, tmp_path, wanted)).tables["settings.csv"]
    assert len(table) == 2 * len(settings.VARIANTS)
    own = table[(table["setting"] == "adadelta") & (table["step"] == 300)].iloc[0]
    stored = first_fits(CONFIG, store, "adadelta", 4)
    assert own["loss_median"] == pytest.approx(np.median(_loss(stored.params)), rel=1e-6)
    distances = np.linalg.norm(stored.params - MINIMUM, axis=1)
    assert own["from_minimum_median"] == pytest.approx(np.median(distances), rel=1e-6)
    assert (table[table["setting"] != "adadelta"]["loss_median"] != own["loss_median"]).all()


# Paths

PATHS = paths.PathSettings(bands=3, others=2, images=8, inserted=2, steps=20, climb_after=10)


@pytest.fixture(scope="module")
def found_paths(store, tmp_path_factory):
    return paths.find(_context(store, tmp_path_factory.mktemp("parts"), PATHS))


@pytest.mark.slow
def test_paths_lead_from_the_global_minimum_to_the_fits(store, found_paths):
    images = found_paths.tables["path-images.csv"]
    assert len(images) == (3 + 2) * (PATHS.images + PATHS.inserted)
    for name, count in MEMBERS.items():
        fits = first_fits(CONFIG, store, name, count)
        own = images[images["ensemble"] == name]
        np.testing.assert_allclose(own.groupby("fit")["energy"].first(), 0, atol=1e-12)
        np.testing.assert_allclose(own.groupby("fit")["energy"].last(), _loss(fits.params), rtol=1e-9)
        straight = np.linalg.norm(fits.params - MINIMUM, axis=1)
        assert (own.groupby("fit")["length"].last() >= straight * (1 - 1e-9)).all()
    summary = found_paths.tables["paths.csv"]
    assert (summary["highest_between"] >= summary["highest_image"] * (1 - 1e-12)).all()
    assert set(found_paths.figures) == {
        "figure-08-paths",
        "figure-09-output-along-a-path",
        "figure-10-turns-along-a-path",
    }
    assert {claim.verdict for claim in found_paths.claims if claim.name != "dimensions"} == {"not tested"}
    assert set(found_paths.captions) == set(found_paths.figures)


@pytest.mark.slow
def test_a_path_does_not_depend_on_which_others_are_relaxed(store, tmp_path, found_paths):
    one = paths.find(_context(store, tmp_path, dataclasses.replace(PATHS, bands=1, others=0)))
    row = found_paths.tables["paths.csv"].iloc[0]
    assert one.tables["paths.csv"].iloc[0].to_dict() == row.to_dict()


def _planted_paths(energies, angles=None):
    """Straight paths of even steps, bent where angles are given."""
    energies = np.asarray(energies, float)
    rows, count = energies.shape
    turns = np.zeros((rows, count - 1)) if angles is None else np.cumsum(np.pad(angles, ((0, 0), (1, 0))), axis=1)
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=2)
    images = np.concatenate([np.zeros((rows, 1, 2)), np.cumsum(steps, axis=1)], axis=1)
    parts = np.linspace(0, 1, bands.BETWEEN + 1, endpoint=False)
    between = energies[:, :-1, None] * (1 - parts) + energies[:, 1:, None] * parts
    between = np.concatenate([between.reshape(rows, -1), energies[:, -1:]], axis=1)
    reason = np.full(rows, "converged")
    return bands.Paths(np.arange(rows), images, energies, between, np.zeros(rows), np.ones(rows, int), reason)


@pytest.mark.parametrize(("profile", "plunge", "level"), [("plunge", 0.05, 1), ("slope", 0.5, 0.575)])
def test_the_plunge_of_planted_paths(profile, plunge, level):
    share = np.linspace(0, 1, 41)
    shapes = {"plunge": np.minimum(share / 0.1, 1), "slope": share}
    table = bands.path_table("momentum", _planted_paths(np.tile(0.0045 * shapes[profile], (3, 1))))
    np.testing.assert_allclose(table["plunge"], plunge, atol=0.026)
    np.testing.assert_allclose(table["level"], level, atol=0.026)


def test_bumps_are_counted_where_they_stand_out():
    level = 0.0045
    assert bands.bumps_of(level * np.array([0, 0.5, 1.0, 1.0, 1.0]), 0.01 * level) == 0
    assert bands.bumps_of(level * np.array([0, 1.005, 1.0, 1.005, 1.0]), 0.01 * level) == 0
    assert bands.bumps_of(level * np.array([0, 1.2, 1.0, 1.2, 1.0, 1.1, 1.0]), 0.01 * level) == 3


def test_turns_of_planted_paths():
    angles = np.full((2, 39), 0.1)
    angles[:, :4] = 0.5
    angles[:, 19] = 0.7
    table = bands.path_table("momentum", _planted_paths(np.ones((2, 41)), angles))
    np.testing.assert_allclose(table[["turn_near", "turn_before"]], [[0.5, 0.1]] * 2)
    np.testing.assert_allclose(table["largest_turn_at"], 20 / 40)


def test_points_between_images_of_planted_paths():
    straight = _planted_paths(np.tile(np.linspace(0, 1, 11), (2, 1)))
    assert (bands.path_table("momentum", straight)["worst_rise"] < 0).all()
    between = straight.between.copy()
    between[:, 5] += 2
    bent = bands.path_table("momentum", dataclasses.replace(straight, between=between))
    np.testing.assert_allclose(bent["worst_rise"], straight.between[:, 5] + 2 - 0.1)


# Spectra


@pytest.mark.slow
def test_spectra_are_those_of_the_hessians(store, tmp_path):
    settings = spectra.SpectraSettings(fits=2, differenced=1)
    findings = spectra.find(_context(store, tmp_path, settings))
    table = findings.tables["spectra-fits.csv"]
    objective = PROBLEM.objective(smoothed(NETWORK))
    points = {name: first_fits(CONFIG, store, name, 2).params for name in MEMBERS} | {"W_f": MINIMUM[None]}
    assert table["ensemble"].value_counts().to_dict() == {name: len(params) for name, params in points.items()}
    for name, params in points.items():
        values = np.linalg.eigvalsh(hessians(objective, params))
        largest = np.abs(values).max(axis=1, keepdims=True)
        own = table[table["ensemble"] == name]
        np.testing.assert_allclose(own["highest"], values[:, -1], rtol=1e-9)
        np.testing.assert_array_equal(own["negative"], (values < -1e-4 * largest).sum(axis=1))
        np.testing.assert_allclose(own["very_small"], (np.abs(values) < 1e-3 * largest).mean(axis=1))
    assert table.set_index("ensemble").loc["W_f", "scaling"] == 25
    assert set(findings.figures) == {"figure-11-eigenvalues"}
    estimated = findings.tables["spectra-by-differences.csv"].set_index(["ensemble", "network"])
    assert estimated.loc[("W_f", "relu"), "asymmetry"] > 0.01
    assert estimated.loc[("W_f", "smoothed"), "asymmetry"] < estimated.loc[("W_f", "relu"), "asymmetry"]


# Basins


def test_close_to_the_global_minimum_all_return_and_far_away_none(store, tmp_path):
    settings = basin.BasinSettings(jitters=8, steps=20, minima=2, minimum_jitters=4, polish=10, radius=1e-5)
    table = basin.find(_context(store, tmp_path / "near", settings)).tables["basin-fits.csv"]
    near = table[table["basin"] == "W_f, momentum"]
    assert len(near) == 8
    assert near["returned"].all()
    assert (table["distance"] <= 1e-5).all()
    settings = dataclasses.replace(settings, radius=50.0, minima=0)
    findings = basin.find(_context(store, tmp_path / "far", settings))
    assert not findings.tables["basin-fits.csv"]["returned"].any()
    assert set(findings.figures) == {"figure-12-basin-of-the-global-minimum"}


def test_retrained_fits_are_those_of_jl_fit(store, tmp_path):
    settings = basin.BasinSettings(jitters=4, steps=20, minima=0)
    table = basin.find(_context(store, tmp_path, settings)).tables["basin-fits.csv"]
    start = jl.landscape.jitter(MINIMUM, 4, settings.radius, settings.seed)
    fits = jl.fit(
        NETWORK,
        PROBLEM,
        jl.training.make_optimizer(CONFIG.adadelta),
        fits=4,
        steps=20,
        start=start.params,
    )
    own = table[table["basin"] == "W_f, adadelta"]
    np.testing.assert_array_equal(own["loss"].to_numpy(np.float32), fits.loss)
    np.testing.assert_allclose(own["distance"], np.linalg.norm(start.params - MINIMUM, axis=1))


# Knots


def test_knots_are_counted_over_all_fits(store, tmp_path):
    findings = knots.find(_context(store, tmp_path, NoSettings()))
    counts = findings.tables["knot-counts.csv"]
    for name in MEMBERS:
        own = counts[counts["ensemble"] == name]
        functions = piecewise_linear(NETWORK, first_fits(CONFIG, store, name, 4).trained.astype(np.float32))
        expected = dict(zip(*np.unique(functions.interior_counts, return_counts=True), strict=True))
        assert dict(zip(own["interior_knots"], own["fits"], strict=True)) == expected
    summary = findings.tables["knots.csv"]
    assert summary["target"].tolist() == [31, 31]
    assert summary["possible"].tolist() == [6**5 - 1] * 2
    assert set(findings.figures) == {"knots-of-the-fits"}


# Barriers


@pytest.mark.slow
def test_barriers_lie_above_the_minima_they_part(store, tmp_path):
    settings = barriers.BarrierSettings(minima=3, images=8, steps=10)
    findings = barriers.find(_context(store, tmp_path, settings))
    table = findings.tables["barriers.csv"]
    assert len(table) == 6
    higher = table[["first_energy", "second_energy"]].max(axis=1)
    assert (table["direct_height"] >= table["lowest_height"] - 1e-15).all()
    assert (table["lowest_height"] >= higher * (1 - 1e-12)).all()
    assert table["in_spanning_tree"].sum() == 3
    energies = _loss(first_fits(CONFIG, store, "momentum", 3).params)
    np.testing.assert_allclose(table["second_energy"][:3], energies, rtol=1e-9)
    assert set(findings.figures) == {"barriers"}


def test_a_way_over_the_global_minimum_is_no_valley():
    names = ["W_f", "fit 0", "fit 1", "fit 2"]
    first, second = np.triu_indices(4, 1)
    table = pd.DataFrame({"first": np.array(names)[first], "second": np.array(names)[second], "reason": "converged"})
    table = table.assign(first_energy=np.where(first == 0, 0.0, 0.004), second_energy=0.004)
    table["direct_height"] = table["lowest_height"] = np.where(first == 0, 0.006, 0.02)
    (claim,) = barriers.valley_claims(table)
    assert claim.measured.startswith("the lowest way between two rises 400 %")
