"""Renews the verdicts of an experiment by the rules as they are now, from its tables.

Usage: python experiments/rejudge.py [NAME ...] (by default every experiment), and then python experiments/statements.py

A rule that changes after a run is applied to the numbers that the run left: `FROM_TABLES` has, for a statement, what
makes its claims of the tables in `analysis/`. Other claims keep their verdict, as long as their criterion is the one
they were judged by, and go where their statement has no rule any more. Writes claims.csv, statements.csv and the claims
of summary.md.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from jaxland.replications.placebo.examples import slightly_claim
from jaxland.replications.sawtooth.model import TARGETS
from jaxland.replications.sawtooth.overview.judging import denoised_claim
from jaxland.replications.sawtooth.statements.fits import SMOOTH, SMOOTH_LOSS
from jaxland.replications.sawtooth.targets import not_by_teeth_claim
from jaxland.replications.two_layer.instability import Best, larger_is_better
from jaxland.replications.two_layer.prediction import RUNS, Asked, detector_claim
from jaxland.report.claims import read_claims
from jaxland.statistics import Estimate
from jaxland.studies import STUDIES, Claim, coverage
from jaxland.studies.summary import claims_lines

HERE = Path(__file__).parent
Remake = Callable[[Path, list[Claim]], list[Claim]]


def _table(experiment: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(experiment / "analysis" / f"{name}.csv")


def larger(experiment: Path, made: list[Claim]) -> list[Claim]:
    """The document's runs as they were; of executions the medians, with quartiles, which are wider, for intervals."""
    table = _table(experiment, "instability")
    best = {}
    for hidden in (3, 6, 8):
        rows = table[(table["target"] == "f2") & (table["hidden"] == hidden) & (table["overflow"] == 0)]
        row = rows.loc[rows["loss_median"].idxmin()]
        median = Estimate(row["loss_median"], row["loss_q25"], row["loss_q75"])
        best[hidden] = Best(row["rate"], median, int(row["fits"]))
    found = larger_is_better(best)
    runs = [each._replace(of="the document's runs") for each in made if each.of != "new executions"]
    return [*runs, found] if found else runs


def unpredictable(experiment: Path, made: list[Claim]) -> list[Claim]:
    """Both detectors of each run. How many executions were in an alarm is known of the sharpness alone."""
    table, found = _table(experiment, "prediction"), []
    for run in RUNS:
        for _, row in table[table["run"] == run.name].iterrows():
            totals = tuple(int(row[name]) for name in ("hits", "misses", "false_alarms", "rightly_none"))
            index = Estimate(row["youden"], row["youden_low"], row["youden_high"])
            warned = None if np.isnan(row["alarms_rise"]) else int(row["alarms_rise"])
            asked = Asked(totals, index, int(row["executions"]), int(row["rise"]), warned)
            label = f"{run.target}, h = {run.hidden}, rate {run.rate:g}"
            found.append(detector_claim(label, row["detector"], asked))
    return found


def denoised(experiment: Path, made: list[Claim]) -> list[Claim]:
    """Fits without the wave as they were counted; those near the smooth fit's loss from its histogram."""
    bins = _table(experiment, "histograms")
    bins, found = bins[bins["quantity"] == "loss"], []
    for each in made:
        own, count = bins[bins["ensemble"] == each.of], int(each.cases)
        near = (own["low"] / SMOOTH_LOSS - 1 > -SMOOTH) & (own["high"] / SMOOTH_LOSS - 1 < SMOOTH)
        without = round(float(each.measured.partition("%")[0]) / 100 * count)
        found.append(denoised_claim(each.of, without, int(own["count"][near].sum()), count))
    return found


def not_by_teeth(experiment: Path, made: list[Claim]) -> list[Claim]:
    """Errors of the fits. Their curves are not kept, and not needed while none finds teeth."""
    fits = _table(experiment, "target-fits")
    fits = fits[(fits["target"] == "5 x (3+2)") & (fits["points_per_segment"] == fits["points_per_segment"].max())]
    smooth = TARGETS["3+2"](1).target.amplitude ** 2 / 3
    return [not_by_teeth_claim(np.zeros((len(fits), 0)), fits["error"].to_numpy() / smooth)]


def slightly(experiment: Path, made: list[Claim]) -> list[Claim]:
    """The likeness of the ways of pairs of runs."""
    return [slightly_claim(_table(experiment, "ways")["likeness"].to_numpy())]


FROM_TABLES: Mapping[str, Mapping[str, Remake]] = {
    "two_layer": {"larger-is-better": larger, "unpredictable": unpredictable},
    "sawtooth": {"denoised": denoised, "not-by-teeth": not_by_teeth},
    "placebo": {"slightly": slightly},
}


def rejudged(experiment: Path) -> list[Claim]:
    """The claims of an experiment by the rules as they are now.

    Raises:
        ValueError: a criterion has changed, and nothing here makes the claim anew.
    """
    statements, remakes = STUDIES[experiment.name].statements(), FROM_TABLES.get(experiment.name, {})
    before, after, done = read_claims(experiment), [], set()
    for claim in before:
        if not claim.name:
            after.append(claim)
            continue
        statement = statements[claim.name]
        if claim.name in remakes:
            if claim.name not in done:
                after += remakes[claim.name](experiment, [each for each in before if each.name == claim.name])
                done.add(claim.name)
        elif statement.rule is not None:
            if claim.rule != str(statement.rule):
                raise ValueError(f"the rule of {claim.name!r} has changed; say in FROM_TABLES how to judge it again.")
            after.append(claim._replace(statement=statement.text, basis=statement.rule.origin))
    return after


def contents(experiment: Path) -> dict[str, str]:
    """The files that hold verdicts, as they should be."""
    claims = rejudged(experiment)
    summary = (experiment / "summary.md").read_text()
    head = summary[: summary.index("## Claims")]
    statements = STUDIES[experiment.name].statements()
    return {
        "claims.csv": pd.DataFrame(claims, columns=list(Claim._fields)).to_csv(index=False),
        "statements.csv": coverage(statements, claims).to_csv(index=False),
        "summary.md": head + "\n".join(claims_lines(claims)),
    }


if __name__ == "__main__":
    for name in sys.argv[1:] or [path.parent.name for path in sorted(HERE.glob("*/statements.csv"))]:
        for file, text in contents(HERE / name).items():
            (HERE / name / file).write_text(text)
        print(f"{name}: judged")
