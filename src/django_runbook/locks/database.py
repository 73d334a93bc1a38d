"""The lock of all machines that work on one database: PostgreSQL's and MySQL's advisory locks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist

from django_runbook.canonical import one_line
from django_runbook.masking import Hidden
from django_runbook.model import closest
from django_runbook.secret import Secret

from .backend import Holder, LockError, LockUnusable, read_stamp, stamp

T = TypeVar("T")

_PATIENCE = 10.0
"""Seconds until a server that does not answer is given up. None of our statements waits in it."""

_KEEPALIVE = 60
"""Seconds of silence after which the system asks PostgreSQL's host for a sign of life: routers
forget a connection on which nothing was said during a long step."""

_IDLE = 31_536_000
"""Seconds that MySQL lets the connection be idle: the most that it takes, a year."""

_APPLICATION_NAME = 63
"""Characters that PostgreSQL keeps of an ``application_name``."""

# Each statement, by vendor. A key of PostgreSQL's is a bigint, of which pg_locks shows the halves.
# Both servers let a session take twice what it holds. Behind a pooler two runs may have the same
# session, so "take" asks first, in the same statement, and gives NULL.
_HELD = """
    FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = %(key)s
"""
_POSTGRESQL = {
    "take": f"""
        SELECT CASE WHEN EXISTS (SELECT {_HELD} AND pid = pg_backend_pid()) THEN NULL
        ELSE pg_try_advisory_lock(%(key)s) END, pg_backend_pid()
    """,
    "holder": f"SELECT pid, pg_backend_pid() {_HELD}",
    "give back": "SELECT pg_advisory_unlock(%(key)s)",
    "who": """
        SELECT application_name, usename, host(client_addr) FROM pg_stat_activity
        WHERE pid = %(id)s
    """,
    "stay": (
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout'"
    ),
    "sign": "SELECT set_config('application_name', %(stamp)s, false)",
}
_MYSQL = {
    "take": """
        SELECT IF(IS_USED_LOCK(%(key)s) = CONNECTION_ID(), NULL, GET_LOCK(%(key)s, 0)),
        CONNECTION_ID()
    """,
    "holder": "SELECT IS_USED_LOCK(%(key)s), CONNECTION_ID()",
    "give back": "SELECT RELEASE_LOCK(%(key)s)",
    # The host with its port, or without one if it is on a socket.
    "who": """
        SELECT '', USER,
        IF(LOCATE(':', HOST), LEFT(HOST, LENGTH(HOST) - LOCATE(':', REVERSE(HOST))), HOST)
        FROM information_schema.PROCESSLIST WHERE ID = %(id)s
    """,
    "stay": f"SET SESSION wait_timeout = {_IDLE}",
}
_POOLER = (
    "Behind a pooler that shares sessions, as PgBouncer does in transaction mode, give as "
    'DJANGO_RUNBOOK["LOCK"]["alias"] a database that connects directly.'
)

_PASSWORDS = ("password", "passwd", "sslpassword")
"""The options of drivers that hold a password."""

_STATEMENTS: Mapping[str, Mapping[str, str]] = {"postgresql": _POSTGRESQL, "mysql": _MYSQL}


def has_advisory_locks(alias: str) -> bool:
    """Tell whether a database can hold locks.

    :param alias: its alias.
    :raises LockUnusable: if the site has no such database, or cannot load its driver.
    """
    return _vendor(alias) in _STATEMENTS


def _vendor(alias: str) -> str:
    try:
        return connections[alias].vendor
    except ConnectionDoesNotExist:
        hint = closest(alias, connections) or f"DATABASES has {', '.join(connections)}."
        raise LockUnusable(f"the site has no database {alias!r}", hint) from None
    except ImproperlyConfigured as exc:
        message = f"the database {alias!r} cannot be used: {one_line(exc).rstrip('.?')}"
        raise LockUnusable(message, "Mend DATABASES, or install the driver.") from None


class DatabaseLock:
    """An advisory lock, held by a connection that nothing else uses.

    A step that closes all connections closes the site's own, as ``connections`` knows them. This
    one is not among them. It commits each statement, is taken from no pool, and asks the server
    not to end it for being idle while a long step runs.

    :param name: the lock's name.
    :param options: ``alias`` is the database; the default one unless given.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._alias = options.get("alias", DEFAULT_DB_ALIAS)
        self._vendor = _vendor(self._alias)
        if self._vendor not in _STATEMENTS:
            raise LockUnusable(
                f"the database {self._alias!r} ({self._vendor}) has no advisory locks",
                'Use the backend "file" for one machine or "redis" for many, or name as "alias" a '
                "PostgreSQL or MySQL database.",
            )
        self.detail = f"{self._alias} ({self._vendor})"
        self._sql = _STATEMENTS[self._vendor]
        number = int.from_bytes(bytes.fromhex(name[-16:]), signed=True)
        self._key = number if self._vendor == "postgresql" else f"django_runbook:{name}"
        self._connection: BaseDatabaseWrapper | None = None
        self._session: int | None = None

    def acquire(self) -> bool:
        """Try to take the lock.

        :raises LockError: if the server cannot be asked.
        """
        if self._connection is None:
            self._connect()
        taken, session = self._fetch("take")
        if taken is None:
            holder = self._fetch("holder")
            if holder is None or holder[0] != session:
                raise LockError("the server could not take it, and does not say why")
            raise LockError("this session of the server holds it already", _POOLER)
        if not taken:
            return False
        self._session = session
        if "sign" in self._sql:
            self._fetch("sign", stamp=stamp(longest=_APPLICATION_NAME))
        self.verify()
        return True

    def _connect(self) -> None:
        connection = connections[self._alias].copy()
        given = connection.settings_dict
        given["OPTIONS"].pop("pool", None)
        if self._vendor == "postgresql":
            given["OPTIONS"].setdefault("keepalives_idle", _KEEPALIVE)
        given.update(AUTOCOMMIT=True, CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=False)
        connection.inc_thread_sharing()  # each statement has a thread of its own
        self._connection = connection
        try:
            self._fetch("stay")
        except LockError as exc:
            hint = f"DATABASES[{self._alias!r}] says where the server is, and for whom."
            raise LockError(str(exc), hint) from None

    def verify(self) -> None:
        """Make sure that the session that took the lock is still there, and holds it.

        :raises LockError: if it does not.
        """
        holder, session = self._fetch("holder") or (None, None)
        if holder is None:
            raise LockError("the session that held it has ended, or has given it back")
        if not holder == session == self._session:
            raise LockError("another session of the server holds it", _POOLER)

    def release(self) -> None:
        """Give the lock back.

        :raises LockError: if the server says that it was not held any more, or cannot be asked.
        """
        if not self._fetch("give back")[0]:
            raise LockError("the server says that it was not held any more")
        self._session = None

    def close(self) -> None:
        """Close the connection, with which the lock goes."""
        connection, self._connection, self._session = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Error):  # the server has closed it, as was wanted
                connection.close()

    def holder(self) -> Holder | None:
        """Return who holds the lock, as far as the server lets us see.

        :raises LockError: if the server cannot be asked.
        """
        session = (self._fetch("holder") or (None,))[0]
        if session is None:
            return None
        try:
            name, user, address = self._fetch("who", id=session) or ("", "", "")
        except LockError:  # not everybody may know
            name, user, address = "", "", ""
        known_as = f"session {session} of the server"
        known_as += f", user {user}" if user else ""
        known_as += f", from {address}" if address else ""
        return read_stamp(name or "", known_as) or Holder(str(session), known_as=known_as)

    def _fetch(self, what: str, **parameters: Any) -> Any:
        """Execute one of the statements, and return its first row, if it gives any."""
        connection = self._connection
        if connection is None or (self._session is not None and connection.connection is None):
            raise LockError("its connection was closed")  # Django would open another one

        def ask() -> Any:
            with connection.cursor() as cursor:
                cursor.execute(self._sql[what], {"key": self._key, **parameters})
                return cursor.fetchone() if cursor.description else None

        try:
            return _within(_PATIENCE, ask)
        except _Silent:
            self._connection = None  # it is left to the thread that waits for it
            raise LockError(f"the server has not answered for {_PATIENCE:g} s") from None
        except (Error, ImproperlyConfigured) as exc:
            raise self._failure(exc) from None

    def _failure(self, exc: Exception) -> LockError:
        """Return what a driver has said, without the site's passwords."""
        assert self._connection is not None
        given = self._connection.settings_dict
        values = (given.get("PASSWORD"), *(given["OPTIONS"].get(one) for one in _PASSWORDS))
        hidden = Hidden(Secret(str(value)) for value in values if value)
        return LockError(hidden.mask(one_line(exc)) or type(exc).__name__)


class _Silent(Exception):
    """A server does not answer."""


def _within(seconds: float, call: Callable[[], T]) -> T:
    """Call something that may wait for a server that has gone silent, but not for ever.

    No driver has a limit for each answer that also holds for a server that is frozen, and whose
    system still acknowledges what it is sent. So the call has a thread, which is left behind then.

    :param seconds: how long to wait.
    :param call: what to call.
    :raises _Silent: if it has not returned in time.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as exc:  # noqa: BLE001 - raised where it is waited for
            future.set_exception(exc)

    threading.Thread(target=run, name="django_runbook lock", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise  # the call's own
        raise _Silent from None
