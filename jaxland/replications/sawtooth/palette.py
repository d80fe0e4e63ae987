"""The paper's colours: gradient descent in blue, adadelta in green."""

from collections.abc import Mapping
from typing import TypeVar

Group = TypeVar("Group")

LABELS = {
    "momentum": "gradient descent with momentum",
    "adadelta": "adadelta",
    "adam": "adam",
    "sgd": "gradient descent",
    "W_f": "$W_f$",
}
COLORS = {"momentum": "#0072b2", "adadelta": "#009e73", "adam": "#d55e00", "sgd": "#cc79a7", "W_f": "#444444"}
DASHES = {"momentum": "-", "adadelta": (0, (5, 1.5)), "adam": (0, (1, 1)), "sgd": (0, (5, 1.5, 1, 1.5)), "W_f": "-"}
LABEL_COLORS = {label: COLORS[name] for name, label in LABELS.items()}


def labelled(groups: Mapping[str, Group]) -> dict[str, Group]:
    """The same by the names under which they are drawn."""
    return {LABELS.get(name, name): group for name, group in groups.items()}
