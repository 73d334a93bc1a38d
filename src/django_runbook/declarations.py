"""Writing declarations down, in the form of ``DJANGO_ROUTINES``.

Settings files, apps and distributions declare with the same verbs, and what they say is written
into plain dictionaries. A call does nothing else: no sorting, no checking, no copying of what is
there already, so that it costs the same however many came before it. What was written is judged
when a plan is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from .commands import (
    ORIGIN_KEY,
    ORIGINS_KEY,
    Command,
    FinalizeCallback,
    InitializeCallback,
    ManagementCommand,
    Place,
    PostHook,
    PreHook,
    Routine,
    SystemCommand,
    is_place,
    to_symbol,
)

MALFORMED_KEY = "__malformed__"
"""Key under which something is kept that has not the type that is needed there, so that the
declarations around it can go on and the mistake is reported with all others. In a routine it holds
such things by their keys, the routine itself by ``""``."""

STEP_KEY = "__step__"
"""Key of an override's dictionary under which the step is named, in a list of overrides."""

C = TypeVar("C", ManagementCommand, SystemCommand)
T = TypeVar("T", list[Any], dict[str, Any])

Raw = dict[str, Any]
"""The form of ``DJANGO_ROUTINES``: names of routines to their dictionaries."""


class Recorder:
    """Writes declarations into a dictionary of the form of ``DJANGO_ROUTINES``.

    The settings API and the :class:`~django_runbook.contribution.Contribution` of apps and
    distributions share it, so that both have the same verbs with the same meaning.

    :param routines: the dictionary to write to.
    :param place: the file and line of the declaration.
    """

    def __init__(self, routines: Raw, place: tuple[str, int]) -> None:
        self.routines = routines
        self.place = place

    def routine(self, name: str, commands: tuple[Any, ...], given: Raw, switch_helps: Raw) -> None:
        """Record a routine's own attributes, the helps of its switches and its commands."""
        entry = self._entry(name)
        origins = _section(entry, ORIGINS_KEY, dict)
        for attribute, value in given.items():
            if value is not None:
                entry[attribute] = value
                origins[attribute] = self.place
        helps = _section(entry, "switch_helps", dict)
        for switch, text in switch_helps.items():
            helps[to_symbol(switch)] = text
            origins[f"--{to_symbol(switch)}"] = self.place
        for cmd in commands:
            self._append(entry, cmd)

    def command(
        self,
        kind: type[C],
        routine: str,
        command: tuple[Any, ...],
        given: Raw,
        unknown: Mapping[str, Any] = MappingProxyType({}),
    ) -> C:
        """Record one command of a routine, and return it as the object that stands for it."""
        argv = _flat(command)
        said = {key: value for key, value in given.items() if value is not None}
        entry = {**unknown, **said, kind.kind: argv, ORIGIN_KEY: self.place}
        _section(self._entry(routine), "commands", list).append(entry)
        return kind(argv, **said)

    def override(self, routine: str, step: str, changes: Raw) -> None:
        """Record the last word on a step."""
        entry = self._entry(routine)
        entry["overrides"] = listed_overrides(entry.get("overrides"))
        override = {**changes, STEP_KEY: step, ORIGIN_KEY: self.place}
        _section(entry, "overrides", list).append(override)

    def _append(self, entry: Raw, cmd: Any) -> None:
        """Append a command object or dictionary, at its own line if that is in the same file."""
        try:
            own: Any = getattr(cmd, "place", None)
            place = own if is_place(own) and own[0] == self.place[0] else self.place
            written = stamped(cmd, place)
        except Exception:  # noqa: BLE001 - of an object that is no command, told when it is read
            written = {MALFORMED_KEY: cmd, ORIGIN_KEY: self.place}
        _section(entry, "commands", list).append(written)

    def _entry(self, name: Any) -> Raw:
        """Return the dictionary of a routine, made if there is none yet."""
        symbol = symbol_of(name)
        for key in (symbol, symbol.replace("_", "-")):
            if key in self.routines:
                symbol = key
                break
        entry: Any = self.routines.get(symbol)
        if type(entry) is not dict:
            entry = self.routines[symbol] = _as_dictionary(entry)
        known: Raw = entry
        return known


def _as_dictionary(entry: Any) -> Raw:
    """Return what stands for a routine as a plain dictionary, or in one as malformed."""
    if entry is None:
        return {}
    try:
        if isinstance(entry, Routine):
            return spelt_out(entry)
        return dict(entry) if issubclass(type(entry), dict) else {MALFORMED_KEY: {"": entry}}
    except Exception:  # noqa: BLE001 - of a dictionary of the user's own, told when it is read
        return {MALFORMED_KEY: {"": entry}}


