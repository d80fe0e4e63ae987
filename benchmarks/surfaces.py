"""Time of a 40 x 40 surface over two weights of the 784-50-500-10 network on 10,000 samples.

    python benchmarks/surfaces.py [SAMPLES] [GRID] [POINTS] [all]

Beside a plain loop over grid points that evaluates the whole compiled network at each, as the source of the study does
with NumPy; the loop is timed on POINTS of the grid (10 by default) and its time scaled to all of them. Pixels and
weights are random: the time does not depend on the values. Times leave compilation out, but for one column. With `all`
come two weights of the first layer, which change the whole second layer, and a random plane, which changes all weights,
so that nothing can be shared: each takes minutes.
"""

import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxland.bench.report import processor
from jaxland.landscape import Plane, coordinate_plane, plane_losses, random_plane, surface
from jaxland.problems import Problem
from jaxland.replications.surfaces.config import A, B
from jaxland.replications.surfaces.weights import sigmoid_network, source_weights
from jaxland.training import versions

WIDTHS = (50, 500)
ENTRIES = {
    "last layer": ("2.weight[5,250]", "2.weight[5,251]"),
    "second layer": ("1.weight[200,30]", "1.weight[200,31]"),
    "first layer": ("0.weight[20,400]", "0.weight[20,401]"),
}


def plain_loop(objective: Callable, dtype: str) -> Callable[[Plane, np.ndarray], np.ndarray]:
    """Losses at one point after another, each from the whole network."""
    program = jax.jit(objective)

    def losses(plane: Plane, coordinates: np.ndarray) -> np.ndarray:
        with jax.enable_x64(dtype == "float64"), jax.default_matmul_precision("highest"):
            return np.array([float(program(jnp.asarray(point, dtype))) for point in plane.points(coordinates)])

    return losses


def main() -> None:
    """Checks that the ways agree, measures them and prints a table in Markdown."""
    every = sys.argv[-1] == "all"
    given = [int(value) for value in sys.argv[1 : len(sys.argv) - every]]
    samples, grid, points = [*given, *(10_000, 40, 10)[len(given) :]]
    rng = np.random.default_rng(0)
    problem = Problem(rng.random((samples, 784)), np.eye(10)[rng.integers(10, size=samples)], "mean_sum_squared_error")
    network = sigmoid_network(784, WIDTHS)
    objective, params = problem.objective(network), source_weights(network, 135)
    planes = {name: coordinate_plane(params, entries, network) for name, entries in ENTRIES.items()}
    planes["random plane"] = random_plane(network, params)
    if not every:
        planes = {name: planes[name] for name in ("last layer", "second layer")}
    a, b = np.linspace(*A, grid), np.linspace(*B, grid)
    print(f"{processor()}; {versions()}; {samples:,} samples, {grid} x {grid} points")
    print("\n| plane | number format | seconds | with compiling | plain loop | times | largest difference |")
    print("|---|---|---|---|---|---|---|")
    for dtype in ("float64", "float32"):
        loop = plain_loop(objective, dtype)
        loop(planes["last layer"], np.zeros((1, 2)))
        for name, plane in planes.items():
            first, _ = _timed(lambda plane=plane, dtype=dtype: surface(objective, plane, a, b, dtype=dtype))
            seconds, found = _timed(lambda plane=plane, dtype=dtype: surface(objective, plane, a, b, dtype=dtype))
            rows, columns = rng.integers(grid, size=(2, points))
            chosen = np.column_stack([a[columns], b[rows]])
            slow, expected = _timed(lambda plane=plane, loop=loop, chosen=chosen: loop(plane, chosen))
            difference = np.abs(found.loss[rows, columns] / expected - 1).max()
            np.testing.assert_allclose(plane_losses(objective, plane, chosen, dtype=dtype), expected, rtol=1e-5)
            slow *= grid**2 / points
            print(
                f"| {name} | {dtype} | {seconds:.3g} | {first:.3g} | {slow:.3g} | {slow / seconds:.0f} | "
                f"{difference:.1e} |",
                flush=True,
            )


def _timed(work: Callable):
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


if __name__ == "__main__":
    main()
