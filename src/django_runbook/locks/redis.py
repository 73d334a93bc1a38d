"""The lock of all machines that reach one Redis server: a key with a lease that is renewed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.exceptions import LockError as RedisLockError
from redis.lock import Lock
from redis.retry import Retry

from django_runbook.canonical import one_line
from django_runbook.masking import Hidden
from django_runbook.secret import Secret, revealed

from .backend import Holder, LockError, LockUnusable, read_stamp, stamp

LEASE = 30.0
"""Seconds that the server keeps the lock of a process that does not renew it any more."""

_RENEWALS = 3
"""Renewals in the time of a lease. One that fails is tried again, and again, until it is over."""

_PATIENCE = 10
"""The part of a lease that is waited for an answer, as a divisor: several must find room in it."""


class RedisLock:
    """redis-py's ``Lock``, its lease renewed by a thread.

    The time is measured on both sides. The server forgets the key when the lease is over; and a
    process that was paused for as long does not even have to ask.

    :param name: the lock's name.
    :param options: ``url`` is the server's address, ``lease`` the seconds of the lease.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._url = options.get("url")
        self._lease = float(options.get("lease", LEASE))
        self._key = f"django_runbook:{name}"
        self._hidden = Hidden()
        self._renewed = 0.0
        self._lost = self._trouble = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        if self._url is None:
            raise LockUnusable(
                "the backend 'redis' is not told where the server is",
                'Give its address: "url": "redis://redis.example.com:6379/0".',
            )
        # Where a plan is only looked at, the variables of the machine that runs it may be unset.
        self._unset = self._url.missing if isinstance(self._url, Secret) else ()
        if not self._unset:
            self._redis = self._client(str(revealed(self._url)))
            # thread_local: the thread that renews it must know its token, too.
            self._lock = Lock(self._redis, self._key, timeout=self._lease, thread_local=False)

    def _client(self, url: str) -> Redis:
        patience = max(self._lease / _PATIENCE, 0.5)
        try:
            address = urlsplit(url)
            hidden = [address.password or ""]
            if "@" in f"{address.path}{address.query}{address.fragment}":
                raise ValueError(url)  # noqa: TRY301 - what is special in the password is not quoted
            hidden += [value for name, value in parse_qsl(address.query) if "password" in name]
            client = Redis.from_url(
                url,
                socket_timeout=patience,
                socket_connect_timeout=patience,
                # Asked again because its answer was lost, the server would say that somebody
                # else, who is this run, has taken the lock.
                retry=Retry(NoBackoff(), 0),
            )
        except (ValueError, RedisError):
            # What it says of the address may hold the password.
            raise LockUnusable(
                "the address of Redis cannot be read",
                'Write it like "redis://user:password@redis.example.com:6379/0", with what is '
                "special in the password quoted (urllib.parse.quote).",
            ) from None
        self._hidden.add(Secret(one) for word in hidden for one in (word, unquote(word)) if one)
        return client

    def acquire(self) -> bool:
        """Try to take the lock, and begin to renew it.

        :raises LockError: if the server cannot be asked.
        """
        if self._unset:
            hint = f"Set {self._unset[0]} where the routine runs."
            raise LockError(f"the environment variable {self._unset[0]!r} is not set", hint)
        began = time.monotonic()
        self._lost, self._trouble, self._over = "", "", threading.Event()
        try:
            taken = self._lock.acquire(blocking=False, token=stamp())
        except RedisError as exc:
            hint = 'DJANGO_RUNBOOK["LOCK"]["url"] says where the server is, and for whom.'
            raise LockError(str(self._failure(exc)), hint) from None
        if taken:
            self._renewed = began
            self._thread = threading.Thread(
                target=self._renew_on, name="django_runbook lock", daemon=True
            )
            self._thread.start()
        return bool(taken)

    def _renew_on(self) -> None:
        period = self._lease / _RENEWALS
        pause = period
        while not self._over.wait(pause):
            began = time.monotonic()
            try:
                self._lock.reacquire()
            except RedisLockError:
                self._lost = self._gone
                return
            except RedisError as exc:
                self._trouble = f": {self._failure(exc)}"
                pause = min(1.0, period / 4)  # verify() knows if the lease is over meanwhile
            else:
                self._renewed, pause = began, period

    def verify(self) -> None:
        """Make sure that the lease has not run out, and that the server says so, too.

        :raises LockError: if it has, or if the server cannot be asked.
        """
        if self._lost:
            raise LockError(self._lost)
        if time.monotonic() - self._renewed >= self._lease:
            said = f"its lease of {self._lease:g} s has run out without being renewed"
            raise LockError(f"{said}{self._trouble}")
        try:
            owned = self._lock.owned()
        except RedisError as exc:
            raise self._failure(exc) from None
        if not owned:
            raise LockError(self._gone)

    @property
    def _gone(self) -> str:
        return (
            f"the server does not know it any more: its lease of {self._lease:g} s has run out, or "
            "the server has lost its data, as in a restart"
        )

    def release(self) -> None:
        """Give the lock back.

        :raises LockError: if the server says that it was not held any more, or cannot be asked.
        """
        self._stop_renewing()
        try:
            self._lock.release()
        except RedisLockError:
            raise LockError(self._gone) from None
        except RedisError as exc:
            raise self._failure(exc) from None

    def close(self) -> None:
        """Leave the lock to its lease, if it is held, and close the connections."""
        self._stop_renewing()
        if not self._unset:
            self._redis.close()
            self._redis.connection_pool.disconnect()  # which redis-py 5.0.0 left to the collector

    def _stop_renewing(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            thread.join()

    def holder(self) -> Holder | None:
        """Return who holds the lock, as its key says.

        :raises LockError: if the server cannot be asked.
        """
        try:
            token = self._redis.get(self._key)
        except RedisError as exc:
            raise self._failure(exc) from None
        text = token.decode("ascii", "replace") if isinstance(token, bytes) else str(token or "")
        return read_stamp(text, self._key)

    def _failure(self, exc: Exception) -> LockError:
        """Return what the server or the system has said, without the password."""
        return LockError(self._hidden.mask(one_line(exc)) or type(exc).__name__)
