"""Steps: what each one costs in a long run, beside calling its command."""

from __future__ import annotations

from pathlib import Path

from benchmarks import sites
from benchmarks.contest import Contender, Contest, Figure, Row, Target, ratio

WORKER = str(Path(__file__).parents[1] / "workers" / "steps.py")

LOOP = "a loop of call_command"
PLANNED = "run_routine of a plan"
NAMED = "run_routine of a name"
PEER = "django-routines"


def figure(folder: Path, *, quick: bool) -> Figure:
    """Return the figure."""
    count = 20 if quick else 1000
    site = sites.start(folder / "site")
    routines = sites.dictionary(count)
    plain = sites.settings(site, "plain", ["django_typer", "office"])
    ours = sites.settings(site, "ours", ["django_typer", "django_runbook", "office"], routines)
    peer = sites.settings(site, "peer", ["django_typer", "django_routines", "office"], routines)
    ways = (
        (LOOP, "loop", plain),
        (PLANNED, "planned", ours),
        (NAMED, "named", ours),
        (PEER, "peer", peer),
    )
    contenders = tuple(
        Contender(name, ("-P", WORKER, way, str(count)), site, settings, (site,), speaks=True)
        for name, way, settings in ways
    )
    rows = (
        Row("`run_routine(plan)` to the loop", ratio(PLANNED, LOOP), target=Target(1.1)),
        Row("`run_routine(name)` to the loop", ratio(NAMED, LOOP)),
        Row("django-routines to the loop", ratio(PEER, LOOP)),
    )
    about = f"""
{count:,} steps in one process, each of them a management command that does nothing, to a loop that
calls that command as often with `call_command`. The output goes to a pipe. A routine of ten steps
was run before, so that nothing is loaded while it is measured.
"""
    rounds, tries = (2, 1) if quick else (8, 2)
    return Figure("Steps", about, (Contest(contenders, rows, rounds, tries),))
