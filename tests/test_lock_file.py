"""The lock of one machine: where its file lies, what may lie there instead, who holds it."""

from __future__ import annotations

import errno
import fcntl
import gc
import hashlib
import itertools
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from django_runbook.locks import LockError, LockUnusable
from django_runbook.locks.backend import stamp
from django_runbook.locks.file import FileLock

from .live import Live
from .projects import ENVIRONMENT, Project, Ran

HERE = 'command("deploy", "hold", "one", switches=["hold"])'
PROGRAM = 'system("deploy", "sh", "./hold.sh", "one", switches=["hold"])'

SETTINGS = """
    DJANGO_RUNBOOK = {{"LOCK": {lock}}}
    routine("deploy", "Deploy.", lock=True)
    {step}
    command("deploy", "probe", "after")
"""

STAMP = re.compile(r"(\d+)@(\S+) (\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)Z [0-9a-f]{8}\n")

NOT_WRITABLE = 'Give as DJANGO_RUNBOOK["LOCK"]["directory"] one that this user may write to.'
NOT_OURS = 'Remove it, or give as DJANGO_RUNBOOK["LOCK"]["directory"] one that is yours.'


@dataclass
class Site:
    """A site whose routine ``deploy`` takes the file's lock; with ``--hold`` it waits, too."""

    live: Live
    project_name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")
    """Nobody else's, so that the file is ours wherever it lies."""

    directory: Path = Path()
    """Where the file lies."""

    def __post_init__(self) -> None:
        self.locks_in(self.root / "locks")

    @property
    def root(self) -> Path:
        return self.live.project.root

    def locks_in(self, directory: Path | None, *, step: str = HERE) -> None:
        """Write settings that name a directory, or that leave it to the package."""
        self.directory = directory or Path(f"/tmp/django-runbook-{os.geteuid()}")
        lock = {"backend": "file", "project": self.project_name}
        if directory is not None:
            lock["directory"] = str(directory)
        self.live.project.settings(SETTINGS.format(lock=lock, step=step))

    @property
    def file(self) -> Path:
        """The lock's file, by the rule that its name follows."""
        database = os.path.realpath(self.root / "db.sqlite3")
        whole = json.dumps([self.project_name, database, "deploy"])
        number = hashlib.sha256(whole.encode()).hexdigest()[:16]
        return self.directory / f"{self.project_name}-deploy-{number}.lock"

    def hold(self, **options: Any) -> None:
        """Start a run that takes the lock, and wait until it has."""
        self.live.start("routine", "deploy", "--hold", **options)
        assert self.live.said.line() == "one"

    def let_go(self) -> Ran:
        """Let that run end."""
        self.live.gate.open()
        return self.live.end()

    def run(self, settings: str = "config.settings", **options: Any) -> Ran:
        """Run the routine, with one of the project's settings modules."""
        words = ("routine", "--settings", settings, "deploy")
        return self.live.project.manage(*words, **options)

    def refused(self, why: str, hint: str = NOT_WRITABLE) -> str:
        """Return what a run writes that could not take the lock."""
        return (
            "CommandError: The lock of routine 'deploy' cannot be taken, so nothing was run.\n"
            "  lock: by file\n"
            f"  failure: {why}\n"
            f"    HINT: {hint}\n"
        )

    def busy(self, held_by: str) -> str:
        """Return what a run writes that found the lock taken."""
        return (
            "CommandError: Routine 'deploy' was not run: another run holds its lock.\n"
            "  lock: of routine 'deploy', by file\n"
            f"  held by: {held_by}\n"
            "  Give --wait SECONDS to wait for it.\n"
        )

    def holder(self) -> str:
        """Return who holds the lock, as its file says."""
        found = STAMP.fullmatch(self.file.read_text())
        assert found is not None
        process, host, day, time = found.groups()
        return f"process {process} on {host} ({self.file}), since {day} {time} UTC"

    def assert_nothing_was_run(self, ran: Ran) -> None:
        assert ran.status == 1, ran.err
        assert self.live.project.ran == []


@pytest.fixture
def site(project: Project) -> Iterator[Site]:
    """A site of this user's, with a lock directory of its own."""
    with closing(Live(project)) as live:
        site = Site(live)
        yield site
        if site.directory == Path(f"/tmp/django-runbook-{os.geteuid()}"):
            site.file.unlink(missing_ok=True)


