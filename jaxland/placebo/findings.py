"""What the study of a placebo test finds: its statistics, their figure, and the result in a few lines."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from jaxland.placebo.design import Design
from jaxland.placebo.measures import MEASURED, Measures, held_out_losses, measured
from jaxland.placebo.result import PlaceboResult, Tested, results_of
from jaxland.plots import new_figure, null_distribution
from jaxland.store import ShardFile, StoreError
from jaxland.studies import Context, Findings

ENSEMBLE = "fits"
"""The only ensemble of such a study."""


def stored_results(design: Design, statistic: str, context: Context) -> list[PlaceboResult]:
    """The outcome for each problem of a design, from the fits that are stored.

    Raises:
        StoreError: there are not yet all fits of the real labels and of a placebo.
    """
    store = context.store
    backend = store.manifest.provenance["backends"][ENSEMBLE]["name"]
    return results_of(design, statistic, _stored_measures(design, context), f"{backend}: read from {store.path}.")


def _stored_measures(design: Design, context: Context) -> Measures:
    shards = [_of_shard(design, context, file) for file in context.store.shards(ENSEMBLE)]
    found = {name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]}
    labelling = found["fit"] // design.starts
    numbers, counts = np.unique(labelling, return_counts=True)
    whole = numbers[counts == design.starts]
    if len(whole) < 2 or whole[0] != 0:
        raise StoreError(
            f"{context.store.path} has not yet all fits of the real labels and of a placebo; go on with: "
            f"jaxland resume {context.store.path}"
        )
    kept = np.isin(labelling, whole)
    return measured(design, {name: values[kept] for name, values in found.items()})


def _of_shard(design: Design, context: Context, file: ShardFile) -> dict[str, np.ndarray]:
    found = context.store.read(ENSEMBLE, file, ["fit", *MEASURED]).arrays

    def validation() -> dict[str, np.ndarray]:
        params = context.store.read(ENSEMBLE, file, ["params"]).arrays["params"]
        return {"validation_loss": held_out_losses(design, found["fit"], params)}

    return {**found, **context.piece(f"held-out-{file.start}-{file.stop}", validation)}


def findings(results: Sequence[PlaceboResult], heading: str = "") -> Findings:
    """Every fit, every statistic and, of a single test, the figure and the result in a few lines.

    Args:
        results: of each problem.
        heading: what was tested, in lines that come before the summary.
    """
    tables = {
        "fits.csv": _joined([result.table for result in results]),
        "statistics.csv": _joined([result.overview for result in results]),
    }
    if len(results) > 1:
        return Findings(tables, {}, [])
    lines = [*heading.splitlines(), *results[0].summary.splitlines()]
    return Findings(tables, {"placebo": result_figure(results[0])}, [], notes=lines)


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table, with the number of the problem where there are several."""
    if len(tables) == 1:
        return tables[0]
    return pd.concat([table.assign(problem=number) for number, table in enumerate(tables)], ignore_index=True)


def result_figure(result: PlaceboResult):
    """The statistic chosen and, beside it, the other of training loss and held-out loss where there are both."""
    names = [result.statistic]
    names += [name for name in ("training_loss", "validation_loss") if name in result.statistics and name not in names]
    figure, axes = new_figure(min(len(names), 2))
    for ax, name in zip(axes, names, strict=False):
        draw_tested(result.test(name), "the statistic chosen" if name == result.statistic else "beside it", ax)
    return figure


def draw_tested(tested: Tested, title: str, ax):
    """One statistic of the real labels among those of the placebos."""
    return null_distribution(
        tested.null, tested.real, tested.p_value, xlabel=tested.statistic.label, starts=tested.real_by_start,
        title=f"Real labels among placebos: {title}", ax=ax,
    )  # fmt: skip
