"""Pins: the document of a reviewed plan, read from a file to be compared with what would run.

Pure but for the reading of the file. A file is taken for what it says only if it is whole: its
steps must have the fingerprint that it states.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .canonical import one_line, printable
from .commands import to_option
from .comparison import differ
from .difference import Difference
from .document import FORMAT_VERSION, ROOT, document_of, fingerprint_of
from .exceptions import BadPin, UnexpectedPlan
from .model import Plan
from .nesting import CONTROL_OPTIONS

_NUMBER = (int, float, type(None))
_TEXT = (str, type(None))


class _Each:
    """The form of an object whose keys may be any, and whose values have one form."""

    def __init__(self, form: Any) -> None:
        self.form = form


_ORIGIN = {"kind": str, "source": str, "distribution": _TEXT, "version": _TEXT, "file": _TEXT}
_ORIGIN |= {"line": (int, type(None))}

_STEP: dict[str, Any] = {
    "position": (int, type(None)),
    "id": str,
    "kind": str,
    "argv": [str],
    "options": dict,
    "env": dict,
    "variables": [str],
    "time_limit": _NUMBER,
    "pre_hook": _TEXT,
    "post_hook": _TEXT,
    "priority": int,
    "effective_priority": int,
    "switches": [str],
    "run_before": [str],
    "run_after": [str],
    "status": str,
    "reason": {"code": str, "detail": str},
    "origin": _ORIGIN,
    "overridden_by": [{"attribute": str, "origin": _ORIGIN}],
}

_NESTED = {
    "routine": str,
    "fingerprint": str,
    "controls": dict,
    "hooks": dict,
    "origins": _Each(_ORIGIN),
    "steps": [_STEP],
}

_DEEPEST = 250
"""Levels of a document: what is declared has 50 at most, and each nested routine adds three."""

_KINDS = ("management", "system")
_STATUSES = ("run", "switched_off", "disabled")

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
        return differ(self.document, document_of(plan), plan)

    def refuse_other(self, plan: Plan) -> None:
        """Raise if a plan is none that can be compared.

        :param plan: the plan.
        :raises BadPin: if it is the plan of another routine, or with other switches.
        """
        if self.document["routine"] != plan.routine:
            wrong = f"it holds the plan of routine {self.document['routine']!r}"
            hint = f"Name the file of {plan.routine!r}, or write one: {_command_for(plan)} > "
            _refuse(self.path, wrong, f"{hint}ANOTHER_FILE")
        expected = self.document["switches"]["active"]
        # With --all a switch that has come or gone is a difference, and no mistake of who calls.
        same_call = plan.everything and set(expected) == set(self.document["switches"]["available"])
        if set(expected) != set(plan.active) and not same_call:
            _refuse(
                self.path,
                f"it was written {_with(expected)}, and this is the plan {_with(plan.active)}",
                f"Give the same switches, or keep a file for these, too: {_command_for(plan)} > "
                "ANOTHER_FILE",
            )

    def require(self, plan: Plan) -> None:
        """Raise unless what would run is what is expected.

        :param plan: the plan.
        :raises BadPin: if it is the plan of another routine, or with other switches.
        :raises UnexpectedPlan: if it differs.
        """
        difference = self.difference(plan)
        if difference:
            again = f"{_command_for(plan)} > {shlex.quote(self.path)}"
            verdict = f"is not the one in {self.path}: {difference.summary}."
            mended = "Mend the errors first. " if plan.errors else ""
            lines = (
                f"Routine {plan.routine!r} was not run: its plan {verdict}",
                *difference.lines(),
                *(line for problem in plan.errors for line in problem.lines),
                f"{mended}If this is what shall run, have it reviewed, and write: {again}",
            )
            raise UnexpectedPlan("\n".join(map(printable, lines)), difference)


def read_pin(path: str | os.PathLike[str]) -> Pin:
    """Return the plan that a file holds.

    :param path: the file, as ``routine NAME --explain --format json`` has written it.
    :raises BadPin: if it cannot be read, is no plan, is one of a version that is not known here,
        or was changed after it was written.
    """
    name = os.fspath(path)
    document = _parsed(name)
    wrong = "something is nested in it without end" if _is_deep(document) else _no_plan(document)
    found = "" if wrong else fingerprint_of(document, document["roots"])
    if wrong:
        again = "Write it anew with: manage.py routine NAME --explain --format json"
        _refuse(name, wrong, again)
    version = document["format_version"]
    if found != document["fingerprint"]:
        other = (
            "" if version == FORMAT_VERSION else f", or is of another format ({_shown(version)})"
        )
        switches = map(to_option, document["switches"]["active"])
        command = one_line(_command(document["routine"], switches))
        _refuse(
            name,
            f"its steps are not those of its fingerprint {one_line(document['fingerprint'])}: it "
            f"was changed after it was written{other}",
            f"Write it anew with: {command} > {shlex.quote(name)}",
        )
    return Pin(name, document)


def _is_deep(document: Any) -> bool:
    """Tell whether a JSON value has more levels than any plan, and than recursion could take."""
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(_DEEPEST):
        held = (one.values() if isinstance(one, dict) else one for one in level)
        level = [one for each in held for one in each if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _no_plan(document: Any) -> str:
    """Return why a JSON value cannot be read as a plan, or nothing if it can be."""
    if not isinstance(document, dict):
        return f"it holds {_shown(document)} and no plan"
    version = document.get("format_version")
    if not isinstance(version, str):
        return "it states no format_version, as a plan does"
    major = FORMAT_VERSION.partition(".")[0]
    if version.partition(".")[0] != major:
        return (
            f"it is of format {_shown(version)}, and this version of django-runbook reads {major}.x"
        )
    if "routines" in document:
        return "it holds the plans of all routines, and a pin holds one"
    return next(_departures(document, _PLAN), "") or _contradiction(document)


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
        wrong = f"it is not JSON: {exc}" if exc.doc.strip() else "it is empty"
        if "<<<<<<<" in exc.doc:
            wrong = "it holds the conflicts of a merge"
        _refuse(name, wrong, "Take the file as it was written, and whole.")
    except (ValueError, RecursionError) as exc:
        _refuse(name, f"it is not JSON: {exc}", "Take the file as it was written, and whole.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object whose keys are all different: a reader may see the one, and we the other."""
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {_shown(twice)} is there twice")
    return result


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON")


