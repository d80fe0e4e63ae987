"""Brings the committed experiments to the rules as they are: claims, verdicts, summaries, tables of the READMEs.

Usage: python experiments/statements.py [NAME ...] (by default every experiment)

Nothing is measured. A verdict is that of the run as long as its rule is; where a rule has changed since, the claim is
made again from the tables of the run, by the code of the study (`again`), or the script refuses.
"""

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from jaxland.replications.backprop.basins import guesses_claim
from jaxland.replications.backprop.roads import Road, road_claims, roads_of
from jaxland.replications.placebo.examples import other_weights_claim, slightly_claim
from jaxland.replications.sawtooth.measures import column, groups, rows_where
from jaxland.replications.sawtooth.model import TARGETS
from jaxland.replications.sawtooth.overview.judging import denoised_claim, lower_claim
from jaxland.replications.sawtooth.paths import path_claims
from jaxland.replications.sawtooth.statements.fits import SMOOTH, SMOOTH_LOSS
from jaxland.replications.sawtooth.targets import not_by_teeth_claim
from jaxland.replications.surfaces.gallery import not_convex_claim
from jaxland.replications.two_layer.config import TwoLayerConfig
from jaxland.replications.two_layer.highlighted.claims import bias_less
from jaxland.replications.two_layer.highlighted.table import Extremes
from jaxland.replications.two_layer.instability import Best, half_rate_stable, larger_is_better
from jaxland.replications.two_layer.prediction import RUNS, Asked, detector_claim
from jaxland.statistics import Estimate
from jaxland.studies import STUDIES, Claim, Statement, coverage
from jaxland.studies.statements import how_judged
from jaxland.studies.summary import claims_text, markdown_table

HERE = Path(__file__).parent
BEGIN, END = "<!-- statements -->", "<!-- end of statements -->"
_VERBS = {"agrees": "agree", "differs": "differ"}
_COLUMNS = ["number", "where", "statement", "source", "measured", "verdict", "judged by"]


def claims_of(experiment: Path) -> list[Claim]:
    """The committed claims."""
    table = pd.read_csv(experiment / "claims.csv", dtype=str, keep_default_na=False)
    return [Claim(**dict(zip(table.columns, row, strict=True))) for row in table.itertuples(index=False)]


def again(experiment: Path) -> list[Claim]:
    """Claims made from the tables of a run: of rules that have changed since."""
    make = _AGAIN.get(experiment.name)
    return make(experiment / "analysis", claims_of(experiment)) if make else []


def _sawtooth(analysis: Path, claims: list[Claim]) -> list[Claim]:
    ensembles = pd.read_csv(analysis / "ensembles.csv")
    histograms = pd.read_csv(analysis / "histograms.csv")
    losses = rows_where(histograms, histograms["quantity"] == "loss")
    medians = {}
    for name, bins in groups(losses, "ensemble"):
        # By the lower ends of the bins and by the upper ones, so that the interval is that of the fits or wider.
        counts = column(bins, "count").astype(int)
        low, high = (Estimate.quantile(np.repeat(column(bins, end), counts)) for end in ("low", "high"))
        median = column(rows_where(ensembles, ensembles["ensemble"] == name), "loss_q50")[0]
        medians[name] = Estimate(float(median), low.low, high.high)
    fits = int(column(ensembles, "fits").min())
    paths = path_claims(pd.read_csv(analysis / "paths.csv"))
    lower = lower_claim(medians["momentum"], medians["adadelta"], fits)
    return [*_denoised(losses, claims), *paths, lower, _not_by_teeth(analysis)]


def _denoised(losses: pd.DataFrame, claims: list[Claim]) -> list[Claim]:
    """Fits without the wave as they were counted; those near the smooth fit's loss from its histogram."""
    found = []
    for each in claims:
        if each.name == "denoised":
            own, count = rows_where(losses, losses["ensemble"] == each.of), int(each.cases)
            low, high = (column(own, end) / SMOOTH_LOSS - 1 for end in ("low", "high"))
            near = column(own, "count")[(low > -SMOOTH) & (high < SMOOTH)]
            without = round(float(each.measured.partition("%")[0]) / 100 * count)
            found.append(denoised_claim(each.of, without, int(near.sum()), count))
    return found


def _not_by_teeth(analysis: Path) -> Claim:
    """From errors of the fits. Their curves are not kept, and not needed while none finds teeth."""
    fits = pd.read_csv(analysis / "target-fits.csv")
    fits = rows_where(fits, fits["target"] == "5 x (3+2)")
    most = column(fits, "points_per_segment").max()
    errors = column(rows_where(fits, fits["points_per_segment"] == most), "error")
    smooth = TARGETS["3+2"](1).target.amplitude ** 2 / 3
    return not_by_teeth_claim(np.zeros((len(errors), 0)), errors / smooth)


