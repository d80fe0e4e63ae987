"""Whether the volume of a minimum tells how often training finds it.

Usage: python experiments/volumes/volumes.py [FITS] [DIRECTORY] (by default 320,000 of each problem, and this folder)

Of each problem half of the fits start from the network's own initial weights and half from three times these. Their
minima are told apart modulo symmetry and counted, and each is given its volumes, loss and norm. Written are minima.csv,
verdicts.csv, volumes.png, and the table of README.md. What is asked of the numbers stands in `RULES`.
"""

import re
import sys
import time
from itertools import permutations, product
from pathlib import Path

import numpy as np
import optax
import pandas as pd
from matplotlib.figure import Figure
from scipy.stats import rankdata

import jaxland as jl
from jaxland import landscape, plots
from jaxland.bench.report import processor
from jaxland.statistics import Estimate
from jaxland.studies import Above, Within

HERE = Path(__file__).parent
STEPS, OPTIMIZER = 2_500, optax.sgd(0.05, momentum=0.9)
LAWS = {"own": 1.0, "three times": 3.0}
"""Factors on the network's own initial weights."""
RISES = {"volume to 1 %": 0.01, "volume to 10 %": 0.1}
"""How far the loss may rise in star-shaped volumes, as a share of the target's variance."""
RULES = {
    "rank correlation with hits": Above(0.5),
    "more than that of the loss by": Above(0),
    "slope of log hits": Within(1, 0.25),
    "rank correlation at equal loss": Above(0),
}
"""Asked of each predictor, over the minima of a problem: it tells which are found more often; it does so better than
the loss; of volumes, hits are in proportion to it; it tells something that the loss does not. The first three were set
before any volume was taken, the last when two problems had been seen."""
VOLUMES = ("curvature", *RISES)
PREDICTORS = (*VOLUMES, "loss", "norm", "coefficient")
FEWEST, _RESAMPLES = 10, 2_000
"""Minima below which nothing is tested."""
# Of parameters: copies of a minimum this near are one.
_SAME = 1e-4


