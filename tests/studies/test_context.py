"""What analyses work with: pieces that are kept, and fits as the study trains them."""

from dataclasses import dataclass

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.store import Parts, StudyStore
from jaxland.studies import Context, NoSettings


@dataclass(frozen=True)
class Config:
    seed: int = 5
    dtype: str = "float64"


@pytest.fixture
def context(tmp_path):
    said = []
    made = Context(Config(), NoSettings(), StudyStore.__new__(StudyStore), Parts(tmp_path), 1, said.append)
    return made, said


def _squares(done):
    def work(rows):
        done.append(list(rows))
        return {"square": np.square(rows), "row": np.asarray(rows)}

    return work


@pytest.mark.parametrize(
    "rows", [range(10, 17), np.arange(10, 17), list(range(10, 17))], ids=["range", "array", "list"]
)
def test_rows_are_worked_on_a_piece_at_a_time(context, tmp_path, rows):
    (made, said), done = context, []
    found = made.pieces("squares", rows, _squares(done), 3)
    assert done == [[10, 11, 12], [13, 14, 15], [16]]
    assert found["square"].tolist() == [100, 121, 144, 169, 196, 225, 256]
    assert found["row"].tolist() == list(rows)
    assert said == ["  squares: 3 of 7", "  squares: 6 of 7", "  squares: 7 of 7"]
    names = sorted(path.name.rsplit("-", 1)[0] for path in tmp_path.iterdir())
    assert names == ["squares-0-3", "squares-3-3", "squares-6-1"]


def test_pieces_that_are_kept_are_not_worked_on_again(context):
    (made, _), done = context, []

    def interrupted(rows):
        if rows[0] == 3:
            raise KeyboardInterrupt
        return _squares(done)(rows)

    with pytest.raises(KeyboardInterrupt):
        made.pieces("squares", range(5), interrupted, 3)
    again = []
    found = made.pieces("squares", range(5), _squares(again), 3)
    assert (done, again) == ([[0, 1, 2]], [[3, 4]])
    assert found["square"].tolist() == [0, 1, 4, 9, 16]


def test_no_rows(context):
    with pytest.raises(ValueError, match="squares: there are no rows"):
        context[0].pieces("squares", range(0), _squares([]), 3)


def test_fits_are_those_of_the_study(context):
    network, problem = jl.mlp([1, 2, 1]), jl.Problem(np.arange(4.0), np.arange(4.0))
    ours = context[0].fit(network, problem, optax.sgd(0.1), fits=2, steps=3)
    plain = jl.fit(network, problem, optax.sgd(0.1), fits=2, steps=3, seed=5, dtype="float64", threads=1)
    assert ours.params.dtype == np.float64
    np.testing.assert_array_equal(ours.params, plain.params)


def test_what_is_asked_for_goes_before_what_the_study_has(context):
    network, problem = jl.mlp([1, 2, 1]), jl.Problem(np.arange(4.0), np.arange(4.0))
    start = np.ones((3, network.size))
    ours = context[0].fit(network, problem, optax.sgd(0.1), start=start, steps=3, dtype="float32")
    assert ours.params.shape == (3, network.size)
    assert ours.params.dtype == np.float32
