"""The JSON document of a plan: its form is a contract."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from .projects import Project, departures, hook, ids, line_of, problem_ids

pytestmark = pytest.mark.ours

TEXT = str
WHOLE = int
FLAG = bool
LINE = int | None
NAMES = [str]

RELEASE = {"distribution": TEXT | None, "version": TEXT | None}
ORIGIN = {"kind": TEXT, "source": TEXT, **RELEASE, "file": TEXT | None, "line": LINE}

STEP = {
    "position": int | None,
    "id": TEXT,
    "kind": TEXT,
    "argv": NAMES,
    "options": dict,
    "env": dict,
    "variables": NAMES,
    "time_limit": int | float | None,
    "pre_hook": TEXT | None,
    "post_hook": TEXT | None,
    "subprocess": FLAG,
    "outside_transaction": FLAG,
    "priority": WHOLE,
    "effective_priority": WHOLE,
    "switches": NAMES,
    "run_before": NAMES,
    "run_after": NAMES,
    "help_text": TEXT,
    "status": TEXT,
    "reason": {"code": TEXT, "detail": TEXT},
    "origin": ORIGIN,
    "overridden_by": [{"attribute": TEXT, "old": object, "new": object, "origin": ORIGIN}],
}

PROBLEM = {"id": TEXT, "level": TEXT, "message": TEXT, "hint": TEXT, "origin": ORIGIN}

PLAN = {
    "routine": TEXT,
    "help_text": TEXT,
    "fingerprint": TEXT,
    "controls": {"atomic": FLAG, "subprocess": FLAG, "continue_on_error": FLAG, "lock": FLAG},
    "hooks": dict,
    "origins": dict,
    "locks": [{"routine": TEXT, "backend": TEXT, "detail": TEXT}],
    "roots": NAMES,
    "switches": {"active": NAMES, "available": dict},
    "steps": [STEP],
    "problems": [PROBLEM],
    "sources": [{"kind": TEXT, "source": TEXT, "version": TEXT | None, "steps": WHOLE}],
}
"""The contract: every key, in order, and the type of its value; a list has one form inside."""


EVERYTHING = """
    from pathlib import Path

    routine("deploy", "Deploy.", demo="Load the demo data.")
    command("deploy", "probe", "a", 3, Path("x") / "y", run_before=["late"], tag="t")
    command("deploy", "probe", "b", priority=5, switches=["demo-data", "demo"], help_text="Why.")
    command("deploy", "probe", "c", run_after=["acme-probe:probe"], step_id="moved")
    system("deploy", "true", priority=-2)
    override("deploy", "acme-probe:probe", priority=7)
    disable("deploy", "shop:probe")
    DJANGO_RUNBOOK = {"PLUGINS": {"allow": ["acme-probe"]}}
