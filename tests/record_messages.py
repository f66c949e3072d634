"""What a producer of this version sends, and its schema, as records for the tests.

    python tests/record_messages.py

writes them into `tests/data/messages`, in a folder of the version's own. A record that
is there is not written over: a producer of that version may run somewhere. Changed
models are a new version instead. Version 0 is the contract as it was first laid down,
before workers told each other how a run had ended.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter

from producer.announcer import Announcer
from producer.record import Place, Record
from producer.seen import Seen
from shared.events import VERSION, Announcement, DatasetsFound

RECORDS = Path(__file__).parent / "data" / "messages"
FIRST = Seen(
    "20260302-015602-771-e40978",
    "20260302/20260302-015602-771-e40978-grid_2d",
    "0123456789abcdef0123456789abcdef",
    1_772_413_562_771_000,
    43_210,
    1_772_413_562_771_000,
)
SECOND = FIRST._replace(
    tuid="20260304-095111-046-1f53c3",
    folder="20260304/20260304-095111-046-1f53c3-Überprüfung π-Puls 量子 🚀",
    fingerprint="fedcba9876543210fedcba9876543210",
)


class _Notebook:
    """Takes down what is sent, in the place of a Celery application."""

    def __init__(self):
        self.sent = []

    def send_task(self, name, *, kwargs, **_):
        self.sent.append({"task": name, "message": kwargs["message"]})

    def close(self):
        pass


def messages():
    """Everything that a producer says through a queue, in each of its ways."""
    announcer = Announcer("redis://127.0.0.1:1/0", "fridge_1")  # never connected to
    announcer._app = notebook = _Notebook()
    for created, why in ((True, "write"), (False, "write"), (False, "settled")):
        record = Record(
            FIRST.tuid,
            FIRST.folder,
            first_seen=1_772_413_563.25,
            wait=30.0,
            silence=10.0,
            place=Place.FRESH,
            seen=FIRST,
            why=why,
            created=created,
        )
        announcer.announce(record)
    announcer.found([FIRST, SECOND])
    announcer.close()
    return notebook.sent


def schema():
    """Give the JSON schema of the messages, without what is there for people."""

    def bare(item):
        if isinstance(item, dict):
            told = {k for k in ("description", "title") if isinstance(item.get(k), str)}
            return {k: bare(v) for k, v in item.items() if k not in told}
        return [bare(one) for one in item] if isinstance(item, list) else item

    return bare(TypeAdapter(Announcement | DatasetsFound).json_schema())


def main():
    """Record this version."""
    folder = RECORDS / str(VERSION)
    folder.mkdir()
    for name, content in (("messages", messages()), ("schema", schema())):
        text = json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True)
        (folder / f"{name}.json").write_text(f"{text}\n", "utf-8")


if __name__ == "__main__":
    main()
