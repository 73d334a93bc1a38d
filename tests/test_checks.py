"""``check --deploy``: every problem of the declarations, with its origin and its remedy."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pytest

from django_runbook.model import Code

from .projects import Project, hook

CHECK = ("check", "--deploy", "--tag", "django_runbook")

# What is imported is seen in this file of the project.
TRACE = """
from pathlib import Path

with Path("imported.txt").open("a") as file:
    file.write(__name__ + "\\n")
"""

ASKS_DATABASE = """
    from django.core.management.base import BaseCommand
    from django.db import connection

    class Command(BaseCommand):
        def add_arguments(self, parser):
            with connection.cursor() as cursor:
                cursor.execute("SELECT name FROM a_table_that_is_yet_to_come")
"""

NOT_DECLARED = {
    Code.BAD_SETTING: "then nobody is trusted, so that no plugin's own mistakes would be seen here",
    Code.UNKNOWN_PROGRAM: "arises on the machine that runs the routine; check says W006 instead",
    Code.VARIABLE_NOT_SET: "arises on the machine that runs the routine; check says W012 instead",
}
"""The codes that do not arise here, and why; test_policy and test_run have them."""

SETTINGS = """\
from split_settings.tools import include

DJANGO_RUNBOOK = {"PLUGINS": {"block": ["shopp"]}}
command("names", "asks_database")
command("deploy", "probe", priority="high")
command("deploy", "probe", "a", run_after=["prob"])
command("deploy", "probe", "b", step_id="twin")
command("deploy", "probe", "c", step_id="twin")
override("deploy", "shop:prob", priority=3)
command("deploy", "probe", "d", switches=["explain"])
command("nested", "routine", "deploi")
command("inner", "routine", "outer")
command("outer", "routine", "inner")
command("names", "prboe")
command("names", "unloadable")
command("names", "probe", prioritty=5)
system("names", "no-such-program-anywhere")
command("circle", "probe", "x", step_id="x", run_before=["settings:y"])
command("circle", "probe", "y", step_id="y", run_before=["settings:x"])
routine("deploy", "Deploy.", deno="Load the demo data.")
command("deploy", "probe", "e", switches=["demo"])
command("deploy", "probe", "same")
command("later", "probe", "f", time_limit=5, exit=Exception)
command("later", "probe", "g", pre_hook="shop.hooks.gone")
routine("elsewhere", "Elsewhere.", atomic="defualt")
routine("alone", "One at a time.", lock="database")
routine("whole", "In one transaction.", atomic=True)
command("whole", "migrate")
system("whole", "true", "outside", env={"TOKEN": Secret.from_env("NOT_SET_HERE")})
include("components/*.py")
"""


OWN = "config/settings/__init__.py"


@dataclass(frozen=True)
class Message:
    """One message of the system checks, as it was printed."""

    origin: str
    id: str
    message: str
    hint: str


def messages(text: str) -> list[Message]:
    """Return the messages of this package in what ``check`` printed."""
    pattern = r"^(.*): \(django_runbook\.(\w+)\) (.*)\n\tHINT: (.*)$"
    return [Message(*found) for found in re.findall(pattern, text, re.MULTILINE)]


def broken_site(project: Project) -> Project:
    """Make every mistake there is, once each."""
    project.app(
        "shop",
        routines=TRACE
        + hook("""
            routines.routine("deploy", "Deploy the shop.")
            routines.command("deploy", "probe", "same")
            routines.routine("nightly", "Clean up.")
            routines.command("nihgtly", "probe")
        """),
    )
    project.command("shop", "unloadable", "import a_module_that_nobody_has\n")
    project.command("shop", "asks_database", ASKS_DATABASE)
    for name, text in {
        "acme-import": "import a_module_that_nobody_has\n",
        "acme-raises": hook('raise ValueError("no stock")'),
        "acme-nohook": "def contribute_routines(routines): ...\n",
    }.items():
        package = name.replace("-", "_")
        project.distribution(
            name,
            modules={f"{package}/hooks.py": TRACE + text},
            entry_points={"django_runbook": {"main": f"{package}.hooks"}},
        )
    for name in ("one", "two"):
        component = f'from django_runbook import command\ncommand("wild", "probe", "{name}")\n'
        project.file(f"config/settings/components/{name}.py", component)
    project.settings(SETTINGS, package=True)
    return project


@dataclass(frozen=True)
class Checked:
    """A project with every mistake, and what ``check --deploy`` printed about it."""

    project: Project
    status: int
    out: str
    err: str

    @property
    def messages(self) -> list[Message]:
        """Its messages."""
        return messages(self.err)

    def at(self, text: str) -> str:
        """Return the origin of the line of the settings that holds this text."""
        lines = (self.project.root / OWN).read_text().splitlines()
        line = next(number for number, line in enumerate(lines, 1) if text in line)
        return f"settings ({OWN}:{line})"

    def one(self, code: Code, text: str = "") -> Message:
        """Return the only message with this id and this text in it."""
        found = [one for one in self.messages if one.id == code.value and text in one.message]
        assert len(found) == 1, found or self.err
        return found[0]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """A site with every mistake there is, checked once for all tests."""
    project = broken_site(Project(tmp_path_factory.mktemp("checks") / "project"))
    ran = project.manage(*CHECK)
    return Checked(project, ran.status, ran.out, ran.err)


@pytest.mark.parametrize(
    ("code", "at", "says", "hint"),
    [
        ("E001", 'priority="high"', "must be a whole number, not 'high'", "Lower runs first"),
        ("E007", "override(", "has no step 'shop:prob' to override", "mean 'shop:probe'?"),
        ("E008", '"c", step_id="twin"', "have the id 'settings:twin'", "another step_id"),
        ("E009", '["explain"]', "Switch --explain", "such as --with-explain"),
        ("E010", '"deploi"', "no routine 'deploi'. Did you mean 'deploy'?", "Name a routine"),
        ("E012", '"prboe"', "there is no management command 'prboe'", "mean 'probe'?"),
        ("E012", '"unloadable"', "cannot be loaded: ModuleNotFoundError", "Mend shop, or disable"),
        ("E013", "prioritty", "'probe' has no option 'prioritty'", "mean 'priority'?"),
        (
            "E015",
            '"shop.hooks.gone"',
            "the pre_hook 'shop.hooks.gone' cannot be loaded",
            "Give a callable",
        ),
        ("E016", "time_limit=5", "option 'exit' has a type", "Write it among the command's"),
        ("E017", 'atomic="defualt"', "on the database 'defualt'", "Did you mean 'default'?"),
        ("E019", 'lock="database"', "(sqlite) has no advisory locks", 'the backend "file"'),
        ("W001", '["prob"]', "run_after=['prob'], which no other step", "Did you mean 'probe'?"),
        ("W006", "system(", "no program 'no-such-program-anywhere' on PATH", "whole path"),
        ("W007", "deno=", "has the switch 'deno'", "Did you mean 'demo'?"),
        ("W010", '"outside"', "runs outside the transaction", "of its own"),
        ("W011", '"migrate"', "migrates inside the transaction", "before this one"),
        ("W012", "from_env", "needs the environment variable 'NOT_SET_HERE'", "Set NOT_SET_HERE"),
    ],
)
def test_a_mistake_in_the_settings(
    checked: Checked, code: str, at: str, says: str, hint: str
) -> None:
    """Each is reported once: file and line in front, what is wrong, and how to mend it."""
    found = checked.one(Code(code), says)

    assert found.origin == checked.at(at)
    assert hint in found.hint


def test_a_mistake_in_the_setting_of_the_package(checked: Checked) -> None:
    """An unknown plugin in ``DJANGO_RUNBOOK`` is a warning."""
    unknown_plugin = checked.one(Code.UNKNOWN_PLUGIN)
    assert "the plugin 'shopp', which is not installed" in unknown_plugin.message
    assert unknown_plugin.hint == "Did you mean 'shop'?"


@pytest.mark.parametrize(
    ("code", "origin", "says"),
    [
        (Code.NOT_LOADABLE, "acme-import (acme_import/hooks.py:5)", "cannot be loaded"),
        (Code.HOOK_RAISED, "acme-raises (acme_raises/hooks.py:10)", "ValueError: no stock."),
        (Code.BAD_HOOK, "acme-nohook (acme_nohook/hooks.py", "not marked as a hook"),
    ],
)
def test_a_broken_distribution(checked: Checked, code: Code, origin: str, says: str) -> None:
    """It is named with its version, its file and line, and the line that blocks it."""
    found = checked.one(code)

    name = origin.partition(" ")[0]
    assert found.origin.startswith(origin)
    assert f"Distribution {name} 1.0" in found.message
    assert says in found.message
    assert f'DJANGO_RUNBOOK = {{"PLUGINS": {{"block": ["{name}"]}}}}' in found.hint


def test_mistakes_between_two_places(checked: Checked) -> None:
    """A conflict names both origins, a circle each of its edges, and so on."""
    conflict = checked.one(Code.CONFLICT)
    assert conflict.origin == "shop (shop/routines.py:10)"
    assert checked.at('"Deploy."') in conflict.message
    assert "shop (shop/routines.py:10)" in conflict.message
    same = checked.one(Code.SAME_COMMAND)
    assert same.origin == "shop (shop/routines.py:11)"
    assert checked.at('"same"') in same.message
    assert "disable('deploy', 'shop:probe')" in same.hint
    circle = checked.one(Code.CYCLE)
    assert checked.at('step_id="x"') in circle.message
    assert checked.at('step_id="y"') in circle.message
    assert circle.message.index("settings:x") < circle.message.index("settings:y")
    assert "override('circle', 'settings:x', run_before=[...])" in circle.hint
    wildcard = checked.one(Code.WILDCARD_ORDER)
    assert wildcard.origin.startswith("settings (config/settings/components/")
    assert "config/settings/components/one.py" in wildcard.message
    assert "config/settings/components/two.py" in wildcard.message
    assert "from django_runbook import include" in wildcard.hint
    for name, inner in (("inner", "outer"), ("outer", "inner")):
        nested = checked.one(Code.NESTING_CYCLE, f"Routine {name!r} contains itself")
        assert f"{name} > {inner} > {name}" in nested.message
        assert nested.origin == checked.at(f'command("{name}"')


def test_every_code_is_raised(checked: Checked) -> None:
    """Each id of the package arises here, but for those that are listed with a reason."""
    seen = {Code(one.id) for one in checked.messages}

    assert seen == set(Code) - set(NOT_DECLARED)
    assert {code for code in seen if code.value.startswith("E")} == {
        Code(one.id) for one in messages(checked.err.partition("WARNINGS:")[0])
    }
    assert checked.status == 1
    assert "Traceback" not in checked.err


def test_no_problem_is_reported_twice(checked: Checked) -> None:
    """Neither one of a routine that another contains, nor one that concerns every routine."""
    twice = [one for one, count in Counter(checked.messages).items() if count > 1]

    assert twice == []
    assert len(checked.messages) == checked.err.count("(django_runbook.")


def test_without_deploy_nothing_is_checked_or_loaded(checked: Checked, project: Project) -> None:
    """``check`` is silent about all of it, and imports no hook module to find out."""
    imported = (checked.project.root / "imported.txt").read_text()
    assert set(imported.split()) == {
        "acme_import.hooks",
        "acme_nohook.hooks",
        "acme_raises.hooks",
        "shop.routines",
    }
    broken_site(project)

    for words in (("check",), ("migrate",), ("probe",)):
        ran = project.manage(*words)
        assert ran.status == 0, ran.err
        assert "django_runbook." not in ran.out + ran.err
    assert not (project.root / "imported.txt").exists()


def test_a_missing_program_stops_the_run(checked: Checked) -> None:
    """What is a warning of the checks (W006) is an error where the routine runs (E014)."""
    ran = checked.project.manage("routine", "names")

    assert ran.status == 1
    assert "Traceback" not in ran.err
    assert f"({Code.UNKNOWN_PROGRAM.value})" in ran.err.replace("django_runbook.", "")
    assert "'no-such-program-anywhere' on PATH" in ran.err
    assert "W006" not in ran.err
    assert checked.project.ran == []


def test_a_clean_site_is_silent(project: Project) -> None:
    """Settings, an app and a distribution that fit together give no message at all."""
    project.app("shop", routines=hook('routines.command("deploy", "probe", "shop")'))
    project.distribution(
        "acme-cdn",
        modules={"acme_cdn/hooks.py": hook('routines.system("deploy", "echo", "x")')},
        entry_points={"django_runbook": {"main": "acme_cdn.hooks"}},
    )
    project.settings("""
        routine("deploy", "Deploy.", demo="Load the demo data.")
        command("deploy", "migrate", "--noinput", priority=-5)
        command("deploy", "probe", switches=["demo"], run_after=["migrate"], tag="x")
        command("all", "routine", "deploy", "--demo")
        DJANGO_RUNBOOK = {"PLUGINS": {"allow": ["acme-cdn"]}}
    """)

    ran = project.manage(*CHECK)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out == "System check identified no issues (0 silenced).\n"


def test_warnings_can_be_silenced_and_stop_nothing(project: Project) -> None:
    """They are Django's own messages: ``SILENCED_SYSTEM_CHECKS`` knows their ids."""
    project.settings("""
        command("deploy", "probe", run_after=["nothing"])
        system("deploy", "no-such-program-anywhere", switches=["odd"])
        SILENCED_SYSTEM_CHECKS = ["django_runbook.W006"]
    """)

    ran = project.manage(*CHECK)
    assert ran.status == 0
    assert [one.id for one in messages(ran.err)] == ["W001"]
    assert "1 silenced" in ran.err
    assert project.manage(*CHECK, "--fail-level", "WARNING").status == 1
    assert project.manage("routine", "deploy").status == 0
    assert project.ran == ["probe"]


