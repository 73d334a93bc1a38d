"""The process that a routine runs in: what is around the run is afterwards as it was before."""

from __future__ import annotations

import pytest

from .projects import Project

ODD = """
    import io
    import os
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("how", nargs="?")
            parser.add_argument("--thing")

        def handle(self, *args, how=None, thing=None, **options):
            if how == "detach":
                sys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding="utf-8")
                return
            if thing is not None:
                thing.seen.append(thing)
            self.stdout.write("the odd one")
"""

SETUP = """
    import os
    import signal
    import sys
    import threading

    import django

    django.setup()
    from django_runbook import get_plan, run_routine

    def around():
        return (os.fstat(0), os.fstat(1), sys.stdin, sys.stdout, sys.stderr)

    before = around()
"""


def script(project: Project, body: str) -> str:
    """Run Python in the project, which must succeed, and return what it wrote to stdout."""
    import textwrap

    ran = project.python(textwrap.dedent(SETUP) + textwrap.dedent(body))
    assert ran.status == 0, ran.err
    assert ran.err == ""
    return ran.out


@pytest.fixture
def odd(project: Project) -> Project:
    project.command("probe", "odd", ODD)
    return project


def test_a_command_may_take_the_streams_apart(odd: Project) -> None:
    """Who wraps ``sys.stdout`` anew, as older commands do, leaves the later steps their output."""
    odd.settings("""
        command("deploy", "odd", "detach")
        command("deploy", "probe", "after")
    """)

    done = odd.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "probed after v1"


def test_a_caller_may_have_an_output_of_its_own(odd: Project) -> None:
    """An object that can do little more than write is enough, and stays where it was."""
    odd.settings('command("deploy", "odd")')

    out = script(
        odd,
        """
        class Tee:
            def __init__(self, stream):
                self.stream = stream

            def write(self, text):
                self.stream.write(text.upper())

            def flush(self):
                self.stream.flush()

            def fileno(self):
                return self.stream.fileno()

        sys.stdout = tee = Tee(sys.stdout)
        before = around()
        run_routine("deploy", stderr=open(os.devnull, "w"))
        assert around() == before and sys.stdout is tee
        """.replace('stderr=open(os.devnull, "w")', "verbosity=0"),
    )

    assert out == "THE ODD ONE\n"


def test_runs_in_threads_leave_the_process_alone(odd: Project) -> None:
    """Standard input and output are everybody's: no thread changes them for the others."""
    odd.settings("""
        command("deploy", "odd")
        system("deploy", "true")
    """)

    script(
        odd,
        """
        def run():
            for _ in range(3):
                get_plan("deploy")
                run_routine("deploy", verbosity=0, stdout=open(os.devnull, "w"))

        def quietly():
            try:
                run()
            except BaseException as exc:
                wrong.append(exc)

        wrong = []
        import warnings

        warnings.simplefilter("ignore", ResourceWarning)
        threads = [threading.Thread(target=quietly) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == []
        assert around() == before
        """,
    )


def test_a_worker_may_keep_its_signals(odd: Project) -> None:
    """With ``take_signals=False`` a signal is the caller's, and does not stop the routine."""
    odd.settings("""
        system("deploy", "sh", "-c", "kill -TERM $PPID")
        command("deploy", "odd")
    """)

    script(
        odd,
        """
        got = []
        signal.signal(signal.SIGTERM, lambda number, frame: got.append(number))
        result = run_routine("deploy", verbosity=0, take_signals=False)
        assert got == [signal.SIGTERM]
        assert result.status == "succeeded" and result.stopped_by is None
        """,
    )


def test_what_no_hook_has_touched_is_what_was_declared(odd: Project) -> None:
    """Without a hook a command gets the very object; a hook is given a copy to change."""
    odd.settings("""
        class Thing:
            seen = []

            def __eq__(self, other):
                raise ValueError("ambiguous")

            __hash__ = None

        THING = Thing()
        command("deploy", "odd", thing=THING)
        command("hooked", "odd", thing=THING, pre_hook=lambda *_: None)
    """)

    script(
        odd,
        """
        from django.conf import settings

        run_routine("deploy", verbosity=0)
        run_routine("hooked", verbosity=0)
        first, second = settings.THING.seen
        assert first is settings.THING
        assert second is not settings.THING
        """,
    )


