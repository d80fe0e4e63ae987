"""Spectra of Hessians: those of single minima, and those of ensembles.

Eigenvalues range over many decades on both sides of zero and most are near it, so they are drawn by rank on an axis
that is logarithmic but for a shaded band about zero, where it is linear.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from jaxland.plots.style import color_of, dash_of, legend_below, own_axes
from jaxland.plots.ticks import log_ticks

_MARKERS = "osv^D"


def spectrum(
    eigenvalues: Mapping[str, Float[np.ndarray, "P"]],
    *,
    colors: Mapping[str, str] | None = None,
    title: str = "Hessian eigenvalues",
    zero: float = 1e-6,
    ax: Axes | None = None,
) -> Axes:
    """Draws all eigenvalues of one or several minima, sorted: Gamst and Walker, figure 11.

    Args:
        eigenvalues: of each minimum, by its label.
        colors: of the minima, by label; the others take the next of the usual ones.
        title: of the axes.
        zero: half-width of the band about zero, as a share of the largest magnitude drawn.
        ax: where to draw.
    """
    ax = own_axes(ax)
    drawn = {name: np.sort(values) for name, values in eigenvalues.items()}
    bound = _bound(drawn.values(), zero)
    for index, (name, values) in enumerate(drawn.items()):
        negative = np.count_nonzero(values < -bound)
        rank, color = np.arange(1, len(values) + 1), color_of(name, index, colors)
        ax.plot(
            rank,
            values,
            _MARKERS[index % len(_MARKERS)] + "-",
            ms=2.6,
            lw=0.6,
            color=color,
            label=f"{name}: {negative} below the band",
        )
    return _finished(ax, bound, zero, title)


def spectra_band(
    eigenvalues: Mapping[str, Float[np.ndarray, "_ P"]],
    *,
    colors: Mapping[str, str] | None = None,
    title: str = "Hessian eigenvalues of ensembles",
    zero: float = 1e-6,
    ax: Axes | None = None,
) -> Axes:
    """Draws, for each ensemble, the median of every eigenvalue by rank and the band that holds 90 % of the fits.

    Args:
        eigenvalues: (F, P) of each ensemble, by its label; fits without a finite spectrum are left out.
        colors: of the ensembles, by label; the others take the next of the usual ones.
        title: of the axes.
        zero: half-width of the band about zero, as a share of the largest magnitude drawn.
        ax: where to draw.
    """
    ax = own_axes(ax)
    finite = {name: np.sort(values[np.isfinite(values).all(axis=1)]) for name, values in eigenvalues.items()}
    bands = {name: np.quantile(values, (0.05, 0.5, 0.95), axis=0) for name, values in finite.items() if len(values)}
    bound = _bound(bands.values(), zero)
    for index, (name, (low, median, high)) in enumerate(bands.items()):
        rank, color = np.arange(1, len(median) + 1), color_of(name, index, colors)
        ax.fill_between(rank, low, high, color=color, alpha=0.2, lw=0)
        fits = len(finite[name])
        label = f"{name}: middle 90 % (n = {fits:,})" if fits > 1 else name
        ax.plot(rank, median, color=color, ls=dash_of(index), lw=1.6, label=label)
    return _finished(ax, bound, zero, title)


def _bound(spectra, zero):
    largest = max((np.abs(values).max() for values in spectra), default=0.0)
    return float(zero * largest) or zero


def _finished(ax, bound, zero, title):
    ax.set_yscale("symlog", linthresh=bound, linscale=1)
    log_ticks(ax)
    ax.axhspan(-bound, bound, color="#888888", alpha=0.15, lw=0, label=f"within {zero:g} of the largest")
    ax.axhline(0, color="#444444", lw=0.6)
    ax.set(title=title, xlabel="rank, from the smallest", ylabel="eigenvalue")
    legend_below(ax)
    return ax
