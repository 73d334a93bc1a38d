"""``django_runbook.testing`` and its fixtures, as the authors of sites and plugins use them."""

from __future__ import annotations

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import CommandError

from django_runbook import Secret, get_plan, hookimpl, run_routine
from django_runbook.contribute import Contribution
from django_runbook.document import document_of, to_json
from django_runbook.exceptions import (
    CommandFailed,
    DeclarationError,
    ExitEarly,
    LockBusy,
    PlanError,
    UnknownRoutine,
    UnknownSwitch,
)
from django_runbook.locks import lock_of, lock_policy
from django_runbook.model import Plan
from django_runbook.results import RunResult
from django_runbook.signals import routine_failed, routine_finished, routine_started
from django_runbook.testing import (
    Recording,
    Runbook,
    assert_not_run,
    assert_order,
    assert_pinned,
    assert_steps,
    plan_routine,
    record_routine,
    step_ids,
)

from .projects import ENVIRONMENT, Project, Ran, hook, install, write

HERE = "tests/test_testing.py"

Record = Callable[..., Recording]


def line_below() -> int:
    """Return the number of the line below the one that calls."""
    return sys._getframe(1).f_lineno + 1


def told(plan: Plan) -> list[tuple[str, str]]:
    """Return code and message of each problem of a plan."""
    return [(problem.code.value, problem.message) for problem in plan.problems]


# In processes of their own


PYTEST = ("-m", "pytest")

FROM_CODE = """\
import os, sys, django, pytest
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
sys.path.insert(0, "tests")
django.setup()
sys.exit(pytest.main(sys.argv[1:]))
"""


def run_pytest(
    root: Path, *words: str, paths: tuple[Path, ...] = (), start: tuple[str, ...] = PYTEST
) -> Ran:
    """Run pytest in a directory as its author would, who knows nothing of the run around it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name != "DJANGO_SETTINGS_MODULE"
    }
    # Plugins that the author has not installed, and that take their time.
    without = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:randomly")
    done = subprocess.run(
        [sys.executable, *start, *without, "-rA", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={
            **kept,
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "COLUMNS": "200",
        },
        cwd=root,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


PLUGIN_SETTINGS = """
    from django_runbook import routine

    routine("deploy", "Deploy.", atomic=True)
    SECRET_KEY = "tests"
    USE_TZ = True
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
    INSTALLED_APPS = [
        "django.contrib.contenttypes", "django.contrib.auth", "django_typer", "django_runbook"
    ]
"""

PLUGIN_TESTS = """
    import os

    import pytest

    ALL = ["settings:migrate", "acme-probe:first", "acme-probe:last"]

    @pytest.fixture
    def site(runbook):
        runbook.settings.command("deploy", "migrate", priority=-1)
        return runbook

    def test_the_fixtures_are_of_the_package(runbook, record_routine):
        from django_runbook.testing import Runbook
        assert type(runbook) is Runbook
        assert record_routine == runbook.record

    def test_the_installed_plugin_is_in_the_plan(runbook):
        assert [step.id for step in runbook.plan("deploy").steps] == ALL[1:]

    @pytest.mark.parametrize("round", [1, 2, 3])
    def test_no_test_sees_what_another_has_added(runbook, round):
        runbook.settings.command("deploy", "check", str(round))
        assert len(runbook.plan("deploy", allow_errors=True).steps) == 3

    def test_what_is_added_is_recorded(site, record_routine):
        recording = record_routine("deploy")
        assert recording.ids == ALL
        assert recording.result.status == "succeeded"
        assert recording.result.plan.control("atomic") is True

    def test_a_failure_is_recorded_and_undoes_nothing(site, record_routine):
        recording = record_routine("deploy", fail=["acme-probe:first"])
        assert recording.ids == ALL[:2]
        assert recording.result.status == "failed"
        assert recording.result.rolled_back == ()

    def test_no_database_may_be_used_here(runbook):
        from django.contrib.auth.models import Group
        with pytest.raises(RuntimeError, match="Database access not allowed"):
            Group.objects.count()

    @pytest.mark.django_db
    def test_a_recording_leaves_the_transaction_of_the_test_alone(site, record_routine):
        from django.contrib.auth.models import Group
        from django.db import connection
        Group.objects.create(name="here")
        before = connection.connection
        assert record_routine("deploy", fail=["acme-probe:last"]).ids == ALL
        assert connection.connection is before
        assert connection.in_atomic_block and not connection.needs_rollback
        assert [group.name for group in Group.objects.all()] == ["here"]

    def test_the_settings_fixture_counts(settings, runbook):
        settings.DJANGO_RUNBOOK = {"PLUGINS": {"block": ["acme-probe"]}}
        settings.DJANGO_ROUTINES = {"deploy": {"commands": [{"management": "check"}]}}
        assert [step.id for step in runbook.plan("deploy").steps] == ["settings:check"]

    def test_here_is_who_runs_it():
        print("worker", os.environ.get("PYTEST_XDIST_WORKER", "none"))
"""

PLUGIN_HOOK = hook("""
    routines.system("deploy", "acme-probe", "one", step_id="first")
    routines.system("deploy", "acme-probe", "two", step_id="last", run_after=["first"])
""")


@pytest.mark.parametrize(
    ("start", "words"),
    [(PYTEST, ()), (PYTEST, ("-n", "2")), (("-c", FROM_CODE), ())],
    ids=["alone", "workers", "from code"],
)
def test_the_suite_of_a_plugin_with_pytest_django(
    tmp_path: Path, start: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """Both fixtures are found without an import, in a worker of pytest-xdist, too, and where the
    settings have imported the package before pytest starts. No test but one has the mark
    ``django_db``: to plan and to record an atomic routine needs no database.
    """
    site = install(
        tmp_path / "site-packages",
        "acme-probe",
        modules={"acme_probe/hooks.py": PLUGIN_HOOK},
        entry_points={"django_runbook": {"probe": "acme_probe.hooks"}},
    )
    root = tmp_path / "plugin"
    write(root / "tests" / "settings.py", PLUGIN_SETTINGS)
    write(root / "tests" / "test_steps.py", PLUGIN_TESTS)
    ini = "[pytest]\nDJANGO_SETTINGS_MODULE = settings\npythonpath = tests\ntestpaths = tests\n"
    write(root / "pytest.ini", f"{ini}django_find_project = false\nfilterwarnings = error\n")

    ran = run_pytest(root, *words, paths=(site,), start=start)

    assert ran.status == 0, ran.out
    assert re.search(r" 11 passed in ", ran.out)
    assert (ran.err, "warning" in ran.out.lower()) == ("", False)
    assert ("worker gw" in ran.out) == bool(words)
    assert not (root / "site.sqlite3").exists()


PLAIN_TESTS = """
    import sys

    LOADED = frozenset(sys.modules)

    def test_what_is_loaded_for_a_run_without_django():
        assert "django_runbook.pytest_plugin" in LOADED
        packages = {name.partition(".")[0] for name in LOADED}
        assert packages.isdisjoint({"django", "django_typer", "typer", "rich", "redis", "filelock"})
        ours = {name.partition(".")[2] for name in LOADED if name.startswith("django_runbook.")}
        assert ours.isdisjoint({"testing", "registry", "runner", "plugins", "sources", "locks"})

    def test_the_runbook_tells(runbook):
        pass

    def test_the_recorder_tells(record_routine):
        pass

    def test_the_functions_tell():
        from django_runbook.testing import plan_routine
        plan_routine("deploy")
