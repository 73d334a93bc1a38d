"""Steps in processes of their own: their output, their input, their end, and the limits of it."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pexpect
import pytest

from .live import DEADLINE, Live
from .projects import ENVIRONMENT, Project, line_of

pytestmark = pytest.mark.ours


PYTHON = sys.executable


@pytest.fixture
def live(project: Project) -> Iterator[Live]:
    """A project to talk with while it runs."""
    with closing(Live(project)) as live:
        yield live


def results(project: Project, **arguments: Any) -> list[dict[str, Any]]:
    """Run the routine ``deploy`` in a process, and return what became of each step."""
    project.file("results.py", RESULTS)
    done = project.python(f"import results; results.run({arguments!r})")
    assert done.status == 0, done.err
    found: list[dict[str, Any]] = json.loads((project.root / "results.json").read_text())
    return found


RESULTS = """
    import json
    from pathlib import Path

    import django

    def run(arguments):
        django.setup()
        from django_runbook import run_routine

        result = run_routine("deploy", check=False, **arguments)
        found = [
            {
                "id": step.id.removeprefix("settings:"),
                "status": step.status,
                "returncode": step.returncode,
                "failure": str(step.exception or ""),
                "stderr": step.stderr,
            }
            for step in result.steps
        ]
        Path("results.json").write_text(json.dumps(found))
"""


# Output


def test_output_comes_through_while_a_step_still_runs(live: Live) -> None:
    """What a process writes is there to be read before the process has ended."""
    live.project.command("probe", "talk", TALK)
    live.project.settings("""
        system("deploy", "sh", "-c", "printf part; echo aside >&2; . ./hold.sh")
        command("deploy", "talk", time_limit=600)
    """)

    live.start("routine", "deploy")

    live.wait_for(live.running.stdout, "hold.sh'\npart")  # the echo, and half a line
    live.wait_for(live.running.stderr, "aside\n")
    live.said.line()
    live.gate.open()
    live.wait_for(live.running.stdout, "talking")
    live.wait_for(live.running.stderr, "muttering")
    live.gate.open()
    assert live.end().status == 0


TALK = """
    from django.core.management.base import BaseCommand

    from waiting import wait

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stdout.write("talking")
            self.stdout.flush()
            self.stderr.write("muttering")
            wait()
"""

LINES = 100_000

# Writes lines to both of its outputs in turn, through small buffers and as fast as it can.
BOTH = f"""
    import sys

    for number in range({LINES}):
        sys.stdout.write(f"out {{number}}\\n")
        sys.stderr.write(f"err {{number}}\\n")
"""

MANY = f"""
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            for number in range({LINES}):
                self.stdout.write(f"line {{number}}")
"""


def test_a_hundred_thousand_lines_arrive_in_their_order(live: Live) -> None:
    """However much steps write, on both outputs at once, every line arrives and none waits."""
    live.project.file("both.py", BOTH)
    live.project.command("probe", "many", MANY)
    live.project.settings(f"""
        system("deploy", {PYTHON!r}, "both.py")
        command("deploy", "many")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy")
    done = live.end()

    assert done.status == 0
    numbers = range(LINES)
    assert done.out.splitlines() == [
        f"{PYTHON} both.py",
        *(f"out {number}" for number in numbers),
        "many",
        *(f"line {number}" for number in numbers),
        "probe after",
        "probed after v1",
    ]
    assert done.err.splitlines() == [f"err {number}" for number in numbers]


NOT_UTF8 = bytes(range(256)) + "ä€😀".encode() + b"\xff\xfe\xc3"
"""Every byte, some characters, and one character that is cut off."""

RAW = f"""
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            sys.stdout.buffer.write({NOT_UTF8!r})
            sys.stdout.buffer.flush()
"""


def test_bytes_that_are_no_text_pass_unchanged(live: Live) -> None:
    """A pipe gets, byte by byte, what the steps wrote."""
    live.project.command("probe", "raw", RAW)
    live.project.file("raw.bin", "").write_bytes(NOT_UTF8)
    live.project.settings("""
        system("deploy", "cat", "raw.bin")
        command("deploy", "raw")
        system("deploy", "sh", "-c", "cat raw.bin >&2")
        command("deploy", "raw", time_limit=600)
    """)

    live.start("routine", "--verbosity", "0", "deploy", stderr=subprocess.STDOUT)
    live.end()

    assert live.running.returncode == 0
    assert live.out == NOT_UTF8 * 4


