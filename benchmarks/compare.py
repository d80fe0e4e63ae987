"""Ways to train the main network of the sawtooth study, timed in turn in one run on one machine.

    python benchmarks/compare.py

`jaxland bench` prints the same comparison with the peak of the machine and other networks; this is the part that needs
nothing but a few minutes. PyTorch is left out where it is not installed (`pip install 'jaxland[compare]'`).
"""

import jaxland as jl
from jaxland.bench.peers import PROBLEM
from jaxland.bench.report import MAIN, backend, peers, processor
from jaxland.bench.timing import medians
from jaxland.training import available_threads


def main() -> None:
    """Prints the table in Markdown."""
    ways = {f"jaxland, {name}": backend(MAIN.ensemble, name, available_threads()) for name in jl.training.BACKENDS}
    rates = medians(ways | peers())
    base = rates["JAX, the obvious vmap (h @ w)"]
    print(f"{processor()}; {jl.training.versions()}; {len(PROBLEM.x)} points\n")
    print("| way | net-steps/s | ratio to the obvious vmap |\n|---|---|---|")
    for name, rate in sorted(rates.items(), key=lambda item: item[1]):
        print(f"| {name} | {rate:.3g} | {rate / base:.2f} |")


if __name__ == "__main__":
    main()
