"""From a design to calls of `fit`: who takes which factor, and which rows are trained together."""

import inspect
import math
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
import optax
import pandas as pd
from jaxtyping import Float, Int

from jaxland._names import lookup
from jaxland.networks import Network
from jaxland.problems import Problem
from jaxland.training import Ensemble, fit
from jaxland.training.validation import require_apart, validation_of

RESULTS = ("status", "initial_loss", "loss", "best_loss", "best_step", "diverged_step", "group")
_SEED, _OPTIMIZER = "seed", "optimizer"
# One number a fit, for which nothing is compiled again.
_NUMBERS = ("init_scale",)
_DATA = ("start", "inputs", "targets", "weights")
_MADE_HERE = ("network", "problem", "optimizer", "fits", "first", "seeds", "hyperparameters", *_DATA)
# How fits are trained, which is no factor; what else `fit` takes is one.
HOW = ("backend", "compress", "threads", "progress", "on_device", "keep_state")
_FACTORS = tuple(name for name in inspect.signature(fit).parameters if name not in (*_MADE_HERE, *HOW, _SEED))
# Arguments of `fit` that are one field of an ensemble.
_JUDGED = {"validation": None, "validate_every": None, "metrics": None, "patience": None, "min_gain": 0.0}
# Problems with fewer rows each, and of one shape, are trained together, each fit with its own data.
_WORTH_A_CALL = 64


class Call(NamedTuple):
    """What one call of `fit` trains.

    Attributes:
        rows: of the design.
        arguments: of `fit`, by name.
        problems: whose fits are trained together, each with its own points.
    """

    rows: Int[np.ndarray, "W"]
    arguments: dict[str, Any]
    problems: tuple[Problem, ...]

    @property
    def of_ensemble(self) -> dict[str, Any]:
        """The arguments as fields of an ensemble, how many fits there are and how they are trained left out."""
        names = {each.name for each in fields(Ensemble)}
        judged = {name: self.arguments.get(name, value) for name, value in _JUDGED.items()}
        given = {name: value for name, value in self.arguments.items() if name in names}
        return {**given, "validation": validation_of(*judged.values())}

    def check(self) -> None:
        """Raises what `fit` would raise for the ensemble, before any work."""
        validation = Ensemble(**self.of_ensemble).validation
        if validation is not None:
            for problem in self.problems:
                require_apart(problem, validation)


class _Signature(NamedTuple):
    """Names that a function takes; `any` where it takes others as well."""

    required: frozenset[str]
    names: frozenset[str]
    any: bool

    def takes(self, name: str) -> bool:
        return self.any or name in self.names


@lru_cache(maxsize=256)
def _signature(function: Callable[..., Any]) -> _Signature:
    parameters = inspect.signature(function).parameters.values()
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    required = frozenset(p.name for p in named if p.default is p.empty)
    return _Signature(required, frozenset(p.name for p in named), any(p.kind is p.VAR_KEYWORD for p in parameters))


_NOTHING = _Signature(frozenset(), frozenset(), False)


class _Maker:
    """A network or problem, or a function that makes it of factors, called once for each of their combinations."""

    def __init__(self, kind: type, given: Any):
        self.name, self._kind, self._given = kind.__name__.lower(), kind, given
        if not isinstance(given, kind) and not callable(given):
            raise TypeError(
                f"{self.name} must be a jaxland {kind.__name__}, or a function of factors that makes one; got "
                f"{type(given).__name__}."
            )
        self.signature = _NOTHING if isinstance(given, kind) else _signature(given)
        self._made: dict[Any, Any] = {}

    def made(self, row: Mapping[str, Any]) -> Any:
        if isinstance(self._given, self._kind):
            return self._given
        taken = {name: value for name, value in row.items() if name in self.signature.names}
        missing = sorted(self.signature.required - taken.keys())
        if missing:
            raise ValueError(f"{self.name} takes {', '.join(map(repr, missing))}, of which {_of(row)} has no value.")
        key = tuple(taken.items())
        if key not in self._made:
            self._made[key] = self._given(**taken)
            if not isinstance(self._made[key], self._kind):
                found = type(self._made[key]).__name__
                raise TypeError(f"{self.name} made a {found} of {taken}; it must make a jaxland {self._kind.__name__}.")
        return self._made[key]


def _of(row: Mapping[str, Any]) -> str:
    if not row:
        return "a row of the design"
    return f"the design's row with {', '.join(f'{name}={name_of(value)}' for name, value in row.items())}"


