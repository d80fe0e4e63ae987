"""The fits of the backprop study."""

import optax

from jaxland.replications.backprop.config import BackpropConfig, ensemble_name
from jaxland.training import Ensemble


def ensembles(config: BackpropConfig) -> dict[str, Ensemble]:
    """One ensemble for each learning rate; fit i starts from the same point in all of them."""
    return {
        ensemble_name(rate): Ensemble(
            network=config.network,
            problem=config.problem,
            optimizer=optax.sgd(rate),
            steps=config.epochs,
            seed=config.seed,
            dtype=config.dtype,
        )
        for rate in config.rates
    }
