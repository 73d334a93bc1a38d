"""Pins: a routine runs only if its plan is the one that was reviewed and kept in a file."""

from __future__ import annotations

import codecs
import copy
import json
import os
import re
import shlex
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook import get_plan
from django_runbook.document import Relocation, all_to_json, fingerprint, fingerprint_of, to_json
from django_runbook.exceptions import BadPin, UnexpectedPlan
from django_runbook.model import Plan
from django_runbook.pins import Pin, read_pin

from .live import Live
from .projects import Project, Ran, hook, install, line_of, write

pytestmark = pytest.mark.ours


SHA = "sha256:[0-9a-f]{64}"

PINNED = ("--expect", "deploy.plan.json")


def pinned(project: Project, *args: str, name: str = "deploy.plan.json") -> Path:
    """Write the plan of a routine to a file, as the shell does with what is explained."""
    ran = project.manage("routine", "deploy", *args, "--explain", "--format", "json")
    assert ran.out, ran.err
    path = project.root / name
    path.write_text(ran.out, encoding="utf-8")
    return path


def plain(text: str) -> str:
    """Return a text with the fingerprints in it replaced by a word."""
    return re.sub(SHA, "FINGERPRINT", text)


# What one app says, as a file has it at the time when it is asked.
SAID = """
    import json
    from pathlib import Path

    from django_runbook import hookimpl

    @hookimpl
    def contribute_routines(routines):
        for verb, words, given in json.loads(Path("said.json").read_text()):
            getattr(routines, verb)(*words, **given)
"""

# Many command lines in one process, each at a time when the app says something of its own.
CALLS = """
    import io
    import json
    from pathlib import Path

    import django

    django.setup()

    from django.core.management import CommandError, call_command

    results = []
    for said, args, kept in json.loads(Path("calls.json").read_text()):
        Path("said.json").write_text(json.dumps(said))
        out = io.StringIO()
        status, text = 0, ""
        try:
            call_command("routine", *args, stdout=out, stderr=io.StringIO())
        except CommandError as exc:
            status, text = exc.returncode, str(exc)
        trace = Path("ran.txt")
        ran = trace.read_text().splitlines() if trace.exists() else []
        trace.unlink(missing_ok=True)
        if kept:
            Path(kept).write_text(out.getvalue())
        results.append([status, text, ran, out.getvalue()])
    print(json.dumps(results))
"""

Said = list[tuple[str, list[str], dict[str, Any]]]


def step(word: str, *switches: str) -> Any:
    """Return what the app says to have a step."""
    return ("command", ["deploy", "probe", word], {"switches": switches, "step_id": word})


class Site:
    """A project whose plan changes from one command line to the next, all in one process."""

    def __init__(self, project: Project, text: str = "") -> None:
        self.project = project
        self._calls: list[Any] = []
        project.app("shop", routines=SAID)
        project.settings(text)

    def keep(self, name: str, said: Said, line: str = "deploy") -> None:
        """Write the plan of a command line to a file."""
        words = [*line.split(), "--explain", "--format", "json"]
        self._calls.append((said, words, name))

    def call(self, said: Said, *words: str) -> None:
        """Run the command with these words."""
        self._calls.append((said, words, ""))

    def results(self) -> list[list[Any]]:
        """Return the status, the message, what ran and the output of each ``call``, in order."""
        self.project.file("calls.json", json.dumps(self._calls))
        done = self.project.python(CALLS)
        assert done.status == 0, done.err
        answers: list[list[Any]] = done.document
        return [one for call, one in zip(self._calls, answers, strict=True) if not call[2]]


@pytest.fixture
def site(project: Project) -> Site:
    """A project whose only app says what a test wants it to say."""
    return Site(project)


# --- as expected, or not --------------------------------------------------------------------------

HOOKS = """
    from pathlib import Path

    def note(*args, **kwargs):
        with Path("ran.txt").open("a") as file:
            file.write("hook\\n")
"""

LISTEN = """
    from django.apps import AppConfig

    class Config(AppConfig):
        name = "listen"

        def ready(self):
            from config.hooks import note
            from django_runbook.signals import routine_failed, routine_finished, routine_started

            for signal in (routine_started, routine_finished, routine_failed):
                signal.connect(note, weak=False)
"""

EVERYTHING = """
    HOOK = "config.hooks.note"
    routine("package", "Package.")
    command("package", "probe", "packed")
    routine("deploy", "Deploy.", initialize=HOOK, pre_hook=HOOK, post_hook=HOOK, finalize=HOOK)
    command("deploy", "probe", "first", pre_hook=HOOK)
    command("deploy", "routine", "package")
    command("deploy", "probe", "demo", switches=["demo"])
    system("deploy", "sh", "-c", "echo system >>ran.txt")
"""


def test_a_plan_that_is_as_expected_runs_as_it_would_without(project: Project) -> None:
    """The same steps run, with the same hooks and output, wherever the file is named from."""
    project.file("config/hooks.py", HOOKS)
    project.app("listen", apps=LISTEN)
    project.settings(EVERYTHING)
    bare = project.manage("routine", "deploy", "--demo")
    ran = project.ran
    (project.root / "ran.txt").unlink()
    pin = pinned(project, "--demo")
    before = pin.read_bytes()

    held = project.manage("routine", "deploy", "--demo", *PINNED)
    told = project.manage(
        *("routine", "deploy", "--explain", "--demo", "--expect", "project/deploy.plan.json"),
        cwd=project.root.parent,
    )

    assert (bare.status, bare.err) == (0, "")
    assert (held.status, held.out, held.err) == (0, bare.out, "")
    assert len(held.progress) == len(bare.progress)
    assert project.ran == ran
    assert ran.count("hook") > 5
    assert {"probe first", "probe packed", "probe demo", "system"} < set(ran)
    said = "The plan of 'deploy' is the one in project/deploy.plan.json.\n"
    assert (told.status, told.out, told.err) == (0, said, "")
    assert pin.read_bytes() == before


CHANGED = """
    routine("deploy", "Deploy.", initialize=HOOK, pre_hook=HOOK, post_hook=HOOK, finalize=HOOK)
    command("deploy", "probe", "first", pre_hook=HOOK)
    command("deploy", "probe", "second")
    command("deploy", "migrate")
"""


def test_nothing_of_a_changed_plan_is_run(project: Project) -> None:
    """It ends with 3 and the difference: no step, hook or signal, no database and no lock."""
    project.file("config/hooks.py", HOOKS)
    project.app("listen", apps=LISTEN)
    project.app("shop", routines=hook('routines.command("deploy", "probe", "shop")'))
    head = """
    DJANGO_RUNBOOK = {"LOCK": {"directory": BASE / "locks"}}
    HOOK = "config.hooks.note"
    """
    file = project.settings(head + CHANGED)
    old = {word: line_of(file, f'"{word}"') for word in ("first", "second", "migrate")}
    pinned(project)
    project.app(
        "shop", installed=False, routines=hook('# New.\nroutines.command("deploy", "check")')
    )
    project.settings(head + "\n" + CHANGED.replace('"second"', '"2nd"'))
    new = {word: line_of(file, f'"{word}"') for word in ("first", "2nd", "migrate")}

    refused = project.manage("routine", "deploy", *PINNED)
    told = project.manage("routine", "deploy", "--explain", *PINNED)

    difference = (
        "+ shop:check, at 4: check\n"
        "    by shop shop/routines.py:6\n"
        "- shop:probe, at 4: probe shop\n"
        "    by shop shop/routines.py:5\n"
        "    shop does not declare it now\n"
        "~ settings:probe-2, at 2\n"
        f"    by settings config/settings.py:{old['second']} -> "
        f"settings config/settings.py:{new['2nd']}\n"
        "    argv: probe second -> probe 2nd\n"
        "Expected: FINGERPRINT\n"
        "Found:    FINGERPRINT\n"
    )
    assert (refused.status, refused.out, refused.progress) == (3, "", [])
    first, rest = plain(refused.err).split("\n", 1)
    assert first.startswith(
        "CommandError: Routine 'deploy' was not run: its plan is not the one in deploy.plan.json"
    )
    assert rest == (
        f"{difference}"
        "If this is what shall run, have it reviewed, and write: "
        "manage.py routine deploy --explain --format json > deploy.plan.json\n"
    )
    assert len(set(re.findall(SHA, refused.err))) == 2
    assert (told.status, told.err) == (3, "")
    first, rest = plain(told.out).split("\n", 1)
    assert first.startswith("The plan of 'deploy' is not the one in deploy.plan.json")
    assert rest == difference
    assert project.ran == []
    assert not (project.root / "db.sqlite3").exists()
    assert not (project.root / "locks").exists()


