"""Packages whose front door imports a name when it is first used, so that a command pays only for what it needs."""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


class _FrontDoor(ModuleType):
    """A package whose public names are not hidden by submodules of the same name, as `mlp.py` would hide `mlp`."""

    _homes: dict[str, str]

    def __setattr__(self, name: str, value: Any) -> None:
        # Python binds every submodule in its package when it is imported.
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)


def attach(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package that imports its public names when they are first used.

    The names and where they live are read from the imports under `if TYPE_CHECKING:` in the package's own file, which
    type checkers read too: they are listed once. What is imported from the package itself are its submodules.

    Args:
        package: its `__name__`.
        file: its `__file__`.
    """
    homes, aliases = _listed(Path(file).read_text(encoding="utf-8"))
    module = sys.modules[package]
    module.__class__ = _FrontDoor
    vars(module)["_homes"] = homes

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] == package:
            found = importlib.import_module(f"{package}.{name}")
        else:
            found = getattr(importlib.import_module(homes[name]), aliases.get(name, name))
        vars(module)[name] = found
        return found

    return find, lambda: sorted({*vars(module).get("__all__", ()), *homes})


def _listed(source: str) -> tuple[dict[str, str], dict[str, str]]:
    """The module of each name that is imported under `if TYPE_CHECKING:`, and what it is called there if otherwise."""
    homes: dict[str, str] = {}
    aliases: dict[str, str] = {}
    for block in ast.parse(source).body:
        if isinstance(block, ast.If) and isinstance(block.test, ast.Name) and block.test.id == "TYPE_CHECKING":
            for node in block.body:
                if isinstance(node, ast.ImportFrom) and node.module:
                    homes |= {alias.asname or alias.name: node.module for alias in node.names}
                    aliases |= {alias.asname: alias.name for alias in node.names if alias.asname}
    return homes, aliases
