"""The distribution behind an app and behind a settings component: its name and version."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook.model import Release
from django_runbook.provenance import Releases

from .projects import Project, Ran, hook, ids, install, write

pytestmark = pytest.mark.ours


EDITABLE = {"editable": True}
PKGUTIL = "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"


def says(word: str, **options: Any) -> str:
    """Return a hook module that declares one probe with this word."""
    return hook(f'routines.command("deploy", "probe", "{word}", **{options!r})')


def info_of(site: Path, name: str, version: str = "1.0") -> Path:
    """Return the metadata directory of a distribution."""
    return site / f"{name.replace('-', '_')}-{version}.dist-info"


def recorded(
    site: Path, name: str, *, version: str = "1.0", files: Mapping[str, str], **kwargs: Any
) -> Path:
    """Install a distribution as pip does, with the list of its files."""
    install(site, name, version=version, modules=files, **kwargs)
    beside = [f"{Path(file).parent.as_posix()}/__init__.py" for file in files if "/" in file]
    info = info_of(site, name, version)
    listed = [*files, *beside, *(f"{info.name}/{one.name}" for one in info.iterdir())]
    lines = []
    for file in dict.fromkeys(listed):
        content = (site / file).read_bytes()
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{file},sha256={digest},{len(content)}\n")
    (info / "RECORD").write_text("".join([*lines, f"{info.name}/RECORD,,\n"]), encoding="utf-8")
    return info


def editable(site: Path, name: str, checkout: Path, *, dir_info: Any = EDITABLE) -> Path:
    """Install a distribution so that it is imported from a checkout, as ``pip install -e`` does."""
    info = recorded(site, name, files={})
    document = {"url": f"file://{quote(str(checkout))}", "dir_info": dir_info}
    write(info / "direct_url.json", json.dumps(document))
    return info


# --- as users see it -----------------------------------------------------------------------------

SETTINGS = """
    command("deploy", "probe", "own")
    include("local.py", *plugin_settings("acme-cdn"), *plugin_settings("acme-mail"))
"""

COMPONENTS = {
    "acme_cdn/component.py": 'command("deploy", "probe", "verb", run_after=["nowhere"])\n',
    "acme_cdn/literal.py": """
        DJANGO_ROUTINES = {"deploy": {"commands": [{"management": ("probe", "literal")}]}}
    """,
    "acme_cdn/hooks.py": says("cdn"),
}

PLACED = """
    from pathlib import Path

    from django.apps import AppConfig

    class PlacedConfig(AppConfig):
        name = "placed"
        path = str(Path(__file__).parents[2] / "elsewhere")
"""

# The plan, as JSON and as text, from one process.
EXPLAIN = """
    import io

    import django
    from django.core.management import CommandError, call_command

    django.setup()
    for words in (["--format", "json"], []):
        out = io.StringIO()
        try:
            call_command("routine", "deploy", "--explain", *words, stdout=out)
        except CommandError as exc:
            assert exc.returncode == 1
        print(out.getvalue(), end="\\0")
