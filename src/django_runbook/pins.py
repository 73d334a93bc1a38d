"""Pins: the document of a reviewed plan, read from a file to be compared with what would run.

Pure but for the reading of the file. A file is taken for what it says only if it is whole: its
steps must have the fingerprint that it states.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .canonical import one_line, shown
from .commands import to_option
from .difference import Difference, differ
from .document import FORMAT_VERSION, document_of, fingerprint_of
from .exceptions import BadPin, UnexpectedPlan
from .model import Plan

_NUMBER = (int, float, type(None))
_TEXT = (str, type(None))

_ORIGIN = {"kind": str, "source": str, "distribution": _TEXT, "version": _TEXT, "file": _TEXT}
_ORIGIN |= {"line": (int, type(None))}

_STEP: dict[str, Any] = {
    "position": (int, type(None)),
    "id": str,
    "kind": str,
    "argv": [str],
    "options": dict,
    "env": dict,
    "time_limit": _NUMBER,
    "pre_hook": _TEXT,
    "post_hook": _TEXT,
    "priority": int,
    "switches": [str],
    "run_before": [str],
    "run_after": [str],
    "status": str,
    "reason": {"code": str, "detail": str},
    "origin": _ORIGIN,
}

_NESTED = {
    "routine": str,
    "fingerprint": str,
    "controls": dict,
    "hooks": dict,
    "origins": dict,
    "steps": [_STEP],
}

_PLAN = _NESTED | {
    "roots": [str],
    "switches": {"active": [str], "available": dict},
    "sources": [{"kind": str, "source": str, "version": _TEXT}],
}
"""What of a document is read here: the types of its values, a list with the form of its items."""


@dataclass(frozen=True)
class Pin:
    """A plan that was reviewed, as a file holds it."""

    path: str
    document: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """What identifies what is to run."""
        return str(self.document["fingerprint"])

    def difference(self, plan: Plan) -> Difference:
        """Return what of a plan differs from what is expected.

        :param plan: the plan.
        :raises BadPin: if it is the plan of another routine, or with other switches.
        """
        self.refuse_other(plan)
        return differ(self.document, document_of(plan))

    def refuse_other(self, plan: Plan) -> None:
        """Raise if a plan is none that can be compared.

        :param plan: the plan.
        :raises BadPin: if it is the plan of another routine, or with other switches.
        """
        if self.document["routine"] != plan.routine:
            wrong = f"it holds the plan of routine {self.document['routine']!r}"
            _refuse(self.path, wrong, _again(self.path, plan.routine, plan.active))
        expected = self.document["switches"]["active"]
        # With --all a switch that has come or gone is a difference, and no mistake of who calls.
        same_call = plan.everything and set(expected) == set(self.document["switches"]["available"])
        if set(expected) != set(plan.active) and not same_call:
            _refuse(
                self.path,
                f"it was written {_with(expected)}, and this is the plan {_with(plan.active)}",
                "Give the same switches, or keep a file for these, too: "
                + _command(plan.routine, plan.active)
                + " > ANOTHER_FILE.",
            )

    def require(self, plan: Plan) -> None:
        """Raise unless what would run is what is expected.

        :param plan: the plan.
        :raises BadPin: if it is the plan of another routine, or with other switches.
        :raises UnexpectedPlan: if it differs.
        """
        difference = self.difference(plan)
        if difference:
            again = _command(plan.routine, plan.active)
            lines = (
                f"Routine {plan.routine!r} was not run: its plan is not the one in {self.path}.",
                *difference.lines(),
                *(line for problem in plan.errors for line in problem.lines),
                f"If this is what shall run, have it reviewed, and write: {again} > {self.path}",
            )
            raise UnexpectedPlan("\n".join(lines), difference)


def read_pin(path: str | os.PathLike[str]) -> Pin:
    """Return the plan that a file holds.

    :param path: the file, as ``routine NAME --explain --format json`` has written it.
    :raises BadPin: if it cannot be read, is no plan, is one of a version that is not known here,
        or was changed after it was written.
    """
    name = os.fspath(path)
    document = _parsed(name)
    again = "Write it anew with: manage.py routine NAME --explain --format json"
    if not isinstance(document, dict):
        _refuse(name, f"it holds {shown(document)} and no plan", again)
    version = document.get("format_version")
    if not isinstance(version, str):
        _refuse(name, "it states no format_version, as a plan does", again)
    if version.partition(".")[0] != FORMAT_VERSION.partition(".")[0]:
        _refuse(
            name,
            f"it is of format {version}, and this version of django-runbook reads "
            f"{FORMAT_VERSION.partition('.')[0]}.x",
            "Write and run it with the same version of django-runbook.",
        )
    if "routines" in document:
        _refuse(name, "it holds the plans of all routines, and a pin holds one", again)
    try:
        wrong = next(_departures(document, _PLAN), "")
        found = "" if wrong else fingerprint_of(document, document["roots"])
    except RecursionError:
        found = ""
        wrong = "routines are nested in it without end"
    if wrong:
        _refuse(name, wrong, again)
    again = _again(name, document["routine"], document["switches"]["active"])
    if found != document["fingerprint"]:
        newer = "" if version == FORMAT_VERSION else f", or is of a newer format ({version})"
        _refuse(
            name,
            f"its steps are not those of its fingerprint {one_line(document['fingerprint'])}: it "
            f"was changed after it was written{newer}",
            again,
        )
    return Pin(name, document)


def _parsed(name: str) -> Any:
    """Return the JSON value that a file holds."""
    try:
        # bytes: a shell may have written UTF-16, which json tells from UTF-8.
        return json.loads(
            Path(name).read_bytes(), object_pairs_hook=_once, parse_constant=_no_constant
        )
    except OSError as exc:
        _refuse(name, f"it cannot be read: {exc.strerror}", "Name the file of the reviewed plan.")
    except json.JSONDecodeError as exc:
        wrong = "it is empty" if not exc.doc.strip() else f"it is not JSON: {exc}"
        _refuse(name, wrong, "Take the file as it was written, and whole.")
    except (ValueError, RecursionError) as exc:
        _refuse(name, f"it is not JSON: {exc}", "Take the file as it was written, and whole.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys are all different: a reader may see the one, and we the other."""
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} is there twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")