def release(project: Project, version: str, body: str) -> None:
    """Install a version of a distribution, instead of the one before."""
    where = project.root.parent / f"site-{version}" / "site-packages"
    install(
        where,
        "acme-cdn",
        version=version,
        modules={"acme_cdn/hooks.py": hook(body)},
        entry_points={"django_runbook": {"cdn": "acme_cdn.hooks"}},
    )
    project.paths = [where]


UPLOAD = 'routines.command("deploy", "probe", "upload", step_id="upload", priority=10)\n'
PURGE = 'routines.command("deploy", "probe", "purge", step_id="purge", priority=90)\n'
VERIFY = 'routines.command("deploy", "probe", "verify", step_id="verify", priority=95)\n'


def test_an_upgrade_of_a_plugin_is_told_when_it_changes_what_runs(project: Project) -> None:
    """The text names the distribution with both versions, what came, and what moved where."""
    project.settings("""
        DJANGO_RUNBOOK = {"PLUGINS": {"allow": ["acme-cdn"]}}
        routine("deploy", "Deploy.")
        command("deploy", "probe", "here", step_id="here", priority=50)
    """)
    release(project, "1.0.0", UPLOAD + PURGE)
    pinned(project)

    # Other lines and another help text: nothing that runs is another one.
    release(project, "1.0.1", "\n" + UPLOAD.replace("priority", 'help_text="New.", priority'))
    with (project.paths[0] / "acme_cdn/hooks.py").open("a") as file:
        file.write("    " + PURGE)
    told = project.manage("routine", "deploy", "--explain", *PINNED)
    passed = project.manage("routine", "deploy", *PINNED)
    ran = project.ran
    # One step more, and another one in another place.
    release(project, "2.0.0", UPLOAD + PURGE.replace("90", "5") + VERIFY)
    refused = project.manage("routine", "deploy", *PINNED)

    assert (told.status, told.err) == (0, "")
    assert told.out == (
        "The plan of 'deploy' is the one in deploy.plan.json.\n"
        "Distributions that differ: acme-cdn 1.0.0 -> 1.0.1.\n"
    )
    assert (passed.status, passed.err) == (0, "")
    assert ran == ["probe upload", "probe here", "probe purge"]
    assert (refused.status, refused.out) == (3, "")
    assert plain(refused.err).splitlines()[1:-1] == [
        "+ acme-cdn:verify, at 4: probe verify",
        "    by acme-cdn 2.0.0 acme_cdn/hooks.py:7",
        "> acme-cdn:purge, from 3 to 1, to the front",
        "    by acme-cdn 1.0.0 acme_cdn/hooks.py:6 -> acme-cdn 2.0.0 acme_cdn/hooks.py:6",
        "    priority: 90 -> 5",
        "Distributions that differ: acme-cdn 1.0.0 -> 2.0.0.",
        "Expected: FINGERPRINT",
        "Found:    FINGERPRINT",
    ]
    assert project.ran == ran


def test_a_plan_with_errors_is_compared_as_well(project: Project) -> None:
    """With a difference it ends with 3, and tells both; without one with 1, as any such plan."""
    project.app("shop", routines=hook('routines.command("deploy", "probe", "shop")'))
    project.settings('routine("deploy")\ncommand("deploy", "probe", "here")')
    pinned(project)
    project.app("shop", installed=False, routines='raise ValueError("broken shop")\n')
    broken = pinned(project, name="broken.json").name

    both = project.manage("routine", "deploy", *PINNED)
    told = project.manage("routine", "deploy", "--explain", *PINNED)
    same = project.manage("routine", "deploy", "--expect", broken)
    told_same = project.manage("routine", "deploy", "--explain", "--expect", broken)

    def text_of(ran: Ran) -> str:
        assert "Traceback" not in ran.err
        return ran.out + ran.err

    assert [one.status for one in (both, told, same, told_same)] == [3, 3, 1, 1]
    for one in (both, told):
        assert "- shop:probe, at 2: probe shop\n    by shop shop/routines.py:5\n" in text_of(one)
    for one in (both, told, same, told_same):
        assert text_of(one).count("broken shop") == 1
        assert "django_runbook.E003" in one.err
    assert same.err.startswith("CommandError: Routine 'deploy' was not run: 1 error.\n")
    assert told_same.out == "The plan of 'deploy' is the one in broken.json.\n"
    assert project.ran == []


def test_the_difference_as_json(site: Site) -> None:
    """Stdout holds one document, and the status tells: 0 the same, 3 another one."""
    words = ("deploy", "--explain", "--format", "json", "--expect", "pin.json")
    site.keep("pin.json", [step("a")])
    site.call([step("a")], *words)
    site.call([step("b")], *words)

    same, other = site.results()

    one, two = json.loads(same[3]), json.loads(other[3])
    assert (same[0], one["as_expected"], one["differences"]) == (0, True, [])
    assert (other[0], two["as_expected"]) == (3, False)
    differences = [(entry["kind"], entry["id"]) for entry in two["differences"]]
    assert differences == [("added", "shop:b"), ("removed", "shop:a")]
    assert (same[2], other[2]) == ([], [])


def test_the_command_that_a_refusal_names_writes_the_pin_that_passes(project: Project) -> None:
    """It has the switches and the controls of the run, and the file as a shell takes it."""
    project.settings("""
        routine("deploy", "Deploy.")
        command("deploy", "probe", "a", switches=["one"])
        command("deploy", "probe", "b", switches=["two"])
    """)
    words = ("--two", "--continue", "--no-subprocess", "--one")
    pin = pinned(project, *words, name="the plan.json")
    project.settings("""
        routine("deploy", "Deploy.", subprocess=True, continue_on_error=True)
        command("deploy", "probe", "c", switches=["one"])
        command("deploy", "probe", "d", switches=["two"])
    """)

    refused = project.manage("routine", "deploy", *words, "--expect", pin.name)
    assert refused.status == 3
    (command,) = re.findall(r"and write: manage\.py (.*)$", refused.err, re.MULTILINE)
    written, _, file = command.partition(" > ")
    assert shlex.split(file) == [pin.name]
    pin.write_text(project.manage(*shlex.split(written)).out, encoding="utf-8")
    passed = project.manage("routine", "deploy", *words, "--expect", pin.name)

    assert (passed.status, project.ran) == (0, ["probe c", "probe d"])


# --- what is compared, and when -------------------------------------------------------------------


