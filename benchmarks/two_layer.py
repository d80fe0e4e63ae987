"""Time of the two-layer study's training: 1,000 epochs of its networks on 1,000 points, in float64.

    python benchmarks/two_layer.py [FITS] [EPOCHS]

Beside two loops over members: the document's algorithm point by point, as its notebook does it, and the same on whole
arrays with NumPy. The document says 14 s for h = 3 and 21 s for h = 8 and one network; its machine is not known.
Before anything is timed all ways must give the same losses.
"""

import sys
import time

import numpy as np
import optax

import jaxland as jl
from jaxland.bench.report import processor
from jaxland.replications.two_layer.rounding.arithmetic import Arithmetic, descend
from jaxland.replications.two_layer.source import get_target, network, split, standard_data, standard_weights

_RATE, _CHECKED, _POINTWISE = 0.1, 20, 10
"""Learning rate; epochs over which the ways are compared; epochs of the slowest that are timed."""
_DOCUMENT = {3: 14.0, 8: 21.0}
"""Seconds for 1,000 epochs of one network, by the document."""


def point_by_point(hidden: int, epochs: int) -> list[float]:
    """Losses of one network for f1, one point after another: equations 1 and 2 of the document."""
    x = standard_data().x
    y = get_target("f1")(x)
    u, v = split(standard_weights(hidden))
    losses = []
    for _ in range(epochs + 1):
        slope_u, slope_v, loss = np.zeros_like(u), np.zeros_like(v), 0.0
        for number, wanted in zip(x, y, strict=True):
            inputs = np.array([number, 1.0])
            units = np.append(1 / (1 + np.exp(-(u @ inputs))), 1.0)
            error = v @ units - wanted
            loss += 0.5 * error**2
            slope_v += error * units
            slope_u += np.outer(error * v[:-1] * units[:-1] * (1 - units[:-1]), inputs)
        losses.append(loss / len(x))
        u, v = u - _RATE * slope_u / len(x), v - _RATE * slope_v / len(x)
    return losses


def whole_arrays(hidden: int, epochs: int) -> np.ndarray:
    """The same, all points at once."""
    return descend(Arithmetic("float64"), "f1", hidden, _RATE, epochs).loss


def by_jaxland(hidden: int, epochs: int, fits: int, trace_every: int | None = None) -> jl.training.Fits:
    """That many networks in one call."""
    x = standard_data().x
    problem = jl.Problem(x, get_target("f1")(x), loss="half_mean_squared_error")
    start = np.tile(standard_weights(hidden), (fits, 1))
    return jl.fit(
        network(hidden),
        problem,
        optax.sgd(_RATE),
        start=start,
        fits=fits,
        steps=epochs,
        dtype="float64",
        trace_every=trace_every,
    )


def main() -> None:
    """Checks, measures and prints a table in Markdown."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 1024
    epochs = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    print(f"{processor()}; {jl.training.versions()}; float64, {epochs:,} epochs, 1,000 points")
    print("\n| h | way | networks | seconds a network | times point by point | times the document's |")
    print("|---|---|---|---|---|---|")
    for hidden, document in _DOCUMENT.items():
        expected = point_by_point(hidden, _CHECKED)
        np.testing.assert_allclose(whole_arrays(hidden, _CHECKED), expected, rtol=1e-10)
        # One call checks, and compiles the kernel that is timed below.
        np.testing.assert_allclose(by_jaxland(hidden, _CHECKED, fits, trace_every=1).trace[0], expected, rtol=1e-10)
        by_jaxland(hidden, _CHECKED, fits)
        ways = {
            "point by point": (1, _time(lambda h=hidden: point_by_point(h, _POINTWISE)) * epochs / (_POINTWISE + 1)),
            "NumPy, whole arrays": (1, _time(lambda h=hidden: whole_arrays(h, epochs))),
            "`jl.fit`": (1, _time(lambda h=hidden: by_jaxland(h, epochs, 1))),
            f"`jl.fit`, {fits:,} networks": (fits, _time(lambda h=hidden: by_jaxland(h, epochs, fits))),
        }
        slowest = ways["point by point"][1]
        for name, (count, seconds) in ways.items():
            each = seconds / count
            ratios = f"{slowest / each:,.3g} | {document * epochs / 1000 / each:,.3g}"
            print(f"| {hidden} | {name} | {count:,} | {each:.3g} | {ratios} |")


def _time(work) -> float:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return float(np.median(seconds))


if __name__ == "__main__":
    main()