@dataclass
class User:
    """Another user of this machine, whom nobody else is."""

    number: int
    before: tuple[str, ...]
    options: dict[str, Any]

    @property
    def start(self) -> dict[str, Any]:
        """What lets :meth:`Live.start` start a process of the user's."""
        return {"before": self.before, **self.options}

    @property
    def directory(self) -> Path:
        """The lock directory that is the user's own."""
        return Path(f"/tmp/django-runbook-{self.number}")

    def give(self, *paths: Path) -> None:
        """Give the user files, and all that lies in directories."""
        for path in paths:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.number, -1, follow_symlinks=False)


def new_user(group: int | None = None) -> User:
    """Return a user without a name, or skip the test if nobody can be one."""
    if os.geteuid() != 0:
        pytest.skip("only root can run something as another user")
    numbers = itertools.count(40_000 + os.getpid() % 20_000)
    number = next(one for one in numbers if one not in taken and _is_free(one))
    taken.add(number)
    group = number if group is None else group
    # What measures the coverage writes beside the measurements of ours.
    before = ("env", "-u", "COVERAGE_PROCESS_START", "-u", "COVERAGE_PROCESS_CONFIG")
    plain = User(number, before, {"user": number, "group": group, "extra_groups": []})
    # Where Python lies in root's home, others need root's right to read it; not that to write.
    rights = ("--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search")
    ids = (f"--reuid={number}", f"--regid={group}", "--clear-groups")
    reading = User(number, (*before, "setpriv", *ids, *rights, "--"), {})
    for user in (plain, reading):
        if _can_import(user):
            return user
    pytest.skip(f"{sys.executable} cannot be run by another user")


taken: set[int] = set()
"""The users of this process's tests."""


def _is_free(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return not os.path.lexists(f"/tmp/django-runbook-{number}")
    return False


def _can_import(user: User) -> bool:
    words = [*user.before, sys.executable, "-c", "import django_runbook"]
    try:
        subprocess.run(words, cwd="/", capture_output=True, check=True, **user.options)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@pytest.fixture(scope="module")
def user() -> User:
    """A user whose own lock directory may be anything."""
    return new_user()


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory that other users can reach, unlike the one that pytest gives."""
    path = Path(tempfile.mkdtemp(prefix="runbook-", dir="/tmp"))
    try:
        path.chmod(0o755)
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture
def theirs(user: User, shared: Path) -> Iterator[Site]:
    """A site of the other user's, who has no lock directory yet."""
    with closing(Live(Project(shared / "project"))) as live:
        site = Site(live)
        site.locks_in(None)
        site.directory = user.directory
        user.give(site.root)
        yield site
        if user.directory.is_symlink() or user.directory.is_file():
            user.directory.unlink()
        elif user.directory.exists():
            shutil.rmtree(user.directory)


def run_as(user: User, site: Site) -> Ran:
    """Run the routine as another user."""
    environment = {**os.environ, **ENVIRONMENT, "COLUMNS": "80"}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    done = subprocess.run(
        [*user.before, sys.executable, str(site.root / "manage.py"), "routine", "deploy"],
        cwd=site.root,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **user.options,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def give_back(lock: FileLock) -> None:
    """Give a lock back, as a run does."""
    lock.release()
    lock.close()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Lock a file as any other program would, writing nothing into it."""
    with path.open("rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


# The directory that nobody has named


def test_the_default_directory_hangs_on_nothing_but_the_user(site: Site, tmp_path: Path) -> None:
    """Two runs with different homes, places for temporary files and working directories exclude
    each other; the file is the user's alone, says who holds it, and is empty afterwards.
    """
    site.locks_in(None)
    homes = {}
    for who in ("cron", "person"):
        for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR"):
            (tmp_path / who / name).mkdir(parents=True)
        homes[who] = {path.name: str(path) for path in (tmp_path / who).iterdir()}

    site.hold(before=("env", *(f"{name}={path}" for name, path in homes["cron"].items())))
    text, mode = site.file.read_text(), site.file.stat().st_mode
    busy = site.run(env=homes["person"], cwd=tmp_path / "person")
    done = site.let_go()

    found = STAMP.fullmatch(text)
    assert found is not None
    assert found[1] == str(site.live.running.pid)
    assert found[2] == socket.gethostname()
    assert (busy.status, busy.err) == (
        75,
        site.busy(
            f"process {found[1]} on {found[2]} ({site.file}), since {found[3]} {found[4]} UTC"
        ),
    )
    assert (done.status, done.err) == (0, "")
    assert mode & 0o777 == 0o600
    assert site.directory.lstat().st_mode & 0o7777 == 0o700
    assert site.file.read_text() == ""


def test_the_default_directory_is_made_for_its_user_alone(user: User, theirs: Site) -> None:
    """It is not there before the user's first run, whose file masks do not show in it."""
    theirs.live.start(
        "routine",
        "deploy",
        before=(*user.before, "sh", "-c", 'umask 0; exec "$@"', "sh"),
        **user.options,
    )
    ran = theirs.live.end()

    assert (ran.status, ran.err) == (0, "")
    for path, mode in ((user.directory, 0o40700), (theirs.file, 0o100600)):
        found = path.lstat()
        assert (found.st_mode, found.st_uid) == (mode, user.number)
    assert os.listdir(user.directory) == [theirs.file.name]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("link", "{} is no directory"),
        ("dangling link", "{} is no directory"),
        ("file", "{} is no directory"),
        ("root's", "{} belongs to another user (0)"),
        ("group's", "{} can be changed by other users"),
        ("everybody's", "{} can be changed by other users"),
    ],
)
def test_what_others_have_put_in_place_of_the_default_directory_is_refused(
    user: User, theirs: Site, shared: Path, kind: str, says: str
) -> None:
    """Whoever can change the directory could let a second run in; nothing is run, or changed."""
    place, inside = user.directory, shared / "inside"
    if kind == "link":
        inside.mkdir(mode=0o700)
        user.give(inside)
    if kind in ("link", "dangling link"):
        place.symlink_to(inside)
    elif kind == "file":
        place.write_text("precious")
    else:
        place.mkdir()
        place.chmod({"group's": 0o770, "everybody's": 0o707}.get(kind, 0o700))
        inside = place
    if kind != "root's":
        os.chown(place, user.number, -1, follow_symlinks=False)
    before = place.lstat()

    ran = run_as(user, theirs)

    theirs.assert_nothing_was_run(ran)
    assert ran.err == theirs.refused(says.format(place), NOT_OURS)
    assert (place.lstat().st_mode, place.lstat().st_uid) == (before.st_mode, before.st_uid)
    if kind == "file":
        assert place.read_text() == "precious"
    elif kind == "dangling link":
        assert not inside.exists()
    else:
        assert os.listdir(inside) == []


