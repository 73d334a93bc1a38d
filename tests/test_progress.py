"""Progress and summary where nobody watches: plain lines in a pipe, a file or a cron log."""

from __future__ import annotations

import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook.runner.terminal import duration

from .projects import Project, Ran

pytestmark = pytest.mark.ours


HOOKS = """
    from django_runbook.exceptions import ExitEarly

    def skip(routine, command, previous, options):
        return True

    def drop_second(routine, plan, switches, options):
        del plan[1]

    def exit_early(routine, command, previous, options):
        raise ExitEarly
"""

TALK = """
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("word")

        def handle(self, *args, **options):
            print("printed", options["word"])  # to a stream that is not flushed by anybody else
            sys.stderr.write(f"aside {options['word']}\\n")
"""


def told(ran: Ran) -> list[str]:
    """Return the lines of the progress, with durations that are the same each time."""
    return [re.sub(r"\d+\.\d s", "N s", line) for line in ran.progress]


def into_files(project: Project, redirection: str, **env: str) -> int:
    """Run the routine ``deploy`` in a shell, its output redirected; return the exit status."""
    line = f"exec '{sys.executable}' manage.py routine deploy {redirection}"
    ran = project.python(f"""
        import os, subprocess

        line, env = {line!r}, {{**os.environ, **{env!r}}}
        done = subprocess.run(["sh", "-c", line], env=env, stdin=subprocess.DEVNULL)
        print("status", done.returncode)
    """)
    return int(ran.out.rpartition("status ")[2])


@pytest.mark.parametrize("env", [{}, {"TERM": "xterm-256color", "COLORTERM": "truecolor"}])
def test_plain_lines_in_a_pipe(project: Project, env: dict[str, str]) -> None:
    """Each step has its line on stderr, the routine the last one, and no byte is an escape."""
    project.settings("""
        command("deploy", "check")
        system("deploy", "sh", "-c", "test -t 1 || test -t 2 || echo a pipe", step_id="x")
        command("deploy", "probe", "last")
    """)

    done = project.manage("routine", "deploy", env=env)

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "check",
        "System check identified no issues (0 silenced).",
        "sh -c 'test -t 1 || test -t 2 || echo a pipe'",
        "a pipe",
        "probe last",
        "probed last v1",
    ]
    assert told(done) == [
        "[1/3] settings:check: done in N s",
        "[2/3] settings:x: done in N s",
        "[3/3] settings:probe: done in N s",
        "Routine 'deploy' done in N s: 3 run, 0 skipped, 0 failed, 0 not run.",
    ]
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", "".join([done.out, *done.progress]))


def test_the_lines_stand_where_they_belong(project: Project) -> None:
    """In one file, echo, output and what became of a step follow each other, step by step."""
    project.command("probe", "talk", TALK)
    project.settings("""
        command("deploy", "talk", "here")
        system("deploy", "sh", "-c", "echo out")
        system("deploy", "sh", "-c", "echo err >&2")
        command("deploy", "talk", "apart", time_limit=60)
        command("deploy", "talk", "last")
    """)

    assert into_files(project, "> both.txt 2>&1") == 0

    text = re.sub(r"\d+\.\d s", "N s", (project.root / "both.txt").read_text())
    # Before each line of the progress stands what the step wrote. Of two outputs of one step,
    # a buffer here or a pipe each, nobody can tell which one comes first.
    blocks = [sorted(block.splitlines()) for block in re.split(r"(?m)^\[./5\] (.*)\n", text)]
    assert blocks == [
        ["aside here", "printed here", "talk here"],
        ["settings:talk: done in N s"],
        ["out", "sh -c 'echo out'"],
        ["settings:sh: done in N s"],
        ["err", "sh -c 'echo err >&2'"],
        ["settings:sh-2: done in N s"],
        ["aside apart", "printed apart", "talk apart"],
        ["settings:talk-2: done in N s"],
        ["aside last", "printed last", "talk last"],
        ["settings:talk-3: done in N s"],
        ["Routine 'deploy' done in N s: 5 run, 0 skipped, 0 failed, 0 not run."],
    ]
    echoes = [line for line in text.splitlines() if line.startswith(("talk", "sh"))]
    assert all(text.index(one) < text.index(f"\n[{n}/5]") for n, one in enumerate(echoes, 1))
    assert re.search(r"(?s)^talk here\n.*\nsh -c 'echo out'\nout\n.*\ntalk apart\n.*printed", text)


