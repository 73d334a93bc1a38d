"""Ten thousand malformed inputs: each ends in problems that say how to mend it, in no traceback.

With the environment variable SOAK, as ``tox run -e soak`` sets it, all of them are drawn; without
it a part.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from django.utils.functional import SimpleLazyObject
from django.utils.text import format_lazy
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from django_runbook import declare
from django_runbook.checks import check_routines
from django_runbook.commands import Routine
from django_runbook.contribute import contribute
from django_runbook.declarations import Verbs
from django_runbook.document import document_of, dumped, fingerprint_of
from django_runbook.exceptions import BadPin, DeclarationError, UnexpectedPlan
from django_runbook.explain import (
    all_to_json,
    print_difference,
    print_table,
    to_json,
    to_list,
    to_text,
)
from django_runbook.inventory import (
    inventory,
    inventory_to_json,
    inventory_to_text,
    print_inventory,
)
from django_runbook.mermaid import to_mermaid
from django_runbook.model import Code, Plan, Problem
from django_runbook.pins import read_pin
from django_runbook.registry import Registry
from django_runbook.sources import gather
from django_runbook.testing import Runbook

from . import malformed as m

pytestmark = pytest.mark.ours

SOAK = bool(os.environ.get("SOAK"))

EXAMPLES = 2500 if SOAK else 120
"""Inputs of each of the five families."""

fuzzed = settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SOUND: Any = {
    "help_text": "What nobody has touched.",
    "commands": [
        {"management": "check", "priority": 2, "options": {"deploy": True}},
        {"system": ("true", "x"), "switches": ["night"], "run_after": ["check"]},
    ],
    "switch_helps": {"night": "What only runs at night."},
    "overrides": {"true": {"priority": 1}},
}
"""A routine that stands beside the malformed one."""


# --- what is asserted ----------------------------------------------------------------------------


def assert_problem(problem: Problem) -> None:
    """A problem says what is wrong, whose it is and how to mend it, on lines of printable text."""
    assert isinstance(problem.code, Code)
    assert problem.message.strip()
    assert problem.hint.strip(), problem
    assert problem.origin.source.name
    for line in problem.lines:
        assert_line(line)
    assert_line(problem.message)
    assert_line(problem.hint)


def assert_line(text: str) -> None:
    """A text is one line, can be printed, and is the same in every process."""
    assert text.isprintable(), ascii(text)
    assert_harmless(text)


def assert_harmless(text: str) -> None:
    """A text can be written, holds no secret and no address."""
    text.encode()
    assert m.HIDDEN not in text
    assert " at 0x" not in text.replace("' at 0x7f0000000000'", "")


def rendered(registry: Registry, *, terminal: bool = False) -> tuple[dict[str, Plan], list[str]]:
    """Return every routine's plan, and all that anybody can be shown of them."""
    plans = {name: registry.plan(name, everything=True) for name in registry.routines}
    texts = []
    for name, plan in plans.items():
        apart = registry.plan(name, controls={"subprocess": True, "atomic": True, "lock": True})
        for one in (plan, apart):
            texts += [to_text(one), to_json(one), "\n".join(to_list(one))]
    texts.append(to_mermaid(list(plans.values())))
    texts.append(all_to_json(plans.values(), registry.problems))
    listed = inventory(registry.searched, registry.fragments, registry.routines)
    texts += [
        inventory_to_text(listed, registry.problems),
        inventory_to_json(listed, registry.problems),
    ]
    if terminal:
        screen = io.StringIO()
        print_inventory(listed, registry.problems, screen)
        for plan in plans.values():
            print_table(plan, screen)
        texts.append(screen.getvalue())
    return plans, texts


def assert_told(
    registry: Callable[[], Registry] = Registry, *, terminal: bool = False
) -> tuple[Registry, dict[str, Plan]]:
    """Whatever the sources say, it is planned and shown, twice the same; problems are sound."""
    one = registry()
    plans, texts = rendered(one, terminal=terminal)
    _, again = rendered(registry(), terminal=terminal)
    assert texts == again
    for text in texts:
        assert_harmless(text)
    for problem in (*one.problems, *(each for plan in plans.values() for each in plan.problems)):
        assert_problem(problem)
    return one, plans


def assert_checked() -> None:
    """The system checks have a message, a remedy and an origin each, on printable lines."""
    for message in check_routines():
        for text in (message.msg, message.hint, message.obj):
            assert text
            assert_line(str(text))


