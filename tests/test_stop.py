"""Stopping: a signal lets the step finish, a second one ends it, and both are told apart."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing

import pexpect
import pytest

from .live import DEADLINE, Live
from .projects import ENVIRONMENT, Project

pytestmark = pytest.mark.ours


PYTHON = sys.executable

STUBBORN = """
    trap "" TERM INT HUP
    . ./hold.sh
"""
"""A program that can only be killed."""

FIVE = """
    command("deploy", "probe", "one")
    {step}
    command("deploy", "probe", "three", step_id="three")
    system("deploy", "sh", "-c", "echo four >>ran.txt", step_id="four")
    command("deploy", "probe", "five", step_id="five")
"""

SYSTEM = 'system("deploy", "sh", "./hold.sh", "two", step_id="two")'
HERE = 'command("deploy", "hold", "two", step_id="two")'
APART = 'command("deploy", "hold", "two", time_limit=600, step_id="two")'


@pytest.fixture
def live(project: Project) -> Iterator[Live]:
    """A project to talk with while it runs, with a program that can only be killed."""
    with closing(Live(project)) as live:
        project.file("stubborn.sh", STUBBORN)
        yield live


def ask(live: Live, number: int, answer: str) -> None:
    """Send a signal to the routine alone, and wait until it has answered."""
    live.running.send_signal(number)
    live.wait_for(live.running.stderr, answer)


FIRST = "{}: the routine stops when this step has finished; another signal ends the step now.\n"
SECOND = "{}: the step is ended.\n"


# The first signal


@pytest.mark.parametrize(
    ("step", "name", "status"),
    [
        (SYSTEM, "SIGTERM", 143),
        (HERE, "SIGTERM", 143),
        (APART, "SIGTERM", 143),
        (SYSTEM, "SIGINT", 130),
        (HERE, "SIGINT", 130),
        (SYSTEM, "SIGHUP", 129),
        (HERE, "SIGHUP", 129),
    ],
)
def test_a_signal_lets_the_step_finish_and_stops_behind_it(
    live: Live, step: str, name: str, status: int
) -> None:
    """Asked during step 2 of 5, the routine finishes that, names the rest and leaves nobody."""
    live.project.settings(FIVE.format(step=step))

    live.start("routine", "deploy")
    assert live.said.line() == "two"
    ask(live, getattr(signal, name), FIRST.format(name))
    assert live.project.ran == ["probe one"]
    live.gate.open()
    done = live.end()

    assert done.status == status
    assert live.project.ran == ["probe one", "two passed"]
    assert done.err == (
        FIRST.format(name) + f"CommandError: Routine 'deploy' was stopped by {name}.\n"
        "  not run: settings:three, settings:four, settings:five\n"
    )
    assert done.progress[-1].startswith("Routine 'deploy' stopped after ")
    assert done.progress[-1].endswith(": 2 run, 0 skipped, 0 failed, 3 not run.")
    assert live.said.ended()


def test_ctrl_c_on_a_terminal_is_for_the_routine_alone(live: Live) -> None:
    """The step that runs does not get it, and finishes; a second Ctrl-C ends it."""
    live.project.settings("""
        system("deploy", "sh", "./hold.sh", "first", switches=["first"])
        system("deploy", "sh", "./stubborn.sh", "second", switches=["second"])
        command("deploy", "probe", "after")
    """)
    environment = {**os.environ, **ENVIRONMENT, "TERM": "xterm-256color"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    for switch in ("first", "second"):
        child = pexpect.spawn(
            PYTHON,
            [str(live.project.root / "manage.py"), "routine", "deploy", f"--{switch}"],
            cwd=str(live.project.root),
            env=environment,
            encoding="utf-8",
            dimensions=(40, 120),
            timeout=DEADLINE,
        )
        try:
            assert live.said.line() == switch
            child.sendintr()
            child.expect_exact("SIGINT: the routine stops when this step has finished")
            if switch == "first":
                live.gate.open()
            else:
                child.sendintr()
                child.expect_exact("SIGINT: the step is ended.")
            child.expect_exact("Routine 'deploy' was stopped by SIGINT.")
            child.expect_exact("not run: settings:probe")
            child.expect(pexpect.EOF)
        finally:
            child.close()
        assert child.exitstatus == 130
    assert live.project.ran == ["first passed"]
    assert live.said.ended()


def test_signals_that_were_ignored_stay_ignored(live: Live) -> None:
    """Under ``nohup`` a lost terminal stops nothing, while SIGTERM still does."""
    live.project.settings(FIVE.format(step=SYSTEM))

    live.start("routine", "deploy", before=("sh", "-c", 'trap "" HUP INT; exec "$@"', "sh"))
    assert live.said.line() == "two"
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGHUP, signal.SIGINT):
        live.running.send_signal(number)
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert "SIGHUP" not in done.err
    assert "SIGINT" not in done.err
    assert live.project.ran == ["probe one", "two passed"]


def test_ignored_signals_alone_leave_the_run_as_it_is(live: Live) -> None:
    """With nothing but ignored signals every step is run, and the status is 0."""
    live.project.settings(FIVE.format(step=HERE))

    live.start("routine", "deploy", before=("sh", "-c", 'trap "" HUP INT TERM; exec "$@"', "sh"))
    assert live.said.line() == "two"
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        live.running.send_signal(number)
    live.gate.open()
    done = live.end()

    assert (done.status, done.err) == (0, "")
    assert live.project.ran == ["probe one", "two passed", "probe three", "four", "probe five"]


@pytest.mark.parametrize("step", [SYSTEM, HERE])
def test_a_stop_in_the_last_step_is_a_stop_all_the_same(live: Live, step: str) -> None:
    """Whoever asked is told so by the status, and that nothing was left out."""
    live.project.settings(f'command("deploy", "probe", "one")\n{step}')

    live.start("routine", "deploy")
    live.said.line()
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ["probe one", "two passed"]
    assert done.err == FIRST.format("SIGTERM") + (
        "CommandError: Routine 'deploy' was stopped by SIGTERM.\n  Every step was run.\n"
    )


def test_continue_does_not_go_on_behind_a_stop(live: Live) -> None:
    """What had failed before is told, too; what would come is not run."""
    live.project.settings("""
        command("deploy", "probe", "--fail", step_id="failing")
        system("deploy", "sh", "-c", ". ./hold.sh; exit 3", step_id="two")
        command("deploy", "probe", "after", step_id="after")
    """)

    live.start("routine", "deploy", "--continue")
    live.said.line()
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ["probe", " passed"]
    for said in (
        "Routine 'deploy' was stopped by SIGTERM.\n",
        "failed: settings:failing\n",
        "the probe was told to fail\n",
        "failed: settings:two\n",
        "failure: it ended with exit status 3\n",
        "not run: settings:after\n",
    ):
        assert said in done.err


def test_verbosity_0_tells_of_a_stop_only_at_the_end(live: Live) -> None:
    """Nothing is shown but what was not run, and the status is the same."""
    live.project.settings(FIVE.format(step=HERE))

    live.start("routine", "--verbosity", "0", "deploy")
    live.said.line()
    live.running.send_signal(signal.SIGTERM)
    live.gate.open()
    done = live.end()

    assert (done.status, done.progress) == (143, [])
    assert done.out == "probed one v0\n"
    assert done.err == (
        "CommandError: Routine 'deploy' was stopped by SIGTERM.\n"
        "  not run: settings:three, settings:four, settings:five\n"
    )


# The second one


def test_a_second_signal_ends_the_step_with_all_that_it_has_started(live: Live) -> None:
    """Child and grandchild that ignore every signal are gone at once; the first one is told."""
    step = "sh ./stubborn.sh grandchild & . ./stubborn.sh"
    live.project.settings(
        FIVE.format(step=f'system("deploy", "sh", "-c", {step!r}, "sh", "child", step_id="two")')
    )

    live.start("routine", "deploy", "--continue")
    assert {live.said.line(), live.said.line()} == {"grandchild", "child"}
    ask(live, signal.SIGINT, FIRST.format("SIGINT"))
    ask(live, signal.SIGTERM, SECOND.format("SIGTERM"))
    done = live.end()

    assert done.status == 130
    assert live.said.ended()
    assert live.project.ran == ["probe one"]
    assert "Routine 'deploy' was stopped by SIGINT.\n" in done.err
    assert "failure: it was ended because a second signal asked for that\n" in done.err
    assert "not run: settings:three, settings:four, settings:five\n" in done.err
    assert "Traceback" not in done.err


def test_a_second_signal_ends_the_steps_of_a_routine_in_a_process_of_its_own(live: Live) -> None:
    """Also what a routine inside of the step has started in a group of its own."""
    live.project.settings(f"""
        system("inner", "sh", "./stubborn.sh", "inner")
        command("inner", "probe", "inner after")
        system("deploy", {PYTHON!r}, "manage.py", "routine", "inner")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy")
    assert live.said.line() == "inner"
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    ask(live, signal.SIGTERM, SECOND.format("SIGTERM"))
    done = live.end()

    assert done.status == 143
    assert live.said.ended()
    assert live.project.ran == []


