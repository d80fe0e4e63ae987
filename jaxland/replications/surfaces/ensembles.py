"""The network of the surfaces study, its two free weights, and their descents."""

from functools import lru_cache

from jaxland.networks import Network
from jaxland.problems import Images
from jaxland.replications.surfaces.config import SurfacesConfig, ensemble_name
from jaxland.replications.surfaces.pair import Pair, last_layer_pair
from jaxland.replications.surfaces.weights import sigmoid_network, source_weights
from jaxland.training import Ensemble, make_optimizer


def whole_network(config: SurfacesConfig, pictures: Images) -> Network:
    """The whole network; the same object for equal settings, so that nothing is compiled twice."""
    return _network(pictures.pixels.shape[1], config.hidden, pictures.classes)


@lru_cache
def _network(inputs: int, hidden: tuple[int, ...], outputs: int) -> Network:
    return sigmoid_network(inputs, hidden, outputs)


def pair(config: SurfacesConfig, seed: int, samples: int | None = None) -> Pair:
    """The two free weights of the last layer, the others drawn with this seed."""
    pictures = config.pictures(samples)
    whole = whole_network(config, pictures)
    return last_layer_pair(whole, source_weights(whole, seed), pictures, config.output, config.units)


def ensembles(config: SurfacesConfig) -> dict[str, Ensemble]:
    """Descents of the two weights from random points of the window, the same for all seeds and optimizers."""
    pairs = {seed: config.pair(seed, config.samples) for seed in config.weights}
    return {
        ensemble_name(seed, name): Ensemble(
            network=pair.network(*config.window),
            problem=pair.problem(),
            optimizer=make_optimizer(config.optimizer(name)),
            steps=config.epochs,
            seed=config.seed,
            dtype=config.dtype,
        )
        for seed, pair in pairs.items()
        for name in config.optimizers
    }
