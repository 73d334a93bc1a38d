"""Named options as words of a command line: the command's own parser reads the same values."""

from __future__ import annotations

import argparse
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import TextChoices
from django.utils.translation import gettext_lazy
from django_typer.management import TyperCommand, command, initialize
from hypothesis import event, given, settings
from hypothesis import strategies as st

from django_runbook import Secret
from django_runbook.flags import NoFlag, Word
from django_runbook.lookup import known_options
from django_runbook.parsers import options_of, to_words

pytestmark = pytest.mark.ours


Flags = tuple[str, ...]
Adding = Callable[[CommandParser], object]

many = settings(deadline=None, max_examples=300)


def parser_of(add: Adding) -> CommandParser:
    """Return the parser of a command that adds these arguments to those that every command has."""

    class Command(BaseCommand):
        def add_arguments(self, parser: CommandParser) -> None:
            add(parser)

    return Command().create_parser("manage.py", "test")


def with_words(flags: Flags, kwargs: dict[str, Any]) -> CommandParser:
    """Return the parser of a command with one option and any number of words."""

    def add(parser: CommandParser) -> None:
        parser.add_argument("words", nargs="*")
        parser.add_argument(*flags, **kwargs)

    return parser_of(add)


def read(parser: CommandParser, words: list[Word]) -> dict[str, Any]:
    """Return what the parser reads from words, secrets revealed as the runner does."""
    revealed = [word.reveal() if isinstance(word, Secret) else word for word in words]
    return vars(parser.parse_args(revealed))


class Colour(Enum):
    """An enumeration whose members have no text of their own."""

    RED = "red"


class Mode(StrEnum):
    """An enumeration of strings."""

    FAST = "fast"


class Mixed(str, Enum):  # noqa: UP042 - the older form, of which str() is not the value
    """An enumeration of strings in the older form."""

    FAST = "fast"


class Level(IntEnum):
    """An enumeration of numbers."""

    HIGH = 3


class Size(TextChoices):
    """An enumeration in Django's form."""

    SMALL = "s", "small"


@dataclass
class Point:
    """Something that has a repr and no text."""

    x: int


