"""The Celery application of a worker: `celery -A workers.app worker`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from celery.signals import (
    celeryd_init,
    setup_logging,
    task_rejected,
    task_unknown,
    worker_init,
    worker_process_init,
    worker_ready,
    worker_shutting_down,
)

from shared import queues, refusals
from shared.broker import make_app
from shared.logs import set_up_logging
from shared.settings import load_settings
from workers.wire import refuse_nonsense

_settings = load_settings()

app = make_app(
    _settings.broker, suffixes=[source.queue for source in _settings.sources]
)
app.conf.include = ["workers.tasks"]
if _settings.max_rate:
    app.conf.task_annotations = None  # nobody knows how long an upload may take then
app.Task.Strategy = "workers.duties:plain_only"


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    set_up_logging(_settings)


@celeryd_init.connect
def _begin_in_the_log(instance: Any, **_: Any) -> None:
    """Log from the first line on; print no banner among lines that a program reads."""
    set_up_logging(_settings)
    if _settings.log_json:
        instance.quiet = True


@worker_init.connect
def _keep_to_duties(**_: Any) -> None:
    """Forget the tasks of queues that are not served here."""
    from workers.duties import keep_to  # noqa: PLC0415 - Celery's own commands don't work

    keep_to(app, app.amqp.queues.consume_from)


@task_unknown.connect
def _count_unknown(name: object = None, **_: Any) -> None:
    _count(f"a task {name!r} came through a queue that it does not belong to")


@task_rejected.connect
def _count_rejected(exc: Exception | None = None, **_: Any) -> None:
    _count(str(exc) if exc else "a message of no format that is known came")


def _count(reason: str) -> None:
    """Have `status` tell of a message that no task was given."""
    from workers.workplace import this_workplace  # noqa: PLC0415 - as above

    refusals.count(this_workplace().redis, reason)


refuse_nonsense(_count)  # before the first connection, which chooses its transport


@worker_init.connect
def _prepare(sender: Any, **_: Any) -> None:
    """Migrate and import once, in the parent; a fork must find no open connection."""
    from workers import workplace  # noqa: PLC0415 - Celery's own commands need no database

    if _settings.metrics_port:
        from workers.metrics import WorkerMetrics  # noqa: PLC0415 - for few

        WorkerMetrics(_settings, sender)
    place = workplace.this_workplace()
    place.prepare()
    place.close()
    workplace.leave_workplace()
    # Not opened here, only imported: a child then has it at once, and shares it.
    import_module("workers.upload")
    for name in ("grid", "metadata", "netcdf", "reader"):
        import_module(f"workers.quantify.{name}")


@worker_process_init.connect
def _start_anew(**_: Any) -> None:
    """Give each child its own connections."""
    from workers.workplace import leave_workplace  # noqa: PLC0415 - as above

    leave_workplace()


@worker_ready.connect
def _resume(**_: Any) -> None:
    """Take up the runs that were followed here when the worker was killed."""
    if not any(
        name.partition(".")[0] == queues.LIVE for name in app.amqp.queues.consume_from
    ):
        return
    from workers.live.desk import this_desk  # noqa: PLC0415 - imports h5py

    this_desk().resume()


@worker_shutting_down.connect
def _stop_following(**_: Any) -> None:
    """Ask the followers to hand their runs on; a warm shutdown waits for them."""
    from workers.live.desk import close_desk  # noqa: PLC0415 - as above

    close_desk()