"""

BEHIND = {
    "own": (None, None),
    "local": (None, None),
    "verb": ("acme-cdn", "2.3.1"),
    "literal": ("acme-cdn", "2.3.1"),
    "namespace": ("acme-mail", "1.1"),
    "news": (None, None),
    "shop": ("acme-shop", "1.0.0"),
    "blog": ("blog", "2.1"),
    "oauth": ("django-oauth-toolkit", "3.0.1"),
    "mail": ("acme-mail", "1.1"),
    "search": ("acme-search", "1.2"),
    "edited": ("acme-edited", "1.0"),
    "renamed": (None, None),
    "placed": (None, None),
    "zipped": (None, None),
    "unlisted": (None, None),
    "cdn": ("acme-cdn", "2.3.1"),
}
"""The distribution and the version behind each probe of the project below, in order."""


@dataclass
class Site:
    """A project with apps from everywhere, and where it lies."""

    root: Path
    order: Random | None = None
    """Shuffles the order of installation; ``None`` installs everything as it is written here."""

    shared: Path = field(init=False)
    """The one ``site-packages``."""

    def created(self) -> Project:
        """Write the project and install the distributions."""
        project = Project(self.root / "project")
        self.shared = self.root / "env" / "site-packages"
        checkouts = self.root / "check outs" / "100% mine"
        project.app("news", routines=says("news"))
        project.apps += ("shop", "blog", "oauth2_provider", "acme.mail", "acme.search")
        project.apps += ("acme_edited", "renamed", "placed", "zipped", "unlisted", "acme_broken")
        project.settings(SETTINGS)
        project.file("config/local.py", 'command("deploy", "probe", "local")')
        write(checkouts / "src" / "acme_edited" / "routines.py", says("edited"))
        write(checkouts / "src" / "acme_edited" / "__init__.py", "")
        write(checkouts / "src" / "renamed" / "routines.py", says("renamed"))
        write(checkouts / "src" / "renamed" / "__init__.py", "")
        archive = self.root / "bundle.zip"
        with zipfile.ZipFile(archive, "w") as bundle:
            for file, text in {
                "zipped/__init__.py": "",
                "zipped/routines.py": says("zipped").lstrip(),
                "zipped-1.0.dist-info/METADATA": "Name: zipped\nVersion: 1.0\n",
                "zipped-1.0.dist-info/RECORD": "zipped/__init__.py,,\n",
            }.items():
                bundle.writestr(file, text)
        steps = [
            lambda: self.install("acme-shop", "1.0.0", "shop", says("shop", run_after=["nobody"])),
            lambda: self.install("blog", "2.1", "blog", says("blog")),
            lambda: self.install("django-oauth-toolkit", "3.0.1", "oauth2_provider", says("oauth")),
            lambda: self.install("acme-search", "1.2", "acme/search", says("search")),
            lambda: self.install("acme-broken", "0.9", "acme_broken", hook('raise KeyError("x")')),
            lambda: self.install("placed", "1.0", "placed", says("placed"), PLACED),
            self.install_mail,
            self.install_cdn,
            self.install_unlisted,
            # What an upgrade has left behind, with a list in which the package is not.
            lambda: recorded(self.shared, "acme-shop", version="0.9", files={"old_shop/x.py": ""}),
            lambda: editable(self.shared, "acme-edited", checkouts),
            lambda: editable(self.shared, "something-else", checkouts),
        ]
        if self.order is not None:
            self.order.shuffle(steps)
        for step in steps:
            step()
        project.paths = [self.shared, checkouts / "src", archive]
        return project

    def install(self, name: str, version: str, folder: str, routines: str, apps: str = "") -> None:
        """Install an app of this folder."""
        files = {f"{folder}/routines.py": routines, **({f"{folder}/apps.py": apps} if apps else {})}
        recorded(self.shared, name, version=version, files=files)

    def install_mail(self) -> None:
        """Install an app in a namespace, with a settings component."""
        recorded(
            self.shared,
            "acme-mail",
            version="1.1",
            files={
                "acme/mail/routines.py": says("mail"),
                "acme/mail/component.py": 'command("deploy", "probe", "namespace")\n',
            },
            entry_points={"django_runbook.settings": {"base": "acme.mail.component"}},
        )

    def install_cdn(self) -> None:
        """Install a distribution that is no app, with two settings components."""
        recorded(
            self.shared,
            "Acme_CDN",
            version="2.3.1",
            files=COMPONENTS,
            entry_points={
                "django_runbook": {"cdn": "acme_cdn.hooks"},
                "django_runbook.settings": {"a": "acme_cdn.component", "b": "acme_cdn.literal"},
            },
        )

    def install_unlisted(self) -> None:
        """Install an app without a list of its files."""
        self.install("unlisted", "1.0", "unlisted", says("unlisted"))
        (info_of(self.shared, "unlisted") / "RECORD").unlink()


def explained(project: Project) -> tuple[Any, str, Ran]:
    """Return the plan of a project as JSON and as text, and the process that told it."""
    ran = project.python(EXPLAIN)
    assert ran.status == 0, ran.err
    document, text, _ = ran.out.split("\0")
    return json.loads(document), text, ran


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str, Ran]:
    """The plan of the project, as JSON and as text."""
    return explained(Site(tmp_path_factory.mktemp("site")).created())


def test_every_step_tells_its_distribution(plan: tuple[Any, str, Ran]) -> None:
    """Apps, namespaces, components of the settings, an editable installation; null for the rest."""
    document, _, _ = plan

    found = {
        step["argv"][1]: (step["origin"]["distribution"], step["origin"]["version"])
        for step in document["steps"]
    }
    assert found == BEHIND
    components = [step for step in document["steps"] if step["argv"][1] in ("verb", "literal")]
    assert [one["origin"]["source"] for one in components] == ["settings", "settings"]
    assert ids(document)[:3] == ["settings:probe", "settings:probe-2", "settings:probe-3"]


def test_the_text_names_a_distribution_that_is_called_otherwise(
    plan: tuple[Any, str, Ran],
) -> None:
    """``shop (acme-shop 1.0.0)``; where both have one name, it is said once."""
    _, text, _ = plan

    for shown in (
        "shop (acme-shop 1.0.0) shop/routines.py:5",
        "blog 2.1 blog/routines.py:5",
        "oauth2_provider (django-oauth-toolkit 3.0.1) oauth2_provider/routines.py:5",
        "mail (acme-mail 1.1) acme/mail/routines.py:5",
        "search (acme-search 1.2) acme/search/routines.py:5",
        "acme_edited (acme-edited 1.0) acme_edited/routines.py:5",
        "settings (acme-cdn 2.3.1) acme_cdn/component.py:1",
        "settings (acme-cdn 2.3.1) acme_cdn/literal.py:1",
        "settings (acme-mail 1.1) acme/mail/component.py:1",
        "settings config/local.py:1",
        "acme-cdn 2.3.1 acme_cdn/hooks.py:5",
        "  news news/routines.py:5",
        "  renamed renamed/routines.py:5",
        "  zipped zipped/routines.py:5",
    ):
        assert f"{shown}  " in text


def test_sources_tell_their_version(plan: tuple[Any, str, Ran]) -> None:
    """Of an app the version of its distribution; the settings are nobody's, whoever ships some."""
    document, _, _ = plan

    versions = {one["source"]: (one["version"], one["steps"]) for one in document["sources"]}
    assert versions["settings"] == (None, 5)
    assert versions["shop"] == ("1.0.0", 1)
    assert versions["oauth2_provider"] == ("3.0.1", 1)
    assert versions["mail"] == ("1.1", 1)
    assert versions["acme_edited"] == ("1.0", 1)
    assert versions["acme_broken"] == ("0.9", 0)
    assert versions["acme-cdn"] == ("2.3.1", 1)
    assert {versions[name][0] for name in ("probe", "news", "zipped", "placed")} == {None}


