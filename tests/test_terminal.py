"""What people see: the routine command on a terminal of its own."""

from __future__ import annotations

import copy
import os
import re
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pexpect
import pyte
import pytest
from rich.cells import cell_len

from .projects import ENVIRONMENT, Project

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x1b[78]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
RULE = re.compile("^ *[\u2500-\u257f]{5}")
"""A line that a table is drawn with."""


def surroundings(project: Project, **env: str) -> dict[str, str]:
    """Return the environment of a process on a terminal."""
    others = ("NO_COLOR", "COLUMNS", "LINES", "DJANGO_SETTINGS_MODULE")
    return {
        **{key: value for key, value in os.environ.items() if key not in others},
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(map(str, project.paths)),
        "TERM": "xterm-256color",
        **env,
    }


def on_terminal(project: Project, *args: str, columns: int = 100) -> tuple[int, str]:
    """Run ``manage.py`` on a pseudo-terminal; return its exit status and what it showed."""
    child = pexpect.spawn(
        sys.executable,
        [str(project.root / "manage.py"), *args],
        cwd=str(project.root),
        env=surroundings(project),
        encoding="utf-8",
        dimensions=(40, columns),
        timeout=60,
    )
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus is not None, f"killed by signal {child.signalstatus}"
    return child.exitstatus, (child.before or "").replace("\r\n", "\n")


def cells(shown: str) -> str:
    """Return what the columns of all tables hold, folded lines joined, without spaces."""
    tables: list[list[str]] = [[]]
    for line in ESCAPES.sub("", shown).splitlines():
        if RULE.match(line):
            tables[-1].append("")
        elif tables[-1] and line.startswith(" "):
            tables[-1].append(re.sub("[\u2500-\u257f]", " ", line))
        elif tables[-1]:
            tables.append([])
    return " ".join(column for table in tables for column in unfolded(table))


def unfolded(lines: list[str]) -> list[str]:
    """Return the columns of a table: what stands between two gaps that no line crosses."""
    width = max(map(len, lines), default=0)
    padded = [line.ljust(width) for line in lines]
    blank = "".join("x" if "".join(column).strip() else " " for column in zip(*padded, strict=True))
    spans = [found.span() for found in re.finditer("x+(?: x+)*", blank)]
    return ["".join("".join(line[start:end].split()) for line in lines) for start, end in spans]


@pytest.fixture
def plan(project: Project) -> Project:
    """A project whose plan has long cells, and square brackets."""
    project.settings(f"""
        routine("deploy", "Deploy [red]the[/red] site.", demo="Load [/] it.")
        command("deploy", "probe", "[red]x[/red]", "/{"/".join(["directory"] * 20)}/end", tag="[/]")
        command("deploy", "probe", "second", priority=3, run_before=["settings:probe"])
        command("deploy", "probe", "demo", switches=["demo"])
        override("deploy", "settings:probe-3", priority=7)
    """)
    return project


@pytest.mark.parametrize("columns", [60, 100, 250])
def test_a_table_on_a_terminal_loses_nothing(plan: Project, columns: int) -> None:
    """The table fits the terminal; what is too long for its column is folded and not cut."""
    status, shown = on_terminal(plan, "routine", "deploy", "--explain", columns=columns)

    assert status == 0
    plain = ESCAPES.sub("", shown)
    assert all(len(line) <= columns for line in plain.splitlines())
    assert COLOURS.search(shown)
    assert "…" not in plain
    assert "Deploy [red]the[/red] site." in plain
    assert "Load [/] it." in plain
    everything = cells(shown)
    for step in plan.explain()["steps"]:
        assert step["id"] in everything
        assert f"{step['origin']['file']}:{step['origin']['line']}" in everything
    assert f"probe'[red]x[/red]'/{'/'.join(['directory'] * 20)}/end(tag='[/]')" in everything
    assert "3->0" in everything
    assert "beforesettings:probe" in everything
    assert "needs--demo" in everything
    assert plan.ran == []


def test_no_color_on_a_terminal(plan: Project) -> None:
    """``--no-color`` leaves the table and takes the colours."""
    status, shown = on_terminal(plan, "routine", "--no-color", "deploy", "--explain")

    assert status == 0
    assert not COLOURS.search(shown)
    assert any(map(RULE.match, shown.splitlines()))


