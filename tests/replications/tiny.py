"""Every study of the registry at a scale of seconds, and stores with the fits of one."""

from dataclasses import dataclass, field, replace
from typing import Any

from jaxland.store import StudyStore
from jaxland.studies import STUDIES
from jaxland.studies.fitting import manifest_of, prepare, train_missing


@dataclass(frozen=True)
class Tiny:
    """Changes of the configuration and of the settings of analyses that make a study tiny."""

    fits: int
    config: dict[str, Any]
    settings: dict[str, dict[str, Any]]
    seconds: dict[str, str] = field(default_factory=dict)
    """Columns of wall time, by table: no two runs have the same."""


TINY = {
    "sawtooth": Tiny(
        4,
        {"steps": 300, "points_per_segment": 2},
        {
            "overview": {},
            "training": {"fits": 3},
            "paths": {"bands": 3, "others": 2, "images": 8, "inserted": 2, "steps": 20, "climb_after": 10},
            "spectra": {"fits": 2, "differenced": 1},
            "basin": {"jitters": 8, "steps": 20, "minima": 2, "minimum_jitters": 4, "polish": 10},
            "targets": {"fits": 3, "steps": 20, "few_points": 2, "saw_fits": 2, "saw_steps": 5, "saw_points": 1}
            | {"images": 6, "inserted": 1, "path_steps": 10},
            "larger": {"sizes": (6, 7), "fits": 3, "steps": 20, "embedded": 3, "more_steps": 20, "spectra": 2},
            "knots": {},
            "barriers": {"minima": 3, "images": 8, "steps": 10},
            "settings": {"fits": 3, "steps": (20, 40)},
            "students": {"teachers": 2, "students": 1, "steps": 20},
            "smoothing": {"fits": 3, "steps": 20},
        },
    ),
    "two_layer": Tiny(
        24,
        {"f1_hidden": (3,), "f2_hidden": (6,), "f1_rates": (0.1, 1.4, 5.0), "f2_rates": (0.1, 0.05), "epochs": 150}
        | {"points": 100, "test_points": 20},
        {
            "runs": {},
            "rounding": {"orders": 3, "wide_orders": 1, "executions": 2},
            "instability": {},
            "randomness": {"data": 3, "weights": 4},
            "prediction": {"executions": 3},
        },
    ),
    "backprop": Tiny(
        48,
        {"epochs": 300, "rates": (1.0, 40.0, 1e9)},
        {
            "maps": {"grid": 9, "starts": 12, "draws": 10},
            "descent": {"epochs": 500, "long_epochs": 500, "wild_epochs": 200, "rates": 4, "rate_epochs": 200}
            | {"frames": 3},
            "basins": {"timed": 16, "every": 50},
            "roads": {"starts": 4, "rates": 2, "epochs": 100, "evaluations": 40},
            "sawtooth": {"starts": 2, "jitters": 8, "radius": 0.02, "evaluations": 30, "epochs": 100},
        },
        {"roads.csv": "seconds_a_success"},
    ),
    "surfaces": Tiny(
        6,
        {"samples": 30, "weights": (135, 7), "hidden": (6, 9), "units": (7, 8), "epochs": 40}
        | {"optimizers": ("sgd", "adagrad")},
        {
            "landscape": {"grid": 8, "most_samples": 60},
            "descent": {"frames": 3, "grid": 8},
            "ends": {},
            "gallery": {"seeds": 5, "grid": 8, "depths": ((9,), (6, 9)), "gallery": 3},
            "planes": {"steps": 30, "snapshots": 8, "grid": 5, "frames": 2, "all_epochs": 5},
        },
    ),
    "placebo": Tiny(
        12,
        {"steps": 60, "points": 40, "hidden": 4},
        {
            "overview": {"traced": 3, "moments": 4},
            "examples": {"epochs": 40, "fits": 4, "mapped": 2, "perplexity": 5.0},
            "minima": {"fits": 4, "times": 2, "spectra": 2},
            "tests": {"repeats": 3, "problems": 2, "shares": (0.5,), "permutations": 3, "one_test": 5, "steps": 5},
        },
    ),
}


def tiny_config(name: str) -> Any:
    """The configuration of a study at the scale of seconds."""
    return STUDIES[name].config(**TINY[name].config)


def tiny_settings(name: str, analysis: str) -> Any:
    """The settings of one of its analyses."""
    return replace(STUDIES[name].analyses[analysis].quick, **TINY[name].settings[analysis])


def trained(name: str, path: Any, config: Any = None, fits: int | None = None) -> StudyStore:
    """A store with the fits of a study and nothing else; those of the scale of seconds by default."""
    study, config = STUDIES[name], config or tiny_config(name)
    prepared = prepare(study, config)
    store = StudyStore.create(path, manifest_of(study, config, fits or TINY[name].fits, prepared))
    with store.writing():
        train_missing(store, study, prepared, 1)
    return store
