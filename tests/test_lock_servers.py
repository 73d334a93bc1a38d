"""The locks that a server holds, PostgreSQL, MariaDB or Redis, and what can go wrong with them.

Each module's run makes a database of its own on the servers, and drops it; where a Redis server
must be stopped, or must tell what happens to its keys, it is one that the test has started.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote, quote_plus

import pytest
import redis
from django.db import connections
from redis.backoff import NoBackoff
from redis.retry import Retry

from django_runbook.locks import LockError, LockUnusable
from django_runbook.locks.choice import lock_name
from django_runbook.locks.redis import RedisLock

from . import servers
from .live import DEADLINE, Live, Pipe
from .projects import Project
from .servers import MARIADB, POSTGRES, REDIS, Server, made, not_there

BOTH = ["postgres", "mariadb"]

NAME = "any-0123456789abcdef"
"""The name of a lock that no project has."""

PASSWORD = "S3cr3t/pass word"
"""What must not be in any message, however it is spelt."""


# What the tests work with


@pytest.fixture(scope="module")
def _postgres() -> Iterator[Server]:
    yield from prepared(servers.postgres())


@pytest.fixture(scope="module")
def _mariadb() -> Iterator[Server]:
    yield from prepared(servers.mariadb())


def prepared(server: Server) -> Iterator[Server]:
    with made(server):
        server.execute("CREATE TABLE note (word VARCHAR(50))")
        yield server


@pytest.fixture
def postgres(_postgres: Server, project: Project) -> Server:
    """A PostgreSQL database without notes, and a project that can write some."""
    return emptied(_postgres, project)


@pytest.fixture
def mariadb(_mariadb: Server, project: Project) -> Server:
    """The same on MariaDB."""
    return emptied(_mariadb, project)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The one that the test is parametrised with."""
    return request.getfixturevalue(request.param)


def emptied(server: Server, project: Project) -> Server:
    server.execute("DELETE FROM note")
    project.command("probe", "note", NOTE)
    project.command("probe", "close", CLOSE)
    project.command("probe", "session", SESSION)
    return server


@pytest.fixture
def live(project: Project) -> Iterator[Live]:
    """A project to talk with while it runs."""
    with closing(Live(project)) as live:
        yield live


# A command that writes a word into the database.
NOTE = """
    from django.core.management.base import BaseCommand
    from django.db import connection

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("word")

        def handle(self, *args, **options):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO note (word) VALUES (%s)", [options["word"]])
"""

# A command that closes whatever connection Django knows, in every way that there is.
CLOSE = """
    from django.core.management.base import BaseCommand
    from django.db import close_old_connections, connections, reset_queries

    class Command(BaseCommand):
        def handle(self, *args, **options):
            connections["default"].ensure_connection()
            reset_queries()
            close_old_connections()
            connections["default"].close()
            connections["default"].ensure_connection()
            connections.close_all()
            connections.close_all()
"""

# A command that writes which of the server's sessions it works by, by all connections there are.
SESSION = """
    from pathlib import Path

    from django.core.management.base import BaseCommand
    from django.db import connections

    class Command(BaseCommand):
        def handle(self, *args, **options):
            found = []
            for connection in connections.all():
                own_id = "CONNECTION_ID" if connection.vendor == "mysql" else "pg_backend_pid"
                with connection.cursor() as cursor:
                    cursor.execute(f"SELECT {own_id}()")
                    found.append(str(cursor.fetchone()[0]))
            Path("sessions.txt").write_text(" ".join(found))
"""


def sessions_of_steps(project: Project) -> list[int]:
    """Return what the command ``session`` has written."""
    return [int(one) for one in (project.root / "sessions.txt").read_text().split()]


def ask(server: Server, sql: str) -> list[Any]:
    """Execute SQL on the server, by a connection that is not to the test's database."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def notes(server: Server) -> list[str]:
    return [word for (word,) in server.execute("SELECT word FROM note")]


def key_of_lock(database: str) -> str:
    """Return what MySQL and Redis know the lock of the project's routine by."""
    with mock.patch.dict(connections.settings["default"], {"NAME": database}):
        return f"django_runbook:{lock_name('config', 'deploy')}"


def holder(server: Server) -> int | None:
    """Return which session of the server holds the lock of the project's routine."""
    if server.engine == "postgresql":
        found = ask(
            server,
            "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            f"WHERE locktype = 'advisory' AND datname = '{server.name}'",
        )
        assert len(found) <= 1
        return found[0][0] if found else None
    return ask(server, f"SELECT IS_USED_LOCK('{key_of_lock(server.name)}')")[0][0]


def is_there(server: Server, session: int) -> bool:
    """Tell whether the server still has a session."""
    table, column = "pg_stat_activity", "pid"
    if server.engine == "mysql":
        table, column = "information_schema.processlist", "id"
    return bool(ask(server, f"SELECT 1 FROM {table} WHERE {column} = {session}"))


def kill_holder(server: Server) -> None:
    """Have the server end the session that holds the lock, and wait until it is gone."""
    session = holder(server)
    assert session is not None
    kill = "SELECT pg_terminate_backend({})" if server.engine == "postgresql" else "KILL {}"
    ask(server, kill.format(session))
    until(lambda: not is_there(server, session))


def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so that nobody tells of."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it has not come to that"
        time.sleep(0.02)


def loss(lock: str, *rest: str) -> str:
    """Return a pattern of what a run says whose lock was lost; its group is why."""
    text = (
        "CommandError: Routine 'deploy' failed: the lock of routine 'deploy' was lost; another run "
        f"may have started meanwhile.\n  lock: by {lock}\n  lost because: WHY\n"
    )
    return re.escape(text + "".join(f"  {line}\n" for line in rest)).replace("WHY", "(.+)")


def in_database(server: Server) -> str:
    return f"database default ({server.engine})"


