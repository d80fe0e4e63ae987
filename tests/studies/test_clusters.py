"""The same with processes that are killed and stopped, on executors of others, and on clusters; it takes minutes."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import small_study

import jaxland as jl
from jaxland.execution import SlurmCluster

JAXLAND = [sys.executable, "-m", "jaxland"]
# Shards of some tenths of a second.
OPTIONS = ["--steps", "600000", "--fits", "96", "--shard-fits", "16"]
SHARDS = 12

pytestmark = pytest.mark.slow


def _bytes(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in (path / "fits").rglob("*.parquet")}


def _jaxland(*arguments, **options):
    return subprocess.run([*JAXLAND, *map(str, arguments)], capture_output=True, text=True, **options)


def _run(out, *options, **environment):
    command = ["run", small_study.__file__, *OPTIONS, "--out", out, *options]
    return _jaxland(*command, env={**os.environ, **environment})


def _wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _alive(group):
    """Processes of a group, but for those that only wait to be buried."""
    facts = [file.read_text().rpartition(")")[2].split() for file in Path("/proc").glob("[0-9]*/stat") if file.exists()]
    return [each for each in facts if int(each[2]) == group and each[0] != "Z"]


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    path = tmp_path_factory.mktemp("serial") / "s"
    assert _run(path).returncode == 0
    assert len(_bytes(path)) == SHARDS
    return path


@pytest.fixture
def same(serial, tmp_path):
    """Whether a directory has the bytes of a serial run, and its table and claims."""

    def check(path):
        assert _bytes(path) == _bytes(serial)
        assert (path / "claims.csv").read_bytes() == (serial / "claims.csv").read_bytes()
        assert small_study.summary_of(path) == small_study.summary_of(serial)
        assert jl.open(path).table().drop(columns=["path"], errors="ignore").equals(jl.open(serial).table())

    return check


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_workers_and_says_how_to_go_on(tmp_path, same, number):
    """It comes to all processes, as from a terminal or a scheduler."""
    out = tmp_path / "s"
    command = [*JAXLAND, "run", small_study.__file__, *OPTIONS, "--out", str(out), "--workers", "2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    _wait_until(lambda: _bytes(out))
    os.killpg(process.pid, number)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"jaxland resume {out}" in text.decode()
    assert "Traceback" not in errors.decode()
    _wait_until(lambda: not _alive(process.pid), 10)
    assert 0 < len(_bytes(out)) < SHARDS
    assert not list(out.glob(".running-*"))
    assert _jaxland("resume", out, "--workers", "2").returncode == 0
    same(out)


def test_two_machines_one_killed_and_one_stopped_past_its_lease(tmp_path, same):
    out = tmp_path / "s"
    assert _run(out, "--prepare").returncode == 0

    def start(name):
        command = [*JAXLAND, "work", str(out), "--name", name, "--lease", "2", "--threads", "1"]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def is_at_a_shard(name):
        log = out / "logs" / f"{name}.log"
        return log.exists() and log.read_text().count("begins") > log.read_text().count("is there")

    killed, stopped = start("node-1"), start("node-2")
    _wait_until(lambda: is_at_a_shard("node-1"))
    killed.kill()
    killed.communicate()
    _wait_until(lambda: is_at_a_shard("node-2"))
    stopped.send_signal(signal.SIGSTOP)
    last = start("node-3")
    text, _ = last.communicate(timeout=120)
    assert last.returncode == 0
    # The one that was killed may have been between two shards.
    assert 1 <= text.count("its worker failed or was lost; taken over") <= 2
    same(out)
    stopped.send_signal(signal.SIGCONT)
    text, _ = stopped.communicate(timeout=120)
    assert stopped.returncode == 0
    assert "another worker made the analyses" in text
    same(out)


def test_a_worker_gives_its_lease_back_when_it_is_told_to_go(tmp_path):
    out = tmp_path / "s"
    assert _run(out, "--prepare").returncode == 0
    process = subprocess.Popen([*JAXLAND, "work", str(out)], stdout=subprocess.PIPE, text=True)
    _wait_until(lambda: _bytes(out))
    process.send_signal(signal.SIGUSR2)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 140
    assert f"jaxland resume {out}" in text
    assert list((out / "leases").iterdir()) == []


def test_a_shard_that_hangs_is_named_and_all_others_are_there(tmp_path):
    source, problem = Path(small_study.__file__).read_text(), "jl.Problem(x, np.sin(3 * x))"
    assert problem in source
    text = source.replace(problem, problem[:-1] + ", loss=_loss)").replace("def ensembles(config):", HANG)
    (tmp_path / "hanging.py").write_text(text)
    environment = {**os.environ, "HANG": "1"}
    options = ["--fits", "16", "--names", "adam", "--workers", "1", "--shard-timeout", "8"]
    command = [*JAXLAND, "run", str(tmp_path / "hanging.py"), *options, "--out", str(tmp_path / "s")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 1
    assert "1 shards failed 3 times" in done.stderr
    assert "took longer than a shard may" in done.stderr
    log = "".join(path.read_text() for path in (tmp_path / "s" / "logs").iterdir())
    assert log.count("a shard took longer than 8 s; the process was here:") == 3
    assert "in _loss" in log


HANG = """
import multiprocessing
import os
import time


