"""What each command costs, as counts that are the same on every machine: no test here is timed.

A module, a file or a call more than these is a cost that every start of a process pays. Whoever
adds one on purpose changes the number here, and says why.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .projects import Project, hook

SETTINGS = """
    SECRET_KEY = "test"
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    INSTALLED_APPS = ["django_typer", "django_runbook", "probe", "shop", "blog"]
"""
"""Settings without a star import: what they load is theirs alone."""

DICTIONARY = 'DJANGO_ROUTINES = {"deploy": {"commands": [{"management": "probe"}]}}\n'

COUNTING = """
    import atexit
    import collections
    import json
    import os
    import sys

    opened = collections.Counter()

    def note(event, arguments):
        if event == "open" and isinstance(arguments[0], str):
            opened[os.path.abspath(arguments[0])] += 1

    def tell():
        with open("counts.json", "w") as file:
            json.dump({"opened": opened, "modules": sorted(sys.modules)}, file)

    sys.addaudithook(note)
    atexit.register(tell)
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

    if sys.argv[1:] == ["setup"]:
        import django

        django.setup()
    else:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
"""
"""A manage script that says at its end what was opened and loaded; ``setup`` is a web worker."""

HOOK_BODY = """
    from pathlib import Path

    with Path("called.txt").open("a") as file:
        file.write(__name__ + "\\n")
    routines.command("deploy", "probe")
"""

READY = """
    from django.apps import AppConfig

    class ShopConfig(AppConfig):
        name = "shop"

        def ready(self):
            from django_runbook import contribute

            contribute(self).command("deploy", "probe")
