"""The interactive charts, as plotly figures."""

from collections.abc import Mapping
from html import escape
from itertools import cycle
from typing import Any

import numpy as np

from jaxland.report.losses import BINS_PER_DECADE, EnsembleLosses
from jaxland.statistics import Histogram

# Nothing in the page may lead out of it: neither the logo nor the button that sends a chart to plotly's servers.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "modeBarButtons": [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "autoScale2d", "resetScale2d", "toImage"]],
    "plotlyServerURL": "",
    "responsive": True,
    "showLink": False,
    "showSendToCloud": False,
}
_MIDDLE_BINS, _MOST_BINS = 110, 1200
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star")
_COLORS = ("#0072b2", "#009e73", "#d55e00", "#cc79a7", "#e69f00", "#56b4e9", "#a6761d", "#8c8c8c")
_LAYOUT: dict[str, Any] = {
    "autosize": True,
    "height": 460,
    "margin": {"l": 64, "r": 16, "t": 76, "b": 60},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"family": "system-ui, sans-serif", "size": 13},
    "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    "modebar": {"bgcolor": "rgba(0,0,0,0)"},
    "hoverlabel": {"bgcolor": "#20242b", "bordercolor": "#20242b", "font": {"color": "#ffffff"}, "align": "left"},
    "hovermode": "closest",
}
_GRID = "rgba(128,128,128,0.25)"
_DETAILS = (
    "<b>fit %{customdata[0]}</b>, %{customdata[1]}<br>status %{customdata[2]}<br>loss %{customdata[3]}<br>"
    "initial loss %{customdata[4]}<br>best loss %{customdata[5]} at step %{customdata[6]}<extra></extra>"
)


def charts(ensembles: Mapping[str, EnsembleLosses]) -> dict[str, str]:
    """The charts by name, as JSON with data and layout; none where no loss can be drawn.

    Args:
        ensembles: losses of each ensemble, by name.
    """
    drawn = {name: each for name, each in ensembles.items() if each.log_loss.counts.any()}
    if not drawn:
        return {}
    looks = _looks(ensembles)
    # An ensemble without a finite loss has no bars, but its diverged fits are points.
    return {"histogram": _histogram(drawn, looks), "scatter": _scatter(ensembles, looks)}


def _figure(traces: list[dict[str, Any]], layout: dict[str, Any]) -> str:
    import plotly.graph_objects as go

    # Without a template, and with plotly's own encoder: another one that may be installed words numbers differently.
    figure = go.Figure(traces, layout={"template": "none", **_LAYOUT, **layout})
    return str(figure.to_json(engine="json"))


def _looks(names) -> dict[str, tuple[str, str]]:
    """Colour and symbol of each ensemble."""
    return dict(zip(names, zip(cycle(_COLORS), cycle(_SYMBOLS)), strict=False))


def _histogram(ensembles: Mapping[str, EnsembleLosses], looks: Mapping[str, tuple[str, str]]) -> str:
    low, high = _middle(ensembles)
    joined = _joined_bins(ensembles, low, high)
    traces = []
    for name, each in ensembles.items():
        edges, counts = _filled_bins(each.log_loss, joined)
        share = counts / each.fits
        traces.append(
            {
                "type": "bar",
                "name": f"{escape(name)} ({each.fits:,} fits)",
                "x": edges.mean(axis=1),  # a bar spans x ± width / 2, on a logarithmic axis too
                "width": np.diff(edges, axis=1)[:, 0],
                "y": 100 * share,
                "customdata": [
                    [f"{count:,}", f"{part:.2%}", f"{start:.4g}", f"{stop:.4g}"]
                    for count, part, (start, stop) in zip(counts.tolist(), share, edges, strict=True)
                ],
                "hovertemplate": (
                    f"<b>{escape(name)}</b><br>%{{customdata[0]}} fits, %{{customdata[1]}}"
                    "<br>loss %{customdata[2]} to %{customdata[3]}<extra></extra>"
                ),
                "marker": {"color": looks[name][0], "line": {"width": 0}},
                "opacity": 0.6,
            }
        )
    return _figure(
        traces,
        {
            "barmode": "overlay",
            "bargap": 0,
            "xaxis": {**_log_axis("loss after training"), "range": [low, high]},
            "yaxis": {**_axis("share of the ensemble's fits per bin"), "ticksuffix": " %"},
        },
    )


