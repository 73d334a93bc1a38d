"""The example: what ``plugins_example/README.md`` promises, on a copy of its site."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
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
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": str(self.installed),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)]),
            "RUNBOOK_EXAMPLE_VAR": str(self.var),
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


@pytest.fixture
def example(tmp_path: Path, examples: Path) -> Example:
    """A fresh copy of the site, that was never deployed."""
    assert (examples / "shop" / "routines.py").is_file(), f"acme-shop is not in {examples}"
    assert (examples / "acme_cdn" / "hooks.py").is_file(), f"acme-cdn is not in {examples}"
    copied = ignore_patterns("var", "local.py", "__pycache__")
    root = copytree(EXAMPLE / "site", tmp_path / "site", ignore=copied)
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
