"""What a placebo test leaves in a folder: tables, a figure, a summary."""

from pathlib import Path

import pandas as pd

from jaxland.placebo.result import PlaceboResult, Tested
from jaxland.plots import new_figure, null_distribution, render, style
from jaxland.store import commit


def write_result(result: PlaceboResult, folder: Path, heading: str) -> list[Path]:
    """Writes `fits.csv`, `statistics.csv`, `summary.md` and the figure `placebo.png` and `.svg`; returns their paths.

    Args:
        result: of a placebo test.
        folder: made if it is not there.
        heading: what was tested, in lines that come before the summary.

    Raises:
        StoreError: a file cannot be written.
    """
    with style():
        figure = result_figure(result)
        contents = {f"placebo.{kind}": render(figure, kind) for kind in ("png", "svg")}
    contents |= {"fits.csv": _csv(result.table), "statistics.csv": _csv(result.overview)}
    lines = [*heading.splitlines(), *result.summary.splitlines()]
    contents["summary.md"] = "".join(f"- {line}\n" for line in lines).encode()
    for name, content in contents.items():
        commit(folder / name, content)
    return [folder / name for name in contents]


def result_figure(result: PlaceboResult):
    """The statistic chosen and, beside it, the other of training loss and held-out loss where there are both."""
    names = [result.statistic]
    names += [name for name in ("training_loss", "validation_loss") if name in result.statistics and name not in names]
    figure, axes = new_figure(min(len(names), 2), width=5.6)
    for ax, name in zip(axes, names, strict=False):
        draw_tested(result.test(name), "the statistic chosen" if name == result.statistic else "beside it", ax)
    return figure


def draw_tested(tested: Tested, title: str, ax):
    """One statistic of the real labels among those of the placebos."""
    return null_distribution(
        tested.null, tested.real, tested.p_value, xlabel=tested.statistic.label, starts=tested.real_by_start,
        title=f"Real labels among placebos: {title}", ax=ax,
    )  # fmt: skip


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.9g").encode()
