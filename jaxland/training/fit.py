"""Training an ensemble in memory: the function most users need."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optax

from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.training.backends import choose_backend
from jaxland.training.calls import one_call
from jaxland.training.ensemble import ByNumber, Ensemble, OptimizerFactory, positive
from jaxland.training.fits import Fits
from jaxland.training.initial import begin_drawing, prepare_drawing, warn_of_equal_fits
from jaxland.training.progress import progress_bar
from jaxland.training.traced import traced
from jaxland.training.trainer import train


def fit(
    network: Network,
    problem: Problem,
    optimizer: optax.GradientTransformation | OptimizerFactory,
    *,
    fits: int,
    steps: int,
    seed: int = 0,
    first: int = 0,
    dtype: str = "float32",
    hyperparameters: Mapping[str, float | np.ndarray | ByNumber] | None = None,
    init_scale: float | np.ndarray | ByNumber = 1.0,
    start: np.ndarray | ByNumber | None = None,
    inputs: np.ndarray | ByNumber | None = None,
    targets: np.ndarray | ByNumber | None = None,
    seeds: np.ndarray | ByNumber | None = None,
    trace_every: int | None = None,
    snapshots: Sequence[int] = (),
    backend: str = "auto",
    compress: bool | None = None,
    threads: int | None = None,
    progress: bool = False,
    on_device: bool = False,
) -> Fits:
    """Trains `fits` copies of a network with the full batch, each from its own initial parameters.

    Fit i is a function of the other arguments and of i alone: asking for more fits, in other portions or on more
    threads gives the same fits.

        fits = jl.fit(net, problem, optax.sgd(0.01, momentum=0.9), fits=2048, steps=50_000)
        fits = jl.fit(net, problem, optax.adam, hyperparameters={"learning_rate": np.geomspace(1e-4, 1, 512)},
                      fits=512, steps=10_000)

    Args:
        network: `Network(init, apply)`, or `mlp(...)`.
        problem: data and loss.
        optimizer: an optax transformation, or a factory of one, to be called with `hyperparameters`.
        fits: F, how many.
        steps: S, optimizer steps of each fit.
        seed: the key of fit i is `fold_in(key(seed), i)`.
        first: number of the first fit.
        dtype: `"float32"` or `"float64"`.
        hyperparameters: numbers for the factory, one for all fits or one a fit (F,); changing them compiles nothing.
        init_scale: factor on the initial parameters, one for all fits or one a fit (F,).
        start: starting points (F, P) instead of `network.init`.
        inputs: each fit's own inputs (F, N, D) instead of `problem.x`.
        targets: each fit's own targets (F, N, O) instead of `problem.y`.
        seeds: what enters the key of each fit (F,) in place of its number: `fold_in(key(seed), seeds[i])`. Fits for
            which it is the same start from the same parameters, as those of a sweep do at each level of a factor.
            These six may also be functions from fits' numbers (W,) to arrays with a row for each.
        trace_every: keep the losses of steps 0, k, 2k, ... for this k.
        snapshots: steps (0 to S) whose parameters are kept.
        backend: `"auto"`, or a name from `jaxland.training.BACKENDS`.
        compress: whether points between the kinks of a piecewise linear network are taken together, which is the same
            gradient but for rounding; by default where it is faster. False takes all points, True insists.
        threads: how many groups of fits are trained at a time; by default all processors, on accelerators one a device.
        progress: show a progress bar.
        on_device: leave parameters, losses and traces on the device, as arrays of JAX, to go on with there; what JAX
            makes of float64 ones is float32 unless `jax_enable_x64` is set. Snapshots are NumPy's in any case.

    Returns:
        The trained fits. A fit that diverges is flagged in `status` and `diverged_step`; others are not affected.

    Raises:
        TypeError, ValueError: an argument out of range, before any work starts.

    Warns:
        UserWarning: all fits would be the same one, the network does not use its parameters, or no fit had a finite
            loss before its first step.
    """
    positive("fits", fits)
    if not 0 <= first <= 2**32 - fits:
        raise ValueError(f"first must be at least 0 and first + fits at most 2**32; got first={first}.")
    if threads is not None:
        positive("threads", threads)
    with one_call():
        if start is None and isinstance(network, Network):
            begin_drawing(network)
        ensemble = Ensemble(
            network=network,
            problem=problem,
            optimizer=optimizer,
            steps=steps,
            seed=seed,
            dtype=dtype,
            hyperparameters=dict(hyperparameters or {}),
            init_scale=init_scale,
            start=start,
            inputs=inputs,
            targets=targets,
            seeds=seeds,
            first=first,
            trace_every=trace_every,
            snapshots=tuple(snapshots),
        )
        count = ensemble.per_fit_count()
        if count not in (None, fits):
            raise ValueError(f"per-fit arrays describe {count} fits but {fits} are asked for.")
        _warn_of_a_constant_network(ensemble)
        prepare_drawing(ensemble)
        choice = choose_backend(ensemble, backend, compress=compress)
    if fits > 1:
        warn_of_equal_fits(ensemble)
    with progress_bar(fits * steps, problem.name, show=progress) as on_progress:
        result, kept = train(
            choice.trainer, ensemble, first, fits, threads=threads, on_progress=on_progress, on_device=on_device
        )
    _warn_of_no_finite_loss(result.initial_loss)
    return Fits(
        ensemble=ensemble,
        fit=first + np.arange(fits),
        snapshots=kept,
        explanation=choice.explanation,
        **result._asdict(),
    )


def _warn_of_a_constant_network(ensemble: Ensemble) -> None:
    if not traced(ensemble, ensemble.number_format).learns:
        warnings.warn(
            f"the output of network {ensemble.network.spec.name!r} does not depend on its parameters, so nothing can "
            "be learnt; look at apply.",
            stacklevel=3,
        )


def _warn_of_no_finite_loss(initial_loss) -> None:
    if not np.isfinite(np.asarray(initial_loss)).any():
        warnings.warn(
            "no fit had a finite loss before its first step, so none could learn. Look at what the network returns for "
            "its initial parameters, at the scale of the targets (squares of 1e20 are infinite in float32), and at the "
            "loss.",
            stacklevel=3,
        )
