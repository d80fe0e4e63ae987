"""Drawbacks of backpropagation: a 1-2-1 sigmoid network, two parameters at a time."""

from jaxland.replications.backprop.config import BackpropConfig
from jaxland.studies import Study, analyses_in, deferred

STUDY = Study(
    name="backprop",
    title="drawbacks of backpropagation: flat regions, wrong minima and instability in two weights of a 1-2-1 network",
    source="A. Tan, Drawbacks of Backpropagation (2020), after Hagan et al., Neural Network Design",
    config=BackpropConfig,
    default_fits=4096,
    quick="2 x 4,096 fits, 30,000 epochs, about a minute on two AVX-512 cores",
    paper="the source's three fits are in the quick scale; 2 x 100,000 with --fits 100000, five minutes there",
    ensembles=deferred(f"{__name__}.ensembles:ensembles"),
    analyses=analyses_in(
        __name__,
        {
            "maps": "the target, both contour maps and their stationary points",
            "descent": "trajectories a, b and c, their animations, and where stability ends",
            "basins": "basins of attraction over the plane of the weights, and epochs to converge",
            "roads": "two roads to speed: heuristics and standard numerical optimisation",
            "sawtooth": "the sawtooth by Levenberg-Marquardt: does it find W_f?",
        },
    ),
    default_analyses=("maps", "descent", "basins"),
    statements=deferred(f"{__name__}.statements:statements"),
)

__all__ = ["STUDY", "BackpropConfig"]
