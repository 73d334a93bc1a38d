"""The command line: what explains, what runs, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .projects import Project

DEPLOY = """
    import sys

    routine("deploy", "Deploy the site.", demo="Load the demo data.", demo_data="Load more.")
    command("deploy", "probe", "always")
    command("deploy", "probe", "demo", switches=["demo"])
    command("deploy", "probe", "more", switches=["demo-data"])
    system("deploy", sys.executable, "-c", "with open('ran.txt', 'a') as f: f.write('system\\\\n')")
    command("package", "probe", "packed")
"""

ALWAYS = ["probe always", "system"]
"""What :data:`DEPLOY` runs without a switch."""

CALLS = """
    import io
    import json
    from pathlib import Path

    import django

    django.setup()

    from django.core.management import call_command
    from django.core.management.base import CommandError

    for args, options in {calls!r}:
        stdout = io.StringIO()
        status, message = 0, ""
        try:
            call_command("routine", *args, stdout=stdout, **options)
        except CommandError as exc:
            status, message = exc.returncode, str(exc)
        except Exception as exc:
            status, message = type(exc).__name__, str(exc)
        trace = Path("ran.txt")
        ran = trace.read_text().splitlines() if trace.exists() else []
        trace.unlink(missing_ok=True)
        result = {{"status": status, "message": message, "ran": ran, "out": stdout.getvalue()}}
        print("RESULT", json.dumps(result))
"""


def call(project: Project, *calls: tuple[tuple[str, ...], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what each ``call_command("routine", *args, **options)`` did, all in one process."""
    done = project.python(CALLS.format(calls=calls))
    assert done.status == 0, done.err
    lines = [line for line in done.out.splitlines() if line.startswith("RESULT ")]
    return [json.loads(line.removeprefix("RESULT ")) for line in lines]


@pytest.mark.parametrize(
    "line",
    [
        "deploy --explain",
        "--explain deploy",
        "--explain deploy --explain",
        "deploy --explain --demo",
        "deploy --demo --explain",
        "--explain deploy --all",
        "--explain --format json deploy",
        "--format json --explain deploy --demo",
        "--format json deploy --explain",
        "deploy --format json --explain",
        "deploy --format table --explain --demo-data",
        "--explain",
        "--explain --format json",
        "deploy list",
        "deploy --demo list",
        "--explain deploy list",
        "deploy --explain list",
        "--skip-checks deploy --explain",
        "--verbosity 0 deploy --explain",
    ],
)
def test_explaining_runs_nothing_wherever_the_option_stands(project: Project, line: str) -> None:
    """Every spelling of "show me" shows the plan, runs no step and opens no database."""
    project.settings(DEPLOY)

    done = project.manage("routine", *line.split())

    assert (done.status, done.err) == (0, "")
    assert "probe always" in done.out or '"always"' in done.out
    assert project.ran == []
    assert not (project.root / "db.sqlite3").exists()


def test_explaining_through_call_command_runs_nothing(project: Project) -> None:
    """``explain=True``, the words of the command line and both together never run a step."""
    project.settings(DEPLOY)
    calls: list[tuple[tuple[str, ...], dict[str, Any]]] = [
        (("deploy", "--explain"), {}),
        (("--explain", "deploy"), {}),
        (("deploy",), {"explain": True}),
        (("deploy", "--explain"), {"explain": True}),
        (("deploy", "--explain"), {"explain": False}),
        (("deploy", "--demo"), {"explain": True}),
        (("deploy", "--all"), {"explain": True, "verbosity": 0}),
        (("deploy",), {"explain": True, "format": "json"}),
        (("deploy", "--format", "json"), {"explain": True}),
        (("deploy", "list"), {}),
        (("deploy", "list"), {"explain": True}),
        ((), {"explain": True}),
        (("--explain",), {}),
    ]

    results = call(project, *calls)

    assert len(results) == len(calls)
    for given, result in zip(calls, results, strict=True):
        assert (result["status"], result["ran"]) == (0, []), (given, result)
        assert "always" in result["out"], given


def test_a_command_instance_forgets_what_it_was_asked_before(project: Project) -> None:
    """One instance called again and again neither goes on explaining nor keeps a switch."""
    project.settings(DEPLOY)

    done = project.python("""
        import io
        from pathlib import Path

        import django

        django.setup()
        from django.core.management import call_command, load_command_class

        command = load_command_class("django_runbook", "routine")
        lines = ["--explain deploy", "deploy --demo", "deploy", "deploy --explain", "deploy list"]
        for line in lines:
            Path("ran.txt").write_text("")
            call_command(command, *line.split(), stdout=io.StringIO())
            print(line, "|", *Path("ran.txt").read_text().splitlines())
    """)

    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "--explain deploy |",
        "deploy --demo | probe always probe demo system",
        "deploy | probe always system",
        "deploy --explain |",
        "deploy list |",
    ]


