"""What decides the fits of the surfaces study: data, weights, and the two of them that are free."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from jaxland.studies import check_choices, check_different, check_integers, check_optimizers, check_seeds
from jaxland.training import Adagrad, Adam, Momentum, OptimizerConfig, Sgd

if TYPE_CHECKING:
    from jaxland.problems import Images
    from jaxland.replications.surfaces.pair import Pair

A, B = (-15.0, 17.0), (-15.0, 18.0)
"""The window of the document, for the first and for the second weight."""
GRID = 40
"""Points of its surfaces along each axis."""
SIDE = 28
"""Of enlarged digits and of MNIST's pictures."""


@dataclass(frozen=True)
class SurfacesConfig:
    """Loss landscapes and descent animations: two free weights of a sigmoid network, all others standard normal."""

    data: Literal["digits", "enlarged", "idx"] = "digits"
    """Pictures: scikit-learn's 8 x 8 digits, the same enlarged to 28 x 28 as in MNIST, or the IDX files named below."""
    images: str = ""
    """IDX file of pictures, such as train-images-idx3-ubyte.gz of MNIST; for data idx."""
    labels: str = ""
    """IDX file of classes, such as train-labels-idx1-ubyte.gz."""
    checksum: str = ""
    """Of the IDX files; filled in, and compared whenever the study goes on."""
    samples: int = 100
    """Pictures on which the weights descend; the document takes the first 100."""
    weights: tuple[int, ...] = (135, 1220)
    """Seeds of the fixed weights: the document's, and one whose surface on the digits has two minima."""
    hidden: tuple[int, ...] = (50, 500)
    """Units of the hidden layers."""
    output: int = 5
    """The output unit into which the two free weights lead, from 0."""
    units: tuple[int, int] = (250, 251)
    """The units of the last hidden layer from which they come, from 0."""
    optimizers: tuple[str, ...] = ("sgd", "momentum", "adagrad", "adam")
    """One ensemble for each, and for each seed of the weights: sgd, momentum, adagrad, adam."""
    epochs: int = 10_000
    """Steps of each descent."""
    seed: int = 0
    """Fit i starts from a point of the window drawn with the key fold_in(key(seed), i)."""
    dtype: Literal["float32", "float64"] = "float64"
    """Number format of the descents: slopes of plateaus are small."""
    sgd: Sgd = field(default_factory=lambda: Sgd(5.0))
    """Numbers of gradient descent. The document's rate of 10 is that of half the gradient."""
    momentum: Momentum = field(default_factory=lambda: Momentum(5.0, 0.9))
    """Numbers of gradient descent with momentum."""
    adagrad: Adagrad = field(default_factory=lambda: Adagrad(1.0))
    """Numbers of adagrad."""
    adam: Adam = field(default_factory=lambda: Adam(0.1))
    """Numbers of adam."""

    def __post_init__(self):
        check_choices(self)
        check_optimizers(self)
        check_integers(self, "samples", "epochs")
        check_different("weights", self.weights)
        check_seeds("seeds of weights", *self.weights)
        if (self.data == "idx") != bool(self.images and self.labels):
            raise ValueError("data idx needs both --images and --labels, and other data neither.")
        if self.data == "idx" and not self.checksum:
            object.__setattr__(self, "checksum", _checksum(self.images, self.labels))
        if not self.hidden or min(self.hidden) < 1:
            raise ValueError(f"hidden must be one or more positive integers; got {list(self.hidden)}.")
        if not 0 <= self.output < 10:
            raise ValueError(f"there is no output {self.output}; they are 0 to 9.")
        if len(set(self.units)) < 2 or not all(0 <= unit < self.hidden[-1] for unit in self.units):
            raise ValueError(f"units must be two of 0 to {self.hidden[-1] - 1}; got {list(self.units)}.")

    def pictures(self, samples: int | None = None) -> "Images":
        """The first so many pictures, or all there are.

        Raises:
            ValueError: there are not so many, or the IDX files are not those the study began with.
        """
        from jaxland.problems import digits, idx_images

        if self.data != "idx":
            found = digits(8 if self.data == "digits" else SIDE)
            return found if samples is None else found.take(samples)
        if _checksum(self.images, self.labels) != self.checksum:
            raise ValueError(f"{self.images} or {self.labels} is not the file this study began with.")
        return idx_images(self.images, self.labels, samples)

    @property
    def is_source(self) -> bool:
        """Whether this is the document's own experiment: its network on the files of MNIST's size."""
        own = (self.hidden, self.output, self.units, self.samples) == ((50, 500), 5, (250, 251), 100)
        return own and self.data == "idx" and self.pictures(1).pixels.shape[1] == SIDE**2 and 135 in self.weights

    @property
    def caveat(self) -> str:
        """What claims about the document's own pictures are told first."""
        return "" if self.is_source else f"measured on {self.name_of_data}, not on the document's MNIST; "

    @property
    def name_of_data(self) -> str:
        """Of the pictures, in words."""
        return self.pictures(1).name

    @property
    def entries(self) -> tuple[str, str]:
        """Names of the two free weights among those of the network."""
        layer = len(self.hidden)
        first, second = (f"{layer}.weight[{self.output},{unit}]" for unit in self.units)
        return first, second

    @property
    def window(self) -> tuple[np.ndarray, np.ndarray]:
        """Its lowest and its highest corner."""
        low, high = np.array([A, B]).T
        return low, high

    def pair(self, seed: int, samples: int | None = None) -> "Pair":
        """The two free weights of the last layer, the others drawn with this seed."""
        from jaxland.replications.surfaces.pair import last_layer_pair
        from jaxland.replications.surfaces.weights import source_weights, whole_network

        pictures = self.pictures(samples)
        whole = whole_network(self.hidden, pictures)
        return last_layer_pair(whole, source_weights(whole, seed), pictures, self.output, self.units)

    def optimizer(self, name: str) -> OptimizerConfig:
        """The numbers of the optimizer with this name."""
        return getattr(self, name)


def ensemble_name(seed: int, optimizer: str) -> str:
    """What the descents of one optimizer with the weights of one seed are called."""
    return f"{optimizer}-{seed}"


def _checksum(*paths: str) -> str:
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(hashlib.sha256(Path(path).read_bytes()).digest())
        except OSError as error:
            raise ValueError(f"cannot read {path}: {error.strerror or error}.") from error
    return digest.hexdigest()[:16]
