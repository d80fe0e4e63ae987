"""What `jaxland bench` measures: backends, the peak of the machine, and other ways to do the same."""

from jaxland.bench.report import report

__all__ = ["report"]
