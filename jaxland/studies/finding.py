"""Where the code of a study is: in a package, in a file, or only in this process; finding it again."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from jaxland._names import lookup
from jaxland.store import StoreError
from jaxland.studies.registry import STUDIES, offered_as
from jaxland.studies.study import Study

VARIABLE = "STUDY"
"""The name a file's study has by convention."""


@dataclass(frozen=True)
class Origin:
    """Where a study was found.

    Attributes:
        name: of the variable that holds it.
        module: that can be imported anywhere its package is installed, "" for a file.
        file: absolute path of the file that holds it.
        sha256: of the file's content, 64 hexadecimal digits.
    """

    name: str
    module: str = ""
    file: str = ""
    sha256: str = ""

    def to_json(self) -> dict[str, str]:
        """For the manifest; fields that say nothing are left out."""
        return {name: value for name, value in asdict(self).items() if value}

    def __str__(self) -> str:
        return f"{self.module or self.file}:{self.name}"


# What was executed here, by the name of the module it became.
_files: dict[str, Origin] = {}
_being_read: list[Path] = []


def being_read() -> Path | None:
    """The file of a study that is being executed at this moment, to find the study in it."""
    return _being_read[-1] if _being_read else None


def find_study(reference: str | Path) -> Study:
    """A study by the short name of an installed one, as a file `my_study.py`, or as `my_study.py:NAME`, `module:NAME`.

    Raises:
        ValueError: there is none; the message says what there is.
    """
    text = str(reference)
    if text in STUDIES:
        return STUDIES[text]
    place, _, name = text.rpartition(":") if ":" in text else (text, "", "")
    if place.endswith(".py") or Path(place).is_file():
        return from_file(Path(place), name)
    if name:
        return _from_module(place, name)
    try:
        return lookup("study", text, STUDIES)
    except ValueError as error:
        raise ValueError(
            f"{error} A study of your own is given by its file, as in `jaxland run my_study.py`."
        ) from None


def from_file(path: Path, name: str = "", sha256: str = "") -> Study:
    """The study of a Python file, which is executed as a script's imports are: beside it lie the modules it imports.

    Args:
        path: of the file.
        name: of the variable that holds the study; by default `STUDY`, or the only study there is.
        sha256: that the file must have.

    Raises:
        ValueError: there is no such file, it fails, or it holds no study or several.
        StoreError: it was edited.
    """
    path = path.absolute()
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no file.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    found = hashlib.sha256(content).hexdigest()
    if sha256 and found != sha256:
        raise StoreError(f"{path} was edited: its SHA-256 was {sha256[:16]}..., and is {found[:16]}... now.")
    module = _executed(path, content, found)
    studies = _studies_of(module)
    name = name or (VARIABLE if VARIABLE in studies else _only(path, studies))
    if name not in studies:
        raise ValueError(f"{path} has no study named {name}; it has {', '.join(studies) or 'none'}.")
    require_own_name(studies[name], f"{path}:{name}")
    return studies[name]


def _only(path: Path, studies: dict[str, Study]) -> str:
    if not studies:
        raise ValueError(
            f"{path} holds no study. Write `{VARIABLE} = jaxland.Study(name, config, ensembles)` at its top level."
        )
    if len({id(study) for study in studies.values()}) > 1:
        first = next(iter(studies))
        raise ValueError(
            f"{path} holds several studies: {', '.join(studies)}. Name the one you mean, as in {path.name}:{first}, or "
            f"call it {VARIABLE}."
        )
    return next(iter(studies))


def _executed(path: Path, content: bytes, sha256: str) -> ModuleType:
    """The module a file becomes; the same content is executed once."""
    name = f"jaxland_study_{sha256[:12]}_{path.stem}"
    if name in sys.modules and _files[name].file == str(path):
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(path)
    # Dataclasses and pickle look modules up by name.
    sys.modules[name] = module
    _files[name] = Origin("", file=str(path), sha256=sha256)
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    _being_read.append(path)
    try:
        exec(compile(content, str(path), "exec"), vars(module))
    except (Exception, SystemExit) as error:  # of any kind: it comes from the user's file, and is named
        del sys.modules[name], _files[name]
        raise ValueError(_failure(path, error)) from error
    finally:
        _being_read.pop()
    return module


