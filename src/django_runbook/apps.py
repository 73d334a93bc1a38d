"""The Django app: it registers the system checks, and does nothing else at start-up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.apps import AppConfig

if TYPE_CHECKING:
    from django.core.checks import CheckMessage


class DjangoRunbookConfig(AppConfig):
    """django-runbook in ``INSTALLED_APPS``."""

    name = "django_runbook"
    verbose_name = "Django Runbook"

    def ready(self) -> None:
        """Register the checks, for ``check --deploy`` alone."""
        from django.core.checks import register

        register(_check, "django_runbook", deploy=True)


def _check(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Import the checks, and with them all else, only where they are asked for."""
    from .checks import check_routines

    return check_routines() if app_configs is None else []