def test_bytes_that_are_no_text_are_replaced_where_only_text_can_be(project: Project) -> None:
    """A ``StringIO`` gets each step's output as text; a character cut off is that step's alone."""
    project.file("raw.bin", "").write_bytes(NOT_UTF8)
    project.settings("""
        system("deploy", "cat", "raw.bin")
        system("deploy", "printf", "\\\\251|")
        system("deploy", "printf", "\\\\303")
    """)

    done = project.python("""
        import io
        import json

        import django

        django.setup()
        from django_runbook import run_routine

        out = io.StringIO()
        run_routine("deploy", stdout=out, verbosity=0)
        print(json.dumps(out.getvalue()))
    """)

    assert done.status == 0, done.err
    decoded = NOT_UTF8.decode("utf-8", "replace")
    assert done.document == f"{decoded}\N{REPLACEMENT CHARACTER}|\N{REPLACEMENT CHARACTER}"


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes have one size here")
def test_a_slow_reader_loses_nothing_of_a_step_that_has_ended(live: Live) -> None:
    """What a step has written before its end arrives, however long the reader takes for it."""
    live.project.file("burst.py", BURST)
    live.project.settings(f"""
        system("deploy", {PYTHON!r}, "burst.py")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "--verbosity", "0", "deploy")
    assert live.said.line() == "written"
    assert live.said.ended()
    assert live.running.stdout is not None
    read = b""
    for _ in range(3):
        read += os.read(live.running.stdout.fileno(), 65536)
        # Nothing is waited for: this reader is slow, as a terminal far away.
        select.select([], [], [], 0.7)
    done = live.end()

    assert done.status == 0
    numbers = (read + live.out).decode().split()
    assert numbers == [*map(str, range(LINES)), "probed", "after", "v0"]


# Leaves more behind in its pipe than is read at once.
BURST = f"""
    import fcntl
    import os
    import sys

    with open("said", "w") as said:
        fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)
        sys.stdout.write("".join(f"{{number}}\\n" for number in range({LINES})))
        sys.stdout.flush()
        print("written", file=said, flush=True)
        os._exit(0)  # at once, so that it is gone when nobody holds the pipe any longer
"""


def test_an_output_that_can_only_be_written_to_is_enough(project: Project) -> None:
    """As for any command, what is given as ``stdout`` needs a ``write()`` and nothing else."""
    project.settings("""
        command("deploy", "probe", "inside")
        system("deploy", "echo", "outside")
    """)

    done = project.python("""
        import django

        django.setup()
        from django.core.management import call_command

        class Written(list):
            write = list.append

        written = Written()
        call_command("routine", "deploy", verbosity=0, stdout=written, stderr=Written())
        print("".join(written), end="")
    """)

    assert (done.status, done.err) == (0, "")
    assert done.out == "probed inside v0\noutside\n"


# A command that does to the process's own streams what it is told to.
SPOIL = """
    import io
    import os
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("code")

        def handle(self, *args, **options):
            self.stdout.write("before")
            exec(options["code"])
