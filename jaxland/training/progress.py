"""A progress bar that counts net-steps on the host: true under vmap, threads and resumption."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LINE_SECONDS = 10.0


@contextmanager
def progress_bar(total: int, title: str, *, done: int = 0, show: bool = True) -> Iterator[Callable[[int], object]]:
    """Shows how many of `total` net-steps are done, on standard error: a bar on a terminal, else lines.

    Args:
        total: net-steps of the whole job.
        title: stands before the bar.
        done: net-steps done earlier.
        show: False shows nothing.

    Yields:
        A function to be called with the net-steps done since its last call.
    """
    if not show:
        yield lambda net_steps: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        layout = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} net-steps [{elapsed}<{remaining}, {rate_fmt}]"
        with tqdm(total=total, initial=done, desc=title, unit="", unit_scale=True, bar_format=layout) as bar:
            yield bar.update
    else:
        yield _Lines(total, title, done).update


class _Lines:
    def __init__(self, total, title, done):
        self.total, self.title, self.done = total, title, done
        self.began = self.printed = time.monotonic()
        self.at_start = done

    def update(self, net_steps):
        self.done += net_steps
        now = time.monotonic()
        if now - self.printed < _LINE_SECONDS and self.done < self.total:
            return
        self.printed = now
        rate = (self.done - self.at_start) / max(now - self.began, 1e-9)
        left = (self.total - self.done) / max(rate, 1e-9)
        share = self.done / self.total
        print(
            f"{self.title} {share:4.0%}  {rate:.3g} net-steps/s  {left:.0f} s left",
            file=sys.stderr,
            flush=True,
        )
