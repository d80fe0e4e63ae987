"""One self-contained page of a study directory."""

from jaxland.report.page import write_report
from jaxland.report.requirements import MissingPlotly

__all__ = ["MissingPlotly", "write_report"]