"""


@pytest.mark.parametrize(
    "code",
    [
        "sys.stdout.close()",
        "sys.stderr.close()",
        "sys.stdout.close(); sys.stderr.close()",
        "os.close(1)",
        "os.close(1); os.close(2)",
        "sys.stdout = io.StringIO()",
        "sys.stdout = sys.stderr = None",
        "sys.stdout.flush(); os.dup2(os.open(os.devnull, os.O_WRONLY), 1)",
        "sys.stdin.close()",
        "os.close(0)",
        "sys.stdin = None",
    ],
)
def test_a_command_that_spoils_the_streams_spoils_its_own_alone(live: Live, code: str) -> None:
    """What later steps write arrives, and the routine ends well."""
    live.project.command("probe", "spoil", SPOIL)
    live.project.settings(f"""
        command("deploy", "spoil", {code!r})
        command("deploy", "probe", "inside")
        system("deploy", "sh", "-c", "cat; echo outside; echo aside >&2")
        command("deploy", "probe", "last")
    """)

    live.start("routine", "deploy")
    done = live.end()

    assert (done.status, done.err) == (0, "aside\n")
    assert len(done.progress) == 5
    lines = done.out.splitlines()
    assert [line for line in lines if not line.startswith(("spoil ", "sh "))] == [
        "before",
        "probe inside",
        "probed inside v1",
        "outside",
        "probe last",
        "probed last v1",
    ]


@pytest.mark.parametrize("also", ["", "stderr"])
def test_a_reader_that_goes_away_ends_no_deploy(live: Live, also: str) -> None:
    """Behind ``| head -1`` every step runs, and nothing is said of the pipe."""
    live.project.settings("""
        system("deploy", "sh", "./hold.sh", "step")
        system("deploy", "sh", "-c", "echo more; echo aside >&2; echo more; echo outside >>ran.txt")
        command("deploy", "probe", "inside")
        command("deploy", "probe", "apart", time_limit=600)
        command("deploy", "check")
    """)

    live.start("routine", "deploy", stderr=subprocess.STDOUT if also else subprocess.PIPE)
    live.wait_for(live.running.stdout, "\n")
    live.said.line()
    assert live.running.stdout is not None
    live.running.stdout.close()
    live.gate.open()
    done = live.end()

    assert live.project.ran == ["step passed", "outside", "probe inside", "probe apart"]
    assert done.status == 0
    assert done.err == ("" if also else "aside\n")


def test_a_command_whose_reader_goes_away_fails_as_it_would_alone(live: Live) -> None:
    """What a command of this process writes to nobody fails that step, and says so."""
    live.project.command("probe", "flood", FLOOD)
    live.project.settings("""
        command("deploy", "flood")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy")
    live.wait_for(live.running.stdout, "the first line")
    assert live.running.stdout is not None
    live.running.stdout.close()
    live.gate.open()
    done = live.end()

    assert done.status == 1
    assert "failure: BrokenPipeError" in done.err
    assert "not run: settings:probe" in done.err
    assert "Traceback" not in done.err
    assert "Exception ignored" not in done.err
    assert live.project.ran == []


FLOOD = f"""
    from django.core.management.base import BaseCommand

    from waiting import note, wait

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stdout.write("the first line")
            self.stdout.flush()
            wait()
            for number in range({LINES}):
                self.stdout.write(f"line {{number}}")
            note("the flood is over")
"""


