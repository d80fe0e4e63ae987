"""Where training ends: whether it is a minimum, whether it is the lowest, and what differs from seed to seed."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import pair_distances, spectra, symmetrise
from jaxland.plots import new_figure, training_curves
from jaxland.replications.placebo.comparable import mean_text, not_comparable, share_text
from jaxland.statistics import sample_interval, wilson_interval
from jaxland.studies import Above, All, Analysis, Below, Claim, Context, Findings, claim, judged_unless

_SHARES = {"noise": 0.0, "no noise": 1.0}
"""Share of the labels' variance that the inputs explain."""
_ZERO = 1e-4
"""An eigenvalue below minus this share of the largest is a direction that descends."""
_LEVEL = 0.01
"""Share of a loss that counts as a difference."""
_LEAST_FITS = 8


@dataclass(frozen=True)
class MinimaSettings:
    """Scale of the minima."""

    fits: int = 24
    """Fits from different initial parameters, of noise and of labels that the inputs explain fully; one data set."""
    times: int = 10
    """How many times the epochs of the study they are trained."""
    spectra: int = 8
    """Fits whose Hessian is decomposed, as the study's number of epochs leaves them."""


@dataclass(frozen=True)
class Ends:
    """Fits of one data set, where they are after the study's epochs and after many more."""

    trace: Float[np.ndarray, "F T"]
    loss: Float[np.ndarray, "F"]
    later: Float[np.ndarray, "F"]
    """The lowest loss met in the longer training."""
    distance: Float[np.ndarray, "half"]
    """Between the symmetrised ends of fits 0 and 1, 2 and 3, and so on, as a share of their norm."""
    closest: float
    """The smallest of all such pairs."""
    gradient: Float[np.ndarray, "M"]
    descending: Float[np.ndarray, "M"]
    """Directions of the Hessian that descend."""


def find(context: Context) -> Findings:
    """Trains further, and decomposes Hessians."""
    ends = {name: _ends(context, name) for name in _SHARES}
    claims = [_minimum(ends["noise"]), _not_global(ends["noise"]), _lack_of_learning(*ends.values())]
    fits = min(len(each.loss) for each in ends.values())
    return Findings(
        {"minima.csv": _table(ends)},
        {"training-of-several-seeds": _figure(context, ends)},
        judged_unless(not_comparable(context.config, fits, _LEAST_FITS), claims),
    )


