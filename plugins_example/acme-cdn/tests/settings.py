"""The least site that this distribution can be a part of."""

SECRET_KEY = "tests"
INSTALLED_APPS = ["django.contrib.staticfiles", "django_typer", "django_runbook"]
USE_TZ = True

# What else is installed where the tests run has no part in them.
DJANGO_RUNBOOK = {"PLUGINS": {"allow": ["acme-cdn"]}}

# What the settings component of this distribution says on a real site.
ACME_CDN_BASE_URL = "https://cdn.example.com/static/"
ACME_CDN_DIRECTORY = "static"
ACME_CDN_MANIFEST = "cdn-manifest.json"
