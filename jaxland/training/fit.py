"""Training an ensemble in memory: the function most users need."""

import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import optax

from jaxland._numbers import whole_number
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.training.backends import choose_backend
from jaxland.training.calls import one_call
from jaxland.training.ensemble import ByNumber, Ensemble, OptimizerFactory, positive, steps_of
from jaxland.training.fits import Fits
from jaxland.training.initial import begin_drawing, prepare_drawing, warn_of_equal_fits
from jaxland.training.loop import train_fits
from jaxland.training.progress import progress_bar
from jaxland.training.traced import traced
from jaxland.training.trainer import require_resumes
from jaxland.training.validation import Validation, validation_of


def fit(
    network: Network,
    problem: Problem,
    optimizer: optax.GradientTransformation | OptimizerFactory,
    *,
    fits: int,
    steps: int = 0,
    epochs: int | None = None,
    seed: int = 0,
    first: int = 0,
    dtype: str = "float32",
    hyperparameters: Mapping[str, float | np.ndarray | ByNumber] | None = None,
    init_scale: float | np.ndarray | ByNumber = 1.0,
    start: np.ndarray | ByNumber | None = None,
    inputs: np.ndarray | ByNumber | None = None,
    targets: np.ndarray | ByNumber | None = None,
    weights: np.ndarray | ByNumber | None = None,
    seeds: np.ndarray | ByNumber | None = None,
    batch_size: int | None = None,
    replacement: bool = False,
    validation: Validation | tuple | float | None = None,
    validate_every: int | None = None,
    metrics: Mapping[str, Callable] | None = None,
    patience: int | None = None,
    min_gain: float = 0.0,
    trace_every: int | None = None,
    snapshots: Sequence[int] = (),
    backend: str = "auto",
    compress: bool | None = None,
    threads: int | None = None,
    progress: bool = False,
    on_device: bool = False,
    keep_state: bool = False,
) -> Fits:
    """Trains `fits` copies of a network, each from its own initial parameters, with all points or batches of them.

    Fit i is a function of the other arguments and of i alone: asking for more fits, in other portions or on more
    threads gives the same fits.

        fits = jl.fit(net, problem, optax.sgd(0.01, momentum=0.9), fits=2048, steps=50_000)
        fits = jl.fit(net, problem, optax.adam, hyperparameters={"learning_rate": np.geomspace(1e-4, 1, 512)},
                      fits=512, steps=10_000)
        fits = jl.fit(net, problem, optax.adam(1e-3), fits=1000, epochs=200, batch_size=32, validation=0.2, patience=20)

    Args:
        network: `Network(init, apply)`, or `mlp(...)`.
        problem: data and loss.
        optimizer: an optax transformation, or a factory of one, to be called with `hyperparameters`.
        fits: F, how many.
        steps: S, optimizer steps of each fit.
        epochs: passes over the points, instead of steps.
        seed: the key of fit i is `fold_in(key(seed), i)`.
        first: number of the first fit.
        dtype: `"float32"` or `"float64"`.
        hyperparameters: numbers for the factory, and for the loss and the penalties of the problem, one for all fits or
            one a fit (F,); changing them compiles nothing.
        init_scale: factor on the initial parameters, one for all fits or one a fit (F,).
        start: starting points (F, P) instead of `network.init`.
        inputs: each fit's own inputs (F, N, D) instead of `problem.x`.
        targets: each fit's own targets (F, N, K) instead of `problem.y`.
        weights: each fit's own weights of its points (F, N) instead of `problem.weights`.
        seeds: what enters the key of each fit (F,) in place of its number: `fold_in(key(seed), seeds[i])`. Fits for
            which it is the same start from the same parameters and take the same batches, as those of a sweep do at
            each level of a factor.
            These seven may also be functions from fits' numbers (W,) to arrays with a row for each.
        batch_size: B, points of a step; all by default. Points are shuffled anew every epoch by the fit's own key, and
            the last batch of an epoch has what is left (see `jaxland.training.batches`).
        replacement: draw each point of a batch from all, whatever was drawn before.
        validation: points to judge fits on: a pair (x, y), shared (M, D) or each fit's own (F, M, D), or the share of
            the problem's points to be set aside for each fit, drawn by its key, such as 0.2; or a `Validation`.
        validate_every: steps from one judgement to the next; by default an epoch, or a hundredth of all steps.
        metrics: further numbers to be judged by, by name: functions of predictions (M, O) and targets (M, K).
        patience: judgements without a gain after which a fit stops; by default none does.
        min_gain: by how much a loss must fall below that of the last gain to count as one.
        trace_every: keep the losses of steps 0, k, 2k, ... for this k.
        snapshots: steps (0 to S) whose parameters are kept.
        backend: `"auto"`, or a name from `jaxland.training.BACKENDS`.
        compress: whether points between the kinks of a piecewise linear network are taken together, which is the same
            gradient but for rounding; by default where it is faster. False takes all points, True insists.
        threads: how many groups of fits are trained at a time; by default all processors, on accelerators one a device.
        progress: show a progress bar.
        on_device: leave parameters, losses and traces on the device, as arrays of JAX, to go on with there; what JAX
            makes of float64 ones is float32 unless `jax_enable_x64` is set. Snapshots are NumPy's in any case.
        keep_state: keep the optimizers' state, too, so that `Fits.continue_` can train the fits on.

    Returns:
        The trained fits. A fit that diverges is flagged in `status` and `diverged_step`; others are not affected.

    Raises:
        TypeError, ValueError: an argument out of range, before any work starts.

    Warns:
        UserWarning: all fits would be the same one, the network does not use its parameters, or no fit had a finite
            loss before its first step.
    """
    positive("fits", fits)
    whole_number("first", first, 0, 2**32 - fits)
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
            epochs=epochs,
            seed=seed,
            dtype=dtype,
            hyperparameters={} if hyperparameters is None else hyperparameters,
            init_scale=init_scale,
            start=start,
            inputs=inputs,
            targets=targets,
            weights=weights,
            batch_size=batch_size,
            replacement=replacement,
            validation=validation_of(validation, validate_every, metrics, patience, min_gain),
            seeds=seeds,
            first=first,
            trace_every=trace_every,
            snapshots=steps_of(snapshots),
        )
        count = ensemble.per_fit_count()
        if count not in (None, fits):
            raise ValueError(f"per-fit arrays describe {count} fits but {fits} are asked for.")
        _warn_of_a_constant_network(ensemble)
        prepare_drawing(ensemble)
        choice = choose_backend(ensemble, backend, compress=compress)
        if keep_state:
            require_resumes(choice.trainer)
    if fits > 1:
        warn_of_equal_fits(ensemble)
    numbers = first + np.arange(fits)
    with progress_bar(fits * ensemble.steps, problem.name, show=progress) as on_progress:
        trained = train_fits(
            choice.trainer,
            ensemble,
            numbers,
            keep_state=keep_state,
            threads=threads,
            on_progress=on_progress,
            on_device=on_device,
        )
    _warn_of_no_finite_loss(trained.result.initial_loss)
    return Fits.of(choice, ensemble, numbers, trained)


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
