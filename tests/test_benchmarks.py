"""The benchmarks' arithmetic, their page and their verdict; what they measure is theirs alone."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.contest import (
    Contender,
    ContenderFailed,
    Contest,
    Figure,
    Result,
    Row,
    Target,
    compete,
    growth,
    mebibytes,
    milliseconds_more,
    ratio,
    score,
    turns,
)
from benchmarks.page import Chapter, missed, page

ROUNDS = (
    {"ours": 1.2, "empty": 1.0},
    {"ours": 6.0, "empty": 5.0},  # something else ran meanwhile, and slowed both
    {"ours": 1.0, "empty": 1.0},
    {"ours": 2.0, "empty": 1.0},  # and here one of the two
    {"ours": 1.1, "empty": 1.0},
)


def contender(name: str, code: str = "", **kwargs: Any) -> Contender:
    """Return a contender that runs this code."""
    return Contender(name, ("-c", code), Path.cwd(), "none", **kwargs)


def chapter(target: Target | None, **kwargs: Any) -> Chapter:
    """Return a figure with one row, which came to 1.2 times, and its results."""
    rows = (Row("`ours` to an empty one", ratio("ours", "empty"), target=target),)
    contest = Contest((contender("ours"), contender("empty")), rows, len(ROUNDS), **kwargs)
    return Chapter(Figure("Steps", "About steps.", (contest,)), (Result(contest, ROUNDS),))


def test_a_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """A round in which everything was slow counts as any other, and one bad ratio for little."""
    found = score(Row("", ratio("ours", "empty")), ROUNDS)

    assert (found.low, found.value, found.high) == pytest.approx((1.1, 1.2, 1.2))


def test_one_round_is_its_own_quartile() -> None:
    """As in a quick run."""
    found = score(Row("", ratio("ours", "empty")), ROUNDS[:1])

    assert (found.low, found.value, found.high) == pytest.approx((1.2, 1.2, 1.2))


def test_differences_and_bytes_have_the_unit_of_their_row() -> None:
    """Seconds are compared in milliseconds, and bytes shown in MiB."""
    values = {"ours": 1.002, "empty": 1.0, "large": 3 * 2**20}

    assert milliseconds_more("ours", "empty")(values) == pytest.approx(2.0)
    assert mebibytes("large")(values) == 3.0


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_growth_is_the_exponent(exponent: float) -> None:
    """Whatever the unit of the sizes' values is."""
    sizes = {10: "a", 100: "b", 1000: "c"}
    values = {name: 0.003 * size**exponent for size, name in sizes.items()}

    assert growth(sizes)(values) == pytest.approx(exponent)


def test_the_contenders_take_turns() -> None:
    """Each runs in each round, begins as often as the others, and follows another neighbour."""
    names = [contender(name) for name in "abc"]

    orders = ["".join(one.name for one in order) for order in turns(tuple(names), 6)]

    assert orders == ["abc", "cba", "bca", "acb", "cab", "bac"]


def test_the_fastest_run_of_a_round_counts() -> None:
    """A contender that runs twice in a round has one value, the lower one."""
    ticks = iter([0.0, 3.0, 10.0, 12.0, 20.0, 24.0, 30.0, 35.0])
    contest = Contest((contender("ours"),), (), rounds=2, tries=2)
    told: list[str] = []

    result = compete(contest, lambda: next(ticks), told.append)

    assert result.rounds == ({"ours": 2.0}, {"ours": 4.0})
    assert told == ["round 1 of 2", "round 2 of 2"]


def test_a_contender_may_measure_itself() -> None:
    """Its last line says what it has measured; sizes tell apart who has one name."""
    code = "print('deploying'); print('{\"second\": 0.5, \"byte\": 7}')"
    one = contender("ours", code, speaks=True, size=1000)

    result = compete(Contest((one,), (), 1, measures="byte"), perf_counter, lambda _: None)

    assert result.rounds == ({"ours: 1,000": 7},)


@pytest.mark.parametrize(
    ("code", "speaks", "message"),
    [
        ("raise SystemExit('no settings')", False, r"'ours' ended with status 1: .*\nno settings"),
        ("", True, r"'ours' printed no values: .*\nIt wrote nothing to stderr\."),
        ("print('done')", True, r"'ours' printed no values"),
    ],
)
def test_a_contender_that_fails_ends_the_contest(code: str, speaks: bool, message: str) -> None:
    """What it wrote to stderr is in the error, and there is no result."""
    contest = Contest((contender("ours", code, speaks=speaks),), (), rounds=3)

    with pytest.raises(ContenderFailed, match=message):
        compete(contest, perf_counter, lambda _: None)


