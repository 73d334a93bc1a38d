"""Merging what several files assign to ``DJANGO_ROUTINES``.

An assignment replaces what was there, which is not what the files of split settings mean. So the
dictionary that one of them assigns is added to what the others said, and every part of it notes
where it was declared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .commands import (
    ORIGIN_KEY,
    ORIGINS_KEY,
    Entry,
    ManagementCommand,
    Place,
    Routine,
    SystemCommand,
    is_place,
)
from .declarations import (
    MALFORMED_KEY,
    STEP_KEY,
    Raw,
    listed_overrides,
    spelt_out,
    stamped,
    symbol_of,
)

MERGED_KEY = "__runbook_routines__"
"""Name in a settings namespace of the ``DJANGO_ROUTINES`` that ``include()`` left there."""

INCLUDED_KEY = "__runbook_included__"
"""Name in a settings namespace of the files that ``include()`` brought in."""


def combine(earlier: Any, later: Any, file: str | None, before: int | None = None) -> Raw:
    """Return what two assignments of ``DJANGO_ROUTINES`` say together, neither changed.

    The later one's commands come after the earlier one's; of a routine's other attributes, the
    later statement is the one in force. What the later one took over from the earlier one (as
    ``{**DJANGO_ROUTINES, ...}`` does) counts once.

    :param earlier: the dictionary in force before.
    :param later: the dictionary that was assigned.
    :param file: the file that assigned it; none if its entries say where they are from.
    :param before: the line before which the file assigned it, if it assigns more than one.
    """
    combined: Raw = dict(earlier) if isinstance(earlier, dict) else {}
    if earlier is not None and not isinstance(earlier, dict):
        combined[MALFORMED_KEY] = earlier
    try:
        named = [*later.items()] if isinstance(later, Mapping) else None
    except Exception:  # noqa: BLE001 - of a mapping of the user's own, told when it is read
        named = None
    if named is None:
        return combined if later is None else {**combined, MALFORMED_KEY: later}
    for name, value in named:
        symbol = symbol_of(name)
        said = combined.get(symbol)
        if said is value and value is not None:
            continue
        try:
            known = {} if said is None else _dictionary(said)
            placed = _placed(name, value, file, before, known)
            combined[symbol] = placed if said is None else _both(known, value, placed)
        except Exception:  # noqa: BLE001 - of an object in it, told when the routine is read
            kept = said if type(said) is dict else {}
            combined[symbol] = value if said is None else {**kept, MALFORMED_KEY: {"": value}}
    return combined


def _dictionary(value: Any) -> Raw:
    """Return a routine as a dictionary, whatever it was given as."""
    if isinstance(value, Routine):
        return spelt_out(value)
    return value if isinstance(value, dict) else {MALFORMED_KEY: {"": value}}


def _both(earlier: Raw, written: Any, placed: Any) -> Raw:
    """Return what two dictionaries say of one routine.

    :param earlier: the first.
    :param written: the second, as it was written.
    :param placed: the second, with the places of its parts.
    """
    later = _dictionary(placed)
    written = _dictionary(written)
    result = {**earlier, **{key: value for key, value in later.items() if value is not None}}
    for key in (ORIGINS_KEY, MALFORMED_KEY, "switch_helps"):
        old, new = earlier.get(key), later.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            result[key] = {**old, **new}
    for key in ("overrides", "commands"):
        old, new, originals = earlier.get(key), later.get(key), written.get(key)
        if key == "overrides":
            old, new, originals = map(listed_overrides, (old, new, originals))
        if isinstance(old, list | tuple) and isinstance(new, list | tuple):
            result[key] = [*old, *_fresh(old, new, originals)]
    return result


def _fresh(old: Sequence[Any], new: Sequence[Any], originals: Sequence[Any]) -> list[Any]:
    """Return the entries that were not taken over from the old ones, as themselves or copied.

    :param old: the entries there were.
    :param new: the entries of the later assignment, placed.
    :param originals: the same entries as they were written.
    """
    known = {id(entry) for entry in old}
    by_place: dict[str, list[Any]] = {}
    for entry in old:
        by_place.setdefault(_place_of(entry), []).append(entry)
    fresh = []
    for entry, original in zip(new, originals, strict=True):
        place = _place_of(original)
        if id(original) in known or (place and original in by_place.get(place, ())):
            continue
        fresh.append(entry)
    return fresh


def _place_of(entry: Any) -> str:
    """Return what tells places apart, and nothing for an entry that has none."""
    return repr(entry[ORIGIN_KEY]) if isinstance(entry, dict) and ORIGIN_KEY in entry else ""


def _placed(name: Any, value: Any, file: str | None, before: int | None, earlier: Raw) -> Any:
    """Return a copy of an assigned routine in which every part says where it was declared."""
    if not isinstance(value, dict) or file is None:
        return value

    def at(*path: Any) -> Place:
        return (file, Entry((name, *path), before))

    placed = dict(value)
    stated: dict[str, Place] = {key: at(key) for key in value if isinstance(key, str)}
    helps = value.get("switch_helps")
    if isinstance(helps, dict):
        stated.update((f"--{symbol_of(one)}", at("switch_helps", one)) for one in helps)
    placed[ORIGINS_KEY] = {**stated, **_own_origins(value, earlier)}
    commands = value.get("commands")
    if isinstance(commands, list | tuple):
        placed["commands"] = [
            stamped(cmd, _own_place(cmd) or at("commands", index))
            for index, cmd in enumerate(commands)
        ]
    overrides = listed_overrides(value.get("overrides"))
    if isinstance(overrides, list):
        placed["overrides"] = [
            stamped(one, at("overrides", one.get(STEP_KEY)) if isinstance(one, dict) else at())
            for one in overrides
        ]
    return placed


def _own_origins(value: Raw, earlier: Raw) -> dict[str, Any]:
    """Return the places that a routine already has for its attributes, but for stale ones.

    ``{**DJANGO_ROUTINES["deploy"], "atomic": True}`` takes over the places with the values; that
    of ``atomic`` is then the place of what was replaced.
    """
    own, old = value.get(ORIGINS_KEY), earlier.get(ORIGINS_KEY)
    if not isinstance(own, dict):
        return {}
    taken_over = old if isinstance(old, dict) else {}
    return {
        key: place
        for key, place in own.items()
        if isinstance(key, str)
        and (taken_over.get(key) != place or _stated(value, key) is _stated(earlier, key))
    }


def _stated(routine: Raw, key: str) -> Any:
    """Return an attribute of a routine, or the help of a switch (``--demo``)."""
    if key.startswith("--"):
        helps = routine.get("switch_helps")
        return helps.get(key[2:]) if isinstance(helps, dict) else None
    return routine.get(key)


def place_additions(routines: Raw, file: str) -> None:
    """Note where the commands are from that a file has put into lists already there.

    :param routines: the setting in force, its earlier commands placed.
    :param file: the file that has just been executed.
    """
    for routine in routines.values():
        # Exactly these: what is of another type is read later, and may raise.
        commands = routine.get("commands") if type(routine) is dict else None
        if type(commands) is not list:
            continue
        for index, command in enumerate(commands):
            if type(command) is not dict or ORIGIN_KEY not in command:
                commands[index] = stamped(command, _own_place(command) or (file, Entry()))


def _own_place(command: Any) -> Place | None:
    """Return the place that a command object knows, of which there is none but ours."""
    if not isinstance(command, ManagementCommand | SystemCommand):
        return None
    own = vars(command).get("place")
    return own if is_place(own) else None
