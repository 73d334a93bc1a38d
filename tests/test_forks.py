"""A command that forks: its child must not go on with the routine."""

from __future__ import annotations

import pytest

from .projects import Project

pytestmark = pytest.mark.ours


FORK = """
    import os

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, **options):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            else:
                {child}
"""


@pytest.mark.parametrize(
    "child",
    ["return", "raise SystemExit(0)", "raise SystemExit(3)", "raise ValueError('in the child')"],
)
def test_what_a_forked_child_does_is_its_own_business(project: Project, child: str) -> None:
    """However it ends, the steps behind run once, in the process that runs the routine."""
    project.command("probe", "forker", FORK.format(child=child))
    project.settings("""
        command("deploy", "forker")
        command("deploy", "probe", "after")
    """)

    ran = project.manage("routine", "deploy")

    assert ran.status == 0, ran.err
    assert project.ran == ["probe after"]
    assert "failed" not in ran.err
