"""``run_routine`` and what it returns: an object for the run, and one for each of its steps."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from .projects import Project

pytestmark = pytest.mark.ours


# A command that returns its words, and ends in every way that a command can.
END = """
    import asyncio
    import subprocess
    import sys

    from django.core.management.base import BaseCommand, CommandError

    async def cancelled():
        asyncio.current_task().cancel()
        await asyncio.sleep(0)

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("words", nargs="*")
            parser.add_argument("--how", default="")

        def handle(self, *args, **options):
            how = options["how"]
            if how == "error":
                raise CommandError("it went wrong", returncode=5)
            if how == "value":
                raise ValueError("no such value")
            if how.startswith("exit"):
                sys.exit(int(how.removeprefix("exit")))
            if how == "message":
                sys.exit("it says goodbye")
            if how == "called":
                subprocess.run(["sh", "-c", "exit 4"], check=True)
            if how == "captured":
                subprocess.run(
                    ["sh", "-c", "echo why >&2; exit 4"], check=True, capture_output=True
                )
            if how == "captured text":
                subprocess.run(
                    ["sh", "-c", "echo why >&2; exit 4"], check=True, capture_output=True, text=True
                )
            if how == "cancelled":
                asyncio.run(cancelled())
            if how == "interrupt":
                raise KeyboardInterrupt
            return " ".join(options["words"])
"""

SCRIPT = """
    import io
    import json
    import sys

    import django

    django.setup()

    from django_runbook import get_plan, run_routine

    sys.excepthook = sys.__excepthook__  # django-typer's hides the line that failed
    out, err = io.StringIO(), io.StringIO()

"""


@pytest.fixture
def ending(project: Project) -> Project:
    """A project with a command ``end`` that ends as it is told."""
    project.command("probe", "end", END)
    return project


def script(project: Project, text: str) -> Any:
    """Run Python in the project, behind :data:`SCRIPT`; return the JSON document that it prints.

    Its assertions are the test's, too.
    """
    lines = text.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    body = "\n".join(f"    {line[indent:]}" if line.strip() else "" for line in lines)
    done = project.python(SCRIPT + body + "\n")
    assert done.status == 0, done.err
    assert done.err == ""
    return done.document if done.out else None


SWITCHED = """
    command("deploy", "probe", "always")
    command("deploy", "probe", "more", switches=["more"])
    command("deploy", "probe", "demo", switches=["demo-data"])
