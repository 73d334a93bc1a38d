"""The static files and the step that collects them.

The plain form: a dictionary, without an import. `include` merges it with what the other
components say about the same routine, where an assignment would otherwise replace all of it.
"""

from config.paths import VAR

STATIC_URL = "static/"
STATIC_ROOT = VAR / "static"

DJANGO_ROUTINES = {
    "deploy": {
        "commands": [
            {"management": ("collectstatic", "--no-input"), "priority": 20},
        ],
    },
}
