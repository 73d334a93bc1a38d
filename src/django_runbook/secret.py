"""Values that reach a command and nothing else: not the plan, not a message, not a log."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

MASK = "***"
"""What is shown in place of a secret."""


class _Part:
    """A part of a secret that is more than a string which must not be shown.

    :param stated: what it was made from, which should be a string; all else is reported.
    """

    __slots__ = ("stated",)

    def __init__(self, stated: Any) -> None:
        self.stated = stated

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self.stated == other.stated

    def __hash__(self) -> int:
        return hash((type(self), self.stated))

    def __repr__(self) -> str:  # by which the secrets in a set are sorted
        return f"{type(self).__name__}({self.stated!r})"


class _Variable(_Part):
    """An environment variable, read when the command runs."""

    __slots__ = ()


class _Plain(_Part):
    """A part of a secret that is none."""

    __slots__ = ()


class Secret:
    """A value for an argument, an option or a program's environment that is shown as ``***``.

    ``"--token=" + Secret("...")`` is a secret, too, shown as ``--token=***``. Inside an f-string
    only ``***`` is left of it, and a declaration that holds that is refused.

    :param value: the value.
    """

    __slots__ = ("_parts",)

    def __init__(self, value: str) -> None:
        self._parts: tuple[Any, ...] = (value,)

    @classmethod
    def from_env(cls, name: str) -> Secret:
        """Return the value that an environment variable has when the command runs.

        :param name: the variable's name. While it is not set, the routine does not start.
        """
        return cls._of((_Variable(name),))

    @classmethod
    def _of(cls, parts: tuple[Any, ...]) -> Secret:
        secret = cls("")
        secret._parts = parts
        return secret

    def reveal(self) -> str:
        """Return the value.

        :raises LookupError: if it comes from an environment variable that is not set.
        """
        if self.missing:
            raise LookupError(f"the environment variable {self.missing[0]} is not set")
        return "".join(map(_held, self._parts))

    @property
    def values(self) -> tuple[str, ...]:
        """What must not be shown: each part that is secret and set, and the whole."""
        if self.malformed:
            return ()
        parts = [part for part in self._parts if not isinstance(part, _Plain)]
        known = [one for one in parts if not isinstance(one, _Variable) or one.stated in os.environ]
        whole = () if self.missing else (self.reveal(),)
        return (*map(_held, known), *whole)

    @property
    def quoted(self) -> str:
        """What is shown of it, as a shell would take it."""
        return "".join(
            shlex.quote(part.stated) if isinstance(part, _Plain) else MASK
            for part in self._parts
            if part != _Plain("")
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The environment variables that it comes from and that are not set."""
        return tuple(name for name in self.variables if name not in os.environ)

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that it comes from, set or not."""
        names = (part.stated for part in self._parts if isinstance(part, _Variable))
        return tuple(name for name in names if isinstance(name, str))

    @property
    def malformed(self) -> str:
        """What it holds instead of a string, or ``""``."""
        held = map(_stated, self._parts)
        return next((type(one).__name__ for one in held if not isinstance(one, str)), "")

    def __add__(self, other: Secret | str) -> Secret:
        return self._of((*self._parts, *_parts_of(other)))

    def __radd__(self, other: str) -> Secret:
        return self._of((*_parts_of(other), *self._parts))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._parts == other._parts

    def __hash__(self) -> int:
        # What is malformed may be a list, and is reported all the same.
        return hash(self.malformed or self._parts)

    def __str__(self) -> str:
        shown = (part.stated if isinstance(part, _Plain) else MASK for part in self._parts)
        return "".join(map(str, shown))

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: Any) -> Secret:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError("a Secret is not written anywhere, so it cannot be pickled")


def _parts_of(half: object) -> tuple[Any, ...]:
    """Return what one side of a ``+`` adds to a secret."""
    # What is neither is kept, to be reported with its origin as all that is malformed.
    return half._parts if isinstance(half, Secret) else (_Plain(half),)  # noqa: SLF001 - of this module


def _stated(part: Any) -> Any:
    """Return what a part of a secret was made from, which should be a string."""
    return part.stated if isinstance(part, _Part) else part


def _held(part: Any) -> str:
    """Return what a part of a secret holds now."""
    held = _stated(part)
    return os.environ[held] if isinstance(part, _Variable) else str(held)


def revealed(value: Any) -> Any:
    """Return a value with the secrets in it replaced by what they hold, containers copied.

    :param value: an argument, an option or a container of such.
    :raises LookupError: if a secret comes from an environment variable that is not set.
    """
    if isinstance(value, str):  # what most of them are
        return value
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {revealed(key): revealed(one) for key, one in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_make"):  # a named tuple
        return value._make(map(revealed, value))
    # Exactly these: a subclass may be made in a way of its own.
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(revealed(one) for one in value)
    return value


def secrets_in(*values: Any) -> tuple[Secret, ...]:
    """Return the secrets that values hold, each once, in the order in which they stand there.

    :param values: arguments, options or containers of such.
    """
    return tuple(dict.fromkeys(_each_secret(*values)))


def variables_in(*values: Any) -> tuple[str, ...]:
    """Return the environment variables that secrets come from, place by place.

    A secret that comes from none is ``""`` in its place; if all do, there is nothing to return.

    :param values: arguments, options or containers of such.
    """
    names = [name for secret in _each_secret(*values) for name in secret.variables or ("",)]
    return tuple(names) if any(names) else ()


def _each_secret(*values: Any) -> Iterator[Secret]:
    """Yield the secrets that values hold, as often as they do."""
    for value in values:
        if isinstance(value, str):  # what most of them are
            continue
        if isinstance(value, Secret):
            yield value
        elif isinstance(value, list | tuple):
            yield from _each_secret(*value)
        elif isinstance(value, Mapping):
            yield from _each_secret(*value.keys(), *value.values())
        elif isinstance(value, set | frozenset):
            yield from sorted(_each_secret(*value), key=lambda one: repr(one._parts))  # noqa: SLF001
