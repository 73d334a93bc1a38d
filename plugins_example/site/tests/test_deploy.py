"""The deploy of this site: what was reviewed, and what must not happen to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from django_runbook.testing import assert_order, assert_pinned, plan_routine

if TYPE_CHECKING:
    from django_runbook.testing import Recording, Runbook

PIN = Path(__file__).parents[1] / "deploy.plan.json"


def test_the_deploy_is_the_one_that_was_reviewed() -> None:
    """Whoever changes it, here or in a plugin, has to write and show ``deploy.plan.json``."""
    assert_pinned(plan_routine("deploy"), PIN)


def test_an_upgrade_that_changes_the_deploy_is_noticed(runbook: Runbook) -> None:
    """A version of acme-cdn with one step more is told apart, with both of its versions."""
    newer = runbook.distribution("acme-cdn", "2.0.0")
    newer.system("deploy", "acme-cdn-purge", "--everything", step_id="purge", priority=90)
    newer.system("deploy", "acme-cdn-verify", step_id="verify", run_after=["acme-cdn:purge"])
    newer.system("deploy", "acme-cdn-preheat", step_id="preheat")

    with pytest.raises(AssertionError) as caught:
        assert_pinned(runbook.plan("deploy"), PIN)

    assert "+ acme-cdn:verify" in str(caught.value)
    assert "acme-cdn 1.0.0 -> 2.0.0" in str(caught.value)


def test_the_readers_hear_of_a_release_when_it_is_there(
    record_routine: Callable[..., Recording],
) -> None:
    """Nobody is told of a release whose catalogue could not be made."""
    assert_order(plan_routine("deploy"), "shop:warm_catalogue", "newsletter:send_release_note")

    recording = record_routine("deploy", fail=["shop:warm_catalogue"])

    assert recording.result.status == "failed"
    assert "newsletter:send_release_note" not in recording.ids


def test_a_first_deploy_packages_before_anything_else(
    record_routine: Callable[..., Recording],
) -> None:
    """With every switch: the steps of the nested routine, then the tables, then what is in them."""
    recording = record_routine("deploy", everything=True)

    assert recording.ids[:2] == ["settings:makemigrations", "settings:compile"]
    assert recording.ids.index("settings:migrate") < recording.ids.index("shop:demo")
