"""Reading declarations: what is malformed, what to do about it, and every good form."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook.assignments import combine, place_additions
from django_runbook.commands import ManagementCommand, Place, Routine, SystemCommand
from django_runbook.declarations import Recorder
from django_runbook.declare import routines_in
from django_runbook.entries import RESERVED_SWITCHES
from django_runbook.fragments import Reader
from django_runbook.merge import merge
from django_runbook.model import SETTINGS, Declaration, Fragment, Origin, Problem
from django_runbook.order import order

pytestmark = pytest.mark.ours


HERE = Origin(SETTINGS, "config/settings.py")
"""The origin of what does not say its own."""


def locate(place: Place | None) -> Origin:
    """Return the origin of a place, or :data:`HERE`."""
    return HERE if place is None else Origin(SETTINGS, os.path.basename(place[0]), 1)


def read(raw: Any) -> tuple[list[Fragment], list[Problem]]:
    """Return what a setting says and what is wrong with it."""
    reader = Reader(SETTINGS, locate)
    return reader.read(raw), reader.problems


def read_commands(*commands: Any) -> tuple[Declaration, ...]:
    """Return these commands of a routine as they are read, if nothing is wrong with them."""
    (fragment,), problems = read({"deploy": {"commands": list(commands)}})
    assert not problems
    return fragment.declarations


def only_problem(raw: Any) -> Problem:
    """Return the one thing that is wrong with a setting."""
    _, problems = read(raw)
    (problem,) = problems
    assert problem.origin == HERE
    assert problem.level == "error"
    return problem


# --- malformed: the setting and its routines -----------------------------------------------------

WRITE_DICT = 'Write {"deploy": {"commands": [...]}}.'
WRITE_NAME = "Use letters, digits, - and _, starting with a letter."


@pytest.mark.parametrize(
    ("raw", "message", "hint"),
    [
        ([], "DJANGO_ROUTINES must be a dictionary of routines, not a list.", WRITE_DICT),
        (None, "DJANGO_ROUTINES must be a dictionary of routines, not None.", WRITE_DICT),
        ("deploy", "DJANGO_ROUTINES must be a dictionary of routines, not 'deploy'.", WRITE_DICT),
        ({"1st": {}}, "'1st' cannot be the name of a routine.", WRITE_NAME),
        ({"my deploy": {}}, "'my deploy' cannot be the name of a routine.", WRITE_NAME),
        ({"": {}}, "'' cannot be the name of a routine.", WRITE_NAME),
        ({5: {}}, "5 cannot be the name of a routine.", WRITE_NAME),
        (
            {"deploy": ["migrate"]},
            "Routine 'deploy' must be a dictionary or a Routine, not a list.",
            'Write {"commands": [{"management": "migrate"}]}.',
        ),
        (
            {"deploy": None},
            "Routine 'deploy' must be a dictionary or a Routine, not None.",
            'Write {"commands": [{"management": "migrate"}]}.',
        ),
    ],
)
def test_a_malformed_setting_is_a_problem(raw: Any, message: str, hint: str) -> None:
    """It says what was given in place of what, and what to write."""
    problem = only_problem(raw)

    assert (problem.id, problem.message, problem.hint) == ("django_runbook.E001", message, hint)


@pytest.mark.parametrize(
    ("routine", "message", "hint"),
    [
        (
            {"comands": []},
            "Unknown key 'comands' for routine 'deploy'.",
            "Did you mean 'commands'?",
        ),
        ({"zzz": 1}, "Unknown key 'zzz' for routine 'deploy'.", "Known are atomic, commands,"),
        ({5: 1}, "Unknown key 5 for routine 'deploy'.", "Known are atomic, commands,"),
        (
            {"commands": "migrate"},
            "'commands' of routine 'deploy' must be a list of commands, not 'migrate'.",
            "Give a list of commands.",
        ),
        (
            {"commands": {"management": "migrate"}},
            "'commands' of routine 'deploy' must be a list of commands, not a dict.",
            "Give a list of commands.",
        ),
        (
            {"help_text": 5},
            "'help_text' of routine 'deploy' must be a string, not 5.",
            "Give a string.",
        ),
        *(
            (
                {control: 1},
                f"'{control}' of routine 'deploy' must be True or False, not 1.",
                "Give True or False.",
            )
            for control in ("subprocess", "continue_on_error")
        ),
        *(
            (
                {"atomic": wrong},
                "'atomic' of routine 'deploy' must be True, False, a database alias, a list of",
                "Give True, False, a database alias, a list of aliases or '__all__'.",
            )
            for wrong in (1, "", [], ["default", 5], {"default"})
        ),
        *(
            (
                {hook: 5},
                f"'{hook}' of routine 'deploy' must be a callable or its path, not 5.",
                "Give a callable or its path.",
            )
            for hook in ("initialize", "finalize", "pre_hook", "post_hook")
        ),
        (
            {"switch_helps": ["demo"]},
            "'switch_helps' of routine 'deploy' must be a dictionary like",
            "Give a dictionary like",
        ),
        (
            {"switch_helps": {"atomc": True}},
            "'atomc' of routine 'deploy' must be a help text, not True.",
            "Did you mean 'atomic'? Whatever is none of the arguments is the help of a switch.",
        ),
        (
            {"switch_helps": {"2nd": "?"}},
            "'2nd' cannot be the name of a switch of routine 'deploy'.",
            WRITE_NAME,
        ),
        ({"switch_helps": {5: "?"}}, "5 cannot be the name of a switch", WRITE_NAME),
        (
            {"overrides": "migrate"},
            "'overrides' of routine 'deploy' must be a dictionary by step id, not 'migrate'.",
            "Give a dictionary by step id.",
        ),
        (
            {"overrides": ["migrate"]},
            "An override must be a dictionary of changes, not 'migrate'.",
            "Give a dictionary of changes.",
        ),
        (
            {"overrides": {"migrate": 5}},
            "The override of 'migrate' in routine 'deploy' must be a dictionary of changes, not 5.",
            'Write {"shop:warm_catalogue": {"priority": 90}}.',
        ),
        (
            {"overrides": {5: {"priority": 1}}},
            "What is overridden must be a step id, not 5.",
            "Give a step id.",
        ),
        (
            {"overrides": {"migrate": {"prioritty": 5}}},
            "Unknown key 'prioritty' for the override of 'migrate' in routine 'deploy'.",
            "Did you mean 'priority'?",
        ),
        (
            {"overrides": {"migrate": {"step_id": "x"}}},
            "Unknown key 'step_id' for the override of 'migrate' in routine 'deploy'.",
            "Known are ",
        ),
        (
            {"overrides": {"migrate": {"disabled": "yes"}}},
            "'disabled' of the override of 'migrate' in routine 'deploy' must be True or False",
            "Give True or False.",
        ),
        (
            {"overrides": {"migrate": {"priority": True}}},
            "'priority' of the override of 'migrate' in routine 'deploy' must be a whole number",
            "Lower runs first; the default is 0.",
        ),
    ],
)
def test_a_malformed_routine_is_a_problem(routine: Any, message: str, hint: str) -> None:
    """It says what of which routine, and what to write; the routine is there all the same."""
    problem = only_problem({"deploy": routine})

    assert problem.message.startswith(message)
    assert problem.hint.startswith(hint)
    assert (problem.id, problem.routine) == ("django_runbook.E001", "deploy")
    assert [one.routine for one in read({"deploy": routine})[0]] == ["deploy"]


@pytest.mark.parametrize("switch", ["all", "no-color", "verbosity", "version", "explain"])
@pytest.mark.parametrize("where", ["switch_helps", "commands", "overrides"])
def test_a_switch_cannot_have_the_name_of_an_option(switch: str, where: str) -> None:
    """The routine command has that option itself; another name is proposed."""
    written = {
        "switch_helps": {switch: "?"},
        "commands": [{"management": "migrate", "switches": [switch]}],
        "overrides": {"migrate": {"switches": [switch]}},
    }
    problem = only_problem({"deploy": {where: written[where]}})

    assert problem.id == "django_runbook.E009"
    assert problem.message == (
        f"Switch --{switch} of routine 'deploy' has the name of an option of the routine command."
    )
    assert problem.hint == f"Give it another name, such as --with-{switch}."
    assert switch.replace("-", "_") in RESERVED_SWITCHES


# --- malformed: commands -------------------------------------------------------------------------

WRITE_COMMAND = 'Write {"management": "migrate"}.'
WRITE_ARGV = "Give a name, or a list of a name and its arguments."


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        (
            "check",
            "A command of routine 'deploy' must be a dictionary, a",
            "Write {'management': 'check'}.",
        ),
        (None, "A command of routine 'deploy' must be a dictionary, a", WRITE_COMMAND),
        (5, "A command of routine 'deploy' must be a dictionary, a", WRITE_COMMAND),
        ([], "A command of routine 'deploy' must be a dictionary, a", WRITE_COMMAND),
        (
            {},
            "A command of routine 'deploy' has neither 'management' nor 'system'.",
            WRITE_COMMAND,
        ),
        (
            {"managment": "migrate"},
            "A command of routine 'deploy' has neither 'management' nor 'system'.",
            "Did you mean 'management'?",
        ),
        (
            {"management": "migrate", "system": "ls"},
            "A command of routine 'deploy' has both 'management' and 'system'.",
            "Keep the one that it is.",
        ),
        (
            {"command": "migrate", "kind": "managment"},
            "A command of routine 'deploy' has the unknown kind 'managment'.",
            "Did you mean 'management'?",
        ),
        (
            {"command": "migrate", "kind": 5},
            "A command of routine 'deploy' has the unknown kind 5.",
            "Use 'management' or 'system'.",
        ),
        *(
            ({kind: empty}, f"'{kind}' of a command in routine 'deploy' must be a name", WRITE_ARGV)
            for kind in ("management", "system")
            for empty in ("", " ", [], ("",), None, 5, {"migrate"}, {"migrate": 1})
        ),
        *(
            (
                {kind: ()},
                "A command was declared without its name, in a routine 'deploy'.",
                "The routine's name comes first, then the command: (\"deploy\", 'deploy').",
            )
            for kind in ("management", "system")
        ),
        *(
            (
                {"management": ("migrate", part)},
                "An argument of 'management' of a command in routine 'deploy' must be a string",
                "Give a string, a number or a path.",
            )
            for part in (None, True, ["--plan"], {"plan": True}, b"--plan")
        ),
    ],
)
def test_what_is_no_command_is_a_problem(entry: Any, message: str, hint: str) -> None:
    """It is left out, and what stands around it is read."""
    raw = {"deploy": {"commands": [{"management": "a"}, entry, {"system": "b"}]}}
    problem = only_problem(raw)

    assert problem.message.startswith(message)
    assert problem.hint == hint
    # Whose command lacks its name is not known, so that concerns every routine.
    routine = None if "without its name" in message else "deploy"
    assert (problem.id, problem.routine) == ("django_runbook.E001", routine)
    ((fragment,), _) = read(raw)
    assert [one.name for one in fragment.declarations] == ["a", "b"]


LONE = "must be a list of names, not 'demo'."
STEP_ID = "must be letters, digits and . _ - @ +, not "


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"prority": 5}, "Unknown key 'prority' for ", "Did you mean 'priority'?"),
        ({"swiches": ["demo"]}, "Unknown key 'swiches' for ", "Did you mean 'switches'?"),
        ({"zzz": 5}, "Unknown key 'zzz' for ", "Known are help_text, "),
        ({None: 5}, "Unknown key None for ", "Known are "),
        *(
            ({"priority": value}, f"must be a whole number, not {shown}.", "Lower runs first")
            for value, shown in [(True, "True"), (1.5, "1.5"), ("1", "'1'"), ([], "a list")]
        ),
        *(
            ({key: "demo"}, LONE, "Write ['demo'].")
            for key in ("switches", "run_before", "run_after")
        ),
        *(
            ({key: value}, "must be a list of names, not ", "Give a list of names.")
            for key in ("switches", "run_before", "run_after")
            for value in (5, True, {"demo": 1}, [5], [""], ["demo", None])
        ),
        ({"switches": ["a b"]}, "'a b' cannot be the name of a switch", WRITE_NAME),
        *(
            ({"step_id": value}, STEP_ID, "Give letters, digits and . _ - @ +.")
            for value in ("shop:warm", "", "a b", 5, ["x"])
        ),
        *(
            ({"time_limit": value}, "must be a number of seconds above 0", "It is in seconds;")
            for value in (0, -1, "5", True, [5], float("nan"))
        ),
        ({"help_text": 5}, "must be a string, not 5.", "Give a string."),
        ({"help_text": ["a"]}, "must be a string, not a list.", "Give a string."),
        *(
            ({hook: value}, "must be a callable, not ", "Give a callable.")
            for hook in ("pre_hook", "post_hook")
            for value in (5, True, ["x"])
        ),
        *(
            ({"options": value}, "must be a dictionary of named options, not ", "Give a dict")
            for value in ("--plan", ["--plan"], 5, {5: True})
        ),
    ],
)
def test_a_malformed_field_is_a_problem(fields: Any, message: str, hint: str) -> None:
    """It says which field of which command and what it must be; the command is kept without it."""
    raw = {"deploy": {"commands": [{"management": "migrate", **fields}]}}
    problem = only_problem(raw)

    assert message in problem.message
    assert "'deploy'" in problem.message
    assert problem.hint.startswith(hint)
    assert (problem.id, problem.routine) == ("django_runbook.E001", "deploy")
    (fragment,), _ = read(raw)
    assert fragment.declarations == read_commands({"management": "migrate"})


def test_a_program_has_no_named_options() -> None:
    """``options`` belongs to management commands."""
    problem = only_problem({"deploy": {"commands": [{"system": "ls", "options": {"all": True}}]}})

    assert problem.message == "Unknown key 'options' for 'ls' in routine 'deploy'."
    assert problem.hint


@pytest.mark.parametrize(
    "entry",
    [
        {"management": "migrate", "command": "check"},
        {"system": "ls", "command": "pwd"},
        {"management": "migrate", "kind": "system"},
    ],
)
def test_two_forms_that_contradict_each_other_are_a_problem(entry: dict[str, Any]) -> None:
    """Neither of what was written is dropped in silence."""
    only_problem({"deploy": {"commands": [entry]}})


def test_one_reading_reports_every_mistake() -> None:
    """Nothing hides behind the first one."""
    command = {"management": "migrate", "priority": "high", "run_after": "check", "x": 1}
    _, problems = read({"deploy": {"commands": [command, 5], "atomic": 0}, "2nd": {}})

    assert len(problems) == 6


def test_a_problem_stands_where_the_declaration_does() -> None:
    """A command that knows its place is told of there."""
    _, problems = read({"deploy": {"commands": [ManagementCommand("migrate", priority="high")]}})

    (problem,) = problems
    assert problem.origin == Origin(SETTINGS, "test_fragments.py", 1)


@pytest.mark.parametrize("commands", [5, "migrate", ManagementCommand("migrate")])
def test_a_routine_object_may_be_malformed_too(commands: Any) -> None:
    """It holds what was written, right or wrong, and is judged like a dictionary."""
    problem = only_problem({"deploy": Routine("deploy", commands=commands)})

    assert problem.message.startswith("'commands' of routine 'deploy' must be a list of commands")


@pytest.mark.parametrize("routine", [Routine("deploy", commands=None), {"commands": None}])
def test_no_commands_are_no_mistake(routine: Any) -> None:
    """``None`` stands for what is not stated, in either form."""
    (fragment,), problems = read({"deploy": routine})

    assert (fragment.declarations, problems) == ((), [])


# --- good forms ----------------------------------------------------------------------------------


def test_objects_and_dictionaries_mean_the_same() -> None:
    """A routine and its commands may be either, also one within the other."""
    fields: dict[str, Any] = {
        "priority": 3,
        "switches": ("demo",),
        "step_id": "schema",
        "run_before": ["check"],
        "run_after": ["shop:warm"],
        "time_limit": 1.5,
        "help_text": "Migrate.",
    }
    objects = [ManagementCommand(("migrate", "shop"), **fields), SystemCommand("ls")]
    helps = {"with-data": "Data.", "demo": "Demo."}
    routine = Routine("deploy", "Deploy.", objects, helps, atomic=True)
    dicts = [{"management": ("migrate", "shop"), **fields}, {"system": "ls"}]
    raw = {"help_text": "Deploy.", "commands": dicts, "switch_helps": helps, "atomic": True}

    def plain(value: Any) -> Any:
        (fragment,), problems = read({"deploy": value})
        assert not problems
        return (
            [
                (one.kind, one.argv, one.priority, one.switches, one.step_id, one.time_limit,
                 one.help_text, [(each.relation, each.ref) for each in one.constraints])
                for one in fragment.declarations
            ],
            [(one.name, one.value) for one in (*fragment.attributes, *fragment.switch_helps)],
        )  # fmt: skip

    assert plain(routine) == plain(raw) == plain({**raw, "commands": tuple(objects)})
    assert plain(routine.to_dict())[0] == plain(raw)[0]
    assert plain(raw)[1] == [
        ("help_text", "Deploy."),
        ("atomic", True),
        ("with_data", "Data."),
        ("demo", "Demo."),
    ]


def test_a_routine_object_states_only_what_it_was_given() -> None:
    """A default is no statement, so that it resets nothing that another source stated."""
    (fragment,), problems = read({"deploy": Routine("deploy")})

    assert (fragment.attributes, problems) == ((), [])


@pytest.mark.parametrize(
    ("entry", "kind", "argv"),
    [
        ({"management": "migrate"}, "management", ("migrate",)),
        ({"management": ["migrate", "shop"]}, "management", ("migrate", "shop")),
        ({"command": "migrate"}, "management", ("migrate",)),
        ({"command": ("migrate", "shop"), "kind": "management"}, "management", ("migrate", "shop")),
        ({"command": "ls", "kind": "system"}, "system", ("ls",)),
        ({"system": "rsync -a"}, "system", ("rsync -a",)),
        ({"management": ("loaddata", 5, 1.5)}, "management", ("loaddata", "5", "1.5")),
        ({"system": PurePosixPath("/bin/ls")}, "system", ("/bin/ls",)),
        ({"system": ("ls", PurePosixPath("/var/tmp"))}, "system", ("ls", "/var/tmp")),
        (MappingProxyType({"management": "migrate"}), "management", ("migrate",)),
        ({"management": "migrate", "result": None, "time_limit": None}, "management", ("migrate",)),
    ],
)
def test_a_command_line_is_read_as_strings(entry: Any, kind: str, argv: tuple[str, ...]) -> None:
    """A lone string is one word; numbers and paths become strings; the older form is known."""
    (declaration,) = read_commands(entry)

    assert (declaration.kind, declaration.argv) == (kind, argv)


def test_any_kind_of_path_is_read_as_the_path() -> None:
    """What ``os.scandir`` gives is a path too, though ``str()`` of it is none."""

    class Entry:
        def __fspath__(self) -> str:
            return "/srv/dump.json"

    (declaration,) = read_commands({"management": ("loaddata", Entry())})

    assert declaration.argv == ("loaddata", "/srv/dump.json")


def test_switches_are_read_in_one_form() -> None:
    """Any spelling is the switch; a list keeps its order, a set has none and is sorted."""
    listed, drawn = read_commands(
        {"management": "a", "switches": ["--with-data", "demo"]},
        {"management": "b", "switches": {"zeta", "with-data", "beta", "alpha"}},
    )

    assert listed.switches == ("with_data", "demo")
    assert drawn.switches == ("alpha", "beta", "with_data", "zeta")


def test_a_set_of_refs_is_sorted() -> None:
    """Hash seeds must not show."""
    (declaration,) = read_commands({"management": "a", "run_after": frozenset("zyxw")})

    assert [one.ref for one in declaration.constraints] == ["w", "x", "y", "z"]


def test_a_routine_has_one_name_however_it_is_written() -> None:
    """``-`` and ``_`` mean the same."""
    fragments, problems = read({"big-package": {}, "other_one": {}})

    assert [one.routine for one in fragments] == ["big_package", "other_one"]
    assert not problems


def untranslatable(text: str) -> str:
    """Stand for a translation that is asked for while the settings are being read."""
    raise AssertionError(f"{text!r} was translated too early")


@pytest.mark.parametrize("as_object", [False, True], ids=["dictionary", "objects"])
def test_lazily_translated_help_stays_lazy(as_object: bool) -> None:
    """Declarations are read before there is a language, and before apps are ready."""
    help_text = lazy(untranslatable, str)("Deploy.")
    said = {"help_text": help_text, "switches": ["demo"]}
    commands = [ManagementCommand("a", **said)] if as_object else [{"management": "a", **said}]
    written = {"help_text": help_text, "commands": commands, "switch_helps": {"demo": help_text}}
    routine = Routine("deploy", **written) if as_object else written

    (fragment,), problems = read({"deploy": routine})

    assert not problems
    assert fragment.attributes[0].value is help_text
    assert fragment.declarations[0].help_text is help_text
    assert fragment.switch_helps[0].value is help_text


def test_hooks_may_be_callables_or_paths() -> None:
    """They are kept as written, and imported when they are needed."""
    hooks = {"pre_hook": "shop.hooks.before", "post_hook": print}
    (fragment,), problems = read(
        {"deploy": {"initialize": print, "commands": [{"management": "a", **hooks}], **hooks}}
    )

    (declaration,) = fragment.declarations
    assert not problems
    assert (declaration.pre_hook, declaration.post_hook) == ("shop.hooks.before", print)
    assert {one.name: one.value for one in fragment.attributes} == {"initialize": print, **hooks}


def test_overrides_are_read_with_all_they_may_change() -> None:
    """They keep their order; what is left out is not changed."""
    changes = {
        "priority": 90,
        "switches": ["warm-up"],
        "run_before": ["a"],
        "options": {"fast": True},
        "time_limit": 5,
        "help_text": "Later.",
        "disabled": False,
    }
    (fragment,), problems = read(
        {
            "deploy": {
                "overrides": {"shop:warm": changes, "b": {"priority": 1}, "a": {"priority": 2}}
            }
        }
    )

    assert not problems
    first, *others = fragment.overrides
    assert set(first.changes) == set(changes)
    assert first.changes["switches"] == ("warm_up",)
    assert [one.ref for one in first.changes["run_before"]] == ["a"]
    assert [(one.ref, dict(one.changes)) for one in others] == [
        ("b", {"priority": 1}),
        ("a", {"priority": 2}),
    ]


def test_reading_leaves_the_setting_as_it_was() -> None:
    """The same dictionary may be read again, and what was read does not follow its changes."""
    raw: dict[str, Any] = {
        "deploy": {"commands": [{"management": "a", "options": {"fast": True}}, SystemCommand("b")]}
    }
    before = repr(raw)
    (fragment,), _ = read(raw)

    assert repr(raw) == before
    raw["deploy"]["commands"][0]["options"]["fast"] = False
    assert fragment.declarations[0].options == {"fast": True}


# --- anything at all -----------------------------------------------------------------------------

NAMES = st.sampled_from(["deploy", "package", "migrate", "demo", "--all", "a:b", "", "settings:a"])
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.floats()
    | NAMES
    | st.text(max_size=3)
    | st.binary(max_size=2)
    | st.sampled_from([object, print, PurePosixPath("x"), gettext_lazy("x"), 1j, SystemCommand("")])
)
ANYTHING = st.recursive(
    ATOMS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.sets(NAMES | st.none(), max_size=3)
        | st.dictionaries(NAMES | st.integers(), inner, max_size=3)
    ),
    max_leaves=6,
)


def some_of(*keys: str, rightly: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw a dictionary of some of these keys, rightly or with anything, or anything at all."""
    right = st.fixed_dictionaries({}, optional={**dict.fromkeys(keys, ANYTHING), **rightly})
    wrong = st.fixed_dictionaries({}, optional={**dict.fromkeys((*keys, *rightly), ANYTHING)})
    return right | wrong | st.dictionaries(NAMES, ANYTHING, max_size=2) | ANYTHING


