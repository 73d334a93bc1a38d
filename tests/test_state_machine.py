"""The life of a site: whatever is said, taken back, installed and blocked, the plan is the rule's.

Settings files are written and read, apps come and go, distributions are installed and blocked.
After any such history each plan is that of ``model_site``, which knows nothing but what was said.
With the environment variable SOAK, as ``tox run -e soak`` sets it, there are many more histories.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import Distribution, DistributionFinder
from itertools import product
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
from django.apps import apps
from django.test import override_settings
from hypothesis import HealthCheck, event, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from django_runbook.document import document_of, to_json
from django_runbook.exceptions import UnknownRoutine, UnknownSwitch
from django_runbook.model import Plan
from django_runbook.registry import Registry

from .model_site import (
    HEAD,
    SETTINGS,
    Assign,
    Attribute,
    Call,
    Command,
    Expected,
    Extend,
    Heard,
    Include,
    Line,
    Override,
    Reading,
    Said,
    Site,
    Speaker,
    app,
    counted,
    dictionary,
    distribution,
    once,
)
from .projects import hook, write

pytestmark = pytest.mark.ours

SOAK = bool(os.environ.get("SOAK"))

HISTORIES = settings(
    deadline=None,
    max_examples=3000 if SOAK else 80,
    stateful_step_count=40 if SOAK else 20,
    suppress_health_check=list(HealthCheck),
)

# --- who there is --------------------------------------------------------------------------------

APPS = ("shop", "blog", "zeta")
"""The labels of the apps; one is called like a distribution."""

POINTS = {
    ("acme-cdn", "cdn"): "model_acme.cdn",
    ("acme-cdn", "purge"): "model_acme.purge",
    ("acme-shop", "shop"): "model_shop.routines",
    ("zeta", "a"): "model_zed.a",
}
"""The entry points of the distributions; one names the hooks of an app."""

MODULES = sorted(
    {f"model_{label}.{one}" for label in APPS for one in ("apps", "routines")}.union(
        POINTS.values()
    )
)
"""The modules that say something."""

SPELT = {"acme-cdn": "Acme_CDN", "acme-shop": "acme-shop", "zeta": "Zeta"}
"""The distributions as they spell themselves."""

SAYS = """
    SAID = []

    def say(declares):
        for verb, args, kwargs in SAID:
            getattr(declares, verb)(*args, **kwargs)
"""

READY = """
    from django.apps import AppConfig
    from django_runbook import contribute

    class ModelConfig(AppConfig):
        name = "model_{label}"
        label = "{label}"

        def ready(self):
            say(contribute(self))
"""

BROKEN = ("command", [], {})
"""A call that raises."""


class Installed(DistributionFinder):
    """Finds the distributions that are installed for now, beside a directory that is imported."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.names: Sequence[str] = ()

    def find_spec(self, *_: Any) -> None:
        """Leave modules to others."""

    def find_distributions(self, context: Any = None) -> Iterator[Any]:
        """Yield them to who looks at that directory, in the order in which they came."""
        context = context or DistributionFinder.Context()
        if self.root in context.path:
            for name in self.names:
                if context.name in (None, name):
                    yield InMemory(name)


class InMemory(Distribution):
    """A distribution whose metadata is no file."""

    def __init__(self, name: str) -> None:
        self._called = name

    def read_text(self, filename: str) -> str | None:
        """Return a file of the metadata."""
        if filename == "METADATA":
            return f"Metadata-Version: 2.1\nName: {SPELT[self._called]}\nVersion: 1.0\n"
        points = [f"{point} = {to}" for (name, point), to in POINTS.items() if name == self._called]
        text = "\n".join(["[django_runbook]", *points, ""])
        return text if filename == "entry_points.txt" else None

    def locate_file(self, path: Any) -> Any:
        """Return where a file of it would be."""
        return Path(path)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    """The apps and the distributions, on disk and not yet installed; each says what it is told."""
    for label in APPS:
        package = tmp_path / "apps" / f"model_{label}"
        write(package / "__init__.py", "")
        write(package / "apps.py", dedent(SAYS) + dedent(READY.format(label=label)))
        write(package / "routines.py", dedent(SAYS) + hook("say(routines)"))
    for module in POINTS.values():
        if module != "model_shop.routines":
            file = tmp_path / "plugins" / f"{module.replace('.', '/')}.py"
            write(file.parent / "__init__.py", "")
            write(file, dedent(SAYS) + hook("say(routines)"))
    monkeypatch.syspath_prepend(tmp_path / "apps")
    monkeypatch.syspath_prepend(tmp_path / "plugins")
    finder = Installed(str(tmp_path / "plugins"))
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    return finder