def name_of(value: Any) -> str | float | int | bool:
    """A level as tables have it: numbers and texts as they are, functions and networks by name."""
    if isinstance(value, partial):
        keywords = ", ".join(f"{name}={name_of(each)}" for name, each in value.keywords.items())
        return f"{name_of(value.func)}({keywords})"
    if isinstance(value, Network):
        return value.spec.name
    if isinstance(value, Problem):
        return value.name
    if isinstance(value, optax.GradientTransformation):
        return type(value).__name__
    return value if isinstance(value, int | float | bool | str) else getattr(value, "__name__", str(value))


@dataclass(frozen=True)
class Factors:
    """The columns of a design, as levels.

    Attributes:
        columns: values of each factor, (R,); None or NaN where a row has none.
        numbers: names of those that are numbers throughout, and may be hyperparameters.
    """

    columns: dict[str, list]
    numbers: frozenset[str]

    def values(self, name: str, rows: Int[np.ndarray, "W"]) -> Float[np.ndarray, "W"]:
        """A factor of numbers, for some rows.

        Raises:
            TypeError: it is none.
        """
        wrong = [each for each in self.columns[name] if not _number(each) and not _missing(each)]
        if wrong:
            raise TypeError(f"levels of factor {name!r} must be numbers; got {wrong[0]!r}.")
        return np.array([self.columns[name][row] for row in rows], np.float64)

    def row(self, place: int, names: Sequence[str]) -> dict[str, Any]:
        """What a row has of some factors."""
        values = {name: self.columns[name][place] for name in names}
        return {name: value for name, value in values.items() if not _missing(value)}


def read_design(design: Any) -> pd.DataFrame:
    """A design as a table with rows from 0.

    Raises:
        TypeError: it is none.
        ValueError: it has no rows, its columns differ in length, or one has the name of a result.
    """
    if isinstance(design, Mapping):
        for name, values in design.items():
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise TypeError(f"column {name!r} of a design must have a level for each row; got {values!r}.")
        lengths = {name: len(values) for name, values in design.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of a design have a level for each row, but their lengths differ: {lengths}.")
        design = pd.DataFrame({name: pd.Series(list(values)) for name, values in design.items()})
    if not isinstance(design, pd.DataFrame):
        raise TypeError(f"a design is a table, such as jaxland.grid makes; got {type(design).__name__}.")
    if not len(design) or not len(design.columns):
        raise ValueError("the design has no rows; see jaxland.grid.")
    clash = sorted(set(RESULTS) & set(design.columns))
    if clash:
        raise ValueError(f"factor {clash[0]!r} has the name of a result; rename it, in the function that takes it too.")
    return design.reset_index(drop=True)


def factors_of(design: pd.DataFrame) -> Factors:
    """Reads a design.

    Raises:
        ValueError: a level that cannot be told from others, or two that have one name.
    """
    columns = {str(name): [_plain(str(name), value) for value in design[name]] for name in design.columns}
    for name, values in columns.items():
        # What was a column of whole numbers until some rows were left empty.
        if any(map(_missing, values)) and all(_missing(v) or (_number(v) and v == int(v)) for v in values):
            columns[name] = [v if _missing(v) else int(v) for v in values]
    for name, values in columns.items():
        levels = dict.fromkeys(each for each in values if not _missing(each))
        named: dict[Any, Any] = {name_of(each): each for each in levels}
        if len(named) < len(levels):
            twice = next(name_of(each) for each in levels if named[name_of(each)] is not each)
            raise ValueError(
                f"two levels of factor {name!r} are both called {twice!r}; give names, and a mapping from these to "
                "levels."
            )
    numbers = frozenset(name for name, values in columns.items() if all(_number(v) or _missing(v) for v in values))
    return Factors(columns, numbers)


def _plain(name: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else tuple(value) if isinstance(value, list) else value
    try:
        hash(value)
    except TypeError:
        raise ValueError(
            f"factor {name!r} has a {type(value).__name__} as a level, which cannot be told from others; give names, "
            "and make it of them."
        ) from None
    return value


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value))


class _Settings(NamedTuple):
    """What a row has for its optimizer and for `fit`; all but the numbers themselves."""

    keywords: tuple[tuple[str, Any], ...]
    """Of the optimizer: no numbers, so that fits trained together have the same."""
    hyperparameters: tuple[str, ...]
    options: tuple[tuple[str, Any], ...]
    numbers: tuple[str, ...]
    """Options that are one number a fit."""


class _Part(NamedTuple):
    """What fits trained together have in common."""

    network: Network
    problem: Problem
    optimizer: Any
    settings: _Settings

    def key(self) -> tuple[Any, ...]:
        """Tells parts that differ from each other, but for the problem."""
        return id(self.network), self.optimizer, self.settings