# A command that cleans up when it is interrupted, and one that does not care the first time.
CLEANING = """
    from django.core.management.base import BaseCommand

    from waiting import note, wait

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--stubborn", action="store_true")

        def handle(self, *args, **options):
            with open("said", "w") as said:
                try:
                    self.wait("working", said)
                except KeyboardInterrupt:
                    if not options["stubborn"]:
                        raise
                    self.wait("stubborn", said)
                finally:
                    note("cleaned up")

        def wait(self, text, said):
            print(text, file=said, flush=True)
            wait()
"""


def test_a_second_signal_interrupts_a_command_of_this_process(live: Live) -> None:
    """The command is interrupted as by Ctrl-C, cleans up, and its step has failed."""
    live.project.command("probe", "cleaning", CLEANING)
    live.project.settings("""
        command("deploy", "cleaning")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", "--continue")
    live.said.line()
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.running.send_signal(signal.SIGTERM)
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ["cleaned up"]
    assert SECOND.format("SIGTERM") in done.err
    assert "failure: it was ended because a second signal asked for that\n" in done.err
    assert "not run: settings:probe\n" in done.err
    assert "Traceback" not in done.err


def test_a_third_signal_does_what_it_does_anywhere(live: Live) -> None:
    """A command that goes on after two can still be killed without SIGKILL."""
    live.project.command("probe", "cleaning", CLEANING)
    live.project.settings('command("deploy", "cleaning", stubborn=True)')

    live.start("routine", "deploy")
    assert live.said.line() == "working"
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    ask(live, signal.SIGTERM, SECOND.format("SIGTERM"))
    assert live.said.line() == "stubborn"
    live.running.send_signal(signal.SIGTERM)

    assert live.end().status == -signal.SIGTERM
    assert live.said.ended()


def test_a_third_signal_leaves_nobody_behind(live: Live) -> None:
    """Who asks three times in a hurry kills the routine, and with it what would not end."""
    live.project.settings("""
        system("deploy", "sh", "-c", "trap '' TERM; exec 3> said; echo working >&3; sleep 600")
    """)

    live.start("routine", "deploy")
    assert live.said.line() == "working"
    for answer in (FIRST, SECOND):
        ask(live, signal.SIGTERM, answer.format("SIGTERM"))
    live.running.send_signal(signal.SIGTERM)

    live.running.wait(DEADLINE)
    assert live.said.ended()


THREE_AT_ONCE = """
    import os
    import signal
    import subprocess

    from django_runbook.runner.stop import StopRequest

    with StopRequest(lambda text: print(text, flush=True)) as stop:
        with stop.starting():
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGTERM)
            words = ["sh", "-c", "exec 3> said; sleep 600"]
            child = subprocess.Popen(words, start_new_session=True)
            stop.group = child.pid
        print("it goes on")
