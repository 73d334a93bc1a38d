"""Reading the command line of a step that runs another routine: ``("routine", "package")``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from .commands import to_option, to_symbol
from .model import Declaration, MergedRoutine, closest
from .secret import secrets_in

COMMAND = "routine"
"""The management command that runs routines."""


CONTROL_OPTIONS = MappingProxyType(
    {
        "subprocess": ("--subprocess", "--no-subprocess"),
        "atomic": ("--atomic", "--non-atomic"),
        "continue_on_error": ("--continue", "--halt"),
        "lock": ("--lock", "--no-lock"),
    }
)
"""The command line options that state an execution control: the one for true, that for false."""


_OF_THE_OUTERMOST = {
    "wait": "its locks, and those of the routines in it, are taken before its first step.",
    "expect": "its plan, with those of the routines in it, is compared before its first step.",
}
"""Options of the command that a nested routine cannot have."""


class Invocation(NamedTuple):
    """Which routine a step runs, and with which switches."""

    routine: str
    switches: tuple[str, ...] = ()
    all: bool = False
    verbosity: int | None = None
    controls: Mapping[str, bool] = MappingProxyType({})
    """The execution controls that it states, instead of those of the routine."""

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
    invocation = invocation_of(declaration)
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


class _Parser(argparse.ArgumentParser):
    """Reads what ``manage.py routine`` would read, and raises where that would exit."""

    def error(self, message: str) -> NoReturn:
        raise NestingError(f"{message[0].upper()}{message[1:]}.")


def invocation_of(declaration: Declaration) -> Invocation:
    """Return what a command that :func:`is_nested` says, be there such a routine or not.

    :param declaration: the command.
    :raises NestingError: if it cannot be understood.
    """
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("routine", nargs="?")
    parser.add_argument("--verbosity", "-v", type=int)
    parser.add_argument("--all", action="store_true")
    for name, (on, off) in CONTROL_OPTIONS.items():
        parser.add_argument(on, dest=name, action="store_const", const=True)
        parser.add_argument(off, dest=name, action="store_const", const=False)
    if secrets_in(declaration.argv, declaration.options):
        raise NestingError("A nested routine has no argument that could be a Secret.")
    named, rest = parser.parse_known_args(list(map(str, declaration.argv[1:])))
    options: dict[str, Any] = dict(declaration.options)
    controls = _controls(named, options)
    verbosity = options.pop("verbosity", named.verbosity)
    everything = bool(options.pop("all", named.all))
    if named.routine is None:
        raise NestingError("It names no routine.")
    _refuse_those_of_the_outermost(options, rest)
    for word in rest:
        if not word.startswith("--"):
            raise NestingError(f"{word!r} has no meaning in a nested routine.")
    for name, given in options.items():
        if not isinstance(given, bool):
            raise NestingError(f"Switch {to_option(name)} must be True or False, not {given!r}.")
    if verbosity not in (None, 0, 1, 2, 3):
        raise NestingError(f"The verbosity must be 0, 1, 2 or 3, not {verbosity!r}.")
    switches = [*rest, *(name for name, given in options.items() if given)]
    return Invocation(
        to_symbol(named.routine),
        tuple(map(to_symbol, switches)),
        everything,
        verbosity,
        MappingProxyType(controls),
    )


def _refuse_those_of_the_outermost(options: Mapping[str, Any], words: Sequence[str]) -> None:
    for option, why in _OF_THE_OUTERMOST.items():
        if option in options or any(word.partition("=")[0] == f"--{option}" for word in words):
            raise NestingError(f"--{option} belongs to the routine that is started: {why}")


def _controls(named: argparse.Namespace, options: dict[str, Any]) -> dict[str, bool]:
    """Return the execution controls that words or options state, and take them out of these."""
    controls: dict[str, bool] = {}
    for name in CONTROL_OPTIONS:
        given = options.pop(name, getattr(named, name))
        if given is not None and not isinstance(given, bool):
            raise NestingError(f"{name!r} must be True or False, not {given!r}.")
        if given is not None:
            controls[name] = given
    return controls
