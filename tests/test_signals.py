"""The signals around a run, with the arguments of django-routines."""

from __future__ import annotations

import json

import pytest

from .projects import Project

# An app whose receivers write what they are sent, and answer a failure as the setting says.
LISTENER = """
    import json
    from pathlib import Path

    from django.apps import AppConfig
    from django.conf import settings

    class ListenConfig(AppConfig):
        name = "listen"

        def ready(self):
            from django_runbook import signals

            for name in ("started", "failed", "finished"):
                receiver = self.receiver(name)
                getattr(signals, f"routine_{name}").connect(receiver, weak=False)

        def receiver(self, name):
            def receive(signal, sender, routine, **kwargs):
                exception = kwargs.pop("exception", None)
                heard = {
                    "signal": name,
                    "sender": f"{type(sender).__module__}.{type(sender).__name__}",
                    "routine": routine,
                    **{key: repr(value) for key, value in sorted(kwargs.items())},
                }
                if exception is not None:
                    heard["exception"] = f"{type(exception).__name__}: {exception}"
                with Path("heard.txt").open("a") as file:
                    file.write(json.dumps(heard) + "\\n")
                with Path("ran.txt").open("a") as file:
                    file.write(f"{routine} {name}\\n")
                return self.answer(name)

            return receive

        def answer(self, name):
            from django_runbook.exceptions import ExitEarly

            answer = getattr(settings, "ANSWER", {}).get(name)
            if answer == "exit":
                raise ExitEarly("enough")
            if answer == "raise":
                raise ValueError("the receiver is broken")
            if answer == "quit":
                raise SystemExit(0)
            return answer
"""

STEPS = """
    command("deploy", "probe", "one")
    command("deploy", "probe", "two", "--fail")
    command("deploy", "probe", "three")
"""


@pytest.fixture
def listening(project: Project) -> Project:
    """A project whose app ``listen`` hears every signal."""
    project.app("listen", apps=LISTENER)
    return project


def heard(project: Project) -> list[dict[str, str]]:
    """Return what the receivers were sent, in order."""
    return [json.loads(line) for line in (project.root / "heard.txt").read_text().splitlines()]


def test_started_and_finished_surround_the_steps(listening: Project) -> None:
    """A run that ends well is started and finished, sent by the command, with its options."""
    listening.settings("""
        command("deploy", "probe", "one")
        command("deploy", "probe", "two", switches=["more"])
    """)

    done = listening.manage("routine", "deploy", "--more")

    assert done.status == 0, done.err
    assert listening.ran == ["deploy started", "probe one", "probe two", "deploy finished"]
    started, finished = heard(listening)
    command = "django_runbook.management.commands.routine.Command"
    assert [started["signal"], finished["signal"]] == ["started", "finished"]
    assert started["sender"] == finished["sender"] == command
    assert started["routine"] == finished["routine"] == "deploy"
    assert (finished["early_exit"], finished["last_command"]) == ("False", "1")


def test_receivers_are_given_the_options_by_the_names_on_the_command_line(
    listening: Project,
) -> None:
    """Options are the switches and the group's options, under the names users know."""
    listening.settings("""
        command("deploy", "probe", switches=["more"])
        command("deploy", "probe", switches=["less"])
    """)

    listening.manage("routine", "--verbosity", "2", "deploy", "--more")

    started, _ = heard(listening)
    assert started["more"] == "True"
    assert started["less"] == "False"
    assert started["verbosity"] == "2"


def test_a_failure_is_sent_with_its_index_and_exception(listening: Project) -> None:
    """``failed_command`` counts from 0; without an answer the run ends with 1, unfinished."""
    listening.settings(STEPS)

    done = listening.manage("routine", "deploy")

    assert done.status == 1
    assert listening.ran == ["deploy started", "probe one", "probe two", "deploy failed"]
    _, failed = heard(listening)
    assert failed["failed_command"] == "1"
    assert failed["exception"] == "CommandError: the probe was told to fail"
    assert failed["routine"] == "deploy"
    assert "Step 2 of 3" in done.err


@pytest.mark.parametrize("answer", ["True", "'handled'", "1"])
def test_a_true_answer_handles_the_failure(listening: Project, answer: str) -> None:
    """The routine goes on behind the failed step, finishes, and ends with 0."""
    listening.settings(STEPS + f'    ANSWER = {{"failed": {answer}}}')

    done = listening.manage("routine", "deploy")

    assert done.status == 0, done.err
    assert listening.ran == [
        "deploy started",
        "probe one",
        "probe two",
        "deploy failed",
        "probe three",
        "deploy finished",
    ]
    finished = heard(listening)[-1]
    assert (finished["early_exit"], finished["last_command"]) == ("False", "2")


