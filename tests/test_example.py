"""The example: what ``plugins_example/README.md`` promises, on a copy of its site."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest

from .projects import ENVIRONMENT, Ran, ids, problem_ids

EXAMPLE = Path(__file__).parents[1] / "plugins_example"
DECLARING = ("command(", "system(", "ManagementCommand(", "SystemCommand(", '"management":')


@dataclass
class Example:
    """A copy of the example's site, and where it may write."""

    root: Path
    var: Path
    installed: Path

    def run(self, *words: str, **env: str) -> Ran:
        """Run Python in the site with the example's distributions and their programs."""
        programs = (self.installed / "bin", Path(sys.executable).parent)
        environment = {
            **{name: one for name, one in os.environ.items() if not name.startswith("PYTEST_")},
            **ENVIRONMENT,
            "PYTHONPATH": str(self.installed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)]),
            **({} if self.var == self.root / "var" else {"RUNBOOK_EXAMPLE_VAR": str(self.var)}),
            **env,
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=self.root,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def manage(self, *words: str, **env: str) -> Ran:
        """Run ``manage.py``."""
        return self.run("manage.py", *words, **env)

    def explain(self, *words: str, **env: str) -> Any:
        """Return the document of the deploy's plan."""
        ran = self.manage("routine", "deploy", *words, "--explain", "--format", "json", **env)
        assert ran.status == 0, ran.err
        return ran.document

    def source(self, origin: dict[str, Any]) -> Path:
        """Return the file that an origin names: in the site, or where it is imported from."""
        in_site = self.root / origin["file"]
        return in_site if in_site.exists() else self.installed / origin["file"]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return what the site's database holds."""
        with closing(sqlite3.connect(self.var / "site.sqlite3")) as connection:
            return connection.execute(query).fetchall()

    @property
    def effects(self) -> dict[str, Any]:
        """What a deploy leaves behind, as far as somebody else could see it."""
        return {
            "catalogue": self.rows("SELECT position, title, path FROM shop_catalogueentry"),
            "notes": self.rows("SELECT id, release, sent_at FROM newsletter_releasenote"),
            "migrations": self.rows("SELECT id, app, name, applied FROM django_migrations"),
            "manifest": (self.var / "cdn-manifest.json").read_bytes(),
            "static": digests(self.var / "static"),
            "mail": digests(self.var / "mail"),
        }


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each file below a directory, but for what Python compiles."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture(autouse=True)
def _leaves_the_repository_alone() -> Iterator[None]:
    """Whatever is run here writes nothing into the example's own folder."""
    before = digests(EXAMPLE)
    yield
    assert digests(EXAMPLE) == before


COPIED = ignore_patterns("var", "local.py", "__pycache__")


@pytest.fixture
def example(tmp_path: Path, examples: Path) -> Example:
    """A fresh copy of the site, that was never deployed."""
    assert (examples / "shop" / "routines.py").is_file(), f"acme-shop is not in {examples}"
    assert (examples / "acme_cdn" / "hooks.py").is_file(), f"acme-cdn is not in {examples}"
    root = copytree(EXAMPLE / "site", tmp_path / "site", ignore=COPIED)
    return Example(root, tmp_path / "var", examples)


def by_id(document: Any) -> dict[str, Any]:
    """Return a document's steps by their ids."""
    return {step["id"]: step for step in document["steps"]}


def test_the_plan_has_all_that_the_readme_tells_to_look_for(example: Example) -> None:
    """Every kind of source; a step moved, one overridden, one disabled, some switched off."""
    document = example.explain()
    steps = by_id(document)

    assert {step["origin"]["kind"] for step in document["steps"] if step["status"] == "run"} == {
        *("settings", "app", "distribution"),
    }
    assert ids(document, "disabled") == ["acme-cdn:preheat"]
    assert {*ids(document, "switched_off")} == {
        *("settings:package", "settings:createcachetable", "shop:demo"),
    }
    note = steps["newsletter:send_release_note"]
    assert (note["priority"], note["effective_priority"]) == (80, 95)
    assert note["reason"]["code"] == "run_after"
    [change] = steps["shop:warm_catalogue"]["overridden_by"]
    assert (change["attribute"], change["old"], change["new"]) == ("priority", 50, 95)
    assert change["origin"]["file"] == "config/settings/components/routines.py"
    assert problem_ids(document) == []


