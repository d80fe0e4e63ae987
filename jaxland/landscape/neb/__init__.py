"""Nudged elastic bands: paths of least energy between points of parameter space."""

from jaxland.landscape.neb.band import (
    arc_lengths,
    energies_of,
    gaps,
    interpolate,
    refine,
    straight_bands,
    tangents,
    turning_angles,
)
from jaxland.landscape.neb.relaxation import Bands, NebSettings, relax

__all__ = [
    "Bands",
    "NebSettings",
    "arc_lengths",
    "energies_of",
    "gaps",
    "interpolate",
    "refine",
    "relax",
    "straight_bands",
    "tangents",
    "turning_angles",
]
