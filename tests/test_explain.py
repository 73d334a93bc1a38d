"""The plan as plain text, as it is read in a pipe or a log."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .projects import Project, hook, line_of

COLUMNS = {"#", "PRIORITY", "STEP", "COMMAND", "SWITCHES", "SOURCE", "WHY"}

BOXES = re.compile("[\u2500-\u257f]")
"""The characters that tables are drawn with."""


def explained(project: Project, *args: str, **kwargs: dict[str, str]) -> str:
    """Return what ``routine deploy --explain`` prints, with no error."""
    done = project.manage("routine", "deploy", *args, "--explain", **kwargs)
    assert (done.status, done.err) == (0, "")
    return done.out


def table(text: str) -> dict[str, dict[str, str]]:
    """Return the rows of a plain plan by their step, each cut where its heading stands."""
    lines = text.splitlines()
    (heading,) = (line for line in lines if set(line.split()) == COLUMNS)
    names = heading.split()
    starts = [0, *(heading.index(f"  {name}") + 2 for name in names[1:])]
    ends = [*starts[1:], None]
    rows = {}
    for line in lines[lines.index(heading) + 1 :]:
        if re.match(r"[\d.]+ |off |disabled ", line):
            cells = [line[start:end] for start, end in zip(starts, ends, strict=True)]
            assert all(cell.endswith("  ") for cell in cells[:-1] if cell), line
            row = dict(zip(names, map(str.strip, cells), strict=True))
            rows[row["STEP"]] = row
    return rows


SHOP = """
    from django_runbook import hookimpl

    @hookimpl
    def contribute_routines(routines):
        routines.command("deploy", "probe", "shop", priority=50)
        routines.command("deploy", "probe", "late", priority=60, step_id="late")
"""


@pytest.fixture
def plan(project: Project) -> Project:
    """A project whose plan has something of everything."""
    project.app("shop", routines=SHOP)
    project.app("quiet")
    project.settings("""
        routine("deploy", "Deploy the site.", demo="Load the demo data.", extra="")
        command("deploy", "probe", "first", priority=2, run_after=["shop:probe"])
        command("deploy", "probe", "second", tag="x y")
        command("deploy", "probe", "demo", switches=["demo", "extra"])
        command("deploy", "probe", "gone", step_id="gone")
        system("deploy", "true", priority=-1)
        override("deploy", "shop:probe", priority=10)
        disable("deploy", "settings:gone")
    """)
    return project


def test_every_step_says_where_it_stands_whose_it_is_and_why(plan: Project) -> None:
    """A row has position, priority, id, command, switches, source with file:line, and a reason."""
    settings = plan.root / "config/settings.py"

    rows = table(explained(plan, "--demo"))

    assert {name: row["#"] for name, row in rows.items()} == {
        "settings:true": "1",
        "settings:probe-2": "2",
        "settings:probe-3": "3",
        "shop:probe": "4",
        "settings:probe": "5",
        "shop:late": "6",
        "settings:gone": "disabled",
    }
    origin = f"settings config/settings.py:{line_of(settings, 'x y')}"
    assert rows["settings:probe-2"] == {
        "#": "2",
        "PRIORITY": "0",
        "STEP": "settings:probe-2",
        "COMMAND": "probe second (tag='x y')",
        "SWITCHES": "",
        "SOURCE": origin,
        "WHY": "",
    }
    assert rows["settings:probe-3"]["SWITCHES"] == "demo, extra"
    assert rows["shop:late"]["SOURCE"] == "shop shop/routines.py:6"
    assert rows["settings:true"]["COMMAND"] == "true"


def test_moved_and_overridden_steps_say_so(plan: Project) -> None:
    """A step that a constraint moved shows both priorities; an override, who changed what."""
    override = line_of(plan.root / "config/settings.py", "override(")

    rows = table(explained(plan))

    moved = rows["settings:probe"]
    assert (moved["PRIORITY"], moved["WHY"]) == ("2 -> 10", "after shop:probe")
    changed = rows["shop:probe"]
    assert changed["PRIORITY"] == "10"
    assert "50 -> 10" in changed["WHY"]
    assert f"settings (config/settings.py:{override})" in changed["WHY"]


def test_what_does_not_run_stands_below_with_its_reason(plan: Project) -> None:
    """Steps that are switched off or disabled follow under their own heading."""
    disable = line_of(plan.root / "config/settings.py", "disable(")

    text = explained(plan)

    above, below = text.split("\nLeft out:\n")
    assert "probe demo" not in above
    assert "probe gone" not in above
    assert "probe demo" in below
    assert "probe gone" in below
    rows = table(text)
    off, gone = rows["settings:probe-3"], rows["settings:gone"]
    assert (off["#"], off["WHY"]) == ("off", "needs --demo or --extra")
    assert gone["#"] == "disabled"
    assert f"disabled by settings (config/settings.py:{disable})" in gone["WHY"]


def test_the_header_says_what_is_switched_on_and_that_lower_runs_first(plan: Project) -> None:
    """Above the steps stand the routine's help, how to read priorities, and the switches."""
    lines = explained(plan, "--demo").splitlines()

    assert lines[0] == "deploy: Deploy the site."
    header = " ".join(lines[: lines.index("")])
    assert "Lower priorities run first." in header
    assert "  --demo (on) Load the demo data." in lines
    assert "  --extra (off)" in lines


