"""Figure 11: eigenvalues of the Hessian at local minima and at the global one, and the zero modes among them."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import leading_entries, outputs, spectra, zero_modes
from jaxland.networks import Network, Symmetry, smoothed
from jaxland.plots import new_figure, spectra_band, spectrum
from jaxland.problems import Evaluate, Objective, gradients_of
from jaxland.replications.sawtooth.comparable import judged_where_comparable
from jaxland.replications.sawtooth.measures import share_interval
from jaxland.replications.sawtooth.palette import LABEL_COLORS, LABELS, labelled
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.studies import Above, All, Analysis, AtLeast, Below, Claim, Context, Equals, Findings, claim
from jaxland.training import gradients

# Fits of a piece: some seconds of work, and 15 MB of eigenvectors.
_PIECE = 100
_ZERO = 1e-4
"""An eigenvalue counts as zero below this share of the largest. Fits have small gradients, not none, and the smoothed
network is flat along its scalings only up to one over the sharpness: a finer one would count neither right."""
_SMALL = 1e-3
"""Share of the largest below which an eigenvalue counts as very small."""
_MOST = 0.95
"""Share of fits from which all of them are said to be so."""
_GLOBAL = "W_f"
_STEP = 1e-4
"""Of the differences by which a Hessian is estimated; a tenth of it shows whether the estimate is stable."""


@dataclass(frozen=True)
class SpectraSettings:
    """Scale of the spectra."""

    fits: int = 32
    """Fits of each optimizer."""
    sharpness: float = 5000.0
    """b of log(1 + exp(b x)) / b, which stands in for ReLU."""
    differenced: int = 8
    """Fits of each optimizer whose Hessian is estimated by differences of the gradient too."""


@dataclass(frozen=True)
class Curvature:
    """Spectra of one kind of minimum, and what is flat there."""

    fit: np.ndarray
    eigenvalues: Float[np.ndarray, "F P"]
    gradient: Float[np.ndarray, "F"]
    zero: np.ndarray
    negative: np.ndarray
    scaling: np.ndarray
    explained: Float[np.ndarray, "F"]
    tangent_curvature: Float[np.ndarray, "F"]
    descends: np.ndarray
    """The weights that the most negative direction moves, where there is one."""
    change: Float[np.ndarray, "F"]
    """Largest change of an output when ReLU is smoothed."""
    moved: Float[np.ndarray, "F"]
    """Largest change of an output under a random element of the symmetry group."""


@dataclass(frozen=True)
class Differenced:
    """How far Hessians estimated by central differences are from symmetric, and from those of a smaller step."""

    asymmetry: Float[np.ndarray, "F"]
    change: Float[np.ndarray, "F"]


def find(context: Context) -> Findings:
    """Takes the spectra, a piece at a time."""
    config, settings = context.config, context.settings
    samples = {name: first_fits(config, context.store, name, settings.fits) for name in config.optimizers}
    points = {name: (sample.fit, sample.params) for name, sample in samples.items() if len(sample.fit)}
    minimum = global_minimum(config)
    if minimum is not None:
        points[_GLOBAL] = np.array([-1]), minimum[None]
    if not points:
        return Findings({}, {}, [])
    smooth = smoothed(config.network, settings.sharpness)
    objective = config.problem.objective(smooth)
    measure = partial(_measure, context, smooth, objective)
    found = {name: _curvature(context, measure, name, *each) for name, each in points.items()}
    ways = {"relu": gradients(config.network, config.problem), "smoothed": gradients_of(objective)}
    differenced = {
        (name, way): _differenced(evaluate, params[: settings.differenced])
        for name, (_, params) in points.items()
        for way, evaluate in ways.items()
    }
    return Findings(_tables(found, differenced), _figures(found), _claims(context, found, differenced))


def _curvature(context: Context, measure, name: str, fits: np.ndarray, params: np.ndarray) -> Curvature:
    rows = np.arange(len(fits))
    return Curvature(**context.pieces(name, rows, lambda rows: measure(fits[rows], params[rows]), _PIECE))


def _measure(
    context: Context, smooth: Network, objective: Objective, fits: np.ndarray, params: np.ndarray
) -> dict[str, np.ndarray]:
    config = context.config
    result = spectra(objective, params, vectors=True)
    assert result.eigenvectors is not None
    modes = zero_modes(result, config.network.spec.symmetry, params, tolerance=_ZERO)
    leading = leading_entries(config.network, result.eigenvectors[:, :, 0])
    own = outputs(config.network, params, config.problem.x)

    def change(network, params):
        return np.abs(outputs(network, params, config.problem.x) - own).max(axis=(1, 2))

    descends = [" ".join(row) if down else "" for row, down in zip(leading, modes.negative, strict=True)]
    return {
        "fit": fits,
        "eigenvalues": result.eigenvalues,
        "gradient": result.gradient_norm,
        "zero": modes.zero,
        "negative": modes.negative,
        "scaling": modes.scaling,
        "explained": modes.explained,
        "tangent_curvature": modes.tangent_curvature,
        "descends": np.array(descends),
        "change": change(smooth, params),
        "moved": change(config.network, _transformed(config.network.spec.symmetry, params)),
    }


def _transformed(symmetry: Symmetry, params: np.ndarray) -> np.ndarray:
    """The parameters under one random scaling and exchange of the units, the same for all fits."""
    random = np.random.default_rng(0)
    units = [len(layer.incoming) for layer in symmetry.layers]
    permutations = [np.broadcast_to(random.permutation(count), (len(params), count)) for count in units]
    scales = [np.broadcast_to(np.exp(random.normal(size=count)), (len(params), count)) for count in units]
    return symmetry.transform(params, permutations, scales)


def _differenced(evaluate: Evaluate, params: np.ndarray) -> Differenced:
    pairs = [[_estimated(evaluate, vector, step) for step in (_STEP, _STEP / 10)] for vector in params]
    return Differenced(
        np.array([_relative(one, one.T) for one, _ in pairs]), np.array([_relative(one, two) for one, two in pairs])
    )


def _estimated(evaluate: Evaluate, vector: np.ndarray, step: float) -> Float[np.ndarray, "P P"]:
    """The Hessian by central differences of the gradient, as it comes: not made symmetric."""
    moves = step * np.eye(len(vector))
    forward, backward = np.split(evaluate(np.concatenate([vector + moves, vector - moves]))[1], 2)
    return (forward - backward) / (2 * step)


def _relative(one: np.ndarray, two: np.ndarray) -> float:
    size = np.linalg.norm(two)
    return float(np.linalg.norm(one - two) / size) if size > 0 else np.nan


def _tables(found: dict[str, Curvature], differenced) -> dict[str, pd.DataFrame]:
    fits = []
    for name, each in found.items():
        values = each.eigenvalues
        columns = {"ensemble": name, "fit": each.fit, "lowest": values[:, 0], "highest": values[:, -1]}
        columns |= {"very_small": _small(each), "gradient_norm": each.gradient}
        kept = ("zero", "negative", "scaling", "explained", "tangent_curvature", "descends")
        fits.append(pd.DataFrame(columns | {key: getattr(each, key) for key in kept}))
    ranks = []
    for name, each in found.items():
        low, middle, high = np.nanquantile(each.eigenvalues, (0.05, 0.5, 0.95), axis=0)
        rank = np.arange(1, len(middle) + 1)
        ranks.append(pd.DataFrame({"ensemble": name, "rank": rank, "q5": low, "median": middle, "q95": high}))
    estimated = [
        {
            "ensemble": name,
            "network": way,
            "fits": len(each.asymmetry),
            "step": _STEP,
            "asymmetry": np.nanmedian(each.asymmetry),
            "change_with_step": np.nanmedian(each.change),
        }
        for (name, way), each in differenced.items()
    ]
    return {
        "spectra-fits.csv": pd.concat(fits, ignore_index=True),
        "spectra.csv": pd.concat(ranks, ignore_index=True),
        "spectra-by-differences.csv": pd.DataFrame(estimated),
    }


def _small(each: Curvature) -> Float[np.ndarray, "F"]:
    sizes = np.abs(each.eigenvalues)
    return (sizes < _SMALL * sizes.max(axis=1, keepdims=True)).mean(axis=1)


def _figures(found: dict[str, Curvature]):
    figure, (left, right) = new_figure(2)
    name, first = next(iter(found.items()))
    shown = {} if name == _GLOBAL else {f"fit {first.fit[0]}, {LABELS[name]}": first.eigenvalues[0]}
    title = "Hessian eigenvalues at a local minimum and at $W_f$" if _GLOBAL in found else "Hessian eigenvalues"
    shown |= {LABELS[name]: each.eigenvalues[0] for name, each in found.items() if name == _GLOBAL}
    spectrum(shown, zero=_ZERO, colors=LABEL_COLORS, title=title, ax=left)
    every = labelled({name: each.eigenvalues for name, each in found.items()})
    spectra_band(every, zero=_ZERO, colors=LABEL_COLORS, ax=right)
    return {"figure-11-eigenvalues": figure}


def _claims(context: Context, found: dict[str, Curvature], differenced) -> list[Claim]:
    claims = [_neither_symmetric_nor_stable(found, differenced), _same_output(found)]
    claims += [judge(name, each) for name, each in found.items() for judge in (_positive, _very_small)]
    claims += [_zero_modes(context, name, each) for name, each in found.items()]
    return judged_where_comparable(context.config, claims)


def _neither_symmetric_nor_stable(found: dict[str, Curvature], differenced) -> Claim:
    medians = {key: (np.nanmedian(each.asymmetry), np.nanmedian(each.change)) for key, each in differenced.items()}
    relu = {name: medians[name, "relu"] for name in found}
    texts = [f"{name} {asymmetry:.0%} and {change:.0%}" for name, (asymmetry, change) in relu.items()]
    worst = max(medians[name, "smoothed"][0] for name in found)
    return claim(
        "section 4.7",
        "with ReLU the numerical Hessian is neither symmetric nor stable",
        "neither",
        f"asymmetry, and change with a tenth of the step, as shares of the norm: {', '.join(texts)}; asymmetry of the "
        f"smoothed network {worst:.1%} at most",
        (np.min([asymmetry for asymmetry, _ in relu.values()]), np.nanmax([change for _, change in relu.values()])),
        All({"the smallest asymmetry is": Above(0.01, "%"), "the largest change": Above(0.1, "%")}),
        f"central differences of the gradient, step {_STEP:g}, float64, medians; at W_f the asymmetry does not depend "
        "on the step, for its knots lie on the data",
    )


def _same_output(found: dict[str, Curvature]) -> Claim:
    worst = max(np.nanmax(each.change) for each in found.values())
    return claim(
        "section 4.7",
        "smoothing ReLU does not measurably change the output",
        "not measurably",
        f"by {worst:.1e} at most, {worst / 0.116:.1%} of the amplitude of the wave",
        worst / 0.116,
        Below(0.05, "% of the amplitude"),
        f"largest change at a training point over {sum(len(each.fit) for each in found.values()):,} networks",
    )


def _positive(name: str, each: Curvature) -> Claim:
    good = each.negative >= 0
    total, positive = int(good.sum()), int((each.eigenvalues[good, 0] > 0).sum())
    none = int((each.negative == 0).sum())
    interval = f" ({share_interval(none, total)[2]})" if total > 1 else ""
    lowest = np.median(each.eigenvalues[good, 0] / each.eigenvalues[good, -1])
    return claim(
        "11",
        f"{name}: all eigenvalues are positive",
        "all positive",
        f"{positive:,} of {total:,} have no negative one; {none:,} none below -{_ZERO:g} of the largest{interval}",
        none / total if total else None,
        AtLeast(_MOST, "% with none"),
        f"lowest eigenvalue {lowest:.1e} of the largest, gradient norm {np.median(each.gradient[good]):.1e} (medians)"
        f"{_where(each)}; that share is the size of what smoothing leaves of zero",
    )


def _where(each: Curvature) -> str:
    """What the most negative direction moves most, by layer and kind."""
    leading = [names.partition("[")[0] for names in each.descends[each.negative > 0]]
    if not leading:
        return ""
    kinds, counts = np.unique(leading, return_counts=True)
    most = int(np.argmax(counts))
    return f"; of {len(leading)} that descend {counts[most]} move {kinds[most]} most"


def _very_small(name: str, each: Curvature) -> Claim:
    share = np.nanmedian(_small(each))
    return claim(
        "11",
        f"{name}: most eigenvalues are very small",
        "most",
        f"{share:.0%} below {_SMALL:g} of the largest" + ("" if len(each.fit) == 1 else " (median)"),
        share,
        Above(0.5, "%"),
        f"magnitudes of {each.eigenvalues.shape[1]} eigenvalues, {len(each.fit):,} spectra",
    )


def _zero_modes(context: Context, name: str, each: Curvature) -> Claim:
    units = context.config.depth * context.config.width
    good = each.zero >= 0
    scaling = np.median(each.scaling[good])
    explained = np.median(each.explained[good] / each.scaling[good])
    moved = np.nanmax(each.moved)
    return claim(
        "section 3",
        f"{name}: along a submanifold of {units} dimensions the function does not change",
        f"{units} dimensions",
        f"{scaling:.0f} independent directions; {np.median(each.zero[good]):.0f} eigenvalues are zero and hold "
        f"{explained:.0%} of them (medians); outputs change by {moved:.1e} at most under scalings and exchanges",
        (scaling, moved),
        All({"the directions are": Equals(units), "the change is": Below(1e-9)}),
        f"random scalings and exchanges of all units, float64; an eigenvalue is zero within {_ZERO:g} of the largest, "
        f"where the gradient that is left bends the directions by {np.median(each.tangent_curvature[good]):.1e} of it",
    )


ANALYSIS = Analysis(
    quick=SpectraSettings(),
    paper=SpectraSettings(fits=1000, differenced=32),
    find=find,
)