"""


@dataclass(frozen=True)
class Counts:
    """What a process has opened and loaded."""

    opened: Counter[str]
    modules: frozenset[str]

    def ours(self) -> set[str]:
        """Return the modules of the package that were loaded, without its name."""
        return {
            name.removeprefix("django_runbook").removeprefix(".")
            for name in self.modules
            if name.partition(".")[0] == "django_runbook"
        }

    def metadata(self, name: str) -> Counter[str]:
        """Return how often each file of this name was opened in a directory of metadata."""
        paths = {Path(path): count for path, count in self.opened.items()}
        return Counter(
            {
                path.parent.name: count
                for path, count in paths.items()
                if path.name == name and path.parent.suffix == ".dist-info"
            }
        )


class Counting(Project):
    """A project whose processes say at their end what they have opened and loaded."""

    def counted(self, *args: str, **env: str) -> Counts:
        """Run a command, or ``setup``, and return what it has opened and loaded."""
        ran = self.manage(*args, env=env)
        assert ran.status == 0, ran.err
        said: dict[str, Any] = json.loads((self.root / "counts.json").read_text())
        return Counts(Counter(said["opened"]), frozenset(said["modules"]))

    @property
    def called(self) -> list[str]:
        """The modules whose hooks were called, in this order, since this was last asked."""
        trace = self.root / "called.txt"
        called = trace.read_text().splitlines() if trace.exists() else []
        trace.unlink(missing_ok=True)
        return called


@pytest.fixture
def site(tmp_path: Path) -> Counting:
    """A site of whose apps one has a hook, as has one of its three distributions."""
    made = Counting(tmp_path / "site")
    made.file("manage.py", COUNTING)
    made.file("config/settings.py", SETTINGS + f"    {DICTIONARY}")
    made.app("shop", routines=hook(HOOK_BODY))
    made.app("blog")
    hooks = {"acme_cdn/hooks.py": hook(HOOK_BODY)}
    points = {"django_runbook": {"cdn": "acme_cdn.hooks"}}
    made.distribution("acme-cdn", modules=hooks, entry_points=points)
    made.distribution("globex-mail", entry_points={"console_scripts": {"mail": "globex_mail:main"}})
    made.distribution("initech")
    return made


AT_START = {"", "apps", "contribute"}
"""What every web worker loads: the package, its app, and what it cannot load later."""

DECLARING = {"commands", "declarations"}


def test_a_web_worker_loads_three_modules_and_reads_nothing(site: Counting) -> None:
    """Hooks are not called, and no metadata is read, whatever is installed."""
    counted = site.counted("setup")

    assert counted.ours() == AT_START
    assert {"pluggy", "importlib.metadata"}.isdisjoint(counted.modules)
    assert not counted.metadata("entry_points.txt")
    assert not counted.metadata("METADATA")
    assert not counted.metadata("RECORD")
    assert site.called == []


def test_a_web_worker_loads_what_its_settings_declare_with(site: Counting) -> None:
    """Functions load what writes declarations down, and nothing that judges them."""
    site.file(
        "config/settings.py",
        f"{SETTINGS}\n    from django_runbook import command, routine\n"
        '    routine("deploy", "Deploy.")\n    command("deploy", "probe")\n',
    )
    site.app("shop", installed=False, apps=READY)

    counted = site.counted("setup")

    assert counted.ours() == AT_START | DECLARING | {"declare", "contribution"}
    assert not counted.metadata("entry_points.txt")


@pytest.mark.parametrize("command", [["migrate", "--plan"], ["check"]])
def test_other_commands_pay_no_more_than_a_web_worker(site: Counting, command: list[str]) -> None:
    """What does not ask for a plan makes none."""
    counted = site.counted(*command)

    # Where Django itself looks for what an app does after a migration.
    assert counted.ours() <= AT_START | {"management"}
    assert not counted.metadata("entry_points.txt")
    assert site.called == []


NOT_TO_EXPLAIN = {
    *("checks", "comparison", "declare", "difference", "inventory", "mermaid", "pins"),
    *("pytest_plugin", "results", "signals", "split", "testing"),
}
"""What takes no part in explaining one routine, besides the packages ``locks`` and ``runner``."""


def test_explaining_looks_at_each_source_once(site: Counting) -> None:
    """Each hook is called once, and each file of metadata read once, if at all."""
    counted = site.counted("routine", "deploy", "--explain")

    assert site.called == ["shop.routines", "acme_cdn.hooks"]
    points = counted.metadata("entry_points.txt")
    assert set(points.values()) == {1}
    assert {"acme_cdn-1.0.dist-info", "globex_mail-1.0.dist-info"} <= set(points)
    metadata = counted.metadata("METADATA")
    assert set(metadata.values()) == {1}
    # Those that give something here, and those that ship an app of this site.
    assert {name.partition("-")[0].lower() for name in metadata} == {
        *("acme_cdn", "django_typer", "django_runbook")
    }
    assert set(counted.metadata("RECORD").values()) == {1}
    settings = str(site.root / "config" / "settings.py")
    assert counted.opened[settings] == 2  # Python itself, and we for the lines of its dictionary


def test_explaining_loads_what_explains(site: Counting) -> None:
    """Neither what runs nor what shows something else; pluggy only where there is a plugin."""
    counted = site.counted("routine", "deploy", "--explain")

    assert {name.partition(".")[0] for name in counted.ours()}.isdisjoint(
        {*NOT_TO_EXPLAIN, "locks", "runner"}
    )
    assert {"filelock", "redis", "split_settings"}.isdisjoint(counted.modules)
    assert "pluggy" in counted.modules

    (site.root / "shop" / "routines.py").unlink()
    site.paths.clear()

    counted = site.counted("routine", "deploy", "--explain")

    assert {"plugins", "hookspecs"}.isdisjoint(counted.ours())
    assert "pluggy" not in counted.modules


def test_a_run_is_planned_once(site: Counting) -> None:
    """The plan that a run without a lock is given is the one that was made for the command line."""
    counted = site.counted("routine", "deploy")

    assert site.called == ["shop.routines", "acme_cdn.hooks"]
    assert site.ran == ["probe"] * 3
    assert set(counted.metadata("entry_points.txt").values()) == {1}
    assert {"comparison", "inventory", "mermaid", "pins", "testing"}.isdisjoint(counted.ours())
    assert {"filelock", "redis", "rich.spinner", "split_settings"}.isdisjoint(counted.modules)


def test_a_run_with_a_lock_is_planned_thrice(site: Counting) -> None:
    """For the command line, to know the locks, and again when they are held."""
    site.counted("routine", "deploy", "--lock", TMPDIR=str(site.root))

    assert site.called == ["shop.routines", "acme_cdn.hooks"] * 3
    assert site.ran == ["probe"] * 3
