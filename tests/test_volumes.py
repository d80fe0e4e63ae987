"""The experiment on volumes and hits: its parts where the answer is known, and what it says of its own tables."""

import importlib.util
import math
import re
from itertools import pairwise
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats

import jaxland as jl

FOLDER = Path(__file__).parents[1] / "experiments/volumes"


def _loaded():
    spec = importlib.util.spec_from_file_location("volumes", FOLDER / "volumes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


VOLUMES = _loaded()
EDGES = np.cumsum([-4.5, 0.7, 1.2, 0.6, 1.0, 0.85, 0.65, 1.1, 0.75, 0.9, 1.05, 0.8])
WIDTHS, CENTRES = np.diff(EDGES), np.array([(low + high) / 2 for low, high in pairwise(EDGES)])
NARROW = {"as wide as they are": np.ones(11), "the sharper the wider": 1.4 * (WIDTHS / WIDTHS.max()) ** 2}
"""How sharp each well is at its bottom, of one with its width that is a half-wave of a cosine."""
DEPTHS = {
    "as wide as they are": np.random.default_rng(5).uniform(0.98, 1.02, 11),
    "the sharper the wider": 0.5 + WIDTHS / 2,
}


def _wells(name):
    """A line of 11 wells whose edges are the tops between them, as the loss of a network of one parameter."""

    def loss(prediction, target):
        total = 0.0 * (prediction - target)
        for low, high, sharp, depth in zip(EDGES[:-1], EDGES[1:], NARROW[name], DEPTHS[name], strict=True):
            u = (2 * prediction - low - high) / (high - low)
            well = -depth * (1 + jnp.cos(jnp.pi * (sharp * u + (1 - sharp) * u**3)))
            total = total + jnp.where((prediction >= low) & (prediction < high), well, 0.0)
        return total

    network = jl.Network(lambda key: {"w": jnp.zeros(())}, lambda params, x: params["w"] * x)
    # The target only gives the variance that rises of the loss are a share of.
    return network, jl.Problem(np.ones((2, 1)), np.array([[-1.0], [1.0]]), loss)


SLOW_WELLS = [pytest.param(name, marks=pytest.mark.slow) for name in NARROW]


@pytest.fixture(scope="module", params=SLOW_WELLS)
def counted(request):
    network, problem = _wells(request.param)
    starts = np.random.default_rng(0).uniform(EDGES[0], EDGES[-1], (8_000, 1)).astype(np.float32)
    ends = jl.fit(network, problem, optax.sgd(0.004), fits=len(starts), start=starts, steps=1_000).params
    found = jl.landscape.distinct_minima(network, problem, ends)
    order = np.argsort(found.params[:, 0])
    table = VOLUMES.predictors(network, problem, found.params, rays=20).iloc[order]
    return request.param, found.params[order, 0], np.bincount(found.label[found.label >= 0])[order], table


def test_hits_are_the_shares_of_the_basins(counted):
    _, places, hits, _ = counted
    np.testing.assert_allclose(places, CENTRES, atol=1e-8)
    shares = WIDTHS / WIDTHS.sum()
    z = (hits - 8_000 * shares) / np.sqrt(8_000 * shares * (1 - shares))
    assert hits.sum() > 7_990  # a start on a top stays there
    assert np.abs(z).max() < 4


def test_volumes_are_lengths_of_wells(counted):
    name, _, _, table = counted
    for column, rise in VOLUMES.RISES.items():
        for volume, width, sharp, depth in zip(table[column], WIDTHS, NARROW[name], DEPTHS[name], strict=True):
            level = math.acos(1 - rise / depth) / math.pi
            half = scipy.optimize.brentq(lambda u, s=sharp, level=level: s * u + (1 - s) * u**3 - level, 0, 1)
            assert math.exp(volume) == pytest.approx(width * half, rel=1e-6)
    curvatures = DEPTHS[name] * (2 * np.pi * NARROW[name] / WIDTHS) ** 2
    np.testing.assert_allclose(table["curvature"], -np.log(curvatures) / 2, rtol=1e-8)
    assert (table["copies"] == 1).all()


def test_the_rules_say_yes_where_wide_wells_are_flat_and_no_where_they_are_sharp(counted):
    name, _, hits, table = counted
    expected = {"as wide as they are": "agrees", "the sharper the wider": "differs"}[name]
    for predictor in VOLUMES.VOLUMES:
        found = VOLUMES.judged(table, hits, predictor)
        assert [verdict for _, verdict in found.values()][:3] == [expected] * 3, predictor
    loss = VOLUMES.judged(table, hits, "loss")["rank correlation with hits"]
    assert (loss[1] == "agrees") == (expected == "differs")
    few = VOLUMES.judged(table[:9], hits[:9], "curvature")
    assert {verdict for _, verdict in few.values()} == {"not tested"}


def test_units_that_are_equal_or_nothing_leave_fewer_copies():
    network = jl.mlp([1, 3, 1], "tanh")
    tree = network.unflatten(np.random.default_rng(0).normal(size=network.size))
    (first, second) = ((np.array(each.weight), np.array(each.bias)) for each in tree)

    def copies(change):
        weights, offsets, out, last = (np.array(each) for each in (*first, *second))
        change(weights, offsets, out)
        layers = [layer.__class__(w, b) for layer, w, b in zip(tree, (weights, out), (offsets, last), strict=True)]
        return VOLUMES.copies(network, np.asarray(network.flatten(tuple(layers)), np.float64))

    def nothing(*units):
        def change(weights, offsets, out):
            weights[list(units)], offsets[list(units)], out[:, list(units)] = 0, 0, 0

        return change

    def mirrored(weights, offsets, out):
        weights[1], offsets[1], out[:, 1] = -weights[0], -offsets[0], -out[:, 0]

    found = [copies(change) for change in (lambda *_: None, nothing(0), nothing(0, 2), nothing(0, 1, 2), mirrored)]
    assert found == [48, 24, 6, 1, 24]


@pytest.mark.slow
def test_verdicts_and_the_page_are_those_of_the_committed_minima():
    minima = pd.read_csv(FOLDER / "minima.csv")
    committed = pd.read_csv(FOLDER / "verdicts.csv")
    pd.testing.assert_frame_equal(VOLUMES.verdicts(minima), committed, rtol=1e-3, atol=1e-3)
    page = (FOLDER / "README.md").read_text()
    table = re.search(r"<!-- verdicts -->\n(.*?)\n<!-- end of verdicts -->", page, re.DOTALL)
    assert table[1] == VOLUMES.markdown(committed), "run python experiments/volumes/volumes.py"


def test_what_is_left_at_equal_loss_is_the_correlation_of_what_ranks_leave():
    random = np.random.default_rng(0)
    rows = random.normal(size=(40, 3))
    rows[:, 1] += rows[:, 2]
    rows[:, 0] += rows[:, 1] - 2 * rows[:, 2]
    ranks = scipy.stats.rankdata(rows, axis=0)
    left = [ranks[:, k] - np.polyval(np.polyfit(ranks[:, 2], ranks[:, k], 1), ranks[:, 2]) for k in (0, 1)]
    assert VOLUMES._ranked_given(rows) == pytest.approx(np.corrcoef(*left)[0, 1], abs=1e-12)
    assert VOLUMES._ranked(rows, 1) == pytest.approx(scipy.stats.spearmanr(rows[:, 0], rows[:, 1])[0], abs=1e-12)
    x, y = rows[:, 0], rows[:, 1]
    assert VOLUMES._slope(x, y) == pytest.approx(np.polyfit(x, y, 1)[0], rel=1e-12)


@pytest.mark.slow
def test_committed_minima_are_minima():
    committed = pd.read_csv(FOLDER / "minima.csv")
    for name, (network, problem) in VOLUMES.problems().items():
        table = committed[committed["problem"] == name]
        params = np.array([each.split() for each in table["parameters"]], float)
        loss, slope = jl.training.gradients(network, problem)(params)
        np.testing.assert_allclose(loss, table["loss"], rtol=1e-5)
        assert np.abs(slope).max() < 1e-6
        hits = table[[f"hits, {law}" for law in VOLUMES.LAWS]].to_numpy()
        assert (hits.sum(axis=1) > 0).all()