# The directory that the site names


def test_a_directory_is_named_by_a_path_or_a_string_and_made_if_missing(site: Site) -> None:
    """Two settings modules of one project that write it in different ways have one lock."""
    path = '{"backend": "file", "directory": BASE / "var" / "locks"}'
    site.live.project.settings(SETTINGS.format(lock=path, step=HERE))
    site.live.project.file(
        "config/other.py",
        """
        from config.settings import *

        DJANGO_RUNBOOK = {"LOCK": {"directory": f"{BASE}/var/locks", "backend": "file"}}
        """,
    )

    site.hold()
    busy = site.run("config.other")
    done = site.let_go()

    assert busy.status == 75, busy.err
    assert (done.status, done.err) == (0, "")
    (file,) = (site.root / "var" / "locks").iterdir()
    assert re.fullmatch(r"config-deploy-[0-9a-f]{16}\.lock", file.name)


@pytest.mark.parametrize(
    "given", ["locks", "./locks", "../locks", "~/locks", "$HOME/locks", Path("locks")]
)
def test_a_relative_directory_can_never_work(given: str | Path) -> None:
    """It would be another one for whoever starts the routine elsewhere."""
    with pytest.raises(LockUnusable) as caught:
        FileLock("any", {"directory": given})

    assert str(caught.value) == (
        f"the lock directory {str(given)!r} is relative: it would be another one for a process "
        "that is started somewhere else"
    )
    assert caught.value.hint == 'Give an absolute path, such as BASE_DIR / "locks".'


def test_a_relative_directory_is_refused_before_anything_is_run(site: Site) -> None:
    """The plan has an error that says so, and nothing is made."""
    site.locks_in(Path("locks"))

    ran = site.run()

    site.assert_nothing_was_run(ran)
    assert "(django_runbook.E019) The lock of routine 'deploy' cannot be taken: " in ran.err
    assert "the lock directory 'locks' is relative" in ran.err
    assert 'HINT: Give an absolute path, such as BASE_DIR / "locks".' in ran.err
    assert not (site.root / "locks").exists()


def test_a_directory_that_its_owner_must_not_write_to(site: Site) -> None:
    """Whether it can be used is for the operating system to say: root may."""
    site.directory.mkdir()
    site.directory.chmod(0o555)

    ran = site.run()

    if os.geteuid() == 0:
        assert (ran.status, ran.err) == (0, "")
        assert site.file.stat().st_mode & 0o600 == 0o600
    else:
        site.assert_nothing_was_run(ran)
        assert ran.err == site.refused(f"{site.file}: Permission denied")
    site.directory.chmod(0o755)


