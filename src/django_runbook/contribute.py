"""What apps contribute with in their ``AppConfig.ready``.

The name of this module is that of its function, so that the package cannot load it on first use:
Python would put the module in the function's place. So every web worker loads it, and it loads
what a declaration needs when there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contribution import Contribution as Contribution  # noqa: PLC0414 - for type checkers

_ATTRIBUTE = "_django_runbook_contribution"


def __getattr__(name: str) -> Any:
    if name == "Contribution":
        from .contribution import Contribution

        return Contribution
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def contribute(app_config: Any) -> Contribution:
    """Return what an app declares with in its ``AppConfig.ready``.

    The declarations live with the app's configuration: they go when the app is taken out of
    ``INSTALLED_APPS``, and count once however often ``ready()`` is called.

    :param app_config: the :class:`~django.apps.AppConfig`: ``contribute(self)``.
    :raises DeclarationError: if it is given anything else.
    """
    is_config = hasattr(app_config, "label") and hasattr(app_config, "ready")
    if not is_config or isinstance(app_config, type):
        from .exceptions import DeclarationError

        given = "its class" if isinstance(app_config, type) else f"a {type(app_config).__name__}"
        raise DeclarationError(
            f"contribute() takes the AppConfig of an app, not {given}. "
            "Call contribute(self) in AppConfig.ready()."
        )
    contribution = contributed(app_config)
    if contribution is None:
        from .contribution import Contribution

        contribution = Contribution()
        setattr(app_config, _ATTRIBUTE, contribution)
    return contribution


def contributed(app_config: Any) -> Contribution | None:
    """Return what an app has declared in its ``ready``, if it has.

    :param app_config: the app's configuration.
    """
    found: Contribution | None = vars(app_config).get(_ATTRIBUTE)
    return found
