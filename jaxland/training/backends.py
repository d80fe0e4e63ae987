"""The choice of backend, with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, NamedTuple

from jaxland._names import lookup
from jaxland.training.devices import local_platform
from jaxland.training.ensemble import Ensemble
from jaxland.training.program.expression import Unlowerable
from jaxland.training.trainer import Trainer
from jaxland.training.xla import XlaTrainer


class Choice(NamedTuple):
    """A backend made ready, and why it was chosen."""

    trainer: Trainer
    explanation: str


@dataclass(frozen=True)
class Backend:
    """Where the classes of a backend are, as "module:name"; they are imported when it is used, and so are compilers.

    Attributes:
        home: of its trainer; see `jaxland.training.trainer.Offered` where there is a platform.
        platform: the kind of JAX's devices on which `auto` asks it for an offer.
        gradients: of what evaluates losses and gradients with the trainer's kernels, given the ensemble.
        compresses: whether its trainer can take points between kinks together, and is told by `compress`.
    """

    home: str
    platform: str | None = None
    gradients: str | None = None
    compresses: bool = False

    @property
    def trainer(self) -> Any:
        """The class of its trainer."""
        return resolve_name(self.home)


BACKENDS = {
    "lanes": Backend(
        "jaxland.training.lanes:LanesTrainer", "cpu", "jaxland.training.lanes:LanesGradient", compresses=True
    ),
    "cuda": Backend("jaxland.training.cuda:CudaTrainer", "gpu"),
    "tpu": Backend("jaxland.training.tpu:TpuTrainer", "tpu"),
    "xla": Backend("jaxland.training.xla:XlaTrainer"),
}

# `Unlowerable` and `CudaMissing` are of these kinds, and so is what a library says that is not installed.
_FORESEEN = NotImplementedError, ImportError


def choose_backend(
    ensemble: Ensemble,
    backend: str = "auto",
    settings: Mapping[str, Any] | None = None,
    *,
    compress: bool | None = None,
) -> Choice:
    """Makes a backend ready for the ensemble.

    Args:
        ensemble: what is to be trained.
        backend: a name from `BACKENDS`, or `"auto"`: lanes on a CPU, cuda on an NVIDIA GPU and tpu on a TPU, unless the
            program has no scalar form, is so large that xla is faster, or no kernel can be made that computes what the
            plain program does.
        settings: a trainer's `settings`, recorded when the first fits were trained, to be given with that trainer's
            `name`; chosen anew by default.
        compress: whether points between the kinks of a piecewise linear network are taken together; by default where
            that is expected to be faster. True insists, on lanes where the backend is "auto".

    Raises:
        ValueError: unknown name, settings that cannot be met here, or `compress` for a backend that has no such steps.
        Unlowerable: lanes, cuda or tpu was asked for and cannot train this ensemble; the message says why.
        CudaMissing: cuda was asked for, and there is no GPU or a part of CUDA is not installed.
    """
    if compress not in (None, True, False):
        raise TypeError(f"compress must be True, False or None, for the faster; got {compress!r}.")
    named = {each.platform: name for name, each in BACKENDS.items() if each.platform}
    if backend in named and backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; on a {backend} it is {named[backend]!r}, or 'auto'.")
    asked = lookup("backend", backend, {"auto": None, **BACKENDS})
    if asked is None and compress:
        backend, asked = next((name, each) for name, each in BACKENDS.items() if each.compresses)
    if asked is None:
        return _automatic(ensemble, settings, compress)
    if compress and not asked.compresses:
        raise ValueError(f"compress=True is for backend='lanes' on a processor; {backend} takes all points.")
    try:
        trainer = asked.trainer(ensemble, settings, **_how(asked, compress))
    # Of any kind: what xla would train all the same is no error of the user's, but a reason to use another backend.
    except Exception as error:
        if backend == "xla" or settings is not None or isinstance(error, _FORESEEN):
            raise
        raise Unlowerable(_why(backend, error)) from error
    sentence = getattr(trainer, "sentence", "")
    return Choice(trainer, f"{backend}: {sentence}, as asked." if sentence else f"{backend}: as asked.")


def _how(backend: Backend, compress: bool | None) -> dict[str, bool]:
    return {} if compress is None or not backend.compresses else {"compress": compress}


def _automatic(ensemble, settings, compress) -> Choice:
    platform = local_platform()
    reason = f"there are kernels for CPUs, NVIDIA GPUs and TPUs, and this process computes on {platform}."
    for name, backend in BACKENDS.items():
        if backend.platform == platform:
            try:
                trainer = backend.trainer.offer(ensemble, settings, **_how(backend, compress))
            # Of any kind: who did not ask for a kernel must not be stopped by it, be it the compiler's fault or the
            # driver's. A fault of the user's own shows again in xla, which traces the same functions.
            except Exception as error:
                reason = _why(name, error)
            else:
                return Choice(trainer, f"{name}: {trainer.sentence}, the whole training loop in one kernel.")
    return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")


def _why(name: str, error: Exception) -> str:
    """A reason that was foreseen as it stands; any other with its type, to be reported."""
    if isinstance(error, _FORESEEN):
        return str(error)
    first = str(error).strip().partition("\n")[0][:300]
    return f"{name} made no kernel: {type(error).__name__}: {first} (please report it)."
