"""What is installed. The order matters: it orders the steps of equal priority of two apps."""

INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.staticfiles",
    "django_typer",
    "django_runbook",
    "shop",
    "newsletter",
]
