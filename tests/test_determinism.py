"""Same input, same bytes: whatever the file system, the hash seed and the order of installation.

One project that uses everything that has an order is explained again and again, each time in a
process of its own and in other surroundings, and every document must be the first one's, byte for
byte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from .projects import ENVIRONMENT, Project, hook, install, write

pytestmark = pytest.mark.ours


FINGERPRINTS = {
    "deploy": "sha256:fd1f050e6d95a6a49285e27dd8b8b39f31fe79a9cb37dae0d934988b7afa4def",
    "deploy --all": "sha256:ca8d06b7fc3f6bda338041072ac2e8a1c5f4f3e48d9cc275166e2eccea55dcaa",
    "package": "sha256:6a874cad25e524b8b8b12228967201bdf1b048e3fd3e1e8214565fdd4b34cd7d",
    "zeta": "sha256:6b09b4ec51ce0f3e70b02b9c6297f9b58b5ee53a3d99633013be7e6dad3fb39b",
}
"""What the plans of the project below are known by. A change of it is a change for every site that
expects a fingerprint: it must be meant, and told in the changelog."""

SETTINGS = """
    DJANGO_RUNBOOK = {"PLUGINS": {"allow": {"acme-mail", "beta.kit", "zeta-tools"}}}

    routine("deploy", "Deploy the site.", demo="Load the demo data.", initial="The first time.")
    include("components/*.py", optional("local.py"))
    override("deploy", "blog:tagged", priority=7, switches={"demo", "initial", "night"})
    override("deploy", "news:probe", priority=4)
    override("deploy", "news:collect", options={"tags": {"one", "two", "three"}})
    disable("deploy", "zeta-tools:true")
"""

# Most steps have the same priority, so that only the order of the sources, of the files and of
# the lines decides. Nothing here depends on where the project lies.
COMPONENTS = {
    "cache": """
        DJANGO_ROUTINES = {
            "deploy": {
                "commands": [
                    {"management": ("probe", "cache"), "switches": {"night", "initial", "demo"}},
                    {
                        "management": ("probe", "warm"),
                        "step_id": "warm",
                        "run_after": {"settings:words", "settings:migrate", "nowhere"},
                    },
                ],
                "switch_helps": {"night": "What only runs at night.", "unused": "For nobody."},
                "overrides": {"shop:probe": {"priority": -3}},
            },
        }
    """,
    "database": """
        from pathlib import Path

        def keep(name):
            return bool(name)

        command("deploy", "migrate", interactive=False)
        command(
            "deploy",
            "collect",
            tags={"red", "green", "blue"},
            where=Path("/srv/media"),
            keep=keep,
            nested={"sizes": frozenset({"s", "m", "l"}), "paths": [Path("a"), Path("b")]},
        )
    """,
    "mail": """
        from django_runbook import ManagementCommand, Routine

        DJANGO_ROUTINES = {
            "deploy": Routine(
                "deploy",
                commands=[ManagementCommand(("probe", "mail"), switches={"initial", "demo"})],
            ),
            "package": {
                "help_text": "Package the code: çà et là.",
                "commands": [
                    {"management": ("probe", "check")},
                    {"management": ("probe", "fast"), "switches": {"quick", "fast"}},
                ],
            },
        }
    """,
    "search": 'include("search/*.py")',
    "search/index": 'command("deploy", "probe", "index")',
    "search/schema": """
        DJANGO_ROUTINES = {"deploy": {"commands": [{"system": ("true", "schema")}]}}
    """,
    "search/words": 'command("deploy", "probe", "words", step_id="words")',
    "static": """
        system("deploy", "true", "--static", run_before={"shop:probe", "settings:words"})
        command("deploy", "probe", "static", priority=3)
    """,
    "workers": """
        command("deploy", "routine", "package", "--fast")
        for name in ("one", "two"):
            command("deploy", "probe", name)
    """,
}

COLLECT = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        stealth_options = ("tags", "where", "keep", "nested")

        def handle(self, **options):
            pass
"""

BLOG = hook("""
    routines.routine("deploy", "Deploy the blog.", night="What only runs in the dark.")
    routines.command("deploy", "probe", "blog", priority=5, run_after=["migrate"])
    before = {"settings:warm", "mail"}
    routines.command("deploy", "probe", "--tag=x", step_id="tagged", run_before=before)
    routines.command("deploy", "probe", "same")
""")

