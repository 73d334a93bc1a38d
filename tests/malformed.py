"""Malformed declarations and malformed pins, drawn: mostly right, and wrong in one place or a few.

What is drawn at random is mostly refused at its first word. So a right value is drawn first, by a
grammar of the setting, and then changed somewhere. :func:`is_wrong` judges a routine a second time,
by a plain table, and reads nothing of the package.
"""

from __future__ import annotations

import enum
import json
import os
from collections import ChainMap, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import PurePosixPath
from random import Random
from types import MappingProxyType, SimpleNamespace
from typing import Any

from django.utils.functional import SimpleLazyObject, lazy

from django_runbook.commands import Entry, ManagementCommand, Routine, SystemCommand
from django_runbook.secret import Secret

HIDDEN = "hunter2-correct-horse"
"""What every secret holds that is drawn here: nothing may show it."""

UNSET = "RUNBOOK_TESTS_UNSET"
"""An environment variable that nobody sets."""


# --- objects that are not what they seem ---------------------------------------------------------


class Hostile(Exception):
    """What the objects below raise when they are looked at."""


def refuse(*_: Any, **__: Any) -> Any:
    """Stand for any method of an object that cannot be asked."""
    raise Hostile("do not look at me")


def raising(base: type, *methods: str) -> type:
    """Return a class whose methods of these names raise."""
    return type(f"Raising{base.__name__.title()}", (base,), dict.fromkeys(methods, refuse))


class Array:
    """As an array of numpy's: comparing gives another array, and none has a truth value."""

    def __eq__(self, _: object) -> Any:
        return Array()

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError("The truth value of an array is ambiguous.")

    def __len__(self) -> int:
        return 2


