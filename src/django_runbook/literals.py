"""What only the source text of a settings file tells.

A dictionary does not know where it was written, and a file does not know which wildcard included
it. The text does, so it is read again when somebody asks for an origin, and not before.
"""

from __future__ import annotations

import ast
import glob
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from .commands import ROUTINE_SETTING, Entry, to_symbol


class SettingsFile:
    """The literal that one settings file assigns.

    :param path: the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    @cached_property
    def _tree(self) -> ast.Module:
        try:
            return ast.parse(Path(self.path).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return ast.Module([], [])  # frozen or generated settings have no text to read

    @cached_property
    def _assignments(self) -> list[tuple[int, ast.expr]]:
        """The values that the file assigns to the setting, each with its statement's line."""
        found = []
        for node in _statements(self._tree.body):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if ROUTINE_SETTING in {getattr(target, "id", None) for target in targets}:
                    found.append((node.lineno, node.value))
        return found

    @property
    def assigns(self) -> bool:
        """Whether the file assigns the setting at all."""
        return bool(self._assignments)

    @property
    def assigns_last(self) -> bool:
        """Whether it does so after it has included its last component."""
        included = [
            node.lineno
            for statement in self._tree.body
            for node in ast.walk(statement)
            if isinstance(node, ast.Call) and _called(node) == "include"
        ]
        return self.assigns and self._assignments[-1][0] > max(included, default=0)

    def line(self, entry: Entry) -> int | None:
        """Return the line of an entry, or of the nearest thing around it that is spelt out.

        :param entry: the entry.
        """
        values = [
            value
            for line, value in self._assignments
            if entry.before is None or line < entry.before
        ]
        node: ast.expr | None = values[-1] if values else None
        line = None
        for part in entry.path:
            if node is None:
                break
            line, node = node.lineno, _child(node, part)
        return node.lineno if node is not None else line

    def wildcards(self) -> Iterator[str]:
        """Yield the wildcards that the file's calls are given, of ``include`` or anything else."""
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Call):
                arguments = [part for argument in node.args for part in ast.walk(argument)]
                texts = [part.value for part in arguments if isinstance(part, ast.Constant)]
                for text in texts:
                    if isinstance(text, str) and glob.has_magic(text):
                        yield os.path.join(glob.escape(os.path.dirname(self.path)), text)


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module does, those of its ``if`` and ``try`` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for branch in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(node, branch, ()):
                    yield from _statements([inner] if isinstance(inner, ast.stmt) else inner.body)


def _called(node: ast.Call) -> str:
    """Return the last part of the name of what is called."""
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _child(node: ast.expr, part: str | int) -> ast.expr | None:
    """Return what a key or an index of a literal leads to."""
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and _same(key.value, part):
                return value
    if isinstance(node, ast.Call):  # Routine("name", commands=[...])
        for keyword in node.keywords:
            if keyword.arg == part:
                return keyword.value
    if isinstance(node, ast.List | ast.Tuple) and isinstance(part, int):
        starred = any(isinstance(item, ast.Starred) for item in node.elts)
        if not starred and part < len(node.elts):
            return node.elts[part]
    return None


def _same(key: Any, part: str | int) -> bool:
    return (type(key) is type(part) and bool(key == part)) or (
        isinstance(key, str) and isinstance(part, str) and to_symbol(key) == to_symbol(part)
    )
