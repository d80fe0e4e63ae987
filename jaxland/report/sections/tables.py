"""The tables of the analysis."""

from jaxland.report.contents import Contents
from jaxland.report.markup import Markup, anchor, element
from jaxland.report.sections.section import Section, empty_section, plain_table, section
from jaxland.report.tables import Table

_BROAD = 6  # a table with more columns has a row to itself


def tables(contents: Contents) -> Section:
    """Every table, its beginning where it is long and no script turns its pages, and the names of other files."""
    if not contents.tables and not contents.others:
        return empty_section("tables", "Tables", contents)
    note = element("p", "Fractions are rounded to five digits, in downloads too; the files hold more.", class_="note")
    others = [element("p", "Further files: ", ", ".join(contents.others), ".")] if contents.others else []
    grid = element("div", *map(_table, contents.tables), class_="tables")
    entries = [(anchor(table.path), table.path) for table in contents.tables]
    return section("tables", "Tables", note, grid, *others, entries=entries)


def _table(table: Table) -> Markup:
    count = f"{table.total:,} row{'' if table.total == 1 else 's'}"
    part = len(table.first) < table.total
    words = f"The first {len(table.first)} of {count}; the file has the rest." if part else f"{count}, all shown."
    columns, rows = _upright(table)
    return element(
        "div",
        element("h3", element("code", table.path)),
        element("p", words, class_="note"),
        plain_table(columns, rows, table.path),
        id=anchor(table.path),
        class_="data wide" if len(columns) > _BROAD else "data",
        data_table=table.path,
        data_turned=None if columns is table.columns else "",
    )


def _upright(table: Table) -> tuple[list[str], list[list[str]]]:
    """A table of few rows and many columns is turned, so that it fits a page."""
    if len(table.first) < table.total or len(table.columns) <= max(9, 2 * len(table.rows)):
        return table.columns, table.first
    columns, *rows = (list(line) for line in zip(table.columns, *table.rows, strict=True))
    return columns, rows
