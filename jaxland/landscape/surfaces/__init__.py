"""Loss surfaces: planes in parameter space, the loss on them, and what it looks like in numbers."""

from jaxland.landscape.surfaces.features import (
    Features,
    SurfaceTree,
    features_table,
    nonconvexity,
    surface_features,
    surface_tree,
)
from jaxland.landscape.surfaces.planes import (
    BIAS_RULES,
    Plane,
    PrincipalPlane,
    coordinate_plane,
    filter_directions,
    filters,
    plane_through,
    random_plane,
    trajectory_plane,
)
from jaxland.landscape.surfaces.surface import InPlane, Surface, in_plane, losses_at, plane_losses, surface

__all__ = [
    "BIAS_RULES",
    "Features",
    "InPlane",
    "Plane",
    "PrincipalPlane",
    "Surface",
    "SurfaceTree",
    "coordinate_plane",
    "features_table",
    "filter_directions",
    "filters",
    "in_plane",
    "losses_at",
    "nonconvexity",
    "plane_losses",
    "plane_through",
    "random_plane",
    "surface",
    "surface_features",
    "surface_tree",
    "trajectory_plane",
]
