"""The routines of a site with what a test adds to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from django.apps import apps

from django_runbook.contribution import Contribution
from django_runbook.declarations import Verbs
from django_runbook.distributions import normalised
from django_runbook.exceptions import PlanError, UnknownRoutine
from django_runbook.model import SETTINGS, Plan, Release, Searched, Source
from django_runbook.policy import Policy
from django_runbook.registry import Registry
from django_runbook.sources import Gathered, Plugins, gather

from .assertions import listed
from .recording import Recording, record


class SettingsContribution(Contribution):
    """What a test says in the place of the settings, which have the last word."""

    def override(self, routine: str, step: str, /, **changes: Any) -> None:  # type: ignore[override]
        """Change a step, as the settings may.

        :param routine: the routine's name.
        :param step: the step's id, or a command name for all its steps.
        :param changes: as :func:`django_runbook.override` takes them.
        """
        Verbs.override(self, routine, step, **changes)

    def disable(self, routine: str, step: str, /) -> None:  # type: ignore[override]
        """Keep a step from running, as the settings may.

        :param routine: the routine's name.
        :param step: the step's id, or a command name for all its steps.
        """
        Verbs.disable(self, routine, step)


@dataclass
class _Distribution:
    """A distribution that is not installed."""

    release: Release
    hooks: Any = None
    entry_point: str = ""
    contribution: Contribution = field(default_factory=Contribution)

    @property
    def source(self) -> Source:
        return Source(
            "distribution", self.release.name, entry_point=self.entry_point, release=self.release
        )


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
        self,
        name: str,
        version: str | None = None,
        *,
        hooks: Any = None,
        entry_point: str | None = None,
    ) -> Contribution:
        """Return what a distribution declares with that is not installed.

        It takes the place of an installed one of that name, all of its entry points included.

        :param name: its name, in any spelling.
        :param version: its version.
        :param hooks: a module with the hook, as an entry point would name it.
        :param entry_point: the name of its entry point, for sites that allow or block it by that.
        """
        release = Release(normalised(name), version)
        known = self._distributions.setdefault(release.name, _Distribution(release))
        if version is not None:
            known.release = release
        if hooks is not None:
            known.hooks = hooks
        if entry_point is not None:
            known.entry_point = entry_point
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
        try:
            plan = registry.plan(name, switches, everything=everything, controls=controls)
        except UnknownRoutine as exc:
            raise registry.why_unknown(exc) from None
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
        plan = self.plan(name, switches, everything=everything, allow_errors=True, **controls)
        return record(
            plan,
            fail=fail if isinstance(fail, Mapping) else dict.fromkeys(listed(fail)),
            results=results or {},
            verbosity=verbosity,
        )

    def _add(self, gathered: list[Gathered], plugins: Plugins, policy: Policy) -> None:
        """Add what the test says to what the sources of the site say."""
        of_settings, of_apps, of_distributions = gathered
        of_settings.read(SETTINGS, self.settings)
        known = {one.source.name: one.source for one in of_apps.searched}
        for label, contribution in self._apps.items():
            source = known.get(label) or Source("app", label, len(of_apps.searched))
            searched = Searched(source, policy.hearing(source))
            if label not in known:
                of_apps.searched.append(searched)
            if searched.heard:
                of_apps.read(source, contribution)
        for distribution in self._distributions.values():
            source = distribution.source
            searched = Searched(source, policy.hearing(source))
            if searched.heard:
                if distribution.hooks is not None:
                    searched = of_distributions.take(plugins().ask(source, distribution.hooks))
                    if searched.same_as:
                        raise ValueError(
                            f"The hooks of the distribution {source.name!r} are those of "
                            f"{searched.same_as} already, and count once. Give it hooks of its own."
                        )
                of_distributions.read(source, distribution.contribution)
            of_distributions.searched.append(searched)


def plan_routine(
    name: str, switches: Iterable[str] | Mapping[str, bool] = (), **options: Any
) -> Plan:
    """Return the plan of a routine of the site.

    :param name: the routine's name; ``-`` and ``_`` mean the same.
    :param switches: the switches to activate; of a dictionary those that are true.
    :param options: as :meth:`Runbook.plan` takes them.
    """
    return Runbook().plan(name, switches, **options)


def record_routine(
    name: str, switches: Iterable[str] | Mapping[str, bool] = (), **options: Any
) -> Recording:
    """Run a routine of the site and record its steps instead of running them.

    :param name: the routine's name; ``-`` and ``_`` mean the same.
    :param switches: the switches to activate; of a dictionary those that are true.
    :param options: as :meth:`Runbook.record` takes them.
    """
    return Runbook().record(name, switches, **options)
