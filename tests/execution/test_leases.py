"""Leases between workers that share nothing but a directory; time is that of whoever looks, and is turned by hand."""

import json
import threading

import pytest

from jaxland.execution import OWNERS, Leases, leases


@pytest.fixture
def clock(monkeypatch):
    """Seconds of this machine's monotonic clock, in a list of one."""
    now = [1000.0]
    monkeypatch.setattr(leases.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(leases.time, "time", lambda: pytest.fail("clocks of machines say nothing"))
    return now


@pytest.fixture
def pair(tmp_path):
    return [Leases(tmp_path / "leases", name, 60) for name in ("one", "two")]


def _taken_over_at(watcher, name, lost, state, clock):
    """After a first look, and a second one more than a minute later."""
    if watcher.take_over(name, lost, state):
        return True
    clock[0] += 61
    return watcher.take_over(name, lost, state)


def _taken_over(watcher, name, lost, clock):
    return _taken_over_at(watcher, name, lost, "", clock)


def test_a_lease_has_one_owner(pair):
    one, two = pair
    assert one.claim("a")
    assert not two.claim("a")
    assert not one.claim("a")
    assert two.claim("b")
    assert one.lost_owners() == two.lost_owners() == {"a": 0, "b": 0}
    one.clear("a")
    assert two.claim("a")


def test_a_thousand_attempts_at_once_have_one_winner(tmp_path):
    workers = [Leases(tmp_path, f"worker {number}") for number in range(16)]
    won = []

    def claim(worker):
        won.extend(number for number in range(60) if worker.claim(f"{number}"))

    threads = [threading.Thread(target=claim, args=(worker,)) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == list(range(60))


def test_an_owner_that_gives_no_sign_is_lost_and_one_that_does_is_not(pair, clock):
    one, two = pair
    assert one.claim("a")
    assert not two.take_over("a", 0)
    clock[0] += 59
    assert not two.take_over("a", 0)
    one._write("a", beat=1)
    clock[0] += 59
    assert not two.take_over("a", 0)
    clock[0] += 61
    assert two.take_over("a", 0)
    assert two.lost_owners() == {"a": 1}


def test_a_watcher_that_was_asleep_judges_by_what_it_sees_then(pair, clock):
    one, two = pair
    one.claim("a")
    two.take_over("a", 0)
    clock[0] += 10_000
    one._write("a", beat=7)
    assert not two.take_over("a", 0)


def test_whether_a_lease_is_held(pair, clock):
    one, two = pair
    assert not two.is_held("a")
    one.claim("a")
    for beat in range(3):
        assert two.is_held("a")
        clock[0] += 40
        one._write("a", beat=beat)
    assert two.is_held("a")
    clock[0] += 61
    assert not two.is_held("a")
    one.clear("a")
    assert not two.is_held("a")


def test_a_lease_is_kept_alive_while_work_is_done(tmp_path):
    one = Leases(tmp_path, "one", 0.3)
    one.claim("a")
    ended = threading.Event()
    with one.kept("a"):
        ended.wait(0.5)
    assert one.facts("a", 0)["beat"] >= 3


def test_the_dead_who_come_back_touch_nothing_that_is_anothers(pair, clock):
    one, two = pair
    one.claim("a")
    assert _taken_over(two, "a", 0, clock)
    one.give_back("a")
    one.fail("a", "late")
    assert two.facts("a", 1) == {"worker": "two", "seconds": 60, "beat": 0}
    two.clear("a")
    assert two.claim("a")
    one._write("a", beat=9)
    one.give_back("a")
    assert two.facts("a", 0) == {"worker": "two", "seconds": 60, "beat": 0}
    two.clear("a")
    one._write("a", beat=10)
    assert one.lost_owners() == {}


def test_a_failure_is_tried_again_at_once_and_given_up_after_three(pair, clock):
    one, two = pair
    one.claim("a")
    one.fail("a", "no such luck")
    assert two.take_over("a", 0)
    assert two.failure("a", 1) is None
    assert _taken_over(one, "a", 1, clock)
    assert one.failure("a", 2) is None
    clock[0] += 61
    assert one.failure("a", 2) == "the worker one was lost while it did it"
    one.fail("a", "no luck again")
    assert two.failure("a", 2) == "no luck again"
    assert not two.take_over("a", 2)
    assert OWNERS == 3


def test_lost_owners_do_not_count_as_long_as_there_is_progress(pair, clock):
    one, two = pair
    one.claim("a")
    for lost in range(7):
        assert two.failure("a", lost, f"state {lost}") is None
        assert _taken_over_at(two, "a", lost, f"state {lost + 1}", clock)
    # The last began at state 7, and so do two others, whatever they write meanwhile.
    for lost in (7, 8):
        assert _taken_over_at(one, "a", lost, "state 7", clock)
        one._write("a", beat=1)
    assert two.failure("a", 9, "state 7") is None
    assert not _taken_over_at(two, "a", 9, "state 7", clock)
    assert two.failure("a", 9, "state 7") == "the worker one was lost while it did it"
    assert two.failure("a", 9, "state 8") is None
    two.clear("a")
    assert list(two.folder.iterdir()) == []


def test_half_a_file_says_of_no_progress(pair, clock):
    one, two = pair
    one.claim("a", "state")
    for lost in (0, 1):
        assert _taken_over_at(two, "a", lost, "state", clock)
        (one.folder / f"a.{lost}").write_text("{")
    assert not _taken_over_at(one, "a", 2, "state", clock)


def test_what_is_done_is_never_lost(pair, clock):
    one, two = pair
    one.claim("a")
    one.finish("a")
    assert not _taken_over(two, "a", 0, clock)
    assert two.facts("a", 0)["done"] is True


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"worker": 3}'])
def test_half_a_file_is_no_sign_of_death_until_it_stays(pair, clock, content):
    one, two = pair
    one.claim("a")
    (one.folder / "a.0").write_text(content)
    assert not two.take_over("a", 0)
    clock[0] += 61
    assert two.take_over("a", 0)
    assert json.loads((one.folder / "a.1").read_text())["worker"] == "two"
