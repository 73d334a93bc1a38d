"""The settings, composed of files that each say one thing.

Every file may declare steps; which file was read first decides between steps of equal priority,
and `include` reads wildcards in sorted order on every file system.
"""

import os

from django_runbook import include, optional, plugin_settings

_ENVIRONMENT = os.environ.get("RUNBOOK_EXAMPLE_ENV", "development")

include(
    "components/*.py",
    *plugin_settings("acme-cdn"),
    f"environments/{_ENVIRONMENT}.py",
    optional("local.py"),
)
