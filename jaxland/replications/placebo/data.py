"""Noise, and labels that the inputs explain in part."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def labelled_data(
    seed: Sequence[int], points: int, inputs: int, share: float = 0.0
) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, "N 1"]]:
    """Standard-normal inputs, and labels of mean 0 and variance 1.

    The labels are sqrt(s) g(x) + sqrt(1 - s) e with standard-normal e and g(x) = (x_1 + x_2 x_3) / sqrt(2), of which a
    linear model can find one half. With s = 0 they are noise that knows nothing of the inputs; x and e do not depend on
    s.

    Args:
        seed: of the data set.
        points: N.
        inputs: D, at least 3.
        share: s, the share of the labels' variance that the inputs explain.
    """
    random = np.random.default_rng(list(seed))
    x, noise = random.normal(size=(points, inputs)), random.normal(size=points)
    explained = (x[:, 0] + x[:, 1] * x[:, 2]) / np.sqrt(2)
    return x, (np.sqrt(share) * explained + np.sqrt(1 - share) * noise)[:, None]


def linear_p_value(x: Float[np.ndarray, "N D"], y: Float[np.ndarray, "N 1"]) -> float:
    """The p-value of the F-test of a linear model of all inputs against a constant; exact for normal noise."""
    from scipy import stats

    design = np.column_stack([x, np.ones(len(x))])
    residual = float(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2))
    total = float(np.sum((y - y.mean()) ** 2))
    free = len(x) - design.shape[1]
    return float(stats.f.sf((total - residual) / x.shape[1] / (residual / free), x.shape[1], free))
