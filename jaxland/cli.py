"""The command line: `jaxland COMMAND ...`. Each command is a function; its help comes from its docstring.

Exit codes: 0 done; 1 the study directory, the disk, a shard or a worker failed, or a library is missing; 2 the
arguments are wrong; 128 and the number of a signal (130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 138 SIGUSR1, 140 SIGUSR2)
stopped with all finished shards kept; 124 the shard of `jaxland work` took longer than --shard-timeout.
"""

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from jaxland._names import lookup
from jaxland._terminal import completion, hidden, parse, told, wrapped
from jaxland._version import __version__
from jaxland.placebo.config import TableSettings
from jaxland.studies.commands import giving
from jaxland.studies.options import RunOptions

_UNPREFIXED = tyro.conf.arg(name="")


@dataclass(frozen=True)
class _Where:
    """Where shards, and pieces of analyses, are done; in this process by default."""

    workers: int | None = None
    """In so many worker processes on this machine."""
    dask: str | None = None
    """On a cluster of Dask: the address of its scheduler, or local."""
    slurm: int | None = None
    """In so many jobs of Slurm, which are as the configuration of dask-jobqueue says."""

    def flags(self) -> str:
        """As they are given, for a command that goes on in the same place; empty for this process."""
        given = {name: getattr(self, name) for name in ("workers", "dask", "slurm")}
        return "".join(f" --{name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)

    def executor(self, out: Path, threads: int | None) -> Any:
        """What makes executors, None for this process."""
        given = [name for name in ("workers", "dask", "slurm") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"--{given[0]} and --{given[1]} exclude each other; shards are done in one place.")
        if self.slurm is not None and self.slurm < 1:
            raise ValueError(f"slurm must be a positive number of jobs; got {self.slurm}.")
        if not given:
            return None
        from jaxland.execution import DaskCluster, SlurmCluster, workers

        if self.workers is not None:
            return workers(self.workers, threads)
        if self.dask is not None:
            return DaskCluster(self.dask, threads or 1)
        return SlurmCluster(self.slurm or 1, threads or 1, out / "logs")


@dataclass(frozen=True)
class _Options(_Where, RunOptions):
    """Of `jaxland run`, beside the study's own configuration."""

    out: Path | None = None
    """Study directory; by default runs/STUDY. A directory that holds the same study is continued."""
    analyses: tuple[str, ...] = ()
    """What to find out besides the study's own choice: names from `jaxland studies`, with spaces or commas, or all."""
    scale: Literal["quick", "paper"] = "quick"
    """Scale of these analyses: a minute or so, or that of the source. How many fits there are, --fits says."""
    dry_run: bool = False
    """Print shards, storage and time, and do nothing."""
    prepare: bool = False
    """Make the study directory and train nothing: for `jaxland work`, on as many machines as you like."""


def run(reference: str, arguments: Sequence[str]) -> int:
    """Run a study, or go on with one: train, analyse, draw, judge."""
    from jaxland.studies import find_study

    if not {"-h", "--help"} & set(arguments):
        if "--dry-run" not in arguments:
            _check_writable(_asked_out(arguments))
        _say(f"jaxland: reading {reference}")  # loading JAX takes seconds
    study = find_study(reference)
    _check_flags(study)

    def command(
        config: Annotated[study.config, _UNPREFIXED],  # type: ignore[name-defined]
        options: Annotated[_Options, _UNPREFIXED] = _Options(),
    ) -> int:
        return _run(study, config, options)

    title = f"{study.name}: {study.title}" if study.title else study.name
    command.__doc__ = f"Run {title}.\n\n" + (f"Source: {study.source}.\n\n" if study.source else "")
    names = _not_chosen(study) if {"-h", "--help"} & set(arguments) else {}
    flags = [f"--{group}.{name}".replace("_", "-") for group, each in names.items() for name in each]
    if flags:
        command.__doc__ += f"Of what is not trained by default: {', '.join(flags)}."
    with hidden(study.config, names):
        return parse(command, arguments, f"jaxland run {reference}")


def _not_chosen(study: Any) -> dict[str, list[str]]:
    """Groups of settings of what a study does not train by default, which its help names in a line."""
    from jaxland.studies.configuration import not_chosen

    try:
        return not_chosen(study.config())
    except TypeError:  # a field without a default: nothing is chosen yet
        return {}


def _asked_out(arguments: Sequence[str]) -> Path:
    """The place of `--out`, as far as it is known before the study is, whose flags stand beside it."""
    for flag, value in pairwise([*arguments, ""]):
        if flag == "--out" or flag.startswith("--out="):
            return Path(value if flag == "--out" else flag.removeprefix("--out="))
    return Path("runs")


def _check_flags(study: Any) -> None:
    """Raises ValueError where a field of the configuration would be the same flag as an option of `run`."""
    options = {"help", *(field.name for field in fields(_Options))}
    clash = options & {field.name for field in fields(study.config)}
    if clash:
        raise ValueError(
            f"{study.config.__name__} has a field {sorted(clash)[0]!r}, which is an option of `jaxland run` as well; "
            "rename the field. From Python, jaxland.run takes it as it is."
        )


def _run(study: Any, config: Any, options: _Options) -> int:
    from jaxland.studies import wanted
    from jaxland.studies.engine import make_request, plan_with, prepare_with, run_with

    request = make_request(study, config, options.out)
    if options.dry_run:
        analyses = _wanted(study, options.analyses, options.scale)
        _print_plan(plan_with(request, options), request.out, analyses or wanted(study), config)
        return 0
    _check_writable(request.out)
    analyses = _wanted(study, options.analyses, options.scale)
    if options.prepare:
        prepare_with(request, options, analyses)
        print(f"{request.out} is ready. On every machine that sees it:\n  jaxland work {shlex.quote(str(request.out))}")
        return 0
    executor = options.executor(request.out, options.threads)
    work = partial(run_with, request, options, executor, analyses, progress=True, say=_say)
    return _finish(work, request.out, options.flags())


def _wanted(study: Any, names: tuple[str, ...], scale: str) -> Any:
    """Settings of the analyses asked for; None where nothing was."""
    from jaxland.studies import wanted

    names = _separated(names)
    return wanted(study, names, scale) if names or scale != "quick" else None


def _separated(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names with spaces between them, or commas."""
    return tuple(name for each in names for name in each.split(",") if name)


def _finish(work: Callable, out: Path, where: str = "", command: str = "resume") -> int:
    from jaxland.studies.claims import reasons, tally

    advice = "Finished shards, and finished parts of analyses, are kept. Go on with:"
    outcome, code = _until_stopped(work, f"{advice}\n  jaxland {command} {shlex.quote(str(out))}{where}")
    if outcome is None:
        return code
    if outcome.claims:
        print(f"Claims: {tally(outcome.claims)}.")
    for reason in reasons(outcome.claims):
        print(f"  {reason}")
    for claim in outcome.claims:
        if claim.verdict == "differs":
            of = f"{claim.of}: " if claim.of else ""
            print(f"  differs: {of}{claim.statement}: source {claim.source}; measured {claim.measured}")
    print(f"Table, figures, claims and summary are in {outcome.path}")
    print(f"See them on one page: jaxland open {shlex.quote(str(outcome.path))}")
    return 0


def _until_stopped(work: Callable[[], Any], advice: str) -> tuple[Any, int]:
    """What `work` returns, and 0; or None and the exit code, where a signal stopped it and the advice was printed."""
    from jaxland.execution import Terminated, raise_on_signals
    from jaxland.training import Interrupted

    try:
        with raise_on_signals():
            return work(), 0
    except (Interrupted, Terminated, KeyboardInterrupt) as interruption:
        print(f"Stopped. {advice}")
        return None, 128 + getattr(interruption, "signal_number", signal.SIGINT)


def _say(line: str) -> None:
    line = told(line, sys.stderr)
    if "tqdm" in sys.modules:  # a bar may be on the screen
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def _print_plan(plan, out: Path, analyses: Mapping[str, Any], config: Any) -> None:
    from jaxland.training import available_threads

    fits: dict[str, int] = {}
    for task in plan.tasks:
        fits[task.ensemble] = fits.get(task.ensemble, 0) + task.stop - task.start
    print(f"{out}: {len(plan.tasks)} shards to train, {plan.net_steps:.3g} net-steps, {plan.storage / 1e6:.1f} MB")
    for name, rate in plan.rate.items():
        once = f", and {plan.once[name]:.1f} s once to begin" if plan.once[name] >= 0.05 else ""
        measured = f"measured on {available_threads()} cores"
        print(f"  {name}: {fits.get(name, 0):,} fits at {rate:.3g} net-steps/s{once}, {measured}")
    print(f"about {_duration(plan.seconds)} of training; nothing was written")
    if analyses:
        print(wrapped(f"Then come the analyses, whose time is not in this: {', '.join(analyses)}."))
    for name, settings in analyses.items():
        if hasattr(settings, "trains"):
            fits_of_its_own, steps = settings.trains(config)
            seconds = fits_of_its_own * steps / min(plan.rate.values(), default=float("inf"))
            about = f", about {_duration(seconds)} at this rate" if seconds else ""
            print(wrapped(f"{name} trains {fits_of_its_own:,} fits of its own, whatever --fits says{about}.", "  "))


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def resume(
    directory: tyro.conf.Positional[Path],
    where: Annotated[_Where, _UNPREFIXED] = _Where(),
    study: str | None = None,
    threads: int | None = None,
    shard_timeout: float | None = None,
) -> int:
    """Go on with a study where it stopped: train what is missing, make the analyses that were asked for.

    Args:
        directory: a study directory.
        where: shards are done.
        study: its code, where it is no longer what or where it was: a file, a name, or module:NAME.
        threads: groups of fits trained at a time; all processors by default.
        shard_timeout: seconds after which the process of a shard is ended and the shard tried again.
    """
    _check_writable(directory)
    _say(f"jaxland: reading {directory}")
    from jaxland.studies.engine import Request, run_with

    store, code, config = _opened(directory, study)
    options = RunOptions(fits=store.manifest.fits, threads=threads, shard_timeout=shard_timeout)
    executor = where.executor(directory, threads)
    work = partial(run_with, Request(code, config, directory), options, executor, progress=True, say=_say)
    return _finish(work, directory, where.flags())


def _check_writable(place: Path) -> None:
    """Raises StoreError where nothing can be written, before JAX is loaded, which takes seconds."""
    from jaxland.store import require_writable

    require_writable(place)


def work(
    directory: tyro.conf.Positional[Path],
    study: str | None = None,
    threads: int | None = None,
    name: str | None = None,
    lease: float = 60.0,
    shard_timeout: float | None = None,
) -> int:
    """Train shards of a study beside other machines that share its directory, until all are there.

    Start it as often as you like, wherever the directory is seen; there is no scheduler. What `jaxland run` makes,
    with --prepare or without, can be worked on.

    Args:
        directory: a study directory.
        study: its code, where it is no longer what or where it was: a file, a name, or module:NAME.
        threads: groups of fits trained at a time; all processors by default.
        name: of this worker, in leases and logs; machine and process by default.
        lease: seconds after which a worker that gives no sign of life has lost its shard to another.
        shard_timeout: seconds after which this worker ends, with 124, if its shard is not done.
    """
    _check_writable(directory)
    _say(f"jaxland: reading {directory}")
    from jaxland.studies import find_study
    from jaxland.studies import work as work_on

    code = None if study is None else find_study(study)
    options: dict[str, Any] = {"threads": threads, "name": name, "lease": lease, "shard_timeout": shard_timeout}
    return _finish(partial(work_on, directory, code, **options, say=_say), directory, command="work")


def _opened(directory: Path, study: str | None) -> tuple[Any, Any, Any]:
    from jaxland.studies import find_study, open_study

    return open_study(directory, None if study is None else find_study(study))


def status(directory: tyro.conf.Positional[Path], json: bool = False, quick: bool = False) -> int:
    """Show what of a study is done, missing and diverged, and who is at work on it.

    Args:
        directory: a study directory.
        json: print JSON.
        quick: look at names only, instead of reading every shard and comparing it with its checksum.
    """
    from jaxland.studies import study_status

    state = study_status(directory, quick=quick)
    print(_status_json(state) if json else _status_text(state))
    return 1 if state["damaged"] else 0


def _status_json(state: dict[str, Any]) -> str:
    return json.dumps(state, indent=1)


def _status_text(state: dict[str, Any]) -> str:
    lines = [f"{state['study']} in {state['path']}: {state['fits']:,} fits of each ensemble asked for"]
    for name, each in state["ensembles"].items():
        missing = ", ".join(f"{start}-{stop - 1}" for start, stop in each["missing"][:6])
        more = ", ..." if len(each["missing"]) > 6 else ""
        rest = f"missing {missing}{more}" if missing else "complete"
        diverged = "" if each["diverged"] is None else f", {each['diverged']:,} diverged"
        lines.append(f"  {name}: {each['done']:,} done in {each['shards']} shards{diverged}; {rest}")
    lines += [f"  damaged: {path}" for path in state["damaged"]]
    if state["rebuilt"]:
        lines += [f"  {line}" for line in _rebuilt_lines(state["edited"])]
    if not state["analysed"]:
        lines.append("  not analysed yet")
    lines += [f"  {line}" for line in _workers_lines(state)]
    unfinished = not state["analysed"] or any(each["missing"] for each in state["ensembles"].values())
    if unfinished and not _is_worked_on(state):
        lines.append(f"  go on with: jaxland resume {shlex.quote(state['path'])}")
    return "\n".join(lines)


def _is_worked_on(state: dict[str, Any]) -> bool:
    return state["writer"] is not None or any(not (each["is_lost"] or each["error"]) for each in state["workers"])


def _workers_lines(state: dict[str, Any]) -> list[str]:
    lines = [f"at work: {state['writer']} is training or analysing"] if state["writer"] else []
    for each in state["workers"][:12]:
        worker, what, silent = each["worker"], each["what"], _duration(each["silent"])
        if each["error"]:
            lines.append(f"failed: {worker} at {what}: {each['error']}; whoever works here tries again")
        elif each["is_lost"]:
            lines.append(f"lost: {worker} had {what} and has given no sign for {silent}; whoever works here takes over")
        else:
            lines.append(f"at work: {worker} has had {what} for {_duration(each['held'])}; last sign {silent} ago")
    more = len(state["workers"]) - 12
    return [*lines, f"... and {more:,} more workers"] if more > 0 else lines


def _rebuilt_lines(edited: Sequence[str]) -> list[str]:
    what = "was edited or is damaged" if edited else "cannot be read"
    return [f"study.json {what}; its content was taken from the shards", *edited]


def table(directory: tyro.conf.Positional[Path], out: Path) -> int:
    """Write the table of a study, one row a fit.

    Args:
        directory: a study directory.
        out: file to write, ending in .csv or .parquet.
    """
    _check_writable(out)
    from jaxland.store import StudyStore, check_path
    from jaxland.studies import write_table

    store = StudyStore.open(directory)
    for line in _rebuilt_lines(store.edited or ()) if store.rebuilt else ():
        _say(line)
    rows = write_table(store, check_path(out))
    print(f"{rows:,} rows in {out}")
    return 0


def analyse(
    directory: tyro.conf.Positional[Path],
    analyses: tuple[str, ...] = (),
    scale: Literal["quick", "paper"] = "quick",
    where: Annotated[_Where, _UNPREFIXED] = _Where(),
    study: str | None = None,
    threads: int | None = None,
) -> int:
    """Make table, figures, claims and summary from the fits that are there.

    Args:
        directory: a study directory.
        analyses: what to find out besides what was asked for here before: names from `jaxland studies`, or all.
        scale: of these analyses: a minute or so, or that of the source.
        where: pieces of analyses are made.
        study: its code, where it is no longer what or where it was: a file, a name, or module:NAME.
        threads: how many to use; all processors by default.
    """
    _check_writable(directory)
    from jaxland.studies import analyse as analyse_study

    store, code, config = _opened(directory, study)
    chosen = _wanted(code, analyses, scale)
    executor = where.executor(directory, threads)
    work = partial(analyse_study, store, code, config, chosen, threads=threads, executor=executor, say=_say)
    return _finish(work, directory, where.flags())


def report(
    directory: tyro.conf.Positional[Path], other: tyro.conf.Positional[Path | None] = None, out: Path | None = None
) -> int:
    """Write one HTML page of a study: claims, figures, tables, charts of the losses, and fits one by one.

    Of two studies it is a page that puts them side by side: what was asked of one and not of the other, their losses,
    verdicts and figures.

    Args:
        directory: a study directory.
        other: another one, to be compared with it.
        out: file to write, ending in .html; by default report.html or compared-with-OTHER.html in the directory.
    """
    _check_writable(directory if out is None else out)
    from jaxland.report import write_comparison, write_report

    path = write_report(directory, out, _say) if other is None else write_comparison(directory, other, out, _say)
    print(f"{path} ({path.stat().st_size / 1e6:.1f} MB), for any browser")
    return 0


def open_report(directory: tyro.conf.Positional[Path]) -> int:
    """Write the page of a study, as `jaxland report` does, and show it in a browser.

    Args:
        directory: a study directory.
    """
    import webbrowser

    code = report(directory)
    page = directory / "report.html"
    if code == 0 and not webbrowser.open(page.resolve().as_uri()):
        print(f"There is no browser here; open {page} where there is one.")
    return code


def complete(shell: tyro.conf.Positional[Literal["bash", "zsh"]]) -> int:
    """Print a script that completes commands and studies in a shell: eval "$(jaxland completion bash)".

    Args:
        shell: which.
    """
    from jaxland.studies import STUDIES

    print(completion(shell, ["run", *COMMANDS], STUDIES))
    return 0


@dataclass(frozen=True)
class _PlaceboOptions:
    """How much, where and how: none of these changes a fit."""

    permutations: int = 999
    """Placebos; the smallest p-value is one over this number plus one. A test can be given more later."""
    out: Path | None = None
    """Study directory; by default runs/placebo-NAME. A directory that holds the same test is continued."""
    threads: int | None = None
    """Groups of fits trained at a time; all processors by default."""
    backend: str = "auto"
    """How fits are trained: auto, lanes, xla, cuda or tpu."""
    dry_run: bool = False
    """Print how much there is to train and how long it takes, and do nothing."""


def placebo(
    file: tyro.conf.Positional[Path],
    settings: Annotated[TableSettings, _UNPREFIXED],
    options: Annotated[_PlaceboOptions, _UNPREFIXED] = _PlaceboOptions(),
) -> int:
    """Test whether a network finds more in the labels of a table than in permutations of them.

    Trains the same network on the real labels and on hundreds of permutations of them, and prints the p-value.

    Args:
        file: a .csv or .parquet file, one row a point.
        settings: what is tested, and how it is trained.
        options: how much, where and how.
    """
    if not options.dry_run:
        _check_writable(options.out or Path("runs"))
    from jaxland.placebo.command import check_out, table_design, table_test
    from jaxland.placebo.study import STUDY
    from jaxland.studies.engine import make_request, plan_with, run_with

    test = table_test(file, replace(settings, inputs=_separated(settings.inputs)))
    request = make_request(STUDY, test, options.out or Path("runs") / f"placebo-{file.stem}")
    design, _, heading = table_design(test)
    fits = replace(design, permutations=options.permutations).fits
    how = RunOptions(fits, None, options.threads, options.backend)
    check_out(request.out, test, fits)
    print(heading, flush=True)
    if options.dry_run:
        _print_placebo_plan(plan_with(request, how), settings.steps)
        return 0
    advice = "Finished fits are kept. The same command goes on."
    outcome, code = _until_stopped(lambda: run_with(request, how, progress=True), advice)
    if outcome is not None:
        lines = outcome.notes[len(heading.splitlines()) :]
        print("\n".join([*lines, f"Fits, statistics, summary and figure are in {outcome.path}"]))
    return code


def _print_placebo_plan(plan: Any, steps: int) -> None:
    fits, (rate,) = sum(task.stop - task.start for task in plan.tasks), plan.rate.values()
    print(f"{fits:,} fits of {steps:,} steps: {plan.net_steps:.3g} net-steps at {rate:.3g} a second")
    print(f"about {_duration(plan.seconds)}; nothing was written")


def list_studies(study: tyro.conf.Positional[str | None] = None) -> int:
    """List the installed studies, or tell the scales and analyses of one.

    Args:
        study: a name, or a Python file that holds one.
    """
    from jaxland.studies import STUDIES, find_study

    if study is not None:
        print(_told_study(find_study(study)))
        return 0
    for name, each in STUDIES.items():
        print(wrapped(each.title or "", f"{name:<10} "))
    print()
    print(
        wrapped("`jaxland studies NAME` tells its scales and analyses, `jaxland run NAME` runs it at its quick scale.")
    )
    return 0


def _told_study(study: Any) -> str:
    from jaxland.studies import titles_of

    lines = [wrapped(f"{study.name}: {study.title}" if study.title else study.name), ""]
    facts = {"source": study.source, "quick": study.quick, "paper": study.paper}
    lines += [wrapped(text, f"  {name:<8} ") for name, text in facts.items() if text]
    lines += ["", "  analyses; those with a star are always made:"]
    for name, title in titles_of(study.analyses).items():
        lines.append(wrapped(title, f"  {'*' if name in study.made_always else ' '} {name:<12} "))
    return "\n".join(lines)


def doctor() -> int:
    """Show versions and devices, and check that this machine computes what it should."""
    _say("jaxland: looking at this machine")  # loading JAX takes seconds
    from jaxland.doctor import report

    def tell(name: str, text: str) -> None:
        print(wrapped(text, f"{name:<9} "), flush=True)

    return 0 if report(tell) else 1


def bench(quick: bool = False) -> int:
    """Measure the backends on this machine, beside its peak and other ways to train; takes about three minutes.

    Where JAX computes on an accelerator, the backends that use it are measured beside lanes on the processor.

    Args:
        quick: the main network alone, and fewer rounds.
    """
    from jaxland.bench import report

    report(quick=quick, say=lambda line: print(line, flush=True))
    return 0


COMMANDS: dict[str, Callable[..., int]] = {
    "resume": resume,
    "work": work,
    "status": status,
    "table": table,
    "analyse": analyse,
    "report": report,
    "open": open_report,
    "placebo": placebo,
    "studies": list_studies,
    "doctor": doctor,
    "bench": bench,
    "completion": complete,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"jaxland {__version__}")
        return 0
    try:
        with giving(shlex.join(["jaxland", *arguments])):
            code = _dispatch(arguments)
        sys.stdout.flush()  # while what a full disk says can be told
        return code
    except BrokenPipeError:
        _drop_output()  # whoever read it has gone
        return 1
    except KeyboardInterrupt:
        print("jaxland: stopped; finished shards are kept.", file=sys.stderr)
        return 130
    except Exception as error:  # those meant for the user are told in a line, all others raised again
        code = _exit_code(error)
        if code is None:
            raise
        print(told(f"jaxland: {_told(error)}", sys.stderr), file=sys.stderr)
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        return code


def _drop_output() -> None:
    """Python must not complain again when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        place = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{place}. Finished work is safe; mend the cause."
    return str(error)


def _exit_code(error: Exception) -> int | None:
    """Of an error whose message is meant for the user, None for a fault of the program."""
    if isinstance(error, ValueError | TypeError):
        return 2
    if isinstance(error, OSError):  # of the disk, or of rights; what can be said better has been said below
        return 1
    from jaxland.execution import ClusterMissing, ShardsFailed, WorkersCannotStart
    from jaxland.store import StoreError

    if isinstance(error, StoreError | ShardsFailed | WorkersCannotStart | ClusterMissing | BrokenExecutor):
        return 1
    if isinstance(error, NotImplementedError):  # the compiler's own kind is one; only then is it worth importing
        from jaxland.training.program.expression import Unlowerable

        return 2 if isinstance(error, Unlowerable) else None
    if isinstance(error, ImportError):
        from jaxland.training.cuda import CudaMissing

        return 1 if isinstance(error, CudaMissing) else None
    return None


def _dispatch(arguments: list[str]) -> int:
    command, rest = arguments[0], arguments[1:]
    if command != "run":
        return parse(lookup("command", command, {**COMMANDS, "run": run}), rest, f"jaxland {command}")
    if not rest or rest[0].startswith("-"):
        about = "STUDY is a name from below, or a file of your own, my_study.py. `jaxland run STUDY --help` lists the "
        print(f"usage: jaxland run STUDY [OPTIONS]\n\n{wrapped(about + 'settings of a study.')}\n")
        list_studies()
        return 0 if rest and rest[0] in ("-h", "--help") else 2
    return run(rest[0], rest[1:])


def _overview() -> str:
    lines = [
        wrapped("jaxland: ensembles of small networks, and the loss landscape they reveal"),
        "",
        "usage: jaxland COMMAND ...",
        "",
    ]
    for name, function in {"run": run, **COMMANDS}.items():
        lines.append(wrapped((function.__doc__ or "").splitlines()[0], f"  {name:<10} "))
    more = "`jaxland COMMAND --help` says more; `jaxland run STUDY --help` lists a study's settings."
    return "\n".join([*lines, "", wrapped(more)])
