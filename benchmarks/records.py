"""Every value that was measured, in a file that pyperf reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .contest import Result
from .page import Chapter

if TYPE_CHECKING:
    from pyperf import Benchmark


def save(path: Path, chapters: Mapping[str, Chapter], versions: Mapping[str, str]) -> None:
    """Write the values of all contenders; an older file of the name is replaced.

    :param chapters: the figures by their names.
    :param versions: what was measured, and on what.
    """
    from pyperf import BenchmarkSuite

    benchmarks = [
        benchmark
        for name, chapter in chapters.items()
        for number, result in enumerate(chapter.results, 1)
        for benchmark in _benchmarks(f"{name} {number}", result, versions)
    ]
    BenchmarkSuite(benchmarks).dump(str(path), replace=True)


def _benchmarks(prefix: str, result: Result, versions: Mapping[str, str]) -> Iterator[Benchmark]:
    """Yield what pyperf knows of a contest: a benchmark a contender, a run a round."""
    from pyperf import Benchmark, Run

    for contender in result.contest.contenders:
        metadata = {
            **versions,
            "name": f"{prefix}: {contender.label}",
            "unit": result.contest.measures,
            "tries": result.contest.tries,
        }
        # What pyperf collects by itself is of this process, which measures nothing in itself.
        yield Benchmark(
            [
                Run([values[contender.label]], metadata=metadata, collect_metadata=False)
                for values in result.rounds
            ]
        )
