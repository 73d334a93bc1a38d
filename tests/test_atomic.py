"""Atomic routines: all that the steps did is kept, or none of it, and what is said is true."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from .projects import LISTENER, Project, line_of, problem_ids

TABLES = """
    CREATE TABLE note (word TEXT);
    CREATE TABLE parent (id INTEGER PRIMARY KEY);
    CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
"""

TWO = """
    DATABASES["other"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE / "other.sqlite3"}
"""

# A command that writes a word into databases, and then ends as it is told to.
NOTE = """
    import os
    import signal

    from django.core.management.base import BaseCommand, CommandError
    from django.db import IntegrityError, connections, transaction

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("word")
            parser.add_argument("--on", action="append")
            parser.add_argument("--then", action="append", default=[])

        def handle(self, *args, **options):
            aliases = options["on"] or list(connections)
            for alias in aliases:
                with connections[alias].cursor() as cursor:
                    cursor.execute("INSERT INTO note VALUES (%s)", [options["word"]])
            for then in options["then"]:
                getattr(self, then)(aliases)
            self.stdout.write(f"noted {options['word']}")

        def fail(self, aliases):
            raise CommandError("the note was told to fail")

        def exit(self, aliases):
            raise SystemExit(3)

        def orphan(self, aliases):
            # The database looks for the parent when the transaction is committed.
            for alias in aliases:
                with connections[alias].cursor() as cursor:
                    cursor.execute("INSERT INTO child VALUES (404)")

        def stop(self, aliases):
            os.kill(os.getpid(), signal.SIGTERM)

        def abort(self, aliases):
            self.stop(aliases)
            self.stop(aliases)

        def call_back(self, aliases):
            for alias in aliases:
                transaction.on_commit(lambda: self.stdout.write("called back"), using=alias)

        def call_back_badly(self, aliases):
            for alias in aliases:
                transaction.on_commit(self.fail_late, using=alias)

        def fail_late(self):
            raise ValueError("the mail server is away")

        def close(self, aliases):
            # What a command does that is going to fork.
            connections.close_all()

        def swallow(self, aliases):
            # What Model.save() does, within a command that goes on after an error.
            for alias in aliases:
                try:
                    with transaction.atomic(using=alias, savepoint=False):
                        raise IntegrityError("there is such a row")
                except IntegrityError:
                    pass
"""

HOOKS = """
    import json
    import sys
    from pathlib import Path

    from django.db import connections

    from django_runbook.exceptions import ExitEarly

    def finalize(routine, results):
        seen = {
            "steps": [step.status for step in results.steps],
            "rolled_back": results.rolled_back,
            "in_transaction": [one.alias for one in connections.all() if one.in_atomic_block],
        }
        Path("final.json").write_text(json.dumps(seen))

    def write():
        with connections["default"].cursor() as cursor:
            cursor.execute("INSERT INTO note VALUES ('initialize')")

    def initialize_badly(routine, plan, switches, options):
        write()
        raise ValueError("not today")

    def initialize_and_leave(routine, plan, switches, options):
        write()
        sys.exit(0)

    def yes(routine, command, other, options):
        return True

    def leave(routine, command, other, options):
        raise ExitEarly

    def break_down(routine, command, other, options):
        raise ValueError("the hook is broken")
