"""Five replications: studies that follow a source document statement by statement, as any user's package could."""

from jaxland.replications.backprop.config import BackpropConfig
from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.surfaces.config import SurfacesConfig
from jaxland.replications.two_layer.config import TwoLayerConfig

__all__ = ["BackpropConfig", "PlaceboConfig", "SawtoothConfig", "SurfacesConfig", "TwoLayerConfig"]
