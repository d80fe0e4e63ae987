"""What an epoch costs."""

import jax
import numpy as np

from jaxland.replications.two_layer.source import POINTS, network, standard_weights


def operations(hidden: int) -> float:
    """Floating point operations of loss and gradient on the training set, as XLA counts them before it fuses any."""
    net, x = network(hidden), np.zeros((POINTS, 1))

    def loss(params):
        return 0.5 * ((net.apply_flat(params, x) - x) ** 2).mean()

    found = jax.jit(jax.value_and_grad(loss)).lower(standard_weights(hidden)).cost_analysis()
    return float(dict(found or {})["flops"])
