"""Which lock a routine takes: what the setting says, what it is called, how a holder is shown."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any
from unittest import mock

import pytest
from django.db import connections
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_runbook.locks import Holder, LockUnusable, lock_of
from django_runbook.locks.backend import host_name, read_stamp, stamp
from django_runbook.locks.choice import lock_name
from django_runbook.model import SETTINGS, Code
from django_runbook.policy import BACKENDS, LockPolicy, Policy, read_policy
from django_runbook.secret import Secret

from .projects import Project

pytestmark = pytest.mark.ours

many = settings(deadline=None, max_examples=200)

CHECK = ("check", "--deploy", "--tag", "django_runbook")


# What the setting says


def locks(lock: Any) -> Policy:
    """Return what is read of a setting that says this of locks."""
    return read_policy({"LOCK": lock})


@pytest.mark.parametrize("setting", [None, {}, {"PLUGINS": {}}])
def test_nothing_said_is_automatic(setting: Any) -> None:
    """Then nobody is told of a lock that a site may never take."""
    policy = read_policy(setting)

    assert policy.problems == ()
    assert policy.lock == LockPolicy("auto", None, {})


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ({}, LockPolicy("auto", None, {})),
        ({"backend": "auto"}, LockPolicy("auto", None, {})),
        ({"backend": "file"}, LockPolicy("file", None, {})),
        ({"backend": "database"}, LockPolicy("database", None, {})),
        ({"backend": "redis"}, LockPolicy("redis", None, {})),
        ({"backend": "site.locks.Own"}, LockPolicy("site.locks.Own", None, {})),
        ({"project": "mysite"}, LockPolicy("auto", "mysite", {})),
        ({"project": "Zürich straße"}, LockPolicy("auto", "Zürich straße", {})),
    ],
)
def test_what_a_backend_and_a_project_may_be(said: dict[str, Any], read: LockPolicy) -> None:
    """They are not among what is handed to the backend."""
    policy = locks(said)

    assert policy.problems == ()
    assert policy.lock == read
    assert (policy.allow, policy.block) == (None, frozenset())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("directory", "/var/lock/mysite"),
        ("directory", Path("/var/lock/mysite")),
        ("directory", PurePosixPath("/var/lock/mysite")),
        ("alias", "locks"),
        ("url", "redis://redis.example.com:6379/0"),
        ("url", Secret("redis://:hunter2@redis.example.com:6379/0")),
        ("url", Secret.from_env("A_VARIABLE_THAT_NOBODY_HAS")),
        ("lease", 1),
        ("lease", 1.5),
        ("lease", 86_400),
    ],
)
def test_what_is_for_the_backend(key: str, value: Any) -> None:
    """It is handed on as it is, whichever of our backends will be chosen."""
    for more in ({"backend": "auto"}, {"backend": "redis"}, {"backend": "file", "project": "x"}):
        policy = locks({**more, key: value})

        assert policy.problems == ()
        assert policy.lock is not None
        assert policy.lock.options == {key: value}
        assert policy.lock.options[key] is value


def test_what_was_read_is_not_changed_by_what_comes_later() -> None:
    """Neither by who has it, nor through the setting, which may be any mapping."""
    said = {"directory": "/var/lock/mysite"}
    policy = read_policy(MappingProxyType({"LOCK": MappingProxyType(said)}))
    said["directory"] = "/tmp"

    assert policy.lock is not None
    assert policy.lock.options == {"directory": "/var/lock/mysite"}
    with pytest.raises(TypeError):
        policy.lock.options["directory"] = "/tmp"


LOCK = 'DJANGO_RUNBOOK["LOCK"]'
KNOWN = "Known keys: backend, project, directory, alias, url, lease."
A_BACKEND = "must be one of auto, file, database, redis or a dotted path, not"
A_LEASE = "must be a number of seconds from 1 to 86400, not"
BY_ITSELF = 'Leave it out for "auto".'
OF_PACKAGE = "Leave it out for the package that holds the settings."
OF_USER = "Leave it out for a directory of the user's own."
DEFAULT = 'Leave it out for "default".'
LIKE_THIS = 'Write it like "redis://redis.example.com:6379/0".'
THIRTY = "Leave it out for 30 seconds."
USE_REDIS = 'Add "backend": "redis", or "auto" if only some routines name it as their lock.'

WRONG = [
    (None, f"{LOCK} must be a dictionary, not of the type NoneType.", KNOWN),
    (True, f"{LOCK} must be a dictionary, not of the type bool.", KNOWN),
    ("file", f"{LOCK} must be a dictionary, not of the type str.", KNOWN),
    (["file"], f"{LOCK} must be a dictionary, not of the type list.", KNOWN),
    ({"backen": "file"}, f"{LOCK} has the unknown key 'backen'.", "Did you mean 'backend'?"),
    ({"folder": "/tmp"}, f"{LOCK} has the unknown key 'folder'.", KNOWN),
    ({5: "file"}, f"{LOCK} has the unknown key 5.", KNOWN),
    ({"backend": "flie"}, f"""{LOCK}["backend"] {A_BACKEND} 'flie'.""", "Did you mean 'file'?"),
    ({"backend": "Redis"}, f"""{LOCK}["backend"] {A_BACKEND} 'Redis'.""", "Did you mean 'redis'?"),
    ({"backend": "memcached"}, f"""{LOCK}["backend"] {A_BACKEND} 'memcached'.""", BY_ITSELF),
    ({"backend": ""}, f"""{LOCK}["backend"] {A_BACKEND} ''.""", BY_ITSELF),
    ({"backend": None}, f"""{LOCK}["backend"] {A_BACKEND} None.""", BY_ITSELF),
    ({"backend": True}, f"""{LOCK}["backend"] {A_BACKEND} True.""", BY_ITSELF),
    ({"backend": ["file"]}, f"""{LOCK}["backend"] {A_BACKEND} a list.""", BY_ITSELF),
    ({"backend": Project}, f"""{LOCK}["backend"] {A_BACKEND} an object of type type.""", BY_ITSELF),
    ({"project": ""}, f"""{LOCK}["project"] must be a name, not ''.""", OF_PACKAGE),
    ({"project": None}, f"""{LOCK}["project"] must be a name, not None.""", OF_PACKAGE),
    ({"project": 5}, f"""{LOCK}["project"] must be a name, not 5.""", OF_PACKAGE),
    ({"directory": ""}, f"""{LOCK}["directory"] must be a path, not ''.""", OF_USER),
    ({"directory": None}, f"""{LOCK}["directory"] must be a path, not None.""", OF_USER),
    (
        {"directory": b"/tmp"},
        f"""{LOCK}["directory"] must be a path, not an object of type bytes.""",
        OF_USER,
    ),
    ({"alias": None}, f"""{LOCK}["alias"] must be the alias of a database, not None.""", DEFAULT),
    ({"alias": 5}, f"""{LOCK}["alias"] must be the alias of a database, not 5.""", DEFAULT),
    ({"backend": "redis", "url": None}, f"""{LOCK}["url"] must be an address.""", LIKE_THIS),
    ({"backend": "redis", "url": 5}, f"""{LOCK}["url"] must be an address.""", LIKE_THIS),
    ({"backend": "redis", "lease": 0}, f"""{LOCK}["lease"] {A_LEASE} 0.""", THIRTY),
    ({"backend": "redis", "lease": 0.99}, f"""{LOCK}["lease"] {A_LEASE} 0.99.""", THIRTY),
    ({"backend": "redis", "lease": -1}, f"""{LOCK}["lease"] {A_LEASE} -1.""", THIRTY),
    ({"backend": "redis", "lease": 86_401}, f"""{LOCK}["lease"] {A_LEASE} 86401.""", THIRTY),
    ({"backend": "redis", "lease": float("nan")}, f"""{LOCK}["lease"] {A_LEASE} nan.""", THIRTY),
    ({"backend": "redis", "lease": float("inf")}, f"""{LOCK}["lease"] {A_LEASE} inf.""", THIRTY),
    ({"backend": "redis", "lease": True}, f"""{LOCK}["lease"] {A_LEASE} True.""", THIRTY),
    ({"backend": "redis", "lease": "30"}, f"""{LOCK}["lease"] {A_LEASE} '30'.""", THIRTY),
    ({"backend": "redis", "lease": None}, f"""{LOCK}["lease"] {A_LEASE} None.""", THIRTY),
    (
        {"backend": "redis", "lease": timedelta(seconds=30)},
        f"""{LOCK}["lease"] {A_LEASE} an object""",
        THIRTY,
    ),
    # It would be about nothing.
    (
        {"url": "redis://:hunter2@redis.example.com"},
        f"{LOCK} says where Redis is, and not that it is to be used.",
        USE_REDIS,
    ),
    (
        {"lease": 30, "directory": "/var/lock/mysite"},
        f"{LOCK} says where Redis is, and not that it is to be used.",
        USE_REDIS,
    ),
    # A backend of the site's own has options of its own, but for these.
    (
        {"backend": "site.locks.Own", "project": 5},
        f"""{LOCK}["project"] must be a name, not 5.""",
        OF_PACKAGE,
    ),
]


@pytest.mark.parametrize(("said", "message", "hint"), WRONG, ids=lambda value: str(value)[:30])
def test_what_is_wrong_is_said_once_with_a_remedy(said: Any, message: str, hint: str) -> None:
    """Nobody guesses then which lock other runs look at, and no plugin is trusted."""
    policy = locks(said)

    (problem,) = policy.problems
    assert problem.message.startswith(message)
    assert (problem.code, problem.hint, problem.origin.source) == (
        Code.BAD_SETTING,
        hint,
        SETTINGS,
    )
    assert policy.lock is None
    assert policy.allow == frozenset()


def test_all_that_is_wrong_is_said() -> None:
    """One mistake does not hide another one."""
    policy = locks({"backend": "flie", "project": "", "lease": 0, "folder": "file", "url": "x"})

    assert [problem.message.partition(" ")[0] for problem in policy.problems] == [
        LOCK,
        *(f'{LOCK}["{key}"]' for key in ("backend", "project", "lease")),
    ]
    assert policy.lock is None


def test_a_mistake_elsewhere_leaves_the_lock_unknown() -> None:
    """Nothing of a setting that is malformed is followed."""
    policy = read_policy({"LOCK": {"backend": "file"}, "PLUGINS": {"alow": []}})

    assert len(policy.problems) == 1
    assert policy.lock is None


def test_a_backend_of_the_sites_own_has_options_of_its_own() -> None:
    """Keys that we do not know, or know to be something else, are handed on to it."""
    options = {"table": "locks", "lease": "long", "url": 5, "directory": None, 5: "five"}

    policy = locks({"backend": "site.locks.Own", "project": "mysite", **options})

    assert policy.problems == ()
    assert policy.lock == LockPolicy("site.locks.Own", "mysite", options)


@pytest.mark.parametrize(
    "said",
    [
        {"url": b"redis://:hunter2@redis.example.com"},
        {"url": ["redis://:hunter2@redis.example.com"]},
        {"url": {"LOCATION": "redis://:hunter2@redis.example.com"}},
        {"ulr": "redis://:hunter2@redis.example.com"},
        {"redis://:hunter2@redis.example.com"},
        ["redis://:hunter2@redis.example.com"],
        # In the wrong place, as other settings have it.
        "redis://:hunter2@redis.example.com",
        {"backend": "redis://:hunter2@localhost"},
        {"backend": "redis://:hunter2@redis.example.com"},
    ],
    ids=str,
)
def test_an_address_is_never_shown(said: Any) -> None:
    """It may hold a password, wherever it was written."""
    problems = locks(said).problems

    assert problems
    for problem in problems:
        assert "hunter2" not in f"{problem.message} {problem.hint}"


# Which one it is


DATABASE = connections["default"].settings_dict


@pytest.fixture
def database() -> Iterator[None]:
    """A database with a name that does not hang on how the tests are run."""
    with mock.patch.dict(DATABASE, NAME="mysite"):
        yield


@pytest.mark.usefixtures("database")
def test_the_name_of_a_lock_is_the_same_in_every_version() -> None:
    """Two releases of a site, of this package or of Python must not run at the same time."""
    assert lock_name("mysite", "deploy") == "mysite-deploy-eaee63fb0323aec4"
    assert lock_name("zürich straße", "größe") == "z_rich_stra_e-gr__e-358611095ddf78c6"


@many
@given(st.text(), st.text(), st.text(st.characters(exclude_characters="\0")))
@example("p" * 200, "r" * 200, "d" * 200)
@example("../..", "/", "/")
@example("\ud800", "\udfff", "\ud800")
def test_a_name_of_a_lock_can_be_used_anywhere(project: str, routine: str, database: str) -> None:
    """As the name of a file, a key, or with our prefix as one of MySQL's locks."""
    with mock.patch.dict(DATABASE, NAME=database):
        name = lock_name(project, routine)

        assert len(f"django_runbook:{name}") <= 64
        assert re.fullmatch(r"[A-Za-z0-9_-]{0,31}-[0-9a-f]{16}", name)
        assert name == lock_name(project, routine)


