"""Which commands made a study directory, and when: `logs/commands.jsonl`, a line when one begins and one when it ends.

It is beside what is computed: no hash and no shard knows of it.
"""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

from jaxland._version import __version__
from jaxland.studies.worklog import LOGS

_NAME = "commands.jsonl"
_DONE, _STOPPED, _FAILED, _UNTOLD = "done", "stopped", "failed", "not told"
_given: ContextVar[str | None] = ContextVar("_given", default=None)


class Command(NamedTuple):
    """A command that trained or analysed in a study directory.

    Attributes:
        began: when, as `2026-11-29 09:10:00 UTC`.
        seconds: how long it took; None where that is not told.
        command: as it was typed.
        version: of jaxland.
        ended: `"done"`, `"stopped"` by a signal, `"failed"`, or `"not told"`, as of one that was killed, or is at it.
        commit: of jaxland's code where it lies in a checkout of git, with `-dirty` where files of it were changed; ""
            elsewhere.
    """

    began: str
    seconds: float | None
    command: str
    version: str
    ended: str
    commit: str = ""


@contextmanager
def giving(command: str) -> Iterator[None]:
    """Within it that command, as it was typed, is what is carried out."""
    token = _given.set(command)
    try:
        yield
    finally:
        _given.reset(token)


@contextmanager
def noted(directory: Path) -> Iterator[None]:
    """Notes in a study directory that the command that was given, if any was, begins, and how it ends.

    One that cannot be noted stops nothing.
    """
    command, began = _given.get(), time.time()
    if command is None:
        yield
        return
    clock = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(began))
    facts = {"id": secrets.token_hex(8), "began": clock, "command": command, "version": __version__}
    facts["commit"] = code_commit()
    _add(directory, facts)
    ended = _DONE
    try:
        yield
    except BaseException as error:
        ended = _STOPPED if _is_stop(error) else _FAILED
        raise
    finally:
        _add(directory, {**facts, "seconds": round(time.time() - began, 1), "ended": ended})


def _is_stop(error: BaseException) -> bool:
    from jaxland.training import Interrupted  # whoever reads what is noted does not load JAX

    return isinstance(error, Interrupted) or not isinstance(error, Exception)


def _add(directory: Path, facts: dict[str, Any]) -> None:
    with suppress(OSError):
        (directory / LOGS).mkdir(exist_ok=True)
        with (directory / LOGS / _NAME).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")


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
    """The commands that were noted, in the order in which they began; lines that are none are left out.

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
    found: dict[str | int, Command] = {}
    for number, line in enumerate(lines):
        # What is told at its end takes the place of what was told at its beginning.
        if (read := _read(line)) is not None:
            identity, command = read
            found[identity or number] = command
    return list(found.values())


def _read(line: str) -> tuple[str, Command] | None:
    """A command, and what tells it from others; earlier versions wrote one line of each, and nothing of the kind."""
    try:
        values = {"seconds": None, "ended": _UNTOLD, "id": "", "commit": "", **json.loads(line)}
        command = Command(**{name: values[name] for name in Command._fields})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    texts = (values["id"], *command._replace(seconds=""))
    sound = all(isinstance(text, str) for text in texts) and isinstance(command.seconds, int | float | None)
    return (values["id"], command) if sound else None
