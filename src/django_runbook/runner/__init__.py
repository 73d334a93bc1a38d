"""Running: the steps of a plan, one after the other, exactly as explained.

``run_routine`` is the whole of it; ``manage.py routine`` calls it, too. Below it ``routine`` has
the steps in their order, with hooks, signals and transactions around them; ``execution`` runs one
step, here or in a process of its own; ``stop`` takes the signals, ``report`` shows it all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.conf import settings

from django_runbook.exceptions import PlanError, RoutineStopped, StepFailed
from django_runbook.masking import Hidden
from django_runbook.model import Code, Plan, Step
from django_runbook.policy import read_policy
from django_runbook.preflight import missing_programs, missing_secrets
from django_runbook.registry import Registry
from django_runbook.results import RunResult

from .database import begun_by_hand
from .failures import failure_text, stop_text
from .locking import Locking
from .management import launcher
from .report import Report
from .routine import RoutineRun
from .session import Session
from .standard import StandardStreams
from .stop import StopRequest
from .streams import Output, plain

if TYPE_CHECKING:
    from django_runbook.pins import Pin

_NO_LOCK_AT_ALL = (Code.BAD_SETTING, Code.LOCK_UNUSABLE)
"""Errors that keep a lock from being taken; the others are for who holds it to judge."""


def run_routine(
    routine: str | Plan,
    switches: Iterable[str] | Mapping[str, bool] = (),
    *,
    everything: bool = False,
    subprocess: bool | None = None,
    atomic: bool | str | Sequence[str] | None = None,
    continue_on_error: bool | None = None,
    lock: bool | str | None = None,
    wait: float = 0.0,
    expect: str | os.PathLike[str] | Pin | None = None,
    manage_script: str | None = None,
    verbosity: int | None = None,
    stdout: Any = None,
    stderr: Any = None,
    no_color: bool = False,
    force_color: bool = False,
    take_signals: bool = True,
    check: bool = True,
    instead: Callable[[Step], Any] | None = None,
    sender: Any = None,
) -> RunResult:
    """Run a routine, as ``manage.py routine NAME`` does, and return what became of it.

    :param routine: the routine's name, or the plan to run, which has its switches and controls.
    :param switches: the switches to activate; of a dictionary those that are true.
    :param everything: activate every switch.
    :param subprocess: run management commands as subprocesses; ``None`` is as the routine states.
    :param atomic: run the steps in a transaction; ``None`` is as the routine states.
    :param continue_on_error: go on after a failure; ``None`` is as the routine states.
    :param lock: let the routine run once at a time; ``None`` is as the routine states.
    :param wait: the seconds to wait for a lock that another run holds.
    :param expect: a pin, or its file: run only if what would run is what it says.
    :param manage_script: the script that runs management commands as subprocesses.
    :param verbosity: handed on to the commands; 0 shows nothing but what they show.
    :param stdout: where the steps write instead of the process's own output.
    :param stderr: the same for its error output.
    :param no_color: use no colours.
    :param force_color: use colours, whatever is written to.
    :param take_signals: let SIGINT, SIGTERM and SIGHUP stop the routine; only in the main thread.
    :param check: raise if the routine does not end well; else only the result tells.
    :param instead: called with each step instead of running it, for tests; no lock is taken and
        no transaction begun, and what a step would need may be missing.
    :param sender: the sender of the signals; this function unless given.
    :raises UnknownRoutine: if no source declares the routine.
    :raises UnknownSwitch: if the routine has no such switch.
    :raises BadPin: if the file of the expected plan holds something else.
    :raises UnexpectedPlan: if the plan is not the expected one; no step was run.
    :raises PlanError: if the plan has errors; no step was run.
    :raises LockBusy: if another run holds a lock; no step was run.
    :raises LockFailed: if it cannot be known whether a lock is free; no step was run.
    :raises StepFailed: if a step, or something around the steps, failed.
    :raises RoutineStopped: if a signal asked the routine to stop.
    """
    controls = {
        "subprocess": subprocess,
        "atomic": atomic,
        "continue_on_error": continue_on_error,
        "lock": lock,
    }
    _refuse_wrong_wait(wait)
    if no_color and force_color:
        raise ValueError("no_color and force_color cannot be used together.")
    planned = partial(
        _planned,
        routine,
        switches,
        everything=everything,
        controls=controls,
        locked=instead is None,
    )
    pin = None if expect is None else _pin(expect)
    plan = planned()
    if pin is not None:
        pin.refuse_other(plan)
    start = launcher(manage_script)
    if not plan.locks or any(one.code in _NO_LOCK_AT_ALL for one in plan.errors):
        _refuse_what_must_not_run(plan, pin, recorded=instead is not None)
    color = {"no_color": no_color, "force_color": force_color}
    color = {name: True for name, wanted in color.items() if wanted}
    stdout, stderr = plain(stdout), plain(stderr)
    out, err = Output("stdout", stdout), Output("stderr", stderr)
    report = Report(out, err, verbosity, color)
    try:
        with (
            StandardStreams(out, err) as standard,
            report,
            StopRequest(report.tell, take=take_signals) as stop,
            Locking(plan, wait, stop, report) as locks,
        ):
            if plan.locks:
                # The site may be another one by now: the run that was waited for has ended.
                plan = _unchanged(plan, planned())
                _refuse_what_must_not_run(plan, pin, recorded=False)
            session = Session(
                spared=begun_by_hand(),
                sender=run_routine if sender is None else sender,
                report=report,
                stop=stop,
                locks=locks.held,
                standard=standard,
                out=out,
                err=err,
                streams={
                    name: one
                    for name, one in (("stdout", stdout), ("stderr", stderr))
                    if one is not None
                },
                color=color,
                launcher=start,
                manage_script=manage_script or sys.argv[0],
                grace=read_policy(getattr(settings, "DJANGO_RUNBOOK", None)).grace_period,
                hidden=Hidden(
                    secret for _, step in plan.every_step() for secret in step.declaration.secrets
                ),
                instead=instead,
            )
            result = RoutineRun(plan, session, verbosity=verbosity).run()
    except RoutineStopped as exc:  # while it waited for a lock
        if check:
            raise
        return exc.result
    if result.error is None:
        result.error = locks.lost
    # Who asked for a stop is told of it, also if there was nothing left to be stopped.
    result.stopped_by = stop.signal
    report.summary(result)
    if check and result.stopped_by is not None:
        raise RoutineStopped(stop_text(result), result, result.stopped_by)
    if check and result.status == "failed":
        raise StepFailed(failure_text(result), result) from _cause(result)
    return result


def _pin(expect: str | os.PathLike[str] | Pin) -> Pin:
    """Return a pin, read from its file if that is what was given."""
    from django_runbook.pins import Pin, read_pin

    return expect if isinstance(expect, Pin) else read_pin(expect)


def _refuse_wrong_wait(wait: Any) -> None:
    number = isinstance(wait, int | float) and not isinstance(wait, bool)
    if not number or not wait >= 0:
        raise ValueError(f"wait must be a number of seconds, 0 or more, not {wait!r}.")


def _planned(
    routine: str | Plan,
    switches: Iterable[str] | Mapping[str, bool],
    *,
    everything: bool,
    controls: Mapping[str, Any],
    locked: bool,
) -> Plan:
    if isinstance(routine, Plan):
        if switches or everything or any(one is not None for one in controls.values()):
            raise TypeError("A plan has its switches and controls. Give them where it is made.")
        plan = routine
    else:
        plan = Registry().plan(routine, switches, everything=everything, controls=controls)
    return plan if locked else replace(plan, locks=())


def _unchanged(before: Plan, after: Plan) -> Plan:
    """Return the plan that was made when the locks were held, or raise if it needs others."""
    if before.locks != after.locks:
        raise PlanError(
            f"Routine {after.routine!r} was not run: which locks it takes has changed since it "
            "was started. Run it again.",
            (),
        )
    return after


def _refuse_what_must_not_run(plan: Plan, pin: Pin | None, *, recorded: bool) -> None:
    """Raise if a plan is not the expected one, has errors, or needs what is not here."""
    if pin is not None:
        pin.require(plan)
    found = [*plan.errors]
    if not recorded:
        _refuse_in_tests(plan)
        found += missing_programs(plan, Code.UNKNOWN_PROGRAM)
        found += missing_secrets(plan, Code.VARIABLE_NOT_SET)
    problems = list(dict.fromkeys(found))
    if problems:
        errors = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        raise PlanError(f"Routine {plan.routine!r} was not run: {errors}.", problems)


def _refuse_in_tests(plan: Plan) -> None:
    """Raise if a step would leave a test: another process knows nothing of the test's databases.

    ``mail.outbox`` is what Django documents to be there in a test environment and nowhere else.
    """
    mail = sys.modules.get("django.core.mail")
    if mail is None or not hasattr(mail, "outbox"):
        return
    for routine, step in plan.every_step():
        if step.apart and step.declaration.kind == "management":
            raise PlanError(
                f"Routine {routine!r} was not run: {step.id} of {step.origin} runs as a "
                "subprocess, which would work on the site's own databases and not on those of "
                "the test. Run it with subprocess=False, and without a time limit.",
                (),
            )


def _cause(result: RunResult) -> BaseException | None:
    """Return what a traceback is to show: the first thing that failed."""
    failures = result.failures
    return failures[0].exception if failures else result.error
