"""``routine --plugins``: every source that was searched, and what it gives to which routine."""

from __future__ import annotations

import re
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from .projects import Project, Ran, departures, hook, install, line_of, write

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile("^ *\u2500+ *$")
"""A line that the table is drawn with."""

TEXT = str
NAMES = [str]
ORIGIN = {
    "kind": TEXT,
    "source": TEXT,
    "distribution": TEXT | None,
    "version": TEXT | None,
    "file": TEXT | None,
    "line": int | None,
}
PROBLEM = {"id": TEXT, "level": TEXT, "message": TEXT, "hint": TEXT, "origin": ORIGIN}
SOURCE = {
    "kind": TEXT,
    "source": TEXT,
    "distribution": TEXT | None,
    "version": TEXT | None,
    "entry_point": TEXT | None,
    "module": TEXT | None,
    "state": TEXT,
    "same_as": TEXT | None,
    "problem": dict | None,
    "routines": [
        {
            "routine": TEXT,
            "steps": NAMES,
            "attributes": NAMES,
            "switches": NAMES,
            "overrides": NAMES,
            "shipped_by": NAMES,
        }
    ],
}
INVENTORY = {"format_version": TEXT, "sources": [SOURCE], "problems": [PROBLEM]}
"""The contract: every key, in order, and the type of its value; a list has one form inside."""


def rows(text: str) -> list[list[str]]:
    """Return the cells of the text, from the places at which its title has them."""
    title, *lines = text.partition("\n\n")[0].splitlines()
    starts = [found.start() for found in re.finditer(r"(?:(?<=  )|^)\S", title)]
    ends = [*starts[1:], None]
    return [
        [line[start:end].strip() for start, end in zip(starts, ends, strict=True)]
        for line in (title, *lines)
    ]


def table(shown: str) -> tuple[list[list[str]], str]:
    """Return the cells of the table, without their spaces, and what stands below it."""
    lines = COLOURS.sub("", shown).splitlines()
    rules = [number for number, line in enumerate(lines) if RULE.match(line)]
    title = lines[rules[0] + 1]
    starts = [title.index(name) for name in ("source", "looked at", "gives")]
    found = []
    for first, last in pairwise(rules[1:]):
        cells = ["", "", ""]
        for line in lines[first + 1 : last]:
            for column, (start, end) in enumerate(zip(starts, [*starts[1:], None], strict=True)):
                cells[column] += line[start:end]
        found.append(["".join(cell.split()) for cell in cells])
    return found, "\n".join(lines[rules[-1] + 1 :])


# --- a project with a source of each sort --------------------------------------------------------

SETTINGS = """
    DJANGO_RUNBOOK = {
        "PLUGINS": {
            "allow": ["acme-suite", "acme-quiet", "twice", "e-import", "e-raises", "e-misspelt"],
            "block": ["shut", "acme-quiet:second"],
        }
    }
    routine("deploy", "Deploy.", demo="Load the demo data.")
    routine("nothing")
    command("deploy", "probe", "a", switches=["demo"])
    command("deploy", "probe", "b", step_id="named")
    override("deploy", "shop:probe", priority=7)
    disable("deploy", "acme-suite:probe")
    include(*plugin_settings("acme-suite"))
"""

COMPONENT = """
    routine("clean", "Clean up.", atomic=True, deep="All of it.")
    command("clean", "probe", "c")
"""

OVERRIDING = """
    override("deploy", "shop:probe-2", priority=3)
"""

SHOP = hook("""
    routines.routine("deploy", demo="Load it.", night="At night.")
    routines.command("deploy", "probe", "s")
    routines.command("deploy", "probe", "t")
    routines.command("clean", "probe", "u")
""")

READY = """
    from django.apps import AppConfig

    from django_runbook import contribute

    class Config(AppConfig):
        name = "{name}"

        def ready(self):
            contribute(self).command("deploy", "probe", "{name}")
"""

BROKEN = {
    "import": "import a_module_that_nobody_has\n",
    "raises": hook('raise ValueError("no stock")'),
    "misspelt": "from django_runbook import hookimpl\n\n@hookimpl\n"
    "def contribute_routine(routines): ...\n",
}
"""A hook module for each way to be broken."""


