"""Finding what differs between the expected plan and the one that would run. Pure: no Django.

Two documents are compared, step by step, by id. Whatever the fingerprint covers is compared, and
nothing else: plans of one fingerprint do not differ. Nor do plans whose words are the same as they
are written, though the project lies elsewhere: its settings may spell a directory out.
"""

from __future__ import annotations

import json
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from .difference import MARKS, AttributeChange, Difference, Entry, Kind, shown_value
from .document import PROJECT, Relocation, shown_origin, what_runs, what_step_runs
from .model import Plan

Document: TypeAlias = Mapping[str, Any]
"""A plan, or a part of one, as JSON has it."""

_AS_IT_IS = Relocation(())
_NO_PLAN: Document = {"routine": "", "controls": {}, "hooks": {}, "steps": []}

_PLACE = ("priority", "effective_priority", "run_before", "run_after")
"""What a step says of its place."""

_IN_ITS_LINE = ("id", "argv", "options", "nested")
"""What is told of a step that came or went with its name."""


def differ(expected: Document, found: Document, plan: Plan | None = None) -> Difference:
    """Return what differs between two plans of one routine.

    :param expected: the document of the plan that is expected.
    :param found: the document of the plan that would run.
    :param plan: the latter itself, which knows what its document does not tell: what became of the
        sources, and what was asked for.
    """
    comparison = _Comparison(expected, found, plan)
    differs = not comparison.same()
    return Difference(
        found["routine"],
        expected["fingerprint"],
        found["fingerprint"],
        tuple(comparison.entries()) if differs else (),
        tuple(_releases(expected, found)),
        differs,
    )


