"""Shards that take long: the groups of their fits are kept on the way, and gone on with after an interruption."""

import hashlib
import json
import shutil
from contextlib import suppress

import numpy as np
from jaxtyping import Int

from jaxland.execution import ShardTask
from jaxland.store import Parts, StudyStore
from jaxland.store.files import listed
from jaxland.training import Checkpoint

SECONDS = 60.0
"""From one checkpoint of a group to the next."""
_FOLDER = "unfinished"
_STEP, _FITS, _ORIGIN = "step", "fits", "origin"
_OWN = (_STEP, _FITS, _ORIGIN)


class Unfinished:
    """Checkpoints of the groups of one shard, in a folder of the study directory that ends with the shard.

    What another configuration, program, backend or version left there is not looked at, nor is what is damaged: it
    costs the time to train it again.

    Args:
        store: of the study.
        task: the shard.

    Attributes:
        seconds: see `jaxland.training.Keeper`.
    """

    def __init__(self, store: StudyStore, task: ShardTask):
        self.seconds = SECONDS
        self._above = store.path / _FOLDER
        self._parts = Parts(self._above / task.ensemble / f"{task.start:010d}-{task.stop:010d}", store.path)
        identity = json.dumps(store.identity(task.ensemble), sort_keys=True)
        self._origin = hashlib.sha256(identity.encode()).hexdigest()

    def load(self, fits: Int[np.ndarray, "W"]) -> Checkpoint | None:
        """The last checkpoint of exactly these fits."""
        found = self._parts.find(_name(fits))
        if found is None or not set(_OWN) <= found.keys():
            return None
        if str(found[_ORIGIN]) != self._origin or not np.array_equal(found[_FITS], fits):
            return None
        return Checkpoint(int(found[_STEP]), {name: each for name, each in found.items() if name not in _OWN})

    def save(self, fits: Int[np.ndarray, "W"], checkpoint: Checkpoint) -> None:
        """Keeps one, in place of what there was.

        Raises:
            StoreError: it cannot be written.
        """
        own = {_STEP: np.int64(checkpoint.step), _FITS: fits, _ORIGIN: np.str_(self._origin)}
        self._parts.replace(_name(fits), {**checkpoint.arrays, **own})

    def state(self) -> str:
        """Changes with each checkpoint that is kept; empty where none is. Nothing is read but names."""
        names = [path.name for path in listed(self._parts.folder, "*.npz")]
        return hashlib.sha256("".join(names).encode()).hexdigest()[:12] if names else ""

    def forget(self) -> None:
        """Removes what was kept: the shard is there."""
        folder = self._parts.folder
        with suppress(OSError):  # a folder that stays costs room alone
            for path in folder.glob("*"):
                path.unlink(missing_ok=True)
            for each in (folder, folder.parent, self._above):
                each.rmdir()


def forget_all(store: StudyStore) -> None:
    """Removes what is left of shards that were kept on the way, where all of them are there."""
    if not any(store.missing(name) for name in store.manifest.ensembles):
        shutil.rmtree(store.path / _FOLDER, ignore_errors=True)  # what stays costs room alone


def _name(fits: Int[np.ndarray, "W"]) -> str:
    return hashlib.sha256(np.ascontiguousarray(fits, np.int64).tobytes()).hexdigest()[:16]
