"""Studies: named questions with their ensembles, analyses, figures and claims."""

from typing import TYPE_CHECKING

from jaxland._lazy import attach

if TYPE_CHECKING:
    from jaxland.studies.analyses import analyse
    from jaxland.studies.analysis import Analysis, NoSettings
    from jaxland.studies.checks import (
        check_choices,
        check_different,
        check_integers,
        check_optimizers,
        check_positive,
        check_seeds,
    )
    from jaxland.studies.claims import Claim, judged_unless, measurement
    from jaxland.studies.configuration import config_hash, from_json, to_json
    from jaxland.studies.context import Context, Findings
    from jaxland.studies.criteria import (
        Above,
        All,
        AtLeast,
        AtMost,
        Below,
        Between,
        Criterion,
        Each,
        Equals,
        Ordered,
        Stated,
        Verdict,
        Within,
    )
    from jaxland.studies.engine import Plan, plan, run
    from jaxland.studies.finding import Origin, find_study
    from jaxland.studies.fitting import ShardWork, WorkerRefused, open_study, prepare
    from jaxland.studies.lazily import analyses_in, deferred, titles_of
    from jaxland.studies.options import RunOptions
    from jaxland.studies.registry import STUDIES
    from jaxland.studies.request import SCALES, wanted
    from jaxland.studies.statements import Rule, Statement, Statements, coverage
    from jaxland.studies.status import study_status
    from jaxland.studies.stored import StoredStudy, open_stored
    from jaxland.studies.study import Outcome, Study
    from jaxland.studies.tables import write_table
    from jaxland.studies.working import work

__all__ = [
    "SCALES",
    "STUDIES",
    "Above",
    "All",
    "Analysis",
    "AtLeast",
    "AtMost",
    "Below",
    "Between",
    "Claim",
    "Context",
    "Criterion",
    "Each",
    "Equals",
    "Findings",
    "NoSettings",
    "Ordered",
    "Origin",
    "Outcome",
    "Plan",
    "Rule",
    "RunOptions",
    "ShardWork",
    "Stated",
    "Statement",
    "Statements",
    "StoredStudy",
    "Study",
    "Verdict",
    "Within",
    "WorkerRefused",
    "analyse",
    "analyses_in",
    "check_choices",
    "check_different",
    "check_integers",
    "check_optimizers",
    "check_positive",
    "check_seeds",
    "config_hash",
    "coverage",
    "deferred",
    "find_study",
    "from_json",
    "judged_unless",
    "measurement",
    "open_stored",
    "open_study",
    "plan",
    "prepare",
    "run",
    "study_status",
    "titles_of",
    "to_json",
    "wanted",
    "work",
    "write_table",
]

__getattr__, __dir__ = attach(__name__, __file__)
