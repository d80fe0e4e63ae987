"""Reductions of tables and arrays: moments, histograms, intervals, tests, curves through scatters, calibration."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.statistics.calibration import (
        ClassificationScores,
        calibration_error,
        classification_scores,
        interval_coverage,
        reliability,
    )
    from jaxland.statistics.comparisons import paired_tests
    from jaxland.statistics.components import TwoWayComponents, two_way_components, variance_components
    from jaxland.statistics.estimates import Estimate
    from jaxland.statistics.histogram import Histogram, histogram
    from jaxland.statistics.intervals import distribution_band, mean_interval, sample_interval, wilson_interval
    from jaxland.statistics.logistic import LogisticFit, logistic_fit
    from jaxland.statistics.lowess import Lowess, lowess
    from jaxland.statistics.moments import Moments, moments
    from jaxland.statistics.permutation import (
        PermutationPValue,
        permutation_p_value,
        permutations_to_decide,
        permutations_to_measure,
        permutations_to_resolve,
    )
    from jaxland.statistics.quantiles import ecdf, quantile_intervals
    from jaxland.statistics.resampling import BootstrapInterval, bootstrap_interval
    from jaxland.statistics.scores import crps, gaussian_nll
    from jaxland.statistics.shares import BinnedShares, binned_shares
    from jaxland.statistics.unimodality import DipTest, dip_test

__all__ = [
    "BinnedShares",
    "BootstrapInterval",
    "ClassificationScores",
    "DipTest",
    "Estimate",
    "Histogram",
    "LogisticFit",
    "Lowess",
    "Moments",
    "PermutationPValue",
    "TwoWayComponents",
    "binned_shares",
    "bootstrap_interval",
    "calibration_error",
    "classification_scores",
    "crps",
    "dip_test",
    "distribution_band",
    "ecdf",
    "gaussian_nll",
    "histogram",
    "interval_coverage",
    "logistic_fit",
    "lowess",
    "mean_interval",
    "moments",
    "paired_tests",
    "permutation_p_value",
    "permutations_to_decide",
    "permutations_to_measure",
    "permutations_to_resolve",
    "quantile_intervals",
    "reliability",
    "sample_interval",
    "two_way_components",
    "variance_components",
    "wilson_interval",
]

__getattr__, __dir__ = attach(__name__, __file__)