def noise(points: int, inputs: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal inputs, and targets that have nothing to do with them, of mean 0 and variance 1."""
    random = np.random.default_rng(seed)
    x, y = random.normal(size=(points, inputs)), random.normal(size=points)
    return x, (y - y.mean()) / y.std()


def board() -> tuple[np.ndarray, np.ndarray]:
    """Hills and hollows on a slope, which no reflection of the inputs leaves as they are."""
    axis = np.linspace(-1, 1, 6)
    x = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    return 2 * x, np.sin(4 * x[:, 0] + 0.4) * np.sin(4 * x[:, 1] - 0.3) + 0.3 * x[:, 0]


def problems() -> dict[str, tuple[jl.Network, jl.Problem]]:
    """What is trained. The penalty keeps minima apart from each other and makes their Hessians regular."""
    cases = {
        "board, 2-4-1": (jl.mlp([2, 4, 1], "tanh"), board(), 1e-3),
        "noise, 2-3-1": (jl.mlp([2, 3, 1], "tanh"), noise(20, 2, 0), 2e-3),
        "noise, 3-3-1": (jl.mlp([3, 3, 1], "tanh"), noise(20, 3, 1), 3e-3),
        "noise, 2-4-1": (jl.mlp([2, 4, 1], "tanh"), noise(24, 2, 2), 3e-3),
    }
    return {
        name: (network, jl.Problem(*data, penalty=jl.problems.l2(strength, biases=True)))
        for name, (network, data, strength) in cases.items()
    }


def copies(network: jl.Network, point: np.ndarray) -> int:
    """How many points of parameter space exchanges and signs of units make of one: fewer where units are equal or 0."""
    symmetry, images = network.spec.symmetry, []
    units = [len(layer.incoming) for layer in symmetry.layers]
    signs = [(1.0, -1.0) if layer.scaling == "sign" else (1.0,) for layer in symmetry.layers]
    orders = [[np.array(order) for order in permutations(range(count))] for count in units]
    factors = [
        [np.array(each) for each in product(sign, repeat=count)] for sign, count in zip(signs, units, strict=True)
    ]
    images = [symmetry.transform(point, order, scale) for order in product(*orders) for scale in product(*factors)]
    same = np.abs(np.array(images) - point).max(axis=1) < _SAME
    return len(images) // int(same.sum())


def predictors(network: jl.Network, problem: jl.Problem, params: np.ndarray, rays: int = 1_000) -> pd.DataFrame:
    """What each minimum is known by: logarithms of volumes, of all copies together; loss; norm; coefficients.

    Args:
        network: of the problem.
        problem: data and loss.
        params: minima, (M, P).
        rays: of each star-shaped volume.
    """
    evaluate, size = jl.training.gradients(network, problem), network.size
    hessians = landscape.hessians(problem.objective(network), params)
    log_copies = np.log([copies(network, each) for each in params])
    columns = {
        "copies": np.exp(log_copies).round().astype(int),
        "loss": evaluate(params)[0],
        "norm": np.linalg.norm(params, axis=1),
        "smallest curvature": np.linalg.eigvalsh(hessians)[:, 0],
        # Of the ellipsoid, but for what all of them share.
        "curvature": log_copies - np.linalg.slogdet(hessians)[1] / 2,
    }
    variance = float(np.var(problem.y))
    for name, share in RISES.items():
        found = landscape.basin_volumes(evaluate, params, share * variance, metric=hessians, rays=rays)
        columns |= {name: log_copies + found.log_volume, f"{name}: rays": found.effective_rays}
    # So hot that a regular minimum has the smaller rise as its thermal loss; at the larger chains leave for others.
    inverse = size / 2 / (min(RISES.values()) * variance)
    valleys = landscape.local_learning_coefficients(
        evaluate, params, inverse, metric=inverse * hessians + np.eye(size), steps=200
    )
    written = [" ".join(f"{value:.10g}" for value in each) for each in params]
    return pd.DataFrame(columns | {"coefficient": valleys.value, "r_hat": valleys.r_hat, "parameters": written})


def judged(table: pd.DataFrame, hits: np.ndarray, name: str) -> dict[str, tuple[Estimate | None, str]]:
    """What is measured of one predictor, with the verdict of each rule.

    Args:
        table: of `predictors`.
        hits: of each minimum.
        name: of the predictor. Minima should be found the more often the larger it is, or the smaller if it is the
            loss, the norm or the coefficient.
    """
    values, loss = np.asarray(table[name]), np.asarray(table["loss"])
    rows = np.stack([hits, -values if name in ("loss", "norm", "coefficient") else values, -loss], axis=1)
    measured: dict[str, Estimate | None] = dict.fromkeys(RULES)
    if len(rows) >= FEWEST:
        order, more, slope, given = RULES
        measured[order] = _estimate(rows, lambda rows: _ranked(rows, 1))
        if name != "loss":
            measured[more] = _estimate(rows, lambda rows: _ranked(rows, 1) - _ranked(rows, 2))
            measured[given] = _estimate(rows, _ranked_given)
        if name in VOLUMES:
            measured[slope] = _estimate(rows[hits > 0], lambda rows: _slope(rows[..., 1], np.log(rows[..., 0])))
    return {rule: (found, RULES[rule].judge(found)) for rule, found in measured.items()}


def _estimate(rows, statistic) -> Estimate:
    """A statistic of minima, and what the middle 95 % of samples of as many of them have.

    The percentiles of `statistics.bootstrap_interval`, for a statistic that takes all samples at once and may be NaN.
    """
    drawn = np.random.default_rng(0).integers(len(rows), size=(_RESAMPLES, len(rows)))
    value, values = float(statistic(rows)), statistic(rows[drawn])
    if np.isnan(value):
        return Estimate(np.nan, np.nan, np.nan)
    return Estimate(value, *np.nanquantile(values, [0.025, 0.975]).tolist())


def _ranked(rows, column, beside=0):
    """Spearman's rank correlation of two columns, hits and another one; NaN where either is the same for all."""
    ranks = rankdata(rows[..., [beside, column]], axis=-2)
    one, other = np.moveaxis(ranks - ranks.mean(axis=-2, keepdims=True), -1, 0)
    with np.errstate(invalid="ignore"):
        return (one * other).sum(axis=-1) / np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))


