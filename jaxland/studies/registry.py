"""All studies by name."""

from typing import Any

from jaxland.studies import backprop, placebo, sawtooth, surfaces, two_layer
from jaxland.studies.study import Study

_ALL = (sawtooth, two_layer, backprop, surfaces, placebo)
STUDIES: dict[str, Study] = {each.STUDY.name: each.STUDY for each in _ALL}


def study_of(config: Any) -> Study:
    """The study whose configuration this is."""
    for study in STUDIES.values():
        if isinstance(config, study.config):
            return study
    known = ", ".join(study.config.__name__ for study in STUDIES.values())
    raise TypeError(f"{config!r} is the configuration of no study; give one of {known}, such as SawtoothConfig().")
