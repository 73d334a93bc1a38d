"""Settings written for django-routines work once their import and the app's name are changed."""

from __future__ import annotations

from typing import Any

import pytest

from django_runbook import ManagementCommand, Routine, RoutineCommand, SystemCommand

from .projects import Project

FUNCTIONS = """
    routine(
        name="package",
        help_text="Make what goes into the package.",
    )
    command("package", "makemigrations")
    command("package", "probe", "transpile")
    system("package", "poetry", "build")

    routine(
        "deploy",
        "Put the site into production.",
        ManagementCommand(("routine", "package"), switches=["prepare"]),
        ManagementCommand("migrate"),
        ManagementCommand("collectstatic"),
        ManagementCommand(("probe", "install"), switches=["initial"]),
        ManagementCommand(("loaddata", "./fixtures/demo.json"), switches=["demo"]),
        SystemCommand(("touch", "/path/to/wsgi.py")),
        prepare="Make the package first.",
        initial="What a new server needs once.",
        demo="Load the data of the demo.",
    )
"""

DICTIONARY = """
    DJANGO_ROUTINES = {
        "deploy": {
            "commands": [
                {"management": ("routine", "package"), "switches": ["prepare"]},
                {"management": "migrate"},
                {"management": "collectstatic"},
                {"management": ("probe", "install"), "switches": ["initial"]},
                {"management": ("loaddata", "./fixtures/demo.json"), "switches": ["demo"]},
                {"system": ("touch", "/path/to/wsgi.py")},
            ],
            "help_text": "Put the site into production.",
            "switch_helps": {
                "demo": "Load the data of the demo.",
                "initial": "What a new server needs once.",
                "prepare": "Make the package first.",
            },
        },
        "package": {
            "commands": [
                {"management": "makemigrations"},
                {"management": ("probe", "transpile")},
                {"system": ("poetry", "build")},
            ],
            "help_text": "Make what goes into the package.",
        },
    }
"""

OLDER = """
    DJANGO_ROUTINES = {
        "deploy": {
            "commands": [
                {"command": ("routine", "package"), "kind": "management", "switches": ["prepare"]},
                {"command": "migrate"},
                RoutineCommand("collectstatic"),
                RoutineCommand(("probe", "install"), switches=["initial"]),
                {"command": ("loaddata", "./fixtures/demo.json"), "switches": ["demo"]},
                {"command": ("touch", "/path/to/wsgi.py"), "kind": "system"},
            ],
            "help_text": "Put the site into production.",
            "switch_helps": {
                "demo": "Load the data of the demo.",
                "initial": "What a new server needs once.",
                "prepare": "Make the package first.",
            },
        },
        "package": Routine(
            "package",
            "Make what goes into the package.",
            [
                RoutineCommand("makemigrations"),
                RoutineCommand(("probe", "transpile")),
                SystemCommand(("poetry", "build")),
            ],
        ),
    }
"""


def without_origins(document: Any) -> Any:
    """Return a plan without what tells where it was written."""
    if isinstance(document, dict):
        return {key: without_origins(one) for key, one in document.items() if key[:6] != "origin"}
    return [without_origins(one) for one in document] if isinstance(document, list) else document


@pytest.mark.parametrize("form", [DICTIONARY, OLDER], ids=["dictionary", "older forms"])
def test_functions_and_dictionaries_give_the_same_plan(project: Project, form: str) -> None:
    """Ids, command lines, switches and helps, with any switches: the fingerprint included."""
    answers = []
    for settings in (FUNCTIONS, form):
        project.settings(settings)
        answers.append(
            [
                without_origins(project.explain(*args))
                for args in (["deploy", "--demo", "--prepare"], ["package"])
            ]
        )

    deploy, package = answers[0]
    assert [(step["id"], step["argv"], step["kind"]) for step in deploy["steps"]] == [
        ("settings:routine", ["routine", "package"], "management"),
        ("settings:migrate", ["migrate"], "management"),
        ("settings:collectstatic", ["collectstatic"], "management"),
        ("settings:loaddata", ["loaddata", "./fixtures/demo.json"], "management"),
        ("settings:touch", ["touch", "/path/to/wsgi.py"], "system"),
        ("settings:probe", ["probe", "install"], "management"),
    ]
    assert deploy["switches"]["available"] == {
        "demo": "Load the data of the demo.",
        "initial": "What a new server needs once.",
        "prepare": "Make the package first.",
    }
    assert package["help_text"] == "Make what goes into the package."
    assert answers[1] == answers[0]