"""


@pytest.fixture
def notes(project: Project) -> Project:
    """A project with two databases, and a command that writes words into them."""
    project.command("probe", "note", NOTE)
    project.file("hooks.py", HOOKS)
    for name in ("db", "other"):
        with closing(sqlite3.connect(project.root / f"{name}.sqlite3")) as database:
            database.executescript(TABLES)
    return project


def noted(project: Project, name: str = "db") -> list[str]:
    """Return the words that a database holds, as another process sees them."""
    with closing(sqlite3.connect(project.root / f"{name}.sqlite3")) as database:
        return [word for (word,) in database.execute("SELECT word FROM note ORDER BY rowid")]


def final(project: Project) -> Any:
    """Return what ``finalize`` saw, or nothing if it was not called."""
    file = project.root / "final.json"
    return json.loads(file.read_text()) if file.exists() else None


VALUES: dict[str, tuple[Any, list[str]]] = {
    "yes": (True, ["default"]),
    "no": (False, []),
    "alias": ("other", ["other"]),
    "list": (["default", "other"], ["default", "other"]),
    "tuple": (("other", "default"), ["other", "default"]),
    "twice": (["other", "other"], ["other"]),
    "every": ("__all__", ["default", "other"]),
    "listed": (["__all__"], ["default", "other"]),
}
"""What ``atomic`` may be, and the databases that have a transaction then."""

FORMS = {
    "dictionary": """
    DJANGO_ROUTINES = {
        name: {
            "atomic": atomic,
            "commands": [
                {"management": ("note", "one")},
                {"management": ("note", "two", "--then", "fail")},
            ],
        }
        for name, atomic in VALUES.items()
    }
    """,
    "object": """
    DJANGO_ROUTINES = {
        name: Routine(
            name,
            commands=[
                ManagementCommand(("note", "one")),
                ManagementCommand(("note", "two", "--then", "fail")),
            ],
            atomic=atomic,
        )
        for name, atomic in VALUES.items()
    }
    """,
    "function": """
    for name, atomic in VALUES.items():
        routine(name, atomic=atomic)
        command(name, "note", "one")
        command(name, "note", "two", "--then", "fail")
    """,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_undoes_the_steps_on_the_databases_that_atomic_names(
    notes: Project, form: str
) -> None:
    """However it is declared; on the other databases what was done is kept."""
    values = {name: value for name, (value, _) in VALUES.items()}
    notes.settings(f"{TWO}\n    VALUES = {values!r}\n{FORMS[form]}")

    done = notes.python(f"""
        import io
        import json

        import django

        django.setup()

        from django.db import connections
        from django_runbook import run_routine

        def left(alias):
            with connections[alias].cursor() as cursor:
                cursor.execute("SELECT word FROM note")
                words = [word for (word,) in cursor.fetchall()]
                cursor.execute("DELETE FROM note")
            return words

        found = {{}}
        for name in {list(values)!r}:
            result = run_routine(name, check=False, stdout=io.StringIO(), stderr=io.StringIO())
            words = {{alias: left(alias) for alias in connections}}
            found[name] = [result.status, result.rolled_back, words]
        print(json.dumps(found))
    """)

    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == {
        name: [
            "failed",
            aliases,
            {alias: [] if alias in aliases else ["one", "two"] for alias in ("default", "other")},
        ]
        for name, (_, aliases) in VALUES.items()
    }


STEPS = """
    routine("deploy", atomic=["default", "other"])
    command("deploy", "note", "one")
    command("deploy", "note", "two")
    command("deploy", "note", "three", "--then", "fail")
    command("deploy", "note", "four")
