"""Now: a card a set-up, and what it measures, growing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from nicegui import run, ui

from dashboard.cards import Badge, called
from dashboard.pages.code import code
from dashboard.pages.frame import PATIENCE, dataset_address, frame, heading, layout
from dashboard.pages.others import OtherRuns
from dashboard.pages.plot import Plot
from dashboard.pages.running import keep_looking, numbers
from quantify_sync.output import duration
from shared.catalogue.records import State

if TYPE_CHECKING:
    from dashboard.cards import Card
    from dashboard.hub import Hub, Run
    from dashboard.overview import Overview

REFRESH = 1.0
"""Seconds between two looks at the numbers; the plots are told by themselves."""

LOOKS = {
    Badge.RUNNING: "good",
    Badge.STALLED: "warn",
    Badge.INTERRUPTED: "warn",
    Badge.IDLE: "calm",
    Badge.NO_HEARTBEAT: "bad",
    Badge.EMPTY: "calm",
}


def add_page(overview: Overview, hub: Hub) -> None:
    """Add the page to the application."""

    @ui.page("/", response_timeout=PATIENCE)
    async def now() -> None:
        with frame("Now", plots=True):
            heading("What runs now")
            trouble = ui.label().classes("badge bad whitespace-normal")
            trouble.props("role=alert").bind_visibility_from(trouble, "text", bool)
            board = _Board()
        keep_looking(hub)

        async def refresh() -> None:
            board.show(await run.io_bound(overview.cards) or [])
            trouble.set_text(overview.trouble)

        await refresh()
        ui.timer(REFRESH, refresh)


class _Board:
    """The cards; one is made anew only when its set-up begins another measurement."""

    def __init__(self) -> None:
        self._empty = ui.column().classes("w-full items-start")
        self._grid = ui.element("div").classes(
            "grid w-full gap-4 grid-cols-1 md:grid-cols-2 xl:grid-cols-3"
        )
        self._cards: dict[str, _CardView] = {}
        self._taught = False

    def show(self, cards: list[Card]) -> None:
        if not cards and not self._taught:
            self._taught = True
            with self._empty:
                _teach()
        for card in cards:
            if card.source not in self._cards:
                with self._grid:
                    self._cards[card.source] = _CardView(card, called(card, cards))
            self._cards[card.source].show(card)


def _teach() -> None:
    ui.label("No set-up is configured yet.").classes("text-lg")
    ui.label("Tell quantify-sync where Quantify writes, on this machine:")
    code("quantify-sync up ~/quantify-data --set-up dilution_fridge_1")
    ui.label("Or try it without data:")
    code("quantify-sync demo")


class _CardView:
    """One card."""

    def __init__(self, card: Card, name: str) -> None:
        self._card = card
        self._shown: tuple[str, str] | None = None  # TUID and variable in the plot
        self._chosen = ""
        with ui.element("article").classes("sheet p-4 flex flex-col gap-2") as view:
            view.props["aria-label"] = name
            view.props["data-testid"] = f"card-{card.source}"
            with ui.row().classes("w-full items-center justify-between"):
                ui.label(name).classes("text-lg font-bold").props(
                    'role=heading aria-level="2"'
                )
                self._badge = ui.label().classes("badge").props("data-testid=badge")
            self._title = ui.link("", "#").classes("truncate")
            self._choice = ui.select({}, label="Curve").props("dense outlined")
            self._choice.on_value_change(lambda event: self._choose(event.value))
            self._plot = Plot({"data": [], "layout": layout()}, label="")
            self._plot.classes("w-full h-64")
            self._bar = ui.linear_progress(show_value=False, size="6px").props(
                'aria-label="Points measured"'
            )
            self._numbers = ui.label().classes("quiet text-sm")
            self._others = OtherRuns()

    def show(self, card: Card) -> None:
        self._card = card
        self._badge.set_text(_badge(card))
        self._badge.classes(replace=f"badge {LOOKS[card.badge]}")
        self._others.show(card.others)
        if card.run is not None:
            self._show_run(card.run)
        else:
            self._show_last(card)

    def _choose(self, name: str) -> None:
        self._chosen = name
        if self._card.run is not None:
            self._show_run(self._card.run)

    def _show_run(self, run: Run) -> None:
        self._title.set_visibility(True)
        self._title.set_text(f"{run.name or 'unnamed'}  ({run.tuid})")
        self._title.props["href"] = dataset_address(run.source, run.tuid)
        if self._chosen not in run.variables:
            self._chosen = next(iter(run.variables), "")
        if self._choice.options != dict(run.variables):
            self._choice.set_options(dict(run.variables), value=self._chosen)
        self._choice.set_visibility(len(run.variables) > 1)
        if self._shown != (run.tuid, self._chosen):
            self._shown = run.tuid, self._chosen
            self._plot.show(
                {"data": [{"mode": "lines+markers"}], "layout": layout()},
                curve=(run.source, run.tuid, self._chosen),
            )
            self._plot.props["aria-label"] = run.variables.get(self._chosen, "")
        self._plot.set_visibility(True)
        self._bar.set_visibility(run.status.points > 0)
        self._bar.set_value(run.status.filled / max(run.status.points, 1))
        self._numbers.set_text(numbers(run))

    def _show_last(self, card: Card) -> None:
        self._shown = None
        for part in (self._plot, self._choice, self._bar):
            part.set_visibility(False)
        self._title.set_visibility(card.last is not None)
        if card.last is None:
            self._numbers.set_text(
                f"What Quantify writes for {card.set_up} appears here by itself."
            )
            return
        self._title.set_text(f"{card.last.name}  ({card.last.alt_uid})")
        self._title.props["href"] = dataset_address(card.source, card.last.alt_uid)
        live = card.last.state is State.LIVE
        told = "Being measured since" if live else "Last measured:"
        told += f" {card.last.collected:%d %B %Y, %H:%M}"
        if not live and card.last.points and card.last.filled is not None:
            told += f"; {card.last.filled} of {card.last.points} points"
        self._numbers.set_text(told)


def _badge(card: Card) -> str:
    if card.badge is Badge.IDLE and card.last is not None:
        since = card.last.stored_at or card.last.updated_at
        return f"idle for {duration(time.time() - since.timestamp())}"
    if card.others:
        return f"{card.badge}, and {len(card.others)} more"
    return str(card.badge)
