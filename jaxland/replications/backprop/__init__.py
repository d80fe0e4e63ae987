"""Drawbacks of backpropagation: a 1-2-1 sigmoid network, two parameters at a time."""

from jaxland.replications.backprop import basins, descent, maps, roads, sawtooth
from jaxland.replications.backprop.config import BackpropConfig, ensembles
from jaxland.studies import Study

STUDY = Study(
    name="backprop",
    title="drawbacks of backpropagation: flat regions, wrong minima and instability in two weights of a 1-2-1 network",
    source="A. Tan, Drawbacks of Backpropagation (2020), after Hagan et al., Neural Network Design",
    config=BackpropConfig,
    default_fits=4096,
    quick="2 x 4,096 fits, 30,000 epochs, about a minute on two AVX-512 cores",
    paper="the source's three fits are in the quick scale; 2 x 100,000 with --fits 100000, five minutes there",
    ensembles=ensembles,
    analyses={
        "maps": maps.ANALYSIS,
        "descent": descent.ANALYSIS,
        "basins": basins.ANALYSIS,
        "roads": roads.ANALYSIS,
        "sawtooth": sawtooth.ANALYSIS,
    },
    default_analyses=("maps", "descent", "basins"),
)

__all__ = ["STUDY", "BackpropConfig"]
