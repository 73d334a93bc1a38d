"""The hook and pluggy's traps: what a plugin can get wrong is that plugin's error, and only its."""

from __future__ import annotations

import json
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

import pytest

from .projects import Project, Ran, hook, ids, problem_ids

GOOD = hook('routines.command("deploy", "probe")')
IMPORT = "from django_runbook import hookimpl\n\n"

# What a plugin does when it is imported is seen in this file of the project.
TRACE = """
from pathlib import Path

with Path("imported.txt").open("a") as file:
    file.write(__name__ + "\\n")
"""


@dataclass(frozen=True)
class Trap:
    """A hook module with a mistake, and the problem that it must become."""

    name: str
    text: str
    code: str
    says: str
    hint: str = "Mend it"
    lines: tuple[int, ...] = (3, 4)

    def source(self, kind: str) -> str:
        """Return the name of the app, or of the distribution, that has the mistake."""
        return f"app_{self.name}" if kind == "app" else f"dist-{self.name}".replace("_", "-")


def marked(function: str, arguments: str = "") -> str:
    """Return a hook module whose decorator stands in line 3 and whose function in line 4."""
    return f"{IMPORT}@hookimpl{arguments}\n{function}\n"


TRAPS = [
    Trap(
        "misspelt",
        marked("def contribute_routine(routines): ..."),
        "E005",
        "implements the unknown hook 'contribute_routine'",
        "Did you mean 'contribute_routines'?",
    ),
    Trap(
        "optional",
        marked("def contribute_routins(routines): ...", "(optionalhook=True)"),
        "E005",
        "implements the unknown hook 'contribute_routins'",
        "Did you mean 'contribute_routines'?",
    ),
    Trap(
        "unlike",
        marked("def after_deploy(routines): ..."),
        "E005",
        "implements the unknown hook 'after_deploy'",
        "The hook is 'contribute_routines'",
    ),
    Trap(
        "unmarked",
        "def contribute_routines(routines): ...\n",
        "E005",
        "defines contribute_routines(), which is not marked as a hook",
        "Write @hookimpl above def contribute_routines(routines)",
        (1,),
    ),
    Trap(
        "arguments",
        marked("def contribute_routines(registry): ..."),
        "E005",
        "has the wrong arguments",
        "def contribute_routines(routines): ...",
    ),
    Trap(
        "too_many",
        marked("def contribute_routines(routines, settings): ..."),
        "E005",
        "has the wrong arguments",
        "def contribute_routines(routines): ...",
    ),
    Trap(
        "none_taken",
        marked("def contribute_routines(): ..."),
        "E005",
        "has the wrong arguments",
        "def contribute_routines(routines): ...",
    ),
    Trap(
        "wrapper",
        marked("def contribute_routines(routines): return (yield)", "(wrapper=True)"),
        "E005",
        "as a hook wrapper",
        "Wrappers are refused",
    ),
    Trap(
        "old_wrapper",
        marked("def contribute_routines(routines): yield", "(hookwrapper=True)"),
        "E005",
        "as a hook wrapper",
        "Wrappers are refused",
    ),
    Trap(
        "no_yield",
        marked("def contribute_routines(routines): ...", "(wrapper=True)"),
        "E005",
        "as a hook wrapper",
        "Wrappers are refused",
    ),
    Trap(
        "generator",
        marked('def contribute_routines(routines): yield routines.command("deploy", "probe")'),
        "E005",
        "which nobody reads",
        "A hook declares by calling routines.command(...), and returns nothing.",
    ),
    Trap(
        "coroutine",
        marked("async def contribute_routines(routines): ..."),
        "E005",
        "which nobody reads",
        "A hook declares by calling routines.command(...), and returns nothing.",
    ),
    Trap(
        "async_generator",
        marked("async def contribute_routines(routines): yield"),
        "E005",
        "which nobody reads",
        "A hook declares by calling routines.command(...), and returns nothing.",
    ),
    Trap(
        "wrapped_generator",
        # Only what it returns tells that this one is a generator.
        IMPORT
        + """@hookimpl
def contribute_routines(routines):
    return (routines.command("deploy", "probe", word) for word in ("one", "two"))
""",
        "E005",
        "which nobody reads",
        "A hook declares by calling routines.command(...), and returns nothing.",
    ),
    Trap(
        "raises",
        hook('routines.command("deploy", "probe", "half")\nraise ValueError("no stock")'),
        "E004",
        "its contribute_routines hook raised ValueError: no stock.",
        lines=(6,),
    ),
    Trap(
        "raises_below",
        # The error is raised in the standard library, but it is the plugin's line that is wrong.
        hook('import json\njson.loads("no json")'),
        "E004",
        "JSONDecodeError",
        lines=(6,),
    ),
    Trap(
        "raises_with_note",
        hook('error = ValueError("no\\nstock")\nerror.add_note("a note")\nraise error'),
        "E004",
        "its contribute_routines hook raised ValueError: no stock",
        lines=(7,),
    ),
    Trap(
        "exits_in_hook",
        hook("import sys\nsys.exit(0)"),
        "E004",
        "its contribute_routines hook raised SystemExit: 0.",
        lines=(6,),
    ),
    Trap(
        "overrides",
        hook('routines.override("deploy", "settings:probe", priority=9)'),
        "E004",
        "override('deploy', 'settings:probe'",
        lines=(5,),
    ),
    Trap(
        "disables",
        hook('routines.disable("deploy", "settings:probe")'),
        "E004",
        "disable('deploy', 'settings:probe'",
        lines=(5,),
    ),
    Trap(
        "settings_api",
        "from django_runbook import command, hookimpl\n\n\n@hookimpl\n"
        'def contribute_routines(routines):\n    command("deploy", "probe")\n',
        "E004",
        "write routines.command(...)",
        lines=(6,),
    ),
    Trap(
        "exits",
        "import sys\n\nsys.exit(3)\n",
        "E003",
        "cannot be loaded: SystemExit: 3.",
        lines=(3,),
    ),
    Trap(
        "missing_import",
        IMPORT + "import a_module_that_nobody_has\n",
        "E003",
        "cannot be loaded: ModuleNotFoundError: No module named 'a_module_that_nobody_has'.",
        lines=(3,),
    ),
    Trap(
        "syntax",
        IMPORT + "def contribute_routines(routines:\n    pass\n",
        "E003",
        "cannot be loaded: SyntaxError",
        lines=(3,),
    ),
]
MODULES = {"app": "routines.py", "distribution": "hooks.py"}


