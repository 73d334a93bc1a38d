"""Signals around a routine's run, with the arguments that django-routines gives them."""

from __future__ import annotations

from django.dispatch import Signal

routine_started = Signal()
"""Sent before the first step: ``(sender, routine, **options)``.

``sender`` is the ``routine`` command, ``routine`` the routine's name, ``options`` what was given
on the command line.
"""

routine_failed = Signal()
"""Sent when a step has failed: ``(sender, routine, failed_command, exception, **options)``.

``failed_command`` is the failed step's index in the plan, counted from 0, ``exception`` what it
raised. The routine goes on if a receiver returns something true, and ends without a failure if a
receiver raises :exc:`~django_runbook.exceptions.ExitEarly`.
"""

routine_finished = Signal()
"""Sent when a routine has ended well: ``(sender, routine, early_exit, last_command, **options)``.

``last_command`` is the index of the last step that was run, or ``None``.
"""