class Loud(argparse.Action):
    """An action of a command's own."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, values.upper())


# --- what can be said ----------------------------------------------------------------------------

X = ("--x",)
FIXED: dict[str, Any] = {"action": "store_const", "const": "fast"}
TWO = {"nargs": 2}
MORE = {"nargs": "+"}
ANY = {"nargs": "*"}
MAYBE = {"nargs": "?", "const": "bare"}
APPEND = {"action": "append"}
EXTEND = {"action": "extend", "nargs": "+"}
COUNT = {"action": "count", "default": 0}
ON_OFF = {"action": argparse.BooleanOptionalAction}


@pytest.mark.parametrize(
    ("flags", "kwargs", "value", "words"),
    [
        pytest.param(X, {}, "a", ["--x=a"], id="store"),
        pytest.param(X, {}, "", ["--x="], id="store an empty string"),
        pytest.param(X, {}, "two words", ["--x=two words"], id="store with a space"),
        pytest.param(X, {}, "-1", ["--x=-1"], id="store a negative number's text"),
        pytest.param(X, {}, "--force", ["--x=--force"], id="store what is another flag"),
        pytest.param(X, {}, "-", ["--x=-"], id="store a dash"),
        pytest.param(X, {}, "a=b", ["--x=a=b"], id="store an equals sign"),
        pytest.param(X, {}, "$(x) 'ä\n", ["--x=$(x) 'ä\n"], id="store what a shell would read"),
        pytest.param(X, {"default": "d"}, "d", None, id="store its default"),
        pytest.param(X, {}, None, [], id="store nothing"),
        pytest.param(X, {"type": int}, 3, ["--x=3"], id="int"),
        pytest.param(X, {"type": int}, -3, ["--x=-3"], id="negative int"),
        pytest.param(X, {"type": int, "default": 1}, 0, ["--x=0"], id="zero is not nothing"),
        pytest.param(X, {"type": float}, 1e22, ["--x=1e+22"], id="float"),
        pytest.param(X, {"type": Decimal}, Decimal("1.50"), ["--x=1.50"], id="decimal"),
        pytest.param(X, {"type": Path}, Path("/a b"), ["--x=/a b"], id="path"),
        pytest.param(X, {"type": Mode}, Mode.FAST, ["--x=fast"], id="string enumeration"),
        pytest.param(X, {}, Mixed.FAST, ["--x=fast"], id="string enumeration of the older form"),
        pytest.param(X, {}, Size.SMALL, ["--x=s"], id="Django's choices"),
        pytest.param(X, {"choices": ["a", "b"]}, "b", ["--x=b"], id="choices"),
        pytest.param(X, {"choices": [1, 2], "type": int}, 2, ["--x=2"], id="choices of int"),
        pytest.param(X, {"choices": {"a": 1}}, "a", ["--x=a"], id="choices in a dictionary"),
        pytest.param(X, {"dest": "y"}, "a", ["--x=a"], id="a dest of its own"),
        pytest.param(("-x",), {}, "a", None, id="short"),
        pytest.param(("-x",), {}, "", None, id="short with an empty string"),
        pytest.param(("-x",), {}, "-1", None, id="short with a dash"),
        pytest.param(("-x",), {}, "=a", None, id="short with an equals sign first"),
        pytest.param(("-x",), {}, "two words", None, id="short with a space"),
        pytest.param(("-long",), {}, "a", None, id="a long flag of one dash"),
        pytest.param(("-n", "--dry-run"), {}, "a", ["--dry-run=a"], id="long rather than short"),
        pytest.param(X, {"action": "store_true"}, True, ["--x"], id="store_true on"),
        pytest.param(X, {"action": "store_true"}, False, [], id="store_true off"),
        pytest.param(("-x",), {"action": "store_true"}, True, ["-x"], id="short store_true"),
        pytest.param(X, {"action": "store_false"}, False, ["--x"], id="store_false off"),
        pytest.param(X, {"action": "store_false"}, True, [], id="store_false on"),
        pytest.param(X, FIXED, "fast", ["--x"], id="store_const"),
        pytest.param(X, FIXED, None, [], id="store_const left alone"),
        pytest.param(X, MAYBE, "a", ["--x=a"], id="one or none: one"),
        pytest.param(X, MAYBE, "", ["--x="], id="one or none: an empty one"),
        pytest.param(X, {"nargs": "?", "const": 7, "type": int}, 7, None, id="one or none: none"),
        pytest.param(X, {"nargs": "?", "const": True}, True, ["--x"], id="one or none: on"),
        pytest.param(X, MAYBE, "bare", None, id="one or none: the text of none"),
        pytest.param(X, {"nargs": "?", "default": 1}, None, ["--x"], id="one or none: not given"),
        pytest.param(X, MORE, ["a", "b"], ["--x", "a", "b"], id="some"),
        pytest.param(X, MORE, ["-a"], ["--x=-a"], id="some: one with a dash"),
        pytest.param(X, MORE, ["", "a"], ["--x", "", "a"], id="some: an empty one"),
        pytest.param(X, MORE, ["-", "a"], None, id="some: a dash"),
        pytest.param(X, {"nargs": "+", "type": int}, [-1, 2], None, id="some: a negative number"),
        pytest.param(X, ANY, [], ["--x"], id="any: none"),
        pytest.param(X, ANY, ["a", "b c"], ["--x", "a", "b c"], id="any"),
        pytest.param(X, {"nargs": 1}, ["-a"], ["--x=-a"], id="exactly one"),
        pytest.param(X, TWO, ["a", "b"], ["--x", "a", "b"], id="exactly two"),
        pytest.param(X, {"nargs": "+", "choices": "ab"}, ["a", "b"], None, id="some of choices"),
        pytest.param(X, APPEND, ["a", "-b"], ["--x=a", "--x=-b"], id="append"),
        pytest.param(X, {"action": "append", "default": []}, [], [], id="append nothing"),
        pytest.param(X, {"action": "append", "default": ["d"]}, ["d"], [], id="append's default"),
        pytest.param(("-x",), APPEND, ["a", "=b"], None, id="short append"),
        pytest.param(
            X,
            {"action": "append", "nargs": "+"},
            [["a", "b"], ["c"]],
            ["--x", "a", "b", "--x=c"],
            id="append some",
        ),
        pytest.param(X, {"action": "append", "nargs": 2}, [["a", "b"]], None, id="append two"),
        pytest.param(
            X, {"action": "append_const", "const": "c"}, ["c", "c"], ["--x", "--x"], id="constants"
        ),
        pytest.param(X, EXTEND, ["a", "b"], ["--x", "a", "b"], id="extend"),
        pytest.param(X, {"action": "extend", "nargs": "*"}, [], ["--x"], id="extend by nothing"),
        pytest.param(("-x", "--xx"), COUNT, 3, ["--xx", "--xx", "--xx"], id="count"),
        pytest.param(X, {"action": "count", "default": 2}, 4, ["--x", "--x"], id="count on"),
        pytest.param(X, COUNT, 0, [], id="count none"),
        pytest.param(X, ON_OFF, True, ["--x"], id="on"),
        pytest.param(X, ON_OFF, False, ["--no-x"], id="off"),
        pytest.param(X, ON_OFF, None, [], id="neither on nor off"),
        pytest.param(("-x", "--xx"), ON_OFF, False, ["--no-xx"], id="off has no short flag"),
    ],
)
def test_the_parser_reads_the_value_that_was_given(
    flags: Flags, kwargs: dict[str, Any], value: Any, words: list[str] | None
) -> None:
    """An option becomes words from which the command's own parser reads the very same value."""
    parser = with_words(flags, kwargs)
    dest = kwargs.get("dest") or max(flags, key=len).lstrip("-").replace("-", "_")

    # With words of the command's own, behind which the option must not swallow anything either.
    for arguments in ([], ["first", "second"], ["--", "-first"]):
        made = to_words(parser, arguments, {dest: value})
        parsed = read(parser, made)

        assert parsed[dest] == value
        assert type(parsed[dest]) is type(value) or isinstance(value, str)
        assert parsed["words"] == [one for one in arguments if one != "--"]
        if words is not None and not arguments:
            assert made == words or (made, value) == ([], kwargs.get("default"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Path("/srv/a b"), "/srv/a b"),
        (Decimal("1.50"), "1.50"),
        (-3, "-3"),
        (gettext_lazy("Save"), "Save"),
        (Secret("-s3cret"), "-s3cret"),
        ("--token=" + Secret("s3cret"), "--token=s3cret"),
    ],
)
def test_an_option_without_a_type_gets_the_text_of_a_value(value: Any, text: str) -> None:
    """Where the parser itself makes strings, a path, a number or a lazy text arrives as its own."""
    for flags in (("--x",), ("-x",)):
        parser = with_words(flags, {})
        made = to_words(parser, ["word"], {"x": value})
        assert "s3cret" not in repr(made)
        assert read(parser, made)["x"] == text


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "kwargs", "value", "why"),
    [
        pytest.param(("x",), {"nargs": "?"}, "a", "is an argument without a flag", id="argument"),
        pytest.param(X, {}, True, "has a bool", id="bool for a value"),
        pytest.param(X, {"type": bool}, False, "has a bool", id="bool for a bool"),
        pytest.param(X, {"type": int}, True, "has a bool", id="bool for a number"),
        pytest.param(X, {"default": "d"}, None, "has a NoneType", id="nothing for a value"),
        pytest.param(X, {}, ["a"], "has a list", id="list"),
        pytest.param(X, {}, {"a": 1}, "has a dict", id="dictionary"),
        pytest.param(X, {}, b"a", "has a bytes", id="bytes"),
        pytest.param(X, {}, Colour.RED, "has a Colour", id="enumeration"),
        pytest.param(X, {"type": int}, Level.HIGH, "has a Level", id="numbered enumeration"),
        pytest.param(X, {}, object(), "has a object", id="object"),
        pytest.param(X, {}, print, "has a builtin", id="callable"),
        pytest.param(X, {}, range(3), "has a range", id="range"),
        pytest.param(X, {}, deque("ab"), "has a deque", id="container"),
        pytest.param(X, {}, Point(1), "has a Point", id="dataclass"),
        pytest.param(X, {"type": int}, "three", "'three'", id="no number"),
        pytest.param(X, {"type": int}, 1.5, "1.5", id="no whole number"),
        pytest.param(X, {"nargs": "+", "type": int}, [1, "x"], "'x'", id="no number in a list"),
        pytest.param(X, {"choices": ["a", "b"]}, "c", "cannot be 'c'", id="no choice"),
        pytest.param(X, {"nargs": "+", "choices": "ab"}, ["a", "c"], "be 'c'", id="a wrong choice"),
        pytest.param(X, {"action": "store_true"}, "yes", "the value 'yes'", id="text for a flag"),
        pytest.param(X, {"action": "store_true"}, 1, "the value 1", id="number for a flag"),
        pytest.param(
            X, {"action": "store_true", "default": True}, False, "the value False", id="no way back"
        ),
        pytest.param(
            X,
            {"action": "store_true", "default": argparse.SUPPRESS},
            False,
            "False",
            id="no default",
        ),
        pytest.param(X, FIXED, "slow", "the value 'slow'", id="another constant"),
        pytest.param(X, TWO, ["a"], "takes 2 values, not 1", id="too few"),
        pytest.param(X, TWO, ["a", "b", "c"], "takes 2 values, not 3", id="too many"),
        pytest.param(X, MORE, [], "takes at least one value", id="none of some"),
        pytest.param(X, MORE, "ab", "takes a list, not 'ab'", id="a string for a list"),
        pytest.param(X, MORE, ["a", "-b"], "'-b' could be read as a flag", id="a dash in a list"),
        pytest.param(X, MORE, ["a", "--"], "'--' could be read as a flag", id="the end in a list"),
        pytest.param(X, MORE, ["a", Secret("s3cret")], "a secret could be", id="secret in a list"),
        pytest.param(X, APPEND, "ab", "takes a list, not 'ab'", id="a string to append"),
        pytest.param(X, APPEND, [], "", id="an empty list to append"),
        pytest.param(X, APPEND, [None], "has a NoneType", id="nothing to append"),
        pytest.param(
            X, {"action": "append", "default": ["d"]}, ["a"], "only add", id="append to a default"
        ),
        pytest.param(
            X, {"action": "append", "nargs": "?"}, [["a"]], "", id="a list to append one or none"
        ),
        pytest.param(
            X, {"action": "append", "nargs": "?"}, [["a", "b"]], "", id="two to append one or none"
        ),
        pytest.param(
            X,
            {"action": "append_const", "const": "c"},
            ["d"],
            "that gives it 'd'",
            id="no constant",
        ),
        pytest.param(X, {"action": "append_const", "const": "c"}, [], "", id="no constant at all"),
        pytest.param(
            X, {"action": "extend", "nargs": "+", "default": ["d"]}, ["a"], "only add", id="extend"
        ),
        pytest.param(X, {"action": "extend"}, ["ab"], "", id="extend by letters"),
        pytest.param(X, {"action": "extend"}, ["ab", "cd"], "", id="extend by words"),
        pytest.param(X, {"action": "extend", "nargs": "?"}, ["ab"], "", id="extend by one or none"),
        pytest.param(X, COUNT, -1, "is counted, and cannot be -1", id="a negative count"),
        pytest.param(X, COUNT, True, "is counted, and cannot be True", id="a count of True"),
        pytest.param(X, {"action": "count"}, 0, "", id="a count of 0 that would be none"),
        pytest.param(X, ON_OFF, "yes", "the value 'yes'", id="neither on nor off"),
        pytest.param(("-x",), ON_OFF, False, "the value False", id="no flag for off"),
        pytest.param(X, {"action": Loud}, "a", "an action of its own, Loud", id="action"),
        pytest.param(X, {"required": True, "default": None}, None, "", id="nothing for required"),
    ],
)
def test_what_no_words_can_say_is_refused(
    flags: Flags, kwargs: dict[str, Any], value: Any, why: str
) -> None:
    """An option that the parser would not read from any words is refused, with the reason."""

    def add(parser: CommandParser) -> None:
        parser.add_argument(*flags, **kwargs)
        parser.add_argument("--other")

    with pytest.raises(NoFlag) as refused:
        to_words(parser_of(add), [], {"x": value})

    assert str(refused.value).startswith(("option 'x' ", "its parser refuses what it is given: "))
    assert why in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert refused.value.hint


