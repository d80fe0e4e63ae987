"""What the command line prints: texts as wide as the terminal, flags without what says nothing, completion of names."""

import inspect
import os
import shutil
import textwrap
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal

import tyro

_WIDEST = 100
_CHOICES = {"backend": "{auto,lanes,xla,cuda,tpu}"}


def wrapped(text: str, first: str = "") -> str:
    """A paragraph as wide as the terminal, 100 columns at most.

    Args:
        text: of the paragraph.
        first: what its first line begins with; the others begin with as many blanks.
    """
    width = max(min(shutil.get_terminal_size().columns, _WIDEST), 40)
    rest = " " * len(first)
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def told(text: str, stream: Any) -> str:
    """A text as a stream takes it: lines as wide as the terminal, where it is one; pipes and logs get them whole.

    Lines that begin with a blank are commands to be copied, and stay as they are.
    """
    if not stream.isatty():
        return text
    return "\n".join(line if not line or line.startswith(" ") else wrapped(line) for line in text.split("\n"))


def parse(command: Callable[..., int], arguments: Sequence[str], program: str) -> int:
    """Runs a command with the arguments of the command line.

    Raises:
        SystemExit: 0 after help, 2 where the arguments are wrong, which is told.
    """
    if {"-h", "--help"} & set(arguments):  # tyro would not wrap it
        paragraphs = inspect.cleandoc(command.__doc__ or "").partition("\nArgs:")[0].split("\n\n")
        print("\n\n".join(wrapped(" ".join(each.split())) for each in paragraphs if each.strip()), end="\n\n")
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
    # https://no-color.org; tyro has no other way to say it.
    tyro._experimental_options["ansi_codes"] = not os.environ.get("NO_COLOR")
    return tyro.cli(_told(command), args=list(arguments), prog=program, description="", config=config)


def _told(command: Callable[..., int]) -> Callable[..., int]:
    """The command, whose help leaves out defaults that say nothing and names the choices there are."""
    hints = typing.get_type_hints(command, include_extras=True)
    for name, parameter in inspect.signature(command).parameters.items():
        kind = typing.get_args(hints[name])[0] if typing.get_origin(hints[name]) is Annotated else hints[name]
        if is_dataclass(kind):
            _tell_fields(kind)
        else:
            command.__annotations__[name] = _hint(name, hints[name], parameter)
    return command


@contextmanager
def hidden(kind: Any, names: Iterable[str]) -> Iterator[None]:
    """Leaves fields of a dataclass out of the help; meanwhile their flags are not taken."""
    _tell_fields(kind)
    shown = kind.__annotations__
    kind.__annotations__ = shown | {name: Annotated[shown[name], tyro.conf.Suppress] for name in names}
    try:
        yield
    finally:
        kind.__annotations__ = shown


@cache
def _tell_fields(kind: Any) -> None:
    own = typing.get_type_hints(kind, include_extras=True)
    kind.__annotations__ = {field.name: _hint(field.name, own[field.name], field) for field in fields(kind)}


def _hint(name: str, hint: Any, holder: Any) -> Any:
    """How a field or parameter is declared, with what tyro has to tell of it."""
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    if kind == bool | None:
        hint = Annotated[hint, tyro.conf.FlagConversionOff]
    says_nothing = holder.default is None or (isinstance(holder.default, tuple) and not holder.default)
    if name not in _CHOICES and not says_nothing:
        return hint
    told = tyro.conf.arg(metavar=_CHOICES.get(name), help_behavior_hint="" if says_nothing else None)
    return Annotated[hint, told]


def completion(shell: Literal["bash", "zsh"], commands: Iterable[str], studies: Iterable[str]) -> str:
    """A script that completes commands and names of studies in a shell."""
    lines = [
        "_jaxland() {",
        "  local word=${COMP_WORDS[COMP_CWORD]}",
        f'  if [ "$COMP_CWORD" = 1 ]; then COMPREPLY=($(compgen -W "{" ".join(commands)}" -- "$word"))',
        f'  elif [ "$COMP_CWORD" = 2 ] && [ "${{COMP_WORDS[1]}}" = run ]; then'
        f' COMPREPLY=($(compgen -W "{" ".join(studies)}" -- "$word") $(compgen -f -X "!*.py" -- "$word"))',
        '  else COMPREPLY=($(compgen -f -- "$word")); fi',
        "}",
        "complete -o default -F _jaxland jaxland",
    ]
    return "\n".join([*(["autoload -Uz bashcompinit && bashcompinit"] if shell == "zsh" else []), *lines])