def broken(project: Project) -> None:
    """Add an app and a distribution for each way to be broken."""
    for name, text in BROKEN.items():
        package = f"e_{name}"
        project.distribution(
            f"e-{name}",
            version="0.3",
            modules={f"{package}/hooks.py": text},
            entry_points={"django_runbook": {"main": f"{package}.hooks"}},
        )
        project.app(f"app_{name}", routines=text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with sources of all kinds, in all states."""
    project = Project(tmp_path_factory.mktemp("inventory") / "project")
    says = hook('routines.command("deploy", "probe")')
    project.app("shop", routines=SHOP)
    project.app("quiet", routines="")
    project.app("eager", apps=READY.format(name="eager"))
    project.app("shut", routines=says, apps=READY.format(name="shut"))
    suite = project.distribution(
        "acme-suite",
        version="1.2",
        modules={
            "acme_suite/cdn.py": says,
            "acme_suite/mail.py": hook('routines.command("mail", "check")'),
            "acme_suite/base.py": COMPONENT,
            "acme_suite/last.py": OVERRIDING,
        },
        entry_points={
            "django_runbook": {"cdn": "acme_suite.cdn", "mail": "acme_suite.mail"},
            "django_runbook.settings": {"base": "acme_suite.base", "last": "acme_suite.last"},
        },
    )
    files = ("__init__", "cdn", "mail", "base", "last")
    record = "".join(f"acme_suite/{name}.py,,\n" for name in files)
    write(suite / "acme_suite-1.2.dist-info" / "RECORD", record)
    project.distribution(
        "acme-quiet",
        modules={"acme_quiet/hooks.py": hook("pass"), "acme_quiet/second.py": says},
        entry_points={
            "django_runbook": {"first": "acme_quiet.hooks", "second": "acme_quiet.second"}
        },
    )
    project.distribution("twice", entry_points={"django_runbook": {"again": "shop.routines"}})
    project.distribution("uninvited", entry_points={"django_runbook": {"x": "uninvited.hooks"}})
    broken(project)
    # What an app says when it is ready is in the plan, whatever its hook does.
    project.app("app_raises", installed=False, apps=READY.format(name="app_raises"))
    project.settings(SETTINGS)
    return project


@pytest.fixture(scope="module")
def listed(project: Project) -> Ran:
    """The listing as JSON."""
    return project.manage("routine", "--plugins", "--format", "json")


@pytest.fixture(scope="module")
def sources(listed: Ran) -> dict[str, Any]:
    """The sources of the listing by their names."""
    return {
        one["source"] + (f":{one['entry_point']}" if one["entry_point"] else ""): one
        for one in listed.document["sources"]
    }


def test_the_document_has_every_key_in_order(listed: Ran) -> None:
    """One JSON document and nothing beside it, in the form of the contract."""
    document = listed.document

    assert departures(document, INVENTORY) == []
    assert document["format_version"] == "1.0"
    problems = [one["problem"] for one in document["sources"] if one["problem"]]
    assert departures(problems, [PROBLEM]) == []
    assert [one for one in document["problems"] if one in problems] == problems
    assert (listed.status, listed.err) == (1, "")


def test_sources_stand_in_the_order_in_which_they_count(listed: Ran) -> None:
    """Settings, apps as installed, distributions by name and entry point; none is left out."""
    found = [(one["kind"], one["source"], one["entry_point"]) for one in listed.document["sources"]]

    apps = ("django_typer", "django_runbook", "probe", "shop", "quiet", "eager", "shut")
    assert found == [
        ("settings", "settings", None),
        *(("app", name, None) for name in (*apps, *(f"app_{one}" for one in BROKEN))),
        ("distribution", "acme-quiet", "first"),
        ("distribution", "acme-quiet", "second"),
        ("distribution", "acme-suite", "cdn"),
        ("distribution", "acme-suite", "mail"),
        *(("distribution", f"e-{name}", "main") for name in sorted(BROKEN)),
        ("distribution", "twice", "again"),
        ("distribution", "uninvited", "x"),
    ]


def test_what_was_looked_at_and_whose_it_is(sources: dict[str, Any]) -> None:
    """A module or an entry point's value, and the distribution behind it as far as it is known."""
    modules = {name: one["module"] for name, one in sources.items()}
    assert modules["settings"] == "config.settings"
    assert (modules["probe"], modules["eager"]) == (None, None)
    assert (modules["shop"], modules["quiet"]) == ("shop.routines", "quiet.routines")
    assert modules["shut"] == "shut.routines"
    assert modules["twice:again"] == "shop.routines"
    assert modules["uninvited:x"] == "uninvited.hooks"
    releases = {name: (one["distribution"], one["version"]) for name, one in sources.items()}
    assert releases["django_typer"] == ("django-typer", version("django-typer"))
    assert releases["acme-suite:cdn"] == ("acme-suite", "1.2")
    assert releases["e-import:main"] == ("e-import", "0.3")
    assert {releases[name] for name in ("settings", "probe", "shop", "quiet")} == {(None, None)}


def test_each_state_with_its_reason(project: Project, sources: dict[str, Any]) -> None:
    """Heard, the same as another, blocked, not allowed, broken: why, where and what to do."""
    states = {name: one["state"] for name, one in sources.items()}
    heard = ("settings", "probe", "shop", "quiet", "eager", "acme-suite:cdn", "acme-quiet:first")
    assert {states[name] for name in heard} == {"heard"}
    assert (states["shut"], states["acme-quiet:second"]) == ("blocked", "blocked")
    assert states["uninvited:x"] == "not_allowed"
    assert (states["twice:again"], sources["twice:again"]["same_as"]) == ("same", "shop")
    assert [name for name, state in states.items() if state == "broken"] == [
        *(f"app_{name}" for name in BROKEN),
        *(f"e-{name}:main" for name in sorted(BROKEN)),
    ]
    assert all(
        (one["problem"] is not None) == (one["state"] == "broken") for one in sources.values()
    )
    assert all((one["same_as"] is None) != (one["state"] == "same") for one in sources.values())
    for name, code, why, line in (
        ("import", "E003", "cannot be loaded: ModuleNotFoundError", 1),
        ("raises", "E004", "raised ValueError: no stock.", 5),
        ("misspelt", "E005", "implements the unknown hook 'contribute_routine'", 3),
    ):
        for source, file, what in (
            (f"app_{name}", f"app_{name}/routines.py", "remove the app"),
            (f"e-{name}:main", f"e_{name}/hooks.py", "uninstall it"),
        ):
            problem = sources[source]["problem"]
            assert (problem["id"], problem["level"]) == (f"django_runbook.{code}", "error")
            assert why in problem["message"]
            assert what in problem["hint"]
            assert f'"block": ["{source.partition(":")[0]}"]' in problem["hint"]
            assert (problem["origin"]["file"], problem["origin"]["line"]) == (file, line)
    assert line_of(project.root / "app_raises/routines.py", "raise ") == 5


def given(source: Any) -> dict[str, dict[str, Any]]:
    """Return what a source gives by routine, without what is empty."""
    return {
        one["routine"]: {key: value for key, value in one.items() if value and key != "routine"}
        for one in source["routines"]
    }


def test_what_the_settings_give(sources: dict[str, Any]) -> None:
    """Steps, run or not, attributes, switches, overrides, and which distributions ship some."""
    suite = ["acme-suite 1.2"]
    assert given(sources["settings"]) == {
        "deploy": {
            "steps": ["settings:probe", "settings:named"],
            "attributes": ["help_text"],
            "switches": ["demo"],
            "overrides": ["shop:probe", "acme-suite:probe", "shop:probe-2"],
            "shipped_by": suite,
        },
        "nothing": {},
        "clean": {
            "steps": ["settings:probe"],
            "attributes": ["help_text", "atomic"],
            "switches": ["deep"],
            "shipped_by": suite,
        },
    }


def test_what_apps_and_distributions_give(sources: dict[str, Any]) -> None:
    """Each entry point for itself, by hook or by ``ready``; who is not heard gives nothing."""
    assert given(sources["shop"]) == {
        # In the order in which their priorities have them stand.
        "deploy": {"steps": ["shop:probe-2", "shop:probe"], "switches": ["demo", "night"]},
        "clean": {"steps": ["shop:probe"]},
    }
    assert given(sources["eager"]) == {"deploy": {"steps": ["eager:probe"]}}
    assert given(sources["app_raises"]) == {"deploy": {"steps": ["app_raises:probe"]}}
    # Disabled, and there all the same.
    assert given(sources["acme-suite:cdn"]) == {"deploy": {"steps": ["acme-suite:probe"]}}
    assert given(sources["acme-suite:mail"]) == {"mail": {"steps": ["acme-suite:check"]}}
    givers = {name for name, one in sources.items() if one["routines"]}
    assert givers == {
        *("settings", "shop", "eager", "app_raises", "acme-suite:cdn", "acme-suite:mail")
    }


EXPECTED = {
    "settings": (
        "clean: 1 step, states help_text, atomic, help of 'deep', from acme-suite 1.2; "
        "deploy: 2 steps, states help_text, help of 'demo', 3 overrides, from acme-suite 1.2; "
        "nothing: nothing"
    ),
    "shop": "clean: 1 step; deploy: 2 steps, states help of 'demo', help of 'night'",
    "eager": "deploy: 1 step",
    "app_raises": "deploy: 1 step",
    "acme-suite:cdn": "deploy: 1 step",
    "acme-suite:mail": "mail: 1 step",
}
"""What each source gives, as people read it; the others give nothing."""

STATES = {
    "shut": "blocked",
    "acme-quiet:second": "blocked",
    "uninvited:x": "not among the allowed",
    "twice:again": "counted as shop",
    **{f"app_{name}": "broken" for name in BROKEN},
    **{f"e-{name}:main": "broken" for name in BROKEN},
}


def test_the_text(project: Project, listed: Ran, sources: dict[str, Any]) -> None:
    """A line for each source with everything that the document has; problems below, status 1."""
    ran = project.manage("routine", "--plugins")

    title, *found = rows(ran.out)
    assert title == ["SOURCE", "KIND", "DISTRIBUTION", "LOOKED AT", "STATE", "GIVES"]
    assert found == [
        [
            name,
            one["kind"],
            f"{one['distribution']} {one['version']}" if one["distribution"] else "",
            one["module"] or "",
            STATES.get(name, ""),
            EXPECTED.get(name, ""),
        ]
        for name, one in sources.items()
    ]
    below = ran.out.partition("\n\nProblems:\n")[2].splitlines()
    assert below[1::2] == [f"    HINT: {one['hint']}" for one in listed.document["problems"]]
    for line, one in zip(below[::2], listed.document["problems"], strict=True):
        origin = one["origin"]
        shipped = origin["kind"] == "settings" and origin["distribution"]
        release = f"{origin['distribution']} {origin['version']} " if shipped else ""
        place = f"{origin['source']} ({release}{origin['file']}:{origin['line']})"
        assert line.startswith(f"{one['level'].upper()} {place}: ")
        assert line.endswith(f" ({one['id']}) {one['message']}")
    assert (ran.status, ran.err) == (1, "")
    assert "\x1b" not in ran.out


def test_the_table_on_a_terminal(project: Project, sources: dict[str, Any]) -> None:
    """On 80 columns it says what the text says, folded, and nothing of it is cut off."""
    ran = project.manage("routine", "--force-color", "--plugins")

    assert max(map(len, COLOURS.sub("", ran.out).splitlines())) <= 80
    assert "\u2026" not in ran.out
    assert "\x1b[31m" in ran.out  # what is broken is red
    found, below = table(ran.out)
    expected = []
    for name, one in sources.items():
        release = f" of {one['distribution']} {one['version']}" if one["distribution"] else ""
        cells = (
            f"{name}{one['kind']}{release}",
            one["module"] or "",
            STATES.get(name, "") + EXPECTED.get(name, "").replace("; ", ""),
        )
        expected.append(["".join(cell.split()) for cell in cells])
    assert found == expected
    together = "".join(below.split())
    for name in BROKEN:
        problem = sources[f"e-{name}:main"]["problem"]
        assert "".join(problem["message"].split()) in together
        assert "".join(problem["hint"].split()) in together
    assert ran.status == 1


# --- small ones ----------------------------------------------------------------------------------

USAGE = """
    import io

    import django
    from django.core.management import CommandError, call_command

    django.setup()
    for words in (
        ["--plugins", "deploy"],
        ["--plugins", "deploy", "list"],
        ["--plugins", "--explain"],
        ["--plugins", "--format", "mermaid"],
        ["deploy", "--plugins"],
    ):
        out = io.StringIO()
        try:
            call_command("routine", *words, stdout=out)
        except CommandError as exc:
            print(exc.returncode, bool(out.getvalue()), str(exc).splitlines()[0])
"""


def test_it_stands_alone(tmp_path: Path) -> None:
    """With a routine, with ``--explain`` or as a drawing it is wrong usage, and nothing is run."""
    project = Project(tmp_path / "project")
    project.settings('command("deploy", "probe")')

    lines = project.python(USAGE).out.splitlines()

    alone = "2 False --plugins stands alone: it runs and explains no routine."
    assert lines[:4] == [alone] * 3 + ["2 False --plugins is shown as a table or as JSON."]
    assert lines[4].startswith("2 False No such option")
    ran = project.manage("routine", "--plugins", "deploy")
    assert (ran.status, ran.out) == (2, "")
    assert "--plugins stands alone" in ran.err
    assert project.ran == []


def test_a_project_without_a_routine(tmp_path: Path) -> None:
    """Its sources are listed all the same; with nothing wrong the status is 0."""
    project = Project(tmp_path / "project")
    project.settings("")

    text = project.manage("routine", "--plugins")
    as_json = project.manage("routine", "--plugins", "--format", "json")

    assert [(row[0], row[5]) for row in rows(text.out)[1:]] == [
        ("settings", ""),
        ("django_typer", ""),
        ("django_runbook", ""),
        ("probe", ""),
    ]
    assert "Problems" not in text.out
    assert [one["routines"] for one in as_json.document["sources"]] == [[]] * 4
    assert as_json.document["problems"] == []
    assert (text.status, text.err, as_json.status, as_json.err) == (0, "", 0, "")


HOSTILE = "[red]x[/red] \x1b[31m\x07:boom: \u202e" + "very-" * 60
"""A name with what rich, a terminal and a narrow column would act upon."""


def test_hostile_names_do_no_harm(tmp_path: Path) -> None:
    """Markup is shown as it is, control characters are escaped, and long names are folded."""
    project = Project(tmp_path / "project")
    site = tmp_path / "site-packages"
    says = hook('routines.command("deploy", "probe", run_after=["nowhere"])')
    install(site, "evil", modules={"evil/hooks.py": "", "evil/good.py": says})
    info = site / "evil-1.0.dist-info"
    (info / "METADATA").write_text(
        "Name: ev\x1b[31mil[bold]\nVersion: 1\x1b[2J[/]\n", encoding="utf-8"
    )
    (info / "entry_points.txt").write_text(
        f"[django_runbook]\n{HOSTILE} = evil.hooks\n{HOSTILE}2 = evil.good\n", encoding="utf-8"
    )
    project.paths.append(site)
    project.settings("")

    text = project.manage("routine", "--plugins")
    shown = project.manage("routine", "--force-color", "--plugins")
    as_json = project.manage("routine", "--plugins", "--format", "json")
    explained = project.manage("routine", "deploy", "--explain")

    escaped = HOSTILE.replace("\x1b", "\\x1b").replace("\x07", "\\x07").replace("\u202e", "\\u202e")
    name, release = "ev\\x1b[31mil[bold]", "ev\\x1b[31mil[bold] 1\\x1b[2J[/]"
    (broken_one, heard) = rows(text.out)[-2:]
    assert (broken_one[0], heard[0]) == (f"{name}:{escaped}", f"{name}:{escaped}2")
    assert (broken_one[2], heard[2]) == (release, release)
    assert (broken_one[4], heard[4]) == ("broken", "")
    cells, _ = table(shown.out)
    assert cells[-1][0] == "".join(f"{name}:{escaped}2distributionof{release}".split())
    assert max(map(len, COLOURS.sub("", shown.out).splitlines())) <= 80
    assert [one["state"] for one in as_json.document["sources"][-2:]] == ["broken", "heard"]
    assert f"{release} evil/good.py:5" in explained.out
    for ran in (text, shown, as_json, explained):
        assert (ran.status, ran.err) == (1, "")
        left = COLOURS.sub("", ran.out) if ran is shown else ran.out
        assert not [char for char in left if not char.isprintable() and char != "\n"]
