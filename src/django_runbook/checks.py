"""The system checks of ``manage.py check --deploy``: every problem of every routine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from django.core import checks

from .model import SETTINGS, Code, Plan, Problem, Step
from .preflight import missing_programs
from .registry import Registry
from .sources import SettingsFiles


def check_routines() -> list[checks.CheckMessage]:
    """Return a message for each problem, errors of all sources and of every routine's plan."""
    registry = Registry()
    problems = list(registry.problems)
    files = SettingsFiles()
    for name in registry.routines:
        plan = registry.plan(name, everything=True)
        problems += plan.problems
        problems += missing_programs(plan, Code.PROGRAM_NOT_HERE)
        problems += _hangs_on_wildcard_order(plan, files)
    return [_message(problem) for problem in dict.fromkeys(problems)]


def _message(problem: Problem) -> checks.CheckMessage:
    kind = checks.Error if problem.level == "error" else checks.Warning
    return kind(problem.message, hint=problem.hint, obj=str(problem.origin), id=problem.id)


def _hangs_on_wildcard_order(plan: Plan, files: SettingsFiles) -> Iterator[Problem]:
    """Yield a warning for neighbours whose order only an unsorted wildcard decides.

    ``split_settings.tools.include`` loads what a wildcard finds in the order of the file system.
    Two steps of one priority from two files of one such wildcard may change places elsewhere.
    """
    groups = files.unsorted_groups()
    settings = [step for step in (*plan.steps, *plan.left_out) if step.origin.source == SETTINGS]
    settings.sort(key=lambda step: step.base)
    for one, other in pairwise(settings):
        if _undecided(one, other, groups):
            yield Problem(
                Code.WILDCARD_ORDER,
                f"In routine {plan.routine!r} only the file system decides whether {one.id} or "
                f"{other.id} comes first: both have priority {one.declaration.priority}, and a "
                f"wildcard of split_settings includes {one.origin.file} and {other.origin.file}.",
                "Write from django_runbook import include, which sorts, or give them priorities.",
                other.origin,
                plan.routine,
            )


def _undecided(one: Step, other: Step, groups: Iterable[frozenset[str]]) -> bool:
    pair = {one.origin.file, other.origin.file}
    return (
        len(pair) > 1
        and one.declaration.priority == other.declaration.priority
        and any(pair <= group for group in groups)
    )
