"""Projects on disk for the contenders: what ``startproject`` makes, with settings for each."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent

NOOP = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            pass
"""

NUMBERED = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("number")

        def handle(self, *args, **options):
            pass
"""

TYPER = """
    from django_typer.management import TyperCommand

    class Command(TyperCommand):
        def handle(self):
            pass
"""


def write(path: Path, text: str) -> Path:
    """Write a dedented file, with the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
    return path


def start(folder: Path) -> Path:
    """Make a project, with an app ``office`` whose commands do nothing.

    ``noop`` takes no argument, ``numbered`` one, and ``typed`` is a command of django-typer.

    :param folder: the project's directory, which must not be there yet.
    """
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "django", "startproject", "config", str(folder)]
    subprocess.run(argv, check=True)
    commands = folder / "office" / "management" / "commands"
    for package in (folder / "office", commands.parent, commands):
        write(package / "__init__.py", "")
    write(commands / "noop.py", NOOP)
    write(commands / "numbered.py", NUMBERED)
    write(commands / "typed.py", TYPER)
    return folder


def settings(folder: Path, name: str, apps: list[str], text: str = "") -> str:
    """Write a settings module: those of ``startproject``, more apps, and what is given.

    :param name: the module's name in the package ``config``.
    :return: the module's dotted path.
    """
    more = f"from .settings import *\n\nINSTALLED_APPS = [*INSTALLED_APPS, *{apps!r}]\n"
    write(folder / "config" / f"{name}.py", more + dedent(text))
    return f"config.{name}"


def dictionary(count: int) -> str:
    """Return settings text: ``deploy`` with this many commands, and ``warm`` with ten."""
    return f"""
DJANGO_ROUTINES = {{
    name: {{
        "help_text": "Deploy.",
        "commands": [{{"management": "noop"}} for _ in range(count)],
    }}
    for name, count in {{"deploy": {count}, "warm": 10}}.items()
}}
"""


def functions(package: str, count: int) -> str:
    """Return settings text: ``deploy`` with this many commands, by a package's functions."""
    return f"""
from {package} import command, routine

routine("deploy", "Deploy.")
for _ in range({count}):
    command("deploy", "noop")
"""


HOOK = """
from django_runbook import hookimpl


@hookimpl
def contribute_routines(routines):
"""

READY = """
    def ready(self):
        from django_runbook import contribute

        routines = contribute(self)
"""


def app(folder: Path, name: str, *, hook: str = "", ready: str = "") -> str:
    """Write an app with an ``apps.py``, as ``startapp`` does.

    :param hook: the body of its hook in ``routines.py``, if it is to have one.
    :param ready: the same for its ``ready()``.
    :return: what to write into ``INSTALLED_APPS``.
    """
    config = (
        f"from django.apps import AppConfig\n\n\nclass Config(AppConfig):\n    name = {name!r}\n"
    )
    if ready:
        config += READY + indent(dedent(ready).strip("\n"), " " * 8) + "\n"
    write(folder / name / "__init__.py", "")
    write(folder / name / "apps.py", config)
    if hook:
        write(folder / name / "routines.py", hook_module(hook))
    return name


def hook_module(body: str) -> str:
    """Return a module that contributes; ``routines`` is what its body declares with."""
    return HOOK + indent(dedent(body).strip("\n"), " " * 4) + "\n"


def distribution(folder: Path, name: str, *, hook: str = "") -> None:
    """Install a distribution as pip would leave it: a module and a ``.dist-info`` directory.

    :param folder: a directory on ``PYTHONPATH``.
    :param hook: the body of its hook, if it is to have one; an entry point names it then.
    """
    module = name.replace("-", "_")
    points = f"[console_scripts]\n{name} = {module}:main\n"
    if hook:
        points += f"[django_runbook]\nhooks = {module}\n"
    info = folder / f"{module}-1.0.dist-info"
    write(folder / f"{module}.py", hook_module(hook) if hook else "")
    write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    write(info / "entry_points.txt", points)
