"""The listing of plugins: every source that was searched, and what it gives. Pure: no Django."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from .canonical import one_line
from .document import FORMAT_VERSION, dumped, problem_of, release_of
from .explain import aligned
from .model import (
    Attribute,
    Declaration,
    Fragment,
    MergedRoutine,
    Override,
    Problem,
    Searched,
    Source,
)

_COLUMNS = ("source", "kind", "distribution", "looked at", "state", "gives")


@dataclass
class Given:
    """What a source gives to one routine."""

    routine: str
    steps: tuple[str, ...] = ()
    """The ids of its steps, run or not."""

    attributes: tuple[str, ...] = ()
    """What it states of the routine itself: its help, its controls, its hooks."""

    switches: tuple[str, ...] = ()
    """The switches that it describes."""

    overrides: tuple[str, ...] = ()
    """The steps that it changes, as it names them."""

    shipped_by: tuple[str, ...] = ()
    """The distributions whose settings components say some of it, with their versions."""

    @property
    def text(self) -> str:
        """What it gives, as people read it."""
        parts = [_counted(len(self.steps), "step")] if self.steps else []
        stated = [*self.attributes, *(f"help of {name!r}" for name in self.switches)]
        if stated:
            parts.append(f"states {', '.join(stated)}")
        if self.overrides:
            parts.append(_counted(len(self.overrides), "override"))
        if self.shipped_by:
            parts.append(f"from {' and '.join(self.shipped_by)}")
        return f"{self.routine}: {', '.join(parts) or 'nothing'}"


@dataclass(frozen=True)
class Listed:
    """One source, and what it gives to each routine."""

    searched: Searched
    gives: tuple[Given, ...]


def inventory(
    searched: Iterable[Searched],
    fragments: Iterable[Fragment],
    routines: Mapping[str, MergedRoutine],
) -> list[Listed]:
    """Return every source with what it gives to which routine.

    :param searched: the sources, in their order.
    :param fragments: what they say.
    :param routines: every routine, by name.
    """
    steps: dict[tuple[Source, str], list[str]] = {}
    for routine in routines.values():
        for step in routine.steps:
            steps.setdefault((step.origin.source, routine.name), []).append(step.id)
    given: dict[Source, dict[str, Given]] = {}
    for fragment in sorted(fragments, key=lambda one: (*one.source.key, one.routine, one.index)):
        of_source = given.setdefault(fragment.source, {})
        one = of_source.setdefault(fragment.routine, Given(fragment.routine))
        one.steps = tuple(steps.get((fragment.source, fragment.routine), ()))
        one.attributes = _added(one.attributes, (each.name for each in fragment.attributes))
        one.switches = _added(one.switches, (each.name for each in fragment.switch_helps))
        one.shipped_by = _added(one.shipped_by, _shippers(fragment))
        one.overrides = _added(one.overrides, (each.ref for each in fragment.overrides))
    return [Listed(each, tuple(given.get(each.source, {}).values())) for each in searched]


def _shippers(fragment: Fragment) -> list[str]:
    """Return the distributions that ship components which say a part of a fragment, sorted."""
    said: tuple[Declaration | Attribute | Override, ...] = (
        *fragment.declarations,
        *fragment.attributes,
        *fragment.switch_helps,
        *fragment.overrides,
    )
    return sorted({str(one.origin.component_of) for one in said if one.origin.component_of})


def _added(known: Sequence[str], more: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*known, *more)))


def inventory_to_json(listed: Iterable[Listed], problems: Iterable[Problem]) -> str:
    """Return the listing as a JSON document.

    :param listed: every source with what it gives.
    :param problems: what is wrong with the declarations.
    """
    return dumped(
        {
            "format_version": FORMAT_VERSION,
            "sources": [_document(one) for one in listed],
            "problems": [problem_of(problem) for problem in problems],
        }
    )


def _document(listed: Listed) -> dict[str, Any]:
    searched = listed.searched
    return {
        "kind": searched.source.kind,
        "source": searched.source.name,
        **release_of(searched.source.release),
        "entry_point": searched.source.entry_point or None,
        "module": searched.where or None,
        "state": searched.hearing,
        "same_as": searched.same_as or None,
        "problem": None if searched.problem is None else problem_of(searched.problem),
        "routines": [
            {
                "routine": one.routine,
                "steps": list(one.steps),
                "attributes": list(one.attributes),
                "switches": list(one.switches),
                "overrides": list(one.overrides),
                "shipped_by": list(one.shipped_by),
            }
            for one in listed.gives
        ],
    }


def _row(listed: Listed) -> tuple[str, ...]:
    searched = listed.searched
    source = searched.source
    entry_point = f":{source.entry_point}" if source.entry_point else ""
    gives = "; ".join(one.text for one in listed.gives)
    return (
        f"{source.name}{entry_point}",
        source.kind,
        str(source.release or ""),
        searched.where,
        searched.note,
        gives,
    )


def inventory_to_text(listed: Sequence[Listed], problems: Sequence[Problem]) -> str:
    """Return the listing as plain, aligned text, whatever the terminal.

    :param listed: every source with what it gives.
    :param problems: what is wrong with the declarations.
    """
    rows = [tuple(name.upper() for name in _COLUMNS), *(map(one_line, _row(one)) for one in listed)]
    lines = aligned([tuple(row) for row in rows])
    if problems:
        lines += ["", "Problems:", *_lines(problems)]
    return "\n".join(lines)


def print_inventory(
    listed: Sequence[Listed], problems: Sequence[Problem], file: IO[str], *, color: bool = True
) -> None:
    """Print the listing to a terminal, nothing of it cut off, however narrow it is.

    :param listed: every source with what it gives.
    :param problems: what is wrong with the declarations.
    :param file: the terminal.
    :param color: use colours.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=file, force_terminal=color, no_color=not color, highlight=False)
    table = Table(box=box.HORIZONTALS, show_lines=True, style="dim")
    for title in ("source", "looked at", "gives"):
        table.add_column(title, overflow="fold")
    for one in listed:
        name, kind, release, where, note, _ = map(one_line, _row(one))
        source = Text(name, style="cyan")
        source.append(f"\n{kind}" + (f" of {release}" if release else ""), style="dim")
        what = Text("\n".join(one_line(each.text) for each in one.gives))
        if note:
            style = "red" if one.searched.hearing == "broken" else "yellow"
            what = Text("\n").join([Text(note, style=style), *([what] if one.gives else [])])
        table.add_row(source, Text(where), what)
    console.print(table)
    for problem, line in ((one, line) for one in problems for line in one.lines):
        console.print(Text(line, style="red" if problem.level == "error" else "yellow"))


def _lines(problems: Iterable[Problem]) -> Iterator[str]:
    return (line for problem in problems for line in problem.lines)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
