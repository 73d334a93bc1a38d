"""Split settings: what each component says is merged, in sorted order, with its own origin."""

from __future__ import annotations

import runpy
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.test import override_settings

from django_runbook import get_plan, include, optional, plugin_settings
from django_runbook.exceptions import SettingsError

from .projects import Project, ids, install, line_of, problem_ids, write


def composed(folder: Path, main: str, **components: str) -> dict[str, Any]:
    """Execute a settings file beside these components in this process."""
    for name, text in components.items():
        write(folder / f"{name}.py", text)
    path = write(folder / "main.py", f"from django_runbook import *\n{dedent(main)}")
    return runpy.run_path(str(path), run_name="site_settings")


def words(namespace: Mapping[str, Any], routine: str = "deploy") -> list[str]:
    """Return the last word of each command of a routine, in the order of the setting."""
    return [entry["management"][-1] for entry in namespace["DJANGO_ROUTINES"][routine]["commands"]]


def assigns(*tags: str, routine: str = "deploy") -> str:
    """Return the text of a component that assigns ``DJANGO_ROUTINES``, an entry a line."""
    entries = "".join(f'    {{"management": ("probe", "{tag}")}},\n' for tag in tags)
    return f'DJANGO_ROUTINES = {{"{routine}": {{"commands": [\n{entries}]}}}}\n'


def origins(document: Any) -> list[tuple[str, str, int]]:
    """Return the last word, the file and the line of each step that runs."""
    return [
        (step["argv"][-1], step["origin"]["file"], step["origin"]["line"])
        for step in document["steps"]
        if step["status"] == "run"
    ]


# -- including --------------------------------------------------------------------------------


def test_wildcards_load_in_sorted_order(tmp_path: Path) -> None:
    """The names are such that their order is not that in which the files were made."""
    folder = tmp_path / "parts"
    names = [f"{(number * 37) % 101:03}" for number in range(40)]
    for name in names:
        write(folder / f"{name}.py", f'SEEN.append("{name}")')
    assert names != sorted(names)

    namespace = composed(tmp_path, 'SEEN = []\ninclude("parts/*.py")')

    assert namespace["SEEN"] == sorted(names)


def test_includes_are_relative_to_the_file_that_includes(tmp_path: Path) -> None:
    """A component may include others, at its place in the order."""
    write(tmp_path / "inner" / "outer.py", 'S += ["outer"]\ninclude("deep/*.py")\nS += ["end"]')
    write(tmp_path / "inner" / "deep" / "b.py", 'S += ["b"]')
    write(tmp_path / "inner" / "deep" / "a.py", 'S += ["a"]\ninclude("../sibling.py")')
    write(tmp_path / "inner" / "sibling.py", 'S += ["sibling"]')

    namespace = composed(
        tmp_path, 'S = []\ninclude("inner/outer.py", "last.py")', last='S += ["last"]'
    )

    assert namespace["S"] == ["outer", "a", "sibling", "b", "end", "last"]


def test_a_component_counts_once_however_often_it_is_included(tmp_path: Path) -> None:
    """So ``split_settings`` has it; a wildcard may match what was included by name before."""
    namespace = composed(
        tmp_path, 'S = []\ninclude("b.py", "[ab].py", "a.py")', a='S += ["a"]', b='S += ["b"]'
    )

    assert namespace["S"] == ["b", "a"]


def test_optional_components_may_be_missing(tmp_path: Path) -> None:
    """Present, missing, a wildcard without match, empty and ``None``."""
    namespace = composed(
        tmp_path,
        """
        S = []
        include(
            optional("here.py"), optional("missing.py"), optional("missing/*.py"), optional(""),
            optional(None), "last.py",
        )
        """,
        here='S += ["here"]',
        last='S += ["last"]',
    )

    assert namespace["S"] == ["here", "last"]


@pytest.mark.parametrize("missing", ["missing.py", "missing/*.py"])
def test_a_missing_component_is_an_error(tmp_path: Path, missing: str) -> None:
    """It is the ``OSError`` that ``split_settings`` raises, and it names the file."""
    with pytest.raises(OSError, match=missing.replace("*", r"\*")):
        composed(tmp_path, f'include("{missing}")')