def test_problems_tell_the_distribution(plan: tuple[Any, str, Ran]) -> None:
    """A broken app, and a constraint that matches nothing in an app and in a component."""
    document, _, _ = plan

    found = [
        (one["id"][-4:], *(one["origin"][key] for key in ("source", "distribution", "version")))
        for one in document["problems"]
    ]
    assert sorted(found) == [
        ("E004", "acme_broken", "acme-broken", "0.9"),
        ("W001", "settings", "acme-cdn", "2.3.1"),
        ("W001", "shop", "acme-shop", "1.0.0"),
    ]


def test_another_checkout_and_order_of_installation_give_the_same_bytes(
    tmp_path: Path, plan: tuple[Any, str, Ran]
) -> None:
    """Neither where things lie nor which was installed first is to be seen."""
    again = Site(tmp_path / "another" / "place", Random(5)).created()

    assert explained(again)[2].out == plan[2].out
    assert str(tmp_path) not in plan[2].out


# --- what it costs -------------------------------------------------------------------------------

WATCH = """
    import json, os, sys

    opened = []

    def watch(event, args):
        if event == "open" and isinstance(args[0], (str, os.PathLike)):
            path = os.fspath(args[0])
            if path.endswith(("RECORD", "METADATA")):
                opened.append(path)

    sys.addaudithook(watch)
"""

