"""Management commands: called in this process, or put into the words that start another."""

from __future__ import annotations

import argparse
import contextlib
import os
import site
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import ENVIRONMENT_VARIABLE, settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from django_runbook.commands import to_symbol
from django_runbook.exceptions import BadManageScript, CommandFailed
from django_runbook.flags import NoFlag, Word
from django_runbook.lookup import known_options, load_command
from django_runbook.model import Step
from django_runbook.parsers import as_meant, options_of, to_words
from django_runbook.secret import revealed

from .containment import ProcessEnded, contained

_COLOR_OPTIONS = {"no_color", "force_color"}
"""Options that a command takes only one of."""


def own_script() -> str | None:
    """Return the manage script that this process was started with.

    ``python -m django`` and ``django-admin`` have none that knows the site.
    """
    script = Path(sys.argv[0])
    if not script.is_file() or script.name == "__main__.py" or script.stem == "django-admin":
        return None
    return str(script) if script.suffix == ".py" or os.access(script, os.X_OK) else None


def launcher(manage_script: str | None) -> tuple[str, ...]:
    """Return the words before a management command's name that run it in a process of its own.

    :param manage_script: the script to use; Django's own unless given.
    :raises BadManageScript: if there is no such script.
    """
    if manage_script is None:
        # -P: the modules of the working directory are on the path if they are on ours.
        return (sys.executable, "-P", "-m", "django")
    path = Path(manage_script)
    if not path.is_file():
        raise BadManageScript(
            f"There is no manage script {manage_script!r} in {Path.cwd()}. Give the path of the "
            "project's manage.py, or leave --manage-script out."
        )
    if path.suffix != ".py" and not os.access(path, os.X_OK):
        raise BadManageScript(
            f"The manage script {manage_script!r} is neither Python nor executable. Give the path "
            "of the project's manage.py, or make it executable."
        )
    whole = path.absolute()
    if path.suffix != ".py":
        return (str(whole),)
    # Python would put the script's directory before all else. Where it is on our path already, it
    # has its place there.
    known = {Path(entry).absolute() for entry in sys.path}
    return (sys.executable, *(["-P"] if whole.parent in known else []), str(whole))


def environment() -> dict[str, str]:
    """Return the environment in which another process finds these settings and these modules.

    :raises CommandFailed: if the settings are in no module that it could import.
    """
    module = settings.SETTINGS_MODULE or os.environ.get(ENVIRONMENT_VARIABLE)
    if not module:
        raise CommandFailed(
            "it needs a process of its own, which cannot know settings that were configured in "
            f"code. Put them into a module and name that in {ENVIRONMENT_VARIABLE}"
        )
    own = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    own |= {f"{path}/lib-dynload" for path in own}
    own |= {*site.getsitepackages(), site.getusersitepackages()}
    # What every interpreter has by itself must not be forced upon another Python that a command
    # may start.
    ours = [entry or os.getcwd() for entry in sys.path if entry not in own]
    ours = [entry for entry in ours if not entry.endswith(".zip") or Path(entry).exists()]
    return {
        **os.environ,
        ENVIRONMENT_VARIABLE: str(module),
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(ours)),
        # Python keeps back what it writes to a pipe; here it must come as it is written.
        "PYTHONUNBUFFERED": "1",
    }


def _implicit_options(
    known: Collection[str],
    step: Step,
    verbosity: int | None,
    color: Mapping[str, bool],
) -> dict[str, Any]:
    """Return the options that a run gives to a command beside those of its declaration."""
    stated = step.declaration.options
    own_color = _COLOR_OPTIONS & {*stated, *map(to_symbol, map(str, step.declaration.argv[1:]))}
    given: dict[str, Any] = {} if own_color else {**color}
    if verbosity is not None and not _says_verbosity(step.declaration.argv[1:]):
        given["verbosity"] = verbosity
    return {name: value for name, value in given.items() if name in known and name not in stated}


def call(
    step: Step,
    *,
    verbosity: int | None,
    color: Mapping[str, bool],
    streams: Mapping[str, Any],
    mask: Callable[[str], str],
) -> Any:
    """Run a management command in this process, and return what it returned.

    :param step: the step.
    :param verbosity: the verbosity asked for.
    :param color: ``no_color`` or ``force_color``, if one was asked for.
    :param streams: ``stdout`` and ``stderr``, where they are not the process's own.
    :param mask: takes secrets out of what is shown.
    :raises CommandFailed: if it ended the process with a status other than 0.
    """
    result = None
    command, parser = _loaded(step)
    options = {**streams, **_options(command, parser, step, verbosity, color)}
    try:
        with _handed_over(command, parser), contained(mask):
            result = call_command(command, *revealed(list(step.declaration.argv[1:])), **options)
    except ProcessEnded as ended:
        if ended.returncode != 0:
            raise CommandFailed(f"it {ended}", ended.returncode) from ended.__cause__
    return result


def _options(
    command: BaseCommand, parser: Any, step: Step, verbosity: int | None, color: Mapping[str, bool]
) -> dict[str, Any]:
    """Return what a command is given by name, as :func:`call_command` takes it."""
    stated = step.declaration.options
    if not stated and not color and verbosity is None:
        return {}
    parsed = options_of(parser)
    implicit = _implicit_options(known_options(command, parsed), step, verbosity, color)
    return {**implicit, **revealed(as_meant(parsed, stated))}


@contextlib.contextmanager
def _handed_over(command: BaseCommand, parser: Any) -> Iterator[None]:
    """Let :func:`call_command` take a command's parser instead of making a second one.

    To make one is most of what it costs to call a command. It is handed over once, so that the
    command itself may still make others.
    """
    own = vars(command).get("create_parser")

    def put_back() -> None:
        vars(command).pop("create_parser", None)
        if own is not None:
            vars(command)["create_parser"] = own

    def create_parser(*_args: Any, **_kwargs: Any) -> Any:
        put_back()
        return parser

    vars(command)["create_parser"] = create_parser
    try:
        yield
    finally:
        put_back()


def words(step: Step, *, verbosity: int | None, color: Mapping[str, bool]) -> list[Word]:
    """Return the words behind the launcher that run a step's management command.

    :param step: the step.
    :param verbosity: the verbosity asked for.
    :param color: ``no_color`` or ``force_color``, if one was asked for.
    :raises ~django_runbook.flags.NoFlag: if an option cannot be said in words.
    """
    command, parser = _loaded(step)
    known = known_options(command, options_of(parser))
    implicit = _implicit_options(known, step, verbosity, color)
    if "skip_checks" in known:
        implicit.setdefault("skip_checks", True)  # as call_command() does: the routine has checked
    name, arguments = step.declaration.name, step.declaration.argv[1:]
    options = dict(step.declaration.options)
    for option, value in implicit.items():
        # What was not asked for must not keep the step from running.
        with contextlib.suppress(NoFlag):
            to_words(parser, arguments, {**options, option: value})
            options[option] = value
    return [name, *to_words(parser, arguments, options)]


def _loaded(step: Step) -> tuple[BaseCommand, Any]:
    """Return a step's command and its parser."""
    with contained():  # whatever the status: it would have ended before it could be run
        command = load_command(step.declaration.name)
        return command, command.create_parser("", step.declaration.name)


def _says_verbosity(arguments: Sequence[Word]) -> bool:
    """Tell whether a command's own arguments state a verbosity, in any form argparse takes."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("--verbosity", "-v", nargs="?", const="")
    return parser.parse_known_args(list(map(str, arguments)))[0].verbosity is not None
