"""Callbacks and hooks: what they are given, what they may do, what their mistakes lead to."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from .projects import Project, hook, line_of

pytestmark = pytest.mark.ours


# A command that returns its words, and with a tag what it was given.
TELL = """
    from pathlib import Path

    from django.core.management.base import BaseCommand, CommandError

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("words", nargs="*")
            parser.add_argument("--tags", action="append", default=[])
            parser.add_argument("--fail", action="store_true")
            parser.add_argument("--exit-early", action="store_true")

        def handle(self, *args, **options):
            words = " ".join([*options["words"], *options["tags"]])
            with Path("ran.txt").open("a") as file:
                file.write(f"tell {words}\\n")
            options["tags"].append("changed by the command")
            if options["fail"]:
                raise CommandError("it was told to fail")
            if options["exit_early"]:
                from django_runbook.exceptions import ExitEarly

                raise ExitEarly("enough")
            return words
"""

SAY = """
    from pathlib import Path

    def say(*words):
        with Path("said.txt").open("a") as file:
            file.write(" ".join(map(str, words)) + "\\n")

    def shown(command):
        return "-" if command is None else f"{command.command_str}={command.result}"
"""

# Runs routines one after the other in one process, and prints what became of each.
DRIVER = """
    import io
    import json
    from pathlib import Path

    import django

    django.setup()

    from django_runbook import run_routine
    from django_runbook.exceptions import PlanError, RunFailed

    def lines(name):
        file = Path(name)
        found = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return found

    outcomes = []
    for name in {names!r}:
        result, text = None, ""
        try:
            result = run_routine(name, stdout=io.StringIO(), stderr=io.StringIO(), **{given!r})
        except RunFailed as exc:
            result, text = exc.result, str(exc)
        except PlanError as exc:
            text = "\\n".join(
                f"{{one.code}} {{one.origin}} {{one.message}} {{one.hint}}"
                for one in exc.problems
            )
        except SystemExit as exc:
            text = f"the process was ended with {{exc.code!r}}"
        outcomes.append({{
            "text": text,
            "said": lines("said.txt"),
            "ran": lines("ran.txt"),
            **({{}} if result is None else {{
                "status": result.status,
                "early_exit": result.early_exit,
                "steps": {{one.id.partition(":")[2]: one.status for one in result.steps}},
                "skipped_by": [one.skipped_by for one in result.steps],
                "returned": [str(one) for one in result],
                "results": {{one.id.partition(":")[2]: str(one.result) for one in result.steps}},
                "command_lines": [one.command_line for one in result.steps],
            }}),
        }})
    print(json.dumps(outcomes))
"""


@dataclass
class Outcome:
    """What became of one run, and what it left behind."""

    text: str
    said: list[str]
    ran: list[str]
    status: str = "refused"
    early_exit: bool = False
    steps: dict[str, str] = field(default_factory=dict)
    skipped_by: list[str] = field(default_factory=list)
    returned: list[str] = field(default_factory=list)
    results: dict[str, str] = field(default_factory=dict)
    command_lines: list[str] = field(default_factory=list)


def run(project: Project, *names: str, **given: Any) -> list[Outcome]:
    """Run routines in one process, and return what became of each."""
    done = project.python(DRIVER.format(names=names, given=given))
    assert done.status == 0, done.err
    return [Outcome(**one) for one in json.loads(done.out)]


def hooks(project: Project, text: str) -> None:
    """Write the project's module ``hooks``; ``say`` writes to a file what a test looks for."""
    project.file("hooks.py", SAY)
    with (project.root / "hooks.py").open("a") as file:
        lines = text.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        file.write("\n" + "\n".join(line[indent:] for line in lines) + "\n")


@pytest.fixture
def telling(project: Project) -> Project:
    """A project with a command ``tell`` that returns its words."""
    project.command("probe", "tell", TELL)
    return project


EVERY = """
    from django_runbook import ManagementCommand, Routine, SystemCommand

    def initialize(routine, plan, switches, options):
        assert isinstance(routine, Routine), type(routine)
        assert type(plan) is list and type(switches) is set and type(options) is dict
        kinds = [type(one).__name__ for one in plan]
        say("initialize", routine.name, kinds, sorted(switches), sorted(options))
        say("options", *(options[name] for name in ("more", "less", "verbosity", "all")))
        say("plan", *(shown(one) for one in plan))
        say("routine", *(shown(one) for one in routine.commands), routine.switches)

    def finalize(routine, results):
        assert isinstance(routine, Routine), type(routine)
        say("finalize", routine.name, len(results), results[0], results[1].returncode, results[-1])
        say("commands", *(type(one.result).__name__ for one in routine.commands))

    def before(routine, command, previous, options):
        assert isinstance(routine, Routine), type(routine)
        assert isinstance(command, (ManagementCommand, SystemCommand)), type(command)
        assert previous is None or previous in routine.commands
        say("before", routine.name, command.command_args[-1], options["more"], previous is None)
        if previous is not None:
            say("previous", previous.command_args[-1], type(previous.result).__name__)

    def after(routine, command, following, options):
        assert isinstance(routine, Routine), type(routine)
        assert following is None or following in routine.commands
        say("after", command.command_args[-1], type(command.result).__name__, options["less"])
        say("next", "-" if following is None else following.command_args[-1])
"""

FORMS = {
    "dictionary": """
        import sys

        DJANGO_ROUTINES = {{
            "deploy": {{
                "help_text": "Deploy.",
                "initialize": {initialize},
                "finalize": {finalize},
                "pre_hook": {before},
                "post_hook": {after},
                "commands": [
                    {{"management": ("tell", "one")}},
                    {{"management": ("tell", "off"), "switches": ["less"]}},
                    {{"system": [sys.executable, "-c", "pass", "two"], "switches": ["more"]}},
                    {{"management": ["tell", "three"]}},
                ],
            }}
        }}
    """,
    "dataclass": """
        import sys

        DJANGO_ROUTINES = {{
            "deploy": Routine(
                "deploy",
                "Deploy.",
                [
                    ManagementCommand(("tell", "one")),
                    ManagementCommand(("tell", "off"), switches=["less"]),
                    SystemCommand((sys.executable, "-c", "pass", "two"), switches=["more"]),
                    ManagementCommand(("tell", "three")),
                ],
                initialize={initialize},
                finalize={finalize},
                pre_hook={before},
                post_hook={after},
            )
        }}
    """,
    "functions": """
        import sys

        routine(
            "deploy",
            "Deploy.",
            initialize={initialize},
            finalize={finalize},
            pre_hook={before},
            post_hook={after},
        )
        command("deploy", "tell", "one")
        command("deploy", "tell", "off", switches=["less"])
        system("deploy", sys.executable, "-c", "pass", "two", switches=["more"])
        command("deploy", "tell", "three")
    """,
    "commands": """
        import sys

        routine("deploy", "Deploy.", initialize={initialize}, finalize={finalize})
        own = {{"pre_hook": {before}, "post_hook": {after}}}
        command("deploy", "tell", "one", **own)
        command("deploy", "tell", "off", switches=["less"], **own)
        system("deploy", sys.executable, "-c", "pass", "two", switches=["more"], **own)
        command("deploy", "tell", "three", **own)
    """,
}


