"""Which distribution a file of the environment came with.

The files that each distribution has installed are listed in its ``RECORD`` (PyPA, "Recording
installed projects"). One that is called like the package is asked first, then the others of the
same directory, until one lists the file; ``importlib.metadata.packages_distributions()`` would
parse the lists of the whole environment.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .distributions import name_and_version
from .model import Release

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.metadata import Distribution


class Releases:
    """Looks up distributions by their files, each directory of the environment once."""

    def __init__(self) -> None:
        self._of_root = cache(_Installed)
        self._of_path = cache(self._found)

    def of_module(self, name: str, path: str) -> Release | None:
        """Return the distribution that a package came with, or ``None`` if nothing tells.

        :param name: the package's dotted path.
        :param path: its directory.
        """
        parts = name.split(".")
        directory = Path(path)
        if tuple(directory.parts[-len(parts) :]) != tuple(parts):
            return None  # it is found in a way of its own
        root = directory.parents[len(parts) - 1]
        if (directory / "__init__.py").is_file():
            return self.of_file(root, [*parts, "__init__.py"])
        return self._of_path(str(root), "/".join([*parts, ""]))

    def of_file(self, root: Path, parts: Sequence[str]) -> Release | None:
        """Return the distribution that a file came with, or ``None`` if nothing tells.

        :param root: the directory that its package is imported from.
        :param parts: the names on the way from there to the file, its own included.
        """
        return self._of_path(str(root), f"{'/'.join(parts)},")

    def _found(self, root: str, path: str) -> Release | None:
        """Return what has installed a path below a directory.

        :param path: how a line of a list begins: with a file and a comma, or with a directory.
        """
        package = PurePosixPath(path.rstrip(",")).parts[0].removesuffix(".py")
        found = self._of_root(root).owner(package, path)
        return found or _editable(package, os.path.join(root, path))


class _Installed:
    """What is installed in a directory, by the metadata directories in it.

    :param root: the directory.
    """

    def __init__(self, root: str) -> None:
        try:
            # pip gives another name to what it is about to take away.
            names = sorted(name for name in os.listdir(root) if not name.startswith("~"))
        except OSError:
            names = []
        self._installed: dict[str, list[str]] = {}
        for name in names:
            if name.endswith(".dist-info"):
                called = _squeezed(name.partition("-")[0])
                self._installed.setdefault(called, []).append(os.path.join(root, name))
        self._record = cache(_record)
        self._release = cache(_release)

    def owner(self, package: str, path: str) -> Release | None:
        """Return what lists a path: what is called like its package is asked first.

        :param package: the package at the top.
        :param path: how a line of the list begins.
        """
        line = os.fsencode(f"\n{path}")
        for name in self._likely_first(_squeezed(package)):
            listed = (info for info in self._installed[name] if line in self._record(info))
            owners = [release for release in map(self._release, listed) if release is not None]
            if owners:  # of two versions one is what an upgrade has left behind
                return owners[0] if len(owners) == 1 else None
        return None

    def _likely_first(self, package: str) -> Iterator[str]:
        """Yield what is installed by its name, what is called like a package first."""
        if package in self._installed:
            yield package
        others = self._installed.keys() - {package}
        yield from sorted(others, key=lambda name: (not (package in name or name in package), name))


def _squeezed(name: str) -> str:
    """Return a name by which a package and its distribution are alike: ``djangorestframework``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _record(path: str) -> bytes:
    """Return the list of the files that a distribution has installed, a line each.

    As it is, for it may be as long as a book, and next to none of it is looked at.
    """
    try:
        with open(os.path.join(path, "RECORD"), "rb") as file:
            return b"\n" + file.read()
    except OSError:
        return b""  # it is not for us to complain of


def _at(path: str) -> Distribution:
    import importlib.metadata

    return importlib.metadata.Distribution.at(path)


def _release(path: str) -> Release | None:
    return _release_of(_at(path))


def _release_of(distribution: Distribution) -> Release | None:
    """Return what a distribution says that it is, if it says so."""
    name, version = name_and_version(distribution) or ("", None)
    return Release(name, version) if name else None


def _editable(package: str, path: str) -> Release | None:
    """Return the distribution that was installed so that it is imported from where it is edited.

    It lists none of its files, but says which directory it was installed from (PEP 610). Only the
    one that is called like the package is asked.
    """
    import importlib.metadata

    try:
        distribution = importlib.metadata.distribution(package)
        said = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(str(said["url"]))
        editable = bool(said["dir_info"]["editable"])
    except (importlib.metadata.PackageNotFoundError, LookupError, TypeError, ValueError):
        return None  # it is not there, or was installed in another way
    below = url.scheme == "file" and Path(path).is_relative_to(unquote(url.path))
    return _release_of(distribution) if editable and below else None
