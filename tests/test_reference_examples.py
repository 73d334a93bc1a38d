"""The documents that this package was written beside: what they show works as a step, for real."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from .projects import ENVIRONMENT, Project, Ran, write

PATIENCE = 60
"""Seconds that a thing may take to happen before a test gives up."""

BOTH_WAYS = pytest.mark.parametrize("how", [(), ("--subprocess",)], ids=["here", "apart"])
"""Management commands run in the routine's process, or each in one of its own."""


def settle(project: Project, *texts: str) -> None:
    """Write a settings module of several parts, each with its own indentation."""
    project.settings("\n".join(map(textwrap.dedent, texts)))


def until(happened: Callable[[], bool], what: str) -> None:
    """Wait for a thing itself, and fail if it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def outside() -> dict[str, str]:
    """Return this process's environment without the settings of its own tests."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}


@contextmanager
def started(project: Project, *args: str, **kwargs: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``manage.py`` beside the test, with pipes of bytes, and leave nothing behind."""
    process = subprocess.Popen(
        [sys.executable, str(project.root / "manage.py"), *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**outside(), **ENVIRONMENT, "PYTHONPATH": "", "COLUMNS": "80"},
        cwd=project.root,
        **kwargs,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def rows(database: Path, query: str) -> list[Any]:
    """Return the rows of a query; of rows with one column their values."""
    with closing(sqlite3.connect(database)) as connection:
        found = connection.execute(query).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def execute(database: Path, script: str) -> None:
    """Change a database from outside."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)


# -- a site with two routines: one makes the package, one deploys -------------------------------

SITE = """
    INSTALLED_APPS += ["django.contrib.contenttypes", "django.contrib.auth"]
    INSTALLED_APPS += ["django.contrib.staticfiles"]
    DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
    STATIC_URL = "static/"
    STATIC_ROOT = BASE / "collected"
"""

FUNCTIONS = """
    routine(name="package", help_text="Make all that goes into the wheel.")
    command("package", "makemigrations")
    command("package", "renderstatic")
    system("package", "{builder}", "build")

    routine(
        "deploy",
        "Bring the site up.",
        ManagementCommand(("routine", "package"), switches=["prepare"]),
        ManagementCommand("migrate"),
        ManagementCommand("collectstatic"),
        ManagementCommand(("shellcompletion", "install"), switches=["initial"]),
        ManagementCommand(("loaddata", "./fixtures/demo.json"), switches=["demo"]),
        SystemCommand(("touch", str(BASE / "wsgi.py"))),
        prepare="Make the package first.",
        initial="What only a new server needs.",
        demo="Fill the shop with examples.",
    )
"""

DICTIONARY = """
    DJANGO_ROUTINES = {{
        "deploy": {{
            "commands": [
                {{"management": ("routine", "package"), "switches": ["prepare"]}},
                {{"management": "migrate"}},
                {{"management": "collectstatic"}},
                {{"management": ("shellcompletion", "install"), "switches": ["initial"]}},
                {{"management": ("loaddata", "./fixtures/demo.json"), "switches": ["demo"]}},
                {{"system": ("touch", str(BASE / "wsgi.py"))}},
            ],
            "help_text": "Bring the site up.",
            "switch_helps": {{
                "demo": "Fill the shop with examples.",
                "initial": "What only a new server needs.",
                "prepare": "Make the package first.",
            }},
        }},
        "package": {{
            "commands": [
                {{"management": "makemigrations"}},
                {{"management": "renderstatic"}},
                {{"system": ("{builder}", "build")}},
            ],
            "help_text": "Make all that goes into the wheel.",
        }},
    }}
"""


def form(text: str, builder: str = "poetry") -> str:
    """Return one of the two ways to declare the routines."""
    return textwrap.dedent(text).format(builder=builder)


FORMS = pytest.mark.parametrize("declared", [FUNCTIONS, DICTIONARY], ids=["functions", "setting"])

MODELS = """
    from django.db import models

    class Product(models.Model):
        name = models.CharField(max_length=20)
"""

RENDER = """
    from pathlib import Path

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            Path("shop/static/urls.js").write_text("export {};")
            self.stdout.write("urls.js is rendered")
"""

BUILDER = """
    #!/bin/sh
    echo "$(basename "$0") was asked to $*" | tee -a built.txt
"""


@pytest.fixture
def site(project: Project) -> Project:
    """A project whose app has a model, but no migration yet, and programs that build a wheel."""
    project.app("shop", models=MODELS)
    project.command("shop", "renderstatic", RENDER)
    project.file("shop/migrations/__init__.py", "")
    project.file("shop/static/shop.css", "")
    project.file("fixtures/demo.json", """
        [{"model": "shop.product", "pk": 1, "fields": {"name": "teapot"}}]
    """)  # fmt: skip
    os.utime(project.file("wsgi.py", ""), (0, 0))
    for program in ("poetry", "uv"):
        project.file(f"bin/{program}", BUILDER).chmod(0o755)
    (project.root / "home").mkdir()
    return project


def surroundings(site: Project) -> dict[str, str]:
    """Return the environment of someone who works with bash on the site."""
    return {
        "PATH": f"{site.root / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(site.root / "home"),
        "SHELL": "/bin/bash",
    }


def echoed(site: Project, out: str) -> list[str]:
    """Return the command lines that a run has shown, as the documents show them."""
    names = ("routine ", "makemigrations", "renderstatic", "poetry build", "uv build", "migrate")
    names += ("collectstatic", "shellcompletion ", "loaddata ", "touch ")
    lines = [line for line in out.splitlines() if line.startswith(names)]
    return [line.replace(str(site.root), "/srv") for line in lines]


def has_deployed(site: Project) -> bool:
    """Tell whether the site's deploy has left everything that it is for."""
    assert rows(site.root / "db.sqlite3", "SELECT name FROM shop_product") == ["teapot"]
    assert (site.root / "collected" / "urls.js").exists()
    assert ".bash_completions" in (site.root / "home" / ".bashrc").read_text()
    return (site.root / "wsgi.py").stat().st_mtime > 0


def in_bash(*words: str) -> list[str]:
    """Return what runs ``manage.py`` below bash: shellcompletion looks for the shell above it."""
    return ["bash", "-c", f'"$0" manage.py {" ".join(words)}; exit $?', sys.executable]


def without_terminal(site: Project, *words: str) -> Ran:
    """Run ``manage.py`` where nobody answers."""
    done = subprocess.run(
        in_bash(*words),
        cwd=site.root,
        env={**outside(), **ENVIRONMENT, **surroundings(site)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def on_terminal(site: Project, *words: str) -> tuple[int | None, str]:
    """Run ``manage.py`` on a pseudo-terminal, with yes to every question, in black and white."""
    bash, *rest = in_bash(*words)
    child = pexpect.spawn(
        bash,
        rest,
        cwd=str(site.root),
        env={**outside(), **ENVIRONMENT, **surroundings(site), "NO_COLOR": "1"},
        encoding="utf-8",
        dimensions=(40, 250),
        timeout=PATIENCE,
    )
    shown = ""
    while child.expect([r"\[y/n\]", pexpect.EOF]) == 0:
        shown += child.before or ""
        child.sendline("y")
    shown += child.before or ""
    child.close()
    return child.exitstatus, shown.replace("\r\n", "\n")


@FORMS
def test_package_and_then_deploy_on_a_new_server(site: Project, declared: str) -> None:
    """Each command runs, shown by its line, in the order declared, and does what it is for."""
    settle(site, SITE, form(declared, builder="uv"))

    package = site.manage("routine", "package", env=surroundings(site))
    assert (package.status, package.err) == (0, "")
    assert echoed(site, package.out) == ["makemigrations", "renderstatic", "uv build"]
    assert (site.root / "built.txt").read_text() == "uv was asked to build\n"
    assert "uv was asked to build" in package.out
    assert (site.root / "shop/migrations/0001_initial.py").exists()

    status, shown = on_terminal(site, "routine", "deploy", "--initial", "--demo")
    assert status == 0, shown
    assert echoed(site, shown) == [
        "migrate",
        "collectstatic",
        "shellcompletion install",
        "loaddata ./fixtures/demo.json",
        "touch /srv/wsgi.py",
    ]
    assert has_deployed(site)


@pytest.mark.parametrize(
    ("declared", "how"),
    [(FUNCTIONS, ("--subprocess",)), (DICTIONARY, ())],
    ids=["functions-apart", "setting-here"],
)
def test_deploy_prepares_migrates_and_loads_in_one_run(
    site: Project, declared: str, how: tuple[str, ...]
) -> None:
    """With ``--all`` the migration that the nested routine has made is applied by what follows."""
    settle(site, SITE, form(declared))

    status, shown = on_terminal(site, "routine", "deploy", "--all", *how)

    assert status == 0, shown
    assert echoed(site, shown) == [
        "routine package",
        "makemigrations",
        "renderstatic",
        "poetry build",
        "migrate",
        "collectstatic",
        "shellcompletion install",
        "loaddata ./fixtures/demo.json",
        "touch /srv/wsgi.py",
    ]
    assert has_deployed(site)


@BOTH_WAYS
def test_a_step_that_asks_where_nobody_is_fails(site: Project, how: tuple[str, ...]) -> None:
    """Without a terminal the question finds no answer: the step fails, and nothing waits."""
    site.file("shop/migrations/0001_initial.py", MIGRATION)
    settle(site, SITE, form(FUNCTIONS))

    alone = without_terminal(site, "routine", "deploy", "--initial", *how)

    assert alone.status == 1
    assert "failed: settings:shellcompletion" in alone.err
    assert "Aborted" in alone.err
    assert "not run: settings:touch" in alone.err
    assert not (site.root / "home" / ".bashrc").exists()
    assert (site.root / "wsgi.py").stat().st_mtime == 0


@BOTH_WAYS
def test_a_step_that_is_told_not_to_ask_never_asks(site: Project, how: tuple[str, ...]) -> None:
    """What cannot be told to a subprocess, as no flag turns it off, is refused and not left out."""
    settle(site, SITE, """
        command("complete", "probe", "before")
        command("complete", "shellcompletion", "install", prompt=False)
    """)  # fmt: skip

    done = without_terminal(site, "routine", "complete", *how)

    assert "[y/n]" not in done.out
    if how:
        assert (done.status, done.out, site.ran) == (1, "", [])
        assert "option 'prompt'" in done.err
    else:
        assert done.status == 0, done.err
        assert ".bash_completions" in (site.root / "home" / ".bashrc").read_text()


MIGRATION = """
    from django.db import migrations, models

    class Migration(migrations.Migration):
        initial = True
        operations = [
            migrations.CreateModel(
                "Product",
                [
                    ("id", models.BigAutoField(primary_key=True, serialize=False)),
                    ("name", models.CharField(max_length=20)),
                ],
            )
        ]
"""


def without_places(document: Any) -> Any:
    """Return a plan without what tells where it was written."""
    if isinstance(document, dict):
        return {key: without_places(one) for key, one in document.items() if key[:6] != "origin"}
    return [without_places(one) for one in document] if isinstance(document, list) else document


def test_both_forms_are_one_plan_with_any_switches(site: Project) -> None:
    """Functions and dictionary agree on every step, id, help and fingerprint; ``list`` shows it."""
    seen = []
    for declared in (FUNCTIONS, DICTIONARY):
        settle(site, SITE, form(declared))
        seen.append(
            site.python("""
                import io, json, django
                django.setup()
                from django.core.management import call_command
                for words in (["package"], ["deploy"], ["deploy", "--initial", "--demo"],
                              ["deploy", "--all"]):
                    for more in (["--explain", "--format", "json"], ["list"]):
                        out = io.StringIO()
                        call_command("routine", *words, *more, stdout=out)
                        print(json.dumps(out.getvalue()))
            """)
        )

    assert [ran.err for ran in seen] == ["", ""]
    answers = [[json.loads(line) for line in ran.out.splitlines()] for ran in seen]
    plans, lists = (
        [[without_places(json.loads(one)) for one in answer[::2]] for answer in answers],
        [answer[1::2] for answer in answers],
    )
    assert plans[0] == plans[1]
    assert lists[0] == lists[1]
    assert len({plan["fingerprint"] for plan in plans[0]}) == 4
    assert [step["id"] for step in plans[0][3]["steps"] if step["status"] == "run"] == [
        "settings:routine",
        "settings:migrate",
        "settings:collectstatic",
        "settings:shellcompletion",
        "settings:loaddata",
        "settings:touch",
    ]
    assert lists[0][2].replace(str(site.root), "/srv").splitlines() == [
        "[0] migrate",
        "[0] collectstatic",
        "[0] shellcompletion install | initial",
        "[0] loaddata ./fixtures/demo.json | demo",
        "[0] touch /srv/wsgi.py",
    ]


def test_the_help_names_routines_and_their_switches(site: Project) -> None:
    """``--help`` shows each routine's purpose, and a routine's shows that of each switch."""
    settle(site, SITE, form(FUNCTIONS))

    everything = site.manage("routine", "--help").out
    deploy = site.manage("routine", "deploy", "--help").out

    for text in ("Bring the site up.", "Make all that goes into the wheel.", "--manage-script"):
        assert text in everything
    for text in ("--subprocess", "--atomic", "--continue", "--all", "list"):
        assert text in deploy
    for switch, text in (
        ("--prepare", "Make the package first."),
        ("--initial", "What only a new server needs."),
        ("--demo", "Fill the shop with examples."),
    ):
        assert any(switch in line and text in line for line in deploy.splitlines()), deploy


@pytest.mark.parametrize("named", ["functions", "setting"])
def test_helps_may_be_translated_lazily(project: Project, named: str) -> None:
    """The helps of routines and switches come out in the language in force, not sooner."""
    declared = {
        "functions": """
            routine("deploy", _("Tuesday"), demo=_("Monday"))
            command("deploy", "probe", switches=["demo"])
        """,
        "setting": """
            DJANGO_ROUTINES = {"deploy": {
                "help_text": _("Tuesday"),
                "switch_helps": {"demo": _("Monday")},
                "commands": [{"management": "probe", "switches": ["demo"]}],
            }}
        """,
    }
    imports = "from django.utils.translation import gettext_lazy as _\n"
    settle(project, f'{imports}LANGUAGE_CODE = "de"\n', declared[named])

    deploy = project.manage("routine", "deploy", "--help").out
    assert "Dienstag" in deploy
    assert "Montag" in deploy


def test_priorities_order_what_is_declared_apart(project: Project) -> None:
    """Lower priorities run first, wherever they are declared; equal ones as declared."""
    project.settings("""
        command("deploy", "probe", "migrate", priority=2)
        command("deploy", "probe", "collect", priority=3)
        command("deploy", "probe", "makemigrations", priority=1)
        command("deploy", "probe", "first")
        command("deploy", "probe", "collect-again", priority=3)
        command("deploy", "probe", "before-all", priority=-1)
    """)

    assert project.manage("routine", "deploy").status == 0
    expected = ["before-all", "first", "makemigrations", "migrate", "collect", "collect-again"]
    assert project.ran == [f"probe {word}" for word in expected]


@BOTH_WAYS
def test_an_option_as_a_word_and_by_name_does_the_same(
    project: Project, how: tuple[str, ...]
) -> None:
    """``--no-header`` and ``no_header=True`` write the same migration, without its header."""
    names = ("worded", "named")
    for name in names:
        project.app(name, models=MODELS)
        project.file(f"{name}/migrations/__init__.py", "")
    settle(project, SITE, """
        command("package", ("makemigrations", "worded", "--no-header"))
        command("package", "makemigrations", "named", no_header=True)
    """)  # fmt: skip

    done = project.manage("routine", "package", *how)

    assert (done.status, done.err) == (0, "")
    worded, named = (
        (project.root / name / "migrations/0001_initial.py").read_text() for name in names
    )
    assert "# Generated by Django" not in worded
    assert worded == named


# -- execution controls -------------------------------------------------------------------------

NOTE = """
    import os

    from django.core.management.base import BaseCommand, CommandError
    from django.db import connection

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("text")
            parser.add_argument("--fail", action="store_true")

        def handle(self, *args, **options):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO note VALUES (%s)", [options["text"]])
            with open("pids.txt", "a") as file:
                print(os.getpid(), file=file)
            if options["fail"]:
                raise CommandError("the ink is out")
"""

STEPS = """
    for name in ("plain", "atomic", "going_on", "apart"):
        command(name, "note", "one")
        command(name, "note", "two", "--fail")
        command(name, "note", "three")
    routine("atomic", atomic=True)
    routine("going_on", continue_on_error=True)
    routine("apart", subprocess=True, continue_on_error=True)
"""


@pytest.fixture
def notes(project: Project) -> Project:
    """A project with a command that leaves a row, and four routines whose second step fails."""
    project.command("probe", "note", NOTE)
    project.settings(STEPS)
    execute(project.root / "db.sqlite3", "CREATE TABLE note (text)")
    return project


CONTROLLED = [
    ("plain", ["one", "two"], 1),
    ("plain --atomic", [], 1),
    ("plain --continue", ["one", "two", "three"], 1),
    # Each step has a savepoint, so that what the failed one did is undone.
    ("plain --atomic --continue", ["one", "three"], 1),
    ("plain --subprocess", ["one", "two"], 2),
    ("atomic", [], 1),
    ("atomic --non-atomic", ["one", "two"], 1),
    ("going_on", ["one", "two", "three"], 1),
    ("going-on --halt", ["one", "two"], 1),
    ("going-on --atomic --halt", [], 1),
    ("apart", ["one", "two", "three"], 3),
    ("apart --no-subprocess", ["one", "two", "three"], 1),
    ("apart --no-subprocess --halt --atomic", [], 1),
]
"""What is asked for, the rows that are left, and the number of processes that wrote them."""


def test_the_command_line_overrides_what_the_routine_states(notes: Project) -> None:
    """Each control is in force as declared, and as its option says where one is given."""
    done = notes.python(f"""
        import io, json, pathlib, django
        django.setup()
        from django.core.management import CommandError, call_command
        from django.db import connection
        pids = pathlib.Path("pids.txt")
        for words, _, _ in {CONTROLLED!r}:
            pids.write_text("")
            connection.cursor().execute("DELETE FROM note")
            try:
                call_command("routine", *words.split(), stdout=io.StringIO(), stderr=io.StringIO())
                said = "no failure"
            except CommandError as exc:
                said = str(exc)
            cursor = connection.cursor()
            cursor.execute("SELECT text FROM note")
            left = [row[0] for row in cursor.fetchall()]
            processes = len(set(pids.read_text().split()))
            print(json.dumps([words, left, processes, "the ink is out" in said]))
    """)

    assert (done.status, done.err) == (0, "")
    seen = [json.loads(line) for line in done.out.splitlines()]
    assert seen == [[*one, True] for one in CONTROLLED]


MARKED = """
    import pathlib
    import sys

    with open("scripts.txt", "a") as file:
        print(pathlib.Path(__file__).name, *sys.argv[1:], file=file)
"""


def test_subprocesses_use_the_script_that_the_routine_was_started_with(project: Project) -> None:
    """``--subprocess`` runs it again, unless ``--manage-script`` names another.

    Programs are always processes of their own, and never go through it.
    """
    manage = (project.root / "manage.py").read_text()
    for name in ("manage.py", "bin/tool"):
        first = f"#!{sys.executable}\n" if name == "bin/tool" else ""
        write(project.root / name, first + textwrap.dedent(MARKED) + manage).chmod(0o755)
    write(project.root / "bin/config", "").unlink()
    (project.root / "bin/config").symlink_to(project.root / "config")
    project.settings("""
        command("deploy", "probe", "it", tag="is here")
        system("deploy", "true")
    """)
    asked = ["routine", "deploy", "--subprocess"]
    probed = "probe --tag=is here --skip-checks it"

    own = project.manage(*asked)
    tool = project.manage("routine", "--manage-script", "./bin/tool", *asked[1:])
    module = project.python("""
        import runpy, sys
        sys.argv = ["django", "routine", "deploy", "--subprocess"]
        runpy.run_module("django", run_name="__main__", alter_sys=True)
    """)

    for ran in (own, tool, module):
        assert (ran.status, ran.err) == (0, "")
    lines = (project.root / "scripts.txt").read_text().splitlines()
    scripts = [line.split()[0] for line in lines]
    assert scripts == ["manage.py", "manage.py", "manage.py", "tool"]
    children = [lines[index].split(maxsplit=1)[1] for index in (1, 3)]
    for child in children:
        assert sorted(child.split()) == sorted(probed.split())
    assert project.ran == ["probe it is here"] * 3


# -- hooks --------------------------------------------------------------------------------------

HOOKS = """
    import json

    from django_runbook import SystemCommand
    from django_runbook.exceptions import ExitEarly

    def say(*words):
        with open("ran.txt", "a") as file:
            print(*words, file=file)

    def name(command):
        return command and command.command_str

    # code around
    def initialize(routine, plan, switches, options):
        say("initialize", routine.name, len(plan), sorted(switches), options["loud"])

    def finalize(routine, results):
        say("finalize", routine.name, [getattr(one, "returncode", one) for one in results])

    def before(routine, command, previous, options):
        say("before", name(command), "after", name(previous), options["verbosity"])

    def after(routine, command, following, options):
        say("after", name(command), "before", name(following), command.priority)

    # skipping and ending
    def skip_two(routine, command, previous, options):
        return command.command_args[0] == "two"

    def end_at_two(routine, command, following, options):
        return command.command_args[0] == "two"

    def raise_at_two(routine, command, other, options):
        if command.command_args[0] == "two":
            raise ExitEarly

    def never(*args):
        raise ExitEarly

    # changing
    def change_this(routine, command, previous, options):
        command.options["tag"] = "changed"

    def change_next(routine, command, following, options):
        if following is not None:
            following.command = ("probe", "instead of " + name(following))

    def drop_and_turn(routine, plan, switches, options):
        del plan[1]
        plan.reverse()

    def change_result(routine, command, following, options):
        say("returned", command.result)
        command.result = "better " + str(command.result)
"""

HOOKED = """
    import hooks

    for name in (
        "around", "skip", "end", "raise_before", "raise_after", "never",
        "this", "next", "plan", "results", "broken",
    ):
        for word in ("one", "two", "three"):
            command(name, "answer" if name == "results" else "probe", word)
    routine("around", loud="Say more.", initialize="hooks.initialize", finalize=hooks.finalize)
    command(
        "around", "probe", "four", priority=4, switches=["loud"],
        pre_hook="hooks.before", post_hook=hooks.after,
    )
    system("around", "true", priority=5, pre_hook=hooks.before, post_hook="hooks.after")
    routine("skip", pre_hook=hooks.skip_two)
    routine("end", post_hook="hooks.end_at_two")
    routine("raise_before", pre_hook="hooks.raise_at_two")
    routine("raise_after", post_hook="hooks.raise_at_two")
    routine("never", initialize=hooks.never)
    routine("this", pre_hook=hooks.change_this)
    routine("next", post_hook=hooks.change_next)
    routine("plan", initialize="hooks.drop_and_turn")
    routine("results", post_hook=hooks.change_result, finalize=hooks.finalize)
    routine("broken", pre_hook="hooks.befor")
"""

ANSWER = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("word")

        def handle(self, *args, **options):
            return "answer " + options["word"]
"""


def test_hooks_have_every_power_that_the_document_lists(project: Project) -> None:
    """Code around, all of the context, skipping, ending early, changing: each time from anew."""
    project.file("hooks.py", HOOKS)
    project.command("probe", "answer", ANSWER)
    project.settings(HOOKED)

    done = project.python("""
        import json, pathlib, django
        django.setup()
        from django.core.management import CommandError, call_command
        trace = pathlib.Path("ran.txt")
        def ran(*words):
            trace.write_text("")
            try:
                call_command("routine", "--verbosity", "0", *words)
            except CommandError as exc:
                return str(exc)
            return trace.read_text().splitlines()
        seen = {" ".join(words): [ran(*words), ran(*words)] for words in (
            ["around", "--loud"], ["skip"], ["end"], ["raise-before"], ["raise-after"], ["never"],
            ["this"], ["next"], ["plan"], ["results"], ["broken"])}
        print("SEEN" + json.dumps(seen))
    """)

    assert (done.status, done.err) == (0, "")
    both = json.loads(done.out.partition("SEEN")[2])
    for name, (first, second) in both.items():
        assert first == second, f"the second run of {name} did not start from its declaration"
    seen = {name: first for name, (first, _) in both.items()}
    assert seen["around --loud"] == [
        "initialize around 5 ['loud'] True",
        "probe one",
        "probe two",
        "probe three",
        "before probe four after probe three 0",
        "probe four",
        "after probe four before true 4",
        "before true after probe four 0",
        "after true before None 5",
        "finalize around [None, None, None, None, 0]",
    ]
    assert seen["skip"] == ["probe one", "probe three"]
    assert seen["end"] == ["probe one", "probe two"]
    assert seen["raise-before"] == ["probe one"]
    assert seen["raise-after"] == ["probe one", "probe two"]
    assert seen["never"] == []
    assert seen["this"] == ["probe one changed", "probe two changed", "probe three changed"]
    assert seen["next"] == [
        "probe one",
        "probe instead of probe two",
        "probe instead of probe three",
    ]
    assert seen["plan"] == ["probe three", "probe one"]
    assert seen["results"] == [
        "returned answer one",
        "returned answer two",
        "returned answer three",
        "finalize results ['better answer one', 'better answer two', 'better answer three']",
    ]
    assert "'hooks.befor' cannot be loaded" in seen["broken"]


# -- the forms of commands ----------------------------------------------------------------------

TRACE = """
    def trace(*words):
        with open("ran.txt", "a") as file:
            print(*words, file=file)
"""

INDEX = """
    from django.apps import apps
    from django.core.management.base import LabelCommand

    from shop.trace import trace

    class Command(LabelCommand):
        label = "model"

        def handle_label(self, label, **options):
            trace("indexed", apps.get_model(label)._meta.label)
"""

CENSUS = """
    from django.core.management.base import AppCommand

    from shop.trace import trace

    class Command(AppCommand):
        def handle_app_config(self, app_config, **options):
            trace("counted", app_config.label, len(list(app_config.get_models())))
"""

TRANSFER = """
    from django.core.management.base import BaseCommand

    from shop.trace import trace

    class Command(BaseCommand):
        def add_arguments(self, parser):
            verbs = parser.add_subparsers(dest="verb")
            verbs.add_parser("import").add_argument("file")
            verbs.add_parser("export").add_argument("--output", required=True)

        def handle(self, *args, **options):
            trace(options["verb"], options["file" if options["verb"] == "import" else "output"])
"""

INGEST = """
    import argparse
    import warnings

    from django.core.management.base import BaseCommand

    from shop.trace import trace

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("source")
            parser.add_argument("--format", choices=["csv", "json", "xml"], default="csv")
            group = parser.add_mutually_exclusive_group()
            group.add_argument("--activate", action="store_true")
            group.add_argument("--deactivate", action="store_true")
            parser.add_argument("--exclude", nargs="+", default=[])
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # newer Pythons would rather not have it
                parser.add_argument("--config", type=argparse.FileType("r"))

        def handle(self, *args, **options):
            config = ""
            if options["config"]:
                with options["config"] as file:
                    config = file.read().strip()
            flags = [name for name in ("activate", "deactivate") if options[name]]
            trace(options["source"], options["format"], flags, options["exclude"], config)
"""


@pytest.fixture
def shop(project: Project) -> Project:
    """A project with an app whose commands take their arguments in every way."""
    project.app("shop", models=MODELS, trace=TRACE)
    for name, text in (
        ("index", INDEX),
        ("census", CENSUS),
        ("transfer", TRANSFER),
        ("ingest", INGEST),
    ):
        project.command("shop", name, text)
    return project


@BOTH_WAYS
def test_arguments_of_every_form_reach_their_commands(shop: Project, how: tuple[str, ...]) -> None:
    """Labels, apps, subcommands, choices, exclusive flags, lists and files, as words or by name."""
    shop.file("ingest.cfg", "strict\n")
    settle(shop, SITE, """
        command("forms", "index", "shop.Product", "auth.Group")
        command("forms", "census", "shop", "auth")
        command("forms", "transfer", "import", "stock.csv")
        command("forms", "transfer", "export", "--output", "all.csv")
        command("forms", ("transfer", "export"), output="-by name.csv")
        command("forms", "ingest", "a")
        command("forms", "ingest", "b", "--format", "json", "--activate")
        command("forms", "ingest", "c", format="xml", deactivate=True, exclude=["x", "y"])
        command("forms", "ingest", "d", "--exclude", "x", "y", format="json", activate=False)
        command("forms", "ingest", "--config=ingest.cfg", "--", "-e", exclude=["x"])
    """)  # fmt: skip

    done = shop.manage("routine", "forms", *how)

    assert (done.status, done.err) == (0, "")
    assert shop.ran == [
        "indexed shop.Product",
        "indexed auth.Group",
        "counted shop 1",
        "counted auth 3",
        "import stock.csv",
        "export all.csv",
        "export -by name.csv",
        "a csv [] [] ",
        "b json ['activate'] [] ",
        "c xml ['deactivate'] ['x', 'y'] ",
        "d json [] ['x', 'y'] ",
        "-e csv [] ['x'] strict",
    ]


@BOTH_WAYS
def test_what_a_parser_refuses_is_found_before_the_first_step(
    shop: Project, how: tuple[str, ...]
) -> None:
    """Each step is refused with the message that the command line would show; nothing runs."""
    settle(shop, SITE, """
        command("wrong", "probe", "first")
        command("wrong", "index", step_id="labels")
        command("wrong", "transfer", "export", step_id="output")
        command("wrong", "ingest", "a", "--activate", "--deactivate", step_id="flags")
        command("wrong", "ingest", "a", "--format", "yaml", step_id="choice")
        command("wrong", "ingest", "a", "--exclude", step_id="several")
        command("wrong", "ingest", "a", "--no-such-flag", step_id="unknown")
    """)  # fmt: skip

    done = shop.manage("routine", "wrong", "--continue", *how)

    assert (done.status, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert shop.ran == []
    assert done.err.count("(django_runbook.E013)") == 6
    for step, words in (
        ("labels", "Enter at least one model."),
        ("output", "the following arguments are required: --output"),
        ("flags", "argument --deactivate: not allowed with argument --activate"),
        ("choice", "argument --format: invalid choice: 'yaml'"),
        ("several", "argument --exclude: expected at least one argument"),
        ("unknown", "unrecognized arguments: --no-such-flag"),
    ):
        (line,) = [one for one in done.err.splitlines() if f"settings:{step} in" in one]
        assert words in line


@BOTH_WAYS
def test_what_only_the_command_can_tell_is_a_failure_in_its_own_words(
    shop: Project, how: tuple[str, ...]
) -> None:
    """An app that there is not and a file that cannot be opened fail their steps; the rest runs."""
    settle(shop, SITE, """
        command("wrong", "census", "nowhere", step_id="app")
        command("wrong", "ingest", "a", "--config", "none.cfg", step_id="file")
        command("wrong", "probe", "the rest")
    """)  # fmt: skip

    done = shop.manage("routine", "wrong", "--continue", *how)

    assert done.status == 1
    assert "Traceback" not in done.err
    assert shop.ran == ["probe the rest"]
    assert "2 of 3 steps of routine 'wrong' failed." in done.err
    said = dict(
        block.split("\n", 1)
        for block in done.err.partition("2 of 3")[2].split("failed: settings:")[1:]
    )
    for step, words in (
        ("app", "No installed app with label 'nowhere'."),
        ("file", "can't open 'none.cfg'"),
    ):
        assert words in said[step], said[step]


def test_an_option_that_cannot_be_said_to_a_subprocess_is_refused_first(shop: Project) -> None:
    """Nothing runs if a step's named option has no form on the command line of its command."""
    settle(shop, SITE, """
        command("refused", "probe", "never")
        command("refused", "ingest", "a", format="yaml")
        command("refused", "ingest", "a", exclude=["x", "-y"])
        command("refused", "ingest", "a", **{"--format": "csv"})
        command("refused", "transfer", "export", outptu="x")
    """)  # fmt: skip

    done = shop.manage("routine", "refused", "--subprocess")

    assert (done.status, done.out) == (1, "")
    assert "Traceback" not in done.err
    assert done.err.count("ERROR settings (config/settings.py:") == 4
    for words in (
        "option 'format' cannot be 'yaml'",
        "Give one of csv, json, xml.",
        "option 'exclude' has several values, and '-y'",
        "no option '--format'",
        "Did you mean 'format'?",
        "no option 'outptu'",
        "Did you mean 'output'?",
    ):
        assert words in done.err
    assert shop.ran == []


# -- commands that change data ------------------------------------------------------------------

BATCHES = """
    from django.core.management.base import BaseCommand, CommandError
    from django.db import connection, transaction

    MOVE = "UPDATE member SET moved = 1 WHERE id = %s"

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--batch-size", type=int, default=1000)
            parser.add_argument("--dry-run", action="store_true")

        def handle(self, *args, **options):
            cursor = connection.cursor()
            cursor.execute("SELECT id FROM member WHERE moved = 0 ORDER BY id")
            waiting = [row[0] for row in cursor.fetchall()]
            size, moved = options["batch_size"], 0
            for start in range(0, len(waiting), size):
                batch = waiting[start : start + size]
                try:
                    with transaction.atomic():
                        for member in batch:
                            if not options["dry_run"]:
                                cursor.execute(MOVE, [member])
                            if member == 6 and not options["dry_run"]:
                                raise ValueError("member 6 is odd")
                except ValueError as exc:
                    self.stderr.write(self.style.ERROR(f"The batch at {start} failed: {exc}"))
                    raise CommandError(f"Stopped: {moved} of {len(waiting)} moved.")
                moved += len(batch)
            self.stdout.write(self.style.SUCCESS(f"Moved {moved} of {len(waiting)}."))
"""


@BOTH_WAYS
def test_batches_before_a_failed_one_are_kept_unless_the_routine_is_atomic(
    project: Project, how: tuple[str, ...]
) -> None:
    """Half-way failure: what the command has committed stays, and a transaction around undoes it.

    A subprocess is outside that transaction, which the plan says.
    """
    project.command("probe", "move_members", BATCHES)
    project.settings("""
        command("rehearse", "move_members", batch_size=2, dry_run=True)
        command("move", "move_members", "--batch-size", "2")
        system("move", "touch", "after")
    """)
    database = project.root / "db.sqlite3"
    members = ", ".join(f"({number}, 0)" for number in range(1, 8))
    execute(database, f"CREATE TABLE member (id, moved); INSERT INTO member VALUES {members}")
    moved = "SELECT id FROM member WHERE moved ORDER BY id"

    rehearsed = project.manage("routine", "rehearse", *how)
    assert (rehearsed.status, rehearsed.err) == (0, "")
    assert "Moved 7 of 7." in rehearsed.out
    assert rows(database, moved) == []

    atomic = project.manage("routine", "move", "--atomic", *how)
    assert atomic.status == 1
    assert "Stopped: 4 of 7 moved." in atomic.err
    assert "rolled back: default" in atomic.err
    assert rows(database, moved) == ([1, 2, 3, 4] if how else [])
    plan = project.manage("routine", "move", "--atomic", *how, "--explain").out
    assert ("settings:move_members runs outside the transaction" in plan) is bool(how)
    execute(database, "UPDATE member SET moved = 0")

    plain = project.manage("routine", "move", *how)
    assert plain.status == 1
    assert "The batch at 4 failed: member 6 is odd" in plain.err
    assert "Stopped: 4 of 7 moved." in plain.err
    assert "not run: settings:touch" in plain.err
    assert rows(database, moved) == [1, 2, 3, 4]
    assert not (project.root / "after").exists()


READER = """
    from django.contrib.auth.models import Group
    from django.core.management.base import BaseCommand

    from shop.trace import trace

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--database", default="default")

        def handle(self, *args, **options):
            database = options["database"]
            names = Group.objects.using(database).values_list("name", flat=True)
            trace(database, sorted(names))
"""


@BOTH_WAYS
def test_a_command_works_on_a_second_database(shop: Project, how: tuple[str, ...]) -> None:
    """``--database other``, as words or by name, goes to the second and leaves the first alone."""
    shop.command("shop", "read_groups", READER)
    shop.file("group.json", """
        [{"model": "auth.group", "fields": {"name": "readers", "permissions": []}}]
    """)  # fmt: skip
    settle(shop, SITE, """
        DATABASES["other"] = {**DATABASES["default"], "NAME": BASE / "other.sqlite3"}
        command("replica", "migrate", "--database", "other", verbosity=0)
        command("replica", "loaddata", "group.json", database="other")
        command("replica", "read_groups", "--database", "other")
        command("replica", "read_groups", database="other")
    """)  # fmt: skip

    done = shop.manage("routine", "replica", *how)

    assert (done.status, done.err) == (0, "")
    assert shop.ran == ["other ['readers']"] * 2
    default, other = (shop.root / f"{name}.sqlite3" for name in ("db", "other"))
    tables = "SELECT name FROM sqlite_master WHERE name = 'auth_group'"
    assert rows(other, tables) == ["auth_group"]
    assert not default.exists() or rows(default, tables) == []


# -- commands that take their time --------------------------------------------------------------

PROGRESS = """
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            for item in range(1, 301):
                if item % 100 == 0:
                    sys.stdout.write(f"\\r Processing: {item}/300 (9/sec)")
                    sys.stdout.flush()
            self.stdout.write(self.style.SUCCESS("\\nCompleted 300 items"))
"""


@BOTH_WAYS
def test_a_progress_loop_comes_through_as_it_was_written(
    project: Project, how: tuple[str, ...]
) -> None:
    """Carriage returns are neither translated nor torn, and stand between the right echoes."""
    project.command("probe", "crawl", PROGRESS)
    project.settings("""
        command("work", "crawl")
        system("work", "echo", "done")
    """)

    with started(project, "routine", "work", *how) as process:
        out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, err
    assert out == (
        b"crawl\n"
        b"\r Processing: 100/300 (9/sec)\r Processing: 200/300 (9/sec)"
        b"\r Processing: 300/300 (9/sec)\nCompleted 300 items\n"
        b"echo done\ndone\n"
    )


LOCKED = """
    import fcntl
    import os

    from django.core.management.base import BaseCommand

    from shop.trace import trace

    class Command(BaseCommand):
        def handle(self, *args, **options):
            with open("payments.lock", "w") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self.stderr.write("Another instance is at work")
                    return
                try:
                    trace("payments are processed")
                finally:
                    os.unlink("payments.lock")
"""


@BOTH_WAYS
def test_a_command_that_locks_a_file_gives_it_back_between_steps(
    shop: Project, how: tuple[str, ...]
) -> None:
    """Another instance is respected, and two steps of one routine do not lock each other out."""
    shop.command("shop", "process_payments", LOCKED)
    settle(shop, SITE, """
        command("payments", "process_payments")
        command("payments", "process_payments")
        command("again", "process_payments")
    """)  # fmt: skip

    with (shop.root / "payments.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        busy = shop.manage("routine", "again", *how)
    assert busy.status == 0
    assert busy.err.splitlines() == ["Another instance is at work"]
    assert shop.ran == []

    free = shop.manage("routine", "payments", *how)
    assert (free.status, free.err) == (0, "")
    assert shop.ran == ["payments are processed"] * 2
    assert not (shop.root / "payments.lock").exists()


GRACEFUL = """
    import pathlib
    import signal
    import time

    from django.core.management.base import BaseCommand

    from shop.trace import trace

    class Command(BaseCommand):
        shutdown = False

        def handle(self, *args, **options):
            signal.signal(signal.SIGTERM, self.noted)
            signal.signal(signal.SIGINT, self.noted)
            for item in (1, 2, 3):
                if self.shutdown:
                    self.stdout.write(self.style.WARNING("Asked to stop"))
                    break
                trace("item", item)
                pathlib.Path("working").touch()
                deadline = time.monotonic() + 60
                while not pathlib.Path("go").exists() and time.monotonic() < deadline:
                    time.sleep(0.02)
            self.stdout.write(self.style.SUCCESS("Clean exit"))

        def noted(self, number, frame):
            self.shutdown = True
            pathlib.Path("noted").touch()
"""


@pytest.mark.parametrize(
    ("how", "number"),
    [((), signal.SIGTERM), ((), signal.SIGINT), (("--subprocess",), signal.SIGTERM)],
    ids=["here-TERM", "here-INT", "apart-TERM"],
)
def test_a_command_that_shuts_down_gracefully_is_the_last_one(
    shop: Project, how: tuple[str, ...], number: signal.Signals
) -> None:
    """The routine waits for the command, which in this process stops early, then stops itself.

    In a process of its own the command is not told, so that it finishes all of its work.
    """
    shop.command("shop", "work", GRACEFUL)
    settle(shop, SITE, """
        command("shift", "check")
        command("shift", "work")
        command("shift", "probe", "after")
        command("shift", "probe", "last")
    """)  # fmt: skip

    with started(shop, "routine", "shift", *how) as process:
        until((shop.root / "working").exists, "the first item")
        process.send_signal(number)
        if how:
            assert process.stderr is not None
            said = b""
            while b"stops when this step has finished" not in said:
                line = process.stderr.readline()
                assert line, said
                said += line
        else:
            until((shop.root / "noted").exists, "the signal")
        (shop.root / "go").touch()
        out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode == 128 + number, err
    assert out.endswith(b"Clean exit\n")
    assert (b"Asked to stop" in out) is not bool(how)
    items = ["item 1", "item 2", "item 3"] if how else ["item 1"]
    assert shop.ran == items
    assert f"was stopped by {number.name}".encode() in err
    assert b"not run: settings:probe, settings:probe-2" in err
    assert b"Traceback" not in err


# -- commands of commands, and tests of them ----------------------------------------------------

ORCHESTRATOR = """
    from django.core.management import call_command
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--continue-on-error", action="store_true")

        def handle(self, *args, **options):
            tasks = [
                ("probe", ["clean"], {}),
                ("probe", ["index"], {"fail": True}),
                ("routine", ["reports"], {"daily": True}),
                ("probe", ["sitemap"], {"tag": "xml"}),
            ]
            for name, words, named in tasks:
                self.stdout.write(f"--- {name}")
                try:
                    call_command(name, *words, **named, verbosity=options["verbosity"])
                except Exception as exc:
                    self.stderr.write(self.style.ERROR(f"{name}: FAILED ({exc})"))
                    if not options["continue_on_error"]:
                        raise
                else:
                    self.stdout.write(self.style.SUCCESS(f"{name}: OK"))
"""


@BOTH_WAYS
def test_an_orchestrating_command_may_call_commands_and_routines(
    project: Project, how: tuple[str, ...]
) -> None:
    """What it calls runs and may fail on its own; only what it lets out is the step's failure."""
    project.command("probe", "daily", ORCHESTRATOR)
    project.settings("""
        command("night", "daily", "--continue-on-error")
        command("night", "daily", continue_on_error=True, verbosity=0)
        command("night", "daily")
        command("night", "probe", "never")
        command("reports", "probe", "weekly", switches=["weekly"])
        command("reports", "probe", "daily", switches=["daily"])
    """)

    done = project.manage("routine", "night", *how)

    assert done.status == 1
    good = ["probe clean", "probe index", "probe daily", "probe sitemap xml"]
    assert project.ran == [*good, *good, "probe clean", "probe index"]
    assert "Step 3 of 4 of routine 'night' failed: settings:daily-3" in done.err
    assert "the probe was told to fail" in done.err.partition("Step 3 of 4")[2]
    assert done.out.count("routine: OK") == 2
    assert done.out.count("probed daily v1") == 1
    assert done.out.count("probed daily v0") == 1


TESTS = """
    from io import StringIO

    from django.contrib.auth.models import Group
    from django.core import mail
    from django.core.management import CommandError, call_command
    from django.test import TestCase, override_settings

    from django_runbook import run_routine

    class TestReports(TestCase):
        def setUp(self):
            Group.objects.create(name="readers")

        def test_a_dry_run_sends_nothing(self):
            out = StringIO()
            call_command("send_reports", "--dry-run", stdout=out)
            self.assertEqual(out.getvalue().count("Would send to"), 1)
            self.assertEqual(mail.outbox, [])

        def test_the_routine_sends_what_the_command_sends(self):
            out = StringIO()
            call_command("routine", "daily", stdout=out, stderr=StringIO())
            self.assertIn("Sent to readers", out.getvalue())
            self.assertEqual([one.subject for one in mail.outbox], ["Report for readers"])

        def test_a_switch_of_the_routine(self):
            out = StringIO()
            call_command("routine", "daily", rehearse=True, stdout=out, stderr=StringIO())
            self.assertEqual(mail.outbox[1:], [])
            self.assertIn("Would send to readers", out.getvalue())

        def test_a_missing_file_raises_and_undoes(self):
            with self.assertRaises(CommandError) as caught:
                call_command("routine", "broken", stdout=StringIO(), stderr=StringIO())
            self.assertIn("no file /nonexistent.csv", str(caught.exception))
            self.assertEqual([one.name for one in Group.objects.all()], ["readers"])

        def test_it_is_silent_at_verbosity_0(self):
            out, err = StringIO(), StringIO()
            call_command("routine", "daily", verbosity=0, stdout=out, stderr=err)
            self.assertEqual(out.getvalue() + err.getvalue(), "")
            self.assertEqual(len(mail.outbox), 1)

        def test_results_are_returned(self):
            result = run_routine("daily", stdout=StringIO(), stderr=StringIO())
            self.assertEqual([one.status for one in result.steps], ["succeeded"])

        @override_settings(DJANGO_ROUTINES={"daily": {"commands": [{"management": "check"}]}})
        def test_another_routine_of_the_name(self):
            call_command("routine", "daily", stdout=StringIO(), stderr=StringIO())
            self.assertEqual(mail.outbox, [])
"""

REPORTS = """
    from django.contrib.auth.models import Group
    from django.core.mail import send_mail
    from django.core.management.base import BaseCommand, CommandError

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--dry-run", action="store_true")
            parser.add_argument("--addresses")

        def handle(self, *args, **options):
            if options["addresses"]:
                Group.objects.create(name="lost")
                raise CommandError(f"no file {options['addresses']}")
            for group in Group.objects.all():
                verb = "Would send" if options["dry_run"] else "Sent"
                if options["verbosity"]:
                    self.stdout.write(f"{verb} to {group}")
                if not options["dry_run"]:
                    send_mail(f"Report for {group}", "All is well.", None, ["a@example.com"])
"""


@BOTH_WAYS
def test_commands_and_routines_are_tested_alike_also_in_a_routine(
    shop: Project, how: tuple[str, ...]
) -> None:
    """A ``TestCase`` calls them with streams of its own; ``test`` is a step like any other."""
    shop.command("shop", "send_reports", REPORTS)
    shop.file("shop/tests.py", TESTS)
    settle(shop, SITE, """
        MAILERS = {"default": {}}  # without it Django 6.1 warns of each mail
        command("gate", "check")
        command("gate", "test", "shop")
        command("gate", "probe", "after")
        command("daily", "send_reports")
        command("daily", "send_reports", "--dry-run", switches=["rehearse"])
        routine("broken", atomic=True)
        command("broken", "send_reports", addresses="/nonexistent.csv")
    """)  # fmt: skip

    done = shop.manage("routine", "gate", *how)

    assert done.status == 0, done.out + done.err
    assert "Ran 7 tests" in done.err
    assert shop.ran == ["probe after"]

    if how:
        return
    tests = shop.root / "shop" / "tests.py"
    tests.write_text(tests.read_text().replace('"Report for readers"', '"Another"'))
    broken = shop.manage("routine", "gate")
    assert broken.status == 1
    assert "FAILED (failures=1)" in broken.err
    assert "failed: settings:test" in broken.err
    assert "status 1" in broken.err
    assert "not run: settings:probe" in broken.err
    assert shop.ran == ["probe after"]


# -- the commands of Django, and one on a schedule ----------------------------------------------

ACCOUNT = """
    from django.db import models

    class Account(models.Model):
        id = models.BigAutoField(primary_key=True)
        TRIALING, EXPIRED = 1, 2
        status = models.IntegerField(default=TRIALING)
        created = models.DateTimeField()
        note = models.TextField(default="")
"""

ACCOUNT_1 = """
    from django.db import migrations, models

    class Migration(migrations.Migration):
        initial = True
        operations = [
            migrations.CreateModel(
                "Account",
                [
                    ("id", models.BigAutoField(primary_key=True, serialize=False)),
                    ("status", models.IntegerField(default=1)),
                    ("created", models.DateTimeField()),
                ],
            )
        ]
"""

ACCOUNT_2 = """
    from django.db import migrations, models

    class Migration(migrations.Migration):
        dependencies = [("accounts", "0001_initial")]
        operations = [migrations.AddField("account", "note", models.TextField(default=""))]
"""

EXPIRE = """
    import datetime

    from django.core.management.base import BaseCommand
    from django.utils import timezone

    from accounts.models import Account

    class Command(BaseCommand):
        help = "End the trials that have gone on for too long."
        requires_migrations_checks = True

        def add_arguments(self, parser):
            parser.add_argument("--days", type=int, default=61)

        def handle(self, *args, **options):
            since = timezone.now() - datetime.timedelta(days=options["days"])
            old = Account.objects.filter(status=Account.TRIALING, created__lt=since)
            self.stdout.write(f"Ended {old.update(status=Account.EXPIRED)} trial(s)")
"""

SCRIPT = """
    import django

    django.setup()
    from accounts.models import Account

    print("accounts:", Account.objects.count())
"""


@pytest.fixture
def accounts(project: Project) -> Project:
    """A project with accounts, two migrations and a command that ends trials."""
    project.app("accounts", models=ACCOUNT)
    project.command("accounts", "expire_trials", EXPIRE)
    for name, text in (("__init__", ""), ("0001_initial", ACCOUNT_1), ("0002_note", ACCOUNT_2)):
        project.file(f"accounts/migrations/{name}.py", text)
    project.file("product_stat.py", SCRIPT)
    return project


@BOTH_WAYS
def test_the_commands_that_django_brings_are_steps(accounts: Project, how: tuple[str, ...]) -> None:
    """Those that make sense in a routine run there, with words or by name, and ask nobody."""
    settle(accounts, SITE, """
        import sys

        def here(*words, **named):
            # In a process of its own each would only be one more of the kind.
            command("tour", *words, **named, switches=["more"])

        here("check")
        here("makemigrations", "--check", "--dry-run")
        here("showmigrations", "accounts")
        here("sqlmigrate", "accounts", "0002")
        command("tour", "migrate", interactive=False, verbosity=0)
        here("showmigrations", "accounts", step_id="applied")
        command("tour", "createsuperuser", "--no-input")
        here("createsuperuser", step_id="nobody")
        command("tour", "createsuperuser", interactive=False, username="b", email="b@example.com")
        here("collectstatic", "--no-input")
        command("tour", "squashmigrations", "accounts", "0002", "--no-input")
        here("startapp", "blog")
        here("shell", "--command", "print('said', 'in', 'words')")
        command("tour", "shell", command="print('said', 'by', 'name')")
        command("tour", "expire_trials", "-h")
        here("expire_trials", days=3)
        system("tour", sys.executable, "product_stat.py", step_id="script")
        command("tour", "probe", "the end")
    """)  # fmt: skip
    superuser = {
        "DJANGO_SUPERUSER_USERNAME": "a",
        "DJANGO_SUPERUSER_EMAIL": "a@example.com",
        "DJANGO_SUPERUSER_PASSWORD": "s3cret",
    }

    done = accounts.manage("routine", "tour", *(how or ["--more"]), env=superuser)

    assert done.status == 0, done.out + done.err
    database = accounts.root / "db.sqlite3"
    users = "SELECT username FROM auth_user WHERE is_superuser ORDER BY username"
    assert rows(database, users) == ["a", "b"]
    for text in (
        "said by name\n",
        "usage: manage.py expire_trials" if how else "expire_trials [-h]",
        "End the trials that have gone on for too long.",
        "accounts: 0",
    ):
        assert text in done.out, text
    assert (accounts.root / "accounts/migrations/0001_squashed_0002_note.py").exists()
    assert accounts.ran == ["probe the end"]
    if how:
        return
    for text in (
        "System check identified no issues",
        "No changes detected",
        "[ ] 0002_note\nsqlmigrate",
        '"note" text',
        "[X] 0002_note\ncreatesuperuser",
        "said in words\n",
        "Ended 0 trial(s)",
    ):
        assert text in done.out, text
    assert "Superuser creation skipped" in done.out + done.err
    assert (accounts.root / "blog" / "models.py").exists()


@BOTH_WAYS
def test_a_scheduled_command_runs_as_cron_runs_it(accounts: Project, how: tuple[str, ...]) -> None:
    """From another directory, with next to no environment, no terminal, and an answer each day."""
    settle(accounts, SITE, """
        command("nightly", "expire_trials")
        command("nightly", "expire_trials", "--days", "3", switches=["strict"])
        command("first", "migrate", verbosity=0)
    """)  # fmt: skip
    assert accounts.manage("routine", "first").status == 0
    database = accounts.root / "db.sqlite3"
    execute(database, """
        INSERT INTO accounts_account (status, created, note) VALUES
            (1, datetime('now', '-65 days'), 'old'),
            (1, datetime('now', '-5 days'), 'young'),
            (1, datetime('now'), 'new');
    """)  # fmt: skip
    expired = "SELECT note FROM accounts_account WHERE status = 2 ORDER BY id"
    cron = {"PATH": "/usr/bin:/bin", "HOME": "/", "SHELL": "/bin/sh"}

    done = subprocess.run(
        [sys.executable, accounts.root / "manage.py", "routine", "nightly", "--strict", *how],
        cwd="/",
        env=cron,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        "expire_trials",
        "Ended 1 trial(s)",
        "expire_trials --days 3",
        "Ended 1 trial(s)",
    ]
    assert rows(database, expired) == ["old", "young"]
