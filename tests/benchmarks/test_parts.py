"""The parts of a long measurement: none stops another, none overruns, and what was found is on disk."""

import csv
import json

from machine.parts import Check, Parts


class _Clock:
    now = 100.0

    def __call__(self):
        return self.now


def _parts(folder, minutes=1.0):
    clock, lines = _Clock(), []
    return Parts(folder, minutes, lines.append, clock), clock, lines


def test_a_failure_is_shown_and_the_rest_goes_on(tmp_path):
    parts, _, lines = _parts(tmp_path)
    done = []
    parts.run("first", 0, lambda: done.append(1 / 0))
    parts.run("second", 0, lambda: done.append("second"))
    assert done == ["second"]
    assert parts.close() == 1
    text = (tmp_path / "gpu.md").read_text()
    assert text == "\n".join(lines) + "\n"
    assert "ZeroDivisionError" in text
    assert "failed: first" in text
    assert json.loads((tmp_path / "gpu.json").read_text())["failed"] == ["first"]


def test_after_a_fault_of_the_device_nothing_more_is_tried():
    parts, _, lines = _parts(None)

    def fault():
        parts.left_out("a way", RuntimeError("cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS"))

    parts.run("first", 0, fault)
    parts.run("second", 0, lambda: 1 / 0)
    assert parts.skipped == ["second (the device was lost: CUDA_ERROR_ILLEGAL_ADDRESS)"]
    assert parts.failed == ["a way"]
    assert any("a way: left out: RuntimeError" in line for line in lines)


def test_what_is_not_implemented_or_installed_may_be_missing():
    parts, _, _ = _parts(None)
    parts.left_out("too large", NotImplementedError("3,406 parameters"))
    parts.left_out("a peer", ImportError("no torch"))
    assert parts.close() == 0


def test_what_would_not_fit_is_named_and_shorter_parts_go_on(tmp_path):
    parts, clock, lines = _parts(tmp_path)

    def slow():
        clock.now += 45

    parts.run("slow", 40, slow)
    assert parts.left == 15
    parts.run("long", 20, lambda: 1 / 0)
    parts.run("short", 10, lambda: parts.say("here"))
    assert parts.close() == 0
    assert "here" in lines
    assert parts.skipped == ["long (takes about 20 s, 15 s are left)"]
    assert "failed: nothing" in lines
    assert any(line.startswith("skipped: long") for line in lines)


def test_tables_are_shown_row_by_row_and_kept_whole(tmp_path):
    parts, _, lines = _parts(tmp_path)

    def part():
        table = parts.table("rates", ["way", "rate"])
        table.row("fast", 123456.789)
        assert lines[-1] == "| fast | 1.23e+05 |"
        assert (tmp_path / "gpu.md").read_text().endswith("| fast | 1.23e+05 |\n")
        table.row("absent", None)
        raise RuntimeError("the rest is lost")

    parts.run("rates", 0, part)
    kept = json.loads((tmp_path / "gpu.json").read_text())["tables"]
    assert kept == {"rates": [{"way": "fast", "rate": 123456.789}, {"way": "absent", "rate": None}]}
    with (tmp_path / "gpu.csv").open() as file:
        assert list(csv.reader(file))[2] == ["rates", "0", "rate", "123456.789"]


def test_a_check_that_is_not_passed_counts_as_failed():
    parts, _, lines = _parts(None)
    parts.run("checks", 0, lambda: parts.checks("c", [Check("good", "0", True), Check("bad", "1", False)]))
    assert parts.failed == ["bad"]
    assert "| bad | 1 | **NO** |" in lines
    assert parts.close() == 1