"""


@pytest.fixture
def everything(project: Project) -> Project:
    """A project whose plan has each kind of source and each status."""
    project.app("shop", routines=hook('routines.command("deploy", "probe", "s")'))
    project.distribution(
        "Acme.Probe",
        version="2.5",
        modules={"acme_probe/hooks.py": hook('routines.command("deploy", "probe", "acme")')},
        entry_points={"django_runbook": {"probe": "acme_probe.hooks"}},
    )
    project.settings(EVERYTHING)
    return project


def test_the_document_of_one_routine(everything: Project) -> None:
    """Every key of the contract is there, in order, with its type, and no other key is."""
    document = everything.explain("deploy", "--demo-data")

    assert departures(document, {"format_version": TEXT, **PLAN}) == []
    assert document["format_version"] == "1.0"
    assert document["routine"] == "deploy"
    assert document["help_text"] == "Deploy."
    assert re.fullmatch("sha256:[0-9a-f]{64}", document["fingerprint"])
    assert not any(document["controls"].values())
    assert document["switches"] == {
        "active": ["demo_data"],
        "available": {"demo": "Load the demo data.", "demo_data": ""},
    }
    assert [(step["position"], step["id"], step["status"]) for step in document["steps"]] == [
        (1, "settings:true", "run"),
        (2, "settings:probe", "run"),
        (3, "settings:probe-2", "run"),
        (4, "acme-probe:probe", "run"),
        (5, "settings:moved", "run"),
        (None, "shop:probe", "disabled"),
    ]


def test_each_kind_of_step_in_the_document(everything: Project) -> None:
    """A step as declared, one that was moved, one that was overridden, and those left out."""
    settings = everything.root / "config/settings.py"
    document = everything.explain()
    steps = {step["id"]: step for step in document["steps"]}

    def origin(text: str) -> dict[str, Any]:
        return {
            "kind": "settings",
            "source": "settings",
            "distribution": None,
            "version": None,
            "file": "config/settings.py",
            "line": line_of(settings, text),
        }

    assert steps["settings:probe"] == {
        "position": 2,
        "id": "settings:probe",
        "kind": "management",
        "argv": ["probe", "a", "3", "x/y"],
        "options": {"tag": "t"},
        "env": {},
        "variables": [],
        "time_limit": None,
        "pre_hook": None,
        "post_hook": None,
        "subprocess": False,
        "outside_transaction": False,
        "priority": 0,
        "effective_priority": 0,
        "switches": [],
        "run_before": ["late"],
        "run_after": [],
        "help_text": "",
        "status": "run",
        "reason": {"code": "priority", "detail": ""},
        "origin": origin('"a"'),
        "overridden_by": [],
    }
    assert steps["settings:true"]["kind"] == "system"
    moved = steps["settings:moved"]
    assert (moved["priority"], moved["effective_priority"]) == (0, 7)
    assert moved["reason"] == {"code": "run_after", "detail": "after acme-probe:probe"}
    changed = steps["acme-probe:probe"]
    assert changed["priority"] == 7
    assert changed["reason"]["code"] == "override"
    assert changed["overridden_by"] == [
        {"attribute": "priority", "old": 0, "new": 7, "origin": origin("override(")}
    ]
    assert changed["origin"] == {
        "kind": "distribution",
        "source": "acme-probe",
        "distribution": "acme-probe",
        "version": "2.5",
        "file": "acme_probe/hooks.py",
        "line": 5,
    }
    off = steps["settings:probe-2"]
    assert (off["position"], off["status"], off["priority"]) == (None, "switched_off", 5)
    assert off["reason"]["code"] == "switched_off"
    assert off["switches"] == ["demo_data", "demo"]
    assert off["help_text"] == "Why."
    gone = steps["shop:probe"]
    assert (gone["position"], gone["status"]) == (None, "disabled")
    assert gone["reason"]["code"] == "disabled"
    assert gone["origin"] == {
        "kind": "app",
        "source": "shop",
        "distribution": None,
        "version": None,
        "file": "shop/routines.py",
        "line": 5,
    }


def test_problems_and_sources_in_the_document(everything: Project) -> None:
    """Problems are those of the text; sources are all that were searched, with their steps."""
    document = everything.explain()

    (problem,) = document["problems"]
    assert (problem["id"], problem["level"]) == ("django_runbook.W001", "warning")
    assert "'late'" in problem["message"]
    assert problem["origin"]["file"] == "config/settings.py"
    counted = {(one["kind"], one["source"]): one["steps"] for one in document["sources"]}
    assert counted[("settings", "settings")] == 4
    assert counted[("app", "shop")] == 1
    assert counted[("app", "probe")] == 0
    assert counted[("distribution", "acme-probe")] == 1
    versions = {one["source"]: one["version"] for one in document["sources"]}
    assert (versions["acme-probe"], versions["shop"]) == ("2.5", None)


def test_the_document_of_all_routines(everything: Project) -> None:
    """It holds the plan of each routine, sorted, as it is alone."""
    with (everything.root / "config/settings.py").open("a") as file:
        file.write('\ncommand("clean", "routine", "deploy")\n')

    done = everything.manage("routine", "--explain", "--format", "json")

    assert (done.status, done.err) == (0, "")
    document = done.document
    assert document["format_version"] == "1.0"
    assert [one["routine"] for one in document["routines"]] == ["clean", "deploy"]
    clean, deploy = document["routines"]
    assert departures(deploy, PLAN) == []
    alone = everything.explain()
    assert {"format_version": "1.0", **deploy} == alone
    (step,) = clean["steps"]
    nested = step.pop("plan")
    assert departures(clean, PLAN) == []
    # The locks of the whole run, and where the project lies, are in the outer document.
    inner = {key: form for key, form in PLAN.items() if key not in ("locks", "roots")}
    assert departures(nested, inner) == []
    assert nested["steps"] == deploy["steps"]
    assert nested["fingerprint"] == deploy["fingerprint"]


def test_stdout_holds_one_document_and_nothing_else(project: Project) -> None:
    """Warnings, errors and broken plugins do not end up beside the document."""
    project.app("shop", routines='raise ValueError("broken")\n')
    project.settings("""
        import warnings

        warnings.simplefilter("always")
        command("deploy", "probe", run_after=["nothing"])
        command("deploy", "prob")
        command("deploy", "probe", priority="high")
    """)

    for line in ("deploy --explain --format json", "--explain --format json"):
        done = project.manage("routine", *line.split(), env={"PYTHONWARNINGS": "always"})
        assert done.status == 1
        assert "Traceback" not in done.err
        assert isinstance(done.document, dict)
    found = problem_ids(project.explain())
    assert {"E001", "E003", "E012", "W001"} <= set(found)
    levels = {one["level"] for one in project.explain()["problems"]}
    assert levels == {"error", "warning"}


def test_what_a_plugin_prints_while_it_is_asked_is_not_beside_the_document(
    project: Project,
) -> None:
    """A forgotten ``print`` in a hook or a command goes to stderr: stdout is the document's."""
    project.app("shop", routines='print("loading")\n' + hook('print("asked")'))
    project.command(
        "shop",
        "loud",
        """
        from django.core.management.base import BaseCommand

        print("imported")

        class Command(BaseCommand):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                print("made")

            def add_arguments(self, parser):
                print("parser")
        """,
    )
    project.settings('command("deploy", "loud")')

    done = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert (done.status, done.document["problems"]) == (0, [])
    assert set(done.err.split()) == {"loading", "asked", "imported", "made", "parser"}


