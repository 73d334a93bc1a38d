"""The plugin manager: the hook modules of installed apps and of distributions.

pluggy finds the implementations of the hook in a module and knows which it has registered.
Calling them is done here, because a deploy may not rest on what pluggy does on its own: it calls
in the reverse order of registration, ends a call at the first exception, lets a misspelt hook
register in silence, and stops loading entry points at the first that is broken.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from types import FunctionType, MethodType, ModuleType
from typing import Any

import pluggy

from . import hookspecs
from .canonical import described
from .contribution import Contribution, as_imported, imported_as
from .distributions import Found
from .model import Code, Origin, Problem, Source, closest

_HOOK = "contribute_routines"
_SIGNATURE = f"def {_HOOK}(routines): ..."


@dataclass
class Answer:
    """What one plugin contributed, or why it did not."""

    source: Source
    contribution: Contribution = field(default_factory=Contribution)
    problem: Problem | None = None
    same_as: str = ""
    """The name under which the plugin is known already, if it is."""


class _Pluggy(pluggy.PluginManager):
    """pluggy's manager, looking at nothing but functions.

    It would look at every name of a module, lazy objects included, which wakes them up: some open
    a database. Overriding this method is how pluggy lets a project say what an implementation is.
    """

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        found = inspect.getattr_static(plugin, name, None)
        # type() and not isinstance(), which would ask a lazy object for its class.
        if issubclass(type(found), staticmethod | classmethod):
            found = found.__func__
        if not issubclass(type(found), FunctionType | MethodType):
            return None
        return super().parse_hookimpl_opts(plugin, name)


class Manager:
    """Registers plugins one by one and asks each by itself.

    :param claimed: whose the hook modules of apps are, whoever else names one.
    """

    def __init__(self, claimed: Mapping[str, str]) -> None:
        self._manager = _Pluggy(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._claimed = claimed
        self._names: dict[int, str] = {}

    def ask_app(self, source: Source, module: str) -> Answer:
        """Import an app's hook module and call its hook.

        :param source: the app.
        :param module: the dotted path of its hook module.
        """
        return self._load_and_ask(
            source, f"module {module}", module, lambda: importlib.import_module(module)
        )

    def ask_distribution(self, source: Source, found: Found) -> Answer:
        """Load a distribution's entry point and call its hook.

        :param source: the distribution.
        :param found: the entry point.
        """
        entry_point = found.entry_point
        module, colon, _ = entry_point.value.partition(":")
        module = module.strip()
        if module in self._claimed and not colon:
            return Answer(source, same_as=self._claimed[module])
        what = f"entry point {entry_point.name} = {entry_point.value}"
        return self._load_and_ask(source, what, module, entry_point.load)

    def _load_and_ask(
        self, source: Source, what: str, module: str, load: Callable[[], Any]
    ) -> Answer:
        # What a plugin prints must not end up in the document that explains the plan.
        with contextlib.redirect_stdout(sys.stderr):
            try:
                plugin = load()
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the plugin's
                message = f"{_whose(source)}: {what} cannot be loaded: {_described(exc)}"
                origin = _raised_at(source, exc, module)
                return Answer(
                    source, problem=Problem(Code.NOT_LOADABLE, message, _remedy(source), origin)
                )
            return self.ask(source, plugin)

    def ask(self, source: Source, plugin: Any) -> Answer:
        """Call the hook of a plugin that is loaded.

        :param source: whose it is.
        :param plugin: the module, or another object that has the hook.
        """
        if id(plugin) in self._names:
            return Answer(source, same_as=self._names[id(plugin)])
        try:
            hooks = self._register(source, plugin)
        except _BadHook as exc:
            return Answer(source, problem=exc.problem)
        answer = Answer(source)
        for hook in hooks:
            try:
                result = hook(answer.contribution)
            except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the plugin's
                message = f"{_whose(source)}: its {_HOOK} hook raised {_described(exc)}"
                origin = _raised_at(source, exc, hook.__module__)
                return Answer(
                    source, problem=Problem(Code.HOOK_RAISED, message, _remedy(source), origin)
                )
            if result is not None:
                return Answer(source, problem=_returned(source, plugin, hook, result).problem)
        return answer

    def _register(self, source: Source, plugin: Any) -> list[Callable[..., Any]]:
        """Return a plugin's implementations of the hook, as they stand in its file."""
        hooks = self._marked(source, plugin)
        if not hooks:
            _check_unmarked(source, plugin)
        name = source.name if source.kind == "app" else f"{source.name}:{source.entry_point}"
        while self._manager.has_plugin(name):  # one distribution may use a name twice
            name += "+"
        try:
            self._manager.register(plugin, name=name)
        except ValueError as exc:  # pluggy compares plugins, and knows one that is equal
            message = f"A plugin object of {_whose(source)} is equal to another plugin."
            raise _BadHook(source, plugin, message, "Compare it by identity.") from exc
        self._names[id(plugin)] = name  # pluggy keeps the plugin, so no other gets its id
        return sorted(hooks, key=lambda hook: _first_line(hook) or 0)

    def _marked(self, source: Source, plugin: Any) -> list[Callable[..., Any]]:
        """Return the functions that a plugin has marked as hooks, each a proper one."""
        hooks = []
        for name in dir(plugin):
            opts = self._manager.parse_hookimpl_opts(plugin, name)
            if opts is not None:
                hooks.append(getattr(plugin, name))
                _check_mark(source, plugin, opts.get("specname") or name, hooks[-1], opts)
            elif _is_marked(inspect.getattr_static(plugin, name, None)):
                message = f"{name} of {_whose(source)} is marked as a hook, and is no function."
                raise _BadHook(source, plugin, message, f"Make it a function: {_SIGNATURE}")
        return hooks


