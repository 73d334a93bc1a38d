"""Which lock a routine takes: what the routine, the setting and the site's database say."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any, Literal, cast

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string

from django_runbook.canonical import described
from django_runbook.model import closest
from django_runbook.policy import BACKENDS, LockPolicy, is_dotted, read_policy

from .backend import LockBackend, LockUnusable
from .held import Lock

_METHODS = ("acquire", "verify", "release", "close", "holder")


def lock_policy() -> LockPolicy | None:
    """Return what the site says of locks, or ``None`` if that is malformed."""
    return read_policy(getattr(settings, "DJANGO_RUNBOOK", None)).lock


def lock_of(routine: str, wanted: Literal[True] | str, policy: LockPolicy) -> Lock:
    """Return the lock that a routine takes. Nothing is connected to.

    :param routine: the routine's name.
    :param wanted: what its control ``lock`` says: ``True``, or the name of a backend.
    :param policy: what the setting says.
    :raises LockUnusable: if there is no such backend, or if it cannot work here.
    """
    backend = policy.backend if wanted is True else str(wanted)
    if backend == "auto":
        backend = _automatic(policy.options)
    maker = _maker(backend)
    name = lock_name(policy.project or _project(), routine)
    try:
        made = maker(name, policy.options)
    except LockUnusable:
        raise
    except (Exception, SystemExit) as exc:
        hint = "It must take the lock's name and a dictionary of options."
        raise LockUnusable(f"the backend {backend!r} raised {described(exc)}", hint) from exc
    detail = str(getattr(made, "detail", "")) if backend in BACKENDS else ""
    return Lock(routine, name, backend, detail, made)


def lock_name(project: str, routine: str) -> str:
    """Return what the locks of one routine of one project on one database are known by.

    The host of the database is not in it: the machines of a site may know it by other names. Of a
    database that is a file, the name is what it is after all links: the releases of a site may
    each have a link to the same one. The limit is MySQL's, of 64 characters with our prefix.

    :param project: the project's name.
    :param routine: the routine's name.
    :return: 48 characters at most: what reads best of it, and 16 hexadecimal digits that hang on
        all of it.
    """
    # Not of the connection: to make one takes the database's driver.
    database = str(connections.settings[DEFAULT_DB_ALIAS]["NAME"])
    if os.path.isabs(database):
        database = os.path.realpath(database)
    whole = json.dumps([project, database, routine])
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", f"{project}-{routine}")[:31]
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def _project() -> str:
    """Return the top-level package of the settings module: it is the same on every machine."""
    # Settings that a test overrides do not tell their module, and the variable does.
    module = getattr(settings, "SETTINGS_MODULE", None) or os.environ.get(ENVIRONMENT_VARIABLE)
    return str(module or "django").partition(".")[0]


def _automatic(options: Mapping[str, Any]) -> str:
    """Return the backend that suits the site's database."""
    from .database import has_advisory_locks

    # Who names a database means it.
    return "database" if "alias" in options or has_advisory_locks(DEFAULT_DB_ALIAS) else "file"


def _maker(backend: str) -> type[LockBackend]:
    """Return the class of a backend, which is loaded here: most sites use one of them."""
    if backend == "file":
        from .file import FileLock

        return FileLock
    if backend == "database":
        from .database import DatabaseLock

        return DatabaseLock
    if backend == "redis":
        try:
            from .redis import RedisLock
        except ImportError as exc:
            raise LockUnusable(
                f"the backend 'redis' needs redis-py: {exc}", "pip install django-runbook[redis]"
            ) from None
        return RedisLock
    return _own_maker(backend)


def _own_maker(path: str) -> type[LockBackend]:
    """Return the class of a site's own backend."""
    if not is_dotted(path):
        hint = closest(path, BACKENDS) or f"There are {', '.join(BACKENDS)}."
        # An address in the wrong place may hold a password.
        named = "" if "://" in path else f" {path!r}"
        raise LockUnusable(f"there is no backend{named}", f"{hint} Or give a dotted path.")
    try:
        maker = cast("type[LockBackend]", import_string(path))
    except (Exception, SystemExit) as exc:
        hint = "Mend the path, which names a class with the methods of LockBackend."
        raise LockUnusable(
            f"the backend {path!r} cannot be loaded: {described(exc)}", hint
        ) from exc
    missing = [name for name in _METHODS if not callable(getattr(maker, name, None))]
    if missing:
        raise LockUnusable(
            f"the backend {path!r} has no method {missing[0]}()",
            f"It needs {', '.join(_METHODS)}: see LockBackend.",
        )
    return maker
