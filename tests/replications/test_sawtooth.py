"""The sawtooth study as a whole: what a run leaves behind, and what its configuration refuses."""

import numpy as np
import pandas as pd
import pytest

import jaxland as jl
from jaxland.replications import SawtoothConfig
from jaxland.replications.sawtooth import basin, paths
from jaxland.replications.sawtooth.measures import turning_points
from jaxland.store import StudyStore
from jaxland.studies import STUDIES
from jaxland.training import make_optimizer

# That of `finished_sawtooth`.
CONFIG = SawtoothConfig(steps=200)


def test_a_run_leaves_table_figures_and_claims(finished_sawtooth):
    names = {str(path.relative_to(finished_sawtooth.path)) for path in finished_sawtooth.files}
    assert {"table.parquet", "claims.csv", "summary.md", "analysis/curves.csv"} <= names
    for figure in range(1, 8):
        assert sum(name.startswith(f"figures/figure-{figure:02d}-") for name in names) == 2
    assert any("direction-cosines" in name for name in names)
    assert all((finished_sawtooth.path / name).stat().st_size > 100 for name in names)
    claims = pd.read_csv(finished_sawtooth.path / "claims.csv")
    assert set(claims["name"].dropna()) <= set(STUDIES["sawtooth"].statements())
    assert "| momentum | 32 | 0 |" in (finished_sawtooth.path / "summary.md").read_text()


def test_stored_fits_are_those_of_jl_fit(finished_sawtooth):
    table = pd.read_parquet(finished_sawtooth.path / "table.parquet")
    assert table.shape[0] == 64
    for name, optimizer in (("momentum", CONFIG.momentum), ("adadelta", CONFIG.adadelta)):
        fits = jl.fit(CONFIG.network, CONFIG.problem, make_optimizer(optimizer), fits=32, steps=200)
        rows = table[table["ensemble"] == name]
        np.testing.assert_array_equal(rows["loss"], fits.loss)
        np.testing.assert_array_equal(rows["best_step"], fits.best_step)
        store = StudyStore.open(finished_sawtooth.path)
        stored = np.concatenate([shard.arrays["params"] for shard in store.stream(name)])
        np.testing.assert_array_equal(stored, fits.params)


def test_both_optimizers_start_from_the_same_points(finished_sawtooth):
    table = pd.read_parquet(finished_sawtooth.path / "table.parquet").pivot(
        index="fit", columns="ensemble", values="initial_loss"
    )
    np.testing.assert_allclose(table["momentum"], table["adadelta"], rtol=1e-6)


def test_of_short_runs_only_what_needs_no_training_is_judged(finished_sawtooth):
    judged = {claim.name for claim in finished_sawtooth.claims if claim.verdict == "agrees"}
    assert judged == {"perfect-fit", "training-points", "gaussian-too", "symmetric"}
    others = [claim for claim in finished_sawtooth.claims if claim.verdict and claim.name not in judged]
    assert {claim.verdict for claim in others} == {"not tested"}
    assert {claim.reason for claim in others} == {"judged from 10,000 steps on"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizers": ()}, "at least one"),
        ({"optimizers": ("momentum", "momentum")}, "each once"),
        ({"optimizers": ("adadelt",)}, "Did you mean 'adadelta'"),
        ({"steps": 0}, "steps must be"),
        ({"momentum": jl.training.Momentum(float("nan"))}, "momentum.learning_rate must be finite"),
        ({"dtype": "float16"}, "dtype|float16"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(Exception, match=message):
        SawtoothConfig(**changes)


@pytest.mark.slow
def test_the_other_targets_run_and_their_claims_are_not_judged(tmp_path):
    config = SawtoothConfig(target="3+2", steps=5, points_per_segment=1, optimizers=("adam",))
    outcome = jl.run("sawtooth", config, tmp_path / "s", fits=4)
    assert {claim.name for claim in outcome.claims if claim.verdict == "agrees"} == {
        "perfect-fit",
        "gaussian-too",
        "symmetric",
    }


def test_turning_points():
    x = np.linspace(-1, 1, 2001)
    curves = np.stack(
        [x, np.abs(x), np.sin(5 * np.pi * x), np.zeros_like(x), np.clip(x, -0.5, 0.5), np.maximum(np.abs(x), 0.3)]
    )
    np.testing.assert_array_equal(turning_points(curves), [0, 1, 10, 0, 0, 1])


@pytest.mark.slow
def test_fits_that_all_diverged_leave_claims_untested(tmp_path):
    config = SawtoothConfig(steps=50, optimizers=("momentum",), momentum=jl.training.Momentum(1e6))
    tiny = {
        "paths": paths.PathSettings(bands=2, others=2, images=6, inserted=0, steps=3, climb_after=1),
        "basin": basin.BasinSettings(jitters=4, steps=5, minima=1, minimum_jitters=4, polish=5),
    }
    tiny |= {name: STUDIES["sawtooth"].analyses[name].quick for name in ("spectra", "barriers", "knots")}
    outcome = jl.run("sawtooth", config, tmp_path / "s", fits=4, analyses=tiny)
    assert {claim.verdict for claim in outcome.claims} == {"not tested"}
