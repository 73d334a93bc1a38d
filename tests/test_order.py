"""Ordering: the rule against a second implementation, its properties, each reason by example."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook.merge import merge
from django_runbook.model import SETTINGS, Fragment, MergedRoutine, Reason
from django_runbook.order import order

from .reference import (
    ACME,
    ACME_TOO,
    BLOG,
    NAMES,
    SHOP,
    ZETA,
    acyclic,
    anyhow,
    bare,
    base_order,
    constrained,
    fragment,
    ids,
    pairs,
    placed,
    planned,
    reference_order,
    sequence,
    step,
    told,
)

pytestmark = pytest.mark.ours


many = settings(deadline=None, max_examples=200)
ALL = ("demo", "initial")


def bound(fragments: list[Fragment]) -> MergedRoutine:
    """Return the one routine that these fragments speak of."""
    return merge(fragments).routines["deploy"]


# --- properties ----------------------------------------------------------------------------------


@many
@given(acyclic())
def test_the_order_is_the_one_the_rule_gives(fragments: list[Fragment]) -> None:
    """A plan stands in the order of the rule, followed plainly."""
    assert ids(order(bound(fragments), ALL)) == reference_order(placed(fragments))


@many
@given(anyhow())
def test_steps_that_wait_for_each_other_are_an_error_and_no_others(
    fragments: list[Fragment],
) -> None:
    """Any constraints at all give the order of the rule, or an error and the base order."""
    plan = order(bound(fragments), ALL)
    expected = reference_order(placed(fragments))

    assert bool(told(plan.problems, "E006")) is (expected is None)
    assert ids(plan) == (base_order(placed(fragments)) if expected is None else expected)


@many
@given(anyhow())
def test_a_cycle_is_told_from_its_smallest_id(fragments: list[Fragment]) -> None:
    """Each error names one closed chain of steps, none twice, that starts at its smallest id."""
    for problem in told(order(bound(fragments), ALL).problems, "E006"):
        edges = problem.message.split(": ", 1)[1].split("; ")
        chain = [edge.split(" (")[0].split(" runs before ") for edge in edges]
        befores = [before for before, _ in chain]

        assert [after for _, after in chain] == [*befores[1:], befores[0]]
        assert len(set(befores)) == len(befores)
        assert befores[0] == min(befores)


@many
@given(acyclic())
def test_every_constraint_holds(fragments: list[Fragment]) -> None:
    """Whoever must run before another one does, whether or not both run."""
    place = {name: index for index, name in enumerate(sequence(bound(fragments)))}

    assert all(place[one.id] < place[other.id] for one, other in pairs(placed(fragments)))


@many
@given(acyclic(one_way=True))
def test_bystanders_stay_when_every_step_asks_in_one_direction(fragments: list[Fragment]) -> None:
    """Where no step has both ``run_before`` and ``run_after``, only those that ask for it move."""
    steps = placed(fragments)
    bystanders = [one for one in steps if not one.before and not one.after]
    names = {one.id for one in bystanders}

    found = [name for name in sequence(bound(fragments)) if name in names]
    assert found == base_order(bystanders)


@many
@given(bare(), st.data())
def test_bystanders_stay_when_both_directions_leave_a_gap(
    fragments: list[Fragment], data: st.DataObject
) -> None:
    """A step that must stand between two bystanders, which stand so, moves in between alone."""
    steps = sorted(placed(fragments), key=lambda one: one.key)
    bystanders = [one for one in steps if data.draw(st.booleans())]
    wanted = {}
    for one in steps:
        if one not in bystanders:
            cut = data.draw(st.integers(0, len(bystanders)))
            after = data.draw(st.sets(st.sampled_from(bystanders[:cut] or [None]), max_size=2))
            before = data.draw(st.sets(st.sampled_from(bystanders[cut:] or [None]), max_size=2))
            wanted[one.id] = [
                *(("run_after", other.id) for other in after if other),
                *(("run_before", other.id) for other in before if other),
            ]

    found = sequence(bound(constrained(fragments, wanted)))

    names = {one.id for one in bystanders}
    assert [name for name in found if name in names] == base_order(bystanders)


@many
@given(anyhow(), st.sets(st.sampled_from(ALL)))
def test_no_step_is_lost_or_doubled(fragments: list[Fragment], active: set[str]) -> None:
    """A plan holds every step once; those that run are counted from 1, the rest have no place."""
    plan = order(bound(fragments), active)

    everyone = sorted(one.id for one in (*plan.steps, *plan.left_out))
    assert everyone == sorted(one.id for one in placed(fragments))
    assert [one.position for one in plan.steps] == list(range(1, len(plan.steps) + 1))
    assert {one.status for one in plan.steps} <= {"run"}
    assert {one.position for one in plan.left_out} <= {None}
    assert all(one.status != "run" for one in plan.left_out)


@many
@given(acyclic(), st.sets(st.sampled_from(ALL)), st.sampled_from(NAMES))
def test_what_does_not_run_still_orders(
    fragments: list[Fragment], active: set[str], disabled: str
) -> None:
    """Switching off or disabling steps takes them out of the order and moves no other one."""
    off = fragment(SETTINGS, overrides=[(disabled, {"disabled": True})], index=9)
    routine = merge([*fragments, off]).routines["deploy"]
    plan = order(routine, active)

    whole = reference_order(placed(fragments))
    assert whole is not None
    runs = set(ids(plan))
    assert ids(plan) == [name for name in whole if name in runs]
    assert [one.id for one in plan.left_out] == [name for name in whole if name not in runs]


@many
@given(anyhow(), st.sets(st.sampled_from(ALL)))
def test_ordering_leaves_the_routine_as_it_was(fragments: list[Fragment], active: set[str]) -> None:
    """``order()`` changes nothing of what it is given, and answers the same when asked again."""
    routine = bound(fragments)
    before = repr((routine, active))

    assert order(routine, active) == order(routine, active)
    assert repr((routine, active)) == before


# --- the base key --------------------------------------------------------------------------------


def test_sources_of_one_priority_stand_by_kind_then_name() -> None:
    """Settings, apps as installed, then distributions by name and entry point."""
    plan = planned(
        fragment(ZETA, step("check")),
        fragment(ACME_TOO, step("check")),
        fragment(ACME, step("warm")),
        fragment(BLOG, step("check")),
        fragment(SHOP, step("check")),
        fragment(SETTINGS, step("check")),
    )

    assert ids(plan) == [
        "settings:check",
        "shop:check",
        "blog:check",
        "acme-cdn:warm",
        "acme-cdn:check",
        "zeta:check",
    ]


def test_priority_stands_above_the_source() -> None:
    """Lower runs first, whoever declares it; negative ones too."""
    plan = planned(
        fragment(SETTINGS, step("b", priority=1), step("c", priority=10), step("a", priority=2)),
        fragment(ZETA, step("first", priority=-1)),
    )

    assert ids(plan) == ["zeta:first", "settings:b", "settings:a", "settings:c"]


def test_one_source_keeps_its_order_of_declaration() -> None:
    """Neither names nor arguments decide, also across the fragments of one source."""
    plan = planned(
        fragment(SHOP, step("a"), index=1),
        fragment(SHOP, step("z"), step("m"), index=0),
    )

    assert ids(plan) == ["shop:z", "shop:m", "shop:a"]


# --- who moves, and what is said about it --------------------------------------------------------


def test_the_declarer_moves_up_to_what_it_must_follow() -> None:
    """``2 -> 10``: it stands right behind its target, and the bystanders where they were."""
    plan = planned(
        fragment(SETTINGS, step("a", priority=5), step("t", priority=10), step("z", priority=11)),
        fragment(SHOP, step("x", priority=2, after=["t"])),
    )

    assert ids(plan) == ["settings:a", "settings:t", "shop:x", "settings:z"]
    moved = plan.steps[2]
    assert (moved.declaration.priority, moved.effective_priority) == (2, 10)
    assert moved.reason == Reason("run_after", "after settings:t")
    assert {one.reason.code for one in plan.steps if one is not moved} == {"priority"}


def test_the_declarer_moves_down_to_what_it_must_precede() -> None:
    """``10 -> 2``: it stands right before its target, and the bystanders where they were."""
    plan = planned(
        fragment(SETTINGS, step("a", priority=1), step("t", priority=2), step("z", priority=5)),
        fragment(SHOP, step("x", priority=10, before=["t"])),
    )

    assert ids(plan) == ["settings:a", "shop:x", "settings:t", "settings:z"]
    moved = plan.steps[1]
    assert (moved.declaration.priority, moved.effective_priority) == (10, 2)
    assert moved.reason == Reason("run_before", "before settings:t")


def test_a_constraint_that_priority_meets_moves_nobody() -> None:
    """Whoever stands on the right side already has no other reason than its priority."""
    plan = planned(
        fragment(SETTINGS, step("a", priority=1, before=["b"]), step("b", priority=2, after=["a"]))
    )

    assert [(one.effective_priority, one.reason) for one in plan.steps] == [
        (1, Reason()),
        (2, Reason()),
    ]


def test_constraints_add_up_along_a_chain() -> None:
    """Who follows a step that moved moves as far."""
    plan = planned(
        fragment(
            SETTINGS,
            step("x", priority=1, after=["y"]),
            step("y", priority=2, after=["t"]),
            step("t", priority=10),
        )
    )

    assert ids(plan) == ["settings:t", "settings:y", "settings:x"]
    assert [one.effective_priority for one in plan.steps] == [10, 10, 10]


def test_a_step_between_two_others_moves_in_between() -> None:
    """Both directions at once: no earlier than the one, no later than the other."""
    plan = planned(
        fragment(SETTINGS, step("a"), step("b", priority=1), step("c", priority=2)),
        fragment(SHOP, step("x", priority=9, after=["a"], before=["b"])),
    )

    assert ids(plan) == ["settings:a", "shop:x", "settings:b", "settings:c"]


def test_a_bystander_waits_where_no_declarer_can_give_way() -> None:
    """A target moves only if it must: here ``t`` has to let pass what stood behind it."""
    plan = planned(
        fragment(SETTINGS, step("t"), step("b", priority=1), step("y", priority=2)),
        fragment(SHOP, step("x", after=["y"], before=["t"])),
    )

    assert ids(plan) == ["settings:b", "settings:y", "shop:x", "settings:t"]
    waiting = plan.steps[-1]
    assert waiting.effective_priority == 0
    assert waiting.reason == Reason("waits", "waits for shop:x")


def test_a_target_that_stands_where_it_was_has_no_other_reason() -> None:
    """That another one moved before it is said of the other one alone."""
    plan = planned(fragment(SETTINGS, step("t"), step("x", priority=9, before=["t"])))

    assert [(one.id, one.reason.code) for one in plan.steps] == [
        ("settings:x", "run_before"),
        ("settings:t", "priority"),
    ]


def test_an_overridden_priority_is_the_reason() -> None:
    """The reason says from what to what, and where in the settings."""
    plan = planned(
        fragment(SETTINGS, step("a", priority=5), overrides=[("shop:x", {"priority": 9})]),
        fragment(SHOP, step("x", priority=1)),
    )

    assert ids(plan) == ["settings:a", "shop:x"]
    assert plan.steps[1].reason == Reason(
        "override", "priority 1 -> 9 by settings (settings.py:301)"
    )


def test_what_does_not_run_says_why() -> None:
    """Switched off: which switch would turn it on. Disabled: by whom."""
    plan = planned(
        fragment(
            SETTINGS,
            step("a", switches=("demo", "with_data")),
            step("b", switches=("demo",)),
            overrides=[("b", {"disabled": True})],
        )
    )

    assert [(one.id, one.status, one.reason) for one in plan.left_out] == [
        (
            "settings:a",
            "switched_off",
            Reason("switched_off", "needs --demo or --with-data"),
        ),
        (
            "settings:b",
            "disabled",
            Reason("disabled", "disabled by settings (settings.py:301)"),
        ),
    ]


def test_a_step_runs_when_any_of_its_switches_is_active() -> None:
    """Its switches are alternatives; a step without any always runs."""
    steps = fragment(SETTINGS, step("a", switches=("demo", "initial")), step("b"))

    assert ids(planned(steps, active=["initial"])) == ["settings:a", "settings:b"]
    assert ids(planned(steps)) == ["settings:b"]


# --- what a ref means ----------------------------------------------------------------------------


def test_a_command_name_means_all_its_steps() -> None:
    """Whoever must follow ``migrate`` follows every ``migrate``, of all sources."""
    plan = planned(
        fragment(SETTINGS, step("x", after=["migrate"]), step("migrate", priority=1)),
        fragment(ZETA, step("migrate", priority=5)),
    )

    assert ids(plan) == ["settings:migrate", "zeta:migrate", "settings:x"]
    assert plan.steps[-1].reason.detail == "after zeta:migrate"


def test_a_command_name_does_not_mean_the_step_itself() -> None:
    """A ``migrate`` that follows ``migrate`` follows the other ones."""
    plan = planned(fragment(SETTINGS, step("migrate", "a", after=["migrate"]), step("migrate")))

    assert ids(plan) == ["settings:migrate-2", "settings:migrate"]
    assert not plan.problems


def test_an_id_means_that_step_alone() -> None:
    """Another step of the same command is no target."""
    plan = planned(
        fragment(SETTINGS, step("x", after=["settings:migrate"]), step("migrate", priority=1)),
        fragment(SHOP, step("migrate", priority=5)),
    )

    assert ids(plan) == ["settings:migrate", "settings:x", "shop:migrate"]


@pytest.mark.parametrize("ref", ["rsync", "/usr/bin/rsync", "settings:rsync"])
@pytest.mark.parametrize("relation", ["before", "after"])
def test_a_program_is_meant_by_its_name_or_its_whole_path(ref: str, relation: str) -> None:
    """Its directory need not be written, and may be."""
    program = step("/usr/bin/rsync", kind="system", priority=-1 if relation == "before" else 1)
    plan = planned(fragment(SETTINGS, program, step("x", **{relation: [ref]})))

    names = ["settings:x", "settings:rsync"]
    assert ids(plan) == (names if relation == "before" else names[::-1])
    assert not plan.problems


@pytest.mark.parametrize(
    ("ref", "hint"),
    [
        ("migrat", "It orders nothing. Did you mean 'migrate'?"),
        ("settings:migrat", "It orders nothing. Did you mean 'settings:migrate'?"),
        ("qqqq", "It orders nothing. Take it out if it is not needed."),
    ],
)
def test_a_ref_that_matches_nothing_is_told_and_orders_nothing(ref: str, hint: str) -> None:
    """It is a warning at the place of the constraint, with the closest match."""
    plan = planned(fragment(SETTINGS, step("migrate", priority=9), step("x", after=[ref])))

    assert ids(plan) == ["settings:x", "settings:migrate"]
    (problem,) = plan.problems
    assert (problem.id, problem.level) == ("django_runbook.W001", "warning")
    assert "settings:x in routine 'deploy'" in problem.message
    assert repr([ref]) in problem.message
    assert problem.hint == hint
    assert problem.origin == plan.steps[0].origin


def test_the_hint_for_a_ref_is_not_the_ref() -> None:
    """The only ``migrate`` that wants to follow ``migrate`` is not told to write ``migrate``."""
    plan = planned(fragment(SETTINGS, step("migrate", after=["migrate"])))

    (problem,) = told(plan.problems, "W001")
    assert "Did you mean 'migrate'?" not in problem.hint


# --- cycles --------------------------------------------------------------------------------------


def test_a_cycle_shows_each_edge_and_who_asked_for_it() -> None:
    """It starts at the smallest id, whoever was declared first, and nothing is broken silently."""
    plan = planned(
        fragment(SETTINGS, step("z", after=["b"])),
        fragment(SHOP, step("a", after=["z"]), step("b", after=["shop:a"])),
    )

    (problem,) = plan.errors
    assert problem.id == "django_runbook.E006"
    assert problem.message == (
        "Steps of routine 'deploy' wait for each other: "
        "settings:z runs before shop:a (shop:a has run_after=['z'] at shop (shop.py:1)); "
        "shop:a runs before shop:b (shop:b has run_after=['shop:a'] at shop (shop.py:2)); "
        "shop:b runs before settings:z "
        "(settings:z has run_after=['b'] at settings (settings.py:1))."
    )
    assert "override('deploy', 'shop:a', run_after=[...])" in problem.hint
    assert problem.routine == "deploy"


def test_two_cycles_through_one_step_are_each_told_from_their_smallest_id() -> None:
    """The second starts at its own smallest id, though the first has told of that step already."""
    plan = planned(
        fragment(
            SETTINGS,
            step("a", after=["b"]),
            step("b", after=["a", "c"]),
            step("c", after=["b"]),
        )
    )

    starts = [problem.message.split(": ", 1)[1].split(" ")[0] for problem in plan.errors]
    assert starts == ["settings:a", "settings:b"]


def test_a_step_that_waits_for_its_own_id_is_a_cycle() -> None:
    """By its own id a step means itself."""
    plan = planned(fragment(SETTINGS, step("a", before=["settings:a"])))

    (problem,) = plan.errors
    assert "settings:a runs before settings:a" in problem.message
    assert "(settings.py:1)" in problem.message


def test_a_step_behind_a_cycle_is_no_part_of_it() -> None:
    """Only those that wait for each other are named."""
    plan = planned(
        fragment(SETTINGS, step("a", after=["b"]), step("b", after=["a"]), step("c", after=["b"]))
    )

    (problem,) = plan.errors
    assert "settings:c" not in problem.message


def test_a_switch_that_is_off_does_not_hide_a_cycle() -> None:
    """What does not run orders all the same, so that no switch brings an error to light."""
    plan = planned(
        fragment(SETTINGS, step("a", after=["b"], switches=("demo",)), step("b", after=["a"]))
    )

    assert [problem.code for problem in plan.errors] == ["E006"]


def test_an_override_can_undo_a_cycle() -> None:
    """The remedy that the error prints is one."""
    parts = [fragment(SHOP, step("a", after=["b"]), step("b", after=["a"]))]
    assert planned(*parts).errors

    parts.append(fragment(SETTINGS, overrides=[("shop:a", {"run_after": ()})]))

    assert not planned(*parts).errors
    assert ids(planned(*parts)) == ["shop:a", "shop:b"]


def test_a_constraint_of_an_override_says_whose_it_is() -> None:
    """The reason of a step that an override moved names the override's place."""
    where = fragment(SETTINGS, step("t", priority=3, after=["nobody"]))
    (constraint,) = where.declarations[0].constraints
    asked = (constraint._replace(ref="t"),)
    plan = planned(
        where._replace(declarations=(step("t", priority=3),)),
        fragment(SHOP, step("x")),
        fragment(SETTINGS, overrides=[("shop:x", {"run_after": asked})], index=1),
    )

    assert ids(plan) == ["settings:t", "shop:x"]
    assert plan.steps[1].reason == Reason(
        "run_after", "after settings:t, asked for by settings (settings.py:1)"
    )