class _Comparison:
    """The comparison of two documents, with the plans nested in them."""

    def __init__(self, expected: Document, found: Document, plan: Plan | None) -> None:
        self._plans = (expected, found)
        self._relocated = [Relocation(one["roots"]) for one in self._plans]
        self._shown = [Relocation(one["roots"], PROJECT) for one in self._plans]
        self._given = () if plan is None else tuple(plan.given)
        self._notes: dict[tuple[str, str], list[str]] = {}
        for one, _ in () if plan is None else plan.sources:
            self._notes.setdefault((one.source.kind, one.source.name), []).append(one.note)

    def same(self) -> bool:
        """Tell whether the two run the same."""
        old, new = self._plans
        if old["fingerprint"] == new["fingerprint"]:
            return True
        return self._same(what_runs(old, _AS_IT_IS), what_runs(new, _AS_IT_IS))

    def _same(self, old: Any, new: Any) -> bool:
        """Tell whether two values are the same, as they are or but for the project's directory."""
        if isinstance(old, list) and isinstance(new, list):
            return len(old) == len(new) and all(map(self._same, old, new))
        if isinstance(old, dict) and isinstance(new, dict):
            if old.keys() != new.keys():
                old, new = (
                    {relocated(key): value for key, value in one.items()}
                    for relocated, one in zip(self._relocated, (old, new), strict=True)
                )
            return old.keys() == new.keys() and all(self._same(old[key], new[key]) for key in old)
        if isinstance(old, str) and isinstance(new, str):
            was, now = self._relocated
            return old == new or was(old) == now(new)
        return json.dumps(old) == json.dumps(new)  # which tells 1 from true, as the fingerprint

    def entries(self) -> list[Entry]:
        """Return what differs, by kind."""
        kinds = list(MARKS)
        return sorted(self._of_plans(*self._plans, ""), key=lambda one: kinds.index(one.kind))

    def _of_plans(self, old: Document, new: Document, prefix: str) -> Iterator[Entry]:
        yield from self._of_routine(old, new, prefix)
        was, now = _running(old), _running(new)
        for one, step in now.items():
            if one not in was:
                off, why = _left_out(old, one)
                yield from self._added(f"{prefix}{one}", off, step, why and f"it was {why}")
        for one, step in was.items():
            if one not in now:
                off, why = _left_out(new, one)
                why = f"it is {why}" if why else self._why_gone(step)
                yield from self._removed(f"{prefix}{one}", step, off, why)
        yield from self._moved(was, now, prefix)
        for one, step in now.items():
            if one in was:
                yield from self._changed(was[one], step, f"{prefix}{one}")

    def _of_routine(self, old: Document, new: Document, prefix: str) -> Iterator[Entry]:
        """Yield what has changed in a routine itself, one by one, as each has its own origin."""
        for change in self._changes(old, new, _of_routine):
            name = change.attribute.partition(".")[2]
            was, now = (one["origins"].get(name) for one in (old, new))
            by = [was and shown_origin(was), now and shown_origin(now)]
            if not prefix and name in self._given:
                by[1] = "what this run asks for"
            nowhere = {"position": None, "argv": None, "options": None}
            yield Entry(
                "changed",
                f"{prefix}{new['routine']}",
                {**nowhere, "origin": was},
                {**nowhere, "origin": now},
                _arrow(by),
                (change,),
            )

    def _added(self, name: str, old: Document | None, new: Document, why: str) -> Iterator[Entry]:
        stated = tuple(self._stated(new, now=True))
        was, now = self._placed(old, new)
        yield Entry("added", name, was, now, shown_origin(new["origin"]), stated, why)
        for one, step in _running(new.get("plan", _NO_PLAN)).items():
            yield from self._added(f"{name} > {one}", None, step, "")

    def _removed(self, name: str, old: Document, new: Document | None, why: str) -> Iterator[Entry]:
        stated = tuple(self._stated(old, now=False))
        was, now = self._placed(old, new)
        yield Entry("removed", name, was, now, shown_origin(old["origin"]), stated, why)
        for one, step in _running(old.get("plan", _NO_PLAN)).items():
            yield from self._removed(f"{name} > {one}", step, None, "")

    def _moved(
        self, was: Mapping[str, Document], now: Mapping[str, Document], prefix: str
    ) -> Iterator[Entry]:
        order = list(now)
        for one in sorted(_movers(was, now), key=order.index):
            place = order.index(one)
            detail = f"behind {order[place - 1]}" if place else "to the front"
            entry = self._of_both("moved", f"{prefix}{one}", was[one], now[one], _of_place)
            # Where the priority was changed, the effective one follows.
            told = {change.attribute for change in entry.changes}
            changes = tuple(
                change
                for change in entry.changes
                if change.attribute != "effective_priority" or "priority" not in told
            )
            yield replace(entry, changes=changes, detail=detail)

    def _changed(self, old: Document, new: Document, name: str) -> Iterator[Entry]:
        entry = self._of_both("changed", name, old, new, _of_step)
        if entry.changes:
            yield entry
        if "plan" in old and "plan" in new:
            yield from self._of_plans(old["plan"], new["plan"], f"{name} > ")
            return
        for one, step in _running(new.get("plan", _NO_PLAN)).items():
            yield from self._added(f"{name} > {one}", None, step, "")
        for one, step in _running(old.get("plan", _NO_PLAN)).items():
            yield from self._removed(f"{name} > {one}", step, None, "")

    def _of_both(self, kind: Kind, name: str, old: Document, new: Document, read: _Read) -> Entry:
        """Return the entry of a step that both plans run."""
        by = _arrow([shown_origin(one["origin"]) for one in (old, new)])
        was, now = self._placed(old, new)
        return Entry(kind, name, was, now, by, tuple(self._changes(old, new, read)))

    def _placed(self, *steps: Document | None) -> list[dict[str, Any] | None]:
        """Return what an entry holds of a step in each plan."""
        return [
            None
            if step is None
            else {
                "position": step["position"],
                "argv": shown(step["argv"]),
                "options": shown(step["options"]),
                "origin": step["origin"],
            }
            for shown, step in zip(self._shown, steps, strict=True)
        ]

    def _why_gone(self, step: Document) -> str:
        """Return why nobody declares a step any more."""
        kind, name = step["origin"]["kind"], step["origin"]["source"]
        if kind == "settings" or not self._notes:
            return "it is not declared now"
        notes = self._notes.get((kind, name), ["not there"])
        wrong = " and ".join(dict.fromkeys(filter(None, notes)))
        if not wrong:
            return f"{name} does not declare it now"
        # A distribution may have entry points of which only one is blocked, or broken.
        return f"its source {name} is {wrong if all(notes) else f'in part {wrong}'}"

    def _stated(self, step: Document, *, now: bool) -> Iterator[AttributeChange]:
        """Yield what there is to know of a step that came or went, besides its words."""
        shown = self._shown[now]
        stated = {key: one for key, one in _of_step(step, shown).items() if key not in _IN_ITS_LINE}
        stated.update(_of_routine(step.get("plan", _NO_PLAN), shown))
        for key, value in _flat(stated).items():
            if value not in (None, False, []) and (key, value) != ("kind", "management"):
                old, new = (None, value) if now else (value, None)
                yield AttributeChange(key, old, new, None, f"{key}: {shown_value(key, value)}")

    def _changes(self, old: Document, new: Document, read: _Read) -> Iterator[AttributeChange]:
        """Yield the attributes that are others, but for the place of the project in them."""
        both = (old, new)
        was, now = (
            _flat(read(one, _AS_IT_IS), each) for one, each in zip(both, self._shown, strict=True)
        )
        shown = [_flat(read(one, each)) for one, each in zip(both, self._shown, strict=True)]
        for key in dict.fromkeys((*was, *now)):
            if key in was and key in now and self._same(was[key], now[key]):
                continue
            before, after = (one.get(key) for one in shown)
            values = [shown_value(key, one[key]) if key in one else "(nothing)" for one in shown]
            override, former = _override_of(new, key), _override_of(old, key)
            by = f", by {shown_origin(override)}" if override else ""
            if former and not override:
                by = f", no longer by {shown_origin(former)}"
            yield AttributeChange(key, before, after, override, f"{key}: {' -> '.join(values)}{by}")


