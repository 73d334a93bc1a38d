"""The three kinds of source and what each says: settings, apps, distributions."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import gcd
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

from django.apps import AppConfig, apps
from django.conf import ENVIRONMENT_VARIABLE, settings
from django.utils.module_loading import module_has_submodule

from .assignments import INCLUDED_KEY, MERGED_KEY, combine, place_additions
from .canonical import jsonable
from .commands import ROUTINE_SETTING, Entry, Place
from .contribute import contributed
from .contribution import Contribution
from .distributions import HOOK_GROUP, entry_points
from .fragments import Reader
from .literals import SettingsFile
from .model import (
    SETTINGS,
    Code,
    Fragment,
    Origin,
    Problem,
    Release,
    Searched,
    Source,
    closest,
)
from .policy import Policy, names, read_policy
from .provenance import Releases

if TYPE_CHECKING:
    from .plugins import Answer, Manager

_HOOK_MODULE = "routines"
_INSTALLED = ("site-packages", "dist-packages")


@dataclass
class Gathered:
    """What the sources of one kind say."""

    fragments: list[Fragment] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    searched: list[Searched] = field(default_factory=list)
    roots: tuple[str, ...] = ()
    """The directory of the project, as its path may be spelt; the settings know it."""

    def read(self, source: Source, contribution: Contribution) -> None:
        """Add what a contribution declares.

        :param source: whose it is.
        :param contribution: what it declared.
        """

        def locate(place: Place | None) -> Origin:
            if place is None:
                return Origin(source)
            file, line = place
            return Origin(source, contribution.files.get(file), _int(line))

        reader = Reader(source, locate, len(self.fragments))
        self.fragments += reader.read(contribution.declared)
        self.problems += reader.problems

    def take(self, answer: Answer) -> Searched:
        """Add a plugin's answer, and return what there is to say of the plugin.

        :param answer: the answer.
        """
        if answer.problem is not None:
            self.problems.append(answer.problem)
            return Searched(answer.source, "broken", problem=answer.problem)
        if answer.same_as:
            return Searched(answer.source, "same", same_as=answer.same_as)
        self.read(answer.source, answer.contribution)
        return Searched(answer.source)


Plugins: TypeAlias = "Callable[[], Manager]"
"""Returns what asks plugins, which is loaded, pluggy with it, when there is one to be asked."""

Add: TypeAlias = Callable[[list[Gathered], Plugins, Policy], None]
"""Adds to what was gathered."""


def gather(replaced: Collection[str] = (), add: Add | None = None) -> list[Gathered]:
    """Return what every source of the site says, kind by kind, in the order of their ranks.

    :param replaced: the names of distributions that are not looked at.
    :param add: adds to what the sources say; tests have sources of their own.
    """
    policy = read_policy(getattr(settings, "DJANGO_RUNBOOK", None))
    plugins = cache(_manager)
    releases = Releases()
    gathered = [
        from_settings(releases),
        from_apps(plugins, policy, releases),
        from_distributions(plugins, policy, replaced),
    ]
    if add is not None:
        add(gathered, plugins, policy)
    searched = [one for each in gathered for one in each.searched]
    gathered[0].problems = [
        *policy.problems,
        *unknown_plugins(policy, searched),
        *gathered[0].problems,
    ]
    return gathered


def _manager() -> Manager:
    from .plugins import Manager

    # Also those of apps that have none, which may not be named by anybody else.
    return Manager({_hook_module(config): config.label for config in apps.get_app_configs()})


def _hook_module(config: AppConfig) -> str:
    """Return the dotted path of the module in which an app's hook would be."""
    return f"{config.name}.{_HOOK_MODULE}"


def from_settings(releases: Releases) -> Gathered:
    """Return what the project's settings declare.

    :param releases: knows which distribution ships a component.
    """
    files = SettingsFiles(releases)
    reader = Reader(SETTINGS, files.locate)
    fragments = reader.read(files.declared)
    searched = Searched(SETTINGS, where=settings_module())
    return Gathered(fragments, reader.problems, [searched], files.roots)


def settings_module() -> str:
    """Return the settings module's name, or nothing if there is none.

    Settings that a test overrides do not tell it, but the variable that they were found by does.
    """
    return str(
        getattr(settings, "SETTINGS_MODULE", None) or os.environ.get(ENVIRONMENT_VARIABLE) or ""
    )


