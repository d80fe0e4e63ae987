"""Figure 11: eigenvalues of the Hessian at local minima and at the global one, and the zero modes among them."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import leading_entries, outputs, spectra, zero_modes
from jaxland.networks import Network, Symmetry, smoothed
from jaxland.plots import new_figure, spectra_band, spectrum
from jaxland.problems import Evaluate, Objective, gradients_of
from jaxland.replications.sawtooth.comparable import judged_where_comparable, other_example
from jaxland.replications.sawtooth.measures import column, groups, percent, rows_where
from jaxland.replications.sawtooth.palette import LABEL_COLORS, LABELS, labelled
from jaxland.replications.sawtooth.sample import first_fits, global_minimum
from jaxland.replications.sawtooth.statements import STATEMENTS
from jaxland.replications.sawtooth.statements.landscape import SMALL, ZERO
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless, measurement
from jaxland.training import gradients

# Fits of a piece: some seconds of work, and 15 MB of eigenvectors.
_PIECE = 100
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
    tables = _tables(found, differenced)
    claims = _claims(context, tables["spectra-fits.csv"], found, differenced)
    return Findings(tables, _figures(found), claims, captions=_captions(tables["spectra-fits.csv"]))


def _curvature(context: Context, measure, name: str, fits: np.ndarray, params: np.ndarray) -> Curvature:
    rows = np.arange(len(fits))
    return Curvature(**context.pieces(name, rows, lambda rows: measure(fits[rows], params[rows]), _PIECE))


def _measure(
    context: Context, smooth: Network, objective: Objective, fits: np.ndarray, params: np.ndarray
) -> dict[str, np.ndarray]:
    config = context.config
    result = spectra(objective, params, vectors=True)
    assert result.eigenvectors is not None
    modes = zero_modes(result, config.network.spec.symmetry, params, tolerance=ZERO)
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
    return (sizes < SMALL * sizes.max(axis=1, keepdims=True)).mean(axis=1)


def _figures(found: dict[str, Curvature]):
    figure, (left, right) = new_figure(2, height=3.0)
    name, first = next(iter(found.items()))
    shown = {} if name == _GLOBAL else {f"fit {first.fit[0]}, {LABELS[name]}": first.eigenvalues[0]}
    title = "Hessian eigenvalues of a fit and of $W_f$" if _GLOBAL in found else "Hessian eigenvalues"
    shown |= {LABELS[name]: each.eigenvalues[0] for name, each in found.items() if name == _GLOBAL}
    spectrum(shown, zero=ZERO, colors=LABEL_COLORS, title=title, ax=left)
    every = labelled({name: each.eigenvalues for name, each in found.items()})
    spectra_band(every, zero=ZERO, colors=LABEL_COLORS, ax=right)
    return {"figure-11-eigenvalues": figure}


def _claims(context: Context, table: pd.DataFrame, found: dict[str, Curvature], differenced) -> list[Claim]:
    config = context.config
    changes = np.concatenate([each.change for each in found.values()])
    at_fits = [smoothed_claim(changes, config.problem.target.amplitude)]
    relu = {name: each for (name, way), each in differenced.items() if way == "relu" and name != _GLOBAL}
    at_fits += [estimated_claim(name, each) for name, each in relu.items()]
    at_fits += fit_claims(rows_where(table, table["ensemble"] != _GLOBAL))
    at_global = global_claims(rows_where(table, table["ensemble"] == _GLOBAL))
    own = [_zero_modes(context, name, each) for name, each in found.items()]
    own += [
        _own_estimate(name, way, each) for (name, way), each in differenced.items() if way != "relu" or name == _GLOBAL
    ]
    return judged_where_comparable(config, at_fits) + judged_unless(other_example(config), at_global) + own


def _estimated_told(each: Differenced) -> tuple[list[Estimate], str]:
    known = np.isfinite(each.asymmetry) & np.isfinite(each.change)
    if not known.any():
        return [], "no Hessian is above 0"
    both = [Estimate.quantile(values[known]) for values in (each.asymmetry, each.change)]
    return both, f"asymmetry {percent(both[0])} of the norm, change with a tenth of the step {percent(both[1])}"


_DIFFERENCES = f"central differences of the gradient, step {_STEP:g}, float64, medians"


def estimated_claim(name: str, each: Differenced) -> Claim:
    """Section 4.7, of Hessians of one ensemble that were estimated without smoothing."""
    both, told = _estimated_told(each)
    return STATEMENTS["relu-hessian"].claim(
        told, both or None, of=name, cases=len(each.asymmetry), detail=f"{_DIFFERENCES} of {len(each.asymmetry)} fits"
    )


def _own_estimate(name: str, way: str, each: Differenced) -> Claim:
    return measurement("how far estimated Hessians are from symmetric", _estimated_told(each)[1], of=f"{name}, {way}")


def smoothed_claim(changes: Float[np.ndarray, "F"], amplitude: float) -> Claim:
    """Section 4.7: by how much smoothing changes the outputs of networks, at most."""
    worst = float(np.nanmax(changes)) / amplitude
    return STATEMENTS["smoothed-output"].claim(
        f"by {worst:.1%} of the wave's amplitude at most",
        worst,
        detail=f"largest change at a training point over {len(changes):,} networks",
    )


def fit_claims(table: pd.DataFrame) -> list[Claim]:
    """Figure 11, at local minima, judged from `spectra-fits.csv`."""
    claims = []
    for name, those in groups(table, "ensemble"):
        known = rows_where(those, those["negative"] >= 0)
        if not len(known):
            claims.append(STATEMENTS["positive"].not_tested("no finite Hessians", of=name))
            continue
        none = Estimate.share(int((column(known, "negative") == 0).sum()), len(known))
        small = Estimate.quantile(column(known, "very_small"))
        lowest = np.median(column(known, "lowest") / column(known, "highest"))
        gradient = np.median(column(known, "gradient_norm"))
        options = {"of": name, "cases": len(known)}
        claims += [
            STATEMENTS["positive"].claim(
                f"{percent(none)} of fits have none below -{ZERO:g} of the largest",
                none,
                detail=f"lowest eigenvalue {lowest:.1e} of the largest, gradient norm {gradient:.1e} (medians)"
                f"{_where(known)}; {(column(known, 'lowest') > 0).sum():,} have none below 0",
                **options,
            ),
            STATEMENTS["small"].claim(
                f"{percent(small)} of eigenvalues", small, detail="median, by magnitude", **options
            ),
        ]
    return claims


def global_claims(table: pd.DataFrame) -> list[Claim]:
    """Figure 11, at the global minimum: the row of `spectra-fits.csv` that is its own."""
    if not len(table):
        return []
    row = table.iloc[0]
    return [
        STATEMENTS["positive-global"].claim(
            f"{row['negative']} below -{ZERO:g} of the largest",
            int(row["negative"]),
            detail=f"lowest eigenvalue {row['lowest'] / row['highest']:.1e} of the largest, gradient norm of the "
            f"smoothed network {row['gradient_norm']:.1e}",
        ),
        STATEMENTS["small-global"].claim(f"{row['very_small']:.1%} of eigenvalues", row["very_small"]),
    ]


def _where(table: pd.DataFrame) -> str:
    """What the most negative direction moves most, by layer and kind."""
    leading = [names.partition("[")[0] for names in rows_where(table, table["negative"] > 0)["descends"]]
    if not leading:
        return ""
    kind, count = Counter(leading).most_common(1)[0]
    return f"; of {len(leading)} that descend {count} move {kind} most"


def _zero_modes(context: Context, name: str, each: Curvature) -> Claim:
    units = context.config.depth * context.config.width
    good = each.zero >= 0
    explained = np.median(each.explained[good] / each.scaling[good])
    return measurement(
        f"directions along which scaling changes no output, {units} by theory",
        f"{np.median(each.scaling[good]):.0f} independent ones; {np.median(each.zero[good]):.0f} eigenvalues are zero "
        f"and hold {explained:.0%} of them (medians)",
        of=name,
        detail=f"outputs change by {np.nanmax(each.moved):.1e} at most under random scalings and exchanges of all "
        f"units, float64; an eigenvalue is zero within {ZERO:g} of the largest, where the gradient that is left bends "
        f"the directions by {np.median(each.tangent_curvature[good]):.1e} of it",
    )


def _captions(table: pd.DataFrame) -> dict[str, str]:
    told = [f"{name} {np.mean(column(those, 'negative') == 0):.0%}" for name, those in groups(table, "ensemble")]
    return {
        "figure-11-eigenvalues": "Eigenvalues of the Hessian. Minima without a direction that descends by more than "
        f"{ZERO:g} of the largest: {', '.join(told)}."
    }


ANALYSIS = Analysis(
    quick=SpectraSettings(),
    paper=SpectraSettings(fits=1000, differenced=32),
    find=find,
)
