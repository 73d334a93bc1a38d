"""What a run shows of itself: each step's command, what became of it, and the sum of it all."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from contextlib import ExitStack

from django.utils.termcolors import colorize

from django_runbook.canonical import one_line
from django_runbook.model import Step
from django_runbook.results import RunResult, StepResult

from .failures import text_of
from .process import depth
from .streams import Output
from .terminal import StatusLine, duration

_ENDED = {"succeeded": "done in", "failed": "failed after", "stopped": "stopped after"}
_COLORS = {"succeeded": "green", "failed": "red", "skipped": "yellow", "stopped": "yellow"}


class Report:
    """Shows a run, as plain lines or on a terminal with the step that runs on its last line.

    The command of each step goes to stdout, as what the steps write does; what became of it, and
    everything else, to stderr.

    :param out: stdout.
    :param err: stderr.
    :param verbosity: 0 shows nothing.
    :param color: ``no_color`` or ``force_color``, if one was given.
    """

    def __init__(
        self, out: Output, err: Output, verbosity: int | None, color: Mapping[str, bool]
    ) -> None:
        self._out = out
        self._err = err
        self._silent = verbosity == 0
        self._forced = bool(color.get("force_color"))
        plain = color.get("no_color") or os.environ.get("NO_COLOR")
        self._colored = self._forced or not (plain or os.environ.get("TERM") == "dumb")
        """Whether colours are wanted where they can be shown."""

        self._stack = ExitStack()
        self._status: StatusLine | None = None

    def __enter__(self) -> Report:
        descriptor = self._err.own_descriptor
        # Where colours are not wanted, no other control of the terminal is, either.
        # Nor in a routine that another one runs as a step: the terminal has one last line.
        wanted = not self._silent and self._colored and depth() == 0
        if wanted and descriptor is not None and self._err.is_terminal:
            self._status = self._stack.enter_context(StatusLine(descriptor))
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._stack.close()

    def at(self, verbosity: int | None) -> Report:
        """Return what shows a nested routine, which may be silent within one that is not.

        :param verbosity: the verbosity of the nested routine.
        """
        quieter = copy.copy(self)
        quieter._silent = self._silent or verbosity == 0  # noqa: SLF001 - another of this class
        return quieter

    def started(self, label: str, step: Step) -> None:
        """Show that a step starts.

        :param label: its place among the others, as ``3/7``.
        :param step: the step.
        """
        if self._status is not None:
            self._status.show(f"[{label}]", step.id)

    def echo(self, command_line: str) -> None:
        """Show the command line of a step that is about to run.

        :param command_line: the command line.
        """
        if not self._silent:
            self._write(self._out, command_line, "cyan")

    def ended(self, label: str, result: StepResult) -> None:
        """Show what became of a step.

        :param label: its place among the others.
        :param result: what became of it.
        """
        if self._status is not None:
            self._status.show("", "")
        if self._silent:
            return
        for output in (self._out, self._err):
            output.flush()
            output.end_line()
        if result.status == "not_run":
            return
        if result.status == "skipped":
            said = f"skipped by its {result.skipped_by}"
        else:
            said = f"{_ENDED[result.status]} {duration(result.duration)}"
        if result.handled and result.exception is not None:  # nobody else will say why
            said = f"{said}, handled: {one_line(text_of(result.exception))}"
        self._note(f"[{label}] {result.id}: {said}", _COLORS[result.status])

    def summary(self, result: RunResult) -> None:
        """Show what became of the routine.

        :param result: what became of it.
        """
        counts = ", ".join(
            f"{len(steps)} {name}"
            for name, steps in (
                ("run", result.of_status("succeeded")),
                ("skipped", result.of_status("skipped")),
                ("failed", result.of_status("failed")),
                ("not run", result.not_run),
            )
        )
        early = " It was ended early." if result.early_exit else ""
        self._note(
            f"Routine {result.routine!r} {_ENDED[result.status]} {duration(result.duration)}: "
            f"{counts}.{early}",
            _COLORS[result.status],
        )

    def note(self, text: str) -> None:
        """Show a line about the routine.

        :param text: the line.
        """
        self._note(text, "yellow")

    def tell(self, text: str) -> None:
        """Show a line at once, also from the handler of a signal.

        :param text: the line.
        """
        descriptor = self._err.own_descriptor
        if self._silent or descriptor is None:
            return
        # Not through the stream: the signal may have come in the middle of a write to it.
        try:
            os.write(descriptor, f"{text}\n".encode())
        except OSError:
            return  # a terminal that is gone, which may be why the signal came

    def _note(self, text: str, color: str) -> None:
        if not self._silent:
            self._write(self._err, text, color)

    def _write(self, output: Output, text: str, color: str) -> None:
        colored = self._colored and (self._forced or output.is_terminal)
        output.write((colorize(text, fg=color) if colored else text) + "\n")
