"""Health: who is heard, what waits, what failed, and the button that tries again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nicegui import run, ui

from dashboard.pages.frame import frame, heading, section
from quantify_sync import asking
from quantify_sync.output import duration
from quantify_sync.place import Place
from quantify_sync.status import read_status
from shared.errors import QuantifySyncError
from shared.queues import LIVE, with_suffix

if TYPE_CHECKING:
    from quantify_sync.status import Failure, SourceStatus, Status
    from shared.settings import Settings

REFRESH = 5.0
"""Seconds between two looks."""
OFFSET = 10.0
"""Seconds between two clocks from which shown times mislead; `check` says so too."""
MOST = 200
"""Failures that are listed; the rest is counted."""


def add_page(settings: Settings, *, flower: str = "") -> None:
    """Add the page to the application; `flower` is that program's address."""

    def look() -> Status:
        with Place(settings) as place:
            return read_status(place)

    @ui.page("/health")
    async def health() -> None:
        with frame("Health"):
            heading("Health")
            body = ui.column().classes("w-full gap-4")
        view = _View(settings, body, flower)

        async def refresh() -> None:
            if told := await run.io_bound(look):
                view.show(told)

        await refresh()
        ui.timer(REFRESH, refresh)


class _View:
    """What is shown; drawn again only where it has changed."""

    def __init__(self, settings: Settings, body: ui.column, flower: str) -> None:
        self._settings = settings
        self._flower = flower
        self._body = body
        self._shown: str | None = None

    def show(self, now: Status) -> None:
        told = now.model_dump_json()
        if told == self._shown:
            return
        self._shown = told
        self._body.clear()
        with self._body:
            self._services(now)
            for source in now.sources:
                _source(source, now)
            if not now.sources:
                ui.label("No source is configured. Add one:")
                ui.code("quantify-sync sources add", language="sh")
            self._failures(now)
            for reason, count in now.refused.items():
                ui.label(f"{count} message(s) refused: {reason}").classes("badge bad")

    def _services(self, now: Status) -> None:
        with section("Services"):
            if now.broker_answers:
                _line("Redis answers", str(now.broker))
            else:
                where = f"at {now.broker} is away" if now.broker else "is not running"
                _line(f"Redis {where}", "nothing is known of producers", bad=True)
            if now.catalogue_error:
                _line("The catalogue does not answer", now.catalogue_error, bad=True)
            else:
                counted = ", ".join(f"{n:,} {s}" for s, n in now.states.items())
                _line("Datasets", counted or "none yet")
                if now.with_defects:
                    _line("With defects", f"{now.with_defects:,}")
            for name, count in now.queues.items():
                _line(f"Waiting in {name}", f"{count:,}")
            if self._flower:
                ui.link("Flower: workers and their tasks", self._flower, new_tab=True)

    def _failures(self, now: Status) -> None:
        if not now.failures:
            return
        with section(f"Failed: {len(now.failures):,}"):
            for failure in now.failures[:MOST]:
                with ui.row().classes("w-full items-center justify-between"):
                    with ui.column().classes("gap-0 min-w-0 grow"):
                        ui.link(
                            failure.tuid, f"/datasets/{failure.source}/{failure.tuid}"
                        )
                        ui.label(failure.reason).classes("quiet text-sm break-words")
                    ui.button("Try again").props(
                        f'outline no-caps aria-label="Try {failure.tuid} again"'
                    ).on_click(lambda f=failure: self._retry(f))

    async def _retry(self, failure: Failure) -> None:
        def ask() -> str:
            try:
                with Place(self._settings) as place:
                    asking.retry(place, failure.tuid, source=failure.source)
            except QuantifySyncError as error:
                return str(error)
            return f"{failure.tuid} is announced and tried again."

        ui.notify(await run.io_bound(ask))


def _source(source: SourceStatus, now: Status) -> None:
    with section(f"{source.set_up} ({source.name})"):
        producer = source.producer
        if producer is None and now.broker_answers:
            _line(
                "No heartbeat",
                "start 'quantify-sync producer' on the lab machine",
                bad=True,
            )
        elif producer is not None:
            _line(
                "Heartbeat",
                f"{duration(producer.age)} ago from {producer.host}, "
                f"version {producer.version}",
            )
            _line(
                "Clock offset",
                f"{producer.clock_offset:+.1f} s",
                bad=abs(producer.clock_offset) > OFFSET,
            )
            waiting = producer.waiting
            _line(
                "Unsynced",
                f"{producer.unanswered:,} of {producer.datasets:,}"
                + (f", the oldest for {duration(waiting)}" if waiting else ""),
            )
            if producer.message:
                _line("It says", producer.message, bad=True)
        for one in source.runs:
            _line(
                f"Follows {one.tuid}",
                f"{one.filled:,} of {one.total:,} points, the last "
                f"{duration(one.age)} ago",
            )
        for tuid in source.unfollowed:
            _line(
                f"Nobody follows {tuid}",
                f"start a worker for the queue {with_suffix(LIVE, source.queue)}",
                bad=True,
            )
        for told in source.disagreements:
            _line(f"Disagreement about {told.tuid}", told.difference, bad=True)


def _line(what: str, told: str, *, bad: bool = False) -> None:
    with ui.row().classes("w-full gap-4 items-baseline"):
        ui.label(what).classes("min-w-40 " + ("badge bad" if bad else "quiet"))
        ui.label(told).classes("grow min-w-0 break-words")
