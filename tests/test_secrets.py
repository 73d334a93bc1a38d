"""Secrets: they reach the command that is given them, and show as ``***`` everywhere else."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_runbook import ManagementCommand, Secret, SystemCommand
from django_runbook.masking import Hidden
from django_runbook.secret import revealed, secrets_in, variables_in

from .projects import Project, Ran, hook, ids, line_of, problem_ids

pytestmark = pytest.mark.ours


TOKEN = "hunter2-c0ffee"
"""A value that stands in no file, message or path by chance."""

# A command that writes down what it is given, where only the test looks.
DELIVER = """
    import json
    import os
    from pathlib import Path

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("words", nargs="*")
            parser.add_argument("--token")
            parser.add_argument("--tag", action="append")
            parser.add_argument("--anything")
            parser.add_argument("--kind", choices=["daily", "monthly"])

        def handle(self, **options):
            given = {name: options[name] for name in ("words", "token", "tag", "anything")}
            with Path("got.txt").open("a") as file:
                file.write(json.dumps({**given, "pid": os.getpid()}) + "\\n")
"""

# The same as a program: its arguments, and the variables meant for it.
SINK = """
    import json
    import os
    import sys

    env = {name: value for name, value in os.environ.items() if name.startswith("SINK")}
    with open("got.txt", "a") as file:
        file.write(json.dumps({"words": sys.argv[1:], "env": env}) + "\\n")
