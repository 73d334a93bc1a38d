"""Reading what a source declared: dictionaries of the setting's form become fragments.

This is the one place where a declaration is judged. Whatever is wrong with it becomes a problem
with its origin and a remedy; the rest of the declaration is read all the same, so that one run
reports every mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from .canonical import jsonable, plain, really, shown
from .commands import (
    COMMAND_KEYS,
    ORIGIN_KEY,
    ORIGINS_KEY,
    ROUTINE_SETTING,
    Place,
    Routine,
    is_place,
    to_symbol,
)
from .declarations import MALFORMED_KEY, STEP_KEY, listed_overrides, spelt_out, stamped
from .entries import EntryReader, is_name, is_text
from .model import (
    CONTROLS,
    HOOKS,
    Attribute,
    Declaration,
    Fragment,
    Origin,
    Override,
    Source,
    closest,
)

_ROUTINE_KEYS = {"name", "help_text", "commands", "switch_helps", "overrides"}.union(
    CONTROLS, HOOKS
)
OVERRIDE_KEYS = frozenset(COMMAND_KEYS - {"step_id"} | {"options", "env", "disabled"})
"""What an override may change."""

_WANTED = {
    "": ("a dictionary or a Routine", 'Write {"commands": [{"management": "migrate"}]}.'),
    "commands": ("a list of commands", ""),
    "switch_helps": ('a dictionary like {"demo": "..."}', ""),
    "overrides": ("a dictionary by step id", ""),
}
"""What the parts of a routine must be, and how that is written."""


class Reader(EntryReader):
    """Reads the declarations of one source.

    :param source: whose they are.
    :param locate: turns the place that a declaration carries into an origin.
    :param index: the index of the first fragment: those of one source are in this order.
    """

    def __init__(
        self, source: Source, locate: Callable[[Place | None], Origin], index: int = 0
    ) -> None:
        super().__init__(locate)
        self.source = source
        self.index = index

    def read(self, raw: Any) -> list[Fragment]:
        """Return a fragment for each routine; what is wrong goes to :attr:`problems`.

        :param raw: a dictionary of the form of ``DJANGO_ROUTINES``.
        """
        fragments: list[Fragment] = []
        with self._reading(None, self.locate(None), ROUTINE_SETTING):
            named = raw.items() if isinstance(raw, Mapping) else [(MALFORMED_KEY, raw)]
            for index, (name, value) in enumerate(named, self.index):
                with self._reading(None, self.locate(None), f"A routine of {ROUTINE_SETTING}"):
                    fragments += self._named(name, value, index)
        return fragments

    def _named(self, name: Any, value: Any, index: int) -> Iterator[Fragment]:
        """Yield what is said of a routine, if its name is one."""
        if really(name, str) and plain(name) == MALFORMED_KEY:
            self._report(
                None,
                self.locate(None),
                f"{ROUTINE_SETTING} must be a dictionary of routines, not {shown(value)}.",
                'Write {"deploy": {"commands": [...]}}.',
            )
        elif not really(name, str) or not is_name(plain(name)):
            self._report(
                None,
                self.locate(_first_place(value)),
                f"{_shown_name(name)} cannot be the name of a routine.",
                "Use letters, digits, - and _, starting with a letter.",
            )
        else:
            symbol = to_symbol(plain(name))
            fragment = Fragment(self.source, symbol, index=index)
            with self._reading(symbol, self.locate(_first_place(value)), f"Routine {symbol!r}"):
                fragment = self._routine(symbol, value, index)
            yield fragment

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
            Attribute(key, _stated(value[key]), self.locate(places.get(key)))
            for key in ("help_text", *CONTROLS, *HOOKS)
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
                stated = places.get(str(key))
                origin = self.locate(_first_place(value) if stated is None else stated)
                self._check_keys(name, origin, {key: None}, _ROUTINE_KEYS, what)
        malformed = value.get(MALFORMED_KEY)
        for key, wrong in malformed.items() if isinstance(malformed, dict) else ():
            origin = self.locate(places.get(key))
            wanted, hint = _WANTED.get(key, ("a dictionary", ""))
            subject = f"{key!r} of {what}" if key else what
            self._wrong_type(name, origin, subject, wanted, wrong, hint)

    def _attribute_is_right(self, routine: str, key: str, value: Any, origin: Origin) -> bool:
        what = f"{key!r} of routine {routine!r}"
        taken = False
        with self._reading(routine, origin, what):
            right, wanted = _judged(key, value)
            if not right:
                self._wrong_type(routine, origin, what, wanted, value)
            elif key != "help_text":  # which may be lazy, and must not be asked yet
                jsonable(value)  # raises for what nobody could be shown
            taken = right
        return taken  # noqa: RET504 - what raises is told above

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
                known = closest(str(switch), {*CONTROLS, *HOOKS, "help_text", "commands"})
                hint = f"{known} Whatever is none of the arguments is the help of a switch."
                self._wrong_type(routine, origin, what, "a help text", text, hint.strip())
            elif self._switch_is_right(routine, switch, origin):
                yield Attribute(to_symbol(switch), text, origin)

    def _declarations(self, routine: str, commands: Any, around: Origin) -> Iterable[Declaration]:
        if commands is None:
            return
        if not isinstance(commands, list | tuple):
            what = f"'commands' of routine {routine!r}"
            self._wrong_type(routine, around, what, _WANTED["commands"][0], commands)
            return
        for command in commands:
            declaration = self.read_command(routine, stamped(command, None), around)
            if declaration is not None:
                yield declaration

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
            override = None
            with self._reading(routine, self._origin_of(entry, around), "An override"):
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
        if not really(ref, str):
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
        if disabled is not None and not really(disabled, bool):
            self._wrong_type(routine, origin, f"'disabled' of {what}", "True or False", disabled)
        elif disabled is not None:
            fields["disabled"] = disabled
        return Override(plain(ref), MappingProxyType(fields), origin)


def _judged(key: str, value: Any) -> tuple[bool, str]:
    """Return whether an attribute of a routine is right, and what it must be."""
    if key == "help_text":
        return is_text(value), "a string"
    if key == "atomic":
        wanted = "True, False, a database alias, a list of aliases or '__all__'"
        return really(value, bool) or _are_aliases(value), wanted
    if key == "lock":
        right = really(value, bool) or (really(value, str) and value != "")
        return right, "True, False or the name of a backend"
    if key in CONTROLS:
        return really(value, bool), "True or False"
    return really(value, str) or callable(value), "a callable or its path"


def _are_aliases(value: Any) -> bool:
    """Tell whether a value is a database alias or a list of such."""
    aliases = [value] if really(value, str) else value
    return (
        isinstance(aliases, list | tuple)
        and bool(aliases)
        and all(really(alias, str) and alias for alias in aliases)
    )


def _stated(value: Any) -> Any:
    """Return the value of an attribute, each text in it as itself."""
    if really(value, list, tuple):
        return [*map(plain, value)] if really(value, list) else (*map(plain, value),)
    return plain(value) if really(value, str, bool) else value


def _shown_name(name: Any) -> str:
    """Return a routine's name as a message shows it; what was no string stands in brackets."""
    return name[1:-1] if really(name, str) and name.startswith("(") else shown(name)


def _first_place(value: Any) -> Place | None:
    """Return the first place that a routine's dictionary knows of."""
    # Asked before it is read, so only what cannot raise.
    if type(value) is not dict:
        return None
    places = value.get(ORIGINS_KEY)
    commands = value.get("commands")
    of_commands = [
        command.get(ORIGIN_KEY)
        for command in (commands if type(commands) is list else ())
        if type(command) is dict
    ]
    known = [*of_commands, *(places.values() if type(places) is dict else ())]
    # The line of a call says more than the way to an entry of a literal.
    exact = [place for place in known if is_place(place) and isinstance(place[1], int)]
    return next(filter(is_place, [*exact, *known]), None)
