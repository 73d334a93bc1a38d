"""A step in a process of its own: its output as it comes, its time limit, its whole family."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import selectors
import signal
import subprocess
import termios
import time
import tty
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from django_runbook.canonical import printable
from django_runbook.exceptions import CommandFailed

from .standard import has_keyboard
from .stop import StopRequest
from .streams import Output

_TICK = 0.05
"""Seconds between two looks at the clock and at what a signal has asked for."""

_QUIET = 0.2
"""Seconds of silence after which a process that has ended is left, though another that it has
started, such as a server, holds its output open."""

_KILLED = 0.5
"""Seconds that a killed group gets to be gone. Nothing survives ``SIGKILL``, but in a container
without an init process nobody reaps the dead, and they look alive."""

_AGAIN = 1.0
"""Seconds between asking a process to end for the second time and killing it, in a routine that is
not itself run by another's step. Within one it is less: there must be time left for its own."""

_DEPTH = "DJANGO_RUNBOOK_DEPTH"
"""The environment variable that tells a routine how many others it runs in."""

_REST = 1.0
"""Seconds that are waited for the rest of a process's output, all waits together."""

_PIECE = 4096
"""Bytes that a pipe or a terminal that can be written to takes at once, by POSIX's ``PIPE_BUF``."""

_TAIL_BYTES = 65536
_TAIL_LINES = 10
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])")

_BEGUN = re.compile(rb"\x1b(\[[0-?]*[ -/]*|\][^\x07\x1b]*)?$")
_LONGEST_SEQUENCE = 64
"""Bytes of a control sequence that is held back until its end has come."""

Why: TypeAlias = Literal["time", "stop"]
"""Why a process was ended: its time was over, or a second signal came."""


class ProgramNotStarted(CommandFailed):
    """A program cannot be started; its text says which and why."""


class Ended(NamedTuple):
    """How a process has ended."""

    returncode: int
    """Its exit status; below zero the number of the signal that killed it."""

    stderr: tuple[str, ...]
    """The last lines of its stderr."""

    ended_for: Why | None = None
    """Why it was ended, if it did not end by itself."""


class _Channel:
    """One output of a process on its way to one of ours.

    Where ours is a terminal the process gets one, too: programs that see a pipe show neither
    colours nor progress.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._held = b""
        self.tail = b""
        self._terminal = output.own_descriptor if output.is_terminal else None
        self._size = (0, 0)
        if self._terminal is None:
            self.reading, self.writing = os.pipe()
        else:
            self.reading, self.writing = os.openpty()
            tty.setraw(self.writing)  # ours turns line ends into what it needs
            self.resize()

    def resize(self) -> bool:
        """Give the process's terminal the size of ours, and tell whether that has changed."""
        try:
            size = self._size if self._terminal is None else termios.tcgetwinsize(self._terminal)
            changed = size != self._size
            if changed:
                termios.tcsetwinsize(self.reading, size)
        except termios.error:
            return False  # ours is gone
        self._size = size
        return changed

    @property
    def has_taker(self) -> bool:
        """Whether ours can be written to without waiting for who reads it.

        While it waits, this process could neither keep a time limit nor see a signal.
        """
        descriptor = self._output.own_descriptor
        return descriptor is None or bool(select.select([], [descriptor], [], 0)[1])

    def relay(self) -> bool:
        """Hand on what there is, and tell whether there may be more."""
        try:
            data = os.read(self.reading, _PIECE)
        except OSError:  # how Linux tells the end of a terminal
            data = b""
        if data:
            self.tail = (self.tail + data)[-_TAIL_BYTES:]
            whole = self._held + data
            self._held = _unfinished(whole) if self._terminal is not None else b""
            self._output.write_bytes(whole[: len(whole) - len(self._held)])
        return bool(data)

    def finish(self) -> None:
        """Hand on what was held back, as no more has come."""
        if self._held:
            self._output.write_bytes(self._held)
            self._held = b""


def run_process(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    out: Output,
    err: Output,
    stop: StopRequest,
    deadline: float | None = None,
    grace: float = 0.0,
) -> Ended:
    """Run a program, and return when it has ended.

    It runs in a session of its own: Ctrl-C at the terminal is for the routine alone, and with its
    process group everything that it has started can be ended. Its input is ours where somebody may
    type, so that it may ask; else it is empty, as nobody could answer.

    :param argv: the program and its arguments.
    :param env: its environment.
    :param out: where its stdout goes.
    :param err: where its stderr goes.
    :param stop: tells when it must end at once.
    :param deadline: the time of :func:`time.monotonic`, in seconds, at which it must end.
    :param grace: seconds between asking it to end and killing it.
    :return: how it has ended.
    :raises ProgramNotStarted: if it cannot be started.
    """
    for output in (out, err):
        output.flush()
    channels = (_Channel(out), _Channel(err))
    try:
        with stop.starting():
            process = subprocess.Popen(
                argv,
                env={**env, _DEPTH: str(depth() + 1)},
                stdin=None if has_keyboard() else subprocess.DEVNULL,
                stdout=channels[0].writing,
                stderr=channels[1].writing,
                start_new_session=True,
            )
            stop.group = process.pid
    except OSError as exc:
        for channel in channels:
            os.close(channel.reading)
        raise ProgramNotStarted(f"{argv[0]} cannot be run: {exc.strerror or exc}") from exc
    finally:
        for channel in channels:
            os.close(channel.writing)
    with selectors.DefaultSelector() as selector:
        for channel in channels:
            selector.register(channel.reading, selectors.EVENT_READ, channel)
        child = _Child(process, selector, stop, deadline, grace)
        try:
            child.follow()
        finally:
            child.leave()
            stop.group = None
            for channel in channels:
                channel.finish()
                os.close(channel.reading)
            for output in (out, err):
                output.finish()
    return Ended(process.returncode, _last_lines(channels[1].tail), child.ended_for)