def test_the_demo_data_stands_where_its_constraints_put_it(example: Example) -> None:
    """It states no priority, and still runs after the tables and before the catalogue."""
    document = example.explain("--demo")
    demo = by_id(document)["shop:demo"]
    order = ids(document)

    assert (demo["priority"], demo["effective_priority"]) == (0, 10)
    assert order.index("settings:migrate") < order.index("shop:demo")
    assert order.index("shop:demo") < order.index("shop:warm_catalogue")


def test_every_origin_is_the_line_of_the_declaration(example: Example) -> None:
    """Whoever follows a step's file and line finds what declares it."""
    for step in example.explain("--all")["steps"]:
        origin = step["origin"]
        lines = example.source(origin).read_text().splitlines()[origin["line"] - 1 :]
        assert any(word in lines[0] for word in DECLARING), (step["id"], lines[0])
        assert step["argv"][0] in "\n".join(lines[:3]), (step["id"], lines[:3])


def test_a_deploy_does_what_it_says_and_may_be_repeated(example: Example) -> None:
    """The tables, the catalogue, the manifest and one note; then the same again, unchanged."""
    first = example.manage("routine", "deploy", "--initial", "--demo")

    assert first.status == 0, first.err
    effects = example.effects
    assert effects["catalogue"] == [
        (1, "Anvil", "/anvil/"),
        (2, "Rocket skates", "/rocket-skates/"),
    ]
    assert json.loads(effects["manifest"]).keys() == effects["static"].keys() != set()
    assert [release for _, release, _ in effects["notes"]] == ["1.0"]
    assert len(effects["mail"]) == 1

    for _ in range(2):
        again = example.manage("routine", "deploy")
        assert again.status == 0, again.err
        assert example.effects == effects


def test_a_deploy_with_every_switch_runs_its_plan(example: Example) -> None:
    """``--all`` runs each planned command, in the planned order, those of nested routines too."""
    document = example.explain("--all")
    planned = list(planned_commands(document))

    ran = example.manage("routine", "deploy", "--all")

    assert ran.status == 0, ran.err
    assert [line for line in ran.out.splitlines() if line in planned] == planned
    assert "makemigrations --check" in planned


def planned_commands(document: Any) -> Iterator[str]:
    """Yield the command lines of a plan, in order, as they are echoed."""
    for step in document["steps"]:
        if step["status"] == "run":
            yield " ".join(step["argv"])
            yield from planned_commands(step.get("plan", {"steps": []}))


def test_the_second_routine_is_the_distributions_own(example: Example) -> None:
    """The settings component that acme-cdn ships declares a routine of the site."""
    assert example.manage("routine", "deploy").status == 0

    ran = example.manage("routine", "cdn")

    assert ran.status == 0, ran.err
    assert "2 to purge; the manifest holds 2 files." in ran.out


def test_production_deploys_and_passes_every_check(example: Example) -> None:
    """Its component adds a step; ``check --deploy`` has nothing to say, not even a warning."""
    production = {"RUNBOOK_EXAMPLE_ENV": "production", "DJANGO_SECRET_KEY": "long and varied " * 4}

    checked = example.manage("check", "--deploy", "--fail-level", "WARNING", **production)
    assert checked.status == 0, checked.err
    ran = example.manage("routine", "deploy", **production)

    assert ran.status == 0, ran.err
    assert (example.var / "reload").exists()
    assert ids(example.explain(**production))[-1] == "settings:touch"


