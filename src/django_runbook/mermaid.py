"""Drawing: plans become a flowchart in the language of Mermaid. Pure: no Django.

Steps stand in their order, in the colour of their source; a dashed arrow is a constraint, and
what does not run is grey. Code hosts draw it wherever a Markdown file has it in a ``mermaid``
block.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from .canonical import jsonable, one_line, said
from .commands import to_option
from .document import PROJECT, Relocation
from .explain import shown_command
from .model import Plan, Source, Step
from .order import targets

_PALETTE: Final = (
    ("#dbeafe", "#1d4ed8"),
    ("#dcfce7", "#15803d"),
    ("#ffedd5", "#c2410c"),
    ("#f3e8ff", "#7e22ce"),
    ("#fef9c3", "#a16207"),
    ("#ffe4e6", "#be123c"),
    ("#ccfbf1", "#0f766e"),
    ("#e0e7ff", "#4338ca"),
)
"""Fill and border of each source's steps; a ninth source has the colours of the first again. With
black words on them they can be read on a light page and on a dark one."""

_COLOURS: Final = "fill:{},stroke:{},color:#111827"
_ROUTINE: Final = "fill:none,stroke:#9ca3af"
_LEFT: Final = "left"
_LEFT_OUT: Final = "fill:#f3f4f6,stroke:#9ca3af,color:#4b5563,stroke-dasharray:4"
_AS_IT_IS: Final = frozenset(" -./:,()+=_")
_APART: Final = re.compile(
    r"(?<=direction)(?=\s)"  # turns the chart or ends it, wherever it stands in a line
    r"|(?<=sty)(?=le)|(?<=class)(?=Def)"  # a line with it, ":" and an entity loses its last ";"
    r"|(?<=:)(?=fa-)|(?<=\$)(?=\$)|(?<=\\)(?=n)"  # an icon, a formula, a new line
    r"|(?<=:)(?=//)|(?<=www)(?=\.)|(?<=\S)(?=@)"  # a link, which Mermaid 11.0 to 11.4 cannot show
)
"""Where Mermaid would find something of its own, be it in quotes or written as entities."""

_JOINER: Final = "\u2060"
"""Takes no room, and lets no line end there."""

_LONGEST: Final = 60
"""Characters of a command line that are shown; a picture is no place for the rest."""

_TITLE: Final = 100
"""Characters of a title that are shown: it is not broken, and the chart is as wide as it is."""


def to_mermaid(plans: Sequence[Plan]) -> str:
    """Return a flowchart of plans, the same text for the same plans, always.

    :param plans: one plan, or those of all routines.
    """
    return "\n".join(_Chart(plans).lines(plans))


def too_large(chart: str) -> str:
    """Return why a flowchart is not drawn where Mermaid is set up as it comes, or nothing.

    The limits are the defaults of its options ``maxTextSize`` and ``maxEdges``, which a chart
    cannot raise for itself (Mermaid 11, configuration schema).

    :param chart: the flowchart.
    """
    edges = chart.count(" --> ") + chart.count(" .-> ")
    if edges <= 500 and len(chart) <= 50_000:
        return ""
    return (
        f"The flowchart has {edges} arrows and {len(chart)} characters. Mermaid draws no more than "
        "500 arrows and 50000 characters unless maxEdges and maxTextSize are set where it runs."
    )


class _Chart:
    """A flowchart: what its steps are called in it, and their colours."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        # They are all of one project.
        self._relocated = Relocation(plans[0].roots if plans else (), PROJECT)
        self._kinds: dict[tuple[str, str], str] = {}
        for plan in plans:
            for source in _sources(plan):
                self._kinds.setdefault(_whose(source), f"source{len(self._kinds) + 1}")
        self._styles = {
            kind: _COLOURS.format(*_PALETTE[place % len(_PALETTE)])
            for place, kind in enumerate(self._kinds.values())
        }
        self._styles[_LEFT] = _LEFT_OUT

    def lines(self, plans: Sequence[Plan]) -> Iterator[str]:
        """Yield the lines of the chart."""
        yield "flowchart TB"
        for number, plan in enumerate(plans, 1):
            help_text = said(plan.help_text)
            title = f"{plan.routine}: {help_text}" if help_text else plan.routine
            routine = self._routine(plan, f"r{number}", _text(_cut(title, _TITLE)), _ROUTINE)
            yield from _indented(routine)
        for kind, style in self._styles.items():
            yield f"    classDef {kind} {style}"

    def _routine(self, plan: Plan, name: str, title: str, style: str) -> Iterator[str]:
        yield f'subgraph {name}["{title}"]'
        yield "    direction TB"  # else it changes from one to the next
        yield from _indented(self._plan(plan, name))
        yield "end"
        yield f"style {name} {style}"  # a class has no effect on it

    def _plan(self, plan: Plan, prefix: str) -> Iterator[str]:
        steps = (*plan.steps, *plan.left_out)
        names = [f"{prefix}_{number}" for number in range(1, len(steps) + 1)]
        for name, step in zip(names, steps, strict=True):
            yield from self._step(name, step)
        running = names[: len(plan.steps)]
        if len(running) > 1:
            yield " --> ".join(running)
        for index, constraint, others in targets(steps):
            for other in others:
                pair = (index, other) if constraint.relation == "run_before" else (other, index)
                before, after = (names[one] for one in pair)
                yield f"{before} -. {constraint.relation} .-> {after}"

    def _step(self, name: str, step: Step) -> Iterator[str]:
        kind = _LEFT if step.position is None else self._kinds[_whose(step.origin.source)]
        if step.nested is None:
            yield f'{name}["{"<br/>".join(self._label(step))}"]:::{kind}'
        else:  # only the first line of its title would be seen
            title = ", ".join(self._label(step))
            stroke = self._styles[kind].split(",")[1]
            yield from self._routine(step.nested, name, title, f"fill:none,{stroke}")

    def _label(self, step: Step) -> list[str]:
        """Return what stands on a step: its place and id, its command, what else is to be known."""
        command = _cut(shown_command(self._anywhere(step)), _LONGEST)
        known = [", ".join(map(to_option, step.declaration.switches))]
        if step.position is None:
            known = [step.reason.detail]
        if step.origin.release is not None:
            known.insert(0, str(step.origin.release))
        number = "" if step.position is None else f"{step.position} "
        lines = [f"{number}{step.id}", command, "; ".join(filter(None, known))]
        return [_text(line) for line in lines if line]

    def _anywhere(self, step: Step) -> Step:
        """Return a step without the project's directory, which decides what is to be quoted."""
        declared = step.declaration
        return step._replace(
            declaration=declared._replace(
                argv=tuple(map(self._relocated, declared.argv)),
                options=self._relocated(jsonable(declared.options)),
                env=self._relocated(jsonable(declared.env)),
            ),
        )


def _cut(text: str, longest: int) -> str:
    """Return a text on one line, and no longer than a picture has room for."""
    line = one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}\u2026"


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"    {line}" for line in lines)


def _sources(plan: Plan) -> Iterator[Source]:
    """Yield the sources of the steps that run, in the order of the sources."""
    every = {step.origin.source for _, step in plan.every_step()}
    yield from sorted(every, key=lambda source: source.key)


def _whose(source: Source) -> tuple[str, str]:
    """Return what has one colour: the entry points of a distribution have the same."""
    return (source.kind, source.name)


def _text(text: object) -> str:
    """Return a text so that nothing in it is markup, of Mermaid, of Markdown or of HTML."""
    return "".join(
        char if (char.isascii() and char.isalnum()) or char in _AS_IT_IS else f"#{ord(char)};"
        for char in _APART.sub(_JOINER, one_line(text))
    )
