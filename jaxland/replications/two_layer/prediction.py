"""Conclusion 1: can a detector that sees only the past tell a rise of the loss? Conclusion 6: how alike are executions?

At an epoch the detector knows the weights up to it and the training set, and gives an alarm while the sharpness exceeds
2 / rate. Epochs at which it is asked are the same for all executions, whatever becomes of them; those whose loss has
risen before are left out. The epoch of the rise is used for nothing but the outcome.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from scipy.optimize import linear_sum_assignment

from jaxland.landscape import first_rise, sharpness
from jaxland.plots import dash_of, new_figure
from jaxland.problems import LOSSES
from jaxland.replications.two_layer.descent import trained
from jaxland.replications.two_layer.ensembles import executions_data, executions_weights
from jaxland.replications.two_layer.source import TARGETS, Run, network, run_named, split
from jaxland.replications.two_layer.statements import LEAST, STATEMENTS
from jaxland.statistics import Estimate, bootstrap_interval
from jaxland.studies import Analysis, Claim, Context, Findings, measurement

STRIDE = 10
"""Epochs between two values of the sharpness."""
AHEAD = 200
"""Epochs ahead that the detector is asked for."""
_ASKED = 100
"""It is asked at every so many epochs."""
_MATCHED = 64
"""Executions whose courses are compared in pairs, at most."""
RUNS = (
    run_named("f1", 3, 1.0, 1000),
    run_named("f2", 6, 0.1, 1000),
    run_named("f2", 8, 0.1, 1200),
)

_HATCHES = ("", "///", "...")


@dataclass(frozen=True)
class PredictionSettings:
    """Scale of the prediction."""

    executions: int = 32
    """New executions of each of three runs."""


@dataclass(frozen=True)
class Watched:
    """W executions of a run, with what a detector sees at S epochs."""

    run: Run
    rise: Int[np.ndarray, "W"]
    """The first epoch at which the loss has risen by a hundredth; -1 if it never has."""
    epochs: Int[np.ndarray, "S"]
    sharpness: Float[np.ndarray, "W S"]
    loss: Float[np.ndarray, "W S"]

    @property
    def label(self) -> str:
        """For claims and figures."""
        return f"{self.run.target}, h = {self.run.hidden}, rate {self.run.rate:g}"

    @property
    def alarm(self) -> Bool[np.ndarray, "W S"]:
        """Whether the sharpness exceeds 2 / rate."""
        return self.sharpness > 2 / self.run.rate

    @property
    def rising(self) -> Bool[np.ndarray, "W S"]:
        """Whether the loss, by however little, exceeds that of STRIDE epochs ago: what the document could see."""
        return np.diff(self.loss, axis=1, prepend=np.inf) > 0


def counts(watched: Watched, alarm: Bool[np.ndarray, "W S"]) -> Int[np.ndarray, "W 4"]:
    """Of each execution, over the epochs asked: hits, misses, false alarms, rightly none.

    Asked is at epochs that have all of the time ahead within the run, and while the loss has not risen.
    """
    asked = (watched.epochs % _ASKED == 0) & (watched.epochs > 0) & (watched.epochs + AHEAD <= watched.epochs[-1])
    epochs, given, rise = watched.epochs[asked], alarm[:, asked], watched.rise[:, None]
    calm = (rise < 0) | (rise > epochs)
    follows = calm & (rise > epochs) & (rise <= epochs + AHEAD)
    found = (follows & given, follows & ~given, calm & ~follows & given, calm & ~follows & ~given)
    return np.stack([each.sum(axis=1) for each in found], axis=1)


def youden(rows: Float[np.ndarray, "W 4"]) -> float:
    """Share of rises with an alarm less that of other epochs with one: 0 for chance, 1 for certainty."""
    hits, misses, false, none = rows.sum(axis=0)
    return float(hits / max(hits + misses, 1) - false / max(false + none, 1))


def skill(rows: Int[np.ndarray, "W 4"]) -> Estimate | None:
    """Youden's index with its interval, executions resampled; None where nothing rises, or everything does."""
    hits, misses, false, none = rows.sum(axis=0)
    if len(rows) < 2 or not hits + misses or not false + none:
        return None
    found = bootstrap_interval(rows.astype(np.float64), youden, seed=0, method="percentile", resamples=2000)
    return Estimate(found.value, found.low, found.high)


