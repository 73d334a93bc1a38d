"""What people see: the routine command on a terminal of its own."""

from __future__ import annotations

import os
import re
import sys

import pexpect
import pytest

from .projects import ENVIRONMENT, Project

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile("^ *[\u2500-\u257f]{5}")
"""A line that a table is drawn with."""


def on_terminal(project: Project, *args: str, columns: int = 100) -> tuple[int, str]:
    """Run ``manage.py`` on a pseudo-terminal; return its exit status and what it showed."""
    environment = {
        **{key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")},
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(map(str, project.paths)),
        "TERM": "xterm-256color",
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    child = pexpect.spawn(
        sys.executable,
        [str(project.root / "manage.py"), *args],
        cwd=str(project.root),
        env=environment,
        encoding="utf-8",
        dimensions=(40, columns),
        timeout=60,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None, f"killed by signal {child.signalstatus}"
    return child.exitstatus, (child.before or "").replace("\r\n", "\n")


def cells(shown: str) -> str:
    """Return what the columns of all tables hold, folded lines joined, without spaces."""
    tables: list[list[str]] = [[]]
    for line in ESCAPES.sub("", shown).splitlines():
        if RULE.match(line):
            tables[-1].append("")
        elif tables[-1] and line.startswith(" "):
            tables[-1].append(re.sub("[\u2500-\u257f]", " ", line))
        elif tables[-1]:
            tables.append([])
    return " ".join(column for table in tables for column in unfolded(table))


def unfolded(lines: list[str]) -> list[str]:
    """Return the columns of a table: what stands between two gaps that no line crosses."""
    width = max(map(len, lines), default=0)
    padded = [line.ljust(width) for line in lines]
    blank = "".join("x" if "".join(column).strip() else " " for column in zip(*padded, strict=True))
    spans = [found.span() for found in re.finditer("x+(?: x+)*", blank)]
    return ["".join("".join(line[start:end].split()) for line in lines) for start, end in spans]


@pytest.fixture
def plan(project: Project) -> Project:
    """A project whose plan has long cells, and square brackets."""
    project.settings(f"""
        routine("deploy", "Deploy [red]the[/red] site.", demo="Load [/] it.")
        command("deploy", "probe", "[red]x[/red]", "/{"/".join(["directory"] * 20)}/end", tag="[/]")
        command("deploy", "probe", "second", priority=3, run_before=["settings:probe"])
        command("deploy", "probe", "demo", switches=["demo"])
        override("deploy", "settings:probe-3", priority=7)
    """)
    return project


@pytest.mark.parametrize("columns", [60, 100, 250])
def test_a_table_on_a_terminal_loses_nothing(plan: Project, columns: int) -> None:
    """The table fits the terminal; what is too long for its column is folded and not cut."""
    status, shown = on_terminal(plan, "routine", "deploy", "--explain", columns=columns)

    assert status == 0
    plain = ESCAPES.sub("", shown)
    assert all(len(line) <= columns for line in plain.splitlines())
    assert COLOURS.search(shown)
    assert "…" not in plain
    assert "Deploy [red]the[/red] site." in plain
    assert "Load [/] it." in plain
    everything = cells(shown)
    for step in plan.explain()["steps"]:
        assert step["id"] in everything
        assert f"{step['origin']['file']}:{step['origin']['line']}" in everything
    assert f"probe'[red]x[/red]'/{'/'.join(['directory'] * 20)}/end(tag='[/]')" in everything
    assert "3->0" in everything
    assert "beforesettings:probe" in everything
    assert "needs--demo" in everything
    assert plan.ran == []


def test_no_color_on_a_terminal(plan: Project) -> None:
    """``--no-color`` leaves the table and takes the colours."""
    status, shown = on_terminal(plan, "routine", "--no-color", "deploy", "--explain")

    assert status == 0
    assert not COLOURS.search(shown)
    assert any(map(RULE.match, shown.splitlines()))


def test_json_on_a_terminal_is_the_same_document(plan: Project) -> None:
    """A document is neither coloured nor folded, wherever it is written."""
    line = ("routine", "deploy", "--explain", "--format", "json")

    status, shown = on_terminal(plan, *line, columns=40)

    assert (status, shown) == (0, plan.manage(*line).out)


def test_problems_on_a_terminal(project: Project) -> None:
    """Errors stand below the table, with their hints and exit status 1."""
    project.settings("""
        command("deploy", "probe", "x")
        command("deploy", "prob", "[red]y[/red]")
    """)

    status, shown = on_terminal(project, "routine", "deploy", "--explain", columns=300)

    plain = ESCAPES.sub("", shown)
    assert status == 1
    assert "there is no management command 'prob'." in plain
    assert "HINT: Did you mean 'probe'?" in plain
    assert "Traceback" not in plain


def test_hostile_texts_do_not_reach_the_terminal(project: Project) -> None:
    """A title, a colour or a cursor movement in an argument or a help is shown, not obeyed."""
    hostile = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\re\nf\u202eg"
    project.settings(f"""
        routine("deploy", {hostile!r}, demo={hostile!r})
        command("deploy", "probe", {hostile!r}, tag={hostile!r}, run_after=[{hostile!r}])
        command("deploy", "probe", switches=["demo"])
    """)

    for args in (["deploy", "--explain"], ["deploy", "list"], ["--help"], ["deploy", "--help"]):
        _, shown = on_terminal(project, "routine", *args, columns=200)
        plain = COLOURS.sub("", shown)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", plain), args


def test_running_on_a_terminal_echoes_and_reports(project: Project) -> None:
    """Steps are echoed in colour, and a failure says the same as anywhere."""
    project.settings("""
        command("deploy", "probe", "one")
        system("deploy", "sh", "-c", "test -t 0 && echo interactive")
        command("deploy", "probe", "--fail")
    """)

    status, shown = on_terminal(project, "routine", "deploy")

    plain = ESCAPES.sub("", shown)
    assert status == 1
    lines = plain.splitlines()
    assert lines.index("probe one") < lines.index("probed one v1") < lines.index("interactive")
    assert "Step 3 of 3 of routine 'deploy' failed: settings:probe-2" in plain
    assert COLOURS.search(shown)


def test_running_without_colours_on_a_terminal(project: Project) -> None:
    """``--no-color`` holds for the echo and for the commands that run."""
    project.settings('command("deploy", "check")')

    status, shown = on_terminal(project, "routine", "--no-color", "deploy")

    assert status == 0
    assert "\x1b" not in shown
    assert "System check identified no issues" in shown