def test_what_was_returned_is_kept_whatever_fails_later(odd: Project) -> None:
    """A receiver that breaks at the end loses no result, and ``finalize`` knows the duration."""
    odd.settings("""
        def finalize(routine, results):
            assert results.duration > 0
            print("finalized", list(results))
            raise LookupError("at the very end")

        routine("deploy", finalize=finalize)
        command("deploy", "odd")
        system("deploy", "true")
    """)

    out = script(
        odd,
        """
        result = run_routine("deploy", verbosity=0, check=False)
        assert result.status == "failed"
        assert result[-1].returncode == 0
        assert [step.result is result[index] for index, step in enumerate(result.steps)]
        """,
    )

    assert out.splitlines()[-1].startswith("finalized [None, CompletedProcess(")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('run_routine(get_plan("deploy"), everything=True)', "Give them where it is made"),
        ('run_routine("deploy", no_color=True, force_color=True)', "cannot be used together"),
        ('run_routine("deploy", atomic=[])', "a list of aliases or None, not []"),
        ('run_routine("deploy", subprocess="no")', "must be True, False or None, not 'no'"),
        ('get_plan("deploy", continue_on_error="no")', "must be True, False or None, not 'no'"),
    ],
)
def test_arguments_that_contradict_themselves_are_refused(
    odd: Project, call: str, said: str
) -> None:
    """Nothing runs for a call that cannot mean what it says."""
    odd.settings('command("deploy", "odd")')

    out = script(
        odd,
        f"""
        try:
            {call}
        except (TypeError, ValueError) as exc:
            print(exc)
        """,
    )

    assert said in out
    assert "the odd one" not in out


def test_a_plan_knows_that_every_switch_was_asked_for(odd: Project) -> None:
    """``get_plan(everything=True)`` is ``--all``, and running it tells the hooks so."""
    odd.settings("""
        def initialize(routine, plan, switches, options):
            print(sorted(switches), options["all"])

        routine("deploy", initialize=initialize)
        command("deploy", "odd", switches=["one"])
        command("deploy", "odd", switches=["two"])
    """)

    out = script(odd, 'run_routine(get_plan("deploy", everything=True), verbosity=0)')

    assert out.splitlines()[0] == "['one', 'two'] True"


def test_a_test_is_not_left_for_the_site_s_own_databases(odd: Project) -> None:
    """A subprocess knows nothing of a test's databases, so a routine that needs one is refused."""
    odd.file(
        "probe/tests.py",
        """
        from django.test import TestCase

        from django_runbook import run_routine
        from django_runbook.exceptions import PlanError

        class Tests(TestCase):
            def test_limited(self):
                for name in ("limited", "outer"):
                    with self.assertRaisesMessage(PlanError, "not on those of the test"):
                        run_routine(name, verbosity=0)
                with self.assertRaisesMessage(PlanError, "not on those of the test"):
                    run_routine("plain", verbosity=0, subprocess=True)

            def test_plain(self):
                self.assertEqual(run_routine("plain", verbosity=0).status, "succeeded")
        """,
    )
    odd.settings("""
        command("limited", "odd", time_limit=30)
        command("outer", "routine", "limited")
        command("plain", "odd")
        system("plain", "true")
    """)

    done = odd.manage("test")

    assert done.status == 0, done.err
    assert "Ran 2 tests" in done.err


def test_a_failure_that_was_handled_is_told_with_its_reason(odd: Project) -> None:
    """Where a receiver takes care of a failure, nobody else says what it was."""
    odd.app(
        "listen",
        apps="""
            from django.apps import AppConfig

            def care(**kwargs):
                return True

            class ListenConfig(AppConfig):
                name = "listen"

                def ready(self):
                    from django_runbook.signals import routine_failed

                    routine_failed.connect(care)
        """,
    )
    odd.settings('system("deploy", "sh", "-c", "exit 3")')

    done = odd.manage("routine", "deploy")

    assert done.status == 0
    assert done.progress[0].endswith(", handled: it ended with exit status 3")


def test_without_a_secret_an_exception_stays_what_it_is(odd: Project) -> None:
    """Receivers may ask for its class, also where not all of it can be read."""
    odd.command(
        "probe",
        "opaque",
        """
        from django.core.management.base import BaseCommand

        class Broken:
            def __repr__(self):
                raise RuntimeError("no repr")

        class Command(BaseCommand):
            def handle(self, *args, **options):
                error = LookupError("gone")
                error.broken = Broken()
                raise error
        """,
    )
    odd.settings('command("deploy", "opaque")')

    script(
        odd,
        """
        result = run_routine("deploy", verbosity=0, check=False)
        assert type(result.steps[0].exception) is LookupError
        """,
    )


def test_a_subprocess_s_command_is_looked_at_once_and_quietly(odd: Project) -> None:
    """What its parser refuses is one error; what making the parser prints is not in the plan."""
    odd.command(
        "probe",
        "loud",
        """
        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def add_arguments(self, parser):
                print("made")
                parser.add_argument("--kind")
        """,
    )
    odd.settings('command("deploy", "loud", "--sort", kind="x", time_limit=5)')

    document = odd.explain()

    assert [one["id"] for one in document["problems"]] == ["django_runbook.E013"]
    assert "unrecognized arguments: --sort" in document["problems"][0]["message"]
