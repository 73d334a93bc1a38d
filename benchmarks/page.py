"""The page: every figure with its rows, its targets and the times behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from .contest import Figure, Result, Score, Unit

UNITS: Mapping[Unit, tuple[str, str]] = {
    "times": ("#.3g", " times"),
    "exponent": (".2f", ""),
    "ms": (".1f", " ms"),
    "MiB": (".0f", " MiB"),
}
"""How the number of a row is written, and what follows it, by its unit."""

START = """\
# Benchmarks

What django-runbook costs, measured beside what would be there without it: an empty command, a plain
loop, a shell script, and django-routines, the package that it is compatible with. This page is
written by `tox run -e bench`; a target that is missed fails that command.
"""

HOW = """\
## How it is measured

Seconds from different machines, or from different minutes of one machine, cannot be compared. So
the contenders of a figure take turns. In each round every one of them runs in a fresh process, in
an order that changes from round to round, and the numbers of one round are compared with each
other and with no others. Where each runs several times in a round, its fastest run counts: what
else the machine does can only make one slower. A row shows the median of its rounds, and between
which quartiles they lie. A target is met if the median meets it.

The seconds and bytes beside the comparisons are medians, of the machine that wrote this page. They
are there to give an idea of the size.
"""

AGAIN = """\
## How to run it

```sh
tox run -e bench
```

It takes about ten minutes, and wants a machine that has little else to do. Afterwards this page
holds the new numbers. More is said on the command line:

| to | run |
|---|---|
| see whether it works, in a minute | `tox run -e bench -- --quick` |
| measure some figures only | `tox run -e bench -- steps start_up` |
| write another page | `tox run -e bench -- --output FILE` |
| keep every single value | `tox run -e bench -- --json FILE`, for `python -m pyperf stats FILE` |

Only a full run writes this page unless `--output` says where to. `--quick` judges no target.
"""

LIMITS = """\
## What the figures do not say

- How long *your* deploy takes. Commands that do nothing make the most of what surrounds them;
  beside a migration it does not show.
- What hooks, locks, transactions, secrets or processes of their own cost a step. The steps here
  have none.
- How a cold machine starts. All files were read before, and their byte code is written.
- Anything of other systems than Linux, from which the peak memory is read.
- That the peer does the same. django-routines checks neither commands nor options before it runs,
  knows no sources but the settings, and has no pins.
"""


@dataclass(frozen=True)
class Chapter:
    """A figure with its results."""

    figure: Figure
    results: tuple[Result, ...]


def page(chapters: Sequence[Chapter], versions: Mapping[str, str], remark: str = "") -> str:
    """Return the page.

    :param versions: what was measured, and on what: words by what they belong to.
    :param remark: what to say first of a run that is no full one.
    """
    parts = [START, remark, _table(["measured", "with"], versions.items()), HOW]
    for chapter in chapters:
        parts.append(f"## {chapter.figure.title}\n\n{chapter.figure.about.strip()}\n")
        scores = [one for result in chapter.results for one in result.scores]
        parts.append(_rows(scores))
        parts += [_medians(result) for result in chapter.results]
    return "\n".join(part for part in [*parts, AGAIN, LIMITS] if part)


def summary(score: Score) -> str:
    """Return a row as a line of text, for whoever watches."""
    verdict = f", {_target(score)}: {_met(score).strip('*')}" if score.row.target else ""
    return f"{score.row.text}: {_shown(score)} ({_quartiles(score)}){verdict}"


def missed(chapters: Sequence[Chapter]) -> list[str]:
    """Return a line for each target that is not met."""
    return [
        f"{chapter.figure.title}: {summary(score)}"
        for chapter in chapters
        for result in chapter.results
        for score in result.scores
        if score.missed
    ]


def _rows(scores: Sequence[Score]) -> str:
    header = ["comparison", "median", "quartiles", "target", ""]
    return _table(
        header,
        ((one.row.text, _shown(one), _quartiles(one), _target(one), _met(one)) for one in scores),
    )


def _shown(score: Score) -> str:
    return _number(score.value, score.row.unit) + UNITS[score.row.unit][1]


def _number(value: float, unit: Unit) -> str:
    form = UNITS[unit][0]
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:{form}}".rstrip(".")


def _quartiles(score: Score) -> str:
    return " to ".join(_number(one, score.row.unit) for one in (score.low, score.high))


def _target(score: Score) -> str:
    target = score.row.target
    if target is None:
        return ""
    word = "at least" if target.least else "at most"
    return f"{word} {target.limit:g}{UNITS[score.row.unit][1]}"


def _met(score: Score) -> str:
    if score.row.target is None:
        return ""
    return "**missed**" if score.missed else "met"


def _medians(result: Result) -> str:
    """Return the contenders' own medians: a line each, with a column for each size."""
    sizes = list(dict.fromkeys(one.size for one in result.contest.contenders))
    names = list(dict.fromkeys(one.name for one in result.contest.contenders))
    values = {
        (one.name, one.size): _amount(
            median(values[one.label] for values in result.rounds), result.contest.measures
        )
        for one in result.contest.contenders
    }
    columns = ["median" if size is None else f"{size:,}" for size in sizes]
    rounds = "1 round" if len(result.rounds) == 1 else f"{len(result.rounds)} rounds"
    tries = result.contest.tries
    times = f", the fastest of {tries} runs each" if tries > 1 else ""
    lines = ([name, *(values.get((name, size), "") for size in sizes)] for name in names)
    return _table([f"{rounds}{times}", *columns], lines)


def _amount(value: float, unit: str) -> str:
    """Return seconds or bytes, with three digits and the unit that suits them."""
    if unit == "byte":
        return f"{value / 2**20:.0f} MiB"
    factor, name = (1e6, "µs") if value < 0.001 else (1e3, "ms") if value < 1 else (1, "s")
    return f"{_number(value * factor, 'times')} {name}"


def _table(header: Sequence[str], lines: Iterable[Iterable[str]]) -> str:
    rule = "|".join(["---"] * len(header))
    return "\n".join(
        [
            f"| {' | '.join(header)} |",
            f"|{rule}|",
            *(f"| {' | '.join(line)} |" for line in lines),
            "",
        ]
    )