ASK = """
    from django_runbook.provenance import Releases

    told = []
    # Each by itself, then all by one.
    for names in (["acme_shop"], ["oauth2_provider"], ["nobodys"], sys.argv[1:]):
        opened.clear()
        releases = Releases()
        found = []
        for name in names or ["acme_shop", "acme_shop.sub", "oauth2_provider", "nobodys"]:
            release = releases.of_module(name, os.path.join(SITE, *name.split(".")))
            found.append(str(release))
        told.append((found, list(opened)))
    print(json.dumps([told, sorted(sys.modules)]))
"""


def opened(records: Iterable[str], what: str) -> list[str]:
    """Return the metadata directories of which one file was opened, each as often as it was."""
    return [Path(path).parent.name for path in records if Path(path).name == what]


def test_as_few_lists_are_read_as_can_be(tmp_path: Path, project: Project) -> None:
    """One list for a package that is called like its distribution, at most those beside it else.

    Each is read once, and of one distribution alone its name is; nothing is imported, and other
    directories are left in peace.
    """
    here = tmp_path / "here" / "site-packages"
    there = tmp_path / "there" / "site-packages"
    for name in ("acme", "acme-shop-extras", "shop", "a", "zeta"):
        package = name.replace("-", "_")
        recorded(here, name, files={f"{package}/x.py": "raise SystemExit('imported')\n"})
    recorded(here, "acme-shop", version="2.0", files={"acme_shop/sub/x.py": ""})
    with (info_of(here, "acme-shop", "2.0") / "RECORD").open("a") as file:
        file.write("acme_shop/__init__.py,,\n")
    write(here / "acme_shop/__init__.py", "raise SystemExit('imported')\n")
    recorded(here, "django-oauth-toolkit", files={"oauth2_provider/x.py": ""})
    write(here / "nobodys" / "__init__.py", "")
    recorded(there, "nobody", files={"nobodys/x.py": ""})
    project.paths = [here, there]
    every = sorted(one.name for one in here.iterdir() if one.name.endswith(".dist-info"))

    ran = project.python(f"{WATCH}\n    SITE = {str(here)!r}\n{ASK}")

    assert ran.status == 0, ran.err
    (shop, oauth, nobodys, together), modules = json.loads(ran.out)
    assert shop[0] == ["acme-shop 2.0"]
    assert opened(shop[1], "RECORD") == ["acme_shop-2.0.dist-info"]
    assert set(opened(shop[1], "METADATA")) == {"acme_shop-2.0.dist-info"}
    assert oauth[0] == ["django-oauth-toolkit 1.0"]
    assert set(opened(oauth[1], "RECORD")) <= set(every)
    assert set(opened(oauth[1], "METADATA")) == {"django_oauth_toolkit-1.0.dist-info"}
    assert nobodys[0] == ["None"]
    assert sorted(opened(nobodys[1], "RECORD")) == every
    assert opened(nobodys[1], "METADATA") == []
    assert together[0] == ["acme-shop 2.0", "acme-shop 2.0", "django-oauth-toolkit 1.0", "None"]
    assert sorted(opened(together[1], "RECORD")) == every
    assert all(Path(path).is_relative_to(here) for _, paths in (shop, oauth) for path in paths)
    assert not {"acme", "acme_shop", "acme_shop_extras", "zeta", "oauth2_provider"} & set(modules)


def test_a_plain_check_reads_no_list(project: Project) -> None:
    """Only who asks for a plan pays: start-up and ``manage.py check`` do not."""
    recorded(
        project.root.parent / "site-packages",
        "acme-shop",
        files={"shop/routines.py": says("shop"), "shop/component.py": 'command("deploy", "probe")'},
        entry_points={"django_runbook.settings": {"base": "shop.component"}},
    )
    project.paths = [project.root.parent / "site-packages"]
    project.apps = ("shop",)
    project.settings('include(*plugin_settings("acme-shop"))')

    ran = project.python(f"""{WATCH}
    import io
    import django
    from django.core.management import call_command

    django.setup()
    call_command("check", stdout=io.StringIO(), stderr=io.StringIO())
    plain = len([path for path in opened if path.endswith("RECORD")])
    call_command("check", deploy=True, stdout=io.StringIO(), stderr=io.StringIO())
    print(plain, len([path for path in opened if path.endswith("RECORD")]))
    """)

    assert ran.status == 0, ran.err
    plain, deploy = map(int, ran.out.split())
    assert plain == 0
    assert deploy > 0