@pytest.mark.parametrize("kind", ["of another user", "to be made in one"])
def test_a_directory_that_is_not_writable_is_refused(
    user: User, theirs: Site, shared: Path, kind: str
) -> None:
    """It says which path and why; the same if the directory cannot be made."""
    made = kind == "to be made in one"
    theirs.locks_in(shared / "var" / "locks" if made else shared)
    before = os.listdir(shared)

    ran = run_as(user, theirs)

    theirs.assert_nothing_was_run(ran)
    place = shared / "var" if made else theirs.file
    assert ran.err == theirs.refused(f"{place}: Permission denied")
    assert os.listdir(shared) == before


@pytest.mark.parametrize("inside", ["", "locks"])
def test_a_file_in_place_of_the_directory_is_refused(site: Site, inside: str) -> None:
    """It is named, and stays as it is; the same if it is in place of one above it."""
    place = site.root / "place"
    place.write_text("precious")
    site.locks_in(place / inside)

    ran = site.run()

    site.assert_nothing_was_run(ran)
    if inside:
        assert ran.err == site.refused(f"{place}/locks: Not a directory")
    else:
        assert ran.err == site.refused(f"{place} is no directory", NOT_OURS)
    assert place.read_text() == "precious"


def test_a_directory_of_a_file_system_that_is_read_only_is_refused(site: Site) -> None:
    """Not even root can write there."""
    site.directory.mkdir()
    mount = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o ro none "$0" && exec "$@"')
    before = (*mount, str(site.directory))
    try:
        subprocess.run([*before, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"no file system can be mounted here: {exc}")

    site.live.start("routine", "deploy", before=before)
    ran = site.live.end()

    site.assert_nothing_was_run(ran)
    assert ran.err == site.refused(f"{site.file}: Read-only file system")


def test_a_link_to_the_directory_is_the_same_lock(tmp_path: Path) -> None:
    """A directory that the site names may be a symbolic link, as deployments have them."""
    (tmp_path / "release").mkdir()
    (tmp_path / "current").symlink_to("release")
    one = FileLock("any", {"directory": tmp_path / "release"})
    other = FileLock("any", {"directory": tmp_path / "current"})

    assert one.acquire()
    assert not other.acquire()
    give_back(one)
    assert other.acquire()
    give_back(other)


@pytest.mark.parametrize("mask", [0o000, 0o077])
@pytest.mark.parametrize(
    ("directory", "file"),
    [
        (0o700, 0o600),
        (0o755, 0o600),
        (0o775, 0o660),
        (0o2770, 0o660),
        (0o1777, 0o666),
        (0o300, 0o600),
    ],
)
def test_the_mode_of_a_new_file_follows_its_directory(
    tmp_path: Path, directory: int, file: int, mask: int
) -> None:
    """Who may make a file there may lock it, whatever the file mask of the first one was.

    Nobody else may even read it: that is all that it takes to lock it.
    """
    tmp_path.chmod(directory)
    lock = FileLock("any", {"directory": tmp_path})
    before = os.umask(mask)
    try:
        assert lock.acquire()
        give_back(lock)
    finally:
        os.umask(before)
        tmp_path.chmod(0o700)

    assert (tmp_path / "any.lock").stat().st_mode & 0o7777 == file


@pytest.mark.parametrize("mode", [0o2770, 0o1777])
def test_users_who_share_a_directory_exclude_each_other(
    user: User, theirs: Site, shared: Path, mode: int
) -> None:
    """Those of the group whose directory it is, or all; the second one is told of the first."""
    theirs.locks_in(shared / "locks")
    theirs.directory.mkdir()
    os.chown(theirs.directory, 0, user.number)
    theirs.directory.chmod(mode)
    colleague = new_user(user.number)

    theirs.hold(**user.start)
    holder = theirs.holder()
    busy = run_as(colleague, theirs)
    done = theirs.let_go()
    for path in (theirs.root, *theirs.root.iterdir()):
        os.chown(path, colleague.number, -1)
    after = run_as(colleague, theirs)

    assert holder.startswith(f"process {theirs.live.running.pid} on ")
    assert (busy.status, busy.err) == (75, theirs.busy(holder))
    assert (done.status, done.err) == (0, "")
    assert (after.status, after.err) == (0, "")
    assert theirs.live.project.ran == ["one passed", "probe after", "probe after"]


# What lies in place of the file


@pytest.mark.parametrize("there", [True, False])
def test_a_symbolic_link_in_place_of_the_file_is_refused(site: Site, there: bool) -> None:
    """What it leads to is neither locked, nor changed, nor made."""
    precious = site.root / "precious"
    site.directory.mkdir()
    site.file.symlink_to(precious)
    with ExitStack() as stack:
        if there:
            precious.write_text("precious")
            precious.chmod(0o640)
            # A run that follows the link would find it busy.
            stack.enter_context(locked(precious))
            before = precious.stat()

        ran = site.run()

        site.assert_nothing_was_run(ran)
        assert ran.err == site.refused(f"{site.file}: {os.strerror(errno.ELOOP)}")
        assert site.file.is_symlink()
        if there:
            assert precious.read_text() == "precious"
            assert (precious.stat().st_mode, precious.stat().st_mtime_ns) == (
                before.st_mode,
                before.st_mtime_ns,
            )
        assert precious.exists() is there


@pytest.mark.parametrize("link", [True, False])
def test_a_file_of_another_kind_is_locked_and_stays_as_it_is(site: Site, link: bool) -> None:
    """Somebody's file may be linked there, or lie there: that does not cost its content."""
    precious = site.root / "precious" if link else site.file
    site.directory.mkdir()
    precious.write_text("precious\n")
    precious.chmod(0o640)
    if link:
        os.link(precious, site.file)

    site.hold()
    busy = site.run()
    done = site.let_go()

    assert (busy.status, busy.err) == (75, site.busy("it cannot be known"))
    assert (done.status, done.err) == (0, "")
    assert precious.read_text() == "precious\n"
    assert precious.stat().st_mode & 0o777 == 0o640


def test_an_empty_file_that_is_linked_elsewhere_stays_empty(tmp_path: Path) -> None:
    """It is not ours to write into, though it looks like it."""
    (tmp_path / "precious").touch()
    os.link(tmp_path / "precious", tmp_path / "any.lock")
    lock = FileLock("any", {"directory": tmp_path})

    assert lock.acquire()
    assert (tmp_path / "precious").read_text() == ""
    assert lock.holder() is None
    give_back(lock)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"garbage", id="garbage"),
        pytest.param(b"\xff\xfe\x00\n", id="bytes"),
        pytest.param(b"1@host 2026-01-02T03:04:05Z 01234567\nmore\n", id="stamp and more"),
        pytest.param(b"1@host 2026-01-02T03:04:05 01234567\n", id="not quite a stamp"),
        pytest.param(b"1@host 2026-13-02T03:04:05Z 01234567\n", id="impossible date"),
        pytest.param(b"1@" + b"h" * 500 + b" 2026-01-02T03:04:05Z 01234567\n", id="long stamp"),
        pytest.param(b" " * 300 + b"\n" * 300, id="blank"),
    ],
)
def test_content_that_is_no_stamp_says_nothing_and_is_kept(tmp_path: Path, content: bytes) -> None:
    """The file is locked all the same, and nobody is named as the holder."""
    file = tmp_path / "any.lock"
    file.write_bytes(content)
    one, other = (FileLock("any", {"directory": tmp_path}) for _ in range(2))

    assert one.acquire()
    assert not other.acquire()
    assert other.holder() is None
    assert file.read_bytes() == content
    one.verify()
    give_back(one)
    assert file.read_bytes() == content


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Its first bytes say that it is none of ours."""
    with (tmp_path / "any.lock").open("wb") as file:
        file.write(b"1@host 2026-01-02T03:04:05Z 01234567\n")
        file.truncate(1 << 30)
    one, other = (FileLock("any", {"directory": tmp_path}) for _ in range(2))

    assert one.acquire()
    assert not other.acquire()
    assert other.holder() is None
    give_back(one)
    assert (tmp_path / "any.lock").stat().st_size == 1 << 30


def test_a_directory_in_place_of_the_file_is_refused(site: Site) -> None:
    """The message has its path."""
    site.file.mkdir(parents=True)

    ran = site.run()

    site.assert_nothing_was_run(ran)
    assert ran.err == site.refused(f"{site.file}: Is a directory")
    site.file.rmdir()


def test_a_pipe_in_place_of_the_file_is_refused_and_nobody_waits_for_it(site: Site) -> None:
    """Opening one waits for the other end, unless care is taken."""
    site.directory.mkdir()
    os.mkfifo(site.file)

    ran = site.run()

    site.assert_nothing_was_run(ran)
    assert site.file.is_fifo()
    if sys.platform == "linux":  # elsewhere it cannot even be locked
        assert ran.err == site.refused(f"{site.file} is no file", NOT_OURS)


def test_nobody_is_named_by_what_cannot_be_read(tmp_path: Path) -> None:
    """Whatever lies in place of the file, asking who holds the lock neither fails nor waits."""
    lock = FileLock("any", {"directory": tmp_path})
    path = tmp_path / "any.lock"
    (tmp_path / "stamp").write_text(stamp())

    assert lock.holder() is None
    path.mkdir()
    assert lock.holder() is None
    path.rmdir()
    os.mkfifo(path)
    assert lock.holder() is None
    path.unlink()
    path.symlink_to("stamp")
    assert lock.holder() is None
    path.unlink()
    path.write_text(stamp())
    assert lock.holder() is not None


def test_another_users_file_is_refused(user: User, theirs: Site, shared: Path) -> None:
    """Who may not write into it may not lock it, also where anybody may make files."""
    theirs.locks_in(shared / "locks")
    theirs.directory.mkdir()
    theirs.directory.chmod(0o1777)
    theirs.file.touch(0o644)

    ran = run_as(user, theirs)

    theirs.assert_nothing_was_run(ran)
    assert ran.err == theirs.refused(f"{theirs.file}: Permission denied")
    assert (theirs.file.stat().st_uid, theirs.file.read_text()) == (0, "")


# The file while it is held


def test_a_file_that_is_deleted_stops_the_routine_before_its_next_step(site: Site) -> None:
    """The step that runs ends as it would, and the rest is not run."""
    site.hold()
    site.file.unlink()
    done = site.let_go()

    assert done.status == 1
    assert lost(f"{site.file} was deleted") in done.err
    assert "not run: settings:probe\n" in done.err
    assert site.live.project.ran == ["one passed"]
    assert os.listdir(site.directory) == []


def test_a_file_that_is_deleted_during_the_last_step_is_an_error_in_the_end(site: Site) -> None:
    """Every step was run, but another run may have been there, too."""
    site.live.project.settings(f"""
        DJANGO_RUNBOOK = {{"LOCK": {{"backend": "file", "directory": {str(site.directory)!r}}}}}
        routine("deploy", "Deploy.", lock=True)
        {HERE}
    """)

    site.hold()
    shutil.rmtree(site.directory)
    done = site.let_go()

    assert done.status == 1
    assert " was deleted\n" in done.err
    assert site.live.project.ran == ["one passed"]
    assert not site.directory.exists()


def test_a_file_that_is_replaced_belongs_to_who_locks_it_now(site: Site) -> None:
    """The routine stops before its next step, and leaves the new holder's file alone."""
    site.hold()
    site.file.unlink()
    rival = FileLock(site.file.stem, {"directory": site.directory})
    assert rival.acquire()
    text = site.file.read_text()
    done = site.let_go()

    assert done.status == 1
    assert lost(f"{site.file} was replaced") in done.err
    assert site.live.project.ran == ["one passed"]
    assert site.file.read_text() == text
    rival.verify()
    busy = site.run()
    assert (busy.status, busy.err) == (75, site.busy(site.holder()))
    assert site.holder().startswith(f"process {os.getpid()} on ")
    give_back(rival)
    assert site.file.read_text() == ""


