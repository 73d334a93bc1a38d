"""The deploy steps of every site in whose environment this distribution is installed.

Named by the entry point group ``django_runbook``, so the site installs the distribution and is
done: there is no app to add to ``INSTALLED_APPS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings

from django_runbook import hookimpl

if TYPE_CHECKING:
    from django_runbook.contribute import Contribution


@hookimpl
def contribute_routines(routines: Contribution) -> None:
    """Purge what `collectstatic` changed, then fetch everything once.

    The programs know no Django, so the settings become arguments here. They are there to be read:
    the hook is called when a plan is asked for, long after the settings are complete.
    """
    base_url = settings.ACME_CDN_BASE_URL
    manifest = str(settings.ACME_CDN_MANIFEST)
    routines.system(
        "deploy",
        "acme-cdn-purge",
        "--base-url",
        base_url,
        "--manifest",
        manifest,
        str(settings.ACME_CDN_DIRECTORY),
        step_id="purge",
        priority=90,
        run_after=["collectstatic"],
        help_text="Purge the static files that changed.",
    )
    routines.system(
        "deploy",
        "acme-cdn-preheat",
        "--base-url",
        base_url,
        manifest,
        step_id="preheat",
        priority=91,
        run_after=["acme-cdn:purge"],
        help_text="Fetch every static file once.",
    )