class OwnMapping(Mapping[Any, Any]):
    """A mapping of the user's own."""

    def __init__(self, held: Any) -> None:
        self.held = dict(held)

    def __getitem__(self, key: Any) -> Any:
        return self.held[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


class OwnSequence(Sequence[Any]):
    """A sequence of the user's own."""

    def __init__(self, held: Any) -> None:
        self.held = list(held)

    def __getitem__(self, index: Any) -> Any:
        return self.held[index]

    def __len__(self) -> int:
        return len(self.held)


class Addressed:
    """An object that is shown as most are."""

    def __repr__(self) -> str:
        return f"<Addressed at {id(self):#x}>"


class Wordy:
    """An object that has a text, and none for developers."""

    __repr__ = refuse

    def __str__(self) -> str:
        return "models"


class Path(os.PathLike[str]):
    """A path that cannot be told."""

    __fspath__ = refuse


class Colour(enum.Enum):
    """Names that are no strings."""

    RED = "deploy"
    BLUE = 1


class Word(enum.StrEnum):
    """Names that are strings, too."""

    DEPLOY = "deploy"
    CHECK = "check"


class Number(enum.IntEnum):
    """Numbers with names."""

    ONE = 1


class Hook:
    """Something that can be called, and asked for nothing else."""

    def __call__(self, *_: Any) -> None:
        """Do nothing."""


def cyclic_list() -> Any:
    """Return a list that holds itself."""
    held: list[Any] = ["migrate"]
    held.append(held)
    return held


def cyclic_dict() -> Any:
    """Return a dictionary that holds itself."""
    held: dict[Any, Any] = {"management": "migrate"}
    held["options"] = held
    return held


def deep(depth: int = 3000) -> Any:
    """Return a list in a list, as deep as no recursion goes."""
    held: Any = []
    for _ in range(depth):
        held = [held]
    return held


def callable_named(name: Any, module: Any = "shop.hooks") -> Any:
    """Return something that can be called, and that says odd things of itself."""
    hook = Hook()
    hook.__qualname__ = name  # type: ignore[attr-defined]
    hook.__module__ = module
    return hook


async def nobody_waits() -> None:
    """Be a hook that nobody would wait for."""


HOSTILE: Sequence[Callable[[], Any]] = (
    *(
        lambda base=base, methods=methods: raising(base, *methods)()
        for base in (object, str, int, float, list, dict, set)
        for methods in (
            ("__repr__", "__str__"),
            ("__str__",),
            ("__eq__", "__ne__"),
            ("__bool__",),
            ("__len__", "__bool__"),
            ("__iter__",),
            ("__format__",),
            ("__getattr__",),
            ("__lt__", "__gt__", "__le__", "__ge__"),
        )
        if not (base is float and methods == ("__iter__",))
    ),
    lambda: raising(dict, "__iter__", "keys", "items", "values")(a=1),
    lambda: raising(dict, "get", "__getitem__", "__contains__")(management="migrate"),
    lambda: raising(list, "__iter__", "__getitem__")(["migrate"]),
    lambda: raising(OwnMapping, "__getitem__")({"management": "migrate"}),
    lambda: raising(OwnMapping, "__iter__")({"management": "migrate"}),
    lambda: raising(OwnMapping, "__len__")({"management": "migrate"}),
    lambda: SimpleLazyObject(refuse),
    lambda: lazy(refuse, str)("Deploy."),
    type("Liar", (), {"__class__": property(refuse)}),
    Array,
    Addressed,
    Wordy,
    Path,
    cyclic_list,
    cyclic_dict,
    deep,
    lambda: callable_named(5),
    lambda: callable_named("before", None),
    lambda: callable_named(Addressed()),
    lambda: nobody_waits,
    raising(object, "__call__"),
    raising(Hook, "__getattr__"),
    raising(Hook, "__str__"),
    lambda: partial(print, raising(object, "__repr__")()),
    lambda: [Path()],
    lambda: SimpleNamespace(place="here", command=Array()),
)
"""Makes objects that raise, never end or lie when they are looked at, each a new one."""


def hashable_hostile() -> list[Any]:
    """Return keys that raise later than when they are put into a dictionary."""
    unequal = raising(str, "__eq__")
    unequal.__hash__ = str.__hash__  # type: ignore[method-assign, assignment]
    return [
        raising(object, "__repr__", "__str__")(),
        raising(str, "__str__", "__repr__")("priority"),
        raising(int, "__str__", "__repr__")(3),
        unequal("unequal"),
        Addressed(),
    ]


# --- anything ------------------------------------------------------------------------------------

SURROGATE = "\ud800"
TEXTS = (
    *("", " ", "deploy", "check", "migrate", "demo", "--demo", "all", "prioritty", "a b", "."),
    *("settings:check", "auth:check", "a:b:c", "x\ny", "\x1b[31mred", "\0", SURROGATE, "\u202e"),
    *("***", "é" * 200, "x" * 5000, "{}", "%s", "__all__", "default", "os.getcwd", "a..b", "sound"),
    *("[bold]x", "</b>", "$HOME", "redis://:pw@host", "1", "True", "routine", "settings"),
)
NUMBERS = (
    *(0, 1, -1, 5, 2**31, 2**63, 10**5000, -(10**5000), True, False, 0.5, -0.0, 1e308, 5e-324),
    *(float("nan"), float("inf"), -float("inf"), 1j, Number.ONE),
)
SECRETS: Sequence[Callable[[], Any]] = (
    lambda: Secret(HIDDEN),
    lambda: "--token=" + Secret(HIDDEN),
    lambda: Secret(HIDDEN) + 5,  # type: ignore[operator]
    lambda: Secret(5),  # type: ignore[arg-type]
    lambda: Secret([HIDDEN]),  # type: ignore[arg-type]
    lambda: Secret(Secret(HIDDEN)),  # type: ignore[arg-type]
    lambda: Secret.from_env(UNSET),
    lambda: Secret.from_env(None),  # type: ignore[arg-type]
    lambda: Secret.from_env("a=b\0"),
    lambda: f"--token={Secret(HIDDEN)}",
)
OBJECTS: Sequence[Callable[[], Any]] = (
    lambda: None,
    lambda: b"check",
    lambda: bytearray(b"x"),
    object,
    lambda: object,
    lambda: print,
    lambda: os.getcwd,
    lambda: refuse,
    lambda: PurePosixPath("x"),
    lambda: lazy(str, str)("Deploy."),
    lambda: Colour.RED,
    lambda: Colour.BLUE,
    lambda: Word.DEPLOY,
    lambda: Word.CHECK,
    lambda: range(3),
    lambda: iter(["migrate"]),
    lambda: (one for one in ["migrate"]),
    lambda: ManagementCommand("check"),
    lambda: ManagementCommand(()),
    lambda: ManagementCommand(None, priority="x", switches=5, options=[]),  # type: ignore[arg-type]
    lambda: SystemCommand(["true", 5], env=5),  # type: ignore[arg-type]
    lambda: Routine("other", commands=5),  # type: ignore[arg-type]
    lambda: Routine(5, switch_helps=7, overrides=[1]),  # type: ignore[arg-type]
    lambda: type("Unwritten", (ManagementCommand,), {"kind": 5})("check"),
    lambda: ManagementCommand,
    lambda: Routine,
    Entry,
    lambda: ("somewhere.py", 3),
    lambda: (SURROGATE, Entry(("deploy", 5))),
    lambda: ("x.py", -1),
    lambda: ("", True),
    lambda: ("nowhere/x.py", Entry((Array(),), 3)),
)

OURS = ("__origin__", "__origins__", "__malformed__", "__step__")
WRAPPERS: Sequence[Callable[[Any], Any]] = (
    lambda value: [value],
    lambda value: (value,),
    lambda value: {"deploy": value},
    lambda value: {"": value},
    lambda value: deque([value]),
    lambda value: UserList([value]),
    lambda value: OwnSequence([value]),
    lambda value: OwnMapping({"management": value}),
    lambda value: iter([value]),
    lambda value: SimpleLazyObject(lambda: value),
    lambda value: {"__malformed__": value},
    lambda value: {"__malformed__": {"commands": value}},
    lambda value: lambda: value,
)
KINDS: Sequence[Callable[[Any], Any]] = (
    OwnMapping,
    UserDict,
    MappingProxyType,
    ChainMap,
    OrderedDict,
    lambda value: defaultdict(list, value),
    raising(dict, "items"),
    raising(dict, "get"),
    raising(dict, "__iter__"),
    lambda value: list(value.items()),
    lambda value: set(map(str, value)),
    json.dumps,
)
"""Turn a dictionary into something that holds the same, or tries to."""

LISTS: Sequence[Callable[[Any], Any]] = (
    tuple,
    OwnSequence,
    UserList,
    deque,
    iter,
    lambda value: dict(enumerate(value)),
    raising(list, "__iter__"),
    raising(tuple, "__len__"),
    lambda value: [*value, *value],
    lambda value: value[::-1],
)
"""Turn a list into something that holds the same, or tries to."""


def atom(random: Random) -> Any:
    """Return anything that holds nothing else."""
    kind = random.randrange(5)
    if kind == 0:
        return random.choice(TEXTS)
    if kind == 1:
        return random.choice(NUMBERS)
    return random.choice((OBJECTS, SECRETS, HOSTILE)[kind - 2])()


def key(random: Random) -> Any:
    """Return anything that a dictionary takes as a key."""
    kind = random.randrange(4)
    if kind == 0:
        return random.choice(
            (None, 5, True, 1.5, b"commands", (), ("a", "b"), Colour.RED, Word.DEPLOY)
        )
    if kind == 1:
        return random.choice(hashable_hostile())
    return random.choice(SECRETS)() if kind == 2 else random.choice(TEXTS)


def anything(random: Random, depth: int = 2) -> Any:
    """Return anything at all."""
    kind = random.randrange(8) if depth else 0
    if kind < 4:
        return atom(random)
    held = [anything(random, depth - 1) for _ in range(random.randrange(3))]
    if kind == 4:
        return held
    if kind == 5:
        return tuple(held)
    if kind == 6:
        return {random.choice(TEXTS) for _ in held}
    return {random.choice((*TEXTS, *OURS, *OF_COMMAND)): one for one in held}


# --- a grammar of what is right ------------------------------------------------------------------


def some(random: Random, choices: Sequence[Any], most: int = 2) -> list[Any]:
    """Return some of the choices."""
    return [random.choice(choices) for _ in range(random.randrange(most + 1))]


def right_fields(random: Random) -> dict[str, Any]:
    """Return fields that any command may have."""
    refs = ("check", "migrate", "settings:check", "nobody")
    fields = {
        "priority": random.randint(-3, 3),
        "switches": some(random, ("demo", "--initial", "at-night")),
        "run_before": some(random, refs, 1),
        "run_after": some(random, refs, 1),
        "pre_hook": random.choice(("os.getcwd", print)),
        "post_hook": random.choice(("os.getcwd", print)),
        "time_limit": random.choice((5, 0.5)),
        "help_text": random.choice(("Look.", "")),
    }
    return {name: fields[name] for name in set_of(random, fields)}


def set_of(random: Random, names: Iterable[str]) -> list[str]:
    """Return some of the names, in their order."""
    return [name for name in names if not random.randrange(4)]


def right_command(random: Random) -> dict[str, Any]:
    """Return a command as it should be."""
    kind = random.randrange(5)
    entry: dict[str, Any]
    if kind < 2:
        words = ("check", "migrate", ("check", "--deploy"), ["check", "--tag", Secret(HIDDEN)])
        options = ({}, {"deploy": True}, {"tags": ["models"]}, {"verbosity": 2})
        entry = {"management": random.choice(words), "options": random.choice(options)}
    elif kind == 2:
        words = ("true", ("true", "x", PurePosixPath("y"), 5), ["true", "--x"])
        env = ({}, {"NAME": "value"}, {"TOKEN": Secret(HIDDEN)}, {"PATH": PurePosixPath("/bin")})
        entry = {"system": random.choice(words), "env": random.choice(env)}
    elif kind == 3:
        entry = {
            "management": random.choice((("routine", "sound"), ("routine", "sound", "--night")))
        }
    else:
        entry = {"command": random.choice(("check", ("check", "--deploy"))), "kind": "management"}
    entry.update(right_fields(random))
    if not random.randrange(4):
        entry["step_id"] = random.choice(("a", "b-2"))
    return entry


def right_override(random: Random) -> dict[str, Any]:
    """Return what an override may change."""
    return {**right_fields(random), **({} if random.randrange(3) else {"disabled": True})}


def right_routine(random: Random) -> dict[str, Any]:
    """Return a routine as it should be."""
    attributes = {
        "help_text": random.choice(("Deploy.", "")),
        "atomic": random.choice((True, False, "default", ["default"], "__all__")),
        "subprocess": random.choice((True, False)),
        "continue_on_error": random.choice((True, False)),
        "lock": random.choice((False, True, "file")),
        "initialize": random.choice(("os.getcwd", print)),
        "finalize": random.choice(("os.getcwd", print)),
        "pre_hook": random.choice(("os.getcwd", print)),
        "post_hook": random.choice(("os.getcwd", print)),
        "switch_helps": dict.fromkeys(some(random, ("demo", "initial")), "Help."),
        "overrides": {
            ref: right_override(random) for ref in some(random, ("check", "settings:true"))
        },
    }
    commands = [right_command(random) for _ in range(random.randint(1, 3))]
    return {"commands": commands, **{one: attributes[one] for one in set_of(random, attributes)}}


def call(random: Random) -> tuple[str, Any, Any]:
    """Return a verb and what it is called with: as it should be, and then changed somewhere."""
    verb = random.choice(("routine", "command", "command", "system", "override", "disable"))
    words: tuple[Any, ...] = ("deploy", random.choice(("check", "settings:check", "auth:true")))
    named: dict[str, Any] = {}
    if verb == "routine":
        words = ("deploy", "Deploy.", ManagementCommand(("check", "--deploy")))
        named = {"atomic": random.choice((True, "default")), "demo": "Demo data."}
    elif verb in ("command", "system"):
        words = ("deploy", *random.choice((("check",), ("true", "x"), (("check", "--deploy"),))))
        named = {**right_fields(random), "deploy": True}
        if verb == "system":
            named["env"] = {"TOKEN": Secret(HIDDEN)}
    elif verb == "override":
        named = right_override(random)
    if random.randrange(3):
        changed_words = changed(random, words)
        words = changed_words if type(changed_words) in (list, tuple) else (changed_words,)
    if random.randrange(3):
        changed_names = changed(random, named)
        named = changed_names if type(changed_names) is dict else {"priority": changed_names}
    return verb, words, {name: one for name, one in named.items() if type(name) is str}


def right_policy(random: Random) -> dict[str, Any]:
    """Return what ``DJANGO_RUNBOOK`` may say."""
    lock = {
        "project": "shop",
        "directory": "/tmp/locks",
        "alias": random.choice(("default", "other")),
        "url": random.choice((f"redis://:{HIDDEN}@host", Secret(HIDDEN))),
        "lease": random.choice((30, 1.5)),
    }
    backend = random.choice(("auto", "file", "database", "redis", "os.getcwd"))
    whole = {
        "PLUGINS": {
            "allow": random.choice(("all", ["acme-cdn"], [])),
            "block": random.choice(([], ["acme-cdn"], ("auth", "acme-cdn:x"))),
        },
        "LOCK": {"backend": backend, **{one: lock[one] for one in set_of(random, lock)}},
        "GRACE_PERIOD": random.choice((0, 10, 2.5)),
    }
    return {one: whole[one] for one in whole if random.randrange(3)}


# --- changing it somewhere -----------------------------------------------------------------------


def described(value: Any, depth: int = 6) -> str:
    """Return a text of anything, asking only what is safe to be asked."""
    kind = type(value)
    if kind in (list, tuple) and depth:
        return f"{kind.__name__}({', '.join(described(one, depth - 1) for one in value)})"
    if kind is dict and depth:
        held = (f"{described(k, depth - 1)}: {described(v, depth - 1)}" for k, v in value.items())
        return f"{{{', '.join(held)}}}"
    if kind in (ManagementCommand, SystemCommand, Routine) and depth:
        return f"{kind.__name__}{described(vars(value), depth - 1)}"
    if kind in (str, bytes, bool, float, type(None)) or (kind is int and abs(value) < 2**70):
        return repr(value)[:60]
    return f"<{kind.__name__}>"


Path_ = tuple[Any, ...]


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Yield the way to each part of a value, the whole included, as far as it is not endless."""
    yield path
    if len(path) > 6:
        return
    if type(value) is dict:
        for index, one in enumerate(value.values()):
            yield from places(one, (*path, index))
    elif type(value) in (list, tuple):
        for index, one in enumerate(value):
            yield from places(one, (*path, index))


def at(value: Any, path: Path_) -> Any:
    """Return the part of a value that a way leads to."""
    for index in path:
        value = list(value.values())[index] if type(value) is dict else value[index]
    return value


def put(value: Any, path: Path_, new: Any) -> Any:
    """Return a value with another part where a way leads to."""
    if not path:
        return new
    index, *rest = path
    if type(value) is dict:
        return {
            key: put(one, tuple(rest), new) if place == index else one
            for place, (key, one) in enumerate(value.items())
        }
    return type(value)(
        put(one, tuple(rest), new) if place == index else one for place, one in enumerate(value)
    )


def misspelt(random: Random, word: str) -> str:
    """Return a word that is almost this one."""
    place = random.randrange(max(len(word), 1))
    doubled = word[:place] + word[place : place + 1] * 2 + word[place + 1 :]
    left_out = word[:place] + word[place + 1 :]
    return random.choice((doubled, left_out, word.upper(), f"{word} "))


def as_object(random: Random, entry: dict[Any, Any]) -> Any:
    """Return the object that stands for a dictionary, perhaps with an attribute that is wrong."""
    made: Any
    stated = {name: one for name, one in entry.items() if type(name) is str}
    if "commands" in stated:
        made = Routine("deploy")
    else:
        kind = SystemCommand if "system" in stated else ManagementCommand
        made = kind(stated.pop("management", stated.pop("system", "check")))
    vars(made).update(stated)
    if random.randrange(2):
        vars(made)[random.choice([*vars(made), "place", "zzz", *OURS])] = anything(random)
    return made


def mutated(random: Random, value: Any, most: int = 2) -> Any:
    """Return a value that was right, changed in one place or a few."""
    for _ in range(random.randint(1, most)):
        value = changed(random, value)
    return value


def changed(random: Random, value: Any) -> Any:
    """Return a value with one of its parts changed."""
    path = random.choice(list(places(value)))
    part = at(value, path)
    ways: list[Callable[[Random, Any], Any]] = [replaced, wrapped]
    if type(part) is dict:
        ways += [reformed, added, added_ours, circular, as_object]
        ways += [renamed, renamed, left_out] if part else []
    elif type(part) in (list, tuple):
        ways += [reformed, appended, circular]
    elif type(part) is str:
        ways += [lambda _, word: misspelt(random, word)] * 2
    return put(value, path, random.choice(ways)(random, part))


def replaced(random: Random, _: Any) -> Any:
    """Return anything instead."""
    return anything(random)


def wrapped(random: Random, part: Any) -> Any:
    """Return something that holds it."""
    return random.choice(WRAPPERS)(part)


def reformed(random: Random, part: Any) -> Any:
    """Return the same in another shape."""
    return reshaped(random.choice(KINDS if type(part) is dict else LISTS), part)


def added(random: Random, part: dict[Any, Any]) -> Any:
    """Return it with one more key."""
    return {**part, key(random): anything(random)}


def added_ours(random: Random, part: dict[Any, Any]) -> Any:
    """Return it with a key that is the package's own."""
    return {**part, random.choice(OURS): anything(random)}


def appended(random: Random, part: Sequence[Any]) -> Any:
    """Return it with one more item."""
    return type(part)([*part, anything(random)])


def circular(random: Random, part: Any) -> Any:
    """Return something like it that holds itself."""
    if type(part) is dict:
        copy = dict(part)
        copy[random.choice([*part, "options", "commands"])] = copy
        return copy
    items = list(part)
    items.append(items)
    return items


def renamed(random: Random, part: dict[Any, Any]) -> Any:
    """Return it with one key misspelt, or another one."""
    names = list(part)
    old = random.randrange(len(names))
    if type(names[old]) is str and random.randrange(2):
        new = misspelt(random, names[old])
    else:
        new = random.choice([key(random), random.choice(OURS), *OF_COMMAND, *OF_ROUTINE])
    return {new if place == old else one: part[one] for place, one in enumerate(names)}


def left_out(random: Random, part: dict[Any, Any]) -> Any:
    """Return it without one key."""
    gone = random.randrange(len(part))
    return {one: held for place, (one, held) in enumerate(part.items()) if place != gone}


def reshaped(shape: Callable[[Any], Any], part: Any) -> Any:
    """Return a part in another shape, or a text of it where it does not go into that."""
    try:
        return shape(part)
    except Exception:  # noqa: BLE001 - what it holds may be anything
        return "no shape"


def settable(value: Any) -> Any:
    """Return a value that Django can hand out as a setting: it asks each for an attribute."""
    try:
        getattr(value, "_mask_wrapped", None)
    except Exception:  # noqa: BLE001 - what it holds may be anything
        return "not settable"
    return value


# --- judging it a second time --------------------------------------------------------------------


def _is(value: Any, *kinds: type) -> bool:
    # Not isinstance(), which would ask the object.
    return issubclass(type(value), kinds)


def _a_text(value: Any) -> bool:
    return _is(value, str) or any(one.__name__ == "Promise" for one in type(value).__mro__)


def _names(value: Any) -> bool:
    return type(value) in (list, tuple, set, frozenset) and all(_is(one, str) for one in value)


def _hook(value: Any) -> bool:
    return _is(value, str) or callable(value)


def _whole(value: Any) -> bool:
    return _is(value, int) and not _is(value, bool)


def _dictionary(value: Any) -> bool:
    return any(issubclass(one, Mapping) for one in type(value).__mro__)


OF_COMMAND: Mapping[str, Callable[[Any], bool]] = {
    "priority": _whole,
    "switches": lambda value: _names(value) or _is(value, list, tuple, set, frozenset),
    "run_before": lambda value: _names(value) or _is(value, list, tuple, set, frozenset),
    "run_after": lambda value: _names(value) or _is(value, list, tuple, set, frozenset),
    "pre_hook": _hook,
    "post_hook": _hook,
    "time_limit": lambda value: _is(value, int, float) and not _is(value, bool),
    "help_text": _a_text,
}
OF_ROUTINE: Mapping[str, Callable[[Any], bool]] = {
    "help_text": _a_text,
    "atomic": lambda value: _is(value, bool, str, list, tuple),
    "subprocess": lambda value: _is(value, bool),
    "continue_on_error": lambda value: _is(value, bool),
    "lock": lambda value: _is(value, bool, str),
    "initialize": _hook,
    "finalize": _hook,
    "pre_hook": _hook,
    "post_hook": _hook,
    "switch_helps": _dictionary,
    "overrides": lambda value: _dictionary(value) or _is(value, list),
    "commands": lambda value: _is(value, list, tuple),
    "name": lambda value: True,
}


def is_wrong(routine: Any) -> bool:
    """Tell whether what stands for a routine is malformed for certain, at its first levels."""
    if type(routine) is not dict:
        return not _dictionary(routine) and not _is(routine, Routine, SimpleLazyObject)
    for key, value in routine.items():
        known = type(key) is str and (key in OF_ROUTINE or key in OURS)
        if not known:
            return type(key) is str or not _is(key, str)
        lazy_one = value is None or type(value) is SimpleLazyObject  # may be right inside
        if key in OF_ROUTINE and not lazy_one and not OF_ROUTINE[key](value):
            return True
    commands = routine.get("commands")
    if type(commands) in (list, tuple) and any(map(_wrong_command, commands)):
        return True
    overrides = routine.get("overrides")
    if type(overrides) is list:
        return any(type(one) in (str, int, float, bool) for one in overrides)
    return type(overrides) is dict and any(map(_wrong_override, overrides.items()))


def _wrong_command(entry: Any) -> bool:
    if type(entry) is not dict:
        objects = (ManagementCommand, SystemCommand, SimpleLazyObject)
        return not _dictionary(entry) and not _is(entry, *objects)
    if "__malformed__" in entry:
        return False  # stands for something else
    if "management" in entry and "system" in entry:
        return True
    own = "env" if "system" in entry else "options"
    known = {*OF_COMMAND, *OURS, own, "management", "system", "command", "kind", "step_id"}
    return _wrong_fields(entry, {*known, "result", "env", "options"})


def _wrong_override(item: tuple[Any, Any]) -> bool:
    ref, entry = item
    if not _is(ref, str) or type(entry) is not dict:
        right = _dictionary(entry) or _is(entry, SimpleLazyObject)
        return not _is(ref, str) or not right
    return _wrong_fields(entry, {*OF_COMMAND, *OURS, "options", "env", "disabled"})


def _wrong_fields(entry: dict[Any, Any], known: set[str]) -> bool:
    for key, value in entry.items():
        if type(key) is str and key not in known:
            return True
        wanted = OF_COMMAND.get(key) if type(key) is str else None
        lazy_one = value is None or type(value) is SimpleLazyObject  # may be right inside
        if wanted is not None and not lazy_one and not wanted(value):
            return True
    return False


# --- pins ----------------------------------------------------------------------------------------

JSON_TEXTS = (
    "",
    "deploy",
    "run",
    "a\nb",
    SURROGATE,
    "\x1b[31m",
    "\0root",
    "/",
    "/srv/site",
    "é" * 80,
)
JSON_NUMBERS = (0, 1, -1, True, False, None, 2**70, 1.5, 1e400, -0.0, 10**400)


def json_junk(random: Random) -> Any:
    """Return anything that JSON can hold."""
    kind = random.randrange(7)
    if kind < 2:
        return random.choice(JSON_TEXTS)
    if kind < 4:
        return random.choice(JSON_NUMBERS)
    if kind == 4:
        return [random.choice(JSON_TEXTS), random.choice(JSON_NUMBERS)][: random.randrange(3)]
    if kind == 5:
        return {random.choice(JSON_TEXTS): random.choice(JSON_NUMBERS)}
    held: Any = random.choice(JSON_TEXTS)
    for _ in range(random.choice((5, 40, 120, 300))):
        held = [held] if random.randrange(2) else {"x": held}
    return held


def changed_document(random: Random, document: Any) -> Any:
    """Return the document of a plan with one of its parts changed."""
    path = random.choice(list(places(document)))
    part = at(document, path)
    way = random.randrange(6)
    new = json_junk(random)
    if type(part) is dict and part and way < 4:
        gone = random.choice(list(part))
        name = random.choice([*part, misspelt(random, gone), *JSON_TEXTS])
        new = {(name if key == gone else key): one for key, one in part.items()}
        if way == 0:
            new.pop(name)
        elif way == 1:
            new[gone] = json_junk(random)
    elif type(part) is list and part and way < 4:
        new = list(part)
        random.shuffle(new)
        if way == 0:
            new.append(random.choice(new))
        elif way == 1:
            new.pop()
    elif way == 4:  # something of its own, in another place
        new = at(document, random.choice(list(places(document))))
    return put(document, path, new)


def changed_bytes(random: Random, data: bytes) -> bytes:
    """Return a file with some of its bytes changed."""
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.randrange(40))
    way = random.randrange(8)
    if way == 0:
        return data[:start]
    if way == 1:
        return data[:start] + data[end:]
    if way == 2:
        return data[:start] + bytes([random.randrange(256)]) + data[start + 1 :]
    if way == 3:
        return data[:start] + data[start:end] * 2 + data[end:]
    if way == 4:
        return data.decode().encode(random.choice(("utf-16", "utf-32", "utf-8-sig", "utf-16-le")))
    if way == 5:
        twice = random.choice((b'"id"', b'"steps"', b'"routine"', b'"roots"'))
        return data.replace(twice, twice + b": 1, " + twice, 1)
    if way == 6:
        number = random.choice((b"9" * 5000, b"NaN", b"-Infinity", b"1e999", b"[" * 100_000))
        return data.replace(b"null", number, 1)
    return (
        data[:start] + random.choice((b"\xff\xfe", b"\0", b"<<<<<<< ours\n", b"//")) + data[start:]
    )
