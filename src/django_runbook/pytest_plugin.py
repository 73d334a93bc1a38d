"""The fixtures of :mod:`django_runbook.testing`, which pytest finds by the entry point.

pytest imports this module at the start of every run in the environment, be there a Django site in
it or not. So it imports what a settings file does, and Django only in a test that asks for a
fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .testing import Recording, Runbook


@pytest.fixture
def runbook() -> Runbook:
    """The routines of the site, and what a test adds to them.

    ``runbook.plan("deploy", ["demo"])`` plans; ``runbook.settings``, ``runbook.app("shop")`` and
    ``runbook.distribution("acme-cdn", "2.0.0")`` declare for this test alone.
    """
    from .testing import Runbook

    return Runbook()


@pytest.fixture
def record_routine(runbook: Runbook) -> Callable[..., Recording]:
    """Run a routine with its steps recorded instead of run: ``record_routine("deploy").ids``.

    What the test has added to ``runbook`` is in it.
    """
    return runbook.record