def _backprop(analysis: Path, claims: list[Claim]) -> list[Claim]:
    # The window that is no table of its own was measured, and told, in percent with one digit more.
    told = re.compile(r"global minimum ([\d.]+)% \(([\d.]+)% to ([\d.]+)%\).* of ([\d,]+)$")
    guesses = []
    for each in claims:
        window = re.fullmatch(r"where starts from (.*) are after [\d,]+ epochs", each.statement)
        if window:
            *shares, starts = (float(number.replace(",", "")) for number in re.findall(told, each.measured)[0])
            share = Estimate(*(number / 100 for number in shares))
            guesses.append(guesses_claim(share, int(starts), f"{each.of}, {window[1]}"))
    return [*guesses, *road_claims(_roads(analysis))]


def _roads(analysis: Path) -> dict[str, list[Road]]:
    return roads_of(*(pd.read_csv(analysis / name) for name in ("roads.csv", "roads-starts.csv")))


def _roads_table(analysis: Path) -> str:
    """Work a success of each method on both problems, and wall time."""
    roads = _roads(analysis)
    rows = [
        {
            "method": plane.name,
            "two weights, either minimum": _work(plane),
            "of 128 starts at the global one": f"{plane.at_global.sum():.0f}",
            "all seven, global minimum": _work(whole),
        }
        for plane, whole in zip(roads["plane"], roads["whole"], strict=True)
    ]
    return markdown_table(pd.DataFrame(rows))


def _work(road: Road) -> str:
    if not np.isfinite(road.cost):
        return f"none in {road.budget:,} epochs"
    return f"{road.cost:,.0f} ({1e3 * road.seconds_each:.2g} ms)"


def _two_layer(analysis: Path, claims: list[Claim]) -> list[Claim]:
    weights = pd.read_csv(analysis / "weights.csv")
    five, three = (
        Extremes(*(column(rows_where(weights, weights["hidden"] == hidden), name) for name in ("end", "peak")))
        for hidden in (5, 3)
    )
    cells = pd.read_csv(analysis / "instability.csv")
    cell = rows_where(cells, (cells["target"] == "f2") & (cells["hidden"] == 8) & (cells["rate"] == 0.05))
    (share,), (executions,) = column(cell, "unstable"), column(cell, "fits").astype(int)
    rises = round(share * executions)
    rare = half_rate_stable(TwoLayerConfig(), rises, int(executions))
    return [*bias_less(five, three), *_larger(cells, claims), rare, *_unpredictable(analysis)]


def _larger(cells: pd.DataFrame, claims: list[Claim]) -> list[Claim]:
    """The document's runs as they were; of executions the medians, with quartiles, which are wider, for intervals."""
    best = {}
    for hidden in (3, 6, 8):
        rows = rows_where(cells, (cells["target"] == "f2") & (cells["hidden"] == hidden) & (cells["overflow"] == 0))
        row = rows.loc[rows["loss_median"].idxmin()]
        median = Estimate(row["loss_median"], row["loss_q25"], row["loss_q75"])
        best[hidden] = Best(row["rate"], median, int(row["fits"]))
    found = larger_is_better(best)
    own = [each for each in claims if each.name == "larger-is-better" and each.of != "new executions"]
    runs = [each._replace(of="the document's runs") for each in own]
    return [*runs, found] if found else runs


def _unpredictable(analysis: Path) -> list[Claim]:
    """Both detectors of each run. How many executions were in an alarm is known of the sharpness alone."""
    table, found = pd.read_csv(analysis / "prediction.csv"), []
    for run in RUNS:
        for row in rows_where(table, table["run"] == run.name).to_dict("records"):
            totals = tuple(int(row[name]) for name in ("hits", "misses", "false_alarms", "rightly_none"))
            index = Estimate(row["youden"], row["youden_low"], row["youden_high"])
            warned = None if np.isnan(row["alarms_rise"]) else int(row["alarms_rise"])
            asked = Asked(totals, index, int(row["executions"]), int(row["rise"]), warned)
            label = f"{run.target}, h = {run.hidden}, rate {run.rate:g}"
            found.append(detector_claim(label, row["detector"], asked))
    return found


def _placebo(analysis: Path, _: list[Claim]) -> list[Claim]:
    ways = column(pd.read_csv(analysis / "ways.csv"), "likeness")
    return [other_weights_claim(pd.read_csv(analysis / "distances.csv")), slightly_claim(ways)]


def _surfaces(analysis: Path, claims: list[Claim]) -> list[Claim]:
    table = pd.read_csv(analysis / "gallery-shares.csv")
    found, least = {}, int(column(table, "surfaces").min())
    for row in table.to_dict("records"):
        if not row["sample"].startswith("hidden-layers"):
            found[row["sample"]] = Estimate.share(round(row["nonconvex"] * row["surfaces"]), row["surfaces"])
    (detail,) = (each.detail for each in claims if each.name == "not-convex")
    return [not_convex_claim(found, least)._replace(detail=detail)]


