"""Declaring and planning: how the time grows with the commands, wherever they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Literal

from benchmarks import sites
from benchmarks.contest import Contender, Contest, Figure, Row, Target, growth, ratio

WORKER = str(Path(__file__).parents[1] / "workers" / "planning.py")

STOPWATCH = '''
    """Adds up the seconds that declaring takes, wherever it is done before a plan is made."""

    from contextlib import contextmanager
    from time import perf_counter

    spent = 0.0


    @contextmanager
    def running():
        global spent
        started = perf_counter()
        yield
        spent += perf_counter() - started
'''

BINDING = '''
    """What a command states besides its priority: nothing, or each tenth one a constraint."""


    def free(source, number):
        return {}


    def bound(source, number):
        match number % 10:
            case 5:
                return {"step_id": f"mark-{number}"}
            case 7:  # its priority would let it run before that one
                return {"run_after": [f"{source}:mark-{number - 2}"]}
        return {}
'''

LOOP = """
for number in range({count}):
    {verb}(
        "deploy",
        "numbered",
        f"{source}-{{number}}",
        priority=9 - number % 10,
        **{bind}("{source}", number),
    )
"""

DICTIONARY = """
DJANGO_ROUTINES = {{
    "deploy": {{
        "help_text": "Deploy.",
        "commands": [
            {{
                "management": ("numbered", f"settings-{{number}}"),
                "priority": 9 - number % 10,
                **BIND("settings", number),
            }}
            for number in range({count})
        ],
    }}
}}
"""

Way = Literal["functions", "dictionaries", "hooks", "ready", "distributions"]


@dataclass(frozen=True)
class Shape:
    """Where the commands come from."""

    name: str
    way: Way
    sources: int = 1
    bind: Literal["free", "bound"] = "free"
    package: Literal["django_runbook", "django_routines"] = "django_runbook"


FUNCTIONS = Shape("functions in the settings", "functions")
DICTIONARIES = Shape("a dictionary in the settings", "dictionaries")
PEER_FUNCTIONS = Shape("functions, django-routines", "functions", package="django_routines")
PEER_DICTIONARIES = Shape(
    "a dictionary, django-routines", "dictionaries", package="django_routines"
)
CHIEF = (
    FUNCTIONS,
    DICTIONARIES,
    Shape("functions, constrained", "functions", bind="bound"),
    Shape("100 apps", "hooks", 100),
    Shape("100 distributions", "distributions", 100),
)
"""These go up to the largest size, which takes long."""

OTHERS = (
    Shape("1 app", "hooks", 1),
    Shape("10 apps", "hooks", 10),
    Shape("1,000 apps", "hooks", 1000),
    Shape("100 apps, in ready()", "ready", 100),
    Shape("100 apps, constrained", "hooks", 100, bind="bound"),
    Shape("1 distribution", "distributions", 1),
    Shape("10 distributions", "distributions", 10),
    Shape("1,000 distributions", "distributions", 1000),
    Shape("100 distributions, constrained", "distributions", 100, bind="bound"),
    Shape("a dictionary, constrained", "dictionaries", bind="bound"),
)


class PlanningSite:
    """The site of all contenders; makes settings for each, and the sources that they name."""

    def __init__(self, root: Path) -> None:
        self.root = sites.start(root)
        sites.write(root / "config" / "stopwatch.py", STOPWATCH)
        sites.write(root / "config" / "binding.py", BINDING)

    def contender(self, shape: Shape, size: int) -> Contender:
        """Return the contender that has this many commands of a shape."""
        apps = [shape.package, "office"]
        path = [self.root]
        if shape.way in {"hooks", "ready"}:
            apps += [self._app(shape.way, number) for number in range(shape.sources)]
        elif shape.way == "distributions":
            path.append(self._distributions(shape.sources))
        name = f"{shape.package}_{shape.way}_{shape.sources}_{shape.bind}_{size}"
        settings = sites.settings(self.root, name, apps, _settings(shape, size))
        who = "ours" if shape.package == "django_runbook" else "peer"
        argv = ("-P", WORKER, who, str(size))
        return Contender(shape.name, argv, self.root, settings, tuple(path), speaks=True, size=size)

    def _app(self, way: str, number: int) -> str:
        name = f"{way}_{number}"
        if not (self.root / name).exists():
            text = _declaring(name)
            if way == "hooks":
                sites.app(self.root, name, hook=text)
            else:
                sites.app(self.root, name, ready=_timed(text))
        return name

    def _distributions(self, count: int) -> Path:
        folder = self.root / f"site-packages-{count}"
        if not folder.exists():
            for number in range(count):
                sites.distribution(folder, f"plugin-{number}", hook=_declaring(f"plugin-{number}"))
        return folder


def _declaring(source: str) -> str:
    """Return the body of a hook, which declares as many commands as the settings say."""
    loop = LOOP.format(
        count="settings.SHARE", verb="routines.command", bind="settings.BIND", source=source
    )
    return f"from django.conf import settings\n{loop}"


def _timed(text: str) -> str:
    """Return statements under the stopwatch."""
    return f"from config import stopwatch\n\nwith stopwatch.running():\n{indent(text, ' ' * 4)}"


def _settings(shape: Shape, size: int) -> str:
    """Return what the settings of a contender say."""
    text = f"""
