"""Where a step was declared: source, file and line, for every way to declare it."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.test import override_settings

from django_runbook import get_plan

from .projects import Project, hook, install, line_of

pytestmark = pytest.mark.ours


FORMS = """
    from functools import partial

    DJANGO_ROUTINES = {
        "deploy": {
            "help_text": "Deploy.",
            "commands": [
                {"management": ("probe", "one line")},
                {
                    "management": ("probe", "several lines"),
                },
                {"management": ("probe", "two")}, {"management": ("probe", "on one")},
                ManagementCommand(("probe", "an object")),
                dict(management=("probe", "a call of dict")),
            ],
        },
        "by-object": Routine(
            "by-object",
            commands=[
                ManagementCommand(("probe", "in a Routine")),
                SystemCommand(("true", "system in a Routine")),
            ],
        ),
        "tuple": {"commands": (
            {"management": ("probe", "in a tuple")},
            {"system": ("true", "system in a tuple")},
        )},
    }

    command("deploy", "probe", "a call")
    command(
        "deploy",
        "probe",
        "a long call",
    )
    system("deploy", "true", "a system call")
    for word in ["in a loop"]:
        command("deploy", "probe", word)
    routine("deploy", None, ManagementCommand(("probe", "inline")))
    partial(command, "deploy")("probe", "by partial")
    command("by_object", "probe", "added to a Routine")
