"""Run the figures, write the page, and fail if a target is missed: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from compileall import compile_dir
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from . import records
from .contest import ContenderFailed, Contest, compete
from .figures import memory, planning, processes, script, start_up, steps
from .page import Chapter, missed, page, summary

FIGURES = {
    "planning": planning.figure,
    "processes": processes.figure,
    "steps": steps.figure,
    "script": script.figure,
    "start_up": start_up.figure,
    "memory": memory.figure,
}
"""The figures by their names, in the order of the page."""

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
QUICK = "This is a trial run with few rounds and small sizes: its numbers mean nothing.\n"
PACKAGES = ("Django", "django-runbook", "django-routines", "django-typer", "pyperf")


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"one of {', '.join(FIGURES)}; all if none"
    )
    parser.add_argument(
        "--quick", action="store_true", help="see whether it works; no target is judged"
    )
    parser.add_argument(
        "--output", type=Path, help="write the page here; a full run writes docs/benchmarks.md"
    )
    parser.add_argument("--json", type=Path, help="write every value here, in the form of pyperf")
    given = parser.parse_args(argv)
    for name in given.figures:
        if name not in FIGURES:
            parser.error(f"there is no figure {name!r}; there are {', '.join(FIGURES)}")
    return given


def destination(given: argparse.Namespace) -> Path | None:
    """Return where the page goes; one that is not whole goes nowhere unless it was said."""
    whole = not given.quick and (not given.figures or set(given.figures) == set(FIGURES))
    return given.output or (PAGE if whole else None)


def run(name: str, *, quick: bool) -> Chapter:
    """Run the contests of one figure, in projects that are gone afterwards."""
    from pyperf import perf_counter

    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        figure = FIGURES[name](Path(folder), quick=quick)
        compile_dir(folder, quiet=1)
        results = []
        for contest in map(without_targets, figure.contests) if quick else figure.contests:
            result = compete(contest, perf_counter, lambda text: tell(f"{name}: {text}"))
            results.append(result)
            for score in result.scores:
                tell(f"  {summary(score)}")
    return Chapter(figure, tuple(results))


def without_targets(contest: Contest) -> Contest:
    """Return a contest whose rows nobody judges."""
    rows = tuple(replace(row, target=None) for row in contest.rows)
    return replace(contest, rows=rows)


def tell(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def versions() -> dict[str, str]:
    """Return what is measured, and on what."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores"
    return {"Python": python, **{name: version(name) for name in PACKAGES}, "machine": system}


def status(chapters: Sequence[Chapter], *, quick: bool) -> int:
    """Say which targets are missed, and return the exit status."""
    if quick:
        tell("A quick run judges no target.")
        return 0
    lines = missed(chapters)
    for line in lines:
        tell(f"Missed: {line}")
    return 1 if lines else 0


def impossible(given: argparse.Namespace) -> str:
    """Return what would be found only when all is measured, or nothing."""
    try:
        import_module("pyperf")
        versions()
    except ImportError as exc:  # as one that says which distribution is not there
        return f"{exc}. Run it with: tox run -e bench"
    for path in filter(None, (given.json, destination(given))):
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            return f"{path} cannot be written."
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line asks for."""
    given = arguments(argv)
    names = [name for name in FIGURES if name in (given.figures or FIGURES)]
    why = impossible(given)
    if why:
        tell(why)
        return 2
    try:
        chapters = [run(name, quick=given.quick) for name in names]
    except ContenderFailed as exc:
        tell(str(exc))
        return 2
    if given.json:
        records.save(given.json, dict(zip(names, chapters, strict=True)), versions())
    where = destination(given)
    if where:
        where.write_text(page(chapters, versions(), QUICK if given.quick else ""), encoding="utf-8")
        tell(f"Written: {where}")
    return status(chapters, quick=given.quick)


if __name__ == "__main__":
    sys.exit(main())
