"""Plan ``deploy``, and print the seconds that declaring and planning took, and the memory.

``planning.py ours SIZE`` or ``planning.py peer SIZE``. What is declared in settings and in
``ready()`` was timed where it was declared, by ``config.stopwatch``.
"""

import json
import re
import sys
from pathlib import Path
from time import perf_counter  # what pyperf has under this name, without loading pyperf

import django

django.setup()
from config import stopwatch  # a module of the project that is measured

who, size = sys.argv[1], int(sys.argv[2])
if who == "ours":
    from django_runbook import get_plan

    started = perf_counter()
    plan = get_plan("deploy")
    seconds = perf_counter() - started
    if plan.problems:
        sys.exit(f"The plan has problems: {plan.problems[0]}")
    steps = plan.steps
else:
    from django_routines import get_routine

    started = perf_counter()
    steps = get_routine("deploy").plan(set())  # what its list does
    seconds = perf_counter() - started
if len(steps) != size:
    sys.exit(f"The plan has {len(steps)} steps.")

# Not ru_maxrss: that of a child starts from what its parent had.
status = Path("/proc/self/status").read_text(encoding="utf-8")
peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024
print(json.dumps({"second": stopwatch.spent + seconds, "byte": peak}))
