"""A basic neural network: sigmoid units fitted to two functions by gradient descent, and its sudden instability."""

from jaxland.replications.two_layer.config import TwoLayerConfig
from jaxland.studies import Study, analyses_in, deferred

STUDY = Study(
    name="two_layer",
    title="a basic neural network: when gradient descent suddenly becomes unstable",
    source="Peeters, Experiment 1A: a basic neural network (2025)",
    config=TwoLayerConfig,
    default_fits=512,
    quick="8 x 512 fits, 1,200 epochs, about a minute on two AVX-512 cores",
    paper="the source's 16 runs are in the quick scale; --scale paper, beyond it, four minutes there",
    ensembles=deferred(f"{__name__}.ensembles:ensembles"),
    analyses=analyses_in(
        __name__,
        {
            "runs": "figures 1 to 7 and 9: the highlighted runs on the standard data",
            "rounding": "sharpness against 2 / rate, and what precision, summation order and seed change",
            "instability": "chance and time of instability over learning rates, distinct hidden units",
            "randomness": "conclusion 6: what is due to data, to weights, and to both",
            "prediction": "conclusion 1: a detector that sees only the past, and how alike executions are",
        },
        modules={"runs": "highlighted"},
    ),
    default_analyses=("runs", "rounding", "instability", "randomness", "prediction"),
    statements=deferred(f"{__name__}.statements:statements"),
)

__all__ = ["STUDY", "TwoLayerConfig"]
