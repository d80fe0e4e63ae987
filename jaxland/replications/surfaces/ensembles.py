"""The fits of the surfaces study: descents of two weights of a network."""

from jaxland.replications.surfaces.config import SurfacesConfig, ensemble_name
from jaxland.training import Ensemble, make_optimizer


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
