"""What `--dry-run` says of time is measured on what a run would do."""

import numpy as np
import small_study

from jaxland.studies import engine
from jaxland.studies.fitting import prepare


class _Slow:
    """A trainer whose groups take their time to begin, which no number of steps makes up for."""

    def __init__(self, trainer, pauses, pause):
        self._trainer, self._pauses, self._pause = trainer, pauses, pause

    def __getattr__(self, name):
        return getattr(self._trainer, name)

    def begin(self, *arguments):
        self._pauses.append(1)
        self._pause(0.03)
        return self._trainer.begin(*arguments)


def test_a_plan_counts_what_fits_cost_beside_their_steps(monkeypatch):
    """The least that fits can take, as each group rests before it begins."""
    from time import sleep

    (prepared, *_) = prepare(small_study.STUDY, small_study.Config(steps=4)).values()
    begun = []
    slow = prepared._replace(trainer=_Slow(prepared.trainer, begun, sleep))
    width = prepared.trainer.width
    pace = engine.measure_pace(slow, 2 * width, threads=1, seconds=0.1)
    assert begun
    assert pace.rate <= width * 4 / 0.03


def test_long_fits_are_not_trained_to_their_end_for_a_plan():
    steps = 10**9
    (prepared, *_) = prepare(small_study.STUDY, small_study.Config(steps=steps)).values()
    pace = engine.measure_pace(prepared, 16, threads=1, seconds=0.02)
    assert 0 < pace.rate < np.inf
    assert pace.once == 0
