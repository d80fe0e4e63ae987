"""Figure 15 and section 4.10: larger networks, and local minima of 5 x 5 networks inside them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.stats import ttest_ind

from jaxland.landscape import outputs, piecewise_linear, spectra
from jaxland.networks import Network, embed, mlp, smoothed
from jaxland.plots import fit_curve, new_figure, paired_strips, strips, training_curves
from jaxland.replications.sawtooth.comparable import judged_where_comparable, other_example, too_small
from jaxland.replications.sawtooth.measures import column, groups, percent, turning_points, wave_shares
from jaxland.replications.sawtooth.palette import COLORS
from jaxland.replications.sawtooth.sample import Sample, first_fits
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import CLOSE
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless
from jaxland.training import make_optimizer

_TRAINED, _EMBEDDED = "adadelta", "momentum"
# Fits of a piece: few enough that an interruption loses little, and no fewer than the lanes of a kernel.
_PIECE = 16
_LEAST_FITS = 8
# Larger networks are still on their way after a few thousand steps: they are judged where the paper looked at them.
_LEAST_STEPS = 50_000
_TRACED = 100
_DESCENDING = 1e-4
"""A direction descends if its eigenvalue is negative by more than this share of the largest."""
_SAMPLES = 20
_BEST_COLOR = "#0b3d0b"


@dataclass(frozen=True)
class LargerSettings:
    """Scale of the larger networks."""

    sizes: tuple[int, ...] = (10, 15)
    """N of each N x N network; fits of the study are embedded in the first."""
    fits: int = 16
    """Adadelta fits of each size; the paper shows one of each."""
    steps: int = 5_000
    """Optimizer steps of each; the paper takes 50,000."""
    embedded: int = 32
    """Momentum fits of the study that are embedded."""
    more_steps: int = 10_000
    """Momentum steps of the embedded fits, and of the same fits left as they are."""
    spectra: int = 8
    """Embedded fits whose Hessians are taken."""


@dataclass(frozen=True)
class SizeFits:
    """Finite adadelta fits of one size of network."""

    name: str
    network: Network
    fit: Int[np.ndarray, "F"]
    loss: Float[np.ndarray, "F"]
    params: Float[np.ndarray, "F P"]
    trace: Float[np.ndarray, "F T"]
    """Losses in training, at equal distances from step 0 on."""


@dataclass(frozen=True)
class Embedded:
    """Fits trained further, left as they are and embedded in a larger network. Row i of everything is one fit."""

    fit: Int[np.ndarray, "F"]
    difference: Float[np.ndarray, "F"]
    """Largest difference between the outputs of a fit and of the same fit embedded."""
    start: Float[np.ndarray, "F"]
    """Loss before."""
    alone: Float[np.ndarray, "F"]
    """Loss after, left as it is."""
    inside: Float[np.ndarray, "F"]
    """Loss after, embedded."""
    alone_params: Float[np.ndarray, "F P"]
    inside_params: Float[np.ndarray, "F Q"]


@dataclass(frozen=True)
class Curvatures:
    """Hessians of fits, left as they are and embedded (second axis), of the smoothed networks."""

    fit: Int[np.ndarray, "S"]
    lowest: Float[np.ndarray, "S 2"]
    highest: Float[np.ndarray, "S 2"]
    gradient: Float[np.ndarray, "S 2"]
    """L2 norm."""
    descending: Int[np.ndarray, "S 2"]
    """How many directions descend."""


def find(context: Context) -> Findings:
    """Trains the larger networks, then embeds fits of the study in the smallest of them."""
    sizes = [_size_fits(context, size) for size in context.settings.sizes]
    tables, figures, claims = {}, {}, []
    if all(len(each.fit) for each in sizes):
        for name, table in (("larger-fits.csv", _size_table), ("larger-training.csv", _trace_table)):
            tables[name] = pd.concat([table(context, each) for each in sizes], ignore_index=True)
        figures["figure-15-larger-networks"] = _sizes_figure(context, sizes)
        figures["figure-15-losses-of-larger-networks"] = _losses_figure(context, sizes)
        claims += _size_claims(context, tables["larger-fits.csv"])
    embedded = _embedded(context)
    if embedded is None:
        not_possible = STATEMENTS["saddles"].not_tested("no finite momentum fits that can be embedded")
        claims = [*claims, not_possible]
        return Findings(tables, figures, claims, captions=_shown(figures, claims))
    curvatures = _curvatures(context)
    tables |= {"embedded-fits.csv": _embedded_table(context, embedded), "embedded-spectra.csv": _table_of(curvatures)}
    figures |= {"section-4.10-embedded-fits": _embedded_figure(context, embedded, curvatures)}
    claims += _embedded_claims(context, tables["embedded-fits.csv"], tables["embedded-spectra.csv"])
    return Findings(tables, figures, claims, captions=_shown(figures, claims))


def _shown(figures, claims: list[Claim]) -> dict[str, str]:
    return {name: caption for name, caption in _captions(claims).items() if name in figures}


def _square(size: int) -> Network:
    return mlp([1, *[size] * size, 1])


def _larger(context: Context) -> Network:
    """The network in which fits are embedded."""
    return _square(context.settings.sizes[0])


def _name(network: Network) -> str:
    hidden = network.spec.widths[1:-1]
    return f"{len(hidden)} x {hidden[0]}"


def _smooth_loss(context: Context) -> float:
    return context.config.problem.target.amplitude**2 / 3


def _train(context: Context, network: Network, name: str, **options) -> dict[str, np.ndarray]:
    fits = context.fit(network, context.config.problem, make_optimizer(context.config.optimizer(name)), **options)
    names = ("fit", "loss", "initial_loss", "diverged_step", "params", "trace")
    return {name: getattr(fits, name) for name in names}


def _trace_every(settings: LargerSettings) -> int:
    return max(settings.steps // _TRACED, 1)


def _size_fits(context: Context, size: int) -> SizeFits:
    settings: LargerSettings = context.settings
    network, every = _square(size), _trace_every(settings)

    def train(fits: range):
        scale = {"fits": len(fits), "first": fits.start, "steps": settings.steps}
        return _train(context, network, _TRAINED, trace_every=every, **scale)

    arrays = context.pieces(f"{size}-x-{size}", range(settings.fits), train, _PIECE)
    good = arrays["diverged_step"] < 0
    return SizeFits(_name(network), network, **{key: arrays[key][good] for key in ("fit", "loss", "params", "trace")})


def _study_losses(context: Context) -> Float[np.ndarray, "F"]:
    """Losses of as many of the study's own fits with the same optimizer; none where it has no such ensemble."""
    losses = [np.zeros(0)]
    if _TRAINED in context.config.optimizers:
        for shard in context.store.stream(_TRAINED, ["loss", "diverged_step"]):
            losses.append(shard.arrays["loss"][shard.arrays["diverged_step"] < 0])
            if sum(map(len, losses)) >= context.settings.fits:
                break
    return np.concatenate(losses)[: context.settings.fits]


