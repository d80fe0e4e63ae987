"""The layer rule: a layer imports only what stands above it, at any depth of its code."""

import ast
import importlib
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import jaxland

ROOT = Path(jaxland.__file__).parent
LAYERS = [
    "networks", "problems", "training", "sweeps", "store", "execution", "landscape", "statistics", "plots", "studies",
    "placebo", "replications", "report", "doctor", "bench", "cli", "__main__",
]  # fmt: skip
BASE = {
    "_asking",
    "_blocks",
    "_by_value",
    "_commit",
    "_compiled",
    "_lazy",
    "_names",
    "_numbers",
    "_precision",
    "_processors",
    "_scaling",
    "_short",
    "_terminal",
    "_types",
    "_version",
}
# Parameters come to landscape from anywhere, so it must not know how fits are trained or stored.
FORBIDDEN = {
    "landscape": {"training", "sweeps", "store", "execution", "statistics"},
    "store": {"training"},
    "execution": {"store"},
}
BACKENDS = {"lanes", "cuda", "tpu", "xla"}
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")


def _layer(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def _imports(path):
    """The modules of jaxland that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "jaxland":
            names = [f"jaxland.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [node.module]
        yield from (name for name in names if name.startswith("jaxland."))


def _imported_layers(path):
    yield from (name.split(".")[1] for name in _imports(path))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_layer_imports_only_what_stands_above_it(path):
    layer = _layer(path)
    above = set() if layer in BASE else {layer, *LAYERS[: LAYERS.index(layer)]}
    assert set(_imported_layers(path)) - BASE <= above - FORBIDDEN.get(layer, set())


@pytest.mark.parametrize("path", [path for path in FILES if _layer(path) == "training"], ids=lambda path: path.name)
def test_only_the_choice_of_backend_knows_backends(path):
    """None imports another, and nothing that they share, such as the compiler, imports any."""
    own = path.relative_to(ROOT / "training").parts[0].removesuffix(".py")
    imported = {name.split(".")[2] for name in _imports(path) if name.startswith("jaxland.training.")}
    assert own in ("backends", "__init__") or imported & BACKENDS <= {own}


def test_choosing_a_backend_imports_no_compiler_before_it_is_needed():
    code = "import sys; from jaxland.training import choose_backend; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    homes = {f"jaxland.training.{name}" for name in ("lanes", "cuda", "tpu")}
    assert not {"llvmlite", "cuda", "jax.experimental.pallas", *homes} & set(loaded)


@pytest.mark.parametrize(
    "names",
    ["training import OPTIMIZERS, Adam, get_dtype, get_optimizer", "problems import LOSSES, Loss, get_loss"],
)
def test_names_in_configurations_are_known_without_jax(names):
    code = f"import sys; from jaxland.{names}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "optax", "scipy"} & set(loaded)


def _home(name):
    """The file of a module, or of the module that holds a name."""
    parts = name.split(".")[1:]
    while parts:
        for path in (ROOT.joinpath(*parts).with_suffix(".py"), ROOT.joinpath(*parts, "__init__.py")):
            if path.exists():
                return path
        parts = parts[:-1]
    return ROOT / "__init__.py"


def test_no_file_needs_one_that_needs_it():
    """Imports of files, front doors aside, lead to no circle, wherever in the code they stand."""
    needs = {path: {_home(name) for name in _imports(path)} for path in FILES if path.name != "__init__.py"}
    order = TopologicalSorter({path: each & needs.keys() - {path} for path, each in needs.items()})
    order.prepare()


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


@pytest.mark.parametrize("path", [path for path in FILES if _layer(path) == "replications"], ids=lambda path: str(path))
def test_replications_import_public_names_only(path):
    """They are what any user could write: front doors, and what these list."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "jaxland":
            if node.module.startswith("jaxland.replications"):
                continue
            door = importlib.import_module(node.module)
            assert node.module.count(".") <= 1, f"{node.module} is no front door"
            assert {alias.name for alias in node.names} <= set(door.__all__), node.module
