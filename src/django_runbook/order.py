"""Ordering: a routine and its active switches become a plan. Pure: no Django, no input or output.

Every step has a base key: its priority, then its source, then its place in that source. A step
that declares ``run_before`` or ``run_after`` moves: it takes over the key of what it must precede
or follow, if its own stands on the wrong side of it. All other steps stay where they are relative
to each other. A topological sort with a heap on ``(key, base key)`` then gives the order (Kahn,
"Topological sorting of large networks", 1962).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from .commands import to_option
from .model import (
    Code,
    Constraint,
    MergedRoutine,
    Plan,
    Problem,
    Reason,
    SortKey,
    Step,
    closest,
)


class _Edge(NamedTuple):
    """``before`` runs before ``after``, because the constraint of one of them says so."""

    before: int
    after: int
    constraint: Constraint

    @property
    def declarer(self) -> int:
        return self.before if self.constraint.relation == "run_before" else self.after


def order(routine: MergedRoutine, active: Iterable[str]) -> Plan:
    """Return the plan of a routine.

    Steps that do not run are ordered with the others, so that what is said about them holds: a
    step that must follow one that is switched off stands where it would stand if it were on.

    :param routine: the routine, its steps in base order.
    :param active: the names of the active switches.
    """
    switches = frozenset(active)
    edges, problems = _edges(routine)
    graph = _Graph(routine.steps, edges)
    if graph.circles:
        problems += [_cycle_problem(routine, circle) for circle in graph.circles]
        ordered = [
            step._replace(effective_priority=step.declaration.priority) for step in routine.steps
        ]
    else:
        ordered = graph.ordered()
    steps: list[Step] = []
    left_out: list[Step] = []
    for step in ordered:
        decided = _decided(step, switches)
        if decided.status == "run":
            steps.append(decided._replace(position=len(steps) + 1))
        else:
            left_out.append(decided)
    helps = {name: routine.switch_helps.get(name, "") for name in routine.switches}
    return Plan(
        routine.name,
        routine.attributes,
        tuple(sorted(switches)),
        MappingProxyType(helps),
        tuple(steps),
        tuple(left_out),
        tuple(problems),
    )


def _decided(step: Step, active: frozenset[str]) -> Step:
    """Return a step that knows whether it runs."""
    if step.disabled_by is not None:
        reason = Reason("disabled", f"disabled by {step.disabled_by}")
        return step._replace(status="disabled", reason=reason)
    wanted = step.declaration.switches
    if wanted and active.isdisjoint(wanted):
        options = " or ".join(map(to_option, wanted))
        return step._replace(
            status="switched_off", reason=Reason("switched_off", f"needs {options}")
        )
    return step


def targets(steps: Sequence[Step]) -> Iterator[tuple[int, Constraint, Sequence[int]]]:
    """Yield each constraint, with the place of the step that has it and of those it names.

    :param steps: all steps of a routine.
    """
    found: dict[str, list[int]] = {}
    ids: dict[str, int] = {}
    for index, step in enumerate(steps):
        ids[step.id] = index
        for name in step.declaration.names:
            found.setdefault(name, []).append(index)
    for index, step in enumerate(steps):
        for constraint in step.declaration.constraints:
            if constraint.ref in ids:
                yield index, constraint, [ids[constraint.ref]]
            else:  # a command name means the other steps of that name
                others = [one for one in found.get(constraint.ref, ()) if one != index]
                yield index, constraint, others


def _edges(routine: MergedRoutine) -> tuple[list[_Edge], list[Problem]]:
    """Return what the constraints ask for, and those that ask for nothing there is."""
    edges = []
    problems = []

    @cache  # of a thousand steps that name what was uninstalled
    def closest_to(ref: str) -> str:
        return closest(ref, _names(routine).difference({ref}))

    for index, constraint, others in targets(routine.steps):
        for target in others:
            pair = (index, target) if constraint.relation == "run_before" else (target, index)
            edges.append(_Edge(*pair, constraint))
        if not others:
            found = closest_to(constraint.ref)
            problems.append(_matches_nothing(routine, index, constraint, found))
    return edges, problems


def _names(routine: MergedRoutine) -> set[str]:
    """Return all that a step of a routine may be called."""
    return {name for step in routine.steps for name in (step.id, *step.declaration.names)}


def _matches_nothing(
    routine: MergedRoutine, index: int, constraint: Constraint, hint: str
) -> Problem:
    return Problem(
        Code.MATCHES_NOTHING,
        f"{routine.steps[index].id} in routine {routine.name!r} has {constraint.relation}="
        f"[{constraint.ref!r}], which no other step is called.",
        f"It orders nothing. {hint or 'Take it out if it is not needed.'}",
        constraint.origin,
        routine.name,
    )


class _Graph:
    """The steps and the edges between them."""

    def __init__(self, steps: Sequence[Step], edges: Sequence[_Edge]) -> None:
        self.steps = steps
        self.edges = edges
        self.incoming: list[list[_Edge]] = [[] for _ in steps]
        self.outgoing: list[list[_Edge]] = [[] for _ in steps]
        for edge in edges:
            self.outgoing[edge.before].append(edge)
            self.incoming[edge.after].append(edge)
        bases = [step.base for step in steps]
        self.topological = self._sorted(lambda index: bases[index])
        self.circles = self._circles() if len(self.topological) < len(steps) else []

    def ordered(self) -> list[Step]:
        """Return the steps in order, each with the reason why it stands there."""
        keys, moved_by = self._keys()
        steps = self.steps
        positions = self._sorted(lambda index: (keys[index], steps[index].base))
        result = []
        latest: SortKey | None = None
        for index in positions:
            step = steps[index]
            waited = latest is not None and keys[index] < latest
            latest = keys[index] if latest is None else max(latest, keys[index])
            reason = self._reason(index, moved_by.get(index), waited=waited)
            result.append(step._replace(effective_priority=keys[index][0], reason=reason))
        return result

    def _keys(self) -> tuple[list[SortKey], dict[int, _Edge]]:
        """Return the key that each step's own constraints let it have, and what moved it."""
        keys = [step.base for step in self.steps]
        moved_by: dict[int, _Edge] = {}
        for index in reversed(self.topological):
            for edge in self.outgoing[index]:
                if edge.declarer == index and keys[edge.after] < keys[index]:
                    keys[index] = keys[edge.after]
                    moved_by[index] = edge
        for index in self.topological:
            for edge in self.incoming[index]:
                if edge.declarer == index and keys[edge.before] > keys[index]:
                    keys[index] = keys[edge.before]
                    moved_by[index] = edge
        return keys, moved_by

    def _reason(self, index: int, moved_by: _Edge | None, *, waited: bool) -> Reason:
        """Return why a step stands where it stands."""
        step = self.steps[index]
        if moved_by is not None:
            first = moved_by.before == index
            word, other = ("before", moved_by.after) if first else ("after", moved_by.before)
            detail = f"{word} {self.steps[other].id}"
            if moved_by.constraint.origin != step.origin:
                detail += f", asked for by {moved_by.constraint.origin}"
            return Reason(moved_by.constraint.relation, detail)
        if waited:
            edges = [edge for edge in self.incoming[index] if edge.declarer != index]
            edges = edges or self.incoming[index]
            names = ", ".join(dict.fromkeys(self.steps[edge.before].id for edge in edges))
            return Reason("waits", f"waits for {names}")
        for change in step.overridden_by:
            if change.attribute == "priority":
                detail = f"priority {change.old} -> {change.new} by {change.origin}"
                return Reason("override", detail)
        return Reason()

    def _sorted(self, key: Callable[[int], object]) -> list[int]:
        """Return the steps in topological order, lowest key first; fewer if there are circles."""
        missing = [len(edges) for edges in self.incoming]
        heap = [(key(index), index) for index, count in enumerate(missing) if not count]
        heapq.heapify(heap)
        result = []
        while heap:
            _, index = heapq.heappop(heap)
            result.append(index)
            for edge in self.outgoing[index]:
                missing[edge.after] -= 1
                if not missing[edge.after]:
                    heapq.heappush(heap, (key(edge.after), edge.after))
        return result

    def _circles(self) -> list[list[_Edge]]:
        """Return the shortest circle through the smallest id of each knot of steps."""
        names = [step.id for step in self.steps]
        circles = []
        known: set[int] = set()
        for start in sorted(
            set(range(len(names))).difference(self.topological), key=names.__getitem__
        ):
            if start in known:
                continue
            circle = self._circle(start)
            if circle:
                circles.append(circle)
                known |= {edge.before for edge in circle}
        return circles

    def _circle(self, start: int) -> list[_Edge]:
        """Return the shortest way from a step back to itself, by ids where there are several."""
        came_by: dict[int, _Edge] = {}
        frontier = [start]
        while frontier:
            reached = []
            for index in frontier:
                for edge in sorted(self.outgoing[index], key=lambda one: self.steps[one.after].id):
                    if edge.after not in came_by:
                        came_by[edge.after] = edge
                        reached.append(edge.after)
            if start in came_by:
                path = [came_by[start]]
                while path[-1].before != start:
                    path.append(came_by[path[-1].before])
                return self._from_smallest(path[::-1])
            frontier = reached
        return []

    def _from_smallest(self, circle: list[_Edge]) -> list[_Edge]:
        """Return a circle told from the smallest id on it."""
        first = min(range(len(circle)), key=lambda at: self.steps[circle[at].before].id)
        return [*circle[first:], *circle[:first]]


def _cycle_problem(routine: MergedRoutine, circle: Sequence[_Edge]) -> Problem:
    """Return the error that shows each edge of a circle and who asked for it."""
    ids = [step.id for step in routine.steps]
    edges = "; ".join(
        f"{ids[edge.before]} runs before {ids[edge.after]} "
        f"({ids[edge.declarer]} has {edge.constraint.relation}=[{edge.constraint.ref!r}] "
        f"at {edge.constraint.origin})"
        for edge in circle
    )
    return Problem(
        Code.CYCLE,
        f"Steps of routine {routine.name!r} wait for each other: {edges}.",
        "Take one of these constraints out, or replace it in the settings: "
        f"override({routine.name!r}, {ids[circle[0].declarer]!r}, "
        f"{circle[0].constraint.relation}=[...]).",
        circle[0].constraint.origin,
        routine.name,
    )
