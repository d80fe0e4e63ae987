"""Pages of study directories: HTML files that need nothing else."""

import base64
import hashlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jaxland._version import __version__
from jaxland.report.charts import charts
from jaxland.report.compared import histogram_of_both, names_of
from jaxland.report.contents import Contents, read_contents
from jaxland.report.markup import Markup, element
from jaxland.report.packed import packed
from jaxland.report.sections import Section, compared_sections, header, header_of_both, notices, sections
from jaxland.store import check_path, commit

SCRIPTS = ("common.js", "plot.js", "charts.js", "tables.js", "fits.js", "links.js", "pictures.js", "start.js")
"""The program of a page, in order."""


def write_report(
    directory: Path | str, out: Path | str | None = None, say: Callable[[str], None] = lambda line: None
) -> Path:
    """Writes the page of a study directory: what was run, claims, figures, tables, losses, and fits one by one.

    The page is one file that asks for no other, from this machine or elsewhere, and the same directory gives the same
    bytes. What is missing of the study is said in the page.

    Args:
        directory: of the study.
        out: file to write, ending in .html; `report.html` in the directory by default.
        say: receives what is missing, in lines for the user.

    Returns:
        The file.

    Raises:
        ValueError: `out` has another ending.
        StoreError: there is no study, or the file cannot be written.
    """
    path = _checked(Path(directory) / "report.html" if out is None else out)
    contents = read_contents(directory)
    for notice in contents.notices:
        say(f"{notice.text} {notice.command}".strip())
    commit(path, page(contents).encode())
    return path


def write_comparison(
    first: Path | str,
    second: Path | str,
    out: Path | str | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Writes a page of two study directories side by side: settings that differ, losses, verdicts and figures.

    Args:
        first, second: the directories; their studies may be different ones.
        out: file to write, ending in .html; `compared-with-SECOND.html` in the first directory by default.
        say: receives what is missing, in lines for the user.

    Returns:
        The file.

    Raises:
        ValueError: `out` has another ending.
        StoreError: one of them is no study, or the file cannot be written.
    """
    default = Path(first) / f"compared-with-{Path(second).resolve().name}.html"
    path = _checked(default if out is None else out)
    both = read_contents(first), read_contents(second)
    for contents in both:
        for notice in contents.notices:
            say(f"{contents.name}: {notice.text} {notice.command}".strip())
    commit(path, comparison(*both).encode())
    return path


def _checked(out: Path | str) -> Path:
    path = check_path(out)
    if path.suffix != ".html":
        raise ValueError(f"{path}: a report ends in .html.")
    return path


def page(contents: Contents) -> str:
    """The HTML of the page of one study."""
    drawn = charts(contents.ensembles)
    tables = {
        # A column at a time, whose cells are alike, takes less room when it is compressed.
        table.path: {"columns": table.columns, "cells": [*zip(*table.rows, strict=True)], "total": table.total}
        for table in contents.tables
    }
    data = {"charts": drawn, "fits": contents.picked or None, "tables": tables}
    return _document(
        f"{contents.manifest.study}: report",
        header(contents),
        [notices(contents.notices)],
        sections(contents, list(drawn)),
        data if drawn or tables or contents.picked else None,
    )


def comparison(first: Contents, second: Contents) -> str:
    """The HTML of the page of two."""
    drawn, names = histogram_of_both(first, second), names_of(first, second)
    data = {"charts": drawn, "fits": None, "tables": {}} if drawn else None
    return _document(
        f"{' and '.join(names)}: report",
        header_of_both(first, second),
        [notices(each.notices, name) for name, each in zip(names, (first, second), strict=True)],
        compared_sections(first, second, list(drawn)),
        data,
    )


def _document(title: str, top: Markup, told: list[Markup], parts: list[Section], data: dict[str, Any] | None) -> str:
    program = "\n".join(_resource(f"scripts/{name}") for name in SCRIPTS)
    carried = [] if data is None else [element("script", packed(data), type="text/plain", id="data")]
    body = element(
        "body",
        element("a", "Skip to the content", class_="skip", href="#content"),
        top,
        element(
            "div",
            _table_of_contents(parts),
            element("main", *told, *(part.markup for part in parts), id="content"),
            class_="columns",
        ),
        element("footer", f"Written by jaxland {__version__} from the files of the study directory."),
        element("div", id="spoken", class_="unseen", role="status"),
        *carried,
        element("script", Markup(program)),
    )
    return f"<!DOCTYPE html>\n{element('html', _head(title, program), body, lang='en')}\n"


def _table_of_contents(parts: list[Section]) -> Markup:
    def entry(section):
        inner = [element("li", element("a", text, href=f"#{name}")) for name, text in section.entries]
        link = element("a", section.title, href=f"#{section.name}")
        return element("li", link, *([element("ul", *inner)] if inner else []))

    return element("nav", element("h2", "Contents"), element("ul", *map(entry, parts)), aria_label="Contents")


def _head(title: str, program: str) -> Markup:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_policy(program)),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", title),
        element("style", Markup(_resource("style.css"))),
    )


def _resource(name: str) -> str:
    return files("jaxland.report").joinpath(name).read_text(encoding="utf-8")


def _policy(program: str) -> str:
    """Only the page's own script runs, and nothing is fetched from anywhere, whatever the files of a study hold."""
    digest = base64.b64encode(hashlib.sha256(program.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
