"""Where descents from all over the window end, with each optimizer: minima, saddles, plateaus."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from jaxland.landscape import spectra
from jaxland.plots import new_figure
from jaxland.replications.surfaces.config import GRID, SurfacesConfig, ensemble_name
from jaxland.replications.surfaces.drawing import descent_ends
from jaxland.replications.surfaces.landscape import Slice, costs, slice_of
from jaxland.replications.surfaces.statements import STATEMENTS
from jaxland.statistics import Estimate, wilson_interval
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import starting_points

KINDS = ("lowest", "local minimum", "saddle", "plateau")
"""The lowest cost that was found; elsewhere a critical point, or a plateau, flat or on its way down."""
_LEAST_EPOCHS = 10_000
_LABELS = {"sgd": "gradient descent", "momentum": "gradient descent with momentum"}


@dataclass(frozen=True)
class EndsSettings:
    """What an end is."""

    tolerance: float = 0.01
    """Ends whose cost lies within this share of the surface's range above the lowest have reached it."""
    gradient: float = 1e-7
    """Largest gradient, as a share of the range for a unit of weight, at a minimum or a saddle."""
    curvature: float = 1e-7
    """Smallest curvature there, likewise; where both are smaller, the surface is flat as far as can be told."""


@dataclass(frozen=True)
class Ends:
    """Where the fits of one ensemble end."""

    start: Float[np.ndarray, "F 2"]
    end: Float[np.ndarray, "F 2"]
    cost: Float[np.ndarray, "F"]
    kind: Int[np.ndarray, "F"]
    """Index in `KINDS`."""

    @property
    def stuck(self) -> int:
        """How many have not reached the lowest cost."""
        return int((self.kind > 0).sum())


def find(context: Context) -> Findings:
    """Sorts the stored fits by what lies where they end."""
    config: SurfacesConfig = context.config
    cost = costs(config, config.samples)
    surfaces = {seed: slice_of(cost, seed, config.entries, GRID) for seed in config.weights}
    ends = {seed: _sorted(context, seed, each) for seed, each in surfaces.items()}
    figures = {f"ends-seed-{seed}": _figure(surfaces[seed], each) for seed, each in ends.items()}
    tables = {"ends.csv": _table(ends), "ends-shares.csv": _shares(ends)}
    return Findings(tables, figures, _claims(context, ends), captions=_captions(ends))


def _sorted(context: Context, seed: int, drawn: Slice) -> dict[str, Ends]:
    config: SurfacesConfig = context.config
    fits = {name: _finite_fits(context, ensemble_name(seed, name)) for name in config.optimizers}
    size = drawn.features.range
    lowest = min(np.concatenate([loss for _, loss, _ in fits.values()]), default=np.nan)
    pair = config.pair(seed, config.samples)
    network = pair.network(*config.window)
    objective = pair.problem().objective(network)
    ends = {}
    for name, (numbers, loss, params) in fits.items():
        start = starting_points(network, numbers, seed=config.seed).astype(np.float64)
        kinds = kinds_of(objective, params, loss, lowest, size, context.settings)
        ends[name] = Ends(start, params, loss, kinds)
    return ends


def kinds_of(objective, params, loss, lowest, size, settings: EndsSettings) -> Int[np.ndarray, "F"]:
    """For each end the index in `KINDS`.

    Args:
        objective: cost of the two weights.
        params, loss: of the ends.
        lowest: cost that counts as reached.
        size: range of the cost, which gives costs and gradients their unit.
        settings: tolerances.
    """
    found = spectra(objective, params)
    still = found.gradient_norm <= settings.gradient * size
    least, most = found.eigenvalues.T / size
    reached = loss <= lowest + settings.tolerance * size
    minimum = still & (least > settings.curvature)
    saddle = still & (least < -settings.curvature) & (most > settings.curvature)
    return np.select([reached, minimum, saddle], [0, 1, 2], 3)


def _finite_fits(context: Context, ensemble: str):
    """Numbers, losses and parameters of the fits that did not diverge."""
    shards = [{**each.arrays} for each in context.store.stream(ensemble, ["fit", "loss", "diverged_step", "params"])]
    good = [each["diverged_step"] < 0 for each in shards]
    if not shards:
        return np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 2))
    return tuple(
        np.concatenate([each[key][rows] for each, rows in zip(shards, good, strict=True)])
        for key in ("fit", "loss", "params")
    )


