"""`jaxland placebo`: a table in, a p-value out, and nothing lost on the way."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import optax
import pandas as pd
import pytest

import jaxland as jl
from jaxland.cli import main
from jaxland.execution import ShardTask
from jaxland.placebo import TableSettings, table_test
from jaxland.placebo.study import STUDY
from jaxland.store import StudyStore
from jaxland.studies import ShardWork, prepare
from jaxland.studies.finding import origin_of
from jaxland.studies.fitting import manifest_of

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


@pytest.mark.slow
def test_a_clear_signal(table, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["--target", "y", "--inputs", "a", "b", "c", "--permutations", "99", "--out", str(out)]
    assert main(["placebo", str(table), *arguments, *SMALL]) == 0
    text = capsys.readouterr().out
    assert "mine.csv: y from 3 inputs (a, b, c); 60 rows, 20 more held out" in text
    assert "p = 0.01: 0 of 99 placebos are as good" in text
    assert text.endswith(f"Fits, statistics, summary and figure are in {out}\n")
    assert {path.name for path in (out / "analysis").iterdir()} == {"fits.csv", "statistics.csv"}
    assert {path.name for path in (out / "figures").iterdir()} == {"placebo.png", "placebo.svg"}
    assert len(pd.read_csv(out / "analysis" / "fits.csv")) == 100
    statistics = pd.read_csv(out / "analysis" / "statistics.csv").set_index("statistic")
    assert statistics.loc["validation_loss", "p_value"] == 0.01
    # All that was printed, but for where it is.
    assert all(f"- {line}" in (out / "summary.md").read_text() for line in text.splitlines()[:-1])


@pytest.mark.slow
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
        pd.read_csv(out / "analysis" / "fits.csv")["training_loss"], expected.measures.training_loss[:, 0], rtol=1e-6
    )
    assert "labels permuted within site" in capsys.readouterr().out


@pytest.mark.slow
def test_the_default_place_and_parquet(table, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    pd.read_csv(table).to_parquet("other.parquet")
    arguments = ["--target", "y", "--permutations", "9", "--statistic", "training_improvement"]
    assert main(["placebo", "other.parquet", *arguments, *SMALL]) == 0
    assert "fall of the training loss" in capsys.readouterr().out
    assert (tmp_path / "runs" / "placebo-other" / "figures" / "placebo.png").exists()


@pytest.mark.slow
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


def test_a_statistic_that_is_none(table, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["placebo", str(table), "--target", "y", "--statistic", "loss"])
    assert ended.value.code == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "invalid choice 'loss'" in told
    assert "'validation_gap'" in told


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["placebo", str(tmp_path / "none.csv"), "--target", "y"]) == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.fixture
def tested(table, tmp_path):
    """A table of one's own, the command that tests it with 19 placebos, and the folder that holds the test."""
    own, out = shutil.copy(table, tmp_path), tmp_path / "out"
    command = ["placebo", str(own), "--target", "y", *SMALL, "--out", str(out), "--permutations"]
    assert main([*command, "19"]) == 0
    return own, command, out


def test_a_test_can_be_given_more_permutations_but_not_fewer(tested, capsys):
    _, command, out = tested
    before = pd.read_csv(out / "analysis" / "fits.csv")
    assert main([*command, "39", "--dry-run"]) == 0
    assert "20 fits of 50 steps: 1e+03 net-steps" in capsys.readouterr().out
    assert main([*command, "39"]) == 0
    assert "p = 0.025: 0 of 39 placebos" in capsys.readouterr().out
    pd.testing.assert_frame_equal(pd.read_csv(out / "analysis" / "fits.csv")[:20], before)
    assert main([*command, "19"]) == 1
    assert "40 fits already, and 20 are asked for: give as many permutations" in capsys.readouterr().err


def test_the_folder_is_a_study_directory(tested, capsys):
    _, _, out = tested
    shutil.rmtree(out / "analysis")
    for shard in list(out.rglob("*.parquet")):
        shard.unlink()
    capsys.readouterr()
    assert main(["analyse", str(out)]) == 1
    assert "no fits yet" in capsys.readouterr().err
    assert main(["resume", str(out)]) == 0
    assert "p = 0.05: 0 of 19 placebos are as good" in capsys.readouterr().err
    for command in ("status", "analyse", "report"):
        assert main([command, str(out)]) == 0
    assert main(["table", str(out), "--out", str(out / "t.csv")]) == 0
    assert len(pd.read_csv(out / "t.csv")) == len(pd.read_csv(out / "analysis" / "fits.csv")) == 20


