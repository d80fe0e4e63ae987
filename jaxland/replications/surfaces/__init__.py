"""Loss landscapes and descent animations: surfaces over two weights of a sigmoid network."""

from jaxland.replications.surfaces.config import SurfacesConfig
from jaxland.studies import Study, analyses_in, deferred

STUDY = Study(
    name="surfaces",
    title="loss landscapes and descent animations: two weights of a sigmoid network that sees digits",
    source="Gradient descent and loss landscape animations of neural networks in Python (a tutorial)",
    config=SurfacesConfig,
    default_fits=256,
    quick="8 x 256 descents of 10,000 epochs, 64-50-500-10 on scikit-learn's digits: about a minute on two cores",
    paper="3 descents, 784-50-500-10 on MNIST files you have; --scale paper on the digits, three minutes there",
    ensembles=deferred(f"{__name__}.ensembles:ensembles"),
    analyses=analyses_in(
        __name__,
        {
            "landscape": "figures 3, 7 and 8: surfaces over two weights",
            "descent": "figures 5 and 6: three descents, with animations",
            "ends": "where descents from all over the window end, with four optimizers",
            "gallery": "figures 7 and 8 many times: surfaces over many seeds, by pair of weights and by depth",
            "planes": "planes of all weights: random, through three minima, of trajectories",
        },
    ),
    default_analyses=("landscape", "descent", "ends", "gallery"),
    statements=deferred(f"{__name__}.statements:statements"),
)

__all__ = ["STUDY", "SurfacesConfig"]