"""


def places(document: Any) -> dict[str, tuple[str, int]]:
    """Return file and line of each step that runs, by the last word of its command."""
    return {
        step["argv"][-1]: (step["origin"]["file"], step["origin"]["line"])
        for step in document["steps"]
        if step["status"] == "run"
    }


def test_every_form_has_the_line_of_its_own_entry(project: Project) -> None:
    """An entry of a literal, an object, a call: the line on which it begins."""
    settings = project.settings(FORMS)
    documents = [project.explain(name) for name in ("deploy", "by-object", "tuple")]

    found: dict[str, tuple[str, int]] = {}
    for document in documents:
        found |= places(document)

    expected = {word: ("config/settings.py", line_of(settings, f'"{word}"')) for word in found}
    several = line_of(settings, '"several lines"') - 1  # begins with the brace above
    assert len(expected) == 17
    assert found == {
        **expected,
        "several lines": ("config/settings.py", several),
        "a long call": ("config/settings.py", line_of(settings, '"a long call"') - 3),
        "in a loop": ("config/settings.py", line_of(settings, '"in a loop"') + 1),
    }


def test_an_entry_that_is_not_spelt_out_has_the_nearest_line(project: Project) -> None:
    """Where the text does not show the entry, the line is that of what holds it."""
    settings = project.settings("""
        CHECK = {"management": ("probe", "by name")}
        MANY = [{"management": ("probe", "of many")}]
        DJANGO_ROUTINES = {
            "deploy": {
                "commands": [  # the list
                    *MANY,
                    CHECK,
                ],
            },
            "package": {
                "commands": [
                    CHECK,  # here
                ],
            },
            "built": {"commands": [{"management": ("probe", word)} for word in ["x"]]},
        }
    """)
    file = "config/settings.py"

    deploy = places(project.explain("deploy"))
    assert {place for place, _ in deploy.values()} == {file}
    first, last = line_of(settings, "# the list"), line_of(settings, "# here")
    assert all(first <= line < last for _, line in deploy.values())
    assert places(project.explain("package")) == {"by name": (file, line_of(settings, "# here"))}
    assert places(project.explain("built")) == {"x": (file, line_of(settings, '"built"'))}


@pytest.mark.parametrize(
    "text",
    [
        """
        if True:
            DJANGO_ROUTINES = {"deploy": {"commands": [
                {"management": ("probe", "x")},
            ]}}
        """,
        """
        DJANGO_ROUTINES = {}
        DJANGO_ROUTINES["deploy"] = {"commands": [
                {"management": ("probe", "x")},
        ]}
        """,
        """
        DJANGO_ROUTINES = {"package": {}}
        DJANGO_ROUTINES |= {"deploy": {"commands": [
                {"management": ("probe", "x")},
        ]}}
        """,
    ],
    ids=["below an if", "by key", "by update"],
)
def test_an_assignment_that_cannot_be_followed_still_has_its_file(
    project: Project, text: str
) -> None:
    """What the one settings file holds was written there; the line may be that of the setting."""
    settings = project.settings(text)

    (file, line) = places(project.explain())["x"]

    assert file == "config/settings.py"
    assert line in (
        None,
        line_of(settings, '"probe", "x"'),
        line_of(settings, "DJANGO_ROUTINES = {"),
    )


def test_settings_that_import_others_have_the_others_as_origin(project: Project) -> None:
    """``from .base import *`` is the commonest way to split settings."""
    base = project.file(
        "config/base.py",
        """
        from django_runbook import command

        DJANGO_ROUTINES = {"deploy": {"commands": [
            {"management": ("probe", "literal")},
        ]}}
        command("deploy", "probe", "call")
        """,
    )
    project.file("config/local.py", 'command("deploy", "probe", "local")')
    settings = project.settings("""
        from config.base import *
        include("local.py")
        command("deploy", "probe", "main")
    """)

    assert places(project.explain()) == {
        "literal": ("config/base.py", line_of(base, '"literal"')),
        "call": ("config/base.py", line_of(base, '"call"')),
        "local": ("config/local.py", 1),
        "main": ("config/settings.py", line_of(settings, '"main"')),
    }


def test_files_are_named_from_the_project_root_whatever_the_working_directory(
    project: Project, tmp_path: Path
) -> None:
    """The same plan, byte for byte, wherever the command is run from."""
    project.file("config/settings/parts/a.py", 'command("deploy", "probe", "component")')
    project.settings(
        """
        include("parts/*.py")
        command("deploy", "probe", "main")
        """,
        package=True,
    )
    args = ("routine", "deploy", "--explain", "--format", "json")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    here = project.manage(*args)
    runs = [project.manage(*args, cwd=cwd) for cwd in (elsewhere, project.root / "config")]

    assert [run.out for run in runs] == [here.out, here.out]
    assert {file for file, _ in places(here.document).values()} == {
        "config/settings/parts/a.py",
        "config/settings/__init__.py",
    }


def test_apps_and_distributions_are_named_as_they_are_imported(project: Project) -> None:
    """Neither the project's nor the environment's place shows."""
    project.app(
        "shop",
        routines=hook('routines.command("deploy", "probe", "by hook")'),
        apps="""
            from django.apps import AppConfig
            from django_runbook import ManagementCommand, contribute

            class ShopConfig(AppConfig):
                name = "shop"

                def ready(self):
                    contribute(self).command("deploy", "probe", "by ready")
                    contribute(self).routine(
                        "deploy",
                        None,
                        ManagementCommand(("probe", "inline")),
                    )
        """,
    )
    project.distribution(
        "globex-mail",
        modules={
            "globex_mail/hooks.py": hook('routines.command("deploy", "probe", "in a module")'),
            "globex_all/__init__.py": hook('routines.command("deploy", "probe", "in a package")'),
        },
        entry_points={"django_runbook": {"a": "globex_mail.hooks", "b": "globex_all"}},
    )
    project.settings("")

    found = places(project.explain())

    ready = line_of(project.root / "shop/apps.py", "by ready")
    assert {word: found[word] for word in ("by ready", "by hook", "in a module")} == {
        "by ready": ("shop/apps.py", ready),
        "by hook": ("shop/routines.py", 5),
        "in a module": ("globex_mail/hooks.py", 5),
    }
    assert found["inline"] == ("shop/apps.py", line_of(project.root / "shop/apps.py", "inline"))
    assert found["in a package"] == ("globex_all/__init__.py", 5)


def test_a_component_in_a_virtual_environment_within_the_project_is_named_as_imported(
    project: Project,
) -> None:
    """``.venv`` in the project is a habit, not a part of it."""
    site = install(
        project.root / ".venv" / "lib" / "python3" / "site-packages",
        "globex-mail",
        modules={
            "globex_mail/component.py": """
                command("deploy", "probe", "call")
                DJANGO_ROUTINES = {**DJANGO_ROUTINES, "package": {"commands": [
                    {"management": ("probe", "literal")},
                ]}}
            """
        },
        entry_points={"django_runbook.settings": {"mail": "globex_mail.component"}},
    )
    project.paths.append(site)
    project.settings('include(*plugin_settings("globex-mail"))', package=True)

    document = project.explain("deploy")

    assert places(document) == {"call": ("globex_mail/component.py", 1)}
    assert document["steps"][0]["origin"]["kind"] == "settings"
    assert places(project.explain("package")) == {"literal": ("globex_mail/component.py", 3)}


def test_a_problem_has_the_place_of_what_is_wrong(project: Project) -> None:
    """An attribute, the help of a switch and an override have lines of their own."""
    settings = project.settings("""
        DJANGO_ROUTINES = {
            "deploy": {
                "atomic": "yes",
                "switch_helps": {
                    "demo": "Load it.",
                    "version": "Which.",
                },
                "commands": [{"management": "probe"}],
                "overrides": {
                    "settings:probe": {
                        "priority": 3,
                    },
                    "settings:proeb": {"priority": 1},
                },
            },
        }
    """)

    lines = {problem["origin"]["line"] for problem in project.explain()["problems"]}

    for text in ('"atomic"', '"version"', '"settings:proeb"'):
        assert line_of(settings, text) in lines


LATER = """
    DJANGO_ROUTINES["deploy"]["commands"].append({"management": ("probe", "appended")})
    DJANGO_ROUTINES["deploy"]["commands"].insert(0, {"management": ("probe", "inserted")})
    DJANGO_ROUTINES["deploy"]["commands"] += [ManagementCommand(("probe", "an object"))]
    command("deploy", "probe", "called")
