"""Some fits of a study, brought to their symmetrised representatives."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxland.landscape import symmetrise
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.store import StudyStore


class Sample(NamedTuple):
    """The first finite fits of an ensemble: as good as any others, for fits are independent of their numbers."""

    fit: Int[np.ndarray, "F"]
    params: Float[np.ndarray, "F P"]
    """Symmetrised, float64."""
    trained: Float[np.ndarray, "F P"]
    """The same fits as training left them, float64."""


def first_fits(config: SawtoothConfig, store: StudyStore, ensemble: str, count: int) -> Sample:
    """The first `count` fits of an ensemble that did not diverge, or as many as there are."""
    numbers: list[np.ndarray] = []
    params: list[np.ndarray] = []
    for shard in store.stream(ensemble, ["fit", "diverged_step", "params"]):
        good = shard.arrays["diverged_step"] < 0
        numbers.append(shard.arrays["fit"][good])
        params.append(shard.arrays["params"][good])
        if sum(map(len, numbers)) >= count:
            break
    if not numbers:
        return Sample(np.zeros(0, np.int64), *np.zeros((2, 0, config.network.size)))
    chosen = np.concatenate(params)[:count].astype(np.float64)
    canonical = symmetrise(config.network, chosen, x=config.problem.x).params
    return Sample(np.concatenate(numbers)[:count], canonical, chosen)


def global_minimum(config: SawtoothConfig) -> Float[np.ndarray, "P"] | None:
    """W_f, symmetrised, where the fits' network is that of the target."""
    problem, network = config.problem, config.network
    if problem.minimum is None or problem.network is None or problem.network.spec.widths != network.spec.widths:
        return None
    return symmetrise(network, problem.minimum[None], x=problem.x).params[0]
