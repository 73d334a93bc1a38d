"""Ways in which a step could be lost or doubled, or a failure end with 0, each of them closed."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from .projects import ENVIRONMENT, Project, hook, ids, problem_ids

EXITS = """
    import sys

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            print("not configured")
            sys.exit(0)
"""


def test_a_command_that_ends_the_process_while_it_is_made_is_an_error(project: Project) -> None:
    """``sys.exit(0)`` in ``add_arguments`` must not end a deploy, or its explanation, with 0."""
    project.command("probe", "exits", EXITS)
    project.settings("""
        command("deploy", "probe", "first")
        command("deploy", "exits")
    """)

    for words in (
        ("routine", "deploy"),
        ("routine", "deploy", "--explain"),
        ("routine", "deploy", "list"),
        ("check", "--deploy", "--tag", "django_runbook"),
    ):
        ran = project.manage(*words)
        assert ran.status == 1, words
        assert "django_runbook.E012" in ran.out + ran.err
        assert "Traceback" not in ran.err
    assert project.ran == []


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_where_output_goes_turns_no_switch_on(name: str) -> None:
    """``call_command(..., stdout=...)`` would activate a switch of that name: it is refused."""
    declared = {"deploy": {"commands": [{"management": "check", "switches": [name]}]}}

    with override_settings(DJANGO_ROUTINES=declared), pytest.raises(CommandError, match="E009"):
        call_command("routine", "deploy", stdout=StringIO())


NOT_QUITE_HOOKS = {
    "cached": """
        import functools
        from django_runbook import hookimpl

        @hookimpl
        @functools.cache
        def contribute_routines(routines):
            routines.command("deploy", "probe")
    """,
    "an object": """
        from django_runbook import hookimpl

        class Hook:
            def __call__(self, routines):
                routines.command("deploy", "probe")

        contribute_routines = hookimpl(Hook())
    """,
    "a method of a class": """
        from django_runbook import hookimpl

        class Hooks:
            @hookimpl
            def contribute_routines(self, routines):
                routines.command("deploy", "probe")
    """,
    "a list": """
        from django_runbook import ManagementCommand, hookimpl

        @hookimpl
        def contribute_routines(routines):
            return [ManagementCommand("probe")]
    """,
    "unmarked": """
        from django_runbook import hookimpl

        def contribute(routines):
            routines.command("deploy", "probe")
    """,
    "no function": "contribute_routines = 5\n",
}


@pytest.mark.parametrize("text", NOT_QUITE_HOOKS.values(), ids=NOT_QUITE_HOOKS.keys())
def test_what_was_meant_as_a_hook_is_never_passed_over(project: Project, text: str) -> None:
    """An app's module that marks, or wants to mark, something else than a function is an error."""
    project.app("shop", routines=text)
    project.settings('command("deploy", "probe", "own")')

    document = project.explain()

    assert problem_ids(document) == ["E005"]
    assert document["problems"][0]["origin"]["file"] == "shop/routines.py"


def test_a_declaration_at_the_top_of_a_hook_module_is_refused(project: Project) -> None:
    """It would be written into the hook module's namespace, which nobody reads."""
    text = 'from django_runbook import command\n\ncommand("deploy", "probe", "lost")\n'
    project.distribution(
        "acme-lost",
        modules={"acme_lost/hooks.py": text + hook('routines.command("deploy", "probe", "kept")')},
        entry_points={"django_runbook": {"main": "acme_lost.hooks"}},
    )
    project.settings('command("deploy", "probe", "own")')

    (problem,) = project.explain()["problems"]

    assert problem["id"] == "django_runbook.E003"
    assert "DeclarationError" in problem["message"]
    assert problem["origin"]["line"] == 3


def test_a_blocked_distribution_does_not_excuse_a_typo_for_an_app_of_its_name(
    project: Project,
) -> None:
    """``disable()`` of a step that an app does not have stays an error."""
    project.app("shop", routines=hook('routines.command("deploy", "probe", step_id="warm")'))
    project.distribution(
        "shop",
        modules={"shop_plugin/hooks.py": hook('routines.command("deploy", "probe")')},
        entry_points={"django_runbook": {"main": "shop_plugin.hooks"}},
    )
    project.settings("""
        DJANGO_RUNBOOK = {"PLUGINS": {"allow": []}}
        disable("deploy", "shop:wram")
    """)

    assert problem_ids(project.explain()) == ["E007"]


def test_ready_may_declare_the_same_twice(project: Project) -> None:
    """Only ``ready()`` that is called again says all of it again."""
    project.app(
        "shop",
        apps="""
            from django.apps import AppConfig
            from django_runbook import contribute

            class ShopConfig(AppConfig):
                name = "shop"

                def ready(self):
                    def check():
                        contribute(self).command("deploy", "probe", "check")

                    check()
                    contribute(self).command("deploy", "probe", "work")
                    check()
        """,
    )
    project.settings("")

    for calls in ("", "apps.get_app_config('shop').ready();" * 2):
        ran = project.python(f"""
            import django
            django.setup()
            from django.apps import apps
            {calls}
            from django_runbook import get_plan
            print([step.command_line for step in get_plan("deploy").steps])
        """)
        assert ran.out.strip() == "['probe check', 'probe work', 'probe check']", ran.err


