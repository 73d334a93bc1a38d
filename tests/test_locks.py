"""Locks: a routine runs once at a time, whichever backend takes care of that.

What becomes of one backend when its file or its server is not as it should be, its own module says.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import filelock
import pytest

from . import servers
from .live import DEADLINE, Live
from .projects import Project, hook, line_of
from .servers import REDIS, Server, made, redis_client

PYTHON = sys.executable
HOST = socket.gethostname()
VARIABLE = "DJANGO_RUNBOOK_LOCKS"

# A site's own backend: a file that is there while somebody holds the lock.
OWN = """
    import json
    import os
    import time
    from datetime import UTC, datetime
    from pathlib import Path

    from django_runbook.locks import Holder, LockError

    class Exclusive:
        def __init__(self, name, options):
            self.path = Path(options["where"], name)
            self.token = None

        def acquire(self):
            try:
                descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                return False
            self.token = os.urandom(8).hex()
            with open(descriptor, "w") as file:
                json.dump([self.token, os.getpid(), int(time.time())], file)
            return True

        def verify(self):
            if self.read()[0] != self.token:
                raise LockError("somebody else has it")

        def release(self):
            self.verify()
            self.path.unlink()
            self.token = None

        def close(self):
            assert self.token is None

        def holder(self):
            try:
                token, process, since = self.read()
            except (FileNotFoundError, ValueError):
                return None
            return Holder(token, process, "the shop", datetime.fromtimestamp(since, UTC))

        def read(self):
            return json.loads(self.path.read_text())
"""

# What a script or a command of a test uses, to try in its own process what a routine does.
TRYING = """
    import io
    from threading import Thread

    from django_runbook import run_routine

    def attempt(name="deploy", switches=(), **given):
        try:
            result = run_routine(
                name, switches, stdout=io.StringIO(), stderr=io.StringIO(), **given
            )
        except (Exception, SystemExit) as exc:
            return [type(exc).__name__, getattr(exc, "exit_status", None), str(exc)]
        return [step.id.removeprefix("settings:") for step in result.steps]

    def elsewhere(*args, **given):
        # Another thread is another run, also where it was started by a step of this one.
        done = []
        thread = Thread(target=lambda: done.append(attempt(*args, **given)))
        thread.start()
        thread.join()
        return done[0]
"""


@dataclass
class Backend:
    """A backend, and what is known of it without asking the package."""

    settings: str
    """What the settings say of it."""

    shown: str
    """What a user sees of it."""

    known: Callable[[str], str] = lambda _said: ""
    """Returns what it adds to the process and the host, given what was said of the holder."""

    tells_process: bool = True
    """Whether it can know which process holds a lock, and since when."""

    host: str = HOST

    room: int = 255
    """The characters that it has room for, of "PID@HOST SINCE TOKEN"."""


@pytest.fixture(scope="module")
def _postgres() -> Iterator[Server]:
    with made(servers.postgres()) as server:
        yield server


@pytest.fixture(scope="module")
def _mariadb() -> Iterator[Server]:
    with made(servers.mariadb()) as server:
        yield server


def session_of(server: Server, said: str) -> str:
    """Return what the server calls the session of which something was said."""
    found = re.search(r"session (\d+) of the server", said)
    assert found, said
    if server.engine == "postgresql":
        sql = (
            "SELECT usename, host(client_addr) FROM pg_stat_activity JOIN pg_locks USING (pid) "
            f"WHERE locktype = 'advisory' AND granted AND pid = {found[1]}"
        )
    else:
        sql = (
            "SELECT USER, SUBSTRING_INDEX(HOST, ':', 1) FROM information_schema.PROCESSLIST "
            f"WHERE DB = '{server.name}' AND ID = {found[1]}"
        )
    ((user, address),) = server.execute(sql)
    return f"session {found[1]} of the server, user {user}" + (f", from {address}" * bool(address))


FILE = '    DJANGO_RUNBOOK = {"LOCK": {"directory": BASE / "locks"}}'


def on_file(project: Project, _: Any) -> Backend:
    def known(_said: str) -> str:
        (path,) = (project.root / "locks").iterdir()
        return str(path)

    return Backend(FILE, "file", known)


def on_postgres(_: Project, request: pytest.FixtureRequest) -> Backend:
    server = request.getfixturevalue("_postgres")
    shown = "database default (postgresql)"
    return Backend(server.settings(""), shown, partial(session_of, server), room=63)


def on_mariadb(_: Project, request: pytest.FixtureRequest) -> Backend:
    server = request.getfixturevalue("_mariadb")
    settings = server.settings('    DJANGO_RUNBOOK = {"LOCK": {"backend": "database"}}')
    shown = "database default (mysql)"
    return Backend(settings, shown, partial(session_of, server), tells_process=False)


def on_redis(_: Project, _request: Any) -> Backend:
    def known(said: str) -> str:
        found = re.search(r"\((django_runbook:config-deploy-[0-9a-f]{16})\)", said)
        assert found, said
        with redis_client() as client:
            assert client.exists(found[1])
        return found[1]

    with redis_client():
        settings = f'    DJANGO_RUNBOOK = {{"LOCK": {{"backend": "redis", "url": {REDIS!r}}}}}'
        return Backend(settings, "redis", known)


def on_its_own(project: Project, _: Any) -> Backend:
    project.file("config/locks.py", OWN)
    (project.root / "own").mkdir()
    path = "config.locks.Exclusive"
    settings = f'    DJANGO_RUNBOOK = {{"LOCK": {{"backend": {path!r}, "where": BASE / "own"}}}}'
    return Backend(settings, path, host="the shop")


@pytest.fixture(
    params=[on_file, on_postgres, on_mariadb, on_redis, on_its_own],
    ids=["file", "postgres", "mariadb", "redis", "own"],
)
def backend(request: pytest.FixtureRequest, project: Project) -> Backend:
    """Each of the backends in turn."""
    return request.param(project, request)


@pytest.fixture
def live(project: Project) -> Iterator[Live]:
    """A project to talk with while it runs."""
    project.file("trying.py", TRYING)
    with closing(Live(project)) as live:
        yield live


class Another(Live):
    """Another process of a project that is talked with."""

    def __init__(self, live: Live, *args: str) -> None:
        self.project, self.said, self.gate = live.project, live.said, live.gate
        self.out, self._seen = b"", {}
        self.start(*args)

    def note(self) -> str:
        """Return what it says of the lock that it waits for, when it has said it all."""
        stream = self.running.stderr
        self.wait_for(stream, "  held by: ")
        while not self._seen[stream.fileno()].endswith(b"\n"):
            self.wait_for(stream, self._seen[stream.fileno()].decode() + "\n")
        return self._seen[stream.fileno()].decode()

    def close(self) -> None:
        """Leave nothing behind, but what belongs to the other one, too."""
        for stream in (self.running.stdout, self.running.stderr):
            if stream is not None:
                stream.close()
        self.running.kill()
        self.running.wait()


@contextmanager
def another(live: Live, *args: str) -> Iterator[Another]:
    """Start another process, and leave nothing of it behind."""
    with closing(Another(live, *args)) as other:
        yield other


BUSY = (
    "Routine 'deploy' was not run: another run holds its lock.\n"
    "  lock: of routine 'deploy', by {}\n"
)
GIVE_WAIT = "  Give --wait SECONDS to wait for it."
SINCE = re.compile(r", since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC")


def holder(backend: Backend, said: str, process: int, began: datetime) -> str:
    """Return what must have been said of who holds the lock."""
    known = backend.known(said)
    if not backend.tells_process:
        return known
    found = SINCE.search(said)
    assert found, said
    since = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    assert began.replace(microsecond=0) <= since <= datetime.now(UTC)
    host = backend.host[: backend.room - len(f"{process}@ 2026-11-20T14:21:51Z 01234567")]
    return f"process {process} on {host}{f' ({known})' * bool(known)}{found[0]}"


# One at a time

HOLDING = """
    routine("deploy", lock=True)
    system("deploy", "sh", "-c", {script!r}, "sh", "held", step_id="hold")
    command("deploy", "probe", "after")