def busy(lock: str, held_by: str) -> str:
    """Return a pattern of what a run says that found the lock taken."""
    text = (
        "CommandError: Routine 'deploy' was not run: another run holds its lock.\n"
        f"  lock: of routine 'deploy', by {lock}\n"
        "  held by: WHO\n"
        "  Give --wait SECONDS to wait for it.\n"
    )
    return re.escape(text).replace("WHO", held_by)


# PostgreSQL has no room for more of a long name.
HOST = re.escape(socket.gethostname()[:20]) + r"\S*"
SINCE = r"since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"


def program(name: str) -> str:
    """Return where a server's program is; skip the test if it is not, but in CI."""
    found = shutil.which(name)
    with not_there(FileNotFoundError):
        if found is None:
            raise FileNotFoundError(f"there is no {name} on PATH")
    assert found is not None
    return found


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a directory for sockets: pytest's own may be too long for their addresses."""
    folder = Path(tempfile.mkdtemp(prefix="rb-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


class OwnRedis:
    """A Redis server that keeps nothing on disk and tells what happens to its keys."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "socket"
        self.url = f"unix://{self.path}?db=0"
        self._program = program("redis-server")
        self._process: subprocess.Popen[bytes] | None = None
        self.client = self._client("")

    def _client(self, password: str) -> redis.Redis:
        once = Retry(NoBackoff(), 0)
        return redis.Redis(unix_socket_path=str(self.path), password=password or None, retry=once)

    def start(self, password: str = "", port: int = 0) -> None:
        own = ["--unixsocket", str(self.path), "--bind", "127.0.0.1", "--port", str(port)]
        own += ["--dir", str(self.path.parent), "--save", "", "--appendonly", "no"]
        own += ["--notify-keyspace-events", "KA"]
        own += ["--requirepass", password] if password else []
        self._process = subprocess.Popen(
            [self._program, *own], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        self.leave()
        self.client = self._client(password)
        until(self._answers)

    def _answers(self) -> bool:
        # Not by the client, which in old versions leaves a socket open where nobody listens.
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            if probe.connect_ex(str(self.path)):
                return False
        return bool(self.client.ping())

    def leave(self) -> None:
        """Close the test's own connections, which an older client's ``close()`` does not."""
        self.client.connection_pool.disconnect()

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send the server a signal; wait for its end if it is to end."""
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait()

    def settings(self, text: str, url: str | None = None) -> str:
        """Return the text of settings whose locks are on this server."""
        lock = {"backend": "redis", "url": url or self.url}
        return f"    DJANGO_RUNBOOK = {{'LOCK': {lock!r}}}\n{text}"

    @property
    def keys(self) -> list[bytes]:
        return self.client.keys("django_runbook:*")


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """A Redis server that the test may do with as it likes."""
    with short_folder() as folder:
        own = OwnRedis(folder)
        own.start()
        try:
            yield own
        finally:
            own.leave()
            own.kill()


class Events:
    """What happens to the keys of locks on a server, in its order."""

    def __init__(self, client: redis.Redis, key: str = "*") -> None:
        self._pubsub = client.pubsub()
        self._pubsub.psubscribe(f"__keyspace@0__:django_runbook:{key}")
        assert self._pubsub.get_message(timeout=DEADLINE) is not None

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self._pubsub.close()

    def up_to(self, event: str) -> list[str]:
        """Wait for an event, and return what came before it."""
        before: list[str] = []
        while (came := self._next()) != event:
            before.append(came)
        return before

    def _next(self) -> str:
        message = self._pubsub.get_message(timeout=DEADLINE)
        assert message is not None, "nothing happens to the keys"
        return message["data"].decode()


GONE = (
    "the server does not know it any more: its lease of 30 s has run out, or the server has lost "
    "its data, as in a restart"
)


# A lock of the database's


@pytest.mark.parametrize("server", BOTH, indirect=True)
def test_a_step_that_closes_all_connections_keeps_the_lock(live: Live, server: Server) -> None:
    """It is held by a session that is none of those that steps can get at, and ends with the run.

    Who finds it taken is told by whom, as far as the server lets us know.
    """
    live.project.settings(
        server.settings("""
    routine("deploy", lock=True)
    command("deploy", "session")
    command("deploy", "close")
    command("deploy", "hold", "behind")
""")
    )

    live.start("routine", "deploy")
    assert live.said.line() == "behind"
    session = holder(server)
    other = live.project.manage("routine", "deploy")
    live.gate.open()
    done = live.end()

    assert other.status == 75
    who = rf"session {session} of the server, user {server.address['USER']}, from [\d.]+"
    if server.engine == "postgresql":
        who = rf"process {live.running.pid} on {HOST} \({who}\), {SINCE}"
    assert re.fullmatch(busy(in_database(server), who), other.err), other.err
    assert session is not None
    assert session not in sessions_of_steps(live.project)
    assert len(sessions_of_steps(live.project)) == 1
    assert (done.status, done.err) == (0, "")
    until(lambda: not is_there(server, session))


STEPS = """
    routine("deploy", lock=True)
    command("deploy", "hold", "one", step_id="one")
    command("deploy", "probe", "two", step_id="two")
"""
"""A routine that waits in its first step of two."""

BESIDE = """
    routine("deploy", lock=True, first="Hold.", second="Do not.")
    command("deploy", "hold", "one", step_id="one", switches=["first"])
    command("deploy", "probe", "two", step_id="two", switches=["first"])
    command("deploy", "probe", "second", step_id="second", switches=["second"])
"""
"""A routine of which one run waits and another does not."""


@pytest.mark.parametrize("server", BOTH, indirect=True)
def test_a_lock_whose_session_was_ended_stops_the_routine(live: Live, server: Server) -> None:
    """Another run has the lock while the first is still in its step, and the first goes no further.

    It says so, and what was not run, and what it has done in a transaction is not committed; nor
    is it a step's failure that ``--continue`` passes.
    """
    live.project.settings(
        server.settings("""
    routine("deploy", lock=True, atomic=True, first="Hold.", second="Do not.")
    command("deploy", "note", "one", step_id="one", switches=["first"])
    command("deploy", "hold", "two", step_id="two", switches=["first"])
    command("deploy", "probe", "three", step_id="three", switches=["first"])
    system("deploy", "sh", "-c", "echo four >>ran.txt", step_id="four", switches=["first"])
    command("deploy", "note", "second", step_id="second", switches=["second"])
""")
    )

    live.start("routine", "deploy", "--first", "--continue")
    assert live.said.line() == "two"
    kill_holder(server)
    second = live.project.manage("routine", "deploy", "--second")
    assert live.running.poll() is None
    live.gate.open()
    done = live.end()

    assert (second.status, second.err) == (0, "")
    assert done.status == 1
    rest = ["rolled back: default", "not run: settings:three, settings:four"]
    assert re.fullmatch(loss(in_database(server), *rest), done.err), done.err
    assert done.progress[-1].endswith(": 2 run, 0 skipped, 0 failed, 2 not run.")
    assert live.project.ran == ["two passed"]
    assert notes(server) == ["second"]


@pytest.mark.parametrize(
    ("server", "atomic"), [("postgres", True), ("mariadb", False)], indirect=["server"]
)
def test_a_lock_that_is_lost_in_the_last_step_fails_the_routine(
    live: Live, server: Server, atomic: bool
) -> None:
    """Every step was run, and yet another run may have been between them."""
    live.project.settings(
        server.settings(f"""
    routine("deploy", lock=True, atomic={atomic})
    command("deploy", "note", "one")
    command("deploy", "hold", "two")
""")
    )

    live.start("routine", "deploy")
    assert live.said.line() == "two"
    kill_holder(server)
    live.gate.open()
    done = live.end()

    assert done.status == 1
    rest = ["rolled back: default"] if atomic else []
    assert re.fullmatch(loss(in_database(server), *rest), done.err), done.err
    assert live.project.ran == ["two passed"]
    assert notes(server) == ([] if atomic else ["one"])
    assert done.progress[-1].endswith(": 2 run, 0 skipped, 0 failed, 0 not run.")


FINALIZE = """
    from waiting import wait

    def finalize(routine, results):
        with open("said", "w") as said:
            print("finalize", file=said, flush=True)
            wait()
"""


@pytest.mark.parametrize("server", BOTH, indirect=True)
def test_the_answer_to_the_unlock_counts(live: Live, server: Server) -> None:
    """A lock that was lost when nothing but its release was left to be done fails the routine."""
    live.project.file("hooks.py", FINALIZE)
    live.project.settings(
        server.settings("""
    routine("deploy", lock=True, atomic=True, finalize="hooks.finalize")
    command("deploy", "note", "one")
""")
    )

    live.start("routine", "deploy")
    assert live.said.line() == "finalize"
    kill_holder(server)
    live.gate.open()
    done = live.end()

    assert done.status == 1
    assert re.fullmatch(loss(in_database(server)), done.err), done.err
    assert notes(server) == ["one"]


@pytest.mark.parametrize("server", BOTH, indirect=True)
def test_the_lock_of_a_run_that_was_killed_is_free_at_once(live: Live, server: Server) -> None:
    """The server gives it back when it sees that the connection has ended, and keeps no session."""
    live.project.settings(server.settings(BESIDE))

    live.start("routine", "deploy", "--first")
    assert live.said.line() == "one"
    session = holder(server)
    assert session is not None
    live.running.kill()
    until(lambda: not is_there(server, session))

    done = live.project.manage("routine", "deploy", "--second")

    assert (done.status, done.err) == (0, "")
    assert live.project.ran == ["probe second"]
    assert live.end().status == -signal.SIGKILL


# What a server does to a session that is idle


def idle(live: Live, server: Server, options: str = "") -> None:
    """Run a routine with a step that lasts until the server has ended the session of the others."""
    live.project.settings(
        server.settings(
            f"""
    {options}
    routine("deploy", lock=True)
    command("deploy", "session")
    command("deploy", "hold", "long")
    command("deploy", "note", "after")
"""
        )
    )

    live.start("routine", "deploy")
    assert live.said.line() == "long"
    lock = holder(server)
    assert lock is not None
    (own,) = sessions_of_steps(live.project)
    until(lambda: not is_there(server, own))
    assert holder(server) == lock
    live.gate.open()
    done = live.end()

    assert (done.status, done.err) == (0, "")
    assert notes(server) == ["after"]


def test_the_lock_outlasts_postgresqls_limit_for_idle_sessions(
    live: Live, postgres: Server
) -> None:
    """The session of the steps before is gone in the end, the lock's is not."""
    # Not less: a connection must get from one statement to the next one in that time.
    ask(postgres, f"ALTER DATABASE {postgres.name} SET idle_session_timeout = '3s'")
    try:
        idle(live, postgres)
    finally:
        ask(postgres, f"ALTER DATABASE {postgres.name} RESET idle_session_timeout")


def test_the_lock_outlasts_mysqls_limit_for_idle_sessions(live: Live, mariadb: Server) -> None:
    """The site has set it for its connections, of which the lock's is a copy."""
    options = {"init_command": "SET SESSION wait_timeout = 3"}
    idle(live, mariadb, f'DATABASES["default"]["OPTIONS"] = {options!r}')


# Which database, and which lock on it


def test_a_lock_may_be_on_another_database(live: Live, postgres: Server) -> None:
    """The site's own one need not be able to hold any, or be one that a pooler stands before."""
    live.project.settings(
        postgres.settings("""
    DATABASES["locks"] = DATABASES["default"]
    DATABASES["default"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}
    DJANGO_RUNBOOK = {"LOCK": {"alias": "locks"}}
    command("deploy", "hold", "one")
""")
    )

    live.start("routine", "deploy", "--lock")
    assert live.said.line() == "one"
    assert holder(postgres) is not None
    live.gate.open()
    done = live.end()

    assert (done.status, done.err) == (0, "")
    assert holder(postgres) is None


# Forks, as most of the time of a process goes into importing Django.
TRIES = """
    import io
    import os

    import psycopg, pymysql
    import django.core.management, django.db.backends.base.base, django_runbook.runner
    from django_runbook import run_routine
    from django_runbook.exceptions import LockBusy

    TRIES = {
        "itself": {},
        "another settings module": {"DJANGO_SETTINGS_MODULE": "config.other"},
        "another settings package": {"DJANGO_SETTINGS_MODULE": "elsewhere.settings"},
        "another project": {"PROJECT": "elsewhere"},
        "another database": {"NAME": "%(other)s"},
        "another routine": {"ROUTINE": "release"},
    }
    for name, environment in TRIES.items():
        child = os.fork()
        if not child:
            os.environ.update(environment)
            django.setup()
            try:
                routine = os.environ.get("ROUTINE", "deploy")
                run_routine(routine, ["second"], verbosity=0, stdout=io.StringIO())
            except LockBusy:
                print(name, flush=True)
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
"""


@pytest.mark.parametrize("server", BOTH, indirect=True)
def test_what_a_lock_is_for(live: Live, server: Server) -> None:
    """For one routine of one project on one database; MySQL's own names hold for all of them.

    A project is known by the package of its settings: a module of it for another machine is the
    same project.
    """
    live.project.settings(
        server.settings(f"""
    import os

    DATABASES["default"]["NAME"] = os.environ.get("NAME", {server.name!r})
    if "PROJECT" in os.environ:
        DJANGO_RUNBOOK = {{"LOCK": {{"project": os.environ["PROJECT"]}}}}
{BESIDE}
    routine("release", lock=True, second="Do not.")
    command("release", "probe", "second", switches=["second"])
""")
    )
    live.project.file("config/other.py", "from config.settings import *\n")
    live.project.file("elsewhere/__init__.py", "")
    live.project.file("elsewhere/settings.py", "from config.settings import *\n")

    live.start("routine", "deploy", "--first")
    assert live.said.line() == "one"
    other = "postgres" if server.engine == "postgresql" else "information_schema"
    tried = live.project.python(TRIES % {"other": other})
    live.gate.open()
    done = live.end()

    assert (tried.status, tried.err) == (0, "")
    assert tried.out.splitlines() == ["itself", "another settings module"]
    assert live.project.ran == [*["probe second"] * 4, "one passed", "probe two"]
    assert (done.status, done.err) == (0, "")


# Whitebox: a pooler gives two runs one session of the server's, and one run another session for
# each transaction, when it likes; a test that has no such pooler must do so itself.
SHARED = """
    import uuid

    import django

    django.setup()

    from django.db import connections
    from django_runbook.locks import LockError
    from django_runbook.locks.database import DatabaseLock

    class Kept:
        '''A session of the server's that a pooler keeps when its client goes.'''

        def __init__(self):
            self._wrapper = connections["default"].copy()
            self._wrapper.inc_thread_sharing()
            self._wrapper.ensure_connection()

        def __getattr__(self, name):
            return getattr(self._wrapper, name)

        def close(self):
            pass

        def ask(self, sql):
            with self.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchone()[0]

    def tried(method):
        try:
            return method()
        except LockError as exc:
            return f"{exc} {exc.hint}".strip()

    NAME = f"shared-{uuid.uuid4().hex[:16]}"
    OWN = {
        "mysql": (f"GET_LOCK('{NAME}', 0)", f"IS_USED_LOCK('{NAME}') = CONNECTION_ID()"),
        "postgresql": (
            "pg_try_advisory_lock(42)",
            "COUNT(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        ),
    }
    take, look = OWN[connections["default"].vendor]
    session, another = Kept(), Kept()
    session.ask(f"SELECT {take}")
    first, second, third = (DatabaseLock(NAME, {}) for _ in range(3))
    first._connection = second._connection = session
    third._connection = another
    print("first takes:", tried(first.acquire))
    print("second takes:", tried(second.acquire))
    print("second closes:", tried(second.close))
    print("first verifies:", tried(first.verify))
    print("third takes:", tried(third.acquire))
    print("first releases:", tried(first.release))
    print("third takes:", tried(third.acquire))
    print("the site's own:", session.ask(f"SELECT {look}"))
    third._connection = session
    print("third verifies:", tried(third.verify))
    print("third releases:", tried(third.release))
    session._wrapper.close()
    another._wrapper.close()
"""

POOLER = (
    "Behind a pooler that shares sessions, as PgBouncer does in transaction mode, give as "
    'DJANGO_RUNBOOK["LOCK"]["alias"] a database that connects directly.'
)


@pytest.mark.parametrize("server", BOTH, indirect=True)
def test_a_session_that_two_runs_share_holds_the_lock_for_one_of_them(
    project: Project, server: Server
) -> None:
    """The server would let its session have it twice.

    What is given back is this lock, once, and not all that the session holds; and a run that has
    been given another session does not believe that it holds anything.
    """
    project.settings(server.settings(""))

    done = project.python(SHARED)

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "first takes: True",
        f"second takes: this session of the server holds it already {POOLER}",
        "second closes: None",
        "first verifies: None",
        "third takes: False",
        "first releases: None",
        "third takes: True",
        "the site's own: 1",
        f"third verifies: another session of the server holds it {POOLER}",
        "third releases: the server says that it was not held any more",
    ]


@contextmanager
def pooler(server: Server) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Start a PgBouncer that has one session for all; return it, and settings to go through it."""
    found = shutil.which("pgbouncer")
    if found is None:
        pytest.skip("there is no pgbouncer on PATH")
    address = {key.lower(): value for key, value in server.address.items() if value}
    target = " ".join(f"{key}={value}" for key, value in address.items())
    with short_folder() as folder:
        folder.chmod(0o777)  # it does not run as root
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = {target}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n"
            f"unix_socket_dir = {folder}\nauth_type = any\npool_mode = transaction\n"
            "default_pool_size = 1\n"
        )
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        process = subprocess.Popen(
            [found, "-q", *user, str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until((folder / ".s.PGSQL.6432").exists)
            through = {"HOST": str(folder), "PORT": "6432"}
            yield process, f'    DATABASES["default"].update({through!r})\n'
        finally:
            process.kill()
            process.wait()


def test_behind_a_pooler_a_second_run_is_not_let_in(live: Live, postgres: Server) -> None:
    """Both have one session of the server's; who comes second is told how to mend that."""
    with pooler(postgres) as (_, through):
        live.project.settings(postgres.settings(through + BESIDE))

        live.start("routine", "deploy", "--first")
        assert live.said.line() == "one"
        second = live.project.manage("routine", "deploy", "--second")
        live.gate.open()
        done = live.end()

    assert second.status == 1
    assert second.err == (
        "CommandError: The lock of routine 'deploy' cannot be taken, so nothing was run.\n"
        "  lock: by database default (postgresql)\n"
        "  failure: this session of the server holds it already\n"
        f"    HINT: {POOLER}\n"
    )
    assert (done.status, done.err) == (0, "")
    assert live.project.ran == ["one passed", "probe two"]
    assert holder(postgres) is None


def test_a_database_server_that_falls_silent_is_given_up(live: Live, postgres: Server) -> None:
    """The connection stands, as far as the system can tell, and no answer comes: a frozen machine.

    Here it is the pooler that is stopped; the server itself is for everybody.
    """
    with pooler(postgres) as (process, through):
        live.project.settings(postgres.settings(through + STEPS))

        live.start("routine", "deploy")
        assert live.said.line() == "one"
        process.send_signal(signal.SIGSTOP)
        live.gate.open()
        done = live.end()

    assert done.status == 1
    found = re.fullmatch(loss(in_database(postgres), "not run: settings:two"), done.err)
    assert found is not None, done.err
    assert found[1] == "the server has not answered for 10 s"
    assert live.project.ran == ["one passed"]


def test_a_lock_takes_no_connection_of_a_pool(live: Live, postgres: Server) -> None:
    """The pool has one, which the steps get while the lock is held."""
    options = {"pool": {"min_size": 1, "max_size": 1, "timeout": DEADLINE}}
    text = postgres.settings(
        f"""
    DATABASES["default"]["OPTIONS"] = {options!r}
    routine("deploy", lock=True)
    command("deploy", "note", "one")
    command("deploy", "session")
    command("deploy", "hold", "two")
""",
        max_age=0,
    )
    live.project.settings(text)

    live.start("routine", "deploy")
    assert live.said.line() == "two"
    session = holder(postgres)
    live.gate.open()
    done = live.end()

    assert (done.status, done.err) == (0, "")
    assert notes(postgres) == ["one"]
    assert session is not None
    assert session not in sessions_of_steps(live.project)


# A lock that can never be taken on a site


def refused(message: str, hint: str) -> str:
    """Return what a run says whose lock cannot work here."""
    return (
        "CommandError: Routine 'deploy' was not run: 1 error.\n"
        "ERROR settings: (django_runbook.E019) The lock of routine 'deploy' cannot be taken: "
        f"{message}.\n"
        f"    HINT: {hint}\n"
    )


def test_an_alias_that_the_site_does_not_have(project: Project) -> None:
    """It is refused with the one that is meant."""
    project.settings("""
    DATABASES["locks"] = DATABASES["default"]
    DJANGO_RUNBOOK = {"LOCK": {"alias": "lokcs"}}
    command("deploy", "probe")
""")

    assert refusing(project) == refused("the site has no database 'lokcs'", "Did you mean 'locks'?")


def test_a_database_whose_driver_is_missing(project: Project) -> None:
    """It is told like anything else that is wrong with a plan, and without a traceback."""
    project.file("MySQLdb.py", "raise ModuleNotFoundError(\"No module named 'MySQLdb'\")\n")
    project.settings("""
    DATABASES["default"] = {"ENGINE": "django.db.backends.mysql", "NAME": "shop"}
    command("deploy", "probe")
""")

    assert refusing(project) == refused(
        "the database 'default' cannot be used: Error loading MySQLdb module. Did you install "
        "mysqlclient",
        "Mend DATABASES, or install the driver.",
    )


# A server that cannot be asked


def spellings(password: str) -> set[str]:
    """Return how a password, or the first part of it, may be written."""
    return {password, quote(password), quote(password, safe=""), quote_plus(password), password[:6]}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens at, and that nobody gets meanwhile but who is told of it."""
    with closing(socket.socket()) as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def refusing(project: Project, *args: str, password: str = PASSWORD) -> str:
    """Run a routine that cannot be run, and return what it says.

    Nothing was run, and the password is not said, also where a traceback is asked for.
    """
    # A traceback is cut where the terminal ends.
    done = project.manage("routine", *args, "deploy", "--lock", env={"COLUMNS": "1000"})

    assert done.status == 1
    assert project.ran == []
    assert ("Traceback (most recent call last)" in done.err) is ("--traceback" in args)
    for one in spellings(password):
        assert one not in done.out + done.err
    return done.err[done.err.index("CommandError: ") :]


def why_not(said: str, lock: str, hint: str) -> str:
    """Return why a run says that its lock could not be taken; all else must be as it should be."""
    text = (
        "CommandError: The lock of routine 'deploy' cannot be taken, so nothing was run.\n"
        f"  lock: by {lock}\n"
        "  failure: WHY\n"
        f"    HINT: {hint}\n"
    )
    found = re.fullmatch(re.escape(text).replace("WHY", "(.+)"), said)
    assert found is not None, said
    return found[1]


def database_settings(engine: str, **address: Any) -> str:
    """Return the settings of a database that cannot be reached."""
    whole = {"ENGINE": f"django.db.backends.{engine}", **address}
    lines = [f"DATABASES = {{'default': {whole!r}}}", 'command("deploy", "probe")']
    if engine == "mysql":
        lines += ["import pymysql", "pymysql.install_as_MySQLdb()"]
    return "\n".join(lines)


def redis_settings(url: str) -> str:
    """Return settings whose locks are on a server that cannot be reached."""
    setting = {"LOCK": {"backend": "redis", "url": url}}
    return f'DJANGO_RUNBOOK = {setting!r}\ncommand("deploy", "probe")'


DATABASE_HINT = "DATABASES['default'] says where the server is, and for whom."
REDIS_HINT = 'DJANGO_RUNBOOK["LOCK"]["url"] says where the server is, and for whom.'


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_a_database_server_that_is_not_there(
    project: Project, closed_port: int, engine: str
) -> None:
    """What the driver says of it is told, with the address, but for the password."""
    address = {"NAME": "shop", "USER": "shop", "HOST": "127.0.0.1", "PORT": closed_port}
    project.settings(database_settings(engine, PASSWORD=PASSWORD, **address))

    why = why_not(refusing(project), f"database default ({engine})", DATABASE_HINT)

    assert "127.0.0.1" in why
    assert "refused" in why


def test_a_role_that_may_not_log_in_to_postgresql(project: Project, postgres: Server) -> None:
    """It is told which, unless its name is its password, as here: what the server says is masked.

    Whether the server asks for the password is the server's to decide.
    """
    role = f"s3cr3t_{postgres.name}"
    ask(postgres, f"CREATE ROLE {role} NOLOGIN PASSWORD '{role}'")
    try:
        address = {**POSTGRES, "NAME": postgres.name, "USER": role, "PASSWORD": role}
        project.settings(database_settings("postgresql", **address))
        said = refusing(project, "--traceback", password=role)
    finally:
        ask(postgres, f"DROP ROLE {role}")

    why = why_not(said, "database default (postgresql)", DATABASE_HINT)
    assert 'role "***" is not permitted to log in' in why


def test_a_wrong_password_for_mysql(project: Project, mariadb: Server) -> None:
    """It is told for whom, unless the name is the password; which one would be right is not."""
    user = f"s3cr3t_{mariadb.name}"
    ask(mariadb, f"CREATE USER {user} IDENTIFIED BY '{PASSWORD}'")
    try:
        address = {**MARIADB, "NAME": mariadb.name, "USER": user, "PASSWORD": user}
        project.settings(database_settings("mysql", **address))
        said = refusing(project, "--traceback", password=user)
    finally:
        ask(mariadb, f"DROP USER {user}")

    why = why_not(said, "database default (mysql)", DATABASE_HINT)
    assert "Access denied for user '***'@" in why


def test_a_redis_server_that_is_not_there(project: Project, closed_port: int) -> None:
    """What redis-py says of it is told, with the address, but for the password."""
    password = quote(PASSWORD, safe="")
    project.settings(redis_settings(f"redis://:{password}@127.0.0.1:{closed_port}/0"))

    why = why_not(refusing(project), "redis", REDIS_HINT)

    assert f"connecting to 127.0.0.1:{closed_port}" in why


def test_a_wrong_password_for_redis(project: Project, own_redis: OwnRedis) -> None:
    """It is told that it is wrong, and not what it is."""
    own_redis.kill()
    own_redis.start("the right one")
    password = quote(PASSWORD, safe="")
    project.settings(redis_settings(f"unix://:{password}@{own_redis.path}?db=0"))

    why = why_not(refusing(project, "--traceback"), "redis", REDIS_HINT)

    assert "password" in why


@pytest.mark.parametrize(
    "url",
    [
        "redis://:127.0.0.1@127.0.0.1:{}",
        "redis://:127%2E0%2E0%2E1@127.0.0.1:{}",
        "redis://127.0.0.1:{}?password=127.0.0.1",
        "redis://127.0.0.1:{}?password=127%2E0%2E0%2E1",
    ],
)
def test_what_redis_py_says_is_masked(closed_port: int, url: str) -> None:
    """However the password is written in the address: here it is what the host is called."""
    lock = RedisLock(NAME, {"url": url.format(closed_port)})

    with pytest.raises(LockError, match=rf"connecting to \*\*\*:{closed_port}\.") as raised:
        lock.acquire()
    lock.close()

    assert "127.0.0.1" not in str(raised.value)
    assert raised.value.hint == REDIS_HINT


def test_an_address_of_redis_that_cannot_be_read(project: Project) -> None:
    """What redis-py says of it holds a part of the password, which has to be quoted."""
    project.settings(redis_settings(f"redis://:{PASSWORD}@127.0.0.1:6379"))

    assert refusing(project, "--traceback") == refused(
        "the address of Redis cannot be read",
        'Write it like "redis://user:password@redis.example.com:6379/0", with what is '
        "special in the password quoted (urllib.parse.quote).",
    )


@pytest.mark.parametrize(
    "url",
    [
        "redis://:word/4711@redis.example.com:6379",
        "redis://:word#4711@redis.example.com:6379",
        "redis://:word[4711@redis.example.com:6379",
        "redis://:4711/word@redis.example.com:6379",
        "redis://:4711#word@redis.example.com:6379/0",
        "redis://:4711?word@redis.example.com:6379/0",
        "http://:word4711@redis.example.com:6379",
        "word4711@redis.example.com:6379",
    ],
)
def test_no_part_of_a_password_is_taken_for_an_address(url: str) -> None:
    """A password that is not quoted may end where an address has its path.

    If what stands before were a port of this machine's, the message would name it.
    """
    with pytest.raises(LockUnusable, match=r"^the address of Redis cannot be read$") as raised:
        RedisLock(NAME, {"url": url})

    assert "quoted" in raised.value.hint


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        (
            "redis://:word%2F4711@redis.example.com:6380/3",
            redis.Connection,
            {"host": "redis.example.com", "port": 6380, "db": 3, "password": "word/4711"},
        ),
        (
            "rediss://shop:word@redis.example.com",
            redis.SSLConnection,
            {"host": "redis.example.com", "username": "shop", "password": "word"},
        ),
        (
            "unix://:word@/run/redis/socket?db=3",
            redis.UnixDomainSocketConnection,
            {"path": "/run/redis/socket", "db": 3, "password": "word"},
        ),
    ],
)
def test_every_form_of_an_address_of_redis(url: str, kind: type, said: dict[str, Any]) -> None:
    """It is redis-py that reads it. Nothing is connected to, so that is looked up in its client."""
    pool = RedisLock(NAME, {"url": url})._redis.connection_pool

    assert issubclass(pool.connection_class, kind)
    assert said.items() <= pool.connection_kwargs.items()


# A lock of Redis's


def test_a_lease_is_renewed_for_as_long_as_a_step_takes(
    live: Live, own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step takes longer than the lease. Who finds the lock taken is told by whom.

    The address, with the server's password in it, comes from the environment.
    """
    own_redis.kill()
    own_redis.start(PASSWORD)
    url = f"unix://:{quote(PASSWORD, safe='')}@{own_redis.path}?db=0"
    monkeypatch.setenv("REDIS_ADDRESS", url)
    live.project.settings("""
    DJANGO_RUNBOOK = {
        "LOCK": {"backend": "redis", "url": Secret.from_env("REDIS_ADDRESS"), "lease": 5}
    }
    routine("deploy", lock=True)
    command("deploy", "hold", "long")
    command("deploy", "probe", "after")
""")

    with Events(own_redis.client) as events:
        live.start("routine", "deploy")
        assert live.said.line() == "long"
        assert events.up_to("set") == []
        events.up_to("expire")  # the lease that it is taken with
        for _ in range(4):
            assert events.up_to("expire") == []
        assert 0 < own_redis.client.pttl(own_redis.keys[0]) <= 5000
        other = live.project.manage("routine", "deploy")
        live.gate.open()
        done = live.end()
        assert set(events.up_to("del")) <= {"expire"}

    assert other.status == 75
    key = key_of_lock(str(live.project.root / "db.sqlite3"))
    who = rf"process {live.running.pid} on {HOST} \({key}\), {SINCE}"
    assert re.fullmatch(busy("redis", who), other.err), other.err
    assert (done.status, done.err) == (0, "")
    assert live.project.ran == ["long passed", "probe after"]
    assert own_redis.keys == []


def test_the_address_of_redis_may_come_from_a_variable_that_is_not_set(project: Project) -> None:
    """It is told which one."""
    project.settings("""
    DJANGO_RUNBOOK = {"LOCK": {"backend": "redis", "url": Secret.from_env("REDIS_ADDRESS")}}
    command("deploy", "probe")
""")

    hint = "Set REDIS_ADDRESS where the routine runs."
    why = why_not(refusing(project), "redis", hint)

    assert why == "the environment variable 'REDIS_ADDRESS' is not set"


def test_a_site_without_redis_py(project: Project) -> None:
    """It is told what to install."""
    project.file("redis.py", "raise ModuleNotFoundError(\"No module named 'redis'\")\n")
    project.settings(redis_settings("redis://127.0.0.1:6379"))

    assert refusing(project) == refused(
        "the backend 'redis' needs redis-py: No module named 'redis'",
        "pip install django-runbook[redis]",
    )


def deleted(own: OwnRedis) -> None:
    (key,) = own.keys
    own.client.delete(key)


def restarted(own: OwnRedis) -> None:
    own.kill()
    own.start()


@pytest.mark.parametrize("happens", [deleted, restarted])
def test_a_server_that_has_lost_its_data_stops_the_routine(
    live: Live, own_redis: OwnRedis, happens: Callable[[OwnRedis], None]
) -> None:
    """Between two steps the key is gone, or all keys are with a server that keeps nothing."""
    live.project.settings(own_redis.settings(STEPS))

    live.start("routine", "deploy")
    assert live.said.line() == "one"
    happens(own_redis)
    live.gate.open()
    done = live.end()

    assert done.status == 1
    found = re.fullmatch(loss("redis", "not run: settings:two"), done.err)
    assert found is not None, done.err
    assert found[1] == GONE
    assert live.project.ran == ["one passed"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "connecting to 127.0.0.1:{}. Connection refused"),
        (signal.SIGSTOP, "Timeout reading from "),
    ],
)
def test_a_redis_server_that_does_not_answer_stops_the_routine(
    live: Live, own_redis: OwnRedis, closed_port: int, number: int, said: str
) -> None:
    """It is gone, or frozen. Nobody can tell whether the lock is held, also within its lease."""
    own_redis.kill()
    own_redis.start(port=closed_port)
    live.project.settings(own_redis.settings(STEPS, f"redis://127.0.0.1:{closed_port}"))

    live.start("routine", "deploy")
    assert live.said.line() == "one"
    own_redis.signal(number)
    live.gate.open()
    done = live.end()

    assert done.status == 1
    found = re.fullmatch(loss("redis", "not run: settings:two"), done.err)
    assert found is not None, done.err
    assert said.format(closed_port) in found[1]
    assert live.project.ran == ["one passed"]


