"""Checks of configurations, for their `__post_init__`: each refuses with the name, the value and what is wanted.

All raise ValueError.
"""

import math
from collections.abc import Collection
from dataclasses import asdict
from numbers import Integral
from typing import Any, Literal, get_args, get_origin, get_type_hints

from jaxland._names import lookup


def check_integers(config: Any, *names: str, least: int = 1) -> None:
    """These fields are integers of at least `least`."""
    wanted = "a positive integer" if least == 1 else f"an integer of at least {least}"
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name} must be {wanted}; got {value}.")


def check_positive(name: str, values: float | Collection[float]) -> None:
    """A number is positive and finite, or all of several are."""
    each = values if isinstance(values, Collection) else (values,)
    if not all(0 < value < math.inf for value in each):
        raise ValueError(f"{name} must be positive and finite; got {values}.")


def check_different(name: str, values: Collection[Any]) -> None:
    """There is a value, and none stands there twice."""
    if not values or len(set(values)) < len(values):
        raise ValueError(f"{name} must name at least one, each once; got {list(values)}.")


def check_seeds(name: str, *seeds: int) -> None:
    """Seeds are integers that NumPy and JAX accept."""
    if not all(isinstance(seed, Integral) and 0 <= seed < 2**32 for seed in seeds):
        raise ValueError(f"{name} must be in [0, 2**32); got {', '.join(map(str, seeds))}.")


def check_choices(config: Any) -> None:
    """Every field that is declared as a `Literal` holds one of its values."""
    for name, hint in get_type_hints(type(config)).items():
        if get_origin(hint) is Literal:
            lookup(name, getattr(config, name), dict.fromkeys(get_args(hint)))


def check_optimizers(config: Any) -> None:
    """`config.optimizers` names fields that hold the numbers of an optimizer, each once; the numbers are finite."""
    check_different("optimizers", config.optimizers)
    numbers = {name: value for name, value in asdict(config).items() if isinstance(value, dict)}
    for name in config.optimizers:
        for number, value in lookup("optimizer", name, numbers).items():
            if not math.isfinite(value):
                raise ValueError(f"{name}.{number} must be finite; got {value}.")