"""


def test_a_run_without_django_is_left_alone(tmp_path: Path) -> None:
    """Its tests pass and Django is not even imported; who asks for a fixture is told what to do."""
    write(tmp_path / "test_plain.py", PLAIN_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    ran = run_pytest(tmp_path)

    assert ran.status == 1
    assert "1 failed, 1 passed, 2 errors" in ran.out
    assert "PASSED test_plain.py::test_what_is_loaded" in ran.out
    for name in ("ERROR test_plain.py::test_the_runbook", "ERROR test_plain.py::test_the_recorder"):
        assert name in ran.out
    what = "RuntimeError: Django is not set up, and the routines of a site are in its settings. "
    how = "Install pytest-django and give it DJANGO_SETTINGS_MODULE, or call django.setup() first."
    errors = [line for line in ran.out.splitlines() if re.match(r"E +RuntimeError", line)]
    assert [line.removeprefix("E").strip() for line in errors] == [f"{what}{how}"] * 3


UNITTESTS = """
    from django.test import SimpleTestCase

    from django_runbook.testing import Runbook, assert_steps, plan_routine, record_routine

    class Steps(SimpleTestCase):
        def test_the_plan_of_the_site(self):
            assert_steps(plan_routine("deploy"), ["settings:probe", "shop:probe"])

        def test_what_a_test_adds(self):
            runbook = Runbook()
            runbook.app("shop").command("deploy", "probe", "more", priority=-1, step_id="more")
            assert_steps(runbook.plan("deploy"), ["shop:more", "settings:probe", "shop:probe"])
            self.assertEqual(
                runbook.record("deploy").command_lines, ["probe more", "probe own", "probe shop"]
            )

        def test_a_failure(self):
            recording = record_routine("deploy", fail="settings:probe")
            self.assertEqual(recording.ids, ["settings:probe"])
            self.assertEqual(recording.result.status, "failed")

        def test_messages(self):
            with self.assertRaisesMessage(AssertionError, "+ shop:probe  shop (shop/routines"):
                assert_steps(plan_routine("deploy"), ["settings:probe", "shop:prob"])
"""


def test_the_runner_of_django(project: Project) -> None:
    """``manage.py test`` runs such tests as any other, and needs no database for them."""
    project.app("shop", routines=hook('routines.command("deploy", "probe", "shop")'))
    project.file("shop/tests.py", UNITTESTS)
    project.settings("""
        routine("deploy", "Deploy.", atomic=True, lock=True)
        command("deploy", "probe", "own")
    """)

    ran = project.manage("test")

    assert ran.status == 0, ran.err
    assert "Ran 4 tests" in ran.err
    assert project.ran == []
    assert not (project.root / "db.sqlite3").exists()


OVERRIDDEN = """
    import django
    django.setup()

    from django.test import override_settings
    from django_runbook.document import to_json
    from django_runbook.testing import assert_pinned, plan_routine
    from pathlib import Path

    before = plan_routine("deploy")
    Path("pin.json").write_text(to_json(before))
    with override_settings(DEBUG=True):
        under = plan_routine("deploy")
    print([step.id for step in before.steps] == [step.id for step in under.steps])
    print([str(step.origin) for step in before.steps] == [str(step.origin) for step in under.steps])
    assert_pinned(before, "pin.json")
    assert_pinned(under, "pin.json")
