"""Merging: ids, attributes, overrides and what is said about the whole; the order of arrival."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook.merge import Merged, merge
from django_runbook.model import SETTINGS, Constraint, Fragment, MergedRoutine, Origin
from django_runbook.order import order

from .reference import (
    ACME,
    ACME_TOO,
    BLOG,
    NAMES,
    SHOP,
    SOURCES,
    ZETA,
    bare,
    fragment,
    step,
    told,
)

pytestmark = pytest.mark.ours


many = settings(deadline=None, max_examples=200)


def deploy(*fragments: Fragment) -> MergedRoutine:
    """Return the routine that these fragments give."""
    return merge(fragments).routines["deploy"]


def ids(routine: MergedRoutine) -> list[str]:
    """Return the ids of the steps in base order."""
    return [one.id for one in routine.steps]


# --- the order of arrival ------------------------------------------------------------------------


@st.composite
def everything(draw: st.DrawFn) -> list[Fragment]:
    """Draw fragments of two routines with all that a source can say, rightly and wrongly."""
    drawn = draw(bare(most=4)) + draw(bare(most=4, routine="package"))
    refs = st.sampled_from([*NAMES, "settings:migrate", "shop:warm", "nobody", "migrat"])
    relations = st.sampled_from(["run_before", "run_after"])
    result = []
    for part in drawn:
        said = [
            step(
                one.name,
                priority=one.priority,
                switches=one.switches,
                step_id=draw(st.sampled_from([None, None, "one"])),
                **{draw(relations).removeprefix("run_"): draw(st.lists(refs, max_size=1))},
            )
            for one in part.declarations
        ]
        if draw(st.booleans()):
            said.append(step("routine", draw(st.sampled_from(["deploy", "package", "pack"]))))
        attributes = draw(st.lists(st.tuples(st.just("atomic"), st.booleans()), max_size=2))
        helps = st.tuples(st.sampled_from(["demo", "dem"]), st.sampled_from("ab"))
        changes = [{"priority": 7}, {"disabled": True}, {"disabled": False}, {"switches": ()}]
        overrides = st.tuples(refs, st.sampled_from(changes))
        result.append(
            fragment(
                part.source,
                *said,
                routine=part.routine,
                index=part.index,
                attributes=attributes,
                helps=draw(st.lists(helps, max_size=2)),
                overrides=draw(st.lists(overrides, max_size=2)) if part.source == SETTINGS else (),
            )
        )
    return result


def outcome(merged: Merged) -> Any:
    """Return all that merging and then ordering say."""
    plans = [order(one, ["demo"]) for one in merged.routines.values()]
    return list(merged.routines.items()), merged.problems, plans


@many
@given(everything(), st.data())
def test_the_order_of_arrival_has_no_meaning(
    fragments: list[Fragment], data: st.DataObject
) -> None:
    """However the sources were found, routines, problems and plans are the same, in one order."""
    shuffled = data.draw(st.permutations(fragments))

    assert outcome(merge(shuffled)) == outcome(merge(fragments))


@many
@given(everything())
def test_merging_leaves_the_fragments_as_they_were(fragments: list[Fragment]) -> None:
    """``merge()`` changes nothing of what it is given, and answers the same when asked again."""
    before = repr(fragments)

    assert outcome(merge(fragments)) == outcome(merge(fragments))
    assert repr(fragments) == before


@many
@given(everything())
def test_every_declaration_becomes_one_step_with_an_id_of_its_own(
    fragments: list[Fragment],
) -> None:
    """None is lost or doubled, whatever is wrong with them."""
    merged = merge(fragments)

    for name, routine in merged.routines.items():
        declared = [len(one.declarations) for one in fragments if one.routine == name]
        assert len(routine.steps) == sum(declared)
        assert len(set(ids(routine))) == len(routine.steps)
        assert [one.base for one in routine.steps] == sorted(one.base for one in routine.steps)


def test_nothing_gives_no_routines() -> None:
    """A site whose sources say nothing has no routine and no problem."""
    assert merge([]) == Merged({}, [])


# --- ids -----------------------------------------------------------------------------------------


def test_an_id_is_the_source_and_the_command() -> None:
    """Repeats count within one source; another source starts anew."""
    routine = deploy(
        fragment(SETTINGS, step("migrate"), step("migrate", "shop"), step("check")),
        fragment(SETTINGS, step("migrate"), index=1),
        fragment(SHOP, step("migrate")),
    )

    assert ids(routine) == [
        "settings:migrate",
        "settings:migrate-2",
        "settings:check",
        "settings:migrate-3",
        "shop:migrate",
    ]


def test_the_entry_points_of_a_distribution_share_its_ids() -> None:
    """An id names the distribution, so its second entry point counts on."""
    routine = deploy(fragment(ACME_TOO, step("purge")), fragment(ACME, step("purge")))

    assert [(one.id, one.origin.source) for one in routine.steps] == [
        ("acme-cdn:purge", ACME),
        ("acme-cdn:purge-2", ACME_TOO),
    ]


def test_an_id_counts_declarations_and_not_priorities() -> None:
    """Giving a step another priority does not rename it."""
    routine = deploy(fragment(SETTINGS, step("migrate", priority=9), step("migrate")))

    assert ids(routine) == ["settings:migrate-2", "settings:migrate"]


def test_a_program_is_known_by_the_last_part_of_its_path() -> None:
    """The directory of a system command is no part of its id."""
    routine = deploy(fragment(SETTINGS, step("/usr/bin/rsync", "-a", kind="system")))

    assert ids(routine) == ["settings:rsync"]


def test_a_step_id_takes_the_place_of_the_command() -> None:
    """It is free of counting, and counting goes around it."""
    routine = deploy(
        fragment(
            SETTINGS,
            step("migrate"),
            step("migrate", step_id="schema"),
            step("migrate"),
            step("check", step_id="migrate-2"),
        )
    )

    assert ids(routine) == [
        "settings:migrate",
        "settings:schema",
        "settings:migrate-3",
        "settings:migrate-2",
    ]


def test_a_step_id_given_twice_is_an_error_that_names_both() -> None:
    """The second step keeps an id of its own, so that it is still shown."""
    merged = merge([fragment(SHOP, step("a", step_id="one"), step("b", step_id="one"))])

    (problem,) = merged.problems
    assert (problem.id, problem.level) == ("django_runbook.E008", "error")
    assert "'shop:one'" in problem.message
    assert "shop (shop.py:1) and shop (shop.py:2)" in problem.message
    assert problem.origin.line == 2
    assert ids(merged.routines["deploy"]) == ["shop:one", "shop:b"]


def test_two_sources_may_give_the_same_step_id() -> None:
    """An id starts with its source."""
    merged = merge(
        [fragment(SHOP, step("a", step_id="one")), fragment(BLOG, step("b", step_id="one"))]
    )

    assert not merged.problems
    assert ids(merged.routines["deploy"]) == ["shop:one", "blog:one"]


# --- overrides -----------------------------------------------------------------------------------


def overridden(*overrides: tuple[str, dict[str, Any]]) -> Merged:
    """Return ``shop:warm`` and its neighbours as these overrides of the settings leave them."""
    return merge(
        [
            fragment(SETTINGS, step("migrate"), overrides=overrides),
            fragment(
                SHOP,
                step("warm", priority=1, switches=("demo",), after=["migrate"], before=["check"]),
                step("check", priority=2),
            ),
        ]
    )


def warm(merged: Merged) -> Any:
    """Return the step that the overrides are about."""
    return next(one for one in merged.routines["deploy"].steps if one.id == "shop:warm")


@pytest.mark.parametrize(
    ("field", "old", "new"),
    [
        ("priority", 1, 90),
        ("switches", ("demo",), ("warm",)),
        ("options", {}, {"fast": True}),
        ("time_limit", None, 3.5),
        ("help_text", "", "Warm it."),
    ],
)
def test_an_override_replaces_what_the_step_says(field: str, old: Any, new: Any) -> None:
    """One field is changed, the others are as declared, and the change says from what and where."""
    step_ = warm(overridden(("shop:warm", {field: new})))

    assert getattr(step_.declaration, field) == new
    (change,) = step_.overridden_by
    assert (change.attribute, change.old, change.new) == (field, old, new)
    assert str(change.origin) == "settings (settings.py:301)"
    plain = warm(overridden()).declaration
    others = {"priority", "switches", "options", "constraints", "argv", "origin"} - {field}
    assert all(getattr(step_.declaration, one) == getattr(plain, one) for one in others)


def test_an_overridden_priority_moves_the_step() -> None:
    """The base order is that of the new priority; source and index stay."""
    routine = overridden(("shop:warm", {"priority": 90})).routines["deploy"]

    assert ids(routine) == ["settings:migrate", "shop:check", "shop:warm"]
    assert routine.steps[-1].base == (90, *warm(overridden()).base[1:])


def test_an_overridden_run_after_leaves_run_before() -> None:
    """Each direction is a field of its own, and the new constraint is the settings'."""
    asked = (Constraint("run_after", "check", Origin(SETTINGS, "settings.py", 301)),)
    step_ = warm(overridden(("shop:warm", {"run_after": asked})))

    assert [(one.relation, one.ref) for one in step_.declaration.constraints] == [
        ("run_before", "check"),
        ("run_after", "check"),
    ]
    (change,) = step_.overridden_by
    assert (change.attribute, change.old, change.new) == ("run_after", ("migrate",), ("check",))


