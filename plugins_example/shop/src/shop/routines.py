"""The steps that every site with this app gets in its deploy.

The module is found by its name in each installed app and read when a plan is first asked for, so
it costs a running site nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_runbook import hookimpl

if TYPE_CHECKING:
    from django_runbook.contribute import Contribution


@hookimpl
def contribute_routines(routines: Contribution) -> None:
    """Load the demo products on demand, then rebuild the catalogue.

    The demo data states no priority: it cannot know the site's numbers, only that the tables must
    be there first and that the catalogue is made from it. The two constraints place it.
    """
    routines.command(
        "deploy",
        "warm_catalogue",
        priority=50,
        run_after=["migrate"],
        help_text="Rebuild the catalogue from the products in stock.",
    )
    routines.command(
        "deploy",
        "loaddata",
        "demo",
        app_label="shop",
        switches=["demo"],
        step_id="demo",
        run_after=["migrate"],
        run_before=["warm_catalogue"],
        help_text="Load the demo products.",
    )
