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

from .distributions import normalised
from .model import Release

if TYPE_CHECKING:
    from importlib.metadata import Distribution


class Releases:
    """Looks up distributions by their files, each directory of the environment once."""

    def __init__(self) -> None:
        self._installed = cache(_installed)
        self._of_package = cache(self._found)

    def of_module(self, name: str, path: str) -> Release | None:
        """Return the distribution that a package came with, or ``None`` if nothing tells.

        :param name: the package's dotted path.
        :param path: its directory.
        """
        parts = name.split(".")
        directory = Path(path)
        if tuple(directory.parts[-len(parts) :]) != tuple(parts):
            return None  # it is found in a way of its own
        root = str(directory.parents[len(parts) - 1])
        # A regular package is all of one distribution, a namespace of several.
        depth = next(
            (
                count
                for count in range(1, len(parts) + 1)
                if os.path.isfile(os.path.join(root, *parts[:count], "__init__.py"))
            ),
            0,
        )
        return self._of_package(root, "/".join([*parts[:depth], "__init__.py"])) if depth else None

    def of_file(self, path: str) -> Release | None:
        """Return the distribution that a module's file came with, or ``None`` if nothing tells.

        :param path: its path.
        """
        file = Path(path)
        package = file.parent
        while (package / "__init__.py").is_file():
            package = package.parent
        return self._of_package(str(package), file.relative_to(package).as_posix())

    def _found(self, root: str, file: str) -> Release | None:
        """Return what has installed ``root/file``."""
        package = PurePosixPath(file).parts[0].removesuffix(".py")
        wanted = _squeezed(package)
        installed = self._installed(root)
        alike = [one for one in installed if wanted in one[0] or one[0] in wanted]
        rest = [one for one in installed if one not in alike]
        for _, path in (*alike, *rest):
            distribution = _at(path)
            if _lists(distribution, file):
                return _release(distribution)
        return _editable(package, os.path.join(root, file))


def _squeezed(name: str) -> str:
    """Return a name by which a package and its distribution are alike: ``djangorestframework``."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _installed(root: str) -> tuple[tuple[str, Path], ...]:
    """Return the metadata directories of a directory, with the names of their distributions."""
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return ()
    return tuple(
        (_squeezed(name.partition("-")[0]), Path(root, name))
        for name in names
        if name.endswith(".dist-info")
    )


def _at(path: Path) -> Distribution:
    import importlib.metadata

    return importlib.metadata.Distribution.at(path)


def _lists(distribution: Distribution, file: str) -> bool:
    return f"\n{file}," in f"\n{distribution.read_text('RECORD') or ''}"


def _release(distribution: Distribution) -> Release | None:
    name = distribution.metadata["Name"]
    return Release(normalised(name), distribution.version) if name else None


def _editable(package: str, path: str) -> Release | None:
    """Return the distribution that was installed so that it is imported from where it is edited.

    It lists none of its files, but says which directory it was installed from (PEP 610). Only the
    one that is called like the package is asked.
    """
    import importlib.metadata

    try:
        distribution = importlib.metadata.distribution(package)
        said = json.loads(distribution.read_text("direct_url.json") or "{}")
        url = urlsplit(said.get("url", ""))
    except (importlib.metadata.PackageNotFoundError, ValueError, AttributeError):
        return None
    below = Path(path).is_relative_to(unquote(url.path)) if url.scheme == "file" else False
    return _release(distribution) if below else None
