"""The lock of one machine: a file that the operating system locks for one process at a time."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock as HardLock
from filelock import Timeout

from .backend import Holder, LockError, LockUnusable, host_name, read_stamp, stamp

_LONGEST = 400
"""Bytes of a stamp. A file that is longer is none of ours."""

_abandoned: list[HardLock] = []
"""Those whose descriptor somebody has closed: to give one up would close what has its number."""


class FileLock:
    """An ``flock()`` on a file.

    The default directory does not hang on ``HOME``, ``TMPDIR`` or ``XDG_RUNTIME_DIR``: a routine
    that cron starts has others than one that a person starts, and both must find the same file.
    It belongs to the user alone, as tmux keeps its sockets; what another user has put in its place
    is refused.

    :param name: the lock's name.
    :param options: ``directory`` is where the file lies.
    """

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        given = options.get("directory")
        self._own = given is None
        self._directory = Path(f"/tmp/django-runbook-{os.geteuid()}" if given is None else given)  # noqa: S108 - see _prepare
        if not self._directory.is_absolute():
            raise LockUnusable(
                f"the lock directory {str(given)!r} is relative: it would be another one for a "
                "process that is started somewhere else",
                'Give an absolute path, such as BASE_DIR / "locks".',
            )
        self._path = self._directory / f"{name}.lock"
        self._identity: tuple[int, int] | None = None
        self._descriptor = -1
        self._lock: HardLock | None = None

    def acquire(self) -> bool:
        """Try to take the lock.

        :raises LockError: if the file cannot be made or locked.
        """
        try:
            mode = self._prepare()
            # thread_local: it may be verified in another thread than the one that took it.
            # preserve_lock_file: verify() knows the file again. fallback_to_soft: a file that is
            # there says nothing of a process that was killed.
            lock = HardLock(
                self._path,
                mode=mode,
                thread_local=False,
                fallback_to_soft=False,
                preserve_lock_file=True,
                on_acquired=self._sign,
            )
            lock.acquire(blocking=False)
        except Timeout:
            return False
        except OSError as exc:
            what = exc.filename or self._path
            hint = 'Give as DJANGO_RUNBOOK["LOCK"]["directory"] one that this user may write to.'
            raise LockError(f"{what}: {exc.strerror or exc}", hint) from None
        self._lock = lock
        return True

    def _prepare(self) -> int:
        """Make the directory, and return the mode of a file in it: who may make one may lock it.

        That takes no more than to read it: so nobody else may read it.

        A directory of our own that somebody else can change is refused: who takes the file away
        while it is locked lets a second run in.
        """
        try:
            self._directory.mkdir(mode=0o700 if self._own else 0o777, parents=True, exist_ok=True)
        except FileExistsError:
            raise self._refused(f"{self._directory} is no directory") from None
        if not self._own:
            writers = self._directory.stat().st_mode & 0o222
            return 0o600 | writers | writers << 1
        found = self._directory.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise self._refused(f"{self._directory} is no directory")
        if found.st_uid != os.geteuid():
            raise self._refused(f"{self._directory} belongs to another user ({found.st_uid})")
        if found.st_mode & 0o022:
            raise self._refused(f"{self._directory} can be changed by other users")
        return 0o600

    @staticmethod
    def _refused(message: str) -> LockError:
        hint = 'Remove it, or give as DJANGO_RUNBOOK["LOCK"]["directory"] one that is yours.'
        return LockError(message, hint)

    def _sign(self, descriptor: int) -> None:
        """Write into the locked file who holds it."""
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise self._refused(f"{self._path} is no file")
        self._descriptor = descriptor
        self._identity = (found.st_dev, found.st_ino)
        self._write(f"{stamp(longest=_LONGEST)}\n")

    def _write(self, text: str) -> None:
        """Write into the locked file, unless somebody has put a file of another kind there.

        It is for people alone: where the disk is full, the lock is held all the same.
        """
        found = os.fstat(self._descriptor)
        with contextlib.suppress(OSError):
            held = os.pread(self._descriptor, _LONGEST + 1, 0).decode("ascii", "replace")
            if found.st_nlink == 1 and (not held or read_stamp(held) is not None):
                os.ftruncate(self._descriptor, 0)
                os.pwrite(self._descriptor, text.encode(), 0)

    def verify(self) -> None:
        """Make sure that the file is still locked, and is the one that others would lock.

        :raises LockError: if it is not.
        """
        if not self._is_open():
            raise LockError(f"{self._path} was closed in this process, which has unlocked it")
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            raise LockError(f"{self._path} was deleted") from None
        except OSError as exc:
            raise LockError(f"{self._path}: {exc.strerror}") from None
        if (found.st_dev, found.st_ino) != self._identity:
            raise LockError(f"{self._path} was replaced")

    def release(self) -> None:
        """Give the lock back.

        :raises LockError: if it was not held any more.
        """
        self.verify()
        self._write("")
        assert self._lock is not None
        self._lock.release()
        self._lock = None

    def close(self) -> None:
        """Unlock the file."""
        lock, self._lock = self._lock, None
        if lock is not None and self._is_open():
            lock.release()
        elif lock is not None:
            _abandoned.append(lock)

    def _is_open(self) -> bool:
        """Tell whether the descriptor is there, and has not become another file's."""
        try:
            found = os.fstat(self._descriptor)
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._identity

    def holder(self) -> Holder | None:
        """Return who holds the lock, if the file says so and that process is still there."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            text = os.read(descriptor, _LONGEST + 1).decode("ascii", "replace")
        except OSError:
            return None
        finally:
            os.close(descriptor)
        found = read_stamp(text, str(self._path))
        # What one that was killed has written stays there until the next one has written its own.
        return found if found is None or _is_there(found) else None


def _is_there(holder: Holder) -> bool:
    if holder.host != host_name() or holder.process is None:
        return True  # on a file system that machines share, nobody here can tell
    try:
        os.kill(holder.process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # it is another user's
    return True
