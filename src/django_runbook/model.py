"""The frozen values that pass between the stages: sources, fragments, merge, order, plan.

A later stage never changes what an earlier one made; it makes a new value.

They are named tuples: to make a frozen dataclass with slots takes Python five times as long as to
make one of these, in every process that loads this module. A plan is none, as it is what users are
given: who iterates over one should be told that it has ``steps``.
"""

# No "from __future__ import annotations": NamedTuple would compile the text of each annotation.
import difflib
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeAlias

from .canonical import one_line, printable
from .secret import Secret, secrets_in, variables_in

Kind: TypeAlias = Literal["settings", "app", "distribution"]
"""The kinds of source."""

Status: TypeAlias = Literal["run", "switched_off", "disabled"]
"""What becomes of a step."""

RANKS: Mapping[str, int] = MappingProxyType({"settings": 0, "app": 1, "distribution": 2})
"""The rank of each kind of source: of two equal priorities, the lower rank's runs first."""

SortKey: TypeAlias = "tuple[int, int, int, str, str, int]"
"""``(priority, source rank, source index, source name, entry point, declaration index)``."""


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Code(StrEnum):
    """Every problem this package reports. ``E`` stops the routines it concerns, ``W`` does not.

    The ids that users see and silence are ``django_runbook.`` plus these; ``docs/checks.md``
    explains each.
    """

    MALFORMED = "E001"
    BAD_SETTING = "E002"
    NOT_LOADABLE = "E003"
    HOOK_RAISED = "E004"
    BAD_HOOK = "E005"
    CYCLE = "E006"
    OVERRIDES_NOTHING = "E007"
    DUPLICATE_ID = "E008"
    RESERVED_SWITCH = "E009"
    BAD_NESTING = "E010"
    NESTING_CYCLE = "E011"
    UNKNOWN_COMMAND = "E012"
    UNKNOWN_OPTION = "E013"
    UNKNOWN_PROGRAM = "E014"
    UNKNOWN_HOOK = "E015"
    NO_FLAG = "E016"
    UNKNOWN_DATABASE = "E017"
    VARIABLE_NOT_SET = "E018"
    LOCK_UNUSABLE = "E019"
    MATCHES_NOTHING = "W001"
    CONFLICT = "W002"
    SAME_COMMAND = "W003"
    WILDCARD_ORDER = "W004"
    UNKNOWN_PLUGIN = "W005"
    PROGRAM_NOT_HERE = "W006"
    UNUSED_SWITCH = "W007"
    LOOKS_MISSPELT = "W008"
    OPTIONS_UNKNOWN = "W009"
    OUTSIDE_TRANSACTION = "W010"
    MIGRATES_INSIDE = "W011"
    VARIABLE_NOT_HERE = "W012"


class Release(NamedTuple):
    """A distribution at one version: what an upgrade replaces by another."""

    name: str
    """The distribution's normalised name."""

    version: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}" if self.version else self.name


class Source(NamedTuple):
    """Who contributed: the project's settings, an installed app, a distribution."""

    kind: Kind
    name: str
    """``settings``, an app's label, or a distribution's normalised name."""

    index: int = 0  # type: ignore[assignment] # hides tuple.index(), which nobody needs
    """An app's place in ``INSTALLED_APPS``; 0 for the other kinds."""

    entry_point: str = ""
    """The name of a distribution's entry point; empty for the other kinds."""

    release: Release | None = None
    """The distribution that it is, or that an app came with, as far as that can be told."""

    @property
    def key(self) -> tuple[int, int, str, str]:
        """What orders sources: rank, then index, name and entry point."""
        return (RANKS[self.kind], self.index, self.name, self.entry_point)


SETTINGS = Source("settings", "settings")
"""The one source that every site has."""


class Origin(NamedTuple):
    """Where exactly something was said: source, file and line.

    The file is written so that it does not depend on where the project or the virtual
    environment lies: relative to the project's root, or as imported.
    """

    source: Source
    file: str | None = None
    line: int | None = None
    component_of: Release | None = None
    """The distribution that ships the file, if it is a component of the settings."""

    @property
    def release(self) -> Release | None:
        """The distribution behind it, as far as that can be told."""
        return self.component_of or self.source.release

    def __str__(self) -> str:
        if self.file is None:
            return self.source.name
        component = f"{self.component_of} " if self.component_of else ""
        return f"{self.source.name} ({component}{self.place})"

    @property
    def place(self) -> str:
        """``file:line`` as far as it is known, else an empty string."""
        if self.file is None:
            return ""
        return self.file if self.line is None else f"{self.file}:{self.line}"


class _Problem(NamedTuple):
    code: Code
    message: str
    hint: str
    origin: Origin
    routine: str | None = None
    """The routine that it concerns; ``None`` is every routine."""