def test_two_dashes_are_a_value_where_the_parser_takes_them_for_one() -> None:
    """Some versions of argparse lose "--" wherever it stands; then it is refused."""
    for kwargs, value in (({}, "--"), (APPEND, ["--"]), (MORE, ["--"])):
        parser = with_words(X, kwargs)
        with contextlib.suppress(NoFlag):
            assert read(parser, to_words(parser, ["word"], {"x": value}))["x"] == value


def test_a_wrong_choice_says_the_right_ones() -> None:
    """The hint for a value that is not among the choices names them."""
    with pytest.raises(NoFlag) as refused:
        to_words(with_words(X, {"choices": ["daily", "monthly"]}), [], {"x": "weekly"})
    assert refused.value.hint == "Give one of daily, monthly."


@pytest.mark.parametrize("name", ["stdin", "nobody"])
def test_what_the_parser_does_not_know_is_refused(name: str) -> None:
    """A stealth option, which call_command takes, has no flag."""
    with pytest.raises(NoFlag, match=f"option '{name}' has no flag"):
        to_words(with_words(X, {}), [], {name: "a"})


def test_the_options_that_every_command_has() -> None:
    """Verbosity, colours and the like are said by Django's own flags."""
    parser = parser_of(lambda _: None)
    given = {
        "verbosity": 2,
        "no_color": True,
        "traceback": True,
        "pythonpath": "/a",
        "settings": "s",
    }

    assert read(parser, to_words(parser, [], given)).items() >= given.items()
    with pytest.raises(NoFlag, match="'verbosity' cannot be 7"):
        to_words(parser, [], {"verbosity": 7})


