"""What a test asserts of a plan, each with a message that says what is there instead, and whose."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from itertools import pairwise

from django_runbook.exceptions import BadPin
from django_runbook.model import Plan, Step, closest
from django_runbook.pins import read_pin


def step_ids(plan: Plan) -> list[str]:
    """Return the ids of the steps that run, in order.

    :param plan: the plan.
    """
    return [step.id for step in plan.steps]


def assert_steps(plan: Plan, ids: Iterable[str]) -> None:
    """Assert that a plan runs these steps, in this order, and no others.

    :param plan: the plan.
    :param ids: the ids of the steps.
    :raises AssertionError: if it does not; says what is missing, what is there instead, and whose.
    """
    expected, found = listed(ids), step_ids(plan)
    if expected == found:
        return
    origins = {step.id: str(step.origin) for step in plan.steps}
    origins |= {step.id: step.reason.detail for step in plan.left_out}
    lines = [
        f"{line}  {origins.get(line[2:], '')}".rstrip()
        for line in difflib.ndiff(expected, found)
        if not line.startswith("?")
    ]
    raise AssertionError("\n".join([f"{_of(plan)} has other steps (- expected, + found):", *lines]))


def assert_order(plan: Plan, *ids: str) -> None:
    """Assert that a plan runs these steps one after the other, whatever runs between them.

    :param plan: the plan.
    :param ids: the ids of the steps, two at least.
    :raises AssertionError: if it does not; says why each stands where it stands.
    :raises TypeError: if fewer are named.
    """
    if len(ids) < 2:
        raise TypeError("assert_order() takes the ids of two steps or more.")
    steps = [_step(plan, one) for one in ids]
    for before, after in pairwise(steps):
        if (before.position or 0) >= (after.position or 0):
            shown = "\n".join(
                f"  {step.position} {step.id}  {step.origin}  {_place(step)}"
                for step in plan.steps
                if step.id in ids
            )
            raise AssertionError(
                f"{_of(plan)} does not run {before.id} before {after.id}, but:\n{shown}"
            )


def assert_not_run(plan: Plan, *ids: str) -> None:
    """Assert that steps are declared and do not run: switched off, or disabled.

    :param plan: the plan.
    :param ids: the ids of the steps.
    :raises AssertionError: if one runs, or if there is none of that id.
    :raises TypeError: if none is named.
    """
    if not ids:
        raise TypeError("assert_not_run() takes the id of one step or more.")
    left_out = {step.id for step in plan.left_out}
    for one in ids:
        if one not in left_out:
            step = _step(plan, one)
            raise AssertionError(f"{_of(plan)} runs {one} at {step.position}: {step.origin}.")


def assert_pinned(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Assert that a plan is the one in a file, as ``routine NAME --expect FILE`` would.

    :param plan: the plan.
    :param path: the file, written by ``routine NAME --explain --format json``.
    :raises AssertionError: if it differs; says how, or why the file cannot be used.
    """
    try:
        difference = read_pin(path).difference(plan)
    except BadPin as exc:
        raise AssertionError(str(exc)) from exc
    if difference:
        lines = "\n".join(difference.lines())
        raise AssertionError(f"{_of(plan)} is not the one in {os.fspath(path)}.\n{lines}")


def _place(step: Step) -> str:
    """Return why a step stands where it stands."""
    return step.reason.detail or f"priority {step.declaration.priority}"


def _of(plan: Plan) -> str:
    switches = f" with {', '.join(plan.active)}" if plan.active else ""
    return f"The plan of {plan.routine!r}{switches}"


def _step(plan: Plan, step_id: str) -> Step:
    """Return a step that runs, or say why there is none."""
    for step in plan.steps:
        if step.id == step_id:
            return step
    for step in plan.left_out:
        if step.id == step_id:
            raise AssertionError(f"{_of(plan)} does not run {step_id}: {step.reason.detail}.")
    known = [step.id for step in (*plan.steps, *plan.left_out)]
    hint = closest(step_id, known) or f"It has {', '.join(known) or 'no step'}."
    raise AssertionError(f"{_of(plan)} has no step {step_id!r}. {hint}")


def listed(ids: Iterable[str]) -> list[str]:
    """Return ids as a list; a lone string is one.

    :param ids: the ids.
    """
    return [ids] if isinstance(ids, str) else list(ids)
