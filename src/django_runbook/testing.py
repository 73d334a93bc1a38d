"""Helpers for the tests of sites and plugins: plan a routine, add to its sources, record its run.

They need Django to be set up, and nothing else: they work under pytest, unittest and Django's own
runner. Under pytest there are the fixtures ``runbook`` and ``record_routine`` besides.
"""

from __future__ import annotations

import difflib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

from django.apps import apps
from django.core.management.base import CommandError

from .contribute import Contribution
from .declarations import Verbs
from .distributions import normalised
from .exceptions import BadPin, CommandFailed, PlanError
from .model import SETTINGS, Plan, Release, Searched, Source, Step, closest
from .pins import read_pin
from .plugins import Manager
from .policy import Policy
from .registry import Registry
from .results import RunResult
from .runner import run_routine
from .sources import Gathered, gather

__all__ = [
    "Recorded",
    "Recording",
    "Runbook",
    "assert_not_run",
    "assert_order",
    "assert_pinned",
    "assert_steps",
    "plan_routine",
    "record_routine",
    "step_ids",
]


class SettingsContribution(Contribution):
    """What a test says in the place of the settings, which have the last word."""

    def override(self, routine: str, step: str, /, **changes: Any) -> None:  # type: ignore[override]
        """Change a step: see :func:`django_runbook.override`."""
        Verbs.override(self, routine, step, **changes)

    def disable(self, routine: str, step: str, /) -> None:  # type: ignore[override]
        """Keep a step from running: see :func:`django_runbook.disable`."""
        Verbs.disable(self, routine, step)


@dataclass
class _Distribution:
    """A distribution that is not installed."""

    release: Release
    hooks: Any
    contribution: Contribution = field(default_factory=Contribution)

    @property
    def source(self) -> Source:
        return Source("distribution", self.release.name, release=self.release)


