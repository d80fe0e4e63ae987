"""Registers of the cuda backend's kernels, and the bytes a thread spills, as the compiler counts them; needs no GPU.

    python benchmarks/registers.py [ARCHITECTURE ...]

With tiles of one point, but for the main network, whose tiles and optimizers are varied.
"""

import sys

from machine.gpu import BETWEEN

from jaxland.bench.cases import MAIN, NETWORKS, OPTIMIZERS, Case
from jaxland.training.cuda import Variant, compile_source, compiler_version, write_source
from jaxland.training.program.programs import layout_of, schedule_programs
from jaxland.training.program.trace import trace_update

ARCHITECTURES = ["sm_80", "sm_90", "sm_100"]
# Bytes of shared memory of a block, from NVIDIA's tables of compute capabilities.
SHARED = {"sm_80": 163 << 10}
MOST_SHARED = 227 << 10


def row(case: Case, variant: Variant, architecture: str) -> str:
    """One line of the table."""
    ensemble, update = case.ensemble, trace_update(case.ensemble)
    layout = layout_of(ensemble, update, 132 * variant.networks)
    programs = schedule_programs(ensemble, update, variant.tile)
    source = write_source(ensemble, programs, layout, variant, SHARED.get(architecture, MOST_SHARED))
    compiled = compile_source(source, architecture)
    columns = (case.name, ensemble.network.size, architecture, variant.threads, variant.tile, variant.block)
    return "| " + " | ".join(map(str, (*columns, compiled.registers, compiled.spilled))) + " |"


def main() -> None:
    """Prints the table in Markdown."""
    print(f"{compiler_version()}\n")
    print("| network | parameters | architecture | threads a network | tile | block | registers | bytes spilled |")
    print("|" + "---|" * 8)
    of_main = [Variant(8, tile, 256) for tile in (1, 2, 4)] + [Variant(1, 1, 128), Variant(32, 1, 256)]
    for architecture in sys.argv[1:] or ARCHITECTURES:
        for variant in of_main:
            print(row(MAIN, variant, architecture), flush=True)
        for case in (*OPTIMIZERS, *NETWORKS[:3], *BETWEEN):
            print(row(case, Variant(8, 1, 256), architecture), flush=True)


if __name__ == "__main__":
    main()