# --- one by one ----------------------------------------------------------------------------------


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A ``site-packages`` with the app ``shop`` of the distribution ``acme-shop``."""
    site = tmp_path / "site-packages"
    recorded(site, "acme-shop", version="1.0.0", files={"shop/routines.py": ""})
    return site


def behind(site: Path, name: str = "shop") -> Release | None:
    """Return the distribution behind an app."""
    return Releases().of_module(name, str(site.joinpath(*name.split("."))))


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"\n",
        b"shop/routines.py,,\n",
        b"my/shop/__init__.py,,\nshop/__init__.pyc,,\nshop/__init__.py.orig,,\n",
        b"../shop/__init__.py,,\n",
        b"shop/__init__.py\n",
        b"\xff\xfes\0h\0o\0p\0",
        b"\0" * 1000,
    ],
)
def test_a_list_that_does_not_name_the_package(site: Path, record: bytes) -> None:
    """It tells nothing, whatever else is in it, and it hides no other list."""
    (info_of(site, "acme-shop", "1.0.0") / "RECORD").write_bytes(record)
    assert behind(site) is None

    recorded(site, "zeta", files={"shop/routines.py": ""})
    assert behind(site) == Release("zeta", "1.0")


def test_a_list_in_another_encoding_names_what_it_names(site: Path) -> None:
    """One name in it that is not UTF-8 keeps nobody from the others."""
    record = info_of(site, "acme-shop", "1.0.0") / "RECORD"
    record.write_bytes(b"caf\xe9/__init__.py,,\nshop/__init__.py,,\n")
    assert behind(site) == Release("acme-shop", "1.0.0")


@pytest.mark.parametrize("how", ["missing", "folder", "no dist-info", "dist-info is a file"])
def test_a_list_that_cannot_be_read(site: Path, how: str) -> None:
    """It tells nothing, and ends in no traceback."""
    info = info_of(site, "acme-shop", "1.0.0")
    (info / "RECORD").unlink()
    if how == "folder":
        (info / "RECORD").mkdir()
    elif how != "missing":
        (info / "METADATA").unlink()
        (info / "entry_points.txt").unlink()
        info.rmdir()
        if how == "dist-info is a file":
            info.write_text("shop/__init__.py,,\n")

    assert behind(site) is None


@pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
def test_a_list_is_read_however_its_lines_end(site: Path, ending: str) -> None:
    """Those that were written on Windows too, and a last line without an end."""
    text = ending.join(["shop/routines.py,,", "shop/__init__.py,,"]) if ending else "x,,\nshop/"
    record = text if ending else "x,,\nshop/__init__.py,,"
    (info_of(site, "acme-shop", "1.0.0") / "RECORD").write_bytes(record.encode())

    assert behind(site) == Release("acme-shop", "1.0.0")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (None, None),
        (b"", None),
        (b"\n", None),
        (b"Version: 1.0\n", None),
        (b"Name: caf\xe9\nVersion: 1.0\n", None),
        (b"Name: Acme_Shop\n", Release("acme-shop")),
        (b"Name: Acme.Shop\nVersion: 3.1rc1\n\nName: other\n", Release("acme-shop", "3.1rc1")),
    ],
)
def test_what_the_metadata_says(
    site: Path, metadata: bytes | None, expected: Release | None
) -> None:
    """The name in its normal form, the version as it is; without a name nothing is told."""
    file = info_of(site, "acme-shop", "1.0.0") / "METADATA"
    file.unlink()
    if metadata is not None:
        file.write_bytes(metadata)

    assert behind(site) == expected
    assert str(expected or "") in ("", "acme-shop", "acme-shop 3.1rc1")


@pytest.mark.parametrize("name", ["acme-shop", "shop", "zeta-shop"])
def test_what_is_left_of_an_older_version_does_not_hide_the_newer(
    tmp_path: Path, name: str
) -> None:
    """Leftovers without metadata, or under the name that pip gives to what it takes away."""
    site = tmp_path / "site-packages"
    files = {"shop/routines.py": ""}
    recorded(site, name, version="1.0.0", files=files)
    (recorded(site, name, version="0.9", files=files) / "METADATA").unlink()
    (recorded(site, "alike-shop", files=files) / "METADATA").unlink()
    taken_away = recorded(site, f"~{name[1:]}", version="0.8", files=files)
    write(taken_away / "METADATA", f"Name: {name}\nVersion: 0.8\n")

    assert behind(site) == Release(name, "1.0.0")


@pytest.mark.parametrize(
    "names", [("shop", "shop"), ("acme-shop", "acme-shop"), ("Acme_Shop", "acme_shop")]
)
def test_of_two_versions_that_claim_one_package_none_is_told(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    """One of them is what an upgrade has left behind; which one, nothing says."""
    both = [*zip(names, ("1.9.0", "1.10.0"), strict=True)]
    for turn in (both, both[::-1]):
        site = tmp_path / turn[0][1] / "site-packages"
        recorded(site, "Shop_Tools", files={"shop_tools/x.py": ""})
        for name, version in turn:
            recorded(site, name, version=version, files={"shop/routines.py": ""})

        assert behind(site) is None


@pytest.mark.parametrize("init", [None, PKGUTIL])
def test_each_app_of_a_namespace_is_of_its_own_distribution(
    tmp_path: Path, init: str | None
) -> None:
    """Also where every distribution brings the ``__init__.py`` of the namespace along."""
    site = tmp_path / "site-packages"
    shared = {} if init is None else {"acme/__init__.py": init}
    for name in ("blog", "mail", "shop"):
        recorded(site, f"acme-{name}", files={**shared, f"acme/{name}/routines.py": ""})
    recorded(site, "zeta", files={**shared, "acme/deep/inside/routines.py": ""})

    for name in ("blog", "mail", "shop"):
        assert behind(site, f"acme.{name}") == Release(f"acme-{name}", "1.0")
    assert behind(site, "acme.deep.inside") == Release("zeta", "1.0")


def test_an_app_that_is_a_namespace_itself(tmp_path: Path) -> None:
    """Without an ``__init__.py`` it is known by what lies in its directory."""
    site = tmp_path / "site-packages"
    for name, file in (("acme-shop", "acme/shop/routines.py"), ("zeta", "acme/shop-2/routines.py")):
        info = recorded(site, name, files={file: ""})
        (site / file).with_name("__init__.py").unlink()
        (info / "RECORD").write_text(f"{file},,\n")
    write(site / "acme" / "blog" / "routines.py", "")

    assert behind(site, "acme.shop") == Release("acme-shop", "1.0")
    assert behind(site, "acme.blog") is None


def test_apps_inside_a_package_are_of_its_distribution(tmp_path: Path) -> None:
    """``django.contrib.auth`` is Django's, though it is not the package that Django is."""
    site = tmp_path / "site-packages"
    files = {"django/x.py": "", "django/contrib/x.py": "", "django/contrib/auth/x.py": ""}
    recorded(site, "Django", version="5.2", files=files)
    recorded(site, "django-contrib-auth", files={"other/x.py": ""})

    assert behind(site, "django.contrib.auth") == Release("django", "5.2")


