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


def name_and_version(distribution: Distribution) -> tuple[str, str | None] | None:
    """Return a distribution's normalised name and its version, as its metadata states them.

    Of what cannot be read the name is empty. What is left of an uninstalled one has no metadata,
    and is none.

    :param distribution: the distribution.
    """
    # With importlib.metadata. Its own properties read the file anew for each of the two, and parse
    # the text below the headers, which is the project's whole README.
    from email.parser import HeaderParser

    try:
        files = map(distribution.read_text, ("METADATA", "PKG-INFO"))
        text = next(filter(None, files), None)
    except UnicodeDecodeError:
        return "", None
    if text is None:
        return None
    headers = HeaderParser().parsestr(text.partition("\n\n")[0])
    return normalised(headers["Name"] or ""), headers["Version"] or None


def entry_points(group: str) -> list[Found]:
    """Return the entry points of a group, by distribution, then by name.

    :param group: the group's name.
    """
    # Settings files import this module; what reads the metadata is as slow to import as all of
    # ours together, and most settings files never ask.
    import importlib.metadata

    found = []
    for entry in importlib.metadata.entry_points(group=group):
        stated = None if entry.dist is None else name_and_version(entry.dist)
        if stated is not None:  # whoever gives steps is not left out for a name that is unreadable
            found.append(Found(stated[0] or "unnamed", stated[1], entry))
    return sorted(found, key=lambda one: (one.name, one.entry_point.name, one.entry_point.value))
