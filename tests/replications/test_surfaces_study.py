"""The surfaces study: against the document's own programs, and end to end at a scale of seconds."""

import dataclasses
import gzip
import io
import struct

import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from replications.tiny import tiny_config, tiny_settings
from scipy.special import expit

import jaxland as jl
from jaxland.landscape import Plane, plane_losses, surface_features
from jaxland.replications import SurfacesConfig
from jaxland.replications.surfaces import STUDY, descent, ends, gallery, landscape
from jaxland.replications.surfaces.config import ensemble_name
from jaxland.replications.surfaces.drawing import descent_ends
from jaxland.replications.surfaces.ensembles import ensembles
from jaxland.replications.surfaces.landscape import costs, slice_of, window
from jaxland.store import StudyStore
from jaxland.studies import from_json, to_json
from jaxland.training import starting_points

SMALL = tiny_config("surfaces")
# The document's network: 784-50-500-10, with its own weights.
WHOLE = SurfacesConfig(data="enlarged", samples=100)
RNG = np.random.default_rng(0)


def _weights(config, inputs, seed):
    """As the document draws them."""
    np.random.seed(seed)  # noqa: NPY002
    widths = [inputs, *config.hidden, 10]
    return [np.random.randn(*shape) for shape in zip(widths[1:], widths, strict=False)]  # noqa: NPY002


def _document_cost(config, seed, samples, changes):
    """The document's function `costs`, with other weights in some places: {(layer, to, from): value}."""
    pictures = config.pictures(samples)
    weights = _weights(config, pictures.pixels.shape[1], seed)
    for (layer, to, come), value in changes.items():
        weights[layer][to][come] = value
    values = pictures.pixels.T
    for weight in weights:
        values = expit(weight @ values)
    return np.mean(np.sum((pictures.one_hot.T - values) ** 2, axis=0))


def _document_descent(config, seed, start, epochs, rate):
    """The document's class NeuralNetwork: weights and costs epoch by epoch."""
    pictures = config.pictures(config.samples)
    x, y = pictures.pixels, pictures.one_hot
    weights = _weights(config, x.shape[1], seed)
    (one, two), last = config.units, weights[-1]
    last[config.output][one], last[config.output][two] = start
    path, cost = [start], []
    for _ in range(epochs):
        values = x.T
        for weight in weights[:-1]:
            values = expit(weight @ values)
        pred = expit(last @ values)
        gradient = (pred - y.T) * pred * (1 - pred) @ values.T / len(x)
        cost.append(np.mean(np.sum((y.T - pred) ** 2, axis=0)))
        for unit in (one, two):
            last[config.output][unit] -= rate * gradient[config.output][unit]
        path.append((last[config.output][one], last[config.output][two]))
    return np.array(path), np.array(cost)


# Surfaces


@pytest.mark.parametrize(
    ("entries", "places", "samples"),
    [
        (("2.weight[5,250]", "2.weight[5,251]"), ((2, 5, 250), (2, 5, 251)), 100),
        (("2.weight[5,250]", "2.weight[5,251]"), ((2, 5, 250), (2, 5, 251)), 1797),
        (("1.weight[200,30]", "1.weight[200,31]"), ((1, 200, 30), (1, 200, 31)), 500),
        (("1.weight[5,5]", "1.weight[5,6]"), ((1, 5, 5), (1, 5, 6)), 1000),
    ],
)
def test_surfaces_are_those_of_the_documents_program(entries, places, samples):
    drawn = slice_of(costs(WHOLE, samples), 135, entries, 12)
    assert drawn.samples == samples
    for row, column in RNG.integers(12, size=(4, 2)):
        values = drawn.surface.a[column], drawn.surface.b[row]
        expected = _document_cost(WHOLE, 135, samples, dict(zip(places, values, strict=True)))
        assert drawn.surface.loss[row, column] == pytest.approx(expected, rel=1e-11)


def test_the_window_is_the_documents():
    a, b = window(40)
    np.testing.assert_array_equal(a, np.linspace(-15, 17, 40))
    np.testing.assert_array_equal(b, np.linspace(-15, 18, 40))


def test_two_weights_alone_cost_what_they_cost_in_the_network():
    pair = SMALL.pair(7, 30)
    network = pair.network(*SMALL.window)
    coordinates = RNG.uniform(-15, 15, (5, 2))
    found = plane_losses(pair.problem().objective(network), Plane(np.zeros(2), np.eye(2)), coordinates)
    expected = [_document_cost(SMALL, 7, 30, {(2, 5, 7): one, (2, 5, 8): two}) for one, two in coordinates]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert pair.values.tolist() == _weights(SMALL, 64, 7)[2][5, [7, 8]].tolist()


def test_with_seed_1220_few_samples_make_two_minima_that_many_samples_undo():
    few, many = (
        slice_of(costs(SurfacesConfig(), samples), 1220, SurfacesConfig().entries, 40) for samples in (100, 1797)
    )
    assert (len(few.features.minima), len(few.features.saddles), len(many.features.minima)) == (2, 1, 0)


