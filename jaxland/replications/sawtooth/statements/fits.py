"""Sections 1 to 4.5 and figures 1 to 7: what is said of the fits themselves; and the conclusions."""

from jaxland.studies import Statement

FITS: tuple[Statement, ...] = ()

CONCLUSIONS: tuple[Statement, ...] = ()