def test_the_checks_find_no_problem_of_ours(example: Example) -> None:
    """On the developer's machine Django warns of much, and this package of nothing."""
    checked = example.manage("check", "--deploy")

    assert checked.status == 0, checked.err
    assert "django_runbook." not in checked.err
    assert "security." in checked.err


def test_local_settings_have_the_last_word(example: Example) -> None:
    """``local.py`` is optional, and what it says counts after everything else."""
    local = example.root / "config" / "settings" / "local.py"
    local.write_text(
        "from django_runbook import command, disable\n"
        'disable("deploy", "newsletter:send_release_note")\n'
        'command("deploy", "check", priority=1)\n'
    )

    document = example.explain()

    assert ids(document)[0] == "settings:check"
    assert {*ids(document, "disabled")} == {"acme-cdn:preheat", "newsletter:send_release_note"}


def test_the_demo_explains_and_deploys_twice(example: Example) -> None:
    """``demo.py`` as the repository has it: the plan, then each of its commands two times."""
    document = example.explain()

    ran = example.run(str(EXAMPLE / "demo.py"))

    assert ran.status == 0, ran.err
    plan, *deploys = ran.out.split("$ python manage.py routine deploy\n")
    assert len(deploys) == 2
    for step in document["steps"]:
        assert step["id"] in plan
        assert f"{step['origin']['file']}:{step['origin']['line']}" in plan
    planned = list(planned_commands(document))
    for deploy in deploys:
        assert [line for line in deploy.splitlines() if line in planned] == planned


def test_the_readme_names_each_component_that_declares() -> None:
    """Every settings component with a step or a routine has its row in the example's README."""
    readme = (EXAMPLE / "README.md").read_text()
    settings = EXAMPLE / "site" / "config" / "settings"
    declaring = [
        file.relative_to(settings).as_posix()
        for file in sorted(settings.glob("*/*.py"))
        if re.search(
            r"^(DJANGO_ROUTINES|command\(|system\(|routine\()", file.read_text(), re.MULTILINE
        )
    ]

    assert len(declaring) >= 4
    assert [name for name in declaring if f"`{name}`" not in readme] == []


# The tests that the example's authors have written


def suite_of(name: str, folder: Path, installed: Path) -> Ran:
    """Run the tests of a part of the example as its author would, in a copy.

    Its author has installed pytest and pytest-django, and no other plugin.
    """
    root = copytree(EXAMPLE / name, folder / name, ignore=COPIED)
    example = Example(root, root / "var", installed)
    ours = ("cacheprovider", "hypothesispytest", "randomly", "xdist", "xdist.looponfail")
    without = [word for plugin in ours for word in ("-p", f"no:{plugin}")]
    before = digests(root)
    ran = example.run("-m", "pytest", *without, "-rA", COLUMNS="200")
    assert digests(root) == before
    return ran


@pytest.mark.parametrize(("name", "count"), [("acme-cdn", 6), ("shop", 4), ("site", 4)])
def test_each_part_passes_its_own_tests(
    name: str, count: int, tmp_path: Path, examples: Path
) -> None:
    """A plugin that is no app, an app, a site: with nothing but what is installed. They make no
    database and no other file.
    """
    ran = suite_of(name, tmp_path, examples)

    assert ran.status == 0, ran.out
    assert f" {count} passed in " in ran.out


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "failing"),
    [
        (
            "acme-cdn",
            "acme_cdn/hooks.py",
            'run_after=["collectstatic"]',
            "run_after=[]",
            "test_the_cdn_is_purged_when_the_files_are_there",
        ),
        (
            "shop",
            "shop/routines.py",
            'run_after=["migrate"]',
            "run_after=[]",
            "test_the_catalogue_is_made_from_tables_that_are_there",
        ),
        (
            "site",
            "acme_cdn/hooks.py",
            "priority=90",
            "priority=97",
            "test_the_deploy_is_the_one_that_was_reviewed",
        ),
    ],
    ids=["acme-cdn", "shop", "site"],
)
def test_each_part_notices_what_its_tests_are_for(
    name: str, file: str, old: str, new: str, failing: str, tmp_path: Path, examples: Path
) -> None:
    """With one word less in what is installed, the test of that word fails, and says whose."""
    installed = copied(examples, tmp_path / "installed")
    module = installed / file
    assert old in module.read_text()
    module.write_text(module.read_text().replace(old, new))

    ran = suite_of(name, tmp_path, installed)

    assert ran.status == 1, ran.out
    failed = re.findall(r"^FAILED \S+::(\w+) - AssertionError", ran.out, re.MULTILINE)
    assert failing in failed
    assert re.search(rf"{re.escape(file)}:\d+", ran.out)
    assert "passed" in ran.out


