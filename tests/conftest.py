"""Fixtures that more than one test module uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from .projects import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """An empty Django project on disk."""
    return Project(tmp_path / "project")