"""


def test_switches_in_every_form(project: Project) -> None:
    """A list, a set, a dictionary of booleans, a lone name; ``everything`` is all of them."""
    project.settings(SWITCHED)

    said = script(
        project,
        """
        def ran(*args, **given):
            result = run_routine(*args, stdout=out, stderr=err, **given)
            assert result.plan.active == get_plan("deploy", result.plan.active).active
            return [step.step.declaration.argv[-1] for step in result.steps]

        print(json.dumps([
            ran("deploy"),
            ran("deploy", ["more"]),
            ran("deploy", ("--demo-data", "more")),
            ran("deploy", switches={"demo_data"}),
            ran("deploy", switches={"more": True, "demo-data": False}),
            ran("deploy", switches=frozenset()),
            ran("deploy", "more"),
            ran("deploy", "--more"),
            ran("deploy", everything=True),
            ran("deploy", iter(["more"])),
        ]))
        """,
    )

    assert said == [
        ["always"],
        ["always", "more"],
        ["always", "more", "demo"],
        ["always", "demo"],
        ["always", "more"],
        ["always"],
        ["always", "more"],
        ["always", "more"],
        ["always", "more", "demo"],
        ["always", "more"],
    ]
    assert len(project.ran) == sum(map(len, said))


def test_what_cannot_be_run_is_refused(project: Project) -> None:
    """An unknown routine or switch, a plan with errors, a plan with more said beside it."""
    project.settings(SWITCHED + '    command("wrong", "prob")\n')

    script(
        project,
        """
        from django_runbook.exceptions import (
            PlanError, RunbookError, UnknownRoutine, UnknownSwitch
        )

        def refused(error, *args, **given):
            for check in (True, False):
                try:
                    run_routine(*args, check=check, stdout=out, stderr=err, **given)
                except error as exc:
                    caught = exc
                else:
                    raise AssertionError("it was not refused")
            return caught

        exc = refused(UnknownRoutine, "deplo")
        assert str(exc) == "There is no routine 'deplo'. Did you mean 'deploy'?", exc
        assert isinstance(exc, (RunbookError, KeyError)) and exc.exit_status == 2
        exc = refused(UnknownSwitch, "deploy", ["mor"])
        assert "has no switch --mor. Did you mean '--more'?" in str(exc), exc
        assert exc.exit_status == 2
        refused(UnknownSwitch, "deploy", {"mor": True})
        exc = refused(PlanError, "wrong")
        (problem,) = exc.problems
        assert problem.id == "django_runbook.E012", problem
        assert problem.origin.file == "config/settings.py"
        refused(PlanError, get_plan("wrong"))
        refused(TypeError, get_plan("deploy"), ["more"])
        refused(TypeError, get_plan("deploy"), atomic=False)
        assert out.getvalue() == err.getvalue() == ""
        """,
    )

    assert project.ran == []


def test_the_result_of_a_run_that_ends_well(ending: Project) -> None:
    """Each step has its status, result, return code, start, duration and command line."""
    ending.settings("""
        import sys

        command("deploy", "end", "one")
        system("deploy", sys.executable, "-c", "print('outside')", step_id="program")
        command("deploy", "end", "apart", time_limit=60, step_id="apart")
        command("deploy", "routine", "inner", step_id="nested")
        command("deploy", "probe", "nothing", step_id="nothing")
        command("inner", "end", "deep")
    """)

    script(
        ending,
        """
        import subprocess
        from datetime import UTC, datetime

        from django_runbook.results import RunResult, StepResult

        began = datetime.now(UTC)
        result = run_routine("deploy", stdout=out, stderr=err)
        ended = datetime.now(UTC)

        assert type(result) is RunResult
        assert (result.routine, result.status, result.early_exit) == ("deploy", "succeeded", False)
        assert (result.stopped_by, result.error, result.rolled_back) == (None, None, ())
        assert result.failures == result.not_run == []
        assert began <= result.started <= ended
        assert result.plan == get_plan("deploy")
        assert [step.step for step in result.steps] == list(result.plan.steps)
        assert sum(step.duration for step in result.steps) <= result.duration
        assert result.duration <= (ended - began).total_seconds() + 1
        last = result.started
        for step in result.steps:
            assert type(step) is StepResult
            assert (step.status, step.returncode, step.failed) == ("succeeded", 0, False)
            assert (step.exception, step.handled, step.stderr) == (None, False, ())
            assert step.skipped_by == ""
            assert step.started.utcoffset() is not None
            assert last <= step.started <= ended
            assert step.duration >= 0
            last = step.started
        one, program, apart, nested, nothing = result.steps
        assert [step.id for step in result.steps] == [step.id for step in result.plan.steps]
        assert (one.id, one.command_line, one.result) == ("settings:end", "end one", "one")
        assert isinstance(program.result, subprocess.CompletedProcess)
        assert (program.result.args, program.result.returncode) == (
            [sys.executable, "-c", "print('outside')"], 0
        )
        assert isinstance(apart.result, subprocess.CompletedProcess)
        assert {"end", "apart"} < set(apart.result.args)
        assert apart.result.returncode == 0
        assert isinstance(nested.result, RunResult)
        assert (nested.result.routine, list(nested.result)) == ("inner", ["deep"])
        assert nested.command_line == "routine inner"
        assert nothing.result is None

        results = [step.result for step in result.steps]
        assert list(result) == results and len(result) == 5
        assert (result[0], result[-1], result[1:3]) == ("one", None, results[1:3])
        assert "one" in result and result.index("one") == 0 and result.count(None) == 1
        assert list(reversed(result)) == results[::-1]
        assert repr(one) == "<StepResult settings:end: succeeded>"
        assert repr(result).startswith("<RunResult deploy: succeeded (settings:end: succeeded, ")
        try:
            result[9]
        except IndexError:
            pass
        else:
            raise AssertionError("there is no tenth")

        empty = run_routine("inner", stdout=out, stderr=err)
        assert empty is not result and empty
        """,
    )


def test_the_results_of_steps_that_failed(ending: Project) -> None:
    """Each failure has its exception, the exit status that it stands for, and what it said."""
    ending.settings("""
        import sys

        HOWS = ("error", "value", "exit3", "message", "called", "captured", "captured text",
                "interrupt", "exit0")
        routine("deploy", "", continue_on_error=True)
        for how in HOWS:
            command("deploy", "end", how, how=how, step_id=how.replace(" ", "-"))
        system("deploy", "sh", "-c", "echo out; echo why >&2; exit 7", step_id="program")
        system("deploy", "sh", "-c", "kill -KILL $$", step_id="killed")
        system("deploy", "sh", "-c", "kill -TERM $$", step_id="terminated")
        command("deploy", "end", how="exit9", time_limit=60, step_id="apart")
        system("deploy", "sleep", "600", time_limit=0.3, step_id="slow")
        system("deploy", "./nothing-here", step_id="missing")
        command("deploy", "routine", "inner", step_id="nested")
        command("inner", "end", "fine", step_id="fine")
        command("inner", "end", how="value", step_id="bad")
        command("inner", "end", "never", step_id="never")
        DJANGO_RUNBOOK = {"GRACE_PERIOD": 0.3}
    """)

    script(
        ending,
        """
        import subprocess

        from django.core.management.base import CommandError

        from django_runbook.exceptions import CommandFailed

        result = run_routine("deploy", check=False, stdout=out, stderr=err)

        assert result.status == "failed"
        steps = {step.id.partition(":")[2]: step for step in result.steps}
        statuses = {name: step.status for name, step in steps.items()}
        assert statuses.pop("exit0") == "succeeded"
        assert set(statuses.values()) == {"failed"}, statuses
        assert [step.id for step in result.failures] == [f"settings:{name}" for name in statuses]
        codes = {name: step.returncode for name, step in steps.items()}
        assert codes == {
            "error": 5,
            "value": 1,
            "exit3": 3,
            "message": 1,
            "called": 4,
            "captured": 4,
            "captured-text": 4,
            "interrupt": 1,
            "exit0": 0,
            "program": 7,
            "killed": -9,
            "terminated": -15,
            "apart": 9,
            "slow": -15,
            "missing": 1,
            "nested": 1,
        }, codes
        kinds = {
            "error": CommandError,
            "value": ValueError,
            "called": subprocess.CalledProcessError,
            "captured": subprocess.CalledProcessError,
            "captured-text": subprocess.CalledProcessError,
        }
        for name in statuses:
            step = steps[name]
            assert type(step.exception) is kinds.get(name, CommandFailed), step.exception
            assert step.failed and not step.handled
            assert step.started is not None and step.duration > 0
            assert all(isinstance(line, str) for line in step.stderr), step.stderr
        said = {name: str(step.exception) for name, step in steps.items()}
        assert said["error"] == "it went wrong"
        assert "status 3" in said["exit3"]
        assert said["message"] == "it ended the process with it says goodbye"
        assert "SIGKILL" in said["killed"] and "SIGTERM" in said["terminated"]
        assert "time limit of 0.3 s" in said["slow"]
        assert steps["program"].stderr == ("why",)
        assert steps["apart"].result.returncode == 9
        assert steps["program"].result.returncode == 7
        assert steps["killed"].result.returncode == -9

        inner = steps["nested"].result
        assert [step.status for step in inner.steps] == ["succeeded", "failed", "not_run"]
        assert isinstance(inner.steps[1].exception, ValueError)
        assert inner.steps[1].returncode == 1
        """,
    )


def test_a_failure_of_a_commands_own_subprocess_names_the_step(ending: Project) -> None:
    """``subprocess.run(check=True)`` in a command is the most ordinary of failures."""
    ending.settings("""
        command("deploy", "end", "one", how="called", step_id="called")
        command("deploy", "end", "two")
    """)

    done = ending.manage("routine", "deploy")

    said = "Command '['sh', '-c', 'exit 4']' returned non-zero exit status 4."
    assert done.status == 1
    assert done.err.splitlines() == [
        "CommandError: Step 1 of 2 of routine 'deploy' failed: settings:called",
        "  declared by: settings (config/settings.py:12)",
        "  command: end one",
        f"  failure: CalledProcessError: {said}",
        "  not run: settings:end",
    ]


def test_a_cancelled_task_is_a_failure_like_any_other(ending: Project) -> None:
    """What a command raises need not be an ``Exception``: ``asyncio.CancelledError`` is none."""
    ending.settings("""
        command("deploy", "end", "one", how="cancelled", step_id="cancelled")
        command("deploy", "probe", "two")
    """)

    done = ending.manage("routine", "deploy", "--continue")

    assert done.status == 1
    assert "Step 1 of 2 of routine 'deploy' failed: settings:cancelled" in done.err
    assert "failure: CancelledError" in done.err
    assert ending.ran == ["probe two"]
    assert done.progress[-1].endswith(": 1 run, 0 skipped, 1 failed, 0 not run.")


def test_the_results_of_steps_that_were_not_run(ending: Project) -> None:
    """Skipped and unrun steps have no return code, no start and no result."""
    ending.file(
        "hooks.py",
        """
        def skip(*args):
            return True

        def remove(routine, plan, switches, options):
            plan.pop()
        """,
    )
    ending.settings("""
        routine("deploy", "", initialize="hooks.remove")
        command("deploy", "end", "skipped", pre_hook="hooks.skip", step_id="skipped")
        command("deploy", "end", "fails", how="value", step_id="fails")
        command("deploy", "end", "unrun", step_id="unrun")
        command("deploy", "end", "removed", step_id="removed")
        command("deploy", "end", "off", switches=["off"])
    """)

    script(
        ending,
        """
        result = run_routine("deploy", check=False, stdout=out, stderr=err)

        skipped, fails, unrun, removed = result.steps
        assert [step.status for step in result.steps] == ["skipped", "failed", "not_run", "skipped"]
        assert (skipped.skipped_by, removed.skipped_by) == ("pre_hook", "initialize")
        assert (fails.skipped_by, unrun.skipped_by) == ("", "")
        for step in (skipped, unrun, removed):
            assert (step.returncode, step.result, step.exception) == (None, None, None)
            assert step.command_line == f"end {step.id.partition(':')[2]}"
            assert not step.failed
        started = [step.started for step in result.steps if step is not fails]
        assert started == [None, None, None], started
        assert unrun.duration == removed.duration == 0.0
        assert result.not_run == [unrun]
        assert result.of_status("skipped") == [skipped, removed]
        assert result.of_status("skipped", "not_run") == [skipped, unrun, removed]
        assert result.failures == [fails]
        """,
    )


def test_check_raises_what_the_result_tells(ending: Project) -> None:
    """A failure raises ``StepFailed`` with the result in it and its cause behind it."""
    ending.file("hooks.py", "def broken(*args):\n    raise KeyError('gone')\n")
    ending.settings("""
        command("deploy", "end", "one")
        command("deploy", "end", "two", how="value")
        command("deploy", "end", "three")
        routine("broken", "", finalize="hooks.broken")
        command("broken", "end", "one")
    """)

    script(
        ending,
        """
        from django_runbook.exceptions import RunbookError, RunFailed, StepFailed

        def raised(name, **given):
            try:
                run_routine(name, stdout=out, stderr=err, **given)
            except StepFailed as exc:
                return exc
            raise AssertionError("nothing was raised")

        exc = raised("deploy")
        assert isinstance(exc, RunFailed) and isinstance(exc, RunbookError)
        assert exc.exit_status == 1
        assert str(exc).startswith("Step 2 of 3 of routine 'deploy' failed: settings:end-2\\n")
        assert exc.result.status == "failed"
        assert [step.status for step in exc.result.steps] == ["succeeded", "failed", "not_run"]
        assert isinstance(exc.__cause__, ValueError)
        assert exc.__cause__ is exc.result.steps[1].exception

        result = run_routine("deploy", check=False, stdout=out, stderr=err)
        assert [step.status for step in result.steps] == ["succeeded", "failed", "not_run"]
        assert result.failures[0].exception.args == ("no such value",)

        exc = raised("deploy", continue_on_error=True)
        assert [step.status for step in exc.result.steps] == ["succeeded", "failed", "succeeded"]

        exc = raised("broken")
        assert exc.result.failures == [] and exc.result.error is not None
        assert exc.result.status == "failed"
        assert exc.__cause__ is exc.result.error
        """,
    )


def test_a_handled_failure_is_in_the_result(ending: Project) -> None:
    """What a receiver of ``routine_failed`` has taken care of is told, and is no failure."""
    ending.settings("""
        command("deploy", "end", "one", how="value")
        command("deploy", "end", "two")
    """)

    script(
        ending,
        """
        from django_runbook.signals import routine_failed, routine_finished, routine_started

        senders = []

        def handle(sender, **kwargs):
            senders.append(sender)
            return True

        for signal in (routine_started, routine_failed, routine_finished):
            signal.connect(handle)
        result = run_routine("deploy", stdout=out, stderr=err)
        assert senders == [run_routine] * 3
        run_routine("deploy", stdout=out, stderr=err, sender="mine")
        assert senders[3:] == ["mine"] * 3

        one, two = result.steps
        assert (result.status, result.failures) == ("succeeded", [])
        assert (one.status, one.handled, one.failed) == ("failed", True, False)
        assert isinstance(one.exception, ValueError) and one.returncode == 1
        assert two.status == "succeeded"
        """,
    )


def test_a_plan_is_run_as_it_is(project: Project) -> None:
    """What was explained is what runs, with its switches and controls, whatever is declared now."""
    project.settings(SWITCHED)

    script(
        project,
        """
        from django.test import override_settings

        plan = get_plan("deploy", ["more"], continue_on_error=True)
        with override_settings(DJANGO_ROUTINES={"deploy": {"commands": [{"management": "check"}]}}):
            assert [step.id for step in run_routine("deploy", stdout=out, stderr=err).steps] == [
                "settings:check"
            ]
            result = run_routine(plan, stdout=out, stderr=err)
            again = run_routine(plan, stdout=out, stderr=err)
        assert result.plan is plan and again.plan is plan
        assert [step.step for step in result.steps] == list(plan.steps)
        assert result.steps[0] is not again.steps[0]
        """,
    )

    assert project.ran == ["probe always", "probe more"] * 2


def test_controls_are_given_by_name(ending: Project) -> None:
    """``subprocess``, ``atomic`` and ``continue_on_error`` count for more than what is stated."""
    ending.settings("""
        routine("deploy", "", continue_on_error=True, subprocess=True)
        command("deploy", "end", "one", how="value")
        command("deploy", "end", "two")
    """)

    script(
        ending,
        """
        import subprocess

        def ran(**given):
            result = run_routine("deploy", check=False, stdout=out, stderr=err, **given)
            return [[one.status for one in result.steps], type(result.steps[-1].result).__name__]

        assert ran() == [["failed", "succeeded"], "CompletedProcess"]
        assert ran(subprocess=False) == [["failed", "succeeded"], "str"]
        assert ran(continue_on_error=False, subprocess=False) == [
            ["failed", "not_run"], "NoneType"
        ]
        result = run_routine(
            "deploy", subprocess=False, continue_on_error=False, atomic="default", check=False,
            stdout=out, stderr=err,
        )
        assert result.rolled_back == ("default",)
        """,
    )


def test_output_goes_where_it_is_told(ending: Project) -> None:
    """Into a ``StringIO`` or a command's own output: echo, commands, programs and progress."""
    ending.command(
        "probe",
        "dots",
        """
        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def handle(self, *args, **options):
                for word in ("a", "b", "c"):
                    self.stdout.write(word, ending="")
                self.stdout.write("")
                self.stderr.write("from dots")
        """,
    )
    ending.settings("""
        import sys

        command("deploy", "dots")
        code = "import sys; print('outside'); print('aside', file=sys.stderr)"
        system("deploy", sys.executable, "-c", code, step_id="program")
        command("deploy", "end", "last")
    """)

    said = script(
        ending,
        """
        from django.core.management import call_command
        from django.core.management.base import OutputWrapper

        found = []

        def streams(run):
            out, err = io.StringIO(), io.StringIO()
            run(out, err)
            found.append([out.getvalue(), err.getvalue()])

        streams(lambda out, err: run_routine("deploy", stdout=out, stderr=err))
        streams(
            lambda out, err: run_routine(
                "deploy", stdout=OutputWrapper(out), stderr=OutputWrapper(err)
            )
        )
        streams(lambda out, err: call_command("routine", "deploy", stdout=out, stderr=err))
        streams(
            lambda out, err: call_command(
                "routine", "deploy", stdout=OutputWrapper(out), stderr=OutputWrapper(err)
            )
        )
        print(json.dumps(found))
        """,
    )

    plain = said[0]
    lines = plain[0].splitlines()
    assert lines[:2] == ["dots", "abc"]
    assert lines[2].startswith(sys.executable)
    assert lines[3:] == ["outside", "end last", "last"]
    aside = [line for line in plain[1].splitlines() if not line.startswith(("[", "Routine"))]
    assert aside == ["from dots", "aside"]
    for other in said[1:]:
        assert other[0] == plain[0]
        assert [line for line in other[1].splitlines() if line[0] not in "[R"] == aside


