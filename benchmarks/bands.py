"""Time of minimum-energy paths: known saddles beside ASE, and bands of the sawtooth to their honest end.

    python benchmarks/bands.py [BANDS]

The known saddles are those of tests/landscape/test_neb.py, with the default settings. ASE relaxes the same bands by its
nudged elastic band with climbing from the start, improved tangents, springs of 0.1 and FIRE, until no force is larger
than `relax` allows, or for 1,000 steps; it is left out where it is not installed (`pip install ase`). An evaluation is
one loss and gradient of one image. CPU seconds are without compilation, of the calculator of ASE too.

The bands of the sawtooth are BANDS (100) of 50 images from its global minimum to fits of 20,000 steps of momentum, with
the default settings, until each converges, stalls or is found to lie on kinks. How far an image may go in a step is
compared on a smooth surface, where only the number of steps depends on it, and on eight of these bands.
"""

import sys
import time

import jax
import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.landscape import Bands, NebSettings, energies_of, interpolate, relax, straight_bands
from jaxland.problems import gradients_of
from jaxland.training import available_threads, gradients

try:
    from ase import Atoms
    from ase.calculators.calculator import Calculator, all_changes
    from ase.mep import NEB
    from ase.optimize import FIRE
except ImportError:
    NEB = None

IMAGES = 50
ASE_STEPS = 1_000
MOVES = (0.2, 2.5)
"""Gaps that an image may go at most in a step: the default, and what is as good on a smooth surface."""
FEW = 8
"""Bands of the sawtooth that are relaxed with each of them."""


def known() -> dict:
    """Names to (objective, start, stop, the saddle's height)."""

    def mueller_brown(point):
        x, y = point[0] - np.array([1, 0, -0.5, -1]), point[1] - np.array([0, 0.5, 1.5, 1])
        a, b, c = np.array([-1, -1, -6.5, 0.7]), np.array([0, 0, 11, 0.6]), np.array([-10, -10, -6.5, 0.7])
        return (np.array([-200, -100, -170, 15.0]) * jax.numpy.exp(a * x * x + b * x * y + c * y * y)).sum()

    def camelback(point):
        x, y = point
        return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + 4 * (y**2 - 1) * y**2

    def leps(point):
        falls = [jax.numpy.exp(-1.942 * (r - 0.742)) for r in (point[0], point[1], point[0] + point[1])]
        scaled = list(zip((4.746 / 1.05, 4.746 / 1.3, 3.445 / 1.05), falls, strict=True))
        exchange = [d / 4 * (e**2 - 6 * e) for d, e in scaled]
        squares = sum((exchange[i] - exchange[i - 1]) ** 2 for i in range(3)) / 2
        return sum(d / 2 * (1.5 * e**2 - e) for d, e in scaled) - jax.numpy.sqrt(squares)

    def wells(point):
        return (point[0] ** 2 - 1) ** 2 + 2 * (point[1] - point[0]) ** 2

    return {
        "Mueller-Brown, both saddles": (mueller_brown, [-0.558, 1.442], [0.623, 0.028], -40.66484351),
        "Mueller-Brown, lower saddle": (mueller_brown, [-0.050011, 0.466694], [0.623499, 0.028038], -72.24894011),
        "LEPS I": (leps, [0.742, 3.5], [3.5, 0.742], -3.17691309),
        "camelback, 0 to 2": (camelback, [-0.08984201, 0.7126564], [-1.70360671, 0.79608357], 0.5437186),
        "camelback, 2 to 4": (camelback, [-1.70360671, 0.79608357], [-1.60710475, -0.56865145], 2.2293572),
        "camelback, 0 to 1": (camelback, [-0.08984201, 0.7126564], [0.08984201, -0.7126564], 0.0),
        "coupled wells": (wells, [-1.0, -1], [1.0, 1], 1.0),
    }


def by_ase(objective, band: np.ndarray, force: float) -> tuple[int, float, float]:
    """Steps that ASE takes until no force is larger, the highest energy, and CPU seconds."""
    with jax.enable_x64(True):
        run = jax.jit(jax.value_and_grad(objective))
        run(band[0])  # compiles

    class Surface(Calculator):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

        def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            with jax.enable_x64(True):
                loss, slope = run(self.atoms.positions[0, :2])
            self.results = {"energy": float(loss), "forces": np.append(-np.asarray(slope), 0.0)[None]}

    images = []
    for point in band:
        atoms = Atoms("H", positions=[[*point, 0.0]])
        atoms.calc = Surface()
        images.append(atoms)
    optimizer = FIRE(NEB(images, k=0.1, climb=True, method="improvedtangent"), logfile=None)
    began = time.process_time()
    optimizer.run(fmax=force, steps=ASE_STEPS)
    seconds = time.process_time() - began
    return optimizer.nsteps, max(each.get_potential_energy() for each in images), seconds


