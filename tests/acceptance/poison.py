"""Messages as nobody of ours writes them: whoever may write into a queue may try.

Kombu and Celery trust the types of what they get; each of these once ended a worker, or
might.
"""

from __future__ import annotations

import json
from base64 import b64encode

from shared import queues

WRONG = [
    *(None, True, -1, 3, 1e308, "", "x" * 100_000, "\ud800", "a\nb", "\0"),
    *([], {}, ["a"], {"a": 1}, [1, 2], [[[]]]),
]
HEADERS = (
    *("lang", "task", "id", "shadow", "eta", "expires", "group", "group_index"),
    *("retries", "timelimit", "root_id", "parent_id", "argsrepr", "kwargsrepr"),
    *("origin", "ignore_result", "replaced_task_nesting", "stamped_headers", "stamps"),
    *("compression", "redelivered", "reply_to", "hostname", "delivery_info", "args"),
    *(
        "x-death",
        "traceparent",
        "is_eager",
        "properties",
        "priority",
        "called_directly",
    ),
)
PROPERTIES = (
    *("correlation_id", "reply_to", "delivery_mode", "delivery_info", "priority"),
    *("body_encoding", "delivery_tag", "headers", "expiration", "type"),
)


def envelope(**changes):
    """Make what kombu writes into a queue, with something else in it."""
    message = {
        "body": b64encode(b"[[], {}, {}]").decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": queues.ON_MODIFIED, "id": "1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": "events"},
            "delivery_tag": "1",
        },
    }
    return json.dumps(message | changes)


def wrong_envelopes(task):
    """Make messages for a task in which one header or property is wrong."""
    number = 0

    def make(headers, properties):
        nonlocal number
        number += 1
        where = {"exchange": "", "routing_key": "events"}
        known = {"body_encoding": "base64", "delivery_info": where}
        known["delivery_tag"] = f"wrong-{number}"
        named = {"lang": "py", "task": task, "id": f"wrong-{number}", "eta": None}
        return envelope(headers=named | headers, properties=known | properties)

    for value in WRONG:
        for name in HEADERS:
            yield make({name: value}, {})
        for name in PROPERTIES:
            yield make({}, {name: value})
        for name in ("exchange", "routing_key", "priority", "more"):
            yield make({}, {"delivery_info": {name: value}})