def test_verbosity_0_is_silent(ending: Project) -> None:
    """Nothing but what the commands say, also of a failure that only the result tells."""
    ending.settings("""
        import sys

        routine("deploy", "", continue_on_error=True)
        command("deploy", "probe", "one")
        command("deploy", "end", how="value")
        system("deploy", sys.executable, "-c", "pass")
        command("deploy", "routine", "inner")
        command("inner", "end", how="exit3")
    """)

    script(
        ending,
        """
        result = run_routine("deploy", verbosity=0, check=False, stdout=out, stderr=err)
        assert result.status == "failed" and len(result.failures) == 2
        assert out.getvalue() == "probed one v0\\n", out.getvalue()
        assert err.getvalue() == "", err.getvalue()
        """,
    )


def test_the_command_returns_by_what_the_function_does(ending: Project) -> None:
    """``call_command`` raises what the command line shows, with the failure and result behind."""
    ending.settings("""
        command("deploy", "end", "one")
        command("deploy", "end", "two", how="exit3", switches=["more"])
    """)

    script(
        ending,
        """
        from django.core.management import CommandError, call_command

        from django_runbook.exceptions import StepFailed

        call_command("routine", "deploy", stdout=out, stderr=err)
        try:
            call_command("routine", "deploy", "--more", stdout=out, stderr=err)
        except CommandError as exc:
            assert exc.returncode == 1
            assert isinstance(exc.__cause__, StepFailed)
            assert str(exc) == str(exc.__cause__)
            result = exc.__cause__.result
            assert [step.returncode for step in result.steps] == [0, 3]
        else:
            raise AssertionError("it did not fail")
        """,
    )