"""

# Writes down every text that can be made of what hooks, receivers and log handlers are given.
SPY = """
    import json
    import logging
    import traceback
    from pathlib import Path

    from django.apps import AppConfig

    def forms(value):
        yield from (repr(value), str(value), f"{value}", "%s" % (value,))
        yield repr(getattr(value, "__dict__", None))

    def behind(exception):
        found = [exception]
        for one in found:
            inner = [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
            found += [more for more in inner if more is not None and more not in found]
        return found

    def texts(value):
        yield from forms(value)
        for one in behind(value) if isinstance(value, BaseException) else ():
            yield from (*forms(one), repr(one.args), repr(getattr(one, "__notes__", None)))
            yield "".join(traceback.format_exception(one))
        for one in value.steps if type(value).__name__ == "RunResult" else ():
            yield from (*forms(one), *one.stderr, one.command_line, *texts(one.exception))
            yield from texts(one.result)

    def dump(what, *values):
        line = json.dumps([what, [text for value in values for text in texts(value)]])
        with Path("seen.txt").open("a") as file:
            file.write(line + "\\n")

    class Keep(logging.Handler):
        def emit(self, record):
            whole = logging.Formatter().format(record)
            dump(record.levelname, whole, record.getMessage(), vars(record))

    class SpyConfig(AppConfig):
        name = "spy"

        def ready(self):
            from django_runbook import signals

            for name in ("started", "failed", "finished"):
                signal = getattr(signals, f"routine_{name}")
                signal.connect(self.receiver(name), weak=False)
            logging.getLogger("django_runbook").addHandler(Keep())
            logging.getLogger("django_runbook").setLevel(logging.DEBUG)

        def receiver(self, name):
            def receive(**kwargs):
                index = kwargs.get("failed_command")
                dump(name if index is None else f"{name} {index}", *kwargs.values())

            return receive
"""

SPY_HOOKS = """
    from spy.apps import dump

    def initialize(routine, plan, switches, options):
        dump("initialize", routine, plan, switches, options, routine.to_dict())

    def before(routine, command, previous, options):
        dump("pre_hook", routine, command, previous, options, command.to_dict())
        dump("pre_hook", command.command_str, command.command_name, command.command_args)

    def after(routine, command, following, options):
        dump("post_hook", routine, command, following, options, command.result)

    def finalize(routine, results):
        dump("finalize", routine, results, list(results), results.plan, results.error)
"""

HOOKS = """
    routine(
        "deploy",
        initialize="spy.hooks.initialize",
        pre_hook="spy.hooks.before",
        post_hook="spy.hooks.after",
        finalize="spy.hooks.finalize",
    )
"""


def masked(text, secrets):
    return Hidden(secrets).mask(text)


def equip(project: Project) -> Project:
    """Give a project the commands that take secrets, and the app that looks for them."""
    project.command("probe", "deliver", DELIVER)
    project.file("sink.py", SINK)
    project.app("spy", apps=SPY, hooks=SPY_HOOKS)
    return project


@pytest.fixture
def spied(project: Project) -> Project:
    """A project with the commands that take secrets, and the app that looks for them."""
    return equip(project)


def got(project: Project) -> list[dict[str, Any]]:
    """Return what the commands were given, in order."""
    file = project.root / "got.txt"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)
    elif isinstance(value, dict):
        yield from strings(list(value.values()))


def seen(project: Project, what: str = "") -> str:
    """Return every text that hooks, receivers and log handlers could make, or those of one."""
    file = project.root / "seen.txt"
    lines = map(json.loads, file.read_text().splitlines() if file.exists() else ())
    return "\n".join("\n".join(found) for name, found in lines if what in ("", name))


def shown(project: Project, ran: Ran) -> str:
    """Return all that a run has shown to anybody."""
    return "\n".join([ran.out, ran.err, *ran.progress, seen(project)])


# --- where a secret may stand ---------------------------------------------------------------------

# Each value has a number of its own; what overrides replace has a letter.
EVERYWHERE = """
    import sys

    def secret(number):
        return Secret(f"hunter2-c0ffee-{number}")

    SINK = (sys.executable, "sink.py")
    variable = Secret.from_env("CDN_TOKEN")
    tags = ["plain", secret(5), variable]
    command("deploy", "deliver", secret(0), "plain", secret(1), token=secret(2), tag=tags)
    command("deploy", "deliver", "--token=" + secret(3), secret(4) + ".example.org")
    words = ("deliver", "--tag", Secret("hunter2-") + secret(6), secret(7))
    command("deploy", words, token="Bearer " + secret(8) + "==")
    system("deploy", *SINK, secret(9), "-H" + secret(10))
    system("deploy", *SINK, env={"SINK_A": secret(11), "SINK_B": "Bearer " + secret(12)})
    system("deploy", *SINK, env={"SINK_A": variable + "!"})
    routine(
        "deploy",
        None,
        ManagementCommand(("deliver", secret(13)), options={"token": secret(14)}),
        SystemCommand((*SINK, secret(15)), env={"SINK_A": secret(16)}),
    )
    DJANGO_ROUTINES["deploy"]["commands"] += [
        {"management": ("deliver", secret(17)), "options": {"token": secret(18)}},
        {"system": (*SINK, secret(19)), "env": {"SINK_A": secret(20)}},
        {"command": (*SINK, secret(21)), "kind": "system"},
    ]
    override("deploy", "shop:told", options={"token": secret(23)})
    override("deploy", "acme-cdn:purge", env={"SINK_A": secret(25)})
"""

FROM_AN_APP = """
    from django_runbook import Secret, hookimpl

    @hookimpl
    def contribute_routines(routines):
        routines.command("deploy", "deliver", Secret("hunter2-c0ffee-22"), step_id="own")
        routines.command("deploy", "deliver", token=Secret("hunter2-c0ffee-A"), step_id="told")
"""

FROM_READY = """
    from django.apps import AppConfig

    from django_runbook import Secret, contribute

    class ShopConfig(AppConfig):
        name = "shop"

        def ready(self):
            contribute(self).command("deploy", "deliver", token=Secret("hunter2-c0ffee-26"))
"""

FROM_A_DISTRIBUTION = """
    import sys

    from django_runbook import Secret, hookimpl

    @hookimpl
    def contribute_routines(routines):
        routines.system(
            "deploy",
            *(sys.executable, "sink.py", Secret("hunter2-c0ffee-24")),
            env={"SINK_A": Secret("hunter2-c0ffee-B")},
            step_id="purge",
        )
"""

IN_THE_ENVIRONMENT = {"CDN_TOKEN": f"{TOKEN}-27"}


def fill(project: Project) -> None:
    """Write secrets into every place that can hold one."""
    project.app("shop", apps=FROM_READY, routines=FROM_AN_APP)
    project.distribution(
        "acme-cdn",
        modules={"acme_cdn/hooks.py": FROM_A_DISTRIBUTION},
        entry_points={"django_runbook": {"cdn": "acme_cdn.hooks"}},
    )
    project.settings(HOOKS + EVERYWHERE)


@pytest.mark.parametrize("mode", ["--no-subprocess", "--subprocess"])
def test_a_secret_reaches_its_command_and_nobody_else(spied: Project, mode: str) -> None:
    """From each place, in this process and in one of its own, and no text of a run shows it."""
    fill(spied)

    ran = spied.manage("routine", "--force-color", "deploy", mode, env=IN_THE_ENVIRONMENT)

    assert ran.status == 0, ran.err
    received = set(strings(got(spied)))
    assert received >= {
        *(f"{TOKEN}-{number}" for number in (0, 1, 2, 3, 5, 7, 9, 11, *range(13, 28))),
        f"{TOKEN}-4.example.org",
        f"hunter2-{TOKEN}-6",
        f"Bearer {TOKEN}-8==",
        f"-H{TOKEN}-10",
        f"Bearer {TOKEN}-12",
        f"{TOKEN}-27!",
    }
    assert not received & {f"{TOKEN}-A", f"{TOKEN}-B", "***", "Secret('***')"}
    apart = {one["pid"] for one in got(spied) if "pid" in one}
    assert (len(apart) == 1) == (mode == "--no-subprocess")
    everything = shown(spied, ran)
    assert "hunter2" not in everything
    assert "deliver *** plain ***" in ran.out
    assert "deliver --token=*** ***.example.org" in ran.out
    assert {"pre_hook", "finished", "INFO"} <= {
        json.loads(line)[0] for line in (spied.root / "seen.txt").read_text().splitlines()
    }


def test_nothing_that_explains_shows_a_secret(spied: Project) -> None:
    """Neither a table, text, JSON, list, help nor check, nor Django's view of the settings."""
    fill(spied)
    ways = [
        ("routine", "deploy", "--explain"),
        ("routine", "--force-color", "deploy", "--explain"),
        ("routine", "deploy", "--explain", "--format", "json"),
        ("routine", "deploy", "list"),
        ("routine", "deploy", "--help"),
        ("check", "--deploy"),
        ("diffsettings",),
    ]
    for way in ways:
        ran = spied.manage(*way, env=IN_THE_ENVIRONMENT)

        assert ran.status == 0, ran.err
        assert "hunter2" not in ran.out + ran.err, way
        assert "***" in ran.out or way[0] == "check", way
    assert not got(spied)


def test_the_plan_shows_where_a_secret_is(spied: Project) -> None:
    """A word, an option, a variable and what an override replaces are ``***``, names are not."""
    spied.settings("""
        command("deploy", "deliver", "--token=" + Secret("hunter2"), tag=["a", Secret("hunter2")])
        system("deploy", "true", env={"TOKEN": Secret("hunter2"), "PLAIN": "plain"})
        override("deploy", "settings:deliver", options={"token": Secret("hunter2")})
    """)

    (first, second) = spied.explain()["steps"]
    text = spied.manage("routine", "deploy", "--explain").out

    assert first["argv"] == ["deliver", "--token=***"]
    assert first["options"] == {"token": "***"}
    (change,) = first["overridden_by"]
    assert (change["old"], change["new"]) == ({"tag": ["a", "***"]}, {"token": "***"})
    assert second["env"] == {"TOKEN": "***", "PLAIN": "plain"}
    assert "deliver --token=*** (token='***')" in text
    assert "true ($TOKEN='***', $PLAIN='plain')" in text


def test_secrets_within_containers_reach_a_command_in_this_process(spied: Project) -> None:
    """Lists, tuples and dictionaries arrive with the values in them, at any depth."""
    spied.settings(
        HOOKS
        + """
    command(
        "deploy",
        "deliver",
        tag=[Secret("hunter2-1"), ("x", Secret("hunter2-2"))],
        anything={"headers": [{"auth": "Bearer " + Secret("hunter2-3")}], "plain": 5},
    )
    """
    )

    ran = spied.manage("routine", "deploy")

    assert ran.status == 0, ran.err
    (given_,) = got(spied)
    assert given_["tag"] == ["hunter2-1", ["x", "hunter2-2"]]
    assert given_["anything"] == {"headers": [{"auth": "Bearer hunter2-3"}], "plain": 5}
    assert "hunter2" not in shown(spied, ran)


@pytest.mark.parametrize(
    "container", ['MappingProxyType({"a": SECRET})', "Pair(1, SECRET)", "deque([SECRET])"]
)
def test_a_secret_in_any_other_container_is_handed_on_or_refused(
    spied: Project, container: str
) -> None:
    """No command signs in with ``***`` because its secret was not found."""
    spied.command(
        "probe",
        "signs",
        """
        from pathlib import Path

        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("--anything")

            def handle(self, *, anything, **options):
                Path("signed.txt").write_text(repr(anything))
        """,
    )
    spied.settings(f"""
        from collections import deque, namedtuple
        from types import MappingProxyType

        Pair = namedtuple("Pair", "one two")
        SECRET = Secret("hunter2")
        command("deploy", "signs", anything={container})
    """)

    ran = spied.manage("routine", "deploy")

    signed = spied.root / "signed.txt"
    assert "hunter2" not in shown(spied, ran)
    if ran.status == 0:
        assert "hunter2" in signed.read_text()
    else:
        assert "(django_runbook.E001)" in ran.err
        assert not signed.exists()


def test_what_no_process_can_be_told_is_refused_without_the_secret(spied: Project) -> None:
    """A dictionary, or a list where a value may be taken for a flag: E016, and no value in it."""
    spied.command(
        "probe",
        "several",
        """
        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("--tokens", nargs="+")
                parser.add_argument("--loud", action="count", default=0)
        """,
    )
    spied.settings("""
        routine("deploy", subprocess=True)
        command("deploy", "deliver", anything={"auth": Secret("hunter2")})
        command("deploy", "deliver", tag=Secret("hunter2"))
        command("deploy", "several", tokens=[Secret("hunter2"), "b"])
        command("deploy", "several", loud=Secret("hunter2"))
        command("deploy", "deliver", kind="weekly", token=Secret("hunter2"))
    """)

    ran = spied.manage("routine", "deploy")

    assert ran.status == 1
    assert ran.err.count("django_runbook.E016") == 5
    assert "has several values, and a secret could be read as a flag" in ran.err
    assert "takes a list, not Secret('***')" in ran.err
    assert "cannot be 'weekly'" in ran.err
    assert "hunter2" not in ran.out + ran.err
    assert not got(spied)


# --- values that are hard to hide or to hand on ---------------------------------------------------

KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nBAQEFAASCBKcwggSjAgEAAo\n-----END-----\n"
)

