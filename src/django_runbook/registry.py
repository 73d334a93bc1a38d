"""The registry: the straight line from sources to plans.

A registry looks at the sources once, when it is first asked, and keeps what it saw. It is made
anew for each command and for each question asked from Python, so that a change of the settings or
of the installed apps is seen by the next one, and nothing has to be invalidated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NamedTuple

from .commands import to_option, to_symbol
from .exceptions import PlanError, UnknownRoutine, UnknownSwitch
from .merge import Merged, contains, merge, sources_of
from .model import CONTROLS, Code, Fragment, MergedRoutine, Plan, Problem, Searched, Step, closest
from .nesting import NestingError, is_nested, read_invocation
from .order import order
from .preflight import cannot_run, locks_of
from .sources import Gathered, gather

_NOTHING: Mapping[str, Any] = MappingProxyType({})


_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "atomic": ((bool, str, list, tuple), ", a database alias, a list of aliases"),
    "lock": ((bool, str), ", the name of a backend"),
}
"""What the value of a control may be, where that is not only true or false."""


class _Outer(NamedTuple):
    """What the routines around a nested one mean for its steps."""

    apart: bool = False
    """A routine around it runs management commands as subprocesses."""

    limited: bool = False
    """A step around it has a time limit, which only a process of its own can be held to."""

    atomic: bool = False
    """A routine around it is in a transaction."""


class _Collected(NamedTuple):
    merged: Merged
    fragments: tuple[Fragment, ...]
    problems: tuple[Problem, ...]
    searched: tuple[Searched, ...]
    roots: tuple[str, ...]


class Registry:
    """Everything that the sources of the site say, merged.

    :param gather: looks at the sources; those of the site unless a test has others.
    """

    def __init__(self, gather: Callable[[], Sequence[Gathered]] = gather) -> None:
        self._gather = gather

    @cached_property
    def _collected(self) -> _Collected:
        gathered = self._gather()
        searched = [one for each in gathered for one in each.searched]
        fragments = tuple(fragment for each in gathered for fragment in each.fragments)
        merged = merge(
            fragments,
            absent={one.source.name for one in searched if not one.heard}.difference(
                one.source.name for one in searched if one.heard
            ),
        )
        problems = [problem for each in gathered for problem in each.problems]
        return _Collected(
            merged,
            fragments,
            (*problems, *merged.problems),
            tuple(searched),
            tuple(root for each in gathered for root in each.roots),
        )

    @property
    def routines(self) -> Mapping[str, MergedRoutine]:
        """Every routine, by name, sorted."""
        return self._collected.merged.routines

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the declarations; what is wrong with a plan, the plan knows."""
        return self._collected.problems

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """What each source says about each routine, before it is merged."""
        return self._collected.fragments

    @property
    def searched(self) -> tuple[Searched, ...]:
        """Every source that was looked at, in the order of the sources."""
        return self._collected.searched

    def why_unknown(self, unknown: UnknownRoutine) -> UnknownRoutine | PlanError:
        """Return what to raise where people name a routine: an error may be why it is not there.

        :param unknown: what :meth:`routine` has raised.
        """
        errors = [one for one in self.problems if one.level == "error"]
        return PlanError(str(unknown), errors) if errors else unknown

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

    def plan(
        self,
        name: str,
        switches: Iterable[str] | Mapping[str, bool] = (),
        *,
        everything: bool = False,
        controls: Mapping[str, Any] = _NOTHING,
    ) -> Plan:
        """Return the plan of a routine.

        :param name: the routine's name; ``-`` and ``_`` mean the same.
        :param switches: the switches to activate, in any spelling; of a dictionary those that are
            true.
        :param everything: activate all of them.
        :param controls: execution controls to use instead of what the routine states; ``None``
            leaves one as it is stated.
        :raises UnknownRoutine: if no source declares the routine.
        :raises UnknownSwitch: if the routine has no such switch.
        :raises TypeError: for a control that is none.
        """
        _refuse_wrong_types(controls)
        routine = self.routine(name)
        given = _given(switches)
        active = set(routine.switches) if everything else {one for one in given if given[one]}
        for switch in sorted(given.keys() - set(routine.switches)):
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
        plan = self._planned(routine, active, controls, _Outer(), nest=not endless)
        counts = sources_of(routine)
        locks, unusable = locks_of(plan)
        return replace(
            plan,
            everything=everything,
            problems=(*problems, *_problems_within(plan), *cannot_run(plan), *unusable),
            locks=locks,
            sources=tuple((one, counts.get(one.source, 0)) for one in self._collected.searched),
        )

    def _planned(
        self,
        routine: MergedRoutine,
        active: Iterable[str],
        controls: Mapping[str, Any],
        outer: _Outer,
        *,
        nest: bool,
    ) -> Plan:
        """Return a plan whose steps know in which process and transaction they will run."""
        plan = replace(
            order(routine, active),
            given=_settled(controls, routine),
            roots=self._collected.roots,
        )
        # A nested routine that says so itself keeps its commands in this process.
        apart = controls.get("subprocess")
        outer = outer._replace(
            apart=(outer.apart or plan.control("subprocess")) if apart is None else apart,
            atomic=outer.atomic or bool(plan.control("atomic")),
        )
        return replace(
            plan,
            steps=tuple(self._placed(step, outer, nest=nest) for step in plan.steps),
            left_out=tuple(self._placed(step, outer, nest=False) for step in plan.left_out),
        )

    def _placed(self, step: Step, outer: _Outer, *, nest: bool) -> Step:
        limited = outer.limited or step.declaration.time_limit is not None
        if is_nested(step.declaration):
            return self._with_nested_plan(step, outer._replace(limited=limited)) if nest else step
        apart = step.declaration.kind == "system" or outer.apart or limited
        return step._replace(apart=apart, outside_transaction=apart and outer.atomic)

    def _with_nested_plan(self, step: Step, outer: _Outer) -> Step:
        try:
            said = read_invocation(step.declaration, self.routines)
        except NestingError:
            return step  # merge() has made an error of it, so that the plan does not run
        routine = self.routines[said.routine]
        plan = self._planned(routine, said.active(routine), said.controls, outer, nest=True)
        return step._replace(nested=replace(plan, everything=said.all))