def assert_refused(registry: Registry, plans: dict[str, Plan], name: str) -> None:
    """A routine that is malformed for certain does not run."""
    errors = plans[name].errors if name in plans else registry.problems
    assert [one for one in errors if one.level == "error"]


def assert_untouched(registry: Registry, plans: dict[str, Plan], alone: Any) -> None:
    """The routine beside is planned as it is alone, but for what may concern every routine."""
    with_others = document_of(plans["sound"])
    assert with_others["fingerprint"] == alone["fingerprint"]
    assert without_places(with_others["steps"]) == without_places(alone["steps"])
    general = [one for one in registry.problems if one.routine is None]
    own = [one for one in plans["sound"].problems if one not in general]
    assert not own


def without_places(value: Any) -> Any:
    """Return a part of a document without what tells files and lines."""
    if isinstance(value, list):
        return [without_places(one) for one in value]
    if isinstance(value, dict):
        return {key: without_places(one) for key, one in value.items() if key != "origin"}
    return value


@contextmanager
def declared_in(random: Random, file: Path, declared: Any) -> Iterator[None]:
    """Have the setting as a test overrides it, or as a settings module assigns it."""
    if random.randrange(2):
        with override_settings(DJANGO_ROUTINES=declared):
            yield
        return
    module = ModuleType("fuzzed_settings")
    module.__file__ = str(file)
    module.DJANGO_ROUTINES = declared  # type: ignore[attr-defined]
    sys.modules["fuzzed_settings"] = module
    try:
        with override_settings(SETTINGS_MODULE="fuzzed_settings", DJANGO_ROUTINES=declared):
            yield
    finally:
        del sys.modules["fuzzed_settings"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settings file that spells a routine out."""
    path = tmp_path_factory.mktemp("fuzzed") / "fuzzed_settings.py"
    path.write_text('DJANGO_ROUTINES = {\n    "deploy": {"commands": [{}, {}]},\n}\n')
    return path


@pytest.fixture(scope="module")
def alone() -> Any:
    """The document of the plan of the routine that nobody has touched."""
    with override_settings(DJANGO_ROUTINES={"sound": SOUND}):
        return document_of(Registry().plan("sound", everything=True))


RANDOM = st.randoms(use_true_random=False)


def now_and_then(random: Random, times: int = 20) -> bool:
    """Tell whether to do what takes its time, once in so many times."""
    return not random.randrange(times)


# --- settings ------------------------------------------------------------------------------------


@fuzzed
@given(random=RANDOM)
def test_a_malformed_routine_is_refused(random: Random, file: Path, alone: Any) -> None:
    """It does not run, and the routine beside it is planned as if it were alone."""
    routine = m.mutated(random, m.right_routine(random))
    name = "deploy" if random.randrange(5) else m.key(random)
    declared = {name: routine, "sound": SOUND}
    note(m.described(declared))
    with declared_in(random, file, declared):
        registry, plans = assert_told(terminal=now_and_then(random))
        if now_and_then(random, 3):
            assert_checked()
        assert_untouched(registry, plans, alone)
        if type(name) is str and name == "deploy" and m.is_wrong(routine):
            assert_refused(registry, plans, name)
        try:
            list(declare.routines())
        except ImproperlyConfigured as exc:
            assert_harmless(str(exc))
        declare.get_routine("sound")


@fuzzed
@given(random=RANDOM)
def test_malformed_settings_are_told(random: Random, file: Path) -> None:
    """The whole of a setting may be anything, and so may the one that trusts plugins."""
    declared = {"deploy": m.right_routine(random), "package": m.right_routine(random)}
    declared = m.mutated(random, declared, 3) if random.randrange(5) else m.anything(random)
    policy = m.mutated(random, m.right_policy(random))
    policy = policy if random.randrange(5) else m.anything(random)
    declared, policy = m.settable(declared), m.settable(policy)
    note(m.described((declared, policy)))
    with override_settings(DJANGO_RUNBOOK=policy), declared_in(random, file, declared):
        assert_told(terminal=now_and_then(random))
        if now_and_then(random, 3):
            assert_checked()


def command(**stated: Any) -> Any:
    """Return a setting with one command that states this besides its name."""
    return {"deploy": {"commands": [{"management": "check", **stated}]}}


def in_a_subprocess(option: Any) -> Any:
    """Return a setting with one command that is to be given an option in words."""
    return {"deploy": {**command(options={"tags": option})["deploy"], "subprocess": True}}


@pytest.mark.parametrize(
    ("declared", "code", "message"),
    [
        (m.Array(), "E001", "DJANGO_ROUTINES must be a dictionary of routines, not an object of"),
        (
            m.raising(m.OwnMapping, "__iter__")({}),
            "E001",
            "DJANGO_ROUTINES cannot be read: Hostile: do not look at me.",
        ),
        (
            {"deploy": m.raising(dict, "get")(commands=[])},
            "E001",
            "Routine 'deploy' cannot be read: Hostile: do not look at me.",
        ),
        (
            {"deploy": {"commands": [m.raising(dict, "__contains__")(management="check")]}},
            "E001",
            "A command of routine 'deploy' cannot be read: Hostile: do not look at me.",
        ),
        (
            {"deploy": {"overrides": {"check": m.raising(dict, "items", "__getitem__")(x=1)}}},
            "E001",
            "Unknown key 'x' for the override of 'check' in routine 'deploy'.",
        ),
        (
            {
                "deploy": {
                    "commands": [
                        {"command": "check", "kind": SimpleLazyObject(lambda: "management")}
                    ]
                }
            },
            "E001",
            "A command of routine 'deploy' has the unknown kind an object of type SimpleLazyObjec",
        ),
        (
            {"deploy": {"overrides": [5]}},
            "E001",
            "An override must be a dictionary of changes, not 5.",
        ),
        (
            {"deploy": Routine("deploy", switch_helps=7)},  # type: ignore[arg-type]
            "E001",
            "'switch_helps' of routine 'deploy' must be a dictionary like",
        ),
        (
            {10**5000: {}},
            "E001",
            "an int that cannot be shown cannot be the name of a routine.",
        ),
        (
            command(options={"tags": m.cyclic_list()}),
            "E001",
            "'options' of 'check' in routine 'deploy' cannot be read: ValueError: it holds itself,",
        ),
        (
            command(options={"tags": m.raising(object, "__str__")()}),
            "E001",
            "'options' of 'check' in routine 'deploy' cannot be read: Hostile: do not look at me.",
        ),
        (
            command(options={"verbosity": 10**5000}),
            "E001",
            "'options' of 'check' in routine 'deploy' cannot be read: ValueError: it has more digi",
        ),
        (
            command(priority=10**5000),
            "E001",
            "'priority' of 'check' in routine 'deploy' cannot be read: ValueError: it has more dig",
        ),
        (
            command(time_limit=10**5000),
            "E001",
            (
                "'time_limit' of 'check' in routine 'deploy' must be a number of seconds above 0, "
                "not an int that cannot be shown."
            ),
        ),
        *(
            (
                command(**{name: SimpleLazyObject(partial(str, "5"))}),
                "E001",
                f"{name!r} of 'check' in routine 'deploy' must be ",
            )
            for name in ("priority", "time_limit", "pre_hook", "step_id")
        ),
        (
            in_a_subprocess(object()),
            "E016",
            (
                "settings:check in routine 'deploy' runs as a subprocess of its own, where option "
                "'tags' takes a list, not <object object>."
            ),
        ),
        (
            in_a_subprocess(m.Wordy()),
            "E016",
            (
                "settings:check in routine 'deploy' runs as a subprocess of its own, where its "
                "options have no text: Hostile: do not look at me."
            ),
        ),
        (
            {"deploy": {"commands": [{"management": "\x1b[31mred"}]}},
            "E012",
            "settings:\\x1b[31mred in routine 'deploy': there is no management command ",
        ),
    ],
)
def test_what_was_once_a_traceback_is_a_problem(declared: Any, code: str, message: str) -> None:
    """Found by the tests above, or by those who went before them."""
    with override_settings(DJANGO_ROUTINES=declared):
        registry, plans = assert_told()
        assert_checked()
        problems = plans["deploy"].problems if "deploy" in plans else registry.problems

    told = [one for one in problems if one.code == code]
    assert [one for one in told if one.message.startswith(message)], [one.message for one in told]


@pytest.mark.parametrize("policy", [m.Array(), {"GRACE_PERIOD": -(10**5000)}, m.cyclic_list()])
def test_a_policy_that_cannot_be_read_lets_nobody_in(policy: Any) -> None:
    """It is an error of every routine."""
    with override_settings(DJANGO_RUNBOOK=policy, DJANGO_ROUTINES={"sound": SOUND}):
        assert_checked()
        _, plans = assert_told()

    assert [one.code for one in plans["sound"].errors] == [Code.BAD_SETTING]


def test_a_help_text_that_cannot_be_made_is_told_in_its_place() -> None:
    """A lazy text is asked for late; what it raises is shown where the text would be."""
    declared = {"deploy": {"help_text": format_lazy("{site}"), "commands": []}}
    with override_settings(DJANGO_ROUTINES=declared):
        _, plans = assert_told()

    assert to_text(plans["deploy"]).startswith("deploy: (KeyError: 'site')\n")


# --- overrides -----------------------------------------------------------------------------------

STEPS: Any = [
    {"management": "check", "priority": 2},
    {"system": ("true", "x"), "switches": ["demo"]},
    {"management": ("check", "--deploy"), "step_id": "deeply", "run_after": ["check"]},
]


@fuzzed
@given(random=RANDOM)
def test_malformed_overrides_are_refused(random: Random, file: Path, alone: Any) -> None:
    """In either form, and nothing of a malformed one is taken over."""
    refs = ("check", "settings:check", "settings:deeply", "true", "nobody")
    overrides: Any = {ref: m.right_override(random) for ref in m.some(random, refs, 3) or ["check"]}
    if random.randrange(2):
        overrides = [{**changes, "__step__": ref} for ref, changes in overrides.items()]
    overrides = m.mutated(random, overrides)
    routine = {"help_text": "Deploy.", "commands": STEPS, "overrides": overrides}
    declared = {"deploy": routine, "sound": SOUND}
    note(m.described(declared))
    with declared_in(random, file, declared):
        registry, plans = assert_told(terminal=now_and_then(random))
        if now_and_then(random, 3):
            assert_checked()
        assert_untouched(registry, plans, alone)
        if m.is_wrong(routine):
            assert_refused(registry, plans, "deploy")


# --- contributions -------------------------------------------------------------------------------

SETTINGS_CODE = compile(
    "for verb, words, named in CALLS:\n    TRY(verb, words, named)\n", "fuzzed_settings.py", "exec"
)


def tried(verb: Callable[..., Any], words: Sequence[Any], named: dict[str, Any]) -> None:
    """Call a verb, which may refuse to declare; Python refuses what the verb has no place for."""
    try:
        inspect.signature(verb).bind(*words, **named)
    except TypeError:
        with pytest.raises(TypeError):
            verb(*words, **named)
        return
    try:
        verb(*words, **named)
    except DeclarationError as exc:
        assert_line(str(exc))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda verbs: verbs.routine("deploy", "Deploy.", SimpleNamespace(place=5)),
            "A command of routine 'deploy' must be a dictionary, a ManagementCommand or a",
        ),
        (
            lambda verbs: verbs.command("deploy", "check", tags=m.cyclic_list()),
            "'options' of 'check' in routine 'deploy' cannot be read: ValueError: it holds itself,",
        ),
        (
            lambda verbs: verbs.command("deploy", m.raising(list, "__iter__")("check")),
            "An argument of 'management' of a command in routine 'deploy' must be a string,",
        ),
        (
            lambda verbs: verbs.command(10**5000, "check"),
            "an int that cannot be shown cannot be the name of a routine.",
        ),
    ],
)
def test_what_was_once_a_traceback_of_a_verb_is_a_problem(
    call: Callable[[Verbs], None], message: str
) -> None:
    """The call succeeds, as others do, and what is wrong is told with its line."""
    runbook = Runbook()
    call(runbook.distribution("acme-cdn"))
    registry, _ = assert_told(lambda: Registry(partial(gather, (), runbook._add)))

    (problem,) = [one for one in registry.problems if one.code is Code.MALFORMED]
    assert problem.message.startswith(message)
    assert problem.origin.file == "tests/test_fuzz.py"


def test_a_refused_verb_shows_what_it_can() -> None:
    """What it was called with may have no text."""
    step: Any = m.raising(object, "__repr__")()

    with pytest.raises(DeclarationError, match=r"override\('deploy', an object of type Raising"):
        Runbook().app("auth").override("deploy", step)


@fuzzed
@given(random=RANDOM)
def test_malformed_contributions_are_told(random: Random, alone: Any) -> None:
    """Whatever the verbs are called with: by an app, by a distribution and in a settings file."""
    calls = [m.call(random) for _ in range(random.randint(1, 4))]
    said = m.changed(random, {"deploy": m.right_routine(random)}) if random.randrange(2) else {}
    note(m.described((calls, said)))
    config = apps.get_app_config("auth")
    runbook = Runbook()
    scope = {"__name__": "fuzzed_settings", "TRY": tried, "CALLS": [], "DJANGO_ROUTINES": said}
    for verb, words, named in calls:
        where = random.randrange(3)
        if where == 0:
            tried(getattr(contribute(config), verb), words, named)
        elif where == 1:
            tried(getattr(runbook.distribution("acme-cdn", "1.0"), verb), words, named)
        else:
            scope["CALLS"].append((getattr(declare, verb), words, named))
    try:
        exec(SETTINGS_CODE, scope)
        declared = {"sound": SOUND}
        if type(scope["DJANGO_ROUTINES"]) is dict:
            declared |= scope["DJANGO_ROUTINES"]
        with override_settings(DJANGO_ROUTINES=declared):
            # What a test adds is gathered as the rest is; no public name says only that.
            added = partial(gather, runbook._distributions.keys(), runbook._add)
            registry, plans = assert_told(lambda: Registry(added), terminal=now_and_then(random))
            if now_and_then(random, 3):
                assert_checked()
            if "sound" not in m.described(calls):
                assert_untouched(registry, plans, alone)
            # A place of their own is taken for theirs.
            problems = () if "'__origin" in m.described(calls) else registry.problems
            for problem in problems:
                if problem.code is Code.MALFORMED and problem.origin.source.kind != "settings":
                    assert problem.origin.file == "tests/test_fuzz.py", problem
                    assert problem.origin.line
    finally:
        vars(config).pop("_django_runbook_contribution", None)


# --- pins ----------------------------------------------------------------------------------------

COMPARED = (
    *("id", "kind", "argv", "options", "env", "variables", "switches", "time_limit"),
    *("pre_hook", "post_hook"),
)


def what_would_run(document: Any) -> Any:
    """Return what of a document must be the same, as the page on JSON says it."""
    steps = [
        [*(step[key] for key in COMPARED), what_would_run(step["plan"]) if "plan" in step else None]
        for step in document["steps"]
        if step["status"] == "run"
    ]
    return [document["routine"], document["controls"], document["hooks"], steps]


@pytest.fixture(scope="module")
def pinned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file for pins, written anew each time."""
    return tmp_path_factory.mktemp("pins") / "pin.json"


@pytest.mark.parametrize("depth", [249, 500, 985, 100_000])
def test_a_pin_that_is_nested_without_end_is_refused(pinned: Path, depth: int) -> None:
    """Though it can be parsed, and has the fingerprint of what it says."""
    with override_settings(DJANGO_ROUTINES=command(options={"deploy": True})):
        document = document_of(Registry().plan("deploy"))
    document["steps"][0]["options"] = {"deploy": "MARK"}
    document["fingerprint"] = fingerprint_of(document, ())
    text = json.dumps(document).replace('"MARK"', "[" * depth + "]" * depth)
    pinned.write_text(text)

    with pytest.raises(BadPin, match=r"nested in it without end|it is not JSON: maximum recursion"):
        read_pin(pinned)


@fuzzed
@given(random=RANDOM)
def test_malformed_pins_are_refused(random: Random, pinned: Path) -> None:
    """A file is refused with a reason, or differs, or is the plan; what differs never passes."""
    declared = {"deploy": m.right_routine(random), "sound": SOUND}
    note(m.described(declared))
    with override_settings(DJANGO_ROUTINES=declared):
        plan = Registry().plan("deploy", everything=True)
    document = document_of(plan)
    for _ in range(random.randint(1, 3)):
        document = m.changed_document(random, document)
    if random.randrange(3):
        document = forged(document)
    data = json.dumps(document).encode()
    if not random.randrange(3):
        data = m.changed_bytes(random, data)
    note(data.decode("latin-1"))
    pinned.write_bytes(data)
    try:
        pin = read_pin(pinned)
        difference = pin.difference(plan)
    except BadPin as exc:
        assert_line(str(exc))
        return
    for line in difference.lines():
        assert_line(line)
    dumped(difference.document())
    screen = io.StringIO()
    print_difference("Differs.", difference, screen)
    assert_harmless(screen.getvalue())
    try:
        pin.require(plan)
    except UnexpectedPlan as exc:
        for line in str(exc).split("\n"):
            assert_line(line)
    else:
        same = what_would_run(pin.document), what_would_run(document_of(plan))
        assert json.dumps(same[0], sort_keys=True) == json.dumps(same[1], sort_keys=True)


def forged(document: Any) -> Any:
    """Return a document with the fingerprint that its steps have, if they can have one."""
    try:
        return {**document, "fingerprint": fingerprint_of(document, document["roots"])}
    except Exception:  # noqa: BLE001 - what it holds may be anything
        return document
