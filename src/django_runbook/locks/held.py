"""The locks of one run: taken together or not at all, looked after, given back."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from typing import Any, TypeVar

from django_runbook.canonical import one_line
from django_runbook.exceptions import LockFailed, LockLost

from .backend import Holder, LockBackend, LockError

T = TypeVar("T")

_told_here: set[str] = set()
"""The tokens that this process has put into its own environment."""

_VARIABLE = "DJANGO_RUNBOOK_LOCKS"
"""The environment variable that tells a step's process which locks the run around it holds."""

_current: ContextVar[HeldLocks | None] = ContextVar("django_runbook_locks", default=None)
"""The locks of the innermost run of this thread: a command of a routine may run another one."""


class Lock:
    """One lock that a run takes.

    :param routine: the routine that must not run twice.
    :param name: what the backend knows it by.
    :param kind: what takes care of it: the name of the backend.
    :param detail: which database, for that backend.
    :param backend: what takes care of it.
    """

    def __init__(
        self, routine: str, name: str, kind: str, detail: str, backend: LockBackend
    ) -> None:
        self.routine = routine
        self.name = name
        self.kind = kind
        self.detail = detail
        self.backend = backend

    @property
    def description(self) -> str:
        """What takes care of it, as people read it."""
        return f"{self.kind} {self.detail}".strip()

    @property
    def key(self) -> str:
        """What tells it from other locks: the same routine's by another backend is another one."""
        return f"{self.description}:{self.name}"

    def call(self, method: Callable[[], T]) -> T:
        """Call a method of the backend; whatever it raises is the backend's.

        :param method: the method.
        :raises LockError: in place of any exception.
        """
        try:
            return method()
        except LockError:
            raise
        except (Exception, SystemExit) as exc:  # a site's own backend may raise anything
            said = one_line(f"{type(exc).__name__}: {exc}")
            raise LockError(f"{self.description} raised {said}") from exc

    def holder(self) -> Holder | None:
        """Return who holds it, if that can be known.

        :raises LockError: if the backend cannot tell.
        """
        found = self.call(self.backend.holder)
        if not isinstance(found, Holder | None):
            raise LockError(f"holder() of {self.description} returned no Holder")
        return found


