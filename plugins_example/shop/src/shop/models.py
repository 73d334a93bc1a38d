"""What is sold, and the table that the catalogue page reads."""

from django.db import models


class Product(models.Model):
    """One thing that is sold."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(unique=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return self.name


class CatalogueEntry(models.Model):
    """One line of the catalogue, ready to print.

    A copy of the product rather than a view of it: a catalogue page then costs one query and no
    formatting, and it changes only when somebody rebuilds it.
    """

    product = models.OneToOneField(Product, on_delete=models.CASCADE, primary_key=True)
    position = models.PositiveIntegerField()
    title = models.CharField(max_length=100)
    path = models.CharField(max_length=100)
    price_label = models.CharField(max_length=20)

    class Meta:
        ordering = ("position",)
        verbose_name_plural = "catalogue entries"

    def __str__(self) -> str:
        return f"{self.position}. {self.title}, {self.price_label}"