VALUES = {
    "empty": "",
    "spaces": "  two  words ",
    "regex": r".*+?[a-z](\d)\1^$|{2}",
    "shell": "$(touch x) `touch x`; rm -rf ~ && $HOME *",
    "quotes": "it's \"so\" \\ 'quoted'",
    "dash": "--token",
    "equals": "-a=b=c",
    "percent": "100%s %(x)s {0} {name}",
    "markup": "[bold]x[/bold] :smile:",
    "accents": "pässwörd-☃",
    "tab": "tab\there",
    "key": KEY,
    "word": "deploy",
    "long": "0123456789" * 1000,
}


@pytest.mark.parametrize("mode", ["--no-subprocess", "--subprocess"])
def test_every_value_arrives_as_it_is(spied: Project, mode: str) -> None:
    """No quote, dash, line end or length is lost on the way, and none of it is echoed."""
    spied.settings(
        HOOKS
        + f"""
    import sys

    VALUES = {VALUES!r}
    words = [Secret(value) for value in VALUES.values()]
    env = {{f"SINK_{{name}}": Secret(value) for name, value in VALUES.items()}}
    system("deploy", sys.executable, "sink.py", *words, env=env)
    command("deploy", "deliver", "--", *words, tag=words)
    """
    )

    ran = spied.manage("routine", "deploy", mode)

    assert ran.status == 0, ran.err
    program, command = got(spied)
    assert program["words"] == list(VALUES.values())
    assert program["env"] == {f"SINK_{name}": value for name, value in VALUES.items()}
    assert command["words"] == command["tag"] == list(VALUES.values())
    everything = shown(spied, ran)
    for name in ("regex", "shell", "quotes", "accents", "key", "long"):
        assert VALUES[name] not in everything
        assert repr(VALUES[name])[1:-1] not in everything


def test_a_secret_that_is_a_common_word_leaves_the_failure_readable(spied: Project) -> None:
    """The step, its origin and its command line are named by us, and are not what it holds."""
    file = spied.settings("""
        command("deploy", "deliver", "here", token=Secret("deploy"))
        command("deploy", "probe", "--fail", step_id="broken")
        command("deploy", "deliver", token=Secret("settings"))
        command("deploy", "deliver", token=Secret(""))
    """)

    ran = spied.manage("routine", "deploy")

    assert ran.status == 1
    line = line_of(file, "broken")
    assert "Step 2 of 4 of routine 'deploy' failed: settings:broken" in ran.err
    assert f"declared by: settings (config/settings.py:{line})" in ran.err
    assert "failure: CommandError: the probe was told to fail" in ran.err


# --- failures -------------------------------------------------------------------------------------

FAILING = """
    import os
    import subprocess
    import sys

    from django.core.management.base import BaseCommand, CommandError

    class Quiet(Exception):
        def __str__(self):
            return "it says nothing"

    def in_its_text(token):
        raise ValueError(f"no access with {token}, says the server")

    def in_its_arguments(token):
        raise Quiet(token)

    def as_a_key(token):
        return {}[token]

    def in_a_list(token):
        raise ValueError(["--token", token])

    def in_bytes(token):
        raise ValueError(b"Authorization: " + token.encode())

    def in_its_cause(token):
        raise CommandError("no access") from ValueError(token)

    def in_its_context(token):
        try:
            raise ValueError(token)
        except ValueError:
            raise CommandError("no access")

    def in_a_context_that_is_suppressed(token):
        try:
            raise ValueError(token)
        except ValueError:
            raise CommandError("no access") from None

    def in_a_context_beside_its_cause(token):
        try:
            raise ValueError(token)
        except ValueError:
            raise CommandError("no access") from RuntimeError("unavailable")

    def in_a_note(token):
        exception = CommandError("no access")
        exception.add_note(f"the token was {token}")
        raise exception

    def in_a_group(token):
        raise ExceptionGroup("several", [ValueError("one"), ValueError(token)])

    def behind_a_group(token):
        inner = ValueError("one")
        inner.__cause__ = KeyError(token)
        raise ExceptionGroup("several", [inner])

    def in_an_attribute(token):
        exception = CommandError("no access")
        exception.request = {"token": token}
        raise exception

    def in_a_file_name(token):
        open(f"nowhere/{token}")

    def in_its_exit_status(token):
        raise SystemExit(f"bad token {token}")

    def with_a_status(token):
        raise CommandError(f"bad token {token}", returncode=7)

    def after_it_was_unset(token):
        del os.environ["CDN_TOKEN"]
        raise ValueError(f"no access with {token}")

    def in_the_words_of_a_process(token):
        subprocess.run([sys.executable, "-c", "raise SystemExit(3)", token], check=True)

    def in_the_output_of_a_process(token):
        raise subprocess.CalledProcessError(3, "curl", output=token, stderr=token.encode())

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("--how")
            parser.add_argument("--token")

        def handle(self, *, how, token, **options):
            globals()[how](token)
"""

