"""Pieces of an analysis that several workers make: each by the one that has its lease, for all of them to read."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from jaxland.execution import Leases
from jaxland.store import Parts, StudyStore
from jaxland.store.parts import Arrays
from jaxland.studies.configuration import to_json
from jaxland.studies.context import Context
from jaxland.studies.worklog import LEAD, PIECE
from jaxland.training import Ensemble, Interrupted, available_threads


class SharedParts(Parts):
    """Parts of which another worker may make some at the same time.

    Args:
        folder: of the parts.
        leases: of this worker.
        analysis: whose parts they are.
        leads: whether this worker holds the directory. It makes what nobody else does, whatever became of those who
            tried; one that helps leaves it.
        wanted: asked before a part is made, and while another makes one that is waited for.
        call_help: called when there is more than this worker can make at a time; it may be called again and again.
        within: as of `Parts`.
    """

    def __init__(
        self,
        folder: Path,
        leases: Leases,
        analysis: str,
        *,
        leads: bool = True,
        wanted: Callable[[], bool] = lambda: True,
        call_help: Callable[[], object] = lambda: None,
        within: Path | None = None,
    ):
        super().__init__(folder, within)
        self._leases, self._analysis, self._leads = leases, analysis, leads
        self._wanted, self._call_help = wanted, call_help

    def get(self, name: str, compute: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """As of `Parts`; where another worker is at it, its part is waited for.

        Raises:
            StoreError: it cannot be written.
            Interrupted: it is no longer wanted.
        """
        while True:
            found = self.get_if_free(name, compute)
            if found is not None:
                return found
            time.sleep(min(self._leases.seconds / 12, 1))

    def get_if_free(
        self, name: str, compute: Callable[[], Arrays], *, more: bool = False
    ) -> dict[str, np.ndarray] | None:
        """The same, but None where another worker is at it; `more` says that it is not the last one."""
        found = self.find(name)
        if found is not None:
            return found
        if not self._wanted():
            raise Interrupted
        lease = PIECE + f"{self._analysis}-{hashlib.sha256(f'{self.folder.name} {name}'.encode()).hexdigest()[:12]}"
        if more:
            self._call_help()
        if not self._is_ours(lease):
            return None
        try:
            with self._leases.kept(lease):
                return super().get(name, compute)
        finally:
            with suppress(OSError):
                self._leases.clear(lease)

    def _is_ours(self, lease: str) -> bool:
        leases = self._leases
        try:
            lost = leases.lost_owners().get(lease, 0)
            if leases.claim(lease) or leases.take_over(lease, lost):
                return True
            if not self._leads or leases.failure(lease, lost) is None:
                return False
            leases.clear(lease)
            return leases.claim(lease)
        except OSError:  # a fault of the disk costs the lease, and the work of whoever leads needs none
            return self._leads


def analyses_in_pieces(leases: Leases) -> set[str]:
    """Analyses of which somebody makes a piece."""
    names = (name.removeprefix(PIECE) for name in leases.lost_owners() if name.startswith(PIECE))
    return {name.rpartition("-")[0] for name in names}


def forget_pieces(leases: Leases) -> None:
    """Removes the leases of all pieces, as whoever begins to lead does: those of the dead would be waited for. Whoever
    helps the dead ends with theirs.
    """
    with suppress(OSError):
        for name in leases.lost_owners():
            if name.startswith((PIECE, LEAD)):
                leases.clear(name)
        leases.folder.rmdir()


def context_of(
    store: StudyStore,
    config: Any,
    name: str,
    settings: Any,
    leases: Leases,
    threads: int | None,
    say: Callable[[str], None],
    ensembles: Callable[[], Mapping[str, Ensemble]],
    **sharing: Any,
) -> Context:
    """What an analysis is given; `sharing` as of `SharedParts`."""
    folder = store.path / "parts" / name / identity(store, name, settings)
    parts = SharedParts(folder, leases, name, within=store.path, **sharing)
    return Context(config, settings, store, parts, threads or available_threads(), say, ensembles)


def identity(store: StudyStore, name: str, settings: Any) -> str:
    """What the parts of an analysis depend on: settings, study, and how its fits were made; 16 hexadecimal digits."""
    facts = [name, to_json(settings), store.manifest.config_hash, store.manifest.provenance]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
