"""What became of a run: one object for the routine, and one for each of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias, overload

from .model import Plan, Step

StepStatus: TypeAlias = Literal["succeeded", "failed", "skipped", "stopped", "not_run"]
"""What became of a step. ``stopped`` is a nested routine that a signal kept from its end."""

RunStatus: TypeAlias = Literal["succeeded", "failed", "stopped"]
"""What became of a routine."""


@dataclass(repr=False)
class StepResult:
    """What became of one step."""

    step: Step
    """The step of the plan; what a hook has changed in its command is not in it."""

    status: StepStatus = "not_run"

    result: Any = None
    """What the command returned: of a management command what its ``handle`` did, of a subprocess
    a :class:`subprocess.CompletedProcess`, of a nested routine its :class:`RunResult`. Hooks may
    replace it."""

    returncode: int | None = None
    """How it ended: 0 for success; of a process its exit status, below zero the number of the
    signal that killed it; ``None`` if it did not run."""

    started: datetime | None = None
    """When it started, with its time zone; ``None`` if it did not run."""

    duration: float = 0.0
    """How long it ran, in seconds, its hooks included."""

    exception: BaseException | None = None
    """What it raised, or what stands for how a process failed."""

    handled: bool = False
    """Whether a receiver of ``routine_failed`` took care of the failure."""

    stderr: tuple[str, ...] = ()
    """The last lines that a failed subprocess wrote to its stderr, secrets masked."""

    command_line: str = ""
    """What was run, as hooks have left it, secrets masked."""

    skipped_by: str = ""
    """What kept it from running: ``pre_hook`` or ``initialize``."""

    def __post_init__(self) -> None:
        self.command_line = self.command_line or self.step.command_line

    def __repr__(self) -> str:
        return f"<StepResult {self.id}: {self.status}>"

    @property
    def id(self) -> str:
        """The step's id."""
        return self.step.id

    @property
    def failed(self) -> bool:
        """Whether it failed, and nobody took care of that."""
        return self.status == "failed" and not self.handled


@dataclass(repr=False, eq=False)
class RunResult(Sequence[Any]):
    """What became of a run of a routine.

    As a sequence it holds what the commands that were run returned, in their order: that is what
    django-routines gives to ``finalize``.
    """

    plan: Plan
    """The plan that was run."""

    steps: list[StepResult] = field(default_factory=list)
    """One for each step of the plan, in its order."""

    ran: list[StepResult] = field(default_factory=list)
    """Those that were run, in the order in which they were."""

    started: datetime | None = None
    """When it started, with its time zone."""

    duration: float = 0.0
    """How long it took, in seconds."""

    early_exit: bool = False
    """Whether a hook or a receiver ended it early, without a failure."""

    stopped_by: int | None = None
    """The number of the signal that asked it to stop."""

    rolled_back: tuple[str, ...] = ()
    """The databases on which what the steps did in this process was undone."""

    error: BaseException | None = None
    """What failed that is none of the steps: a callback, a receiver, the transaction's end."""

    def __repr__(self) -> str:
        steps = ", ".join(f"{step.id}: {step.status}" for step in self.steps)
        return f"<RunResult {self.routine}: {self.status} ({steps})>"

    @property
    def routine(self) -> str:
        """The routine's name."""
        return self.plan.routine

    @property
    def status(self) -> RunStatus:
        """What became of it; a stop counts for more than a failure."""
        if self.stopped_by is not None:
            return "stopped"
        return "failed" if self.error is not None or self.failures else "succeeded"

    @property
    def failures(self) -> list[StepResult]:
        """The steps that failed, but for those that a receiver took care of."""
        return [step for step in self.steps if step.failed]

    @property
    def not_run(self) -> list[StepResult]:
        """The steps that were not run, or not to their end."""
        return self.of_status("not_run", "stopped")

    def of_status(self, *statuses: StepStatus) -> list[StepResult]:
        """Return the steps of which one of these became, in the plan's order.

        :param statuses: the statuses asked for.
        """
        return [step for step in self.steps if step.status in statuses]

    @property
    def _returned(self) -> list[Any]:
        # What raised has returned nothing, which is not the same as None.
        return [
            step.result
            for step in self.ran
            if step.status == "succeeded" or step.result is not None
        ]

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._returned[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._returned)

    def __len__(self) -> int:
        return len(self._returned)