def _section(entry: Raw, key: str, kind: type[T]) -> T:
    """Return a list or a dictionary of a routine, made if there is none, to be added to."""
    value: Any = entry.get(key)
    if kind is list and type(value) is tuple:
        value = list(value)
    if not issubclass(type(value), kind):
        if value is not None:
            kept = entry.get(MALFORMED_KEY)
            entry[MALFORMED_KEY] = {**(kept if isinstance(kept, dict) else {}), key: value}
        value = kind()
    section: T = value
    entry[key] = section
    return section


def listed_overrides(overrides: Any) -> Any:
    """Return overrides as a list, in the order in which they count: a dictionary has none of two
    names of one step. Anything but a dictionary is returned as it is.

    :param overrides: the overrides of a routine.
    """
    if not isinstance(overrides, dict):
        return overrides
    return [
        {**changes, STEP_KEY: step}
        if isinstance(changes, dict)
        else {MALFORMED_KEY: changes, STEP_KEY: step}
        for step, changes in overrides.items()
    ]


def stamped(cmd: Any, place: Place | None) -> Any:
    """Return a command's dictionary that says where it was declared.

    :param cmd: what stands in a list of commands.
    :param place: where that is, unless it says so itself.
    """
    if isinstance(cmd, ManagementCommand | SystemCommand):
        return {**spelt_out(cmd), ORIGIN_KEY: place or cmd.place}
    if place is None or (isinstance(cmd, dict) and is_place(cmd.get(ORIGIN_KEY))):
        return cmd
    entry = cmd if isinstance(cmd, dict) else {MALFORMED_KEY: cmd}
    return {**entry, ORIGIN_KEY: place}


def symbol_of(name: Any) -> str:
    """Return the form in which a name is known; of what is no name, a text that is none either.

    :param name: what was written as a name.
    """
    if issubclass(type(name), str):
        return to_symbol(name)
    from .canonical import shown  # for a mistake, which no web worker should pay for

    return f"({shown(name)})"


def spelt_out(obj: Routine | Command) -> Raw:
    """Return the dictionary of a routine or a command object, without what was left at default.

    Something left at its default was not stated, so it must not reset what others stated.
    """
    default = type(obj)("") if isinstance(obj, Routine) else type(obj)("-")
    name = "commands" if isinstance(obj, Routine) else "command"
    given: Raw = {
        key: value
        for key, value in vars(obj).items()
        if key not in {name, "name", "place"} and _differs(value, getattr(default, key, None))
    }
    if isinstance(obj, Routine):
        origins: dict[str, Place | None] = dict.fromkeys(given, obj.place)
        helps: Any = obj.switch_helps
        origins.update(
            (f"--{one}", obj.place) for one in (helps if isinstance(helps, dict) else ())
        )
        commands = obj.commands
        if isinstance(commands, list | tuple):
            commands = [stamped(cmd, None) for cmd in commands]
        return {**given, "commands": commands, ORIGINS_KEY: origins}
    return {obj.kind: obj.command, **given}


def _differs(value: Any, default: Any) -> bool:
    """Tell whether something was stated. A lazy string must not be asked: that translates it."""
    return type(value) is not type(default) or value != default


