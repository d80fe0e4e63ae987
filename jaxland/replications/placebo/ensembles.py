"""The fits of the placebo study."""

import numpy as np

from jaxland.replications.placebo.config import PlaceboConfig
from jaxland.training import ByNumber, Ensemble


def ensembles(config: PlaceboConfig) -> dict[str, Ensemble]:
    """Fits of noise, and of the same inputs with labels that they explain in part; each fit has its own data."""
    return {name: _ensemble(config, share) for name, share in config.shares.items()}


def _ensemble(config: PlaceboConfig, share: float) -> Ensemble:
    inputs, targets = own_data(config, share)
    return Ensemble(
        network=config.network,
        problem=config.problem(0, share),
        optimizer=config.optimizer,
        steps=config.steps,
        seed=config.seed,
        dtype=config.dtype,
        inputs=inputs,
        targets=targets,
    )


def own_data(config: PlaceboConfig, share: float = 0.0) -> tuple[ByNumber, ByNumber]:
    """`inputs` and `targets` of an ensemble: data set i for fit i."""

    def half(which: int) -> ByNumber:
        return lambda fits: np.stack([config.data(int(fit), share)[which] for fit in fits])

    return half(0), half(1)
