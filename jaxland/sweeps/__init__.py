"""Sweeps: fits over the levels of factors, as designs of experiments have them."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.sweeps.designs import grid, latin_hypercube
    from jaxland.sweeps.halving import halving
    from jaxland.sweeps.stored import ensembles
    from jaxland.sweeps.sweep import Group, Sweep, sweep

__all__ = ["Group", "Sweep", "ensembles", "grid", "halving", "latin_hypercube", "sweep"]

__getattr__, __dir__ = attach(__name__, __file__)
