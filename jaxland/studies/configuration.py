"""Configurations: frozen dataclasses, written as JSON and read back."""

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_type_hints

from jaxland.store import MANIFEST, DamagedShard, ShardFile, StoreError, StudyStore, read_metadata


def to_json(config: Any) -> dict[str, Any]:
    """The configuration as JSON-able values."""
    return json.loads(json.dumps(asdict(config)))


def from_json(cls: type, values: dict[str, Any]) -> Any:
    """The configuration that `to_json` turned into `values`.

    Raises:
        StoreError: a field is unknown here, so the values come from another version.
    """
    hints = get_type_hints(cls)
    known = {field.name for field in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise StoreError(
            f"unknown fields in a stored {cls.__name__}: {', '.join(unknown)}. Use the jaxland that wrote it."
        )
    return cls(**{name: _restore(hints[name], value) for name, value in values.items()})


def _restore(hint, value):
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    return tuple(_restore(None, item) for item in value) if isinstance(value, list) else value


def config_hash(study: str, config: Any) -> str:
    """Identifies a study's configuration: 16 hexadecimal digits."""
    return _hash(study, to_json(config))


def _hash(study: str, values: dict[str, Any]) -> str:
    text = json.dumps([study, values], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def require_unedited(store: StudyStore) -> None:
    """Compares the manifest with its own hash, and with the first and last shards of each ensemble.

    The hash is of the configuration as it stands in the file, so that it remains right when a later version adds
    fields. Shards say what they were trained with; those that are damaged are left to whoever reads them.

    Raises:
        StoreError: a value was changed since; going on would mix fits of two configurations.
    """
    manifest = store.manifest
    if _hash(manifest.study, manifest.config) != manifest.config_hash:
        raise _edited(store, "its configuration is not the one of its config_hash")
    found = [facts for facts in map(_facts, _outermost(store)) if facts is not None]
    asked = {name: getattr(manifest, name) for name in _SHARED}
    if found and all(facts != json.loads(json.dumps(asked)) for facts in found):
        names = [name for name in _SHARED if found[0][name] != json.loads(json.dumps(asked[name]))]
        raise _edited(store, f"its {' and '.join(names)} are not those of its fits")


_SHARED = ("study", "config", "config_hash", "ensembles", "provenance")


def _edited(store: StudyStore, what: str) -> StoreError:
    return StoreError(
        f"{store.path / MANIFEST} was edited after the study began: {what}. Put the old values back, or remove the "
        "file, which is rebuilt from the fits; for other values give another --out."
    )


def _outermost(store: StudyStore) -> list[ShardFile]:
    listed = [store.shards(name) for name in store.manifest.ensembles]
    return [shards[place] for shards in listed if shards for place in (0, -1)]


def _facts(shard: ShardFile) -> dict[str, Any] | None:
    """What a shard says that the manifest says as well, None if it is damaged."""
    try:
        metadata = read_metadata(shard)
    except DamagedShard:
        return None
    return {name: metadata[name] for name in _SHARED}