"""


def test_a_failure_in_step_3_leaves_both_databases_as_they_were(notes: Project) -> None:
    """Both are rolled back, and the failure says so, with what was not run."""
    settings = notes.settings(TWO + STEPS)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == noted(notes, "other") == []
    assert done.err.splitlines() == [
        "CommandError: Step 3 of 4 of routine 'deploy' failed: settings:note-3",
        f"  declared by: settings (config/settings.py:{line_of(settings, 'three')})",
        "  command: note three --then fail",
        "  failure: CommandError: the note was told to fail",
        "  rolled back: default, other",
        "  not run: settings:note-4",
    ]


def test_success_commits_both_databases(notes: Project) -> None:
    """What is to be done on commit is done after the last step, and then ``finalize``."""
    notes.settings(TWO + STEPS.replace("fail", "call_back"))
    with (notes.root / "config" / "settings.py").open("a") as file:
        file.write('routine("deploy", finalize="hooks.finalize")\n')

    done = notes.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert noted(notes) == noted(notes, "other") == ["one", "two", "three", "four"]
    assert done.out.splitlines()[-3:] == ["noted four", "called back", "called back"]
    assert final(notes) == {"steps": ["succeeded"] * 4, "rolled_back": [], "in_transaction": []}


@pytest.mark.parametrize(
    ("stated", "given", "undone"),
    [
        ("False", ["--atomic"], ["db"]),
        ("True", ["--non-atomic"], []),
        ("['default', 'other']", ["--atomic"], ["db", "other"]),
        ("'other'", ["--non-atomic"], []),
    ],
)
def test_the_command_line_has_the_last_word(
    notes: Project, stated: str, given: list[str], undone: list[str]
) -> None:
    """``--atomic`` keeps the databases that the routine states, and is the default one without."""
    notes.settings(TWO + STEPS.replace('["default", "other"]', stated))

    done = notes.manage("routine", "deploy", *given)

    assert done.status == 1
    for name in ("db", "other"):
        assert noted(notes, name) == ([] if name in undone else ["one", "two", "three"])
    assert ("rolled back" in done.err) is bool(undone)


def test_python_has_the_last_word_as_the_command_line_has(notes: Project) -> None:
    """``run_routine(atomic=...)`` takes what a routine may state, and the result tells of it."""
    notes.settings(TWO + STEPS)

    done = notes.python("""
        import io

        import django

        django.setup()

        from django_runbook import run_routine
        from django_runbook.exceptions import PlanError, StepFailed

        for atomic in ("other", True, False, ["nowhere"]):
            try:
                run_routine("deploy", atomic=atomic, stdout=io.StringIO(), stderr=io.StringIO())
            except StepFailed as exc:
                print(exc.result.rolled_back, [step.status for step in exc.result.steps])
            except PlanError as exc:
                print([problem.id for problem in exc.problems])
    """)

    assert (done.status, done.err) == (0, "")
    statuses = "['succeeded', 'succeeded', 'failed', 'not_run']"
    assert done.out.splitlines() == [
        f"('other',) {statuses}",
        f"('default', 'other') {statuses}",
        f"() {statuses}",
        "['django_runbook.E017']",
    ]
    assert noted(notes) == ["one", "two", "three"] * 2
    assert noted(notes, "other") == ["one", "two", "three"]


def test_an_unknown_database_is_refused_before_the_first_step(notes: Project) -> None:
    """With its place and the name that was meant, also in a nested routine."""
    settings = notes.settings("""
        routine("deploy", atomic="defualt")
        command("deploy", "note", "one")
        command("outer", "note", "before")
        command("outer", "routine", "deploy")
    """)

    said = "Routine 'deploy' is atomic on the database 'defualt', which the site does not have."
    for name in ("deploy", "outer"):
        done = notes.manage("routine", name)

        assert done.status == 1
        place = f"settings (config/settings.py:{line_of(settings, 'defualt')})"
        assert done.err.splitlines()[-2:] == [
            f"ERROR {place}: (django_runbook.E017) {said}",
            "    HINT: Did you mean 'default'?",
        ]
        assert noted(notes) == []


def test_with_continue_a_failing_step_is_undone_by_itself(notes: Project) -> None:
    """Each step has a savepoint: the others are committed, and ``finalize`` sees which failed."""
    notes.settings(
        TWO
        + """
    routine("deploy", atomic="__all__", continue_on_error=True, finalize="hooks.finalize")
    command("deploy", "note", "one")
    command("deploy", "note", "two", "--then", "call_back", "--then", "fail")
    command("deploy", "note", "three", "--then", "call_back")
    command("deploy", "note", "four", "--then", "exit")
    command("deploy", "note", "five", post_hook="hooks.break_down")
    command("deploy", "note", "six")
