"""What this package raises. One base, so that a caller can catch everything of ours at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .model import Problem  # settings files import this module, and pay for what it loads


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


class CommandFailed(RunbookError):
    """A command ended without success; its text says how. Receivers of ``routine_failed`` see it.

    It stands for what has no exception of its own: a program's exit status, a signal, a
    management command that ended the process.
    """


class StepFailed(RunbookError):
    """A step failed; its text names the step, its origin and what went wrong."""


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
