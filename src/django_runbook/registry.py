"""The registry: the straight line from sources to plans.

A registry looks at the sources once, when it is first asked, and keeps what it saw. It is made
anew for each command and for each question asked from Python, so that a change of the settings or
of the installed apps is seen by the next one, and nothing has to be invalidated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from .commands import to_option, to_symbol
from .exceptions import UnknownRoutine, UnknownSwitch
from .merge import Merged, contains, merge, sources_of
from .model import Code, MergedRoutine, Plan, Problem, Searched, Step, closest
from .nesting import NestingError, is_nested, read_invocation
from .order import order
from .preflight import cannot_run
from .sources import gather


@dataclass(frozen=True)
class _Collected:
    merged: Merged
    problems: tuple[Problem, ...]
    searched: tuple[Searched, ...]


class Registry:
    """Everything that the sources of the site say, merged."""

    @cached_property
    def _collected(self) -> _Collected:
        gathered = gather()
        searched = [one for each in gathered for one in each.searched]
        merged = merge(
            (fragment for each in gathered for fragment in each.fragments),
            absent={one.source.name for one in searched if not one.heard}.difference(
                one.source.name for one in searched if one.heard
            ),
        )
        problems = [problem for each in gathered for problem in each.problems]
        return _Collected(merged, (*problems, *merged.problems), tuple(searched))

    @property
    def routines(self) -> Mapping[str, MergedRoutine]:
        """Every routine, by name, sorted."""
        return self._collected.merged.routines

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the declarations; what is wrong with a plan, the plan knows."""
        return self._collected.problems

    def routine(self, name: str) -> MergedRoutine:
        """Return a routine.

        :param name: its name; ``-`` and ``_`` mean the same.
        :raises UnknownRoutine: if no source declares it.
        """
        symbol = to_symbol(name)
        if symbol not in self.routines:
            known = ", ".join(self.routines) or "none"
            hint = closest(symbol, self.routines) or f"Known routines: {known}."
            raise UnknownRoutine(f"There is no routine {name!r}. {hint}")
        return self.routines[symbol]

    def plan(self, name: str, switches: Iterable[str] = (), *, everything: bool = False) -> Plan:
        """Return the plan of a routine.

        :param name: the routine's name; ``-`` and ``_`` mean the same.
        :param switches: the switches to activate, in any spelling.
        :param everything: activate all of them.
        :raises UnknownRoutine: if no source declares the routine.
        :raises UnknownSwitch: if the routine has no such switch.
        """
        routine = self.routine(name)
        active = set(routine.switches) if everything else {to_symbol(one) for one in switches}
        for switch in sorted(active.difference(routine.switches)):
            known = [to_option(one) for one in routine.switches]
            hint = (
                closest(to_option(switch), known) or f"Known switches: {', '.join(known) or '-'}."
            )
            raise UnknownSwitch(
                f"Routine {routine.name!r} has no switch {to_option(switch)}. {hint}"
            )
        names = contains(routine.name, self.routines)
        problems = [one for one in self.problems if one.routine is None or one.routine in names]
        endless = any(one.code == Code.NESTING_CYCLE for one in problems)
        plan = self._planned(routine, active, nest=not endless)
        counts = sources_of(routine)
        return replace(
            plan,
            problems=(*problems, *_problems_within(plan), *cannot_run(plan)),
            sources=tuple((one, counts.get(one.source, 0)) for one in self._collected.searched),
        )

    def _planned(self, routine: MergedRoutine, active: Iterable[str], *, nest: bool) -> Plan:
        plan = order(routine, active)
        if not nest:
            return plan
        return replace(plan, steps=tuple(map(self._with_nested_plan, plan.steps)))

    def _with_nested_plan(self, step: Step) -> Step:
        if not is_nested(step.declaration):
            return step
        try:
            invocation = read_invocation(step.declaration, self.routines)
        except NestingError:
            return step  # merge() has made an error of it, so that the plan does not run
        routine = self.routines[invocation.routine]
        return replace(step, nested=self._planned(routine, invocation.active(routine), nest=True))


def _problems_within(plan: Plan) -> list[Problem]:
    """Return what ordering found wrong, in a plan and in the plans nested in it, once each."""
    problems = list(plan.problems)
    for step in plan.steps:
        if step.nested is not None:
            problems += _problems_within(step.nested)
    return list(dict.fromkeys(problems))


def get_plan(name: str, switches: Iterable[str] = ()) -> Plan:
    """Return the plan of a routine, as ``manage.py routine NAME --explain`` shows it.

    Its ``steps`` are those that run, in order; ``left_out`` the others; ``problems`` what is
    wrong with it.

    :param name: the routine's name; ``-`` and ``_`` mean the same.
    :param switches: the switches to activate.
    :raises UnknownRoutine: if no source declares the routine.
    :raises UnknownSwitch: if the routine has no such switch.
    """
    return Registry().plan(name, switches)