# --- what can be said ----------------------------------------------------------------------------

ROUTINES = st.sampled_from(["deploy", "deploy", "deploy", "package"])
SWITCHES = st.lists(st.sampled_from(["demo", "initial"]), max_size=2, unique=True).map(tuple)
WORDS = st.sampled_from(
    [
        *[("management", ("check",)), ("management", ("check", "--tag", "models"))] * 2,
        *[("management", ("migrate",)), ("system", ("warm",)), ("system", ("/opt/bin/warm",))] * 2,
        *[("system", ("warm", "-2")), ("system", ("warm-2",)), ("management", ("missing",))],
    ]
)
NESTED = st.sampled_from(
    [("routine", "package"), ("routine", "package", "--demo"), ("routine", "pakage")]
)


def rarely(strategy: st.SearchStrategy[Any], otherwise: Any) -> st.SearchStrategy[Any]:
    """Draw something one time in four."""
    return st.one_of(*[st.just(otherwise)] * 3, strategy)


def refs(machine: Life) -> st.SearchStrategy[str]:
    """Draw the id of a step that is there, or may be there, or a command's name."""
    names = ["check", "migrate", "warm", "/opt/bin/warm", "nobody"]
    return st.sampled_from([*(one for _, one in machine.steps), *names])


def some_refs(machine: Life) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw what ``run_before`` or ``run_after`` names, mostly nothing: most circles are long."""
    return rarely(refs(machine).map(lambda ref: (ref,)), ())


@st.composite
def commands(draw: st.DrawFn, machine: Life) -> Said:
    """Draw a command."""
    routine = draw(ROUTINES)
    kind, words = draw(WORDS)
    if routine == "deploy" and draw(rarely(rarely(st.just(value=True), False), False)):
        kind, words = "management", draw(NESTED)
    options = draw(rarely(st.just((("verbosity", 0),)), ())) if words[0] == "check" else ()
    command = Command(
        words,
        kind,
        draw(st.sampled_from([None, None, None, 0, 0, -1, 1, 1, 2, 3, True])),
        draw(rarely(SWITCHES, ())),
        draw(rarely(st.sampled_from(["one", "check", "check-2", "warm"]), None)),
        draw(some_refs(machine)),
        draw(some_refs(machine)),
        draw(rarely(rarely(st.just(5), None), None)),
        options,
    )
    return Said(routine, command)


@st.composite
def attributes(draw: st.DrawFn) -> Said:
    """Draw an attribute of a routine, or the help of a switch."""
    texts = st.sampled_from(["One.", "Two."])
    name = draw(st.sampled_from(["help_text", "atomic", "subprocess", "--demo", "--initial"]))
    value = draw(texts if name == "help_text" or name.startswith("--") else st.booleans())
    return Said(draw(ROUTINES), Attribute(name, value))


CHANGES: dict[str, st.SearchStrategy[Any]] = {
    "priority": st.integers(-1, 3),
    "switches": SWITCHES.map(list),
    "disabled": st.booleans(),
    "options": st.sampled_from([{}, {"verbosity": 0}]),
}


@st.composite
def overrides(draw: st.DrawFn, machine: Life) -> list[Said]:
    """Draw the last words on one step, mostly on one that is there."""
    routine, ref = draw(st.sampled_from(machine.steps or [("deploy", "settings:check")]))
    result = []
    for _ in range(draw(st.integers(1, 3))):
        called = draw(st.sampled_from([ref] * 6 + ["check", "warm", "nobody", "shop:nobody"]))
        name = draw(st.sampled_from([*CHANGES, "disabled", "priority", "run_before", "run_after"]))
        value = draw(CHANGES[name] if name in CHANGES else some_refs(machine).map(list))
        result.append(Said(routine, Override(called, ((name, value),))))
    return result


def by_plugins(machine: Life) -> st.SearchStrategy[Said]:
    """Draw what an app or a distribution may say."""
    return st.one_of(commands(machine), commands(machine), attributes())


@st.composite
def by_settings(draw: st.DrawFn, machine: Life) -> list[Said]:
    """Draw what the settings may say in one go."""
    one = st.one_of(commands(machine), attributes()).map(lambda said: [said])
    several = st.lists(st.one_of(one, overrides(machine)), max_size=3)
    return [said for together in draw(several) for said in together]


def drawn(strategy: Any) -> st.SearchStrategy[Any]:
    """Draw from a strategy that hangs on the machine."""
    return st.runner().flatmap(strategy)


FILES = {
    "main.py": ["a.py", "[ab].py", "parts/*.py", "parts/one.py", "gone.py"],
    "a.py": ["b.py", "parts/*.py", "gone.py"],
    "b.py": ["parts/two.py"],
    "parts/one.py": [],
    "parts/two.py": [],
}
"""The settings files, and what each may include."""

NAMES = st.sampled_from(["main.py", "main.py", *FILES])

INCLUSIONS = [(file, pattern) for file, patterns in FILES.items() for pattern in patterns]

POLICIES = [
    *[None, {}] * 2,
    {"block": ["shop"]},
    {"block": ["blog", "ACME.cdn"]},
    {"block": ["acme-cdn:purge", "nobody"]},
    {"allow": ["Zeta", "acme_cdn:cdn"]},
    {"allow": []},
    {"blok": ["shop"]},
]
"""What ``DJANGO_RUNBOOK["PLUGINS"]`` may say, and nothing at all."""


@dataclass(frozen=True)
class Beginning:
    """What a history begins with."""

    files: dict[str, list[Line]]
    said: dict[str, list[Said]]
    policy: dict[str, list[str]] | None


@st.composite
def lines(draw: st.DrawFn, machine: Life) -> list[Line]:
    """Draw some lines of a settings file."""
    result: list[Line] = []
    for _ in range(draw(st.integers(1, 3))):
        said = draw(commands(machine))
        more = draw(st.lists(st.one_of(attributes(), commands(machine)), max_size=1))
        forms = [Call(said), Extend(said), Assign((said, *more)), Assign((said, *more), "all")]
        result.append(draw(st.sampled_from([*forms, Assign((said,), "commands")])))
    return result


@st.composite
def beginnings(draw: st.DrawFn, machine: Life) -> Beginning:
    """Draw settings in many files and silent plugins, or plugins that say much."""
    if draw(st.booleans()):
        files = {name: draw(lines(machine)) for name in FILES}
        wildcards: list[Line] = [Include("parts/*.py"), Include("[ab].py")]
        first = wildcards.pop(draw(st.integers(0, 1)))
        files["main.py"] = [first, *draw(lines(machine)), *wildcards, *files["main.py"]]
        return Beginning(files, {}, None)
    said = {module: draw(st.lists(by_plugins(machine), max_size=3)) for module in MODULES}
    inclusion = Include(draw(st.sampled_from(["a.py", "[ab].py", "parts/*.py"])))
    main = [inclusion, *map(Call, draw(by_settings(machine)))]
    return Beginning({"main.py": main}, said, draw(st.sampled_from(POLICIES)))


# --- the machine ---------------------------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """A site whose settings, apps and distributions change.

    :param installed: finds the distributions.
    """

    def __init__(self, installed: Installed) -> None:
        super().__init__()
        self.finder = installed
        self.folder = tempfile.TemporaryDirectory()
        self.files: dict[str, list[Line]] = {name: [] for name in FILES}
        self.apps: list[str] = []
        self.calls_of_ready = Counter[str]()
        self.distributions: list[str] = []
        self.said: dict[str, list[Said]] = {}
        self.broken: set[str] = set()
        self.policy: dict[str, list[str]] | None = None
        self.overridden: list[Said] | None = None
        self.steps: list[tuple[str, str]] = []
        self.by_fingerprint: dict[str, str] = {}
        self.by_what_runs: dict[str, str] = {}

    def teardown(self) -> None:
        """Look a last time, and leave nothing behind."""
        try:
            self.compare(frozenset(), frozenset({"demo"}), frozenset({"demo", "initial"}))
        finally:
            self.finder.names = ()
            self.folder.cleanup()

    # Settings

    @initialize(start=drawn(beginnings), labels=st.permutations(APPS))
    def begin(self, start: Beginning, labels: list[str]) -> None:
        """Begin with everything installed, and with something to say."""
        self.files |= start.files
        self.said |= start.said
        self.policy = start.policy
        self.apps = labels
        self.distributions = list(SPELT)
        self.steps = self.model().ids

    @rule(said=drawn(overrides))
    def have_the_last_word(self, said: list[Said]) -> None:
        """Change a step, or disable it and take that back."""
        self.files["main.py"] += map(Call, said)

    @rule(file=NAMES, said=drawn(by_settings))
    def call(self, file: str, said: list[Said]) -> None:
        """Declare by functions."""
        self.files[file] += map(Call, said)

    @rule(file=NAMES, said=drawn(commands), as_object=st.booleans())
    def extend(self, file: str, said: Said, as_object: bool) -> None:
        """Put a command into a list in place."""
        self.files[file].append(Extend(said, as_object))

    @rule(
        file=NAMES,
        said=drawn(by_settings),
        takes_over=st.sampled_from(["", "all", "copied", "commands"]),
    )
    def assign(self, file: str, said: list[Said], takes_over: str) -> None:
        """Assign the setting; what is taken over is not replaced a line further down."""
        if takes_over == "commands":
            said = [one for one in said if isinstance(one.what, Command)]
        if takes_over == "copied" and any(isinstance(one, Extend) for one in self.files[file]):
            takes_over = "all"  # nobody can tell a copy of what knows no place from one more
        self.files[file].append(Assign(tuple(said), takes_over))

    @rule(inclusion=st.sampled_from(INCLUSIONS))
    def include_another(self, inclusion: tuple[str, str]) -> None:
        """Include components."""
        self.include(*inclusion)

    def include(self, file: str, pattern: str) -> None:
        """Include components in a file."""
        self.files[file].append(Include(pattern, optional=pattern == "gone.py"))

    @rule(file=NAMES)
    def take_a_line_out(self, file: str) -> None:
        """Take the last line of a file out."""
        del self.files[file][-1:]

    @rule(said=rarely(drawn(by_settings), None))
    def override_the_setting(self, said: list[Said] | None) -> None:
        """Set the setting as a test does, or no longer."""
        self.overridden = said

    @rule(policy=st.sampled_from(POLICIES))
    def let_in(self, policy: dict[str, list[str]] | None) -> None:
        """Say which plugins are let in."""
        self.policy = policy

    # Apps and distributions

    @rule(labels=st.permutations(APPS), count=st.integers(0, len(APPS)))
    def install_apps(self, labels: list[str], count: int) -> None:
        """Write ``INSTALLED_APPS`` anew."""
        self.apps = labels[:count]

    @rule(names=st.permutations(list(SPELT)), count=st.integers(0, len(SPELT)))
    def install_distributions(self, names: list[str], count: int) -> None:
        """Install distributions, and uninstall the others."""
        self.distributions = names[:count]

    @rule(
        module=st.sampled_from(MODULES),
        said=drawn(lambda machine: st.lists(by_plugins(machine), max_size=3)),
        adds=st.booleans(),
    )
    def contribute(self, module: str, said: list[Said], adds: bool) -> None:
        """Release a plugin that says more, or something else."""
        self.said[module] = [*(self.said.get(module, ()) if adds else ()), *said]

    @rule(label=st.sampled_from(APPS), calls=st.integers(1, 3))
    def get_ready_again(self, label: str, calls: int) -> None:
        """Let ``ready()`` of an app be called so many times from now on."""
        self.calls_of_ready[label] = calls

    @rule(module=st.sampled_from([one for one in MODULES if not one.endswith(".apps")]))
    def break_or_mend(self, module: str) -> None:
        """Let a hook raise after all that it says, or no longer."""
        self.broken ^= {module}

    # Looking

    @rule(active=st.frozensets(st.sampled_from(["demo", "initial"])))
    def look(self, active: frozenset[str]) -> None:
        """Look at the site."""
        self.compare(active)

    def compare(self, *actives: frozenset[str]) -> None:
        """Compare the plan of every routine with what follows from all that was said."""
        model = self.model()
        self.steps = model.ids
        with self.site(), self.told():
            registry, again = Registry(), Registry()
            assert list(registry.routines) == list(model.routines)
            for name, active in product(model.routines, actives):
                known = model.routines[name].switches
                plan = registry.plan(name, active.intersection(known))
                expected = model.plan(name, active.intersection(known))
                compare(plan, expected)
                document = document_of(plan)
                compare_document(document, plan)
                self.compare_fingerprint(document["fingerprint"], expected)
                if active == actives[-1]:
                    assert to_json(again.plan(name, sorted(active.intersection(known)))) == to_json(
                        plan
                    )
                for unknown in active.difference(known):
                    with pytest.raises(UnknownSwitch):
                        registry.plan(name, [unknown])
            with pytest.raises(UnknownRoutine):
                registry.plan("unknown")

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell with a failure what the settings files say."""
        try:
            yield
        except BaseException:
            for file in sorted(Path(self.folder.name).rglob("*.py")):
                note(f"--- {file.name}\n{file.read_text()}")
            raise

    def compare_fingerprint(self, fingerprint: str, expected: Expected) -> None:
        """Compare with all that was seen before: the same if and only if the same would run."""
        what_runs = repr(expected.what_runs)
        assert self.by_fingerprint.setdefault(fingerprint, what_runs) == what_runs
        assert self.by_what_runs.setdefault(what_runs, fingerprint) == fingerprint

    def model(self) -> Site:
        """Return what there is, as the model of it."""
        if self.overridden is not None:
            of_settings = [Heard(one) for one in counted(self.overridden)]
        else:
            of_settings = Reading(self.files).heard
        voices = [(SETTINGS, of_settings)]
        problems, heard, unheard = [], {"settings"}, set()
        malformed = self.policy is not None and not {"allow", "block"}.issuperset(self.policy)
        if malformed:
            problems.append("E002")
        allow = [] if malformed else (self.policy or {}).get("allow")
        block = (self.policy or {}).get("block", ())
        speakers = [
            (app(label, index), f"model_{label}.routines") for index, label in enumerate(self.apps)
        ] + [
            (distribution(name, point), module)
            for (name, point), module in POINTS.items()
            if name in self.distributions
        ]
        known = {module for speaker, module in speakers if speaker.kind == "app"}
        for speaker, module in speakers:
            blocked = any(names(one, speaker) for one in block)
            let_in = allow is None or any(names(one, speaker) for one in allow)
            if blocked or (speaker.kind == "distribution" and not let_in):
                unheard.add(speaker.name)
                continue
            if speaker.kind == "app":
                ready = self.said.get(f"model_{speaker.name}.apps", [])
                file = f"model_{speaker.name}/apps.py"
                said = once(list(ready) * max(self.calls_of_ready[speaker.name], 1))
                voices.append((speaker, [Heard(one, file) for one in said]))
            elif module in known:
                heard.add(speaker.name)
                continue
            if module in self.broken:
                problems.append("E004")
                unheard.add(speaker.name)
                continue
            heard.add(speaker.name)
            file = f"{module.replace('.', '/')}.py"
            voices.append((speaker, [Heard(one, file) for one in self.said.get(module, ())]))
        problems += [
            "W005"
            for one in {*(allow or ()), *block}
            if not any(names(one, speaker) for speaker, _ in speakers)
        ]
        return Site(voices, unheard - heard, problems)

    def site(self) -> ExitStack:
        """Return the site as it is, for as long as it is looked at."""
        stack = ExitStack()
        changed: dict[str, Any] = {
            "INSTALLED_APPS": [
                "django_runbook",
                *(f"model_{label}.apps.ModelConfig" for label in self.apps),
            ],
            "DJANGO_RUNBOOK": {} if self.policy is None else {"PLUGINS": self.policy},
        }
        self.finder.names = self.distributions
        for module in MODULES:
            said = [one.call for one in self.said.get(module, ())]
            said += [BROKEN] if module in self.broken else []
            vars(importlib.import_module(module))["SAID"] = said
        if self.overridden is not None:
            changed["DJANGO_ROUTINES"] = dictionary(self.overridden)
        else:
            namespace = self.executed()
            changed["SETTINGS_MODULE"] = namespace["__name__"]
            stack.callback(sys.modules.pop, namespace["__name__"])
            if "DJANGO_ROUTINES" in namespace:
                changed["DJANGO_ROUTINES"] = namespace["DJANGO_ROUTINES"]
        stack.enter_context(override_settings(**changed))
        for label in self.apps:
            for _ in range(1, self.calls_of_ready[label]):
                apps.get_app_config(label).ready()
        return stack

    def executed(self) -> dict[str, Any]:
        """Write the settings files, and execute the main one as a module."""
        for name, lines in self.files.items():
            head = HEAD if name == "main.py" else "# A component."
            write(
                Path(self.folder.name, name), "\n".join([head, *(line.text for line in lines), ""])
            )
        module = ModuleType("main")
        module.__file__ = str(Path(self.folder.name, "main.py"))
        sys.modules["main"] = module
        code = compile(Path(module.__file__).read_text(), module.__file__, "exec")
        exec(code, vars(module))
        return vars(module)


