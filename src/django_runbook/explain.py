"""Explaining: a plan becomes a table, or plain text. Pure: no Django."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

from .canonical import jsonable, one_line, printable, said
from .commands import to_option
from .document import (
    all_to_json,
    controls_of,
    fingerprint,
    hooks_of,
    origin_of,
    shown_origin,
    to_json,
)
from .model import Plan, Step

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from .difference import Difference

__all__ = [
    "aligned",
    "all_to_json",
    "fingerprint",
    "print_difference",
    "print_table",
    "shown_command",
    "to_json",
    "to_list",
    "to_text",
]

_STATUS_WORDS = {"switched_off": "off", "disabled": "disabled"}
# What may be long stands last, so that it does not push the rest of its row out of sight.
_COLUMNS = ("#", "priority", "step", "source", "switches", "why", "command")


def shown_command(step: Step) -> str:
    """Return a step's command line with its options, as people read it.

    :param step: the step.
    """
    declared = step.declaration
    given = [(key, repr(jsonable(value))) for key, value in declared.options.items()]
    given += [(f"${name}", repr(jsonable(value))) for name, value in declared.env.items()]
    options = ", ".join(f"{key}={value}" for key, value in given)
    return f"{step.command_line} ({one_line(options)})" if options else step.command_line


def _row(step: Step, position: str, indent: str) -> tuple[str, ...]:
    return (
        position,
        _shown_priority(step),
        indent + printable(step.id),
        shown_origin(origin_of(step.origin)),
        _shown_switches(step),
        _why(step),
        shown_command(step),
    )


def _shown_switches(step: Step) -> str:
    return ", ".join(to_option(name).removeprefix("--") for name in step.declaration.switches)


def _shown_priority(step: Step) -> str:
    """Return a step's priority, and the one at which its constraints let it stand."""
    declared, effective = step.declaration.priority, step.effective_priority
    return str(declared) if declared == effective else f"{declared} -> {effective}"


def _why(step: Step) -> str:
    """Return why a step stands where it does, with every override that touched it."""
    details = [step.reason.detail] if step.reason.detail else []
    details += _how_it_runs(step)
    for change in step.overridden_by:
        said = f"{change.attribute} {jsonable(change.old)} -> {jsonable(change.new)}"
        detail = f"{said} by {change.origin}"
        if detail not in details:
            details.append(detail)
    return one_line("; ".join(details))


def _how_it_runs(step: Step) -> list[str]:
    """Return what is to be known of a step's run, if it is not called in this process."""
    declared = step.declaration
    how = []
    if step.outside_transaction:
        how.append("outside the transaction")
    if step.apart and declared.kind == "management":
        how.append("as a subprocess")
    if declared.time_limit is not None:
        how.append(f"time limit {declared.time_limit:g} s")
    return how + [name for name in ("pre_hook", "post_hook") if getattr(declared, name) is not None]


def _shown_control(name: str, value: Any) -> str:
    """Return a control that is on, as people read it."""
    if value is True:
        return name
    return f"{name} ({value if isinstance(value, str) else ', '.join(value)})"


def _rows(steps: Sequence[Step], prefix: str = "", indent: str = "") -> Iterator[tuple[str, ...]]:
    """Yield the rows of the steps that run, those of nested routines below their step."""
    for step in steps:
        position = f"{prefix}{step.position}"
        yield _row(step, position, indent)
        if step.nested is not None:
            yield from _rows(step.nested.steps, f"{position}.", f"{indent}  ")


def _left_out_rows(plan: Plan, indent: str = "") -> Iterator[tuple[str, ...]]:
    for step in plan.left_out:
        yield _row(step, _STATUS_WORDS[step.status], indent)
    for step in plan.steps:
        if step.nested is not None:
            yield from _left_out_rows(step.nested, f"{indent}  ")


def _heading(plan: Plan) -> list[str]:
    """Return the lines above the steps."""
    help_text = one_line(said(plan.help_text))
    lines = [
        f"{plan.routine}: {help_text}" if help_text else plan.routine,
        "Lower priorities run first.",
    ]
    if plan.available:
        switches = []
        for name, help_text in plan.available.items():
            text = one_line(said(help_text))
            state = "on" if name in plan.active else "off"
            switches.append(f"{to_option(name)} ({state})" + (f" {text}" if text else ""))
        lines += ["Switches:", *(f"  {switch}" for switch in switches)]
    controls = [_shown_control(name, value) for name, value in controls_of(plan).items() if value]
    if controls:
        lines.append(f"Controls: {', '.join(controls)}.")
    locks = [f"{one.routine} by {one.description}" for one in plan.locks]
    if locks:
        lines.append(f"Locks: {', '.join(locks)}.")
    hooks = [f"{name} {one_line(hook)}" for name, hook in hooks_of(plan).items()]
    if hooks:
        lines.append(f"Hooks: {', '.join(hooks)}.")
    return lines


