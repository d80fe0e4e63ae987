"""A study that takes no time, for tests of what is done with any study: two ensembles, one analysis with a claim."""

from dataclasses import dataclass

import numpy as np
import optax
import pandas as pd

import jaxland as jl
from jaxland.plots import new_figure
from jaxland.studies import Analysis, Below, Findings, Rule, Statement


@dataclass(frozen=True)
class Config:
    """Of the small study."""

    steps: int = 40
    """Optimizer steps."""
    rate: float = 0.05
    """Learning rate."""
    seed: int = 0
    """Of the initial parameters."""
    names: tuple[str, ...] = ("sgd", "adam")
    """Optimizers, an ensemble each."""


@dataclass(frozen=True)
class LevelSettings:
    """Of the analysis."""

    level: float = 0.5
    """Below which the median loss should be."""
    rows: int = 3
    """Pieces of it."""


def ensembles(config):
    """One ensemble an optimizer."""
    x = np.linspace(-1, 1, 8)
    net, problem = jl.mlp([1, 3, 1], "tanh"), jl.Problem(x, np.sin(3 * x))
    return {
        name: jl.Ensemble(net, problem, getattr(optax, name)(config.rate), steps=config.steps, seed=config.seed)
        for name in config.names
    }


def find(context):
    """The median loss of every ensemble, and a piece for each row."""
    settings = context.settings
    kept = context.pieces("rows", np.arange(settings.rows), work, 1)
    names = context.store.manifest.ensembles
    losses = {
        name: np.concatenate([shard.arrays["loss"] for shard in context.store.stream(name, ["loss"])]) for name in names
    }
    table = pd.DataFrame({name: [np.median(each)] for name, each in losses.items()} | {"rows": len(kept["row"])})
    figure, (ax,) = new_figure()
    ax.plot(np.sort(losses[names[0]]))
    low = Statement("low", "7", "losses get low", "low", Rule(Below(settings.level), "ours", exact=True))
    judged = [low.claim(f"{np.median(each):.3g}", float(np.median(each)), of=name) for name, each in losses.items()]
    return Findings({"levels.csv": table}, {"figure-07-losses": figure}, judged)


def work(rows):
    """What a piece takes; tests interrupt it."""
    return {"row": rows}


def summary_of(path):
    """The summary in a study directory, without what it says of time, which is not the same in another run."""
    before, _, after = (path / "summary.md").read_text().partition("## Speed\n")
    return before + after[after.index("## Claims") :]


STUDY = jl.Study(
    "small",
    Config,
    ensembles,
    title="a study of tests",
    source="Nobody, On nothing (2020)",
    default_fits=16,
    analyses={
        "levels": Analysis(find, "how low losses get", LevelSettings(), LevelSettings(rows=6)),
        "more": Analysis(lambda context: Findings({"more.csv": pd.DataFrame({"a": [1]})}, {}, []), "more of it"),
    },
    default_analyses=("levels",),
)
