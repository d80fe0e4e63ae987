"""jaxland: ensembles of small networks by the hundred thousand, and the loss landscape they reveal.

This file is the index of the public API. Everything is imported when first used, so that `import jaxland` is cheap.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxland._version import __version__

if TYPE_CHECKING:
    from jaxland import landscape, networks, placebo, plots, problems, report, statistics, studies, training
    from jaxland.landscape import symmetrise
    from jaxland.networks import Network, mlp
    from jaxland.placebo import placebo_test
    from jaxland.problems import Problem
    from jaxland.training import Fits, fit

_HOMES = {
    "Fits": "training",
    "Network": "networks",
    "Problem": "problems",
    "fit": "training",
    "mlp": "networks",
    "placebo_test": "placebo",
    "symmetrise": "landscape",
}
_LAYERS = (
    "execution",
    "landscape",
    "networks",
    "placebo",
    "plots",
    "problems",
    "report",
    "statistics",
    "store",
    "studies",
    "training",
)

__all__ = [
    "Fits",
    "Network",
    "Problem",
    "__version__",
    "fit",
    "landscape",
    "mlp",
    "networks",
    "placebo",
    "placebo_test",
    "plots",
    "problems",
    "report",
    "statistics",
    "studies",
    "symmetrise",
    "training",
]


def __getattr__(name: str) -> Any:
    if name in _LAYERS:
        return importlib.import_module(f"jaxland.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"jaxland.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'jaxland' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