def test_what_differs_has_another_lock() -> None:
    """By project, database and routine, also where what can be read of them is the same."""
    long = "a" * 60
    found = {}
    for project, routine, database in [
        ("mysite", "deploy", "mysite"),
        ("mysite2", "deploy", "mysite"),
        ("mysite", "deploy2", "mysite"),
        ("mysite", "deploy", "mysite2"),
        ("my", "site-deploy", "mysite"),
        ("my-site", "deploy", "mysite"),
        ("my_site", "deploy", "mysite"),
        ("mysité", "deploy", "mysite"),
        ("mysitè", "deploy", "mysite"),
        ("MYSITE", "deploy", "mysite"),
        ("mysite", "deploy", ""),
        ("", "", ""),
        (long, "deploy", "mysite"),
        (f"{long}a", "deploy", "mysite"),
        (long, "other", "mysite"),
    ]:
        with mock.patch.dict(DATABASE, NAME=database):
            found[project, routine, database] = lock_name(project, routine)

    for (one, name), (other, another) in combinations(found.items(), 2):
        assert name[-16:] != another[-16:], (one, other)


def test_a_path_of_a_database_is_where_it_leads(tmp_path: Path) -> None:
    """Two settings modules may write it in different ways, and releases have links to it."""
    shared, release = tmp_path / "shared", tmp_path / "releases" / "1"
    shared.mkdir()
    release.mkdir(parents=True)
    (release / "data").symlink_to(shared)
    (tmp_path / "current").symlink_to(release)
    (release / "db.sqlite3").symlink_to("data/db.sqlite3")
    found = []
    for name in (
        shared / "db.sqlite3",
        str(shared / "db.sqlite3"),
        f"{shared}/../shared//db.sqlite3",
        release / "data" / "db.sqlite3",
        tmp_path / "current" / "db.sqlite3",
        release / "other.sqlite3",
    ):
        with mock.patch.dict(DATABASE, NAME=name):
            found.append(lock_name("mysite", "deploy"))

    assert found[1:5] == found[:1] * 4
    assert found[5] != found[0]


