"""Declaring in settings: every call form, as the plan shows it."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

import django_runbook
from django_runbook import ManagementCommand, Routine, SystemCommand, get_plan
from django_runbook.exceptions import DeclarationError
from django_runbook.model import Plan

from .projects import Project, hook, ids, line_of, write

pytestmark = pytest.mark.ours


class SettingsFile:
    """A settings file on disk that is executed in this process."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = write(path, f"from django_runbook import *\n{dedent(text)}")
        self.namespace = runpy.run_path(str(path), run_name="site_settings")
        self.routines: Any = self.namespace.get("DJANGO_ROUTINES")

    def line(self, text: str) -> int:
        """Return the number of the one line that holds a text."""
        lines = self.path.read_text().splitlines()
        [number] = [number for number, line in enumerate(lines, 1) if text in line]
        return number

    def plan(self, routine: str = "deploy", *switches: str) -> Plan:
        with override_settings(DJANGO_ROUTINES=self.routines):
            return get_plan(routine, switches)

    def problems(self, routine: str = "deploy") -> list[str]:
        """Return what is wrong with the declarations of this file: ``line: message hint``."""
        return [
            f"{problem.origin.line}: {problem.message} {problem.hint}"
            for problem in self.plan(routine).problems
            if problem.origin.source.kind == "settings" and problem.level == "error"
        ]


Settle = Callable[[str], SettingsFile]


@pytest.fixture
def settle(tmp_path: Path) -> Settle:
    """Execute the text of a settings file, ``from django_runbook import *`` above it."""
    return lambda text: SettingsFile(tmp_path / "site_settings.py", text)


def argvs(plan: Plan) -> list[str]:
    """Return the command lines of the steps that run."""
    return [" ".join(step.declaration.argv) for step in plan.steps]


def test_three_ways_to_write_an_option_mean_the_same_command(project: Project) -> None:
    """A tuple, words and keywords all declare ``makemigrations --no-header``."""
    project.settings("""
        command("package", ("makemigrations", "--no-header"))
        command("package", "makemigrations", "--no-header")
        command("package", "makemigrations", no_header=True)
    """)

    document = project.explain("package")

    assert [(step["argv"], step["options"]) for step in document["steps"]] == [
        (["makemigrations", "--no-header"], {}),
        (["makemigrations", "--no-header"], {}),
        (["makemigrations"], {"no_header": True}),
    ]
    assert ids(document) == [
        "settings:makemigrations",
        "settings:makemigrations-2",
        "settings:makemigrations-3",
    ]


# -- commands ---------------------------------------------------------------------------------


def test_a_command_is_written_as_words_a_tuple_a_list_or_a_mixture(settle: Settle) -> None:
    """Arguments that are numbers or paths become strings."""
    plan = settle("""
        from pathlib import Path
        command("deploy", "migrate")
        command("deploy", ("migrate", "auth"))
        command("deploy", ["migrate", "auth", "0001"])
        command("deploy", ("migrate", "--plan"), "auth")
        command("deploy", "loaddata", Path("demo.json"))
        command("deploy", "runserver", 8000)
    """).plan()

    assert argvs(plan) == [
        "migrate",
        "migrate auth",
        "migrate auth 0001",
        "migrate --plan auth",
        "loaddata demo.json",
        "runserver 8000",
    ]


def test_every_keyword_of_command_reaches_its_step(settle: Settle) -> None:
    """What is none of the command's own keywords is an option for the management command."""
    plan = settle("""
        command(
            "deploy", "migrate", priority=3, switches=["demo-data"], pre_hook="shop.before",
            post_hook="shop.after", step_id="schema", run_before=["check"], run_after=["flush"],
            time_limit=1.5, help_text="Bring the tables up to date.", fake_initial=True,
            database="default",
        )
    """).plan("deploy", "demo-data")

    [step] = plan.steps
    said = step.declaration
    assert (step.id, said.kind, said.argv) == ("settings:schema", "management", ("migrate",))
    assert (said.priority, said.switches, said.time_limit) == (3, ("demo_data",), 1.5)
    assert (said.pre_hook, said.post_hook) == ("shop.before", "shop.after")
    assert [(one.relation, one.ref) for one in said.constraints] == [
        ("run_before", "check"),
        ("run_after", "flush"),
    ]
    assert said.help_text == "Bring the tables up to date."
    assert dict(said.options) == {"fake_initial": True, "database": "default"}