"""


def test_a_third_signal_waits_until_the_process_is_known(live: Live) -> None:
    """However fast three of them come: what is just being started is not left behind."""
    done = live.project.python(THREE_AT_ONCE)

    assert done.status == -signal.SIGTERM
    assert done.out == FIRST.format("SIGTERM") + SECOND.format("SIGTERM")
    assert live.said.ended()


# Commands that take the signals themselves

TAKING = """
    import asyncio
    import os
    import signal

    from django.core.management.base import BaseCommand

    from waiting import note, wait

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("how")

        def handle(self, *args, **options):
            with open("said", "w") as said:
                self.said = said
                self.over = False
                getattr(self, options["how"])()

        def wait(self):
            print("taken", file=self.said, flush=True)
            wait()

        def stop(self, signum, frame):
            self.over = True
            os.write(self.said.fileno(), b"asked\\n")  # the signal may come within a print()

        def graceful(self):
            signal.signal(signal.SIGTERM, self.stop)
            signal.signal(signal.SIGINT, self.stop)
            self.wait()
            note(f"over {self.over}")

        def polite(self):
            old = signal.signal(signal.SIGTERM, self.stop)
            self.wait()
            signal.signal(signal.SIGTERM, old)
            note(f"over {self.over}")

        def busy(self):
            signal.signal(signal.SIGUSR1, lambda *_: None)
            for _ in range(10_000):
                signal.raise_signal(signal.SIGUSR1)
            self.graceful()

        def leaving(self):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda *_: None)

        def ignoring(self):
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)

        def waking(self):
            reading, writing = os.pipe()
            os.set_blocking(writing, False)
            signal.set_wakeup_fd(writing)
            self.leaving()

        def looped(self):
            async def nothing():
                pass

            asyncio.run(nothing())
