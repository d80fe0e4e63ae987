"""Which commands made a study directory, and when: `logs/commands.jsonl`, a line each.

It is beside what is computed: no hash and no shard knows of it.
"""

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from jaxland._version import __version__
from jaxland.studies.worklog import LOGS

_NAME = "commands.jsonl"
_DONE, _STOPPED = "done", "stopped"


class Command(NamedTuple):
    """A command that was carried out in a study directory.

    Attributes:
        began: when, as `2026-11-29 09:10:00 UTC`.
        seconds: how long it took.
        command: as it was typed.
        version: of jaxland.
        ended: `"done"` or `"stopped"`.
        commit: of jaxland's code where it lies in a checkout of git, with `-dirty` where files of it were changed; ""
            elsewhere.
    """

    began: str
    seconds: float
    command: str
    version: str
    ended: str
    commit: str = ""


def note_command(directory: Path, command: str, began: float, *, done: bool) -> None:
    """Adds a command to those of a study directory; one that cannot be noted stops nothing.

    Args:
        directory: of the study.
        command: as it was typed.
        began: when, in seconds since 1970.
        done: whether it ended by itself.
    """
    clock = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(began))
    line = Command(
        clock, round(time.time() - began, 1), command, __version__, _DONE if done else _STOPPED, code_commit()
    )
    with suppress(OSError):
        (directory / LOGS).mkdir(exist_ok=True)
        with (directory / LOGS / _NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line._asdict()) + "\n")


def code_commit() -> str:
    """The commit of jaxland's own checkout; "" where it lies in none, or git does not tell."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return ""
    ask = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(ask, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def read_commands(directory: Path, unreadable: Callable[[str], object] = lambda name: None) -> list[Command]:
    """The commands that were noted, in order; lines that are none are left out.

    Args:
        directory: of the study.
        unreadable: told the file's name where it is there and cannot be read.
    """
    try:
        lines = (directory / LOGS / _NAME).read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError):
        unreadable(f"{LOGS}/{_NAME}")
        return []
    return [command for command in map(_command, lines) if command is not None]


def _command(line: str) -> Command | None:
    try:
        values = json.loads(line)
        # Those of earlier versions tell no commit.
        known = {name: values[name] for name in Command._fields if name in values or name != "commit"}
        command = Command(**known)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (command.began, command.command, command.version, command.ended, command.commit)
    sound = all(isinstance(text, str) for text in texts) and isinstance(command.seconds, int | float)
    return command if sound else None
