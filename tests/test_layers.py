"""The layer rule: a layer imports only what stands above it, at any depth of its code."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import jaxland

ROOT = Path(jaxland.__file__).parent
LAYERS = [
    "networks", "problems", "training", "store", "execution", "landscape", "statistics", "plots", "placebo", "studies",
    "replications", "report", "doctor", "bench", "cli", "__main__",
]  # fmt: skip
BASE = {"_blocks", "_compiled", "_lazy", "_names", "_numbers", "_precision", "_scaling", "_types", "_version"}
# Parameters come to landscape from anywhere, so it must not know how fits are trained or stored.
FORBIDDEN = {
    "landscape": {"training", "store", "execution", "statistics"},
    "store": {"training"},
    "execution": {"store"},
}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def _layer(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imported_layers(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "jaxland":
            names = [f"jaxland.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [node.module]
        yield from (name.split(".")[1] for name in names if name.startswith("jaxland."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_layer_imports_only_what_stands_above_it(path):
    layer = _layer(path)
    above = set() if layer in BASE else {layer, *LAYERS[: LAYERS.index(layer)]}
    assert set(_imported_layers(path)) - BASE <= above - FORBIDDEN.get(layer, set())


def test_every_file_belongs_to_a_layer():
    assert {_layer(path) for path in FILES} <= {*LAYERS, *BASE}


def test_import_is_cheap():
    """What `import jaxland` loads, beyond jax: none of the heavy libraries, and hardly any code of its own."""
    code = (
        "import sys, jax; before = set(sys.modules); import jaxland;"
        "print(*sorted(name for name in set(sys.modules) - before))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded) <= {"jaxland", "jaxland._lazy", "jaxland._version"}


@pytest.mark.parametrize("name", jaxland.__all__)
def test_every_public_name_is_there(name):
    assert getattr(jaxland, name) is not None


def test_unknown_attribute():
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        _ = jaxland.fitt
