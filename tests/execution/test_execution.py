import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from jaxland.execution import (
    ShardsFailed,
    ShardTask,
    Terminated,
    default_shard_fits,
    plan_shards,
    raise_on_signals,
    run_shards,
    stop_on_signals,
)


def test_plan_covers_what_is_missing_and_nothing_else():
    tasks = plan_shards({"a": [(10, 70), (90, 91)], "b": [(0, 32)]}, 32)
    assert tasks == [
        ShardTask("a", 10, 32),
        ShardTask("b", 0, 32),
        ShardTask("a", 32, 64),
        ShardTask("a", 64, 70),
        ShardTask("a", 90, 91),
    ]


@pytest.mark.parametrize("fits", [1, 64, 512, 2048, 160_000, 10**9])
def test_shards_are_neither_many_nor_large(fits):
    size = default_shard_fits(fits)
    assert size % 64 == 0
    assert 64 <= size <= 6144
    assert fits / size <= 64 or size == 6144


TASKS = [ShardTask("a", k, k + 1) for k in range(600)]


def test_tasks_are_done_in_order_in_this_thread():
    done = []
    run_shards(TASKS, done.append)
    assert done == TASKS


def test_an_executor_does_every_task():
    done = set()
    with ThreadPoolExecutor(4) as executor:
        run_shards(TASKS, done.add, executor)
    assert done == set(TASKS)


def test_a_failing_shard_is_tried_again_and_then_named():
    attempts, lock = {}, threading.Lock()

    def work(task):
        with lock:
            attempts[task] = attempts.get(task, 0) + 1
        if task.start == 5 and attempts[task] < 3:
            raise RuntimeError("for now")
        if task.start == 7:
            raise RuntimeError("for good")

    with ThreadPoolExecutor(4) as executor, pytest.raises(ShardsFailed, match=r"1 shards failed 3 times(.|\n)*a 7-7"):
        run_shards(TASKS[:20], work, executor)
    assert attempts[TASKS[5]] == attempts[TASKS[7]] == 3
    assert len(attempts) == 20


def _die(task):
    os._exit(1)


def test_dead_workers_end_in_an_error_and_not_in_silence():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
        pytest.raises(Exception, match=r"process pool|failed 3 times"),
    ):
        run_shards(TASKS[:2], _die, executor)


def _terminate_and_wait():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)


def test_sigterm_is_raised_where_nothing_asks():
    before = signal.getsignal(signal.SIGTERM)
    with raise_on_signals():
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(5)
        with pytest.raises(Terminated):
            _terminate_and_wait()
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_to_stop(number):
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        assert stop.signal_number == number
    assert signal.getsignal(number) == before


def test_a_termination_is_not_taken_for_a_failure():
    """Whoever goes on after a failure of any kind, as `auto` does with another backend, does not go on after it."""

    def going_on():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        except Exception:
            pytest.fail("taken for a failure")

    with pytest.raises(Terminated), raise_on_signals():
        going_on()