HOW = [
    line.split()[1].partition("(")[0]
    for line in FAILING.splitlines()
    if line.startswith("    def ")
]


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A run whose every step has failed, each with an exception that holds the secret elsewhere."""
    project = equip(Project(tmp_path_factory.mktemp("failures") / "project"))
    project.command("probe", "failing", FAILING)
    project.settings(
        HOOKS
        + f"""
    for how in {HOW!r}:
        token = Secret("{TOKEN}")
        if how == "after_it_was_unset":
            token = Secret.from_env("CDN_TOKEN")
        command("deploy", "failing", how=how, token=token, step_id=how)
    """
    )
    environment = {"CDN_TOKEN": "unset-c0ffee"}
    return project, project.manage("routine", "deploy", "--continue", env=environment)


@pytest.mark.parametrize("how", HOW)
def test_no_exception_carries_a_secret(failures: tuple[Project, Ran], how: str) -> None:
    """Nor does what stands behind it, in any text that a receiver or its reporter makes of it."""
    project, ran = failures
    told = seen(project, f"failed {HOW.index(how)}")
    message = ran.err[ran.err.index(f"failed: settings:{how}\n") :].split("Step ")[0]

    assert told, ran.err
    assert "command: failing\n" in message
    assert "c0ffee" not in message
    assert "c0ffee" not in told


def test_no_result_and_no_record_carries_a_secret(failures: tuple[Project, Ran]) -> None:
    """The results of failed steps, as ``finalize`` has them, and the log are without it, too."""
    project, ran = failures

    assert ran.status == 1
    assert len(ran.progress) == len(HOW) + 1
    assert "c0ffee" not in "\n".join([ran.out, *ran.progress])
    assert seen(project, "ERROR").count("settings:in_its_text failed")
    for what in ("ERROR", "INFO", "started", "pre_hook", "finalize"):
        assert seen(project, what)
        assert "c0ffee" not in seen(project, what), what


def test_what_is_no_secret_stays_in_the_message(failures: tuple[Project, Ran]) -> None:
    """The class of the exception, the words around the secret and its status are still there."""
    _, ran = failures

    assert "failure: ValueError: no access with ***, says the server" in ran.err
    assert "failure: ValueError: ['--token', '***']" in ran.err
    assert "failure: KeyError: '***'" in ran.err
    assert "failure: it ended the process with bad token ***" in ran.err
    assert "failure: CommandError: no access\n" in ran.err


@pytest.mark.parametrize("how", ["in_its_cause", "in_a_note"])
def test_a_traceback_is_without_the_secret(spied: Project, how: str) -> None:
    """``--traceback`` shows what went wrong, and not with which token."""
    spied.command("probe", "failing", FAILING)
    spied.settings(f"""
        command("deploy", "failing", how={how!r}, token=Secret("{TOKEN}"))
    """)

    ran = spied.manage("routine", "--traceback", "deploy", env={"COLUMNS": "1000"})

    assert ran.status != 0
    assert "Traceback" in ran.err
    assert "StepFailed: Step 1 of 1 of routine 'deploy' failed" in ran.err
    assert TOKEN not in ran.out + ran.err


AROUND = {
    "pre_hook": 'command("{name}", "probe", pre_hook="spy.around.raising")',
    "post_hook": 'command("{name}", "probe", post_hook="spy.around.raising")',
    "initialize": 'routine("{name}", initialize="spy.around.raising")',
    "finalize": 'routine("{name}", finalize="spy.around.raising")',
    "routine_started": "",
    "routine_failed": 'command("{name}", "probe", "--fail")',
    "routine_finished": "",
    "commit": """
        command("{name}", "probe", pre_hook="spy.around.late")
        routine("{name}", atomic=True)
    """,
}


def test_what_stands_around_the_steps_carries_no_secret(spied: Project) -> None:
    """A hook, a callback, a receiver or a commit that fails with a token in its text shows none."""
    spied.file(
        "spy/around.py",
        f"""
        from django.db import transaction

        def raising(*args, **kwargs):
            raise ValueError("no access with {TOKEN}")

        def late(*args):
            transaction.on_commit(raising)

        def receiver(name):
            def receive(routine, **kwargs):
                if routine == name:
                    raising()

            return receive
        """,
    )
    declarations = [f'command("{name}", "deliver", token=Secret("{TOKEN}"))' for name in AROUND]
    declarations += [
        textwrap.dedent(text).format(name=name).strip() for name, text in AROUND.items()
    ]
    spied.settings("\n".join(declarations))
    ran = spied.python(f"""
        import json

        import django

        django.setup()
        from django_runbook import run_routine, signals
        from django_runbook.exceptions import StepFailed
        from spy.apps import texts
        from spy.around import receiver

        for name in ("started", "failed", "finished"):
            receive = receiver(f"routine_{{name}}")
            getattr(signals, f"routine_{{name}}").connect(receive, weak=False)
        said = {{}}
        for name in {list(AROUND)!r}:
            try:
                run_routine(name, verbosity=0)
            except StepFailed as exc:
                said[name] = [*texts(exc), *texts(exc.result), *texts(exc.result.error)]
        print(json.dumps(said))
    """)

    assert ran.status == 0, ran.err
    document = json.loads(ran.out.splitlines()[-1])
    assert list(document) == list(AROUND)
    for name, said in document.items():
        assert "no access with ***" in said[1], name
        assert name in said[1]
        assert TOKEN not in "\n".join(said), name
    assert TOKEN not in shown(spied, ran)


def test_a_forked_child_that_fails_shows_no_secret(spied: Project) -> None:
    """Its traceback is printed where it ends, and that is on our stderr."""
    spied.command(
        "probe",
        "forker",
        """
        import os

        from django.core.management.base import BaseCommand

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("--token")

            def handle(self, *, token, **options):
                child = os.fork()
                if not child:
                    raise ValueError(f"no access with {token}")
                os.waitpid(child, 0)
        """,
    )
    spied.settings(f"""
        command("deploy", "forker", token=Secret("{TOKEN}"))
    """)

    ran = spied.manage("routine", "deploy")

    assert ran.status == 0
    assert "no access with ***" in ran.err
    assert TOKEN not in shown(spied, ran)


COMPLAIN = """
    import json
    import shlex
    import sys
    import urllib.parse

    with open("said.json") as file:
        said, form, padding = json.load(file)[sys.argv[1]]
    forms = {
        "plain": str,
        "repr": lambda one: repr([one + chr(34)]),
        "json": json.dumps,
        "shell": shlex.quote,
        "url": lambda one: urllib.parse.quote(one, safe=""),
    }
    print("no access with " + forms[form](said) + "." * padding, file=sys.stderr)
    raise SystemExit(3)
