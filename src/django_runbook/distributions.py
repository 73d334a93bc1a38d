"""Entry points of the installed distributions, sorted, with nothing imported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

HOOK_GROUP = "django_runbook"
"""The group of entry points whose values are modules with hooks."""

SETTINGS_GROUP = "django_runbook.settings"
"""The group of entry points whose values are settings components."""


class Found(NamedTuple):
    """One entry point and whose it is."""

    name: str
    """The distribution's normalised name."""

    version: str | None
    entry_point: EntryPoint

    @property
    def full_name(self) -> str:
        """``distribution:name``, which no two entry points share."""
        return f"{self.name}:{self.entry_point.name}"


def normalised(name: str) -> str:
    """Return a distribution's name in its normal form (PyPA name normalization, PEP 503).

    :param name: the name in any spelling.
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def is_whole(distribution: Distribution) -> bool:
    """Tell whether a distribution has its metadata: what is left of an uninstalled one has none.

    :param distribution: the distribution.
    """
    try:
        return any(distribution.read_text(name) for name in ("METADATA", "PKG-INFO"))
    except UnicodeDecodeError:
        return True


def _found(distribution: Distribution, entry_point: EntryPoint) -> Found:
    """Return an entry point and whose it is, also if its metadata cannot be read.

    Whoever gives steps is not left out for that.
    """
    try:
        name, version = distribution.name, distribution.version
    except UnicodeDecodeError:
        name, version = "", ""
    return Found(normalised(name or "unnamed"), version or None, entry_point)


def entry_points(group: str) -> list[Found]:
    """Return the entry points of a group, by distribution, then by name.

    :param group: the group's name.
    """
    # Settings files import this module; what reads the metadata is as slow to import as all of
    # ours together, and most settings files never ask.
    import importlib.metadata

    found = [
        _found(entry.dist, entry)
        for entry in importlib.metadata.entry_points(group=group)
        if entry.dist is not None and is_whole(entry.dist)
    ]
    return sorted(found, key=lambda one: (one.name, one.entry_point.name, one.entry_point.value))
