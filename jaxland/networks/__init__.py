"""Networks as pure functions, with their symmetry group as data."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.networks.activations import ACTIVATIONS, Activation, get_activation, smooth_relu
    from jaxland.networks.embedding import embed
    from jaxland.networks.initializers import INITIALIZERS, get_initializer
    from jaxland.networks.minimum_energy import MinimumEnergy, minimum_energy
    from jaxland.networks.mlp import Dense, mlp, smoothed
    from jaxland.networks.network import Network, NetworkSpec
    from jaxland.networks.outputs import outputs
    from jaxland.networks.slices import entry_indices, filled, sliced
    from jaxland.networks.symmetry import Symmetry, UnitLayer

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "Activation",
    "Dense",
    "MinimumEnergy",
    "Network",
    "NetworkSpec",
    "Symmetry",
    "UnitLayer",
    "embed",
    "entry_indices",
    "filled",
    "get_activation",
    "get_initializer",
    "minimum_energy",
    "mlp",
    "outputs",
    "sliced",
    "smooth_relu",
    "smoothed",
]

__getattr__, __dir__ = attach(__name__, __file__)