READY = """
    from django.apps import AppConfig
    from django_runbook import contribute

    class Config(AppConfig):
        name = "{name}"

        def ready(self):
            for word in ("{name}", "again"):
                contribute(self).command("deploy", "probe", "{name}", word, switches={{"demo"}})
"""

NEWS = hook("""
    routines.system("deploy", "true", "news", run_after=["blog:probe"])
    routines.command("deploy", "collect", tags=["zero"])
""")


@dataclass(frozen=True)
class Distribution:
    """A distribution to install: the hooks behind its entry points."""

    version: str
    hooks: dict[str, str]
    package: str

    @property
    def points(self) -> dict[str, str]:
        return {name: f"{self.package}.{name}" for name in self.hooks}

    @property
    def modules(self) -> dict[str, str]:
        return {f"{self.package}/{name}.py": text for name, text in self.hooks.items()}


DISTRIBUTIONS = {
    "acme-mail": Distribution(
        "2.0",
        {
            "late": hook('routines.command("deploy", "probe", "late")'),
            "early": hook("""
                routines.command("deploy", "probe", "early", switches={"night", "demo"})
                routines.command("deploy", "probe", "early", "two", run_after=["acme-mail:probe"])
            """),
        },
        "acme_mail",
    ),
    "Zeta_Tools": Distribution(
        "0.3",
        {
            "tools": hook("""
                routines.system("deploy", "true", "zeta", priority=-1)
                routines.command("zeta", "probe", "zeta")
                routines.command("deploy", "probe", "zeta", run_before=["acme-mail:probe-2"])
            """)
        },
        "zeta_tools",
    ),
    "beta.kit": Distribution(
        "1.1", {"kit": hook('routines.command("deploy", "probe", "same")')}, "beta_kit"
    ),
}

# Everything that can be seen of the plans, from one process, which costs most of the time.
EXPLAIN = """
    import io
    import os
    import sys

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"

    import django
    from django.core.management import call_command

    django.setup()
    for words in (
        ["--explain", "--format", "json"],
        ["--explain"],
        ["deploy", "--all", "--explain", "--format", "json"],
        ["deploy", "--all", "--explain"],
        ["deploy", "--all", "list"],
    ):
        out = io.StringIO()
        call_command("routine", *words, stdout=out)
        sys.stdout.buffer.write(out.getvalue().encode() + b"\\0")
"""


@dataclass
class Site:
    """Where the project lies, and the order in which it came to be."""

    root: Path
    order: Random | None = None
    """Shuffles the order of creation; ``None`` creates everything as it is written above."""

    libraries: list[Path] = field(default_factory=list)
    """The directories of the distributions, which are taken in turn; one beside it unless given."""

    def shuffled(self, things: Any) -> list[Any]:
        """Return things in the order in which to create them."""
        result = list(things)
        if self.order is not None:
            self.order.shuffle(result)
        return result

    def created(self) -> Project:
        """Write the project and install the distributions."""
        project = Project(self.root, apps=("blog", "shop", "news"))
        for name in self.shuffled(COMPONENTS):
            project.file(f"config/settings/components/{name}.py", COMPONENTS[name])
        project.settings(SETTINGS, package=True)
        for app, modules in self.shuffled(
            {
                "news": {"routines": NEWS, "apps": READY.format(name="news")},
                "blog": {"routines": BLOG},
                "shop": {"apps": READY.format(name="shop")},
            }.items()
        ):
            project.app(app, installed=False, **modules)
        project.command("probe", "collect", COLLECT)
        project.file("explain.py", EXPLAIN)
        libraries = self.shuffled(self.libraries or [self.root.parent / "lib"])
        for index, name in enumerate(self.shuffled(DISTRIBUTIONS)):
            what = DISTRIBUTIONS[name]
            install(
                libraries[index % len(libraries)],
                name,
                version=what.version,
                modules=dict(self.shuffled(what.modules.items())),
                entry_points={"django_runbook": dict(self.shuffled(what.points.items()))},
            )
        project.paths = libraries
        return project


