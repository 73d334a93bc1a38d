"""Contributing from installed distributions, through the entry points of ``django_runbook``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from .projects import Project, hook, ids, install, problem_ids, write


def says(word: str) -> str:
    """Return a hook module that declares one probe with this word."""
    return hook(f'routines.command("deploy", "probe", "{word}")')


def plugin(name: str, word: str, *, entry_point: str = "main", version: str = "1.0") -> Any:
    """Return the arguments of a distribution with one entry point and one hook module."""
    package = name.lower().replace("-", "_").replace(".", "_")
    return {
        "name": name,
        "version": version,
        "modules": {f"{package}/hooks.py": says(word)},
        "entry_points": {"django_runbook": {entry_point: f"{package}.hooks"}},
    }


def origins(document: Any) -> list[tuple[str, str, str, int]]:
    """Return the source, version, file and line of each step that runs, in order."""
    keys = ("source", "version", "file", "line")
    return [tuple(step["origin"][key] for key in keys) for step in document["steps"]]


def words(document: Any) -> list[str]:
    """Return the first argument of each step that runs, in order."""
    return [step["argv"][1] for step in document["steps"]]


def test_a_distribution_that_is_no_app(project: Project) -> None:
    """It needs no word in the settings, and is shown by name, version, file and line."""
    project.distribution(**plugin("acme-cdn", "purge", version="2.3.1"))
    project.settings('command("deploy", "probe", "own")')

    document = project.explain()

    assert ids(document) == ["settings:probe", "acme-cdn:probe"]
    assert document["steps"][1]["origin"] == {
        "kind": "distribution",
        "source": "acme-cdn",
        "distribution": "acme-cdn",
        "version": "2.3.1",
        "file": "acme_cdn/hooks.py",
        "line": 5,
    }
    known = {"kind": "distribution", "source": "acme-cdn", "version": "2.3.1", "steps": 1}
    assert known in document["sources"]
    table = project.manage("routine", "deploy", "--explain").out
    assert "acme-cdn 2.3.1 acme_cdn/hooks.py:5" in table
    ran = project.manage("routine", "deploy")
    assert (ran.status, project.ran) == (0, ["probe own", "probe purge"])


def test_names_are_normalised(project: Project) -> None:
    """However a distribution spells its name, it is known by the normal form (PEP 503)."""
    project.distribution(**plugin("Acme_CDN", "one"))
    project.distribution(**plugin("ACME.Search--Tools", "two"))
    project.settings("")

    document = project.explain()

    assert ids(document) == ["acme-cdn:probe", "acme-search-tools:probe"]


def test_installation_order_and_directory_do_not_show(tmp_path: Path) -> None:
    """The same distributions give the same bytes, whichever was installed first and where."""
    plugins = [
        plugin("zebra", "z"),
        plugin("Beta", "b", entry_point="zz"),
        plugin("alpha-tools", "a", entry_point="zz"),
        plugin("mule", "m"),
    ]

    def explained(name: str, order: Sequence[Any], *, together: bool) -> str:
        project = Project(tmp_path / name / "project")
        for one in order:
            if together:
                install(tmp_path / name / "one" / "site-packages", **one)
            else:
                project.distribution(**one)
        if together:
            project.paths.append(tmp_path / name / "one" / "site-packages")
        project.settings('command("deploy", "probe", "own")')
        ran = project.manage("routine", "deploy", "--explain", "--format", "json")
        assert words(ran.document) == ["own", "a", "b", "m", "z"]
        return ran.out

    apart = explained("apart", plugins, together=False)
    assert explained("turned", plugins[::-1], together=False) == apart
    assert explained("in-one", plugins[2:] + plugins[:2], together=True) == apart


def test_two_entry_points_of_one_distribution(project: Project) -> None:
    """Both count, by the name of the entry point; it is one source with one count of steps."""
    project.distribution(
        "acme-suite",
        modules={"acme_suite/cdn.py": says("cdn"), "acme_suite/shop.py": says("shop")},
        entry_points={"django_runbook": {"z-cdn": "acme_suite.cdn", "a-shop": "acme_suite.shop"}},
    )
    project.settings("")

    document = project.explain()

    assert words(document) == ["shop", "cdn"]
    assert ids(document) == ["acme-suite:probe", "acme-suite:probe-2"]
    assert origins(document) == [
        ("acme-suite", "1.0", "acme_suite/shop.py", 5),
        ("acme-suite", "1.0", "acme_suite/cdn.py", 5),
    ]
    assert [one for one in document["sources"] if one["source"] == "acme-suite"] == [
        {"kind": "distribution", "source": "acme-suite", "version": "1.0", "steps": 2}
    ]


def test_two_entry_points_of_one_name_in_one_distribution(project: Project) -> None:
    """The format does not forbid it; both count, by what they name."""
    site = project.distribution(
        "acme-suite",
        modules={"acme_suite/cdn.py": says("cdn"), "acme_suite/shop.py": says("shop")},
    )
    write(
        site / "acme_suite-1.0.dist-info" / "entry_points.txt",
        "[django_runbook]\nmain = acme_suite.shop\nmain = acme_suite.cdn\n",
    )
    project.settings("")

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert "Traceback" not in ran.err
    assert (words(ran.document), ran.document["problems"]) == (["cdn", "shop"], [])


def test_two_distributions_with_the_same_entry_point_name(project: Project) -> None:
    """Where pluggy drops the second of two equal names, both count here."""
    project.distribution(**plugin("acme-cdn", "cdn", entry_point="hooks"))
    project.distribution(**plugin("acme-shop", "shop", entry_point="hooks"))
    project.settings("")

    assert words(project.explain()) == ["cdn", "shop"]


def test_what_an_entry_point_may_name(project: Project) -> None:
    """A module, a package, or an object in one: an instance, a class or a namespace."""
    project.distribution(
        "acme-kinds",
        modules={
            "acme_kinds/__init__.py": says("package"),
            "acme_kinds/objects.py": """
                from types import SimpleNamespace

                from django_runbook import hookimpl

                class Plugin:
                    def __init__(self, word):
                        self.word = word

                    @hookimpl
                    def contribute_routines(self, routines):
                        routines.command("deploy", "probe", self.word)

                class Static:
                    @staticmethod
                    @hookimpl
                    def contribute_routines(routines):
                        routines.command("deploy", "probe", "static")

                class Holder:
                    inner = Plugin("nested")

                plugin = Plugin("instance")
            """,
        },
        entry_points={
            "django_runbook": {
                "a": "acme_kinds",
                "b": "acme_kinds.objects:plugin",
                "c": "acme_kinds.objects:Holder.inner",
                "d": "acme_kinds.objects:Static",
            }
        },
    )
    project.settings("")

    document = project.explain()

    assert problem_ids(document) == []
    assert words(document) == ["package", "instance", "nested", "static"]
    assert [(file, line) for _, _, file, line in origins(document)] == [
        ("acme_kinds/__init__.py", 5),
        ("acme_kinds/objects.py", 11),
        ("acme_kinds/objects.py", 11),
        ("acme_kinds/objects.py", 17),
    ]


def test_an_app_with_an_entry_point_counts_once_as_the_app(project: Project) -> None:
    """A reusable app may name its module ``routines`` as an entry point, too."""
    project.distribution(
        "acme-shop",
        modules={"acme_shop/routines.py": says("shop"), "acme_shop/more.py": says("more")},
        entry_points={"django_runbook": {"app": "acme_shop.routines", "more": "acme_shop.more"}},
    )
    project.apps = ("acme_shop",)
    project.settings("")

    document = project.explain()
    assert words(document) == ["shop", "more"]
    assert ids(document) == ["acme_shop:probe", "acme-shop:probe"]
    assert [step["origin"]["kind"] for step in document["steps"]] == ["app", "distribution"]

    # Without the app in INSTALLED_APPS it is the distribution's.
    project.apps = ()
    project.settings("")
    document = project.explain()
    assert words(document) == ["shop", "more"]
    assert {step["origin"]["kind"] for step in document["steps"]} == {"distribution"}


def test_an_object_in_the_module_of_an_app_is_the_distributions(project: Project) -> None:
    """The module's hook is the app's; an object in it is a plugin of its own."""
    project.distribution(
        "acme-shop",
        modules={
            "acme_shop/routines.py": says("module")
            + dedent("""
                class Plugin:
                    @hookimpl
                    def contribute_routines(self, routines):
                        routines.command("deploy", "probe", "object")

                plugin = Plugin()
            """)
        },
        entry_points={
            "django_runbook": {
                "app": "acme_shop.routines",
                "more": "acme_shop.routines:plugin",
            }
        },
    )
    project.apps = ("acme_shop",)
    project.settings("")

    document = project.explain()

    assert document["problems"] == []
    assert ids(document) == ["acme_shop:probe", "acme-shop:probe"]
    assert words(document) == ["module", "object"]
    assert [step["origin"]["kind"] for step in document["steps"]] == ["app", "distribution"]


def test_a_broken_module_of_an_app_with_an_entry_point_is_reported_once(project: Project) -> None:
    """It counts once, as the app, when it cannot be imported, too: one mistake, one remedy."""
    for name, text in {
        "acme-import": "import a_module_that_nobody_has\n",
        "acme-nohook": "def contribute_routines(routines): ...\n",
        "acme-raises": hook('raise ValueError("no stock")'),
    }.items():
        package = name.replace("-", "_")
        project.distribution(
            name,
            modules={f"{package}/routines.py": text},
            entry_points={"django_runbook": {"app": f"{package}.routines"}},
        )
        project.apps = (*project.apps, package)
    project.settings('command("deploy", "probe", "own")')

    document = project.explain()

    assert [one["origin"]["source"] for one in document["problems"]] == [
        "acme_import",
        "acme_nohook",
        "acme_raises",
    ]


def test_an_app_and_a_distribution_of_one_name(project: Project) -> None:
    """Both are sources of that name; the app comes first, and no two steps share an id."""
    project.distribution(
        "shop",
        modules={"shop_dist/hooks.py": says("distribution")},
        entry_points={"django_runbook": {"main": "shop_dist.hooks"}},
    )
    project.app("shop", routines=says("app"))
    project.settings("")

    document = project.explain()

    assert words(document) == ["app", "distribution"]
    assert ids(document) == ["shop:probe", "shop:probe-2"]
    sources = [one for one in document["sources"] if one["source"] == "shop"]
    assert [(one["kind"], one["steps"]) for one in sources] == [("app", 1), ("distribution", 1)]


def test_two_entry_points_to_one_module_count_once(project: Project) -> None:
    """The first by distribution and name counts; the other is shown as the same."""
    project.distribution(
        "acme-twice",
        modules={"acme_twice/hooks.py": says("once")},
        entry_points={"django_runbook": {"b": "acme_twice.hooks", "a": "acme_twice.hooks"}},
    )
    project.distribution("beta", entry_points={"django_runbook": {"x": "acme_twice.hooks"}})
    project.settings("")

    ran = project.manage("routine", "deploy", "--explain")

    assert ran.status == 0
    assert ran.out.count("acme-twice:probe") == 1
    assert "beta (counted as acme-twice:a)" in ran.out


def test_other_groups_are_not_ours(project: Project) -> None:
    """Entry points of other groups are neither searched nor loaded."""
    project.distribution(
        "acme-other",
        modules={"acme_other/hooks.py": 'raise RuntimeError("loaded")\n'},
        entry_points={
            "django_runbook.settings": {"base": "acme_other.hooks"},
            "django_runbook_x": {"base": "acme_other.hooks"},
        },
    )
    project.settings('command("deploy", "probe")')

    document = project.explain()

    assert problem_ids(document) == []
    assert "acme-other" not in [one["source"] for one in document["sources"]]


def test_the_remains_of_an_uninstalled_distribution(project: Project) -> None:
    """A ``.dist-info`` that lost its METADATA has no name; it ends in no traceback."""
    site = project.distribution(**plugin("acme-gone", "gone"))
    (site / "acme_gone-1.0.dist-info" / "METADATA").unlink()
    project.settings('command("deploy", "probe", "own")')

    ran = project.manage("routine", "deploy", "--explain", "--format", "json")

    assert "Traceback" not in ran.err, ran.err
    assert "own" in words(ran.document)
