"""Steps of a benchmark on one study directory, each in a process of its own: its time, that of its processors, which is
longer by less on a machine with other work, and its peak memory.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Step = Callable[[Path, int], str]
"""`study directory, size -> what to say`."""


def measure(steps: Sequence[Step], size: int) -> None:
    """Prints a line a step; the first argument of the command, if there is one, is the size."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else size
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for step in steps:
            sink = context.Queue()
            process = context.Process(target=_measured, args=(step, Path(folder) / "run", size, sink))
            process.start()
            print(sink.get(), flush=True)
            process.join()


def _measured(step: Step, path: Path, size: int, sink) -> None:
    began, before = time.perf_counter(), time.process_time()
    said = step(path, size)
    cpu = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sink.put(f"{step.__name__:<16} {time.perf_counter() - began:7.1f} s  {cpu:7.1f} CPU s  {peak:6.0f} MB peak  {said}")
