"""Reading what a source declared: dictionaries of the setting's form become fragments.

This is the one place where a declaration is judged. Whatever is wrong with it becomes a problem
with its origin and a remedy; the rest of the declaration is read all the same, so that one run
reports every mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from .canonical import shown
from .commands import (
    COMMAND_KEYS,
    ORIGIN_KEY,
    ORIGINS_KEY,
    ROUTINE_SETTING,
    ManagementCommand,
    Place,
    Routine,
    SystemCommand,
    to_option,
    to_symbol,
)
from .declarations import MALFORMED_KEY, STEP_KEY, listed_overrides, spelt_out, stamped
from .model import (
    CONTROLS,
    HOOKS,
    Attribute,
    Code,
    Constraint,
    Declaration,
    Fragment,
    Origin,
    Override,
    Problem,
    Source,
    closest,
)

RESERVED_SWITCHES = frozenset(
    (
        *("all", "atomic", "continue", "expect", "explain", "force_color", "format", "halt"),
        *("help", "hide_locals", "lock", "manage_script", "no_color", "no_lock", "no_subprocess"),
        *("non_atomic", "plugins", "pythonpath", "settings", "show_locals", "skip_checks"),
        *("stderr", "stdout", "subprocess", "traceback", "verbosity", "version", "wait"),
    )
)
"""Options of ``manage.py routine``, those to come included: no switch can have their names."""

_STATED_CONTROLS = tuple(name for name in CONTROLS if name != "lock")
_ROUTINE_KEYS = {"name", "help_text", "commands", "switch_helps", "overrides"}.union(
    _STATED_CONTROLS, HOOKS
)
OVERRIDE_KEYS = frozenset(COMMAND_KEYS - {"step_id"} | {"options", "disabled"})
"""What an override may change."""

_NOT_OFFERED = {"command", "kind", "result"}
"""Keys that are understood for the sake of older settings, and not suggested to anybody."""

_OUR_KEYS = {ORIGIN_KEY, ORIGINS_KEY, STEP_KEY}

_WANTED = {
    "": ("a dictionary or a Routine", 'Write {"commands": [{"management": "migrate"}]}.'),
    "commands": ("a list of commands", ""),
    "switch_helps": ('a dictionary like {"demo": "..."}', ""),
    "overrides": ("a dictionary by step id", ""),
}
"""What the parts of a routine must be, and how that is written."""

_SLUG = re.compile(r"[\w.@+-]+")
_NOT_GIVEN: Any = object()


def is_text(value: object) -> bool:
    """Tell whether a value is a string or a lazily translated one, without importing Django.

    :param value: what was declared as a help text.
    """
    return isinstance(value, str) or any(
        base.__module__ == "django.utils.functional" and base.__name__ == "Promise"
        for base in type(value).__mro__
    )


class Reader:
    """Reads the declarations of one source.

    :param source: whose they are.
    :param locate: turns the place that a declaration carries into an origin.
    :param index: the index of the first fragment: those of one source are in this order.
    """

    def __init__(
        self, source: Source, locate: Callable[[Place | None], Origin], index: int = 0
    ) -> None:
        self.source = source
        self.locate: Callable[[Any], Origin] = lambda place: locate(
            place if isinstance(place, tuple) and len(place) == 2 else None
        )
        self.index = index
        self.problems: list[Problem] = []

    def read(self, raw: Any) -> list[Fragment]:
        """Return a fragment for each routine; what is wrong goes to :attr:`problems`.

        :param raw: a dictionary of the form of ``DJANGO_ROUTINES``.
        """
        if not isinstance(raw, Mapping):
            raw = {MALFORMED_KEY: raw}
        fragments = []
        for index, (name, value) in enumerate(raw.items(), self.index):
            if name == MALFORMED_KEY:
                self._report(
                    None,
                    self.locate(None),
                    f"{ROUTINE_SETTING} must be a dictionary of routines, not {shown(value)}.",
                    'Write {"deploy": {"commands": [...]}}.',
                )
            elif not isinstance(name, str) or not _is_name(name):
                self._report(
                    None,
                    self.locate(_first_place(value)),
                    f"{_shown_name(name)} cannot be the name of a routine.",
                    "Use letters, digits, - and _, starting with a letter.",
                )
            else:
                fragments.append(self._routine(to_symbol(name), value, index))
        return fragments

    def _routine(self, name: str, value: Any, index: int) -> Fragment:
        if isinstance(value, Routine):
            value = spelt_out(value)
        if not isinstance(value, Mapping):
            value = {MALFORMED_KEY: {"": value}}
        places = value.get(ORIGINS_KEY)
        places = places if isinstance(places, dict) else {}
        # Most of a routine's parts say where they are from; of the rest nobody knows the file.
        here = self.locate(places.get("commands"))
        self._check_routine(name, value, places)
        attributes = [
            Attribute(key, value[key], self.locate(places.get(key)))
            for key in ("help_text", *_STATED_CONTROLS, *HOOKS)
            if value.get(key) is not None
            and self._attribute_is_right(name, key, value[key], self.locate(places.get(key)))
        ]
        return Fragment(
            self.source,
            name,
            tuple(self._declarations(name, value.get("commands"), here)),
            tuple(attributes),
            tuple(self._switch_helps(name, value.get("switch_helps"), places)),
            tuple(self._overrides(name, value.get("overrides"), places)),
            index,
        )

    def _check_routine(
        self, name: str, value: Mapping[Any, Any], places: Mapping[str, Place]
    ) -> None:
        """Report the keys that a routine does not have, and what was kept as malformed."""
        what = f"routine {name!r}"
        for key in value:
            if key != MALFORMED_KEY:
                origin = self.locate(places.get(str(key), _first_place(value)))
                self._check_keys(name, origin, {key: None}, _ROUTINE_KEYS, what)
        malformed = value.get(MALFORMED_KEY)
        for key, wrong in malformed.items() if isinstance(malformed, dict) else ():
            origin = self.locate(places.get(key))
            wanted, hint = _WANTED.get(key, ("a dictionary", ""))
            subject = f"{key!r} of {what}" if key else what
            self._wrong_type(name, origin, subject, wanted, wrong, hint)

    def _attribute_is_right(self, routine: str, key: str, value: Any, origin: Origin) -> bool:
        if key == "help_text":
            right, wanted = is_text(value), "a string"
        elif key in _STATED_CONTROLS:
            right, wanted = isinstance(value, bool), "True or False"
        else:
            right, wanted = isinstance(value, str) or callable(value), "a callable or its path"
        if not right:
            self._wrong_type(routine, origin, f"{key!r} of routine {routine!r}", wanted, value)
        return right

    def _switch_helps(
        self, routine: str, helps: Any, places: Mapping[str, Place]
    ) -> Iterable[Attribute]:
        if helps is None:
            return
        if not isinstance(helps, Mapping):
            origin = self.locate(places.get("switch_helps"))
            what = f"'switch_helps' of routine {routine!r}"
            self._wrong_type(routine, origin, what, _WANTED["switch_helps"][0], helps)
            return
        for switch, text in helps.items():
            place = places.get(f"--{to_symbol(str(switch))}", places.get("switch_helps"))
            origin = self.locate(place)
            if not is_text(text):
                what = f"{switch!r} of routine {routine!r}"
                known = closest(str(switch), {*_STATED_CONTROLS, *HOOKS, "help_text", "commands"})
                hint = f"{known} Whatever is none of the arguments is the help of a switch."
                self._wrong_type(routine, origin, what, "a help text", text, hint.strip())
            elif self._switch_is_right(routine, switch, origin):
                yield Attribute(to_symbol(switch), text, origin)

    def _switch_is_right(self, routine: str, switch: Any, origin: Origin) -> bool:
        if not isinstance(switch, str) or not _is_name(switch):
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

    def _declarations(self, routine: str, commands: Any, around: Origin) -> Iterable[Declaration]:
        if commands is None:
            return
        if not isinstance(commands, list | tuple):
            what = f"'commands' of routine {routine!r}"
            self._wrong_type(routine, around, what, _WANTED["commands"][0], commands)
            return
        for command in commands:
            declaration = self._declaration(routine, stamped(command, None), around)
            if declaration is not None:
                yield declaration

    def _declaration(self, routine: str, entry: Any, around: Origin) -> Declaration | None:
        origin = around
        if isinstance(entry, Mapping) and entry.get(ORIGIN_KEY) is not None:
            origin = self.locate(entry[ORIGIN_KEY])
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
        if kind == ManagementCommand.kind:
            allowed.add("options")
        what = f"{argv[0]!r} in routine {routine!r}"
        self._check_keys(routine, origin, entry, allowed, what)
        fields = self._fields(routine, entry, origin, what)
        step_id = entry.get("step_id")
        if step_id is not None and not (isinstance(step_id, str) and _SLUG.fullmatch(step_id)):
            self._wrong_type(
                routine, origin, f"'step_id' of {what}", "letters, digits and . _ - @ +", step_id
            )
            step_id = None
        constraints = (*fields.pop("run_before", ()), *fields.pop("run_after", ()))
        return Declaration(kind, argv, origin, constraints=constraints, step_id=step_id, **fields)

    def _kind_and_argv(
        self, routine: str, entry: Mapping[str, Any], origin: Origin
    ) -> tuple[Any, tuple[str, ...]] | None:
        kinds = [kind for kind in (ManagementCommand.kind, SystemCommand.kind) if kind in entry]
        if len(kinds) > 1:
            message = f"A command of routine {routine!r} has both 'management' and 'system'."
            self._report(routine, origin, message, "Keep the one that it is.")
            return None
        if not kinds and "command" in entry:
            kind = entry.get("kind", ManagementCommand.kind)
            if kind not in (ManagementCommand.kind, SystemCommand.kind):
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
    ) -> tuple[str, ...] | None:
        parts = [written] if isinstance(written, str | os.PathLike) else written
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
            right = is_text(part) or isinstance(part, int | float | os.PathLike)
            if not right or isinstance(part, bool):
                self._wrong_type(
                    routine, origin, f"An argument of {what}", "a string, a number or a path", part
                )
                return None
        argv = tuple(
            os.fsdecode(part) if isinstance(part, os.PathLike) else str(part) for part in parts
        )
        if not argv[0].strip():
            self._wrong_type(routine, origin, what, wanted, written)
            return None
        return argv

    def _fields(
        self, routine: str, entry: Mapping[str, Any], origin: Origin, what: str
    ) -> dict[str, Any]:
        """Return the fields that a declaration and an override share, those given and right."""
        fields: dict[str, Any] = {}

        def take(key: str, right: Callable[[Any], bool], wanted: str, hint: str = "") -> Any:
            value = entry.get(key)
            if value is None:
                return _NOT_GIVEN
            if not right(value):
                self._wrong_type(routine, origin, f"{key!r} of {what}", wanted, value, hint)
                return _NOT_GIVEN
            fields[key] = value
            return value

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
                    Constraint(relation, ref, origin) for ref in _in_order(refs)
                )
        hint = "It is in seconds; leave it out for no limit."
        take("time_limit", _is_seconds, "a number of seconds above 0", hint)
        take("help_text", is_text, "a string")
        for hook in ("pre_hook", "post_hook"):
            take(hook, lambda value: isinstance(value, str) or callable(value), "a callable")
        if take("options", _is_options, "a dictionary of named options") is not _NOT_GIVEN:
            fields["options"] = MappingProxyType(dict(fields["options"]))
        return fields

    def _overrides(
        self, routine: str, overrides: Any, places: Mapping[str, Place]
    ) -> Iterable[Override]:
        if overrides is None:
            return
        around = self.locate(places.get("overrides"))
        listed = listed_overrides(overrides)
        if not isinstance(listed, list):
            what = f"'overrides' of routine {routine!r}"
            self._wrong_type(routine, around, what, _WANTED["overrides"][0], overrides)
            return
        for entry in listed:
            override = self._override(routine, entry, around)
            if override is not None:
                yield override

    def _override(self, routine: str, entry: Any, around: Origin) -> Override | None:
        if not isinstance(entry, Mapping):
            self._wrong_type(routine, around, "An override", "a dictionary of changes", entry)
            return None
        place, ref = entry.get(ORIGIN_KEY), entry.get(STEP_KEY)
        origin = self.locate(place) if place is not None else around
        what = f"the override of {shown(ref)} in routine {routine!r}"
        if MALFORMED_KEY in entry and STEP_KEY not in entry:
            wrong = entry[MALFORMED_KEY]
            self._wrong_type(routine, origin, "An override", "a dictionary of changes", wrong)
            return None
        if not isinstance(ref, str):
            self._wrong_type(routine, origin, "What is overridden", "a step id", ref)
            return None
        if MALFORMED_KEY in entry:
            hint = 'Write {"shop:warm_catalogue": {"priority": 90}}.'
            wrong = entry[MALFORMED_KEY]
            self._wrong_type(routine, origin, what, "a dictionary of changes", wrong, hint)
            return None
        self._check_keys(routine, origin, entry, OVERRIDE_KEYS, what)
        fields = self._fields(routine, entry, origin, what)
        disabled = entry.get("disabled")
        if disabled is not None and not isinstance(disabled, bool):
            self._wrong_type(routine, origin, f"'disabled' of {what}", "True or False", disabled)
        elif disabled is not None:
            fields["disabled"] = disabled
        return Override(ref, MappingProxyType(fields), origin)

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


def _is_name(name: str) -> bool:
    """Tell whether a name is one of a routine or a switch: an identifier, with ``-`` for ``_``."""
    symbol = to_symbol(name)
    return symbol.isidentifier() and not symbol.startswith("_")


def _shown_name(name: Any) -> str:
    """Return a routine's name as a message shows it; what was no string stands in brackets."""
    return name[1:-1] if isinstance(name, str) and name.startswith("(") else shown(name)


def _first_place(value: Any) -> Place | None:
    """Return the first place that a routine's dictionary knows of."""
    if not isinstance(value, Mapping):
        return None
    places = value.get(ORIGINS_KEY)
    commands = value.get("commands")
    of_commands = [
        command.get(ORIGIN_KEY)
        for command in (commands if isinstance(commands, list) else ())
        if isinstance(command, Mapping)
    ]
    known = [*of_commands, *(places.values() if isinstance(places, dict) else ())]
    # The line of a call says more than the way to an entry of a literal.
    exact = [place for place in known if isinstance(place, tuple) and isinstance(place[-1], int)]
    return next(filter(None, [*exact, *known]), None)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_seconds(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf")
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(
        isinstance(name, str) and name for name in value
    )


def _is_options(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _in_order(names: Iterable[str]) -> Iterable[str]:
    """Return names as they were written; a set has no order of its own, so it is sorted."""
    return sorted(names) if isinstance(names, set | frozenset) else names


def _listed(value: Any) -> str:
    """Return the remedy for a lone string where a list is wanted."""
    return f"Write [{value!r}]." if isinstance(value, str) else ""
