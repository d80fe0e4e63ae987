"""What two study directories have in common, and what not."""

from typing import Any, NamedTuple

from jaxland.report.charts import histogram
from jaxland.report.contents import Contents
from jaxland.report.figures import Figure
from jaxland.report.losses import EnsembleLosses
from jaxland.report.words import words
from jaxland.studies import Claim


class Pair(NamedTuple):
    """What one name stands for in two directories; None where it is not there."""

    name: str
    first: Any
    second: Any


def names_of(first: Contents, second: Contents) -> tuple[str, str]:
    """What the two are called: the names of their directories, made different where they are not."""
    return (first.name, second.name) if first.name != second.name else (f"{first.name} (1)", f"{second.name} (2)")


def differing_settings(first: Contents, second: Contents) -> list[Pair]:
    """Every setting, version, device and backend that is not the same in both, as text."""
    one, other = (_settings(each) for each in (first, second))
    pairs = (Pair(name, one.get(name), other.get(name)) for name in {**one, **other})
    return [pair for pair in pairs if pair.first != pair.second]


def _settings(contents: Contents) -> dict[str, str]:
    manifest = contents.manifest
    provenance = {name: value for name, value in manifest.provenance.items() if name != "programs"}
    asked = {"analyses": contents.analyses} if contents.analyses else {}
    every = {"study": manifest.study, "fits": manifest.fits, **manifest.config, **asked, **provenance}
    return {name: words(value) for name, value in _flat(every).items()}


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return flat


def paired_claims(first: Contents, second: Contents) -> list[Pair]:
    """The claims of both that have a verdict, by what they say and of what."""

    def judged(contents: Contents) -> dict[tuple[str, str], Claim]:
        return {(each.of, each.statement): each for each in contents.claims or () if each.verdict}

    one, other = judged(first), judged(second)
    return [
        Pair(f"{of}: {statement}" if of else statement, one.get((of, statement)), other.get((of, statement)))
        for of, statement in {**one, **other}
    ]


def paired_figures(first: Contents, second: Contents) -> list[Pair]:
    """The figures of both, by name."""
    one, other = ({figure.path: figure for figure in each.figures} for each in (first, second))
    return [Pair(path, one.get(path), other.get(path)) for path in {**one, **other}]


def figure_of(pair: Pair) -> Figure:
    """One of the two, for its name."""
    return pair.first or pair.second


def ensembles_of_both(first: Contents, second: Contents) -> dict[str, EnsembleLosses]:
    """Losses of every ensemble, by run and name."""
    names = names_of(first, second)
    return {
        f"{name}: {ensemble}": losses
        for name, contents in zip(names, (first, second), strict=True)
        for ensemble, losses in contents.ensembles.items()
    }


def histogram_of_both(first: Contents, second: Contents) -> dict[str, Any]:
    """The chart of all losses; none where no loss can be drawn."""
    ensembles = ensembles_of_both(first, second)
    drawable = any(each.log_loss.counts.any() for each in ensembles.values())
    return {"histogram": histogram(ensembles)} if drawable else {}