""".format(script=f'printf %s "${VARIABLE}" >variable; . ./hold.sh')


def test_a_routine_runs_once_at_a_time(live: Live, backend: Backend) -> None:
    """Whoever comes second is told who holds the lock, and gives up with 75 or waits for it.

    What a run has told its processes of its locks means nothing any more when it is over.
    """
    live.project.settings(f"{backend.settings}\n{HOLDING}")

    began = datetime.now(UTC)
    live.start("routine", "deploy")
    assert live.said.line() == "held"
    of_the_first = (live.project.root / "variable").read_text()
    assert len(json.loads(of_the_first)) == 1
    with another(live, "routine", "deploy", "--wait", "60") as second:
        first_holds = holder(backend, second.note(), live.running.pid, began)
        live.gate.open()
        done = live.end()
        assert (done.status, done.err) == (0, "")

        assert live.said.line() == "held"
        assert live.project.ran == ["held passed", "probe after"]
        third = live.project.manage("routine", "deploy", env={VARIABLE: of_the_first})
        assert (third.status, third.out) == (75, "")
        who = holder(backend, third.err, second.running.pid, began)
        busy = BUSY.format(backend.shown)
        assert third.err == f"CommandError: {busy}  held by: {who}\n{GIVE_WAIT}\n"
        live.gate.open()
        waited = second.end()

    assert waited.status == 0
    assert waited.err == (
        "Routine 'deploy' waits for at most 1 min 00 s: another run holds its lock.\n"
        f"  lock: of routine 'deploy', by {backend.shown}\n"
        f"  held by: {first_holds}\n"
    )
    assert live.project.ran == ["held passed", "probe after"] * 2


# Within a run

FORKS = """
    import gc
    import multiprocessing
    import os
    import sys
    import warnings

    from django.core.management import call_command
    from django.core.management.base import BaseCommand
    from django.db import connections

    from waiting import note

    class Command(BaseCommand):
        def handle(self, *args, **options):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # a lease has a thread
                child = os.fork()
                if not child:
                    call_command("routine", "deploy", "--again")
                    connections.close_all()
                    gc.collect()
                    sys.exit(0)
                _, ended = os.waitpid(child, 0)
                worker = multiprocessing.get_context("fork").Process(target=gc.collect)
                worker.start()
                worker.join()
            note(f"forked {ended} {worker.exitcode}")
"""

CALLS = """
    from django.core.management import call_command
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            call_command("routine", "inner")
            call_command("routine", "deploy", "--again")
"""

OUTSIDE = """
    from django.core.management.base import BaseCommand

    from trying import elsewhere
    from waiting import note

    class Command(BaseCommand):
        def handle(self, *args, **options):
            tried = elsewhere("inner"), elsewhere("deploy", ["again"])
            note(" ".join(one[0] for one in tried))
"""


def test_a_run_may_do_again_what_it_has_locked(live: Live, backend: Backend) -> None:
    """What it nests, what its commands call, fork or start is not locked out by it.

    Its locks are held from its first step to its last, whatever these do and however they end;
    another run gets none of them.
    """
    for name, command in (("forks", FORKS), ("calls", CALLS), ("outside", OUTSIDE)):
        live.project.command("probe", name, command)
    live.project.settings(f"""{backend.settings}
    routine("deploy", lock=True)
    routine("inner", lock=True)
    command("inner", "probe", "inner")
    command("deploy", "probe", "again", switches=["again"])
    command("deploy", "outside", switches=["whole"])
    command("deploy", "forks", switches=["whole"])
    command("deploy", "calls", switches=["whole"])
    command("deploy", "routine", "inner", switches=["whole"])
    system("deploy", {PYTHON!r}, "manage.py", "routine", "inner", switches=["whole"])
    command("deploy", "outside", switches=["whole"])
    """)

    done = live.project.manage("routine", "deploy", "--whole")

    assert (done.status, done.err) == (0, "")
    assert live.project.ran == [
        "LockBusy LockBusy",
        "probe again",
        "forked 0 0",
        "probe inner",
        "probe again",
        "probe inner",
        "probe inner",
        "LockBusy LockBusy",
    ]


STARTS = """
    import subprocess
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            again = [sys.executable, "manage.py", "routine", "deploy", "--again"]
            subprocess.run(again, check=True)
"""

STARTING = """
    import json
    import os

    import django

    django.setup()

    from trying import attempt

    said = [attempt("deploy", ["start"]), os.environ.get("DJANGO_RUNBOOK_LOCKS")]
    os.environ["DJANGO_RUNBOOK_LOCKS"] = "mine"
    said += [attempt("deploy", ["again"]), os.environ["DJANGO_RUNBOOK_LOCKS"]]
    with open("said.json", "w") as file:
        json.dump(said, file)
