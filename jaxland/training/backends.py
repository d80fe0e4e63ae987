"""The choice of backend, with its reason."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxland._names import lookup
from jaxland.training.devices import local_platform
from jaxland.training.ensemble import Ensemble
from jaxland.training.trainer import Trainer
from jaxland.training.xla import XlaTrainer


class Choice(NamedTuple):
    """A backend made ready, and why it was chosen."""

    trainer: Trainer
    explanation: str


# Imported when used: nothing else in jaxland needs a compiler.
def _lanes(ensemble: Ensemble, settings: Mapping[str, Any] | None, automatic: bool = False) -> Trainer:
    from jaxland.training.lanes import LARGEST_PROGRAM, LanesTrainer

    return LanesTrainer(ensemble, settings, largest=LARGEST_PROGRAM if automatic else None)


def _cuda(ensemble: Ensemble, settings: Mapping[str, Any] | None, automatic: bool = False) -> Trainer:
    from jaxland.training.cuda import IN_REGISTERS, LARGEST, CudaTrainer

    return CudaTrainer(ensemble, settings, largest=IN_REGISTERS if automatic else LARGEST)


def _tpu(ensemble: Ensemble, settings: Mapping[str, Any] | None, automatic: bool = False) -> Trainer:
    from jaxland.training.tpu import TpuTrainer

    return TpuTrainer(ensemble, settings)


def _xla(ensemble: Ensemble, settings: Mapping[str, Any] | None, automatic: bool = False) -> Trainer:
    return XlaTrainer(ensemble, settings)


BACKENDS = {"lanes": _lanes, "cuda": _cuda, "tpu": _tpu, "xla": _xla}

_FORESEEN = NotImplementedError, ImportError

_FUSED = {"cpu": "lanes", "gpu": "cuda", "tpu": "tpu"}
"""The backend of fused kernels for each platform."""


def choose_backend(ensemble: Ensemble, backend: str = "auto", settings: Mapping[str, Any] | None = None) -> Choice:
    """Makes a backend ready for the ensemble.

    Args:
        ensemble: what is to be trained.
        backend: a name from `BACKENDS`, or `"auto"`: lanes on a CPU, cuda on an NVIDIA GPU and tpu on a TPU, unless the
            program has no scalar form, is so large that xla is faster, or no kernel can be made that computes what the
            plain program does.
        settings: a trainer's `settings`, recorded when the first fits were trained, to be given with that trainer's
            `name`; chosen anew by default.

    Raises:
        ValueError: unknown name, or settings that cannot be met here.
        Unlowerable: lanes, cuda or tpu was asked for and cannot train this ensemble; the message says why.
        CudaMissing: cuda was asked for, and there is no GPU or a part of CUDA is not installed.
    """
    if backend == "auto":
        return _automatic(ensemble, settings)
    make = lookup("backend", backend, {**BACKENDS, "auto": _xla})
    try:
        trainer = make(ensemble, settings)
    except Exception as error:
        # What xla would train all the same is no error of the user's, but a reason to use another backend.
        if backend == "xla" or settings is not None or isinstance(error, _FORESEEN):
            raise
        from jaxland.training.program.expression import Unlowerable

        raise Unlowerable(_why(backend, error)) from error
    return Choice(trainer, f"{backend}: as asked.")


def _automatic(ensemble, settings) -> Choice:
    platform = local_platform()
    if platform not in _FUSED:
        reason = f"there are kernels for CPUs, NVIDIA GPUs and TPUs, and this process computes on {platform}."
        return Choice(_xla(ensemble, settings), f"xla: {reason}")
    name = _FUSED[platform]
    try:
        trainer = BACKENDS[name](ensemble, settings, automatic=True)
    # Of any kind: who did not ask for a kernel must not be stopped by it, be it the compiler's fault or the driver's.
    # A fault of the user's own shows again in xla, which traces the same functions.
    except Exception as error:
        return Choice(_xla(ensemble, settings), f"xla: {_why(name, error)}")
    return Choice(trainer, f"{name}: {_SENTENCES[name](trainer)}, the whole training loop in one kernel.")


def _why(name: str, error: Exception) -> str:
    """A reason that was foreseen as it stands; any other with its type, to be reported."""
    if isinstance(error, _FORESEEN):
        return str(error)
    first = str(error).strip().partition("\n")[0][:300]
    return f"{name} made no kernel: {type(error).__name__}: {first} (please report it)."


_SENTENCES = {
    "lanes": lambda trainer: f"one fit in each of {trainer.width} lanes",
    "cuda": lambda trainer: f"{trainer.settings['threads']} threads of a GPU a fit",
    "tpu": lambda trainer: "one fit in each of 1,024 places of a register",
}
