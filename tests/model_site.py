"""A site as a list of who said what, and what follows from that, worked out anew each time.

This is the rule of ``docs/`` a second time, slow and plain: nothing is kept but what was said, by
whom and in which order, and nothing here reads the modules that make a plan of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any

from .reference import Placed, base_order, lined_up, meant, reference_keys

# --- what can be said ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Command:
    """A command, with what was given of its fields; ``None`` and ``()`` are not given."""

    words: tuple[str, ...]
    kind: str = "management"
    priority: int | None = None
    switches: tuple[str, ...] = ()
    step_id: str | None = None
    run_before: tuple[str, ...] = ()
    run_after: tuple[str, ...] = ()
    time_limit: int | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """What was given, but for the words and the options."""
        names = ("priority", "switches", "step_id", "run_before", "run_after", "time_limit")
        given = {name: getattr(self, name) for name in names}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value is not None and value != ()
        }


@dataclass(frozen=True)
class Attribute:
    """An attribute of a routine, or ``--demo``, the help of a switch."""

    name: str
    value: Any


@dataclass(frozen=True)
class Override:
    """The last word on a step."""

    ref: str
    changes: tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Said:
    """One thing that is said of a routine."""

    routine: str
    what: Command | Attribute | Override

    @property
    def call(self) -> tuple[str, list[Any], dict[str, Any]]:
        """The function, its arguments and its keywords that say it."""
        what = self.what
        if isinstance(what, Command):
            verb = "command" if what.kind == "management" else "system"
            return verb, [self.routine, *what.words], {**what.fields, **dict(what.options)}
        if isinstance(what, Attribute):
            return "routine", [self.routine], {what.name.removeprefix("--"): what.value}
        if what.changes == (("disabled", True),):
            return "disable", [self.routine, what.ref], {}
        return "override", [self.routine, what.ref], dict(what.changes)

    @property
    def entry(self) -> dict[str, Any]:
        """A command's dictionary in a list of commands."""
        what = self.what
        assert isinstance(what, Command)
        options = {"options": dict(what.options)} if what.options else {}
        return {what.kind: what.words, **what.fields, **options}


def dictionary(said: Iterable[Said]) -> dict[str, Any]:
    """Return the value of ``DJANGO_ROUTINES`` that says all this, of overrides the last of each."""
    result: dict[str, Any] = {}
    for one in said:
        routine, what = result.setdefault(one.routine, {}), one.what
        if isinstance(what, Command):
            routine.setdefault("commands", []).append(one.entry)
        elif isinstance(what, Override):
            routine.setdefault("overrides", {})[what.ref] = dict(what.changes)
        elif what.name.startswith("--"):
            routine.setdefault("switch_helps", {})[what.name.removeprefix("--")] = what.value
        else:
            routine[what.name] = what.value
    return result


@dataclass(frozen=True)
class Heard:
    """Something that was said, and where, as far as a plan tells it."""

    said: Said
    file: str | None = None
    line: int | None = None
    exact: bool = True
    """Whether a plan knows the file; and with a line, that too."""


# --- settings files ------------------------------------------------------------------------------

HEAD = "from django_runbook import *"


@dataclass(frozen=True)
class Call:
    """A line that calls a function."""

    said: Said

    @property
    def text(self) -> str:
        """The line."""
        verb, args, kwargs = self.said.call
        given = [*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())]
        return f"{verb}({', '.join(given)})"


@dataclass(frozen=True)
class Extend:
    """A line that puts a command into a list that is there, or is made for it."""

    said: Said
    as_object: bool = False

    @property
    def text(self) -> str:
        """The line."""
        entry = repr(self.said.entry)
        if self.as_object:
            what = self.said.what
            assert isinstance(what, Command)
            kind = "ManagementCommand" if what.kind == "management" else "SystemCommand"
            given = {**what.fields, **({"options": dict(what.options)} if what.options else {})}
            words = "".join(f", {key}={value!r}" for key, value in given.items())
            entry = f"{kind}({what.words!r}{words})"
        there = (
            f'globals().setdefault("DJANGO_ROUTINES", {{}}).setdefault({self.said.routine!r}, {{}})'
        )
        return f'{there}.setdefault("commands", []).append({entry})'