"""


def test_a_process_that_a_command_starts_by_itself_may_pass_too(live: Live) -> None:
    """Its environment tells it of the locks. Afterwards that is as it was."""
    live.project.command("probe", "starts", STARTS)
    live.project.settings(f"""{FILE}
    routine("deploy", lock=True)
    command("deploy", "probe", "again", switches=["again"])
    command("deploy", "starts", switches=["start"])
    """)

    tried = live.project.python(STARTING)

    assert (tried.status, tried.err) == (0, "")
    said = json.loads((live.project.root / "said.json").read_text())
    assert said == [["starts"], None, ["probe"], "mine"]
    assert live.project.ran == ["probe again"] * 2


def test_runs_that_share_two_locks_do_not_wait_for_each_other(live: Live) -> None:
    """In whatever order they nest the locked routines.

    The locks of nested routines are taken before the first step, as the run could not go on.
    """
    live.project.settings(f"""{FILE}
    routine("a", lock=True)
    routine("b", lock=True)
    command("a", "hold", "a", switches=["hold"])
    command("a", "probe", "a")
    command("b", "probe", "b")
    command("first", "probe", "first")
    command("first", "routine", "a")
    command("first", "routine", "b")
    command("second", "probe", "second")
    command("second", "routine", "b")
    command("second", "routine", "a")
    """)

    live.start("routine", "a", "--hold")
    assert live.said.line() == "a"
    with (
        another(live, "routine", "first", "--wait", "60") as first,
        another(live, "routine", "second", "--wait", "60") as second,
    ):
        for one in (first, second):
            assert "lock: of routine 'a', by file\n" in one.note()
        assert live.project.ran == []
        # Neither of them has the other lock: it comes after the one that they wait for.
        assert live.project.manage("routine", "b").status == 0
        live.gate.open()
        assert [one.end().status for one in (live, first, second)] == [0, 0, 0]

    one, other = ["probe first", "probe a", "probe b"], ["probe second", "probe b", "probe a"]
    held = ["probe b", "a passed", "probe a"]
    assert live.project.ran in ([*held, *one, *other], [*held, *other, *one])


LATER = """
    from django.core.management import call_command
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            call_command("routine", "a", "--wait", "20")
"""


def test_a_run_that_waits_is_in_nobodys_way(live: Live) -> None:
    """Who holds the lock it waits for may come to need another one that it has got already."""
    live.project.command("probe", "later", LATER)
    live.project.settings(f"""{FILE}
    routine("a", lock=True)
    routine("b", lock=True)
    command("a", "probe", "a")
    command("b", "hold", "b", switches=["hold"])
    command("b", "later", switches=["hold"])
    command("b", "probe", "b")
    command("both", "routine", "a")
    command("both", "routine", "b")
    """)

    live.start("routine", "b", "--hold")
    assert live.said.line() == "b"
    with another(live, "routine", "both", "--wait", "60") as both:
        assert "lock: of routine 'b', by file\n" in both.note()
        live.gate.open()
        held = live.end()
        assert (held.status, both.end().status) == (0, 0), held.err

    assert live.project.ran == ["b passed", "probe a", "probe b", "probe a", "probe b"]


# In one process: another thread is another run.
THREADS = """
    import io
    import json
    import os
    from pathlib import Path
    from signal import SIGTERM
    from threading import Event, Thread

    import django

    django.setup()

    from django.core.management import call_command

    from django_runbook import get_plan, run_routine
    from django_runbook.exceptions import LockBusy

    import gates
    from trying import attempt

    class Told(io.StringIO):
        # Lets a thread wait until something is written.
        def __init__(self):
            super().__init__()
            self.event = Event()

        def write(self, text):
            written = super().write(text)
            self.event.set()
            return written

    def explained(*words):
        out = io.StringIO()
        call_command("routine", "deploy", *words, stdout=out)
        return out.getvalue()

    results = {"told": attempt("deploy", ["tell"], lock=True)}
    (key,) = json.loads(Path("variable").read_text())
    first = Thread(target=lambda: results.update(first=attempt("deploy", ["slow"], lock=True)))
    first.start()
    assert gates.entered.wait(30)

    try:
        run_routine("deploy", lock=True)
    except LockBusy as exc:
        results["busy"] = [exc.routine, exc.exit_status, str(exc)]
    results["planned"] = attempt(get_plan("deploy", lock=True))
    results["too short"] = attempt("deploy", lock=True, wait=0.01)
    results["other"] = attempt("other", lock=True)
    results["unlocked"] = attempt("deploy")

    results["text"] = explained("--lock", "--explain").splitlines()[:7]
    document = json.loads(explained("--lock", "--wait", "60", "--explain", "--format", "json"))
    results["json"] = [document["controls"]["lock"], document["locks"]]
    results["list"] = explained("--lock", "list").splitlines()

    results["strange"] = []
    for said in ("", "[]", "null", '"x"', "{", '{"%s": 5}', '{"%s": null}', '{"%s": ""}',
                 '{"%s": "0123abcd"}', '{"%s": {"token": "x"}}', '{"": "x"}'):
        os.environ["DJANGO_RUNBOOK_LOCKS"] = said.replace("%s", key)
        results["strange"].append(attempt("deploy", lock=True)[0])
    del os.environ["DJANGO_RUNBOOK_LOCKS"]

    told = Told()
    Thread(target=lambda: told.event.wait(30) and os.kill(os.getpid(), SIGTERM)).start()
    stopped = run_routine("deploy", lock=True, wait=30, stdout=told, stderr=told, check=False)
    results["stopped"] = [stopped.status, stopped.stopped_by, [one.status for one in stopped.steps]]

    told = Told()

    def wait():
        ended = run_routine("deploy", lock=True, wait=30, stdout=told, stderr=told)
        results["second"] = ended.status

    second = Thread(target=wait)
    second.start()
    assert told.event.wait(30)
    gates.gate.set()
    first.join()
    second.join()
    results["waited"] = told.getvalue()
    results["planned, free"] = attempt(get_plan("deploy", lock=True))
    results["planned, twice"] = attempt(get_plan("deploy", lock=True), lock=True)
    print(json.dumps(results))
"""

GATES = """
    from threading import Event

    entered, gate = Event(), Event()
"""

SLOW = """
    from django.core.management.base import BaseCommand

    import gates

    class Command(BaseCommand):
        def handle(self, *args, **options):
            gates.entered.set()
            assert gates.gate.wait(30)
"""


def test_threads_exclude_each_other(live: Live) -> None:
    """``run_routine()`` says who is busy by an exception, and waits where it is told to.

    While the lock is held the plan can be explained: that takes none. The variable that tells a
    step's process of the locks opens nothing to anybody who has made it up. And who waits with
    ``check=False`` is told of a signal by the result.
    """
    project = live.project
    project.file("gates.py", GATES)
    project.command("probe", "slow", SLOW)
    project.settings(f"""{FILE}
    command("deploy", "slow", switches=["slow"])
    system("deploy", "sh", "-c", 'printf %s "${VARIABLE}" >variable', switches=["tell"])
    command("deploy", "probe", "deployed")
    command("other", "probe", "other")
    """)

    tried = project.python(THREADS)

    assert tried.err == ""
    results = tried.document
    routine, status, text = results["busy"]
    assert (routine, status) == ("deploy", 75)
    assert text.startswith(f"{BUSY.format('file')}  held by: process ")
    assert text.endswith(f"\n{GIVE_WAIT}")
    assert results["planned"] == ["LockBusy", 75, text]
    waited = text.replace(GIVE_WAIT, "  It was waited for.")
    assert results["too short"] == ["LockBusy", 75, waited]
    assert results["other"] == ["probe"]
    assert results["unlocked"] == ["probe"]  # who asks for no lock looks at none

    assert results["text"] == [
        "deploy",
        "Lower priorities run first.",
        "Switches:",
        "  --slow (off)",
        "  --tell (off)",
        "Controls: lock.",
        "Locks: deploy by file.",
    ]
    assert results["json"] == [True, [{"routine": "deploy", "backend": "file", "detail": ""}]]
    assert results["list"] == ["[0] probe deployed"]
    assert results["told"] == ["sh", "probe"]
    assert results["strange"] == ["LockBusy"] * 11

    assert results["stopped"] == ["stopped", 15, ["not_run"]]

    assert results["first"] == ["slow", "probe"]
    assert results["second"] == "succeeded"
    waits = "Routine 'deploy' waits for at most 30 s: another run holds its lock.\n"
    assert results["waited"].startswith(waits)
    assert results["planned, free"] == ["probe"]
    refused = "A plan has its switches and controls. Give them where it is made."
    assert results["planned, twice"] == ["TypeError", None, refused]
    assert project.ran == ["probe deployed", "probe other", *["probe deployed"] * 4]


# Who says that a routine takes a lock, and which

DECLARED = """
    DATABASES["default"] = {{
        "ENGINE": "django.db.backends.postgresql", "NAME": "shop",
        "HOST": "127.0.0.1", "PORT": "{port}", "USER": "shop", "PASSWORD": "x",
    }}
    DJANGO_RUNBOOK = {{"LOCK": {{
        "backend": "auto", "directory": BASE / "locks", "url": "redis://127.0.0.1:{port}/0",
    }}}}
    DJANGO_ROUTINES = {{
        "dictionary": {{"commands": [{{"management": "probe"}}], "lock": True}},
        "dictionary_named": {{"commands": [{{"management": "probe"}}], "lock": "redis"}},
        "dataclass": Routine("dataclass", "", [ManagementCommand("probe")], lock="file"),
    }}
    command("plain", "probe")
    routine("stated", lock=True)
    command("stated", "probe")
    routine("named", lock="redis")
    command("named", "probe")
    routine("off", lock=False)
    command("off", "probe")
    routine("again", "Said twice.", lock="file")
    routine("again", "Said twice.")
    command("again", "probe")
    command("outer", "routine", "plain", "--lock")
    command("outer", "routine", "stated", "--no-lock")
    command("outer", "routine", "named", lock=True)
    command("outer", "routine", "off")
    routine("both", lock=True)
    command("both", "probe")
