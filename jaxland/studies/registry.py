"""Studies by their short names: whatever installed packages offer under the entry-point group `jaxland.studies`."""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from jaxland.studies.study import Study

GROUP = "jaxland.studies"

EntryPoint = Any
"""Python's, or, where a package has installed its finder, that of `importlib_metadata`, which is of another class."""


class _Offered(Mapping[str, Study]):
    """Each study is imported when it is first asked for, and only it."""

    def __getitem__(self, name: str) -> Study:
        points = _points()[name]
        if len(points) > 1:
            homes = " and ".join(f"{point.value} ({_package(point)})" for point in points)
            raise ValueError(
                f"two installed packages offer a study named {name!r}: {homes}. Name the one you mean, as in "
                f"`jaxland run {points[0].value}`, or uninstall the other."
            )
        return _loaded(points[0])

    def __contains__(self, name: object) -> bool:
        return name in _points()

    def __iter__(self) -> Iterator[str]:
        return iter(_points())

    def __len__(self) -> int:
        return len(_points())


STUDIES: Mapping[str, Study] = _Offered()


def offered_as(name: str) -> tuple[str, ...]:
    """Where the studies live that packages offer under this name, each as `module:NAME`; nothing is imported."""
    return tuple(point.value for point in _points().get(name, ()))


@cache
def _points() -> dict[str, list[EntryPoint]]:
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        # One package seen twice, as where it is installed and also lies in the folder one works in, offers one study.
        points = found.setdefault(point.name, [])
        if point.value not in [other.value for other in points]:
            points.append(point)
    return found


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"


def _loaded(point: EntryPoint) -> Study:
    """The study of an entry point.

    Raises:
        ValueError: it cannot be imported, or is none.
    """
    where = f"the study {point.name!r} of the package {_package(point)} ({point.value})"
    try:
        study = point.load()
    except Exception as error:  # of any kind: it comes from another's package, and is named
        raise ValueError(f"{where} cannot be imported: {type(error).__name__}: {error}.") from error
    if not isinstance(study, Study):
        raise ValueError(f"{where} is no jaxland.Study: {study!r}.")
    return study