from config import binding

BIND = binding.{shape.bind}
SHARE = {size // shape.sources}
"""
    if shape.way == "functions":
        loop = LOOP.format(count=size, verb="command", bind="BIND", source="settings")
        text += f"from {shape.package} import command, routine\n"
        text += _timed(f'routine("deploy", "Deploy.")\n{loop}')
    elif shape.way == "dictionaries":
        text += _timed(DICTIONARY.format(count=size))
    return text


def against_the_peer(site: PlanningSite, *, quick: bool) -> Contest:
    """Return the contest with the peer, at sizes that it can plan in seconds."""
    sizes = (10, 20, 50) if quick else (10, 100, 1000)
    shapes = (FUNCTIONS, PEER_FUNCTIONS, DICTIONARIES, PEER_DICTIONARIES)
    made = {(shape, size): site.contender(shape, size) for shape in shapes for size in sizes}
    largest = sizes[-1]

    def label(shape: Shape) -> str:
        return made[shape, largest].label

    def labels(shape: Shape) -> dict[int, str]:
        return {size: made[shape, size].label for size in sizes}

    rows = (
        Row(
            f"{largest:,} by functions: django-routines to django-runbook",
            ratio(label(PEER_FUNCTIONS), label(FUNCTIONS)),
            target=Target(100, least=True),
        ),
        Row(
            f"{largest:,} by a dictionary: django-routines to django-runbook",
            ratio(label(PEER_DICTIONARIES), label(DICTIONARIES)),
        ),
        Row(
            f"Growth up to {largest:,}: {PEER_FUNCTIONS.name}",
            growth(labels(PEER_FUNCTIONS)),
            "exponent",
        ),
        Row(
            f"Growth up to {largest:,}: {PEER_DICTIONARIES.name}",
            growth(labels(PEER_DICTIONARIES)),
            "exponent",
        ),
    )
    return Contest(tuple(made.values()), rows, rounds=1 if quick else 3)


def growing(
    site: PlanningSite, shapes: tuple[Shape, ...], sizes: tuple[int, ...], *, quick: bool
) -> Contest:
    """Return a contest of our own sizes: how the time grows with the commands."""
    made = {shape: {size: site.contender(shape, size) for size in sizes} for shape in shapes}
    rows = tuple(
        Row(
            f"Growth up to {sizes[-1]:,}: {shape.name}",
            growth({size: one.label for size, one in contenders.items()}),
            "exponent",
            None if shape.sources > 100 else Target(1.1),
        )
        for shape, contenders in made.items()
    )
    contenders = tuple(one for each in made.values() for one in each.values())
    return Contest(contenders, rows, rounds=1 if quick else 3)


def figure(folder: Path, *, quick: bool) -> Figure:
    """Return the figure."""
    site = PlanningSite(folder / "site")
    about = """
From the first declaration to the finished plan, in a process in which Django is set up. What is
declared in the settings and in `ready()` is timed where it is declared. Hook modules, and what a
first plan needs of the package and of `importlib.metadata`, are loaded while the plan is made: some
10 ms, and a millisecond for each app or distribution. So with many of these the exponent says
little, and has no target. The peer's plan is what its `list` shows. *Constrained* means that each
tenth command waits for another one, and has to move for it. The exponent says how the time grows
with the number of commands: 1 is in proportion, 2 quadratic.
"""
    large, small = ((100, 1000),) * 2 if quick else ((1000, 10_000, 100_000), (1000, 10_000))
    others = tuple(shape for shape in OTHERS if shape.sources <= small[0])
    contests = (
        against_the_peer(site, quick=quick),
        growing(site, CHIEF, large, quick=quick),
        growing(site, others, small, quick=quick),
    )
    return Figure("Declaring and planning", about, contests)