def test_json_on_a_terminal_is_the_same_document(plan: Project) -> None:
    """A document is neither coloured nor folded, wherever it is written."""
    line = ("routine", "deploy", "--explain", "--format", "json")

    status, shown = on_terminal(plan, *line, columns=40)

    assert (status, shown) == (0, plan.manage(*line).out)


def test_problems_on_a_terminal(project: Project) -> None:
    """Errors stand below the table, with their hints and exit status 1."""
    project.settings("""
        command("deploy", "probe", "x")
        command("deploy", "prob", "[red]y[/red]")
    """)

    status, shown = on_terminal(project, "routine", "deploy", "--explain", columns=300)

    plain = ESCAPES.sub("", shown)
    assert status == 1
    assert "there is no management command 'prob'." in plain
    assert "HINT: Did you mean 'probe'?" in plain
    assert "Traceback" not in plain


def test_hostile_texts_do_not_reach_the_terminal(project: Project) -> None:
    """A title, a colour or a cursor movement in an argument or a help is shown, not obeyed."""
    hostile = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\re\nf\u202eg"
    project.settings(f"""
        routine("deploy", {hostile!r}, demo={hostile!r})
        command("deploy", "probe", {hostile!r}, tag={hostile!r}, run_after=[{hostile!r}])
        command("deploy", "probe", switches=["demo"])
    """)

    for args in (["deploy", "--explain"], ["deploy", "list"], ["--help"], ["deploy", "--help"]):
        _, shown = on_terminal(project, "routine", *args, columns=200)
        plain = COLOURS.sub("", shown)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", plain), args


def test_running_on_a_terminal_echoes_and_reports(project: Project) -> None:
    """Steps are echoed in colour, and a failure says the same as anywhere."""
    project.settings("""
        command("deploy", "probe", "one")
        system("deploy", "sh", "-c", "test -t 0 && echo interactive")
        command("deploy", "probe", "--fail")
    """)

    status, shown = on_terminal(project, "routine", "deploy")

    plain = ESCAPES.sub("", shown)
    assert status == 1
    lines = plain.splitlines()
    assert lines.index("probe one") < lines.index("probed one v1") < lines.index("interactive")
    assert "Step 3 of 3 of routine 'deploy' failed: settings:probe-2" in plain
    assert COLOURS.search(shown)


def test_running_without_colours_on_a_terminal(project: Project) -> None:
    """``--no-color`` holds for the echo and for the commands that run."""
    project.settings('command("deploy", "check")')

    status, shown = on_terminal(project, "routine", "--no-color", "deploy")

    assert status == 0
    assert "\x1b" not in shown
    assert "System check identified no issues" in shown


# ---- The line of the step that runs, on a terminal that shows what a real one would ----

STATUS = re.compile(r"[-\\\\|/] \[([\d.]+/\d+)\] (\S+) (\d+\.\d) s")
"""The last line of the terminal: a spinner, the place of the step, its id, how long it runs."""

DURATION = re.compile(r"\d+\.\d s")

AFTERWARDS = """trap : INT TERM; "$@"; echo "status $?"; seq 101 140"""
"""A shell's line that runs the command, and then writes more than the screen holds."""

DEADLINE = 60
"""Seconds until something that does not happen fails the test."""


class Screen(pyte.Screen):
    """The screen of a terminal emulator, where that differs between real ones as xterm has it.

    There is one saved cursor and no stack of them; it comes back to where it was, whatever scrolls;
    what scrolls off the top is kept; and of a screen that gets lower the upper lines go.
    """

    def reset(self) -> None:
        self.scrolled: list[str] = []
        super().reset()

    def row(self, number: int) -> str:
        cells = self.buffer[number]
        return "".join(cells[column].data for column in range(self.columns)).rstrip()

    @property
    def rows(self) -> list[str]:
        return [self.row(number) for number in range(self.lines)]

    @property
    def region(self) -> tuple[int, int]:
        return tuple(self.margins) if self.margins else (0, self.lines - 1)

    def index(self) -> None:
        top, bottom = self.region
        if self.cursor.y == bottom and top == 0:
            self.scrolled.append(self.row(0))
        if self.cursor.y == self.lines - 1 != bottom:
            return  # below the region, nothing scrolls
        super().index()

    def save_cursor(self) -> None:
        self.savepoints.clear()
        super().save_cursor()

    def restore_cursor(self) -> None:
        if self.savepoints:
            self.cursor = copy.copy(self.savepoints[0].cursor)
            self.ensure_hbounds()
            self.ensure_vbounds()

    def resize(self, lines: int, columns: int) -> None:
        self.set_margins()
        for _ in range(self.cursor.y - lines + 1):
            self.scrolled.append(self.row(0))
            kept = [self.buffer[number] for number in range(1, self.lines)]
            self.buffer.clear()
            self.buffer.update(enumerate(kept))
            self.cursor.y -= 1
        for number in range(lines, self.lines):
            self.buffer.pop(number, None)
        self.lines, self.columns = lines, columns
        self.ensure_hbounds()