FIELDS: dict[str, Any] = {
    "priority": st.integers(-2, 2),
    "switches": st.lists(NAMES, max_size=2),
    "run_after": st.lists(NAMES, max_size=2),
    "run_before": st.lists(NAMES, max_size=2),
}
OTHERS = ("time_limit", "help_text", "pre_hook", "post_hook", "options", "zzz")
COMMANDS = some_of(
    *OTHERS,
    "system",
    "command",
    "kind",
    "step_id",
    rightly={
        "management": NAMES | st.tuples(st.just("routine"), NAMES) | st.lists(ATOMS, max_size=3),
        **FIELDS,
    },
) | st.builds(ManagementCommand, ANYTHING, priority=ANYTHING, switches=ANYTHING, run_after=ANYTHING)
OVERRIDES = some_of(*OTHERS, "disabled", rightly=FIELDS)
ROUTINES = some_of(
    *("help_text", "atomic", "pre_hook", "initialize", "name"),
    rightly={
        "commands": st.lists(COMMANDS, max_size=4),
        "switch_helps": st.dictionaries(NAMES, ATOMS, max_size=2),
        "overrides": st.dictionaries(
            NAMES, OVERRIDES | st.lists(OVERRIDES, max_size=2), max_size=2
        ),
    },
) | st.builds(Routine, NAMES, ANYTHING, ANYTHING, atomic=ANYTHING, overrides=ANYTHING)
SETTING = st.dictionaries(NAMES | st.integers(), ROUTINES, max_size=3) | ANYTHING


