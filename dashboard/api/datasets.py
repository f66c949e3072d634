"""Datasets: search, one's metadata, notes, settings, data, and another try."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - FastAPI evaluates annotations
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from dashboard.problems import RESPONSES
from dashboard.selection import SelectedVariable, Wish, select
from quantify_sync import asking
from quantify_sync.finding import find_record
from quantify_sync.instruments import Difference, InstrumentSetting, differences
from quantify_sync.noting import write_note
from quantify_sync.when import parse_when
from shared.catalogue.pages import Order, Wanted, find_page
from shared.catalogue.records import (
    COMMENT_CHARACTERS,
    NOTE_TAGS,
    DatasetRecord,
    DatasetSummary,
    Note,
    NoteTag,
    State,
    storable,
)
from shared.errors import ConfigurationError, NotFoundError, RefusedValueError
from shared.tuid import is_tuid

if TYPE_CHECKING:
    from dashboard.house import House

Key = Annotated[str, Path(max_length=255, description="TUID, or id of the row.")]
SourceName = Annotated[
    str | None,
    Query(max_length=64, description="Where to look, if several have the TUID."),
]
Text = Annotated[str, Query(max_length=500)]
ShortText = Annotated[str | None, Query(max_length=255)]

MOST_POINTS = 100_000


class Listing(BaseModel):
    """A page of datasets.

    Attributes
    ----------
    items
        The datasets.
    total
        How many match in all.
    exact
        False where there are more than `total`.
    """

    items: list[DatasetSummary]
    total: int
    exact: bool
    offset: int
    limit: int


class NoteChange(BaseModel):
    """What is to be changed of a note; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    star: bool | None = None
    comment: str | None = Field(default=None, max_length=COMMENT_CHARACTERS)
    add_tags: list[NoteTag] = Field(default=[], max_length=NOTE_TAGS)
    remove_tags: list[NoteTag] = Field(default=[], max_length=NOTE_TAGS)


class Noted(BaseModel):
    """A dataset's note as it is now."""

    id: str
    version: int
    note: Note | None


class Data(BaseModel):
    """A part of a dataset."""

    id: str
    tuid: str
    version: int
    variables: list[SelectedVariable]


class Settings(BaseModel):
    """Instruments' settings of a dataset."""

    id: str
    settings: list[InstrumentSetting]


class Differences(BaseModel):
    """What differs between the settings of two datasets."""

    one: str
    other: str
    differences: list[Difference]


class Again(BaseModel):
    """Datasets that are tried again, by source."""

    tuids: dict[str, list[str]]


