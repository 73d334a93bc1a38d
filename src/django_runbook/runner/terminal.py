"""The line at the bottom of a terminal that shows which step runs, and for how long.

rich's live displays redraw the line that the cursor stands on. That suits programs whose output all
goes through rich; here a step may be a child process, ask a question and wait on its line, or draw
a progress bar of its own, all of which would be wiped. So the last line of the terminal is taken
out of the region that scrolls, as apt does it: what a step writes never gets there, and the cursor
is put back to where the step has left it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

from rich.cells import cell_len, set_cell_size

_INTERVAL = 0.1
"""Seconds between two drawings."""

_LEAST_HEIGHT = 5
"""Lines that a terminal must have for one of them to be spared."""

_SAVE, _RESTORE = "\x1b7", "\x1b8"
_CLEAR_LINE = "\x1b[2K"
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"

_taken = threading.Lock()
"""Held by the run that has the line: a routine inside of another one's step gets none."""


def duration(seconds: float) -> str:
    """Return a duration as people read it: ``1.2 s``, ``2 min 05 s``, ``1 h 02 min``.

    :param seconds: how long it was.
    """
    if seconds < 59.95:  # what would be shown as 60.0
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


class StatusLine:
    """Shows what runs, until it is left.

    :param descriptor: the file descriptor of the terminal.
    """

    def __init__(self, descriptor: int) -> None:
        self._given = descriptor
        self._descriptor = descriptor
        self._shown = ("", "", 0.0)
        self._size: os.terminal_size | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._suspended: Any = None
        from rich.spinner import Spinner  # 150 pictures that only a terminal needs

        self._frames = Spinner("line").frames

    def __enter__(self) -> StatusLine:
        size = self._measured()
        if size is None or not _taken.acquire(blocking=False):
            return self
        # A step may put something else in the descriptor's place, which must get none of this.
        self._descriptor = os.dup(self._given)
        self._reserve(size)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTSTP) not in (signal.SIG_IGN, None):
            self._suspended = signal.signal(signal.SIGTSTP, self._suspend)
        self._thread = threading.Thread(target=self._draw_on, name="django_runbook", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_exc_info: object) -> None:
        if self._thread is None:
            return
        self._over.set()
        self._thread.join()
        if self._suspended is not None:
            signal.signal(signal.SIGTSTP, self._suspended)
        self._release()
        os.close(self._descriptor)
        _taken.release()

    def show(self, label: str, name: str) -> None:
        """Show what runs from now on.

        :param label: its place among the others; empty if nothing runs.
        :param name: what it is.
        """
        self._shown = (label, name, time.monotonic())
        if self._thread is not None and self._size is not None:
            self._reserve(self._size)  # the step before may have reset the terminal

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        """Give the terminal back as a whole while Ctrl-Z has stopped the process."""
        size, self._size = self._size, None
        self._release()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)  # it goes on
        size = self._measured() or size
        if size is not None:
            self._reserve(size)

    def _measured(self) -> os.terminal_size | None:
        """Return the terminal's size, or ``None`` if it has no line to spare."""
        if os.environ.get("TERM", "dumb") == "dumb":
            return None
        try:
            size = os.get_terminal_size(self._descriptor)
        except OSError:
            return None
        return size if size.lines >= _LEAST_HEIGHT and size.columns > 1 else None

    def _reserve(self, size: os.terminal_size) -> None:
        """Keep what scrolls above the last line.

        The cursor may stand on that line, or in the middle of another: so there is first made
        room for one more (``ESC D`` goes down in the same column), and what is below is cleared,
        which is where a terminal that has grown still shows the old line.
        """
        self._size = size
        self._write(
            f"{_SAVE}\x1b[r{_RESTORE}\x1bD\x1b[A"
            f"{_SAVE}\x1b[B\r\x1b[J\x1b[1;{size.lines - 1}r{_RESTORE}"
        )

    def _release(self) -> None:
        """Let the whole terminal scroll again, the last line empty."""
        size = self._measured()
        clear = "" if size is None else f"\x1b[{size.lines};1H{_CLEAR_LINE}"
        self._write(f"{_SAVE}\x1b[r{clear}{_RESTORE}")

    def _draw_on(self) -> None:
        frame = 0
        while not self._over.wait(_INTERVAL):
            size = self._measured()
            if size is None or self._size is None:
                continue
            if size != self._size:
                self._reserve(size)
            spinner = self._frames[frame % len(self._frames)]
            line = self._line(spinner, size.columns - 1)
            drawn = f"{_CLEAR_LINE}{_DIM}{line}{_PLAIN}"
            self._write(f"{_SAVE}\x1b[{size.lines};1H{drawn}{_RESTORE}")
            frame += 1

    def _line(self, spinner: str, width: int) -> str:
        """Return the line, its name cut where there is no room for it all.

        It does not go to the last column, where a terminal would go on to the next line.
        """
        label, name, since = self._shown
        if not label:
            return ""
        before, after = f"{spinner} {label} ", f" {duration(time.monotonic() - since)}"
        room = max(width - cell_len(before) - cell_len(after), 0)
        name = name if cell_len(name) <= room else set_cell_size(name, room)
        return set_cell_size(f"{before}{name}{after}", width).rstrip()

    def _write(self, text: str) -> None:
        # One call, so that nothing that a step writes gets in between. A terminal that is gone
        # must not end the step.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, text.encode())
