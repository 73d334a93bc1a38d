"""Compose, explain and run the operational routines of a Django site.

A site's settings import from here, so what is imported here is what every web worker pays for:
the declarations, and nothing of pluggy, typer, rich or Django. The names that need more load it
when they are first used.

PYTEST_DONT_REWRITE: pytest would warn, as a site's settings may have imported the package before
pytest finds its fixtures, and no assertion in it is one of a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from .contribute import contribute
from .declare import command, disable, get_routine, override, routine, routines, system
from .secret import Secret
from .split import include, optional, plugin_settings

if TYPE_CHECKING:
    from .hookspecs import hookimpl as hookimpl
    from .registry import get_plan as get_plan
    from .runner import run_routine as run_routine

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

_LATE = {"hookimpl": "hookspecs", "get_plan": "registry", "run_routine": "runner"}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    if name == "__version__":
        from importlib.metadata import version

        return version("django-runbook")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATE, "__version__"})
