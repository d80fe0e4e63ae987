"""The sawtooth target of Gamst and Walker: a function a small ReLU network can represent but does not learn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from jaxland.networks import Network, minimum_energy, mlp
from jaxland.problems.problem import Problem

MAIN_SPLINE = ((-1.0, 0.0), (-3 / 8, 0.3), (3 / 8, 0.2))


@dataclass(frozen=True, eq=False)
class SawtoothTarget:
    """f = high-frequency sawtooth + low-frequency spline on [-1, 1], and the network that equals it.

    A K x (N1 + N2) network: in every hidden layer N1 units fold the sawtooth and N2 units carry the spline.

    Attributes:
        depth: K, hidden layers.
        saw: N1, sawtooth units a layer; the wave has N1^K linear pieces.
        spline: N2 pairs (knot, height), knots increasing from -1.
        end_height: height of the spline at x = 1.
        amplitude: a; the wave runs between -a and a.

    Raises:
        ValueError: a parameter outside its range.
    """

    depth: int = 5
    saw: int = 2
    spline: tuple[tuple[float, float], ...] = MAIN_SPLINE
    end_height: float = 0.0
    amplitude: float = 0.116

    def __post_init__(self):
        knots = [knot for knot, _ in self.spline]
        if self.depth < 1 or self.saw < 1:
            raise ValueError(f"depth and saw must be at least 1; got depth={self.depth}, saw={self.saw}.")
        if knots and (knots[0] != -1 or sorted(set(knots)) != knots or knots[-1] >= 1):
            raise ValueError(f"spline knots must increase strictly from -1 and stay below 1; got {knots}.")

    @property
    def network(self) -> Network:
        """The fully connected ReLU network of the same size."""
        return mlp([1, *[self.saw + len(self.spline)] * self.depth, 1])

    @property
    def knots(self) -> Float[np.ndarray, "knots"]:
        """The points where f changes slope, with both ends of [-1, 1]."""
        pieces = self.saw**self.depth
        wave = -1 + 2 * np.arange(pieces + 1) / pieces
        spline = np.array([knot for knot, _ in self.spline])
        apart = np.abs(spline[:, None] - wave).min(axis=1, initial=np.inf) > 1e-12
        return np.sort(np.concatenate([wave, spline[apart]]))

    def __call__(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        """f(x) in closed form, for x in [-1, 1]."""
        return self.wave(x) + self._spline(x)

    def wave(self, x: Float[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
        """The high-frequency part of f, between -a and a."""
        position = (np.asarray(x) + 1) / 2 * self.saw**self.depth
        return self.amplitude * (1 - 2 * np.abs(1 - position % 2))

    def _spline(self, x):
        if not self.spline:
            return np.zeros(np.shape(x))
        knots, heights = np.transpose([*self.spline, (1.0, self.end_height)])
        return np.interp(x, knots, heights)

    def points(self, per_segment: int = 10) -> Float[np.ndarray, "N"]:
        """Training points: each segment's left knot and `per_segment - 1` evenly spaced points inside it."""
        knots = self.knots
        steps = np.arange(per_segment) / per_segment
        return (knots[:-1, None] + np.diff(knots)[:, None] * steps).ravel()

    def parameters(self) -> Float[np.ndarray, "P"]:
        """The hand-made parameters W_f, block-diagonal, before any rescaling (Gamst and Walker, section 2)."""
        layers: list[tuple[np.ndarray, np.ndarray]] = [self._first_layer()]
        height = 2 / self.saw
        for _ in range(self.depth - 1):
            layers.append(self._inner_layer(height))
            height /= self.saw
        layers.append(self._output_layer(height))
        return np.concatenate([part.ravel() for layer in layers for part in layer])

    @property
    def _signs(self):
        # Slopes of the folding map: 1 on the first piece, then -2 and 2 in turn to reverse it.
        return np.array([1.0, *(-2.0 * (-1.0) ** unit for unit in range(self.saw - 1))])

    def _first_layer(self):
        saw_bias = 1 - 2 * np.arange(self.saw) / self.saw
        spline_bias = [-knot for knot, _ in self.spline]
        bias = np.concatenate([saw_bias, spline_bias])
        return np.ones((len(bias), 1)), bias

    def _inner_layer(self, height):
        width = self.saw + len(self.spline)
        weight, bias = np.eye(width), np.zeros(width)
        weight[: self.saw, : self.saw] = self._signs
        bias[: self.saw] = -height * np.arange(self.saw) / self.saw
        return weight, bias

    def _output_layer(self, height):
        points = [*self.spline, (1.0, self.end_height)]
        start = points[0][1] if self.spline else 0.0
        slopes = np.diff([y for _, y in points]) / np.diff([x for x, _ in points])
        changes = np.diff(slopes, prepend=0.0) if self.spline else []
        weight = np.concatenate([self._signs * 2 * self.amplitude / height, changes])
        return weight[None, :], np.array([start - self.amplitude])


@dataclass(frozen=True, eq=False, repr=False)
class SawtoothProblem(Problem):
    """`Problem` with the target it was made from, whose network and minimum are known."""

    target: SawtoothTarget = field(kw_only=True)
    network: Network = field(kw_only=True)
    minimum: np.ndarray = field(kw_only=True)


def sawtooth(
    depth: int = 5,
    saw: int = 2,
    spline: Sequence[tuple[float, float]] = MAIN_SPLINE,
    *,
    end_height: float = 0.0,
    amplitude: float = 0.116,
    points_per_segment: int = 10,
) -> SawtoothProblem:
    """The sawtooth problem; with the defaults the main example of Gamst and Walker.

    Its 5 x (2+3) network has 136 parameters and 32 linear pieces; the knots and 9 points inside each piece, left ends
    included, give 320 points. `sawtooth(saw=5, spline=())` and
    `sawtooth(saw=3, spline=((-1, 0), (-1/3, 0.3)))` are the (5+0) and (3+2) targets of section 4.9.

    Args:
        depth: K, hidden layers.
        saw: N1, sawtooth units a layer.
        spline: N2 pairs (knot, height).
        end_height: height of the spline at x = 1.
        amplitude: of the wave; its variance a^2 / 3 is the loss of the smooth fit.
        points_per_segment: training points in each linear piece.

    Returns:
        A problem whose `minimum` holds the minimum-energy parameters with which `network` equals the target.

    Raises:
        ValueError: a parameter outside its range.
    """
    if points_per_segment < 1:
        raise ValueError(f"points_per_segment must be at least 1; got {points_per_segment}.")
    spline = tuple((float(knot), float(height)) for knot, height in spline)
    target = SawtoothTarget(depth, saw, spline, float(end_height), float(amplitude))
    network = target.network
    x = target.points(points_per_segment)
    minimum = minimum_energy(network.spec.symmetry, target.parameters()[None]).params[0]
    name = f"sawtooth-{depth}x({saw}+{len(spline)})"
    return SawtoothProblem(x, target(x), name=name, network=network, minimum=minimum, target=target)
