"""The settings API: ``routine command system override disable get_routine routines``.

Each call writes into the ``DJANGO_ROUTINES`` of the settings module that is being executed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

from .commands import ORIGIN_KEY, ROUTINE_SETTING, Routine, is_own, to_symbol
from .declarations import MALFORMED_KEY, STEP_KEY, Raw, Recorder, Verbs, listed_overrides

_NOT_SETTINGS = ("django.apps", "django.core", "django_runbook.plugins")
"""Below these no settings module is being executed: apps get ready here, and hooks are loaded."""

_TESTS = ("pluggy",)
"""Below these a function may be a test, or a hook. Neither is a settings module itself."""


def _settings_frame(verb: str) -> FrameType:
    """Return the frame of the settings module that is being executed.

    It is the nearest module-level frame up the stack, so that a helper function may stand in
    between. Where that is no settings module, what is declared would end up in a namespace that
    nobody reads; that is refused.
    """
    caller: FrameType | None = sys._getframe(1)
    while caller is not None and is_own(caller.f_globals.get("__name__")):
        caller = caller.f_back
    module = caller
    while module is not None and not _is_module(module):
        # Django's settings are loaded below django.conf, whatever has asked for them.
        if _name(module).startswith(("django.conf", *_NOT_SETTINGS, *_TESTS)):
            module = None
            break
        module = module.f_back
    if module is not None and _may_be_settings(_name(module)) and _is_loaded_as_settings(module):
        return module
    assert caller is not None
    from .exceptions import DeclarationError

    raise DeclarationError(
        f"{verb}() was called at {caller.f_code.co_filename}:{caller.f_lineno}, where no settings "
        "module is being executed, so that the declaration would be lost. In AppConfig.ready() "
        f"write contribute(self).{verb}(...); in a contribute_routines(routines) hook write "
        f"routines.{verb}(...)."
    )


def _name(frame: FrameType) -> str:
    """Return the name of the module whose code a frame executes."""
    return str(frame.f_globals.get("__name__", ""))


def _is_module(frame: FrameType) -> bool:
    """Tell whether a frame executes a module that is none of ours."""
    return frame.f_code.co_name == "<module>" and not is_own(_name(frame))


def _is_loaded_as_settings(module: FrameType) -> bool:
    """Tell whether nothing that loads other things than settings has a module executed."""
    frame: FrameType | None = module
    while frame is not None:
        name = _name(frame)
        if name == "django.conf":
            return True
        if name.startswith(_NOT_SETTINGS):
            return False
        frame = frame.f_back
    return True


def _may_be_settings(module: str) -> bool:
    """Tell whether a module of this name can be a settings module at this moment.

    Before Django is configured whatever runs at module level with our functions is. Later on it
    may still be, as where a test executes another settings file, unless it is the main script or
    a module of Django's, of the project's or of an installed app.
    """
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return True
    own = str(getattr(conf.settings, "SETTINGS_MODULE", None) or "")
    if own and (module + ".").startswith(own + "."):
        return True
    taken = {own, "__main__", "django", *map(str, conf.settings.INSTALLED_APPS)}
    return module.partition(".")[0] not in {name.partition(".")[0] for name in taken}


def routines_in(scope: dict[str, Any]) -> Raw:
    """Return the ``DJANGO_ROUTINES`` of a settings namespace, made if there is none yet."""
    routines = scope.get(ROUTINE_SETTING)
    if routines is None or (type(routines) is dict and not routines):
        routines = scope[ROUTINE_SETTING] = {}
    elif not issubclass(type(routines), dict):
        routines = scope[ROUTINE_SETTING] = {MALFORMED_KEY: routines}
    return routines


class _SettingsVerbs(Verbs):
    """The verbs as a settings file uses them."""

    def _recorder(self, _verb: str) -> Recorder:
        frame = _settings_frame(_verb)
        return Recorder(routines_in(frame.f_globals), (frame.f_code.co_filename, frame.f_lineno))


_settings = _SettingsVerbs()
routine = _settings.routine
command = _settings.command
system = _settings.system
override = _settings.override
disable = _settings.disable


def get_routine(name: str, scope: dict[str, Any] | None = None) -> Routine:
    """Return a routine as the project's settings declare it.

    What apps and distributions add to it is not in it: :func:`django_runbook.get_plan` knows.

    :param name: the routine's name; case and ``-`` or ``_`` make no difference.
    :param scope: the settings namespace to read; the settings in force unless given, or the
        settings module that is being executed.
    :raises KeyError: if the settings declare no such routine.
    :raises ~django.core.exceptions.ImproperlyConfigured: if the declaration is malformed.
    """
    symbol = to_symbol(name)
    found = _declared(scope)
    if symbol not in found:
        folded = {key.lower(): key for key in found}
        symbol = folded.get(symbol.lower(), symbol)
    return _as_routine(symbol, found[symbol])


def routines(scope: dict[str, Any] | None = None) -> Iterator[Routine]:
    """Yield every routine as the project's settings declare it.

    :param scope: the settings namespace to read, as for :func:`get_routine`.
    :raises ~django.core.exceptions.ImproperlyConfigured: if a declaration is malformed.
    """
    for name, value in list(_declared(scope).items()):
        yield _as_routine(str(name), value)


def _declared(scope: dict[str, Any] | None) -> Mapping[str, Any]:
    """Return the setting, from a namespace, the settings in force or the ones being executed."""
    if scope is None:
        conf = sys.modules.get("django.conf")
        if conf is not None and conf.settings.configured:
            declared = getattr(conf.settings, ROUTINE_SETTING, None) or {}
        else:
            declared = _settings_frame("get_routine").f_globals.get(ROUTINE_SETTING) or {}
    else:
        declared = scope.get(ROUTINE_SETTING) or {}
    if not isinstance(declared, Mapping):
        raise _improperly_configured(f"{ROUTINE_SETTING} must be a dictionary of routines.")
    from .assignments import combine  # nothing that the other verbs need

    return combine({}, declared, None)  # "-" and "_" in a name mean the same


def _as_routine(name: str, value: Any) -> Routine:
    try:
        if isinstance(value, Routine):
            return value
        overrides: dict[str, dict[str, Any]] = {}
        for override in listed_overrides(value.get("overrides")) or ():
            changes = {k: v for k, v in override.items() if k not in {STEP_KEY, ORIGIN_KEY}}
            overrides.setdefault(override[STEP_KEY], {}).update(changes)
        return Routine.from_dict({**value, "name": name, "overrides": overrides})
    except Exception as exc:  # what was declared may be any object
        from .canonical import described

        message = f"{ROUTINE_SETTING}[{name!r}] is malformed: {described(exc)}"
        raise _improperly_configured(message) from exc


def _improperly_configured(message: str) -> Exception:
    from django.core.exceptions import ImproperlyConfigured

    return ImproperlyConfigured(message)
