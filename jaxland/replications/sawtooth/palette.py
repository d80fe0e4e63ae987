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
COLORS = {"momentum": "#1f77b4", "adadelta": "#2ca02c", "adam": "#d62728", "sgd": "#9467bd", "W_f": "#444444"}
LABEL_COLORS = {label: COLORS[name] for name, label in LABELS.items()}


def labelled(groups: Mapping[str, Group]) -> dict[str, Group]:
    """The same by the names under which they are drawn."""
    return {LABELS.get(name, name): group for name, group in groups.items()}
