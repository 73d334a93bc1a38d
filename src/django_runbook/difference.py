"""What differs between the plan that is expected and the one that would run. Pure: no Django.

Two documents are compared, step by step, by id. Whatever the fingerprint covers is compared, and
nothing else: a plan with the same fingerprint has no difference.
"""

from __future__ import annotations

import json
import shlex
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .canonical import one_line
from .document import FORMAT_VERSION, PROJECT, Relocation, what_step_runs

Kind: TypeAlias = Literal["added", "removed", "moved", "changed"]
"""What has become of a step."""

_MARKS: Mapping[Kind, str] = {"added": "+", "removed": "-", "moved": ">", "changed": "~"}
_Document: TypeAlias = Mapping[str, Any]
"""A part of a plan's document."""

_NOTHING: _Document = {"routine": "", "controls": {}, "hooks": {}, "steps": []}


@dataclass(frozen=True)
class Change:
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
    """The step as it is expected, from the document; ``None`` if it is in no part of that."""

    new: Mapping[str, Any] | None
    """The step as it would run."""

    changes: tuple[Change, ...] = ()
    detail: str = ""
    """Why it does not run any more, or did not; behind which step it has moved."""

    @property
    def origins(self) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """Who contributed it, in the expected plan and in the one that would run."""
        return (
            None if self.old is None else self.old["origin"],
            None if self.new is None else self.new["origin"],
        )


@dataclass(frozen=True)
class Difference:
    """What differs; true if anything that would run does."""

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

    def __bool__(self) -> bool:
        return self.expected != self.found

    def lines(self) -> Iterator[str]:
        """Yield the difference as people read it."""
        for entry in self.entries:
            yield from _lines(entry)
        if self.releases:
            shown = (
                f"{name} {old or '(none)'} -> {new or '(none)'}" for name, old, new in self.releases
            )
            yield f"Distributions that differ: {', '.join(shown)}."
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
                    "old": _placed(entry.old),
                    "new": _placed(entry.new),
                }
                for entry in self.entries
            ],
            "distributions": [
                {"name": name, "expected": old, "found": new} for name, old, new in self.releases
            ],
        }


