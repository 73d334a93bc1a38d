"""Execution controls: in which process the steps run, and whether they go on after a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .projects import ENVIRONMENT, Project, Ran, line_of, problem_ids, write

# What a process is, written to a file of the project's: by a command, or by a routine itself.
FACTS = """
    import importlib.util
    import json
    import os
    import sys
    from pathlib import Path

    def facts(who, **more):
        found = importlib.util.find_spec("shadow")
        line = {
            "who": who,
            "pid": os.getpid(),
            "ppid": os.getppid(),
            "executable": sys.executable,
            "settings": os.environ.get("DJANGO_SETTINGS_MODULE"),
            "path": [os.path.abspath(entry) for entry in sys.path],
            "cwd": os.getcwd(),
            "shadow": found and found.origin,
            **more,
        }
        with (Path(__file__).parents[1] / "facts.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\\n")

    def of_the_routine(routine, plan, switches, options):
        facts("routine", manage_script=options["manage_script"])
"""

WHERE = """
    from django.core.management.base import BaseCommand

    from probe.facts import facts

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("name", nargs="?", default="where")

        def handle(self, *args, **options):
            shown = ("verbosity", "no_color", "force_color", "skip_checks")
            facts(options["name"], **{name: options[name] for name in shown})
"""

DEPLOY = """
    routine("deploy", initialize="probe.facts.of_the_routine")
    command("deploy", "where", "one")
    command("deploy", "where", "two")