def test_a_failure_is_told_by_the_status_where_nobody_reads(live: Live) -> None:
    """With both outputs gone, a step that fails still halts the routine with status 1."""
    live.project.settings("""
        system("deploy", "sh", "./hold.sh", "step")
        system("deploy", "sh", "-c", "echo why >&2; exit 3")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", stderr=subprocess.STDOUT)
    live.said.line()
    assert live.running.stdout is not None
    live.running.stdout.close()
    live.gate.open()

    assert live.end().status == 1
    assert live.project.ran == ["step passed"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_were_never_open_are_not_missed(live: Live, closed: str) -> None:
    """Started without some of its streams, as by a daemon, the routine runs every step."""
    live.project.settings("""
        command("deploy", "probe", "inside")
        system("deploy", "sh", "-c", "echo out; echo err >&2; cat; echo outside >>ran.txt")
        command("deploy", "probe", "apart", time_limit=600)
        command("deploy", "check")
    """)

    live.start("routine", "deploy", before=("sh", "-c", f'exec "$@" {closed}', "sh"))
    done = live.end()

    assert (done.status, done.err) == (0, "" if "2>&-" in closed else "err\n")
    assert live.project.ran == ["probe inside", "outside", "probe apart"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_the_output_ends_no_deploy(live: Live) -> None:
    """Where nothing can be written any more, every step is run, and what failed is told."""
    live.project.settings("""
        command("deploy", "probe", "inside")
        system("deploy", "sh", "-c", "echo out; echo outside >>ran.txt")
        command("deploy", "probe", "last")
    """)

    with open("/dev/full", "wb") as full:
        live.start("routine", "deploy", stdout=full)
    done = live.end()

    assert live.project.ran == ["probe inside", "outside", "probe last"]
    assert (done.status, done.err) == (0, "")


# Input


def test_a_question_on_a_terminal_can_be_answered(project: Project) -> None:
    """On a terminal a program, a command and a command in a process of its own may ask."""
    project.command("probe", "ask", ASK)
    project.settings("""
        system("deploy", "sh", "-c", 'printf "Name? "; read name; echo "I am $name."')
        command("deploy", "ask")
        command("deploy", "ask", time_limit=600)
        system("deploy", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all terminals")
    """)
    environment = {**os.environ, **ENVIRONMENT, "TERM": "xterm-256color"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    child = pexpect.spawn(
        PYTHON,
        [str(project.root / "manage.py"), "routine", "deploy"],
        cwd=str(project.root),
        env=environment,
        encoding="utf-8",
        dimensions=(40, 100),
        timeout=DEADLINE,
    )
    try:
        child.expect_exact('echo "I am $name."')
        child.expect_exact("Name? ")
        child.sendline("Ada")
        child.expect_exact("I am Ada.")
        for answer in ("blue", "green"):
            child.expect_exact("Colour? ")
            child.sendline(answer)
            child.expect_exact(f"It is {answer}.")
        child.expect_exact("all terminals")
        child.expect(pexpect.EOF)
    finally:
        child.close()
    assert child.exitstatus == 0


ASK = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stdout.write(f"It is {input('Colour? ')}.")
"""


def test_a_command_that_asks_without_a_terminal_fails_and_does_not_hang(live: Live) -> None:
    """A prompt of a command, here or in a process of its own, finds its input at its end."""
    live.project.command("probe", "ask", ASK)
    live.project.settings("""
        command("deploy", "ask", time_limit=600)
        command("deploy", "ask")
        system("deploy", "cat")
    """)
    reading, writing = os.pipe()  # its end stays open and silent

    try:
        live.start("routine", "deploy", "--continue", stdin=reading)
        done = live.end()
    finally:
        os.close(reading)
        os.close(writing)

    assert done.status == 1
    assert "2 of 3 steps of routine 'deploy' failed." in done.err
    assert done.err.count("EOFError") >= 2


# Ends


def test_how_a_process_ended_is_named(project: Project) -> None:
    """Signals are named, those without a name numbered, and each end is a return code."""
    project.command("probe", "shoot", SHOOT)
    project.settings("""
        system("deploy", "sh", "-c", "kill -KILL $$", step_id="killed")
        system("deploy", "sh", "-c", "kill -SEGV $$", step_id="crashed")
        system("deploy", "sh", "-c", "sh -c 'kill -KILL $$'; exit $?", step_id="below")
        system("deploy", "sh", "-c", "exit 255", step_id="status")
        command("deploy", "shoot", time_limit=600, step_id="apart")
        system("deploy", "true", step_id="well")
    """)

    ended = {
        one["id"]: (one["status"], one["returncode"], one["failure"])
        for one in results(project, continue_on_error=True)
    }

    assert ended == {
        "killed": ("failed", -9, "it was killed by SIGKILL"),
        "crashed": ("failed", -11, "it was killed by SIGSEGV"),
        "below": ("failed", 137, "it ended with exit status 137"),
        "status": ("failed", 255, "it ended with exit status 255"),
        "apart": ("failed", -9, "it was killed by SIGKILL"),
        "well": ("succeeded", 0, ""),
    }


SHOOT = """
    import os
    import signal

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="this system has no such signals")
def test_a_signal_without_a_name_is_numbered(project: Project) -> None:
    """Real-time signals have numbers only."""
    number = signal.SIGRTMIN + 3
    project.settings(f"""
        system("deploy", {PYTHON!r}, "-c", "import os; os.kill(os.getpid(), {number})")
    """)

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert f"failure: it was killed by signal {number}\n" in done.err


def test_a_program_that_cannot_be_started_says_why(project: Project) -> None:
    """A program made by an earlier step runs; what is not there or not executable is named."""
    project.file("script", "#!/no/such/interpreter\n").chmod(0o755)
    project.file("plain", "echo never\n").chmod(0o644)
    project.settings("""
        make = 'mkdir -p made; printf "#!/bin/sh\\necho made >>ran.txt" >made/it; chmod +x made/it'
        system("deploy", "sh", "-c", make)
        system("deploy", "made/it", step_id="made")
        system("deploy", "sh", "-c", "rm made/it")
        system("deploy", "made/it", step_id="removed")
        system("deploy", "./plain", step_id="plain")
        system("deploy", "./script", step_id="script")
        system("deploy", "./made", step_id="directory")
    """)

    ended = {one["id"]: one for one in results(project, continue_on_error=True)}

    assert project.ran == ["made"]
    assert ended["made"]["status"] == "succeeded"
    for name, said in (
        ("removed", "'made/it'"),
        ("plain", "./plain is not executable"),
        ("script", "./script cannot be run: No such file or directory"),
        ("directory", "./made"),
    ):
        assert ended[name]["status"] == "failed"
        assert said in ended[name]["failure"]


def test_a_failure_shows_the_last_lines_of_the_stderr(live: Live) -> None:
    """Ten lines at the most, without blank ones and without what a terminal would act upon."""
    live.project.file("noise.py", NOISE)
    live.project.settings(f"""
        system("deploy", "sh", "-c", "echo out; exit 2", step_id="silent")
        system("deploy", {PYTHON!r}, "noise.py", step_id="noisy")
    """)

    live.start("routine", "deploy", "--continue")
    done = live.end()

    text = done.err[done.err.index("CommandError: ") :].splitlines()
    (start,) = (number for number, line in enumerate(text) if "last lines" in line)
    assert text[start - 1] == "  failure: it ended with exit status 4"
    assert text[start:] == [
        "  last lines of its stderr:",
        "    line 24",
        "    line 25",
        "    line 26",
        "    line 27",
        "    line 28",
        "    line 29",
        "    red bold",
        "    titled",
        r"    bell\x07 null\x00 escape\x1b",
        "    cut off: \N{REPLACEMENT CHARACTER}",
    ]


NOISE = r"""
    import sys

    for number in range(30):
        print(f"line {number}\n", file=sys.stderr)
    print("\x1b[31mred\x1b[0m \x1b[1;4mbold\x1b[m\x1b[K", file=sys.stderr)
    print("\x1b]0;owned\x07\x1b]8;;http://x\x1b\\titled\x1b(B", file=sys.stderr)
    print("bell\x07 null\x00 escape\x1b", file=sys.stderr)
    sys.stderr.flush()
    sys.stderr.buffer.write(b"cut off: \xe2\x82")
    sys.exit(4)
"""


def test_a_secret_is_masked_also_where_the_kept_stderr_begins(project: Project) -> None:
    """However much is written behind it, no part of a secret is left in a failure."""
    secret = "0123456789abcdefghijklmnopqrstuvwxyz" * 10
    project.file("leak.py", LEAK)
    project.settings(f"""
        for behind in range(7900, 8300, 50):
            token = Secret({secret!r})
            system("deploy", {PYTHON!r}, "leak.py", str(behind), env={{"TOKEN": token}})
    """)

    for step in results(project, continue_on_error=True):
        assert step["returncode"] == 5
        assert "abcdef" not in "".join(step["stderr"])


LEAK = """
    import os
    import sys

    sys.stderr.write(f"refused: {os.environ['TOKEN']}{'.' * int(sys.argv[1])}")
    sys.exit(5)
"""


# Odd processes


def test_a_process_that_closes_its_output_is_waited_for(live: Live) -> None:
    """What writes nothing any more still works, and the next step comes behind it."""
    live.project.settings("""
        system("deploy", "sh", "-c", "echo last words; exec >&- 2>&-; . ./hold.sh; exit 3")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", "--continue")
    live.said.line()
    live.wait_for(live.running.stdout, "last words\n")
    assert live.project.ran == []
    live.gate.open()
    done = live.end()

    assert live.project.ran == [" passed", "probe after"]
    assert "failure: it ended with exit status 3\n" in done.err


def test_what_a_step_leaves_in_the_background_is_not_waited_for(live: Live) -> None:
    """A server that holds the step's output open, or writes on, does not keep the routine."""
    live.project.file("server.sh", ". ./hold.sh\n")
    live.project.file("chatter.sh", "exec 9>said\nwhile echo x; do :; done\n")
    live.project.settings("""
        system("deploy", "sh", "-c", "sh ./server.sh server & echo started")
        system("deploy", "sh", "-c", "sh ./chatter.sh & exit 3")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", "--continue")
    done = live.end()

    assert live.said.line() == "server"
    assert "started\n" in done.out
    assert "failure: it ended with exit status 3\n" in done.err
    assert live.project.ran == ["probe after"]
    live.gate.open()
    assert live.said.ended()
    assert live.project.ran == ["probe after", "server passed"]


# Limits


def test_a_time_limit_ends_a_step_with_all_that_it_has_started(live: Live) -> None:
    """Terminate, wait, kill, reap: whatever a step and its children do, they are gone."""
    live.project.command("probe", "children", CHILDREN)
    live.project.file("stubborn.sh", 'trap "" TERM\n. ./hold.sh\n')
    live.project.file("polite.sh", POLITE)
    live.project.settings("""
        DJANGO_RUNBOOK = {"GRACE_PERIOD": 0.5}
        both = "sh ./stubborn.sh {0}-child & sh ./stubborn.sh {0}; wait"
        silent = "exec >&- 2>&-; sh ./stubborn.sh child & exec 9>said; echo silent >&9; wait"
        system("deploy", "sh", "-c", both.format("both"), time_limit=2, step_id="both")
        system("deploy", "sh", "-c", silent, time_limit=2, step_id="silent")
        system("deploy", "sh", "./polite.sh", time_limit=2, step_id="polite")
        command("deploy", "hold", "command", time_limit=0.5, step_id="command")
        command("deploy", "children")
        command("deploy", "probe", "quick", time_limit=600)
    """)

    live.start("routine", "deploy", "--continue")
    done = live.end()

    assert done.status == 1
    heard = {live.said.line() for _ in range(5)}
    assert heard == {"both", "both-child", "silent", "child", "polite"}
    assert live.said.ended()
    assert live.project.ran == ["polite has ended", "no children", "probe quick"]
    assert done.err.count("failure: it was ended at its time limit of 2 s\n") == 3
    assert done.err.count("failure: it was ended at its time limit of 0.5 s\n") == 1
    assert "4 of 6 steps of routine 'deploy' failed.\n" in done.err


POLITE = """
    trap 'echo "polite has ended" >>ran.txt; exit 0' TERM
    exec 9>said
    echo polite >&9
    while :; do read line <gate; done
"""

CHILDREN = """
    import os
    from pathlib import Path

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            try:
                said = f"a child: {os.waitpid(-1, os.WNOHANG)}"
            except ChildProcessError:
                said = "no children"
            with Path("ran.txt").open("a") as file:
                file.write(f"{said}\\n")
"""


def test_a_limit_around_a_nested_routine_holds_for_its_steps(live: Live) -> None:
    """At the limit its step is ended, as the limit's doing, and none of the others begins."""
    live.project.settings("""
        DJANGO_RUNBOOK = {"GRACE_PERIOD": 0}
        routine("inner", continue_on_error=True)
        system("inner", "sh", "./hold.sh", "inner", time_limit=600)
        system("inner", "sh", "-c", "echo late >>ran.txt")
        command("deploy", "routine", "inner", time_limit=2)
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", "--continue")
    done = live.end()

    assert done.status == 1
    assert live.said.line() == "inner"
    assert live.said.ended()
    assert "it was ended at the time limit around it" in done.err
    assert "600" not in done.err
    assert live.project.ran == ["probe after"]


def test_a_routine_in_a_process_of_its_own_is_ended_with_its_steps(live: Live) -> None:
    """A step that runs a routine itself leaves nothing of that behind at its limit."""
    live.project.settings(f"""
        DJANGO_RUNBOOK = {{"GRACE_PERIOD": 0.5}}
        system("inner", "sh", "./stubborn.sh", "inner")
        system("deploy", {PYTHON!r}, "manage.py", "routine", "inner", time_limit=3)
    """)
    live.project.file("stubborn.sh", 'trap "" TERM\n. ./hold.sh\n')

    live.start("routine", "deploy")
    done = live.end()

    assert done.status == 1
    assert "failure: it was ended at its time limit of 3 s\n" in done.err
    assert live.said.ended()


def test_a_command_with_a_time_limit_runs_in_a_process_of_its_own(project: Project) -> None:
    """Only what is not this process can be ended; the plan says so."""
    project.command("probe", "pid", PID)
    project.settings("""
        command("deploy", "pid")
        command("deploy", "pid", time_limit=600)
        command("deploy", "pid")
    """)

    explained = [(one["subprocess"], one["time_limit"]) for one in project.explain()["steps"]]
    done = project.manage("routine", "--verbosity", "0", "deploy")

    assert explained == [(False, None), (True, 600), (False, None)]
    first, second, third = done.out.splitlines()
    assert first == third != second


PID = """
    import os

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stdout.write(str(os.getpid()))
"""


def test_a_time_limit_that_is_no_positive_number_is_refused(project: Project) -> None:
    """Each is named with its line before anything runs; none at all is no limit."""
    wrong = ["0", "-1", "True", '"5"', "float('nan')", "float('inf')", "[5]", "10**400"]
    settings = project.settings(
        'command("deploy", "probe", "first", time_limit=None)\n'
        + "".join(f'system("deploy", "true", time_limit={one})  # {one}\n' for one in wrong)
    )

    done = project.manage("routine", "deploy")

    assert (done.status, project.ran) == (1, [])
    assert "Traceback" not in done.err
    assert done.err.count("django_runbook.E001") == len(wrong)
    for one in wrong:
        assert f"config/settings.py:{line_of(settings, f'  # {one}')}" in done.err


def test_a_grace_period_that_is_no_number_is_refused(project: Project) -> None:
    """What the setting says wrongly is found before anything runs; zero is right."""
    project.settings("""
        routine("deploy")
        command("deploy", "probe", "ran")
    """)

    done = project.python("""
        import json

        import django

        django.setup()
        from django.test import override_settings

        from django_runbook import run_routine
        from django_runbook.exceptions import PlanError

        found = []
        for value in (-1, True, "5", None, [], float("nan"), float("inf"), 10**400, 0, 0.3, 5):
            with override_settings(DJANGO_RUNBOOK={"GRACE_PERIOD": value}):
                try:
                    run_routine("deploy", verbosity=0)
                except PlanError as exc:
                    found.append([str(one.code.value) for one in exc.problems])
                else:
                    found.append("ran")
        print("found", json.dumps(found))
    """)

    assert done.status == 0, done.err
    found = json.loads(done.out.splitlines()[-1].removeprefix("found "))
    assert found == [["E002"]] * 8 + ["ran"] * 3
    assert project.ran == ["probe ran"] * 3


def test_what_goes_on_writing_in_the_background_does_not_hold_the_step(live: Live) -> None:
    """A server that a step leaves behind may write as often as it likes."""
    live.project.settings("""
        command("deploy", "probe", "before")
        system("deploy", "sh", "-c", "(while read x; do echo $x; done < gate; \
            while echo still here; do sleep 0.05; done) & echo x > gate", step_id="server")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy")
    done = live.end()

    assert done.status == 0, done.err
    assert live.project.ran == ["probe before", "probe after"]


def test_a_reader_that_does_not_read_keeps_no_time_limit_from_being_kept(live: Live) -> None:
    """Behind a pager that nobody scrolls, a step is ended when its time is over, all the same."""
    live.project.settings("""
        DJANGO_RUNBOOK = {"GRACE_PERIOD": 0.2}
        system("deploy", "sh", "-c", "echo > started; exec yes", time_limit=0.5)
    """)
    reading, writing = os.pipe()

    live.start("routine", "deploy", stdout=writing)
    os.close(writing)
    status = live.running.wait(DEADLINE)
    os.close(reading)

    assert status == 1
    assert live.running.stderr is not None
    assert b"it was ended at its time limit of 0.5 s" in live.running.stderr.read()


def test_a_path_of_the_step_s_own_is_where_its_program_is_looked_for(project: Project) -> None:
    """A ``PATH`` in ``env`` counts before the first step as it does when the step runs."""
    project.file("own/only-here", "#!/bin/sh\necho found\n").chmod(0o755)
    project.settings("""
        system("deploy", "only-here", env={"PATH": BASE / "own"})
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "found"
