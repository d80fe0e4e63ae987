import json
import os
import subprocess

import pytest

from jaxland._version import __version__
from jaxland.studies import commands
from jaxland.studies.commands import Command, note_command, read_commands


def test_what_is_noted_is_read_in_order(tmp_path):
    note_command(tmp_path, "jaxland run 'a b'", 0.0, done=False)
    note_command(tmp_path, "jaxland resume x", 86400.0, done=True)
    first, second = read_commands(tmp_path)
    assert (first.began, first.command, first.ended) == ("1970-01-01 00:00:00 UTC", "jaxland run 'a b'", "stopped")
    assert (second.began, second.ended, second.version) == ("1970-01-02 00:00:00 UTC", "done", __version__)
    assert first.seconds > second.seconds > 1e9


@pytest.mark.parametrize("line", ["", "[]", "{", '{"began": "x"}', json.dumps([1] * 5), "\0"])
def test_lines_that_are_none_are_left_out(tmp_path, line):
    note_command(tmp_path, "jaxland run x", 0.0, done=True)
    with (tmp_path / "logs" / "commands.jsonl").open("a") as file:
        file.write(f"{line}\n")
    note_command(tmp_path, "jaxland resume x", 0.0, done=True)
    assert [each.command for each in read_commands(tmp_path)] == ["jaxland run x", "jaxland resume x"]


def test_values_of_another_kind_are_left_out(tmp_path):
    (tmp_path / "logs").mkdir()
    lines = [Command("a", seconds, command, "1", "done")._asdict() for seconds, command in (("2", "x"), (2, ["x"]))]
    (tmp_path / "logs" / "commands.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read_commands(tmp_path) == []


def test_where_nothing_can_be_written_or_read_nothing_is_said(tmp_path):
    assert read_commands(tmp_path) == []
    note_command(tmp_path / "absent", "jaxland run x", 0.0, done=True)
    assert os.listdir(tmp_path) == []
    (tmp_path / "logs").write_text("")
    note_command(tmp_path, "jaxland run x", 0.0, done=True)
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
    note_command(tmp_path, "jaxland run x", 0.0, done=True)
    file.write_text("changed")
    note_command(tmp_path, "jaxland resume x", 0.0, done=True)
    path = tmp_path / "logs" / "commands.jsonl"
    earlier = json.loads(path.read_text().splitlines()[0])
    del earlier["commit"]
    path.write_text(path.read_text() + json.dumps(earlier) + "\n")
    found = [each.commit for each in read_commands(tmp_path)]
    assert found == [told[:12], f"{told[:12]}-dirty", ""]
