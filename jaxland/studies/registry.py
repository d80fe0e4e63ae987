"""Studies by their short names: whatever installed packages offer under the entry-point group `jaxland.studies`."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from jaxland.studies.study import Study

GROUP = "jaxland.studies"


class _Offered(Mapping[str, Study]):
    """Each study is imported when it is first asked for, and only it."""

    def __getitem__(self, name: str) -> Study:
        return _points()[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(_points())

    def __len__(self) -> int:
        return len(_points())


@cache
def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP))}


STUDIES: Mapping[str, Study] = _Offered()


def study_of(config: Any) -> Study:
    """The study whose configuration this is."""
    for study in STUDIES.values():
        if isinstance(config, study.config):
            return study
    known = ", ".join(study.config.__name__ for study in STUDIES.values())
    raise TypeError(f"{config!r} is the configuration of no study; give one of {known}, such as SawtoothConfig().")
