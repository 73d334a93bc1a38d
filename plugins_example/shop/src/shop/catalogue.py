"""Rebuilding the catalogue: what the command `warm_catalogue` does, for code that has no shell."""

from dataclasses import dataclass

from django.db import transaction

from shop.models import CatalogueEntry, Product

COPIED_FIELDS = ("position", "title", "path", "price_label")


@dataclass(frozen=True)
class Rebuilt:
    """The titles that a rebuild touched, so that a command can say what it did."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def rebuild() -> Rebuilt:
    """Make the catalogue agree with the products in stock.

    In one transaction, so that no visitor sees half a catalogue. Rows that are right already are
    left alone, so that a second rebuild writes nothing.
    """
    with transaction.atomic():
        present = {entry.pk: entry for entry in CatalogueEntry.objects.select_for_update()}
        wanted = {entry.pk: entry for entry in _entries()}
        added = [entry for pk, entry in wanted.items() if pk not in present]
        changed = [
            entry
            for pk, entry in wanted.items()
            if pk in present and _copied(entry) != _copied(present[pk])
        ]
        removed = [entry for pk, entry in present.items() if pk not in wanted]
        CatalogueEntry.objects.filter(pk__in=[entry.pk for entry in removed]).delete()
        CatalogueEntry.objects.bulk_update(changed, COPIED_FIELDS)
        CatalogueEntry.objects.bulk_create(added)
    return Rebuilt(_titles(added), _titles(changed), _titles(removed))


def _entries() -> list[CatalogueEntry]:
    """Return the entries that the products in stock ask for, in the order of the catalogue."""
    products = Product.objects.filter(stock__gt=0).order_by("name", "pk")
    return [
        CatalogueEntry(
            product=product,
            position=position,
            title=product.name,
            path=f"/{product.slug}/",
            price_label=f"{product.price} EUR",
        )
        for position, product in enumerate(products, start=1)
    ]


def _copied(entry: CatalogueEntry) -> tuple[object, ...]:
    return tuple(getattr(entry, field) for field in COPIED_FIELDS)


def _titles(entries: list[CatalogueEntry]) -> tuple[str, ...]:
    return tuple(entry.title for entry in entries)