@pytest.mark.parametrize("host", ["", "db.example.com"])
@pytest.mark.usefixtures("database")
def test_where_a_database_is_does_not_change_the_name(host: str) -> None:
    """The machines of a site may know it by different names, and reach it as different users."""
    with mock.patch.dict(DATABASE, HOST=host, USER=host, PASSWORD=host, PORT=host):
        assert lock_name("mysite", "deploy") == "mysite-deploy-eaee63fb0323aec4"


@pytest.mark.usefixtures("database")
def test_the_project_is_the_package_of_the_settings_unless_it_is_named() -> None:
    """``tests.settings`` is of the project ``tests``."""
    of_package = lock_of("deploy", wanted=True, policy=LockPolicy("file"))
    named = lock_of("deploy", wanted=True, policy=LockPolicy("file", "mysite"))

    assert of_package.name == lock_name("tests", "deploy")
    assert named.name == lock_name("mysite", "deploy")
    assert (named.routine, named.description) == ("deploy", "file")


@pytest.mark.parametrize("wanted", [True, "auto", "file"])
@pytest.mark.parametrize("backend", ["auto", "file"])
def test_automatic_is_the_file_where_the_database_has_no_locks(
    tmp_path: Path, wanted: Any, backend: str
) -> None:
    """As on SQLite; and nothing is made before it is taken."""
    policy = LockPolicy(backend, options={"directory": tmp_path / "locks"})

    lock = lock_of("deploy", wanted, policy)

    assert lock.description == "file"
    assert list(tmp_path.iterdir()) == []


