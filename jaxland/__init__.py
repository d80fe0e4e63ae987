"""jaxland: ensembles of small networks by the hundred thousand, and the loss landscape they reveal.

This file is the index of the public API. Everything is imported when first used, so that `import jaxland` is cheap.
"""

from typing import TYPE_CHECKING

from jaxland._lazy import attach
from jaxland._version import __version__

if TYPE_CHECKING:
    from jaxland import (
        execution,
        landscape,
        networks,
        placebo,
        plots,
        problems,
        replications,
        report,
        statistics,
        store,
        studies,
        sweeps,
        training,
    )
    from jaxland.execution import workers
    from jaxland.landscape import symmetrise
    from jaxland.networks import Network, mlp
    from jaxland.placebo import placebo_test
    from jaxland.problems import Problem
    from jaxland.studies import Study, run
    from jaxland.studies import open_stored as open
    from jaxland.sweeps import grid, halving, latin_hypercube, sweep
    from jaxland.training import Ensemble, Fits, fit

__all__ = [
    "Ensemble",
    "Fits",
    "Network",
    "Problem",
    "Study",
    "__version__",
    "execution",
    "fit",
    "grid",
    "halving",
    "landscape",
    "latin_hypercube",
    "mlp",
    "networks",
    "open",
    "placebo",
    "placebo_test",
    "plots",
    "problems",
    "replications",
    "report",
    "run",
    "statistics",
    "store",
    "studies",
    "sweep",
    "sweeps",
    "symmetrise",
    "training",
    "workers",
]

__getattr__, __dir__ = attach(__name__, __file__)
