"""Time of the plain Levenberg-Marquardt on the sawtooth: 136 parameters, 320 residuals, float64.

    python benchmarks/solvers.py [STARTS] [EVALUATIONS]

Beside two plain loops over starts: SciPy's (MINPACK) and optimistix's, both with compiled residuals and Jacobians.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from scipy.optimize import least_squares

import jaxland as jl
from jaxland.bench.report import processor

LOOPED = 4
PROBLEM = jl.problems.sawtooth()
NETWORK = jl.mlp([1, 5, 5, 5, 5, 5, 1])


def residuals(params):
    """Of the mean squared error, (320,)."""
    x, y = jnp.asarray(PROBLEM.x, params.dtype), jnp.asarray(PROBLEM.y, params.dtype)
    return jnp.ravel(NETWORK.apply_flat(params, x) - y) / np.sqrt(len(PROBLEM.x))


def scipy_loop(starts: np.ndarray, evaluations: int) -> float:
    """Seconds an evaluation."""
    with jax.enable_x64(True):
        function, jacobian = jax.jit(residuals), jax.jit(jax.jacfwd(residuals))
        count = 0

        def counted(params):
            nonlocal count
            count += 1
            return np.asarray(function(jnp.asarray(params)))

        def derivative(params):
            return np.asarray(jacobian(jnp.asarray(params)))

        counted(starts[0])
        derivative(starts[0])
        count, began = 0, time.perf_counter()
        for start in starts[:LOOPED]:
            least_squares(counted, start, jac=derivative, method="lm", max_nfev=evaluations)
        return (time.perf_counter() - began) / count


def optimistix_loop(starts: np.ndarray, evaluations: int) -> float:
    """Seconds an evaluation."""
    solver = optimistix.LevenbergMarquardt(rtol=1e-15, atol=1e-15)
    with jax.enable_x64(True):

        @jax.jit
        def search(start):
            found = optimistix.least_squares(
                lambda params, _: residuals(params), solver, start, max_steps=evaluations, throw=False
            )
            return found.value, found.stats["num_steps"]

        jax.block_until_ready(search(jnp.asarray(starts[0])))
        began = time.perf_counter()
        steps = sum(int(search(jnp.asarray(start))[1]) for start in starts[:LOOPED])
        return (time.perf_counter() - began) / steps


def main() -> None:
    """Prints the table in Markdown."""
    count, evaluations = (int(sys.argv[k]) if len(sys.argv) > k else default for k, default in ((1, 64), (2, 100)))
    starts = jl.training.starting_points(NETWORK, count).astype(np.float64)

    def solve():
        return jl.training.solve(NETWORK, PROBLEM, "hagan_menhaj", starts, evaluations=evaluations)

    solve()
    began = time.perf_counter()
    solve()
    ours = (time.perf_counter() - began) / (count * evaluations)
    ways = {"`jl.training.solve`": ours, "SciPy, one start after another": scipy_loop(starts, evaluations)}
    ways["optimistix, one start after another"] = optimistix_loop(starts, evaluations)
    print(f"{processor()}; {jl.training.versions()}; {count} starts, {evaluations} evaluations, float64\n")
    print("| Levenberg-Marquardt | milliseconds an evaluation and start | times `solve` |\n|---|---|---|")
    for name, seconds in ways.items():
        print(f"| {name} | {1e3 * seconds:.3g} | {seconds / ours:.1f} |")


if __name__ == "__main__":
    main()