@pytest.mark.parametrize(
    ("form", "given_as"),
    [
        ("dictionary", "callable"),
        ("dictionary", "import string"),
        ("dataclass", "callable"),
        ("functions", "import string"),
        ("commands", "callable"),
    ],
)
def test_what_callbacks_are_given(telling: Project, form: str, given_as: str) -> None:
    """They are given the routine, the command, its neighbours and the options, in every form."""
    hooks(telling, EVERY)
    names = {
        name: f"hooks.{name}" if given_as == "callable" else f'"hooks.{name}"'
        for name in ("initialize", "finalize", "before", "after")
    }
    text = FORMS[form].format(**names)
    telling.settings(
        text.replace("import sys", "import sys\n        import hooks")
        if given_as == "callable"
        else text
    )

    done = telling.manage("routine", "deploy", "--more")

    assert (done.status, done.err) == (0, "")
    said = (telling.root / "said.txt").read_text().splitlines()
    options = ["all", "atomic", "continue_on_error", "less", "lock", "manage_script", "more"]
    kinds = ["ManagementCommand", "SystemCommand", "ManagementCommand"]
    python, switches = sys.executable, ["less", "more"]
    assert said == [
        f"initialize deploy {kinds} ['more'] {[*options, 'subprocess', 'verbosity']}",
        "options True False 1 False",
        f"plan tell one=None {python} -c pass two=None tell three=None",
        f"routine tell one=None {python} -c pass two=None tell three=None tell off=None {switches}",
        "before deploy one True True",
        "after one str False",
        "next two",
        "before deploy two True False",
        "previous one str",
        "after two CompletedProcess False",
        "next three",
        "before deploy three True False",
        "previous two CompletedProcess",
        "after three str False",
        "next -",
        "finalize deploy 3 one 0 three",
        "commands str CompletedProcess str NoneType",
    ]


def test_hooks_run_in_the_routines_process(project: Project) -> None:
    """Also around a program, and around a management command that runs as a subprocess."""
    hooks(
        project,
        """
        import os

        def both(routine, command, other, options):
            say(os.getpid(), options["subprocess"], command.result)
        """,
    )
    project.settings("""
        import os

        with open(BASE / "pids.txt", "a") as file:
            file.write(f"{os.getpid()}\\n")
        routine("deploy", pre_hook="hooks.both", post_hook="hooks.both")
        command("deploy", "probe", "one")
        system("deploy", "true")
    """)

    done = project.manage("routine", "deploy", "--subprocess")

    assert done.status == 0, done.err
    pids = (project.root / "pids.txt").read_text().split()
    said = [line.split(" ", 2) for line in (project.root / "said.txt").read_text().splitlines()]
    assert len(set(pids)) == 2  # the step's own process reads the settings, too
    assert [(pid, subprocess) for pid, subprocess, _ in said] == [(pids[0], "True")] * 4
    assert [result.partition("(")[0] for _, _, result in said] == ["None", "CompletedProcess"] * 2


def test_a_true_pre_hook_skips_its_step(telling: Project) -> None:
    """Anything true skips, anything false does not; the skipped one is nobody's previous."""
    hooks(
        telling,
        """
        ANSWERS = {"true": True, "one": 1, "text": "no", "none": None, "zero": 0, "empty": []}

        def before(routine, command, previous, options):
            say(shown(command), "after", shown(previous))
            return ANSWERS[command.command_args[0]]

        def after(routine, command, following, options):
            say(shown(command), "before", shown(following))
        """,
    )
    telling.settings("""
        routine("deploy", "", pre_hook="hooks.before", post_hook="hooks.after")
        for word in ("true", "none", "one", "zero", "text", "empty"):
            command("deploy", "tell", word, step_id=word)
        routine("nothing", "", pre_hook="hooks.before")
        command("nothing", "tell", "true")
    """)

    deploy, nothing = run(telling, "deploy", "nothing")

    assert deploy.steps == {
        "true": "skipped",
        "none": "succeeded",
        "one": "skipped",
        "zero": "succeeded",
        "text": "skipped",
        "empty": "succeeded",
    }
    assert deploy.skipped_by == ["pre_hook", "", "pre_hook", "", "pre_hook", ""]
    assert (deploy.status, deploy.early_exit) == ("succeeded", False)
    assert deploy.ran == ["tell none", "tell zero", "tell empty"]
    assert deploy.returned == ["none", "zero", "empty"]
    assert deploy.said == [
        "tell true=None after -",
        "tell none=None after -",
        "tell none=none before tell one=None",
        "tell one=None after tell none=none",
        "tell zero=None after tell none=none",
        "tell zero=zero before tell text=None",
        "tell text=None after tell zero=zero",
        "tell empty=None after tell zero=zero",
        "tell empty=empty before -",
    ]
    assert (nothing.status, nothing.ran, nothing.returned) == ("succeeded", [], [])

    done = telling.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    assert done.progress[0] == "[1/6] settings:true: skipped by its pre_hook"
    assert done.progress[-1].endswith(": 3 run, 3 skipped, 0 failed, 0 not run.")
    echoed = [line for line in done.out.splitlines() if line.startswith("tell")]
    assert echoed == ["tell none", "tell zero", "tell empty"]


