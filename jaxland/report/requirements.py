"""plotly, which draws the interactive part and is not needed elsewhere."""

import importlib.util

INSTALL = "pip install 'jaxland[report]'"


class MissingPlotly(ImportError):
    """plotly is not installed; the message holds the line that installs it."""


def require_plotly() -> None:
    """Raises MissingPlotly unless plotly can be imported."""
    if importlib.util.find_spec("plotly") is None:
        raise MissingPlotly(f"the report draws with plotly, which is not installed. Install it with:\n  {INSTALL}")
