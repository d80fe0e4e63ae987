"""What a person sees in a terminal: width, colour, flags, completion, progress."""

import contextlib
import re
import subprocess
import sys
import time
import typing

import pytest

from jaxland import cli
from jaxland._terminal import told
from jaxland.cli import COMMANDS, main
from jaxland.training import BACKENDS, progress


@pytest.mark.parametrize(
    "command", [[], ["run"], ["studies"], ["studies", "sawtooth"], *([name, "--help"] for name in COMMANDS)]
)
def test_everything_fits_the_terminal(command, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with contextlib.suppress(SystemExit):  # which ends help
        main(command)
    text = capsys.readouterr().out
    assert text
    assert max(map(len, text.splitlines())) <= 80


def test_a_message_is_as_wide_as_the_terminal_and_whole_in_a_pipe(monkeypatch, capsys):
    assert main(["run", "sawtoth"]) == 2
    whole = capsys.readouterr().err
    assert len(whole.splitlines()) == 2
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert main(["run", "sawtoth"]) == 2
    text = capsys.readouterr().err
    assert max(map(len, text.splitlines())) <= 60
    assert text.split() == whole.split()


def test_commands_in_a_message_stay_whole(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    command = "  jaxland resume " + "a" * 200
    assert told(f"Stopped.\n{command}", sys.stderr) == f"Stopped.\n{command}"


def test_flags_say_nothing_that_says_nothing(capsys):
    with pytest.raises(SystemExit):
        main(["run", "sawtooth", "--help"])
    text = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "None" not in text
    assert "(default: )" not in text
    choices = re.search(r"--backend \{(.*?)\}", text)
    assert choices
    assert set(choices[1].split(",")) == {"auto", *BACKENDS}
    assert "--compress {True,False}" in text
    assert "(default: 50000)" in text


@pytest.mark.parametrize(("forbidden", "coloured"), [("", True), ("1", False)])
def test_no_color_is_obeyed(forbidden, coloured, monkeypatch, capsys):
    monkeypatch.setenv("NO_COLOR", forbidden)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit):
        main(["status", "--help"])
    assert ("\x1b[" in capsys.readouterr().out) == coloured


def test_a_shell_completes_commands_and_studies(capsys):
    assert main(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    asked = 'COMP_CWORD=%d; COMP_WORDS=(jaxland %s); _jaxland; echo "${COMPREPLY[@]}"'
    for count, words, found in [(1, "re", "resume report"), (2, "run sa", "sawtooth")]:
        done = subprocess.run(["bash", "-c", f"{script}\n{asked % (count, words)}"], capture_output=True, text=True)
        assert done.stdout.strip() == found
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("autoload -Uz bashcompinit")


def test_progress_in_a_pipe_estimates_nothing_before_it_knows(capsys, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress.progress_bar(1000, "saw") as report:
        # The first hundred take a minute, most of it compiling; the others ten to a second.
        for seconds, steps in [(60, 100), (1, 10), (59, 590), (30, 300)]:
            now[0] += seconds
            report(steps)
    assert capsys.readouterr().err.splitlines() == [
        "saw  10%",
        "saw  70%  10 net-steps/s  30 s left",
        "saw 100%  10 net-steps/s",
    ]


def test_open_shows_the_page_that_it_writes(tmp_path, monkeypatch, capsys):
    pages = []

    def written(directory, out, say):
        path = directory / "report.html"
        path.write_text("<p>a page</p>")
        return path

    monkeypatch.setattr("jaxland.report.write_report", written)
    monkeypatch.setattr("webbrowser.open", lambda page: pages.append(page) or len(pages) == 1)
    assert main(["open", str(tmp_path)]) == 0
    assert pages == [(tmp_path / "report.html").as_uri()]
    assert "no browser" not in capsys.readouterr().out
    assert main(["open", str(tmp_path)]) == 0
    assert f"open {tmp_path / 'report.html'} where there is one" in capsys.readouterr().out


def test_settings_are_told_once():
    """Help that is asked for again finds the hints of the first time, and adds nothing to them."""
    found = []
    for _ in range(2):
        with pytest.raises(SystemExit):
            main(["run", "sawtooth", "--help"])
        found.append(typing.get_type_hints(cli._Options, include_extras=True))
    assert found[0] == found[1]
