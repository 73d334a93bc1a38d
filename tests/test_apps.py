"""Contributing from installed apps: in ``ready()``, in a module ``routines``, or in both."""

from __future__ import annotations

import json
from typing import Any

from .projects import Project, hook, ids, problem_ids

READY = """
    from django.apps import AppConfig
    from django_runbook import contribute

    class ShopConfig(AppConfig):
        name = "shop"

        def ready(self):
            contribute(self).command("deploy", "probe", "ready")
"""


def places(document: Any) -> dict[str, tuple[str, int]]:
    """Return each step's file and line, by the step's id."""
    return {
        step["id"]: (step["origin"]["file"], step["origin"]["line"]) for step in document["steps"]
    }


def words(document: Any) -> list[str]:
    """Return the first argument of each step that runs, in order."""
    return [step["argv"][1] for step in document["steps"] if step["status"] == "run"]


def test_a_hook_in_the_module_routines(project: Project) -> None:
    """Each call records its own line, in the file as it is imported, helpers included."""
    project.app(
        "shop",
        routines="""
            from django_runbook import hookimpl

            def helper(routines, word):
                routines.command("deploy", "probe", word)

            @hookimpl
            def contribute_routines(routines):
                routines.command("deploy", "probe", "one")
                routines.command(
                    "deploy",
                    "probe",
                    "two",
                )
                for word in ("three", "four"):
                    routines.system("deploy", "echo", word)
                helper(routines, "five")
        """,
    )
    project.settings("")

    document = project.explain()

    assert places(document) == {
        "shop:probe": ("shop/routines.py", 8),
        "shop:probe-2": ("shop/routines.py", 9),
        "shop:echo": ("shop/routines.py", 15),
        "shop:echo-2": ("shop/routines.py", 15),
        "shop:probe-3": ("shop/routines.py", 4),
    }
    assert words(document) == ["one", "two", "three", "four", "five"]
    origin = document["steps"][0]["origin"]
    assert (origin["kind"], origin["source"], origin["version"]) == ("app", "shop", None)
    assert {"kind": "app", "source": "shop", "version": None, "steps": 5} in document["sources"]


def test_ready_and_hook_of_one_app(project: Project) -> None:
    """What ``ready()`` contributes comes first; both count, each where it was declared."""
    project.app("shop", apps=READY, routines=hook('routines.command("deploy", "probe", "hook")'))
    project.settings("")

    document = project.explain()

    assert words(document) == ["ready", "hook"]
    assert places(document) == {
        "shop:probe": ("shop/apps.py", 8),
        "shop:probe-2": ("shop/routines.py", 5),
    }
    assert problem_ids(document) == []


def test_apps_stand_in_the_order_of_installed_apps(project: Project) -> None:
    """Of equal priorities the app installed first runs first, by hook or by ``ready()``.

    A priority outranks that, and the settings stand before all apps.
    """
    project.app("zebra", routines=hook('routines.command("deploy", "probe", "zebra")'))
    project.app("shop", apps=READY)
    project.app(
        "ant",
        routines=hook("""
            routines.command("deploy", "probe", "ant")
            routines.command("deploy", "probe", "early", priority=-1)
        """),
    )
    project.settings('command("deploy", "probe", "settings")')

    assert words(project.explain()) == ["early", "settings", "zebra", "ready", "ant"]


def test_a_routine_that_apps_alone_declare(project: Project) -> None:
    """Apps need no word in the settings: ``routine()`` with inline commands, switches, helps."""
    project.app(
        "shop",
        routines="""
            from django_runbook import ManagementCommand, SystemCommand, hookimpl

            @hookimpl
            def contribute_routines(routines):
                routines.routine(
                    "stock-take",
                    "Count what is there.",
                    ManagementCommand(("probe", "inline"), priority=2),
                    SystemCommand(("echo", "inline"), switches=["loud"]),
                    loud="Say it, too.",
                )
                added = routines.command("stock_take", "probe", "added", priority=1, tag="x")
                assert added.command_name == "probe"
                routines.system("stock-take", "echo", "added")
        """,
    )
    project.settings("")

    document = project.explain("stock-take", "--loud")

    assert (document["routine"], document["help_text"]) == ("stock_take", "Count what is there.")
    assert document["switches"] == {"active": ["loud"], "available": {"loud": "Say it, too."}}
    assert [(step["kind"], *step["argv"]) for step in document["steps"]] == [
        ("system", "echo", "inline"),
        ("system", "echo", "added"),
        ("management", "probe", "added"),
        ("management", "probe", "inline"),
    ]
    assert places(document) == {
        "shop:probe": ("shop/routines.py", 8),
        "shop:echo": ("shop/routines.py", 9),
        "shop:probe-2": ("shop/routines.py", 12),
        "shop:echo-2": ("shop/routines.py", 14),
    }
    ran = project.manage("routine", "stock-take")
    assert (ran.status, project.ran) == (0, ["probe added x", "probe inline"])


