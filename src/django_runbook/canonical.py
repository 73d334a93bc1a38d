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


def jsonable(value: Any) -> Any:  # noqa: PLR0911 - a table of types reads best as one
    """Return what JSON can hold for a value.

    :param value: anything that a declaration holds.
    """
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {_key(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted((jsonable(one) for one in value), key=repr)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    return _ADDRESS.sub("", str(value))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else str(jsonable(key))


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
    if isinstance(value, str | int | float | bool | None):
        text = repr(value)
    elif isinstance(value, list | tuple | dict | set):
        text = f"a {type(value).__name__}"
    else:
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."