def test_a_routine_runs_in_a_thread(ending: Project) -> None:
    """Without signal handlers, which only the main thread may have, and otherwise the same."""
    ending.settings("""
        import sys

        command("deploy", "end", "one")
        system("deploy", sys.executable, "-c", "print('outside')")
        command("deploy", "routine", "inner")
        command("inner", "end", how="value")
    """)

    script(
        ending,
        """
        import signal
        import threading

        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        results = []

        def run():
            results.append(run_routine("deploy", check=False, stdout=out, stderr=err))

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(results) == 3
        for result in results:
            assert [step.status for step in result.steps] == ["succeeded", "succeeded", "failed"]
        assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert not sys.stdout.closed and not sys.stderr.closed
        """,
    )


def test_a_step_may_itself_run_a_routine(ending: Project) -> None:
    """A command that calls ``routine``, or the function: its failure is the step's."""
    ending.command(
        "probe",
        "calls",
        """
        import signal

        from django.core.management import call_command
        from django.core.management.base import BaseCommand

        from django_runbook import run_routine

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("routine")
                parser.add_argument("--how", default="command")

            def handle(self, *args, **options):
                before = signal.getsignal(signal.SIGTERM)
                try:
                    if options["how"] == "command":
                        call_command("routine", options["routine"], stdout=self.stdout)
                    else:
                        result = run_routine(options["routine"], stdout=self.stdout)
                        return ",".join(result)
                finally:
                    assert signal.getsignal(signal.SIGTERM) == before
        """,
    )
    ending.settings("""
        command("deploy", "calls", "inner")
        command("deploy", "calls", "inner", how="function", step_id="function")
        command("deploy", "calls", "wrong", switches=["wrong"], how="command", step_id="wrong")
        command("deploy", "calls", "wrong", switches=["called"], how="function", step_id="called")
        command("deploy", "end", "last", step_id="last")
        command("inner", "end", "inner")
        command("wrong", "end", how="value", step_id="bad")
    """)

    done = ending.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        *("calls inner", "end inner", "inner"),
        *("calls inner", "end inner", "inner", "inner"),
        *("end last", "last"),
    ]
    script(
        ending,
        """
        for switch in ("wrong", "called"):
            result = run_routine("deploy", switch, check=False, stdout=out, stderr=err)
            assert [step.status for step in result.steps] == [
                "succeeded", "succeeded", "failed", "not_run"
            ]
            assert "routine 'wrong' failed: settings:bad" in str(result.failures[0].exception)
            assert result.steps[1].result == "inner"
        """,
    )