class SettingsFiles:
    """The files that the settings in force were read from.

    Files are named relative to the project's root, the directory that holds the top-level package
    of the settings module, so that neither the working directory nor the place of the checkout
    shows in a plan.
    """

    def __init__(self, releases: Releases | None = None) -> None:
        name = settings_module()
        self._releases = releases or Releases()
        self._namespace: Mapping[str, Any] = vars(sys.modules[name]) if name in sys.modules else {}
        self.path: str | None = self._namespace.get("__file__")
        self._root = Path(self.path).parents[_depth(name, self.path)] if self.path else None
        self._literals: dict[str, SettingsFile] = {}
        self._relative: dict[str, str] = {}
        self._shipped: dict[str, Release | None] = {}

    @property
    def roots(self) -> tuple[str, ...]:
        """The project's directory, as it is named and where it really is; none if that is all.

        It is the one that the settings' package lies in, or that above it which the settings call
        ``BASE_DIR``, as those of a project whose code lies in ``src/`` do.
        """
        if self._root is None:
            return ()
        named = Path(os.path.abspath(self._root))
        real = Path(os.path.realpath(named))
        base = getattr(settings, "BASE_DIR", None)
        if isinstance(base, str | os.PathLike) and os.path.isabs(base):
            above = Path(os.path.realpath(base))
            inside = real.is_relative_to(above) and above != Path(above.anchor)
            below = real.relative_to(above).parts if inside else ()
            if below and named.parts[-len(below) :] == below:
                named, real = named.parents[len(below) - 1], above
        both = dict.fromkeys(map(str, (named, real)))
        return tuple(one for one in both if one != os.path.dirname(one))

    @property
    def included(self) -> list[str]:
        """The components that were included, in the order in which they were read."""
        return list(self._namespace.get("__included_files__", ()))

    @property
    def included_plainly(self) -> list[str]:
        """The components that ``split_settings`` included on its own, unsorted."""
        ours = set(self._namespace.get(INCLUDED_KEY, ()))
        return [file for file in self.included if file not in ours]

    def unsorted_groups(self) -> list[frozenset[str]]:
        """Return the files of each wildcard of plain ``split_settings``, as plans show them."""
        plain = self.included_plainly
        if self.path is None or not plain:
            return []
        wildcards = [
            wildcard
            for file in (self.path, *self.included)
            for wildcard in self.literal(file).wildcards()
        ]
        found = [{os.path.abspath(file) for file in glob.glob(one)} for one in wildcards]
        return [frozenset(self.relative(file) for file in plain if file in one) for one in found]

    def locate(self, place: Place | None) -> Origin:
        """Return the origin for a place in a settings file.

        :param place: what a declaration carries.
        """
        if place is None:
            return Origin(SETTINGS)
        file, line = place
        if not isinstance(line, int):
            file = self._spelt_out_in(file, line)
            line = self.literal(file).line(line) or 0
        return Origin(SETTINGS, self.relative(file), line or None, self._shipped_by(file))

    def _spelt_out_in(self, file: str, entry: Entry) -> str:
        """Return the file whose literal holds an entry: ``from .base import *`` takes it over."""
        if entry.path and not self.literal(file).assigns:
            for base in self._bases:
                if self.literal(base).line(entry):
                    return base
        return file

    @cached_property
    def _bases(self) -> list[str]:
        """The files of the other modules that have the setting, as base settings do."""
        modules = [
            (name, vars(module).get("__file__"))
            for name, module in dict[str, object](sys.modules).items()
            if isinstance(module, ModuleType)  # not everything that calls itself one is one
            and ROUTINE_SETTING in vars(module)
            and vars(module) is not self._namespace
        ]
        return [file for _, file in sorted(modules) if file]

    def literal(self, file: str) -> SettingsFile:
        """Return a settings file's literal, read once.

        :param file: the file's path.
        """
        if file not in self._literals:
            self._literals[file] = SettingsFile(file)
        return self._literals[file]

    def relative(self, file: str) -> str:
        """Return a settings file's path as plans show it.

        :param file: the file's path.
        """
        if file not in self._relative:
            self._relative[file] = self._from_root(Path(os.path.abspath(file)))
        return self._relative[file]

    def _shipped_by(self, file: str) -> Release | None:
        """Return the distribution that a file came with, if it is not the project's own."""
        if file not in self._shipped:
            path = Path(os.path.abspath(file))
            root = self._root_of(path)
            if root is None or (root == self._root and root.name not in _INSTALLED):
                self._shipped[file] = None
            else:
                parts = path.relative_to(root).parts
                self._shipped[file] = self._releases.of_file(root, parts)
        return self._shipped[file]

    def _from_root(self, path: Path) -> str:
        root = self._root_of(path)
        return path.name if root is None else path.relative_to(root).as_posix()

    def _root_of(self, path: Path) -> Path | None:
        """Return the directory of the project, or of what is imported, that a file belongs to."""
        paths = [Path(entry) for entry in sys.path if entry]
        # A virtual environment may lie in the project: what is installed there is no part of it.
        installed = [entry for entry in paths if entry.name in _INSTALLED]
        roots = (*installed, *([self._root] if self._root else []), *paths)
        return next((root for root in roots if path.is_relative_to(root)), None)

    @cached_property
    def declared(self) -> Any:
        """The setting, each of its parts with the place that it was declared at."""
        declared = getattr(settings, ROUTINE_SETTING, None)
        namespace = self._namespace
        if ROUTINE_SETTING not in namespace or declared is not namespace[ROUTINE_SETTING]:
            # override_settings() replaces the whole, and there is no file
            return {} if declared is None else declared
        merged = namespace.get(MERGED_KEY)
        file = self._assigned_in()
        if merged is None:
            return combine({}, declared, file)
        # Where the settings module has assigned the setting after its last include(), that is one
        # more assignment, which adds to the others as those in the components do.
        said = declared if merged is declared else combine(merged, declared, file)
        if self.path is not None:  # what it has put into the lists after its last include()
            place_additions(said, self.path)
        return said

    def _assigned_in(self) -> str | None:
        """Return the file that assigns the setting last, as far as its source tells."""
        own = [self.path] if self.path is not None else []
        if MERGED_KEY in self._namespace or any(self.literal(one).assigns_last for one in own):
            return self.path
        files = [*reversed(self.included), *own, *self._bases]
        return next((file for file in files if self.literal(file).assigns), None)


