"""No pages: this site is here to be deployed, not visited."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