def test_the_namespace_may_be_given(tmp_path: Path) -> None:
    """With ``scope=`` the components fill that, merged as in a settings file."""
    write(tmp_path / "a.py", "A = 1\n" + assigns("a"))
    write(tmp_path / "b.py", "B = A + 1\n" + assigns("b"))
    scope: dict[str, Any] = {"__file__": str(tmp_path / "main.py")}

    include("[ab].py", optional("c.py"), scope=scope)

    assert (scope["A"], scope["B"]) == (1, 2)
    assert words(scope) == ["a", "b"]
    assert "A" not in globals()


# -- merging ----------------------------------------------------------------------------------


def test_what_components_assign_is_merged(project: Project) -> None:
    """Each step has the line of its entry; so do the calls that stand between them."""
    project.file("config/settings/parts/b.py", "# b\n\n" + assigns("b1", "b2"))
    project.file("config/settings/parts/a.py", assigns("a1"))
    project.file("config/settings/parts/c.py", 'command("deploy", "probe", "c1")\n')
    project.file(
        "config/settings/parts/d.py",
        """
        include("nested/*.py")

        DJANGO_ROUTINES: dict = {
            "deploy": {
                "help_text": "Deploy the site.",
                "switch_helps": {"demo": "Load it."},
                "commands": [
                    {"management": ("probe", "d1")}, {"management": ("probe", "d2")},
                ],
            },
        }
        """,
    )
    project.file("config/settings/parts/nested/e.py", assigns("e1") + assigns("e2"))
    project.settings('include("parts/*.py", optional("local.py"))', package=True)

    document = project.explain()

    parts = "config/settings/parts"
    assert origins(document) == [
        ("a1", f"{parts}/a.py", 2),
        ("b1", f"{parts}/b.py", 4),
        ("b2", f"{parts}/b.py", 5),
        ("c1", f"{parts}/c.py", 1),
        ("e2", f"{parts}/nested/e.py", 5),
        ("d1", f"{parts}/d.py", 8),
        ("d2", f"{parts}/d.py", 8),
    ]
    assert document["help_text"] == "Deploy the site."
    assert document["switches"]["available"] == {"demo": "Load it."}


def test_the_settings_file_may_assign_before_between_and_after_its_includes(
    project: Project,
) -> None:
    """Every assignment adds to the others, and every step has the line of its own entry."""
    project.file("config/settings/x.py", assigns("x"))
    project.file("config/settings/y.py", assigns("y"))
    settings = project.settings(
        """
        DJANGO_ROUTINES = {"deploy": {"commands": [{"management": ("probe", "before")}]}}
        include("x.py")
        DJANGO_ROUTINES = {"deploy": {"commands": [{"management": ("probe", "between")}]}}
        include("y.py")
        DJANGO_ROUTINES = {"deploy": {"commands": [{"management": ("probe", "after")}]}}
        """,
        package=True,
    )
    first = settings.read_text().splitlines().index('include("x.py")')

    document = project.explain()

    main = "config/settings/__init__.py"
    assert origins(document) == [
        ("before", main, first),
        ("x", "config/settings/x.py", 2),
        ("between", main, first + 2),
        ("y", "config/settings/y.py", 2),
        ("after", main, first + 4),
    ]