_AGAIN: dict[str, Callable[[Path, list[Claim]], list[Claim]]] = {
    "backprop": _backprop,
    "placebo": _placebo,
    "sawtooth": _sawtooth,
    "surfaces": _surfaces,
    "two_layer": _two_layer,
}


def renewed_claims(experiment: Path) -> list[Claim]:
    """The committed claims by the rules as they are.

    Raises:
        ValueError: a rule has changed, and nothing committed tells what becomes of its verdict.
    """
    statements, committed = _statements(experiment.name), claims_of(experiment)
    kept, made = {_key(claim) for claim in committed}, {_key(claim): claim for claim in again(experiment)}
    names, renewed = {name for name, _ in made}, []
    for claim in committed:
        if claim.name in names:
            # In its place, and after it what is measured of the statement for the first time.
            new = [key for key in made if key == _key(claim) or (key[0] == claim.name and key not in kept)]
            renewed += [made.pop(key) for key in new]
        elif not claim.name:
            renewed.append(claim)
        elif statements[claim.name].rule or claim.verdict == "not tested":
            renewed.append(_reworded(claim, statements[claim.name]))
    return renewed


def _statements(name: str) -> Mapping[str, Statement]:
    statements = STUDIES[name].statements
    if statements is None:
        raise ValueError(f"the study {name} has no source whose statements could be judged.")
    return statements()


def _key(claim: Claim) -> tuple[str, str]:
    return claim.name, claim.of


def _reworded(claim: Claim, statement: Statement) -> Claim:
    rule = statement.rule
    if claim.rule != str(rule or ""):
        raise ValueError(
            f"the rule of {claim.name!r} is not the one its verdict was given by ({claim.rule!r}): make the claim "
            "again from the tables of the run, in experiments/statements.py, or run the study again."
        )
    return claim._replace(
        where=statement.where, statement=statement.text, source=statement.source, basis=rule.origin if rule else ""
    )


def files(experiment: Path) -> dict[str, str]:
    """The files that tell verdicts, as they should be, by name.

    Raises:
        ValueError: a rule has changed for which nothing committed tells the verdict, or the README has no place for a
            table.
    """
    claims = renewed_claims(experiment)
    table = coverage(_statements(experiment.name), claims)
    summary, readme = ((experiment / name).read_text() for name in ("summary.md", "README.md"))
    readme = _between(readme, BEGIN, END, block(experiment.name, table))
    for name, make in _TABLES.get(experiment.name, {}).items():
        readme = _between(readme, f"<!-- {name} -->", f"<!-- end of {name} -->", make(experiment / "analysis"))
    return {
        "claims.csv": pd.DataFrame(claims, columns=list(Claim._fields)).to_csv(index=False),
        "statements.csv": table.to_csv(index=False),
        "summary.md": summary[: summary.index("## Claims")] + claims_text(claims),
        "README.md": readme,
    }


def block(name: str, table: pd.DataFrame) -> str:
    """The table of all statements in Markdown, after the verdicts counted and how they are reached."""
    counts = table["verdict"].where(~table["verdict"].str.contains(";"), "split").value_counts()
    told = ", ".join(f"{count} {_VERBS.get(str(verdict), verdict)}" for verdict, count in counts.items())
    judged = table[table["verdict"] != "not tested"]
    agree = int((judged["verdict"] == "agrees").sum())
    left = "Theorems, definitions, what another statement says already and what no number decides are not tested; "
    left += f"{agree} of the other {len(judged)} agree."
    shown = markdown_table(table.filter(_COLUMNS).rename(columns={"number": "#"}))
    return "\n".join([f"{len(table)} statements: {told}.", left, "", how_judged(_statements(name)), "", shown])


def _between(text: str, begin: str, end: str, content: str) -> str:
    """A text with something else between two of its lines.

    Raises:
        ValueError: the lines are not there.
    """
    first, last = text.find(begin), text.find(end)
    if first < 0 or last < first:
        raise ValueError(f"the README needs the lines {begin} and {end}, where a table goes.")
    return text[: first + len(begin)] + f"\n{content}\n" + text[last:]


_TABLES: dict[str, dict[str, Callable[[Path], str]]] = {"backprop": {"roads": _roads_table}}


if __name__ == "__main__":
    for experiment in [HERE / name for name in sys.argv[1:]] or [
        path.parent for path in sorted(HERE.glob("*/claims.csv"))
    ]:
        for name, text in files(experiment).items():
            (experiment / name).write_text(text)
        told = (experiment / "README.md").read_text().partition(f"{BEGIN}\n")[2].partition("\n")[0]
        print(f"{experiment.name}: {told}")