# --- several options -----------------------------------------------------------------------------


def both_inputs(parser: CommandParser) -> None:
    """Add Django's --noinput, which sets what is called "interactive", and the opposite of it."""
    parser.add_argument("--noinput", "--no-input", action="store_false", dest="interactive")
    parser.add_argument("--input", action="store_true", dest="interactive")


@pytest.mark.parametrize(
    ("name", "value", "asks", "words"),
    [
        ("interactive", False, False, ["--no-input"]),
        ("interactive", True, True, ["--input"]),
        ("no_input", True, False, ["--no-input"]),
        ("no_input", False, True, ["--input"]),
        ("input", True, True, ["--input"]),
    ],
)
def test_flags_that_share_what_they_set(
    name: str, value: bool, asks: bool, words: list[str]
) -> None:
    """Of two flags for one option that is used which gives it the value; a flag means itself."""
    parser = parser_of(both_inputs)
    made = to_words(parser, [], {name: value})
    assert read(parser, made)["interactive"] is asks
    assert made in (words, [])


def test_a_default_is_what_the_parser_makes_of_two() -> None:
    """Where flags share what they set, the first one's default counts, not just anyone's."""

    def add(parser: CommandParser) -> None:
        parser.add_argument("--slow", dest="mode", action="store_const", const="s", default="m")
        parser.add_argument("--fast", dest="mode", action="store_const", const="f", default="x")

    parser = parser_of(add)
    assert read(parser, to_words(parser, [], {"mode": "f"}))["mode"] == "f"
    assert read(parser, to_words(parser, [], {"mode": "m"}))["mode"] == "m"
    with pytest.raises(NoFlag):
        to_words(parser, [], {"mode": "x"})


def test_constants_of_several_flags_keep_their_order() -> None:
    """Each constant of a list is said by the flag that adds it."""

    def add(parser: CommandParser) -> None:
        for name in ("one", "two"):
            parser.add_argument(f"--{name}", dest="x", action="append_const", const=name)

    parser = parser_of(add)
    assert to_words(parser, [], {"x": ["two", "one", "two"]}) == ["--two", "--one", "--two"]


def test_a_name_means_what_call_command_takes_it_for() -> None:
    """A flag's name counts for more than the same name of what another flag sets."""

    def add(parser: CommandParser) -> None:
        parser.add_argument("--using", dest="database")
        parser.add_argument("--database", dest="alias")

    parser = parser_of(add)
    parsed = read(parser, to_words(parser, [], {"database": "other"}))
    assert (parsed["alias"], parsed["database"]) == ("other", None)


