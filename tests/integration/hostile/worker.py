"""What a worker does with bombs: run by the tests as a process of its own.

`python worker.py upload|follow` reads the configuration as a worker does, takes one
message a line from its standard input, and tells what each took.
"""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from shared import presence
from shared.events import Announcement, DatasetsFound, Sighting
from shared.settings import load_settings
from workers.live.desk import Desk
from workers.upload import upload, upload_found
from workers.workplace import Workplace


def forget_peak():
    Path("/proc/self/clear_refs").write_text("5")


def memory(kind):
    """Bytes: VmRSS is now, VmHWM was the peak since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(kind)).split()[1])


def tell(what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def measure(action):
    forget_peak()
    before, start = memory("VmRSS"), time.monotonic()
    outcome = action()
    return {
        "outcome": outcome,
        "seconds": time.monotonic() - start,
        "bytes": memory("VmHWM") - before,
    }


def upload_each(place, messages):
    """Store each with the healthy dataset, which is the first, in one batch."""
    healthy, *bombs = messages
    upload(place, healthy)
    for message in bombs:
        items = tuple(
            Sighting(**one.model_dump(include=set(Sighting.model_fields)))
            for one in (message, healthy)
        )
        found = DatasetsFound(source=message.source, items=items)
        told = measure(partial(upload_found, place, found))
        outcome = told["outcome"][message.tuid]
        tell({"tuid": message.tuid, **told, "outcome": str(outcome)})


def follow_all(place, messages):
    """Follow all at the same time, as the threads of one live worker do."""

    def follow(message):
        presence.send_pulse(
            place.redis, message.source, message.tuid, size=1, mtime_us=1, writes=1
        )
        desk.follow(message)

    def together():
        threads = [threading.Thread(target=follow, args=(m,)) for m in messages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    desk = Desk(SimpleNamespace(send_task=lambda *_, **__: None), place)
    tell(measure(together))
    desk.close()


def main():
    # Above what a file may take, far below what a bomb wants: a machine that runs the
    # tests survives them.
    limit = 6 * 2**30
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    place = Workplace(load_settings())
    place.prepare()
    messages = [Announcement.model_validate_json(line) for line in sys.stdin]
    {"upload": upload_each, "follow": follow_all}[sys.argv[1]](place, messages)
    place.close()


if __name__ == "__main__":
    main()
