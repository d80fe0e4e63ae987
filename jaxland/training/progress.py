"""A progress bar that counts net-steps on the host: true under vmap, threads and resumption."""

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_LINE_SECONDS = 60.0
_SOON = 10.0


@contextmanager
def progress_bar(total: int, title: str, *, done: int = 0, show: bool = True) -> Iterator[Callable[[int], object]]:
    """Shows how many of `total` net-steps are done: a bar on a terminal or in a notebook, else a line a minute.

    The rate and what is left are told from the second report on, of the time since the first: what comes before it is
    mostly compiling.

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
    elif "ipykernel" in sys.modules:
        bar = _Notebook(total, title, done)
        yield bar.update
        bar.show()
    else:
        yield _Lines(total, title, done).update


class _Lines:
    """A line a minute on standard error."""

    seconds = _LINE_SECONDS

    def __init__(self, total, title, done):
        self.total, self.title, self.done = total, title, done
        # The first line comes soon, so that whoever watches knows that it runs.
        self.printed = time.monotonic() - self.seconds + _SOON
        self.first = None

    def update(self, net_steps):
        self.done += net_steps
        now = time.monotonic()
        known = self._rate(now)
        if self.first is None:
            self.first = now, self.done
        if now - self.printed < self.seconds and self.done < self.total:
            return
        self.printed = now
        self.tell(f"{self.title} {self.done / self.total:4.0%}{known}")

    def tell(self, line):
        print(line, file=sys.stderr, flush=True)

    def _rate(self, now):
        """Of the time since the first report, in words; nothing before there is one."""
        if self.first is None or now <= self.first[0]:
            return ""
        rate = (self.done - self.first[1]) / (now - self.first[0])
        if self.done >= self.total or not rate:
            return f"  {rate:.3g} net-steps/s"
        return f"  {rate:.3g} net-steps/s  {(self.total - self.done) / rate:.0f} s left"


class _Notebook(_Lines):
    """A bar below the cell, which is drawn again in its place."""

    seconds = 0.5

    def __init__(self, total, title, done):
        from IPython.display import HTML, display  # pyright: ignore[reportMissingImports]

        super().__init__(total, title, done)
        self.printed = time.monotonic()
        self.line, self.html = title, HTML
        self.handle: Any = display(self._bar(), display_id=True)

    def tell(self, line):
        self.line = line
        self.show()

    def show(self):
        """Draws it as far as it has come."""
        self.handle.update(self._bar())

    def _bar(self):
        bar = f'<progress value="{self.done}" max="{self.total}" aria-label="{html.escape(self.title)}"></progress>'
        return self.html(f"{bar} {html.escape(self.line)}")
