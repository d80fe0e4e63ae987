"""Studies: named questions with their ensembles, analyses, figures and claims."""

from jaxland.studies.configuration import config_hash, from_json, to_json
from jaxland.studies.engine import Plan, ShardWork, analyse, open_study, plan, prepare, run, study_of
from jaxland.studies.registry import STUDIES
from jaxland.studies.sawtooth import SawtoothConfig
from jaxland.studies.status import study_status
from jaxland.studies.study import Claim, Outcome, Study
from jaxland.studies.tables import study_table, table_parts, write_table

__all__ = [
    "STUDIES",
    "Claim",
    "Outcome",
    "Plan",
    "SawtoothConfig",
    "ShardWork",
    "Study",
    "analyse",
    "config_hash",
    "from_json",
    "open_study",
    "plan",
    "prepare",
    "run",
    "study_of",
    "study_status",
    "study_table",
    "table_parts",
    "to_json",
    "write_table",
]