@dataclass(frozen=True)
class Assign:
    """A line that assigns the setting."""

    said: tuple[Said, ...]
    takes_over: str = ""
    """``all`` if the rest of the setting is taken over, ``copied`` if that is a copy, ``commands``
    if the routines' own commands are taken over, too."""

    @property
    def text(self) -> str:
        """The line."""
        there = 'globals().get("DJANGO_ROUTINES", {})'
        if not self.takes_over:
            return f"DJANGO_ROUTINES = {dictionary(self.said)!r}"
        if self.takes_over == "copied":
            there = f'__import__("copy").deepcopy({there})'
        if self.takes_over != "commands":
            return f"DJANGO_ROUTINES = {{**{there}, **{dictionary(self.said)!r}}}"
        parts = []
        for name, routine in dictionary(self.said).items():
            old = f"{there}.get({name!r}, {{}})"
            commands = f"[*{old}.get('commands', ()), *{routine.pop('commands', [])!r}]"
            # What it holds is copied: a call below must not write into what was there before.
            own = f'**__import__("copy").deepcopy({old}), **{routine!r}'
            parts.append(f"{name!r}: {{{own}, 'commands': {commands}}}")
        return f"DJANGO_ROUTINES = {{**{there}, {', '.join(parts)}}}"


@dataclass(frozen=True)
class Include:
    """A line that includes components."""

    pattern: str
    optional: bool = False

    @property
    def text(self) -> str:
        """The line."""
        return (
            f"include(optional({self.pattern!r}))"
            if self.optional
            else f"include({self.pattern!r})"
        )


Line = Call | Extend | Assign | Include


@dataclass
class _Pending:
    """What a file has assigned and no ``include()`` has seen yet."""

    heard: list[Heard]
    over: bool
    """Whether what was there is taken over."""

    replaced: set[str]
    """The routines that have a dictionary of their own in it."""


class Reading:
    """What the settings files say, read from the first line of the main one.

    An assignment adds to what was said before, once an ``include()`` has looked at that. Before
    the first ``include()``, and between two, Python has its way: it replaces.

    :param files: the lines of each file, below the one that imports the functions.
    """

    def __init__(self, files: Mapping[str, Sequence[Line]]) -> None:
        self.files = files
        self.kept: list[Heard] = []
        self.pending: _Pending | None = None
        self.merging = False
        self.defined = False
        self.included: list[str] = []
        self._file("main.py")

    @property
    def heard(self) -> list[Heard]:
        """Everything that counts."""
        everything = [*self.kept, *(self.pending.heard if self.pending else ())]
        # Without an include() that has looked, nobody can tell which file has extended a list.
        return [
            one if one.exact or not self.merging else replace(one, exact=True) for one in everything
        ]

    def _file(self, name: str) -> None:
        for number, line in enumerate(self.files.get(name, ()), start=2):
            if isinstance(line, Include):
                self._look()
                for file in self._found(name, line.pattern):
                    if file not in self.included:
                        self.included.append(file)
                        self._file(file)
                        self._look()
            elif isinstance(line, Call):
                self._add(Heard(line.said, name, number))
            elif isinstance(line, Extend):
                self._add(Heard(line.said, name, exact=False))
            else:
                self._assign(line, name)

    def _found(self, name: str, pattern: str) -> list[str]:
        below = str(PurePosixPath(name).parent / pattern)
        names = sorted(one for one in self.files if fnmatch(one, below))
        return [one for one in names if one.count("/") == below.count("/")]

    def _look(self) -> None:
        if not self.defined:
            return
        self.merging = True
        if self.pending is not None:
            self.kept += self.pending.heard
            self.pending = None

    def _add(self, heard: Heard) -> None:
        self.defined = True
        routine = heard.said.routine
        if self.pending is None and self.merging and not self.kept:
            self.pending = _Pending([], over=True, replaced=set())  # an empty one is made anew
        pending = self.pending
        known = any(one.said.routine == routine for one in self.kept)
        if pending is None or (pending.over and known and routine not in pending.replaced):
            self.kept.append(heard)
        else:
            pending.heard.append(heard)
            pending.replaced.add(routine)

    def _assign(self, line: Assign, name: str) -> None:
        self.defined = True
        heard = [Heard(one, name) for one in counted(line.said)]
        routines = {one.said.routine for one in heard}
        if not self.merging:
            old = self.kept if line.takes_over else []
            if line.takes_over != "commands":
                old = [one for one in old if one.said.routine not in routines]
            self.kept = [*old, *heard]
            return
        if self.pending is None or not line.takes_over:
            self.pending = _Pending([], bool(line.takes_over), set())
        pending = self.pending
        if line.takes_over == "copied":
            pending.replaced |= {one.said.routine for one in self.kept}
        if line.takes_over != "commands":
            pending.heard = [one for one in pending.heard if one.said.routine not in routines]
        pending.heard += heard
        pending.replaced |= routines