def test_nested_steps_are_numbered_within_their_step(project: Project) -> None:
    """A nested step has its parent's number before its own, and the parent's line comes last."""
    project.settings("""
        command("deploy", "probe", "one")
        command("deploy", "routine", "inner")
        command("inner", "routine", "innermost")
        command("inner", "probe", "two")
        system("innermost", "true")
        command("quiet", "probe", "three")
        command("deploy", "routine", "quiet", "--verbosity", "0")
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert told(done) == [
        "[1/3] settings:probe: done in N s",
        "[2.1.1/1] settings:true: done in N s",
        "[2.1/2] settings:routine: done in N s",
        "[2.2/2] settings:probe: done in N s",
        "[2/3] settings:routine: done in N s",
        "[3/3] settings:routine-2: done in N s",
        "Routine 'deploy' done in N s: 3 run, 0 skipped, 0 failed, 0 not run.",
    ]


def test_what_became_of_steps_that_did_not_run_to_their_end(project: Project) -> None:
    """Skipped, failed and not run are said of the steps and counted in the summary."""
    project.file("config/hooks.py", HOOKS)
    project.settings("""
        routine("deploy", initialize="config.hooks.drop_second")
        command("deploy", "probe", "skipped", pre_hook="config.hooks.skip")
        command("deploy", "probe", "dropped")
        command("deploy", "probe", "--fail")
        command("deploy", "probe", "last")
    """)

    halted = project.manage("routine", "deploy")
    went_on = project.manage("routine", "deploy", "--continue")

    lines = [
        "[2/4] settings:probe-2: skipped by its initialize",
        "[1/4] settings:probe: skipped by its pre_hook",
        "[3/4] settings:probe-3: failed after N s",
    ]
    assert told(halted) == [
        *lines,
        "Routine 'deploy' failed after N s: 0 run, 2 skipped, 1 failed, 1 not run.",
    ]
    assert told(went_on) == [
        *lines,
        "[4/4] settings:probe-4: done in N s",
        "Routine 'deploy' failed after N s: 1 run, 2 skipped, 1 failed, 0 not run.",
    ]
    assert (halted.status, went_on.status) == (1, 1)
    # The error is the last that is said, below the summary.
    assert "not run: settings:probe-4" in halted.err.splitlines()[-1]


def test_a_failure_inside_of_a_nested_routine(project: Project) -> None:
    """The nested step and the step that holds it are both said to have failed; one is counted."""
    project.settings("""
        command("deploy", "routine", "inner")
        command("deploy", "probe", "last")
        system("inner", "false")
        system("inner", "true")
    """)

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert told(done) == [
        "[1.1/2] settings:false: failed after N s",
        "[1/2] settings:routine: failed after N s",
        "Routine 'deploy' failed after N s: 0 run, 0 skipped, 1 failed, 1 not run.",
    ]


def test_an_early_exit_is_said_in_the_summary(project: Project) -> None:
    """A routine that a hook has ended is done, and the summary says that it is not all."""
    project.file("config/hooks.py", HOOKS)
    project.settings("""
        command("deploy", "probe", "one", post_hook="config.hooks.exit_early")
        command("deploy", "probe", "two")
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert told(done) == [
        "[1/2] settings:probe: done in N s",
        "Routine 'deploy' done in N s: 1 run, 0 skipped, 0 failed, 1 not run. It was ended early.",
    ]


def test_a_stop_is_said_at_once_and_in_the_summary(project: Project) -> None:
    """What a signal asks for is said while the step runs; the nested step was stopped, not done."""
    project.settings("""
        command("deploy", "routine", "inner")
        command("deploy", "probe", "last")
        system("inner", "sh", "-c", "kill -TERM $PPID; echo finished")
        system("inner", "true")
    """)

    done = project.manage("routine", "deploy")

    assert done.status == 143
    assert done.out.splitlines()[-1] == "finished"
    assert told(done) == [
        "[1.1/2] settings:sh: done in N s",
        "[1/2] settings:routine: stopped after N s",
        "Routine 'deploy' stopped after N s: 0 run, 0 skipped, 0 failed, 2 not run.",
    ]
    assert done.err.splitlines() == [
        "SIGTERM: the routine stops when this step has finished; another signal ends the step now.",
        "CommandError: Routine 'deploy' was stopped by SIGTERM.",
        "  not run: settings:routine > settings:true, settings:probe",
    ]


def test_verbosity_0_is_silent_but_for_errors(project: Project) -> None:
    """Neither echo nor progress nor summary: only what the commands write, and the error."""
    project.command("probe", "talk", TALK)
    project.settings("""
        command("deploy", "check")
        command("deploy", "talk", "word")
        command("deploy", "routine", "inner", "--verbosity", "2")
        system("inner", "sh", "-c", "echo from outside")
        command("good", "check")
        system("deploy", "sh", "-c", "echo why >&2; exit 3")
        command("deploy", "probe", "last")
    """)

    good = project.manage("routine", "--verbosity", "0", "good")
    bad = project.manage("routine", "-v", "0", "deploy")

    silent = "System check identified no issues (0 silenced).\n"  # Django's own: it is no error
    assert (good.status, good.err, good.progress) == (0, "", [])
    assert good.out.replace(silent, "") == ""
    assert (bad.status, bad.progress) == (1, [])
    assert bad.out.replace(silent, "") == "printed word\nfrom outside\n"
    lines = bad.err.splitlines()
    assert lines[:3] == [
        "aside word",
        "why",
        "CommandError: Step 4 of 5 of routine 'deploy' failed: settings:sh",
    ]
    assert lines[-1] == "  not run: settings:probe"
    assert len(lines) == 9, lines


def test_verbosity_0_says_nothing_of_a_signal_but_how_it_ended(project: Project) -> None:
    """A stopped routine is an error that verbosity 0 shows, once."""
    project.settings("""
        system("deploy", "sh", "-c", "kill -TERM $PPID; echo finished")
        command("deploy", "probe", "last")
    """)

    done = project.manage("routine", "--verbosity", "0", "deploy")

    assert (done.status, done.out, done.progress) == (143, "finished\n", [])
    assert done.err.splitlines() == [
        "CommandError: Routine 'deploy' was stopped by SIGTERM.",
        "  not run: settings:probe",
    ]


@pytest.mark.parametrize(
    ("option", "env", "colored"),
    [
        ("--no-color", {}, False),
        ("--verbosity=1", {"NO_COLOR": "1"}, False),
        ("--verbosity=1", {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
        ("--force-color", {"NO_COLOR": "1"}, True),
    ],
)
def test_colours_in_a_pipe(
    project: Project, option: str, env: dict[str, str], colored: bool
) -> None:
    """There are colours where they are forced, and no other control of a terminal."""
    project.settings('system("deploy", "echo", "plain")')

    done = project.manage("routine", option, "deploy", env=env)

    everything = "".join([done.out, done.err, *done.progress])
    assert done.status == 0
    assert "plain" in done.out.splitlines()
    assert ("\x1b" in everything) is colored
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;]*m", "", everything)
    assert everything.count("\x1b[3") == (3 if colored else 0)  # the echo, the step, the summary


def test_an_output_that_knows_only_ascii(project: Project) -> None:
    """What an encoding lacks is escaped in echo, progress and error; nothing ends for it."""
    project.settings("""
        system("deploy", "true", "grüße", step_id="grüße-日本")
        system("deploy", "false", "\N{PARTY POPPER}")
        routine("deploy", "日本")
    """)

    done = project.manage("routine", "deploy", env={"PYTHONIOENCODING": "ascii"})

    assert done.status == 1
    assert done.out.splitlines() == [r"true 'gr\xfc\xdfe'", r"false '\U0001f389'"]
    assert told(done)[:2] == [
        r"[1/2] settings:gr\xfc\xdfe-\u65e5\u672c: done in N s",
        "[2/2] settings:false: failed after N s",
    ]
    assert r"command: false '\U0001f389'" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full", ">&- 2>&-", "> /dev/full 2>&1"])
def test_a_log_that_takes_nothing_does_not_end_a_deploy(project: Project, redirection: str) -> None:
    """The steps run, also where the progress cannot be written anywhere."""
    project.settings("""
        system("deploy", "sh", "-c", "echo one >> ran.txt")
        system("deploy", "sh", "-c", "echo two >> ran.txt")
    """)

    assert into_files(project, redirection) == 0
    assert project.ran == ["one", "two"]


def test_call_command_gets_all_of_it(project: Project) -> None:
    """Code that gives the command its streams finds echo and progress there, without escapes."""
    project.settings('system("deploy", "echo", "from outside")')

    done = project.python("""
        import io

        import django
        from django.core.management import call_command

        django.setup()
        out, err = io.StringIO(), io.StringIO()
        call_command("routine", "deploy", stdout=out, stderr=err)
        print(ascii([out.getvalue(), err.getvalue()]))
        call_command("routine", "deploy", verbosity=0, stdout=out, stderr=err)
    """)

    given = Ran(done.status, *eval(done.out, {}))
    assert (done.err, done.progress) == ("", [])
    assert (given.out, given.err) == ("echo 'from outside'\nfrom outside\n", "")
    assert told(given) == [
        "[1/1] settings:echo: done in N s",
        "Routine 'deploy' done in N s: 1 run, 0 skipped, 0 failed, 0 not run.",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0.0 s"),
        (0.04, "0.0 s"),
        (1.25, "1.2 s"),
        (59.94, "59.9 s"),
        (59.95, "1 min 00 s"),
        (60, "1 min 00 s"),
        (125.4, "2 min 05 s"),
        (3599.4, "59 min 59 s"),
        (3599.6, "1 h 00 min"),
        (3720, "1 h 02 min"),
        (86400 * 3, "72 h 00 min"),
    ],
)
def test_a_duration_is_said_as_people_read_it(seconds: float, said: str) -> None:
    """Seconds with a decimal, minutes with seconds, hours with minutes."""
    assert duration(seconds) == said


@given(st.floats(0, 10**6))
@settings(deadline=None)
def test_a_duration_has_no_60_of_anything_and_is_near(seconds: float) -> None:
    """Whatever is rounded, there are never 60 seconds or minutes, and what is said is true."""
    said = duration(seconds)

    found = re.fullmatch(r"(\d?\d\.\d) s|(\d?\d) min (\d\d) s|(\d+) h (\d\d) min", said)
    assert found, said
    exact, minutes, rest, hours, more = (float(group or 0) for group in found.groups())
    assert exact < 60
    assert minutes < 60
    assert rest < 60
    assert more < 60
    shown = exact + minutes * 60 + rest + hours * 3600 + more * 60
    unit = 0.1 if found[1] else 1 if found[2] else 60
    assert abs(shown - seconds) <= unit