LEASE = """
    import os

    DJANGO_RUNBOOK["LOCK"]["lease"] = float(os.environ.get("LEASE", "3"))
"""
"""A lease that is short for the run that loses it, and not for the one that comes after it."""


def test_a_process_that_is_paused_for_longer_than_its_lease_stops(
    live: Live, own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile another run has the lock, and keeps it when the first one ends."""
    live.project.settings(
        own_redis.settings(
            f"""
{LEASE}
    routine("deploy", lock=True, first="Hold.", second="Hold, too.")
    command("deploy", "hold", "one", step_id="one", switches=["first"])
    command("deploy", "probe", "two", step_id="two", switches=["first"])
    system("deploy", "sh", "-c", "echo second >there; read line <back", switches=["second"])
""",
        )
    )
    there, back = Pipe(live.project.root / "there"), Pipe(live.project.root / "back")

    with closing(there), closing(back), Events(own_redis.client) as events:
        live.start("routine", "deploy", "--first")
        first = live.running
        assert live.said.line() == "one"
        first.send_signal(signal.SIGSTOP)
        events.up_to("expired")
        monkeypatch.setenv("LEASE", "600")
        live.start("routine", "deploy", "--second")
        second, live.process = live.running, first
        try:
            assert there.line() == "second"
            (key,) = own_redis.keys
            held = own_redis.client.get(key)
            first.send_signal(signal.SIGCONT)
            live.gate.open()
            done = live.end()
            assert own_redis.client.get(key) == held
            back.open()
            live.process = second
            other = live.end()
        finally:
            for process in (first, second):
                process.kill()
                process.wait()

    assert done.status == 1
    found = re.fullmatch(loss("redis", "not run: settings:two"), done.err)
    assert found is not None, done.err
    # Whoever looks first: the process at its own clock, or its thread at the server.
    overdue = "its lease of 3 s has run out without being renewed"
    assert found[1].startswith(overdue) or found[1] == GONE.replace("30 s", "3 s")
    assert f"{first.pid}@" not in held.decode()
    assert (other.status, other.err) == (0, "")
    assert live.project.ran == ["one passed"]
    assert own_redis.keys == []


def test_the_lock_of_a_run_that_was_killed_is_free_after_its_lease(
    live: Live, own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run waits for it, and has it when the server has forgotten the key, not before."""
    live.project.settings(own_redis.settings(LEASE + BESIDE))

    with Events(own_redis.client) as events:
        live.start("routine", "deploy", "--first")
        first = live.running
        assert live.said.line() == "one"
        try:
            monkeypatch.setenv("LEASE", "600")
            live.start("routine", "deploy", "--second", "--wait", "600")
            live.wait_for(live.running.stderr, "waits for at most 10 min")
            first.kill()
            before = events.up_to("expired")
            after = events.up_to("del")
        finally:
            first.kill()
            first.communicate()
        done = live.end()

    assert before[0] == "set"
    assert before.count("set") == 1
    assert "del" not in before
    assert after[0] == "set"
    assert done.status == 0
    assert live.project.ran == ["probe second"]


def threads() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name == "django_runbook lock"]


