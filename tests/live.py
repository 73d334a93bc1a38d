"""Processes that a test talks with while they run."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from .projects import ENVIRONMENT, Project, Ran

DEADLINE = 30.0
"""Seconds after which a test gives up to wait for what must come."""


class Pipe:
    """A named pipe between a test and the processes that the test has started.

    They say what they do, and it ends when the last of them is gone; or they wait for the test.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self._reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._writing: int | None = os.open(path, os.O_WRONLY)
        self._rest = b""

    def line(self) -> str:
        """Return the next line that was said."""
        while b"\n" not in self._rest:
            self._rest += self._read()
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode()

    def ended(self) -> bool:
        """Wait until nobody holds it any longer: when they all are gone, or none has come yet."""
        self._let_go()
        while read := self._read():
            self._rest += read
        return True

    def open(self) -> None:
        """Let one process pass that waits for a line."""
        assert self._writing is not None
        os.write(self._writing, b"\n")

    def close(self) -> None:
        """Leave it; whoever waits, passes."""
        # Whoever comes after this would wait for ever.
        self._path.unlink(missing_ok=True)
        self._let_go()
        os.close(self._reading)

    def _let_go(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
        self._writing = None

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._reading], [], [], DEADLINE)
        assert ready, f"nothing more was said after {self._rest!r}"
        return os.read(self._reading, 4096)


class Live:
    """A project whose processes a test talks with while they run.

    They write to ``said`` and wait at ``gate``.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self.said = Pipe(project.root / "said")
        self.gate = Pipe(project.root / "gate")
        self.process: subprocess.Popen[bytes] | None = None
        self.out = b""
        self._seen: dict[int, bytes] = {}
        project.file("hold.sh", HOLD_SH)
        project.file("waiting.py", WAITING)
        project.command("probe", "hold", HOLD)

    def start(self, *args: str, before: tuple[str, ...] = (), **options: Any) -> None:
        """Start ``manage.py`` with these arguments, behind the words of another program."""
        environment = {
            **os.environ,
            **ENVIRONMENT,
            "PYTHONPATH": os.pathsep.join(map(str, self.project.paths)),
            "COLUMNS": "80",
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        streams = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        self.process = subprocess.Popen(
            [*before, sys.executable, str(self.project.root / "manage.py"), *args],
            cwd=self.project.root,
            env=environment,
            **{**streams, **options},
        )

    @property
    def running(self) -> subprocess.Popen[bytes]:
        """The process of the routine."""
        assert self.process is not None
        return self.process

    def wait_for(self, stream: IO[bytes] | None, text: str) -> None:
        """Read an output of the routine until a text was in it."""
        assert stream is not None
        descriptor = stream.fileno()
        while text.encode() not in self._seen.setdefault(descriptor, b""):
            ready, _, _ = select.select([descriptor], [], [], DEADLINE)
            assert ready, f"{text!r} did not come after {self._seen[descriptor]!r}"
            read = os.read(descriptor, 65536)
            assert read, f"{text!r} did not come at all: {self._seen[descriptor]!r}"
            self._seen[descriptor] += read

    def end(self) -> Ran:
        """Wait for the routine's end, and return what it has left behind."""
        process = self.running
        kept = [
            self._seen.get(one.fileno(), b"") if one is not None and not one.closed else b""
            for one in (process.stdout, process.stderr)
        ]
        out, err = process.communicate(timeout=DEADLINE)
        self.out = kept[0] + (out or b"")
        err = kept[1] + (err or b"")
        return Ran(
            process.returncode, self.out.decode("utf-8", "replace"), err.decode("utf-8", "replace")
        )

    def close(self) -> None:
        """Leave nothing behind, also after a failure."""
        self.gate.close()
        self.said.close()
        if self.process is not None:
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()
            self.process.kill()
            self.process.wait()


# Says its name, and waits at the gate. While it is there it holds "said" open.
HOLD_SH = """
    exec 9>said
    echo "$1" >&9
    read line <gate
    echo "$1 passed" >>ran.txt
"""

# A signal that comes right before a call that blocks is seen by Python when that call returns. So
# what waits in Python looks up now and then.
WAITING = """
    import os
    import select
    from pathlib import Path

    def note(text):
        with Path("ran.txt").open("a") as file:
            file.write(f"{text}\\n")

    def wait():
        gate = os.open("gate", os.O_RDONLY)
        try:
            while not select.select([gate], [], [], 0.05)[0]:
                pass
            os.read(gate, 1)
        finally:
            os.close(gate)
"""

HOLD = """
    from django.core.management.base import BaseCommand

    from waiting import note, wait

    class Command(BaseCommand):
        def add_arguments(self, parser):
            parser.add_argument("name")

        def handle(self, *args, **options):
            with open("said", "w") as said:
                print(options["name"], file=said, flush=True)
                wait()
                note(f"{options['name']} passed")
"""
