"""How the package behaves on a site: what ``DJANGO_RUNBOOK`` says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, NamedTuple

from .canonical import described, plain, really, shown
from .distributions import normalised
from .model import SETTINGS, Code, Hearing, Origin, Problem, Source, closest
from .secret import Secret

_SETTING = "DJANGO_RUNBOOK"

BACKENDS = ("auto", "file", "database", "redis")
"""The names of the backends of locks; anything else is the dotted path of a site's own."""

_LOCK_OPTIONS: Mapping[str, tuple[Callable[[Any], bool], str, str]] = MappingProxyType(
    {
        "backend": (
            lambda value: value in BACKENDS or is_dotted(value),
            f"one of {', '.join(BACKENDS)} or a dotted path",
            'Leave it out for "auto".',
        ),
        "project": (
            lambda value: really(value, str) and bool(value),
            "a name",
            "Leave it out for the package that holds the settings.",
        ),
        "directory": (
            lambda value: isinstance(value, str | PurePath) and bool(str(value)),
            "a path",
            "Leave it out for a directory of the user's own.",
        ),
        "alias": (
            lambda value: really(value, str),
            "the alias of a database",
            'Leave it out for "default".',
        ),
        "url": (
            lambda value: isinstance(value, Secret | str),
            "an address",
            'Write it like "redis://redis.example.com:6379/0".',
        ),
        "lease": (
            lambda value: _is_number(value) and 1 <= value <= 86_400,
            "a number of seconds from 1 to 86400",
            "Leave it out for 30 seconds.",
        ),
    }
)
"""What ``LOCK`` may say: of each key whether a value is right, what it must be, and a remedy."""


class LockPolicy(NamedTuple):
    """What the site says of locks."""

    backend: str = "auto"
    project: str | None = None
    """The project's name; ``None`` is the top-level package of the settings module."""

    options: Mapping[str, Any] = MappingProxyType({})
    """What is for the backend."""


def is_dotted(path: Any) -> bool:
    """Tell whether something is the dotted path of what a module holds.

    :param path: anything.
    """
    if not really(path, str) or "." not in path:
        return False
    return all(map(str.isidentifier, path.split(".")))


GRACE_PERIOD = 10.0
"""Seconds that a process gets to end by itself when its time is over, as ``docker stop`` gives."""


class Policy(NamedTuple):
    """What the site says."""

    allow: frozenset[str] | None = None
    """Names of the distributions let in; ``None`` lets in all."""

    block: frozenset[str] = frozenset()
    """Names of apps, of distributions, or ``distribution:entry-point``."""

    problems: tuple[Problem, ...] = ()

    lock: LockPolicy | None = LockPolicy()
    """What the site says of locks; ``None`` if it is not known what it means to say."""

    grace_period: float = GRACE_PERIOD
    """Seconds between asking a process to end, when its time is over, and killing it."""

    def hearing(self, source: Source) -> Hearing:
        """Return whether a source is to be asked, or why not.

        :param source: an app or a distribution's entry point.
        """
        if self.blocks(source):
            return "blocked"
        if source.kind == "distribution" and not self.admits(source):
            return "not_allowed"
        return "heard"

    def blocks(self, source: Source) -> bool:
        """Tell whether a source must not be asked, because it is blocked.

        :param source: an app or a distribution's entry point.
        """
        return any(names(name, source) for name in self.block)

    def admits(self, source: Source) -> bool:
        """Tell whether a distribution is among those let in.

        :param source: a distribution's entry point.
        """
        return self.allow is None or any(names(name, source) for name in self.allow)


def names(name: str, source: Source) -> bool:
    """Tell whether a name in the setting means a source.

    :param name: an app's label, a distribution's name in any spelling, or that and the name of
        one of its entry points, with a colon between them.
    :param source: the source.
    """
    if source.kind == "app":
        return name == source.name
    distribution, _, entry_point = name.partition(":")
    return normalised(distribution) == source.name and entry_point in ("", source.entry_point)


def read_policy(setting: Any) -> Policy:
    """Return what ``DJANGO_RUNBOOK`` says, and what is wrong with it.

    :param setting: the setting's value.
    """
    try:
        return _read(setting)
    except Exception as exc:  # noqa: BLE001 - told as the setting's: it may hold any object
        message = f"{_SETTING} cannot be read: {described(exc)}"
        hint = "Write plain dictionaries, lists, strings and numbers."
        problem = Problem(Code.BAD_SETTING, message, hint, Origin(SETTINGS))
        return Policy(frozenset(), frozenset(), (problem,), None)


