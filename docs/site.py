"""What the site is built from besides the pages of this folder: the experiments, and the API.

`mkdocs build` reads it as a hook. Nothing of jaxland is imported: names are read from the packages' `__all__`.
"""

import ast
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "jaxland",
    "jaxland.networks",
    "jaxland.problems",
    "jaxland.training",
    "jaxland.sweeps",
    "jaxland.statistics",
    "jaxland.landscape",
    "jaxland.plots",
    "jaxland.placebo",
    "jaxland.studies",
    "jaxland.store",
    "jaxland.execution",
    "jaxland.replications",
    "jaxland.report",
)
# Pages that lie in the root of the repository.
_HOME = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def on_files(files, config):
    """Adds what lies elsewhere in the repository, and what is written here."""
    added = {uri: {"abs_src_path": str(ROOT / uri)} for uri in _beside()}
    added |= {name: {"abs_src_path": str(ROOT / path)} for path, name in _HOME.items()}
    added["reference/index.md"] = {"content": _index()}
    added |= {f"reference/{package}.md": {"content": _reference(package)} for package in PACKAGES}
    for uri, source in added.items():
        if files.get_file_from_path(uri) is None:
            files.append(File.generated(config, uri, **source))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links from one place of the repository to another become links within the site."""
    here = posixpath.dirname(page.file.src_uri)
    source = "" if page.file.src_uri in _HOME.values() else here if here.startswith("experiments") else "docs"
    return re.sub(r"\]\(([^)#:\s]+)(#[^)\s]*)?\)", lambda found: _link(found, source, here, files), markdown)


def _link(found, source, here, files):
    path, anchor = found[1], found[2] or ""
    target = posixpath.normpath(posixpath.join(source, path))
    target = {**_HOME, "README.md": "index.md"}.get(target, target.removeprefix("docs/"))
    if files.get_file_from_path(target) is None:
        return found[0]
    return f"]({posixpath.relpath(target, here or '.')}{anchor})"


def _beside():
    """Pages and pictures of the experiments, by their paths from the root."""
    folder = ROOT / "experiments"
    for path in [*folder.glob("*/README.md"), *folder.glob("*/**/*.png"), *folder.glob("*/**/*.gif")]:
        yield path.relative_to(ROOT).as_posix()


def _index():
    lines = ["# Reference", "", "Every public name, by the package that holds it.", ""]
    for package in PACKAGES:
        lines.append(f"- [`{package}`]({package}.md): {_docstring(package)}")
    return "\n".join(lines)


def _reference(package):
    # Functions, then classes.
    names = sorted((name for name in _public(package) if not name.startswith("__")), key=lambda name: name[0].isupper())
    modules = {path for path in PACKAGES if path.startswith(f"{package}.")}
    parts = [f"# {package}", "", _docstring(package), ""]
    parts += [f"::: {package}.{name}\n" for name in names if f"{package}.{name}" not in modules]
    return "\n".join(parts)


def _tree(package):
    return ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())


def _docstring(package):
    return (ast.get_docstring(_tree(package)) or "").split("\n\n")[0].replace("\n", " ")


def _public(package):
    for node in _tree(package).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []
