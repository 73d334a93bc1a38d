"""What a lock is: the protocol of its backends, who holds one, and what can go wrong with it."""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from django_runbook.canonical import one_line

_STAMP = re.compile(r"(\d{1,10})@(\S*) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\w{1,64})", re.ASCII)


class LockError(Exception):
    """A lock could not be taken, looked at or given back, or is not held any more.

    :param message: why, without a full stop.
    :param hint: how to mend it, if that is known.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class LockUnusable(Exception):
    """What the settings say of a lock can never work.

    :param message: what is wrong.
    :param hint: how to mend it.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class Holder(NamedTuple):
    """Who holds a lock, as far as its backend knows."""

    token: str
    """What tells this hold of the lock from every other one, also of the same process."""

    process: int | None = None
    """The id of the process."""

    host: str = ""
    """The name of the machine that the process runs on."""

    since: datetime | None = None
    """When it took the lock, with its time zone."""

    known_as: str = ""
    """What a server calls the holder, where that is all there is, or more than the rest says."""

    def __str__(self) -> str:
        who, more = self.known_as or "another run", ""
        if self.process is not None:
            who, more = f"process {self.process}", f" ({self.known_as})" if self.known_as else ""
        where = f" on {self.host}" if self.host else ""
        since = "" if self.since is None else f", since {self.since:%Y-%m-%d %H:%M:%S %Z}"
        return one_line(f"{who}{where}{more}{since}")


class LockBackend(Protocol):
    """What makes sure that a routine runs once at a time.

    An object is one lock, for one run. A site's own backend is a class with these methods; the
    setting names it by its dotted path.

    :param name: the lock's name: ASCII letters, digits, ``-`` and ``_``, 48 characters at most.
        It is the same wherever the same routine of the same project works on the same database.
    :param options: what the setting says besides the backend and the project.
    :raises LockUnusable: if it cannot work with these options. Nothing is connected to here, as
        every plan of a routine that takes the lock makes such an object.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None: ...

    def acquire(self) -> bool:
        """Try to take the lock, without waiting for it; tell whether it was taken.

        It is called again and again where the routine waits.

        :raises LockError: if nobody can tell.
        """

    def verify(self) -> None:
        """Make sure that the lock is still held; called before every step.

        :raises LockError: if it is not, or if nobody can tell.
        """

    def release(self) -> None:
        """Give the lock back; called once, and only if :meth:`acquire` has taken it.

        :raises LockError: if it was not held any more.
        """

    def close(self) -> None:
        """Close what is open, such as a connection; called at the end, held or not."""

    def holder(self) -> Holder | None:
        """Return who holds the lock, if that can be known; called after :meth:`acquire`.

        :raises LockError: if nobody can tell.
        """


def host_name() -> str:
    """Return this machine's name, as a stamp has it."""
    return re.sub(r"[^!-~]", "_", socket.gethostname())


def stamp(*, longest: int = 255) -> str:
    """Return a text that says which process holds a lock from now on.

    :param longest: the characters that there is room for, some 40 at least.
    """
    since = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    after = f" {since} {secrets.token_hex(4)}"
    before = f"{os.getpid()}@"
    return f"{before}{host_name()[: longest - len(before) - len(after)]}{after}"


def read_stamp(text: str, known_as: str = "") -> Holder | None:
    """Return who wrote a :func:`stamp`, or ``None`` if it is none.

    :param text: the text.
    :param known_as: what a server calls the one who wrote it.
    """
    found = _STAMP.fullmatch(text.strip())
    if found is None:
        return None
    process, host, since, token = found.groups()
    try:
        when = datetime.strptime(since, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:  # there is no such day
        return None
    return Holder(token, int(process), host, when, known_as)