def test_every_keyword_of_system_reaches_its_step(settle: Settle) -> None:
    """A system command has the same keywords as a management command, and no options."""
    plan = settle("""
        system(
            "deploy", ("touch", "wsgi.py"), priority=-1, switches=("reload",), step_id="reload",
            pre_hook="shop.before", post_hook="shop.after", run_before=["check"],
            run_after=["migrate"], time_limit=5, help_text="Restart the workers.",
        )
        system("deploy", "git", "pull", priority=-2)
    """).plan("deploy", "reload")

    pull, touch = plan.steps
    assert (pull.declaration.kind, pull.declaration.argv) == ("system", ("git", "pull"))
    said = touch.declaration
    assert (touch.id, said.kind, said.argv) == ("settings:reload", "system", ("touch", "wsgi.py"))
    assert (said.priority, said.switches, said.time_limit) == (-1, ("reload",), 5)
    assert (said.pre_hook, said.post_hook) == ("shop.before", "shop.after")
    assert [one.ref for one in said.constraints] == ["check", "migrate"]
    assert said.help_text == "Restart the workers."


def test_command_and_system_return_what_they_declared(settle: Settle) -> None:
    """The objects are the dataclasses, with the fields that were given."""
    namespace = settle("""
        migrate = command("deploy", "migrate", "auth", priority=2, database="default")
        touch = system("deploy", ("touch", "wsgi.py"), switches=["initial"])
    """).namespace

    migrate, touch = namespace["migrate"], namespace["touch"]
    assert migrate == ManagementCommand(
        ("migrate", "auth"), priority=2, options={"database": "default"}
    )
    assert (migrate.command_name, migrate.command_args) == ("migrate", ("auth",))
    assert touch == SystemCommand(("touch", "wsgi.py"), switches=["initial"])
    assert touch.command_str == "touch wsgi.py"


def test_declarations_are_plain_dictionaries_in_the_setting(settle: Settle) -> None:
    """What the functions declare can be read, changed and replaced as any other setting."""
    routines = settle("""
        routine("deploy", "Deploy the site.", initial="The first time.")
        command("deploy", "migrate", priority=1)
        system("deploy", "touch", "wsgi.py")
    """).routines

    assert type(routines) is dict
    deploy = routines["deploy"]
    assert deploy["help_text"] == "Deploy the site."
    assert deploy["switch_helps"] == {"initial": "The first time."}
    assert [type(command) for command in deploy["commands"]] == [dict, dict]
    assert [command.get("management") for command in deploy["commands"]] == [("migrate",), None]


def test_a_keyword_that_a_system_command_does_not_have_is_a_problem_of_the_plan(
    project: Project,
) -> None:
    """It ends with status 1 and says what, where and how; no traceback, and nothing runs."""
    settings = project.settings("""
        command("deploy", "probe")
        system("deploy", "touch", "wsgi.py", run_afer=["probe"])
    """)
    line = len(settings.read_text().rstrip().splitlines())

    run = project.manage("routine", "deploy")
    explained = project.manage("routine", "deploy", "--explain")

    for ran in (run, explained):
        said = " ".join((ran.out + ran.err).split())
        assert ran.status == 1
        assert "Unknown key 'run_afer' for 'touch' in routine 'deploy'." in said
        assert "Did you mean 'run_after'?" in said
        assert f"config/settings.py:{line}" in said
        assert "Traceback" not in said
    assert project.ran == []


# -- routines ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["routine", "command"])
def test_a_routine_is_declared_before_or_after_its_commands(settle: Settle, first: str) -> None:
    """Either order gives the same routine."""
    lines = ['routine("deploy", "Deploy the site.", demo="Load it.")', 'command("deploy", "check")']
    plan = settle("\n".join(lines if first == "routine" else reversed(lines))).plan()

    assert (plan.help_text, dict(plan.available)) == ("Deploy the site.", {"demo": "Load it."})
    assert argvs(plan) == ["check"]


def test_every_keyword_of_routine_reaches_the_plan(settle: Settle) -> None:
    """What is none of the routine's own keywords is a switch and its help."""
    plan = settle("""
        def note(*args): pass
        routine(
            name="deploy", help_text="Deploy the site.", subprocess=True, atomic=True,
            continue_on_error=True, initialize=note, finalize="shop.done", pre_hook="shop.before",
            post_hook=note, demo_data="Load the demo data.",
        )
    """).plan()

    assert plan.help_text == "Deploy the site."
    assert all(plan.control(name) for name in ("subprocess", "atomic", "continue_on_error"))
    assert callable(plan.attributes["initialize"].value)
    assert callable(plan.attributes["post_hook"].value)
    assert plan.attributes["finalize"].value == "shop.done"
    assert plan.attributes["pre_hook"].value == "shop.before"
    assert dict(plan.available) == {"demo_data": "Load the demo data."}


