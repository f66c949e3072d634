"""What is to be started, and what a system's way of starting it consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import PurePath

RESTART_SECONDS = 10
"""Until a producer that ended is started again. Redis being away does not end it, a
mistake in the configuration does: ten seconds after it is mended, all is well."""
NICENESS = 10
"""The measurement on the same machine comes first."""


@dataclass(frozen=True)
class Job:
    """The producer as it is to be started.

    Attributes
    ----------
    program, arguments
        Its command line; no secrets, which everybody could read there.
    """

    program: PurePath
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Write:
    """A step: write a file, in place of one that is there."""

    path: PurePath
    text: str
    encoding: str = "utf-8"


@dataclass(frozen=True)
class Remove:
    """A step: remove a file."""

    path: PurePath


@dataclass(frozen=True)
class Run:
    """A step: run a command.

    Attributes
    ----------
    words
        Program and arguments.
    may_fail
        Whether it is right that it fails where there was nothing before.
    tries
        How often to try, a second apart.
    """

    words: tuple[str, ...]
    may_fail: bool = False
    tries: int = 1


Step = Write | Remove | Run


@dataclass(frozen=True)
class State:
    """How an installed producer is.

    Attributes
    ----------
    enabled
        Whether it will start by itself.
    running
        Whether it runs.
    told
        In the system's own words, for people: since when, how it ended last, …
    """

    enabled: bool
    running: bool
    told: tuple[str, ...]


class System(Protocol):
    """One system's way of starting a producer. Decides only; `machine` acts."""

    @property
    def path(self) -> PurePath:
        """The file that describes the job: it is there while it is installed."""

    @property
    def keeps_log(self) -> bool:
        """Whether it keeps and rotates what the producer prints."""

    @property
    def remedy(self) -> str:
        """What to do when it refuses or is missing."""

    def install(self, job: Job) -> tuple[Step, ...]:
        """Give the steps of installing; they may be taken again to change it.

        Raises
        ------
        ConfigurationError
            A path of the job can't be written there.
        """

    def remove(self) -> tuple[Step, ...]:
        """Give the steps of removing it."""

    def ask(self) -> Run:
        """Give the command whose output `state` reads."""

    def state(self, answer: str) -> State:
        """Read how it is; `answer` is empty if the system does not know it."""

    def last_lines(self, count: int) -> Run | None:
        """Give the command that prints the last of its log, where it keeps it."""

    def ask_when(self) -> Run | None:
        """Give the command whose output `when` reads, if it needs one."""

    def when(self, answer: str) -> str:
        """Say when it runs, and how it would run always."""
