"""The JSON document of a plan, and the fingerprint of what it would run. Pure: no Django.

The document's form is a contract: ``docs/json.md`` describes it, and ``format_version`` changes
when it does. The fingerprint is made from the document alone, so that whoever has the document
can make it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from .canonical import jsonable, printable, said
from .model import CONTROLS, HOOKS, Origin, Plan, Problem, Release, Searched, Step

FORMAT_VERSION = "1.0"
"""The version of the JSON document: the major number changes when a reader could break."""

ROOT = "\0root"
"""What the fingerprint takes in place of the project's directory; no word of a command line can
have it in it, as a process takes none with a zero byte."""

PROJECT = "<project>"
"""What is shown in its place, where it is not to be seen which one it is."""


def to_json(plan: Plan) -> str:
    """Return the JSON document of one plan: the same bytes for the same plan, always.

    :param plan: the plan.
    """
    return dumped(document_of(plan))


def all_to_json(plans: Iterable[Plan], problems: Iterable[Problem]) -> str:
    """Return the JSON document of all routines.

    :param plans: the plan of each.
    :param problems: what is wrong with the declarations, those that belong to no routine included.
    """
    return dumped(
        {
            "format_version": FORMAT_VERSION,
            "routines": [_document(plan) for plan in plans],
            "problems": [problem_of(problem) for problem in problems],
        }
    )


def dumped(document: Mapping[str, Any]) -> str:
    """Return a document as text.

    :param document: the document.
    """
    return json.dumps(document, indent=2)  # ASCII, which every locale can print


def document_of(plan: Plan) -> dict[str, Any]:
    """Return the document of one plan, which :func:`to_json` writes.

    :param plan: the plan.
    """
    return {"format_version": FORMAT_VERSION, **_document(plan)}


def fingerprint(plan: Plan) -> str:
    """Return what identifies what would run: two plans that run the same have the same.

    It covers the routine's controls and hooks and, in order, each step's id, kind, argv, options,
    switches, environment, time limit, hooks and the variables that its secrets come from, nested
    routines included. It does not cover lines of files, versions, help texts, what a secret holds,
    where the project lies, or steps that do not run.

    :param plan: the plan.
    :return: ``sha256:`` and 64 hexadecimal digits.
    """
    return fingerprint_of(
        {
            "routine": plan.routine,
            "controls": controls_of(plan),
            "hooks": hooks_of(plan),
            "steps": list(map(_step, plan.steps)),
        },
        plan.roots,
    )


def fingerprint_of(document: Mapping[str, Any], roots: Sequence[str]) -> str:
    """Return the fingerprint of a plan's document.

    :param document: the document.
    :param roots: the project's directory, as its path is spelt in the document.
    :return: as :func:`fingerprint`.
    """
    canonical = json.dumps(
        what_runs(document, Relocation(roots)), sort_keys=True, separators=(",", ":")
    )
    return f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


class Relocation:
    """Takes the project's directory out of words, which differs from host to host.

    :param roots: the directory, as its path may be spelt.
    :param instead: what to write in its place.
    """

    def __init__(self, roots: Sequence[str], instead: str = ROOT) -> None:
        longest_first = sorted(roots, key=lambda root: (-len(root), root))
        found = "|".join(map(re.escape, longest_first))
        # A path begins a word, or stands behind a separator, "-I" or the "//" of "file:///srv": a
        # root "/app" is not in "http://app", "~/app" or "/data/app", nor in "/app-2".
        separated = r"""(?<![^\s=:,;|&<>()\[\]{}'"`])"""
        start = rf"(?:{separated}|(?<=^-[A-Za-z])|(?<=^@)|(?<==@)|(?<=://)|(?<=:///))"
        end = r"(?![\w.@+~-])"
        self._pattern = re.compile(f"{start}(?:{found}){end}") if found else None
        self._instead = instead

    def __call__(self, value: Any) -> Any:
        """Return a value of a document without the directory.

        :param value: a word, an option's value, or a container of such.
        """
        if self._pattern is None:
            return value
        if isinstance(value, str):
            return self._pattern.sub(lambda _: self._instead, value)
        if isinstance(value, list):
            return [self(one) for one in value]
        if isinstance(value, dict):
            return {self(key): self(one) for key, one in value.items()}
        return value


def what_runs(document: Mapping[str, Any], relocated: Relocation) -> dict[str, Any]:
    """Return what of a document the fingerprint covers.

    :param document: the document of a plan, or of one nested in it.
    :param relocated: takes the project's directory out of words.
    """
    return {
        "routine": document["routine"],
        "controls": document["controls"],
        "hooks": document["hooks"],
        "steps": [
            what_step_runs(step, relocated) for step in document["steps"] if step["status"] == "run"
        ],
    }


def what_step_runs(step: Mapping[str, Any], relocated: Relocation) -> dict[str, Any]:
    """Return what of a step the fingerprint covers.

    :param step: the step, from a document.
    :param relocated: takes the project's directory out of words.
    """
    return {
        "id": step["id"],
        "kind": step["kind"],
        "argv": relocated(step["argv"]),
        "options": relocated(step["options"]),
        "switches": step["switches"],
        "time_limit": step["time_limit"],
        "pre_hook": step["pre_hook"],
        "post_hook": step["post_hook"],
        "nested": what_runs(step["plan"], relocated) if "plan" in step else None,
        # What is not stated changes nothing, so that pins outlive a field that is new.
        **({"env": relocated(step["env"])} if step["env"] else {}),
        **({"variables": step["variables"]} if step["variables"] else {}),
    }


def _document(plan: Plan, *, nested: bool = False) -> dict[str, Any]:
    """Return the document of a plan, without a version."""
    document = {
        "routine": plan.routine,
        "help_text": said(plan.help_text),
        "fingerprint": "",
        "controls": controls_of(plan),
        "hooks": hooks_of(plan),
        "origins": _origins(plan),
        **({} if nested else {"locks": _locks(plan), "roots": []}),
        "switches": {
            "active": list(plan.active),
            "available": {name: said(text) for name, text in plan.available.items()},
        },
        "steps": [_step(step) for step in (*plan.steps, *plan.left_out)],
        "problems": [problem_of(problem) for problem in plan.problems],
        "sources": _sources(plan.sources),
    }
    document["fingerprint"] = fingerprint_of(document, plan.roots)
    if not nested:
        words = list(_words(document))
        document["roots"] = [root for root in plan.roots if Relocation([root])(words) != words]
    return document


def _words(document: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what in a document may hold the project's directory."""
    for step in document["steps"]:
        yield from (step["argv"], step["options"], step["env"])
        if "plan" in step:
            yield from _words(step["plan"])


def controls_of(plan: Plan) -> dict[str, Any]:
    """Return the execution controls in force, as JSON can hold them.

    :param plan: the plan.
    """
    return {name: jsonable(plan.control(name)) for name in CONTROLS}


def hooks_of(plan: Plan) -> dict[str, Any]:
    """Return the callbacks that a routine states, as JSON can hold them.

    :param plan: the plan.
    """
    return {
        name: jsonable(plan.attributes[name].value) for name in HOOKS if name in plan.attributes
    }


def _origins(plan: Plan) -> dict[str, Any]:
    """Return who states the attributes of a routine itself that are in force, and where."""
    return {
        name: origin_of(plan.attributes[name].origin)
        for name in ("help_text", *CONTROLS, *HOOKS)
        if name in plan.attributes and plan.given.get(name) is None
    }


def _locks(plan: Plan) -> list[dict[str, str]]:
    """Return the locks of the whole run: a nested routine's are taken with the others."""
    return [
        {"routine": one.routine, "backend": one.backend, "detail": one.detail} for one in plan.locks
    ]


def _step(step: Step) -> dict[str, Any]:
    declared = step.declaration
    document = {
        "position": step.position,
        "id": step.id,
        "kind": declared.kind,
        "argv": jsonable(declared.argv),
        "options": jsonable(declared.options),
        "env": jsonable(declared.env),
        "variables": list(declared.variables),
        "time_limit": declared.time_limit,
        "pre_hook": jsonable(declared.pre_hook),
        "post_hook": jsonable(declared.post_hook),
        "subprocess": step.apart,
        "outside_transaction": step.outside_transaction,
        "priority": declared.priority,
        "effective_priority": step.effective_priority,
        "switches": list(declared.switches),
        "run_before": list(declared.refs("run_before")),
        "run_after": list(declared.refs("run_after")),
        "help_text": said(declared.help_text),
        "status": step.status,
        "reason": {"code": step.reason.code, "detail": step.reason.detail},
        "origin": origin_of(step.origin),
        "overridden_by": [
            {
                "attribute": change.attribute,
                "old": jsonable(change.old),
                "new": jsonable(change.new),
                "origin": origin_of(change.origin),
            }
            for change in step.overridden_by
        ],
    }
    if step.nested is not None:
        document["plan"] = _document(step.nested, nested=True)
    return document


def origin_of(origin: Origin) -> dict[str, Any]:
    """Return an origin, as JSON has it.

    :param origin: the origin.
    """
    return {
        "kind": origin.source.kind,
        "source": origin.source.name,
        **release_of(origin.release),
        "file": origin.file,
        "line": origin.line,
    }


def shown_origin(origin: Mapping[str, Any]) -> str:
    """Return whose something is, with the distribution behind it, and where, on one line.

    :param origin: the origin, as JSON has it.
    """
    name, release = origin["source"], origin["distribution"]
    if release:
        whole = f"{release} {origin['version']}" if origin["version"] else release
        name = whole if release == name else f"{name} ({whole})"
    place = origin["file"] or ""
    if place and origin["line"] is not None:
        place += f":{origin['line']}"
    return printable(f"{name} {place}".strip())


def release_of(release: Release | None) -> dict[str, str | None]:
    """Return the distribution behind something, as JSON has it.

    :param release: the distribution, or ``None`` if it is not known.
    """
    return {
        "distribution": None if release is None else release.name,
        "version": None if release is None else release.version,
    }


def problem_of(problem: Problem) -> dict[str, Any]:
    """Return a problem, as JSON has it.

    :param problem: the problem.
    """
    return {
        "id": problem.id,
        "level": problem.level,
        "message": problem.message,
        "hint": problem.hint,
        "origin": origin_of(problem.origin),
    }


def _sources(sources: Sequence[tuple[Searched, int]]) -> list[dict[str, Any]]:
    """Return each source once: a distribution's entry points count together."""
    documents: dict[tuple[str, str], dict[str, Any]] = {}
    for searched, steps in sources:
        source = searched.source
        document = documents.setdefault(
            (source.kind, source.name),
            {
                "kind": source.kind,
                "source": source.name,
                "version": source.release.version if source.release else None,
                "steps": 0,
            },
        )
        document["steps"] += steps
    return list(documents.values())
