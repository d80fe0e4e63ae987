import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
import pytest

import jaxland
from jaxland.cli import COMMANDS, _separated, main
from jaxland.doctor import missing
from jaxland.studies.commands import read_commands
from jaxland.training.cuda import CudaMissing

SMALL = str(Path(__file__).with_name("small_study.py"))
RUN = ["run", SMALL, "--fits", "16", "--names", "adam", "--steps", "20"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "s"
    assert main([*RUN, "--out", str(out)]) == 0
    return out


def test_overview_names_every_command(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(re.search(rf"^  {name} ", text, re.M) for name in ("run", *COMMANDS))


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == f"jaxland {jaxland.__version__}"


def test_run_says_where_everything_is(study, capsys):
    assert main([*RUN, "--out", str(study)]) == 0
    text = capsys.readouterr().out
    assert f"are in {study}" in text
    assert "Claims: " in text


def test_status(study, capsys):
    assert main(["status", str(study)]) == 0
    assert "adam: 16 done in 1 shards, 0 diverged; complete" in capsys.readouterr().out
    assert main(["status", str(study), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ensembles"]["adam"]["done"] == 16


def test_status_finds_damage(study, capsys, tmp_path):
    copy = shutil.copytree(study, tmp_path / "copy")
    (shard,) = (copy / "fits").rglob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-5])
    assert main(["status", str(copy)]) == 1
    assert f"damaged: {shard}" in capsys.readouterr().out
    assert main(["resume", str(copy)]) == 0
    assert main(["status", str(copy), "--quick"]) == 0


@pytest.mark.parametrize(("name", "read"), [("t.csv", pd.read_csv), ("t.parquet", pd.read_parquet)])
def test_table(study, tmp_path, name, read):
    assert main(["table", str(study), "--out", str(tmp_path / name)]) == 0
    assert read(tmp_path / name)["fit"].tolist() == list(range(16))


def test_analyse_makes_everything_again(study):
    claims = (study / "claims.csv").read_bytes()
    (study / "claims.csv").unlink()
    assert main(["analyse", str(study)]) == 0
    assert (study / "claims.csv").read_bytes() == claims


def test_report(study, tmp_path, capsys):
    assert main(["report", str(study)]) == 0
    assert f"{study / 'report.html'} (" in capsys.readouterr().out
    assert main(["report", str(study), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_bytes() == (study / "report.html").read_bytes()


def test_report_of_a_study_that_is_not_analysed(study, tmp_path, capsys):
    copy = shutil.copytree(study, tmp_path / "copy")
    (copy / "summary.md").unlink()
    assert main(["report", str(copy)]) == 0
    assert f"jaxland analyse {copy}" in capsys.readouterr().err


def test_report_of_two_studies(study, tmp_path, capsys):
    other = shutil.copytree(study, tmp_path / "other")
    assert main(["report", str(study), str(other)]) == 0
    page = study / "compared-with-other.html"
    assert f"{page} (" in capsys.readouterr().out
    assert main(["report", str(study), str(other), "--out", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_bytes() == page.read_bytes()
    assert main(["report", str(study), str(tmp_path / "nothing")]) == 1
    assert "nothing is not a study directory" in capsys.readouterr().err


def test_commands_that_write_are_noted_beside_what_they_compute(tmp_path):
    out = tmp_path / "s"
    run = [*RUN, "--out", str(out)]
    wrote = [[*run, "--prepare"], ["work", str(out)], run, ["resume", str(out)], ["analyse", str(out)]]
    for command in (*wrote, ["status", str(out)], ["table", str(out), "--out", str(tmp_path / "t.csv")]):
        assert main(command) == 0
    noted = read_commands(out)
    assert [each.command for each in noted] == [shlex.join(["jaxland", *command]) for command in wrote]
    assert {each.ended for each in noted} == {"done"}
    assert noted[0].version == jaxland.__version__


def test_report_needs_a_known_ending(study, tmp_path, capsys):
    assert main(["report", str(study), "--out", str(tmp_path / "page.pdf")]) == 2
    assert "a report ends in .html" in capsys.readouterr().err


def test_studies_and_doctor(capsys):
    assert main(["studies"]) == 0
    text = capsys.readouterr().out
    assert "sawtooth " in text
    assert len(text.splitlines()) <= 20
    assert main(["studies", "sawtooth"]) == 0
    assert "  * overview " in capsys.readouterr().out
    assert main(["doctor"]) == 0
    told = capsys.readouterr()
    assert told.err.startswith("jaxland: looking")
    assert "FAIL" not in told.out
    assert max(map(len, told.out.splitlines())) <= 100


def test_doctor_names_what_is_missing_as_pip_and_the_extras_do(monkeypatch):
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    brought = {re.split(r"[<>=\[]", line)[0] for lines in project["optional-dependencies"].values() for line in lines}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    found = missing()
    assert found["dask_jobqueue"] == "dask-jobqueue"
    assert set(found.values()) <= brought


def test_names_are_separated_by_spaces_or_commas():
    assert _separated(("paths,basin", "spectra")) == ("paths", "basin", "spectra")
    assert _separated(("paths", "basin,")) == ("paths", "basin")


def test_missing_cuda_is_one_line(tmp_path, capsys, monkeypatch):
    def absent():
        raise CudaMissing("no GPU here; pip install cuda-bindings.")

    monkeypatch.setattr("jaxland.training.cuda.trainer.local_gpus", absent)
    assert main(["run", SMALL, "--backend", "cuda", "--out", str(tmp_path / "s")]) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"jaxland: reading {SMALL}"
    assert second == "jaxland: no GPU here; pip install cuda-bindings."


def test_a_configuration_that_hides_an_option(tmp_path, capsys):
    text = Path(SMALL).read_text()
    for name in ("help", "fits", "out"):
        (tmp_path / "clash.py").write_text(text.replace("seed: int", f"{name}: int = 3\n    seed: int", 1))
        assert main(["run", str(tmp_path / "clash.py"), "--fits", "8"]) == 2
        assert f"has a field {name!r}, which is an option of `jaxland run`" in capsys.readouterr().err


@pytest.mark.slow
def test_help_names_the_numbers_of_what_is_not_trained_by_default_in_a_line_and_takes_them(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["run", "sawtooth", "--help"])
    told = capsys.readouterr().out
    assert "--adam.b1, --adam.b2, --adam.eps" in " ".join(told.split())
    assert told.count("--adam.b1") == 1
    assert "--momentum.momentum FLOAT" in told
    assert "adam options" not in told
    out = str(tmp_path / "s")
    assert (
        main(["run", "sawtooth", "--optimizers", "adam", "--adam.b1", "0.8", "--fits", "8", "--prepare", "--out", out])
        == 0
    )
    config = json.loads((tmp_path / "s" / "study.json").read_text())["config"]
    assert (config["optimizers"], config["adam"]["b1"]) == (["adam"], 0.8)


@pytest.mark.slow
def test_dry_run_tells_which_analyses_train_fits_of_their_own(tmp_path, capsys):
    assert main(["run", "placebo", "--fits", "8", "--steps", "5", "--dry-run", "--out", str(tmp_path / "s")]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"tests trains {(120 + 4 * 30) * 20 + 500:,} fits of its own, whatever --fits says" in told


def test_dry_run_writes_nothing(tmp_path, capsys):
    assert main(["run", SMALL, "--fits", "64", "--dry-run", "--out", str(tmp_path / "s")]) == 0
    text = capsys.readouterr().out
    assert "2 shards to train" in text
    assert "nothing was written" in text
    assert "Then come the analyses, whose time is not in this: levels." in text
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "sawtoth"], "unknown study 'sawtoth'. Did you mean 'sawtooth'"),
        (["rnu"], "unknown command 'rnu'. Did you mean 'run'"),
        (["run", "sawtooth", "--optimizers", "adadelt"], "Did you mean 'adadelta'"),
        (["run", "sawtooth", "--analyses", "path"], "unknown analysis 'path'. Did you mean 'paths'"),
        (["run", "sawtooth", "--fits", "0"], "fits must be a positive integer; got 0"),
        (["run", "sawtooth", "--fits", "-5"], "fits must be a positive integer; got -5"),
        (["run", "sawtooth", "--steps", "0"], "steps must be a positive integer; got 0"),
        (["run", "sawtooth", "--seed", "-1", "--out", "x"], "seed must be an integer in"),
        (["run", "sawtooth", "--fits", "8", "--out", "../up"], "climbs with '..'"),
        (["run", "sawtooth", "--fits", "8", "--out", "x" * 300], "longer than 255 bytes"),
    ],
)
def test_wrong_arguments(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("arguments", [["run", "sawtooth", "--fits", "many"], ["run", "sawtooth", "--colour", "blue"]])
def test_arguments_of_the_wrong_kind(arguments, capsys):
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2


@pytest.mark.parametrize("command", ["resume", "status", "analyse", "report"])
def test_a_place_that_is_no_study(tmp_path, command, capsys):
    assert main([command, str(tmp_path)]) == 1
    assert "is not a study directory" in capsys.readouterr().err


def test_another_configuration(study, capsys):
    assert main([*RUN[:-1], "21", "--out", str(study)]) == 1
    assert "configuration.steps: 20 there, 21 asked" in capsys.readouterr().err


def test_table_needs_a_known_ending(study, tmp_path, capsys):
    assert main(["table", str(study), "--out", str(tmp_path / "t.xlsx")]) == 2
    assert ".csv or .parquet" in capsys.readouterr().err
    assert main(["table", str(study), "--out", "../t.csv"]) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_place(study, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert main(["run", SMALL, "--fits", "8", "--out", str(tmp_path / "s")]) == 1
    assert "cannot write" in capsys.readouterr().err


def test_a_full_disk(tmp_path, capsys):
    """/dev/full cannot hold a directory, so a small file system stands in: a limit on file size of the process."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000));"
        "from jaxland.cli import main;"
        f"sys.exit(main(['run', {SMALL!r}, '--fits', '256', '--shard-fits', '256', '--out', {str(tmp_path / 's')!r}]))"
    )
    full = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert full.returncode == 1
    assert re.search(r"cannot write .*parquet: File too large.*Finished work is safe", full.stderr)
    assert list((tmp_path / "s" / "fits").rglob("*.parquet")) == []
    assert main(["run", SMALL, "--fits", "256", "--out", str(tmp_path / "s")]) == 0


def test_installed_command():
    try:
        version("jaxland")
    except PackageNotFoundError:
        pytest.skip("jaxland is run from a checkout here, without having been installed")
    program = Path(sys.executable).with_name("jaxland")
    assert (
        subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
        == f"jaxland {jaxland.__version__}"
    )


def test_what_a_backend_cannot_do_is_told_in_a_line(tmp_path, capsys):
    arguments = ["run", "two_layer", "--compress", "True", "--dry-run", "--out", str(tmp_path / "run")]
    assert main(arguments) == 2
    assert capsys.readouterr().err.endswith("jaxland: runs of points need one shared column of inputs.\n")
