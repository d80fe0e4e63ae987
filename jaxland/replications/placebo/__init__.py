"""Can a back-propagating neural network placebo show no improvement? Fits of labels that mean nothing."""

from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.studies import Study, analyses_in, deferred

STUDY = Study(
    name="placebo",
    title="a network trained on noise: what falls, what rises, and the test that tells them apart",
    source="Can a back-propagating neural network placebo demonstrate no improvement? (2025)",
    config=PlaceboConfig,
    default_fits=1024,
    quick="2 x 1,024 fits, 1,000 epochs, about a minute on two AVX-512 cores",
    paper="the source's three fits are in the quick scale; --scale paper, beyond it, five minutes there",
    ensembles=deferred(f"{__name__}.ensembles:ensembles"),
    analyses=analyses_in(
        __name__,
        {
            "overview": "example 1: losses in training, and on fresh data",
            "examples": "examples 2 and 3: weights at every epoch, maps of their paths",
            "minima": "text and example 3: where training ends, and how it differs from seed to seed",
            "tests": "placebo tests: uniform p-values on noise, power on signal",
        },
        modules={"tests": "power"},
    ),
    default_analyses=("overview", "examples", "minima", "tests"),
    statements=deferred(f"{__name__}.statements:statements"),
)

__all__ = ["STUDY", "PlaceboConfig"]
