"""The speed of django-runbook, as ratios that are measured side by side: ``tox run -e bench``."""
