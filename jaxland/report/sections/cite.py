"""How to cite what the page shows."""

from jaxland.report.citation import citation
from jaxland.report.contents import Contents
from jaxland.report.markup import element
from jaxland.report.sections.section import Section, section


def cite(contents: Contents) -> Section:
    """jaxland, and the source of the study."""
    return section("cite", "Cite", element("pre", citation(contents.source), data_copy="the citation"))