def differ(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Difference:
    """Return what differs between two plans of one routine.

    :param expected: the document of the plan that is expected.
    :param found: the document of the plan that would run.
    """
    entries: tuple[Entry, ...] = ()
    if expected["fingerprint"] != found["fingerprint"]:
        entries = tuple(_Comparison(expected, found).entries())
    return Difference(
        found["routine"],
        expected["fingerprint"],
        found["fingerprint"],
        entries,
        tuple(_releases(expected, found)),
    )


class _Comparison:
    """The comparison of two documents, with the plans nested in them."""

    def __init__(self, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        self._plans = (expected, found)
        roots = (expected["roots"], found["roots"])
        self._compared = tuple(map(Relocation, roots))
        self._shown = tuple(Relocation(one, PROJECT) for one in roots)

    def entries(self) -> list[Entry]:
        """Return what differs, by kind."""
        kinds = list(_MARKS)
        return sorted(self._of_plans(*self._plans, ""), key=lambda one: kinds.index(one.kind))

    def _of_plans(self, old: _Document, new: _Document, prefix: str) -> Iterator[Entry]:
        yield from self._of_routine(old, new, prefix)
        was, now = _running(old), _running(new)
        for one, step in now.items():
            if one not in was:
                off, why = _left_out(old, one)
                yield Entry("added", f"{prefix}{one}", off, step, detail=why and f"it was {why}")
        for one, step in was.items():
            if one not in now:
                off, why = _left_out(new, one)
                why = f"it is {why}" if why else "no source declares it now"
                yield Entry("removed", f"{prefix}{one}", step, off, detail=why)
        yield from self._of_places(was, now, prefix)
        for one, step in now.items():
            if one in was:
                yield from self._of_steps(was[one], step, f"{prefix}{one}")

    def _of_routine(self, old: _Document, new: _Document, prefix: str) -> Iterator[Entry]:
        """Yield what has changed in a routine itself, one by one, as each has its own origin."""
        for change in self._changes(old, new, _of_routine):
            name = change.attribute.partition(".")[2]
            was, now = ({"origin": one["origins"].get(name)} for one in (old, new))
            yield Entry("changed", f"{prefix}{new['routine']}", was, now, (change,))

    def _of_places(
        self, was: Mapping[str, _Document], now: Mapping[str, _Document], prefix: str
    ) -> Iterator[Entry]:
        """Yield the steps that have moved."""
        order = list(now)
        for one in sorted(_moved(was, now), key=order.index):
            place = order.index(one)
            detail = f"behind {order[place - 1]}" if place else "to the front"
            changes = tuple(self._changes(was[one], now[one], _of_order))
            yield Entry("moved", f"{prefix}{one}", was[one], now[one], changes, detail)

    def _of_steps(self, old: _Document, new: _Document, name: str) -> Iterator[Entry]:
        changes = tuple(self._changes(old, new, _of_step))
        if changes:
            yield Entry("changed", name, old, new, changes)
        if "plan" in old and "plan" in new:
            yield from self._of_plans(old["plan"], new["plan"], f"{name} > ")

    def _changes(
        self,
        old: _Document,
        new: _Document,
        read: Callable[[_Document, Relocation], dict[str, Any]],
    ) -> Iterator[Change]:
        """Yield the attributes that are others, but for the place of the project in them."""
        both = (old, new)
        was, now = map(_flat, map(read, both, self._compared))
        shown = list(map(_flat, map(read, both, self._shown)))
        for key in dict.fromkeys((*was, *now)):
            if _json_of(was, key) != _json_of(now, key):
                override = _override_of(new, key)
                text = " -> ".join(_value(key, one) for one in shown)
                by = f", by {_origin(override)}" if override else ""
                before, after = (one.get(key) for one in shown)
                yield Change(key, before, after, override, f"{key}: {text}{by}")


def _json_of(attributes: Mapping[str, Any], key: str) -> str:
    """Return what tells values apart as the fingerprint does: ``1`` from ``true`` and ``1.0``."""
    return json.dumps(attributes[key], sort_keys=True) if key in attributes else ""


def _override_of(step: _Document, key: str) -> _Document | None:
    """Return the origin of the last override of an attribute, if there is one."""
    name = key.partition(".")[0]
    found = [one["origin"] for one in step.get("overridden_by", ()) if one["attribute"] == name]
    return found[-1] if found else None


def _of_routine(document: _Document, _: Relocation) -> dict[str, Any]:
    return {"controls": document["controls"], "hooks": document["hooks"]}


def _of_order(step: _Document, _: Relocation) -> dict[str, Any]:
    """Return what a step says of its place."""
    return {key: step[key] for key in ("priority", "run_before", "run_after")}


def _of_step(step: _Document, relocated: Relocation) -> dict[str, Any]:
    """Return what a step runs, of a nested routine the name: its steps are compared one by one."""
    nested = step["plan"]["routine"] if "plan" in step else None
    return {**what_step_runs({**step, "plan": _NOTHING}, relocated), "nested": nested}


def _flat(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes with each key of a dictionary among them for itself."""
    flat: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": one for key, one in value.items()})
        else:
            flat[name] = value
    return flat


def _running(document: _Document) -> dict[str, _Document]:
    """Return the steps that run, by id, in order."""
    return {step["id"]: step for step in document["steps"] if step["status"] == "run"}


def _left_out(document: _Document, step_id: str) -> tuple[_Document | None, str]:
    """Return a step that does not run and why, or nothing if there is none of that id."""
    for step in document["steps"]:
        if step["id"] == step_id and step["status"] != "run":
            reason = step["reason"]["detail"]
            word = "switched off: " if step["status"] == "switched_off" else ""
            return step, f"{word}{reason}"
    return None, ""


def _moved(was: Mapping[str, _Document], now: Mapping[str, _Document]) -> set[str]:
    """Return the steps that are not where they were, as few as explain the new order.

    Of two steps that have changed places either may be the one that moved. It is the one that
    says something else of its place than before; the others are taken to stay, as many as can.
    """
    places = {one: place for place, one in enumerate(now)}
    common = [(place, places[one], one) for place, one in enumerate(was) if one in places]
    restated = {one for _, _, one in common if _order_of(was[one]) != _order_of(now[one])}
    stay = _longest_rise([one for one in common if one[2] not in restated])
    for step in common:
        if step[2] in restated:
            at = bisect_left(stay, step)
            fits_before = at == 0 or stay[at - 1][1] < step[1]
            fits_after = at == len(stay) or step[1] < stay[at][1]
            if fits_before and fits_after:
                insort(stay, step)
    return {one for _, _, one in common}.difference(one for _, _, one in stay)


def _order_of(step: _Document) -> tuple[Any, ...]:
    return step["priority"], step["run_before"], step["run_after"]


def _longest_rise(steps: Sequence[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Return the longest part of a sequence whose second items rise.

    By patience sorting (Fredman, "On computing the length of longest increasing subsequences",
    1975).
    """
    ends: list[int] = []
    """Of each length the lowest second item that a rise of it ends with."""
    last: list[tuple[int, int, str]] = []
    before: dict[str, tuple[int, int, str] | None] = {}
    for step in steps:
        at = bisect_left(ends, step[1])
        ends[at : at + 1] = [step[1]]
        last[at : at + 1] = [step]
        before[step[2]] = last[at - 1] if at else None
    result = []
    step_or_none = last[-1] if last else None
    while step_or_none is not None:
        result.append(step_or_none)
        step_or_none = before[step_or_none[2]]
    return result[::-1]


def _releases(
    expected: _Document, found: _Document
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the distributions behind two plans whose version is another one."""
    origins = [step["origin"] for one in (expected, found) for step in one["steps"]]
    names = {(one["kind"], one["source"]): one["distribution"] for one in origins}
    was, now = (_versions(one, names) for one in (expected, found))
    for name in sorted({*was, *now}):
        if was.get(name, ()) != now.get(name, ()):
            yield name, was.get(name), now.get(name)


def _versions(
    document: _Document, names: Mapping[tuple[str, str], str | None]
) -> dict[str, str | None]:
    """Return the versions of the distributions that a plan knows.

    :param names: which distribution is behind a source, as far as a step of either plan tells.
    """
    versions: dict[str, str | None] = {}
    for source in document["sources"]:
        name = names.get((source["kind"], source["source"]))
        name = source["source"] if source["kind"] == "distribution" else name
        if name and source["kind"] != "settings":
            versions[name] = source["version"]
    for step in document["steps"]:  # components of the settings are no sources
        if step["origin"]["distribution"]:
            versions[step["origin"]["distribution"]] = step["origin"]["version"]
    return versions


def _placed(step: _Document | None) -> dict[str, Any] | None:
    """Return what the JSON of a difference tells of a step in one of the plans."""
    if step is None:
        return None
    return {key: step.get(key) for key in ("position", "argv", "options", "origin")}


def _lines(entry: Entry) -> Iterator[str]:
    """Yield an entry as people read it: what, then by whom and how."""
    old, new = entry.old or {}, entry.new or {}
    what = f"{_MARKS[entry.kind]} {entry.id}"
    if entry.kind == "added":
        what += f", at {new['position']}: {_command(new)}"
    elif entry.kind == "removed":
        what += f", at {old['position']}: {_command(old)}"
    elif entry.kind == "moved":
        what += f", from {old['position']} to {new['position']}, {entry.detail}"
    elif "position" in new:
        what += f", at {new['position']}"
    yield one_line(what)
    was, now = (_origin(one.get("origin")) for one in (old, new))
    both = [was] if entry.kind == "removed" else [now] if entry.kind == "added" else [was, now]
    by = " -> ".join(dict.fromkeys(filter(None, both)))
    if by:
        yield f"    by {one_line(by)}"
    if entry.detail and entry.kind in ("added", "removed"):
        yield f"    {one_line(entry.detail)}"
    for change in entry.changes:
        yield f"    {one_line(change.text)}"


def _origin(origin: _Document | None) -> str:
    """Return an origin of a document as people read it, as a table of a plan shows it."""
    if origin is None:
        return ""
    name, release = origin["source"], origin["distribution"]
    if release:
        whole = f"{release} {origin['version']}" if origin["version"] else release
        name = whole if release == name else f"{name} ({whole})"
    place = origin["file"] or ""
    if place and origin["line"] is not None:
        place += f":{origin['line']}"
    return f"{name} {place}".strip()


def _command(step: _Document) -> str:
    options = ", ".join(f"{key}={_json(value)}" for key, value in step["options"].items())
    return _words(step["argv"]) + (f" ({options})" if options else "")


def _words(words: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, words))


def _value(key: str, attributes: Mapping[str, Any]) -> str:
    if key not in attributes:
        return "(nothing)"
    return _words(attributes[key]) if key == "argv" else _json(attributes[key])


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
