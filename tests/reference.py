"""The ordering rule a second time, slow and plain, and fragments to feed it, written or drawn.

Nothing here reads ``order.py``; the rule is that of ``docs/``: each step has a base key, the step
that declares a constraint takes over the key of what it must precede or follow, and of the steps
that wait for nobody the one with the lowest key comes next.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from django_runbook.merge import merge
from django_runbook.model import (
    SETTINGS,
    Attribute,
    Constraint,
    Declaration,
    Fragment,
    MergedRoutine,
    Origin,
    Override,
    Plan,
    Problem,
    Source,
)
from django_runbook.order import order

BLOG = Source("app", "blog", index=7)
SHOP = Source("app", "shop", index=2)
ACME = Source("distribution", "acme-cdn", entry_point="cdn")
ACME_TOO = Source("distribution", "acme-cdn", entry_point="purge")
ZETA = Source("distribution", "zeta", entry_point="a")
SOURCES = (SETTINGS, SHOP, BLOG, ACME, ACME_TOO, ZETA)
"""Sources of all three kinds, in the order that the rule gives them."""

NAMES = ("migrate", "check", "warm")


# --- by hand ------------------------------------------------------------------------------------


def step(
    name: str, *args: str, before: Iterable[str] = (), after: Iterable[str] = (), **fields: Any
) -> Declaration:
    """Return a declaration; :func:`fragment` gives it and its constraints an origin."""
    nowhere = Origin(SETTINGS)
    constraints = (
        *(Constraint("run_before", ref, nowhere) for ref in before),
        *(Constraint("run_after", ref, nowhere) for ref in after),
    )
    kind = fields.pop("kind", "management")
    return Declaration(kind, (name, *args), nowhere, constraints=constraints, **fields)


def fragment(
    source: Source,
    *steps: Declaration,
    routine: str = "deploy",
    index: int = 0,
    attributes: Iterable[tuple[str, Any]] = (),
    helps: Iterable[tuple[str, Any]] = (),
    overrides: Iterable[tuple[str, Mapping[str, Any]]] = (),
) -> Fragment:
    """Return what a source says about a routine: its n-th step is in line n of ``<name>.py``."""
    file = f"{source.name}.py"
    declarations = []
    for line, one in enumerate(steps, start=1):
        origin = Origin(source, file, line)
        constraints = tuple(constraint._replace(origin=origin) for constraint in one.constraints)
        declarations.append(one._replace(origin=origin, constraints=constraints))
    return Fragment(
        source,
        routine,
        tuple(declarations),
        tuple(
            Attribute(name, value, Origin(source, file, 100 + n))
            for n, (name, value) in enumerate(attributes, start=1)
        ),
        tuple(
            Attribute(name, value, Origin(source, file, 200 + n))
            for n, (name, value) in enumerate(helps, start=1)
        ),
        tuple(
            Override(ref, changes, Origin(source, file, 300 + n))
            for n, (ref, changes) in enumerate(overrides, start=1)
        ),
        index,
    )


def planned(*fragments: Fragment, active: Iterable[str] = ()) -> Plan:
    """Return the plan of the one routine that these fragments speak of."""
    (routine,) = merge(fragments).routines.values()
    return order(routine, active)


def ids(plan: Plan) -> list[str]:
    """Return the ids of the steps that run, in order."""
    return [one.id for one in plan.steps]


def sequence(routine: MergedRoutine) -> list[str]:
    """Return the ids of all steps in order, also of those that would not run."""
    everyone = routine._replace(
        steps=tuple(one._replace(disabled_by=None) for one in routine.steps)
    )
    plan = order(everyone, routine.switches)
    assert not plan.left_out
    return ids(plan)


def told(problems: Iterable[Problem], code: str) -> list[Problem]:
    """Return the problems with this code."""
    return [one for one in problems if one.code == code]


# --- the rule, plainly ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Placed:
    """A step as the rule sees it."""

    id: str
    name: str
    key: tuple[Any, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    also: str = ""
    """The last part of a program's path, by which a ref may mean it, too."""


def placed(fragments: Iterable[Fragment]) -> list[Placed]:
    """Return the steps of one routine with their base keys, by source and declaration."""
    result: list[Placed] = []
    declared: dict[tuple[Any, ...], int] = {}
    for part in sorted(fragments, key=lambda one: (_source_key(one.source), one.index)):
        who = _source_key(part.source)
        for declaration in part.declarations:
            index = declared.get(who, 0)
            declared[who] = index + 1
            name = declaration.argv[0]
            plain = f"{part.source.name}:{name}"
            known = [one.id for one in result]
            step_id, count = plain, 1
            while step_id in known:
                count += 1
                step_id = f"{plain}-{count}"
            refs = {
                relation: tuple(c.ref for c in declaration.constraints if c.relation == relation)
                for relation in ("run_before", "run_after")
            }
            key = (declaration.priority, *who, index)
            result.append(Placed(step_id, name, key, refs["run_before"], refs["run_after"]))
    return result


def _source_key(source: Source) -> tuple[Any, ...]:
    if source.kind == "settings":
        return (0, ())
    if source.kind == "app":
        return (1, (source.index,))
    return (2, (source.name, source.entry_point))