def test_a_step_behind_a_switch_is_checked(project: Project) -> None:
    """The checks look at every routine with all its switches on, before a deploy needs them."""
    project.settings("""
        command("deploy", "probe")
        command("deploy", "prboe", switches=["rarely"])
    """)

    ran = project.manage(*CHECK)

    assert [(one.id, one.hint) for one in messages(ran.err)] == [
        ("E012", "Did you mean 'probe'?"),
    ]


def test_what_apps_and_distributions_declare_is_judged_at_its_line(project: Project) -> None:
    """A malformed declaration of ``ready()`` or of a hook is an error with that file and line."""
    project.app(
        "shop",
        apps="""
            from django.apps import AppConfig
            from django_runbook import contribute

            class ShopConfig(AppConfig):
                name = "shop"

                def ready(self):
                    contribute(self).command("deploy", "probe", priority=True)
        """,
    )
    project.distribution(
        "acme-cdn",
        modules={"acme_cdn/hooks.py": hook('routines.system("deploy", "echo", prioritty=5)')},
        entry_points={"django_runbook": {"main": "acme_cdn.hooks"}},
    )
    project.settings("")

    found = messages(project.manage(*CHECK).err)

    assert {(one.id, one.origin, one.hint) for one in found} == {
        ("E001", "shop (shop/apps.py:8)", "Lower runs first; the default is 0."),
        ("E001", "acme-cdn (acme_cdn/hooks.py:5)", "Did you mean 'priority'?"),
    }


def test_the_name_and_its_arguments_in_one_string(project: Project) -> None:
    """A frequent slip is answered with the form that works."""
    project.settings('command("deploy", "probe --fail")')

    [found] = messages(project.manage(*CHECK).err)

    assert (found.id, found.hint) == (
        "E012",
        "Write the name and its arguments apart: ('probe', '--fail').",
    )
