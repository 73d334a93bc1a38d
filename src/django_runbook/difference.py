"""What differs between the plan that is expected and the one that would run, and how it is shown.

Pure: no Django. ``comparison`` finds it; here it becomes lines and JSON.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .canonical import printable
from .document import FORMAT_VERSION

Kind: TypeAlias = Literal["added", "removed", "moved", "changed"]
"""What has become of a step."""

MARKS: Mapping[Kind, str] = {"added": "+", "removed": "-", "moved": ">", "changed": "~"}
"""What stands before a step of each kind, in the order in which they are told."""


@dataclass(frozen=True)
class AttributeChange:
    """One attribute of a step, or of the routine, that is another one."""

    attribute: str
    """Its name: ``argv``, or with a key of it ``options.interactive``."""

    old: Any
    new: Any
    """Its values as JSON has them; ``None`` where it is not there."""

    override: Mapping[str, Any] | None = None
    """The origin of the override that has changed it, if one has."""

    text: str = ""
    """The change as people read it."""


@dataclass(frozen=True)
class Entry:
    """One step that is not as expected."""

    kind: Kind
    id: str
    """The step's id, behind those of the steps in whose nested routines it is; the name of a
    routine if it is the routine itself that has changed."""

    old: Mapping[str, Any] | None
    """The ``position``, ``argv``, ``options`` and ``origin`` that are expected, with the project's
    directory as ``<project>``; ``None`` if the step is in no part of that plan."""

    new: Mapping[str, Any] | None
    """The same of what would run."""

    by: str = ""
    """Who contributed it, in the expected plan and in the one that would run."""

    changes: tuple[AttributeChange, ...] = ()
    """What has changed in it; of a step that came or went what is stated of it."""

    detail: str = ""
    """Why it does not run any more, or did not; behind which step it has moved."""


@dataclass(frozen=True)
class Difference:
    """What differs between two plans; true if what would run does."""

    routine: str
    expected: str
    """The fingerprint of the expected plan."""

    found: str
    """The fingerprint of the one that would run."""

    entries: tuple[Entry, ...] = ()
    """Added steps first, then removed, moved and changed ones, each in their plan's order."""

    releases: tuple[tuple[str, str | None, str | None], ...] = ()
    """Distributions behind the two plans of which the version differs: name, expected, found;
    ``None`` where it is behind one of them only, or its version is not known."""

    differs: bool = False
    """Whether what would run is something else than what is expected."""

    def __bool__(self) -> bool:
        return self.differs

    @property
    def summary(self) -> str:
        """How many steps of each kind there are: ``1 added, 2 moved``."""
        counts = {kind: sum(one.kind == kind for one in self.entries) for kind in MARKS}
        return ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)

    def lines(self) -> Iterator[str]:
        """Yield the difference as people read it."""
        for entry in self.entries:
            yield from map(printable, _lines(entry))
        if self.releases:
            shown = (
                f"{name} {old or '(none)'} -> {new or '(none)'}" for name, old, new in self.releases
            )
            yield printable(f"Distributions that differ: {', '.join(shown)}.")
        if self:
            yield f"Expected: {self.expected}"
            yield f"Found:    {self.found}"

    def document(self) -> dict[str, Any]:
        """Return the difference as JSON can hold it; ``docs/json.md`` describes it."""
        return {
            "format_version": FORMAT_VERSION,
            "routine": self.routine,
            "as_expected": not self,
            "expected": self.expected,
            "found": self.found,
            "differences": [
                {
                    "kind": entry.kind,
                    "id": entry.id,
                    "detail": entry.detail,
                    "changes": [
                        {
                            "attribute": one.attribute,
                            "old": one.old,
                            "new": one.new,
                            "override": one.override,
                        }
                        for one in entry.changes
                    ],
                    "old": entry.old,
                    "new": entry.new,
                }
                for entry in self.entries
            ],
            "distributions": [
                {"name": name, "expected": old, "found": new} for name, old, new in self.releases
            ],
        }


def shown_value(attribute: str, value: Any) -> str:
    """Return the value of an attribute as people read it, on one line.

    :param attribute: its name; an ``argv`` is shown as a shell would take it.
    :param value: the value.
    """
    if attribute == "argv":
        return " ".join(map(shlex.quote, value))
    return json.dumps(value, ensure_ascii=False)


def _lines(entry: Entry) -> Iterator[str]:
    """Yield an entry as people read it: what, then by whom and how."""
    old, new = entry.old or {}, entry.new or {}
    what = f"{MARKS[entry.kind]} {entry.id}"
    if entry.kind == "moved":
        what += f", from {old['position']} to {new['position']}, {entry.detail}"
    elif entry.kind == "changed" and new.get("position"):
        what += f", at {new['position']}"
    elif entry.kind != "changed":
        step = new if entry.kind == "added" else old
        what += f", at {step['position']}: {_command(step)}"
    yield what
    if entry.by:
        yield f"    by {entry.by}"
    if entry.detail and entry.kind != "moved":
        yield f"    {entry.detail}"
    for change in entry.changes:
        yield f"    {change.text}"


def _command(step: Mapping[str, Any]) -> str:
    given = (f"{key}={shown_value(key, value)}" for key, value in step["options"].items())
    options = ", ".join(given)
    return shown_value("argv", step["argv"]) + (f" ({options})" if options else "")
