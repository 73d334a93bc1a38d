"""What of a plan cannot run here, asked before the first step: nothing is left half done."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import DEFAULT_DB_ALIAS, connections
from django.db import Error as DatabaseError

from .canonical import described, jsonable, without_address
from .commands import ALL_DATABASES, COMMAND_KEYS
from .flags import NoFlag
from .lookup import (
    CommandNotLoadable,
    HookNotLoadable,
    find_program,
    known_options,
    load_command,
    load_hook,
    not_loadable,
    quietly,
)
from .model import HOOKS, SETTINGS, Code, LockUse, Origin, Plan, Problem, Step, closest
from .nesting import is_nested
from .parsers import options_of, refusal, to_words

if TYPE_CHECKING:
    from .locks import LockUnusable

_Known: TypeAlias = "tuple[set[str], Any] | CommandNotLoadable | DatabaseError"


def databases(atomic: Any) -> tuple[str, ...]:
    """Return the aliases of the databases that an atomic routine has transactions on.

    :param atomic: the value of the control ``atomic``.
    """
    if not atomic:
        return ()
    if atomic is True:
        return (DEFAULT_DB_ALIAS,)
    aliases = (atomic,) if isinstance(atomic, str) else tuple(dict.fromkeys(atomic))
    return tuple(connections) if ALL_DATABASES in aliases else aliases


def cannot_run(plan: Plan) -> list[Problem]:
    """Return what keeps a plan from running on this site, and what makes it less than it says.

    :param plan: the plan, with the plans nested in it.
    """
    return list(dict.fromkeys(_problems(plan, functools.cache(_known), inside=False)))


def _problems(plan: Plan, known: Callable[[str], _Known], *, inside: bool) -> Iterator[Problem]:
    inside = inside or bool(plan.control("atomic"))
    yield from _unknown_databases(plan)
    for name in HOOKS:
        stated = plan.attributes.get(name)
        if stated is not None:
            whose = f"Routine {plan.routine!r}"
            yield from _unknown_hook(name, stated.value, whose, plan.routine, stated.origin)
    hooked = any(name in plan.attributes for name in ("initialize", "pre_hook", "post_hook"))
    for step in plan.steps:
        hooked = hooked or step.declaration.pre_hook is not None
        hooked = hooked or step.declaration.post_hook is not None
        whose = f"{step.id} in routine {plan.routine!r}"
        for name in ("pre_hook", "post_hook"):
            hook = getattr(step.declaration, name)
            origin = step.origin_of(name)
            yield from _unknown_hook(name, hook, whose, plan.routine, origin)
        if step.nested is not None:
            yield from _problems(step.nested, known, inside=inside)
        elif step.declaration.kind == "management" and not is_nested(step.declaration):
            yield from _unknown(step, plan.routine, known(step.declaration.name), hooked=hooked)
        if inside:
            yield from _transaction_problems(step, plan.routine)


def _unknown_hook(
    name: str, hook: Any, whose: str, routine: str, origin: Origin
) -> Iterator[Problem]:
    if hook is None:
        return
    try:
        load_hook(hook)
    except HookNotLoadable as exc:
        message = f"{whose}: the {name} {jsonable(hook)!r} cannot be loaded: {exc}."
        hint = "Give a callable, or the dotted path of one, such as 'shop.hooks.before'."
        yield Problem(Code.UNKNOWN_HOOK, message, hint, origin, routine)


def _unknown_databases(plan: Plan) -> Iterator[Problem]:
    for alias in databases(plan.control("atomic")):
        if alias not in connections:
            stated = plan.attributes.get("atomic")
            origin = stated.origin if stated is not None else Origin(SETTINGS)
            known = ", ".join(connections)
            yield Problem(
                Code.UNKNOWN_DATABASE,
                f"Routine {plan.routine!r} is atomic on the database {alias!r}, which the site "
                "does not have.",
                closest(alias, connections) or f"DATABASES has {known}.",
                origin,
                plan.routine,
            )


def locks_of(plan: Plan) -> tuple[tuple[LockUse, ...], list[Problem]]:
    """Return the locks that a run of a plan takes, and what keeps one from being taken here.

    :param plan: the plan, with the plans nested in it.
    """
    uses: dict[str, LockUse] = {}
    problems: list[Problem] = []
    locked = [one for one in plan.every_plan() if one.control("lock")]
    if not locked:
        return (), problems
    from .locks import LockUnusable, lock_of, lock_policy  # most routines take none

    policy = lock_policy()
    if policy is None:  # the setting's own error says that it is malformed
        return (), problems
    for one in locked:
        wanted = one.control("lock")
        try:
            lock = lock_of(one.routine, wanted, policy)
        except LockUnusable as exc:
            stated = one.attributes.get("lock")
            origin = stated.origin if stated is not None else Origin(SETTINGS)
            whose = f"The lock of routine {one.routine!r}"
            problems.append(_lock_problem(whose, exc, origin, one.routine))
        else:
            uses[one.routine] = LockUse(one.routine, wanted, lock.kind, lock.detail)
    # Always in one order: two runs that take the same locks must not wait for each other.
    return tuple(uses[name] for name in sorted(uses)), problems


def unusable_backend() -> Iterator[Problem]:
    """Yield a problem if the backend of the setting cannot work on this site.

    That is so whether or not a routine states that it takes a lock: ``--lock`` may.
    """
    from .locks import LockUnusable, lock_of, lock_policy

    policy = lock_policy()
    if policy is None:
        return
    try:
        lock_of("any", wanted=True, policy=policy)
    except LockUnusable as exc:
        yield _lock_problem(
            'The lock that DJANGO_RUNBOOK["LOCK"] names', exc, Origin(SETTINGS), None
        )


def _lock_problem(whose: str, exc: LockUnusable, origin: Origin, routine: str | None) -> Problem:
    message = f"{whose} cannot be taken: {exc}."
    return Problem(Code.LOCK_UNUSABLE, message, exc.hint, origin, routine)


def _transaction_problems(step: Step, routine: str) -> Iterator[Problem]:
    """Yield a warning for a step of an atomic routine that is not what the word promises."""
    if step.outside_transaction:
        yield Problem(
            Code.OUTSIDE_TRANSACTION,
            f"{step.id} runs outside the transaction of the atomic routine {routine!r}, because "
            "it is a subprocess: if a later step fails, what it did is not undone.",
            "Put it into a routine of its own that runs before or after this one.",
            step.origin,
            routine,
        )
    elif step.declaration.kind == "management" and step.declaration.name == "migrate":
        yield Problem(
            Code.MIGRATES_INSIDE,
            f"{step.id} migrates inside the transaction of the atomic routine {routine!r}: only "
            "on PostgreSQL can tables be changed there.",
            "Put it into a routine of its own that runs before this one.",
            step.origin,
            routine,
        )


def _known(name: str) -> _Known:
    """Return the options of a management command and its parser, or why there are none."""
    with quietly():
        try:
            command = load_command(name)
            parser = command.create_parser("", name)
            return known_options(command, options_of(parser)), parser
        except (CommandNotLoadable, DatabaseError) as exc:
            return exc
        except (Exception, SystemExit) as exc:  # noqa: BLE001 - named as the command's
            return not_loadable(name, exc)


def _unknown(step: Step, routine: str, known: _Known, *, hooked: bool) -> Iterator[Problem]:
    """Yield an error if a step's command, or something that it is given, does not exist."""
    whose = f"{step.id} in routine {routine!r}"
    if isinstance(known, CommandNotLoadable):
        message = f"{whose}: {known}."
        yield Problem(Code.UNKNOWN_COMMAND, message, known.hint, step.origin, routine)
        return
    if isinstance(known, DatabaseError):
        # On a new server the tables that its parser asks for come with an earlier step.
        message = f"{whose}: its options ask the database, which failed: {jsonable(known)}"
        hint = "That is as it should be before the first migrate; else mend the database."
        yield Problem(Code.OPTIONS_UNKNOWN, message, hint, step.origin, routine)
        return
    name = step.declaration.name
    options, parser = known
    unknown = [option for option in step.declaration.options if option not in options]
    arguments, given = step.declaration.argv[1:], step.declaration.options
    # A hook may still change what it is given.
    refused = "" if unknown or hooked else refusal(parser, arguments, given)
    if refused:
        message = f"{whose}: the command {name!r} cannot be run like this: {refused}."
        hint = f"See what it takes: manage.py {name} --help."
        yield Problem(Code.UNKNOWN_OPTION, message, hint, step.origin, routine)
    elif step.apart and not unknown:
        try:
            to_words(parser, arguments, given)
        except NoFlag as exc:
            said = without_address(str(exc))
            message = f"{whose} runs as a subprocess of its own, where {said}."
            yield Problem(Code.NO_FLAG, message, exc.hint, step.origin_of("options"), routine)
        except Exception as exc:  # noqa: BLE001 - of a value, which may be any object
            message = f"{whose} runs as a subprocess of its own, where its options have no text: "
            message += f"{described(exc)}."
            hint = "Write them among the command's arguments."
            yield Problem(Code.NO_FLAG, message, hint, step.origin_of("options"), routine)
    for option in unknown:
        message = f"{whose}: the command {name!r} has no option {option!r}."
        hint = closest(option, {*options, *COMMAND_KEYS})
        hint = hint or f"See what it takes: manage.py {name} --help."
        yield Problem(Code.UNKNOWN_OPTION, message, hint, step.origin_of("options"), routine)