def _ranked_given(rows):
    """The rank correlation of hits and predictor that is left when that of both with the loss is taken out."""
    direct, one, other = _ranked(rows, 1), _ranked(rows, 2), _ranked(rows, 2, beside=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (direct - one * other) / np.sqrt((1 - one**2) * (1 - other**2))


def _slope(x, y):
    """Of the line of least squares."""
    x, y = (each - each.mean(axis=-1, keepdims=True) for each in (x, y))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(axis=-1) / (x**2).sum(axis=-1)


def counted(name: str, fits: int) -> pd.DataFrame:
    """Trains one problem's fits and tells their minima apart: a row a minimum, with its hits and predictors."""
    network, problem = problems()[name]
    began, ends = time.perf_counter(), []
    for scale in LAWS.values():
        ended = jl.fit(network, problem, OPTIMIZER, fits=fits // 2, steps=STEPS, seed=0, init_scale=scale)
        ends.append(ended.params)
    trained = time.perf_counter()
    found = landscape.distinct_minima(network, problem, np.concatenate(ends))
    told_apart = time.perf_counter()
    table = predictors(network, problem, found.params)
    lost = int((found.label < 0).sum())
    hits = {
        f"hits, {law}": np.bincount(label[label >= 0], minlength=len(table))
        for law, label in zip(LAWS, np.split(found.label, len(LAWS)), strict=True)
    }
    print(
        f"{name}: {trained - began:.0f} s of training, {told_apart - trained:.0f} s of telling apart, "
        f"{time.perf_counter() - told_apart:.0f} s of volumes; {len(table)} minima, {lost} fits at none",
        flush=True,
    )
    return pd.concat([pd.DataFrame({"problem": name, **hits}), table], axis=1)


def verdicts(minima: pd.DataFrame) -> pd.DataFrame:
    """What the rules make of the minima: a row for each problem, starts, predictor and rule."""
    rows = []
    for problem, table in minima.groupby("problem", sort=False):
        for law in LAWS:
            for name in PREDICTORS:
                for rule, (estimate, verdict) in judged(table, table[f"hits, {law}"].to_numpy(), name).items():
                    numbers = estimate or Estimate(np.nan, np.nan, np.nan)
                    rows.append((problem, law, len(table), name, rule, *numbers, verdict))
    columns = ["problem", "starts", "minima", "predictor", "rule", "measured", "low", "high", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def markdown(verdicts: pd.DataFrame) -> str:
    """The table of the README."""
    verdicts = verdicts[verdicts["verdict"] != "not tested"]
    lines = ["| problem, starts | minima | predictor | " + " | ".join(RULES) + " |", "|" + "---|" * (3 + len(RULES))]
    for (problem, starts, minima, name), rows in verdicts.groupby(
        ["problem", "starts", "minima", "predictor"], sort=False
    ):
        told = {
            row.rule: f"{Estimate(row.measured, row.low, row.high):.2f}, {row.verdict}" for row in rows.itertuples()
        }
        cells = [f"{problem}, {starts}", str(minima), name, *(told.get(rule, "") for rule in RULES)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def drawn(minima: pd.DataFrame) -> Figure:
    """Hits over volume, and over loss, of every problem."""
    names = list(dict.fromkeys(minima["problem"]))
    with plots.style():
        figure, axes = plots.new_figure(len(names), rows=2, width="page")
        for column, problem in enumerate(names):
            table = minima[minima["problem"] == problem]
            for row, name in enumerate((list(RISES)[-1], "loss")):
                ax = axes[row * len(names) + column]
                for index, law in enumerate(LAWS):
                    hits = table[f"hits, {law}"]
                    x = (table[name] - table[name].max()) / np.log(10) if row == 0 else table[name]
                    look = {"marker": "os"[index], "ms": 3, "alpha": 0.7, "ls": "", "color": f"C{index}"}
                    look |= {"mfc": "none", "mew": 0.7} if index else {"mew": 0}  # told apart in grey too
                    ax.plot(x, hits.clip(lower=0.5), label=f"starts: {law}", **look)
                ax.set(yscale="log", title=problem if row == 0 else "")
                ax.set(xlabel="log10 of volume / largest" if row == 0 else "loss")
                if column == 0:
                    ax.set(ylabel="fits at the minimum")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def main() -> None:
    """Measures, and writes what was found."""
    fits = int(sys.argv[1]) if len(sys.argv) > 1 else 320_000
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else HERE
    print(f"{processor()}; {jl.training.versions()}; {fits:,} fits a problem, {STEPS:,} steps, float32")
    found = pd.concat([counted(name, fits) for name in problems()])
    found.to_csv(folder / "minima.csv", index=False, float_format="%.6g")
    minima = pd.read_csv(folder / "minima.csv")
    verdicts(minima).to_csv(folder / "verdicts.csv", index=False, float_format="%.4g")
    (folder / "volumes.png").write_bytes(plots.render(drawn(minima), "png"))
    if (page := folder / "README.md").exists():
        marked = r"(<!-- verdicts -->\n).*?(\n<!-- end of verdicts -->)"
        table = markdown(pd.read_csv(folder / "verdicts.csv"))
        page.write_text(re.sub(marked, lambda found: found[1] + table + found[2], page.read_text(), flags=re.DOTALL))


if __name__ == "__main__":
    main()
