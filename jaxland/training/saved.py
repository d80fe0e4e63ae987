"""One file of fits: arrays as NumPy keeps them, and a header in JSON that says how to make the ensemble again.

Nothing is pickled and no module is named that a file could choose: functions are known by their public names in
optax and JAX, networks of `mlp` by what it was given. What is none of these is code, and must be given again.
"""

import importlib
import json
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Int

from jaxland._commit import commit
from jaxland._version import __version__
from jaxland.networks import ACTIVATIONS, Activation, Network
from jaxland.networks.mlp import MultilayerPerceptron
from jaxland.problems import LOSSES, Loss, Penalty, Problem
from jaxland.training.ensemble import Ensemble
from jaxland.training.provenance import fingerprint, fingerprint_parts, probed_by, versions
from jaxland.training.validation import Validation, is_split

_HEADER, _FORMAT = "header", 1
_PER_FIT = ("hyperparameters", "init_scale", "start", "inputs", "targets", "weights", "seeds", "columns")
# None of their functions reads or writes files, as some of jax.numpy do: a file must not be able to call those.
_LIBRARIES = (
    *("optax", "optax.contrib", "optax.losses", "jax.nn"),
    *("jaxland.problems.penalties", "jaxland.training.validation"),
)
_KINDS = {kind.__name__: kind for kind in (Problem, Loss, Penalty, Validation, Activation, MultilayerPerceptron)}
_REGISTRIES: dict[str, Mapping[str, Any]] = {"Loss": LOSSES, "Activation": ACTIVATIONS}
# What JAX words otherwise in another version.
_PROGRAMS = {"network", "loss", "optimizer", "initial parameters"}


class _Code(Exception):
    """Something is no data; the message says what."""


class _ByNumber:
    """What a function of fits' numbers gave for some of them."""

    def __init__(self, fits: Int[np.ndarray, "W"], rows: np.ndarray, period: int = 0):
        self._fits, self._rows, self.period = fits, rows, period

    def __call__(self, fits: Int[np.ndarray, "W"]) -> np.ndarray:
        places = np.searchsorted(self._fits, fits).clip(0, len(self._fits) - 1)
        if (self._fits[places] != fits).any():
            raise ValueError(
                "of a function of fits' numbers the file has only what it gave for the fits saved; give the function "
                "itself to load, by the name of its argument, to train others."
            )
        return self._rows[places]


def write(path: Path, ensemble: Ensemble, arrays: Mapping[str, np.ndarray], origin: Mapping[str, str]) -> None:
    """Writes fits to a file.

    Args:
        path: of the file.
        ensemble: what was trained.
        arrays: fields of the fits, `fit` among them.
        origin: texts that are kept with them, `config_hash` and `versions` among them.

    Raises:
        OSError: it cannot be written.
    """
    held = {f"fits/{name}": values for name, values in arrays.items()}
    numbers, first = arrays["fit"], ensemble.first
    encoded = {}
    for each in fields(ensemble):
        value, name = getattr(ensemble, each.name), each.name
        if name == "columns" and not value:  # earlier versions know of none
            continue
        if is_split(value):  # made again from the share
            value = None
        if isinstance(value, Validation):
            own = None if value.share is None else {"x": None, "y": None}
            value = replace(value, **(own or {name: _tabulated(getattr(value, name), numbers, first) for name in "xy"}))
        if name in _PER_FIT:
            value = _tabulated(value, numbers, first)
        try:
            encoded[name] = _encoded(f"ensemble/{name}", value, held)
        except _Code as found:
            encoded[name] = {"code": str(found)}
    header = {
        "format": _FORMAT,
        "jaxland": __version__,
        "origin": dict(origin),
        "parts": fingerprint_parts(ensemble),
        "parameters": ensemble.network.size,
        "ensemble": encoded,
    }
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    _commit(path, {_HEADER: text, **held})


