"""What must agree in the repository: documents with the code, one file with another."""

from __future__ import annotations

import re
import subprocess
import tomllib
from configparser import ConfigParser
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import django_runbook
from django_runbook.model import Code

ROOT = Path(__file__).parents[1]
EXIT_STATUSES = ("0", "1", "2", "3", "75", "128+N")


def text(name: str) -> str:
    """Return a file of the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def pyproject() -> dict[str, Any]:
    """Return ``pyproject.toml``, read."""
    return tomllib.loads(text("pyproject.toml"))


@cache
def files() -> tuple[str, ...]:
    """Return the files of the repository, those not yet added to it too, but no ignored ones."""
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"]
    done = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no checkout: git knows nothing of it")
    return tuple(name for name in sorted(set(done.stdout.split("\0"))) if (ROOT / name).is_file())


def documents() -> dict[str, str]:
    """Return what users read, by file."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def code_in(markdown: str) -> str:
    """Return what stands in a document's code blocks and code spans."""
    blocks = re.findall(r"^```.*?^```", markdown, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`([^`]+)`", prose)])


def commands_of_readme() -> dict[str, str]:
    """Return README's commands by the names in their markers."""
    form = r"^<!-- command: (\w+) -->\n```sh\n(.*?)\n```$"
    return dict(re.findall(form, text("README.md"), re.DOTALL | re.MULTILINE))


def test_readme_has_its_two_commands() -> None:
    """One line each, which ends in the tox environment that does it."""
    commands = commands_of_readme()
    tox = ConfigParser(interpolation=None)
    tox.read_string(text("tox.ini"))

    assert commands.keys() == {"demo", "tests"}
    assert all("\n" not in command for command in commands.values())
    assert commands["demo"].endswith("tox run -e demo")
    assert tox.has_section("testenv:demo")
    assert "plugins_example/demo.py" in tox["testenv:demo"]["commands"]
    assert commands["tests"].endswith("tox run")
    assert {"lint", "types", "imports"} < {
        name.strip() for name in tox["tox"]["env_list"].split(",")
    }


def test_ci_runs_the_command_of_readme() -> None:
    """``.ci/run`` reads the line from README; the workflow calls ``.ci/run`` and says no other."""
    script = text(".ci/run")
    awk = re.search(r"awk '(.+?)' README\.md", script, re.DOTALL)
    assert awk is not None

    done = subprocess.run(
        ["awk", awk[1], "README.md"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == commands_of_readme()["tests"]
    assert "- run: .ci/run\n" in text(".github/workflows/ci.yml")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_problem_is_documented() -> None:
    """``docs/checks.md`` explains each id that users see, and no id that there is not."""
    known = {code.value for code in Code}

    mentioned = {name: set(ids_in(markdown)) for name, markdown in documents().items()}

    assert mentioned["docs/checks.md"] == known
    assert {name: found - known for name, found in mentioned.items() if found - known} == {}


def ids_in(markdown: str) -> list[str]:
    """Return the ids of our problems; those of other packages have another name before the dot."""
    return re.findall(r"(?:(?<![\w.])|(?<=django_runbook\.))([EW]\d{3})\b", markdown)


@pytest.mark.parametrize("status", EXIT_STATUSES)
def test_every_exit_status_is_documented(status: str) -> None:
    """A row of a table in ``docs/`` begins with it."""
    row = re.compile(rf"^\|\s*`?{re.escape(status)}`?\s*\|", re.MULTILINE)

    assert [name for name, markdown in documents().items() if row.search(markdown)]


def test_every_public_name_is_documented() -> None:
    """What can be imported from the package stands in README or ``docs/``, as code."""
    code = "\n".join(map(code_in, documents().values()))

    missing = [name for name in django_runbook.__all__ if not re.search(rf"\b{name}\b", code)]

    assert missing == []


def test_every_public_name_is_there() -> None:
    """``__all__`` is sorted as ruff sorts it, holds nothing twice, and can all be imported."""
    names = django_runbook.__all__

    assert len(names) == len(set(names))
    assert all(getattr(django_runbook, name) is not None for name in names)
    assert set(names) <= set(dir(django_runbook))


def test_the_versions_agree() -> None:
    """``pyproject.toml``, the installed package and the changelog speak of one version."""
    stated = pyproject()["project"]["version"]
    changelog = text("CHANGELOG.md")
    headings = re.findall(r"^## \[(.+?)\]", changelog, re.MULTILINE)

    assert version("django-runbook") == stated
    assert django_runbook.__version__ == stated
    assert headings[0] in ("Unreleased", stated)
    assert [one for one in headings if one != "Unreleased"][:1] in ([], [stated])
    for heading in headings:
        assert re.search(rf"^\[{re.escape(heading)}\]: http", changelog, re.MULTILINE)


def test_the_lowest_versions_agree() -> None:
    """What ``tox run -e py-lowest`` installs is what ``pyproject.toml`` lets users install."""
    pinned = dict(re.findall(r"^\s*lowest: ([\w-]+)==([\d.]+)$", text("tox.ini"), re.MULTILINE))

    for requirement in pyproject()["project"]["dependencies"]:
        found = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<[\d.]+)?", requirement)
        assert found is not None, requirement
        lowest = pinned[found[1]]
        assert lowest == found[2] or lowest.removesuffix(".0") == found[2]


def test_the_supported_versions_agree() -> None:
    """Classifiers, the matrix of tox and the workflow name the same Pythons and Djangos."""
    classifiers = pyproject()["project"]["classifiers"]
    pythons = set(re.findall(r"Python :: (3\.\d+)$", "\n".join(classifiers), re.MULTILINE))
    djangos = set(re.findall(r"Django :: (\d\.\d)$", "\n".join(classifiers), re.MULTILINE))
    matrix = re.search(r"^\s*matrix = (.+)$", text("tox.ini"), re.MULTILINE)
    assert matrix is not None
    workflow = re.search(r"python: \[(.+)\]", text(".github/workflows/ci.yml"))
    assert workflow is not None

    assert {f"3.{minor}" for minor in re.findall(r"3(1\d)", matrix[1])} == pythons
    assert {f"{one[0]}.{one[1]}" for one in re.findall(r"\b(5\d|6\d)\b", matrix[1])} | {
        f"{one[0]}.{one[1]}" for one in re.findall(r"django(\d\d)", matrix[1])
    } == djangos
    assert set(re.findall(r"3\.\d+", workflow[1])) == pythons


def test_every_module_has_its_place_in_the_import_table() -> None:
    """The layers in ``pyproject.toml`` name each module of the package, and no other."""
    package = ROOT / "src" / "django_runbook"
    modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
    modules |= {path.parent.name for path in package.glob("*/__init__.py")}
    [layers] = [
        contract["layers"]
        for contract in pyproject()["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    ]
    placed = [name.strip() for layer in layers for name in layer.split("|")]

    assert sorted(placed) == sorted(modules)


def test_contributing_names_every_folder_and_module() -> None:
    """Whoever looks for the place of a change finds every folder, and every module, there."""
    contributing = text("CONTRIBUTING.md")
    folders = {name.partition("/")[0] for name in files() if "/" in name}
    modules = {path.name for path in (ROOT / "src" / "django_runbook").glob("*.py")}

    assert {name for name in folders if f"`{name}/" not in contributing} == set()
    assert {name for name in modules if f"`{name}`" not in contributing} <= {
        *("__init__.py", "apps.py"),
    }


def test_no_file_names_a_place_on_somebodys_machine() -> None:
    """Neither the code nor the documents know where they were written."""
    places = re.compile(r"(?<![\w.~*}\])>-])/(?:work|root)/|/tmp/" + "dev")

    named = {
        f"{name}: {found[0]}"
        for name in files()
        for found in places.finditer((ROOT / name).read_bytes().decode(errors="replace"))
    }

    assert named == set()
