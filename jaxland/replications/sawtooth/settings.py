"""Sections 4.1 to 4.5 with other settings than ours: what moves losses and distances."""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import direction_cosines, distances_to, outputs, pair_distances, symmetrise
from jaxland.networks import mlp
from jaxland.plots import dash_of, new_figure
from jaxland.replications.sawtooth.comparable import other_example, too_small
from jaxland.replications.sawtooth.config import SawtoothConfig
from jaxland.replications.sawtooth.measures import wave_shares
from jaxland.replications.sawtooth.sample import global_minimum
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.fits import CORNER, FROM_MINIMUM, HALF_THE_WAVE, NEAR, PAIRS, SMOOTH_LOSS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement
from jaxland.training import make_optimizer


@dataclass(frozen=True)
class SettingsSettings:
    """Scale of the comparison."""

    fits: int = 16
    """Of each setting, from the same starts where the initial weights are the same."""
    steps: tuple[int, ...] = (500, 1_000)
    """Steps at which fits are looked at, the last one that of the training."""


@dataclass(frozen=True)
class Variant:
    """One way to train."""

    optimizer: str
    numbers: dict[str, float] = field(default_factory=dict)
    batch_size: int | None = None
    init: str = "glorot_uniform"

    @property
    def name(self) -> str:
        """What is not as in the study."""
        changes = [f"{name} {value:g}" for name, value in self.numbers.items()]
        changes += [f"batches of {self.batch_size}"] * (self.batch_size is not None)
        changes += [self.init.replace("_", " ")] * (self.init != "glorot_uniform")
        return ", ".join([self.optimizer, *changes])


VARIANTS = (
    *(Variant(name) for name in ("sgd", "momentum", "adam", "adadelta")),
    Variant("momentum", {"learning_rate": 0.1}),
    Variant("momentum", {"learning_rate": 0.001}),
    Variant("momentum", batch_size=32),
    *(Variant("adadelta", {"learning_rate": rate}) for rate in (0.3, 0.1, 0.01)),
    *(Variant("adadelta", {"eps": eps}) for eps in (1e-6, 1e-7)),
    Variant("adadelta", {"rho": 0.9}),
    Variant("adadelta", batch_size=32),
    Variant("adadelta", init="he_uniform"),
    Variant("adadelta", init="pytorch_uniform"),
)
"""The four optimizers as the study has them, and the two of the source with one thing changed: eps and rho as PyTorch
and Keras have them, batches, other common initial weights, rates."""


_PLAIN = 4  # The first of them are the optimizers as the study has them.


class Seen(NamedTuple):
    """Finite fits of a variant at one step: what the source tells of them."""

    loss: Float[np.ndarray, "F"]
    wave: Float[np.ndarray, "F"]
    """Share of the high-frequency wave that each holds."""
    pairs: Float[np.ndarray, "pairs"]
    """Distances of all pairs, symmetrised."""
    radius: Float[np.ndarray, "F"]
    """Distances from the global minimum; empty where the fits' network is another one."""
    cosines: Float[np.ndarray, "pairs"]


def find(context: Context) -> Findings:
    """Trains every variant and looks at its fits on the way."""
    seen = [list(_seen(context, each)) for each in VARIANTS]
    steps = context.settings.steps
    table = pd.DataFrame(
        [
            row(each, step, found)
            for each, looks in zip(VARIANTS, seen, strict=True)
            for step, found in zip(steps, looks, strict=True)
        ]
    )
    plain = zip(VARIANTS[:_PLAIN], seen, strict=False)
    claims = [any_optimizer_claim(each.name, [step.wave for step in looks]) for each, looks in plain]
    reason = other_example(context.config) or too_small(steps[-1], context.settings.fits, 100)
    claims = [*judged_unless(reason, claims), *_nearest(table)]
    stem = "settings-of-adadelta"
    return Findings({"settings.csv": table}, {stem: _figure(table)}, claims, captions={stem: _caption(table)})


def _seen(context: Context, variant: Variant) -> Iterator[Seen]:
    settings = context.settings
    name = f"{variant.name}-{settings.fits}-{'-'.join(map(str, settings.steps))}".replace(", ", "-").replace(" ", "-")
    arrays = context.piece(name, partial(_train, context, variant))
    context.say(f"  {variant.name}")
    for index in range(len(settings.steps)):
        yield look(context.config, arrays["params"][:, index].astype(np.float64))


def _train(context: Context, variant: Variant) -> dict[str, np.ndarray]:
    config: SawtoothConfig = context.config
    numbers: Any = dataclasses.replace(config.optimizer(variant.optimizer), **variant.numbers)
    network = mlp([1, *[config.width] * config.depth, 1], init=variant.init)
    fits = context.fit(
        network if variant.init != "glorot_uniform" else config.network,
        config.problem,
        make_optimizer(numbers),
        fits=context.settings.fits,
        steps=context.settings.steps[-1],
        batch_size=variant.batch_size,
        snapshots=context.settings.steps,
    )
    return {"params": fits.snapshots[fits.diverged_step < 0]}


def look(config: SawtoothConfig, params: Float[np.ndarray, "F P"]) -> Seen:
    """Measures finite fits."""
    network, problem, target = config.network, config.problem, config.problem.target
    none = np.zeros(0)
    if len(params) < 2:
        return Seen(none, none, none, none, none)
    curves = outputs(network, params, problem.x)[:, :, 0]
    x = problem.x[:, 0]
    params = symmetrise(network, params, x=problem.x).params
    index = np.stack(np.triu_indices(len(params), 1), axis=1)
    minimum, pairs = global_minimum(config), pair_distances(params, index)
    radius = none if minimum is None else distances_to(params, minimum)
    cosines = none if minimum is None else direction_cosines(pairs, radius[index[:, 0]], radius[index[:, 1]])
    loss = ((curves - problem.y[:, 0]) ** 2).mean(axis=1)
    return Seen(loss, wave_shares(x, target.wave(x), curves), pairs, radius, cosines)


