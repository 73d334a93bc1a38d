"""What this package raises. One base, so that a caller can catch everything of ours at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .difference import Difference
    from .model import Problem
    from .results import RunResult  # settings files import this module, and pay for what it loads


class RunbookError(Exception):
    """Something that the user can mend; its text says what, whose and how."""

    exit_status = 1
    """The status with which ``manage.py routine`` ends."""


class DeclarationError(RunbookError):
    """A declaration was made where it would be lost."""


class UnknownRoutine(RunbookError, KeyError):
    """No source declares a routine of that name."""

    exit_status = 2

    def __str__(self) -> str:
        return Exception.__str__(self)  # KeyError would show the repr


class UnknownSwitch(RunbookError):
    """The routine has no switch of that name."""

    exit_status = 2


class PlanError(RunbookError):
    """The plan has errors, and nothing was run.

    :param message: what was refused.
    :param problems: the errors.
    """

    def __init__(self, message: str, problems: Sequence[Problem]) -> None:
        super().__init__(message)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = (line for problem in self.problems for line in problem.lines)
        return "\n".join([super().__str__(), *lines])


class BadPin(RunbookError):
    """The file that is to hold the expected plan does not, or holds that of something else."""

    exit_status = 2


class UnexpectedPlan(RunbookError):
    """What would run is not what the pin says. Nothing was run; the text tells the difference.

    :param message: what was refused.
    :param difference: what differs.
    """

    exit_status = 3

    def __init__(self, message: str, difference: Difference) -> None:
        super().__init__(message)
        self.difference = difference


class BadManageScript(RunbookError):
    """There is no manage script of that name."""

    exit_status = 2


class LockBusy(RunbookError):
    """Another run holds the lock, and nothing was run; the text says who, as far as it is known.

    :param message: the text.
    :param routine: the routine whose lock it is.
    """

    exit_status = 75

    def __init__(self, message: str, routine: str) -> None:
        super().__init__(message)
        self.routine = routine


class LockFailed(RunbookError):
    """A lock cannot be taken: its server or its file cannot be reached. Nothing was run."""


class LockLost(RunbookError):
    """A lock is not held any more, though the routine still runs; its text says why."""


class CommandFailed(RunbookError):
    """A command ended without success; its text says how. Receivers of ``routine_failed`` see it.

    It stands for what has no exception of its own: a program's exit status, a signal, a
    management command that ended the process.

    :param message: how it ended.
    :param returncode: its exit status; below zero the number of the signal that killed it.
    :param stderr: the last lines that it wrote to its stderr.
    """

    def __init__(self, message: str, returncode: int = 1, stderr: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.returncode = returncode
        self.stderr = tuple(stderr)


class RunFailed(RunbookError):
    """A routine did not end well; its text says all there is to know.

    :param message: the text.
    :param result: what became of each step.
    """

    def __init__(self, message: str, result: RunResult) -> None:
        super().__init__(message)
        self.result = result


class StepFailed(RunFailed):
    """Steps failed; the text names each, its origin and what went wrong."""


class RoutineStopped(RunFailed):
    """A signal asked the routine to stop; the text says what was not run.

    :param message: the text.
    :param result: what became of each step.
    :param signal: the signal's number.
    """

    def __init__(self, message: str, result: RunResult, signal: int) -> None:
        super().__init__(message, result)
        self.exit_status = 128 + signal


class SettingsError(RunbookError, SystemExit):
    """A settings component cannot be read, so that there are no settings to work with.

    It is raised while Django imports the settings, where nothing of Django or of ours stands
    above to render it. Being a ``SystemExit`` too, it ends the process with status 1 and its
    text on stderr instead of a traceback through three import systems, while servers and test
    runners that catch ``Exception`` still see an ordinary error.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.code = message


class ExitEarly(Exception):
    """Raised by a hook or a signal's receiver to end a routine early, without failure."""
