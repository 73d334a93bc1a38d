"""``manage.py routine``: the command line of the package.

The routines of a site are subcommands, which django-typer makes from functions. They are not
known when this module is imported, and in a test they change while the process lives. So each
instance of the command is of a class of its own, with a group for each routine there is at that
moment, made through django-typer's public ``group`` and ``command``.
"""

from __future__ import annotations

import inspect
import keyword
import re
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from django.core.management.base import CommandError
from django.utils.translation import gettext_lazy as _
from django_typer.management import DTGroup, TyperCommand, initialize
from rich.markup import escape

from django_runbook.canonical import printable
from django_runbook.commands import to_option
from django_runbook.document import all_to_json, dumped, to_json
from django_runbook.exceptions import RunbookError, UnexpectedPlan, UnknownRoutine
from django_runbook.explain import print_difference, print_table, to_list, to_text
from django_runbook.model import MergedRoutine, Plan, Problem
from django_runbook.nesting import CONTROL_OPTIONS
from django_runbook.order import order
from django_runbook.registry import Registry

if TYPE_CHECKING:
    from django_runbook.difference import Difference
    from django_runbook.pins import Pin

WRONG_USAGE = 2
"""The exit status for a command line that cannot be understood."""

_OWN = "routine_"
"""Set before the name of a parameter that the command has, too, as --explain: django-typer would
give the routine's parameter the value of the command's."""

# A routine and a switch may be written with "_" as well as with "-", as anywhere else.
_EITHER_SPELLING = {"token_normalize_func": lambda token: token.replace("_", "-")}


class Format(StrEnum):
    """What ``--explain`` prints."""

    table = "table"
    json = "json"
    mermaid = "mermaid"


_PLUGINS = typer.Option(
    "--plugins",
    help=str(_("List every source that was searched, and what it gives to which routine.")),
)
_EXPLAIN = typer.Option("--explain", help=str(_("Show the plan and run nothing.")))
_FORMAT = typer.Option(
    "--format", help=str(_("How --explain shows the plan, or --plugins the sources."))
)
_ALL = typer.Option("--all", help=str(_("Activate every switch.")))
_WAIT = typer.Option(
    "--wait",
    metavar="SECONDS",
    show_default=False,
    help=str(_("Wait for a lock that another run holds, instead of giving up at once.")),
    rich_help_panel=str(_("Execution")),
)
_EXPECT = typer.Option(
    "--expect",
    metavar="FILE",
    show_default=False,
    help=str(_("Run only what this file says, written by --explain --format json.")),
    rich_help_panel=str(_("Execution")),
)
_CONTROL_HELPS = {
    "subprocess": _("Run management commands as subprocesses, or in this process."),
    "atomic": _("Run all steps in one transaction, or each for itself."),
    "continue_on_error": _("Run the rest when a step has failed, or stop there."),
    "lock": _("Let no other run of the routine in at the same time, or do."),
}


