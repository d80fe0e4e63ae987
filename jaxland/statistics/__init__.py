"""Reductions of tables and arrays: moments, histograms, intervals, variance components, curves through scatters."""

from jaxland.statistics.components import Estimate, TwoWayComponents, two_way_components
from jaxland.statistics.histogram import Histogram
from jaxland.statistics.intervals import mean_interval, sample_interval, wilson_interval
from jaxland.statistics.logistic import LogisticFit, logistic_fit
from jaxland.statistics.lowess import Lowess, lowess
from jaxland.statistics.moments import Moments
from jaxland.statistics.shares import BinnedShares, binned_shares

__all__ = [
    "BinnedShares",
    "Estimate",
    "Histogram",
    "LogisticFit",
    "Lowess",
    "Moments",
    "TwoWayComponents",
    "binned_shares",
    "logistic_fit",
    "lowess",
    "mean_interval",
    "sample_interval",
    "two_way_components",
    "wilson_interval",
]
