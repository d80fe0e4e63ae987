"""What the site is built from besides the pages of this folder: the experiments, and the API.

`mkdocs build` reads it as a hook. Nothing of jaxland is imported: names are read from the packages' `__all__`.
"""

import ast
import base64
import json
import posixpath
import re
from pathlib import Path

from mkdocs.structure.files import File
from used import EXAMPLES, is_module, makers, pages, place, public

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
    added |= _notebook("notebook")
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


def _notebook(name):
    """The page of a notebook with what came out of it, and its pictures."""
    cells = json.loads((ROOT / "docs" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    parts, pictures = [], {}
    for number, cell in enumerate(cells):
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for index, output in enumerate(cell.get("outputs", [])):
            data = {kind: "".join(content) for kind, content in output["data"].items()}
            if "image/png" in data:
                picture = f"{name}/{number}-{index}.png"
                pictures[picture] = {"content": base64.b64decode(data["image/png"])}
                title = re.search(r"'center': '([^']*)'", data["text/plain"])
                parts.append(f"![{title[1] if title else 'figure'}]({picture})")
            else:
                parts.append(data.get("text/html") or f"```text\n{data['text/plain']}\n```")
    parts.insert(1, f"[The notebook itself]({name}.ipynb)")
    return {f"{name}.md": {"content": "\n\n".join(parts)}, **pictures}


def _index():
    lines = ["# Reference", "", "Every public name, by the package that holds it.", ""]
    for package in PACKAGES:
        lines.append(f"- [`{package}`]({package}.md): {_docstring(package)}")
    return "\n".join(lines)


def _reference(package):
    # Functions, then classes.
    names = sorted(public(package), key=lambda name: name.rpartition(".")[2][0].isupper())
    parts = [f"# {package}", "", _docstring(package), ""]
    examples = ROOT / "docs" / EXAMPLES / f"{package}.md"
    if examples.exists():
        text = examples.read_text(encoding="utf-8")
        parts += ["## Examples", "", text]
    for name in names:
        # Where a module has the name of what is in it, the module would be shown.
        parts += [f"::: {place(name) if is_module(name) else name}\n", f"{_shown(name, package)}\n"]
    return "\n".join(parts)


def _shown(name: str, package: str) -> str:
    """Where a name is used, in a line; empty where it is nowhere."""
    used = pages().get(place(name), ())
    links = [_to_page(page, package) for page in used]
    if links:
        return f"*Used in {', '.join(links)}.*"
    maker = makers().get(place(name))
    if maker is None:
        return ""
    around, _, last = maker.rpartition(".")
    owner = around.rpartition(".")[2]
    method = owner[:1].isupper()  # modules are written small
    return f"*See `{f'{owner}.{last}' if method else last}`. {_shown(around if method else maker, package)[1:-1]}*"


def _to_page(page: str, package: str) -> str:
    folder, _, last = page.rpartition("/")
    if not folder:
        return f"[{page}](../{page}.md)"
    return "[the examples above](#examples)" if last == package else f"[{last}]({last}.md#examples)"


def _docstring(package):
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text())
    return (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")