def test_importing_the_package_loads_nothing_that_runs(project: Project) -> None:
    """``run_routine`` is there by its name, and loads what it needs when it is first asked for."""
    project.settings('command("deploy", "probe", "one")')

    done = project.python("""
        import sys

        import django_runbook

        def loaded():
            heavy = ("django_runbook.runner", "django_runbook.registry", "rich", "typer", "pluggy")
            return [name for name in (*heavy, "django.core") if name in sys.modules]

        assert loaded() == [], loaded()
        from django_runbook import *

        assert loaded() == [], loaded()
        assert "run_routine" not in globals()
        assert "run_routine" in dir(django_runbook)
        run_routine = django_runbook.run_routine
        assert "django_runbook.runner" in loaded()
        from django_runbook import run_routine as again
        from django_runbook.runner import run_routine as same

        assert run_routine is again is same

        import django

        django.setup()
        assert run_routine("deploy").status == "succeeded"
        try:
            django_runbook.run_routin
        except AttributeError as exc:
            assert "run_routin" in str(exc)
        else:
            raise AssertionError("there is no such name")
    """)

    assert done.status == 0, done.err
    assert project.ran == ["probe one"]


def test_a_misspelt_switch_is_refused_on_or_off(project: Project) -> None:
    """A dictionary that turns off a switch that there is not was meant to turn off another."""
    project.settings(SWITCHED)

    script(
        project,
        """
        from django_runbook.exceptions import UnknownSwitch

        for wrong in ({"demo_dat": False}, {"demo_dat": True}, ["demo_dat"], "demo_dat"):
            try:
                run_routine("deploy", wrong, stdout=out, stderr=err)
            except UnknownSwitch as exc:
                assert "--demo-data" in str(exc)
            else:
                raise AssertionError(wrong)
        """,
    )

    assert project.ran == []