class Terminal:
    """A terminal on which a shell runs ``manage.py``, and what can be seen there."""

    def __init__(
        self,
        project: Project,
        *args: str,
        size: tuple[int, int] = (24, 80),
        shell: str = AFTERWARDS,
        **env: str,
    ) -> None:
        self.project = project
        self.screen = Screen(size[1], size[0])
        self.raw = b""
        self._stream = pyte.ByteStream(self.screen)
        self.child = pexpect.spawn(
            "/bin/sh",
            ["-c", shell, "sh", sys.executable, "manage.py", *(args or ("routine", "deploy"))],
            cwd=str(project.root),
            env=surroundings(project, **env),
            dimensions=size,
        )
        self.child.delaybeforesend = None

    def read(self, seconds: float = 0.1) -> bool:
        """Show what was written meanwhile; tell whether there may be more."""
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self._stream.feed(data)
        return True

    def wait(self, until: Callable[[], object]) -> None:
        """Show what is written until something is so."""
        deadline = time.monotonic() + DEADLINE
        while not until():
            more = self.read()
            assert more or until(), self.transcript
            assert time.monotonic() < deadline, self.transcript

    def see(self, text: str) -> None:
        """Wait until a text was shown; it may have scrolled away since."""
        self.wait(lambda: any(text in row for row in self.transcript))

    def see_line(self, text: str) -> None:
        """Wait until a text, and nothing else, stands on the line of the cursor."""
        self.wait(lambda: self.screen.row(self.screen.cursor.y) == text)

    @property
    def status(self) -> re.Match[str] | None:
        """The last line, if it is that of a step that runs."""
        return STATUS.fullmatch(self.screen.rows[-1])

    def see_status(self, label: str, step: str) -> None:
        """Wait until the last line shows a step, and then until it was drawn again, and again."""
        self.wait(lambda: self.status and self.status.groups()[:2] == (label, step))
        drawn = float(self.status[3])
        self.wait(lambda: self.status and float(self.status[3]) > drawn + 0.15)

    def open(self, gate: str = "gate") -> None:
        """Let a step go on that waits for a FIFO.

        The next step finds a new FIFO in its place: it could be there before the old one is closed
        here, and would not wait.
        """
        path = self.project.root / gate
        writing = []

        def opened() -> bool:
            try:
                writing.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:  # nobody waits for it yet
                return False
            return True

        self.wait(opened)
        fresh = path.with_name(f"fresh-{gate}")
        os.mkfifo(fresh)
        fresh.replace(path)
        os.write(writing[0], b"go\n")
        os.close(writing[0])

    @property
    def transcript(self) -> list[str]:
        """All lines, with those that have scrolled away, and durations that are the same."""
        rows = [*self.screen.scrolled, *self.screen.rows]
        return [DURATION.sub("N s", row) for row in rows if row]

    def end(self) -> list[str]:
        """Wait for the end; return what was shown before the shell's own lines.

        What the shell has written is as on a terminal that nobody has touched.
        """
        self.wait(lambda: not self.read())
        self.child.close()
        screen = self.screen
        assert screen.rows[-1] == ""
        assert screen.rows[:-1] == [str(n) for n in range(142 - screen.lines, 141)]
        assert (screen.cursor.y, screen.cursor.x) == (screen.lines - 1, 0)
        assert screen.region == (0, screen.lines - 1)
        assert not screen.cursor.hidden
        assert screen.cursor.attrs == pyte.screens.Char(" ")
        lines = self.transcript
        assert not any(re.search(r"[-\\\\|/] \[[\d.]+/\d+\] ", line) for line in lines), lines
        return lines[: lines.index("101")]


@pytest.fixture
def gated(project: Project) -> Project:
    """A project whose steps can wait for the test, at two FIFOs."""
    os.mkfifo(project.root / "gate")
    os.mkfifo(project.root / "gate-2")
    return project