def _depth(module: str, path: str) -> int:
    """Return how many directories lie between a module's file and its project's root."""
    return module.count(".") + (os.path.basename(path) == "__init__.py")


def _int(line: Any) -> int | None:
    return line if isinstance(line, int) else None


def from_apps(plugins: Plugins, policy: Policy, releases: Releases) -> Gathered:
    """Return what the installed apps contribute, by ``ready()`` and by hook.

    :param plugins: returns what asks the hook modules.
    :param policy: says which apps are blocked.
    :param releases: knows which distributions they came with.
    """
    gathered = Gathered()
    for index, config in enumerate(apps.get_app_configs()):
        release = releases.of_module(config.name, config.path)
        source = Source("app", config.label, index, release=release)
        module = _hook_module(config)
        has_hooks = module_has_submodule(config.module, _HOOK_MODULE)
        searched = Searched(source, policy.hearing(source), module if has_hooks else "")
        if not searched.heard:
            gathered.searched.append(searched)
            continue
        by_ready = contributed(config)
        if by_ready is not None:
            gathered.read(source, _once(by_ready))
        if has_hooks:
            searched = gathered.take(plugins().ask_app(source, module))._replace(where=module)
        gathered.searched.append(searched)
    return gathered


def from_distributions(
    plugins: Plugins, policy: Policy, replaced: Collection[str] = ()
) -> Gathered:
    """Return what the installed distributions contribute through their entry points.

    :param plugins: returns what loads and asks them.
    :param policy: says which are let in.
    :param replaced: the names of those that are not looked at.
    """
    gathered = Gathered()
    for found in entry_points(HOOK_GROUP):
        if found.name in replaced:
            continue
        source = Source(
            "distribution",
            found.name,
            entry_point=found.entry_point.name,
            release=Release(found.name, found.version),
        )
        searched = Searched(source, policy.hearing(source))
        if searched.heard:
            searched = gathered.take(plugins().ask_distribution(source, found))
        gathered.searched.append(searched._replace(where=found.entry_point.value))
    return gathered


def _once(contribution: Contribution) -> Contribution:
    """Return what a contribution declares, once however often ``ready()`` was called.

    An app's ``ready()`` that is called again declares the same again, for every routine. So if the
    commands of each routine are a sequence said k times, for one k, it was called k times. (Where
    one call says everything it says k times over, that is taken for k calls.)
    """
    try:
        lists = {
            name: [jsonable(command) for command in routine.get("commands", ())]
            for name, routine in contribution.declared.items()
        }
    except Exception:  # noqa: BLE001 - of an object in one, told when it is read
        return contribution
    calls = gcd(*(_repetitions(commands) for commands in lists.values() if commands))
    if calls < 2:
        return contribution
    result = Contribution()
    result.files = contribution.files
    for name, routine in contribution.declared.items():
        own = len(lists[name]) // calls
        result.declared[name] = {**routine, "commands": routine.get("commands", [])[:own]}
    return result


def _repetitions(items: list[Any]) -> int:
    """Return how many times over a sequence says the same shorter one; 1 if it does not."""
    size = len(items)
    periods = (period for period in range(1, size + 1) if size % period == 0)
    return next(size // period for period in periods if items == items[:period] * (size // period))


def unknown_plugins(policy: Policy, searched: Sequence[Searched]) -> list[Problem]:
    """Return a warning for each name in the plugin setting that no source has.

    :param policy: the setting.
    :param searched: every source there is.
    """
    sources = [one.source for one in searched if one.source.kind != "settings"]
    known = {source.name for source in sources}
    known |= {f"{one.name}:{one.entry_point}" for one in sources if one.entry_point}
    return [
        Problem(
            Code.UNKNOWN_PLUGIN,
            f"DJANGO_RUNBOOK names the plugin {name!r}, which is not installed.",
            closest(name, known) or "Take it out of the setting, or install it.",
            Origin(SETTINGS),
        )
        for name in sorted((policy.allow or frozenset()) | policy.block)
        if not any(names(name, source) for source in sources)
    ]