def lost(why: str) -> str:
    """Return what a run writes that has lost its lock."""
    return (
        "the lock of routine 'deploy' was lost; another run may have started meanwhile.\n"
        "  lock: by file\n"
        f"  lost because: {why}\n"
    )


def test_a_lock_that_was_lost_is_given_up_all_the_same(tmp_path: Path) -> None:
    """Whoever is told so has nothing left open, and may take it anew."""
    lock = FileLock("any", {"directory": tmp_path})
    assert lock.acquire()
    open_files = len(os.listdir("/dev/fd"))
    (tmp_path / "any.lock").unlink()

    with pytest.raises(LockError, match=r"any\.lock was deleted$"):
        lock.verify()
    with pytest.raises(LockError, match=r"any\.lock was deleted$"):
        lock.release()
    lock.close()

    assert len(os.listdir("/dev/fd")) == open_files - 1
    lock.close()  # there is nothing that is open
    assert lock.acquire()
    lock.verify()
    give_back(lock)


def test_a_descriptor_that_somebody_has_closed_is_a_lost_lock(tmp_path: Path) -> None:
    """As code does that closes all it did not open; what has its number now is left alone."""
    lock, other = (FileLock("any", {"directory": tmp_path}) for _ in range(2))
    path = tmp_path / "any.lock"
    assert lock.acquire()
    (descriptor,) = (
        int(name)
        for name in os.listdir("/dev/fd")
        if os.path.exists(f"/dev/fd/{name}") and os.path.samestat(os.fstat(int(name)), path.stat())
    )
    closed = r"any\.lock was closed in this process, which has unlocked it$"
    os.close(descriptor)
    with pytest.raises(LockError, match=closed):
        lock.verify()
    another = os.open(tmp_path / "another", os.O_RDWR | os.O_CREAT)
    if another != descriptor:  # it is the lowest number that was free
        os.dup2(another, descriptor)
        os.close(another)
    with pytest.raises(LockError, match=closed):
        lock.verify()
    assert other.acquire()
    text = path.read_text()
    with pytest.raises(LockError, match=closed):
        lock.release()
    lock.close()
    del lock
    gc.collect()

    assert os.path.samestat(os.fstat(descriptor), (tmp_path / "another").stat())
    os.close(descriptor)
    other.verify()
    assert path.read_text() == text
    give_back(other)


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    """A lock is one run's, not the process's; any thread may look after it and give it back."""
    one, other = (FileLock("any", {"directory": tmp_path}) for _ in range(2))
    taken: list[bool] = []

    def in_thread(*calls: Any) -> None:
        def work() -> None:
            taken.extend(call() for call in calls)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    in_thread(one.acquire, other.acquire)
    assert taken == [True, False]
    assert not other.acquire()
    one.verify()
    in_thread(one.verify, one.release, one.close, other.acquire)
    assert taken == [True, False, None, None, None, True]
    other.verify()
    give_back(other)


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_that_cannot_lock_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Nothing that lies about would stand in for the lock: nobody takes it away after a crash.

    There is no such file system here, so that ``flock()`` says what it would say there.
    """

    def flock(*_args: Any) -> None:
        raise OSError(number, os.strerror(number))

    lock = FileLock("any", {"directory": tmp_path})
    monkeypatch.setattr(fcntl, "flock", flock)

    for _ in range(2):
        with pytest.raises(LockError) as caught:
            lock.acquire()
        assert str(caught.value) == f"{tmp_path / 'any.lock'}: {os.strerror(number)}"
    monkeypatch.undo()
    assert lock.acquire()
    give_back(lock)


# Who does not hold it any longer, or never did


@pytest.mark.parametrize("step", [HERE, PROGRAM])
def test_the_lock_of_a_run_that_is_killed_is_free_at_once(site: Site, step: str) -> None:
    """What it has written into the file names nobody; what it has started holds nothing."""
    site.locks_in(site.directory, step=step)

    site.hold()
    site.live.running.kill()
    assert site.live.end().status == -signal.SIGKILL
    stale = site.file.read_text()
    with locked(site.file):
        busy = site.run()
    ran = site.run()

    assert STAMP.fullmatch(stale)
    assert (busy.status, busy.err) == (75, site.busy("it cannot be known"))
    assert (ran.status, ran.err) == (0, "")
    assert site.file.read_text() == ""
    site.live.gate.open()
    assert site.live.said.ended()
    assert ("one passed" in site.live.project.ran) is (step == PROGRAM)


def test_what_names_a_process_that_is_there_does_not_hold_the_lock(site: Site) -> None:
    """Numbers of processes are used again; only the operating system knows who holds it."""
    site.directory.mkdir()
    site.file.write_text(f"{stamp()}\n")
    assert site.file.read_text().startswith(f"{os.getpid()}@")

    ran = site.run()

    assert (ran.status, ran.err) == (0, "")
    assert site.file.read_text() == ""


@pytest.mark.parametrize("process", [10**20, 10**300], ids=["1e20", "1e300"])
def test_a_number_that_no_process_can_have_names_nobody(tmp_path: Path, process: int) -> None:
    """Somebody else has written it: it is no stamp, and stays there."""
    text = stamp().partition("@")[2]
    (tmp_path / "any.lock").write_text(f"{process}@{text}\n")
    lock = FileLock("any", {"directory": tmp_path})

    with locked(tmp_path / "any.lock"):
        assert not lock.acquire()
        assert lock.holder() is None
    assert lock.acquire()
    assert lock.holder() is None
    give_back(lock)


FORKER = """
    import multiprocessing
    import os
    import sys

    from django.core.management.base import BaseCommand

    from waiting import wait

    def away(code):
        child = os.fork()
        if not child:
            code()
        os.waitpid(child, 0)

    class Command(BaseCommand):
        def handle(self, **options):
            away(sys.exit)
            away(lambda: os._exit(0))
            child = os.fork()
            if not child:
                return
            os.waitpid(child, 0)
            worker = multiprocessing.get_context("fork").Process(target=os.getpid)
            worker.start()
            worker.join()
            with open("said", "w") as said:
                print("one", file=said, flush=True)
                wait()