def test_sources_that_gave_nothing_are_named(plan: Project) -> None:
    """Searched and found empty is not the same as forgotten."""
    (line,) = (line for line in explained(plan).splitlines() if line.startswith("Searched"))

    assert "quiet" in line
    assert "shop" not in line
    assert "settings" not in line


def test_the_text_ends_with_the_fingerprint_of_the_document(plan: Project) -> None:
    """Text and JSON name the same plan."""
    text = explained(plan)

    assert text.splitlines()[-1] == f"Fingerprint: {plan.explain()['fingerprint']}"


def test_the_text_is_the_same_for_every_width_and_setting_of_a_terminal(plan: Project) -> None:
    """In a pipe there are no colours, no boxes and no cuts, whatever the environment says."""
    plan.settings(
        (plan.root / "config/settings.py").read_text().partition("routine(")[0]
        + f'routine("deploy", "{"long " * 60}")\n'
        + f'command("deploy", "probe", *["{"word" * 20}"] * 5)\n'
    )
    wide = explained(plan)

    assert "\x1b" not in wide
    assert not BOXES.search(wide)
    assert "word" * 20 + " " + "word" * 20 in wide
    assert ("long " * 60).strip() in wide
    assert "…" not in wide
    for env in (
        {"COLUMNS": "20"},
        {"COLUMNS": "300", "TERM": "xterm-256color"},
        {"NO_COLOR": "1", "TERM": "dumb"},
        {"DJANGO_COLORS": "light"},
    ):
        assert explained(plan, env=env) == wide, env
    assert plan.manage("routine", "--no-color", "deploy", "--explain").out == wide


def test_the_text_does_not_depend_on_where_it_is_asked_for(plan: Project, tmp_path: Path) -> None:
    """Neither the working directory nor the hash seed shows in a plan."""
    text = explained(plan)

    for seed in ("1", "2"):
        env = {"PYTHONHASHSEED": seed}
        assert explained(plan, env=env, cwd=tmp_path) == text
    assert str(tmp_path) not in text


def test_problems_follow_with_their_hints(project: Project) -> None:
    """Errors and warnings stand below the steps: whose, what and how to mend it; status 1."""
    settings = project.settings("""
        command("deploy", "probe", "one", run_after=["prob"])
        command("deploy", "prob", "two")
    """)

    done = project.manage("routine", "deploy", "--explain")

    assert (done.status, done.err) == (1, "")
    problems = done.out.partition("\nProblems:\n")[2].partition("\n\n")[0].splitlines()
    one = f"settings (config/settings.py:{line_of(settings, 'one')})"
    two = f"settings (config/settings.py:{line_of(settings, 'two')})"
    assert [line for line in problems if line.startswith(f"ERROR {two}: (django_runbook.E012)")]
    # The constraint of "one" matches a command of that name, wrong as it is: no warning.
    assert not [line for line in problems if one in line]
    assert problems[1] == "    HINT: Did you mean 'probe'?"
    assert table(done.out).keys() == {"settings:probe", "settings:prob"}


def test_a_warning_is_shown_and_is_no_failure(project: Project) -> None:
    """A constraint that matches nothing is a warning, with the closest match as its hint."""
    project.settings('command("deploy", "probe", step_id="one", run_after=["migrate"])')

    text = explained(project)

    warning = r"^WARNING settings \(config/settings.py:\d+\): \(django_runbook.W001\)"
    assert re.search(warning, text, re.MULTILINE)
    assert "    HINT: " in text


