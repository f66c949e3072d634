"""Datasets: find what ran, of any year."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from nicegui import run, ui

from dashboard.pages.code import teach
from dashboard.pages.frame import PATIENCE, frame, heading, text
from dashboard.pages.listing import Listing
from quantify_sync.when import parse_when
from shared.catalogue.pages import Order, Page, Wanted, find_page
from shared.catalogue.records import State, storable
from shared.errors import ConfigurationError, NotFoundError, QuantifySyncError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dashboard.house import House

ROWS = 50
"""Datasets of a page."""
PAGES = 100_000
"""That can be asked for; no catalogue has more."""
LONGEST = 500
"""Characters of what is asked for, as of the API; what is beyond is not looked at."""


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
            A time, a state or an order can't be read.
        """
        if self.state and self.state not in set(State):
            raise ConfigurationError(f"There is no state {self.state!r}.")
        if self.sort not in set(Order):
            raise ConfigurationError(f"Nothing is sorted by {self.sort!r}.")
        return Wanted(
            query=storable(self.q[:LONGEST]),
            set_up=storable(self.set_up) or None,
            state=State(self.state) if self.state else None,
            tags=(storable(self.tag),) if self.tag else (),
            since=parse_when(self.since) if self.since else None,
            until=parse_when(self.until) if self.until else None,
            starred=True if self.starred else None,
        )


def add_page(house: House) -> None:
    """Add the page to the application."""

    def find(asked: Question) -> Page | str:
        try:
            wanted = asked.wanted()
            with house.place.catalogue.read() as session:
                return find_page(
                    session,
                    wanted,
                    order=Order(asked.sort),
                    descending=asked.sort != Order.NAME,
                    limit=ROWS,
                    offset=ROWS * (asked.page - 1),
                )
        except NotFoundError:
            return Page([], 0, exact=True)  # no catalogue yet: nothing is stored
        except QuantifySyncError as error:
            return str(error)

    @ui.page("/datasets", response_timeout=PATIENCE)
    async def datasets(  # noqa: PLR0917 - they are what the address holds
        q: str = "",
        set_up: str = "",
        state: str = "",
        tag: str = "",
        since: str = "",
        until: str = "",
        starred: str = "",
        sort: str = Order.COLLECTED,
        page: str = "1",
    ) -> None:
        number = int(page) if page.isdecimal() and len(page) < LONGEST else 1
        number = min(max(number, 1), PAGES)
        asked = Question(q, set_up, state, tag, since, until, starred, sort, number)
        found = await run.io_bound(find, asked)
        with frame("Datasets"):
            heading("Datasets")
            _form(asked, [source.set_up for source in house.settings.sources])
            if found is None or isinstance(found, str):
                told = ui.label(found or "The server ends.").props("role=alert")
                told.classes("badge bad whitespace-normal")
            elif found.datasets:
                Listing(house.hub, found, lambda: find(asked))
                _pages(asked, found)
            elif asked == Question():
                teach("Nothing is stored yet.", "quantify-sync up ~/quantify-data")
            else:
                few = f"Only {found.total:,} datasets are like that."
                ui.label(few if found.total else "No dataset is like that.").classes(
                    "text-lg"
                )
                ui.link("Show all datasets", Question().address)


def _form(asked: Question, set_ups: list[str]) -> None:
    """Show what is asked for; a plain form, whose address can be shared."""
    form = ui.element("form").props('action="/datasets" method="get" role="search"')
    with form.classes("flex flex-wrap gap-2 items-end w-full"):
        _field("q", "Words in name, tags, attributes, settings, notes", asked.q)
        # What is asked for is offered, whether it is configured any more or not.
        known = dict.fromkeys([*set_ups, *filter(None, [asked.set_up])])
        _choice("set_up", "Set-up", asked.set_up, {"": "any", **{s: s for s in known}})
        states = {state.value: state.value for state in State}
        _choice("state", "State", asked.state, {"": "any", **states})
        _field("tag", "Tag", asked.tag)
        _field("since", "Since (2026-03-01, or 2 days)", asked.since)
        _field("until", "Until", asked.until)
        _choice("starred", "Star", asked.starred, {"": "any", "1": "starred"})
        orders = {order.value: order.replace("_", "-") for order in Order}
        _choice("sort", "Sorted by", asked.sort, orders)
        search = text("button", "Search").classes("action")
        search.props("type=submit data-testid=search")


def _field(name: str, label: str, value: str) -> None:
    with ui.element("label").classes("flex flex-col quiet text-sm"):
        ui.label(label)
        box = ui.element("input").classes("sheet p-2")
        box.props["name"] = name
        # As HTML has it, what it holds at first: what is typed is not taken back.
        box.props["^value"] = value


def _choice(name: str, label: str, value: str, options: Mapping[str, str]) -> None:
    """Let one be chosen of values and what they are called."""
    with ui.element("label").classes("flex flex-col quiet text-sm"):
        ui.label(label)
        with ui.element("select").classes("sheet p-2") as chosen:
            chosen.props["name"] = name
            for one, called in options.items():
                option = text("option", called)
                option.props["value"] = one
                if one == value:
                    option.props["selected"] = True


def _pages(asked: Question, found: Page) -> None:
    with ui.row().classes("gap-4"):
        if asked.page > 1:
            ui.link("Back", asked._replace(page=asked.page - 1).address)
        if not found.exact or asked.page * ROWS < found.total:
            ui.link("More", asked._replace(page=asked.page + 1).address)
