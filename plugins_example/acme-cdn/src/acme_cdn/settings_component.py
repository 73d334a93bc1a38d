"""Settings that this distribution ships: included by a site, never imported.

It runs in the namespace of the site's settings, after the site's own components, so it can build
on what they said; what the site includes later can still change what is said here. Its
``DJANGO_ROUTINES`` is merged with the site's and replaces nothing.
"""

from pathlib import Path

ACME_CDN_BASE_URL = "https://cdn.example.com/static/"
ACME_CDN_DIRECTORY = Path(globals()["STATIC_ROOT"])
ACME_CDN_MANIFEST = ACME_CDN_DIRECTORY.with_name("cdn-manifest.json")

DJANGO_ROUTINES = {
    "cdn": {
        "help_text": "Purge every static file from the CDN, changed or not.",
        "commands": [
            {
                "system": (
                    "acme-cdn-purge",
                    "--everything",
                    "--base-url",
                    ACME_CDN_BASE_URL,
                    "--manifest",
                    str(ACME_CDN_MANIFEST),
                    str(ACME_CDN_DIRECTORY),
                ),
            },
        ],
    },
}