def _ends(context: Context, name: str) -> Ends:
    config, settings = context.config, context.settings
    problem, every = config.problem(0, _SHARES[name]), max(config.steps // 20, 1)

    def compute():
        fits = context.fit(
            config.network,
            problem,
            config.optimizer,
            fits=settings.fits,
            steps=settings.times * config.steps,
            trace_every=every,
            snapshots=(config.steps,),
        )
        params = fits.snapshots[:, 0].astype(np.float64)
        good = (fits.diverged_step < 0) & np.isfinite(params).all(axis=1)
        some = spectra(problem.objective(config.network), params[good][: settings.spectra])
        values = some.eigenvalues
        return {
            "params": params[good],
            "trace": fits.trace[good],
            "later": fits.best_loss[good],
            "gradient": some.gradient_norm,
            "descending": (values < -_ZERO * values[:, -1:]).sum(axis=1).astype(np.float64),
        }

    kept = context.piece(name.replace(" ", "-"), compute)
    params = symmetrise(config.network, kept["params"]).params
    pairs = np.stack(np.triu_indices(len(params), 1), axis=1)
    norm = np.linalg.norm(params, axis=1)
    apart = pair_distances(params, pairs) / np.sqrt(norm[pairs[:, 0]] * norm[pairs[:, 1]])
    disjoint = (pairs[:, 0] % 2 == 0) & (pairs[:, 1] == pairs[:, 0] + 1)
    losses = kept["trace"].astype(np.float64)
    return Ends(
        trace=losses,
        loss=losses[:, config.steps // every],
        later=kept["later"].astype(np.float64),
        distance=apart[disjoint],
        closest=float(apart.min(initial=np.inf)),
        gradient=kept["gradient"],
        descending=kept["descending"],
    )


def _table(ends: dict[str, Ends]) -> pd.DataFrame:
    frames = []
    for name, each in ends.items():
        measured = np.full((2, len(each.loss)), np.nan)
        measured[:, : len(each.gradient)] = each.gradient, each.descending
        columns = {"labels": name, "fit": np.arange(len(each.loss)), "loss": each.loss, "loss_later": each.later}
        frames.append(pd.DataFrame({**columns, "gradient": measured[0], "descending": measured[1]}))
    return pd.concat(frames, ignore_index=True)


def _figure(context: Context, ends: dict[str, Ends]):
    config, settings = context.config, context.settings
    every = max(config.steps // 20, 1)
    steps = np.arange(0, settings.times * config.steps + 1, every)
    figure, axes = new_figure()
    training_curves(
        steps[1:],
        {name: np.maximum(each.trace[:, 1:], 1e-12) for name, each in ends.items() if len(each.trace)},
        xscale="log",
        title="Seeds of one data set, trained further",
        ax=axes[0],
    )
    axes[0].axvline(config.steps, color="#444444", ls=":", lw=1, label="epochs of the study")
    axes[0].set_xlabel("epoch")
    axes[0].legend(loc="center left", bbox_to_anchor=(0.0, 0.62))
    return figure


def _minimum(noise: Ends) -> Claim:
    fall = 1 - noise.later / noise.loss
    flat = int((noise.descending == 0).sum())
    return claim(
        "text",
        "training on noise ends at a local minimum",
        "a local minimum",
        f"further training lowers the loss by a share of {mean_text(fall)}; Hessians without a descending direction: "
        f"{share_text(flat, len(noise.descending))}; gradient norm {np.median(noise.gradient):.1e} (median)",
        (sample_interval(fall)[1], wilson_interval(flat, len(noise.descending))[1]) if len(fall) > 1 else None,
        All({"the interval of the fall ends": Below(_LEVEL, "%"), "that of such Hessians": Above(0.95, "%")}),
        f"one set of noise, different seeds; exact Hessians in float64, descending below {-_ZERO:g} of the largest "
        "eigenvalue",
    )


def _not_global(noise: Ends) -> Claim:
    best = noise.later.min(initial=np.inf)
    above = int((noise.later > (1 + _LEVEL) * best).sum())
    return claim(
        "text",
        "gradient descent finds a local minimum, not the global one",
        "local",
        f"{share_text(above, len(noise.later))} end more than {_LEVEL:.0%} above the best of them",
        wilson_interval(above, len(noise.later))[0] if len(noise.later) > 1 else None,
        Above(0.5, "%, Wilson's interval included"),
        f"lowest losses of the longer training of one set of noise, {best:.3f} to {noise.later.max(initial=0):.3f}; "
        "the best of them bounds the global minimum from above",
    )


def _lack_of_learning(noise: Ends, learned: Ends) -> Claim:
    return claim(
        "example 3",
        "that each seed ends elsewhere shows that nothing was learned",
        "shows it",
        f"distance of ends as a share of their norm: noise {mean_text(noise.distance)}, closest {noise.closest:.2f}; "
        f"labels without noise {mean_text(learned.distance)}, closest {learned.closest:.2f}",
        np.mean(learned.distance) if len(noise.distance) else None,
        Below(0.5 * np.mean(noise.distance), "for labels without noise: half of noise"),
        "symmetrised parameters, disjoint pairs of seeds. Labels that the inputs explain fully are learned (mean "
        f"loss {mean_text(learned.loss)}), and their seeds end elsewhere too",
    )


ANALYSIS = Analysis(
    quick=MinimaSettings(),
    paper=MinimaSettings(fits=256, times=20, spectra=64),
    find=find,
)
