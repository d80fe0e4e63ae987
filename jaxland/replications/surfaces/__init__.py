"""Loss landscapes and descent animations: surfaces over two weights of a sigmoid network."""

from jaxland.replications.surfaces import descent, ends, gallery, landscape, planes
from jaxland.replications.surfaces.config import SurfacesConfig, ensembles
from jaxland.studies import Study

STUDY = Study(
    name="surfaces",
    title="loss landscapes and descent animations: two weights of a sigmoid network that sees digits",
    source="Gradient descent and loss landscape animations of neural networks in Python (a tutorial)",
    config=SurfacesConfig,
    default_fits=256,
    quick="8 x 256 descents of 10,000 epochs, 64-50-500-10 on scikit-learn's digits: about a minute on two cores",
    paper="3 descents, 784-50-500-10 on MNIST files you have; --scale paper on the digits, three minutes there",
    ensembles=ensembles,
    analyses={
        "landscape": landscape.ANALYSIS,
        "descent": descent.ANALYSIS,
        "ends": ends.ANALYSIS,
        "gallery": gallery.ANALYSIS,
        "planes": planes.ANALYSIS,
    },
    default_analyses=("landscape", "descent", "ends", "gallery"),
)

__all__ = ["STUDY", "SurfacesConfig"]
