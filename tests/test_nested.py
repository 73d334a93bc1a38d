"""Routines that run routines: explained inside, run inside, failing with both names."""

from __future__ import annotations

from typing import Any

import pytest

from .projects import Project, ids, line_of, problem_ids

NESTED = """
    routine("package", "Build it.", docs="The manual, too.")
    command("package", "probe", "build")
    command("package", "probe", "docs", switches=["docs"])
    command("deploy", "probe", "before")
    command("deploy", "routine", "package", switches=["build"])
    command("deploy", "probe", "after")
"""


def shape(document: Any) -> list[Any]:
    """Return the steps of a document that run, each with the shape of the plan nested in it."""
    return [
        (" ".join(step["argv"]), shape(step["plan"])) if "plan" in step else " ".join(step["argv"])
        for step in document["steps"]
        if step["status"] == "run"
    ]


def test_a_nested_routine_is_explained_inside_and_run_inside(project: Project) -> None:
    """Its steps stand below the step that runs it, numbered 2.1, and run in its place."""
    project.settings(NESTED)

    document = project.explain("deploy", "--build")
    assert shape(document) == ["probe before", ("routine package", ["probe build"]), "probe after"]
    nested = document["steps"][1]["plan"]
    assert nested["routine"] == "package"
    assert nested["help_text"] == "Build it."
    assert ids(nested, "switched_off") == ["settings:probe-2"]

    rows = project.manage("routine", "deploy", "--build", "--explain").out.splitlines()
    numbers = [row.split()[0] for row in rows if row[:1].isdigit()]
    assert numbers == ["1", "2", "2.1", "3"]
    assert any(row.startswith("off") and "probe docs" in row for row in rows)

    done = project.manage("routine", "deploy", "--build")
    assert (done.status, done.err) == (0, "")
    assert project.ran == ["probe before", "probe build", "probe after"]
    assert done.out.splitlines() == [
        "probe before",
        "probed before v1",
        "routine package",
        "probe build",
        "probed build v1",
        "probe after",
        "probed after v1",
    ]


def test_a_nested_routine_that_is_switched_off_is_not_opened(project: Project) -> None:
    """Left out, the step shows no plan, and nothing of the nested routine runs."""
    project.settings(NESTED)

    document = project.explain("deploy")
    assert shape(document) == ["probe before", "probe after"]
    assert ids(document, "switched_off") == ["settings:routine"]

    assert project.manage("routine", "deploy").status == 0
    assert project.ran == ["probe before", "probe after"]


@pytest.mark.parametrize(
    ("step", "ran"),
    [
        ('("routine", "package")', ["probe build"]),
        ('("routine", "package", "--docs")', ["probe build", "probe docs"]),
        ('("routine", "package", "--more-docs")', ["probe build", "probe more"]),
        (
            '("routine", "package", "--docs", "--more-docs")',
            ["probe build", "probe docs", "probe more"],
        ),
        ('("routine", "package", "--all")', ["probe build", "probe docs", "probe more"]),
        ('"routine", "package", "--docs"', ["probe build", "probe docs"]),
        ('"routine", "package", docs=True', ["probe build", "probe docs"]),
        ('"routine", "package", more_docs=True', ["probe build", "probe more"]),
        ('"routine", "package", docs=False', ["probe build"]),
        ('"routine", "package", all=True', ["probe build", "probe docs", "probe more"]),
    ],
)
def test_the_switches_of_a_nested_routine(project: Project, step: str, ran: list[str]) -> None:
    """A nested routine has the switches its step gives it, and none of its parent's."""
    project.settings(f"""
        command("package", "probe", "build")
        command("package", "probe", "docs", switches=["docs"])
        command("package", "probe", "more", switches=["more_docs"])
        command("deploy", "probe", "parent", switches=["docs"], priority=9)
        command("deploy", {step})
    """)

    (explained,) = [one for one in project.explain("deploy", "--docs")["steps"] if "plan" in one]
    assert shape(explained["plan"]) == ran

    assert project.manage("routine", "deploy", "--docs").status == 0
    assert project.ran == [*ran, "probe parent"]