@pytest.mark.parametrize(
    ("target", "word", "status"),
    [
        (Target(1.2), "at most 1.2 times | met", 0),
        (Target(1.1), "at most 1.1 times | **missed**", 1),
        (Target(1.2, least=True), "at least 1.2 times | met", 0),
        (Target(100, least=True), "at least 100 times | **missed**", 1),
        (None, " |  |\n", 0),
    ],
)
def test_a_missed_target_is_said_and_ends_with_1(
    target: Target | None, word: str, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the page and on stderr; a quick run judges nothing."""
    chapters = [chapter(target)]

    assert f"| `ours` to an empty one | 1.20 times | 1.10 to 1.20 | {word}" in page(chapters, {})
    assert len(missed(chapters)) == status
    assert command.status(chapters, quick=False) == status
    assert ("Missed: Steps: `ours` to an empty one: 1.20" in capsys.readouterr().err) is bool(
        status
    )
    assert command.status(chapters, quick=True) == 0


def test_the_page_is_whole() -> None:
    """What was measured with, each figure, the medians behind it; every table has even rows."""
    text = page([chapter(Target(1.2), tries=3)], {"Python": "CPython 3.13"}, "A trial.\n")

    assert "| Python | CPython 3.13 |" in text
    assert "\n## Steps\n\nAbout steps.\n" in text
    assert "| 5 rounds, the fastest of 3 runs each | median |" in text
    assert "| ours | 1.20 s |\n| empty | 1.00 s |" in text
    assert "\nA trial.\n" in text
    assert "tox run -e bench" in text
    for table in text.split("\n\n"):
        columns = {line.count("|") for line in table.splitlines() if line.startswith("|")}
        assert len(columns) <= 1, table


def test_sizes_are_columns() -> None:
    """Contenders of one name share a line; who has no such size leaves the place empty."""
    sizes = [("ours", 10), ("ours", 1000), ("peer", 10)]
    contenders = tuple(contender(name, size=size) for name, size in sizes)
    contest = Contest(contenders, (), rounds=1)
    values = {"ours: 10": 0.00025, "ours: 1,000": 0.0249, "peer: 10": 123.4}
    result = Result(contest, (values,))

    text = page([Chapter(Figure("Planning", "", (contest,)), (result,))], {})

    assert "| 1 round | 10 | 1,000 |" in text
    assert "| ours | 250 µs | 24.9 ms |\n| peer | 123 s |  |" in text


@pytest.mark.parametrize(
    ("line", "written"),
    [
        ([], "docs/benchmarks.md"),
        (list(command.FIGURES), "docs/benchmarks.md"),
        (["steps"], None),
        (["--quick"], None),
        (["--quick", "--output", "page.md"], "page.md"),
        (["steps", "--output", "page.md"], "page.md"),
    ],
)
def test_only_a_full_run_writes_the_page(line: list[str], written: str | None) -> None:
    """Unless it is told where to write."""
    found = command.destination(command.arguments(line))

    assert (found and found.as_posix().endswith(written or "-")) == (True if written else None)


def test_an_unknown_figure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """As wrong usage, with the names of those that there are."""
    with pytest.raises(SystemExit) as exited:
        command.arguments(["stesp"])

    assert exited.value.code == 2
    assert "there is no figure 'stesp'; there are planning, processes" in capsys.readouterr().err


def test_what_is_missing_is_told_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run takes a quarter of an hour, and its status is not that of a missed target."""
    line = ["script", "--output", str(tmp_path / "none" / "page.md")]
    monkeypatch.setattr(command, "versions", dict)
    monkeypatch.setattr(command, "import_module", lambda name: name)

    assert command.main(line) == 2
    assert capsys.readouterr().err == f"{tmp_path}/none/page.md cannot be written.\n"

    def missing(name: str) -> None:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(command, "import_module", missing)

    assert command.main(line) == 2
    told = "No module named 'pyperf'. Run it with: tox run -e bench\n"
    assert capsys.readouterr().err == told
