"""Writing declarations down, in the form of ``DJANGO_ROUTINES``.

Settings files, apps and distributions declare with the same verbs, and what they say is written
into plain dictionaries. A call does nothing else: no sorting, no checking, no copying of what is
there already, so that it costs the same however many came before it. What was written is judged
when a plan is first asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    to_symbol,
)

MALFORMED_KEY = "__malformed__"
"""Key under which something is kept that is no dictionary where one is needed, so that the
declarations around it can go on and the mistake is reported with all others."""

C = TypeVar("C", ManagementCommand, SystemCommand)

Raw = dict[str, Any]
"""The form of ``DJANGO_ROUTINES``: names of routines to their dictionaries."""


class Recorder:
    """Writes declarations into a dictionary of the form of ``DJANGO_ROUTINES``.

    The settings API and the :class:`~django_runbook.contribute.Contribution` of apps and
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
        origins = entry.setdefault(ORIGINS_KEY, {})
        for attribute, value in given.items():
            if value is not None:
                entry[attribute] = value
                origins[attribute] = self.place
        helps = entry.setdefault("switch_helps", {})
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
        self._commands(self._entry(routine)).append(entry)
        return kind(argv, **said)

    def override(self, routine: str, step: str, changes: Raw) -> None:
        """Record the last word on a step."""
        overrides = self._entry(routine).setdefault("overrides", {})
        said = overrides.get(step, [])
        overrides[step] = [
            *(said if isinstance(said, list) else [said]),
            {**changes, ORIGIN_KEY: self.place},
        ]

    def _append(self, entry: Raw, cmd: Any) -> None:
        """Append a command object or dictionary, at its own line if that is in the same file."""
        own = getattr(cmd, "place", None)
        place = own if own is not None and own[0] == self.place[0] else self.place
        self._commands(entry).append(stamped(cmd, place))

    def _entry(self, name: Any) -> Raw:
        """Return the dictionary of a routine, made if there is none yet."""
        symbol = to_symbol(name) if isinstance(name, str) else name
        for key in (symbol, name):
            if key in self.routines:
                symbol = key
                break
        entry = self.routines.get(symbol)
        if isinstance(entry, Routine):
            entry = self.routines[symbol] = spelt_out(entry)
        elif entry is None:
            entry = self.routines[symbol] = {}
        elif not isinstance(entry, dict):
            entry = self.routines[symbol] = {MALFORMED_KEY: entry}
        return entry

    @staticmethod
    def _commands(entry: Raw) -> list[Any]:
        """Return a routine's list of commands, made if there is none yet."""
        commands = entry.setdefault("commands", [])
        if not isinstance(commands, list):
            commands = entry["commands"] = (
                list(commands) if isinstance(commands, tuple) else [commands]
            )
        return commands


def stamped(cmd: Any, place: Place | None) -> Any:
    """Return a command's dictionary that says where it was declared; other things as they are.

    :param cmd: what stands in a list of commands.
    :param place: where that is, unless it says so itself.
    """
    if isinstance(cmd, ManagementCommand | SystemCommand):
        return {**spelt_out(cmd), ORIGIN_KEY: place or cmd.place}
    if isinstance(cmd, dict) and ORIGIN_KEY not in cmd:
        return {**cmd, ORIGIN_KEY: place}
    return cmd


def spelt_out(obj: Routine | Command) -> Raw:
    """Return the dictionary of a routine or a command object, without what was left at default.

    Something left at its default was not stated, so it must not reset what others stated.
    """
    default = type(obj)("") if isinstance(obj, Routine) else type(obj)("-")
    name = "commands" if isinstance(obj, Routine) else "command"
    given: Raw = {
        key: value
        for key, value in vars(obj).items()
        if key not in {name, "name", "place"} and value != getattr(default, key)
    }
    if isinstance(obj, Routine):
        origins: dict[str, Place | None] = dict.fromkeys(given, obj.place)
        origins.update((f"--{switch}", obj.place) for switch in obj.switch_helps)
        commands = [stamped(cmd, None) for cmd in obj.commands]
        return {**given, "commands": commands, ORIGINS_KEY: origins}
    return {obj.kind: obj.command, **given}