def names(name: str, speaker: Speaker) -> bool:
    """Tell whether a name in the policy means a source."""
    if speaker.kind == "app":
        return name == speaker.name
    spelt = name.lower().replace("_", "-").replace(".", "-")
    return spelt in (speaker.name, f"{speaker.name}:{speaker.entry_point}")


def seen(plan: Plan) -> list[Any]:
    """Return what of a plan's steps is compared."""
    return [
        (
            step.id,
            step.status,
            step.position,
            step.declaration.kind,
            step.declaration.argv,
            dict(step.declaration.options),
            step.declaration.priority,
            step.effective_priority,
            step.declaration.switches,
            step.origin.source.kind,
            step.origin.source.name,
            step.origin.source.entry_point,
            [change.attribute for change in step.overridden_by],
            seen(step.nested) if step.nested else None,
        )
        for step in (*plan.steps, *plan.left_out)
    ]


def foreseen(expected: Expected) -> list[Any]:
    """Return the same of the plan that there must be."""
    run = [("run", place, step) for place, step in enumerate(expected.run, start=1)]
    left_out = [(status, None, step) for status, step in expected.left_out]
    return [
        (
            step.id,
            status,
            place,
            step.command.kind,
            step.command.words,
            dict(step.command.options),
            step.priority,
            step.effective,
            step.command.switches,
            step.speaker.kind,
            step.speaker.name,
            step.speaker.entry_point,
            step.changed,
            foreseen(step.nested) if step.nested else None,
        )
        for status, place, step in (*run, *left_out)
    ]


