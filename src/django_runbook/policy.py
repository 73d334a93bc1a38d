"""How the package behaves on a site: what ``DJANGO_RUNBOOK`` says."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .canonical import shown
from .distributions import normalised
from .model import SETTINGS, Code, Origin, Problem, Source, closest

_SETTING = "DJANGO_RUNBOOK"

GRACE_PERIOD = 10.0
"""Seconds that a process gets to end by itself when its time is over, as ``docker stop`` gives."""


@dataclass(frozen=True)
class Policy:
    """What the site says."""

    allow: frozenset[str] | None = None
    """Names of the distributions let in; ``None`` lets in all."""

    block: frozenset[str] = frozenset()
    """Names of apps, of distributions, or ``distribution:entry-point``."""

    problems: tuple[Problem, ...] = ()

    grace_period: float = GRACE_PERIOD
    """Seconds between asking a process to end, when its time is over, and killing it."""

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
            isinstance(name, str) for name in value
        ):
            return frozenset(value)
        wrong(f"{where} must be a list of names, not {shown(value)}.", 'Write ["acme-cdn"].')
        return frozenset()

    whole = section(setting or {}, ("GRACE_PERIOD", "PLUGINS"), _SETTING)
    grace = whole.get("GRACE_PERIOD", GRACE_PERIOD)
    if (
        isinstance(grace, bool)
        or not isinstance(grace, int | float)
        or not 0 <= grace <= sys.float_info.max
    ):
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
    # Where it is not known who is trusted, nobody is.
    return Policy(frozenset() if problems else allowed, blocked, tuple(problems), float(grace))
