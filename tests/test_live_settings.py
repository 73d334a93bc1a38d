"""Changes of the settings and the installed apps, in a process that lives on: tests do that."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import AppConfig, apps
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import modify_settings, override_settings

from django_runbook import ManagementCommand, Routine, contribute, get_plan
from django_runbook.exceptions import DeclarationError

from .projects import hook, ids, write

DEPLOY = {"deploy": {"commands": [{"management": "check"}]}}

APPS = """
    from django.apps import AppConfig
    from django_runbook import contribute

    class LiveShopConfig(AppConfig):
        name = "live_shop"

        def ready(self):
            declared = contribute(self)
            declared.routine("deploy", "Deploy the shop.", warm="Warm the cache.")
            declared.command("deploy", "check", "--tag", "models", step_id="by_ready")
            for tag in ("one", "two"):
                declared.command("deploy", "check", "--tag", tag, switches=["warm"])
"""


def explained(*args: str) -> Any:
    """Return the plan of ``deploy`` as ``call_command`` shows it."""
    out = StringIO()
    call_command("routine", "deploy", *args, "--explain", "--format", "json", stdout=out)
    return json.loads(out.getvalue())


def own(document: Any) -> list[str]:
    """Return the ids of the steps that the settings and the shop contribute."""
    return [one for one in ids(document) if one.startswith(("settings:", "live_shop:"))]


@pytest.fixture(autouse=True)
def _no_distributions(settings: Any) -> None:
    """What is installed beside the package is no part of these tests."""
    settings.DJANGO_RUNBOOK = {"PLUGINS": {"allow": []}}


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An app on disk that contributes in its ``ready()`` and by its hook module."""
    write(tmp_path / "live_shop" / "__init__.py", "")
    write(tmp_path / "live_shop" / "apps.py", APPS)
    write(
        tmp_path / "live_shop" / "routines.py",
        hook('routines.command("deploy", "check", "--tag", "urls", step_id="by_hook")'),
    )
    monkeypatch.syspath_prepend(tmp_path)
    return "live_shop"


@override_settings(DJANGO_ROUTINES=DEPLOY)
def test_a_changed_setting_counts_at_once() -> None:
    """The next command sees it: no module is imported anew, and nothing has to be told."""
    assert own(explained()) == ["settings:check"]

    changed = {"deploy": {"commands": [*DEPLOY["deploy"]["commands"], {"management": "migrate"}]}}
    with override_settings(DJANGO_ROUTINES=changed):
        assert own(explained()) == ["settings:check", "settings:migrate"]
        assert [step.id for step in get_plan("deploy").steps][:2] == own(explained())

    assert own(explained()) == ["settings:check"]


@override_settings(DJANGO_ROUTINES={**DEPLOY, "new": DEPLOY["deploy"]})
def test_routines_and_switches_appear_and_vanish_with_the_setting() -> None:
    """They are subcommands and options of the command, made anew for each."""
    out = StringIO()
    call_command("routine", "new", "list", stdout=out)
    assert out.getvalue().split()[-1] == "check"

    demo = [{"management": "check", "switches": ["demo"]}]
    with override_settings(DJANGO_ROUTINES={"deploy": {"commands": demo}}):
        assert own(explained("--demo")) == ["settings:check"]
        with pytest.raises(CommandError, match="no routine 'new'"):
            call_command("routine", "new", "list")

    with pytest.raises(CommandError, match="--demo"):
        explained("--demo")


def test_the_setting_may_hold_objects() -> None:
    """``override_settings`` takes ``Routine`` objects as values, as a settings file does."""
    deploy = Routine("deploy", commands=[ManagementCommand("check", switches=["demo"])])

    with override_settings(DJANGO_ROUTINES={"deploy": deploy}):
        assert own(explained("--demo")) == ["settings:check"]
        assert own(explained()) == []


@override_settings(DJANGO_ROUTINES=DEPLOY)
def test_the_steps_of_an_app_come_and_go_with_it(shop: str) -> None:
    """An app that is taken out takes its steps along; put in again, it gives them once."""
    both = ["settings:check", "live_shop:by_ready", "live_shop:by_hook"]

    for _ in range(2):
        assert own(explained()) == ["settings:check"]
        with modify_settings(INSTALLED_APPS={"append": shop}):
            assert own(explained()) == both
            with modify_settings(INSTALLED_APPS={"remove": shop}):
                assert own(explained()) == ["settings:check"]
            assert own(explained()) == both
    assert own(explained()) == ["settings:check"]


@override_settings(DJANGO_ROUTINES=DEPLOY)
def test_ready_run_twice_contributes_once(shop: str) -> None:
    """What one line declares in a loop is several steps, and still the same when run again."""
    with modify_settings(INSTALLED_APPS={"append": shop}):
        before = explained("--warm")

        apps.get_app_config("live_shop").ready()

        assert own(before) == [
            "settings:check",
            "live_shop:by_ready",
            "live_shop:check",
            "live_shop:check-2",
            "live_shop:by_hook",
        ]
        assert explained("--warm") == before


@override_settings(DJANGO_ROUTINES=DEPLOY)
def test_the_order_of_the_apps_is_that_of_the_setting(shop: str, tmp_path: Path) -> None:
    """Of two apps' steps those of the app that is installed first run first."""
    write(tmp_path / "live_blog" / "__init__.py", "")
    write(
        tmp_path / "live_blog" / "routines.py",
        hook('routines.command("deploy", "check", "--tag", "blog")'),
    )

    def sources() -> list[str]:
        steps = explained()["steps"]
        found = [one["origin"]["source"] for one in steps if one["origin"]["kind"] == "app"]
        return list(dict.fromkeys(found))

    with modify_settings(INSTALLED_APPS={"append": [shop, "live_blog"]}):
        assert sources() == ["live_shop", "live_blog"]
    with modify_settings(INSTALLED_APPS={"prepend": "live_blog", "append": shop}):
        assert sources() == ["live_blog", "live_shop"]


@pytest.mark.parametrize(
    ("other", "given"),
    [
        (None, "a NoneType"),
        ("live_shop", "a str"),
        (apps, "a Apps"),
        (object(), "a object"),
        (AppConfig, "its class"),
        (type("ShopConfig", (AppConfig,), {"name": "shop", "label": "shop"}), "its class"),
    ],
)
def test_contribute_takes_an_app_config_and_nothing_else(other: object, given: str) -> None:
    """The error says what it was given and what to write."""
    with pytest.raises(DeclarationError, match=f"not {given}") as raised:
        contribute(other)

    assert "contribute(self)" in str(raised.value)


def test_an_app_cannot_change_the_steps_of_others(shop: str) -> None:
    """``override`` and ``disable`` are the settings' alone, and the error says so."""
    with modify_settings(INSTALLED_APPS={"append": shop}):
        declared = contribute(apps.get_app_config("live_shop"))

        with pytest.raises(DeclarationError, match="settings"):
            declared.override("deploy", "settings:check", priority=3)
        with pytest.raises(DeclarationError, match="settings"):
            declared.disable("deploy", "settings:check")
