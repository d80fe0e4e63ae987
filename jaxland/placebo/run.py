"""The placebo test: does a network find more in the labels than in placebos of them?"""

from pathlib import Path

import numpy as np
import optax

from jaxland.networks import Network
from jaxland.placebo.design import Design
from jaxland.placebo.labels import Labels, distinct_labellings
from jaxland.placebo.measures import Measures, measure
from jaxland.placebo.result import PlaceboResult, choose_statistic
from jaxland.problems import Problem
from jaxland.store import check_path
from jaxland.training import progress_bar


def placebo_test(
    network: Network,
    problem: Problem,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    held_out: Problem | None = None,
    statistic: str | None = None,
    permutations: int = 999,
    starts: int = 1,
    labels: Labels = "permuted",
    groups: np.ndarray | None = None,
    seed: int = 0,
    dtype: str = "float32",
    backend: str = "auto",
    threads: int | None = None,
    folder: Path | str | None = None,
    progress: bool = False,
) -> PlaceboResult:
    """Tests whether a network learns more from the real labels than from placebos of them.

    The network is trained on the real labels and on M permutations of them, (M + 1) R fits in one batch that differ in
    nothing but labels and start. If the labels say nothing of the inputs, the real labelling is one of M + 1 equals,
    and the share of placebos that do as well is a p-value: it is p or below with a probability of at most p, whatever
    the network, the optimizer, the loss and the number of steps.

        training, held_out, *_ = jl.placebo.split(jl.Problem(x, y))
        result = jl.placebo_test(net, training, optax.adam(0.01), steps=1000, held_out=held_out)
        print(result.summary)

    What makes it a test: if nothing is to be found, the labels are exchangeable given the inputs (use `groups` where
    they are so only within groups; labels in an order of time are not); the points held out are chosen before, and keep
    their labels; what each labelling starts from is the same; statistic, M and R are chosen before looking.

    Args:
        network: any network.
        problem: data and loss; its labels are the real ones.
        optimizer: an optax transformation.
        steps: optimizer steps of each fit.
        held_out: points that are not trained on and whose labels are never permuted; see `split`.
        statistic: name of an entry of `STATISTICS`; the held-out loss by default, or the training loss where nothing is
            held out.
        permutations: M, how many placebos; the smallest p-value is 1 / (M + 1).
        starts: R, fits of each labelling, each from its own initial parameters, the same for all labellings. The
            statistic of a labelling is the median over them; a fit that diverged counts as the worst.
        labels: `"permuted"`, or a function of a `numpy.random.Generator` and the real labels that draws labels as they
            would be if nothing were to be found. The test is then as exact as that distribution is true.
        groups: the group of each point (N,), within which labels are permuted.
        seed: start r is `network.init(fold_in(key(seed), r))`; placebo m is drawn by
            `numpy.random.default_rng([seed, 0, m])`.
        dtype: `"float32"` or `"float64"`.
        backend: `"auto"`, or a name from `jaxland.training.BACKENDS`.
        threads: how many groups of fits are trained at a time; all processors by default.
        folder: keeps what is finished; the same test with the same folder goes on where it stopped, and with more
            permutations adds to what is there.
        progress: show a progress bar.

    Returns:
        p-value, interval, null distribution, and every fit's losses.

    Raises:
        TypeError, ValueError: an argument out of range, before any work starts.
        StoreError: `folder` cannot be written.

    References:
        Phipson and Smyth (2010); Davison and Hinkley (1997), chapter 4.
    """
    design = Design(
        network=network,
        problems=(problem,),
        held_out=() if held_out is None else (held_out,),
        optimizer=optimizer,
        steps=steps,
        permutations=permutations,
        starts=starts,
        labels=labels,
        groups=groups,
        seed=seed,
        dtype=dtype,
    )
    (result,) = placebo_tests(design, statistic, backend=backend, threads=threads, folder=folder, progress=progress)
    return result


def placebo_tests(
    design: Design,
    statistic: str | None = None,
    *,
    backend: str = "auto",
    threads: int | None = None,
    folder: Path | str | None = None,
    progress: bool = False,
) -> list[PlaceboResult]:
    """A placebo test of each problem of a design, all fits in one batch: power, calibration, screening.

    Args:
        design: the problems, and how they are trained.
        statistic, backend, threads, folder, progress: as in `placebo_test`.

    Raises:
        ValueError: an argument out of range, before any work starts.
        StoreError: `folder` cannot be written.
    """
    chosen = choose_statistic(statistic, bool(design.held_out))
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be a positive integer; got {threads}.")
    folder = None if folder is None else check_path(folder)
    with progress_bar(design.fits * design.steps, "placebo test", show=progress) as on_progress:
        measures, explanation = measure(
            design, backend=backend, threads=threads, folder=folder, on_progress=on_progress
        )
    permuted = design.labels == "permuted"
    return [
        PlaceboResult(
            statistic=chosen.name,
            measures=Measures(*(each[index] for each in measures)),
            held_out=bool(design.held_out),
            steps=design.steps,
            distinct=distinct_labellings(problem.y, design.groups) if permuted else np.inf,
            explanation=explanation,
        )
        for index, problem in enumerate(design.problems)
    ]