def listed(out: str) -> list[str]:
    """Return the commands of a list, each line ``[priority] command | switches``."""
    return [line.partition("] ")[2].partition(" | ")[0] for line in out.splitlines()]


def test_list_shows_what_would_run_with_the_switches_given(project: Project) -> None:
    """``routine deploy --initial --demo list`` names the commands in order, and runs none."""
    text = FUNCTIONS.replace("migrate", "check").replace("collectstatic", "flush")
    project.settings(text.replace("makecheckions", "probe").replace("poetry", "true"))

    ran = project.manage("routine", "deploy", "--initial", "--demo", "list")
    bare = project.manage("routine", "deploy", "list")

    assert listed(ran.out) == [
        "check",
        "flush",
        "probe install",
        "loaddata ./fixtures/demo.json",
        "touch /path/to/wsgi.py",
    ]
    assert listed(bare.out) == [
        "check",
        "flush",
        "touch /path/to/wsgi.py",
    ]
    assert project.ran == []


def test_each_routine_is_a_subcommand_with_its_help(project: Project) -> None:
    """``routine --help`` lists them; each lists its switches."""
    project.settings(FUNCTIONS)

    listed = project.manage("routine", "--help").out
    one = project.manage("routine", "deploy", "--help").out

    assert "Put the site into production." in listed
    assert "Make what goes into the package." in listed
    for text in ("--prepare", "--initial", "--demo", "Load the data of the demo."):
        assert text in one


def test_a_routine_runs_routines_and_commands_in_order(project: Project) -> None:
    """Lower priorities run first, equal ones as declared; a routine is a command like others."""
    project.settings("""
        DJANGO_RUNBOOK = {"PLUGINS": {"allow": []}}
        command("deploy", "probe", "third", priority=2)
        command("deploy", "probe", "second", priority=1)
        command("deploy", ("routine", "package"))
        command("deploy", "probe", "fourth", priority=2)
        command("deploy", "probe", "never", switches=["initial"])
        command("package", "probe", "first", tag="tagged")
        system("package", "touch", "touched.txt")
    """)

    ran = project.manage("routine", "deploy")

    assert ran.status == 0, ran.err
    assert project.ran == [
        "probe first tagged",
        "probe second",
        "probe third",
        "probe fourth",
    ]
    assert (project.root / "touched.txt").exists()


# -- the dataclasses --------------------------------------------------------------------------


def deploy() -> Routine:
    return Routine(
        "pre-deploy",
        "Put the site into production.",
        [
            ManagementCommand("migrate", priority=1),
            ManagementCommand(("loaddata", "demo.json"), 2, ["demo-data", "all-data"]),
            SystemCommand(("touch", "wsgi.py")),
        ],
        {"demo-data": "Load it."},
        atomic=True,
    )


def test_commands_have_the_fields_in_the_known_order() -> None:
    """Positional arguments of older settings keep their meaning."""
    migrate = ManagementCommand(("migrate", "auth"), 3, ["demo"], "before", "after")
    touch = SystemCommand("touch", 4, ("initial",))

    assert (migrate.command_name, migrate.command_args) == ("migrate", ("auth",))
    assert migrate.command_str == "migrate auth"
    assert (migrate.priority, migrate.switches) == (3, ("demo",))
    assert (migrate.pre_hook, migrate.post_hook) == ("before", "after")
    assert (migrate.options, migrate.result) == ({}, None)
    assert migrate.management == migrate.command
    assert (touch.system, touch.command_args, touch.command_str) == ("touch", (), "touch")
    assert (touch.priority, touch.switches) == (4, ("initial",))
    assert RoutineCommand is ManagementCommand


