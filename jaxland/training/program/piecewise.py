"""The gradient of a piecewise linear network over runs of points, from their two ends.

Let x be one number and the network piecewise linear in it. Where all its comparisons (which ReLU is on) give the same
at x_a and x_b, they do so in between, by induction over the layers, and the prediction f and its derivatives are affine
there. With t from 0 at x_a to 1 at x_b, u = 1 - t, and the least-squares line of the targets, v_a and v_b at the ends,

    sum (f - y)^2 = E + A d_a^2 + 2 B d_a d_b + C d_b^2,    d_a = f(x_a) - v_a,  d_b = f(x_b) - v_b,
    A = sum u^2,  B = sum u t,  C = sum t^2,  E = sum (y - u v_a - t v_b)^2,

where nothing cancels. So the gradient is that of two points with other residuals, A d_a + B d_b and B d_a + C d_b, and
is as exact as the sum over all points.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxland._precision import numerics
from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import (
    COMPARISONS,
    FLOATS,
    Builder,
    Expression,
    Unlowerable,
    evaluate,
    reachable,
)
from jaxland.training.program.scalarize import scalarize
from jaxland.training.program.schedule import Line, Result, schedule
from jaxland.training.program.trace import input_scalars

A, B, C = range(3)
SHARED = 3
"""Numbers of a run that belong to all its outputs: A, B and C."""
V_A, V_B, REST, Y_A, Y_B = range(5)
EACH = 5
"""Numbers of a run for each of its outputs: v_a, v_b, E, and the targets at its ends."""


class RunPrograms(NamedTuple):
    """The scheduled programs of runs of points.

    Inputs: `("param", k)`; `("end", p)`, x at each end; and, of the gradient, `("run", j)`, A, B and C and then the
    numbers of each output. Results: `("grad", k)` and `("total", 0)`, which accumulate; `("differs", 0)`, whether a
    comparison gives another result at one end than at the other, in which case the two ends were taken as two points;
    and `("wild", 0)`, which turns to NaN where a prediction is not finite.

    Attributes:
        gradient_lines: gradient over a run.
        compare_lines: `differs` alone.
        comparisons: how many decide the piece that a point lies on.
    """

    gradient_lines: list[Line]
    compare_lines: list[Line]
    comparisons: int


def trace_runs(ensemble: Ensemble) -> RunPrograms:
    """The programs of an ensemble.

    Raises:
        Unlowerable: its gradient cannot be had from the ends of runs; the message says why.
    """
    _check_points(ensemble)
    curvature = _curvature(ensemble)
    build = Builder()
    outputs, gradient = _forward_and_back(ensemble, build)
    pieces = _Pieces(build)
    pieces.visit([*outputs.ravel(), *gradient])
    pieces.check_outputs(outputs)
    pieces.check_gradient(list(gradient))
    pairs = pieces.pairs()
    weight = curvature * ensemble.problem.loss.weight(*ensemble.y_shape)
    whole, alone = _Run(pairs, outputs), _Run(pairs, outputs)
    return RunPrograms(
        schedule(whole.gradient(gradient, curvature / 2, weight)),
        schedule([Result(("differs", 0), alone.differs)]),
        len(pairs),
    )


def _check_points(ensemble: Ensemble) -> None:
    if ensemble.inputs is not None or ensemble.x_shape[1] != 1:
        raise Unlowerable("runs of points need one shared column of inputs.")
    if any(name in ensemble.problem.loss.numbers for name in ensemble.hyperparameters):
        raise Unlowerable("runs of points need a loss that is the same for all fits.")
    x = np.asarray(ensemble.problem.x, ensemble.number_format)
    if len(np.unique(x)) < len(x):
        raise Unlowerable("runs of points need inputs that differ from each other.")


def _curvature(ensemble: Ensemble) -> float:
    """k of a loss that is the sum over outputs of k (prediction - target)^2 / 2.

    What JAX says of its second derivative would not do: a `stop_gradient` hides from it what is there. So the loss and
    its gradient must be polynomials, and those of squared errors at more places than others of any degree could be.

    Raises:
        Unlowerable: the loss is another one.
    """
    loss, count, dtype = ensemble.problem.loss, ensemble.y_shape[1], ensemble.number_format

    def value(prediction, target):
        return jnp.sum(loss.values(prediction[None], target[None]))

    build, shape = Builder(), jax.ShapeDtypeStruct((count,), dtype)
    with numerics(dtype):
        program = jax.make_jaxpr(jax.value_and_grad(value))(shape, shape)
    kinds = "prediction", "target"
    total, gradient = scalarize(
        build, program, [input_scalars(build, k, (count,), ensemble.scalar_type) for k in kinds]
    )
    nodes = [total.item(), *gradient.ravel()]
    curvature = 0.0
    if all(node.op in _POLYNOMIAL for node in reachable(nodes)):
        rng = np.random.default_rng(0)
        sizes = 10.0 ** rng.uniform(-3, 3, _PLACES)
        p, t = (sizes * rng.uniform(-1, 1, (count, _PLACES)) for _ in kinds)
        p, t = p.astype(dtype), t.astype(dtype)
        inputs = {(kind, k): values[k] for kind, values in zip(kinds, (p, t), strict=True) for k in range(count)}
        value_there, *slopes = (np.broadcast_to(each, _PLACES) for each in evaluate(nodes, inputs))
        curvature = float(np.median(slopes[0] / (p[0] - t[0])))
        off = p - t
        near = partial(np.allclose, rtol=_DIGITS * np.finfo(dtype).eps, atol=0)
        if curvature > 0 and near(slopes, curvature * off) and near(value_there, curvature / 2 * (off**2).sum(0)):
            return curvature
    raise Unlowerable(f"runs of points need a loss of squared errors, which {loss.name!r} is not.")


# Nodes of polynomials; and how many places, and how many units of the last place, tell one from another.
_POLYNOMIAL = {"add", "sub", "mul", "sum", "neg", "constant", "input"}
_PLACES, _DIGITS = 64, 64


def _forward_and_back(ensemble: Ensemble, build: Builder):
    """Predictions (2, O) and the gradient (P,) of two points for given derivatives of the loss by the predictions."""
    network, dtype, type = ensemble.network, ensemble.number_format, ensemble.scalar_type
    outputs = ensemble.y_shape[1]

    def both(vector, x, slopes):
        prediction, back = jax.vjp(lambda vector: network.apply_flat(vector, x), vector)
        return prediction, *back(slopes)

    shapes = [(network.size,), (2, 1), (2, outputs)]
    with numerics(dtype):
        program = jax.make_jaxpr(both)(*(jax.ShapeDtypeStruct(shape, dtype) for shape in shapes))
    kinds = zip(("param", "x", "slope"), shapes, strict=True)
    arguments = [input_scalars(build, kind, shape, type) for kind, shape in kinds]
    return scalarize(build, program, arguments)


_NOT_PIECEWISE = (
    "runs of points need a network that is piecewise linear in its input, as those of ReLU, leaky ReLU, absolute "
    "values, maxima and clipping are; tanh, exp, roundings and products of what depends on the input are not."
)

_Known = frozenset[tuple[str, int]]
"""What a scalar is of degree one in: `("x", point)`, `("slope", point)`."""

_NOTHING: _Known = frozenset()


class _Pieces:
    """Follows how scalars depend on the two points: at most linearly, as long as no comparison changes.

    Attributes:
        compared: comparisons that depend on the first point, each as one that changes at one x only.
    """

    def __init__(self, build: Builder):
        self.build = build
        self.known: dict[int, _Known] = {}
        self.compared: dict[int, Expression] = {}

    def visit(self, roots: Sequence[Expression]) -> None:
        """Follows all that the roots need.

        Raises:
            Unlowerable: something in it is not piecewise linear.
        """
        for node in reachable(roots):
            self.known[node.number] = self._of(node)

    def check_outputs(self, outputs) -> None:
        """Raises Unlowerable where a prediction depends on another point than its own."""
        for point, row in enumerate(outputs):
            if any(self.known[node.number] - {("x", point)} for node in row):
                raise Unlowerable("the network couples points, so that runs of points have no gradient of their own.")

    def check_gradient(self, gradient: Sequence[Expression]) -> None:
        """Raises Unlowerable where an entry is something without any residual."""
        for node in gradient:
            residuals = any(kind == "slope" for kind, _ in self.known[node.number])
            if not residuals and not _is_zero(node):
                raise Unlowerable("runs of points need a gradient that is linear in the residuals.")

    def pairs(self) -> list[tuple[Expression, Expression]]:
        """The comparisons at one point, each with that at the other."""
        first = list(self.compared.values())
        here = [node for node in reachable(first) if _is_x(node) and node.value[1] == (0, 0)]
        swapped = {node.value: self.build.input("x", (1, 0), node.type) for node in here}
        return list(zip(first, copied(self.build, first, swapped), strict=True))

    def _of(self, node: Expression) -> _Known:
        if node.op == "constant":
            return _NOTHING
        if node.op == "input":
            kind, index = node.value
            return _NOTHING if kind == "param" else frozenset({(kind, index[0])})
        args = [self.known[arg.number] for arg in node.args]
        if node.op in COMPARISONS:
            return self._comparison(node, args)
        if node.op == "abs":
            self._compare("lt", node.args[0], self.build.constant(0, node.type), args[0])
        if not any(args) or node.op in ("neg", "abs"):
            return args[0] if args else _NOTHING
        if node.op == "mul":
            return self._product(*args)
        if node.op == "div" and not args[1]:
            return args[0]
        if node.op in ("add", "sub", "sum"):
            return self._sum(node.args, args)
        if node.op == "select" and not args[0]:
            return self._sum(node.args[1:], args[1:])
        raise Unlowerable(_NOT_PIECEWISE)

    def _product(self, one: _Known, other: _Known) -> _Known:
        if one & other or (len({point for _, point in one | other}) > 1 and one and other):
            raise Unlowerable(_NOT_PIECEWISE)
        return one | other

    def _sum(self, terms: Sequence[Expression], known: Sequence[_Known]) -> _Known:
        sloped = [any(kind == "slope" for kind, _ in one) for one in known]
        if any(sloped) and not all(a or _is_zero(term) for a, term in zip(sloped, terms, strict=True)):
            raise Unlowerable("runs of points need a gradient that is linear in the residuals.")
        return frozenset(each for one in known for each in one)

    def _comparison(self, node: Expression, args: Sequence[_Known]) -> _Known:
        # One that two affine functions are equal may hold at a single point between two where it does not.
        one, other = node.args
        for op in ("lt", "le") if node.op in ("eq", "ne") else (node.op,):
            self._compare(op, one, other, args[0] | args[1])
        return _NOTHING

    def _compare(self, op: str, one: Expression, other: Expression, known: _Known) -> None:
        if any(kind == "slope" for kind, _ in known) or len(known) > 1:
            raise Unlowerable("runs of points need comparisons of one point's numbers.")
        if ("x", 0) in known and one.type != "i1":
            node = self.build(op, one, other)
            self.compared[node.number] = node


def _is_zero(node: Expression) -> bool:
    return node.op == "constant" and node.value == 0


def _is_x(node: Expression) -> bool:
    return node.op == "input" and node.value[0] == "x"


def _is_sign(node: Expression) -> bool:
    """Whether it is z <= 0 or z > 0, as of a ReLU."""
    return (
        node.op in ("le", "gt")
        and node.args[1].op == "constant"
        and node.args[1].value == 0
        and node.args[0].type in FLOATS
    )


class _Run:
    """Writes the program of a run in the order in which it is best computed: predictions and comparisons first."""

    def __init__(self, pairs: Sequence[tuple[Expression, Expression]], outputs):
        self.build, self.outputs = Builder(), outputs
        self.copies: dict[int, Expression] = {}
        wanted = [*outputs.ravel(), *(node for pair in pairs for node in pair)]
        self.type = outputs.ravel()[0].type
        self.ends = {("x", (p, 0)): self.build.input("end", p, self.type) for p in range(2)}
        self.differs, signs = self.build.constant(False, "i1"), self.build.constant(0, f"i{self.type[1:]}")
        due = {max(one.number, other.number): (one, other) for one, other in pairs}
        for node in reachable(wanted):
            self.copies[node.number] = _copy(self.build, node, self.copies, self.ends)
            if node.number in due:
                one, other = (self.copies[each.number] for each in due[node.number])
                if _is_sign(one):
                    # One instruction for the pair of them, where comparisons take two and their results two more.
                    changed = self.build("xor", *(self.build.positive_sign(each.args[0]) for each in (one, other)))
                    signs = self.build("or", signs, changed)
                else:
                    self.differs = self.build("or", self.differs, self.build("xor", one, other))
        if signs.op != "constant":
            negative = self.build("lt", signs, self.build.constant(0, signs.type))
            self.differs = self.build("or", self.differs, negative)

    def gradient(self, gradient: Iterable[Expression], half: float, weight: float) -> list[Result]:
        """The results of a run: half a loss' curvature, and the curvature times `Loss.weight`, are its factors."""
        build, slopes = self.build, dict(self.ends)
        whole, apart, predictions = [], [], []
        for output in range(self.outputs.shape[1]):
            f_a, f_b = (self.copies[self.outputs[p, output].number] for p in range(2))
            v_a, v_b, rest, y_a, y_b = (self._number(SHARED + EACH * output + j) for j in range(EACH))
            d_a, d_b, r_a, r_b = (build("sub", *pair) for pair in ((f_a, v_a), (f_b, v_b), (f_a, y_a), (f_b, y_b)))
            w_a = self._sum((self._number(A), d_a), (self._number(B), d_b))
            w_b = self._sum((self._number(B), d_a), (self._number(C), d_b))
            for point, (taken, raw) in enumerate(((w_a, r_a), (w_b, r_b))):
                slopes["slope", (point, output)] = self._scaled(weight, build("select", self.differs, raw, taken))
            whole += [rest, build("mul", w_a, d_a), build("mul", w_b, d_b)]
            apart += [build("mul", r_a, r_a), build("mul", r_b, r_b)]
            predictions += [f_a, f_b]
        value = build("select", self.differs, build.sum(apart), build.sum(whole))
        all_predictions = build.sum(predictions)
        wild = build("sub", all_predictions, all_predictions)
        nodes = list(gradient)
        for node in reachable(nodes):
            if node.number not in self.copies:
                self.copies[node.number] = _copy(build, node, self.copies, slopes)
        return [
            Result(("differs", 0), self.differs),
            Result(("total", 0), self._scaled(half, value), accumulate=True),
            Result(("wild", 0), wild, accumulate=True),
            *(Result(("grad", k), self.copies[node.number], accumulate=True) for k, node in enumerate(nodes)),
        ]

    def _number(self, index: int) -> Expression:
        return self.build.input("run", index, self.type)

    def _sum(self, *products: tuple[Expression, Expression]) -> Expression:
        return self.build.sum([self.build("mul", *product) for product in products])

    def _scaled(self, factor: float, node: Expression) -> Expression:
        return self.build("mul", self.build.constant(factor, self.type), node)


def copied(build: Builder, roots: Sequence[Expression], inputs: dict[tuple, Expression]) -> list[Expression]:
    """The same expressions with some inputs replaced, in the same builder or in another."""
    copies: dict[int, Expression] = {}
    for node in reachable(roots):
        copies[node.number] = _copy(build, node, copies, inputs)
    return [copies[root.number] for root in roots]


def _copy(build: Builder, node: Expression, copies: dict[int, Expression], inputs: dict[tuple, Expression]):
    args = [copies[arg.number] for arg in node.args]
    if node.op == "constant":
        return build.constant(node.value, node.type)
    if node.op == "input":
        kind, index = node.value
        return inputs.get(node.value) or build.input(kind, index, node.type)
    if node.op == "sum":
        return build.sum(args)
    if node.op in ("cast", "bits"):
        return getattr(build, node.op)(args[0], node.type)
    return build(node.op, *args)