def test_the_last_line_shows_the_step_that_runs(gated: Project) -> None:
    """Its place, its id and the time that goes by are seen while it runs; afterwards they are gone.

    The lines of the steps before it stand above, and a nested step takes its parent's place.
    """
    gated.settings("""
        command("deploy", "probe", "one")
        system("deploy", "sh", "-c", "read x < gate", step_id="waits")
        command("deploy", "routine", "inner")
        system("inner", "sh", "-c", "read x < gate-2", step_id="deep")
    """)
    terminal = Terminal(gated)

    terminal.see_status("2/3", "settings:waits")
    spinner = terminal.screen.rows[-1][0]
    terminal.wait(lambda: terminal.screen.rows[-1][0] not in (spinner, ""))
    assert terminal.screen.region == (0, 22)
    assert [DURATION.sub("N s", row) for row in terminal.screen.rows[:4]] == [
        "probe one",
        "probed one v1",
        "[1/3] settings:probe: done in N s",
        "sh -c 'read x < gate'",
    ]
    terminal.open()
    terminal.see_status("3.1/1", "settings:deep")
    terminal.open("gate-2")

    assert terminal.end() == [
        "probe one",
        "probed one v1",
        "[1/3] settings:probe: done in N s",
        "sh -c 'read x < gate'",
        "[2/3] settings:waits: done in N s",
        "routine inner",
        "sh -c 'read x < gate-2'",
        "[3.1/1] settings:deep: done in N s",
        "[3/3] settings:routine: done in N s",
        "Routine 'deploy' done in N s: 3 run, 0 skipped, 0 failed, 0 not run.",
        "status 0",
    ]


LOOP = """
    import sys
    from pathlib import Path

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            total = 1000
            for i in range(1, total + 1):
                if i % 100 == 0 or i == total:
                    sys.stdout.write(f"\\r Processing: {i}/{total} (7/sec, ETA: 3s)")
                    sys.stdout.flush()
                if i == 500:
                    Path("gate").read_text()
            self.stdout.write(self.style.SUCCESS(f"\\nCompleted {total} items in 1.0s"))
"""

DIRECT = """
    import subprocess

    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            line = "test -t 1 && printf 'directly, '; read x < gate; echo 'and on'; stty size <&1"
            subprocess.run(["sh", "-c", line], check=True)
"""

BAR = """
    from pathlib import Path

    from rich.progress import Progress

    with Progress() as progress:
        task = progress.add_task("Uploading", total=4)
        for i in range(4):
            progress.advance(task)
            if i == 1:
                Path("gate").read_text()
    print("uploaded")
"""


def test_what_a_step_writes_stays_where_it_wrote_it(gated: Project) -> None:
    """A line that is not finished, a progress loop, a bar of its own, a program behind our back."""
    gated.command("probe", "loop", LOOP)
    gated.command("probe", "direct", DIRECT)
    gated.file("bar.py", BAR)
    gated.settings("""
        import sys

        system("deploy", "sh", "-c", "printf half; read x < gate; echo ' and half'")
        command("deploy", "loop")
        command("deploy", "direct")
        system("deploy", sys.executable, "bar.py", step_id="bar")
    """)
    terminal = Terminal(gated)
    screen = terminal.screen

    terminal.see_line("half")
    terminal.see_status("1/4", "settings:sh")
    assert (screen.rows[1], screen.cursor.y, screen.cursor.x) == ("half", 1, 4)
    terminal.open()
    terminal.see_line(" Processing: 500/1000 (7/sec, ETA: 3s)")
    terminal.see_status("2/4", "settings:loop")
    assert screen.row(screen.cursor.y) == " Processing: 500/1000 (7/sec, ETA: 3s)"
    terminal.open()
    terminal.see_line("directly,")
    terminal.see_status("3/4", "settings:direct")
    assert (screen.row(screen.cursor.y), screen.cursor.x) == ("directly,", len("directly, "))
    terminal.open()
    terminal.see_status("4/4", "settings:bar")
    terminal.see(" 50%")
    assert sum("Uploading" in row for row in screen.rows) == 1
    terminal.open()

    shown = terminal.end()
    bar = next(line for line in shown if line.startswith("Uploading"))
    assert re.fullmatch("Uploading \u2501+ 100% 0:00:0\\d", re.sub(r"\d:\d\d:\d\d", "0:00:00", bar))
    assert [line for line in shown if line != bar] == [
        "sh -c 'printf half; read x < gate; echo '\"'\"' and half'\"'\"''",
        "half and half",
        "[1/4] settings:sh: done in N s",
        "loop",
        " Processing: 1000/1000 (7/sec, ETA: 3s)",
        "Completed 1000 items in 1.0s",
        "[2/4] settings:loop: done in N s",
        "direct",
        "directly, and on",
        "24 80",
        "[3/4] settings:direct: done in N s",
        f"{sys.executable} bar.py",
        "uploaded",
        "[4/4] settings:bar: done in N s",
        "Routine 'deploy' done in N s: 4 run, 0 skipped, 0 failed, 0 not run.",
        "status 0",
    ]


