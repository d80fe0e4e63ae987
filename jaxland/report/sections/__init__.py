"""The sections of the page, each from what was read of the study directory."""

from jaxland.report.contents import Contents
from jaxland.report.sections.cite import cite
from jaxland.report.sections.claims import claims
from jaxland.report.sections.compared import compared_sections, header_of_both
from jaxland.report.sections.figures import figures
from jaxland.report.sections.fit import fit
from jaxland.report.sections.header import header, notices
from jaxland.report.sections.losses import losses
from jaxland.report.sections.run import configuration, fits
from jaxland.report.sections.section import Section
from jaxland.report.sections.tables import tables

__all__ = ["Section", "compared_sections", "header", "header_of_both", "notices", "sections"]


def sections(contents: Contents, drawings: list[str]) -> list[Section]:
    """The sections in order; a study without claims has none of them.

    Args:
        contents: of the study directory.
        drawings: names of the interactive charts there are.
    """
    return [
        fits(contents),
        *([] if contents.claims == [] else [claims(contents)]),
        figures(contents),
        losses(contents, drawings),
        *fit(contents),
        tables(contents),
        configuration(contents),
        cite(contents),
    ]