"""

BOTH = """
    routines.routine("both", lock="redis")
    routines.routine("off", lock=True)
    routines.routine("named", lock="redis")
"""

ON_THE_COMMAND_LINE = """
    import io
    import json

    import django

    django.setup()

    from django.core.management import call_command

    from django_runbook import get_plan

    def explained(*args):
        out = io.StringIO()
        call_command("routine", *args, "--explain", "--format", "json", stdout=out)
        document = json.loads(out.getvalue())
        locks = [
            f"{lock['routine']} by {lock['backend']} {lock['detail']}".strip()
            for lock in document["locks"]
        ]
        return [document["controls"]["lock"], locks, document["fingerprint"]]

    results = {
        " ".join(args): explained(*args)
        for args in [
            ("plain",), ("plain", "--lock"), ("plain", "--no-lock"), ("stated",),
            ("stated", "--lock"), ("stated", "--no-lock"), ("named", "--lock"),
            ("named", "--no-lock"), ("outer", "--lock"), ("outer", "--no-lock"),
        ]
    }
    for lock in (True, False, None, "redis", "file", "database"):
        results[f"get_plan {lock}"] = [
            [get_plan(name, lock=lock).control("lock") for name in ("plain", "named")],
            [str(one.description) for one in get_plan("plain", lock=lock).locks],
        ]
    for lock in ("", 5, ["file"]):
        try:
            get_plan("plain", lock=lock)
        except TypeError as exc:
            results[f"get_plan {lock}"] = str(exc)
    print(json.dumps(results))
"""

POSTGRES = "database default (postgresql)"


@pytest.fixture
def refusing() -> Iterator[int]:
    """A port at which every connection is refused."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_every_form_of_declaration_states_a_lock(project: Project, refusing: int) -> None:
    """The plan says which locks a run would take. Nothing is connected to for that, or made."""
    project.app("shop", routines=hook(BOTH))
    project.settings(DECLARED.format(port=refusing))

    explained = project.manage("routine", "--explain", "--format", "json")

    assert (explained.status, explained.err) == (0, "")
    plans = {plan["routine"]: plan for plan in explained.document["routines"]}
    assert {
        name: (
            plan["controls"]["lock"],
            [
                (lock["routine"], f"{lock['backend']} {lock['detail']}".strip())
                for lock in plan["locks"]
            ],
        )
        for name, plan in plans.items()
    } == {
        "dictionary": (True, [("dictionary", POSTGRES)]),
        "dictionary_named": ("redis", [("dictionary_named", "redis")]),
        "dataclass": ("file", [("dataclass", "file")]),
        "plain": (False, []),
        "stated": (True, [("stated", POSTGRES)]),
        "named": ("redis", [("named", "redis")]),
        "off": (False, []),
        "again": ("file", [("again", "file")]),
        "outer": (False, [("named", "redis"), ("plain", POSTGRES)]),
        "both": (True, [("both", POSTGRES)]),
    }
    nested = [step["plan"]["controls"]["lock"] for step in plans["outer"]["steps"]]
    assert nested == [True, False, "redis", False]
    assert not (project.root / "locks").exists()

    settings, shop = project.root / "config/settings.py", project.root / "shop/routines.py"
    differently = (
        "'lock' of routine {!r} is stated differently by settings (config/settings.py:{}) and by "
        "shop (shop/routines.py:{}); the first is in force."
    )
    conflicts = [one for one in explained.document["problems"] if one["id"].endswith("W002")]
    assert [(one["message"], one["origin"]["line"]) for one in conflicts] == [
        (
            differently.format(name, line_of(settings, before), line_of(shop, after)),
            line_of(shop, after),
        )
        for name, before, after in (
            ("both", 'routine("both"', '"both"'),
            ("off", 'routine("off"', '"off"'),
        )
    ]


def test_options_and_code_have_the_last_word_on_a_lock(project: Project, refusing: int) -> None:
    """``--lock`` of a routine that names its backend means that one, ``--no-lock`` means none.

    A plan with a lock is another one than without, so its fingerprint is another one, too.
    """
    project.settings(DECLARED.format(port=refusing))

    tried = project.python(ON_THE_COMMAND_LINE)

    assert tried.err == ""
    results = tried.document
    prints = {name: one.pop() for name, one in results.items() if "get_plan" not in name}
    assert results == {
        "plain": [False, []],
        "plain --lock": [True, [f"plain by {POSTGRES}"]],
        "plain --no-lock": [False, []],
        "stated": [True, [f"stated by {POSTGRES}"]],
        "stated --lock": [True, [f"stated by {POSTGRES}"]],
        "stated --no-lock": [False, []],
        "named --lock": ["redis", ["named by redis"]],
        "named --no-lock": [False, []],
        "outer --lock": [
            True,
            ["named by redis", f"outer by {POSTGRES}", f"plain by {POSTGRES}"],
        ],
        # It is for the routine itself; those that it nests may state otherwise.
        "outer --no-lock": [False, ["named by redis", f"plain by {POSTGRES}"]],
        "get_plan True": [[True, "redis"], [POSTGRES]],
        "get_plan False": [[False, False], []],
        "get_plan None": [[False, "redis"], []],
        "get_plan redis": [["redis", "redis"], ["redis"]],
        "get_plan file": [["file", "file"], ["file"]],
        "get_plan database": [["database", "database"], [POSTGRES]],
        "get_plan ": "lock must be True, False, the name of a backend or None, not ''.",
        "get_plan 5": "lock must be True, False, the name of a backend or None, not 5.",
        "get_plan ['file']": (
            "lock must be True, False, the name of a backend or None, not ['file']."
        ),
    }
    assert prints["plain"] == prints["plain --no-lock"] != prints["plain --lock"]
    assert prints["stated"] == prints["stated --lock"] != prints["stated --no-lock"]
    assert prints["named --lock"] != prints["named --no-lock"]


