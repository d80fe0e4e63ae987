"""The fits of the sawtooth study."""

from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.training import Ensemble, make_optimizer


def ensembles(config: SawtoothConfig) -> dict[str, Ensemble]:
    """One ensemble for each optimizer; fit i starts from the same parameters in all of them."""
    return {
        name: Ensemble(
            network=config.network,
            problem=config.problem,
            optimizer=make_optimizer(config.optimizer(name)),
            steps=config.steps,
            seed=config.seed,
            dtype=config.dtype,
        )
        for name in config.optimizers
    }
