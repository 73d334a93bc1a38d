"""Logging: a record when a step starts and one when it ends."""

from __future__ import annotations

import logging

from django_runbook.canonical import one_line
from django_runbook.model import Step
from django_runbook.results import StepResult

from .failures import text_of

logger = logging.getLogger("django_runbook")
# Without a handler of the site's, failures would be printed a second time by logging itself.
logger.addHandler(logging.NullHandler())


def is_logged(result: StepResult) -> bool:
    """Tell whether anybody wants the record of a step.

    :param result: what became of the step.
    """
    return logger.isEnabledFor(_level(result))


def _level(result: StepResult) -> int:
    return logging.ERROR if result.status == "failed" else logging.INFO


def log_start(routine: str, step: Step) -> None:
    """Record that a step starts.

    :param routine: the routine's name.
    :param step: the step.
    """
    if logger.isEnabledFor(logging.INFO):
        logger.info("%s: %s started", routine, step.id, extra=_extra(routine, step))


def log_end(routine: str, result: StepResult) -> None:
    """Record what became of a step: as an error if it failed.

    :param routine: the routine's name.
    :param result: what became of the step.
    """
    why = "" if result.exception is None else f": {one_line(text_of(result.exception))}"
    logger.log(
        _level(result),
        "%s: %s %s%s",
        routine,
        result.id,
        result.status,
        why,
        extra=_extra(routine, result.step, result.duration, result.returncode),
    )


def _extra(
    routine: str, step: Step, duration: float = 0.0, return_code: int | None = None
) -> dict[str, object]:
    """Return the fields of a record, the same for all, so that a format may name them."""
    return {
        "routine": routine,
        "step_id": step.id,
        "source": step.origin.source.name,
        "duration": duration,
        "return_code": return_code,
    }
