"""Designs: tables with a row for each fit and a column for each factor."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from scipy.stats import qmc


def grid(**factors: Any) -> pd.DataFrame:
    """The full factorial design: every level of every factor with every other, the last factor changing fastest.

        jl.grid(width=[5, 10, 20], optimizer=[optax.sgd, optax.adam], learning_rate=np.geomspace(1e-3, 1, 16),
                seed=range(128))

    Args:
        factors: levels by name: numbers, text, functions such as `optax.adam`, or sequences such as widths, which
            become tuples. What is no sequence is a factor of one level, and so is a text.

    Returns:
        One row a combination; `design.query(...)` takes some away, `design.merge(other, how="cross")` takes each row of
        one design with each of another.

    Raises:
        ValueError: there are no factors, or a factor has no levels.
    """
    levels = {name: _levels(name, values) for name, values in factors.items()}
    if not levels:
        raise ValueError("a design needs factors, such as grid(learning_rate=[0.01, 0.1], seed=range(8)).")
    places = np.indices([len(each) for each in levels.values()]).reshape(len(levels), -1)
    return pd.DataFrame({name: each[row] for (name, each), row in zip(levels.items(), places, strict=True)})


def latin_hypercube(n: int, /, *, rng: int | np.random.Generator = 0, **factors: Any) -> pd.DataFrame:
    """A random design whose rows are spread evenly over each factor: one of each n-th part of its distribution.

        design = jl.latin_hypercube(256, learning_rate=(1e-4, 1, "log"), momentum=(0, 0.99), b=scipy.stats.norm(0, 2))
        design.merge(jl.grid(seed=range(8)), how="cross")  # each with the same eight starts

    Args:
        n: how many rows.
        rng: a seed or generator, as SciPy takes them.
        factors: of each a distribution of `scipy.stats` with its parameters; a range `(low, high)`, uniform, or
            `(low, high, "log")`, uniform in the logarithm; or the levels of a factor, as in `grid`, which are equally
            frequent.

    Returns:
        One row a fit; whole numbers where the distribution is discrete.

    Raises:
        TypeError: `rng` is neither a seed nor a generator.
        ValueError: n, a seed or a range is out of range.

    References:
        McKay, Beckman and Conover (1979); drawn by `scipy.stats.qmc.LatinHypercube`.
    """
    whole = isinstance(n, int | np.integer) and not isinstance(n, bool)
    if not whole or n < 1 or not factors:
        raise ValueError(f"a design has one row or more, and factors; got n={n!r} and {list(factors)}.")
    if not isinstance(rng, int | np.integer | np.random.Generator) or isinstance(rng, bool):
        raise TypeError(f"rng must be a seed or a generator of NumPy; got {rng!r}.")
    if not isinstance(rng, np.random.Generator) and rng < 0:
        raise ValueError(f"rng must be a seed that is not negative; got {rng!r}.")
    quantiles = {name: _quantiles(name, given) for name, given in factors.items()}
    shares = qmc.LatinHypercube(len(factors), rng=np.random.default_rng(rng)).random(n)
    return pd.DataFrame({name: each(share) for (name, each), share in zip(quantiles.items(), shares.T, strict=True)})


def _quantiles(name: str, given: Any) -> Callable[[np.ndarray], np.ndarray]:
    """The function from shares in [0, 1) to values."""
    if hasattr(given, "ppf"):
        whole = isinstance(getattr(given, "dist", None), stats.rv_discrete)
        return lambda share: given.ppf(share).astype(np.int64) if whole else given.ppf(share)
    if isinstance(given, tuple):
        return _range(name, given).ppf
    levels = _levels(name, given)
    return lambda share: levels[(share * len(levels)).astype(np.int64)]


def _range(name: str, given: tuple) -> Any:
    numbers = len(given) in (2, 3) and all(isinstance(end, int | float | np.number) for end in given[:2])
    low, high, *kind = given if numbers else (0, 0)
    logarithmic = kind == ["log"]
    if not -np.inf < low < high < np.inf or (kind and not logarithmic) or (logarithmic and low <= 0):
        raise ValueError(
            f'factor {name!r} must be a distribution, levels in a list, (low, high) or (low, high, "log") with '
            f"finite low < high, positive where logarithmic; got {given!r}."
        )
    return stats.loguniform(low, high) if logarithmic else stats.uniform(low, high - low)


def _levels(name: str, values: Any) -> np.ndarray:
    single = isinstance(values, str) or not isinstance(values, Iterable) or getattr(values, "shape", None) == ()
    levels = [values] if single else list(values)
    if not levels:
        raise ValueError(f"factor {name!r} has no levels; give one at least, or leave it out.")
    if all(isinstance(level, bool | int | float | np.number | np.bool_) for level in levels):
        return np.asarray(levels)
    # One by one: NumPy would make a matrix of sequences.
    array = np.empty(len(levels), object)
    for place, level in enumerate(levels):
        array[place] = tuple(level) if isinstance(level, list | np.ndarray) else level
    return array
