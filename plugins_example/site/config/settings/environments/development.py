"""On a developer's machine: the default."""

DEBUG = True
SECRET_KEY = "for development only"
ALLOWED_HOSTS = ["localhost"]