def depth() -> int:
    """Return how many routines this process runs in, as a step of theirs."""
    said = os.environ.get(_DEPTH, "0")
    return int(said) if said.isdecimal() else 0


class _Child:
    """A process that runs, and what it has started."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        selector: selectors.BaseSelector,
        stop: StopRequest,
        deadline: float | None,
        grace: float,
    ) -> None:
        self._process = process
        self._selector = selector
        self._stop = stop
        self._deadline = deadline
        self._grace = grace
        self._kill_at = 0.0
        self._waited = 0.0
        self._stuck = False
        self._to_come: list[tuple[float, signal.Signals]] = []
        self.ended_for: Why | None = None

    def follow(self) -> None:
        """Relay the output until the process has ended, and end it when it must."""
        while not self._is_over():
            self._relay(_TICK)
            self._enforce()
        # What it has still written is in the pipes: that must not be waited for long. What comes
        # later is written by something that it has left behind.
        self._waited = 0.0
        while self._selector.get_map() and self._waited < _REST and not self._stop.abort:
            if not self._relay(_QUIET) or (self._stuck and self.ended_for is not None):
                break

    def leave(self) -> None:
        """Leave nothing behind: after an error here the process would run on unseen."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _is_over(self) -> bool:
        if self._process.poll() is None:
            return False
        if self.ended_for is None:
            return True
        # What is ended goes with all that it has started, also if it was itself the first to go.
        return not self._group_is_there() or time.monotonic() > self._kill_at + _KILLED

    def _relay(self, seconds: float) -> bool:
        """Hand on what there is, waiting for it no longer than this; tell whether there was."""
        resized = [key.data.resize() for key in self._selector.get_map().values()]
        if any(resized):
            self._signal(signal.SIGWINCH)  # its terminal is not the one that controls it
        if not self._selector.get_map():
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)  # it has closed its output, and works on
            if self._process.returncode is not None and self.ended_for is not None:
                time.sleep(_TICK)  # what it has started has not ended
            return False
        began = time.monotonic()
        ready = self._selector.select(seconds)
        self._waited += time.monotonic() - began
        takers = [key for key, _ in ready if key.data.has_taker]
        for key in takers:
            if not key.data.relay():
                self._selector.unregister(key.fileobj)
        self._stuck = bool(ready) and not takers
        if self._stuck:
            time.sleep(_TICK)  # a pager that is not scrolled: it is for the reader to go on
        return bool(ready)

    def _enforce(self) -> None:
        now = time.monotonic()
        if self._stop.abort and self.ended_for != "stop":
            self._end("stop", now, _TICK)
        elif self.ended_for is None and self._deadline is not None and now >= self._deadline:
            self._end("time", now, self._grace)
        while self._to_come and now >= self._to_come[0][0]:
            self._signal(self._to_come.pop(0)[1])

    def _end(self, why: Why, now: float, grace: float) -> None:
        """Decide how to end it: ask, ask again, kill.

        The second time is for a routine in it: that ends its own step then, whose processes are
        not in the group that is killed here.
        """
        self.ended_for = why
        self._kill_at = now + grace + (_AGAIN / (depth() + 1) if grace else 0)
        asked = [(now, signal.SIGTERM), (now + grace, signal.SIGTERM)] if grace else []
        self._to_come = [*asked, (self._kill_at, signal.SIGKILL)]

    def _signal(self, number: int) -> None:
        # Its leader may be gone, or another user's: then there is nothing to be done here.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _group_is_there(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def _unfinished(data: bytes) -> bytes:
    """Return the end of an output that is no whole character or control sequence yet.

    What else is drawn on the terminal must not get in between its halves.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-4:])
    begun = _BEGUN.search(data[-_LONGEST_SEQUENCE:])
    return begun[0] if begun else decoder.getstate()[0]


def _last_lines(tail: bytes) -> tuple[str, ...]:
    """Return the last lines of an output, without what a terminal would act upon."""
    text = _ESCAPE.sub("", tail.decode("utf-8", "replace"))
    lines = [printable(line.rstrip()) for line in text.splitlines()]
    if len(tail) == _TAIL_BYTES and len(lines) > 1:
        del lines[0]  # its beginning is lost, and half a secret would not be recognised
    return tuple([line for line in lines if line][-_TAIL_LINES:])