def test_an_override_by_command_name_means_all_its_steps() -> None:
    """Whichever sources they come from."""
    routine = deploy(
        fragment(SETTINGS, step("migrate"), overrides=[("warm", {"priority": 5})]),
        fragment(SHOP, step("warm"), step("warm", "again")),
        fragment(ZETA, step("warm")),
    )

    priorities = {one.id: one.declaration.priority for one in routine.steps}
    assert priorities == {"settings:migrate": 0, "shop:warm": 5, "shop:warm-2": 5, "zeta:warm": 5}


@pytest.mark.parametrize("ref", ["rsync", "/usr/bin/rsync", "settings:rsync"])
def test_an_override_finds_a_program_by_its_name_or_its_whole_path(ref: str) -> None:
    """As ``run_before`` and ``run_after`` do."""
    merged = merge(
        [
            fragment(
                SETTINGS,
                step("/usr/bin/rsync", kind="system"),
                step("rsynca", kind="system"),
                overrides=[(ref, {"disabled": True})],
            )
        ]
    )

    assert not merged.problems
    disabled = [one.id for one in merged.routines["deploy"].steps if one.disabled_by]
    assert disabled == ["settings:rsync"]


def test_of_two_overrides_the_later_wins_field_by_field() -> None:
    """What the later one does not speak of stays as the earlier one said; both are listed."""
    step_ = warm(
        overridden(("warm", {"priority": 5, "switches": ()}), ("shop:warm", {"priority": 6}))
    )

    assert (step_.declaration.priority, step_.declaration.switches) == (6, ())
    assert [(one.attribute, one.old, one.new, one.origin.line) for one in step_.overridden_by] == [
        ("priority", 1, 5, 301),
        ("switches", ("demo",), (), 301),
        ("priority", 5, 6, 302),
    ]


