"""A shard that was interrupted goes on where it was kept, and ends with the bytes of one that was not."""

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.studies import unfinished
from jaxland.training import Ensemble, Validation

PROBLEM = jl.problems.sawtooth()
ENSEMBLES = {
    "runs": Ensemble(jl.mlp([1, 5, 5, 5, 1]), PROBLEM, optax.sgd(0.01, momentum=0.9), steps=1500, trace_every=100),
    "batches": Ensemble(
        jl.mlp([1, 3, 1]), PROBLEM, optax.adam(0.05), steps=6000, batch_size=64, trace_every=50,
        validation=Validation(share=0.3, patience=3, every=500),
    ),
}  # fmt: skip


class _Power(BaseException):
    """It went off."""


def _shards(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in (path / "fits").rglob("*.parquet")}


@pytest.fixture
def cut(monkeypatch):
    """Checkpoints whenever one can be taken; the power goes off after some of them, and they are counted."""
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    save, load = unfinished.Unfinished.save, unfinished.Unfinished.load
    seen = {"left": 0, "saved": [], "loaded": []}

    def saving(self, fits, checkpoint):
        save(self, fits, checkpoint)
        seen["saved"].append(checkpoint.step)
        seen["left"] -= 1
        if seen["left"] == 0:
            raise _Power

    def loading(self, fits):
        found = load(self, fits)
        seen["loaded"].append(None if found is None else found.step)
        return found

    monkeypatch.setattr(unfinished.Unfinished, "save", saving)
    monkeypatch.setattr(unfinished.Unfinished, "load", loading)
    return seen


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("runs", "lanes"),
        pytest.param("batches", "lanes", marks=pytest.mark.slow),
        pytest.param("batches", "xla", marks=pytest.mark.slow),
    ],
)
def test_a_shard_goes_on_where_it_was_kept(name, backend, tmp_path, cut):
    given = {name: ENSEMBLES[name]}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    compress = True if name == "runs" else None
    jl.run(given, whole, fits=40, backend=backend, compress=compress, threads=1)
    assert len(cut["saved"]) > 2
    for left in (2, 1):
        cut["left"] = left
        with pytest.raises(_Power):
            jl.run(given, broken, fits=40, backend=backend, compress=compress, threads=1)
        assert not _shards(broken)
        assert list((broken / "unfinished" / name).rglob("*.npz"))
    steps = cut["saved"][-1]
    cut["left"], cut["loaded"] = 0, []
    jl.run(given, broken, fits=40, threads=1)
    assert steps in cut["loaded"]
    assert _shards(broken) == _shards(whole)
    assert not (broken / "unfinished").exists()
    if name == "runs":
        assert all(step % 512 == 0 or step <= 256 for step in cut["saved"])


@pytest.mark.slow
def test_what_was_kept_for_something_else_is_not_believed(tmp_path, cut):
    def given(rate):
        return {"batches": Ensemble(jl.mlp([1, 3, 1]), PROBLEM, optax.adam(rate), steps=3000)}

    jl.run(given(0.01), tmp_path / "whole", fits=16, threads=1, backend="lanes", compress=False)
    for rate, path in ((0.02, "other"), (0.01, "mine")):
        cut["left"] = 2
        with pytest.raises(_Power):
            jl.run(given(rate), tmp_path / path, fits=16, threads=1, backend="lanes", compress=False)
    other, mine = (next((tmp_path / name / "unfinished").rglob("*.npz")) for name in ("other", "mine"))
    mine.unlink()
    other.rename(mine.with_name(other.name))
    damaged = bytearray(np.random.default_rng(0).bytes(100))
    mine.with_name(f"{'0' * 16}-{'0' * 16}.npz").write_bytes(damaged)
    cut["left"], cut["loaded"] = 0, []
    jl.run(given(0.01), tmp_path / "mine", fits=16, threads=1)
    assert cut["loaded"] == [None]
    assert _shards(tmp_path / "mine") == _shards(tmp_path / "whole")