def _middle(ensembles: Mapping[str, EnsembleLosses]) -> tuple[float, float]:
    """Where the middle 99.9 % of the losses of every ensemble lie, base-10 logarithms, with room beside them."""
    low = min(each.log_loss.quantile(0.0005) for each in ensembles.values())
    high = max(each.log_loss.quantile(0.9995) for each in ensembles.values())
    room = max(0.04 * (high - low), 0.01)
    return low - room, high + room


def _joined_bins(ensembles, low: float, high: float) -> int:
    """How many fine bins make one that is shown: enough detail in the middle, and a bounded number of bins in all."""
    smallest = min(each.log_loss.smallest for each in ensembles.values())
    largest = max(each.log_loss.largest for each in ensembles.values())
    decades = max((high - low) / _MIDDLE_BINS, (largest - smallest) / _MOST_BINS)
    return max(int(np.ceil(decades * BINS_PER_DECADE)), 1)


def _filled_bins(histogram: Histogram, joined: int):
    """Bounds (B, 2) of the joined bins that hold something, as losses, and their counts (B,)."""
    edges = histogram.edges
    coarse = histogram.coarsen(edges[0], edges[-1], len(histogram.counts) // joined)
    filled = coarse.counts > 0
    bounds = 10 ** np.stack([coarse.edges[:-1], coarse.edges[1:]], axis=1)
    return bounds[filled], coarse.counts[filled]


def _scatter(ensembles: Mapping[str, EnsembleLosses], looks: Mapping[str, tuple[str, str]]) -> str:
    row = _row_above(ensembles)
    traces, initial, step = [], [], []
    for name, each in ensembles.items():
        color, symbol = looks[name]
        for diverged, rows in each.sample.groupby(each.sample["diverged_step"] >= 0):
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": f"{escape(name)}{', diverged' if diverged else ''}",
                    "x": np.asarray(rows["initial_loss"]),
                    # A loss that is not a number has no height; such fits stand in a row above all others.
                    "y": np.full(len(rows), row) if diverged else np.asarray(rows["loss"]),
                    "customdata": _details(name, rows),
                    "hovertemplate": _DETAILS,
                    "marker": {
                        "color": color,
                        "symbol": "x" if diverged else symbol,
                        "size": 8 if diverged else 5,
                        "opacity": 0.5,
                    },
                }
            )
            initial.append(rows["initial_loss"].tolist())
            step.append(rows["best_step"].tolist())
    return _figure(
        traces,
        {
            "xaxis": _log_axis("loss before training"),
            "yaxis": _log_axis("loss after training"),
            "meta": [
                _choice("loss before training", initial, "log"),
                _choice("step with the smallest loss", step, "linear"),
            ],
        },
    )


def _row_above(ensembles: Mapping[str, EnsembleLosses]) -> float:
    """A loss somewhat above all others on a logarithmic axis, if there is a number that large."""
    low = min(each.log_loss.smallest for each in ensembles.values())
    high = max(each.log_loss.largest for each in ensembles.values())
    return 10 ** min(high + max(0.07 * (high - low), 0.1), 308.0)


def _details(name, rows):
    return [
        [fit, escape(name), status, *(f"{loss:.6g}" for loss in losses), step]
        for fit, status, *losses, step in rows[
            ["fit", "status", "loss", "initial_loss", "best_loss", "best_step"]
        ].itertuples(index=False)
    ]


def _choice(label: str, x: list[list[float]], kind: str) -> dict[str, Any]:
    """Another quantity along the horizontal axis, as arguments of Plotly.update."""
    layout = {"xaxis.type": kind, "xaxis.title.text": label, "xaxis.autorange": True}
    return {"label": label, "data": {"x": x}, "layout": layout}


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": title, "standoff": 12}, "zeroline": False, "automargin": True, "gridcolor": _GRID}


def _log_axis(title: str) -> dict[str, Any]:
    return {**_axis(title), "type": "log", "exponentformat": "e"}