def test_a_disabled_step_says_by_whom_and_can_be_enabled_again() -> None:
    """The last word counts."""
    disabled = warm(overridden(("shop:warm", {"disabled": True})))
    enabled = warm(overridden(("shop:warm", {"disabled": True}), ("warm", {"disabled": False})))

    assert str(disabled.disabled_by) == "settings (settings.py:301)"
    assert enabled.disabled_by is None


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("shop:wram", "Did you mean 'shop:warm'?"),
        ("migrat", "Did you mean 'migrate'?"),
        ("zzz", "Install what has the step, or take this out."),
    ],
)
def test_an_override_of_nothing_is_an_error(ref: str, hint: str) -> None:
    """It names the routine, the ref and the closest match, at the override's place."""
    (problem,) = overridden((ref, {"priority": 5})).problems

    assert (problem.id, problem.level) == ("django_runbook.E007", "error")
    assert problem.message == f"Routine 'deploy' has no step {ref!r} to override."
    assert (problem.hint, str(problem.origin)) == (hint, "settings (settings.py:301)")


# --- what is said about the routine itself -------------------------------------------------------


def test_a_routine_belongs_to_the_first_source_that_states_it() -> None:
    """A later source that says otherwise is a problem that names both origins."""
    merged = merge(
        [
            fragment(BLOG, attributes=[("atomic", False), ("help_text", "Deploy.")]),
            fragment(SHOP, attributes=[("atomic", True)]),
        ]
    )

    attributes = merged.routines["deploy"].attributes
    assert {name: one.value for name, one in attributes.items()} == {
        "atomic": True,
        "help_text": "Deploy.",
    }
    (problem,) = merged.problems
    assert (problem.id, problem.level) == ("django_runbook.W002", "warning")
    assert problem.message == (
        "'atomic' of routine 'deploy' is stated differently by shop (shop.py:101) and by "
        "blog (blog.py:101); the first is in force."
    )


