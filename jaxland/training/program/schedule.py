"""Orders a scalar program into lines: when each scalar is computed, and when each result is stored.

Registers are few (32 vectors, or 16) and a program has thousands of scalars, so order decides speed. Results are
stored as soon as they are known. A sum becomes a chain of multiply-adds that starts with what it is added to, be it
the bias of a unit or the accumulator of a gradient. A comparison is made again where it is needed, instead of being
kept; for a ReLU it is made on the unit's output, which is at hand for the gradient of the next layer.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jaxland.training.program.expression import COMPARISONS, FLOATS, Expression, reachable


class Line:
    """One operation of the program, or one store.

    Attributes:
        op: an operation of `expression.FOLD`, `cast`, `bits`, `store`, or `fnma` for c - a b, `fms` for a b - c.
        args: earlier lines, constants and inputs.
        type: of the result.
        target: where a `store` puts its argument, as (kind, index).
    """

    __slots__ = ("args", "op", "target", "type")

    def __init__(self, op: str, args: tuple, type: str, target: tuple | None = None):
        self.op, self.args, self.type, self.target = op, args, type, target


class Result(NamedTuple):
    """A scalar that leaves the program.

    Attributes:
        target: (kind, index) of where it goes.
        expression: what is stored.
        accumulate: add it to what is there.
    """

    target: tuple
    expression: Expression
    accumulate: bool = False


def schedule(results: Sequence[Result], *, depth_first: bool = False) -> list[Line]:
    """The lines of a program.

    Args:
        results: what it computes.
        depth_first: finish one result before the next is begun, as is best where results have little in common (an
            optimizer's update); otherwise scalars come in the order of the traced program (forward, then backward).

    Returns:
        Lines, each after those it needs.
    """
    return _Schedule(results, depth_first).lines


class _Schedule:
    def __init__(self, results, depth_first):
        self.lines: list[Line] = []
        self.line_of: dict[int, Line] = {}
        roots = [result.expression for result in results]
        nodes = reachable(roots)
        self.uses = Counter(arg.number for node in nodes for arg in node.args)
        self.uses.update(root.number for root in roots)
        self.results_of: dict[int, list[Result]] = {}
        for result in results:
            self.results_of.setdefault(result.expression.number, []).append(result)
        self.gates = _relu_gates(nodes)
        self.absorbed = self._absorbed(nodes)
        for node in _depth_first(roots) if depth_first else nodes:
            self.visit(node)

    def _absorbed(self, nodes):
        """Nodes that are computed inside the line or the chain that uses them."""
        absorbed = set()
        for node in nodes:
            if node.op in ("add", "sub", "sum") and node.type in FLOATS:
                absorbed.update(n.number for term in node.args for n in self._absorbable(term, node.op == "add"))
            if any(result.accumulate for result in self.results_of.get(node.number, ())):
                absorbed.update(n.number for n in self._absorbable(node, True))
        return absorbed

    def _absorbable(self, term, sums):
        if self.uses[term.number] > 1:
            return []
        if term.op == "mul" or (sums and term.op == "sum"):
            return [term]
        if term.op == "neg" and term.args[0].op == "mul" and self.uses[term.args[0].number] == 1:
            return [term, term.args[0]]
        return []

    def visit(self, node):
        results = self.results_of.get(node.number, ())
        for result in results:
            if result.accumulate:
                self._accumulate(node, result)
            else:
                self.emit("store", (self.line(node),), node.type, result.target)
        if not results and node.args and node.op not in COMPARISONS and node.number not in self.absorbed:
            self.line(node)

    def _accumulate(self, node, result):
        base = Expression(-1, "input", (), node.type, result.target)
        merged = node.op == "sum" and node.number in self.absorbed
        total = self._chain(base, list(node.args) if merged else [node])
        self.emit("store", (total,), node.type, result.target)

    def emit(self, op, args, type, target=None):
        line = Line(op, args, type, target)
        self.lines.append(line)
        return line

    def line(self, node):
        """The line that computes a node; constants and inputs stand for themselves."""
        if not node.args:
            return node
        if node.op in COMPARISONS:
            return self._comparison(node)
        if node.number not in self.line_of:
            self.line_of[node.number] = self._compute(node)
        return self.line_of[node.number]

    def _comparison(self, node):
        gated = self.gates.get(node.number)
        args = node.args
        if gated is not None and gated.number in self.line_of:
            args = (gated, node.args[1])
        return self.emit(node.op, tuple(self.line(arg) for arg in args), node.type)

    def _compute(self, node):
        if node.type in FLOATS:
            if node.op == "sum":
                return self._chain(None, list(node.args))
            if node.op == "add":
                return self._add(*node.args)
            if node.op == "sub":
                return self._sub(*node.args)
        return self.emit(node.op, tuple(self.line(arg) for arg in node.args), node.type)

    def _is_product(self, node):
        return node.op == "mul" and node.number in self.absorbed

    def _add(self, a, b):
        for one, other in ((a, b), (b, a)):
            if one.op == "sum" and one.number in self.absorbed:
                return self._chain(self.line(other), list(one.args))
        for one, other in ((a, b), (b, a)):
            if self._is_product(one):
                return self._chain(self.line(other), [one])
        return self._chain(self.line(a), [b])

    def _sub(self, a, b):
        if self._is_product(b):
            return self.emit("fnma", (*map(self.line, b.args), self.line(a)), a.type)
        if self._is_product(a):
            return self.emit("fms", (*map(self.line, a.args), self.line(b)), a.type)
        return self.emit("sub", (self.line(a), self.line(b)), a.type)

    def _chain(self, total, terms):
        """total + terms: what is not a product first, so that it starts the chain."""
        if total is None:
            plain = [place for place, term in enumerate(terms) if not self._is_product(_unsigned(term))]
            # Its place, not itself: the same expression may be a term more than once.
            place = plain[0] if plain else 0
            first, terms = terms[place], [*terms[:place], *terms[place + 1 :]]
            total = self.line(first) if plain else self._product(first)
        for term in terms:
            product = _unsigned(term)
            if self._is_product(product):
                op = "fma" if product is term else "fnma"
                total = self.emit(op, (*map(self.line, product.args), total), product.type)
            else:
                total = self.emit("add", (total, self.line(term)), term.type)
        return total

    def _product(self, term):
        product = _unsigned(term)
        line = self.emit("mul", tuple(self.line(arg) for arg in product.args), product.type)
        return line if product is term else self.emit("neg", (line,), product.type)


def _unsigned(term):
    return term.args[0] if term.op == "neg" else term


def _relu_gates(nodes):
    """For each comparison z <= 0, the node `z <= 0 ? 0 : z` that makes the same comparison true: one to keep."""
    gates = {}
    for node in nodes:
        if node.op != "select":
            continue
        condition, a, b = node.args
        if condition.op == "le" and condition.args[0] is b and _zero(condition.args[1]) and _zero(a):
            gates[condition.number] = node
    return gates


def _zero(node):
    return node.op == "constant" and node.value == 0


def _depth_first(roots):
    order, seen = [], set()
    for root in roots:
        stack = [(root, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif node.number not in seen:
                seen.add(node.number)
                stack.append((node, True))
                stack.extend((arg, False) for arg in reversed(node.args))
    return order