def _failure(path: Path, error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{path} is no Python: line {error.lineno}: {error.msg}."
    if isinstance(error, SystemExit):
        return (
            f"{path} ended Python when it was read, with {error.code!r}. Put what it does as a script under "
            "`if __name__ == '__main__':`."
        )
    return f"{path} fails{place_of(error, path)}: {type(error).__name__}: {error}"


def place_of(error: BaseException, path: Path | None = None) -> str:
    """Where in a user's code an error arose, as words that follow "fails", "" where that is not known.

    Args:
        error: that was raised.
        path: of the file that is meant; the last one that is neither jaxland's nor installed by default.
    """
    frames = traceback.extract_tb(error.__traceback__)
    if path is not None:
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        return f", line {lines[-1]}" if lines else ""
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    return f" in {own[-1].filename}, line {own[-1].lineno}" if own else ""


def _is_installed(file: str) -> bool:
    parts = Path(file).parts
    return "site-packages" in parts or file.startswith("<") or Path(file).is_relative_to(Path(__file__).parents[1])


def _studies_of(module: ModuleType) -> dict[str, Study]:
    return {name: value for name, value in vars(module).items() if isinstance(value, Study)}


def _from_module(place: str, name: str) -> Study:
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise ValueError(f"{place} cannot be imported: {error}.") from error
        raise ValueError(f"there is no module {place}; install the package that holds it, or give a file.") from error
    except Exception as error:  # of any kind: it comes from the user's module, and is named
        raise ValueError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
    study = getattr(module, name, None)
    if not isinstance(study, Study):
        raise ValueError(f"{place} has no study named {name}; it has {', '.join(_studies_of(module)) or 'none'}.")
    require_own_name(study, f"{place}:{name}", f"{place}:{name}")
    return study


def require_own_name(study: Study, where: str = "", importable: str = "") -> None:
    """Raises ValueError where an installed package offers another study under this one's name.

    Args:
        study: any.
        where: it was found.
        importable: the same as `module:NAME`, "" where it is in none or that is not known.
    """
    offered = offered_as(study.name)
    if not offered or (importable or str(origin_of(study))) in offered:
        return
    if len(offered) > 1 or STUDIES[study.name].config is not study.config:
        raise ValueError(
            f"the study {where or 'given'} is named {study.name!r}, as is {' and '.join(offered)} of an installed "
            "package; give it another name, by which tables and directories can tell them apart."
        )


def origin_of(study: Study) -> Origin | None:
    """Where to find a study again; None where it is only a value of this process, as in a notebook."""
    for value in offered_as(study.name):
        place, _, name = value.partition(":")
        if vars(sys.modules.get(place, object)).get(name) is study:
            return Origin(name, module=place)
    for module, name in _holders(study):
        found = _origin(module, name)
        if found is not None:
            return found
    return None


def _holders(study: Study) -> Iterator[tuple[ModuleType, str]]:
    """The modules that hold the study, and as what; first those that define its parts."""
    first = [getattr(part, "__module__", None) for part in (study.ensembles, study.config)]
    for place in dict.fromkeys([*first, *sys.modules]):
        module = sys.modules.get(place or "")
        if isinstance(module, ModuleType):
            yield from ((module, name) for name, value in list(vars(module).items()) if value is study)


def _origin(module: ModuleType, name: str) -> Origin | None:
    if module.__name__ in _files:
        known = _files[module.__name__]
        return Origin(name, file=known.file, sha256=known.sha256)
    path = getattr(module, "__file__", None)
    if module.__name__ == "__main__":
        facts = {} if path is None else _file_facts(Path(path))
        spec = getattr(module, "__spec__", None)
        if spec is not None and spec.name != "__main__":  # python -m package.module
            return Origin(name, module=spec.name, **facts)
        return Origin(name, **facts) if facts else None
    if getattr(module, "__spec__", None) is None:
        return None
    return Origin(name, module=module.__name__, **({} if path is None else _file_facts(Path(path))))


def _file_facts(path: Path) -> dict[str, str]:
    path = path.absolute()
    if path.suffix != ".py" or not path.is_file():
        return {}
    return {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def from_origin(values: Any, directory: Path) -> Study:
    """The study of a manifest.

    Nothing is executed that lies in the study directory itself, whose content may come from anyone.

    Args:
        values: an `Origin` as JSON.
        directory: of the study.

    Raises:
        StoreError, ValueError: its code is gone, was edited, or lies in the directory.
    """
    origin = _checked_origin(values)
    for place in _to_be_executed(origin):
        if place.resolve().is_relative_to(directory.resolve()):
            raise StoreError(f"{place} lies in the study directory {directory}, from which no code is executed.")
    if origin.module and (not origin.file or _exists(origin.module)):
        return _from_module(origin.module, origin.name)
    return from_file(Path(origin.file), origin.name, origin.sha256)


def _checked_origin(values: Any) -> Origin:
    """Raises StoreError unless an origin is one that jaxland wrote: a file counts by its whole path and checksum."""
    known = {field.name for field in fields(Origin)}
    sound = isinstance(values, dict) and set(values) <= known and all(isinstance(each, str) for each in values.values())
    origin = Origin(**{"name": "", **values}) if sound else Origin("")
    file = origin.file
    if not origin.name or not (origin.module or file) or (file and not (Path(file).is_absolute() and origin.sha256)):
        raise StoreError(f"what the manifest says of where the code is was not written by jaxland: {values!r}.")
    return origin


def _exists(module: str) -> bool:
    return len(list(_specs(module))) == module.count(".") + 1


def _specs(module: str) -> Iterator[ModuleSpec]:
    """Of a module and the packages it lies in, outermost first; to find one the packages before it are executed."""
    parts = module.split(".")
    for count in range(1, len(parts) + 1):
        try:
            spec = importlib.util.find_spec(".".join(parts[:count]))
        except (ImportError, ValueError):
            return
        if spec is None:
            return
        yield spec


def _to_be_executed(origin: Origin) -> Iterator[Path]:
    if origin.module:
        yield from (Path(spec.origin) for spec in _specs(origin.module) if spec.origin)
    if origin.file:
        yield Path(origin.file)