def test_within_one_source_the_last_statement_counts() -> None:
    """A source may change its mind; the others compare with its last word."""
    merged = merge(
        [
            fragment(SETTINGS, attributes=[("atomic", True), ("atomic", False)]),
            fragment(SETTINGS, attributes=[("atomic", True)], index=1),
            fragment(SHOP, attributes=[("atomic", True)]),
        ]
    )

    assert merged.routines["deploy"].attributes["atomic"].value is True
    assert not merged.problems


def test_two_sources_that_state_the_same_are_no_problem() -> None:
    """Saying it twice changes nothing."""
    merged = merge(
        [
            fragment(
                one,
                step("x", one.name, switches=("demo",)),
                attributes=[("atomic", True)],
                helps=[("demo", "Demo data.")],
            )
            for one in SOURCES[:4]
        ]
    )

    assert not merged.problems


def test_the_help_of_a_switch_belongs_to_the_first_source_likewise() -> None:
    """A later source that says otherwise is a problem that names both origins."""
    merged = merge(
        [
            fragment(SHOP, step("x", switches=("demo",)), helps=[("demo", "Shop's.")]),
            fragment(SETTINGS, helps=[("demo", "Old."), ("demo", "Ours.")]),
        ]
    )

    assert merged.routines["deploy"].switch_helps == {"demo": "Ours."}
    (problem,) = merged.problems
    assert problem.id == "django_runbook.W002"
    assert "switch 'demo' of routine 'deploy'" in problem.message
    assert "settings (settings.py:202) and by shop (shop.py:201)" in problem.message


def test_a_switch_with_a_help_and_no_command_is_told() -> None:
    """It is on the command line and does nothing; the closest used switch is named."""
    merged = merge(
        [
            fragment(
                SETTINGS,
                step("x", switches=("demo",)),
                helps=[("dmeo", "Demo data."), ("other", "?"), ("demo", "Demo data.")],
            )
        ]
    )

    assert [(one.id, one.hint, one.origin.line) for one in merged.problems] == [
        ("django_runbook.W007", "Did you mean 'demo'?", 201),
        ("django_runbook.W007", "Take its help text out, or use it.", 202),
    ]
    assert merged.routines["deploy"].switches == ("demo", "dmeo", "other")


# --- the same command twice ----------------------------------------------------------------------


def test_the_same_command_line_from_two_sources_is_kept_and_told() -> None:
    """Both run; a warning names both and how to disable the second."""
    merged = merge([fragment(SHOP, step("warm", "-q")), fragment(SETTINGS, step("warm", "-q"))])

    assert ids(merged.routines["deploy"]) == ["settings:warm", "shop:warm"]
    (problem,) = merged.problems
    assert (problem.id, problem.level) == ("django_runbook.W003", "warning")
    assert "settings:warm of settings (settings.py:1)" in problem.message
    assert "shop:warm of shop (shop.py:1)" in problem.message
    assert "disable('deploy', 'shop:warm')" in problem.hint


@pytest.mark.parametrize(
    "other",
    [
        fragment(SETTINGS, step("warm", "-q")),
        fragment(SHOP, step("warm")),
        fragment(SHOP, step("warm", "-q", options={"fast": True})),
        fragment(SHOP, step("warm", "-q", kind="system")),
        fragment(SHOP, step("warm", "-q"), routine="package"),
    ],
    ids=["one source", "other arguments", "other options", "other kind", "other routine"],
)
def test_what_is_not_the_same_command_of_another_source_is_not_told(other: Fragment) -> None:
    """A source may repeat itself, and another command line is another command."""
    assert not merge([fragment(SETTINGS, step("warm", "-q")), other]).problems


@pytest.mark.parametrize("ref", ["settings:warm", "shop:warm"])
def test_the_same_command_is_not_told_when_one_is_disabled(ref: str) -> None:
    """The remedy that the warning prints is one."""
    off = fragment(SETTINGS, overrides=[(ref, {"disabled": True})], index=1)
    parts = [fragment(SETTINGS, step("warm")), fragment(SHOP, step("warm"))]

    assert told(merge(parts).problems, "W003")
    assert not merge([*parts, off]).problems
