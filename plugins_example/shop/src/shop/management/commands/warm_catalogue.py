"""`manage.py warm_catalogue`: the step that this app adds to the deploy."""

from typing import Any

from django.core.management.base import BaseCommand

from shop import catalogue
from shop.models import CatalogueEntry


class Command(BaseCommand):
    """Rebuild the catalogue from the products in stock."""

    help = "Rebuild the catalogue table from the products in stock."

    def handle(self, *args: Any, verbosity: int, **options: Any) -> None:
        """Rebuild; say the totals, or every title with ``--verbosity 2``, or nothing with 0."""
        rebuilt = catalogue.rebuild()
        if verbosity >= 2:
            for verb in ("added", "changed", "removed"):
                for title in getattr(rebuilt, verb):
                    self.stdout.write(f"  {verb} {title}")
        if verbosity >= 1:
            self.stdout.write(
                f"Catalogue: {len(rebuilt.added)} added, {len(rebuilt.changed)} changed, "
                f"{len(rebuilt.removed)} removed, {CatalogueEntry.objects.count()} in all."
            )