def make_router(house: House) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["datasets"], responses=RESPONSES)

    def find(key: str, source: str | None) -> DatasetRecord:
        return find_record(house.place, storable(key), source=storable(source))

    @router.get("/datasets")
    def search(
        q: Annotated[Text, Query(description="Words, each by its beginning.")] = "",
        *,
        set_up: ShortText = None,
        source: ShortText = None,
        state: State | None = None,
        tag: Annotated[list[str], Query(max_length=10)] = [],  # noqa: B006 - FastAPI copies it
        since: Annotated[
            str | None, Query(max_length=64, description="ISO 8601, or '2 days'.")
        ] = None,
        until: Annotated[str | None, Query(max_length=64)] = None,
        starred: bool | None = None,
        sort: Order = Order.COLLECTED,
        descending: bool = True,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    ) -> Listing:
        """Search in name, tags, attributes, settings and notes; filter, sort, page."""
        wanted = Wanted(
            query=storable(q),
            set_up=storable(set_up),
            source=storable(source),
            state=state,
            tags=tuple(storable(tag)),
            since=_time("since", since),
            until=_time("until", until),
            starred=starred,
        )
        with house.place.catalogue.read() as session:
            page = find_page(
                session,
                wanted,
                order=sort,
                descending=descending,
                limit=limit,
                offset=offset,
            )
        return Listing(
            items=page.datasets,
            total=page.total,
            exact=page.exact,
            offset=offset,
            limit=limit,
        )

    @router.get("/datasets/{key}")
    def show(key: Key, source: SourceName = None) -> DatasetRecord:
        """Tell all that is known of a dataset: metadata, files, history, note."""
        return find(key, source)

    @router.patch("/datasets/{key}/notes")
    def annotate(
        key: Key, change: NoteChange, request: Request, source: SourceName = None
    ) -> Noted:
        """Give a dataset a star, a comment, tags of one's own."""
        record = write_note(
            house.place,
            find(key, source).id,
            by=request.state.user,
            star=change.star,
            comment=change.comment,
            add_tags=change.add_tags,
            remove_tags=change.remove_tags,
        )
        return Noted(id=record.id, version=record.version, note=record.note)

    @router.get("/datasets/{key}/data")
    def data(
        key: Key,
        *,
        source: SourceName = None,
        variable: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 - as above
        cut: Annotated[
            list[str],
            Query(max_length=20, description="'x2:5': the sixth place along x2."),
        ] = [],  # noqa: B006 - as above
        within: Annotated[
            list[str],
            Query(
                max_length=20,
                description="'x0:1.5:2': places whose x0 is from 1.5 to 2.",
            ),
        ] = [],  # noqa: B006 - as above
        points: Annotated[int, Query(ge=4, le=MOST_POINTS)] = 4000,
    ) -> Data:
        """Give values and coordinates, reduced to about so many points a variable.

        Of a curve the extremes stay, of a map each cell is a mean.
        """
        record = find(key, source)
        wish = Wish(variable, _cuts(cut), _ranges(within), points)
        selected = select(house.opened.get(record), wish)
        return Data(
            id=record.id,
            tuid=record.alt_uid,
            version=record.version,
            variables=selected,
        )

    @router.get("/datasets/{key}/settings")
    def settings(key: Key, source: SourceName = None) -> Settings:
        """Give the instruments' settings when the measurement began."""
        record = find(key, source)
        return Settings(id=record.id, settings=list(house.instruments.get(record)))

    @router.get("/datasets/{key}/settings/difference")
    def difference(
        key: Key,
        other: Annotated[str, Query(max_length=255, description="As `key`.")],
        *,
        source: SourceName = None,
        other_source: SourceName = None,
    ) -> Differences:
        """Tell what differs between the settings of two datasets."""
        records = find(key, source), find(other, other_source or source)
        read = [house.instruments.get(record) for record in records]
        return Differences(
            one=records[0].id,
            other=records[1].id,
            differences=list(differences(read[0], read[1])),
        )

    @router.post("/datasets/{key}/retry", status_code=202)
    def retry(key: Key, source: SourceName = None) -> Again:
        """Have a dataset announced, read and stored again."""
        with house.place.reaching():
            name = storable(key)
            if not is_tuid(name):  # an id of the row
                record = find(name, source)
                name, source = record.alt_uid, record.source
            again = asking.retry(house.place, name, source=storable(source))
        return Again(tuids={name: list(tuids) for name, tuids in again.tuids.items()})

    @router.get("/datasets/{source}/{tuid}", include_in_schema=False)
    @router.get("/datasets/{source}/{tuid}/{rest:path}", status_code=307)
    def moved(
        request: Request,
        source: Annotated[str, Path(max_length=64)],
        tuid: Annotated[str, Path(max_length=64)],
        rest: str = "",
    ) -> RedirectResponse:
        """Find a dataset by source and TUID: answers with where it is.

        So all that is below `/datasets/{id}` is below `/datasets/{source}/{tuid}`.
        """
        if not is_tuid(tuid):
            raise NotFoundError(f"{tuid!r} is no TUID, and there is nothing else here.")
        record = find(tuid, source)
        place = request.url_for("show", key=record.id).path
        return RedirectResponse(
            place
            + (f"/{quote(rest)}" if rest else "")
            + (f"?{request.url.query}" if request.url.query else ""),
            307,
        )

    return router


def _time(name: str, text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        return parse_when(text)
    except ConfigurationError as error:
        raise RefusedValueError(f"{name}: {error}") from None


def _cuts(texts: list[str]) -> dict[str, int]:
    cuts = {}
    for text in texts:
        dim, _, index = text.rpartition(":")
        try:
            cuts[dim] = int(index)
        except ValueError:
            raise RefusedValueError(
                f"cut={text!r} is no place: write it like 'x2:5'."
            ) from None
    return cuts


def _ranges(texts: list[str]) -> dict[str, tuple[float, float]]:
    ranges = {}
    for text in texts:
        try:
            dim, low, high = text.rsplit(":", 2)
            ranges[dim] = float(low), float(high)
        except ValueError:
            raise RefusedValueError(
                f"within={text!r} is no range: write it like 'x0:1.5:2'."
            ) from None
    return ranges