@pytest.mark.parametrize("answer", ["False", "None", "0", "''"])
def test_a_false_answer_leaves_it_a_failure(listening: Project, answer: str) -> None:
    """Only something true handles a failure."""
    listening.settings(STEPS + f'    ANSWER = {{"failed": {answer}}}')

    assert listening.manage("routine", "deploy").status == 1
    assert "probe three" not in listening.ran


def test_exit_early_from_failed_ends_without_failure(listening: Project) -> None:
    """A receiver that raises ``ExitEarly`` ends the routine there, with status 0."""
    listening.settings(STEPS + '    ANSWER = {"failed": "exit"}')

    done = listening.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert listening.ran == [
        "deploy started",
        "probe one",
        "probe two",
        "deploy failed",
        "deploy finished",
    ]
    finished = heard(listening)[-1]
    assert (finished["early_exit"], finished["last_command"]) == ("True", "1")


def test_exit_early_from_started_ends_before_the_first_step(listening: Project) -> None:
    """A receiver of ``routine_started`` may end the routine before it begins."""
    listening.settings(STEPS + '    ANSWER = {"started": "exit"}')

    done = listening.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert listening.ran == ["deploy started", "deploy finished"]
    finished = heard(listening)[-1]
    assert (finished["early_exit"], finished["last_command"]) == ("True", "None")


@pytest.mark.parametrize("signal", ["started", "failed", "finished"])
def test_a_receiver_that_breaks_is_a_failure(listening: Project, signal: str) -> None:
    """A broken receiver ends the run with 1; no step runs behind it."""
    listening.settings(STEPS.replace(', "--fail"', "") if signal == "finished" else STEPS)
    with (listening.root / "config/settings.py").open("a") as file:
        file.write(f'\nANSWER = {{"{signal}": "raise"}}\n')

    done = listening.manage("routine", "deploy")

    assert done.status == 1
    assert "the receiver is broken" in done.err
    assert signal != "failed" or "the probe was told to fail" in done.err
    ran = [line for line in listening.ran if line.startswith("probe")]
    assert (
        ran
        == {
            "started": [],
            "failed": ["probe one", "probe two"],
            "finished": ["probe one", "probe two", "probe three"],
        }[signal]
    )


@pytest.mark.parametrize("signal", ["started", "failed", "finished"])
def test_a_receiver_that_ends_the_process_is_a_failure(listening: Project, signal: str) -> None:
    """``sys.exit(0)`` in a receiver does not make a success of a routine that was cut off."""
    listening.settings(STEPS.replace(', "--fail"', "") if signal == "finished" else STEPS)
    with (listening.root / "config/settings.py").open("a") as file:
        file.write(f'\nANSWER = {{"{signal}": "quit"}}\n')

    done = listening.manage("routine", "deploy")

    assert done.status == 1
    assert f"a receiver of routine_{signal} ended the process with status 0" in done.err
    assert signal != "failed" or "the probe was told to fail" in done.err
    assert done.progress[-1].startswith("Routine 'deploy' failed after ")


def test_each_failure_is_sent_where_the_routine_goes_on(listening: Project) -> None:
    """With ``--continue`` too, of whatever kind it is; in the end nothing has finished."""
    listening.command(
        "probe",
        "calls",
        """
        import subprocess
        import sys

        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("how")

            def handle(self, *args, **options):
                if options["how"] == "exit":
                    sys.exit(3)
                subprocess.run(["sh", "-c", "exit 4"], check=True)
        """,
    )
    listening.file("hooks.py", "def broken(*args):\n    raise KeyError('gone')\n")
    listening.settings("""
        command("deploy", "calls", "exit")
        command("deploy", "calls", "process")
        command("deploy", "probe", pre_hook="hooks.broken")
        system("deploy", "sh", "-c", "exit 5")
        system("deploy", "sh", "-c", "kill -KILL $$")
        command("deploy", "probe", "last")
    """)

    done = listening.manage("routine", "deploy", "--continue")

    assert done.status == 1
    started, *failed = heard(listening)
    assert [one["signal"] for one in failed] == ["failed"] * 5
    assert [one["failed_command"] for one in failed] == ["0", "1", "2", "3", "4"]
    said = "Command '['sh', '-c', 'exit 4']' returned non-zero exit status 4."
    assert [one["exception"] for one in failed] == [
        "CommandFailed: it ended the process with status 3",
        f"CalledProcessError: {said}",
        "CommandFailed: its pre_hook hooks.broken raised KeyError: 'gone'",
        "CommandFailed: it ended with exit status 5",
        "CommandFailed: it was killed by SIGKILL",
    ]
    for one in (started, *failed):
        assert (one["continue_on_error"], one["subprocess"], one["atomic"]) == (
            "True",
            "False",
            "False",
        )
    assert listening.ran[-2:] == ["deploy failed", "probe last"]