class RoutinesGroup(DTGroup):
    """The command itself: its subcommands are the routines."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the routine, or say which ones there are.

        :param ctx: the context.
        :param args: what is left of the command line.
        :raises UnknownRoutine: if there is no such routine.
        :raises PlanError: if there is none, and an error may be the reason.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name.replace("_", "-")) is None:
            ctx.django_command.unknown_routine(name)
        return super().resolve_command(ctx, args)


class RoutineGroup(DTGroup):
    """One routine."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Show the steps below the help text.

        :param ctx: the context.
        :param formatter: takes what is not printed by rich.
        """
        routine = ctx.django_command.registry.routine(self.name)
        plan = order(routine, routine.switches)
        steps = _literally("\n".join(to_list(plan)) or "-")
        written = self.help
        # "\b" keeps the lines of its paragraph.
        self.help = f"{written or ''}\n\n\b\n{steps}"
        try:
            super().format_help(ctx, formatter)
        finally:
            self.help = written


class Command(TyperCommand, rich_markup_mode="rich"):
    """Explain and run the routines of this site."""

    help = _("Explain and run the routines of this site.")
    # Django's checks come before a routine runs, and not before one is explained.
    requires_system_checks = ()

    registry: Registry
    verbosity: int | None = None
    explaining: bool = False
    format: Format | None = None
    manage_script: str | None = None
    plan: Plan
    streams: tuple[Any, Any] = (None, None)

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Command:
        """Make an instance of a class that has the routines as they are now."""
        registry = Registry()
        instance: Command = super().__new__(_with_routines(cls, registry))
        instance.registry = registry
        return instance

    @initialize(cls=RoutinesGroup, invoke_without_command=True, context_settings=_EITHER_SPELLING)
    def init(
        self,
        ctx: typer.Context,
        *,
        explain: Annotated[bool, _EXPLAIN] = False,
        plugins: Annotated[bool, _PLUGINS] = False,
        format: Annotated[Format | None, _FORMAT] = None,  # noqa: A002 - the option's name
        manage_script: Annotated[
            str | None,
            typer.Option(
                "--manage-script",
                metavar="PATH",
                show_default=False,
                help=str(_("The script that runs management commands as subprocesses.")),
            ),
        ] = None,
        verbosity: Annotated[
            int | None,
            typer.Option(
                "--verbosity",
                "-v",
                min=0,
                max=3,
                show_default=False,
                help=str(_("Passed on to the commands; 0 shows nothing but errors.")),
            ),
        ] = None,
    ) -> None:
        """Take the options that stand before a routine's name.

        :param ctx: the context.
        :param explain: show plans instead of running one.
        :param plugins: list the sources instead.
        :param format: how to show them.
        :param manage_script: the script that runs management commands as subprocesses.
        :param verbosity: passed on to the commands.
        """
        self.explaining = explain
        self.format = format
        self.manage_script = manage_script
        self.verbosity = verbosity
        if plugins:
            if ctx.invoked_subcommand is not None or explain:
                self._wrong_usage("--plugins stands alone: it runs and explains no routine.")
            self._list_plugins()
            return
        if ctx.invoked_subcommand is not None:
            return
        if not explain:
            known = ", ".join(self.registry.routines) or "none is declared"
            self._wrong_usage(
                f"Name a routine ({known}), or give --explain to see all of them, or --plugins "
                "to see where they come from."
            )
        self._explain_all()

    def chosen(self, routine: MergedRoutine, ctx: typer.Context, given: dict[str, Any]) -> None:
        """Explain or run a routine, as the command line says.

        :param routine: the routine that it names.
        :param ctx: the context of the routine's group.
        :param given: the values of its options.
        """
        active = [name for name, parameter in _parameters(routine).items() if given[parameter]]
        explaining = self.explaining or given[f"{_OWN}explain"]
        form = given[f"{_OWN}format"] or self.format
        if form is not None and not explaining:
            self._wrong_usage("--format goes with --explain.")
        if ctx.invoked_subcommand is not None and given["expect"] is not None:
            self._wrong_usage("--expect goes with a run, or with --explain.")
        pin = None if given["expect"] is None else _pin(given["expect"])
        plan = self.registry.plan(
            routine.name,
            active,
            everything=given["all"],
            controls={name: given[name] for name in CONTROL_OPTIONS},
        )
        if ctx.invoked_subcommand is not None:
            self.plan = plan
        elif explaining and pin is not None:
            self._explain_difference(plan, pin, form)
        elif explaining:
            self._explain(plan, form)
        else:
            self._run_plan(plan, given["wait"], pin)

    def list_steps(self) -> None:
        """Print the commands that would run, one a line."""
        for line in to_list(self.plan):
            self._write(line)
        self._write_errors(self.plan.errors)
        self._end_with(self.plan.problems)

    def unknown_routine(self, name: str) -> NoReturn:
        """Say that there is no such routine, and what is wrong with the declarations.

        :param name: what was asked for.
        :raises UnknownRoutine: if nothing is wrong with the declarations.
        :raises PlanError: if something is.
        """
        try:
            self.registry.routine(name)
        except UnknownRoutine as exc:
            raise self.registry.why_unknown(exc) from None
        raise AssertionError(name)  # a routine that the registry knows has a group

    def execute(self, *args: Any, **options: Any) -> Any:
        """Remember where the output of the steps goes, then do what every command does.

        :param args: the words of the command line.
        :param options: the options, ``stdout`` and ``stderr`` of ``call_command`` included.
        """
        self.streams = (options.get("stdout"), options.get("stderr"))
        return super().execute(*args, **options)  # type: ignore[no-untyped-call]

    def __exit__(self, exc_type: Any, exc: Any, traceback: Any) -> Any:
        """Give our errors and those of a wrong command line their exit status.

        django-typer ends both with 1, after the whole help; a caller must be able to tell a
        mistyped command from a failed deploy.
        """
        if isinstance(exc, RunbookError):
            self._leave()
            raise CommandError(str(exc), returncode=exc.exit_status) from exc
        # Typer does not export the base class of its usage errors; they carry their exit status.
        if getattr(exc, "exit_code", None) == WRONG_USAGE and hasattr(exc, "format_message"):
            self._leave()
            message = exc.format_message()
            path = exc.ctx.command_path if exc.ctx is not None else "routine"
            text = f"{message}\nTry '{path} --help' for help."
            if getattr(self, "_called_from_command_line", False):
                self.stderr.write(text)
                sys.exit(WRONG_USAGE)
            raise CommandError(text, returncode=WRONG_USAGE) from exc
        return self._leave(exc_type, exc, traceback)

    def _leave(self, *exc_info: Any) -> Any:
        """Take the command off django-typer's stack, as its own ``__exit__`` does."""
        return super().__exit__(*(exc_info or (None, None, None)))  # type: ignore[no-untyped-call]

    def _wrong_usage(self, message: str) -> NoReturn:
        raise CommandError(message, returncode=WRONG_USAGE)

    def _explain(self, plan: Plan, form: Format | None) -> None:
        if form == Format.json:
            self.stdout.write(to_json(plan))
        elif form == Format.mermaid:
            self._draw([plan], plan.problems)
        else:
            self._print(plan)
        self._end_with(plan.problems)

    def _draw(self, plans: list[Plan], problems: Iterable[Problem]) -> None:
        """Print a flowchart; what is wrong with the plans, which has no place in it, to stderr."""
        from django_runbook.mermaid import to_mermaid, too_large

        chart = to_mermaid(plans)
        self._write(chart)
        if too_large(chart):
            self.stderr.write(too_large(chart))
        self._write_errors(problem for problem in problems if problem.level == "error")

    def _explain_difference(self, plan: Plan, pin: Pin, form: Format | None) -> None:
        if form == Format.mermaid:
            self._wrong_usage("--format mermaid shows a plan, and no difference of two.")
        difference = pin.difference(plan)
        if form == Format.json:
            self.stdout.write(dumped(difference.document()))
        else:
            self._print_difference(difference, pin)
        self._write_errors(plan.errors)
        if difference:
            raise typer.Exit(UnexpectedPlan.exit_status)
        self._end_with(plan.problems)

    def _print_difference(self, difference: Difference, pin: Pin) -> None:
        verdict = f"is the one in {pin.path}."
        if difference:
            verdict = f"is not the one in {pin.path}: {difference.summary}."
        heading = printable(f"The plan of {difference.routine!r} {verdict}")
        if self._on_terminal:
            print_difference(heading, difference, self._out, color=not self.no_color)
        else:
            self._write("\n".join([heading, *difference.lines()]))

    def _explain_all(self) -> None:
        plans = [self.registry.plan(name) for name in self.registry.routines]
        problems = dict.fromkeys(
            (*self.registry.problems, *(one for plan in plans for one in plan.problems))
        )
        if self.format == Format.json:
            self.stdout.write(all_to_json(plans, problems))
        elif self.format == Format.mermaid:
            self._draw(plans, problems)
        else:
            for plan in plans:
                self._print(plan)
                self.stdout.write("")
            if not plans:
                self.stdout.write("No routine is declared.")
                for problem in problems:
                    self.stdout.write("\n".join(problem.lines))
        self._end_with(problems)

    def _list_plugins(self) -> None:
        if self.format == Format.mermaid:
            self._wrong_usage("--plugins is shown as a table or as JSON.")
        from django_runbook.inventory import (
            inventory,
            inventory_to_json,
            inventory_to_text,
            print_inventory,
        )

        registry = self.registry
        listed = inventory(registry.searched, registry.fragments, registry.routines)
        if self.format == Format.json:
            self.stdout.write(inventory_to_json(listed, registry.problems))
        elif self._on_terminal:
            print_inventory(listed, registry.problems, self._out, color=not self.no_color)
        else:
            self._write(inventory_to_text(listed, registry.problems))
        self._end_with(registry.problems)

    @property
    def _on_terminal(self) -> bool:
        """Whether to show tables and colours, instead of plain text."""
        return bool(self.force_color) or self.stdout.isatty()

    @property
    def _out(self) -> Any:
        """What :attr:`stdout` writes to."""
        return self.streams[0] or sys.stdout

    def _print(self, plan: Plan) -> None:
        """Print a plan: as a table on a terminal, as plain text anywhere else."""
        if self._on_terminal:
            print_table(plan, self._out, color=not self.no_color)
        else:
            self._write(to_text(plan))

    def _write(self, text: str) -> None:
        self.stdout.write(self._encodable(text))

    def _write_errors(self, errors: Iterable[Problem]) -> None:
        """Write what is wrong beside a stdout that has no place for it."""
        for error in errors:
            self.stderr.write("\n".join(error.lines))

    def _encodable(self, text: str) -> str:
        """Return a text as this output can show it: what it cannot must not end a deploy."""
        encoding = getattr(self._out, "encoding", None) or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def _end_with(self, problems: Any) -> None:
        if any(problem.level == "error" for problem in problems):
            raise typer.Exit(1)

    def _run_plan(self, plan: Plan, wait: float | None, pin: Pin | None) -> None:
        if wait is not None and not wait >= 0:
            self._wrong_usage(f"--wait takes a number of seconds, 0 or more, not {wait:g}.")
        if wait and pin is None and not plan.locks and not plan.errors:
            self._wrong_usage(
                f"Routine {plan.routine!r} takes no lock, so that there is nothing to wait for. "
                "Give --lock, or state lock=True."
            )
        if pin is not None:
            pin.refuse_other(plan)
        if not self.skip_checks:
            self.check()
        # It is not needed to explain, and loads all that runs something.
        from django_runbook.runner import run_routine
        from django_runbook.runner.management import own_script

        from_command_line = getattr(self, "_called_from_command_line", False)
        what: dict[str, Any] = {"routine": plan}
        if plan.locks:  # it is made afresh when they are held
            what = {"routine": plan.routine, "everything": plan.everything, **plan.given}
            what["switches"] = () if plan.everything else plan.active
        run_routine(
            **what,
            wait=wait or 0.0,
            expect=pin,
            manage_script=own_script()
            if self.manage_script is None and from_command_line
            else self.manage_script,
            verbosity=self.verbosity,
            stdout=self.streams[0],
            stderr=self.streams[1],
            no_color=bool(self.no_color),
            force_color=bool(self.force_color),
            sender=self,
        )