def _footing(plan: Plan) -> list[str]:
    """Return the lines below the steps: quiet sources, problems and the fingerprint."""
    lines = []
    quiet = [
        searched.source.name + (f" ({searched.note})" if searched.note else "")
        for searched, steps in plan.sources
        if not steps
    ]
    if quiet:
        lines.append(f"Searched, without a step here: {one_line(', '.join(dict.fromkeys(quiet)))}.")
    lines.append(f"Fingerprint: {fingerprint(plan)}")
    return lines


def to_text(plan: Plan) -> str:
    """Return a plan as plain, aligned text, whatever the terminal: for pipes and logs.

    :param plan: the plan.
    """
    running = list(_rows(plan.steps))
    left_out = list(_left_out_rows(plan))
    titles = tuple(name.upper() for name in _COLUMNS)
    title, *rows = aligned([titles, *running, *left_out])
    lines = _heading(plan)
    lines.append("")
    lines += [title, *rows[: len(running)]] if running else ["No step runs."]
    if left_out:
        lines += ["", "Left out:", *rows[len(running) :]]
    if plan.problems:
        lines += ["", "Problems:"]
        lines += [line for problem in plan.problems for line in problem.lines]
    return "\n".join([*lines, "", *_footing(plan)])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines whose cells stand below each other.

    :param rows: rows of as many cells each.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def print_table(plan: Plan, file: IO[str], *, color: bool = True) -> None:
    """Print a plan to a terminal, nothing of it cut off, however narrow it is.

    :param plan: the plan.
    :param file: the terminal.
    :param color: use colours.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file, force_terminal=color, no_color=not color, highlight=False)
    first, *rest = _heading(plan)
    console.print(Text(first, style="bold"))
    for line in rest:
        console.print(Text(line))
    if plan.steps:
        console.print(_table(_rows(plan.steps)))
    else:
        console.print("No step runs.")
    left_out = list(_left_out_rows(plan))
    if left_out:
        console.print(Text("Left out:"))
        console.print(_table(left_out, style="dim"))
    for text in _styled_problems(plan):
        console.print(text)
    for line in _footing(plan):
        console.print(Text(line, style="dim"))


def print_difference(
    heading: str, difference: Difference, file: IO[str], *, color: bool = True
) -> None:
    """Print to a terminal what differs between two plans.

    :param heading: what to say of it first.
    :param difference: what differs.
    :param file: the terminal.
    :param color: use colours.
    """
    from rich.console import Console
    from rich.text import Text

    console = Console(file=file, force_terminal=color, no_color=not color, highlight=False)
    # A line is not broken: a fingerprint is there to be copied.
    console.print(Text(heading, style="bold"), soft_wrap=True)
    styles = {"+": "green", "-": "red", ">": "cyan", "~": "yellow"}
    for line in difference.lines():
        console.print(Text(line, style=styles.get(line[0], "")), soft_wrap=True)


def _table(rows: Iterable[tuple[str, ...]], style: str = "") -> Table:
    """Return rows as a table that stays readable on 80 columns: related cells share one."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.HORIZONTALS, show_lines=True, style="dim", row_styles=[style])
    for title in ("#", "priority", "step and command", "declared at, and why it stands there"):
        table.add_column(title, overflow="fold")
    for position, priority, step, source, switches, why, command in rows:
        indent = step[: len(step) - len(step.lstrip())]
        what = Text(step, style="cyan")
        what.append(f"\n{indent}{command}", style="bold")
        if switches:
            what.append(f"\n{indent}--{switches.replace(', ', ', --')}", style="yellow")
        where = Text(source)
        if why:
            where.append(f"\n{why}", style="italic")
        table.add_row(Text(position, style="bold"), Text(priority, style="green"), what, where)
    return table


def _styled_problems(plan: Plan) -> Iterator[Text]:
    from rich.text import Text

    for problem in plan.problems:
        what, hint = problem.lines
        yield Text(what, style="red" if problem.level == "error" else "yellow")
        yield Text(hint)


def to_list(plan: Plan) -> list[str]:
    """Return one line for each step that runs, as ``routine NAME list`` prints them.

    :param plan: the plan.
    """
    lines = []
    for step in plan.steps:
        switches = _shown_switches(step)
        line = f"[{_shown_priority(step)}] {shown_command(step)}"
        lines.append(f"{line} | {switches}" if switches else line)
    return lines
