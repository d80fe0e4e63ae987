"""What a backend offers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from jaxland._precision import numerics
from jaxland._short import in_short
from jaxland.training.ensemble import Ensemble, Members

if TYPE_CHECKING:
    Values = np.ndarray
else:
    # Of JAX only where asked for by `on_device`: to all other code, and its type checker, results are NumPy's.
    Values = np.ndarray | jax.Array


class GroupResult(NamedTuple):
    """What a backend, and then `train`, returns; W is the width of the group or the number of fits."""

    params: Float[Values, "W P"]
    initial_loss: Float[Values, "W"]
    loss: Float[Values, "W"]
    best_loss: Float[Values, "W"]
    """Smallest finite loss over steps 0 to S; infinite where no loss was finite."""
    best_step: Int[Values, "W"]
    diverged_step: Int[Values, "W"]
    """First step with a non-finite loss, -1 where there is none; in `train`, S where only parameters are not finite."""
    trace: Float[Values, "W T"]

    __repr__ = in_short


@runtime_checkable
class Trainer(Protocol):
    """A backend made ready for one ensemble. All methods may be called from several threads."""

    name: str
    width: int
    """Fits in a group, in which fit i stands at place i modulo it: bits may depend on that and on nothing else."""
    settings: dict[str, Any]
    """Everything chosen for this machine that decides bits, JSON-able; a trainer made with it computes the same."""
    devices: int
    """How many devices groups can be put on. A fit's bits do not depend on which of them trains it."""
    workers: int
    """Groups worth training at a time: one a device, or one a processor."""
    together: int
    """Groups that one worker best trains as one."""

    def begin(self, members: Members, device: int = 0) -> Any:
        """The state of a group, or of up to `together` of them, before its first step, on one of the devices."""
        ...

    def advance(self, group: Any, steps: int) -> Any:
        """The state `steps` steps later."""
        ...

    def parameters(self, group: Any) -> Float[np.ndarray, "W P"]:
        """The parameters of a group as they stand."""
        ...

    def finish(self, group: Any, *, on_device: bool = False) -> GroupResult:
        """The results of a group after its last step, of NumPy or, on the device where they are, of JAX."""
        ...


@runtime_checkable
class Resumes(Trainer, Protocol):
    """A trainer whose groups can be put aside between two steps, and gone on with."""

    def results(self, group: Any) -> GroupResult:
        """The results of a group as it stands, but for `loss`."""
        ...

    def resumes_at(self, step: int) -> int:
        """The last step up to this one whose state says all that follows."""
        ...

    def state(self, group: Any) -> dict[str, np.ndarray]:
        """What decides the steps to come, and the record, with a row for each member."""
        ...

    def resume(self, group: Any, state: Mapping[str, np.ndarray], which: Bool[np.ndarray, "W"], step: int) -> Any:
        """The group that has just begun with some of its members as they were after so many steps."""
        ...


class Judges(Resumes, Protocol):
    """A trainer that can take ensembles with a validation."""

    def judge(self, group: Any) -> Float[np.ndarray, "W"]:
        """The loss of each member on the points of the ensemble's validation."""
        ...

    def evaluate(self, group: Any) -> Float[np.ndarray, "W"]:
        """The loss of each member over all its points, penalties included."""
        ...


def require_resumes(trainer: Trainer) -> None:
    """Raises TypeError for a trainer whose groups cannot be put aside."""
    if not isinstance(trainer, Resumes):
        raise TypeError(f"fits of backend {trainer.name!r} cannot be trained on later; give backend='xla'.")


class Offered(Trainer, Protocol):
    """A trainer of fused kernels, which `auto` asks for an offer before it takes xla."""

    @property
    def sentence(self) -> str:
        """How it trains, to follow its name in an explanation."""
        ...

    @classmethod
    def offer(cls, ensemble: Ensemble, settings: Mapping[str, Any] | None = None) -> "Offered":
        """The trainer, where it is faster than xla.

        Raises:
            Unlowerable: it is not, or cannot train this ensemble; the message says why.
        """
        ...


_NEEDED = {
    "kernel": "kernel version {}",
    "fused": "a processor where it is {}",
    "processor": "a processor of that kind",
    "device": "a device of kind {!r}",
}
"""What the same bits need besides the settings themselves, which are a trainer's to meet."""


def check_settings(settings: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Makes sure that settings were made by kernels and machines like those here.

    Args:
        settings: of an earlier trainer.
        here: what this version and this machine decide of them, by names of `_NEEDED`.

    Raises:
        ValueError: they were not.
    """
    for name, value in here.items():
        asked = settings.get(name)
        if asked != value:
            needed = _NEEDED[name].format(asked)
            raise ValueError(f"settings say {name}={asked!r}, here it is {value!r}: the same bits need {needed}.")


def as_jax_arrays(result: GroupResult) -> GroupResult:
    """The same results as arrays of JAX, for backends whose results are in the host's memory."""
    with numerics(result.params.dtype):
        arrays: list[Any] = [jnp.asarray(values) for values in result]
        return GroupResult(*arrays)


def check_trace(ensemble: Ensemble, done: int, steps: int) -> None:
    """Kernels write a trace where they are told to, so no step may lie beyond the ensemble's.

    Raises:
        ValueError: losses are traced and the steps are too many.
    """
    if ensemble.trace_every and done + steps > ensemble.steps:
        raise ValueError(f"the trace ends at step {ensemble.steps}; {steps} more after {done} are too many.")


class Interrupted(Exception):
    """Training was asked to stop before it was done; nothing of this call is kept.

    Attributes:
        signal_number: the signal that asked, 2 (SIGINT) where it is not known.
    """

    signal_number: int = 2
