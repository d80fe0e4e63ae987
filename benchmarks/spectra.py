"""Time of exact Hessian spectra: all 136 eigenvalues of many 5 x 5 networks on 320 points, in float64.

    python benchmarks/spectra.py [FITS]

Beside a plain loop that takes the compiled `jax.hessian` of one fit after another, and the five largest eigenvalues
alone, by 30 Lanczos steps in float64 and float32, of which it is printed how many have converged. Times are medians of
three, taken in turn and without compilation. The fits are random draws; the time does not depend on the values.
"""

import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.bench.timing import medians
from jaxland.landscape import hessian_of, largest_eigenvalues, spectra
from jaxland.networks import smoothed


def plain_loop(objective: Callable) -> Callable[[np.ndarray], np.ndarray]:
    """Eigenvalues of one fit after another."""
    hessian = jax.jit(jax.hessian(objective))

    def eigenvalues(params):
        with jax.enable_x64(True), jax.default_matmul_precision("highest"):
            return np.stack([np.linalg.eigvalsh(hessian(jnp.asarray(vector))) for vector in params])

    return eigenvalues


def main() -> None:
    """Checks that the ways agree, measures them and prints a table in Markdown."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    problem, network = jl.problems.sawtooth(), jl.mlp([1, 5, 5, 5, 5, 5, 1])
    smooth = smoothed(network)
    objective = problem.objective(smooth)
    kernel = {
        dtype: hessian_of(objective, jl.training.hessian_products(smooth, problem, dtype=dtype))
        for dtype in ("float64", "float32")
    }
    params = jl.training.starting_points(network, fits).astype(np.float64)
    ways = {
        "`spectra`": lambda some: spectra(objective, some).eigenvalues,
        "`spectra`, products by a kernel": lambda some: spectra(kernel["float64"], some).eigenvalues,
        "`spectra` with eigenvectors": lambda some: spectra(objective, some, vectors=True).eigenvalues,
        "plain loop": plain_loop(objective),
    }
    expected = ways["plain loop"](params[:50])
    for name, way in ways.items():
        np.testing.assert_allclose(way(params[:50]), expected, atol=1e-12 * np.abs(expected).max(), err_msg=name)
    for dtype in ("float64", "float32"):
        for by, curvature in {"": objective, ", products by a kernel": kernel[dtype]}.items():
            found = largest_eigenvalues(curvature, params[:50].astype(dtype), 5)
            errors = np.abs(found.values - expected[:, ::-1][:, :5]) / expected[:, -1:]
            converged, error = found.converged.mean(), errors.max()
            print(f"five largest in {dtype}{by}: {converged:.0%} converged, largest relative error {error:.1e}")
            ways[f"`largest_eigenvalues`, five, {dtype}{by}"] = lambda some, dtype=dtype, curvature=curvature: (
                largest_eigenvalues(curvature, some.astype(dtype), 5).values
            )
    rates = medians({name: lambda way=way: _rate(way, params) for name, way in ways.items()}, rounds=3)
    print(f"{processor()}; {jl.training.versions()}; {fits:,} fits, float64")
    print("\n| way | seconds | milliseconds a fit | times the plain loop |\n|---|---|---|---|")
    for name, rate in rates.items():
        print(f"| {name} | {fits / rate:.2f} | {1e3 / rate:.2f} | {rate / rates['plain loop']:.2f} |")


def _rate(way, params):
    began = time.perf_counter()
    way(params)
    return len(params) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
