"""Time and memory of a million fits of a study of one's own: stored, analysed, read as a table, streamed.

    python benchmarks/own_study.py [FITS]

Each step is a process of its own, whose peak memory is printed with its time. The network has 25 parameters and takes
20 steps, so that what is measured is storing and reading, not training.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from steps import measure


@dataclass(frozen=True)
class Config:
    """Of the study."""

    steps: int = 20


def ensembles(config):
    """One ensemble of a 1-8-1 network."""
    import optax

    import jaxland as jl

    x = np.linspace(-1, 1, 16)
    problem = jl.Problem(x, np.abs(x))
    return {"adam": jl.Ensemble(jl.mlp([1, 8, 1], "tanh"), problem, optax.adam(0.05), steps=config.steps)}


def run(path: Path, fits: int) -> str:
    """Trains, stores and analyses."""
    import jaxland as jl

    outcome = jl.run(jl.Study("million", Config, ensembles), Config(), path, fits=fits)
    return f"{len(outcome.files)} files"


def table(path: Path, fits: int) -> str:
    """Reads one row a fit into pandas."""
    import jaxland as jl

    found = jl.open(path).table("adam")
    assert len(found) == fits
    return f"{found.memory_usage(deep=True).sum() / 1e6:.0f} MB of table"


def stream(path: Path, fits: int) -> str:
    """Reads all parameters, a shard at a time."""
    import jaxland as jl

    total, count = 0.0, 0
    for part in jl.open(path).stream("adam", ["params"]):
        total, count = total + float((part["params"] ** 2).sum()), count + len(part["params"])
    assert count == fits
    return f"mean energy {total / count:.4g}"


if __name__ == "__main__":
    measure((run, table, stream), 1_000_000)
