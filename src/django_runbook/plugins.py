"""The plugin manager: the hook modules of installed apps and of distributions.

pluggy finds the implementations of the hook in a module and knows which it has registered.
Calling them is done here, because a deploy may not rest on what pluggy does on its own: it calls
in the reverse order of registration, ends a call at the first exception, lets a misspelt hook
register in silence, and stops loading entry points at the first that is broken.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import pluggy

from . import hookspecs
from .contribute import Contribution, as_imported
from .distributions import Found
from .model import Code, Origin, Problem, Source, closest

_HOOK = "contribute_routines"


@dataclass
class Answer:
    """What one plugin contributed, or why it did not."""

    source: Source
    contribution: Contribution = field(default_factory=Contribution)
    problem: Problem | None = None
    same_as: str = ""
    """The name under which the plugin is registered already, if it is."""


class Manager:
    """Registers plugins one by one and asks each by itself."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def ask_app(self, source: Source, module: str) -> Answer:
        """Import an app's hook module and call its hook.

        :param source: the app.
        :param module: the dotted path of its hook module.
        """
        try:
            plugin = importlib.import_module(module)
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the plugin's
            return Answer(source, problem=_not_loadable(source, f"module {module}", exc, module))
        return self._ask(source, plugin, source.name)

    def ask_distribution(self, source: Source, found: Found) -> Answer:
        """Load a distribution's entry point and call its hook.

        :param source: the distribution.
        :param found: the entry point.
        """
        entry_point = found.entry_point
        what = f"entry point {entry_point.name} = {entry_point.value}"
        try:
            plugin = entry_point.load()
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the plugin's
            return Answer(source, problem=_not_loadable(source, what, exc, entry_point.module))
        return self._ask(source, plugin, found.full_name)

    def _ask(self, source: Source, plugin: Any, name: str) -> Answer:
        if self._manager.is_registered(plugin):
            return Answer(source, same_as=self._manager.get_name(plugin) or "")
        try:
            self._manager.register(plugin, name=name)
        except pluggy.PluginValidationError as exc:
            reason = str(exc).strip().splitlines()[-1]
            message = f"The hook of {_whose(source)} has the wrong arguments: {reason}"
            return Answer(
                source, problem=_bad_hook(source, plugin, message, f"def {_HOOK}(routines): ...")
            )
        problem = self._wrong(source, plugin)
        if problem is not None:
            return Answer(source, problem=problem)
        answer = Answer(source)
        for hook in self._implementations(plugin):
            try:
                hook.function(*[answer.contribution for _ in hook.argnames])
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the plugin's
                module = getattr(hook.function, "__module__", "")
                return Answer(source, problem=_raised(source, exc, module))
        return answer

    def _implementations(self, plugin: Any) -> list[pluggy.HookImpl]:
        """Return a plugin's implementations of the hook, as they stand in its file."""
        caller = getattr(self._manager.hook, _HOOK)
        own = [hook for hook in caller.get_hookimpls() if hook.plugin is plugin]
        return sorted(own, key=lambda hook: _first_line(hook.function))

    def _wrong(self, source: Source, plugin: Any) -> Problem | None:
        """Return what is wrong with a plugin's hooks, if anything is."""
        for caller in self._manager.get_hookcallers(plugin) or ():
            if not caller.has_spec():
                known = closest(caller.name, [_HOOK])
                message = f"{_whose(source)} implements the unknown hook {caller.name!r}."
                return _bad_hook(source, plugin, message, known or f"The hook is {_HOOK!r}.")
        hooks = self._implementations(plugin)
        for hook in hooks:
            if hook.wrapper or hook.hookwrapper:
                message = f"{_whose(source)} implements {_HOOK} as a hook wrapper."
                hint = "Wrappers are refused: a plugin declares its own steps only."
                return _bad_hook(source, plugin, message, hint)
            if inspect.isgeneratorfunction(hook.function) or inspect.iscoroutinefunction(
                hook.function
            ):
                message = f"{_HOOK} of {_whose(source)} is a generator or a coroutine."
                return _bad_hook(source, plugin, message, "Make it an ordinary function.")
        if hooks:
            return None
        return _without_hook(source, plugin)


def _without_hook(source: Source, plugin: Any) -> Problem | None:
    """Return the problem of a plugin that has no hook.

    A distribution names its module for nothing else, so that is always a mistake. An app's module
    ``routines`` may be its own business, unless it has a function that was meant to be the hook.
    """
    functions = [name for name, value in vars(plugin).items() if inspect.isfunction(value)]
    meant = difflib.get_close_matches(_HOOK, sorted(functions), n=1, cutoff=0.8)
    if not meant and source.kind == "app":
        return None
    if meant:
        message = f"{_whose(source)} defines {meant[0]}(), which is not marked as a hook."
    else:
        message = f"{_whose(source)} has no hook in what its entry point names."
    hint = f"Write @hookimpl above def {_HOOK}(routines), from django_runbook import hookimpl."
    return _bad_hook(source, plugin, message, hint)


def _whose(source: Source) -> str:
    if source.kind == "app":
        return f"App {source.name!r}"
    version = f" {source.version}" if source.version else ""
    return f"Distribution {source.name}{version}"


def _remedy(source: Source) -> str:
    return (
        f"Mend it, {'remove the app' if source.kind == 'app' else 'uninstall it'}, or block it: "
        f'DJANGO_RUNBOOK = {{"PLUGINS": {{"block": ["{source.name}"]}}}}.'
    )


def _not_loadable(source: Source, what: str, exc: BaseException, module: str) -> Problem:
    message = f"{_whose(source)}: {what} cannot be loaded: {_described(exc)}"
    return Problem(Code.NOT_LOADABLE, message, _remedy(source), _raised_at(source, exc, module))


def _raised(source: Source, exc: BaseException, module: str) -> Problem:
    message = f"{_whose(source)}: its {_HOOK} hook raised {_described(exc)}"
    return Problem(Code.HOOK_RAISED, message, _remedy(source), _raised_at(source, exc, module))


def _bad_hook(source: Source, plugin: Any, message: str, hint: str) -> Problem:
    name = str(getattr(plugin, "__name__", type(plugin).__module__))
    file = str(getattr(plugin, "__file__", None) or "")
    parts = name.split(".") if PurePath(file).name == "__init__.py" else name.split(".")[:-1]
    place = "/".join([*parts, PurePath(file).name]) if file else None
    return Problem(Code.BAD_HOOK, message, f"{hint} {_remedy(source)}", Origin(source, place))


def _described(exc: BaseException) -> str:
    """Return an exception in one line."""
    text = " ".join(traceback.format_exception_only(exc)[-1].split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _raised_at(source: Source, exc: BaseException, module: str) -> Origin:
    """Return the innermost line of the plugin's own package, where its authors will look."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return Origin(source, _below_path(exc.filename), exc.lineno)
    package = module.partition(".")[0]
    for frame, line in reversed(list(traceback.walk_tb(exc.__traceback__))):
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
            return Origin(source, as_imported(frame), line)
    return Origin(source)


def _below_path(file: str) -> str:
    """Return a file relative to the directory that it is imported from."""
    path = PurePath(file)
    roots = [PurePath(root) for root in sys.path if root and path.is_relative_to(root)]
    if not roots:
        return path.name
    return path.relative_to(max(roots, key=lambda root: len(root.parts))).as_posix()


def _first_line(function: Any) -> int:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code.co_firstlineno if code is not None else 0
