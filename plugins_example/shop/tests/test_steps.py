"""The steps that this app brings; Django's own test runner would do as well as pytest."""

from __future__ import annotations

from django.test import SimpleTestCase

from django_runbook.testing import Runbook, assert_not_run, assert_order, assert_steps


class ShopSteps(SimpleTestCase):
    """What a site gets with the app."""

    def setUp(self) -> None:
        """Give each test a site that migrates."""
        self.runbook = Runbook()
        self.runbook.settings.command("deploy", "migrate", priority=60)

    def test_the_catalogue_is_made_from_tables_that_are_there(self) -> None:
        """It states a lower priority than the site's migrations, and waits for them."""
        plan = self.runbook.plan("deploy")

        assert_steps(plan, ["settings:migrate", "shop:warm_catalogue"])
        assert_not_run(plan, "shop:demo")

    def test_the_demo_products_are_in_the_first_catalogue(self) -> None:
        """The switch adds a step between the two."""
        plan = self.runbook.plan("deploy", ["demo"])

        assert_order(plan, "settings:migrate", "shop:demo", "shop:warm_catalogue")

    def test_the_site_has_the_last_word(self) -> None:
        """A site may move the catalogue behind the steps of others."""
        self.runbook.settings.override("deploy", "shop:warm_catalogue", priority=95)
        self.runbook.app("newsletter").command("deploy", "sendtestemail", "a@b.c", priority=90)

        plan = self.runbook.plan("deploy")

        assert_order(plan, "newsletter:sendtestemail", "shop:warm_catalogue")

    def test_a_deploy_warms_the_catalogue_once(self) -> None:
        """By its management command, without options."""
        recording = self.runbook.record("deploy", ["demo"])

        assert recording.command_lines == ["migrate", "loaddata demo", "warm_catalogue"]
        assert recording.result.status == "succeeded"
