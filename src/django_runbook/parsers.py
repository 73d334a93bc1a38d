"""What a command's parser knows, and what it reads from words.

In this process a management command takes its options by name. Run as a subprocess it takes words,
and only its own parser knows which. What cannot be said in words that the parser is sure to read
as the same value is refused, so that it is found before anything runs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .flags import CONSTANTS, Flag, NoFlag, Option, Word
from .secret import Secret


def options_of(parser: Any) -> list[Option]:
    """Return what a command's parser knows, that of its subcommands included.

    :param parser: what :meth:`~django.core.management.BaseCommand.create_parser` returns.
    """
    # There is no public way to ask an ArgumentParser for its options. call_command() itself looks
    # here, and a test fails if it moves.
    found = [Option(action) for action in parser._actions]  # noqa: SLF001 - see above
    for option in found:
        choices = getattr(option.action, "choices", None)
        for sub in choices.values() if isinstance(choices, dict) else ():
            found.extend(Option(action, below=True) for action in getattr(sub, "_actions", ()))
    tree = getattr(parser, "tree", None)
    if tree is None:
        return found
    # django-typer lists the parameters of all subcommands together.
    own = {id(param) for param in tree.click_command.params}
    return [Option(one.action, below=id(one.action.param) not in own) for one in found]


def as_meant(known: Iterable[Option], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with the values that make ``no_header=True`` mean ``--no-header``.

    Where a flag stores something else than its own name says, as ``--no-header`` stores false in
    ``include_header``, :func:`~django.core.management.call_command` stores what it is given under
    the flag's name: true would ask for the header.

    :param known: what the command's parser knows.
    :param options: the options by name.
    """
    flags = {
        one.long: one.action
        for one in known
        if one.long not in (None, one.dest) and not one.below and type(one.action) in CONSTANTS
    }
    return {
        name: (flags[name].const if value else flags[name].default)
        if name in flags and isinstance(value, bool)
        else value
        for name, value in options.items()
    }


def to_words(parser: Any, arguments: Sequence[Word], options: Mapping[str, Any]) -> list[Word]:
    """Return the words behind a command's name that give it these arguments and options.

    :param parser: the command's parser; it may be asked again, but reads no values afterwards.
    :param arguments: the arguments as they were declared.
    :param options: the options by name, as :func:`~django.core.management.call_command` has them.
    :raises NoFlag: if an option cannot be said in words.
    """
    known = options_of(parser)
    options = as_meant(known, options)
    # As call_command() does it: the name of a flag counts for more than what another one sets.
    by_flag = {one.long: one.dest or "" for one in known if one.long and not one.below}
    before: list[Word] = []
    after: list[Word] = []
    for name, value in options.items():
        dest = by_flag.get(name, name)
        matching = [one for one in known if one.dest == dest]
        flag = Flag(name, value, matching, known)
        words = flag.words()
        if all(one.below for one in matching):
            after += words
        elif flag.takes_what_follows and any(one.below for one in known):
            raise NoFlag(name, "takes several values, and the command has subcommands")
        else:
            (after if flag.takes_what_follows else before).extend(words)
    # Behind "--" there are no flags.
    end = arguments.index("--") if "--" in arguments else len(arguments)
    orders = [[*before, *arguments[:end], *after, *arguments[end:]]]
    if after and end < len(arguments) and not any(one.below for one in known):
        # A parser takes its positional arguments in one piece: no option may stand in between.
        orders.append([*before, *after, "--", *arguments[:end], *arguments[end + 1 :]])
    if not options or getattr(parser, "tree", None) is not None:
        return orders[0]
    by_dest = [(by_flag.get(one, one), options[one]) for one in options]
    for words in orders[:-1]:
        with contextlib.suppress(NoFlag):
            return _verified(parser, words, by_dest)
    return _verified(parser, orders[-1], by_dest)


def refusal(parser: Any, arguments: Sequence[Word], options: Iterable[str]) -> str:
    """Return why a command's parser refuses its arguments, or ``""`` if it does not.

    :param parser: the command's parser; it may be asked again, but reads no values afterwards.
    :param arguments: the arguments as they were declared.
    :param options: the names of what it is given besides, which need not be said in words.
    """
    if getattr(parser, "tree", None) is not None:
        return ""  # django-typer's, which would call what the command's author has written
    given = set(options)
    relaxed = [
        option.action
        for option in (options_of(parser) if given else ())
        if option.action.required and option.names & given
    ]
    for action in relaxed:
        action.required = False
    try:
        _verified(parser, list(arguments), [])
    except NoFlag as exc:
        return str(exc)
    finally:
        for action in relaxed:
            action.required = True
    return ""


def _verified(parser: Any, words: list[Word], options: Sequence[tuple[str, Any]]) -> list[Word]:
    """Return words if a parser reads these options from them: nobody else knows all its ways.

    What is no part of argparse may do anything when it is called, and is not called here.
    """
    actions = [one.action for one in options_of(parser)]
    if any(isinstance(word, Secret) for word in words) or any(
        type(action).__module__ != "argparse" for action in actions
    ):
        return words
    for action in actions:
        if not isinstance(action.type, type):
            action.type = None
    if {"-h", "--help", "--version"}.intersection(map(str, words)):
        return words  # it shows something, and reads nothing
    try:
        read = vars(parser.parse_args(list(words)))
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - what a parser raises, it would raise there
        said = str(exc).removeprefix("Error: ")
        raise NoFlag(None, f"its parser refuses what it is given: {said}") from None
    for name, value in options:
        if name not in read or not _is_same(read[name], value):
            raise NoFlag(name, f"would be read as {read.get(name)!r}, not {value!r}")
    return words


def _is_same(read: Any, given: Any) -> bool:
    """Tell whether a parser has read what was meant: the value, or where it makes text its text."""
    if isinstance(given, list | tuple):
        return (
            isinstance(read, list) and len(read) == len(given) and all(map(_is_same, read, given))
        )
    if isinstance(given, bool) or given is None or isinstance(read, bool) or read is None:
        return read is given
    if isinstance(given, str):
        if isinstance(read, str | list):
            return read == given
        with contextlib.suppress(Exception):
            return bool(type(read)(given) == read)
        return False
    return bool(read == given) or (isinstance(read, str) and read == str(given))