"""


@pytest.mark.parametrize("main", [False, True], ids=["in a component", "in the settings file"])
def test_what_is_put_into_a_list_in_place_is_never_said_to_be_an_earlier_files(
    project: Project, main: bool
) -> None:
    """Its line may not be known, but what stands in another file is not its origin."""
    early = """
        DJANGO_ROUTINES = {"deploy": {"commands": [
            {"management": ("probe", "early")},
        ]}}
    """
    project.file("config/settings/a.py", early)
    project.file("config/settings/b.py", LATER)
    text = 'include("a.py")' + (dedent(LATER) if main else '\ninclude("b.py")')
    project.settings(text, package=True)

    found = places(project.explain())

    assert list(found) == ["inserted", "early", "appended", "an object", "called"]
    assert found.pop("early") == ("config/settings/a.py", 2)
    files = {file for file, _ in found.values()}
    assert files == {"config/settings/__init__.py" if main else "config/settings/b.py"}


@pytest.mark.parametrize("stated", ["", '"atomic": False, '], ids=["added", "changed"])
def test_an_attribute_is_the_file_s_that_states_it(project: Project, stated: str) -> None:
    """A component that takes a routine over and changes it has said what it has changed."""
    project.file(
        "config/settings/a.py",
        f'DJANGO_ROUTINES = {{"deploy": {{{stated}"finalize": "shop.done", "commands": []}}}}',
    )
    project.file(
        "config/settings/b.py",
        """
        OLD = DJANGO_ROUTINES["deploy"]
        DJANGO_ROUTINES = {
            "deploy": {
                **OLD,
                "atomic": "nowhere",
            },
        }
        """,
    )
    project.settings('include("a.py", "b.py")', package=True)

    found = {
        one["id"].removeprefix("django_runbook."): (one["origin"]["file"], one["origin"]["line"])
        for one in project.explain()["problems"]
    }

    # The finalize that names nothing, and the database that there is not.
    assert found == {"E015": ("config/settings/a.py", 1), "E017": ("config/settings/b.py", 5)}


@pytest.mark.parametrize(
    "around",
    ["", 'DJANGO_ROUTINES = {"deploy": {"commands": []}}', 'include("a.py")'],
    ids=["calls only", "a dictionary", "a component"],
)
def test_a_name_that_is_none_has_the_line_of_the_call(project: Project, around: str) -> None:
    """Whatever else declares routines, the mistake is where it was made."""
    project.file("config/a.py", 'DJANGO_ROUTINES = {"deploy": {"commands": []}}')
    settings = project.settings(f"""
        {around}
        command("no name", "probe")
        command(["deploy"], "probe")  # a list
        routine("1st", "The first.")
    """)

    problems = project.manage("routine", "--explain", "--format", "json").document["problems"]

    lines = {one["message"]: one["origin"]["line"] for one in problems}
    assert lines == {
        f"{name} cannot be the name of a routine.": line_of(settings, text)
        for name, text in (("'no name'", "no name"), ("a list", "# a list"), ("'1st'", "1st"))
    }


@override_settings(DJANGO_ROUTINES={"deploy": {"commands": [{"management": "check"}]}})
def test_overridden_settings_have_no_file() -> None:
    """``override_settings`` replaces the whole: there is no file to name, and none is made up."""
    [step] = [one for one in get_plan("deploy").steps if one.origin.source.kind == "settings"]

    assert (step.origin.source.name, step.origin.file, step.origin.line) == ("settings", None, None)
