"""Whole processes: what explaining and running cost beside an empty command."""

from __future__ import annotations

from pathlib import Path

from benchmarks import sites
from benchmarks.contest import Contender, Contest, Figure, Row, Target, ratio

TITLE = "Whole processes"
ABOUT = """
A process of `manage.py`, from its start to its end, on the site that `startproject` makes. The
routine has one command, which does nothing. Beside it run a `BaseCommand` and a command of
django-typer that do nothing, with their default system checks.
"""

BARE = "an empty BaseCommand"
TYPER = "an empty command of django-typer"
EXPLAIN = "routine deploy --explain"
RUN = "routine deploy"
PEER_LIST = "routine deploy list of django-routines"
PEER_RUN = "routine deploy of django-routines"


def contenders(site: Path) -> tuple[Contender, ...]:
    """Make the site, and name who takes part."""
    sites.start(site)
    plain = sites.settings(site, "plain", ["django_typer", "office"])
    apps = ["django_typer", "django_runbook", "office"]
    ours = sites.settings(site, "ours", apps, sites.functions("django_runbook", 1))
    apps = ["django_typer", "django_routines", "office"]
    peer = sites.settings(site, "peer", apps, sites.functions("django_routines", 1))
    lines = (
        (BARE, ("noop",), plain),
        (TYPER, ("typed",), plain),
        (EXPLAIN, ("routine", "deploy", "--explain"), ours),
        (RUN, ("routine", "deploy"), ours),
        (PEER_LIST, ("routine", "deploy", "list"), peer),
        (PEER_RUN, ("routine", "deploy"), peer),
    )
    return tuple(
        Contender(name, ("manage.py", *words), site, settings) for name, words, settings in lines
    )


def figure(folder: Path, *, quick: bool) -> Figure:
    """Return the figure."""
    rows = (
        Row(f"`{EXPLAIN}` to {TYPER}", ratio(EXPLAIN, TYPER), target=Target(1.05)),
        Row(f"`{RUN}` to {TYPER}", ratio(RUN, TYPER), target=Target(1.05)),
        Row(f"`{EXPLAIN}` to {BARE}", ratio(EXPLAIN, BARE)),
        Row(f"`{RUN}` to {BARE}", ratio(RUN, BARE)),
        Row(f"An{TYPER[2:]} to {BARE}", ratio(TYPER, BARE)),
        Row(f"django-routines, `routine deploy list`, to {TYPER}", ratio(PEER_LIST, TYPER)),
        Row(f"django-routines, `routine deploy`, to {TYPER}", ratio(PEER_RUN, TYPER)),
    )
    rounds, tries = (2, 1) if quick else (12, 3)
    contest = Contest(contenders(folder / "site"), rows, rounds, tries)
    return Figure(TITLE, ABOUT, (contest,))
