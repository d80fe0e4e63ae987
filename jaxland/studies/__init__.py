"""Studies: named questions with their ensembles, analyses, figures and claims."""

from jaxland.studies.analyses import SCALES, analyse, wanted
from jaxland.studies.backprop import BackpropConfig
from jaxland.studies.configuration import config_hash, from_json, to_json
from jaxland.studies.engine import Plan, plan, run
from jaxland.studies.fitting import ShardWork, open_study, prepare
from jaxland.studies.placebo import PlaceboConfig
from jaxland.studies.registry import STUDIES, study_of
from jaxland.studies.sawtooth import SawtoothConfig
from jaxland.studies.status import study_status
from jaxland.studies.study import Analysis, Claim, Context, Findings, Outcome, Study
from jaxland.studies.surfaces import SurfacesConfig
from jaxland.studies.tables import study_table, table_parts, write_table
from jaxland.studies.two_layer import TwoLayerConfig

__all__ = [
    "SCALES",
    "STUDIES",
    "Analysis",
    "BackpropConfig",
    "Claim",
    "Context",
    "Findings",
    "Outcome",
    "PlaceboConfig",
    "Plan",
    "SawtoothConfig",
    "ShardWork",
    "Study",
    "SurfacesConfig",
    "TwoLayerConfig",
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
    "wanted",
    "write_table",
]
