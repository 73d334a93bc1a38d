"""Which lock a routine takes: what the routine, the setting and the site's database say."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections
from django.utils.module_loading import import_string

from django_runbook.canonical import one_line
from django_runbook.model import closest
from django_runbook.policy import BACKENDS, LockPolicy

from .backend import LockBackend, LockUnusable
from .held import Lock


def lock_of(routine: str, wanted: Literal[True] | str, policy: LockPolicy) -> Lock:
    """Return the lock that a routine takes. Nothing is connected to.

    :param routine: the routine's name.
    :param wanted: what its control ``lock`` says: ``True``, or the name of a backend.
    :param policy: what the setting says.
    :raises LockUnusable: if there is no such backend, or if it cannot work here.
    """
    backend = policy.backend if wanted is True else str(wanted)
    name = lock_name(policy.project or _project(), routine)
    maker = _maker(backend, policy.options)
    try:
        made = maker(name, policy.options)
    except LockUnusable:
        raise
    except Exception as exc:
        said = one_line(f"{type(exc).__name__}: {exc}")
        hint = "It must take the lock's name and a dictionary of options."
        raise LockUnusable(f"the backend {backend!r} raised {said}", hint) from exc
    return Lock(routine, name, getattr(made, "description", backend), made)


def lock_name(project: str, routine: str) -> str:
    """Return what the locks of one routine of one project on one database are known by.

    The host of the database is not in it: the machines of a site may know it by other names.

    :param project: the project's name.
    :param routine: the routine's name.
    :return: what reads best of it, and 16 hexadecimal digits that hang on all of it.
    """
    database = str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])
    whole = json.dumps([project, database, routine])
    readable = re.sub(r"[^A-Za-z0-9_-]", "_", f"{project}-{routine}")[:33]
    return f"{readable}-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def _project() -> str:
    """Return the top-level package of the settings module: it is the same on every machine."""
    return str(getattr(settings, "SETTINGS_MODULE", None) or "django").partition(".")[0]


def _maker(
    backend: str, options: Mapping[str, Any]
) -> Callable[[str, Mapping[str, Any]], LockBackend]:
    """Return the class of a backend, which is loaded here: most sites use one of them."""
    if backend == "auto":
        from .database import has_advisory_locks

        alias = options.get("alias", DEFAULT_DB_ALIAS)
        backend = "database" if has_advisory_locks(alias) else "file"
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
    if "." not in path:
        hint = closest(path, BACKENDS) or f"There are {', '.join(BACKENDS)}."
        raise LockUnusable(f"there is no backend {path!r}", f"{hint} Or give a dotted path.")
    try:
        return cast("type[LockBackend]", import_string(path))
    except Exception as exc:
        said = one_line(f"{type(exc).__name__}: {exc}")
        hint = "Mend the path, which names a class with the methods of LockBackend."
        raise LockUnusable(f"the backend {path!r} cannot be loaded: {said}", hint) from exc
