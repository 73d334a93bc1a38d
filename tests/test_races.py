"""Races: whatever holds the lock, of many processes one at a time runs a routine.

With the environment variable SOAK, as ``tox run -e soak`` sets it, they are run in full. How long
they took is logged.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from . import servers
from .projects import ENVIRONMENT, Project

pytestmark = pytest.mark.ours

SOAK = bool(os.environ.get("SOAK"))

PROCESSES, ROUNDS, MIGRATE_ROUNDS = (30, 20, 10) if SOAK else (6, 2, 1)

# How many processes race in each round, and whether they are new interpreters.
FORKS = [(PROCESSES, False)] * ROUNDS
NEW_INTERPRETERS = [(4, True)]

WAIT = ("--wait", "300")
WAITED = "Routine 'deploy' waits for at most 5 min 00 s: another run holds its lock.\n"
BUSY = "CommandError: Routine 'deploy' was not run: another run holds its lock.\n"

LEASE = 2
"""Seconds that Redis keeps the lock of a process that was killed, where one is."""

SHORT_LEASE = "redis with a short lease"

logger = logging.getLogger(__name__)

# A racer has a pipe to the referee and one back. Nothing hangs on time: the referee goes by what
# the racers say and by their ends. If it is gone itself, their pipes end and they go home.
#
# The racers are forks of one process that has Django and the command loaded. New interpreters
# would spend nine tenths of their time on that, each for itself: thirty of them would cost ten
# seconds of processor time a round, and come to the lock one after the other. A fork is as separate
# a process, with connections of its own, and all of them leave one barrier. One round is run by
# `manage.py` in new interpreters, too.
REFEREE = '''
    """Let processes race for the lock of a routine, and print what became of each round."""

    import contextlib
    import io
    import json
    import os
    import selectors
    import signal
    import sys
    import time
    import traceback
    from pathlib import Path

    DEADLINE = 60.0
    LOG = Path("inside.txt")

    class Racer:
        def __init__(self, arguments, start, *, new):
            gate, self.gate = os.pipe()
            self.stream, stream = os.pipe()
            self.output, self.status, self.passed = b"", None, False
            self.pid = os.fork()
            if self.pid == 0:
                # It must not keep a pipe of the others open: they would not see its end.
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(stream, 1)
                os.dup2(stream, 2)
                first, last = sorted((start, gate))
                os.closerange(3, first)
                os.closerange(first + 1, last)
                os.closerange(last + 1, 1024)
                os.set_inheritable(gate, True)
                os.environ["GATE"] = str(gate)
                race(arguments, start, new=new)
            os.close(gate)
            os.close(stream)

        @property
        def ended(self):
            return self.status is not None

        @property
        def inside(self):
            return b"is inside\\n" in self.output and not self.passed and not self.ended

        @property
        def settled(self):
            """Whether nothing more comes of it while another one is inside."""
            return self.ended or self.passed or b" waits " in self.output

        def read(self):
            read = os.read(self.stream, 65536)
            self.output += read
            if not read:
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return bool(read)

        def let_go(self):
            self.passed = True
            with contextlib.suppress(BrokenPipeError):  # its end is about to be seen
                os.write(self.gate, b"\\n")

        def kill(self):
            os.kill(self.pid, signal.SIGKILL)

        def close(self):
            if not self.ended:
                self.kill()
                os.waitpid(self.pid, 0)
            os.close(self.gate)
            os.close(self.stream)

    def race(arguments, start, *, new):
        """Be a racer: wait until all are there, then do as `manage.py` does."""
        status = 1
        try:
            os.read(start, 1)
            os.close(start)
            if new:
                os.execv(sys.executable, [sys.executable, "manage.py", *arguments])
            from django.core.management import execute_from_command_line

            execute_from_command_line(["manage.py", *arguments])
            status = 0
        except SystemExit as exc:
            status = exc.code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status or 0)

    def run_round(arguments, processes, *, new, kill):
        """Let them race. Who is inside is let go when all others have ended or wait.

        With `kill` the first one is killed instead.
        """
        LOG.unlink(missing_ok=True)
        began = time.monotonic()
        start, go = os.pipe()
        racers = [Racer(arguments, start, new=new) for _ in range(processes)]
        os.close(start)
        os.close(go)
        with selectors.DefaultSelector() as selector:
            for racer in racers:
                selector.register(racer.stream, selectors.EVENT_READ, racer)
            found = watch(selector, racers, kill=kill)
        for racer in racers:
            racer.close()
        found["log"] = LOG.read_text().splitlines() if LOG.exists() else []
        return {**found, "seconds": time.monotonic() - began}

    def watch(selector, racers, *, kill):
        ended, problem, killed, taken_over = [], "", None, None
        while len(ended) < len(racers) and not problem:
            ready = selector.select(DEADLINE)
            for key, _ in ready:
                if not key.data.read():
                    selector.unregister(key.fileobj)
                    ended.append(key.data)
            inside = [racer for racer in racers if racer.inside]
            if not ready:
                problem = f"nothing has happened for {DEADLINE:g} s"
            elif len(inside) > 1:
                problem = f"two are inside: {[racer.pid for racer in inside]}"
            elif inside and killed is not None and taken_over is None:
                taken_over = time.monotonic() - killed
            if len(inside) == 1 and all(one.settled for one in racers if one is not inside[0]):
                if kill and killed is None:
                    killed = time.monotonic()
                    inside[0].passed = True
                    inside[0].kill()
                else:
                    inside[0].let_go()
        left = [racer for racer in racers if racer not in ended]
        return {
            "problem": problem,
            "racers": [(one.pid, one.status, one.output.decode()) for one in [*ended, *left]],
            "taken over after": taken_over,
        }

    def load():
        """Load all that a run needs, as explaining does; nothing is connected to."""
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        from django.core.management import execute_from_command_line
        from django.db import connections

        import django_runbook.runner

        with contextlib.redirect_stdout(io.StringIO()) as explained:
            execute_from_command_line(["manage.py", "routine", "deploy", "--explain"])
        assert "deploy" in explained.getvalue()
        assert not [one for one in connections.all() if one.connection is not None]

    def main():
        arguments, rounds = json.loads(sys.argv[1])
        if not all(one["new"] for one in rounds):
            load()
        for one in rounds:
            found = run_round(arguments, **one)
            print(json.dumps(found), flush=True)
            if found["problem"]:
                break

    main()
'''

# A step that says when it comes in and when it goes out, where all can see it.
STAY = """
    import os

    from django.core.management.base import BaseCommand

    def note(word):
        log = os.open("inside.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(log, f"{word} {os.getpid()}\\n".encode())
        os.close(log)

    class Command(BaseCommand):
        def handle(self, **options):
            note("in")
            os.write(1, b"is inside\\n")
            os.read(int(os.environ["GATE"]), 1)
            note("out")
"""


class Round:
    """What became of one round."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found
        self.log: list[str] = found["log"]
        """Who went in and out, in order."""
        self.seconds: float = found["seconds"]
        self.taken_over: float | None = found["taken over after"]
        """Seconds from the death of the holder until another one was inside."""
        self.pids = [pid for pid, _, _ in found["racers"]]
        """The processes, in the order in which they have ended."""
        self.statuses = [status for _, status, _ in found["racers"]]
        self.outputs = [output for _, _, output in found["racers"]]
        assert not found["problem"], str(self)

    def __str__(self) -> str:
        """What there is to see of it when a test fails."""
        parts = [f"--- {pid}: {status}\n{output}" for pid, status, output in self._found["racers"]]
        return "\n".join([self._found["problem"], str(self.statuses), *self.log, *parts])

    def those_that_say(self, text: str) -> int:
        return sum(text in output for output in self.outputs)


def rounds_of(
    project: Project, *arguments: str, rounds: list[tuple[int, bool]], kill: bool = False
) -> list[Round]:
    """Let processes race: those of each round."""
    referee = project.file("referee.py", REFEREE)
    each = [{"processes": processes, "new": new, "kill": kill} for processes, new in rounds]
    environment = {**os.environ, **ENVIRONMENT, "COLUMNS": "80", "PYTHONPATH": ""}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [sys.executable, str(referee), json.dumps([["routine", "deploy", *arguments], each])],
        env=environment,
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = [Round(json.loads(line)) for line in done.stdout.splitlines()]
    assert len(found) == len(rounds)
    for processes, new in dict.fromkeys(rounds):
        these = [
            one.seconds for one, size in zip(found, rounds, strict=True) if size == (processes, new)
        ]
        what = " ".join(["new interpreters" if new else "forks", *arguments])
        logger.info("%d x %d %s: %s", len(these), processes, what, span(these))
    return found


def span(seconds: list[float]) -> str:
    return f"{min(seconds):.2f} to {max(seconds):.2f} s each, {sum(seconds):.1f} s in all"


def assert_one_after_the_other(log: list[str], pids: list[int], seen: str) -> None:
    """Each of them has come in once, and gone out before the next one came."""
    came_in = [line.removeprefix("in ") for line in log[::2]]
    assert log == [f"{word} {pid}" for pid in came_in for word in ("in", "out")], seen
    assert sorted(came_in) == sorted(map(str, pids)), seen


@pytest.fixture(params=["file", "postgresql", "mariadb", "redis"])
def arena(request: pytest.FixtureRequest, project: Project) -> Iterator[Project]:
    """A project whose routine runs once at a time, by each backend in turn."""
    backend = request.param
    with ExitStack() as stack:
        lock: dict[str, Any] = {"backend": backend.partition(" ")[0]}
        written: Callable[[str], str] = str
        if backend == "file":
            lock["directory"] = str(project.root / "locks")
        elif lock["backend"] == "redis":
            stack.enter_context(servers.redis_client())
            lock["url"] = servers.REDIS
            if backend == SHORT_LEASE:
                lock["lease"] = LEASE
        else:
            server = servers.postgres() if backend == "postgresql" else servers.mariadb()
            written = stack.enter_context(servers.made(server)).settings
            lock["backend"] = "database"
        text = f"""
    DJANGO_RUNBOOK = {{"LOCK": {lock!r}}}
    routine("deploy", lock=True)
    command("deploy", "stay")
        """
        project.settings(written(text))
        project.command("probe", "stay", STAY)
        yield project


def test_one_runs_and_the_others_give_up_at_once(arena: Project) -> None:
    """All others have ended with 75 while the one that runs is still inside."""
    for one in rounds_of(arena, rounds=FORKS + NEW_INTERPRETERS):
        losers = len(one.pids) - 1

        assert one.statuses == [75] * losers + [0], str(one)
        assert one.log == [f"in {one.pids[-1]}", f"out {one.pids[-1]}"], str(one)
        assert one.those_that_say(BUSY) == losers, str(one)
        assert one.those_that_say("is inside\n") == 1, str(one)


def test_all_run_one_after_the_other_if_they_wait(arena: Project) -> None:
    """Everybody gets its turn, and never are two inside."""
    for one in rounds_of(arena, *WAIT, rounds=FORKS):
        assert one.statuses == [0] * PROCESSES, str(one)
        assert_one_after_the_other(one.log, one.pids, str(one))
        # The first one was inside until all others had found it there.
        assert one.those_that_say(WAITED) == PROCESSES - 1, str(one)


@pytest.mark.parametrize("arena", ["file", "postgresql", "mariadb", SHORT_LEASE], indirect=True)
def test_a_holder_that_is_killed_keeps_nobody_waiting(arena: Project) -> None:
    """One of those that wait goes on, and then all others: at once, or after Redis's lease."""
    taken_over = []
    for one in rounds_of(arena, *WAIT, rounds=FORKS, kill=True):
        killed, *others = one.pids

        assert one.statuses == [-signal.SIGKILL] + [0] * (PROCESSES - 1), str(one)
        assert one.log[0] == f"in {killed}", str(one)
        assert_one_after_the_other(one.log[1:], others, str(one))
        assert one.those_that_say(WAITED) == PROCESSES - 1, str(one)
        taken_over.append(one.taken_over)
    logger.info("from the kill until the next one was inside: %s", span(taken_over))


def test_six_migrate_one_empty_database(project: Project) -> None:
    """One applies the migrations, while the others wait and find nothing left to do."""
    project.apps = ("django.contrib.contenttypes", "django.contrib.auth")
    for _ in range(MIGRATE_ROUNDS):
        with servers.made(servers.postgres()) as server:
            one = migrated(project, server, "--wait", "120")

            assert one.statuses == [0] * 6, str(one)
            assert one.those_that_say("Applying auth.0001_initial... OK\n") == 1, str(one)
            assert one.those_that_say("Applying ") == 1, str(one)
            assert one.those_that_say("No migrations to apply.\n") == 5, str(one)
            applied = server.execute("SELECT app, name FROM django_migrations")
            assert len(applied) == len(set(applied)) > 2, str(one)
        if SOAK:  # which of them fail without the lock is a matter of luck: for the record
            with servers.made(servers.postgres()) as server:
                without = migrated(project, server, "--no-lock")
            logger.info("without the lock: %s", sorted(without.statuses))


def migrated(project: Project, server: servers.Server, *arguments: str) -> Round:
    """Let six new interpreters migrate a database at the same time."""
    text = """
    routine("deploy", lock=True)
    command("deploy", "migrate")
    """
    project.settings(server.settings(text))
    (one,) = rounds_of(project, *arguments, rounds=[(6, True)])
    return one
