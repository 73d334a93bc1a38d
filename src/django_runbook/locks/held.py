"""The locks of one run: taken together or not at all, looked after, given back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from django_runbook.canonical import one_line
from django_runbook.exceptions import LockFailed, LockLost

from .backend import Holder, LockBackend, LockError

T = TypeVar("T")

_VARIABLE = "DJANGO_RUNBOOK_LOCKS"
"""The environment variable that tells a step's process which locks the run around it holds."""

_current: ContextVar[HeldLocks | None] = ContextVar("django_runbook_locks", default=None)
"""The locks of the innermost run of this thread: a command of a routine may run another one."""


@dataclass(frozen=True, eq=False)
class Lock:
    """One lock that a run takes."""

    routine: str
    """The routine that must not run twice."""

    name: str
    """What the backend knows it by."""

    description: str
    """What takes care of it, as people read it."""

    backend: LockBackend

    def call(self, method: Callable[[], T]) -> T:
        """Call a method of the backend; whatever it raises is the backend's.

        :param method: the method.
        :raises LockError: in place of any exception.
        """
        try:
            return method()
        except LockError:
            raise
        except Exception as exc:  # a site's own backend may raise anything
            said = one_line(f"{type(exc).__name__}: {exc}")
            raise LockError(f"{self.description} raised {said}") from exc


class HeldLocks:
    """The locks of one run.

    What a run around this one holds is held for this one, too: it is not taken again. That is so
    for a routine that a command runs, which is in the same thread, and for one that a step runs in
    a process of its own, which is told by its environment. There the lock's backend must confirm
    that the holder is still the same.

    :param locks: those to take, always in one order: two runs that take the same ones in another
        order each would wait for each other.
    """

    def __init__(self, locks: Sequence[Lock]) -> None:
        self._outer = _current.get()
        around = self._outer.names if self._outer is not None else frozenset()
        self._locks = [lock for lock in locks if lock.name not in around]
        self.names: frozenset[str] = around.union(lock.name for lock in locks)
        """The names of all locks that are held, those of the runs around included."""
        self._inherited = _inherited()
        self._ours: list[Lock] = []
        self._theirs: list[Lock] = []
        self._lost: LockLost | None = None
        self._process = os.getpid()
        self._before: Token[HeldLocks | None] | None = None

    def acquire(self) -> Lock | None:
        """Take all of them, or none; return the one that another run holds, if any.

        :raises LockFailed: if it cannot be known whether one is free.
        """
        for lock in self._locks:
            try:
                if lock.call(lock.backend.acquire):
                    self._ours.append(lock)
                elif self._is_inherited(lock):
                    self._theirs.append(lock)
                else:
                    self._give_back()
                    return lock
            except LockError as exc:
                self.release()
                raise LockFailed(
                    f"The lock of routine {lock.routine!r} cannot be taken, so nothing was run.\n"
                    f"  lock: by {lock.description}\n"
                    f"  failure: {exc}{_hint(exc)}"
                ) from exc.__cause__
        self._before = _current.set(self)
        return None

    def _is_inherited(self, lock: Lock) -> bool:
        token = self._inherited.get(lock.name)
        if token is None:
            return False
        holder = holder_of(lock)
        return holder is not None and holder.token == token

    def verify(self) -> None:
        """Make sure that all of them are still held.

        :raises LockLost: if one is not, then and ever after.
        """
        if os.getpid() != self._process:
            return  # a child that a command has forked must not use its parent's connections
        if self._lost is not None:
            raise self._lost
        if self._outer is not None:
            self._outer.verify()
        for lock in self._ours:
            try:
                lock.call(lock.backend.verify)
            except LockError as exc:
                self._lost = _loss(lock, exc)
                raise self._lost from exc.__cause__
        for lock in self._theirs:
            if not self._is_inherited(lock):
                why = LockError("the run around this one does not hold it any more")
                self._lost = _loss(lock, why)
                raise self._lost

    def release(self) -> LockLost | None:
        """Give all of them back; return what there is to say if one was not held any more."""
        if self._before is not None:
            _current.reset(self._before)
            self._before = None
        others = [lock for lock in self._locks if lock not in self._ours]
        lost = self._give_back()
        for lock in others:
            self._closed(lock)
        return self._lost or lost

    def _give_back(self) -> LockLost | None:
        """Release what was taken, the last one first."""
        lost = None
        for lock in reversed(self._ours):
            lost = self._closed(lock) or lost
        self._ours.clear()
        self._theirs.clear()
        return lost

    @staticmethod
    def _closed(lock: Lock) -> LockLost | None:
        try:
            lock.call(lock.backend.release)
        except LockError as exc:
            return _loss(lock, exc)
        return None

    def environment(self) -> Mapping[str, str]:
        """Return what tells a step's process which locks this run holds."""
        return {_VARIABLE: json.dumps(self._tokens, sort_keys=True)} if self._tokens else {}

    @cached_property
    def _tokens(self) -> dict[str, str]:
        """By each lock's name what tells this hold of it from any other one."""
        outer = self._outer
        tokens = dict(self._inherited if outer is None else outer._tokens)  # noqa: SLF001
        for lock in self._ours:
            holder = holder_of(lock)
            if holder is not None:
                tokens[lock.name] = holder.token
        return tokens


def holder_of(lock: Lock) -> Holder | None:
    """Return who holds a lock, if that can be known.

    :param lock: the lock.
    """
    try:
        return lock.call(lock.backend.holder)
    except LockError:
        return None


def _loss(lock: Lock, why: LockError) -> LockLost:
    return LockLost(
        f"the lock of routine {lock.routine!r} was lost; another run may have started meanwhile.\n"
        f"  lock: by {lock.description}\n"
        f"  lost because: {why}{_hint(why)}"
    )


def _hint(why: LockError) -> str:
    return f"\n    HINT: {why.hint}" if why.hint else ""


def _inherited() -> dict[str, str]:
    try:
        said: Any = json.loads(os.environ.get(_VARIABLE, "{}"))
    except ValueError:
        return {}
    if not isinstance(said, dict):
        return {}
    return {name: token for name, token in said.items() if isinstance(token, str)}
