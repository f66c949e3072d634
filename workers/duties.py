"""What a worker takes: the tasks of its own queues, and nothing that comes with them.

A message's task, headers and follow-ups are its sender's choice. Who may announce could
so have `events` do another queue's work, or have a worker send tasks on with its own
rights. Hence a worker knows no other task, and refuses what ours never carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.exceptions import InvalidTaskError
from celery.worker.strategy import default
from kombu.exceptions import DecodeError

from shared import queues

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery import Celery, Task

UNWANTED_HEADERS = ("eta", "expires")
"""A task that waits in a worker lies unacknowledged (README, "Decisions")."""


def keep_to(app: Celery, served: Iterable[str]) -> None:
    """Let the worker know the tasks of these queues only, Celery's own not either.

    Parameters
    ----------
    app
        The application; its tasks are imported.
    served
        Names of the queues, with their suffixes.
    """
    bases = {name.partition(".")[0] for name in served}
    known = {task for base in bases for task in queues.TASKS.get(base, ())}
    for name in set(app.tasks) - known:
        app.tasks.unregister(name)


def plain_only(
    task: Task, app: Celery, consumer: Any, **_: Any
) -> Callable[..., object]:
    """Make what takes a task's messages: Celery's own strategy, behind a check."""
    take = default(task, app, consumer)

    def take_plain(message: Any, body: object, *rest: Any) -> object:
        try:
            payload = message.payload
        except DecodeError as error:
            raise InvalidTaskError(f"A message for {task.name}: {error}") from None
        if body is not None or not _is_plain(payload, message.headers):
            raise InvalidTaskError(
                f"A message for {task.name} asks for more than that task: a delay, a "
                "follow-up, or Celery's old format. Who may send to this queue?"
            )
        return take(message, body, *rest)

    return take_plain


def _is_plain(payload: object, headers: dict[str, object]) -> bool:
    match payload:
        case [list() | tuple(), dict(), dict() as embedded]:
            unwanted = (headers.get(name) is not None for name in UNWANTED_HEADERS)
            return not (any(embedded.values()) or any(unwanted))
    return False