def _sample(context: Context, count: int) -> tuple[Sample, Float[np.ndarray, "F Q"]]:
    """The first fits of the study, and the same embedded, with fresh weights into the extra units."""
    config, larger = context.config, _larger(context)
    sample = first_fits(config, context.store, _EMBEDDED, count)
    return sample, embed(config.network, sample.trained, larger, seed=config.seed)


def _embedded(context: Context) -> Embedded | None:
    """The fits trained further; None where the study has none that can be embedded."""
    config, settings = context.config, context.settings
    if _EMBEDDED not in config.optimizers or max(config.depth, config.width) > settings.sizes[0]:
        return None
    sample, inside = _sample(context, settings.embedded)
    if not len(sample.fit):
        return None

    def train(rows):
        return _train_further(context, sample.fit[rows], sample.trained[rows], inside[rows])

    arrays = context.pieces("embedded", np.arange(len(sample.fit)), train, _PIECE)
    good = arrays.pop("diverged_step") < 0
    return Embedded(**{key: values[good] for key, values in arrays.items()}) if good.any() else None


def _train_further(context: Context, fits, params, inside) -> dict[str, np.ndarray]:
    config, steps = context.config, context.settings.more_steps
    x = _grid(context)[:, None]
    small = outputs(config.network, params, x)
    difference = np.abs(outputs(_larger(context), inside, x) - small).max(axis=(1, 2))
    left = _train(context, config.network, _EMBEDDED, start=params, steps=steps)
    moved = _train(context, _larger(context), _EMBEDDED, start=inside, steps=steps)
    return {
        "fit": fits,
        "difference": difference,
        "start": left["initial_loss"],
        "alone": left["loss"],
        "inside": moved["loss"],
        "alone_params": left["params"],
        "inside_params": moved["params"],
        "diverged_step": np.maximum(left["diverged_step"], moved["diverged_step"]),
    }