def _commit(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no directory {path.parent}.")
    commit(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def _tabulated(value: Any, numbers: Int[np.ndarray, "W"], first: int) -> Any:
    if isinstance(value, Mapping):
        return {name: _tabulated(each, numbers, first) for name, each in value.items()}
    if not callable(value):
        return value
    function: Any = value
    needed = np.union1d(numbers, probed_by(function) + first)
    return _ByNumber(needed, np.asarray(function(needed)), getattr(function, "period", 0))


def _encoded(place: str, value: Any, held: dict[str, np.ndarray]) -> Any:
    """A value as JSON; arrays go to `held`, where they are named by their place.

    Raises:
        _Code: it is no data.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "__array__"):  # of NumPy, JAX or pandas
        held[place] = np.asarray(value)
        return {"array": place}
    if isinstance(value, _ByNumber):
        held[place], held[f"{place}/fits"] = value._rows, value._fits
        return {"by_number": place, "period": value.period}
    if isinstance(value, Mapping):
        return {"mapping": {name: _encoded(f"{place}/{name}", each, held) for name, each in value.items()}}
    if type(value) in (tuple, list):
        return {"tuple": [_encoded(f"{place}/{index}", each, held) for index, each in enumerate(value)]}
    if isinstance(value, partial) and not value.args:
        function = _encoded(place, value.func, held)
        return {"partial": function, "keywords": _encoded(place, value.keywords, held)}
    return _encoded_object(place, value, held)


def _encoded_object(place: str, value: Any, held: dict[str, np.ndarray]) -> Any:
    if isinstance(value, Network):
        made_by = getattr(value.apply, "__self__", None)
        if not isinstance(made_by, MultilayerPerceptron) or value.init != made_by.initialize:
            raise _Code(f"a network that mlp did not make ({value!r})")
        return {"network": _encoded(place, made_by, held)}
    kind = next((each.__name__ for each in type(value).__mro__ if each in _KINDS.values()), "")
    if kind in _REGISTRIES and _REGISTRIES[kind].get(value.name) == value:
        return {"named": kind, "name": value.name}
    if kind:
        own = [each.name for each in fields(_KINDS[kind]) if each.init]
        return {"kind": kind, "fields": {name: _encoded(f"{place}/{name}", getattr(value, name), held) for name in own}}
    name = getattr(value, "__name__", "")
    public = next((library for library in _LIBRARIES if name and _found(library, name) is value), None)
    if public is None:
        raise _Code(f"the function {value.__qualname__}" if name else f"a {type(value).__name__}")
    return {"function": name, "of": public}


def _found(library: str, name: str) -> Any:
    return getattr(importlib.import_module(library), name, None) if library in _LIBRARIES else None


def read(path: Path, code: Mapping[str, Any]) -> tuple[Ensemble, dict[str, np.ndarray], dict[str, str]]:
    """The ensemble of a file, the arrays of its fits and where they come from.

    Args:
        path: of the file.
        code: fields of the ensemble, in place of what the file has.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, something is missing, or what is given is not what was trained.
    """
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        header = json.loads(held.pop(_HEADER).tobytes())
        known = header["format"] == _FORMAT
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path} holds no fits that Fits.save wrote, or is damaged: {error}.") from None
    if not known or set(header["ensemble"]) - {each.name for each in fields(Ensemble)}:
        raise ValueError(f"{path} was written by jaxland {header['jaxland']}, which this version cannot read.")
    ensemble = _ensemble(path, header, held, code)
    _check(path, header, ensemble, code)
    prefix = "fits/"
    return ensemble, {n.removeprefix(prefix): v for n, v in held.items() if n.startswith(prefix)}, header["origin"]


def _ensemble(path: Path, header: dict, held: dict[str, np.ndarray], code: Mapping[str, Any]) -> Ensemble:
    known = header["ensemble"]
    foreign = sorted(set(code) - {each.name for each in fields(Ensemble)})
    if foreign:
        raise ValueError(f"an ensemble has no {', '.join(foreign)}; give fields of it, such as network or optimizer.")
    needed = {n: value["code"] for n, value in known.items() if isinstance(value, dict) and "code" in value}
    missing = {name: what for name, what in needed.items() if name not in code}
    if missing:
        _refuse(path, missing)
    network = code.get("network")
    if isinstance(network, Network) and network.size != header["parameters"]:
        raise ValueError(
            f"{path}: its fits have {header['parameters']:,} parameters, network {network.spec.name!r} has "
            f"{network.size:,}."
        )
    return Ensemble(**{name: code[name] if name in code else _decoded(value, held) for name, value in known.items()})


def _refuse(path: Path, missing: Mapping[str, str]) -> NoReturn:
    given = ", ".join(f"{name}=..." for name in missing)
    what = "; ".join(f"{name}, {what}" for name, what in missing.items())
    raise ValueError(
        f"{path}: the file does not hold what is code: {what}. Give it again: Fits.load(path, {given}). Arrays alone "
        "are read by numpy.load(path)['fits/params']."
    )


def _decoded(value: Any, held: Mapping[str, np.ndarray]) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = held[value["array"]]
        return array if array.ndim else array.item()
    if "by_number" in value:
        return _ByNumber(held[f"{value['by_number']}/fits"], held[value["by_number"]], value.get("period", 0))
    if "mapping" in value:
        return {name: _decoded(each, held) for name, each in value["mapping"].items()}
    if "tuple" in value:
        return tuple(_decoded(each, held) for each in value["tuple"])
    if "partial" in value:
        return partial(_decoded(value["partial"], held), **_decoded(value["keywords"], held))
    if "network" in value:
        return _decoded(value["network"], held).network()
    if "named" in value:
        return _REGISTRIES[value["named"]][value["name"]]
    if "kind" in value:
        return _KINDS[value["kind"]](**{name: _decoded(each, held) for name, each in value["fields"].items()})
    found = _found(value["of"], value["function"])
    if found is None:
        raise ValueError(
            f"the file names {value['of']}.{value['function']}, which is not there, or is none of a file's."
        )
    return found


def _check(path: Path, header: dict, ensemble: Ensemble, code: Mapping[str, Any]) -> None:
    """Makes sure that this is what was trained."""
    if fingerprint(ensemble) == header["origin"]["config_hash"]:
        return
    then, now = header["parts"], fingerprint_parts(ensemble)
    differ = {name for name in then.keys() | now.keys() if then.get(name) != now.get(name)}
    if header["origin"]["versions"] == versions() or differ - _PROGRAMS:
        names = ", ".join(sorted(differ)) or "what network or loss make of all points"
        raise ValueError(f"{path}: this is not what was trained (config_hash); these differ: {names}.")
    if code:
        warnings.warn(
            f"{path} was written with {header['origin']['versions']}; whether {', '.join(sorted(code))} are what was "
            "trained cannot be told with other versions.",
            stacklevel=4,
        )
