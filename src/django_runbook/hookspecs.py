"""The hook that apps and distributions implement. Its docstring is the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .contribution import Contribution

PROJECT = "django_runbook"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def contribute_routines(routines: Contribution) -> None:
    """Declare commands and routines.

    Implement it in the module ``routines`` of an installed app, or in any module or object that a
    distribution names in the entry point group ``django_runbook``::

        from django_runbook import hookimpl

        @hookimpl
        def contribute_routines(routines):
            routines.command("deploy", "warm_catalogue", priority=50, run_after=["migrate"])

    It is called each time a plan is made and never at start-up, after all apps are ready. It must
    declare the same things each time: no clock, no chance, no database.

    The order in which implementations are called has no meaning. Steps are ordered by priority,
    then by source, then by declaration; ``tryfirst`` and ``trylast`` order calls, not steps, and
    so change nothing. Hook wrappers are refused: a wrapper would act on what others declare,
    which only the project's settings may do.

    An implementation that raises stops every routine until it is mended or blocked.

    :param routines: has the verbs ``routine``, ``command`` and ``system`` of the settings API.
        Each call records its own file and line.
    """
