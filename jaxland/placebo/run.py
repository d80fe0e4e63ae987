"""The placebo test: does a network find more in the labels than in placebos of them?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optax

from jaxland.networks import Network
from jaxland.placebo.config import NAME, TITLE
from jaxland.placebo.design import Design
from jaxland.placebo.findings import ENSEMBLE, findings, stored_results
from jaxland.placebo.labels import Labels
from jaxland.placebo.measures import held_out_losses, measured
from jaxland.placebo.result import PlaceboResult, choose_statistic, results_of
from jaxland.problems import Problem
from jaxland.store import MANIFEST, StoreError, StudyStore, check_path
from jaxland.studies import Analysis, Context, Findings, RunOptions, Study
from jaxland.studies.engine import make_request, run_with
from jaxland.training import choose_backend, progress_bar, train


@dataclass(frozen=True)
class DesignGiven:
    """The configuration of a study whose design was given as a value.

    Attributes:
        design: its digest.
    """

    design: str


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
    batch_size: int | None = None,
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
        batch_size: points of a step, all by default; start r takes the same batches with each labelling.
        backend: `"auto"`, or a name from `jaxland.training.BACKENDS`.
        threads: how many groups of fits are trained at a time; all processors by default.
        folder: a study directory that keeps the fits, to be read by `jaxland.open`; the same test with the same folder
            goes on where it stopped, and with more permutations adds to what is there. Another test is refused.
        progress: show a progress bar.

    Returns:
        p-value, interval, null distribution, and every fit's losses.

    Raises:
        TypeError, ValueError: an argument out of range, before any work starts.
        StoreError: `folder` cannot be written, or holds another test.
        Interrupted: a signal came while fits of `folder` were trained; those that are finished are kept.

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
        batch_size=batch_size,
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
        statistic, backend, threads, folder, progress: as in `placebo_test`. Tests of several problems cannot be given
            more permutations later.

    Raises:
        ValueError: an argument out of range, before any work starts.
        StoreError: `folder` cannot be written, or holds another test.
        Interrupted: a signal came while fits of `folder` were trained.
    """
    chosen = choose_statistic(statistic, bool(design.held_out)).name
    options = RunOptions(design.fits, None, threads, backend)
    if folder is None:
        return _in_memory(design, chosen, options, progress)
    check_folder(folder, design.fits)
    results: list[PlaceboResult] = []

    def find(context: Context) -> Findings:
        results[:] = stored_results(design, chosen, context)
        return findings(results)

    study = Study(
        name=NAME,
        title="a placebo test",
        config=DesignGiven,
        ensembles=lambda _: {ENSEMBLE: design.ensemble},
        analyses={"test": Analysis(find, TITLE)},
    )
    run_with(make_request(study, DesignGiven(design.digest), folder), options, progress=progress)
    return results


def _in_memory(design: Design, statistic: str, options: RunOptions, progress: bool) -> list[PlaceboResult]:
    trainer, explanation = choose_backend(design.ensemble, options.backend)
    with progress_bar(design.fits * design.steps, "placebo test", show=progress) as on_progress:
        found, _ = train(trainer, design.ensemble, 0, design.fits, threads=options.threads, on_progress=on_progress)
    validation = held_out_losses(design, np.arange(design.fits), found.params)
    measures = measured(design, {**found._asdict(), "validation_loss": validation})
    return results_of(design, statistic, measures, explanation)


def check_folder(folder: Path | str, fits: int) -> None:
    """Raises StoreError where a test of this many fits cannot go on in a folder, whatever it tests."""
    path = check_path(folder)
    if not (path / MANIFEST).exists() and [*path.glob("*/fits-*.npz"), *path.glob("parts/*/fits-*.npz")]:
        raise StoreError(
            f"{path} holds a placebo test of an earlier jaxland, which kept its fits otherwise and cannot be gone on "
            "with. Its tables and figures can be read as before; give another folder (--out) for a new test."
        )
    try:
        recorded = StudyStore.open(path).manifest.fits
    except StoreError:
        return
    if fits < recorded:
        raise StoreError(
            f"the test in {path} has {recorded:,} fits already, and {fits:,} are asked for: give as many permutations "
            "as before or more, or another folder (--out)."
        )