@settings(deadline=None, max_examples=300)
@given(SETTING)
def test_no_setting_raises(raw: Any) -> None:
    """Anything can be read, merged and ordered; what is lost on the way has a problem."""
    fragments, problems = read(raw)
    merged = merge(fragments)
    plans = [order(routine, ["demo"]) for routine in merged.routines.values()]

    for problem in (*problems, *merged.problems, *(one for plan in plans for one in plan.problems)):
        assert problem.message
        assert problem.hint
        assert isinstance(problem.origin, Origin)
    assert problems or kept(raw, fragments)


def kept(raw: Any, fragments: list[Fragment]) -> bool:
    """Tell whether each routine, command, help and override of a setting has been read."""
    if not isinstance(raw, dict) or len(raw) != len(fragments):
        return False
    for value, fragment in zip(raw.values(), fragments, strict=True):
        said = value if isinstance(value, dict) else vars(value)
        commands = said.get("commands") or ()
        helps = said.get("switch_helps") or ()
        overrides = (said.get("overrides") or {}).values()
        count = sum(len(one) if isinstance(one, list) else 1 for one in overrides)
        found = (fragment.declarations, fragment.switch_helps, fragment.overrides)
        if tuple(map(len, found)) != (len(commands), len(helps), count):
            return False
    return True


