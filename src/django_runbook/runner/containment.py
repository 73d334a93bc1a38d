"""What code of the site must not do to the process: end it, or go on in two of them."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn


class ProcessEnded(Exception):
    """The code called ``sys.exit()``, or did the same.

    :param code: what it was given.
    """

    def __init__(self, code: object) -> None:
        status = 0 if code is None else code
        said = f"status {status}" if isinstance(status, int) else str(status)
        super().__init__(f"ended the process with {said}")
        self.returncode = status if isinstance(status, int) else 1


class contained:  # noqa: N801 - it reads as what it does, like contextlib.suppress
    """Keep what runs inside from ending the process, and a child that it forks from coming back.

    A forked child ends here, as it asked to: it must not run the rest of the routine once more.

    :param mask: takes secrets out of the traceback that a child leaves.
    :raises ProcessEnded: in place of :exc:`SystemExit`.
    """

    def __init__(self, mask: Callable[[str], str] = str) -> None:
        self._mask = mask
        self._process = os.getpid()

    def __enter__(self) -> None:
        """Enter."""

    def __exit__(
        self, _type: object, exc: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if os.getpid() != self._process:
            _leave(exc, self._mask)
        if isinstance(exc, SystemExit):
            raise ProcessEnded(exc.code) from exc


def _leave(exc: BaseException | None, mask: Callable[[str], str]) -> NoReturn:
    """End a forked child: what it unwound on its way out would be its parent's, too.

    A transaction rolled back here is rolled back on the connection that both have.
    """
    status = 0 if exc is None else 1
    said = ""
    if isinstance(exc, SystemExit):
        ended = ProcessEnded(exc.code)
        status = ended.returncode
        said = "" if exc.code is None or isinstance(exc.code, int) else f"{exc.code}\n"
    elif exc is not None:
        said = "".join(traceback.format_exception(exc))
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        sys.stderr.write(mask(said))
        sys.stderr.flush()
    os._exit(status & 0xFF)
