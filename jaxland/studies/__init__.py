"""Studies: named questions with their ensembles, analyses, figures and claims."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.studies.analyses import analyse
    from jaxland.studies.claims import Claim, Verdict, judged, judged_unless
    from jaxland.studies.configuration import config_hash, from_json, to_json
    from jaxland.studies.context import Context, Findings
    from jaxland.studies.engine import Plan, plan, run
    from jaxland.studies.finding import Origin, find_study
    from jaxland.studies.fitting import ShardWork, open_study, prepare
    from jaxland.studies.options import RunOptions
    from jaxland.studies.registry import STUDIES
    from jaxland.studies.request import SCALES, wanted
    from jaxland.studies.status import study_status
    from jaxland.studies.stored import StoredStudy, open_stored
    from jaxland.studies.study import Analysis, NoSettings, Outcome, Study
    from jaxland.studies.tables import study_table, table_parts, write_table

__all__ = [
    "SCALES",
    "STUDIES",
    "Analysis",
    "Claim",
    "Context",
    "Findings",
    "NoSettings",
    "Origin",
    "Outcome",
    "Plan",
    "RunOptions",
    "ShardWork",
    "StoredStudy",
    "Study",
    "Verdict",
    "analyse",
    "config_hash",
    "find_study",
    "from_json",
    "judged",
    "judged_unless",
    "open_stored",
    "open_study",
    "plan",
    "prepare",
    "run",
    "study_status",
    "study_table",
    "table_parts",
    "to_json",
    "wanted",
    "write_table",
]

__getattr__, __dir__ = attach(__name__, __file__)
