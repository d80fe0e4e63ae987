"""Random small networks as programs: a seed gives a program, whose text says all there is to know of it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from training.programs.formulas import Formula
from training.programs.meanings import jax_names, numpy_names
from training.programs.operations import LOSSES, OPERATIONS, Operation
from training.programs.optimizers import random_optimizer

import jaxland as jl
from jaxland.problems import Loss
from jaxland.training import Ensemble

FITS = 2
"""Fits of a program, W."""

_CONSTANTS = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 0.25, 0.3, -0.7, 1.3)
_LARGEST, _LARGEST_INTEGER, _MOST_UNITS, _MOST_PARAMETERS = 30.0, 10**5, 8, 40
_ATTEMPTS = 20
_NAME = re.compile(r"\bh\d+\b")
_LAYERS = [operation for operation in OPERATIONS if "{M}" in operation.jax]
_FIELD = re.compile(r"\{(\w+)\}")
_CAST = {
    "i": ("jnp.floor({a} * 2).astype(int)", "np.floor({a} * 2).astype(int)"),
    "b": ("{a} > 0.25", "{a} > 0.25"),
}


@dataclass(frozen=True)
class Statement:
    """One line of a network: its name, and what it is in JAX and in NumPy."""

    name: str
    jax: str
    numpy: str


@dataclass(frozen=True)
class Program:
    """A network, its loss and its data.

    Attributes:
        seed: what it was made from.
        vmapped: whether the network is written for one point and mapped, or for all points.
        statements: of the network; the last is what it returns.
        shapes: of the parameters, by the name of their list: `m` matrices, `v` vectors, `t` scalars.
        operations: the texts of those that were taken.
        loss: a key of `LOSSES`.
        outputs, points: how the loss joins outputs and points, "mean" or "sum".
        optimizer: the text of an optax transformation, or of a factory that takes each fit's `rate`.
        rates: (W,) for a factory, else None.
        own_x, own_y: whether each fit has its own inputs or targets.
        x, y: data, (W, N, D) and (W, N, O); those of all fits are equal where they do not have their own.
        start: parameters, (W, P).
    """

    seed: int
    vmapped: bool
    statements: tuple[Statement, ...]
    shapes: dict[str, list[tuple[int, ...]]]
    operations: frozenset[str]
    loss: str
    outputs: str
    points: str
    optimizer: str
    rates: np.ndarray | None
    own_x: bool
    own_y: bool
    x: np.ndarray = field(repr=False)
    y: np.ndarray = field(repr=False)
    start: np.ndarray = field(repr=False)

    @property
    def text(self) -> str:
        """The program as Python, to be read."""
        lines = ["def apply(p, x):", *(f"    {line.name} = {line.jax}" for line in self.statements)]
        lines.append(f"    return {self.statements[-1].name}")
        lines += ["apply = jax.vmap(apply, (None, 0))"] if self.vmapped else []
        lines += ["def elementwise(y, t):", f"    return {self.loss}"]
        lines.append(f"# joined by {self.outputs} over outputs, {self.points} over points")
        lines.append(f"optimizer = {self.optimizer}")
        lines += [] if self.rates is None else [f"rates = {self.rates.tolist()}"]
        lines += [f"# p {self.shapes}", f"x = np.array({self._data(self.x, self.own_x)})"]
        lines.append(f"y = np.array({self._data(self.y, self.own_y)})")
        return "\n".join([f"# seed {self.seed}", *lines, f"start = np.array({self.start.tolist()})"])

    def _data(self, values, own):
        return (values if own else values[0]).tolist()

    @cached_property
    def _functions(self) -> dict[str, Any]:
        names = jax_names()
        exec("\n".join(line for line in self.text.splitlines() if not line.startswith("#")), names)
        return names

    @cached_property
    def network(self) -> jl.Network:
        """The network, whose parameters are lists of arrays by the keys of `shapes`."""

        def init(_):
            return {name: [jnp.zeros(shape) for shape in shapes] for name, shapes in self.shapes.items()}

        return jl.Network(init, self._functions["apply"])

    @cached_property
    def problem(self) -> jl.Problem:
        """Data and loss."""
        loss: Any = Loss("generated", self._functions["elementwise"], self.outputs, self.points)  # type: ignore
        return jl.Problem(self.x[0], self.y[0], loss=loss)

    def optimizer_of(self, *rate: Any) -> Any:
        """The optimizer of a fit with this rate, where it has one of its own."""
        optimizer = self._functions["optimizer"]
        return optimizer(*rate) if rate else optimizer

    def ensemble(self, dtype: str, steps: int) -> Ensemble:
        """All that is trained."""
        return Ensemble(
            self.network,
            self.problem,
            self._functions["optimizer"],
            steps=steps,
            dtype=dtype,
            hyperparameters={} if self.rates is None else {"rate": self.rates},
            start=self.start,
            inputs=self.x if self.own_x else None,
            targets=self.y if self.own_y else None,
        )

    def unflatten(self, vector: Any) -> dict[str, list[Any]]:
        """A vector of parameters, (P,), as the lists of arrays that the network takes."""
        result, first = {}, 0
        for name, shapes in sorted(self.shapes.items()):
            result[name] = []
            for shape in shapes:
                count = int(np.prod(shape))
                result[name].append(vector[first : first + count].reshape(shape))
                first += count
        return result

    @property
    def numpy_text(self) -> str:
        """The statements in NumPy."""
        return "\n".join(f"{line.name} = {line.numpy}" for line in self.statements)

    @cached_property
    def _statements_in_numpy(self) -> Any:
        return compile(self.numpy_text, f"<program {self.seed}>", "exec")

    def numpy_prediction(self, vector: np.ndarray, x: np.ndarray) -> np.ndarray:
        """The outputs (N, O) at these parameters, (P,), and points (N, D), by NumPy."""
        names = {**numpy_names(), "x": x, "p": self.unflatten(vector)}
        with np.errstate(all="ignore"):
            exec(self._statements_in_numpy, names)
        return names[self.statements[-1].name]

    def numpy_values(self, prediction: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The elementwise losses (N, O), by NumPy."""
        with np.errstate(all="ignore"):
            return eval(LOSSES[self.loss], numpy_names() | {"y": prediction, "t": target})

    def numpy_loss(self, vector: np.ndarray, fit: int = 0) -> float:
        """The loss of a fit at these parameters, (P,), by NumPy in float64."""
        values = self.numpy_values(self.numpy_prediction(vector, self.x[fit]), self.y[fit])
        joined = values.mean(1) if self.outputs == "mean" else values.sum(1)
        return float(joined.mean() if self.points == "mean" else joined.sum())

    def without(self, number: int) -> "Program | None":
        """The program whose statement `number` is an earlier one of the same kind, or None where there is none."""
        names = numpy_names() | {"x": self.x[0], "p": self.unflatten(self.start[0])}
        seen: dict[str, np.ndarray] = {"x": self.x[0]}
        with np.errstate(all="ignore"):
            for line in self.statements[: number + 1]:
                names[line.name] = seen[line.name] = np.asarray(eval(line.numpy, names))
        gone = self.statements[number].name
        alike = [n for n, v in seen.items() if n != gone and (v.shape, v.dtype) == (seen[gone].shape, seen[gone].dtype)]
        if not alike or number == len(self.statements) - 1:
            return None
        pattern = re.compile(rf"\b{gone}\b")
        rest = [
            Statement(line.name, pattern.sub(alike[0], line.jax), pattern.sub(alike[0], line.numpy))
            for line in self.statements[number + 1 :]
        ]
        return replace(self, statements=(*self.statements[:number], *rest))