def _refuse_wrong_types(controls: Mapping[str, Any]) -> None:
    """Raise for a control that code has given as anything else than settings may."""
    for name, value in controls.items():
        if name not in CONTROLS:
            raise TypeError(f"There is no control {name!r}. {closest(name, CONTROLS)}".strip())
        kinds, more = _KINDS.get(name, ((bool,), ""))
        if value is not None and (not isinstance(value, kinds) or value in ("", [], ())):
            raise TypeError(f"{name} must be True, False{more} or None, not {value!r}.")


def _given(switches: Iterable[str] | Mapping[str, bool]) -> dict[str, bool]:
    """Return the switches that are named, and whether they are on; a lone string is one."""
    if isinstance(switches, Mapping):
        return {to_symbol(name): bool(on) for name, on in switches.items()}
    names = (switches,) if isinstance(switches, str) else switches
    return {to_symbol(name): True for name in names}


def _settled(controls: Mapping[str, Any], routine: MergedRoutine) -> Mapping[str, Any]:
    """Return the controls that were asked for, as far as they say something of their own.

    ``--atomic`` of a routine that states its databases means those.
    """
    stated = {name: one.value for name, one in routine.attributes.items()}
    return MappingProxyType(
        {
            name: value
            for name, value in controls.items()
            if value is not None and not (value is True and stated.get(name))
        }
    )


def _problems_within(plan: Plan) -> list[Problem]:
    """Return what ordering found wrong, in a plan and in the plans nested in it, once each."""
    problems = list(plan.problems)
    for step in plan.steps:
        if step.nested is not None:
            problems += _problems_within(step.nested)
    return list(dict.fromkeys(problems))


def get_plan(
    name: str,
    switches: Iterable[str] | Mapping[str, bool] = (),
    *,
    everything: bool = False,
    subprocess: bool | None = None,
    atomic: bool | str | Sequence[str] | None = None,
    continue_on_error: bool | None = None,
    lock: bool | str | None = None,
) -> Plan:
    """Return the plan of a routine, as ``manage.py routine NAME --explain`` shows it.

    Its ``steps`` are those that run, in order; ``left_out`` the others; ``problems`` what is
    wrong with it.

    :param name: the routine's name; ``-`` and ``_`` mean the same.
    :param switches: the switches to activate; of a dictionary those that are true.
    :param everything: activate every switch.
    :param subprocess: run management commands as subprocesses; ``None`` is as the routine states.
    :param atomic: run the steps in a transaction; ``None`` is as the routine states.
    :param continue_on_error: go on after a failure; ``None`` is as the routine states.
    :param lock: let the routine run once at a time; ``None`` is as the routine states.
    :raises UnknownRoutine: if no source declares the routine.
    :raises UnknownSwitch: if the routine has no such switch.
    """
    controls = {
        "subprocess": subprocess,
        "atomic": atomic,
        "continue_on_error": continue_on_error,
        "lock": lock,
    }
    return Registry().plan(name, switches, everything=everything, controls=controls)
