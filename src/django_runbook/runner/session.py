"""What all routines of one run share: the outer one and those nested in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from django_runbook.commands import Command
from django_runbook.locks import HeldLocks
from django_runbook.masking import Hidden
from django_runbook.model import Step
from django_runbook.secret import secrets_in

from .report import Report
from .standard import StandardStreams
from .stop import StopRequest
from .streams import Output


class Session(NamedTuple):
    """What a run has, besides its plan."""

    sender: Any
    report: Report
    stop: StopRequest
    locks: HeldLocks
    standard: StandardStreams
    out: Output
    err: Output
    streams: Mapping[str, Any]
    """``stdout`` and ``stderr``, where the steps do not write to the process's own."""

    color: Mapping[str, bool]
    launcher: tuple[str, ...]
    """The words before a management command's name that run it in a process of its own."""

    manage_script: str
    grace: float
    hidden: Hidden
    """All that must not be in a message; what a hook adds comes to it."""

    spared: frozenset[str]
    """The databases whose connection holds a transaction that was begun by hand."""

    instead: Callable[[Step], Any] | None = None
    """What is called with a step instead of running it; what it returns is the step's result."""

    def note_secrets(self, command: Command) -> None:
        """Keep what a command, as hooks have left it, holds of secrets.

        :param command: the command.
        """
        given = (getattr(command, name, None) for name in ("command", "options", "env"))
        self.hidden.add(secrets_in(*given))
