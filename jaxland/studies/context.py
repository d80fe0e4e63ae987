"""What an analysis is given, and what it leaves behind."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import optax
import pandas as pd
from matplotlib.figure import Figure

from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.store import Parts, StudyStore
from jaxland.studies.claims import Claim
from jaxland.training import Ensemble, Fits, fit


@dataclass(frozen=True)
class Context:
    """What an analysis may use.

    Attributes:
        config: of the study.
        settings: of the analysis.
        store: the study's fits.
        parts: keeps finished pieces of the analysis.
        threads: how many to use.
        say: receives lines for the user.
        make_ensembles: makes the study's ensembles, the same objects each time.
    """

    config: Any
    settings: Any
    store: StudyStore
    parts: Parts
    threads: int
    say: Callable[[str], None]
    make_ensembles: Callable[[], Mapping[str, Ensemble]] = dict

    @property
    def ensembles(self) -> Mapping[str, Ensemble]:
        """The study's ensembles by name."""
        return self.make_ensembles()

    def piece(self, name: str, work: Callable[[], Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Arrays that took long, by key: read where they were kept under this name before, else worked out and kept.

        Raises:
            StoreError: they cannot be written.
        """
        return self.parts.get(name, work)

    def pieces(
        self, name: str, rows: np.ndarray | Sequence[int], work: Callable[[Any], Mapping[str, np.ndarray]], size: int
    ) -> dict[str, np.ndarray]:
        """The same a few rows at a time, so that an interruption loses one piece of work; the pieces are joined.

        Where there are several workers they make pieces at the same time.

            context.pieces("polished", starts, train, 1024)["loss"]
            context.pieces("fits", range(2048), lambda fits: train(fits.start, len(fits)), 1024)

        Args:
            name: of the whole; pieces are told apart by their rows.
            rows: an array or a range, cut along its first axis.
            work: `rows of a piece -> arrays`, each with a row for each of them.
            size: rows of a piece; some minutes' work at most.

        Raises:
            StoreError: a piece cannot be written.
            ValueError: there are no rows.
        """
        if not len(rows):
            raise ValueError(f"{name}: there are no rows to work on; look whether there are any first.")
        blocks = {}
        for first in range(0, len(rows), size):
            block = rows[first : first + size]
            blocks[f"{name}-{first}-{len(block)}"] = (block, partial(work, block))
        done: dict[str, dict[str, np.ndarray]] = {}
        for left, (piece, (_, make)) in enumerate(blocks.items(), 1 - len(blocks)):
            found = self.parts.get_if_free(piece, make, more=left < 0)
            if found is not None:
                done[piece] = found
                self._tell(name, [blocks[each][0] for each in done], rows)
        for piece, (_, make) in blocks.items():
            if piece not in done:
                done[piece] = self.piece(piece, make)
                self._tell(name, [blocks[each][0] for each in done], rows)
        return {key: np.concatenate([done[piece][key] for piece in blocks]) for key in done[next(iter(blocks))]}

    def _tell(self, name: str, done: list, rows: np.ndarray | Sequence[int]) -> None:
        self.say(f"  {name}: {sum(map(len, done)):,} of {len(rows):,}")

    def fit(
        self,
        network: Network,
        problem: Problem,
        optimizer: optax.GradientTransformation | Callable[..., optax.GradientTransformation],
        **options: Any,
    ) -> Fits:
        """`jaxland.fit` as the study trains: with its seed and number format, where it has one, on these threads.

        Args:
            network, problem, optimizer: as for `jaxland.fit`.
            options: its other arguments, `steps` among them; `fits` is the number of starts where `start` is an array.
        """
        own = {name: getattr(self.config, name) for name in ("seed", "dtype") if hasattr(self.config, name)}
        if isinstance(options.get("start"), np.ndarray):
            own["fits"] = len(options["start"])
        return fit(network, problem, optimizer, **{**own, "threads": self.threads, **options})


class Findings(NamedTuple):
    """What an analysis leaves behind: all of it small.

    Attributes:
        tables: by file name.
        figures: by file stem.
        claims: in the order of the source.
        animations: finished files, by file name.
        notes: what was found, in lines for the user and the summary.
        captions: one sentence for each figure or animation, by its file stem: what it shows, and what was found, with
            its number.
    """

    tables: Mapping[str, pd.DataFrame]
    figures: Mapping[str, Figure]
    claims: list[Claim]
    animations: Mapping[str, bytes] = {}
    notes: Sequence[str] = ()
    captions: Mapping[str, str] = {}