def test_a_component_may_assign_before_and_after_its_own_include(project: Project) -> None:
    """What it said before is not lost, and has the component as its origin."""
    project.file(
        "config/settings/outer.py", assigns("before") + 'include("inner.py")\n' + assigns("after")
    )
    project.file("config/settings/inner.py", assigns("inner"))
    project.settings('include("outer.py")', package=True)

    assert origins(project.explain()) == [
        ("before", "config/settings/outer.py", 2),
        ("inner", "config/settings/inner.py", 2),
        ("after", "config/settings/outer.py", 6),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'DJANGO_ROUTINES = {**DJANGO_ROUTINES, "package": PACKAGE}',
        'DJANGO_ROUTINES = DJANGO_ROUTINES | {"package": PACKAGE}',
        'DJANGO_ROUTINES |= {"package": PACKAGE}',
        'DJANGO_ROUTINES["package"] = PACKAGE',
        "DJANGO_ROUTINES.update(package=PACKAGE)",
        (
            "from copy import copy\nDJANGO_ROUTINES = copy(DJANGO_ROUTINES)\n"
            'DJANGO_ROUTINES["package"] = PACKAGE'
        ),
        (
            "from copy import deepcopy\nDJANGO_ROUTINES = deepcopy(DJANGO_ROUTINES)\n"
            'DJANGO_ROUTINES["package"] = PACKAGE'
        ),
    ],
)
def test_a_component_that_takes_over_the_others_counts_them_once(tmp_path: Path, text: str) -> None:
    """The usual ways to add a routine to a dictionary setting do what they look like."""
    namespace = composed(
        tmp_path,
        'include("a.py", "b.py", "c.py")',
        a=assigns("a"),
        b='PACKAGE = {"commands": [{"management": ("probe", "b")}]}\n' + text,
        c=assigns("c"),
    )

    assert words(namespace) == ["a", "c"]
    assert words(namespace, "package") == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        'DJANGO_ROUTINES["deploy"]["commands"].append(B)',
        'DJANGO_ROUTINES["deploy"]["commands"] += [B]',
        (
            'OLD = DJANGO_ROUTINES["deploy"]\n'
            'DJANGO_ROUTINES = {"deploy": {"commands": [*OLD["commands"], B]}}'
        ),
        (
            'OLD = DJANGO_ROUTINES["deploy"]\n'
            'DJANGO_ROUTINES = {"deploy": {**OLD, "commands": [*OLD["commands"], B]}}'
        ),
        'DJANGO_ROUTINES = {"deploy": {"commands": [B]}}',
        (
            'DJANGO_ROUTINES = {"deploy": Routine("deploy", commands=[ManagementCommand(("probe", '
            '"b"))])}'
        ),
        'command("deploy", "probe", "b")',
    ],
)
def test_a_component_that_adds_to_a_routine_adds_once(project: Project, text: str) -> None:
    """However it is written, its command comes after the others', and is said to be its own."""
    stated = assigns("a").replace('{"commands"', '{"help_text": "Deploy.", "commands"')
    project.file("config/settings/a.py", stated)
    project.file("config/settings/b.py", f'B = {{"management": ("probe", "b")}}\n{text}')
    project.file("config/settings/c.py", assigns("c"))
    project.settings('include("a.py", "b.py", "c.py")', package=True)

    found = [(word, file) for word, file, _ in origins(project.explain())]

    assert found == [(word, f"config/settings/{word}.py") for word in ("a", "b", "c")]


APPENDS_AND_TAKES_OVER = """
    old = DJANGO_ROUTINES["deploy"]
    old["commands"].append({"management": ("probe", "appended")})
    DJANGO_ROUTINES = {"deploy": {**old, "commands": [
        *old["commands"],
        {"management": ("probe", "added")},
    ]}}
"""


@pytest.mark.parametrize("in_a_component", [True, False])
def test_what_is_appended_and_then_taken_over_counts_once(
    project: Project, *, in_a_component: bool
) -> None:
    """It would run twice. It has its file as its origin, be that a component or not."""
    project.file("config/settings/a.py", assigns("first"))
    text = APPENDS_AND_TAKES_OVER
    main = 'include("a.py")\n' + dedent("" if in_a_component else text)
    if in_a_component:
        project.file("config/settings/b.py", text)
        main += 'include("b.py")\n'
    project.settings(main, package=True)

    document = project.explain()

    file = f"config/settings/{'b' if in_a_component else '__init__'}.py"
    assert [(word, place) for word, place, _ in origins(document)] == [
        ("first", "config/settings/a.py"),
        ("appended", file),
        ("added", file),
    ]


@pytest.mark.parametrize("nothing", ["{}", "None or {}", "dict()"])
def test_an_empty_setting_after_the_last_include_takes_nothing_out(
    project: Project, nothing: str
) -> None:
    """It adds nothing, as in a component: each assignment adds to the others."""
    project.file("config/settings/a.py", assigns("first"))
    project.settings(f'include("a.py")\nDJANGO_ROUTINES = {nothing}\n', package=True)

    assert [word for word, *_ in origins(project.explain())] == ["first"]


@pytest.mark.parametrize("wrong", ["[]", "0", '""', "False"])
def test_what_is_no_setting_is_told_behind_an_include(project: Project, wrong: str) -> None:
    """An empty list is as wrong as a full one."""
    project.file("config/settings/a.py", assigns("first"))
    project.settings(f'include("a.py")\nDJANGO_ROUTINES = {wrong}\n', package=True)

    document = project.explain()

    assert problem_ids(document) == ["E001"]
    assert "DJANGO_ROUTINES must be a dictionary of routines" in document["problems"][0]["message"]


@pytest.mark.parametrize("included", [True, False])
def test_a_routine_that_is_none_is_told(project: Project, *, included: bool) -> None:
    """It may stand for a list that was lost, and apps may have steps for the routine."""
    text = 'DJANGO_ROUTINES = {"deploy": None, "other": {"commands": []}}\n'
    project.file("config/settings/a.py", text)
    project.settings('include("a.py")' if included else text, package=True)

    document = project.explain()

    assert problem_ids(document) == ["E001"]
    assert "Routine 'deploy' must be a dictionary" in document["problems"][0]["message"]