def _figure(drawn: Slice, ends: dict[str, Ends]) -> Figure:
    columns = 2 if len(ends) > 1 else 1
    rows = -(-len(ends) // columns)
    figure, axes = new_figure(columns, rows=rows, height=2.7 + 0.3 / rows)
    found = drawn.surface
    for ax, (name, each) in zip(axes, ends.items(), strict=False):
        title = f"{_LABELS.get(name, name)}: {1 - each.stuck / max(len(each.kind), 1):.0%}"
        labels = ("$w_a$", "$w_b$")
        descent_ends(found.a, found.b, found.loss, each.start, each.kind, KINDS, title=title, labels=labels, ax=ax)
    for ax in axes[len(ends) :]:
        ax.set_axis_off()
    figure.suptitle(f"{drawn.title}: starting points by where they end, and the share that reaches the lowest cost")
    return figure


def _table(ends) -> pd.DataFrame:
    frames = [
        pd.DataFrame(
            {
                "seed": seed,
                "optimizer": name,
                "start_a": each.start[:, 0],
                "start_b": each.start[:, 1],
                "end_a": each.end[:, 0],
                "end_b": each.end[:, 1],
                "cost": each.cost,
                "end": np.array(KINDS)[each.kind],
            }
        )
        for seed, by_name in ends.items()
        for name, each in by_name.items()
    ]
    return pd.concat(frames, ignore_index=True)


def _shares(ends) -> pd.DataFrame:
    rows = []
    for seed, by_name in ends.items():
        for name, each in by_name.items():
            for index, kind in enumerate(KINDS):
                count, total = int((each.kind == index).sum()), len(each.kind)
                low, high = wilson_interval(count, total)
                row = {"seed": seed, "optimizer": name, "end": kind, "fits": total, "count": count}
                rows.append({**row, "share": count / max(total, 1), "share_low": low, "share_high": high})
    return pd.DataFrame(rows)


def _claims(context: Context, ends: dict[int, dict[str, Ends]]) -> list[Claim]:
    config: SurfacesConfig = context.config
    if "sgd" not in config.optimizers:
        return []
    plain = _kinds(ends, "sgd")
    claims = [barriers_claim(plain), *stuck_claims(plain)]
    claims += [
        overcome_claim(name, _kinds(ends, name), plain) for name in ("adagrad", "adam") if name in config.optimizers
    ]
    short = config.epochs < _LEAST_EPOCHS
    about = (
        f"random starts in the window, weights of seeds {', '.join(map(str, ends))}, {config.epochs:,} epochs on "
        f"{config.name_of_data}; the lowest cost is that of any optimizer, reached to within "
        f"{context.settings.tolerance:.0%} of the surface's range"
    )
    claims = [each._replace(detail=about) for each in claims]
    return judged_unless(f"judged from {_LEAST_EPOCHS:,} epochs on" if short else "", claims)


def _kinds(ends: dict[int, dict[str, Ends]], name: str) -> Int[np.ndarray, "F"]:
    """What lies where the fits of one optimizer end, of all seeds in turn."""
    return np.concatenate([by_name[name].kind for by_name in ends.values()])


def _told(share: Estimate, count: int) -> str:
    return f"{share.value:.1%} of {count:,} ({share.low:.1%} to {share.high:.1%})"


def barriers_claim(kinds: Int[np.ndarray, "F"]) -> Claim:
    """Of where descents end: how many do not reach the lowest cost."""
    share = Estimate.share(int((kinds > 0).sum()), len(kinds))
    return STATEMENTS["barriers"].claim(f"{_told(share, len(kinds))} do not reach it", share, cases=len(kinds))


def stuck_claims(kinds: Int[np.ndarray, "F"]) -> list[Claim]:
    """Of the same: on what they are stuck."""
    claims = []
    for index, kind in enumerate(KINDS[1:], start=1):
        share = Estimate.share(int((kinds == index).sum()), len(kinds))
        statement = STATEMENTS[f"stuck-{('minimum', 'saddle', 'plateau')[index - 1]}"]
        claims.append(statement.claim(f"{_told(share, len(kinds))} on a {kind}", share, cases=len(kinds)))
    return claims


def overcome_claim(name: str, kinds: Int[np.ndarray, "F"], plain: Int[np.ndarray, "F"]) -> Claim:
    """Of where descents of two optimizers end that start from the same places."""
    shares = [Estimate.share(int((each > 0).sum()), len(each)) for each in (kinds, plain)]
    told = [_told(share, len(kinds)) for share in shares]
    paired = len(kinds) == len(plain)
    return STATEMENTS[name].claim(
        f"stuck: {told[0]} with {name}, {told[1]} with gradient descent",
        Estimate.mean((kinds > 0).astype(float) - (plain > 0)) if paired and len(kinds) > 1 else None,
        cases=len(kinds),
    )


def _captions(ends: dict[int, dict[str, Ends]]) -> dict[str, str]:
    return {
        f"ends-seed-{seed}": f"Where descents from all over the window end, seed {seed}: "
        + ", ".join(
            f"{1 - each.stuck / max(len(each.kind), 1):.0%} reach the lowest cost with {_LABELS.get(name, name)}"
            for name, each in by_name.items()
        )
        + "."
        for seed, by_name in ends.items()
    }


ANALYSIS = Analysis(
    quick=EndsSettings(),
    paper=EndsSettings(),
    find=find,
)