def test_declaring_a_routine_again_adds_and_resets_nothing(settle: Settle) -> None:
    """Only what is given changes: ``atomic`` stays true, the help and the switches stay."""
    declared = settle("""
        routine("deploy", "Deploy the site.", ManagementCommand("check"), atomic=True, demo="Old.")
        routine("deploy", None, ManagementCommand("migrate"), initial="The first time.")
        routine("deploy", finalize="shop.done", demo="New.")
        routine("other", atomic=True)
        routine("other", atomic=False)
    """)

    plan = declared.plan()
    assert argvs(plan) == ["check", "migrate"]
    assert plan.help_text == "Deploy the site."
    assert plan.control("atomic") is True
    assert plan.attributes["finalize"].value == "shop.done"
    assert dict(plan.available) == {"demo": "New.", "initial": "The first time."}
    assert declared.plan("other").control("atomic") is False


def test_inline_commands_keep_their_own_lines(settle: Settle) -> None:
    """Each object given to ``routine()`` has the line that it was made on as its origin."""
    declared = settle("""
        CHECK = ManagementCommand("check")
        routine(
            "deploy",
            "Deploy the site.",
            CHECK,
            ManagementCommand("migrate", switches=["demo"]),
            SystemCommand(("touch", "wsgi.py")),
            {"management": "flush"},
        )
    """)

    lines = {step.id: step.origin.line for step in declared.plan("deploy", "demo").steps}

    assert lines["settings:check"] == declared.line("CHECK =")
    assert lines["settings:migrate"] == declared.line('"migrate"')
    assert lines["settings:touch"] == declared.line('"touch"')
    # A dictionary does not know its line; the statement that holds it has one.
    assert declared.line("routine(") <= lines["settings:flush"] <= declared.line('"flush"')