def test_a_later_component_has_the_last_word_on_a_routine_and_its_overrides(
    project: Project,
) -> None:
    """What it does not mention stays as it was stated before, by call or by dictionary."""
    project.file(
        "config/settings/a.py",
        """
        DJANGO_ROUTINES = {"deploy": {
            "help_text": "Old.",
            "switch_helps": {"demo": "Old.", "initial": "The first time."},
            "commands": [{"management": ("probe", "a"), "step_id": "a"}, {"management": "check"}],
            "overrides": {"settings:a": {"priority": 5}},
        }}
        """,
    )
    project.file(
        "config/settings/b.py",
        """
        override("deploy", "settings:a", help_text="First.")
        DJANGO_ROUTINES = {"pre-deploy": {}, "deploy": {
            "help_text": "New.", "switch_helps": {"demo": "New."},
            "overrides": {"settings:check": {"disabled": True}},
        }}
        """,
    )
    project.settings('include("a.py", "b.py")', package=True)

    document = project.explain()

    assert document["help_text"] == "New."
    assert document["switches"]["available"] == {"demo": "New.", "initial": "The first time."}
    assert ids(document, "disabled") == ["settings:check"]
    [step] = [step for step in document["steps"] if step["status"] == "run"]
    assert (step["priority"], step["help_text"]) == (5, "First.")


BY_CALL = 'override("deploy", "{}", priority={}, disabled={})'
BY_DICTIONARY = """DJANGO_ROUTINES = {{"deploy": {{"overrides": {{
    "{}": {{"priority": {}, "disabled": {}}},
}}}}}}"""


@pytest.mark.parametrize("refs", [("check", "settings:check"), ("settings:check", "check")])
@pytest.mark.parametrize("earlier", [BY_CALL, BY_DICTIONARY], ids=["call", "dictionary"])
@pytest.mark.parametrize("later", [BY_CALL, BY_DICTIONARY], ids=["call", "dictionary"])
def test_of_two_overrides_that_of_the_later_component_wins(
    tmp_path: Path, earlier: str, later: str, refs: tuple[str, str]
) -> None:
    """Whatever form each has, and whichever name each calls the step by."""
    namespace = composed(
        tmp_path,
        'command("deploy", "check")\ninclude("[ab].py")',
        a=earlier.format(refs[0], 4, "True"),
        b=later.format(refs[1], 5, "False"),
    )

    with override_settings(DJANGO_ROUTINES=namespace["DJANGO_ROUTINES"]):
        plan = get_plan("deploy")

    assert plan.errors == ()
    assert [step.declaration.priority for step in plan.steps] == [5]
    changes = [(one.new, one.origin.file) for one in plan.steps[0].overridden_by]
    assert changes == [(4, "a.py"), (5, "b.py")]


def test_a_malformed_component_is_reported_and_the_others_are_read(project: Project) -> None:
    """A component that assigns something else than a dictionary does not take the rest along."""
    project.file("config/settings/a.py", assigns("a"))
    project.file("config/settings/b.py", 'DJANGO_ROUTINES = ["deploy"]')
    project.file("config/settings/c.py", assigns("c"))
    project.settings('include("a.py", "b.py", "c.py")', package=True)

    document = project.explain()

    assert [word for word, _, _ in origins(document)] == ["a", "c"]
    [message] = [one["message"] for one in document["problems"] if one["id"].endswith("E001")]
    assert "must be a dictionary of routines, not a list" in message


# -- the components of distributions ----------------------------------------------------------


def test_components_of_a_distribution_are_found_without_importing_it(project: Project) -> None:
    """A module's file and a package, by the names of the entry points, the name in any spelling."""
    site = project.distribution(
        "globex-mail",
        modules={
            "globex_mail/__init__.py": "raise RuntimeError('imported')",
            "globex_mail/settings_component.py": assigns("module"),
            "globex_mail/parts/__init__.py": assigns("package"),
            "globex_single.py": assigns("single"),
        },
        entry_points={
            "django_runbook.settings": {
                "c": "globex_single",
                "a": "globex_mail.settings_component",
                "b": "globex_mail.parts",
            }
        },
    )
    project.settings(
        """
        import sys
        PATHS = plugin_settings("Globex_Mail")
        include(*PATHS)
        IMPORTED = sorted(name for name in sys.modules if name.startswith("globex"))
        """,
        package=True,
    )

    ran = project.python("from django.conf import settings as s; print(s.IMPORTED, *s.PATHS)")

    files = ["globex_mail/settings_component.py", "globex_mail/parts/__init__.py"]
    files.append("globex_single.py")
    assert ran.out.split() == ["[]", *(str(site / file) for file in files)], ran.err
    assert [(word, file) for word, file, _ in origins(project.explain())] == list(
        zip(["module", "package", "single"], files, strict=True)
    )