MALFORMED = """
    routine("number", lock=5)
    routine("empty", lock="")
    routine("listed", lock=["file"])
    DJANGO_ROUTINES["dictionary"] = {"lock": 1.5}
    routine("typo", lock="fiel")
    routine("unknown", lock="zookeeper")
    routine("module", lock="config.gone.Lock")
    routine("name", lock="config.locks.Gone")
    routine("alike", lok=True)
    routine("right", lock=True)
    command("nesting", "routine", "right", lock="redis")
    command("patient", "routine", "right", "--wait", "5")
    routine("switching", lock=True)
    command("switching", "probe", switches=["lock"])
"""


def test_what_is_no_lock_is_named_where_it_is_said(project: Project) -> None:
    """A wrong type and an unknown backend are errors with a place and a remedy."""
    project.file("config/locks.py", OWN)
    settings = project.settings(MALFORMED)

    checked = project.manage("routine", "--explain", "--format", "json")

    assert checked.status == 1
    problems = {
        (one["id"].rpartition(".")[2], one["origin"]["line"]): (one["message"], one["hint"])
        for one in checked.document["problems"]
    }

    def at(text: str) -> int:
        return line_of(settings, text)

    wrong = "'lock' of routine {!r} must be True, False or the name of a backend, not {}."
    remedy = "Give True, False or the name of a backend."
    unusable = "The lock of routine {!r} cannot be taken: {}."
    mend = "Mend the path, which names a class with the methods of LockBackend."
    of_the_command = "of the routine command."
    nested = "settings:routine in routine 'nesting' runs 'routine right': "
    before = "its locks, and those of the routines in it, are taken before its first step."
    patient = "settings:routine in routine 'patient' runs 'routine right --wait 5': "
    assert problems == {
        ("E001", at("number")): (wrong.format("number", 5), remedy),
        ("E001", at("empty")): (wrong.format("empty", "''"), remedy),
        ("E001", at("listed")): (wrong.format("listed", "a list"), remedy),
        ("E001", None): (wrong.format("dictionary", 1.5), remedy),
        ("E001", at("alike")): (
            "'lok' of routine 'alike' must be a help text, not True.",
            "Did you mean 'lock'? Whatever is none of the arguments is the help of a switch.",
        ),
        ("E009", at("switches=")): (
            f"Switch --lock of routine 'switching' has the name of an option {of_the_command}",
            "Give it another name, such as --with-lock.",
        ),
        ("E010", at("nesting")): (
            f"{nested}'lock' must be True or False, not 'redis'.",
            "Name a routine of this site and its switches, as on the command line.",
        ),
        ("E010", at("patient")): (
            f"{patient}--wait belongs to the routine that is started: {before}",
            "Name a routine of this site and its switches, as on the command line.",
        ),
        ("E019", at("typo")): (
            unusable.format("typo", "there is no backend 'fiel'"),
            "Did you mean 'file'? Or give a dotted path.",
        ),
        ("E019", at("unknown")): (
            unusable.format("unknown", "there is no backend 'zookeeper'"),
            "There are auto, file, database, redis. Or give a dotted path.",
        ),
        ("E019", at("config.gone.Lock")): (
            unusable.format(
                "module",
                "the backend 'config.gone.Lock' cannot be loaded: ModuleNotFoundError: No module "
                "named 'config.gone'",
            ),
            mend,
        ),
        ("E019", at("config.locks.Gone")): (
            unusable.format(
                "name",
                "the backend 'config.locks.Gone' cannot be loaded: ImportError: Module "
                '"config.locks" does not define a "Gone" attribute/class',
            ),
            mend,
        ),
    }


# Planning afresh

# What one app says, as a file has it at the time when it is asked.
CHANGING = """
    import json
    from pathlib import Path

    from django_runbook import hookimpl

    @hookimpl
    def contribute_routines(routines):
        for verb, words, given in json.loads(Path("plan.json").read_text()):
            getattr(routines, verb)(*words, **given)
"""


def said_by_the_app(project: Project, *said: tuple[str, list[str], dict[str, Any]]) -> None:
    """Let the app say something else from now on."""
    (project.root / "plan.json").write_text(json.dumps(said))


def test_whoever_has_waited_plans_afresh(live: Live) -> None:
    """What runs is what is declared when the lock is held, with the switches that were given."""
    project = live.project
    project.app("shop", routines=CHANGING)
    lock: Any = ("routine", ["deploy"], {"lock": True})
    probe: Any = ("command", ["deploy", "probe", "new"], {"switches": ["more"]})
    hold: Any = ("command", ["deploy", "hold", "old"], {"switches": ["old"]})
    gone: Any = ("command", ["deploy", "no_such_command"], {"switches": ["more"]})
    off: Any = ("command", ["deploy", "probe", "off"], {"switches": ["less"]})
    said_by_the_app(project, lock, hold, gone, off)
    project.settings(FILE)

    live.start("routine", "deploy", "--old")
    assert live.said.line() == "old"
    with another(live, "routine", "deploy", "--more", "--wait", "inf") as waiting:
        assert waiting.note().startswith("Routine 'deploy' waits: another run holds its lock.\n")
        said_by_the_app(project, lock, hold, off, probe)
        live.gate.open()
        assert live.end().status == 0
        assert waiting.end().status == 0

    assert project.ran == ["old passed", "probe new"]


# A site's own backend that is busy once, during which the site changes.
ONCE_BUSY = """
    import json
    from pathlib import Path

    class OnceBusy:
        def __init__(self, name, options):
            self.options = options
            self.tries = 0

        def log(self, said):
            with Path("log.txt").open("a") as file:
                file.write(f"{said} ")

        def acquire(self):
            self.tries += 1
            self.log("busy" if self.tries == 1 else "taken")
            Path("plan.json").write_text(json.dumps(self.options["after"]))
            return self.tries > 1

        def verify(self):
            self.log("held")

        def release(self):
            self.log("released")

        def close(self):
            self.log("closed")

        def holder(self):
            return None
"""

