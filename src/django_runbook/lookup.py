"""What is looked up by its name: management commands, their options, and hooks."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from django.apps import apps
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

from .canonical import described
from .flags import Option
from .model import Declaration, closest
from .secret import Secret, revealed


def quietly() -> contextlib.AbstractContextManager[object]:
    """Keep what the site's code prints when it is only looked at out of a plan's document.

    Not in a thread: ``sys.stdout`` is the whole process's.
    """
    if threading.current_thread() is threading.main_thread():
        return contextlib.redirect_stdout(sys.stderr)
    return contextlib.nullcontext()


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
    installed = [config.name for config in apps.get_app_configs()]
    gone = isinstance(owner, str) and owner != "django.core" and owner not in installed
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
    module = f"{owner}.management.commands.{name}"
    try:
        if module not in sys.modules:
            with quietly():
                importlib.import_module(module)
        return load_command_class(owner, name)
    except (Exception, SystemExit) as exc:
        raise not_loadable(name, exc) from exc


def known_options(command: BaseCommand, parsed: Iterable[Option]) -> set[str]:
    """Return the named options that :func:`~django.core.management.call_command` takes for it.

    :param command: the command.
    :param parsed: what its parser knows.
    """
    # A positional argument that is required cannot be given by its name.
    names = {
        known
        for option in parsed
        if option.strings or not getattr(option.action, "required", False)
        for known in option.names
    }
    stealth = getattr(command, "base_stealth_options", ()), getattr(command, "stealth_options", ())
    return names.union(*stealth)


def find_program(declared: Declaration) -> str | None:
    """Return the whole path of a system command's program, or ``None`` if there is none.

    :param declared: the system command, whose own ``PATH`` counts, if it has one.
    """
    path = declared.env.get("PATH")
    if isinstance(path, Secret) and path.missing:
        return None
    return shutil.which(declared.name, path=None if path is None else os.fspath(revealed(path)))


class HookNotLoadable(Exception):
    """The import string of a hook leads to nothing that can be called; its text says why."""


def load_hook(hook: Any) -> Callable[..., Any]:
    """Return a hook that is given as a callable or as its import string.

    :param hook: what was declared.
    :raises HookNotLoadable: if there is no such callable.
    """
    found = hook
    if isinstance(hook, str):
        try:
            with quietly():
                found = import_string(hook)
        except (Exception, SystemExit) as exc:
            raise HookNotLoadable(described(exc)) from exc
    if not callable(found):
        raise HookNotLoadable(f"it is a {type(found).__name__} and cannot be called")
    if any(map(inspect.iscoroutinefunction, (found, type(found).__call__))):
        raise HookNotLoadable("it is async, and nobody would wait for its answer")
    return found  # type: ignore[no-any-return]


def not_loadable(name: str, exc: BaseException) -> CommandNotLoadable:
    """Return the error of a command whose own code fails before it is run.

    :param name: the command's name.
    :param exc: what its code raised.
    """
    owner = _owner(name)
    whose = owner if isinstance(owner, str) else type(owner).__module__
    return CommandNotLoadable(
        f"the management command {name!r} of {whose} cannot be loaded: {described(exc)}",
        f"Mend {whose}, or disable the step in the settings.",
    )
