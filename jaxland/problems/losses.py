"""Losses: a function of each point's prediction and target, then a mean or a sum over points.

JAX is imported inside of functions, so that the names of losses are known without it.
"""

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from jaxland._names import lookup
from jaxland._numbers import require_named_numbers
from jaxland._short import in_short
from jaxland._types import AnyArray, Array

Reduction = Literal["mean", "sum"]

Components = Literal["as outputs", "labels", "half"]
"""How many numbers a target has: as many as there are outputs; these, or the number of a class alone; half as many."""


@dataclass(frozen=True)
class Loss:
    """A loss that is a sum over points, so that it can be evaluated a tile of points at a time.

        Loss("log_cosh", lambda prediction, target: jnp.log(jnp.cosh(prediction - target)))
        Loss("cross_entropy", pointwise=optax.softmax_cross_entropy)
        Loss("power", lambda p, t, exponent: abs(p - t) ** exponent, numbers={"exponent": 1.5})

    Attributes:
        name: used in tables.
        elementwise: `(prediction, target) -> loss` on arrays of equal shape, where outputs do not depend on each other.
        outputs: how the O elementwise losses of a point are joined.
        points: how the losses of the N points are joined.
        pointwise: `(prediction, target) -> loss` from (N, O) to (N,), in place of `elementwise`, where outputs do.
        least_squares: whether it is squared errors times a number, as Levenberg-Marquardt needs it to be.
        numbers: what the function takes by name besides, with the values it has unless `hyperparameters` of a fit say
            otherwise: the level of a quantile, for instance.
        components: of a target, of a pointwise loss.
        allowed: `(targets) -> what is wrong with them`, in words, "" where nothing is.
        ranges: between which two each of the `numbers` must lie, of those that are not free.

    Raises:
        TypeError: neither or both of `elementwise` and `pointwise` are given, one is no function, or numbers are none.
        ValueError: an attribute out of range.
    """

    name: str
    elementwise: Callable[..., Float[AnyArray, "N O"]] | None = None
    outputs: Reduction = "mean"
    points: Reduction = "mean"
    _: KW_ONLY
    pointwise: Callable[..., Float[AnyArray, "N"]] | None = None
    least_squares: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict, hash=False)
    components: Components = "as outputs"
    allowed: Callable[[np.ndarray], str] | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict, hash=False)

    __repr__ = in_short

    def __post_init__(self):
        if not isinstance(self.name, str):
            raise TypeError(f"a loss needs a name, as in Loss('log_cosh', function); got {self.name!r}.")
        if (self.elementwise is None) == (self.pointwise is None):
            raise TypeError(f"loss {self.name!r} needs a function: either elementwise or pointwise.")
        for name in ("elementwise", "pointwise", "allowed"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise TypeError(f"loss {self.name!r}: {name} must be a function; got {getattr(self, name)!r}.")
        require_named_numbers(f"loss {self.name!r}: numbers", self.numbers)
        for name, value in self.numbers.items():
            self.require_in_range(name, value)
        kinds = {"outputs": get_args(Reduction), "points": get_args(Reduction), "components": get_args(Components)}
        for name, known in kinds.items():
            if getattr(self, name) not in known:
                raise ValueError(
                    f"loss {self.name!r}: {name} must be one of {', '.join(known)}; got {getattr(self, name)!r}."
                )

    def values(
        self, prediction: Float[AnyArray, "N O"], target: Float[AnyArray, "N K"], numbers: Mapping[str, Any] = {}
    ) -> AnyArray:
        """What is weighted and summed: a number for each output of each point, or for each point.

        Args:
            prediction: of the network.
            target: with as many components as the loss takes.
            numbers: in place of the loss's own.
        """
        function = self.elementwise or self.pointwise
        assert function is not None
        return function(prediction, target, **{name: numbers.get(name, value) for name, value in self.numbers.items()})

    def weight(self, points: int, outputs: int) -> float:
        """What each of the values is multiplied by before all are summed."""
        mean_of_outputs = self.pointwise is None and self.outputs == "mean"
        return (1 / points if self.points == "mean" else 1.0) * (1 / outputs if mean_of_outputs else 1.0)

    def __call__(
        self,
        prediction: Float[AnyArray, "N O"],
        target: Float[AnyArray, "N K"],
        weights: Float[AnyArray, "N"] | None = None,
        numbers: Mapping[str, Any] = {},
    ) -> Float[Array, ""]:
        """The loss of N predictions.

        Args:
            prediction, target, numbers: as in `values`.
            weights: a factor for each point; see `normalized`.
        """
        import jax.numpy as jnp

        total = jnp.sum(self.weighted(prediction, target, weights, numbers))
        weight = self.weight(*prediction.shape)
        return total if weight == 1 else weight * total

    def weighted(self, prediction: Any, target: Any, weights: Any, numbers: Mapping[str, Any]) -> AnyArray:
        """`values`, each point's times its weight."""
        values = self.values(prediction, target, numbers)
        if weights is None:
            return values
        return values * (weights if values.ndim == 1 else weights[:, None])

    def normalized(self, weights: Float[np.ndarray, "... N"]) -> Float[np.ndarray, "... N"]:
        """The factors of points: for a mean, weights divided by their mean, so that it is a weighted mean."""
        if self.points != "mean":
            return weights
        weights = weights / weights.max(axis=-1, keepdims=True)  # so that no sum of large ones is infinite
        return weights / weights.mean(axis=-1, keepdims=True)

    def require_in_range(self, name: str, values: Any) -> None:
        """Raises ValueError where one of some values of a number has no meaning for the loss."""
        if name not in self.ranges:
            return
        low, high = self.ranges[name]
        values = np.asarray(values)
        bad = ~((values > low) & (values < high))
        if bad.any():
            between = f"above {low:g}" if high == np.inf else f"between {low:g} and {high:g}"
            raise ValueError(f"loss {self.name!r}: {name} must lie {between}; got {values[bad].flat[0]:g}.")

    def takes(self, outputs: int, components: int) -> bool:
        """Whether it takes targets of so many components for so many outputs."""
        if self.components == "half":
            return outputs == 2 * components
        return components == outputs or (self.components == "labels" and components == 1)

    def what_is_wrong(self, targets: Float[np.ndarray, "... N K"], outputs: int) -> str:
        """Why the loss has no meaning for some targets, in words, "" where it has."""
        if self.components == "labels" and targets.shape[-1] == 1 and outputs > 1:
            return _no_classes(targets, outputs)
        return self.allowed(targets) if self.allowed else ""


def _no_classes(labels, outputs) -> str:
    bad = (labels != np.floor(labels)) | (labels < 0) | (labels >= outputs)
    if not bad.any():
        return ""
    return f"has the label {labels[bad][0]:g}, where {outputs} outputs are of the classes 0 to {outputs - 1}"


def _no_shares(targets) -> str:
    sums = targets.sum(axis=-1)
    bad = (targets < 0).any(axis=-1) | (np.abs(sums - 1) > 1e-3)
    return f"has a row that is no distribution over classes: its sum is {sums[bad][0]:g}" if bad.any() else ""


def _no_probabilities(targets) -> str:
    bad = (targets < 0) | (targets > 1)
    return f"has {targets[bad][0]:g}, which is no probability; give 0 and 1" if bad.any() else ""


def _no_counts(targets) -> str:
    return f"has {targets.min():g}; counts are not negative" if (targets < 0).any() else ""


def _squared_error(prediction, target):
    return (prediction - target) ** 2


def _half_squared_error(prediction, target):
    return 0.5 * (prediction - target) ** 2


def _absolute_error(prediction, target):
    return abs(prediction - target)


def _huber(prediction, target, delta):
    import optax

    return optax.huber_loss(prediction, target, delta=delta)


def _quantile(prediction, target, level):
    import jax.numpy as jnp

    error = target - prediction
    return jnp.maximum(level * error, (level - 1) * error)


def _poisson(prediction, target):
    import jax.numpy as jnp

    return jnp.exp(prediction) - target * prediction


def _binary_cross_entropy(prediction, target):
    import optax

    return optax.sigmoid_binary_cross_entropy(prediction, target)


def _softmax_cross_entropy(prediction, target):
    import jax
    import jax.numpy as jnp

    if target.shape[1] != prediction.shape[1]:
        target = (target == jnp.arange(prediction.shape[1], dtype=target.dtype)[None]).astype(prediction.dtype)
    return -jnp.sum(target * jax.nn.log_softmax(prediction, axis=1), axis=1)


def _gaussian_nll(prediction, target):
    import jax.numpy as jnp

    mean, log_variance = prediction[:, : target.shape[1]], prediction[:, target.shape[1] :]
    error = (target - mean) ** 2 * jnp.exp(-log_variance)
    return 0.5 * jnp.sum(error + log_variance + np.log(2 * np.pi), axis=1)


LOSSES = {
    loss.name: loss
    for loss in (
        Loss("mean_squared_error", _squared_error, least_squares=True),
        Loss("half_mean_squared_error", _half_squared_error, least_squares=True),
        Loss("sum_squared_error", _squared_error, outputs="sum", points="sum", least_squares=True),
        Loss("mean_sum_squared_error", _squared_error, outputs="sum", least_squares=True),
        Loss("mean_absolute_error", _absolute_error),
        Loss("huber", _huber, numbers={"delta": 1.0}, ranges={"delta": (0, np.inf)}),
        Loss("quantile", _quantile, numbers={"level": 0.5}, ranges={"level": (0, 1)}),
        Loss("poisson", _poisson, allowed=_no_counts),
        Loss("binary_cross_entropy", _binary_cross_entropy, allowed=_no_probabilities),
        Loss("softmax_cross_entropy", pointwise=_softmax_cross_entropy, components="labels", allowed=_no_shares),
        Loss("gaussian_nll", pointwise=_gaussian_nll, components="half"),
    )
}
"""Losses by name. Of those that are no plain errors,

`huber` takes `delta`, half the width of its quadratic part (Huber, 1964); `quantile` takes `level`, and its minimum is
that quantile (Koenker and Bassett, 1978); `poisson` takes the logarithm of a rate and counts, without the term log(y!)
that no parameter changes; `binary_cross_entropy` takes logits and probabilities, mostly 0 or 1;
`softmax_cross_entropy` takes a logit for each class and either the number of the class, (N, 1), or a share for each,
(N, O); `gaussian_nll` takes means and then as many logarithms of variances, and is summed over components.
"""


def get_loss(name: str) -> Loss:
    """Returns the entry of `LOSSES` with this name.

    Raises:
        ValueError: there is none.
    """
    return lookup("loss", name, LOSSES)