"""


class Tail(NamedTuple):
    """What a program has been given, what of it is on its stderr, and what must not be shown."""

    secret: str
    said: str
    hidden: str
    form: str = "plain"
    padding: int = 0


TAILS = {
    "whole": Tail("Secret('amber-1x')", "amber-1x", "amber"),
    "behind_a_flag": Tail("'--token=' + Secret('birch-2x')", "birch-2x", "birch"),
    "before_a_domain": Tail("Secret('cedar-3x') + '.example.org'", "cedar-3x", "cedar"),
    "first_of_two": Tail("Secret('daisy-4x') + ':' + Secret('zz9')", "daisy-4x", "daisy"),
    "from_the_environment": Tail("'-p' + Secret.from_env('ELDER')", "elder-5x", "elder"),
    "longer_of_two": Tail("Secret('fern'), Secret('fern-6x')", "fern-6x", "6x"),
    "line_of_a_key": Tail(f"Secret({KEY!r})", KEY.splitlines()[1], "MIIEvQIBADANB"),
    "key": Tail(f"Secret({KEY!r})", KEY, "BAQEFAASCBKcwgg"),
    "line_end_behind": Tail(r"Secret('gorse\n')", "gorse", "gorse"),
    "spaces_around": Tail("Secret('  hazel ')", "  hazel ", "hazel"),
    "indented_lines": Tail(r"Secret('a:\n    juniper-8x\n')", "juniper-8x", "juniper"),
    "special": Tail(r"Secret(r'.*larch[$(x)]\d')", r".*larch[$(x)]\d", "larch"),
    "in_a_repr": Tail(""" Secret("it's maple") """.strip(), "it's maple", "maple", "repr"),
    "in_json": Tail("""Secret('so "oak"')""", 'so "oak"', "oak", "json"),
    "in_json_ascii": Tail("Secret('quéllbrunn')", "quéllbrunn", "llbrunn", "json"),
    "in_a_shell": Tail(""" Secret("it's pine") """.strip(), "it's pine", "pine", "shell"),
    "in_a_url": Tail("Secret('rowan/+=')", "rowan/+=", "rowan", "url"),
    "where_the_tail_is_cut": Tail("Secret('spruce' * 9)", "spruce" * 9, "spruce", "plain", 8150),
}


@pytest.fixture(scope="module")
def tails(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """A run whose every step has failed, with something of a secret on its stderr."""
    project = equip(Project(tmp_path_factory.mktemp("tails") / "project"))
    project.file("complain.py", COMPLAIN)
    lines = ["import sys", "routine('deploy', finalize='spy.hooks.finalize')"]
    for name, tail in TAILS.items():
        words = f"sys.executable, 'complain.py', {name!r}, {tail.secret}"
        lines.append(f"system('deploy', {words}, step_id={name!r})")
    said = {name: (tail.said, tail.form, tail.padding) for name, tail in TAILS.items()}
    project.file("said.json", json.dumps(said))
    project.settings("\n".join(lines))
    return project, project.manage("routine", "deploy", "--continue", env={"ELDER": "elder-5x"})


@pytest.mark.parametrize("name", TAILS)
def test_the_last_lines_of_stderr_are_without_the_secret(
    tails: tuple[Project, Ran], name: str
) -> None:
    """Whatever part of the secret a program says, in the spelling that programs use."""
    _, ran = tails
    section = ran.err[ran.err.index(f"failed: settings:{name}\n") :].split("\nStep ")[0]
    lines = section.partition("  last lines of its stderr:\n")[2]

    assert "***" in lines or TAILS[name].padding
    assert TAILS[name].hidden not in lines


@pytest.mark.parametrize("name", TAILS)
def test_the_last_lines_are_handed_on_without_the_secret(
    tails: tuple[Project, Ran], name: str
) -> None:
    """Neither ``finalize`` nor a receiver of ``routine_failed`` finds in them what is hidden."""
    project, _ = tails
    told = seen(project, f"failed {list(TAILS).index(name)}")
    finalized = seen(project, "finalize")

    assert "exit status 3" in told
    assert f"<StepResult settings:{name}: failed>" in finalized
    assert TAILS[name].hidden not in finalized
    assert TAILS[name].hidden not in told


# --- Secret, the value ----------------------------------------------------------------------------


def test_a_secret_shows_itself_to_nobody() -> None:
    """However it is put into a text, a log record or a container, it is ``***``."""
    for secret in (Secret("hunter2"), Secret("hunter") + Secret("2"), Secret.from_env("HUNTER2")):
        mask = "******" if secret == Secret("hunter") + Secret("2") else "***"
        texts = [str(secret), f"{secret}", f"{secret!s}", "{}".format(secret), "%s" % secret]  # noqa: UP031, UP032
        assert texts == [mask] * 5
        assert repr(secret) == f"{secret!r}" == "%r" % secret == f"Secret({mask!r})"  # noqa: UP031
        held = [
            ManagementCommand(("x", secret), options={"a": secret}),
            SystemCommand(("x", secret), env={"a": secret}),
            {"a": [secret], secret: 1},
        ]
        assert "unter2" not in str(held).lower()
        assert dir(secret) == dir(Secret(""))
        assert not hasattr(secret, "__dict__")
        record = logging.LogRecord("x", 10, "x.py", 1, "%s %r", (secret, secret), None)
        assert record.getMessage() == f"{mask} Secret({mask!r})"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_secret_is_not_pickled(protocol: int) -> None:
    """Nothing writes it anywhere: not by itself, and not within something else."""
    for whole in (Secret("hunter2"), ManagementCommand(("x", Secret("hunter2")))):
        with pytest.raises(TypeError, match="cannot be pickled") as raised:
            pickle.dumps(whole, protocol)
        assert "hunter2" not in str(raised.value)
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(Secret("hunter2"))


def test_a_secret_is_copied_and_compared_by_what_it_holds() -> None:
    """A copy is as good as the original, and nothing but a secret is equal to one."""
    secret = Secret("hunter2")

    assert copy.copy(secret) == copy.deepcopy([secret])[0] == secret == Secret("hunter2")
    assert {secret, Secret("hunter2"), Secret("other")} == {secret, Secret("other")}
    assert Secret.from_env("A") == Secret.from_env("A") != Secret.from_env("B")
    assert Secret.from_env("A") != Secret("A")
    assert hash(Secret.from_env("A")) == hash(Secret.from_env("A"))
    assert secret != "hunter2"
    assert secret != "***"
    assert secret != Secret("hunter3")


def test_secrets_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """With strings and with one another, in any order, variables read when they are needed."""
    whole = "--user=" + Secret("me") + ":" + Secret.from_env("HUNTER") + "@" + Secret("host")
    with pytest.raises(LookupError, match="HUNTER is not set"):
        whole.reveal()
    monkeypatch.setenv("HUNTER", "hunter2")
    assert whole.reveal() == "--user=me:hunter2@host"
    monkeypatch.setenv("HUNTER", "")
    assert whole.reveal() == "--user=me:@host"
    assert str(whole) == "--user=***:***@***"

    growing = Secret("a")
    kept = growing
    growing += "b"
    assert (kept.reveal(), growing.reveal()) == ("a", "ab")


def test_what_is_put_together_is_hidden_in_each_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a flag the value is as secret as with it, and the flag itself is not secret."""
    monkeypatch.setenv("HUNTER", "hunter3")
    for secret in ("--token=" + Secret("hunter2"), Secret("hunter2") + ".example.org"):
        assert masked("hunter2 is wrong", [secret]) == "*** is wrong"
    assert masked("hunter3 is wrong", ["-p" + Secret.from_env("HUNTER")]) == "*** is wrong"
    assert masked("--token= .org", ["--token=" + Secret("hunter2") + ".org"]) == "--token= .org"


def test_values_are_found_in_containers_and_replaced_in_copies() -> None:
    """What was declared stays as it is: the next run starts from it."""
    first, second, third = Secret("1"), Secret("2"), Secret("3")
    declared = {"a": [first, (second, "x")], second: {third}, "b": frozenset({first}), "n": None}

    assert revealed(declared) == {
        "a": ["1", ("2", "x")],
        "2": {"3"},
        "b": frozenset({"1"}),
        "n": None,
    }
    assert declared["a"][0] is first
    assert secrets_in(declared) == (second, first, third) or set(secrets_in(declared)) == {
        first,
        second,
        third,
    }
    assert len(secrets_in(declared, [first, first])) == 3


@given(
    st.lists(st.text(min_size=1, max_size=6) | st.text(" ab\n'\"\\", min_size=1), max_size=5),
    st.lists(st.integers(0, 4) | st.text(max_size=4), max_size=12),
)
@settings(max_examples=300, deadline=None)
def test_a_masked_text_holds_no_value(values: list[str], pieces: list[int | str]) -> None:
    """No order of the secrets, and no secret that is part of another, leaves a value in it."""
    text = "".join(
        piece if isinstance(piece, str) else values[piece % len(values)] if values else ""
        for piece in pieces
    )

    result = masked(text, map(Secret, values))

    # Where a value holds a "*" the mask itself may complete it to one.
    assert [value for value in values if value in result and "*" not in value] == []
    assert masked(text, [*map(Secret, values), Secret("")]) == result