def test_a_distribution_that_ships_no_component_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the closest distribution that does, and the entry point group."""
    points = {"django_runbook.settings": {"mail": "globex_mail.missing"}}
    site = install(tmp_path, "globex-mail", modules={"globex_mail/x.py": ""}, entry_points=points)
    monkeypatch.syspath_prepend(site)

    with pytest.raises(SettingsError, match=r"'globex-mial'.*'django_runbook.settings'") as unknown:
        plugin_settings("globex-mial")
    with pytest.raises(SettingsError, match=r"globex-mail.*'globex_mail.missing'") as broken:
        plugin_settings("globex-mail")

    assert "Did you mean 'globex-mail'?" in str(unknown.value)
    assert "Reinstall it" in str(broken.value)


@pytest.mark.parametrize("value", ["globex_mail.missing", "globex_nothing", "globex_mail"])
def test_a_component_that_cannot_be_found_ends_every_command_with_one_message(
    project: Project, value: str
) -> None:
    """There are no settings to work with: status 1, what, whose, how, and no traceback."""
    # A folder of modules without __init__ is no file to include either.
    site = project.distribution(
        "globex-mail", entry_points={"django_runbook.settings": {"mail": value}}
    )
    write(site / "globex_mail" / "other.py", "")
    project.settings('include(*plugin_settings("globex-mail"))', package=True)

    ran = project.manage("check")

    assert (ran.status, ran.out) == (1, "")
    assert "globex-mail" in ran.err
    assert repr(value) in ran.err
    assert "Traceback" not in ran.err


def test_an_unknown_distribution_ends_every_command_with_one_message(project: Project) -> None:
    """Whatever command asks for the settings says so, with status 1 and without a traceback."""
    project.settings('include(*plugin_settings("globex-nothing"))', package=True)

    ran = project.manage("routine", "deploy")

    assert (ran.status, ran.out) == (1, "")
    assert "globex-nothing" in ran.err
    assert "Install it, or take the call out." in ran.err
    assert "Traceback" not in ran.err


# -- components that are not valid Python -----------------------------------------------------


def test_a_syntax_error_in_a_component_is_one_message(project: Project) -> None:
    """It has file, line and remedy, and status 1, whatever command asks for the settings."""
    project.file("config/settings/outer.py", 'include("parts/*.py")')
    broken = project.file("config/settings/parts/b.py", "A = 1\n\nB = (A +\n")
    project.settings('include("outer.py")', package=True)

    for command in (["routine", "deploy"], ["routine", "deploy", "--explain"], ["check"]):
        ran = project.manage(*command)
        assert (ran.status, ran.out) == (1, "")
        assert f"{broken}:3: " in ran.err
        assert "Mend the line" in ran.err
        assert ran.err.count("not valid Python") == 1
        assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"A = 1\n  B = 2\n", "b.py:2: "),
        (b"A = 1\nB = '\xff'\n", "b.py:2: "),
        (b"A = 1\nB = '\x00'\n", "b.py"),
        (b"import broken_import_of_b\n", "broken_import_of_b.py:1: "),
    ],
    ids=["indentation", "encoding", "null byte", "an import of it"],
)
def test_every_kind_of_syntax_error_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: bytes, place: str
) -> None:
    """The file is the one that has to be mended, which a component may only import."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "b.py").write_bytes(text)
    write(tmp_path / "broken_import_of_b.py", "1 +")

    with pytest.raises(SettingsError) as raised:
        composed(tmp_path, 'include("b.py")')

    assert str(raised.value).startswith(f"{tmp_path}/{place}")
    assert "Mend the line" in str(raised.value)


def test_an_error_that_a_component_raises_is_not_hidden(tmp_path: Path) -> None:
    """Only what keeps a file from being read is ours to explain."""
    with pytest.raises(ZeroDivisionError):
        composed(tmp_path, 'include("b.py")', b="1 / 0")