@pytest.mark.parametrize("keyword", ["explain", "routine_explain"])
def test_no_keyword_with_explain_in_its_name_lets_a_step_run(
    project: Project, keyword: str
) -> None:
    """Whatever a caller finds the option to be called inside, the steps do not run."""
    project.settings(DEPLOY)

    (result,) = call(project, (("deploy",), {keyword: True}))

    assert result["ran"] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", ["deploy", "package", "--explain"]),
        ("deplo", ["'deplo'", "Did you mean 'deploy'?"]),
        ("--explain deplo", ["'deplo'", "Did you mean 'deploy'?"]),
        ("xyzzy", ["'xyzzy'", "deploy", "package"]),
        ("deploy --dmo", ["--dmo", "--demo"]),
        ("deploy --dmo --explain", ["--dmo", "--demo"]),
        ("deploy --explian", ["--explian", "--explain"]),
        ("--explian deploy", ["--explian", "--explain"]),
        ("deploy lst", ["'lst'", "list"]),
        ("deploy demo", ["'demo'"]),
        ("deploy list more", ["more"]),
        ("deploy --demo=yes", ["--demo"]),
        ("deploy --format json", ["--format", "--explain"]),
        ("--format json deploy", ["--format", "--explain"]),
        ("deploy --demo --format table", ["--format", "--explain"]),
        ("--format json", ["--explain"]),
        ("deploy --explain --format xml", ["xml", "json"]),
        ("--verbosity 7 deploy", ["7"]),
        ("--verbosity loud deploy", ["loud"]),
    ],
)
def test_wrong_usage_ends_with_2_and_a_short_message(
    project: Project, line: str, said: list[str]
) -> None:
    """A mistyped command line names what is wrong and the closest match, and runs nothing."""
    project.settings(DEPLOY)

    done = project.manage("routine", *line.split())

    assert (done.status, done.out) == (2, ""), done.err
    assert project.ran == []
    assert "Traceback" not in done.err
    assert len(done.err.strip().splitlines()) <= 3
    for word in said:
        assert word in done.err


def test_list_with_format_is_wrong_usage(project: Project) -> None:
    """``--format`` without ``--explain`` is refused before ``list`` prints anything."""
    project.settings(DEPLOY)

    done = project.manage("routine", "deploy", "--format", "json", "list")

    assert (done.status, done.out) == (2, "")


@pytest.mark.parametrize(
    ("line", "ran"),
    [
        ("deploy", ["probe always", "system"]),
        ("deploy --demo", ["probe always", "probe demo", "system"]),
        ("deploy --demo-data", ["probe always", "probe more", "system"]),
        ("deploy --demo-data --demo", ["probe always", "probe demo", "probe more", "system"]),
        ("deploy --all", ["probe always", "probe demo", "probe more", "system"]),
        ("deploy --all --demo", ["probe always", "probe demo", "probe more", "system"]),
        ("package", ["probe packed"]),
    ],
)
def test_switches_turn_steps_on(project: Project, line: str, ran: list[str]) -> None:
    """A step with switches runs when one of them is given; the order stays the plan's."""
    project.settings(DEPLOY)

    done = project.manage("routine", *line.split())

    assert (done.status, done.err) == (0, "")
    assert project.ran == ran


def test_switches_through_call_command(project: Project) -> None:
    """Switches are words of the command line, and keywords with their own names."""
    project.settings(DEPLOY)

    results = call(
        project,
        (("deploy",), {}),
        (("deploy", "--demo"), {}),
        (("deploy", "--demo", "--demo-data"), {}),
        (("deploy", "--all"), {}),
        (("deploy",), {"demo": True}),
        (("deploy",), {"demo_data": True}),
        (("deploy",), {"demo": True, "demo_data": True}),
        (("deploy",), {"demo": False}),
        (("deploy", "--demo"), {"demo_data": True}),
        (("deploy",), {"all": True}),
    )

    everything = ["probe always", "probe demo", "probe more", "system"]
    assert [(result["status"], result["ran"]) for result in results] == [
        (0, ALWAYS),
        (0, ["probe always", "probe demo", "system"]),
        (0, everything),
        (0, everything),
        (0, ["probe always", "probe demo", "system"]),
        (0, ["probe always", "probe more", "system"]),
        (0, everything),
        (0, ALWAYS),
        (0, everything),
        (0, everything),
    ]


