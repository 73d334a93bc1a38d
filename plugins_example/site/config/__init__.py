"""The project: settings, paths and the WSGI application."""