def _grid(context: Context) -> Float[np.ndarray, "N"]:
    return np.append(context.config.problem.target.points(_SAMPLES), 1.0)


def _curves(context: Context, network, params) -> Float[np.ndarray, "F N"]:
    return outputs(network, params.astype(np.float64), _grid(context)[:, None])[:, :, 0]


def _turns(network, params) -> Int[np.ndarray, "F"]:
    """Turning points of the outputs, from exact knots."""
    return turning_points(piecewise_linear(network, params).values).astype(int)


def _shares(context: Context, network, params) -> Float[np.ndarray, "F"]:
    x = _grid(context)
    return wave_shares(x, context.config.problem.target.wave(x), _curves(context, network, params))


def _curvatures(context: Context) -> Curvatures:
    count = context.settings.spectra
    arrays = context.piece(f"spectra-{count}", partial(_take_spectra, context, count))
    context.say(f"  spectra of {len(arrays['fit'])} fits, left as they are and embedded")
    return Curvatures(**arrays)


def _take_spectra(context: Context, count: int) -> dict[str, np.ndarray]:
    config = context.config
    sample, inside = _sample(context, count)
    pairs = ((config.network, sample.trained), (_larger(context), inside))
    both = [spectra(config.problem.objective(smoothed(network)), params) for network, params in pairs]
    values = [each.eigenvalues for each in both]
    descending = [(each < -_DESCENDING * each[:, -1:]).sum(axis=1) for each in values]
    return {
        "fit": sample.fit,
        "lowest": np.stack([each[:, 0] for each in values], axis=1),
        "highest": np.stack([each[:, -1] for each in values], axis=1),
        "gradient": np.stack([each.gradient_norm for each in both], axis=1),
        "descending": np.stack(descending, axis=1),
    }


def _size_table(context: Context, each: SizeFits) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "network": each.name,
            "fit": each.fit,
            "loss": each.loss,
            "wave_share": _shares(context, each.network, each.params),
            "turns": _turns(each.network, each.params),
        }
    )


def _trace_table(context: Context, each: SizeFits) -> pd.DataFrame:
    low, middle, high = np.quantile(each.trace, [0.25, 0.5, 0.75], axis=0)
    step = _trace_every(context.settings) * np.arange(each.trace.shape[1])
    columns = {"lower_quartile": low, "median_loss": middle, "upper_quartile": high}
    return pd.DataFrame({"network": each.name, "step": step} | columns)


def _embedded_table(context: Context, embedded: Embedded) -> pd.DataFrame:
    columns = {name: getattr(embedded, name) for name in ("fit", "difference", "start", "alone", "inside")}
    pairs = {
        "alone": (context.config.network, embedded.alone_params),
        "inside": (_larger(context), embedded.inside_params),
    }
    for name, (network, params) in pairs.items():
        columns[f"{name}_turns"] = _turns(network, params)
        columns[f"{name}_wave_share"] = _shares(context, network, params)
    return pd.DataFrame(columns)


def _table_of(curvatures: Curvatures) -> pd.DataFrame:
    columns = {"fit": curvatures.fit}
    for name in ("lowest", "highest", "gradient", "descending"):
        columns |= {f"{where}_{name}": getattr(curvatures, name)[:, at] for at, where in enumerate(("alone", "inside"))}
    return pd.DataFrame(columns)


def _sizes_figure(context: Context, sizes: list[SizeFits]):
    figure, axes = new_figure(len(sizes))
    x = _grid(context)
    f = context.config.problem.target(x)
    for ax, each in zip(axes, sizes, strict=True):
        best = int(np.argmin(each.loss))
        first, best_curve = _curves(context, each.network, each.params[[0, best]])
        title = f"{each.name}: the first and the best of {len(each.fit)} fits"
        label = f"fit {each.fit[0]}, loss {each.loss[0]:.2g}"
        fit_curve(x, f, first, label=label, color=COLORS[_TRAINED], title=title, ax=ax)
        label = f"fit {each.fit[best]}, loss {each.loss[best]:.2g}"
        ax.plot(x, best_curve, color=_BEST_COLOR, ls="--", lw=1.2, label=label)
        ax.legend()
    return figure


