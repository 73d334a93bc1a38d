"""Peak memory: of the whole processes, and of planning very many commands."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from benchmarks.contest import Contender, Contest, Figure, Row, mebibytes, ratio

from . import planning, processes

WORKER = str(Path(__file__).parents[1] / "workers" / "peak.py")


def watched(contender: Contender) -> Contender:
    """Return a contender of the whole processes, run by the worker that tells its memory."""
    return replace(contender, argv=("-P", WORKER, *contender.argv[1:]), speaks=True)


def figure(folder: Path, *, quick: bool) -> Figure:
    """Return the figure."""
    size = 1000 if quick else 100_000
    contenders = tuple(map(watched, processes.contenders(folder / "processes")))
    largest = planning.PlanningSite(folder / "planning").contender(planning.FUNCTIONS, size)
    explain, typer = processes.EXPLAIN, processes.TYPER
    whole = Contest(
        contenders,
        (
            Row(f"`{explain}` to {typer}", ratio(explain, typer)),
            Row(f"`{processes.RUN}` to {typer}", ratio(processes.RUN, typer)),
            Row(f"django-routines, `routine deploy`, to {typer}", ratio(processes.PEER_RUN, typer)),
        ),
        rounds=1 if quick else 5,
        measures="byte",
    )
    rows = (Row(f"Planning {size:,} commands", mebibytes(largest.label), "MiB"),)
    about = f"""
The most memory that a process held, as Linux tells it (`VmHWM`): of the whole processes above, and
of one that plans {size:,} commands.
"""
    plan = Contest((largest,), rows, rounds=1, measures="byte")
    return Figure("Peak memory", about, (whole, plan))
