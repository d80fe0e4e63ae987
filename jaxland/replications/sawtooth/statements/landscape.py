"""Sections 4.6 to 4.10 and figures 8 to 15: what is said of paths, spectra, basins, targets and larger networks."""

from jaxland.studies import Statement

LANDSCAPE: tuple[Statement, ...] = ()
