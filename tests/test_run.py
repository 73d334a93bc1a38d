"""Running a routine: exactly the plan, in order, and a failure that says everything."""

from __future__ import annotations

import json
import sys

import pytest

from .projects import Project, Ran, ids, line_of

# A command that says which process it runs in, and reads what it may.
PID = """
    import os

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stdout.write(f"pid {os.getpid()}")
"""


def test_what_runs_is_what_was_explained(project: Project) -> None:
    """The steps that explain numbers are those that run, in that order, and no others."""
    project.app("shop", routines=SHOP)
    project.settings("""
        command("deploy", "probe", "last", priority=100)
        command("deploy", "probe", "negative", priority=-5)
        command("deploy", "probe", "one")
        command("deploy", "probe", "off", switches=["never"])
        command("deploy", "probe", "on", switches=["never", "demo"], priority=3)
        command("deploy", "probe", "gone", step_id="gone")
        command("deploy", "probe", "moved", run_after=["shop:probe"], step_id="moved")
        command("deploy", "probe", tag="tagged", priority=3)
        override("deploy", "shop:late", priority=-10)
        disable("deploy", "settings:gone")
    """)
    explained = [
        " ".join([*step["argv"], *step["options"].values()])
        for step in project.explain("deploy", "--demo")["steps"]
        if step["status"] == "run"
    ]
    assert project.ran == []

    done = project.manage("routine", "deploy", "--demo")

    assert (done.status, done.err) == (0, "")
    assert project.ran == explained
    assert project.ran == [
        "probe late",
        "probe negative",
        "probe one",
        "probe on",
        "probe tagged",
        "probe shop",
        "probe moved",
        "probe last",
    ]


SHOP = """
    from django_runbook import hookimpl

    @hookimpl
    def contribute_routines(routines):
        routines.command("deploy", "probe", "shop", priority=50)
        routines.command("deploy", "probe", "late", priority=200, step_id="late")
"""


def test_management_commands_share_the_process_and_programs_do_not(project: Project) -> None:
    """A management command runs where the routine runs, a program in a process of its own."""
    project.command("probe", "pid", PID)
    project.settings("""
        import os
        import sys

        print("pid", os.getpid())
        command("deploy", "pid")
        system("deploy", sys.executable, "-c", "import os; print('pid', os.getpid())")
        command("deploy", "pid")
    """)

    done = project.manage("routine", "deploy", env={"PYTHONUNBUFFERED": "1"})

    pids = [line for line in done.out.splitlines() if line.startswith("pid ")]
    assert len(pids) == 4
    assert pids[0] == pids[1] == pids[3]
    assert pids[2] != pids[0]


def test_a_program_gets_its_arguments_without_a_shell(project: Project) -> None:
    """What a shell would act upon arrives as it was written, and nothing else happens."""
    words = ["$(touch x); *", "`touch x`", "a  b", "", "'\"", "$HOME", "~", "&& touch x", "\n", "ä"]
    project.settings(f"""
        import sys

        system("deploy", sys.executable, "-c", "import ascii_argv", *{words!r})
    """)
    project.file("ascii_argv.py", "import sys\nprint(ascii(sys.argv[1:]))\n")

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == ascii(words)
    assert not (project.root / "x").exists()


def test_output_comes_in_the_order_of_the_steps_when_piped(project: Project) -> None:
    """Echo, management output and a program's output come one after the other in a pipe."""
    project.settings("""
        import sys

        command("deploy", "probe", "first")
        system("deploy", sys.executable, "-c", "print('from outside')")
        command("deploy", "probe", "second", "two words", tag="t")
        system("deploy", sys.executable, "-c", "import sys; print('aside', file=sys.stderr)")
    """)

    done = project.manage("routine", "deploy")

    python = sys.executable
    assert done.out.splitlines() == [
        "probe first",
        "probed first v1",
        f"""{python} -c 'print('"'"'from outside'"'"')'""",
        "from outside",
        "probe second 'two words'",
        "probed second two words t v1",
        f"""{python} -c 'import sys; print('"'"'aside'"'"', file=sys.stderr)'""",
    ]
    assert done.err == "aside\n"


def test_a_program_that_reads_its_input_finds_it_closed(project: Project) -> None:
    """A prompt cannot hang a release whose input is no terminal."""
    project.settings("""
        import sys

        code = "import sys; print('read', repr(sys.stdin.read()))"
        system("deploy", sys.executable, "-c", code)
    """)

    done = project.python("""
        import os
        import subprocess
        import sys

        # Our end stays open and silent: a program that inherited it would wait for ever.
        reading, writing = os.pipe()
        done = subprocess.run(
            [sys.executable, "manage.py", "routine", "deploy"], stdin=reading, timeout=60
        )
        os.close(writing)
        sys.exit(done.returncode)
    """)

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "read ''"


