"""The logger ``django_runbook``: a record when a step starts, and one when it ends."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from .projects import Project, hook

pytestmark = pytest.mark.ours


# A handler of the site that writes each record as a line of JSON, as log collectors want it. What
# JSON cannot hold makes it fail, and so the test.
HANDLER = """
    import json
    import logging

    class JsonHandler(logging.Handler):
        def emit(self, record):
            plain = vars(logging.makeLogRecord({}))
            extra = {key: one for key, one in vars(record).items() if key not in plain}
            extra.pop("message", None)
            line = {"level": record.levelname, "said": record.getMessage(), **extra}
            with open("log.jsonl", "a") as file:
                file.write(json.dumps(line) + "\\n")
"""

LOGGING = """
    LOGGING = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"json": {"class": "config.handler.JsonHandler"}},
        "loggers": {"django_runbook": {"level": "DEBUG", "handlers": ["json"]}},
    }
"""

FORMATTED = """
    LOGGING = {
        "version": 1,
        "formatters": {"line": {"format": (
            "%(levelname)s %(name)s %(routine)s %(step_id)s %(source)s %(duration)s "
            "%(return_code)s: %(message)s"
        )}},
        "handlers": {"file": {
            "class": "logging.FileHandler", "filename": BASE / "deploy.log", "formatter": "line",
        }},
        "loggers": {"django_runbook": {"level": "INFO", "handlers": ["file"]}},
    }
"""

WHY = "CommandError: the probe was told to fail"

FIELDS = {"routine", "step_id", "source", "duration", "return_code"}


@pytest.fixture
def logging_project(project: Project) -> Project:
    """A project whose settings hand each record to a handler of the site's."""
    project.file("config/handler.py", HANDLER)
    return project


def configured(project: Project, config: str, steps: str) -> None:
    """Write settings that configure logging and declare steps."""
    project.settings(textwrap.dedent(config) + textwrap.dedent(steps))