def counted(said: Iterable[Said]) -> list[Said]:
    """Return what a dictionary holds of this: of two overrides of one step the later one's."""
    result: list[Said] = []
    for one in said:
        what = one.what
        places = [
            index
            for index, other in enumerate(result)
            if isinstance(what, Override)
            and isinstance(other.what, Override)
            and (other.routine, other.what.ref) == (one.routine, what.ref)
        ]
        if places:
            result[places[0]] = one
        else:
            result.append(one)
    return result


# --- who says it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Speaker:
    """A source."""

    kind: str
    name: str
    rank: tuple[Any, ...] = ()
    entry_point: str = ""


SETTINGS = Speaker("settings", "settings", (0,))


def app(label: str, index: int) -> Speaker:
    """Return an app at its place in ``INSTALLED_APPS``."""
    return Speaker("app", label, (1, index))


def distribution(name: str, entry_point: str) -> Speaker:
    """Return an entry point of a distribution."""
    return Speaker("distribution", name, (2, name, entry_point), entry_point)


def once(said: Sequence[Said]) -> list[Said]:
    """Return what ``ready()`` said, once however often it was called.

    Of that the commands of each routine must be the same ones k times over.
    """
    commands: dict[str, list[Said]] = {}
    for one in said:
        if isinstance(one.what, Command):
            commands.setdefault(one.routine, []).append(one)

    def repeated(items: Sequence[Said], times: int) -> bool:
        size, rest = divmod(len(items), times)
        return not rest and list(items) == list(items[:size]) * times

    most = max((len(items) for items in commands.values()), default=1)
    times = max(k for k in range(1, most + 1) if all(repeated(one, k) for one in commands.values()))
    left = {name: len(items) // times for name, items in commands.items()}
    result = []
    for one in said:
        if isinstance(one.what, Command):
            left[one.routine] -= 1
            if left[one.routine] < 0:
                continue
        result.append(one)
    return result


# --- what follows --------------------------------------------------------------------------------


@dataclass
class Step:
    """A step, as far as a plan is compared."""

    id: str
    speaker: Speaker
    heard: Heard
    command: Command
    number: int
    """Its place among the steps of its source."""

    disabled: bool = False
    changed: list[str] = field(default_factory=list)
    effective: int = 0
    nested: Expected | None = None

    @property
    def priority(self) -> int:
        """Its priority; what is no whole number does not count."""
        given = self.command.priority
        return given if given is not None and not isinstance(given, bool) else 0

    @property
    def names(self) -> tuple[str, str]:
        """The names by which a ref may mean it."""
        return self.command.words[0], PurePosixPath(self.command.words[0]).name

    def placed(self) -> Placed:
        """Return it as the ordering rule sees it."""
        key = (self.priority, *self.speaker.rank, self.number)
        name, also = self.names
        command = self.command
        return Placed(self.id, name, key, command.run_before, command.run_after, also)


@dataclass
class Routine:
    """A routine, before it is known which switches are on."""

    steps: list[Step] = field(default_factory=list)
    attributes: dict[str, tuple[Any, Speaker]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    of_order: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def switches(self) -> list[str]:
        """Every switch that a step names or that has a help text."""
        named = {switch for step in self.steps for switch in step.command.switches}
        helped = {name.removeprefix("--") for name in self.attributes if name.startswith("--")}
        return sorted(named | helped)

    def stated(self, name: str) -> Any:
        """Return the value of an attribute that is in force, or false."""
        return self.attributes[name][0] if name in self.attributes else False


@dataclass
class Expected:
    """The plan that there must be."""

    routine: str
    attributes: dict[str, tuple[Any, Speaker]]
    switches: dict[str, Any]
    run: list[Step]
    left_out: list[tuple[str, Step]]
    problems: Counter[str] = field(default_factory=Counter)

    @property
    def what_runs(self) -> Any:
        """What the fingerprint covers."""
        controls = ("atomic", "subprocess", "continue_on_error")
        return (
            self.routine,
            [self.attributes[one][0] if one in self.attributes else False for one in controls],
            [
                (
                    one.id,
                    replace(one.command, priority=None, step_id=None, run_before=(), run_after=()),
                    one.nested and one.nested.what_runs,
                )
                for one in self.run
            ],
        )


MANAGEMENT = ("check", "migrate", "routine")
"""The management commands that the site has."""


class Site:
    """What everybody says, and what follows.

    :param voices: who says what; those of the same name and rank one after the other.
    :param unheard: the names of sources that are there and were not heard.
    :param problems: the codes of what is wrong with the whole.
    """

    def __init__(
        self,
        voices: Iterable[tuple[Speaker, Sequence[Heard]]],
        unheard: Iterable[str] = (),
        problems: Iterable[str] = (),
    ) -> None:
        self.voices = sorted(voices, key=lambda one: one[0].rank)
        self.unheard = set(unheard)
        self.problems = list(problems)
        names = {heard.said.routine for _, said in self.voices for heard in said}
        self.routines = {name: self._routine(name) for name in sorted(names)}
        for name, routine in self.routines.items():
            routine.problems += self._of_nesting(name)

    @property
    def ids(self) -> list[tuple[str, str]]:
        """The routine and the id of each step."""
        return [(name, step.id) for name, one in self.routines.items() for step in one.steps]

    def _said(self, name: str) -> Iterator[tuple[Speaker, Heard]]:
        for speaker, said in self.voices:
            yield from ((speaker, one) for one in said if one.said.routine == name)

    def _routine(self, name: str) -> Routine:
        routine = Routine()
        said = list(self._said(name))
        self._name_steps(routine, said)
        self._state(routine, said)
        for _, one in said:
            if isinstance(one.said.what, Override):
                self._change(routine, one.said.what)
        self._compare(routine)
        self._order(routine)
        return routine

    def _name_steps(self, routine: Routine, said: list[tuple[Speaker, Heard]]) -> None:
        """Give ids: first those that were asked for, then the first free one of each command."""
        commands = [
            (speaker, one, one.said.what)
            for speaker, one in said
            if isinstance(one.said.what, Command)
        ]
        ids: dict[int, str] = {}
        for index, (speaker, _, command) in enumerate(commands):
            wanted = f"{speaker.name}:{command.step_id}"
            if command.step_id is not None and wanted in ids.values():
                routine.problems.append("E008")
            elif command.step_id is not None:
                ids[index] = wanted
            if isinstance(command.priority, bool):
                routine.problems.append("E001")
        for index, (speaker, one, command) in enumerate(commands):
            plain = f"{speaker.name}:{PurePosixPath(command.words[0]).name}"
            count = 1
            while index not in ids:
                wanted = plain if count == 1 else f"{plain}-{count}"
                if wanted not in ids.values():
                    ids[index] = wanted
                count += 1
            number = sum(other is speaker or other == speaker for other, *_ in commands[:index])
            routine.steps.append(Step(ids[index], speaker, one, command, number))

    def _state(self, routine: Routine, said: list[tuple[Speaker, Heard]]) -> None:
        """Take each attribute from the first source that states it, as that states it last."""
        statements: dict[str, dict[Speaker, Any]] = {}
        for speaker, one in said:
            what = one.said.what
            if isinstance(what, Attribute):
                statements.setdefault(what.name, {})[speaker] = what.value
        for name, by_speaker in statements.items():
            (first, value), *others = by_speaker.items()
            routine.attributes[name] = (value, first)
            routine.problems += ["W002" for _, other in others if other != value]

    def _change(self, routine: Routine, override: Override) -> None:
        concerned = [one for one in routine.steps if override.ref in (one.id, *one.names)]
        if not concerned:
            blocked = override.ref.partition(":")[0] in self.unheard
            routine.problems.append("W001" if blocked else "E007")
        for step in concerned:
            for name, value in override.changes:
                if name == "options" and step.command.kind == "system":
                    routine.problems.append("E001")
                if name == "disabled":
                    step.disabled = value
                    continue
                step.changed.append(name)
                given = tuple(value.items()) if isinstance(value, dict) else value
                given = tuple(given) if isinstance(given, list) else given
                step.command = replace(step.command, **{name: given})

    def _compare(self, routine: Routine) -> None:
        """Find commands that two sources run, and helps of switches that no command has."""
        first: list[Step] = []
        for step in routine.steps:
            if step.disabled:
                continue
            command = step.command
            same = [
                one
                for one in first
                if (one.command.kind, one.command.words) == (command.kind, command.words)
                and dict(one.command.options) == dict(command.options)
            ]
            if not same:
                first.append(step)
            elif same[0].speaker != step.speaker:
                routine.problems.append("W003")
        used = {switch for step in routine.steps for switch in step.command.switches}
        helps = [name.removeprefix("--") for name in routine.attributes if name.startswith("--")]
        routine.problems += ["W007" for name in helps if name not in used]

    def _order(self, routine: Routine) -> None:
        steps = [step.placed() for step in routine.steps]
        by_id = {step.id: step for step in routine.steps}
        for one in steps:
            for relation, refs in (("run_before", one.before), ("run_after", one.after)):
                for ref in refs:
                    if not meant(ref, one, steps):
                        routine.of_order.add(("W001", one.id, relation, ref))
        keys = reference_keys(steps)
        if keys is None:
            routine.of_order.add(("E006",))
            routine.order = base_order(steps)
        else:
            routine.order = (
                lined_up(steps, {one.id: (keys[one.id], one.key) for one in steps}) or []
            )
        for one in steps:
            by_id[one.id].effective = by_id[one.id].priority if keys is None else keys[one.id][0]

    # Routines in routines

    def _inner(self, step: Step) -> tuple[str, set[str]] | None:
        """Return which routine a step runs, and with which switches; none if it cannot."""
        words = step.command.words
        if words[0] != "routine" or step.command.kind != "management":
            return None
        name, switches = words[1], {word.removeprefix("--") for word in words[2:]}
        if name not in self.routines or not switches <= set(self.routines[name].switches):
            return None
        return name, switches

    def _of_nesting(self, name: str) -> list[str]:
        return [
            "E010"
            for step in self.routines[name].steps
            if step.command.words[0] == "routine" and not step.disabled and not self._inner(step)
        ]

    # Plans

    def plan(self, name: str, active: Iterable[str]) -> Expected:
        """Return the plan of a routine.

        :param name: the routine.
        :param active: the switches that are on, all of which it has.
        """
        inner = [self._inner(step) for step in self.routines[name].steps if not step.disabled]
        concerned = {name, *(one[0] for one in inner if one)}
        found: set[tuple[Any, ...]] = set()
        plan = self._plan(name, set(active), found, atomic=False, apart=False)
        of_merging = [code for one in sorted(concerned) for code in self.routines[one].problems]
        plan.problems = Counter([*self.problems, *of_merging, *(code for code, *_ in found)])
        return plan

    def _plan(
        self, name: str, active: set[str], found: set[tuple[Any, ...]], *, atomic: bool, apart: bool
    ) -> Expected:
        routine = self.routines[name]
        found |= {(code, name, *rest) for code, *rest in routine.of_order}
        atomic = atomic or bool(routine.stated("atomic"))
        apart = apart or bool(routine.stated("subprocess"))
        by_id = {step.id: step for step in routine.steps}
        run: list[Step] = []
        left_out: list[tuple[str, Step]] = []
        for step in (replace(by_id[one]) for one in routine.order):
            wanted = step.command.switches
            if step.disabled:
                left_out.append(("disabled", step))
            elif wanted and not active & set(wanted):
                left_out.append(("switched_off", step))
            else:
                run.append(step)
                self._runs(name, step, found, atomic=atomic, apart=apart)
        helps = {one: routine.attributes.get(f"--{one}", ("", None))[0] for one in routine.switches}
        return Expected(name, routine.attributes, helps, run, left_out)

    def _runs(
        self, routine: str, step: Step, found: set[tuple[Any, ...]], *, atomic: bool, apart: bool
    ) -> None:
        """Note what is wrong with a step that runs, and plan what it runs."""
        command = step.command
        management = command.kind == "management"
        apart = apart or command.time_limit is not None
        inner = self._inner(step)
        if inner is not None:
            step.nested = self._plan(*inner, found, atomic=atomic, apart=apart)
        elif management and command.words[0] not in MANAGEMENT:
            found.add(("E012", routine, step.id))
        if atomic and inner is None and command.words[0] != "routine":
            if apart or not management:
                found.add(("W010", routine, step.id))
            elif command.words[0] == "migrate":
                found.add(("W011", routine, step.id))
