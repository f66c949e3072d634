"""Health: who is heard, what waits, what failed, and the button that tries again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nicegui import run, ui

from dashboard.pages.code import teach
from dashboard.pages.failures import Failures
from dashboard.pages.frame import PATIENCE, frame, heading, section
from quantify_sync.output import duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboard.house import House
    from quantify_sync.status import ProducerStatus, SourceStatus, Status

REFRESH = 5.0
"""Seconds between two looks."""


def add_page(house: House) -> None:
    """Add the page to the application."""

    @ui.page("/health", response_timeout=PATIENCE)
    async def health() -> None:
        with frame("Health"):
            heading("Health")
            view = _View(house)

        async def refresh() -> None:
            if told := await run.io_bound(house.status):
                view.show(told)

        await refresh()
        ui.timer(REFRESH, refresh)


class _Part:
    """A part of the page, drawn again only when what it shows has changed."""

    def __init__(self) -> None:
        self._body = ui.column().classes("w-full gap-0")
        self._shown: object = None

    def show(self, told: object, draw: Callable[[], object]) -> None:
        if told != self._shown:
            self._shown = told
            self._body.clear()
            with self._body:
                draw()


class _View:
    """The page's parts. What one can click on is never drawn again while it is there.

    Parameters
    ----------
    house
        What pages share.
    """

    def __init__(self, house: House) -> None:
        self._troubles = _Part()
        self._failures = Failures(house)
        self._services = _Part()
        ui.link("The HTTP API, for programs", "/api/v1/docs")
        if flower := house.settings.web.flower:
            ui.link("Flower: workers and their tasks", flower, new_tab=True)
        self._sources = {source.name: _Part() for source in house.settings.sources}
        if not self._sources:
            teach("No source is configured. Add one:", "quantify-sync sources add")

    def show(self, now: Status) -> None:
        self._troubles.show(now.troubles, partial(_troubles, now))
        self._failures.show(now.failures)
        self._services.show(_without_sources(now), partial(_services, now))
        for source in now.sources:
            self._sources[source.name].show(source, partial(_source, source))


def _without_sources(now: Status) -> Status:
    return now.model_copy(update={"sources": (), "failures": (), "troubles": ()})


def _troubles(now: Status) -> None:
    if not now.troubles:
        ui.label("All is well.").classes("badge good").props("role=status")
        return
    number = len(now.troubles)
    title = "1 thing is wrong" if number == 1 else f"{number} things are wrong"
    with section(title).props("role=status"):
        for trouble in now.troubles:
            ui.label(trouble.what).classes("badge bad whitespace-normal")
            ui.label(trouble.remedy).classes("quiet break-words")


def _services(now: Status) -> None:
    with section("Services"):
        _line("Redis", str(now.broker) if now.broker_answers else "away")
        _line("Store", now.store)
        _line("Catalogue", now.catalogue)
        if not now.catalogue_error:
            counted = ", ".join(f"{n:,} {state}" for state, n in now.states.items())
            _line("Datasets", counted or "none yet")
            _line("With defects", f"{now.with_defects:,}")
        for name, count in now.queues.items():
            _line(f"Waiting in {name}", f"{count:,}")
        if now.queues:
            _line("Taken by workers", f"{now.unacknowledged:,}")


def _source(source: SourceStatus) -> None:
    with section(f"{source.set_up} ({source.name})"):
        _line("Directory", source.directory)
        if source.paused:
            _line("Pause", source.paused.told(source.name))
        if source.producer is not None:
            _producer(source.producer)
        elif source.last_heard is not None:
            told = (
                f"{duration(source.last_heard.age)} ago from {source.last_heard.host}"
            )
            _line("Last heartbeat", told)
        else:
            _line("Heartbeat", "none in the last week")
        for one in source.runs:
            left = "" if one.left is None else f", {duration(one.left)} left"
            _line(
                f"Follows {one.tuid}",
                f"{one.filled:,} of {one.total:,} points, {one.rate:.3g} a second"
                f"{left}; the last {duration(one.age)} ago",
            )


def _producer(producer: ProducerStatus) -> None:
    heard = f"{duration(producer.age)} ago from {producer.host}"
    _line("Heartbeat", f"{heard}, version {producer.version}")
    _line("Clock offset", f"{producer.clock_offset:+.1f} s")
    waiting = producer.waiting
    oldest = "" if waiting is None else f", the oldest for {duration(waiting)}"
    _line("Unsynced", f"{producer.unanswered:,} of {producer.datasets:,}{oldest}")


def _line(what: str, told: str) -> None:
    with ui.row().classes("w-full gap-4 items-baseline"):
        ui.label(what).classes("min-w-40 quiet")
        ui.label(told).classes("grow min-w-0 break-words")