def exclusive(parser: CommandParser) -> None:
    """Add two flags of which one may be given."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("--all", action="store_true")
    group.add_argument("--only")


def test_flags_that_exclude_each_other() -> None:
    """One of them is said; both together, which the parser would not take, are refused."""
    parser = parser_of(exclusive)
    for options in ({"all": True}, {"only": "-x"}, {"all": False, "only": "x"}):
        assert read(parser, to_words(parser, [], options)).items() >= options.items()
    with pytest.raises(NoFlag):
        to_words(parser, [], {"all": True, "only": "x"})


def test_what_is_required_is_said_though_it_is_the_default() -> None:
    """A required option is not left out because its default is the same."""
    parser = with_words(X, {"required": True, "default": "d"})
    assert read(parser, to_words(parser, [], {"x": "d"}))["x"] == "d"


def test_an_option_counts_for_more_than_the_same_flag_among_the_arguments() -> None:
    """What call_command gives the option, it is given in words, too, or it is refused."""
    parser = with_words(X, {})
    for arguments in (["--x", "word"], ["a", "--x=word"]):
        with contextlib.suppress(NoFlag):
            assert read(parser, to_words(parser, arguments, {"x": "option"}))["x"] == "option"


def test_a_flag_that_is_off_by_its_option_is_not_on_by_the_arguments() -> None:
    """False counts for more than the flag among the arguments, as with call_command."""
    parser = with_words(X, {"action": "store_true"})
    with contextlib.suppress(NoFlag):
        assert read(parser, to_words(parser, ["--x"], {"x": False}))["x"] is False


def test_an_option_does_not_add_to_the_arguments() -> None:
    """A list is not put behind what the same flag has among the arguments."""
    parser = with_words(X, APPEND)
    with contextlib.suppress(NoFlag):
        made = to_words(parser, ["--x", "word"], {"x": ["option"]})
        assert read(parser, made)["x"] == ["option"]


@pytest.mark.parametrize(
    "arguments", [["c", "d"], ["--", "--many", "e"], ["c", "--", "-d"]], ids=" ".join
)
def test_options_of_many_values_stand_where_they_swallow_nothing(arguments: list[str]) -> None:
    """Values, words, and what stands behind two dashes all arrive where they belong."""

    def add(parser: CommandParser) -> None:
        parser.add_argument("words", nargs="*")
        parser.add_argument("--many", nargs="+")
        parser.add_argument("--any", nargs="*")
        parser.add_argument("--maybe", nargs="?", const=True)
        parser.add_argument("--flag", action="store_true")

    parser = parser_of(add)
    given = {"many": ["a", "b"], "any": [], "maybe": True, "flag": True}
    parsed = read(parser, to_words(parser, arguments, given))
    assert {name: parsed[name] for name in given} == given
    assert parsed["words"] == [one for one in arguments if one != "--"]


def test_what_swallows_the_rest_of_the_line_swallows_no_option() -> None:
    """Behind arguments of which the last takes all that follows, no option is put."""

    def add(parser: CommandParser) -> None:
        parser.add_argument("script")
        parser.add_argument("rest", nargs=argparse.REMAINDER)
        parser.add_argument("--tags", nargs="+")
        parser.add_argument("--tag")

    parser = parser_of(add)
    parsed = read(parser, to_words(parser, ["s", "-a", "b"], {"tag": "t"}))
    assert (parsed["script"], parsed["rest"], parsed["tag"]) == ("s", ["-a", "b"], "t")
    with pytest.raises(NoFlag):
        to_words(parser, ["s", "-a", "b"], {"tags": ["t", "u"]})


def test_a_value_that_names_a_file_of_arguments_is_no_such_file() -> None:
    """Where the parser reads arguments from files, a value with that sign is not taken for one."""
    parser = parser_of(lambda parser: parser.add_argument("--x", nargs="+"))
    parser.fromfile_prefix_chars = "@"
    assert read(parser, to_words(parser, [], {"x": ["@a"]}))["x"] == ["@a"]
    with pytest.raises(NoFlag):
        to_words(parser, [], {"x": ["@a", "@b"]})


# --- subparsers ----------------------------------------------------------------------------------


def subparsers(parser: CommandParser) -> None:
    """Add two subcommands that share names, one with a subcommand of its own."""
    parser.add_argument("--main", default="m")
    parser.add_argument("--some", nargs="+")
    parser.add_argument("--shared", default="of the command")
    known = parser.add_subparsers(dest="action", required=True)
    for name, default in (("import", "json"), ("export", "csv")):
        sub = known.add_parser(name)
        sub.add_argument("files", nargs="*")
        sub.add_argument("--format", default=default)
        sub.add_argument("--tags", nargs="+")
    sub.add_argument("--compress", action="store_true")
    deep = known.add_parser("deep")
    deep.add_argument("--outer", default="o")
    deep.add_argument("--shared", default="of deep")
    deeper = deep.add_subparsers(dest="deeper", required=True).add_parser("deeper")
    deeper.add_argument("--inner", default="i")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (["import"], {"main": "-x"}, ["--main=-x", "import"]),
        (["import", "a"], {"format": "-x"}, ["import", "a", "--format=-x"]),
        (["import", "a"], {"main": "x", "format": "y"}, ["--main=x", "import", "a", "--format=y"]),
        (["import", "a"], {"tags": ["b", "c"]}, ["import", "a", "--tags", "b", "c"]),
        (["export", "--", "-a"], {"compress": True}, ["export", "--compress", "--", "-a"]),
        (["import"], {"format": "json"}, None),
        (["import"], {"format": "csv"}, ["import", "--format=csv"]),
        (["export"], {"format": "json"}, ["export", "--format=json"]),
        (["export"], {"format": "csv"}, None),
        (["deep", "deeper"], {"inner": "x"}, ["deep", "deeper", "--inner=x"]),
    ],
)
def test_options_of_subcommands_stand_behind_them(
    arguments: list[str], options: dict[str, Any], words: list[str] | None
) -> None:
    """An option of the command stands before the subcommand's name, one of that behind it."""
    parser = parser_of(subparsers)
    made = to_words(parser, arguments, options)
    parsed = read(parser, made)
    assert {name: parsed[name] for name in options} == options
    assert words is None or made == words


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        pytest.param(["import", "a"], {"some": ["x", "y"]}, id="the subcommand could be a value"),
        pytest.param(["import"], {"compress": True}, id="of another subcommand"),
        pytest.param(["export", "a", "--", "-b"], {"compress": True}, id="before two dashes"),
        pytest.param(["deep", "deeper"], {"outer": "x"}, id="of the one in between"),
        pytest.param(["deep", "deeper"], {"shared": "x"}, id="the subcommand's default wins"),
        pytest.param(["import"], {"files": ["a"]}, id="an argument of the subcommand"),
        pytest.param([], {"action": "import"}, id="the subcommand itself"),
    ],
)
def test_what_a_subcommand_would_not_read_is_refused_or_right(
    arguments: list[str], options: dict[str, Any]
) -> None:
    """Where the parser would stop at an option, or lose it, that is found before anything runs."""
    parser = parser_of(subparsers)
    with contextlib.suppress(NoFlag):
        parsed = read(parser, to_words(parser, arguments, options))
        assert {name: parsed[name] for name in options} == options


