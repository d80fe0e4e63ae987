"""One self-contained page of a study directory."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.report.page import write_report
    from jaxland.report.requirements import MissingPlotly

__all__ = ["MissingPlotly", "write_report"]

__getattr__, __dir__ = attach(__name__, __file__)
