"""Time and memory of analysing the full study: 320,000 stored fits, every table, figure and claim.

    python benchmarks/analysis.py [FITS_PER_OPTIMIZER]

The fits are random parameters written to a temporary study directory; nothing is trained. Prints the time of
writing and of analysis, and the peak memory of the analysing process.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import jaxland as jl
from jaxland.execution import default_shard_fits, plan_shards
from jaxland.landscape import outputs
from jaxland.store import StudyStore
from jaxland.studies import STUDIES
from jaxland.studies.fitting import manifest_of, prepare


def write_random_fits(path: Path, fits: int) -> None:
    """Fills a sawtooth study with random fits, shards and columns as training would leave them."""
    study, config = STUDIES["sawtooth"], jl.replications.SawtoothConfig()
    store = StudyStore.create(path, manifest_of(study, config, fits, prepare(study, config, "xla")))
    network, problem = config.network, config.problem
    tasks = plan_shards({name: store.missing(name) for name in config.optimizers}, default_shard_fits(fits))
    for task in tasks:
        params = jl.training.starting_points(network, np.arange(task.start, task.stop))
        loss = ((outputs(network, params, problem.x) - problem.y) ** 2).mean(axis=(1, 2)).astype(np.float32)
        count = task.stop - task.start
        arrays = {
            "fit": np.arange(task.start, task.stop),
            "status": np.full(count, "ok"),
            "initial_loss": loss,
            "loss": loss,
            "best_loss": loss,
            "best_step": np.zeros(count, np.int32),
            "diverged_step": np.full(count, -1, np.int32),
            "params": params,
        }
        store.commit_shard(task.ensemble, task.start, task.stop, arrays)


def main() -> None:
    """Writes, analyses in a process of its own, and prints."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 160_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sawtooth"
        began = time.perf_counter()
        write_random_fits(path, fits)
        print(f"wrote 2 x {fits:,} fits in {time.perf_counter() - began:.0f} s")
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "jaxland", "analyse", str(path)], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"analysed them in {seconds:.0f} s with at most {peak:.2f} GB")


if __name__ == "__main__":
    main()
