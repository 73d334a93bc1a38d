"""Routines that run routines: how the command line is read, and what is wrong with it."""

from __future__ import annotations

from typing import Any

import pytest

from django_runbook.merge import contains, merge
from django_runbook.model import SETTINGS, Declaration, Fragment, Problem
from django_runbook.nesting import Invocation, invocation_of, is_nested, read_invocation

from .reference import SHOP, fragment, step

pytestmark = pytest.mark.ours


def nest(*words: str, **fields: Any) -> Declaration:
    """Return the command that runs another routine."""
    return step("routine", *words, **fields)


def package() -> Fragment:
    """Return a routine with two switches, one of them of two words."""
    return fragment(
        SETTINGS, step("migrate", switches=("demo", "with_data")), step("check"), routine="package"
    )


def problems(*fragments: Fragment) -> list[Problem]:
    """Return what is wrong with these routines as a whole."""
    return merge(fragments).problems


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "invocation"),
    [
        (nest("package"), Invocation("package")),
        (nest("package", "--demo"), Invocation("package", ("demo",))),
        (nest("--demo", "package"), Invocation("package", ("demo",))),
        (nest("package", "--with-data", "--demo"), Invocation("package", ("with_data", "demo"))),
        (nest("package", options={"demo": True}), Invocation("package", ("demo",))),
        (nest("package", options={"demo": False}), Invocation("package")),
        (nest("package", "--all"), Invocation("package", all=True)),
        (nest("package", options={"all": True}), Invocation("package", all=True)),
        (nest("package", "--verbosity", "2"), Invocation("package", verbosity=2)),
        (nest("--verbosity=0", "package"), Invocation("package", verbosity=0)),
        (nest("-v", "3", "package"), Invocation("package", verbosity=3)),
        (nest("package", options={"verbosity": 1}), Invocation("package", verbosity=1)),
    ],
)
def test_a_nested_routine_is_read_as_its_command_line(
    declaration: Declaration, invocation: Invocation
) -> None:
    """Switches as words or options, ``--all`` and the verbosity, in any place."""
    routines = merge([package()]).routines

    assert is_nested(declaration)
    assert read_invocation(declaration, routines) == invocation
    assert invocation_of(declaration) == invocation


def test_a_dash_and_an_underscore_mean_the_same_routine() -> None:
    """As on the command line."""
    routines = merge([fragment(SETTINGS, routine="big_package")]).routines

    assert read_invocation(nest("big-package"), routines).routine == "big_package"


def test_the_active_switches_are_those_named_or_all() -> None:
    """They come sorted and once each, so that a plan does not hang on how they were written."""
    routine = merge([package()]).routines["package"]

    assert Invocation("package", ("with_data", "demo", "demo")).active(routine) == (
        "demo",
        "with_data",
    )
    assert Invocation("package").active(routine) == ()
    assert Invocation("package", all=True).active(routine) == ("demo", "with_data")


@pytest.mark.parametrize(
    "declaration", [step("migrate"), step("routine", "package", kind="system")]
)
def test_other_commands_are_not_nested(declaration: Declaration) -> None:
    """Only the management command ``routine`` runs a routine."""
    assert not is_nested(declaration)


# --- what cannot be read -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "said"),
    [
        (nest("packge"), "There is no routine 'packge'. Did you mean 'package'?"),
        (nest("zzz"), "There is no routine 'zzz'."),
        (
            nest("package", "--dmeo"),
            "Routine 'package' has no switch --dmeo. Did you mean '--demo'?",
        ),
        (nest("package", options={"zzz": True}), "Routine 'package' has no switch --zzz."),
        (nest("package", "check"), "'check' has no meaning in a nested routine."),
        (nest(), "It names no routine."),
        (nest("--demo"), "It names no routine."),
        (nest("package", "-v", "9"), "The verbosity must be 0, 1, 2 or 3, not 9."),
        (nest("package", "-v"), "Argument --verbosity/-v: expected one argument."),
    ],
)
def test_what_cannot_be_nested_is_an_error(declaration: Declaration, said: str) -> None:
    """It names the step, its command line, what is wrong and the closest match, at its place."""
    (problem,) = problems(package(), fragment(SHOP, declaration))

    assert (problem.id, problem.level) == ("django_runbook.E010", "error")
    assert problem.message.startswith("shop:routine in routine 'deploy' runs 'routine")
    assert problem.message.endswith(said)
    assert problem.hint
    assert (str(problem.origin), problem.routine) == ("shop (shop.py:1)", "deploy")


def test_a_disabled_step_may_name_what_is_not_there() -> None:
    """Disabling the step is a remedy."""
    off = [("shop:routine", {"disabled": True})]

    assert not problems(fragment(SHOP, nest("packge")), fragment(SETTINGS, overrides=off))


# --- circles -------------------------------------------------------------------------------------


def test_routines_that_contain_each_other_are_an_error_of_both() -> None:
    """Each is told the way back to itself, and who asked for each part of it."""
    first, second = problems(
        fragment(SETTINGS, step("check"), nest("package")),
        fragment(SHOP, nest("deploy"), routine="package"),
    )

    assert (first.id, first.level, first.routine) == ("django_runbook.E011", "error", "deploy")
    assert first.message == (
        "Routine 'deploy' contains itself: deploy > package > deploy (deploy runs package by "
        "settings (settings.py:2); package runs deploy by shop (shop.py:1))."
    )
    assert str(first.origin) == "settings (settings.py:2)"
    assert (second.id, second.routine) == ("django_runbook.E011", "package")
    assert "package > deploy > package" in second.message


def test_a_circle_through_a_third_routine_is_found() -> None:
    """However long the way back is; a routine that only leads to the circle is not in it."""
    found = problems(
        fragment(SETTINGS, nest("b"), routine="a"),
        fragment(SETTINGS, nest("c"), routine="b"),
        fragment(SETTINGS, nest("a"), routine="c"),
        fragment(SETTINGS, nest("a"), routine="outside"),
    )

    assert [(one.id, one.routine) for one in found] == [
        ("django_runbook.E011", "a"),
        ("django_runbook.E011", "b"),
        ("django_runbook.E011", "c"),
    ]
    assert "a > b > c > a" in found[0].message


def test_a_routine_that_contains_itself_is_an_error() -> None:
    """The shortest circle there is."""
    (problem,) = problems(fragment(SETTINGS, nest("deploy")))

    assert problem.id == "django_runbook.E011"
    assert "deploy > deploy (deploy runs deploy by settings (settings.py:1))" in problem.message


def test_switches_do_not_hide_a_circle() -> None:
    """It is an error before anything runs, with whichever switches."""
    found = problems(
        fragment(SETTINGS, nest("package", switches=("demo",))),
        fragment(SETTINGS, nest("deploy", "--demo", switches=("other",)), routine="package"),
    )

    assert [one.id for one in found] == ["django_runbook.E011"] * 2


def test_disabling_a_step_breaks_the_circle() -> None:
    """The remedy that the error prints is one."""
    off = [("settings:routine", {"disabled": True})]

    assert not problems(
        fragment(SETTINGS, nest("package")),
        fragment(SETTINGS, nest("deploy"), routine="package", overrides=off),
    )


def test_two_routines_may_contain_the_same_third_one() -> None:
    """Running something twice is no circle."""
    parts = [
        fragment(SETTINGS, nest("a"), nest("b")),
        fragment(SETTINGS, nest("package"), routine="a"),
        fragment(SETTINGS, nest("package"), routine="b"),
        package(),
    ]

    assert not problems(*parts)
    assert contains("deploy", merge(parts).routines) == {"deploy", "a", "b", "package"}