def test_a_skipped_step_is_not_the_last_one(listening: Project) -> None:
    """``last_command`` is the index of the last step that was run; early, the one that ended it."""
    listening.file("hooks.py", "def true(*args):\n    return True\n")
    listening.settings("""
        command("deploy", "probe", "one")
        command("deploy", "probe", "two", pre_hook="hooks.true")
        command("early", "probe", "one")
        command("early", "probe", "two", post_hook="hooks.true")
        command("early", "probe", "three")
        command("nothing", "probe", "one", pre_hook="hooks.true")
    """)

    for name, expected in {
        "deploy": ("False", "0"),
        "early": ("True", "1"),
        "nothing": ("False", "None"),
    }.items():
        assert listening.manage("routine", name).status == 0
        finished = heard(listening)[-1]
        assert (finished["early_exit"], finished["last_command"]) == expected


def test_no_signal_is_sent_where_nothing_runs(listening: Project) -> None:
    """Explaining and refusing a plan start no routine."""
    listening.settings("""
        command("deploy", "probe")
        command("wrong", "prob")
    """)

    assert listening.manage("routine", "deploy", "--explain").status == 0
    assert listening.manage("routine", "deploy", "list").status == 0
    assert listening.manage("routine", "wrong").status == 1
    assert listening.ran == []


def test_a_nested_routine_sends_its_own_signals(listening: Project) -> None:
    """Each routine is started, fails and finishes under its own name."""
    listening.settings("""
        command("deploy", "routine", "inner")
        command("deploy", "probe", "outer")
        command("inner", "probe", "inner")
    """)

    assert listening.manage("routine", "deploy").status == 0
    assert listening.ran == [
        "deploy started",
        "inner started",
        "probe inner",
        "inner finished",
        "probe outer",
        "deploy finished",
    ]


def test_the_signals_of_a_nested_routine_carry_its_own_options(listening: Project) -> None:
    """Its switches, its verbosity and its ``--all``, and none of the routine around it."""
    listening.settings("""
        command("deploy", "routine", "inner", "--docs", "--verbosity", "3")
        command("deploy", "routine", "inner", all=True)
        command("deploy", "probe", "outer", switches=["more", "docs"])
        command("inner", "probe", "docs", switches=["docs"])
        command("inner", "probe", "late", switches=["late"])
    """)

    names = ("signal", "routine", "docs", "late", "more", "all", "verbosity")

    def sent(*args: str) -> list[list[str | None]]:
        (listening.root / "heard.txt").unlink(missing_ok=True)
        done = listening.manage("routine", *args)
        assert done.status == 0, done.err
        started = [one for one in heard(listening) if one["signal"] == "started"]
        finished = [one for one in heard(listening) if one["signal"] == "finished"]
        assert sorted([one.get(name) for name in names[1:]] for one in started) == sorted(
            [one.get(name) for name in names[1:]] for one in finished
        )
        return [[one.get(name) for name in names[1:]] for one in started]

    assert sent("--verbosity", "2", "deploy", "--more") == [
        ["deploy", "False", None, "True", "False", "2"],
        ["inner", "True", "False", None, "False", "3"],
        ["inner", "True", "True", None, "True", "2"],
    ]
    assert sent("deploy", "--all")[:2] == [
        ["deploy", "True", None, "True", "True", "1"],
        ["inner", "True", "False", None, "False", "3"],
    ]


def test_a_nested_failure_is_sent_for_both_routines(listening: Project) -> None:
    """The inner routine's failure is, unhandled, the outer one's, too."""
    listening.settings("""
        command("deploy", "probe", "outer")
        command("deploy", "routine", "inner")
        command("inner", "probe", "--fail")
    """)

    assert listening.manage("routine", "deploy").status == 1
    assert listening.ran[-2:] == ["inner failed", "deploy failed"]
    inner, outer = heard(listening)[-2:]
    assert (inner["routine"], inner["failed_command"]) == ("inner", "0")
    assert (outer["routine"], outer["failed_command"]) == ("deploy", "1")
