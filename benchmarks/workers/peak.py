"""Run ``manage.py`` with these arguments in this process, and print the most memory it had."""

import json
import re
import runpy
import sys
from pathlib import Path

sys.argv = ["manage.py", *sys.argv[1:]]
sys.path.insert(0, str(Path.cwd()))
try:
    runpy.run_path("manage.py", run_name="__main__")
except SystemExit as exc:
    if exc.code:
        raise

# Not ru_maxrss: that of a child starts from what its parent had.
status = Path("/proc/self/status").read_text(encoding="utf-8")
peak = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024
print()  # whatever was written last need not have ended its line
print(json.dumps({"byte": peak}))
