"""The page of a study directory: one HTML file that needs nothing else."""

import base64
import hashlib
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

from jaxland._version import __version__
from jaxland.report.contents import Contents, read_contents
from jaxland.report.interactive import CONFIG, charts
from jaxland.report.markup import Markup, element
from jaxland.report.requirements import require_plotly
from jaxland.report.sections import Section, header, notices, sections
from jaxland.store import check_path, commit


def write_report(
    directory: Path | str, out: Path | str | None = None, say: Callable[[str], None] = lambda line: None
) -> Path:
    """Writes the page of a study directory: what was run, the claims, figures, tables and interactive charts.

    The page is one file that asks for no other, from this machine or elsewhere, and the same directory gives the same
    bytes. What is missing of the study is said in the page.

    Args:
        directory: of the study.
        out: file to write, ending in .html; `report.html` in the directory by default.
        say: receives what is missing, in lines for the user.

    Returns:
        The file.

    Raises:
        MissingPlotly: plotly is not installed.
        ValueError: `out` has another ending.
        StoreError: there is no study, or the file cannot be written.
    """
    path = check_path(Path(directory) / "report.html" if out is None else out)
    if path.suffix != ".html":
        raise ValueError(f"{path}: a report ends in .html.")
    require_plotly()
    contents = read_contents(directory)
    for notice in contents.notices:
        say(f"{notice.text} {notice.command}".strip())
    commit(path, page(contents).encode())
    return path


def page(contents: Contents) -> str:
    """The HTML of the page."""
    drawings = charts(contents.ensembles)
    parts = sections(contents, list(drawings))
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        header(contents),
        element(
            "div",
            _table_of_contents(parts),
            element("main", notices(contents.notices), *(part.markup for part in parts), id="content"),
            class_="columns",
        ),
        element("footer", f"Written by jaxland {__version__} from the files of the study directory."),
        *_scripts(drawings),
    )
    title = f"{contents.manifest.study}: report"
    return f"<!DOCTYPE html>\n{element('html', _head(title, drawings), body, lang='en')}\n"


def _table_of_contents(parts: list[Section]) -> Markup:
    def entry(section):
        inner = [element("li", element("a", text, href=f"#{name}")) for name, text in section.entries]
        link = element("a", section.title, href=f"#{section.name}")
        return element("li", link, *([element("ul", *inner)] if inner else []))

    return element("nav", element("h2", "Contents"), element("ul", *map(entry, parts)), aria_label="Contents")


def _head(title: str, drawings: dict[str, str]) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(drawings)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(_resource("style.css"))),
    )


def _resource(name: str) -> str:
    return files("jaxland.report").joinpath(name).read_text(encoding="utf-8")


def _programs(drawings: dict[str, str]) -> list[str]:
    """The scripts of the page; none where there is nothing to draw."""
    if not drawings:
        return []
    from plotly.offline import get_plotlyjs

    return [get_plotlyjs(), _resource("charts.js")]


def _policy(drawings: dict[str, str]) -> str:
    """Only the page's own scripts run, and nothing is fetched from anywhere, whatever the files of a study hold."""
    digests = (hashlib.sha256(program.encode()).digest() for program in _programs(drawings))
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _scripts(drawings: dict[str, str]) -> list[Markup]:
    data = {**drawings, "config": json.dumps(CONFIG)} if drawings else {}
    return [
        *(
            element("script", Markup(text.replace("<", "\\u003c")), type="application/json", id=f"{name}-data")
            for name, text in data.items()
        ),
        *(element("script", Markup(program)) for program in _programs(drawings)),
    ]
