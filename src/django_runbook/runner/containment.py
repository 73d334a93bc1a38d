"""What code of the site must not do to the process: end it, or go on in two of them."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def contained(mask: Callable[[str], str] = str) -> Iterator[None]:
    """Keep what runs inside from ending the process, and a child that it forks from coming back.

    A forked child ends here, as it asked to: it must not run the rest of the routine once more.

    :param mask: takes secrets out of the traceback that a child leaves.
    :raises ProcessEnded: in place of :exc:`SystemExit`.
    """
    process = os.getpid()
    try:
        yield
    except BaseException as exc:
        if os.getpid() != process:
            _leave(exc, mask)
        if isinstance(exc, SystemExit):
            raise ProcessEnded(exc.code) from exc
        raise
    if os.getpid() != process:
        _leave(None, mask)


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
