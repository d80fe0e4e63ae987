"""Configurations: frozen dataclasses, written as JSON and read back."""

import hashlib
import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_type_hints

from jaxland.store import StoreError


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
    text = json.dumps([study, to_json(config)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
