"""One named option as the words of a command line: ``{"no_header": True}`` is ``--no-header``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

from .secret import Secret

Word: TypeAlias = "str | Secret"
"""One word of a command line."""

_WRITE_IT = "Write it among the command's arguments."
_SEE_HELP = "See what it takes: its --help says so."


class NoFlag(ValueError):
    """An option cannot be said on a command line; its text says why.

    :param option: the option's name; ``None`` if it is not known which is in the way.
    :param why: what is in the way.
    :param hint: how to mend it.
    """

    def __init__(self, option: str | None, why: str, hint: str = _WRITE_IT) -> None:
        super().__init__(why if option is None else f"option {option!r} {why}")
        self.option = option
        self.hint = hint if option is not None else _SEE_HELP


class Option(NamedTuple):
    """One option or argument that a command's parser knows."""

    action: Any
    """An :class:`argparse.Action`, or what django-typer has in its place."""

    below: bool = False
    """Whether it belongs to a subcommand, so that it must stand behind the subcommand's name."""

    @property
    def dest(self) -> str | None:
        """The name under which the command is given the value."""
        return getattr(self.action, "dest", None)

    @property
    def strings(self) -> Sequence[str]:
        """The flags; empty for a positional argument, and for everything of django-typer."""
        strings: Sequence[str] = getattr(self.action, "option_strings", ())
        return strings

    @property
    def long(self) -> str | None:
        """The name of its flag as an identifier, which call_command() takes, too."""
        return min(self.strings).lstrip("-").replace("-", "_") if self.strings else None

    @property
    def names(self) -> set[str]:
        """The names that :func:`~django.core.management.call_command` takes for it."""
        # Of a subcommand's flags it does not know the names.
        return {name for name in (self.dest, None if self.below else self.long) if name}


_PARSER = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")


def _class_of(action: str, **arguments: Any) -> type[argparse.Action]:
    """Return the class of one of argparse's actions, which have no public names."""
    return type(_PARSER.add_argument("--x", action=action, **arguments))


_STORE = _class_of("store")
CONSTANTS = (
    _class_of("store_const", const=1),
    _class_of("store_true"),
    _class_of("store_false"),
)
_APPEND = _class_of("append")
_APPEND_CONSTANT = _class_of("append_const", const=1)
_EXTEND = _class_of("extend")
_COUNT = _class_of("count")
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")


