"""A process that goes on for long holds no more in the end than when it was warm."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

WARM, MORE = 10, 20
# Of some 480 MiB; what each round kept would be there twenty times.
GROWTH = 16

ROUNDS = """
import json, os, shutil, sys
from pathlib import Path

import jaxland as jl
from jaxland.store import StudyStore
from small_study import STUDY, Config, LevelSettings


def held():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024
    return {"MiB at most": round(peak), "files": len(os.listdir("/proc/self/fd")), "threads": int(status["Threads"])}


place = Path(sys.argv[1])
for number in range(int(sys.argv[2])):
    backend = ("lanes", "xla")[number % 2]
    jl.run(STUDY, Config(), place, fits=32, shard_fits=8, threads=2, backend=backend, say=lambda line: None)
    runs = jl.open(place)
    assert len(runs.table()) == 64 and len(runs.params("adam")) == 32
    again = {"levels": LevelSettings(level=0.4), "more": jl.studies.NoSettings()}
    jl.studies.analyse(StudyStore.open(place), STUDY, Config(), again)
    shutil.rmtree(place)
    print(json.dumps(held()), flush=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what a process holds")
def test_a_process_that_runs_reads_and_analyses_over_and_over_holds_no_more(tmp_path):
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n{ROUNDS}"]
    done = subprocess.run(
        [*command, str(tmp_path / "s"), str(WARM + MORE)], stdout=subprocess.PIPE, text=True, check=True
    )
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == WARM + MORE
    warm, end = rounds[WARM - 1], rounds[-1]
    print(f"round {WARM}: {warm}; round {WARM + MORE}: {end}")
    assert end["MiB at most"] - warm["MiB at most"] < GROWTH
    for name in ("files", "threads"):
        assert max(each[name] for each in rounds[WARM:]) <= max(each[name] for each in rounds[:WARM])
