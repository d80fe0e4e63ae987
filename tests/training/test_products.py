"""Matrix products as multiplications and sums, and the choice between the two ways on an accelerator."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from reference import loss_and_gradient

import jaxland as jl
from jaxland.training import Ensemble, numerics, train
from jaxland.training.products import products_as_sums
from jaxland.training.xla import MATMULS, XlaTrainer

pytestmark = pytest.mark.sampled

RNG = np.random.default_rng(0)
X = np.linspace(-1, 1, 23)
PROBLEM = jl.Problem(X, np.sin(3 * X))
NETWORK = jl.mlp([1, 3, 1], "tanh")


def _ensemble(dtype="float64", **changes):
    return Ensemble(NETWORK, PROBLEM, optax.sgd(0.05, momentum=0.9), steps=6, dtype=dtype, **changes)


def _program(trainer):
    with numerics(trainer._dtype):
        return trainer._lowered()["advance"].as_text()


@pytest.mark.parametrize(
    "subscripts", ["ij,jk->ik", "ij,kj->ik", "bij,bjk->bik", "ji,jk->ki", "bij,jbk->kbi", "ij,ij->", "abij,bajk->abik"]
)
def test_products_are_those_of_numpy(subscripts):
    sizes = dict(zip("abijk", (2, 3, 4, 5, 6), strict=True))
    first, second = (RNG.normal(size=[sizes[axis] for axis in axes]) for axes in subscripts.split("->")[0].split(","))

    def product(a, b):
        return jnp.einsum(subscripts, a, b, preferred_element_type=jnp.float64)

    with jax.enable_x64(True):
        program = jax.make_jaxpr(products_as_sums(product))(first, second)
        result = products_as_sums(product)(first, second)
    assert "dot_general" not in str(program)
    np.testing.assert_allclose(result, np.einsum(subscripts, first, second), rtol=1e-12, atol=1e-14)


def test_products_within_loops_conditions_and_calls_are_found():
    square = RNG.normal(size=(4, 4))

    def function(tree):
        matrix = tree["matrix"]

        def body(carry, row):
            up = jax.lax.cond(row[0] > 0, lambda: carry @ matrix, lambda: matrix @ carry)
            return up / 3, jax.nn.relu(jax.jit(jnp.matmul)(matrix, row))

        last, rows = jax.lax.scan(body, matrix, matrix)
        return {"last": jax.lax.while_loop(lambda m: m.sum() > 1e9, lambda m: m @ m, last), "rows": rows}

    with jax.enable_x64(True):
        tree = {"matrix": jnp.asarray(square), "nothing": None}
        program = jax.make_jaxpr(products_as_sums(function))(tree)
        result, expected = products_as_sums(function)(tree), function(tree)
        batch = jax.vmap(products_as_sums(function))({"matrix": jnp.stack([square, -square])})
    assert "dot_general" not in str(program)
    last, rows = square, []
    for row in square:
        rows.append(np.maximum(square @ row, 0))
        last = (last @ square if row[0] > 0 else square @ last) / 3
    for values in (result, expected, {name: each[0] for name, each in batch.items()}):
        np.testing.assert_allclose(values["last"], last, rtol=1e-12)
        np.testing.assert_allclose(values["rows"], rows, rtol=1e-12)


@pytest.mark.parametrize("matmul", MATMULS)
def test_either_way_trains_as_numpy_does(matmul):
    ensemble = _ensemble(snapshots=(0,))
    trainer = XlaTrainer(ensemble, {"width": 4, "matmul": matmul})
    assert trainer.settings == {"width": 4, "matmul": matmul}
    result, snapshots = train(trainer, ensemble, 0, 4, threads=1)
    assert ("dot_general" in _program(trainer)) == (matmul == "dot")
    for start, end, last in zip(snapshots[:, 0], result.params, result.loss, strict=True):
        vector, velocity = start, 0.0
        for _ in range(6):
            velocity = 0.9 * velocity + loss_and_gradient(vector, (1, 3, 1), "tanh", PROBLEM.x, PROBLEM.y)[1]
            vector = vector - 0.05 * velocity
        np.testing.assert_allclose(end, vector, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            last, loss_and_gradient(vector, (1, 3, 1), "tanh", PROBLEM.x, PROBLEM.y)[0], rtol=1e-10
        )


def test_on_a_cpu_and_in_older_settings_products_are_dots():
    for settings in (None, {"width": 16}):
        trainer = XlaTrainer(_ensemble("float32"), settings)
        assert "matmul" not in trainer.settings
    with pytest.raises(ValueError, match="matmul"):
        XlaTrainer(_ensemble(), {"width": 4, "matmul": "product"})


def test_on_an_accelerator_the_faster_way_is_measured_once_and_remembered(monkeypatch, tmp_path):
    monkeypatch.setenv("JAXLAND_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("jaxland.training.xla.ACCELERATOR_WIDTH", 4)
    monkeypatch.setattr("jaxland.training.xla._platform", lambda device: "gpu")
    asked, measure = [], XlaTrainer._seconds_per_step

    def measured(self, matmul):
        asked.append(matmul)
        assert 0 < measure(self, matmul) < 1
        return {"dot": 2.0, "sum": 1.0}[matmul]

    monkeypatch.setattr("jaxland.training.xla._MEASURED_SECONDS", 1e-4)
    monkeypatch.setattr(XlaTrainer, "_seconds_per_step", measured)
    ensemble = _ensemble("float32")
    first, second = XlaTrainer(ensemble), XlaTrainer(ensemble)
    assert asked == ["dot", "sum"]
    assert first.settings == second.settings == {"width": 4, "matmul": "sum"}
    # What runs is what was chosen, after both were compiled.
    assert " dot(" not in first._programs_on(0).advance.as_text()
    assert " dot(" in XlaTrainer(ensemble, {"width": 4})._programs_on(0).advance.as_text()
    assert asked == ["dot", "sum"]


def test_a_way_without_room_on_the_device_is_not_chosen(monkeypatch):
    def full(self, group, steps):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED")

    trainer = XlaTrainer(_ensemble("float32"), {"width": 4})
    monkeypatch.setattr(XlaTrainer, "advance", full)
    assert trainer._seconds_per_step("sum") == np.inf
