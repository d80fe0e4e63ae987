"""A basic neural network: sigmoid units fitted to two functions by gradient descent, and its sudden instability."""

from jaxland.replications.two_layer import highlighted, instability, randomness, rounding
from jaxland.replications.two_layer.config import TwoLayerConfig, ensembles
from jaxland.studies import Study

STUDY = Study(
    name="two_layer",
    title="a basic neural network: when gradient descent suddenly becomes unstable",
    source="Peeters, Experiment 1A: a basic neural network (2025)",
    config=TwoLayerConfig,
    default_fits=512,
    quick="8 x 512 fits, 1,200 epochs, about a minute on two AVX-512 cores",
    paper="the source's 16 runs are in the quick scale; --scale paper, beyond it, four minutes there",
    ensembles=ensembles,
    analyses={
        "runs": highlighted.ANALYSIS,
        "rounding": rounding.ANALYSIS,
        "instability": instability.ANALYSIS,
        "randomness": randomness.ANALYSIS,
    },
    default_analyses=("runs", "rounding", "instability", "randomness"),
)

__all__ = ["STUDY", "TwoLayerConfig"]
