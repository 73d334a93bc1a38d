"""What is said of a run that did not end well: which step, whose, how, and what was not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from django_runbook.exceptions import CommandFailed, LockLost, RunFailed
from django_runbook.masking import Hidden
from django_runbook.results import RunResult, StepResult

from .containment import ProcessEnded
from .stop import signal_name


class CallbackFailed(Exception):
    """A callback or a receiver raised; its text says which, and what."""


def returncode_of(exc: BaseException) -> int:
    """Return how a command ended that raised: never as a success.

    :param exc: what it raised.
    """
    returncode = getattr(exc, "returncode", 1)
    return returncode if isinstance(returncode, int) and returncode else 1


def deed_of(exc: BaseException) -> str:
    """Return what a hook, a callback or a receiver has done: raised, or ended the process.

    :param exc: what came of it.
    """
    if isinstance(exc, KeyboardInterrupt):
        return "was interrupted"
    return str(exc) if isinstance(exc, ProcessEnded) else f"raised {text_of(exc)}"


def text_of(exc: BaseException) -> str:
    """Return what an exception says, with its class if it is none of ours.

    :param exc: what a command, a hook or a receiver raised.
    """
    if isinstance(exc, CommandFailed | RunFailed | CallbackFailed | LockLost):
        return str(exc)
    try:
        said = str(exc)
    except Exception as broken:  # noqa: BLE001 - an exception that cannot even say what it is
        said = f"its text cannot be had, for {type(broken).__name__}"
    return f"{type(exc).__name__}: {said}" if said else type(exc).__name__


def without_secrets(exc: BaseException, hidden: Hidden) -> BaseException:
    """Return an exception, or one that says the same with its secrets masked.

    :param exc: what a command, a hook or a receiver raised.
    :param hidden: what must not be shown.
    """
    if not hidden:
        return exc
    said = [piece for one in _family(exc) for piece in _all_of(one)]
    if None not in said and all(hidden.mask(piece or "") == piece for piece in said):
        return exc
    # Not raised from it: a traceback would show what must not be shown.
    stderr = exc.stderr if isinstance(exc, CommandFailed) else ()
    text = hidden.mask(text_of(exc))
    return CommandFailed(text, returncode_of(exc), hidden.mask_lines(stderr))


def _family(exc: BaseException) -> list[BaseException]:
    """Return an exception and all that stand behind it, however a reporter may reach them."""
    found = [exc]
    for one in found:
        behind = [one.__cause__, one.__context__]
        behind += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
        known = set(map(id, found))
        found += [more for more in behind if more is not None and id(more) not in known]
    return found


def _all_of(exc: BaseException) -> Iterator[str | None]:
    """Yield all that an exception says, its attributes included; ``None`` for what cannot be read.

    One piece that cannot be read must not keep another from being looked at.
    """
    if isinstance(exc, CommandFailed):
        yield "\n".join(exc.stderr)
    for read in (lambda: str(exc), lambda: repr(exc), *map(_reader, vars(exc).values())):
        try:
            yield read()
        except Exception:  # noqa: BLE001 - it cannot even say what it is
            yield None


def _reader(value: object) -> Callable[[], str]:
    return lambda: repr(value)


def failure_text(result: RunResult) -> str:
    """Return all there is to know of a routine that failed.

    :param result: what became of it.
    """
    failures = result.failures
    total = len(result.steps)
    lines = []
    if len(failures) > 1:
        lines.append(f"{len(failures)} of {total} steps of routine {result.routine!r} failed.")
    for failure in failures:
        lines += _step_lines(result, failure)
    if result.error is not None:
        lines.append(f"Routine {result.routine!r} failed: {text_of(result.error)}")
    return "\n".join([*lines, *_rest_lines(result)])


def stop_text(result: RunResult) -> str:
    """Return what is to be said of a routine that a signal has stopped.

    :param result: what became of it; a signal asked it to stop.
    """
    assert result.stopped_by is not None
    lines = [f"Routine {result.routine!r} was stopped by {signal_name(result.stopped_by)}."]
    for failure in result.failures:
        lines += _step_lines(result, failure)
    if result.error is not None:
        lines.append(f"  failure: {text_of(result.error)}")
    if result.status == "stopped" and not (result.not_run or result.failures or result.error):
        lines.append("  Every step was run.")
    return "\n".join([*lines, *_rest_lines(result)])


def _step_lines(result: RunResult, failure: StepResult) -> list[str]:
    assert failure.exception is not None
    place = f"Step {failure.step.position} of {len(result.steps)}"
    lines = [
        f"{place} of routine {result.routine!r} failed: {failure.id}",
        f"  declared by: {failure.step.origin}",
        f"  command: {failure.command_line}",
        # What a nested routine says of its own step stands further in.
        f"  failure: {text_of(failure.exception)}".replace("\n", "\n    "),
    ]
    if failure.stderr:
        lines += ["  last lines of its stderr:", *(f"    {line}" for line in failure.stderr)]
    return lines


def _rest_lines(result: RunResult) -> list[str]:
    lines = [f"  rolled back{where}: {', '.join(aliases)}" for where, aliases in _undone(result)]
    if result.not_run and not result.early_exit:
        lines.append(f"  not run: {', '.join(_names(result))}")
    return lines


def _undone(result: RunResult, where: str = "") -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the databases on which something was undone, of nested routines with their step."""
    if result.rolled_back:
        yield where, result.rolled_back
    for step in result.steps:
        if step.status == "stopped" and isinstance(step.result, RunResult):
            yield from _undone(step.result, f" in {step.id}")


def _names(result: RunResult) -> list[str]:
    """Return the ids of what was not run, within a nested routine behind that of its step."""
    names = []
    for step in result.not_run:
        if step.status == "stopped" and isinstance(step.result, RunResult):
            names += [f"{step.id} > {name}" for name in _names(step.result)]
        else:
            names.append(step.id)
    return names
