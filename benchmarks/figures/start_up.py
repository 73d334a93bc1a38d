"""Start-up: what a web worker pays for routines that it will never run."""

from __future__ import annotations

from pathlib import Path

from benchmarks import sites
from benchmarks.contest import Contender, Contest, Figure, Row, Target, milliseconds_more

WORKER = str(Path(__file__).parents[1] / "workers" / "start_up.py")
STEP = 'routines.command("deploy", "noop")'

WITHOUT = "without the package"
AGAIN = "without the package, once more"
HOOKS = "hook modules, and a dictionary in the settings"
FUNCTIONS = "hook modules, and functions in the settings"
READY = "contributions in ready()"
TYPER = "without the package, with django_typer"


def site(folder: Path, count: int, *, hook: str = "", ready: str = "") -> list[str]:
    """Make a project with this many apps and distributions, and return its apps."""
    sites.start(folder)
    for number in range(count):
        sites.distribution(folder / "site-packages", f"plugin-{number}", hook=hook or ready)
    names = [f"app_{number}" for number in range(count)]
    return [sites.app(folder, name, hook=hook, ready=ready) for name in names]


def figure(folder: Path, *, quick: bool) -> Figure:
    """Return the figure."""
    count = 5 if quick else 100
    plain, hooks, ready = (folder / name for name in ("plain", "hooks", "ready"))
    apps = site(plain, count)
    ours = ["django_runbook", *apps]
    site(hooks, count, hook=STEP)
    site(ready, count, ready=STEP)
    dictionary, functions = sites.dictionary(10), sites.functions("django_runbook", 10)
    made = (
        (WITHOUT, plain, sites.settings(plain, "plain", apps)),
        (HOOKS, hooks, sites.settings(hooks, "dictionary", ours, dictionary)),
        (FUNCTIONS, hooks, sites.settings(hooks, "functions", ours, functions)),
        (READY, ready, sites.settings(ready, "ready", ours, dictionary)),
        (AGAIN, plain, "config.plain"),
        (TYPER, plain, sites.settings(plain, "typer", ["django_typer", *apps])),
    )
    contenders = tuple(
        Contender(
            name,
            ("-P", WORKER),
            root,
            settings,
            (root, root / "site-packages"),
            speaks=True,
        )
        for name, root, settings in made
    )
    rows = tuple(
        Row(
            name[:1].upper() + name[1:],
            milliseconds_more(name, WITHOUT),
            unit="ms",
            target=Target(1.0) if root != plain else None,
        )
        for name, root, _ in made[1:]
    )
    about = f"""
`import django; django.setup()` in a fresh process, as every web worker begins. The site has
{count} apps and {count} distributions that contribute to a routine; it is compared with the same
apps and distributions without their contributions, and without the package. What is shown is how
many milliseconds it takes longer. The row that compares the same with itself tells how exact that
is. `django_typer` is in `INSTALLED_APPS` in the last row only: django-runbook needs it there for
completion in the shell, and for nothing else.
"""
    rounds, tries = (2, 1) if quick else (16, 5)
    contest = Contest(contenders, rows, rounds, tries)
    return Figure("Start-up of a web worker", about, (contest,))