def _flat(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``(("migrate", "--plan"), "shop")`` as ``("migrate", "--plan", "shop")``."""
    flat: list[Any] = []
    for part in command:
        try:
            flat += [*part] if isinstance(part, list | tuple) else [part]
        except Exception:  # noqa: BLE001 - of an object that is no argument, told when it is read
            flat.append(part)
    return tuple(flat)


class Verbs:
    """The verbs of a declaration, the same for settings, apps and distributions."""

    def _recorder(self, _verb: str) -> Recorder:
        """Return what writes a declaration of the caller, or refuse it."""
        raise NotImplementedError

    def routine(
        self,
        name: str,
        help_text: Any = None,
        *commands: Command,
        subprocess: bool | None = None,
        atomic: bool | str | Sequence[str] | None = None,
        continue_on_error: bool | None = None,
        lock: bool | str | None = None,
        initialize: InitializeCallback | None = None,
        finalize: FinalizeCallback | None = None,
        pre_hook: PreHook | None = None,
        post_hook: PostHook | None = None,
        **switch_helps: Any,
    ) -> None:
        """Declare a routine, or add to one: only what is given changes anything.

        :param name: the routine's name; ``-`` and ``_`` mean the same.
        :param help_text: what it is for; may be lazily translated.
        :param commands: commands to append.
        :param subprocess: run management commands as subprocesses.
        :param atomic: run all commands in one transaction: true for the default database, an
            alias, a list of aliases, or ``"__all__"``.
        :param continue_on_error: go on after a command has failed.
        :param lock: let the routine run once at a time: true, or the name of a lock's backend.
        :param initialize: called before the first command.
        :param finalize: called after the last command.
        :param pre_hook: called before each command that has none of its own.
        :param post_hook: called after each command that has none of its own.
        :param switch_helps: names of switches and what they are for.
        :raises DeclarationError: where the declaration would be lost.
        """
        given = {
            "help_text": help_text,
            "subprocess": subprocess,
            "atomic": atomic,
            "continue_on_error": continue_on_error,
            "lock": lock,
            "initialize": initialize,
            "finalize": finalize,
            "pre_hook": pre_hook,
            "post_hook": post_hook,
        }
        self._recorder("routine").routine(name, commands, given, switch_helps)

    def command(
        self,
        routine: str,
        /,
        *command: Any,
        priority: int | None = None,
        switches: Any = None,
        pre_hook: PreHook | None = None,
        post_hook: PostHook | None = None,
        step_id: str | None = None,
        run_before: Any = None,
        run_after: Any = None,
        time_limit: float | None = None,
        help_text: Any = None,
        **options: Any,
    ) -> ManagementCommand:
        """Add a management command to a routine.

        ``command("package", "makemigrations", "--no-header")``,
        ``command("package", ("makemigrations", "--no-header"))`` and
        ``command("package", "makemigrations", no_header=True)`` mean the same.

        :param routine: the routine's name.
        :param command: the command and its arguments.
        :param priority: lower runs first; 0 unless given.
        :param switches: a list of switches, one of which must be active for the command to run.
        :param pre_hook: called before the command.
        :param post_hook: called after the command.
        :param step_id: the second half of the step's id; the command's name unless given.
        :param run_before: a list of step ids or command names that the command must precede.
        :param run_after: a list of step ids or command names that the command must follow.
        :param time_limit: seconds after which the step is ended and has failed.
        :param help_text: what the step is for.
        :param options: named options, as :func:`django.core.management.call_command` takes them.
        :return: the command, as it was declared.
        :raises DeclarationError: where the declaration would be lost.
        """
        given = {
            "priority": priority,
            "switches": switches,
            "pre_hook": pre_hook,
            "post_hook": post_hook,
            "step_id": step_id,
            "run_before": run_before,
            "run_after": run_after,
            "time_limit": time_limit,
            "help_text": help_text,
            "options": options or None,
        }
        return self._recorder("command").command(ManagementCommand, routine, command, given)

    def system(
        self,
        routine: str,
        /,
        *command: Any,
        priority: int | None = None,
        switches: Any = None,
        pre_hook: PreHook | None = None,
        post_hook: PostHook | None = None,
        step_id: str | None = None,
        run_before: Any = None,
        run_after: Any = None,
        time_limit: float | None = None,
        help_text: Any = None,
        env: Mapping[str, Any] | None = None,
        **unknown: Any,
    ) -> SystemCommand:
        """Add a system command to a routine: a program and its arguments, run without a shell.

        :param routine: the routine's name.
        :param command: the program and its arguments.
        :param priority: lower runs first; 0 unless given.
        :param switches: a list of switches, one of which must be active for the command to run.
        :param pre_hook: called before the command.
        :param post_hook: called after the command.
        :param step_id: the second half of the step's id; the program's name unless given.
        :param run_before: a list of step ids or command names that the command must precede.
        :param run_after: a list of step ids or command names that the command must follow.
        :param time_limit: seconds after which the step is ended and has failed.
        :param help_text: what the step is for.
        :param env: environment variables of the program, beside those of the routine's process.
        :param unknown: a program has no named options; what is given is reported with the routine.
        :return: the command, as it was declared.
        :raises DeclarationError: where the declaration would be lost.
        """
        given = {
            "priority": priority,
            "switches": switches,
            "pre_hook": pre_hook,
            "post_hook": post_hook,
            "step_id": step_id,
            "run_before": run_before,
            "run_after": run_after,
            "time_limit": time_limit,
            "help_text": help_text,
            "env": dict(env) if isinstance(env, Mapping) else env,
        }
        return self._recorder("system").command(SystemCommand, routine, command, given, unknown)

    def override(self, routine: str, step: str, /, **changes: Any) -> None:
        """Change a step that another source contributed: the settings have the last word.

        :param routine: the routine's name.
        :param step: the step's id (``"shop:warm_catalogue"``), or a command name for all its steps.
        :param changes: ``priority``, ``switches``, ``run_before``, ``run_after``, ``options``,
            ``env``, ``time_limit``, ``help_text``, ``pre_hook``, ``post_hook`` or ``disabled``,
            each replacing what the step says.
        :raises DeclarationError: where the declaration would be lost.
        """
        self._recorder("override").override(routine, step, changes)

    def disable(self, routine: str, step: str, /) -> None:
        """Keep a step from running, whoever contributed it. It is still shown in the plan.

        :param routine: the routine's name.
        :param step: the step's id (``"acme-cdn:purge"``), or a command name for all its steps.
        :raises DeclarationError: where the declaration would be lost.
        """
        self._recorder("disable").override(routine, step, {"disabled": True})