def alarms(watched: Watched, given: Bool[np.ndarray, "W S"] | None = None) -> pd.DataFrame:
    """Every alarm, by the sharpness or as given, from its first epoch to its last before the loss has risen.

    Returns:
        One row an alarm: `execution`, `begin`, `outcome` ("rise": the loss rose while it was on, "ended": it ended by
        itself, "open": it was on at the end of the run) and `lead`, epochs from its begin to the rise, or NaN.
    """
    given, rows = watched.alarm if given is None else given, []
    for execution, (alarm, rise) in enumerate(zip(given, watched.rise.tolist(), strict=True)):
        calm = watched.epochs < rise if rise >= 0 else np.ones(len(alarm), bool)
        on = np.concatenate([[False], alarm[calm], [False]])
        begins, ends = np.flatnonzero(on[1:] & ~on[:-1]), np.flatnonzero(~on[1:] & on[:-1])
        for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
            last = end == calm.sum()
            outcome = "ended" if not last else "rise" if rise >= 0 else "open"
            epoch = int(watched.epochs[begin])
            rows.append((execution, epoch, outcome, rise - epoch if outcome == "rise" else np.nan))
    return pd.DataFrame(rows, columns=["execution", "begin", "outcome", "lead"]).astype({"lead": float})


def find(context: Context) -> Findings:
    """Trains and watches a run after another."""
    count, found, courses = context.settings.executions, [], {}
    for run in RUNS:
        part = context.piece(f"prediction-{run.name}-{count}", partial(_watch, context, run, count))
        found.append(Watched(run, part["rise"], part["epochs"], part["sharpness"], part["loss"]))
        courses[run] = part["params"]
        context.say(f"  {found[-1].label}: the loss rises in {(part['rise'] >= 0).sum()} of {count}")
    by_run = {each.label: alarms(each) for each in found}
    claims = [each for watched in found for each in (*unpredictable(watched), *_measured(watched))]
    claims += [new_numbers(found[0]), *similar(courses[RUNS[-1]])]
    return Findings(
        {"prediction.csv": _table(found, by_run)},
        {"prediction": _figure(by_run)},
        claims,
        captions={"prediction": _caption(found, by_run)},
    )


def _watch(context: Context, run: Run, count: int) -> Mapping[str, np.ndarray]:
    numbers, kept = np.arange(count), np.arange(0, run.epochs + 1, STRIDE)
    x = executions_data(context.config, numbers).x[:, :, None]
    y = TARGETS[run.target](x)
    fits = trained(
        context,
        run.hidden,
        run.rate,
        executions_weights(context.config, numbers, run.hidden),
        inputs=x,
        targets=y,
        steps=run.epochs,
        trace_every=1,
        snapshots=kept.tolist(),
    )
    loss, net = LOSSES["half_mean_squared_error"], network(run.hidden)
    curves = [sharpness(net, loss, each, *own) for each, *own in zip(fits.snapshots, x, y, strict=True)]
    return {
        "rise": first_rise(fits.trace),
        "epochs": kept,
        "sharpness": np.stack(curves),
        "loss": fits.trace[:, kept],
        "params": fits.snapshots[:_MATCHED],
    }


class Asked(NamedTuple):
    """What a detector said at the epochs at which it was asked, and the executions that stand behind them."""

    totals: tuple[int, int, int, int]
    """Hits, misses, false alarms, rightly none."""
    index: Estimate | None
    """Youden's."""
    executions: int
    rise: int
    """Executions that rise."""
    warned: int | None = None
    """Those of them in which an alarm was on when the loss rose; None where it was not looked at."""


def unpredictable(watched: Watched) -> list[Claim]:
    """Conclusion 1, by what the document saw, the loss, and by what it did not, the sharpness."""
    rises, executions = int((watched.rise >= 0).sum()), len(watched.rise)
    found = []
    for detector, alarm in _detectors(watched):
        rows = counts(watched, alarm)
        hits, misses, false, none = rows.sum(axis=0).tolist()
        warned = _of_outcome(alarms(watched, alarm), "rise")
        asked = Asked((hits, misses, false, none), skill(rows), executions, rises, warned)
        found.append(detector_claim(watched.label, detector, asked))
    return found