@pytest.mark.parametrize(
    "path",
    ["/", "/shop", "{site}/elsewhere", "{site}", "{other}/shop", "{site}/nested/shop"],
)
def test_an_app_with_a_path_of_its_own(site: Path, tmp_path: Path, path: str) -> None:
    """What an ``AppConfig`` says where it lies is not where its package was installed."""
    write(tmp_path / "other" / "shop" / "__init__.py", "")

    where = path.format(site=site, other=tmp_path / "other")
    assert Releases().of_module("shop", where) is None


@pytest.mark.parametrize(
    "file",
    [
        "acme/cdn/component.py",
        "acme_cdn/components/base.py",
        "component.py",
        "acme/cdn/__init__.py",
    ],
)
def test_a_component_wherever_it_lies(tmp_path: Path, file: str) -> None:
    """In a namespace, in a folder that is no package, as a module of its own."""
    site = tmp_path / "site-packages"
    info = recorded(site, "acme-cdn", version="2.0", files={})
    write(site / file, "")
    if file.startswith("acme_cdn"):
        write(site / "acme_cdn" / "__init__.py", "")
    (info / "RECORD").write_text(f"{file},,\n")

    parts = Path(file).parts
    assert Releases().of_file(site, parts) == Release("acme-cdn", "2.0")