def test_a_nested_routine_has_its_own_verbosity(project: Project) -> None:
    """The step's own verbosity is for the nested steps; else the parent's is passed on."""
    project.settings("""
        command("inner", "probe", "x")
        command("deploy", "routine", "inner", "--verbosity", "3")
        command("deploy", "routine", "inner", "--verbosity=0")
        command("deploy", "routine", "inner", verbosity=2)
        command("deploy", "routine", "inner")
        command("deploy", "probe", "own")
    """)

    def probed(*args: str) -> list[str]:
        done = project.manage("routine", *args)
        assert done.status == 0, done.err
        return [line for line in done.out.splitlines() if line.startswith("probed")]

    assert probed("deploy") == [
        "probed x v3",
        "probed x v0",
        "probed x v2",
        "probed x v1",
        "probed own v1",
    ]
    assert probed("--verbosity", "2", "deploy")[-2:] == ["probed x v2", "probed own v2"]


def test_a_failure_inside_names_both_routines_and_both_steps(project: Project) -> None:
    """The message says which step of which routine failed, all the way down, and ends all."""
    settings = project.settings("""
        command("inner", "probe", "one")
        command("inner", "probe", "--fail", step_id="build")
        command("inner", "probe", "three", step_id="three")
        command("deploy", "probe", "before")
        command("deploy", "routine", "inner", step_id="pack")
        command("deploy", "probe", "after", step_id="after")
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, project.ran) == (1, ["probe before", "probe one", "probe"])
    assert "Traceback" not in done.err
    for words in (
        "Step 2 of 3 of routine 'deploy' failed: settings:pack",
        "Step 2 of 3 of routine 'inner' failed: settings:build",
        f"config/settings.py:{line_of(settings, 'pack')}",
        f"config/settings.py:{line_of(settings, '--fail')}",
        "the probe was told to fail",
        "not run: settings:three",
        "not run: settings:after",
    ):
        assert words in done.err


@pytest.mark.parametrize(
    ("declared", "names"),
    [
        ('command("deploy", "routine", "deploy")', ["deploy > deploy"]),
        (
            'command("deploy", "routine", "inner"); command("inner", "routine", "deploy")',
            ["deploy > inner > deploy"],
        ),
        (
            'system("deploy", "true"); command("deploy", "routine", "deploy", switches=["x"])',
            ["deploy > deploy"],
        ),
    ],
)
def test_routines_that_contain_each_other_are_refused(
    project: Project, declared: str, names: list[str]
) -> None:
    """A circle is an error with each edge's origin, shown by explain, before anything runs."""
    settings = project.settings(f"""
        command("deploy", "probe", "before", priority=-1)
        {declared}
    """)
    origin = f"config/settings.py:{line_of(settings, declared)}"

    explained = project.manage("routine", "deploy", "--explain")
    done = project.manage("routine", "deploy")
    document = project.explain("deploy")

    assert [explained.status, done.status] == [1, 1]
    assert project.ran == []
    assert "E011" in problem_ids(document)
    for text in (explained.out, done.err):
        assert origin in text
        assert all(name in text for name in names)
        assert "Traceback" not in text


def test_a_circle_further_down_refuses_the_parent_too(project: Project) -> None:
    """A routine that only leads into a circle cannot run either."""
    project.settings("""
        command("deploy", "probe", "before")
        command("deploy", "routine", "a")
        command("a", "routine", "b")
        command("b", "routine", "a")
        command("apart", "probe", "apart")
    """)

    done = project.manage("routine", "deploy")
    assert (done.status, project.ran) == (1, [])
    assert "E011" in done.err
    assert project.manage("routine", "deploy", "--explain").status == 1
    assert project.manage("routine", "--explain").status == 1

    assert project.manage("routine", "apart").status == 0
    assert project.ran == ["probe apart"]


def test_a_disabled_step_breaks_the_circle(project: Project) -> None:
    """Once the settings disable one of its steps, there is no circle and the routine runs."""
    project.settings("""
        command("deploy", "routine", "inner")
        command("inner", "probe", "inner")
        command("inner", "routine", "deploy", step_id="back")
        disable("inner", "settings:back")
    """)

    document = project.explain("deploy")
    assert problem_ids(document) == []
    assert shape(document) == [("routine inner", ["probe inner"])]

    assert project.manage("routine", "deploy").status == 0
    assert project.ran == ["probe inner"]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ('"routine", "pakage"', ["'pakage'", "Did you mean 'package'?"]),
        ('"routine", "package", "--dcos"', ["--dcos", "Did you mean '--docs'?"]),
        ('"routine", "package", dcos=True', ["--dcos", "Did you mean '--docs'?"]),
        ('"routine"', ["names no routine"]),
        ('"routine", "package", "extra"', ["'extra'"]),
        ('"routine", "package", "--verbosity", "9"', ["9"]),
        ('"routine", "package", "--explain"', ["--explain"]),
    ],
)
def test_a_nested_routine_that_cannot_be_read_is_refused(
    project: Project, step: str, said: list[str]
) -> None:
    """An unknown routine, switch or option of a nested step is an error with its origin."""
    settings = project.settings(f"""
        command("package", "probe", "docs", switches=["docs"])
        command("deploy", "probe", "before")
        command("deploy", {step})
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, done.out, project.ran) == (1, "", [])
    assert "E010" in done.err
    assert f"config/settings.py:{line_of(settings, step)}" in done.err
    assert "Traceback" not in done.err
    for words in said:
        assert words in done.err


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        ('command("inner", "prob")', "E012"),
        ('command("inner", "probe", tga="x")', "E013"),
        ('system("inner", "no-such-program")', "E014"),
        ('routine("inner", finalize="shop.done")', "E015"),
        ('command("inner", "probe", time_limit=3, exit=Exception)', "E016"),
        ('routine("inner", atomic="nowhere")', "E017"),
        ('system("inner", "true", env={"TOKEN": Secret.from_env("NOT_SET_ANYWHERE")})', "E018"),
        ('command("inner", "probe", step_id="x", run_after=["settings:last"])', "E006"),
        ('command("inner", "probe", priority=True)', "E001"),
    ],
)
def test_what_is_wrong_in_a_nested_routine_refuses_its_parent(
    project: Project, inner: str, code: str
) -> None:
    """Nothing of the parent runs when a step of the nested routine could not."""
    project.settings(f"""
        command("deploy", "probe", "before")
        command("deploy", "routine", "inner")
        command("inner", "probe", "last", run_after=["settings:x"], step_id="last")
        {inner}
    """)

    done = project.manage("routine", "deploy")

    assert (done.status, done.out, project.ran) == (1, "", [])
    assert f"django_runbook.{code}" in done.err


def test_nesting_goes_as_deep_as_declared(project: Project) -> None:
    """Three levels are numbered 1.1.1, indented, and run in order; two may run the same."""
    project.settings("""
        command("deploy", "routine", "middle")
        command("deploy", "routine", "inner")
        command("middle", "routine", "inner", "--x")
        command("inner", "probe", "deep")
        command("inner", "probe", "x", switches=["x"])
    """)

    inner = ["probe deep", "probe x"]
    assert shape(project.explain()) == [
        ("routine middle", [("routine inner --x", inner)]),
        ("routine inner", ["probe deep"]),
    ]
    text = project.manage("routine", "deploy", "--explain").out.splitlines()
    numbers = [row.split()[0] for row in text if row[:1].isdigit()]
    assert numbers == ["1", "1.1", "1.1.1", "1.1.2", "2", "2.1"]

    done = project.manage("routine", "deploy")
    assert (done.status, project.ran) == (0, ["probe deep", "probe x", "probe deep"]), done.err


def test_the_fingerprint_covers_the_nested_routine(project: Project) -> None:
    """A change of what the nested routine runs is a change of what the parent runs."""
    project.settings(NESTED)
    before = project.explain("deploy", "--build")["fingerprint"]
    without = project.explain("deploy")["fingerprint"]

    project.settings(NESTED.replace('"probe", "build"', '"probe", "other"'))

    assert project.explain("deploy", "--build")["fingerprint"] != before
    assert project.explain("deploy")["fingerprint"] == without
