"""Exchanges of units and their signs: for many fits at once, which old unit stands where, and with which sign."""

from collections.abc import Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from jaxland.networks import Symmetry
from jaxland.networks.symmetry import UnitLayer

Layers = Sequence[UnitLayer]

# Up to so many units all orders are tried at once, which is faster than one assignment after the other.
ENUMERATED = 5


class Exchange(NamedTuple):
    """One element of the group for each of F fits, layer by layer."""

    orders: list[Int[np.ndarray, "F U"]]
    """The old unit that comes to stand at each place."""
    signs: list[Float[np.ndarray, "F U"]]
    """What its entries are multiplied by: 1 or, of odd units, -1."""

    @staticmethod
    def none(layers: Layers, fits: int) -> "Exchange":
        """Everything stays where it is."""
        return Exchange(
            [np.tile(np.arange(len(layer.incoming)), (fits, 1)) for layer in layers],
            [np.ones((fits, len(layer.incoming))) for layer in layers],
        )

    def follow(
        self,
        place: int,
        orders: Int[np.ndarray, "rows U"],
        signs: Float[np.ndarray, "rows U"],
        rows: Int[np.ndarray, "rows"] | slice = slice(None),
    ) -> None:
        """Follows it, for some fits, by an exchange of one layer; in place."""
        moved = np.take_along_axis(self.signs[place][rows], orders, axis=1) * signs
        self.orders[place][rows] = np.take_along_axis(self.orders[place][rows], orders, axis=1)
        self.signs[place][rows] = moved

    def where(self, chosen: Bool[np.ndarray, "F"], other: "Exchange") -> "Exchange":
        """This one for the fits chosen, the other for the rest."""
        return Exchange(
            *(
                [np.where(chosen[:, None], *both) for both in zip(mine, others, strict=True)]
                for mine, others in zip(self, other, strict=True)
            )
        )

    def act(self, layers: Layers, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F P"]:
        """Fits with their units exchanged, in their dtype; nothing is rounded."""
        scales = [
            np.take_along_axis(signs, np.argsort(orders, axis=1), axis=1)  # of units where they were
            for orders, signs in zip(self.orders, self.signs, strict=True)
        ]
        return Symmetry(tuple(layers)).transform(params, self.orders, scales)


def assigned(gains: Float[np.ndarray, "F U U"]) -> Int[np.ndarray, "F U"]:
    """For each place the unit it gets where the sum of gains, [place, unit], is largest: linear assignments."""
    count, units = gains.shape[:2]
    if units > ENUMERATED:
        orders = [linear_sum_assignment(each, maximize=True)[1] for each in gains]
        return np.array(orders, np.int64).reshape(count, units)
    every = np.array(list(permutations(range(units))), np.int64)
    return every[(gains.reshape(count, -1) @ order_matrices(every, np.ones(every.shape)).T).argmax(axis=1)]


def order_matrices(orders: Int[np.ndarray, "S U"], signs: Float[np.ndarray, "S U"]) -> Float[np.ndarray, "S U*U"]:
    """Signed permutations as rows of matrices [place, unit], by which gains are summed."""
    units = orders.shape[1]
    result = np.zeros((len(orders), units, units))
    np.put_along_axis(result, orders[..., None], signs[..., None], axis=2)
    return result.reshape(len(orders), -1)


def at(values: Float[np.ndarray, "F U U"], orders: Int[np.ndarray, "F U"]) -> Float[np.ndarray, "F U"]:
    """The value of each place with its unit."""
    return np.take_along_axis(values, orders[..., None], axis=2)[..., 0]


def products(
    goals: Float[np.ndarray, "F P"], params: Float[np.ndarray, "F P"], entries: Int[np.ndarray, "U A"]
) -> Float[np.ndarray, "F U U"]:
    """Scalar products of what belongs to each place of the goals with what belongs to each unit of the fits."""
    return goals[:, entries] @ params[:, entries].transpose(0, 2, 1)
