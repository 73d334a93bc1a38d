"""Keeps a CDN in step with a directory of static files; not a Django app."""