def test_routines_of_ready(project: Project) -> None:
    """``contribute(self)`` has the same verbs as the hook's argument, and more than one routine."""
    project.app(
        "shop",
        apps="""
            from django.apps import AppConfig
            from django_runbook import ManagementCommand, contribute

            class ShopConfig(AppConfig):
                name = "shop"

                def ready(self):
                    contribute(self).routine("deploy", "Of the shop.", ManagementCommand("probe"))
                    routines = contribute(self)
                    routines.system("deploy", "echo", "x", priority=3)
                    routines.command("restock", "probe", "restocked")
        """,
    )
    project.settings("")

    ran = project.manage("routine", "--explain", "--format", "json")

    deploy, restock = ran.document["routines"]
    assert (ran.status, deploy["help_text"]) == (0, "Of the shop.")
    assert places(deploy) == {"shop:probe": ("shop/apps.py", 8), "shop:echo": ("shop/apps.py", 10)}
    assert places(restock) == {"shop:probe": ("shop/apps.py", 11)}


def test_names_of_apps(project: Project) -> None:
    """A source is known by the app's label; its files by how they are imported.

    The app may be installed by the path of its AppConfig, carry a label of its own, lie in a
    package of apps, or have a package ``routines``.
    """
    contributes = hook('routines.command("deploy", "probe", __name__)')
    project.app(
        "shop",
        installed=False,
        apps=READY
        + """
    class OtherConfig(ShopConfig):
        label = "store"
        default = False
""",
        routines=contributes,
    )
    project.app("company/fleet", installed=False, routines=contributes)
    project.file("company/__init__.py", "")
    project.app("parcel")
    project.file("parcel/routines/__init__.py", contributes)
    project.apps = ("shop.apps.OtherConfig", "company.fleet", *project.apps)
    project.settings("")

    document = project.explain()

    assert places(document) == {
        "store:probe": ("shop/apps.py", 8),
        "store:probe-2": ("shop/routines.py", 5),
        "fleet:probe": ("company/fleet/routines.py", 5),
        "parcel:probe": ("parcel/routines/__init__.py", 5),
    }
    assert words(document) == [
        "ready",
        "shop.routines",
        "company.fleet.routines",
        "parcel.routines",
    ]
    assert {one["origin"]["source"] for one in document["steps"]} == {"store", "fleet", "parcel"}


def test_contributions_come_and_go_with_the_app(project: Project) -> None:
    """A test that changes ``INSTALLED_APPS`` sees the steps of the apps that are installed.

    ``ready()`` runs again when the setting changes back, and still counts once; it may be called
    again on one and the same configuration, too.
    """
    project.app("shop", apps=READY, routines=hook('routines.command("deploy", "probe", "hook")'))
    project.settings('command("deploy", "probe", "own")')

    ran = project.python("""
        import django, json
        django.setup()
        from django.apps import apps
        from django.test import modify_settings
        from django_runbook import get_plan

        def steps():
            print(json.dumps([step.id for step in get_plan("deploy").steps]))

        steps()
        with modify_settings(INSTALLED_APPS={"remove": ["shop"]}):
            steps()
            with modify_settings(INSTALLED_APPS={"append": ["shop"]}):
                steps()
        steps()
        apps.get_app_config("shop").ready()
        steps()
    """)

    with_shop = ["settings:probe", "shop:probe", "shop:probe-2"]
    seen = [json.loads(line) for line in ran.out.splitlines()]
    assert seen == [with_shop, ["settings:probe"], with_shop, with_shop, with_shop], ran.err


def test_the_same_call_twice_in_ready_counts_twice(project: Project) -> None:
    """Two calls are two steps: only what ``ready()`` says when it runs again counts once."""
    twice = READY + '            contribute(self).command("deploy", "probe", "ready")\n'
    project.app("shop", apps=twice)
    project.settings("")

    assert ids(project.explain()) == ["shop:probe", "shop:probe-2"]


def test_a_declaration_that_would_be_lost_is_refused(project: Project) -> None:
    """Each wrong way to contribute from an app is told the right one."""
    project.settings("")

    ran = project.python("""
        import django
        django.setup()
        from django.apps import AppConfig, apps
        from django_runbook import command, contribute
        from django_runbook.exceptions import DeclarationError

        class Config(AppConfig):
            def ready(self):
                command("deploy", "probe")

        config = apps.get_app_config("probe")
        for wrong in (
            lambda: command("deploy", "probe"),
            lambda: contribute("probe"),
            lambda: contribute(Config),
            lambda: contribute(config).override("deploy", "settings:probe", priority=1),
            lambda: contribute(config).disable("deploy", "settings:probe"),
        ):
            try:
                wrong()
            except DeclarationError as exc:
                print(exc)
            else:
                print("accepted")
    """)

    lost, text, cls, override, disable = ran.out.splitlines()
    assert "contribute(self).command(...)" in lost
    assert "not a str. Call contribute(self) in AppConfig.ready()." in text
    assert "Call contribute(self) in AppConfig.ready()." in cls
    assert "override('deploy', 'settings:probe'" in override
    assert "settings" in override.replace("settings:probe", "")
    assert "disable('deploy', 'settings:probe'" in disable


def test_nothing_is_collected_at_start_up(project: Project) -> None:
    """Setting Django up imports no hook module and neither pluggy nor what collects.

    That holds for ``from django_runbook import *``, too, which these settings begin with: it must
    not bring in the names that load late.
    """
    project.app("shop", apps=READY, routines=hook('routines.command("deploy", "probe", "hook")'))
    project.settings('command("deploy", "probe", "own")')

    ran = project.python("""
        import sys
        import django
        django.setup()
        late = ("pluggy", "shop.routines", "django_runbook.plugins", "django_runbook.registry")
        print([name for name in late if name in sys.modules])
    """)

    assert ran.out == "[]\n", ran.err