class Problem(_Problem):
    """Something wrong: what, whose and how to mend it, each on one line.

    Names, and what libraries say, may hold anything, and it is shown in many places.
    """

    __slots__ = ()

    def __new__(  # noqa: D102 - the class says it
        cls, code: Code, message: str, hint: str, origin: Origin, routine: str | None = None
    ) -> "Problem":
        return super().__new__(cls, code, one_line(message), one_line(hint), origin, routine)

    @property
    def id(self) -> str:
        """The id under which Django's checks know it."""
        return f"django_runbook.{self.code.value}"

    @property
    def lines(self) -> tuple[str, str]:
        """The problem as people read it: what and whose, then how to mend it."""
        whose = one_line(self.origin)
        what = f"{self.level.upper()} {whose}: ({self.id}) {self.message}"
        return (what, f"    HINT: {self.hint}")

    @property
    def level(self) -> Literal["error", "warning"]:
        """``error`` stops the routine, ``warning`` does not."""
        return "error" if self.code.value.startswith("E") else "warning"


class Constraint(NamedTuple):
    """``run_before`` or ``run_after``: what a step, or an override of it, asks for."""

    relation: Literal["run_before", "run_after"]
    ref: str
    origin: Origin


class Declaration(NamedTuple):
    """One command as one source declared it, checked and in one form."""

    kind: Literal["management", "system"]
    argv: tuple[str | Secret, ...]
    origin: Origin
    options: Mapping[str, Any] = _NOTHING
    env: Mapping[str, Any] = _NOTHING
    priority: int = 0
    switches: tuple[str, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    step_id: str | None = None
    help_text: Any = ""
    time_limit: float | None = None
    pre_hook: Any = None
    post_hook: Any = None

    @property
    def name(self) -> str:
        """The command's name, without arguments."""
        return str(self.argv[0])

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What of it must not be shown, each once."""
        if not self.options and not self.env and all(type(word) is str for word in self.argv):
            return ()  # as in most of them, and it is asked often
        return secrets_in(self.argv, dict(self.options), dict(self.env))

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that its secrets come from, place by place: in the words, then
        by the names of the options, then by those of its environment.
        """
        named = [[one[key] for key in sorted(one, key=str)] for one in (self.options, self.env)]
        return variables_in(self.argv, *named)

    @property
    def command_line(self) -> str:
        """The command and its arguments on one line, as a shell would take them."""
        words = (one.quoted if isinstance(one, Secret) else shlex.quote(one) for one in self.argv)
        return printable(" ".join(words))

    @property
    def names(self) -> tuple[str, ...]:
        """The names by which a ref may mean it: a program given by its path has two."""
        name = self.name
        last = PurePath(name).name if "/" in name else ""
        return (name,) if last in ("", name) else (name, last)

    def refs(self, relation: str) -> tuple[str, ...]:
        """Return what the command asks to precede, or to follow.

        :param relation: ``run_before`` or ``run_after``.
        """
        return tuple(one.ref for one in self.constraints if one.relation == relation)


class Attribute(NamedTuple):
    """One statement about a routine itself, or about one of its switches."""

    name: str
    value: Any
    origin: Origin


class Override(NamedTuple):
    """The settings' last word on one step, or on all steps of one command name."""

    ref: str
    changes: Mapping[str, Any]
    origin: Origin


class Fragment(NamedTuple):
    """What one source says about one routine."""

    source: Source
    routine: str
    declarations: tuple[Declaration, ...] = ()
    attributes: tuple[Attribute, ...] = ()
    switch_helps: tuple[Attribute, ...] = ()
    overrides: tuple[Override, ...] = ()
    index: int = 0  # type: ignore[assignment] # hides tuple.index(), which nobody needs
    """Orders the fragments of one source, where it has more than one for a routine."""


Hearing: TypeAlias = Literal["heard", "same", "blocked", "not_allowed", "broken"]
"""What became of a source that was searched."""

_NOTES: Mapping[Hearing, str] = MappingProxyType(
    {
        "heard": "",
        "same": "counted as {}",
        "blocked": "blocked",
        "not_allowed": "not among the allowed",
        "broken": "broken",
    }
)


class Searched(NamedTuple):
    """A source that was looked at, whether or not it gave anything."""

    source: Source
    hearing: Hearing = "heard"
    where: str = ""
    """What of it was looked at: a module, or the value of an entry point."""

    same_as: str = ""
    """The name under which the same plugin is known already, if it is."""

    problem: Problem | None = None
    """Why it could not be heard, if it is broken."""

    @property
    def heard(self) -> bool:
        """Whether what it declares is in the plan; not so if it is blocked or broken."""
        return self.hearing in ("heard", "same")

    @property
    def note(self) -> str:
        """What there is to say of it: that it is blocked, broken, or known under another name."""
        return _NOTES[self.hearing].format(self.same_as)


class Change(NamedTuple):
    """What an override changed in a step."""

    attribute: str
    old: Any
    new: Any
    origin: Origin


class Reason(NamedTuple):
    """Why a step stands where it stands, or why it does not run."""

    code: str = "priority"
    detail: str = ""


class Step(NamedTuple):
    """A command placed in a plan."""

    id: str
    declaration: Declaration
    """The command, with the overrides applied."""

    base: SortKey
    """Where it would stand if nobody asked for anything else."""

    overridden_by: tuple[Change, ...] = ()
    disabled_by: Origin | None = None
    position: int | None = None
    """Counted from 1; ``None`` for a step that does not run."""

    effective_priority: int = 0
    """The priority at which its constraints let it stand."""

    status: Status = "run"
    reason: Reason = Reason()
    nested: "Plan | None" = None
    """The plan of the routine that this step runs, if it runs one."""

    apart: bool = False
    """Whether it runs in a process of its own: a program, or a management command that must."""

    outside_transaction: bool = False
    """Whether it is part of an atomic routine, but runs in a process of its own."""

    @property
    def origin(self) -> Origin:
        """Who contributed it, and where."""
        return self.declaration.origin

    def origin_of(self, attribute: str) -> Origin:
        """Return where an attribute was stated: by the step, or by an override of it.

        :param attribute: the name of a field of :class:`Declaration`.
        """
        changes = [one for one in self.overridden_by if one.attribute == attribute]
        return changes[-1].origin if changes else self.origin

    @property
    def command_line(self) -> str:
        """The command and its arguments on one line, as a shell would take them."""
        return self.declaration.command_line


class MergedRoutine(NamedTuple):
    """One routine with everything that all sources say about it, steps in base order."""

    name: str
    attributes: Mapping[str, Attribute]
    """What was stated about the routine itself; what nobody stated is at its default."""

    switch_helps: Mapping[str, Any]
    steps: tuple[Step, ...]

    @property
    def help_text(self) -> Any:
        """What the routine is for: a string, or a lazily translated one."""
        return self.attributes["help_text"].value if "help_text" in self.attributes else ""

    @property
    def switches(self) -> tuple[str, ...]:
        """Every switch that a step names or that has a help text, sorted."""
        named = {switch for step in self.steps for switch in step.declaration.switches}
        return tuple(sorted(named.union(self.switch_helps)))


class LockUse(NamedTuple):
    """A lock that a run of a plan takes before its first step."""

    routine: str
    """The routine that must not run twice: the plan's own, or one nested in it."""

    wanted: Literal[True] | str
    """What the routine's control says: ``True``, or the name of a backend."""

    backend: str
    """What takes care of it."""

    detail: str = ""
    """Which database, for that backend."""

    @property
    def description(self) -> str:
        """What takes care of it, as people read it."""
        return f"{self.backend} {self.detail}".strip()


@dataclass(frozen=True, slots=True)
class Plan:
    """The ordered steps of one routine for one set of active switches."""

    routine: str
    attributes: Mapping[str, Attribute]
    """What was stated about the routine itself."""

    active: tuple[str, ...]
    available: Mapping[str, Any]
    """Every switch of the routine and its help text, sorted by name."""

    steps: tuple[Step, ...]
    """The steps that run, in order."""

    left_out: tuple[Step, ...]
    """The steps that do not run, in the order in which they would stand."""

    problems: tuple[Problem, ...] = ()
    sources: tuple[tuple[Searched, int], ...] = ()
    """Every source that was searched, with the number of steps it gives to this routine."""

    given: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    """The execution controls that were asked for when it was made, instead of those stated."""

    everything: bool = False
    """Whether all switches were asked for at once."""

    locks: tuple[LockUse, ...] = ()
    """The locks that a run takes, sorted by routine."""

    roots: tuple[str, ...] = ()
    """The directory of the project, as its path may be spelt: what differs from host to host."""

    @property
    def help_text(self) -> Any:
        """What the routine is for: a string, or a lazily translated one."""
        return self.attributes["help_text"].value if "help_text" in self.attributes else ""

    def every_plan(self) -> "Iterator[Plan]":
        """Yield the plan of each routine that runs, those of nested routines first."""
        for step in self.steps:
            if step.nested is not None:
                yield from step.nested.every_plan()
        yield self

    def every_step(self) -> Iterator[tuple[str, Step]]:
        """Yield each step that runs with its routine's name, those of a nested routine first."""
        for step in self.steps:
            if step.nested is not None:
                yield from step.nested.every_step()
            yield self.routine, step

    def control(self, name: str) -> Any:
        """Return an execution control of the routine, or its default.

        :param name: one of :data:`CONTROLS`.
        """
        if self.given.get(name) is not None:
            return self.given[name]
        return self.attributes[name].value if name in self.attributes else CONTROLS[name]

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep the plan from running."""
        return tuple(problem for problem in self.problems if problem.level == "error")


CONTROLS: Mapping[str, bool] = MappingProxyType(
    {"atomic": False, "subprocess": False, "continue_on_error": False, "lock": False}
)
"""The execution controls of a routine and their defaults."""

HOOKS = ("initialize", "finalize", "pre_hook", "post_hook")
"""The callbacks that a routine may state."""


def closest(name: str, known: Iterable[str]) -> str:
    """Return ``Did you mean 'x'?`` for the known name that is most like this one, or ``""``.

    :param name: what was written.
    :param known: the names that would have been right.
    """
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return f"Did you mean {found[0]!r}?" if found else ""
