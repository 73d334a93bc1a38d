"""Tells the readers about a new release, once."""
