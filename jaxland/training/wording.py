"""Traced programs as texts that say everything that decides what they compute, so that equal texts are equal programs.

JAX prints programs for people: constants are left out, and functions among the parameters come with addresses. Here
every number is written to its last bit. What cannot be written so has no text: a callback, a primitive that is not one
of JAX's own, whose meaning is not in its name.
"""

import enum
import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.extend.core import primitives

# Parameters that decide nothing once a program is traced and nothing is to be differentiated any more: rules of
# derivatives, which are programs of their own where they were followed, and the shapes of pytrees.
_LEFT_OUT = {
    "custom_jvp_call": {"jvp_jaxpr_fun", "symbolic_zeros"},
    "custom_vjp_call": {"fwd_jaxpr_thunk", "bwd", "out_trees", "symbolic_zeros"},
    "scan": {"ft_in", "ft_out"},
}
# What sets the rest of a context, and who points to it.
_OF_CONTEXTS = {"configs", "__weakref__"}
# Their names stand for functions of JAX.
_GENERATORS = {("threefry2x32", "fry"), ("rbg", "rbg"), ("unsafe_rbg", "urbg")}
_KEYS = {f"key<{tag}>" for _, tag in _GENERATORS}


class Unworded(Exception):
    """A program has something in it that no text says; the message names it."""


def digest(*programs: core.ClosedJaxpr) -> str:
    """The SHA-256 of the text of programs that are not differentiated any more.

    Raises:
        Unworded: one of them has none.
    """
    writer = _Writer()
    try:
        for program in programs:
            writer.program(program)
    except Unworded:
        raise
    except Exception as error:  # of any kind: where another version of JAX keeps something elsewhere, nothing is kept
        raise Unworded(f"something unknown ({type(error).__name__}: {error})") from error
    text = "\n".join(writer.text)
    if " at 0x" in text:
        raise Unworded("an object that only its address tells from others")
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def _primitives() -> frozenset:
    """Those of JAX, by identity: anyone may make others of the same names."""
    members = (value for home in (primitives, jax.lax) for value in vars(home).values())
    named = frozenset(member for member in members if isinstance(member, core.Primitive))
    return named.union(*map(_used, (_by_platform, _unset)))


def _used(function: Callable[[], Any]) -> set:
    """The primitives of a function, none where this version of JAX cannot trace it."""
    with suppress(Exception):
        return {equation.primitive for equation in jax.make_jaxpr(function)().eqns}
    return set()


def _by_platform():
    return jax.lax.platform_dependent(cpu=lambda: 0, default=lambda: 1)


def _unset():
    return jax.lax.empty((), np.dtype(np.int32))  # pyright: ignore[reportAttributeAccessIssue]