def _pin(path: str) -> Pin:
    """Read a pin; what compares it with a plan is loaded with it."""
    from django_runbook.pins import read_pin

    return read_pin(path)


def _with_routines(cls: type[Command], registry: Registry) -> type[Command]:
    """Return a subclass of the command that has a group for each routine."""

    class Bound(cls):  # type: ignore[valid-type, misc]
        pass

    Bound.__module__, Bound.__qualname__, Bound.__name__ = (
        cls.__module__,
        cls.__qualname__,
        cls.__name__,
    )
    for routine in registry.routines.values():
        help_text = _literally(routine.help_text)
        group = Bound.group(
            name=routine.name.replace("_", "-"),
            cls=RoutineGroup,
            help=help_text,
            short_help=help_text.partition("\n")[0],
            invoke_without_command=True,
            context_settings=_EITHER_SPELLING,
        )(_callback(routine))
        group.command(name="list", help=_("List the commands that would run."))(_list_callback())
    return Bound


def _literally(text: object) -> str:
    """Return a text as markup that shows it as it was written, and does nothing to a terminal."""
    lines = "\n".join(map(printable, str(text).splitlines()))
    # escape() doubles a backslash at the end, which is shown as two.
    markup = escape(f"{lines}\0")[:-1]
    # Rich makes a picture of :name:, and no escape is known to it but something in between.
    return re.sub(r":(?=\S+:)", ":[b][/b]", markup)