# --- anything at all, declared by calls --------------------------------------------------------

FILE = "/srv/site/config/settings.py"
WORDS = NAMES | ANYTHING
KEYWORDS = st.dictionaries(
    st.sampled_from(["priority", "switches", "run_after", "step_id", "help_text", "pre_hook"]),
    ANYTHING,
    max_size=3,
)
CALLS = st.lists(
    st.one_of(
        st.tuples(
            st.just("routine"),
            WORDS,
            st.lists(COMMANDS, max_size=2).map(tuple),
            st.dictionaries(st.sampled_from(["help_text", "atomic", "initialize"]), ANYTHING),
            st.dictionaries(NAMES, ANYTHING, max_size=2),
        ),
        st.tuples(
            st.just("command"),
            st.sampled_from([ManagementCommand, SystemCommand]),
            WORDS,
            st.lists(WORDS, max_size=2).map(tuple),
            KEYWORDS,
        ),
        st.tuples(
            st.just("override"),
            WORDS,
            WORDS,
            st.dictionaries(NAMES | st.sampled_from([*FIELDS, "disabled"]), ANYTHING, max_size=3),
        ),
    ),
    max_size=4,
)
OURS = st.sampled_from(["__origins__", "__malformed__", "switch_helps", "overrides", "commands"])
LITERALS = SETTING | st.dictionaries(NAMES, st.dictionaries(OURS, ANYTHING, max_size=3), max_size=3)


@settings(deadline=None, max_examples=300)
@given(LITERALS, CALLS, LITERALS, CALLS)
def test_no_declaration_raises(earlier: Any, first: Any, later: Any, second: Any) -> None:
    """Files of dictionaries and calls: the settings are read, and then the routines are."""
    raw: Any = {}
    for number, (literal, calls) in enumerate([(earlier, first), (later, second), (None, first)]):
        scope = {"DJANGO_ROUTINES": raw if literal is None else literal}
        for verb, *arguments in calls:
            getattr(Recorder(routines_in(scope), (FILE, number)), verb)(*arguments)
        if scope["DJANGO_ROUTINES"] is not raw:
            raw = combine(raw, scope["DJANGO_ROUTINES"], f"{number}.py")
        place_additions(raw, FILE)

    fragments, problems = read(raw)
    merged = merge(fragments)

    assert all(one.message and one.hint for one in (*problems, *merged.problems))
    for routine in merged.routines.values():
        assert order(routine, ["demo"])
