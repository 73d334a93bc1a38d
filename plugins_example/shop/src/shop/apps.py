"""The app's configuration; its deploy steps are in `shop.routines`, which needs no import here."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Products and their catalogue."""

    name = "shop"
    default_auto_field = "django.db.models.BigAutoField"