@given(st.text(), st.lists(st.text()))
def test_what_holds_no_secret_is_not_changed(text: str, values: list[str]) -> None:
    """A text is as it was if no secret, and no line of one, is in it."""
    parts = {part for value in values for part in (value, *value.splitlines()) if part}
    if not any(part.strip() in text for part in parts):
        assert masked(text, map(Secret, values)) == text


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    """A secret that begins another does not leave the rest of that other."""
    secrets = [Secret("hunter"), Secret("hunter2"), Secret("")]

    for order in (secrets, secrets[::-1]):
        assert masked("hunter2 hunter hunt", order) == "*** *** hunt"


# --- what is refused ------------------------------------------------------------------------------

MALFORMED = {
    'command("deploy", Secret("hunter2"))': "a name that the plan can show",
    'system("deploy", Secret("hunter2"), "x")': "a name that the plan can show",
    'command("deploy", "deliver", f"--token={Secret(\'hunter2\')}")': "which is what a Secret",
    'command("deploy", "deliver", token="a%s" % Secret("hunter2"))': "which is what a Secret",
    'command("deploy", "deliver", tag=[{"a": str(Secret("hunter2"))}])': "which is what a Secret",
    'system("deploy", "true", env={"A": repr(Secret("hunter2"))})': "which is what a Secret",
    'command("deploy", "deliver", Secret(None))': "must hold a string, not a value of type None",
    'command("deploy", "deliver", token=Secret(5))': "must hold a string, not a value of type int",
    'command("deploy", "deliver", token=Secret(b"hunter2"))': "not a value of type bytes",
    'command("deploy", "deliver", "a" + Secret("hunter2") + 5)': "not a value of type int",
    'system("deploy", "true", env={"A": Secret(None)})': "must hold a string, not a value of type",
    'override("deploy", "settings:right", options={"token": Secret(5)})': "must hold a string",
    'override("deploy", "settings:right", options={"a": f"{Secret(5)}"})': "which is what a Secret",
    'DJANGO_ROUTINES["deploy"]["commands"] += [{"management": Secret("hunter2")}]': "that the plan",
    'DJANGO_ROUTINES["deploy"]["commands"] += [Secret("hunter2")]': "an object of type Secret",
    'routine("deploy", None, ManagementCommand(Secret("hunter2")))': "a name that the plan can",
    'command("deploy", "deliver", priority=Secret("hunter2"))': "an object of type Secret",
    'command("deploy", "deliver", switches=[Secret("hunter2")])': "a list of names",
    'command("deploy", "deliver", pre_hook=Secret("hunter2"))': "an object of type Secret",
    'command("deploy", "deliver", step_id=Secret("hunter2"))': "an object of type Secret",
    'command("deploy", "deliver", time_limit=Secret("5"))': "an object of type Secret",
    'system("deploy", "true", env=Secret("hunter2"))': "an object of type Secret",
    'system("deploy", "true", env={Secret("hunter2"): "x"})': "a dictionary of environment",
    'system("deploy", "true", token=Secret("hunter2"))': "Unknown key 'token'",
    'routine("deploy", Secret("hunter2"))': "an object of type Secret",
    'routine("deploy", atomic=Secret("hunter2"))': "an object of type Secret",
}


def test_what_is_malformed_is_refused_with_its_line_and_without_the_secret(
    spied: Project,
) -> None:
    """A mistake with a secret is an error like any other: what, where, how to mend it."""
    declarations = [f"{line}  # number {n}." for n, line in enumerate(MALFORMED)]
    file = spied.settings(
        "\n".join(["", 'command("deploy", "deliver", step_id="right")', *declarations])
    )

    explained = spied.manage("routine", "deploy", "--explain", "--format", "json")
    refused = spied.manage("routine", "deploy")
    checked = spied.manage("check", "--deploy")

    assert (explained.status, refused.status, checked.status) == (1, 1, 1), explained.err
    assert not got(spied)
    problems = explained.document["problems"]
    for number, (line, message) in enumerate(MALFORMED.items()):
        place = line_of(file, f"# number {number}.")
        own = [
            one
            for one in problems
            if one["origin"]["line"] == place or line.startswith("DJANGO_ROUTINES")
        ]
        assert any(message in one["message"] and one["id"].endswith("E001") for one in own), line
        assert all(one["hint"] for one in own), line
    for ran in (explained, refused, checked):
        assert "hunter2" not in ran.out + ran.err
        assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ('command("deploy", "deliver", token=Secret(["hunter2"]))', "not a value of type list"),
        ('command("deploy", "deliver", Secret({"a": "hunter2"}))', "not a value of type dict"),
        ('command("deploy", "deliver", token=Secret.from_env(None))', "of type NoneType"),
        ('command("deploy", "deliver", anything={f"{Secret(0)}": 1})', "holds '***'"),
        ('system("deploy", "true", env={"A": Path(f"/{Secret(0)}")})', "holds '***'"),
    ],
)
def test_what_is_hard_to_look_at_is_refused_all_the_same(
    spied: Project, declaration: str, message: str
) -> None:
    """A list in a secret, no name of a variable, a mask in a key or a path: no traceback."""
    file = spied.settings(f"""
        from pathlib import Path

        {declaration}
    """)

    refused = spied.manage("routine", "deploy")
    checked = spied.manage("check", "--deploy")

    place = f"settings (config/settings.py:{line_of(file, declaration)})"
    for ran in (refused, checked):
        assert ran.status == 1
        assert "Traceback" not in ran.err
        assert place in ran.err
        assert "(django_runbook.E001)" in ran.err
        assert message in ran.err
        assert "hunter2" not in ran.out + ran.err


def test_the_remedy_for_a_secret_in_an_f_string_is_named(spied: Project) -> None:
    """Whoever wrote it learns what to write instead, before the server has got ``***``."""
    file = spied.settings("""
        command("deploy", "deliver", f"--token={Secret('hunter2')}")
    """)

    ran = spied.manage("routine", "deploy")

    assert ran.status == 1
    line = line_of(file, "hunter2")
    assert f"ERROR settings (config/settings.py:{line}): (django_runbook.E001)" in ran.err
    assert "holds '***', which is what a Secret leaves in a string" in ran.err
    assert (
        """HINT: Give the Secret by itself, or add it: "--token=" + Secret.from_env(""" in ran.err
    )
    assert "hunter2" not in ran.err


@pytest.mark.parametrize(
    "step", ['"routine", "inner", Secret("hunter2")', '"routine", "inner", token=Secret("hunter2")']
)
def test_a_nested_routine_takes_no_secret(spied: Project, step: str) -> None:
    """Neither a routine's name nor a switch is secret."""
    spied.settings(f"""
        command("inner", "probe")
        command("deploy", {step})
    """)

    ran = spied.manage("routine", "deploy")

    assert ran.status == 1
    assert "django_runbook.E010" in ran.err
    assert "A nested routine has no argument that could be a Secret." in ran.err
    assert "hunter2" not in ran.out + ran.err


