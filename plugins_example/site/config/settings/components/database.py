"""The database, the cache that lives in it, and the steps that these two need.

The steps stand beside the settings that make them necessary: who moves the cache elsewhere finds
both in one place.
"""

from config.paths import VAR

from django_runbook import command

DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": VAR / "site.sqlite3"}}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "site_cache",
    },
}

# The form with one function call for each step.
command("deploy", "migrate", interactive=False, priority=10)
command("deploy", "createcachetable", switches=["initial"], priority=10, run_after=["migrate"])