# --- editable installations ----------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of an app, in a place with names that a URL must quote; it can be imported."""
    source = tmp_path / "my 50% work" / "açme" / "src"
    write(source / "acme_shop" / "__init__.py", "")
    monkeypatch.syspath_prepend(str(tmp_path / "site-packages"))
    return source.parent


@pytest.mark.parametrize("name", ["acme-shop", "Acme_Shop", "acme.shop"])
def test_an_editable_installation(tmp_path: Path, checkout: Path, name: str) -> None:
    """It lists none of its files, and is known by the directory that it was installed from."""
    info = editable(tmp_path / "site-packages", "acme-shop", checkout)
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 0.1.dev3\n")

    assert behind(checkout / "src", "acme_shop") == Release("acme-shop", "0.1.dev3")


def test_only_what_is_below_the_directory_is_editable(tmp_path: Path, checkout: Path) -> None:
    """A checkout beside it, or one whose name only begins like it, is another one."""
    editable(tmp_path / "site-packages", "acme-shop", checkout)
    for name in ("açme-2", "other"):
        write(checkout.parent / name / "acme_shop" / "__init__.py", "")

        assert behind(checkout.parent / name, "acme_shop") is None


DIRECT = [
    b"",
    b"{",
    b"[]",
    b"5",
    b"null",
    b'"editable"',
    b"\xff\xfe",
    b'{"url": 5, "dir_info": {"editable": true}}',
    b'{"url": null, "dir_info": {"editable": true}}',
    b'{"url": "file://[", "dir_info": {"editable": true}}',
    b'{"url": "URL", "dir_info": []}',
    b'{"url": "URL", "dir_info": {}}',
    b'{"url": "URL"}',
    b'{"url": "URL", "dir_info": {"editable": false}}',
    b'{"url": "URL", "archive_info": {}}',
    b'{"url": "https://example.com/acme-shop.git", "dir_info": {"editable": true}}',
]


@pytest.mark.parametrize("said", DIRECT)
def test_what_is_no_editable_installation(tmp_path: Path, checkout: Path, said: bytes) -> None:
    """A copy that was installed from the directory, from elsewhere, or who knows from where."""
    info = editable(tmp_path / "site-packages", "acme-shop", checkout)
    url = f"file://{quote(str(checkout))}".encode()
    (info / "direct_url.json").write_bytes(said.replace(b"URL", url))

    assert behind(checkout / "src", "acme_shop") is None


# --- whatever the files hold ---------------------------------------------------------------------

METADATA = st.lists(
    st.sampled_from([b"Name: ", b"Version: ", b"acme", b"\n", b": ", b" ", b"\xff", b"\0", b"1.0"])
).map(b"".join)
RECORD = st.lists(st.sampled_from([b"shop/__init__.py", b",", b"\n", b'"', b"\r", b"\xff"])).map(
    b"".join
)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``site-packages`` whose files are drawn."""
    site = tmp_path_factory.mktemp("drawn") / "site-packages"
    recorded(site, "shop", files={"shop/routines.py": ""})
    return site


@settings(deadline=None, max_examples=200)
@given(metadata=st.binary() | METADATA, record=st.binary() | RECORD)
def test_no_file_of_a_distribution_ends_in_a_traceback(
    drawn: Path, metadata: bytes, record: bytes
) -> None:
    """Whatever they hold, there is a distribution or there is none."""
    info = info_of(drawn, "shop")
    (info / "METADATA").write_bytes(metadata)
    (info / "RECORD").write_bytes(record)

    found = behind(drawn)
    assert found is None or (b"shop/__init__.py," in record and b"Name" in metadata)


def test_the_distribution_of_this_package_is_told() -> None:
    """As it is installed here, be it a wheel or a checkout."""
    import django_runbook

    found = Releases().of_module("django_runbook", str(Path(django_runbook.__file__).parent))
    assert found is not None
    assert (found.name, found.version) == ("django-runbook", django_runbook.__version__)
    assert "django_runbook" in sys.modules