ASK = """
    from django.core.management.base import BaseCommand

    class Command(BaseCommand):
        def handle(self, *args, **options):
            self.stdout.write(f"You are {input('Your name? ')}.")
"""


def test_a_prompt_and_its_answer(gated: Project) -> None:
    """A step may ask; what is typed, also bit by bit, stands behind the question and arrives."""
    gated.command("probe", "ask", ASK)
    gated.settings("""
        command("deploy", "ask")
        system("deploy", "sh", "-c", "printf 'And yours? '; read x; echo hello $x", step_id="sh")
    """)
    terminal = Terminal(gated)
    screen = terminal.screen

    for question, step in (("Your name? ", "1/2"), ("And yours? ", "2/2")):
        terminal.see_line(question.rstrip())
        terminal.see_status(step, "settings:ask" if step == "1/2" else "settings:sh")
        assert (screen.row(screen.cursor.y), screen.cursor.x) == (question.rstrip(), len(question))
        terminal.child.send("Bo")
        terminal.see_line(f"{question}Bo")
        terminal.see_status(step, "settings:ask" if step == "1/2" else "settings:sh")
        assert screen.cursor.x == len(question) + 2
        terminal.child.send("b\r")

    shown = terminal.end()
    assert [line for line in shown if "Bob" in line] == [
        "Your name? Bob",
        "You are Bob.",
        "And yours? Bob",
        "hello Bob",
    ]


def test_output_that_scrolls(gated: Project) -> None:
    """Of what is longer than the screen every line is seen once, in order, above the last line."""
    gated.settings("""
        system("deploy", "sh", "-c", "seq 1001 1100; read x < gate; seq 1101 1200", step_id="long")
    """)
    terminal = Terminal(gated)

    terminal.see("1100")
    terminal.see_status("1/1", "settings:long")
    assert terminal.screen.rows[-4:-1] == ["1099", "1100", ""]
    terminal.open()

    numbers = [line for line in terminal.end() if line.isdigit()]
    assert numbers == [str(number) for number in range(1001, 1201)]


@pytest.mark.parametrize("columns", [3, 20, 80])
def test_a_long_step_id_of_wide_characters_is_cut(gated: Project, columns: int) -> None:
    """However narrow the terminal is, the last line is one line, and nothing scrolls for it."""
    gated.settings("""
        system("deploy", "true")
        system("deploy", "sh", "-c", "printf @; read x < gate", step_id="\u65e5\u672c\u8a9e" * 20)
    """)
    terminal = Terminal(gated, size=(5, columns))
    screen = terminal.screen
    whole = " [2/2] settings:" + "\u65e5\u672c\u8a9e" * 20
    elapsed = re.compile(r" ?\d\.\d s$")  # a wide character may not fill the last column

    terminal.see_line("@")
    scrolled = len(screen.scrolled)
    frames: set[str] = set()
    terminal.wait(lambda: frames.add(screen.rows[-1][:1]) or frames >= set("-\\|/"))

    assert elapsed.search(screen.rows[-1]) or columns == 3
    assert whole.startswith(elapsed.sub("", screen.rows[-1][1:]).rstrip())
    assert columns - 3 <= cell_len(screen.rows[-1]) < columns
    assert len(screen.scrolled) == scrolled
    assert screen.cursor.y < 4
    terminal.open()
    terminal.wait(lambda: not terminal.read())
    assert screen.rows == ["137", "138", "139", "140", ""]
    assert screen.region == (0, 4)