def _parameters(routine: MergedRoutine) -> dict[str, str]:
    """Return the parameter of each switch: its name, unless that is a keyword or taken."""
    taken = {
        "self",
        "ctx",
        "all",
        "wait",
        "expect",
        f"{_OWN}explain",
        f"{_OWN}format",
        *CONTROL_OPTIONS,
    }
    parameters: dict[str, str] = {}
    for name in routine.switches:
        parameter = name
        while (
            keyword.iskeyword(parameter)
            or parameter in taken
            or (parameter != name and parameter in routine.switches)
        ):
            parameter += "_"
        taken.add(parameter)
        parameters[name] = parameter
    return parameters


def _callback(routine: MergedRoutine) -> Callable[..., None]:
    """Return the function that django-typer calls for a routine, with an option a switch."""

    def callback(self: Command, ctx: typer.Context, **given: Any) -> None:
        self.chosen(routine, ctx, given)

    options: list[tuple[str, Any, Any]] = [
        (f"{_OWN}explain", Annotated[bool, _EXPLAIN], False),
        (f"{_OWN}format", Annotated[Format | None, _FORMAT], None),
        ("all", Annotated[bool, _ALL], False),
        ("wait", Annotated[float | None, _WAIT], None),
        ("expect", Annotated[str | None, _EXPECT], None),
        *(_control(name, on, off) for name, (on, off) in CONTROL_OPTIONS.items()),
    ]
    for name, parameter in _parameters(routine).items():
        help_text = _literally(routine.switch_helps.get(name, ""))
        option = typer.Option(to_option(name), help=help_text, rich_help_panel=str(_("Switches")))
        options.append((parameter, Annotated[bool, option], False))
    only_by_name = inspect.Parameter.KEYWORD_ONLY
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter("self", positional),
        inspect.Parameter("ctx", positional, annotation=typer.Context),
        *(
            inspect.Parameter(name, only_by_name, default=default, annotation=annotation)
            for name, annotation, default in options
        ),
    ]
    callback.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    callback.__annotations__ = {
        one.name: one.annotation for one in parameters if one.name != "self"
    }
    callback.__name__ = f"routine_{routine.name}"
    return callback


def _control(name: str, on: str, off: str) -> tuple[str, Any, None]:
    """Return the parameter for an execution control: its name, type and default."""
    option = typer.Option(
        f"{on}/{off}",
        show_default=False,
        help=str(_CONTROL_HELPS[name]),
        rich_help_panel=str(_("Execution")),
    )
    return name, Annotated[bool | None, option], None


def _list_callback() -> Callable[..., None]:
    def list_steps(self: Command) -> None:
        self.list_steps()

    # Typer would make an argument of what has an annotation.
    del list_steps.__annotations__["self"]
    return list_steps