def _flat(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return ``(("migrate", "--plan"), "shop")`` as ``("migrate", "--plan", "shop")``."""
    flat: list[Any] = []
    for part in command:
        if isinstance(part, list | tuple):
            flat.extend(part)
        else:
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
        atomic: bool | None = None,
        continue_on_error: bool | None = None,
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
        :param atomic: run all commands in one transaction.
        :param continue_on_error: go on after a command has failed.
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
            "initialize": initialize,
            "finalize": finalize,
            "pre_hook": pre_hook,
            "post_hook": post_hook,
        }
        self._recorder("routine").routine(name, commands, given, switch_helps)

    def command(
        self,
        routine: str,
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
        :param time_limit: seconds after which the step has failed.
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
        :param time_limit: seconds after which the step has failed.
        :param help_text: what the step is for.
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
        }
        return self._recorder("system").command(SystemCommand, routine, command, given, unknown)

    def override(self, routine: str, step: str, **changes: Any) -> None:
        """Change a step that another source contributed: the settings have the last word.

        :param routine: the routine's name.
        :param step: the step's id (``"shop:warm_catalogue"``), or a command name for all its steps.
        :param changes: ``priority``, ``switches``, ``run_before``, ``run_after``, ``options``,
            ``time_limit``, ``help_text`` or ``disabled``, each replacing what the step says.
        :raises DeclarationError: where the declaration would be lost.
        """
        self._recorder("override").override(routine, step, changes)

    def disable(self, routine: str, step: str) -> None:
        """Keep a step from running, whoever contributed it. It is still shown in the plan.

        :param routine: the routine's name.
        :param step: the step's id (``"acme-cdn:purge"``), or a command name for all its steps.
        :raises DeclarationError: where the declaration would be lost.
        """
        self._recorder("disable").override(routine, step, {"disabled": True})


def combine(earlier: Any, later: Any, file: str | None) -> Raw:
    """Return what two assignments of ``DJANGO_ROUTINES`` say together, neither changed.

    The later one's commands come after the earlier one's; of a routine's other attributes, the
    later statement is the one in force. What the later one took over from the earlier one (as
    ``{**DJANGO_ROUTINES, ...}`` does) counts once.

    :param earlier: the dictionary in force before.
    :param later: the dictionary that was assigned.
    :param file: the file that assigned it; none if its entries say where they are from.
    """
    combined: Raw = dict(earlier) if isinstance(earlier, dict) else {}
    if earlier and not combined:
        combined[MALFORMED_KEY] = earlier
    if not isinstance(later, Mapping):
        return {**combined, MALFORMED_KEY: later} if later else combined
    for name, value in later.items():
        symbol = to_symbol(name) if isinstance(name, str) else name
        said = combined.get(symbol)
        if said is value and said is not None:
            continue
        addition = _placed(name, value, file)
        known = spelt_out(said) if isinstance(said, Routine) else said
        if isinstance(known, dict) and isinstance(addition, dict):
            combined[symbol] = _combined_routine(known, addition, value)
        elif known is None or not isinstance(known, dict):
            combined[symbol] = addition
        else:
            combined[symbol] = {**known, MALFORMED_KEY: addition}
    return combined


def _combined_routine(earlier: Raw, addition: Raw, written: Any) -> Raw:
    result = {**earlier, **addition}
    for key in ("switch_helps", "overrides", ORIGINS_KEY):
        if isinstance(earlier.get(key), dict) and isinstance(addition.get(key), dict):
            result[key] = {**earlier[key], **addition[key]}
    old, new = earlier.get("commands"), addition.get("commands")
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        source = written.get("commands", ()) if isinstance(written, Mapping) else ()
        taken_over = {id(cmd) for cmd in old}
        fresh = [
            cmd
            for cmd, original in zip(new, source, strict=False)
            if id(original) not in taken_over
        ]
        result["commands"] = [*old, *(fresh if source else new)]
    return result


def _placed(name: Any, value: Any, file: str | None) -> Any:
    """Return a copy of an assigned routine in which every part says where it was declared."""
    if isinstance(value, Routine):
        return spelt_out(value)
    if not isinstance(value, dict) or file is None:
        return value
    placed = dict(value)
    stated: dict[str, Place] = {key: (file, (name,)) for key in value if key != "commands"}
    helps = value.get("switch_helps")
    if isinstance(helps, dict):
        stated.update((f"--{to_symbol(str(s))}", (file, (name, "switch_helps", s))) for s in helps)
    placed[ORIGINS_KEY] = {**stated, **value.get(ORIGINS_KEY, {})}
    commands = value.get("commands")
    if isinstance(commands, list | tuple):
        placed["commands"] = [
            stamped(cmd, _own_place(cmd) or (file, (name, "commands", index)))
            for index, cmd in enumerate(commands)
        ]
    overrides = value.get("overrides")
    if isinstance(overrides, dict):
        placed["overrides"] = {
            ref: stamped(changes, (file, (name, "overrides", ref)))
            for ref, changes in overrides.items()
        }
    return placed


def _own_place(cmd: Any) -> Place | None:
    return getattr(cmd, "place", None)
