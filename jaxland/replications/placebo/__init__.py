"""Can a back-propagating neural network placebo show no improvement? Fits of labels that mean nothing."""

from jaxland.replications.placebo import examples, minima, overview, power
from jaxland.replications.placebo.config import PlaceboConfig, ensembles
from jaxland.studies import Study

STUDY = Study(
    name="placebo",
    title="a network trained on noise: what falls, what rises, and the test that tells them apart",
    source="Can a back-propagating neural network placebo demonstrate no improvement? (2025)",
    config=PlaceboConfig,
    default_fits=1024,
    quick="2 x 1,024 fits, 1,000 epochs, about a minute on two AVX-512 cores",
    paper="the source's three fits are in the quick scale; --scale paper, beyond it, five minutes there",
    ensembles=ensembles,
    analyses={
        "overview": overview.ANALYSIS,
        "examples": examples.ANALYSIS,
        "minima": minima.ANALYSIS,
        "tests": power.ANALYSIS,
    },
    default_analyses=("overview", "examples", "minima", "tests"),
)

__all__ = ["STUDY", "PlaceboConfig"]