def test_a_routine_ends_early_without_a_failure(telling: Project) -> None:
    """By a true post_hook, and by ``ExitEarly`` from wherever it is raised."""
    hooks(
        telling,
        """
        from django_runbook.exceptions import ExitEarly

        def true(routine, command, following, options):
            say("post_hook", shown(command))
            return command.command_args[-1] == "two" and "done"

        def at_two(routine, command, other, options):
            if command.command_args[-1] == "two":
                raise ExitEarly

        def at_once(*args):
            raise ExitEarly("now")

        def finalize(routine, results):
            say("finalize", list(results))
        """,
    )
    telling.settings("""
        STATED = {
            "by_answer": {"post_hook": "hooks.true"},
            "by_post_hook": {"post_hook": "hooks.at_two"},
            "by_pre_hook": {"pre_hook": "hooks.at_two"},
            "by_initialize": {"initialize": "hooks.at_once"},
            "by_command": {},
        }
        for name, stated in STATED.items():
            early = {"exit_early": True} if name == "by_command" else {}
            routine(name, "", finalize="hooks.finalize", **stated)
            command(name, "tell", "one", step_id="one")
            command(name, "tell", "two", step_id="two", **early)
            command(name, "tell", "three", step_id="three")
        routine("by_finalize", "", finalize="hooks.at_once")
        command("by_finalize", "tell", "one", step_id="one")
    """)

    names = ("by_answer", "by_post_hook", "by_pre_hook", "by_initialize", "by_command")
    answer, post, pre, initialize, command, finalize = run(telling, *names, "by_finalize")

    for outcome in (answer, post, pre, initialize, command, finalize):
        assert (outcome.status, outcome.early_exit, outcome.text) == ("succeeded", True, "")
    ended = {"one": "succeeded", "two": "succeeded", "three": "not_run"}
    assert answer.steps == post.steps == command.steps == ended
    assert answer.said == [
        "post_hook tell one=one",
        "post_hook tell two=two",
        "finalize ['one', 'two']",
    ]
    assert post.said == ["finalize ['one', 'two']"]
    assert pre.steps == {"one": "succeeded", "two": "not_run", "three": "not_run"}
    assert (pre.ran, pre.said) == (["tell one"], ["finalize ['one']"])
    assert set(initialize.steps.values()) == {"not_run"}
    assert (initialize.ran, initialize.said) == ([], ["finalize []"])
    assert command.ran == ["tell one", "tell two"]
    assert finalize.steps == {"one": "succeeded"}

    done = telling.manage("routine", "by_answer")

    assert (done.status, done.err) == (0, "")
    assert done.progress[-1].endswith(
        ": 2 run, 0 skipped, 0 failed, 1 not run. It was ended early."
    )