def add(project: Project, name: str, text: str, *, target: str = "{package}.hooks") -> None:
    """Install a distribution with one entry point, ``main``, and one module, ``hooks``."""
    package = name.replace("-", "_")
    project.distribution(
        name,
        modules={f"{package}/hooks.py": text},
        entry_points={"django_runbook": {"main": target.format(package=package)}},
    )


def problem(document: Any, source: str) -> Any:
    """Return the only problem of a source."""
    found = [one for one in document["problems"] if one["origin"]["source"] == source]
    assert len(found) == 1, found or document["problems"]
    return found[0]


def no_traceback(ran: Ran) -> bool:
    """Tell whether neither Python's nor rich's form of a traceback was printed."""
    return "Traceback" not in ran.out + ran.err


@pytest.fixture(scope="module")
def trapped(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The plan of a site in which every trap is there twice: in an app and in a distribution."""
    project = Project(tmp_path_factory.mktemp("traps") / "project")
    for trap in TRAPS:
        project.app(trap.source("app"), routines=trap.text)
        add(project, trap.source("distribution"), trap.text)
    project.app("good_app", routines=hook('routines.command("deploy", "probe", "app")'))
    add(project, "good-dist", hook('routines.command("deploy", "probe", "dist")'))
    project.settings('command("deploy", "probe")')
    ran = project.manage("routine", "deploy", "--explain", "--format", "json")
    assert no_traceback(ran), ran.err
    assert ran.status == 1
    return ran.document


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_mistake_is_an_error_of_the_plugin_that_makes_it(
    trapped: Any, trap: Trap, kind: str
) -> None:
    """Each mistake is reported once: what, whose with its file, and three ways to mend it."""
    source = trap.source(kind)

    found = problem(trapped, source)

    assert (found["id"], found["level"]) == (f"django_runbook.{trap.code}", "error")
    assert trap.says in found["message"]
    assert (f"App {source!r}" if kind == "app" else f"{source} 1.0") in found["message"]
    assert trap.hint in found["hint"]
    assert f'DJANGO_RUNBOOK = {{"PLUGINS": {{"block": ["{source}"]}}}}' in found["hint"]
    origin = found["origin"]
    assert (origin["kind"], origin["version"]) == (kind, None if kind == "app" else "1.0")
    assert origin["file"] == f"{source.replace('-', '_')}/{MODULES[kind]}"


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_a_mistake_is_reported_with_the_line_of_the_plugin(trapped: Any, trap: Trap) -> None:
    """The line is the plugin's own: of its hook, or the innermost one that led to the error."""
    for kind in MODULES:
        assert problem(trapped, trap.source(kind))["origin"]["line"] in trap.lines


def test_mistakes_do_not_keep_the_others_from_being_shown(trapped: Any) -> None:
    """All other sources load, whatever stands before them; a broken one gives all or nothing."""
    assert ids(trapped) == ["settings:probe", "good_app:probe", "good-dist:probe"]
    assert {one["origin"]["source"] for one in trapped["problems"]} <= {
        trap.source(kind) for trap in TRAPS for kind in MODULES
    }


def test_order_of_calls_has_no_meaning(project: Project) -> None:
    """What pluggy calls last in, first out, by tryfirst and trylast, stands by its source."""

    def asking(how: str) -> str:
        return GOOD.replace("@hookimpl", f"@hookimpl({how}=True)")

    project.app("zebra", routines=asking("trylast"))
    project.app("ant", routines=asking("tryfirst"))
    project.app("mule", routines=GOOD)
    add(project, "z-tools", asking("tryfirst"))
    add(project, "a-tools", asking("trylast"))
    project.settings('command("deploy", "probe", "own")')

    document = project.explain()

    assert ids(document) == [
        "settings:probe",
        "zebra:probe",
        "ant:probe",
        "mule:probe",
        "a-tools:probe",
        "z-tools:probe",
    ]


def test_two_hooks_of_one_module_count_as_they_stand_in_the_file(project: Project) -> None:
    """A second implementation under another name (specname) adds to the first, in file order."""
    project.app(
        "shop",
        routines="""
            from django_runbook import hookimpl

            @hookimpl(specname="contribute_routines", trylast=True)
            def zzz_first(routines):
                routines.command("deploy", "probe", "first")

            @hookimpl(specname="contribute_routines", tryfirst=True)
            def aaa_second(routines):
                routines.command("deploy", "probe", "second")
        """,
    )
    project.settings("")

    document = project.explain()

    assert [step["argv"] for step in document["steps"]] == [["probe", "first"], ["probe", "second"]]
    assert problem_ids(document) == []


def test_a_broken_import_between_entry_points_stops_none_of_them(project: Project) -> None:
    """Where pluggy ends loading at the first broken entry point, all others load here."""
    project.distribution(
        "acme-suite",
        modules={
            "acme_suite/first.py": hook('routines.command("deploy", "probe", "first")'),
            "acme_suite/middle.py": "import a_module_that_nobody_has\n",
            "acme_suite/third.py": hook('routines.command("deploy", "probe", "third")'),
        },
        entry_points={
            "django_runbook": {
                "a": "acme_suite.first",
                "b": "acme_suite.middle",
                "c": "acme_suite.third",
                "d": "acme_suite.not_there",
            }
        },
    )
    add(project, "z-tools", hook('routines.command("deploy", "probe", "last")'))
    project.settings("")

    document = project.explain()

    assert [step["argv"][1] for step in document["steps"]] == ["first", "third", "last"]
    assert problem_ids(document) == ["E003", "E003"]
    middle, missing = document["problems"]
    assert "entry point b = acme_suite.middle cannot be loaded" in middle["message"]
    assert "entry point d = acme_suite.not_there cannot be loaded" in missing["message"]


def test_the_line_of_an_error_is_the_innermost_of_the_plugin(project: Project) -> None:
    """A hook may call its own package: the line is there, not in the hook nor in what that calls.

    The same holds for a module that the hook module imports, if that cannot be compiled.
    """
    project.distribution(
        "acme-deep",
        modules={
            "acme_deep/hooks.py": "from .stock import load\n" + hook("load('no json')"),
            "acme_deep/stock.py": "import json\n\ndef load(text):\n    return json.loads(text)\n",
        },
        entry_points={"django_runbook": {"main": "acme_deep.hooks"}},
    )
    project.distribution(
        "acme-syntax",
        modules={
            "acme_syntax/hooks.py": "from . import stock\n" + GOOD,
            "acme_syntax/stock.py": "import json\n\nclass class:\n",
        },
        entry_points={"django_runbook": {"main": "acme_syntax.hooks"}},
    )
    project.settings('command("deploy", "probe")')

    document = project.explain()

    deep, syntax = (problem(document, name)["origin"] for name in ("acme-deep", "acme-syntax"))
    assert (deep["file"], deep["line"]) == ("acme_deep/stock.py", 4)
    assert (syntax["file"], syntax["line"]) == ("acme_syntax/stock.py", 3)


TARGETS = {
    "value-none": "NONE",
    "value-text": "TEXT",
    "value-dict": "DICT",
    "value-slots": "SLOTS",
    "value-class": "Empty",
}


def test_an_entry_point_without_a_hook_is_an_error(project: Project) -> None:
    """A distribution names its object for the hook alone, so one without it is a mistake.

    That holds for a module, for a class, and for whatever else an entry point may name.
    """
    empty = "class Empty:\n    __slots__ = ()\n\nNONE, TEXT, DICT, SLOTS = None, 'x', {}, Empty()\n"
    add(project, "module-only", "VALUE = 1\n")
    for name, target in TARGETS.items():
        add(project, name, empty, target=f"{{package}}.hooks:{target}")
    add(project, "function-itself", GOOD, target="{package}.hooks:contribute_routines")
    project.settings('command("deploy", "probe")')

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert no_traceback(ran), ran.err
    for name in ["module-only", *TARGETS]:
        found = problem(ran.document, name)
        assert found["id"] == "django_runbook.E005"
        assert "has no hook in what its entry point names" in found["message"]
    found = problem(ran.document, "function-itself")
    assert "names a function" in found["message"]
    assert found["hint"].startswith("Name the module that holds the hook.")


def test_an_entry_point_that_names_nothing_is_an_error(project: Project) -> None:
    """An attribute that the module does not have, and a value that is no path at all."""
    add(project, "attribute-gone", GOOD, target="{package}.hooks:plugin")
    add(project, "not-a-path", GOOD, target="!! not a path")
    project.settings('command("deploy", "probe")')

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert no_traceback(ran), ran.err
    for name, value in (("attribute-gone", "hooks:plugin"), ("not-a-path", "!! not a path")):
        found = problem(ran.document, name)
        assert found["id"] == "django_runbook.E003"
        assert f"{value} cannot be loaded" in found["message"]


def test_an_object_that_cannot_be_looked_at(project: Project) -> None:
    """Pluggy would look at every name of a module; here what is lazy is left asleep."""
    lazy = """
        from django.utils.functional import SimpleLazyObject

        lazy = SimpleLazyObject(lambda: 1 / 0)
    """
    add(project, "acme-lazy", dedent(lazy) + GOOD)
    add(project, "good-tools", hook('routines.command("deploy", "probe", "good")'))
    project.settings('command("deploy", "probe", "own")')

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert no_traceback(ran), ran.err
    assert ids(ran.document) == ["settings:probe", "acme-lazy:probe", "good-tools:probe"]
    assert ran.document["problems"] == []


def test_an_unrelated_module_called_routines_is_no_mistake(project: Project) -> None:
    """An app may have a module ``routines`` for its own ends; it is searched and gives nothing."""
    project.app(
        "gym",
        routines="""
            import pluggy

            other = pluggy.HookimplMarker("other_project")

            class Routine:
                pass

            def stretch(minutes):
                return minutes

            @other
            def contribute_exercises(gym):
                return []
        """,
    )
    project.settings('command("deploy", "probe")')

    document = project.explain()

    assert problem_ids(document) == []
    assert {"kind": "app", "source": "gym", "version": None, "steps": 0} in document["sources"]


def test_what_a_plugin_prints_stays_out_of_the_document(project: Project) -> None:
    """With ``--format json`` stdout holds one JSON document, whatever plugins print."""
    add(project, "chatty", 'print("loading chatty")\n' + hook('print("in the hook")'))
    project.app("loud", routines='print("loading loud")\n')
    project.settings('command("deploy", "probe")')

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert ran.out.startswith("{"), ran.out[:80]
    assert ran.document["problems"] == []


def test_override_and_disable_are_the_settings_alone(trapped: Any) -> None:
    """A plugin that tries is told who may, and the step that it meant stays as it was."""
    for name in ("dist-overrides", "dist-disables"):
        assert "settings" in problem(trapped, name)["message"].partition("DeclarationError")[2]
    step = trapped["steps"][0]
    assert (step["id"], step["priority"], step["status"]) == ("settings:probe", 0, "run")


def test_a_broken_source_fails_closed(project: Project) -> None:
    """Plans show it, runs refuse it, everything else neither loads it nor stops at it."""
    broken = TRACE + hook('raise RuntimeError("the CDN is on fire")')
    line = broken.splitlines().index('    raise RuntimeError("the CDN is on fire")')
    add(project, "acme-broken", broken)
    project.settings('command("deploy", "probe", "own")')
    loaded = project.root / "imported.txt"
    place = f"acme-broken (acme_broken/hooks.py:{line})"
    what = "its contribute_routines hook raised RuntimeError: the CDN is on fire."
    remedy = 'block it: DJANGO_RUNBOOK = {"PLUGINS": {"block": ["acme-broken"]}}.'

    # Other commands neither load it nor stop at it.
    for words in (["migrate"], ["check"], ["probe", "by-hand"], ["help"]):
        ran = project.manage(*words)
        assert ran.status == 0, ran.err
        assert "acme" not in ran.out + ran.err
    assert not loaded.exists()
    assert project.ran == ["probe by-hand"]

    # Explaining shows it, among everything else.
    ran = project.manage("routine", "deploy", "--explain")
    assert loaded.read_text() == "acme_broken.hooks\n"
    assert ran.status == 1
    assert no_traceback(ran)
    for text in (place, "django_runbook.E004", what, remedy, "settings:probe"):
        assert text in ran.out
    ran = project.manage("routine", "deploy", "--explain", "--format", "json")
    assert ran.status == 1
    assert problem_ids(ran.document) == ["E004"]
    assert (ran.document["problems"][0]["message"]).endswith(what)
    ran = project.manage("routine", "--explain", "--format", "json")
    assert (ran.status, problem_ids(ran.document)) == (1, ["E004"])

    # Running refuses.
    ran = project.manage("routine", "deploy")
    assert ran.status == 1
    assert no_traceback(ran)
    for text in ("Routine 'deploy' was not run: 1 error.", place, what, remedy):
        assert text in ran.err
    assert project.ran == ["probe by-hand"]

    # So do the checks that are made before a deploy.
    ran = project.manage("check", "--deploy")
    assert ran.status == 1
    assert f"{place}: (django_runbook.E004) Distribution acme-broken 1.0: {what}" in ran.err

    # As the remedy says, blocking it lets the rest run.
    project.settings("""
        command("deploy", "probe", "own")
        DJANGO_RUNBOOK = {"PLUGINS": {"block": ["acme-broken"]}}
    """)
    loaded.unlink()
    ran = project.manage("routine", "deploy")
    assert (ran.status, ran.err) == (0, "")
    assert project.ran == ["probe by-hand", "probe own"]
    assert not loaded.exists()


def test_a_routine_that_only_a_broken_source_declares(project: Project) -> None:
    """Who asks for it is told about the broken source, not only that there is no such routine."""
    add(project, "acme-broken", "import a_module_that_nobody_has\n")
    project.settings("")

    ran = project.manage("routine", "deploy")
    assert ran.status == 1  # the plan has errors: the command line may well be right
    assert "There is no routine 'deploy'." in ran.err
    assert "django_runbook.E003" in ran.err
    assert no_traceback(ran)

    ran = project.manage("routine", "--explain", "--format", "json")
    assert (ran.status, ran.document["routines"], problem_ids(ran.document)) == (1, [], ["E003"])
    ran = project.manage("routine", "--explain")
    assert ran.status == 1
    assert "a_module_that_nobody_has" in ran.out
    assert project.manage("routine", "--help").status == 0


def test_a_plan_asked_from_python_holds_the_problems(project: Project) -> None:
    """``get_plan`` raises nothing for a broken source: ``problems`` says what, whose and how."""
    add(project, "acme-broken", hook('raise ValueError("no stock")'))
    project.settings('command("deploy", "probe")')

    ran = project.python("""
        import django, json
        django.setup()
        from django_runbook import get_plan
        plan = get_plan("deploy")
        print(json.dumps([[one.id, str(one.origin)] for one in plan.problems]))
        print(json.dumps([step.id for step in plan.steps]))
    """)

    problems, steps = map(json.loads, ran.out.splitlines())
    assert problems == [["django_runbook.E004", "acme-broken (acme_broken/hooks.py:5)"]]
    assert steps == ["settings:probe"]