def test_leases_do_not_mix(own_redis: OwnRedis) -> None:
    """Each lock renews its own key for its own time, gives back no other, and not what it has not.

    They are taken in this process: what is looked at is on the server, and in the threads.
    """
    long, short = "long-0123456789abcdef", "short-0123456789abcdef"
    outlasting = RedisLock(long, {"url": own_redis.url, "lease": 600})
    brief = RedisLock(short, {"url": own_redis.url, "lease": 5})
    rival = RedisLock(short, {"url": own_redis.url, "lease": 600})

    with Events(own_redis.client, short) as events:
        connected = len(own_redis.client.client_list())
        assert outlasting.acquire()
        assert brief.acquire()
        assert not rival.acquire()
        rival.close()
        assert threads() == ["django_runbook lock"] * 2
        assert events.up_to("expire") == ["set"]
        for _ in range(3):
            assert events.up_to("expire") == []
        assert 0 < own_redis.client.pttl(f"django_runbook:{short}") <= 5000
        assert own_redis.client.pttl(f"django_runbook:{long}") > 500_000
        outlasting.verify()
        brief.verify()
        brief.release()
        outlasting.verify()
        with pytest.raises(LockError, match="^" + re.escape(GONE.replace("30 s", "5 s")) + "$"):
            brief.verify()
        assert own_redis.keys == [f"django_runbook:{long}".encode()]
        deleted(own_redis)
        with pytest.raises(LockError, match="^" + re.escape(GONE.replace("30 s", "600 s")) + "$"):
            outlasting.release()
        for one in (outlasting, brief):
            one.close()
        until(lambda: len(own_redis.client.client_list()) <= connected)

    assert own_redis.keys == []
    assert threads() == []


THREADS = """
    import threading

    from django.core.management.base import BaseCommand

    from waiting import note

    class Command(BaseCommand):
        def handle(self, *args, **options):
            note(", ".join(one.name for one in threading.enumerate()))
"""


def test_no_thread_outlives_the_run(live: Live) -> None:
    """A worker that runs a routine by the hour would gather them."""
    with servers.redis_client() as client:
        live.project.command("probe", "threads", THREADS)
        live.project.settings(f"""
    DJANGO_RUNBOOK = {{"LOCK": {{"backend": "redis", "url": Secret({REDIS!r})}}}}
    routine("deploy", lock=True)
    command("deploy", "threads")
""")

        done = live.project.python("""
            import threading

            import django

            django.setup()

            from django_runbook import run_routine
            from waiting import note

            run_routine("deploy")
            note(", ".join(one.name for one in threading.enumerate()))
        """)

        assert (done.status, done.err) == (0, "")
        assert live.project.ran == ["MainThread, django_runbook lock", "MainThread"]
        assert client.get(key_of_lock(str(live.project.root / "db.sqlite3"))) is None