def _departures(value: Any, form: Any, where: str = "") -> Iterator[str]:
    """Yield where a document is not as it must be to be read."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            yield f"{where} must be an object, not {shown(value)}"
            return
        for key, inner in form.items():
            path = f"{where}.{key}" if where else key
            if key not in value:
                yield f"it has no {path}, as a plan does"
            else:
                yield from _departures(value[key], inner, path)
        if "plan" in value and form is _STEP:
            yield from _departures(value["plan"], _NESTED, f"{where}.plan")
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield f"{where} must be a list, not {shown(value)}"
            return
        for index, item in enumerate(value):
            yield from _departures(item, form[0], f"{where}[{index}]")
    elif not isinstance(value, form) or (isinstance(value, bool) and form is not bool):
        yield f"{where} is {shown(value)}, which it is in no plan"


def _refuse(name: str, wrong: str, hint: str) -> NoReturn:
    raise BadPin(f"{name} cannot be used as the expected plan: {wrong}. {hint}")


def _with(switches: Iterable[str]) -> str:
    return f"with {' '.join(map(to_option, switches))}" if switches else "without switches"


def _command(routine: str, switches: Iterable[str]) -> str:
    words = ["manage.py routine", routine, *map(to_option, sorted(switches))]
    return " ".join([*words, "--explain --format json"])


def _again(name: str, routine: str, switches: Iterable[str]) -> str:
    return f"Write it anew with: {_command(one_line(routine), switches)} > {name}"