REPLANNING = """
    import io
    import json
    from pathlib import Path

    import django

    django.setup()

    from django.core.management import CommandError, call_command
    from django.test import override_settings

    LOCK = ["routine", ["deploy"], {"lock": True}]
    OLD = ["command", ["deploy", "probe", "old"], {}]
    NEW = ["command", ["deploy", "probe", "new"], {}]

    def replanned(before, after):
        Path("plan.json").write_text(json.dumps(before))
        Path("log.txt").write_text("")
        out = io.StringIO()
        setting = {"LOCK": {"backend": "config.locks.OnceBusy", "after": after}}
        try:
            with override_settings(DJANGO_RUNBOOK=setting):
                call_command("routine", "deploy", "--wait", "60", stdout=out, stderr=out)
        except CommandError as exc:
            status, text = exc.returncode, str(exc)
        else:
            status, text = 0, ""
        # It is verified now and then; what matters here is that it is given back.
        log = [word for word in Path("log.txt").read_text().split() if word != "held"]
        return [status, text, log]

    results = {
        "changed": replanned([LOCK, OLD], [LOCK, NEW]),
        "broken": replanned([LOCK, OLD], [LOCK, ["command", ["deploy", "gone"], {}], NEW]),
        "nested": replanned(
            [LOCK, OLD],
            [
                LOCK,
                NEW,
                ["routine", ["inner"], {"lock": True}],
                ["command", ["deploy", "routine", "inner"], {}],
            ],
        ),
        "other lock": replanned([LOCK, OLD], [["routine", ["deploy"], {"lock": "file"}], NEW]),
        "no lock": replanned([LOCK, OLD], [NEW]),
        "no routine": replanned([LOCK, OLD], []),
    }
    print(json.dumps(results))
"""


def test_a_plan_that_has_become_another_is_judged_when_the_lock_is_held(project: Project) -> None:
    """With errors, or with other locks than were taken, nothing runs; the lock is given back."""
    project.file("config/locks.py", ONCE_BUSY)
    project.app("shop", routines=CHANGING)
    hooks = project.root / "shop/routines.py"
    project.settings("")

    tried = project.python(REPLANNING)

    assert tried.err == ""
    given_back = ["busy", "taken", "released", "closed"]
    other = (
        "Routine 'deploy' was not run: which locks it takes has changed since it was started. "
        "Run it again."
    )
    gone = (
        "Routine 'deploy' was not run: 1 error.\n"
        f"ERROR shop (shop/routines.py:{line_of(hooks, 'getattr')}): (django_runbook.E012) "
        "shop:gone in routine 'deploy': there is no management command 'gone'.\n"
        "    HINT: Install the app that has it, or mend the name."
    )
    assert tried.document == {
        "changed": [0, "", given_back],
        "broken": [1, gone, given_back],
        "nested": [1, other, given_back],
        "other lock": [1, other, given_back],
        "no lock": [1, other, given_back],
        "no routine": [2, "There is no routine 'deploy'. Known routines: none.", given_back],
    }
    assert project.ran == ["probe new"]


# Signals


def test_a_signal_ends_the_waiting_and_a_stopped_run_gives_its_lock_back(live: Live) -> None:
    """Whoever waits is gone at once, has run nothing and has let the holder be."""
    with redis_client() as client:
        prefix = f"p{uuid.uuid4().hex[:8]}"
        live.project.settings(f"""
            LOCK = {{"backend": "redis", "url": {REDIS!r}, "project": {prefix!r}}}
            DJANGO_RUNBOOK = {{"LOCK": LOCK}}
            routine("deploy", lock=True)
            command("deploy", "hold", "held")
            command("deploy", "probe", "after")
        """)
        live.start("routine", "deploy")
        assert live.said.line() == "held"
        (key,) = client.keys(f"django_runbook:{prefix}-*")
        token = client.get(key)
        with ExitStack() as stack:
            waiting = {
                name: stack.enter_context(another(live, "routine", "deploy", "--wait", "3600"))
                for name in ("SIGTERM", "SIGINT", "SIGHUP")
            }
            for name, one in waiting.items():
                note = one.note()
                one.running.send_signal(getattr(signal, name))
                ended = one.end()
                first, *who = note.splitlines(keepends=True)
                assert first.startswith("Routine 'deploy' waits for at most 1 h 00 min: ")
                assert len(who) == 2
                assert ended.status == 128 + getattr(signal, name)
                assert ended.err == (
                    f"{note}{name}: the routine waits no longer.\n"
                    f"CommandError: Routine 'deploy' was stopped by {name} while it waited for its "
                    f"lock. Nothing was run.\n{''.join(who)}"
                )
                assert ended.out == ""
        assert client.get(key) == token

        live.running.send_signal(signal.SIGTERM)
        live.wait_for(live.running.stderr, "SIGTERM: the routine stops when this step has finished")
        live.gate.open()
        assert live.end().status == 143
        assert client.exists(key) == 0
        assert live.project.ran == ["held passed"]


STUBBORN = """
    trap "" TERM INT HUP
    exec 8>alive
    . ./hold.sh
"""


def test_a_lock_is_held_until_the_last_process_of_a_killed_step_is_gone(live: Live) -> None:
    """Else the next run would begin while the last one still works."""
    project = live.project
    project.file("stubborn.sh", STUBBORN)
    project.settings(f"""{FILE}
    routine("deploy", lock=True)
    system("deploy", "sh", "-c", "sh ./stubborn.sh two & . ./stubborn.sh", "sh", "one")
    """)
    os.mkfifo(project.root / "alive")
    alive = os.open(project.root / "alive", os.O_RDONLY | os.O_NONBLOCK)
    try:
        live.start("routine", "deploy")
        assert {live.said.line(), live.said.line()} == {"one", "two"}
        with pytest.raises(BlockingIOError):
            os.read(alive, 1)  # somebody has it open
        (path,) = (project.root / "locks").iterdir()
        for answer in ("the routine stops when this step has finished", "the step is ended."):
            live.running.send_signal(signal.SIGTERM)
            live.wait_for(live.running.stderr, f"SIGTERM: {answer}")
        with filelock.FileLock(path, timeout=DEADLINE):
            assert os.read(alive, 1) == b""  # nobody has
        assert live.end().status == 143
    finally:
        os.close(alive)


# Wrong usage

WAITS = """
    import io
    import json

    import django

    django.setup()

    from django.core.management import CommandError, call_command

    from trying import attempt

    def called(words):
        try:
            call_command("routine", "deploy", *words.split(), stdout=io.StringIO())
        except CommandError as exc:
            return [exc.returncode, str(exc)]
        return [0, ""]

    waits = (-1, float("nan"), float("-inf"), True, "x", None)
    words = json.loads({words!r})
    results = {{repr(wait): attempt("deploy", lock=True, wait=wait) for wait in waits}}
    print(json.dumps({{**results, **{{one: called(one) for one in words}}}}))
"""