# -- plain split_settings ---------------------------------------------------------------------

PLAIN = "from split_settings.tools import include\n"


def wildcard_warnings(project: Project) -> list[str]:
    """Return the lines of ``check --deploy`` that speak of wildcard order."""
    ran = project.manage("check", "--deploy")
    said = " ".join((ran.out + ran.err).split())
    return [part for part in said.split("(django_runbook.")[1:] if part.startswith("W004")]


def test_plain_split_settings_works_and_is_warned_of(project: Project) -> None:
    """The steps of two files of one wildcard have no order of their own at equal priority."""
    project.file("config/settings/parts/a.py", 'command("deploy", "probe", "a")')
    project.file("config/settings/parts/b.py", 'command("deploy", "probe", "b")')
    project.settings(PLAIN + 'include("parts/*.py")', package=True)

    [warning] = wildcard_warnings(project)
    document = project.explain()

    assert "config/settings/parts/a.py" in warning
    assert "config/settings/parts/b.py" in warning
    assert "from django_runbook import include" in warning
    assert "W004" not in problem_ids(document)
    assert sorted(origins(document)) == [
        ("a", "config/settings/parts/a.py", 1),
        ("b", "config/settings/parts/b.py", 1),
    ]


def test_plain_split_settings_keeps_the_origin_of_what_is_assigned(project: Project) -> None:
    """The last component that assigns is in force, as Python has it, and is the origin."""
    project.file("config/settings/a.py", assigns("a"))
    project.file("config/settings/b.py", "# b\n" + assigns("b1", "b2"))
    project.settings(PLAIN + 'include("a.py", "b.py")', package=True)

    assert origins(project.explain()) == [
        ("b1", "config/settings/b.py", 3),
        ("b2", "config/settings/b.py", 4),
    ]


@pytest.mark.parametrize(
    ("main", "first", "second"),
    [
        pytest.param('include("parts/*.py")', "", "", id="our include, which sorts"),
        pytest.param(PLAIN + 'include("parts/*.py")', "", "priority=1", id="other priorities"),
        pytest.param(PLAIN + 'include("parts/b.py", "parts/a.py")', "", "", id="by name"),
        pytest.param(PLAIN + 'include("parts/a*.py", "parts/b*.py")', "", "", id="two wildcards"),
        pytest.param(PLAIN + 'include("parts/*.py")', "twice", None, id="one file"),
        pytest.param(
            PLAIN + 'include("parts/*.py")', "", 'run_after=["settings:a"]', id="run_after"
        ),
        pytest.param(
            PLAIN + 'include("parts/*.py")', "", 'run_before=["settings:a"]', id="run_before"
        ),
    ],
)
def test_nothing_is_warned_of_where_the_order_is_decided(
    project: Project, main: str, first: str, second: str | None
) -> None:
    """By sorting, by priority, by a constraint, by the order of the arguments, or in one file."""
    line = 'command("deploy", "probe", step_id="{}", {})\n'
    one = line.format("a1", "") + line.format("a2", "") if first else line.format("a", "")
    other = "OTHER = 1" if second is None else line.format("b", second)
    project.file("config/settings/parts/a.py", one)
    project.file("config/settings/parts/b.py", other)
    project.settings(main, package=True)

    assert wildcard_warnings(project) == []


def test_a_step_that_stands_between_two_files_decides_nothing(project: Project) -> None:
    """What a component includes by name goes where the component goes."""
    project.file(
        "config/settings/parts/a.py",
        PLAIN + 'command("deploy", "probe", "a")\ninclude("../inner.py")',
    )
    project.file("config/settings/inner.py", 'command("deploy", "probe", "inner")')
    project.file("config/settings/parts/b.py", 'command("deploy", "probe", "b")')
    project.settings(PLAIN + 'include("parts/*.py")', package=True)

    [warning] = wildcard_warnings(project)

    assert "config/settings/parts/a.py" in warning
    assert "config/settings/parts/b.py" in warning


def test_a_missing_component_is_told_with_the_line_that_includes_it(project: Project) -> None:
    """The error stays the ``OSError`` of split_settings, and says whose it is and what to do."""
    settings = project.settings('include("components/gone.py")', package=True)

    ran = project.manage("check")

    assert ran.status == 1
    assert "OSError: No such file: " in ran.err
    place = f"{settings}:{line_of(settings, 'gone.py')}"
    assert f"{place}: include('components/gone.py') finds no such file." in ran.err
    assert "wrap it in optional() if it may be missing" in ran.err