def _check_mark(
    source: Source,
    plugin: Any,
    hook: str,
    function: Callable[..., Any],
    opts: pluggy.HookimplOpts,
) -> None:
    """Refuse a marked function that does not implement the hook as its contract says."""
    if hook != _HOOK:
        message = f"{_whose(source)} implements the unknown hook {hook!r}."
        hint = closest(hook, [_HOOK]) or f"The hook is {_HOOK!r}."
        raise _BadHook(source, plugin, message, hint, function)
    if opts.get("wrapper") or opts.get("hookwrapper"):
        message = f"{_whose(source)} implements {_HOOK} as a hook wrapper."
        hint = "Wrappers are refused: a plugin declares its own steps only."
        raise _BadHook(source, plugin, message, hint, function)
    if list(inspect.signature(function).parameters) != ["routines"]:
        message = f"The hook of {_whose(source)} has the wrong arguments."
        raise _BadHook(source, plugin, message, _SIGNATURE, function)


def _is_marked(value: Any) -> bool:
    """Tell whether something bears pluggy's mark of a hook."""
    return f"{hookspecs.PROJECT}_impl" in getattr(value, "__dict__", {})


class _BadHook(Exception):
    """A plugin does not implement the hook as its contract says."""

    def __init__(
        self, source: Source, plugin: Any, message: str, hint: str, function: Any = None
    ) -> None:
        super().__init__(message)
        place = _file_of(function if function is not None else plugin)
        origin = Origin(source, place, _first_line(function) if place else None)
        self.problem = Problem(Code.BAD_HOOK, message, f"{hint} {_remedy(source)}", origin)


def _check_unmarked(source: Source, plugin: Any) -> None:
    """Refuse a plugin that has no hook.

    A distribution names its module for nothing else, so that is always a mistake. An app's module
    ``routines`` may be its own business, unless it has a function that was meant to be the hook.
    """
    if issubclass(type(plugin), FunctionType):
        message = f"The entry point of {_whose(source)} names a function."
        raise _BadHook(source, plugin, message, "Name the module that holds the hook.", plugin)
    own = getattr(plugin, "__dict__", {})
    functions = [name for name, value in own.items() if issubclass(type(value), FunctionType)]
    meant = difflib.get_close_matches(_HOOK, sorted(functions), n=1, cutoff=0.8)
    # Whoever imports the mark wants to set it.
    meant_to = any(value is hookspecs.hookimpl for value in own.values())
    if not meant and not meant_to and _HOOK not in own and source.kind == "app":
        return
    if meant:
        message = f"{_whose(source)} defines {meant[0]}(), which is not marked as a hook."
    else:
        where = "its module routines" if source.kind == "app" else "what its entry point names"
        message = f"{_whose(source)} has no hook in {where}."
    hint = f"Write @hookimpl above def {_HOOK}(routines), from django_runbook import hookimpl."
    raise _BadHook(source, plugin, message, hint, own[meant[0]] if meant else None)


def _returned(source: Source, plugin: Any, hook: Callable[..., Any], result: Any) -> _BadHook:
    """Return the error of a hook that returns something, such as a promise to declare."""
    if inspect.iscoroutine(result):
        result.close()  # nobody will await it
    kind = type(result).__name__
    message = f"{_HOOK} of {_whose(source)} returns a {kind}, which nobody reads."
    hint = "A hook declares by calling routines.command(...), and returns nothing."
    return _BadHook(source, plugin, message, hint, hook)


def _whose(source: Source) -> str:
    if source.kind == "app":
        return f"App {source.name!r}"
    return f"Distribution {source.release or source.name}"


def _remedy(source: Source) -> str:
    return (
        f"Mend it, {'remove the app' if source.kind == 'app' else 'uninstall it'}, or block it: "
        f'DJANGO_RUNBOOK = {{"PLUGINS": {{"block": ["{source.name}"]}}}}.'
    )


def _file_of(thing: Any) -> str | None:
    """Return the file of a module, or of what a module holds, as it is imported."""
    name = getattr(thing, "__module__", None) or getattr(thing, "__name__", "")
    module = thing if isinstance(thing, ModuleType) else sys.modules.get(str(name))
    file = getattr(module, "__file__", None)
    if module is None or not file:
        return None
    return imported_as(module.__name__, file)


def _described(exc: BaseException) -> str:
    """Return an exception in one line."""
    text = described(exc)
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


def _first_line(function: Any) -> int | None:
    code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
    return code.co_firstlineno if code is not None else None