def saddles(images: int = 15) -> None:
    """Prints the table of known saddles."""
    print(f"\n{images} images; error of the saddle's height, evaluations, CPU seconds:\n")
    print("| surface | `relax` | evaluations | CPU s | ASE | evaluations | CPU s |\n|---|---|---|---|---|---|---|")
    for name, (objective, start, stop, height) in known().items():
        evaluate, band = gradients_of(objective), straight_bands(np.array([start]), np.array([stop]), images)
        counted = []

        def counting(points, evaluate=evaluate, counted=counted):
            counted.append(len(points))
            return evaluate(points)

        relax(counting, band)  # compiles
        began = time.process_time()
        result = relax(evaluate, band)
        seconds = time.process_time() - began
        ours = f"{result.energies.max() - height:.0e} ({result.reason[0]}) | {sum(counted):,} | {seconds:.2f}"
        theirs = "not installed | | "
        if NEB is not None:
            steps, top, spent = by_ase(objective, band[0], _force(evaluate, result))
            told = "" if steps < ASE_STEPS else " (not converged)"
            theirs = f"{top - height:.0e}{told} | {(steps + 1) * (images - 2):,} | {spent:.2f}"
        print(f"| {name} | {ours} | {theirs} |", flush=True)


def _force(evaluate, result: Bands) -> float:
    """The largest force with which `relax` takes a band to have converged: of its tolerance, in units of the band."""
    images = result.images[0]
    straight = straight_bands(images[:1], images[-1:], len(images))[0]
    own, unit = (np.linalg.norm(evaluate(each[1:-1])[1], axis=1).mean() for each in (images, straight))
    return NebSettings().tolerance * float(np.clip(own, unit / 30, unit))


def moves() -> None:
    """Prints the steps to known saddles, by how far an image may go in one."""
    print("\nSteps on Mueller and Brown's surface, both saddles and the lower one, moves of so many gaps at most:\n")
    print(f"| images | {' | '.join(map(str, MOVES))} |\n|---|{'---|' * len(MOVES)}")
    surfaces = list(known().values())[:2]
    for images in (7, 15, 51, 101):
        told = []
        for share in MOVES:
            neb, found = NebSettings(longest_move=share), []
            for objective, start, stop, _ in surfaces:
                band = straight_bands(np.array([start]), np.array([stop]), images)
                found.append(relax(gradients_of(objective), band, neb))
            told.append(", ".join(f"{each.steps[0]} ({each.reason[0]})" for each in found))
        print(f"| {images} | {' | '.join(told)} |", flush=True)


def sawtooth(count: int) -> None:
    """Prints how long the bands of the sawtooth take, how they end, and how high they are with longer moves."""
    problem = jl.problems.sawtooth()
    network = problem.network
    params = jl.fit(network, problem, optax.sgd(0.01, momentum=0.9), fits=count, steps=20_000, seed=0).params
    ends = jl.symmetrise(network, params.astype(np.float64), x=problem.x).params
    minimum = jl.symmetrise(network, problem.minimum[None], x=problem.x).params
    bands = straight_bands(minimum[0], ends, IMAGES)
    evaluate = gradients(network, problem)
    evaluate(bands[0])  # compiles
    began, used = time.perf_counter(), time.process_time()
    result = relax(evaluate, bands, threads=available_threads())
    seconds, used = time.perf_counter() - began, time.process_time() - used
    reasons = ", ".join(
        f"{number} {reason}" for reason, number in zip(*np.unique(result.reason, return_counts=True), strict=True)
    )
    above = result.energies.max(axis=1) / result.energies[:, -1] - 1
    print(f"\n{count} bands of {IMAGES} images, {network.spec.name}, 320 points: {reasons}.")
    print(f"{result.steps.sum():,} steps, {seconds:.0f} s, {used:.0f} CPU s on {available_threads()} threads.")
    print(f"Medians: {np.median(result.steps):,.0f} steps, residual {np.median(result.residual):.1e}, bounce")
    print(f"{np.median(result.bounce):.2f}, highest image {100 * np.median(above):.1f} % above the fit.")
    for share in MOVES:
        found = relax(evaluate, bands[:FEW], NebSettings(longest_move=share), threads=available_threads())
        highest = energies_of(evaluate, interpolate(found.images, 9)).max(axis=1)
        print(
            f"Moves of {share} gaps, {len(found.steps)} bands, medians: {np.median(found.steps):,.0f} steps, mean loss "
            f"{np.median(found.energies.mean(axis=1)):.5f}, highest on the band {np.median(highest):.5f}."
        )


def main() -> None:
    """Measures and prints tables in Markdown."""
    print(f"{processor()}; {jl.training.versions()}; float64")
    saddles()
    moves()
    sawtooth(int(sys.argv[1]) if len(sys.argv) > 1 else 100)


if __name__ == "__main__":
    main()
