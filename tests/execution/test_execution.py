import itertools
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

import pytest

from jaxland.execution import (
    STOPPING,
    ShardsFailed,
    ShardTask,
    Terminated,
    Workers,
    default_shard_fits,
    ended_after,
    kept_open,
    opened,
    plan_shards,
    portable,
    raise_on_signals,
    run_shards,
    stop_on_signals,
    workers,
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


def test_an_error_that_concerns_all_ends_the_run_at_once():
    def work(task):
        raise OSError("the disk is gone")

    with ThreadPoolExecutor(2) as executor, pytest.raises(OSError, match="the disk is gone"):
        run_shards(TASKS, work, executor, fatal=(OSError,))


def test_processes_that_would_be_forked_are_refused():
    with (
        ProcessPoolExecutor(1, mp_context=get_context("fork")) as executor,
        pytest.raises(ValueError, match=r"hangs for ever(.|\n)*jaxland.workers\(4\)(.|\n)*get_context\(\"spawn\"\)"),
    ):
        run_shards(TASKS, print, executor)


class Breaking(Executor):
    """A pool of two workers in this thread, in order, that breaks as one of processes does: with all it still has."""

    _max_workers = 2

    def __init__(self, deadly):
        self.deadly, self.broken, self.queue, self.busy, self.lock = deadly, False, [], False, threading.Lock()
        self.ended = False

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.ended = True

    def submit(self, work, task):
        with self.lock:
            if self.broken:
                raise BrokenProcessPool("broken")
            self.queue.append((Future(), work, task))
            if not self.busy:
                self.busy = True
                threading.Timer(0.005, self.drain).start()
            return self.queue[-1][0]

    def drain(self):
        while True:
            with self.lock:
                self.busy = bool(self.queue)
                if not self.busy:
                    return
                future, work, task = self.queue.pop(0)
                self.broken = self.broken or self.deadly(task)
            if self.broken:
                future.set_exception(BrokenProcessPool("a child was lost"))
            else:
                future.set_result(work(task))


@pytest.mark.parametrize("deadly", [(0,), (0, 1, 2, 3, 4, 5), (7, 300, 599)])
def test_shards_that_kill_every_worker_are_blamed_and_all_others_done(deadly):
    pools, done = [], []

    def make():
        pools.append(Breaking(lambda task: task.start in deadly))
        return pools[-1]

    with pytest.raises(ShardsFailed) as failed:
        run_shards(TASKS, done.append, make)
    assert {task.start for task in failed.value.failures} == set(deadly)
    assert sorted(done) == [task for task in TASKS if task.start not in deadly]
    assert len(pools) <= 2 + 5 * len(deadly)


def test_a_worker_that_is_killed_now_and_then_costs_nothing():
    deaths = itertools.count()
    done = []
    run_shards(TASKS, done.append, lambda: Breaking(lambda task: next(deaths) % 250 == 249))
    assert sorted(done) == TASKS


def test_a_pool_that_always_breaks_is_given_up():
    with pytest.raises(BrokenExecutor, match="16 before it, without one shard done"):
        run_shards(TASKS, print, lambda: Breaking(lambda task: True))


def test_what_is_kept_open_is_made_once_and_again_when_it_broke():
    pools, done, deadly = [], [], {300}

    def make():
        pools.append(Breaking(lambda task: task.start in deadly and not deadly.clear()))
        return pools[-1]

    with kept_open(make) as kept:
        assert kept is not None
        assert pools == []
        run_shards([], done.append, kept)
        assert pools == []
        run_shards(TASKS[:200], done.append, kept)
        run_shards(TASKS[200:], done.append, kept)
        with opened(kept) as pool:
            assert pool is pools[1]
        assert [pool.ended for pool in pools] == [True, False]
    assert sorted(done) == TASKS
    assert [pool.ended for pool in pools] == [True, True]
    single = Breaking(lambda task: False)
    with kept_open(single) as same, kept_open(None) as nothing:
        assert (same, nothing) == (single, None)
    assert not single.ended


def test_an_executor_that_broke_says_what_would_go_on():
    done = []
    with pytest.raises(BrokenExecutor, match=r"Finished shards are kept. Give what makes executors"):
        run_shards(TASKS, done.append, Breaking(lambda task: task.start == 9))
    assert done == TASKS[:9]
    gone = ThreadPoolExecutor(1)
    gone.shutdown()
    with pytest.raises(BrokenExecutor, match=r"cannot schedule new futures"):
        run_shards(TASKS, done.append, gone)


def test_stopping_begins_no_shard_and_asks_those_in_flight():
    from jaxland.training import Interrupted  # here, since worker processes read this file

    stop, asked, begun = threading.Event(), threading.Event(), []

    def work(task):
        begun.append(task)
        stop.set()
        assert asked.wait(10)

    with ThreadPoolExecutor(2) as executor, pytest.raises(Interrupted):
        run_shards(TASKS, work, executor, stop=stop, on_stop=asked.set)
    assert len(begun) <= 2


def _in_a_worker(folder, task):
    if task.start == 1:
        os._exit(3)
    if task.start == 2:
        with ended_after(0.1):
            time.sleep(60)
    if task.start == 3 and not (folder / "killed").exists():
        (folder / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / str(task.start)).touch()


def test_worker_processes_die_alone(tmp_path):
    reported = []
    with pytest.raises(ShardsFailed) as failed:
        run_shards(TASKS[:6], partial(_in_a_worker, tmp_path), Workers(2, 1), on_done=reported.append)
    errors = {task.start: str(error) for task, error in failed.value.failures.items()}
    assert errors == {
        1: "it ended with exit code 3.",
        2: "it was ended because its shard took longer than a shard may.",
    }
    assert {path.name for path in tmp_path.iterdir()} == {"0", "3", "4", "5", "killed"}
    assert {task.start for task in reported} == {0, 3, 4, 5}
    assert multiprocessing.active_children() == []


# What a worker is given takes long; one that is told of its parent's death only at its end would outlive the test.
_PARENT = """
import os, sys, time
from pathlib import Path
from jaxland.execution import Workers


def work(folder):
    (Path(folder) / "new").write_text(str(os.getpid()))
    (Path(folder) / "new").rename(Path(folder) / "worker")
    time.sleep(1000)


if __name__ == "__main__":
    with Workers(1, 1)() as pool:
        pool.submit(work, sys.argv[1]).result()
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(_PARENT)
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)], stderr=subprocess.PIPE, text=True) as parent:
        while parent.poll() is None and not (tmp_path / "worker").exists():
            time.sleep(0.02)
        parent.kill()
        # A worker that is still there has this pipe open, and is waited for here.
        _, errors = parent.communicate(timeout=60)
    assert (tmp_path / "worker").exists(), errors
    assert errors == ""


def test_workers_begin_where_files_are_named_as_the_library_is(tmp_path):
    """In the current directory, which Python would look through first."""
    folder = tmp_path / "here"
    folder.mkdir()
    for name in ("pickle", "socket", "struct", "signal", "multiprocessing", "json", "jaxland"):
        (folder / f"{name}.py").write_text(f"raise SystemExit('{name}.py was imported')")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nfrom jaxland.execution import Workers\n"
        "if __name__ == '__main__':\n"
        "    with Workers(1, 1)() as pool:\n"
        "        print(pool.submit(os.getenv, 'PYTHONSAFEPATH').result(), os.getenv('PYTHONSAFEPATH'))\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=folder, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("None None\n", "")


class Stubborn(Exception):
    """One that cannot be made again from its words."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


def test_errors_travel():
    assert repr(portable(KeyError("a"))) == "KeyError('a')"
    again = pickle.loads(pickle.dumps(portable(Stubborn("this", "that"))))
    assert str(again).endswith("this and that")
    assert "Stubborn" in repr(again)


@pytest.mark.parametrize("bad", [{"count": 0}, {"threads": -1}, {"count": True}])
def test_workers_are_counted(bad):
    with pytest.raises(ValueError, match="must be a positive integer"):
        workers(**bad)
    assert workers(3, 2) == Workers(3, 2)


def _wait_after(number):
    os.kill(os.getpid(), number)
    time.sleep(5)


def test_sigterm_is_raised_where_nothing_asks():
    before = signal.getsignal(signal.SIGTERM)
    with raise_on_signals():
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.wait(5)
        with pytest.raises(Terminated):
            _wait_after(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", STOPPING)
def test_a_signal_asks_to_stop(number, request):
    # Whoever runs the tests may ignore hangups, as nohup does.
    request.addfinalizer(partial(signal.signal, number, signal.getsignal(number)))
    signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(5)
        assert stop.signal_number == number
    assert signal.getsignal(number) == before


def test_what_a_scheduler_sends_is_raised_where_nothing_asks():
    with pytest.raises(Terminated) as raised, raise_on_signals():
        _wait_after(signal.SIGUSR1)
    assert raised.value.signal_number == signal.SIGUSR1


def test_a_hangup_that_is_ignored_stays_ignored():
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.wait(0.05)
    finally:
        signal.signal(signal.SIGHUP, before)


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
