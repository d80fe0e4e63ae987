"""Where each public name of jaxland is used: in which blocks of these pages, and by which function it is returned.

Nothing of jaxland is imported: everything is read from the sources.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EXAMPLES = "examples"
"""The folder of pages that stand above the names of a package."""


def code_of(page: Path) -> str:
    """The Python of a page, block after block."""
    return "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S))


def packages() -> list[str]:
    """The packages whose names are public: jaxland, and those that it lists."""
    listed = [f"jaxland.{name}" for name in _listed("jaxland")]
    return ["jaxland", *(name for name in listed if is_module(name) and _listed(name))]


def public(package: str) -> list[str]:
    """The public names of a package, with its own before them; its packages are left out."""
    names = [f"{package}.{name}" for name in _listed(package) if not name.startswith("__")]
    return [name for name in names if place(name) not in packages()]


def _listed(package: str) -> list[str]:
    for node in (_tree(package) or ast.Module([])).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


@cache
def pages() -> dict[str, tuple[str, ...]]:
    """The pages whose code uses a name, by the place where that is defined; those of guides first.

    Pages are paths from this folder, without their ending.
    """
    found: dict[str, list[str]] = {}
    for page in [*sorted(HERE.glob("*.md")), *sorted((HERE / EXAMPLES).glob("*.md"))]:
        for name in used(code_of(page)):
            found.setdefault(name, []).append(page.relative_to(HERE).with_suffix("").as_posix())
    return {name: tuple(each) for name, each in found.items()}


@cache
def makers() -> dict[str, str]:
    """What returns a class, by the place of the class: functions that pages use, and methods of classes that are known.

    What is a field of a class is returned with it.
    """
    found: dict[str, str] = {}
    waiting = list(pages())
    while waiting:
        name = waiting.pop()
        node, module = _definition(name), name.rpartition(".")[0]
        if isinstance(node, ast.FunctionDef):
            returned = [(name, node.returns)]
        else:
            parts = node.body if node else []
            methods = [each for each in parts if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
            returned = [(f"{name}.{each.name}", each.returns) for each in methods]
            returned += [(found.get(name, name), each.annotation) for each in parts if isinstance(each, ast.AnnAssign)]
        for maker, annotation in returned:
            for each in _classes(module, annotation) if annotation else ():
                if each not in found and each not in pages():
                    found[each] = maker
                    waiting.append(each)
    return found


@cache
def place(name: str) -> str:
    """Where what is known under a name, such as `jaxland.plots.spectrum`, is defined."""
    package, _, last = name.rpartition(".")
    home = _imported(package).get(last) if package else None
    return name if home in (None, name) else place(home)


def is_defined(name: str) -> bool:
    """Whether a place has a function or a class."""
    return _definition(name) is not None


def is_module(name: str) -> bool:
    """Whether there is a file of this name."""
    return _tree(name) is not None


def _classes(module: str, annotation: ast.expr) -> Iterator[str]:
    """The places of jaxland's classes that an annotation names."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    for node in ast.walk(annotation):
        if isinstance(node, ast.Name):
            name = place(f"{module}.{node.id}")
            if isinstance(_definition(name), ast.ClassDef):
                yield name


@cache
def _tree(module: str) -> ast.Module | None:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")) if file.is_file() else None


@cache
def _definition(name: str):
    module, _, last = name.rpartition(".")
    tree = _tree(module)
    kinds = (ast.FunctionDef, ast.ClassDef)
    return next((node for node in tree.body if isinstance(node, kinds) and node.name == last), None) if tree else None


@cache
def _imported(module: str) -> dict[str, str]:
    """What a module of jaxland imports from others, by its names for it."""
    tree = _tree(module)
    return dict(_bound(tree)) if tree else {}


def _bound(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)
        elif isinstance(node, ast.Import):
            for each in node.names:
                first = each.name.partition(".")[0]
                yield (each.asname, each.name) if each.asname else (first, first)


def used(code: str) -> set[str]:
    """The places of the names of jaxland that a program uses, beyond importing them."""
    tree = ast.parse(code)
    bound, found = dict(_bound(tree)), set()
    for node in ast.walk(tree):
        parts, base = [], node
        while isinstance(base, ast.Attribute):
            parts.append(base.attr)
            base = base.value
        if isinstance(base, ast.Name) and bound.get(base.id, "").startswith("jaxland"):
            found.add(place(".".join([bound[base.id], *reversed(parts)])))
    return found