def test_a_helper_function_may_stand_in_between(tmp_path: Path) -> None:
    """The origin is the line of the statement in the settings file, however deep the helper."""
    write(
        tmp_path / "helpers.py",
        """
        from django_runbook import command, routine, system

        def warm(name):
            return [command("deploy", "check", "--tag", name) for _ in range(1)][0]

        def everything():
            routine("deploy", "Deploy the site.")
            warm("everything")
            system("deploy", "touch", "wsgi.py")
        """,
    )
    declared = SettingsFile(
        tmp_path / "site_settings.py",
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        from helpers import everything, warm
        sys.path.pop(0)
        del sys.modules["helpers"]

        def local(name):
            command("deploy", "flush", name)

        warm("first")  # direct
        if True:
            local("one")  # from a function of the file itself
        everything()  # several
        """,
    )

    origins = [(step.origin.file, step.origin.line) for step in declared.plan().steps]

    assert origins == [
        ("site_settings.py", declared.line("# direct")),
        ("site_settings.py", declared.line("# from a function")),
        ("site_settings.py", declared.line("# several")),
        ("site_settings.py", declared.line("# several")),
    ]


def test_names_with_a_dash_and_with_an_underscore_are_one_routine(settle: Settle) -> None:
    """So are the names of a hand-written dictionary, and those of switches."""
    declared = settle("""
        DJANGO_ROUTINES = {"pre-deploy": {"commands": [{"management": "check"}]}}
        command("pre_deploy", "migrate", switches=["with-demo"])
        command("pre-deploy", "flush", switches=["--with_demo"])
        routine("pre_deploy", "Before.", with_demo="Load it.")
    """)

    for name in ("pre_deploy", "pre-deploy"):
        plan = declared.plan(name, "with-demo")
        assert argvs(plan) == ["check", "migrate", "flush"]
        assert (plan.help_text, list(plan.available)) == ("Before.", ["with_demo"])
        with override_settings(DJANGO_ROUTINES=declared.routines):
            found = django_runbook.get_routine(name)
            listed = [routine.name for routine in django_runbook.routines()]
        assert [command.command_name for command in found.commands] == ["check", "migrate", "flush"]
        assert listed == ["pre_deploy"]


def test_a_hand_written_dictionary_is_extended_by_calls(settle: Settle) -> None:
    """The commands of the calls come after those written, whatever form those have."""
    declared = settle("""
        DJANGO_ROUTINES = {
            "deploy": {"commands": ({"management": "check"},), "help_text": "Deploy."},
            "bare": {},
        }
        command("deploy", "migrate")
        routine("deploy", atomic=True)
        command("bare", "flush")
        command("new", "check")
    """)

    plan = declared.plan()
    assert (argvs(plan), plan.help_text) == (["check", "migrate"], "Deploy.")
    assert plan.control("atomic") is True
    assert argvs(declared.plan("bare")) == ["flush"]
    assert argvs(declared.plan("new")) == ["check"]


def test_a_routine_object_is_extended_by_calls(settle: Settle) -> None:
    """A ``Routine`` as value keeps what it says, and is not changed itself."""
    declared = settle("""
        SITE = Routine(
            "deploy", "Deploy.", [ManagementCommand("check"), SystemCommand(("touch", "x"))],
            {"demo-data": "Load it."}, atomic=True,
        )
        DJANGO_ROUTINES = {"deploy": SITE}
        command("deploy", "migrate", switches=["demo_data"])
        routine("deploy", finalize="shop.done")
    """)

    plan = declared.plan("deploy", "demo_data")
    assert argvs(plan) == ["check", "touch x", "migrate"]
    assert (plan.help_text, plan.control("atomic")) == ("Deploy.", True)
    assert dict(plan.available) == {"demo_data": "Load it."}
    assert plan.attributes["finalize"].value == "shop.done"
    assert len(declared.namespace["SITE"]) == 2
    assert declared.namespace["SITE"].finalize is None


def test_a_setting_that_is_no_dictionary_is_reported_and_not_a_traceback(settle: Settle) -> None:
    """The declarations around the mistake go on, so that everything wrong is reported at once."""
    a_list = settle("""
        DJANGO_ROUTINES = ["deploy"]
        command("deploy", "check")
    """)
    a_name = settle("""
        DJANGO_ROUTINES = {"deploy": "migrate"}
        command("deploy", "check")
    """)

    assert any("must be a dictionary of routines, not a list" in one for one in a_list.problems())
    assert any("'migrate'" in one for one in a_name.problems())
    assert argvs(a_list.plan()) == ["check"]


@pytest.mark.parametrize(
    ("statement", "message", "remedy"),
    [
        ('command("deploy", "check", priority=True)', "'priority' of", "Lower runs first"),
        ('command("deploy", "check", switches="demo")', "'switches' of", "Write ['demo']."),
        ('command("deploy", "check", run_after="x")', "'run_after' of", "Write ['x']."),
        ('command("deploy", "check", time_limit=0)', "'time_limit' of", "seconds"),
        ('command("deploy", "check", help_text=3)', "'help_text' of", "a string"),
        ('command("deploy", "check", step_id="a b")', "'step_id' of", "letters"),
        ('command("deploy", "check", pre_hook=3)', "'pre_hook' of", "callable"),
        ('command("deploy")', "declared without its name", "The routine's name comes first"),
        ('command("deploy", "")', "must be a name, or a list", "Give"),
        ('command("deploy", "check", None)', "a string, a number or a path", "Give"),
        ('routine("deploy", atomic=1)', "'atomic' of routine", "a list of aliases or '__all__'"),
        ('routine("deploy", atomic="yes")', "the database 'yes'", "DATABASES has default."),
        ('routine("deploy", subprocess="yes")', "'subprocess' of routine", "True or False"),
        ('routine("deploy", atomik=True)', "'atomik' of routine", "Did you mean 'atomic'?"),
        ('routine("deploy", verbosity="x")', "Switch --verbosity", "another name"),
        ('routine("deploy", "x", "migrate")', "must be a dictionary", "'migrate'}"),
        ('override("deploy", "check", prioritty=3)', "'prioritty'", "Did you mean 'priority'?"),
        ('override("deploy", "chekc", priority=3)', "'chekc'", "check"),
        ('disable("deploy", "chekc")', "'chekc'", "check"),
    ],
)
def test_a_mistake_in_a_call_is_an_error_with_its_line_and_a_remedy(
    settle: Settle, statement: str, message: str, remedy: str
) -> None:
    """The call itself goes through: a typo never ends the process that reads the settings."""
    declared = settle(f'command("deploy", "check")\n\n{statement}  # the mistake\n')

    problems = declared.problems()

    assert len(problems) == 1, problems
    assert problems[0].startswith(f"{declared.line('# the mistake')}: ")
    assert message in problems[0]
    assert remedy in problems[0]


@pytest.mark.parametrize(
    ("entry", "message", "remedy"),
    [
        ('{"managment": "check"}', "neither 'management' nor 'system'", "'management'?"),
        ('{"management": "check", "system": "ls"}', "both 'management' and 'system'", "Keep"),
        ('{"management": "check", "prioirty": 1}', "'prioirty'", "Did you mean 'priority'?"),
        ('{"management": "check", "priority": True}', "'priority' of", "Lower runs first"),
        ('{"management": "check", "switches": "demo"}', "'switches' of", "Write ['demo']."),
        ('{"system": "ls", "options": {"x": 1}}', "'options'", "Known are"),
        ('{"command": "ls", "kind": "sytem"}', "unknown kind 'sytem'", "Did you mean 'system'?"),
        ('"check"', "must be a dictionary", "'check'}"),
    ],
)
def test_a_mistake_in_a_dictionary_is_an_error_with_its_line_and_a_remedy(
    project: Project, entry: str, message: str, remedy: str
) -> None:
    """The line is the entry's own, found in the text of the settings file."""
    settings = project.settings(f"""
        DJANGO_ROUTINES = {{
            "deploy": {{
                "commands": [
                    {{"management": "probe"}},
                    {entry},
                ],
            }},
        }}
    """)
    line = next(
        number for number, text in enumerate(settings.read_text().splitlines(), 1) if entry in text
    )

    problems = [one for one in project.explain()["problems"] if one["id"] == "django_runbook.E001"]

    assert len(problems) == 1, problems
    assert message in problems[0]["message"]
    assert remedy in problems[0]["hint"]
    assert problems[0]["origin"]["file"] == "config/settings.py"
    assert problems[0]["origin"]["line"] == line


MALFORMED = """
    DJANGO_ROUTINES = {
        "no-helps": {"switch_helps": None},
        "helps": {"switch_helps": ["one"]},  # helps
        "no-overrides": {"overrides": None, "commands": [{"management": "probe"}]},
        "list-of-overrides": {"overrides": ["two"]},  # list-of-overrides
        "text-of-overrides": {
            "overrides": "three",  # text-of-overrides
        },
        "an-override": {
            "commands": [{"management": "probe"}],
            "overrides": {
                "probe": 4,  # an-override
            },
        },
        "no-commands": {"commands": None},
        "commands": {
            "commands": 5,  # commands
        },
        "places": {"__origins__": 6},
    }
    odd = ManagementCommand("probe")  # attribute
    odd.prioritty = 7
    for name in ("no-helps", "helps"):
        routine(name, demo="Load it.")
    for name in ("no-overrides", "list-of-overrides", "text-of-overrides", "an-override"):
        disable(name, "probe")
    for name in ("no-commands", "commands", "list-of-overrides", "text-of-overrides", "places"):
        command(name, "probe")
    routine("attribute", None, odd)
    command(["deploy"], "probe")  # no name
    command("no name", "probe")  # not a name
    command("step", "probe")
    disable("step", ["probe"])  # step
    command("keys", "probe")
    override("keys", "probe", step=1, routine=2)  # keys
"""


def test_no_malformed_declaration_keeps_the_settings_from_being_read(project: Project) -> None:
    """Every other command works; the routine's plan says what is wrong, with file and line."""
    settings = project.settings(MALFORMED)

    other = project.manage("probe", "other")
    assert (other.status, other.err, project.ran) == (0, "", ["probe other"])

    ran = project.manage("routine", "--explain", "--format", "json")
    assert ran.status == 1, ran.err
    errors = [one for one in ran.document["problems"] if one["level"] == "error"]
    assert {one["id"] for one in errors} == {"django_runbook.E001"}
    assert {one["origin"]["file"] for one in errors} == {"config/settings.py"}
    found = {(one["origin"]["line"], one["message"]) for one in errors}
    expected = {
        "helps": "'switch_helps' of routine 'helps' must be a dictionary like",
        "list-of-overrides": "An override must be a dictionary of changes, not 'two'.",
        "text-of-overrides": "'overrides' of routine 'text_of_overrides' must be a dictionary",
        "an-override": "The override of 'probe' in routine 'an_override' must be a dictionary",
        "commands": "'commands' of routine 'commands' must be a list of commands, not 5.",
        "attribute": "Unknown key 'prioritty' for 'probe' in routine 'attribute'.",
        "no name": "a list cannot be the name of a routine.",
        "not a name": "'no name' cannot be the name of a routine.",
        "step": "What is overridden must be a step id, not a list.",
        "keys": "Unknown key 'step' for the override of 'probe' in routine 'keys'.",
        "keys, too": "Unknown key 'routine' for the override of 'probe' in routine 'keys'.",
    }
    for mark, message in expected.items():
        line = line_of(settings, f"# {mark.removesuffix(', too')}")
        assert any(at == line and said.startswith(message) for at, said in found), (mark, found)
    assert len(found) == len(errors) == len(expected)


# -- the last word ----------------------------------------------------------------------------


def test_settings_change_and_disable_steps_by_call_and_by_dictionary(project: Project) -> None:
    """``override()`` and ``disable()`` mean what the routine's ``"overrides"`` mean."""
    project.app(
        "shop",
        routines=hook("""
            for name in ("deploy", "package"):
                routines.command(name, "probe", "warm", priority=5, step_id="warm")
                routines.command(name, "probe", "purge", step_id="purge")
        """),
    )
    project.settings("""
        command("deploy", "check")
        override("deploy", "shop:warm", priority=-1, switches=["warm"])
        override("deploy", "shop:warm", help_text="Warm it.")
        disable("deploy", "shop:purge")
        DJANGO_ROUTINES["package"] = {
            "commands": [{"management": "check"}],
            "overrides": {
                "shop:warm": {"priority": -1, "switches": ["warm"], "help_text": "Warm it."},
                "shop:purge": {"disabled": True},
            },
        }
    """)

    by_call = project.explain("deploy", "--warm")
    by_dictionary = project.explain("package", "--warm")

    for document in (by_call, by_dictionary):
        assert ids(document) == ["shop:warm", "settings:check"]
        assert ids(document, "disabled") == ["shop:purge"]
        warm = document["steps"][0]
        assert (warm["priority"], warm["switches"]) == (-1, ["warm"])
        assert warm["help_text"] == "Warm it."


@pytest.mark.parametrize(
    "refs", [("check", "settings:check", "check"), ("settings:check", "check", "settings:check")]
)
def test_the_later_override_wins_by_whichever_name_it_calls_the_step(
    settle: Settle, refs: tuple[str, ...]
) -> None:
    """A command name and an id mean the same step, so only the order of the calls decides."""
    calls = [f'override("deploy", "{ref}", priority={number})' for number, ref in enumerate(refs)]
    first, second, _ = refs
    declared = settle(
        "\n".join(
            [
                'command("deploy", "check")',
                *calls,
                f'disable("deploy", "{first}"); override("deploy", "{second}", disabled=False)',
                'command("other", "check")',
                f'override("other", "{second}", disabled=False); disable("other", "{first}")',
            ]
        )
    )

    [step] = declared.plan().steps
    assert step.declaration.priority == 2
    assert [change.new for change in step.overridden_by] == [0, 1, 2]
    assert declared.plan("other").steps == ()


def test_a_call_has_the_last_word_on_a_dictionary_above_it(settle: Settle) -> None:
    """What is overridden by both is as the call says; the rest stays as the dictionary says."""
    declared = settle("""
        DJANGO_ROUTINES = {"deploy": {
            "commands": [{"management": "check"}],
            "overrides": {
                "settings:check": {"priority": 4, "help_text": "Check it."},
                "check": {"priority": 5, "disabled": True},
            },
        }}
        override("deploy", "settings:check", priority=6, disabled=False)
    """)

    [step] = declared.plan().steps
    assert (step.declaration.priority, step.declaration.help_text) == (6, "Check it.")


# -- lazily translated helps ------------------------------------------------------------------

LAZY = """
    from django.utils.functional import lazy

    SEEN = []

    def translate(text):
        SEEN.append(text)
        return text.upper()

    _ = lazy(translate, str)
"""


@pytest.mark.parametrize(
    "statement",
    [
        'routine("deploy", _("deploy"), demo=_("demo"))',
        'command("deploy", "check", help_text=_("check"))',
        'system("deploy", "touch", help_text=_("touch"))',
        'routine("deploy", None, ManagementCommand("check", help_text=_("check")))',
        'routine("deploy", None, {"management": "check", "help_text": _("check")})',
        'DJANGO_ROUTINES = {"deploy": {"help_text": _("deploy")}}; command("deploy", "check")',
        'DJANGO_ROUTINES = {"deploy": Routine("deploy", _("x"))}; command("deploy", "check")',
        'override("deploy", "check", help_text=_("check"))',
    ],
)
def test_a_lazily_translated_help_is_not_evaluated_at_declaration(
    settle: Settle, statement: str
) -> None:
    """Translations need the settings that are only now being read."""
    declared = settle(dedent(LAZY) + statement)

    assert declared.namespace["SEEN"] == []


def test_lazily_translated_helps_are_shown_in_the_language_in_force(project: Project) -> None:
    """Routine, switch and step: each is translated when it is shown."""
    project.settings("""
        from django.utils.translation import gettext_lazy as _

        LANGUAGE_CODE = "de"
        routine(
            "deploy", _("Yes"),
            ManagementCommand("probe", switches=["demo"], help_text=_("No")),
            demo=_("Monday"),
        )
    """)

    document = project.explain("deploy", "--demo")

    assert document["help_text"] == "Ja"
    assert document["switches"]["available"] == {"demo": "Montag"}
    assert document["steps"][0]["help_text"] == "Nein"


# -- reading ----------------------------------------------------------------------------------


def test_routines_are_read_within_the_settings_file(settle: Settle) -> None:
    """``scope`` names the namespace that is being filled; a hook-less ``Routine`` comes back."""
    namespace = settle("""
        routine("pre-deploy", "Before.", demo="Load it.")
        command("pre_deploy", "migrate", priority=2)
        command("pre_deploy", "check", priority=1)
        system("package", "touch", "x")
        FOUND = get_routine("pre-deploy", globals())
        NAMES = [one.name for one in routines(globals())]
    """).namespace

    found = namespace["FOUND"]
    assert isinstance(found, Routine)
    assert (found.name, found.help_text) == ("pre_deploy", "Before.")
    assert [command.command_name for command in found.commands] == ["check", "migrate"]
    assert found.switch_helps == {"demo": "Load it."}
    assert namespace["NAMES"] == ["pre_deploy", "package"]


def test_routines_are_read_without_scope_while_the_settings_are_executed(project: Project) -> None:
    """The settings module that is being executed is the one that is read."""
    project.settings("""
        command("deploy", "migrate")
        FOUND = len(get_routine("deploy"))
        NAMES = [one.name for one in routines()]
        command("deploy", "check")
    """)

    ran = project.python("""
        from django.conf import settings
        from django_runbook import get_routine

        print(settings.FOUND, settings.NAMES, len(get_routine("deploy")))
    """)

    assert ran.out == "1 ['deploy'] 2\n", ran.err


def test_routines_are_read_from_the_settings_in_force(settle: Settle) -> None:
    """``override_settings`` counts; case and ``-`` make no difference; a ``Routine`` is itself."""
    declared = settle('command("pre-deploy", "check")')
    other = Routine("other")

    with override_settings(DJANGO_ROUTINES={**declared.routines, "other": other}):
        assert django_runbook.get_routine("PRE-DEPLOY").name == "pre_deploy"
        assert django_runbook.get_routine("other") is other
        assert [one.name for one in django_runbook.routines()] == ["pre_deploy", "other"]
        with pytest.raises(KeyError):
            django_runbook.get_routine("missing")
    with override_settings(DJANGO_ROUTINES=None):
        assert list(django_runbook.routines()) == []
        with pytest.raises(KeyError):
            django_runbook.get_routine("deploy")


@pytest.mark.parametrize("written", ["calls", "dictionary", "both"])
def test_the_overrides_of_a_routine_are_read_by_their_steps(settle: Settle, written: str) -> None:
    """``{step: {field: value}}``, as they are written by hand, with nothing of ours in it."""
    calls = """
        override("deploy", "shop:warm", priority=1, help_text="Warm it.")
        override("deploy", "shop:warm", priority=2)
        disable("deploy", "check")
    """
    overrides = {"shop:warm": {"priority": 2, "help_text": "Warm it."}, "check": {"disabled": True}}
    literal = f"DJANGO_ROUTINES = {{'deploy': {{'overrides': {overrides!r}}}}}"
    text = {"calls": dedent(calls), "dictionary": literal, "both": literal + dedent(calls)}[written]

    with override_settings(DJANGO_ROUTINES=settle(text).routines):
        assert django_runbook.get_routine("deploy").overrides == overrides
        [routine] = django_runbook.routines()
    assert routine.overrides == overrides


def test_a_name_that_is_no_string_does_not_keep_the_others_from_being_read() -> None:
    """Reading one routine is not stopped by the name of another."""
    with override_settings(DJANGO_ROUTINES={5: {}, None: {}, "deploy": {"help_text": "Deploy."}}):
        assert django_runbook.get_routine("deploy").help_text == "Deploy."
        assert len(list(django_runbook.routines())) == 3
        with pytest.raises(KeyError):
            django_runbook.get_routine("missing")


@pytest.mark.parametrize(
    "setting",
    [
        ["deploy"],
        {"deploy": "migrate"},
        {"deploy": {"comands": []}},
        {"deploy": {"commands": [{"management": "check", "prioirty": 1}]}},
        {"deploy": {"commands": ["check"]}},
        {"deploy": {"commands": 3}},
    ],
)
def test_reading_a_malformed_routine_raises_improperly_configured(setting: Any) -> None:
    """It is Django's own error for a wrong setting, and it names the setting."""
    with override_settings(DJANGO_ROUTINES=setting):
        with pytest.raises(ImproperlyConfigured, match="DJANGO_ROUTINES"):
            django_runbook.get_routine("deploy")
        with pytest.raises(ImproperlyConfigured, match="DJANGO_ROUTINES"):
            list(django_runbook.routines())


# -- where a declaration would be lost --------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: django_runbook.routine("deploy"),
        lambda: django_runbook.command("deploy", "check"),
        lambda: django_runbook.system("deploy", "ls"),
        lambda: django_runbook.override("deploy", "check", priority=1),
        lambda: django_runbook.disable("deploy", "check"),
    ],
)
def test_declaring_where_no_settings_are_executed_raises(call: Callable[[], object]) -> None:
    """The error says where it was called and names what to write instead."""
    with pytest.raises(DeclarationError) as raised:
        call()

    assert f"{__file__}:{call.__code__.co_firstlineno}" in str(raised.value)
    assert "contribute(self)." in str(raised.value)


