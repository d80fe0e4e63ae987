"""`jaxland placebo`: a table in, a p-value out, and nothing lost on the way."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.cli import main

RANDOM = np.random.default_rng(0)
SMALL = ["--hidden", "4", "--steps", "50", "--starts", "1", "--learning-rate", "0.05"]


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    x = RANDOM.normal(size=(80, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(
        y=2 * x[:, 0] + 0.3 * RANDOM.normal(size=80), noise=RANDOM.normal(size=80), site=np.arange(80) % 4
    )
    path = tmp_path_factory.mktemp("tables") / "mine.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_clear_signal(table, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--target", "y", "--inputs", "a", "b", "c", "--permutations", "99", "--out", str(out)]
    assert main(["placebo", str(table), *arguments, *SMALL]) == 0
    text = capsys.readouterr().out
    assert "mine.csv: y from 3 inputs (a, b, c); 60 rows, 20 more held out" in text
    assert "p = 0.01: 0 of 99 placebos are as good" in text
    assert {path.name for path in out.iterdir()} == {
        "parts", "fits.csv", "statistics.csv", "summary.md", "placebo.png", "placebo.svg",
    }  # fmt: skip
    assert len(pd.read_csv(out / "fits.csv")) == 100
    statistics = pd.read_csv(out / "statistics.csv").set_index("statistic")
    assert statistics.loc["validation_loss", "p_value"] == 0.01
    assert "p = 0.01" in (out / "summary.md").read_text()


def test_is_the_placebo_test_of_the_same_columns(table, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--target", "noise", "--inputs", "a", "b", "--within", "site", "--validation", "0", "--seed", "3"]
    assert main(["placebo", str(table), *arguments, *SMALL, "--permutations", "19", "--out", str(out)]) == 0
    frame = pd.read_csv(table)
    x, y = frame[["a", "b"]].to_numpy(), frame[["noise"]].to_numpy()
    problem = jl.Problem((x - x.mean(0)) / x.std(0), (y - y.mean(0)) / y.std(0))
    expected = jl.placebo_test(
        jl.mlp([2, 4, 1]), problem, optax.adam(0.05), steps=50, permutations=19, seed=3, groups=frame["site"].to_numpy()
    )
    np.testing.assert_allclose(
        pd.read_csv(out / "fits.csv")["training_loss"], expected.measures.training_loss[:, 0], rtol=1e-6
    )
    assert "labels permuted within site" in capsys.readouterr().out


def test_the_default_place_and_parquet(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pd.read_csv(table).to_parquet("other.parquet")
    arguments = ["--target", "y", "--permutations", "9", "--statistic", "training_improvement"]
    assert main(["placebo", "other.parquet", *arguments, *SMALL]) == 0
    assert "fall of the training loss" in capsys.readouterr().out
    assert (tmp_path / "runs" / "placebo-other" / "placebo.png").exists()


def test_dry_run_writes_nothing(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["placebo", str(table), "--target", "y", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "4,000 fits of 1,000 steps: 4e+06 net-steps" in text
    assert "nothing was written" in text
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "z"], "unknown column 'z'"),
        (["--target", "y", "--optimizer", "adm"], "unknown optimizer 'adm'. Did you mean 'adam'"),
        (["--target", "y", "--activation", "rely"], "Did you mean 'relu'"),
        (["--target", "y", "--statistic", "loss"], "unknown statistic 'loss'"),
        (["--target", "y", "--statistic", "validation_gap", "--validation", "0"], "needs points held out"),
        (["--target", "y", "--permutations", "0"], "permutations must be a positive integer"),
        (["--target", "y", "--hidden", "0"], "widths must be"),
        (["--target", "y", "--out", "../up"], "climbs with '..'"),
        (["--target", "y", "--threads", "0"], "threads must be a positive integer"),
        (["--target", "y", "--backend", "lane"], "Did you mean 'lanes'"),
    ],
)
def test_wrong_arguments(table, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["placebo", str(table), *arguments]) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["placebo", str(tmp_path / "none.csv"), "--target", "y"]) == 2
    assert "there is no such file" in capsys.readouterr().err


def _stopped(command, out, number):
    """Exit code and output of the command, to which a signal is sent once it has kept some fits."""
    before = len(list(out.rglob("*.npz")))
    # A shell makes its background jobs, and all that they start, ignore SIGINT; tests may be such a job.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    signal.signal(signal.SIGINT, kept)
    while process.poll() is None and len(list(out.rglob("*.npz"))) == before:
        time.sleep(0.02)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    return process.returncode, text


def test_a_signal_stops_it_and_the_same_command_goes_on(table, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "jaxland", "placebo", str(table), "--target", "y", "--hidden", "4"]
    command += ["--starts", "1", "--permutations", "5119", "--steps", "2000", "--out", str(out)]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        stopped, text = _stopped(command, out, number)
        assert stopped == code
        assert "The same command goes on." in text
        kept = {path.name: path.read_bytes() for path in out.rglob("*.npz")}
        assert 0 < len(kept) < 10
        assert not (out / "summary.md").exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "0 of 5,119 placebos" in again.stdout
    parts = {path.name: path.read_bytes() for path in out.rglob("*.npz")}
    assert kept.items() <= parts.items()
    assert len(parts) == 10
