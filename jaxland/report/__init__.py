"""Self-contained pages of study directories: one of a study, one of two side by side."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.report.page import write_comparison, write_report

__all__ = ["write_comparison", "write_report"]

__getattr__, __dir__ = attach(__name__, __file__)
