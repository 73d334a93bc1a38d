"""Composition of split settings: ``include``, ``optional`` and ``plugin_settings``.

The including itself is django-split-settings' work. What is added here: wildcards are expanded
in sorted order, so that every file system loads the same components in the same order, and a
component that assigns ``DJANGO_ROUTINES`` adds to what the others said instead of replacing it.
"""

from __future__ import annotations

import glob
import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from split_settings import tools
from split_settings.tools import optional

from .assignments import INCLUDED_KEY, MERGED_KEY, combine, place_additions
from .commands import ROUTINE_SETTING
from .distributions import SETTINGS_GROUP, entry_points, normalised
from .exceptions import SettingsError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["include", "optional", "plugin_settings"]


def include(*args: str, scope: dict[str, Any] | None = None) -> None:
    """Execute settings components in the namespace of the settings file that calls this.

    It takes what ``split_settings.tools.include`` takes. Wildcards load in sorted order.

    :param args: paths relative to the calling file, with wildcards if you like; wrap one in
        :func:`optional` if it may be missing.
    :param scope: the namespace; the caller's unless given.
    :raises OSError: if a component that is not optional is missing.
    :raises SettingsError: if a component is not valid Python.
    """
    caller = sys._getframe(1)
    scope = scope or caller.f_globals
    line = caller.f_lineno if caller.f_globals is scope else None
    absorb(scope, scope.get("__included_file__", scope.get("__file__")), line)
    for arg in args:
        paths = _expand(arg, scope)
        for path in paths:
            _include_one(path, scope)
        if not paths:
            _include_nothing(arg, scope, f"{caller.f_code.co_filename}:{caller.f_lineno}")


def _expand(arg: str, scope: dict[str, Any]) -> list[str]:
    """Return the files that a path or a wildcard stands for, sorted and literal."""
    if not arg:
        return []
    including = scope.get("__included_file__", scope["__file__"].rstrip("c"))
    pattern = os.path.join(glob.escape(os.path.dirname(including)), arg)
    return [glob.escape(path) for path in sorted(glob.glob(pattern))]


def _include_nothing(arg: str, scope: dict[str, Any], place: str) -> None:
    """Let split_settings say what an empty or a missing component means, and add whose it is."""
    try:
        tools.include(arg, scope=scope)
    except OSError as exc:
        exc.add_note(
            f"{place}: include({arg!r}) finds no such file. "
            "Mend the path, or wrap it in optional() if it may be missing."
        )
        raise


def _include_one(path: str, scope: dict[str, Any]) -> None:
    seen = len(scope.get("__included_files__", ()))
    try:
        tools.include(path, scope=scope)
    except SyntaxError as exc:
        text = f": {exc.text.strip()}" if exc.text else ""
        raise SettingsError(
            f"{exc.filename or path}:{exc.lineno or 1}: this settings component is not valid "
            f"Python: {exc.msg}{text}\n"
            "Nothing was run. Mend the line, then run the same command again."
        ) from exc
    except ValueError as exc:
        source = Path(path).read_bytes() if os.path.isfile(path) else b""
        if b"\0" not in source:
            raise  # the component's own
        # What newer Pythons report as any other error of syntax.
        line = source.count(b"\n", 0, source.index(b"\0")) + 1
        raise SettingsError(
            f"{path}:{line}: this settings component is not valid Python: it contains a null byte\n"
            "Nothing was run. Mend the line, then run the same command again."
        ) from exc
    fresh = scope["__included_files__"][seen:]
    if fresh:  # the first is the component itself, any others it has included in turn
        scope.setdefault(INCLUDED_KEY, []).append(fresh[0])
        absorb(scope, fresh[0])


def absorb(scope: dict[str, Any], file: str | None, before: int | None = None) -> None:
    """Merge a ``DJANGO_ROUTINES`` that was assigned since the last look at this namespace.

    :param scope: the settings namespace.
    :param file: the file that has assigned it.
    :param before: the line that the file has reached, if it is not at its end.
    """
    current = scope.get(ROUTINE_SETTING)
    merged = scope.get(MERGED_KEY)
    if current is None:
        return
    if merged is None or current is not merged:
        merged = combine(merged or {}, current, file, before)
        scope[ROUTINE_SETTING] = scope[MERGED_KEY] = merged
    # Only now: what an assignment has taken over is known by being the same object.
    if file is not None:
        place_additions(merged, file)


def plugin_settings(distribution: str) -> tuple[str, ...]:
    """Return the settings components that an installed distribution ships, for :func:`include`.

    They are the modules that it names in the entry point group ``django_runbook.settings``, by
    the name of the entry point. They are found without being imported.

    :param distribution: the distribution's name, in any spelling.
    :return: absolute paths.
    :raises SettingsError: if it is not installed or ships no settings component.
    """
    offered = entry_points(SETTINGS_GROUP)
    wanted = normalised(distribution)
    paths = tuple(_component(found.entry_point) for found in offered if found.name == wanted)
    if not paths:
        from .model import closest  # the values of plans are nothing that settings need

        names = {found.name for found in offered}
        caller = sys._getframe(1)
        raise SettingsError(
            f"{caller.f_code.co_filename}:{caller.f_lineno}: plugin_settings({distribution!r}): "
            "no installed distribution of that name ships settings components (entry point group "
            f"{SETTINGS_GROUP!r}). "
            f"{closest(wanted, names) or 'Install it, or take the call out.'}"
        )
    return paths


def _component(entry_point: EntryPoint) -> str:
    """Return the path of the module that an entry point names."""
    package, *rest = entry_point.value.split(":")[0].strip().split(".")
    # Only the spec of the top-level package is asked for: that imports nothing.
    spec = find_spec(package)
    roots = list(spec.submodule_search_locations or ()) if spec is not None else []
    candidates = [Path(root, *rest).with_suffix(".py") for root in roots] if rest else []
    candidates += [Path(root, *rest, "__init__.py") for root in roots]
    if spec is not None and not rest and not roots and spec.origin:
        candidates.append(Path(spec.origin))
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
    dist = entry_point.dist
    raise SettingsError(
        f"{dist.name if dist else 'A distribution'} names the settings component "
        f"{entry_point.value!r}, which does not exist. Reinstall it, or report it to its authors."
    )
