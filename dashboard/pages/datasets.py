"""Datasets: find what ran, of any year."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from nicegui import run, ui

from dashboard.pages.code import teach
from dashboard.pages.frame import frame, heading
from dashboard.pages.listing import Listing
from quantify_sync.when import parse_when
from shared.catalogue.pages import Order, Wanted, find_page
from shared.catalogue.records import State
from shared.errors import ConfigurationError, QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dashboard.house import House
    from shared.catalogue.pages import Page

ROWS = 50
"""Datasets of a page."""


class Question(NamedTuple):
    """What is asked for: exactly what the address holds."""

    q: str = ""
    set_up: str = ""
    state: str = ""
    tag: str = ""
    since: str = ""
    until: str = ""
    starred: str = ""
    sort: str = Order.COLLECTED
    page: int = 1

    @property
    def address(self) -> str:
        """Where this question is answered; what is as usual is left out."""
        usual = Question()._asdict()
        asked = {k: v for k, v in self._asdict().items() if v != usual[k]}
        return "/datasets" + (f"?{urlencode(asked)}" if asked else "")

    def wanted(self) -> Wanted:
        """Give what the catalogue is asked.

        Raises
        ------
        ConfigurationError
            A time or a state can't be read.
        """
        if self.state and self.state not in set(State):
            raise ConfigurationError(f"There is no state {self.state!r}.")
        return Wanted(
            query=self.q,
            set_up=self.set_up or None,
            state=State(self.state) if self.state else None,
            tags=(self.tag,) if self.tag else (),
            since=parse_when(self.since) if self.since else None,
            until=parse_when(self.until) if self.until else None,
            starred=True if self.starred else None,
        )


def add_page(house: House) -> None:
    """Add the page to the application."""

    def find(asked: Question) -> Page | str:
        try:
            with house.place.catalogue.read() as session:
                return find_page(
                    session,
                    asked.wanted(),
                    order=Order(asked.sort),
                    descending=asked.sort != Order.NAME,
                    limit=ROWS,
                    offset=ROWS * (asked.page - 1),
                )
        except QuantifySyncError as error:
            return str(error)

    @ui.page("/datasets")
    async def datasets(  # noqa: PLR0917 - they are what the address holds
        q: str = "",
        set_up: str = "",
        state: str = "",
        tag: str = "",
        since: str = "",
        until: str = "",
        starred: str = "",
        sort: Order = Order.COLLECTED,
        page: int = 1,
    ) -> None:
        asked = Question(
            q, set_up, state, tag, since, until, starred, sort, max(page, 1)
        )
        found = await run.io_bound(find, asked)
        with frame("Datasets"):
            heading("Datasets")
            _form(asked, [source.set_up for source in house.settings.sources])
            if found is None or isinstance(found, str):
                ui.label(found or "").classes("badge bad whitespace-normal")
            elif not found.total:
                teach("No dataset is like that.", "quantify-sync up DIRECTORY")
            else:
                Listing(house.hub, found, lambda: find(asked))
                _pages(asked, found)


def _form(asked: Question, set_ups: list[str]) -> None:
    """Show what is asked for; a plain form, whose address can be shared."""
    form = ui.element("form").props('action="/datasets" method="get" role="search"')
    with form.classes("flex flex-wrap gap-2 items-end w-full"):
        _field("q", "Words in name, tags, attributes, settings, notes", asked.q)
        _choice("set_up", "Set-up", asked.set_up, ["", *dict.fromkeys(set_ups)])
        _choice("state", "State", asked.state, ["", *State])
        _field("tag", "Tag", asked.tag)
        _field("since", "Since (2026-03-01, or 2 days)", asked.since)
        _field("until", "Until", asked.until)
        _choice("starred", "Star", asked.starred, ["", "1"])
        _choice("sort", "Sorted by", asked.sort, Order)
        with ui.element("button").props('type="submit" data-testid="search"'):
            ui.label("Search").classes("tab")


def _field(name: str, label: str, value: str) -> None:
    with ui.element("label").classes("flex flex-col quiet text-sm"):
        ui.label(label)
        box = ui.element("input").classes("sheet p-2")
        box.props["name"] = name
        box.props["value"] = value


def _choice(name: str, label: str, value: str, options: Iterable[str]) -> None:
    """Let one be chosen; the empty one stands for any."""
    with ui.element("label").classes("flex flex-col quiet text-sm"):
        ui.label(label)
        with ui.element("select").classes("sheet p-2") as chosen:
            chosen.props["name"] = name
            for one in options:
                with ui.element("option") as option:
                    option.props["value"] = one
                    if one == value:
                        option.props["selected"] = True
                    ui.label("any" if not one else one.replace("_", "-"))


def _pages(asked: Question, found: Page) -> None:
    with ui.row().classes("gap-4"):
        if asked.page > 1:
            ui.link("Back", asked._replace(page=asked.page - 1).address)
        if not found.exact or asked.page * ROWS < found.total:
            ui.link("More", asked._replace(page=asked.page + 1).address)
