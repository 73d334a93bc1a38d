"""The steps that this distribution brings, on sites of all sorts.

It is installed, so its entry point is found as on any site. What the site would say for itself,
each test says in its place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from django_runbook.exceptions import PlanError
from django_runbook.testing import assert_not_run, assert_order, assert_steps

if TYPE_CHECKING:
    from django_runbook.testing import Recording, Runbook


def test_the_cdn_is_purged_when_the_files_are_there(runbook: Runbook) -> None:
    """However late the site collects its static files, the purge comes after that."""
    runbook.settings.command("deploy", "collectstatic", "--no-input", priority=1000)

    plan = runbook.plan("deploy")

    assert_order(plan, "settings:collectstatic", "acme-cdn:purge", "acme-cdn:preheat")


def test_other_steps_stay_where_they_are(runbook: Runbook) -> None:
    """A site's own steps are before the purge, or after it, as their priorities say."""
    runbook.settings.command("deploy", "check", priority=10)
    runbook.app("newsletter").command("deploy", "sendtestemail", "a@example.com", priority=100)

    assert_steps(
        runbook.plan("deploy"),
        ["settings:check", "acme-cdn:purge", "acme-cdn:preheat", "newsletter:sendtestemail"],
    )


def test_a_site_may_do_without_the_preheating(runbook: Runbook) -> None:
    """One step can be switched off, and the other stays."""
    runbook.settings.disable("deploy", "acme-cdn:preheat")

    plan = runbook.plan("deploy")

    assert_steps(plan, ["acme-cdn:purge"])
    assert_not_run(plan, "acme-cdn:preheat")


def test_the_programs_get_what_the_settings_say(
    record_routine: Callable[..., Recording], settings: object
) -> None:
    """The address, the manifest and the directory are those of the site."""
    settings.ACME_CDN_BASE_URL = "https://static.example.org/"

    recording = record_routine("deploy")

    purge, preheat = (one.argv for one in recording.steps)
    assert purge[:3] == ["acme-cdn-purge", "--base-url", "https://static.example.org/"]
    assert purge[3:] == ["--manifest", "cdn-manifest.json", "static"]
    assert preheat == [
        *("acme-cdn-preheat", "--base-url", "https://static.example.org/", "cdn-manifest.json"),
    ]


def test_nothing_is_fetched_after_a_purge_that_failed(
    record_routine: Callable[..., Recording],
) -> None:
    """The deploy ends there."""
    recording = record_routine("deploy", fail=["acme-cdn:purge"])

    assert recording.ids == ["acme-cdn:purge"]
    assert recording.result.status == "failed"


def test_a_site_that_forgot_the_settings_is_told(runbook: Runbook, settings: object) -> None:
    """The plan has an error that names this distribution, instead of lacking its steps."""
    del settings.ACME_CDN_BASE_URL

    with pytest.raises(PlanError, match=r"acme-cdn \(acme_cdn/hooks.py:\d+\).*AttributeError"):
        runbook.plan("deploy")
