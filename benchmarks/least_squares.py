"""Digits and evaluations on NIST's nonlinear regressions: jaxland, MINPACK by way of SciPy, optimistix.

    python benchmarks/least_squares.py [NAME ...]

From either start of each, in float64, with no more than 500 evaluations; none is told anything of a problem but its
derivatives. The tolerances of the others are 1e-14. Digits are those that the worst parameter shares with what is
certified.
"""

import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from nist import MODELS, Regression, regression
from scipy.optimize import least_squares

import jaxland as jl
from jaxland.bench.report import processor

EVALUATIONS = 500
TOLERANCE = 1e-14


def ours(case: Regression) -> list[tuple[np.ndarray, int]]:
    """Parameters and evaluations from either start."""
    found = jl.training.solve(case.network, case.problem, "levenberg_marquardt", case.starts, evaluations=EVALUATIONS)
    return list(zip(found.params, found.evaluations.tolist(), strict=True))


def minpack(case: Regression) -> list[tuple[np.ndarray, int]]:
    """Likewise, with compiled residuals and Jacobian; what SciPy refuses has no parameters."""

    def solve(start):
        try:
            found = least_squares(
                lambda b: np.asarray(residuals(b)),
                start,
                lambda b: np.asarray(jacobian(b)),
                method="lm",
                xtol=TOLERANCE,
                ftol=TOLERANCE,
                gtol=TOLERANCE,
                max_nfev=EVALUATIONS,
            )
        except ValueError:
            return np.full(len(start), np.nan), 0
        return found.x, found.nfev

    with jax.enable_x64(True):
        residuals = jax.jit(_residuals(case))
        jacobian = jax.jit(jax.jacfwd(_residuals(case)))
        return [solve(start) for start in case.starts]


def by_optimistix(case: Regression) -> list[tuple[np.ndarray, int]]:
    """Likewise, with its Levenberg-Marquardt."""
    solver = optimistix.LevenbergMarquardt(rtol=TOLERANCE, atol=TOLERANCE)
    function = _residuals(case)

    @jax.jit
    def solve(start):
        found = optimistix.least_squares(lambda b, _: function(b), solver, start, max_steps=EVALUATIONS, throw=False)
        return found.value, found.stats["num_steps"]

    with jax.enable_x64(True):
        return [(np.asarray(b), int(steps)) for b, steps in map(solve, jnp.asarray(case.starts))]


def _residuals(case: Regression):
    x, y = case.problem.x, case.problem.y
    return lambda b: jnp.ravel(case.network.apply(b, x) - y)


def main() -> None:
    """Prints the table in Markdown."""
    warnings.simplefilter("ignore")  # overflow on the way is theirs to deal with
    ways = {"`jl.training.solve`": ours, "MINPACK": minpack, "optimistix": by_optimistix}
    print(f"{processor()}; {jl.training.versions()}; {EVALUATIONS} evaluations at most, float64\n")
    print("| problem, start | " + " | ".join(ways) + " |\n|---|" + "---|" * len(ways))
    enough, total = dict.fromkeys(ways, 0), 0
    for name in sys.argv[1:] or MODELS:
        case = regression(name)
        found = {way: solve(case) for way, solve in ways.items()}
        for start in range(len(case.starts)):
            digits = {way: (case.digits(each[start][0]), each[start][1]) for way, each in found.items()}
            told = (f"{each:.1f} in {used}" for each, used in digits.values())
            print(f"| {name}, {start + 1} | " + " | ".join(told) + " |", flush=True)
            total += 1
            for way, (each, _) in digits.items():
                enough[way] += each >= 8
    print(f"| at least 8 digits, of {total} | " + " | ".join(map(str, enough.values())) + " |")


if __name__ == "__main__":
    main()
