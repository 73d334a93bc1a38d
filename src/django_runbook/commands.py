"""What a declaration may hold: commands and routines.

These classes are the written form of a routine. They are dataclasses, so that a settings file may
build them before Django is configured, and they carry the names and the field order of the
django-routines package, so that a settings file written for it works once its import is renamed.
They hold what was written, right or wrong: ``fragments`` judges it later, when there is someone to
tell.

What dataclasses would write for each of them, they inherit: Python takes long to write it, and web
workers wait for that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from typing import Self

ROUTINE_SETTING = "DJANGO_ROUTINES"
"""The name of the setting that holds what to run."""

ORIGIN_KEY = "__origin__"
"""Key of a declared command's dictionary under which its place, ``(file, line)``, is kept."""

ORIGINS_KEY = "__origins__"
"""Key of a routine's dictionary: ``{attribute: (file, line)}``, where each was stated."""

ALL_DATABASES = "__all__"
"""As the value of ``atomic``: every database of the site."""

COMMAND_KEYS = frozenset(
    {
        *("priority", "switches", "pre_hook", "post_hook", "step_id", "run_before", "run_after"),
        *("time_limit", "help_text"),
    }
)
"""What may be said of any command, besides what it is."""


class Entry(NamedTuple):
    """An entry of a literal ``DJANGO_ROUTINES``: its line is looked up only when somebody asks."""

    path: tuple[Any, ...] = ()
    """The keys and indices that lead to it."""

    before: int | None = None
    """The line before which the literal was assigned, where a file assigns more than one."""


Place: TypeAlias = tuple[str, "int | Entry"]
"""A file and what of it."""


def is_place(value: object) -> bool:
    """Tell whether something is a place: users may write our keys, too.

    :param value: what stands under :data:`ORIGIN_KEY`, or in :data:`ORIGINS_KEY`.
    """
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], int | Entry)
    )


def to_symbol(name: str) -> str:
    """Return the form in which a routine or a switch is known: ``--demo-data`` is ``demo_data``.

    :param name: a routine's or a switch's name, as written in settings or on a command line.
    """
    return name.lstrip("-").replace("-", "_")


def to_option(name: str) -> str:
    """Return the command line option for a switch: ``demo_data`` is ``--demo-data``.

    :param name: a switch's name, in any of its forms.
    """
    return f"--{to_symbol(name).replace('_', '-')}"


def is_own(module: object) -> bool:
    """Tell whether a module's name is one of this package's."""
    return isinstance(module, str) and (module + ".").startswith("django_runbook.")


