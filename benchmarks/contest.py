"""Contests: contenders that take turns, and what is compared of each round.

On a machine that does other things, too, what ran in one minute cannot be compared with what ran
in the next. So no contender is measured by itself. In each round every one runs once, in a fresh
process, and what is compared are the values of one round. Of the rounds the median is taken.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, median, quantiles
from typing import Literal

Clock = Callable[[], float]
"""Tells the seconds since any point of time."""

Round = Mapping[str, float]
"""What was measured in one round, by the contenders' labels."""

ENVIRONMENT = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
"""All that a contender gets of the environment: the same for each, and little of the machine's."""


class ContenderFailed(Exception):
    """A contender ended badly, or did not say what was asked of it."""


@dataclass(frozen=True)
class Contender:
    """What takes part: a command line in a project's directory."""

    name: str
    argv: tuple[str, ...]
    """What follows the interpreter, or with :attr:`program` the whole line."""

    folder: Path
    """The directory to run in."""

    settings: str
    """The settings module."""

    path: tuple[Path, ...] = ()
    """``PYTHONPATH``."""

    program: bool = False
    """The line is that of another program than Python."""

    speaks: bool = False
    """It measures itself, and prints the values as a line of JSON, its last one."""

    size: int | None = None
    """How much it has to do, where contenders differ in nothing else."""

    @property
    def label(self) -> str:
        """Return what tells it from every other contender of the contest."""
        return self.name if self.size is None else f"{self.name}: {self.size:,}"


@dataclass(frozen=True)
class Target:
    """What a row must reach."""

    limit: float
    least: bool = False
    """The value must be at least the limit; else at most."""

    def met(self, value: float) -> bool:
        """Tell whether a value reaches the target."""
        return value >= self.limit if self.least else value <= self.limit


Unit = Literal["times", "exponent", "ms", "MiB"]


@dataclass(frozen=True)
class Row:
    """One comparison, made in each round."""

    text: str
    of: Callable[[Round], float]
    """Makes the value of a round."""

    unit: Unit = "times"
    target: Target | None = None


@dataclass(frozen=True)
class Contest:
    """Contenders that take turns, and the rows that come of it."""

    contenders: tuple[Contender, ...]
    rows: tuple[Row, ...]
    rounds: int
    tries: int = 1
    """How often each contender runs in a round. The fastest counts: what else a machine does can
    only make one slower."""

    measures: Literal["second", "byte"] = "second"


@dataclass(frozen=True)
class Figure:
    """A chapter of the page: what is measured, in one contest or in several."""

    title: str
    about: str
    contests: tuple[Contest, ...]


@dataclass(frozen=True)
class Score:
    """A row with its value: the median of the rounds' values, between their quartiles."""

    row: Row
    low: float
    value: float
    high: float

    @property
    def missed(self) -> bool:
        """Tell whether there is a target, and it is not met."""
        return self.row.target is not None and not self.row.target.met(self.value)


@dataclass(frozen=True)
class Result:
    """What a contest came to."""

    contest: Contest
    rounds: tuple[Round, ...]
    scores: tuple[Score, ...] = field(init=False)

    def __post_init__(self) -> None:
        scores = tuple(score(row, self.rounds) for row in self.contest.rows)
        object.__setattr__(self, "scores", scores)


def ratio(one: str, other: str) -> Callable[[Round], float]:
    """Compare by how many times the one contender's value is the other's."""
    return lambda values: values[one] / values[other]


def milliseconds_more(one: str, other: str) -> Callable[[Round], float]:
    """Compare by how many milliseconds the one contender takes longer than the other."""
    return lambda values: (values[one] - values[other]) * 1000


def mebibytes(one: str) -> Callable[[Round], float]:
    """Compare with nothing: so many MiB the contender has taken."""
    return lambda values: values[one] / 2**20


def growth(sizes: Mapping[int, str]) -> Callable[[Round], float]:
    """Compare by the exponent of growth: 1 is linear, 2 quadratic.

    It is the slope of the least squares through the logarithms of sizes and values.

    :param sizes: the contenders' names by their sizes.
    """
    logarithms = [math.log(size) for size in sizes]
    return lambda values: (
        linear_regression(logarithms, [math.log(values[name]) for name in sizes.values()]).slope
    )


def score(row: Row, rounds: tuple[Round, ...]) -> Score:
    """Return what a row comes to."""
    values = [row.of(one) for one in rounds]
    if len(values) == 1:
        return Score(row, values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Score(row, low, median(values), high)


def turns(contenders: tuple[Contender, ...], rounds: int) -> Iterator[tuple[Contender, ...]]:
    """Yield the order of each round.

    Another one begins each time, and each second round goes backwards, so that nobody always
    comes after the same neighbour.
    """
    for number in range(rounds):
        first = number // 2 % len(contenders)
        turned = (*contenders[first:], *contenders[:first])
        yield turned[::-1] if number % 2 else turned


def compete(contest: Contest, clock: Clock, tell: Callable[[str], None]) -> Result:
    """Let the contenders of a contest take turns.

    :param clock: tells the seconds.
    :param tell: is told of each round.
    :raises ContenderFailed: if one of them fails.
    """
    rounds: list[Round] = []
    for number, order in enumerate(turns(contest.contenders, contest.rounds), 1):
        tell(f"round {number} of {contest.rounds}")
        values: dict[str, float] = {}
        for one in order * contest.tries:
            value = measure(one, clock)[contest.measures]
            values[one.label] = min(value, values.get(one.label, value))
        rounds.append(values)
    return Result(contest, tuple(rounds))


def measure(contender: Contender, clock: Clock) -> Mapping[str, float]:
    """Run a contender once, in a fresh process, and return what was measured.

    :raises ContenderFailed: if it fails, or says nothing where it should speak.
    """
    environment = {
        **ENVIRONMENT,
        "DJANGO_SETTINGS_MODULE": contender.settings,
        "PYTHONPATH": os.pathsep.join(map(str, contender.path)),
    }
    argv = contender.argv if contender.program else (sys.executable, *contender.argv)
    started = clock()
    # Without a time limit: with one, Python would look for the end of a process now and then only.
    done = subprocess.run(
        argv,
        cwd=contender.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    seconds = clock() - started
    if done.returncode:
        raise ContenderFailed(_account(contender, f"ended with status {done.returncode}", done))
    return _spoken(contender, done) if contender.speaks else {"second": seconds}


def _spoken(contender: Contender, done: subprocess.CompletedProcess[bytes]) -> Mapping[str, float]:
    """Return what a contender said of itself, in its last line."""
    lines = done.stdout.splitlines()
    try:
        values: Mapping[str, float] = json.loads(lines[-1])
    except (IndexError, ValueError) as exc:
        raise ContenderFailed(_account(contender, "printed no values", done)) from exc
    return values


def _account(contender: Contender, what: str, done: subprocess.CompletedProcess[bytes]) -> str:
    written = done.stderr.decode(errors="replace").strip() or "It wrote nothing to stderr."
    return f"{contender.label!r} {what}: {' '.join(contender.argv)}\n{written}"