class Runbook:
    """The routines of the site, and what a test adds to them.

    :raises RuntimeError: if Django is not set up.
    """

    def __init__(self) -> None:
        if not apps.ready:
            raise RuntimeError(
                "Django is not set up, and the routines of a site are in its settings. Install "
                "pytest-django and give it DJANGO_SETTINGS_MODULE, or call django.setup() first."
            )
        self.settings = SettingsContribution()
        """Declares as one more file of the settings would: ``runbook.settings.disable(...)``."""

        self._apps: dict[str, Contribution] = {}
        self._distributions: dict[str, _Distribution] = {}

    def app(self, label: str) -> Contribution:
        """Return what an app declares with, besides what it says itself.

        :param label: its label; one that is not installed comes after all that are.
        """
        return self._apps.setdefault(label, Contribution())

    def distribution(
        self, name: str, version: str | None = None, *, hooks: Any = None
    ) -> Contribution:
        """Return what a distribution declares with that is not installed.

        It takes the place of an installed one of that name, all of its entry points included.

        :param name: its name, in any spelling.
        :param version: its version.
        :param hooks: a module with the hook, as an entry point would name it.
        """
        release = Release(normalised(name), version)
        known = self._distributions.setdefault(release.name, _Distribution(release, hooks))
        known.release = release
        known.hooks = hooks or known.hooks
        return known.contribution

    def plan(
        self,
        name: str,
        switches: Iterable[str] | Mapping[str, bool] = (),
        *,
        everything: bool = False,
        allow_errors: bool = False,
        **controls: Any,
    ) -> Plan:
        """Return the plan of a routine.

        :param name: the routine's name; ``-`` and ``_`` mean the same.
        :param switches: the switches to activate; of a dictionary those that are true.
        :param everything: activate every switch.
        :param allow_errors: return a plan that could not run, too; its ``problems`` say why.
        :param controls: execution controls, as :func:`django_runbook.get_plan` takes them.
        :raises PlanError: if the plan has errors.
        :raises UnknownRoutine: if no source declares the routine.
        :raises UnknownSwitch: if the routine has no such switch.
        """
        registry = Registry(partial(gather, self._distributions.keys(), self._add))
        plan = registry.plan(name, switches, everything=everything, controls=controls)
        if plan.errors and not allow_errors:
            raise PlanError(f"The plan of {plan.routine!r} has errors.", plan.errors)
        return plan

    def record(
        self,
        name: str,
        switches: Iterable[str] | Mapping[str, bool] = (),
        *,
        everything: bool = False,
        fail: Iterable[str] | Mapping[str, BaseException] = (),
        results: Mapping[str, Any] | None = None,
        verbosity: int | None = None,
        **controls: Any,
    ) -> Recording:
        """Run a routine and record its steps instead of running them.

        All else is real: callbacks, hooks, signals and their receivers, ``continue_on_error``. No
        lock is taken and no transaction begun; programs and the variables of secrets may be
        missing.

        :param name: the routine's name; ``-`` and ``_`` mean the same.
        :param switches: the switches to activate; of a dictionary those that are true.
        :param everything: activate every switch.
        :param fail: the ids of steps that are to fail, or the exceptions that they are to raise.
        :param results: what steps are to return, by their ids.
        :param verbosity: handed on to the hooks; 0 shows nothing.
        :param controls: execution controls, as :func:`django_runbook.get_plan` takes them.
        :return: what would have run, and what became of it; a failure is not raised.
        :raises PlanError: if the plan has errors.
        :raises ValueError: if no step that runs has an id of ``fail`` or ``results``.
        """
        plan = self.plan(name, switches, everything=everything, **controls)
        raised = fail if isinstance(fail, Mapping) else dict.fromkeys(_listed(fail))
        returned = results or {}
        _refuse_unknown(plan, (*raised, *returned))
        out, err = io.StringIO(), io.StringIO()
        steps: list[Recorded] = []

        def instead(step: Step) -> Any:
            steps.append(Recorded(step))
            if step.id in raised:
                raise raised[step.id] or _failure(step)
            return returned.get(step.id)

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

    def _add(self, gathered: list[Gathered], manager: Manager, policy: Policy) -> None:
        """Add what the test says to what the sources of the site say."""
        of_settings, of_apps, of_distributions = gathered
        of_settings.read(SETTINGS, self.settings)
        known = {one.source.name: one.source for one in of_apps.searched}
        for label, contribution in self._apps.items():
            source = known.get(label) or Source("app", label, len(of_apps.searched))
            if label not in known:
                blocked = policy.blocks(source)
                of_apps.searched.append(Searched(source, "blocked" if blocked else "heard"))
            if not policy.blocks(source):
                of_apps.read(source, contribution)
        for distribution in self._distributions.values():
            source = distribution.source
            searched = Searched(source)
            if policy.blocks(source):
                searched = Searched(source, "blocked")
            elif not policy.admits(source):
                searched = Searched(source, "not_allowed")
            else:
                if distribution.hooks is not None:
                    searched = of_distributions.take(manager.ask(source, distribution.hooks))
                of_distributions.read(source, distribution.contribution)
            of_distributions.searched.append(searched)


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


def plan_routine(
    name: str, switches: Iterable[str] | Mapping[str, bool] = (), **options: Any
) -> Plan:
    """Return the plan of a routine of the site: see :meth:`Runbook.plan`."""
    return Runbook().plan(name, switches, **options)


def record_routine(
    name: str, switches: Iterable[str] | Mapping[str, bool] = (), **options: Any
) -> Recording:
    """Run a routine of the site and record its steps: see :meth:`Runbook.record`."""
    return Runbook().record(name, switches, **options)


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
    expected, found = _listed(ids), step_ids(plan)
    if expected == found:
        return
    origins = {step.id: str(step.origin) for step in plan.steps}
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
    """
    if len(ids) < 2:
        raise TypeError("assert_order() takes the ids of two steps or more.")
    steps = [_step(plan, one) for one in ids]
    for before, after in pairwise(steps):
        if (before.position or 0) >= (after.position or 0):
            shown = "\n".join(
                f"  {step.position} {step.id}  {step.origin}  {step.reason.detail}".rstrip()
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
    """
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


def _listed(ids: Iterable[str]) -> list[str]:
    """Return ids as a list; a lone string is one."""
    return [ids] if isinstance(ids, str) else list(ids)


def _refuse_unknown(plan: Plan, ids: Iterable[str]) -> None:
    known = [step.id for _, step in plan.every_step()]
    for one in ids:
        if one not in known:
            raise ValueError(f"No step {one!r} runs. {closest(one, known)}".strip())


def _failure(step: Step) -> Exception:
    """Return what a step raises that is told to fail."""
    if step.declaration.kind == "management":
        return CommandError("the test told it to fail")
    return CommandFailed("the test told it to fail")