def test_declaring_in_ready_in_a_hook_or_in_a_shell_raises(project: Project) -> None:
    """Each of these is refused; in a hook it is a problem of the plan, like any error there."""
    ready = """
        from django.apps import AppConfig
        from django_runbook import command
        from django_runbook.exceptions import DeclarationError

        class ShopConfig(AppConfig):
            name = "shop"

            def ready(self):
                try:
                    command("deploy", "check")
                except DeclarationError as exc:
                    print(exc)
    """
    lost = "import django_runbook\n" + hook('django_runbook.command("deploy", "check")')
    project.app("shop", apps=ready, routines=lost)
    project.settings('command("deploy", "probe")')

    shell = project.manage("shell", "-c", "from django_runbook import *; command('deploy', 'x')")
    plan = project.python("""
        import django
        import json
        django.setup()
        from django_runbook import get_plan
        plan = get_plan("deploy")
        problems = [one.message for one in plan.errors if one.origin.source.name == "shop"]
        print(json.dumps([[step.id for step in plan.steps], problems]))
    """)

    assert shell.status != 0
    assert "contribute(self).command(...)" in shell.err
    in_ready, _, answer = plan.out.rstrip().rpartition("\n")
    assert "shop/apps.py" in in_ready
    assert "contribute(self).command(...)" in in_ready
    steps, [problem] = json.loads(answer)
    assert steps == ["settings:probe"]
    assert "routines.command(...)" in problem