_Read: TypeAlias = Callable[[Document, Relocation], dict[str, Any]]
"""Reads the attributes that are compared from a part of a document."""


def _of_routine(document: Document, _: Relocation) -> dict[str, Any]:
    return {"controls": document["controls"], "hooks": document["hooks"]}


def _of_place(step: Document, _: Relocation) -> dict[str, Any]:
    return {key: step[key] for key in _PLACE}


def _of_step(step: Document, relocated: Relocation) -> dict[str, Any]:
    """Return what a step runs, of a nested routine the name: its steps are compared one by one."""
    nested = step["plan"]["routine"] if "plan" in step else None
    return {**what_step_runs({**step, "plan": _NO_PLAN}, relocated), "nested": nested}


def _flat(attributes: Mapping[str, Any], named: Callable[[str], str] = str) -> dict[str, Any]:
    """Return attributes with each key of a dictionary among them for itself.

    :param named: returns a key as it is shown.
    """
    flat: dict[str, Any] = {}
    for name, value in attributes.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{named(key)}": one for key, one in value.items()})
        else:
            flat[name] = value
    return flat


def _override_of(step: Document, key: str) -> Document | None:
    """Return the origin of the last override of an attribute, if there is one."""
    name = key.partition(".")[0]
    found = [one["origin"] for one in step.get("overridden_by", ()) if one["attribute"] == name]
    return found[-1] if found else None


def _arrow(names: Sequence[str | None]) -> str:
    """Return who contributed something before and now, once if that is the same."""
    return " -> ".join(dict.fromkeys(filter(None, names)))


def _running(document: Document) -> dict[str, Document]:
    """Return the steps that run, by id, in order."""
    return {step["id"]: step for step in document["steps"] if step["status"] == "run"}


def _left_out(document: Document, step_id: str) -> tuple[Document | None, str]:
    """Return a step that does not run and why, or nothing if there is none of that id."""
    for step in document["steps"]:
        if step["id"] == step_id and step["status"] != "run":
            reason = step["reason"]["detail"]
            word = "switched off: " if step["status"] == "switched_off" else ""
            return step, f"{word}{reason}"
    return None, ""


def _movers(was: Mapping[str, Document], now: Mapping[str, Document]) -> set[str]:
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


def _order_of(step: Document) -> tuple[Any, ...]:
    return tuple(step[key] for key in _PLACE)


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
        # In place of the one there, or behind the last.
        ends[at : at + 1] = [step[1]]
        last[at : at + 1] = [step]
        before[step[2]] = last[at - 1] if at else None
    result = []
    step_or_none = last[-1] if last else None
    while step_or_none is not None:
        result.append(step_or_none)
        step_or_none = before[step_or_none[2]]
    return result[::-1]


def _releases(expected: Document, found: Document) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the distributions behind two plans whose version is another one."""
    names = [_distributions(one) for one in (expected, found)]
    was = _versions(expected, names[1] | names[0])
    now = _versions(found, names[0] | names[1])
    for name in sorted({*was, *now}):
        if was.get(name, ()) != now.get(name, ()):
            yield name, was.get(name), now.get(name)


def _distributions(document: Document) -> dict[tuple[str, str], str]:
    """Return which distribution is behind each app and distribution that has a step in a plan."""
    return {
        (one["kind"], one["source"]): one["distribution"]
        for one in _origins(document)
        if one["distribution"] and one["kind"] != "settings"
    }


def _origins(document: Document) -> Iterator[Document]:
    """Yield the origins of all steps of a plan, those of nested routines included."""
    for step in document["steps"]:
        yield step["origin"]
        yield from _origins(step.get("plan", _NO_PLAN))


def _versions(document: Document, names: Mapping[tuple[str, str], str]) -> dict[str, str | None]:
    """Return the versions of the distributions behind the steps of a plan, or of the other one.

    :param names: which distribution is behind a source.
    """
    versions: dict[str, str | None] = {}
    for source in document["sources"]:  # also of one whose steps are all gone
        name = names.get((source["kind"], source["source"]))
        if name:
            versions[name] = source["version"]
    known = (one for one in _origins(document) if one["distribution"])
    return versions | {one["distribution"]: one["version"] for one in known}