class HeldLocks:
    """The locks of one run.

    What a run around this one holds is held for this one, too, and not taken again. A run in the
    same thread is known by the context; one that a step or a command starts in a process of its own
    is told by its environment, and the lock's backend must confirm that the holder is still the
    same. What an environment says that this process has made is not for its own other threads:
    they may be runs of their own.

    :param locks: those to take, always in one order: two runs that take the same ones in another
        order each would wait for each other.
    """

    def __init__(self, locks: Sequence[Lock]) -> None:
        self._process = os.getpid()
        self.is_over = False
        """Whether they were given back."""
        outer: HeldLocks | None = _current.get()
        while outer is not None and outer.is_over:  # a task or a thread may outlive its run
            outer = outer._outer  # noqa: SLF001 - another of this class
        self._told = _told()
        if outer is not None and outer._process != os.getpid():  # noqa: SLF001
            # A forked child may outlive the run, and has no connections of its own to the servers.
            self._told, outer = dict(outer.tokens), None
        self._outer: HeldLocks | None = outer
        around = outer.keys if outer is not None else frozenset()
        self._locks = [lock for lock in locks if lock.key not in around]
        self.keys: frozenset[str] = around.union(lock.key for lock in locks)
        """Those of all locks that are held, the runs around included."""
        self._ours: list[Lock] = []
        self._theirs: list[Lock] = []
        self.tokens: dict[str, str] = {}
        """By each lock's key what tells this hold of it from any other one."""
        self._busy: Lock | None = None
        self._lost: tuple[Lock, LockLost] | None = None
        self._before: Token[HeldLocks | None] | None = None
        self._environment: str | None = None

    def acquire(self) -> Lock | None:
        """Take them all, or none; return the one that another run holds, if any.

        Who waits holds nothing: the run that is waited for may itself need one of them, for a
        routine that a command of it runs. Tried again, it begins with the one that was busy, so
        that the others are not taken and given back all the time.

        :raises LockFailed: if it cannot be known whether one is free.
        """
        for lock in sorted(self._locks, key=lambda one: one is not self._busy):
            with _failing(lock):
                if lock.call(lock.backend.acquire):
                    self._ours.append(lock)
                elif self._is_inherited(lock):
                    self._theirs.append(lock)
                else:
                    self._busy = lock
                    break
        else:
            self._tell()
            return None
        self._theirs.clear()
        while self._ours:
            lock = self._ours.pop()
            with _failing(lock):
                lock.call(lock.backend.release)
        return self._busy

    def _tell(self) -> None:
        """Tell the runs in this run's steps which locks are held."""
        self.tokens.update(self._told if self._outer is None else self._outer.tokens)
        for lock in self._ours:
            with _failing(lock):
                holder = lock.holder()
                lock.call(lock.backend.verify)  # so that it was us
            if holder is not None:
                self.tokens[lock.key] = holder.token
                _told_here.add(holder.token)
        self._before = _current.set(self)
        if threading.current_thread() is threading.main_thread():
            self._environment = os.environ.get(_VARIABLE)
            os.environ.update(self.environment())

    def _is_inherited(self, lock: Lock) -> bool:
        token = self._told.get(lock.key)
        if token is None:
            return False
        holder = lock.holder()
        return holder is not None and holder.token == token

    def verify(self) -> None:
        """Make sure that all of them are still held.

        :raises LockLost: if one is not, then and ever after.
        """
        if self._lost is not None:
            raise self._lost[1]
        if self.is_over:
            raise LockLost("the run around this one has ended, and has given its locks back")
        if self._outer is not None:
            self._outer.verify()
        for lock in (*self._ours, *self._theirs):
            try:
                self._verify(lock)
            except LockError as exc:
                self._lost = (lock, _loss(lock, exc))
                raise self._lost[1] from exc.__cause__

    def _verify(self, lock: Lock) -> None:
        if lock in self._ours:
            lock.call(lock.backend.verify)
        elif not self._is_inherited(lock):
            raise LockError("the run around this one does not hold it any more")

    def release(self) -> LockLost | None:
        """Give all of them back; return what there is to say if one was not held any more."""
        lost = None
        self.is_over = True
        self._untell()
        for lock in reversed(self._ours):
            if self._lost is not None and lock is self._lost[0]:
                lost = self._lost[1]
                continue  # it may be another run's by now
            try:
                lock.call(lock.backend.release)
            except LockError as exc:
                lost = _loss(lock, exc)
        for lock in reversed(self._locks):
            with contextlib.suppress(LockError):
                lock.call(lock.backend.close)
        self._ours.clear()
        self._theirs.clear()
        return lost

    def _untell(self) -> None:
        if self._before is None:
            return
        _current.reset(self._before)
        self._before = None
        if threading.current_thread() is threading.main_thread():
            os.environ.pop(_VARIABLE, None)
            if self._environment is not None:
                os.environ[_VARIABLE] = self._environment

    def environment(self) -> Mapping[str, str]:
        """Return what tells a step's process which locks this run holds."""
        return {_VARIABLE: json.dumps(self.tokens, sort_keys=True)} if self.tokens else {}


@contextlib.contextmanager
def _failing(lock: Lock) -> Iterator[None]:
    try:
        yield
    except LockError as exc:
        raise LockFailed(
            f"The lock of routine {lock.routine!r} cannot be taken, so nothing was run.\n"
            f"  lock: by {lock.description}\n"
            f"  failure: {exc}{_hint(exc)}"
        ) from exc.__cause__


def _loss(lock: Lock, why: LockError) -> LockLost:
    return LockLost(
        f"the lock of routine {lock.routine!r} was lost; another run may have started meanwhile.\n"
        f"  lock: by {lock.description}\n"
        f"  lost because: {why}{_hint(why)}"
    )


def _hint(why: LockError) -> str:
    return f"\n    HINT: {why.hint}" if why.hint else ""


def _told() -> dict[str, str]:
    """Return what the run that this process is a step of holds: keys and tokens."""
    try:
        said: Any = json.loads(os.environ.get(_VARIABLE, "{}"))
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {
        key: token
        for key, token in said.items()
        if isinstance(token, str) and token not in _told_here
    }
