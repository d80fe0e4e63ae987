"""Reductions of tables and arrays: moments, histograms, intervals."""

from jaxland.statistics.histogram import Histogram
from jaxland.statistics.intervals import mean_interval, wilson_interval
from jaxland.statistics.moments import Moments

__all__ = ["Histogram", "Moments", "mean_interval", "wilson_interval"]