def _losses_figure(context: Context, sizes: list[SizeFits]):
    figure, (left, right) = new_figure(2)
    reference = _smooth_loss(context), "smooth fit, a²/3"
    traces = {each.name: each.trace for each in sizes}
    step = _trace_every(context.settings) * np.arange(sizes[0].trace.shape[1])
    training_curves(step, traces, reference=reference, title="Losses in training, adadelta", ax=left)
    groups = {_name(context.config.network): _study_losses(context)} | {each.name: each.loss for each in sizes}
    color, title = COLORS[_TRAINED], "Losses after training, adadelta"
    strips(groups, ylabel="mean squared error", color=color, reference=reference, title=title, ax=right)
    return figure


def _embedded_figure(context: Context, embedded: Embedded, curvatures: Curvatures):
    figure, (left, middle, right) = new_figure(3, height=2.4)
    small, large = _name(context.config.network), _name(_larger(context))
    x = _grid(context)
    groups = {"before": embedded.start, f"{small}, after": embedded.alone, f"{large}, after": embedded.inside}
    color = COLORS[_EMBEDDED]
    title = f"{context.settings.more_steps:,} further steps"
    paired_strips(groups, ylabel="mean squared error", color=color, title=title, ax=left)
    best = int(np.argmin(embedded.inside))
    label = f"{large}, loss {embedded.inside[best]:.2g}"
    curve = _curves(context, _larger(context), embedded.inside_params[[best]])[0]
    alone = _curves(context, context.config.network, embedded.alone_params[[best]])[0]
    title = f"Fit {embedded.fit[best]}, lowest when embedded"
    fit_curve(x, context.config.problem.target(x), curve, label=label, color=color, title=title, ax=middle)
    middle.plot(x, alone, color="black", ls="--", lw=1.2, label=f"{small}, loss {embedded.alone[best]:.2g}")
    middle.legend()
    lowest = np.where(curvatures.lowest < 0, -curvatures.lowest, np.nan)
    groups = {small: lowest[:, 0], f"embedded in {large}": lowest[:, 1]}
    title = "Steepest Hessian direction"
    paired_strips(groups, ylabel="magnitude of the lowest eigenvalue", color=color, title=title, ax=right)
    return figure


def _size_claims(context: Context, table: pd.DataFrame) -> list[Claim]:
    """Judged from `larger-fits.csv`."""
    settings: LargerSettings = context.settings
    each_size = groups(table, "network")
    few = min(len(those) for _, those in each_size)
    reason = other_example(context.config) or too_small(settings.steps, few, _LEAST_FITS, _LEAST_STEPS)
    smooth, own = _smooth_loss(context), _study_shares(context)
    relative = {name: column(those, "loss") / smooth for name, those in each_size}
    claims = [
        *(more_complex_claim(name, column(those, "wave_share"), own) for name, those in each_size),
        *(close_claim(name, values) for name, values in relative.items()),
    ]
    return judged_unless(reason, claims)


def _study_shares(context: Context) -> Float[np.ndarray, "F"]:
    """Of the wave, in as many of the study's own fits with the same optimizer; none where it has no such ensemble."""
    config = context.config
    if _TRAINED not in config.optimizers:
        return np.zeros(0)
    return _shares(context, config.network, first_fits(config, context.store, _TRAINED, context.settings.fits).trained)


def close_claim(network: str, relative: Float[np.ndarray, "F"]) -> Claim:
    """Figure 15: losses of fits of one size in units of the smooth fit's, the first fit first."""
    median = Estimate.quantile(relative)
    return STATEMENTS["close"].claim(
        f"median {percent(median)}, first fit {relative[0]:.0%}, best {relative.min():.1%} of the smooth fit's loss",
        median,
        of=network,
        cases=len(relative),
        detail=f"{(relative < CLOSE).sum()} of {len(relative)} fits below {CLOSE:.0%}",
    )


def more_complex_claim(network: str, larger: Float[np.ndarray, "F"], own: Float[np.ndarray, "E"]) -> Claim:
    """Section 4.10: shares of the wave in fits of a larger network, and in fits of the study's own."""
    if min(len(larger), len(own)) < 2:
        return STATEMENTS["more-complex"].not_tested("fewer than two fits of either size", of=network)
    interval = ttest_ind(larger, own, equal_var=False).confidence_interval()
    gain = Estimate(float(larger.mean() - own.mean()), float(interval.low), float(interval.high))
    return STATEMENTS["more-complex"].claim(
        f"{percent(gain)} of the wave more, {larger.mean():.1%} against {own.mean():.1%}",
        gain,
        of=network,
        cases=min(len(larger), len(own)),
        detail=f"{_TRAINED}, means, with Welch's interval; {len(own)} fits of the study",
    )


