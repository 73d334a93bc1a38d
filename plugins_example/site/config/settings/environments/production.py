"""On the server: nothing is guessed, and the application server is told to reload."""

import os

from config.paths import VAR

from django_runbook import system

DEBUG = False
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = ["shop.example.com"]
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = 31_536_000
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
CSRF_COOKIE_SECURE = True

# uWSGI (touch-reload), for one, reloads when the time stamp of a file changes.
system("deploy", "touch", str(VAR / "reload"), priority=100)
