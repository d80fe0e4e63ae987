"""How many ensembles figures of every study show in which way, and how captions tell of them."""

from collections.abc import Mapping

FEW, PANELS, ROWS = 3, 12, 60
"""Ensembles drawn over one another, in panels of their own, and as rows; tables have all."""


def medians_of(medians: Mapping[str, float], told: Mapping[str, str], shown: int = ROWS) -> str:
    """The medians of ensembles in words: one by one as `told` where these are few, else the least and the greatest."""
    if len(medians) <= PANELS:
        return "; ".join(f"{name} {each}" for name, each in told.items())
    ends = [pick(medians, key=lambda name: medians[name]) for pick in (min, max)]
    words = " to ".join(f"{medians[name]:.3g} ({name})" for name in ends)
    drawn = f"; the first {shown} are drawn" if len(medians) > shown else ""
    return f"{words}, of {len(medians)} ensembles{drawn}"
