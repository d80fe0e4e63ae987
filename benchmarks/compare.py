"""Ways to train the main network of the sawtooth study, timed in turn in one run on one machine.

    python benchmarks/compare.py

`jaxland bench` prints the same comparison with the peak of the machine and other networks; this is the part that needs
nothing but a few minutes. Backends that this machine has nothing for are left out, and so is PyTorch where it is not
installed (`pip install torch`). On a machine with an NVIDIA GPU, see `gpu.py`.
"""

import jaxland as jl
from jaxland.bench.peers import PROBLEM
from jaxland.bench.report import MAIN, backends, peers, processor
from jaxland.bench.timing import medians


def main() -> None:
    """Prints the table in Markdown."""
    ways, absent = backends(MAIN.ensemble)
    rates = medians({f"jaxland, {name}": timed for name, timed in ways.items()} | peers())
    base = rates["JAX, the obvious vmap (h @ w)"]
    print(f"{processor()}; {jl.training.versions()}; {len(PROBLEM.x)} points\n")
    print("| way | net-steps/s | ratio to the obvious vmap |\n|---|---|---|")
    for name, rate in sorted(rates.items(), key=lambda item: item[1]):
        print(f"| {name} | {rate:.3g} | {rate / base:.2f} |")
    for name, reason in absent.items():
        print(f"\n{name} was left out: {reason}")


if __name__ == "__main__":
    main()
