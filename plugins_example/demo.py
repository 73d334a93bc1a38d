"""Explain the example's deploy, then run it twice: the second time shows that it may be repeated.

Run it with the Python of an environment that holds django-runbook, acme-shop and acme-cdn.
"""

import os
import shlex
import subprocess
import sys
from pathlib import Path

SITE = Path(__file__).resolve().parent / "site"
RUNS = (
    ("manage.py", "routine", "deploy", "--explain"),
    ("manage.py", "routine", "deploy"),
    ("manage.py", "routine", "deploy"),
)


def environment() -> dict[str, str]:
    """Return this process's environment with the programs beside this Python found first.

    A routine finds system commands on PATH. Activating a virtual environment puts its programs
    there; starting its Python by path, as this script may be, does not.
    """
    programs = str(Path(sys.executable).parent)
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": os.pathsep.join((programs, path))}


def main() -> int:
    """Run each line in the site's directory; stop at the first that fails, with its status."""
    for arguments in RUNS:
        print(f"$ {shlex.join(('python', *arguments))}", flush=True)
        line = [sys.executable, *arguments]
        finished = subprocess.run(line, cwd=SITE, env=environment(), check=False)
        if finished.returncode:
            return finished.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