def test_other_switches_are_wrong_usage(site: Site) -> None:
    """It ends with 2, says which were expected and which are given, and runs nothing."""
    said = [step("a"), step("b", "day"), step("c", "night")]
    site.keep("none.json", said)
    site.keep("day.json", said, "deploy --day")
    site.keep("all.json", said, "deploy --all")
    site.call(said, "deploy", "--expect", "day.json")
    site.call(said, "deploy", "--day", "--expect", "none.json")
    site.call(said, "deploy", "--day", "--night", "--explain", "--expect", "day.json")
    site.call(said, "deploy", "--all", "--expect", "day.json")
    site.call(said, "deploy", "--day", "--expect", "all.json")
    # Switches are a set, however they are given.
    site.call(said, "deploy", "--night", "--day", "--expect", "all.json")
    site.call(said, "deploy", "--day", "--expect", "day.json")

    results = site.results()

    assert [one[0] for one in results] == [2, 2, 2, 2, 2, 0, 0]
    none, day, both = "without switches", "with --day", "with --day --night"
    for result, file, expected, found in zip(
        results,
        ("day", "none", "day", "day", "all"),
        (day, none, day, day, both),
        (none, day, both, both, day),
        strict=False,
    ):
        assert result[1].startswith(
            f"{file}.json cannot be used as the expected plan: it was written {expected}, and "
            f"this is the plan {found}. Give the same switches, or "
        )
    assert [one[2] for one in results[:5]] == [[]] * 5
    assert results[5][2] == ["probe a", "probe b", "probe c"]
    assert results[6][2] == ["probe a", "probe b"]


def test_with_all_a_switch_that_came_or_has_gone_is_a_difference(site: Site) -> None:
    """Whoever says ``--all`` on both days makes no mistake: the plan is another one."""
    few, more = [step("a"), step("b", "day")], [step("a"), step("b", "day"), step("c", "night")]
    bare = [step("a")]
    for name, said in (("few", few), ("more", more), ("bare", bare)):
        site.keep(f"{name}.json", said, "deploy --all")
    site.call(more, "deploy", "--all", "--expect", "few.json")
    site.call(few, "deploy", "--all", "--expect", "more.json")
    site.call(few, "deploy", "--all", "--explain", "--expect", "bare.json")
    site.call(more, "deploy", "--all", "--expect", "more.json")

    came, gone, first, same = site.results()

    assert [one[0] for one in (came, gone, first, same)] == [3, 3, 3, 0]
    assert "\n+ shop:c, at 3: probe c\n" in came[1]
    assert "\n- shop:c, at 3: probe c\n" in gone[1]
    assert "\n+ shop:b, at 2: probe b\n" in first[3]
    assert came[2] == gone[2] == first[2] == []
    assert len(same[2]) == 3


def test_controls_of_the_command_line_are_part_of_the_plan(site: Site) -> None:
    """What is run otherwise than it was reviewed is a difference; what says the same is none."""
    said: Said = [("routine", ["deploy"], {"continue_on_error": True}), step("a")]
    site.keep("stated.json", said)
    site.keep("atomic.json", said, "deploy --atomic")
    site.call(said, "deploy", "--atomic", "--expect", "stated.json")
    site.call(said, "deploy", "--halt", "--subprocess", "--explain", "--expect", "stated.json")
    site.call(said, "deploy", "--expect", "atomic.json")
    site.call(said, "deploy", "--continue", "--non-atomic", "--expect", "stated.json")
    site.call(said, "deploy", "--atomic", "--expect", "atomic.json")
    # It is no control how much is shown.
    site.call(said, "--verbosity", "2", "deploy", "--expect", "stated.json")

    results = site.results()

    assert [one[0] for one in results] == [3, 3, 3, 0, 0, 0]
    assert "    controls.atomic: false -> true\n" in results[0][1]
    assert "    controls.subprocess: false -> true\n" in results[1][3]
    assert "    controls.continue_on_error: true -> false\n" in results[1][3]
    assert "    controls.atomic: true -> false\n" in results[2][1]
    assert [one[2] for one in results] == [[], [], [], *[["probe a"]] * 3]


def test_what_expect_does_not_go_with(site: Site) -> None:
    """It is wrong usage, with 2 and a message, and nothing runs."""
    said = [step("a")]
    package: Any = ("command", ["package", "probe", "packed"], {})
    site.keep("pin.json", said)
    site.keep("other.json", [package], "package")
    site.call(said, "deploy", "--expect", "pin.json", "list")
    site.call(said, "deploy", "--explain", "--format", "mermaid", "--expect", "pin.json")
    site.call(said, "deploy", "--format", "json", "--expect", "pin.json")
    site.call(said, "--expect", "pin.json", "deploy")
    site.call(said, "deploy", "--expect")
    site.call([*said, package], "deploy", "--expect", "other.json")
    site.call([*said, package], "package", "--explain", "--expect", "pin.json")
    site.call(said, "deploy", "--expect", "")
    site.call(said, "deploy", "--expect", "no-such.json")

    results = site.results()

    assert [(one[0], one[2], one[3]) for one in results] == [(2, [], "")] * len(results)
    for result, text in zip(
        results,
        (
            "--expect goes with a run, or with --explain.",
            "--format mermaid shows a plan, and no difference of two.",
            "--format goes with --explain.",
            "--expect",
            "--expect",
            "other.json cannot be used as the expected plan: it holds the plan of routine 'pack",
            "pin.json cannot be used as the expected plan: it holds the plan of routine 'deploy'",
            "cannot be used as the expected plan: ",
            "no-such.json cannot be used as the expected plan: it cannot be read: No such file",
        ),
        strict=True,
    ):
        assert text in result[1]


def test_a_nested_routine_expects_nothing_of_its_own(project: Project) -> None:
    """``--expect`` among its words is an error of the plan, in any spelling."""
    project.settings("""
        command("package", "probe", "packed")
        command("deploy", "routine", "package", "--expect", "package.json")
        command("deploy", "routine", "package", "--expect=package.json")
        command("deploy", "routine", "package", expect="package.json")
    """)

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    problems = [one for one in ran.document["problems"] if one["level"] == "error"]
    assert ran.status == 1
    assert len(problems) == 3
    assert all(
        "--expect belongs to the routine that is started" in one["message"] for one in problems
    )


# A site's own backend that is busy once, during which the app says something else.
ONCE_BUSY = """
    from pathlib import Path

    def log(word):
        with Path("ran.txt").open("a") as file:
            file.write(f"{word}\\n")

    class OnceBusy:
        def __init__(self, name, options):
            self.tries = 0

        def acquire(self):
            self.tries += 1
            log("busy" if self.tries == 1 else "taken")
            if Path("later.json").exists():
                Path("said.json").write_text(Path("later.json").read_text())
            return self.tries > 1

        def verify(self):
            pass

        def release(self):
            log("released")

        def close(self):
            log("closed")

        def holder(self):
            return None
"""


def test_the_plan_that_is_compared_is_made_when_the_lock_is_held(project: Project) -> None:
    """What has become another while it waited is refused, and what was mended is run."""
    project.file("config/locks.py", ONCE_BUSY)
    site = Site(project, 'DJANGO_RUNBOOK = {"LOCK": {"backend": "config.locks.OnceBusy"}}')
    lock: Any = ("routine", ["deploy"], {"lock": True})
    old, new = [lock, step("old", "day")], [lock, step("new", "night"), step("old", "day")]
    site.keep("old.json", old, "deploy --all")
    site.keep("new.json", new, "deploy --all")
    site.keep("day.json", old, "deploy --day")
    run = ("deploy", "--wait", "60", "--expect")
    project.file("later.json", json.dumps(new))

    site.call(old, *run, "old.json", "--all")
    site.call(old, *run, "new.json", "--all")
    site.call(old, *run, "day.json", "--day")
    # What is wrong with the call itself is said before it waits.
    site.call(old, *run, "day.json")
    site.call(old, *run, "no-such.json", "--day")
    site.call(old, "deploy", "--explain", "--all", "--expect", "old.json")

    became, mended, same, *wrong, explained = site.results()

    given_back = ["busy", "taken", "released", "closed"]
    assert (became[0], became[2]) == (3, given_back)
    assert "\n+ shop:new, at 1: probe new\n" in became[1]
    assert (mended[0], mended[1]) == (0, "")
    assert [one for one in mended[2] if one not in given_back] == ["probe new", "probe old"]
    assert (same[0], [one for one in same[2] if one not in given_back]) == (0, ["probe old"])
    assert [(one[0], one[2]) for one in wrong] == [(2, [])] * 2
    assert (explained[0], explained[2]) == (0, [])


