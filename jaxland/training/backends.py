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


def _lanes(ensemble: Ensemble, settings: Mapping[str, Any] | None) -> Trainer:
    # Imported when used: nothing else in jaxland needs a compiler.
    from jaxland.training.lanes import LanesTrainer

    return LanesTrainer(ensemble, settings)


def _cuda(ensemble: Ensemble, settings: Mapping[str, Any] | None) -> Trainer:
    from jaxland.training.cuda import CudaTrainer

    return CudaTrainer(ensemble, settings)


def _tpu(ensemble: Ensemble, settings: Mapping[str, Any] | None) -> Trainer:
    from jaxland.training.tpu import TpuTrainer

    return TpuTrainer(ensemble, settings)


BACKENDS = {"lanes": _lanes, "cuda": _cuda, "tpu": _tpu, "xla": XlaTrainer}


def choose_backend(ensemble: Ensemble, backend: str = "auto", settings: Mapping[str, Any] | None = None) -> Choice:
    """Makes a backend ready for the ensemble.

    Args:
        ensemble: what is to be trained.
        backend: a name from `BACKENDS`, or `"auto"`: lanes on a CPU, cuda on an NVIDIA GPU and tpu on a TPU, unless the
            program has no scalar form or is so large that xla is faster.
        settings: a trainer's `settings`, recorded when the first fits were trained, to be given with that trainer's
            `name`; chosen anew by default.

    Raises:
        ValueError: unknown name, or settings that cannot be met here.
        Unlowerable: lanes, cuda or tpu was asked for and cannot train this ensemble; the message says why.
        CudaMissing: cuda was asked for, and there is no GPU or a part of CUDA is not installed.
    """
    if backend != "auto":
        trainer = lookup("backend", backend, {**BACKENDS, "auto": XlaTrainer})
        return Choice(trainer(ensemble, settings), f"{backend}: as asked.")
    chosen = {"cpu": _auto_lanes, "gpu": _auto_cuda, "tpu": _auto_tpu}.get(local_platform())
    if chosen is None:
        reason = f"there are kernels for CPUs, NVIDIA GPUs and TPUs, and this process computes on {local_platform()}."
        return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")
    return chosen(ensemble, settings)


def _auto_lanes(ensemble, settings) -> Choice:
    from jaxland.training.lanes import LARGEST_PROGRAM, LanesTrainer, Unlowerable

    try:
        trainer = LanesTrainer(ensemble, settings, largest=LARGEST_PROGRAM)
    except Unlowerable as reason:
        return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")
    return Choice(trainer, f"lanes: one fit in each of {trainer.width} lanes, the whole training loop in one kernel.")


def _auto_cuda(ensemble, settings) -> Choice:
    from jaxland.training.cuda import IN_REGISTERS, CudaMissing, CudaTrainer
    from jaxland.training.lanes import Unlowerable

    try:
        trainer = CudaTrainer(ensemble, settings, largest=IN_REGISTERS)
    # A driver that refuses a call must not stop those who did not ask for this backend.
    except (Unlowerable, CudaMissing, RuntimeError) as reason:
        return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")
    threads = trainer.settings["threads"]
    return Choice(trainer, f"cuda: {threads} threads of a GPU a fit, the whole training loop in one kernel.")


def _auto_tpu(ensemble, settings) -> Choice:
    from jaxland.training.lanes import Unlowerable
    from jaxland.training.tpu import TpuTrainer

    try:
        trainer = TpuTrainer(ensemble, settings)
    except Unlowerable as reason:
        return Choice(XlaTrainer(ensemble, settings), f"xla: {reason}")
    return Choice(trainer, "tpu: one fit in each of 1,024 places of a register, the whole training loop in one kernel.")
