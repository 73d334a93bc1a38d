"""Database connections between the steps, and within transactions, on real servers.

Each module's run makes a database of its own on them, and drops it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from . import servers
from .projects import LISTENER, Project, Ran
from .servers import Server, made


def notes(server: Server) -> list[str]:
    """Return the words that are in the database, as another process sees them."""
    return [word for (word,) in server.execute("SELECT word FROM note ORDER BY id")]


def backends(server: Server) -> list[int]:
    """Return the server's connections that wrote them."""
    return [backend for (backend,) in server.execute("SELECT backend FROM note ORDER BY id")]


def prepared(server: Server, key: str) -> Iterator[Server]:
    """Make the server's database with its tables."""
    with made(server):
        server.execute(f"CREATE TABLE note (id {key}, word VARCHAR(50), backend INTEGER)")
        yield server


@pytest.fixture(scope="module")
def _postgres() -> Iterator[Server]:
    yield from prepared(servers.postgres(), "SERIAL PRIMARY KEY")


@pytest.fixture(scope="module")
def _mariadb() -> Iterator[Server]:
    yield from prepared(servers.mariadb(), "INTEGER AUTO_INCREMENT PRIMARY KEY")


@pytest.fixture
def postgres(_postgres: Server, project: Project) -> Server:
    """A PostgreSQL database without notes, and a project that can write some."""
    return emptied(_postgres, project)


@pytest.fixture
def mariadb(_mariadb: Server, project: Project) -> Server:
    """The same on MariaDB."""
    return emptied(_mariadb, project)