def test_what_a_routine_states_comes_before_the_setting() -> None:
    """The setting's options are for any backend."""
    assert lock_of("deploy", "file", LockPolicy("database")).description == "file"
    assert lock_of("deploy", "auto", LockPolicy("database")).description == "file"
    options = {"url": "redis://redis.example.com:6379/0", "directory": "/var/lock"}
    assert lock_of("deploy", "redis", LockPolicy("file", options=options)).description == "redis"
    with pytest.raises(LockUnusable, match="has no advisory locks"):
        lock_of("deploy", "database", LockPolicy("file"))


class Own:
    """A backend of a site's own."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self.name, self.options = name, options

    def acquire(self) -> bool:
        return True

    def verify(self) -> None:
        pass

    def release(self) -> None:
        pass

    def close(self) -> None:
        pass

    def holder(self) -> None:
        return None


class Partly(Own):
    """One that lacks a method."""

    close = None


class Simple(Own):
    """One that takes nothing."""

    def __init__(self) -> None:
        pass


class Refusing(Own):
    """One that cannot work with what it is given."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        raise LockUnusable("there is no table", "Run migrate.")


class Broken(Own):
    """One that raises what nobody expects."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        raise KeyError("table\nlocks")


@pytest.mark.usefixtures("database")
def test_a_dotted_path_names_the_sites_own_backend() -> None:
    """It is given the name and the options, and is called what the setting calls it."""
    policy = LockPolicy(f"{__name__}.Own", "mysite", {"table": "locks"})

    lock = lock_of("deploy", wanted=True, policy=policy)

    assert isinstance(lock.backend, Own)
    assert (lock.backend.name, lock.backend.options) == (lock.name, {"table": "locks"})
    assert lock.description == f"{__name__}.Own"


NO_DATABASE = (
    'Use the backend "file" for one machine or "redis" for many, or name as "alias" a '
    "PostgreSQL or MySQL database."
)
PATH = "Mend the path, which names a class with the methods of LockBackend."
METHODS = "It needs acquire, verify, release, close, holder: see LockBackend."
ARGUMENTS = "It must take the lock's name and a dictionary of options."


@pytest.mark.parametrize(
    ("backend", "message", "hint"),
    [
        ("flie", "there is no backend 'flie'", "Did you mean 'file'? Or give a dotted path."),
        (
            "memcached",
            "there is no backend 'memcached'",
            f"There are {', '.join(BACKENDS)}. Or give a dotted path.",
        ),
        (
            "database",
            "the database 'default' (sqlite) has no advisory locks",
            NO_DATABASE,
        ),
        (
            "redis",
            "the backend 'redis' is not told where the server is",
            'Give its address: "url": "redis://redis.example.com:6379/0".',
        ),
        (
            "nobody.has.This",
            "the backend 'nobody.has.This' cannot be loaded: ModuleNotFoundError: ",
            PATH,
        ),
        (
            f"{__name__}.Gone",
            f"the backend '{__name__}.Gone' cannot be loaded: ImportError: ",
            PATH,
        ),
        (f"{__name__}.CHECK", f"the backend '{__name__}.CHECK' has no method acquire()", METHODS),
        (f"{__name__}.Partly", f"the backend '{__name__}.Partly' has no method close()", METHODS),
        (f"{__name__}.Simple", f"the backend '{__name__}.Simple' raised TypeError: ", ARGUMENTS),
        (f"{__name__}.Broken", f"the backend '{__name__}.Broken' raised KeyError: ", ARGUMENTS),
        (f"{__name__}.Refusing", "there is no table", "Run migrate."),
    ],
)
@pytest.mark.parametrize("stated", [True, False])
def test_what_can_never_work_says_why_and_what_can(
    backend: str, message: str, hint: str, stated: bool
) -> None:
    """Whether the routine names the backend or the setting does."""
    policy = LockPolicy() if stated else LockPolicy(backend)

    with pytest.raises(LockUnusable) as caught:
        lock_of("deploy", backend if stated else True, policy)

    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert caught.value.hint == hint


def test_automatic_is_the_database_that_is_named() -> None:
    """Whoever names one means it: a file would be another lock, that nobody else looks at."""
    with pytest.raises(LockUnusable, match=r"^the database 'default' \(sqlite\) has no advisory"):
        lock_of("deploy", wanted=True, policy=LockPolicy(options={"alias": "default"}))


@pytest.mark.parametrize("backend", ["auto", "database"])
@pytest.mark.parametrize(
    ("alias", "hint"), [("defualt", "Did you mean 'default'?"), ("qq", "DATABASES has default.")]
)
def test_a_database_that_the_site_does_not_have(backend: str, alias: str, hint: str) -> None:
    """Its alias may be a slip; it is not read as "no locks", which would be another lock."""
    with pytest.raises(LockUnusable, match=f"^the site has no database '{alias}'$") as caught:
        lock_of("deploy", backend, LockPolicy(options={"alias": alias}))

    assert caught.value.hint == hint


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@redis.example.com",
        "redis.example.com:hunter2",
        "redis://:hunter2@redis.example.com:port/0",
        "redis://:hunter2@[redis.example.com",
        "redis://:hunter2@redis.example.com:99999/0?socket_timeout=hunter2",
    ],
)
@pytest.mark.parametrize("kind", [str, Secret])
def test_an_address_that_cannot_be_read_is_not_shown(url: str, kind: type) -> None:
    """What the parser says of it would hold the password."""
    with pytest.raises(LockUnusable, match=r"^the address of Redis cannot be read$") as caught:
        lock_of("deploy", "redis", LockPolicy(options={"url": kind(url)}))

    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__suppress_context__


def test_without_redis_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not installed by default; the tests have it, so that they hide it."""
    monkeypatch.delitem(sys.modules, "django_runbook.locks.redis", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(LockUnusable, match=r"^the backend 'redis' needs redis-py: ") as caught:
        lock_of("deploy", "redis", LockPolicy(options={"url": "redis://redis.example.com"}))

    assert caught.value.hint == "pip install django-runbook[redis]"


# Who holds it


SINCE = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "shown"),
    [
        ({}, "another run"),
        ({"process": 7}, "process 7"),
        ({"host": "web1"}, "another run on web1"),
        ({"known_as": "bob"}, "bob"),
        ({"since": SINCE}, "another run, since 2026-01-02 03:04:05 UTC"),
        ({"process": 7, "host": "web1"}, "process 7 on web1"),
        ({"process": 7, "known_as": "bob"}, "process 7 (bob)"),
        ({"process": 7, "since": SINCE}, "process 7, since 2026-01-02 03:04:05 UTC"),
        ({"host": "web1", "known_as": "bob"}, "bob on web1"),
        ({"host": "web1", "since": SINCE}, "another run on web1, since 2026-01-02 03:04:05 UTC"),
        ({"known_as": "bob", "since": SINCE}, "bob, since 2026-01-02 03:04:05 UTC"),
        ({"process": 7, "host": "web1", "known_as": "bob"}, "process 7 on web1 (bob)"),
        (
            {"process": 7, "host": "web1", "since": SINCE},
            "process 7 on web1, since 2026-01-02 03:04:05 UTC",
        ),
        (
            {"process": 7, "known_as": "bob", "since": SINCE},
            "process 7 (bob), since 2026-01-02 03:04:05 UTC",
        ),
        (
            {"host": "web1", "known_as": "bob", "since": SINCE},
            "bob on web1, since 2026-01-02 03:04:05 UTC",
        ),
        (
            {"process": 7, "host": "web1", "known_as": "bob", "since": SINCE},
            "process 7 on web1 (bob), since 2026-01-02 03:04:05 UTC",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_all_that_is_known_of_a_holder_is_shown(known: dict[str, Any], shown: str) -> None:
    """A site's own backend may know any part of it. Its token tells people nothing."""
    assert str(Holder("0123abcd", **known)) == shown


def test_a_holder_is_shown_on_one_line_and_does_nothing_to_a_terminal() -> None:
    """What a server says of it, somebody else has written."""
    east = timezone(timedelta(hours=5, minutes=30))
    holder = Holder("0", 7, "web\x1b[31m1", SINCE.astimezone(east), "bob\r\nroot\t\x07")

    assert str(holder) == (
        r"process 7 on web\x1b[31m1 (bob root \x07), since 2026-01-02 08:34:05 UTC+05:30"
    )


# What says so


names = st.one_of(st.text(), st.from_regex(r"[a-z0-9.-]{0,253}", fullmatch=True))


@many
@given(names, st.integers(45, 400), st.integers(1, 2**22))
@example("web1.example.com", 255, 1)
@example("h" * 64, 63, 2**22)
@example("h" * 253, 63, 2**22)
@example("a b\tc\nd @ ü", 63, 7)
@example("", 63, 7)
def test_what_a_stamp_says_can_be_read_again(name: str, longest: int, process: int) -> None:
    """It is ASCII on one line, and short enough; what is too long is cut off the host's name."""
    before = datetime.now(UTC).replace(microsecond=0)
    with (
        mock.patch.object(socket, "gethostname", return_value=name),
        mock.patch.object(os, "getpid", return_value=process),
    ):
        text, host = stamp(longest=longest), host_name()
    after = datetime.now(UTC)

    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= longest
    found = read_stamp(f"{text}\n", "bob")
    assert found is not None
    assert found.since is not None
    assert before <= found.since <= after
    assert found == Holder(found.token, process, found.host, found.since, "bob")
    assert host.startswith(found.host)
    assert found.host == host or len(text) == longest
    assert len(host) == len(name)


def test_63_characters_have_room_for_what_matters() -> None:
    """That is what PostgreSQL keeps; a process's number may have seven digits."""
    with (
        mock.patch.object(socket, "gethostname", return_value="web-1-of-the-shop.example.com"),
        mock.patch.object(os, "getpid", return_value=4_194_304),
    ):
        text = stamp(longest=63)

    assert len(text) == 63
    assert text.startswith("4194304@web-1-of-the-shop.example ")


def test_two_stamps_are_never_the_same() -> None:
    """One process may take a lock twice in a second."""
    found = {read_stamp(stamp()) for _ in range(100)}

    assert None not in found
    assert len({holder.token for holder in found if holder is not None}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "7",
        "7@web1",
        "psql",
        "@web1 2026-01-02T03:04:05Z 0123abcd",
        "-7@web1 2026-01-02T03:04:05Z 0123abcd",
        "7@web 1 2026-01-02T03:04:05Z 0123abcd",
        "7@web1 2026-01-02 03:04:05Z 0123abcd",
        "7@web1 2026-01-02T03:04:05+00:00 0123abcd",
        "7@web1 2026-01-02T03:04:05Z",
        "7@web1 2026-01-02T03:04:05Z 0123abcd and more",
        "7@web1 2026-01-02T03:04:05Z 0123abcd\n7@web1 2026-01-02T03:04:05Z 0123abcd",
        "7@web1 2026-13-02T03:04:05Z 0123abcd",
        "7@web1 2026-02-30T03:04:05Z 0123abcd",
        "7@web1 2026-01-02T25:04:05Z 0123abcd",
        "7@web1 0000-01-02T03:04:05Z 0123abcd",
        f"{'7' * 5000}@web1 2026-01-02T03:04:05Z 0123abcd",
    ],
    ids=lambda text: text[:50],
)
def test_what_is_no_stamp_names_nobody(text: str) -> None:
    """Others write where we do: into a file, a key, or the name of an application."""
    assert read_stamp(text) is None


LIKE_A_STAMP = r"\d{1,30}@\S{0,20} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \w{1,10}"


@many
@given(st.one_of(st.text(), st.from_regex(LIKE_A_STAMP, fullmatch=True)))
def test_no_text_is_too_strange_to_be_read(text: str) -> None:
    """It names somebody, or nobody, and raises nothing."""
    found = read_stamp(text)

    assert found is None or found.since is not None


# On a site


def test_a_backend_that_cannot_work_is_an_error_of_the_check_alone(project: Project) -> None:
    """Though no routine takes a lock: ``--lock`` may. Other commands do not ask."""
    project.settings("""
        DJANGO_RUNBOOK = {"LOCK": {"backend": "database"}}
        command("deploy", "probe")
    """)

    checked = project.manage(*CHECK)
    others = project.python("""
        import django

        django.setup()

        from django.core.checks import run_checks
        from django.core.management import call_command

        assert run_checks() == []
        for name in ("check", "migrate", "probe"):
            call_command(name)
    """)
    run = project.manage("routine", "deploy")
    locked = project.manage("routine", "deploy", "--lock")

    assert checked.status == 1
    assert checked.err.count("django_runbook.") == 1
    assert (
        'settings: (django_runbook.E019) The lock that DJANGO_RUNBOOK["LOCK"] names cannot be '
        "taken: the database 'default' (sqlite) has no advisory locks.\n"
        f"\tHINT: {NO_DATABASE}\n"
    ) in checked.err
    assert (others.status, others.err) == (0, "")
    assert (run.status, run.err) == (0, "")
    assert locked.status == 1
    assert "(django_runbook.E019)" in locked.err
    assert project.ran == ["probe", "probe"]


def test_a_site_without_a_database_has_the_lock_of_a_file(project: Project) -> None:
    """A routine may be of system commands alone."""
    project.settings("""
        DATABASES = {}
        DJANGO_RUNBOOK = {"LOCK": {"directory": BASE / "locks"}}
        routine("deploy", "Deploy.", lock=True)
        command("deploy", "probe")
    """)

    ran = project.manage("routine", "deploy")

    assert (ran.status, ran.err) == (0, "")
    assert project.ran == ["probe"]
    assert len(list((project.root / "locks").iterdir())) == 1


def test_a_setting_that_is_malformed_is_one_error(project: Project) -> None:
    """It is the setting's, not each routine's that takes a lock; and none of them is run."""
    project.settings("""
        DJANGO_RUNBOOK = {"LOCK": {"backend": "databse"}}
        routine("deploy", "Deploy.", lock=True)
        command("deploy", "probe")
    """)

    checked = project.manage(*CHECK)
    ran = project.manage("routine", "deploy")

    assert checked.status == 1
    assert checked.err.count("django_runbook.") == 1
    assert (
        f"settings: (django_runbook.E002) {LOCK}[\"backend\"] {A_BACKEND} 'databse'.\n"
        "\tHINT: Did you mean 'database'?\n"
    ) in checked.err
    assert ran.status == 1
    assert "(django_runbook.E002)" in ran.err
    assert project.ran == []


def test_what_takes_locks_is_loaded_when_one_is_taken(project: Project) -> None:
    """A process that takes no lock pays for none of it, and who plans one for what it takes."""
    project.settings("""
        DJANGO_RUNBOOK = {"LOCK": {"directory": BASE / "locks"}}
        routine("deploy", "Deploy.", lock=True)
        command("deploy", "probe")
        command("other", "probe")
    """)

    ran = project.python("""
        import json
        import sys

        def loaded():
            names = [name for name in sys.modules if name.startswith("django_runbook.locks")]
            libraries = {"filelock", "redis", "psycopg", "pymysql"}.intersection(sys.modules)
            print(json.dumps([bool(names), "django_runbook.locks.redis" in names, *libraries]))

        import django_runbook
        from django_runbook import command, routine

        loaded()
        import django

        django.setup()
        loaded()

        from django_runbook import get_plan

        get_plan("other")
        loaded()
        get_plan("deploy")
        loaded()
    """)

    assert ran.status == 0, ran.err
    assert [json.loads(line) for line in ran.out.splitlines()] == [
        [False, False],
        [False, False],
        [False, False],
        [True, False, "filelock"],
    ]
    assert not (project.root / "locks").exists()
