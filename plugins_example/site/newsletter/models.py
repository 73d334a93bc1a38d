"""Which release notes went out."""

from django.db import models


class ReleaseNote(models.Model):
    """A release whose note was sent: the row keeps a second deploy from sending it again."""

    release = models.CharField(max_length=20, unique=True)
    sent_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"release {self.release}"
