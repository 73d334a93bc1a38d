"""What differs between two plans: nothing where they run the same, and all that there is to say."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from django_runbook.comparison import differ
from django_runbook.difference import Difference, Entry
from django_runbook.document import document_of, dumped
from django_runbook.explain import print_difference
from django_runbook.merge import merge
from django_runbook.model import (
    SETTINGS,
    Constraint,
    Declaration,
    Fragment,
    Origin,
    Plan,
    Release,
    Searched,
    Source,
)
from django_runbook.order import order
from django_runbook.secret import Secret

from .projects import Project, hook, line_of, write
from .reference import ACME, SHOP, ZETA, fragment, step

pytestmark = pytest.mark.ours


many = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow]
)  # where the machine is busy

ACTIVE = ("demo",)
"""The switches that are on in every plan here, in the outermost routine and in those nested."""


# --- plans ---------------------------------------------------------------------------------------


def plan(*fragments: Fragment, root: str = "", sources: Sequence[Source] = ()) -> Plan:
    """Return the plan of ``deploy``, with those of the routines nested in it.

    :param root: the project's directory.
    :param sources: the sources that were searched.
    """
    routines = merge(fragments).routines

    def made(name: str) -> Plan:
        found = order(routines[name], ACTIVE)
        steps = (
            one._replace(nested=made(str(one.declaration.argv[1])))
            if one.declaration.name == "routine"
            else one
            for one in found.steps
        )
        return replace(found, steps=tuple(steps), roots=(root,) if root else ())

    return replace(made("deploy"), sources=tuple((Searched(one), 0) for one in sources))


def compared(old: Plan, new: Plan) -> Difference:
    """Return what differs, the expected plan being read from a file as a pin is."""
    return differ(json.loads(dumped(document_of(old))), document_of(new), new)


def told(old: Plan, new: Plan) -> list[str]:
    """Return what is told of two plans that differ, without their fingerprints."""
    lines = list(compared(old, new).lines())
    assert [line.split()[0] for line in lines[-2:]] == ["Expected:", "Found:"]
    return lines[:-2]


def ids(entries: Sequence[Entry], kind: str) -> list[str]:
    """Return the ids of the entries of one kind, in order."""
    return [one.id for one in entries if one.kind == kind]


# --- drawn ---------------------------------------------------------------------------------------

Key: TypeAlias = tuple[str, Source, str]
"""A routine, a source and a step's name: what makes a step the same in two plans."""

ROOTS = ("/srv/site", "/home/me/site", "/same")
PATHS = ("{root}", "{root}/a b", "--to={root}/x")
"""Words that lie below the project, wherever that is."""

HOSTILE = (
    *("a\nb", "\r", "\x1b[31m", "\x00", "\x7f", "\u2028", "\u202e", "\udc80", "[red]x[/red]", "'"),
    *(" ", "", "-> 1", "~ x", "\\", "é", "日本語"),
)

words = st.sampled_from(("a", "a b", *PATHS, *HOSTILE)) | st.text(max_size=3)
scalars = st.sampled_from((None, True, False, 0, 1, 1.0, "1", "true", "null")) | words
values = st.recursive(
    scalars | st.floats(allow_nan=True),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("kl"), inner),
    max_leaves=3,
)
keys = st.sampled_from(("tag", "other", "odd.key", "\x1b\n"))
hooks = st.none() | st.sampled_from(("shop.hooks.before", "shop.hooks.after", "\x1b\n"))

NAMES = {"deploy": "abcdef", "package": "pqr", "inner": "xy"}
"""The names of the steps of each routine; a step ``nesting`` runs one of the next routines."""

INSIDE = {"deploy": ("package", "inner"), "package": ("inner",), "inner": ()}
SOURCES = (SETTINGS, SHOP, ACME)
REFS = ("settings:a", "shop:b", "settings:p", "probe", "nobody")


@dataclass(frozen=True)
class Site:
    """What the sources of a site say, wherever it lies."""

    steps: Mapping[Key, Declaration] = field(default_factory=dict)
    attributes: Mapping[tuple[str, str], Any] = field(default_factory=dict)
    overrides: Mapping[Key, Mapping[str, Any]] = field(default_factory=dict)

    def plan(self, root: str, *, known: bool = True) -> Plan:
        """Return its plan where it lies in a directory, which the plan may know or not."""
        parts = [
            fragment(
                source,
                *(
                    _placed(declaration, root)
                    for (where, who, _), declaration in self.steps.items()
                    if (where, who) == (routine, source)
                ),
                routine=routine,
                attributes=[
                    (name, value)
                    for (where, name), value in self.attributes.items()
                    if where == routine and source is SETTINGS
                ],
                overrides=[
                    (f"{who.name}:{name}", changes)
                    for (where, who, name), changes in self.overrides.items()
                    if where == routine and source is SETTINGS
                ],
            )
            for routine in NAMES
            for source in SOURCES
        ]
        return plan(*parts, root=root if known else "")


