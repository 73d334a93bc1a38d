"""Running: the steps of a plan, one after the other, exactly as explained."""

from __future__ import annotations

import argparse
import copy
import importlib
import os
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import IO, Any

from django.core.management import call_command

from .exceptions import CommandFailed, ExitEarly, PlanError, StepFailed
from .model import Code, Plan, Step
from .nesting import invocation_of
from .preflight import known_options, load_command, missing_programs
from .signals import routine_failed, routine_finished, routine_started

_OWN_ARGUMENTS = frozenset(
    {
        *("self", "signal", "sender", "routine", "failed_command", "exception"),
        *("early_exit", "last_command"),
    }
)
"""What the signals themselves pass: a switch of one of these names is not passed to receivers."""


@dataclass(frozen=True)
class Context:
    """What a run is given besides its plan."""

    sender: Any
    """The sender of the signals."""

    echo: Callable[[str], None]
    """Shows the command line of a step that is about to run."""

    everything: bool = False
    """Whether all switches were asked for at once."""

    verbosity: int | None = None
    """``None`` if it was not given: then the commands have their own default."""

    stdout: IO[str] | None = None
    """Where the steps write instead of the process's own output."""

    stderr: IO[str] | None = None
    """Where the steps write instead of the process's own error output."""

    color: Mapping[str, bool] | None = None
    """``no_color`` or ``force_color``, if one was given."""


def run(plan: Plan, context: Context) -> None:
    """Run a plan.

    :param plan: the plan; nothing runs if it has errors.
    :param context: what the run is given besides.
    :raises PlanError: if the plan cannot run; no step was run.
    :raises StepFailed: if a step failed; the steps behind it were not run.
    """
    problems = [*plan.errors, *missing_programs(plan, Code.UNKNOWN_PROGRAM)]
    if problems:
        errors = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        raise PlanError(f"Routine {plan.routine!r} was not run: {errors}.", problems)
    _run(plan, context)


def _run(plan: Plan, context: Context) -> None:
    switches = {name: name in plan.active for name in plan.available}
    options = {"verbosity": context.verbosity, "all": context.everything, **switches}
    signal_arguments = {
        **{name: value for name, value in options.items() if name not in _OWN_ARGUMENTS},
        "sender": context.sender,
        "routine": plan.routine,
    }
    last = None
    early = False
    try:
        routine_started.send(**signal_arguments)
        for index, step in enumerate(plan.steps):
            try:
                _run_step(step, context)
            except Exception as exc:
                # Whatever a step raises is that step's failure, and is reported with its origin.
                failure = _failure(plan, index, exc)
                if not _is_handled(failure, index, exc, signal_arguments):
                    raise failure from exc
            else:
                last = index
    except ExitEarly:
        early = True
    routine_finished.send(early_exit=early, last_command=last, **signal_arguments)


def _is_handled(
    failure: StepFailed, index: int, exc: Exception, signal_arguments: Mapping[str, Any]
) -> bool:
    """Tell whether a receiver of ``routine_failed`` wants the routine to go on."""
    try:
        answers = routine_failed.send(failed_command=index, exception=exc, **signal_arguments)
    except ExitEarly:
        raise
    except Exception as broken:
        # The step's failure must not be lost behind that of a receiver.
        said = f"{type(broken).__name__}: {broken}"
        raise StepFailed(f"{failure}\n  a receiver of routine_failed raised {said}") from broken
    return any(answer for _, answer in answers)


def _run_step(step: Step, context: Context) -> None:
    if context.verbosity != 0:
        context.echo(step.command_line)
    if step.nested is not None:
        said = invocation_of(step.declaration)
        verbosity = context.verbosity if said.verbosity is None else said.verbosity
        _run(step.nested, replace(context, verbosity=verbosity, everything=said.all))
    elif step.declaration.kind == "management":
        _run_management(step, context)
    else:
        _run_system(step, context)


def _run_management(step: Step, context: Context) -> None:
    process = os.getpid()
    try:
        _call(step, context)
    except SystemExit as exc:
        if os.getpid() != process:
            raise  # a child that the command has forked ends here, as it asked to
        if exc.code not in (None, 0):
            status = f"status {exc.code}" if isinstance(exc.code, int) else str(exc.code)
            raise CommandFailed(f"it ended the process with {status}") from exc
    except Exception:
        if os.getpid() == process:
            raise
        traceback.print_exc()
        os._exit(1)
    if os.getpid() != process:
        # A forked child has come back: it must not run the rest of the routine a second time.
        os._exit(0)
    if step.declaration.name == "makemigrations":
        importlib.invalidate_caches()  # migrate must see the files it has just written


def _call(step: Step, context: Context) -> None:
    declared = step.declaration
    name, *arguments = declared.argv
    try:
        command = load_command(name)
        known = known_options(command, name)
    except SystemExit as exc:
        # Whatever the status: it ended before it could be run.
        raise CommandFailed(f"it ended the process ({exc}) before it was run") from exc
    # A command may change what it is given, and the declaration may run again.
    options = {
        key: copy.copy(value) if isinstance(value, list | dict | set) else value
        for key, value in declared.options.items()
    }
    if context.verbosity is not None and "verbosity" in known and not _says_verbosity(arguments):
        options.setdefault("verbosity", context.verbosity)
    for option, value in (context.color or {}).items():
        if option in known:
            options.setdefault(option, value)
    if context.stdout is not None:
        options.setdefault("stdout", context.stdout)
    if context.stderr is not None:
        options.setdefault("stderr", context.stderr)
    call_command(command, *arguments, **options)


def _says_verbosity(arguments: Sequence[str]) -> bool:
    """Tell whether a command's own arguments state a verbosity, in any form argparse takes."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--verbosity", "-v", nargs="?", const="")
    return parser.parse_known_args(arguments)[0].verbosity is not None


def _run_system(step: Step, context: Context) -> None:
    name, *arguments = step.declaration.argv
    program = shutil.which(name)
    if program is None and os.path.isfile(name):
        raise CommandFailed(f"{name} is not executable")
    if program is None:
        raise CommandFailed(f"there is no program {name!r} on PATH")
    for stream in filter(None, (sys.stdout, sys.stderr)):  # none where it was closed
        stream.flush()
    try:
        done = subprocess.run(
            [program, *arguments],
            # A prompt must not hang a release that nobody watches.
            stdin=None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL,
            stdout=None if context.stdout is None else subprocess.PIPE,
            stderr=None if context.stderr is None else subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as exc:
        raise CommandFailed(f"{program} cannot be run: {exc.strerror or exc}") from exc
    for stream, text in ((context.stdout, done.stdout), (context.stderr, done.stderr)):
        if stream is not None:
            stream.write(text)
    if done.returncode < 0:
        raise CommandFailed(f"it was killed by {_signal_name(-done.returncode)}")
    if done.returncode:
        raise CommandFailed(f"it ended with exit status {done.returncode}")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has a number and no name
        return f"signal {number}"


def _failure(plan: Plan, index: int, exc: Exception) -> StepFailed:
    """Return the error that names the step, whose it is, and what was not run because of it."""
    step = plan.steps[index]
    if isinstance(exc, CommandFailed | StepFailed):
        what = str(exc)
    else:
        what = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    lines = [
        f"Step {index + 1} of {len(plan.steps)} of routine {plan.routine!r} failed: {step.id}",
        f"  declared by: {step.origin}",
        f"  command: {step.command_line}",
        f"  failure: {what}",
    ]
    rest = [one.id for one in plan.steps[index + 1 :]]
    if rest:
        lines.append(f"  not run: {', '.join(rest)}")
    return StepFailed("\n".join(lines))