def test_a_switch_that_goes_while_all_of_them_wait_is_a_difference(project: Project) -> None:
    """``--all`` means those that there are when the lock is held."""
    project.file("config/locks.py", ONCE_BUSY)
    site = Site(project, 'DJANGO_RUNBOOK = {"LOCK": {"backend": "config.locks.OnceBusy"}}')
    lock: Any = ("routine", ["deploy"], {"lock": True})
    few, more = [lock, step("a", "day")], [lock, step("a", "day"), step("b", "night")]
    site.keep("few.json", few, "deploy --all")
    site.keep("more.json", more, "deploy --all")
    project.file("later.json", json.dumps(few))
    site.call(more, "deploy", "--all", "--wait", "60", "--expect", "few.json")
    site.call(more, "deploy", "--all", "--wait", "60", "--expect", "more.json")

    mended, became = site.results()

    assert (mended[0], mended[1], "probe a" in mended[2]) == (0, "", True)
    assert (became[0], became[2]) == (3, ["busy", "taken", "released", "closed"])
    assert "\n- shop:b, at 2: probe b\n" in became[1]


def test_a_lock_that_a_routine_does_not_take_any_more_is_a_difference(site: Site) -> None:
    """Whoever waits for it, as on the day of the review, makes no mistake."""
    text = 'DJANGO_RUNBOOK = {"LOCK": {"directory": BASE / "locks"}}'
    site.project.settings(text)
    site.keep("pin.json", [("routine", ["deploy"], {"lock": True}), step("a")])
    site.call([step("a")], "deploy", "--wait", "5", "--expect", "pin.json")
    site.call([step("a")], "deploy", "--wait", "5")

    changed, bare = site.results()

    assert (changed[0], changed[2]) == (3, [])
    assert "    controls.lock: true -> false\n" in changed[1]
    assert (bare[0], bare[2]) == (2, [])


def test_a_refused_run_leaves_its_lock_to_the_next(project: Project) -> None:
    """It waits for the run before it, judges the plan as it is then, and is gone."""
    project.app("shop", routines=SAID)
    with closing(Live(project)) as live:
        project.settings("""
            DJANGO_RUNBOOK = {"LOCK": {"directory": BASE / "locks"}}
            routine("deploy", "Deploy.", lock=True)
            command("deploy", "hold", "held", switches=["hold"])
        """)
        said = project.file("said.json", json.dumps([step("before")]))
        pinned(project)
        live.start("routine", "deploy", "--hold")
        assert live.said.line() == "held"
        holder = live.running
        try:
            live.start("routine", "deploy", "--wait", "60", *PINNED)
            live.wait_for(live.running.stderr, "waits for at most 1 min 00 s")
            said.write_text(json.dumps([step("after")]))
            live.gate.open()
            refused = live.end()
        finally:
            holder.communicate(timeout=60)
        assert holder.returncode == 0
    assert refused.status == 3
    assert "\n+ shop:after, at 1: probe after\n" in refused.err
    assert "\n- shop:before, at 1: probe before\n" in refused.err
    assert project.ran == ["held passed", "probe before"]

    pinned(project)
    assert project.manage("routine", "deploy", *PINNED).status == 0
    assert project.ran[2:] == ["probe after"]


# --- the file -------------------------------------------------------------------------------------

ROUTINES = {
    "package": {"commands": [{"management": ("check", "--tag", "urls")}], "atomic": True},
    "deploy": {
        "help_text": "Deploy.",
        "pre_hook": "tests.hooks.before",
        "continue_on_error": True,
        "switch_helps": {"demo": "Load the demo data."},
        "commands": [
            {"management": ("migrate", "--plan"), "options": {"interactive": False, "n": [1, {}]}},
            {"system": ("true", "a b"), "env": {"STAGE": "live"}, "time_limit": 30.5},
            {"management": ("routine", "package"), "help_text": "Package."},
            {"management": "check", "post_hook": "tests.hooks.after", "run_after": ["true"]},
            {"management": "flush", "switches": ["demo"], "step_id": "demo"},
        ],
        "overrides": {"settings:check": {"priority": 7}},
    },
}
"""Routines whose document has all that is read from one."""


def plan_of(name: str) -> Plan:
    """Return the plan of one of the routines above."""
    with override_settings(DJANGO_ROUTINES=ROUTINES, DJANGO_RUNBOOK={"PLUGINS": {"allow": []}}):
        return get_plan(name)


@pytest.fixture(scope="module")
def deploy() -> Plan:
    """A plan that has something of everything."""
    return plan_of("deploy")


@pytest.fixture
def document(deploy: Plan) -> Any:
    """Its document, to be spoilt."""
    return json.loads(to_json(deploy))


def in_file(where: Path, content: Any) -> Path:
    """Write a file: bytes, text or a value for JSON."""
    path = where / "deploy.plan.json"
    if not isinstance(content, str | bytes):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refusal(path: Path) -> str:
    """Return why a file is refused, after its name and before what to do."""
    with pytest.raises(BadPin) as caught:
        read_pin(path)
    text = str(caught.value)
    assert caught.value.exit_status == 2
    assert text.isprintable(), "a message is one line, and does nothing to a terminal"
    head = f"{path} cannot be used as the expected plan: "
    assert text.startswith(head)
    why, remedy = re.fullmatch(
        r"(.+)\. ((?:Write|Take|Name|Give) .+)", text.removeprefix(head)
    ).groups()  # type: ignore[union-attr]
    assert remedy
    return str(why)


def test_a_document_is_read_as_it_was_written(tmp_path: Path, deploy: Plan, document: Any) -> None:
    """A pin is the plan's document, with its fingerprint, from a path of any kind."""
    path = in_file(tmp_path, to_json(deploy))

    for given_as in (path, str(path)):
        pin = read_pin(given_as)
        assert (pin.document, pin.path) == (document, str(path))
        assert pin.fingerprint == document["fingerprint"]
        assert not pin.difference(deploy)


@pytest.mark.parametrize(
    "written",
    [
        lambda text: text.encode("utf-8-sig"),
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
        lambda text: text.replace("\n", "\r\n").encode("utf-16"),
        lambda text: text.replace("\n", "\r\n").encode() + b"\r\n\r\n",
        lambda text: json.dumps(json.loads(text), sort_keys=True).encode(),
    ],
    ids=["utf-8-bom", "utf-16-le", "utf-16-be", "powershell", "crlf", "other tool"],
)
def test_how_a_shell_or_an_editor_has_written_it_does_not_matter(
    tmp_path: Path, deploy: Plan, written: Callable[[str], bytes]
) -> None:
    """A BOM, PowerShell's UTF-16, other line ends, another order of the keys: the same plan."""
    path = in_file(tmp_path, written(to_json(deploy)))

    assert not read_pin(path).difference(deploy)