class Flag:
    """One option on its way to words.

    :param name: its name.
    :param value: what it is given.
    :param matching: what the parser knows under that name.
    :param known: all that the parser knows.
    """

    def __init__(
        self, name: str, value: Any, matching: Sequence[Option], known: Iterable[Option]
    ) -> None:
        self.name = name
        self.value = value
        self.actions = [one.action for one in matching]
        self.below = any(one.below for one in matching)
        self.strings = [string for one in known for string in one.strings]
        self.takes_what_follows = False

    def words(self) -> list[Word]:
        """Return the words that give the option its value.

        :raises NoFlag: if there are none.
        """
        params = [action.param for action in self.actions if hasattr(action, "param")]
        if params:
            return self._of_typer(params)
        flags = [action for action in self.actions if action.option_strings]
        if not flags:
            why = "is an argument without a flag" if self.actions else "has no flag"
            raise NoFlag(self.name, why)
        for action in flags:
            words = self._constant(action)
            if words is not None:
                return words
        first = flags[0]
        if not first.required and (
            all(self._is(action.default) for action in flags)
            # The first one's default is the parser's, where they belong to the same.
            or (len(flags) > 1 and not self.below and self._is(first.default))
        ):
            return []
        for action in flags:
            convert = _CONVERSIONS.get(type(action))
            if convert is not None:
                return convert(self, action)
        if any(isinstance(action, _ON_OR_OFF) for action in flags):
            raise NoFlag(self.name, f"has no flag that gives it {self._shown}")
        raise NoFlag(self.name, f"has an action of its own, {type(flags[0]).__name__}")

    def _is(self, other: Any) -> bool:
        return self.value is other or (type(self.value) is type(other) and self.value == other)

    @property
    def _shown(self) -> str:
        return f"the value {self.value!r}"

    def _constant(self, action: argparse.Action) -> list[Word] | None:
        if isinstance(action, argparse.BooleanOptionalAction) and isinstance(self.value, bool):
            off = [one for one in action.option_strings if one.startswith("--no-")]
            on = [one for one in action.option_strings if one not in off]
            found = on if self.value else off
            return [_longest(found)] if found else None
        if type(action) in CONSTANTS and self._is(action.const):
            return [_longest(action.option_strings)]
        return None

    def _stored(self, action: argparse.Action) -> list[Word]:
        flag = _longest(action.option_strings)
        if action.nargs == "?" and self._is(action.const) and not isinstance(self.value, str):
            self.takes_what_follows = True
            return [flag]
        if action.nargs in (None, "?"):
            return _joined(flag, self._text(action, self.value))
        return self._several(action, self.value)

    def _several(self, action: argparse.Action, values: Any) -> list[Word]:
        """Return a flag with several values, none of which may look like a flag itself."""
        flag = _longest(action.option_strings)
        texts = [self._text(action, one) for one in self._listed(values)]
        if isinstance(action.nargs, int) and len(texts) != action.nargs:
            raise NoFlag(self.name, f"takes {action.nargs} values, not {len(texts)}")
        if action.nargs == "+" and not texts:
            raise NoFlag(self.name, "takes at least one value")
        if len(texts) == 1:
            self.takes_what_follows = action.nargs != 1
            return _joined(flag, texts[0])
        for text in texts:
            if isinstance(text, Secret) or self._looks_like_a_flag(text):
                what = "a secret" if isinstance(text, Secret) else repr(text)
                raise NoFlag(self.name, f"has several values, and {what} could be read as a flag")
        self.takes_what_follows = True
        return [flag, *texts]

    def _looks_like_a_flag(self, text: str) -> bool:
        numbers_are_flags = any(_NEGATIVE.fullmatch(one) for one in self.strings)
        is_number = _NEGATIVE.fullmatch(text) and not numbers_are_flags
        return text.startswith("-") and len(text) > 1 and not is_number

    def _appended(self, action: argparse.Action) -> list[Word]:
        self._adds_to_nothing(action)
        words: list[Word] = []
        for one in self._listed(self.value):
            if action.nargs is None:
                words += _joined(_longest(action.option_strings), self._text(action, one))
            else:
                words += self._several(action, one)
        return words

    def _extended(self, action: argparse.Action) -> list[Word]:
        self._adds_to_nothing(action)
        return self._several(action, self.value)

    def _adds_to_nothing(self, action: argparse.Action) -> None:
        """Refuse a flag whose values the parser would put behind those that are there already."""
        if action.default:
            raise NoFlag(self.name, "has a default, to which its flag would only add")

    def _appended_constants(self, flag: argparse.Action) -> list[Word]:
        self._adds_to_nothing(flag)
        words: list[Word] = []
        for one in self._listed(self.value):
            for action in self.actions:
                if type(action) is _APPEND_CONSTANT and action.const == one:
                    words.append(_longest(action.option_strings))
                    break
            else:
                raise NoFlag(self.name, f"has no flag that gives it {one!r}")
        return words

    def _counted(self, action: argparse.Action) -> list[Word]:
        times = self.value - (action.default or 0) if type(self.value) is int else -1
        if times < 0:
            raise NoFlag(self.name, f"is counted, and cannot be {self.value!r}")
        return [_longest(action.option_strings)] * times

    def _of_typer(self, params: Sequence[Any]) -> list[Word]:
        """Return the words for a parameter of a django-typer command."""
        if len(params) > 1:
            raise NoFlag(self.name, "is one of several subcommands")
        (param,) = params
        on = [one for one in getattr(param, "opts", ()) if one.startswith("-")]
        if not on:
            raise NoFlag(self.name, "is an argument without a flag")
        if getattr(param, "is_flag", False):
            return self._flag_of_typer(param, _longest(on))
        if self.value is None and param.default is None and not param.required:
            return []
        if getattr(param, "count", False) or param.nargs != 1:
            raise NoFlag(self.name, "takes several values")
        values = self._listed(self.value) if param.multiple else [self.value]
        if not values and param.default:
            raise NoFlag(self.name, "has a default, to which its flag would only add")
        texts = [self._text(None, one) for one in values]
        for text in texts:
            if isinstance(text, str) and param.type.name in _CHECKED:
                self._try_typer(param, text)
        return [word for text in texts for word in _joined(_longest(on), text)]

    def _flag_of_typer(self, param: Any, on: str) -> list[Word]:
        off = [one for one in param.secondary_opts if one.startswith("-")]
        if self.value is True:
            return [on]
        if self.value is False and off:
            return [_longest(off)]
        if self._is(param.default) or (self.value is False and param.default is None):
            return []
        raise NoFlag(self.name, f"is a flag, and cannot be {self.value!r}")

    def _try_typer(self, param: Any, text: str) -> None:
        try:
            param.type(text, param, None)
        except Exception as exc:  # noqa: BLE001 - Typer does not export its errors
            why = exc.format_message() if hasattr(exc, "format_message") else str(exc)
            raise NoFlag(self.name, f"would not be read: {why}") from None

    def _listed(self, value: Any) -> Sequence[Any]:
        if not isinstance(value, list | tuple):
            raise NoFlag(self.name, f"takes a list, not {value!r}", "Give it a list.")
        return value

    def _text(self, action: argparse.Action | None, value: Any) -> Word:
        """Return the one word that the parser reads as a value."""
        if isinstance(value, Secret):
            return value
        # Python's bool("False") is true; and what has no text of its own is read as something else.
        # Of an enumeration of strings str() may be the member's name.
        text = str.__str__(value) if issubclass(type(value), str) else str(value)
        kind: Any = type(value)
        without_text = kind.__str__ is object.__str__ and not isinstance(value, int | float)
        without_text = without_text or (isinstance(value, Enum) and not isinstance(value, str))
        containers = (bool, bytes, Mapping, list, tuple, set, frozenset, type(None))
        if without_text or isinstance(value, containers) or callable(value):
            raise NoFlag(self.name, f"has a {type(value).__name__}, which is no single word")
        choices = None if action is None else action.choices
        if choices is not None and value not in choices and text not in map(str, choices):
            known = ", ".join(map(str, choices))
            raise NoFlag(self.name, f"cannot be {value!r}", f"Give one of {known}.")
        return text


_CONVERSIONS: Mapping[type, Callable[[Flag, Any], list[Word]]] = {
    _STORE: Flag._stored,  # noqa: SLF001 - the table of the class, below it
    _APPEND: Flag._appended,  # noqa: SLF001
    _APPEND_CONSTANT: Flag._appended_constants,  # noqa: SLF001
    _EXTEND: Flag._extended,  # noqa: SLF001
    _COUNT: Flag._counted,  # noqa: SLF001
}
_CHECKED = frozenset(
    {"choice", "int", "integer", "integer range", "float", "float range", "boolean"}
)
"""The types of Typer's that look at nothing but the text."""

_ON_OR_OFF = (*CONSTANTS, argparse.BooleanOptionalAction)


def _longest(strings: Sequence[str]) -> str:
    """Return the flag that says most: ``--no-input`` rather than ``-n``."""
    return max(strings, key=len)


def _joined(flag: str, value: Word) -> list[Word]:
    """Return a flag and its value, which may start with ``-``, so that they belong together."""
    # "=" also behind a short flag: without it, that of a value "=a" would be taken for it.
    return [f"{flag}={value}" if isinstance(value, str) else f"{flag}=" + value]