# --- the environment ------------------------------------------------------------------------------


def test_a_variable_that_is_not_set_is_found_before_the_first_step(spied: Project) -> None:
    """E018 with the line and the remedy, once each, also for a nested routine and a program."""
    file = spied.settings("""
        command("deploy", "probe", "first")
        A = Secret.from_env("NOT_SET_A")
        command("deploy", "deliver", A, token="x" + A)
        command("deploy", "routine", "inner")
        command("deploy", "deliver", token=Secret.from_env("NOT_SET_OFF"), switches=["more"])
        system("inner", "true", env={"TOKEN": "Bearer " + Secret.from_env("NOT_SET_B")})
    """)

    ran = spied.manage("routine", "deploy")

    assert ran.status == 1
    assert spied.ran == []
    assert "Routine 'deploy' was not run: 2 errors." in ran.err
    for name, text, step, routine in (
        ("NOT_SET_A", '"x" + A', "settings:deliver", "deploy"),
        ("NOT_SET_B", "NOT_SET_B", "settings:true", "inner"),
    ):
        line = line_of(file, text)
        assert (
            f"ERROR settings (config/settings.py:{line}): (django_runbook.E018) {step} in routine "
            f"'{routine}' needs the environment variable '{name}', which is not set.\n"
            f"    HINT: Set {name} where the routine runs.\n"
        ) in ran.err
    assert ran.err.count("E018") == 2
    assert "NOT_SET_OFF" not in ran.err


def test_a_plan_is_explained_and_checked_where_its_variables_are_not_set(spied: Project) -> None:
    """A build machine has no tokens: the plan is the same there, and the check only warns."""
    spied.settings("""
        command("deploy", "deliver", token=Secret.from_env("CDN_TOKEN"))
    """)

    without = spied.manage("routine", "deploy", "--explain", "--format", "json")
    with_it = spied.manage(
        *("routine", "deploy", "--explain", "--format", "json"), env={"CDN_TOKEN": "hunter2"}
    )
    checked = spied.manage("check", "--deploy")
    listed = spied.manage("routine", "deploy", "list")

    assert (without.status, without.out) == (0, with_it.out)
    assert problem_ids(without.document) == []
    assert (checked.status, listed.status) == (0, 0)
    assert "(django_runbook.W012) settings:deliver in routine 'deploy' needs" in checked.err
    assert "HINT: Set CDN_TOKEN where the routine runs." in checked.err


CHANGES = """
    import os

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, **options):
            os.environ["CDN_TOKEN"] = "hunter2-of-the-step"
"""


def test_a_variable_is_read_when_the_command_runs(spied: Project) -> None:
    """What an earlier step or a hook has put there is what the command gets, and what is hidden."""
    spied.command("probe", "changes", CHANGES)
    spied.command("probe", "failing", FAILING)
    spied.app(
        "shop",
        hooks="""
        import os

        def change(*args):
            os.environ["CDN_TOKEN"] = "hunter2-of-the-hook"

        def unset(*args):
            del os.environ["CDN_TOKEN"]
        """,
    )
    spied.settings("""
    import sys

    TOKEN = Secret.from_env("CDN_TOKEN")
    command("deploy", "deliver", token=TOKEN)
    command("deploy", "changes")
    command("deploy", "deliver", token=TOKEN, tag=["x" + TOKEN])
    system("deploy", sys.executable, "sink.py", TOKEN, env={"SINK": TOKEN})
    command("deploy", "deliver", token=TOKEN, pre_hook="shop.hooks.change")
    command("deploy", "failing", token=TOKEN, how="in_its_text")
    command("deploy", "deliver", token=TOKEN, pre_hook="shop.hooks.unset", step_id="unset")
    """)

    ran = spied.manage("routine", "deploy", "--continue", env={"CDN_TOKEN": "hunter2-at-first"})

    assert ran.status == 1
    first, second, program, third = got(spied)
    assert first["token"] == "hunter2-at-first"
    assert (second["token"], second["tag"]) == ("hunter2-of-the-step", ["xhunter2-of-the-step"])
    assert program["words"] == ["hunter2-of-the-step"]
    assert program["env"] == {"SINK": "hunter2-of-the-step"}
    assert third["token"] == "hunter2-of-the-hook"
    assert "failure: ValueError: no access with ***, says the server" in ran.err
    assert "failed: settings:unset" in ran.err
    assert "the environment variable CDN_TOKEN is not set" in ran.err
    assert "hunter2" not in shown(spied, ran)


def test_an_old_value_stays_hidden_when_the_variable_changes(spied: Project) -> None:
    """A token that was replaced while the routine runs is still no one's business."""
    spied.command(
        "probe",
        "rotate",
        """
        import os

        from django.core.management.base import BaseCommand, CommandError

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("--token")
                parser.add_argument("--later", action="store_true")

            def handle(self, *, token, later, **options):
                if not later:
                    os.environ["CDN_TOKEN"] = "hunter2-new"
                raise CommandError(f"hunter2-new is not taken in place of hunter2-old: {token}")
        """,
    )
    spied.settings(
        HOOKS
        + """
    command("deploy", "rotate", token=Secret.from_env("CDN_TOKEN"))
    command("deploy", "rotate", token=Secret.from_env("CDN_TOKEN"), later=True)
    """
    )

    ran = spied.manage("routine", "deploy", "--continue", env={"CDN_TOKEN": "hunter2-old"})

    assert ran.err.count("CommandError: *** is not taken in place of ***: ***") == 2
    assert "hunter2" not in shown(spied, ran)


# --- nested routines, hooks, the API --------------------------------------------------------------


def test_the_secrets_of_nested_routines_are_hidden_in_all_of_them(spied: Project) -> None:
    """Also where an outer step's failure holds an inner one's secret, or the other way round."""
    spied.command("probe", "failing", FAILING)
    spied.app(
        "shop",
        hooks="""
        def say_outer(*args):
            raise ValueError("hunter2-outer is known here")

        def say_inner(*args):
            raise ValueError("hunter2-inner is known here")
        """,
    )
    spied.settings(
        HOOKS
        + """
    routine("inner", continue_on_error=True)
    command("inner", "failing", how="in_its_text", token=Secret("hunter2-inner"))
    command("inner", "probe", pre_hook="shop.hooks.say_outer")
    command("deploy", "routine", "inner")
    command("deploy", "deliver", token=Secret("hunter2-outer"), pre_hook="shop.hooks.say_inner")
    """
    )

    ran = spied.manage("routine", "deploy", "--continue")

    assert ran.status == 1
    assert "failure: ValueError: no access with ***, says the server" in ran.err
    assert ran.err.count("raised ValueError: *** is known here") == 2
    assert "hunter2" not in shown(spied, ran)