def test_what_is_no_file_that_can_be_read(tmp_path: Path) -> None:
    """The message says what the system says, and to name the file."""
    directory = tmp_path / "pins"
    directory.mkdir()

    assert refusal(tmp_path / "no.json") == "it cannot be read: No such file or directory"
    assert refusal(directory / "no" / "no.json").endswith("No such file or directory")
    assert refusal(directory) == "it cannot be read: Is a directory"
    assert refusal(Path("x" * 300)) == "it cannot be read: File name too long"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path, document: Any) -> None:
    """It is refused, and not taken for a plan that is as expected."""
    path = in_file(tmp_path, document)
    path.chmod(0)

    assert refusal(path) == "it cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty"),
        (" \n\t", "it is empty"),
        (codecs.BOM_UTF8, "it is empty"),
        (codecs.BOM_UTF16_LE, "it is .+"),
        ("Deploy the site.\n 1  settings:migrate", "it is not JSON: .+"),
        ("{}{}", "it is not JSON: Extra data.+"),
        ("{'routine': 'deploy'}", "it is not JSON: .+"),
        ('{"a": 1,}', "it is not JSON: .+"),
        (bytes(range(256)) * 8, "it is not JSON: .+"),
        (b"\x1f\x8b\x08\x00" + b"\xff" * 100, "it is not JSON: .+"),
        (b"\x00" * 64, "it is not JSON: .+"),
        ('{"a": NaN}', "it is not JSON: NaN is no value of JSON"),
        ('{"a": [-Infinity]}', "it is not JSON: -Infinity is no value of JSON"),
        ('{"a": {"b\\u001b": 1, "b\\u001b": 2}}', "it is not JSON: the key .b.+ is there twice"),
        (f'{{"a": {"9" * 5000}}}', "it is not JSON: .+"),
        ("[" * 200_000, "it is not JSON: .+"),
        ('{"plan":' * 100_000 + "1" + "}" * 100_000, "it is not JSON: .+"),
        ("[]", "it holds .+ and no plan"),
        ("null", "it holds .+ and no plan"),
        ('"sha256:00"', "it holds .sha256:00. and no plan"),
        ('"\\u001b[2J\\n"', "it holds .+ and no plan"),
        (json.dumps("x" * 5000), "it holds .{1,100} and no plan"),
        ("3", "it holds 3 and no plan"),
        ("{}", "it states no format_version, as a plan does"),
    ],
    ids=range(24),
)
def test_what_is_no_plan_at_all(tmp_path: Path, content: str | bytes, why: str) -> None:
    """Each says what it is instead, on one line and without a traceback."""
    assert re.fullmatch(why, refusal(in_file(tmp_path, content)))


@pytest.mark.parametrize("roots", [[], ["/srv/site"]], ids=len)
def test_values_that_are_nested_too_deeply_are_refused(
    tmp_path: Path, document: Any, roots: list[str]
) -> None:
    """Deep enough for JSON, and too deep to be compared."""
    document["roots"] = roots
    text = json.dumps(document)
    assert text.count('"n": [1, {}]') == 1

    for depth in (100, 300, 600, 900):
        deep = text.replace('"n": [1, {}]', f'"n": {"[" * depth}{"]" * depth}')
        with pytest.raises(BadPin, match=r"json cannot be used as the expected plan: "):
            read_pin(in_file(tmp_path, deep))


def test_what_a_nested_plan_has_more_is_not_read(
    tmp_path: Path, deploy: Plan, document: Any
) -> None:
    """The locks and the roots are those of the outermost document."""
    document["steps"][2]["plan"].update(roots=3, locks="x", switches=None, sources=[None])

    assert not read_pin(in_file(tmp_path, document)).difference(deploy)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_that_was_cut_off_is_refused(tmp_path: Path, deploy: Plan, encoding: str) -> None:
    """Wherever: a full disk or a lost connection makes no plan that could be run."""
    whole = to_json(deploy).encode(encoding)

    for end in (*range(0, len(whole) - 2, 53), len(whole) - 2, len(whole) - 1):
        why = refusal(in_file(tmp_path, whole[:end]))
        assert why.startswith(("it is empty", "it is not JSON")), end


OTHER_FORMAT = "it is of format .*{}.*, and this version of django-runbook reads 1.x"


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("2.0", OTHER_FORMAT.format("2.0")),
        ("0.9", OTHER_FORMAT.format("0.9")),
        ("x", OTHER_FORMAT.format("x")),
        ("", OTHER_FORMAT.format("")),
        (" 1.0", OTHER_FORMAT.format("1.0")),
        ("10.0", OTHER_FORMAT.format("10.0")),
        ("2\x1b[2J\n", OTHER_FORMAT.format("2")),
        (1, "it states no format_version, as a plan does"),
        (1.0, "it states no format_version, as a plan does"),
        (None, "it states no format_version, as a plan does"),
        (["1.0"], "it states no format_version, as a plan does"),
    ],
    ids=str,
)
def test_another_major_version_of_the_format_is_refused(
    tmp_path: Path, document: Any, version: Any, why: str
) -> None:
    """Its fingerprint may mean something else; a missing version is no version either."""
    document["format_version"] = version

    assert re.fullmatch(why, refusal(in_file(tmp_path, document)))


def test_another_minor_version_of_the_format_is_read(
    tmp_path: Path, deploy: Plan, document: Any
) -> None:
    """What it has more is left alone, and what is changed may be due to it, as is said."""
    document["format_version"] = "1.7"
    document["colour"] = "red"
    document["steps"][0]["colour"] = {"deep": [1]}
    document["steps"][0]["origin"]["colour"] = None
    document["sources"][0]["colour"] = 1

    assert not read_pin(in_file(tmp_path, document)).difference(deploy)

    document["steps"][0]["argv"].append("x")
    why = refusal(in_file(tmp_path, document))
    assert re.search(": it was changed after it was written, or is of .+ format .*1.7", why)


def test_a_document_of_all_routines_is_refused(tmp_path: Path, deploy: Plan) -> None:
    """It is what ``routine --explain --format json`` writes, where a name was forgotten."""
    path = in_file(tmp_path, all_to_json([deploy], ()))

    assert refusal(path) == "it holds the plans of all routines, and a pin holds one"


def test_the_plan_of_another_routine_or_of_other_switches_is_refused(
    tmp_path: Path, deploy: Plan, document: Any
) -> None:
    """A pin can be read for itself; what it is compared with must be its routine."""
    pin = read_pin(in_file(tmp_path, document))
    package = plan_of("package")

    for compare in (pin.difference, pin.refuse_other, pin.require):
        with pytest.raises(BadPin, match="it holds the plan of routine 'deploy'"):
            compare(package)
    document["switches"]["active"] = ["\x1b[2J\n"]
    hostile = read_pin(in_file(tmp_path, document))
    with pytest.raises(BadPin, match="it was written with --") as caught:
        hostile.require(deploy)
    assert str(caught.value).isprintable()


READ = (
    *("routine", "fingerprint", "controls", "hooks", "origins", "roots", "steps", "sources"),
    *("switches", "switches.active", "switches.available"),
    *("steps.0.position", "steps.1.id", "steps.2.kind", "steps.3.argv", "steps.4.options"),
    *("steps.0.env", "steps.1.time_limit", "steps.2.pre_hook", "steps.3.post_hook"),
    *("steps.4.priority", "steps.0.switches", "steps.1.run_before", "steps.2.run_after"),
    *("steps.3.status", "steps.4.reason", "steps.0.reason.code", "steps.1.origin"),
    *("steps.2.origin.file", "steps.3.origin.line", "steps.4.origin.version"),
    *("steps.2.plan.routine", "steps.2.plan.steps", "steps.2.plan.steps.0.argv"),
)
"""What a document must have to be compared."""


def parent_of(document: Any, path: str) -> tuple[Any, Any]:
    """Return the object or the list that holds a value, and where in it."""
    *way, last = path.split(".")
    for key in way:
        document = document[int(key) if isinstance(document, list) else key]
    return document, last


NULLABLE = ("position", "time_limit", "pre_hook", "post_hook", "file", "line", "version")