"""


@pytest.mark.parametrize("how", ["graceful", "polite", "busy"])
def test_a_command_that_takes_the_signal_finishes_its_way(live: Live, how: str) -> None:
    """What a command does about a signal itself, the routine stops behind it as well."""
    live.project.command("probe", "taking", TAKING)
    live.project.settings(f"""
        command("deploy", "taking", {how!r})
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy")
    assert live.said.line() == "taken"
    live.running.send_signal(signal.SIGTERM)
    assert live.said.line() == "asked"
    live.gate.open()
    done = live.end()

    assert live.project.ran == ["over True"]
    assert done.status == 143
    assert done.err == (
        "CommandError: Routine 'deploy' was stopped by SIGTERM.\n  not run: settings:probe\n"
    )


@pytest.mark.parametrize("how", ["leaving", "ignoring", "waking", "looped"])
@pytest.mark.parametrize("step", [SYSTEM, HERE])
def test_a_handler_that_is_left_behind_makes_no_later_step_unstoppable(
    live: Live, how: str, step: str
) -> None:
    """The routine takes the signals back before its next step."""
    live.project.command("probe", "taking", TAKING)
    live.project.settings(FIVE.format(step=f'command("deploy", "taking", {how!r})\n    {step}'))

    live.start("routine", "deploy")
    assert live.said.line() == "two"
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ["probe one", "two passed"]


# What is left behind


def test_the_handlers_are_those_from_before_when_a_run_is_over(project: Project) -> None:
    """Ended well, failed, refused, stopped, nested: handlers and wakeup descriptor are restored."""
    project.command("probe", "raising", RAISING)
    project.command("probe", "wrapper", WRAPPER)
    project.settings("""
        command("well", "probe", "x")
        command("failing", "probe", "--fail")
        command("refused", "no-such-command")
        command("stopped", "raising", "1")
        command("ended", "raising", "2")
        command("wrapping", "wrapper")
        command("inner", "raising", "1")
    """)

    done = project.python("""
        import io
        import json
        import os
        import signal

        import django

        django.setup()
        from django_runbook import run_routine
        from django_runbook.exceptions import RunbookError

        def own(number, frame):
            raise AssertionError(number)

        numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        signal.signal(signal.SIGTERM, own)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.set_wakeup_fd(writing)
        before = [signal.getsignal(number) for number in numbers]
        before_files = os.listdir("/dev/fd")

        found = {}
        for name in ("well", "failing", "refused", "stopped", "ended", "wrapping"):
            try:
                run_routine(name, stdout=io.StringIO(), stderr=io.StringIO(), verbosity=0)
            except RunbookError as exc:
                found[name] = [type(exc).__name__, exc.exit_status]
            else:
                found[name] = ["ran", 0]
            assert [signal.getsignal(number) for number in numbers] == before, name
            wakeup = signal.set_wakeup_fd(writing)
            assert wakeup == writing, (name, wakeup)
            assert len(os.listdir("/dev/fd")) == len(before_files), name
        signal.set_wakeup_fd(-1)
        os.close(reading)
        os.close(writing)
        print(json.dumps(found))
    """)

    assert (done.status, done.err) == (0, "")
    assert done.document == {
        "well": ["ran", 0],
        "failing": ["StepFailed", 1],
        "refused": ["PlanError", 1],
        "stopped": ["RoutineStopped", 143],
        "ended": ["RoutineStopped", 143],
        "wrapping": ["RoutineStopped", 143],
    }


# A command that gets a signal, or two.
RAISING = """
    import signal

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("times", type=int)

        def handle(self, *args, **options):
            for _ in range(options["times"]):
                signal.raise_signal(signal.SIGTERM)
"""

WRAPPER = """
    from django.core.management import call_command
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            call_command("routine", "inner", verbosity=options["verbosity"])
"""