def _detectors(watched: Watched) -> list[tuple[str, Bool[np.ndarray, "W S"]]]:
    return [("sharpness", watched.alarm), ("loss", watched.rising)]


_SEES = {"sharpness": "sharpness above 2 / rate", "loss": f"a loss above that of {STRIDE} epochs ago"}


def detector_claim(label: str, detector: str, asked: Asked) -> Claim:
    """Of one detector in the executions of one run."""
    hits, misses, false, none = asked.totals
    warned = "" if asked.warned is None else f", {asked.warned:,} of them in an alarm"
    return STATEMENTS["unpredictable"].claim(
        f"Youden's index {asked.index}: yes at {hits:,} of {hits + misses:,} epochs that a rise follows, and at "
        f"{false:,} of {false + none:,} others; {asked.rise:,} of {asked.executions:,} executions rise{warned}",
        asked.index,
        of=f"{label}, by the {detector}",
        cases=asked.executions,
        detail=f"{_SEES[detector]}, asked every {_ASKED} epochs whether the loss rises in the next {AHEAD}, so that a "
        "rise is asked for more than once; executions resampled",
    )


def _measured(watched: Watched) -> list[Claim]:
    table = alarms(watched)
    ended, rose = (_of_outcome(table, each) for each in ("ended", "rise"))
    lead = Estimate.quantile(table["lead"].dropna().to_numpy(float)) if rose else "none"
    return [
        measurement(
            "what becomes of alarms?",
            f"{Estimate.share(ended, ended + rose)} end by themselves; from the others to the rise pass "
            f"{lead} epochs (median)",
            of=watched.label,
            detail=f"{len(table)} alarms of {len(watched.rise)} executions; those on at the end of the run left out",
        ),
    ]


def _of_outcome(table: pd.DataFrame, outcome: str) -> int:
    return table["outcome"].tolist().count(outcome)


def new_numbers(watched: Watched) -> Claim:
    """How the epoch of the rise moves with data and weights."""
    rises = watched.rise[watched.rise >= 0].astype(np.float64)
    spread = None
    if len(rises) > 1 and np.ptp(rises):
        found = bootstrap_interval(rises, np.std, seed=0, resamples=2000, method="percentile")
        spread = Estimate(found.value, found.low, found.high)
    elif len(rises) > 1:
        spread = Estimate.exact(0.0)
    return STATEMENTS["new-numbers"].claim(
        f"the standard deviation of the epoch is {spread}",
        spread,
        cases=len(rises),
        detail=f"of {len(watched.rise)} new executions {len(rises)} rise",
    )


def similar(params: Float[np.ndarray, "W S P"]) -> list[Claim]:
    """Conclusion 6: how alike the courses of U and V are in two executions, when units are matched."""
    weights = split(params)
    u = weights.u.transpose(0, 2, 1, 3)  # executions, units, epochs, columns
    v = weights.v[..., :-1].transpose(0, 2, 1)[..., None]
    signs = np.array(list(product((-1.0, 1.0), repeat=2)))
    return [
        _alike("v-similar", v, np.ones((1, 1)), "V of hidden units, exchanged"),
        _alike("u-similar", u, signs, "U, exchanged, with a sign for each of its two columns"),
    ]


def _alike(name: str, courses: Float[np.ndarray, "W K S C"], signs: Float[np.ndarray, "G C"], words: str) -> Claim:
    cosines = matched_cosines(courses, signs)
    count = len(cosines)

    def median(rows):
        index = rows.astype(int)
        return np.median(cosines[np.ix_(index, index)][index[:, None] != index])

    estimate = None
    if count >= LEAST:
        found = bootstrap_interval(np.arange(float(count)), median, seed=0, method="percentile", resamples=500)
        estimate = Estimate(found.value, found.low, found.high)
    plain = np.array([[_cosine(one, two) for two in courses] for one in courses])[~np.eye(count, dtype=bool)]
    return STATEMENTS[name].claim(
        f"the median cosine of two executions is {estimate}, and {np.median(plain):.2f} as they are"
        if count > 1
        else "one execution",
        estimate,
        cases=count,
        detail=f"{words}: the best assignment for the whole course, every {STRIDE} epochs; executions resampled",
    )


