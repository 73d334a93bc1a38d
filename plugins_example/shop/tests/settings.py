"""The least site that this app can be a part of."""

SECRET_KEY = "tests"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ["django_typer", "django_runbook", "shop"]
USE_TZ = True

# What else is installed where the tests run has no part in them.
DJANGO_RUNBOOK = {"PLUGINS": {"allow": []}}
