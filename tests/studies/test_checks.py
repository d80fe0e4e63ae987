from dataclasses import dataclass, field
from typing import Literal

import pytest

from jaxland.studies import (
    check_choices,
    check_different,
    check_integers,
    check_optimizers,
    check_positive,
    check_seeds,
)
from jaxland.training import Adam, Sgd


@dataclass(frozen=True)
class Config:
    optimizers: tuple[str, ...] = ("sgd", "adam")
    steps: int = 10
    kind: Literal["one", "two"] = "one"
    sgd: Sgd = field(default_factory=Sgd)
    adam: Adam = field(default_factory=Adam)

    def __post_init__(self):
        check_optimizers(self)
        check_choices(self)
        check_integers(self, "steps", least=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizers": ()}, "optimizers must name at least one, each once; got \\[\\]"),
        ({"optimizers": ("sgd", "sgd")}, "each once"),
        ({"optimizers": ("sdg",)}, "unknown optimizer 'sdg'. Did you mean 'sgd'"),
        ({"adam": Adam(b1=float("inf"))}, "adam.b1 must be finite; got inf"),
        ({"steps": 1}, "steps must be an integer of at least 2; got 1"),
        ({"steps": 2.5}, "steps must be an integer"),
        ({"kind": "three"}, "unknown kind 'three'"),
    ],
)
def test_what_is_refused(changes, message):
    assert Config().steps == 10
    with pytest.raises(ValueError, match=message):
        Config(**changes)


def test_numbers_of_an_optimizer_that_is_not_used_are_not_looked_at():
    assert Config(optimizers=("sgd",), adam=Adam(float("nan"))).optimizers == ("sgd",)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan"), (1.0, float("nan"))])
def test_positive_numbers(value):
    check_positive("rate", 1e-30)
    check_positive("rates", (1.0, 2.0))
    with pytest.raises(ValueError, match="rate must be positive and finite"):
        check_positive("rate", value)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds(seed):
    check_seeds("seed", 0, 2**32 - 1)
    with pytest.raises(ValueError, match="seed must be in"):
        check_seeds("seed", 3, seed)


def test_different_values():
    check_different("rates", (1.0, 2.0))
    with pytest.raises(ValueError, match="each once"):
        check_different("rates", (1.0, 1.0))