def _caller() -> tuple[str, int] | None:
    """Return the file and line outside of this package that is building a declaration."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not is_own(frame.f_globals.get("__name__")):
            return (frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


class _Written:
    """What a dataclass has, for all of them: a repr and a comparison."""

    def __repr__(self) -> str:
        shown = (f"{one.name}={getattr(self, one.name)!r}" for one in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [one.name for one in fields(self)]  # type: ignore[arg-type]
        return [getattr(self, name) for name in names] == [getattr(other, name) for name in names]

    __hash__ = None  # type: ignore[assignment] # as what can be changed has none


# None is made of this class itself.
@dataclass(init=False, repr=False, eq=False)
class _Command(_Written):
    """The fields that both kinds of command share, in django-routines' order."""

    command: str | Sequence[Any]
    """The command and its arguments: a name, or a sequence that starts with the name."""

    priority: int = 0
    """Lower runs first. Equal priorities run by source, then in the order of declaration."""

    switches: Sequence[str] = ()
    """The command runs when one of these is active, or always if there is none."""

    pre_hook: PreHook | None = None
    """Called before the command, or the import string of such a callable."""

    post_hook: PostHook | None = None
    """Called after the command, or the import string of such a callable."""

    result: Any = None
    """What the command returned, for hooks to read and change; never part of a declaration."""

    step_id: str | None = field(default=None, kw_only=True)
    """The second half of the step's id; the command's name unless given."""

    run_before: Sequence[str] = field(default=(), kw_only=True)
    """Step ids or command names that this step must precede."""

    run_after: Sequence[str] = field(default=(), kw_only=True)
    """Step ids or command names that this step must follow."""

    time_limit: float | None = field(default=None, kw_only=True)
    """Seconds after which the step is ended and has failed. A management command that has one
    runs as a subprocess."""

    help_text: Any = field(default="", kw_only=True)
    """What the step is for, shown in the plan's JSON document."""

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        self.place = _caller()
        switches: Any = self.switches
        with suppress(Exception):  # of an object that is no list of names, and is judged later
            if isinstance(switches, list | tuple) and all(isinstance(one, str) for one in switches):
                self.switches = tuple(map(to_symbol, switches))

    @property
    def command_name(self) -> str:
        """The name of what runs, without arguments."""
        return self.command if isinstance(self.command, str) else str(self.command[0])

    @property
    def command_args(self) -> tuple[str, ...]:
        """The arguments, as strings."""
        return () if isinstance(self.command, str) else tuple(map(str, self.command[1:]))

    @property
    def command_str(self) -> str:
        """The name and the arguments, separated by spaces, for people to read."""
        return " ".join((self.command_name, *self.command_args))

    @classmethod
    def from_dict(cls, obj: Command | Mapping[str, Any]) -> Command:
        """Return the command that a dictionary of the setting describes.

        :param obj: such a dictionary, or a command, which is returned as it is.
        :raises TypeError: for a key that the command has no field for.
        """
        if isinstance(obj, ManagementCommand | SystemCommand):
            return obj
        kind = SystemCommand if _kind_of(obj) == SystemCommand.kind else ManagementCommand
        rest = {
            key: value
            for key, value in obj.items()
            if key not in {kind.kind, "command", "kind", ORIGIN_KEY}
        }
        return kind(obj.get(kind.kind, obj.get("command", "")), **rest)

    def to_dict(self) -> dict[str, Any]:
        """Return the dictionary of the setting that stands for this command."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "command"}
        return {self.kind: self.command, **rest}


def _kind_of(obj: Mapping[str, Any]) -> str:
    """Tell a command dictionary's kind; ``{"command": ..., "kind": ...}`` is the older form."""
    for kind in ("management", "system"):
        if kind in obj:
            return kind
    return str(obj.get("kind", "management"))


@dataclass(repr=False, eq=False)
class ManagementCommand(_Command):
    """A Django management command."""

    options: dict[str, Any] = field(default_factory=dict)
    """Named options, as :func:`django.core.management.call_command` takes them."""

    kind: ClassVar[str] = "management"

    @property
    def management(self) -> str | Sequence[Any]:
        """Another name of :attr:`command`."""
        return self.command


@dataclass(repr=False, eq=False)
class SystemCommand(_Command):
    """A program of the operating system, run as a subprocess and never through a shell."""

    env: dict[str, Any] = field(default_factory=dict, kw_only=True)
    """Environment variables of the program, beside those of the routine's own process."""

    kind: ClassVar[str] = "system"

    @property
    def system(self) -> str | Sequence[Any]:
        """Another name of :attr:`command`."""
        return self.command


Command: TypeAlias = ManagementCommand | SystemCommand
"""Either kind of command."""

RoutineCommand = ManagementCommand
"""The name that older django-routines settings use."""


