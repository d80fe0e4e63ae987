"""What results look like where they are printed."""

import inspect
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import jaxland as jl
from jaxland._short import in_short
from jaxland.landscape import Symmetrised

HERE = Path(jl.__file__).parent


class Result(NamedTuple):
    """Of anything."""

    params: np.ndarray
    good: np.ndarray
    few: np.ndarray
    name: str
    rest: typing.Any = None

    __repr__ = in_short


@dataclass(frozen=True)
class Settings:
    """Of anything."""

    steps: int
    start: np.ndarray | None = None
    many: tuple[int, ...] = ()

    __repr__ = in_short


def test_arrays_are_told_by_their_shapes_and_truths_are_counted():
    result = Result(np.zeros((10, 3), np.float32), np.arange(10) < 4, np.array([0.5, 2.0]), "a")
    assert repr(result) == "Result(params=float32 (10, 3), good=4 true of (10,), few=[0.5, 2. ], name='a')"


def test_what_is_as_by_default_is_left_out_and_what_is_long_is_counted():
    assert repr(Settings(3)) == "Settings(steps=3)"
    assert (
        repr(Settings(3, np.zeros(40), tuple(range(100))))
        == "Settings(steps=3, start=float64 (40,), many=tuple of 100)"
    )


def _holds_arrays(kind):
    return any("ndarray" in str(each) for each in getattr(kind, "__annotations__", {}).values())


def _public():
    packages = ("networks", "problems", "training", "sweeps", "statistics", "landscape", "placebo", "studies", "store")
    for package in (getattr(jl, name) for name in packages):
        yield from (getattr(package, name) for name in package.__all__)


def test_no_public_result_prints_its_arrays():
    results = [kind for kind in _public() if isinstance(kind, type) and _holds_arrays(kind)]
    assert Symmetrised in results
    assert len(results) > 30
    # What dataclasses and named tuples bring themselves is written elsewhere.
    written = {kind: inspect.unwrap(kind.__repr__).__code__.co_filename for kind in results}
    assert [kind for kind, file in written.items() if f"{HERE}/" not in file] == []


def test_an_outcome_a_study_and_what_is_opened_are_told_in_a_line(finished_sawtooth):
    study = jl.studies.find_study("sawtooth")
    assert repr(study).startswith("Study('sawtooth': the energy landscape")
    assert "not tested" in repr(finished_sawtooth)
    opened = jl.open(finished_sawtooth.path)
    for shown in (study, finished_sawtooth, opened):
        assert len(repr(shown)) < 300
        assert " at 0x" not in repr(shown)
    assert "<td>32</td>" in opened._repr_html_()
    assert "jaxland open" in finished_sawtooth._repr_html_()


def test_a_placebo_test_shows_its_p_value_and_its_statistics():
    x = np.linspace(-1, 1, 20)
    net, adam = jl.mlp([1, 3, 1]), jl.training.make_optimizer(jl.training.Adam())
    result = jl.placebo_test(net, jl.Problem(x, np.abs(x)), adam, steps=5, permutations=9)
    assert repr(result).startswith(f"PlaceboResult(p = {result.p_value.value:.3g} (")
    assert "training_loss" in result._repr_html_()


@pytest.mark.parametrize("columns", [1, 2])
def test_figures_and_their_axes_are_pictures_in_a_notebook(columns):
    figure, axes = jl.plots.new_figure(columns)
    for shown in (figure, *axes):
        data, size = shown._repr_png_()
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        wide = int.from_bytes(data[16:20], "big")
        assert wide == pytest.approx(2 * size["width"], abs=2)