def _placed(declaration: Declaration, root: str) -> Declaration:
    """Return a declaration of a site that lies in a directory."""

    def there(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("{root}", root)
        if isinstance(value, dict):
            return {key: there(one) for key, one in value.items()}
        return [there(one) for one in value] if isinstance(value, list) else value

    return declaration._replace(
        argv=tuple(map(there, declaration.argv)),
        options=there(dict(declaration.options)),
        env=there(dict(declaration.env)),
    )


constraints = st.builds(
    Constraint,
    st.sampled_from(("run_before", "run_after")),
    st.sampled_from(REFS),
    st.just(Origin(SETTINGS)),
)
ANYWHERE: Mapping[str, st.SearchStrategy[Any]] = {
    "options": st.dictionaries(keys, values, max_size=2),
    "priority": st.integers(-1, 2),
    "switches": st.sampled_from(((), (), ("demo",), ("demo", "night"), ("night",))),
    "constraints": st.lists(constraints, max_size=1).map(tuple),
    "time_limit": st.sampled_from((None, 1, 1.0, 60)),
    "pre_hook": hooks,
    "post_hook": hooks,
    "help_text": words,
}
"""What the fields of any step may be."""

FIELDS: Mapping[str, st.SearchStrategy[Any]] = {
    **ANYWHERE,
    "kind": st.sampled_from(("management", "system")),
    "argv": st.lists(words, max_size=2).map(lambda more: ("probe", *more)),
    "env": st.dictionaries(keys, words, max_size=2),
}
"""What those of a step may be that runs no routine."""


@st.composite
def declarations(draw: st.DrawFn, key: Key) -> Declaration:
    """Draw a step with few odd fields."""
    routine, _, name = key
    if name == "nesting":
        return step("routine", draw(st.sampled_from(INSIDE[routine])), step_id=name)
    chosen = draw(st.sets(st.sampled_from(sorted(FIELDS)), max_size=3))
    drawn = {one: draw(FIELDS[one]) for one in sorted(chosen)}
    return step("probe", step_id=name)._replace(**drawn)


every_key = st.sampled_from(
    [
        *(
            (routine, source, name)
            for routine in NAMES
            for name in NAMES[routine]
            for source in SOURCES
        ),
        *((routine, SETTINGS, "nesting") for routine in NAMES if INSIDE[routine]),
    ]
)
every_attribute = st.tuples(
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(("atomic", "continue_on_error", "lock", "initialize", "pre_hook")),
)
attribute_values = st.sampled_from((True, False, "default", ["default", "other"], "a.b", "\x1b\n"))
changes = st.sampled_from(
    ({"disabled": True}, {"priority": 5}, {"time_limit": 9}, {"switches": ("night",)})
) | st.fixed_dictionaries({"options": st.dictionaries(keys, values, max_size=2)})


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Draw what the sources of a site say."""
    steps = {}
    for routine, names in NAMES.items():
        chosen = draw(st.lists(st.sampled_from(names), min_size=len(names) // 2, unique=True))
        for name in [*chosen, *(["nesting"] if INSIDE[routine] and draw(st.booleans()) else [])]:
            source = SETTINGS if name == "nesting" else draw(st.sampled_from(SOURCES))
            steps[routine, source, name] = draw(declarations((routine, source, name)))
    return Site(
        steps,
        draw(st.dictionaries(every_attribute, attribute_values, max_size=2)),
        draw(st.dictionaries(st.sampled_from(list(steps)), changes, max_size=2)),
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Site, Site]:
    """Draw a site, and the same after a few changes, of which some change nothing that runs."""
    old = new = draw(sites())
    for what in draw(st.lists(st.sampled_from(EDITS), min_size=1, max_size=5)):
        new = draw(edited(new, what))
    return old, new


EDITS = ("order", "order", "add", "drop", "field", "field", "attribute", "override")


@st.composite
def edited(draw: st.DrawFn, site: Site, what: str) -> Site:
    """Draw a site after one change."""
    steps, attributes, overrides = map(dict, (site.steps, site.attributes, site.overrides))
    if what == "order":
        steps = {key: steps[key] for key in draw(st.permutations(list(steps)))}
    if what == "add":
        key = draw(every_key)
        steps[key] = draw(declarations(key))
    if what == "attribute":
        attributes[draw(every_attribute)] = draw(attribute_values)
    if what in ("drop", "field", "override") and steps:
        key = draw(st.sampled_from(list(steps)))
        if what == "drop":
            del steps[key]
        elif what == "override":
            overrides[key] = draw(changes)
        else:
            name = draw(st.sampled_from(sorted(ANYWHERE if key[2] == "nesting" else FIELDS)))
            steps[key] = steps[key]._replace(**{name: draw(FIELDS[name])})
    return Site(steps, attributes, overrides)


# --- what the difference must be, plainly --------------------------------------------------------


@dataclass(frozen=True)
class Level:
    """Two plans that are compared, the outermost ones or two that are nested in them."""

    prefix: str
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    @property
    def was(self) -> list[str]:
        """The ids of the steps that were expected."""
        return running(self.old)

    @property
    def now(self) -> list[str]:
        """The ids of the steps that would run."""
        return running(self.new)

    @property
    def both(self) -> list[str]:
        """The ids of those that run in both, in the new order."""
        return [one for one in self.now if one in self.was]


def running(document: Mapping[str, Any]) -> list[str]:
    """Return the ids of the steps that run, in order."""
    return [one["id"] for one in document["steps"] if one["status"] == "run"]


def by_id(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the steps of a document by id."""
    return {one["id"]: one for one in document["steps"]}


def levels(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> Iterator[Level]:
    """Yield the pairs of plans to compare: outer ones first, then in the new order."""
    level = Level(prefix, old, new)
    yield level
    was, now = by_id(old), by_id(new)
    for one in level.both:
        if "plan" in was[one] and "plan" in now[one]:
            yield from levels(was[one]["plan"], now[one]["plan"], f"{prefix}{one} > ")


def inside(one: Mapping[str, Any], name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield a step under its name, and those of the routine that it runs."""
    yield name, one
    for inner in one["plan"]["steps"] if "plan" in one else ():
        if inner["status"] == "run":
            yield from inside(inner, f"{name} > {inner['id']}")


def bytes_of(value: Any) -> str:
    """Return what tells two values of JSON apart."""
    return json.dumps(value, sort_keys=True)


def what_it_runs(document: Mapping[str, Any]) -> Any:
    """Return what a plan runs, in a form of our own."""
    return [
        document["routine"],
        sorted(document["controls"].items()),
        sorted(document["hooks"].items()),
        [
            [attributes(one), what_it_runs(one["plan"]) if "plan" in one else None]
            for one in document["steps"]
            if one["status"] == "run"
        ],
    ]


def attributes(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a step runs, of a nested routine the name; each key of a dictionary by itself."""
    plain = ("id", "kind", "argv", "switches", "time_limit", "pre_hook", "post_hook")
    plain = (*plain, *(["variables"] if one["variables"] else []))
    return {
        **{name: one[name] for name in plain},
        **{f"{name}.{key}": one[name][key] for name in ("options", "env") for key in one[name]},
        "nested": one["plan"]["routine"] if "plan" in one else None,
    }


def unlike(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[str]:
    """Return the keys whose values differ, or that only one has."""
    return {
        key
        for key in {*old, *new}
        if key not in old or key not in new or bytes_of(old[key]) != bytes_of(new[key])
    }


def documents(pair: tuple[Site, Site]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the documents of two sites that lie in different directories."""
    old, new = pair
    first, second, _ = ROOTS
    return json.loads(dumped(document_of(old.plan(first)))), document_of(new.plan(second))


def plain_documents(pair: tuple[Site, Site]) -> list[dict[str, Any]]:
    """Return the documents of the same sites if both lay in the same directory."""
    return [document_of(site.plan(ROOTS[2], known=False)) for site in pair]


def longest_rises(numbers: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Yield the longest parts of a sequence that rise, by trying all parts of it."""
    for size in range(len(numbers), -1, -1):
        rises = [
            part
            for part in combinations(numbers, size)
            if all(one < other for one, other in pairwise(part))
        ]
        if rises:
            yield from rises
            return


# --- properties ----------------------------------------------------------------------------------


@many
@given(pairs())
def test_there_is_a_difference_exactly_if_something_else_would_run(
    pair: tuple[Site, Site],
) -> None:
    """Whoever is refused is told why, and who is told nothing runs what was expected."""
    old, new = documents(pair)
    found = differ(old, new)
    same = bytes_of(what_it_runs(plain_documents(pair)[0])) == bytes_of(
        what_it_runs(plain_documents(pair)[1])
    )
    event("same" if same else "different")

    assert (old["fingerprint"] == new["fingerprint"]) is same
    assert bool(found) is not same
    assert bool(found.entries) is not same
    assert (found.expected, found.found) == (old["fingerprint"], new["fingerprint"])
    assert found.document()["as_expected"] is same


@many
@given(pairs())
def test_every_step_that_is_not_as_expected_is_told_once(pair: tuple[Site, Site]) -> None:
    """Steps that came, that went and that run something else are told, in order, and no others."""
    found = differ(*documents(pair)).entries
    compared_plans = list(levels(*plain_documents(pair)))
    came, went, left_out = {}, {}, {}
    changed, of_routines = {}, []
    for level in compared_plans:
        was, now = by_id(level.old), by_id(level.new)
        for one in [one for one in level.now if one not in level.was]:
            came.update(inside(now[one], f"{level.prefix}{one}"))
            left_out[f"{level.prefix}{one}"] = was.get(one)
        for one in [one for one in level.was if one not in level.now]:
            went.update(inside(was[one], f"{level.prefix}{one}"))
            left_out[f"{level.prefix}{one}"] = now.get(one)
        for one in level.both:
            changed[f"{level.prefix}{one}"] = unlike(attributes(was[one]), attributes(now[one]))
        name = f"{level.prefix}{level.new['routine']}"
        of_routines += [(name, one) for one in unlike_in_order(level)]

    kinds = [one.kind for one in found]
    assert kinds == sorted(kinds, key=["added", "removed", "moved", "changed"].index)
    assert ids(found, "added") == list(came)
    assert ids(found, "removed") == list(went)
    assert set(ids(found, "moved")) <= set(changed)
    told_of = [one for one in found if one.kind == "changed" and one.id in changed]
    assert [one.id for one in told_of] == [
        one for one in one_by_one({level.prefix: level for level in compared_plans}) if changed[one]
    ]
    for entry in told_of:
        assert Counter(one.attribute for one in entry.changes) == Counter(changed[entry.id])
    others = [one for one in found if one.id not in {*came, *went, *changed}]
    assert [(one.id, change.attribute) for one in others for change in one.changes] == of_routines
    for entry in (one for one in found if one.kind in ("added", "removed")):
        there = {**came, **went}[entry.id]
        sides = (entry.old, entry.new) if entry.kind == "removed" else (entry.new, entry.old)
        assert sides == (as_told(there), as_told(left_out.get(entry.id)))
        assert {one.attribute for one in entry.changes} == besides_its_words(there)


def one_by_one(every: Mapping[str, Level], prefix: str = "") -> Iterator[str]:
    """Yield what runs in both of two plans, that of a nested routine behind the step it is in."""
    for one in every[prefix].both:
        yield f"{prefix}{one}"
        if f"{prefix}{one} > " in every:
            yield from one_by_one(every, f"{prefix}{one} > ")


def unlike_in_order(level: Level) -> list[str]:
    """Return which controls and hooks of two routines differ."""
    return [
        f"{name}.{key}"
        for name in ("controls", "hooks")
        for key in dict.fromkeys((*level.old[name], *level.new[name]))
        if key in unlike(level.old[name], level.new[name])
    ]


def as_told(one: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what is told of a step in one of the plans."""

    def relocated(value: Any) -> Any:
        return json.loads(json.dumps(value).replace(ROOTS[2], "<project>"))

    return one and {
        "position": one["position"],
        "argv": relocated(one["argv"]),
        "options": relocated(one["options"]),
        "origin": one["origin"],
    }


def besides_its_words(one: Mapping[str, Any]) -> set[str]:
    """Return which attributes are told of a step that came or went: those that it states."""
    in_its_line = ("id", "argv", "options", "nested")
    stated = {
        name: value
        for name, value in attributes(one).items()
        if name.partition(".")[0] not in in_its_line and (name, value) != ("kind", "management")
    }
    for name in ("controls", "hooks") if "plan" in one else ():
        stated |= {f"{name}.{key}": value for key, value in one["plan"][name].items()}
    return {name for name, value in stated.items() if value or value == ""}


@many
@given(pairs())
def test_what_has_not_moved_stands_in_the_same_order(pair: tuple[Site, Site]) -> None:
    """Take out what came, what went and what moved, and both plans are in the same order."""
    entries = differ(*documents(pair)).entries
    moved = ids(entries, "moved")
    event("moved" if moved else "all stay")
    order_of_moved = []
    for level in levels(*plain_documents(pair)):
        here = [one for one in level.both if f"{level.prefix}{one}" in moved]
        order_of_moved += [f"{level.prefix}{one}" for one in here]
        stay = [one for one in level.both if one not in here]
        assert stay == [one for one in level.was if one in stay]
        for one in here:  # none of them could have been said to stay
            if stated(level.old, one) != stated(level.new, one):
                more = [name for name in level.both if name in (*stay, one)]
                assert more != [name for name in level.was if name in (*stay, one)]

    assert moved == order_of_moved


def stated(document: Mapping[str, Any], step_id: str) -> list[Any]:
    """Return what a step says of its place."""
    names = ("priority", "effective_priority", "run_before", "run_after")
    return [by_id(document)[step_id][name] for name in names]


@many
@given(st.permutations("abcdefg"), st.permutations("abcdefg"), st.data())
def test_as_few_steps_as_can_be_are_told_to_have_moved(
    was: list[str], now: list[str], data: st.DataObject
) -> None:
    """Where no step says anything new of its place, no smaller number explains the new order.

    Of those that do not, that is so, too, where others do: they alone may have moved.
    """
    was = was[: data.draw(st.integers(0, 7))]
    restated = data.draw(st.just(set()) | st.sets(st.sampled_from("abcdefg")))
    old = plan(fragment(SETTINGS, *(step("probe", step_id=one) for one in was)))
    new = plan(
        fragment(
            SETTINGS,
            *(
                step("probe", step_id=one, before=["nobody"] if one in restated else ())
                for one in now
            ),
        )
    )

    moved = ids(compared(old, new).entries, "moved")

    fixed = [one for one in was if one not in restated]
    rise = next(longest_rises([now.index(one) for one in fixed]))
    moved_of_fixed = [one for one in moved if one.removeprefix("settings:") in fixed]
    assert len(moved_of_fixed) == len(fixed) - len(rise)
    stay = [one for one in was if f"settings:{one}" not in moved]
    for one in restated.difference(stay).intersection(was):  # nor could it be said to stay
        places = [now.index(other) for other in was if other in (*stay, one)]
        assert places != sorted(places)


@many
@given(pairs(), words)
def test_a_difference_is_the_same_text_each_time_and_does_nothing_to_a_terminal(
    pair: tuple[Site, Site], name: str
) -> None:
    """One line is one line, whatever is in ids, words and values, and the JSON can be read back."""
    old, new = documents(pair)
    for one in new["steps"]:
        one["origin"].update(source=f"s{name}", file=name)
    found = differ(old, new)

    lines = list(found.lines())
    assert all(line.isprintable() and line.strip() for line in lines)
    assert lines == list(differ(old, new).lines())
    assert lines == list(differ(old, json.loads(dumped(new))).lines())
    marked = [line[0] for line in lines if not line.startswith("    ")]
    marks = {"added": "+", "removed": "-", "moved": ">", "changed": "~"}
    shown = [marks[one.kind] for one in found.entries]
    assert marked[: len(shown)] == shown
    text = dumped(found.document())
    assert text.isascii()
    assert json.loads(text) == found.document()
    assert text == dumped(differ(old, json.loads(dumped(new))).document())


@many
@given(sites())
def test_a_plan_has_no_difference_from_itself(site: Site) -> None:
    """Nothing is said of a plan that is as expected, wherever the project lies."""
    for root in ROOTS[:2]:
        found = compared(site.plan(ROOTS[0]), site.plan(root))
        assert not found
        assert found.entries == ()
        assert found.releases == ()
        assert list(found.lines()) == []
        document = found.document()
        assert (document["as_expected"], document["differences"]) == (True, [])


# --- which step has moved ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (
            {"priority": 3},
            {"priority": 2},
            [
                "> settings:a, from 1 to 2, behind settings:b",
                "    by settings settings.py:1",
                "    priority: 1 -> 3",
            ],
        ),
        (
            {"priority": 1},
            {"priority": 0},
            [
                "> settings:b, from 2 to 1, to the front",
                "    by settings settings.py:2",
                "    priority: 2 -> 0",
            ],
        ),
        (
            {"priority": 1, "after": ["probe"]},
            {"priority": 2},
            [
                "> settings:a, from 1 to 2, behind settings:b",
                "    by settings settings.py:1",
                "    effective_priority: 1 -> 2",
                '    run_after: [] -> ["probe"]',
            ],
        ),
        (
            {"priority": 1},
            {"priority": 2, "before": ["settings:a"]},
            [
                "> settings:b, from 2 to 1, to the front",
                "    by settings settings.py:2",
                "    effective_priority: 2 -> 1",
                '    run_before: [] -> ["settings:a"]',
            ],
        ),
    ],
)
def test_of_two_that_changed_places_the_one_has_moved_that_says_so(
    a: Mapping[str, Any], b: Mapping[str, Any], expected: list[str]
) -> None:
    """It is the one whose priority or constraint is another, and the change is shown with it."""
    old = plan(
        fragment(
            SETTINGS,
            step("probe", step_id="a", priority=1),
            step("probe", step_id="b", priority=2),
        )
    )
    new = plan(fragment(SETTINGS, step("probe", step_id="a", **a), step("probe", step_id="b", **b)))

    assert told(old, new) == expected


def test_the_settings_that_moved_a_step_are_named() -> None:
    """An override of its priority is shown as the cause, with its own place."""
    steps = [step("probe", step_id="a", priority=1), step("probe", step_id="b", priority=2)]
    parts = [fragment(SHOP, *steps)]
    override = fragment(SETTINGS, overrides=[("shop:a", {"priority": 90})])

    assert told(plan(*parts), plan(*parts, override)) == [
        "> shop:a, from 1 to 2, behind shop:b",
        "    by shop shop.py:1",
        "    priority: 1 -> 90, by settings settings.py:301",
    ]


def test_a_step_that_says_the_same_may_have_moved_all_the_same() -> None:
    """Where only the order of the lines has changed, the places say all that there is to say."""
    steps = [step("probe", step_id=name) for name in "abcd"]

    assert told(plan(fragment(SHOP, *steps)), plan(fragment(SHOP, *steps[1:], steps[0]))) == [
        "> shop:a, from 1 to 4, behind shop:d",
        "    by shop shop.py:1 -> shop shop.py:4",
    ]


def test_a_step_that_stays_between_the_others_has_not_moved() -> None:
    """Another priority is no difference where it puts the step at the same place."""
    steps = [step("probe", step_id=name, priority=n) for n, name in enumerate("abc")]
    steps[1:] = [step("probe", step_id="b", priority=7), step("probe", step_id="c", priority=9)]

    assert not compared(
        plan(fragment(SHOP, *steps)),
        plan(fragment(SHOP, steps[0], steps[1]._replace(priority=8), steps[2])),
    )


def test_a_step_that_moves_and_changes_is_told_twice() -> None:
    """Where it stands is one thing, what it runs another."""
    old = fragment(SHOP, step("probe", step_id="a"), step("probe", step_id="b"))
    new = fragment(
        SHOP,
        step("probe", "x", step_id="a", priority=1),
        step("probe", step_id="b"),
    )

    assert told(plan(old), plan(new)) == [
        "> shop:a, from 1 to 2, behind shop:b",
        "    by shop shop.py:1",
        "    priority: 0 -> 1",
        "~ shop:a, at 2",
        "    by shop shop.py:1",
        "    argv: probe -> probe x",
    ]


# --- what has changed ----------------------------------------------------------------------------

NO_OPTION = object()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (True, 1),
        (1, 1.0),
        (True, "true"),
        (1, "1"),
        (0, False),
        (False, None),
        ("", None),
        ([], {}),
        ([True], [1]),
        ({"a": 1}, {"a": 1.0}),
        ({"a": None}, {}),
        ([1, 2], [2, 1]),
        (None, NO_OPTION),
        ("null", None),
        ("", NO_OPTION),
    ],
)
def test_values_that_a_command_can_tell_apart_are_told_apart(old: Any, new: Any) -> None:
    """``True`` is not 1, 1 is not 1.0, and ``None`` is not the same as nothing."""

    def having(value: Any) -> Plan:
        options = {} if value is NO_OPTION else {"tag": value}
        return plan(fragment(SETTINGS, step("probe", options=options)))

    for one, other in ((old, new), (new, old)):
        found = compared(having(one), having(other))
        (entry,) = found.entries
        (change,) = entry.changes
        assert (entry.kind, change.attribute) == ("changed", "options.tag")
        was, now = change.text.removeprefix("options.tag: ").split(" -> ")
        assert was != now
        (document,) = found.document()["differences"]
        sides = [document[side]["options"] for side in ("old", "new")]
        assert bytes_of(sides[0]) != bytes_of(sides[1])


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(
            step("probe", "a b", "--x=1", "", step_id="a"),
            step("probe", "it's", "--x=1", "$HOME", step_id="a"),
            ["argv: probe 'a b' --x=1 '' -> probe 'it'\"'\"'s' --x=1 '$HOME'"],
            id="argv",
        ),
        pytest.param(
            step("probe", step_id="a", options={"gone": 1, "kept": 2, "tag": "x"}),
            step("probe", step_id="a", options={"kept": 2, "new": ["é", None], "tag": "y z"}),
            [
                "options.gone: 1 -> (nothing)",
                'options.tag: "x" -> "y z"',
                'options.new: (nothing) -> ["é", null]',
            ],
            id="options",
        ),
        pytest.param(
            step("true", step_id="a", kind="system", env={"GONE": "1", "KEPT": "2", "LANG": "C"}),
            step("true", step_id="a", kind="system", env={"KEPT": "2", "NEW": "", "LANG": "de"}),
            [
                'env.GONE: "1" -> (nothing)',
                'env.LANG: "C" -> "de"',
                'env.NEW: (nothing) -> ""',
            ],
            id="env",
        ),
        pytest.param(
            step("probe", step_id="a"),
            step("probe", step_id="a", switches=("demo", "night")),
            ['switches: [] -> ["demo", "night"]'],
            id="switches",
        ),
        pytest.param(
            step("probe", step_id="a", time_limit=60),
            step("probe", step_id="a", time_limit=0.5),
            ["time_limit: 60 -> 0.5"],
            id="time-limit",
        ),
        pytest.param(
            step("probe", step_id="a", pre_hook="shop.hooks.before"),
            step("probe", step_id="a", post_hook=json.dumps),
            ['pre_hook: "shop.hooks.before" -> null', 'post_hook: null -> "json.dumps"'],
            id="hooks",
        ),
        pytest.param(
            step("probe", Secret.from_env("OLD"), step_id="a"),
            step("probe", Secret.from_env("NEW"), step_id="a"),
            ['variables: ["OLD"] -> ["NEW"]'],
            id="secrets",
        ),
        pytest.param(
            step("probe", step_id="a"),
            step("probe", step_id="a", kind="system"),
            ['kind: "management" -> "system"'],
            id="kind",
        ),
    ],
)
def test_what_a_step_runs_is_shown_before_and_after(
    old: Declaration, new: Declaration, expected: list[str]
) -> None:
    """A command line is one that a shell would take; options and variables are told by name."""
    assert told(plan(fragment(SHOP, old)), plan(fragment(SHOP, new))) == [
        "~ shop:a, at 1",
        "    by shop shop.py:1",
        *(f"    {line}" for line in expected),
    ]


@pytest.mark.parametrize("other", ["a b", "a\nb", "a\tb", "a  b ", " a  b"])
def test_a_change_of_white_space_can_be_seen(other: str) -> None:
    """What differs in nothing else is not shown as the same on both sides."""
    old = step("probe", "a  b", options={"tag": "a  b"})
    new = step("probe", other, options={"tag": other})

    changed = told(plan(fragment(SHOP, old)), plan(fragment(SHOP, new)))[2:]

    assert [line.split(": ")[0] for line in changed] == ["    argv", "    options.tag"]
    for line in changed:
        was, now = line.partition(": ")[2].split(" -> ")
        assert was != now
    assert all(line.isprintable() for line in changed)


def test_what_changes_nothing_that_runs_is_no_difference() -> None:
    """Help texts, lines, priorities that move nothing, switches that are off, and refs."""
    old = [step("probe", step_id="a"), step("probe", step_id="off", switches=("night",))]
    new = [
        step("probe", step_id="new", switches=("night",)),
        step("probe", step_id="a", priority=3, help_text="Why.", before=["nobody"]),
    ]

    assert not compared(plan(fragment(SHOP, *old)), plan(fragment(SHOP, *new)))


def test_what_a_routine_states_is_told_with_who_stated_it() -> None:
    """Each control and each callback stands for itself, as each has its own origin."""
    old = [
        fragment(
            SETTINGS,
            step("probe"),
            attributes=[("atomic", True), ("pre_hook", "a.b"), ("help_text", "Old.")],
        )
    ]
    new = [
        fragment(SETTINGS, step("probe"), attributes=[("help_text", "New.")]),
        fragment(
            SHOP, attributes=[("atomic", ["default", "other"]), ("finalize", "c.d"), ("lock", True)]
        ),
    ]

    assert told(plan(*old), plan(*new)) == [
        "~ deploy",
        "    by settings settings.py:101 -> shop shop.py:101",
        '    controls.atomic: true -> ["default", "other"]',
        "~ deploy",
        "    by shop shop.py:103",
        "    controls.lock: false -> true",
        "~ deploy",
        "    by settings settings.py:102",
        '    hooks.pre_hook: "a.b" -> (nothing)',
        "~ deploy",
        "    by shop shop.py:102",
        '    hooks.finalize: (nothing) -> "c.d"',
    ]


def test_a_control_that_the_caller_gives_has_no_origin() -> None:
    """No source has stated it, so none is named."""
    parts = [fragment(SHOP, step("routine", "package")), fragment(SHOP, routine="package")]
    atomic = fragment(SHOP, routine="package", attributes=[("atomic", True)])
    new = replace(plan(*parts, atomic), given={"atomic": True})

    assert told(plan(*parts), new) == [
        "~ deploy",
        "    by what this run asks for",
        "    controls.atomic: false -> true",
        "~ shop:routine > package",
        "    by shop shop.py:101",
        "    controls.atomic: false -> true",
    ]


def test_steps_of_a_nested_routine_stand_under_the_step_that_runs_it() -> None:
    """However deep they are, their ids say the way to them, and their places are those inside."""
    deploy = fragment(SETTINGS, step("routine", "package"), step("probe"))
    package = fragment(SETTINGS, step("routine", "inner"), routine="package")

    def inner(*steps: Declaration, **fields: Any) -> Fragment:
        return fragment(SHOP, *steps, routine="inner", **fields)

    old = inner(*(step("compile", name, step_id=name) for name in ("gone", "a", "b")))
    new = inner(
        step("compile", "a", step_id="a", priority=5),
        step("compile", "new", step_id="new"),
        step("compile", "B", step_id="b"),
        attributes=[("continue_on_error", True)],
    )

    within = "settings:routine > settings:routine > "
    assert told(plan(deploy, package, old), plan(deploy, package, new)) == [
        f"+ {within}shop:new, at 1: compile new",
        "    by shop shop.py:2",
        f"- {within}shop:gone, at 1: compile gone",
        "    by shop shop.py:1",
        "    it is not declared now",
        f"> {within}shop:a, from 2 to 3, behind shop:b",
        "    by shop shop.py:2 -> shop shop.py:1",
        "    priority: 0 -> 5",
        f"~ {within}inner",
        "    by shop shop.py:101",
        "    controls.continue_on_error: false -> true",
        f"~ {within}shop:b, at 2",
        "    by shop shop.py:3",
        "    argv: compile b -> compile B",
    ]


PACKAGE = fragment(
    SHOP, step("compile"), step("off", switches=("night",)), step("test"), routine="package"
)


def test_a_step_with_a_routine_in_it_comes_and_goes_with_all_that_it_runs() -> None:
    """Each step that runs in it is told, too, and none that does not."""
    without = plan(fragment(SETTINGS, step("probe")), PACKAGE)
    having = plan(fragment(SETTINGS, step("probe"), step("routine", "package")), PACKAGE)

    assert told(without, having) == [
        "+ settings:routine, at 2: routine package",
        "    by settings settings.py:2",
        "+ settings:routine > shop:compile, at 1: compile",
        "    by shop shop.py:1",
        "+ settings:routine > shop:test, at 2: test",
        "    by shop shop.py:3",
    ]
    assert told(having, without) == [
        "- settings:routine, at 2: routine package",
        "    by settings settings.py:2",
        "    it is not declared now",
        "- settings:routine > shop:compile, at 1: compile",
        "    by shop shop.py:1",
        "- settings:routine > shop:test, at 2: test",
        "    by shop shop.py:3",
    ]


def test_steps_nested_in_what_is_nested_come_and_go_too() -> None:
    """However deep they are."""
    package = fragment(SETTINGS, step("routine", "inner"), routine="package")
    inner = fragment(SHOP, step("compile"), routine="inner")
    without = plan(fragment(SETTINGS, step("probe")), package, inner)
    having = plan(fragment(SETTINGS, step("probe"), step("routine", "package")), package, inner)

    expected = [
        "settings:routine",
        "settings:routine > settings:routine",
        "settings:routine > settings:routine > shop:compile",
    ]
    assert ids(compared(without, having).entries, "added") == expected
    assert ids(compared(having, without).entries, "removed") == expected


def test_what_there_is_to_know_of_a_step_that_came_or_went() -> None:
    """What it states besides its command line, and what the routine in it states."""
    system = step(
        "true",
        kind="system",
        env={"LANG": "C", "EMPTY": ""},
        time_limit=5,
        pre_hook="a.b",
        switches=("demo",),
    )
    parts = [
        fragment(SHOP, step("last")),
        fragment(
            SHOP,
            step("compile"),
            routine="package",
            attributes=[("atomic", "other"), ("finalize", "c.d")],
        ),
    ]
    without = plan(*parts)
    having = plan(*parts, fragment(SETTINGS, system, step("routine", "package", "--all")))

    stated = [
        "    by settings settings.py:1",
        '    kind: "system"',
        '    switches: ["demo"]',
        "    time_limit: 5",
        '    pre_hook: "a.b"',
        '    env.LANG: "C"',
        '    env.EMPTY: ""',
    ]
    of_package = [
        "    by settings settings.py:2",
        '    controls.atomic: "other"',
        '    hooks.finalize: "c.d"',
    ]
    compile_ = [" settings:routine > shop:compile, at 1: compile", "    by shop shop.py:1"]
    added = told(without, having)
    assert added == [
        "+ settings:true, at 1: true",
        *stated,
        "+ settings:routine, at 2: routine package --all",
        *of_package,
        f"+{compile_[0]}",
        compile_[1],
    ]
    gone = [stated[0], "    it is not declared now", *stated[1:]]
    assert told(having, without) == [
        "- settings:true, at 1: true",
        *gone,
        "- settings:routine, at 2: routine package --all",
        of_package[0],
        "    it is not declared now",
        *of_package[1:],
        f"-{compile_[0]}",
        compile_[1],
    ]
    entry = compared(without, having).document()["differences"][0]
    assert entry["changes"][1:3] == [
        {"attribute": "switches", "old": None, "new": ["demo"], "override": None},
        {"attribute": "time_limit", "old": None, "new": 5, "override": None},
    ]


def test_a_step_that_runs_a_routine_now_and_did_not_is_told_with_what_that_runs() -> None:
    """Its command line is another one, and the steps in it run now, or do not any more."""
    plain = plan(fragment(SETTINGS, step("probe", step_id="a")), PACKAGE)
    nested = plan(fragment(SETTINGS, step("routine", "package", step_id="a")), PACKAGE)

    changed = "~ settings:a, at 1", "    by settings settings.py:1"
    assert told(plain, nested) == [
        "+ settings:a > shop:compile, at 1: compile",
        "    by shop shop.py:1",
        "+ settings:a > shop:test, at 2: test",
        "    by shop shop.py:3",
        *changed,
        "    argv: probe -> routine package",
        '    nested: null -> "package"',
    ]
    assert told(nested, plain) == [
        "- settings:a > shop:compile, at 1: compile",
        "    by shop shop.py:1",
        "- settings:a > shop:test, at 2: test",
        "    by shop shop.py:3",
        *changed,
        "    argv: routine package -> probe",
        '    nested: "package" -> null',
    ]


def test_a_step_that_runs_another_routine_now() -> None:
    """What differs is what the two routines run."""
    other = fragment(SHOP, step("compile", "x"), step("more"), routine="other")
    old = plan(fragment(SETTINGS, step("routine", "package")), PACKAGE, other)
    new = plan(fragment(SETTINGS, step("routine", "other")), PACKAGE, other)

    assert told(old, new) == [
        "+ settings:routine > shop:more, at 2: more",
        "    by shop shop.py:2",
        "- settings:routine > shop:test, at 2: test",
        "    by shop shop.py:3",
        "    it is not declared now",
        "~ settings:routine, at 1",
        "    by settings settings.py:1",
        "    argv: routine package -> routine other",
        '    nested: "package" -> "other"',
        "~ settings:routine > shop:compile, at 1",
        "    by shop shop.py:1",
        "    argv: compile -> compile x",
    ]


def test_the_settings_that_changed_a_step_are_named() -> None:
    """An override is the cause, whoever has declared the step; the last of several counts."""
    parts = [fragment(SHOP, step("probe", step_id="a", options={"tag": 1}))]
    overrides = fragment(
        SETTINGS,
        overrides=[
            ("shop:a", {"time_limit": 5, "pre_hook": "a.b"}),
            ("probe", {"time_limit": 9, "options": {"tag": 2, "new": 3}, "switches": ("demo",)}),
        ],
    )

    assert told(plan(*parts), plan(*parts, overrides)) == [
        "~ shop:a, at 1",
        "    by shop shop.py:1",
        "    options.tag: 1 -> 2, by settings settings.py:302",
        '    switches: [] -> ["demo"], by settings settings.py:302',
        "    time_limit: null -> 9, by settings settings.py:302",
        '    pre_hook: null -> "a.b", by settings settings.py:301',
        "    options.new: (nothing) -> 3, by settings settings.py:302",
    ]


# --- what does not run any more, or did not ------------------------------------------------------


def test_why_a_step_does_not_run_any_more_or_did_not() -> None:
    """Nobody declares it, it is switched off, or the settings have disabled it."""
    runs = fragment(SHOP, step("probe", "x", step_id="a", options={"tag": "y"}), step("last"))
    off = fragment(SHOP, step("probe", "x", step_id="a", switches=("night", "x_y")), step("last"))
    gone = fragment(SHOP, step("last"))
    disabling = fragment(SETTINGS, overrides=[("shop:a", {"disabled": True})])
    removed = ['- shop:a, at 1: probe x (tag="y")', "    by shop shop.py:1"]
    added = ['+ shop:a, at 1: probe x (tag="y")', "    by shop shop.py:1"]

    assert told(plan(runs), plan(gone)) == [*removed, "    it is not declared now"]
    assert told(plan(runs), plan(off)) == [
        *removed,
        "    it is switched off: needs --night or --x-y",
    ]
    assert told(plan(runs), plan(runs, disabling)) == [
        *removed,
        "    it is disabled by settings (settings.py:301)",
    ]
    assert told(plan(gone), plan(runs)) == added
    assert told(plan(off), plan(runs)) == [
        *added,
        "    it was switched off: needs --night or --x-y",
    ]
    assert told(plan(runs, disabling), plan(runs)) == [
        *added,
        "    it was disabled by settings (settings.py:301)",
    ]


def test_what_has_become_of_the_source_of_a_step_that_is_gone() -> None:
    """It declares the step no more, it is not there, or it is not heard, and why."""
    both = [SETTINGS, SHOP, ACME]
    settings_, shop, acme = (fragment(source, step("probe")) for source in both)
    last = fragment(SETTINGS, step("last"))
    old = plan(last, settings_, shop, acme, sources=both)
    gone = plan(last, sources=[SETTINGS, SHOP])
    blocked = replace(gone, sources=((Searched(SHOP, "blocked"), 0), (Searched(ACME, "broken"), 0)))
    other = ACME._replace(entry_point="other")
    partly = replace(gone, sources=((Searched(ACME, "blocked"), 0), (Searched(other), 0)))

    def why(new: Plan) -> dict[str, str]:
        return {one.id: one.detail for one in compared(old, new).entries}

    assert why(gone) == {
        "settings:probe": "it is not declared now",
        "shop:probe": "shop does not declare it now",
        "acme-cdn:probe": "its source acme-cdn is not there",
    }
    assert why(blocked) == {
        "settings:probe": "it is not declared now",
        "shop:probe": "its source shop is blocked",
        "acme-cdn:probe": "its source acme-cdn is broken",
    }
    assert why(partly)["acme-cdn:probe"] == "its source acme-cdn is in part blocked"


# --- versions and places -------------------------------------------------------------------------


NEWCOMER = Source("distribution", "newcomer", entry_point="x")


def at(source: Source, version: str | None, name: str = "") -> Source:
    """Return a source that comes with a distribution at a version."""
    return source._replace(release=Release(name or source.name, version))


def test_distributions_that_differ_are_told_though_nothing_that_runs_does() -> None:
    """An upgrade that changes nothing is told by name; one that is behind no step is not."""
    acme, shop = at(ACME, "1.0"), at(SHOP, "1.0", "acme-shop")
    same, quiet = (Source("distribution", name, release=Release(name, "3")) for name in "sq")
    old = plan(
        fragment(acme, step("probe", switches=("night",))),
        fragment(shop, step("probe")),
        fragment(same, step("probe")),
        sources=[SETTINGS, shop, acme, same, quiet],
    )
    acme, shop, quiet = at(ACME, "1.1"), at(SHOP, "2.0rc1", "acme-shop"), at(quiet, "4")
    new = plan(
        fragment(acme, step("probe", switches=("night",))),
        fragment(shop, step("probe")),
        fragment(same, step("probe")),
        sources=[SETTINGS, shop, acme, same, quiet],
    )

    found = compared(old, new)

    assert not found
    (line,) = found.lines()
    assert line == "Distributions that differ: acme-cdn 1.0 -> 1.1, acme-shop 1.0 -> 2.0rc1."
    assert found.document()["distributions"] == [
        {"name": "acme-cdn", "expected": "1.0", "found": "1.1"},
        {"name": "acme-shop", "expected": "1.0", "found": "2.0rc1"},
    ]


def test_a_distribution_that_came_and_one_that_went_are_told() -> None:
    """So is the version of one that is still there and has no step any more."""
    acme, zeta, newcomer = at(ACME, "1.0"), at(ZETA, "1.0"), at(NEWCOMER, "3.1")
    old = plan(
        fragment(SHOP, step("last")),
        fragment(acme, step("probe")),
        fragment(zeta, step("probe")),
        sources=[SHOP, acme, zeta],
    )
    acme = at(ACME, "2.0")
    new = plan(
        fragment(SHOP, step("last")),
        fragment(newcomer, step("probe")),
        sources=[SHOP, acme, newcomer],
    )

    assert told(old, new)[-1] == (
        "Distributions that differ: acme-cdn 1.0 -> 2.0, newcomer (none) -> 3.1, "
        "zeta 1.0 -> (none)."
    )


def test_both_versions_stand_beside_what_an_upgrade_has_changed() -> None:
    """A distribution is shown with its version, and one that is called otherwise than the app."""
    acme, shop = at(ACME, "1.0"), at(SHOP, "1.0", "acme-shop")
    old = plan(fragment(acme, step("probe")), fragment(shop, step("probe")), sources=[shop, acme])
    acme, shop = at(ACME, "2.0"), at(SHOP, "2.0", "acme-shop")
    new = plan(
        fragment(acme, step("probe", "x")), fragment(shop, step("probe", "x")), sources=[shop, acme]
    )

    assert told(old, new) == [
        "~ shop:probe, at 1",
        "    by shop (acme-shop 1.0) shop.py:1 -> shop (acme-shop 2.0) shop.py:1",
        "    argv: probe -> probe x",
        "~ acme-cdn:probe, at 2",
        "    by acme-cdn 1.0 acme-cdn.py:1 -> acme-cdn 2.0 acme-cdn.py:1",
        "    argv: probe -> probe x",
        "Distributions that differ: acme-cdn 1.0 -> 2.0, acme-shop 1.0 -> 2.0.",
    ]


def shipped(version: str, *, routine: str = "deploy") -> Fragment:
    """Return a step in a component of the settings that a distribution ships."""
    origin = Origin(SETTINGS, "acme_cdn/settings.py", 3, Release("acme-cdn", version))
    return Fragment(SETTINGS, routine, (Declaration("management", ("probe",), origin),))


def test_the_distribution_of_a_component_of_the_settings_is_told() -> None:
    """It is no source of its own, and its upgrade is one all the same."""
    found = compared(plan(shipped("1.0")), plan(shipped("1.1")))

    assert not found
    assert found.releases == (("acme-cdn", "1.0", "1.1"),)


@pytest.mark.parametrize("what", ["an app", "a component of the settings"])
def test_the_distribution_behind_a_nested_step_is_told(what: str) -> None:
    """An app that only gives steps to a nested routine is behind the plan as all others are."""

    def having(version: str) -> Plan:
        shop = at(SHOP, version, "acme-shop")
        own = fragment(SETTINGS, step("routine", "package"))
        if what == "an app":
            return plan(own, fragment(shop, step("probe"), routine="package"), sources=[shop])
        return plan(own, shipped(version, routine="package"))

    name = "acme-shop" if what == "an app" else "acme-cdn"
    assert compared(having("1.0"), having("2.0")).releases == ((name, "1.0", "2.0"),)


def test_an_app_that_comes_with_another_distribution_now() -> None:
    """Where a fork has taken its place, the one went and the other came."""

    def having(name: str, version: str) -> Plan:
        shop = at(SHOP, version, name)
        return plan(fragment(shop, step("probe")), sources=[shop])

    found = compared(having("acme-shop", "1.0"), having("better-shop", "2.0"))

    assert found.releases == (("acme-shop", "1.0", None), ("better-shop", None, "2.0"))


@pytest.mark.parametrize("odd", ["1\n2", "1\x1b[31m", "1\r", "1\u2028", "\udc80"])
def test_an_odd_version_or_name_of_a_distribution_does_nothing_to_a_terminal(odd: str) -> None:
    """It is text from a file that the fingerprint does not cover, so it may hold anything."""
    old, new = (
        plan(fragment(source, step("probe")), sources=[source])
        for source in (at(SHOP, "1.0", odd), at(SHOP, odd, odd))
    )

    (line,) = compared(old, new).lines()

    assert line.isprintable()


def test_an_app_of_which_no_distribution_is_known_has_no_version() -> None:
    """The project's own apps are not told of, before or after."""
    parts = [fragment(SHOP, step("probe")), fragment(at(ACME, None), step("probe"))]
    sources = [SHOP, at(ACME, None)]

    assert compared(plan(*parts, sources=sources), plan(*parts, sources=sources)).releases == ()


def test_where_the_project_lies_is_no_difference_and_is_shown_as_project() -> None:
    """A path below it is the same in each checkout; beside another word it is ``<project>``."""

    def lying(root: str, word: str) -> Plan:
        options = {"to": [f"{root}/media", {"a": f"{root}"}], "tag": word}
        system = step(
            "true", f"--in={root}/x", kind="system", env={"HOME": f"{root}/home", "W": word}
        )
        own = step("probe", f"{root}/static", word, options=options)
        return plan(fragment(SETTINGS, own, system), root=root)

    assert not compared(lying("/srv/site", "x"), lying("/home/me/site", "x"))
    assert told(lying("/srv/site", "/srv/site/x"), lying("/home/me/site", "/srv/site/y")) == [
        "~ settings:probe, at 1",
        "    by settings settings.py:1",
        "    argv: probe '<project>/static' '<project>/x' -> probe '<project>/static' /srv/site/y",
        '    options.tag: "<project>/x" -> "/srv/site/y"',
        "~ settings:true, at 2",
        "    by settings settings.py:2",
        '    env.W: "<project>/x" -> "/srv/site/y"',
    ]


def test_a_directory_that_the_settings_spell_out_is_the_same_in_each_checkout() -> None:
    """Where the production's directory is written down, it is no other one elsewhere."""

    def lying(root: str, *more: str) -> Plan:
        own = step("probe", "/srv/site/static", options={"to": "/srv/site/x"})
        return plan(fragment(SETTINGS, own, *(step(one) for one in more)), root=root)

    found = compared(lying("/srv/site"), lying("/home/me/site"))
    assert not found
    assert found.expected != found.found
    assert found.document()["as_expected"]
    assert (found.entries, list(found.lines())) == ((), [])
    assert told(lying("/srv/site"), lying("/home/me/site", "more")) == [
        "+ settings:more, at 2: more",
        "    by settings settings.py:2",
    ]
    assert not compared(lying("/home/me/site"), lying("/srv/site"))


def test_where_the_project_lies_is_not_shown_of_a_step_that_came_or_went() -> None:
    """Its command line and what else it states are the same text in each checkout, too."""
    root = "/srv/site"
    having = [
        step("probe", f"{root}/x", options={"to": f"{root}/y"}),
        step("true", kind="system", env={"HOME": root}),
    ]
    with_it = plan(fragment(SETTINGS, step("last"), *having), root=root)
    without = plan(fragment(SETTINGS, step("last")), root="/home/me/site")

    for lines in (told(without, with_it), told(with_it, without)):
        assert lines[0][1:] == " settings:probe, at 2: probe '<project>/x' (to=\"<project>/y\")"
        assert lines[-1] == '    env.HOME: "<project>"'


def test_where_the_project_lies_may_be_in_the_name_of_an_option() -> None:
    """Such a name is the same in each checkout, too, and the values beside it are shown."""

    def lying(root: str, value: int) -> Plan:
        return plan(fragment(SETTINGS, step("probe", options={f"{root}/x": value})), root=root)

    assert not compared(lying("/srv/site", 1), lying("/home/me/site", 1))
    assert told(lying("/srv/site", 1), lying("/home/me/site", 2)) == [
        "~ settings:probe, at 1",
        "    by settings settings.py:1",
        "    options.<project>/x: 1 -> 2",
    ]


# --- in short, as JSON, on a terminal and in a pipe ----------------------------------------------


def test_a_difference_in_short() -> None:
    """How many steps of each kind there are, as far as there are any; those within count, too."""
    one, two = fragment(SHOP, step("a")), fragment(SHOP, step("a"), step("b"), step("c"))

    assert compared(plan(one), plan(one)).summary == ""
    assert compared(plan(one), plan(two)).summary == "2 added"
    three = fragment(SHOP, step("a", "x"), step("routine", "package"))
    assert compared(plan(two), plan(three, PACKAGE)).summary == "3 added, 2 removed, 1 changed"


def test_the_form_of_the_json_document() -> None:
    """Every key, in order, for each kind of entry."""
    acme = at(ACME, "1.0")
    old = plan(
        fragment(
            SETTINGS,
            step("probe", "gone", step_id="gone"),
            step("probe", step_id="moved", priority=1),
            step("probe", "{}", step_id="changed", priority=2, options={"tag": 1}),
        ),
        sources=[SETTINGS],
    )
    new = plan(
        fragment(
            SETTINGS,
            step("probe", step_id="moved", priority=3),
            step("probe", "{}", step_id="changed", priority=2, options={"tag": 1}),
            attributes=[("lock", True)],
            overrides=[("settings:changed", {"options": {"tag": None}})],
        ),
        fragment(acme, step("purge", "--all", priority=9)),
        sources=[SETTINGS, acme],
    )
    found = compared(old, new)

    def origin(source: str, line: int, kind: str = "settings", **more: Any) -> dict[str, Any]:
        release = {"distribution": None, "version": None, **more}
        return {"kind": kind, "source": source, **release, "file": f"{source}.py", "line": line}

    def placed(position: int, argv: list[str], options: Any, origin: Any) -> dict[str, Any]:
        return {"position": position, "argv": argv, "options": options, "origin": origin}

    def change(attribute: str, old: Any, new: Any, override: Any = None) -> dict[str, Any]:
        return {"attribute": attribute, "old": old, "new": new, "override": override}

    of_acme = origin("acme-cdn", 1, "distribution", distribution="acme-cdn", version="1.0")
    expected = {
        "format_version": "1.0",
        "routine": "deploy",
        "as_expected": False,
        "expected": document_of(old)["fingerprint"],
        "found": document_of(new)["fingerprint"],
        "differences": [
            {
                "kind": "added",
                "id": "acme-cdn:purge",
                "detail": "",
                "changes": [],
                "old": None,
                "new": placed(3, ["purge", "--all"], {}, of_acme),
            },
            {
                "kind": "removed",
                "id": "settings:gone",
                "detail": "it is not declared now",
                "changes": [],
                "old": placed(1, ["probe", "gone"], {}, origin("settings", 1)),
                "new": None,
            },
            {
                "kind": "moved",
                "id": "settings:moved",
                "detail": "behind settings:changed",
                "changes": [change("priority", 1, 3)],
                "old": placed(2, ["probe"], {}, origin("settings", 2)),
                "new": placed(2, ["probe"], {}, origin("settings", 1)),
            },
            {
                "kind": "changed",
                "id": "deploy",
                "detail": "",
                "changes": [change("controls.lock", old=False, new=True)],
                "old": {"position": None, "argv": None, "options": None, "origin": None},
                "new": {
                    "position": None,
                    "argv": None,
                    "options": None,
                    "origin": origin("settings", 101),
                },
            },
            {
                "kind": "changed",
                "id": "settings:changed",
                "detail": "",
                "changes": [change("options.tag", 1, None, origin("settings", 301))],
                "old": placed(3, ["probe", "{}"], {"tag": 1}, origin("settings", 3)),
                "new": placed(1, ["probe", "{}"], {"tag": None}, origin("settings", 2)),
            },
        ],
        "distributions": [{"name": "acme-cdn", "expected": None, "found": "1.0"}],
    }

    assert json.dumps(found.document(), indent=1) == json.dumps(expected, indent=1)


COLOURS = {"+": 32, "-": 31, ">": 36, "~": 33}
ESCAPES = re.compile(r"\x1b\[[\d;]*m")


def test_a_difference_on_a_terminal_without_colours() -> None:
    """What looks like markup is shown as it is, and no line is broken, however long it is."""
    words = ["[red]x[/red]", "[/]", ":smile:", "x" * 200]
    old = plan(fragment(SHOP, step("last")))
    new = plan(fragment(SHOP, step("probe", *words), step("last")))
    found = compared(old, new)
    file = io.StringIO()

    print_difference("The [bold]heading[/bold].", found, file, color=False)

    assert file.getvalue().splitlines() == ["The [bold]heading[/bold].", *found.lines()]


def upgrade(project: Project) -> None:
    """Do to a site what an upgrade of a plugin and a change of its settings do."""
    (site,) = project.paths
    shutil.rmtree(site)
    acme(project, "2.0.0", PURGE_2)
    write(project.root / "shop/routines.py", SHOP_2)
    project.settings(SETTINGS_2)


def acme(project: Project, version: str, body: str) -> None:
    """Install a plugin."""
    project.paths.clear()
    project.distribution(
        "acme-cdn",
        version=version,
        modules={"acme_cdn/hooks.py": hook(body)},
        entry_points={"django_runbook": {"cdn": "acme_cdn.hooks"}},
    )


PURGE_1 = 'routines.command("deploy", "probe", "purge", step_id="purge", priority=95)'
PURGE_2 = """
    routines.command("deploy", "probe", "purge", step_id="purge", priority=5)
    routines.command("deploy", "probe", "verify", step_id="verify", priority=99)
"""
SHOP_1 = hook("""
    routines.command("deploy", "probe", "warm", step_id="warm", priority=50, tag="a")
    routines.command("deploy", "probe", "index", step_id="index", priority=60)
""")
SHOP_2 = hook("""
    routines.command("deploy", "probe", "warm", step_id="warm", priority=50, tag="it's")
    routines.command("deploy", "probe", "index", step_id="index", priority=60)
""")
SETTINGS_1 = """
    command("package", "probe", "build", step_id="build")
    command("deploy", "probe", BASE / "static", step_id="static")
    command("deploy", "routine", "package", step_id="package", priority=10)
    command("deploy", "probe", "old", step_id="old", priority=20)
"""
SETTINGS_2 = """
    routine("deploy", atomic=True)
    command("package", "probe", "build", "--fail", step_id="build")
    command("deploy", "probe", BASE / "static", step_id="static")
    command("deploy", "routine", "package", step_id="package", priority=10)
    override("deploy", "shop:warm", time_limit=60)
    disable("deploy", "shop:index")
"""

SHOWN = """\
The plan of 'deploy' is not the one in {pin}: 1 added, 2 removed, 1 moved, 3 changed.
+ acme-cdn:verify, at 5: probe verify
    by acme-cdn 2.0.0 acme_cdn/hooks.py:6
- settings:old, at 3: probe old
    by settings config/settings.py:{old}
    it is not declared now
- shop:index, at 5: probe index
    by shop shop/routines.py:6
    it is disabled by settings (config/settings.py:{disable})
> acme-cdn:purge, from 6 to 2, behind settings:static
    by acme-cdn 1.0.0 acme_cdn/hooks.py:5 -> acme-cdn 2.0.0 acme_cdn/hooks.py:5
    priority: 95 -> 5
~ deploy
    by settings config/settings.py:{atomic}
    controls.atomic: false -> true
~ settings:package > settings:build, at 1
    by settings config/settings.py:{build} -> settings config/settings.py:{build_2}
    argv: probe build -> probe build --fail
~ shop:warm, at 4
    by shop shop/routines.py:5
    options.tag: "a" -> "it's"
    time_limit: null -> 60, by settings config/settings.py:{override}
Distributions that differ: acme-cdn 1.0.0 -> 2.0.0.
Expected: {expected}
Found:    {found}
"""


def test_what_has_changed_since_the_plan_was_reviewed(project: Project, tmp_path: Path) -> None:
    """The same difference as text in a pipe, with colours on a terminal, and as JSON.

    It was reviewed in another checkout, of which there is nothing to see.
    """
    project.app("shop", routines=SHOP_1)
    acme(project, "1.0.0", PURGE_1)
    file = project.settings(SETTINGS_1)
    lines = {"old": line_of(file, '"old"'), "build": line_of(file, '"build"')}
    pin = tmp_path / "deploy.plan.json"
    pin.write_text(project.manage("routine", "deploy", "--explain", "--format", "json").out)
    project.root = Path(shutil.move(project.root, tmp_path / "another checkout"))
    upgrade(project)
    file = project.root / "config/settings.py"
    lines |= {name: line_of(file, text) for name, text in ASKED.items()}
    explain = ("deploy", "--explain", "--expect", str(pin))

    as_json = project.manage("routine", *explain, "--format", "json")
    in_a_pipe = project.manage("routine", *explain)
    environment = {"TERM": "xterm", "COLUMNS": "80"}
    on_a_terminal = project.manage("routine", "--force-color", *explain, env=environment)

    document = as_json.document
    fingerprints = {name: document[name] for name in ("expected", "found")}
    assert in_a_pipe.out == SHOWN.format(pin=pin, **lines, **fingerprints)
    assert [done.status for done in (as_json, in_a_pipe, on_a_terminal)] == [3, 3, 3]
    assert [done.err for done in (as_json, in_a_pipe, on_a_terminal)] == ["", "", ""]
    assert json.loads(pin.read_text())["fingerprint"] == document["expected"]
    assert (document["routine"], document["as_expected"]) == ("deploy", False)
    assert [(one["kind"], one["id"]) for one in document["differences"]] == [
        ("added", "acme-cdn:verify"),
        ("removed", "settings:old"),
        ("removed", "shop:index"),
        ("moved", "acme-cdn:purge"),
        ("changed", "deploy"),
        ("changed", "settings:package > settings:build"),
        ("changed", "shop:warm"),
    ]
    assert document["distributions"] == [
        {"name": "acme-cdn", "expected": "1.0.0", "found": "2.0.0"}
    ]
    assert ESCAPES.sub("", on_a_terminal.out) == in_a_pipe.out
    for line in in_a_pipe.out.splitlines():
        if line[0] in COLOURS:
            start = " ".join(line.split()[:2])
            assert f"\x1b[{COLOURS[line[0]]}m{start}" in on_a_terminal.out
    assert on_a_terminal.out.startswith("\x1b[1mThe plan of 'deploy' is not the one in")
    assert not project.ran


ASKED = {
    "atomic": "atomic=True",
    "build_2": '"build"',
    "override": "override(",
    "disable": "disable(",
}
"""The lines of the new settings that the difference names."""