def test_names_are_those_that_call_command_takes() -> None:
    """A subcommand's option has the name of what it sets; a command's own that of its flag, too."""

    class Command(BaseCommand):
        def add_arguments(self, parser: CommandParser) -> None:
            parser.add_argument("--main-flag", dest="main")
            sub = parser.add_subparsers(dest="action").add_parser("sub")
            sub.add_argument("--sub-flag", dest="below")

        def handle(self, *args: Any, **options: Any) -> None: ...

    names = known_options(Command(), options_of(Command().create_parser("", "test")))
    for name, right in (("main", 1), ("main_flag", 1), ("below", 1), ("sub_flag", 0)):
        assert (name in names) is bool(right), name
        with contextlib.nullcontext() if right else pytest.raises(TypeError, match="sub_flag"):
            call_command(Command(), "sub", **{name: "x"})


# --- any parser, any options ---------------------------------------------------------------------

TEXTS = st.one_of(
    st.sampled_from(
        ["", "a", "-", "--", "-a", "--one", "--one=b", "-1", "=a", "a b", "-1 x", "@a"]
    ),
    st.text("-=a1 ", max_size=4),
)
NUMBERS = st.integers(-3, 3)
VALUES = st.one_of(
    TEXTS,
    NUMBERS,
    st.booleans(),
    st.none(),
    st.lists(TEXTS, max_size=3),
    st.lists(NUMBERS, max_size=3),
    st.lists(st.lists(TEXTS, max_size=2), max_size=2),
    st.sampled_from([Path("-p"), Decimal("-1.5"), 0.5, Mode.FAST, Mixed.FAST, Colour.RED, b"x"]),
)
NAMES = ("one", "two", "three")


@st.composite
def added(draw: st.DrawFn, name: str) -> tuple[Flags, dict[str, Any]]:
    """Draw what add_argument() may be given for an option."""
    long, short = f"--{name}", f"-{name[0]}"
    flags = draw(st.sampled_from([(long,), (short, long), (short,), (f"-{name}",)]))
    action = draw(
        st.sampled_from(
            [
                *("store", "store", "store_true", "store_false", "store_const", "append"),
                *("append_const", "extend", "count", argparse.BooleanOptionalAction),
            ]
        )
    )
    dest = draw(st.sampled_from([name] * 8 + list(NAMES)))
    kwargs: dict[str, Any] = {"action": action, "dest": dest}
    if action in ("store", "append", "extend"):
        kwargs["type"] = draw(st.sampled_from([None, None, int, float]))
        kwargs["nargs"] = draw(st.sampled_from([None, None, "?", "*", "+", 1, 2]))
        if kwargs["nargs"] == "?" and action == "store":
            kwargs["const"] = draw(VALUES)
        if kwargs["type"] is None and draw(st.integers(0, 3)) == 0:
            kwargs["choices"] = ["a", "-a", "", "a b"]
        if action == "store" and draw(st.integers(0, 4)) == 0:
            kwargs["default"] = draw(VALUES)
        kwargs["required"] = draw(st.integers(0, 11)) == 0
    if action in ("store_const", "append_const"):
        kwargs["const"] = draw(VALUES)
    if action in ("append", "extend", "append_const"):
        kwargs["default"] = draw(st.sampled_from([None, None, None, [], ["a"]]))
    if action in ("count", argparse.BooleanOptionalAction):
        kwargs["default"] = draw(st.sampled_from([None, 0, 1, True]))
    return flags, kwargs