class _Writer:
    """Writes programs, each once however often it is called.

    Attributes:
        text: what was written.
    """

    def __init__(self):
        self.text: list[str] = []
        self._shapes: dict[Any, str] = {}
        # By identity, so all of them are kept as well.
        self._programs: dict[int, int] = {}
        self._contexts: dict[int, str] = {}
        self._kept: list[Any] = []

    def program(self, program: core.ClosedJaxpr | core.Jaxpr) -> str:
        """Writes a program and gives its name."""
        number = self._programs.get(id(program))
        if number is None:
            lines = self._lines(program)
            number = self._programs[id(program)] = len(self._programs)
            self._kept.append(program)
            self.text += [f"program {number}", *lines]
        return f"p{number}"

    def _lines(self, program) -> list[str]:
        jaxpr = getattr(program, "jaxpr", program)
        names: dict[Any, int] = {}

        def new(variables) -> str:
            for variable in variables:
                names[variable] = len(names)
            return " ".join([self._shape(variable.aval) for variable in variables])

        def read(atoms) -> str:
            return " ".join(
                [f"{self._shape(a.aval)}{_number(a.val)}" if hasattr(a, "val") else f"v{names[a]}" for a in atoms]
            )

        lines = [new(jaxpr.constvars), new(jaxpr.invars), *(_number(const) for const in getattr(program, "consts", ()))]
        for equation in jaxpr.eqns:
            primitive = equation.primitive
            if primitive not in _primitives():
                raise Unworded(f"the primitive {primitive.name}")
            left_out = _LEFT_OUT.get(primitive.name, ())
            params = [f"{key}={self._param(v)}" for key, v in equation.params.items() if key not in left_out]
            inputs = read(equation.invars)
            lines.append(
                f"{primitive.name}[{','.join(params)}]{inputs}:{new(equation.outvars)};{self._context(equation)}"
            )
        lines.append(read(jaxpr.outvars))
        return lines

    def _shape(self, aval) -> str:
        text = self._shapes.get(aval)
        if text is None:
            _check_key(getattr(aval, "dtype", None))
            text = self._shapes[aval] = repr(aval)
        return text

    def _context(self, equation) -> str:
        """Settings of JAX that an operation was traced under."""
        context = equation.ctx
        text = self._contexts.get(id(context))
        if text is None:
            names = [name for name in getattr(type(context), "__slots__", ()) if name not in _OF_CONTEXTS]
            text = self._contexts[id(context)] = ",".join(repr(getattr(context, name, None)) for name in names)
            self._kept.append(context)
        return text

    def _param(self, value: Any) -> str:
        plain = _PLAIN.get(type(value))
        if plain is not None:
            return plain(value)
        if isinstance(value, core.ClosedJaxpr | core.Jaxpr):
            return self.program(value)
        if (getattr(value, "name", None), getattr(value, "tag", None)) in _GENERATORS:
            return value.name
        if isinstance(value, tuple | list):
            return f"{type(value).__name__}({','.join([self._param(each) for each in value])})"
        if isinstance(value, Mapping):
            return f"{{{','.join(f'{self._param(key)}:{self._param(each)}' for key, each in value.items())}}}"
        if isinstance(value, frozenset | set):
            return f"{{{','.join(sorted(map(self._param, value)))}}}"
        if isinstance(value, np.dtype):
            _check_key(value)
            return repr(value)
        if isinstance(value, enum.Enum):
            return f"{type(value).__qualname__}.{value.name}"
        if isinstance(value, np.ndarray | np.generic | jax.Array):
            return _number(value)
        if isinstance(value, jax.sharding.Mesh | jax.sharding.AbstractMesh) and value.empty:
            return "no mesh"
        if type(value).__name__ == "UnspecifiedValue":
            return "unspecified"
        if is_dataclass(value) and not isinstance(value, type):
            inside = (f"{field.name}={self._param(getattr(value, field.name))}" for field in fields(value))
            return f"{type(value).__qualname__}({','.join(inside)})"
        raise Unworded(f"a {type(value).__name__}")


_PLAIN: dict[type, Callable[[Any], str]] = dict.fromkeys((int, bool, str, bytes, float, complex, type(None)), repr)


def _number(value: Any) -> str:
    """Of a constant every bit."""
    if type(value) in (bool, int, float, complex):
        return repr(value)
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        raise Unworded(f"the constant {type(value).__name__}")
    _check_key(dtype)
    if jnp.issubdtype(dtype, jax.dtypes.extended):
        value = jax.random.key_data(value)
    try:
        array = np.asarray(value)
    except Exception as error:  # of any kind: what no array can be made of, such as a reference, has no text
        raise Unworded(f"the constant {type(value).__name__}") from error
    if array.dtype == object:
        raise Unworded(f"the constant {type(value).__name__}")
    # Of what is called by several names, as a scalar of an array's dtype, no two have one text by chance.
    return f"{dtype}{array.shape}{hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()}"


def _check_key(dtype: Any) -> None:
    if dtype is not None and jnp.issubdtype(dtype, jax.dtypes.extended) and str(dtype) not in _KEYS:
        raise Unworded(f"numbers of the kind {dtype}")
