"""Compose, explain and run the operational routines of a Django site.

Every web worker of a site loads this, so it loads next to nothing: each name is loaded when it is
first used. What settings files use loads the declarations, and nothing of pluggy, typer, rich or
Django.

PYTEST_DONT_REWRITE: pytest would warn, as a site's settings may have imported the package before
pytest finds its fixtures, and no assertion in it is one of a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .contribute import contribute

if TYPE_CHECKING:
    from .commands import (
        ROUTINE_SETTING,
        Command,
        FinalizeCallback,
        InitializeCallback,
        ManagementCommand,
        PostHook,
        PreHook,
        Routine,
        RoutineCommand,
        SystemCommand,
    )
    from .declare import command, disable, get_routine, override, routine, routines, system
    from .hookspecs import hookimpl as hookimpl
    from .registry import get_plan as get_plan
    from .runner import run_routine as run_routine
    from .secret import Secret
    from .split import include, optional, plugin_settings

    __version__: str

# What settings files need: "import *" must not load what is loaded on first use.
__all__ = [
    "ROUTINE_SETTING",
    "Command",
    "FinalizeCallback",
    "InitializeCallback",
    "ManagementCommand",
    "PostHook",
    "PreHook",
    "Routine",
    "RoutineCommand",
    "Secret",
    "SystemCommand",
    "command",
    "contribute",
    "disable",
    "get_routine",
    "include",
    "optional",
    "override",
    "plugin_settings",
    "routine",
    "routines",
    "system",
]

_HOMES = {
    **dict.fromkeys(
        (
            *("ROUTINE_SETTING", "Command", "ManagementCommand", "RoutineCommand", "Routine"),
            *("SystemCommand", "InitializeCallback", "FinalizeCallback", "PreHook", "PostHook"),
        ),
        "commands",
    ),
    **dict.fromkeys(
        ("command", "disable", "get_routine", "override", "routine", "routines", "system"),
        "declare",
    ),
    **dict.fromkeys(("include", "optional", "plugin_settings"), "split"),
    "Secret": "secret",
    "get_plan": "registry",
    "hookimpl": "hookspecs",
    "run_routine": "runner",
}
"""The module that each name is loaded from. None may be called as a module of this package: Python
puts a module that is loaded in the place of whatever has its name."""

_MODULES = ("exceptions", "signals")
"""Modules of users, who may take them from the package without a word of import."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        if name in __all__:  # settings and apps ask for these often
            globals()[name] = found
        return found
    if name in _MODULES:
        from importlib import import_module

        return import_module(f".{name}", __name__)
    if name == "__version__":
        from importlib.metadata import version

        return version("django-runbook")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
