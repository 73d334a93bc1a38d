"""Real projects and real distributions, written to disk, and real processes that use them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MANAGE = """
    import os
    import sys

    from django.core.management import execute_from_command_line

    if __name__ == "__main__":
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
        execute_from_command_line(sys.argv)
"""

SETTINGS = """
    from pathlib import Path

    from django_runbook import *

    SECRET_KEY = "test"
    USE_TZ = True
    BASE = Path(__file__).parents[{depth}]
    DATABASE = BASE / "db.sqlite3"
    DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": DATABASE}}}}
    INSTALLED_APPS = ["django_typer", "django_runbook", "probe", *{apps!r}]
"""

# A command that writes a line to a file for each time it runs, so that a test can tell what ran.
PROBE = """
    import os
    from pathlib import Path

    from django.core.management.base import BaseCommand, CommandError

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("words", nargs="*")
            parser.add_argument("--fail", action="store_true")
            parser.add_argument("--exit", type=int)
            parser.add_argument("--tag", default="")

        def handle(self, *args, **options):
            words = [*options["words"], *([options["tag"]] if options["tag"] else [])]
            with Path("ran.txt").open("a") as file:
                file.write(" ".join(["probe", *words]) + "\\n")
            if options["fail"]:
                raise CommandError("the probe was told to fail")
            if options["exit"] is not None:
                raise SystemExit(options["exit"])
            self.stdout.write(f"probed {' '.join(words)} v{options['verbosity']}")
"""


# An app whose receiver answers a failure as the setting says.
LISTENER = """
    from django.apps import AppConfig
    from django.conf import settings

    class ListenConfig(AppConfig):
        name = "listen"

        def ready(self):
            from django_runbook.signals import routine_failed

            routine_failed.connect(self.answer, weak=False)

        def answer(self, **kwargs):
            from django_runbook.exceptions import ExitEarly

            if settings.ANSWER == "exit":
                raise ExitEarly
            return settings.ANSWER
"""


ENVIRONMENT = {
    # A warning of any code is an error, but for one that django-typer causes at each start.
    "PYTHONDEVMODE": "1",
    # But for its allocator, which looks for mistakes of C code and costs a fifth of the time.
    "PYTHONMALLOC": "pymalloc",
    "PYTHONWARNINGS": "error,ignore:In Typer:DeprecationWarning",
    # A file that is written twice in one second, at the same size, would be read from its cache.
    "PYTHONDONTWRITEBYTECODE": "1",
}


PROGRESS = re.compile(
    r"(\[[\d.]+/\d+\] \S+: (done in|failed after|stopped after|skipped by)"
    r"|Routine '\w+' (done in|failed after|stopped after) [^:]+:) .*\n"
)
"""A line that says what became of a step, or of the routine: it has a duration in it."""


@dataclass
class Ran:
    """What a process left behind."""

    status: int
    out: str
    err: str
    """What it wrote to stderr, without the lines in :attr:`progress`."""

    progress: list[str] = field(default_factory=list)
    """What it said of its steps and, last, of the routine."""

    def __post_init__(self) -> None:
        lines = self.err.splitlines(keepends=True)
        self.progress += [line.rstrip("\n") for line in lines if PROGRESS.fullmatch(line)]
        self.err = "".join(line for line in lines if not PROGRESS.fullmatch(line))

    @property
    def document(self) -> Any:
        """The JSON document on stdout, which must hold nothing else."""
        return json.loads(self.out)


def write(path: Path, text: str) -> Path:
    """Write a dedented file, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
    return path