"""


def test_another_setting_that_a_test_overrides_changes_nothing(project: Project) -> None:
    """``override_settings(DEBUG=True)``, and so pytest-django's ``settings``, leaves every step
    where it was, at its line, and the plan the pinned one, which has no path of the project.
    """
    project.settings(
        """
        include("components/*.py")
        DJANGO_ROUTINES = {
            "deploy": {"commands": [{"management": ("probe", str(BASE / "var"))}]},
        }
        """,
        package=True,
    )
    project.file(
        "config/settings/components/one.py",
        'DJANGO_ROUTINES = {"deploy": {"commands": [{"system": ("true",), "priority": 5}]}}\n',
    )

    ran = project.python(OVERRIDDEN)

    assert (ran.status, ran.out.split()) == (0, ["True", "True"]), ran.err


# What a test adds to the sources


def test_a_plan_with_every_kind_of_source(runbook: Runbook, settings: Any) -> None:
    """What the test says stands in the order in which sources always stand: the settings first,
    installed apps, other apps, distributions by name; not in the order in which it is said.
    """
    settings.DJANGO_ROUTINES = {"deploy": {"commands": [{"management": "migrate"}]}}
    runbook.distribution("Zeta.Tools", "0.1").system("deploy", "zeta")
    runbook.distribution("acme_CDN", "2.0").system("deploy", "acme-purge", step_id="purge")
    runbook.app("newsletter").command("deploy", "check", "--tag", "a")
    runbook.app("blog").command("deploy", "check", "--tag", "b")
    runbook.app("auth").command("deploy", "check", "--tag", "c")
    runbook.app("contenttypes").command("deploy", "check", "--tag", "d")
    runbook.settings.command("deploy", "migrate", "--check", run_before=["migrate"])

    plan = runbook.plan("deploy")

    assert_steps(
        plan,
        [
            "settings:migrate-2",
            "settings:migrate",
            "contenttypes:check",
            "auth:check",
            "newsletter:check",
            "blog:check",
            "acme-cdn:purge",
            "zeta-tools:zeta",
        ],
    )
    assert [step.origin.source.kind for step in plan.steps] == [
        *(["settings"] * 2 + ["app"] * 4 + ["distribution"] * 2),
    ]
    assert [str(step.origin.release) for step in plan.steps[-2:]] == [
        *("acme-cdn 2.0", "zeta-tools 0.1"),
    ]
    assert plan.steps[2].origin.release is not None
    assert plan.steps[2].origin.release.name == "django"
    counts = {searched.source.name: steps for searched, steps in plan.sources}
    assert {"newsletter": 1, "acme-cdn": 1, "settings": 2}.items() <= counts.items()


def test_what_a_test_adds_twice_is_there_twice(runbook: Runbook) -> None:
    """Each call for an app or a distribution, in any spelling, adds to the same one."""
    for word in ("a", "b"):
        runbook.app("shop").command("deploy", "check", "--tag", word)
        runbook.distribution("acme-cdn" if word == "a" else "Acme_CDN").system("deploy", word)

    plan = runbook.plan("deploy")

    assert step_ids(plan) == ["shop:check", "shop:check-2", "acme-cdn:a", "acme-cdn:b"]


def test_a_distribution_keeps_the_version_that_it_was_given(runbook: Runbook) -> None:
    """Who adds one more step need not say again what was said: neither version nor hooks."""
    runbook.distribution("acme-cdn", "2.0").system("deploy", "acme-purge")
    runbook.distribution("acme-cdn").system("deploy", "acme-verify")

    plan = runbook.plan("deploy")

    assert [str(step.origin.release) for step in plan.steps] == ["acme-cdn 2.0"] * 2


def test_the_origin_is_the_line_of_the_test(runbook: Runbook, settings: Any) -> None:
    """Whatever a failing test shows, it names the lines of the test that say it."""
    settings.DJANGO_ROUTINES = {"deploy": {"commands": [{"management": "migrate"}]}}
    lines = [line_below()]
    runbook.settings.command("deploy", "check")
    lines.append(line_below())
    runbook.app("auth").command("deploy", "check")
    lines.append(line_below())
    runbook.distribution("acme-cdn", "1.0").system(
        *("deploy", "acme-purge"),
        step_id="purge",
    )
    lines.append(line_below())
    runbook.settings.override("deploy", "migrate", priority=7)
    lines.append(line_below())
    runbook.settings.disable("deploy", "acme-cdn:purge")
    lines.append(line_below())
    runbook.settings.routine("deploy", "Deploy.")

    plan = runbook.plan("deploy")

    places = {step.id: step.origin.place for step in (*plan.steps, *plan.left_out)}
    assert [places[one] for one in ("settings:check", "auth:check", "acme-cdn:purge")] == [
        f"{HERE}:{line}" for line in lines[:3]
    ]
    (change,) = plan.steps[-1].overridden_by
    assert (plan.steps[-1].id, change.origin.place) == ("settings:migrate", f"{HERE}:{lines[3]}")
    assert str(plan.left_out[0].disabled_by) == f"settings ({HERE}:{lines[4]})"
    assert plan.attributes["help_text"].origin.place == f"{HERE}:{lines[5]}"


def test_the_settings_of_a_test_have_the_last_word(runbook: Runbook, settings: Any) -> None:
    """They change and disable the steps of everybody, and what the site says of the routine."""
    settings.DJANGO_ROUTINES = {
        "deploy": {
            "help_text": "Of the site.",
            "atomic": True,
            "commands": [{"management": "migrate"}, {"management": "check"}],
            "overrides": {"auth:check": {"priority": 3}},
        }
    }
    runbook.app("auth").command("deploy", "check", "--deploy")
    runbook.distribution("acme-cdn").system("deploy", "acme-purge")
    runbook.settings.routine("deploy", "Of the test.", atomic=False)
    runbook.settings.override("deploy", "auth:check", priority=-5, switches=["never"])
    runbook.settings.override("deploy", "auth:check", switches=[])
    runbook.settings.disable("deploy", "migrate")

    plan = runbook.plan("deploy")

    assert_steps(plan, ["auth:check", "settings:check", "acme-cdn:acme-purge"])
    assert_not_run(plan, "settings:migrate")
    assert (plan.help_text, plan.control("atomic")) == ("Of the test.", False)
    assert told(plan) == []


def test_only_the_settings_have_the_last_word(runbook: Runbook) -> None:
    """An app or a distribution that overrides is refused, as on a site."""
    for contribution in (runbook.app("shop"), runbook.distribution("acme-cdn")):
        with pytest.raises(DeclarationError, match="belongs in the project's settings"):
            contribution.override("deploy", "settings:check", priority=3)
        with pytest.raises(DeclarationError, match="belongs in the project's settings"):
            contribution.disable("deploy", "settings:check")


def test_an_override_that_matches_nothing_is_an_error(runbook: Runbook) -> None:
    """So a test that disables a step notices when the plugin has renamed it."""
    runbook.distribution("acme-cdn", "2.0").system("deploy", "acme-purge", step_id="purge-all")
    runbook.settings.disable("deploy", "acme-cdn:purge")

    with pytest.raises(PlanError, match=r"E007.*'acme-cdn:purge'") as caught:
        runbook.plan("deploy")

    assert HERE in str(caught.value)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Installs distributions where this process finds them."""
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    before = set(sys.modules)
    yield lambda name, **kwargs: install(tmp_path / "site-packages", name, **kwargs)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) is not None and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