def _read(setting: Any) -> Policy:
    """Return what the setting says, or raise what an object in it raises."""
    problems: list[Problem] = []

    def wrong(message: str, hint: str) -> None:
        problems.append(Problem(Code.BAD_SETTING, message, hint, Origin(SETTINGS)))

    def section(value: Any, known: tuple[str, ...], where: str) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            wrong(
                f"{where} must be a dictionary, not {shown(value)}.",
                f"Known keys: {', '.join(known)}.",
            )
            return {}
        for key in value:
            if key not in known:
                hint = closest(str(key), known) or f"Known keys: {', '.join(known)}."
                wrong(f"{where} has the unknown key {shown(key)}.", hint)
        return value

    def listed(value: Any, where: str) -> frozenset[str]:
        if isinstance(value, list | tuple | set | frozenset) and all(
            really(name, str) for name in value
        ):
            return frozenset(map(plain, value))
        wrong(f"{where} must be a list of names, not {shown(value)}.", 'Write ["acme-cdn"].')
        return frozenset()

    whole = section(setting or {}, ("GRACE_PERIOD", "LOCK", "PLUGINS"), _SETTING)
    grace = whole.get("GRACE_PERIOD", GRACE_PERIOD)
    if not _is_number(grace) or not 0 <= grace <= sys.float_info.max:
        wrong(
            f'{_SETTING}["GRACE_PERIOD"] must be a number of seconds, not {shown(grace)}.',
            f"Leave it out for {GRACE_PERIOD:g} seconds; 0 kills at once.",
        )
        grace = GRACE_PERIOD
    plugins = whole.get("PLUGINS", {})
    said = section(plugins, ("allow", "block"), f'{_SETTING}["PLUGINS"]')
    allow = said.get("allow", "all")
    allowed = None if allow == "all" else listed(allow, f'{_SETTING}["PLUGINS"]["allow"]')
    blocked = listed(said.get("block", ()), f'{_SETTING}["PLUGINS"]["block"]')
    lock = _lock(whole["LOCK"], wrong, section) if "LOCK" in whole else LockPolicy()
    if problems:
        # Where it is not known who is trusted, nobody is; nor which lock others look at.
        return Policy(frozenset(), blocked, tuple(problems), None, float(grace))
    return Policy(allowed, blocked, (), lock, float(grace))


def _lock(
    given: Any,
    wrong: Callable[[str, str], None],
    section: Callable[[Any, tuple[str, ...], str], Mapping[str, Any]],
) -> LockPolicy:
    """Return what ``LOCK`` says, reporting what is wrong with it."""
    where = f'{_SETTING}["LOCK"]'
    backend = given.get("backend", "auto") if isinstance(given, Mapping) else "auto"
    # What a site's own backend takes, only it knows.
    own = is_dotted(backend)
    if not isinstance(given, Mapping):
        # Not what it is: an address in the wrong place may hold a password.
        wrong(
            f"{where} must be a dictionary, not of the type {type(given).__name__}.",
            f"Known keys: {', '.join(_LOCK_OPTIONS)}.",
        )
        return LockPolicy()
    said = given if own else section(given, tuple(_LOCK_OPTIONS), where)
    if "backend" not in said and not {"url", "lease"}.isdisjoint(said):
        wrong(
            f"{where} says where Redis is, and not that it is to be used.",
            'Add "backend": "redis", or "auto" if only some routines name it as their lock.',
        )
    right = {}
    for key, value in said.items():
        is_right, wanted, hint = _LOCK_OPTIONS.get(key, (lambda _: True, "", ""))
        if (own and key not in ("backend", "project")) or is_right(value):
            right[key] = value
        else:
            held = "" if "://" in str(value) or key == "url" else f", not {shown(value)}"
            like = closest(value, BACKENDS) if key == "backend" and isinstance(value, str) else ""
            wrong(f'{where}["{key}"] must be {wanted}{held}.', like or hint)
    return LockPolicy(
        right.pop("backend", "auto"),
        right.pop("project", None),
        MappingProxyType(right),
    )


def _is_number(value: Any) -> bool:
    return really(value, int, float) and not really(value, bool)