# Descents


def test_descents_are_those_of_the_documents_program():
    settings = descent.DescentSettings(grid=4)
    config = dataclasses.replace(SMALL, epochs=200)
    found = descent.descend(config, settings, costs(config, 30), 135)
    for index, start in enumerate(settings.starts):
        path, cost = _document_descent(config, 135, start, 200, rate=10)
        np.testing.assert_allclose(found.paths[index], path[found.steps], rtol=1e-9)
        np.testing.assert_allclose(found.costs[index, :-1], cost[found.steps[:-1]], rtol=1e-11)
    np.testing.assert_allclose(found.whole, found.costs, rtol=1e-11)
    assert found.names[1] == "from (-10.1, 15)"


# Ends


def test_ends_of_a_known_landscape():
    """A double well with a saddle between, that levels off far away."""

    def objective(point):
        x, y = point
        well = (x**2 - 1) ** 2 + 0.3 * x + y**2
        return well / (1 + well)

    x = np.roots([4, 0, -4, 0.3])
    deepest, saddle, shallow = np.sort(x.real)
    params = np.array([[deepest, 0], [shallow, 0], [saddle, 0], [60.0, 0], [deepest + 1e-3, 0], [6000.0, 0]])
    loss = np.array([float(objective(jnp.asarray(point))) for point in params])
    kinds = ends.kinds_of(objective, params, loss, loss.min(), 1.0, ends.EndsSettings(gradient=1e-10))
    assert [ends.KINDS[kind] for kind in kinds] == ["lowest", "local minimum", "saddle", "plateau", "lowest", "plateau"]


def test_ends_by_kind():
    axis = np.linspace(-1, 1, 9)
    starts = np.random.default_rng(0).uniform(-1, 1, (20, 2))
    ax = descent_ends(
        axis, axis, np.add.outer(axis**2, axis**2), starts, np.arange(20) % 3, ["low", "minimum", "saddle", "plateau"]
    )
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["low (7)", "minimum (7)", "saddle (6)"]
    np.testing.assert_array_equal(ax.lines[1].get_xydata(), starts[1::3])


# Gallery


@pytest.mark.slow
def test_the_gallery_counts_what_its_surfaces_show(finished):
    table = pd.read_csv(finished.path / "analysis" / "gallery.csv")
    assert table["sample"].value_counts().to_dict() == {"last-layer": 5, "hidden-layers-1": 5, "hidden-layers-2": 5}
    for seed in (0, 4):
        loss = slice_of(costs(SMALL, 30), seed, SMALL.entries, 8).surface.loss
        features = surface_features(loss)
        row = table[(table["sample"] == "last-layer") & (table["seed"] == seed)].iloc[0]
        assert (row["minima"], row["saddles"]) == (len(features.minima), len(features.saddles))
        assert row["nonconvexity"] == pytest.approx(features.nonconvexity, rel=1e-6)
    shares = pd.read_csv(finished.path / "analysis" / "gallery-shares.csv").set_index("sample")
    own = table[table["sample"] == "last-layer"]
    row = shares.loc["last-layer"]
    assert row["nonconvex"] == (own["nonconvexity"] > 0.01).mean()
    assert row["nonconvex_low"] <= row["nonconvex"] <= row["nonconvex_high"]


def test_surfaces_do_not_depend_on_which_others_are_made():
    cost, settings = costs(SMALL, 30), gallery.GallerySettings(grid=8)
    whole = gallery._block(cost, SMALL.entries, settings, range(4))
    parts = [gallery._block(cost, SMALL.entries, settings, seeds) for seeds in (range(1), range(1, 4))]
    for key, values in whole.items():
        np.testing.assert_array_equal(np.concatenate([part[key] for part in parts]), values)


