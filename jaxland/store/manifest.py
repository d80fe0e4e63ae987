"""What a study directory is about, and the file that says so with its own checksum."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from jaxland.store.files import StoreError, read_if_sound
from jaxland.store.shard import FORMAT

MANIFEST = "study.json"
_CHECKSUM = "checksum"
_ENSEMBLE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def is_ensemble_name(name: str) -> bool:
    """Whether it can name an ensemble, and a folder."""
    return bool(_ENSEMBLE_NAME.fullmatch(name)) and not name.startswith(".")


def configuration_hash(study: str, config: dict[str, Any]) -> str:
    """Identifies a study's configuration, as JSON: 16 hexadecimal digits."""
    return _digest([study, config])


def _digest(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Manifest:
    """What a study directory is about.

    Attributes:
        study: name of the study.
        config: its configuration, as JSON.
        config_hash: identifies study and configuration; see `configuration_hash`.
        ensembles: names of its ensembles.
        fits: how many fits of each ensemble are asked for; may grow.
        provenance: versions, device, precision, backend and its settings, and the fingerprint of the program that was
            trained, which every shard must share.
        shard_fits: fits of a shard where it was asked for, so that whoever goes on makes the same files.
        title, source: of the study, for whoever reads the directory without its code.
        origin: where that code was found, None where it was given as a value; see `studies.Origin`.
        parts: of each ensemble's program and numbers, short hashes by what they are of, to name what was changed.
        format: version of the layout.
    """

    study: str
    config: dict[str, Any]
    config_hash: str
    ensembles: tuple[str, ...]
    fits: int
    provenance: dict[str, Any]
    shard_fits: int | None = None
    title: str = ""
    source: str = ""
    origin: dict[str, str] | None = None
    parts: dict[str, dict[str, str]] | None = None
    format: int = FORMAT

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Manifest":
        """The manifest whose fields these are; those of a later version are left out.

        Raises:
            KeyError, TypeError: a field is missing, or is of another kind.
        """
        known = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        manifest = cls(**{**known, "ensembles": tuple(values["ensembles"])})
        manifest._check()
        return manifest

    def _check(self) -> None:
        for name, kind in (("study", str), ("config", dict), ("config_hash", str), ("fits", int), ("provenance", dict)):
            if not isinstance(getattr(self, name), kind) or isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} is no {kind.__name__}")
        if self.fits < 0 or not all(isinstance(name, str) and is_ensemble_name(name) for name in self.ensembles):
            raise TypeError("fits or ensembles are none")

    @property
    def is_consistent(self) -> bool:
        """Whether the hash is that of the configuration as it stands here, whatever fields later versions add."""
        return configuration_hash(self.study, self.config) == self.config_hash

    def facts(self) -> dict[str, Any]:
        """What every shard says as well, as JSON gives it back."""
        names = ("study", "config", "config_hash", "ensembles", "provenance")
        return json.loads(json.dumps({name: getattr(self, name) for name in names}))

    def encoded(self) -> bytes:
        """The content of its file."""
        return sealed(asdict(self))


def sealed(values: dict[str, Any]) -> bytes:
    """The content of a manifest's file: its fields, and a checksum of them."""
    values = {name: value for name, value in values.items() if name != _CHECKSUM}
    return (json.dumps({**values, _CHECKSUM: _digest(values)}, indent=1, sort_keys=True) + "\n").encode()


class Stated(NamedTuple):
    """What the file of a manifest says.

    Attributes:
        manifest: its fields.
        sound: whether checksum and hash agree with them; earlier versions wrote no checksum.
    """

    manifest: Manifest
    sound: bool


def read_manifest(path: Path) -> Stated | None:
    """What the manifest in a directory says, None where there is none to be read.

    Raises:
        StoreError: it was made by a newer jaxland, or may be sound and cannot be read.
    """
    content = read_if_sound(path / MANIFEST)
    try:
        values = json.loads(content or b"")
        if values["format"] > FORMAT:
            raise StoreError(
                f"{path} has format {values['format']}; this jaxland reads up to {FORMAT}. Install a newer jaxland."
            )
        manifest = Manifest.from_json(values)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    checksum = values.pop(_CHECKSUM, None)
    return Stated(manifest, manifest.is_consistent and checksum in (None, _digest(values)))