def matched_cosines(courses: Float[np.ndarray, "W K S C"], signs: Float[np.ndarray, "G C"]) -> Float[np.ndarray, "W W"]:
    """Cosines of the courses of K units in pairs of executions, units and signs chosen to make them largest."""
    count = len(courses)
    products = np.einsum("akSc,blSc->abklc", courses, courses)
    gains = np.max(np.einsum("abklc,gc->abklg", products, signs), axis=-1)
    norms = np.sqrt((courses**2).sum(axis=(1, 2, 3)))
    found = np.ones((count, count))
    for one in range(count):
        for two in range(one):
            rows, columns = linear_sum_assignment(gains[one, two], maximize=True)
            found[one, two] = found[two, one] = gains[one, two, rows, columns].sum() / (norms[one] * norms[two])
    return found


def _cosine(one: Float[np.ndarray, "..."], two: Float[np.ndarray, "..."]) -> float:
    return float((one * two).sum() / np.sqrt((one**2).sum() * (two**2).sum()))


def _table(found: list[Watched], by_run: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for watched in found:
        table = by_run[watched.label]
        for name, alarm in _detectors(watched):
            per_run = counts(watched, alarm)
            index = skill(per_run) or Estimate(np.nan, np.nan, np.nan)
            row = {"run": watched.run.name, "detector": name, "executions": len(watched.rise)}
            row |= {"rise": int((watched.rise >= 0).sum())}
            names = ("hits", "misses", "false_alarms", "rightly_none")
            row |= dict(zip(names, per_run.sum(axis=0).tolist(), strict=True))
            row |= {"youden": index.value, "youden_low": index.low, "youden_high": index.high}
            if name == "sharpness":
                row |= {f"alarms_{each}": _of_outcome(table, each) for each in ("rise", "ended", "open")}
                row |= {f"lead_q{level:.0%}"[:-1]: table["lead"].quantile(level) for level in (0.05, 0.5, 0.95)}
            rows.append(row)
    return pd.DataFrame(rows)


def _figure(by_run: Mapping[str, pd.DataFrame]) -> Figure:
    figure, (left, right) = new_figure(2, height=2.4)
    for index, (label, table) in enumerate(by_run.items()):
        lead = np.asarray(table["lead"].dropna(), np.float64)
        if len(lead):
            left.hist(
                lead,
                bins=np.arange(0, lead.max() + 20, 20),
                density=True,
                histtype="step",
                lw=1.4,
                ls=dash_of(index),
                color=f"C{index}",
                label=label,
            )
        shares = [_of_outcome(table, each) / max(len(table), 1) for each in ("rise", "ended", "open")]
        right.bar(
            np.arange(3) + 0.27 * (index - 1),
            shares,
            width=0.25,
            color=f"C{index}",
            hatch=_HATCHES[index % 3],
            ec="white",
            label=label,
        )
    left.set(title="From an alarm to the rise", xlabel="epochs", ylabel="density")
    right.set(title="What becomes of an alarm", ylabel="share of the alarms", ylim=(0, 1))
    right.set_xticks(range(3), ["the loss rises", "it ends by itself", "on at the end"])
    right.legend()
    return figure


def _caption(found: list[Watched], by_run: Mapping[str, pd.DataFrame]) -> str:
    told = [
        f"{_of_outcome(by_run[each.label], 'ended') / len(by_run[each.label]):.0%} with {each.label}"
        for each in found
        if len(by_run[each.label])
    ]
    return (
        f"Alarms of a detector that sees only the past, in {len(found[0].rise):,} executions of each run: how long "
        f"before the rise they come, and what becomes of them; of all alarms {', '.join(told)} end by themselves."
    )


ANALYSIS = Analysis(
    quick=PredictionSettings(),
    paper=PredictionSettings(executions=1000),
    find=find,
)