def compare(plan: Plan, expected: Expected) -> None:
    """Compare a plan with the one that there must be."""
    assert seen(plan) == foreseen(expected)
    found = Counter(problem.code.value for problem in plan.problems)
    circles = found.pop("E006", 0), expected.problems.pop("E006", 0)
    assert found == expected.problems, [problem.message for problem in plan.problems]
    assert bool(circles[0]) == bool(circles[1])
    for one in (plan, *(step.nested for step in plan.steps if step.nested)):
        assert len({step.id for step in (*one.steps, *one.left_out)}) == len(one.steps) + len(
            one.left_out
        )
    stated = {
        name: (one.value, one.origin.source.kind, one.origin.source.name)
        for name, one in plan.attributes.items()
    }
    assert stated == {
        name: (value, speaker.kind, speaker.name)
        for name, (value, speaker) in expected.attributes.items()
        if not name.startswith("--")
    }
    assert dict(plan.available) == expected.switches
    wanted = [*expected.run, *(step for _, step in expected.left_out)]
    for step, other in zip((*plan.steps, *plan.left_out), wanted, strict=True):
        heard = other.heard
        if heard.exact:
            assert step.origin.file == heard.file, step.id
        if heard.line is not None:
            assert step.origin.line == heard.line, step.id
    for one in ("E006", "E007", "W001", "W002", "W003"):
        if found[one] or (one == "E006" and circles[0]):
            event(f"a plan with {one}")


def compare_document(document: dict[str, Any], plan: Plan) -> None:
    """Compare the JSON document with the plan that it stands for."""
    assert json.loads(to_json(plan)) == json.loads(json.dumps(document))
    assert [
        (step["id"], step["status"], step["position"], step["effective_priority"])
        for step in document["steps"]
    ] == [
        (step.id, step.status, step.position, step.effective_priority)
        for step in (*plan.steps, *plan.left_out)
    ]
    assert [one["id"] for one in document["problems"]] == [one.id for one in plan.problems]
    for source in document["sources"]:
        steps = [one for one in document["steps"] if one["origin"]["source"] == source["source"]]
        kinds = [one for one in steps if one["origin"]["kind"] == source["kind"]]
        assert source["steps"] == len(kinds)


def test_whatever_happens_to_a_site_its_plans_are_those_of_the_rule(installed: Installed) -> None:
    """Order, ids, priorities, statuses, origins, attributes and problems; nothing is lost."""
    run_state_machine_as_test(lambda: Life(installed), settings=HISTORIES)
