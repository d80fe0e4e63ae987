"""Checks and measures everything on a machine with an NVIDIA GPU, in less than ten minutes.

    python benchmarks/gpu.py [--out FOLDER] [--minutes 9]

It prints Markdown as it goes, and writes the same to FOLDER/gpu.md with all figures in gpu.json and gpu.csv. A part
that fails is reported and the others go on; parts that would not fit into the time are named. The exit code is 0 where
everything is as it should be, 1 where something failed, and 2 where there is no GPU to work with.
"""

import argparse
import os
import sys
from pathlib import Path

# The GPU's memory is shared: with PyTorch, the cuda backend and the studies that are run in processes of their own.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")


def main() -> int:
    """Runs all parts; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/gpu"), help="folder for gpu.md, gpu.json and gpu.csv")
    parser.add_argument("--minutes", type=float, default=9, help="time for all parts together")
    options = parser.parse_args()

    from machine import gpu
    from machine.parts import Parts

    from jaxland.training.cuda import CudaMissing

    try:
        device = gpu.find_gpu()
    except CudaMissing as reason:
        print(f"benchmarks/gpu.py: nothing was measured: {reason}", file=sys.stderr)
        return 2
    parts = Parts(options.out, options.minutes, lambda line: print(line, flush=True))
    gpu.run_all(parts, device)
    return parts.close()


if __name__ == "__main__":
    sys.exit(main())
