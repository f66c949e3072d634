"""Run the stack, tell what happens, and end it."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from rich.filesize import decimal

from quantify_sync import exits
from quantify_sync.journal import Journal
from quantify_sync.page import is_installed, is_served, plan_page
from quantify_sync.progress import (
    NOTHING_KNOWN,
    Steadiness,
    read_failures,
    read_progress,
)
from quantify_sync.stack import running_stack
from shared.broker import connect
from shared.catalogue import pauses
from shared.catalogue.session import Catalogue
from shared.errors import ConfigurationError, QuantifySyncError
from shared.logfile import RotatingFile
from shared.logs import formatter
from shared.urls import without_password

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType

    from quantify_sync.page import PagePlan
    from quantify_sync.screen import Screen
    from quantify_sync.stack import Stack
    from quantify_sync.supervisor import Child
    from shared.settings import Settings

TICK = 0.25  # seconds between two looks at processes, catalogue and producers
REDIS_PATIENCE = 1.0  # seconds, twice; the loop must go on when Redis hangs
FAILURES_TOLD = 10  # reasons in the summary; `status` tells them all


def default_workers() -> int:
    """Give the number of backlog processes: one core is left to everything else."""
    return max(1, (os.cpu_count() or 1) - 1)


def run_stack(
    settings: Settings,
    config: Path,
    screen: Screen,
    *,
    once: bool,
    workers: int,
    web: bool = False,
    web_port: int | None = None,
    prepare: Callable[[Stack], None] | None = None,
) -> int:
    """Run the stack until Ctrl-C, or until everything is stored.

    Parameters
    ----------
    settings
        This machine's configuration, with at least one source.
    config
        Its file.
    screen
        Where to tell what happens.
    once
        End when everything is stored that is there.
    workers
        How many processes work on the backlog.
    web, web_port
        Whether to serve the page, and at which port; by default the configured one,
        or one of the next.
    prepare
        Called with the stack before its workers start.

    Returns
    -------
    int
        Exit code: `exits.OK`; `exits.FOUND_WRONG` after `once` when datasets failed,
        something may not be read or a process can't be kept running;
        `exits.INTERRUPTED` when Ctrl-C ended a `once` early.

    Raises
    ------
    QuantifySyncError
        The stack can't be started; the message says why.
    """
    log = settings.data_dir / "logs" / "up.log"
    with (
        _logging_to(log, settings),
        _stop_asked() as stop,
        running_stack(settings, config) as stack,
    ):
        catalogue = Catalogue(settings.catalogue)
        try:
            catalogue.migrate()
            # Before a producer starts, which would announce until a worker tells it.
            with catalogue.write() as session, connect(stack.broker) as redis:
                pauses.settle(session, redis)
            names = tuple(source.name for source in settings.sources)
            journal = Journal(catalogue, names)
            page, complaint = _plan(settings, web_port) if web else (None, "")
            screen.begin(_places(settings, config, stack))
            if complaint:
                screen.complain(complaint)
            if prepare:
                prepare(stack)
            producer = stack.start(workers=workers, live=not once)
            if page:
                stack.serve(page.host, page.port)
            loop = _Loop(stack, journal, screen, producer, page)
            try:
                return loop.run(stop, once=once)
            finally:
                # They end while the summary is counted.
                stack.supervisor.ask_to_stop(since=stop.asked or time.monotonic())
                screen.end(loop.summary())
        finally:
            catalogue.dispose()


class _Stop(threading.Event):
    """Set by a signal; `asked` is when, by the monotonic clock, s."""

    asked: float | None = None


class _Loop:
    """What `up` does while it runs, a look each `TICK`."""

    def __init__(
        self,
        stack: Stack,
        journal: Journal,
        screen: Screen,
        producer: Child,
        page: PagePlan | None,
    ) -> None:
        self._stack = stack
        self._journal = journal
        self._screen = screen
        self._producer = producer
        self._page = page  # until it is told
        self._once = False
        self._began = time.monotonic()
        self._progress = NOTHING_KNOWN
        self._complaints: set[str] = set()
        self._redis = connect(stack.broker, patience=REDIS_PATIENCE, retries=1)

    def run(self, stop: _Stop, *, once: bool) -> int:
        self._once = once
        steadiness = Steadiness()
        while not stop.wait(TICK):
            for child in self._stack.supervisor.tick():
                self._screen.complain(_death(child))
                if once and child.keeps_dying:
                    return exits.FOUND_WRONG
            self._look()
            if once and steadiness.reached(self._progress):
                return self._outcome()
        return exits.INTERRUPTED if once else exits.OK

    def summary(self) -> str:
        """Say in one line how it went."""
        self._tell_entries()
        seconds = time.monotonic() - self._began
        progress = self._progress
        for line in progress.unsynced:
            self._screen.complain(line)
        try:
            totals = self._journal.totals()
        except QuantifySyncError as error:
            return f"Ended after {seconds:.1f} s. {error}"
        told = (
            f"{totals.stored} datasets stored, {totals.datasets - totals.stored} "
            f"unchanged, {totals.defects} with defects, {progress.failed} failed"
        )
        if progress.unsynced_count:
            told += f", {progress.unsynced_count} folder(s) or file(s) not synced"
        if unreadable := progress.unreadable + len(totals.unreadable):
            told += f", {unreadable} not readable and so not stored whole"
        return (
            f"{told}; {totals.objects} objects ({decimal(totals.size)}) sent or "
            f"already there, in {seconds:.1f} s"
        )

    def _look(self) -> None:
        self._tell_entries()
        if self._page and is_served(self._page):
            self._screen.welcome(self._page.told)
            if self._page.caution:
                self._screen.complain(self._page.caution)
            self._page = None
        sources = self._stack.settings.sources
        try:
            self._progress = read_progress(
                self._redis,
                sources,
                producer=self._producer.pid,
                running=self._once,
            )
        except RedisError as error:
            # Not what was read before: a `--once` must not end on it.
            self._progress = NOTHING_KNOWN
            reason = without_password(str(error))
            self._complain_once(f"Redis does not answer, waiting for it ({reason})")
        told = self._progress
        for message in (*told.messages, *told.unsynced, *told.paused):
            self._complain_once(message)
        self._screen.show(self._progress)

    def _tell_entries(self) -> None:
        try:
            while entries := self._journal.read_on():
                self._screen.tell(entries)
        except QuantifySyncError as error:
            self._complain_once(str(error))

    def _complain_once(self, message: str) -> None:
        if message not in self._complaints:
            self._complaints.add(message)
            self._screen.complain(message)

    def _outcome(self) -> int:
        unreadable = self._journal.totals().unreadable
        for tuid in unreadable[:FAILURES_TOLD]:
            self._screen.complain(
                f"{tuid} has files that may not be read, so they are not stored: give "
                f"this user the right to ('quantify-sync show {tuid}' names them)."
            )
        if self._progress.failed:
            failures = read_failures(self._redis, self._stack.settings.sources)
            for dataset, reason in list(failures.items())[:FAILURES_TOLD]:
                self._screen.complain(f"{dataset} failed: {reason}")
        if self._progress.failed or self._progress.unreadable or unreadable:
            return exits.FOUND_WRONG
        if self._progress.paused:
            return exits.FOUND_WRONG
        return exits.OK


def _plan(settings: Settings, port: int | None) -> tuple[PagePlan | None, str]:
    """Plan where the page is served, or tell why there is none."""
    if not is_installed():
        return None, ""  # a person who wants it asks 'quantify-sync web', which tells
    try:
        return plan_page(settings, port=port), ""
    except ConfigurationError as error:
        return None, str(error)


def _death(child: Child) -> str:
    what = "ended and is started again"
    if child.keeps_dying:
        what = f"ended {child.deaths} times in a row: mend what it says"
    return (
        f"{child.name} {what}. Its last words: {child.last_words() or 'none'} "
        f"(all of them are in {child.log})"
    )


def _places(settings: Settings, config: Path, stack: Stack) -> dict[str, str]:
    places = {
        f"Source {source.name}": f"{source.quantify_directory} (set-up {source.set_up})"
        for source in settings.sources
    }
    return places | {
        "Store": without_password(settings.store),
        "Catalogue": without_password(settings.catalogue),
        "Broker": without_password(stack.broker),
        "Logs": str(stack.logs),
        "Settings": str(config),
    }


@contextmanager
def _logging_to(path: Path, settings: Settings) -> Iterator[None]:
    """Keep the records of this process out of what it shows."""
    handler = RotatingFile(path)
    handler.setFormatter(formatter(settings))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        handler.close()


@contextmanager
def _stop_asked() -> Iterator[_Stop]:
    """Turn Ctrl-C, TERM and a closed terminal into an event.

    An exception out of a signal handler could come between the start of a process
    and the note of it. A second signal raises `KeyboardInterrupt` all the same: what
    hangs must not need KILL, and the guard ends what is left.
    """
    stop = _Stop()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.asked = time.monotonic()
        stop.set()

    wanted = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in wanted if hasattr(signal, name)]
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
