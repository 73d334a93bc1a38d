"""Reading one command, or what an override changes in one: the part that fragments are made of.

What is wrong is reported, with its origin and a remedy, and the rest is read all the same.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from .canonical import described, jsonable, plain, really, shown
from .commands import (
    COMMAND_KEYS,
    ORIGIN_KEY,
    ORIGINS_KEY,
    ManagementCommand,
    Place,
    SystemCommand,
    is_place,
    to_option,
    to_symbol,
)
from .declarations import MALFORMED_KEY, STEP_KEY
from .model import Code, Constraint, Declaration, Origin, Problem, closest
from .secret import MASK, Secret, secrets_in

RESERVED_SWITCHES = frozenset(
    (
        *("all", "atomic", "continue", "continue_on_error", "expect", "explain", "force_color"),
        *("format", "halt"),
        *("help", "hide_locals", "lock", "manage_script", "no_color", "no_lock", "no_subprocess"),
        *("non_atomic", "plugins", "pythonpath", "settings", "show_locals", "skip_checks"),
        *("stderr", "stdout", "subprocess", "traceback", "verbosity", "version", "wait"),
    )
)
"""Options of ``manage.py routine``: no switch can have their names."""

_NOT_OFFERED = {"command", "kind", "result"}
"""Keys that are understood for the sake of older settings, and not suggested to anybody."""

_OUR_KEYS = {ORIGIN_KEY, ORIGINS_KEY, STEP_KEY}

_SLUG = re.compile(r"[\w.@+-]+")
_NOT_GIVEN: Any = object()


def is_text(value: object) -> bool:
    """Tell whether a value is a string or a lazily translated one, without importing Django.

    :param value: what was declared as a help text.
    """
    return really(value, str) or any(
        base.__module__ == "django.utils.functional" and base.__name__ == "Promise"
        for base in type(value).__mro__
    )


class EntryReader:
    """Reads commands, and keeps what is wrong with them.

    :param locate: turns the place that a declaration carries into an origin.
    """

    def __init__(self, locate: Callable[[Place | None], Origin]) -> None:
        self.locate: Callable[[Any], Origin] = lambda place: locate(
            place if is_place(place) else None
        )
        self.problems: list[Problem] = []

    def read_command(self, routine: str, entry: Any, around: Origin) -> Declaration | None:
        """Return a command's declaration, or nothing if it is malformed beyond use.

        :param routine: the routine that it belongs to.
        :param entry: what stands in the routine's list of commands.
        :param around: the origin of that list, for an entry that does not know its own.
        """
        origin = self._origin_of(entry, around)
        what = f"A command of routine {routine!r}"
        declaration = None
        with self._reading(routine, origin, what):
            declaration = self._command(routine, entry, origin)
        return declaration  # noqa: RET504 - what raises is told above

    def _origin_of(self, entry: Any, around: Origin) -> Origin:
        """Return the origin that an entry of a list knows, or that of the list."""
        place = entry.get(ORIGIN_KEY) if type(entry) is dict else None
        return around if place is None else self.locate(place)

    @contextmanager
    def _reading(self, routine: str | None, origin: Origin, what: str) -> Iterator[None]:
        """Report what is raised by an object that somebody has declared: it may be any."""
        try:
            yield
        except Exception as exc:  # noqa: BLE001 - told as that of the declaration
            message = f"{what} cannot be read: {described(exc)}."
            self._report(
                routine, origin, message, "Write plain strings, numbers, lists and dictionaries."
            )

    def _command(self, routine: str, entry: Any, origin: Origin) -> Declaration | None:
        if isinstance(entry, Mapping) and MALFORMED_KEY in entry:
            entry = entry[MALFORMED_KEY]
        if not isinstance(entry, Mapping):
            self._report(
                routine,
                origin,
                f"A command of routine {routine!r} must be a dictionary, a ManagementCommand or a "
                f"SystemCommand, not {shown(entry)}.",
                f"Write {{'management': {entry!r}}}."
                if isinstance(entry, str)
                else 'Write {"management": "migrate"}.',
            )
            return None
        found = self._kind_and_argv(routine, entry, origin)
        if found is None:
            return None
        kind, argv = found
        allowed = {*COMMAND_KEYS, "result"}
        allowed.update([kind] if kind in entry else ["command", "kind"])
        allowed.add("options" if kind == ManagementCommand.kind else "env")
        what = f"{argv[0]!r} in routine {routine!r}"
        self._check_keys(routine, origin, entry, allowed, what)
        fields = self._fields(routine, entry, origin, what)
        step_id = entry.get("step_id")
        if step_id is not None and not (really(step_id, str) and _SLUG.fullmatch(step_id)):
            self._wrong_type(
                routine, origin, f"'step_id' of {what}", "letters, digits and . _ - @ +", step_id
            )
            step_id = None
        step_id = plain(step_id)
        constraints = (*fields.pop("run_before", ()), *fields.pop("run_after", ()))
        return Declaration(kind, argv, origin, constraints=constraints, step_id=step_id, **fields)

    def _kind_and_argv(
        self, routine: str, entry: Mapping[str, Any], origin: Origin
    ) -> tuple[Any, tuple[str | Secret, ...]] | None:
        kinds = [kind for kind in (ManagementCommand.kind, SystemCommand.kind) if kind in entry]
        if len(kinds) > 1:
            message = f"A command of routine {routine!r} has both 'management' and 'system'."
            self._report(routine, origin, message, "Keep the one that it is.")
            return None
        if not kinds and "command" in entry:
            kind = entry.get("kind", ManagementCommand.kind)
            if not really(kind, str) or kind not in (ManagementCommand.kind, SystemCommand.kind):
                message = f"A command of routine {routine!r} has the unknown kind {shown(kind)}."
                hint = closest(str(kind), (ManagementCommand.kind, SystemCommand.kind))
                self._report(routine, origin, message, hint or "Use 'management' or 'system'.")
                return None
            written = entry["command"]
        elif kinds:
            kind = kinds[0]
            written = entry[kind]
        else:
            keys = [key for key in entry if str(key) != ORIGIN_KEY]
            hints = (
                closest(str(key), (ManagementCommand.kind, SystemCommand.kind)) for key in keys
            )
            self._report(
                routine,
                origin,
                f"A command of routine {routine!r} has neither 'management' nor 'system'.",
                next(filter(None, hints), 'Write {"management": "migrate"}.'),
            )
            return None
        argv = self._argv(routine, written, kind, origin)
        return None if argv is None else (kind, argv)

    def _argv(
        self, routine: str, written: Any, kind: str, origin: Origin
    ) -> tuple[str | Secret, ...] | None:
        parts = [written] if isinstance(written, str | os.PathLike | Secret) else written
        wanted = "a name, or a list of a name and its arguments"
        what = f"{kind!r} of a command in routine {routine!r}"
        if parts == ():  # what command("migrate") leaves: it is not known whose routine lacks it
            self._report(
                None,
                origin,
                f"A command was declared without its name, in a routine {routine!r}.",
                f'The routine\'s name comes first, then the command: ("deploy", {routine!r}).',
            )
            return None
        if not isinstance(parts, list | tuple) or not parts:
            self._wrong_type(routine, origin, what, wanted, written)
            return None
        for part in parts:
            right = is_text(part) or isinstance(part, int | float | os.PathLike | Secret)
            if not right or isinstance(part, bool):
                self._wrong_type(
                    routine, origin, f"An argument of {what}", "a string, a number or a path", part
                )
                return None
        argv = tuple(map(_word, parts))
        first = argv[0]
        if isinstance(first, Secret):
            wanted = "a name that the plan can show"
        if isinstance(first, Secret) or not first.strip():
            self._wrong_type(routine, origin, what, wanted, written)
            return None
        return argv if self._secrets_are_right(routine, origin, f"what is {what}", argv) else None

    def _secrets_are_right(self, routine: str, origin: Origin, where: str, value: Any) -> bool:
        """Report secrets that hold no string, and strings that a secret was formatted into."""
        wrong = [secret for secret in secrets_in(value) if secret.malformed]
        if wrong:
            held = wrong[0].malformed
            message = f"A Secret in {where} must hold a string, not a value of type {held}."
            hint = 'For an environment variable write Secret.from_env("NAME").'
            self._report(routine, origin, message, hint)
        if _holds_mask(value):
            self._report(
                routine,
                origin,
                f"A string in {where} holds {MASK!r}, which is what a Secret leaves in a string.",
                'Give the Secret by itself, or add it: "--token=" + Secret.from_env("TOKEN").',
            )
            return False
        return not wrong

    def _fields(
        self, routine: str, entry: Mapping[str, Any], origin: Origin, what: str
    ) -> dict[str, Any]:
        """Return the fields that a declaration and an override share, those given and right."""
        fields: dict[str, Any] = {}

        def take(key: str, right: Callable[[Any], bool], wanted: str, hint: str = "") -> Any:
            value = entry.get(key)
            if value is None:
                return _NOT_GIVEN
            with self._reading(routine, origin, f"{key!r} of {what}"):
                if right(value):
                    if key != "help_text":  # which may be lazy, and must not be asked yet
                        jsonable(value)  # raises for what nobody could be shown
                    fields[key] = plain(value) if really(value, str, int, float) else value
                    return value
                self._wrong_type(routine, origin, f"{key!r} of {what}", wanted, value, hint)
            return _NOT_GIVEN

        take("priority", _is_int, "a whole number", "Lower runs first; the default is 0.")
        if take("switches", _is_names, "a list of names", _listed(entry.get("switches"))) is not (
            _NOT_GIVEN
        ):
            fields["switches"] = tuple(
                to_symbol(switch)
                for switch in _in_order(fields["switches"])
                if self._switch_is_right(routine, switch, origin)
            )
        for relation in ("run_before", "run_after"):
            refs = take(relation, _is_names, "a list of names", _listed(entry.get(relation)))
            if refs is not _NOT_GIVEN:
                fields[relation] = tuple(
                    Constraint(relation, plain(ref), origin) for ref in _in_order(refs)
                )
        hint = "It is in seconds; leave it out for no limit."
        take("time_limit", _is_seconds, "a number of seconds above 0", hint)
        take("help_text", is_text, "a string")
        for hook in ("pre_hook", "post_hook"):
            take(hook, lambda value: really(value, str) or callable(value), "a callable")
        take("options", _is_options, "a dictionary of named options")
        wanted = "a dictionary of environment variables, each a string, a path or a Secret"
        take("env", _is_environment, wanted, _odd_variable(entry.get("env")))
        for key in [one for one in ("options", "env") if one in fields]:
            self._secrets_are_right(routine, origin, f"{key!r} of {what}", fields[key])
            fields[key] = MappingProxyType({plain(one): held for one, held in fields[key].items()})
        return fields

    def _switch_is_right(self, routine: str, switch: Any, origin: Origin) -> bool:
        if not really(switch, str) or not is_name(switch):
            self._report(
                routine,
                origin,
                f"{shown(switch)} cannot be the name of a switch of routine {routine!r}.",
                "Use letters, digits, - and _, starting with a letter.",
            )
            return False
        if to_symbol(switch) in RESERVED_SWITCHES:
            self._report(
                routine,
                origin,
                f"Switch {to_option(switch)} of routine {routine!r} has the name of an option of "
                "the routine command.",
                f"Give it another name, such as {to_option('with_' + to_symbol(switch))}.",
                Code.RESERVED_SWITCH,
            )
            return False
        return True

    def _check_keys(
        self,
        routine: str,
        origin: Origin,
        entry: Mapping[Any, Any],
        allowed: Collection[str],
        what: str,
    ) -> None:
        for key in entry:
            if key not in allowed and key not in _OUR_KEYS:
                known = sorted(set(allowed) - _NOT_OFFERED)
                self._report(
                    routine,
                    origin,
                    f"Unknown key {shown(key)} for {what}.",
                    closest(str(key), known) or f"Known are {', '.join(known)}.",
                )

    def _wrong_type(  # noqa: PLR0917 - each call reads as one sentence
        self,
        routine: str,
        origin: Origin,
        what: str,
        wanted: str,
        value: Any,
        hint: str = "",
    ) -> None:
        message = f"{what} must be {wanted}, not {shown(value)}."
        self._report(routine, origin, message[0].upper() + message[1:], hint or f"Give {wanted}.")

    def _report(
        self,
        routine: str | None,
        origin: Origin,
        message: str,
        hint: str,
        code: Code = Code.MALFORMED,
    ) -> None:
        self.problems.append(Problem(code, message, hint, origin, routine))


def is_name(name: str) -> bool:
    """Tell whether a name is one of a routine or a switch: an identifier, with ``-`` for ``_``."""
    symbol = to_symbol(name)
    return symbol.isidentifier() and not symbol.startswith("_")


def _is_int(value: Any) -> bool:
    return really(value, int) and not really(value, bool)


def _is_seconds(value: Any) -> bool:
    return really(value, int, float) and not really(value, bool) and 0 < value <= sys.float_info.max


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(
        really(name, str) and name for name in value
    )


def _is_options(value: Any) -> bool:
    return isinstance(value, Mapping) and all(really(key, str) for key in value)


def _is_environment(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        really(name, str)
        and name
        and not set(name) & {"=", "\0"}
        and isinstance(one, str | os.PathLike | Secret)
        for name, one in value.items()
    )


def _odd_variable(env: Any) -> str:
    """Return the remedy for the variable that is none, where only one is wrong."""
    for name, value in env.items() if isinstance(env, Mapping) else ():
        if not _is_environment({name: value}):
            number = really(name, str) and name != "" and really(value, int, float)
            return f"Write {name!r}: {str(value)!r}." if number else ""
    return ""


def _word(part: Any) -> str | Secret:
    """Return an argument as it is handed to a command."""
    if isinstance(part, Secret):
        return part
    return os.fsdecode(part) if isinstance(part, os.PathLike) else plain(str(part))


def _holds_mask(value: Any) -> bool:
    """Tell whether a string in a value is, or holds, what a secret shows of itself."""
    if isinstance(value, str):
        return MASK in value
    if isinstance(value, Mapping):
        return any(map(_holds_mask, (*value.keys(), *value.values())))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(_holds_mask, value))
    # A secret in another container would not be found, and be handed on as it is shown.
    return isinstance(value, os.PathLike | Collection) and MASK in repr(value)


def _in_order(names: Iterable[str]) -> Iterable[str]:
    """Return names as they were written; a set has no order of its own, so it is sorted."""
    return sorted(names) if isinstance(names, set | frozenset) else names


def _listed(value: Any) -> str:
    """Return the remedy for a lone string where a list is wanted."""
    return f"Write [{value!r}]." if isinstance(value, str) else ""