def test_nothing_is_installed_outside_the_main_thread(project: Project) -> None:
    """In a thread a routine runs with the handlers that there are, and those stay."""
    project.command("probe", "handlers", HANDLERS)
    project.settings("""
        command("deploy", "handlers")
        system("deploy", "sh", "-c", "echo outside >>ran.txt")
    """)

    done = project.python("""
        import signal
        import threading

        import django

        django.setup()
        from django_runbook import run_routine

        signal.signal(signal.SIGTERM, lambda *_: None)
        found = []
        thread = threading.Thread(
            target=lambda: found.append(run_routine("deploy", verbosity=0).status)
        )
        before = [signal.getsignal(number) for number in (2, 15, 1)]
        thread.start()
        thread.join()
        assert [signal.getsignal(number) for number in (2, 15, 1)] == before
        assert signal.set_wakeup_fd(-1) == -1
        print(found)
        print(before)
    """)

    assert (done.status, done.err) == (0, "")
    inside, found, before = done.out.splitlines()
    assert found == "['succeeded']"
    assert inside == before
    assert project.ran == ["outside"]


HANDLERS = """
    import signal

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            print([signal.getsignal(number) for number in (2, 15, 1)])
"""


# Children that a command has forked

FORKING = """
    import multiprocessing
    import os
    import signal
    import threading

    from django.core.management.base import BaseCommand

    from waiting import note, wait

    def twice(number):
        return 2 * number

    def work(writing):
        os.write(writing, b"here")
        wait()

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("how")

        def handle(self, *args, **options):
            getattr(self, options["how"])()

        def pool(self):
            with multiprocessing.get_context("fork").Pool(2) as pool:
                note(f"pool {pool.map(twice, range(3))}")

        def process(self):
            reading, writing = os.pipe()
            process = multiprocessing.get_context("fork").Process(target=work, args=(writing,))
            process.start()
            os.read(reading, 4)
            process.terminate()
            process.join()
            note(f"process {process.exitcode}")

        def fork(self, number=signal.SIGTERM):
            reading, writing = os.pipe()
            child = os.fork()
            if child == 0:
                work(writing)
                return
            os.read(reading, 4)
            os.kill(child, number)
            _, status = os.waitpid(child, 0)
            note(f"fork {os.waitstatus_to_exitcode(status) != 0}")

        def interrupted(self):
            self.fork(signal.SIGINT)

        def lost(self):
            self.fork(signal.SIGHUP)

        def thread(self):
            thread = threading.Thread(target=self.in_thread)
            thread.start()
            thread.join()

        def in_thread(self):
            reading, writing = os.pipe()
            process = multiprocessing.get_context("fork").Process(target=work, args=(writing,))
            process.start()
            os.read(reading, 4)
            process.terminate()
            process.join()
            note(f"thread {process.exitcode}")
"""


