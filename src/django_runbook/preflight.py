"""What of a plan cannot run here, asked before the first step: nothing is left half done."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.db import Error as DatabaseError

from .canonical import jsonable
from .commands import COMMAND_KEYS
from .model import HOOKS, Code, Origin, Plan, Problem, Step, closest
from .nesting import is_nested

_Options: TypeAlias = "set[str] | CommandNotLoadable | DatabaseError"

_CONTROLS_TO_COME = ("atomic", "subprocess", "continue_on_error")


class CommandNotLoadable(Exception):
    """A management command does not exist or cannot be imported; its text says which and why."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def _owner(name: str) -> Any:
    """Return the app that has a management command, or ``None``.

    Django keeps its list of commands for the life of the process. Where a test has changed
    ``INSTALLED_APPS`` since, the list is made anew.
    """
    owner = get_commands().get(name)
    gone = isinstance(owner, str) and owner != "django.core" and not apps.is_installed(owner)
    if owner is None or gone:
        get_commands.cache_clear()  # type: ignore[attr-defined] # the stubs hide functools.cache
        owner = get_commands().get(name)
    return owner


def load_command(name: str) -> BaseCommand:
    """Return a fresh instance of a management command.

    :param name: the command's name.
    :raises CommandNotLoadable: if there is none of that name, or it cannot be imported.
    """
    owner = _owner(name)
    if owner is None:
        hint = closest(name, get_commands()) or "Install the app that has it, or mend the name."
        if " " in name:
            hint = f"Write the name and its arguments apart: {tuple(name.split())!r}."
        raise CommandNotLoadable(f"there is no management command {name!r}", hint)
    if isinstance(owner, BaseCommand):
        return owner
    try:
        # What a module prints when it is imported must not end up in a plan's document.
        with contextlib.redirect_stdout(sys.stderr):
            importlib.import_module(f"{owner}.management.commands.{name}")
        return load_command_class(owner, name)
    except (Exception, SystemExit) as exc:
        raise _not_loadable(name, exc) from exc


def known_options(command: BaseCommand, name: str) -> set[str]:
    """Return the named options that :func:`~django.core.management.call_command` takes for it.

    :param command: the command.
    :param name: its name.
    """
    parser = command.create_parser("", name)
    # There is no public way to ask an ArgumentParser for its options. call_command() itself looks
    # here, and a test fails if it moves.
    actions = list(parser._actions)  # noqa: SLF001 - see above
    for action in actions:
        choices = getattr(action, "choices", None)
        for sub in choices.values() if isinstance(choices, dict) else ():
            actions.extend(getattr(sub, "_actions", ()))
    # A positional argument that is required cannot be given by its name.
    names = {
        action.dest
        for action in actions
        if action.option_strings or not getattr(action, "required", False)
    }
    for action in actions:
        if action.option_strings:
            names.add(min(action.option_strings).lstrip("-").replace("-", "_"))
    stealth = getattr(command, "base_stealth_options", ()), getattr(command, "stealth_options", ())
    return names.union(*stealth)


def cannot_run(plan: Plan) -> list[Problem]:
    """Return an error for each thing that keeps a plan from running on this site.

    :param plan: the plan, with the plans nested in it.
    """
    return list(dict.fromkeys(_problems(plan, functools.cache(_options_of))))


def _problems(plan: Plan, options_of: Callable[[str], _Options]) -> Iterator[Problem]:
    yield from _unsupported(plan)
    for step in plan.steps:
        yield from _unsupported_in(step, plan.routine)
        if step.nested is not None:
            yield from _problems(step.nested, options_of)
        elif step.declaration.kind == "management" and not is_nested(step.declaration):
            yield from _unknown(step, plan.routine, options_of(step.declaration.name))


