"""Which plugins a site lets in: ``DJANGO_RUNBOOK["PLUGINS"]``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from .projects import Project, Ran, hook

# What is imported is seen in this file of the project.
TRACE = """
from pathlib import Path

with Path("imported.txt").open("a") as file:
    file.write(__name__ + "\\n")
"""
PLUGIN = TRACE + hook('routines.command("deploy", "probe", __name__)')
ALL = {"shop.routines", "acme_cdn.main", "acme_cdn.extra", "beta_tools.hooks"}
READY = """
    from django.apps import AppConfig
    from django_runbook import contribute

    class ShopConfig(AppConfig):
        name = "shop"

        def ready(self):
            contribute(self).command("deploy", "probe", "shop.ready")
"""


@dataclass
class Site:
    """A site with an app and three entry points, each of which leaves a trace."""

    project: Project

    def explain(self, policy: str) -> Ran:
        """Explain the routine under this setting."""
        (self.project.root / "imported.txt").unlink(missing_ok=True)
        self.project.settings(f'command("deploy", "probe", "own")\nDJANGO_RUNBOOK = {policy}\n')
        return self.project.manage("routine", "deploy", "--explain", "--format", "json")

    @property
    def imported(self) -> set[str]:
        """The names of the modules that were imported since the last explanation."""
        trace = self.project.root / "imported.txt"
        return set(trace.read_text().splitlines()) if trace.exists() else set()


@pytest.fixture
def site(project: Project) -> Site:
    """A site with the app ``shop`` and the distributions ``acme-cdn`` and ``beta-tools``."""
    project.app("shop", apps=READY, routines=PLUGIN)
    project.distribution(
        "acme-cdn",
        modules={"acme_cdn/main.py": PLUGIN, "acme_cdn/extra.py": PLUGIN},
        entry_points={"django_runbook": {"main": "acme_cdn.main", "extra": "acme_cdn.extra"}},
    )
    project.distribution(
        "beta-tools",
        modules={"beta_tools/hooks.py": PLUGIN},
        entry_points={"django_runbook": {"hooks": "beta_tools.hooks"}},
    )
    return Site(project)


def words(document: Any) -> set[str]:
    """Return the first arguments of the steps that run."""
    return {step["argv"][1] for step in document["steps"]}


def problems(document: Any) -> list[tuple[str, str, str]]:
    """Return id, message and hint of each problem."""
    return [
        (one["id"].removeprefix("django_runbook."), one["message"], one["hint"])
        for one in document["problems"]
    ]


@pytest.mark.parametrize(
    ("policy", "left_out"),
    [
        ("{}", set()),
        ("None", set()),
        ('{"PLUGINS": {}}', set()),
        ('{"PLUGINS": {"allow": "all"}}', set()),
        ('{"PLUGINS": {"allow": ["acme-cdn"]}}', {"beta_tools.hooks"}),
        ('{"PLUGINS": {"allow": []}}', ALL - {"shop.routines"}),
        ('{"PLUGINS": {"block": []}}', set()),
        ('{"PLUGINS": {"block": ["acme-cdn"]}}', {"acme_cdn.main", "acme_cdn.extra"}),
        ('{"PLUGINS": {"block": ["acme-cdn:extra"]}}', {"acme_cdn.extra"}),
        ('{"PLUGINS": {"block": ["shop"]}}', {"shop.routines", "shop.ready"}),
        (
            '{"PLUGINS": {"allow": ("acme-cdn",), "block": {"acme-cdn:main", "shop"}}}',
            ALL - {"acme_cdn.extra"} | {"shop.ready"},
        ),
        # Names in any spelling mean the distribution that is installed.
        ('{"PLUGINS": {"allow": ["Acme_CDN"]}}', {"beta_tools.hooks"}),
        ('{"PLUGINS": {"allow": ["acme.cdn"]}}', {"beta_tools.hooks"}),
        ('{"PLUGINS": {"block": ["acme_cdn"]}}', {"acme_cdn.main", "acme_cdn.extra"}),
        (
            '{"PLUGINS": {"block": ["ACME-CDN:extra", "Beta.Tools"]}}',
            {"acme_cdn.extra", "beta_tools.hooks"},
        ),
        ('{"PLUGINS": {"block": ["acme_cdn:main"]}}', {"acme_cdn.main"}),
    ],
)
def test_what_is_let_in(site: Site, policy: str, left_out: set[str]) -> None:
    """What is left out is never imported and gives no step; the rest is as without a policy.

    ``allow`` is about distributions alone: an app is let in by ``INSTALLED_APPS``.
    """
    ran = site.explain(policy)

    assert problems(ran.document) == []
    assert ran.status == 0
    assert words(ran.document) == {"own", "shop.ready", *ALL} - left_out
    assert site.imported == ALL - left_out


def test_what_is_left_out_is_shown_with_its_reason(site: Site) -> None:
    """``--explain`` lists the sources that were not asked, and why."""
    site.explain('{"PLUGINS": {"allow": ["acme-cdn"], "block": ["shop", "acme-cdn"]}}')

    out = site.project.manage("routine", "deploy", "--explain").out

    for text in ("shop (blocked)", "acme-cdn (blocked)", "beta-tools (not among the allowed)"):
        assert text in out


def test_a_broken_plugin_that_is_not_let_in_breaks_nothing(site: Site) -> None:
    """It is blocked, or not among the allowed: then it is not imported, and the routine runs."""
    site.project.distribution(
        "acme-broken",
        modules={"acme_broken/hooks.py": TRACE + "\nimport a_module_that_nobody_has\n"},
        entry_points={"django_runbook": {"main": "acme_broken.hooks"}},
    )

    assert site.explain("{}").status == 1
    assert "acme_broken.hooks" in site.imported
    for policy in (
        '{"block": ["acme-broken"]}',
        '{"block": ["acme-broken:main"]}',
        '{"allow": ["acme-cdn", "beta-tools"]}',
    ):
        ran = site.explain(f'{{"PLUGINS": {policy}}}')
        assert (ran.status, problems(ran.document), site.imported) == (0, [], ALL)


def test_unknown_names_are_warned_of(site: Site) -> None:
    """A name that no source has may be a slip: the warning has the closest, and stops nothing."""
    ran = site.explain(
        '{"PLUGINS": {"allow": ["acme-cnd", "beta-tools"], '
        '"block": ["shopp", "beta-tools:hoks", "qqq"]}}'
    )

    assert ran.status == 0
    found = {message.split("'")[1]: (code, hint) for code, message, hint in problems(ran.document)}
    assert found == {
        "acme-cnd": ("W005", "Did you mean 'acme-cdn'?"),
        "beta-tools:hoks": ("W005", "Did you mean 'beta-tools:hooks'?"),
        "qqq": ("W005", "Take it out of the setting, or install it."),
        "shopp": ("W005", "Did you mean 'shop'?"),
    }
    assert {one["origin"]["source"] for one in ran.document["problems"]} == {"settings"}


MALFORMED = [
    (["acme-cdn"], "DJANGO_RUNBOOK must be a dictionary", "PLUGINS"),
    ({"PLUGIN": {}}, "DJANGO_RUNBOOK has the unknown key 'PLUGIN'", "Did you mean 'PLUGINS'?"),
    ({1: {}}, "DJANGO_RUNBOOK has the unknown key 1", "PLUGINS"),
    ({"PLUGINS": ["acme-cdn"]}, '["PLUGINS"] must be a dictionary', "allow"),
    ({"PLUGINS": {"alow": []}}, "has the unknown key 'alow'", "Did you mean 'allow'?"),
    ({"PLUGINS": {"deny": []}}, "has the unknown key 'deny'", "allow, block"),
    ({"PLUGINS": {"allow": "acme-cdn"}}, '["allow"] must be', '["acme-cdn"]'),
    ({"PLUGINS": {"allow": True}}, '["allow"] must be', '["acme-cdn"]'),
    ({"PLUGINS": {"block": "acme-cdn"}}, '["block"] must be a list', '["acme-cdn"]'),
    ({"PLUGINS": {"block": None}}, '["block"] must be a list', '["acme-cdn"]'),
    ({"PLUGINS": {"block": [5]}}, '["block"] must be a list', '["acme-cdn"]'),
]


def test_a_malformed_setting_is_an_error(site: Site) -> None:
    """It is reported once and as an error: what is wrong, and what was probably meant."""
    site.project.settings('command("deploy", "probe", "own")')

    ran = site.project.python(f"""
        import django, json
        django.setup()
        from django.test import override_settings
        from django_runbook import get_plan

        for policy in {[policy for policy, _, _ in MALFORMED]!r}:
            with override_settings(DJANGO_RUNBOOK=policy):
                found = get_plan("deploy").problems
            print(json.dumps([[one.id, one.message, one.hint, str(one.origin)] for one in found]))
    """)

    lines = ran.out.splitlines()
    assert len(lines) == len(MALFORMED), ran.err
    for line, (policy, says, remedy) in zip(lines, MALFORMED, strict=True):
        [(code, message, hint, origin)] = json.loads(line)
        assert (code, origin) == ("django_runbook.E002", "settings"), policy
        assert says in message
        assert remedy in hint


def test_a_malformed_setting_keeps_routines_from_running(site: Site) -> None:
    """The routine refuses; other commands go on."""
    site.explain('{"PLUGINS": {"blok": ["acme-cdn"]}}')

    ran = site.project.manage("routine", "deploy")

    assert ran.status == 1
    assert "django_runbook.E002" in ran.err
    assert "Did you mean 'block'?" in ran.err
    assert site.project.ran == []
    assert site.project.manage("check").status == 0


def test_blocking_an_app_blocks_its_module_by_any_way(project: Project) -> None:
    """The hook module of a blocked app does not come back through its distribution's entry point.

    Whoever blocks an app does not want its hook to run, whatever else names the module.
    """
    project.distribution(
        "acme-shop",
        modules={"shop_app/routines.py": PLUGIN},
        entry_points={"django_runbook": {"shop": "shop_app.routines"}},
    )
    project.apps = ("shop_app",)
    site = Site(project)

    assert words(site.explain('{"PLUGINS": {"block": ["shop_app"]}}').document) == {"own"}
    assert site.imported == set()