@pytest.mark.parametrize(
    ("how", "noted"),
    [
        ("pool", "pool [0, 2, 4]"),
        ("process", "process -15"),
        ("fork", "fork True"),
        ("interrupted", "fork True"),
        ("lost", "fork True"),
    ],
)
def test_a_signal_to_a_child_of_a_command_is_the_childs_alone(
    live: Live, how: str, noted: str
) -> None:
    """Workers end when they are told to, the routine goes on, and each step runs once."""
    live.project.command("probe", "forking", FORKING)
    live.project.settings(f"""
        command("deploy", "forking", {how!r})
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", "--continue")
    done = live.end()

    assert live.project.ran == [noted, "probe after"]
    assert done.status == 0
    assert len(done.progress) == 3
    assert "Routine" not in done.err
    assert "failed" not in done.err


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python warns of a fork beside a thread")
def test_a_child_forked_in_a_thread_ends_when_it_is_told_to(live: Live) -> None:
    """Also where the thread that forks is not the one that takes the signals."""
    live.project.command("probe", "forking", FORKING)
    live.project.settings('command("deploy", "forking", "thread")')

    live.start("routine", "deploy")
    done = live.end()

    assert (done.status, done.err) == (0, "")
    assert live.project.ran == ["thread -15"]


EXITING = """
    import os

    from django.core.management.base import BaseCommand
    from django.db import connection

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("ending")

        def handle(self, *args, **options):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO rows VALUES (1)")
            child = os.fork()
            if child == 0:
                exec(options["ending"])
            os.waitpid(child, 0)
"""

CREATING = """
    from django.core.management.base import BaseCommand
    from django.db import connection

    class Command(BaseCommand):
        def handle(self, *args, **options):
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE rows (number integer)")
"""

COUNTING = """
    from django.core.management.base import BaseCommand
    from django.db import connection

    from waiting import note

    class Command(BaseCommand):
        def handle(self, *args, **options):
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM rows")
                note(f"{cursor.fetchone()[0]} rows")
"""


@pytest.mark.parametrize(
    "ending", ["raise SystemExit(0)", "raise KeyboardInterrupt", "raise ValueError", "pass"]
)
def test_a_child_that_exits_leaves_the_transaction_to_its_parent(live: Live, ending: str) -> None:
    """However a child ends that was forked in an atomic routine, it does not roll that back."""
    for name, text in (("exiting", EXITING), ("creating", CREATING), ("counting", COUNTING)):
        live.project.command("probe", name, text)
    live.project.settings(f"""
        command("prepare", "creating")
        command("prepare", "routine", "deploy")
        command("prepare", "counting")
        routine("deploy", atomic=True)
        command("deploy", "exiting", {ending!r})
        command("deploy", "exiting", {ending!r})
    """)

    live.start("routine", "prepare")
    done = live.end()

    assert done.status == 0
    assert "failed" not in done.err
    assert live.project.ran == ["2 rows"]


# Routines in routines


@pytest.mark.parametrize("options", [[], ["--continue"]])
def test_a_stop_in_a_routine_that_a_command_runs_stops_the_outer_one(
    live: Live, options: list[str]
) -> None:
    """Whoever asks the inner routine asks the process; ``--continue`` is no reason to go on."""
    live.project.command("probe", "wrapper", WRAPPER)
    live.project.settings("""
        command("inner", "hold", "inner")
        command("inner", "probe", "inner after")
        command("deploy", "wrapper")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", *options)
    assert live.said.line() == "inner"
    live.running.send_signal(signal.SIGTERM)
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ["inner passed"]
    assert "Routine 'deploy' was stopped by SIGTERM.\n" in done.err
    assert "Routine 'inner' was stopped by SIGTERM." in done.err
    assert "not run: settings:probe\n" in done.err


def test_a_second_signal_reaches_the_step_of_an_inner_run(live: Live) -> None:
    """Two signals end the step of a routine that a command runs, and both routines with it."""
    live.project.command("probe", "wrapper", WRAPPER)
    live.project.settings("""
        system("inner", "sh", "./stubborn.sh", "inner")
        command("inner", "probe", "inner after")
        command("deploy", "wrapper")
        command("deploy", "probe", "after")
    """)

    live.start("routine", "deploy", "--continue")
    assert live.said.line() == "inner"
    ask(live, signal.SIGINT, FIRST.format("SIGINT"))
    ask(live, signal.SIGINT, SECOND.format("SIGINT"))
    done = live.end()

    assert done.status == 130
    assert live.said.ended()
    assert live.project.ran == []


@pytest.mark.parametrize("options", [[], ["--continue"]])
def test_a_stop_in_a_nested_routine_names_what_it_left_out(live: Live, options: list[str]) -> None:
    """What was not run inside stands behind the step that runs the nested routine."""
    live.project.settings("""
        command("innermost", "hold", "deep")
        command("innermost", "probe", "deep after", step_id="deepest")
        command("inner", "routine", "innermost", step_id="below")
        command("inner", "probe", "inner after", step_id="late")
        command("deploy", "probe", "one")
        command("deploy", "routine", "inner", step_id="nested")
        command("deploy", "probe", "after", step_id="after")
    """)

    live.start("routine", "deploy", *options)
    assert live.said.line() == "deep"
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ["probe one", "deep passed"]
    assert done.err == FIRST.format("SIGTERM") + (
        "CommandError: Routine 'deploy' was stopped by SIGTERM.\n"
        "  not run: settings:nested > settings:below > settings:deepest, "
        "settings:nested > settings:late, settings:after\n"
    )
    assert [line.partition(" after ")[0] for line in done.progress[2:]] == [
        "[2.1/2] settings:below: stopped",
        "[2/3] settings:nested: stopped",
        "Routine 'deploy' stopped",
    ]


def test_a_stop_in_the_last_step_of_a_nested_routine(live: Live) -> None:
    """A nested routine that was run to its end is done; the outer one stops behind it."""
    live.project.settings("""
        command("inner", "hold", "inner")
        command("deploy", "routine", "inner", step_id="nested")
        command("deploy", "probe", "after", step_id="after")
    """)

    live.start("routine", "deploy")
    assert live.said.line() == "inner"
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert done.err.endswith("SIGTERM.\n  not run: settings:after\n")
    assert live.project.ran == ["inner passed"]


# Around the steps

HOOKS = """
    from waiting import note, wait

    def hold(*args):
        with open("said", "w") as said:
            print("hook", file=said, flush=True)
            wait()
        note("hook")
"""


@pytest.mark.parametrize(
    ("hook", "ran", "not_run"),
    [
        ("initialize", ["hook"], "  not run: settings:one, settings:two\n"),
        ("pre_hook", ["hook", "probe one"], "  not run: settings:two\n"),
        ("post_hook", ["probe one", "hook"], "  not run: settings:two\n"),
        ("finalize", ["probe one", "probe two", "hook"], "  Every step was run.\n"),
    ],
)
def test_a_signal_in_a_hook_stops_behind_its_step(
    live: Live, hook: str, ran: list[str], not_run: str
) -> None:
    """Hooks finish, and so does the step that they belong to; nothing further is begun."""
    live.project.file("hooks.py", HOOKS)
    of_step = hook in ("pre_hook", "post_hook")
    given = f'{hook}="hooks.hold"'
    live.project.settings(f"""
        routine("deploy", {"" if of_step else given})
        command("deploy", "probe", "one", step_id="one", {given if of_step else ""})
        command("deploy", "probe", "two", step_id="two")
    """)

    live.start("routine", "deploy")
    assert live.said.line() == "hook"
    live.running.send_signal(signal.SIGTERM)
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert live.project.ran == ran
    assert done.err.endswith(f"CommandError: Routine 'deploy' was stopped by SIGTERM.\n{not_run}")


@pytest.mark.parametrize("hook", ["initialize", "pre_hook", "post_hook", "finalize"])
def test_a_second_signal_interrupts_a_hook(live: Live, hook: str) -> None:
    """A hook that hangs is no reason to need SIGKILL; it is told which one it was."""
    live.project.file("hooks.py", HOOKS)
    live.project.settings(f"""
        if {hook!r} in ("initialize", "finalize"):
            routine("deploy", {hook}="hooks.hold")
            command("deploy", "probe", "one")
        else:
            command("deploy", "probe", "one", {hook}="hooks.hold")
    """)

    live.start("routine", "deploy")
    assert live.said.line() == "hook"
    ask(live, signal.SIGTERM, "SIGTERM: ")
    live.running.send_signal(signal.SIGTERM)
    done = live.end()

    assert done.status == 143
    assert "hook" not in live.project.ran
    assert "Traceback" not in done.err
    if hook in ("initialize", "finalize"):
        assert f"failure: its {hook} hooks.hold" in done.err
    else:
        assert "failure: it was ended because a second signal asked for that\n" in done.err


def test_a_stop_undoes_an_atomic_routine(live: Live) -> None:
    """What was done before the stop is rolled back, and the message says so."""
    live.project.settings("""
        routine("deploy", atomic=True)
        command("deploy", "hold", "two")
        command("deploy", "probe", "after", step_id="after")
    """)

    live.start("routine", "deploy")
    live.said.line()
    ask(live, signal.SIGTERM, FIRST.format("SIGTERM"))
    live.gate.open()
    done = live.end()

    assert done.status == 143
    assert "  rolled back: default\n  not run: settings:after\n" in done.err


def test_the_result_of_a_stopped_run_is_given_to_who_asks_for_it(project: Project) -> None:
    """``check=False`` returns what ``RoutineStopped`` would carry: the signal and each step."""
    project.command("probe", "raising", RAISING)
    project.settings("""
        command("deploy", "raising", "1")
        command("deploy", "probe", "after")
    """)

    done = project.python("""
        import json

        import django

        django.setup()
        from django_runbook import run_routine
        from django_runbook.exceptions import RoutineStopped

        returned = run_routine("deploy", check=False, verbosity=0)
        try:
            run_routine("deploy", verbosity=0)
        except RoutineStopped as exc:
            raised = exc.result
        found = [
            [one.status, one.stopped_by, [step.status for step in one.steps]]
            for one in (returned, raised)
        ]
        print(json.dumps(found))
    """)

    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == [["stopped", 15, ["succeeded", "not_run"]]] * 2