def row(variant: Variant, step: int, seen: Seen) -> dict[str, Any]:
    """A line of the table: medians and shares, and how many of the source's numbers they meet."""
    if not len(seen.loss):
        return {"setting": variant.name, "optimizer": variant.optimizer, "step": step, "fits": 0}
    low, middle, high = np.quantile(seen.loss, (0.25, 0.5, 0.75))
    shares = {
        "spike": _share(np.abs(seen.loss / SMOOTH_LOSS - 1) < NEAR),
        "pairs_6_to_8": _share((seen.pairs >= PAIRS[0]) & (seen.pairs < PAIRS[1])),
        "from_minimum_9.5_to_10.5": _share((seen.radius >= FROM_MINIMUM[0]) & (seen.radius < FROM_MINIMUM[1])),
    }
    smallest = float(seen.cosines.min(initial=np.inf))
    met = sum(share > 0.5 for share in shares.values()) + (abs(smallest - CORNER) <= 0.1)
    return {
        "setting": variant.name,
        "optimizer": variant.optimizer,
        "step": step,
        "fits": len(seen.loss),
        "loss_median": middle,
        "loss_interquartile": high - low,
        "wave_mean": seen.wave.mean(),
        "without_wave": _share(seen.wave < HALF_THE_WAVE),
        "pairs_median": np.median(seen.pairs),
        "from_minimum_median": np.median(seen.radius) if len(seen.radius) else np.nan,
        "cosine_smallest": smallest,
        **shares,
        "met": met,
    }


def _share(met) -> float:
    return float(met.mean()) if len(met) else float("nan")


def any_optimizer_claim(name: str, waves: list[Float[np.ndarray, "F"]]) -> Claim:
    """Whether fits are without the wave at each of several steps."""
    shares = [Estimate.share(int((each < HALF_THE_WAVE).sum()), len(each)) for each in waves]
    return STATEMENTS["any-optimizer"].claim(
        ", ".join(f"{each.value:.1%}" for each in shares) + " of fits hold less than half of the wave",
        shares,
        of=name,
        cases=min(map(len, waves), default=0),
        detail="at each of the steps looked at; Wilson's intervals",
    )


def _nearest(table: pd.DataFrame) -> list[Claim]:
    """How many of the source's numbers each setting of adadelta meets at the last step, and the study's own before."""
    own = table[(table["optimizer"] == "adadelta") & (table["fits"] > 0)]
    plain, last = own[own["setting"] == "adadelta"], own[own["step"] == table["step"].max()]
    if own.empty:
        return []
    counts = ", ".join(f"{met:.0f} at {step:,}" for met, step in zip(plain["met"], plain["step"], strict=True))
    others = ", ".join(f"{met:.0f} with {name}" for met, name in zip(last["met"], _short(last["setting"]), strict=True))
    return [
        measurement(
            "which of four numbers that the source shows of its fits are met: spike, pairs, distances, dot products",
            f"as in the study {counts} steps; after {table['step'].max():,} steps {others}",
            of="adadelta",
            detail="more than half of losses, pairs and distances lie where the source has them, and the smallest dot "
            "product of all pairs is within 0.1 of its",
        )
    ]


def _short(settings: Iterable[Any]) -> list[str]:
    names = map(str, settings)
    return [name.removeprefix("adadelta, ").replace("adadelta", "all as in the study") for name in names]


def _figure(table: pd.DataFrame):
    figure, axes = new_figure(2, height=3.1)
    shown = {
        "pairs_median": ("Pairs of adadelta's fits", "median L2 distance of pairs", PAIRS),
        "from_minimum_median": ("From the global minimum", "median L2 distance from $W_f$", FROM_MINIMUM),
    }
    own = table[(table["optimizer"] == "adadelta") & (table["fits"] > 0)]
    for ax, (column, (title, label, span)) in zip(axes, shown.items(), strict=True):
        for index, (name, each) in enumerate(own.groupby("setting", sort=False)):
            name = _short([name])[0]
            style = {"color": f"C{index % 7}", "ls": dash_of(index), "marker": "osD^vPX"[index % 7], "ms": 3}
            ax.plot(each["step"], each[column], label=name, **style)
        ax.axhspan(*span, color="black", alpha=0.08, lw=0, label="the source's")
        ax.set(title=title, xlabel="step", ylabel=label, xscale="log")
        steps = sorted(set(own["step"]))
        ax.set_xticks(steps, [f"{step:,}" for step in steps])
        ax.minorticks_off()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncol=5, handlelength=3)
    return figure


def _caption(table: pd.DataFrame) -> str:
    own = table[(table["setting"] == "adadelta") & (table["fits"] > 0)]
    told = ", ".join(f"{apart:.2f} at {step:,}" for apart, step in zip(own["pairs_median"], own["step"], strict=True))
    return (
        "Median distances of adadelta's fits from each other and from the global minimum grow with steps, and depend "
        f"on rate, eps, batches and initial weights; as the study has it pairs are apart {told} steps."
    )


ANALYSIS = Analysis(
    quick=SettingsSettings(),
    paper=SettingsSettings(fits=256, steps=(5_000, 10_000, 20_000, 50_000)),
    find=find,
)
