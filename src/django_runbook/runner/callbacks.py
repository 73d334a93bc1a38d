"""What hooks and callbacks are given: the routine and its commands as objects they may change.

They are copies, made for one run: a definition is never changed, and the next run in the same
process starts from what was declared.
"""

from __future__ import annotations

import copy
from functools import cached_property
from typing import Any

from django_runbook.canonical import jsonable
from django_runbook.commands import Command, ManagementCommand, Routine, SystemCommand
from django_runbook.declarations import spelt_out
from django_runbook.entries import EntryReader
from django_runbook.exceptions import CommandFailed
from django_runbook.model import CONTROLS, HOOKS, Declaration, Plan, Step
from django_runbook.results import StepResult

_KINDS = {kind.kind: kind for kind in (ManagementCommand, SystemCommand)}


class Entry:
    """A step of a run: what is planned, what hooks may change, and what becomes of it.

    What hooks may change is made when there is one that is called: most routines have none.

    :param index: its index in the plan, as the signals have it.
    :param step: the step.
    :param plan: the plan that it is a step of.
    """

    def __init__(self, index: int, step: Step, plan: Plan) -> None:
        self.index = index
        self.step = step
        self.result = StepResult(step)
        self._plan = plan
        self._declared: dict[str, Any] = {}

    @cached_property
    def command(self) -> Command:
        """The command as an object that hooks may change."""
        command = command_of(self.step.declaration)
        for name in ("pre_hook", "post_hook"):
            setattr(command, name, self._stated(name))
        self._declared = _described(command)
        command.result = self.result.result
        return command

    @property
    def is_shown(self) -> bool:
        """Whether a hook may have changed the command: it was made, to be given to one."""
        return "command" in vars(self)

    def hook(self, name: str) -> Any:
        """Return a hook of the step, or ``None`` if it has none.

        :param name: ``pre_hook`` or ``post_hook``.
        """
        return getattr(self.command, name) if self.is_shown else self._stated(name)

    def _stated(self, name: str) -> Any:
        """Return a hook as it was declared: by the step, else by the routine."""
        own = getattr(self.step.declaration, name)
        stated = self._plan.attributes.get(name)
        return stated.value if own is None and stated is not None else own

    def returned(self, value: Any) -> None:
        """Note what the command has returned, for hooks to read and change.

        :param value: what it has returned.
        """
        self.result.result = value
        if self.is_shown:
            self.command.result = value

    def note(self) -> None:
        """Note what hooks may have made of what the command has returned."""
        if self.is_shown:
            self.result.result = self.command.result

    def as_left(self, routine: str) -> Step:
        """Return the step as the hooks have left its command.

        :param routine: the routine's name.
        :raises CommandFailed: if it is now something that cannot be run.
        """
        described = _described(self.command)
        if self.step.nested is not None:
            if described != self._declared:
                raise CommandFailed(
                    "a hook has changed which routine it runs, which is not planned"
                )
            return self.step
        reader = EntryReader(lambda _place: self.step.origin)
        read = reader.read_command(routine, described, self.step.origin)
        if read is None or reader.problems:
            said = " ".join(problem.message for problem in reader.problems)
            raise CommandFailed(f"a hook has left it malformed: {said}")
        if read.kind == "management" and read.name == "routine":
            raise CommandFailed("a hook has made it run a routine, which is not planned")
        apart = self.step.apart or read.time_limit is not None
        return Step(self.step.id, read, self.step.base, apart=apart)


def entries_of(plan: Plan) -> list[Entry]:
    """Return an entry for each step of a plan.

    :param plan: the plan.
    """
    return [Entry(index, step, plan) for index, step in enumerate(plan.steps)]


def command_of(declared: Declaration) -> Command:
    """Return a new object for a command, as a settings file would make it.

    :param declared: the command.
    """
    own = "options" if declared.kind == "management" else "env"
    return _KINDS[declared.kind](
        declared.argv,
        declared.priority,
        declared.switches,
        declared.pre_hook,
        declared.post_hook,
        step_id=declared.step_id,
        run_before=declared.refs("run_before"),
        run_after=declared.refs("run_after"),
        time_limit=declared.time_limit,
        help_text=declared.help_text,
        **{own: _copied(dict(getattr(declared, own)))},
    )


def routine_of(plan: Plan, entries: list[Entry]) -> Routine:
    """Return a new object for a routine, with the commands that run first.

    :param plan: its plan.
    :param entries: the entries of the plan's steps.
    """
    controls = {name: _copied(plan.control(name)) for name in CONTROLS}
    hooks = {name: plan.attributes[name].value for name in HOOKS if name in plan.attributes}
    return Routine(
        plan.routine,
        plan.help_text,
        [
            *(entry.command for entry in entries),
            *(command_of(step.declaration) for step in plan.left_out if step.disabled_by is None),
        ],
        dict(plan.available),
        **controls,
        **hooks,
    )


def shown_hook(hook: Any) -> str:
    """Return a hook as a message names it.

    :param hook: a callable or its import string.
    """
    return str(jsonable(hook))


def _described(command: Command) -> dict[str, Any]:
    """Return what a command runs, in a form that a later change of it leaves as it is."""
    described = spelt_out(command)
    for name in ("result", "pre_hook", "post_hook"):
        described.pop(name, None)
    return {key: _copied(value) for key, value in described.items()}


def _copied(value: Any) -> Any:
    """Return a copy of a value, so that changing it changes nothing else."""
    if type(value) is dict:
        return {key: _copied(one) for key, one in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_copied(one) for one in value)
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - an open file, a lock: such a thing can only be shared
        return value
