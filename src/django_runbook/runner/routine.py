"""The steps of one routine, one after the other, with all that stands around them."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from django_runbook.commands import Routine
from django_runbook.exceptions import CommandFailed, ExitEarly, LockLost
from django_runbook.lookup import load_hook
from django_runbook.model import CONTROLS, Plan, Step
from django_runbook.nesting import invocation_of
from django_runbook.preflight import databases
from django_runbook.results import RunResult
from django_runbook.signals import routine_failed, routine_finished, routine_started

from .callbacks import Entry, entries_of, routine_of, shown_hook
from .containment import contained
from .database import Transactions, drop_stale_connections, savepoints
from .execution import run_apart, run_here
from .failures import CallbackFailed, deed_of, failure_text, returncode_of, text_of, without_secrets
from .log import is_logged, log_end, log_start
from .session import Session

_OWN_ARGUMENTS = frozenset(
    {
        *("self", "signal", "sender", "routine", "failed_command", "exception"),
        *("early_exit", "last_command"),
    }
)
"""What the signals themselves pass: a switch of one of these names is not passed to receivers."""


class _Undo(Exception):
    """Raised in a transaction that must not be committed."""


@contextmanager
def _named(what: str) -> Iterator[None]:
    """Say of an exception whose it was: there is no step to blame."""
    try:
        with contained():
            yield
    except ExitEarly:
        raise
    except (Exception, KeyboardInterrupt) as exc:
        raise CallbackFailed(f"{what} {deed_of(exc)}") from exc


class RoutineRun:
    """One run of one routine.

    :param plan: its plan.
    :param session: what it shares with others.
    :param verbosity: the verbosity asked for, or ``None``.
    :param prefix: what stands before the numbers of its steps, in a nested routine.
    :param within: the databases that routines around it have a transaction on.
    :param deadline: the time of :func:`time.monotonic`, in seconds, at which it must have ended.
    """

    def __init__(
        self,
        plan: Plan,
        session: Session,
        *,
        verbosity: int | None,
        prefix: str = "",
        within: tuple[str, ...] = (),
        deadline: float | None = None,
    ) -> None:
        self._plan = plan
        self._session = session
        self._verbosity = verbosity
        self._report = session.report.at(verbosity)
        self._prefix = prefix
        self._deadline = deadline
        self._continue = bool(plan.control("continue_on_error"))
        # What runs no step has nothing to undo, and may have no database.
        self._aliases = () if session.instead is not None else databases(plan.control("atomic"))
        self._savepoints = tuple(dict.fromkeys((*within, *self._aliases)))
        self._entries = entries_of(plan)
        self._last: Entry | None = None
        self._hooked = False
        self._options: dict[str, Any] = {
            "verbosity": 1 if verbosity is None else verbosity,
            "manage_script": session.manage_script,
            "all": plan.everything,
            **{name: plan.control(name) for name in CONTROLS},
            **{name: name in plan.active for name in plan.available},
        }
        self.result = RunResult(plan, [entry.result for entry in self._entries])

    @cached_property
    def _routine(self) -> Routine:
        """The routine as callbacks and hooks are given it, and may change it."""
        return routine_of(self._plan, self._entries)

    def run(self) -> RunResult:
        """Run it, and return what became of it; what fails is in there, not raised."""
        began = time.monotonic()
        self.result.started = datetime.now(UTC)
        try:
            self._run_to_the_commit()
            self._note(began)
            self._run_what_comes_after()
        finally:
            self._note(began)
        return self.result

    def _note(self, began: float) -> None:
        """Note what may have changed since the steps have ended: hooks may change results."""
        self.result.duration = time.monotonic() - began
        for entry in self._entries:
            entry.note()

    def _run_to_the_commit(self) -> None:
        result = self.result
        try:
            with _named("a receiver of routine_started"):
                routine_started.send(**self._signal_arguments())
            self._run_in_transaction()
            if self._session.stop.signal is not None and result.not_run and not result.early_exit:
                result.stopped_by = self._session.stop.signal
        except ExitEarly:
            result.early_exit = True
        except CallbackFailed as exc:
            result.error = self._masked(exc)
        except LockLost as exc:
            result.error = exc

    def _run_what_comes_after(self) -> None:
        result = self.result
        if result.status == "succeeded":
            self._call_back(self._finished)
        went_on = self._continue and result.stopped_by is None and result.error is None
        if result.status == "succeeded" or went_on:
            self._call_back(self._finalize)

    def _call_back(self, callback: Callable[[], None]) -> None:
        """Call something that comes after the last step, and so can only fail."""
        drop_stale_connections(self._session.spared)
        try:
            callback()
        except ExitEarly:
            self.result.early_exit = True
        except CallbackFailed as exc:
            self.result.error = self._masked(exc)

    def _finished(self) -> None:
        with _named("a receiver of routine_finished"):
            routine_finished.send(
                early_exit=self.result.early_exit,
                last_command=None if self._last is None else self._last.index,
                **self._signal_arguments(),
            )

    def _finalize(self) -> None:
        # A hook may have changed it, where there was one.
        finalize = self._routine.finalize if self._hooked else self._stated("finalize")
        if finalize is not None:
            what = f"its finalize {shown_hook(finalize)}"
            with _named(what), self._session.stop.interrupting():
                load_hook(finalize)(self._routine, self.result)

    def _stated(self, name: str) -> Any:
        """Return a callback that the routine states, or ``None``."""
        return self._plan.attributes[name].value if name in self._plan.attributes else None

    def _signal_arguments(self) -> dict[str, Any]:
        return {
            # str(): a hook may have put anything into the options.
            **{str(name): one for name, one in self._options.items() if name not in _OWN_ARGUMENTS},
            "sender": self._session.sender,
            "routine": self._plan.routine,
        }

    def _run_in_transaction(self) -> None:
        transactions = Transactions(self._aliases)
        drop_stale_connections(self._session.spared)
        try:
            with transactions.opened():
                try:
                    self._run_steps()
                except ExitEarly:
                    self.result.early_exit = True
                if self._must_undo():
                    raise _Undo  # noqa: TRY301 - it is what undoes
                self._session.locks.verify()
        except _Undo:
            self.result.rolled_back = transactions.undone
        except (CallbackFailed, LockLost):
            self.result.rolled_back = transactions.undone
            raise
        except Exception as exc:
            if not transactions.stage:
                raise  # what the steps can raise is in their results: this is a mistake of ours
            self.result.rolled_back = transactions.undone
            raise CallbackFailed(f"{transactions.stage} failed: {text_of(exc)}") from exc

    def _must_undo(self) -> bool:
        """Tell whether the steps have left something half done."""
        if not self._aliases or self.result.early_exit:
            return False
        halted = bool(self.result.failures) and not self._continue
        return halted or (self._session.stop.signal is not None and bool(self.result.not_run))

    def _run_steps(self) -> None:
        entries = self._initialized()
        for index, entry in enumerate(entries):
            if self._session.stop.signal is not None:
                return
            self._session.locks.verify()
            following = entries[index + 1] if index + 1 < len(entries) else None
            if self._run_step(entry, following):
                raise ExitEarly
            if entry.result.failed and not self._continue:
                return

    def _initialized(self) -> list[Entry]:
        """Call ``initialize``, and return what it has left of the plan."""
        initialize = self._stated("initialize")
        if initialize is None:
            return self._entries
        self._hooked = True
        by_command = {id(entry.command): entry for entry in self._entries}
        plan = [entry.command for entry in self._entries]
        what = f"its initialize {shown_hook(initialize)}"
        with _named(what), self._session.stop.interrupting():
            load_hook(initialize)(self._routine, plan, set(self._plan.active), self._options)
        named = [id(command) for command in plan]
        if len(set(named)) < len(named) or not by_command.keys() >= set(named):
            raise CallbackFailed(
                f"{what} has put a command into the plan, which nobody could have explained. "
                "Declare it, with a switch if it runs only sometimes"
            )
        left = [by_command[id(command)] for command in plan]
        for entry in self._entries:
            if entry not in left:
                entry.result.status, entry.result.skipped_by = "skipped", "initialize"
                self._report.ended(self._label(entry.step), entry.result)
        return left

    def _label(self, step: Step) -> str:
        return f"{self._prefix}{step.position}/{len(self._plan.steps)}"

    def _run_step(self, entry: Entry, following: Entry | None) -> bool:
        """Run a step, and tell whether the routine ends with it."""
        session, step, result = self._session, entry.step, entry.result
        label = self._label(step)
        self._report.started(label, step)
        result.started = datetime.now(UTC)
        began = time.monotonic()
        early = False
        try:
            log_start(self._plan.routine, step)
            drop_stale_connections(session.spared)
            # Also where a failure ends the routine: a receiver may take care of it.
            with savepoints(self._savepoints) if self._savepoints else nullcontext():
                early = self._attempt(entry, following)
        except BaseException as exc:  # noqa: BLE001 - see below
            # Whatever a step raises is that step's failure, and is reported with its origin.
            result.duration = time.monotonic() - began
            early = self._failed(entry, exc)
        else:
            result.duration = time.monotonic() - began
        finally:
            session.standard.mend()
            session.stop.renew()
        if result.status in ("skipped", "not_run"):
            result.started, result.duration = None, 0.0
        entry.note()
        self._report.ended(label, result)
        if is_logged(result):
            with _named("the site's logging"):
                log_end(self._plan.routine, result)
        return early

    def _attempt(self, entry: Entry, following: Entry | None) -> bool:
        """Do what a step does, with its hooks, and tell whether the routine ends with it."""
        result = entry.result
        try:
            result.status, result.skipped_by = "skipped", "pre_hook"
            if self._asked("pre_hook", entry, self._last):
                return False
            result.status, result.skipped_by, result.returncode = "succeeded", "", 0
            self._execute(entry)
            if self._has_stopped(entry):
                return False
            if entry.hook("post_hook") is not None:  # else the next step looks
                drop_stale_connections(self._session.spared)
            return self._asked("post_hook", entry, following)
        except ExitEarly:
            if result.status == "skipped":
                result.status, result.skipped_by = "not_run", ""
            return True

    def _asked(self, name: str, entry: Entry, other: Entry | None) -> bool:
        """Call a hook of a step, if it has one, and return its answer."""
        hook = entry.hook(name)
        if hook is None:
            return False
        self._hooked = True
        given = (self._routine, entry.command, None if other is None else other.command)
        try:
            with self._session.stop.interrupting(), contained():
                return bool(load_hook(hook)(*given, self._options))
        except ExitEarly:
            raise
        except Exception as exc:
            raise CommandFailed(f"its {name} {shown_hook(hook)} {deed_of(exc)}") from exc

    def _execute(self, entry: Entry) -> None:
        # What no hook has had in its hands is what was declared, and not a copy of it.
        step = entry.as_left(self._plan.routine) if self._hooked else entry.step
        self._note_secrets(entry)
        if self._hooked:
            entry.result.command_line = step.command_line
        self.result.ran.append(entry.result)
        self._last = entry
        self._report.echo(entry.result.command_line)
        limit = step.declaration.time_limit
        deadline = None if limit is None else time.monotonic() + limit
        if deadline is None or (self._deadline is not None and self._deadline < deadline):
            limit, deadline = None, self._deadline
        if step.nested is not None:
            self._run_nested(entry, step.nested, deadline)
        elif self._session.instead is not None:
            entry.returned(self._session.instead(step))
        elif step.apart:
            ended, failure = run_apart(step, self._session, self._verbosity, deadline, limit)
            entry.returned(ended)
            if failure is not None:
                raise failure
        else:
            entry.returned(run_here(step, self._session, self._verbosity))
        if step.declaration.name == "makemigrations":
            importlib.invalidate_caches()  # migrate must see the files it has just written

    def _note_secrets(self, entry: Entry) -> None:
        """Keep what a step holds of secrets, those that a hook has brought included."""
        if entry.is_shown:
            self._session.note_secrets(entry.command)
        else:
            self._session.hidden.add()  # a variable may have changed

    def _run_nested(self, entry: Entry, plan: Plan, deadline: float | None) -> None:
        said = invocation_of(entry.step.declaration)
        inner = RoutineRun(
            plan,
            self._session,
            verbosity=self._verbosity if said.verbosity is None else said.verbosity,
            prefix=f"{self._prefix}{entry.step.position}.",
            within=self._savepoints,
            deadline=deadline,
        ).run()
        entry.returned(inner)
        if inner.status == "failed" or inner.failures:
            raise CommandFailed(failure_text(inner))

    @staticmethod
    def _has_stopped(entry: Entry) -> bool:
        """Note if a signal has kept a nested routine from its end, and tell so."""
        inner = entry.result.result
        stopped = entry.step.nested is not None and inner.status == "stopped"
        if stopped:
            entry.result.status, entry.result.returncode = "stopped", None
        return stopped

    def _failed(self, entry: Entry, exc: BaseException) -> bool:
        """Note a failure and tell the receivers of it; return whether one ends the routine."""
        result = entry.result
        if isinstance(exc, KeyboardInterrupt):
            ended = self._session.stop.abort
            what = "it was ended because a second signal asked for that" if ended else text_of(exc)
            exc = CommandFailed(what)
        self._note_secrets(entry)  # a hook may have brought them, and then raised
        cleaned = self._masked(exc)
        result.status, result.skipped_by = "failed", ""
        result.exception = cleaned
        result.returncode = returncode_of(exc)
        if isinstance(exc, CommandFailed):
            result.stderr = self._session.hidden.mask_lines(exc.stderr)
        try:
            with contained():
                answers = routine_failed.send(
                    failed_command=entry.index,
                    exception=cleaned,
                    **self._signal_arguments(),
                )
        except ExitEarly:
            result.handled = True
            return True
        except Exception as broken:  # noqa: BLE001 - reported as the receiver's
            # The step's failure must not be lost behind that of a receiver.
            said = f"{text_of(cleaned)}\n  a receiver of routine_failed {deed_of(broken)}"
            result.exception = self._masked(CommandFailed(said, result.returncode))
            return False
        result.handled = any(answer for _, answer in answers)
        return False

    def _masked(self, exc: BaseException) -> BaseException:
        return without_secrets(exc, self._session.hidden)