VERBOSITY = """
    command("deploy", "probe", "default")
    command("deploy", "probe", "word", "--verbosity", "3")
    command("deploy", "probe", "equals", "--verbosity=3")
    command("deploy", "probe", "short", "-v3")
    command("deploy", "probe", "option", verbosity=3)
"""


@pytest.mark.parametrize(
    ("given", "default"), [("", 1), ("--verbosity 0", 0), ("--verbosity 2", 2), ("-v 3", 3)]
)
def test_verbosity_is_passed_on_where_the_step_has_none(
    project: Project, given: str, default: int
) -> None:
    """Only a verbosity that was given is passed on, and never over a step's own."""
    project.settings(VERBOSITY)

    done = project.manage("routine", *given.split(), "deploy")

    assert done.status == 0
    probed = [line for line in done.out.splitlines() if line.startswith("probed")]
    assert probed == [
        f"probed default v{default}",
        "probed word v3",
        "probed equals v3",
        "probed short v3",
        "probed option v3",
    ]
    echoed = [line for line in done.out.splitlines() if not line.startswith("probed")]
    assert len(echoed) == (0 if default == 0 else 5)


def test_a_command_without_verbosity_is_not_given_one(project: Project) -> None:
    """A command that has taken the option out of its parser still runs."""
    project.command("probe", "plain", PLAIN)
    project.settings('command("deploy", "plain", "word")')

    done = project.manage("routine", "--verbosity", "2", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == ["plain word", "plain ['word']"]


PLAIN = """
    import argparse

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def create_parser(self, prog_name, subcommand, **kwargs):
            parser = argparse.ArgumentParser(prog=subcommand)
            parser.add_argument("words", nargs="*")
            parser.add_argument("--no-color", action="store_true")
            parser.add_argument("--force-color", action="store_true")
            return parser

        def execute(self, *args, **options):
            print("plain", options["words"])
"""


def test_an_argument_that_starts_like_verbosity_is_no_verbosity(project: Project) -> None:
    """``--verbosity-report`` among a step's words does not keep ``--verbosity`` from it."""
    project.command("probe", "vendor", VENDOR)
    project.settings('command("deploy", "vendor", "--verbosity-report")')

    done = project.manage("routine", "--verbosity", "2", "deploy")

    assert done.out.splitlines()[-1] == "vendor True v2"


VENDOR = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--verbosity-report", action="store_true")

        def handle(self, *args, **options):
            self.stdout.write(f"vendor {options['verbosity_report']} v{options['verbosity']}")
"""

ENDINGS = """
    import sys

    from django.core.management.base import BaseCommand, CommandError

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("how")

        def handle(self, *args, **options):
            match options["how"]:
                case "command-error":
                    raise CommandError("the index is locked", returncode=4)
                case "unexpected":
                    raise ZeroDivisionError("division by zero")
                case "silent":
                    raise LookupError
                case "status":
                    raise SystemExit(3)
                case "text":
                    sys.exit("not like this")
                case "zero":
                    raise SystemExit(0)
                case "none":
                    sys.exit()
"""


@pytest.mark.parametrize(
    ("step", "command", "reason"),
    [
        ('command("deploy", "end", "command-error")', "end command-error", "the index is locked"),
        (
            'command("deploy", "end", "unexpected")',
            "end unexpected",
            "ZeroDivisionError: division by zero",
        ),
        ('command("deploy", "end", "silent")', "end silent", "LookupError"),
        ('command("deploy", "end", "status")', "end status", "status 3"),
        ('command("deploy", "end", "text")', "end text", "not like this"),
        ('command("deploy", "probe", exit=7)', "probe", "status 7"),
        ('system("deploy", "sh", "-c", "exit 5")', "sh -c 'exit 5'", "status 5"),
        ('system("deploy", "sh", "-c", "kill -9 $$")', "sh -c 'kill -9 $$'", "SIGKILL"),
        ('system("deploy", "sh", "-c", "kill -TERM $$")', "sh -c 'kill -TERM $$'", "SIGTERM"),
        ('system("deploy", "./bin/none", "-x")', "./bin/none -x", "'./bin/none'"),
        ('system("deploy", "./manage.py")', "./manage.py", "./manage.py"),
        ('system("deploy", "./bin/bad")', "./bin/bad", "./bin/bad"),
    ],
)
def test_a_failed_step_ends_the_routine_with_everything_there_is_to_know(
    project: Project, step: str, command: str, reason: str
) -> None:
    """Exit status 1, and which step of how many, whose, where, what, why and what did not run."""
    project.command("probe", "end", ENDINGS)
    bad = project.file("bin/bad", "neither a program nor a script\n")
    bad.chmod(0o755)
    bad.write_bytes(b"\x00\x01\x02\x03")
    settings = project.settings(f"""
        command("deploy", "probe", "before")
        {step}
        command("deploy", "probe", "after", step_id="after")
        command("deploy", "probe", "last", priority=9)
    """)
    name = step.split('"')[3].rpartition("/")[2]
    step_id = "settings:probe-2" if name == "probe" else f"settings:{name}"

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert "Traceback" not in done.err
    said = done.err.splitlines()
    assert said[0] == f"CommandError: Step 2 of 4 of routine 'deploy' failed: {step_id}"
    assert said[1].strip() == (
        f"declared by: settings (config/settings.py:{line_of(settings, step)})"
    )
    assert said[2].strip() == f"command: {command}"
    assert reason in said[3]
    not_run = "settings:probe-3" if name == "probe" else "settings:probe-2"
    assert said[4].strip() == f"not run: settings:after, {not_run}"
    assert len(said) == 5
    assert project.ran[0] == "probe before"
    assert "probe after" not in project.ran
    assert "probe last" not in project.ran


def test_the_last_step_that_fails_leaves_nothing_out(project: Project) -> None:
    """With nothing behind the failed step, nothing is said about what was not run."""
    project.settings('command("deploy", "probe", "--fail")')

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert "not run" not in done.err
    assert "the probe was told to fail" in done.err


def test_leaving_with_status_zero_is_success(project: Project) -> None:
    """A command that ends with ``sys.exit(0)`` or ``sys.exit()`` has done its work."""
    project.command("probe", "end", ENDINGS)
    project.settings("""
        command("deploy", "end", "zero")
        command("deploy", "end", "none")
        command("deploy", "probe", "after")
    """)

    assert project.manage("routine", "deploy").status == 0
    assert project.ran == ["probe after"]


def test_a_failure_with_traceback_shows_where_the_command_broke(project: Project) -> None:
    """``--traceback`` gives a developer the cause beside the message."""
    project.command("probe", "end", ENDINGS)
    project.settings('command("deploy", "end", "unexpected")')

    done = project.manage("routine", "--traceback", "deploy")

    assert done.status == 1
    assert "ZeroDivisionError" in done.err
    assert "end.py" in done.err


def test_a_failure_of_an_app_names_the_app(project: Project) -> None:
    """The step's origin is the app and its own file, not the settings."""
    project.app("shop", routines=SHOP.replace('"late"', '"--fail"', 1))
    project.settings("")

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert "failed: shop:late" in done.err
    assert "declared by: shop (shop/routines.py:6)" in done.err


BEFORE = "\n".join(f'command("deploy", "probe", "{number}")' for number in range(1, 6))
"""Five steps that must not run where the sixth is wrong."""


@pytest.mark.parametrize(
    ("sixth", "code", "said"),
    [
        ('command("deploy", "migrat")', "E012", ["'migrat'", "Did you mean 'migrate'?"]),
        ('command("deploy", "probe now")', "E012", ["'probe now'", "('probe', 'now')"]),
        ('command("deploy", "broken")', "E012", ["'broken' of probe", "SyntaxError"]),
        ('command("deploy", "missing")', "E012", ["ModuleNotFoundError", "no_such_module"]),
        ('command("deploy", "leaving")', "E012", ["'leaving' of probe", "SystemExit"]),
        ('command("deploy", "empty")', "E012", ["'empty' of probe", "Command"]),
        ('command("deploy", "probe", tga="x")', "E013", ["'tga'", "Did you mean 'tag'?"]),
        ('command("deploy", "probe", prioritty=3)', "E013", ["Did you mean 'priority'?"]),
        ('system("deploy", "no-such-program", "x")', "E014", ["'no-such-program'", "PATH"]),
    ],
)
def test_a_wrong_step_is_refused_before_the_first_one_runs(
    project: Project, sixth: str, code: str, said: list[str]
) -> None:
    """What cannot run is found before anything ran, and is named with its origin and remedy."""
    project.command("probe", "broken", "def handle(:\n")
    project.command("probe", "missing", "import no_such_module\n")
    project.command("probe", "leaving", "raise SystemExit(3)\n")
    project.command("probe", "empty", "")
    settings = project.settings("")
    settings.write_text(f"{settings.read_text()}\n{BEFORE}\n{sixth}\n")

    done = project.manage("routine", "deploy")

    assert (done.status, done.out) == (1, "")
    assert project.ran == []
    assert "Traceback" not in done.err
    assert f"(django_runbook.{code})" in done.err
    assert f"settings (config/settings.py:{line_of(settings, sixth)})" in done.err
    for words in said:
        assert words in done.err


def test_a_command_whose_options_cannot_be_asked_for_is_refused(project: Project) -> None:
    """A parser that raises or exits is that command's error: explained, run and checked."""
    body = "    def {}(self, *args, **kwargs):\n        {}\n"
    command = "from django.core.management.base import BaseCommand\n\nclass Command(BaseCommand):\n"
    for name, method, statement in (
        ("raising", "add_arguments", 'raise ValueError("no table")'),
        ("leaving", "add_arguments", "raise SystemExit(0)"),
        ("unmade", "__init__", 'raise LookupError("no model")'),
    ):
        project.command("probe", name, command + body.format(method, statement))
    settings = project.settings("""
        command("deploy", "probe", "before")
        command("deploy", "raising")
        command("deploy", "leaving")
        command("deploy", "unmade")
    """)

    explained = project.manage("routine", "deploy", "--explain")
    done = project.manage("routine", "deploy")
    checked = project.manage("check", "--deploy", "--tag", "django_runbook")

    for ran, said in ((explained, explained.out), (done, done.err), (checked, checked.err)):
        assert ran.status == 1
        assert said.count("django_runbook.E012") == 3
        assert "Traceback" not in ran.out + ran.err
        for name, what in (
            ("raising", "ValueError: no table"),
            ("leaving", "SystemExit: 0"),
            ("unmade", "LookupError: no model"),
        ):
            assert f"config/settings.py:{line_of(settings, name)}" in said
            assert f"command {name!r} of probe cannot be loaded: {what}" in said
    assert project.ran == []


def test_a_wrong_step_that_does_not_run_stops_nothing(project: Project) -> None:
    """What is switched off or disabled need not be runnable here."""
    project.settings("""
        command("deploy", "probe", "good")
        command("deploy", "migrat", switches=["never"])
        command("deploy", "nothing", step_id="nothing")
        system("deploy", "no-such-program", switches=["never"])
        disable("deploy", "settings:nothing")
    """)

    assert project.manage("routine", "deploy").status == 0
    assert project.ran == ["probe good"]
    assert project.manage("routine", "deploy", "--never").status == 1
    assert project.ran == ["probe good"]


def test_controls_that_are_stated_as_off_are_no_error(project: Project) -> None:
    """Stating the default asks for nothing."""
    project.settings("""
        routine("deploy", atomic=False, subprocess=False, continue_on_error=False)
        command("deploy", "probe", "x")
    """)

    assert project.manage("routine", "deploy").status == 0
    assert project.ran == ["probe x"]


def test_makemigrations_then_migrate_in_one_run(project: Project) -> None:
    """The migration that one step has written is applied by the next."""
    project.app("shop", models=MODEL)
    project.file("shop/migrations/__init__.py", "")
    project.settings("""
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        command("deploy", "makemigrations", "shop")
        command("deploy", "migrate")
        command("deploy", "makemigrations", "--check", "--dry-run")
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, ""), done.out
    assert "Applying shop.0001_initial... OK" in done.out
    assert "No changes detected" in done.out


MODEL = """
    from django.db import models

    class Product(models.Model):
        name = models.CharField(max_length=10)
"""

CHECKS = """
    from django.apps import AppConfig
    from django.core.checks import Error, register

    class ShopConfig(AppConfig):
        name = "shop"

        def ready(self):
            register(lambda app_configs, **kwargs: [Error("the shop is shut", id="shop.E001")])
"""


def test_a_failing_system_check_stops_before_the_first_step(project: Project) -> None:
    """Django's checks come first, unless ``--skip-checks`` says not; explaining needs none."""
    project.app("shop", apps=CHECKS)
    project.settings('command("deploy", "probe", "x")')

    refused = project.manage("routine", "deploy")
    assert refused.status == 1
    assert "shop.E001" in refused.err
    assert "Traceback" not in refused.err
    assert project.ran == []

    explained = project.manage("routine", "deploy", "--explain")
    assert (explained.status, explained.err) == (0, "")

    skipped = project.manage("routine", "--skip-checks", "deploy")
    assert skipped.status == 0
    assert project.ran == ["probe x"]


def test_call_command_captures_everything_that_a_run_writes(project: Project) -> None:
    """``stdout`` and ``stderr`` of ``call_command`` take echo, commands and programs, in order."""
    project.command("probe", "aside", ASIDE)
    project.settings("""
        import sys

        command("deploy", "probe", "first")
        system("deploy", sys.executable, "-c", "print('program ä')")
        system("deploy", sys.executable, "-c", "import sys; print('aside', file=sys.stderr)")
        command("deploy", "aside")
        command("deploy", "probe", "second")
    """)

    done = project.python("""
        import io
        import json

        import django

        django.setup()
        from django.core.management import call_command

        stdout, stderr = io.StringIO(), io.StringIO()
        result = call_command("routine", "deploy", stdout=stdout, stderr=stderr)
        print(json.dumps([result, stdout.getvalue(), stderr.getvalue()]))
    """)

    assert (done.status, done.err) == (0, "")
    assert len(done.out.splitlines()) == 1, "something went past the captured output"
    result, out, err = json.loads(done.out)
    assert result is None
    lines = [line for line in out.splitlines() if not line.startswith(sys.executable)]
    assert lines == [
        "probe first",
        "probed first v1",
        "program ä",
        "aside",
        "probe second",
        "probed second v1",
    ]
    assert len(out.splitlines()) == len(lines) + 2
    said = Ran(0, out, err)
    assert [line for line in said.err.splitlines() if line] == ["aside", "a command aside"]
    assert len(said.progress) == 6


ASIDE = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stderr.write("a command aside")
"""


def test_the_echo_is_the_command_line(project: Project) -> None:
    """What is shown before a step is what a shell would take, on one line."""
    project.settings("""
        command("deploy", "probe", "plain")
        command("deploy", ("probe", "two words", "it's", ""))
        command("deploy", "probe", "esc\\x1b[31m", "line\\nbreak")
    """)

    done = project.manage("routine", "deploy")

    echoed = [line for line in done.out.splitlines() if line.startswith("probe ")]
    assert echoed == [
        "probe plain",
        """probe 'two words' 'it'"'"'s' ''""",
        r"probe 'esc\x1b[31m' 'line\nbreak'",
    ]


def test_a_routine_without_steps_runs_nothing_well(project: Project) -> None:
    """A routine may be declared before anybody contributes to it."""
    project.settings('routine("deploy", "Nothing yet.")')

    done = project.manage("routine", "deploy")

    assert (done.status, done.out, done.err) == (0, "", "")


def test_each_step_gets_a_command_of_its_own(project: Project) -> None:
    """State that a command keeps on itself does not leak into the step that runs it again."""
    project.command("probe", "keeper", KEEPER)
    project.settings("""
        command("deploy", "keeper")
        command("deploy", "keeper")
    """)

    done = project.manage("routine", "--verbosity", "0", "deploy")

    assert done.out.splitlines() == ["kept 1", "kept 1"]


KEEPER = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        count = 0

        def handle(self, *args, **options):
            self.count += 1
            self.stdout.write(f"kept {self.count}")
"""


def test_ids_of_a_run_and_of_its_explanation_agree(project: Project) -> None:
    """A failure names a step as ``--explain`` does, where names repeat."""
    project.settings("""
        command("deploy", "probe", "a")
        command("deploy", "probe", "--fail", priority=-1)
    """)

    done = project.manage("routine", "deploy")

    first = ids(project.explain())[0]
    assert f"Step 1 of 2 of routine 'deploy' failed: {first}" in done.err


def test_a_command_is_left_without_what_it_was_handed(project: Project) -> None:
    """The parser that a step is given is that step's alone, also where nothing asks for it."""
    project.command(
        "probe",
        "keep",
        """
        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def handle(self, *args, **options):
                assert "create_parser" not in vars(self)
                assert self.create_parser("manage.py", "keep") is not self.create_parser("", "keep")
                self.print_help("manage.py", "keep")
        """,
    )
    project.settings('command("deploy", "keep")')

    ran = project.manage("routine", "deploy")

    assert (ran.status, ran.err) == (0, "")
    assert "usage: manage.py keep" in ran.out