@dataclass
class Project:
    """A Django project on disk, with an app ``probe`` whose command leaves a trace."""

    root: Path
    apps: tuple[str, ...] = ()
    paths: list[Path] = field(default_factory=list)

    def __post_init__(self) -> None:
        write(self.root / "manage.py", MANAGE)
        write(self.root / "config" / "__init__.py", "")
        self.app("probe", installed=False)
        self.command("probe", "probe", PROBE)

    def settings(self, text: str, *, package: bool = False) -> Path:
        """Write the settings module: a preamble, ``from django_runbook import *``, then the text.

        With ``package`` it is ``config/settings/__init__.py``, beside which components may lie.
        """
        name = "config/settings/__init__.py" if package else "config/settings.py"
        preamble = textwrap.dedent(SETTINGS).format(depth=2 if package else 1, apps=self.apps)
        return write(self.root / name, preamble + textwrap.dedent(text))

    def file(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        return write(self.root / name, text)

    def app(self, name: str, *, installed: bool = True, **modules: str) -> None:
        """Write an app with these modules (``routines="..."``, ``apps="..."``)."""
        write(self.root / name / "__init__.py", "")
        for module, text in modules.items():
            write(self.root / name / f"{module}.py", text)
        if installed:
            self.apps = (*self.apps, name)

    def command(self, app: str, name: str, text: str) -> None:
        """Write a management command of an app."""
        write(self.root / app / "management" / "__init__.py", "")
        write(self.root / app / "management" / "commands" / "__init__.py", "")
        write(self.root / app / "management" / "commands" / f"{name}.py", text)

    def distribution(self, name: str, **kwargs: Any) -> Path:
        """Install a distribution where the project's processes find it: see :func:`install`."""
        site = self.root.parent / f"site-{len(self.paths)}" / "site-packages"
        self.paths.append(site)
        return install(site, name, **kwargs)

    def manage(
        self, *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ran:
        """Run ``manage.py`` in a process of its own."""
        environment = {
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(map(str, self.paths)),
            "COLUMNS": "80",
            **(env or {}),
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        done = subprocess.run(
            [sys.executable, str(self.root / "manage.py"), *args],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=cwd or self.root,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def python(self, code: str) -> Ran:
        """Run Python in the project, with Django set up by the code if it wants that."""
        environment = {
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(map(str, [self.root, *self.paths])),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env=environment,
            cwd=self.root,
            check=False,
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def explain(self, routine: str = "deploy", *args: str) -> Any:
        """Return the JSON document of a routine's plan."""
        ran = self.manage("routine", routine, *args, "--explain", "--format", "json")
        assert ran.out, ran.err
        return ran.document

    @property
    def ran(self) -> list[str]:
        """What the probe command has written, a line for each time it ran."""
        trace = self.root / "ran.txt"
        return trace.read_text().splitlines() if trace.exists() else []


def install(
    site: Path,
    name: str,
    *,
    version: str = "1.0",
    modules: Mapping[str, str] | None = None,
    entry_points: Mapping[str, Mapping[str, str]] | None = None,
) -> Path:
    """Install a distribution as pip would leave it: modules and a ``.dist-info`` directory.

    :param site: the ``site-packages`` directory.
    :param modules: files by their paths, ``{"acme_cdn/hooks.py": "..."}``.
    :param entry_points: ``{"django_runbook": {"cdn": "acme_cdn.hooks"}}``.
    """
    for file, text in (modules or {}).items():
        write(site / file, text)
        package = Path(file).parent
        if package.name and not (site / package / "__init__.py").exists():
            write(site / package / "__init__.py", "")
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in (entry_points or {}).items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
    write(info / "entry_points.txt", "\n".join(lines) + "\n")
    return site


HOOK = """
    from django_runbook import hookimpl

    @hookimpl
    def contribute_routines(routines):
"""


def hook(body: str) -> str:
    """Return a hook module with this body: ``hook('routines.command("deploy", "probe")')``."""
    return textwrap.dedent(HOOK) + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ") + "\n"


def ids(document: Any, status: str = "run") -> list[str]:
    """Return the ids of a JSON document's steps of one status, in order."""
    return [step["id"] for step in document["steps"] if step["status"] == status]


def problem_ids(document: Any) -> list[str]:
    """Return the ids of a JSON document's problems, without the common prefix."""
    return [problem["id"].removeprefix("django_runbook.") for problem in document["problems"]]


def departures(value: Any, form: Any, path: str = "$") -> list[str]:
    """Return where a document departs from a form.

    :param form: every key, in order, and the type of its value; a list has one form inside.
    """
    if isinstance(form, dict):
        if not isinstance(value, dict) or list(value) != list(form):
            return [f"{path}: {value!r}"]
        return [one for key in form for one in departures(value[key], form[key], f"{path}.{key}")]
    if isinstance(form, list):
        if not isinstance(value, list):
            return [f"{path}: {value!r}"]
        return [
            one
            for index, item in enumerate(value)
            for one in departures(item, form[0], f"{path}[{index}]")
        ]
    wrong_flag = isinstance(value, bool) and form not in (bool, object)
    return [] if isinstance(value, form) and not wrong_flag else [f"{path}: {value!r}"]


def line_of(file: Path, text: str) -> int:
    """Return the number of the one line of a file that holds a text."""
    lines = file.read_text(encoding="utf-8").splitlines()
    (found,) = (number for number, line in enumerate(lines, 1) if text in line)
    return found