"""
    )

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == noted(notes, "other") == ["one", "three", "six"]
    assert "3 of 6 steps of routine 'deploy' failed." in done.err
    assert "it ended the process with status 3" in done.err
    assert "rolled back" not in done.err
    assert done.out.count("called back") == 2  # of the third step, on each database
    assert final(notes) == {
        "steps": ["succeeded", "failed", "succeeded", "failed", "failed", "succeeded"],
        "rolled_back": [],
        "in_transaction": [],
    }


@pytest.mark.parametrize("hook", ["yes", "leave"])
def test_an_early_exit_commits(notes: Project, hook: str) -> None:
    """A routine that a hook ends early has ended well: what was done so far is kept."""
    notes.settings(f"""
        routine("deploy", atomic=True, finalize="hooks.finalize")
        command("deploy", "note", "one", post_hook="hooks.{hook}")
        command("deploy", "note", "two")
    """)

    done = notes.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert noted(notes) == ["one"]
    assert final(notes)["rolled_back"] == []
    assert "It was ended early." in done.progress[-1]


def test_a_hook_that_raises_undoes_its_step_and_those_before(notes: Project) -> None:
    """A ``post_hook`` is part of its step, whose command has succeeded for nothing."""
    notes.settings("""
        routine("deploy", atomic=True, finalize="hooks.finalize")
        command("deploy", "note", "one")
        command("deploy", "note", "two", post_hook="hooks.break_down")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert "  failure: its post_hook hooks.break_down raised ValueError: the hook is broken\n" in (
        done.err
    )
    assert "  rolled back: default\n" in done.err
    assert noted(notes) == []
    assert final(notes) is None