def calls(
    design: pd.DataFrame,
    network: Any,
    problem: Any,
    optimizer: Any,
    steps: int | None,
    options: Mapping[str, Any],
    static: Sequence[str] = (),
) -> list[Call]:
    """What to train, in the order in which the design has it first; see `sweep` for the arguments.

    Raises:
        TypeError, ValueError: a factor that nothing takes, or one that is missing, or an argument out of range.
    """
    factors = factors_of(design)
    if isinstance(static, str) or not isinstance(static, Iterable):
        raise TypeError(f"static must be names of factors, as in ['decay_steps']; got {static!r}.")
    for name in static:
        lookup("factor in static", name, factors.columns)
    factors = replace(factors, numbers=factors.numbers - set(static))
    makers = _Maker(Network, network), _Maker(Problem, problem)
    chosen = _optimizers(factors, optimizer)
    common = {**({} if steps is None else {"steps": steps}), **options}
    _check_options(factors, common)
    _check_names(factors, makers, chosen, _numbers_of(makers[1], factors))
    groups: dict[Any, tuple[_Part, list[int]]] = {}
    for place, each in enumerate(chosen):
        row = factors.row(place, list(factors.columns))
        made = [maker.made(row) for maker in makers]
        part = _Part(made[0], made[1], each, _settings(factors, row, each, makers, made[1].numbers))
        groups.setdefault((id(part.problem), part.key()), (part, []))[1].append(place)
    # A share of points is set aside of those that a call has in common.
    validation = common.get("validation")
    shares = isinstance(validation, float) or getattr(validation, "share", None) is not None
    shares |= "validation" in factors.columns
    merged = (([part], [rows]) for part, rows in groups.values()) if shares else _merged(list(groups.values()))
    return [_call(factors, common, *each) for each in merged]


def _optimizers(factors: Factors, optimizer: Any) -> list:
    """The optimizer, or factory of one, of each row."""
    names = factors.columns.get(_OPTIMIZER)
    finished = isinstance(optimizer, optax.GradientTransformation)
    if names is not None and not (callable(optimizer) and _OPTIMIZER in _signature(optimizer).names):
        if optimizer is not None and not isinstance(optimizer, Mapping):
            raise TypeError("the optimizer is given twice: as an argument, and as a factor of the design.")
        chosen = names if optimizer is None else [lookup("optimizer", name, optimizer) for name in names]
    elif isinstance(optimizer, Mapping) or not (finished or callable(optimizer)):
        raise TypeError(
            "give an optax transformation, a factory such as optax.adam, or a factor 'optimizer' whose levels are "
            f"factories, or names in a mapping that is given here; got {optimizer!r}."
        )
    else:
        chosen = [optimizer] * len(next(iter(factors.columns.values())))
    for each in chosen:
        if not callable(each) and not isinstance(each, optax.GradientTransformation):
            raise TypeError(
                f"levels of 'optimizer' must be factories such as optax.adam, or names of such; got {each!r}."
            )
    return chosen


def _taken_by(optimizer: Any) -> _Signature:
    return _NOTHING if isinstance(optimizer, optax.GradientTransformation) else _signature(optimizer)


def _check_options(factors: Factors, options: Mapping[str, Any]) -> None:
    for name in options:
        if name in _MADE_HERE:
            raise TypeError(f"{name} is made of the design; what all fits have in common is a factor of one level.")
        if name in factors.columns and name != _SEED:
            raise TypeError(f"{name} is given twice: as an argument, and as a factor of the design.")
        lookup("argument", name, dict.fromkeys((*_FACTORS, *HOW, _SEED)))
    if not {"steps", "epochs"} & {*options, *factors.columns}:
        raise TypeError("give steps or epochs, or a factor of such a name.")


def _numbers_of(problem: _Maker, factors: Factors) -> set[str]:
    """Numbers that the loss or the penalties of any problem take."""
    found: set[str] = set()
    for place in range(len(next(iter(factors.columns.values())))):
        with suppress(ValueError):  # a factor is missing, which is said later
            found |= problem.made(factors.row(place, list(factors.columns))).numbers.keys()
    return found


def _check_names(factors: Factors, makers: Sequence[_Maker], optimizers: Sequence[Any], numbers: set[str]) -> None:
    signatures = [_taken_by(each) for each in dict.fromkeys(optimizers)]
    known = {_SEED, *_FACTORS, *numbers}.union(
        *(maker.signature.names for maker in makers), *(each.names for each in signatures)
    )
    known |= {_OPTIMIZER} if _OPTIMIZER in factors.columns else set()
    for name in factors.columns:
        if not any(each.any for each in signatures):
            _check_name(name, known, finished=_NOTHING in signatures)
    for maker in makers:
        for name in sorted(maker.signature.required - factors.columns.keys()):
            raise ValueError(
                f"{maker.name} takes {name!r}, which is no factor of the design ({', '.join(factors.columns)})."
            )