def test_declaring_in_another_module_of_the_project_raises(project: Project) -> None:
    """A URLconf is no settings file: what it declared would be in a namespace nobody reads."""
    project.file(
        "config/urls.py",
        'from django_runbook import command\ncommand("deploy", "x")\nurlpatterns = []\n',
    )
    project.settings('command("deploy", "probe")\nROOT_URLCONF = "config.urls"')

    ran = project.manage("check")

    assert ran.status != 0
    assert "contribute(self).command(...)" in ran.err


# -- cost -------------------------------------------------------------------------------------


def calls(function: Callable[[], object]) -> int:
    """Return how many function calls a function makes, those of C functions included."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def declarations(count: int) -> dict[str, Any]:
    """Declare this many commands, and return the settings namespace."""
    source = 'from django_runbook import command\nfor n in range(COUNT):\n command("deploy", '
    code = compile(f'{source}"check", str(n), switches=["demo"])', "site_settings.py", "exec")
    scope: dict[str, Any] = {"__name__": "site_settings", "COUNT": count}
    exec(code, scope)  # what Django does with a settings file
    return scope


def test_a_declaration_costs_the_same_however_many_came_before() -> None:
    """Ten times the commands make ten times the calls: nothing is sorted or read again."""
    few, many = calls(lambda: declarations(1_000)), calls(lambda: declarations(10_000))

    assert many <= 10 * 1.2 * few


def test_a_plan_costs_in_proportion_to_its_steps() -> None:
    """Collecting, merging and ordering ten times the steps takes ten times the calls."""

    def plan(count: int) -> int:
        routines = declarations(count)["DJANGO_ROUTINES"]
        with override_settings(DJANGO_ROUTINES=routines):
            return calls(lambda: get_plan("deploy", ["demo"]))

    plan(1)  # imports what is imported once
    few, many = plan(1_000), plan(10_000)

    assert many <= 10 * 1.2 * few
