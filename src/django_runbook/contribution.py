"""The declarations of one app or distribution."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Any, NoReturn

from .commands import is_own
from .declarations import Raw, Recorder, Verbs


class Contribution(Verbs):
    """The declarations of one app or distribution, with the verbs of the settings API.

    ``override`` and ``disable`` are the settings' alone: here they raise.
    """

    def __init__(self) -> None:
        self.declared: Raw = {}
        """What was declared, in the form of ``DJANGO_ROUTINES``."""

        self.files: dict[str, str] = {}
        """The files that declared it, as they are imported, by their paths."""

    def _recorder(self, _verb: str) -> Recorder:
        frame = sys._getframe(1)
        while is_own(frame.f_globals.get("__name__")) and frame.f_back is not None:
            frame = frame.f_back
        path = frame.f_code.co_filename
        self.files[path] = as_imported(frame)
        return Recorder(self.declared, (path, frame.f_lineno))

    def override(self, routine: str, step: str, /, **_changes: Any) -> NoReturn:
        """Refuse: only the project's settings may change other sources' steps."""
        raise _settings_only("override", routine, step)

    def disable(self, routine: str, step: str, /) -> NoReturn:
        """Refuse: only the project's settings may keep other sources' steps from running."""
        raise _settings_only("disable", routine, step)


def _settings_only(verb: str, routine: str, step: str) -> Exception:
    from .canonical import shown
    from .exceptions import DeclarationError

    return DeclarationError(
        f"{verb}({shown(routine)}, {shown(step)}) belongs in the project's settings: only they "
        "have the last word on a step. Declare your own steps with routine(), command() and "
        "system()."
    )


def as_imported(frame: FrameType) -> str:
    """Return a frame's file as it is imported: ``acme_cdn/hooks.py``, wherever it is installed.

    :param frame: a frame of the file.
    """
    return imported_as(str(frame.f_globals.get("__name__", "")), frame.f_code.co_filename)


def imported_as(module: str, path: str) -> str:
    """Return a module's file as it is imported.

    :param module: the module's dotted path.
    :param path: its file.
    """
    file = os.path.basename(path)
    parts = module.split(".")
    return "/".join([*(parts if file == "__init__.py" else parts[:-1]), file])