def test_a_nested_routine_that_ends_early_ends_alone(telling: Project) -> None:
    """The routine around it goes on behind it."""
    hooks(telling, "def end(*args):\n    return True")
    telling.settings("""
        command("deploy", "routine", "inner")
        command("deploy", "tell", "outer")
        command("inner", "tell", "one", post_hook="hooks.end")
        command("inner", "tell", "two")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.ran == ["tell one", "tell outer"]
    assert (deploy.status, deploy.early_exit) == ("succeeded", False)


def test_a_hook_changes_what_runs(telling: Project) -> None:
    """A command's arguments, options and environment, those of the next one, and its result."""
    hooks(
        telling,
        """
        import os

        def arguments(routine, command, previous, options):
            command.command = (*command.command, "more words")

        def as_a_list(routine, command, previous, options):
            command.command = ["tell", "listed", 7]

        def other(routine, command, previous, options):
            command.command = "probe"

        def tags(routine, command, previous, options):
            command.options["tags"] = [*command.options.get("tags", []), "tagged"]

        def in_place(routine, command, previous, options):
            command.options["tags"].append("in place")

        def replaced(routine, command, previous, options):
            command.options = {"tags": ["replaced"]}

        def environment(routine, command, previous, options):
            command.env["COLOUR"] = "red"

        def limit(routine, command, previous, options):
            command.time_limit = 60

        def change_next(routine, command, following, options):
            following.command = (*following.command, command.result)
            following.pre_hook = None

        def refuse(*args):
            raise AssertionError("it was taken away")

        def change_result(routine, command, following, options):
            command.result = {"was": command.result}

        def finalize(routine, results):
            say(list(results))
        """,
    )
    telling.settings("""
        import sys

        code = "import os; open('ran.txt', 'a').write(os.environ['COLOUR'] + '\\\\n')"
        routine("deploy", finalize="hooks.finalize")
        command("deploy", "tell", "arguments", pre_hook="hooks.arguments")
        command("deploy", "tell", "list", pre_hook="hooks.as_a_list")
        command("deploy", "tell", "other", pre_hook="hooks.other")
        command("deploy", "tell", "tags", pre_hook="hooks.tags")
        command("deploy", "tell", "in", tags=["a"], pre_hook="hooks.in_place")
        command("deploy", "tell", "replaced", tags=["a"], pre_hook="hooks.replaced")
        system("deploy", sys.executable, "-c", code, pre_hook="hooks.environment")
        system("deploy", sys.executable, "-c", code, pre_hook="hooks.environment", env={"A": "b"})
        command("deploy", "tell", "limit", pre_hook="hooks.limit")
        command("deploy", "tell", "first", post_hook="hooks.change_next", step_id="first")
        command("deploy", "tell", "second", pre_hook="hooks.refuse")
        command("deploy", "tell", "last", post_hook="hooks.change_result")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.text == ""
    assert deploy.ran == [
        "tell arguments more words",
        "tell listed 7",
        "probe",
        "tell tags tagged",
        "tell in a in place",
        "tell replaced replaced",
        "red",
        "red",
        "tell limit",
        "tell first",
        "tell second first",
        "tell last",
    ]
    assert deploy.command_lines[:3] == ["tell arguments 'more words'", "tell listed 7", "probe"]
    assert deploy.command_lines[10] == "tell second first"
    assert deploy.results["tell-9"] == "{'was': 'last'}"
    # Its limit made it a subprocess.
    assert deploy.results["tell-7"].startswith("CompletedProcess(")
    assert deploy.said[-1].endswith("'first', 'second first', {'was': 'last'}]")


def test_a_result_that_is_replaced_later_is_what_finalize_gets(telling: Project) -> None:
    """A later hook may still change what an earlier command has returned, also by initialize."""
    hooks(
        telling,
        """
        def before(routine, command, previous, options):
            if previous is not None:
                previous.result = previous.result.upper()

        def finalize(routine, results):
            say(list(results))
        """,
    )
    telling.settings("""
        routine("deploy", pre_hook="hooks.before", finalize="hooks.finalize")
        command("deploy", "tell", "one", step_id="one")
        command("deploy", "tell", "two", step_id="two")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.said == ["['ONE', 'two']"]
    assert deploy.results == {"one": "ONE", "two": "two"}


def test_a_command_that_a_hook_has_spoilt_is_not_run(telling: Project) -> None:
    """What is malformed, unknown or a routine fails closed; the text names the step and why."""
    spoilt = {
        "empty": ("command.command = ()", "a hook has left it malformed", "without its name"),
        "none": ("command.command = None", "a hook has left it malformed", "'management'"),
        "part": ("command.command = ('tell', object())", "malformed", "a string, a number"),
        "options": ("command.options = ['tags']", "malformed", "a dictionary of named options"),
        "limit": ("command.time_limit = -1", "malformed", "a number of seconds above 0"),
        "attribute": ("command.optoins = {}", "malformed", "'optoins'"),
        "masked": ("command.command = ('tell', '***')", "malformed", "Secret"),
        "unknown": ("command.command = ('tel', 'x')", "no management command 'tel'", ""),
        "option": ("command.options['tgs'] = ['x']", "tgs", ""),
        "argument": ("command.command = ('tell', '--tgs')", "--tgs", ""),
        "routine": ("command.command = ('routine', 'other')", "which is not planned", "routine"),
        "program": ("command.command = ('no-such-program-here',)", "no-such-program-here", ""),
        "env": ("command.env = {'A': 1}", "malformed", "environment variables"),
        "nested": ("command.command = ('routine', 'another')", "which is not planned", "changed"),
        "switch": ("command.options['more'] = True", "which is not planned", "changed"),
    }
    hooks(
        telling,
        "\n".join(
            f"def {name}(routine, command, previous, options):\n    {body}\n"
            for name, (body, *_) in spoilt.items()
        ),
    )
    telling.settings("""
        for name in ("empty", "none", "part", "options", "limit", "attribute", "masked",
                     "unknown", "option", "argument", "routine"):
            command(f"r_{name}", "tell", "one", step_id="one", pre_hook=f"hooks.{name}")
        for name in ("program", "env"):
            system(f"r_{name}", "true", step_id="one", pre_hook=f"hooks.{name}")
        for name in ("nested", "switch"):
            command(f"r_{name}", "routine", "other", step_id="one", pre_hook=f"hooks.{name}")
        for name in DJANGO_ROUTINES:
            command(name, "tell", "two")
        command("other", "tell", "other")
        command("other", "tell", "more", switches=["more"])
        command("another", "tell", "another")
    """)
    line = line_of(telling.root / "config/settings.py", 'command(f"r_{name}", "tell", "one"')

    outcomes = dict(zip(spoilt, run(telling, *(f"r_{name}" for name in spoilt)), strict=True))

    for name, outcome in outcomes.items():
        _, *said = spoilt[name]
        assert outcome.status == "failed", name
        assert outcome.ran == [], name
        assert f"Step 1 of 2 of routine 'r_{name}' failed: settings:one" in outcome.text
        for text in said:
            assert text in outcome.text, name
    assert f"declared by: settings (config/settings.py:{line})" in outcomes["empty"].text


def test_a_commands_own_hook_counts_for_more_than_the_routines(telling: Project) -> None:
    """Each of the two by itself: the routine's is for those that have none of their own."""
    hooks(
        telling,
        """
        def routines_pre(routine, command, other, options):
            say("routine's pre_hook", command.command_args[0])

        def routines_post(routine, command, other, options):
            say("routine's post_hook", command.command_args[0])

        def own(routine, command, other, options):
            say("own", command.command_args[0])
        """,
    )
    telling.settings("""
        routine("deploy", pre_hook="hooks.routines_pre", post_hook="hooks.routines_post")
        command("deploy", "tell", "one", pre_hook="hooks.own")
        command("deploy", "tell", "two", post_hook="hooks.own")
        command("deploy", "tell", "three")
        command("deploy", "tell", "four", pre_hook="hooks.own", post_hook="hooks.own")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.said == [
        "own one",
        "routine's post_hook one",
        "routine's pre_hook two",
        "own two",
        "routine's pre_hook three",
        "routine's post_hook three",
        "own four",
        "own four",
    ]


def test_initialize_removes_and_reorders(telling: Project) -> None:
    """What it takes out is skipped, its order is run, and neighbours and results follow that."""
    hooks(
        telling,
        """
        def remove(routine, plan, switches, options):
            del plan[1]

        def clear(routine, plan, switches, options):
            plan.clear()

        def reverse(routine, plan, switches, options):
            plan.reverse()

        def keep(routine, plan, switches, options):
            plan[:] = [one for one in plan if "-more" not in one.command_str]
            for one in plan:
                one.options["tags"] = ["initialized"]
            switches.add("unknown")
            routine.commands.clear()
            return []

        def before(routine, command, previous, options):
            say(shown(previous), shown(command))

        def after(routine, command, following, options):
            say(shown(command), shown(following))

        def finalize(routine, results):
            say(list(results))
        """,
    )
    telling.settings("""
        for name in ("remove", "clear", "reverse", "keep"):
            routine(name, "", initialize=f"hooks.{name}", pre_hook="hooks.before",
                    post_hook="hooks.after", finalize="hooks.finalize")
            for word in ("one", "two", "three"):
                command(name, "tell", word, step_id=word)
    """)

    remove, clear, reverse, keep = run(telling, "remove", "clear", "reverse", "keep")

    assert remove.steps == {"one": "succeeded", "two": "skipped", "three": "succeeded"}
    assert remove.skipped_by == ["", "initialize", ""]
    assert remove.said == [
        "- tell one=None",
        "tell one=one tell three=None",
        "tell one=one tell three=None",
        "tell three=three -",
        "['one', 'three']",
    ]
    assert set(clear.steps.values()) == {"skipped"}
    assert (clear.status, clear.ran, clear.said) == ("succeeded", [], ["[]"])
    assert reverse.ran == ["tell three", "tell two", "tell one"]
    assert reverse.said[0] == "- tell three=None"
    assert reverse.said[-1] == "['three', 'two', 'one']"
    assert list(reverse.steps) == ["one", "two", "three"]
    assert keep.ran == ["tell one initialized", "tell two initialized", "tell three initialized"]

    done = telling.manage("routine", "remove")

    assert (done.status, done.err) == (0, "")
    assert "[2/3] settings:two: skipped by its initialize" in done.progress


def test_initialize_adds_nothing(telling: Project) -> None:
    """What nobody could have explained does not run: nor does anything else."""
    bodies = {
        "append": "plan.append(ManagementCommand(('tell', 'added')))",
        "insert": "plan.insert(0, SystemCommand('true'))",
        "dictionary": "plan.append({'management': 'tell'})",
        "nothing": "plan.append(None)",
        "replace": "plan[0] = ManagementCommand(('tell', 'one'))",
        "switched_off": "plan.append(routine.commands[-1])",
        "twice": "plan.append(plan[0])",
    }
    hooks(
        telling,
        "from django_runbook import ManagementCommand, SystemCommand\n"
        + "\n".join(
            f"def {name}(routine, plan, switches, options):\n    {body}\n"
            for name, body in bodies.items()
        ),
    )
    telling.settings(f"""
        for name in {list(bodies)!r}:
            routine(name, "", initialize=f"hooks.{{name}}")
            command(name, "tell", "one", step_id="one")
            command(name, "tell", "off", switches=["off"])
    """)

    outcomes = run(telling, *bodies)
    done = telling.manage("routine", "append")

    for name, outcome in zip(bodies, outcomes, strict=True):
        assert (outcome.status, outcome.ran) == ("failed", []), name
        assert f"its initialize hooks.{name} has put a command into the plan" in outcome.text
        assert "not run: settings:one" in outcome.text
    assert done.status == 1
    assert done.err == f"CommandError: {outcomes[0].text}\n"
    assert done.progress[-1].endswith(": 0 run, 0 skipped, 0 failed, 1 not run.")


MUTATE = """
    def initialize(routine, plan, switches, options):
        say(repr(routine), repr(plan), sorted(switches), sorted(options.items()))
        routine.commands.clear()
        routine.switch_helps["other"] = "changed"
        routine.help_text = "changed"
        routine.name = "changed"
        routine.finalize = None
        plan.reverse()
        switches.clear()
        options.clear()
        if isinstance(routine.atomic, list):
            routine.atomic.append("other")

    def before(routine, command, previous, options):
        say(repr(command), sorted(options.items()))
        options["verbosity"] = 3
        command.command = (*command.command, "again")
        command.priority = 99
        command.switches = ("never",)
        command.pre_hook = command.post_hook = None
        command.result = "changed"
        held = command.options if hasattr(command, "options") else command.env
        for value in held.values():
            if isinstance(value, list):
                value.append("changed")
        if "deep" in held:
            held["deep"]["list"][0]["x"].append("changed")
            held["deep"]["set"].add("changed")
        held["TAG"] = "changed"
        held.pop("TAG")

    def finalize(routine, results):
        say("finalize", list(results))
"""


@pytest.mark.parametrize("form", ["dictionary", "dataclass", "functions"])
def test_definitions_are_never_changed(telling: Project, form: str) -> None:
    """Whatever hooks change, the next run in the process starts from what was declared."""
    hooks(telling, MUTATE)
    telling.command(
        "probe",
        "deep",
        """
        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            stealth_options = ("deep", "tags")

            def add_arguments(self, parser):
                parser.add_argument("words", nargs="*")

            def handle(self, *args, **options):
                said = repr((options["words"], options["tags"], options["deep"]))
                options["tags"].append("changed by the command")
                options["deep"]["list"].clear()
                return said
        """,
    )
    stated = (
        """initialize="hooks.initialize", finalize="hooks.finalize", pre_hook="hooks.before" """
    )
    deep = """{"list": [{"x": ["y"]}], "set": {"z"}}"""
    telling.settings(
        {
            "dictionary": f"""
                DJANGO_ROUTINES = {{
                    "deploy": {{
                        "help_text": "Deploy.",
                        "switch_helps": {{"more": "More."}},
                        "atomic": ["default"],
                        **dict({stated}),
                        "commands": [
                            {{"management": ["deep", "one"],
                              "options": {{"tags": ["a"], "deep": {deep}}}}},
                            {{"system": ["true"], "env": {{"TAG": "b"}}, "switches": ["more"]}},
                        ],
                    }}
                }}
            """,
            "dataclass": f"""
                DJANGO_ROUTINES = {{
                    "deploy": Routine(
                        "deploy",
                        "Deploy.",
                        [
                            ManagementCommand(
                                ["deep", "one"], options={{"tags": ["a"], "deep": {deep}}}
                            ),
                            SystemCommand(["true"], switches=["more"], env={{"TAG": "b"}}),
                        ],
                        {{"more": "More."}},
                        atomic=["default"],
                        {stated},
                    )
                }}
            """,
            "functions": f"""
                routine("deploy", "Deploy.", more="More.", atomic=["default"], {stated})
                command("deploy", "deep", "one", tags=["a"], deep={deep})
                system("deploy", "true", switches=["more"], env={{"TAG": "b"}})
            """,
        }[form]
    )

    done = telling.python("""
        import io
        import json

        import django

        django.setup()

        from pathlib import Path

        from django.conf import settings

        import django_runbook
        from django_runbook.explain import to_json

        def state():
            plan = django_runbook.get_plan("deploy", ["more"])
            return [
                repr(settings.DJANGO_ROUTINES),
                to_json(plan),
                repr(plan),
                repr(django_runbook.get_routine("deploy")),
            ]

        def ran(plan):
            result = django_runbook.run_routine(
                *([plan] if plan else ["deploy", ["more"]]), stdout=io.StringIO(), verbosity=0
            )
            said = Path("said.txt").read_text()
            Path("said.txt").unlink()
            return [said, [repr(one) for one in result], repr(result)]

        declared = state()
        plan = django_runbook.get_plan("deploy", ["more"])
        runs = [ran(None), ran(None), ran(plan), ran(plan)]
        assert state() == declared, (state(), declared)
        print(json.dumps(runs))
    """)

    assert done.status == 0, done.err
    first, *others = json.loads(done.out)
    assert others == [first] * 3
    assert "changed" not in first[0].replace("'verbosity', 3", "")


def test_a_mutable_object_of_any_class_is_not_shared_with_hooks(telling: Project) -> None:
    """An option may hold more than lists and dictionaries; the second run gets it as declared."""
    hooks(
        telling,
        """
        def before(routine, command, previous, options):
            command.options["tags"].append("changed")
        """,
    )
    telling.settings("""
        from collections import deque

        command("deploy", "tell", "one", tags=deque(["a"]), pre_hook="hooks.before")
    """)

    first, second = run(telling, "deploy", "deploy")

    assert first.ran == second.ran == ["tell one a changed"]


E = "django_runbook.E015"


def test_a_hook_that_names_nothing_is_found_before_the_first_step(project: Project) -> None:
    """Its module or attribute is missing, it cannot be called, or its module cannot be imported."""
    project.file("broken.py", "raise RuntimeError('it is broken')")
    project.file("quits.py", "raise SystemExit(0)")
    project.file("unparsable.py", "def (")
    project.file("values.py", "number = 5\n")
    project.settings("""
        command("deploy", "probe", "one")
        command("deploy", "probe", "two", pre_hook="nowhere.hooks.before")
        command("deploy", "probe", "three", post_hook="values.befor")
        command("deploy", "probe", "four", pre_hook="values.number")
        command("deploy", "probe", "five", pre_hook="broken.hook")
        command("deploy", "probe", "six", pre_hook="quits.hook")
        command("deploy", "probe", "seven", pre_hook="unparsable.hook")
        command("deploy", "probe", "eight", pre_hook="nodots")
        command("deploy", "probe", "nine", pre_hook="")
        routine("deploy", initialize="nowhere.initialize")
        routine("deploy", finalize="nowhere.finalize")
        routine("deploy", pre_hook="nowhere.before", post_hook="nowhere.after")
        command("outer", "probe", "outer")
        command("outer", "routine", "inner")
        routine("inner", initialize="nowhere.initialize")
        command("inner", "probe", "inner", post_hook="nowhere.after")
    """)
    settings = project.root / "config/settings.py"

    done = project.manage("routine", "deploy")
    outer = project.manage("routine", "outer")

    assert (done.status, outer.status) == (1, 1)
    assert project.ran == []
    expected = {
        '"two"': "the pre_hook 'nowhere.hooks.before' cannot be loaded: ModuleNotFoundError",
        '"three"': "the post_hook 'values.befor' cannot be loaded: ImportError",
        '"four"': "the pre_hook 'values.number' cannot be loaded: it is a int and cannot be called",
        '"five"': "the pre_hook 'broken.hook' cannot be loaded: RuntimeError: it is broken",
        '"six"': "the pre_hook 'quits.hook' cannot be loaded: SystemExit",
        '"seven"': "the pre_hook 'unparsable.hook' cannot be loaded: SyntaxError",
        '"eight"': "the pre_hook 'nodots' cannot be loaded: ImportError",
        '"nine"': "the pre_hook '' cannot be loaded",
        'routine("deploy", initialize': "the initialize 'nowhere.initialize' cannot be loaded",
        'routine("deploy", finalize': "the finalize 'nowhere.finalize' cannot be loaded",
        'routine("deploy", pre_hook': "the pre_hook 'nowhere.before' cannot be loaded",
    }
    for text, message in expected.items():
        line = line_of(settings, text)
        (found,) = (one for one in done.err.splitlines() if message in one)
        assert f"settings (config/settings.py:{line}): ({E})" in found
    assert done.err.count(E) == len(expected) + 1  # with the post_hook of the same line
    assert done.err.count("'shop.hooks.before'") == done.err.count(E)  # the remedy
    inner = [one for one in outer.err.splitlines() if E in one]
    assert len(inner) == 2
    for text, found in zip(('routine("inner", init', 'command("inner"'), inner, strict=True):
        assert f"config/settings.py:{line_of(settings, text)}" in found


def test_hooks_that_are_not_called_need_not_exist(project: Project) -> None:
    """Those of steps that are switched off or disabled, and of routines that are not run."""
    project.settings("""
        command("deploy", "probe", "one")
        command("deploy", "probe", "off", switches=["more"], pre_hook="nowhere.before")
        command("deploy", "probe", step_id="gone", post_hook="nowhere.after")
        disable("deploy", "settings:gone")
        routine("other", initialize="nowhere.initialize")
        command("other", "probe")
    """)

    done = project.manage("routine", "deploy")
    more = project.manage("routine", "deploy", "--more")

    assert (done.status, done.err, project.ran) == (0, "", ["probe one"])
    assert more.status == 1
    assert "the pre_hook 'nowhere.before' cannot be loaded" in more.err
    assert project.ran == ["probe one"]


def test_what_a_module_of_hooks_prints_is_not_in_the_document(project: Project) -> None:
    """Explaining imports hooks, and its JSON stays JSON; it calls none of them."""
    project.file("noisy.py", "print('imported')\ndef before(*args):\n    raise AssertionError\n")
    project.settings("""
        routine("deploy", initialize="noisy.before", finalize="noisy.before")
        command("deploy", "probe", "one", pre_hook="noisy.before")
    """)

    assert project.explain()["problems"] == []
    assert project.manage("check", "--deploy").status == 0


def test_a_coroutine_function_is_no_hook(telling: Project) -> None:
    """Nobody would await it, and what it returns is true: each of its steps would be skipped."""
    hooks(
        telling,
        """
        async def before(routine, command, previous, options):
            return False
        """,
    )
    telling.settings("""
        command("deploy", "tell", "one", pre_hook="hooks.before")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.status != "succeeded"
    assert "hooks.before" in deploy.text


RAISING = """
    def value_error(*args):
        raise ValueError("no such thing")

    def command_error(*args):
        from django.core.management.base import CommandError

        raise CommandError("refused")

    def not_loadable(routine, command, previous, options):
        command.post_hook = "nowhere.after"

    def too_few(routine):
        pass

    def finalize(routine, results):
        say("finalize", list(results))
"""


def test_a_hook_that_raises_fails_its_step(telling: Project) -> None:
    """The text names the hook, the step and the origin; the command was run, or was not."""
    hooks(telling, RAISING)
    telling.settings("""
        HOOKED = {
            "pre": {"pre_hook": "hooks.value_error"},
            "post": {"post_hook": "hooks.command_error"},
            "changed": {"pre_hook": "hooks.not_loadable"},
            "signature": {"pre_hook": "hooks.too_few"},
        }
        for name, hooked in HOOKED.items():
            routine(name, "", finalize="hooks.finalize")
            command(name, "tell", "one", step_id="one", **hooked)
            command(name, "tell", "two", step_id="two")
        routine("goes_on", "", continue_on_error=True, finalize="hooks.finalize")
        command("goes_on", "tell", "zero", step_id="zero")
        command("goes_on", "tell", "one", step_id="one", pre_hook="hooks.value_error")
        command("goes_on", "tell", "two", step_id="two")
    """)
    line = line_of(telling.root / "config/settings.py", 'command(name, "tell", "one"')

    pre, post, changed, signature, goes_on = run(
        telling, "pre", "post", "changed", "signature", "goes_on"
    )

    assert pre.text.splitlines() == [
        "Step 1 of 2 of routine 'pre' failed: settings:one",
        f"  declared by: settings (config/settings.py:{line})",
        "  command: tell one",
        "  failure: its pre_hook hooks.value_error raised ValueError: no such thing",
        "  not run: settings:two",
    ]
    assert pre.ran == []
    assert "failure: its post_hook hooks.command_error raised CommandError: refused" in post.text
    assert (post.ran, post.results["one"]) == (["tell one"], "one")
    assert "its post_hook nowhere.after" in changed.text
    assert "its pre_hook hooks.too_few raised TypeError: " in signature.text
    assert [one.said for one in (pre, post, changed, signature)] == [[]] * 4
    assert {one.status for one in (pre, post, changed, signature)} == {"failed"}
    assert goes_on.status == "failed"
    assert goes_on.ran == ["tell zero", "tell two"]
    assert goes_on.said == ["finalize ['zero', 'two']"]


def test_a_command_that_failed_in_its_pre_hook_is_not_the_previous_one(telling: Project) -> None:
    """``previous`` is the last command that was run."""
    hooks(
        telling,
        """
        def before(routine, command, previous, options):
            say(shown(previous), shown(command))
            if command.command_args[0] == "two":
                raise ValueError("no")
        """,
    )
    telling.settings("""
        routine("deploy", "", continue_on_error=True, pre_hook="hooks.before")
        for word in ("one", "two", "three"):
            command("deploy", "tell", word)
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.said == [
        "- tell one=None",
        "tell one=one tell two=None",
        "tell one=one tell three=None",
    ]


def test_the_hooks_around_a_command_that_fails(telling: Project) -> None:
    """Its post_hook is not called; with ``--continue`` it is the next one's previous."""
    hooks(
        telling,
        """
        def before(routine, command, previous, options):
            say("before", shown(previous), shown(command))

        def after(routine, command, following, options):
            say("after", shown(command), shown(following))
        """,
    )
    telling.settings("""
        routine("deploy", "", pre_hook="hooks.before", post_hook="hooks.after")
        command("deploy", "tell", "one")
        command("deploy", "tell", "two", "--fail")
        command("deploy", "tell", "three")
    """)

    (deploy,) = run(telling, "deploy", continue_on_error=True)

    assert deploy.said == [
        "before - tell one=None",
        "after tell one=one tell two --fail=None",
        "before tell one=one tell two --fail=None",
        "before tell two --fail=None tell three=None",
        "after tell three=three -",
    ]


CALLBACKS_THAT_EXIT = """
    import sys

    def stop_0(*args):
        sys.exit(0)

    def stop_3(*args):
        sys.exit(3)

    def finalize(routine, results):
        say("finalize")
"""


@pytest.mark.parametrize("status", [0, 3])
def test_a_callback_that_ends_the_process_is_a_failure(telling: Project, status: int) -> None:
    """``sys.exit()`` in a callback does not end a deploy unsaid, least of all with success."""
    hooks(telling, CALLBACKS_THAT_EXIT)
    telling.settings(f"""
        for name in ("initialize", "pre_hook", "post_hook"):
            routine(name, "", **{{name: "hooks.stop_{status}"}})
            command(name, "tell", "one", step_id="one")
            command(name, "tell", "two", step_id="two")
        routine("finalize", "", finalize="hooks.stop_{status}")
        command("finalize", "tell", "one", step_id="one")
    """)

    names = ("initialize", "pre_hook", "post_hook", "finalize")
    outcomes = dict(zip(names, run(telling, *names), strict=True))

    for name, outcome in outcomes.items():
        assert outcome.status == "failed", (name, outcome)
        assert f"its {name} hooks.stop_{status}" in outcome.text
    assert outcomes["initialize"].ran == outcomes["pre_hook"].ran == []
    assert outcomes["post_hook"].ran == ["tell one"]
    assert outcomes["finalize"].steps == {"one": "succeeded"}

    done = telling.manage("routine", "pre_hook")

    assert done.status == 1
    assert done.progress[-1].endswith("1 failed, 1 not run.")


def test_a_callback_of_the_routine_that_raises_fails_the_routine(telling: Project) -> None:
    """``initialize`` runs nothing behind it, ``finalize`` fails what had ended well."""
    hooks(telling, RAISING)
    telling.settings("""
        routine("first", "", initialize="hooks.value_error", finalize="hooks.finalize")
        command("first", "tell", "one", step_id="one")
        routine("last", "", finalize="hooks.value_error")
        command("last", "tell", "one", step_id="one")
        routine("both", "", finalize="hooks.value_error", continue_on_error=True)
        command("both", "tell", "one", "--fail", step_id="one")
        command("outer", "routine", "last", step_id="nested")
        command("outer", "tell", "two", step_id="two")
    """)

    first, last, both, outer = run(telling, "first", "last", "both", "outer")
    done = telling.manage("routine", "last")

    said = "its {} hooks.value_error raised ValueError: no such thing"
    assert first.text.splitlines() == [
        f"Routine 'first' failed: {said.format('initialize')}",
        "  not run: settings:one",
    ]
    assert (first.status, first.ran, first.said) == ("failed", [], [])
    assert last.text == f"Routine 'last' failed: {said.format('finalize')}"
    assert (last.status, last.steps) == ("failed", {"one": "succeeded"})
    assert "it was told to fail" in both.text
    assert said.format("finalize") in both.text
    assert outer.steps == {"nested": "failed", "two": "not_run"}
    assert said.format("finalize") in outer.text
    assert done.status == 1
    assert f"CommandError: {last.text}\n" in done.err
    assert done.progress[-1].startswith("Routine 'last' failed after ")


def test_when_finalize_is_called(telling: Project) -> None:
    """After every end but a failure that has halted the routine."""
    hooks(telling, RAISING)
    telling.settings("""
        routine("empty", "", finalize="hooks.finalize")
        command("empty", "tell", switches=["more"])
        routine("deploy", "", finalize="hooks.finalize")
        command("deploy", "tell", "one")
        command("deploy", "tell", "two", "--fail")
        command("deploy", "tell", "three")
        routine("last", "", finalize="hooks.finalize", continue_on_error=True)
        command("last", "tell", "one")
        command("last", "tell", "two", "--fail")
    """)

    empty, halted, last = run(telling, "empty", "deploy", "last")
    (went_on,) = run(telling, "deploy", continue_on_error=True)

    assert (empty.status, empty.said) == ("succeeded", ["finalize []"])
    assert (halted.status, halted.said) == ("failed", [])
    assert (went_on.status, went_on.said) == ("failed", ["finalize ['one', 'three']"])
    assert (last.status, last.said) == ("failed", ["finalize ['one']"])


def test_finalize_gets_the_results_that_django_routines_would_give(telling: Project) -> None:
    """Of each command that returned, in the order in which they ran; of a failed program, too.

    That is the contract of settings that were written for django-routines: no place is left for a
    command that raised, and a program's ``returncode`` can be asked for.
    """
    hooks(
        telling,
        """
        def reverse(routine, plan, switches, options):
            plan.reverse()

        def finalize(routine, results):
            say([getattr(one, "returncode", one) for one in results])
            say(len(results), results[0], results[-1], results[1:][0], "four" in results)
        """,
    )
    telling.settings("""
        routine("deploy", "", continue_on_error=True, finalize="hooks.finalize")
        command("deploy", "tell", "one")
        command("deploy", "tell", "two", "--fail")
        system("deploy", "sh", "-c", "exit 3")
        command("deploy", "tell", "four")
        routine("reversed", "", initialize="hooks.reverse", finalize="hooks.finalize")
        for word in ("one", "two", "three"):
            command("reversed", "tell", word)
    """)

    deploy, back = run(telling, "deploy", "reversed")

    assert deploy.said[0] == "['one', 3, 'four']"
    assert deploy.said[1].startswith("3 one four CompletedProcess(")
    assert deploy.said[1].endswith(" True")
    assert back.said == ["['three', 'two', 'one']", "3 three one two False"]


def test_hooks_of_apps_and_distributions(telling: Project) -> None:
    """They may state callbacks, as callables or import strings, of their steps and of routines."""
    telling.app(
        "shop",
        routines=hook("""
            from shop.hooks import before

            routines.routine("deploy", initialize="shop.hooks.initialize")
            routines.command("deploy", "tell", "shop", step_id="shop", pre_hook=before)
        """),
        hooks="""
            from hooks import say, shown

            def before(routine, command, previous, options):
                say("shop's", shown(command))

            def initialize(routine, plan, switches, options):
                say("shop's initialize", *map(shown, plan))
        """,
    )
    telling.distribution(
        "acme-cdn",
        modules={
            "acme_cdn/hooks.py": hook("""
                routines.command(
                    "deploy", "tell", "cdn", step_id="purge", post_hook="acme_cdn.steps.after"
                )
            """),
            "acme_cdn/steps.py": "from hooks import say\n"
            "def after(routine, command, following, options):\n"
            '    say("cdn\'s", command.result)\n',
        },
        entry_points={"django_runbook": {"cdn": "acme_cdn.hooks"}},
    )
    hooks(
        telling,
        """
        def settings(routine, command, other, options):
            say("settings'", command.command_str)
        """,
    )
    telling.settings("""
        command("deploy", "tell", "own")
        routine("deploy", pre_hook="hooks.settings")
        command("other", "tell", "other")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.text == ""
    assert deploy.said == [
        "shop's initialize tell own=None tell shop=None tell cdn=None",
        "settings' tell own",
        "shop's tell shop=None",
        "settings' tell cdn",
        "cdn's cdn",
    ]


def test_the_settings_override_a_hook(telling: Project) -> None:
    """The settings have the last word on the hooks of a contributed step, too."""
    telling.app(
        "shop",
        routines=hook("""
            routines.command("deploy", "tell", "shop", step_id="shop", pre_hook="nowhere.before")
            routines.command("deploy", "tell", "late", step_id="late")
        """),
    )
    hooks(
        telling,
        """
        def instead(routine, command, other, options):
            say("instead", shown(command))
        """,
    )
    telling.settings("""
        import hooks

        override("deploy", "shop:shop", pre_hook="hooks.instead")
        override("deploy", "shop:late", post_hook=hooks.instead)
        routine("deploy", "Deploy.")
    """)

    (deploy,) = run(telling, "deploy")

    assert deploy.said == ["instead tell shop=None", "instead tell late=late"]


def test_a_contributed_hook_that_names_nothing_is_its_contributors(telling: Project) -> None:
    """The problem names the app's line; for an override's hook the override's line."""
    telling.app(
        "shop",
        routines=hook("""
            routines.command("wrong", "tell", "shop", step_id="shop", pre_hook="nowhere.before")
            routines.command("deploy", "tell", "shop", step_id="shop")
        """),
    )
    telling.settings("""
        override("deploy", "shop:shop", pre_hook="nowhere.instead")
    """)
    settings = telling.root / "config/settings.py"

    wrong, deploy = run(telling, "wrong", "deploy")

    app_line = line_of(telling.root / "shop/routines.py", '"nowhere.before"')
    assert wrong.text.startswith(f"E015 shop (shop/routines.py:{app_line}) shop:shop in routine")
    line = line_of(settings, "nowhere.instead")
    assert deploy.text.startswith(f"E015 settings (config/settings.py:{line}) shop:shop in routine")


def test_a_nested_routine_has_its_own_callbacks(telling: Project) -> None:
    """Hooks of the routine around it are called for the step that runs it, not for its steps."""
    hooks(
        telling,
        """
        def initialize(routine, plan, switches, options):
            say(routine.name, "initialize", sorted(switches), options.get("more"))

        def finalize(routine, results):
            say(routine.name, "finalize", [str(one) for one in results])

        def outer(routine, command, other, options):
            say(routine.name, "hook", command.command_str, type(command.result).__name__)

        def inner(routine, command, other, options):
            say(routine.name, "hook", shown(command), shown(other))

        def skip(*args):
            return True
        """,
    )
    telling.settings("""
        both = {"initialize": "hooks.initialize", "finalize": "hooks.finalize"}
        routine("deploy", "", pre_hook="hooks.outer", post_hook="hooks.outer", **both)
        command("deploy", "routine", "inner", "--more", step_id="nested")
        command("deploy", "tell", "last", step_id="last")
        routine("inner", "", pre_hook="hooks.inner", **both)
        command("inner", "tell", "one", step_id="one")
        command("inner", "tell", "two", switches=["more"], step_id="two")
        routine("skips", "", pre_hook="hooks.skip")
        command("skips", "routine", "inner", step_id="nested")
    """)

    deploy, skips = run(telling, "deploy", "skips")

    nested = "<RunResult inner: succeeded (settings:one: succeeded, settings:two: succeeded)>"
    assert deploy.said == [
        "deploy initialize [] None",
        "deploy hook routine inner --more NoneType",
        "inner initialize ['more'] True",
        "inner hook tell one=None -",
        "inner hook tell two=None tell one=one",
        "inner finalize ['one', 'two']",
        "deploy hook routine inner --more RunResult",
        "deploy hook tell last NoneType",
        "deploy hook tell last str",
        f"deploy finalize ['{nested}', 'last']",
    ]
    assert (skips.steps, skips.said, skips.ran) == ({"nested": "skipped"}, [], [])


def test_what_a_hook_does_to_the_options_ends_no_routine(telling: Project) -> None:
    """They are the hooks' and the signals' to share: emptied or filled, the steps still run."""
    hooks(
        telling,
        """
        def fill(routine, command, previous, options):
            options.update(sender="x", routine="y", signal="z", mine=[1])

        def empty(routine, command, previous, options):
            say(options.get("mine"))
            options.clear()

        def spoil(routine, command, previous, options):
            options[5] = "no name"
        """,
    )
    telling.settings("""
        for name in ("fill", "spoil"):
            command(name, "tell", "one", pre_hook=f"hooks.{name}")
            command(name, "tell", "two", pre_hook="hooks.empty")
            command(name, "tell", "three")
    """)

    fill, spoil = run(telling, "fill", "spoil")

    assert (fill.status, fill.text, fill.said) == ("succeeded", "", ["[1]"])
    assert (spoil.status, spoil.text, spoil.said) == ("succeeded", "", ["None"])


def test_secrets_in_hooks(telling: Project) -> None:
    """A hook is given a secret as one; one that it brings in is as well kept as a declared one."""
    hooks(
        telling,
        """
        from django_runbook import Secret

        def look(routine, command, previous, options):
            say(command.command_str, command.options, repr(command))

        def bring(routine, command, previous, options):
            command.command = (*command.command, Secret("brought-in"))

        def tell(routine, command, following, options):
            raise ValueError("it was open-sesame and brought-in")
        """,
    )
    telling.settings("""
        import sys

        word = Secret("open-sesame")
        command("look", "tell", word, tags=[word], pre_hook="hooks.look")
        command("declared", "tell", word, post_hook="hooks.tell")
        command("brought", "tell", word, pre_hook="hooks.bring", post_hook="hooks.tell")
        code = "import sys; sys.exit('it was ' + sys.argv[1])"
        system("program", sys.executable, "-c", code, pre_hook="hooks.bring")
    """)

    look, declared, brought, program = run(telling, "look", "declared", "brought", "program")

    assert look.ran == ["tell open-sesame open-sesame"]
    (said,) = look.said
    assert "open-sesame" not in said
    assert said.count("***") >= 3
    assert "it was *** and" in declared.text
    assert brought.ran == ["tell open-sesame brought-in"]
    assert brought.command_lines == ["tell *** ***"]
    assert "it was *** and ***" in brought.text
    assert "it was ***" in program.text
    for outcome in (brought, program):
        assert "brought-in" not in outcome.text