def test_arguments_that_are_no_strings_are_shown_as_strings() -> None:
    """Numbers are allowed where a command line has words."""
    assert ManagementCommand(("runserver", 8000)).command_args == ("8000",)


def test_a_routine_knows_its_switches_and_its_length() -> None:
    """Names of routines and switches are in one form, however they were written."""
    routine = deploy()

    assert (routine.name, len(routine)) == ("pre_deploy", 3)
    assert routine.switches == ["all_data", "demo_data"]
    assert routine.switch_helps == {"demo_data": "Load it."}
    assert (routine.atomic, routine.subprocess, routine.continue_on_error) == (True, False, False)


def test_a_routine_plans_by_priority_and_switches() -> None:
    """Without its switch a command is left out; one of several switches is enough."""

    def names(*switches: str) -> list[str]:
        return [command.command_name for command in deploy().plan(switches)]

    assert names() == ["touch", "migrate"]
    assert names("demo_data") == names("--demo-data") == ["touch", "migrate", "loaddata"]
    assert names("all-data", "other") == ["touch", "migrate", "loaddata"]


def test_a_command_is_added_to_a_routine() -> None:
    """It comes back, and after those of its priority."""
    routine = deploy()
    check = ManagementCommand("check", priority=1)

    assert routine.add(check) is check
    assert len(routine) == 4
    assert [one.command_name for one in routine.plan([])] == ["touch", "migrate", "check"]


def test_dictionaries_become_dataclasses_and_come_back() -> None:
    """What ``to_dict`` gives, ``from_dict`` takes, of routines and of commands."""
    routine = deploy()

    written = routine.to_dict()
    read = Routine.from_dict(written)

    assert written["commands"][0]["management"] == "migrate"
    assert written["commands"][2]["system"] == ("touch", "wsgi.py")
    assert read.name == "pre_deploy"
    assert sorted(read.commands, key=lambda one: one.command_name) == sorted(
        routine.commands, key=lambda one: one.command_name
    )
    assert [one.priority for one in read.commands] == [0, 1, 2]
    assert (read.atomic, read.switch_helps) == (True, routine.switch_helps)
    assert Routine.from_dict(routine) is routine
    for command in routine.commands:
        assert type(command).from_dict(command.to_dict()) == command
        assert type(command).from_dict(command) is command


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"management": "migrate"}, ManagementCommand("migrate")),
        ({"command": "migrate"}, ManagementCommand("migrate")),
        ({"command": "migrate", "kind": "management"}, ManagementCommand("migrate")),
        ({"system": ("touch", "x")}, SystemCommand(("touch", "x"))),
        ({"command": ("touch", "x"), "kind": "system"}, SystemCommand(("touch", "x"))),
        (
            {"management": "migrate", "priority": 2, "switches": ["demo"], "options": {"fake": 1}},
            ManagementCommand("migrate", 2, ["demo"], options={"fake": 1}),
        ),
    ],
)
def test_a_command_is_read_from_each_known_form(written: dict[str, Any], read: object) -> None:
    """The kind is told by the key, or by ``kind`` in the older form."""
    assert ManagementCommand.from_dict(written) == read
    assert Routine.from_dict({"name": "deploy", "commands": [written]}).commands == [read]


@pytest.mark.parametrize(
    "written", [{"management": "migrate", "prioirty": 1}, {"system": "ls", "options": {}}]
)
def test_a_dictionary_with_an_unknown_key_is_refused(written: dict[str, Any]) -> None:
    """In code that is a ``TypeError``; in settings a problem with its line."""
    with pytest.raises(TypeError):
        ManagementCommand.from_dict(written)
    with pytest.raises(TypeError):
        Routine.from_dict({"name": "deploy", "commands": [written]})
    with pytest.raises(TypeError):
        Routine.from_dict({"name": "deploy", "comands": []})
