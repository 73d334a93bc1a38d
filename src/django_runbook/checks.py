"""The system checks of ``manage.py check --deploy``: every problem of every routine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from django.core import checks

from .model import Code, MergedRoutine, Plan, Problem, Step
from .order import order
from .preflight import missing_programs, missing_secrets, unusable_backend
from .registry import Registry
from .sources import SettingsFiles


def check_routines() -> list[checks.CheckMessage]:
    """Return a message for each problem, errors of all sources and of every routine's plan."""
    registry = Registry()
    problems = [*registry.problems, *unusable_backend()]
    unsorted = SettingsFiles().unsorted_groups()
    for name in registry.routines:
        plan = registry.plan(name, everything=True)
        problems += plan.problems
        problems += missing_programs(plan, Code.PROGRAM_NOT_HERE)
        problems += missing_secrets(plan, Code.VARIABLE_NOT_HERE)
        problems += _hangs_on_wildcard_order(registry.routine(name), unsorted)
    return [_message(problem) for problem in dict.fromkeys(problems)]


def _message(problem: Problem) -> checks.CheckMessage:
    kind = checks.Error if problem.level == "error" else checks.Warning
    return kind(problem.message, hint=problem.hint, obj=str(problem.origin), id=problem.id)


def _hangs_on_wildcard_order(
    routine: MergedRoutine, unsorted: Iterable[frozenset[str]]
) -> Iterator[Problem]:
    """Yield a warning for each two files between whose steps only an unsorted wildcard decides.

    ``split_settings.tools.include`` loads what a wildcard finds in the order of the file system.
    Two steps of one priority from two files of one such wildcard may change places elsewhere.
    """
    known: set[frozenset[str | None]] = set()
    for group in unsorted:
        steps = [
            step for step in routine.steps if step.origin.file in group and step.disabled_by is None
        ]
        for one, other in combinations(steps, 2):
            pair = frozenset({one.origin.file, other.origin.file})
            if len(pair) > 1 and pair not in known and _may_change_places(routine, one, other):
                known.add(pair)
                yield _decided_by_the_file_system(routine, one, other)


def _may_change_places(routine: MergedRoutine, one: Step, other: Step) -> bool:
    """Tell whether two steps come in the other order if their files are read in the other order."""
    if one.declaration.priority != other.declaration.priority:
        return False
    bases = {one.id: other.base, other.id: one.base}
    swapped = sorted(
        (step._replace(base=bases.get(step.id, step.base)) for step in routine.steps),
        key=lambda step: step.base,
    )
    before = _ids(order(routine, routine.switches))
    after = _ids(order(routine._replace(steps=tuple(swapped)), routine.switches))
    return (before.index(one.id) < before.index(other.id)) != (
        after.index(one.id) < after.index(other.id)
    )


def _ids(plan: Plan) -> list[str]:
    return [step.id for step in (*plan.steps, *plan.left_out)]


def _decided_by_the_file_system(routine: MergedRoutine, one: Step, other: Step) -> Problem:
    return Problem(
        Code.WILDCARD_ORDER,
        f"In routine {routine.name!r} only the file system decides whether {one.id} or "
        f"{other.id} comes first: both have priority {one.declaration.priority}, and a wildcard "
        f"of split_settings includes {one.origin.file} and {other.origin.file}.",
        "Write from django_runbook import include, which sorts, or give them priorities.",
        other.origin,
        routine.name,
    )