def start(
    project: Project, *words: str, python: str = sys.executable, cwd: Path | None = None, **env: str
) -> subprocess.Popen[bytes]:
    """Start a process in a project: ``explain.py`` unless other words are given."""
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(map(str, project.paths)),
        "PYTHONIOENCODING": "utf-8",
        **env,
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    return subprocess.Popen(
        [python, *(words or [str(project.root / "explain.py")])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=cwd or project.root,
    )


def finish(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for a process and return what it wrote to stdout."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    return out


def explained(project: Project, **kwargs: Any) -> list[str]:
    """Return every view of the project's plans, one after the other."""
    return finish(start(project, **kwargs)).decode().split("\0")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project, created in the order in which it is written."""
    return Site(tmp_path_factory.mktemp("first") / "project").created()


@pytest.fixture(scope="module")
def first(site: Project) -> list[str]:
    """What every other process must say, too."""
    return explained(site, PYTHONHASHSEED="0")


def test_the_project_uses_everything_that_has_an_order(first: list[str]) -> None:
    """The comparison below is worth something: the plan has steps of every kind and reason."""
    routines, everything = json.loads(first[0])["routines"], json.loads(first[2])

    steps = everything["steps"]
    assert [routine["routine"] for routine in routines] == ["deploy", "package", "zeta"]
    assert {step["origin"]["source"] for step in steps} == {
        *("settings", "blog", "shop", "news", "acme-mail", "beta-kit", "zeta-tools"),
    }
    assert len({step["origin"]["file"] for step in steps}) > 12
    assert {step["status"] for step in (*steps, *routines[0]["steps"])} == {
        *("run", "switched_off", "disabled"),
    }
    assert {"priority", "run_after", "run_before", "override"} <= {
        step["reason"]["code"] for step in steps
    }
    assert any("plan" in step for step in steps)
    assert {problem["id"][-4:] for problem in everything["problems"]} == {
        *("W001", "W002", "W003", "W007"),
    }


def test_components_that_tie_stand_in_the_order_of_their_names(first: list[str]) -> None:
    """Wildcards load sorted, so files decide between equal priorities by name, then by line."""
    document = json.loads(first[2])

    tied = [
        (step["origin"]["file"].removeprefix("config/settings/components/"), step["origin"]["line"])
        for step in document["steps"]
        if step["origin"]["kind"] == "settings"
        and step["status"] == "run"
        and step["effective_priority"] == 0
        and step["reason"]["code"] == "priority"
    ]
    assert len(tied) >= 8
    assert tied == sorted(tied)


def test_the_fingerprints_are_those_of_every_version(first: list[str]) -> None:
    """Python, Django and this package change their versions; what would run keeps its name."""
    seen = {one["routine"]: one["fingerprint"] for one in json.loads(first[0])["routines"]}
    seen["deploy --all"] = json.loads(first[2])["fingerprint"]

    assert seen == FINGERPRINTS


@pytest.mark.parametrize("seeds", [range(start, start + 5) for start in range(0, 50, 5)], ids=str)
def test_hash_seeds_do_not_show(site: Project, first: list[str], seeds: range) -> None:
    """What was written as a set has no order that could show."""
    processes = [start(site, PYTHONHASHSEED=str(seed)) for seed in seeds]

    written = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), written[0][1]
    for out, _ in written:
        assert out.decode().split("\0") == first


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_creation_does_not_show(memory: Path, first: list[str], seed: int) -> None:
    """Files and distributions made in any order make one plan: on a tmpfs, where that shows."""
    project = Site(memory / "project", Random(seed)).created()

    assert explained(project) == first


@pytest.mark.parametrize("seed", range(20, 22))
def test_the_order_of_creation_does_not_show_on_a_disk(
    tmp_path: Path, first: list[str], seed: int
) -> None:
    """The file system of the temporary directory gives the same plan as any other."""
    project = Site(tmp_path / "project", Random(seed)).created()

    assert explained(project) == first


def test_a_tmpfs_lists_by_the_order_of_creation(memory: Path) -> None:
    """The test above is worth something: there, an unsorted wildcard would show."""
    listings = set()
    for seed in range(5):
        site = Site(memory / str(seed), Random(seed))
        site.created()
        components = site.root / "config" / "settings" / "components"
        listings.add(tuple(entry.name for entry in os.scandir(components)))

    assert len(listings) > 1


@pytest.mark.parametrize("seed", range(2))
def test_distributions_in_several_directories_do_not_show(
    tmp_path: Path, first: list[str], seed: int
) -> None:
    """Distributions count by their names, wherever on the path each lies."""
    libraries = [tmp_path / name / "site-packages" for name in ("b", "a", "c")]
    project = Site(tmp_path / "project", Random(seed), libraries).created()

    assert explained(project) == first


@pytest.mark.parametrize(
    "root",
    ["p", "a rather long name/of an [odd] directory/projet né à côté"],
    ids=["short", "long"],
)
def test_the_place_of_the_project_does_not_show(
    tmp_path: Path, first: list[str], root: str
) -> None:
    """Another directory changes no line, not even the width of a column."""
    project = Site(tmp_path / root, libraries=[tmp_path / "lib"]).created()

    assert explained(project) == first


def test_a_link_to_the_project_does_not_show(
    tmp_path: Path, site: Project, first: list[str]
) -> None:
    """A release that is reached through a link, as ``current``, has the plan of its directory."""
    link = tmp_path / "current"
    link.symlink_to(site.root, target_is_directory=True)

    for words in (["manage.py"], [str(link / "manage.py")]):
        shown = finish(start(site, *words, "routine", "--explain", "--format", "json", cwd=link))
        assert shown.decode().rstrip("\n") == first[0].rstrip("\n")


@pytest.mark.parametrize("where", ["venv", "project/.venv"])
def test_the_place_of_the_virtual_environment_does_not_show(
    tmp_path: Path, first: list[str], where: str
) -> None:
    """Distributions in the ``site-packages`` of another environment, even inside the project."""
    python, library = environment(tmp_path / where)
    project = Site(tmp_path / "project", libraries=[library]).created()
    project.paths = []

    assert explained(project, python=python) == first


def environment(root: Path) -> tuple[str, Path]:
    """Make a virtual environment in which this one's packages are installed, too.

    :return: its Python and its ``site-packages``.
    """
    venv.create(root, symlinks=True)
    paths = sysconfig.get_paths(scheme="venv", vars={"base": str(root), "platbase": str(root)})
    library = Path(paths["purelib"])
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    lines = [f"import site; site.addsitedir({path!r})" for path in sorted(ours)]
    write(library / "ours.pth", "\n".join(lines) + "\n")
    return str(Path(paths["scripts"]) / "python"), library


@pytest.mark.parametrize(
    "env",
    [
        {"COLUMNS": "20", "LINES": "5"},
        {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"},
        {"TERM": "dumb", "NO_COLOR": "1"},
        {"TZ": "Asia/Tokyo", "LANGUAGE": "de", "LANG": "de_DE.UTF-8"},
        {"PYTHONOPTIMIZE": "2"},
    ],
    ids=lambda env: next(iter(env)),
)
def test_the_surroundings_of_the_process_do_not_show(
    tmp_path: Path, site: Project, first: list[str], env: dict[str, str]
) -> None:
    """Neither the terminal's environment nor the working directory changes a byte."""
    assert explained(site, cwd=tmp_path, **env) == first


@pytest.mark.parametrize("form", [["--format", "json"], []], ids=["json", "text"])
def test_the_command_line_writes_the_same_bytes(
    tmp_path: Path, site: Project, first: list[str], form: list[str]
) -> None:
    """``manage.py`` in a shell, from anywhere, writes what ``call_command`` gives."""
    manage = str(site.root / "manage.py")

    shown = finish(start(site, manage, "routine", "--explain", *form, cwd=tmp_path))

    assert shown.decode().rstrip("\n") == first[0 if form else 1].rstrip("\n")


def test_the_json_is_the_same_in_a_locale_without_utf8(site: Project, first: list[str]) -> None:
    """A deploy from a bare cron or container: the document is no matter of the locale."""
    bare = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}

    shown = finish(start(site, "manage.py", "routine", "--explain", "--format", "json", **bare))

    assert json.loads(shown) == json.loads(first[0])
    assert shown.decode().rstrip("\n") == first[0].rstrip("\n")


def documents(project: Project, seeds: int = 4) -> list[Any]:
    """Return the documents of processes with different hash seeds, errors in the plans or not."""
    words = ["manage.py", "routine", "--explain", "--format", "json"]
    processes = [start(project, *words, PYTHONHASHSEED=str(seed)) for seed in range(seeds)]
    written = [process.communicate(timeout=120) for process in processes]
    assert all(out for out, _ in written), written[0][1].decode()
    return [json.loads(out) for out, _ in written]


VALUES = (
    "partial(keep, 1)",
    "(word for word in 'ab')",
    "[lambda: 1]",
    "object()",
    "Holder()",
    "Holder().method",
    "Holder",
    "{'a': {'x', 'y', 'z'}, 'b': {Path('x'), Path('y'), Path('z')}}",
    "{frozenset({'a', 'b', 'c'}), frozenset({'d', 'e', 'f'})}",
    "{frozenset({'a', 'b', 'c'}): 1}",
)
"""Options whose plain text holds an address in memory, or the order of a set."""


def test_no_option_shows_an_address_or_the_order_of_a_set(project: Project) -> None:
    """Whatever Python value is an option, every process shows it as the same text."""
    project.command("probe", "collect", COLLECT)
    declared = "\n".join(f'command("deploy", "collect", tags={value})' for value in VALUES)
    project.settings(f"""
from functools import partial

def keep(*args):
    pass

class Holder:
    def method(self):
        pass

{declared}
""")

    shown: dict[str, set[str]] = {value: set() for value in VALUES}
    for document in documents(project):
        for value, step in zip(VALUES, document["routines"][0]["steps"], strict=True):
            shown[value].add(json.dumps(step["options"]["tags"]))

    assert {value: texts for value, texts in shown.items() if len(texts) > 1} == {}


MISTAKES = (
    'DJANGO_ROUTINES["a"] = {"commands": [{"management": {"migrate", "--plan", "shop"}}]}',
    'DJANGO_ROUTINES["b"] = {"commands": {"migrate", "collectstatic", "check"}}',
    'DJANGO_ROUTINES["c"] = {"commands": [print, lambda: 1]}',
    'DJANGO_ROUTINES["d"] = object()',
    'DJANGO_ROUTINES["e"] = {"commands": [{"management": "probe", "priority": {"a", "b", "c"}}]}',
    'command("f", "probe", switches={"a", "b", "c", 1})',
    'command("g", "probe", object())',
    'override("h", "x", run_after={"a", "b", "c", 2})',
    'DJANGO_RUNBOOK = {"PLUGINS": {"block": {"a", "b", "c", 1}, "allow": lambda: 1}}',
)
"""Settings whose error message quotes what was written."""


def test_no_problem_shows_an_address_or_the_order_of_a_set(project: Project) -> None:
    """The messages about mistakes are the same in every process."""
    project.settings("\n".join(["DJANGO_ROUTINES = {}", *MISTAKES]))

    seen = [
        {problem["message"] + problem["hint"] for problem in document["problems"]}
        for document in documents(project)
    ]

    assert len(seen[0]) >= len(MISTAKES)
    assert set.union(*seen) - set.intersection(*seen) == set()


def test_no_exception_shows_an_address(project: Project) -> None:
    """What plugins and commands raise is told in the same words by every process."""
    raises = "raise ValueError(object(), [object()])\n"
    command = "from django.core.management.base import BaseCommand\nclass Command(BaseCommand):\n"
    project.app("shop", routines=hook(raises))
    project.app("blog", routines=raises)
    project.command("probe", "broken", raises)
    project.command("probe", "unasked", f"{command}    def add_arguments(self, _): {raises}")
    project.settings('command("deploy", "broken")\ncommand("deploy", "unasked")')

    one, other = documents(project, seeds=2)

    assert one == other
    assert [problem["id"][-4:] for problem in one["problems"]] == ["E004", "E003", "E012", "E012"]
    assert "0x" not in json.dumps(one)


def test_equal_options_are_the_same_command_under_every_hash_seed(project: Project) -> None:
    """Two equal sets, filled in different orders, are iterated in orders that hang on the seed."""
    words = ["north", "east", "south", "west"]
    twice = hook(f'routines.command("deploy", "collect", tags=set({words[::-1]}))')
    project.app("blog", routines=twice)
    project.command("probe", "collect", COLLECT)
    project.settings(f'command("deploy", "collect", tags=set({words}))')

    found = [
        [problem["id"] for problem in document["problems"]]
        for document in documents(project, seeds=6)
    ]

    assert found == [["django_runbook.W003"]] * 6
