"""Where the source's statements can be judged at all, and how what was measured is put into words."""

import numpy as np
from jaxtyping import Float

from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.statistics import sample_interval, wilson_interval

LEAST_STEPS = 500
"""Epochs of the source's examples 2 and 3."""


def not_comparable(config: PlaceboConfig, epochs: int | None = None) -> str:
    """Why statements cannot be judged, "" where they can: the fits are not of the source's kind, or too young.

    Args:
        config: of the study.
        epochs: of the fits, those of the study by default.
    """
    if (config.inputs, config.hidden, config.points, config.learning_rate) != (10, 20, 1000, 0.01):
        return "the statements are about 10-20-1 networks on 1000 points, and adam with rate 0.01"
    if (config.steps if epochs is None else epochs) < LEAST_STEPS:
        return f"statements are judged from {LEAST_STEPS} epochs on"
    return ""


def mean_text(values: Float[np.ndarray, "F"], digits: int = 3) -> str:
    """A mean with its 95 % interval and the number of values."""
    low, high = sample_interval(values)
    return f"{np.mean(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f}, n = {len(values):,})"


def share_text(successes: int, trials: int) -> str:
    """A share with Wilson's 95 % interval."""
    low, high = wilson_interval(successes, trials)
    return f"{successes:,} of {trials:,} ({low:.1%} to {high:.1%})"