@pytest.mark.parametrize("hook", ["initialize_badly", "initialize_and_leave"])
def test_initialize_is_part_of_the_transaction(notes: Project, hook: str) -> None:
    """What it wrote before it raised, or ended the process, is undone, and nothing is run."""
    notes.settings(f"""
        routine("deploy", atomic=True, initialize="hooks.{hook}")
        command("deploy", "note", "one")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == []
    assert f"Routine 'deploy' failed: its initialize hooks.{hook} " in done.err
    assert done.err.splitlines()[-2:] == ["  rolled back: default", "  not run: settings:note"]


@pytest.mark.parametrize("control", ["", ", continue_on_error=True"])
@pytest.mark.parametrize("then", ["stop", "abort"])
def test_a_stop_with_steps_left_undoes_all(notes: Project, then: str, control: str) -> None:
    """SIGTERM during step 2 of 3 ends with 143 and both databases as they were."""
    notes.settings(
        TWO
        + f"""
    routine("deploy", atomic="__all__", finalize="hooks.finalize"{control})
    command("deploy", "note", "one")
    command("deploy", "note", "two", "--then", "{then}")
    command("deploy", "note", "three")
"""
    )

    done = notes.manage("routine", "deploy")

    assert done.status == 128 + signal.SIGTERM
    assert noted(notes) == noted(notes, "other") == []
    assert "Routine 'deploy' was stopped by SIGTERM." in done.err
    assert done.err.splitlines()[-2:] == [
        "  rolled back: default, other",
        "  not run: settings:note-3",
    ]
    assert final(notes) is None


def test_a_stop_during_the_last_step_commits(notes: Project) -> None:
    """Every step was run: there is nothing half done to be undone."""
    notes.settings("""
        routine("deploy", atomic=True)
        command("deploy", "note", "one")
        command("deploy", "note", "two", "--then", "stop")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 128 + signal.SIGTERM
    assert noted(notes) == ["one", "two"]
    assert "  Every step was run." in done.err.splitlines()
    assert "rolled back" not in done.err


def test_a_stop_in_a_nested_atomic_routine_says_what_was_undone(notes: Project) -> None:
    """The routine around it is not atomic: its own steps are kept, those of the inner are not."""
    notes.settings("""
        command("deploy", "note", "before")
        command("deploy", "routine", "inner")
        command("deploy", "note", "after")
        routine("inner", atomic=True)
        command("inner", "note", "one", "--then", "stop")
        command("inner", "note", "two")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 128 + signal.SIGTERM
    assert noted(notes) == ["before"]
    assert "settings:routine > settings:note-2" in done.err
    assert "  rolled back in settings:routine: default" in done.err.splitlines()


def test_a_commit_that_fails_is_a_failure(notes: Project) -> None:
    """A deferred constraint is looked at when the steps are over; all is undone, and it is said."""
    notes.settings("""
        routine("deploy", atomic=True, finalize="hooks.finalize")
        command("deploy", "note", "one", "--then", "orphan", "--then", "call_back")
        command("deploy", "note", "two")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == []
    said = "the commit failed: IntegrityError: FOREIGN KEY constraint failed"
    assert done.err.splitlines() == [
        f"CommandError: Routine 'deploy' failed: {said}",
        "  rolled back: default",
    ]
    assert "called back" not in done.out
    assert done.progress[-1].startswith("Routine 'deploy' failed after")
    assert final(notes) is None


@pytest.mark.parametrize(
    ("broken", "undone", "kept"),
    [("default", ["default"], ["other"]), ("other", ["default", "other"], [])],
)
def test_a_commit_that_fails_on_one_of_two_databases_says_which_is_kept(
    notes: Project, broken: str, undone: list[str], kept: list[str]
) -> None:
    """They are committed one by one: what is said to be undone is undone, and nothing else is."""
    notes.settings(
        TWO
        + f"""
    routine("deploy", atomic=["default", "other"])
    command("deploy", "note", "one")
    command("deploy", "note", "two", "--on", "{broken}", "--then", "orphan")
"""
    )

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    found = {"default": noted(notes), "other": noted(notes, "other")}
    assert [alias for alias, words in found.items() if not words] == undone
    assert [alias for alias, words in found.items() if words] == kept
    assert f"  rolled back: {', '.join(undone)}" in done.err.splitlines()
    # It is the commit that has failed, also if another one went before.
    assert "the commit failed: IntegrityError" in done.err or (
        f"the commit on {broken} failed: IntegrityError" in done.err
    )
    assert "after the commit" not in done.err


def test_what_fails_after_the_commit_undoes_nothing(notes: Project) -> None:
    """An ``on_commit`` callback that raises is a failure, but no rollback is claimed."""
    notes.settings("""
        routine("deploy", atomic=True)
        command("deploy", "note", "one", "--then", "call_back_badly")
        command("deploy", "note", "two")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == ["one", "two"]
    said = "what is done after the commit failed: ValueError: the mail server is away"
    assert done.err.splitlines() == [f"CommandError: Routine 'deploy' failed: {said}"]


def test_what_fails_after_the_first_of_two_commits(notes: Project) -> None:
    """What is said to be rolled back is what is not there, on each of two databases."""
    notes.settings(
        TWO
        + """
    routine("deploy", atomic=["default", "other"])
    command("deploy", "note", "one", "--then", "call_back_badly")
"""
    )

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert "ValueError: the mail server is away" in done.err
    lost = [
        alias for alias, name in (("default", "db"), ("other", "other")) if not noted(notes, name)
    ]
    said = [line for line in done.err.splitlines() if "rolled back" in line]
    assert said == ([f"  rolled back: {', '.join(lost)}"] if lost else [])


@pytest.mark.parametrize("control", ["", ", continue_on_error=True"])
@pytest.mark.parametrize("then", ["close", "swallow"])
def test_a_step_that_spoils_the_transaction_cannot_pass_for_a_success(
    notes: Project, then: str, control: str
) -> None:
    """Django then rolls back without an error: who reads the log must not think it was kept."""
    notes.settings(f"""
        routine("deploy", atomic=True{control})
        command("deploy", "note", "one")
        command("deploy", "note", "two", "--then", "{then}")
        command("deploy", "probe", "three")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) in ([], ["one"])
    assert ("rolled back: default" in done.err) is (noted(notes) == [])


def test_a_database_that_cannot_be_reached_is_no_failed_commit(notes: Project) -> None:
    """Nothing was run, so nothing was undone: the text says what failed, and not "the commit"."""
    notes.settings("""
        DATABASES["other"] = {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": BASE / "no such folder" / "other.sqlite3",
        }
        routine("deploy", atomic="__all__")
        command("deploy", "note", "one", "--on", "default")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == []
    assert "OperationalError: unable to open database file" in done.err
    assert "not run: settings:note" in done.err
    assert "commit" not in done.err
    assert "rolled back" not in done.err


@pytest.fixture
def listening(notes: Project) -> Project:
    """The same, with a receiver of ``routine_failed`` that answers as the settings say."""
    notes.app("listen", apps=LISTENER)
    return notes


@pytest.mark.parametrize(("answer", "kept"), [("True", ["one", "three"]), ("'exit'", ["one"])])
def test_a_failure_that_a_receiver_takes_care_of_undoes_that_step_only(
    listening: Project, answer: str, kept: list[str]
) -> None:
    """Its half-done work is not committed; the routine ends well with the work of the others."""
    listening.settings(f"""
        ANSWER = {answer}
        routine("deploy", atomic=True)
        command("deploy", "note", "one")
        command("deploy", "note", "two", "--then", "fail")
        command("deploy", "note", "three")
    """)

    done = listening.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert noted(listening) == kept


def test_a_step_of_a_nested_routine_is_undone_by_itself(listening: Project) -> None:
    """Within an atomic routine each step has a savepoint, those of nested routines, too."""
    listening.settings("""
        ANSWER = True
        routine("deploy", atomic=True)
        command("deploy", "note", "one")
        command("deploy", "routine", "inner")
        command("inner", "note", "two", "--then", "fail")
        command("inner", "note", "three")
    """)

    done = listening.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert noted(listening) == ["one", "three"]


def test_a_failure_that_a_receiver_leaves_alone_undoes_all(listening: Project) -> None:
    """A receiver that only looks on changes nothing."""
    listening.settings("ANSWER = None\n" + STEPS.replace("\n    ", "\n") + TWO.strip())

    done = listening.manage("routine", "deploy")

    assert done.status == 1
    assert noted(listening) == noted(listening, "other") == []
    assert "  rolled back: default, other" in done.err


NESTED = """
    command("deploy", "note", "before")
    command("deploy", "routine", "inner")
    command("deploy", "note", "after")
    routine("inner", atomic=True)
    command("inner", "note", "one")
    command("inner", "note", "two", "--then", "{then}")
"""


@pytest.mark.parametrize(
    ("then", "args", "kept", "said"),
    [
        ("fail", [], ["before"], True),
        ("fail", ["--continue"], ["before", "after"], True),
        ("fail", ["--atomic"], [], True),
        ("fail", ["--atomic", "--continue"], ["before", "after"], True),
        ("orphan", ["--continue"], ["before", "after"], True),
        ("call_back_badly", ["--continue"], ["before", "one", "two", "after"], False),
        ("call_back", ["--atomic"], ["before", "one", "two", "after"], False),
    ],
)
def test_a_nested_atomic_routine_is_undone_by_itself(
    notes: Project, then: str, args: list[str], kept: list[str], said: bool
) -> None:
    """Within a transaction it is a savepoint; what its failure says of a rollback is so."""
    notes.settings(NESTED.format(then=then))

    done = notes.manage("routine", "deploy", *args)

    assert noted(notes) == kept
    assert done.status == (0 if then == "call_back" else 1), done.err
    assert ("rolled back: default" in done.err) is said
    if then == "call_back":
        assert done.out.splitlines()[-2:] == ["noted after", "called back"]


def test_a_routine_around_it_undoes_what_a_nested_atomic_one_has_finished(notes: Project) -> None:
    """A commit within a transaction is none: the outer failure takes the inner steps with it."""
    notes.settings("""
        routine("deploy", atomic=True)
        command("deploy", "routine", "inner")
        command("deploy", "note", "after", "--then", "fail")
        routine("inner", atomic=True)
        command("inner", "note", "one", "--then", "call_back_badly")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert noted(notes) == []
    assert "the mail server is away" not in done.err
    assert done.err.splitlines()[-1] == "  rolled back: default"


WARNED = """
    import sys

    routine("deploy", atomic=True)
    command("deploy", "note", "inside")
    system("deploy", sys.executable, "-c", "", step_id="program")
    command("deploy", "note", "limited", time_limit=5, step_id="limited")
    command("deploy", "migrate", step_id="migrate")
    command("deploy", "routine", "inner", step_id="nested")
    command("inner", "note", "inner")
    system("inner", sys.executable, "-c", "", step_id="inner-program")
    command("plain", "migrate")
    system("plain", sys.executable, "-c", "")
"""

OUTSIDE = ["settings:program", "settings:limited", "settings:inner-program"]


def outside(document: Any) -> list[str]:
    """Return the ids of the steps that a document marks, those of nested routines included."""
    found = []
    for step in document["steps"]:
        found += [step["id"]] if step["outside_transaction"] else []
        found += outside(step["plan"]) if "plan" in step else []
    return found


def test_what_the_transaction_cannot_undo_is_marked_and_warned_of(notes: Project) -> None:
    """W010 for each process of its own, W011 for migrate; both where the step is declared."""
    settings = notes.settings(WARNED)

    document = notes.explain("deploy")
    assert outside(document) == OUTSIDE
    assert sorted(problem_ids(document)) == ["W010", "W010", "W010", "W011"]
    lines = {
        problem["message"].split()[0]: problem["origin"]["line"] for problem in document["problems"]
    }
    assert lines == {
        step: line_of(settings, f'step_id="{step.removeprefix("settings:")}"')
        for step in (*OUTSIDE, "settings:migrate")
    }

    rows = notes.manage("routine", "deploy", "--explain").out.splitlines()
    marked = [row for row in rows if row[:1].isdigit() and "outside the transaction" in row]
    assert [row.split()[0] for row in marked] == ["2", "3", "5.2"]

    plain = notes.explain("plain")
    assert (outside(plain), problem_ids(plain)) == ([], [])
    assert outside(notes.explain("deploy", "--non-atomic")) == []
    assert problem_ids(notes.explain("plain", "--atomic")) == ["W011", "W010"]


def test_with_subprocess_every_step_is_outside(notes: Project) -> None:
    """``--subprocess`` leaves nothing in the transaction, migrate included."""
    notes.settings(WARNED)

    document = notes.explain("deploy", "--subprocess")

    assert sorted(problem_ids(document)) == ["W010"] * 6
    assert [step["id"] for step in document["steps"] if step["outside_transaction"]] == [
        "settings:note",
        "settings:program",
        "settings:limited",
        "settings:migrate",
    ]


def test_check_deploy_warns_of_them_and_a_run_is_not_refused(notes: Project) -> None:
    """They are warnings: what the site does all the same is its own decision."""
    notes.settings("""
        import sys

        routine("deploy", atomic=True)
        command("deploy", "note", "one")
        system("deploy", sys.executable, "-c", "open('outside.txt', 'w').close()")
        command("deploy", "note", "two", "--then", "fail")
    """)

    checked = notes.manage("check", "--deploy")
    assert checked.status == 0
    assert checked.err.count("(django_runbook.W010)") == 1

    done = notes.manage("routine", "deploy")
    assert done.status == 1
    assert noted(notes) == []
    assert (notes.root / "outside.txt").exists()


def test_migrate_within_the_transaction_is_refused_by_sqlite(notes: Project) -> None:
    """As W011 says; the steps before it are undone."""
    notes.app("shop", models=SHOP_MODELS)
    notes.file("shop/migrations/__init__.py", "")
    notes.settings("""
        routine("deploy", atomic=True)
        command("deploy", "note", "one")
        command("deploy", "makemigrations", "shop")
        command("deploy", "migrate")
    """)

    done = notes.manage("routine", "deploy")

    assert done.status == 1
    assert "SQLite schema editor cannot be used" in done.err
    assert "  rolled back: default" in done.err
    assert noted(notes) == []


SHOP_MODELS = """
    from django.db import models

    class Product(models.Model):
        id = models.AutoField(primary_key=True)
"""


def test_the_fingerprint_tells_how_a_plan_is_atomic(notes: Project) -> None:
    """Who has approved a plan has approved its transaction, on these databases and no others."""
    values = [False, True, "other", ["default", "other"], "__all__"]
    notes.settings(
        TWO
        + f"""
    import os

    routine("deploy", atomic={values!r}[int(os.environ["VALUE"])])
    command("deploy", "note", "one")
"""
    )

    prints = []
    for index in range(len(values)):
        environment = {"VALUE": str(index)}
        ran = notes.manage("routine", "deploy", "--explain", "--format", "json", env=environment)
        prints.append(ran.document["fingerprint"])
    assert len(set(prints)) == len(values)
