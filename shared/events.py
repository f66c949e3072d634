"""The messages between producer and workers.

Every message carries a version, and these rules let a lab be upgraded while it runs:

* Workers take `VERSION` and the one before. So workers are upgraded first, then the
  producers, and no version is left out on the way.
* Any change of the models below is a new version. What it adds has a default, which
  stands for what older senders do not say; what it takes away is dropped one version
  later, when nobody sends it any more.
* Each version's schema and messages are recorded in `tests/data/messages`, and the
  tests hold both the models and the producer to them.
* A newer version is refused, and every dataset named in it answered `failed`, for
  `status` to tell. That answer is the old workers' own: from the newer ones it counts
  for nothing, so that the producer announces all of it again.

What is no valid message is refused with `MessageError` before anything is done about
it. Unknown fields are refused here; in the hints that Redis holds they are left out
(`shared.models.Hint`), so that an older reader understands a newer writer.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, ValidationError, model_validator

from shared.errors import MessageError
from shared.models import Model
from shared.tuid import TUID_PATTERN, is_day, parse_container

VERSION = 1
ACCEPTED_VERSIONS = (VERSION - 1, VERSION)
OF_VERSION = "of version "
"""Part of what is said of a message that only newer workers can read."""
MAX_FOUND = 500
"""Datasets in one `datasets_found`: 100,000 datasets make 200 messages."""
MAX_FOLDER = 2048
"""Characters of a container's path: 255 bytes a name, each up to `%uDCFF` long."""

Why = Literal["write", "settled", "scan"]
Ended = Literal["filled", "quiet", "superseded"]


def is_container_path(folder: str) -> bool:
    """Whether `folder` is `YYYYMMDD/TUID[-name]` in wire form, and nothing else.

    That form leaves no way out of the data directory: two segments, of which the
    first is eight digits and the second begins with a TUID; no `..`, drive, NUL or
    backslash can be in it.
    """
    day, separator, name = folder.partition("/")
    return bool(
        separator
        and is_day(day)
        and not re.search("[/\\\\\x00-\x1f\x7f]", name)
        and parse_container(name)
    )


def _container_path(folder: str) -> str:
    if not is_container_path(folder):
        raise ValueError(
            "a folder must be YYYYMMDD/TUID[-name] below the source's root"
        )
    return folder


Tuid = Annotated[str, Field(pattern=f"^{TUID_PATTERN}$")]
SourceName = Annotated[str, Field(min_length=1, max_length=64)]
Folder = Annotated[str, Field(max_length=MAX_FOLDER), AfterValidator(_container_path)]
Fingerprint = Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class Sighting(Model):
    """What the producer saw of one dataset.

    Attributes
    ----------
    tuid, folder
        Which dataset, and its container relative to the source's root.
    fingerprint
        Of the container's listing.
    newest_us
        Latest modification time in it, µs since 1970, by the file system's clock.
    """

    tuid: Tuid
    folder: Folder
    fingerprint: Fingerprint
    newest_us: int

    @model_validator(mode="after")
    def _folder_is_of_tuid(self) -> Self:
        day, _, name = self.folder.partition("/")
        if not name.startswith(self.tuid) or not self.tuid.startswith(day):
            raise ValueError(f"{self.folder!r} is no container of {self.tuid}")
        return self


class Announcement(Sighting):
    """One dataset appeared or changed.

    Attributes
    ----------
    version
        Of the message.
    source
        Name of the source.
    why
        `write`: a file changed just now; `settled`: nothing changed for the settle
        time; `scan`: a sweep found it.
    first_seen
        When the producer first saw the container, seconds since 1970, its clock;
        for display only.
    ended
        How the run ended, where a follower saw it end; said among workers only.
    """

    version: int = VERSION
    source: SourceName
    why: Why
    first_seen: float
    ended: Ended | None = None


class DatasetsFound(Model):
    """What a sweep found: at most `MAX_FOUND` datasets of one source."""

    version: int = VERSION
    source: SourceName
    items: Annotated[tuple[Sighting, ...], Field(max_length=MAX_FOUND)]


MessageT = TypeVar("MessageT", Announcement, DatasetsFound)


def parse(kind: type[MessageT], message: Any) -> MessageT:
    """Read a message.

    Parameters
    ----------
    kind
        What it should be.
    message
        What came out of the queue.

    Raises
    ------
    MessageError
        It is not of that kind, or of a version not known here.
    """
    version = message.get("version") if isinstance(message, dict) else None
    if version not in ACCEPTED_VERSIONS:
        raise MessageError(
            f"A message {OF_VERSION}{str(version)[:20]!r} can't be read here (known: "
            f"{ACCEPTED_VERSIONS}): upgrade the workers, then the producers."
        )
    try:
        return kind.model_validate(message)
    except ValidationError as error:
        fields = ", ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)[:3]
        )
        raise MessageError(
            f"A message is no {kind.__name__} ({fields}): see which program sends it."
        ) from None