def suited(kwargs: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values that an option may be meant to have."""
    action, nargs = kwargs["action"], kwargs.get("nargs")
    if action in ("store_const", "append_const"):
        const = st.just(kwargs["const"])
        return const if action == "store_const" else st.lists(const, max_size=3)
    if action == "count":
        return NUMBERS
    if action not in ("store", "append", "extend"):
        return st.booleans()
    one: st.SearchStrategy[Any] = {int: NUMBERS, float: st.sampled_from([0.5, -2.0])}.get(
        kwargs["type"], st.sampled_from(["a", "-a", "a b"]) if "choices" in kwargs else TEXTS
    )
    if nargs not in (None, "?"):
        least, most = (nargs, nargs) if isinstance(nargs, int) else (0, 3)
        values: st.SearchStrategy[Any] = st.lists(one, min_size=least, max_size=most)
    else:
        values = one
    return st.lists(values, max_size=2) if action == "append" else values


def add_all(parser: Any, options: list[tuple[Flags, dict[str, Any]]]) -> None:
    """Give a parser these options, those that have the same flag under the first one's name."""
    for flags, kwargs in options:
        free = tuple(flag for flag in flags if flag not in parser._option_string_actions)
        if free:
            parser.add_argument(*free, **kwargs)


@dataclass
class Drawn:
    """A parser in words, and arguments and options for it."""

    main: list[tuple[Flags, dict[str, Any]]]
    subs: list[list[tuple[Flags, dict[str, Any]]]]
    words: bool
    arguments: list[str]
    options: dict[str, Any]

    def parser(self) -> CommandParser:
        """Return the parser."""
        parser = CommandParser(prog="test")
        add_all(parser, self.main)
        if self.words:
            parser.add_argument("words", nargs="*")
        if self.subs:
            known = parser.add_subparsers(dest="sub")
            for name, sub in zip(SUBS, self.subs, strict=True):
                add_all(known.add_parser(name), sub)
        return parser


SUBS = ("left", "right")
ARGUMENTS: dict[str, list[list[str]]] = {
    "nothing": [[]],
    "words": [["w"], [], ["w", "x"], ["w", "--", "-x"], ["--", "x"], ["w", "--one"]],
    "subcommands": [["left"], ["right"], []],
}


@st.composite
def commands(draw: st.DrawFn) -> Drawn:
    """Draw a command, arguments and options."""
    some = st.lists(st.sampled_from(NAMES), unique=True, max_size=3)
    shape = draw(st.sampled_from(sorted(ARGUMENTS)))
    main = [draw(added(name)) for name in draw(some)]
    subs = [[draw(added(name)) for name in draw(some)] for _ in SUBS if shape == "subcommands"]
    known = [kwargs for part in (main, *subs) for _, kwargs in part]
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=2)) if known else []
    options = {
        kwargs["dest"]: draw(VALUES if draw(st.integers(0, 5)) == 0 else suited(kwargs))
        for kwargs in chosen
    }
    if not options or draw(st.integers(0, 9)) == 0:
        options[draw(st.sampled_from(NAMES))] = draw(VALUES)
    arguments = draw(st.sampled_from(ARGUMENTS[shape]))
    return Drawn(main, subs, shape == "words", arguments, options)


def same(read: Any, given: Any) -> bool:
    """Tell whether a command was given what was meant: a value, or the text that stands for it."""
    if isinstance(given, list | tuple):
        return isinstance(read, list) and len(read) == len(given) and all(map(same, read, given))
    if isinstance(given, Mixed):
        return bool(read == given)
    if (type(read), read) == (type(given), given):
        return True
    if isinstance(given, bool | None) or isinstance(read, bool | None):
        return False
    if isinstance(given, str):
        numbers = isinstance(read, int | float) and given.strip(" -1234567890.") == ""
        return numbers and given.strip() != "" and bool(type(read)(given) == read)
    return bool(read == given) or (isinstance(read, str) and read == str(given))


@many
@given(commands())
def test_any_options_are_read_as_given_or_refused(drawn: Drawn) -> None:
    """Whatever the parser and the options: it reads exactly these values, or none is said."""
    parser = drawn.parser()
    try:
        made = to_words(parser, drawn.arguments, drawn.options)
    except NoFlag:
        event("refused")
        return
    event("said")
    try:
        parsed = vars(parser.parse_args(made))
    except CommandError:
        if cannot_be_read(drawn):
            return  # what else is missing is not for the options to say
        raise
    for name, value in drawn.options.items():
        dest = dest_of(parser, name)
        assert same(parsed[dest], value), (made, name, parsed[dest])