def test_switches_as_keywords_are_explained(project: Project) -> None:
    """A keyword switch goes together with ``explain=True``, and then nothing runs."""
    project.settings(DEPLOY)

    (result,) = call(project, (("deploy",), {"demo_data": True, "explain": True, "format": "json"}))

    assert (result["status"], result["ran"]) == (0, []), result["message"]
    assert json.loads(result["out"])["switches"]["active"] == ["demo_data"]


def test_a_routine_and_its_switches_have_one_name_in_both_spellings(project: Project) -> None:
    """``-`` and ``_`` mean the same where a routine is declared and where it is asked for."""
    project.settings("""
        routine("nightly_clean", "Clean.", old_ones="The old ones.")
        command("nightly-clean", "probe", "old", switches=["old-ones"])
    """)

    assert project.manage("routine", "nightly-clean", "--old-ones").status == 0
    assert project.ran == ["probe old"]
    assert project.manage("routine", "nightly_clean", "--old-ones").status == 0
    assert project.ran == ["probe old", "probe old"]


ODD_SWITCHES = (
    *("self", "ctx", "class", "given", "routine", "help_text", "commands", "import", "import_"),
    *("routine-explain", "routine-format", "routine_all", "callback", "args", "kwargs", "options"),
)


def test_a_switch_may_be_called_like_a_parameter_of_ours(project: Project) -> None:
    """Names that Python or our own functions use inside are switches like any other."""
    project.settings(f"""
        for name in {ODD_SWITCHES!r}:
            command("deploy", "probe", name, switches=[name])
    """)

    # One by one, so that each is seen to turn on its own step and no other.
    every, *single = call(
        project,
        (("deploy", "--all"), {}),
        *((("deploy", f"--{name}"), {}) for name in ODD_SWITCHES),
    )

    assert every["ran"] == [f"probe {name}" for name in ODD_SWITCHES], every["message"]
    assert [result["ran"] for result in single] == [[f"probe {name}"] for name in ODD_SWITCHES]


def test_a_keyword_is_the_switch_of_its_name_whatever_the_others_are_called(
    project: Project,
) -> None:
    """Only a name that Python does not allow, or that is taken, cannot be given as it is."""
    project.settings(f"""
        for name in {ODD_SWITCHES!r}:
            command("deploy", "probe", name, switches=[name])
    """)
    names = ["given", "callback", "commands", "help_text", "import_", "kwargs", "options"]

    results = call(project, *((("deploy",), {name: True}) for name in names))

    assert [result["ran"] for result in results] == [[f"probe {name}"] for name in names], results


def test_a_switch_that_nobody_can_write_is_refused_and_the_others_work(project: Project) -> None:
    """What is no name is an error of the plan, and no crash of the command line."""
    project.settings("""
        command("deploy", "probe", switches=["x\u00b2"])
        command("package", "probe", "packed", switches=["caf\u00e9"])
    """)

    refused = project.manage("routine", "deploy")
    assert (refused.status, project.ran) == (1, [])
    assert "(django_runbook.E001) 'x\u00b2' cannot be the name of a switch" in refused.err
    assert "Traceback" not in refused.err
    assert project.manage("routine", "package", "--caf\u00e9").status == 0
    assert project.ran == ["probe packed"]


def test_get_plan_takes_switches_in_both_spellings(project: Project) -> None:
    """``get_plan`` finds a routine and its switches however they are spelt, and runs nothing."""
    project.settings(DEPLOY)

    done = project.python("""
        import django

        django.setup()
        from django_runbook import get_plan

        for switches in ([], ["demo"], ["demo_data"], ["demo-data"], ["--demo-data"]):
            plan = get_plan("deploy", switches)
            print(*plan.active, "|", *(step.id for step in plan.steps))
        print([(step.position, step.status) for step in plan.left_out], plan.problems)
    """)

    assert done.out.splitlines() == [
        "| settings:probe settings:python",
        "demo | settings:probe settings:probe-2 settings:python",
        "demo_data | settings:probe settings:probe-3 settings:python",
        "demo_data | settings:probe settings:probe-3 settings:python",
        "demo_data | settings:probe settings:probe-3 settings:python",
        "[(None, 'switched_off')] ()",
    ]
    assert project.ran == []


def test_get_plan_of_what_is_unknown(project: Project) -> None:
    """An unknown routine is a ``KeyError``, an unknown switch an error; both say what is close."""
    project.settings(DEPLOY)

    done = project.python("""
        import django

        django.setup()
        from django_runbook import get_plan
        from django_runbook.exceptions import RunbookError, UnknownRoutine, UnknownSwitch

        for asked in (("deplo",), ("deploy", ["dmo"])):
            try:
                get_plan(*asked)
            except RunbookError as exc:
                print(type(exc).__name__, isinstance(exc, KeyError), exc)
    """)

    assert done.out.splitlines() == [
        "UnknownRoutine True There is no routine 'deplo'. Did you mean 'deploy'?",
        "UnknownSwitch False Routine 'deploy' has no switch --dmo. Did you mean '--demo'?",
    ]


