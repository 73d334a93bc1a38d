"""`manage.py send_release_note`: the step that this app adds to the deploy."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.management.base import BaseCommand
from django.db import transaction
from django.template.loader import render_to_string

from newsletter.models import ReleaseNote


class Command(BaseCommand):
    """Send the note of the current release to the readers, unless it was sent before."""

    help = "Send the note of the current release to the readers, once."

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        """Send, and remember that; in one transaction, so that a failed mail is tried again."""
        release: str = settings.NEWSLETTER_RELEASE
        with transaction.atomic():
            _note, new = ReleaseNote.objects.get_or_create(release=release)
            if new:
                _message(release).send()
        if verbosity >= 1:
            done = "sent" if new else "was sent before"
            self.stdout.write(f"Release note {release} {done}.")


def _message(release: str) -> EmailMessage:
    return EmailMessage(
        subject=f"Release {release}",
        body=render_to_string("newsletter/release_note.txt", {"release": release}),
        to=settings.NEWSLETTER_RECIPIENTS,
    )
