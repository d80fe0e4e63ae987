"""One representative of all parameter vectors that the declared symmetry makes equal."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from jaxland._scaling import norm
from jaxland._short import in_short
from jaxland.landscape.ordering import canonical_orders, tied_rows
from jaxland.networks import Network, Symmetry, minimum_energy, outputs
from jaxland.networks.declared import standard_points
from jaxland.networks.minimum_energy import MinimumEnergy

# Norms and entries that differ by this many epsilons of the dtype differ by rounding: `minimum_energy` balances to 64.
_ROUNDING = 256


class Symmetrised(NamedTuple):
    """Representatives, and the certificate that they are right."""

    params: Float[np.ndarray, "F P"]
    imbalance: Float[np.ndarray, "F"]
    """Largest relative difference of |incoming| and |outgoing| weights of a unit; zero at minimum energy."""
    drift: Float[np.ndarray, "F"]
    """Largest change of the output over the points looked at, in units of the output."""
    converged: Bool[np.ndarray, "F"]
    """False for non-finite parameters and where the balance was not reached."""

    __repr__ = in_short


def symmetrise(
    network: Network,
    params: Float[np.ndarray, "F P"],
    *,
    x: Float[np.ndarray, "N D"] | Float[np.ndarray, "N"] | None = None,
) -> Symmetrised:
    """Brings fits to minimum energy and sorts the units of each layer by norm.

    Gamst and Walker, section 3: first the least-norm member of the scaling orbit, then units in order of increasing
    norm of their incoming weights and bias, which at minimum energy is that of their outgoing weights too; see
    `sort_units` and, for units with an odd activation, `fix_signs`. The function does not change.

    Of a chain of layers, as those of `mlp`, all members of an orbit become one vector, up to rounding. Of other
    networks that is promised of scales, and of the order of units whose norms differ, but not of signs: where weights
    enter odd units from a layer declared later, or from their own, as in residual and recurrent networks, signs that
    hang together in a circle may be left as they were given. Two results that differ can then be one network, and
    distances between them are upper bounds; `orbit_distances` looks for the nearest and says whether it is exact.

    Args:
        network: declares its symmetry in `network.spec.symmetry`, as that of `mlp` does; see `declare_symmetry` for
            others. Fits of a network that declares none come back as they are, with a warning.
        params: flat parameters.
        x: points at which the drift of the output is measured; by default 64 standard-normal ones.

    Returns:
        Representatives in the dtype of `params`, with their certificate. Non-finite fits come back as they are.

    Raises:
        ValueError: `params` does not fit the network.
    """
    params = np.asarray(params)
    if params.ndim != 2 or params.shape[1] != network.size:
        raise ValueError(
            f"params must have shape (fits, {network.size}); got {params.shape}. A single fit is params[None]."
        )
    if not network.spec.symmetry.layers and len(network.spec.widths) != 2:
        warnings.warn(
            f"network {network.spec.name!r} declares no symmetry, so fits come back as they are, and distances between "
            "them count the order and scale of units; declare it with jaxland.networks.declare_symmetry.",
            stacklevel=2,
        )
    found = representatives(network.spec.symmetry, params)
    return Symmetrised(found.params, found.imbalance, _drift(network, params, found.params, x), found.converged)


def representatives(symmetry: Symmetry, params: Float[np.ndarray, "F P"]) -> MinimumEnergy:
    """What `symmetrise` makes of fits, without a look at what they compute."""
    balanced = minimum_energy(symmetry, params)
    finite = np.isfinite(params).all(axis=1)
    balanced.params[finite] = _sorted_and_signed(symmetry, balanced.params[finite])
    return balanced


def _sorted_and_signed(symmetry, params):
    # Where entries or norms tie, signs and order of a layer depend on those of the layer before.
    for _ in range(len(symmetry.layers) + 1):
        before = params
        params = sort_units(symmetry, fix_signs(symmetry, params))
        if np.array_equal(before, params):
            break
    return params


def fix_signs(symmetry: Symmetry, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F P"]:
    """Makes the incoming entry of largest magnitude positive in every unit with an odd activation.

    Of entries whose magnitudes agree to rounding most become positive or, of as many of either sign, the first; of a
    unit without incoming weight its outgoing ones decide.
    """
    result = np.array(params)
    for layer in symmetry.layers:
        if layer.scaling == "sign":
            sign = _sign(result[:, layer.incoming])
            sign = np.where(sign == 0, _sign(result[:, layer.outgoing]), sign)
            sign = np.where(sign == 0, 1, sign).astype(result.dtype)
            result[:, layer.incoming] *= sign
            result[:, layer.outgoing] *= sign
    return result


def _sign(entries):
    """That of most entries as large as any, of each unit, for it does not depend on their order; then of the first."""
    magnitude = np.abs(entries)
    decisive = magnitude >= (1 - _tolerance(entries)) * magnitude.max(axis=-1, keepdims=True)
    votes = np.sign(np.where(decisive, entries, 0)).sum(axis=-1, keepdims=True)
    first = np.take_along_axis(entries, decisive.argmax(-1)[..., None], axis=-1)
    return np.sign(np.where(votes == 0, first, votes))


def sort_units(symmetry: Symmetry, params: Float[np.ndarray, "F P"]) -> Float[np.ndarray, "F P"]:
    """Orders the units of each layer by increasing norm of their incoming weights and bias.

    Units whose norms agree to 256 machine epsilons, as even functions have them, are ordered by their weights, so that
    all orders of the same units become one; see `jaxland.landscape.ordering`.
    """
    params = np.asarray(params)
    norms = [norm(params[:, layer.incoming]) for layer in symmetry.layers]
    result = symmetry.transform(params, permutations=[np.argsort(each, axis=-1, kind="stable") for each in norms])
    tolerance = _tolerance(result)
    for fit in tied_rows(symmetry, result, tolerance):
        orders = canonical_orders(symmetry, np.asarray(result[fit], np.float64), tolerance)
        result[fit] = symmetry.transform(result[fit], permutations=orders)
    return result


def _tolerance(values) -> float:
    return _ROUNDING * float(np.finfo(values.dtype).eps) if values.dtype.kind == "f" else 0.0


def _drift(network, before, after, x):
    x = standard_points(network) if x is None else x
    wide = [outputs(network, np.asarray(params, np.float64), np.asarray(x)) for params in (before, after)]
    return np.abs(wide[0] - wide[1]).max(axis=(1, 2))
