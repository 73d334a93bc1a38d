"""Taking the values of secrets out of what commands, libraries and exceptions say."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Sequence
from urllib.parse import quote, quote_plus

from .canonical import printable
from .secret import MASK, Secret

_MAY_BE_WRAPPED = 24
"""Characters of a value from which on it is also looked for with line ends in it."""

_LONG_ENOUGH = 8
"""Characters of a line of a secret that is looked for by itself; a shorter one may be any word."""


class Hidden:
    """What must not be in a message: the values of secrets, those they had before included.

    :param secrets: the secrets.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        self._secrets: dict[Secret, None] = {}
        self._values: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(secrets)

    def add(self, secrets: Iterable[Secret] = ()) -> None:
        """Add secrets, and read anew what all of them hold: a variable may have changed.

        :param secrets: the secrets.
        """
        self._secrets.update(dict.fromkeys(secrets))
        values = {value for secret in self._secrets for value in secret.values} - self._values
        if values:
            self._values |= values
            spelt = {one for value in self._values for one in _spellings(value)}
            longest_first = sorted(spelt, key=lambda one: (-len(one), one))
            patterns = [_pattern(one) for one in longest_first]
            self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __bool__(self) -> bool:
        """Tell whether there is anything to be masked."""
        self.add()
        return self._pattern is not None

    def mask(self, text: str) -> str:
        """Return a text with what is hidden replaced by ``***``.

        :param text: what a command or a library has said.
        """
        self.add()
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def mask_lines(self, lines: Sequence[str]) -> tuple[str, ...]:
        """Return lines with what is hidden replaced, also where it goes on in the next one.

        :param lines: what a process has said.
        """
        return tuple(self.mask("\n".join(lines)).split("\n")) if lines else ()


def _pattern(value: str) -> str:
    """Return what finds a value, also one that a traceback has wrapped at the terminal's width."""
    if len(value) < _MAY_BE_WRAPPED:
        return re.escape(value)
    return r"(?:\s*\n[\s\u2502]*)?".join(map(re.escape, value))


def _spellings(value: str) -> frozenset[str]:
    """Return a value and its longer lines as Python, JSON, a shell and an address write them."""
    lines = (line.strip() for line in value.splitlines())
    found: set[str] = set()
    for one in {value, value.strip(), *(line for line in lines if len(line) >= _LONG_ENOUGH)}:
        quoted = shlex.quote(one)
        found |= {
            one,
            repr(one)[1:-1],
            repr(f"\"{one}'")[2:-3],  # between both kinds of quotes
            ascii(one)[1:-1],
            repr(one.encode("utf-8", "surrogatepass"))[2:-1],
            json.dumps(one)[1:-1],
            json.dumps(one, ensure_ascii=False)[1:-1],
            one if quoted == one else quoted[1:-1],
            one.replace("'", "'\\''"),
            quote(one, safe="", errors="surrogatepass"),
            quote(one, errors="surrogatepass"),
            quote_plus(one, errors="surrogatepass"),
            printable(one),
        }
    return frozenset(filter(None, found))
