import json

import numpy as np
import optax
import pytest

import jaxland as jl
from jaxland.studies.described import NETWORKS, describe, described

X = np.linspace(-1, 1, 9)


def _ensemble(network=None, problem=None, **arguments):
    network = jl.mlp([1, 3, 1], "tanh") if network is None else network
    return jl.Ensemble(network, problem or jl.Problem(X, X**2), optax.sgd(0.1), steps=4, **arguments)


def test_network_and_data_of_one_input_and_output_are_told(tmp_path):
    describe(tmp_path, {"a": _ensemble(trace_every=2)})
    assert described(tmp_path)["a"] == {
        "steps": 4,
        "trace_every": 2,
        "widths": [1, 3, 1],
        "activation": "tanh",
        "output_activation": "identity",
        "bias": True,
        "range": [-1.0, 1.0],
        "x": X.tolist(),
        "y": (X**2).tolist(),
        "squares": pytest.approx(1 / 9),
    }


@pytest.mark.parametrize("loss", ["mean_squared_error", "half_mean_squared_error", "sum_squared_error"])
def test_of_a_loss_of_squared_errors_their_factor_is_told(tmp_path, loss):
    problem = jl.Problem(X, X**2, loss)
    describe(tmp_path, {"a": _ensemble(problem=problem)})
    errors = X[:, None] - problem.y
    assert described(tmp_path)["a"]["squares"] * (errors**2).sum() == pytest.approx(
        float(problem.loss(X[:, None], problem.y)), rel=1e-6
    )


def test_of_other_objectives_no_factor_of_squared_errors_is_told(tmp_path):
    weights = np.arange(1.0, 10)
    others = {
        "absolute": _ensemble(problem=jl.Problem(X, X, "mean_absolute_error")),
        "weighted": _ensemble(problem=jl.Problem(X, X, weights=weights)),
        "weighted-each": _ensemble(weights=np.tile(weights, (8, 1))),
        "penalised": _ensemble(problem=jl.Problem(X, X, penalty=jl.problems.l2(1e-3))),
    }
    describe(tmp_path, others)
    assert all("squares" not in each for each in described(tmp_path).values())


def test_what_a_fit_has_for_itself_is_not_told_as_everyones(tmp_path):
    targets = np.zeros((8, 9, 1))
    describe(tmp_path, {"a": _ensemble(targets=targets), "b": _ensemble(inputs=np.zeros((8, 9, 1)))})
    told = described(tmp_path)
    assert told["a"]["range"] == [-1.0, 1.0]
    assert "x" not in told["a"]
    assert {"range", "x"}.isdisjoint(told["b"])


def test_of_other_networks_steps_alone_are_told(tmp_path):
    own = jl.Network(
        lambda key: np.ones(1, np.float32), lambda params, x: params[0] * x, jl.networks.NetworkSpec(inputs=1)
    )
    wide = _ensemble(jl.mlp([2, 3, 1]), jl.Problem(np.zeros((4, 2)), np.zeros(4)))
    describe(tmp_path, {"own": _ensemble(own), "wide": wide})
    assert described(tmp_path) == {name: {"steps": 4, "trace_every": None} for name in ("own", "wide")}


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_a_lost_or_damaged_file_tells_nothing(tmp_path, content):
    if content is not None:
        (tmp_path / NETWORKS).write_bytes(content)
    assert described(tmp_path) == {}


@pytest.mark.slow
def test_every_run_writes_it_and_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        jl.run({"a": _ensemble()}, tmp_path / name, fits=4)
    one, two = ((tmp_path / name / NETWORKS).read_bytes() for name in ("one", "two"))
    assert one == two
    (tmp_path / "one" / NETWORKS).unlink()
    jl.run({"a": _ensemble()}, tmp_path / "one", fits=4)
    assert json.loads((tmp_path / "one" / NETWORKS).read_bytes()) == json.loads(two)