def test_the_tests_of_the_example_need_no_helper_of_ours() -> None:
    """What they import is to be had by whoever copies them: nothing of this repository."""
    files = sorted(EXAMPLE.glob("*/tests/*.py"))
    imported = {name for file in files for name in imports(file)}

    assert {file.parts[-3] for file in files} == {"acme-cdn", "shop", "site"}
    assert "django_runbook.testing" in imported
    ours = {name for name in imported if name.partition(".")[0] == "django_runbook"}
    assert ours <= {"django_runbook.testing", "django_runbook.exceptions"}
    others = {name.partition(".")[0] for name in imported - ours}
    assert others - sys.stdlib_module_names <= {"pytest", "django"}
    assert {file.name for file in files if not file.name.startswith("test_")} == {"settings.py"}


def imports(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


# Pin and upgrade


def copied(examples: Path, target: Path) -> Path:
    """Return a copy of what is installed, which a test may change."""
    return copytree(examples, target, ignore=ignore_patterns("__pycache__"))


def edit(file: Path, old: str, new: str) -> None:
    """Replace a text that is in a file once."""
    text = file.read_text()
    assert text.count(old) == 1, (file, old)
    file.write_text(text.replace(old, new))


def upgraded(example: Example, folder: Path, version: str, *edits: tuple[str, str]) -> Example:
    """Return the same site with another version of acme-cdn, as pip would have installed it."""
    installed = copied(example.installed, folder / version)
    info = installed / f"acme_cdn-{version}.dist-info"
    (installed / "acme_cdn-1.0.0.dist-info").rename(info)
    edit(info / "METADATA", "\nVersion: 1.0.0\n", f"\nVersion: {version}\n")
    record = info / "RECORD"
    record.write_text(record.read_text().replace("acme_cdn-1.0.0.", f"acme_cdn-{version}."))
    for old, new in edits:
        edit(installed / "acme_cdn" / "hooks.py", old, new)
    return replace(example, installed=installed)


@pytest.fixture
def pin(example: Example) -> str:
    """The pin of the deploy, written beside ``manage.py`` as the README says."""
    ran = example.manage("routine", "deploy", "--explain", "--format", "json")
    assert ran.status == 0, ran.err
    (example.root / "own.plan.json").write_text(ran.out)
    return "own.plan.json"


PREHEAT = '    routines.system(\n        "deploy",\n        "acme-cdn-preheat",'
VERIFY = """    routines.system(
        "deploy", "acme-cdn-verify", step_id="verify", run_after=["acme-cdn:purge"]
    )
"""


def test_an_upgrade_that_changes_the_deploy_does_not_run(
    example: Example, pin: str, tmp_path: Path
) -> None:
    """With one step more and one moved: status 3, who has done it, and nothing has happened."""
    newer = upgraded(
        example, tmp_path, "2.0.0", ("priority=90", "priority=97"), (PREHEAT, VERIFY + PREHEAT)
    )

    ran = newer.manage("routine", "deploy", "--expect", pin)

    assert (ran.status, ran.out, ran.progress) == (3, "", [])
    assert f"Routine 'deploy' was not run: its plan is not the one in {pin}" in ran.err
    assert "+ acme-cdn:verify, at 6: acme-cdn-verify\n    by acme-cdn 2.0.0 acme_cdn/h" in ran.err
    assert "> acme-cdn:purge, from 3 to 5, behind newsletter:send_release_note\n" in ran.err
    file = r"acme_cdn/hooks\.py:\d+"
    assert re.search(rf"\n    by acme-cdn 1\.0\.0 {file} -> acme-cdn 2\.0\.0 {file}\n", ran.err)
    assert "    priority: 90 -> 97\n" in ran.err
    assert "Distributions that differ: acme-cdn 1.0.0 -> 2.0.0.\n" in ran.err
    assert len(re.findall(r"^[-+>~] ", ran.err, re.MULTILINE)) == 2
    # Nothing is there but the directory, which the settings make.
    assert list(example.var.iterdir()) == []


def test_an_upgrade_that_changes_nothing_that_runs_deploys(
    example: Example, pin: str, tmp_path: Path
) -> None:
    """Another help text, a comment, other lines, a file more: the reviewed plan stays in force."""
    newer = upgraded(
        example,
        tmp_path,
        "1.0.1",
        ("Purge the static files that changed.", "Purge what has changed."),
        ("    base_url = ", "    # As the site says.\n\n    base_url = "),
    )
    (newer.installed / "acme_cdn" / "later.py").write_text("")

    ran = newer.manage("routine", "deploy", "--expect", pin)

    assert ran.status == 0, ran.err
    assert newer.effects["static"]
    assert len(newer.effects["mail"]) == 1
    document = newer.explain()
    expected = json.loads((example.root / pin).read_text())
    assert document["fingerprint"] == expected["fingerprint"]
    was, now = (by_id(one)["acme-cdn:purge"] for one in (expected, document))
    assert now["help_text"] != was["help_text"]
    assert now["origin"] == {**was["origin"], "version": "1.0.1", "line": was["origin"]["line"] + 2}


def below_the_site(root: Path, examples: Path) -> Example:
    """Copy the site to a directory, to write its files below it, as it does when it is deployed."""
    copytree(EXAMPLE / "site", root, ignore=COPIED)
    return Example(root, root / "var", examples)


PIN = "deploy.plan.json"


def test_the_pin_in_the_repository_is_that_of_the_deploy(
    tmp_path: Path, examples: Path, memory: Path
) -> None:
    """It verifies wherever the site lies, on any file system, and the deploy runs with it."""
    here = below_the_site(tmp_path / "some where" / "site", examples)
    there = below_the_site(memory / "current", examples)

    explained = there.manage("routine", "deploy", "--explain", "--expect", PIN)
    ran = here.manage("routine", "deploy", "--expect", PIN)

    assert (explained.status, ran.status) == (0, 0), (explained.out, explained.err, ran.err)
    assert len(here.effects["mail"]) == 1
    assert not (there.var / "site.sqlite3").exists()


def test_the_pin_in_the_repository_is_what_would_be_written(tmp_path: Path, examples: Path) -> None:
    """But for the versions that are installed and the directory of the site, to the last key."""
    site = below_the_site(tmp_path / "site", examples)

    written = site.manage("routine", "deploy", "--explain", "--format", "json").out

    committed = (EXAMPLE / "site" / PIN).read_text()
    (root,) = json.loads(committed)["roots"]
    assert str(EXAMPLE.parent) not in committed
    assert lines_of(written, str(site.root)) == lines_of(committed, root)


def lines_of(text: str, root: str) -> list[str]:
    """Return the lines of a document without its versions and the directory of the project."""
    without = re.sub(r'("version": )("[^"]*"|null)', r"\1...", text)
    return without.replace(json.dumps(root)[1:-1], "ROOT").splitlines()