def test_components_that_take_over_and_add_count_each_step_once(project: Project) -> None:
    """A new dictionary, an addition to an old list, a deep copy: one step each, where it was."""
    project.file(
        "config/settings/components/a.py",
        'DJANGO_ROUTINES = {"deploy": {"commands": [{"management": ("probe", "a")}]}}\n',
    )
    project.file(
        "config/settings/components/b.py",
        """
        DJANGO_ROUTINES = {**DJANGO_ROUTINES, "package": {"commands": []}}
        DJANGO_ROUTINES["deploy"]["commands"] += [{"management": ("probe", "b")}]
        """,
    )
    project.file(
        "config/settings/components/c.py",
        "import copy\n\nDJANGO_ROUTINES = copy.deepcopy(DJANGO_ROUTINES)\n",
    )
    project.settings('include("components/*.py")', package=True)

    steps = project.explain()["steps"]

    assert [(step["argv"][1], step["origin"]["file"]) for step in steps] == [
        ("a", "config/settings/components/a.py"),
        ("b", "config/settings/components/b.py"),
    ]


def test_a_closed_stderr_ends_no_deploy(project: Project) -> None:
    """There is nothing to flush then."""
    project.settings(f"""
        command("deploy", "probe", "one")
        system("deploy", {sys.executable!r}, "-c", "pass")
        command("deploy", "probe", "two")
    """)
    line = shlex.join([sys.executable, "manage.py", "routine", "deploy"])
    environment = {**os.environ, **ENVIRONMENT}
    environment.pop("DJANGO_SETTINGS_MODULE", None)

    done = subprocess.run(
        f"{line} 2>&-", shell=True, cwd=project.root, env=environment, check=False
    )

    assert (done.returncode, project.ran) == (0, ["probe one", "probe two"])


def test_a_required_argument_by_its_name_is_found_before_the_first_step(project: Project) -> None:
    """``call_command`` cannot pass it that way, and would say so in the middle of the deploy."""
    project.command(
        "probe",
        "needs",
        """
        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("word", nargs="+")
        """,
    )
    project.settings("""
        command("deploy", "probe", "first")
        command("deploy", "needs", word=["x"])
    """)

    ran = project.manage("routine", "deploy")

    assert (ran.status, project.ran) == (1, [])
    assert "django_runbook.E013" in ran.err


def test_a_broken_receiver_does_not_hide_which_step_failed(project: Project) -> None:
    """Both failures are told, the step's first."""
    project.app(
        "pager",
        apps="""
            from django.apps import AppConfig
            from django_runbook.signals import routine_failed

            def tell(**kwargs):
                raise ConnectionError("pager down")

            class PagerConfig(AppConfig):
                name = "pager"

                def ready(self):
                    routine_failed.connect(tell)
        """,
    )
    project.settings('command("deploy", "probe", "--fail")')

    ran = project.manage("routine", "deploy")

    assert ran.status == 1
    assert "Step 1 of 1 of routine 'deploy' failed: settings:probe" in ran.err
    assert "a receiver of routine_failed raised ConnectionError: pager down" in ran.err
    assert "Traceback" not in ran.err


def test_list_says_why_it_ends_with_1(project: Project) -> None:
    """The commands on stdout, what is wrong with them on stderr."""
    project.settings('command("deploy", "prboe")')

    ran = project.manage("routine", "deploy", "list")

    assert (ran.status, ran.out) == (1, "[0] prboe\n")
    assert "django_runbook.E012" in ran.err


def test_a_command_without_its_routine_stops_every_routine(project: Project) -> None:
    """``routines.command("warm", priority=50)`` forgot the routine: nobody knows which it was."""
    project.app("shop", routines=hook('routines.command("warm", priority=50)'))
    project.settings('command("deploy", "probe")')

    (problem,) = project.explain()["problems"]

    assert problem["id"] == "django_runbook.E001"
    assert "The routine's name comes first" in problem["hint"]
    assert problem["origin"]["file"] == "shop/routines.py"


def test_a_routine_called_almost_as_another_is_warned_of(project: Project) -> None:
    """A step for ``deplyo`` never runs with ``deploy``, and whoever explains that is told."""
    project.app("shop", routines=hook('routines.command("deplyo", "probe")'))
    project.settings("""
        routine("deploy", "Deploy the site.")
        command("deploy", "check")
    """)

    document = project.explain()

    assert ids(document) == ["settings:check"]
    assert problem_ids(document) == ["W008"]


def test_equal_plugin_objects_are_not_taken_for_one(project: Project) -> None:
    """Pluggy compares plugins with ``==``; one that it cannot tell from another is refused."""
    project.distribution(
        "acme-equal",
        modules={
            "acme_equal/hooks.py": """
                from dataclasses import dataclass, field

                from django_runbook import hookimpl

                @dataclass(unsafe_hash=True)
                class Plugin:
                    word: str = field(compare=False)

                    @hookimpl
                    def contribute_routines(self, routines):
                        routines.command("deploy", "probe", self.word)

                eu, us = Plugin("eu"), Plugin("us")
            """
        },
        entry_points={"django_runbook": {"eu": "acme_equal.hooks:eu", "us": "acme_equal.hooks:us"}},
    )
    project.settings("")

    assert problem_ids(project.explain()) == ["E005"]