"""


def test_children_that_a_command_has_forked_do_not_give_the_lock_back(site: Site) -> None:
    """However they end, the run goes on to hold it, and its next steps are run."""
    site.live.project.command("probe", "forker", FORKER)
    site.locks_in(site.directory, step='command("deploy", "forker", switches=["hold"])')

    site.hold()
    holder = site.holder()
    busy = site.run()
    done = site.let_go()

    assert holder.startswith(f"process {site.live.running.pid} on ")
    assert (busy.status, busy.err) == (75, site.busy(holder))
    assert (done.status, done.err) == (0, "")
    assert site.live.project.ran == ["probe after"]
    assert site.file.read_text() == ""


LEAVER = """
    import os

    from django.core.management.base import BaseCommand

    from waiting import wait

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--stay", action="store_true")

        def handle(self, **options):
            if os.fork() and not options["stay"]:
                return
            said = os.open("said", os.O_WRONLY)
            os.write(said, b"one\\n")
            wait()
            os._exit(0)
"""


@pytest.mark.parametrize("killed", [False, True])
def test_children_that_a_command_has_forked_do_not_keep_the_lock(site: Site, killed: bool) -> None:
    """It is free when the run has ended or was killed, though they go on."""
    site.live.project.command("probe", "leaver", LEAVER)
    words = '"leaver", "--stay"' if killed else '"leaver"'
    site.locks_in(site.directory, step=f'command("deploy", {words}, switches=["hold"])')

    # Not to a pipe, which the child would keep open.
    site.hold(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if killed:
        assert site.live.said.line() == "one"
        site.live.running.kill()
    status = site.live.end().status
    ran = site.run()

    assert status == (-signal.SIGKILL if killed else 0)
    assert (ran.status, ran.err) == (0, "")
    site.live.gate.open()
    assert site.live.said.ended()


def test_a_process_that_a_step_leaves_behind_does_not_keep_the_lock(site: Site) -> None:
    """It has a session of its own, as a server has that a step starts."""
    site.live.project.file(
        "leave.py",
        """
        import subprocess

        nothing = subprocess.DEVNULL
        subprocess.Popen(
            ["sh", "./hold.sh", "one"],
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            close_fds=False,
            start_new_session=True,
        )
        """,
    )
    site.locks_in(
        site.directory,
        step=f'system("deploy", {sys.executable!r}, "-Wignore", "leave.py", switches=["hold"])',
    )

    site.hold()
    done = site.live.end()
    ran = site.run()

    assert (done.status, done.err) == (0, "")
    assert (ran.status, ran.err) == (0, "")
    assert site.live.project.ran == ["probe after", "probe after"]
    site.live.gate.open()
    assert site.live.said.ended()
    assert site.live.project.ran[2:] == ["one passed"]


# What a lock is for


def test_other_routines_projects_and_databases_have_locks_of_their_own(site: Site) -> None:
    """They run while the routine does, from the same directory."""
    settings = site.root / "config" / "settings.py"
    settings.write_text(
        settings.read_text()
        + 'command("other", "probe", "other")\nroutine("other", "Another.", lock=True)\n'
    )
    changes = {
        "project": 'DJANGO_RUNBOOK["LOCK"]["project"] += "x"',
        "database": 'DATABASES["default"]["NAME"] = BASE / "other.sqlite3"',
    }
    for name, change in changes.items():
        site.live.project.file(f"config/{name}.py", f"from config.settings import *\n\n{change}\n")

    site.hold()
    ran = {
        "routine": site.live.project.manage("routine", "other"),
        **{name: site.run(f"config.{name}") for name in changes},
    }
    held = STAMP.fullmatch(site.file.read_text())
    done = site.let_go()

    assert {name: (one.status, one.err) for name, one in ran.items()} == dict.fromkeys(ran, (0, ""))
    assert held is not None
    assert held[1] == str(site.live.running.pid)
    assert (done.status, done.err) == (0, "")
    assert site.live.project.ran == [
        "probe other",
        "probe after",
        "probe after",
        "one passed",
        "probe after",
    ]
    assert len(os.listdir(site.directory)) == 4
