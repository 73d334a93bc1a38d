"""What a process pays at start-up, and what it does not: nothing is collected there."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

import pytest

import django_runbook

from .projects import Project, hook

DECLARATIONS = [
    "ROUTINE_SETTING",
    "Command",
    "FinalizeCallback",
    "InitializeCallback",
    "ManagementCommand",
    "PostHook",
    "PreHook",
    "Routine",
    "RoutineCommand",
    "SystemCommand",
    "command",
    "contribute",
    "disable",
    "get_routine",
    "include",
    "optional",
    "override",
    "plugin_settings",
    "routine",
    "routines",
    "system",
]
"""What a settings file imports."""

NOT_STAR = """
    SECRET_KEY = "test"
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    LANGUAGE_CODE = "en"
"""
"""Settings without a star import: what they load is theirs alone."""

REPORT = """
    import json, sys
    print(json.dumps(sorted(sys.modules)))
"""


def loaded(project: Project, code: str) -> set[str]:
    """Return the modules that a fresh process has loaded after running the code."""
    ran = project.python(f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))")
    assert ran.status == 0, ran.err
    return set(json.loads(ran.out))


def test_a_settings_file_imports_no_framework(project: Project) -> None:
    """The package and each name that a settings file uses load none of these."""
    imports = [f"from django_runbook import {name}" for name in DECLARATIONS]

    modules = loaded(project, "\n".join(["import django_runbook", *imports]))

    tops = {name.partition(".")[0] for name in modules}
    assert tops.isdisjoint({"django", "django_typer", "pluggy", "rich", "typer", "click"})
    assert {name for name in modules if name.startswith("django_runbook.")}.isdisjoint(
        {"django_runbook.hookspecs", "django_runbook.plugins", "django_runbook.registry"}
    )


def test_declarations_and_setup_collect_nothing(project: Project) -> None:
    """``django.setup()`` loads neither a hook module nor an entry point, nor what loads them.

    A process with ``django_typer`` alone is the measure: it may load typer and rich by itself.
    """
    project.app(
        "shop",
        routines=hook('routines.command("deploy", "probe")'),
        apps="""
            from django.apps import AppConfig
            from django_runbook import contribute

            class ShopConfig(AppConfig):
                name = "shop"

                def ready(self):
                    contribute(self).command("deploy", "probe")
        """,
    )
    project.distribution(
        "globex-mail",
        modules={"globex_mail/hooks.py": hook('routines.command("deploy", "probe")')},
        entry_points={"django_runbook": {"mail": "globex_mail.hooks"}},
    )
    project.file("config/alone.py", f"{NOT_STAR}    INSTALLED_APPS = ['django_typer', 'probe']\n")
    project.file(
        "config/settings.py",
        f"""{NOT_STAR}
    INSTALLED_APPS = ['django_typer', 'probe', 'django_runbook', 'shop']
    from django_runbook import ManagementCommand, command, include, optional, routine
    routine("deploy", "Deploy.", ManagementCommand("check"), demo="Load it.")
    command("deploy", "probe", switches=["demo"], run_after=["check"])
    include(optional("local.py"))
    """,
    )
    alone = loaded(
        project,
        "import os; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.alone'\n"
        "import django; django.setup()",
    )

    modules = loaded(project, "import django; django.setup()")

    added = modules - alone
    assert {"django_runbook.apps", "shop.apps"} <= added
    assert {"shop.routines", "globex_mail", "globex_mail.hooks"}.isdisjoint(modules)
    libraries = {"django_typer", "pluggy", "rich", "typer", "click"}
    assert {name for name in added if name.partition(".")[0] in libraries} == set()
    # Declaring and composing, and the app itself: nothing that collects, orders or runs.
    assert {name for name in added if name.startswith("django_runbook.")}.isdisjoint(
        {
            f"django_runbook.{name}"
            for name in ("checks", "fragments", "merge", "order", "plugins", "registry", "sources")
        }
    )


def test_other_commands_load_no_hook_module_and_survive_broken_ones(project: Project) -> None:
    """``migrate`` and ``check`` neither load a plugin nor stop at its error; the plan does."""
    trace = 'from pathlib import Path\nPath("loaded.txt").touch()\n'
    project.app("shop", routines=f"{trace}raise RuntimeError('broken')\n")
    project.distribution(
        "globex-mail",
        modules={"globex_mail/hooks.py": f"{trace}import nothing_of_that_name\n"},
        entry_points={"django_runbook": {"mail": "globex_mail.hooks"}},
    )
    project.settings('command("deploy", "probe")')

    ran = [project.manage(*args) for args in (["migrate"], ["check"], ["probe"])]

    assert [(one.status, one.err) for one in ran] == [(0, "")] * 3
    assert not (project.root / "loaded.txt").exists()
    assert project.manage("routine", "deploy").status == 1
    assert (project.root / "loaded.txt").exists()
    assert project.ran == ["probe"]


def test_names_that_load_late_are_there(project: Project) -> None:
    """``hookimpl`` and ``get_plan`` load what they need when they are first used."""
    modules = loaded(
        project, "from django_runbook import hookimpl\nassert callable(hookimpl(lambda: 0))"
    )
    assert "pluggy" in modules
    assert {name.partition(".")[0] for name in modules}.isdisjoint({"django", "typer", "rich"})

    modules = loaded(
        project, "from django_runbook import get_plan\nassert get_plan.__name__ == 'get_plan'"
    )
    assert "django_runbook.registry" in modules
    assert {name.partition(".")[0] for name in modules}.isdisjoint({"django_typer", "typer"})


def test_the_modules_of_users_are_there_without_an_import(project: Project) -> None:
    """``django_runbook.exceptions`` needs no import of its own."""
    loaded(
        project,
        "import django_runbook\n"
        "assert issubclass(django_runbook.exceptions.PlanError, Exception)\n"
        "assert django_runbook.signals.routine_started",
    )


def test_a_name_that_a_test_replaces_is_itself_again_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a test has put in its place is not kept."""
    with monkeypatch.context() as patch:
        patch.setattr("django_runbook.registry.get_plan", None)
        assert django_runbook.get_plan is None
    assert callable(django_runbook.get_plan)


def test_the_package_lists_what_it_exports() -> None:
    """Every public name is listed and can be read; the version is the distribution's."""
    assert set(DECLARATIONS) <= set(django_runbook.__all__)
    # "import *" in a settings file loads what stands there, and must not load pluggy.
    assert {"get_plan", "hookimpl"}.isdisjoint(django_runbook.__all__)
    assert {*django_runbook.__all__, "get_plan", "hookimpl"} <= set(dir(django_runbook))
    assert sorted(dir(django_runbook)) == dir(django_runbook)
    for name in (*django_runbook.__all__, "get_plan", "hookimpl"):
        assert getattr(django_runbook, name) is not None
    assert django_runbook.__version__ == version("django-runbook")
    assert "__version__" in dir(django_runbook)


@pytest.mark.parametrize("name", ["comand", "registy", "_private"])
def test_an_unknown_name_is_an_attribute_error(name: str) -> None:
    """The message names the module and what was asked for, as Python's own does."""
    with pytest.raises(AttributeError, match=f"'django_runbook' has no attribute '{name}'"):
        getattr(django_runbook, name)
    missing: Any = object()
    assert getattr(django_runbook, name, missing) is missing