def test_a_terminal_without_a_line_to_spare(gated: Project) -> None:
    """A terminal of three lines is left as it is: the lines of the progress are enough."""
    gated.settings("""
        command("deploy", "probe", "one")
        system("deploy", "true")
    """)
    terminal = Terminal(gated, size=(3, 80))

    shown = terminal.end()

    assert shown[-2:] == [
        "Routine 'deploy' done in N s: 2 run, 0 skipped, 0 failed, 0 not run.",
        "status 0",
    ]
    assert b"\x1b" not in COLOURS.sub("", terminal.raw.decode()).encode()


@pytest.mark.parametrize(
    ("args", "env"),
    [
        ((), {"TERM": "dumb"}),
        (("--verbosity", "0"), {}),
        (("--no-color",), {}),
        ((), {"NO_COLOR": "1"}),
    ],
    ids=["dumb", "silent", "no-color", "NO_COLOR"],
)
def test_a_terminal_that_must_not_be_touched(
    gated: Project, args: tuple[str, ...], env: dict[str, str]
) -> None:
    """One that knows no escapes, or where none are wanted, gets none: nor does verbosity 0."""
    gated.settings("""
        command("deploy", "probe", "one")
        system("deploy", "sh", "-c", "test -t 1 && echo on a terminal")
    """)
    terminal = Terminal(gated, "routine", *args, "deploy", **env)

    shown = terminal.end()

    assert b"\x1b" not in terminal.raw
    assert "on a terminal" in shown
    assert ("[1/2] settings:probe: done in N s" in shown) is ("--verbosity" not in args)


def test_a_program_sees_a_terminal_of_the_right_size(project: Project) -> None:
    """Its input and both outputs are terminals, with the lines and columns of the real one."""
    project.settings("""
        import sys

        size = "import os; print([tuple(os.get_terminal_size(n)) for n in (0, 1, 2)])"
        system("deploy", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all")
        system("deploy", sys.executable, "-c", size)
        command("deploy", "probe", "apart", time_limit=60)
    """)

    shown = Terminal(project, size=(31, 91)).end()

    assert "all" in shown
    assert str([(91, 31)] * 3) in shown
    assert "probed apart v1" in shown


@pytest.mark.parametrize("end", ["failure", "SIGTERM", "Ctrl-C", "Ctrl-C twice"])
def test_the_terminal_is_left_as_it_was_found(gated: Project, end: str) -> None:
    """However the routine ends, the line is gone, all of the screen scrolls, the cursor shows."""
    gated.settings("""
        system("deploy", "sh", "-c", "echo $PPID > pid; echo ready; read x < gate; exit 3")
        command("deploy", "probe", "last")
    """)
    terminal = Terminal(gated)
    before = termios.tcgetattr(terminal.child.child_fd)

    terminal.see("ready")
    terminal.see_status("1/2", "settings:sh")
    if end == "SIGTERM":
        os.kill(int((gated.root / "pid").read_text()), signal.SIGTERM)
        terminal.see("SIGTERM: the routine stops when this step has finished")
    if end.startswith("Ctrl-C"):
        terminal.child.sendintr()
        terminal.see("SIGINT: the routine stops when this step has finished")
    terminal.see_status("1/2", "settings:sh")
    if end == "Ctrl-C twice":
        terminal.child.sendintr()
        terminal.see("SIGINT: the step is ended.")
    else:
        terminal.open()
    terminal.see("status")
    after = termios.tcgetattr(terminal.child.child_fd)

    shown = terminal.end()
    assert shown[-1] == {"failure": "status 1", "SIGTERM": "status 143"}.get(end, "status 130")
    assert after == before
    assert gated.ran == []


