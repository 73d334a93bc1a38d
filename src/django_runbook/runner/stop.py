"""Stopping on request: a signal lets the step that runs finish, a second one ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which people, supervisors and lost terminals ask a process to end."""

_current: StopRequest | None = None
"""The innermost run of this process: a command of a routine may run another one."""


def signal_name(number: int) -> str:
    """Return a signal's name, or its number if it has none, as real-time signals have not.

    :param number: the signal's number.
    """
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class StopRequest:
    """Takes the signals while a routine runs, and keeps what they ask for.

    Outside the main thread it takes none, as Python allows none there. A signal that is ignored
    when the run begins, as ``nohup`` has it, stays ignored.

    :param tell: is given a line about what was asked for; it is called in a signal's handler.
    :param take: take them at all.
    """

    def __init__(self, tell: Callable[[str], None], *, take: bool = True) -> None:
        self._tell = tell
        self._take = take
        self.signal: int | None = None
        """The number of the first signal that came."""
        self.abort = False
        """Whether a second one came: the step that runs must end now."""
        self.group: int | None = None
        """The process group of the step that runs in a process of its own."""
        self._interrupts = False
        self._starting = False
        self._late: int | None = None
        self._means = (
            "the routine stops when this step has finished; another signal ends the step now."
        )
        self._means_now = "the step is ended."
        self._previous: dict[int, Any] = {}
        self._outer: StopRequest | None = None
        self._wakeup: tuple[int, int, int] | None = None

    def __enter__(self) -> StopRequest:
        global _current
        if not self._take or threading.current_thread() is not threading.main_thread():
            return self
        self._outer, _current = _current, self
        # A command may take the signals itself, to finish its own work early. Then this pipe, into
        # which Python writes the number of each signal, is how the routine learns of it.
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        os.set_blocking(writing, False)
        old = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._wakeup = (reading, writing, old)
        for number in SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_exc_info: object) -> None:
        global _current  # noqa: PLW0603 - see __enter__
        if self._wakeup is None:
            return
        self._put_back()
        self._note_those_that_came()
        reading, writing, old = self._wakeup
        signal.set_wakeup_fd(old)
        os.close(reading)
        os.close(writing)
        _current = self._outer
        if self._outer is not None and self.signal is not None:
            # Who asked the inner routine to stop, asked the whole process.
            self._outer.signal = self._outer.signal or self.signal

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            self._tell(f"{signal_name(number)}: {self._means}")
            return
        outermost = self
        while outermost._outer is not None:
            outermost = outermost._outer
            outermost.signal = outermost.signal or self.signal
        if self.abort and self._starting:
            self._late = number
            return
        if self.abort:
            # A third one does what it would have done without us, and leaves nobody behind.
            if self.group is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.group, signal.SIGKILL)
            outermost._put_back()  # noqa: SLF001
            os.kill(os.getpid(), number)
            return
        self.abort = outermost.abort = True
        self._tell(f"{signal_name(number)}: {self._means_now}")
        if self._interrupts:
            raise KeyboardInterrupt

    def _put_back(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def meaning(self, text: str) -> Iterator[None]:
        """Tell something else of a signal that comes meanwhile, when no step runs.

        :param text: what a signal means.
        """
        usual = self._means, self._means_now
        self._means = self._means_now = text
        try:
            yield
        finally:
            self._means, self._means_now = usual

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Let a third signal wait until it is known which process must not be left behind."""
        self._starting = True
        try:
            yield
        finally:
            self._starting = False
            if self._late is not None:
                self._handle(self._late, None)

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """Let a second signal raise :exc:`KeyboardInterrupt` in the code that runs meanwhile."""
        self._interrupts = True
        try:
            yield
        finally:
            self._interrupts = False

    def renew(self) -> None:
        """Take the signals back from a command that took them, and note those that it got."""
        if self._wakeup is None:
            return
        self._note_those_that_came()
        _, writing, _ = self._wakeup
        if not self.abort:
            signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
            for number in self._previous:
                if signal.getsignal(number) != self._handle:
                    signal.signal(number, self._handle)

    def _note_those_that_came(self) -> None:
        assert self._wakeup is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                for number in os.read(self._wakeup[0], 4096):
                    if number in self._previous and self.signal is None:
                        self.signal = number


def _in_forked_child() -> None:
    """Give a process that a command has forked the handlers that it would have without us.

    Else a pool of workers would not end when it is told to, and its signals would be taken for
    this process's.
    """
    global _current  # noqa: PLW0603 - see StopRequest.__enter__
    while _current is not None:
        signal.set_wakeup_fd(-1)
        for number, handler in _current._previous.items():  # noqa: SLF001 - of this module
            if signal.getsignal(number) == _current._handle:  # noqa: SLF001
                signal.signal(number, handler)
        _current = _current._outer  # noqa: SLF001


os.register_at_fork(after_in_child=_in_forked_child)