def test_all_routines_one_after_the_other(project: Project) -> None:
    """``routine --explain`` shows every routine; an error in one of them gives status 1."""
    project.settings("""
        routine("deploy", "Deploy it.")
        command("deploy", "probe", "a")
        command("clean", "probe", "b", switches=["x"])
        command("clean", "probe", "c")
    """)
    both = project.manage("routine", "--explain")

    assert (both.status, both.err) == (0, "")
    clean = project.manage("routine", "clean", "--explain").out.strip()
    deploy = project.manage("routine", "deploy", "--explain").out.strip()
    assert both.out.strip() == f"{clean}\n\n{deploy}"

    with (project.root / "config/settings.py").open("a") as file:
        file.write('\ncommand("clean", "prob")\n')
    assert project.manage("routine", "--explain").status == 1
    assert project.manage("routine", "deploy", "--explain").status == 0


def test_what_is_wrong_outside_of_every_routine_is_shown_for_all(project: Project) -> None:
    """A plugin that cannot be loaded is a problem of every plan, and of a site without one."""
    project.app("shop", routines="import no_such_module\n")
    project.settings("")

    done = project.manage("routine", "--explain")

    assert done.status == 1
    assert "django_runbook.E003" in done.out
    assert "no_such_module" in done.out


def test_a_routine_with_no_step_that_runs(project: Project) -> None:
    """A plan without steps says so."""
    project.settings('command("deploy", "probe", switches=["demo"])')

    text = explained(project)

    assert "No step runs." in text
    assert "needs --demo" in text


def test_a_distribution_is_shown_with_its_version(project: Project) -> None:
    """A plugin's step says which version of it was installed, and its file as imported."""
    project.distribution(
        "acme-probe",
        version="2.5",
        modules={"acme_probe/hooks.py": hook('routines.command("deploy", "probe", "acme")')},
        entry_points={"django_runbook": {"probe": "acme_probe.hooks"}},
    )
    project.settings('DJANGO_RUNBOOK = {"PLUGINS": {"allow": ["acme-probe"]}}')

    rows = table(explained(project))

    assert rows["acme-probe:probe"]["SOURCE"] == "acme-probe 2.5 acme_probe/hooks.py:5"


HOSTILE = [
    "line\nbreak",
    "carriage\rreturn",
    "esc\x1b[31mred\x1b[0m",
    "bell\x07 and \x00 nul",
    "title\x1b]0;owned\x07",
    "c1\x9b31m",
    "right-to-left \u202e override",
    "separator\u2028here",
]


def test_nothing_that_a_terminal_acts_upon_comes_through(project: Project) -> None:
    """Control characters in helps and arguments are shown as escapes, on the step's one line."""
    project.settings(f"""
        for number, text in enumerate({HOSTILE!r}):
            command("deploy", "probe", text, tag=text)
            routine("deploy", text, **{{f"s{{number}}": text}})
            command("deploy", "probe", switches=[f"s{{number}}"])
            override("deploy", "settings:probe", help_text=text)
        command("deploy", "probe", "a", run_after=["x\\ny\\x1b"])
    """)

    for text in (explained(project), explained(project, "--all")):
        lines = text.split("\n")
        for line in lines:
            assert line.isprintable(), repr(line)
        for number in range(len(HOSTILE)):
            assert len([line for line in lines if line.startswith(f"  --s{number} (")]) == 1
    rows = table(explained(project))
    assert len(rows) == 2 * len(HOSTILE) + 1
    listed = project.manage("routine", "deploy", "list").out.split("\n")
    assert len(listed) == len(HOSTILE) + 2
    assert all(line.isprintable() for line in listed)
    document = project.explain()
    assert [step["argv"][1] for step in document["steps"][: len(HOSTILE)]] == HOSTILE


def test_markup_is_no_markup(project: Project) -> None:
    """Square brackets are what was written, not colours."""
    project.settings("""
        routine("deploy", "A [red]red[/red] [/] word:", demo="[bold]", other="[/x]")
        command("deploy", "probe", "[red]x[/red]", "[/]", switches=["demo", "other"])
    """)

    text = explained(project, "--demo")

    assert text.splitlines()[0] == "deploy: A [red]red[/red] [/] word:"
    assert "  --demo (on) [bold]" in text
    assert "  --other (off) [/x]" in text
    assert "probe '[red]x[/red]' '[/]'" in text


def test_wide_characters_keep_the_columns_aligned_for_those_who_count(project: Project) -> None:
    """Whatever the script, the command line is there, whole."""
    project.settings('command("deploy", "probe", "日本語", "Ümläute", "👍🏽")')

    assert "probe 日本語 Ümläute" in explained(project).replace("'", "")


def test_force_color_in_a_pipe_is_the_users_choice(plan: Project) -> None:
    """``--force-color`` gives the table even where there is no terminal."""
    done = plan.manage("routine", "--force-color", "deploy", "--explain")

    assert done.status == 0
    assert "\x1b[" in done.out
    assert BOXES.search(done.out)
