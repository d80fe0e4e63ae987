"""Where training ends: whether it is a minimum, whether it is the lowest, and what differs from seed to seed."""

from dataclasses import dataclass

import numpy as np
import optax
import pandas as pd
from jaxtyping import Float

from jaxland.landscape import outputs, pair_distances, spectra, symmetrise
from jaxland.plots import new_figure, training_curves
from jaxland.replications.placebo.comparable import mean_text, not_comparable, share_text
from jaxland.replications.placebo.statements import LEVEL, STATEMENTS
from jaxland.statistics import Estimate
from jaxland.studies import Analysis, Claim, Context, Findings, judged_unless

_SHARES = {"noise": 0.0, "no noise": 1.0}
"""Share of the labels' variance that the inputs explain."""
_ZERO = 1e-4
"""An eigenvalue below minus this share of the largest is a direction that descends."""
_DECAY = 0.1
"""Of the weights, in the optimizer that is regularized."""


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
    noise, learned = ends.values()
    claims = [
        minimum_claim(noise),
        not_global_claim(noise),
        other_functions_claim(_correlations(_outputs(context))),
        lack_of_learning_claim(noise, learned),
        regularization_claim(*_fresh_losses(context)),
    ]
    return Findings(
        {"minima.csv": _table(ends)},
        {"training-of-several-seeds": _figure(context, ends)},
        judged_unless(not_comparable(context.config), claims),
        captions=_captions(noise, learned),
    )


def _trained(context: Context, name: str) -> dict[str, np.ndarray]:
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

    return context.piece(name.replace(" ", "-"), compute)


def _params(context: Context, name: str) -> Float[np.ndarray, "F P"]:
    return _trained(context, name)["params"]


def _ends(context: Context, name: str) -> Ends:
    config, kept = context.config, _trained(context, name)
    every = max(config.steps // 20, 1)
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
    axes[0].legend(loc="center left", bbox_to_anchor=(0.0, 0.66))
    return figure


def minimum_claim(noise: Ends) -> Claim:
    """Of fits of noise: what further training gains, and which Hessians have descending directions."""
    fall = 1 - noise.later / noise.loss
    flat = int((noise.descending == 0).sum())
    return STATEMENTS["local-minimum"].claim(
        f"further training lowers the loss by a share of {mean_text(fall)}; Hessians without a descending direction: "
        f"{share_text(flat, len(noise.descending))}; gradient norm {np.median(noise.gradient):.1e} (median)",
        (Estimate.mean(fall), Estimate.share(flat, len(noise.descending))) if len(fall) > 1 else None,
        cases=min(len(fall), len(noise.descending)),
        detail=f"one set of noise, different seeds; exact Hessians in float64, descending below {-_ZERO:g} of the "
        "largest eigenvalue",
    )


def not_global_claim(noise: Ends) -> Claim:
    """Of fits of noise: how many end above the best of them."""
    best = noise.later.min(initial=np.inf)
    above = int((noise.later > (1 + LEVEL) * best).sum())
    return STATEMENTS["not-global"].claim(
        f"{share_text(above, len(noise.later))} end more than {LEVEL:.0%} above the best of them",
        Estimate.share(above, len(noise.later)) if len(noise.later) > 1 else None,
        cases=len(noise.later),
        detail=f"lowest losses of the longer training of one set of noise, {best:.3f} to "
        f"{noise.later.max(initial=0):.3f}; the best of them bounds the global minimum from above",
    )


def lack_of_learning_claim(noise: Ends, learned: Ends) -> Claim:
    """Of the distances of ends, for noise and for labels that are learned."""
    one, other = (
        (Estimate.mean(each.distance) for each in (learned, noise)) if len(noise.distance) > 1 else (None, None)
    )
    ratio = other and one and Estimate(one.value / other.value, one.low / other.high, one.high / other.low)
    return STATEMENTS["lack-of-learning"].claim(
        f"distance of ends as a share of their norm: noise {mean_text(noise.distance)}, closest {noise.closest:.2f}; "
        f"labels without noise {mean_text(learned.distance)}, closest {learned.closest:.2f}",
        ratio,
        cases=len(noise.distance),
        detail="symmetrised parameters, disjoint pairs of seeds. Labels that the inputs explain fully are "
        "learned (mean "
        f"loss {mean_text(learned.loss)})",
    )


def other_functions_claim(correlation: Float[np.ndarray, "half"]) -> Claim:
    """Of the correlations between the outputs of two fits of the same noise on fresh inputs."""
    return STATEMENTS["other-functions"].claim(
        f"correlation of the outputs of two runs on fresh inputs {mean_text(correlation)}" if len(correlation) else "",
        Estimate.mean(correlation) if len(correlation) > 1 else None,
        cases=len(correlation),
        detail="one set of noise, disjoint pairs of seeds",
    )


def regularization_claim(plain: Float[np.ndarray, "F"], decayed: Float[np.ndarray, "F"]) -> Claim:
    """Of the losses on fresh noise of the same seeds, without and with weight decay."""
    change = decayed - plain
    return STATEMENTS["regularization"].claim(
        f"with weight decay the loss on fresh noise changes by {mean_text(change)}, from {mean_text(plain)}",
        Estimate.mean(change) if len(change) > 1 else None,
        cases=len(change),
        detail=f"adamw with a decay of {_DECAY:g} a step of rate 1, the same seeds and data",
    )


def _outputs(context: Context) -> Float[np.ndarray, "F N"]:
    """Of the fits of noise on inputs that they were not trained on."""
    x, _ = context.config.data(0, fresh=True)
    return outputs(context.config.network, _params(context, "noise"), x)[:, :, 0]


def _correlations(found: Float[np.ndarray, "F N"]) -> Float[np.ndarray, "half"]:
    pairs = len(found) // 2
    return np.array([np.corrcoef(found[2 * place], found[2 * place + 1])[0, 1] for place in range(pairs)])


def _fresh_losses(context: Context) -> tuple[np.ndarray, np.ndarray]:
    """Of the same seeds on fresh noise, without and with weight decay."""
    config, settings = context.config, context.settings
    problem, (x, y) = config.problem(0), config.data(0, fresh=True)

    def compute():
        decayed = optax.adamw(config.learning_rate, weight_decay=_DECAY)
        given = {"fits": settings.fits, "steps": config.steps}
        both = [context.fit(config.network, problem, each, **given) for each in (config.optimizer, decayed)]
        errors = [outputs(config.network, each.params, x)[:, :, 0] - y[:, 0] for each in both]
        return {name: (each**2).mean(axis=1) for name, each in zip(("plain", "decayed"), errors, strict=True)}

    kept = context.piece("decay", compute)
    good = np.isfinite(kept["plain"]) & np.isfinite(kept["decayed"])
    return kept["plain"][good].astype(np.float64), kept["decayed"][good].astype(np.float64)


def _captions(noise: Ends, learned: Ends) -> dict[str, str]:
    return {
        "training-of-several-seeds": f"Seeds of one data set, trained further: noise ends at "
        f"{np.mean(noise.later):.2f} in the "
        f"mean of {len(noise.later)}, labels without noise at {np.mean(learned.later):.2g}."
    }


ANALYSIS = Analysis(
    quick=MinimaSettings(),
    paper=MinimaSettings(fits=256, times=20, spectra=64),
    find=find,
)
