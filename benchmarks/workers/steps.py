"""Run no-ops in this process, and print the seconds: ``steps.py WAY COUNT``."""

import json
import sys
from collections.abc import Callable
from time import perf_counter  # what pyperf has under this name, without loading pyperf
from typing import Any

import django
from django.core.management import call_command

django.setup()
way, count = sys.argv[1], int(sys.argv[2])


def loop(times: int) -> None:
    """Call the command, one time after the other."""
    for _ in range(times):
        call_command("noop")


def peer(name: str) -> None:
    """Run a routine with the peer's command."""
    call_command("routine", name)


run: Callable[[Any], object]
warm: Any
deploy: Any
if way == "loop":
    run, warm, deploy = loop, 10, count
elif way == "peer":
    run, warm, deploy = peer, "warm", "deploy"
else:
    from django_runbook import get_plan, run_routine

    run, warm, deploy = run_routine, "warm", "deploy"
    if way == "planned":
        warm, deploy = get_plan("warm"), get_plan("deploy")

run(warm)
started = perf_counter()
run(deploy)
seconds = perf_counter() - started
print(json.dumps({"second": seconds}))