def _check_name(name: str, known: set[str], *, finished: bool) -> None:
    try:
        lookup("factor, which neither network, problem nor optimizer takes:", name, dict.fromkeys(sorted(known)))
    except ValueError as error:
        remedy = " A finished optimizer takes none: give optax.adam in place of optax.adam(...)." if finished else ""
        raise ValueError(f"{error}{remedy}") from None


def _settings(
    factors: Factors, row: Mapping[str, Any], optimizer: Any, makers: Sequence[_Maker], of_loss: Mapping[str, float]
) -> _Settings:
    signature, name = _taken_by(optimizer), name_of(optimizer)
    elsewhere = {_SEED, *_FACTORS}.union(*(maker.signature.names for maker in makers)) - signature.names
    elsewhere |= set() if _OPTIMIZER in signature.names else {_OPTIMIZER}
    own = {each: value for each, value in row.items() if each not in elsewhere}
    for each in own:
        if not signature.takes(each) and each not in of_loss:
            raise ValueError(
                f"optimizer {name} takes no {each!r}; leave it empty (None or NaN) in the design's rows of {name}."
            )
    missing = sorted(signature.required - own.keys())
    if missing:
        raise ValueError(f"optimizer {name} takes {', '.join(map(repr, missing))}, of which {_of(row)} has no value.")
    options = {each: value for each, value in row.items() if each in _FACTORS and each in elsewhere}
    return _Settings(
        tuple((each, value) for each, value in own.items() if each not in factors.numbers and each not in of_loss),
        tuple(each for each in own if each in factors.numbers or each in of_loss),
        tuple((each, value) for each, value in options.items() if each not in _NUMBERS),
        tuple(each for each in options if each in _NUMBERS),
    )


def _merged(groups: list[tuple[_Part, list[int]]]) -> Iterator[tuple[list[_Part], list[list[int]]]]:
    """Groups that differ in their problem alone, together where each is small."""
    alike: dict[Any, list[tuple[_Part, list[int]]]] = {}
    for part, rows in groups:
        alike.setdefault((_all_but_data(part.problem), part.key()), []).append((part, rows))
    for each in alike.values():
        small = sum(len(rows) for _, rows in each) < _WORTH_A_CALL * len(each)
        for together in [each] if small else [[one] for one in each]:
            parts, rows = zip(*together, strict=True)
            yield list(parts), list(rows)


def _all_but_data(problem: Problem) -> tuple[Any, ...]:
    """What problems must have in common for their fits to be trained together, each with its own data."""
    others = [each.name for each in fields(problem) if each.name not in ("x", "y", "name", "network", "minimum")]
    values = [getattr(problem, name) for name in others]
    known = [value if isinstance(value, Hashable) else id(value) for value in values]
    return type(problem), problem.x.shape, problem.y.shape, *known


class _Own:
    """The data of each fit, by its number, of a few that are kept once."""

    def __init__(self, data: Sequence[np.ndarray], which: Int[np.ndarray, "W"]):
        self._data, self._which = np.stack(data), which

    def __call__(self, fits: Int[np.ndarray, "W"]) -> np.ndarray:
        return self._data[self._which[fits.clip(0, len(self._which) - 1)]]


def _call(factors: Factors, common: Mapping[str, Any], parts: list[_Part], rows_of: list[list[int]]) -> Call:
    part, settings, rows = parts[0], parts[0].settings, np.concatenate([np.array(rows) for rows in rows_of])
    which = np.repeat(np.arange(len(parts)), [len(rows) for rows in rows_of])
    order = np.argsort(rows)
    rows, which = rows[order], which[order]
    arguments = {
        "network": part.network,
        "problem": part.problem,
        "optimizer": partial(part.optimizer, **dict(settings.keywords)) if settings.keywords else part.optimizer,
        "fits": len(rows),
        "seeds": _seeds(factors, rows),
        "hyperparameters": {name: factors.values(name, rows) for name in settings.hyperparameters},
        **{name: factors.values(name, rows) for name in settings.numbers},
        **dict(settings.options),
        **common,
    }
    for name, field in (("inputs", "x"), ("targets", "y")):
        data = [getattr(each.problem, field) for each in parts]
        if not all(np.array_equal(each, data[0]) for each in data):
            arguments[name] = _Own(data, which)
    return Call(rows, arguments, tuple(each.problem for each in parts))


def _seeds(factors: Factors, rows: Int[np.ndarray, "W"]) -> Int[np.ndarray, "W"]:
    """What enters the keys: the factor `seed`, else the row."""
    given = [factors.columns[_SEED][row] for row in rows] if _SEED in factors.columns else rows
    whole = all(_number(each) and float(each).is_integer() for each in given) if _SEED in factors.columns else True
    if not whole:
        raise ValueError("levels of 'seed' must be integers in [0, 2**32), one for each row.")
    return np.asarray(given, np.int64)