@pytest.mark.parametrize("path", READ)
def test_a_document_that_is_not_of_the_form_is_refused(
    tmp_path: Path, document: Any, path: str
) -> None:
    """A key that is missing, a value of another type: the message names the place of it."""
    holder, key = parent_of(document, path)
    right = holder.pop(key)
    place = re.sub(r"\.(\d+)", r"[\1]", path)
    assert refusal(in_file(tmp_path, document)) == f"it has no {place}, as a plan does"

    for wrong in (7.5, True, "x", None, [], [[]], {}, [None]):
        # What is read of a number may be any; of an object its keys.
        if type(wrong) is type(right) or (key in NULLABLE and wrong is None):
            continue
        if (key == "time_limit" and wrong == 7.5) or (key in NULLABLE and wrong == "x"):
            continue
        holder[key] = wrong
        why = refusal(in_file(tmp_path, document))
        assert why.startswith(place), wrong
        assert " must be " in why or why.endswith(", which it is in no plan"), wrong


EDITS: dict[str, Callable[[Any], Any]] = {
    "argv": lambda it: it["steps"][0]["argv"].append("--fake"),
    "argv nested": lambda it: it["steps"][2]["plan"]["steps"][0]["argv"].append("x"),
    "option": lambda it: it["steps"][0]["options"].update(interactive=True),
    "option's type": lambda it: it["steps"][0]["options"].update(interactive=0),
    "option more": lambda it: it["steps"][0]["options"].update(x=None),
    "step removed": lambda it: it["steps"].pop(1),
    "steps swapped": lambda it: it["steps"].insert(0, it["steps"].pop(1)),
    "step switched off": lambda it: it["steps"][1].update(status="switched_off"),
    "step switched on": lambda it: it["steps"][4].update(status="run"),
    "id": lambda it: it["steps"][0].update(id="shop:migrate"),
    "kind": lambda it: it["steps"][0].update(kind="system"),
    "env": lambda it: it["steps"][1]["env"].update(STAGE="test"),
    "time limit": lambda it: it["steps"][1].update(time_limit=31),
    "switch": lambda it: it["steps"][1]["switches"].append("demo"),
    "hook": lambda it: it["steps"][3].update(post_hook=None),
    "nested plan": lambda it: it["steps"][2].pop("plan"),
    "control": lambda it: it["controls"].update(continue_on_error=False),
    "control nested": lambda it: it["steps"][2]["plan"]["controls"].update(atomic=False),
    "routine's hook": lambda it: it["hooks"].clear(),
    "routine": lambda it: it.update(routine="package"),
    "fingerprint": lambda it: it.update(fingerprint="sha256:" + "0" * 64),
    "no fingerprint": lambda it: it.update(fingerprint="\x1b[2J"),
    "infinite": lambda it: it["steps"][1].update(time_limit=1e300 * 1e300),
}
"""What nobody may write into a plan by hand: it says what runs."""


def renumber(document: Any) -> None:
    """Put the steps of a document in the order and at the positions of a plan."""
    document["steps"].sort(key=lambda step: step["status"] != "run")
    for position, one in enumerate(document["steps"], 1):
        one["position"] = position if one["status"] == "run" else None


@pytest.mark.parametrize("name", EDITS)
def test_a_plan_that_was_edited_is_refused(tmp_path: Path, document: Any, name: str) -> None:
    """Whatever the fingerprint covers: what was reviewed is what was explained, and no other."""
    EDITS[name](document)
    # JSON has no word for it, but a number that is too big for it.
    assert refusal(in_file(tmp_path, json.dumps(document).replace("Infinity", "1e999")))

    renumber(document)
    why = refusal(in_file(tmp_path, json.dumps(document).replace("Infinity", "1e999")))

    assert why.startswith("its steps are not those of its fingerprint ")
    assert why.endswith(": it was changed after it was written")


@pytest.mark.parametrize("root", ["/", "", "srv", "a", "..", "/srv\x00"])
def test_what_is_no_directory_of_a_project_takes_no_word_away(
    tmp_path: Path, deploy: Plan, document: Any, root: str
) -> None:
    """A root that is in every word, or in none, would hide what is another one."""
    document["roots"] = [root]
    document["steps"][1]["argv"][1] = f"{root}/x"
    document["fingerprint"] = fingerprint_of(document, document["roots"])
    path = in_file(tmp_path, document)

    with pytest.raises((BadPin, UnexpectedPlan)):
        read_pin(path).require(deploy)


@pytest.mark.parametrize("path", ["steps", "steps.2.plan.steps"])
def test_two_steps_of_one_id_are_refused(tmp_path: Path, document: Any, path: str) -> None:
    """No plan has such: which of them has changed could not be told, be the fingerprint right."""
    holder, key = parent_of(document, path)
    holder[key].append(copy.deepcopy(holder[key][0]))
    renumber(document)
    renumber(document["steps"][2]["plan"])
    document["fingerprint"] = fingerprint_of(document, document["roots"])

    why = refusal(in_file(tmp_path, document))
    assert why.startswith("it has two steps ")
    assert holder[key][0]["id"] in why


