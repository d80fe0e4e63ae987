"""What a reader without a study's code needs to compute its fits: `networks.json` in the study directory.

It decides nothing and enters no hash; where it is lost or damaged, the report draws no functions.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxland.store import StoreError, commit, read_if_sound

if TYPE_CHECKING:
    from jaxland.training import Ensemble

NETWORKS = "networks.json"
_POINTS = 2000  # of the data, at most


def describe(directory: Path, ensembles: "Mapping[str, Ensemble]") -> None:
    """Writes down steps of each ensemble, and network and data where both have one input and one output.

    Args:
        directory: of the study.
        ensembles: by name.

    Raises:
        StoreError: it cannot be written.
    """
    text = json.dumps({name: _described(each) for name, each in ensembles.items()}, sort_keys=True)
    content = f"{text}\n".encode()
    if read_if_sound(directory / NETWORKS) != content:
        commit(directory / NETWORKS, content)


def _described(ensemble: "Ensemble") -> dict[str, Any]:
    # They load JAX, which whoever reads does without.
    from jaxland.networks.mlp import MultilayerPerceptron
    from jaxland.training.validation import is_split

    told: dict[str, Any] = {"steps": ensemble.steps, "trace_every": ensemble.trace_every}
    if ensemble.validation is not None:
        told["validate_every"] = ensemble.validation_every
    network = getattr(ensemble.network.apply, "__self__", None)
    if not isinstance(network, MultilayerPerceptron) or (network.widths[0], network.widths[-1]) != (1, 1):
        return told
    told |= {
        "widths": list(network.widths),
        "activation": network.activation.name,
        "output_activation": network.output_activation.name,
        "bias": network.bias,
    }
    # Of a share that each fit sets aside all points are told: they are those of the problem.
    apart = is_split(ensemble.inputs)
    if ensemble.inputs is None or apart:
        x = ensemble.problem.x[:, 0]
        told["range"] = [float(x.min()), float(x.max())]
        own = ensemble.targets is not None and not is_split(ensemble.targets)
        if not own and ensemble.problem.y.shape[1] == 1 and len(x) <= _POINTS:
            told |= {"x": x.tolist(), "y": ensemble.problem.y[:, 0].tolist()}
            told |= {"apart": True} if apart else _squares(ensemble)
    return told


def _squares(ensemble: "Ensemble") -> dict[str, float]:
    """What the sum of squared errors is multiplied by, where that is the objective."""
    problem = ensemble.problem
    weighted = ensemble.weights is not None or problem.weights is not None
    if not problem.loss.least_squares or weighted or problem.penalty:
        return {}
    one, zero = np.ones((1, 1)), np.zeros((1, 1))
    return {"squares": float(problem.loss.values(one, zero)[0, 0]) * problem.loss.weight(len(problem.x), 1)}


def described(directory: Path, unreadable: Callable[[str], object] = lambda name: None) -> dict[str, Any]:
    """What is written down, by ensemble; nothing where it is not there or damaged.

    Args:
        directory: of the study.
        unreadable: told the file's name where it is there and cannot be read.
    """
    try:
        told = json.loads(read_if_sound(directory / NETWORKS) or b"{}")
    except (ValueError, RecursionError, StoreError):
        unreadable(NETWORKS)
        return {}
    return told if isinstance(told, dict) else {}