def _loss(prediction, target):
    if os.environ.get("HANG") and multiprocessing.parent_process():
        time.sleep(1000)
    return (prediction - target) ** 2


def ensembles(config):"""


def test_dask_on_this_machine_with_a_worker_that_is_killed(tmp_path, same):
    pytest.importorskip("distributed", reason="pip install distributed")
    out = tmp_path / "s"
    command = [*JAXLAND, "run", small_study.__file__, *OPTIONS, "--out", str(out), "--dask", "local"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    _wait_until(lambda: list((out / "logs").glob("*.log")))
    log = next((out / "logs").glob("*.log"))
    os.kill(int(log.stem.rpartition("-")[2]), signal.SIGKILL)
    text, _ = process.communicate(timeout=180)
    assert process.returncode == 0, text
    assert re.search(r"(sgd|adam) \d+-\d+: its worker tcp://\S+ was lost; tried again", text)
    assert "distributed" not in text
    same(out)


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler of Dask with one worker, as two commands begin them."""
    pytest.importorskip("distributed", reason="pip install distributed")
    file = tmp_path / "scheduler.json"
    environment = {**os.environ, "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "error"}
    begin = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen([*begin, "--scheduler-file", str(file)], env=environment, stderr=subprocess.DEVNULL)]
    _wait_until(file.exists)
    time.sleep(0.5)
    address = json.loads(file.read_text())["address"]
    work = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    processes.append(subprocess.Popen(work, env=environment, stderr=subprocess.DEVNULL, cwd=tmp_path))
    yield address
    for process in reversed(processes):
        process.terminate()
        process.wait()


def test_a_cluster_of_dask_that_runs_already_and_outlives_a_run_that_is_stopped(tmp_path, same, scheduler):
    out = tmp_path / "s"
    command = [*JAXLAND, "run", small_study.__file__, *OPTIONS, "--out", str(out), "--dask", scheduler]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    _wait_until(lambda: _bytes(out))
    process.send_signal(signal.SIGTERM)
    text, errors = process.communicate(timeout=60)
    assert process.returncode == 143
    assert f"jaxland resume {out} --dask {scheduler}" in text
    assert "Traceback" not in errors
    assert 0 < len(_bytes(out)) < SHARDS
    resumed = _jaxland("resume", out, "--dask", scheduler)
    assert resumed.returncode == 0, resumed.stderr
    same(out)


def test_workers_of_dask_are_free_again_when_a_run_that_they_help_is_killed(tmp_path, scheduler):
    """The scheduler forgets what the dead had asked for; what its workers are at goes on until it ends by itself."""
    slow = tmp_path / "slow_study.py"
    text = Path(small_study.__file__).read_text()
    slow.write_text(text.replace("def work(rows):", "def work(rows):\n    import time; time.sleep(1)"))
    out, sizes = tmp_path / "s", ["--fits", "16", "--names", "adam"]
    command = [*JAXLAND, "run", str(slow), *sizes, "--scale", "paper", "--analyses", "levels", "--out", str(out)]
    process = subprocess.Popen([*command, "--dask", scheduler], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_until(lambda: any("helping with" in log.read_text() for log in (out / "logs").glob("*.log")))
    process.kill()
    process.wait()
    # There is one worker.
    other = _jaxland("run", small_study.__file__, *sizes, "--out", tmp_path / "other", "--dask", scheduler, timeout=180)
    assert other.returncode == 0, other.stderr
    assert _jaxland("resume", out).returncode == 0
    assert not (out / "leases").exists()


def test_no_scheduler_at_the_address(tmp_path, serial):
    pytest.importorskip("distributed", reason="pip install distributed")
    before = (serial / "summary.md").stat()
    for done in (
        _run(tmp_path / "s", "--dask", "tcp://127.0.0.1:9", DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="2s"),
        _jaxland("analyse", serial, "--dask", "tcp://127.0.0.1:9"),
    ):
        assert done.returncode == 2
        assert "connecting to the scheduler of Dask at tcp://127.0.0.1:9 (gives up after 10 s)" in done.stderr
        assert "no scheduler of Dask answers at tcp://127.0.0.1:9" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "s").exists()
    assert (serial / "summary.md").stat() == before