@dataclass(repr=False, eq=False)
class Routine(_Written):
    """A named batch of commands, with switches and execution controls."""

    name: str
    """The routine's name; ``-`` and ``_`` mean the same."""

    help_text: Any = ""
    """What the routine is for: a string, or a lazily translated one."""

    commands: list[Command] = field(default_factory=list)
    """The commands, in the order of declaration."""

    switch_helps: dict[str, Any] = field(default_factory=dict)
    """What each switch is for: strings, or lazily translated ones."""

    subprocess: bool = False
    """Run management commands as subprocesses."""

    atomic: bool | str | Sequence[str] = False
    """Run all commands in one transaction: ``True`` on the default database, an alias, a list of
    aliases, or ``"__all__"``."""

    continue_on_error: bool = False
    """Go on after a command has failed."""

    lock: bool | str = False
    """Let the routine run once at a time: ``True``, or the name of a lock's backend."""

    initialize: InitializeCallback | None = None
    """Called before the first command, or the import string of such a callable."""

    finalize: FinalizeCallback | None = None
    """Called after the last command, or the import string of such a callable."""

    pre_hook: PreHook | None = None
    """Called before each command that has none of its own, or an import string."""

    post_hook: PostHook | None = None
    """Called after each command that has none of its own, or an import string."""

    overrides: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The settings' last word on steps of other sources: ``{step: {field: value}}``."""

    def __post_init__(self) -> None:
        self.place = _caller()
        # What is no name or no dictionary is kept, to be reported with all other mistakes.
        if isinstance(self.name, str):
            self.name = to_symbol(self.name)
        helps: Any = self.switch_helps
        with suppress(Exception):  # of an object that is no dictionary, and is judged later
            if isinstance(helps, dict):
                self.switch_helps = {
                    to_symbol(name) if isinstance(name, str) else name: text
                    for name, text in helps.items()
                }

    def __len__(self) -> int:
        return len(self.commands)

    @property
    def switches(self) -> list[str]:
        """The switches that the commands name, sorted."""
        return sorted({to_symbol(switch) for cmd in self.commands for switch in cmd.switches})

    def plan(self, switches: Iterable[str]) -> list[Command]:
        """Return the commands that these switches turn on, by priority.

        This knows of priorities alone. ``django_runbook.get_plan`` knows of every source and
        every constraint, and is what runs.

        :param switches: names of active switches.
        """
        active = {to_symbol(switch) for switch in switches}
        return [
            cmd
            for cmd in sorted(self.commands, key=lambda cmd: cmd.priority)
            if not cmd.switches or active.intersection(map(to_symbol, cmd.switches))
        ]

    def add(self, command: Command) -> Command:
        """Append a command.

        :param command: the command to append; it is returned.
        """
        self.commands.append(command)
        return command

    @classmethod
    def from_dict(cls, obj: Routine | Mapping[str, Any]) -> Self | Routine:
        """Return the routine that a dictionary of the setting describes, commands by priority.

        :param obj: such a dictionary, or a routine, which is returned as it is.
        :raises TypeError: for a key that a routine or a command has no field for.
        """
        if isinstance(obj, Routine):
            return obj
        commands = [_Command.from_dict(cmd) for cmd in obj.get("commands", ())]
        rest = {k: v for k, v in obj.items() if k not in {"commands", ORIGINS_KEY}}
        return cls(**rest, commands=sorted(commands, key=lambda cmd: cmd.priority))

    def to_dict(self) -> dict[str, Any]:
        """Return the dictionary of the setting that stands for this routine."""
        rest = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "commands"}
        return {**rest, "commands": [cmd.to_dict() for cmd in self.commands]}


InitializeCallback: TypeAlias = (
    str | Callable[[Routine, list[Command], set[str], dict[str, Any]], None]
)
"""``(routine, plan, switches, options) -> None``, or its import string."""

FinalizeCallback: TypeAlias = str | Callable[[Routine, list[Any]], None]
"""``(routine, results) -> None``, or its import string."""

Hook: TypeAlias = Callable[[Routine, Command, "Command | None", dict[str, Any]], "bool | None"]

PreHook: TypeAlias = str | Hook
"""``(routine, command, previous, options) -> bool | None``, or its import string; true skips."""

PostHook: TypeAlias = str | Hook
"""``(routine, command, next, options) -> bool | None``, or its import string; true exits early."""
