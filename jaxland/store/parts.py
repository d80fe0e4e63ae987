"""Finished pieces of long computations, kept so that an interrupted one goes on where it stopped."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from jaxland.store.files import commit, listed, read_if_sound

Arrays = Mapping[str, np.ndarray]


class Parts:
    """Named arrays in one folder, each part a file whose name holds its checksum.

    A part that is damaged, or not there, is computed again. Nothing is pickled.

    Attributes:
        folder: made when the first part is kept.
        within: a directory above it that is there; it is not made again where it is gone.
    """

    def __init__(self, folder: Path, within: Path | None = None):
        self.folder, self.within = folder, within

    def get(self, name: str, compute: Callable[[], Arrays]) -> dict[str, np.ndarray]:
        """The part with this name: read if it is there, else computed and kept.

        Raises:
            StoreError: it cannot be written.
        """
        found = self.find(name)
        if found is None:
            found = {key: np.asarray(values) for key, values in compute().items()}
            self._keep(name, found)
        return found

    def get_if_free(
        self, name: str, compute: Callable[[], Arrays], *, more: bool = False
    ) -> dict[str, np.ndarray] | None:
        """As `get`, which is all there is where nobody else makes parts; see `jaxland.studies.SharedParts`."""
        return self.get(name, compute)

    def replace(self, name: str, arrays: Arrays) -> None:
        """Keeps a part in place of what there was under this name.

        Raises:
            StoreError: it cannot be written; what there was stays.
        """
        kept = self._keep(name, arrays)
        with suppress(OSError):  # one that stays is as sound, and costs room alone
            for path in self.folder.glob(f"{name}-*.npz"):
                if path != kept:
                    path.unlink(missing_ok=True)

    def _keep(self, name: str, arrays: Arrays) -> Path:
        content = _encode(arrays)
        path = self.folder / f"{name}-{_checksum(content)}.npz"
        commit(path, content, self.within)
        return path

    def find(self, name: str) -> dict[str, np.ndarray] | None:
        """The part with this name, None where there is none that is sound.

        Raises:
            StoreError: there may be one, and it cannot be read.
        """
        for path in listed(self.folder, f"{name}-*.npz"):
            content = read_if_sound(path)
            if content is not None and path.name == f"{name}-{_checksum(content)}.npz":
                with suppress(ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile):  # none of ours
                    return _decode(content)
        return None


def _encode(arrays: Arrays) -> bytes:
    """An uncompressed .npz, the same bytes for the same arrays: no time is stamped."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for key in sorted(arrays):
            array = io.BytesIO()
            np.lib.format.write_array(array, np.asanyarray(arrays[key]), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy"), array.getvalue())
    return sink.getvalue()


def _decode(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