def shrink(program: Program, fails: Callable[[Program], bool]) -> Program:
    """A program that fails likewise and from which no statement can be left out."""
    number = len(program.statements) - 2
    while number >= 0:
        shorter = program.without(number)
        if shorter is not None and fails(shorter):
            program = shorter
        number -= 1
    return program


def generate(seed: int) -> Program:
    """The program of a seed."""
    return _Generator(seed).program()


class _Generator:
    """Makes statements that give moderate numbers at the program's own data and start."""

    def __init__(self, seed: int):
        self.seed, self.rng = seed, np.random.default_rng(seed)
        # Multiples of a quarter make ties and zeros that rounding does not break.
        self.exact = self.rng.random() < 0.4
        self.points = int(self.rng.choice([1, 2, 3, 4, 5, 7, 9, 17], p=[0.1, 0.1, 0.25, 0.1, 0.25, 0.1, 0.05, 0.05]))
        self.x = self.numbers((self.points, int(self.rng.integers(1, 4))))
        self.parameters: dict[str, list[np.ndarray]] = {"m": [], "v": [], "t": []}
        self.values: dict[str, np.ndarray] = {"x": self.x}
        self.statements: list[Statement] = []
        self.used: set[str] = set()
        self.made: set[str] = set()
        self.trained: set[str] = set()
        self.shares = np.array([operation.share for operation in OPERATIONS])
        self.shares /= self.shares.sum()

    def program(self) -> Program:
        length = int(self.rng.integers(4, 13))
        self._begin(OPERATIONS[self.seed % len(OPERATIONS)])
        while len(self.statements) < length:
            self.attempt(OPERATIONS[self.rng.choice(len(OPERATIONS), p=self.shares)])
        outputs = int(self.rng.integers(1, 3))
        self._finish(outputs)
        optimizer, factory = random_optimizer(self.rng)
        own_x, own_y = self.rng.random(2) < 0.25
        start = np.concatenate([a.ravel() for name in "mtv" for a in self.parameters[name]])
        return Program(
            seed=self.seed,
            vmapped=bool(self.rng.random() < 0.3),
            statements=tuple(self.statements),
            shapes={name: [array.shape for array in arrays] for name, arrays in self.parameters.items()},
            operations=frozenset(self.made),
            loss=list(LOSSES)[self.rng.integers(len(LOSSES))],
            outputs=str(self.rng.choice(["mean", "sum"])),
            points=str(self.rng.choice(["mean", "sum"])),
            optimizer=optimizer,
            rates=self.rng.uniform(0.01, 0.2, FITS).round(4) if factory else None,
            own_x=bool(own_x),
            own_y=bool(own_y),
            x=self._of_each_fit(self.x, own_x),
            y=self._of_each_fit(self.numbers((self.points, outputs)), own_y),
            start=self._of_each_fit(start, True),
        )

    def _of_each_fit(self, values, own):
        """The values of all fits: the first has these, the others theirs or the same."""
        others = [self.numbers(values.shape) if own else values for _ in range(FITS - 1)]
        return np.stack([values, *others])

    def _begin(self, wanted: Operation):
        """Every operation has its seeds, however rare it is, and most of them with weights before it."""
        for _ in range(_ATTEMPTS):
            if self.trained or self.rng.random() < 0.2:
                break
            self.attempt(_LAYERS[self.rng.integers(len(_LAYERS))])
        for attempt in range(_ATTEMPTS):
            self.attempt(wanted, trained=attempt < _ATTEMPTS // 2 and bool(self.trained))
            if wanted.jax in self.made:
                break

    def numbers(self, shape) -> np.ndarray:
        """Data or parameters."""
        if self.exact:
            return self.rng.choice([-1.0, -0.5, -0.25, -0.0, 0.0, 0.0, 0.25, 0.5, 0.5, 1.0], shape)
        return self.rng.uniform(-1.2, 1.2, shape).round(6)

    def _finish(self, outputs):
        """Everything that was made takes part in what the network returns."""
        left = [name for name in self.values if name not in self.used] or list(self.values)[-1:]
        texts = []
        for name in left:
            cast = "" if self.values[name].dtype.kind == "f" else ".astype(float)"
            texts.append(f"rows({name}{cast}, x)")
        total = sum(self.values[name].shape[-1] for name in left)
        matrix = self.parameter("m", (total, outputs))
        joined = f"concatenate([{', '.join(texts)}], -1) @ {matrix}"
        self.statements.append(Statement("out", f"jnp.{joined}", f"np.{joined}"))

    def attempt(self, operation: Operation, *, trained: bool = False) -> None:
        """Adds a statement, unless its numbers would be large, its units many, or weights are wanted and missing."""
        before = {name: list(arrays) for name, arrays in self.parameters.items()}
        used, self.new = set(self.used), len(self.statements)
        fields = self.fields(operation)
        if fields is not None:
            jax = _FIELD.sub(lambda f: fields[f[1]], operation.jax)
            numpy = _FIELD.sub(lambda f: fields[f[1]].replace("jnp.", "np."), operation.numpy)
            if self._add(jax, numpy) and (not trained or self.statements[-1].name in self.trained):
                self.made.add(operation.jax)
                return
        self.parameters, self.used = before, used
        for line in self.statements[self.new :]:
            del self.values[line.name]
            self.trained.discard(line.name)
        del self.statements[self.new :]

    def _add(self, jax, numpy) -> bool:
        names = {**numpy_names(), **self.values, "p": self.parameters}
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(eval(numpy, names))
        except ValueError:
            # Of parameters only where the other depends on the point.
            return False
        largest = _LARGEST if value.dtype.kind == "f" else _LARGEST_INTEGER
        count = sum(array.size for arrays in self.parameters.values() for array in arrays)
        if not value.size or not (np.abs(value.astype(float)) <= largest).all():
            return False
        if value.shape[-1] > _MOST_UNITS or count > _MOST_PARAMETERS:
            return False
        name = f"h{len(self.statements)}"
        self.statements.append(Statement(name, jax, numpy))
        self.values[name] = value
        if 'p["' in jax or any(other in self.trained for other in _NAME.findall(jax)):
            self.trained.add(name)
        return True

    def fields(self, operation: Operation) -> dict[str, str] | None:
        """What stands for each field of an operation's texts."""
        first = self.value("f", None)
        units = self.values[first].shape[-1]
        wanted = set(_FIELD.findall(operation.jax))
        if {"i", "p"} & wanted and "a" not in wanted and self.rng.random() < 0.7:
            kind = "i" if "i" in wanted else "b"
            units = self.values[self.value(kind, None) or first].shape[-1]
        fields = {"k": str(units)}
        for name in sorted(wanted - {"k"}):
            text = first if name == "a" else self._field(name, units)
            if text is None:
                return None
            fields[name] = text
        self.used.update(text for text in fields.values() if text in self.values)
        return fields

    def _field(self, name, units) -> str | None:
        rng = self.rng
        if name in "abcijpqu":
            return self.value({"i": "i", "j": "i", "p": "b", "q": "b"}.get(name, "f"), 1 if name == "u" else units)
        if name in "Mvt":
            shape = {"M": (units, int(rng.integers(1, 5))), "v": (units,), "t": ()}[name]
            return self.parameter(name.lower(), shape)
        if name == "list":
            return str([self.constant() for _ in range(units)])
        if name in ("order", "places"):
            places = rng.permutation(units) if name == "order" else rng.integers(0, units, units)
            return str(places.tolist())
        if name in "rs":
            return str(self.constant())
        if name in "FG":
            return Formula(rng, "ab", self.constant).text()
        return str(rng.integers(units) if name == "m" else rng.integers(1, 5))

    def constant(self) -> float:
        """A floating-point constant, often a special one."""
        return float(self.rng.choice(_CONSTANTS)) if self.rng.random() < 0.7 else round(self.rng.uniform(-2, 2), 3)

    def value(self, kind: str, units: int | None) -> str | None:
        """The name of an earlier value, the later the likelier; made from another where there is none."""
        kinds = {"f": "f", "i": "iu", "b": "b"}[kind]
        fitting = [n for n, v in self.values.items() if v.dtype.kind in kinds and units in (None, v.shape[-1])]
        if fitting:
            weights = np.arange(1.0, len(fitting) + 1)
            return fitting[self.rng.choice(len(fitting), p=weights / weights.sum())]
        if kind == "f" and units == 1:
            source = self.value("f", None)
            text = f"{source}.sum(-1, keepdims=True)"
            made = self._add(text, text)
        elif kind == "f" or units is None:
            return None
        else:
            source = self.value("f", units)
            if source is None:
                return None
            made = self._add(*(text.format(a=source) for text in _CAST[kind]))
        self.used.add(source)
        return self.statements[-1].name if made else None

    def parameter(self, kind: str, shape: tuple[int, ...]) -> str:
        """The text of a parameter of this shape: a new one, or one that is there."""
        same = [number for number, array in enumerate(self.parameters[kind]) if array.shape == shape]
        if same and self.rng.random() < 0.4:
            return f'p["{kind}"][{self.rng.choice(same)}]'
        self.parameters[kind] = [*self.parameters[kind], self.numbers(shape)]
        return f'p["{kind}"][{len(self.parameters[kind]) - 1}]'
