"""A directory is looked at by as few calls, and in as little memory, where it has ten thousand shards."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from faults.small_store import MANIFEST, columns

from jaxland.store import StudyStore

FITS, MISSING = 2, (400, 420)
MEMORY = 1000  # MB

LOOK = """
import json, sys
from collections import Counter
from pathlib import Path

path, calls = Path(sys.argv[1]), Counter()


def count(event, arguments):
    if event in ("open", "os.scandir", "os.listdir") and str(arguments[0]).startswith(str(path)):
        calls["open" if event == "open" else "listing"] += 1


sys.addaudithook(count)
{what}
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(json.dumps({"found": found, "MB": int(peak.split()[1]) / 1000, **calls}))
"""
# What `jaxland resume` does before it trains.
RESUME = """
from jaxland.store import StudyStore

store = StudyStore.open(path)
store.require_unedited()
with store.writing():
    found = store.missing("momentum")
"""
STATUS = """
from jaxland.studies import study_status

state = study_status(path, quick={quick})
found = [state["ensembles"]["momentum"]["shards"], state["ensembles"]["momentum"]["missing"], state["damaged"]]
"""
REBUILT = """
from jaxland.store import StudyStore

(path / "study.json").rename(path / "elsewhere.json")
store = StudyStore.open(path)
(path / "elsewhere.json").rename(path / "study.json")
found = [store.rebuilt, store.manifest.fits]
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not say what is held")


class Large(NamedTuple):
    """A directory: how many shards were asked for, ten of which are missing, and the one that is damaged."""

    path: Path
    shards: int
    victim: Path


@pytest.fixture(scope="module", params=[300, pytest.param(10_000, marks=pytest.mark.slow)])
def large(request, tmp_path_factory):
    """Shards of two fits each that nobody trained."""
    path, shards = tmp_path_factory.mktemp("large") / "s", request.param
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)  # no power is lost
        store = StudyStore.create(path, replace(MANIFEST, ensembles=("momentum",), fits=shards * FITS))
        for start in range(0, shards * FITS, FITS):
            if not MISSING[0] <= start < MISSING[1]:
                store.commit_shard("momentum", start, start + FITS, columns(start, start + FITS))
    victim = store.shards("momentum")[7].path
    victim.write_bytes(victim.read_bytes()[:-1])
    return Large(path, shards, victim)


def _looked(path, what):
    code = LOOK.replace("{what}", what)
    done = subprocess.run([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    seen = json.loads(done.stdout)
    print(seen)
    assert seen["MB"] < MEMORY
    return seen


def test_what_is_missing_is_found_by_names(large):
    """Listings of the folders, and the manifest, one shard and the lock besides."""
    seen = _looked(large.path, RESUME)
    assert seen["found"] == [[*MISSING]]
    assert seen["open"] <= 5
    assert seen["listing"] <= 12


def test_a_quick_status_reads_names_alone(large):
    seen = _looked(large.path, STATUS.replace("{quick}", "True"))
    assert seen["found"] == [large.shards - 10, [[*MISSING]], []]
    assert seen["open"] <= 5
    assert seen["listing"] <= 12


def test_a_lost_manifest_is_rebuilt_from_one_shard(large):
    seen = _looked(large.path, REBUILT)
    assert seen["found"] == [True, large.shards * FITS]
    assert seen["open"] <= 5


def test_every_shard_is_read_once_to_be_verified(large):
    seen = _looked(large.path, STATUS.replace("{quick}", "False"))
    assert seen["found"] == [large.shards - 11, [[14, 16], [*MISSING]], [str(large.victim)]]
    assert large.shards - 10 <= seen["open"] <= large.shards - 5
    assert seen["listing"] <= 12
