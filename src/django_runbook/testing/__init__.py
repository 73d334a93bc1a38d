"""Helpers for the tests of sites and plugins: plan a routine, add to its sources, record its run.

They need Django to be set up, and nothing else: they work under pytest, unittest and Django's own
runner. Under pytest there are the fixtures ``runbook`` and ``record_routine`` besides.
"""

from __future__ import annotations

from .assertions import assert_not_run, assert_order, assert_pinned, assert_steps, step_ids
from .recording import Recorded, Recording
from .runbook import Runbook, plan_routine, record_routine

__all__ = [
    "Recorded",
    "Recording",
    "Runbook",
    "assert_not_run",
    "assert_order",
    "assert_pinned",
    "assert_steps",
    "plan_routine",
    "record_routine",
    "step_ids",
]
