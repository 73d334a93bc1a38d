"""A deploy of twenty steps: as a routine, and as the shell script that it replaces."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import sites
from benchmarks.contest import Contender, Contest, Figure, Row, Target, ratio

ROUTINE = "a routine"
SCRIPT = "a shell script"


def figure(folder: Path, *, quick: bool) -> Figure:
    """Return the figure."""
    count = 2 if quick else 20
    site = sites.start(folder / "site")
    plain = sites.settings(site, "plain", ["office"])
    apps = ["django_typer", "django_runbook", "office"]
    ours = sites.settings(site, "ours", apps, sites.functions("django_runbook", count))
    sites.write(site / "deploy.sh", f"'{sys.executable}' manage.py noop\n" * count)
    contenders = (
        Contender(ROUTINE, ("manage.py", "routine", "deploy"), site, ours),
        Contender(SCRIPT, ("sh", "-e", "deploy.sh"), site, plain, program=True),
    )
    about = f"""
{count} management commands that do nothing: in one process as `manage.py routine deploy`, and one
after the other by a script of `sh -e` with {count} lines `python manage.py noop`, with neither
django-runbook nor django-typer in `INSTALLED_APPS`.
"""
    row = Row("The script to the routine", ratio(SCRIPT, ROUTINE), target=Target(10, least=True))
    contest = Contest(contenders, (row,), rounds=1 if quick else 8)
    return Figure("A routine or a script", about, (contest,))
