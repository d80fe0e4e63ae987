"""Networks as pure functions, with their symmetry group as data."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.networks.activations import ACTIVATIONS, Activation, get_activation, smooth_relu
    from jaxland.networks.declared import UnitAxis, Units, declare_symmetry
    from jaxland.networks.embedding import embed
    from jaxland.networks.equinox_modules import from_equinox, to_equinox
    from jaxland.networks.flax_modules import from_flax, to_flax
    from jaxland.networks.initializers import INITIALIZERS, get_initializer
    from jaxland.networks.minimum_energy import MinimumEnergy, minimum_energy
    from jaxland.networks.mlp import Dense, mlp, smoothed
    from jaxland.networks.network import Network, NetworkSpec, Origin
    from jaxland.networks.outputs import outputs
    from jaxland.networks.slices import entry_indices, filled, sliced
    from jaxland.networks.symmetry import Symmetry, UnitLayer
    from jaxland.networks.torch_states import from_torch, to_torch

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "Activation",
    "Dense",
    "MinimumEnergy",
    "Network",
    "NetworkSpec",
    "Origin",
    "Symmetry",
    "UnitAxis",
    "UnitLayer",
    "Units",
    "declare_symmetry",
    "embed",
    "entry_indices",
    "filled",
    "from_equinox",
    "from_flax",
    "from_torch",
    "get_activation",
    "get_initializer",
    "minimum_energy",
    "mlp",
    "outputs",
    "sliced",
    "smooth_relu",
    "smoothed",
    "to_equinox",
    "to_flax",
    "to_torch",
]

__getattr__, __dir__ = attach(__name__, __file__)
