"""Timing ways of doing the same work, in turn, so that a change of the machine's speed touches all alike."""

import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jaxland.training import Ensemble, Trainer

# Thread pools of the way before may go on spinning for a while after their work is done.
_REST = 0.1

Timed = Callable[[], float]
"""Does some work and returns its rate, such as net-steps per second."""


def on_threads(work: Callable[[], int], threads: int) -> Timed:
    """Runs `work`, which returns how much it did, on so many threads at a time."""

    def timed():
        with ThreadPoolExecutor(threads) as pool:
            began = time.perf_counter()
            done = sum(future.result() for future in [pool.submit(work) for _ in range(threads)])
            return done / (time.perf_counter() - began)

    return timed


def medians(
    ways: Mapping[str, Timed], rounds: int = 7, on_error: Callable[[str, Exception], object] | None = None
) -> dict[str, float]:
    """Median rate of each way over so many rounds, after one round of warm-up. All are timed once a round.

    Args:
        ways: what is timed.
        rounds: how often.
        on_error: told of a way that fails, which is left out; by default its error is raised.
    """
    ways, readings = dict(ways), {name: [] for name in ways}
    for index in range(rounds + 1):
        for name, timed in list(ways.items()):
            time.sleep(_REST)
            try:
                rate = timed()
            except Exception as error:  # of any kind, for whoever asked to hear of it: other ways are still timed
                if on_error is None:
                    raise
                on_error(name, error)
                del ways[name]
                continue
            if index:
                readings[name].append(rate)
    return {name: statistics.median(readings[name]) for name in ways}


def steady(trainer: Trainer, ensemble: Ensemble, threads: int = 1, seconds: float = 0.3, *, trained: int = 1) -> Timed:
    """Reports net-steps per second of groups in the middle of their training, beginning and end left out.

    Args:
        trainer: made ready for `ensemble`.
        ensemble: of so many steps that a benchmark never ends them.
        threads: groups trained side by side.
        seconds: a measurement lasts about as long.
        trained: steps before that, or as many as can be done in so many seconds.
    """
    width = trainer.width * trainer.together
    members = ensemble.members(np.arange(width) + ensemble.first)
    groups = [trainer.advance(trainer.begin(members), 1) for _ in range(threads)]
    for place in range(threads):
        began, done = time.perf_counter(), 1
        while done < trained and time.perf_counter() - began < seconds:
            steps = min(64, trained - done)
            groups[place], done = trainer.advance(groups[place], steps), done + steps
    free = list(range(threads))

    def advance(steps: int) -> int:
        place = free.pop()
        groups[place] = trainer.advance(groups[place], steps)
        free.append(place)
        return width * steps

    steps, elapsed = 1, 0.0
    while elapsed < seconds / 4:
        steps *= 2
        began = time.perf_counter()
        advance(steps)
        elapsed = time.perf_counter() - began
    steps = max(1, round(steps * seconds / elapsed))
    return on_threads(lambda: advance(steps), threads)