def dest_of(parser: CommandParser, name: str) -> str:
    """Return what a name sets, as call_command() finds it."""
    longs = {
        min(one.option_strings).lstrip("-").replace("-", "_"): one.dest
        for one in parser._actions
        if one.option_strings
    }
    return longs.get(name, name)


def cannot_be_read(drawn: Drawn) -> bool:
    """Tell whether the arguments are refused without any option, too."""
    try:
        drawn.parser().parse_args(drawn.arguments)
    except CommandError:
        return True
    return False


# --- django-typer --------------------------------------------------------------------------------


given_to_plain: dict[str, Any] = {}


class Plain(TyperCommand):
    """A django-typer command without subcommands."""

    def handle(
        self,
        word: Annotated[str, typer.Argument()] = "w",
        *,
        flag: Annotated[bool, typer.Option("--flag")] = False,
        stuck: Annotated[bool, typer.Option("--stuck")] = True,
        power: Annotated[bool, typer.Option("--on/--off")] = True,
        value: str = "v",
        number: int = 1,
        maybe: str | None = None,
        many: Annotated[list[str], typer.Option("--many", "-m")] = [],  # noqa: B006 - typer copies it
        mode: Mode = Mode.FAST,
        mixed: Mixed = Mixed.FAST,
        pair: tuple[str, str] = ("a", "b"),
        path: Path = Path("p"),
    ) -> None:
        given_to_plain.update(locals())


class Grouped(TyperCommand):
    """A django-typer command with subcommands."""

    @initialize()
    def init(self, *, main: str = "m", flag: bool = False) -> None: ...

    @command()
    def first(self, word: str = "w", *, own: str = "o", power: bool = False) -> None: ...

    @command()
    def second(self, *, other: str = "x") -> None: ...


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"flag": True}, ["--flag"]),
        ({"flag": False}, []),
        ({"power": True}, ["--on"]),
        ({"power": False}, ["--off"]),
        ({"value": "-x"}, ["--value=-x"]),
        ({"value": ""}, ["--value="]),
        ({"number": -3}, ["--number=-3"]),
        ({"maybe": None}, []),
        ({"maybe": "a b"}, ["--maybe=a b"]),
        ({"many": ["a", "-b"]}, ["--many=a", "--many=-b"]),
        ({"many": []}, []),
        ({"mode": Mode.FAST}, ["--mode=fast"]),
        ({"mixed": Mixed.FAST}, ["--mixed=fast"]),
        ({"path": Path("/a b")}, ["--path=/a b"]),
    ],
)
def test_options_of_a_typer_command(options: dict[str, Any], words: list[str]) -> None:
    """A django-typer command reads from the words what its function would have been given."""
    made = to_words(Plain().create_parser("", "plain"), ["word"], options)
    assert made == [*words, "word"]
    call_command(Plain(), *made)
    assert {name: given_to_plain[name] for name in options} == options
    assert given_to_plain["word"] == "word"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"word": "x"}, "is an argument without a flag"),
        ({"nobody": "x"}, "has no flag"),
        ({"flag": "yes"}, "is a flag, and cannot be 'yes'"),
        ({"stuck": False}, ""),
        ({"stuck": None}, ""),
        ({"power": None}, ""),
        ({"value": None}, ""),
        ({"value": True}, "has a bool"),
        ({"number": "three"}, ""),
        ({"many": "ab"}, "takes a list, not 'ab'"),
        ({"mode": "slow"}, ""),
        ({"pair": ("c", "d")}, "takes several values"),
    ],
)
def test_options_that_a_typer_command_cannot_be_given(options: dict[str, Any], why: str) -> None:
    """What a django-typer command would not read as it was given is refused, with the reason."""
    with pytest.raises(NoFlag) as refused:
        to_words(Plain().create_parser("", "plain"), [], options)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (["first", "a"], {"main": "x"}, ["--main=x", "first", "a"]),
        (["first", "a"], {"own": "x"}, ["first", "a", "--own=x"]),
        (["first"], {"flag": True, "power": True}, ["--flag", "first", "--power"]),
        (["second"], {"other": "-x", "no_color": True}, ["--no-color", "second", "--other=-x"]),
        (["first", "--", "-a"], {"own": "x"}, ["first", "--own=x", "--", "-a"]),
    ],
)
def test_options_of_a_typer_command_with_subcommands(
    arguments: list[str], options: dict[str, Any], words: list[str]
) -> None:
    """The command's own options stand before the subcommand's name, those of that behind it."""
    assert to_words(Grouped().create_parser("", "grouped"), arguments, options) == words


# --- argparse itself -----------------------------------------------------------------------------


def test_argparse_keeps_its_options_where_they_are_looked_for() -> None:
    """There is no public way to ask for a parser's options: this fails if the private one goes."""
    parser = argparse.ArgumentParser(add_help=False)
    option = parser.add_argument("--x")
    subs = parser.add_subparsers()
    below = subs.add_parser("sub", add_help=False).add_argument("--y")

    assert parser._actions == [option, subs]
    assert isinstance(subs.choices, dict)
    found = [(one.action, one.below) for one in options_of(parser)]
    assert found == [(option, False), (subs, False), (below, True)]
    assert {one.dest for one in options_of(Plain().create_parser("", "plain"))} >= {"flag", "pair"}