def test_the_document_has_no_colours_and_no_width(everything: Project) -> None:
    """The bytes are the same for every terminal, working directory and hash seed."""
    line = ("routine", "deploy", "--explain", "--format", "json")
    first = everything.manage(*line).out

    for env in ({"COLUMNS": "20"}, {"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "77"}):
        assert everything.manage(*line, env=env, cwd=everything.root.parent).out == first
    forced = everything.manage("routine", "--force-color", *line[1:])
    assert forced.out == first
    assert str(everything.root.parent) not in first


ODD = """
    import datetime
    import decimal
    import enum
    import functools
    from pathlib import Path

    from django.utils.translation import gettext_lazy as _

    class Thing:
        pass

    class Named:
        def __str__(self):
            return "named"

    class Level(enum.Enum):
        HIGH = 3

    def function():
        pass

    ODD = {
        "path": Path("fixtures") / "demo.json",
        "lazy": _("Yes"),
        "function": function,
        "method": Named().__str__,
        "partial": functools.partial(function, 3),
        "builtin": len,
        "lambda": lambda: None,
        "class": Thing,
        "thing": Thing(),
        "things": [Thing(), {"inner": Thing()}],
        "named": Named(),
        "level": Level.HIGH,
        "set": {"b", "a", "c"},
        "tuple": (1, (2, 3)),
        "bytes": b"raw",
        "date": datetime.date(2026, 1, 2),
        "decimal": decimal.Decimal("1.50"),
        "none": None,
        "flag": True,
        "number": 1.5,
        "keys": {1: "one", Path("p"): "path"},
    }
    routine("deploy", _("Yes"), demo=_("No"))
    DJANGO_ROUTINES["deploy"]["commands"] = [
        {"management": ("probe", Path("a/b"), 7), "options": {**ODD}, "switches": ["demo"]}
    ]
"""


def test_what_json_cannot_hold_is_written_as_its_string(project: Project) -> None:
    """Paths and lazy strings are strings; functions and objects have no address in memory."""
    project.settings(ODD)

    outs = {
        project.manage("routine", "deploy", "--explain", "--format", "json", "--all").out
        for _ in range(2)
    }

    (out,) = outs
    document = json.loads(out)
    assert not re.search("0x[0-9a-f]{4,}", out)
    assert document["help_text"] == "Yes"
    assert document["switches"]["available"] == {"demo": "No"}
    (step,) = document["steps"]
    assert step["argv"] == ["probe", "a/b", "7"]
    options = step["options"]
    expected = {
        "path": "fixtures/demo.json",
        "lazy": "Yes",
        "function": "config.settings.function",
        "builtin": "builtins.len",
        "named": "named",
        "set": ["a", "b", "c"],
        "tuple": [1, [2, 3]],
        "date": "2026-01-02",
        "decimal": "1.50",
        "none": None,
        "flag": True,
        "number": 1.5,
        "keys": {"1": "one", "p": "path"},
    }
    assert {key: options[key] for key in expected} == expected
    assert all(isinstance(options[key], str) for key in ("thing", "partial", "level", "class"))


def test_numbers_that_json_does_not_know_are_written_as_their_string(project: Project) -> None:
    """``nan`` and ``inf`` are no JSON: other readers than Python's would refuse the document."""
    project.settings('command("deploy", "probe", tag=[float("nan"), float("-inf")])')

    done = project.manage("routine", "deploy", "--explain", "--format", "json")

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    document = json.loads(done.out, parse_constant=refuse)
    assert document["steps"][0]["options"] == {"tag": ["nan", "-inf"]}


def fingerprint(project: Project, text: str, *args: str) -> str:
    """Return the fingerprint of ``deploy`` as these settings declare it."""
    project.settings(text)
    value = project.explain("deploy", *args)["fingerprint"]
    assert isinstance(value, str)
    return value


BASE = """
    routine("deploy", "Help.", demo="Demo.")
    command("deploy", "probe", "a", tag="t")
    command("deploy", "check", switches=["demo"])
    system("deploy", "true", priority=1)
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The fingerprints of :data:`BASE` with and without its switch."""
    project = Project(tmp_path_factory.mktemp("base") / "project")
    return fingerprint(project, BASE, "--demo"), fingerprint(project, BASE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"probe", "a"', '"probe", "b"'),
        ('"probe", "a"', '"probe", "a", "a"'),
        ('tag="t"', 'tag="u"'),
        ('tag="t"', 'fail=False, tag="t"'),
        ('tag="t"', 'tag="t", switches=["demo", "x"]'),
        ("priority=1", "priority=-1"),
        ('system("deploy", "true"', 'command("deploy", "true"'),
        ('"Help."', '"Help.", atomic=True'),
        ('"Help."', '"Help.", continue_on_error=True'),
        ('"Help."', '"Help.", subprocess=True'),
        ('"Help."', '"Help.", pre_hook="config.hooks.one"'),
        ('"Help."', '"Help.", finalize="config.hooks.one"'),
        ('tag="t"', 'tag="t", step_id="other"'),
        ('tag="t"', 'tag="t", post_hook="config.hooks.one"'),
        ('tag="t"', 'tag="t", time_limit=30'),
        ('system("deploy", "true", priority=1)', ""),
    ],
)
def test_the_fingerprint_changes_with_what_would_run(
    project: Project, base: tuple[str, str], old: str, new: str
) -> None:
    """Arguments, options, switches, order, ids, controls and hooks are all in it."""
    assert BASE.count(old) == 1

    assert fingerprint(project, BASE.replace(old, new), "--demo") != base[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('routine("deploy"', '\n\n    routine("deploy"'),
        ('"Help."', '"Another help."'),
        ('demo="Demo."', 'demo="Another demo."'),
        ('tag="t"', 'tag="t", help_text="Why."'),
        ("priority=1", "priority=7"),
        ('"Help."', '"Help.", atomic=False'),
        ('tag="t"', 'tag="t", run_after=["nothing"]'),
        (
            "    system(",
            '    command("deploy", "probe", switches=["never"], step_id="n")\n    system(',
        ),
    ],
)
def test_the_fingerprint_does_not_change_with_the_rest(
    project: Project, base: tuple[str, str], old: str, new: str
) -> None:
    """Lines, helps, numbers that change no order, and steps that do not run are not in it."""
    assert BASE.count(old) == 1

    assert fingerprint(project, BASE.replace(old, new)) == base[1]


def test_the_fingerprint_depends_on_the_active_switches(base: tuple[str, str]) -> None:
    """Two sets of switches that run different steps are two plans."""
    with_demo, without = base

    assert with_demo != without


def test_the_fingerprint_does_not_change_with_a_version(project: Project, tmp_path: Path) -> None:
    """An upgrade of a plugin that still runs the same leaves the fingerprint as it is."""
    prints = set()
    for version in ("1.0", "2.0"):
        project.paths.clear()
        site = project.distribution(
            "acme-probe",
            version=version,
            modules={"acme_probe/hooks.py": hook('routines.command("deploy", "probe")')},
            entry_points={"django_runbook": {"probe": "acme_probe.hooks"}},
        )
        project.settings('DJANGO_RUNBOOK = {"PLUGINS": {"allow": ["acme-probe"]}}')
        document = project.explain()
        assert ids(document) == ["acme-probe:probe"]
        assert document["steps"][0]["origin"]["version"] == version
        prints.add(document["fingerprint"])
        site.rename(tmp_path / f"gone-{version}")

    assert len(prints) == 1
