"""A run whose steps are recorded instead of run."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.core.management.base import CommandError

from django_runbook.exceptions import CommandFailed, PlanError
from django_runbook.model import Code, Plan, Step, closest
from django_runbook.results import RunResult
from django_runbook.runner import run_routine


@dataclass(frozen=True)
class Recorded:
    """A step that would have run, as its hooks have left it."""

    step: Step

    @property
    def id(self) -> str:
        """Its id."""
        return self.step.id

    @property
    def argv(self) -> list[str]:
        """The command and its arguments; a secret is ``***``."""
        return [str(word) for word in self.step.declaration.argv]

    @property
    def options(self) -> dict[str, Any]:
        """The named options of a management command."""
        return dict(self.step.declaration.options)

    @property
    def env(self) -> dict[str, Any]:
        """The environment variables of a system command, besides those of the routine."""
        return dict(self.step.declaration.env)

    @property
    def command_line(self) -> str:
        """The command and its arguments on one line, as a shell would take them."""
        return self.step.command_line


@dataclass(frozen=True)
class Recording:
    """What a run would have done."""

    result: RunResult
    """What became of the run, and of each of its steps."""

    steps: Sequence[Recorded]
    """The steps that would have run, in order; those of a nested routine in its place."""

    out: str
    """What would have been written to stdout, without what the steps write."""

    err: str
    """The progress and the summary."""

    @property
    def ids(self) -> list[str]:
        """The ids of the steps that would have run, in order."""
        return [one.id for one in self.steps]

    @property
    def command_lines(self) -> list[str]:
        """The command lines that would have run, in order."""
        return [one.command_line for one in self.steps]


def record(
    plan: Plan,
    *,
    fail: Mapping[str, BaseException | None],
    results: Mapping[str, Any],
    verbosity: int | None,
) -> Recording:
    """Run a plan and record its steps: see :meth:`Runbook.record`.

    :param plan: the plan.
    :param fail: the steps that are to fail, with what they are to raise, if that matters.
    :param results: what steps are to return.
    :param verbosity: handed on to the hooks.
    """
    # No lock is taken, so that one which cannot be is no reason.
    problems = tuple(one for one in plan.problems if one.code != Code.LOCK_UNUSABLE)
    plan = replace(plan, problems=problems)
    if plan.errors:
        raise PlanError(f"The plan of {plan.routine!r} has errors.", plan.errors)
    _refuse_unknown(plan, (*fail, *results))
    out, err = io.StringIO(), io.StringIO()
    steps: list[Recorded] = []

    def instead(step: Step) -> Any:
        steps.append(Recorded(step))
        if step.id in fail:
            exc = fail[step.id]
            raise _failure(step) if exc is None else exc
        return results.get(step.id)

    result = run_routine(
        plan,
        instead=instead,
        verbosity=verbosity,
        stdout=out,
        stderr=err,
        no_color=True,
        take_signals=False,
        check=False,
    )
    return Recording(result, steps, out.getvalue(), err.getvalue())


def _refuse_unknown(plan: Plan, ids: Iterable[str]) -> None:
    steps = [step for _, step in plan.every_step()]
    known = [step.id for step in steps if step.nested is None]
    for one in ids:
        if one in known:
            continue
        if any(step.id == one for step in steps):
            raise ValueError(f"{one!r} runs a routine. Name a step of that routine.")
        raise ValueError(f"No step {one!r} runs. {closest(one, known)}".strip())


def _failure(step: Step) -> Exception:
    """Return what a step raises that is told to fail."""
    if step.declaration.kind == "management":
        return CommandError("the test told it to fail")
    return CommandFailed("the test told it to fail")