def test_what_is_no_number_of_seconds_is_no_patience(live: Live) -> None:
    """It is wrong usage, and so is to wait where no lock is taken. Nothing is run."""
    live.project.settings(f'{FILE}\n    command("deploy", "probe")')
    numbers = {"--wait -1": "-1", "--wait=-0.5": "-0.5", "--wait nan": "nan", "--wait=-inf": "-inf"}
    texts = ("--lock --wait", "--lock --wait soon", "--lock --wait 1e")
    unlocked = ("--wait 5", "--wait inf", "--lock --no-lock --wait 5")

    words = [*(f"--lock {one}" for one in numbers), *texts, *unlocked]
    tried = live.project.python(WAITS.format(words=json.dumps(words)))
    typed = live.project.manage("routine", "deploy", "--lock", "--wait", "soon")

    assert tried.err == ""
    results = tried.document
    for one, shown in numbers.items():
        refused = f"--wait takes a number of seconds, 0 or more, not {shown}."
        assert results[f"--lock {one}"] == [2, refused]
    for one in texts:
        status, text = results[one]
        assert status == 2
        assert "'--wait'" in text
    nothing = (
        "Routine 'deploy' takes no lock, so that there is nothing to wait for. Give --lock, or "
        "state lock=True."
    )
    assert [results[one] for one in unlocked] == [[2, nothing]] * 3
    assert typed.status == 2
    assert "'--wait'" in typed.err
    assert "Traceback" not in typed.err
    assert live.project.ran == []
    for wait in ("-1", "nan", "-inf", "True", "'x'", "None"):
        kind, _, text = results[wait]
        assert kind in ("ValueError", "TypeError")
        assert text == f"wait must be a number of seconds, 0 or more, not {wait}."


# Giving it back

HOOKS = """
    from django_runbook import signals
    from django_runbook.exceptions import ExitEarly

    from trying import elsewhere

    mode = ""
    seen = []

    def called(name):
        if mode == "look":
            seen.append([name, elsewhere("deploy", ["check"])[0]])
        if mode == f"{name} raises":
            raise ValueError(name)
        if mode == f"{name} exits":
            raise SystemExit(3)
        if mode == f"{name} ends early":
            raise ExitEarly

    def initialize(routine, plan, switches, options):
        called("initialize")

    def finalize(routine, results):
        called("finalize")

    def pre_hook(*args):
        called("pre_hook")

    def post_hook(*args):
        called("post_hook")

    for name in ("routine_started", "routine_finished", "routine_failed"):
        one = getattr(signals, name)
        one.connect(lambda name=name, **_: called(name), weak=False, dispatch_uid=name)
"""

RECEIVED = (
    "routine_started",
    "initialize",
    "pre_hook",
    "post_hook",
    "routine_failed",
    "routine_finished",
    "finalize",
)

GIVING_BACK = """
    import json

    import django

    django.setup()

    import hooks
    from trying import attempt

    results = {}

    def tried(mode, switch="check"):
        hooks.mode = mode
        ended = attempt("deploy", [switch])
        hooks.mode = ""
        results[f"{mode} {switch}".strip()] = [ended[0], attempt("deploy", ["check"])]

    tried("look")
    tried("look", "fail")
    for mode in ("initialize", "pre_hook", "post_hook", "finalize", "routine_started",
                 "routine_finished"):
        for how in ("raises", "exits", "ends early"):
            tried(f"{mode} {how}")
    for switch in ("fail", "exit", "unset"):
        tried("", switch)
    print(json.dumps({"results": results, "seen": hooks.seen}))
"""


def test_a_lock_is_held_for_every_callback_and_given_back_however_it_ends(live: Live) -> None:
    """From ``routine_started`` to ``finalize`` nobody else gets it; then the next one does."""
    project = live.project
    project.file("hooks.py", HOOKS)
    callbacks = ", ".join(
        f'{name}="hooks.{name}"' for name in ("initialize", "finalize", "pre_hook", "post_hook")
    )
    project.settings(f"""{FILE}
    routine("deploy", lock=True, {callbacks})
    command("deploy", "probe", "check", switches=["check"])
    command("deploy", "probe", "--fail", switches=["fail"])
    command("deploy", "probe", "--exit", "3", switches=["exit"])
    system("deploy", "true", env={{"X": Secret.from_env("NOT_SET_HERE")}}, switches=["unset"])
    """)

    tried = project.python(GIVING_BACK)

    assert tried.err == ""
    ended = {name: one for name, (one, _) in tried.document["results"].items()}
    assert {name for name, one in ended.items() if one == "probe"} == {
        "look check",
        *(f"{name} ends early check" for name in RECEIVED if name != "routine_failed"),
    }
    assert {one for one in ended.values() if one != "probe"} == {"StepFailed", "PlanError"}
    assert ended["unset"] == "PlanError"
    assert len(ended) == 23
    assert [after for _, after in tried.document["results"].values()] == [["probe"]] * 23
    assert tried.document["seen"] == [
        [name, "LockBusy"]
        for names in (
            [name for name in RECEIVED if name != "routine_failed"],
            ["routine_started", "initialize", "pre_hook", "routine_failed"],
        )
        for name in names
    ]


# A site's own backend that does not work

BROKEN = """
    from pathlib import Path

    from django_runbook.locks import LockError, LockUnusable

    class Broken:
        def __init__(self, name, options):
            self.options = options
            self.act("init")

        def act(self, name):
            after = self.options.get("after")
            early = after and f"probe {after}" not in Path("ran.txt").read_text()
            if self.options["breaks"] == name and not early:
                if self.options.get("how") == "politely":
                    raise LockError("he has gone home", "Call him.")
                if self.options.get("how") == "exit":
                    raise SystemExit(0)
                if self.options.get("how") == "unusable":
                    raise LockUnusable("there is no door", "Build one.")
                raise KeyError("keys")

        def acquire(self):
            self.act("acquire")
            return True

        def verify(self):
            self.act("verify")

        def release(self):
            self.act("release")

        def close(self):
            self.act("close")

        def holder(self):
            self.act("holder")

    class Busy(Broken):
        def acquire(self):
            return False

    class Liar(Broken):
        def holder(self):
            return "me"

    class TakesNothing(Broken):
        def __init__(self):
            pass

    class WithoutAcquire(Broken):
        acquire = None

    class WithoutVerify(Broken):
        verify = None

    class WithoutRelease(Broken):
        release = None

    class WithoutClose(Broken):
        close = None

    class WithoutHolder(Broken):
        holder = None

    not_a_class = 5
"""

BREAKING = """
    import io
    import json
    from pathlib import Path

    import django

    django.setup()

    from django.core.management import CommandError, call_command
    from django.test import override_settings

    def tried(backend, options, *words):
        out = io.StringIO()
        Path("ran.txt").write_text("")
        setting = {{"LOCK": {{"backend": f"config.locks.{{backend}}", **options}}}}
        try:
            with override_settings(DJANGO_RUNBOOK=setting):
                call_command("routine", "deploy", *words, stdout=out, stderr=out)
        except CommandError as exc:
            status, text = exc.returncode, str(exc)
        except BaseException as exc:
            status, text = type(exc).__name__, str(exc)
        else:
            status, text = 0, ""
        counts = out.getvalue().splitlines()[-1:] or [""]
        probed = out.getvalue().count("probed ")
        return [status, text, probed, counts[0].partition(": ")[2]]

    print(json.dumps([tried(*trial) for trial in json.loads({trials!r})]))
"""

THREE = """
    routine("deploy", lock=True)
    for word in ("one", "two", "three"):
        command("deploy", "probe", word, step_id=word)
"""


