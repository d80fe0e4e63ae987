"""Optax transformations, whatever they want to know of the loss."""

import re
from typing import Any

import jax
import optax

_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def taking_what_it_takes(
    transformation: optax.GradientTransformationExtraArgs,
) -> optax.GradientTransformationExtraArgs:
    """The transformation, its update called with those of the extra arguments that it takes.

    `chain` hands what it is given to each link that takes extra arguments at all, and some take theirs alone. So what
    is taken is found by trying; an update is a pure function. Besides `value`, `grad` and `value_fn` there are, for
    those that ask for them, `obj_fn`, another name of `value_fn`, and `grad_fn(params, step)`, its gradient.
    """

    def update(updates, state, params=None, **known):
        spare = _derived(known["value_fn"]) if "value_fn" in known else {}
        while True:
            try:
                return transformation.update(updates, state, params, **known)
            except (TypeError, ValueError) as error:
                refused, wanted = _refused(error, known), _named(error, spare)
                if not refused and not wanted:
                    raise
            if refused:
                del known[refused]
            else:
                known[wanted] = spare.pop(wanted)

    return optax.GradientTransformationExtraArgs(transformation.init, update)


def _refused(error: Exception, known: dict[str, Any]) -> str:
    match = _UNEXPECTED.search(str(error))
    return match[1] if match and match[1] in known else ""


def _named(error: Exception, spare: dict[str, Any]) -> str:
    return next((name for name in spare if name in str(error)), "")


def _derived(value_fn) -> dict[str, Any]:
    return {"obj_fn": value_fn, "grad_fn": lambda params, *_: jax.grad(value_fn)(params)}
