"""What a study names but imports only when it is used, so that opening a study, and asking for help, cost nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxland.studies.analysis import Analysis


class _Analyses(Mapping[str, "Analysis"]):
    """Analyses whose names and titles are known, and whose modules are imported when they are asked for."""

    def __init__(self, titles: Mapping[str, str], modules: Mapping[str, str]):
        self.titles = dict(titles)
        self._modules = modules

    def __getitem__(self, name: str) -> "Analysis":
        return replace(import_module(self._modules[name]).ANALYSIS, title=self.titles[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self.titles)

    def __len__(self) -> int:
        return len(self.titles)

    def __contains__(self, name: object) -> bool:
        return name in self.titles


def analyses_in(
    package: str, titles: Mapping[str, str], modules: Mapping[str, str] | None = None
) -> Mapping[str, "Analysis"]:
    """The analyses of a study, each the `ANALYSIS` of a module, which is imported when the analysis is used.

    Args:
        package: where the modules are.
        titles: of the analyses by name, in the order of the source; one line each.
        modules: the module of each analysis that does not lie in the one of its own name.
    """
    places = {name: (modules or {}).get(name, name) for name in titles}
    return _Analyses(titles, {name: f"{package}.{module}" for name, module in places.items()})


def titles_of(analyses: Mapping[str, "Analysis"]) -> dict[str, str]:
    """The titles by name; those of `analyses_in` are told without importing any."""
    if isinstance(analyses, _Analyses):
        return analyses.titles
    return {name: analysis.title for name, analysis in analyses.items()}


def deferred(path: str) -> Callable[..., Any]:
    """The function at `"module:name"`, which is imported when it is first called."""
    return lambda *args, **options: resolve_name(path)(*args, **options)
