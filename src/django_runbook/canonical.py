"""Values in a form that is the same in every process: no address, no order of a set.

What a declaration holds may be any Python object. Where it is shown or compared it goes through
here, so that a plan's bytes hang on nothing but its input.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")

_DEEPEST = 50
"""Levels of containers in a value; what holds itself has no end of them."""


def jsonable(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - a table of types reads best as one
    """Return what JSON can hold for a value, of the types that JSON knows and no other.

    :param value: anything that a declaration holds.
    :param depth: how many containers it is in.
    :raises ValueError: if it is nested without end, or a number that has no text.
    :raises Exception: what an object in it raises when it is asked for its text.
    """
    if depth > _DEEPEST:
        raise ValueError("it holds itself, or is nested too deep")
    if value is None or isinstance(value, bool | int | float | str):
        return plain(value)
    if isinstance(value, Mapping):
        return {
            str(jsonable(key, depth + 1)): jsonable(one, depth + 1) for key, one in value.items()
        }
    if isinstance(value, list | tuple):
        return [jsonable(one, depth + 1) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(one, depth + 1) for one in value), key=repr)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return without_address(f"{value.__module__}.{value.__qualname__}")
    return without_address(str(value))


def plain(value: Any) -> Any:
    """Return a text or a number as itself and nothing more: no enumeration's, no lazy one's.

    :param value: a string, a number, true, false or ``None``.
    :raises ValueError: for a number of more digits than Python shows.
    """
    if isinstance(value, str):
        return str.__str__(value) if really(value, str) else str(value)
    if value is None or isinstance(value, bool):
        return None if value is None else bool(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else str(number)
    number = int(value)
    try:
        str(number)
    except ValueError:  # as JSON would: Python has a limit, lest it takes too long
        raise ValueError("it has more digits than Python shows") from None
    return number


def without_address(text: str) -> str:
    """Return a text without the addresses that Python shows of objects.

    :param text: what an object says of itself.
    """
    return _ADDRESS.sub("", text)


def really(value: object, *kinds: type) -> bool:
    """Tell whether a value is of these types, and does not only say so, as a lazy object does.

    :param value: anything.
    :param kinds: the types.
    """
    return issubclass(type(value), kinds)


def said(text: Any) -> str:
    """Return a help text as a string; of a lazy one that cannot be made, why.

    :param text: a string or a lazily translated one.
    """
    try:
        return str(text)
    except Exception as exc:  # noqa: BLE001 - a translator's, and nothing but the text is lost
        return f"({described(exc)})"


def described(exc: BaseException) -> str:
    """Return an exception on one line: its type, and its text if it has one.

    :param exc: the exception.
    """
    kind = type(exc).__name__
    try:
        text = one_line(without_address(str(exc)))
    except Exception:  # noqa: BLE001 - its type says enough
        return kind
    return f"{kind}: {text}" if text else kind


def printable(text: str) -> str:
    """Return a text without anything that a terminal would act upon, such characters escaped.

    :param text: one line.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def one_line(text: object) -> str:
    """Return a text on one line, without anything that a terminal would act upon.

    :param text: what may have several.
    """
    return printable(" ".join(str(text).split()))


def shown(value: Any) -> str:
    """Return a value as a message shows it: short, and on one line.

    :param value: anything that was written where something else was wanted.
    """
    if value is None or really(value, str, int, float):
        try:
            text = without_address(repr(value))
        except Exception:  # noqa: BLE001 - a number of too many digits, or a type with a text of its own
            text = f"{type(value).__name__} that cannot be shown"
            text = f"an {text}" if text[0] in "aeiou" else f"a {text}"
    elif really(value, list, tuple, dict, set):
        text = f"a {type(value).__name__}"
    else:
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