def records(project: Project) -> list[dict[str, Any]]:
    """Return what the site's handler was given since it was last asked for."""
    log = project.root / "log.jsonl"
    found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def outlines(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return of each record all that is the same in each run: all but the duration."""
    return [
        (one["level"], one["routine"], one["step_id"], one["return_code"], one["said"])
        for one in found
    ]


def test_a_record_when_a_step_starts_and_one_when_it_ends(logging_project: Project) -> None:
    """Each has the same fields, which JSON can hold; whoever contributed the step is named."""
    logging_project.app("shop", routines=hook('routines.command("deploy", "probe", "shop")'))
    logging_project.distribution(
        "acme-cdn",
        modules={"acme_cdn/hooks.py": hook('routines.system("deploy", "true")')},
        entry_points={"django_runbook": {"cdn": "acme_cdn.hooks"}},
    )
    configured(logging_project, LOGGING, 'command("deploy", "probe", "one")')

    done = logging_project.manage("routine", "deploy")

    assert (done.status, done.err) == (0, "")
    found = records(logging_project)
    assert [(one["step_id"], one["source"]) for one in found] == [
        *[("settings:probe", "settings")] * 2,
        *[("shop:probe", "shop")] * 2,
        *[("acme-cdn:true", "acme-cdn")] * 2,
    ]
    assert all(set(one) == {"level", "said", *FIELDS} for one in found)
    for started, ended in zip(found[::2], found[1::2], strict=True):
        assert (started["level"], ended["level"]) == ("INFO", "INFO")
        assert (started["duration"], started["return_code"]) == (0.0, None)
        assert isinstance(ended["duration"], float)
        assert 0 < ended["duration"] < 60
        assert ended["return_code"] == 0
        assert started["said"] == f"deploy: {started['step_id']} started"
        assert ended["said"] == f"deploy: {started['step_id']} succeeded"


def test_a_format_of_the_settings_may_name_every_field(project: Project) -> None:
    """``LOGGING`` with a format that names them all gets a line for each record, and no error."""
    configured(
        project,
        FORMATTED,
        """
        command("deploy", "probe", "one")
        system("deploy", "sh", "-c", "exit 3")
        command("deploy", "probe", "last")
    """,
    )

    done = project.manage("routine", "deploy", "--continue")

    assert done.status == 1
    assert "Logging error" not in done.err
    lines = (project.root / "deploy.log").read_text().splitlines()
    assert len(lines) == 6
    name = "django_runbook deploy"
    assert lines[0] == (
        f"INFO {name} settings:probe settings 0.0 None: deploy: settings:probe started"
    )
    words = lines[3].split()
    assert words[:5] == ["ERROR", "django_runbook", "deploy", "settings:sh", "settings"]
    assert float(words[5]) > 0
    assert words[6:10] == ["3:", "deploy:", "settings:sh", "failed:"]
    assert words[10:] == ["it", "ended", "with", "exit", "status", "3"]
    assert [line.split()[0] for line in lines] == ["INFO", "INFO", "INFO", "ERROR", "INFO", "INFO"]


def test_failures_are_errors_with_their_return_code(logging_project: Project) -> None:
    """Each way to fail is a record at ERROR; a signal is below zero; what is not run is not there.

    A failure that a receiver has taken care of is an error all the same.
    """
    logging_project.app(
        "listen",
        apps="""
            from django.apps import AppConfig

            class ListenConfig(AppConfig):
                name = "listen"

                def ready(self):
                    from django_runbook.signals import routine_failed

                    def care(routine, **kwargs):
                        return routine == "cared"

                    routine_failed.connect(care, weak=False)
        """,
    )
    configured(
        logging_project,
        LOGGING,
        """
        system("deploy", "sh", "-c", "kill -KILL $$", step_id="killed")
        system("deploy", "sh", "-c", "sleep 100", step_id="slow", time_limit=0.3)
        command("deploy", "probe", "--fail", step_id="error")
        command("deploy", "probe", "--exit", "4", step_id="exit")
        command("deploy", "probe", "--exit", "0", step_id="fine")
        system("deploy", "./missing", step_id="missing")
        command("halted", "probe", "--fail")
        command("halted", "probe", "last")
        command("cared", "probe", "--fail")
    """,
    )

    went_on = logging_project.manage("routine", "deploy", "--continue")
    ended = [line for line in outlines(records(logging_project)) if "started" not in line[-1]]
    halted = logging_project.manage("routine", "halted")
    until_failure = outlines(records(logging_project))
    cared = logging_project.manage("routine", "cared")
    cared_for = outlines(records(logging_project))

    assert (went_on.status, halted.status, cared.status) == (1, 1, 0)
    assert [(level, step, code) for level, _, step, code, _ in ended] == [
        ("ERROR", "settings:killed", -9),
        ("ERROR", "settings:slow", -15),
        ("ERROR", "settings:error", 1),
        ("ERROR", "settings:exit", 4),
        ("INFO", "settings:fine", 0),
        ("ERROR", "settings:missing", 1),
    ]
    assert until_failure == [
        ("INFO", "halted", "settings:probe", None, "halted: settings:probe started"),
        ("ERROR", "halted", "settings:probe", 1, f"halted: settings:probe failed: {WHY}"),
    ]
    said = f"cared: settings:probe failed: {WHY}"
    assert cared_for[-1] == ("ERROR", "cared", "settings:probe", 1, said)


def test_nested_skipped_and_stopped_steps(logging_project: Project) -> None:
    """Nested steps are records of their own routine, between those of the step that holds them."""
    configured(
        logging_project,
        LOGGING,
        """
        command("deploy", "probe", "one", pre_hook=lambda *args: True)
        command("deploy", "routine", "inner")
        command("inner", "probe", "two")
        system("inner", "sh", "-c", "kill -TERM $PPID", step_id="stops")
        command("inner", "probe", "three")
        command("deploy", "probe", "last")
    """,
    )

    done = logging_project.manage("routine", "deploy")

    assert done.status == 143
    assert outlines(records(logging_project)) == [
        ("INFO", "deploy", "settings:probe", None, "deploy: settings:probe started"),
        ("INFO", "deploy", "settings:probe", None, "deploy: settings:probe skipped"),
        ("INFO", "deploy", "settings:routine", None, "deploy: settings:routine started"),
        ("INFO", "inner", "settings:probe", None, "inner: settings:probe started"),
        ("INFO", "inner", "settings:probe", 0, "inner: settings:probe succeeded"),
        ("INFO", "inner", "settings:stops", None, "inner: settings:stops started"),
        ("INFO", "inner", "settings:stops", 0, "inner: settings:stops succeeded"),
        ("INFO", "deploy", "settings:routine", None, "deploy: settings:routine stopped"),
    ]


def test_a_start_is_recorded_before_the_step_and_verbosity_is_no_level(
    logging_project: Project,
) -> None:
    """A log shows what runs while it runs, and also of a run that shows nothing of itself."""
    configured(
        logging_project,
        LOGGING,
        """
        system("deploy", "cat", "log.jsonl")
    """,
    )

    done = logging_project.manage("routine", "--verbosity", "0", "deploy")

    assert (done.status, done.err, done.progress) == (0, "", [])
    assert outlines([done.document]) == [
        ("INFO", "deploy", "settings:cat", None, "deploy: settings:cat started")
    ]
    assert len(records(logging_project)) == 2


def test_nothing_is_printed_where_logging_is_not_configured(project: Project) -> None:
    """A failure is reported once, and not a second time by logging's last resort."""
    project.settings("""
        system("deploy", "false")
        system("deploy", "true")
    """)
    without = project.manage("routine", "deploy", "--continue")
    project.settings("""
        LOGGING_CONFIG = None
        system("deploy", "false")
        system("deploy", "true")
    """)
    unconfigured = project.manage("routine", "deploy", "--continue")

    for done in (without, unconfigured):
        assert done.status == 1
        assert "settings:false failed" not in done.err
        assert done.err.splitlines()[0].startswith("CommandError: Step 1 of 2")
        assert len(done.progress) == 3


def test_the_records_reach_the_handlers_of_the_root(project: Project) -> None:
    """A site that configures nothing but its root logger gets them, too."""
    project.settings("""
        LOGGING = {
            "version": 1,
            "handlers": {"file": {"class": "logging.FileHandler", "filename": BASE / "all.log"}},
            "root": {"level": "INFO", "handlers": ["file"]},
        }
        system("deploy", "true")
    """)

    assert project.manage("routine", "deploy").status == 0

    lines = (project.root / "all.log").read_text().splitlines()
    assert lines == ["deploy: settings:true started", "deploy: settings:true succeeded"]


def test_no_secret_is_in_a_record(logging_project: Project) -> None:
    """Neither what is said nor any other part of a record holds a secret, nor does a traceback."""
    logging_project.file(
        "config/whole.py",
        """
            import logging

            class WholeHandler(logging.Handler):
                def emit(self, record):
                    with open("whole.log", "a") as file:
                        file.write(repr(vars(record)) + self.format(record) + "\\n")
        """,
    )
    configured(
        logging_project,
        LOGGING.replace("config.handler.JsonHandler", "config.whole.WholeHandler"),
        """
        command("deploy", "probe", Secret("hunter2-argument"), "--fail")
        command("deploy", "probe", tag=Secret("hunter2-option"), exit=3)
        system("deploy", "sh", "-c", "echo $T >&2; exit $T", env={"T": Secret("hunter2-env")})
        system("deploy", "cat", "./" + Secret("hunter2-missing"))
    """,
    )

    done = logging_project.manage("routine", "deploy", "--continue")

    assert done.status == 1
    whole = (logging_project.root / "whole.log").read_text()
    assert whole.count("'routine': 'deploy'") == 8
    assert "hunter2" not in whole


def test_a_handler_that_fails_does_not_end_the_routine(project: Project) -> None:
    """A log collector that is down is reported by logging itself, and the steps run on."""
    project.file(
        "config/handler.py",
        """
            import logging

            class BrokenHandler(logging.Handler):
                def emit(self, record):
                    try:
                        raise ConnectionError("the collector is down")
                    except ConnectionError:
                        self.handleError(record)
        """,
    )
    configured(
        project,
        LOGGING.replace("JsonHandler", "BrokenHandler"),
        """
        command("deploy", "probe", "one")
        command("deploy", "probe", "two")
    """,
    )

    done = project.manage("routine", "deploy")

    assert done.status == 0
    assert project.ran == ["probe one", "probe two"]
    assert done.err.count("ConnectionError: the collector is down") == 4


def test_a_filter_that_raises_is_no_failure_of_the_database(project: Project) -> None:
    """What breaks in the site's logging does not pass for something else, nor lose what was done.

    Handlers catch their own errors; a filter of the site's raises where the record is made.
    """
    project.file(
        "config/handler.py",
        """
            import logging

            class JsonHandler(logging.StreamHandler):
                def filter(self, record):
                    raise LookupError("the filter is broken")
        """,
    )
    configured(
        project,
        LOGGING,
        """
        command("deploy", "probe", "one")
        command("deploy", "probe", "two")
    """,
    )

    done = project.manage("routine", "deploy")

    assert "the commit" not in done.err
    assert "Traceback" not in done.err
    assert "the filter is broken" in done.err