def _options_of(name: str) -> _Options:
    """Return the options of a management command, or why it has none."""
    # The instance is only looked at, so what making it prints may go elsewhere, too.
    with contextlib.redirect_stdout(sys.stderr):
        try:
            command = load_command(name)
            return known_options(command, name)
        except (CommandNotLoadable, DatabaseError) as exc:
            return exc
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the command's
            return _not_loadable(name, exc)


def _not_loadable(name: str, exc: BaseException) -> CommandNotLoadable:
    """Return the error of a command whose own code fails before it is run."""
    owner = _owner(name)
    whose = owner if isinstance(owner, str) else type(owner).__module__
    return CommandNotLoadable(
        f"the management command {name!r} of {whose} cannot be loaded: "
        f"{type(exc).__name__}: {jsonable(exc)}",
        f"Mend {whose}, or disable the step in the settings.",
    )


def _unknown(step: Step, routine: str, options: _Options) -> Iterator[Problem]:
    """Yield an error if a step's command, or one of the options it is given, does not exist."""
    whose = f"{step.id} in routine {routine!r}"
    if isinstance(options, CommandNotLoadable):
        message = f"{whose}: {options}."
        yield Problem(Code.UNKNOWN_COMMAND, message, options.hint, step.origin, routine)
        return
    if isinstance(options, DatabaseError):
        # On a new server the tables that its parser asks for come with an earlier step.
        message = f"{whose}: its options ask the database, which failed: {jsonable(options)}"
        hint = "That is as it should be before the first migrate; else mend the database."
        yield Problem(Code.OPTIONS_UNKNOWN, message, hint, step.origin, routine)
        return
    name = step.declaration.name
    for option in step.declaration.options:
        if option not in options:
            message = f"{whose}: the command {name!r} has no option {option!r}."
            hint = closest(option, {*options, *COMMAND_KEYS})
            hint = hint or f"See what it takes: manage.py {name} --help."
            yield Problem(Code.UNKNOWN_OPTION, message, hint, step.origin, routine)


def missing_programs(plan: Plan, code: Code) -> Iterator[Problem]:
    """Yield a problem for each program of a plan that is not on ``PATH``.

    A program given by its path may be made by an earlier step, so it is looked for when its turn
    comes.

    :param plan: the plan, with the plans nested in it.
    :param code: what to report it as: on the machine that deploys it is an error, elsewhere the
        program may just not be needed.
    """
    for step in plan.steps:
        if step.nested is not None:
            yield from missing_programs(step.nested, code)
        name = step.declaration.name
        if step.declaration.kind != "system" or os.path.dirname(name):
            continue
        if shutil.which(name) is None:
            yield Problem(
                code,
                f"{step.id} in routine {plan.routine!r}: there is no program {name!r} on PATH.",
                _remedy(name),
                step.origin,
                plan.routine,
            )


def _remedy(program: str) -> str:
    """Return how to mend a missing program, which may lie beside this Python."""
    beside = os.path.dirname(sys.executable)
    if shutil.which(program, path=beside):
        return f"Activate the virtual environment, which has it, or put {beside} on PATH."
    return "Install it, mend its name, or give its whole path."


def _unsupported(plan: Plan) -> Iterator[Problem]:
    for name in (*_CONTROLS_TO_COME, *HOOKS):
        stated = plan.attributes.get(name)
        if stated is not None and stated.value:
            yield _not_supported(name, f"Routine {plan.routine!r}", plan.routine, stated.origin)


def _unsupported_in(step: Step, routine: str) -> Iterator[Problem]:
    for name in ("pre_hook", "post_hook", "time_limit"):
        if getattr(step.declaration, name):
            yield _not_supported(name, f"{step.id} in routine {routine!r}", routine, step.origin)


def _not_supported(name: str, whose: str, routine: str, origin: Origin) -> Problem:
    return Problem(
        Code.NOT_SUPPORTED,
        f"{whose} asks for {name!r}, which this version reads and shows but cannot run yet.",
        f"Take {name!r} out: running without it would not be what was asked for.",
        origin,
        routine,
    )