# End to end


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Every analysis of a small network, at a scale of seconds."""
    analyses = {name: tiny_settings("surfaces", name) for name in STUDY.analyses}
    return jl.run(STUDY, SMALL, tmp_path_factory.mktemp("studies") / "s", fits=6, threads=1, analyses=analyses)


@pytest.mark.slow
def test_a_run_leaves_figures_animations_and_claims(finished):
    names = {str(path.relative_to(finished.path)) for path in finished.files}
    for stem in (
        "figure-03-surfaces-seed-135",
        "figure-05-06-descents-seed-7",
        "ends-seed-135",
        "gallery-last-layer",
        "planes-random",
        "planes-three-minima",
        "planes-trajectory",
    ):
        assert {f"figures/{stem}.png", f"figures/{stem}.svg"} <= names
    for film in ("figure-05-descent-seed-135", "figure-06-descent-seed-7", "planes-trajectory"):
        content = (finished.path / "figures" / f"{film}.gif").read_bytes()
        assert Image.open(io.BytesIO(content)).n_frames == (2 if film.startswith("planes") else 3)
    assert "sgd (learning_rate 5.0)" in (finished.path / "summary.md").read_text()
    # Not the document's data, and too few fits: the numbers of its pictures and what is stuck are not judged.
    verdicts = {claim.name: claim.verdict for claim in finished.claims}
    assert {verdicts[name] for name in ("cost-range", "routes", "stuck-plateau", "adam")} == {"not tested"}
    assert [verdicts[name] for name in ("weights", "pixels", "rms")] == ["agrees", "differs", "differs"]


@pytest.mark.slow
def test_stored_descents_are_those_of_the_documents_program(finished):
    store = StudyStore.open(finished.path)
    name = ensemble_name(7, "sgd")
    start = starting_points(ensembles(SMALL)[name].network, 6).astype(np.float64)
    assert (start >= -15).all()
    assert np.ptp(start) > 5
    stored = np.concatenate([shard.arrays["params"] for shard in store.stream(name)])
    for index in (0, 5):
        path, _ = _document_descent(SMALL, 7, start[index], 40, rate=10)
        np.testing.assert_allclose(stored[index], path[-1], rtol=1e-9)
    table = pd.read_csv(finished.path / "analysis" / "ends.csv")
    rows = table[(table["seed"] == 7) & (table["optimizer"] == "sgd")]
    np.testing.assert_allclose(rows[["start_a", "start_b"]], start, rtol=1e-8)
    np.testing.assert_allclose(rows[["end_a", "end_b"]], stored, rtol=1e-8)


@pytest.mark.slow
def test_planes_of_the_trained_network(finished):
    barriers = pd.read_csv(finished.path / "analysis" / "planes-barriers.csv")
    assert (barriers["highest"] >= barriers[["first", "last"]].max(axis=1)).all()
    kinds = barriers.groupby("units")["first"].first()
    # Units that change places change nothing.
    assert kinds["sorted"] == pytest.approx(kinds["as trained"], rel=1e-6)
    variance = pd.read_csv(finished.path / "analysis" / "planes-variance.csv")
    np.testing.assert_allclose(variance.groupby("fit")["share"].sum(), 1)
    paths = pd.read_csv(finished.path / "analysis" / "planes-trajectories.csv")
    last = paths[paths["step"] == 30]
    np.testing.assert_allclose(last["true_cost"], last["in_plane_cost"], rtol=1e-6)
    store = StudyStore.open(finished.path)
    assert list((store.path / "parts" / "planes").rglob("trained-*.npz"))


@pytest.mark.slow
def test_all_weights_and_two_of_them(finished):
    (claim,) = [claim for claim in finished.claims if claim.name == "minor-adjustments"]
    _, cost = _document_descent(SMALL, 135, (-9, 15), 6, rate=10)
    assert f"instead of {cost[5]:.4f}" in claim.detail


# Data and configurations


def _idx(path, array):
    header = struct.pack(f">2xBB{array.ndim}I", 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))
    return str(path)


@pytest.fixture
def mnist_like(tmp_path):
    pictures = RNG.integers(256, size=(120, 28, 28))
    labels = np.arange(120) % 10
    return {"images": _idx(tmp_path / "i.gz", pictures), "labels": _idx(tmp_path / "l.gz", labels)}


def test_files_of_the_documents_kind_are_judged(mnist_like):
    config = SurfacesConfig(data="idx", **mnist_like)
    assert config.is_source
    assert config.caveat == ""
    cost = costs(config, 100)
    claims = landscape._claims(config, cost, {135: [slice_of(cost, 135, config.entries, 8)] * 2})
    # Noise shows nothing of what the document saw.
    verdicts = {claim.name: claim.verdict for claim in claims}
    assert [verdicts[name] for name in ("weights", "features", "cost-range")] == ["agrees", "differs", "differs"]
    assert from_json(SurfacesConfig, to_json(config)) == config
    assert not dataclasses.replace(config, samples=50).is_source


def test_other_files_than_those_a_study_began_with_are_refused(mnist_like, tmp_path):
    config = SurfacesConfig(data="idx", **mnist_like)
    _idx(tmp_path / "i.gz", np.zeros((120, 28, 28)))
    with pytest.raises(ValueError, match="is not the file this study began with"):
        config.pictures(10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "idx"}, "needs both --images and --labels"),
        ({"data": "idx", "images": "no", "labels": "no"}, "cannot read no"),
        ({"weights": (1, 1)}, "each once"),
        ({"weights": (-1,)}, "seeds of weights"),
        ({"optimizers": ("lion",)}, "unknown optimizer"),
        ({"units": (250, 500)}, "units must be two of 0 to 499"),
        ({"units": (3, 3)}, "units must be two"),
        ({"output": 10}, "there is no output 10"),
        ({"hidden": ()}, "hidden must be"),
        ({"samples": 0}, "samples must be a positive"),
        ({"epochs": 0}, "epochs must be a positive"),
        ({"adam": jl.training.Adam(float("nan"))}, "must be finite"),
    ],
)
def test_bad_configurations(changes, message):
    with pytest.raises(ValueError, match=message):
        SurfacesConfig(**changes)


def test_more_samples_than_there_are():
    with pytest.raises(ValueError, match="has 1,797 pictures; 2,000 were asked for"):
        ensembles(dataclasses.replace(SMALL, samples=2000))
