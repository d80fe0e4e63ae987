"""All studies by name."""

from jaxland.studies import sawtooth
from jaxland.studies.study import Study

STUDIES: dict[str, Study] = {study.name: study for study in (sawtooth.STUDY,)}
