"""Equal expressions are one node of the scalar program, and a sum may hold that node more than once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training.lanes.scalar_programs import by_llvm, lower

X = np.array([0.3, -0.8])


def _square(x):
    return x[0] * x[1] + x[0] ** 2


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda x: jnp.sum(jnp.stack([_square(x)] * 2)), lambda a, b: 2 * (a * b + a**2)),
        (lambda x: jnp.sum(jnp.repeat(x[0] * x[1], 5)), lambda a, b: 5 * a * b),
        (lambda x: jnp.mean(jnp.stack([x[0], x[1], x[0], x[0]])), lambda a, b: (3 * a + b) / 4),
        (lambda x: jnp.stack([x[0], x[0], -x[0]]) @ jnp.stack([x[1], x[1], x[1]]), lambda a, b: a * b),
        (lambda x: x[1] + jnp.sum(jnp.stack([x[0] * x[0]] * 3)), lambda a, b: b + 3 * a**2),
        (lambda x: jax.nn.softmax(jnp.stack([x[0]] * 4))[1], lambda a, b: 0.25 + 0 * a),
        (lambda x: jax.grad(lambda x: jnp.max(jnp.stack([x[0] * x[1]] * 3)))(x)[0], lambda a, b: b),
        (lambda x: jnp.linalg.norm(jnp.stack([x[0], x[0], x[1]])), lambda a, b: np.sqrt(2 * a**2 + b**2)),
    ],
    ids=["twice", "repeated", "mean", "products", "beside another", "softmax", "maximum", "norm"],
)
def test_a_sum_holds_every_one_of_its_terms(function, expected):
    _, outputs, _ = lower(function, X)
    columns = [np.linspace(-1.5, 0.7, 9), np.linspace(0.4, 2, 9)]
    (found,) = by_llvm(outputs, columns)
    np.testing.assert_allclose(found, expected(*columns), rtol=1e-14)