def _departures(value: Any, form: Any, where: str = "") -> Iterator[str]:
    """Yield where a document is not as it must be to be read."""
    if isinstance(form, dict | _Each):
        if isinstance(value, dict):
            yield from _departures_within(value, form, where)
        else:
            yield f"{where} must be an object, not {_shown(value)}"
    elif isinstance(form, list):
        if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _departures(item, form[0], f"{where}[{index}]")
        else:
            yield f"{where} must be a list, not {_shown(value)}"
    elif not isinstance(value, form) or isinstance(value, bool):
        yield f"{where} is {_shown(value)}, which it is in no plan"


def _departures_within(
    value: Mapping[str, Any], form: dict[str, Any] | _Each, where: str
) -> Iterator[str]:
    """Yield where the values of an object are not as they must be."""
    inner = dict.fromkeys(value, form.form) if isinstance(form, _Each) else dict(form)
    if "plan" in value and form is _STEP:
        inner["plan"] = _NESTED
    for key, one in inner.items():
        path = f"{where}.{key}" if where else key
        if key in value:
            yield from _departures(value[key], one, path)
        else:
            yield f"it has no {path}, as a plan does"


def _contradiction(document: Mapping[str, Any]) -> str:
    """Return what in a document is as in no plan, though each part of it may be."""
    # A root that is no directory of a project would hide words that are others.
    for root in document["roots"]:
        if not root.startswith("/") or root == "/":
            return f"{_shown(root)} cannot be the project's directory"
    return _contradiction_of_steps(document)


def _contradiction_of_steps(document: Mapping[str, Any]) -> str:
    """Return what in the steps of a plan, or of one nested in it, is as in no plan."""
    steps = document["steps"]
    known: set[str] = set()
    for step in steps:
        if step["id"] in known:
            return f"it has two steps {_shown(step['id'])}"
        known.add(step["id"])
        if ROOT in str((step["argv"], step["options"], step["env"])).replace("\\x00", "\0"):
            return f"step {_shown(step['id'])} has words that stand for something else"
        if step["status"] not in _STATUSES or step["kind"] not in _KINDS:
            return f"step {_shown(step['id'])} is of a kind or a status that there is not"
    positions = [step["position"] for step in steps]
    running = sum(step["status"] == "run" for step in steps)
    if positions != [*range(1, running + 1), *[None] * (len(steps) - running)]:
        return "the positions of its steps are not those of a plan"
    nested = (_contradiction_of_steps(step["plan"]) for step in steps if "plan" in step)
    return next(filter(None, nested), "")


def _shown(value: Any) -> str:
    """Return a value of a document as a message shows it: short, and on one line."""
    text = one_line(json.dumps(value))
    return text if len(text) <= 60 else f"{text[:57]}..."


def _refuse(name: str, wrong: str, hint: str) -> NoReturn:
    shown = name or "A file without a name"
    raise BadPin(printable(f"{shown} cannot be used as the expected plan: {wrong}. {hint}"))


def _with(switches: Iterable[str]) -> str:
    return f"with {' '.join(map(to_option, switches))}" if switches else "without switches"


def _command(routine: str, options: Iterable[str]) -> str:
    return " ".join(["manage.py routine", routine, *options, "--explain --format json"])


def _command_for(plan: Plan) -> str:
    """Return the command that writes the pin of a plan."""
    given = [
        CONTROL_OPTIONS[name][0 if value is True else 1]
        for name, value in plan.given.items()
        if isinstance(value, bool)
    ]
    switches = ["--all"] if plan.everything else [to_option(one) for one in plan.active]
    return _command(plan.routine, [*switches, *given])
