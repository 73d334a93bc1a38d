"""Reading the command line of a step that runs another routine: ``("routine", "package")``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .commands import to_option, to_symbol
from .model import Declaration, MergedRoutine, closest

COMMAND = "routine"
"""The management command that runs routines."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """Which routine a step runs, and with which switches."""

    routine: str
    switches: tuple[str, ...] = ()
    all: bool = False
    verbosity: int | None = None

    def active(self, routine: MergedRoutine) -> tuple[str, ...]:
        """Return the switches that are active in the nested routine.

        :param routine: the routine that is run.
        """
        return routine.switches if self.all else tuple(sorted(set(self.switches)))


class NestingError(ValueError):
    """The command line of a nested routine cannot be read; its text says why."""


def is_nested(declaration: Declaration) -> bool:
    """Tell whether a command runs another routine.

    :param declaration: the command.
    """
    return declaration.kind == "management" and declaration.name == COMMAND


def read_invocation(declaration: Declaration, routines: Mapping[str, MergedRoutine]) -> Invocation:
    """Return what a command that :func:`is_nested` runs.

    :param declaration: the command.
    :param routines: every routine there is.
    :raises NestingError: if that routine or a switch is unknown, or an option has no meaning here.
    """
    invocation = _read(declaration)
    if invocation.routine not in routines:
        hint = closest(invocation.routine, routines)
        raise NestingError(f"There is no routine {invocation.routine!r}. {hint}".strip())
    known = routines[invocation.routine].switches
    for switch in invocation.switches:
        if switch not in known:
            hint = closest(to_option(switch), map(to_option, known))
            message = f"Routine {invocation.routine!r} has no switch {to_option(switch)}. {hint}"
            raise NestingError(message.strip())
    return invocation


def verbosity_of(declaration: Declaration) -> int | None:
    """Return the verbosity that a command that :func:`is_nested` asks for, if it does.

    :param declaration: the command, which :func:`read_invocation` has read.
    """
    return _read(declaration).verbosity


def _read(declaration: Declaration) -> Invocation:
    words = list(declaration.argv[1:])
    name = None
    switches: list[str] = []
    everything = False
    verbosity = None
    while words:
        word = words.pop(0)
        option, equals, value = word.partition("=")
        if option in ("--verbosity", "-v"):
            verbosity = _verbosity(value if equals else words.pop(0) if words else "")
        elif word.startswith("-"):
            everything = everything or word == "--all"
            switches += [] if word == "--all" else [to_symbol(word)]
        elif name is None:
            name = to_symbol(word)
        else:
            raise NestingError(f"{word!r} has no meaning after a nested routine's name.")
    if name is None:
        raise NestingError("It names no routine.")
    for key, given in declaration.options.items():
        if key == "verbosity":
            verbosity = _verbosity(str(given))
        elif key == "all":
            everything = everything or bool(given)
        elif given:
            switches.append(to_symbol(key))
    return Invocation(name, tuple(switches), everything, verbosity)


def _verbosity(value: str) -> int:
    if value not in ("0", "1", "2", "3"):
        raise NestingError(f"--verbosity must be 0, 1, 2 or 3, not {value!r}.")
    return int(value)