def test_call_command_raises_with_the_exit_status(project: Project) -> None:
    """Through ``call_command`` every ending is a ``CommandError`` with its ``returncode``."""
    project.settings(
        DEPLOY
        + """
    command("broken", "probe", "before")
    command("broken", "probe", "--fail")
    command("wrong", "probe", "before")
    command("wrong", "prob")
    """
    )

    results = call(
        project,
        (("broken",), {}),
        (("wrong",), {}),
        (("deplo",), {}),
        (("deploy", "--dmo"), {}),
        (("deploy", "lst"), {}),
        (("deploy",), {"format": "json"}),
        ((), {}),
    )

    assert [result["status"] for result in results] == [1, 1, 2, 2, 2, 2, 2]
    assert [result["ran"] for result in results] == [["probe before", "probe"], *[[]] * 6]
    assert "settings:probe-2" in results[0]["message"]
    assert "there is no management command 'prob'" in results[1]["message"]


def test_explaining_a_plan_with_errors_through_call_command_tells_its_status(
    project: Project,
) -> None:
    """A caller can tell a plan with errors from a good one, as the exit status does."""
    project.settings('command("wrong", "prob")')

    results = call(project, (("wrong",), {"explain": True}), (("wrong", "--explain"), {}))

    assert [result["status"] for result in results] == [1, 1]
    assert all("there is no management command 'prob'" in result["out"] for result in results)


def test_a_plan_with_errors_ends_with_1_and_runs_nothing(project: Project) -> None:
    """Explained or run, an error in the plan is status 1; a warning alone is not."""
    settings = project.settings("""
        command("deploy", "probe", "a", run_after=["nothing"])
        command("wrong", "probe", "a")
        command("wrong", "prob")
    """)

    warned = project.manage("routine", "deploy")
    assert (warned.status, project.ran) == (0, ["probe a"])
    assert project.manage("routine", "deploy", "--explain").status == 0

    explained = project.manage("routine", "wrong", "--explain")
    listed = project.manage("routine", "wrong", "list")
    refused = project.manage("routine", "wrong")
    assert [explained.status, listed.status, refused.status] == [1, 1, 1]
    line = settings.read_text().splitlines().index('command("wrong", "prob")') + 1
    error = (
        f"ERROR settings (config/settings.py:{line}): (django_runbook.E012) settings:prob in "
        "routine 'wrong': there is no management command 'prob'."
    )
    assert error in explained.out.splitlines()
    assert refused.err.splitlines() == [
        "CommandError: Routine 'wrong' was not run: 1 error.",
        error,
        "    HINT: Did you mean 'probe'?",
    ]
    assert refused.out == ""
    assert project.ran == ["probe a"]


def test_a_routine_that_is_unknown_because_its_declaration_is_wrong(project: Project) -> None:
    """Where declarations have errors, one may be why there is no such routine: status 1."""
    project.settings('DJANGO_ROUTINES = {"deploy": ["migrate"]}')

    done = project.manage("routine", "deplyo")

    assert done.status == 1
    assert "deplyo" in done.err
    assert "E001" in done.err
    assert "Traceback" not in done.err


def test_no_routine_is_declared(project: Project) -> None:
    """A site without routines is told so."""
    project.settings("")

    explained = project.manage("routine", "--explain")
    assert (explained.status, explained.out.strip()) == (0, "No routine is declared.")
    named = project.manage("routine")
    assert named.status == 2
    assert "none is declared" in named.err
    document = project.manage("routine", "--explain", "--format", "json").document
    assert document["routines"] == []


def test_list_prints_a_line_for_each_step_that_would_run(project: Project) -> None:
    """``list`` shows priority, command line and switches, for the switches given."""
    project.settings("""
        command("deploy", "probe", "late", priority=9, tag="x y")
        command("deploy", "probe", "two words", priority=-1)
        command("deploy", "probe", switches=["demo-data", "demo"])
    """)

    assert project.manage("routine", "deploy", "list").out.splitlines() == [
        "[-1] probe 'two words'",
        "[9] probe late (tag='x y')",
    ]
    assert project.manage("routine", "deploy", "--demo", "list").out.splitlines() == [
        "[-1] probe 'two words'",
        "[0] probe | demo-data, demo",
        "[9] probe late (tag='x y')",
    ]