OTHERS: dict[str, Callable[[Any], Any]] = {
    "help": lambda it: it.update(help_text="Another."),
    "step's help": lambda it: it["steps"][0].update(help_text="Another."),
    "line": lambda it: it["steps"][0]["origin"].update(line=1234),
    "file": lambda it: it["steps"][0]["origin"].update(file=None),
    "version": lambda it: it["steps"][0]["origin"].update(distribution="acme", version="9"),
    "priority": lambda it: it["steps"][0].update(priority=-99, effective_priority=3),
    "reason": lambda it: it["steps"][0].update(reason={"code": "x", "detail": "y"}),
    "left out": lambda it: it["steps"].pop(),
    "problems": lambda it: it.pop("problems"),
    "locks": lambda it: it.pop("locks"),
    "sources": lambda it: it["sources"].clear(),
    "who states it": lambda it: it["origins"].clear(),
    "a project that lay elsewhere": lambda it: it["roots"].append("/srv/gone"),
}
"""What may be another one: nothing of it is run."""


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_run_is_not_compared(
    tmp_path: Path, deploy: Plan, document: Any, name: str
) -> None:
    """Help texts, lines, versions and the like make no other plan."""
    OTHERS[name](document)

    pin = read_pin(in_file(tmp_path, document))

    pin.require(deploy)
    assert not pin.difference(deploy).entries


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hooks", "x"),
        ("controls", {"atomic": {}}),
        ("origins", {"continue_on_error": "x", "pre_hook": 3, "atomic": []}),
        ("origins", {"continue_on_error": {}, "pre_hook": {"source": 1}}),
    ],
)
def test_who_stated_something_of_a_routine_is_told_or_refused(
    tmp_path: Path, deploy: Plan, document: Any, key: str, value: Any
) -> None:
    """What is not covered by the fingerprint is read for the text alone, and never a traceback."""
    document["controls"]["continue_on_error"] = False
    document["hooks"]["pre_hook"] = "tests.hooks.another"
    document[key] = value
    document["fingerprint"] = fingerprint_of(document, document["roots"])
    path = in_file(tmp_path, document)

    try:
        pin = read_pin(path)
    except BadPin:
        return
    with pytest.raises(UnexpectedPlan, match="was not run"):
        pin.require(deploy)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["run", "1.0", "/", "settings:check", "\x00", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


KEYS = ("roots", "steps", "plan", "switches", "origins", "status", "overridden_by", "given", "x")


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to each value inside of a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        yield (*way, key)
        if isinstance(one, dict | list):
            yield from places(one, (*way, key))


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_whatever_a_file_holds_it_is_a_pin_or_refused(deploy: Plan, data: st.DataObject) -> None:
    """Values dropped, replaced or added at random, and a fingerprint that fits or does not.

    What is taken for a pin can be compared, and the difference can be told.
    """
    document = json.loads(to_json(deploy))
    for _ in range(data.draw(st.integers(1, 3))):
        *way, last = data.draw(st.sampled_from(list(places(document))))
        holder = document
        for key in way:
            holder = holder[key]
        act = data.draw(st.sampled_from(["drop", "replace", "add"]))
        if act == "drop":
            del holder[last]
        elif act == "replace" or isinstance(holder, list):
            holder[last] = data.draw(VALUES)
        else:
            holder[data.draw(st.sampled_from(KEYS))] = data.draw(VALUES)
    if data.draw(st.booleans()):
        with suppress(KeyError, TypeError, AttributeError):  # there is no such document
            document["fingerprint"] = fingerprint_of(document, document["roots"])
    with tempfile.TemporaryDirectory() as directory:
        path = in_file(Path(directory), document)
        refused = ""
        try:
            pin = read_pin(path)
            difference = pin.difference(deploy)
        except BadPin as exc:
            refused = str(exc)
    if refused:
        assert refused.isprintable()
        return
    assert isinstance(pin, Pin)
    assert all(line.isprintable() for line in difference.lines())
    assert json.loads(json.dumps(difference.document()))["as_expected"] is not bool(difference)
    assert bool(difference) is (pin.fingerprint != fingerprint(deploy))


def test_a_bad_file_ends_the_command_with_2(project: Project, document: Any) -> None:
    """In a process of its own: a message of one line, no traceback, and nothing runs."""
    project.settings('command("deploy", "probe", "a")')
    document["steps"][0]["argv"] = ["probe", "b"]
    edited = in_file(project.root, document)

    ran = project.manage("routine", "deploy", "--expect", str(edited))

    assert (ran.status, ran.out, project.ran) == (2, "", [])
    assert re.fullmatch(
        rf"CommandError: {re.escape(str(edited))} cannot be used as the expected plan: its "
        rf"steps are not those of its fingerprint {SHA}: it was changed after it was written. "
        r"Write it anew with: manage.py routine deploy --explain --format json > \S+\n",
        ran.err,
    )


# --- where the project lies -----------------------------------------------------------------------

PLACES = """
    HERE = Path(__file__).resolve().parents[1]
    routine("deploy", "Deploy.")
    command("deploy", "probe", BASE / "fixtures", f"--tag={BASE}/media")
    command("deploy", "probe", HERE, tag=[str(BASE), {"deep": HERE / "a b"}], step_id="options")
    system(
        "deploy",
        BASE / "bin" / "tool",
        f"-I{BASE}/include",
        f"cd '{BASE}' && ls {HERE}/x; ls",
        env={
            "PATH": f"{BASE}/bin:/usr/bin:{HERE}",
            "DATABASE_URL": f"sqlite:///{BASE}/db.sqlite3",
            "HOME": str(BASE),
        },
    )
"""

COLLECT = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        stealth_options = ("tags",)

        def handle(self, **options):
            pass
"""


def checkout(root: Path, text: str = PLACES) -> Project:
    """Return a project at a place of its own."""
    project = Project(root)
    project.command("probe", "collect", COLLECT)
    project.settings(text)
    write(root / "bin/tool", "#!/bin/sh\necho tool >>ran.txt\n").chmod(0o755)
    return project


def test_another_checkout_of_the_project_has_the_same_plan(tmp_path: Path, memory: Path) -> None:
    """What is reviewed in one place is run in another, with absolute paths of each in it."""
    text = PLACES.replace(
        "HERE, tag=", 'HERE, step_id="here")\n    command("deploy", "collect", tags='
    )
    one, other = checkout(tmp_path / "work/site", text), checkout(memory / "srv/site-2", text)
    pin = pinned(one)
    document = json.loads(pin.read_text())

    told = other.manage("routine", "deploy", "--explain", "--expect", str(pin))
    ran = other.manage("routine", "deploy", "--expect", str(pin))

    assert document["roots"] == [str(one.root)]
    assert document["steps"][0]["argv"][1] == str(one.root / "fixtures")
    assert (told.status, told.err) == (0, "")
    assert told.out == f"The plan of 'deploy' is the one in {pin}.\n"
    assert (ran.status, ran.err) == (0, "")
    assert "tool" in other.ran


def test_a_path_that_is_only_similar_is_not_the_projects(tmp_path: Path, memory: Path) -> None:
    """A directory beside the project is another one where the project is elsewhere."""
    text = """
        command("deploy", "probe", f"{BASE}-2/media", step_id="beside")
        command("deploy", "probe", BASE / "media", step_id="inside")
        command("deploy", "probe", f"/data{BASE}", step_id="backup")
    """
    one, other = checkout(tmp_path / "site", text), checkout(memory / "site", text)
    pin = pinned(one)

    refused = other.manage("routine", "deploy", "--expect", str(pin))

    assert (refused.status, other.ran) == (3, [])
    changed = [line for line in refused.err.splitlines() if line.startswith("~")]
    assert changed == ["~ settings:beside, at 1", "~ settings:backup, at 3"]
    assert f"    argv: probe {one.root}-2/media -> probe {other.root}-2/media\n" in refused.err


EXPLAIN = """
    import sys

    from django.core.management import execute_from_command_line

    sys.path.remove("")  # the working directory, of which Python resolves links, too
    execute_from_command_line(["manage.py", *"routine deploy --explain --format json".split()])
"""


def test_a_project_behind_a_symbolic_link_has_the_same_plan(tmp_path: Path) -> None:
    """Releases that lie side by side, the current one behind a link, and settings that resolve."""
    text = PLACES.replace(", tag=[", ', step_id="here")\n    command("deploy", "collect", tags=[')
    first = checkout(tmp_path / "releases/42", text)
    second = checkout(tmp_path / "releases/43", text)
    current = tmp_path / "current"
    current.symlink_to(first.root)
    linked = copy.copy(first)
    linked.root = current
    pin = tmp_path / "pin.json"
    # Python resolves the link for manage.py, and leaves it where PYTHONPATH names the directory.
    written = linked.python(EXPLAIN)
    pin.write_text(written.out, encoding="utf-8")
    words = ("routine", "deploy", "--explain", "--expect", str(pin))

    direct = first.manage(*words)
    next_one = second.manage(*words)
    current.unlink()
    current.symlink_to(second.root)
    switched = linked.manage(*words, cwd=tmp_path)

    assert written.document["roots"] == [str(current), str(first.root)]
    for ran in (direct, next_one, switched):
        assert (ran.status, ran.out) == (0, f"The plan of 'deploy' is the one in {pin}.\n"), ran.err


def test_the_code_of_a_project_may_lie_in_a_directory_of_it(tmp_path: Path) -> None:
    """What the settings call ``BASE_DIR`` is the project, where it lies above their package."""
    text = """
        BASE_DIR = BASE.parent
        command("deploy", "probe", BASE_DIR / "bin", BASE / "media")
    """
    first, second = (checkout(tmp_path / name / "src", text) for name in ("one", "two"))
    pin = pinned(first)

    ran = second.manage("routine", "deploy", "--explain", "--expect", str(pin))

    assert (ran.status, ran.err) == (0, ""), ran.out
    assert json.loads(pin.read_text())["roots"] == [str(tmp_path / "one")]


def test_a_base_directory_that_is_everything_is_no_project(tmp_path: Path) -> None:
    """The directory of the settings' package counts then."""
    text = 'BASE_DIR = "/"\ncommand("deploy", "probe", BASE / "media", "/media")'
    project = checkout(tmp_path / "site", text)

    assert json.loads(pinned(project).read_text())["roots"] == [str(project.root)]


def test_a_path_that_is_the_same_in_both_places_is_no_difference(tmp_path: Path) -> None:
    """The directory of production, written out in its settings, is what runs wherever it is read.

    The pin is written in another checkout with production's settings, and read in production.
    """
    production = tmp_path / "srv/site"
    text = f"""
        command("deploy", "probe", {str(production / "media")!r}, BASE / "fixtures")
    """
    work, live = checkout(tmp_path / "work/site", text), checkout(production, text)
    pin = pinned(work)

    ran = live.manage("routine", "deploy", "--explain", "--expect", str(pin))

    assert (ran.status, ran.err) == (0, ""), ran.out


def test_how_the_project_is_started_makes_no_other_plan(tmp_path: Path) -> None:
    """Settings that name the link, read through it and through ``manage.py``, which resolves it."""
    current, pin = tmp_path / "current", tmp_path / "pin.json"
    project = checkout(tmp_path / "releases/42", f'command("deploy", "probe", "{current}/media")')
    current.symlink_to(project.root)
    linked = copy.copy(project)
    linked.root = current
    pin.write_text(linked.python(EXPLAIN).out, encoding="utf-8")

    ran = linked.manage("routine", "deploy", "--explain", "--expect", str(pin))

    assert (ran.status, ran.err) == (0, ""), ran.out


@pytest.mark.parametrize(
    ("word", "inside"),
    [
        ("/app", True),
        ("/app/", True),
        ("/app/x.y", True),
        ("--where=/app/x", True),
        ("/usr/bin:/app/bin:/app", True),
        ("-I/app/include", True),
        ("@/app/file", True),
        ("cd /app && make", True),
        ("'/app'", True),
        ("sqlite:////app/db.sqlite3", True),
        ("file:///app/x", True),
        ("/apps", False),
        ("/app-2/x", False),
        ("/app.bak", False),
        ("/app_2", False),
        ("/appé", False),
        ("/srv/app", False),
        ("./app", False),
        ("a/app", False),
        ("-/app", False),
        ("http://app/health", False),
        ("redis://app:6379/0", False),
        ("s3://app/backup", False),
    ],
)
def test_what_is_taken_for_the_projects_directory(word: str, inside: bool) -> None:
    """A path that is it or begins with it, in any word; not the host of an address."""
    relocated = Relocation(["/app"], "ROOT")

    assert (relocated(word) != word) is inside
    assert relocated([{word: (word,)}]) == [{relocated(word): (word,)}]
    if inside:
        assert relocated(word) == word.replace("/app", "ROOT")


# --- from Python ----------------------------------------------------------------------------------

PYTHON = """
    import io
    import json
    from pathlib import Path

    import django

    django.setup()

    from django_runbook import get_plan, run_routine
    from django_runbook.document import to_json
    from django_runbook.exceptions import BadPin, RunbookError, UnexpectedPlan
    from django_runbook.pins import Pin, read_pin

    def say(*words):
        commands = [["command", ["deploy", "probe", one], {"step_id": one}] for one in words]
        Path("said.json").write_text(json.dumps([*commands, SWITCHED]))

    def tried(routine="deploy", **given):
        Path("ran.txt").unlink(missing_ok=True)
        try:
            result = run_routine(routine, stdout=io.StringIO(), stderr=io.StringIO(), **given)
        except RunbookError as exc:
            assert not Path("ran.txt").exists()
            entries = [
                [one.kind, one.id] for one in getattr(getattr(exc, "difference", ()), "entries", ())
            ]
            return [type(exc).__name__, exc.exit_status, entries]
        return [step.id for step in result.steps]

    SWITCHED = ["command", ["deploy", "probe", "more"], {"step_id": "more", "switches": ["more"]}]
    say("a")
    path = Path("pin.json")
    path.write_text(to_json(get_plan("deploy")))
    Path("bad.json").write_text("{}")
    pin = read_pin(path)
    plan = get_plan("deploy")
    results = {
        "text": tried(expect="pin.json"),
        "path": tried(expect=path.resolve()),
        "pin": tried(expect=pin),
        "plan": tried(plan, expect=path),
        "bad": tried(expect="bad.json"),
        "missing": tried(expect=Path("no.json")),
        "unchecked": tried(expect="bad.json", check=False),
        "switches": tried(expect=pin, switches=["more"]),
        "everything": tried(expect=pin, everything=True),
        "control": tried(expect=pin, atomic=True),
        "same control": tried(expect=pin, atomic=False),
    }
    say("a", "b")
    changed = get_plan("deploy")
    results |= {
        "changed": tried(expect=path),
        "changed plan": tried(changed, expect=pin),
        "changed unchecked": tried(expect=path, check=False),
        "old plan": tried(plan, expect=pin),
        "recorded": tried(expect=pin, instead=lambda step: None),
    }
    path.unlink()
    say("a")
    results["read once"] = tried(expect=pin)
    print(json.dumps(results))
"""


def test_run_routine_expects_a_plan(site: Site) -> None:
    """A path or a pin, for a name or a plan; what is not as expected is raised, and nothing ran."""
    done = site.project.python(PYTHON)

    assert done.status == 0, done.err
    ran, bad = ["shop:a"], ["BadPin", 2, []]
    changed = ["UnexpectedPlan", 3, [["added", "shop:b"]]]
    assert done.document == {
        **dict.fromkeys(("text", "path", "pin", "plan", "same control"), ran),
        **dict.fromkeys(("bad", "missing", "unchecked", "switches", "everything"), bad),
        "control": ["UnexpectedPlan", 3, [["changed", "deploy"]]],
        **dict.fromkeys(("changed", "changed plan", "changed unchecked", "recorded"), changed),
        "old plan": ran,
        "read once": ran,
    }


# --- secrets --------------------------------------------------------------------------------------

SECRETS = """
    TOKEN = Secret((BASE / "token.txt").read_text())
    command("deploy", "probe", TOKEN, "--tag=" + TOKEN, step_id="words")
    command("deploy", "probe", tag=Secret.from_env("PROBE_TOKEN"), step_id="option")
    system("deploy", "true", "x", env={"TOKEN": TOKEN}, step_id="env")
"""


def test_no_secret_is_in_a_pin_or_in_a_difference(project: Project) -> None:
    """A pin holds ``***`` in its place, a new value is no other plan, and no text tells it."""
    token = project.file("token.txt", "swordfish-1")
    text = SECRETS.replace("Secret(", "Secret(", 1)
    project.settings(text)
    env = {"PROBE_TOKEN": "hush-hush-1"}
    words = ("routine", "deploy")
    written = project.manage(*words, "--explain", "--format", "json", env=env)
    (project.root / "deploy.plan.json").write_text(written.out, encoding="utf-8")
    token.write_text("swordfish-2", encoding="utf-8")
    env = {"PROBE_TOKEN": "hush-hush-2"}

    rotated = project.manage(*words, "--explain", *PINNED, env=env)
    project.settings(
        text.replace('"--tag="', '"--other="')
        .replace('step_id="option"', 'step_id="option", fail=TOKEN')
        .replace('{"TOKEN": TOKEN}', '{"TOKEN": "a" + TOKEN, "MORE": TOKEN}')
    )
    refused = project.manage(*words, *PINNED, env=env)
    told = project.manage(*words, "--explain", "--format", "json", *PINNED, env=env)

    assert json.loads(written.out)["steps"][0]["argv"] == ["probe", "***", "--tag=***"]
    assert (rotated.status, rotated.err) == (0, "")
    assert (refused.status, told.status) == (3, 3)
    assert "    argv: probe '***' '--tag=***' -> probe '***' '--other=***'\n" in refused.err
    assert '    env.TOKEN: "***" -> "a***"\n' in refused.err
    for text in (written.out, rotated.out, refused.err, told.out, told.err):
        assert "swordfish" not in text
        assert "hush" not in text
