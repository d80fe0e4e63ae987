import json
import os
import subprocess

import pytest

from jaxland._version import __version__
from jaxland.execution import Terminated
from jaxland.studies import commands
from jaxland.studies.commands import Command, giving, noted, read_commands
from jaxland.training import Interrupted


def _carry_out(directory, command, error=None):
    with giving(command), noted(directory):
        if error is not None:
            raise error


def test_what_is_noted_is_read_in_order(tmp_path):
    _carry_out(tmp_path, "jaxland run 'a b'")
    with giving("jaxland work x"), noted(tmp_path):
        # Another machine's, which ends before.
        _carry_out(tmp_path, "jaxland work x --name b")
        within = read_commands(tmp_path)
    after = read_commands(tmp_path)
    commands = ["jaxland run 'a b'", "jaxland work x", "jaxland work x --name b"]
    assert [each.command for each in within] == [each.command for each in after] == commands
    assert [each.ended for each in within] == ["done", "not told", "done"]
    assert [each.ended for each in after] == ["done"] * 3
    assert within[1].seconds is None
    assert after[1].seconds is not None
    assert after[1].began == within[1].began
    assert after[0].version == __version__


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (Interrupted(), "stopped"),
        (Terminated(), "stopped"),
        (KeyboardInterrupt(), "stopped"),
        (ArithmeticError("no number"), "failed"),
    ],
)
def test_how_a_command_ended_is_noted(tmp_path, error, ended):
    with pytest.raises(type(error)):
        _carry_out(tmp_path, "jaxland run x", error)
    assert [each.ended for each in read_commands(tmp_path)] == [ended]


def test_what_is_called_from_python_is_no_command(tmp_path):
    _carry_out(tmp_path, "jaxland run x")
    with noted(tmp_path):
        pass
    assert len(read_commands(tmp_path)) == 1


def test_lines_of_earlier_versions_are_read(tmp_path):
    (tmp_path / "logs").mkdir()
    lines = [Command("a", seconds, "jaxland run x", "1", "done")._asdict() for seconds in (2, 3.5)]
    (tmp_path / "logs" / "commands.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [each.seconds for each in read_commands(tmp_path)] == [2, 3.5]


@pytest.mark.parametrize("line", ["", "[]", "{", '{"began": "x"}', json.dumps([1] * 5), "\0"])
def test_lines_that_are_none_are_left_out(tmp_path, line):
    _carry_out(tmp_path, "jaxland run x")
    with (tmp_path / "logs" / "commands.jsonl").open("a") as file:
        file.write(f"{line}\n")
    _carry_out(tmp_path, "jaxland resume x")
    assert [each.command for each in read_commands(tmp_path)] == ["jaxland run x", "jaxland resume x"]


@pytest.mark.parametrize("wrong", [{"seconds": "2"}, {"command": ["x"]}, {"id": 3}, {"ended": None}])
def test_values_of_another_kind_are_left_out(tmp_path, wrong):
    (tmp_path / "logs").mkdir()
    line = {**Command("a", 2, "x", "1", "done")._asdict(), "id": "b"}
    (tmp_path / "logs" / "commands.jsonl").write_text(json.dumps({**line, **wrong}))
    assert read_commands(tmp_path) == []


def test_where_nothing_can_be_written_or_read_nothing_is_said(tmp_path):
    assert read_commands(tmp_path) == []
    _carry_out(tmp_path / "absent", "jaxland run x")
    assert os.listdir(tmp_path) == []
    (tmp_path / "logs").write_text("")
    _carry_out(tmp_path, "jaxland run x")
    assert read_commands(tmp_path) == []


def test_the_commit_of_a_checkout_is_noted_and_older_lines_are_read(tmp_path, monkeypatch):
    checkout = tmp_path / "code"
    file = checkout / "jaxland" / "studies" / "commands.py"
    file.parent.mkdir(parents=True)
    file.write_text("")
    monkeypatch.setattr(commands, "__file__", str(file))
    assert commands.code_commit() == ""
    git = ["git", "-C", str(checkout), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    told = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    _carry_out(tmp_path, "jaxland run x")
    file.write_text("changed")
    _carry_out(tmp_path, "jaxland resume x")
    path = tmp_path / "logs" / "commands.jsonl"
    earlier = json.loads(path.read_text().splitlines()[1])
    del earlier["commit"], earlier["id"]
    path.write_text(path.read_text() + json.dumps(earlier) + "\n")
    found = [each.commit for each in read_commands(tmp_path)]
    assert found == [told[:12], f"{told[:12]}-dirty", ""]
