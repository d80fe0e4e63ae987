"""Configurations: frozen dataclasses, written as JSON and read back."""

import json
from collections.abc import Iterable
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from jaxland.store import MANIFEST, StoreError, configuration_hash


def to_json(config: Any) -> dict[str, Any]:
    """The configuration as JSON-able values.

    Raises:
        TypeError: a field holds what JSON cannot keep.
    """
    values = asdict(config)
    for name, value in values.items():
        try:
            values[name] = json.loads(json.dumps(value))
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"{type(config).__name__}.{name} holds {value!r}, which cannot be kept in {MANIFEST}: {error}. Use "
                "numbers, strings, tuples and dataclasses of them; arrays belong into `ensembles`, made from those."
            ) from error
    return values


def require_rebuildable(config: Any) -> None:
    """Raises TypeError unless the configuration comes back from JSON as it is, as whoever resumes will need it."""
    values = to_json(config)
    try:
        again = from_json(type(config), values)
    except Exception as error:  # of any kind: a configuration's own checks may raise whatever they like
        raise TypeError(f"{config!r} cannot be rebuilt from its fields: {type(error).__name__}: {error}.") from error
    for name in values:
        given, found = getattr(config, name), getattr(again, name)
        if given != found and given == given:
            raise TypeError(
                f"{type(config).__name__}.{name} = {given!r} would come back as {found!r}; use a number, a string, a "
                "tuple or a dataclass, and annotate the field with it."
            )


def from_json(cls: type, values: dict[str, Any]) -> Any:
    """The configuration that `to_json` turned into `values`.

    Raises:
        StoreError: a field is unknown here, so the values come from another version.
    """
    hints = get_type_hints(cls)
    known = {field.name for field in fields(cls) if field.init}
    unknown = sorted(set(values) - {field.name for field in fields(cls)})
    if unknown:
        raise StoreError(f"unknown fields in a stored {cls.__name__}: {', '.join(unknown)}.")
    return cls(**{name: _restore(hints[name], value) for name, value in values.items() if name in known})


def _restore(hint: Any, value: Any) -> Any:
    for choice in (hint, *get_args(hint)):
        if isinstance(choice, type) and is_dataclass(choice) and isinstance(value, dict):
            return from_json(choice, value)
    if isinstance(value, list) and list not in (hint, get_origin(hint)):
        inner = [each for each in get_args(hint) if each is not Ellipsis]
        return tuple(_restore(inner[0] if len(inner) == 1 else None, item) for item in value)
    return value


def config_hash(study: str, config: Any) -> str:
    """Identifies a study's configuration: 16 hexadecimal digits."""
    return configuration_hash(study, to_json(config))


def _settings_of(ensemble: str, config: dict[str, Any]) -> str:
    """The field of a configuration that is an ensemble's own, "" where there is none.

    Ensembles are called after such a field, as the numbers of an optimizer, or begin with its name and a dash.
    """
    return next((name for name in (ensemble, ensemble.split("-")[0]) if isinstance(config.get(name), dict)), "")


def unused_settings(config: dict[str, Any], ensembles: Iterable[str]) -> set[str]:
    """Groups of settings that no ensemble uses, where some ensembles use one of their own.

    A configuration may hold the numbers of every optimizer it could train with.
    """
    used = {_settings_of(name, config) for name in ensembles} - {""}
    return {name for name, value in config.items() if isinstance(value, dict)} - used if used else set()


def not_chosen(config: Any) -> dict[str, list[str]]:
    """Fields of the groups of settings that a configuration has and does not choose, by group.

    A choice is a text, or several, in a field beside the groups, as optimizers="momentum" beside `momentum` and `adam`.
    """
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    groups = {name: value for name, value in values.items() if is_dataclass(value)}
    texts = [value if isinstance(value, tuple) else (value,) for value in values.values()]
    chosen = {text for each in texts for text in each if isinstance(text, str) and text in groups}
    if not chosen:
        return {}
    return {name: [each.name for each in fields(value)] for name, value in groups.items() if name not in chosen}