@pytest.mark.parametrize("kind", ["management", "system", "variable"])
def test_a_secret_that_a_hook_adds_is_hidden_like_a_declared_one(spied: Project, kind: str) -> None:
    """What only a hook knows reaches the command, and the failure does not show it."""
    spied.command("probe", "failing", FAILING)
    spied.file(
        "complain.py",
        """
        import os
        import sys

        print("no access with", os.environ.get("TOKEN", sys.argv[-1]), file=sys.stderr)
        raise SystemExit(3)
        """,
    )
    spied.app(
        "shop",
        hooks="""
        from django_runbook import Secret

        def management(routine, command, previous, options):
            command.options["token"] = Secret("hunter2-hook")

        def system(routine, command, previous, options):
            command.command = (*command.command, "--token=" + Secret("hunter2-hook"))

        def variable(routine, command, previous, options):
            command.env["TOKEN"] = Secret("hunter2-hook")
        """,
    )
    what = 'command("deploy", "failing", how="in_its_text"'
    if kind != "management":
        what = 'system("deploy", sys.executable, "complain.py"'
    spied.settings(f"""
    import sys

    routine("deploy", finalize="spy.hooks.finalize")
    {what}, pre_hook="shop.hooks.{kind}")
    """)

    ran = spied.manage("routine", "deploy", "--continue")

    said = ran.err[ran.err.index("Step 1 of 1") :]
    assert ran.status == 1
    assert "no access with ***" in said
    assert "hunter2" not in said
    assert "hunter2" not in ran.out + seen(spied)


def test_what_the_api_returns_and_raises_is_without_the_secret(spied: Project) -> None:
    """Results, their parts and the exception show nothing, and results hold the masked words."""
    spied.command("probe", "failing", FAILING)
    spied.settings("""
        import sys

        system("deploy", sys.executable, "sink.py", "--token=" + Secret("hunter2"))
        command("deploy", "failing", how="in_its_text", token=Secret("hunter2"))
    """)
    ran = spied.python("""
        import json
        import sys
        import traceback

        import django

        django.setup()
        from django_runbook import get_plan, run_routine
        from django_runbook.exceptions import StepFailed

        try:
            run_routine("deploy", verbosity=0)
        except StepFailed as exc:
            from spy.apps import texts

            result = exc.result
            said = [*texts(exc), *texts(result), repr(get_plan("deploy")), repr(result.plan.steps)]
            words = result[0].args
            print(json.dumps([said, words, repr(result), [repr(one) for one in result.steps]]))
    """)

    assert ran.status == 0, ran.err
    said, words, whole, steps = json.loads(ran.out)
    assert len(said) > 20
    assert "hunter2" not in "\n".join(said)
    assert words[1:] == ["sink.py", "--token=***"]
    assert got(spied)[0]["words"] == ["--token=hunter2"]
    assert (
        whole == "<RunResult deploy: failed (settings:python: succeeded, settings:failing: failed)>"
    )
    assert steps == [
        "<StepResult settings:python: succeeded>",
        "<StepResult settings:failing: failed>",
    ]


# --- the fingerprint ------------------------------------------------------------------------------


def test_the_fingerprint_does_not_hang_on_what_a_secret_holds(spied: Project) -> None:
    """A rotated token is the same plan; a secret in place of a word, or elsewhere, is another.

    So is one that comes from another variable, whose name is no secret.
    """
    spied.settings("")
    ran = spied.python("""
        import json
        import os

        import django
        from django.test import override_settings

        django.setup()
        from django_runbook import ManagementCommand, Secret, get_plan
        from django_runbook.explain import fingerprint

        os.environ["HUNTER"] = "three"
        found = []
        for words, options in (
            [("deliver",), {"token": Secret("one")}],
            [("deliver",), {"token": Secret("two")}],
            [("deliver",), {"token": Secret.from_env("HUNTER")}],
            [("deliver",), {"token": Secret.from_env("HUNTER")}],
            [("deliver",), {"token": Secret.from_env("GATHERER")}],
            [("deliver",), {"token": [Secret.from_env("HUNTER"), Secret.from_env("GATHERER")]}],
            [("deliver",), {"token": [Secret.from_env("GATHERER"), Secret.from_env("HUNTER")]}],
            [("deliver",), {"token": [Secret.from_env("HUNTER")] * 2}],
            [("deliver",), {"token": [Secret.from_env("HUNTER"), Secret("one")]}],
            [("deliver",), {"token": "one"}],
            [("deliver",), {"tag": Secret("one")}],
            [("deliver", Secret("one")), {}],
            [("deliver", "one"), {}],
        ):
            routine = {"commands": [ManagementCommand(words, options=options)]}
            with override_settings(DJANGO_ROUTINES={"deploy": routine}):
                found.append(fingerprint(get_plan("deploy")))
            os.environ["HUNTER"] += "!"
        print(json.dumps(found))
    """)

    assert ran.status == 0, ran.err
    one, two, three, four, *others = ran.document
    assert one == two
    assert three == four
    assert len({one, three, *others}) == 11


def test_two_secrets_are_not_taken_for_one_command(spied: Project) -> None:
    """A command that two sources run with a token each is run twice on purpose: no warning."""
    body = hook('routines.command("deploy", "deliver", token=Secret("2"))')
    spied.app("shop", routines=f"from django_runbook import Secret\n{body}")
    spied.settings('command("deploy", "deliver", token=Secret("1"))')

    document = spied.explain()

    assert ids(document) == ["settings:deliver", "shop:deliver"]
    assert problem_ids(document) == []


def test_an_exception_that_cannot_all_be_read_is_masked_all_the_same(project: Project) -> None:
    """One attribute whose repr raises does not let the others pass unread."""
    project.command(
        "probe",
        "opaque",
        """
        from django.core.management.base import BaseCommand

        class Broken:
            def __repr__(self):
                raise RuntimeError("no repr")

        class Command(BaseCommand):
            def add_arguments(self, parser):
                parser.add_argument("token")

            def handle(self, *args, **options):
                error = ValueError("bad token " + options["token"])
                error.broken = Broken()
                raise error
        """,
    )
    project.settings('command("deploy", "opaque", Secret("tulip-and-rose"))')

    done = project.manage("routine", "--traceback", "deploy")

    assert done.status == 1
    assert "failure: ValueError: bad token ***" in done.err
    assert "tulip-and-rose" not in done.out + done.err


def test_a_long_secret_is_masked_where_a_traceback_has_wrapped_it(project: Project) -> None:
    """A subprocess's traceback is as wide as its terminal, and a token may be longer than that."""
    token = "eyJhbGciOi." + "ab1CD2ef" * 20
    project.settings("""
        import sys

        code = "import os, sys, textwrap; print(*textwrap.wrap(os.environ['TOKEN'], 60), " \\
            "sep=chr(10), file=sys.stderr); sys.exit(3)"
        system("deploy", sys.executable, "-c", code, env={"TOKEN": Secret.from_env("TOKEN")})
    """)

    done = project.manage("routine", "deploy", env={"TOKEN": token})

    assert done.status == 1
    said = done.err.partition("CommandError")[2]
    assert "    ***\n" in said
    assert token[:20] not in said
    assert token[-20:] not in said


def test_the_secrets_of_a_set_are_in_the_order_of_their_names() -> None:
    """A set has another order in each process, and the variables are part of the fingerprint."""
    names = [f"TOKEN_{number:02}" for number in range(20)]

    assert variables_in({Secret.from_env(name) for name in names}) == tuple(names)