def meant(ref: str, of: Placed, steps: Sequence[Placed]) -> list[Placed]:
    """Return the steps that a ref means: that of this id, or the others of this command name."""
    return [one for one in steps if one.id == ref] or [
        one for one in steps if ref in (one.name, one.also) and one is not of
    ]


def pairs(steps: Sequence[Placed]) -> set[tuple[Placed, Placed]]:
    """Return every pair of which the first must run before the second."""
    asked = {
        (one, other) for one in steps for ref in one.before for other in meant(ref, one, steps)
    }
    return asked | {
        (other, one) for one in steps for ref in one.after for other in meant(ref, one, steps)
    }


def lined_up(steps: Sequence[Placed], key: Mapping[str, Any]) -> list[str] | None:
    """Return the ids, lowest key first of those that wait for nobody, or ``None`` in a circle."""
    waits: dict[str, set[str]] = {one.id: set() for one in steps}
    for earlier, later in pairs(steps):
        waits[later.id].add(earlier.id)
    done: list[str] = []
    while waits:
        free = [one for one, others in waits.items() if not others - set(done)]
        if not free:
            return None
        done.append(min(free, key=key.__getitem__))
        del waits[done[-1]]
    return done


def reference_keys(steps: Sequence[Placed]) -> dict[str, Any] | None:
    """Return the key that each step stands at, by id, or ``None`` if steps wait for each other."""
    if lined_up(steps, {one.id: one.key for one in steps}) is None:
        return None

    def lowered(one: Placed) -> tuple[Any, ...]:
        others = [other for ref in one.before for other in meant(ref, one, steps)]
        return min([one.key, *map(lowered, others)])

    def raised(one: Placed) -> tuple[Any, ...]:
        others = [other for ref in one.after for other in meant(ref, one, steps)]
        return max([lowered(one), *map(raised, others)])

    return {one.id: raised(one) for one in steps}


def reference_order(steps: Sequence[Placed]) -> list[str] | None:
    """Return the ids in order, or ``None`` if steps wait for each other."""
    keys = reference_keys(steps)
    if keys is None:
        return None
    return lined_up(steps, {one.id: (keys[one.id], one.key) for one in steps})


def base_order(steps: Iterable[Placed]) -> list[str]:
    """Return the ids in the order in which the steps stand if nobody asks for anything."""
    return [one.id for one in sorted(steps, key=lambda one: one.key)]


# --- drawn ---------------------------------------------------------------------------------------


@st.composite
def bare(draw: st.DrawFn, *, most: int = 8, routine: str = "deploy") -> list[Fragment]:
    """Draw fragments of one routine, in which no step has a constraint."""
    by_part: dict[tuple[int, int], list[Declaration]] = {}
    for _ in range(draw(st.integers(1, most))):
        part = (draw(st.integers(0, len(SOURCES) - 1)), draw(st.integers(0, 1)))
        one = step(
            draw(st.sampled_from(NAMES)),
            priority=draw(st.integers(-1, 2)),
            switches=draw(st.sampled_from([(), (), ("demo",), ("demo", "initial")])),
        )
        by_part.setdefault(part, []).append(one)
    return [
        fragment(SOURCES[source], *steps, routine=routine, index=index)
        for (source, index), steps in by_part.items()
    ]


def constrained(
    fragments: list[Fragment], wanted: Mapping[str, list[tuple[str, str]]]
) -> list[Fragment]:
    """Return the fragments with constraints: ``{step id: [(relation, ref)]}``."""
    names = iter(one.id for one in placed(fragments))
    result = []
    for part in sorted(fragments, key=lambda one: (_source_key(one.source), one.index)):
        declarations = []
        for declaration in part.declarations:
            asked = wanted.get(next(names), ())
            constraints = tuple(Constraint(*each, declaration.origin) for each in asked)
            declarations.append(declaration._replace(constraints=constraints))
        result.append(part._replace(declarations=tuple(declarations)))
    return result


@st.composite
def acyclic(draw: st.DrawFn, *, one_way: bool = False) -> list[Fragment]:
    """Draw fragments whose constraints can all be met: some line-up of the steps meets them.

    :param one_way: no step has both ``run_before`` and ``run_after``.
    """
    fragments = draw(bare())
    steps = placed(fragments)
    line = draw(st.permutations(steps))
    wanted: dict[str, list[tuple[str, str]]] = {}
    for place, one in enumerate(line):
        relations = ["run_before", "run_after"]
        if one_way:
            relations = [draw(st.sampled_from(relations))]
        for relation in relations:
            side = line[place + 1 :] if relation == "run_before" else line[:place]
            whole = [
                name
                for name in NAMES
                if {other for other in steps if other.name == name and other is not one}
                <= set(side)
            ]
            refs = [*(other.id for other in side), *whole, "nobody"]
            chosen = draw(st.lists(st.sampled_from(refs), max_size=2))
            wanted.setdefault(one.id, []).extend((relation, ref) for ref in chosen)
    return constrained(fragments, wanted)


@st.composite
def anyhow(draw: st.DrawFn) -> list[Fragment]:
    """Draw fragments with any constraints, met or not."""
    fragments = draw(bare())
    steps = placed(fragments)
    refs = st.sampled_from([*(one.id for one in steps), *NAMES, "nobody"])
    relation = st.sampled_from(["run_before", "run_after"])
    wanted = {one.id: draw(st.lists(st.tuples(relation, refs), max_size=2)) for one in steps}
    return constrained(fragments, wanted)