def test_loky_with_a_worker_that_is_killed(tmp_path, same):
    pytest.importorskip("loky", reason="pip install loky")
    script = tmp_path / "script.py"
    script.write_text(LOKY.format(folder=str(Path(small_study.__file__).parent)))
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "s")], capture_output=True, text=True, timeout=180
    )
    assert done.returncode == 0, done.stderr
    same(tmp_path / "s")


LOKY = """
import os, signal, sys, threading, time
from functools import partial
from pathlib import Path

sys.path.insert(0, {folder!r})
import jaxland as jl
import loky


def kill_one(folder):
    while not list(folder.glob("*.log")):
        time.sleep(0.01)
    os.kill(int(next(folder.glob("*.log")).stem.rpartition("-")[2]), signal.SIGKILL)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    threading.Thread(target=kill_one, args=(out / "logs",)).start()
    study = jl.studies.find_study({folder!r} + "/small_study.py")
    make = partial(loky.get_reusable_executor, max_workers=2)
    jl.run(study, study.config(steps=600000), out, fits=96, shard_fits=16, executor=make)
"""


# A job is a session of its own, so that all its processes can be ended, and has its script, which is removed, at once.
SBATCH = """#!/bin/sh
for last; do :; done
setsid sh -c "$(cat "$last")" >> "$STAND_IN/jobs.log" 2>&1 &
echo $! >> "$STAND_IN/jobs"
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for job; do kill -- "-$job" 2>/dev/null; done
exit 0
"""


@pytest.fixture
def slurm(tmp_path):
    """Environment in which the commands of Slurm are two shell scripts: what is tested is that jobs are submitted,
    join and end.
    """
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(stat.S_IRWXU)
    settings = {"CORES": "1", "MEMORY": "4GB", "INTERFACE": "lo", "LOCAL_DIRECTORY": str(tmp_path)}
    return {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "STAND_IN": str(tmp_path),
        **{f"DASK_JOBQUEUE__SLURM__{name}": value for name, value in settings.items()},
    }


def _jobs(folder):
    return [int(job) for job in (folder / "jobs").read_text().split()]


def test_slurm_with_a_stand_in_that_runs_its_jobs_here(tmp_path, same, slurm):
    """One set of jobs trains and helps with the analyses, of which there is one in pieces."""
    done = _run(tmp_path / "s", "--slurm", "1", **slurm)
    assert done.returncode == 0, done.stderr
    assert len(_jobs(tmp_path)) == 1
    assert f"1 jobs are submitted; what they print goes to {tmp_path / 's' / 'logs'}" in done.stderr
    _wait_until(lambda: not _alive(_jobs(tmp_path)[0]), 30)
    same(tmp_path / "s")


def test_a_job_of_slurm_that_is_ended_is_submitted_again(tmp_path, same, slurm):
    """As when its time is over, or it is preempted; otherwise a run would wait for ever for workers to come back."""
    out = tmp_path / "s"
    command = [*JAXLAND, "run", small_study.__file__, *OPTIONS, "--out", str(out), "--slurm", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **slurm})
    _wait_until(lambda: _bytes(out))
    os.killpg(_jobs(tmp_path)[0], signal.SIGKILL)
    text, _ = process.communicate(timeout=180)
    assert process.returncode == 0, text
    assert b"was lost; tried again" in text
    assert len(_jobs(tmp_path)) == 2
    same(out)


def test_the_script_of_a_job_of_slurm_says_what_its_configuration_says(tmp_path):
    pytest.importorskip("dask_jobqueue", reason="pip install dask-jobqueue")
    code = (
        "import signal; from pathlib import Path; from jaxland.execution import SlurmCluster\n"
        f"with SlurmCluster(2, logs=Path({str(tmp_path)!r})).cluster() as cluster: print(cluster.job_script())\n"
        "print('Ctrl-C:', signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    settings = {"QUEUE": "long", "ACCOUNT": "p123", "CORES": "32", "MEMORY": "64GB", "WALLTIME": "12:00:00"}
    environment = {f"DASK_JOBQUEUE__SLURM__{name}": value for name, value in settings.items()}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    for line in ("-J jaxland", "-p long", "-A p123", "--cpus-per-task=32", "--mem=60G", "-t 12:00:00"):
        assert f"#SBATCH {line}" in done.stdout
    assert f"#SBATCH -o {tmp_path}/jaxland-%J.out" in done.stdout
    assert "Ctrl-C: True" in done.stdout
    assert SlurmCluster(2).threads == 1


@pytest.mark.parametrize("on", [[], ["--dask"]], ids=["work", "dask"])
def test_chaos(tmp_path, on):
    """For a longer time: `python tests/studies/chaos.py --minutes 10`."""
    if on:
        pytest.importorskip("distributed", reason="pip install distributed")
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), "--minutes", "0.5", "--workers", "4", *on]
    done = subprocess.run([*command, "--folder", str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "byte for byte" in done.stdout
