"""The app's configuration, and its one deploy step."""

from django.apps import AppConfig

from django_runbook import contribute


class NewsletterConfig(AppConfig):
    """The newsletter, an app of this site."""

    name = "newsletter"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Add the release note to the deploy.

        The other form for an app: a call here instead of a module `routines`, for an app with so
        little to say that a file would be too much.
        """
        contribute(self).command(
            "deploy",
            "send_release_note",
            priority=80,
            run_after=["shop:warm_catalogue"],
            help_text="Write to the readers, once for every release.",
        )