"""


@pytest.fixture
def site(project: Project) -> Project:
    """A project whose command ``where`` says which process it runs in."""
    project.file("probe/facts.py", FACTS)
    project.command("probe", "where", WHERE)
    return project


def told(project: Project) -> list[dict[str, Any]]:
    """Return what the processes have said of themselves since the last call, in their order."""
    file = project.root / "facts.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [json.loads(line) for line in lines]


def apart(project: Project) -> dict[str, bool]:
    """Return whether each command ran in another process than its routine."""
    own, *others = told(project)
    assert own["who"] == "routine"
    return {one["who"]: one["pid"] != own["pid"] for one in others}


def quoted(step_id: str) -> str:
    """Return what the line of a step with this id holds."""
    return f'step_id="{step_id}"'


def start(project: Project, *args: str, cwd: Path | None = None, **env: str) -> Ran:
    """Run a program that is not the project's manage.py, as a person would."""
    done = subprocess.run(
        args,
        capture_output=True,
        text=True,
        env={**os.environ, **ENVIRONMENT, **env},
        cwd=cwd or project.root,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


# --- in a process of its own ---------------------------------------------------------------------

BESIDE = Path(sys.executable).parent


@pytest.mark.parametrize("how", ["manage.py", "python -m django", "django-admin"])
def test_a_subprocess_is_like_the_process_that_starts_it(site: Project, how: str) -> None:
    """Interpreter, settings, module path and directory are the same, however Django was started."""
    site.settings(DEPLOY)
    write(site.root / "shadow.py", "")
    extra = site.root.parent / "extra modules"
    write(extra / "shadow.py", "")
    elsewhere = site.root.parent / "elsewhere"
    elsewhere.mkdir()
    words = {
        "manage.py": [sys.executable, str(site.root / "manage.py")],
        "python -m django": [sys.executable, "-m", "django"],
        "django-admin": [str(BESIDE / "django-admin")],
    }[how]

    done = start(
        site,
        *[*words, "routine", "--settings", "config.settings", "--pythonpath", str(extra)],
        *["deploy", "--subprocess"],
        cwd=elsewhere,
        PYTHONPATH="" if how == "manage.py" else str(site.root),
    )

    assert (done.status, done.err) == (0, "")
    own, *others = told(site)
    assert [one["who"] for one in others] == ["one", "two"]
    assert len({own["pid"], *(one["pid"] for one in others)}) == 3
    for other in others:
        assert other["ppid"] == own["pid"]
        assert set(other["path"]) == set(own["path"])
        for fact in ("executable", "settings", "cwd", "shadow"):
            assert other[fact] == own[fact], fact
    assert own["shadow"] == str(extra / "shadow.py")
    assert own["settings"] == "config.settings"
    assert own["cwd"] == str(elsewhere)


def test_without_the_control_commands_share_the_process(site: Project) -> None:
    """Nothing, or --no-subprocess, keeps management commands in the routine's own process."""
    site.settings(DEPLOY)
    for words in ([], ["--no-subprocess"]):
        assert site.manage("routine", "deploy", *words).status == 0
        assert apart(site) == {"one": False, "two": False}


RELEASE = """
    import os
    from io import StringIO

    import django
    from django.core.management import call_command

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    django.setup()

    from django_runbook import run_routine

    out = StringIO()
    call_command("routine", "deploy", "--subprocess", stdout=out)
    result = run_routine("deploy", subprocess=True, stdout=out, verbosity=0)
    assert [step.returncode for step in result.steps] == [0, 0]
    assert "where" in result[0].args
    run_routine("deploy", subprocess=False, stdout=out)
    call_command("routine", "deploy", stdout=out)
"""


def test_subprocesses_of_a_program_of_ones_own(site: Project) -> None:
    """From call_command and run_routine no script is run again, and all else is the same."""
    site.settings(DEPLOY)
    site.file("release.py", RELEASE)

    done = start(site, sys.executable, "release.py", PYTHONPATH="")

    assert (done.status, done.err.strip(), done.out) == (0, "", "")
    lines = told(site)
    runs = [lines[first : first + 3] for first in range(0, len(lines), 3)]
    assert len(runs) == 4
    for (own, *others), separate in zip(runs, (True, True, False, False), strict=True):
        assert own["who"] == "routine"
        for other in others:
            assert (other["pid"] != own["pid"]) is separate
            assert set(other["path"]) == set(own["path"])
            for fact in ("executable", "settings", "cwd", "shadow"):
                assert other[fact] == own[fact], fact


SCRIPT = """
    import os
    import sys
    from pathlib import Path

    from django.core.management import execute_from_command_line

    if __name__ == "__main__":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        with Path("scripts.txt").open("a") as file:
            file.write(" ".join(sys.argv) + "\\n")
        if "by-run" in sys.argv:
            sys.argv.remove("by-run")
        execute_from_command_line(sys.argv)
"""


def test_the_manage_script_runs_the_subprocesses(site: Project) -> None:
    """A Python script or an executable one is used for them, the routine's own script else."""
    site.settings(DEPLOY)
    other = site.file("other.py", SCRIPT)
    run = f'#!/bin/sh\nexec "{sys.executable}" "$(dirname "$0")/../other.py" by-run "$@"\n'
    site.file("bin/run", run).chmod(0o755)
    scripts = site.root / "scripts.txt"

    def started_by(*args: str) -> list[str]:
        done = site.manage("routine", *args)
        assert (done.status, done.err) == (0, "")
        assert set(apart(site).values()) == {True}
        lines = scripts.read_text().splitlines() if scripts.exists() else []
        scripts.unlink(missing_ok=True)
        return [" ".join([*line.partition(" --")[0].split(), line.split()[-1]]) for line in lines]

    directly = [f"{other} where one", f"{other} where two"]
    assert started_by("--manage-script", "other.py", "deploy", "--subprocess") == directly
    assert started_by("--manage-script", str(other), "deploy", "--subprocess") == directly
    through = f"{site.root}/bin/../other.py by-run"
    through_it = [f"{through} where one", f"{through} where two"]
    assert started_by("--manage-script", "bin/run", "deploy", "--subprocess") == through_it
    assert started_by("deploy", "--subprocess") == []


def test_a_manage_script_that_cannot_be_one_is_refused(site: Project) -> None:
    """A script that does not exist or cannot be run ends it with status 2, and nothing has run."""
    site.settings(DEPLOY + '    command("deploy", "probe", "first", priority=-1)')
    site.file("plain", "no program")
    for script in ("missing.py", "plain", "config"):
        done = site.manage("routine", "--manage-script", script, "deploy", "--subprocess")

        assert done.status == 2
        assert f"manage script {script!r}" in done.err
        assert "manage.py" in done.err  # the remedy
        assert "Traceback" not in done.err
        assert (site.ran, told(site), done.progress) == ([], [], [])


def test_what_the_routine_is_told_its_subprocesses_are_told(site: Project) -> None:
    """Verbosity and colours are handed on; what a step states itself counts for more."""
    site.settings("""
        routine("deploy", initialize="probe.facts.of_the_routine", subprocess=True)
        command("deploy", "where", "plain")
        command("deploy", "where", "words", "--verbosity=3", "--no-color")
        command("deploy", "where", "named", verbosity=0)
        command("deploy", "probe", "word", tag="-t")
    """)

    done = site.manage("routine", "--verbosity", "2", "--no-color", "deploy")
    assert (done.status, done.err) == (0, "")
    _, *others = told(site)
    assert [(one["who"], one["verbosity"], one["no_color"]) for one in others] == [
        ("plain", 2, True),
        ("words", 3, True),
        ("named", 0, True),
    ]
    assert {one["force_color"] for one in others} == {False}
    # The routine has done Django's checks: a deploy of ten steps does not do them eleven times.
    assert {one["skip_checks"] for one in others} == {True}
    assert site.ran == ["probe word -t"]


@pytest.mark.parametrize("control", ["--no-subprocess", "--subprocess"])
def test_a_step_that_wants_no_colours_is_not_forced_to_have_them(
    site: Project, control: str
) -> None:
    """--force-color is for the steps that say nothing of colours themselves."""
    site.settings("""
        routine("deploy", initialize="probe.facts.of_the_routine")
        command("deploy", "where", "plain")
        command("deploy", "where", "words", "--no-color")
        command("deploy", "where", "named", no_color=True)
    """)

    done = site.manage("routine", "--force-color", "deploy", control)

    assert done.status == 0, done.err
    _, *others = told(site)
    assert [(one["who"], one["no_color"], one["force_color"]) for one in others] == [
        ("plain", False, True),
        ("words", True, False),
        ("named", True, False),
    ]


MODELS = """
    from django.db import models

    class Book(models.Model):
        title = models.CharField(max_length=9)
"""


def test_migrations_are_made_and_applied_in_one_run(project: Project) -> None:
    """What one subprocess writes, the next one sees."""
    project.app("shelf", models=MODELS)
    project.settings("""
        DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
        command("deploy", "makemigrations", "shelf")
        command("deploy", "migrate", interactive=False)
        command("deploy", "inspectdb", "shelf_book")
    """)

    done = project.manage("routine", "deploy", "--subprocess")

    assert (done.status, done.err) == (0, "")
    assert "class ShelfBook(models.Model)" in done.out
    assert (project.root / "shelf" / "migrations" / "0001_initial.py").exists()


FORMS = """
    from django_runbook import ManagementCommand, Routine

    HOOK = "probe.facts.of_the_routine"
    DJANGO_ROUTINES = {
        "dictionary": {
            "subprocess": True,
            "initialize": HOOK,
            "commands": [{"management": ("where", "one")}],
        },
        "dataclass": Routine(
            "dataclass", "", [ManagementCommand(("where", "one"))], subprocess=True, initialize=HOOK
        ),
    }
    routine("function", initialize=HOOK, subprocess=True)
    command("function", "where", "one")
    routine("deploy", "", ManagementCommand(("where", "one")), subprocess=True, initialize=HOOK)
"""

RUN_ALL = """
    import django
    django.setup()
    from django_runbook import run_routine

    for name in ("dictionary", "dataclass", "function"):
        run_routine(name, verbosity=0)
"""


def test_a_routine_states_the_control(site: Project) -> None:
    """Each form of a declaration may state it, and the command line may say otherwise."""
    site.settings(FORMS)

    done = site.python(RUN_ALL)
    assert (done.status, done.err) == (0, "")
    lines = told(site)
    assert [one["who"] for one in lines] == ["routine", "one"] * 3
    assert len({one["pid"] for one in lines}) == 4

    assert site.manage("routine", "deploy").status == 0
    assert apart(site) == {"one": True}
    assert site.manage("routine", "deploy", "--no-subprocess").status == 0
    assert apart(site) == {"one": False}


# --- refused before the first step ---------------------------------------------------------------

REPORT = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        stealth_options = ("secretly",)

        def add_arguments(self, parser):
            parser.add_argument("kind", nargs="?")
            parser.add_argument("--period", choices=["daily", "monthly"])
            parser.add_argument("--limit", type=int)

        def handle(self, *args, **options):
            self.stdout.write(f"reported {options['period']}")
"""


def test_an_option_that_no_words_can_say_is_an_error(project: Project) -> None:
    """E016 names the step, its line and the remedy before step 1, and only where it matters."""
    project.command("probe", "report", REPORT)
    settings = project.settings("""
        command("deploy", "probe", "first")
        command("deploy", "report", period="weekly", step_id="choice")
        command("deploy", "report", kind="x", step_id="argument")
        command("deploy", "report", secretly=1, step_id="stealth")
        command("deploy", "report", limit="many", step_id="number")
        command("deploy", "report", period="daily", limit=3, step_id="right")
    """)

    done = project.manage("routine", "deploy", "--subprocess")

    assert (done.status, done.progress, project.ran) == (1, [], [])
    assert done.err.count("(django_runbook.E016)") == 4
    for name, why in (
        ("choice", "option 'period' cannot be 'weekly'"),
        ("argument", "option 'kind' is an argument without a flag"),
        ("stealth", "option 'secretly' has no flag"),
        ("number", "argument --limit: invalid int value: 'many'"),
    ):
        place = f"config/settings.py:{line_of(settings, quoted(name))}"
        (line,) = [one for one in done.err.splitlines() if f"settings:{name} in" in one]
        assert place in line
        assert why in line
    assert "HINT: Give one of daily, monthly." in done.err
    assert "HINT: Write it among the command's arguments." in done.err

    document = project.explain("deploy", "--subprocess")
    assert problem_ids(document) == ["E016"] * 4

    done = project.manage("routine", "deploy")
    assert done.status == 0, done.err
    assert "reported weekly" in done.out


@pytest.mark.parametrize("control", ["subprocess", "continue_on_error"])
def test_a_control_that_is_no_truth_value_is_an_error(project: Project, control: str) -> None:
    """A string such as "no", which Python takes for true, turns nothing on, wherever it stands."""
    project.settings(f"""
        routine("deploy", {control}="no")
        command("deploy", "probe", "one")
        command("outer", "routine", "inner", {control}="no")
        command("inner", "probe", "one")
    """)
    for routine in ("deploy", "outer"):
        done = project.manage("routine", routine)
        assert done.status == 1
        assert control in done.err
        assert "True or False" in done.err
        assert "config/settings.py:" in done.err

    done = project.python(f"""
        import django
        django.setup()
        from django_runbook import get_plan, run_routine

        for function in (run_routine, get_plan):
            try:
                function("inner", {control}="no")
            except (TypeError, ValueError) as exc:
                assert {control!r} in str(exc)
            else:
                raise AssertionError(function.__name__)
    """)
    assert (done.status, done.err) == (0, "")
    assert project.ran == []


def test_a_control_of_the_command_line_takes_no_value(project: Project) -> None:
    """What is no control, or a control with a value, ends with status 2 before anything runs."""
    project.settings('command("deploy", "probe", "one")')
    for word in ("--subprocess=no", "--continue-on-error"):
        done = project.manage("routine", "deploy", word)
        assert done.status == 2, done.err
        assert word.partition("=")[0] in done.err
        assert "Traceback" not in done.err
    assert project.ran == []


# --- going on ------------------------------------------------------------------------------------

FAILING = """
    import sys

    KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    for name, stated in (("deploy", {}), ("lenient", {"continue_on_error": True})):
        routine(name, **stated)
        command(name, "probe", "first")
        command(name, "probe", "third", "--exit", "3", step_id="exits")
        system(name, sys.executable, "-c", KILLED, step_id="killed")
        command(name, "probe", "--fail", step_id="fails")
        system(name, sys.executable, "-c", "import sys; sys.exit('told why')", step_id="ends")
        command(name, "probe", "last")
"""


def test_going_on_runs_the_rest_and_lists_every_failure(project: Project) -> None:
    """With --continue every step runs, each failure is told with its origin, and it ends with 1."""
    settings = project.settings(FAILING)

    for words in (["deploy", "--continue"], ["lenient"]):
        (project.root / "ran.txt").unlink(missing_ok=True)
        done = project.manage("routine", *words)

        assert done.status == 1
        assert project.ran == ["probe first", "probe third", "probe", "probe last"]
        assert f"4 of 6 steps of routine {words[0]!r} failed." in done.err
        for number, name, what in (
            (2, "exits", "it ended the process with status 3"),
            (3, "killed", "it was killed by SIGKILL"),
            (4, "fails", "CommandError: the probe was told to fail"),
            (5, "ends", "it ended with exit status 1"),
        ):
            place = f"config/settings.py:{line_of(settings, quoted(name))}"
            _, _, said = done.err.partition(
                f"Step {number} of 6 of routine {words[0]!r} failed: settings:{name}\n"
            )
            assert place in said.splitlines()[0]
            assert f"  failure: {what}" in said.splitlines()[2]
        assert "told why" in done.err.partition("last lines of its stderr:")[2]
        assert "not run:" not in done.err
        assert done.progress[-1].endswith(": 2 run, 0 skipped, 4 failed, 0 not run.")


def test_halting_stops_at_the_first_failure(project: Project) -> None:
    """Without the control, or with --halt, nothing runs after what failed, and that is told."""
    project.settings(FAILING)

    for words in (["deploy"], ["lenient", "--halt"]):
        (project.root / "ran.txt").unlink(missing_ok=True)
        done = project.manage("routine", *words)

        assert done.status == 1
        assert project.ran == ["probe first", "probe third"]
        assert "it ended the process with status 3" in done.err
        assert "SIGKILL" not in done.err
        (line,) = [one for one in done.err.splitlines() if one.startswith("  not run:")]
        assert line == (
            "  not run: settings:killed, settings:fails, settings:ends, settings:probe-2"
        )
        assert done.progress[-1].endswith(": 1 run, 0 skipped, 1 failed, 4 not run.")


DYING = """
    import os
    import signal

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stderr.write("about to die")
            self.stderr.flush()
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_subprocess_that_fails_is_survived_too(project: Project) -> None:
    """A management command's subprocess that exits with 3 or is killed is told as a program's."""
    project.command("probe", "dying", DYING)
    project.settings("""
        routine("deploy", subprocess=True, continue_on_error=True)
        command("deploy", "probe", "--exit", "3", step_id="exits")
        command("deploy", "dying")
        command("deploy", "probe", "last")
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, project.ran) == (1, ["probe", "probe last"])
    assert "  failure: it ended with exit status 3" in done.err
    assert "  failure: it was killed by SIGKILL" in done.err
    assert "    about to die" in done.err


HELPFUL = """
    from django_typer.management import TyperCommand

    class Command(TyperCommand):
        def handle(self, word: str = "w"):
            self.secho(word)
"""


@pytest.mark.parametrize("control", ["--no-subprocess", "--subprocess"])
def test_a_command_that_ends_the_process_well_is_a_success(project: Project, control: str) -> None:
    """sys.exit(0), --help and --version end their step, and not the routine."""
    project.command("probe", "helpful", HELPFUL)
    project.settings("""
        command("deploy", "probe", "first", "--exit", "0")
        command("deploy", "probe", "--help")
        command("deploy", "probe", "--version")
        command("deploy", "helpful", "--help")
        command("deploy", "probe", "last")
    """)

    done = project.manage("routine", "deploy", control)

    assert (done.status, done.err) == (0, "")
    assert project.ran == ["probe first", "probe last"]
    assert done.out.count("--help") >= 4  # two are echoed, two are helps
    assert done.progress[-1].endswith(": 5 run, 0 skipped, 0 failed, 0 not run.")


# --- explained -----------------------------------------------------------------------------------

EXPLAINED = """
    import json
    from io import StringIO

    import django
    from django.core.management import call_command

    django.setup()

    def explained(*words):
        out = StringIO()
        call_command("routine", *words, stdout=out)
        return out.getvalue()

    texts = {}
    documents = {}
    for words in LINES:
        texts[words] = explained(*words.split(), "--explain")
        documents[words] = json.loads(explained(*words.split(), "--explain", "--format", "json"))
    print(json.dumps([texts, documents]))
"""


def explained(project: Project, *lines: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return what is explained for each command line: the texts and the JSON documents."""
    code = EXPLAINED.replace("LINES", repr(list(lines)))
    done = project.python(code)
    assert (done.status, done.err) == (0, "")
    texts, documents = done.document
    return texts, documents


def test_the_controls_are_explained_and_change_the_fingerprint(project: Project) -> None:
    """Text and JSON show the controls as they will be, and what runs otherwise is another plan."""
    project.settings("""
        import sys

        routine("deploy")
        command("deploy", "probe", "one")
        system("deploy", sys.executable, "-V")
        routine("lenient", subprocess=True, continue_on_error=True, atomic="default")
        command("lenient", "probe", "one")
    """)
    texts, documents = explained(
        project,
        "deploy",
        "deploy --no-subprocess --halt --non-atomic",
        "deploy --subprocess",
        "deploy --continue",
        "deploy --atomic",
        "deploy --continue --subprocess",
        "lenient",
        "lenient --subprocess --continue --atomic",
        "lenient --no-subprocess --halt --non-atomic",
    )

    def controls(line: str) -> tuple[Any, ...]:
        found = documents[line]["controls"]
        return found["atomic"], found["subprocess"], found["continue_on_error"]

    assert controls("deploy") == (False, False, False)
    assert controls("deploy --continue --subprocess") == (False, True, True)
    assert controls("deploy --atomic") == (True, False, False)
    assert controls("lenient") == ("default", True, True)
    assert controls("lenient --no-subprocess --halt --non-atomic") == (False, False, False)
    assert controls("lenient --subprocess --continue --atomic") == ("default", True, True)

    assert "Controls:" not in texts["deploy"]
    assert "Controls: subprocess, continue_on_error." in texts["deploy --continue --subprocess"]
    assert texts["deploy --subprocess"].count("as a subprocess") == 1
    assert "Controls: atomic (default), subprocess, continue_on_error." in texts["lenient"]
    assert "Controls:" not in texts["lenient --no-subprocess --halt --non-atomic"]
    of_steps = [step["subprocess"] for step in documents["deploy"]["steps"]]
    assert of_steps == [False, True]
    assert [one["subprocess"] for one in documents["deploy --subprocess"]["steps"]] == [True, True]

    prints = {line: document["fingerprint"] for line, document in documents.items()}
    same = prints.pop("deploy --no-subprocess --halt --non-atomic")
    assert same == prints["deploy"]
    assert prints.pop("lenient --subprocess --continue --atomic") == prints["lenient"]
    assert len(set(prints.values())) == len(prints)


# --- nested routines -----------------------------------------------------------------------------

NESTED = """
    routine("deploy", initialize="probe.facts.of_the_routine")
    for name, stated in (("inner", {}), ("own", {"subprocess": True}), ("kept", {})):
        routine(name, **stated)
        command(name, "where", name)
    command("deploy", "routine", "inner")
    command("deploy", "routine", "own", priority=1)
    command("deploy", "routine", "kept", "--no-subprocess", priority=2)
    command("deploy", "where", "outer", priority=3)
    routine("options", initialize="probe.facts.of_the_routine")
    command("options", "routine", "inner", subprocess=True)
    command("options", "routine", "kept", subprocess=False)
    command("options", "routine", "own", "--no-subprocess")
    command("options", "where", "outer", priority=3)
"""


def test_nested_routines_and_subprocesses(site: Project) -> None:
    """A nested routine runs as the one around it does, unless its step says otherwise."""
    site.settings(NESTED)

    def ran_apart(*words: str) -> dict[str, bool]:
        done = site.manage("routine", *words)
        assert (done.status, done.err) == (0, "")
        return apart(site)

    everywhere = {"inner": True, "own": True, "kept": False, "outer": True}
    assert ran_apart("deploy", "--subprocess") == everywhere
    assert ran_apart("deploy") == {**everywhere, "inner": False, "outer": False}
    words_or_options = {"inner": True, "own": False, "kept": False, "outer": False}
    assert ran_apart("options") == words_or_options

    _, documents = explained(site, "deploy --subprocess", "options")
    for line, expected in (("deploy --subprocess", everywhere), ("options", words_or_options)):
        steps = documents[line]["steps"]
        inside = [one for step in steps for one in step.get("plan", {"steps": [step]})["steps"]]
        assert {one["argv"][1]: one["subprocess"] for one in inside} == expected


@pytest.mark.parametrize(
    ("step", "stated", "ran"),
    [
        ('"routine", "inner"', "", ["one"]),
        ('"routine", "inner", "--continue"', "", ["one", "two"]),
        ('"routine", "inner", continue_on_error=True', "", ["one", "two"]),
        ('"routine", "inner", "--halt"', "continue_on_error=True", ["one"]),
        ('"routine", "inner", continue_on_error=False', "continue_on_error=True", ["one"]),
    ],
)
def test_a_nested_routine_goes_on_by_itself(
    project: Project, step: str, stated: str, ran: list[str]
) -> None:
    """Its step or the routine says whether it goes on; its failure ends the one around it."""
    project.settings(f"""
        routine("inner", {stated})
        command("inner", "probe", "one", "--fail", step_id="one")
        command("inner", "probe", "two")
        command("deploy", {step}, step_id="nested")
        command("deploy", "probe", "outer")
    """)

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert project.ran == [f"probe {name}" for name in ran]
    assert "Step 1 of 2 of routine 'deploy' failed: settings:nested" in done.err
    assert "Step 1 of 2 of routine 'inner' failed: settings:one" in done.err


def test_going_on_outside_is_not_going_on_inside(project: Project) -> None:
    """--continue of the outer routine runs its own rest, and a nested one halts as it states."""
    project.settings("""
        command("inner", "probe", "one", "--fail", step_id="one")
        command("inner", "probe", "two")
        command("deploy", "routine", "inner", step_id="nested")
        command("deploy", "probe", "outer")
    """)

    done = project.manage("routine", "deploy", "--continue")

    assert done.status == 1
    assert project.ran == ["probe one", "probe outer"]
    assert "not run: settings:probe" in done.err
