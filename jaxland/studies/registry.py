"""All studies by name."""

from typing import Any

from jaxland.studies import placebo, sawtooth
from jaxland.studies.study import Study

STUDIES: dict[str, Study] = {study.name: study for study in (sawtooth.STUDY, placebo.STUDY)}


def study_of(config: Any) -> Study:
    """The study whose configuration this is."""
    for study in STUDIES.values():
        if isinstance(config, study.config):
            return study
    raise TypeError(f"{type(config).__name__} is the configuration of no study.")