@pytest.mark.parametrize("redirection", ["> log", "2> log"])
def test_one_output_is_a_terminal_and_the_other_a_file(gated: Project, redirection: str) -> None:
    """The file gets no escape; the line of the step is shown where the progress goes."""
    gated.settings("""
        command("deploy", "probe", "one")
        system("deploy", "sh", "-c", "echo ready; read x < gate; test -t 2 && echo seen")
        system("deploy", "sh", "-c", "test -t 1 || echo aside")
    """)
    terminal = Terminal(gated, shell=AFTERWARDS.replace('"$@"', f'"$@" {redirection}'))

    if redirection == "> log":
        terminal.see_status("2/3", "settings:sh")
    else:
        terminal.see("ready")
        assert terminal.screen.region == (0, 23)
    terminal.open()

    shown = terminal.end()
    log = (gated.root / "log").read_text()
    progress = [
        "[1/3] settings:probe: done in N s",
        "[2/3] settings:sh: failed after N s",
        "Routine 'deploy' failed after N s: 1 run, 0 skipped, 1 failed, 1 not run.",
    ]
    if redirection == "> log":
        progress = [line.replace("failed after", "done in") for line in progress]
        progress[1:] = [
            "[2/3] settings:sh: done in N s",
            "[3/3] settings:sh-2: done in N s",
            "Routine 'deploy' done in N s: 3 run, 0 skipped, 0 failed, 0 not run.",
        ]
        assert "\x1b" not in log
        assert [line for line in log.splitlines() if not line.startswith(("sh ", "probe "))] == [
            "probed one v1",
            "ready",
            "seen",
            "aside",
        ]
        assert shown == [*progress, "status 0"]
    else:
        assert "\x1b" not in log
        assert DURATION.sub("N s", log).splitlines()[:3] == progress
        assert shown[-1] == "status 1"
        assert "ready" in shown


def resized(terminal: Terminal, size: tuple[int, int]) -> None:
    """Make the terminal another size while nothing writes to it."""
    process = int((terminal.project.root / "pid").read_text())
    os.kill(process, signal.SIGSTOP)
    state = ["ps", "-o", "state=", "-p", str(process)]
    terminal.wait(lambda: subprocess.check_output(state).strip().startswith(b"T"))
    written = -1
    while len(terminal.raw) > written:
        written = len(terminal.raw)
        terminal.read()
    terminal.child.setwinsize(*size)
    terminal.screen.resize(*size)
    os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("size", [(30, 100), (12, 60)], ids=["larger", "smaller"])
def test_the_size_of_the_terminal_changes_during_a_step(
    gated: Project, size: tuple[int, int]
) -> None:
    """The last line is the last one of the new size; nothing is left of the old one.

    What the step has written, and writes on, loses nothing by it.
    """
    gated.settings("""
        numbers = "echo $PPID > pid; seq 1001 1040; printf half; read x < gate; echo ' and half'"
        system("deploy", "sh", "-c", numbers + "; seq 1041 1080; read x < gate-2", step_id="n")
        command("deploy", "probe", "last")
    """)
    terminal = Terminal(gated)

    terminal.see("half")
    terminal.see_status("1/2", "settings:n")
    resized(terminal, size)
    terminal.see_status("1/2", "settings:n")
    assert terminal.screen.region == (0, size[0] - 2)
    assert terminal.screen.row(terminal.screen.cursor.y) == "half"
    assert len([row for row in terminal.screen.rows if STATUS.search(row)]) == 1
    terminal.open()
    terminal.see("1080")
    terminal.see_status("1/2", "settings:n")
    terminal.open("gate-2")

    numbers = [line for line in terminal.end() if re.match(r"\d{4}$|half", line)]
    assert numbers == [
        *(str(number) for number in range(1001, 1041)),
        "half and half",
        *(str(number) for number in range(1041, 1081)),
    ]


def test_a_program_can_ask_for_the_new_size(gated: Project) -> None:
    """A program that runs while the terminal changes its size is told of it."""
    gated.file(
        "size.py",
        """
            import os
            import signal

            signal.signal(signal.SIGWINCH, lambda *_: print("size", *os.get_terminal_size(1)))
            print("ready", flush=True)
            with open("gate") as gate:
                gate.read()
            print("now", *os.get_terminal_size(1))
        """,
    )
    gated.settings("""
        import sys

        system("deploy", "sh", "-c", "echo $PPID > pid")
        system("deploy", sys.executable, "size.py", step_id="size")
    """)
    terminal = Terminal(gated)

    terminal.see("ready")
    terminal.see_status("2/2", "settings:size")
    resized(terminal, (25, 70))
    terminal.see_status("2/2", "settings:size")
    terminal.open()

    shown = terminal.end()
    assert "now 70 25" in shown
    assert "size 70 25" in shown


