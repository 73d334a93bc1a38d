"""Taking a routine's locks before it is planned, and waiting for them."""

from __future__ import annotations

import math
import time

from django_runbook.exceptions import LockBusy, LockFailed, LockLost, RoutineStopped
from django_runbook.locks import (
    HeldLocks,
    Lock,
    LockError,
    LockUnusable,
    lock_of,
    lock_policy,
)
from django_runbook.model import LockUse, Plan
from django_runbook.results import RunResult, StepResult

from .report import Report
from .stop import StopRequest, signal_name
from .terminal import duration

_INTERVAL = 0.1
"""Seconds between two tries. Every backend can be asked without waiting, and none but PostgreSQL
can wait so that a signal is heard meanwhile."""


class Locking:
    """Holds the locks of a plan, from before it is judged until the last process has ended.

    :param plan: the plan; whether it can be run is not asked before the locks are held.
    :param wait: the seconds to wait for them.
    :param stop: the run's; a signal ends the waiting.
    :param report: shows that the routine waits, and for whom.
    """

    def __init__(self, plan: Plan, wait: float, stop: StopRequest, report: Report) -> None:
        self._plan = plan
        self._wait = wait
        self._stop = stop
        self._report = report
        self.held = HeldLocks(list(map(_usable, plan.locks)))
        self.lost: LockLost | None = None
        """After the run: what there is to say if a lock was not held any more."""

    def __enter__(self) -> Locking:
        """Take the locks.

        :raises LockFailed: if it cannot be known whether one is free.
        :raises LockBusy: if another run has not given one back in time.
        :raises RoutineStopped: if a signal came meanwhile.
        """
        try:
            with self._stop.meaning("the routine waits no longer."):
                _wait_for(self.held, self._plan, self._wait, self._stop, self._report)
        except BaseException:
            self.held.release()
            raise
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.lost = self.held.release()


def _wait_for(held: HeldLocks, plan: Plan, wait: float, stop: StopRequest, report: Report) -> None:
    began = time.monotonic()
    told = False
    while (busy := _one_that_is_held(held, plan, stop)) is not None:
        left = wait - (time.monotonic() - began)
        if left <= 0:
            text = f"Routine {plan.routine!r} was not run: another run holds its lock."
            hint = "It was waited for." if wait else "Give --wait SECONDS to wait for it."
            raise LockBusy("\n".join([text, *_who(busy), f"  {hint}"]), busy.routine)
        if not told:
            at_most = "" if wait == math.inf else f" for at most {_seconds(wait)}"
            text = f"Routine {plan.routine!r} waits{at_most}: another run holds its lock."
            report.note("\n".join([text, *_who(busy)]))
            told = True
        if stop.signal is None:
            time.sleep(min(_INTERVAL, left))
        if stop.signal is not None:
            raise _stopped(plan, stop.signal, _who(busy))


def _one_that_is_held(held: HeldLocks, plan: Plan, stop: StopRequest) -> Lock | None:
    try:
        return held.acquire()
    except LockFailed:
        if stop.signal is None:
            raise
        raise _stopped(plan, stop.signal, []) from None  # it came while a server did not answer


def _stopped(plan: Plan, number: int, lines: list[str]) -> RoutineStopped:
    result = RunResult(plan, [StepResult(step) for step in plan.steps])
    result.stopped_by = number
    text = (
        f"Routine {plan.routine!r} was stopped by {signal_name(number)} while it waited for its "
        "lock. Nothing was run."
    )
    return RoutineStopped("\n".join([text, *lines]), result, number)


def _seconds(wait: float) -> str:
    return f"{wait:g} s" if wait < 60 else duration(wait)


def _usable(use: LockUse) -> Lock:
    """Return a lock of a plan, which may have been made when the settings said something else."""
    whose = f"The lock of routine {use.routine!r} cannot be taken"
    policy = lock_policy()
    if policy is None:
        raise LockFailed(f"{whose}: DJANGO_RUNBOOK is malformed, see manage.py check --deploy.")
    try:
        return lock_of(use.routine, use.wanted, policy)
    except LockUnusable as exc:
        raise LockFailed(f"{whose}: {exc}.\n    HINT: {exc.hint}") from exc


def _who(busy: Lock) -> list[str]:
    """Return the lines that say which lock is held, and by whom, as far as it is known."""
    try:
        holder = busy.holder()
    except LockError:
        holder = None
    return [
        f"  lock: of routine {busy.routine!r}, by {busy.description}",
        f"  held by: {holder or 'it cannot be known'}",
    ]
