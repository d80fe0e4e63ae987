"""The energy landscape of a simple neural network: the main study."""

from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.studies import Study, analyses_in, deferred

STUDY = Study(
    name="sawtooth",
    title="the energy landscape of a simple neural network: 5 x 5 ReLU fits of a sawtooth they never find",
    source="Gamst and Walker, The energy landscape of a simple neural network (2017)",
    config=SawtoothConfig,
    default_fits=1024,
    quick="2 x 1,024 fits, 50,000 steps, about a minute on two AVX-512 cores",
    paper="2 x 160,000 fits, 50,000 steps, about two hours there",
    ensembles=deferred(f"{__name__}.ensembles:ensembles"),
    analyses=analyses_in(
        __name__,
        {
            "overview": "figures 1 to 7: fits, losses and distances of the ensembles",
            "training": "sections 1 and 4.2: loss and complexity in training",
            "paths": "figures 8 to 10: paths of least energy from the global minimum",
            "spectra": "figure 11: eigenvalues of the Hessian at local minima and at the global one",
            "basin": "figure 12: basins of the global and of local minima",
            "targets": "figures 13 and 14: targets with hundreds and thousands of teeth",
            "larger": "figure 15: larger networks, and local minima embedded in them",
            "knots": "the exact knots of every fit",
            "barriers": "barriers between minima, and their disconnectivity graph",
            "settings": "sections 4.1 and 4.5: other optimizers, rates, batches and initial weights",
            "students": "section 1: networks trained to the output of trained ones",
            "smoothing": "sections 1 and 5: noise in the data, and how much of it is learnt",
        },
    ),
    default_analyses=("overview", "knots"),
    statements=deferred(f"{__name__}.statements:statements"),
)

__all__ = ["STUDY", "SawtoothConfig"]