def broken(project: Project, *trials: tuple[Any, ...]) -> list[Any]:
    """Return what becomes of a routine whose backend is broken in each of these ways.

    That is its status, its text, how many steps were run, and their sum as it is shown.
    """
    project.file("config/locks.py", BROKEN)
    tried = project.python(BREAKING.format(trials=json.dumps(trials)))
    assert tried.err == ""
    return tried.document


REFUSED = (
    "Routine 'deploy' was not run: 1 error.\n"
    "ERROR settings (config/settings.py:{}): (django_runbook.E019) The lock of routine 'deploy' "
    "cannot be taken: {}.\n"
    "    HINT: {}"
)
FAILED = (
    "The lock of routine 'deploy' cannot be taken, so nothing was run.\n"
    "  lock: by config.locks.Broken\n"
    "  failure: {}"
)
LOST = (
    "Routine 'deploy' failed: the lock of routine 'deploy' was lost; another run may have started "
    "meanwhile.\n"
    "  lock: by config.locks.Broken\n"
    "  lost because: {}"
)
METHODS = ("acquire", "verify", "release", "close", "holder")
RAISED = "config.locks.Broken raised KeyError: 'keys'"
POLITE = "he has gone home\n    HINT: Call him."


def test_a_sites_own_backend_that_cannot_be_used_is_an_error(project: Project) -> None:
    """It is named with what it has raised, where the lock is stated, and nothing is run."""
    settings = project.settings(THREE)
    line = line_of(settings, "lock=True")

    results = broken(
        project,
        ("Broken", {"breaks": "init"}),
        ("Broken", {"breaks": "init", "how": "politely"}),
        ("Broken", {"breaks": "init", "how": "unusable"}),
        ("TakesNothing", {}),
        ("Gone", {}),
        ("not_a_class", {}),
        *((f"Without{method.title()}", {"breaks": ""}) for method in METHODS),
    )

    arguments = "It must take the lock's name and a dictionary of options."
    path = "Mend the path, which names a class with the methods of LockBackend."
    methods = f"It needs {', '.join(METHODS)}: see LockBackend."
    says = "the backend 'config.locks."
    takes_nothing = "TakesNothing.__init__() takes 1 positional argument but 3 were given"
    gone = 'Module "config.locks" does not define a "Gone" attribute/class'
    assert results == [
        [1, REFUSED.format(line, said, hint), 0, ""]
        for said, hint in (
            (f"{says}Broken' raised KeyError: 'keys'", arguments),
            (f"{says}Broken' raised LockError: he has gone home", arguments),
            ("there is no door", "Build one."),
            (f"{says}TakesNothing' raised TypeError: {takes_nothing}", arguments),
            (f"{says}Gone' cannot be loaded: ImportError: {gone}", path),
            (f"{says}not_a_class' has no method acquire()", methods),
            *(
                (f"{says}Without{method.title()}' has no method {method}()", methods)
                for method in METHODS
            ),
        )
    ]


def test_a_sites_own_backend_that_fails_is_named(project: Project) -> None:
    """What it raises is told as its own, with the steps that were not run, and what was undone."""
    project.settings(THREE)
    unknown = f"{BUSY.format('config.locks.Busy')}  held by: it cannot be known\n{GIVE_WAIT}"
    liar = FAILED.format("holder() of config.locks.Broken returned no Holder")
    liar = liar.replace("Broken", "Liar")
    rest = "  not run: settings:two, settings:three"
    all_run = "3 run, 0 skipped, 0 failed, 0 not run."

    assert broken(
        project,
        ("Broken", {"breaks": "acquire"}),
        ("Broken", {"breaks": "acquire", "how": "politely"}),
        ("Broken", {"breaks": "verify"}),
        ("Broken", {"breaks": "verify", "how": "politely"}),
        ("Broken", {"breaks": "verify", "after": "one"}),
        ("Broken", {"breaks": "verify", "after": "one"}, "--continue"),
        ("Broken", {"breaks": "verify", "after": "three"}, "--atomic"),
        ("Broken", {"breaks": "release"}),
        ("Broken", {"breaks": "release", "how": "politely"}),
        ("Broken", {"breaks": "close"}),
        ("Broken", {"breaks": "holder"}),
        ("Liar", {"breaks": ""}),
        ("Busy", {"breaks": "holder"}),
        ("Busy", {"breaks": "release"}),
    ) == [
        [1, FAILED.format(RAISED), 0, ""],
        [1, FAILED.format(POLITE), 0, ""],
        [1, FAILED.format(RAISED), 0, ""],
        [1, FAILED.format(POLITE), 0, ""],
        *[[1, f"{LOST.format(RAISED)}\n{rest}", 1, "1 run, 0 skipped, 0 failed, 2 not run."]] * 2,
        [1, f"{LOST.format(RAISED)}\n  rolled back: default", 3, all_run],
        [1, LOST.format(RAISED), 3, all_run],
        [1, LOST.format(POLITE), 3, all_run],
        [0, "", 3, all_run],  # what it has closed, or not, changes nothing
        [1, FAILED.format(RAISED), 0, ""],
        [1, liar, 0, ""],
        *[[75, unknown, 0, ""]] * 2,
    ]


def test_a_sites_own_backend_cannot_end_the_process(project: Project) -> None:
    """Least of all with a status that says that all is well."""
    project.settings(THREE)
    where = {"init": 0, "acquire": 0, "verify": 0, "release": 3}

    results = broken(project, *(("Broken", {"breaks": one, "how": "exit"}) for one in where))

    for (one, runs), (status, text, probed, _) in zip(where.items(), results, strict=True):
        assert (status, probed) == (1, runs), (one, text)
        assert "config.locks.Broken" in text


TABLE = """
    from django.core.management.base import BaseCommand
    from django.db import connection

    class Command(BaseCommand):
        def handle(self, *args, **options):
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE made (id INTEGER)")
            with open("ran.txt", "a") as file:
                file.write("probe made\\n")
"""


def test_a_lock_that_is_lost_stops_the_routine_before_its_next_step(project: Project) -> None:
    """What was done in a transaction is undone, and what was not run is listed."""
    project.file("config/locks.py", BROKEN)
    project.file("ran.txt", "")
    project.command("probe", "table", TABLE)
    project.settings("""
        BROKEN = {"breaks": "verify", "after": "made", "how": "politely"}
        DJANGO_RUNBOOK = {"LOCK": {"backend": "config.locks.Broken", **BROKEN}}
        routine("deploy", lock=True, atomic=True)
        command("deploy", "table")
        command("deploy", "probe", "two")
        command("deploy", "probe", "three", step_id="three")
    """)

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert done.err == (
        "CommandError: Routine 'deploy' failed: the lock of routine 'deploy' was lost; another run "
        "may have started meanwhile.\n"
        "  lock: by config.locks.Broken\n"
        "  lost because: he has gone home\n"
        "    HINT: Call him.\n"
        "  rolled back: default\n"
        "  not run: settings:probe, settings:three\n"
    )
    assert done.progress[-1].endswith(": 1 run, 0 skipped, 0 failed, 2 not run.")
    assert project.ran == ["probe made"]
    with closing(sqlite3.connect(project.root / "db.sqlite3")) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