def test_a_distribution_of_a_test_takes_the_place_of_the_installed_one(
    installed: Callable[..., Path],
) -> None:
    """All entry points of that name are out, in any spelling, and not even imported; others stay,
    and so does the installed one where a test has none.
    """
    installed(
        "Acme.Kept",
        modules={"acme_kept_hooks.py": hook('routines.system("deploy", "kept")')},
        entry_points={"django_runbook": {"main": "acme_kept_hooks"}},
    )
    installed(
        "Acme_Replaced",
        version="1.0",
        modules={
            "acme_replaced/one.py": hook('routines.system("deploy", "one")'),
            "acme_replaced/two.py": hook('routines.system("deploy", "two")'),
        },
        entry_points={"django_runbook": {"one": "acme_replaced.one", "two": "acme_replaced.two"}},
    )
    runbook = Runbook()
    runbook.distribution("acme.replaced", "2.0").system("deploy", "three")

    plan = runbook.plan("deploy")

    assert_steps(plan, ["acme-kept:kept", "acme-replaced:three"])
    assert [str(step.origin.release) for step in plan.steps] == [
        *("acme-kept 1.0", "acme-replaced 2.0"),
    ]
    assert "acme_replaced" not in sys.modules
    assert step_ids(plan_routine("deploy")) == [
        *("acme-kept:kept", "acme-replaced:one", "acme-replaced:two"),
    ]


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Writes and imports the module ``acme_hooks``."""
    monkeypatch.syspath_prepend(tmp_path)

    def imported(text: str) -> Any:
        write(tmp_path / "acme_hooks.py", text)
        return importlib.import_module("acme_hooks")

    yield imported
    sys.modules.pop("acme_hooks", None)


def test_a_module_with_the_hook(runbook: Runbook, hooks: Callable[[str], Any]) -> None:
    """It is asked as an installed one would be, and what the test says besides is added."""
    module = hooks(
        hook("""
            routines.system("deploy", "acme-purge", step_id="purge", run_after=["migrate"])
            routines.system("deploy", "acme-preheat", step_id="preheat")
        """)
    )
    runbook.settings.command("deploy", "migrate", priority=10)
    runbook.distribution("acme-cdn", "3.1", hooks=module)
    runbook.distribution("acme-cdn", "3.1").system("deploy", "acme-verify", priority=20)

    plan = runbook.plan("deploy")

    assert_steps(
        plan,
        ["acme-cdn:preheat", "settings:migrate", "acme-cdn:purge", "acme-cdn:acme-verify"],
    )
    assert str(plan.steps[0].origin) == "acme-cdn (acme_hooks.py:6)"
    assert str(plan.steps[2].origin.release) == "acme-cdn 3.1"
    assert runbook.record("deploy").ids == step_ids(plan)


def test_an_object_with_the_hook(runbook: Runbook) -> None:
    """An entry point may name an object, and so may a test, which has it at hand."""

    class Plugin:
        @hookimpl
        def contribute_routines(self, routines: Contribution) -> None:
            routines.system("deploy", "acme-purge", step_id="purge")

    runbook.distribution("acme-cdn", hooks=Plugin())

    (step,) = runbook.plan("deploy").steps

    assert step.id == "acme-cdn:purge"
    assert step.origin.file == HERE


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (hook("raise OSError('no network')"), "E004", "hook raised OSError: no network"),
        (hook("return [1]"), "E005", "returns a list, which nobody reads"),
        (
            hook("pass").replace("def contribute_routines", "def contribute_routine"),
            "E005",
            "implements the unknown hook 'contribute_routine'",
        ),
        (
            hook("pass").replace("@hookimpl\n", ""),
            "E005",
            "defines contribute_routines(), which is not marked as a hook",
        ),
        (hook("pass").replace("(routines)", "(plan)"), "E005", "has the wrong arguments"),
        ("PURGE = True\n", "E005", "has no hook in what its entry point names"),
        (hook('routines.command("deploy", "chekc")'), "E012", "no management command 'chekc'"),
        (hook('routines.system("deploy", priority="1")'), "E001", "acme-cdn"),
    ],
    ids=["raises", "returns", "misspelt", "unmarked", "arguments", "none", "command", "malformed"],
)
def test_a_broken_module_is_reported_as_on_a_site(
    runbook: Runbook, hooks: Callable[[str], Any], text: str, code: str, message: str
) -> None:
    """The error names the distribution and the line; with ``allow_errors`` the rest is planned."""
    runbook.settings.command("deploy", "check", priority=50)
    runbook.distribution("acme-cdn", "3.1", hooks=hooks(text))

    with pytest.raises(PlanError) as caught:
        runbook.plan("deploy")
    plan = runbook.plan("deploy", allow_errors=True)

    (problem,) = plan.errors
    assert caught.value.problems == (problem,)
    assert (problem.code.value, problem.origin.source.name) == (code, "acme-cdn")
    assert message in problem.lines[0]
    assert problem.origin.file == "acme_hooks.py"
    assert "settings:check" in step_ids(plan)
    (hearing,) = (one.hearing for one, _ in plan.sources if one.source.name == "acme-cdn")
    assert hearing == ("broken" if code in ("E004", "E005") else "heard")
    with pytest.raises(PlanError) as caught:
        runbook.record("deploy")
    assert caught.value.problems == (problem,)


@pytest.mark.parametrize(
    ("plugins", "left"),
    [
        ({"block": ["acme-cdn"]}, ["settings:check", "blog:check", "zeta:zeta"]),
        ({"block": ["Acme_CDN", "blog"]}, ["settings:check", "zeta:zeta"]),
        ({"allow": ["zeta"]}, ["settings:check", "blog:check", "zeta:zeta"]),
        ({"allow": []}, ["settings:check", "blog:check"]),
        (
            {"allow": ["ACME.cdn", "zeta"], "block": ["zeta"]},
            ["settings:check", "blog:check", "acme-cdn:purge"],
        ),
    ],
    ids=str,
)
def test_the_policy_of_the_site_is_obeyed(
    runbook: Runbook,
    settings: Any,
    hooks: Callable[[str], Any],
    plugins: dict[str, Any],
    left: list[str],
) -> None:
    """Who is blocked, or not among the allowed, is shown as such, and its hook is not called."""
    settings.DJANGO_RUNBOOK = {"PLUGINS": plugins}
    asked: list[bool] = []
    module = hooks(
        hook("""
            ASKED.append(True)
            routines.system("deploy", "acme-purge", step_id="purge", priority=5)
        """)
    )
    module.ASKED = asked
    runbook.settings.command("deploy", "check")
    runbook.settings.disable("deploy", "acme-cdn:verify")
    runbook.app("blog").command("deploy", "check", "--deploy")
    runbook.distribution("zeta").system("deploy", "zeta")
    acme = runbook.distribution("acme-cdn", "1.0", hooks=module)
    acme.system("deploy", "acme-verify", step_id="verify")

    plan = runbook.plan("deploy")

    assert_steps(plan, left)
    hearings = {searched.source.name: searched.hearing for searched, _ in plan.sources}
    heard = {name: hearings[name] == "heard" for name in ("blog", "acme-cdn", "zeta")}
    assert heard == {name: any(one.startswith(f"{name}:") for one in left) for name in heard}
    assert asked == ([True] if heard["acme-cdn"] else [])
    assert plan.errors == ()  # not even the word on a step of who is not heard is one


def test_a_name_that_only_the_test_knows_is_known_to_the_policy(
    runbook: Runbook, settings: Any
) -> None:
    """The setting may name what the test adds, and is warned of what nobody has."""
    settings.DJANGO_RUNBOOK = {"PLUGINS": {"block": ["blog", "acme-cdm"]}}
    runbook.settings.command("deploy", "check")
    runbook.app("blog")
    runbook.distribution("acme-cdn")

    ((code, message),) = told(runbook.plan("deploy"))

    assert (code, "'acme-cdm'" in message) == ("W005", True)


def test_two_runbooks_share_nothing(settings: Any) -> None:
    """What is said to one is not in the plan of another, nor in that of the site."""
    settings.DJANGO_ROUTINES = {"deploy": {"commands": [{"management": "migrate"}]}}
    before = to_json(get_plan("deploy"))
    one, other = Runbook(), Runbook()
    one.settings.command("deploy", "check", step_id="mine")
    one.settings.disable("deploy", "settings:migrate")
    one.app("auth").command("deploy", "check")
    one.distribution("acme-cdn").system("deploy", "acme-purge")
    other.app("auth").command("deploy", "check", "--deploy", step_id="other")

    plans = [step_ids(each.plan("deploy")) for each in (one, other, one)]

    assert plans[0] == ["settings:mine", "auth:check", "acme-cdn:acme-purge"] == plans[2]
    assert plans[1] == ["settings:migrate", "auth:other"]
    assert to_json(get_plan("deploy")) == before == to_json(plan_routine("deploy"))
    assert to_json(Runbook().plan("deploy")) == before


def test_a_plan_takes_what_get_plan_takes(runbook: Runbook) -> None:
    """Switches in any form and spelling, all at once, and controls."""
    runbook.settings.routine("deploy", "Deploy.", demo_data="Load it.", initial="Once.")
    runbook.settings.command("deploy", "check", switches=["demo-data"], step_id="demo")
    runbook.settings.command("deploy", "check", "--deploy", switches=["initial"], step_id="first")

    def found(*args: Any, **kwargs: Any) -> list[str]:
        return [one.partition(":")[2] for one in step_ids(runbook.plan("deploy", *args, **kwargs))]

    assert found() == []
    assert found(["demo-data"]) == found("demo_data") == ["demo"]
    assert found({"demo-data": False, "initial": True}) == ["first"]
    assert found(everything=True) == ["demo", "first"]
    plan = runbook.plan("deploy", atomic=True, continue_on_error=True, subprocess=None)
    assert [plan.control(one) for one in ("atomic", "continue_on_error", "subprocess")] == [
        *(True, True, False),
    ]
    assert runbook.record("deploy", ["initial"]).ids == ["settings:first"]
    assert runbook.record("deploy", everything=True).ids == ["settings:demo", "settings:first"]


def test_what_there_is_not_cannot_be_planned(runbook: Runbook) -> None:
    """An unknown routine or switch is told with the one that may be meant."""
    runbook.settings.routine("deploy", "Deploy.", demo="Load the demo data.")
    runbook.settings.command("deploy", "check", switches=["demo"])

    for call in (runbook.plan, runbook.record):
        with pytest.raises(UnknownRoutine, match="Did you mean 'deploy'"):
            call("deplyo")
        with pytest.raises(UnknownSwitch, match="Did you mean '--demo'"):
            call("deploy", ["dmeo"])
    with pytest.raises(UnknownRoutine):
        plan_routine("deploy")
    with pytest.raises(UnknownRoutine):
        record_routine("deploy")


@pytest.mark.parametrize(
    "wrong", [{"everthing": True}, {"wait": True}, {"wait": 3.0}, {"atomic": "no such alias"}]
)
def test_a_keyword_that_is_none_is_refused(runbook: Runbook, wrong: dict[str, Any]) -> None:
    """A misspelt keyword, or one of ``run_routine`` only, would leave the test without its point:
    another plan would be tested than its author thinks.
    """
    runbook.settings.command("deploy", "check", switches=["demo"])

    for call in (runbook.plan, runbook.record):
        with pytest.raises((TypeError, PlanError), match=next(iter(wrong))):
            call("deploy", **wrong)


# Recording


@pytest.fixture
def site(runbook: Runbook) -> Runbook:
    """A site whose deploy has steps of both kinds, and a nested routine."""
    runbook.settings.routine("package", "Package.")
    runbook.settings.command("package", "makemigrations", "--check")
    runbook.settings.system("package", "acme-build", "-o", "a b")
    runbook.settings.routine("deploy", "Deploy.", demo="Load the demo data.")
    runbook.settings.command("deploy", "routine", "package", step_id="package", priority=1)
    runbook.settings.command("deploy", "migrate", "auth", interactive=False, priority=2)
    runbook.settings.command("deploy", "check", priority=3, switches=["demo"])
    runbook.distribution("acme-cdn").system("deploy", "acme-purge", priority=4, step_id="purge")
    return runbook


def test_what_is_recorded(site: Runbook, record_routine: Record) -> None:
    """Each step that would have run, in order, a nested routine's in its place."""
    recording = record_routine("deploy", ["demo"])

    assert recording.ids == [
        "settings:makemigrations",
        "settings:acme-build",
        "settings:migrate",
        "settings:check",
        "acme-cdn:purge",
    ]
    assert [one.argv for one in recording.steps[1:3]] == [
        ["acme-build", "-o", "a b"],
        ["migrate", "auth"],
    ]
    assert recording.steps[2].options == {"interactive": False}
    assert recording.command_lines == [
        "makemigrations --check",
        "acme-build -o 'a b'",
        "migrate auth",
        "check",
        "acme-purge",
    ]
    assert recording.command_lines == [one.command_line for one in recording.steps]
    assert [line for line in recording.out.splitlines() if line in recording.command_lines] == (
        recording.command_lines
    )
    assert "[1.2/2] settings:acme-build: done" in recording.err
    assert recording.result.status == "succeeded"
    assert recording.result.plan == site.plan("deploy", ["demo"])
    assert [one.status for one in recording.result.steps] == ["succeeded"] * 4
    assert record_routine("deploy", verbosity=0).out == ""