@pytest.fixture(params=["postgres", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    """One after the other."""
    return request.getfixturevalue(request.param)


def emptied(server: Server, project: Project) -> Server:
    server.execute("DELETE FROM note")
    project.command("probe", "note", NOTE)
    project.command("probe", "suicide", SUICIDE)
    project.file("hooks.py", HOOKS)
    project.command("probe", "kill", KILL)
    return server


# A command that writes a word, and which of the server's connections it was written by.
NOTE = """
    from django.core.management.base import BaseCommand, CommandError
    from django.db import connection

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("word")
            parser.add_argument("--fail", action="store_true")
            parser.add_argument("--sql")
            parser.add_argument("--swallow", action="store_true")

        def handle(self, *args, **options):
            note(options["word"])
            if options["sql"]:
                try:
                    with connection.cursor() as cursor:
                        cursor.execute(options["sql"])
                except Exception:
                    if not options["swallow"]:
                        raise
            if options["fail"]:
                raise CommandError("the note was told to fail")

    def note(word):
        own_id = "CONNECTION_ID" if connection.vendor == "mysql" else "pg_backend_pid"
        with connection.cursor() as cursor:
            sql = f"INSERT INTO note (word, backend) VALUES (%s, {own_id}())"
            cursor.execute(sql, [word])
"""

# A command that has the server end the connection it speaks by.
SUICIDE = """
    from django.core.management.base import BaseCommand
    from django.db import DatabaseError, connection

    class Command(BaseCommand):
        def handle(self, *args, **options):
            try:
                with connection.cursor() as cursor:
                    if connection.vendor == "mysql":
                        cursor.execute("KILL CONNECTION_ID()")
                    else:
                        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            except DatabaseError:
                self.stdout.write("killed")
"""

# A command that has the server end all connections to the database, by another one, and waits.
KILL = """
    from django.core.management.base import BaseCommand
    from django.db import Error, connection

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--sql")

        def handle(self, *args, **options):
            name = connection.settings_dict["NAME"]
            with connection._nodb_cursor() as cursor:
                if options["sql"]:
                    cursor.execute(options["sql"])
                if connection.vendor == "mysql":
                    self.end_threads(cursor, name)
                else:
                    self.end_processes(cursor, name)
            self.stdout.write("killed")

        def end_processes(self, cursor, name):
            found = "FROM pg_stat_activity WHERE datname = %s"
            cursor.execute(f"SELECT pg_terminate_backend(pid, 60000) {found}", [name])
            assert all(gone for (gone,) in cursor.fetchall())

        def end_threads(self, cursor, name):
            found = "FROM information_schema.processlist WHERE db = %s"
            while cursor.execute(f"SELECT id {found}", [name]):
                for (number,) in cursor.fetchall():
                    try:
                        cursor.execute(f"KILL {number}")
                    except Error:
                        pass  # it is gone by now
"""

HOOKS = """
    from probe.management.commands.note import note

    def initialize(routine, plan, switches, options):
        note("initialize")

    def after(routine, command, following, options):
        note("after")

    def finalize(routine, results):
        note("finalize")
"""


KILLERS = {
    "a command by the connection itself": 'command("deploy", "suicide")',
    "a command by another one": 'command("deploy", "kill")',
}


def killed(project: Project, server: Server, text: str, *args: str) -> Ran:
    """Run a routine in which a step has the server end the connection."""
    project.settings(server.settings(text))
    done = project.manage("routine", "deploy", *args)
    assert "killed\n" in done.out, done
    return done


@pytest.mark.parametrize("killer", KILLERS)
def test_a_connection_that_the_server_ended_does_not_fail_the_next_step(
    project: Project, server: Server, killer: str
) -> None:
    """A connection that is kept for ever, and ended during step 2, is made anew for step 3."""
    done = killed(
        project,
        server,
        f"""
    command("deploy", "note", "one")
    {KILLERS[killer]}
    command("deploy", "note", "three")
    command("deploy", "note", "four")
""",
    )

    assert (done.status, done.err) == (0, "")
    assert notes(server) == ["one", "three", "four"]
    one, three, four = backends(server)
    assert one != three == four


@pytest.mark.parametrize("max_age", [0, None])
def test_a_connection_that_works_is_kept_with_its_session(
    project: Project, postgres: Server, max_age: int | None
) -> None:
    """What a step has set up on it, a temporary table or a lock, is there for the next one."""
    temporary = "CREATE TEMPORARY TABLE seen (word VARCHAR(50))"
    project.settings(
        postgres.settings(
            f"""
    command("deploy", "note", "one", sql="{temporary}")
    command("deploy", "probe")
    command("deploy", "note", "two", sql="INSERT INTO seen VALUES ('two')")
""",
            max_age=max_age,
        )
    )

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert notes(postgres) == ["one", "two"]
    assert len(set(backends(postgres))) == 1


def test_callbacks_find_a_connection_that_works(project: Project, postgres: Server) -> None:
    """Who notes the end of a long step, or of the routine, is no worse off than the next step."""
    done = killed(
        project,
        postgres,
        """
    routine("deploy", initialize="hooks.initialize", finalize="hooks.finalize")
    command("deploy", "kill", post_hook="hooks.after")
    command("deploy", "kill")
""",
    )

    assert (done.status, done.err) == (0, "")
    assert notes(postgres) == ["initialize", "after", "finalize"]


def test_an_atomic_routine_begins_on_a_connection_that_works(
    project: Project, postgres: Server
) -> None:
    """A worker that lives for long runs it by a connection that the server has ended since."""
    project.settings(
        postgres.settings("""
    routine("deploy", atomic=True)
    command("deploy", "note", "one")
""")
    )

    done = project.python("""
        import django

        django.setup()

        from django.core.management import call_command
        from django.db import connection
        from django_runbook import run_routine

        connection.ensure_connection()
        call_command("kill")
        run_routine("deploy")
    """)

    assert done.status == 0, done.err
    assert notes(postgres) == ["one"]


@pytest.mark.parametrize("control", ["--halt", "--continue"])
def test_within_a_transaction_a_connection_is_not_replaced(
    project: Project, server: Server, control: str
) -> None:
    """What the steps before had done is gone with it: that is a failure, and nothing is kept."""
    done = killed(
        project,
        server,
        """
    routine("deploy", atomic=True)
    command("deploy", "note", "one")
    command("deploy", "kill")
    command("deploy", "note", "three")
    command("deploy", "probe", "four")
""",
        control,
    )

    assert done.status == 1
    assert notes(server) == []
    assert "  rolled back: default" in done.err.splitlines()
    assert "Traceback" not in done.err


@pytest.mark.parametrize("control", ["--halt", "--continue"])
def test_a_connection_that_is_ended_before_the_commit_fails_the_routine(
    project: Project, postgres: Server, control: str
) -> None:
    """No step comes after it that could notice."""
    done = killed(
        project,
        postgres,
        """
    routine("deploy", atomic=True)
    command("deploy", "note", "one")
    command("deploy", "kill")
""",
        control,
    )

    assert done.status == 1
    assert notes(postgres) == []
    assert "  rolled back: default" in done.err.splitlines()


@pytest.fixture
def closable(postgres: Server) -> Iterator[Server]:
    """A database that may be closed to everybody, and is opened again."""
    yield postgres
    with closing(postgres.connect()) as connection:
        connection.execute(f"ALTER DATABASE {postgres.name} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("atomic", [False, True])
def test_a_server_that_stays_away_fails_the_step_that_needs_it(
    project: Project, closable: Server, atomic: bool
) -> None:
    """It is told with its place, and nothing comes after; in a transaction all is undone."""
    done = killed(
        project,
        closable,
        f"""
    routine("deploy", atomic={atomic})
    command("deploy", "note", "one")
    command("deploy", "kill", sql="ALTER DATABASE {closable.name} ALLOW_CONNECTIONS false")
    command("deploy", "probe", "three")
    command("deploy", "note", "four")
    command("deploy", "probe", "five")
""",
    )

    assert done.status == 1
    if atomic:  # the transaction is lost with the second step, whoever is the first to notice
        assert "  rolled back: default" in done.err.splitlines()
        assert "of 5 of routine 'deploy' failed: settings:" in done.err
    else:
        assert "rolled back" not in done.err
        assert "Step 4 of 5 of routine 'deploy' failed: settings:note-2" in done.err
        assert "probe three" in project.ran
    assert "probe five" not in project.ran
    assert "commit" not in done.err
    assert "Traceback" not in done.err


def test_no_connection_is_opened_for_steps_that_need_none(project: Project) -> None:
    """A routine runs where the database server cannot be reached, or is not yet there."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        project.settings(f"""
            DATABASES["default"] = {{
                "ENGINE": "django.db.backends.postgresql",
                "NAME": "site",
                "HOST": "127.0.0.1",
                "PORT": {listener.getsockname()[1]},
                "OPTIONS": {{"connect_timeout": 5}},
            }}
            command("deploy", "probe", "one")
            command("deploy", "probe", "two", pre_hook=lambda *_: False)
        """)

        done = project.manage("routine", "deploy")

        assert (done.status, done.err) == (0, "")
        assert project.ran == ["probe one", "probe two"]
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_database_in_memory_survives_from_step_to_step(project: Project) -> None:
    """Closing its connection would be the end of it."""
    project.command("probe", "note", NOTE.replace("{own_id}()", "0"))
    project.command("probe", "count", COUNT)
    project.settings("""
        DATABASES["default"]["NAME"] = ":memory:"
        INSTALLED_APPS += ["django.contrib.contenttypes", "shop"]
        command("deploy", "makemigrations", "shop")
        command("deploy", "migrate")
        command("deploy", "note", "one")
        command("deploy", "note", "two")
        command("deploy", "count")
    """)
    project.app("shop", installed=False, models=MODELS)

    done = project.manage("routine", "--verbosity", "1", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "2 notes"


MODELS = """
    from django.db import models

    class Note(models.Model):
        id = models.AutoField(primary_key=True)
        word = models.CharField(max_length=50)
        backend = models.IntegerField()

        class Meta:
            app_label = "shop"
            db_table = "note"
"""

COUNT = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            from shop.models import Note

            self.stdout.write(f"{Note.objects.count()} notes")
"""


def test_a_transaction_that_the_caller_began_by_hand_is_left_alone(project: Project) -> None:
    """With autocommit off the connection holds what was not committed: it is not closed."""
    project.settings("""
        command("deploy", "probe", "one")
        command("deploy", "probe", "two")
    """)

    done = project.python("""
        import io

        import django

        django.setup()

        from django.db import connection, transaction
        from django_runbook import run_routine

        def execute(sql):
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()

        execute("CREATE TABLE note (word TEXT)")
        transaction.set_autocommit(False)
        execute("INSERT INTO note VALUES ('mine')")
        run_routine("deploy", stdout=io.StringIO(), verbosity=0)
        transaction.commit()
        print(execute("SELECT word FROM note"))
    """)

    assert (done.status, done.err) == (0, "")
    assert done.out == "[('mine',)]\n"


# Tests of a site's own, for which Django makes a database, and a transaction for each of them.
SITE_TESTS = """
    from django.core.management import CommandError, call_command
    from django.db import connection, transaction
    from django.test import TestCase, TransactionTestCase

    from django_runbook import run_routine
    from django_runbook.exceptions import StepFailed
    from probe.management.commands.note import note
    from shop.models import Note

    def notes():
        return list(Note.objects.order_by("id").values_list("word", flat=True))

    class RoutineTests(TestCase):
        @classmethod
        def setUpTestData(cls):
            note("class")

        def setUp(self):
            self.connection = connection.connection
            note("own")

        def tearDown(self):
            self.assertTrue(connection.in_atomic_block)
            self.assertIs(connection.connection, self.connection)
            self.assertEqual(notes()[:2], ["class", "own"])

        def test_it_runs_within_the_transaction(self):
            run_routine("deploy", verbosity=0)
            call_command("routine", "deploy", verbosity=0)
            self.assertEqual(notes(), ["class", "own", "one", "two", "one", "two"])

        def test_nothing_is_left_of_another_test(self):
            self.assertEqual(notes(), ["class", "own"])

        def test_a_failure_is_undone_and_the_test_goes_on(self):
            for _ in range(2):
                with self.assertRaises(StepFailed) as caught:
                    run_routine("broken", verbosity=0)
                self.assertEqual(caught.exception.result.rolled_back, ("default",))
                with self.assertRaises(CommandError):
                    call_command("routine", "broken", verbosity=0)
            note("after")
            self.assertEqual(notes(), ["class", "own", "after"])

        def test_what_is_called_on_commit_is_what_the_steps_ask_for(self):
            called = []
            with self.captureOnCommitCallbacks(execute=True) as callbacks:
                run_routine("broken", atomic=True, continue_on_error=True, check=False, verbosity=0)
                transaction.on_commit(lambda: called.append("own"))
            self.assertEqual((len(callbacks), called), (1, ["own"]))
            self.assertEqual(notes(), ["class", "own", "one"])

    class CommittingTests(TransactionTestCase):
        def test_it_commits(self):
            run_routine("deploy", atomic=True, verbosity=0)
            self.assertFalse(connection.in_atomic_block)
            self.assertEqual(notes(), ["one", "two"])

        def test_it_rolls_back(self):
            run_routine("broken", check=False, verbosity=0)
            self.assertEqual(notes(), [])
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_routine_in_a_test_of_the_site_does_not_break_its_transaction(
    project: Project, request: pytest.FixtureRequest, kind: str
) -> None:
    """``manage.py test`` passes: no connection is closed, no commit is real, errors are undone."""
    routines = """
    INSTALLED_APPS += ["django.contrib.contenttypes", "shop"]
    command("deploy", "note", "one")
    command("deploy", "note", "two")
    routine("broken", atomic=True)
    command("broken", "note", "one")
    command("broken", "note", "two", sql="SELECT nonsense")
"""
    if kind == "sqlite":
        project.command("probe", "note", NOTE.replace("{own_id}()", "0"))
        project.settings(routines)
    else:
        project.settings(request.getfixturevalue(kind).settings(routines, max_age=0))
    project.app("shop", installed=False, models=MODELS)
    project.file("shop/tests.py", SITE_TESTS)

    done = project.manage("test", "--noinput")

    assert done.status == 0, done.err
    assert "Ran 6 tests" in done.err


def test_a_test_without_a_database_may_run_a_routine_without_one(project: Project) -> None:
    """pytest-django forbids it every look at the connection that an earlier test has opened."""
    project.settings('command("deploy", "probe", "one")')
    project.file("test_site.py", PYTEST)

    done = project.python("""
        import sys

        import pytest

        sys.exit(pytest.main(["-p", "no:randomly", "-p", "no:cacheprovider", "test_site.py"]))
    """)

    assert done.status == 0, done.out
    assert project.ran == ["probe one", "probe one"]


PYTEST = """
    import pytest

    from django_runbook import run_routine

    @pytest.mark.django_db
    def test_with_a_database():
        run_routine("deploy")

    def test_without_one():
        run_routine("deploy")
"""


@pytest.mark.parametrize("control", ["--halt", "--continue"])
def test_an_error_that_a_step_keeps_to_itself_cannot_pass_for_a_success(
    project: Project, postgres: Server, control: str
) -> None:
    """PostgreSQL answers the commit of a transaction that had an error by rolling it back."""
    project.settings(
        postgres.settings("""
    routine("deploy", atomic=True)
    command("deploy", "note", "one")
    command("deploy", "note", "two", "--swallow", sql="SELECT nonsense")
""")
    )

    done = project.manage("routine", "deploy", control)

    assert done.status == 1
    assert notes(postgres) in ([], ["one"])
    assert ("rolled back: default" in done.err) is (notes(postgres) == [])


@pytest.mark.parametrize(("answer", "kept"), [("True", ["one", "three"]), ("'exit'", ["one"])])
def test_a_database_error_that_a_receiver_takes_care_of(
    project: Project, postgres: Server, answer: str, kept: list[str]
) -> None:
    """Only the failed step is undone: what is said to have ended well has kept the rest."""
    project.app("listen", apps=LISTENER)
    project.settings(
        postgres.settings(f"""
    ANSWER = {answer}
    routine("deploy", atomic=True)
    command("deploy", "note", "one")
    command("deploy", "note", "two", sql="SELECT nonsense")
    command("deploy", "note", "three")
""")
    )

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert notes(postgres) == kept


def tables(server: Server) -> list[str]:
    """Return the tables of the database, but for the one that was there before."""
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema IN ('public', '{}')"
    found = server.execute(sql.format(server.name))
    return sorted(name for (name,) in found if name != "note")


MIGRATES = """
    INSTALLED_APPS += ["django.contrib.contenttypes", "shop"]
    routine("deploy", atomic=True)
    command("deploy", "note", "one")
    command("deploy", "makemigrations", "shop")
    command("deploy", "migrate")
    command("deploy", "note", "two", "--fail", switches=["fail"])
"""

PRODUCT = """
    from django.db import models

    class Product(models.Model):
        id = models.AutoField(primary_key=True)
        name = models.CharField(max_length=50, unique=True)
"""


def test_migrate_within_the_transaction_is_undone_by_postgresql(
    project: Project, postgres: Server
) -> None:
    """No table is left of it after a later failure; without one, all are there."""
    project.app("shop", installed=False, models=PRODUCT)
    project.settings(postgres.settings(MIGRATES))

    done = project.manage("routine", "deploy", "--fail")

    assert done.status == 1
    assert "  rolled back: default" in done.err.splitlines()
    assert (notes(postgres), tables(postgres)) == ([], [])

    done = project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert notes(postgres) == ["one"]
    assert tables(postgres) == ["django_content_type", "django_migrations", "shop_product"]
    for table in tables(postgres):
        postgres.execute(f"DROP TABLE {table}")


def test_migrate_within_the_transaction_is_refused_on_mariadb(
    project: Project, mariadb: Server
) -> None:
    """It could not be undone there, so Django does not begin it; the steps before are undone."""
    project.app("shop", installed=False, models=PRODUCT)
    project.settings(mariadb.settings(MIGRATES))

    done = project.manage("routine", "deploy")

    assert done.status == 1
    assert "can't perform a rollback is prohibited" in done.err
    assert "  rolled back: default" in done.err.splitlines()
    assert (notes(mariadb), tables(mariadb)) == ([], [])


@pytest.mark.parametrize("control", ["--halt", "--continue"])
def test_what_mariadb_has_committed_by_itself_is_not_said_to_be_undone(
    project: Project, mariadb: Server, control: str
) -> None:
    """A command that changes a table ends the transaction there, with all that came before."""
    project.settings(
        mariadb.settings("""
    routine("deploy", atomic=True)
    command("deploy", "note", "one", sql="CREATE TABLE made (id INTEGER)")
    command("deploy", "note", "two", "--fail")
""")
    )

    done = project.manage("routine", "deploy", control)
    mariadb.execute("DROP TABLE made")

    assert done.status == 1
    assert "one" in notes(mariadb)
    assert "  rolled back: default" not in done.err.splitlines()


def test_a_deferred_constraint_fails_the_commit(project: Project, postgres: Server) -> None:
    """PostgreSQL looks at it in the end, when every step has succeeded."""
    postgres.execute(
        "CREATE TABLE child (id INTEGER REFERENCES note DEFERRABLE INITIALLY DEFERRED)"
    )
    project.settings(
        postgres.settings("""
    routine("deploy", atomic=True)
    command("deploy", "note", "one", sql="INSERT INTO child VALUES (404)")
    command("deploy", "note", "two")
""")
    )

    done = project.manage("routine", "deploy")
    postgres.execute("DROP TABLE child")

    assert done.status == 1
    assert notes(postgres) == []
    assert "Routine 'deploy' failed: the commit failed: IntegrityError: " in done.err
    assert done.err.splitlines()[-1] == "  rolled back: default"
