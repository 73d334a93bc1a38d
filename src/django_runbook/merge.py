"""Merging: the fragments of all sources become routines. Pure: no Django, no input or output.

The order in which fragments arrive has no meaning. They are put in the order of their sources
(settings, apps as installed, distributions by name) before anything else happens.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from .canonical import jsonable
from .model import (
    Attribute,
    Change,
    Code,
    Fragment,
    MergedRoutine,
    Origin,
    Override,
    Problem,
    Source,
    Step,
    closest,
)
from .nesting import NestingError, is_nested, read_invocation

_ONLY_OF_THE_OTHER = {"management": "env", "system": "options"}
"""What a command of a kind does not have, and one of the other kind does."""


class Merged(NamedTuple):
    """Every routine, and what is wrong with the whole."""

    routines: Mapping[str, MergedRoutine]
    problems: list[Problem]


def merge(fragments: Iterable[Fragment], absent: Collection[str] = ()) -> Merged:
    """Bind the fragments of all sources into routines.

    :param fragments: what the sources say, in any order.
    :param absent: names of sources that are there but were not heard, because they are blocked or
        broken: what overrides their steps is right, and has no effect now.
    """
    by_routine: dict[str, list[Fragment]] = {}
    for fragment in sorted(fragments, key=lambda one: (*one.source.key, one.index)):
        by_routine.setdefault(fragment.routine, []).append(fragment)
    problems: list[Problem] = []
    routines = {
        name: _Routine(name, parts, problems, absent).merged()
        for name, parts in sorted(by_routine.items())
    }
    problems += _nesting_problems(routines)
    problems += _misspelt(by_routine)
    return Merged(MappingProxyType(routines), problems)


def _misspelt(by_routine: Mapping[str, Sequence[Fragment]]) -> Iterator[Problem]:
    """Yield a warning for a routine that nobody describes and that is called almost as another."""
    described = {
        name
        for name, parts in by_routine.items()
        if any(one.name == "help_text" for part in parts for one in part.attributes)
    }
    for name, parts in sorted(by_routine.items()):
        commands = [one for part in parts for one in part.declarations]
        if name in described or not commands:
            continue
        meant = difflib.get_close_matches(name, sorted(described), n=1, cutoff=0.8)
        if meant:
            yield Problem(
                Code.LOOKS_MISSPELT,
                f"Nobody describes the routine {name!r}, which has a command; there is a routine "
                f"{meant[0]!r}.",
                f"Did you mean {meant[0]!r}? If not, state what it is for: "
                f'routine({name!r}, "...").',
                commands[0].origin,
                meant[0],
            )


class _Routine:
    """One routine being merged."""

    def __init__(
        self,
        name: str,
        parts: Sequence[Fragment],
        problems: list[Problem],
        absent: Collection[str],
    ) -> None:
        self.name = name
        self.parts = parts
        self.problems = problems
        self.absent = absent

    def merged(self) -> MergedRoutine:
        attributes = self._stated("attributes", "{name!r} of routine {routine!r}")
        helps = self._stated("switch_helps", "The help of switch {name!r} of routine {routine!r}")
        steps = self._steps()
        self._overridden(steps)
        self._same_commands(steps)
        self._unused_switches(helps, steps)
        steps.sort(key=lambda step: step.base)
        return MergedRoutine(
            self.name,
            MappingProxyType(attributes),
            MappingProxyType({name: stated.value for name, stated in sorted(helps.items())}),
            tuple(steps),
        )

    def _stated(self, what: str, subject: str) -> dict[str, Attribute]:
        """Return each attribute as the first source states it; within a source the last counts."""
        said: dict[str, dict[Source, Attribute]] = {}
        for attribute in (one for part in self.parts for one in getattr(part, what)):
            said.setdefault(attribute.name, {})[attribute.origin.source] = attribute
        stated: dict[str, Attribute] = {}
        for name, by_source in said.items():
            first, *others = by_source.values()
            stated[name] = first
            for other in others:
                if not _same(first.value, other.value):
                    subject_ = subject.format(name=name, routine=self.name)
                    self._problem(
                        Code.CONFLICT,
                        f"{subject_} is stated differently by {first.origin} and by "
                        f"{other.origin}; the first is in force.",
                        "State it in one place, or state the same in both.",
                        other.origin,
                    )
        return stated

    def _steps(self) -> list[Step]:
        """Return a step for each declaration, with its id, in the order of the sources."""
        taken: set[str] = set()
        explicit = self._explicit_ids(taken)
        counted: dict[Source, int] = {}
        repeats: dict[str, int] = {}
        steps = []
        for part in self.parts:
            source = part.source
            for declaration in part.declarations:
                index = counted[source] = counted.get(source, -1) + 1
                step_id = explicit.get(id(declaration)) or _free_id(
                    f"{source.name}:{declaration.names[-1]}", taken, repeats
                )
                base = (declaration.priority, *source.key, index)
                steps.append(Step(step_id, declaration, base))
        return steps

    def _explicit_ids(self, taken: set[str]) -> dict[int, str]:
        """Return the ids that declarations give themselves, by declaration."""
        ids: dict[int, str] = {}
        first: dict[str, Origin] = {}
        for part in self.parts:
            for declaration in part.declarations:
                if declaration.step_id is None:
                    continue
                step_id = f"{part.source.name}:{declaration.step_id}"
                if step_id in taken:
                    self._problem(
                        Code.DUPLICATE_ID,
                        f"Two steps of routine {self.name!r} have the id {step_id!r}: "
                        f"{first[step_id]} and {declaration.origin}.",
                        "Give one of them another step_id.",
                        declaration.origin,
                    )
                    continue
                taken.add(step_id)
                first[step_id] = declaration.origin
                ids[id(declaration)] = step_id
        return ids

    def _overridden(self, steps: list[Step]) -> None:
        """Apply the overrides, each to the steps that its ref names."""
        found: dict[str, list[int]] = {}
        for position, step in enumerate(steps):
            found.setdefault(step.id, []).append(position)
            for name in step.declaration.names:
                found.setdefault(name, []).append(position)
        for override in (one for part in self.parts for one in part.overrides):
            positions = found.get(override.ref, ())
            if not positions:
                self._overrides_nothing(override, found)
            for position in positions:
                step = steps[position]
                foreign = _ONLY_OF_THE_OTHER[step.declaration.kind]
                if foreign in override.changes:
                    self._problem(
                        Code.MALFORMED,
                        f"{step.id} in routine {self.name!r} is a {step.declaration.kind} command, "
                        f"which has no {foreign!r} to override.",
                        f"Take {foreign!r} out of the override.",
                        override.origin,
                    )
                steps[position] = apply(override, step)

    def _overrides_nothing(self, override: Override, known: Iterable[str]) -> None:
        name = override.ref.partition(":")[0]
        message = f"Routine {self.name!r} has no step {override.ref!r} to override."
        if name in self.absent:
            hint = f"It takes effect again as soon as {name} contributes."
            self._problem(Code.MATCHES_NOTHING, message, hint, override.origin)
        else:
            hint = closest(override.ref, known) or "Install what has the step, or take this out."
            self._problem(Code.OVERRIDES_NOTHING, message, hint, override.origin)

    def _same_commands(self, steps: Iterable[Step]) -> None:
        first: dict[tuple[Any, ...], Step] = {}
        for step in steps:
            if step.disabled_by is not None:
                continue
            declared = step.declaration
            given = repr(sorted(jsonable({**declared.options, **declared.env}).items()))
            other = first.setdefault((declared.kind, declared.argv, given, declared.secrets), step)
            if other.origin.source != step.origin.source:
                self._problem(
                    Code.SAME_COMMAND,
                    f"Routine {self.name!r} runs {step.command_line!r} twice: {other.id} of "
                    f"{other.origin} and {step.id} of {step.origin}.",
                    f"If once is enough: disable({self.name!r}, {step.id!r}) in the settings.",
                    step.origin,
                )

    def _unused_switches(self, helps: Mapping[str, Attribute], steps: Iterable[Step]) -> None:
        used = {switch for step in steps for switch in step.declaration.switches}
        for name, stated in helps.items():
            if name not in used:
                self._problem(
                    Code.UNUSED_SWITCH,
                    f"No command of routine {self.name!r} has the switch {name!r}.",
                    closest(name, used) or "Take its help text out, or use it.",
                    stated.origin,
                )

    def _problem(self, code: Code, message: str, hint: str, origin: Origin) -> None:
        self.problems.append(Problem(code, message, hint, origin, self.name))


def _same(one: Any, other: Any) -> bool:
    """Tell whether two sources state the same, which two lazy strings do if their texts do."""
    return bool(one == other) or (
        type(one) is type(other) and not callable(one) and str(one) == str(other)
    )


def _free_id(wanted: str, taken: set[str], repeats: dict[str, int]) -> str:
    """Return an id that no step has: the wanted one, else with ``-2``, ``-3`` behind it."""
    count = repeats.get(wanted, 0) + 1
    step_id = wanted if count == 1 else f"{wanted}-{count}"
    while step_id in taken:
        count += 1
        step_id = f"{wanted}-{count}"
    repeats[wanted] = count
    taken.add(step_id)
    return step_id


def apply(override: Override, step: Step) -> Step:
    """Return a step as an override leaves it.

    :param override: what is changed.
    :param step: the step, which stays as it is.
    """
    declared = step.declaration
    changes: list[Change] = []
    fields: dict[str, Any] = {}
    for name, value in override.changes.items():
        if name in ("run_before", "run_after"):
            old = declared.refs(name)
            kept = [one for one in declared.constraints if one.relation != name]
            declared = declared._replace(constraints=(*kept, *value))
            changes.append(Change(name, old, declared.refs(name), override.origin))
        elif name != "disabled":
            changes.append(Change(name, getattr(declared, name), value, override.origin))
            fields[name] = value
    declared = declared._replace(**fields)
    disabled_by = step.disabled_by
    if "disabled" in override.changes:
        disabled_by = override.origin if override.changes["disabled"] else None
    return step._replace(
        declaration=declared,
        base=(declared.priority, *step.base[1:]),
        overridden_by=(*step.overridden_by, *changes),
        disabled_by=disabled_by,
    )


def _nesting_problems(routines: Mapping[str, MergedRoutine]) -> list[Problem]:
    """Return what is wrong with routines that run routines: unknown ones, and circles."""
    problems = []
    inside: dict[str, dict[str, Step]] = {name: {} for name in routines}
    for name, routine in routines.items():
        for step in _nested_steps(routine):
            try:
                inner = read_invocation(step.declaration, routines).routine
            except NestingError as exc:
                problems.append(
                    Problem(
                        Code.BAD_NESTING,
                        f"{step.id} in routine {name!r} runs {step.command_line!r}: {exc}",
                        "Name a routine of this site and its switches, as on the command line.",
                        step.origin,
                        name,
                    )
                )
            else:
                inside[name].setdefault(inner, step)
    circles = (_circle(name, inside) for name in routines)
    return problems + [_circle_problem(circle, inside) for circle in circles if circle]


def _nested_steps(routine: MergedRoutine) -> Iterator[Step]:
    """Yield the steps of a routine that run another one, but for those that are disabled."""
    for step in routine.steps:
        if is_nested(step.declaration) and step.disabled_by is None:
            yield step


def _circle_problem(circle: Sequence[str], inside: Mapping[str, Mapping[str, Step]]) -> Problem:
    """Return the error that shows each routine of a circle and the step that runs the next."""
    name = circle[0]
    edges = list(zip(circle, [*circle[1:], name], strict=True))
    path = " > ".join([*circle, name])
    shown = "; ".join(
        f"{outer} runs {inner} by {inside[outer][inner].origin}" for outer, inner in edges
    )
    outer, inner = edges[0]
    return Problem(
        Code.NESTING_CYCLE,
        f"Routine {name!r} contains itself: {path} ({shown}).",
        "Take one of these steps out, or disable it.",
        inside[outer][inner].origin,
        name,
    )


def _circle(start: str, inside: Mapping[str, Mapping[str, Step]]) -> list[str]:
    """Return the shortest way from a routine back to itself, without its end, or nothing."""
    came_from: dict[str, str] = {}
    frontier = [start]
    while frontier:
        reached = []
        for name in frontier:
            for inner in sorted(inside[name]):
                if inner == start:
                    path = [name]
                    while path[-1] != start:
                        path.append(came_from[path[-1]])
                    return path[::-1]
                if inner not in came_from:
                    came_from[inner] = name
                    reached.append(inner)
        frontier = reached
    return []


def contains(name: str, routines: Mapping[str, MergedRoutine]) -> frozenset[str]:
    """Return the names of the routines that a routine runs, itself included.

    :param name: the routine's name.
    :param routines: every routine there is.
    """
    found = {name}
    waiting = [name]
    while waiting:
        for step in _nested_steps(routines[waiting.pop()]):
            try:
                inner = read_invocation(step.declaration, routines).routine
            except NestingError:
                continue  # reported by merge()
            if inner not in found:
                found.add(inner)
                waiting.append(inner)
    return frozenset(found)


def sources_of(routine: MergedRoutine) -> dict[Source, int]:
    """Return how many steps each source gives to a routine.

    :param routine: the routine.
    """
    counts: dict[Source, int] = {}
    for step in routine.steps:
        counts[step.origin.source] = counts.get(step.origin.source, 0) + 1
    return counts
