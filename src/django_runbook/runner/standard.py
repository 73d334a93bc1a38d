"""Standard input and output, kept as they are, whatever a command does to them.

A command that closes ``sys.stdout``, or leaves something else in its place, must not silence those
that come after it; one that is killed at a prompt for a password must not leave a terminal that
shows nothing of what is typed.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import threading
from contextlib import ExitStack
from typing import IO, Any, Protocol

from .streams import Output

_DESCRIPTORS = {"stdout": 1, "stderr": 2}


class _Guard(Protocol):
    def mend(self) -> None:
        """Put back what a command has changed."""

    def leave(self) -> None:
        """Put back what the guard itself has changed."""


class StandardStreams:
    """Guards the standard streams of the process while a routine runs.

    They are the whole process's, so in a thread of a server they are left alone.

    :param out: what the run writes to stdout with.
    :param err: what it writes to stderr with.
    """

    def __init__(self, out: Output, err: Output) -> None:
        self._outputs = (out, err)
        self._guards: list[_Guard] = []
        self._stack = ExitStack()

    def __enter__(self) -> StandardStreams:
        if threading.current_thread() is threading.main_thread():
            for make in (_Input, _Terminal, _Blocking):
                self._add(make())
            for name, output in zip(_DESCRIPTORS, self._outputs, strict=True):
                self._add(_Stream(name, output))
            self._stack.callback(self.mend)
        return self

    def _add(self, guard: _Guard) -> None:
        self._guards.append(guard)
        self._stack.callback(guard.leave)

    def __exit__(self, *_exc_info: object) -> None:
        self._stack.close()

    def mend(self) -> None:
        """Put back what a command has closed, replaced or changed."""
        for guard in self._guards:
            guard.mend()


def has_keyboard() -> bool:
    """Tell whether somebody may type: a job in the background has the terminal, and no keyboard."""
    try:
        return os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False  # the terminal of another session


class _Input:
    """Lets what is read end at once where nobody types: a prompt would wait for ever."""

    def __init__(self) -> None:
        self._copy: int | None = None
        if _is_open(0) and not os.isatty(0):
            self._copy = os.dup(0)
            nowhere = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nowhere, 0)
            os.close(nowhere)

    def mend(self) -> None:
        """Leave it as it is: a command that closes its input harms nobody."""

    def leave(self) -> None:
        if self._copy is not None:
            os.dup2(self._copy, 0)
            os.close(self._copy)


class _Terminal:
    """Keeps the settings of the terminal, such as whether it shows what is typed."""

    def __init__(self) -> None:
        self._settings: list[Any] | None = None
        with contextlib.suppress(termios.error):  # where stdin is none
            self._settings = termios.tcgetattr(0)

    def mend(self) -> None:
        # A process in the background may not: it would be stopped.
        if self._settings is not None and has_keyboard():
            with contextlib.suppress(termios.error):
                if termios.tcgetattr(0) != self._settings:
                    termios.tcsetattr(0, termios.TCSADRAIN, self._settings)

    def leave(self) -> None:
        """Change nothing."""


class _Blocking:
    """Keeps descriptors waiting for their reader, instead of losing what it cannot take yet."""

    def __init__(self) -> None:
        self._descriptors = [one for one in (0, 1, 2) if _is_open(one) and os.get_blocking(one)]

    def mend(self) -> None:
        try:
            for descriptor in self._descriptors:
                os.set_blocking(descriptor, True)
        except OSError:  # a command has closed one
            for descriptor in filter(_is_open, self._descriptors):
                os.set_blocking(descriptor, True)

    def leave(self) -> None:
        """Change nothing."""


class _Stream:
    """Keeps ``sys.stdout`` or ``sys.stderr`` where it was, and open.

    :param name: which of them.
    :param output: what the run writes to it with.
    """

    def __init__(self, name: str, output: Output) -> None:
        self.name = name
        self.descriptor = _DESCRIPTORS[name]
        self._output = output
        self._missing = getattr(sys, self.name) is None  # closed when Python started
        if self._missing:
            setattr(sys, self.name, _nowhere(self.descriptor))
        self._stream = getattr(sys, self.name)
        self._encoding = getattr(self._stream, "encoding", None)
        self._errors = getattr(self._stream, "errors", None)
        own = Output(self.name).own_descriptor
        self._copy = None if own is None else os.dup(own)

    def mend(self) -> None:
        # Where nobody reads any more, it has been turned away on purpose.
        if self._copy is not None and not self._output.given_up and not self._is_usable():
            self._open_again(self._copy)
        setattr(sys, self.name, self._stream)

    def leave(self) -> None:
        if self._copy is not None:
            os.close(self._copy)
        if self._missing:
            self._stream.close()
            setattr(sys, self.name, None)

    def _is_usable(self) -> bool:
        try:
            closed = getattr(self._stream, "closed", False)
            return not closed and os.path.sameopenfile(self._stream.fileno(), self._copy or 0)
        except (AttributeError, OSError, ValueError):
            return False  # closed, detached, or its descriptor is

    def _open_again(self, copy: int) -> None:
        """Make the stream usable, or put one like it in its place."""
        descriptor = self.descriptor
        if _is_open(descriptor):  # by something else, which must keep it
            descriptor = os.dup(copy)
        else:
            os.dup2(copy, descriptor)
        if not self._is_usable():
            self._stream = open(  # noqa: SIM115 - it is for the rest of the run, or longer
                descriptor,
                "w",
                buffering=1 if os.isatty(descriptor) else -1,
                encoding=self._encoding,
                errors=self._errors,
                closefd=False,
            )


def _nowhere(descriptor: int) -> IO[str]:
    """Return a stream that keeps nothing, on a descriptor that else the next file would get."""
    if _is_open(descriptor):
        return open(os.devnull, "w")  # another file has it already
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return open(descriptor, "w", closefd=False)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
