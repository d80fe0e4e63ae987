"""The energy landscape of a simple neural network: the main study."""

from jaxland.replications.sawtooth import barriers, basin, knots, larger, overview, paths, spectra, targets, training
from jaxland.replications.sawtooth.config import SawtoothConfig, ensembles
from jaxland.studies import Study

STUDY = Study(
    name="sawtooth",
    title="the energy landscape of a simple neural network: 5 x 5 ReLU fits of a sawtooth they never find",
    source="Gamst and Walker, The energy landscape of a simple neural network (2017)",
    config=SawtoothConfig,
    default_fits=1024,
    quick="2 x 1,024 fits, 50,000 steps, about a minute on two AVX-512 cores",
    paper="2 x 160,000 fits, 50,000 steps, about two hours there",
    ensembles=ensembles,
    analyses={
        "overview": overview.ANALYSIS,
        "training": training.ANALYSIS,
        "paths": paths.ANALYSIS,
        "spectra": spectra.ANALYSIS,
        "basin": basin.ANALYSIS,
        "targets": targets.ANALYSIS,
        "larger": larger.ANALYSIS,
        "knots": knots.ANALYSIS,
        "barriers": barriers.ANALYSIS,
    },
    default_analyses=("overview", "knots"),
)

__all__ = ["STUDY", "SawtoothConfig"]