def test_fits_that_are_there_are_tested_by_whole_labellings(table, tmp_path, capsys):
    test = table_test(table, TableSettings("y", hidden=(4,), steps=20, starts=3))
    config = {"fits": 30, "shard_fits": 4}
    store = StudyStore.create(tmp_path / "s", manifest_of(STUDY, test, prepared=prepare(STUDY, test), **config))
    work = ShardWork(str(store.path), 1)  # as a worker of an executor does it, who knows nothing but the folder
    work(ShardTask("fits", 0, 4))
    assert main(["analyse", str(store.path)]) == 1
    assert "not yet all fits of the real labels and of a placebo" in capsys.readouterr().err
    work(ShardTask("fits", 8, 16))
    assert main(["analyse", str(store.path)]) == 0
    assert pd.read_csv(store.path / "analysis" / "fits.csv")["start"].tolist() == [0, 1, 2] * 3


def test_a_table_that_was_changed_is_refused(tested, capsys):
    own, command, out = tested
    Path(own).write_text(Path(own).read_text() + "0,0,0,0,0,0\n")
    for arguments in ([*command, "39"], ["resume", str(out)], ["analyse", str(out)]):
        capsys.readouterr()
        assert main(arguments) == 2
        assert "mine.csv was changed since the test began" in capsys.readouterr().err
    assert main(["status", str(out)]) == 0


def test_another_test_and_a_folder_of_an_earlier_version_are_refused(tested, tmp_path, capsys):
    _, command, _ = tested
    assert main([*command, "19", "--seed", "1"]) == 1
    assert "seed: 0 there, 1 asked" in capsys.readouterr().err
    (tmp_path / "old" / "parts" / "0123456789abcdef").mkdir(parents=True)
    (tmp_path / "old" / "parts" / "0123456789abcdef" / "fits-0-512-0123456789abcdef.npz").touch()
    assert main([*command, "19", "--out", str(tmp_path / "old")]) == 1
    assert "a placebo test of an earlier jaxland" in capsys.readouterr().err


def test_its_help_loads_nothing_that_computes():
    code = (
        "import sys; from jaxland.cli import main\n"
        "try: main(['placebo', '--help'])\n"
        "except SystemExit: pass\n"
        "print(*(name for name in ('jax', 'numpy', 'scipy', 'pandas', 'pyarrow', 'matplotlib') if name in sys.modules))"
    )
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "--permutations" in text
    assert text.splitlines()[-1] == ""


def test_where_its_code_is_found():
    assert str(origin_of(STUDY)) == "jaxland.placebo.study:STUDY"


def _stopped(command, out, number):
    """Exit code and output of the command, to which a signal is sent once it has kept some fits."""
    before = len(list(out.rglob("fits/*/*.parquet")))
    # A shell makes its background jobs, and all that they start, ignore SIGINT; tests may be such a job.
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    signal.signal(signal.SIGINT, kept)
    while process.poll() is None and len(list(out.rglob("fits/*/*.parquet"))) == before:
        time.sleep(0.02)
    process.send_signal(number)
    text, _ = process.communicate(timeout=60)
    return process.returncode, text


@pytest.mark.slow
def test_a_signal_stops_it_and_the_same_command_goes_on(table, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "jaxland", "placebo", str(table), "--target", "y", "--hidden", "4"]
    command += ["--starts", "1", "--permutations", "5119", "--steps", "2000", "--out", str(out)]
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        stopped, text = _stopped(command, out, number)
        assert stopped == code
        assert "The same command goes on." in text
        kept = {path.name: path.read_bytes() for path in out.rglob("fits/*/*.parquet")}
        assert 0 < len(kept) < 40
        assert not (out / "summary.md").exists()
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert "0 of 5,119 placebos" in again.stdout
    parts = {path.name: path.read_bytes() for path in out.rglob("fits/*/*.parquet")}
    assert kept.items() <= parts.items()
    assert len(parts) == 40


@pytest.mark.slow
def test_texts_are_classes(tmp_path, capsys):
    frame = pd.DataFrame({"a": RANDOM.normal(size=90), "b": RANDOM.normal(size=90)})
    frame["kind"] = np.where(frame["a"] > 0.4, "high", np.where(frame["a"] < -0.4, "low", "mid"))
    frame.to_csv(tmp_path / "kinds.csv", index=False)
    asked = ["--target", "kind", "--permutations", "39", "--batch-size", "16", "--out", str(tmp_path / "out")]
    assert main(["placebo", str(tmp_path / "kinds.csv"), *asked, *SMALL]) == 0
    text = capsys.readouterr().out
    assert "16 rows a step, softmax_cross_entropy" in text
    assert "3 classes (high, low, mid), inputs standardised" in text
    assert "p = 0.025: 0 of 39 placebos are as good" in text