def _embedded_claims(context: Context, fits: pd.DataFrame, curvatures: pd.DataFrame) -> list[Claim]:
    """Judged from `embedded-fits.csv` and `embedded-spectra.csv`."""
    claims = [saddles_claim(curvatures), further_claim(fits), embedded_complex_claim(fits)]
    reason = too_small(context.settings.more_steps, len(fits), _LEAST_FITS)
    claims = judged_where_comparable(context.config, judged_unless(reason, claims))
    return [embedded_claim(fits), *claims]


def embedded_claim(fits: pd.DataFrame) -> Claim:
    """Section 4.10: outputs before and after, of `embedded-fits.csv`."""
    worst = float(column(fits, "difference").max())
    return STATEMENTS["embedded"].claim(
        f"outputs differ by {worst:.1e} at most",
        worst,
        detail=f"{len(fits)} fits at {_SAMPLES} points a piece, float64; fresh weights into the extra units, none out "
        "of them, and identities for the extra layers",
    )


def saddles_claim(table: pd.DataFrame) -> Claim:
    """Section 4.10: directions that descend before and after, of `embedded-spectra.csv`."""
    more = Estimate.share(int(np.sum(table["inside_descending"] > table["alone_descending"])), len(table))
    middle = {name: np.median(column(table, name)) for name in table.columns}
    gradient = np.median(column(table, "inside_gradient") / column(table, "alone_gradient"))
    return STATEMENTS["saddles"].claim(
        f"{percent(more)} of fits gain directions that descend, median {middle['alone_descending']:.0f} before and "
        f"{middle['inside_descending']:.0f} after",
        more,
        cases=len(table),
        detail=f"smoothed networks; a direction descends if its eigenvalue is below -{_DESCENDING:g} of the largest; "
        f"lowest eigenvalue {middle['alone_lowest']:.1e} and {middle['inside_lowest']:.1e} (medians); the gradient "
        f"grows {gradient:.1f} times, so that these are points of descent more than saddles at rest",
    )


def further_claim(fits: pd.DataFrame) -> Claim:
    """Section 4.10: losses after more training, of `embedded-fits.csv`."""
    lower = Estimate.share(int(np.sum(fits["inside"] < fits["alone"])), len(fits))
    falls = [1 - np.median(column(fits, where) / column(fits, "start")) for where in ("inside", "alone")]
    return STATEMENTS["further"].claim(
        f"{percent(lower)} of embedded fits end lower than the same fits left as they are; median fall of the loss "
        f"{falls[0]:.1%} against {falls[1]:.1%}",
        lower,
        cases=len(fits),
        detail="as many further steps of momentum for both",
    )


def embedded_complex_claim(fits: pd.DataFrame) -> Claim:
    """Section 4.10: shares of the wave after more training, of `embedded-fits.csv`."""
    gain = Estimate.mean(column(fits, "inside_wave_share") - column(fits, "alone_wave_share"))
    means = {name: column(fits, name).mean() for name in fits.columns}
    return STATEMENTS["more-complex"].claim(
        f"{percent(gain)} of the wave more, {means['inside_wave_share']:.1%} against {means['alone_wave_share']:.1%}",
        gain,
        of="embedded fits",
        cases=len(fits),
        detail=f"paired with the same fits left as they are; turning points {means['inside_turns']:.1f} against "
        f"{means['alone_turns']:.1f}",
    )


def _captions(claims: list[Claim]) -> dict[str, str]:
    told = {
        name: "; ".join(
            f"{each.of}: {each.measured}" if each.of else each.measured for each in claims if each.name == name
        )
        for name in ("close", "more-complex", "further")
    }
    figures = {
        "figure-15-larger-networks": ("close", "Fits of larger networks"),
        "figure-15-losses-of-larger-networks": ("more-complex", "Losses of larger networks and of those of 5 x 5"),
        "section-4.10-embedded-fits": ("further", "Fits trained further, embedded in a larger network and not"),
    }
    return {figure: f"{words}. {told[name]}." for figure, (name, words) in figures.items() if told[name]}


ANALYSIS = Analysis(
    quick=LargerSettings(),
    paper=LargerSettings(fits=16, steps=50_000, embedded=32, more_steps=20_000),
    find=find,
)
