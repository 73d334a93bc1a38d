"""One step: called here, or run in a process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from typing import Any

from django_runbook.exceptions import CommandFailed
from django_runbook.flags import NoFlag, Word
from django_runbook.lookup import find_program
from django_runbook.model import Declaration, Step
from django_runbook.secret import revealed

from . import management
from .process import Ended, run_process
from .session import Session
from .stop import signal_name


def run_here(step: Step, session: Session, verbosity: int | None) -> Any:
    """Call a management command in this process, and return what it returned.

    :param step: the step.
    :param session: the run's.
    :param verbosity: the verbosity asked for.
    """
    session.out.flush()
    with session.stop.interrupting():
        return management.call(
            step,
            verbosity=verbosity,
            color=session.color,
            streams=session.streams,
            mask=session.hidden.mask,
        )


def run_apart(
    step: Step,
    session: Session,
    verbosity: int | None,
    deadline: float | None,
    limit: float | None,
) -> tuple[subprocess.CompletedProcess[str], CommandFailed | None]:
    """Run a step in a process of its own.

    :param step: the step.
    :param session: the run's.
    :param verbosity: the verbosity asked for.
    :param deadline: the time of :func:`time.monotonic`, in seconds, at which it must end.
    :param limit: the step's own time limit in seconds, if that is what the deadline comes from.
    :return: how it has ended, with its words as they may be shown, and its failure if that is one.
    :raises CommandFailed: if it could not be started.
    """
    if deadline is not None and time.monotonic() >= deadline:
        raise CommandFailed("it was not started: the time limit around it was over")
    if step.declaration.kind == "management":
        words, env = _of_management(step, session, verbosity)
    else:
        words, env = _of_program(step.declaration)
    ended = run_process(
        [str(revealed(word)) for word in words],
        env={**env, **session.locks.environment()},
        out=session.out,
        err=session.err,
        stop=session.stop,
        deadline=deadline,
        grace=session.grace,
    )
    how = _how_it_failed(ended, limit)
    failure = CommandFailed(how, ended.returncode, ended.stderr) if how else None
    return subprocess.CompletedProcess(list(map(str, words)), ended.returncode), failure


def _of_management(
    step: Step, session: Session, verbosity: int | None
) -> tuple[list[Word], dict[str, str]]:
    try:
        words = management.words(step, verbosity=verbosity, color=session.color)
    except NoFlag as exc:
        raise CommandFailed(f"it runs as a subprocess, where {exc}") from exc
    return [*session.launcher, *words], management.environment()


def _of_program(declared: Declaration) -> tuple[list[Word], dict[str, str]]:
    """Return a program's words, with its whole path, and its environment."""
    env = {**os.environ, **{key: os.fspath(revealed(one)) for key, one in declared.env.items()}}
    program = find_program(declared)
    if program is None and os.path.isfile(declared.name):
        raise CommandFailed(f"{declared.name} is not executable")
    if program is None and os.path.dirname(declared.name):
        raise CommandFailed(f"there is no program {declared.name!r}")
    if program is None:
        raise CommandFailed(f"there is no program {declared.name!r} on PATH")
    return [program, *declared.argv[1:]], env


def _how_it_failed(ended: Ended, limit: float | None) -> str:
    """Return how a process has failed, or nothing if it has not."""
    if ended.ended_for == "time":
        whose = "the time limit around it" if limit is None else f"its time limit of {limit:g} s"
        return f"it was ended at {whose}"
    if ended.ended_for == "stop":
        return "it was ended because a second signal asked for that"
    if ended.returncode < 0:
        return f"it was killed by {signal_name(-ended.returncode)}"
    return f"it ended with exit status {ended.returncode}" if ended.returncode else ""