def missing_programs(plan: Plan, code: Code) -> Iterator[Problem]:
    """Yield a problem for each program of a plan that is not on ``PATH``.

    A program given by its path may be made by an earlier step, so it is looked for when its turn
    comes.

    :param plan: the plan, with the plans nested in it.
    :param code: what to report it as: on the machine that deploys it is an error, elsewhere the
        program may just not be needed.
    """
    for routine, step in plan.every_step():
        name = step.declaration.name
        if step.declaration.kind != "system" or os.path.dirname(name):
            continue
        if find_program(step.declaration) is None:
            yield Problem(
                code,
                f"{step.id} in routine {routine!r}: there is no program {name!r} on PATH.",
                _remedy(name),
                step.origin,
                routine,
            )


def _remedy(program: str) -> str:
    """Return how to mend a missing program, which may lie beside this Python."""
    beside = os.path.dirname(sys.executable)
    if shutil.which(program, path=beside):
        return f"Activate the virtual environment, which has it, or put {beside} on PATH."
    return "Install it, mend its name, or give its whole path."


def missing_secrets(plan: Plan, code: Code) -> Iterator[Problem]:
    """Yield a problem for each environment variable that a secret of a plan needs and has not.

    :param plan: the plan, with the plans nested in it.
    :param code: what to report it as: where the routine runs it is an error, elsewhere the
        variable may be unset on purpose.
    """
    for routine, step in plan.every_step():
        for secret in step.declaration.secrets:
            for name in secret.missing:
                yield Problem(
                    code,
                    f"{step.id} in routine {routine!r} needs the environment variable "
                    f"{name!r}, which is not set.",
                    f"Set {name} where the routine runs.",
                    step.origin,
                    routine,
                )