def test_nothing_is_shown_of_a_recording(site: Runbook, capfd: pytest.CaptureFixture[str]) -> None:
    """What a run would write is in the recording, and not among what the tests write."""
    recording = site.record("deploy", fail="settings:migrate")

    assert recording.out
    assert "settings:migrate: failed after" in recording.err
    assert capfd.readouterr() == ("", "")


def test_signals_to_the_process_are_for_who_runs_the_tests(runbook: Runbook) -> None:
    """A recording does not take them: Ctrl-C ends the tests, and not a step that is not run."""
    handlers: list[Any] = []

    def before(*_: Any) -> None:
        handlers.extend(signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM))

    runbook.settings.command("deploy", "check", pre_hook=before)

    runbook.record("deploy")

    assert handlers == [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What the receivers of the signals hear."""
    words: list[str] = []

    def started(routine: str, **kwargs: Any) -> None:
        words.append(f"started {routine} demo={kwargs.get('demo')} v{kwargs['verbosity']}")

    def failed(routine: str, failed_command: int, exception: BaseException, **_: Any) -> None:
        words.append(f"failed {routine} {failed_command} {exception}")

    def finished(routine: str, last_command: int, early_exit: bool, **_: Any) -> None:
        words.append(f"finished {routine} {last_command} {early_exit}")

    pairs = ((routine_started, started), (routine_failed, failed), (routine_finished, finished))
    for sent, receiver in pairs:
        sent.connect(receiver)
    yield words
    for sent, receiver in pairs:
        sent.disconnect(receiver)


def test_callbacks_and_receivers_are_called(runbook: Runbook, heard: list[str]) -> None:
    """``initialize``, each step's hooks, ``finalize`` and the signals, all in their order."""

    def initialize(routine: Any, plan: list[Any], switches: set[str], options: Any) -> None:
        heard.append(f"initialize {routine.name} {len(plan)} {sorted(switches)}")

    def finalize(routine: Any, results: Any) -> None:
        heard.append(f"finalize {routine.name} {list(results)}")

    def before(routine: Any, command: Any, previous: Any, options: Any) -> None:
        heard.append(f"before {command.command_name}")

    def after(routine: Any, command: Any, following: Any, options: Any) -> None:
        heard.append(f"after {command.command_name} {command.result}")

    runbook.settings.routine(
        "deploy",
        "Deploy.",
        initialize=initialize,
        finalize=finalize,
        pre_hook=before,
        demo="Load the demo data.",
    )
    runbook.settings.command("deploy", "check", post_hook=after)
    runbook.settings.system("deploy", "acme-build", switches=["demo"])

    recording = runbook.record("deploy", ["demo"], verbosity=2, results={"settings:check": "seen"})

    assert heard == [
        "started deploy demo=True v2",
        "initialize deploy 2 ['demo']",
        "before check",
        "after check seen",
        "before acme-build",
        "finished deploy 1 False",
        "finalize deploy ['seen', None]",
    ]
    assert recording.result.status == "succeeded"


def test_a_hook_decides_and_changes(runbook: Runbook) -> None:
    """What it skips is not recorded, what it changes is recorded as it has left it, and where it
    ends the routine the recording ends, too.
    """

    def skip(*_: Any) -> bool:
        return True

    def change(routine: Any, command: Any, previous: Any, options: Any) -> None:
        command.command = ("check", "--deploy")
        command.options["tags"] = ["urls"]

    def drop(routine: Any, plan: list[Any], switches: set[str], options: Any) -> None:
        del plan[1]

    def end(*_: Any) -> None:
        raise ExitEarly

    runbook.settings.routine("deploy", "Deploy.", initialize=drop)
    for name, more in {
        "first": {"pre_hook": skip},
        "second": {},
        "third": {"pre_hook": change},
        "fourth": {"post_hook": end},
        "fifth": {},
    }.items():
        runbook.settings.command("deploy", "check", step_id=name, **more)

    recording = runbook.record("deploy")

    assert recording.ids == ["settings:third", "settings:fourth"]
    assert recording.command_lines == ["check --deploy", "check"]
    assert [one.options for one in recording.steps] == [{"tags": ["urls"]}, {}]
    assert [one.status for one in recording.result.steps] == [
        *("skipped", "skipped", "succeeded", "succeeded", "not_run"),
    ]
    assert recording.result.early_exit


def test_a_broken_callback_fails_the_recording(runbook: Runbook) -> None:
    """It is real, so its mistakes are: a test of a routine finds them."""

    def finalize(routine: Any, results: Any) -> None:
        raise ZeroDivisionError("of nobody")

    runbook.settings.routine("deploy", "Deploy.", finalize=finalize)
    runbook.settings.command("deploy", "check")

    recording = runbook.record("deploy")

    assert recording.ids == ["settings:check"]
    assert recording.result.status == "failed"
    assert "ZeroDivisionError: of nobody" in str(recording.result.error)


def test_a_step_that_fails_as_it_is_told(site: Runbook, heard: list[str]) -> None:
    """By its id, alone or among others: the routine ends there, as it would, and nobody has to
    catch anything. A failure is of the type that the step's kind has.
    """
    alone = site.record("deploy", fail="settings:migrate")
    program = site.record("deploy", ["demo"], fail=("settings:check", "acme-cdn:purge"))
    nested = site.record("deploy", fail=["settings:acme-build"])

    assert alone.ids == ["settings:makemigrations", "settings:acme-build", "settings:migrate"]
    failed = alone.result.failures[0]
    assert (failed.id, type(failed.exception)) == ("settings:migrate", CommandError)
    assert str(failed.exception) == "the test told it to fail"
    assert [one.id for one in alone.result.not_run] == ["acme-cdn:purge"]
    assert program.ids[-1] == "settings:check"
    assert nested.ids == ["settings:makemigrations", "settings:acme-build"]
    (inner,) = nested.result.failures
    assert inner.id == "settings:package"
    assert type(inner.result.failures[0].exception) is CommandFailed
    assert {one.result.status for one in (alone, program, nested)} == {"failed"}
    assert "failed deploy 1 the test told it to fail" in heard
    assert not any(one.startswith("finished deploy") for one in heard)


def test_a_step_that_raises_what_it_is_told(runbook: Runbook) -> None:
    """By id and exception: receivers and the result have that very one."""
    exceptions: list[BaseException] = []

    def failed(exception: BaseException, **_: Any) -> None:
        exceptions.append(exception)

    runbook.settings.command("deploy", "check")
    runbook.settings.command("deploy", "migrate")
    error = CommandFailed("exit status 3", 3, ["last words"])
    routine_failed.connect(failed)
    try:
        recording = runbook.record("deploy", fail={"settings:check": error})
    finally:
        routine_failed.disconnect(failed)

    (failure,) = recording.result.failures
    assert failure.exception is error
    assert exceptions == [error]
    assert (failure.returncode, failure.stderr) == (3, ("last words",))
    assert recording.ids == ["settings:check"]


def test_a_routine_that_goes_on(runbook: Runbook, heard: list[str]) -> None:
    """``continue_on_error``, stated or given, and a receiver that takes care of the failure."""
    runbook.settings.routine("deploy", "Deploy.", continue_on_error=True)
    for name in ("migrate", "check"):
        runbook.settings.command("deploy", name)
    both = ["settings:migrate", "settings:check"]

    stated = runbook.record("deploy", fail="settings:migrate")
    halted = runbook.record("deploy", fail="settings:migrate", continue_on_error=False)
    heard.clear()

    def care(**_: Any) -> bool:
        return True

    routine_failed.connect(care)
    try:
        handled = runbook.record("deploy", fail="settings:migrate", continue_on_error=False)
    finally:
        routine_failed.disconnect(care)

    assert (stated.ids, stated.result.status) == (both, "failed")
    assert (halted.ids, halted.result.status) == (both[:1], "failed")
    assert (handled.ids, handled.result.status) == (both, "succeeded")
    assert handled.result.steps[0].handled
    assert "finished deploy 1 False" in heard


def test_what_steps_return(site: Runbook) -> None:
    """``post_hook`` and ``finalize`` see what the test says that steps return."""
    seen: list[Any] = []

    def after(routine: Any, command: Any, following: Any, options: Any) -> None:
        seen.append(command.result)

    def finalize(routine: Any, results: RunResult) -> None:
        seen.append(list(results)[1:])

    site.settings.routine("deploy", post_hook=after, finalize=finalize)
    returned = {"rows": 3}

    recording = site.record(
        "deploy", results={"settings:migrate": returned, "settings:acme-build": 7}
    )

    inner = recording.result.steps[0].result
    assert list(inner) == [None, 7]
    assert seen == [inner, returned, None, [returned, None]]
    assert recording.result.steps[1].result is returned


def test_nothing_is_run(runbook: Runbook, tmp_path: Path) -> None:
    """No program and no management command; the same plan, really run, leaves their traces."""
    (tmp_path / "app").mkdir()
    runbook.settings.system("deploy", "touch", str(tmp_path / "touched"))
    runbook.settings.command("deploy", "startapp", "started", str(tmp_path / "app"))
    runbook.settings.routine("outer", "Outer.")
    runbook.settings.command("outer", "routine", "deploy")

    for name in ("deploy", "outer"):
        assert runbook.record(name).ids == ["settings:touch", "settings:startapp"]

    assert [path.name for path in tmp_path.rglob("*")] == ["app"]
    run_routine(runbook.plan("outer"), verbosity=0)
    assert {"touched", "apps.py"} <= {path.name for path in tmp_path.rglob("*")}


def test_no_lock_is_taken(runbook: Runbook, settings: Any, tmp_path: Path) -> None:
    """Neither is a file of one made, nor does one matter that somebody holds."""
    locks = tmp_path / "locks"
    settings.DJANGO_RUNBOOK = {"LOCK": {"backend": "file", "directory": str(locks)}}
    runbook.settings.routine("deploy", "Deploy.", lock=True)
    runbook.settings.command("deploy", "check")
    plan = runbook.plan("deploy")

    assert runbook.record("deploy").ids == ["settings:check"]
    assert not locks.exists()

    policy = lock_policy()
    assert policy is not None
    with closing(lock_of("deploy", wanted=True, policy=policy).backend) as lock:
        assert lock.acquire()
        before = [path.read_text() for path in locks.iterdir()]
        with pytest.raises(LockBusy):
            run_routine(plan, verbosity=0)
        assert runbook.record("deploy").ids == ["settings:check"]
        assert runbook.record("deploy", lock=True).result.status == "succeeded"
        assert [path.read_text() for path in locks.iterdir()] == before
        lock.release()


def test_what_only_the_server_has_may_be_missing(runbook: Runbook, settings: Any) -> None:
    """Programs, variables of secrets, another process, a database of the transaction: a run would
    refuse, a recording goes on.
    """
    variable = "RUNBOOK_TEST_NOT_SET"
    assert variable not in os.environ
    runbook.settings.routine("deploy", "Deploy.", atomic=True)
    runbook.settings.system(
        "deploy",
        "acme-program-that-nobody-has",
        "--token=" + Secret.from_env(variable),
        env={"TOKEN": Secret.from_env(variable)},
    )
    runbook.settings.command("deploy", "check", time_limit=3)
    plan = runbook.plan("deploy")

    recording = runbook.record("deploy", subprocess=True)

    assert recording.result.status == "succeeded"
    assert recording.command_lines == ["acme-program-that-nobody-has --token=***", "check"]
    runbook.settings.override("deploy", "check", disabled=True)
    with pytest.raises(PlanError) as caught:
        run_routine(runbook.plan("deploy"), verbosity=0)
    assert {one.code.value for one in caught.value.problems} == {"E014", "E018"}
    with pytest.raises(PlanError, match="subprocess"):
        run_routine(plan, verbosity=0)


def test_secrets_are_masked(runbook: Runbook) -> None:
    """In words, command lines, output and failures: a failing test must not show them."""
    secret = "tr0ub4dor"
    runbook.settings.system(
        "deploy",
        "acme-purge",
        Secret(secret),
        "--token=" + Secret(secret),
        env={"TOKEN": Secret(secret)},
    )
    runbook.settings.command("deploy", "check", tag=Secret(secret))

    recording = runbook.record(
        "deploy",
        fail={"settings:acme-purge": CommandFailed(f"refused {secret}", 1, [f"said {secret}"])},
        continue_on_error=True,
    )

    assert recording.steps[0].argv == ["acme-purge", "***", "--token=***"]
    assert recording.command_lines == ["acme-purge *** --token=***", "check"]
    assert recording.steps[1].options == {"tag": Secret(secret)}
    failure = recording.result.failures[0]
    assert (str(failure.exception), failure.stderr) == ("refused ***", ("said ***",))
    shown = (recording, recording.result, recording.out, recording.err, failure.exception)
    assert not any(secret in f"{one!r} {one}" for one in shown)


@pytest.mark.parametrize("what", ["fail", "results"])
def test_an_id_that_does_not_run_is_refused(site: Runbook, what: str) -> None:
    """A test that tells nobody to fail would pass for ever. The closest id is named."""

    def record(one: str) -> Recording:
        return site.record("deploy", **{what: {one: None}})

    for wrong, meant in {
        "settings:migrat": "settings:migrate",
        "settings:acme-buidl": "settings:acme-build",
        "acme-cdn:purge-all": "acme-cdn:purge",
        "migrate": "settings:migrate",
    }.items():
        with pytest.raises(ValueError, match=f"No step '{wrong}' runs. Did you mean '{meant}'?"):
            record(wrong)
    with pytest.raises(ValueError, match=r"No step 'settings:check' runs\."):
        record("settings:check")  # its switch is off
    with pytest.raises(ValueError, match=r"No step 'entirely-else' runs\.$"):
        record("entirely-else")
    assert record("settings:makemigrations").ids[0] == "settings:makemigrations"


@pytest.mark.parametrize("what", ["fail", "results"])
def test_a_step_that_runs_a_routine_cannot_be_told(site: Runbook, what: str) -> None:
    """It fails if a step of its routine does, and returns what became of them. To tell it to fail
    must not pass in silence, with nothing failed.
    """
    with pytest.raises(ValueError, match="settings:package"):
        site.record("deploy", **{what: {"settings:package": None}})


# Assertions


@pytest.fixture
def plan(runbook: Runbook) -> Plan:
    """A plan with steps that run, one that is switched off and one that is disabled."""
    runbook.settings.routine("deploy", "Deploy.", demo="Load.", initial="Once.")
    runbook.settings.command("deploy", "migrate", priority=10)
    runbook.settings.command("deploy", "check", priority=20, switches=["demo"])
    runbook.settings.command("deploy", "loaddata", "x", switches=["initial"])
    runbook.distribution("acme-cdn").system("deploy", "purge", run_after=["migrate"])
    runbook.distribution("acme-cdn").system("deploy", "preheat")
    runbook.settings.disable("deploy", "acme-cdn:preheat")
    return runbook.plan("deploy", ["demo"])


IDS = ["settings:migrate", "acme-cdn:purge", "settings:check"]


def place_of(plan: Plan, step_id: str) -> str:
    """Return the place of a step, as messages have it."""
    (step,) = (one for one in (*plan.steps, *plan.left_out) if one.id == step_id)
    assert step.origin.place.startswith(f"{HERE}:")
    return step.origin.place


def refused(assertion: Callable[..., None], *args: Any) -> str:
    """Return what an assertion says that must fail."""
    with pytest.raises(AssertionError) as caught:
        assertion(*args)
    return str(caught.value)


def test_steps(plan: Plan, runbook: Runbook) -> None:
    """The ids in order, from any iterable; a lone string is one id."""
    assert step_ids(plan) == IDS
    assert_steps(plan, IDS)
    assert_steps(plan, iter(IDS))
    runbook.settings.command("other", "check")
    assert_steps(runbook.plan("other"), "settings:check")
    runbook.settings.disable("other", "settings:check")
    assert_steps(runbook.plan("other"), [])


def test_other_steps(plan: Plan) -> None:
    """The message has both plans in one list, and the origin of each step that is there."""
    said = refused(assert_steps, plan, ["settings:migrate", "settings:check", "acme-cdn:verify"])

    check, purge = place_of(plan, "settings:check"), place_of(plan, "acme-cdn:purge")
    assert said.splitlines() == [
        "The plan of 'deploy' with demo has other steps (- expected, + found):",
        f"  settings:migrate  settings ({place_of(plan, 'settings:migrate')})",
        f"+ acme-cdn:purge  acme-cdn ({purge})",
        f"  settings:check  settings ({check})",
        "- acme-cdn:verify",
    ]
    for wrong in ([], IDS[:2], IDS[::-1], [*IDS, IDS[0]], "settings:migrate"):
        assert "has other steps" in refused(assert_steps, plan, wrong)


def test_order(plan: Plan) -> None:
    """Whatever runs between them."""
    assert_order(plan, *IDS)
    assert_order(plan, IDS[0], IDS[2])
    assert_order(plan, IDS[1], IDS[2])


def test_another_order(plan: Plan) -> None:
    """The message says which two, where each stands, who says so, and why."""
    said = refused(assert_order, plan, IDS[0], IDS[2], IDS[1])

    assert said.splitlines()[0] == (
        "The plan of 'deploy' with demo does not run settings:check before acme-cdn:purge, but:"
    )
    assert (
        f"  2 acme-cdn:purge  acme-cdn ({place_of(plan, IDS[1])})  after settings:migrate" in said
    )
    assert f"  3 settings:check  settings ({place_of(plan, IDS[2])})" in said
    assert "does not run settings:migrate before settings:migrate" in refused(
        assert_order, plan, IDS[0], IDS[0]
    )


def test_not_run(plan: Plan) -> None:
    """A step that is switched off, and one that is disabled."""
    assert_not_run(plan, "settings:loaddata", "acme-cdn:preheat")
    assert_not_run(plan, "settings:loaddata")


def test_a_step_that_runs(plan: Plan) -> None:
    """The message says where it stands, and who says so, also if it is the second one asked for."""
    said = refused(assert_not_run, plan, "settings:loaddata", "acme-cdn:purge")

    assert said == (
        "The plan of 'deploy' with demo runs acme-cdn:purge at 2: "
        f"acme-cdn ({place_of(plan, 'acme-cdn:purge')})."
    )


def test_an_id_that_nobody_declares(plan: Plan) -> None:
    """It is in no order and not left out either: the message has the closest one, or all."""
    for assertion, ids in (
        (assert_order, ("settings:migrate", "acme-cdn:prge")),
        (assert_order, ("acme-cdn:prge", "settings:migrate")),
        (assert_not_run, ("acme-cdn:prge",)),
    ):
        assert refused(assertion, plan, *ids) == (
            "The plan of 'deploy' with demo has no step 'acme-cdn:prge'. "
            "Did you mean 'acme-cdn:purge'?"
        )
    said = refused(assert_not_run, plan, "XXXXXXXX")
    assert {*IDS, "settings:loaddata", "acme-cdn:preheat"} == set(
        said.partition("It has ")[2].rstrip(".").split(", ")
    )


def test_an_order_of_a_step_that_does_not_run(plan: Plan) -> None:
    """The message says why it does not: its switch, or who disables it."""
    off = refused(assert_order, plan, "settings:migrate", "settings:loaddata")
    disabled = refused(assert_order, plan, "acme-cdn:preheat", "settings:migrate")

    assert "does not run settings:loaddata: " in off
    assert "initial" in off
    assert "does not run acme-cdn:preheat: " in disabled
    (by,) = (str(one.disabled_by) for one in plan.left_out if one.disabled_by)
    assert by in disabled


def test_an_assertion_that_could_not_fail_is_refused(plan: Plan) -> None:
    """One step has no order."""
    for ids in ((), ("settings:migrate",), ("nobody:declares",)):
        with pytest.raises(TypeError, match="two"):
            assert_order(plan, *ids)


def test_that_nothing_runs_not_is_refused(plan: Plan) -> None:
    """A test that names no step, ``*ids`` of an empty list, says nothing."""
    with pytest.raises(TypeError, match="assert_not_run"):
        assert_not_run(plan)


def test_a_pinned_plan(plan: Plan, runbook: Runbook, tmp_path: Path) -> None:
    """It passes as long as the same would run: another version or help text changes nothing."""
    pin = tmp_path / "deploy.plan.json"
    pin.write_text(to_json(plan))
    runbook.distribution("acme-cdn", "1.0.1")
    runbook.settings.override("deploy", "settings:migrate", help_text="Another one.")
    again = runbook.plan("deploy", ["demo"])
    assert document_of(again) != document_of(plan)

    assert_pinned(again, pin)
    assert_pinned(again, str(pin))


def test_a_plan_that_is_not_the_pinned_one(plan: Plan, runbook: Runbook, tmp_path: Path) -> None:
    """The message has the file, what differs, whose it is, and the versions."""
    pin = tmp_path / "deploy.plan.json"
    pin.write_text(to_json(plan))
    runbook.distribution("acme-cdn", "2.0").system("deploy", "verify", priority=30)

    said = refused(assert_pinned, runbook.plan("deploy", ["demo"]), pin)

    assert said.startswith(f"The plan of 'deploy' with demo is not the one in {pin}.\n")
    assert "+ acme-cdn:verify, at 4: verify" in said
    assert "acme-cdn (none) -> 2.0" in said
    assert HERE in said


def test_a_pin_that_cannot_be_used(plan: Plan, runbook: Runbook, tmp_path: Path) -> None:
    """That is a failure of the test, with the reason: no file, no plan, one of other switches."""
    pin = tmp_path / "deploy.plan.json"

    assert "it cannot be read" in refused(assert_pinned, plan, pin)
    pin.write_text("{}")
    assert "it states no format_version" in refused(assert_pinned, plan, pin)
    pin.write_text(to_json(runbook.plan("deploy")))
    said = refused(assert_pinned, plan, pin)
    assert "it was written without switches, and this is the plan with --demo" in said
