"""Fixtures that more than one test module uses."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from .projects import Project

if "CI" not in os.environ:  # there Hypothesis has a profile of its own, without deadlines
    # How long an example takes says how busy the machine is.
    settings.register_profile("at home", deadline=None)
    settings.load_profile("at home")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty Django project on disk."""
    return Project(tmp_path / "project")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A new directory on a tmpfs, which lists files in another order than a disk."""
    mounts = Path("/proc/mounts")
    lines = mounts.read_text().splitlines() if mounts.exists() else []
    tmpfs = any(line.split()[1:3] == ["/dev/shm", "tmpfs"] for line in lines)
    if not tmpfs or not os.access("/dev/shm", os.W_OK):
        pytest.skip("/dev/shm is no tmpfs that can be written to")
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="runbook-") as name:
        yield Path(name)


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that the distributions of ``plugins_example`` are installed in.

    They lie apart from the environment, where every other test's project would find them. tox
    installs them once and names the directory; anyone else waits for pip.
    """
    if "EXAMPLES" in os.environ:
        return Path(os.environ["EXAMPLES"])
    target = tmp_path_factory.mktemp("examples")
    folder = Path(__file__).parents[1] / "plugins_example"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    subprocess.run(
        [*pip, str(folder / "shop"), str(folder / "acme-cdn")], check=True, env=environment
    )
    return target