def test_a_file_in_the_place_of_stderr_gets_no_escapes(gated: Project) -> None:
    """A command may close descriptor 2 and open a file that gets its number: that is its own."""
    gated.command(
        "probe",
        "takes",
        """
            import os
            from pathlib import Path

            from django.core.management.base import BaseCommand

            class Command(BaseCommand):
                def handle(self, *args, **options):
                    Path("gate").read_text()
                    os.close(2)
                    assert os.open("precious", os.O_WRONLY | os.O_CREAT) == 2
                    os.write(2, b"precious")
                    Path("gate-2").read_text()
                    os.close(2)
        """,
    )
    gated.settings("""
        command("deploy", "takes")
        system("deploy", "sh", "-c", "echo also >&2")
    """)
    terminal = Terminal(gated)
    terminal.see_status("1/2", "settings:takes")
    terminal.open()
    terminal.open("gate-2")

    shown = terminal.end()
    assert (gated.root / "precious").read_bytes() == b"precious"
    assert shown[-4:] == [
        "also",
        "[2/2] settings:sh: done in N s",
        "Routine 'deploy' done in N s: 2 run, 0 skipped, 0 failed, 0 not run.",
        "status 0",
    ]


def test_what_a_program_writes_in_two_halves_is_not_torn(gated: Project) -> None:
    """A character and an escape of which the rest comes later arrive whole.

    What is longer than a terminal's buffer is cut anywhere, so that also a program that writes
    each line at once comes in such halves.
    """
    gated.file(
        "halves.py",
        """
            import os
            from pathlib import Path

            for first, rest in ((b"\\xe6\\x97", b"\\xa5\\n"), (b"\\x1b[3", b"1mred\\x1b[0m\\n")):
                os.write(1, first)
                Path("gate").read_text()
                os.write(1, rest)
        """,
    )
    gated.settings("""
        import sys

        system("deploy", sys.executable, "halves.py", step_id="halves")
    """)
    terminal = Terminal(gated)

    for _ in range(2):
        terminal.see_status("1/1", "settings:halves")
        terminal.open()

    shown = terminal.end()
    assert shown[1:3] == ["\u65e5", "red"]


def test_a_line_that_was_begun_before_the_routine(project: Project) -> None:
    """What a command has written before it calls the routine is not overwritten."""
    project.command(
        "probe",
        "outer",
        """
            from django.core.management import call_command
            from django.core.management.base import BaseCommand

            class Command(BaseCommand):
                def handle(self, *args, **options):
                    print("Deploying the site, please wait ... ", end="", flush=True)
                    call_command("routine", "deploy")
        """,
    )
    project.settings('command("deploy", "probe", "one")')

    shown = Terminal(project, "outer").end()

    assert shown[0] == "Deploying the site, please wait ... probe one"


def test_a_step_that_resets_the_terminal(gated: Project) -> None:
    """After an editor, a pager or ``reset`` the next step's output keeps off the last line."""
    gated.settings(r"""
        system("deploy", "printf", "\\033[r\\033[2J\\033[H", step_id="reset")
        system("deploy", "sh", "-c", "seq 1001 1100; read x < gate; seq 1101 1150", step_id="long")
    """)
    terminal = Terminal(gated)

    terminal.see("1100")
    terminal.see_status("2/2", "settings:long")
    assert terminal.screen.region == (0, 22)
    terminal.open()

    numbers = [line for line in terminal.end() if re.match(r"\d{4}$", line)]
    assert numbers == [str(number) for number in range(1001, 1151)]


def test_a_program_that_is_killed_at_a_prompt(project: Project) -> None:
    """One that asks for a password, and is ended, leaves no terminal that does not echo."""
    project.settings("""
        DJANGO_RUNBOOK = {"GRACE_PERIOD": 0.1}
        system("deploy", "sh", "-c", "stty -echo; printf 'Password: '; read x", time_limit=0.5)
    """)
    terminal = Terminal(project, shell=AFTERWARDS.replace('"$@"', '"$@"; stty -a'))

    words = " ".join(terminal.end()).replace(";", " ").split()
    words = words[words.index("speed") :]
    assert "echo" in words
    assert "-echo" not in words


def test_a_program_that_does_not_block(project: Project) -> None:
    """One that makes the terminal's descriptor non-blocking does so for itself alone.

    Else what the steps after it write would be lost where it comes faster than it is shown.
    """
    project.command(
        "probe",
        "blocking",
        """
            import os

            from django.core.management.base import BaseCommand

            class Command(BaseCommand):
                def handle(self, *args, **options):
                    self.stdout.write(f"blocking: {[os.get_blocking(n) for n in range(3)]}")
        """,
    )
    project.settings("""
        import sys

        system("deploy", sys.executable, "-c", "import os; os.set_blocking(0, False)")
        command("deploy", "blocking")
    """)

    assert "blocking: [True, True, True]" in Terminal(project).end()
