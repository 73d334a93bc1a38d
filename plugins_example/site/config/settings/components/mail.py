"""Mail is written to files, so that the example sends nothing to anybody."""

import django
from config.paths import VAR

_FILES = "django.core.mail.backends.filebased.EmailBackend"

# Django 6.1 renamed the settings and warns about the old ones.
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": _FILES, "OPTIONS": {"file_path": VAR / "mail"}}}
else:
    EMAIL_BACKEND = _FILES
    EMAIL_FILE_PATH = VAR / "mail"

SILENCED_SYSTEM_CHECKS = ["mail.E001"]  # Mail that nobody receives is what is wanted here.

NEWSLETTER_RELEASE = "1.0"
NEWSLETTER_RECIPIENTS = ["readers@example.com"]
