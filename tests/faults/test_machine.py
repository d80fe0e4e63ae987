"""Any order of writing, dying, damage, reopening and meeting another writer leaves a store whole."""

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from faults.shim import Killed, disk
from faults.small_store import ENSEMBLES, MANIFEST, columns
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from jaxland.store import DamagedShard, StoreError, StudyStore

_SHARDS = st.tuples(st.sampled_from(ENSEMBLES), st.sampled_from([(0, 5), (5, 10)]))


class Store(RuleBasedStateMachine):
    """A directory beside what should be in it: the ranges of each ensemble that are committed and sound."""

    @initialize()
    def begin(self):
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(os, "fsync", lambda descriptor: None)  # no power is lost
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "s"
        self.store = StudyStore.create(self.path, MANIFEST)
        self.there: dict[tuple, bytes] = {}

    def teardown(self):
        self.patch.undo()
        self.folder.cleanup()

    def _commit(self, shard):
        ensemble, (start, stop) = shard
        return self.store.commit_shard(ensemble, start, stop, columns(start, stop))

    @rule(shard=_SHARDS)
    def commit(self, shard):
        path = self._commit(shard)
        assert self.there.setdefault(shard, path.read_bytes()) == path.read_bytes()

    @rule(shard=_SHARDS, at=st.integers(0, 24), code=st.sampled_from([None, errno.ENOSPC, errno.EIO]))
    def crash_or_fail(self, shard, at, code):
        """Old or new, whatever happens: what was there before is there, and this one is whole or not there."""
        with disk(self.path, at, code):
            try:
                self._commit(shard)
            except Killed:
                assert code is None
            except StoreError:
                assert code is not None
        ensemble, (start, _) = shard
        for file in self.store.shards(ensemble):
            if file.start == start:
                self.there[shard] = file.path.read_bytes()

    @rule()
    def reopen(self):
        self.store = StudyStore.open(self.path)
        self.store.require_unedited()

    @rule(shard=_SHARDS, place=st.integers(0, 10_000), bit=st.integers(0, 7))
    def corrupt(self, shard, place, bit):
        if shard not in self.there:
            return
        ensemble, (start, _) = shard
        (file,) = (each for each in self.store.shards(ensemble) if each.start == start)
        content = bytearray(file.path.read_bytes())
        content[place % len(content)] ^= 1 << bit
        file.path.write_bytes(content)
        with pytest.raises(DamagedShard, match=str(file.path)):
            list(self.store.stream(ensemble))
        assert self.store.quarantine(file.path).read_bytes() == content
        del self.there[shard]

    @rule(place=st.integers(0, 10_000), bit=st.integers(0, 7))
    def corrupt_the_manifest(self, place, bit):
        file = self.path / "study.json"
        content = bytearray(file.read_bytes())
        content[place % len(content)] ^= 1 << bit
        file.write_bytes(content)
        with suppress(StoreError):
            found = StudyStore.open(self.path)
            assert found.manifest.facts() == MANIFEST.facts()
            found.require_unedited()
        file.unlink()
        self.store = StudyStore.create(self.path, MANIFEST)

    @rule(shard=_SHARDS)
    def two_writers(self, shard):
        """The second is refused where it asks, and where it does not does no harm."""
        other = StudyStore.open(self.path)
        with self.store.writing():
            with pytest.raises(StoreError, match="another process"), other.writing():
                pass
            ensemble, (start, stop) = shard
            assert self._commit(shard) == other.commit_shard(ensemble, start, stop, columns(start, stop))
            assert not list(self.path.rglob(".tmp-*"))
        self.commit(shard)

    @invariant()
    def what_is_there_is_whole_and_nothing_else(self):
        if not hasattr(self, "there"):
            return
        for ensemble in ENSEMBLES:
            ranges = [span for span in ((0, 5), (5, 10)) if (ensemble, span) in self.there]
            shards = list(self.store.stream(ensemble))
            assert [(each.metadata["start"], each.metadata["stop"]) for each in shards] == ranges
            for shard, span in zip(shards, ranges, strict=True):
                np.testing.assert_array_equal(shard.arrays["params"], columns(*span)["params"])
            gone = sum(stop - start for start, stop in self.store.missing(ensemble))
            assert gone == 10 - 5 * len(ranges)


TestStore = Store.TestCase
TestStore.settings = settings(
    max_examples=8,
    stateful_step_count=10,
    deadline=None,
    derandomize=True,
)
